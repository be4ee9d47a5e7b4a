//===- Probes.cpp - activations as metrics ----------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Which blocks report what they compute, and how much of it.
//===----------------------------------------------------------------------===//
#include "passes/Transforms/Expand/BlockBuilder.h"

using namespace mlir;
using llvm::StringRef;

namespace moire {

/// Blocks whose output lies on a residual stream or is added to one. What they consist of is theirs.
static bool isProbed(Operation *op) {
  return isa<EmbedOp, AttentionOp, LatentAttentionOp, MambaOp, Mamba2Op, DenseOp, MlpOp, SwigluOp, ExpertsOp>(op);
}

void BlockBuilder::reportProbe(Operation *op, llvm::SmallVector<Metric> &metrics) {
  auto report = [&](StringRef suffix, StringRef kind) {
    Metric metric{(op->getAttrOfType<StringAttr>("path").getValue() + suffix).str(), {}, kind.str()};
    for (Attribute path : op->getAttrOfType<ArrayAttr>("paths"))
      metric.paths.push_back((cast<StringAttr>(path).getValue() + suffix).str());
    metrics.push_back(std::move(metric));
  };
  auto router = dyn_cast<RouterOp>(op);
  if (isProbed(op) || (router && router.getChoice() != Choice::Hash)) // which scores nothing
    report("", "probe");
  if (isa<NormOp>(op))
    report("", "importance");
  auto experts = dyn_cast<ExpertsOp>(op);
  if (experts || isa<MlpOp, SwigluOp>(op))
    report(".hidden", "importance");
  if (experts && experts.getSharedHidden() > 0)
    report(".shared.hidden", "importance");
}

void BlockBuilder::reportSizes(Value x, Value offsets) {
  if (!context.probe)
    return;
  x = cast(x, full());
  Value size = binary(Binary::Add, unary(Unary::Relu, x), unary(Unary::Relu, unary(Unary::Neg, x)));
  int64_t features = shapeOf(x).back();
  if (!offsets) {
    sizes.push_back(ReduceLeadingOp::create(b, loc, type({features}, full()), size).getY());
    return;
  }
  // Rows of one expert, summed: the gradient of a matrix of one row whose inputs are ones.
  int64_t experts = shapeOf(offsets)[0] - 1;
  Value ones = FillOp::create(b, loc, type({shapeOf(x)[0], 1}, full()), b.getF64FloatAttr(1));
  Value sums = GroupedLinearGradWeightOp::create(b, loc, type({experts, 1, features}, full()), ones, size, offsets,
                                                 /*x_rows=*/Value(), /*dy_rows=*/Value())
                   .getDw();
  sizes.push_back(reshape(sums, {experts, features}));
}

FailureOr<Value> BlockBuilder::build(ArrayRef<Value> operands) {
  FailureOr<Value> result = expand(operands);
  if (failed(result) || !context.probe)
    return result;
  if (Value seen = isProbed(op) ? *result : scores)
    metrics.push_back(sampleRows(b, loc, seen, full()));
  metrics.append(sizes);
  return result;
}

Value sampleRows(OpBuilder &b, Location loc, Value x, Type full) {
  constexpr int64_t most = 64;
  auto reshape = [&](Value value, ArrayRef<int64_t> shape) -> Value {
    return ReshapeOp::create(b, loc, RankedTensorType::get(shape, elementOf(value)), value).getY();
  };
  int64_t features = shapeOf(x).back(), rows = 1;
  for (int64_t extent : shapeOf(x).drop_back())
    rows *= extent;
  int64_t taken = std::min(rows, most);
  while (rows % taken != 0)
    --taken;
  int64_t stretch = rows / taken;
  // The last of a stretch: the first token of a sequence has seen nothing, and is like no other.
  auto one = RankedTensorType::get({taken, 1, features}, elementOf(x));
  Value last = SliceOp::create(b, loc, one, reshape(x, {taken, stretch, features}), b.getI64IntegerAttr(1),
                               b.getI64IntegerAttr(stretch - 1))
                   .getY();
  Value sample = reshape(last, {taken, features});
  if (elementOf(sample) == full)
    return sample;
  return CastOp::create(b, loc, RankedTensorType::get({taken, features}, full), sample).getY();
}

} // namespace moire
