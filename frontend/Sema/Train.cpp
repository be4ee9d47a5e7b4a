//===- frontend/Sema/Train.cpp - the train section as text -----------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Two spellings of the same settings: JSON for the runtime, the language for
// people.
//===----------------------------------------------------------------------===//
#include "frontend/Sema/Train.h"
#include "frontend/AST/Nodes.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

namespace moire::sema {

std::string trainJson(const TrainSettings &s) {
  auto real = [](double value) { return ast::realText(value); };
  std::string text;
  raw_string_ostream os(text);
  os << "{\"steps\":" << s.steps << ",\"accumulate\":" << s.accumulate
     << ",\"optimizer\":{\"kind\":\"adamw\",\"lr\":" << real(s.lr) << ",\"beta1\":" << real(s.beta1)
     << ",\"beta2\":" << real(s.beta2) << ",\"eps\":" << real(s.eps) << ",\"weight_decay\":" << real(s.weightDecay)
     << ",\"clip\":" << real(s.clip) << "},\"schedule\":{\"kind\":\"" << (s.cosine ? "cosine" : "constant") << "\",";
  if (s.warmupIsCount)
    os << "\"warmup_steps\":" << s.warmupSteps;
  else
    os << "\"warmup\":" << real(s.warmupShare);
  if (s.cosine)
    os << ",\"final\":" << real(s.final);
  os << "},\"holdout\":" << real(s.holdout) << ",\"eval_every\":" << s.evalEvery
     << ",\"checkpoint_every\":" << s.checkpointEvery << ",\"seed\":" << s.seed;
  if (s.separator)
    os << ",\"separator\":" << *s.separator;
  os << "}";
  return text;
}

/// "shapes = { … }".
static std::string shapesText(const std::vector<BaseShape> &all) {
  std::string shapes;
  for (const BaseShape &shape : all) {
    std::string extents;
    for (int64_t extent : shape.extents)
      extents += (extents.empty() ? "" : ", ") + std::to_string(extent);
    shapes += (shapes.empty() ? "\"" : ", \"") + shape.name + "\": (" + extents + ")";
  }
  return "shapes = { " + shapes + " }";
}

static std::string projectedText(const ProjectedSettings &projected) {
  std::string text;
  for (const auto &[name, value] : projected.source)
    text += (text.empty() ? "" : ", ") + name + " = " + value.spelled();
  return "projected(" + (projected.shapes.empty() ? text : shapesText(projected.shapes)) + ")";
}

static std::string mupText(const MupSettings &mup) {
  std::string text = "mup(";
  for (const auto &[name, value] : mup.base)
    text += mup.shapes.empty() ? "base_" + name + " = " + value.spelled() + ", " : "";
  if (!mup.shapes.empty())
    text += shapesText(mup.shapes) + ", ";
  return text + "input = " + ast::realText(mup.input) + ", output = " + ast::realText(mup.output) +
         ", router = " + mup.router + ")";
}

static std::string ratesText(const std::vector<RateRule> &rates) {
  std::string text;
  for (const RateRule &rule : rates)
    text += (text.empty() ? "" : ", ") + (rule.isPath ? "\"" + rule.key + "\"" : rule.key) + ": " +
            ast::realText(rule.start) + " -> " + ast::realText(rule.end);
  return "{ " + text + " }";
}

std::string trainText(const TrainSettings &s) {
  auto real = [](double value) { return ast::realText(value); };
  std::string text;
  raw_string_ostream os(text);
  os << "train {\n";
  os << "  batch = " << s.batch << "\n  context = " << s.context << "\n  steps = " << s.steps
     << "\n  accumulate = " << s.accumulate << "\n";
  os << "  optimizer = adamw(lr = " << real(s.lr) << ", betas = (" << real(s.beta1) << ", " << real(s.beta2)
     << "), eps = " << real(s.eps) << ", weight_decay = " << real(s.weightDecay) << ", clip = " << real(s.clip)
     << ")\n";
  os << "  schedule = " << (s.cosine ? "cosine" : "constant")
     << "(warmup = " << (s.warmupIsCount ? std::to_string(s.warmupSteps) : real(s.warmupShare));
  if (s.cosine)
    os << ", final = " << real(s.final);
  os << ")\n";
  os << "  holdout = " << real(s.holdout) << "\n  eval_every = " << s.evalEvery
     << "\n  checkpoint_every = " << s.checkpointEvery << "\n  seed = " << s.seed << "\n";
  if (s.separator)
    os << "  separator = " << *s.separator << "\n";
  if (s.isolate)
    os << "  isolate = true\n";
  if (s.mup)
    os << "  scaling = " << mupText(*s.mup) << "\n";
  if (!s.rates.empty())
    os << "  rates = " << ratesText(s.rates) << "\n";
  if (s.projected)
    os << "  compress = " << projectedText(*s.projected) << "\n";
  os << "}\n";
  return text;
}

} // namespace moire::sema
