//===- passes/Conversion/Rowwise/LowerRowwise.cpp - row kernels to loops ----===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The pass: for every `moire.rowwise` on buffers a kernel, written once per distinct content, and its launch. Here the
// parallel range is decided: how many steps there are, and how rows are cut in chunks where results are summed.
//===----------------------------------------------------------------------===//
#include "dialect/IR/TypeUtils.h"
#include "passes/Conversion/Rowwise/EmitKernel.h"
#include "passes/Conversion/Rowwise/Passes.h"
#include "passes/Conversion/Rowwise/SmallKernels.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FormatVariadic.h"

namespace moire {
#define GEN_PASS_DEF_LOWERROWWISEPASS
#include "passes/Conversion/Rowwise/Passes.h.inc"
} // namespace moire

using namespace mlir;
using namespace moire;
using namespace moire::rows;

namespace {

class LowerRowwise : public moire::impl::LowerRowwisePassBase<LowerRowwise> {
public:
  using Base::Base;
  void runOnOperation() override;

private:
  LogicalResult lower(RowwiseOp op);
  LogicalResult lowerRows(RowwiseOp op);
  LogicalResult lowerScatter(RowwiseOp op, LookupGradOp grad);
  LogicalResult lowerShares(RowwiseOp op, ExpertLoadOp load);
  void addChunks(OpBuilder &builder, Location loc, Value partial, Value total);
  std::string unusedName(StringRef wish);
  /// The kernel of this content, or `write` makes it at the end of the module.
  func::FuncOp kernel(OpBuilder &builder, const std::string &content, StringRef wish,
                      function_ref<func::FuncOp(StringRef name)> write);

  llvm::StringMap<func::FuncOp> kernels;
};

} // namespace

/// Everything that tells one kernel from another, as text: buffers by their first use, values by their number.
static std::string contentOf(RowwiseOp op, const KernelForm &form, ArrayRef<Value> arguments) {
  std::string text;
  llvm::raw_string_ostream os(text);
  llvm::interleaveComma(form.domain, os);
  os << (form.rowLength ? " joined" : "");
  auto describe = [&](const Access &access) {
    os << ';' << std::distance(arguments.begin(), llvm::find(arguments, access.buffer)) << access.map
       << argumentType(access.type());
  };
  llvm::for_each(form.inputs, describe);
  llvm::for_each(form.outputs, describe);
  for (bool summed : form.summed)
    os << (summed ? '+' : '=');
  DenseMap<Value, unsigned> numbers;
  auto number = [&](Value value) { return numbers.try_emplace(value, numbers.size()).first->second; };
  for (Value argument : op.getBody().getArguments())
    number(argument);
  for (Operation &inner : op.getBody().front()) {
    os << ';' << inner.getName() << inner.getAttrDictionary();
    for (Value operand : inner.getOperands())
      os << ' ' << number(operand);
    for (Value result : inner.getResults())
      os << '>' << number(result) << result.getType();
  }
  return text;
}

/// A readable name: the first few kinds of op in the body.
static std::string nameOf(RowwiseOp op) {
  std::string name = "rows";
  llvm::SmallSetVector<StringRef, 4> kinds;
  for (Operation &inner : op.getBody().front().without_terminator())
    if (kinds.size() < 4 && !isa<CastOp, SliceOp>(inner))
      kinds.insert(inner.getName().stripDialect());
  for (StringRef kind : kinds)
    (name += "_") += kind;
  return name;
}

std::string LowerRowwise::unusedName(StringRef wish) {
  std::string name = wish.str();
  for (unsigned number = 1; getOperation().lookupSymbol(name); ++number)
    name = (wish + "_" + Twine(number)).str();
  return name;
}

func::FuncOp LowerRowwise::kernel(OpBuilder &builder, const std::string &content, StringRef wish,
                                  function_ref<func::FuncOp(StringRef)> write) {
  func::FuncOp &known = kernels[content];
  if (!known) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToEnd(getOperation().getBody());
    known = write(unusedName(wish));
  }
  return known;
}

/// How the rows of `plan` are cut: what a step is, and chunks where results are summed.
static void cutRows(KernelPlan &plan, int64_t maxChunks) {
  KernelForm &form = plan.form;
  // A short last dimension (heads) becomes an inner loop, if enough steps for all threads remain: its index then needs
  // no division.
  constexpr int64_t shortLoop = 64, enoughSteps = 64;
  if (form.domain.size() > 1 && form.domain.back() <= shortLoop && form.rows() / form.domain.back() >= enoughSteps)
    plan.innerRows = form.domain.back();
  if (!llvm::is_contained(form.summed, true))
    return;
  // Clearing and adding a chunk's row costs about two rows, so a chunk has several.
  constexpr int64_t leastRows = 8;
  int64_t steps = plan.steps();
  int64_t least = llvm::divideCeil(leastRows, plan.innerRows);
  plan.stepsPerChunk = std::max<int64_t>(least, llvm::divideCeil(steps, maxChunks));
  plan.partials = plan.chunks() > 1;
}

/// Hands the row kernel to the call of the product whose rows it works on, in the place of both.
static void attach(OpBuilder &builder, ProductRowsOp fused, func::FuncOp kernel, const KernelForm &form,
                   ArrayRef<Value> arguments) {
  auto call = cast<KernelCallOp>(fused.getProduct());
  int64_t slot = 0;
  if (std::optional<uint64_t> own = fused.getOwn())
    slot = llvm::find(arguments, form.inputs[*own].buffer) - arguments.begin();
  SmallVector<int64_t> integers(call.getIntegers());
  integers.append({int64_t(arguments.size()), slot});
  KernelCallOp::create(builder, fused.getLoc(), call.getCallee(), (call.getSignature() + "rii").str(),
                       call.getBuffers(), call.getScalars(), integers, call.getFloats(),
                       FlatSymbolRefAttr::get(kernel.getSymNameAttr()), arguments);
  fused.erase();
}

LogicalResult LowerRowwise::lowerRows(RowwiseOp op) {
  auto fused = dyn_cast<ProductRowsOp>(op->getParentOp());
  OpBuilder builder(fused ? fused.getOperation() : op.getOperation());
  Location loc = op.getLoc();
  FailureOr<KernelForm> form = makeKernelForm(builder, op, /*mayJoin=*/!fused);
  if (failed(form))
    return failure();
  KernelPlan plan;
  plan.form = std::move(*form);
  bool isDouble = false;
  for (Type type : op->getOperandTypes())
    isDouble |= elementOf(type).isF64();
  plan.real = isDouble ? builder.getF64Type() : builder.getF32Type();
  cutRows(plan, maxChunks);

  // Buffers that the kernel gets, each once; a summed result's partial sums in its place.
  SmallVector<std::pair<Value, Value>> sums;
  if (plan.partials)
    for (auto [summed, access] : llvm::zip_equal(plan.form.summed, plan.form.outputs))
      if (summed) {
        SmallVector<int64_t> shape{plan.chunks()};
        llvm::append_range(shape, access.type().getShape());
        Value partial = memref::AllocOp::create(builder, loc, MemRefType::get(shape, plan.real));
        sums.push_back({partial, access.buffer});
        access.buffer = partial;
        access.map = AffineMap::get(plan.form.domain.size(), 0, builder.getAffineConstantExpr(0), builder.getContext());
      }
  llvm::SmallSetVector<Value, 8> arguments;
  for (const Access &access : plan.form.inputs)
    arguments.insert(access.buffer);
  for (const Access &access : plan.form.outputs)
    arguments.insert(access.buffer);

  bool invalid = false;
  auto write = [&](StringRef name) -> func::FuncOp {
    SmallVector<OutputTraits> traits;
    for (auto [summed, access] : llvm::zip_equal(plan.form.summed, plan.form.outputs))
      traits.push_back({summed, access.type().getElementType() != plan.real});
    if (failed(buildRowBody(op, plan.form.rowLength, plan.body))) {
      invalid = true;
      return nullptr;
    }
    plan.schedule = scheduleRow(plan.body, traits, bufferBytes, plan.real.getIntOrFloatBitWidth() / 8);
    return emitKernel(builder, loc, name, plan, arguments.getArrayRef());
  };
  func::FuncOp function = kernel(builder, contentOf(op, plan.form, arguments.getArrayRef()), nameOf(op), write);
  if (invalid)
    return failure();

  if (fused) {
    attach(builder, fused, function, plan.form, arguments.getArrayRef());
    return success();
  }
  int64_t perStep = plan.form.bytesPerRow() * plan.innerRows * std::max<int64_t>(plan.stepsPerChunk, 1);
  int64_t count = plan.stepsPerChunk ? plan.chunks() : plan.steps();
  int64_t grain = std::clamp<int64_t>(grainBytes / perStep, 1, count);
  LaunchOp::create(builder, loc, function.getName(), count, grain, arguments.getArrayRef());
  for (auto [partial, total] : sums)
    addChunks(builder, loc, partial, total);
  op.erase();
  return success();
}

void LowerRowwise::addChunks(OpBuilder &builder, Location loc, Value partial, Value total) {
  auto type = cast<MemRefType>(partial.getType());
  int64_t chunks = type.getDimSize(0), length = type.getRank() == 1 ? 0 : type.getDimSize(1);
  int64_t block = length ? columnBlock(length, 256) : 0;
  std::string extents = std::to_string(chunks) + (length ? "x" + std::to_string(length) : "");
  std::string name = llvm::formatv("add_{0}x{1}", extents, type.getElementType());
  func::FuncOp function = kernel(builder, name, name, [&](StringRef chosen) {
    return emitAddChunks(builder, loc, chosen, chunks, length, block, type.getElementType());
  });
  int64_t count = length ? length / block : 1;
  int64_t bytes = chunks * std::max<int64_t>(block, 1) * type.getElementTypeBitWidth() / 8;
  int64_t grain = std::clamp<int64_t>(2 * grainBytes / bytes, 1, count);
  LaunchOp::create(builder, loc, function.getName(), count, grain, ValueRange{partial, total});
}

/// `buffer` with all dimensions but the last `keep` joined; null when it is not contiguous.
static Value joined(OpBuilder &builder, Location loc, Value buffer, int64_t keep) {
  auto type = cast<MemRefType>(buffer.getType());
  int64_t leading = type.getRank() - keep;
  if (leading == 1)
    return buffer;
  if (leading == 0)
    return memref::ExpandShapeOp::create(builder, loc, ArrayRef<int64_t>{1}, buffer, ArrayRef<ReassociationIndices>{});
  SmallVector<ReassociationIndices> groups{llvm::to_vector(llvm::seq<int64_t>(leading))};
  for (int64_t dim = leading; dim < type.getRank(); ++dim)
    groups.push_back({dim});
  if (!memref::CollapseShapeOp::isGuaranteedCollapsible(type, groups))
    return nullptr;
  return memref::CollapseShapeOp::create(builder, loc, buffer, groups);
}

LogicalResult LowerRowwise::lowerScatter(RowwiseOp op, LookupGradOp grad) {
  OpBuilder builder(op);
  Location loc = op.getLoc();
  auto inputOf = [&](Value value) { return op.getInputs()[cast<BlockArgument>(value).getArgNumber()]; };
  Value index = joined(builder, loc, inputOf(grad.getIndex()), 0), dy = joined(builder, loc, inputOf(grad.getDy()), 1);
  Value table = op.getOuts().front();
  if (!index || !dy)
    return op.emitOpError("needs contiguous buffers for a lookup's reverse");
  auto argument = [](Value value) { return argumentType(cast<MemRefType>(value.getType())); };
  int64_t width = argument(table).getDimSize(1), block = columnBlock(width, 64);
  std::string content = llvm::formatv("lookup_grad {0} {1} {2}", argument(index), argument(dy), argument(table));
  func::FuncOp function = kernel(builder, content, "rows_lookup_grad", [&](StringRef name) {
    return emitScatter(builder, loc, name, argument(index), argument(dy), argument(table), block);
  });
  LaunchOp::create(builder, loc, function.getName(), width / block, 1, ValueRange{index, dy, table});
  op.erase();
  return success();
}

LogicalResult LowerRowwise::lowerShares(RowwiseOp op, ExpertLoadOp load) {
  OpBuilder builder(op);
  Value offsets = op.getInputs().front(), share = op.getOuts().front();
  auto argument = [](Value value) { return argumentType(cast<MemRefType>(value.getType())); };
  std::string content = llvm::formatv("expert_load {0} {1}", argument(offsets), argument(share));
  func::FuncOp function = kernel(builder, content, "rows_expert_load", [&](StringRef name) {
    return emitShares(builder, op.getLoc(), name, argument(offsets), argument(share));
  });
  LaunchOp::create(builder, op.getLoc(), function.getName(), 1, 1, ValueRange{offsets, share});
  op.erase();
  return success();
}

LogicalResult LowerRowwise::lower(RowwiseOp op) {
  if (op.getOuts().empty())
    return op.emitOpError("works on tensors; `moire-lower-rowwise` runs after `moire-bufferize`");
  Operation &first = op.getBody().front().front();
  if (auto grad = dyn_cast<LookupGradOp>(first))
    return lowerScatter(op, grad);
  if (auto load = dyn_cast<ExpertLoadOp>(first))
    return lowerShares(op, load);
  return lowerRows(op);
}

void LowerRowwise::runOnOperation() {
  SmallVector<RowwiseOp> ops;
  getOperation().walk([&](RowwiseOp op) { ops.push_back(op); });
  for (RowwiseOp op : ops)
    if (failed(lower(op)))
      return signalPassFailure();
}
