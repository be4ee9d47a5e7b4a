//===- test/kernels/AttentionTest.cpp - causal attention ------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Attention, its gradients and its cached form against the oracle over head
// dimensions, grouped heads and odd lengths; the oracle's gradients against finite differences.
//===----------------------------------------------------------------------===//
#include "kernels/include/Reference.h"
#include "test/kernels/TestData.h"

using namespace moire::test;

namespace {

#define MOIRE_ATTENTION_CALLS(TYPES, SUFFIX)                                                                           \
  template <typename... A> void attention(bool fast, TYPES, A... a) {                                                  \
    fast ? moire_attention_##SUFFIX(a...) : moire_reference_attention_##SUFFIX(a...);                                  \
  }                                                                                                                    \
  template <typename... A> void attentionBackward(bool fast, TYPES, A... a) {                                          \
    fast ? moire_attention_backward_##SUFFIX(a...) : moire_reference_attention_backward_##SUFFIX(a...);                \
  }                                                                                                                    \
  template <typename... A> void attentionCached(bool fast, TYPES, A... a) {                                            \
    fast ? moire_attention_cached_##SUFFIX(a...) : moire_reference_attention_cached_##SUFFIX(a...);                    \
  }
MOIRE_ATTENTION_CALLS(F32, f32)
MOIRE_ATTENTION_CALLS(F64, f64)
MOIRE_ATTENTION_CALLS(Bf16, bf16)

/// One attention whose q, k and v lie in one matrix, as after a joint projection, `gap` elements between rows.
template <typename T> struct Attention {
  using X = typename T::X;
  using S = typename T::S;
  int64_t batch, time, heads, kvHeads, dim, stride, outStride;
  S scale;
  std::vector<X> qkv, out, dout, dqkv;
  std::vector<S> lse;

  Attention(int64_t batch, int64_t time, int64_t heads, int64_t kvHeads, int64_t dim, int64_t gap, double spread = 2)
      : batch(batch), time(time), heads(heads), kvHeads(kvHeads), dim(dim), stride((heads + 2 * kvHeads) * dim + gap),
        outStride(heads * dim + gap), scale(S(1 / std::sqrt(double(dim)))) {
    Random random(5);
    qkv = random.vector<X>(batch * time * stride, -spread, spread);
    dout = random.vector<X>(batch * time * outStride);
    out = random.vector<X>(batch * time * outStride);
    dqkv = random.vector<X>(batch * time * stride);
    lse.resize(size_t(batch * heads * time));
  }

  int64_t keyAt() const { return heads * dim; }
  int64_t valueAt() const { return (heads + kvHeads) * dim; }

  void forward(bool fast) {
    attention(fast, T(), batch, time, heads, kvHeads, dim, scale, qkv.data(), stride, qkv.data() + keyAt(), stride,
              qkv.data() + valueAt(), stride, out.data(), outStride, lse.data());
  }
  void backward(bool fast) {
    attentionBackward(fast, T(), batch, time, heads, kvHeads, dim, scale, qkv.data(), stride, qkv.data() + keyAt(),
                      stride, qkv.data() + valueAt(), stride, out.data(), outStride, lse.data(), dout.data(), outStride,
                      dqkv.data(), stride, dqkv.data() + keyAt(), stride, dqkv.data() + valueAt(), stride);
  }
  /// Runs tokens [begin, end) of sequence 0 against caches that hold those before.
  void cached(bool fast, int64_t begin, int64_t end, std::vector<X> &kCache, std::vector<X> &vCache) {
    const X *row = qkv.data() + begin * stride;
    attentionCached(fast, T(), end - begin, begin, time, heads, kvHeads, dim, scale, row, stride, row + keyAt(), stride,
                    row + valueAt(), stride, kCache.data(), vCache.data(), out.data() + begin * outStride, outStride);
  }
  std::vector<X> cache() const { return std::vector<X>(size_t(time * kvHeads * dim)); }
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
  for (int64_t batch : {1, 3}) // with one sequence the gradients take two passes, with three one
    expectSameBits([&] {
      Attention<TypeParam> a(batch, 333, 6, 2, 40, 0);
      a.forward(true);
      a.backward(true);
      std::vector<unsigned char> bytes;
      appendBytes(bytes, a.out);
      appendBytes(bytes, a.lse);
      appendBytes(bytes, a.dqkv);
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
  Attention<F64> a(2, 6, 4, 2, 3, 0), run = a;
  a.forward(false);
  a.backward(false);
  auto loss = [&] {
    run.forward(false);
    return inner(run.out, run.dout);
  };
  expectGradient(run.qkv, a.dqkv, loss, "dq, dk, dv");
}

} // namespace
