//===- ParameterDeclarations.cpp - the parameters that blocks own -----------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// First values follow the models that the blocks come from: products a normal of variance 0.1 / fan-in (Switch and
// its successors), embeddings a normal of 0.02, Mamba's own rules for Mamba (arXiv 2312.00752 and its reference code).
//===----------------------------------------------------------------------===//
#include "passes/Transforms/Expand/ParameterDeclarations.h"

#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

using namespace mlir;
using llvm::StringRef;

namespace moire {
namespace {

/// Variance of products times their fan-in: the scale that the Switch family trains with.
constexpr double productScale = 0.1;

Initial productInit(int64_t fanIn) { return {Init::Normal, std::sqrt(productScale / fanIn), 0}; }
Initial embeddingInit() { return {Init::Normal, 0.02, 0}; }
Initial constantInit(double value) { return {Init::Constant, value, 0}; }
Initial uniformInit(double bound) { return {Init::Uniform, -bound, bound}; }

StringRef pathOf(Operation *block) { return block->getAttrOfType<StringAttr>("path").getValue(); }

/// Iteration counts of the repeats around `op`, outermost first.
llvm::SmallVector<int64_t> enclosingCounts(Operation *op) {
  llvm::SmallVector<int64_t> counts;
  for (auto repeat = op->getParentOfType<RepeatOp>(); repeat; repeat = repeat->getParentOfType<RepeatOp>())
    counts.insert(counts.begin(), repeat.getCount());
  return counts;
}

} // namespace

int64_t widthOf(Value value) { return cast<RankedTensorType>(value.getType()).getShape().back(); }

ParameterDeclarations::ParameterDeclarations(ModuleOp module, Precision precision, int64_t residualBlocks)
    : module(module), precision(precision), residualBlocks(residualBlocks) {}

ParamOp ParameterDeclarations::find(Operation *block, StringRef suffix) const {
  return byName.lookup((pathOf(block) + "." + suffix).str());
}

llvm::SmallVector<ParamOp> ParameterDeclarations::readBy(Operation *block) const {
  llvm::SmallVector<ParamOp> read;
  auto addUnder = [&](StringRef path) {
    for (ParamOp param : declared) {
      StringRef rest = param.getSymName();
      if (rest.consume_front(path) && rest.starts_with("."))
        read.push_back(param);
    }
  };
  if (block->hasAttrOfType<StringAttr>("path"))
    addUnder(pathOf(block));
  if (auto head = llvm::dyn_cast<HeadOp>(block); head && head.getTied())
    addUnder(*head.getTied());
  return read;
}

LogicalResult ParameterDeclarations::add(Operation *block, StringRef suffix, ArrayRef<int64_t> shape, Role role,
                                         Initial init, bool decays, bool product, double signRate) {
  std::string name = (pathOf(block) + "." + suffix).str();
  // A '#' per enclosing repeat that has copies of its own; the rest of the repeats share them.
  size_t stack = pathOf(block).count('#');
  llvm::SmallVector<int64_t> extents = enclosingCounts(block);
  if (stack > extents.size())
    return block->emitOpError("has ") << stack << " indices in its path, but stands in " << extents.size()
                                      << " repeats";
  extents.resize(stack);
  int64_t copies = 1;
  for (int64_t extent : extents)
    copies *= extent;
  auto blockPaths = block->getAttrOfType<ArrayAttr>("paths");
  if (static_cast<int64_t>(blockPaths.size()) != copies)
    return block->emitOpError("names ") << blockPaths.size() << " copies, but the repeats around it make " << copies;
  extents.append(shape.begin(), shape.end());
  auto type = RankedTensorType::get(extents, precision.full);

  if (ParamOp earlier = byName.lookup(name)) {
    if (earlier.getType() == type && earlier.getRole() == role)
      return success(); // shared with a block before
    auto diag = block->emitOpError("shares parameter '") << name << "' of type " << type;
    diag.attachNote(earlier.getLoc()) << "which has type " << earlier.getType() << " here";
    return diag;
  }
  llvm::SmallVector<Attribute> paths;
  OpBuilder b = OpBuilder::atBlockEnd(module.getBody());
  for (Attribute path : blockPaths)
    paths.push_back(b.getStringAttr(cast<StringAttr>(path).getValue() + "." + suffix));
  auto param = ParamOp::create(b, block->getLoc(), b.getStringAttr(name), TypeAttr::get(type),
                               b.getI64IntegerAttr(stack), RoleAttr::get(b.getContext(), role), b.getArrayAttr(paths),
                               InitAttr::get(b.getContext(), init.kind), b.getF64FloatAttr(init.a),
                               b.getF64FloatAttr(init.b), b.getF64FloatAttr(1.0), b.getF64FloatAttr(decays ? 1.0 : 0.0),
                               product && precision.hasComputeCopy() ? b.getUnitAttr() : nullptr,
                               signRate > 0 ? b.getF64FloatAttr(signRate) : FloatAttr(), b.getF64FloatAttr(1.0),
                               b.getF64FloatAttr(1.0), b.getF64FloatAttr(1.0));
  byName[name] = param;
  declared.push_back(param);
  return success();
}

void ParameterDeclarations::notePieces(Operation *block, StringRef suffix, ArrayRef<int64_t> pieces) {
  if (module->hasAttr("moire.source_shapes"))
    find(block, suffix)->setAttr("moire.pieces", DenseI64ArrayAttr::get(block->getContext(), pieces));
}

LogicalResult ParameterDeclarations::addLinear(Operation *block, StringRef name, int64_t in, int64_t out, Role role,
                                               bool bias) {
  std::string prefix = name.empty() ? "" : (name + ".").str();
  if (failed(add(block, prefix + "weight", {in, out}, role, productInit(in), true, true)))
    return failure();
  return bias ? add(block, prefix + "bias", {out}, role, constantInit(0), false, false) : success();
}

LogicalResult ParameterDeclarations::addMamba(MambaOp op) {
  int64_t width = widthOf(op.getX()), inner = op.getExpand() * width, rank = op.getDtRank(), state = op.getState();
  auto linear = [&](StringRef name, int64_t in, int64_t out, double divisor = 1) {
    return add(op, name, {in, out}, Role::Ssm, uniformInit(1 / std::sqrt(double(in)) / divisor), true, true);
  };
  auto norm = [&](StringRef name, int64_t size) {
    return add(op, name, {size}, Role::Norm, constantInit(1), false, false);
  };
  double tapBound = 1 / std::sqrt(double(op.getConv()));
  return success(
      succeeded(linear("in_proj.weight", width, 2 * inner)) &&
      succeeded(add(op, "conv.weight", {static_cast<int64_t>(op.getConv()), inner}, Role::Ssm, uniformInit(tapBound),
                    true, false)) &&
      succeeded(add(op, "conv.bias", {inner}, Role::Ssm, uniformInit(tapBound), false, false)) &&
      succeeded(linear("x_proj.weight", inner, rank + 2 * state)) &&
      succeeded(
          add(op, "dt_proj.weight", {rank, inner}, Role::Ssm, uniformInit(1 / std::sqrt(double(rank))), true, true)) &&
      succeeded(add(op, "dt_proj.bias", {inner}, Role::Ssm, {Init::DtBias, 0.001, 0.1}, false, false)) &&
      succeeded(add(op, "A_log", {inner, state}, Role::Ssm, {Init::LogArange, 0, 0}, false, false)) &&
      succeeded(add(op, "D", {inner}, Role::Ssm, constantInit(1), false, false)) &&
      (!op.getInnerNorm() || (succeeded(norm("dt_norm.weight", rank)) && succeeded(norm("b_norm.weight", state)) &&
                              succeeded(norm("c_norm.weight", state)))) &&
      succeeded(linear("out_proj.weight", inner, width, std::sqrt(double(std::max<int64_t>(residualBlocks, 1))))));
}

LogicalResult ParameterDeclarations::addRouter(RouterOp op) {
  if (op.getChoice() == Choice::Hash)
    return success();
  int64_t width = widthOf(op.getX()), choices = op.getChoices();
  // The matrix is read in full precision: its logits decide, and small updates must not be lost.
  if (failed(add(op, "weight", {width, choices}, Role::Router, productInit(width), true, false)))
    return failure();
  if (op.getEmit() == Emit::Separate &&
      failed(add(op, "emit.weight", {width, choices}, Role::Router, productInit(width), true, false)))
    return failure();
  if (op.getLogitBias() && failed(add(op, "logit_bias", {choices}, Role::Router, constantInit(0), false, false)))
    return failure();
  if (op.getLearnedTemperature()) { // exp(t - 1), so that any step leaves it above 0
    llvm::SmallVector<int64_t> shape;
    if (op.getTemperaturePerExpert())
      shape.push_back(choices);
    return add(op, "temperature", shape, Role::Router, constantInit(1), false, false);
  }
  double rate = op.getBiasRate().convertToDouble();
  return rate > 0 ? add(op, "bias", {choices}, Role::Router, constantInit(0), false, false, rate) : success();
}

LogicalResult ParameterDeclarations::addExperts(ExpertsOp op) {
  int64_t width = widthOf(op.getX()), hidden = op.getHidden(), experts = op.getRouting().getType().getExperts();
  int64_t inner = op.getLatent() > 0 ? op.getLatent() : width;
  if (op.getLatent() > 0 && (failed(addLinear(op, "latent.down", width, inner, Role::Ffn, false)) ||
                             failed(addLinear(op, "latent.up", inner, width, Role::Ffn, false))))
    return failure();
  auto product = [&](StringRef name, int64_t in, int64_t out) {
    if (failed(add(op, (name + ".weight").str(), {experts, in, out}, Role::Expert, productInit(in), true, true)))
      return failure();
    return op.getBias() ? add(op, (name + ".bias").str(), {experts, out}, Role::Expert, constantInit(0), false, false)
                        : success();
  };
  bool gated = op.getGated();
  if (failed(product(gated ? "gate_up" : "up", inner, gated ? 2 * hidden : hidden)) ||
      failed(product("down", hidden, inner)))
    return failure();
  if (gated)
    notePieces(op, "gate_up.weight", {hidden, hidden});
  int64_t shared = op.getSharedHidden();
  if (shared == 0)
    return success();
  gated = op.getSharedGated();
  if (failed(addLinear(op, gated ? "shared.gate_up" : "shared.up", width, gated ? 2 * shared : shared, Role::Ffn,
                       op.getSharedBias())) ||
      failed(addLinear(op, "shared.down", shared, width, Role::Ffn, op.getSharedBias())))
    return failure();
  if (gated)
    notePieces(op, "shared.gate_up.weight", {shared, shared});
  return op.getSharedGate() ? add(op, "shared_gate.weight", {width, 1}, Role::Router, productInit(width), true, false)
                            : success();
}

LogicalResult ParameterDeclarations::addMamba2(Mamba2Op op) {
  int64_t width = widthOf(op.getX()), inner = op.getInner(), heads = op.getHeads(), mixed = op.getConvolved();
  auto linear = [&](StringRef name, int64_t in, int64_t out, double divisor = 1) {
    return succeeded(add(op, name, {in, out}, Role::Ssm, uniformInit(1 / std::sqrt(double(in)) / divisor), true, true));
  };
  auto vector = [&](StringRef name, int64_t size, Role role, Initial init) {
    return succeeded(add(op, name, {size}, role, init, false, false));
  };
  Initial taps = uniformInit(1 / std::sqrt(double(op.getConv())));
  return success(
      linear("in_proj.weight", width, inner + mixed + heads) &&
      succeeded(add(op, "conv.weight", {static_cast<int64_t>(op.getConv()), mixed}, Role::Ssm, taps, true, false)) &&
      vector("conv.bias", mixed, Role::Ssm, taps) && vector("dt_bias", heads, Role::Ssm, {Init::DtBias, 0.001, 0.1}) &&
      vector("A_log", heads, Role::Ssm, {Init::LogUniform, 1, 16}) && vector("D", heads, Role::Ssm, constantInit(1)) &&
      (!op.getNorm() || vector("norm.weight", inner, Role::Norm, constantInit(1))) &&
      linear("out_proj.weight", inner, width, std::sqrt(double(std::max<int64_t>(residualBlocks, 1)))));
}

LogicalResult ParameterDeclarations::addLatentAttention(LatentAttentionOp op) {
  int64_t width = widthOf(op.getX()), heads = op.getHeads(), latent = op.getKvLatent();
  int64_t queries = heads * (op.getNopeDim() + op.getRopeDim());
  auto linear = [&](StringRef name, int64_t in, int64_t out) {
    return addLinear(op, name, in, out, Role::Attention, /*bias=*/false);
  };
  auto norm = [&](StringRef name, int64_t size) {
    return add(op, name, {size}, Role::Norm, constantInit(1), false, false);
  };
  if (std::optional<int64_t> small = op.getQLatent()) {
    if (failed(linear("q_down", width, *small)) || failed(norm("q_norm.weight", *small)) ||
        failed(linear("q_up", *small, queries)))
      return failure();
  } else if (failed(linear("q", width, queries))) {
    return failure();
  }
  return success(succeeded(linear("kv_down", width, latent + op.getRopeDim())) &&
                 succeeded(norm("kv_norm.weight", latent)) &&
                 succeeded(linear("kv_up", latent, heads * (op.getNopeDim() + op.getValueDim()))) &&
                 succeeded(linear("out", heads * op.getValueDim(), width)));
}

LogicalResult ParameterDeclarations::declare(Operation *block) {
  return llvm::TypeSwitch<Operation *, LogicalResult>(block)
      .Case([&](EmbedOp op) {
        int64_t vocab = op.getVocab(), width = op.getWidth();
        return add(op, "weight", {vocab, width}, Role::Embedding, embeddingInit(), true, true);
      })
      .Case([&](LearnedPositionsOp op) {
        auto shape = cast<RankedTensorType>(op.getX().getType()).getShape();
        return add(op, "weight", {shape[1], shape[2]}, Role::Embedding, embeddingInit(), true, true);
      })
      .Case([&](NormOp op) {
        if (failed(add(op, "weight", {widthOf(op.getX())}, Role::Norm, constantInit(1), false, false)))
          return failure();
        return op.getBias() ? add(op, "bias", {widthOf(op.getX())}, Role::Norm, constantInit(0), false, false)
                            : success();
      })
      .Case([&](AttentionOp op) {
        int64_t width = widthOf(op.getX()), heads = op.getHeads(), kvHeads = op.getKvHeads();
        int64_t queries = heads * op.getHeadDim(), keys = kvHeads * op.getHeadDim(), inner = heads * op.valueSize();
        auto addNorm = [&](StringRef name, int64_t all) {
          int64_t size = op.getQkNorm() == QkNorm::Full ? all : op.getHeadDim();
          return add(op, name, {size}, Role::Norm, constantInit(1), false, false);
        };
        if (failed(addLinear(op, "qkv", width, queries + keys + kvHeads * op.valueSize(), Role::Attention,
                             op.getBias())) ||
            (op.getQkNorm() && (failed(addNorm("q_norm.weight", queries)) || failed(addNorm("k_norm.weight", keys)))))
          return failure();
        if (op.getSinks() && failed(add(op, "sinks", {heads}, Role::Attention, constantInit(0), false, false)))
          return failure();
        if (op.getGate() && failed(addLinear(op, "gate", width, op.getGate() == OutputGate::Head ? heads : inner,
                                             Role::Attention, /*bias=*/false)))
          return failure();
        notePieces(op, "qkv.weight", {queries, keys, kvHeads * op.valueSize()});
        return addLinear(op, "out", inner, widthOf(op.getY()), Role::Attention, op.getBias());
      })
      .Case([&](LatentAttentionOp op) { return addLatentAttention(op); })
      .Case([&](DenseOp op) { return addLinear(op, "", widthOf(op.getX()), op.getWidth(), Role::Ffn, op.getBias()); })
      .Case([&](MlpOp op) {
        int64_t width = widthOf(op.getX()), hidden = op.getHidden();
        if (failed(addLinear(op, "up", width, hidden, Role::Ffn, op.getBias())))
          return failure();
        return addLinear(op, "down", hidden, width, Role::Ffn, op.getBias());
      })
      .Case([&](SwigluOp op) {
        int64_t width = widthOf(op.getX()), hidden = op.getHidden();
        if (failed(addLinear(op, "gate_up", width, 2 * hidden, Role::Ffn, op.getBias())))
          return failure();
        notePieces(op, "gate_up.weight", {hidden, hidden});
        return addLinear(op, "down", hidden, width, Role::Ffn, op.getBias());
      })
      .Case([&](RouterOp op) { return addRouter(op); })
      .Case([&](ExpertsOp op) { return addExperts(op); })
      .Case([&](Conv1dOp op) {
        int64_t fanIn = op.getKernel() * widthOf(op.getX());
        return addLinear(op, "", fanIn, op.getWidth(), Role::Ffn, op.getBias());
      })
      .Case([&](MambaOp op) { return addMamba(op); })
      .Case([&](Mamba2Op op) { return addMamba2(op); })
      .Case([&](HeadOp op) {
        if (!op.getTied() && failed(add(op, "weight", {widthOf(op.getX()), static_cast<int64_t>(op.getVocab())},
                                        Role::Head, productInit(widthOf(op.getX())), true, true)))
          return failure();
        return op.getBias()
                   ? add(op, "bias", {static_cast<int64_t>(op.getVocab())}, Role::Head, constantInit(0), false, false)
                   : success();
      })
      .Default([](Operation *) { return success(); });
}

} // namespace moire
