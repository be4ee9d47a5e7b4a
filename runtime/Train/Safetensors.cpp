//===- runtime/Train/Safetensors.cpp - tensors in a file -------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads and writes the format described at github.com/huggingface/safetensors.
//
//===------------------------------------------------------------------------===//
#include "runtime/Train/Safetensors.h"

#include <algorithm>
#include <cstring>

namespace moire::runtime {

/// The most that a header may have; the same limit as the format's own library.
static constexpr uint64_t mostHeader = 100'000'000;

Result<uint64_t> writeSafetensors(const std::string &path, const std::vector<StoredTensor> &tensors,
                                  const Metadata &metadata) {
  Json header = {{"__metadata__", metadata}};
  uint64_t end = 0;
  for (const StoredTensor &tensor : tensors) {
    header[tensor.name] = {
        {"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {end, end + tensor.bytes}}};
    end += tensor.bytes;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' '); // keeps the data aligned for those who map the file
  const uint64_t length = text.size();
  MOIRE_ASSIGN(FileWriter writer, FileWriter::create(path));
  MOIRE_TRY(writer.write({reinterpret_cast<const char *>(&length), sizeof(length)}));
  MOIRE_TRY(writer.write(text));
  for (const StoredTensor &tensor : tensors)
    MOIRE_TRY(writer.write({static_cast<const char *>(tensor.data), tensor.bytes}));
  MOIRE_TRY(writer.sync());
  return sizeof(length) + length + end;
}

static uint64_t dtypeBytes(const std::string &dtype) {
  static const std::map<std::string, uint64_t> sizes = {{"F64", 8}, {"I64", 8}, {"U64", 8},  {"F32", 4}, {"I32", 4},
                                                        {"U32", 4}, {"F16", 2}, {"BF16", 2}, {"I16", 2}, {"U16", 2},
                                                        {"I8", 1},  {"U8", 1},  {"BOOL", 1}};
  const auto found = sizes.find(dtype);
  return found == sizes.end() ? 0 : found->second;
}

/// One entry of the header; its place must begin at `begin`.
static Result<StoredTensor> parseEntry(const std::string &name, const Json &json, uint64_t begin,
                                       const std::string &where) {
  StoredTensor tensor;
  tensor.name = name;
  ObjectReader reader(json, where);
  reader.text("dtype", tensor.dtype);
  const Json &shape = reader.value("shape");
  const Json &place = reader.value("data_offsets");
  MOIRE_TRY(reader.finish());
  const uint64_t size = dtypeBytes(tensor.dtype);
  uint64_t bytes = size;
  bool sane = size > 0 && shape.is_array() && place.is_array() && place.size() == 2;
  for (const Json &extent : shape) {
    sane = sane && extent.is_number_unsigned() && extent.get<uint64_t>() <= uint64_t(INT64_MAX) &&
           !__builtin_mul_overflow(bytes, extent.get<uint64_t>(), &bytes);
    if (sane)
      tensor.shape.push_back(extent.get<int64_t>());
  }
  for (const Json &offset : place)
    sane = sane && offset.is_number_unsigned();
  if (!sane || place[0].get<uint64_t>() != begin || place[1].get<uint64_t>() - begin != bytes)
    return Status::error("{}: dtype, shape and place do not fit together", where);
  tensor.bytes = bytes;
  return tensor;
}

Result<Safetensors> Safetensors::open(const std::string &path) {
  Safetensors out;
  MOIRE_ASSIGN(out.file, MappedFile::open(path));
  const std::string_view bytes = out.file.bytes();
  uint64_t length = 0;
  if (bytes.size() < sizeof(length))
    return Status::error("`{}` is truncated: it has {} bytes", path, bytes.size());
  std::memcpy(&length, bytes.data(), sizeof(length));
  if (length > mostHeader)
    return Status::error("`{}` is not a safetensors file", path);
  if (length > bytes.size() - sizeof(length))
    return Status::error("`{}` is truncated: its header has {} bytes, the file {}", path, length, bytes.size());
  MOIRE_ASSIGN(const Json header, parseJson(bytes.substr(sizeof(length), length), fmt::format("`{}`", path)));
  if (!header.is_object())
    return Status::error("`{}` is not a safetensors file", path);
  std::vector<std::tuple<uint64_t, size_t, std::string>> order; // place, number in the header, name
  for (const auto &item : header.items()) {
    if (item.key() == "__metadata__") {
      for (const auto &entry : item.value().items())
        if (entry.value().is_string())
          out.meta[entry.key()] = entry.value().get<std::string>();
      continue;
    }
    const Json &place = item.value().is_object() ? item.value().value("data_offsets", Json()) : Json();
    const bool placed = place.is_array() && !place.empty() && place[0].is_number_unsigned();
    order.emplace_back(placed ? place[0].get<uint64_t>() : 0, order.size(), item.key());
  }
  std::sort(order.begin(), order.end());
  uint64_t end = 0;
  for (const auto &[begin, number, name] : order) {
    MOIRE_ASSIGN(StoredTensor tensor,
                 parseEntry(name, header[name], end, fmt::format("`{}`: tensor `{}`", path, name)));
    tensor.data = bytes.data() + sizeof(length) + length + end;
    if (__builtin_add_overflow(end, tensor.bytes, &end))
      return Status::error("`{}`: tensor `{}` is too large", path, name);
    out.byName[name] = out.entries.size();
    out.entries.push_back(std::move(tensor));
  }
  const uint64_t found = bytes.size() - sizeof(length) - length;
  if (found < end)
    return Status::error("`{}` is truncated: {} bytes of tensors promised, {} found", path, end, found);
  if (found > end)
    return Status::error("`{}` has {} bytes after its last tensor", path, found - end);
  return out;
}

const StoredTensor *Safetensors::find(const std::string &name) const {
  const auto found = byName.find(name);
  return found == byName.end() ? nullptr : &entries[found->second];
}

void Safetensors::read(const StoredTensor &tensor, void *out) const {
  const char *const data = static_cast<const char *>(tensor.data);
  const size_t begin = static_cast<size_t>(data - file.bytes().data());
  std::memcpy(out, data, tensor.bytes);
  file.release(begin, begin + tensor.bytes); // or a loaded model would be resident twice
}

} // namespace moire::runtime
