//===- runtime/Core/Package.h - loading a compiled model -------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Opens a package and checks all that can be checked before its code runs: the
// version of the contract, the processor, the tables. Whoever holds a `Package`
// may trust what abi.h promises.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_CORE_PACKAGE_H
#define MOIRE_RUNTIME_CORE_PACKAGE_H

#include "runtime/Core/Status.h"
#include "runtime/abi.h"

#include <memory>
#include <string>

namespace moire::runtime {

/// A loaded package; its table and code live as long as the last copy of this handle.
class Package {
public:
  /// Loads the shared object at `path`.
  static Result<Package> load(const std::string &path);

  const moire_package &operator*() const { return *table; }
  const moire_package *operator->() const { return table; }
  /// Where it was loaded from.
  const std::string &path() const { return file; }
  /// Bytes of one parameter, gradient or moment: 4, or 8 in an f64 package.
  size_t elementBytes() const { return table->precision == MOIRE_DTYPE_F64 ? 8 : 4; }
  /// Precision of products: "f32", "bf16" or "f64".
  const char *precisionName() const;

private:
  Package() = default;
  std::shared_ptr<void> handle;
  const moire_package *table = nullptr;
  std::string file;
};

/// Elements of one instance of a parameter.
int64_t instanceElements(const moire_parameter &parameter);

/// Whether no update changes the parameter; it has no gradient and no moments.
bool isFrozen(const moire_parameter &parameter);

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_CORE_PACKAGE_H
