//===- test/numerics/OptimizerTest.cpp - the generated optimizer --------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Machine code of @optimizer_step, @accumulate and @refresh against AdamW written down in double precision.
//===----------------------------------------------------------------------===//
#include "dialect/IR/MoireOps.h"
#include "kernels/include/Kernels.h"
#include "kernels/reference/Element.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/Parser/Parser.h"
#include "passes/Analysis/ParameterLayout.h"
#include "test/numerics/evaluator/Compiled.h"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <limits>

using namespace mlir;
using namespace moire;
using namespace moire::evaluator;

namespace {

/// Two tasks of the first parameter, tails of 8 and 5 elements, one parameter without a bf16 copy.
const char *const source = R"(
  moire.param @w : tensor<8x2051xTYPE> role ffn init normal {stack = 0 : i64, paths = ["w"] COMPUTE}
  moire.param @b : tensor<21xTYPE> role norm init constant
    {stack = 0 : i64, paths = ["b"], lr_factor = 0.5, decay_factor = 0.0, rate_start = 0.25, rate_end = 3.0}
  moire.param @s : tensor<37xTYPE> role router init constant
    {stack = 0 : i64, paths = ["s"], decay_factor = 0.0, sign_rate = 0.25}
  moire.param @v : tensor<2x3xTYPE> role ffn init normal {stack = 1 : i64, paths = ["v0", "v1"] COMPUTE}
)";

/// The scalars of a step in the order of the ABI.
struct Scalars {
  double lr = 1e-2, beta1 = 0.9, beta2 = 0.95, eps = 1e-8, weightDecay = 0.1, clip = 0, gradScale = 1, lrEnd = 2e-3;
  int64_t step = 1;
};

template <typename T> struct Precision;
template <> struct Precision<float> {
  static constexpr const char *name = "f32", *compute = ", compute";
  static constexpr double tolerance = 2e-6;
};
template <> struct Precision<double> {
  static constexpr const char *name = "f64", *compute = "";
  static constexpr double tolerance = 1e-14;
};

/// One compiled optimizer, its memory, and the same step in double precision beside it.
template <typename T> class Optimizer {
public:
  explicit Optimizer(StringRef features) {
    DialectRegistry registry;
    registerAllDialects(registry);
    registerAllExtensions(registry);
    registry.insert<MoireDialect>();
    context.appendDialectRegistry(registry);
    std::string text = source;
    for (auto [from, to] : {std::pair("TYPE", Precision<T>::name), std::pair("COMPUTE", Precision<T>::compute)})
      for (size_t at; (at = text.find(from)) != std::string::npos;)
        text.replace(at, std::strlen(from), to);
    module = parseSourceString<ModuleOp>(text, &context);
    layout = std::make_unique<ParameterLayout>(*module);
    auto result = Compiled::create(*module, features);
    EXPECT_TRUE(static_cast<bool>(result)) << (result ? "" : llvm::toString(result.takeError()));
    code = std::move(*result);
    for (auto *buffer : {&params, &grads, &moment1, &moment2, &accumulator})
      buffer->assign(layout->parameterElements(), 0);
    compute.assign(layout->computeElements(), 0x7777);
    for (const ParameterSlot &slot : layout->slots())
      for (int64_t i = slot.offset; i < slot.offset + slot.elements(); ++i) {
        params[i] = static_cast<T>(std::sin(0.7 * i));
        grads[i] = static_cast<T>(std::cos(1.3 * i) * 0.1);
      }
  }

  int32_t step(const Scalars &scalars) {
    double values[] = {scalars.lr,          scalars.beta1, scalars.beta2,     scalars.eps,
                       scalars.weightDecay, scalars.clip,  scalars.gradScale, scalars.lrEnd};
    int64_t number = scalars.step;
    std::vector<void *> buffers{params.data(), grads.data(), moment1.data(), moment2.data()};
    if (!compute.empty())
      buffers.push_back(compute.data());
    buffers.insert(buffers.end(), {values, &number, &norm});
    return code->callRaw("optimizer_step", buffers);
  }

  /// What a step should make of the current memory.
  void expectStep(const Scalars &s) {
    double sum = 0;
    for (T g : grads)
      sum += static_cast<double>(g) * g;
    const ParameterSlot &bySign = *layout->lookup("s"); // no part of the norm
    for (int64_t i = bySign.offset; i < bySign.offset + bySign.elements(); ++i)
      sum -= static_cast<double>(grads[i]) * grads[i];
    double expectedNorm = std::sqrt(sum) * s.gradScale;
    double scale = s.gradScale * (s.clip > 0 && expectedNorm > s.clip ? s.clip / expectedNorm : 1);
    std::vector<double> p(params.begin(), params.end()), m(moment1.begin(), moment1.end()),
        v(moment2.begin(), moment2.end());
    for (const ParameterSlot &slot : layout->slots()) {
      if (auto sign = ParamOp(slot.param).getSignRate()) {
        for (int64_t i = slot.offset; i < slot.offset + slot.elements(); ++i)
          p[i] -= sign->convertToDouble() * ((grads[i] > 0) - (grads[i] < 0));
        continue;
      }
      ParamOp param = slot.param;
      double rate = param.getLrFactor().convertToDouble() *
                    (param.getRateStart().convertToDouble() * s.lr + param.getRateEnd().convertToDouble() * s.lrEnd);
      double decay = s.weightDecay * param.getDecayFactor().convertToDouble();
      for (int64_t i = slot.offset; i < slot.offset + slot.elements(); ++i) {
        double g = grads[i] * scale;
        m[i] = s.beta1 * m[i] + (1 - s.beta1) * g;
        v[i] = s.beta2 * v[i] + (1 - s.beta2) * g * g;
        double mHat = m[i] / (1 - std::pow(s.beta1, s.step)), vHat = v[i] / (1 - std::pow(s.beta2, s.step));
        p[i] -= rate * (mHat / (std::sqrt(vHat) + s.eps) + decay * p[i]);
      }
    }
    EXPECT_EQ(step(s), 0);
    EXPECT_NEAR(norm, expectedNorm, 1e-12 * expectedNorm);
    expectNear(params, p, "params");
    expectNear(moment1, m, "moment1");
    expectNear(moment2, v, "moment2");
    expectCopies();
  }

  /// Every bf16 copy is the rounded parameter.
  void expectCopies() {
    for (const ParameterSlot &slot : layout->slots())
      for (int64_t i = 0; slot.computeOffset >= 0 && i < slot.elements(); ++i) {
        uint16_t expected;
        reference::store(expected, static_cast<float>(params[slot.offset + i]));
        ASSERT_EQ(compute[slot.computeOffset + i], expected) << "copy of element " << slot.offset + i;
      }
  }

  static void expectNear(const std::vector<T> &results, const std::vector<double> &expected, const char *what) {
    for (size_t i = 0; i < expected.size(); ++i)
      ASSERT_NEAR(results[i], expected[i], Precision<T>::tolerance * std::max(1.0, std::abs(expected[i])))
          << what << " " << i;
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
  std::unique_ptr<ParameterLayout> layout;
  std::unique_ptr<Compiled> code;
  std::vector<T> params, grads, moment1, moment2, accumulator;
  std::vector<uint16_t> compute;
  double norm = 0;
};

template <typename T> void checkSteps(StringRef features) {
  Optimizer<T> optimizer(features);
  Scalars scalars;
  for (scalars.step = 1; scalars.step <= 3; ++scalars.step)
    optimizer.expectStep(scalars);
  // Late steps, a scale as of four accumulated batches, and a norm above the limit.
  scalars.step = 1000;
  scalars.gradScale = 0.25;
  scalars.clip = 0.5;
  optimizer.expectStep(scalars);
  EXPECT_GT(optimizer.norm, 0.5);
  // A norm below the limit changes nothing.
  scalars.clip = 1e3;
  optimizer.expectStep(scalars);
}

TEST(Optimizer, UpdatesF32) { checkSteps<float>("native"); }
TEST(Optimizer, UpdatesF64) { checkSteps<double>("native"); }
TEST(Optimizer, UpdatesWithoutWideVectors) { checkSteps<float>("baseline"); }

TEST(Optimizer, LeavesEverythingWhenTheNormIsNotFinite) {
  for (float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    Optimizer<float> optimizer("native");
    optimizer.grads[16390] = bad;
    auto params = optimizer.params, moment1 = optimizer.moment1;
    auto compute = optimizer.compute;
    EXPECT_EQ(optimizer.step({}), 1);
    EXPECT_FALSE(std::isfinite(optimizer.norm));
    EXPECT_EQ(optimizer.params, params);
    EXPECT_EQ(optimizer.moment1, moment1);
    EXPECT_EQ(optimizer.compute, compute);
  }
}

TEST(Optimizer, GivesTheSameBitsWithAnyNumberOfThreads) {
  std::vector<std::vector<float>> results;
  std::vector<double> norms;
  for (int threads : {1, 2, 3}) {
    moire_set_threads(threads);
    Optimizer<float> optimizer("native");
    EXPECT_EQ(optimizer.step({}), 0);
    results.push_back(optimizer.params);
    norms.push_back(optimizer.norm);
  }
  moire_set_threads(2);
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
  EXPECT_EQ(norms[0], norms[1]);
  EXPECT_EQ(norms[0], norms[2]);
}

TEST(Optimizer, Accumulates) {
  Optimizer<float> optimizer("native");
  for (int time = 1; time <= 3; ++time) {
    EXPECT_EQ(optimizer.code->callRaw("accumulate", {optimizer.accumulator.data(), optimizer.grads.data()}), 0);
    std::vector<float> expected(optimizer.grads.size());
    for (int k = 0; k < time; ++k)
      for (size_t i = 0; i < expected.size(); ++i)
        expected[i] += optimizer.grads[i];
    EXPECT_EQ(optimizer.accumulator, expected);
  }
}

TEST(Optimizer, RefreshesCopies) {
  for (const char *features : {"native", "baseline"}) {
    Optimizer<float> optimizer(features);
    // Ties to even both ways, the largest numbers, what rounds to infinity, and what is none.
    float special[] = {1.00390625f,
                       1.01171875f,
                       std::numeric_limits<float>::max(),
                       -0.0f,
                       1e-40f,
                       std::numeric_limits<float>::infinity(),
                       std::nanf("0x1"),
                       3.0e38f};
    std::copy(std::begin(special), std::end(special), optimizer.params.begin() + 3);
    EXPECT_EQ(optimizer.code->callRaw("refresh", {optimizer.params.data(), optimizer.compute.data()}), 0);
    optimizer.compute[9] = 0x7fc0; // which NaN it is does not matter
    optimizer.params[9] = std::numeric_limits<float>::quiet_NaN();
    if (std::string(features) == "native")
      optimizer.params[7] = reference::load<float>(optimizer.compute[7]); // the processor may flush denormals
    optimizer.expectCopies();
  }
}

} // namespace
