//===- runtime/Train/TokenFile.cpp - one file of data as tokens ---------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Numbers are little-endian, as on the only processors that this runtime runs
// on, and may lie at any address of the mapping: they are copied, not cast.
//
//===------------------------------------------------------------------------===//
#include "runtime/Train/TokenFile.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>

namespace moire::runtime {

static_assert(std::endian::native == std::endian::little);

static size_t width(Element element) {
  switch (element) {
  case Element::U8:
    return 1;
  case Element::U16:
    return 2;
  case Element::I64:
    return 8;
  default:
    return 4;
  }
}

/// Calls `visit(value)` for n stored values from `at`.
template <typename T, typename Visit> static void forEach(const char *at, int64_t n, Visit visit) {
  for (int64_t i = 0; i < n; ++i) {
    T value;
    std::memcpy(&value, at + i * sizeof(T), sizeof(T));
    visit(static_cast<int64_t>(value));
  }
}

template <typename Visit> static void forEach(Element element, const char *at, int64_t n, Visit visit) {
  switch (element) {
  case Element::U8:
    return forEach<uint8_t>(at, n, visit);
  case Element::U16:
    return forEach<uint16_t>(at, n, visit);
  case Element::U32:
    return forEach<uint32_t>(at, n, visit);
  case Element::I64:
    return forEach<int64_t>(at, n, visit);
  default:
    return forEach<int32_t>(at, n, visit);
  }
}

Result<TokenFile> TokenFile::open(const std::string &path, const Tokenizer &tokenizer, int64_t vocab) {
  TokenFile out;
  out.name = path;
  MOIRE_ASSIGN(out.file, MappedFile::open(path));
  const std::string_view bytes = out.file.bytes();
  if (bytes.empty())
    return Status::error("`{}` is empty", path);
  const TokenizerKind kind = tokenizer.kind();
  const bool npy = path.ends_with(".npy"), bin = path.ends_with(".bin");
  const bool ids = kind == TokenizerKind::U16 || kind == TokenizerKind::U32;
  if (npy && (kind == TokenizerKind::Automatic || ids)) {
    MOIRE_ASSIGN(const NpyLayout layout, parseNpy(bytes, path));
    out.element = layout.element, out.offset = layout.offset, out.count = static_cast<int64_t>(layout.count);
  } else if (ids) {
    out.element = kind == TokenizerKind::U16 ? Element::U16 : Element::U32;
    if (!bin)
      return Status::error("`{}` is not a .bin or .npy file, but --tokenizer says that the data are numbers", path);
    if (bytes.size() % width(out.element) != 0)
      return Status::error("`{}` has {} bytes: not a whole number of {} tokens", path, bytes.size(),
                           kind == TokenizerKind::U16 ? "u16" : "u32");
    out.count = static_cast<int64_t>(bytes.size() / width(out.element));
  } else if (bin && kind == TokenizerKind::Automatic) {
    return Status::error("`{}` may hold u16 or u32 tokens: say --tokenizer u16, u32, or bytes", path);
  } else if (tokenizer.isSentencePiece()) {
    MOIRE_ASSIGN(out.encoded, tokenizer.encode(bytes));
    out.file.release(0, bytes.size());
    out.element = Element::Encoded;
    out.count = static_cast<int64_t>(out.encoded.tokens.size());
  } else {
    out.count = static_cast<int64_t>(bytes.size());
  }
  if (out.count == 0)
    return Status::error("`{}` holds no tokens", path);
  MOIRE_TRY(out.checkVocabulary(vocab));
  return out;
}

Status TokenFile::checkVocabulary(int64_t vocab) const {
  if ((element == Element::U8 && vocab >= 256) || (element == Element::U16 && vocab >= 65536))
    return {};
  constexpr int64_t part = 1 << 20; // tokens looked at before their pages are given back
  for (int64_t begin = 0; begin < count; begin += part) {
    const int64_t n = std::min(part, count - begin);
    const size_t at = offset + static_cast<size_t>(begin) * width(element);
    const char *const data = element == Element::Encoded ? reinterpret_cast<const char *>(encoded.tokens.data() + begin)
                                                         : file.bytes().data() + at;
    bool fits = true;
    forEach(element, data, n, [&](int64_t token) { fits &= token >= 0 && token < vocab; });
    file.release(at, at + static_cast<size_t>(n) * width(element));
    if (fits)
      continue;
    int64_t position = begin, wrong = -1, value = 0;
    forEach(element, data, n, [&](int64_t token) {
      if (wrong < 0 && (token < 0 || token >= vocab))
        wrong = position, value = token;
      ++position;
    });
    return Status::error("`{}`: token {} is {}, but the model's vocab is {}", name, wrong, value, vocab);
  }
  return {};
}

void TokenFile::read(int64_t begin, int64_t n, int32_t *out) const {
  if (element == Element::Encoded) {
    std::copy_n(encoded.tokens.begin() + begin, n, out);
    return;
  }
  const size_t at = offset + static_cast<size_t>(begin) * width(element);
  forEach(element, file.bytes().data() + at, n, [&](int64_t token) { *out++ = static_cast<int32_t>(token); });
  // Sampled windows would otherwise make the whole file resident, page by page.
  file.release(at, at + static_cast<size_t>(n) * width(element));
}

std::string TokenFile::head(size_t limit) const {
  std::string copy(file.bytes().substr(0, limit));
  file.release(0, copy.size());
  return copy;
}

int64_t TokenFile::textBytes(int64_t begin, int64_t end) const {
  if (element == Element::U8)
    return end - begin;
  return std::accumulate(encoded.bytes.begin() + begin, encoded.bytes.begin() + end, int64_t(0));
}

} // namespace moire::runtime
