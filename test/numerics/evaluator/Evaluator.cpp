//===- test/numerics/evaluator/Evaluator.cpp - walking functions --------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Blocks, loops and row kernels; ops themselves are left to their families.
//===----------------------------------------------------------------------===//
#include "test/numerics/evaluator/Evaluator.h"

#include "mlir/IR/AffineExpr.h"

using namespace mlir;

namespace moire::evaluator {
namespace {

LogicalResult evaluateBlock(Block &block, Frame &frame);

LogicalResult evaluateRepeat(RepeatOp repeat, Frame &frame) {
  unsigned numCarried = repeat.getNumCarried();
  int64_t count = repeat.getCount();
  std::vector<Tensor> carried;
  for (Value value : repeat.getCarried())
    carried.push_back(frame.get(value));
  std::vector<Tensor> stacked;
  for (Value result : repeat.getStackedResults())
    stacked.emplace_back(cast<RankedTensorType>(result.getType()));
  for (int64_t step = 0; step < count; ++step) {
    int64_t index = repeat.getReverse() ? count - 1 - step : step;
    for (auto [argument, tensor] : llvm::zip_equal(repeat.getCarriedArgs(), carried))
      frame.set(argument, tensor);
    for (auto [argument, stack] : llvm::zip_equal(repeat.getSliceArgs(), repeat.getSlices()))
      frame.set(argument, frame.get(stack).slice(index));
    if (failed(evaluateBlock(repeat.getBody().front(), frame)))
      return failure();
    OperandRange yielded = repeat.getYield().getOperands();
    for (auto [tensor, value] : llvm::zip_first(carried, yielded))
      tensor = frame.get(value);
    for (auto [tensor, value] : llvm::zip_equal(stacked, yielded.drop_front(numCarried)))
      tensor.setSlice(index, frame.get(value));
  }
  for (auto [result, tensor] : llvm::zip_equal(repeat.getCarriedResults(), carried))
    frame.set(result, tensor);
  for (auto [result, tensor] : llvm::zip_equal(repeat.getStackedResults(), stacked))
    frame.set(result, tensor);
  return success();
}

/// The row of `input` that `map` names for the domain index `index`; zeros outside the input.
Tensor readRow(const Tensor &input, AffineMap map, ArrayRef<int64_t> index, RankedTensorType rowType) {
  Tensor row(rowType);
  SmallVector<AffineExpr> position;
  MLIRContext *context = rowType.getContext();
  for (int64_t i : index)
    position.push_back(getAffineConstantExpr(i, context));
  int64_t number = 0;
  for (auto [expression, extent] : llvm::zip_first(map.getResults(), input.type.getShape())) {
    int64_t i = cast<AffineConstantExpr>(expression.replaceDims(position)).getValue();
    if (i < 0 || i >= extent)
      return row;
    number = number * extent + i;
  }
  int64_t size = row.size();
  if (row.isFloat())
    std::copy_n(input.floats.begin() + number * size, size, row.floats.begin());
  else
    std::copy_n(input.ints.begin() + number * size, size, row.ints.begin());
  return row;
}

LogicalResult evaluateRowwise(RowwiseOp op, Frame &frame) {
  if (!op.getOuts().empty())
    return op.emitError("the evaluator takes row kernels over tensors only");
  Block &body = op.getBody().front();
  ArrayRef<int64_t> domain = op.getDomain();
  int64_t count = 1;
  for (int64_t extent : domain)
    count *= extent;
  std::vector<Tensor> results;
  for (Value result : op.getOutputs())
    results.emplace_back(cast<RankedTensorType>(result.getType()));
  SmallVector<int64_t> index(domain.size());
  for (int64_t number = 0; number < count; ++number) {
    int64_t rest = number;
    for (size_t dim = domain.size(); dim-- > 0; rest /= domain[dim])
      index[dim] = rest % domain[dim];
    for (auto [argument, input, map] : llvm::zip_equal(body.getArguments(), op.getInputs(), op.getMaps())) {
      AffineMap rows = cast<AffineMapAttr>(map).getValue();
      frame.set(argument, readRow(frame.get(input), rows, index, cast<RankedTensorType>(argument.getType())));
    }
    if (failed(evaluateBlock(body, frame)))
      return failure();
    for (auto [result, value, summed] : llvm::zip_equal(results, body.getTerminator()->getOperands(), op.getSummed())) {
      const Tensor &row = frame.get(value);
      if (!summed) {
        result.setSlice(number, row);
        continue;
      }
      for (auto [sum, x] : llvm::zip_equal(result.floats, row.floats))
        sum += x;
    }
  }
  for (auto [value, tensor] : llvm::zip_equal(op.getOutputs(), results)) {
    tensor.round();
    frame.set(value, std::move(tensor));
  }
  return success();
}

LogicalResult evaluateOp(Operation *op, Frame &frame) {
  if (auto repeat = dyn_cast<RepeatOp>(op))
    return evaluateRepeat(repeat, frame);
  if (auto rowwise = dyn_cast<RowwiseOp>(op))
    return evaluateRowwise(rowwise, frame);
  if (auto fused = dyn_cast<ProductRowsOp>(op)) {
    if (failed(evaluateBlock(fused.getBody().front(), frame)))
      return failure();
    for (auto [result, value] : llvm::zip_equal(fused.getResults(), fused.getYield().getValues()))
      frame.set(result, frame.get(value));
    return success();
  }
  bool known = evaluatePointwise(op, frame) || evaluateRow(op, frame) || evaluateLoss(op, frame) ||
               evaluateMixing(op, frame) || evaluateRouting(op, frame) || evaluateGroups(op, frame);
  if (!known)
    return op->emitError("the evaluator does not know `") << op->getName() << "`";
  for (Value result : op->getResults()) {
    Tensor tensor = frame.get(result);
    tensor.round();
    frame.set(result, std::move(tensor));
  }
  return success();
}

LogicalResult evaluateBlock(Block &block, Frame &frame) {
  for (Operation &op : block.without_terminator())
    if (failed(evaluateOp(&op, frame)))
      return failure();
  return success();
}

} // namespace

FailureOr<std::vector<Tensor>> evaluate(func::FuncOp function, ArrayRef<Tensor> inputs) {
  assert(inputs.size() == function.getNumArguments() && "one input per argument");
  Frame frame;
  for (auto [argument, input] : llvm::zip_equal(function.getArguments(), inputs))
    frame.set(argument, input);
  Block &body = function.getBody().front();
  if (failed(evaluateBlock(body, frame)))
    return failure();
  std::vector<Tensor> results;
  for (Value value : body.getTerminator()->getOperands())
    results.push_back(frame.get(value));
  return results;
}

} // namespace moire::evaluator
