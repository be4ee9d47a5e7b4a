//===- passes/Conversion/Buffers/Bufferize.cpp - a place for every tensor ---===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Translates functions of tensors to functions of buffers, op by op, along the plan of HomePlan. Kernel-backed ops
// are in Kernel*.cpp.
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "passes/Conversion/Buffers/BufferBuilder.h"
#include "passes/Conversion/Buffers/Constants.h"
#include "passes/Conversion/Buffers/KernelOps.h"
#include "passes/Conversion/Buffers/Passes.h"
#include "llvm/ADT/TypeSwitch.h"

namespace moire {
#define GEN_PASS_DEF_BUFFERIZEPASS
#include "passes/Conversion/Buffers/Passes.h.inc"
} // namespace moire

using namespace mlir;
using namespace moire;

namespace {

RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// Translates one function.
class FunctionBufferizer {
public:
  FunctionBufferizer(func::FuncOp from, ConstantPool &constants) : from(from), constants(constants) {}
  LogicalResult run();

private:
  void makeFunction();
  LogicalResult emitBlock(Block &block);
  LogicalResult emitOp(Operation *op);
  LogicalResult emitRepeat(RepeatOp op);
  void emitRowwise(RowwiseOp op);
  LogicalResult emitProductRows(ProductRowsOp op);
  void emitFill(FillOp op);
  void emitConcat(ConcatOp op);
  void emitReshape(ReshapeOp op);
  void emitReturn(func::ReturnOp op);

  func::FuncOp from, to;
  ConstantPool &constants;
  std::deque<Root> arguments;
  SmallVector<Place> argumentPlaces, resultPlaces;
  std::unique_ptr<HomePlan> plan;
  std::unique_ptr<BufferBuilder> b;
};

LogicalResult FunctionBufferizer::run() {
  makeFunction();
  plan = std::make_unique<HomePlan>(from, argumentPlaces, resultPlaces);
  Block *entry = &to.getBody().front(), *body = &from.getBody().front();
  b = std::make_unique<BufferBuilder>(OpBuilder::atBlockEnd(entry), *plan);
  for (auto [value, place] : llvm::zip(body->getArguments(), argumentPlaces))
    b->setPlace(value, place);
  b->enterBlock(body, entry);
  if (failed(emitBlock(*body)))
    return failure();
  emitReturn(cast<func::ReturnOp>(body->getTerminator()));
  from.erase();
  return success();
}

/// The twin of the function: buffers for arguments, then for results that are not states.
void FunctionBufferizer::makeFunction() {
  MLIRContext *context = from.getContext();
  SmallVector<Type> types;
  SmallVector<DictionaryAttr> attributes;
  auto addArgument = [&](Location loc, RankedTensorType type, DictionaryAttr attrs, bool writable) {
    Root &root = arguments.emplace_back(loc);
    root.kind = Root::Kind::Argument;
    root.element = type.getElementType();
    root.shape.assign(type.getShape().begin(), type.getShape().end());
    root.writable = writable;
    types.push_back(root.type());
    attributes.push_back(attrs ? attrs : DictionaryAttr::get(context));
    return Place::whole(root);
  };
  llvm::DenseMap<Attribute, unsigned> states;
  for (BlockArgument argument : from.getArguments()) {
    Attribute state = from.getArgAttr(argument.getArgNumber(), "moire.state");
    if (state)
      states[state] = argument.getArgNumber();
    argumentPlaces.push_back(
        addArgument(argument.getLoc(), typeOf(argument), from.getArgAttrDict(argument.getArgNumber()), bool(state)));
  }
  for (auto [number, type] : llvm::enumerate(from.getResultTypes())) {
    Attribute state = from.getResultAttr(number, "moire.state");
    if (auto found = states.find(state); state && found != states.end()) {
      resultPlaces.push_back(argumentPlaces[found->second]);
      continue;
    }
    NamedAttrList attrs(from.getResultAttrDict(number));
    attrs.set("moire.result", IntegerAttr::get(IntegerType::get(context, 64), number));
    resultPlaces.push_back(
        addArgument(from.getLoc(), cast<RankedTensorType>(type), attrs.getDictionary(context), true));
  }
  OpBuilder builder(from);
  to = func::FuncOp::create(builder, from.getLoc(), from.getSymName(), FunctionType::get(context, types, {}));
  for (NamedAttribute attribute : from->getDiscardableAttrs())
    to->setAttr(attribute.getName(), attribute.getValue());
  to.setVisibility(from.getVisibility());
  to.setAllArgAttrs(attributes);
  Block *entry = to.addEntryBlock();
  for (auto [root, argument] : llvm::zip(arguments, entry->getArguments()))
    root.memref = argument;
}

LogicalResult FunctionBufferizer::emitBlock(Block &block) {
  for (Operation &op : block.without_terminator())
    if (failed(emitOp(&op)))
      return failure();
  return success();
}

LogicalResult FunctionBufferizer::emitOp(Operation *op) {
  if (isOpTriviallyDead(op))
    return success();
  if (std::optional<LogicalResult> done = emitKernelOp(op, *b))
    return *done;
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](RepeatOp repeat) { return emitRepeat(repeat); })
      .Case([&](RowwiseOp rowwise) { return emitRowwise(rowwise), success(); })
      .Case([&](ProductRowsOp fused) { return emitProductRows(fused); })
      .Case([&](FillOp fill) { return emitFill(fill), success(); })
      .Case([&](ConcatOp concat) { return emitConcat(concat), success(); })
      .Case([&](ReshapeOp reshape) { return emitReshape(reshape), success(); })
      .Case([&](SliceOp slice) {
        int64_t extent = typeOf(slice.getResult()).getDimSize(slice.getDim());
        b->setPlace(slice.getResult(), b->place(slice.getX()).sliced(slice.getDim(), slice.getOffset(), extent));
        return success();
      })
      .Case([&](DynamicSliceOp slice) {
        Place window = b->place(slice.getX()).sliced(0, 0, typeOf(slice.getResult()).getDimSize(0));
        window.terms.push_back(Term{nullptr, LoopIndex::Row, b->position(slice.getPosition()), window.strides[0]});
        b->setPlace(slice.getResult(), window);
        return success();
      })
      .Case([&](RotaryTableOp table) {
        auto [cosines, sines] = rotaryTables(table);
        b->setPlace(table.getCos(), constants.place(table.getLoc(), cosines, to));
        b->setPlace(table.getSin(), constants.place(table.getLoc(), sines, to));
        return success();
      })
      .Case([&](EvenOffsetsOp offsets) {
        b->setPlace(offsets.getOffsets(), constants.place(offsets.getLoc(), evenOffsets(offsets), to));
        return success();
      })
      .Default([](Operation *other) {
        return other->emitOpError("has no form on buffers; `moire-fuse-rowwise` has to come first");
      });
}

void FunctionBufferizer::emitRowwise(RowwiseOp op) {
  SmallVector<Value> inputs, outs;
  for (auto [input, row] : llvm::zip(op.getInputs(), op.getBody().front().getArguments()))
    inputs.push_back(b->denseRows(input, typeOf(row).getRank()));
  for (OpResult result : op->getResults())
    outs.push_back(b->denseResult(result));
  auto rowwise = RowwiseOp::create(b->builder, op.getLoc(), TypeRange(), op.getDomainAttr(), op.getMapsAttr(),
                                   op.getSummedAttr(), inputs, outs);
  rowwise->setDiscardableAttrs(op->getDiscardableAttrDictionary());
  IRMapping mapping;
  op.getBody().cloneInto(&rowwise.getBody(), mapping);
}

/// The call and the row kernel as one op. What their operands need comes before them.
LogicalResult FunctionBufferizer::emitProductRows(ProductRowsOp op) {
  auto product = cast<GroupedLinearOp>(op.getProduct());
  RowwiseOp rows = op.getRows();
  Location loc = op.getLoc();
  IntegerAttr own;
  if (!llvm::is_contained(op.getYield().getValues(), product.getY())) {
    // One element stands for rows that are in no memory: it gives the row kernel's argument a type.
    RankedTensorType type = typeOf(product.getY());
    Place nowhere = b->scratch(loc, type.getElementType(), {1});
    nowhere.shape.assign(type.getShape().begin(), type.getShape().end());
    nowhere.strides = {type.getDimSize(1), 1};
    b->setPlace(product.getY(), nowhere);
    own = b->builder.getI64IntegerAttr(llvm::find(rows.getInputs(), product.getY()) - rows.getInputs().begin());
  }
  if (failed(*emitProduct(product, *b)))
    return failure();
  Operation *call = &*std::prev(b->builder.getInsertionPoint());
  emitRowwise(rows);
  Operation *kernel = &*std::prev(b->builder.getInsertionPoint());
  auto fused = ProductRowsOp::create(b->builder, loc, TypeRange(), own);
  OpBuilder::InsertionGuard guard(b->builder);
  Block *body = b->builder.createBlock(&fused.getBody());
  call->moveBefore(body, body->end());
  kernel->moveBefore(body, body->end());
  YieldOp::create(b->builder, loc, ValueRange());
  for (auto [result, inner] : llvm::zip_equal(op.getResults(), op.getYield().getValues()))
    b->setPlace(result, Place(b->place(inner)));
  return success();
}

void FunctionBufferizer::emitFill(FillOp op) {
  Type element = typeOf(op.getY()).getElementType();
  Value value =
      arith::ConstantOp::create(b->builder, op.getLoc(), FloatAttr::get(element, op.getValue().convertToDouble()));
  linalg::FillOp::create(b->builder, op.getLoc(), value, b->denseResult(cast<OpResult>(op.getY())));
}

void FunctionBufferizer::emitConcat(ConcatOp op) {
  const Place whole = b->placeResult(cast<OpResult>(op.getResult()));
  int64_t first = 0;
  for (Value part : op.getXs()) {
    int64_t extent = typeOf(part).getDimSize(op.getDim());
    b->copy(op.getLoc(), b->place(part), whole.sliced(op.getDim(), first, extent),
            "what computes this part of a concatenation cannot write into it");
    first += extent;
  }
}

void FunctionBufferizer::emitReshape(ReshapeOp op) {
  const Place source = b->place(op.getX());
  RankedTensorType type = typeOf(op.getY());
  if (std::optional<Place> view = source.reshaped(type.getShape())) {
    b->setPlace(op.getY(), *view);
    return;
  }
  Place packed = b->scratch(op.getLoc(), type.getElementType(), typeOf(op.getX()).getShape());
  b->copy(op.getLoc(), source, packed, "gaps between its elements do not survive a reshape");
  b->setPlace(op.getY(), *packed.reshaped(type.getShape()));
}

LogicalResult FunctionBufferizer::emitRepeat(RepeatOp op) {
  const LoopPlan &loop = plan->loop(op);
  Location loc = op.getLoc();
  OpBuilder &builder = b->builder;
  auto constant = [&](int64_t value) { return arith::ConstantIndexOp::create(builder, loc, value).getResult(); };
  for (auto [carried, initial] : llvm::zip(loop.carried, op.getCarried()))
    if (!carried.invariant)
      b->copy(loc, b->place(initial), carried.initial, "the initial value of a loop is needed elsewhere too");

  Value zero = constant(0), one = constant(1), count = constant(op.getCount());
  auto loopOp = scf::ForOp::create(builder, loc, zero, count, one);
  Block *outer = op->getBlock(), *body = &op.getBody().front();
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPoint(loopOp.getBody()->getTerminator());
  b->enterBlock(body, loopOp.getBody());
  Value row = loopOp.getInductionVar();
  b->setLoopIndex(op, LoopIndex::Parity, arith::AndIOp::create(builder, loc, row, one));
  if (op.getReverse())
    row = arith::SubIOp::create(builder, loc, constant(op.getCount() - 1), row);
  b->setLoopIndex(op, LoopIndex::Row, row);

  for (auto [number, carried] : llvm::enumerate(loop.carried))
    b->setPlace(op.getCarriedArgs()[number],
                carried.invariant ? Place(b->place(op.getCarried()[number])) : carried.current);
  for (auto [argument, stack] : llvm::zip(op.getSliceArgs(), op.getSlices()))
    b->setPlace(argument, Place(b->place(stack)).row(Term{op, LoopIndex::Row, {}, 0}));
  if (failed(emitBlock(*body)))
    return failure();
  ValueRange yielded = op.getYield().getValues();
  for (auto [number, stack] : llvm::enumerate(loop.stacks))
    b->copy(loc, b->place(yielded[op.getNumCarried() + number]), stack.row,
            "what computes a stacked value cannot write into the stack");
  for (auto [number, carried] : llvm::enumerate(loop.carried))
    if (!carried.invariant)
      b->copy(loc, b->place(yielded[number]), carried.next,
              "what computes the next value of a loop cannot write to its place");
  b->leaveBlock(outer);

  for (auto [number, carried] : llvm::enumerate(loop.carried))
    b->setPlace(op.getResult(number), carried.invariant ? Place(b->place(op.getCarried()[number])) : carried.final);
  for (auto [result, stack] : llvm::zip(op.getStackedResults(), loop.stacks))
    b->setPlace(result, stack.whole);
  return success();
}

/// Brings the results that are elsewhere to their arguments. States come last, since any result may still be read
/// from the old one; and a state that comes from another state's memory is saved first.
void FunctionBufferizer::emitReturn(func::ReturnOp op) {
  std::vector<std::pair<Place, Place>> states;
  for (auto [value, to] : llvm::zip(op.getOperands(), resultPlaces)) {
    Place from = b->place(value);
    if (from == to)
      continue;
    if (!llvm::is_contained(argumentPlaces, to)) {
      b->copy(op.getLoc(), from, to, "a result that is needed twice, or that nothing computes");
      continue;
    }
    if (from.root->kind == Root::Kind::Argument) {
      Place saved = b->scratch(op.getLoc(), from.root->element, from.shape);
      b->copy(op.getLoc(), from, saved, "a state takes the value of another");
      from = saved;
    }
    states.push_back({from, to});
  }
  for (auto &[from, to] : states)
    b->copy(op.getLoc(), from, to, "a state cannot be updated in place");
  func::ReturnOp::create(b->builder, op.getLoc());
}

struct Bufferize final : moire::impl::BufferizePassBase<Bufferize> {
  void runOnOperation() override {
    ConstantPool constants(getOperation());
    for (auto function : llvm::make_early_inc_range(getOperation().getOps<func::FuncOp>())) {
      FunctionType type = function.getFunctionType();
      auto isTensor = [](Type type) { return isa<RankedTensorType>(type); };
      if (function.isExternal() ||
          !llvm::any_of(llvm::concat<const Type>(type.getInputs(), type.getResults()), isTensor))
        continue;
      for (Type each : llvm::concat<const Type>(type.getInputs(), type.getResults()))
        if (auto tensor = dyn_cast<RankedTensorType>(each); !tensor || !tensor.hasStaticShape()) {
          function.emitError("expects tensors of static shape only, and has ") << each;
          return signalPassFailure();
        }
      if (!function.getBody().hasOneBlock()) {
        function.emitError("expects one block per function");
        return signalPassFailure();
      }
      if (failed(FunctionBufferizer(function, constants).run()))
        return signalPassFailure();
    }
  }
};

} // namespace
