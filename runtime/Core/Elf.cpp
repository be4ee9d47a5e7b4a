//===- runtime/Core/Elf.cpp - what a shared object asks for -----------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Walks section headers to .dynsym and its string table. Every offset comes from
// the file, so each is checked against the file's size before it is followed.
//
//===------------------------------------------------------------------------===//
#include "runtime/Core/Elf.h"

#include "runtime/Core/File.h"

#include <algorithm>
#include <cstring>
#include <elf.h>
#include <optional>

namespace moire::runtime {

/// The `index`-th T of an array at `offset`, or nothing when it lies outside of the file.
template <typename T> static std::optional<T> entry(std::string_view bytes, uint64_t offset, uint64_t index = 0) {
  T value;
  if (offset > bytes.size() || index >= (bytes.size() - offset) / sizeof(T))
    return std::nullopt;
  std::memcpy(&value, bytes.data() + offset + index * sizeof(T), sizeof(T));
  return value;
}

Result<std::vector<std::string>> undefinedSymbols(const std::string &path) {
  MOIRE_ASSIGN(const MappedFile file, MappedFile::open(path));
  const std::string_view bytes = file.bytes();
  const auto header = entry<Elf64_Ehdr>(bytes, 0);
  if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_ident[EI_CLASS] != ELFCLASS64 ||
      header->e_shentsize != sizeof(Elf64_Shdr))
    return Status::error("`{}` is not a 64-bit ELF shared object", path);
  std::vector<std::string> names;
  for (uint64_t i = 0; i < header->e_shnum; ++i) {
    const auto table = entry<Elf64_Shdr>(bytes, header->e_shoff, i);
    if (!table)
      return Status::error("`{}` is truncated", path);
    if (table->sh_type != SHT_DYNSYM)
      continue;
    const auto strings = entry<Elf64_Shdr>(bytes, header->e_shoff, table->sh_link);
    for (uint64_t s = 0; s < table->sh_size / sizeof(Elf64_Sym); ++s) {
      const auto symbol = entry<Elf64_Sym>(bytes, table->sh_offset, s);
      if (!symbol || !strings || strings->sh_offset > bytes.size() ||
          symbol->st_name >= bytes.size() - strings->sh_offset)
        return Status::error("`{}` is truncated", path);
      const std::string_view rest = bytes.substr(strings->sh_offset + symbol->st_name);
      const std::string_view name = rest.substr(0, rest.find('\0'));
      if (symbol->st_shndx == SHN_UNDEF && ELF64_ST_BIND(symbol->st_info) == STB_GLOBAL && !name.empty())
        names.emplace_back(name);
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

} // namespace moire::runtime
