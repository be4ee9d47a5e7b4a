//===- test/kernels/RoutingTest.cpp - routing ----------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The router, the sort by expert and the row moves against their oracles, with
// ties, empty experts and odd sizes; the oracle's gradients against finite differences.
//===----------------------------------------------------------------------===//
#include "test/kernels/TestData.h"

#include <cmath>
#include <set>

using namespace moire::test;

namespace {

MOIRE_FULL_CALLS(route, route)
MOIRE_FULL_CALLS(routeBackward, route_backward)

/// How a router scores and chooses.
struct Variant {
  int32_t gate, renormalize;
  double scale = 1;
  bool bias = false, assigned = false;
  int64_t groups = 1, best = 1;
};

/// Inputs and outputs of one router.
template <typename T> struct Route {
  using S = typename T::S;
  int64_t tokens, experts, topK;
  Variant variant;
  std::vector<S> logits, bias, probs, weights, dweights, dprobs, dlogits;
  std::vector<int32_t> chosen, assigned;

  Route(int64_t tokens, int64_t experts, int64_t topK, Variant variant, bool ties = false)
      : tokens(tokens), experts(experts), topK(topK), variant(variant) {
    Random random(7);
    logits = random.vector<S>(tokens * experts, -4, 4);
    if (ties)
      for (S &logit : logits)
        logit = std::round(logit / 2);
    dweights = random.vector<S>(tokens * topK);
    dprobs = random.vector<S>(tokens * experts);
    bias = random.vector<S>(experts, -0.3, 0.3);
    probs.resize(logits.size());
    dlogits.resize(logits.size());
    weights.resize(dweights.size());
    chosen.resize(dweights.size());
    for (int64_t a = 0; a < tokens * topK; ++a)
      assigned.push_back(int32_t((a * 5 + a / topK) % experts));
  }

  void forward(bool fast = true) {
    route(fast, T(), tokens, experts, topK, variant.gate, variant.renormalize, S(variant.scale), variant.groups,
          variant.best, logits.data(), variant.bias ? bias.data() : nullptr,
          variant.assigned ? assigned.data() : nullptr, probs.data(), weights.data(), chosen.data());
  }
  void backward(bool fromWeights, bool fromProbs, bool fast = true) {
    routeBackward(fast, T(), tokens, experts, topK, variant.gate, variant.renormalize, S(variant.scale), logits.data(),
                  probs.data(), weights.data(), chosen.data(), fromWeights ? dweights.data() : nullptr,
                  fromProbs ? dprobs.data() : nullptr, dlogits.data());
  }
  void referenceForward() { forward(false); }
  void referenceBackward(bool fromWeights, bool fromProbs) { backward(fromWeights, fromProbs, false); }
};

const Variant variants[] = {{0, 0},
                            {0, 1},
                            {1, 0},
                            {1, 0, 1.5},
                            {2, 0},
                            {2, 1, 2.5},
                            {3, 0, 0.5},
                            {3, 1},
                            {0, 1, 1, true},
                            {2, 1, 2.5, true},
                            {0, 0, 1, false, true},
                            {2, 1, 1, false, true}};

template <typename T> class RouteTest : public testing::Test {};
using RouteTypes = testing::Types<F32, F64>;
TYPED_TEST_SUITE(RouteTest, RouteTypes, );

TYPED_TEST(RouteTest, AgreesWithTheOracle) {
  const int64_t sizes[][3] = {{1, 1, 1}, {5, 3, 2}, {70, 16, 1}, {33, 17, 17}, {40, 64, 6}, {9, 100, 8}, {65, 512, 16}};
  for (auto [tokens, experts, topK] : sizes)
    for (Variant variant : variants)
      for (bool ties : {false, true}) {
        SCOPED_TRACE(testing::Message() << experts << " experts, top " << topK << ", gate " << variant.gate);
        Route<TypeParam> fast(tokens, experts, topK, variant, ties), slow = fast;
        fast.forward();
        slow.referenceForward();
        EXPECT_EQ(fast.chosen, slow.chosen);
        expectClose(fast.probs, slow.probs, "probs");
        expectClose(fast.weights, slow.weights, "weights");
        for (int given = 0; given < 4; ++given) {
          fast.backward(given & 1, given & 2);
          slow.referenceBackward(given & 1, given & 2);
          expectClose(fast.dlogits, slow.dlogits, "dlogits");
        }
      }
}

TYPED_TEST(RouteTest, ChoosesInTheBestGroups) {
  const int64_t sizes[][5] = {{40, 64, 6, 8, 4}, {33, 12, 3, 4, 1}, {17, 6, 2, 6, 3}, {9, 256, 8, 8, 4}};
  for (auto [tokens, experts, topK, groups, best] : sizes)
    for (int32_t gate : {0, 1, 2, 3})
      for (bool bias : {false, true}) {
        SCOPED_TRACE(testing::Message() << experts << " experts in " << groups << " groups, gate " << gate);
        Route<TypeParam> fast(tokens, experts, topK, {gate, gate != 1, 1, bias, false, groups, best}), slow = fast;
        fast.forward();
        slow.referenceForward();
        EXPECT_EQ(fast.chosen, slow.chosen);
        expectClose(fast.weights, slow.weights, "weights");
        for (int64_t t = 0; t < tokens; ++t) {
          std::set<int64_t> used;
          for (int64_t j = 0; j < topK; ++j)
            used.insert(fast.chosen[t * topK + j] / (experts / groups));
          EXPECT_LE(int64_t(used.size()), best);
        }
      }
}

TYPED_TEST(RouteTest, BiasSteersTheChoiceAndNotTheGates) {
  using S = typename TypeParam::S;
  for (bool fast : {false, true}) {
    Route<TypeParam> r(1, 3, 2, {2, 1, 2.0, true});
    r.logits = {0, S(std::log(3.0)), S(-std::log(3.0))}; // scores 1/2, 3/4, 1/4
    r.bias = {0, S(-0.6), 0};
    fast ? r.forward() : r.referenceForward();
    EXPECT_EQ(r.chosen, (std::vector<int32_t>{0, 2}));
    EXPECT_NEAR(r.weights[0], 2 * 2.0 / 3, 1e-6);
    EXPECT_NEAR(r.weights[1], 2 * 1.0 / 3, 1e-6);
    EXPECT_NEAR(r.probs[1], 0.5, 1e-6);
  }
}

TYPED_TEST(RouteTest, ScoresOfFarLogitsStayFinite) {
  for (int32_t gate : {2, 3}) {
    Route<TypeParam> fast(1, 4, 2, {gate, 1}), slow = fast;
    fast.logits = slow.logits = {-200, -150, 150, 0};
    fast.forward(), slow.referenceForward();
    fast.backward(true, true), slow.referenceBackward(true, true);
    expectClose(fast.weights, slow.weights, "weights");
    expectClose(fast.dlogits, slow.dlogits, "dlogits");
    for (auto value : fast.dlogits)
      EXPECT_TRUE(std::isfinite(value));
  }
}

TYPED_TEST(RouteTest, TiesGoToTheLowerExpert) {
  Route<TypeParam> r(1, 40, 5, {0, 0});
  std::fill(r.logits.begin(), r.logits.end(), 0);
  r.logits[39] = r.logits[3] = 1;
  r.forward();
  EXPECT_EQ(r.chosen, (std::vector<int32_t>{3, 39, 0, 1, 2}));
}

TYPED_TEST(RouteTest, MaskedExpertsAreChosenLastAndOnce) {
  Route<TypeParam> r(1, 20, 4, {0, 0});
  std::fill(r.logits.begin(), r.logits.end(), -std::numeric_limits<typename TypeParam::S>::infinity());
  r.logits[1] = 2;
  r.logits[18] = 3;
  r.forward();
  EXPECT_EQ(r.chosen, (std::vector<int32_t>{18, 1, 0, 2}));
  EXPECT_EQ(r.weights[2], 0);
}

TYPED_TEST(RouteTest, BothOrdersOfThePapersToy) {
  Route<TypeParam> first(1, 4, 2, {0, 0});
  first.logits = {2, 1, 0, -1};
  Route<TypeParam> second = first, renormalized = first;
  second.variant.gate = 1;
  renormalized.variant.renormalize = 1;
  for (bool fast : {false, true}) {
    for (Route<TypeParam> *r : {&first, &second, &renormalized})
      fast ? r->forward() : r->referenceForward();
    EXPECT_NEAR(first.weights[0], 0.643914, 1e-6);
    EXPECT_NEAR(first.weights[1], 0.236883, 1e-6);
    for (Route<TypeParam> *r : {&second, &renormalized}) {
      EXPECT_NEAR(r->weights[0], 0.731059, 1e-6);
      EXPECT_NEAR(r->weights[1], 0.268941, 1e-6);
    }
  }
}

TYPED_TEST(RouteTest, BitsDoNotDependOnThreads) {
  expectSameBits([] {
    std::vector<unsigned char> bytes;
    for (Variant variant : variants) {
      Route<TypeParam> r(301, 48, 6, variant);
      r.forward();
      r.backward(true, true);
      appendBytes(bytes, r.probs);
      appendBytes(bytes, r.weights);
      appendBytes(bytes, r.chosen);
      appendBytes(bytes, r.dlogits);
    }
    return bytes;
  });
}

TEST(RouteOracle, GradientsAgreeWithFiniteDifferences) {
  for (Variant variant : variants) {
    SCOPED_TRACE(testing::Message() << "gate " << variant.gate << ", renormalize " << variant.renormalize);
    Route<F64> r(3, 7, 3, variant), run = r;
    r.referenceForward();
    r.referenceBackward(true, true);
    auto loss = [&] {
      run.referenceForward();
      return inner(run.weights, run.dweights) + inner(run.probs, run.dprobs);
    };
    expectGradient(run.logits, r.dlogits, loss, "dlogits");
  }
}

/// Assignments of `tokens` * `topK` with most experts empty, sorted by the oracle.
struct Sorted {
  std::vector<int32_t> chosen, offsets, rows, slots, position;

  Sorted(int64_t tokens, int64_t experts, int64_t topK) {
    Random random(3);
    for (int64_t a = 0; a < tokens * topK; ++a) {
      double place = random.uniform(0, 1);
      chosen.push_back(int32_t(place * place * double(experts)) / 3 * 3); // two experts of three stay empty
    }
    offsets.resize(size_t(experts) + 1);
    for (std::vector<int32_t> *values : {&rows, &slots, &position})
      values->resize(chosen.size());
    moire_reference_dispatch(tokens, experts, topK, chosen.data(), offsets.data(), rows.data(), slots.data(),
                             position.data());
  }
};

TEST(Dispatch, AgreesWithTheOracleOnAnyNumberOfThreads) {
  const int64_t sizes[][3] = {{1, 1, 1}, {5, 9, 3}, {300, 16, 2}, {7000, 130, 3}};
  int32_t before = moire_threads();
  for (auto [tokens, experts, topK] : sizes)
    for (int32_t threads : {1, 2, 3, 5}) {
      moire_set_threads(threads);
      Sorted expected(tokens, experts, topK), actual = expected;
      for (std::vector<int32_t> *values : {&actual.offsets, &actual.rows, &actual.slots, &actual.position})
        std::fill(values->begin(), values->end(), -1);
      moire_dispatch(tokens, experts, topK, actual.chosen.data(), actual.offsets.data(), actual.rows.data(),
                     actual.slots.data(), actual.position.data());
      EXPECT_EQ(actual.offsets, expected.offsets);
      EXPECT_EQ(actual.rows, expected.rows);
      EXPECT_EQ(actual.slots, expected.slots);
      EXPECT_EQ(actual.position, expected.position);
    }
  moire_set_threads(before);
}

/// Assignments of which some have no row: null choices, and what is above a limit.
struct Limited {
  std::vector<int32_t> chosen, offsets, rows, slots, position;
  std::vector<float> gates;

  Limited(int64_t tokens, int64_t experts, int64_t topK, int64_t nulls) {
    Random random(5);
    for (int64_t a = 0; a < tokens * topK; ++a)
      chosen.push_back(int32_t(random.uniform(0, double(experts + nulls))));
    gates = random.vector<float>(tokens * topK, 0, 1);
    for (float &gate : gates)
      gate = std::round(gate * 16) / 16; // ties
    offsets.assign(size_t(experts) + 1, -7);
    rows = slots = position = std::vector<int32_t>(chosen.size(), -7);
  }
  void run(bool fast, int64_t tokens, int64_t experts, int64_t topK, int64_t limit, float threshold = -1) {
    auto call = fast ? moire_dispatch_limited_f32 : moire_reference_dispatch_limited_f32;
    call(tokens, experts, topK, limit, threshold, chosen.data(), gates.data(), offsets.data(), rows.data(),
         slots.data(), position.data());
  }
};

TEST(DispatchLimited, AgreesWithTheOracle) {
  const int64_t sizes[][5] = {{1, 1, 1, 0, 1},   {7, 3, 2, 0, 2},     {50, 8, 2, 3, 6},      {64, 8, 1, 0, -1},
                              {40, 5, 3, 2, -1}, {300, 16, 4, 0, 75}, {3000, 7, 4, 2, 1300}, {9001, 5, 1, 1, -1}};
  int32_t before = moire_threads();
  for (auto [tokens, experts, topK, nulls, limit] : sizes)
    for (int32_t threads : {1, 2, 3}) {
      SCOPED_TRACE(testing::Message() << tokens << " tokens, limit " << limit << ", " << threads << " threads");
      moire_set_threads(threads);
      Limited fast(tokens, experts, topK, nulls), slow = fast;
      const float threshold = tokens % 3 == 0 ? 0.25f : -1; // a gate that occurs, so that ties are seen
      fast.run(true, tokens, experts, topK, limit, threshold);
      slow.run(false, tokens, experts, topK, limit, threshold);
      EXPECT_EQ(fast.offsets, slow.offsets);
      EXPECT_EQ(fast.rows, slow.rows);
      EXPECT_EQ(fast.slots, slow.slots);
      EXPECT_EQ(fast.position, slow.position);
    }
  moire_set_threads(before);
}

TEST(DispatchLimited, KeepsTheLargestGatesAndTheEarlierOfEqualOnes) {
  Limited r(5, 2, 1, 0);
  r.chosen = {0, 0, 1, 0, 0};
  r.gates = {0.5f, 0.25f, 0.125f, 0.5f, 0.5f};
  for (bool fast : {false, true}) {
    r.run(fast, 5, 2, 1, 2);
    EXPECT_EQ(r.offsets, (std::vector<int32_t>{0, 2, 3}));
    EXPECT_EQ(r.position, (std::vector<int32_t>{0, -1, 2, 1, -1}));
    EXPECT_EQ(r.rows, (std::vector<int32_t>{0, 3, 2, 0, 0}));
  }
}

TEST(DispatchLimited, LeavesOutGatesThatAreNotAboveTheThresholdBeforeItLimits) {
  Limited r(5, 2, 1, 0);
  r.chosen = {0, 0, 1, 0, 0};
  r.gates = {0.5f, 0.25f, 0.125f, 0.75f, 0.5f};
  for (bool fast : {false, true}) {
    r.run(fast, 5, 2, 1, -1, 0.25f);
    EXPECT_EQ(r.offsets, (std::vector<int32_t>{0, 3, 3}));
    EXPECT_EQ(r.position, (std::vector<int32_t>{0, -1, -1, 1, 2}));
    r.run(fast, 5, 2, 1, 1, 0.25f);
    EXPECT_EQ(r.position, (std::vector<int32_t>{-1, -1, -1, 0, -1}));
  }
}

TEST(Assign, AgreesWithTheOracleAndNamesNoExpertTwice) {
  const int64_t sizes[][4] = {{1, 1, 1, 1}, {2, 33, 8, 3}, {3, 1500, 64, 6}, {2, 7, 5, 5}};
  for (auto [batch, time, experts, topK] : sizes)
    for (bool hash : {false, true}) {
      std::vector<int32_t> tokens, fast(size_t(batch * time * topK)), slow = fast;
      for (int64_t t = 0; t < batch * time; ++t)
        tokens.push_back(int32_t(t * 37 % 101));
      moire_assign(batch, time, experts, topK, 4, hash ? tokens.data() : nullptr, fast.data());
      moire_reference_assign(batch, time, experts, topK, 4, hash ? tokens.data() : nullptr, slow.data());
      EXPECT_EQ(fast, slow);
      for (int64_t t = 0; t < batch * time; ++t)
        EXPECT_EQ(int64_t(std::set<int32_t>(&fast[t * topK], &fast[t * topK] + topK).size()), topK);
    }
}

TEST(SequenceBalance, AgreesWithTheOracleOnAnyNumberOfThreads) {
  int64_t sequences = 5, time = 300, experts = 9, topK = 2;
  Route<F32> r(sequences * time, experts, topK, {2, 1});
  r.forward();
  std::vector<float> load(size_t(sequences * experts)), slowLoad = load, dprobs(r.probs.size()), slow = dprobs;
  float loss = 0, slowLoss = 0, first = 0, dloss = 0.7f;
  moire_reference_choice_load_f32(sequences, time * topK, experts, r.chosen.data(), slowLoad.data());
  moire_reference_sequence_balance_f32(sequences, time, experts, 0.3f, r.probs.data(), slowLoad.data(), &slowLoss);
  moire_reference_sequence_balance_backward_f32(sequences, time, experts, 0.3f, &dloss, slowLoad.data(), slow.data());
  int32_t before = moire_threads();
  for (int32_t threads : {1, 2, 3}) {
    moire_set_threads(threads);
    moire_choice_load_f32(sequences, time * topK, experts, r.chosen.data(), load.data());
    moire_sequence_balance_f32(sequences, time, experts, 0.3f, r.probs.data(), load.data(), &loss);
    moire_sequence_balance_backward_f32(sequences, time, experts, 0.3f, &dloss, load.data(), dprobs.data());
    EXPECT_EQ(load, slowLoad);
    EXPECT_NEAR(loss, slowLoss, 1e-6);
    first = threads == 1 ? loss : first;
    EXPECT_EQ(loss, first);
    expectClose(dprobs, slow, "dprobs");
  }
  moire_set_threads(before);
}

MOIRE_CALLS(gather, gather_rows)
MOIRE_CALLS(gatherBackward, gather_rows_backward)
MOIRE_CALLS(combine, combine)
MOIRE_CALLS(combineBackward, combine_backward)

/// Rows of `tokens` tokens on their way to the experts and back, with gaps between rows.
template <typename T> struct Rows {
  using X = typename T::X;
  using S = typename T::S;
  int64_t tokens, topK, width, ld, count;
  Sorted sorted;
  std::vector<X> perToken, perRow, gathered, gatheredBack, combined, dperRow;
  std::vector<S> weights, dweights;

  /// With `drop` every third assignment has no row.
  Rows(int64_t tokens, int64_t topK, int64_t width, int64_t gap, bool drop = false)
      : tokens(tokens), topK(topK), width(width), ld(width + gap), count(tokens * topK), sorted(tokens, 12, topK) {
    Random random(11);
    perToken = random.vector<X>(tokens * ld);
    perRow = random.vector<X>(count * ld);
    weights = random.vector<S>(count);
    gathered = dperRow = std::vector<X>(perRow.size());
    gatheredBack = combined = std::vector<X>(perToken.size());
    dweights.resize(weights.size());
    for (int64_t a = 0; a < count && drop; a += 3)
      sorted.position[a] = -1;
  }

  void run(bool fast) {
    const int32_t *position = sorted.position.data();
    gather(fast, T(), count, width, sorted.rows.data(), perToken.data(), ld, gathered.data(), ld);
    gatherBackward(fast, T(), tokens, topK, width, position, perRow.data(), ld, gatheredBack.data(), ld);
    combine(fast, T(), tokens, topK, width, position, weights.data(), perRow.data(), ld, combined.data(), ld);
    combineBackward(fast, T(), tokens, topK, width, position, weights.data(), perRow.data(), ld, perToken.data(), ld,
                    dperRow.data(), ld, dweights.data());
  }
};

template <typename T> class RowsTest : public testing::Test {};
TYPED_TEST_SUITE(RowsTest, AllTypes, );

TYPED_TEST(RowsTest, AgreesWithTheOracle) {
  const int64_t sizes[][4] = {{1, 1, 1, 0}, {7, 3, 5, 2}, {50, 2, 33, 1}, {20, 8, 256, 0}};
  for (auto [tokens, topK, width, gap] : sizes)
    for (bool drop : {false, true}) {
      SCOPED_TRACE(testing::Message() << tokens << " tokens, top " << topK << ", width " << width);
      Rows<TypeParam> fast(tokens, topK, width, gap, drop), slow = fast;
      fast.run(true);
      slow.run(false);
      EXPECT_EQ(fast.gathered, slow.gathered);
      expectClose(fast.gatheredBack, slow.gatheredBack, "gather backward");
      expectClose(fast.combined, slow.combined, "combine");
      expectClose(fast.dperRow, slow.dperRow, "dx of combine");
      expectClose(fast.dweights, slow.dweights, "dweights");
    }
}

TYPED_TEST(RowsTest, UnwantedGradientsAreLeftAlone) {
  using X = typename TypeParam::X;
  using S = typename TypeParam::S;
  Rows<TypeParam> rows(9, 2, 20, 0), expected = rows;
  expected.run(true);
  const int32_t *position = rows.sorted.position.data();
  combineBackward(true, TypeParam(), 9, 2, 20, position, rows.weights.data(), rows.perRow.data(), 20,
                  rows.perToken.data(), 20, static_cast<X *>(nullptr), 20, rows.dweights.data());
  EXPECT_EQ(rows.dweights, expected.dweights);
  combineBackward(true, TypeParam(), 9, 2, 20, position, rows.weights.data(), rows.perRow.data(), 20,
                  rows.perToken.data(), 20, rows.dperRow.data(), 20, static_cast<S *>(nullptr));
  EXPECT_EQ(rows.dperRow, expected.dperRow);
}

TYPED_TEST(RowsTest, BitsDoNotDependOnThreads) {
  expectSameBits([] {
    Rows<TypeParam> rows(500, 3, 130, 1);
    rows.run(true);
    std::vector<unsigned char> bytes;
    for (const auto *values : {&rows.gathered, &rows.gatheredBack, &rows.combined, &rows.dperRow})
      appendBytes(bytes, *values);
    appendBytes(bytes, rows.dweights);
    return bytes;
  });
}

TEST(CombineOracle, GradientsAgreeWithFiniteDifferences) {
  Rows<F64> r(5, 2, 3, 0), run = r;
  r.run(false);
  auto loss = [&] {
    run.run(false);
    return inner(run.combined, run.perToken); // perToken serves as the gradient of the result
  };
  expectGradient(run.perRow, r.dperRow, loss, "dx");
  expectGradient(run.weights, r.dweights, loss, "dweights");
}

} // namespace
