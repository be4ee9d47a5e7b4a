//===- passes/Transforms/Rowwise/FuseEpilogues.cpp - products and row kernels ===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Puts products over experts and the row kernels behind them into one op each.
//===----------------------------------------------------------------------===//
#include "dialect/IR/TypeUtils.h"
#include "kernels/include/Kernels.h"
#include "mlir/Analysis/TopologicalSortUtils.h"
#include "mlir/IR/Remarks.h"
#include "passes/Transforms/Rowwise/Passes.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace moire {
#define GEN_PASS_DEF_FUSEEPILOGUESPASS
#include "passes/Transforms/Rowwise/Passes.h.inc"

namespace {

/// Whether `op` of `block`, or an op inside it, needs something that is computed from `product`; what `rows` reads of
/// the product itself does not count.
bool needsOtherwise(RowwiseOp rows, GroupedLinearOp product) {
  Block *block = rows->getBlock();
  llvm::SetVector<Operation *> behind;
  auto push = [&](Value operand) {
    if (Operation *producer = operand.getDefiningOp())
      if (Operation *here = block->findAncestorOpInBlock(*producer))
        behind.insert(here);
  };
  for (Value input : rows.getInputs())
    if (input != product.getY())
      push(input);
  for (size_t i = 0; i < behind.size(); ++i) {
    if (behind[i] == product)
      return true;
    behind[i]->walk([&](Operation *inner) { llvm::for_each(inner->getOperands(), push); });
  }
  return false;
}

/// Why `rows` cannot run on the rows of `product` while they are computed; empty when it can.
std::string whyNot(RowwiseOp rows, GroupedLinearOp product, int64_t leastRows) {
  Type type = product.getY().getType();
  int64_t count = shapeOf(type)[0], bytes = bytesOf(type) / count;
  if (llvm::is_contained(rows.getSummed(), true))
    return "the row kernel sums over rows";
  if (rows.getDomain() != ArrayRef<int64_t>{count})
    return "the row kernel runs over something else than the product's rows";
  for (auto [input, map] : llvm::zip_equal(rows.getInputs(), rows.getMaps().getAsValueRange<AffineMapAttr>()))
    if (input == product.getY() && !map.isIdentity())
      return "the row kernel reads other rows of the product than the one it computes";
  if (needsOtherwise(rows, product))
    return "the row kernel needs something else that is computed from the product";
  if (count < leastRows)
    return llvm::formatv("{0} rows are too few to give each thread whole rows", count);
  if (bytes > MOIRE_ROWS_BYTES)
    return llvm::formatv("too few rows of {0} bytes fit the cache of a thread", bytes);
  return "";
}

/// The first row kernel of the product's block that reads it.
RowwiseOp firstReader(GroupedLinearOp product) {
  RowwiseOp first;
  for (Operation *user : product->getUsers())
    if (auto rows = dyn_cast<RowwiseOp>(user); rows && rows->getBlock() == product->getBlock())
      if (!first || rows->isBeforeInBlock(first))
        first = rows;
  return first;
}

/// Moves both into one op, which stands where the row kernel stood.
ProductRowsOp fuse(OpBuilder &builder, GroupedLinearOp product, RowwiseOp rows) {
  SmallVector<Value> needed;
  bool kept = llvm::any_of(product->getUsers(), [&](Operation *user) { return user != rows; });
  if (kept)
    needed.push_back(product.getY());
  llvm::append_range(needed, rows.getResults());
  Location loc = builder.getFusedLoc({product.getLoc(), rows.getLoc()});
  builder.setInsertionPointAfter(rows);
  auto fused = ProductRowsOp::create(builder, loc, ValueRange(needed).getTypes(), /*own=*/IntegerAttr());
  for (auto [value, result] : llvm::zip_equal(needed, fused.getResults()))
    value.replaceUsesWithIf(result, [&](OpOperand &use) { return use.getOwner() != rows; });
  Block *body = builder.createBlock(&fused.getBody());
  product->moveBefore(body, body->end());
  rows->moveBefore(body, body->end());
  YieldOp::create(builder, loc, needed);
  return fused;
}

struct FuseEpilogues final : impl::FuseEpiloguesPassBase<FuseEpilogues> {
  using FuseEpiloguesPassBase::FuseEpiloguesPassBase;

  void runOnOperation() override {
    SmallVector<GroupedLinearOp> products;
    getOperation()->walk([&](GroupedLinearOp product) { products.push_back(product); });
    for (GroupedLinearOp product : products)
      if (!isa<ProductRowsOp>(product->getParentOp()))
        visit(product);
  }

private:
  void visit(GroupedLinearOp product) {
    OpBuilder builder(&getContext());
    RowwiseOp rows = firstReader(product);
    if (!rows)
      return;
    auto options = remark::RemarkOpts::name("epilogue").category(getArgument());
    if (std::string reason = whyNot(rows, product, leastRows); !reason.empty()) {
      remark::missed(product.getLoc(), options) << "a product over experts is stored for its reader: " + reason;
      return;
    }
    Block *block = product->getBlock();
    ProductRowsOp fused = fuse(builder, product, rows);
    sortTopologically(block);
    bool kept = llvm::is_contained(fused.getYield().getValues(), product.getY());
    remark::passed(fused.getLoc(), options)
        << llvm::formatv(
               "a row kernel works on the rows of a product over experts as they are computed; the product is {0}",
               kept ? "kept for others" : "in no memory")
               .str();
  }
};

} // namespace
} // namespace moire
