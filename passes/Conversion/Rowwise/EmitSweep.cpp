//===- passes/Conversion/Rowwise/EmitSweep.cpp - rows and sweeps ----------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Rows as views, and passes over their columns as 1-D `linalg.generic`. Rows outside an input (a convolution's padding)
// are read from a constant row of zeros, so the sweeps need no branches.
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "passes/Conversion/Rowwise/KernelEmitter.h"
#include "passes/Conversion/Rowwise/LoopHelpers.h"
#include "llvm/Support/FormatVariadic.h"
#include <limits>

using namespace mlir;
using namespace moire;
using namespace moire::rows;

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

/// The leading index of an access at the current row.
SmallVector<OpFoldResult> KernelEmitter::leadingIndex(const Access &access) {
  SmallVector<OpFoldResult> leading;
  for (AffineExpr result : access.map.getResults()) {
    if (auto fixed = dyn_cast<AffineConstantExpr>(result)) {
      leading.push_back(builder.getIndexAttr(fixed.getValue()));
      continue;
    }
    auto [dim, shift] = shiftedDim(result);
    Value at = index[dim];
    leading.push_back(shift ? arith::AddIOp::create(builder, loc, at, constantIndex(shift)).getResult() : at);
  }
  return leading;
}

/// Whether the current row of an access lies inside its buffer; null when it always does.
Value KernelEmitter::isInside(const Access &access) {
  Value inside;
  for (auto [result, extent] : llvm::zip(access.map.getResults(), access.type().getShape())) {
    if (isa<AffineConstantExpr>(result))
      continue;
    auto [dim, shift] = shiftedDim(result);
    if (shift >= 0 && form.domain[dim] + shift <= extent)
      continue;
    // One unsigned comparison finds rows before the beginning too.
    Value at = arith::AddIOp::create(builder, loc, index[dim], constantIndex(shift));
    Value fits = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, at, constantIndex(extent));
    inside = inside ? arith::AndIOp::create(builder, loc, inside, fits).getResult() : fits;
  }
  return inside;
}

Value KernelEmitter::zeroRow(MemRefType view) {
  int64_t length = view.getDimSize(0);
  auto type = MemRefType::get({length}, view.getElementType());
  auto module = function->getParentOfType<ModuleOp>();
  std::string name = llvm::formatv("zeros_{0}x{1}", length, view.getElementType());
  if (!module.lookupSymbol(name)) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPoint(function);
    auto value = DenseElementsAttr::get(RankedTensorType::get(type.getShape(), type.getElementType()),
                                        cast<Attribute>(builder.getZeroAttr(type.getElementType())));
    memref::GlobalOp::create(builder, loc, name, builder.getStringAttr("private"), type, value, /*constant=*/true,
                             builder.getI64IntegerAttr(64));
  }
  Value zeros = memref::GetGlobalOp::create(builder, loc, type, name);
  return memref::CastOp::create(builder, loc, view, zeros);
}

Value KernelEmitter::inputRow(const Node *load) {
  Value &known = loadedRows[load];
  if (known)
    return known;
  const Access &access = form.inputs[load->input];
  SmallVector<OpFoldResult> leading = leadingIndex(access);
  if (!load->operands.empty())
    leading.push_back(asIndex(number(load->operands.front())));
  Value view = rowView(builder, loc, inputs[load->input], leading, builder.getIndexAttr(load->offset), load->length);
  if (Value inside = isInside(access))
    view = arith::SelectOp::create(builder, loc, inside, view, zeroRow(cast<MemRefType>(view.getType())));
  return known = view;
}

/// A load of part of a row, at the next row: where parts are read, memory is not read in one stream, and the processor
/// begins anew with each row unless it is told. Null when rows follow each other closely, or are not walked in order.
Value KernelEmitter::nextPart(const Node *load) {
  const Access &access = form.inputs[load->input];
  unsigned rank = access.map.getNumResults();
  if (rank == 0 || !load->operands.empty() || isa<AffineConstantExpr>(access.map.getResult(rank - 1)))
    return nullptr;
  auto [dim, shift] = shiftedDim(access.map.getResult(rank - 1));
  if (dim + 1 != form.domain.size() || access.type().getStridesAndOffset().first[rank - 1] == load->length)
    return nullptr;
  // Of a convolution's rows only the last will be new.
  for (const Access &other : form.inputs)
    if (other.buffer == access.buffer && other.map.getNumResults() == rank &&
        !isa<AffineConstantExpr>(other.map.getResult(rank - 1)) &&
        shiftedDim(other.map.getResult(rank - 1)).second > shift)
      return nullptr;
  SmallVector<OpFoldResult> leading = leadingIndex(access);
  leading.back() = arith::AddIOp::create(builder, loc, index[dim], constantIndex(shift + 1)).getResult();
  return rowView(builder, loc, inputs[load->input], leading, builder.getIndexAttr(load->offset), load->length);
}

Value KernelEmitter::rowAt(const Place &place, int64_t length) {
  if (place.kind == Place::Buffer)
    return rowView(builder, loc, rowBuffers[place.index], {}, builder.getIndexAttr(place.offset), length);
  const Access &access = form.outputs[place.index];
  SmallVector<OpFoldResult> leading;
  if (form.summed[place.index]) {
    if (plan.partials)
      leading.push_back(chunk);
  } else {
    leading = leadingIndex(access);
  }
  return rowView(builder, loc, outputs[place.index], leading, builder.getIndexAttr(place.offset), length);
}

//===----------------------------------------------------------------------===//
// Sweeps
//===----------------------------------------------------------------------===//

/// Whether `node` is loaded from where an earlier sweep put it.
static bool isKept(const RowSchedule &schedule, const Sweep &sweep, const Node *node) {
  return node->level < sweep.level && schedule.kept.contains(const_cast<Node *>(node));
}

void KernelEmitter::emitSweep(const Sweep &planned) {
  // Everything that the sweep reads, before it: views of rows, and numbers that are the same in every column.
  SmallVector<Value> read, written;
  DenseMap<const Node *, unsigned> position;
  Values constants;
  auto kept = [&](const Node *node) { return isKept(plan.schedule, planned, node); };
  SmallVector<Value> ahead;
  auto gather = [&](auto &&self, const Node *node) -> void {
    if (position.contains(node) || constants.contains(node))
      return;
    if (!node->isRow()) {
      constants[node] = number(node);
    } else if (node->kind == NodeKind::Splat) {
      constants[node] = number(node->operands.front());
    } else if (node->kind == NodeKind::Load || kept(node)) {
      position[node] = read.size();
      bool isNew = !kept(node) && !loadedRows.contains(node);
      read.push_back(kept(node) ? rowAt(plan.schedule.kept.lookup(const_cast<Node *>(node)), node->length)
                                : inputRow(node));
      if (Value next = isNew ? nextPart(node) : nullptr)
        ahead.push_back(next);
    } else {
      for (Node *operand : node->operands)
        self(self, operand);
    }
  };
  for (const RowStore &store : planned.stores) {
    gather(gather, store.node);
    written.push_back(rowAt(store.place, planned.length));
  }
  for (Node *reduction : planned.reductions) {
    gather(gather, reduction->operands.front());
    Value cell = reductionCells.lookup(reduction);
    double start = reduction->kind == NodeKind::Sum ? 0 : -std::numeric_limits<double>::infinity();
    memref::StoreOp::create(builder, loc, constantReal(start), cell);
    written.push_back(cell);
  }

  // Rows that the body does not use are only asked for.
  llvm::append_range(read, ahead);
  sweep(builder, loc, read, written, [&](OpBuilder &b, ValueRange arguments) {
    Values values = constants;
    auto value = [&](auto &&self, const Node *node) -> Value {
      if (Value known = values.lookup(node))
        return known;
      Value result;
      if (auto it = position.find(node); it != position.end()) {
        result = toReal(b, arguments[it->second]);
      } else if (node->kind == NodeKind::Column) {
        Value column = linalg::IndexOp::create(b, loc, 0);
        result = arith::IndexCastOp::create(b, loc, b.getI32Type(), column);
        if (node->offset)
          result = arith::AddIOp::create(b, loc, result, arith::ConstantIntOp::create(b, loc, node->offset, 32));
      } else {
        SmallVector<Value> operands;
        for (Node *operand : node->operands)
          operands.push_back(self(self, operand));
        result = applyFn(b, node->fn, operands);
      }
      return values[node] = result;
    };
    SmallVector<Value> results;
    for (auto [number, store] : llvm::enumerate(planned.stores)) {
      Value before = arguments[read.size() + number];
      // A plain copy needs no rounding back and forth.
      if (auto it = position.find(store.node);
          it != position.end() && !store.add && arguments[it->second].getType() == before.getType()) {
        results.push_back(arguments[it->second]);
        continue;
      }
      Value result = fromReal(b, value(value, store.node), before.getType());
      if (store.add)
        result = arith::AddFOp::create(b, loc, before, result);
      results.push_back(result);
    }
    for (auto [number, reduction] : llvm::enumerate(planned.reductions)) {
      Value before = arguments[read.size() + planned.stores.size() + number];
      Value element = value(value, reduction->operands.front());
      results.push_back(applyFn(b, reduction->kind == NodeKind::Sum ? Fn::Add : Fn::Max, {before, element}));
    }
    return results;
  });
}
