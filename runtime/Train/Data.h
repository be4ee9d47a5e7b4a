//===- runtime/Train/Data.h - all the tokens of a run ------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The files, folders and globs of `--data` as one row of tokens, split by
// position into a part to train on and a part held out. A step's batch is a pure
// function of the seed, the step and the micro step.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_TRAIN_DATA_H
#define MOIRE_RUNTIME_TRAIN_DATA_H

#include "runtime/Core/Json.h"
#include "runtime/Train/TokenFile.h"

#include <cstdint>
#include <string>
#include <vector>

namespace moire::runtime {

/// Tokens [begin, end) of a TokenStream.
struct Range {
  int64_t begin = 0, end = 0;
  int64_t size() const { return end - begin; }
};

/// The files that `paths` stand for: a file itself; a folder all files below it, in order of their paths, without
/// hidden and empty ones; a glob what it matches, in order. A path that gives nothing is an error.
Result<std::vector<std::string>> expandDataPaths(const std::vector<std::string> &paths);

/// The tokens of all files, one file after the other.
class TokenStream {
public:
  /// Opens all that `paths` stand for and checks every token against `vocab`.
  static Result<TokenStream> open(const std::vector<std::string> &paths, const Tokenizer &tokenizer, int64_t vocab);

  int64_t size() const { return total; }
  /// Whether tokens stand for text (bytes or pieces), so that bits per byte exist.
  bool isText() const { return files.front().isText(); }
  /// Copies tokens [begin, begin + n) to `out`; they may come from several files.
  void read(int64_t begin, int64_t n, int32_t *out) const;
  /// Bytes of text that a range stands for; only when isText().
  int64_t textBytes(Range range) const;
  /// What tells this data from other data, wherever it lies: files, bytes, tokens, and a digest of each file's size
  /// and first 64 KiB.
  Json identity() const;

private:
  size_t fileAt(int64_t position) const;

  std::vector<TokenFile> files;
  std::vector<int64_t> starts; ///< first token of each file
  int64_t total = 0;
};

/// The parts of `size` tokens: the first floor(size (1 - holdout)) to train on, the rest held out.
struct Split {
  Range train, heldOut;
};
Split splitByPosition(int64_t size, double holdout);

/// int32[batch][context] tokens and their targets; a target of -1 does not count.
struct Batch {
  Batch(int64_t batch, int64_t context)
      : rows(batch), context(context), tokens(static_cast<size_t>(batch * context)), targets(tokens.size()) {}
  int64_t rows, context;
  std::vector<int32_t> tokens, targets;
};

/// Fills a training batch: row r is the window of context + 1 tokens that starts at
/// train.begin + boundedBy(train.size() - context, philox(seed, "data") at counter (r, micro, low and high word of
/// step)).
void sampleBatch(const TokenStream &data, Range train, int64_t seed, int64_t step, int64_t micro, Batch &batch);

/// Batches that cover a range: its windows lie side by side, and each token but the first is a target once.
int64_t batchesIn(Range range, const Batch &batch);
/// Fills the number-th of them; what the last one lacks is padded with targets of -1.
void fillBatch(const TokenStream &data, Range range, int64_t number, Batch &batch);

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_TRAIN_DATA_H
