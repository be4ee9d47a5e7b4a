//===- frontend/Sema/ElaborateStatements.cpp - running statements ----------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A repeat is elaborated iteration by iteration, each into a region of its own
// whose arguments are the streams that the loop carries; what turns out equal
// is folded into a loop afterwards.
//===----------------------------------------------------------------------===//
#include "frontend/Sema/Elaborate.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Twine.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace llvm;

namespace moire::sema {

/// Operations, statements and iterations that a spec may come to.
constexpr int64_t maxSteps = 250000;

bool Elaborator::step(SMRange range) {
  if (++steps <= maxSteps)
    return true;
  if (steps == maxSteps + 1)
    (void)diagnostics.error(range, "the spec comes to more than " + Twine(maxSteps) + " steps");
  return false;
}

void Elaborator::statements(const ast::Body &body) {
  for (const ast::StmtPtr &stmt : body) {
    if (!step(stmt->range))
      return;
    TypeSwitch<const ast::Stmt *>(stmt.get())
        .Case([&](const ast::Let *node) { let(*node); })
        .Case([&](const ast::Assign *node) { assign(*node); })
        .Case([&](const ast::Repeat *node) { repeat(*node); })
        .Case([&](const ast::If *node) { branch(*node); })
        .Case([&](const ast::Require *node) { require(*node); })
        .Case([&](const ast::Return *) {}); // the last one, evaluated by whoever runs the body
  }
}

void Elaborator::let(const ast::Let &let) {
  Value value = evaluate(*let.value);
  if (value.kind == Value::Kind::Stream || value.kind == Value::Kind::Routing) {
    (void)diagnostics.error(let.name.range, Twine("`let` binds constants and layers; a ") +
                                                (value.kind == Value::Kind::Stream ? "stream" : "routing") +
                                                " is assigned: `" + let.name.text + " = …`");
    value = {};
  }
  if (value.kind == Value::Kind::Layer && !value.layer->bound) {
    value.layer->bound = true;
    value.layer->name = let.name.text.str();
  }
  (scopes.empty() ? globalScope : scopes.back())[let.name.text] = std::move(value);
}

void Elaborator::assign(const ast::Assign &assign) {
  Value value = evaluate(*assign.value);
  if (value.kind == Value::Kind::Constant || value.kind == Value::Kind::Layer) {
    if (assign.adds)
      (void)diagnostics.error(assign.value->range, value.kind == Value::Kind::Layer
                                                       ? "expected a stream, found the layer `" + value.layer->name +
                                                             "`, which was not applied to any"
                                                       : "expected a stream, found " + value.constant.described());
    else
      (void)diagnostics.error(assign.name.range,
                              "only streams are assigned; " +
                                  Twine(value.kind == Value::Kind::Layer ? "a layer" : "a constant") +
                                  " is bound by `let " + assign.name.text + " = …`");
    value = {};
  }
  Value *slot = lookup(assign.name.text);
  if (assign.adds && slot)
    value = combine(ast::Operator::Add, *slot, value, assign.range);
  auto isRouting = [](const Value &v) { return v.kind == Value::Kind::Routing; };
  if (slot && !value.isPoison() && !slot->isPoison() && isRouting(*slot) != isRouting(value)) {
    (void)diagnostics.error(assign.name.range,
                            "`" + assign.name.text + "` is a " + (isRouting(value) ? "stream" : "routing") +
                                ", and a " + (isRouting(value) ? "routing" : "stream") + " takes a name of its own");
    return;
  }
  // The op that made the value carries the variable's name into the IR.
  bool isMade = value.kind == Value::Kind::Stream || isRouting(value);
  if (isMade && !region->ops.empty() && !region->ops.back()->results.empty() &&
      region->ops.back()->results.front() == value.stream)
    region->ops.back()->variable = assign.name.text.str();
  // After an error the stream keeps its last value, so that the statements after it are checked too.
  if (slot && !(value.isPoison() && !slot->isPoison()))
    *slot = std::move(value);
  else if (!slot)
    scopes.back()[assign.name.text] = std::move(value);
}

void Elaborator::branch(const ast::If &branch) {
  auto holds = condition(*branch.condition);
  if (!holds)
    return;
  scopes.emplace_back();
  statements(*holds ? branch.then : branch.otherwise);
  scopes.pop_back();
}

void Elaborator::require(const ast::Require &require) {
  auto holds = condition(*require.condition);
  if (holds && !*holds)
    (void)diagnostics.error(require.condition->range, "requirement not met: " + require.message);
}

std::vector<Value *> Elaborator::carriedBy(const ast::Repeat &repeat) {
  MapVector<StringRef, SMRange> assigned;
  assignedNames(repeat.body, assigned);
  std::vector<Value *> carried;
  for (auto [name, range] : assigned) {
    Value *value = lookup(name);
    if (value && value->kind == Value::Kind::Stream)
      carried.push_back(value);
    else if (value && value->kind == Value::Kind::Routing)
      (void)diagnostics.error(range, "the routing `" + name +
                                         "` cannot be carried from iteration to iteration; carry "
                                         "the stream that its router reads, and route it in each iteration");
  }
  return carried;
}

void Elaborator::repeat(const ast::Repeat &repeat) {
  auto count = constant(*repeat.count, "a count");
  if (!count)
    return;
  if (count->kind != Constant::Kind::Count || count->count < 0) {
    (void)diagnostics.error(repeat.count->range, "expected a count of iterations, found " + count->described());
    return;
  }
  unsigned before = diagnostics.errorCount();
  std::vector<Value *> slots = carriedBy(repeat);
  if (diagnostics.errorCount() != before)
    return;
  std::vector<Stream *> carried;
  for (Value *slot : slots)
    carried.push_back(slot->stream);

  // Stacked parameters are counted by the outermost repeats around them; a repeat of a shared block is not among these.
  size_t owned = count_if(pathScope->prefix, [](const PathSegment &segment) { return segment.iteration != nullptr; });
  if (owned < openRepeats) {
    diagnostics
        .error(repeat.range, "a block with a `repeat` inside cannot be shared between the iterations of another yet")
        .note(blockFrames.back().layer->range, "the block is bound here, outside of the iterations");
    return;
  }
  bool nested = owned != 0;
  Path prefix = pathScope->prefix;
  prefix.push_back({pathScope->unique(nested ? "inner" : "layers"), nullptr});

  // A block that is applied again has the iterations of its first application.
  std::vector<std::shared_ptr<Iteration>> fresh, *iterations = &fresh;
  if (!blockFrames.empty()) {
    BlockFrame &frame = blockFrames.back();
    if (frame.nextRepeat == frame.layer->innerIterations.size())
      frame.layer->innerIterations.emplace_back();
    iterations = &frame.layer->innerIterations[frame.nextRepeat++];
  }
  size_t iterationsPlace = blockFrames.empty() ? 0 : blockFrames.back().nextRepeat - 1;
  std::shared_ptr<Layer> blockLayer = blockFrames.empty() ? nullptr : blockFrames.back().layer;

  ++openRepeats;
  Region *outerRegion = region;
  PathScope *outerPath = pathScope;
  std::vector<IterationBody> bodies;
  std::vector<Stream *> entering = carried;
  unsigned errors = diagnostics.errorCount();
  for (int64_t i = 0; i < count->count && step(repeat.range); ++i) {
    // Nested repeats may have grown the table that `iterations` points into.
    if (blockLayer)
      iterations = &blockLayer->innerIterations[iterationsPlace];
    if (static_cast<size_t>(i) == iterations->size()) {
      iterations->push_back(std::make_shared<Iteration>());
      iterations->back()->index = i;
    }
    std::shared_ptr<Iteration> iteration = (*iterations)[i];
    bodies.push_back({iteration, std::make_unique<Region>()});
    region = bodies.back().region.get();
    Path inside = prefix;
    inside.push_back({"", iteration});
    pathScope = makeScope(std::move(inside));
    for (auto [slot, value] : zip(slots, entering)) {
      region->arguments.push_back(model->makeStream(value->width, value->time));
      *slot = Value::of(region->arguments.back());
    }
    scopes.emplace_back();
    if (repeat.variable)
      scopes.back()[repeat.variable->text] = Value::of(Constant::ofCount(i));
    {
      Diagnostics::FrameScope frame(diagnostics, repeat.count->range, "in iteration " + Twine(i) + " of this repeat");
      statements(repeat.body);
    }
    scopes.pop_back();
    if (diagnostics.errorCount() != errors)
      break;
    entering.clear();
    for (Value *slot : slots) {
      region->yields.push_back(slot->stream);
      entering.push_back(slot->stream);
    }
  }
  --openRepeats;
  region = outerRegion;
  pathScope = outerPath;
  if (diagnostics.errorCount() == errors && !bodies.empty())
    foldRepeat(std::move(bodies), carried, *region, *model, repeat.range);
  for (auto [slot, value] : zip(slots, carried))
    *slot = Value::of(value);
}

} // namespace moire::sema
