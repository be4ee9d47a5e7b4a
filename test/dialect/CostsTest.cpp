//===- test/dialect/CostsTest.cpp - the bill of single ops ------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Counts that a person can redo by hand.
//===----------------------------------------------------------------------===//
#include "test/dialect/Parsed.h"

using namespace moire;
using moire::test::Parsed;

TEST(Costs, LinearCountsMultiplyAddsTwice) {
  Parsed parsed("%x: tensor<2x3x8xbf16>, %w: tensor<8x5xbf16>, %b: tensor<5xf32>",
                "%y = moire.linear %x, %w bias %b : (tensor<2x3x8xbf16>, tensor<8x5xbf16>, tensor<5xf32>) -> "
                "tensor<2x3x5xbf16>");
  Cost cost = parsed.last<LinearOp>().getCost();
  EXPECT_EQ(cost.flops, 2 * 6 * 8 * 5 + 6 * 5);
  EXPECT_EQ(cost.bytesRead, 2 * 48 + 2 * 40 + 4 * 5);
  EXPECT_EQ(cost.bytesWritten, 2 * 30);
}

TEST(Costs, TransposedLinearCostsTheSame) {
  Parsed parsed("%x: tensor<6x8xf32>, %w: tensor<5x8xf32>",
                "%y = moire.linear %x, %w transpose : (tensor<6x8xf32>, tensor<5x8xf32>) -> tensor<6x5xf32>");
  EXPECT_EQ(parsed.last<LinearOp>().getCost().flops, 2 * 6 * 8 * 5);
}

TEST(Costs, GroupedLinearCountsAssignmentsNotExperts) {
  Parsed parsed("%x: tensor<6x8xf32>, %w: tensor<32x8x5xf32>, %o: tensor<33xi32>, %r: tensor<12xi32>",
                "%y = moire.grouped_linear %x, %w, %o rows %r : (tensor<6x8xf32>, tensor<32x8x5xf32>, tensor<33xi32>, "
                "tensor<12xi32>) -> tensor<12x5xf32>");
  EXPECT_EQ(parsed.last<GroupedLinearOp>().getCost().flops, 2 * 12 * 8 * 5);
}

TEST(Costs, GroupedGradientCountsTheRowsOfTheList) {
  Parsed parsed("%x: tensor<6x8xf32>, %dy: tensor<12x5xf32>, %o: tensor<5xi32>, %r: tensor<12xi32>",
                "%dw = moire.grouped_linear_grad_weight %x, %dy, %o x_rows %r : (tensor<6x8xf32>, tensor<12x5xf32>, "
                "tensor<5xi32>, tensor<12xi32>) -> tensor<4x8x5xf32>");
  EXPECT_EQ(parsed.last<GroupedLinearGradWeightOp>().getCost().flops, 2 * 12 * 8 * 5);
}

TEST(Costs, AttentionCountsTheCausalHalf) {
  // 2 examples, 3 positions, 4 heads of 8: 6 pairs of positions of 4 * 8 operations, for each example and head.
  Parsed parsed("%q: tensor<2x3x4x8xf32>, %k: tensor<2x3x2x8xf32>, %l: tensor<2x4x3xf32>", R"(
    %y, %lse = moire.softmax_attention %q, %k, %k scale 1.0
        : (tensor<2x3x4x8xf32>, tensor<2x3x2x8xf32>, tensor<2x3x2x8xf32>) -> (tensor<2x3x4x8xf32>, tensor<2x4x3xf32>)
    %dq, %dk, %dv = moire.softmax_attention_grad %q, %q, %k, %k, %q, %l scale 1.0
        : (tensor<2x3x4x8xf32>, tensor<2x3x4x8xf32>, tensor<2x3x2x8xf32>, tensor<2x3x2x8xf32>, tensor<2x3x4x8xf32>,
           tensor<2x4x3xf32>) -> (tensor<2x3x4x8xf32>, tensor<2x3x2x8xf32>, tensor<2x3x2x8xf32>))");
  double forward = 2 * 4 * 6 * 4 * 8;
  EXPECT_EQ(parsed.last<SoftmaxAttentionOp>().getCost().flops, forward);
  EXPECT_EQ(parsed.last<SoftmaxAttentionGradOp>().getCost().flops, 2.5 * forward);
}

/// Operations of an attention with the words `form`, forward and backward, over 5 positions of 1 head of 8 and values
/// of 3.
static std::pair<double, double> attentionFlops(const std::string &form) {
  Parsed parsed("%q: tensor<1x5x1x8xf32>, %v: tensor<1x5x1x3xf32>",
                "%y, %l = moire.softmax_attention %q, %q, %v " + form +
                    R"( : (tensor<1x5x1x8xf32>, tensor<1x5x1x8xf32>, tensor<1x5x1x3xf32>)
                    -> (tensor<1x5x1x3xf32>, tensor<1x1x5xf32>)
    %dq, %dk, %dv = moire.softmax_attention_grad %y, %q, %q, %v, %y, %l )" +
                    form + R"( : (tensor<1x5x1x3xf32>, tensor<1x5x1x8xf32>, tensor<1x5x1x8xf32>, tensor<1x5x1x3xf32>,
                    tensor<1x5x1x3xf32>, tensor<1x1x5xf32>) -> (tensor<1x5x1x8xf32>, tensor<1x5x1x8xf32>,
                    tensor<1x5x1x3xf32>))");
  return {parsed.last<SoftmaxAttentionOp>().getCost().flops, parsed.last<SoftmaxAttentionGradOp>().getCost().flops};
}

TEST(Costs, AttentionCountsThePairsOfItsWindow) {
  constexpr double perPair = 2 * 8 + 2 * 3, reverse = 6 * 8 + 4 * 3;
  auto pairs = [&](const std::string &form) {
    auto [forward, backward] = attentionFlops(form + " scale 1.0");
    EXPECT_EQ(backward * perPair, forward * reverse) << form;
    return forward / perPair;
  };
  EXPECT_EQ(pairs(""), 15);
  EXPECT_EQ(pairs("window 1"), 5);
  EXPECT_EQ(pairs("window 3"), 1 + 2 + 3 + 3 + 3);
  EXPECT_EQ(pairs("window 50"), 15);
  EXPECT_EQ(pairs("bidirectional"), 25);
  EXPECT_EQ(pairs("bidirectional window 1"), 5);
  EXPECT_EQ(pairs("bidirectional window 2"), 2 + 3 + 3 + 3 + 2);
  EXPECT_EQ(attentionFlops("scale 1.0 softcap 5.0").first, 15 * (perPair + 3));
  EXPECT_EQ(attentionFlops("scale 1.0 softcap 5.0 alibi").second, 15 * (reverse + 3 + 2 + 3));
}

TEST(Costs, CachedAttentionReadsItsWindow) {
  Parsed parsed(
      "%q: tensor<1x1x4x8xf32>, %c: tensor<64x4x8xf32>, %p: tensor<i32>",
      "%y, %k, %v = moire.cached_attention %q, %q, %q, %c, %c at %p window 16 scale 1.0 : (tensor<1x1x4x8xf32>, "
      "tensor<1x1x4x8xf32>, tensor<1x1x4x8xf32>, tensor<64x4x8xf32>, tensor<64x4x8xf32>, tensor<i32>) -> "
      "(tensor<1x1x4x8xf32>, tensor<64x4x8xf32>, tensor<64x4x8xf32>)");
  Cost cost = parsed.last<CachedAttentionOp>().getCost();
  EXPECT_EQ(cost.flops, 4 * 16 * 4 * 8);
  EXPECT_EQ(cost.bytesRead, 4 * (3 * 32 + 2 * 16 * 32 + 1));
}

TEST(Costs, ScanCountsStates) {
  Parsed parsed("%u: tensor<2x6x8xf32>, %a: tensor<8x4xf32>, %b: tensor<2x6x4xf32>, %d: tensor<8xf32>",
                R"(%y, %s = moire.selective_scan %u, %u, %a, %b, %b, %d
        : (tensor<2x6x8xf32>, tensor<2x6x8xf32>, tensor<8x4xf32>, tensor<2x6x4xf32>, tensor<2x6x4xf32>, tensor<8xf32>)
        -> (tensor<2x6x8xf32>, tensor<2x1x8x4xf32>))");
  EXPECT_EQ(parsed.last<SelectiveScanOp>().getCost().flops, 96 * 4 * (9 + 1) + 2 * 96);
}

TEST(Costs, SsdCountsProducts) {
  // 6 tokens in chunks of 4: two products of 3 x 8 and one of 8 by 4 tokens for each of 4 heads, scores for each of 2
  // groups.
  Parsed parsed("%x: tensor<2x6x4x8xf32>, %dt: tensor<2x6x4xf32>, %a: tensor<4xf32>, %b: tensor<2x6x2x3xf32>",
                R"(%y, %s = moire.ssd_scan %x, %dt, %a, %b, %b, %a chunk 4
        : (tensor<2x6x4x8xf32>, tensor<2x6x4xf32>, tensor<4xf32>, tensor<2x6x2x3xf32>, tensor<2x6x2x3xf32>,
           tensor<4xf32>) -> (tensor<2x6x4x8xf32>, tensor<2x2x4x3x8xf32>))");
  EXPECT_EQ(parsed.last<SsdScanOp>().getCost().flops, 12 * (4 * (4 * 24 + 4 * 8 + 2 * 8) + 2 * 4 * 3));
}

TEST(Costs, LookupReadsRowsNotTheTable) {
  Parsed parsed("%i: tensor<6xi32>, %t: tensor<50000x8xf32>",
                "%y = moire.lookup %i, %t : (tensor<6xi32>, tensor<50000x8xf32>) -> tensor<6x8xf32>");
  Cost cost = parsed.last<LookupOp>().getCost();
  EXPECT_EQ(cost.flops, 0);
  EXPECT_EQ(cost.bytesRead, 6 * 4 + 6 * 8 * 4);
}

TEST(Costs, ReshapeIsFree) {
  Parsed parsed("%x: tensor<6x8xf32>", "%y = moire.reshape %x : tensor<6x8xf32> to tensor<48xf32>");
  Cost cost = parsed.last<ReshapeOp>().getCost();
  EXPECT_EQ(cost.flops + cost.bytesRead + cost.bytesWritten, 0);
}

TEST(Costs, SumsAddOneLessThanTheyRead) {
  Parsed parsed("%x: tensor<6x8xbf16>", "%y = moire.reduce_leading %x : tensor<6x8xbf16> to tensor<8xf32>");
  EXPECT_EQ(parsed.last<ReduceLeadingOp>().getCost().flops, 5 * 8);
}

TEST(Costs, KernelsMoveWhatEntersAndLeavesThem) {
  Parsed parsed("%x: tensor<6x8xf32>", R"(
    %y, %s = moire.rowwise domain [6] maps [affine_map<(d0) -> (d0)>] summed [false, true] ins(%x : tensor<6x8xf32>) {
    ^bb0(%r: tensor<8xf32>):
      %a = moire.scale %r by 2.0 : tensor<8xf32>
      %b = moire.binary mul %a, %r : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
      moire.yield %b, %b : tensor<8xf32>, tensor<8xf32>
    } -> tensor<6x8xf32>, tensor<8xf32>)");
  Cost cost = parsed.last<RowwiseOp>().getCost();
  EXPECT_EQ(cost.flops, 6 * (8 + 8) + 5 * 8);
  EXPECT_EQ(cost.bytesRead, 6 * 8 * 4);
  EXPECT_EQ(cost.bytesWritten, 6 * 8 * 4 + 8 * 4);
}

TEST(Costs, ScoresOfOneExpertEachCostTheirFunction) {
  Parsed softmax("%l: tensor<6x8xf32>", R"(
    %p, %w, %c = moire.route softmax_topk %l : (tensor<6x8xf32>) -> (tensor<6x8xf32>, tensor<6x2xf32>, tensor<6x2xi32>))");
  EXPECT_EQ(softmax.last<RouteOp>().getCost().flops, 6 * 48);
  // A sigmoid of three, sum and quotient, a comparison and a bias; two for each weight that is renormalised, one scaled.
  Parsed sigmoid("%l: tensor<6x8xf32>, %b: tensor<8xf32>", R"(
    %p, %w, %c = moire.route sigmoid_topk %l bias %b renormalize scale 2.0
        : (tensor<6x8xf32>, tensor<8xf32>) -> (tensor<6x8xf32>, tensor<6x2xf32>, tensor<6x2xi32>))");
  EXPECT_EQ(sigmoid.last<RouteOp>().getCost().flops, (3 + 2 + 1 + 1) * 48 + 3 * 12);
}

TEST(Costs, MixturesCountEachExpertAndMember) {
  // 4 sequences in pairs, 3 positions, 5 experts, width 8: every token is read for each expert.
  Parsed parsed("%w: tensor<4x3x5xf32>, %x: tensor<4x3x8xf32>",
                "%m = moire.mix %w, %x group 2 : (tensor<4x3x5xf32>, tensor<4x3x8xf32>) -> tensor<30x8xf32>");
  Cost cost = parsed.last<MixOp>().getCost();
  EXPECT_EQ(cost.flops, 2 * 12 * 5 * 8);
  EXPECT_EQ(cost.bytesRead, 4 * (12 * 5 + 12 * 8));
  EXPECT_EQ(cost.bytesWritten, 4 * 30 * 8);
}
