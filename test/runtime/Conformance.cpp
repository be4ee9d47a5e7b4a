//===- test/runtime/Conformance.cpp - what every package must do -------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Holds one package, given by --package=FILE.so, to the promises of abi.h. The
// suite knows nothing of the model: it compares entry points with each other and
// the optimizer with its formula.
//
//===------------------------------------------------------------------------===//
#include "runtime/Core/Model.h"
#include "runtime/Core/Philox.h"
#include "runtime/Train/Initialise.h"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <vector>

using namespace moire::runtime;

static std::string packagePath;

namespace {

class Conformance : public ::testing::Test {
protected:
  void SetUp() override {
    auto package = Package::load(packagePath);
    ASSERT_TRUE(package.ok()) << package.message();
    auto made = Model::make(*package, Use::Train);
    ASSERT_TRUE(made.ok()) << made.message();
    model = std::make_unique<Model>(std::move(*made));
    auto status = initialise(*model, 1);
    ASSERT_TRUE(status.ok()) << status.message();
    auto memory = Buffer::allocate(static_cast<size_t>(p().state_bytes), "state");
    ASSERT_TRUE(memory.ok());
    state = std::move(*memory);
    model->buffers().state = state.data();
    metrics.resize(static_cast<size_t>(p().metric_floats));
    fill(7);
  }

  const moire_package &p() const { return *model->package(); }
  const moire_buffers *buffers() const { return &model->buffers(); }
  bool wide() const { return model->package().elementBytes() == 8; }
  /// Relative tolerance for the same quantity computed along two ways.
  double tolerance() const {
    return p().precision == MOIRE_DTYPE_F64 ? 1e-9 : p().precision == MOIRE_DTYPE_F32 ? 1e-5 : 2e-2;
  }

  /// Random tokens, each the target of the one before.
  void fill(uint64_t seed) {
    const Philox random(seed);
    const int64_t width = p().context + 1;
    tokens.clear(), targets.clear();
    for (int64_t b = 0; b < p().batch; ++b)
      for (int64_t t = 0; t < width; ++t) {
        const auto token = static_cast<int32_t>(
            boundedBy(static_cast<uint64_t>(p().vocab), random.at(static_cast<uint64_t>(b * width + t))));
        if (t < p().context)
          tokens.push_back(token);
        if (t > 0)
          targets.push_back(token);
      }
  }
  double element(const void *buffer, int64_t i) const {
    return wide() ? static_cast<const double *>(buffer)[i] : static_cast<const float *>(buffer)[i];
  }
  void setElement(void *buffer, int64_t i, double value) const {
    if (wide())
      static_cast<double *>(buffer)[i] = value;
    else
      static_cast<float *>(buffer)[i] = static_cast<float>(value);
  }
  std::vector<double> copy(const void *buffer) const {
    std::vector<double> values(static_cast<size_t>(p().parameter_elements));
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = element(buffer, static_cast<int64_t>(i));
    return values;
  }
  double train(double scale = 1) {
    EXPECT_EQ(p().train_step(buffers(), tokens.data(), targets.data(), scale, metrics.data()), 0);
    for (int64_t i = 0; i < p().metric_count; ++i)
      if (std::string(p().metrics[i].kind) == "loss")
        return metrics[static_cast<size_t>(p().metrics[i].offset)];
    ADD_FAILURE() << "no metric of kind `loss`";
    return NAN;
  }
  double eval(int64_t *count = nullptr) {
    double sum = 0;
    int64_t n = 0;
    EXPECT_EQ(p().eval_step(buffers(), tokens.data(), targets.data(), &sum, &n), 0);
    if (count)
      *count = n;
    return n > 0 ? sum / static_cast<double>(n) : sum;
  }
  /// Calls `visit(element, parameter)` for all elements that belong to a parameter.
  template <typename Visit> void forEachElement(Visit visit) const {
    for (int64_t i = 0; i < p().parameter_count; ++i) {
      const moire_parameter &parameter = p().parameters[i];
      for (int64_t e = 0; e < parameter.instances * instanceElements(parameter); ++e)
        visit(parameter.offset + e, parameter);
    }
  }

  std::unique_ptr<Model> model;
  Buffer state;
  std::vector<int32_t> tokens, targets;
  std::vector<float> metrics;
};

TEST_F(Conformance, ParametersDoNotOverlap) {
  std::vector<int> owners(static_cast<size_t>(p().parameter_elements));
  forEachElement([&](int64_t e, const moire_parameter &) { ++owners[static_cast<size_t>(e)]; });
  for (const int n : owners)
    ASSERT_LE(n, 1);
}

TEST_F(Conformance, EvalAndTrainAgreeOnTheLoss) {
  const double loss = train();
  EXPECT_TRUE(std::isfinite(loss));
  EXPECT_NEAR(eval(), loss, std::max(tolerance(), 1e-6) * std::abs(loss));
}

TEST_F(Conformance, EvalLeavesOutIgnoredTargets) {
  int64_t all = 0, fewer = 0;
  (void)eval(&all);
  EXPECT_EQ(all, p().batch * p().context);
  targets[0] = targets.back() = -1;
  (void)eval(&fewer);
  EXPECT_EQ(fewer, all - (targets.size() > 1 ? 2 : 1));
  std::fill(targets.begin(), targets.end(), -1);
  EXPECT_EQ(eval(&fewer), 0);
  EXPECT_EQ(fewer, 0);
}

TEST_F(Conformance, TheSameStepGivesTheSameBits) {
  (void)train();
  const std::vector<double> first = copy(buffers()->grads);
  const std::vector<float> before = metrics;
  // Scratch may hold anything: a step must not read what another one left.
  std::memset(buffers()->arena, 0xa5, static_cast<size_t>(p().arena_bytes));
  std::memset(buffers()->grads, 0xa5, first.size() * model->package().elementBytes());
  (void)train();
  forEachElement([&](int64_t e, const moire_parameter &parameter) {
    ASSERT_EQ(element(buffers()->grads, e), first[static_cast<size_t>(e)]) << parameter.name;
  });
  EXPECT_EQ(metrics, before);
}

TEST_F(Conformance, GradientsScaleAndMetricsDoNot) {
  const double loss = train();
  const std::vector<double> whole = copy(buffers()->grads);
  EXPECT_EQ(train(0.5), loss);
  double norm = 0, difference = 0;
  forEachElement([&](int64_t e, const moire_parameter &parameter) {
    if (parameter.sign_rate > 0) { // a load is what it is
      ASSERT_EQ(element(buffers()->grads, e), whole[static_cast<size_t>(e)]) << parameter.name;
      return;
    }
    norm += std::pow(whole[static_cast<size_t>(e)], 2);
    difference += std::pow(2 * element(buffers()->grads, e) - whole[static_cast<size_t>(e)], 2);
  });
  EXPECT_GT(norm, 0);
  EXPECT_LE(std::sqrt(difference / norm), tolerance());
}

TEST_F(Conformance, AccumulateAdds) {
  (void)train();
  auto memory = Buffer::allocate(static_cast<size_t>(p().parameter_elements) * model->package().elementBytes(), "sum");
  ASSERT_TRUE(memory.ok());
  const std::vector<double> grads = copy(buffers()->grads);
  for (int i = 0; i < 2; ++i)
    ASSERT_EQ(p().accumulate(buffers(), memory->data()), 0);
  forEachElement([&](int64_t e, const moire_parameter &) {
    ASSERT_EQ(element(memory->data(), e), 2 * grads[static_cast<size_t>(e)]);
  });
}

TEST_F(Conformance, LoadsAreShares) {
  (void)train();
  for (int64_t i = 0; i < p().metric_count; ++i) {
    if (std::string(p().metrics[i].kind) != "load")
      continue;
    double sum = 0;
    for (int64_t e = 0; e < p().metrics[i].count; ++e) {
      const float share = metrics[static_cast<size_t>(p().metrics[i].offset + e)];
      EXPECT_GE(share, 0);
      sum += share;
    }
    EXPECT_NEAR(sum, 1, 1e-5) << p().metrics[i].path;
  }
}

TEST_F(Conformance, OptimizerFollowsItsFormula) {
  const double lr = 0.01, lrEnd = 0.003, beta1 = 0.9, beta2 = 0.95, eps = 1e-8, decay = 0.1, gradScale = 0.5;
  std::vector<double> params = copy(buffers()->params), m1(params.size()), m2(params.size());
  for (int64_t step = 1; step <= 3; ++step) {
    (void)train();
    const std::vector<double> grads = copy(buffers()->grads);
    double squares = 0;
    forEachElement([&](int64_t e, const moire_parameter &parameter) {
      if (parameter.sign_rate == 0)
        squares += std::pow(gradScale * grads[static_cast<size_t>(e)], 2);
    });
    const double norm = std::sqrt(squares), clip = step == 2 ? norm / 3 : 0;
    const moire_adamw scalars = {lr, beta1, beta2, eps, decay, clip, gradScale, lrEnd, step};
    double reported = 0;
    ASSERT_EQ(p().optimizer_step(buffers(), &scalars, &reported), 0);
    EXPECT_NEAR(reported, norm, 1e-5 * norm);
    forEachElement([&](int64_t e, const moire_parameter &parameter) {
      const auto i = static_cast<size_t>(e);
      if (parameter.sign_rate > 0) {
        params[i] -= parameter.sign_rate * double((grads[i] > 0) - (grads[i] < 0));
        ASSERT_NEAR(element(buffers()->params, e), params[i], 1e-6 * parameter.sign_rate) << parameter.name << " " << e;
        return;
      }
      const double g = gradScale * grads[i] * (clip > 0 ? clip / norm : 1);
      const double rate = parameter.lr_factor * (parameter.rate_start * lr + parameter.rate_end * lrEnd);
      m1[i] = beta1 * m1[i] + (1 - beta1) * g;
      m2[i] = beta2 * m2[i] + (1 - beta2) * g * g;
      const double c1 = m1[i] / (1 - std::pow(beta1, step)), c2 = m2[i] / (1 - std::pow(beta2, step));
      params[i] -= rate * decay * parameter.decay_factor * params[i] + rate * c1 / (std::sqrt(c2) + eps);
      // A gradient of rounding noise moves a parameter by as much as a true one: absolute, in units of the rate.
      ASSERT_NEAR(element(buffers()->params, e), params[i], wide() ? 1e-9 : 1e-3 * lr) << parameter.name << " " << e;
      params[i] = element(buffers()->params, e);
      m1[i] = element(buffers()->moment1, e), m2[i] = element(buffers()->moment2, e);
    });
  }
}

TEST_F(Conformance, AGradientThatIsNotFiniteChangesNothing) {
  (void)train();
  setElement(buffers()->grads, p().parameters[0].offset, NAN);
  const std::vector<double> before = copy(buffers()->params);
  const moire_adamw scalars = {0.01, 0.9, 0.95, 1e-8, 0.1, 1, 1, 0, 1};
  double norm = 0;
  EXPECT_EQ(p().optimizer_step(buffers(), &scalars, &norm), 1);
  EXPECT_FALSE(std::isfinite(norm));
  EXPECT_EQ(copy(buffers()->params), before);
  for (const double moment : copy(buffers()->moment1))
    ASSERT_EQ(moment, 0);
}

TEST_F(Conformance, TrainingOnOneBatchLowersItsLoss) {
  const double before = train();
  for (int64_t step = 1; step <= 10; ++step) {
    const moire_adamw scalars = {3e-3, 0.9, 0.95, 1e-8, 0, 1, 1, 0, step};
    double norm = 0;
    ASSERT_EQ(p().optimizer_step(buffers(), &scalars, &norm), 0);
    (void)train();
  }
  const double after = eval();
  EXPECT_LT(after, before);
  // The compute copies that the optimizer wrote are those that refresh writes.
  ASSERT_EQ(p().refresh(buffers()), 0);
  EXPECT_EQ(eval(), after);
}

TEST_F(Conformance, GradientMatchesFiniteDifferences) {
  if (!wide())
    GTEST_SKIP() << "only f64 packages are exact enough";
  for (int64_t i = 0; i < p().parameter_count; ++i)
    if (std::string(p().parameters[i].role) == "router")
      GTEST_SKIP() << "routing makes the loss discontinuous, and the objective has more than the loss";
  (void)train();
  const std::vector<double> grads = copy(buffers()->grads), params = copy(buffers()->params);
  const double h = 1e-5;
  for (int64_t i = 0; i < p().parameter_count; ++i) {
    const moire_parameter &parameter = p().parameters[i];
    // Along a random direction of the whole parameter.
    const int64_t elements = parameter.instances * instanceElements(parameter);
    double expected = 0, scale = 0, sides[2];
    const auto direction = [&](int64_t e) { return Philox(uint64_t(i)).at(uint64_t(e))[0] & 1 ? 1.0 : -1.0; };
    for (int64_t e = 0; e < elements; ++e) {
      expected += direction(e) * grads[static_cast<size_t>(parameter.offset + e)];
      scale += std::abs(grads[static_cast<size_t>(parameter.offset + e)]);
    }
    for (int side = 0; side < 2; ++side) {
      for (int64_t e = 0; e < elements; ++e)
        setElement(buffers()->params, parameter.offset + e,
                   params[static_cast<size_t>(parameter.offset + e)] + (side ? -h : h) * direction(e));
      sides[side] = eval();
    }
    for (int64_t e = 0; e < elements; ++e)
      setElement(buffers()->params, parameter.offset + e, params[static_cast<size_t>(parameter.offset + e)]);
    EXPECT_NEAR((sides[0] - sides[1]) / (2 * h), expected, 1e-6 * std::max(scale, 1e-3)) << parameter.name;
  }
}

TEST_F(Conformance, DecodingEqualsTheFullForwardPass) {
  const int64_t length = std::min(p().context, p().decode_context);
  if (length == 0)
    GTEST_SKIP() << "the package does not decode";
  // Only the first window's first `length` targets count.
  for (size_t i = 0; i < targets.size(); ++i)
    if (i >= static_cast<size_t>(length))
      targets[i] = -1;
  const double expected = eval();
  std::vector<float> logits(static_cast<size_t>(p().vocab));
  double sum = 0;
  for (int64_t t = 0; t < length; ++t) {
    ASSERT_EQ(p().decode(buffers(), tokens.data() + t, t, logits.data()), 0);
    double total = 0;
    for (const float logit : logits)
      total += std::exp(static_cast<double>(logit));
    sum += std::log(total) - logits[static_cast<size_t>(targets[static_cast<size_t>(t)])];
  }
  EXPECT_NEAR(sum / static_cast<double>(length), expected, std::max(tolerance(), 1e-5) * expected);
}

TEST_F(Conformance, PrefillEqualsDecoding) {
  const int64_t block = p().prefill_tokens, room = std::min(p().decode_context, int64_t(tokens.size()));
  if (block == 0 || block > room)
    GTEST_SKIP() << "the package does not prefill";
  std::vector<float> one(static_cast<size_t>(p().vocab)), many(one.size());
  const int64_t blocks = room >= 2 * block ? 2 : 1;
  for (int64_t t = 0; t < blocks * block; ++t)
    ASSERT_EQ(p().decode(buffers(), tokens.data() + t, t, one.data()), 0);
  std::memset(buffers()->state, 0, static_cast<size_t>(p().state_bytes));
  for (int64_t b = 0; b < blocks; ++b)
    ASSERT_EQ(p().prefill(buffers(), tokens.data() + b * block, b * block, many.data()), 0);
  double largest = 0;
  for (const float logit : one)
    largest = std::max(largest, std::abs(static_cast<double>(logit)));
  for (size_t v = 0; v < one.size(); ++v)
    ASSERT_NEAR(many[v], one[v], std::max(tolerance(), 1e-5) * std::max(1.0, largest));
}

} // namespace

int main(int argc, char **argv) {
  ::testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i)
    if (const std::string_view argument = argv[i]; argument.starts_with("--package="))
      packagePath = argument.substr(10);
  if (packagePath.empty()) {
    fmt::print(stderr, "usage: package-conformance --package=FILE.so\n");
    return 1;
  }
  return RUN_ALL_TESTS();
}
