//===- runtime/Transform/Transform.h - one model made of another ------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Applies rules to all parameters of a target and reports what became of what.
// Nothing is lost or invented without a line in the report.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_TRANSFORM_TRANSFORM_H
#define MOIRE_RUNTIME_TRANSFORM_TRANSFORM_H

#include "runtime/Transform/Rule.h"

namespace moire::runtime {

/// What became of a group of parameters: those whose paths differ in numbers only.
struct TransformRow {
  std::string kind, path, how;
  std::vector<std::string> sources; ///< general paths
  std::vector<int64_t> shape;
  int64_t count = 0; ///< of instances
};

/// What a transformation did.
struct TransformReport {
  std::vector<TransformRow> rows;
  std::vector<std::string> notes;

  Json json() const;
  /// One line a row, then the notes.
  std::string text() const;
};

/// The rules that `moire transform` knows for a target package with these blocks, in the order in which they are asked.
Result<Rules> makeRules(const Source &source, const moire_package &package, const Blocks &target,
                        const TransformOptions &options);

/// Gives every parameter of `model`, whose layers are `target`, its values and rebuilds the compute copies. All that no
/// rule knows is refused at once: parameters without a source, shapes that do not fit, tensors that would be lost.
Result<TransformReport> transform(Model &model, const Blocks &target, const Source &source, const Rules &rules);

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_TRANSFORM_TRANSFORM_H
