//===- runtime/Plan/Chart.cpp - curves as SVG --------------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Colours are those of Okabe and Ito, which people see apart with any eyes.
//
//===------------------------------------------------------------------------===//
#include "runtime/Plan/Chart.h"
#include "runtime/Plan/Units.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace moire::runtime {
namespace {

constexpr double left = 72, top = 40, bottom = 56;
constexpr const char *colours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"};

std::string escaped(const std::string &text) {
  std::string out;
  for (char c : text)
    out += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : std::string(1, c);
  return out;
}

/// An axis from the least to the largest value, with a little room, and its round numbers.
class Axis {
public:
  Axis(bool log, double low, double high) : log(log) {
    begin = scaled(low), end = scaled(high);
    double room = end > begin ? 0.04 * (end - begin) : 0.5;
    begin -= room, end += room;
  }
  /// 0 at the beginning, 1 at the end.
  double place(double value) const { return (scaled(value) - begin) / (end - begin); }

  std::vector<double> ticks() const {
    std::vector<double> found;
    if (log && end - begin > 0.7) {
      for (int power = int(std::floor(begin)); power <= int(std::ceil(end)); ++power)
        for (double digit : {1.0, 2.0, 5.0})
          if (double x = power + std::log10(digit); x >= begin && x <= end && (digit == 1 || end - begin < 3))
            found.push_back(std::pow(10, x));
      return found;
    }
    double low = log ? std::pow(10, begin) : begin, high = log ? std::pow(10, end) : end;
    double step = std::pow(10, std::floor(std::log10((high - low) / 4)));
    while ((high - low) / step > 8)
      step *= (high - low) / step > 20 ? 5 : 2;
    for (double value = std::ceil(low / step) * step; value <= high; value += step)
      found.push_back(std::abs(value) < step / 1e6 ? 0 : value);
    return found;
  }

private:
  double scaled(double value) const { return log ? std::log10(value) : value; }
  bool log;
  double begin, end;
};

} // namespace

std::string Chart::svg() const {
  double lowX = INFINITY, highX = -INFINITY, lowY = INFINITY, highY = -INFINITY;
  for (const Curve &curve : curves)
    for (auto [x, y] : curve.points) {
      lowX = std::min(lowX, x), highX = std::max(highX, x);
      lowY = std::min(lowY, y), highY = std::max(highY, y);
    }
  // The legend decides how much stands beside the 498 x 344 of the curves.
  size_t longest = 0;
  for (const Curve &curve : curves)
    longest = std::max(longest, curve.name.size());
  const double right = std::max(150.0, 50 + 6.5 * double(longest)), width = left + 498 + right;
  const double height = top + std::max(344.0, 20 * double(curves.size())) + bottom;
  Axis xAxis(logX, lowX, highX), yAxis(logY, lowY, highY);
  auto px = [&](double x) { return left + xAxis.place(x) * (width - left - right); };
  auto py = [&](double y) { return height - bottom - yAxis.place(y) * (height - top - bottom); };

  std::string out =
      fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" width=\"{}\" height=\"{}\" "
                  "font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" "
                  "fill=\"white\"/>\n",
                  width, height, width, height);
  auto text = [&](double x, double y, const char *anchor, const std::string &what, const char *more = "") {
    out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{}</text>\n", x, y, anchor, more,
                       escaped(what));
  };
  for (double x : xAxis.ticks()) {
    out += fmt::format("<line x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\" stroke=\"#ddd\"/>\n", px(x), top,
                       height - bottom);
    text(px(x), height - bottom + 18, "middle", spelled(x));
  }
  for (double y : yAxis.ticks()) {
    out += fmt::format("<line x1=\"{1}\" x2=\"{2}\" y1=\"{0:.1f}\" y2=\"{0:.1f}\" stroke=\"#ddd\"/>\n", py(y), left,
                       width - right);
    text(left - 8, py(y) + 4, "end", fmt::format("{:.4g}", y));
  }
  out += fmt::format("<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"none\" stroke=\"#666\"/>\n", left, top,
                     width - left - right, height - top - bottom);
  text((left + width - right) / 2, 24, "middle", title, " font-size=\"15\"");
  text((left + width - right) / 2, height - 16, "middle", xLabel);
  text(0, 0, "middle", yLabel,
       fmt::format(" transform=\"translate(20 {}) rotate(-90)\"", (top + height - bottom) / 2).c_str());
  for (size_t i = 0; i < curves.size(); ++i) {
    const char *colour = colours[i % std::size(colours)];
    std::string path;
    for (auto [x, y] : curves[i].points)
      path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : " L", px(x), py(y));
    out += fmt::format("<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>\n", path, colour);
    for (size_t j = 0; j < curves[i].points.size(); ++j)
      if (int(j) == curves[i].marked || curves[i].points.size() <= 12)
        out +=
            fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\" fill=\"{}\" stroke=\"{}\" stroke-width=\"2\"/>\n",
                        px(curves[i].points[j].first), py(curves[i].points[j].second),
                        int(j) == curves[i].marked ? 5 : 2.5, int(j) == curves[i].marked ? "white" : colour, colour);
    double y = top + 12 + 20 * double(i);
    out += fmt::format("<line x1=\"{0}\" x2=\"{1}\" y1=\"{2}\" y2=\"{2}\" stroke=\"{3}\" stroke-width=\"2\"/>\n",
                       width - right + 14, width - right + 36, y, colour);
    text(width - right + 42, y + 4, "start", curves[i].name);
  }
  return out + "</svg>\n";
}

} // namespace moire::runtime
