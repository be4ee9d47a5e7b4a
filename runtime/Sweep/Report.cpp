//===- runtime/Sweep/Report.cpp - what a sweep found -------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The tables for people, the same as JSON, and the chart.
//
//===------------------------------------------------------------------------===//
#include "runtime/Sweep/Report.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

namespace moire::runtime {

SweepReport::SweepReport(const Grid &grid, const SweepOutcome &outcome) : grid(grid), outcome(outcome) {
  row = size_t(std::max(0, grid.axis("lr")));
  const Axis &axis = grid.axes[row];
  order.resize(axis.values.size());
  std::iota(order.begin(), order.end(), size_t(0));
  if (const auto numbers = axis.numbers()) {
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return (*numbers)[a] < (*numbers)[b]; });
    if ((*numbers)[order.front()] > 0) {
      x.emplace();
      for (const size_t i : order)
        x->push_back((*numbers)[i]);
    }
  }
  findCurves();
  findDrifts();
}

/// Mean and standard error over the seeds of one cell.
static SweepCell cellOf(const std::vector<PointResult> &results) {
  SweepCell cell;
  const double share = 1 / double(results.size());
  for (const PointResult &result : results) {
    cell.diverged += result.diverged;
    cell.evalLoss += share * result.evalLoss;
    cell.trainLoss += share * result.trainLoss;
  }
  if (results.size() > 1) {
    for (const PointResult &result : results)
      cell.error += std::pow(result.evalLoss - cell.evalLoss, 2);
    cell.error = std::sqrt(cell.error * share / double(results.size() - 1));
  }
  return cell;
}

void SweepReport::findCurves() {
  std::map<std::vector<size_t>, std::map<size_t, std::vector<PointResult>>> found;
  std::vector<std::vector<size_t>> inOrder;
  for (size_t i = 0; i < outcome.points.size(); ++i) {
    std::vector<size_t> at = outcome.points[i].at;
    const size_t value = std::exchange(at[row], 0);
    if (!found.contains(at))
      inOrder.push_back(at);
    found[at][value].push_back(outcome.results[i]);
  }
  for (const std::vector<size_t> &at : inOrder) {
    SweepCurve curve{at, {}, {}, {}};
    for (size_t axis = 0; axis < grid.axes.size(); ++axis)
      if (axis != row)
        curve.name += fmt::format("{}{}={}", curve.name.empty() ? "" : " ", grid.axes[axis].name,
                                  grid.axes[axis].values[at[axis]]);
    std::vector<std::pair<double, double>> points;
    for (size_t i = 0; i < order.size(); ++i) {
      curve.cells.push_back(cellOf(found[at][order[i]]));
      points.emplace_back(x ? (*x)[i] : double(i + 1), curve.cells.back().evalLoss);
    }
    curve.optimum = findOptimum(points);
    if (curve.optimum && !x) { // words have no edges, and nothing between them
      curve.optimum->edge = false;
      curve.optimum->between.reset();
    }
    all.push_back(std::move(curve));
  }
}

void SweepReport::findDrifts() {
  const int width = grid.axis("width");
  if (width < 0 || size_t(width) == row || !x || x->size() < 2)
    return;
  const auto widths = grid.axes[size_t(width)].numbers();
  if (!widths || widths->size() < 2)
    return;
  const size_t least = size_t(std::min_element(widths->begin(), widths->end()) - widths->begin());
  const size_t most = size_t(std::max_element(widths->begin(), widths->end()) - widths->begin());
  for (const SweepCurve &narrow : all) {
    if (narrow.at[size_t(width)] != least)
      continue;
    std::vector<size_t> at = narrow.at;
    at[size_t(width)] = most;
    const auto wide = std::find_if(all.begin(), all.end(), [&](const SweepCurve &curve) { return curve.at == at; });
    if (!narrow.optimum || !wide->optimum)
      continue;
    Drift drift{narrow.name,
                wide->name,
                (*x)[wide->optimum->best] / (*x)[narrow.optimum->best],
                {},
                narrow.optimum->edge || wide->optimum->edge};
    if (narrow.optimum->between && wide->optimum->between)
      drift.between = wide->optimum->between->first / narrow.optimum->between->first;
    moves.push_back(drift);
  }
}

void SweepReport::printTable(const char *title, double SweepCell::*loss) const {
  const Axis &axis = grid.axes[row];
  const bool evaluated = loss == &SweepCell::evalLoss;
  fmt::print("\n{}\n{:>10}", title, axis.name);
  std::vector<size_t> widths;
  for (const SweepCurve &curve : all) {
    widths.push_back(std::max<size_t>(curve.name.size(), evaluated && grid.seeds.size() > 1 ? 16 : 10));
    fmt::print("  {:>{}}", curve.name, widths.back());
  }
  fmt::print("\n");
  for (size_t i = 0; i < order.size(); ++i) {
    fmt::print("{:>10}", axis.values[order[i]]);
    for (size_t c = 0; c < all.size(); ++c) {
      const SweepCell &cell = all[c].cells[i];
      std::string text = cell.diverged ? "diverged" : fmt::format("{:.4f}", cell.*loss);
      if (cell.diverged && grid.seeds.size() > 1)
        text += fmt::format(" {}/{}", cell.diverged, grid.seeds.size());
      else if (evaluated && grid.seeds.size() > 1)
        text += fmt::format("±{:.4f}", cell.error);
      if (evaluated)
        text += all[c].optimum && all[c].optimum->best == i ? "*" : " ";
      // `±` is two bytes and one column.
      fmt::print("  {:>{}}", text, widths[c] + (text.find("±") != std::string::npos ? 1 : 0));
    }
    fmt::print("\n");
  }
}

void SweepReport::print() const {
  const std::string &name = grid.axes[row].name;
  const std::string seeds =
      grid.seeds.size() > 1 ? fmt::format(", mean of {} seeds ± its standard error", grid.seeds.size()) : "";
  printTable(fmt::format("held-out loss after {} steps{}", outcome.config.steps, seeds).c_str(), &SweepCell::evalLoss);
  printTable("training loss over the last tenth of the steps", &SweepCell::trainLoss);
  fmt::print("\n");
  for (const SweepCurve &curve : all) {
    const std::string where = curve.name.empty() ? "" : curve.name + ": ";
    if (!curve.optimum) {
      fmt::print("{}every {} diverged\n", where, name);
      continue;
    }
    const size_t best = curve.optimum->best;
    std::string more;
    if (curve.optimum->between)
      more =
          fmt::format("; by a parabola {:.3g} ({:.4f})", curve.optimum->between->first, curve.optimum->between->second);
    else if (curve.optimum->edge && order.size() > 1)
      more = "; at the edge of what was tried, the best may lie beyond";
    fmt::print("{}best {} {} ({:.4f}){}\n", where, name, grid.axes[row].values[order[best]], curve.cells[best].evalLoss,
               more);
  }
  for (const Drift &drift : moves)
    fmt::print("from {} to {} the best {} moves by a factor of {:.3g}{}{}\n", drift.narrow, drift.wide, name,
               drift.tried, drift.between ? fmt::format(", by parabolas {:.3g}", *drift.between) : "",
               drift.edge ? "; unsure, for one of them is at the edge" : "");
}

static Json orNull(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json SweepReport::json(const std::string &spec) const {
  Json axes = Json::object(), points = Json::array(), curves = Json::array(), drifts = Json::array();
  for (const Axis &axis : grid.axes)
    axes[axis.name] = axis.values;
  for (size_t i = 0; i < outcome.points.size(); ++i) {
    Json point;
    for (size_t axis = 0; axis < grid.axes.size(); ++axis)
      point[grid.axes[axis].name] = grid.axes[axis].values[outcome.points[i].at[axis]];
    const PointResult &result = outcome.results[i];
    point.update(Json{{"seed", outcome.points[i].seed},
                      {"diverged", result.diverged},
                      {"eval_loss", orNull(result.evalLoss)},
                      {"train_loss", orNull(result.trainLoss)},
                      {"parameters", result.parameters},
                      {"seconds", result.seconds}});
    points.push_back(std::move(point));
  }
  for (const SweepCurve &curve : all) {
    Json json = {
        {"name", curve.name}, {"eval_loss", Json::array()}, {"error", Json::array()}, {"train_loss", Json::array()}};
    for (const SweepCell &cell : curve.cells) {
      json["eval_loss"].push_back(orNull(cell.evalLoss));
      json["error"].push_back(orNull(cell.error));
      json["train_loss"].push_back(orNull(cell.trainLoss));
    }
    if (curve.optimum) {
      json["best"] = grid.axes[row].values[order[curve.optimum->best]];
      json["best_loss"] = curve.cells[curve.optimum->best].evalLoss;
      json["edge"] = curve.optimum->edge;
      if (const auto &between = curve.optimum->between)
        json["parabola"] = {{"at", between->first}, {"loss", between->second}};
    }
    curves.push_back(std::move(json));
  }
  for (const Drift &drift : moves)
    drifts.push_back({{"from", drift.narrow},
                      {"to", drift.wide},
                      {"factor", drift.tried},
                      {"parabola_factor", drift.between ? Json(*drift.between) : Json()},
                      {"edge", drift.edge}});
  std::vector<std::string> rows;
  for (const size_t i : order)
    rows.push_back(grid.axes[row].values[i]);
  return {{"spec", spec},
          {"steps", outcome.config.steps},
          {"seeds", grid.seeds},
          {"axes", axes},
          {"rows", {{"name", grid.axes[row].name}, {"values", rows}}},
          {"points", points},
          {"curves", curves},
          {"drifts", drifts}};
}

Result<Chart> SweepReport::chart() const {
  if (!x)
    return Status::error("a chart needs numbers above 0 to draw losses over, and `{}` has others", grid.axes[row].name);
  Chart chart{.title = fmt::format("Held-out loss after {} steps", outcome.config.steps),
              .xLabel = grid.axes[row].name,
              .yLabel = "loss, nats a token",
              .curves = {}};
  for (const SweepCurve &curve : all) {
    Curve drawn{curve.name, {}};
    for (size_t i = 0; i < curve.cells.size(); ++i) {
      if (curve.cells[i].diverged)
        continue;
      if (curve.optimum && curve.optimum->best == i)
        drawn.marked = int(drawn.points.size());
      drawn.points.emplace_back((*x)[i], curve.cells[i].evalLoss);
    }
    if (!drawn.points.empty())
      chart.curves.push_back(std::move(drawn));
  }
  if (chart.curves.empty())
    return Status::error("every point diverged: there is nothing to draw");
  return chart;
}

} // namespace moire::runtime
