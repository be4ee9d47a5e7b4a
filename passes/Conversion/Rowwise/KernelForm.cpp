//===- passes/Conversion/Rowwise/KernelForm.cpp - buffers as a kernel sees them //
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Fewer dimensions mean less index arithmetic per row, and more kernels that turn out to be the same.
//===----------------------------------------------------------------------===//
#include "passes/Conversion/Rowwise/KernelForm.h"
#include "dialect/IR/TypeUtils.h"
#include "passes/Conversion/Rowwise/RowBody.h"

using namespace mlir;
using namespace moire;
using namespace moire::rows;

int64_t KernelForm::rows() const {
  int64_t product = 1;
  for (int64_t extent : domain)
    product *= extent;
  return product;
}

int64_t KernelForm::bytesPerRow() const {
  int64_t bytes = 0;
  auto count = [&](const Access &access) {
    // A buffer that every row reads whole stays in the cache.
    if (access.map.getNumResults() == 0 && !domain.empty())
      return;
    int64_t elements = 1;
    for (int64_t extent : access.type().getShape().drop_front(access.map.getNumResults()))
      elements *= extent;
    bytes += elements * access.type().getElementTypeBitWidth() / 8;
  };
  llvm::for_each(inputs, count);
  llvm::for_each(outputs, count);
  return std::max<int64_t>(bytes, 1);
}

MemRefType moire::rows::argumentType(MemRefType type) {
  auto [strides, offset] = type.getStridesAndOffset();
  MemRefType plain = MemRefType::get(type.getShape(), type.getElementType());
  if (plain.getStridesAndOffset().first == strides)
    return plain;
  return MemRefType::get(type.getShape(), type.getElementType(),
                         StridedLayoutAttr::get(type.getContext(), /*offset=*/0, strides));
}

/// `map` as the position among its results of domain dimension `dim`, if that is a plain result; -1 if it does not
/// occur; -2 if it occurs otherwise.
static int64_t positionOf(AffineMap map, unsigned dim) {
  int64_t position = -1;
  for (auto [index, result] : llvm::enumerate(map.getResults())) {
    if (!result.isFunctionOfDim(dim))
      continue;
    if (!isa<AffineDimExpr>(result) || position != -1)
      return -2;
    position = index;
  }
  return position;
}

namespace {

/// Joins dimensions of the accesses of one form.
class Simplifier {
public:
  Simplifier(OpBuilder &builder, Location loc, KernelForm &form) : builder(builder), loc(loc), form(form) {}

  void collapseDomain();
  void joinShortRows(bool elementwise);

private:
  bool canCollapse(const Access &access, unsigned dim) const;
  void collapse(Access &access, unsigned dim);
  Value collapsed(Value buffer, int64_t position);
  Value reshaped(Value buffer, int64_t length);

  OpBuilder &builder;
  Location loc;
  KernelForm &form;
  /// Views that exist already: one buffer that is read through several maps stays one buffer.
  DenseMap<std::pair<Value, int64_t>, Value> views;
};

} // namespace

/// A reassociation that joins dimensions `position` and `position + 1`.
static SmallVector<ReassociationIndices> joinAt(int64_t rank, int64_t position) {
  SmallVector<ReassociationIndices> groups;
  for (int64_t dim = 0; dim < rank; ++dim) {
    groups.push_back({dim});
    if (dim == position)
      groups.back().push_back(++dim);
  }
  return groups;
}

bool Simplifier::canCollapse(const Access &access, unsigned dim) const {
  int64_t first = positionOf(access.map, dim), second = positionOf(access.map, dim + 1);
  if (first == -1 && second == -1)
    return true;
  if (first < 0 || second != first + 1)
    return false;
  ArrayRef<int64_t> shape = access.type().getShape();
  return shape[first] == form.domain[dim] && shape[second] == form.domain[dim + 1] &&
         memref::CollapseShapeOp::isGuaranteedCollapsible(access.type(), joinAt(shape.size(), first));
}

Value Simplifier::collapsed(Value buffer, int64_t position) {
  Value &view = views[{buffer, position}];
  if (!view)
    view = memref::CollapseShapeOp::create(builder, loc, buffer,
                                           joinAt(cast<MemRefType>(buffer.getType()).getRank(), position));
  return view;
}

void Simplifier::collapse(Access &access, unsigned dim) {
  int64_t position = positionOf(access.map, dim);
  SmallVector<AffineExpr> results;
  for (auto [index, result] : llvm::enumerate(access.map.getResults()))
    if (position < 0 || int64_t(index) != position + 1)
      results.push_back(result);
  // Dimensions behind the joined pair move down by one.
  SmallVector<AffineExpr> renamed;
  for (unsigned i = 0; i < form.domain.size(); ++i)
    renamed.push_back(builder.getAffineDimExpr(i <= dim ? i : i - 1));
  for (AffineExpr &result : results)
    result = result.replaceDims(renamed);
  access.map = AffineMap::get(form.domain.size() - 1, 0, results, builder.getContext());
  if (position >= 0)
    access.buffer = collapsed(access.buffer, position);
}

void Simplifier::collapseDomain() {
  for (unsigned dim = 0; dim + 1 < form.domain.size();) {
    auto fits = [&](const Access &access) { return canCollapse(access, dim); };
    if (!llvm::all_of(form.inputs, fits) || !llvm::all_of(form.outputs, fits)) {
      ++dim;
      continue;
    }
    for (Access &access : form.inputs)
      collapse(access, dim);
    for (Access &access : form.outputs)
      collapse(access, dim);
    form.domain[dim] *= form.domain[dim + 1];
    form.domain.erase(form.domain.begin() + dim + 1);
  }
}

/// A contiguous buffer as rows of `length`.
Value Simplifier::reshaped(Value buffer, int64_t length) {
  Value &view = views[{buffer, -length}];
  if (view)
    return view;
  auto type = cast<MemRefType>(buffer.getType());
  view = buffer;
  if (type.getRank() > 1)
    view = memref::CollapseShapeOp::create(builder, loc, view,
                                           ReassociationIndices{llvm::to_vector(llvm::seq<int64_t>(type.getRank()))});
  int64_t total = type.getNumElements();
  if (total != length)
    view = memref::ExpandShapeOp::create(builder, loc, ArrayRef<int64_t>{total / length, length}, view,
                                         ReassociationIndices{0, 1});
  return view;
}

/// The best length of rows when `total` elements in a row may be cut anywhere: a divisor between 256 and 4096, whole
/// cache lines if possible; 0 if there is none.
static int64_t goodRowLength(int64_t total) {
  if (total <= 4096)
    return total;
  for (int64_t step : {64, 1})
    for (int64_t length = 4096; length >= 256; length -= step)
      if (total % length == 0)
        return length;
  return 0;
}

void Simplifier::joinShortRows(bool elementwise) {
  constexpr int64_t shortRow = 256;
  if (!elementwise || form.domain.size() != 1 || llvm::is_contained(form.summed, true))
    return;
  int64_t columns = form.outputs.front().rowRank() ? form.outputs.front().type().getShape().back() : 0;
  int64_t length = goodRowLength(form.domain.front() * columns);
  auto joins = [&](const Access &access) {
    if (access.type().getRank() == 0)
      return true;
    return access.rowRank() == 1 && access.map.isIdentity() &&
           access.type().getShape().front() == form.domain.front() && access.type().getShape().back() == columns &&
           access.type().getLayout().isIdentity();
  };
  if (!columns || columns >= shortRow || !length || !llvm::all_of(form.inputs, joins) ||
      !llvm::all_of(form.outputs, joins))
    return;
  bool oneRow = form.domain.front() * columns == length;
  auto join = [&](Access &access) {
    unsigned dims = oneRow ? 0 : 1;
    bool whole = access.type().getRank() == 0;
    access.map = whole ? AffineMap::get(dims, 0, builder.getContext())
                       : AffineMap::getMultiDimIdentityMap(dims, builder.getContext());
    if (!whole)
      access.buffer = reshaped(access.buffer, length);
  };
  int64_t total = form.domain.front() * columns;
  llvm::for_each(form.inputs, join);
  llvm::for_each(form.outputs, join);
  form.domain.clear();
  if (!oneRow)
    form.domain.push_back(total / length);
  form.rowLength = length;
}

FailureOr<KernelForm> moire::rows::makeKernelForm(OpBuilder &builder, RowwiseOp op, bool mayJoin) {
  KernelForm form;
  llvm::append_range(form.domain, op.getDomain());
  llvm::append_range(form.summed, op.getSummed());
  for (auto [input, map] : llvm::zip_equal(op.getInputs(), op.getMaps().getAsValueRange<AffineMapAttr>()))
    form.inputs.push_back({input, map});
  auto everyRow = builder.getMultiDimIdentityMap(form.domain.size());
  auto once = AffineMap::get(form.domain.size(), 0, builder.getContext());
  for (auto [output, summed] : llvm::zip_equal(op.getOuts(), form.summed))
    form.outputs.push_back({output, summed ? once : everyRow});
  for (const auto &accesses : {form.inputs, form.outputs})
    for (const Access &access : accesses) {
      auto strides = access.type().getStridesAndOffset().first;
      if (!strides.empty() && strides.back() != 1 && access.type().getShape().back() != 1)
        return op.emitOpError("needs buffers whose last dimension is contiguous, not ") << access.type();
    }
  Simplifier simplifier(builder, op.getLoc(), form);
  simplifier.collapseDomain();
  simplifier.joinShortRows(mayJoin && isElementwise(op));
  return form;
}
