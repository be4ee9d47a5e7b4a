//===- frontend/Sema/Fold.cpp - equal iterations become a loop -------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Iterations are compared by a text that says all that matters about them,
// with their own streams and layers numbered. All equal: one loop. Else the
// smallest period that divides their number: a loop over several iterations.
// Else the longest runs of equal ones, single iterations as straight code.
//===----------------------------------------------------------------------===//
#include "frontend/Sema/Elaborate.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Twine.h"

using namespace llvm;

namespace moire::sema {

//===----------------------------------------------------------------------===//
// Paths
//===----------------------------------------------------------------------===//

std::string symbolicPath(const Path &path) {
  std::string text;
  for (const PathSegment &segment : path) {
    if (!text.empty())
      text += '.';
    const Iteration *it = segment.iteration.get();
    if (!it)
      text += segment.text;
    else if (!it->inLoop)
      text += std::to_string(it->index);
    else
      text += (it->stride == 1 ? "" : std::to_string(it->stride)) + "#" +
              (it->index == 0 ? "" : "+" + std::to_string(it->index));
  }
  return text;
}

std::vector<std::string> concretePaths(const Path &path) {
  std::vector<std::string> paths = {""};
  for (const PathSegment &segment : path) {
    std::vector<std::string> longer;
    for (const std::string &prefix : paths) {
      std::string start = prefix.empty() ? "" : prefix + ".";
      if (!segment.iteration)
        longer.push_back(start + segment.text);
      else
        for (int64_t t = 0; t < segment.iteration->trips; ++t)
          longer.push_back(start + std::to_string(segment.iteration->index + t * segment.iteration->stride));
    }
    paths = std::move(longer);
  }
  return paths;
}

namespace {

//===----------------------------------------------------------------------===//
// Comparison
//===----------------------------------------------------------------------===//

/// Writes down an iteration so that equal texts mean equal computations.
class Fingerprint {
public:
  explicit Fingerprint(const Iteration *iteration) : iteration(iteration) {}

  std::string of(const Region &region) {
    visit(region);
    return os.str();
  }

private:
  void visit(const Region &region) {
    os << '(';
    for (Stream *argument : region.arguments)
      define(argument);
    for (const auto &op : region.ops)
      visit(*op);
    for (Stream *yield : region.yields)
      use(yield);
    os << ')';
  }

  void visit(const Op &op) {
    os << ';' << static_cast<int>(op.kind);
    if (op.layer)
      visit(*op.layer);
    if (op.kind == Op::Kind::Scale)
      os << ast::realText(op.factor);
    for (Stream *operand : op.operands)
      use(operand);
    if (op.body) {
      os << 'x' << op.trips;
      visit(*op.body);
    }
    for (Stream *result : op.results)
      define(result);
  }

  void visit(const Layer &layer) {
    auto own = find_if(layer.path, [&](const PathSegment &s) { return s.iteration.get() == iteration; });
    if (layer.placed && own == layer.path.end()) {
      os << '@' << reinterpret_cast<uintptr_t>(&layer);
      return;
    }
    if (layer.placed) {
      auto [it, fresh] = layers.try_emplace(&layer, layers.size());
      os << '%' << it->second;
      if (!fresh)
        return;
      os << symbolicPath(Path(own + 1, layer.path.end()));
    }
    describe(layer);
  }

  void describe(const Layer &layer) {
    os << ' ' << layer.builtin->name;
    for (const ArgumentValue &argument : layer.arguments) {
      os << ',';
      if (argument.constant)
        os << argument.constant->spelled();
      if (argument.layer && argument.layer->expert)
        describe(*argument.layer);
      else if (argument.layer)
        visit(*argument.layer);
    }
  }

  void define(Stream *stream) {
    numbers.try_emplace(stream, numbers.size());
    os << ':' << stream->width << 'x' << stream->time;
  }
  void use(Stream *stream) {
    auto it = numbers.find(stream);
    if (it != numbers.end())
      os << " #" << it->second;
    else
      os << " @" << reinterpret_cast<uintptr_t>(stream);
  }

  const Iteration *iteration;
  DenseMap<Stream *, unsigned> numbers;
  DenseMap<const Layer *, unsigned> layers;
  std::string text;
  raw_string_ostream os{text};
};

//===----------------------------------------------------------------------===//
// Rewriting
//===----------------------------------------------------------------------===//

using Substitution = DenseMap<Stream *, Stream *>;

void substitute(Stream *&stream, const Substitution &map) {
  auto it = map.find(stream);
  if (it != map.end())
    stream = it->second;
}

void substitute(Region &region, const Substitution &map) {
  for (auto &op : region.ops) {
    for (Stream *&operand : op->operands)
      substitute(operand, map);
    if (op->body)
      substitute(*op->body, map);
  }
  for (Stream *&yield : region.yields)
    substitute(yield, map);
}

/// Appends an iteration to `region`, its arguments replaced by `carried`, which then holds what it yields.
void splice(Region &from, std::vector<Stream *> &carried, Region &region) {
  Substitution map;
  for (auto [argument, value] : zip(from.arguments, carried))
    map[argument] = value;
  substitute(from, map);
  for (auto &op : from.ops)
    region.ops.push_back(std::move(op));
  carried = from.yields;
}

/// Takes values out of the loop that no iteration changes.
void dropUnchanged(Region &body, std::vector<Stream *> &carried, std::vector<size_t> &kept) {
  Substitution map;
  for (size_t i = 0; i < carried.size(); ++i) {
    if (body.yields[i] == body.arguments[i])
      map[body.arguments[i]] = carried[i];
    else
      kept.push_back(i);
  }
  if (map.empty())
    return;
  std::vector<Stream *> arguments, yields;
  for (size_t i : kept) {
    arguments.push_back(body.arguments[i]);
    yields.push_back(body.yields[i]);
  }
  body.arguments = std::move(arguments);
  body.yields = std::move(yields);
  substitute(body, map);
}

/// A loop of `trips` over the first `period` of `bodies`.
void makeLoop(MutableArrayRef<IterationBody> bodies, int64_t period, std::vector<Stream *> &carried, Region &region,
              ResolvedModel &model, SMRange range) {
  int64_t trips = bodies.size() / period;
  for (int64_t j = 0; j < period; ++j)
    *bodies[j].iteration = {bodies[j].iteration->index, period, trips, true};

  auto loop = std::make_unique<Op>();
  loop->kind = Op::Kind::Loop;
  loop->trips = trips;
  loop->range = range;
  loop->body = std::make_unique<Region>();
  Region &body = *loop->body;
  body.arguments = bodies[0].region->arguments;
  std::vector<Stream *> inside = body.arguments;
  for (IterationBody &iteration : bodies.take_front(period))
    splice(*iteration.region, inside, body);
  body.yields = inside;

  std::vector<size_t> kept;
  dropUnchanged(body, carried, kept);
  for (size_t i : kept) {
    loop->operands.push_back(carried[i]);
    loop->results.push_back(model.makeStream(carried[i]->width, carried[i]->time));
    carried[i] = loop->results.back();
  }
  region.ops.push_back(std::move(loop));
}

} // namespace

void foldRepeat(std::vector<IterationBody> bodies, std::vector<Stream *> &carried, Region &region, ResolvedModel &model,
                SMRange range) {
  StringMap<size_t> classes;
  std::vector<size_t> ids;
  for (const IterationBody &body : bodies)
    ids.push_back(
        classes.try_emplace(Fingerprint(body.iteration.get()).of(*body.region), classes.size()).first->second);

  size_t count = bodies.size();
  for (size_t period = 1; period <= count / 2; ++period) {
    if (count % period != 0)
      continue;
    bool periodic = true;
    for (size_t i = period; i < count && periodic; ++i)
      periodic = ids[i] == ids[i - period];
    if (!periodic)
      continue;
    makeLoop(bodies, period, carried, region, model, range);
    return;
  }
  for (size_t i = 0; i < count;) {
    size_t end = i + 1;
    while (end < count && ids[end] == ids[i])
      ++end;
    if (end - i == 1)
      splice(*bodies[i].region, carried, region);
    else
      makeLoop(MutableArrayRef(bodies).slice(i, end - i), 1, carried, region, model, range);
    i = end;
  }
}

} // namespace moire::sema
