//===- passes/Conversion/Rowwise/RowGraph.cpp - one row's arithmetic --------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Unique nodes, slices that move to the loads, and levels: how many reductions come before a node.
//===----------------------------------------------------------------------===//
#include "passes/Conversion/Rowwise/RowGraph.h"
#include "llvm/ADT/STLExtras.h"
#include <algorithm>
#include <cassert>
#include <optional>

using namespace moire::rows;
using llvm::ArrayRef;
using llvm::SmallVector;

int64_t RowValue::length() const {
  int64_t total = 0;
  for (Node *piece : pieces)
    total += piece->length;
  return total;
}

RowValue RowGraph::scalar(Node *node) {
  assert(!node->isRow() && "a number per row is expected");
  return {{node}, true};
}

RowValue RowGraph::row(Node *node) { return {{node}, false}; }

/// An empty node of a kind.
static Node make(NodeKind kind) {
  Node node;
  node.kind = kind;
  return node;
}

Node *RowGraph::unique(Node node) {
  std::vector<unsigned> operandIds;
  for (Node *operand : node.operands)
    operandIds.push_back(operand->id);
  // A NaN constant would never compare equal; no formula has one.
  Key key{int(node.kind), int(node.fn), node.length, operandIds, node.input, node.offset, node.value};
  auto [it, inserted] = known.try_emplace(key, nullptr);
  if (!inserted)
    return it->second;
  for (Node *operand : node.operands)
    node.level = std::max(node.level, operand->level);
  if (node.isReduction())
    ++node.level;
  node.id = order.size();
  storage.push_back(std::move(node));
  it->second = &storage.back();
  order.push_back(it->second);
  return it->second;
}

Node *RowGraph::constant(double value) {
  Node node = make(NodeKind::Constant);
  node.value = value;
  return unique(std::move(node));
}

Node *RowGraph::load(unsigned input, int64_t offset, int64_t length, NodeClass cls, Node *row) {
  Node node = make(NodeKind::Load);
  node.cls = cls;
  node.length = length;
  node.input = input;
  node.offset = offset;
  if (row)
    node.operands.push_back(row);
  return unique(std::move(node));
}

Node *RowGraph::column(int64_t offset, int64_t length) {
  Node node = make(NodeKind::Column);
  node.cls = NodeClass::Integer;
  node.length = length;
  node.offset = offset;
  return unique(std::move(node));
}

Node *RowGraph::splat(Node *operand, int64_t length) {
  assert(!operand->isRow() && "only a number per row can be repeated");
  Node node = make(NodeKind::Splat);
  node.cls = operand->cls;
  node.length = length;
  node.operands.push_back(operand);
  return unique(std::move(node));
}

Node *RowGraph::element(unsigned input, int64_t offset, Node *index) {
  Node node = make(NodeKind::Element);
  node.input = input;
  node.offset = offset;
  node.operands.push_back(index);
  return unique(std::move(node));
}

/// Arithmetic on two constants; null when it is not worth folding.
static std::optional<double> fold(Fn fn, ArrayRef<Node *> operands) {
  if (!llvm::all_of(operands, [](Node *node) { return node->kind == NodeKind::Constant; }))
    return std::nullopt;
  switch (fn) {
  case Fn::Add:
    return operands[0]->value + operands[1]->value;
  case Fn::Sub:
    return operands[0]->value - operands[1]->value;
  case Fn::Mul:
    return operands[0]->value * operands[1]->value;
  case Fn::Neg:
    return -operands[0]->value;
  default:
    return std::nullopt;
  }
}

Node *RowGraph::apply(Fn fn, ArrayRef<Node *> given) {
  // Repetition moves outwards, so that what is equal over columns is computed once per row.
  SmallVector<Node *, 3> operands(given);
  int64_t repeated = 0;
  for (Node *&operand : operands)
    if (operand->kind == NodeKind::Splat) {
      repeated = operand->length;
      operand = operand->operands.front();
    }
  if (repeated && llvm::none_of(operands, [](Node *operand) { return operand->isRow(); }))
    return splat(apply(fn, operands), repeated);
  if (auto value = fold(fn, operands))
    return constant(*value);
  Node node = make(NodeKind::Apply);
  node.fn = fn;
  node.operands = operands;
  if (fn == Fn::Greater || fn == Fn::NotNegative || fn == Fn::Same)
    node.cls = NodeClass::Truth;
  for (Node *operand : operands) {
    assert((!operand->isRow() || !node.length || operand->length == node.length) && "columns disagree");
    node.length = std::max(node.length, operand->length);
  }
  return unique(std::move(node));
}

Node *RowGraph::reduce(NodeKind kind, Node *operand) {
  assert(operand->isRow() && "only rows are reduced");
  if (operand->kind == NodeKind::Splat) {
    Node *repeated = operand->operands.front();
    return kind == NodeKind::Sum ? apply(Fn::Mul, {repeated, constant(operand->length)}) : repeated;
  }
  Node node = make(kind);
  node.operands.push_back(operand);
  return unique(std::move(node));
}

Node *RowGraph::slice(Node *node, int64_t offset, int64_t length) {
  if (!node->isRow() || (offset == 0 && length == node->length))
    return node;
  switch (node->kind) {
  case NodeKind::Load:
    return load(node->input, node->offset + offset, length, node->cls,
                node->operands.empty() ? nullptr : node->operands.front());
  case NodeKind::Column:
    return column(node->offset + offset, length);
  case NodeKind::Splat:
    return splat(node->operands.front(), length);
  default:
    break;
  }
  assert(node->kind == NodeKind::Apply && "rows are loads, column numbers, repetitions or arithmetic");
  SmallVector<Node *, 3> operands;
  for (Node *operand : node->operands)
    operands.push_back(slice(operand, offset, length));
  return apply(node->fn, operands);
}

RowValue RowGraph::slice(const RowValue &value, int64_t offset, int64_t length) {
  RowValue result;
  int64_t begin = 0;
  for (Node *piece : value.pieces) {
    int64_t from = std::max(begin, offset), to = std::min(begin + piece->length, offset + length);
    if (from < to)
      result.pieces.push_back(slice(piece, from - begin, to - from));
    begin += piece->length;
  }
  return result;
}

RowValue RowGraph::map(Fn fn, ArrayRef<RowValue> operands) {
  // Cut all rows where any of them is cut.
  SmallVector<int64_t> cuts;
  for (const RowValue &operand : operands) {
    int64_t end = 0;
    if (!operand.scalar)
      for (Node *piece : operand.pieces)
        cuts.push_back(end += piece->length);
  }
  llvm::sort(cuts);
  cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
  RowValue result;
  auto collect = [&](auto pick) {
    SmallVector<Node *, 3> nodes;
    for (const RowValue &operand : operands)
      nodes.push_back(operand.scalar ? operand.single() : pick(operand));
    result.pieces.push_back(apply(fn, nodes));
  };
  if (cuts.empty()) {
    result.scalar = true;
    collect([](const RowValue &operand) { return operand.single(); });
    return result;
  }
  int64_t begin = 0;
  for (int64_t end : cuts) {
    collect([&](const RowValue &operand) { return slice(operand, begin, end - begin).single(); });
    begin = end;
  }
  return result;
}

Node *RowGraph::reduce(NodeKind kind, const RowValue &value) {
  Node *total = nullptr;
  for (Node *piece : value.pieces) {
    Node *part = reduce(kind, piece);
    total = total ? apply(kind == NodeKind::Sum ? Fn::Add : Fn::Max, {total, part}) : part;
  }
  return total;
}
