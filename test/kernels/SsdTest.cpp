//===- test/kernels/SsdTest.cpp - the scan of Mamba-2 -------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The chunked scan against the recurrence over odd sizes, strides and chunks, bits that do not
// depend on threads, the oracle's gradients against finite differences.
//===----------------------------------------------------------------------===//
#include "test/kernels/TestData.h"

using namespace moire::test;

namespace {

MOIRE_CALLS(scan, ssd_scan)
MOIRE_CALLS(scanBackward, ssd_scan_backward)

struct Size {
  int64_t batch, time, heads, dim, groups, state, chunk, gap;
};

/// Inputs and outputs of one scan; rows of x, b, c and of their gradients are `gap` longer than needed.
template <typename T> struct Ssd : Size {
  using X = typename T::X;
  using S = typename T::S;
  int64_t xStride, stateStride;
  std::vector<X> x, b, c, dy, y, dx, db, dc;
  std::vector<S> dt, a, d, initial, finalState, states, ddt, da, dd, workspace;
  std::vector<int32_t> ages; ///< empty: no documents

  explicit Ssd(const Size &size, uint64_t seed = 1)
      : Size(size), xStride(heads * dim + gap), stateStride(groups * state + gap) {
    Random random(seed);
    int64_t rows = batch * time, whole = batch * heads * state * dim;
    x = random.vector<X>(rows * xStride);
    b = random.vector<X>(rows * stateStride);
    c = random.vector<X>(rows * stateStride);
    dy = random.vector<X>(rows * heads * dim);
    dt = random.vector<S>(rows * heads, 0.001, 0.3);
    a = random.vector<S>(heads, -16, -0.1);
    d = random.vector<S>(heads);
    initial = random.vector<S>(whole);
    // Filled, so that what a kernel must not touch (the gaps) is compared too.
    y = random.vector<X>(rows * heads * dim);
    dx = random.vector<X>(rows * xStride);
    db = random.vector<X>(rows * stateStride);
    dc = random.vector<X>(rows * stateStride);
    ddt = random.vector<S>(rows * heads);
    da = random.vector<S>(heads);
    dd = random.vector<S>(heads);
    finalState = random.vector<S>(whole);
    setChunk(chunk);
    workspace.resize(size_t(moire_ssd_backward_workspace(batch, time, heads, groups, state)));
  }
  void setChunk(int64_t tokens) {
    chunk = tokens;
    states.assign(size_t(moire_ssd_states(batch, time, heads, dim, state, chunk)), S(0));
  }

  const int32_t *agesOrNull() const { return ages.empty() ? nullptr : ages.data(); }
  void forward(bool fast, bool fromZero) {
    scan(fast, T(), batch, time, heads, dim, groups, state, chunk, x.data(), xStride, dt.data(), a.data(), b.data(),
         stateStride, c.data(), stateStride, d.data(), agesOrNull(), fromZero ? nullptr : initial.data(), y.data(),
         finalState.data(), states.data());
  }
  void backward(bool fast) {
    scanBackward(fast, T(), batch, time, heads, dim, groups, state, chunk, x.data(), xStride, dt.data(), a.data(),
                 b.data(), stateStride, c.data(), stateStride, d.data(), agesOrNull(), states.data(), dy.data(),
                 dx.data(), xStride, ddt.data(), da.data(), db.data(), stateStride, dc.data(), stateStride, dd.data(),
                 workspace.data());
  }
  void forward(bool fromZero) { forward(true, fromZero); }
  void referenceForward(bool fromZero) { forward(false, fromZero); }
  void backward() { backward(true); }
  void referenceBackward() { backward(false); }

  std::vector<unsigned char> bytes() const {
    std::vector<unsigned char> all;
    for (const std::vector<X> *values : {&y, &dx, &db, &dc})
      appendBytes(all, *values);
    for (const std::vector<S> *values : {&finalState, &states, &ddt, &da, &dd})
      appendBytes(all, *values);
    return all;
  }
};

const Size sizes[] = {{1, 1, 1, 1, 1, 1, 1, 0},       {2, 5, 3, 2, 1, 4, 2, 1},      {1, 64, 4, 16, 1, 16, 16, 0},
                      {2, 65, 6, 33, 2, 17, 32, 3},   {1, 130, 5, 64, 1, 40, 64, 5}, {2, 50, 8, 8, 4, 128, 20, 2},
                      {1, 100, 10, 20, 2, 7, 256, 0}, {1, 37, 3, 48, 3, 24, 1, 1},   {1, 90, 2, 100, 1, 130, 45, 1}};

#define MOIRE_TRACE(size)                                                                                              \
  SCOPED_TRACE(testing::Message() << "time " << size.time << ", heads " << size.heads << ", head_dim " << size.dim     \
                                  << ", groups " << size.groups << ", state " << size.state << ", chunk "              \
                                  << size.chunk)

/// Each entry of da is a sum over all tokens of terms of both signs, many times as large as itself.
constexpr double sumsFactor = 10;

template <typename T> class SsdTest : public testing::Test {};
TYPED_TEST_SUITE(SsdTest, AllTypes, );

TYPED_TEST(SsdTest, ForwardAgreesWithTheOracle) {
  for (const Size &size : sizes)
    for (bool fromZero : {false, true}) {
      MOIRE_TRACE(size);
      Ssd<TypeParam> fast(size), slow = fast;
      fast.forward(fromZero);
      slow.referenceForward(fromZero);
      expectClose(fast.y, slow.y, "y");
      expectClose(fast.finalState, slow.finalState, "final");
      expectClose(fast.states, slow.states, "states");
    }
}

template <typename T> void expectGradients(Ssd<T> &fast, Ssd<T> &slow) {
  fast.backward();
  slow.referenceBackward();
  expectClose(fast.dx, slow.dx, "dx");
  expectClose(fast.ddt, slow.ddt, "ddt");
  expectClose(fast.da, slow.da, "da", sumsFactor);
  expectClose(fast.db, slow.db, "db");
  expectClose(fast.dc, slow.dc, "dc");
  expectClose(fast.dd, slow.dd, "dd");
}

TYPED_TEST(SsdTest, BackwardAgreesWithTheOracle) {
  for (const Size &size : sizes) {
    MOIRE_TRACE(size);
    Ssd<TypeParam> fast(size), slow = fast;
    fast.forward(true);
    expectGradients(fast, slow);
  }
}

template <typename TypeParam> void expectAnyChunkGivesTheSame(const Documents *documents) {
  Ssd<TypeParam> whole({2, 150, 4, 24, 2, 20, 150, 1});
  if (documents)
    whole.ages = documents->ages(2, 150);
  whole.forward(true);
  whole.backward();
  for (int64_t chunk : {1, 2, 16, 31, 64, 149, 200}) {
    SCOPED_TRACE(testing::Message() << "chunk " << chunk);
    Ssd<TypeParam> cut({2, 150, 4, 24, 2, 20, chunk, 1});
    cut.ages = whole.ages;
    cut.forward(true);
    cut.backward();
    expectClose(cut.y, whole.y, "y");
    expectClose(cut.finalState, whole.finalState, "final");
    expectClose(cut.dx, whole.dx, "dx");
    expectClose(cut.ddt, whole.ddt, "ddt");
    expectClose(cut.db, whole.db, "db");
    expectClose(cut.dc, whole.dc, "dc");
    expectClose(cut.da, whole.da, "da", sumsFactor);
  }
}

TYPED_TEST(SsdTest, AnyChunkGivesTheSame) {
  expectAnyChunkGivesTheSame<TypeParam>(nullptr);
  for (const Documents &kind : documentKinds) {
    SCOPED_TRACE(kind.name);
    expectAnyChunkGivesTheSame<TypeParam>(&kind);
  }
}

TYPED_TEST(SsdTest, BitsDoNotDependOnThreads) {
  expectSameBits([] {
    Ssd<TypeParam> scan({3, 100, 10, 24, 2, 20, 32, 2});
    scan.ages = documentKinds[6].ages(3, 100);
    scan.forward(true);
    scan.backward();
    return scan.bytes();
  });
}

template <typename TypeParam> void expectStepsEqualTheWhole(const std::vector<int32_t> &ages) {
  using S = typename TypeParam::S;
  Ssd<TypeParam> whole({2, 70, 6, 20, 2, 24, 32, 0}), steps = whole;
  whole.ages = ages;
  whole.forward(false);
  std::vector<S> h = steps.initial;
  int64_t size = steps.heads * steps.state * steps.dim;
  for (int64_t t = 0; t < steps.time; ++t)
    for (int64_t i = 0; i < steps.batch; ++i) {
      int64_t row = i * steps.time + t;
      S *state = h.data() + i * size; // initial and final in the same memory
      scan(true, TypeParam(), 1, 1, steps.heads, steps.dim, steps.groups, steps.state, steps.chunk,
           steps.x.data() + row * steps.xStride, steps.xStride, steps.dt.data() + row * steps.heads, steps.a.data(),
           steps.b.data() + row * steps.stateStride, steps.stateStride, steps.c.data() + row * steps.stateStride,
           steps.stateStride, steps.d.data(), ages.empty() ? nullptr : &ages[size_t(row)], state,
           steps.y.data() + row * steps.heads * steps.dim, state, static_cast<S *>(nullptr));
    }
  expectClose(steps.y, whole.y, "y");
  expectClose(h, whole.finalState, "final");
}

TYPED_TEST(SsdTest, StepByStepEqualsTheWholeSequence) {
  forContinuedDocuments(2, 70, [](const std::vector<int32_t> &ages) { expectStepsEqualTheWhole<TypeParam>(ages); });
}

TYPED_TEST(SsdTest, DocumentsAgreeWithTheOracle) {
  for (const Documents &kind : documentKinds)
    for (const Size &size : sizes) {
      MOIRE_TRACE(size);
      SCOPED_TRACE(kind.name);
      Ssd<TypeParam> fast(size);
      fast.ages = kind.ages(size.batch, size.time);
      Ssd<TypeParam> slow = fast;
      fast.forward(false); // from states that nothing must be seen of
      slow.referenceForward(true);
      expectClose(fast.y, slow.y, "y");
      expectClose(fast.finalState, slow.finalState, "final");
      fast.forward(true);
      expectClose(fast.states, slow.states, "states");
      expectGradients(fast, slow);
    }
}

TYPED_TEST(SsdTest, OneDocumentIsTheSequence) {
  Ssd<TypeParam> plain({2, 130, 4, 24, 2, 20, 32, 1}), marked = plain;
  marked.ages = documentKinds[0].ages(2, 130);
  for (Ssd<TypeParam> *scan : {&plain, &marked}) {
    scan->forward(true);
    scan->backward();
  }
  expectClose(marked.y, plain.y, "y");
  expectClose(marked.dx, plain.dx, "dx");
  expectClose(marked.ddt, plain.ddt, "ddt");
}

TYPED_TEST(SsdTest, NoBitCrossesADocument) {
  // Whatever the first document holds, the second one gives the same bits.
  std::vector<typename TypeParam::X> before;
  for (uint64_t change : {1, 2}) {
    Ssd<TypeParam> scan({1, 90, 4, 24, 2, 20, 32, 0}), other({1, 90, 4, 24, 2, 20, 32, 0}, change);
    scan.ages = Documents{"", [](int64_t, int64_t t) { return t == 41; }}.ages(1, 90);
    std::copy_n(other.x.begin(), 41 * scan.xStride, scan.x.begin());
    std::copy_n(other.b.begin(), 41 * scan.stateStride, scan.b.begin());
    std::copy_n(other.c.begin(), 41 * scan.stateStride, scan.c.begin());
    std::copy_n(other.dt.begin(), 41 * scan.heads, scan.dt.begin());
    scan.forward(true);
    std::vector<typename TypeParam::X> second(scan.y.begin() + 41 * scan.heads * scan.dim, scan.y.end());
    if (change == 1)
      before = second;
    else
      EXPECT_EQ(second, before);
  }
}

TYPED_TEST(SsdTest, ToyOfTheSequentialScanAndOfTwoChunks) {
  using X = typename TypeParam::X;
  double expected[] = {0.1, 0.281873, -0.195592, 1.875564};
  double allowed = std::is_same_v<X, uint16_t> ? 8e-3 : 1e-6;
  for (int64_t chunk : {1, 2, 4}) {
    Ssd<TypeParam> toy({1, 4, 1, 1, 1, 1, chunk, 0});
    auto values = [](std::initializer_list<double> list) {
      std::vector<X> elements;
      for (double value : list)
        elements.push_back(elementOf<X>(value));
      return elements;
    };
    toy.x = values({1, 2, -1, 3});
    toy.b = values({1, 0.5, 2, 1});
    toy.c = values({1, 1, 0.5, 2});
    toy.dt = {typename TypeParam::S(0.1), typename TypeParam::S(0.2), typename TypeParam::S(0.3),
              typename TypeParam::S(0.4)};
    toy.a = {-1};
    toy.d = {0};
    Ssd<TypeParam> oracle = toy;
    toy.forward(true);
    oracle.referenceForward(true);
    for (int t = 0; t < 4; ++t) {
      EXPECT_NEAR(valueOf(toy.y[t]), expected[t], allowed) << "chunk " << chunk;
      EXPECT_NEAR(valueOf(oracle.y[t]), expected[t], allowed);
    }
  }
}

TYPED_TEST(SsdTest, LargeStepsForgetTheState) {
  Ssd<TypeParam> fast({1, 40, 2, 16, 1, 16, 16, 0});
  std::fill(fast.dt.begin(), fast.dt.end(), typename TypeParam::S(1e4));
  Ssd<TypeParam> slow = fast;
  fast.forward(false);
  slow.referenceForward(false);
  expectClose(fast.y, slow.y, "y");
  expectClose(fast.finalState, slow.finalState, "final");
}

TYPED_TEST(SsdTest, LongSumsOfDecaysKeepTheirDifferences) {
  // In a chunk whose decays add up to thousands, neighbours still see each other exactly.
  Ssd<TypeParam> fast({1, 256, 2, 16, 1, 16, 256, 0});
  std::fill(fast.a.begin(), fast.a.end(), typename TypeParam::S(-16));
  for (size_t i = 0; i < fast.dt.size(); ++i)
    fast.dt[i] = i % 4 < 2 ? typename TypeParam::S(2.7) : typename TypeParam::S(0.0123);
  Ssd<TypeParam> slow = fast;
  fast.forward(true);
  slow.referenceForward(true);
  // In f64 a sum is one number: some 5000 of its last digits are the decays' relative error.
  expectClose(fast.y, slow.y, "y", std::is_same_v<typename TypeParam::X, double> ? 4 : 1);
}

void expectGradientsOfTheOracle(bool documents) {
  Ssd<F64> dense({2, 7, 4, 3, 2, 2, 4, 0});
  if (documents)
    dense.ages = {0, 1, 2, 0, 1, 2, 3, 0, 0, 1, 0, 1, 2, 3};
  Ssd<F64> run = dense;
  dense.referenceBackward();
  auto loss = [&] {
    run.referenceForward(true);
    return inner(run.y, run.dy);
  };
  expectGradient(run.x, dense.dx, loss, "dx");
  expectGradient(run.dt, dense.ddt, loss, "ddt");
  expectGradient(run.a, dense.da, loss, "da");
  expectGradient(run.b, dense.db, loss, "db");
  expectGradient(run.c, dense.dc, loss, "dc");
  expectGradient(run.d, dense.dd, loss, "dd");
}

TEST(SsdOracle, GradientsAgreeWithFiniteDifferences) {
  for (bool documents : {false, true})
    expectGradientsOfTheOracle(documents);
}

} // namespace
