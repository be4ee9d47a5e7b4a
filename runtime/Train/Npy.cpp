//===- runtime/Train/Npy.cpp - the header of a .npy file ----------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// NumPy's format (numpy.lib.format): magic, version, length of the header, and a
// Python dictionary with exactly the keys descr, fortran_order and shape. The
// dictionary is read by a scanner that accepts what NumPy writes and no more.
//
//===------------------------------------------------------------------------===//
#include "runtime/Train/TokenFile.h"

#include <charconv>
#include <optional>

namespace moire::runtime {
namespace {

/// Takes tokens off the front of a Python dictionary literal.
struct Scanner {
  std::string_view rest;

  void skip() {
    while (!rest.empty() && (rest[0] == ' ' || rest[0] == '\n'))
      rest.remove_prefix(1);
  }
  bool take(std::string_view word) {
    skip();
    if (!rest.starts_with(word))
      return false;
    rest.remove_prefix(word.size());
    return true;
  }
  std::optional<std::string_view> quoted() {
    if (!take("'"))
      return std::nullopt;
    const size_t end = rest.find('\'');
    if (end == std::string_view::npos)
      return std::nullopt;
    const std::string_view text = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    return text;
  }
  std::optional<uint64_t> number() {
    skip();
    uint64_t value = 0;
    const auto [end, code] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
    if (code != std::errc())
      return std::nullopt;
    rest.remove_prefix(static_cast<size_t>(end - rest.data()));
    return value;
  }
};

struct Header {
  std::optional<std::string_view> dtype;
  std::optional<bool> fortran;
  std::optional<uint64_t> elements;
  size_t rank = 0;
};

bool parseShape(Scanner &scan, Header &header) {
  if (!scan.take("("))
    return false;
  uint64_t elements = 1;
  while (!scan.take(")")) {
    const auto extent = scan.number();
    if (!extent || __builtin_mul_overflow(elements, *extent, &elements))
      return false;
    ++header.rank;
    if (!scan.take(",") && !scan.rest.starts_with(")"))
      return false;
  }
  header.elements = elements;
  return true;
}

bool parseHeader(std::string_view text, Header &header) {
  Scanner scan{text};
  if (!scan.take("{"))
    return false;
  while (!scan.take("}")) {
    const auto key = scan.quoted();
    if (!key || !scan.take(":"))
      return false;
    if (*key == "descr" && !header.dtype) {
      header.dtype = scan.quoted();
      if (!header.dtype)
        return false;
    } else if (*key == "fortran_order" && !header.fortran) {
      const bool yes = scan.take("True");
      if (!yes && !scan.take("False"))
        return false;
      header.fortran = yes;
    } else if (*key != "shape" || header.elements || !parseShape(scan, header)) {
      return false;
    }
    if (!scan.take(",") && !scan.rest.starts_with("}"))
      return false;
  }
  scan.skip();
  return scan.rest.empty() && header.dtype && header.fortran && header.elements;
}

} // namespace

Result<NpyLayout> parseNpy(std::string_view bytes, const std::string &path) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  if (!bytes.starts_with("\x93NUMPY"))
    return Status::error("`{}` is not a .npy file", path);
  const bool small = bytes.size() > 6 && byte(6) == 1;
  const size_t prefix = small ? 10 : 12;
  if (bytes.size() < prefix)
    return Status::error("`{}` is truncated: its header is incomplete", path);
  if (byte(6) < 1 || byte(6) > 3 || byte(7) != 0)
    return Status::error("`{}` has .npy version {}.{}; known are 1.0 to 3.0", path, byte(6), byte(7));
  size_t length = 0;
  for (size_t i = prefix; i-- > 8;)
    length = length << 8 | byte(i);
  if (bytes.size() - prefix < length)
    return Status::error("`{}` is truncated: its header is incomplete", path);
  Header header;
  if (!parseHeader(bytes.substr(prefix, length), header))
    return Status::error("`{}` has a malformed .npy header", path);
  NpyLayout layout{Element::U16, prefix + length, static_cast<size_t>(*header.elements)};
  size_t size = 4;
  if (*header.dtype == "<u2")
    size = 2;
  else if (*header.dtype == "<u4")
    layout.element = Element::U32;
  else if (*header.dtype == "<i4")
    layout.element = Element::I32;
  else if (*header.dtype == "<i8")
    layout.element = Element::I64, size = 8;
  else
    return Status::error("`{}` has dtype `{}`; tokens are <u2, <u4, <i4 or <i8 (uint16, uint32, int32, int64)", path,
                         *header.dtype);
  if (*header.fortran && header.rank > 1)
    return Status::error("`{}` is in Fortran order; save it in C order", path);
  const size_t found = bytes.size() - layout.offset;
  if (found / size < layout.count)
    return Status::error("`{}` is truncated: {} tokens promised, {} bytes of them found", path, layout.count, found);
  if (found != layout.count * size)
    return Status::error("`{}` has {} bytes after its {} tokens", path, found - layout.count * size, layout.count);
  return layout;
}

} // namespace moire::runtime
