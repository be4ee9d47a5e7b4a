//===- test/dialect/PositionsTest.cpp - who sees whom -----------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Dependences of single ops along time and batch.
//===----------------------------------------------------------------------===//
#include "test/dialect/Parsed.h"
#include "llvm/Support/FormatVariadic.h"

using namespace moire;
using moire::test::Parsed;

static std::pair<Reach, Reach> reach(PositionalOpInterface op, unsigned operand, unsigned result = 0) {
  Dependence dependence = op.getDependence(operand, result);
  return {dependence.time, dependence.batch};
}

static const std::pair<Reach, Reach> none{Reach::None, Reach::None}, same{Reach::Same, Reach::Same},
    past{Reach::Past, Reach::Same}, allTime{Reach::All, Reach::Same}, all{Reach::All, Reach::All};

TEST(Positions, ParametersHaveNone) {
  Parsed parsed("%x: tensor<2x6x8xf32>, %ws: tensor<3x8x8xf32>", R"(
    %y = moire.repeat 3 carried(%h = %x : tensor<2x6x8xf32>) slices(%w = %ws : tensor<3x8x8xf32>) -> tensor<2x6x8xf32> {
      %c = moire.cast %w : tensor<8x8xf32> to tensor<8x8xbf16>
      %d = moire.cast %c : tensor<8x8xbf16> to tensor<8x8xf32>
      %z = moire.linear %h, %d : (tensor<2x6x8xf32>, tensor<8x8xf32>) -> tensor<2x6x8xf32>
      moire.yield %z : tensor<2x6x8xf32>
    })");
  auto linear = parsed.last<LinearOp>();
  EXPECT_EQ(reach(linear, 0), same);
  EXPECT_EQ(reach(linear, 1), none);
}

TEST(Positions, MatricesMadeOfStreamsReachEverywhere) {
  Parsed parsed("%x: tensor<2x6x8xf32>", R"(
    %y = moire.repeat 3 carried(%h = %x : tensor<2x6x8xf32>) -> tensor<2x6x8xf32> {
      %w = moire.linear_grad_weight %h, %h : (tensor<2x6x8xf32>, tensor<2x6x8xf32>) -> tensor<8x8xf32>
      %z = moire.linear %h, %w : (tensor<2x6x8xf32>, tensor<8x8xf32>) -> tensor<2x6x8xf32>
      moire.yield %z : tensor<2x6x8xf32>
    })");
  EXPECT_EQ(reach(parsed.last<LinearOp>(), 1), all);
}

TEST(Positions, AttentionSeesThePast) {
  Parsed parsed("%q: tensor<2x3x4x8xf32>, %k: tensor<2x3x2x8xf32>",
                R"(%y, %lse = moire.softmax_attention %q, %k, %k scale 1.0
        : (tensor<2x3x4x8xf32>, tensor<2x3x2x8xf32>, tensor<2x3x2x8xf32>) -> (tensor<2x3x4x8xf32>, tensor<2x4x3xf32>))");
  auto attention = parsed.last<SoftmaxAttentionOp>();
  EXPECT_EQ(reach(attention, 0), same);
  EXPECT_EQ(reach(attention, 1), past);
  EXPECT_EQ(reach(attention, 2), past);
}

TEST(Positions, AttentionInBothDirectionsSeesAll) {
  Parsed parsed("%q: tensor<2x3x4x8xf32>, %s: tensor<4xf32>", R"(
    %y, %lse = moire.softmax_attention %q, %q, %q sinks %s bidirectional window 2 scale 1.0 : (tensor<2x3x4x8xf32>,
        tensor<2x3x4x8xf32>, tensor<2x3x4x8xf32>, tensor<4xf32>) -> (tensor<2x3x4x8xf32>, tensor<2x4x3xf32>))");
  auto attention = parsed.last<SoftmaxAttentionOp>();
  std::pair anyTime(Reach::All, Reach::Same), nothing(Reach::None, Reach::None);
  EXPECT_EQ(reach(attention, 0), same);
  EXPECT_EQ(reach(attention, 1), anyTime);
  EXPECT_EQ(reach(attention, 2), anyTime);
  EXPECT_EQ(reach(attention, 3), nothing);
}

TEST(Positions, ConvolutionAndScanSeeThePast) {
  Parsed parsed(
      "%u: tensor<2x6x8xf32>, %a: tensor<8x4xf32>, %b: tensor<2x6x4xf32>, %d: tensor<8xf32>, %w: tensor<3x8xf32>",
      R"(
    %c = moire.conv causal %u, %w, %d : (tensor<2x6x8xf32>, tensor<3x8xf32>, tensor<8xf32>) -> tensor<2x6x8xf32>
    %g = moire.conv_grad_input %c, %w : (tensor<2x6x8xf32>, tensor<3x8xf32>) -> tensor<2x6x8xf32>
    %y, %s = moire.selective_scan %u, %u, %a, %b, %b, %d
        : (tensor<2x6x8xf32>, tensor<2x6x8xf32>, tensor<8x4xf32>, tensor<2x6x4xf32>, tensor<2x6x4xf32>, tensor<8xf32>)
        -> (tensor<2x6x8xf32>, tensor<2x1x8x4xf32>))");
  EXPECT_EQ(reach(parsed.last<ConvOp>(), 0), past);
  EXPECT_EQ(reach(parsed.last<ConvOp>(), 1), none);
  EXPECT_EQ(reach(parsed.last<ConvGradInputOp>(), 0), allTime);
  auto scan = parsed.last<SelectiveScanOp>();
  for (unsigned stream : {0, 1, 3, 4})
    EXPECT_EQ(reach(scan, stream), past);
  EXPECT_EQ(reach(scan, 2), none);
  EXPECT_EQ(reach(scan, 5), none);
}

TEST(Positions, TheScanOfMamba2SeesThePast) {
  Parsed parsed("%x: tensor<2x6x4x8xf32>, %dt: tensor<2x6x4xf32>, %a: tensor<4xf32>, %b: tensor<2x6x2x3xf32>",
                R"(%y, %s = moire.ssd_scan %x, %dt, %a, %b, %b, %a chunk 4
        : (tensor<2x6x4x8xf32>, tensor<2x6x4xf32>, tensor<4xf32>, tensor<2x6x2x3xf32>, tensor<2x6x2x3xf32>,
           tensor<4xf32>) -> (tensor<2x6x4x8xf32>, tensor<2x2x4x3x8xf32>))");
  auto scan = parsed.last<SsdScanOp>();
  for (unsigned stream : {0, 1, 3, 4})
    EXPECT_EQ(reach(scan, stream), past);
  EXPECT_EQ(reach(scan, 2), none);
  EXPECT_EQ(reach(scan, 5), none);
}

/// What an attention, a convolution and a scan say of other documents, told of them by `documents`.
static std::vector<Reach> crossing(llvm::StringRef documents) {
  std::string text = ("%m = " + documents + R"(
    %q = moire.reshape %u : tensor<2x6x8xf32> to tensor<2x6x2x4xf32>
    %y, %lse = moire.softmax_attention %q, %q, %q documents %m scale 1.0 : (tensor<2x6x2x4xf32>, tensor<2x6x2x4xf32>,
        tensor<2x6x2x4xf32>, tensor<2x6xi32>) -> (tensor<2x6x2x4xf32>, tensor<2x2x6xf32>)
    %c = moire.conv causal %u, %w, %d documents %m : (tensor<2x6x8xf32>, tensor<3x8xf32>, tensor<8xf32>,
        tensor<2x6xi32>) -> tensor<2x6x8xf32>
    %z, %s = moire.selective_scan %u, %u, %a, %b, %b, %d documents %m
        : (tensor<2x6x8xf32>, tensor<2x6x8xf32>, tensor<8x4xf32>, tensor<2x6x4xf32>, tensor<2x6x4xf32>, tensor<8xf32>,
           tensor<2x6xi32>) -> (tensor<2x6x8xf32>, tensor<2x1x8x4xf32>))")
                         .str();
  Parsed parsed("%t: tensor<2x6xi32> {moire.separator = 0 : i64}, %u: tensor<2x6x8xf32>, %a: tensor<8x4xf32>, "
                "%b: tensor<2x6x4xf32>, %d: tensor<8xf32>, %w: tensor<3x8xf32>",
                text);
  auto crosses = [](PositionalOpInterface op, unsigned operand) { return op.getDependence(operand, 0).documents; };
  return {crosses(parsed.last<SoftmaxAttentionOp>(), 1), crosses(parsed.last<ConvOp>(), 0),
          crosses(parsed.last<SelectiveScanOp>(), 0)};
}

TEST(Positions, DocumentsStayApartWhereTheyAreTold) {
  const std::vector<Reach> apart(3, Reach::Same), together(3, Reach::All);
  EXPECT_EQ(crossing("moire.document_positions %t separator 0 : (tensor<2x6xi32>) -> tensor<2x6xi32>"), apart);
  EXPECT_EQ(crossing("moire.slice %t dim 1 at 0 : tensor<2x6xi32> to tensor<2x6xi32>"), together);
}

TEST(Positions, DocumentsBeginAtTheSeparatorOfTheTokens) {
  auto reads = [](const char *separator) {
    Parsed parsed("%t: tensor<2x6xi32> {moire.separator = 3 : i64}",
                  std::string("%m = moire.document_positions %t separator ") + separator +
                      " : (tensor<2x6xi32>) -> tensor<2x6xi32>");
    return parsed.last<DocumentPositionsOp>().getDependence(0, 0).documents;
  };
  EXPECT_EQ(reads("3"), Reach::Same);
  EXPECT_EQ(reads("4"), Reach::All);
}

/// Dependence of a reshape between two shapes.
static std::pair<Reach, Reach> reshape(llvm::StringRef from, llvm::StringRef to) {
  std::string source = ("tensor<" + from + "xf32>").str(), target = ("tensor<" + to + "xf32>").str();
  Parsed parsed("%x: " + source, "%y = moire.reshape %x : " + source + " to " + target);
  return reach(parsed.last<ReshapeOp>(), 0);
}

TEST(Positions, ReshapesOfFeaturesKeepTokensApart) {
  EXPECT_EQ(reshape("2x6x8", "2x6x2x4"), same);
  EXPECT_EQ(reshape("2x6x2x4", "2x6x8"), same);
}

TEST(Positions, ReshapesToRowsAndBackKeepTokensApart) {
  EXPECT_EQ(reshape("2x6x8", "12x8"), same);
  EXPECT_EQ(reshape("12x8", "2x6x8"), same);
}

TEST(Positions, ReshapesAcrossTokensDoNot) {
  EXPECT_EQ(reshape("2x6x8", "2x3x16").first, Reach::All);
  EXPECT_EQ(reshape("2x6x8", "3x4x8"), all) << "the same tokens under other names";
}

/// Dependence of a slice of 4 at `offset` along `dim`.
static std::pair<Reach, Reach> slice(unsigned dim, unsigned offset) {
  const char *targets[] = {"4x8x8", "8x4x8", "8x8x4"};
  std::string text = llvm::formatv("%y = moire.slice %x dim {0} at {1} : tensor<8x8x8xf32> to tensor<{2}xf32>", dim,
                                   offset, targets[dim]);
  Parsed parsed("%x: tensor<8x8x8xf32>", text);
  return reach(parsed.last<SliceOp>(), 0);
}

TEST(Positions, SlicesShift) {
  EXPECT_EQ(slice(2, 3), same);
  EXPECT_EQ(slice(1, 0), same);
  EXPECT_EQ(slice(1, 1), allTime) << "position t would read position t + 1";
  EXPECT_EQ(slice(0, 1), std::pair(Reach::Same, Reach::All));
}

TEST(Positions, ConcatenationsDelay) {
  Parsed parsed("%x: tensor<2x3x8xf32>",
                "%y = moire.concat %x, %x dim 1 : (tensor<2x3x8xf32>, tensor<2x3x8xf32>) -> tensor<2x6x8xf32>");
  EXPECT_EQ(reach(parsed.last<ConcatOp>(), 0), same);
  EXPECT_EQ(reach(parsed.last<ConcatOp>(), 1), past);
}

TEST(Positions, LossesSeeEverything) {
  Parsed parsed("%p: tensor<2x6x8xf32>, %l: tensor<8xf32>", R"(
    %b = moire.balance_loss %p, %l factor 1.0 : (tensor<2x6x8xf32>, tensor<8xf32>) -> tensor<f32>
    %s = moire.reduce_leading %p : tensor<2x6x8xf32> to tensor<8xf32>)");
  EXPECT_EQ(reach(parsed.last<BalanceLossOp>(), 0), all);
  EXPECT_EQ(reach(parsed.last<ReduceLeadingOp>(), 0), all);
}

TEST(Positions, SortedRowsStayTheirTokens) {
  Parsed parsed("%x: tensor<2x6x8xf32>, %r: tensor<24xi32>, %p: tensor<2x6x2xi32>, %w: tensor<2x6x2xf32>", R"(
    %g = moire.gather_rows %x, %r, %p : (tensor<2x6x8xf32>, tensor<24xi32>, tensor<2x6x2xi32>) -> tensor<24x8xf32>
    %y = moire.combine %g, %w, %p : (tensor<24x8xf32>, tensor<2x6x2xf32>, tensor<2x6x2xi32>) -> tensor<2x6x8xf32>)");
  EXPECT_EQ(reach(parsed.last<GatherRowsOp>(), 0), same);
  EXPECT_EQ(reach(parsed.last<CombineOp>(), 0), same);
}

TEST(Positions, ACapacityMakesTokensCompete) {
  Parsed free("%c: tensor<2x6x2xi32>", R"(
    %o, %r, %s, %p = moire.dispatch %c
        : (tensor<2x6x2xi32>) -> (tensor<9xi32>, tensor<24xi32>, tensor<24xi32>, tensor<2x6x2xi32>))");
  EXPECT_EQ(reach(free.last<DispatchOp>(), 0), same);
  Parsed limited("%c: tensor<2x6x2xi32>, %g: tensor<2x6x2xf32>", R"(
    %o, %r, %s, %p = moire.dispatch %c gates %g capacity 3 : (tensor<2x6x2xi32>, tensor<2x6x2xf32>)
        -> (tensor<9xi32>, tensor<24xi32>, tensor<24xi32>, tensor<2x6x2xi32>))");
  EXPECT_EQ(reach(limited.last<DispatchOp>(), 0), std::pair(Reach::Group, Reach::Group));
}

TEST(Positions, ABiasOfTheChoiceIsAParameter) {
  Parsed parsed("%l: tensor<2x6x8xf32>, %b: tensor<8xf32>", R"(
    %p, %w, %c = moire.route sigmoid_topk %l bias %b
        : (tensor<2x6x8xf32>, tensor<8xf32>) -> (tensor<2x6x8xf32>, tensor<2x6x2xf32>, tensor<2x6x2xi32>))");
  EXPECT_EQ(reach(parsed.last<RouteOp>(), 0), same);
  EXPECT_EQ(reach(parsed.last<RouteOp>(), 1), none);
}

TEST(Positions, LoadsOfSequencesStayInTheirBatch) {
  Parsed parsed("%c: tensor<2x6x2xi32>", "%y = moire.choice_load %c : (tensor<2x6x2xi32>) -> tensor<2x8xf32>");
  EXPECT_EQ(reach(parsed.last<ChoiceLoadOp>(), 0), allTime);
}

TEST(Positions, MixturesStayInTheirGroupAndTheirPosition) {
  Parsed parsed("%x: tensor<4x6x8xf32>, %l: tensor<4x6x5xf32>", R"(
    %w = moire.group_softmax %l group 2 : (tensor<4x6x5xf32>) -> tensor<4x6x5xf32>
    %m = moire.mix %w, %x group 2 : (tensor<4x6x5xf32>, tensor<4x6x8xf32>) -> tensor<60x8xf32>
    %u = moire.unmix %w, %m group 2 : (tensor<4x6x5xf32>, tensor<60x8xf32>) -> tensor<4x6x8xf32>
    %o, %r, %p = moire.choose_tokens %l group 2 count 1
        : (tensor<4x6x5xf32>) -> (tensor<6xi32>, tensor<60xi32>, tensor<4x6x5xi32>))");
  const std::pair<Reach, Reach> group{Reach::Same, Reach::Group};
  EXPECT_EQ(reach(parsed.last<GroupSoftmaxOp>(), 0), group);
  EXPECT_EQ(reach(parsed.last<MixOp>(), 1), group);
  EXPECT_EQ(reach(parsed.last<UnmixOp>(), 0), same) << "a token's own weights";
  EXPECT_EQ(reach(parsed.last<UnmixOp>(), 1), group);
  EXPECT_EQ(reach(parsed.last<ChooseTokensOp>(), 0, 2), group);
}

TEST(Positions, RowsAreTokens) {
  Parsed parsed("%x: tensor<12x8xf32>", R"(
    %s = moire.slice %x dim 0 at 2 : tensor<12x8xf32> to tensor<10x8xf32>
    %c = moire.concat %s, %s dim 0 : (tensor<10x8xf32>, tensor<10x8xf32>) -> tensor<20x8xf32>)");
  EXPECT_EQ(reach(parsed.last<SliceOp>(), 0), all);
  EXPECT_EQ(reach(parsed.last<ConcatOp>(), 0), same);
  EXPECT_EQ(reach(parsed.last<ConcatOp>(), 1), all);
}

TEST(Positions, TokensAreNoParameters) {
  Parsed parsed("%t: tensor<4x8xi32>, %p: tensor<16x8xf32>", R"(
    %w = moire.lookup %t, %p : (tensor<4x8xi32>, tensor<16x8xf32>) -> tensor<4x8x8xf32>
    %y = moire.repeat 4 carried(%h = %w : tensor<4x8x8xf32>) slices(%m = %w : tensor<4x8x8xf32>) -> tensor<4x8x8xf32> {
      %z = moire.linear %h, %m : (tensor<4x8x8xf32>, tensor<8x8xf32>) -> tensor<4x8x8xf32>
      moire.yield %z : tensor<4x8x8xf32>
    })");
  EXPECT_EQ(reach(parsed.last<LinearOp>(), 1), all) << "slices of something computed from tokens";
}
