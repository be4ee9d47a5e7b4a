//===- test/kernels/GroupsTest.cpp - groups of sequences -----------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Mixtures of tokens and expert choice against their oracles over odd sizes, the toy of the papers, and the oracle's
// gradients against finite differences.
//===----------------------------------------------------------------------===//
#include "test/kernels/TestData.h"

using namespace moire::test;

namespace {

MOIRE_FULL_CALLS(softmax, group_softmax)
MOIRE_FULL_CALLS(softmaxBackward, group_softmax_backward)
MOIRE_FULL_CALLS(choose, choose_tokens)
MOIRE_CALLS(mix, mix)
MOIRE_CALLS(unmix, unmix)
MOIRE_CALLS(mixWeights, mix_weights)

struct Shape {
  int64_t batch, time, experts, group;
};
const Shape shapes[] = {{1, 1, 1, 1}, {4, 3, 5, 2}, {6, 5, 70, 3}, {16, 7, 33, 16}, {64, 2, 128, 32}, {12, 9, 1, 4}};

/// Softmax over groups, and its gradient.
template <typename T> struct Softmax {
  using S = typename T::S;
  Shape z;
  std::vector<S> logits, weights, dweights, dlogits;

  explicit Softmax(Shape z) : z(z) {
    Random random(5);
    int64_t count = z.batch * z.time * z.experts;
    logits = random.vector<S>(count, -4, 4);
    dweights = random.vector<S>(count);
    weights = dlogits = std::vector<S>(logits.size());
  }

  void run(bool fast) {
    softmax(fast, T(), z.batch, z.time, z.experts, z.group, logits.data(), weights.data());
    softmaxBackward(fast, T(), z.batch, z.time, z.experts, z.group, weights.data(), dweights.data(), dlogits.data());
  }
};

template <typename T> class GroupSoftmaxTest : public testing::Test {};
using ScoreTypes = testing::Types<F32, F64>;
TYPED_TEST_SUITE(GroupSoftmaxTest, ScoreTypes, );

TYPED_TEST(GroupSoftmaxTest, AgreesWithTheOracle) {
  for (Shape z : shapes) {
    SCOPED_TRACE(testing::Message() << z.batch << " sequences in groups of " << z.group << ", experts " << z.experts);
    Softmax<TypeParam> fast(z), slow = fast;
    fast.run(true);
    slow.run(false);
    expectClose(fast.weights, slow.weights, "weights");
    expectClose(fast.dlogits, slow.dlogits, "dlogits");
  }
}

TYPED_TEST(GroupSoftmaxTest, WeightsOfAnExpertAddUpToOne) {
  Shape z{8, 3, 20, 4};
  Softmax<TypeParam> s(z);
  s.run(true);
  for (int64_t n = 0; n < z.batch / z.group * z.time; ++n)
    for (int64_t e = 0; e < z.experts; ++e) {
      double sum = 0;
      for (int64_t i = 0; i < z.group; ++i)
        sum += double(s.weights[((n / z.time * z.group + i) * z.time + n % z.time) * z.experts + e]);
      EXPECT_NEAR(sum, 1, 1e-6);
    }
}

TYPED_TEST(GroupSoftmaxTest, BitsDoNotDependOnThreads) {
  expectSameBits([] {
    Softmax<TypeParam> s({32, 25, 40, 8});
    s.run(true);
    std::vector<unsigned char> bytes;
    appendBytes(bytes, s.weights);
    appendBytes(bytes, s.dlogits);
    return bytes;
  });
}

TEST(GroupSoftmaxOracle, GradientsAgreeWithFiniteDifferences) {
  Softmax<F64> s({6, 2, 3, 3}), run = s;
  s.run(false);
  auto loss = [&] {
    run.run(false);
    return inner(run.weights, run.dweights);
  };
  expectGradient(run.logits, s.dlogits, loss, "dlogits");
}

/// The choice of every expert.
template <typename T> struct Choice {
  using S = typename T::S;
  Shape z;
  int64_t count;
  std::vector<S> scores;
  std::vector<int32_t> offsets, rows, position;

  Choice(Shape z, int64_t count, bool ties) : z(z), count(count) {
    scores = Random(9).vector<S>(z.batch * z.time * z.experts, 0, 1);
    if (ties)
      for (S &score : scores)
        score = std::round(score * 3);
    offsets.resize(size_t(z.experts) + 1);
    rows.resize(size_t(z.batch / z.group * z.time * z.experts * count));
    position.resize(scores.size());
  }

  void run(bool fast) {
    choose(fast, T(), z.batch, z.time, z.experts, z.group, count, scores.data(), offsets.data(), rows.data(),
           position.data());
  }
};

template <typename T> class ChooseTokensTest : public testing::Test {};
TYPED_TEST_SUITE(ChooseTokensTest, ScoreTypes, );

TYPED_TEST(ChooseTokensTest, AgreesWithTheOracle) {
  for (Shape z : shapes)
    for (int64_t count : {int64_t(1), (z.group + 1) / 2, z.group})
      for (bool ties : {false, true}) {
        SCOPED_TRACE(testing::Message() << count << " of groups of " << z.group << ", experts " << z.experts);
        Choice<TypeParam> fast(z, count, ties), slow = fast;
        fast.run(true);
        slow.run(false);
        EXPECT_EQ(fast.offsets, slow.offsets);
        EXPECT_EQ(fast.rows, slow.rows);
        EXPECT_EQ(fast.position, slow.position);
      }
}

TYPED_TEST(ChooseTokensTest, TiesGoToTheLowerMemberAndMinusInfinityComesLast) {
  // One position, four sequences, one expert.
  Choice<TypeParam> c({4, 1, 1, 4}, 2, false);
  c.scores = {1, 2, 2, 2};
  c.run(true);
  EXPECT_EQ(c.rows, (std::vector<int32_t>{1, 2}));
  EXPECT_EQ(c.position, (std::vector<int32_t>{-1, 0, 1, -1}));
  typename TypeParam::S none = -std::numeric_limits<typename TypeParam::S>::infinity();
  c.scores = {none, none, none, 0};
  c.run(true);
  EXPECT_EQ(c.rows, (std::vector<int32_t>{0, 3}));
}

TYPED_TEST(ChooseTokensTest, AGroupOfOneGivesEveryTokenToEveryExpert) {
  Choice<TypeParam> c({2, 3, 4, 1}, 1, false);
  c.run(true);
  for (int32_t token = 0; token < 6; ++token)
    for (int32_t e = 0; e < 4; ++e) {
      EXPECT_EQ(c.position[size_t(token * 4 + e)], e * 6 + token);
      EXPECT_EQ(c.rows[size_t(e * 6 + token)], token);
    }
}

TYPED_TEST(ChooseTokensTest, ThreadsMakeNoDifference) {
  expectSameBits([] {
    Choice<TypeParam> c({32, 25, 40, 16}, 3, false);
    c.run(true);
    std::vector<unsigned char> bytes;
    appendBytes(bytes, c.rows);
    appendBytes(bytes, c.position);
    return bytes;
  });
}

/// A mixture and its redistribution, with gaps between rows.
template <typename T> struct Mixture {
  using X = typename T::X;
  using S = typename T::S;
  Shape z;
  int64_t width, ld, groups;
  std::vector<S> weights, dweights;
  std::vector<X> x, m, mixed, unmixed;

  Mixture(Shape z, int64_t width, int64_t gap) : z(z), width(width), ld(width + gap) {
    groups = z.batch / z.group * z.time;
    Random random(13);
    weights = random.vector<S>(z.batch * z.time * z.experts, 0, 1);
    x = random.vector<X>(z.batch * z.time * ld);
    m = random.vector<X>(z.experts * groups * ld);
    dweights.resize(weights.size());
    mixed.resize(m.size());
    unmixed.resize(x.size());
  }

  void run(bool fast) {
    mix(fast, T(), z.batch, z.time, z.experts, z.group, width, weights.data(), x.data(), ld, mixed.data(), ld);
    unmix(fast, T(), z.batch, z.time, z.experts, z.group, width, weights.data(), m.data(), ld, unmixed.data(), ld);
    mixWeights(fast, T(), z.batch, z.time, z.experts, z.group, width, x.data(), ld, m.data(), ld, dweights.data());
  }
};

template <typename T> class MixtureTest : public testing::Test {};
TYPED_TEST_SUITE(MixtureTest, AllTypes, );

TYPED_TEST(MixtureTest, AgreesWithTheOracle) {
  for (Shape z : shapes)
    for (int64_t width : {1, 5, 33, 64})
      for (int64_t gap : {0, 3}) {
        SCOPED_TRACE(testing::Message() << "groups of " << z.group << ", experts " << z.experts << ", width " << width);
        Mixture<TypeParam> fast(z, width, gap), slow = fast;
        fast.run(true);
        slow.run(false);
        expectClose(fast.mixed, slow.mixed, "mix");
        expectClose(fast.unmixed, slow.unmixed, "unmix");
        expectClose(fast.dweights, slow.dweights, "weights");
      }
}

TYPED_TEST(MixtureTest, BitsDoNotDependOnThreads) {
  expectSameBits([] {
    Mixture<TypeParam> mixture({24, 11, 50, 8}, 70, 2);
    mixture.run(true);
    std::vector<unsigned char> bytes;
    appendBytes(bytes, mixture.mixed);
    appendBytes(bytes, mixture.unmixed);
    appendBytes(bytes, mixture.dweights);
    return bytes;
  });
}

TEST(MixtureOracle, GradientsAgreeWithFiniteDifferences) {
  // unmix is the gradient of mix for x, and mix_weights that for the weights; m serves as the gradient of the result.
  Mixture<F64> r({4, 2, 3, 2}, 5, 0), run = r;
  r.run(false);
  auto loss = [&] {
    run.run(false);
    return inner(run.mixed, run.m);
  };
  expectGradient(run.x, r.unmixed, loss, "dx");
  expectGradient(run.weights, r.dweights, loss, "dweights");
}

TYPED_TEST(GroupSoftmaxTest, TheToyOfThePaper) {
  // Two tokens of width 2 in one group, two experts whose product is the token times 1 and 2, at two temperatures.
  using S = typename TypeParam::S;
  struct Case {
    double temperature, weights[4], updates[4];
  };
  const Case cases[] = {
      {1, {0.731059, 0.119203, 0.268941, 0.880797}, {0.562865, 0.813198, 0.406599, 3.247873}},
      {0.5, {0.880797, 0.017986, 0.119203, 0.982014}, {0.776451, 0.280638, 0.140319, 3.885823}},
  };
  const std::vector<S> x{1, 0, 0, 2};
  for (const Case &c : cases)
    for (bool fast : {false, true}) {
      std::vector<S> logits(x), weights(4), m(4), updates(4);
      for (S &logit : logits)
        logit /= S(c.temperature);
      softmax(fast, TypeParam(), 2, 1, 2, 2, logits.data(), weights.data());
      mix(fast, TypeParam(), 2, 1, 2, 2, 2, weights.data(), x.data(), 2, m.data(), 2);
      for (int64_t i = 0; i < 4; ++i)
        m[size_t(i)] *= S(i / 2 + 1);
      unmix(fast, TypeParam(), 2, 1, 2, 2, 2, weights.data(), m.data(), 2, updates.data(), 2);
      for (size_t i = 0; i < 4; ++i) {
        EXPECT_NEAR(weights[i], c.weights[i], 1e-6);
        EXPECT_NEAR(updates[i], c.updates[i], 1e-6);
      }
    }
}

} // namespace
