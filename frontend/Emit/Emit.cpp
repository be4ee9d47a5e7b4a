//===- frontend/Emit/Emit.cpp - from a resolved model to IR ----------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A walk over the resolved ops. All numbers are known and checked, so that
// every case is a plain translation.
//===----------------------------------------------------------------------===//
#include "frontend/Emit/Emit.h"
#include "dialect/IR/MoireOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Location.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;

namespace moire {

namespace {

using sema::Layer;
using sema::Op;
using sema::Stream;

/// A module is emitted for one context length and batch; streams are f32 until a precision is chosen.
class Emitter {
public:
  Emitter(const sema::ResolvedModel &model, StringRef text, llvm::SourceMgr &sources, MLIRContext &context)
      : model(model), text(text), sources(sources), builder(&context) {}

  OwningOpRef<ModuleOp> emit(bool scaled) {
    context().loadDialect<MoireDialect>();
    Location loc = location(model.range);
    OwningOpRef<ModuleOp> module = ModuleOp::create(builder, loc);
    builder.setInsertionPointToStart(module->getBody());
    IntegerAttr separator = model.train.separator ? builder.getI64IntegerAttr(*model.train.separator) : IntegerAttr();
    auto op = ModelOp::create(builder, loc, model.name, model.train.batch, model.train.context, model.vocab, separator,
                              model.train.isolate, sema::trainJson(model.train), text);
    Block &body = op.getBody().emplaceBlock();
    values[model.tokens] = body.addArgument(typeOf(*model.tokens), loc);
    builder.setInsertionPointToStart(&body);
    emit(model.body);
    ReturnOp::create(builder, location(model.returnRange), values.lookup(model.logits));
    builder.setInsertionPointToEnd(module->getBody());
    if (scaled)
      emitScaling();
    if (const auto &projected = model.train.projected; projected && scaled)
      (*module)->setAttr("moire.source_shapes", shapesOf(projected->shapes));
    return module;
  }

private:
  MLIRContext &context() { return *builder.getContext(); }

  //===-- places ---------------------------------------------------------===//

  Location location(llvm::SMRange range) {
    unsigned buffer = sources.FindBufferContainingLoc(range.Start);
    auto begin = sources.getLineAndColumn(range.Start, buffer), end = sources.getLineAndColumn(range.End, buffer);
    StringRef file = sources.getMemoryBuffer(buffer)->getBufferIdentifier();
    return FileLineColRange::get(builder.getStringAttr(file), begin.first, begin.second, end.first, end.second);
  }

  /// The range of an op under its variable's name, at the end of the calls that led there.
  Location location(const Op &op) {
    Location loc = location(op.range);
    if (!op.variable.empty())
      loc = NameLoc::get(builder.getStringAttr(op.variable), loc);
    SmallVector<Location> callers;
    for (const sema::CallChain *caller = op.caller.get(); caller; caller = caller->outer.get())
      callers.push_back(location(caller->range));
    return callers.empty() ? loc : CallSiteLoc::get(loc, callers);
  }

  //===-- types ----------------------------------------------------------===//

  Type typeOf(const Stream &stream) {
    if (stream.isRouting())
      return RoutingType::get(&context(), model.train.batch, stream.time, stream.experts);
    SmallVector<int64_t> shape = {model.train.batch, stream.time};
    if (stream.width == 0)
      return RankedTensorType::get(shape, builder.getI32Type());
    shape.push_back(stream.width);
    return RankedTensorType::get(shape, builder.getF32Type());
  }

  //===-- the train section ----------------------------------------------===//

  DictionaryAttr shapesOf(ArrayRef<sema::BaseShape> shapes) {
    SmallVector<NamedAttribute> entries;
    for (const sema::BaseShape &shape : shapes)
      entries.push_back(builder.getNamedAttr(shape.name, builder.getDenseI64ArrayAttr(shape.extents)));
    return builder.getDictionaryAttr(entries);
  }

  void emitScaling() {
    if (const auto &mup = model.train.mup) {
      MupOp::create(builder, location(mup->range), builder.getF64FloatAttr(mup->input),
                    builder.getF64FloatAttr(mup->output),
                    RouterScalingAttr::get(&context(), *symbolizeRouterScaling(mup->router)), shapesOf(mup->shapes));
    }
    for (const sema::RateRule &rule : model.train.rates)
      RateOp::create(builder, location(rule.range),
                     rule.isPath ? RoleAttr() : RoleAttr::get(&context(), *symbolizeRole(rule.key)),
                     rule.isPath ? builder.getStringAttr(rule.key) : StringAttr(), builder.getF64FloatAttr(rule.start),
                     builder.getF64FloatAttr(rule.end));
  }

  //===-- ops ------------------------------------------------------------===//

  void emit(const sema::Region &region) {
    for (const auto &op : region.ops)
      emit(*op);
  }

  void emit(const Op &op) {
    Location loc = location(op);
    auto operand = [&](size_t i) { return values.lookup(op.operands[i]); };
    Type type = op.results.empty() ? Type() : typeOf(*op.results[0]);
    auto binary = [&](Binary kind) {
      values[op.results[0]] = BinaryOp::create(builder, loc, type, operand(0), operand(1), kind);
    };
    switch (op.kind) {
    case Op::Kind::Add:
      return binary(Binary::Add);
    case Op::Kind::Sub:
      return binary(Binary::Sub);
    case Op::Kind::Mul:
      return binary(Binary::Mul);
    case Op::Kind::Scale:
      values[op.results[0]] = ScaleOp::create(builder, loc, type, operand(0), builder.getF64FloatAttr(op.factor));
      return;
    case Op::Kind::Loop:
      return emitLoop(op, loc);
    case Op::Kind::Apply: {
      SmallVector<Value> operands;
      for (size_t i = 0; i < op.operands.size(); ++i)
        operands.push_back(operand(i));
      values[op.results[0]] = emitLayer(*op.layer, operands, type, loc);
      return;
    }
    }
  }

  void emitLoop(const Op &op, Location loc) {
    SmallVector<Value> carried;
    SmallVector<Type> types;
    for (Stream *operand : op.operands) {
      carried.push_back(values.lookup(operand));
      types.push_back(carried.back().getType());
    }
    auto loop = RepeatOp::create(builder, loc, types, op.trips, carried, ValueRange(), /*reverse=*/false);
    OpBuilder::InsertionGuard guard(builder);
    Block &body = loop.getBody().emplaceBlock();
    builder.setInsertionPointToStart(&body);
    for (auto [argument, type] : llvm::zip(op.body->arguments, types))
      values[argument] = body.addArgument(type, loc);
    emit(*op.body);
    SmallVector<Value> yields;
    for (Stream *yield : op.body->yields)
      yields.push_back(values.lookup(yield));
    YieldOp::create(builder, loc, yields);
    for (auto [result, value] : llvm::zip(op.results, loop.getResults()))
      values[result] = value;
  }

  //===-- layers ---------------------------------------------------------===//

  static int64_t count(const Layer &layer, StringRef name) { return argumentOf(layer, name).constant->count; }
  static bool flag(const Layer &layer, StringRef name) { return argumentOf(layer, name).constant->boolean; }
  static llvm::APFloat real(const Layer &layer, StringRef name) {
    return llvm::APFloat(argumentOf(layer, name).constant->asReal());
  }
  static StringRef word(const Layer &layer, StringRef name) { return argumentOf(layer, name).constant->text; }

  Value emitLayer(const Layer &layer, ArrayRef<Value> operands, Type type, Location loc) {
    StringRef name = layer.builtin->name;
    Value x = operands[0], second = operands.size() > 1 ? operands[1] : Value();
    if (name == "sinusoidal_positions")
      return SinusoidalPositionsOp::create(builder, loc, type, x);
    if (name == "concat")
      return ConcatOp::create(builder, loc, type, ValueRange(operands), /*dim=*/2);
    if (name == "stack")
      return StackOp::create(builder, loc, type, x, count(layer, "factor"));
    if (name == "unstack")
      return UnstackOp::create(builder, loc, type, x, count(layer, "factor"));
    if (name == "shift")
      return ShiftOp::create(builder, loc, type, x, count(layer, "by"));
    if (!layer.builtin->hasParameters)
      return UnaryOp::create(builder, loc, type, x, *symbolizeUnary(name));
    std::string path = symbolicPath(layer.path);
    SmallVector<Attribute> copies;
    for (const std::string &copy : concretePaths(layer.path))
      copies.push_back(builder.getStringAttr(copy));
    ArrayAttr paths = builder.getArrayAttr(copies);

    if (name == "embed")
      return EmbedOp::create(builder, loc, type, x, count(layer, "vocab"), count(layer, "width"), path, paths);
    if (name == "learned_positions")
      return LearnedPositionsOp::create(builder, loc, type, x, path, paths);
    if (name == "rms_norm")
      return NormOp::create(builder, loc, type, x, NormKind::Rms, real(layer, "eps"), /*bias=*/false, path, paths,
                            count(layer, "groups"));
    if (name == "layer_norm")
      return NormOp::create(builder, loc, type, x, NormKind::Layer, real(layer, "eps"), flag(layer, "bias"), path,
                            paths);
    if (name == "attention")
      return emitAttention(layer, x, type, loc, path, paths);
    if (name == "latent_attention")
      return LatentAttentionOp::create(
          builder, loc, type, x, integer(layer, "heads"), integer(layer, "kv_latent"), integer(layer, "q_latent"),
          integer(layer, "nope_dim"), integer(layer, "rope_dim"), integer(layer, "value_dim"), number(layer, "rope"),
          ropeScaling(layer), number(layer, "rope_factor"), integer(layer, "rope_original"),
          number(layer, "rope_beta_fast"), number(layer, "rope_beta_slow"), unit(!flag(layer, "rope_truncate")),
          unit(flag(layer, "rope_interleaved")), builder.getStringAttr(path), paths);
    if (name == "conv1d")
      return Conv1dOp::create(builder, loc, type, x, count(layer, "width"), count(layer, "kernel"),
                              count(layer, "stride"), flag(layer, "causal"), flag(layer, "bias"), path, paths);
    if (name == "linear")
      return DenseOp::create(builder, loc, type, x, count(layer, "width"), flag(layer, "bias"), path, paths);
    if (name == "mlp")
      return MlpOp::create(builder, loc, type, x, count(layer, "hidden"), *symbolizeUnary(word(layer, "activation")),
                           flag(layer, "bias"), path, paths);
    if (name == "swiglu")
      return SwigluOp::create(builder, loc, type, x, builder.getI64IntegerAttr(count(layer, "hidden")),
                              UnaryAttr::get(&context(), *symbolizeUnary(word(layer, "activation"))),
                              builder.getBoolAttr(flag(layer, "bias")), number(layer, "limit"), number(layer, "alpha"),
                              number(layer, "offset"), builder.getStringAttr(path), paths);
    if (name == "route")
      return emitRouter(layer, x, second, loc, path, paths, /*nested=*/false);
    if (name == "experts")
      return emitExperts(layer, x, second, type, loc, path, paths);
    if (name == "moe") {
      Value routing = emitRouter(layer, x, second, loc, path + ".router", under(paths, "router"), /*nested=*/true);
      return emitExperts(layer, x, routing, type, loc, path + ".experts", under(paths, "experts"));
    }
    if (name == "mamba")
      return MambaOp::create(builder, loc, type, x, count(layer, "state"), count(layer, "conv"), count(layer, "expand"),
                             count(layer, "dt_rank"), path, paths, flag(layer, "inner_norm"));
    if (name == "mamba2")
      return Mamba2Op::create(builder, loc, type, x, count(layer, "state"), count(layer, "head_dim"),
                              count(layer, "expand"), count(layer, "groups"), count(layer, "conv"),
                              count(layer, "chunk"), flag(layer, "norm"), path, paths);
    assert(name == "head" && "a built-in without emission");
    const sema::ArgumentValue &tied = argumentOf(layer, "tied");
    StringAttr table = tied.layer ? builder.getStringAttr(symbolicPath(tied.layer->path)) : StringAttr();
    return HeadOp::create(builder, loc, type, x, integer(layer, "vocab"), builder.getBoolAttr(flag(layer, "bias")),
                          table, number(layer, "softcap"), builder.getStringAttr(path), paths);
  }

  /// Arguments that may be `none`, as attributes that may be missing.
  static bool isNone(const Layer &layer, StringRef name) {
    return argumentOf(layer, name).constant->kind == sema::Constant::Kind::None;
  }
  IntegerAttr integer(const Layer &layer, StringRef name) {
    return isNone(layer, name) ? IntegerAttr() : builder.getI64IntegerAttr(count(layer, name));
  }
  FloatAttr number(const Layer &layer, StringRef name) {
    return isNone(layer, name) ? FloatAttr() : builder.getF64FloatAttr(argumentOf(layer, name).constant->asReal());
  }
  UnitAttr unit(bool value) { return value ? builder.getUnitAttr() : UnitAttr(); }
  RopeScalingAttr ropeScaling(const Layer &layer) {
    return isNone(layer, "rope_scaling")
               ? RopeScalingAttr()
               : RopeScalingAttr::get(&context(), *symbolizeRopeScaling(word(layer, "rope_scaling")));
  }

  Value emitAttention(const Layer &layer, Value x, Type type, Location loc, StringRef path, ArrayAttr paths) {
    auto qkNorm =
        isNone(layer, "qk_norm") ? QkNormAttr() : QkNormAttr::get(&context(), *symbolizeQkNorm(word(layer, "qk_norm")));
    auto gate = isNone(layer, "gate") ? OutputGateAttr()
                                      : OutputGateAttr::get(&context(), *symbolizeOutputGate(word(layer, "gate")));
    // What is derived from other numbers is left out where it says nothing new.
    bool ownValues = count(layer, "value_dim") != count(layer, "head_dim");
    return AttentionOp::create(
        builder, loc, type, x, integer(layer, "heads"), integer(layer, "kv_heads"), integer(layer, "head_dim"),
        ownValues ? integer(layer, "value_dim") : IntegerAttr(), unit(!flag(layer, "causal")), integer(layer, "window"),
        unit(flag(layer, "sinks")), number(layer, "softcap"), unit(flag(layer, "alibi")), number(layer, "scale"),
        qkNorm, gate, number(layer, "rope"), integer(layer, "rope_dim"), ropeScaling(layer),
        number(layer, "rope_factor"), integer(layer, "rope_original"), number(layer, "rope_beta_fast"),
        number(layer, "rope_beta_slow"), unit(!flag(layer, "rope_truncate")), unit(flag(layer, "rope_interleaved")),
        builder.getBoolAttr(flag(layer, "bias")), builder.getStringAttr(path), paths);
  }

  /// The paths of a part of a block.
  ArrayAttr under(ArrayAttr paths, StringRef part) {
    SmallVector<Attribute> longer;
    for (Attribute path : paths)
      longer.push_back(builder.getStringAttr(cast<StringAttr>(path).getValue() + "." + part));
    return builder.getArrayAttr(longer);
  }

  /// `tokens` are null but for the choice by hash.
  Value emitRouter(const Layer &layer, Value x, Value tokens, Location loc, StringRef path, ArrayAttr paths,
                   bool nested) {
    auto number = [&](StringRef name) { return builder.getI64IntegerAttr(count(layer, name)); };
    auto factor = [&](StringRef name) { return FloatAttr::get(builder.getF64Type(), real(layer, name)); };
    auto unit = [&](bool set) { return set ? builder.getUnitAttr() : UnitAttr(); };
    const sema::Constant &capacity = *argumentOf(layer, "capacity").constant;
    const sema::Constant &temperature = *argumentOf(layer, "temperature").constant;
    bool learned = temperature.kind == sema::Constant::Kind::Word;
    const std::optional<sema::Constant> &gate = argumentOf(layer, "gate").constant;
    Gate scores = gate ? *symbolizeGate(gate->text) : Gate::SoftmaxTopK; // of no importance without scores
    int64_t positions = cast<RankedTensorType>(x.getType()).getDimSize(1);
    Type type = RoutingType::get(&context(), model.train.batch, positions, count(layer, "experts"));
    return RouterOp::create(
        builder, loc, type, x, tokens, ChoiceAttr::get(&context(), *symbolizeChoice(word(layer, "choice"))),
        GateAttr::get(&context(), scores), number("experts"), number("top_k"), unit(flag(layer, "renormalize")),
        factor("scale"), factor("bias_rate"), number("groups"), number("top_groups"), number("null"),
        capacity.kind == sema::Constant::Kind::None ? FloatAttr() : builder.getF64FloatAttr(capacity.asReal()),
        number("group"), builder.getF64FloatAttr(learned ? 1.0 : temperature.asReal()), unit(learned),
        unit(learned && temperature.text == "learned_per_expert"), unit(flag(layer, "logit_bias")),
        EmitAttr::get(&context(), *symbolizeEmit(word(layer, "emit"))), factor("balance"), factor("sequence_balance"),
        factor("z"), factor("mutual_information"), factor("threshold"), unit(nested), builder.getStringAttr(path),
        paths);
  }

  Value emitExperts(const Layer &layer, Value x, Value routing, Type type, Location loc, StringRef path,
                    ArrayAttr paths) {
    auto isGated = [](const Layer &expert) { return expert.builtin->name == "swiglu"; };
    auto activationOf = [&](const Layer &expert) {
      return UnaryAttr::get(&context(), *symbolizeUnary(word(expert, "activation")));
    };
    auto limitOf = [&](const Layer *expert) {
      return expert && isGated(*expert) ? this->number(*expert, "limit") : FloatAttr();
    };
    auto numberOf = [&](const Layer *expert, StringRef name, double otherwise) {
      return expert && isGated(*expert) ? this->number(*expert, name) : builder.getF64FloatAttr(otherwise);
    };
    const Layer &expert = *argumentOf(layer, "expert").layer, *shared = argumentOf(layer, "shared").layer.get();
    return ExpertsOp::create(
        builder, loc, type, x, routing, builder.getI64IntegerAttr(expertHidden(layer)), unit(isGated(expert)),
        activationOf(expert), unit(flag(expert, "bias")), limitOf(&expert), numberOf(&expert, "alpha", 1),
        numberOf(&expert, "offset", 0), builder.getI64IntegerAttr(count(layer, "latent")),
        builder.getI64IntegerAttr(shared ? count(*shared, "hidden") : 0), unit(shared && isGated(*shared)),
        shared ? activationOf(*shared) : UnaryAttr::get(&context(), Unary::Silu), unit(shared && flag(*shared, "bias")),
        limitOf(shared), numberOf(shared, "alpha", 1), numberOf(shared, "offset", 0), unit(flag(layer, "shared_gate")),
        builder.getStringAttr(path), paths);
  }

  const sema::ResolvedModel &model;
  StringRef text; ///< the resolved spec
  llvm::SourceMgr &sources;
  OpBuilder builder;
  DenseMap<Stream *, Value> values;
};

} // namespace

OwningOpRef<ModuleOp> emitModel(const sema::Resolved &resolved, llvm::SourceMgr &sources, MLIRContext &context) {
  return Emitter(*resolved.model, resolved.text, sources, context).emit(/*scaled=*/true);
}

OwningOpRef<ModuleOp> emitOther(const sema::ResolvedModel &other, llvm::SourceMgr &sources, MLIRContext &context) {
  return Emitter(other, "", sources, context).emit(/*scaled=*/false);
}

} // namespace moire
