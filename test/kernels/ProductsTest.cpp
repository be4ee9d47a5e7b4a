//===- test/kernels/ProductsTest.cpp - products against their oracles ------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Odd sizes, all transpositions, wide rows, uneven and empty experts. The oracle
// sums in double, so the tolerance is the textbook bound of a sum of k products
// in the kernel's precision, plus half a unit of a bf16 result.
//
//===----------------------------------------------------------------------===//
#include "kernels/cpu/Bf16.h"
#include "kernels/include/Kernels.h"
#include "kernels/include/Reference.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace {

using moire::cpu::bf16ToFloat;
using moire::cpu::floatToBf16;

double value(float x) { return x; }
double value(double x) { return x; }
double value(uint16_t x) { return bf16ToFloat(x); }
template <typename T> T make(double x) { return T(x); }
template <> uint16_t make<uint16_t>(double x) { return floatToBf16(float(x)); }

template <typename T> std::vector<T> randomValues(int64_t count, unsigned seed) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<double> distribution(-0.5, 0.5);
  std::vector<T> all(count);
  for (T &x : all)
    x = make<T>(distribution(engine));
  return all;
}

/// Largest difference allowed to a sum of k products of values below 1/2, and one more value, that rounds to `exact`.
template <typename C, typename Sum> double tolerance(int64_t k, double exact) {
  double unit = std::numeric_limits<Sum>::epsilon();
  double sums = double(k + 3) * unit * (0.25 * double(k) + 0.5);
  return sums + (sizeof(C) == 2 ? std::abs(exact) / 128 : 0);
}

template <typename C, typename Sum>
void compare(const std::vector<C> &got, const std::vector<C> &wanted, int64_t m, int64_t n, int64_t ldc, int64_t k,
             const std::string &what) {
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < ldc && i * ldc + j < int64_t(got.size()); ++j) {
      double x = value(got[i * ldc + j]), y = value(wanted[i * ldc + j]);
      if (j < n)
        ASSERT_LE(std::abs(x - y), (tolerance<C, Sum>(k, y)))
            << what << " at " << i << ", " << j << ": " << x << " " << y;
      else
        ASSERT_EQ(x, y) << what << " wrote between its rows at " << i << ", " << j;
    }
}

template <typename X, typename C>
using Gemm = void (*)(int64_t, int64_t, int64_t, const X *, int64_t, int32_t, const X *, int64_t, int32_t, C *, int64_t,
                      int32_t);

struct Case {
  int64_t m, n, k;
  bool transA, transB, accumulate;
  int64_t extra; ///< columns between rows

  std::string name() const {
    return std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k) + (transA ? " At" : "") +
           (transB ? " Bt" : "") + (accumulate ? " +=" : "");
  }
};

template <typename Sum, typename X, typename C> void check(Gemm<X, C> kernel, Gemm<X, C> oracle, const Case &c) {
  int64_t lda = (c.transA ? c.m : c.k) + c.extra, ldb = (c.transB ? c.k : c.n) + 2 * c.extra, ldc = c.n + c.extra;
  auto a = randomValues<X>(lda * (c.transA ? c.k : c.m) + 1, 1),
       b = randomValues<X>(ldb * (c.transB ? c.n : c.k) + 1, 2);
  auto got = randomValues<C>(ldc * c.m, 3), wanted = got;
  kernel(c.m, c.n, c.k, a.data(), lda, c.transA, b.data(), ldb, c.transB, got.data(), ldc, c.accumulate);
  oracle(c.m, c.n, c.k, a.data(), lda, c.transA, b.data(), ldb, c.transB, wanted.data(), ldc, c.accumulate);
  compare<C, Sum>(got, wanted, c.m, c.n, ldc, c.k, c.name());
}

template <typename Sum, typename X, typename C> void checkAll(Gemm<X, C> kernel, Gemm<X, C> oracle) {
  const int64_t sizes[] = {1, 3, 17, 31, 64, 65, 127};
  unsigned turn = 0;
  for (int64_t m : sizes)
    for (int64_t n : sizes)
      for (int64_t k : sizes)
        for (int trans = 0; trans < 4; ++trans) {
          check<Sum>(kernel, oracle, {m, n, k, (trans & 1) != 0, (trans & 2) != 0, (turn & 1) != 0, turn % 3 ? 0 : 5});
          turn += trans == 3 ? 2 : 1;
          if (testing::Test::HasFatalFailure())
            return;
        }
  // Several tiles and several blocks of k, some cut off one short or one long.
  const int64_t large[][3] = {{270, 530, 40}, {15, 600, 513}, {300, 40, 1030},
                              {2, 700, 257},  {5, 3, 1024},   {300, 1, 511}};
  for (auto &size : large)
    for (int trans = 0; trans < 4; ++trans) {
      check<Sum>(kernel, oracle, {size[0], size[1], size[2], (trans & 1) != 0, (trans & 2) != 0, trans > 1, trans});
      if (testing::Test::HasFatalFailure())
        return;
    }
}

TEST(Gemm, F32) { checkAll<float>(moire_gemm_f32_f32, moire_reference_gemm_f32_f32); }
TEST(Gemm, F64) { checkAll<double>(moire_gemm_f64_f64, moire_reference_gemm_f64_f64); }
TEST(Gemm, Bf16ToF32) { checkAll<float>(moire_gemm_bf16_f32, moire_reference_gemm_bf16_f32); }
TEST(Gemm, Bf16) { checkAll<float>(moire_gemm_bf16_bf16, moire_reference_gemm_bf16_bf16); }

TEST(Gemm, EmptySumIsZeroOrOld) {
  for (int64_t m : {1, 20}) {
    std::vector<float> c(m * 40, 7.0f), none(m + 40);
    moire_gemm_f32_f32(m, 40, 0, none.data(), 1, 0, none.data(), 40, 0, c.data(), 40, 1);
    EXPECT_EQ(c, std::vector<float>(m * 40, 7.0f));
    moire_gemm_f32_f32(m, 40, 0, none.data(), 1, 0, none.data(), 40, 0, c.data(), 40, 0);
    EXPECT_EQ(c, std::vector<float>(m * 40, 0.0f));
  }
  moire_gemm_f32_f32(0, 4, 4, nullptr, 4, 0, nullptr, 4, 0, nullptr, 4, 0);
  moire_gemm_f32_f32(4, 0, 4, nullptr, 4, 0, nullptr, 4, 0, nullptr, 4, 0);
}

/// Offsets of experts whose numbers of rows are given.
std::vector<int32_t> offsetsOf(const std::vector<int> &counts) {
  std::vector<int32_t> offsets{0};
  for (int count : counts)
    offsets.push_back(offsets.back() + count);
  return offsets;
}

const std::vector<std::vector<int>> experts = {{5},
                                               {0, 0, 3},
                                               {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18},
                                               {0, 300, 0, 17, 1, 64},
                                               {31, 0, 127, 0},
                                               {0, 0, 0},
                                               {260, 515}};

/// Row numbers in [0, range) without order, some twice.
std::vector<int32_t> shuffled(int64_t count, int64_t range) {
  std::vector<int32_t> index(count);
  for (int64_t i = 0; i < count; ++i)
    index[i] = int32_t((i * 7919 + 13) % range);
  return index;
}

template <typename Sum, typename X, typename C, typename Grouped> void checkGrouped(Grouped kernel, Grouped oracle) {
  const int64_t sizes[][2] = {{1, 1}, {33, 17}, {64, 256}, {129, 31}, {600, 40}, {24, 530}};
  for (auto &counts : experts)
    for (auto &size : sizes)
      for (int form = 0; form < 4; ++form) {
        auto offsets = offsetsOf(counts);
        int64_t rows = offsets.back(), n = size[0], k = size[1], count = int64_t(counts.size());
        int64_t lda = k + (form & 1), ldc = n + 2 * (form & 1), sources = rows / 2 + 1;
        auto index = shuffled(rows, sources);
        auto a = randomValues<X>((rows + 1) * lda, 4), b = randomValues<X>(count * n * k, 5);
        auto got = randomValues<C>(rows * ldc, 6), wanted = got;
        const int32_t *rowIndex = form & 2 ? index.data() : nullptr;
        kernel(rows, n, k, count, offsets.data(), rowIndex, a.data(), lda, b.data(), form & 1, got.data(), ldc);
        oracle(rows, n, k, count, offsets.data(), rowIndex, a.data(), lda, b.data(), form & 1, wanted.data(), ldc);
        compare<C, Sum>(got, wanted, rows, n, ldc, k, "rows " + std::to_string(rows) + " form " + std::to_string(form));
        if (testing::Test::HasFatalFailure())
          return;
      }
}

TEST(GroupedGemm, F32) {
  checkGrouped<float, float, float>(moire_grouped_gemm_f32_f32, moire_reference_grouped_gemm_f32_f32);
}
TEST(GroupedGemm, F64) {
  checkGrouped<double, double, double>(moire_grouped_gemm_f64_f64, moire_reference_grouped_gemm_f64_f64);
}
TEST(GroupedGemm, Bf16) {
  checkGrouped<float, uint16_t, uint16_t>(moire_grouped_gemm_bf16_bf16, moire_reference_grouped_gemm_bf16_bf16);
}

/// What a row kernel gets: the product's rows first, then where it copies them, and how often it saw each.
template <typename C> struct RowCopies {
  static void done(int64_t begin, int64_t end, void *context) {
    void **pointers = static_cast<void **>(context);
    auto at = reinterpret_cast<intptr_t>(pointers[0]);
    auto [n, ldc] = *static_cast<std::pair<int64_t, int64_t> *>(pointers[3]);
    for (int64_t r = begin; r < end; ++r) {
      const C *row = reinterpret_cast<const C *>(at + r * ldc * int64_t(sizeof(C)));
      std::copy_n(row, n, static_cast<C *>(pointers[1]) + r * ldc);
      ++static_cast<int *>(pointers[2])[r];
    }
  }
};

/// The row kernel sees every row of an expert once, complete, and the bits of the product by itself; rows are kept, or
/// left with the threads.
template <typename X, typename C, typename Grouped, typename Rows> void checkRows(Grouped product, Rows kernel) {
  const int64_t sizes[][2] = {{1, 1}, {33, 17}, {64, 256}, {600, 40}, {1040, 530}};
  for (auto &counts : experts)
    for (auto &size : sizes)
      for (int form = 0; form < 8; ++form) {
        auto offsets = offsetsOf(counts);
        int64_t used = offsets.back(), rows = used + 3, n = size[0], k = size[1], count = int64_t(counts.size());
        bool kept = form & 4;
        int64_t ldc = n + (kept ? 2 : 0);
        auto index = shuffled(rows, rows / 2 + 1);
        auto a = randomValues<X>((rows + 1) * k, 4), b = randomValues<X>(count * n * k, 5);
        auto c = randomValues<C>(rows * ldc, 6), copies = c, wanted = c, untouched = c;
        std::vector<int> seen(rows);
        std::pair<int64_t, int64_t> extents{n, ldc};
        void *context[] = {c.data(), copies.data(), seen.data(), &extents};
        const int32_t *rowIndex = form & 2 ? index.data() : nullptr;
        product(rows, n, k, count, offsets.data(), rowIndex, a.data(), k, b.data(), form & 1, wanted.data(), ldc);
        kernel(rows, n, k, count, offsets.data(), rowIndex, a.data(), k, b.data(), form & 1, kept ? c.data() : nullptr,
               ldc, RowCopies<C>::done, context, 4, 0);
        for (int64_t r = 0; r < rows; ++r)
          ASSERT_EQ(seen[r], r < used ? 1 : 0) << "row " << r << " of " << rows << " form " << form;
        ASSERT_EQ(copies, wanted) << "n " << n << " k " << k << " form " << form;
        ASSERT_EQ(c, kept ? wanted : untouched) << "n " << n << " k " << k << " form " << form;
      }
}

TEST(GroupedGemmRows, F32) {
  checkRows<float, float>(moire_grouped_gemm_f32_f32, moire_grouped_gemm_rows_f32_f32);
  checkRows<float, float>(moire_reference_grouped_gemm_f32_f32, moire_reference_grouped_gemm_rows_f32_f32);
}
TEST(GroupedGemmRows, F64) { checkRows<double, double>(moire_grouped_gemm_f64_f64, moire_grouped_gemm_rows_f64_f64); }
TEST(GroupedGemmRows, Bf16) {
  checkRows<uint16_t, uint16_t>(moire_grouped_gemm_bf16_bf16, moire_grouped_gemm_rows_bf16_bf16);
}

template <typename Sum, typename X, typename C, typename Grouped> void checkWeights(Grouped kernel, Grouped oracle) {
  const int64_t sizes[][2] = {{1, 1}, {33, 17}, {64, 256}, {300, 31}, {24, 530}};
  for (auto &counts : experts)
    for (auto &size : sizes)
      for (int form = 0; form < 4; ++form) {
        auto offsets = offsetsOf(counts);
        int64_t rows = offsets.back(), m = size[0], n = size[1], count = int64_t(counts.size());
        int64_t lda = m + form, ldb = n + 3 * form, sources = rows / 2 + 1;
        auto index = shuffled(rows, sources);
        auto a = randomValues<X>((rows + 1) * lda, 7), b = randomValues<X>((rows + 1) * ldb, 8);
        std::vector<C> got(count * m * n, C(9)), wanted(count * m * n);
        const int32_t *aIndex = form & 1 ? index.data() : nullptr, *bIndex = form & 2 ? index.data() : nullptr;
        kernel(m, n, count, offsets.data(), aIndex, a.data(), lda, bIndex, b.data(), ldb, got.data());
        oracle(m, n, count, offsets.data(), aIndex, a.data(), lda, bIndex, b.data(), ldb, wanted.data());
        compare<C, Sum>(got, wanted, count * m, n, n, rows, "weights " + std::to_string(rows));
        if (testing::Test::HasFatalFailure())
          return;
      }
}

TEST(GroupedGemmWeight, F32) {
  checkWeights<float, float, float>(moire_grouped_gemm_weight_f32_f32, moire_reference_grouped_gemm_weight_f32_f32);
}
TEST(GroupedGemmWeight, F64) {
  checkWeights<double, double, double>(moire_grouped_gemm_weight_f64_f64, moire_reference_grouped_gemm_weight_f64_f64);
}
TEST(GroupedGemmWeight, Bf16ToF32) {
  checkWeights<float, uint16_t, float>(moire_grouped_gemm_weight_bf16_f32,
                                       moire_reference_grouped_gemm_weight_bf16_f32);
}

/// Calls `compute`, which returns a result, with several numbers of threads and wants the same bits from all.
template <typename Compute> void sameBits(Compute compute) {
  int32_t before = moire_threads();
  moire_set_threads(1);
  auto first = compute();
  for (int32_t threads : {2, 3, 5}) {
    moire_set_threads(threads);
    for (int repeat = 0; repeat < 3; ++repeat) {
      auto again = compute();
      ASSERT_EQ(first.size(), again.size());
      if (!first.empty()) {
        ASSERT_EQ(0, std::memcmp(first.data(), again.data(), first.size() * sizeof(first[0]))) << threads << " threads";
      }
    }
  }
  moire_set_threads(before);
}

TEST(Threads, DoNotShowInGemm) {
  for (auto size : std::vector<std::vector<int64_t>>{{1, 700, 300}, {4, 900, 65}, {200, 130, 700}, {513, 270, 1100}})
    for (int trans = 0; trans < 4; ++trans) {
      int64_t m = size[0], n = size[1], k = size[2];
      auto a = randomValues<float>(m * k, 1), b = randomValues<float>(k * n, 2);
      auto a16 = randomValues<uint16_t>(m * k, 1), b16 = randomValues<uint16_t>(k * n, 2);
      int64_t lda = trans & 1 ? m : k, ldb = trans & 2 ? k : n;
      sameBits([&] {
        std::vector<float> c(m * n, 1.0f);
        moire_gemm_f32_f32(m, n, k, a.data(), lda, trans & 1, b.data(), ldb, trans >> 1, c.data(), n, 1);
        return c;
      });
      sameBits([&] {
        std::vector<uint16_t> c(m * n, 0x3f80);
        moire_gemm_bf16_bf16(m, n, k, a16.data(), lda, trans & 1, b16.data(), ldb, trans >> 1, c.data(), n, 1);
        return c;
      });
    }
}

TEST(Threads, DoNotShowInGroups) {
  for (auto &counts : experts) {
    auto offsets = offsetsOf(counts);
    int64_t rows = offsets.back(), n = 200, k = 300, count = int64_t(counts.size());
    auto index = shuffled(rows, rows + 1);
    auto a = randomValues<float>((rows + 1) * k, 1), b = randomValues<float>(count * n * k, 2);
    auto d = randomValues<float>((rows + 1) * n, 3);
    sameBits([&] {
      std::vector<float> c(rows * n);
      moire_grouped_gemm_f32_f32(rows, n, k, count, offsets.data(), index.data(), a.data(), k, b.data(), 0, c.data(),
                                 n);
      return c;
    });
    sameBits([&] {
      std::vector<float> c(count * n * k);
      moire_grouped_gemm_weight_f32_f32(k, n, count, offsets.data(), index.data(), a.data(), k, nullptr, d.data(), n,
                                        c.data());
      return c;
    });
  }
}

/// The tiles of a product must not show either: each row alone gives what all rows together give, as long as both are
/// too many for the kernels that serve a few rows.
TEST(Gemm, TilesDoNotShow) {
  int64_t m = 97, n = 700, k = 700;
  auto a = randomValues<float>(m * k, 1), b = randomValues<float>(k * n, 2);
  std::vector<float> all(m * n), part(m * n);
  moire_gemm_f32_f32(m, n, k, a.data(), k, 0, b.data(), n, 0, all.data(), n, 0);
  for (int64_t begin = 0; begin < n; begin += 100)
    moire_gemm_f32_f32(m, 100, k, a.data(), k, 0, b.data() + begin, n, 0, part.data() + begin, n, 0);
  EXPECT_EQ(all, part);
}

/// Sums that need rounding to bf16: the upper half of a float times one, plus what is left of it times one.
TEST(Bf16, SumsRoundToNearestEven) {
  std::vector<float> wanted;
  for (uint32_t exponent : {1u, 64u, 126u, 127u, 128u, 200u, 254u})
    for (uint32_t high : {0u, 1u, 2u, 0x3fu, 0x7eu, 0x7fu})
      for (uint32_t low : {0u, 0x100u, 0x7f00u, 0x8000u, 0x8100u, 0xff00u})
        for (uint32_t sign : {0u, 1u}) {
          uint32_t bits = sign << 31 | exponent << 23 | high << 16 | low;
          if (exponent < 20 && low)
            continue; // the rest would be subnormal, which dot products may flush
          float x;
          std::memcpy(&x, &bits, sizeof(x));
          wanted.push_back(x);
        }
  for (int64_t rows : {int64_t(1), int64_t(wanted.size())}) {
    std::vector<uint16_t> a(wanted.size() * 2), ones = {0x3f80, 0x3f80}, c(wanted.size());
    for (size_t i = 0; i < wanted.size(); ++i) {
      uint32_t bits;
      std::memcpy(&bits, &wanted[i], sizeof(bits));
      a[2 * i] = uint16_t(bits >> 16);
      a[2 * i + 1] = floatToBf16(wanted[i] - bf16ToFloat(a[2 * i]));
    }
    if (rows == 1)
      moire_gemm_bf16_bf16(1, int64_t(wanted.size()), 2, ones.data(), 2, 0, a.data(), 2, 1, c.data(),
                           int64_t(wanted.size()), 0);
    else
      moire_gemm_bf16_bf16(rows, 1, 2, a.data(), 2, 0, ones.data(), 1, 0, c.data(), 1, 0);
    for (size_t i = 0; i < wanted.size(); ++i)
      EXPECT_EQ(c[i], floatToBf16(wanted[i])) << wanted[i] << " with " << rows << " rows";
  }
}

TEST(Bf16, ConversionKnowsNanAndInfinity) {
  float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(floatToBf16(infinity), 0x7f80);
  EXPECT_EQ(floatToBf16(-infinity), 0xff80);
  EXPECT_EQ(floatToBf16(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_EQ(floatToBf16(-0.0f), 0x8000);
  EXPECT_EQ(floatToBf16(1.0f), 0x3f80);
  EXPECT_EQ(floatToBf16(1.00390625f), 0x3f80); // a tie goes to the even neighbour
  EXPECT_EQ(floatToBf16(1.01171875f), 0x3f82);
  uint32_t quietLost = 0x7f800001; // a NaN whose payload is all in the lower half
  float nan;
  std::memcpy(&nan, &quietLost, sizeof(nan));
  EXPECT_TRUE(std::isnan(bf16ToFloat(floatToBf16(nan))));
  EXPECT_TRUE(std::isnan(bf16ToFloat(floatToBf16(-std::numeric_limits<float>::quiet_NaN()))));
  for (uint32_t bits = 0; bits < 0x10000; ++bits)
    if (!std::isnan(bf16ToFloat(uint16_t(bits))))
      ASSERT_EQ(floatToBf16(bf16ToFloat(uint16_t(bits))), bits);
}

TEST(Bf16, NanAndInfinityTravelThroughSums) {
  for (int64_t rows : {1, 20}) {
    std::vector<uint16_t> a(rows * 3, 0x3f80), b(3 * 40, 0x3f80), c(rows * 40);
    b[0] = 0x7fc0; // a NaN in column 0
    b[1] = 0x7f80; // infinity in column 1
    b[2] = 0x7f80; // both infinities in column 2
    b[40 + 2] = 0xff80;
    moire_gemm_bf16_bf16(rows, 40, 3, a.data(), 3, 0, b.data(), 40, 0, c.data(), 40, 0);
    for (int64_t r = 0; r < rows; ++r) {
      EXPECT_TRUE(std::isnan(bf16ToFloat(c[r * 40])));
      EXPECT_EQ(c[r * 40 + 1], 0x7f80);
      EXPECT_TRUE(std::isnan(bf16ToFloat(c[r * 40 + 2])));
      EXPECT_EQ(c[r * 40 + 3], floatToBf16(3.0f));
    }
  }
}

} // namespace
