//===- passes/Conversion/Rowwise/VectorizeRows.cpp - sweeps to vectors ------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One sweep becomes: a loop over several vectors at a time, what is left of whole vectors, a tail. Operations of the
// several vectors are written side by side, so that a processor has independent work without looking far ahead.
//===----------------------------------------------------------------------===//
#include "passes/Conversion/Rowwise/Passes.h"
#include "passes/Conversion/Rowwise/VectorMath.h"

namespace moire {
#define GEN_PASS_DEF_VECTORIZEROWSPASS
#include "passes/Conversion/Rowwise/Passes.h.inc"
} // namespace moire

using namespace mlir;

namespace {

/// How the accumulators of a reduced cell are combined.
enum class Combiner { Sum, Maximum };

/// Writes the vector code of one sweep.
class SweepVectorizer {
public:
  SweepVectorizer(linalg::GenericOp op, unsigned vectorBits, bool nativeBf16, moire::rows::ConstantPool &pool)
      : op(op), block(op.getRegion().front()), builder(op), loc(op.getLoc()), vectorBits(vectorBits), pool(pool) {
    // Narrower processors have masks for wide numbers at best, and LLVM takes masked bf16 apart where it is foreign.
    auto isBf16 = [](Value buffer) { return getElementTypeOrSelf(buffer.getType()).isBF16(); };
    masked = vectorBits >= 512 && (nativeBf16 || llvm::none_of(op.getOperands(), isBf16));
  }

  LogicalResult run();

private:
  using Accumulators = SmallVector<SmallVector<Value>>; // per copy, per cell

  LogicalResult check();
  void chooseShape();
  void emitCopies(Value column, int64_t first, int64_t copies, int64_t width, int64_t valid,
                  MutableArrayRef<SmallVector<Value>> accumulators);
  void emitPrefetch(Value row, ArrayRef<Value> at, int64_t width);
  Value vectorOf(Operation &inner, ArrayRef<Value> operands, Value column, int64_t width);
  Value broadcast(Value scalar, int64_t width);
  Value columnNumbers(Value column, int64_t width, Type element);
  Value columnAt(Value column, int64_t offset);
  Value splat(double value, Type element, int64_t width);
  Value combine(Combiner how, Value a, Value b);
  Value horizontal(Combiner how, Value vector);
  Value constant(TypedAttr value) { return pool.get(builder, loc, value); }
  Value indexConstant(int64_t value) { return constant(builder.getIndexAttr(value)); }
  bool isCell(unsigned output) { return cast<MemRefType>(op.getOutputs()[output].getType()).getRank() == 0; }

  linalg::GenericOp op;
  Block &block;
  OpBuilder builder;
  Location loc;
  unsigned vectorBits;
  moire::rows::ConstantPool &pool;
  bool masked = false;
  int64_t columns = 0, lanes = 0, unroll = 1;
  SmallVector<unsigned> cells;     // outputs of rank 0
  SmallVector<Combiner> combiners; // of the cells
  DenseMap<std::pair<Value, int64_t>, Value> broadcasts;
};

} // namespace

/// Fails with an error unless the op is a sweep: one dimension, contiguous buffers, cells summed or maximised.
LogicalResult SweepVectorizer::check() {
  if (op.getNumLoops() != 1 || !op.hasPureBufferSemantics())
    return op.emitOpError("is not a sweep over one row of buffers");
  for (auto [operand, map] : llvm::zip_equal(op.getOperands(), op.getIndexingMapsArray())) {
    auto type = dyn_cast<MemRefType>(operand.getType());
    bool isRow = type && type.getRank() == 1 && map.isIdentity() && type.hasStaticShape() && type.isLastDimUnitStride();
    bool isCell = type && type.getRank() == 0;
    if (!isRow && !isCell)
      return op.emitOpError("reads or writes something that is neither a contiguous row nor a number: ")
             << operand.getType();
    if (isRow)
      columns = type.getDimSize(0);
  }
  if (!columns)
    return op.emitOpError("has no row that tells its length");
  Operation *yield = block.getTerminator();
  for (unsigned output = 0; output < op.getOutputs().size(); ++output) {
    if (!isCell(output))
      continue;
    Operation *last = yield->getOperand(output).getDefiningOp();
    if (!isa_and_present<arith::AddFOp, arith::SelectOp>(last))
      return op.emitOpError("reduces by something that is neither a sum nor a maximum");
    cells.push_back(output);
    combiners.push_back(isa<arith::AddFOp>(last) ? Combiner::Sum : Combiner::Maximum);
  }
  return success();
}

/// Lanes by the widest type of the body; copies by how much work one vector is.
void SweepVectorizer::chooseShape() {
  unsigned widest = 16;
  int64_t work = op->getNumOperands();
  auto widen = [&](Type type) {
    if (type.isIntOrFloat())
      widest = std::max(widest, type.getIntOrFloatBitWidth());
  };
  for (BlockArgument argument : block.getArguments())
    widen(argument.getType());
  for (Operation &inner : block.without_terminator()) {
    widen(inner.getResult(0).getType());
    bool heavy = isa<math::MathDialect>(inner.getDialect()) && !isa<math::AbsFOp, math::SqrtOp>(inner);
    work += isa<math::ErfOp, math::ErfcOp>(inner) ? 30 : heavy ? 16 : isa<arith::ConstantOp>(inner) ? 0 : 1;
  }
  lanes = vectorBits / widest;
  // Four additions in flight hide their latency; long bodies hide it themselves.
  unroll = work <= 16 ? 4 : work <= 48 ? 2 : 1;
  if (!cells.empty())
    unroll = std::max<int64_t>(unroll, 2);
  unroll = std::clamp<int64_t>(columns / lanes, 1, unroll);
}

Value SweepVectorizer::splat(double value, Type element, int64_t width) {
  auto type = VectorType::get({width}, element);
  return constant(DenseElementsAttr::get(type, Attribute(builder.getFloatAttr(element, value))));
}

/// A number from outside the sweep in every lane, made once.
Value SweepVectorizer::broadcast(Value scalar, int64_t width) {
  if (auto number = scalar.getDefiningOp<arith::ConstantOp>())
    return constant(DenseElementsAttr::get(VectorType::get({width}, scalar.getType()), Attribute(number.getValue())));
  Value &known = broadcasts[{scalar, width}];
  if (!known) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPoint(op);
    known = vector::BroadcastOp::create(builder, loc, VectorType::get({width}, scalar.getType()), scalar);
  }
  return known;
}

Value SweepVectorizer::columnAt(Value column, int64_t offset) {
  if (!column)
    return indexConstant(offset);
  return offset ? arith::AddIOp::create(builder, loc, column, indexConstant(offset)).getResult() : column;
}

Value SweepVectorizer::columnNumbers(Value column, int64_t width, Type element) {
  auto type = VectorType::get({width}, element);
  SmallVector<Attribute> steps;
  for (int64_t i = 0; i < width; ++i)
    steps.push_back(builder.getIntegerAttr(element, i));
  Value lane = constant(DenseElementsAttr::get(type, steps));
  Value base = arith::IndexCastOp::create(builder, loc, element, column);
  return arith::AddIOp::create(builder, loc, vector::BroadcastOp::create(builder, loc, type, base), lane);
}

Value SweepVectorizer::combine(Combiner how, Value a, Value b) {
  if (how == Combiner::Sum)
    return arith::AddFOp::create(builder, loc, a, b);
  Value larger = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::UGE, a, b);
  return arith::SelectOp::create(builder, loc, larger, a, b);
}

/// Folds a vector in halves: a fixed order, and four steps for sixteen lanes.
Value SweepVectorizer::horizontal(Combiner how, Value vector) {
  for (int64_t width = cast<VectorType>(vector.getType()).getDimSize(0); width > 1; width /= 2) {
    auto low = llvm::to_vector(llvm::seq<int64_t>(0, width / 2)),
         high = llvm::to_vector(llvm::seq<int64_t>(width / 2, width));
    Value a = vector::ShuffleOp::create(builder, loc, vector, vector, low);
    Value b = vector::ShuffleOp::create(builder, loc, vector, vector, high);
    vector = combine(how, a, b);
  }
  return vector::ExtractOp::create(builder, loc, vector, 0);
}

/// `inner` on vectors of `width` lanes; null when it has no vector form.
Value SweepVectorizer::vectorOf(Operation &inner, ArrayRef<Value> operands, Value column, int64_t width) {
  Type element = inner.getResult(0).getType();
  if (auto given = dyn_cast<arith::ConstantOp>(inner))
    return constant(DenseElementsAttr::get(VectorType::get({width}, element), Attribute(given.getValue())));
  if (isa<arith::IndexCastOp>(inner) && inner.getOperand(0).getDefiningOp<linalg::IndexOp>())
    return columnNumbers(column, width, element);
  if (!OpTrait::hasElementwiseMappableTraits(&inner) || inner.getNumResults() != 1)
    return nullptr;
  Type type = VectorType::get({width}, element);
  return builder.create(loc, inner.getName().getIdentifier(), operands, type, inner.getAttrs())->getResult(0);
}

/// A row that the sweep reads but does not use: each of its cache lines is asked for.
void SweepVectorizer::emitPrefetch(Value row, ArrayRef<Value> at, int64_t width) {
  int64_t bytes = width * cast<MemRefType>(row.getType()).getElementTypeBitWidth() / 8;
  int64_t every = std::max<int64_t>(1, 64 / bytes);
  for (size_t copy = 0; copy < at.size(); copy += every)
    memref::PrefetchOp::create(builder, loc, row, at[copy], /*isWrite=*/false, /*localityHint=*/3,
                               /*isDataCache=*/true);
}

/// `copies` vectors of `width` columns from `column + first` on, of which the first `valid` lanes count.
void SweepVectorizer::emitCopies(Value column, int64_t first, int64_t copies, int64_t width, int64_t valid,
                                 MutableArrayRef<SmallVector<Value>> accumulators) {
  SmallVector<DenseMap<Value, Value>> values(copies);
  SmallVector<Value> at;
  for (int64_t copy = 0; copy < copies; ++copy)
    at.push_back(columnAt(column, first + copy * width));
  Value mask;
  if (valid < width) {
    SmallVector<bool> lanesOn(width);
    std::fill_n(lanesOn.begin(), valid, true);
    mask = constant(builder.getBoolVectorAttr(lanesOn));
  }
  unsigned inputs = op.getInputs().size();
  auto load = [&](Value row, Value column) -> Value {
    auto type = VectorType::get({width}, cast<MemRefType>(row.getType()).getElementType());
    if (!mask)
      return vector::LoadOp::create(builder, loc, type, row, column);
    Value zero = constant(builder.getZeroAttr(type));
    return vector::MaskedLoadOp::create(builder, loc, type, row, column, mask, zero);
  };
  for (auto [number, operand] : llvm::enumerate(op.getOperands())) {
    BlockArgument argument = block.getArgument(number);
    bool cell = cast<MemRefType>(operand.getType()).getRank() == 0;
    if (argument.use_empty()) {
      if (number < inputs && !cell && !mask)
        emitPrefetch(operand, at, width);
      continue;
    }
    for (int64_t copy = 0; copy < copies; ++copy) {
      if (!cell)
        values[copy][argument] = load(operand, at[copy]);
      else if (number >= inputs)
        values[copy][argument] = accumulators[copy][std::distance(cells.begin(), llvm::find(cells, number - inputs))];
      else
        values[copy][argument] = broadcast(memref::LoadOp::create(builder, loc, operand), width);
    }
  }
  auto valueOf = [&](int64_t copy, Value scalar) {
    Value known = values[copy].lookup(scalar);
    return known ? known : broadcast(scalar, width);
  };
  for (Operation &inner : block.without_terminator()) {
    if (isa<linalg::IndexOp>(inner))
      continue;
    for (int64_t copy = 0; copy < copies; ++copy) {
      SmallVector<Value> operands;
      if (!isa<arith::IndexCastOp>(inner))
        for (Value operand : inner.getOperands())
          operands.push_back(valueOf(copy, operand));
      values[copy][inner.getResult(0)] = vectorOf(inner, operands, at[copy], width);
    }
  }
  for (auto [output, yielded] : llvm::enumerate(block.getTerminator()->getOperands())) {
    for (int64_t copy = 0; copy < copies; ++copy) {
      Value value = valueOf(copy, yielded);
      if (isCell(output)) {
        Value &sum = accumulators[copy][std::distance(cells.begin(), llvm::find(cells, output))];
        sum = mask ? arith::SelectOp::create(builder, loc, mask, value, sum).getResult() : value;
      } else if (mask) {
        vector::MaskedStoreOp::create(builder, loc, op.getOutputs()[output], at[copy], mask, value);
      } else {
        vector::StoreOp::create(builder, loc, value, op.getOutputs()[output], at[copy]);
      }
    }
  }
}

LogicalResult SweepVectorizer::run() {
  if (failed(check()))
    return failure();
  for (Operation &inner : block.without_terminator())
    if (!isa<linalg::IndexOp>(inner) && !OpTrait::hasElementwiseMappableTraits(&inner) &&
        !isa<arith::ConstantOp>(inner))
      return inner.emitOpError("has no vector form");
  chooseShape();
  // Numbers from outside become vectors before the loop.
  for (Operation &inner : block)
    for (Value operand : inner.getOperands())
      if (operand.getParentBlock() != &block)
        broadcast(operand, lanes);

  double infinity = std::numeric_limits<double>::infinity();
  auto start = [&](int64_t width) {
    SmallVector<Value> fresh;
    for (auto [cell, how] : llvm::zip_equal(cells, combiners)) {
      Type element = cast<MemRefType>(op.getOutputs()[cell].getType()).getElementType();
      fresh.push_back(splat(how == Combiner::Sum ? 0 : -infinity, element, width));
    }
    return fresh;
  };
  Accumulators accumulators(unroll);
  for (SmallVector<Value> &copy : accumulators)
    copy = start(lanes);

  int64_t stride = unroll * lanes, inLoop = columns / stride * stride;
  if (inLoop == stride) {
    emitCopies(nullptr, 0, unroll, lanes, lanes, accumulators);
  } else if (inLoop) {
    SmallVector<Value> carried;
    for (const SmallVector<Value> &copy : accumulators)
      llvm::append_range(carried, copy);
    auto loop =
        scf::ForOp::create(builder, loc, indexConstant(0), indexConstant(inLoop), indexConstant(stride), carried);
    auto spread = [&](ValueRange flat) {
      for (auto [number, value] : llvm::enumerate(flat))
        accumulators[number / cells.size()][number % cells.size()] = value;
    };
    {
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(loop.getBody());
      spread(loop.getRegionIterArgs());
      emitCopies(loop.getInductionVar(), 0, unroll, lanes, lanes, accumulators);
      SmallVector<Value> next;
      for (const SmallVector<Value> &copy : accumulators)
        llvm::append_range(next, copy);
      if (!cells.empty())
        scf::YieldOp::create(builder, loc, next);
    }
    spread(loop.getResults());
  }
  int64_t done = inLoop;
  if (int64_t whole = (columns - done) / lanes) {
    emitCopies(nullptr, done, whole, lanes, lanes, accumulators);
    done += whole * lanes;
  }
  // The tail: one masked vector where masks are cheap, else vectors of 8, 4, 2 and 1 lanes, each summed by itself.
  SmallVector<SmallVector<Value>> parts(cells.size());
  if (masked && done < columns) {
    emitCopies(nullptr, done, 1, lanes, columns - done, accumulators);
    done = columns;
  }
  for (int64_t width = lanes / 2; done < columns; width /= 2) {
    if (columns - done < width)
      continue;
    Accumulators narrow{start(width)};
    emitCopies(nullptr, done, 1, width, width, narrow);
    done += width;
    for (auto [number, value] : llvm::enumerate(narrow.front()))
      parts[number].push_back(value);
  }
  for (auto [number, cell, how] : llvm::enumerate(cells, combiners)) {
    // Neighbouring accumulators first: a balanced tree.
    SmallVector<Value> sums;
    for (const SmallVector<Value> &copy : accumulators)
      sums.push_back(copy[number]);
    while (sums.size() > 1) {
      SmallVector<Value> halves;
      for (size_t i = 0; i + 1 < sums.size(); i += 2)
        halves.push_back(combine(how, sums[i], sums[i + 1]));
      if (sums.size() % 2)
        halves.push_back(sums.back());
      sums = std::move(halves);
    }
    Value total = horizontal(how, sums.front());
    for (Value part : parts[number])
      total = combine(how, total, horizontal(how, part));
    Value buffer = op.getOutputs()[cell];
    total = combine(how, memref::LoadOp::create(builder, loc, buffer), total);
    memref::StoreOp::create(builder, loc, total, buffer);
  }
  op.erase();
  return success();
}

/// Without bf16 in the processor LLVM moves bf16 vectors number by number, through the compiler's library. Copies go
/// through f32 then, which becomes integer arithmetic.
static void widenCopies(linalg::GenericOp op) {
  Operation *yield = op.getRegion().front().getTerminator();
  OpBuilder builder(yield);
  for (OpOperand &operand : yield->getOpOperands()) {
    Type type = operand.get().getType();
    if (!type.isBF16() || operand.get().getDefiningOp<arith::TruncFOp>())
      continue;
    Value wide = arith::ExtFOp::create(builder, op.getLoc(), builder.getF32Type(), operand.get());
    operand.set(arith::TruncFOp::create(builder, op.getLoc(), type, wide));
  }
}

namespace {

class VectorizeRows : public moire::impl::VectorizeRowsPassBase<VectorizeRows> {
public:
  using Base::Base;
  void runOnOperation() override;
};

} // namespace

void VectorizeRows::runOnOperation() {
  if (vectorBits != 128 && vectorBits != 256 && vectorBits != 512) {
    getOperation().emitError("expects `vector-bits` of 128, 256 or 512, got ") << unsigned(vectorBits);
    return signalPassFailure();
  }
  SmallVector<linalg::GenericOp> sweeps;
  getOperation().walk([&](linalg::GenericOp op) { sweeps.push_back(op); });
  if (!nativeBf16)
    llvm::for_each(sweeps, widenCopies);
  moire::rows::ConstantPool pool;
  for (linalg::GenericOp op : sweeps)
    if (failed(SweepVectorizer(op, vectorBits, nativeBf16, pool).run()))
      return signalPassFailure();
  moire::rows::expandMath(getOperation(), pool);
  if (!nativeBf16)
    moire::rows::expandBf16(getOperation(), pool);
}
