//===- frontend/Sema/ElaborateLayers.cpp - making and applying layers ------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A layer is made where it is written, and owns its parameters from then on;
// its first application settles the numbers that depend on the stream. A block
// that is applied again finds the layers of its first application.
//===----------------------------------------------------------------------===//
#include "frontend/Sema/Elaborate.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Twine.h"

using namespace llvm;

namespace moire::sema {

/// Calls of blocks inside blocks; deeper is a mistake or an attack on the stack.
constexpr size_t maxBlockDepth = 48;

std::string PathScope::unique(StringRef name) {
  auto [it, fresh] = taken.try_emplace(name, 1);
  if (fresh)
    return name.str();
  unsigned &next = it->second; // entries of a StringMap stay where they are
  for (;;) {
    std::string candidate = (name + "_" + Twine(next++)).str();
    if (taken.try_emplace(candidate, 1).second)
      return candidate;
  }
}

PathScope *Elaborator::makeScope(Path prefix) {
  pathScopes.push_back({std::move(prefix), {}});
  return &pathScopes.back();
}

//===----------------------------------------------------------------------===//
// Making
//===----------------------------------------------------------------------===//

Value Elaborator::call(const ast::Call &call, Stream *piped) {
  StringRef callee = call.callee.text;
  if (Value *value = findBuiltin(callee) ? nullptr : lookup(callee)) {
    if (value->kind != Value::Kind::Layer) {
      if (!value->isPoison())
        (void)diagnostics.error(call.callee.range, "`" + callee + "` is not a layer");
      return {};
    }
    std::shared_ptr<Layer> layer = value->layer;
    const BoundCall &bound = names.calls[&call];
    Stream *input = piped ? piped : bound.stream ? stream(*bound.stream) : nullptr, *choice = nullptr;
    if (!input || (bound.routing && !(choice = second(layer->builtin, *bound.routing))))
      return {};
    return apply(layer, input, choice, call.range);
  }
  if (const Function *function = findFunction(callee))
    return evaluateFunction(call, *function);
  const BoundCall &bound = names.calls[&call];
  Stream *input = piped, *choice = nullptr;
  if (bound.stream && !(input = stream(*bound.stream)))
    return {};
  if (bound.routing && !(choice = second(findBuiltin(callee), *bound.routing)))
    return {};
  std::shared_ptr<Layer> layer = makeLayer(call.callee, call);
  if (!layer)
    return {};
  return input ? apply(layer, input, choice, call.range) : Value::of(layer);
}

Stream *Elaborator::second(const Builtin *builtin, const ast::Expr &expr) {
  return builtin && builtin->routes == Routes::Joins ? stream(expr) : routing(expr);
}

std::shared_ptr<Layer> Elaborator::makeLayer(const ast::Ident &callee, const ast::Expr &site) {
  auto layer = std::make_shared<Layer>();
  layer->builtin = findBuiltin(callee.text);
  layer->block = layer->builtin ? nullptr : program.blocks.lookup(callee.text);
  layer->site = &site;
  layer->name = callee.text.str();
  layer->range = site.range;
  layer->callee = callee.range;
  layer->scope = pathScope;
  BoundCall none;
  none.byParameter.resize(layer->builtin ? layer->builtin->arguments.size() : layer->block->parameters.size() - 1);
  auto *call = dyn_cast<ast::Call>(&site);
  const BoundCall &bound = call ? names.calls[call] : none;
  if (!(layer->builtin ? builtinArguments(*layer, bound) : blockArguments(*layer, bound)))
    return nullptr;
  return remember(std::move(layer));
}

std::shared_ptr<Layer> Elaborator::remember(std::shared_ptr<Layer> layer) {
  if (blockFrames.empty())
    return layer;
  BlockFrame &frame = blockFrames.back();
  auto &inner = frame.layer->inner;
  if (frame.nextLayer < inner.size())
    return inner[frame.nextLayer++];
  inner.push_back(layer);
  ++frame.nextLayer;
  return layer;
}

bool Elaborator::builtinArguments(Layer &layer, const BoundCall &bound) {
  bool ok = true;
  for (auto [info, argument] : zip(layer.builtin->arguments, bound.byParameter)) {
    ArgumentValue value;
    value.range = argument ? argument->value->range : layer.callee;
    value.given = argument != nullptr;
    bool wantsLayer = info.kind == ArgumentKind::Layer || info.kind == ArgumentKind::OptionalLayer;
    if (!argument) {
      if (info.defaults == ArgumentInfo::Default::Value)
        value.constant = info.value;
    } else {
      Value given = evaluate(*argument->value);
      // A word that also names a layer here, as `expert` may: no argument takes either.
      auto *name = dyn_cast<ast::Name>(argument->value.get());
      if (given.kind == Value::Kind::Layer && name && is_contained(info.words, StringRef(name->text)))
        given = Value::of(Constant::ofWord(name->text));
      if (given.kind == Value::Kind::Layer && wantsLayer) {
        value.layer = given.layer;
      } else if (given.kind == Value::Kind::Constant && info.kind != ArgumentKind::Layer) {
        value.constant = fit(given.constant, info, value.range, diagnostics);
        ok &= value.constant.has_value();
      } else {
        if (!given.isPoison())
          (void)diagnostics.error(value.range,
                                  "`" + info.name + "` is " + describe(info.kind) + ", not " +
                                      (given.kind == Value::Kind::Stream    ? std::string("a stream")
                                       : given.kind == Value::Kind::Routing ? std::string("a routing")
                                       : given.kind == Value::Kind::Layer   ? "the layer `" + given.layer->name + "`"
                                                                            : given.constant.described()));
        ok = false;
      }
    }
    if (value.constant)
      records.note(*layer.site, layer.arguments.size(), bound.byParameter.size(), *value.constant);
    layer.arguments.push_back(std::move(value));
  }
  if (!ok)
    return false;
  for (auto [info, value] : zip(layer.builtin->arguments, layer.arguments))
    if (value.layer && (info.name == "expert" || info.name == "shared"))
      ok &= claimExpert(value);
  return ok;
}

/// An expert belongs to one `moe` or one pool.
bool Elaborator::claimExpert(const ArgumentValue &argument) {
  Layer &expert = *argument.layer;
  bool again = !blockFrames.empty() && blockFrames.back().nextLayer < blockFrames.back().layer->inner.size();
  if ((expert.expert && !again) || expert.inputWidth) {
    diagnostics.error(argument.range, "these experts serve in two places")
        .note(expert.range, "the layer is made here")
        .note({}, "write the expert in place, or bind a pool by `let pool = experts(…)` and share that");
    return false;
  }
  expert.expert = true;
  return true;
}

bool Elaborator::blockArguments(Layer &layer, const BoundCall &bound) {
  for (const ast::Argument *argument : bound.byParameter) {
    ArgumentValue value;
    value.range = argument ? argument->value->range : layer.range;
    value.given = argument != nullptr;
    if (argument) {
      Value given = evaluate(*argument->value);
      if (given.isPoison())
        return false;
      if (given.kind == Value::Kind::Stream || given.kind == Value::Kind::Routing) {
        (void)diagnostics.error(
            value.range, given.kind == Value::Kind::Stream
                             ? "expected a constant or a layer, found a stream; a block has one stream, its first "
                               "parameter"
                             : "expected a constant or a layer, found a routing; a block routes its own stream");
        return false;
      }
      if (given.kind == Value::Kind::Layer) {
        value.layer = given.layer;
        value.layer->bound = true;
      } else {
        value.constant = given.constant;
      }
    }
    layer.arguments.push_back(std::move(value));
  }
  return true;
}

//===----------------------------------------------------------------------===//
// Applying
//===----------------------------------------------------------------------===//

void Elaborator::place(Layer &layer) {
  if (layer.placed)
    return;
  layer.placed = true;
  layer.path = layer.scope->prefix;
  layer.path.push_back({layer.scope->unique(layer.name), nullptr});
}

bool Elaborator::checkRouting(const Layer &layer, Stream *routing, SMRange range) {
  bool takes = layer.builtin && layer.builtin->routes == Routes::Takes;
  if (layer.builtin && layer.builtin->routes == Routes::Joins) {
    if (!routing)
      (void)diagnostics.error(range,
                              "`" + layer.name + "` needs a second stream after its first: `" + layer.name + "(x, y)`");
    else if (routing->width == 0)
      (void)diagnostics.error(range, "tokens are no features to put beside others; `embed` makes some of them");
    return routing && routing->width != 0;
  }
  if (takes && !routing) {
    (void)diagnostics.error(range, "`" + layer.name + "` needs a routing after its stream: `" + layer.name +
                                       "(x, r)` with `r = route(x, …)`");
    return false;
  }
  if (!takes && routing) {
    diagnostics.error(range, "`" + layer.name + "` has its arguments already, it takes a stream and nothing else")
        .note(layer.range, "they were given here");
    return false;
  }
  if (!takes || !layer.inputWidth)
    return true;
  int64_t count = argumentOf(layer, "experts").constant->count;
  if (count == routing->experts)
    return true;
  diagnostics
      .error(range, "`" + layer.name + "` has " + Twine(count) + " experts, this routing chooses among " +
                        Twine(routing->experts))
      .note(layer.firstUse.isValid() && layer.firstUse.Start != range.Start ? layer.firstUse : layer.range,
            layer.firstUse.isValid() && layer.firstUse.Start != range.Start ? "it was first applied here"
                                                                            : "the experts are made here");
  return false;
}

bool Elaborator::resolveLayer(Layer &layer, Stream *input, Stream *routing, SMRange range) {
  const Builtin &builtin = *layer.builtin;
  if (layer.expert) {
    (void)diagnostics.error(range, "`" + layer.name + "` is the expert of a `moe`, it cannot be applied by itself");
    return false;
  }
  if ((builtin.input == Input::Tokens) != (input->width == 0)) {
    (void)diagnostics.error(
        range, builtin.input == Input::Tokens
                   ? "`" + builtin.name + "` takes tokens, this stream has " + Twine(input->width) + " features"
                   : "`" + builtin.name + "` takes a stream of features, not tokens; `embed` makes one");
    return false;
  }
  if (layer.inputWidth) {
    if (*layer.inputWidth == input->width && builtin.outputTime && layer.inputTime != input->time) {
      diagnostics
          .error(range, "`" + layer.name + "` was made for " + Twine(layer.inputTime) + " positions, this stream has " +
                            Twine(input->time))
          .note(layer.firstUse, "it was first applied here");
      return false;
    }
    if (*layer.inputWidth == input->width)
      return true;
    diagnostics
        .error(range, "`" + layer.name + "` was made for " + Twine(*layer.inputWidth) + " features, this stream has " +
                          Twine(input->width))
        .note(layer.firstUse, "it was first applied here");
    return false;
  }
  Completion completion{builtin.arguments,
                        layer.arguments,
                        builtin.name,
                        input->width,
                        input->time,
                        model->train.context,
                        routing ? routing->experts : 0,
                        model->train.batch,
                        layer.callee,
                        diagnostics};
  if (builtin.complete && !builtin.complete(completion))
    return false;
  layer.inputWidth = input->width;
  layer.inputTime = input->time;
  layer.outputWidth = builtin.outputWidth(layer.arguments, input->width);
  layer.firstUse = range;
  for (size_t i = 0; i < layer.arguments.size(); ++i)
    if (layer.arguments[i].constant)
      records.note(*layer.site, i, layer.arguments.size(), *layer.arguments[i].constant);
  return true;
}

Value Elaborator::apply(const std::shared_ptr<Layer> &layer, Stream *input, Stream *routing, SMRange range) {
  if (!step(range))
    return {};
  if (layer->block)
    return checkRouting(*layer, routing, range) ? applyBlock(layer, input, range) : Value();
  bool first = !layer->inputWidth;
  if ((first && !checkRouting(*layer, routing, range)) || !resolveLayer(*layer, input, routing, range) ||
      !checkRouting(*layer, routing, range))
    return {};
  if (layer->builtin->hasParameters)
    place(*layer);
  if (layer->builtin->name == "embed") {
    const ArgumentValue &vocab = argumentOf(*layer, "vocab");
    if (model->vocab == 0) {
      model->vocab = vocab.constant->count;
    } else if (model->vocab != vocab.constant->count) {
      (void)diagnostics.error(vocab.range, "a vocabulary of " + Twine(vocab.constant->count) +
                                               " here, but another `embed` has one of " + Twine(model->vocab));
      return {};
    }
  }
  std::vector<Stream *> operands = {input};
  if (routing && !sameLength(input, routing, range))
    return {};
  if (routing)
    operands.push_back(routing);
  bool routes = layer->builtin->routes == Routes::Makes;
  if ((routes || layer->builtin->name == "moe") && argumentOf(*layer, "choice").constant->text == "hash")
    operands.push_back(model->tokens);
  if (operands.back() == model->tokens && !sameLength(input, model->tokens, range))
    return {};
  const Builtin &builtin = *layer->builtin;
  int64_t width = layer->outputWidth + (builtin.routes == Routes::Joins ? routing->width : 0);
  int64_t time = builtin.outputTime ? builtin.outputTime(layer->arguments, input->time) : input->time;
  Op &op = emit(Op::Kind::Apply, std::move(operands), width, range, time);
  op.layer = layer;
  if (routes)
    op.results[0]->experts = argumentOf(*layer, "experts").constant->count;
  return Value::of(op.results[0]);
}

bool Elaborator::bindBlockParameters(Layer &layer) {
  const auto &parameters = layer.block->parameters;
  for (size_t i = 0; i < layer.arguments.size(); ++i) {
    const ArgumentValue &argument = layer.arguments[i];
    const ast::Parameter &parameter = parameters[i + 1];
    Value value;
    if (argument.given)
      value = argument.layer ? Value::of(argument.layer) : Value::of(*argument.constant);
    else
      value = evaluate(*parameter.value);
    if (value.isPoison())
      return false;
    if (value.kind == Value::Kind::Layer)
      value.layer->bound = true;
    if (value.kind == Value::Kind::Constant)
      records.note(*layer.site, i, layer.arguments.size(), value.constant);
    scopes.back()[parameter.name.text] = std::move(value);
  }
  return true;
}

Value Elaborator::applyBlock(const std::shared_ptr<Layer> &layer, Stream *input, SMRange range) {
  const ast::Block &block = *layer->block;
  for (const BlockFrame &frame : blockFrames)
    if (frame.layer->block == &block) {
      diagnostics.error(range, "block `" + block.name.text + "` is made of itself in a circle")
          .note(block.name.range, "it is declared here");
      return {};
    }
  if (blockFrames.size() >= maxBlockDepth) {
    (void)diagnostics.error(range, "blocks call each other more than " + Twine(maxBlockDepth) + " levels deep");
    return {};
  }
  place(*layer);
  if (!layer->innerScope)
    layer->innerScope = makeScope(layer->path);

  Diagnostics::FrameScope frame(diagnostics, range, "in block `" + block.name.text + "`, instantiated here");
  std::deque<Scope> outerScopes = std::move(scopes);
  PathScope *outerPath = pathScope;
  scopes.clear();
  scopes.emplace_back();
  pathScope = layer->innerScope;
  blockFrames.push_back({layer});
  caller = std::make_shared<CallChain>(CallChain{range, caller});

  Value result;
  scopes.back()[block.parameters[0].name.text] = Value::of(input);
  unsigned before = diagnostics.errorCount();
  if (bindBlockParameters(*layer)) {
    scopes.emplace_back();
    statements(block.body);
    if (diagnostics.errorCount() == before) {
      const ast::Expr &returned = *cast<ast::Return>(*block.body.back()).value;
      result = evaluate(returned);
      if (result.kind != Value::Kind::Routing && !asStream(result, returned.range))
        result = {};
    }
  }
  caller = caller->outer;
  blockFrames.pop_back();
  pathScope = outerPath;
  scopes = std::move(outerScopes);
  return result;
}

} // namespace moire::sema
