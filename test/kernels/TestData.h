//===- test/kernels/TestData.h - inputs and comparisons of kernel tests ------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Random inputs with strides, comparisons with a stated tolerance, and finite
// differences. `Types<X, S>` names the element types of a kernel's suffix.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_TEST_KERNELS_TESTDATA_H
#define MOIRE_TEST_KERNELS_TESTDATA_H

#include "kernels/include/Kernels.h"
#include "kernels/include/Reference.h"
#include "kernels/reference/Element.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <random>
#include <vector>

namespace moire::test {

/// Element types of one suffix, and what a result may differ by, relative to the largest value of its array.
template <typename XType, typename SType> struct Types {
  using X = XType;
  using S = SType;
};
using F32 = Types<float, float>;
using F64 = Types<double, double>;
using Bf16 = Types<uint16_t, float>;
using AllTypes = testing::Types<F32, F64, Bf16>;

/// NAME(fast, T(), arguments...): the kernel moire_KERNEL of T's suffix, or its oracle, under one name. MOIRE_CALLS has
/// all element types, MOIRE_FULL_CALLS those of kernels that exist in full precision only.
#define MOIRE_CALL(NAME, KERNEL, TYPES, SUFFIX)                                                                        \
  template <typename... A> void NAME(bool fast, TYPES, A... a) {                                                       \
    fast ? moire_##KERNEL##_##SUFFIX(a...) : moire_reference_##KERNEL##_##SUFFIX(a...);                                \
  }
#define MOIRE_FULL_CALLS(NAME, KERNEL) MOIRE_CALL(NAME, KERNEL, F32, f32) MOIRE_CALL(NAME, KERNEL, F64, f64)
#define MOIRE_CALLS(NAME, KERNEL) MOIRE_FULL_CALLS(NAME, KERNEL) MOIRE_CALL(NAME, KERNEL, Bf16, bf16)

/// Relative error allowed in an array of T: rounding of the elements, and for S that of sums of some thousand terms.
template <typename T> constexpr double tolerance() {
  return std::is_same_v<T, double> ? 1e-13 : std::is_same_v<T, float> ? 5e-6 : 1.0 / 128;
}

template <typename T> double valueOf(T element) {
  return double(reference::load<std::conditional_t<std::is_same_v<T, uint16_t>, float, T>>(element));
}

template <typename T> T elementOf(double value) {
  T element;
  reference::store(element, std::conditional_t<std::is_same_v<T, double>, double, float>(value));
  return element;
}

/// Random inputs; the same seed gives the same numbers.
class Random {
  std::mt19937_64 engine;

public:
  explicit Random(uint64_t seed) : engine(seed) {}

  double uniform(double low, double high) { return std::uniform_real_distribution<double>(low, high)(engine); }

  template <typename T> std::vector<T> vector(int64_t count, double low = -1, double high = 1) {
    std::vector<T> values(static_cast<size_t>(count));
    for (T &value : values)
      value = elementOf<T>(uniform(low, high));
    return values;
  }
};

/// Expects two arrays to agree within `factor` times the tolerance of T, relative to the largest expected magnitude.
template <typename T>
void expectClose(const std::vector<T> &actual, const std::vector<T> &expected, const char *what, double factor = 1) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  double largest = 1e-30;
  for (T value : expected)
    largest = std::max(largest, std::abs(valueOf(value)));
  for (size_t i = 0; i < actual.size(); ++i)
    ASSERT_LE(std::abs(valueOf(actual[i]) - valueOf(expected[i])), factor * tolerance<T>() * largest)
        << what << "[" << i << "]: " << valueOf(actual[i]) << ", expected " << valueOf(expected[i]);
}

/// Runs `body` with 1, 2, 3 and 5 threads; it fills a vector of bytes that must come out the same every time.
inline void expectSameBits(const std::function<std::vector<unsigned char>()> &body) {
  int32_t before = moire_threads();
  moire_set_threads(1);
  std::vector<unsigned char> expected = body();
  for (int32_t threads : {2, 3, 5}) {
    moire_set_threads(threads);
    EXPECT_EQ(body(), expected) << threads << " threads";
  }
  moire_set_threads(before);
}

/// Appends the bytes of `values`.
template <typename T> void appendBytes(std::vector<unsigned char> &bytes, const std::vector<T> &values) {
  const unsigned char *data = reinterpret_cast<const unsigned char *>(values.data());
  bytes.insert(bytes.end(), data, data + values.size() * sizeof(T));
}

/// Compares a gradient with central differences of `loss` at every entry of `input`, relative to the largest entry of
/// the gradient.
inline void expectGradient(std::vector<double> &input, const std::vector<double> &gradient,
                           const std::function<double()> &loss, const char *what) {
  ASSERT_EQ(input.size(), gradient.size()) << what;
  double largest = 1e-3;
  for (double value : gradient)
    largest = std::max(largest, std::abs(value));
  for (size_t i = 0; i < input.size(); ++i) {
    double kept = input[i], step = 1e-5, sides[2];
    for (int side = 0; side < 2; ++side) {
      input[i] = kept + (side ? step : -step);
      sides[side] = loss();
    }
    input[i] = kept;
    EXPECT_NEAR(gradient[i], (sides[1] - sides[0]) / (2 * step), 1e-6 * largest) << what << "[" << i << "]";
  }
}

/// Where documents begin in sequences: whether token t of sequence i is the first of one.
struct Documents {
  const char *name;
  bool (*begins)(int64_t i, int64_t t);

  /// Ages, as kernels are given them.
  std::vector<int32_t> ages(int64_t batch, int64_t time) const {
    std::vector<int32_t> all;
    for (int64_t i = 0; i < batch; ++i)
      for (int64_t t = 0; t < time; ++t)
        all.push_back(t == 0 || begins(i, t) ? 0 : all.back() + 1);
    return all;
  }
};
inline const Documents documentKinds[] = {
    {"one document", [](int64_t, int64_t) { return false; }},
    {"a document a token", [](int64_t, int64_t) { return true; }},
    {"documents of 64", [](int64_t, int64_t t) { return t % 64 == 0; }},
    {"documents of 7", [](int64_t, int64_t t) { return t % 7 == 0; }},
    {"a token alone", [](int64_t i, int64_t t) { return t == 30 + i || t == 31 + i; }},
    {"the last token", [](int64_t, int64_t t) { return t == 64 || t == 129; }},
    {"here and there", [](int64_t i, int64_t t) { return (t * t + 3 * t + i) % 29 < 2; }}};

/// <x, y>.
inline double inner(const std::vector<double> &x, const std::vector<double> &y) {
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i)
    sum += x[i] * y[i];
  return sum;
}

/// Calls check(ages) without documents, then with each kind where every sequence begins in the middle of one: the state
/// that a scan is given counts.
template <typename Check> void forContinuedDocuments(int64_t batch, int64_t time, Check check) {
  check(std::vector<int32_t>());
  for (const Documents &kind : documentKinds) {
    SCOPED_TRACE(kind.name);
    std::vector<int32_t> ages = kind.ages(batch, time);
    for (int64_t i = 0; i < batch; ++i)
      ages[size_t(i * time)] = 5;
    check(ages);
  }
}

} // namespace moire::test

#endif // MOIRE_TEST_KERNELS_TESTDATA_H
