//===- passes/Transforms/Rowwise/RowForms.cpp - ops as row kernels ----------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Row ops say through their interface what a row is. Ops that are not row ops but can be written with shifted rows
// (convolutions) or as a row's sum (the balance loss) have a form of their own here.
//===----------------------------------------------------------------------===//
#include "passes/Transforms/Rowwise/RowForms.h"
#include "dialect/IR/TypeUtils.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace moire;

/// Pointwise ops: any split of their extents in domain and row will do.
static bool isPointwise(Operation *op) {
  return isa<UnaryOp, UnaryGradOp, BinaryOp, ScaleOp, ClampOp, ClampGradOp, CastOp, BroadcastOp, FillOp,
             CountTargetsOp>(op);
}

/// The value whose extents a row op walks: its first result, or what it sums.
static Value walked(Operation *op) {
  if (auto sum = dyn_cast<ReduceLeadingOp>(op))
    return sum.getX();
  return op->getResult(0);
}

/// The first `rank` dimensions plus nothing; the last `count` of them when `count` is given.
static AffineMap lastDims(MLIRContext *context, unsigned rank, unsigned count) {
  SmallVector<AffineExpr> results;
  for (unsigned dim = rank - count; dim < rank; ++dim)
    results.push_back(getAffineDimExpr(dim, context));
  return AffineMap::get(rank, 0, results, context);
}

RankedTensorType moire::rowType(const RowRead &read) {
  auto type = cast<RankedTensorType>(read.value.getType());
  return RankedTensorType::get(type.getShape().drop_front(read.map.getNumResults()), type.getElementType());
}

//===----------------------------------------------------------------------===//
// Domains
//===----------------------------------------------------------------------===//

SmallVector<Domain, 2> moire::domainsOf(Operation *op) {
  auto leading = [](Value value, size_t rowRank) { return Domain(shapeOf(value.getType()).drop_back(rowRank)); };
  if (isPointwise(op)) {
    size_t rank = shapeOf(op->getResult(0).getType()).size();
    if (rank == 0)
      return {Domain{}};
    return {leading(op->getResult(0), 1), leading(op->getResult(0), 0)};
  }
  if (auto sum = dyn_cast<ReduceLeadingOp>(op)) {
    size_t rank = shapeOf(sum.getY().getType()).size(), outer = shapeOf(sum.getX().getType()).size();
    if (!sum.worksRowByRow())
      return {};
    if (rank == 0 && outer > 0)
      return {leading(sum.getX(), 1), leading(sum.getX(), 0)};
    return {leading(sum.getX(), rank)};
  }
  if (auto rows = dyn_cast<RowOpInterface>(op)) {
    if (!rows.worksRowByRow())
      return {};
    return {leading(op->getResult(0), rows.getResultRowRank(0))};
  }
  return TypeSwitch<Operation *, SmallVector<Domain, 2>>(op)
      .Case<ConvOp, ConvGradInputOp, BalanceLossGradOp>(
          [&](Operation *o) { return SmallVector<Domain, 2>{leading(o->getResult(0), 1)}; })
      .Case([&](ConvGradWeightOp o) { return SmallVector<Domain, 2>{leading(o.getDy(), 1)}; })
      .Case([&](BalanceLossOp o) { return SmallVector<Domain, 2>{leading(o.getProbs(), 1)}; })
      .Case<LookupGradOp, ExpertLoadOp>([](Operation *) { return SmallVector<Domain, 2>{Domain{}}; })
      .Default([](Operation *) { return SmallVector<Domain, 2>{}; });
}

bool moire::isSummed(Operation *op, unsigned result) {
  if (auto rows = dyn_cast<RowOpInterface>(op))
    return rows.isResultSummed(result);
  return isa<ConvGradWeightOp, BalanceLossOp>(op);
}

//===----------------------------------------------------------------------===//
// Reads
//===----------------------------------------------------------------------===//

/// Rows `t + shift` of a `[batch, time, channels]` value.
static RowRead shifted(Value value, int64_t shift) {
  MLIRContext *context = value.getContext();
  AffineExpr batch = getAffineDimExpr(0, context), time = getAffineDimExpr(1, context);
  return {value, AffineMap::get(2, 0, {batch, time + shift}, context)};
}

/// The number at `t + shift` of a `[batch, time]` value.
static RowRead age(Value value, int64_t shift) { return shifted(value, shift); }

/// Row `index` of a `[taps, channels]` value.
static RowRead tap(Value value, int64_t index) {
  MLIRContext *context = value.getContext();
  return {value, AffineMap::get(2, 0, getAffineConstantExpr(index, context), context)};
}

SmallVector<RowRead> moire::readsOf(Operation *op, ArrayRef<int64_t> domain) {
  MLIRContext *context = op->getContext();
  unsigned rank = domain.size();
  SmallVector<RowRead> reads;
  auto whole = [&](Value value) { reads.push_back({value, lastDims(context, rank, 0)}); };
  if (isPointwise(op) || isa<ReduceLeadingOp>(op)) {
    size_t rowRank = shapeOf(walked(op).getType()).size() - rank;
    for (Value operand : op->getOperands()) {
      size_t outer = shapeOf(operand.getType()).size();
      reads.push_back({operand, lastDims(context, rank, outer - std::min(outer, rowRank))});
    }
    return reads;
  }
  if (auto rows = dyn_cast<RowOpInterface>(op)) {
    for (OpOperand &operand : op->getOpOperands()) {
      int64_t rowRank = rows.getOperandRowRank(operand.getOperandNumber());
      int64_t outer = rowRank < 0 ? 0 : shapeOf(operand.get().getType()).size() - rowRank;
      if (isa<RopeOp>(op) && operand.getOperandNumber() > 0) // a table row belongs to a time step
        reads.push_back({operand.get(),
                         rank == 0 ? lastDims(context, 0, 0) : AffineMap::get(rank, 0, getAffineDimExpr(1, context))});
      else
        reads.push_back({operand.get(), lastDims(context, rank, outer)});
    }
    return reads;
  }
  auto taps = [](Value weight) { return shapeOf(weight.getType())[0]; };
  TypeSwitch<Operation *>(op)
      .Case([&](ConvOp o) {
        int64_t count = taps(o.getW()), back = o.getPadding() == Padding::Causal ? count - 1 : 0;
        for (int64_t k = 0; k < count; ++k)
          reads.push_back(shifted(o.getX(), k - back));
        for (int64_t k = 0; k < count; ++k)
          reads.push_back(tap(o.getW(), k));
        whole(o.getBias());
        if (o.getDocuments())
          reads.push_back(age(o.getDocuments(), 0));
      })
      .Case([&](ConvGradInputOp o) {
        int64_t count = taps(o.getW());
        for (int64_t k = 0; k < count; ++k)
          reads.push_back(shifted(o.getDy(), count - 1 - k));
        for (int64_t k = 0; k < count; ++k)
          reads.push_back(tap(o.getW(), k));
        for (int64_t k = 0; o.getDocuments() && k < count; ++k)
          reads.push_back(age(o.getDocuments(), count - 1 - k));
      })
      .Case([&](ConvGradWeightOp o) {
        int64_t count = taps(o.getDw());
        for (int64_t k = 0; k < count; ++k)
          reads.push_back(shifted(o.getX(), k - (count - 1)));
        reads.push_back(shifted(o.getDy(), 0));
        if (o.getDocuments())
          reads.push_back(age(o.getDocuments(), 0));
      })
      .Case([&](BalanceLossOp o) {
        reads.push_back({o.getProbs(), lastDims(context, rank, rank)});
        whole(o.getLoad());
      })
      .Default([&](Operation *o) { llvm::for_each(o->getOperands(), whole); });
  return reads;
}

//===----------------------------------------------------------------------===//
// Bodies
//===----------------------------------------------------------------------===//

/// `op` on rows: the same op with operands and result types of row rank.
static SmallVector<Value> cloneAsRow(OpBuilder &builder, Operation *op, ArrayRef<int64_t> domain, ValueRange rows) {
  IRMapping mapping;
  Operation *clone = op->clone(mapping);
  clone->setOperands(rows);
  for (OpResult result : clone->getResults()) {
    auto type = cast<RankedTensorType>(result.getType());
    if (!isSummed(op, result.getResultNumber()))
      type = RankedTensorType::get(type.getShape().drop_front(domain.size()), type.getElementType());
    result.setType(type);
  }
  if (auto slice = dyn_cast<SliceOp>(clone))
    slice.setDim(0);
  if (auto concat = dyn_cast<ConcatOp>(clone))
    concat.setDim(0);
  builder.insert(clone);
  return llvm::to_vector_of<Value>(clone->getResults());
}

static Value multiply(OpBuilder &builder, Location loc, Value a, Value b) {
  return BinaryOp::create(builder, loc, a.getType(), a, b, Binary::Mul);
}

/// `row`, or zeros where the document of a token with `age` does not reach back `by` tokens. Without documents `age` is
/// null, and every row counts.
static Value ifReached(OpBuilder &builder, Location loc, Value row, Value age, int64_t by) {
  if (!age || by == 0)
    return row;
  auto number = RankedTensorType::get({}, fullType(row.getType()));
  return multiply(builder, loc, row, ReachesBackOp::create(builder, loc, number, age, by));
}

/// `sum_k rows[k] * rows[taps + k]`, in order; tap k looks back taps - 1 - k tokens from those whose `ages` are given,
/// one for each tap.
static Value dotTaps(OpBuilder &builder, Location loc, ValueRange rows, unsigned taps, ArrayRef<Value> ages) {
  Value sum;
  for (unsigned k = 0; k < taps; ++k) {
    // Times 1 before the product, not after: so a tap that counts rounds as without documents.
    Value row = ifReached(builder, loc, rows[k], ages[k], taps - 1 - k);
    Value product = multiply(builder, loc, row, rows[taps + k]);
    sum = sum ? BinaryOp::create(builder, loc, sum.getType(), sum, product, Binary::Add).getResult() : product;
  }
  return sum;
}

SmallVector<Value> moire::emitRow(OpBuilder &builder, Operation *op, ArrayRef<int64_t> domain, ValueRange rows) {
  Location loc = op->getLoc();
  auto number = [&](double value) { return builder.getF64FloatAttr(value); };
  return TypeSwitch<Operation *, SmallVector<Value>>(op)
      .Case([&](BroadcastOp o) -> SmallVector<Value> {
        RankedTensorType row = rowType({o.getY(), lastDims(op->getContext(), domain.size(), domain.size())});
        if (rows[0].getType() == row)
          return {rows[0]};
        return {BroadcastOp::create(builder, loc, row, rows[0])};
      })
      .Case([&](ReduceLeadingOp o) -> SmallVector<Value> {
        bool addsColumns = shapeOf(rows[0].getType()).size() > shapeOf(o.getY().getType()).size();
        if (!addsColumns)
          return {rows[0]};
        return {ReduceLeadingOp::create(builder, loc, o.getY().getType(), rows[0])};
      })
      .Case([&](ConvOp o) -> SmallVector<Value> {
        int64_t taps = shapeOf(o.getW().getType())[0];
        SmallVector<Value> ages(taps, o.getDocuments() ? rows.back() : Value());
        Value sum = dotTaps(builder, loc, rows, taps, ages);
        return {BinaryOp::create(builder, loc, sum.getType(), sum, rows[2 * taps], Binary::Add)};
      })
      .Case([&](ConvGradInputOp o) -> SmallVector<Value> {
        int64_t taps = shapeOf(o.getW().getType())[0];
        SmallVector<Value> ages(taps);
        if (o.getDocuments())
          ages = llvm::to_vector(rows.take_back(taps));
        return {dotTaps(builder, loc, rows, taps, ages)};
      })
      .Case([&](ConvGradWeightOp o) -> SmallVector<Value> {
        // All taps as one row; the caller gives it its two extents back.
        SmallVector<Value> products;
        int64_t taps = shapeOf(o.getDw().getType())[0];
        Value dy = rows[taps], age = o.getDocuments() ? rows.back() : Value();
        for (auto [k, x] : llvm::enumerate(rows.take_front(taps)))
          products.push_back(multiply(builder, loc, ifReached(builder, loc, x, age, taps - 1 - k), dy));
        auto row = cast<RankedTensorType>(dy.getType());
        auto all = RankedTensorType::get({row.getDimSize(0) * taps}, row.getElementType());
        return {ConcatOp::create(builder, loc, all, products, 0), dy};
      })
      .Case([&](BalanceLossOp o) -> SmallVector<Value> {
        Value product = multiply(builder, loc, rows[0], rows[1]);
        Value sum = ReduceLeadingOp::create(builder, loc, o.getLoss().getType(), product);
        double tokens = rowsOf(o.getProbs().getType());
        return {ScaleOp::create(builder, loc, sum.getType(), sum, number(o.getFactor().convertToDouble() / tokens))};
      })
      .Case([&](BalanceLossGradOp o) -> SmallVector<Value> {
        double tokens = rowsOf(o.getDprobs().getType());
        Value share =
            ScaleOp::create(builder, loc, rows[1].getType(), rows[1], number(o.getFactor().convertToDouble() / tokens));
        return {multiply(builder, loc, share, rows[0])};
      })
      .Default([&](Operation *o) { return cloneAsRow(builder, o, domain, rows); });
}

//===----------------------------------------------------------------------===//
// Ops that cost nothing
//===----------------------------------------------------------------------===//

bool moire::isFree(Operation *op) {
  if (auto slice = dyn_cast_or_null<SliceOp>(op))
    return slice.worksRowByRow();
  return isa_and_nonnull<FillOp, BroadcastOp>(op);
}

bool moire::isCheap(Operation *op) {
  if (auto unary = dyn_cast<UnaryOp>(op))
    return unary.getKind() == Unary::Neg || unary.getKind() == Unary::Relu || unary.getKind() == Unary::Relu2;
  if (auto grad = dyn_cast<UnaryGradOp>(op))
    return grad.getKind() == Unary::Neg || grad.getKind() == Unary::Relu || grad.getKind() == Unary::Relu2;
  return isa<BinaryOp, ScaleOp, ClampOp, ClampGradOp, CastOp>(op);
}

/// Whether every domain index reads a row that exists: a read beyond the value would give zeros.
static bool staysInside(const RowRead &read, ArrayRef<int64_t> domain) {
  for (auto [result, extent] : llvm::zip(read.map.getResults(), shapeOf(read.value.getType()))) {
    auto dim = dyn_cast<AffineDimExpr>(result);
    if (!isa<AffineConstantExpr>(result) && !(dim && domain[dim.getPosition()] <= extent))
      return false;
  }
  return true;
}

bool moire::readThrough(Operation *op, const RowRead &read, ArrayRef<int64_t> domain, SmallVectorImpl<RowRead> &reads) {
  size_t rowRank = rowType(read).getRank();
  if (auto slice = dyn_cast<SliceOp>(op)) {
    // Rows outside the slice are outside its source too: only the last dimension was cut.
    reads.push_back({slice.getX(), read.map});
    return rowRank == 1;
  }
  if (!staysInside(read, domain) || rowRank > 1)
    return false;
  if (isa<FillOp>(op))
    return true;
  Value x = cast<BroadcastOp>(op).getX();
  size_t rank = shapeOf(x.getType()).size(), leading = rank - std::min(rank, rowRank);
  reads.push_back(
      {x, AffineMap::get(read.map.getNumDims(), 0, read.map.getResults().take_back(leading), op->getContext())});
  return true;
}

Value moire::emitFree(OpBuilder &builder, Operation *op, const RowRead &read, ValueRange rows) {
  RankedTensorType row = rowType(read);
  Location loc = op->getLoc();
  return TypeSwitch<Operation *, Value>(op)
      .Case([&](SliceOp o) { return SliceOp::create(builder, loc, row, rows[0], 0, o.getOffset()); })
      .Case([&](FillOp o) { return FillOp::create(builder, loc, row, o.getValueAttr()); })
      .Case([&](BroadcastOp o) -> Value {
        if (rows[0].getType() == row)
          return rows[0];
        return BroadcastOp::create(builder, loc, row, rows[0]);
      });
}
