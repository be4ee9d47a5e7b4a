//===- passes/Conversion/Rowwise/RowGraph.h - one row's arithmetic ----------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The body of a `moire.rowwise`, taken apart into scalar arithmetic: a graph whose nodes are either one number per row
// or one number per column. Slices and concatenations disappear (they only move where loads and stores begin), equal
// expressions become one node.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_CONVERSION_ROWWISE_ROWGRAPH_H
#define MOIRE_PASSES_CONVERSION_ROWWISE_ROWGRAPH_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include <cstdint>
#include <deque>
#include <map>
#include <tuple>
#include <vector>

namespace moire::rows {

/// Scalar functions that nodes apply. Div is exact; Reciprocal, of finite numbers of at least 1, is good to a few units
/// in the last place. FiniteExp stays below infinity where Exp overflows.
enum class Fn {
  Add,
  Sub,
  Mul,
  Div,
  Reciprocal,
  Max,
  Neg,
  Abs,
  Exp,
  FiniteExp,
  Log,
  Log1p,
  Erfc,
  Sqrt,
  ToReal, ///< of a whole number
  Greater,
  NotNegative,
  Same,
  Select
};

/// What a node is.
enum class NodeKind {
  Constant, ///< `value`
  Load,     ///< elements [offset, offset + length) of an input's row, or its only element; operand: row number, if any
  Column,   ///< the column's number, counted from `offset`
  Splat,    ///< the operand, a number per row, repeated over columns
  Apply,    ///< `fn` of the operands
  Sum,      ///< sum of the operand over its columns
  Maximum,  ///< largest of the operand over its columns
  Element,  ///< one element of an input's row, at the operand's number
};

/// Values are real (of the kernel's full precision), whole numbers (i32), or truth values.
enum class NodeClass { Real, Integer, Truth };

/// One value of the graph. Nodes are unique: equal content means the same node.
struct Node {
  NodeKind kind = NodeKind::Constant;
  Fn fn = Fn::Add; ///< of Apply
  NodeClass cls = NodeClass::Real;
  int64_t length = 0; ///< columns; 0 for one number per row
  llvm::SmallVector<Node *, 3> operands;
  unsigned input = 0; ///< of Load and Element
  int64_t offset = 0; ///< first column, of Load, Column and Element
  double value = 0;   ///< of Constant
  unsigned id = 0;    ///< order of creation: operands come first
  unsigned level = 0; ///< number of reductions that must be finished before this can be computed

  bool isRow() const { return length > 0; }
  bool isReduction() const { return kind == NodeKind::Sum || kind == NodeKind::Maximum; }
};

/// A value of the body: one number per row, or a row as consecutive pieces.
struct RowValue {
  llvm::SmallVector<Node *, 1> pieces;
  bool scalar = false;

  int64_t length() const;
  Node *single() const { return pieces.front(); }
};

/// Owns the nodes of one kernel.
class RowGraph {
public:
  Node *constant(double value);
  /// Elements [offset, offset + length) of the row of an input; length 0 reads one number per row. With `row`, the
  /// input is a table and `row` chooses the row.
  Node *load(unsigned input, int64_t offset, int64_t length, NodeClass cls, Node *row = nullptr);
  Node *column(int64_t offset, int64_t length);
  Node *splat(Node *node, int64_t length);
  Node *element(unsigned input, int64_t offset, Node *index);
  Node *apply(Fn fn, llvm::ArrayRef<Node *> operands);
  Node *reduce(NodeKind kind, Node *operand);
  /// Columns [offset, offset + length) of a node, by moving the slice to its loads.
  Node *slice(Node *node, int64_t offset, int64_t length);

  /// `fn` over whole values; numbers per row are repeated over columns, pieces are cut alike.
  RowValue map(Fn fn, llvm::ArrayRef<RowValue> operands);
  RowValue slice(const RowValue &value, int64_t offset, int64_t length);
  /// One number per row: the sum or maximum over all columns. Pieces are combined in order.
  Node *reduce(NodeKind kind, const RowValue &value);

  /// All nodes, operands before users.
  llvm::ArrayRef<Node *> getNodes() const { return order; }

  static RowValue scalar(Node *node);
  static RowValue row(Node *node);

private:
  Node *unique(Node node);
  using Key = std::tuple<int, int, int64_t, std::vector<unsigned>, unsigned, int64_t, double>;
  std::map<Key, Node *> known;
  std::deque<Node> storage;
  llvm::SmallVector<Node *> order;
};

} // namespace moire::rows

#endif // MOIRE_PASSES_CONVERSION_ROWWISE_ROWGRAPH_H
