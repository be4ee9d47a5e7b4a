//===- dialect/IR/Positions.cpp - how results depend on positions --------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What causality and isolation are proved from. A stream is [batch, time, ..]: batch is dimension 0 and time dimension
// 1 of everything of rank 3 and more, and of integer arrays of rank 2 (tokens, targets). Merging the two into rows, as
// routing does, keeps them apart: a row belongs to one token, and sorting rows by expert moves rows but mixes none. So
// gather_rows, grouped_linear and combine count as Same: a row that leaves through `rows` comes back through
// `position`. Parameters have no positions; a product depends on its matrix in no way (None) when the matrix comes from
// parameters alone, in every way (All) when it is computed from anything else.
// Group is for ops that the language offers for mixing across examples, or for letting tokens compete: proofs report
// it, and refuse All. An op that looks along the sequence crosses documents, unless it is told where they begin: by the
// result of a document_positions of the function's own tokens, and of the separator that its argument is marked with.
//===----------------------------------------------------------------------===//
#include "dialect/IR/MoireOps.h"
#include "dialect/IR/TypeUtils.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

using namespace mlir;
using namespace moire;

namespace {
constexpr Dependence same = {Reach::Same, Reach::Same, Reach::Same};
constexpr Dependence past = {Reach::Past, Reach::Same, Reach::All};
constexpr Dependence allTime = {Reach::All, Reach::Same, Reach::All};
constexpr Dependence group = {Reach::Same, Reach::Group, Reach::Same};
constexpr Dependence all = {Reach::All, Reach::All, Reach::All};
constexpr Dependence competing = {Reach::Group, Reach::Group, Reach::Group};
constexpr Dependence none = {Reach::None, Reach::None, Reach::None};
} // namespace

/// Whether `value` is made of floating-point arguments of the function, by slices of them in loops and by ops on
/// nothing else: a parameter, a slice of stacked parameters, a cast of one. Integer arguments are tokens. Chains longer
/// than `depth` are not followed: saying no is always safe.
static bool isParameter(Value value, unsigned depth = 8) {
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    auto repeat = dyn_cast<RepeatOp>(argument.getOwner()->getParentOp());
    if (!repeat)
      return isa<FloatType>(elementOf(argument.getType()));
    return depth > 0 && argument.getArgNumber() >= repeat.getNumCarried() &&
           isParameter(repeat->getOperand(argument.getArgNumber()), depth - 1);
  }
  Operation *op = value.getDefiningOp();
  return depth > 0 && op->getNumRegions() == 0 &&
         llvm::all_of(op->getOperands(), [&](Value operand) { return isParameter(operand, depth - 1); });
}

/// Dependence on an operand that stands in the place of a parameter.
static Dependence onWeight(Value weight) { return isParameter(weight) ? none : all; }

/// `dependence` of an op that is told of `documents`, if not null.
static Dependence within(Value documents, Dependence dependence) {
  if (documents && documents.getDefiningOp<DocumentPositionsOp>())
    dependence.documents = Reach::Same;
  return dependence;
}

/// Number of leading extents of `type` that are batch and time.
static unsigned streamExtents(Type type) {
  size_t rank = shapeOf(type).size();
  if (isa<IntegerType>(elementOf(type)))
    return std::min<size_t>(rank, 2);
  return rank >= 3 ? 2 : 0;
}

//===----------------------------------------------------------------------===//
// Pointwise and rows
//===----------------------------------------------------------------------===//

Dependence UnaryOp::getDependence(unsigned, unsigned) { return same; }
Dependence UnaryGradOp::getDependence(unsigned, unsigned) { return same; }
Dependence ScaleOp::getDependence(unsigned, unsigned) { return same; }
Dependence ClampOp::getDependence(unsigned, unsigned) { return same; }
Dependence ClampGradOp::getDependence(unsigned, unsigned) { return same; }
Dependence CastOp::getDependence(unsigned, unsigned) { return same; }
Dependence FillOp::getDependence(unsigned, unsigned) { return none; }
Dependence RotaryTableOp::getDependence(unsigned, unsigned) { return none; }
Dependence TileOp::getDependence(unsigned, unsigned) { return same; }
Dependence FoldOp::getDependence(unsigned, unsigned) { return same; }
Dependence SoftmaxOp::getDependence(unsigned, unsigned) { return same; }
Dependence SoftmaxGradOp::getDependence(unsigned, unsigned) { return same; }
Dependence CrossEntropyOp::getDependence(unsigned, unsigned) { return same; }
Dependence CrossEntropyGradOp::getDependence(unsigned, unsigned) { return same; }
Dependence ScaleRowsOp::getDependence(unsigned, unsigned) { return same; }
Dependence DotRowsOp::getDependence(unsigned, unsigned) { return same; }
Dependence ZLossOp::getDependence(unsigned, unsigned) { return same; }
Dependence ZLossGradOp::getDependence(unsigned, unsigned) { return same; }
Dependence CountTargetsOp::getDependence(unsigned, unsigned) { return same; }

/// An operand that is broadcast over `outer` reaches all extents that it lacks.
static Dependence onBroadcast(Value inner, Value outer) {
  size_t lacking = shapeOf(outer.getType()).size() - shapeOf(inner.getType()).size();
  if (lacking == 0)
    return same;
  return onWeight(inner);
}

Dependence BinaryOp::getDependence(unsigned operand, unsigned) {
  return operand == 0 ? same : onBroadcast(getB(), getA());
}
Dependence BroadcastOp::getDependence(unsigned, unsigned) { return onBroadcast(getX(), getY()); }
Dependence ReduceLeadingOp::getDependence(unsigned, unsigned) {
  return getX().getType().getShape() == getY().getType().getShape() ? same : all;
}

Dependence RmsNormOp::getDependence(unsigned operand, unsigned) { return operand == 0 ? same : onWeight(getWeight()); }
Dependence RmsNormGradOp::getDependence(unsigned operand, unsigned result) {
  if (operand == 2)
    return result == 0 ? onWeight(getWeight()) : none;
  return result == 0 ? same : all;
}
Dependence LayerNormOp::getDependence(unsigned operand, unsigned) {
  return operand == 0 ? same : onWeight((*this)->getOperand(operand));
}
Dependence LayerNormGradOp::getDependence(unsigned operand, unsigned result) {
  if (operand == 2)
    return result == 0 ? onWeight(getWeight()) : none;
  return result == 0 ? same : all;
}

Dependence LookupOp::getDependence(unsigned operand, unsigned) { return operand == 0 ? same : onWeight(getTable()); }
Dependence LookupGradOp::getDependence(unsigned, unsigned) { return all; }
Dependence RopeOp::getDependence(unsigned operand, unsigned) {
  return operand == 0 ? same : onWeight((*this)->getOperand(operand));
}

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

/// Whether the elements of a row-major tensor can be cut after `count` elements of leading index: whether `count` is a
/// product of leading extents.
static bool isLeadingProduct(ArrayRef<int64_t> shape, int64_t count) {
  int64_t product = 1;
  for (int64_t extent : shape) {
    if (product == count)
      return true;
    product *= extent;
  }
  return product == count;
}

/// Row-major order is kept, so tokens stay apart when both sides can be cut between them, and examples likewise.
Dependence ReshapeOp::getDependence(unsigned, unsigned) {
  ArrayRef<int64_t> from = shapeOf(getX().getType()), to = shapeOf(getY().getType());
  unsigned fromStream = streamExtents(getX().getType()), toStream = streamExtents(getY().getType());
  Dependence dependence = same;
  if (fromStream == 2 && !isLeadingProduct(to, from[0] * from[1]))
    dependence.time = dependence.documents = Reach::All;
  if (toStream == 2 && !isLeadingProduct(from, to[0] * to[1]))
    dependence.time = dependence.documents = Reach::All;
  if (fromStream >= 1 && toStream >= 1 && dependence.time == Reach::All && from[0] != to[0])
    dependence.batch = Reach::All;
  // Same tokens under another division into examples: an index (batch, time) names another token.
  if (fromStream == 2 && toStream == 2 && (from[0] != to[0] || from[1] != to[1]))
    dependence = all;
  return dependence;
}

/// Whether dimension `dim` counts rows: batch and time in one, so that moving along it crosses both.
static bool countsRows(Type type, int64_t dim) { return dim == 0 && streamExtents(type) == 0; }

Dependence SliceOp::getDependence(unsigned, unsigned) {
  int64_t dim = getDim();
  Type type = getX().getType();
  if (countsRows(type, dim) && getOffset() != 0)
    return all;
  if (dim >= streamExtents(type) || getOffset() == 0)
    return same;
  return dim == 0 ? Dependence{Reach::Same, Reach::All} : allTime; // position t reads position t + offset
}

Dependence ConcatOp::getDependence(unsigned operand, unsigned) {
  int64_t dim = getDim();
  Type type = getY().getType();
  if (countsRows(type, dim) && operand != 0)
    return all;
  if (dim >= streamExtents(type) || operand == 0)
    return same;
  return dim == 0 ? Dependence{Reach::Same, Reach::All} : past; // position t reads position t - what stands before
}

Dependence DynamicSliceOp::getDependence(unsigned operand, unsigned) { return operand == 0 ? onWeight(getX()) : all; }

//===----------------------------------------------------------------------===//
// Products, attention, convolution, scans
//===----------------------------------------------------------------------===//

Dependence LinearOp::getDependence(unsigned operand, unsigned) {
  return operand == 0 ? same : onWeight((*this)->getOperand(operand));
}
Dependence LinearGradWeightOp::getDependence(unsigned, unsigned) { return all; }
Dependence GroupedLinearOp::getDependence(unsigned operand, unsigned) { // offsets, rows, position: which row is whose
  return operand == 1 ? onWeight(getW()) : same;
}
Dependence GroupedLinearGradWeightOp::getDependence(unsigned, unsigned) { return all; }

Dependence SoftmaxAttentionOp::getDependence(unsigned operand, unsigned) {
  if (operand == 3 && getSinks())
    return onWeight(getSinks());
  // With both directions the ages of later tokens tell where a document ends.
  bool isOwn = operand == 0 || (operand > 2 && !getBidirectional());
  return isOwn ? same : within(getDocuments(), getBidirectional() ? allTime : past);
}
Dependence SoftmaxAttentionGradOp::getDependence(unsigned operand, unsigned result) {
  if (operand == 6 && getSinks())
    return onWeight(getSinks());
  return result == 3 ? all : within(getDocuments(), allTime); // 3: dsinks
}
Dependence CachedAttentionOp::getDependence(unsigned operand, unsigned result) {
  if (operand == 6 && getSinks())
    return result == 0 ? onWeight(getSinks()) : none;
  if (result != 0) // the caches go on
    return operand == 0 || operand > 5 ? none : past;
  return operand == 0 || operand > 5 ? same : within(getDocuments(), past);
}

/// With `valid` padding the operand begins taps - 1 positions before the result, so the last position that is read is
/// the result's own.
Dependence ConvOp::getDependence(unsigned operand, unsigned) {
  if (operand == 3) // documents
    return same;
  return operand == 0 ? within(getDocuments(), past) : onWeight((*this)->getOperand(operand));
}
Dependence ConvGradInputOp::getDependence(unsigned operand, unsigned) {
  return operand == 1 ? onWeight(getW()) : within(getDocuments(), allTime);
}
Dependence ConvGradWeightOp::getDependence(unsigned, unsigned) { return all; }

/// Operands a (2) and d (5) are parameters; u (0), dt (1), b (3), c (4), a state and documents are streams.
template <typename Scan> static Dependence scanDependence(Scan op, unsigned operand) {
  return operand == 2 || operand == 5 ? onWeight(op->getOperand(operand)) : within(op.getDocuments(), past);
}

template <typename Grad> static Dependence scanGradDependence(Grad op, unsigned operand, unsigned result) {
  if (result == 2 || result == 5) // da, dd
    return all;
  return operand == 3 || operand == 6 ? onWeight(op->getOperand(operand)) : within(op.getDocuments(), allTime);
}

Dependence SelectiveScanOp::getDependence(unsigned operand, unsigned) { return scanDependence(*this, operand); }
Dependence SelectiveScanGradOp::getDependence(unsigned operand, unsigned result) {
  return scanGradDependence(*this, operand, result);
}
Dependence StatefulScanOp::getDependence(unsigned operand, unsigned) { return scanDependence(*this, operand); }

// Mamba-2's operands stand in the same order.
Dependence SsdScanOp::getDependence(unsigned operand, unsigned) { return scanDependence(*this, operand); }
Dependence SsdScanGradOp::getDependence(unsigned operand, unsigned result) {
  return scanGradDependence(*this, operand, result);
}
Dependence StatefulSsdScanOp::getDependence(unsigned operand, unsigned) { return scanDependence(*this, operand); }

//===----------------------------------------------------------------------===//
// Documents
//===----------------------------------------------------------------------===//

/// Whether `tokens` are an argument of a function that says of it: documents begin at `separator`.
static bool areMarked(Value tokens, int64_t separator) {
  auto argument = dyn_cast<BlockArgument>(tokens);
  auto function = argument ? dyn_cast<FunctionOpInterface>(argument.getOwner()->getParentOp()) : nullptr;
  if (!function)
    return false;
  auto marked = function.getArgAttrOfType<IntegerAttr>(argument.getArgNumber(), "moire.separator");
  return marked && marked.getInt() == separator;
}

/// Where a token stands in its document, the tokens of this document say.
Dependence DocumentPositionsOp::getDependence(unsigned operand, unsigned) {
  Dependence dependence = past;
  if (operand == 0 && areMarked(getTokens(), getSeparator()))
    dependence.documents = Reach::Same;
  return dependence;
}
Dependence ReachesBackOp::getDependence(unsigned, unsigned) { return same; }

//===----------------------------------------------------------------------===//
// Routing
//===----------------------------------------------------------------------===//

Dependence RouteOp::getDependence(unsigned operand, unsigned) {
  return (*this)->getOperand(operand) == getBias() ? onWeight(getBias()) : same;
}
Dependence RouteGradOp::getDependence(unsigned, unsigned) { return same; }
Dependence AssignOp::getDependence(unsigned operand, unsigned) {
  return (*this)->getOperand(operand) == getPosition() ? all : same;
}
/// Where a row stands depends on every token; whose row it is does not, and that is all that its reader sees. The
/// counts, read as numbers, depend on all: see expert_load. A capacity makes tokens of the batch compete, later ones
/// too: that is what it is there for.
Dependence DispatchOp::getDependence(unsigned, unsigned) { return getCapacity() ? competing : same; }
Dependence GatherRowsOp::getDependence(unsigned, unsigned) { return same; }
Dependence GatherRowsGradOp::getDependence(unsigned, unsigned) { return same; }
Dependence CombineOp::getDependence(unsigned, unsigned) { return same; }
Dependence GroupedCombineOp::getDependence(unsigned operand, unsigned) {
  return operand == 1 ? onWeight(getW()) : same;
}
Dependence CombineGradOp::getDependence(unsigned, unsigned) { return same; }
Dependence ExpertLoadOp::getDependence(unsigned, unsigned) { return all; }
Dependence ChoiceLoadOp::getDependence(unsigned, unsigned) {
  return shapeOf(getY().getType()).size() == 2 ? allTime : all;
}
Dependence SequenceBalanceLossOp::getDependence(unsigned, unsigned) { return all; }
Dependence SequenceBalanceLossGradOp::getDependence(unsigned, unsigned) { return all; }
Dependence BalanceLossOp::getDependence(unsigned, unsigned) { return all; }
Dependence BalanceLossGradOp::getDependence(unsigned, unsigned) { return all; }
Dependence FusedRouteOp::getDependence(unsigned operand, unsigned result) {
  if (result == 7) // the load
    return all;
  if (getCapacity() && result >= 3)
    return competing;
  return (*this)->getOperand(operand) == getBias() ? onWeight(getBias()) : same;
}

//===----------------------------------------------------------------------===//
// Groups of sequences
//===----------------------------------------------------------------------===//

// A mixed row belongs to one position and to all sequences of its group, and so does a choice among them.
Dependence GroupSoftmaxOp::getDependence(unsigned, unsigned) { return group; }
Dependence GroupSoftmaxGradOp::getDependence(unsigned, unsigned) { return group; }
Dependence MixOp::getDependence(unsigned, unsigned) { return group; }
Dependence UnmixOp::getDependence(unsigned operand, unsigned) { return operand == 0 ? same : group; }
Dependence MixGradWeightsOp::getDependence(unsigned operand, unsigned) { return operand == 0 ? same : group; }
Dependence ChooseTokensOp::getDependence(unsigned, unsigned) { return group; }
Dependence EvenOffsetsOp::getDependence(unsigned, unsigned) { return none; }
