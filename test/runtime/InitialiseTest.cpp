//===- test/runtime/InitialiseTest.cpp - first values of parameters --------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Distributions by their moments, and values that depend on nothing but seed,
// path and place.
//
//===------------------------------------------------------------------------===//
#include "runtime/Train/Initialise.h"
#include "Support.h"
#include "runtime/Core/Philox.h"

#include <algorithm>
#include <cmath>

using namespace moire::runtime;

namespace {

/// The fake package's own parameters: a normal, a truncated normal and a stacked uniform one.
Model initialised(int64_t seed, const std::string &name = "fake") {
  auto model = Model::make(*Package::load(fakePath(name)), Use::Evaluate);
  EXPECT_OK(initialise(*model, seed));
  return std::move(*model);
}

struct Moments {
  double mean = 0, deviation = 0, lowest = 0, highest = 0;
};

Moments momentsOf(const Model &model, int parameter) {
  const moire_parameter &p = model.package()->parameters[parameter];
  const float *const values = static_cast<const float *>(model.buffers().params) + p.offset;
  const auto n = static_cast<size_t>(p.instances * instanceElements(p));
  Moments m;
  for (size_t i = 0; i < n; ++i)
    m.mean += values[i] / static_cast<double>(n);
  for (size_t i = 0; i < n; ++i)
    m.deviation += std::pow(values[i] - m.mean, 2) / static_cast<double>(n);
  m.deviation = std::sqrt(m.deviation);
  m.lowest = *std::min_element(values, values + n), m.highest = *std::max_element(values, values + n);
  return m;
}

TEST(Initialise, Distributions) {
  const Model model = initialised(1);
  const Moments normal = momentsOf(model, 0), truncated = momentsOf(model, 1), uniform = momentsOf(model, 2);
  EXPECT_NEAR(normal.mean, 0, 3e-4);
  EXPECT_NEAR(normal.deviation, 0.02, 2e-4);
  EXPECT_GT(normal.highest, 0.07); // 65536 draws reach four deviations
  EXPECT_NEAR(truncated.mean, 0, 3e-4);
  EXPECT_NEAR(truncated.deviation, 0.02 * 0.74, 3e-4); // sqrt(1 - 2 c phi(c) / (2 Phi(c) - 1)) for c = 1.5 is 0.743
  EXPECT_LE(truncated.highest, 0.03f);
  EXPECT_GE(truncated.lowest, -0.03f);
  EXPECT_NEAR(uniform.deviation, 0.02 / std::sqrt(12), 3e-4);
  EXPECT_GE(uniform.lowest, -0.01f);
  EXPECT_LT(uniform.highest, 0.01f);
}

TEST(Initialise, ValuesAreAddressed) {
  const Model one = initialised(1), again = initialised(1), other = initialised(2), wide = initialised(1, "fake-f64");
  const auto *a = static_cast<const float *>(one.buffers().params),
             *b = static_cast<const float *>(again.buffers().params);
  const auto *c = static_cast<const float *>(other.buffers().params);
  const auto *d = static_cast<const double *>(wide.buffers().params);
  const auto n = static_cast<size_t>(one.package()->parameter_elements);
  EXPECT_TRUE(std::equal(a, a + n, b));
  EXPECT_FALSE(std::equal(a, a + n, c));
  for (size_t i = 0; i < n; ++i)
    ASSERT_EQ(a[i], static_cast<float>(d[i]));
  // Two instances of one stacked parameter differ, and follow the documented formula.
  const size_t bias = 2 * 256 * 256;
  EXPECT_NE(a[bias], a[bias + 256]);
  const double u = openUnit(Philox(1, "layers.1.bias").at(5)[2]);
  EXPECT_EQ(a[bias + 256 + 22], static_cast<float>(-0.01 + 0.02 * u));
}

/// One parameter of 8 x 16 elements, filled as `init` says.
Result<std::vector<float>> filled(int32_t init, double a, double b) {
  static const int64_t shape[] = {8, 16};
  static const char *const paths[] = {"p"};
  const moire_parameter parameter = {"p", "ssm", paths, 1, 2, shape, 0, -1, init, a, b, 1, 1};
  std::vector<float> values(128);
  MOIRE_TRY(initialiseInstance({parameter, 0, "p", 0, 128}, 3, /*wide=*/false, values.data()));
  return values;
}

TEST(Initialise, ConstantAndLogArange) {
  EXPECT_EQ(*filled(MOIRE_INIT_CONSTANT, 1.5, 0), std::vector<float>(128, 1.5f));
  const auto logs = filled(MOIRE_INIT_LOG_ARANGE, 0, 0);
  for (size_t i = 0; i < 128; ++i)
    EXPECT_EQ((*logs)[i], static_cast<float>(std::log(static_cast<double>(i % 16 + 1))));
}

TEST(Initialise, LogUniformIsTheLogarithmOfUniform) {
  const auto plain = filled(MOIRE_INIT_UNIFORM, 1, 16), logs = filled(MOIRE_INIT_LOG_UNIFORM, 1, 16);
  for (size_t i = 0; i < 128; ++i)
    EXPECT_NEAR(std::exp((*logs)[i]), (*plain)[i], 1e-5);
}

TEST(Initialise, DtBiasIsTheInverseSoftplus) {
  const auto biases = filled(MOIRE_INIT_DT_BIAS, 1e-3, 1e-1), floored = filled(MOIRE_INIT_DT_BIAS, 1e-6, 1e-5);
  for (const float bias : *biases) {
    const double dt = std::log1p(std::exp(static_cast<double>(bias)));
    EXPECT_GE(dt, 1e-3 * 0.999);
    EXPECT_LE(dt, 1e-1 * 1.001);
  }
  for (auto [dt, bias] : {std::pair{0.001, -6.907255}, {0.01, -4.600166}, {0.1, -2.252168}})
    EXPECT_NEAR(filled(MOIRE_INIT_DT_BIAS, dt, dt * 1.0000001)->front(), bias, 2e-6);
  for (const float bias : *floored) // below the floor of 1e-4
    EXPECT_NEAR(std::log1p(std::exp(static_cast<double>(bias))), 1e-4, 1e-8);
}

TEST(Initialise, RefusesWhatCannotBe) {
  EXPECT_ERROR(filled(MOIRE_INIT_TRUNCATED_NORMAL, 1, 0), "does not fall within 0");
  EXPECT_ERROR(filled(99, 0, 0), "unknown initialisation");
}

} // namespace
