//===- test/dialect/RowRulesTest.cpp - what one row of an op is -------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Row ranks of ops whose operands are broadcast, taken whole, or summed.
//===----------------------------------------------------------------------===//
#include "test/dialect/Parsed.h"

using namespace moire;
using moire::test::Parsed;

TEST(RowRules, BroadcastOperands) {
  Parsed parsed("%a: tensor<2x6x8xf32>, %row: tensor<8xf32>, %number: tensor<f32>, %table: tensor<6x8xf32>", R"(
    %0 = moire.binary add %a, %a : (tensor<2x6x8xf32>, tensor<2x6x8xf32>) -> tensor<2x6x8xf32>
    %1 = moire.unary neg %a : tensor<2x6x8xf32>
    %2 = moire.binary add %a, %row : (tensor<2x6x8xf32>, tensor<8xf32>) -> tensor<2x6x8xf32>
    %3 = moire.unary neg %a : tensor<2x6x8xf32>
    %4 = moire.binary add %a, %number : (tensor<2x6x8xf32>, tensor<f32>) -> tensor<2x6x8xf32>
    %5 = moire.unary neg %a : tensor<2x6x8xf32>
    %6 = moire.binary add %a, %table : (tensor<2x6x8xf32>, tensor<6x8xf32>) -> tensor<2x6x8xf32>)");
  auto last = parsed.last<BinaryOp>();
  EXPECT_EQ(last.getOperandRowRank(0), 1);
  EXPECT_EQ(last.getOperandRowRank(1), 1) << "a row for each time step";
  llvm::SmallVector<int64_t> ranks;
  last->getBlock()->walk([&](BinaryOp op) { ranks.push_back(op.getOperandRowRank(1)); });
  EXPECT_EQ(ranks, (llvm::SmallVector<int64_t>{1, -1, -1, 1}));
}

TEST(RowRules, Statistics) {
  Parsed parsed("%x: tensor<6x8xf32>, %w: tensor<8xf32>, %r: tensor<6xf32>",
                R"(%dx, %dw = moire.rms_norm_grad %x, %x, %w, %r
        : (tensor<6x8xf32>, tensor<6x8xf32>, tensor<8xf32>, tensor<6xf32>) -> (tensor<6x8xf32>, tensor<8xf32>))");
  auto op = parsed.last<RmsNormGradOp>();
  EXPECT_EQ(op.getOperandRowRank(0), 1);
  EXPECT_EQ(op.getOperandRowRank(2), -1);
  EXPECT_EQ(op.getOperandRowRank(3), 0);
  EXPECT_FALSE(op.isResultSummed(0));
  EXPECT_TRUE(op.isResultSummed(1));
}

TEST(RowRules, OnlyTheLastDimensionIsARow) {
  Parsed parsed("%x: tensor<2x6x8xf32>", R"(
    %a = moire.slice %x dim 2 at 1 : tensor<2x6x8xf32> to tensor<2x6x4xf32>
    %b = moire.reduce_leading %x : tensor<2x6x8xf32> to tensor<6x8xf32>
    %c = moire.concat %x, %x dim 1 : (tensor<2x6x8xf32>, tensor<2x6x8xf32>) -> tensor<2x12x8xf32>)");
  EXPECT_TRUE(parsed.last<SliceOp>().worksRowByRow());
  EXPECT_FALSE(parsed.last<ReduceLeadingOp>().worksRowByRow());
  EXPECT_FALSE(parsed.last<ConcatOp>().worksRowByRow());
}
