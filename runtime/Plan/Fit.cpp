//===- runtime/Plan/Fit.cpp - laws from runs of one's own --------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Levenberg-Marquardt on residuals bent so that their squares are Huber's loss.
//
//===------------------------------------------------------------------------===//
#include "runtime/Plan/Fit.h"
#include "runtime/Core/Philox.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <set>
#include <unsupported/Eigen/NonLinearOptimization>
#include <unsupported/Eigen/NumericalDiff>

namespace moire::runtime {
namespace {

using Eigen::VectorXd;

constexpr double huber = 1e-3;

/// Sizes and tokens enter in millions, so that no coefficient is many powers away from the others.
constexpr double unit = 1e6;

/// Coefficients: log a, alpha, log b, beta, log c and, with experts, delta, omega.
struct Form {
  const JointLaw &published;
  bool withExperts;
  int count() const { return withExperts ? 7 : 5; }

  JointLaw law(const VectorXd &p) const {
    JointLaw law = published;
    // log(a (N / unit)^-alpha) = log a + alpha log unit - alpha log N
    law.alpha = -std::exp(p[1]), law.beta = -std::exp(p[3]);
    law.a = std::exp(p[0] - law.alpha * std::log(unit)), law.b = std::exp(p[2] - law.beta * std::log(unit));
    law.c = std::exp(p[4]);
    law.gamma = law.zeta = 0;
    law.delta = withExperts ? p[5] : 0, law.omega = withExperts ? p[6] : 0;
    return law;
  }
};

struct Residuals {
  using Scalar = double;
  using InputType = VectorXd;
  using ValueType = VectorXd;
  using JacobianType = Eigen::MatrixXd;
  enum { InputsAtCompileTime = Eigen::Dynamic, ValuesAtCompileTime = Eigen::Dynamic };

  Form form;
  std::vector<RunPoint> runs;
  int inputs() const { return form.count(); }
  int values() const { return int(runs.size()); }
  int operator()(const VectorXd &p, VectorXd &out) const {
    JointLaw law = form.law(p);
    for (size_t i = 0; i < runs.size(); ++i) {
      double r = std::log(law.loss(runs[i].size, runs[i].tokens, runs[i].experts) / runs[i].loss);
      double loss = std::abs(r) <= huber ? r * r / 2 : huber * (std::abs(r) - huber / 2);
      out[Eigen::Index(i)] = std::copysign(std::sqrt(2 * loss), r);
    }
    return 0;
  }
};

/// The least loss reached from `start`; `start` becomes where.
double descend(const Form &form, const std::vector<RunPoint> &runs, VectorXd &start) {
  Eigen::NumericalDiff<Residuals, Eigen::Central> residuals(Residuals{form, runs});
  Eigen::LevenbergMarquardt<Eigen::NumericalDiff<Residuals, Eigen::Central>> solver(residuals);
  solver.parameters.maxfev = 400 * (form.count() + 1);
  solver.parameters.ftol = solver.parameters.xtol = 1e-14;
  solver.minimize(start);
  double loss = solver.fvec.squaredNorm();
  return std::isfinite(loss) && start.allFinite() ? loss : INFINITY;
}

VectorXd fitFrom(const Form &form, const std::vector<RunPoint> &runs, const std::vector<VectorXd> &starts) {
  VectorXd best = starts.front();
  double least = INFINITY;
  for (VectorXd p : starts)
    if (double loss = descend(form, runs, p); loss < least)
      least = loss, best = p;
  return best;
}

Interval spanOf(const std::vector<RunPoint> &runs, double RunPoint::*what) {
  auto [low, high] = std::minmax_element(runs.begin(), runs.end(), [&](auto &a, auto &b) { return a.*what < b.*what; });
  return {(*low).*what, (*high).*what};
}

size_t different(const std::vector<RunPoint> &runs, double RunPoint::*what) {
  std::set<double> values;
  for (const RunPoint &run : runs)
    values.insert(run.*what);
  return values.size();
}

} // namespace

Interval FittedLaw::ninety(const std::function<double(const JointLaw &)> &value) const {
  std::vector<double> values;
  for (const JointLaw &one : resampled)
    values.push_back(value(one));
  if (values.empty())
    values.push_back(value(law));
  std::sort(values.begin(), values.end());
  auto at = [&](double share) { return values[size_t(std::lround(share * double(values.size() - 1)))]; };
  return {at(0.05), at(0.95)};
}

Result<FittedLaw> fitLaw(const std::vector<RunPoint> &runs, const JointLaw &published, int resamplings, uint64_t seed) {
  Form form{published, different(runs, &RunPoint::experts) > 1};
  if (runs.size() < 2 * size_t(form.count()))
    return Status::error("{} runs are too few to fit {} coefficients: {} would do", runs.size(), form.count(),
                         2 * form.count());
  for (auto [what, name] : {std::pair{&RunPoint::size, "size"}, {&RunPoint::tokens, "number of tokens"}})
    if (different(runs, what) < 3)
      return Status::error("the runs have {} different {}s; a power needs at least 3", different(runs, what), name);
  for (const RunPoint &run : runs)
    if (!(run.loss > 0 && std::isfinite(run.loss)))
      return Status::error("a run of {:.4g} parameters has the loss {}", run.size, run.loss);

  double least = spanOf(runs, &RunPoint::loss).low;
  std::vector<VectorXd> starts;
  for (double power : {0.15, 0.3, 0.6})
    for (double other : {0.15, 0.3, 0.6})
      for (double share : {0.2, 0.6, 0.9}) {
        VectorXd p(form.count());
        double above = std::log(least * (1 - share)), n = std::log(spanOf(runs, &RunPoint::size).high / unit);
        double d = std::log(spanOf(runs, &RunPoint::tokens).high / unit);
        p.setZero();
        p.head(5) << above + power * n - std::log(2), std::log(power), above + other * d - std::log(2), std::log(other),
            std::log(least * share);
        starts.push_back(p);
      }
  VectorXd best = fitFrom(form, runs, starts);
  auto finished = [&](const VectorXd &p) {
    JointLaw law = form.law(p);
    law.source = fmt::format("{} runs", runs.size());
    law.size = spanOf(runs, &RunPoint::size), law.tokens = spanOf(runs, &RunPoint::tokens);
    law.experts = spanOf(runs, &RunPoint::experts);
    double sum = 0;
    for (const RunPoint &run : runs)
      sum += std::pow(law.loss(run.size, run.tokens, run.experts) - run.loss, 2);
    law.rmse = std::sqrt(sum / double(runs.size()));
    return law;
  };
  FittedLaw fitted{finished(best), {}};
  const Philox random(seed, "bootstrap");
  for (int i = 0; i < resamplings; ++i) {
    std::vector<RunPoint> drawn;
    for (size_t j = 0; j < runs.size(); ++j)
      drawn.push_back(runs[boundedBy(runs.size(), random.at(j, uint64_t(i)))]);
    fitted.resampled.push_back(finished(fitFrom(form, drawn, {best})));
  }
  return fitted;
}

double ScoreLaw::score(double flops, double samples) const {
  double logC = std::log(flops), logK = std::log(samples);
  double q = std::exp(-std::exp(logA + alpha * logC + beta * logK + delta * logC * logK));
  return chance + (1 - chance) * q;
}

Result<ScoreLaw> fitScores(const std::vector<ScorePoint> &scores, double chance) {
  std::vector<ScorePoint> kept;
  bool many = false;
  for (const ScorePoint &point : scores) {
    if (!(point.flops > 0 && point.score < 1 && point.samples >= 1))
      return Status::error("a score of {} at {:.4g} operations: operations must be above 0, scores below 1",
                           point.score, point.flops);
    if (point.score > 1.05 * chance && point.score > 0)
      kept.push_back(point), many |= point.samples != 1;
  }
  int columns = many ? 4 : 2;
  if (int(kept.size()) < columns + 1)
    return Status::error("{} of {} scores are at least 5 % above chance; {} are needed", kept.size(), scores.size(),
                         columns + 1);
  Eigen::MatrixXd a(kept.size(), columns);
  VectorXd y(kept.size());
  for (size_t i = 0; i < kept.size(); ++i) {
    double logC = std::log(kept[i].flops), logK = std::log(kept[i].samples);
    auto row = Eigen::Index(i);
    a(row, 0) = 1, a(row, 1) = logC;
    if (many)
      a(row, 2) = logK, a(row, 3) = logC * logK;
    y[row] = std::log(-std::log((kept[i].score - chance) / (1 - chance)));
  }
  auto solver = a.colPivHouseholderQr();
  if (solver.rank() < columns)
    return Status::error("the scores do not vary enough: budgets{} must differ", many ? " and numbers of samples" : "");
  VectorXd p = solver.solve(y);
  auto [low, high] = std::minmax_element(kept.begin(), kept.end(), [](auto &x, auto &z) { return x.flops < z.flops; });
  return ScoreLaw{chance, p[0], p[1], many ? p[2] : 0, many ? p[3] : 0, {low->flops, high->flops}};
}

} // namespace moire::runtime
