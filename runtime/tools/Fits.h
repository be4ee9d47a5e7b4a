//===- runtime/tools/Fits.h - whether a model fits a memory -------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Yes, and how far the batch could grow; or no, and what would.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_TOOLS_FITS_H
#define MOIRE_RUNTIME_TOOLS_FITS_H

#include "runtime/Core/Json.h"
#include "runtime/tools/Compile.h"

namespace moire::runtime {

/// What a memory of some bytes says to a spec. Every number is the compiler's, of the spec with one setting changed.
struct Verdict {
  bool fits = false;
  double limit = 0, peak = 0; ///< bytes
  /// Changes that fit, most alike first: as they are given to -D or --precision, with the peak that they lead to.
  std::vector<std::pair<std::string, double>> changes;
  int64_t largestBatch = 0; ///< that fits, a power of two; 0: none

  Json json() const;
  void print() const;
};

/// Asks the compiler about `spec`, whose bill is `cost`, and where it does not fit, about smaller batches, contexts,
/// products in bf16, and both of the first.
Result<Verdict> judge(const std::string &spec, const CompileOptions &options, const Json &cost, double limit);

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_TOOLS_FITS_H
