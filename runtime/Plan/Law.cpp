//===- runtime/Plan/Law.cpp - scaling laws --------------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The joint law has its optimum in closed form; the other one's is found along a line.
//
//===------------------------------------------------------------------------===//
#include "runtime/Plan/Law.h"

#include <boost/math/tools/minima.hpp>
#include <cmath>

namespace moire::runtime {

struct JointLaw::Powers {
  double m, mu, n, nu; ///< L - c = m N^-mu + n D^-nu
  /// N* = balance (F / 6)^(nu / (mu + nu)).
  double balance() const { return std::pow(mu * m / (nu * n), 1 / (mu + nu)); }
};

double JointLaw::effective(double experts) const {
  double offset = 1 / (1 / expertsStart - 1 / expertsMax);
  return 1 / (1 / (experts - 1 + offset) + 1 / expertsMax);
}

JointLaw::Powers JointLaw::powers(double experts) const {
  double e = effective(experts), log = std::log(e);
  return {a * std::pow(e, delta), -(alpha + gamma * log), b * std::pow(e, omega), -(beta + zeta * log)};
}

double JointLaw::loss(double size, double tokens, double experts) const {
  Powers p = powers(experts);
  return p.m * std::pow(size, -p.mu) + p.n * std::pow(tokens, -p.nu) + c;
}

Optimum JointLaw::best(double flops, double experts) const {
  Powers p = powers(experts);
  double size = p.balance() * std::pow(flops / 6, p.nu / (p.mu + p.nu)), tokens = flops / (6 * size);
  return {size, tokens, loss(size, tokens, experts)};
}

double JointLaw::flopsForSize(double size, double experts) const {
  Powers p = powers(experts);
  return 6 * std::pow(size / p.balance(), (p.mu + p.nu) / p.nu);
}

double JointLaw::flopsForTokens(double tokens, double experts) const {
  Powers p = powers(experts);
  return 6 * std::pow(tokens * p.balance(), (p.mu + p.nu) / p.mu);
}

double RateRule::rate(double size, double experts) const {
  return std::exp(intercept + sizePower * std::log(size) + expertsPower * std::log(experts));
}

double GrainLaw::loss(double size, double tokens, double granularity) const {
  return c + (g / std::pow(granularity, gamma) + a) / std::pow(size, alpha) + b / std::pow(tokens, beta);
}

double GrainLaw::flops(double width, double depth, double granularity, double tokens) const {
  return (12 * width * width * flopsPerWeight + width * experts * granularity * flopsPerRoute) * tokens * depth;
}

Optimum GrainLaw::best(double budget, double granularity) const {
  auto at = [&](double logWidth) {
    double width = std::exp(logWidth), depth = width / 64;
    double size = sizeOf(width, depth), tokens = budget / flops(width, depth, granularity, 1);
    return Optimum{size, tokens, loss(size, tokens, granularity)};
  };
  // The loss is convex in the logarithm of the width: what one term gains the other loses, both by powers.
  auto found =
      boost::math::tools::brent_find_minima([&](double x) { return at(x).loss; }, std::log(8.0), std::log(1e6), 40);
  return at(found.first);
}

int64_t GrainLaw::bestGranularity(double budget) const {
  int64_t best = 1;
  for (int64_t granularity = 2; granularity <= 128; granularity *= 2)
    if (this->best(budget, double(granularity)).loss < this->best(budget, double(best)).loss)
      best = granularity;
  return best;
}

const GrainLaw &Laws::grainFor(double experts) const {
  const GrainLaw *nearest = &grains.front();
  for (const GrainLaw &law : grains)
    if (std::abs(std::log(law.experts / experts)) < std::abs(std::log(nearest->experts / experts)))
      nearest = &law;
  return *nearest;
}

} // namespace moire::runtime
