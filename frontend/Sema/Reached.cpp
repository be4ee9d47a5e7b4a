//===- frontend/Sema/Reached.cpp - what reaches the logits -----------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A layer whose output reaches no logits would never learn; a stream that
// nobody reads is a slip. Both are errors.
//===----------------------------------------------------------------------===//
#include "frontend/Sema/Elaborate.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/STLExtras.h"

using namespace llvm;

namespace moire::sema {

namespace {

using Live = DenseSet<const Stream *>;

void markLive(const Region &region, Live &live) {
  for (const auto &op : reverse(region.ops)) {
    if (op->kind != Op::Kind::Loop) {
      if (live.contains(op->results[0]))
        live.insert(op->operands.begin(), op->operands.end());
      continue;
    }
    for (size_t before = SIZE_MAX; before != live.size();) {
      before = live.size();
      for (auto [result, argument, yield] : zip(op->results, op->body->arguments, op->body->yields))
        if (live.contains(result) || live.contains(argument))
          live.insert(yield);
      markLive(*op->body, live);
    }
    for (auto [argument, operand] : zip(op->body->arguments, op->operands))
      if (live.contains(argument))
        live.insert(operand);
  }
}

void collectUsed(const Region &region, Live &used) {
  for (const auto &op : region.ops) {
    used.insert(op->operands.begin(), op->operands.end());
    if (op->body)
      collectUsed(*op->body, used);
  }
}

void reportDead(const Region &region, const Live &live, const Live &used, Diagnostics &diagnostics) {
  for (const auto &op : region.ops) {
    if (op->body) {
      reportDead(*op->body, live, used, diagnostics);
      continue;
    }
    // Of a chain of ops that reach nothing, the last one is named.
    if (live.contains(op->results[0]) || used.contains(op->results[0]))
      continue;
    bool routes = op->results[0]->isRouting();
    std::string what = routes                  ? "the routing" + (op->variable.empty() ? "" : " `" + op->variable + "`")
                       : !op->variable.empty() ? "the stream `" + op->variable + "`"
                       : op->layer             ? "the output of `" + op->layer->name + "`"
                                               : "this stream";
    const char *why = routes ? "no experts read it" : "it reaches no logits";
    auto error = diagnostics.error(op->range, what + " is never used: " + why);
    for (const CallChain *caller = op->caller.get(); caller; caller = caller->outer.get())
      error.note(caller->range, "instantiated here");
  }
}

} // namespace

bool checkReached(const ResolvedModel &model, Diagnostics &diagnostics) {
  Live live, used;
  live.insert(model.logits);
  markLive(model.body, live);
  collectUsed(model.body, used);
  unsigned before = diagnostics.errorCount();
  reportDead(model.body, live, used, diagnostics);
  return diagnostics.errorCount() == before;
}

} // namespace moire::sema
