//===- runtime/Core/Model.h - a package with its memory --------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Packages own no memory; a `Model` is a package and the buffers that one use of
// it needs. Nothing is allocated after it has been made.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_CORE_MODEL_H
#define MOIRE_RUNTIME_CORE_MODEL_H

#include "runtime/Core/Buffer.h"
#include "runtime/Core/Package.h"

#include <functional>
#include <string>

namespace moire::runtime {

/// What a model is loaded for; decides which buffers exist.
enum class Use {
  Train,    ///< params, grads, both moments, compute, arena
  Evaluate, ///< params, compute, arena
  Generate  ///< params, compute, arena, state
};

/// A package and its buffers, all zero at first.
class Model {
public:
  static Result<Model> make(Package package, Use use);

  const Package &package() const { return held; }
  const moire_buffers &buffers() const { return view; }
  moire_buffers &buffers() { return view; }
  /// Bytes of all buffers.
  size_t bytes() const;
  /// Forgets all that decoding has read.
  void clearState();
  /// Calls entry point `name` and turns a negative result into a message.
  Status check(int32_t code, const char *name) const;

private:
  explicit Model(Package package) : held(std::move(package)) {}
  Package held;
  Buffer params, grads, moment1, moment2, compute, arena, state;
  moire_buffers view{};
};

/// One stored tensor of a model: an instance of a parameter.
struct Instance {
  const moire_parameter &parameter;
  int64_t number;   ///< which instance
  const char *path; ///< its full path
  int64_t offset;   ///< first element
  int64_t elements; ///< how many
};

/// Calls `visit` for every instance in the order of the table; stops at the first failure.
Status forEachInstance(const moire_package &package, const std::function<Status(const Instance &)> &visit);

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_CORE_MODEL_H
