//===- passes/Conversion/Buffers/BufferBuilder.h - ops on buffers -----------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What turns one function of tensors into one of buffers needs at every op: the places of operands, places for
// results, memrefs of places, copies, and calls of kernels.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_CONVERSION_BUFFERS_BUFFERBUILDER_H
#define MOIRE_PASSES_CONVERSION_BUFFERS_BUFFERBUILDER_H

#include "dialect/IR/MoireOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Conversion/Buffers/HomePlan.h"

namespace moire {

/// A buffer as kernels take it: the memref and elements between consecutive rows.
struct Rows {
  mlir::Value memref;
  int64_t stride = 0;
};

/// Collects the arguments of a kernel in the order of its declaration.
class CallBuilder {
public:
  CallBuilder &pointer(mlir::Value memref);
  /// Pointer and row stride, as most kernels take them next to each other.
  CallBuilder &rows(Rows rows) { return pointer(rows.memref).extent(rows.stride); }
  CallBuilder &null();
  CallBuilder &extent(int64_t value); ///< int64_t
  CallBuilder &flag(int64_t value);   ///< int32_t
  /// float, or double when `full` is f64
  CallBuilder &real(double value, mlir::Type full);
  CallBuilder &index(mlir::Value value); ///< an index computed at run time, as int64_t
  void emit(mlir::OpBuilder &builder, mlir::Location loc, llvm::StringRef callee);

private:
  std::string signature;
  llvm::SmallVector<mlir::Value> buffers, scalars;
  llvm::SmallVector<int64_t> integers;
  llvm::SmallVector<double> floats;
};

/// The state of one function's translation.
class BufferBuilder {
public:
  BufferBuilder(mlir::OpBuilder builder, HomePlan &plan) : builder(builder), plan(plan) {}

  mlir::OpBuilder builder;

  /// Where the value is.
  const Place &place(mlir::Value value) const { return places.find(value)->second; }
  void setPlace(mlir::Value value, const Place &place) { places[value] = place; }
  /// Where a result is to be written: its home of the plan, else a new local buffer.
  const Place &placeResult(mlir::OpResult result);
  /// A local buffer that only the op being emitted uses.
  Place scratch(mlir::Location loc, mlir::Type element, llvm::ArrayRef<int64_t> shape);

  /// A memref of the place, valid at the insertion point.
  mlir::Value memref(mlir::Location loc, const Place &place);
  /// The value without gaps; copied when it has some.
  mlir::Value dense(mlir::Value value);
  /// The value as rows of its last `row` dimensions; copied when no single stride walks them.
  Rows rows(mlir::Value value, int64_t row = 1);
  /// The value with its last `row` dimensions dense and any strides between them; copied otherwise.
  mlir::Value denseRows(mlir::Value value, int64_t row);
  /// The memref of a result that its kernel writes densely, or by rows.
  mlir::Value denseResult(mlir::OpResult result);
  Rows rowsResult(mlir::OpResult result, int64_t row = 1);
  /// The number that a `tensor<i32>` holds, as an index.
  mlir::Value position(mlir::Value value);
  /// Copies elements and says why in a remark; nothing when both are the same place.
  void copy(mlir::Location loc, const Place &from, const Place &to, llvm::StringRef why);

  /// Enters or leaves a block of the tensor program: local buffers are allocated at the beginning of its twin.
  void enterBlock(mlir::Block *from, mlir::Block *to) {
    twins[from] = to;
    current = from;
  }
  void leaveBlock(mlir::Block *outer) { current = outer; }
  void setLoopIndex(mlir::Operation *loop, LoopIndex index, mlir::Value value) {
    loopIndices[{loop, unsigned(index)}] = value;
  }
  HomePlan &homePlan() { return plan; }

private:
  mlir::Value rootMemref(Root &root);
  mlir::Value offsetOf(mlir::Location loc, const Place &place);

  HomePlan &plan;
  mlir::Block *current = nullptr;
  llvm::DenseMap<mlir::Value, Place> places;
  llvm::DenseMap<mlir::Block *, mlir::Block *> twins;
  llvm::DenseMap<std::pair<mlir::Operation *, unsigned>, mlir::Value> loopIndices;
};

} // namespace moire

#endif // MOIRE_PASSES_CONVERSION_BUFFERS_BUFFERBUILDER_H
