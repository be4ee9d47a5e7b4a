//===- runtime/Core/CpuFeatures.cpp - what the processor can do ------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The table below gives, per feature, the CPUID leaf, sub-leaf, register and bit
// (Intel SDM volume 2A, CPUID; AMD APM volume 3, appendix E) and which register
// state must be switched on in XCR0.
//
//===------------------------------------------------------------------------===//
#include "runtime/Core/CpuFeatures.h"

#include <array>
#include <cpuid.h>
#include <cstdint>
#include <cstring>

namespace moire::runtime {
namespace {

enum Register { Eax, Ebx, Ecx, Edx };

/// Bits of XCR0 that must all be set: SSE and AVX; plus opmask and upper ZMM; the AMX tile state.
constexpr uint64_t noState = 0, avxState = 0x6, avx512State = 0xe6, amxState = 0x60000;

struct Feature {
  std::string_view name;
  uint32_t leaf, subleaf;
  Register where;
  int bit;
  uint64_t state;
};

constexpr auto table = std::to_array<Feature>({
    {"sse", 1, 0, Edx, 25, noState},
    {"sse2", 1, 0, Edx, 26, noState},
    {"fxsr", 1, 0, Edx, 24, noState},
    {"cx8", 1, 0, Edx, 8, noState},
    {"cmov", 1, 0, Edx, 15, noState},
    {"mmx", 1, 0, Edx, 23, noState},
    {"sse3", 1, 0, Ecx, 0, noState},
    {"pclmul", 1, 0, Ecx, 1, noState},
    {"ssse3", 1, 0, Ecx, 9, noState},
    {"fma", 1, 0, Ecx, 12, avxState},
    {"cx16", 1, 0, Ecx, 13, noState},
    {"sse4.1", 1, 0, Ecx, 19, noState},
    {"sse4.2", 1, 0, Ecx, 20, noState},
    {"crc32", 1, 0, Ecx, 20, noState},
    {"movbe", 1, 0, Ecx, 22, noState},
    {"popcnt", 1, 0, Ecx, 23, noState},
    {"aes", 1, 0, Ecx, 25, noState},
    {"xsave", 1, 0, Ecx, 26, noState},
    {"avx", 1, 0, Ecx, 28, avxState},
    {"f16c", 1, 0, Ecx, 29, avxState},
    {"rdrnd", 1, 0, Ecx, 30, noState},
    {"sahf", 0x80000001, 0, Ecx, 0, noState},
    {"lzcnt", 0x80000001, 0, Ecx, 5, noState},
    {"sse4a", 0x80000001, 0, Ecx, 6, noState},
    {"prfchw", 0x80000001, 0, Ecx, 8, noState},
    {"64bit", 0x80000001, 0, Edx, 29, noState},
    {"fsgsbase", 7, 0, Ebx, 0, noState},
    {"bmi", 7, 0, Ebx, 3, noState},
    {"avx2", 7, 0, Ebx, 5, avxState},
    {"bmi2", 7, 0, Ebx, 8, noState},
    {"avx512f", 7, 0, Ebx, 16, avx512State},
    {"avx512dq", 7, 0, Ebx, 17, avx512State},
    {"rdseed", 7, 0, Ebx, 18, noState},
    {"adx", 7, 0, Ebx, 19, noState},
    {"avx512ifma", 7, 0, Ebx, 21, avx512State},
    {"clflushopt", 7, 0, Ebx, 23, noState},
    {"clwb", 7, 0, Ebx, 24, noState},
    {"avx512cd", 7, 0, Ebx, 28, avx512State},
    {"sha", 7, 0, Ebx, 29, noState},
    {"avx512bw", 7, 0, Ebx, 30, avx512State},
    {"avx512vl", 7, 0, Ebx, 31, avx512State},
    {"avx512vbmi", 7, 0, Ecx, 1, avx512State},
    {"avx512vbmi2", 7, 0, Ecx, 6, avx512State},
    {"gfni", 7, 0, Ecx, 8, noState},
    {"vaes", 7, 0, Ecx, 9, avxState},
    {"vpclmulqdq", 7, 0, Ecx, 10, avxState},
    {"avx512vnni", 7, 0, Ecx, 11, avx512State},
    {"avx512bitalg", 7, 0, Ecx, 12, avx512State},
    {"avx512vpopcntdq", 7, 0, Ecx, 14, avx512State},
    {"avx512vp2intersect", 7, 0, Edx, 8, avx512State},
    {"amx-bf16", 7, 0, Edx, 22, amxState},
    {"avx512fp16", 7, 0, Edx, 23, avx512State},
    {"amx-tile", 7, 0, Edx, 24, amxState},
    {"amx-int8", 7, 0, Edx, 25, amxState},
    {"avxvnni", 7, 1, Eax, 4, avxState},
    {"avx512bf16", 7, 1, Eax, 5, avx512State},
    {"amx-fp16", 7, 1, Eax, 21, amxState},
    {"avxifma", 7, 1, Eax, 23, avxState},
    {"avxvnniint8", 7, 1, Edx, 4, avxState},
    {"avxneconvert", 7, 1, Edx, 5, avxState},
    {"amx-complex", 7, 1, Edx, 8, amxState},
});

/// XCR0, or 0 when the operating system does not use XSAVE.
uint64_t savedStates() {
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & (1u << 27)))
    return 0;
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t(high) << 32 | low;
}

bool present(const Feature &feature) {
  std::array<uint32_t, 4> registers{};
  // Sub-leaf 1 of leaf 7 exists when EAX of sub-leaf 0 says so; beyond it CPUID may repeat another leaf's bits.
  if (feature.subleaf > 0) {
    if (!__get_cpuid_count(feature.leaf, 0, &registers[Eax], &registers[Ebx], &registers[Ecx], &registers[Edx]) ||
        registers[Eax] < feature.subleaf)
      return false;
  }
  if (!__get_cpuid_count(feature.leaf, feature.subleaf, &registers[Eax], &registers[Ebx], &registers[Ecx],
                         &registers[Edx]))
    return false;
  static const uint64_t saved = savedStates();
  return (registers[feature.where] >> feature.bit & 1) && (saved & feature.state) == feature.state;
}

} // namespace

std::vector<std::string> missingCpuFeatures(std::string_view features) {
  std::vector<std::string> missing;
  while (!features.empty()) {
    const size_t comma = std::min(features.find(','), features.size());
    const std::string_view name = features.substr(0, comma);
    features.remove_prefix(std::min(comma + 1, features.size()));
    bool found = name.empty();
    for (const Feature &feature : table)
      found = found || (feature.name == name && present(feature));
    if (!found)
      missing.emplace_back(name);
  }
  return missing;
}

std::string cpuFeatures() {
  std::string text;
  for (const Feature &feature : table)
    if (present(feature))
      text.append(text.empty() ? "" : ",").append(feature.name);
  return text;
}

std::string cpuName() {
  std::array<uint32_t, 12> words{};
  for (uint32_t i = 0; i < 3; ++i)
    if (!__get_cpuid(0x80000002 + i, &words[4 * i], &words[4 * i + 1], &words[4 * i + 2], &words[4 * i + 3]))
      return "unknown";
  std::string name(reinterpret_cast<const char *>(words.data()), sizeof(words));
  name.resize(std::strlen(name.c_str()));
  while (!name.empty() && name.back() == ' ')
    name.pop_back();
  return name;
}

} // namespace moire::runtime
