//===- runtime/Transform/Merge.cpp - weights composed once and for all ---------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The end of projected compression (arXiv 2506.22255): what training composes in
// each step, in source out + aux, becomes an ordinary weight. Summed in double.
//
//===------------------------------------------------------------------------===//
#include "runtime/Transform/Rule.h"
#include "runtime/Transform/Sides.h"

namespace moire::runtime {
namespace {

/// Rows of numbers.
struct Matrix {
  const double *values = nullptr; ///< null: the identity
  int64_t rows = 0, columns = 0;

  const double *row(int64_t number) const { return values + number * columns; }
};

/// Matrix `number` of a tensor of them.
Matrix matrixOf(const Tensor &tensor, int64_t number) {
  if (tensor.values.empty())
    return {};
  const size_t rank = tensor.shape.size();
  const int64_t rows = tensor.shape[rank - 2], columns = tensor.shape[rank - 1];
  return {tensor.values.data() + number * rows * columns, rows, columns};
}

/// sum[c] += factor * row[c].
void addRow(double *sum, double factor, const double *row, int64_t columns) {
  for (int64_t c = 0; c < columns; ++c)
    sum[c] += factor * row[c];
}

/// Adds in source out to the matrix `to` of so many rows, for each of the pieces that its columns are of.
void addProduct(double *to, int64_t rows, const Matrix &source, const Matrix &in, const Matrix &out,
                const std::vector<int64_t> &pieces) {
  int64_t columns = 0, first = 0, sourceFirst = 0, piece = 0;
  for (const int64_t width : pieces)
    columns += width;
  for (const int64_t width : pieces) {
    const int64_t sourceWidth = out.values ? source.columns / static_cast<int64_t>(pieces.size()) : width;
    for (int64_t r = 0; r < rows; ++r) {
      std::vector<double> projected(static_cast<size_t>(sourceWidth));
      if (!in.values)
        addRow(projected.data(), 1, source.row(r) + sourceFirst, sourceWidth);
      for (int64_t k = 0; in.values && k < source.rows; ++k)
        addRow(projected.data(), in.row(piece * rows + r)[k], source.row(k) + sourceFirst, sourceWidth);
      double *const sum = to + r * columns + first;
      if (!out.values)
        addRow(sum, 1, projected.data(), width);
      for (int64_t k = 0; out.values && k < sourceWidth; ++k)
        addRow(sum, projected[static_cast<size_t>(k)], out.row(sourceFirst + k), width);
    }
    first += width, sourceFirst += sourceWidth, ++piece;
  }
}

class MergeRule final : public Rule {
public:
  Result<std::optional<Taken>> take(const Wanted &wanted, const Source &source) const override {
    const std::string &path = wanted.path;
    if (!wanted.layer || !source.has(path + ".source"))
      return std::optional<Taken>();
    if (source.shape(path + ".aux") != wanted.shape)
      return Status::error("`{}` is {}, the source composes {}: sizes of that shape would fit", generalPath(path),
                           shapeText(wanted.shape), shapeText(source.shape(path + ".aux")));
    Taken taken{{}, "merged", "", {}};
    Tensor parts[4]; // aux, source, in, out
    size_t number = 0;
    for (const char *part : {".aux", ".source", ".in", ".out"}) {
      if (source.has(path + part)) {
        MOIRE_ASSIGN(parts[number], source.read(path + part));
        taken.sources.push_back(path + part);
      }
      ++number;
    }
    const size_t rank = wanted.shape.size();
    const int64_t rows = wanted.shape[rank - 2], columns = wanted.shape[rank - 1];
    const std::string suffix = path.substr(wanted.layer->path.size() + 1);
    taken.values = std::move(parts[0].values);
    for (int64_t matrix = 0; matrix < static_cast<int64_t>(taken.values.size()) / (rows * columns); ++matrix)
      addProduct(taken.values.data() + matrix * rows * columns, rows, matrixOf(parts[1], matrix),
                 matrixOf(parts[2], matrix), matrixOf(parts[3], matrix), piecesOf(*wanted.layer, suffix, columns));
    return std::optional(std::move(taken));
  }
};

} // namespace

std::unique_ptr<Rule> makeMergeRule() { return std::make_unique<MergeRule>(); }

} // namespace moire::runtime
