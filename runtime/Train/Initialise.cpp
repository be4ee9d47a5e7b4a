//===- runtime/Train/Initialise.cpp - first values of parameters ----------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Computed in double, stored in the type of the master weights.
//
//===------------------------------------------------------------------------===//
#include "runtime/Train/Initialise.h"

#include "runtime/Core/Philox.h"

#include <cmath>
#include <numbers>

namespace moire::runtime {
namespace {

/// Random numbers of one instance.
class Draws {
public:
  Draws(int64_t seed, const char *path) : stream(static_cast<uint64_t>(seed), path) {}

  /// Uniform in (0, 1).
  double uniform(uint64_t element) { return openUnit(block(element / 4, 0)[element % 4]); }
  /// Standard normal (Box and Muller 1958).
  double normal(uint64_t element, uint64_t attempt) {
    const Philox::Block &words = block(element / 4, attempt);
    const int pair = element % 4 < 2 ? 0 : 2;
    const double radius = std::sqrt(-2 * std::log(openUnit(words[pair])));
    const double angle = 2 * std::numbers::pi * openUnit(words[pair + 1]);
    return radius * (element % 2 == 0 ? std::cos(angle) : std::sin(angle));
  }

private:
  /// Neighbouring elements share a block, so the last one is kept.
  const Philox::Block &block(uint64_t index, uint64_t lane) {
    if (index != lastIndex || lane != lastLane) {
      last = stream.at(index, lane);
      lastIndex = index, lastLane = lane;
    }
    return last;
  }

  Philox stream;
  Philox::Block last{};
  uint64_t lastIndex = UINT64_MAX, lastLane = 0;
};

/// An upper limit that is met only by a table that cannot be fulfilled, e.g. a bound far below the deviation.
constexpr uint64_t mostRedraws = 100000;

template <typename T> Status fill(const Instance &instance, int64_t seed, T *out) {
  const moire_parameter &p = instance.parameter;
  const double a = p.init_a, b = p.init_b;
  const int64_t last = p.rank > 0 ? p.shape[p.rank - 1] : 1;
  Draws draws(seed, instance.path);
  for (int64_t i = 0; i < instance.elements; ++i) {
    double value = 0;
    switch (p.init) {
    case MOIRE_INIT_CONSTANT:
      value = a;
      break;
    case MOIRE_INIT_NORMAL:
      value = a * draws.normal(i, 0);
      break;
    case MOIRE_INIT_TRUNCATED_NORMAL:
      value = a * draws.normal(i, 0);
      for (uint64_t attempt = 1; std::abs(value) > b; ++attempt) {
        if (attempt > mostRedraws)
          return Status::error("parameter `{}`: a normal of deviation {} does not fall within {}", instance.path, a, b);
        value = a * draws.normal(i, attempt);
      }
      break;
    case MOIRE_INIT_UNIFORM:
      value = a + (b - a) * draws.uniform(i);
      break;
    case MOIRE_INIT_LOG_ARANGE:
      value = std::log(static_cast<double>(i % last + 1));
      break;
    case MOIRE_INIT_DT_BIAS: {
      const double dt = std::max(std::exp(std::log(a) + (std::log(b) - std::log(a)) * draws.uniform(i)), 1e-4);
      value = dt + std::log(-std::expm1(-dt));
      break;
    }
    case MOIRE_INIT_LOG_UNIFORM:
      value = std::log(a + (b - a) * draws.uniform(i));
      break;
    default:
      return Status::error("parameter `{}` has an unknown initialisation ({})", instance.path, p.init);
    }
    out[i] = static_cast<T>(value);
  }
  return {};
}

} // namespace

Status initialiseInstance(const Instance &instance, int64_t seed, bool wide, void *out) {
  return wide ? fill(instance, seed, static_cast<double *>(out)) : fill(instance, seed, static_cast<float *>(out));
}

Status initialise(Model &model, int64_t seed) {
  const size_t size = model.package().elementBytes();
  MOIRE_TRY(forEachInstance(*model.package(), [&](const Instance &instance) {
    char *const params = static_cast<char *>(model.buffers().params);
    return initialiseInstance(instance, seed, size == 8, params + static_cast<size_t>(instance.offset) * size);
  }));
  return model.check(model.package()->refresh(&model.buffers()), "refresh");
}

} // namespace moire::runtime
