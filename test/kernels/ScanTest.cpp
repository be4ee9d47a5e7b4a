//===- test/kernels/ScanTest.cpp - the selective scan -------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Fast scans against the oracle over odd sizes and strides, bits that do not
// depend on threads, the oracle's gradients against finite differences.
//===----------------------------------------------------------------------===//
#include "test/kernels/TestData.h"

using namespace moire::test;

namespace {

MOIRE_CALLS(scan, scan)
MOIRE_CALLS(scanBackward, scan_backward)

/// Inputs and outputs of one scan; rows of u, b, c and of their gradients are `gap` longer than needed.
template <typename T> struct Scan {
  using X = typename T::X;
  using S = typename T::S;
  int64_t batch, time, channels, state, uStride, stateStride;
  std::vector<X> u, b, c, dy, y, du, db, dc;
  std::vector<S> dt, a, d, initial, finalState, states, ddt, da, dd, workspace;
  std::vector<int32_t> ages; ///< empty: no documents

  Scan(int64_t batch, int64_t time, int64_t channels, int64_t state, int64_t gap, uint64_t seed = 1)
      : batch(batch), time(time), channels(channels), state(state), uStride(channels + gap), stateStride(state + gap) {
    Random random(seed);
    int64_t rows = batch * time;
    u = random.vector<X>(rows * uStride);
    b = random.vector<X>(rows * stateStride);
    c = random.vector<X>(rows * stateStride);
    dy = random.vector<X>(rows * channels);
    dt = random.vector<S>(rows * channels, 0.001, 0.3);
    a = random.vector<S>(channels * state, -16, -0.1);
    d = random.vector<S>(channels);
    initial = random.vector<S>(batch * channels * state);
    // Filled, so that what a kernel must not touch (the gaps) is compared too.
    y = random.vector<X>(rows * channels);
    du = random.vector<X>(rows * uStride);
    db = random.vector<X>(rows * stateStride);
    dc = random.vector<X>(rows * stateStride);
    ddt = random.vector<S>(rows * channels);
    da = random.vector<S>(channels * state);
    dd = random.vector<S>(channels);
    finalState = random.vector<S>(batch * channels * state);
    states.resize(size_t(moire_scan_states(batch, time, channels, state)));
    workspace.resize(size_t(moire_scan_backward_workspace(batch, time, channels, state)));
  }

  const int32_t *agesOrNull() const { return ages.empty() ? nullptr : ages.data(); }
  void forward(bool fast, bool fromZero) {
    scan(fast, T(), batch, time, channels, state, u.data(), uStride, dt.data(), a.data(), b.data(), stateStride,
         c.data(), stateStride, d.data(), agesOrNull(), fromZero ? nullptr : initial.data(), y.data(),
         finalState.data(), states.data());
  }
  void backward(bool fast) {
    scanBackward(fast, T(), batch, time, channels, state, u.data(), uStride, dt.data(), a.data(), b.data(), stateStride,
                 c.data(), stateStride, d.data(), agesOrNull(), states.data(), dy.data(), du.data(), uStride,
                 ddt.data(), da.data(), db.data(), stateStride, dc.data(), stateStride, dd.data(), workspace.data());
  }
  void forward(bool fromZero) { forward(true, fromZero); }
  void referenceForward(bool fromZero) { forward(false, fromZero); }
  void backward() { backward(true); }
  void referenceBackward() { backward(false); }

  std::vector<unsigned char> bytes() const {
    std::vector<unsigned char> all;
    for (const std::vector<X> *values : {&y, &du, &db, &dc})
      appendBytes(all, *values);
    for (const std::vector<S> *values : {&finalState, &states, &ddt, &da, &dd})
      appendBytes(all, *values);
    return all;
  }
};

struct Size {
  int64_t batch, time, channels, state, gap;
};
const Size sizes[] = {{1, 1, 1, 1, 0},      {2, 5, 3, 2, 1},     {1, 64, 16, 16, 0},
                      {2, 65, 33, 16, 3},   {3, 130, 129, 7, 5}, {1, 200, 47, 20, 2},
                      {2, 63, 272, 16, 16}, {1, 70, 20, 64, 1},  {1, 3, 300, 13, 0}};

template <typename T> class ScanTest : public testing::Test {};
TYPED_TEST_SUITE(ScanTest, AllTypes, );

TYPED_TEST(ScanTest, ForwardAgreesWithTheOracle) {
  for (const Size &size : sizes)
    for (bool fromZero : {false, true}) {
      SCOPED_TRACE(testing::Message() << "time " << size.time << ", channels " << size.channels << ", state "
                                      << size.state);
      Scan<TypeParam> fast(size.batch, size.time, size.channels, size.state, size.gap), slow = fast;
      fast.forward(fromZero);
      slow.referenceForward(fromZero);
      expectClose(fast.y, slow.y, "y");
      expectClose(fast.finalState, slow.finalState, "final");
      expectClose(fast.states, slow.states, "states");
    }
}

template <typename T> void expectGradients(Scan<T> &fast, Scan<T> &slow) {
  fast.backward();
  slow.referenceBackward();
  expectClose(fast.du, slow.du, "du");
  expectClose(fast.ddt, slow.ddt, "ddt");
  expectClose(fast.da, slow.da, "da");
  expectClose(fast.db, slow.db, "db");
  expectClose(fast.dc, slow.dc, "dc");
  expectClose(fast.dd, slow.dd, "dd");
}

TYPED_TEST(ScanTest, BackwardAgreesWithTheOracle) {
  for (const Size &size : sizes) {
    SCOPED_TRACE(testing::Message() << "time " << size.time << ", channels " << size.channels << ", state "
                                    << size.state);
    Scan<TypeParam> fast(size.batch, size.time, size.channels, size.state, size.gap), slow = fast;
    fast.forward(true);
    expectGradients(fast, slow);
  }
}

TYPED_TEST(ScanTest, BitsDoNotDependOnThreads) {
  expectSameBits([] {
    Scan<TypeParam> scan(3, 100, 300, 16, 2);
    scan.ages = documentKinds[6].ages(3, 100);
    scan.forward(true);
    scan.backward();
    return scan.bytes();
  });
}

template <typename TypeParam> void expectStepsEqualTheWhole(const std::vector<int32_t> &ages) {
  Scan<TypeParam> whole(2, 70, 37, 16, 0), steps = whole;
  whole.ages = ages;
  whole.forward(false);
  using S = typename TypeParam::S;
  std::vector<S> h = steps.initial;
  for (int64_t t = 0; t < steps.time; ++t)
    for (int64_t i = 0; i < steps.batch; ++i) {
      int64_t row = i * steps.time + t;
      S *state = h.data() + i * steps.channels * steps.state; // initial and final in the same memory
      scan(true, TypeParam(), 1, 1, steps.channels, steps.state, steps.u.data() + row * steps.uStride, steps.uStride,
           steps.dt.data() + row * steps.channels, steps.a.data(), steps.b.data() + row * steps.stateStride,
           steps.stateStride, steps.c.data() + row * steps.stateStride, steps.stateStride, steps.d.data(),
           ages.empty() ? nullptr : &ages[size_t(row)], state, steps.y.data() + row * steps.channels, state,
           static_cast<S *>(nullptr));
    }
  EXPECT_EQ(steps.y, whole.y);
  EXPECT_EQ(h, whole.finalState);
}

TYPED_TEST(ScanTest, StepByStepEqualsTheWholeSequence) {
  forContinuedDocuments(2, 70, [](const std::vector<int32_t> &ages) { expectStepsEqualTheWhole<TypeParam>(ages); });
}

TYPED_TEST(ScanTest, DocumentsAgreeWithTheOracle) {
  for (const Documents &kind : documentKinds)
    for (const Size &size : sizes) {
      SCOPED_TRACE(testing::Message() << kind.name << ", time " << size.time << ", channels " << size.channels);
      Scan<TypeParam> fast(size.batch, size.time, size.channels, size.state, size.gap);
      fast.ages = kind.ages(size.batch, size.time);
      Scan<TypeParam> slow = fast;
      fast.forward(false); // from states that nothing must be seen of
      slow.referenceForward(true);
      expectClose(fast.y, slow.y, "y");
      expectClose(fast.finalState, slow.finalState, "final");
      fast.forward(true);
      expectClose(fast.states, slow.states, "states");
      expectGradients(fast, slow);
    }
}

TYPED_TEST(ScanTest, OneDocumentChangesNoBit) {
  Scan<TypeParam> plain(2, 130, 40, 16, 1), marked = plain;
  marked.ages = documentKinds[0].ages(2, 130);
  for (Scan<TypeParam> *scan : {&plain, &marked}) {
    scan->forward(true);
    scan->backward();
  }
  EXPECT_EQ(plain.bytes(), marked.bytes());
}

TYPED_TEST(ScanTest, ScalarToyOfTheDiscretisation) {
  // a = -1, dt = ln 2, b = c = 1, d = 0: the exact zero-order hold of b would give 0.5, 0.25, 0.125.
  Scan<TypeParam> toy(1, 3, 1, 1, 0);
  using X = typename TypeParam::X;
  using S = typename TypeParam::S;
  toy.a = {-1};
  toy.d = {0};
  toy.dt.assign(3, S(std::log(2.0)));
  toy.b.assign(3, elementOf<X>(1));
  toy.c = toy.b;
  toy.u = {elementOf<X>(1), elementOf<X>(0), elementOf<X>(0)};
  Scan<TypeParam> oracle = toy;
  toy.forward(true);
  oracle.referenceForward(true);
  double expected[] = {0.693147, 0.346574, 0.173287};
  double allowed = std::is_same_v<X, uint16_t> ? 2e-3 : 1e-6;
  for (int t = 0; t < 3; ++t) {
    EXPECT_NEAR(valueOf(toy.y[t]), expected[t], allowed);
    EXPECT_NEAR(valueOf(oracle.y[t]), expected[t], allowed);
  }
}

TYPED_TEST(ScanTest, DecayIsAccurate) {
  // One step without input from a state of 1 leaves exp(dt a): the exponential of the kernels, seen from outside.
  using X = typename TypeParam::X;
  using S = typename TypeParam::S;
  Scan<TypeParam> s(1, 1, 4000, 1, 0);
  std::fill(s.u.begin(), s.u.end(), X(0));
  std::fill(s.initial.begin(), s.initial.end(), S(1));
  std::fill(s.dt.begin(), s.dt.end(), S(1));
  for (int64_t i = 0; i < s.channels; ++i)
    s.a[i] = S(-double(i * i) * 80 / double(s.channels * s.channels));
  s.forward(false);
  double unit = std::numeric_limits<S>::epsilon();
  for (int64_t i = 0; i < s.channels; ++i) {
    double exact = std::exp(double(s.a[i])), allowed = (2 - double(s.a[i])) * unit; // the argument is rounded as well
    ASSERT_NEAR(s.finalState[i] / exact, 1, allowed) << "exp(" << s.a[i] << ")";
  }
  EXPECT_EQ(s.finalState[0], 1);
}

TYPED_TEST(ScanTest, LargeStepsForgetTheState) {
  Scan<TypeParam> fast(1, 4, 16, 16, 0);
  std::fill(fast.dt.begin(), fast.dt.end(), typename TypeParam::S(1e4));
  Scan<TypeParam> slow = fast;
  fast.forward(false);
  slow.referenceForward(false);
  expectClose(fast.y, slow.y, "y");
  expectClose(fast.finalState, slow.finalState, "final");
}

void expectGradientsOfTheOracle(bool documents) {
  Scan<F64> dense(2, 9, 3, 4, 0);
  if (documents)
    dense.ages = {0, 1, 2, 0, 1, 2, 3, 0, 1, 0, 0, 1, 0, 1, 2, 3, 4, 5};
  Scan<F64> run = dense;
  dense.referenceBackward();
  auto loss = [&] {
    run.referenceForward(true);
    return inner(run.y, run.dy);
  };
  expectGradient(run.u, dense.du, loss, "du");
  expectGradient(run.dt, dense.ddt, loss, "ddt");
  expectGradient(run.a, dense.da, loss, "da");
  expectGradient(run.b, dense.db, loss, "db");
  expectGradient(run.c, dense.dc, loss, "dc");
  expectGradient(run.d, dense.dd, loss, "dd");
}

TEST(ScanOracle, GradientsAgreeWithFiniteDifferences) {
  for (bool documents : {false, true})
    expectGradientsOfTheOracle(documents);
}

} // namespace
