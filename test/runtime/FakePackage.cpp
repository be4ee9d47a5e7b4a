//===- test/runtime/FakePackage.cpp - a package written by hand --------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The null backend: abi.h implemented without the compiler, by a model small
// enough to check by eye. For tokens x of one window, over a vocabulary of V,
//
//   logits(t) = bigram[x(t)] + first[x(0)] + layers.0.bias + layers.1.bias
//
// so that gradients are exact, one parameter is stacked, and decoding needs its
// state (the first token). Compiled several times with other FAKE_* values, to
// make packages that the runtime must refuse.
//
//===------------------------------------------------------------------------===//
#include "runtime/abi.h"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <time.h>

#ifndef FAKE_PRECISION
#define FAKE_PRECISION MOIRE_DTYPE_F32
#endif
#ifndef FAKE_VOCAB
#define FAKE_VOCAB 256
#endif
#ifndef FAKE_ABI
#define FAKE_ABI MOIRE_ABI_VERSION
#endif
#ifndef FAKE_FEATURES
#define FAKE_FEATURES ""
#endif
#ifndef FAKE_HASH
#define FAKE_HASH "5eed0001"
#endif
#ifndef FAKE_TRAIN // one of the train sections below
#define FAKE_TRAIN twentySteps
#endif
#ifndef FAKE_NAN // 0: never, 1: every gradient, 2: when the batch's first token is odd
#define FAKE_NAN 0
#endif

namespace {

#if FAKE_PRECISION == 2
using T = double;
#else
using T = float;
#endif

[[maybe_unused]] constexpr char twentySteps[] = R"({
  "steps": 20, "accumulate": 1,
  "optimizer": {"kind": "adamw", "lr": 0.05, "beta1": 0.9, "beta2": 0.95, "eps": 1e-8, "weight_decay": 0.1, "clip": 1.0},
  "schedule": {"kind": "cosine", "warmup_steps": 2, "final": 0.1}, "holdout": 0.1, "seed": 0})";
[[maybe_unused]] constexpr char accumulateThree[] = R"({
  "steps": 6, "accumulate": 3, "optimizer": {"kind": "adamw", "lr": 0.05},
  "schedule": {"kind": "cosine", "warmup": 0.01}})";
[[maybe_unused]] constexpr char otherRate[] = R"({
  "steps": 6, "optimizer": {"kind": "adamw", "lr": 0.07}, "schedule": {"kind": "cosine"}})";
[[maybe_unused]] constexpr char misspelt[] = R"({
  "steps": 6, "acumulate": 3, "optimizer": {"kind": "adamw", "lr": 0.05}, "schedule": {"kind": "cosine"}})";

constexpr int64_t V = FAKE_VOCAB, batch = 4, context = 8, layers = 2, decodeContext = 24, prefillTokens = 4;
constexpr int64_t bigramAt = 0, firstAt = V * V, biasAt = 2 * V * V, elements = 2 * V * V + layers * V;
constexpr int64_t computeElements = FAKE_PRECISION == MOIRE_DTYPE_BF16 ? V * V : 0;
constexpr int64_t groups = 4; // the "experts" whose load is reported: tokens by their number modulo 4

uint16_t toBf16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float fromBf16(uint16_t value) {
  const uint32_t bits = uint32_t(value) << 16;
  float result;
  std::memcpy(&result, &bits, 4);
  return result;
}

/// A row of the bigram table as the products see it.
double bigram(const moire_buffers *m, int64_t row, int64_t column) {
  if (computeElements > 0)
    return fromBf16(static_cast<const uint16_t *>(m->compute)[row * V + column]);
  return static_cast<const T *>(m->params)[bigramAt + row * V + column];
}

/// logits[V] after token `token` in a window that begins with `first`.
void logitsOf(const moire_buffers *m, int32_t token, int32_t first, double *logits) {
  const T *const params = static_cast<const T *>(m->params);
  for (int64_t v = 0; v < V; ++v) {
    logits[v] = bigram(m, token, v) + params[firstAt + first * V + v];
    for (int64_t l = 0; l < layers; ++l)
      logits[v] += params[biasAt + l * V + v];
  }
}

/// Turns logits into probabilities in place and returns the cross-entropy of `target`.
double softmax(double *logits, int32_t target) {
  double highest = logits[0], sum = 0;
  for (int64_t v = 1; v < V; ++v)
    highest = std::fmax(highest, logits[v]);
  const double wanted = logits[target] - highest;
  for (int64_t v = 0; v < V; ++v)
    sum += logits[v] = std::exp(logits[v] - highest);
  for (int64_t v = 0; v < V; ++v)
    logits[v] /= sum;
  return std::log(sum) - wanted;
}

/// Lets tests stop a run in the middle: sleeps as many milliseconds as MOIRE_FAKE_SLEEP_MS says.
void pause() {
  if (const char *text = std::getenv("MOIRE_FAKE_SLEEP_MS")) {
    const long ms = std::atol(text);
    const timespec duration = {ms / 1000, ms % 1000 * 1000000};
    ::nanosleep(&duration, nullptr);
  }
}

int32_t evalStep(const moire_buffers *m, const int32_t *tokens, const int32_t *targets, double *lossSum,
                 int64_t *count) {
  double *const logits = static_cast<double *>(m->arena);
  *lossSum = 0, *count = 0;
  for (int64_t i = 0; i < batch * context; ++i) {
    if (targets[i] < 0)
      continue;
    logitsOf(m, tokens[i], tokens[i / context * context], logits);
    *lossSum += softmax(logits, targets[i]);
    ++*count;
  }
  return 0;
}

int32_t trainStep(const moire_buffers *m, const int32_t *tokens, const int32_t *targets, double scale, float *metrics) {
  pause();
  double *const logits = static_cast<double *>(m->arena);
  T *const grads = static_cast<T *>(m->grads);
  std::memset(grads, 0, elements * sizeof(T));
  std::memset(metrics, 0, (2 + groups) * sizeof(float));
  int64_t counted = 0;
  for (int64_t i = 0; i < batch * context; ++i)
    counted += targets[i] >= 0;
  double loss = 0;
  for (int64_t i = 0; i < batch * context; ++i) {
    metrics[2 + tokens[i] % groups] += 1.0f / (batch * context);
    if (targets[i] < 0)
      continue;
    const int32_t first = tokens[i / context * context];
    logitsOf(m, tokens[i], first, logits);
    loss += softmax(logits, targets[i]) / static_cast<double>(counted);
    for (int64_t v = 0; v < V; ++v) {
      const T d = static_cast<T>(scale * (logits[v] - (v == targets[i])) / static_cast<double>(counted));
      grads[bigramAt + tokens[i] * V + v] += d;
      grads[firstAt + first * V + v] += d;
      for (int64_t l = 0; l < layers; ++l)
        grads[biasAt + l * V + v] += d;
    }
  }
  metrics[0] = static_cast<float>(loss);
  metrics[1] = 0.25f;
  if (FAKE_NAN == 1 || (FAKE_NAN == 2 && tokens[0] % 2 == 1))
    grads[0] = static_cast<T>(NAN);
  return 0;
}

int32_t accumulate(const moire_buffers *m, void *accumulator) {
  for (int64_t i = 0; i < elements; ++i)
    static_cast<T *>(accumulator)[i] += static_cast<const T *>(m->grads)[i];
  return 0;
}

int32_t refresh(const moire_buffers *m) {
  for (int64_t i = 0; i < computeElements; ++i)
    static_cast<uint16_t *>(m->compute)[i] = toBf16(static_cast<float>(static_cast<const T *>(m->params)[i]));
  return 0;
}

int32_t optimizerStep(const moire_buffers *m, const moire_adamw *s, double *norm) {
  const T *const grads = static_cast<const T *>(m->grads);
  T *const params = static_cast<T *>(m->params);
  T *const first = static_cast<T *>(m->moment1), *const second = static_cast<T *>(m->moment2);
  double squares = 0;
  for (int64_t i = 0; i < elements; ++i)
    squares += std::pow(s->grad_scale * grads[i], 2);
  *norm = std::sqrt(squares);
  if (!std::isfinite(*norm))
    return 1;
  const double factor = s->grad_scale * (s->clip > 0 && *norm > s->clip ? s->clip / *norm : 1);
  for (int64_t i = 0; i < elements; ++i) {
    const double g = factor * grads[i], decay = i < biasAt ? s->weight_decay : 0, rate = s->lr + s->lr_end,
                 lr = i < firstAt ? rate : rate / 2;
    first[i] = static_cast<T>(s->beta1 * first[i] + (1 - s->beta1) * g);
    second[i] = static_cast<T>(s->beta2 * second[i] + (1 - s->beta2) * g * g);
    const double m1 = first[i] / (1 - std::pow(s->beta1, s->step)), m2 = second[i] / (1 - std::pow(s->beta2, s->step));
    params[i] = static_cast<T>(params[i] * (1 - lr * decay) - lr * m1 / (std::sqrt(m2) + s->eps));
  }
  return refresh(m);
}

/// The state: the first token, plus one so that zero bytes mean "nothing read".
int32_t decode(const moire_buffers *m, const int32_t *token, int64_t position, float *logits) {
  int32_t *const state = static_cast<int32_t *>(m->state);
  if (position == 0)
    *state = *token + 1;
  double *const wide = static_cast<double *>(m->arena);
  logitsOf(m, *token, *state - 1, wide);
  for (int64_t v = 0; v < V; ++v)
    logits[v] = static_cast<float>(wide[v]);
  return 0;
}

int32_t prefill(const moire_buffers *m, const int32_t *tokens, int64_t position, float *logits) {
  for (int64_t i = 0; i < prefillTokens; ++i)
    decode(m, tokens + i, position + i, logits);
  return 0;
}

constexpr int64_t square[] = {V, V}, row[] = {V};
const char *const bigramPaths[] = {"bigram.weight"}, *const firstPaths[] = {"first.weight"};
const char *const biasPaths[] = {"layers.0.bias", "layers.1.bias"};
const moire_parameter parameters[] = {
    {"bigram.weight", "embedding", bigramPaths, 1, 2, square, bigramAt, computeElements > 0 ? 0 : -1, MOIRE_INIT_NORMAL,
     0.02, 0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0},
    {"first.weight", "embedding", firstPaths, 1, 2, square, firstAt, -1, MOIRE_INIT_TRUNCATED_NORMAL, 0.02, 0.03, 0.5,
     1.0, 0.0, 1.0, 1.0, 1.0},
    {"layers.#.bias", "norm", biasPaths, layers, 1, row, biasAt, -1, MOIRE_INIT_UNIFORM, -0.01, 0.01, 0.5, 0.0, 0.0,
     1.0, 1.0, 1.0},
};
const moire_metric metrics[] = {
    {"loss", "loss", 0, 1}, {"layers.0.moe.balance_loss", "aux_loss", 1, 1}, {"layers.0.moe.load", "load", 2, groups}};

} // namespace

#ifdef FAKE_MISSING_SYMBOL
extern "C" void moire_no_such_kernel(void);
#endif

extern "C" const moire_package *moire_get_package(void) {
#ifdef FAKE_MISSING_SYMBOL
  moire_no_such_kernel();
#endif
  static const moire_package package = {
      FAKE_ABI,
      sizeof(moire_package),
      "fake",
      "none",
      "// written by hand\nmodel fake() {}\n",
      FAKE_HASH,
      "cpu",
      FAKE_FEATURES,
      FAKE_TRAIN,
      R"({"parameters":{"total":131584,"active":131584,"by_role":{"embedding":131072,"norm":512}}})",
      FAKE_PRECISION,
      0,
      batch,
      context,
      V,
      decodeContext,
      prefillTokens,
      elements,
      elements,
      computeElements,
      V * int64_t(sizeof(double)),
      64,
      2 + groups,
      3,
      parameters,
      3,
      metrics,
      trainStep,
      accumulate,
      optimizerStep,
      refresh,
      evalStep,
      prefill,
      decode};
  return &package;
}
