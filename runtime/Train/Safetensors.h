//===- runtime/Train/Safetensors.h - tensors in a file ---------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The safetensors format: a u64 length, that many bytes of JSON (name to dtype,
// shape and place), then the raw data without holes. Read with every check that
// a damaged or hostile file calls for.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_TRAIN_SAFETENSORS_H
#define MOIRE_RUNTIME_TRAIN_SAFETENSORS_H

#include "runtime/Core/File.h"
#include "runtime/Core/Json.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace moire::runtime {

/// A tensor of a file, or one to be written.
struct StoredTensor {
  std::string name;
  std::string dtype; ///< "F32", "F64", "BF16", …
  std::vector<int64_t> shape;
  const void *data = nullptr; ///< when writing
  uint64_t bytes = 0;
};

/// Text that travels with the tensors.
using Metadata = std::map<std::string, std::string>;

/// Writes `tensors` in the given order and waits until the file is on the disk; returns its size.
Result<uint64_t> writeSafetensors(const std::string &path, const std::vector<StoredTensor> &tensors,
                                  const Metadata &metadata);

/// An opened file.
class Safetensors {
public:
  /// Opens `path` and checks the header against the file: places in order, without holes, up to the file's end.
  static Result<Safetensors> open(const std::string &path);

  const std::vector<StoredTensor> &tensors() const { return entries; }
  const Metadata &metadata() const { return meta; }
  /// The tensor called `name`, or null.
  const StoredTensor *find(const std::string &name) const;
  /// Copies the data of one of tensors() to `out`, `bytes` of them.
  void read(const StoredTensor &tensor, void *out) const;

private:
  MappedFile file;
  Metadata meta;
  std::vector<StoredTensor> entries;
  std::map<std::string, size_t> byName;
};

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_TRAIN_SAFETENSORS_H
