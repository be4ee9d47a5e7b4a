//===- dialect/IR/ModelOps.cpp - verifiers of the model level ------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What each block asks of its numbers and of the stream it is given.
//===----------------------------------------------------------------------===//
#include "dialect/IR/MoireOps.h"
#include "dialect/IR/Verify.h"

using namespace mlir;
using namespace moire;

LogicalResult ModelOp::verify() {
  int64_t batch = getBatch(), context = getContextLength(), vocab = getVocab();
  Block &body = getBody().front();
  if (body.getNumArguments() != 1) // model.C1
    return emitOpError("expects one block argument, the tokens, got ") << body.getNumArguments();
  Type tokens = RankedTensorType::get({batch, context}, IntegerType::get((*this)->getContext(), 32));
  if (failed(expectType(*this, "tokens", body.getArgument(0).getType(), tokens))) // model.C1
    return failure();
  auto end = dyn_cast<ReturnOp>(body.getTerminator());
  if (!end) // model.C2
    return emitOpError("expects its body to end in `moire.return`, got `") << body.getTerminator()->getName() << "`";
  Type logits = end.getLogits().getType();
  if (failed(expectShape(*this, "logits", logits, {batch, context, vocab}))) // model.C2
    return failure();
  if (failed(expect(isFullPrecision(logits), *this, "logits in full precision", elementOf(logits)))) // model.C2
    return failure();
  if (getIsolate() && !getSeparator()) // model.C3
    return emitOpError("expects a `separator` to isolate documents by");
  int64_t separator = getSeparator().value_or(0);
  return expect(separator >= 0 && separator < vocab, *this, "a separator among the tokens", separator); // model.C3
}

LogicalResult EmbedOp::verify() { // embed.C1
  return expectShape(*this, "y", getY().getType(), withLast(shapeOf(getTokens().getType()), getWidth()), getTokens());
}

/// Fails unless the block leaves the shape of the stream as it is.
template <typename Block> static LogicalResult expectSameShape(Block op) {
  return expectShape(op, "y", op.getY().getType(), shapeOf(op.getX().getType()), op.getX());
}

LogicalResult LearnedPositionsOp::verify() { return expectSameShape(*this); } // learned_positions.C1

LogicalResult NormOp::verify() {
  if (failed(expectSameShape(*this))) // norm.C1
    return failure();
  double eps = getEps().convertToDouble();
  if (!(eps > 0)) // norm.C2
    return emitOpError("expects `eps` above 0, got ") << eps;
  if (getKind() == NormKind::Rms && getBias()) // norm.C3
    return emitOpError("expects no bias with kind rms, got `bias = true`");
  int64_t groups = getGroups(), width = lastExtent(getX().getType());
  if (groups < 1 || width % groups != 0) // norm.C4
    return emitOpError("expects `groups` to divide the ") << width << " features, got " << groups;
  if (groups > 1 && getKind() == NormKind::Layer) // norm.C4
    return emitOpError("expects one group with kind layer, got ") << groups;
  return success();
}

LogicalResult SinusoidalPositionsOp::verify() {
  if (failed(expectSameShape(*this))) // sinusoidal_positions.C1
    return failure();
  int64_t width = lastExtent(getX().getType());
  return expect(width % 2 == 0, *this, "an even number of features", width); // sinusoidal_positions.C1
}

/// Fails unless the scaling of rotary positions has the numbers that it needs, and no others.
template <typename Attention> static LogicalResult expectRopeScaling(Attention op) {
  if (op.getRopeScaling().has_value() != op.getRopeFactor().has_value())
    return op.emitOpError("expects `rope_scaling` and `rope_factor` together");
  if (op.getRopeFactor() && !(op.getRopeFactor()->convertToDouble() >= 1))
    return op.emitOpError("expects `rope_factor` of 1 or more, got ") << op.getRopeFactor()->convertToDouble();
  bool yarn = op.getRopeScaling() == RopeScaling::Yarn;
  if (op.getRopeOriginal().has_value() != yarn)
    return op.emitOpError("expects `rope_original` with the scaling yarn, and only there");
  double fast = op.getRopeFast().convertToDouble(), slow = op.getRopeSlow().convertToDouble();
  if (!yarn && (fast != 32 || slow != 1 || op.getRopeExact()))
    return op.emitOpError("expects `rope_fast`, `rope_slow` and `rope_exact` with the scaling yarn only");
  if (!(slow > 0 && fast > slow))
    return op.emitOpError("expects `rope_fast` above `rope_slow` above 0, got ") << fast << " and " << slow;
  return success();
}

LogicalResult AttentionOp::verify() {
  Type y = getY().getType();
  if (failed(expectShape(*this, "y", y, withLast(leadingExtents(getX().getType()), lastExtent(y)), getX())) ||
      failed(expect(lastExtent(y) >= 1, *this, "1 or more features", lastExtent(y)))) // attention.C1
    return failure();
  int64_t heads = getHeads(), kvHeads = getKvHeads(), dim = getHeadDim();
  if (heads < 1 || kvHeads < 1 || heads % kvHeads != 0) // attention.C2
    return emitOpError("expects `kv_heads` to divide `heads`, got ") << kvHeads << " and " << heads;
  if (!getRopeBase() && (getRopeDim() || getRopeScaling() || getRopeInterleaved())) // attention.C3
    return emitOpError("expects `rope_base` beside `rope_dim`, `rope_scaling` and `rope_interleaved`");
  if (getRopeBase() && !getRopeDim() && dim % 2 != 0) // attention.C3
    return emitOpError("expects an even `head_dim` under rotary positions, got ") << dim;
  if (getRopeDim() && (*getRopeDim() % 2 != 0 || static_cast<int64_t>(*getRopeDim()) > dim)) // attention.C3
    return emitOpError("expects an even `rope_dim` of at most the ") << dim << " features, got " << *getRopeDim();
  if (getWindow() && static_cast<int64_t>(*getWindow()) < 1) // attention.C4
    return emitOpError("expects a `window` of 1 or more, got ") << static_cast<int64_t>(*getWindow());
  for (auto [name, value] : {std::pair("softcap", getSoftcap()), std::pair("scale", getScale())})
    if (value && !(value->convertToDouble() > 0)) // attention.C4
      return emitOpError("expects `") << name << "` above 0, got " << value->convertToDouble();
  return expectRopeScaling(*this); // attention.C5
}

LogicalResult LatentAttentionOp::verify() {
  if (failed(expectSameShape(*this))) // latent_attention.C1
    return failure();
  for (int64_t size : {getHeads(), getKvLatent(), getQLatent().value_or(1), getNopeDim(), getRopeDim(), getValueDim()})
    if (size < 1) // latent_attention.C2
      return emitOpError("expects sizes of 1 or more, got ") << size;
  if (getRopeDim() % 2 != 0) // latent_attention.C2
    return emitOpError("expects an even `rope_dim`, got ") << getRopeDim();
  return expectRopeScaling(*this); // latent_attention.C3
}

LogicalResult DenseOp::verify() { // dense.C1
  Type x = getX().getType();
  return expectShape(*this, "y", getY().getType(), withLast(leadingExtents(x), getWidth()), getX());
}

LogicalResult MlpOp::verify() {
  if (failed(expectSameShape(*this))) // mlp.C1
    return failure();
  Unary act = getActivation();
  bool known = act == Unary::Relu || act == Unary::Relu2 || act == Unary::Gelu || act == Unary::Silu;
  return expect(known, *this, "the activation relu, relu2, gelu or silu", stringifyUnary(act)); // mlp.C2
}

LogicalResult SwigluOp::verify() {
  if (failed(expectSameShape(*this))) // swiglu.C1
    return failure();
  return expectLayerForm(*this, "", {true, getActivation(), getLimit(), getAlpha(), getOffset()}); // swiglu.C2, C3
}

LogicalResult MambaOp::verify() { return expectSameShape(*this); } // mamba.C1

LogicalResult Mamba2Op::verify() {
  if (failed(expectSameShape(*this))) // mamba2.C1
    return failure();
  int64_t dim = getHeadDim(), groups = getGroups();
  for (auto [name, value] : {std::pair("state", static_cast<int64_t>(getState())), std::pair("head_dim", dim),
                             std::pair("chunk", static_cast<int64_t>(getChunk()))})
    if (value < 1 || value > SsdScanOp::most) // mamba2.C4
      return emitOpError("expects `") << name << "` from 1 to " << SsdScanOp::most << ", got " << value;
  if (getInner() % dim != 0) // mamba2.C2
    return emitOpError("expects `head_dim` to divide the ") << getInner() << " channels, got " << dim;
  if (groups < 1 || getHeads() % groups != 0) // mamba2.C3
    return emitOpError("expects `groups` to divide the ") << getHeads() << " heads, got " << groups;
  return success();
}

/// The embedding of the same model that has this path, or null.
static EmbedOp findEmbed(Operation *from, StringRef path) {
  Operation *scope = from->getParentWithTrait<OpTrait::IsIsolatedFromAbove>();
  EmbedOp found;
  if (scope)
    scope->walk([&](EmbedOp embed) {
      found = embed.getPath() == path ? embed : found;
      return found ? WalkResult::interrupt() : WalkResult::advance();
    });
  return found;
}

LogicalResult HeadOp::verify() {
  Type x = getX().getType(), y = getY().getType();
  int64_t vocab = getVocab(), width = lastExtent(x);
  if (failed(expectShape(*this, "y", y, withLast(leadingExtents(x), vocab), getX())) || // head.C1
      failed(expectElement(*this, "y", y, fullType(x))))
    return failure();
  if (getSoftcap() && !(getSoftcap()->convertToDouble() > 0)) // head.C3
    return emitOpError("expects `softcap` above 0, got ") << getSoftcap()->convertToDouble();
  if (!getTied())
    return success();
  EmbedOp embed = findEmbed(*this, *getTied());
  if (!embed) // head.C2
    return emitOpError("expects `tied` to name an embedding of this model, got \"") << *getTied() << "\"";
  int64_t tableVocab = embed.getVocab(), tableWidth = embed.getWidth();
  if (tableVocab != vocab || tableWidth != width) { // head.C2
    InFlightDiagnostic diag = emitOpError("expects a tied table of ")
                              << vocab << " by " << width << ", got " << tableVocab << " by " << tableWidth;
    diag.attachNote(embed.getLoc()) << "embedding declared here";
    return diag;
  }
  return success();
}
