//===- test/numerics/evaluator/Mixing.cpp - products and mixers ---------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Products, attention and scans over kernels/reference; convolutions by their formula.
//===----------------------------------------------------------------------===//
#include "test/numerics/evaluator/Evaluator.h"

#include "kernels/include/Reference.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace moire::evaluator {
namespace {

/// What taps have to do with each other: calls visit(x index, w index, y index) for every product of a convolution.
/// With `documents`, of y's tokens, not those with x before the beginning of a token's document.
template <typename Visit>
void visitTaps(RankedTensorType x, RankedTensorType y, int64_t taps, bool causal, const int32_t *documents,
               Visit visit) {
  int64_t inTime = x.getDimSize(1), outTime = y.getDimSize(1), channels = x.getDimSize(2);
  for (int64_t b = 0; b < x.getDimSize(0); ++b)
    for (int64_t t = 0; t < outTime; ++t)
      for (int64_t k = 0; k < taps; ++k) {
        int64_t from = t + k - (causal ? taps - 1 : 0);
        if (from < 0 || from >= inTime || (documents && documents[b * outTime + t] < taps - 1 - k))
          continue;
        for (int64_t c = 0; c < channels; ++c)
          visit((b * inTime + from) * channels + c, k * channels + c, (b * outTime + t) * channels + c);
      }
}

void conv(ConvOp op, Frame &f) {
  const double *x = f.in(op.getX()), *w = f.in(op.getW()), *bias = f.in(op.getBias());
  RankedTensorType type = op.getY().getType();
  double *y = f.out(op.getY());
  for (int64_t i = 0; i < type.getNumElements(); ++i)
    y[i] = bias[i % lastExtent(type)];
  visitTaps(op.getX().getType(), type, op.getW().getType().getDimSize(0), op.getPadding() == Padding::Causal,
            f.ints(op.getDocuments()), [&](int64_t from, int64_t tap, int64_t to) { y[to] += w[tap] * x[from]; });
}

void convGradInput(ConvGradInputOp op, Frame &f) {
  const double *dy = f.in(op.getDy()), *w = f.in(op.getW());
  double *dx = f.out(op.getDx());
  RankedTensorType type = op.getDx().getType();
  visitTaps(type, type, op.getW().getType().getDimSize(0), /*causal=*/true, f.ints(op.getDocuments()),
            [&](int64_t from, int64_t tap, int64_t to) { dx[from] += w[tap] * dy[to]; });
}

void convGradWeight(ConvGradWeightOp op, Frame &f) {
  const double *x = f.in(op.getX()), *dy = f.in(op.getDy());
  double *dw = f.out(op.getDw()), *dbias = f.out(op.getDbias());
  RankedTensorType type = op.getX().getType();
  visitTaps(type, type, op.getDw().getType().getDimSize(0), /*causal=*/true, f.ints(op.getDocuments()),
            [&](int64_t from, int64_t tap, int64_t to) { dw[tap] += x[from] * dy[to]; });
  for (int64_t i = 0; i < type.getNumElements(); ++i)
    dbias[i % lastExtent(type)] += dy[i];
}

void linear(LinearOp op, Frame &f) {
  RankedTensorType x = op.getX().getType(), type = op.getY().getType();
  int64_t m = rowsOf(x), k = lastExtent(x), n = lastExtent(type);
  double *y = f.out(op.getY());
  if (const double *bias = f.in(op.getBias()))
    for (int64_t i = 0; i < m * n; ++i)
      y[i] = bias[i % n];
  moire_reference_gemm_f64_f64(m, n, k, f.in(op.getX()), k, 0, f.in(op.getW()), op.getTranspose() ? k : n,
                               op.getTranspose(), y, n, /*accumulate=*/1);
}

/// Extents and numbers of an attention, as the kernels name them.
struct Form {
  int64_t batch, time, heads, kvHeads, dim, valueDim, row, kRow, vRow, outRow, window;
  int32_t alibi;
  double scale, softcap;
  const double *sinks;
  const int32_t *documents;

  template <typename Attention> Form(Attention op, Frame &f) {
    ArrayRef<int64_t> q = op.getQ().getType().getShape(), v = op.getV().getType().getShape();
    batch = q[0], time = q[1], heads = q[2], kvHeads = v[2], dim = q[3], valueDim = v[3];
    row = heads * dim, kRow = kvHeads * dim, vRow = kvHeads * valueDim, outRow = heads * valueDim;
    window = op.getWindow().value_or(0);
    alibi = op.getAlibi();
    scale = op.getScale().convertToDouble();
    softcap = op.getSoftcap() ? op.getSoftcap()->convertToDouble() : 0;
    sinks = op.getSinks() ? f.in(op.getSinks()) : nullptr;
    documents = f.ints(op.getDocuments());
  }
};

void attention(SoftmaxAttentionOp op, Frame &f) {
  Form a(op, f);
  moire_reference_attention_f64(a.batch, a.time, a.heads, a.kvHeads, a.dim, a.valueDim, !op.getBidirectional(),
                                a.window, a.alibi, a.scale, a.softcap, a.sinks, a.documents, f.in(op.getQ()), a.row,
                                f.in(op.getK()), a.kRow, f.in(op.getV()), a.vRow, f.out(op.getY()), a.outRow,
                                f.out(op.getLse()));
}

void attentionGrad(SoftmaxAttentionGradOp op, Frame &f) {
  Form a(op, f);
  moire_reference_attention_backward_f64(
      a.batch, a.time, a.heads, a.kvHeads, a.dim, a.valueDim, !op.getBidirectional(), a.window, a.alibi, a.scale,
      a.softcap, a.sinks, a.documents, f.in(op.getQ()), a.row, f.in(op.getK()), a.kRow, f.in(op.getV()), a.vRow,
      f.in(op.getY()), a.outRow, f.in(op.getLse()), f.in(op.getDy()), a.outRow, f.out(op.getDq()), a.row,
      f.out(op.getDk()), a.kRow, f.out(op.getDv()), a.vRow, op.getDsinks() ? f.out(op.getDsinks()) : nullptr);
}

void cachedAttention(CachedAttentionOp op, Frame &f) {
  Form a(op, f);
  // The caches that come out are the ones that went in, extended.
  Tensor kCache = f.get(op.getKCache()), vCache = f.get(op.getVCache());
  moire_reference_attention_cached_f64(
      a.time, f.ints(op.getPosition())[0], op.getKCache().getType().getDimSize(0), a.heads, a.kvHeads, a.dim,
      a.valueDim, a.window, a.alibi, a.scale, a.softcap, a.sinks, a.documents, f.in(op.getQ()), a.row, f.in(op.getK()),
      a.kRow, f.in(op.getV()), a.vRow, kCache.floats.data(), vCache.floats.data(), f.out(op.getY()), a.outRow);
  f.set(op.getKOut(), std::move(kCache));
  f.set(op.getVOut(), std::move(vCache));
}

/// The forward scans, with or without a state that comes in and goes out.
template <typename ScanOp> void scan(ScanOp op, Frame &f, const double *initial, double *final, double *states) {
  ArrayRef<int64_t> u = op.getU().getType().getShape();
  int64_t state = lastExtent(op.getA().getType());
  moire_reference_scan_f64(u[0], u[1], u[2], state, f.in(op.getU()), u[2], f.in(op.getDt()), f.in(op.getA()),
                           f.in(op.getB()), state, f.in(op.getC()), state, f.in(op.getD()), f.ints(op.getDocuments()),
                           initial, f.out(op.getY()), final, states);
}

void scanGrad(SelectiveScanGradOp op, Frame &f) {
  ArrayRef<int64_t> u = op.getU().getType().getShape();
  int64_t state = lastExtent(op.getA().getType());
  moire_reference_scan_backward_f64(u[0], u[1], u[2], state, f.in(op.getU()), u[2], f.in(op.getDt()), f.in(op.getA()),
                                    f.in(op.getB()), state, f.in(op.getC()), state, f.in(op.getD()),
                                    f.ints(op.getDocuments()), f.in(op.getStates()), f.in(op.getDy()),
                                    f.out(op.getDu()), u[2], f.out(op.getDdt()), f.out(op.getDa()), f.out(op.getDb()),
                                    state, f.out(op.getDc()), state, f.out(op.getDd()), /*workspace=*/nullptr);
}

/// The forward scans of Mamba-2, with or without a state that comes in and goes out.
template <typename ScanOp> void ssdScan(ScanOp op, Frame &f, const double *initial, double *final, double *states) {
  ArrayRef<int64_t> x = op.getX().getType().getShape(), b = op.getB().getType().getShape();
  moire_reference_ssd_scan_f64(x[0], x[1], x[2], x[3], b[2], b[3], op.getChunk(), f.in(op.getX()), x[2] * x[3],
                               f.in(op.getDt()), f.in(op.getA()), f.in(op.getB()), b[2] * b[3], f.in(op.getC()),
                               b[2] * b[3], f.in(op.getD()), f.ints(op.getDocuments()), initial, f.out(op.getY()),
                               final, states);
}

void ssdScanGrad(SsdScanGradOp op, Frame &f) {
  ArrayRef<int64_t> x = op.getX().getType().getShape(), b = op.getB().getType().getShape();
  int64_t row = x[2] * x[3], stateRow = b[2] * b[3];
  moire_reference_ssd_scan_backward_f64(
      x[0], x[1], x[2], x[3], b[2], b[3], op.getChunk(), f.in(op.getX()), row, f.in(op.getDt()), f.in(op.getA()),
      f.in(op.getB()), stateRow, f.in(op.getC()), stateRow, f.in(op.getD()), f.ints(op.getDocuments()),
      f.in(op.getStates()), f.in(op.getDy()), f.out(op.getDx()), row, f.out(op.getDdt()), f.out(op.getDa()),
      f.out(op.getDb()), stateRow, f.out(op.getDc()), stateRow, f.out(op.getDd()), /*workspace=*/nullptr);
}

} // namespace

bool evaluateMixing(Operation *op, Frame &f) {
  return llvm::TypeSwitch<Operation *, bool>(op)
      .Case<LinearOp>([&](auto op) { return linear(op, f), true; })
      .Case<LinearGradWeightOp>([&](auto op) {
        int64_t rows = rowsOf(op.getX().getType()), in = lastExtent(op.getX().getType()),
                out = lastExtent(op.getDy().getType());
        moire_reference_gemm_f64_f64(in, out, rows, f.in(op.getX()), in, /*trans_a=*/1, f.in(op.getDy()), out, 0,
                                     f.out(op.getDw()), out, 0);
        return true;
      })
      .Case<GroupedLinearOp>([&](auto op) {
        int64_t rows = op.getY().getType().getDimSize(0), out = op.getY().getType().getDimSize(1);
        int64_t in = lastExtent(op.getX().getType()), experts = op.getW().getType().getDimSize(0);
        moire_reference_grouped_gemm_f64_f64(rows, out, in, experts, f.ints(op.getOffsets()), f.ints(op.getRows()),
                                             f.in(op.getX()), in, f.in(op.getW()), op.getTranspose(), f.out(op.getY()),
                                             out);
        return true;
      })
      .Case<GroupedLinearGradWeightOp>([&](auto op) {
        ArrayRef<int64_t> dw = op.getDw().getType().getShape();
        moire_reference_grouped_gemm_weight_f64_f64(dw[1], dw[2], dw[0], f.ints(op.getOffsets()), f.ints(op.getXRows()),
                                                    f.in(op.getX()), dw[1], f.ints(op.getDyRows()), f.in(op.getDy()),
                                                    dw[2], f.out(op.getDw()));
        return true;
      })
      .Case<SoftmaxAttentionOp>([&](auto op) { return attention(op, f), true; })
      .Case<SoftmaxAttentionGradOp>([&](auto op) { return attentionGrad(op, f), true; })
      .Case<CachedAttentionOp>([&](auto op) { return cachedAttention(op, f), true; })
      .Case<ConvOp>([&](auto op) { return conv(op, f), true; })
      .Case<ConvGradInputOp>([&](auto op) { return convGradInput(op, f), true; })
      .Case<ConvGradWeightOp>([&](auto op) { return convGradWeight(op, f), true; })
      .Case<SelectiveScanOp>([&](auto op) {
        double *states = f.out(op.getStates());
        return scan(op, f, nullptr, nullptr, states), true;
      })
      .Case<StatefulScanOp>([&](auto op) {
        double *final = f.out(op.getStateOut());
        return scan(op, f, f.in(op.getState()), final, nullptr), true;
      })
      .Case<SelectiveScanGradOp>([&](auto op) { return scanGrad(op, f), true; })
      .Case<SsdScanOp>([&](auto op) {
        double *states = f.out(op.getStates());
        return ssdScan(op, f, nullptr, nullptr, states), true;
      })
      .Case<StatefulSsdScanOp>([&](auto op) {
        double *final = f.out(op.getStateOut());
        return ssdScan(op, f, f.in(op.getState()), final, nullptr), true;
      })
      .Case<DocumentPositionsOp>([&](auto op) {
        ArrayRef<int64_t> tokens = op.getTokens().getType().getShape();
        int32_t *positions = f.outInts(op.getY()), *next = op.getNext() ? f.outInts(op.getNext()) : nullptr;
        moire_reference_document_positions(tokens[0], tokens[1], op.getSeparator(), f.ints(op.getTokens()),
                                           f.ints(op.getCount()), positions, next);
        return true;
      })
      .Case<ReachesBackOp>([&](auto op) {
        const int32_t *documents = f.ints(op.getDocuments());
        double *y = f.out(op.getY());
        for (int64_t i = 0; i < op.getY().getType().getNumElements(); ++i)
          y[i] = documents[i] >= int64_t(op.getBy());
        return true;
      })
      .Case<SsdScanGradOp>([&](auto op) { return ssdScanGrad(op, f), true; })
      .Default([](Operation *) { return false; });
}

} // namespace moire::evaluator
