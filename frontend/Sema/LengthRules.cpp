//===- frontend/Sema/LengthRules.cpp - streams of another length ------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Layers that move positions or change how many there are. Everything comes out
// even; what does not is told what would.
//===----------------------------------------------------------------------===//
#include "frontend/Sema/BuiltinRules.h"
#include "llvm/ADT/Twine.h"

using namespace llvm;

namespace moire::sema {

/// Whether the positions of the stream can be cut into pieces of `factor`, the argument `at`.
static bool comesOutEven(Completion &c, const ArgumentValue &at, int64_t factor, const Twine &what) {
  if (c.time % factor == 0)
    return true;
  std::string text = (Twine(c.time) + " positions cannot be " + what + " by " + Twine(factor) + "; " +
                      nearbyDivisors(c.time, factor) + " would fit")
                         .str();
  // Where the stream is shorter than the context by a whole factor, so are the pieces.
  if (int64_t step; c.context % c.time == 0 && !MulOverflow(factor, c.context / c.time, step)) {
    int64_t below = c.context / step * step;
    text += ", or a context of " + (below > 0 ? std::to_string(below) + " or " : std::string()) +
            std::to_string(below + step);
  }
  (void)c.diagnostics.error(at.range, text);
  return false;
}

bool completeStack(Completion &c) { return comesOutEven(c, c.at("factor"), c.count("factor"), "stacked"); }

bool completeUnstack(Completion &c) {
  int64_t factor = c.count("factor");
  if (c.width % factor == 0)
    return true;
  (void)c.diagnostics.error(c.at("factor").range, "a width of " + Twine(c.width) + " cannot be cut into " +
                                                      Twine(factor) + " positions; " + nearbyDivisors(c.width, factor) +
                                                      " would fit");
  return false;
}

bool completeShift(Completion &c) {
  int64_t by = c.count("by");
  if (by < c.time)
    return true;
  (void)c.diagnostics.error(c.at("by").range, "a shift by " + Twine(by) + " leaves nothing of " + Twine(c.time) +
                                                  " positions; 1 to " + Twine(c.time - 1) + " would");
  return false;
}

bool completeConv1d(Completion &c) {
  int64_t kernel = c.count("kernel"), stride = c.count("stride");
  if (kernel < stride) {
    const ArgumentValue &at = c.at("stride").given ? c.at("stride") : c.at("kernel");
    (void)c.diagnostics.error(at.range, "a stride of " + Twine(stride) + " skips positions with a kernel of " +
                                            Twine(kernel) + "; a kernel of " + Twine(stride) + " or more would not");
    return false;
  }
  return comesOutEven(c, c.at("stride"), stride, "taken");
}

static int64_t factorOf(ArrayRef<ArgumentValue> values) { return values[0].constant->count; }
int64_t stackedWidth(ArrayRef<ArgumentValue> values, int64_t width) { return width * factorOf(values); }
int64_t stackedTime(ArrayRef<ArgumentValue> values, int64_t time) { return time / factorOf(values); }
int64_t unstackedWidth(ArrayRef<ArgumentValue> values, int64_t width) { return width / factorOf(values); }
int64_t unstackedTime(ArrayRef<ArgumentValue> values, int64_t time) { return time * factorOf(values); }
int64_t convolvedTime(ArrayRef<ArgumentValue> values, int64_t time) { return time / values[2].constant->count; }
int64_t sameTime(ArrayRef<ArgumentValue>, int64_t time) { return time; }

} // namespace moire::sema
