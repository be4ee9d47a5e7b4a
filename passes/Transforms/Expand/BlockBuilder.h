//===- BlockBuilder.h - one block, in tensor-level ops ----------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Emits the tensor-level ops of one block of the model. What differs between training, evaluation and step-by-step
// decoding is in the mode: losses are emitted in training only, states are read and written in decoding only.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_TRANSFORMS_EXPAND_BLOCKBUILDER_H
#define MOIRE_PASSES_TRANSFORMS_EXPAND_BLOCKBUILDER_H

#include "passes/Transforms/Expand/ParameterDeclarations.h"

namespace moire {

/// What a function is made for.
enum class Mode {
  Train, ///< whole sequences, with auxiliary losses and loads
  Eval,  ///< whole sequences, logits only
  Step,  ///< new tokens at a position, over a state
};

/// A quantity that a block reports, per execution.
struct Metric {
  std::string path;                     ///< symbolic, as the block's path
  llvm::SmallVector<std::string> paths; ///< concrete, one per copy
  std::string kind;                     ///< "aux_loss", "load", "active", "probe" or "importance"
};

/// What a router hands to experts. Values that another choice of experts does not have are null.
struct Routing {
  mlir::Value weights;                 ///< gates, [batch, time, top_k]
  mlir::Value offsets, rows, position; ///< of the assignments sorted by expert, see moire.dispatch
  mlir::Value emit;                    ///< of a mixture: what its outputs are weighed with; weights are what mixes
  int64_t group = 1;                   ///< sequences whose tokens meet
};
/// By the model-level result of the router.
using Routings = llvm::DenseMap<mlir::Value, Routing>;

/// What the functions know of the model as a whole.
struct ExpansionContext {
  Mode mode;
  Precision precision;
  int64_t decodeContext = 0; ///< positions that the state has room for (Step)
  mlir::Value position;      ///< scalar i32, the position of the first new token (Step)
  /// Positions of the tokens in their documents, where these are isolated from each other; else null.
  mlir::Value documents;
  bool probe = false; ///< blocks report what they compute (Train)
};

/// The pointwise middle of a feed-forward layer: see moire.mlp and moire.swiglu.
struct FeedForward {
  bool gated;
  Unary activation;
  std::optional<llvm::APFloat> limit;
  double alpha, offset;
};

/// Emits blocks at the builder's insertion point.
class BlockBuilder {
public:
  /// `parameter(suffix)` gives the value of a parameter of `op`; `states` are the block's states as they come in
  /// (Step).
  BlockBuilder(mlir::OpBuilder &builder, const ExpansionContext &context, mlir::Operation *op,
               llvm::function_ref<mlir::Value(llvm::StringRef path, llvm::StringRef suffix)> parameter,
               llvm::ArrayRef<mlir::Value> states, Routings &routings);

  /// Emits `op` on `operands` (already at the tensor level, null for routings); the result, or failure with a
  /// diagnostic at the op. A router has no such result: it adds to the routings.
  llvm::FailureOr<mlir::Value> build(llvm::ArrayRef<mlir::Value> operands);

  /// States as they go out, in the order of `stateTypes` (Step).
  llvm::SmallVector<mlir::Value> newStates;
  /// Values of the metrics of `metricsOf`, in order (Train).
  llvm::SmallVector<mlir::Value> metrics;

  /// Types of the states that `op` keeps between tokens of one sequence.
  static llvm::SmallVector<mlir::RankedTensorType> stateTypes(mlir::Operation *op, const ExpansionContext &context);
  /// What `op` reports in training.
  static llvm::SmallVector<Metric> metricsOf(mlir::Operation *op, const ExpansionContext &context);

private:
  /// Adds what `op` reports of its activations.
  static void reportProbe(mlir::Operation *op, llvm::SmallVector<Metric> &metrics);
  /// Where activations are reported, sum |x| over the rows of x [.., features]; with `offsets`, which sort rows by
  /// expert, one sum for each.
  void reportSizes(mlir::Value x, mlir::Value offsets = {});
  /// `build` without probes.
  llvm::FailureOr<mlir::Value> expand(llvm::ArrayRef<mlir::Value> operands);
  mlir::Value embed(EmbedOp op, mlir::Value tokens);
  mlir::Value positions(LearnedPositionsOp op, mlir::Value x);
  mlir::Value norm(NormOp op, mlir::Value x);
  mlir::Value sinusoids(mlir::Value x);
  mlir::Value attention(AttentionOp op, mlir::Value x);
  mlir::Value latentAttention(LatentAttentionOp op, mlir::Value x);
  mlir::Value mlp(MlpOp op, mlir::Value x);
  mlir::Value swiglu(SwigluOp op, mlir::Value x);
  /// `tokens` are null but for the choice by hash.
  mlir::Value router(RouterOp op, mlir::Value x, mlir::Value tokens);
  mlir::Value experts(ExpertsOp op, mlir::Value x, const Routing &routing);
  /// Experts that choose among the tokens of a group, or that take all of them.
  void expertChoice(RouterOp op, mlir::Value x);
  /// Mixtures of the tokens of a group.
  void mixture(RouterOp op, mlir::Value x);
  /// `logits` over the temperature of a mixture.
  mlir::Value tempered(RouterOp op, mlir::Value logits);
  /// `x` times a number; `x` itself for 1.
  mlir::Value scaled(mlir::Value x, double factor);
  /// The losses that read logits and their softmax alone.
  void reportScores(RouterOp op, mlir::Value logits, mlir::Value probs);
  /// Losses and load of a router in training. `logits` and `probs` are null where nothing is scored.
  void reportRouter(RouterOp op, mlir::Value logits, mlir::Value probs, mlir::Value chosen, DispatchOp dispatch);
  /// How many experts a token meets, on average.
  mlir::Value expertsPerToken(mlir::Value chosen, DispatchOp dispatch);
  mlir::Value mutualInformation(mlir::Value probs, double coefficient);
  /// The expert that sees every token, times its gate.
  mlir::Value sharedExpert(ExpertsOp op, mlir::Value x);
  mlir::Value conv1d(Conv1dOp op, mlir::Value x);
  mlir::Value shift(ShiftOp op, mlir::Value x);
  mlir::Value mamba(MambaOp op, mlir::Value x);
  mlir::Value mamba2(Mamba2Op op, mlir::Value x);
  mlir::Value head(HeadOp op, mlir::Value x);

  /// Parameter of the block itself.
  mlir::Value own(llvm::StringRef suffix);
  /// `x W (+ b)` with the block's parameters under `name`.
  mlir::Value affine(mlir::Value x, llvm::StringRef name, bool bias);
  mlir::Value linear(mlir::Value x, mlir::Value w, mlir::Type element, bool transpose = false);
  mlir::Value unary(Unary kind, mlir::Value x);
  mlir::Value binary(Binary kind, mlir::Value a, mlir::Value b);
  mlir::Value slice(mlir::Value x, int64_t dim, int64_t offset, int64_t size);
  mlir::Value concat(mlir::ValueRange xs, int64_t dim);
  mlir::Value reshape(mlir::Value x, llvm::ArrayRef<int64_t> shape);
  mlir::Value cast(mlir::Value x, mlir::Type element);
  /// What `form` makes of the product(s) of a feed-forward layer before the last one: the activation, or for gated
  /// layers that of the first half of the features times the second half.
  mlir::Value middle(const FeedForward &form, mlir::Value x);
  /// x plus a number.
  mlir::Value shifted(mlir::Value x, double offset);
  /// The product of rows sorted by expert with the experts' matrices (and vectors) under `name`.
  mlir::Value grouped(mlir::Value x, llvm::StringRef name, bool bias, mlir::Value offsets);
  /// Logits of a router, in full precision.
  mlir::Value logits(RouterOp op, mlir::Value x);
  /// RMSNorm of each of `groups` equal slices of the features, times `weight` ([features]).
  mlir::Value rmsNorm(mlir::Value x, mlir::Value weight, mlir::FloatAttr eps, int64_t groups = 1);
  /// silu of the causal depthwise convolution of x with the block's `conv`; keeps the last inputs as a state (Step).
  mlir::Value convolve(mlir::Value x, int64_t taps);
  /// Cosines and sines of the positions at hand, for `size` features of a head.
  template <typename Attention>
  std::pair<mlir::Value, mlir::Value> rotaryRows(Attention op, int64_t time, int64_t size);
  /// Rows of a table of positions [length, n] for `time` positions: from the current one on when stepping.
  mlir::Value positionRows(mlir::Value table, int64_t time);
  int64_t tableLength(int64_t time) const { return stepping() ? context.decodeContext : time; }
  /// x [batch, time, heads, dim] with the first `size` features of each head rotated. `interleaved` turns even with odd
  /// features, and leaves the even ones before the odd ones: scores of rotated queries and keys do not see the order.
  mlir::Value rotate(mlir::Value x, std::pair<mlir::Value, mlir::Value> rows, int64_t size, bool interleaved);
  /// RMSNorm over the last dimension, with the block's parameter `suffix` as weight.
  mlir::Value rmsNorm(mlir::Value x, llvm::StringRef suffix);
  /// What the heads give times the sigmoid of a linear map of x; y is [batch, time, heads, dim].
  mlir::Value gateHeads(OutputGate gate, mlir::Value x, mlir::Value y);

  mlir::RankedTensorType type(llvm::ArrayRef<int64_t> shape, mlir::Type element) const;
  mlir::Type activation() const { return context.precision.activation; }
  mlir::Type full() const { return context.precision.full; }
  bool stepping() const { return context.mode == Mode::Step; }

  mlir::OpBuilder &b;
  const ExpansionContext &context;
  mlir::Operation *op;
  mlir::Location loc;
  llvm::function_ref<mlir::Value(llvm::StringRef, llvm::StringRef)> parameter;
  llvm::ArrayRef<mlir::Value> states;
  Routings &routings;
  mlir::Value scores;                   ///< logits of a router, once they are there
  llvm::SmallVector<mlir::Value> sizes; ///< what `reportSizes` was asked for
};

/// Up to 64 rows of `x` [.., features], the last ones of as many equal stretches: [rows, features] in full precision.
mlir::Value sampleRows(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x, mlir::Type full);

/// Shape of a tensor value.
inline llvm::ArrayRef<int64_t> shapeOf(mlir::Value value) {
  return llvm::cast<mlir::RankedTensorType>(value.getType()).getShape();
}
inline mlir::Type elementOf(mlir::Value value) {
  return llvm::cast<mlir::RankedTensorType>(value.getType()).getElementType();
}

} // namespace moire

#endif // MOIRE_PASSES_TRANSFORMS_EXPAND_BLOCKBUILDER_H
