//===- test/kernels/AttentionTest.cpp - attention and its variants --------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Attention, its gradients and its cached form against the oracle over head
// dimensions, grouped heads, odd lengths and variants; the oracle against formulas written out and finite differences.
//===----------------------------------------------------------------------===//
#include "test/kernels/TestData.h"

using namespace moire::test;

namespace {

MOIRE_CALLS(attention, attention)
MOIRE_CALLS(attentionBackward, attention_backward)
MOIRE_CALLS(attentionCached, attention_cached)

/// What differs from plain causal attention.
struct Variant {
  const char *name = "plain";
  bool causal = true;
  int64_t window = 0;
  bool alibi = false;
  double softcap = 0;
  bool sinks = false;
  int64_t valueDim = 0; ///< 0: that of q and k
};
const Variant variants[] = {
    {},
    {.name = "one key", .window = 1},
    {.name = "narrow window", .window = 5},
    {.name = "wide window", .window = 100},
    {.name = "window of everything", .window = 1000},
    {.name = "both sides", .causal = false},
    {.name = "window on both sides", .causal = false, .window = 37},
    {.name = "soft cap", .softcap = 3},
    {.name = "alibi", .alibi = true},
    {.name = "alibi on both sides", .causal = false, .alibi = true},
    {.name = "sinks", .sinks = true},
    {.name = "narrow values", .valueDim = 7},
    {.name = "wide values", .valueDim = 70},
    {.name = "all at once", .window = 70, .alibi = true, .softcap = 2, .sinks = true, .valueDim = 19},
    {.name = "all on both sides", .causal = false, .window = 20, .alibi = true, .softcap = 2, .sinks = true}};

/// One attention whose q, k and v lie in one matrix, as after a joint projection, `gap` elements between rows.
template <typename T> struct Attention {
  using X = typename T::X;
  using S = typename T::S;
  int64_t batch, time, heads, kvHeads, dim, valueDim, stride, outStride;
  Variant variant;
  S scale;
  std::vector<X> qkv, out, dout, dqkv;
  std::vector<S> lse, sinks, dsinks;
  std::vector<int32_t> ages; ///< empty: no documents

  Attention(int64_t batch, int64_t time, int64_t heads, int64_t kvHeads, int64_t dim, int64_t gap, double spread = 2,
            Variant variant = {})
      : batch(batch), time(time), heads(heads), kvHeads(kvHeads), dim(dim),
        valueDim(variant.valueDim ? variant.valueDim : dim), stride((heads + kvHeads) * dim + kvHeads * valueDim + gap),
        outStride(heads * valueDim + gap), variant(variant), scale(S(1 / std::sqrt(double(dim)))) {
    Random random(5);
    qkv = random.vector<X>(batch * time * stride, -spread, spread);
    dout = random.vector<X>(batch * time * outStride);
    out = random.vector<X>(batch * time * outStride);
    dqkv = random.vector<X>(batch * time * stride);
    lse.resize(size_t(batch * heads * time));
    sinks = random.vector<S>(heads, -1, 2);
    dsinks.resize(size_t(heads), S(-77));
  }

  S softcap() const { return S(variant.softcap); }
  const S *sink() const { return variant.sinks ? sinks.data() : nullptr; }

  const int32_t *agesAt(int64_t t = 0) const { return ages.empty() ? nullptr : ages.data() + t; }

  int64_t keyAt() const { return heads * dim; }
  int64_t valueAt() const { return (heads + kvHeads) * dim; }

  void forward(bool fast) {
    attention(fast, T(), batch, time, heads, kvHeads, dim, valueDim, variant.causal, variant.window, variant.alibi,
              scale, softcap(), sink(), agesAt(), qkv.data(), stride, qkv.data() + keyAt(), stride,
              qkv.data() + valueAt(), stride, out.data(), outStride, lse.data());
  }
  void backward(bool fast) {
    attentionBackward(fast, T(), batch, time, heads, kvHeads, dim, valueDim, variant.causal, variant.window,
                      variant.alibi, scale, softcap(), sink(), agesAt(), qkv.data(), stride, qkv.data() + keyAt(),
                      stride, qkv.data() + valueAt(), stride, out.data(), outStride, lse.data(), dout.data(), outStride,
                      dqkv.data(), stride, dqkv.data() + keyAt(), stride, dqkv.data() + valueAt(), stride,
                      variant.sinks ? dsinks.data() : nullptr);
  }
  /// Runs tokens [begin, end) of sequence 0 against caches that hold those before.
  void cached(bool fast, int64_t begin, int64_t end, std::vector<X> &kCache, std::vector<X> &vCache) {
    const X *row = qkv.data() + begin * stride;
    attentionCached(fast, T(), end - begin, begin, time, heads, kvHeads, dim, valueDim, variant.window, variant.alibi,
                    scale, softcap(), sink(), agesAt(begin), row, stride, row + keyAt(), stride, row + valueAt(),
                    stride, kCache.data(), vCache.data(), out.data() + begin * outStride, outStride);
  }
  std::vector<X> cache() const { return std::vector<X>(size_t(time * kvHeads * dim)); }
  std::vector<X> valueCache() const { return std::vector<X>(size_t(time * kvHeads * valueDim)); }
};

struct Size {
  int64_t batch, time, heads, kvHeads, dim, gap;
};
const Size sizes[] = {{1, 1, 1, 1, 1, 0},    {2, 7, 2, 1, 5, 3},     {1, 64, 4, 4, 16, 0},  {2, 65, 4, 2, 32, 2},
                      {1, 200, 3, 1, 64, 0}, {1, 150, 2, 2, 128, 1}, {1, 131, 8, 1, 24, 0}, {1, 70, 1, 1, 256, 0},
                      {3, 33, 12, 4, 48, 1}, {1, 300, 1, 1, 33, 0}};

template <typename T> class AttentionTest : public testing::Test {};
TYPED_TEST_SUITE(AttentionTest, AllTypes, );

#define MOIRE_TRACE(SIZE)                                                                                              \
  SCOPED_TRACE(testing::Message() << "time " << (SIZE).time << ", heads " << (SIZE).heads << "/" << (SIZE).kvHeads     \
                                  << ", dim " << (SIZE).dim)
#define MOIRE_TRACE_VARIANT(VARIANT) SCOPED_TRACE((VARIANT).name)

TYPED_TEST(AttentionTest, ForwardAgreesWithTheOracle) {
  for (const Size &z : sizes) {
    MOIRE_TRACE(z);
    Attention<TypeParam> fast(z.batch, z.time, z.heads, z.kvHeads, z.dim, z.gap), slow = fast;
    fast.forward(true);
    slow.forward(false);
    expectClose(fast.out, slow.out, "out");
    expectClose(fast.lse, slow.lse, "lse");
  }
}

TYPED_TEST(AttentionTest, BackwardAgreesWithTheOracle) {
  for (const Size &z : sizes) {
    MOIRE_TRACE(z);
    Attention<TypeParam> fast(z.batch, z.time, z.heads, z.kvHeads, z.dim, z.gap);
    fast.forward(false);
    Attention<TypeParam> slow = fast;
    fast.backward(true);
    slow.backward(false);
    expectClose(fast.dqkv, slow.dqkv, "dq, dk, dv", 4);
  }
}

/// Both ways forward, then both ways back from the same outputs.
template <typename T> void expectAgreement(Attention<T> fast) {
  Attention<T> slow = fast;
  fast.forward(true);
  slow.forward(false);
  expectClose(fast.out, slow.out, "out");
  expectClose(fast.lse, slow.lse, "lse");
  fast.out = slow.out;
  fast.lse = slow.lse;
  fast.backward(true);
  slow.backward(false);
  expectClose(fast.dqkv, slow.dqkv, "dq, dk, dv", 4);
  expectClose(fast.dsinks, slow.dsinks, "dsinks", 4);
}

TYPED_TEST(AttentionTest, VariantsAgreeWithTheOracle) {
  for (const Variant &variant : variants)
    for (const Size &z : sizes) {
      MOIRE_TRACE(z);
      MOIRE_TRACE_VARIANT(variant);
      expectAgreement(Attention<TypeParam>(z.batch, z.time, z.heads, z.kvHeads, z.dim, z.gap, 2, variant));
    }
}

TYPED_TEST(AttentionTest, DocumentsAgreeWithTheOracle) {
  for (const Documents &kind : documentKinds)
    for (const Variant &variant : variants)
      for (const Size &z : {sizes[3], sizes[6], sizes[8]}) {
        MOIRE_TRACE(z);
        MOIRE_TRACE_VARIANT(variant);
        SCOPED_TRACE(kind.name);
        Attention<TypeParam> fast(z.batch, z.time, z.heads, z.kvHeads, z.dim, z.gap, 2, variant);
        fast.ages = kind.ages(z.batch, z.time);
        expectAgreement(fast);
      }
}

TYPED_TEST(AttentionTest, PackedDocumentsEqualEachAlone) {
  for (const Variant &variant : variants) {
    MOIRE_TRACE_VARIANT(variant);
    Attention<TypeParam> packed(1, 300, 4, 2, 24, 0, 2, variant);
    packed.ages = Documents{"", [](int64_t, int64_t t) { return t == 1 || t == 128 || t == 190; }}.ages(1, 300);
    packed.forward(true);
    packed.backward(true);
    for (auto [begin, end] : {std::pair<int64_t, int64_t>{0, 1}, {1, 128}, {128, 190}, {190, 300}}) {
      Attention<TypeParam> alone(1, end - begin, 4, 2, 24, 0, 2, variant);
      auto part = [&](const auto &whole, int64_t stride) {
        return std::decay_t<decltype(whole)>(whole.begin() + begin * stride, whole.begin() + end * stride);
      };
      alone.qkv = part(packed.qkv, packed.stride);
      alone.dout = part(packed.dout, packed.outStride);
      alone.sinks = packed.sinks;
      alone.forward(true);
      alone.backward(true);
      expectClose(part(packed.out, packed.outStride), alone.out, "out");
      expectClose(part(packed.dqkv, packed.stride), alone.dqkv, "dq, dk, dv", 4);
    }
  }
}

TYPED_TEST(AttentionTest, OneDocumentChangesNoBit) {
  for (int64_t batch : {1, 3}) {
    Attention<TypeParam> plain(batch, 200, 4, 2, 24, 0), marked = plain;
    marked.ages = documentKinds[0].ages(batch, 200);
    for (Attention<TypeParam> *a : {&plain, &marked}) {
      a->forward(true);
      a->backward(true);
    }
    EXPECT_EQ(plain.out, marked.out);
    EXPECT_EQ(plain.dqkv, marked.dqkv);
  }
}

TYPED_TEST(AttentionTest, DocumentsTokenByTokenEqualTheWholeSequence) {
  for (const Documents &kind : documentKinds)
    for (const Variant &variant : {variants[0], variants[2], variants[13]})
      for (int64_t step : {1, 3, 50}) {
        SCOPED_TRACE(testing::Message() << kind.name << ", " << step << " tokens at a time, " << variant.name);
        Attention<TypeParam> whole(1, 151, 6, 2, 40, 1, 2, variant);
        whole.ages = kind.ages(1, 151);
        Attention<TypeParam> steps = whole;
        whole.forward(true);
        auto kCache = steps.cache(), vCache = steps.valueCache();
        for (int64_t begin = 0; begin < steps.time; begin += step)
          steps.cached(true, begin, std::min(begin + step, steps.time), kCache, vCache);
        expectClose(steps.out, whole.out, "out");
      }
}

TYPED_TEST(AttentionTest, VariantsTokenByTokenEqualTheWholeSequence) {
  for (const Variant &variant : variants)
    for (int64_t step : {1, 3, 50}) {
      if (!variant.causal)
        continue;
      Attention<TypeParam> whole(1, 151, 6, 2, 40, 1, 2, variant), steps = whole;
      whole.forward(true);
      auto kCache = steps.cache(), vCache = steps.valueCache();
      for (int64_t begin = 0; begin < steps.time; begin += step)
        steps.cached(true, begin, std::min(begin + step, steps.time), kCache, vCache);
      SCOPED_TRACE(testing::Message() << step << " tokens at a time, " << variant.name);
      expectClose(steps.out, whole.out, "out");
    }
}

TYPED_TEST(AttentionTest, LargeScoresStayFinite) {
  Attention<TypeParam> fast(1, 140, 1, 1, 16, 0, 60);
  fast.forward(true);
  Attention<TypeParam> slow = fast;
  slow.forward(false);
  // A score of some thousands is known to a few units of its last place: so are the weights that hang on it.
  expectClose(fast.lse, slow.lse, "lse");
  expectClose(fast.out, slow.out, "out", 400);
}

TYPED_TEST(AttentionTest, BitsDoNotDependOnThreads) {
  for (const Variant &variant : variants)
    for (int64_t batch : {1, 3}) // with one sequence the gradients take two passes, with three one
      expectSameBits([&] {
        Attention<TypeParam> a(batch, 333, 6, 2, 40, 0, 2, variant);
        if (variant.valueDim) // some with documents
          a.ages = documentKinds[6].ages(batch, 333);
        a.forward(true);
        a.backward(true);
        std::vector<unsigned char> bytes;
        appendBytes(bytes, a.out);
        appendBytes(bytes, a.lse);
        appendBytes(bytes, a.dqkv);
        appendBytes(bytes, a.dsinks);
        return bytes;
      });
}

TYPED_TEST(AttentionTest, TokenByTokenEqualsTheWholeSequence) {
  for (int64_t step : {1, 3, 50}) {
    Attention<TypeParam> whole(1, 151, 6, 2, 40, 1), steps = whole;
    whole.forward(true);
    auto kCache = steps.cache(), vCache = steps.cache();
    for (int64_t begin = 0; begin < steps.time; begin += step)
      steps.cached(true, begin, std::min(begin + step, steps.time), kCache, vCache);
    SCOPED_TRACE(testing::Message() << step << " tokens at a time");
    expectClose(steps.out, whole.out, "out");
  }
}

TYPED_TEST(AttentionTest, CachedAgreesWithTheOracle) {
  const int64_t parts[][3] = {{0, 1, 1}, {0, 40, 40}, {10, 11, 30}, {130, 300, 300}, {299, 300, 300}, {33, 41, 50}};
  for (auto [begin, end, time] : parts) {
    SCOPED_TRACE(testing::Message() << "tokens " << begin << " to " << end);
    Attention<TypeParam> fast(1, time, 4, 2, 24, 0), slow = fast;
    auto kCache = fast.cache(), vCache = fast.cache();
    if (begin > 0)
      fast.cached(false, 0, begin, kCache, vCache);
    auto kExpected = kCache, vExpected = vCache;
    fast.cached(true, begin, end, kCache, vCache);
    slow.out = fast.out;
    slow.cached(false, begin, end, kExpected, vExpected);
    EXPECT_EQ(kCache, kExpected);
    EXPECT_EQ(vCache, vExpected);
    expectClose(fast.out, slow.out, "out");
  }
}

TEST(AttentionOracle, GradientsAgreeWithFiniteDifferences) {
  for (const Variant &variant : variants)
    for (bool documents : {false, true}) {
      MOIRE_TRACE_VARIANT(variant);
      Attention<F64> a(2, 6, 4, 2, 3, 0, 2, variant);
      if (documents)
        a.ages = {0, 1, 0, 1, 2, 3, 0, 0, 1, 2, 0, 1};
      Attention<F64> run = a;
      a.forward(false);
      a.backward(false);
      auto loss = [&] {
        run.forward(false);
        return inner(run.out, run.dout);
      };
      expectGradient(run.qkv, a.dqkv, loss, "dq, dk, dv");
      if (variant.sinks)
        expectGradient(run.sinks, a.dsinks, loss, "dsinks");
    }
}

/// Runs one query against unit keys: q.k of the positions are `scores`, the values their numbers 1, 2, 3, ...
static double attendScores(const std::vector<double> &scores, int32_t causal, int64_t window, int32_t alibi,
                           double softcap, const double *sinks, int64_t heads = 1, int64_t head = 0) {
  int64_t time = int64_t(scores.size());
  std::vector<double> q(size_t(time * heads), 1.0), out(size_t(time * heads)), lse(size_t(time * heads)), v;
  for (int64_t t = 0; t < time; ++t)
    v.push_back(double(t + 1));
  moire_reference_attention_f64(1, time, heads, 1, 1, 1, causal, window, alibi, 1.0, softcap, sinks, nullptr, q.data(),
                                heads, scores.data(), 1, v.data(), 1, out.data(), heads, lse.data());
  return out[size_t((time - 1) * heads + head)];
}

TEST(AttentionOracle, VariantsFollowTheirFormulas) {
  const std::vector<double> scores = {0.5, -1.0, 2.0};
  auto mean = [](std::initializer_list<std::pair<double, double>> terms, double sink = 0) {
    double sum = 0, mass = sink;
    for (auto [score, value] : terms) {
      sum += std::exp(score) * value;
      mass += std::exp(score);
    }
    return sum / mass;
  };
  EXPECT_NEAR(attendScores(scores, 1, 0, 0, 0, nullptr), mean({{0.5, 1}, {-1, 2}, {2, 3}}), 1e-14);
  EXPECT_NEAR(attendScores(scores, 1, 2, 0, 0, nullptr), mean({{-1, 2}, {2, 3}}), 1e-14);
  EXPECT_NEAR(attendScores(scores, 1, 0, 0, 1.5, nullptr),
              mean({{1.5 * std::tanh(1 / 3.0), 1}, {1.5 * std::tanh(-1 / 1.5), 2}, {1.5 * std::tanh(2 / 1.5), 3}}),
              1e-14);
  const double sink = 0.25;
  EXPECT_NEAR(attendScores(scores, 1, 0, 0, 0, &sink), mean({{0.5, 1}, {-1, 2}, {2, 3}}, std::exp(0.25)), 1e-14);
  // Slopes: 2^-8 for the only head; 1/4, 1/16, 1/64, 1/256 for four; six add the odd ones of eight, 1/2 and 1/8.
  EXPECT_NEAR(attendScores(scores, 1, 0, 1, 0, nullptr), mean({{0.5 - 2.0 / 256, 1}, {-1 - 1.0 / 256, 2}, {2, 3}}),
              1e-14);
  const double slopes[] = {1.0 / 4, 1.0 / 16, 1.0 / 64, 1.0 / 256, 1.0 / 2, 1.0 / 8};
  for (int64_t head = 0; head < 6; ++head)
    EXPECT_NEAR(attendScores(scores, 1, 0, 1, 0, nullptr, 6, head),
                mean({{0.5 - 2 * slopes[head], 1}, {-1 - slopes[head], 2}, {2, 3}}), 1e-14);
}

} // namespace
