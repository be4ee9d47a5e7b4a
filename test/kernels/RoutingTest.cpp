//===- test/kernels/RoutingTest.cpp - routing ----------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The router, the sort by expert and the row moves against their oracles, with
// ties, empty experts and odd sizes; the oracle's gradients against finite differences.
//===----------------------------------------------------------------------===//
#include "kernels/include/Reference.h"
#include "test/kernels/TestData.h"

using namespace moire::test;

namespace {

#define MOIRE_ROUTE_CALLS(TYPES, SUFFIX)                                                                               \
  template <typename... Arguments> void route(TYPES, Arguments... arguments) { moire_route_##SUFFIX(arguments...); }   \
  template <typename... Arguments> void routeBackward(TYPES, Arguments... arguments) {                                 \
    moire_route_backward_##SUFFIX(arguments...);                                                                       \
  }                                                                                                                    \
  template <typename... Arguments> void referenceRoute(TYPES, Arguments... arguments) {                                \
    moire_reference_route_##SUFFIX(arguments...);                                                                      \
  }                                                                                                                    \
  template <typename... Arguments> void referenceRouteBackward(TYPES, Arguments... arguments) {                        \
    moire_reference_route_backward_##SUFFIX(arguments...);                                                             \
  }
MOIRE_ROUTE_CALLS(F32, f32)
MOIRE_ROUTE_CALLS(F64, f64)

/// Inputs and outputs of one router.
template <typename T> struct Route {
  using S = typename T::S;
  int64_t tokens, experts, topK;
  int32_t order, renormalize;
  std::vector<S> logits, probs, weights, dweights, dprobs, dlogits;
  std::vector<int32_t> chosen;

  Route(int64_t tokens, int64_t experts, int64_t topK, int32_t order, int32_t renormalize, bool ties = false)
      : tokens(tokens), experts(experts), topK(topK), order(order), renormalize(renormalize) {
    Random random(7);
    logits = random.vector<S>(tokens * experts, -4, 4);
    if (ties)
      for (S &logit : logits)
        logit = std::round(logit / 2);
    dweights = random.vector<S>(tokens * topK);
    dprobs = random.vector<S>(tokens * experts);
    probs.resize(logits.size());
    dlogits.resize(logits.size());
    weights.resize(dweights.size());
    chosen.resize(dweights.size());
  }

  void forward() {
    route(T(), tokens, experts, topK, order, renormalize, logits.data(), probs.data(), weights.data(), chosen.data());
  }
  void referenceForward() {
    referenceRoute(T(), tokens, experts, topK, order, renormalize, logits.data(), probs.data(), weights.data(),
                   chosen.data());
  }
  void backward(bool fromWeights, bool fromProbs) {
    routeBackward(T(), tokens, experts, topK, order, renormalize, probs.data(), weights.data(), chosen.data(),
                  fromWeights ? dweights.data() : nullptr, fromProbs ? dprobs.data() : nullptr, dlogits.data());
  }
  void referenceBackward(bool fromWeights, bool fromProbs) {
    referenceRouteBackward(T(), tokens, experts, topK, order, renormalize, probs.data(), weights.data(), chosen.data(),
                           fromWeights ? dweights.data() : nullptr, fromProbs ? dprobs.data() : nullptr,
                           dlogits.data());
  }
};

struct Variant {
  int32_t order, renormalize;
};
const Variant variants[] = {{0, 0}, {0, 1}, {1, 0}};

template <typename T> class RouteTest : public testing::Test {};
using RouteTypes = testing::Types<F32, F64>;
TYPED_TEST_SUITE(RouteTest, RouteTypes, );

TYPED_TEST(RouteTest, AgreesWithTheOracle) {
  const int64_t sizes[][3] = {{1, 1, 1}, {5, 3, 2}, {70, 16, 1}, {33, 17, 17}, {40, 64, 6}, {9, 100, 8}, {65, 512, 16}};
  for (auto [tokens, experts, topK] : sizes)
    for (Variant variant : variants)
      for (bool ties : {false, true}) {
        SCOPED_TRACE(testing::Message() << experts << " experts, top " << topK << ", order " << variant.order);
        Route<TypeParam> fast(tokens, experts, topK, variant.order, variant.renormalize, ties), slow = fast;
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

TYPED_TEST(RouteTest, TiesGoToTheLowerExpert) {
  Route<TypeParam> r(1, 40, 5, 0, 0);
  std::fill(r.logits.begin(), r.logits.end(), 0);
  r.logits[39] = r.logits[3] = 1;
  r.forward();
  EXPECT_EQ(r.chosen, (std::vector<int32_t>{3, 39, 0, 1, 2}));
}

TYPED_TEST(RouteTest, MaskedExpertsAreChosenLastAndOnce) {
  Route<TypeParam> r(1, 20, 4, 0, 0);
  std::fill(r.logits.begin(), r.logits.end(), -std::numeric_limits<typename TypeParam::S>::infinity());
  r.logits[1] = 2;
  r.logits[18] = 3;
  r.forward();
  EXPECT_EQ(r.chosen, (std::vector<int32_t>{18, 1, 0, 2}));
  EXPECT_EQ(r.weights[2], 0);
}

TYPED_TEST(RouteTest, BothOrdersOfThePapersToy) {
  Route<TypeParam> first(1, 4, 2, 0, 0);
  first.logits = {2, 1, 0, -1};
  Route<TypeParam> second = first, renormalized = first;
  second.order = 1;
  renormalized.renormalize = 1;
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
      Route<TypeParam> r(301, 48, 6, variant.order, variant.renormalize);
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
    SCOPED_TRACE(testing::Message() << "order " << variant.order << ", renormalize " << variant.renormalize);
    Route<F64> r(3, 7, 3, variant.order, variant.renormalize), run = r;
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

#define MOIRE_ROWS_CALLS(TYPES, SUFFIX)                                                                                \
  template <typename... A> void gather(bool fast, TYPES, A... a) {                                                     \
    fast ? moire_gather_rows_##SUFFIX(a...) : moire_reference_gather_rows_##SUFFIX(a...);                              \
  }                                                                                                                    \
  template <typename... A> void gatherBackward(bool fast, TYPES, A... a) {                                             \
    fast ? moire_gather_rows_backward_##SUFFIX(a...) : moire_reference_gather_rows_backward_##SUFFIX(a...);            \
  }                                                                                                                    \
  template <typename... A> void combine(bool fast, TYPES, A... a) {                                                    \
    fast ? moire_combine_##SUFFIX(a...) : moire_reference_combine_##SUFFIX(a...);                                      \
  }                                                                                                                    \
  template <typename... A> void combineBackward(bool fast, TYPES, A... a) {                                            \
    fast ? moire_combine_backward_##SUFFIX(a...) : moire_reference_combine_backward_##SUFFIX(a...);                    \
  }
MOIRE_ROWS_CALLS(F32, f32)
MOIRE_ROWS_CALLS(F64, f64)
MOIRE_ROWS_CALLS(Bf16, bf16)

/// Rows of `tokens` tokens on their way to the experts and back, with gaps between rows.
template <typename T> struct Rows {
  using X = typename T::X;
  using S = typename T::S;
  int64_t tokens, topK, width, ld, count;
  Sorted sorted;
  std::vector<X> perToken, perRow, gathered, gatheredBack, combined, dperRow;
  std::vector<S> weights, dweights;

  Rows(int64_t tokens, int64_t topK, int64_t width, int64_t gap)
      : tokens(tokens), topK(topK), width(width), ld(width + gap), count(tokens * topK), sorted(tokens, 12, topK) {
    Random random(11);
    perToken = random.vector<X>(tokens * ld);
    perRow = random.vector<X>(count * ld);
    weights = random.vector<S>(count);
    gathered = dperRow = std::vector<X>(perRow.size());
    gatheredBack = combined = std::vector<X>(perToken.size());
    dweights.resize(weights.size());
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
  for (auto [tokens, topK, width, gap] : sizes) {
    SCOPED_TRACE(testing::Message() << tokens << " tokens, top " << topK << ", width " << width);
    Rows<TypeParam> fast(tokens, topK, width, gap), slow = fast;
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
