//===- frontend/Sema/MixtureRules.cpp - what makes a mixture's arguments fit ===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Arguments of routers and pools that contradict each other or would have no
// effect. Each message says what would fit.
//===----------------------------------------------------------------------===//
#include "frontend/Sema/BuiltinRules.h"
#include "frontend/Sema/MixtureSizes.h"
#include "frontend/Sema/Resolved.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"
#include <cmath>

using namespace llvm;

namespace moire::sema {

static bool refuse(Completion &c, const ArgumentValue &at, const Twine &text) {
  (void)c.diagnostics.error(at.given ? at.range : c.range, text);
  return false;
}

int64_t expertHidden(const Layer &experts) {
  int64_t hidden = argumentOf(*argumentOf(experts, "expert").layer, "hidden").constant->count;
  const ArgumentValue &granularity = argumentOf(experts, "granularity");
  return granularity.constant ? hidden / granularity.constant->count : hidden;
}

//===----------------------------------------------------------------------===//
// The choice
//===----------------------------------------------------------------------===//

/// Whether an argument says more than its default, which means that there is none.
static bool isSet(Completion &c, StringRef name) {
  const Constant &value = *c.at(name).constant;
  if (name == "scale" || (name == "temperature" && value.kind == Constant::Kind::Real))
    return value.asReal() != 1;
  if (value.kind == Constant::Kind::Word)
    return name != "emit" || value.text != "same";
  return value.kind == Constant::Kind::Bool    ? value.boolean
         : value.kind == Constant::Kind::None  ? false
         : value.kind == Constant::Kind::Count ? value.count != (name == "null" ? 0 : 1)
                                               : value.asReal() != 0;
}

/// Groups that would make the tokens of an expert a whole number, as a list for an error; empty when there are none.
static std::string fittingGroups(int64_t batch, double share) {
  std::vector<int64_t> sizes;
  for (int64_t g = 2; g <= batch && sizes.size() < 4; ++g)
    if (double tokens = share * double(g);
        batch % g == 0 && tokens >= 1 && tokens <= double(g) && std::abs(tokens - std::round(tokens)) < 1e-9 * tokens)
      sizes.push_back(g);
  std::string text;
  for (size_t i = 0; i < sizes.size(); ++i)
    text += (i == 0 ? "" : i + 1 == sizes.size() ? " or " : ", ") + std::to_string(sizes[i]);
  return text;
}

/// Experts take a whole number of the tokens of each group.
static bool takesWholeTokens(Completion &c) {
  const Constant &capacity = *c.at("capacity").constant;
  int64_t experts = c.count("experts"), topK = c.count("top_k"), group = c.count("group");
  double share = (capacity.kind == Constant::Kind::None ? 1 : capacity.asReal()) * double(topK) / double(experts);
  double tokens = share * double(group), whole = std::round(tokens);
  if (whole >= 1 && whole <= double(group) && std::abs(tokens - whole) < 1e-9 * whole)
    return true;
  std::string text;
  raw_string_ostream out(text);
  out << "each expert would take " << format("%g", tokens) << " of the " << group
      << " tokens of a group, capacity * group * top_k / experts, which is no whole number from 1 to " << group;
  std::string fitting = fittingGroups(c.batch, share);
  if (!fitting.empty())
    out << "; groups of " << fitting << " would fit";
  else
    out << "; in a batch of " << c.batch << " no group fits: more sequences, or fewer experts, would";
  return refuse(c, c.at("group"), text);
}

/// What choices over groups ask for, and what they have no use for.
static bool settleGroup(Completion &c, StringRef choice) {
  bool expert = choice == "expert", mixture = choice == "mixture";
  ArgumentValue &group = c.at("group");
  if (!expert && !mixture && isSet(c, "group"))
    return refuse(c, group,
                  "`group` has nothing to work on with `choice = " + choice +
                      "`; it goes with `choice = expert` and `choice = mixture`");
  for (StringRef name : {"temperature", "emit"})
    if (!mixture && isSet(c, name))
      return refuse(c, c.at(name),
                    "`" + name + "` has nothing to work on with `choice = " + choice +
                        "`; it goes with `choice = mixture`");
  if (!expert && !mixture && choice != "dense")
    return true;
  if (c.at("gate").given && (mixture || c.at("gate").constant->text != "softmax_topk"))
    return refuse(c, c.at("gate"),
                  mixture ? "`choice = mixture` weighs tokens by a softmax over their group and has no `gate`"
                          : "`choice = " + choice + "` scores by a softmax over experts; leave `gate` out");
  SmallVector<StringRef> without = {"renormalize"};
  if (!expert)
    without.push_back("capacity");
  if (mixture)
    without.append({"z", "mutual_information"});
  for (StringRef name : without)
    if (isSet(c, name))
      return refuse(c, c.at(name),
                    "`" + name + "` has nothing to work on with `choice = " + choice +
                        "`; it goes with `choice = token`");
  if (!expert && c.at("top_k").given && c.count("top_k") != 1 && !c.at("expansion").given)
    return refuse(c, c.at("top_k"),
                  mixture ? "every expert sees a mixture of each group, no token has a `top_k`"
                          : "every token goes to every expert, there is no `top_k`");
  if (!expert && !mixture)
    return true;
  int64_t size = group.constant->count;
  if (size < 2)
    return refuse(c, group,
                  "`choice = " + choice +
                      "` needs `group = …`: of how many sequences, 2 or more, the tokens "
                      "at one position meet");
  if (c.batch % size != 0)
    return refuse(c, group,
                  "a batch of " + Twine(c.batch) + " sequences cannot be cut into groups of " + Twine(size) + "; " +
                      nearbyDivisors(c.batch, size) + " would fit");
  return !expert || takesWholeTokens(c);
}

/// Refuses what needs scores where experts are chosen without; settles the gate and the balance loss.
static bool settleChoice(Completion &c) {
  StringRef choice = c.at("choice").constant->text;
  ArgumentValue &gate = c.at("gate"), &balance = c.at("balance");
  bool byToken = choice == "token", hash = choice == "hash";
  if (!settleGroup(c, choice))
    return false;
  SmallVector<StringRef> without;
  if (!byToken)
    without = {"bias_rate", "groups", "top_groups", "null", "threshold", "sequence_balance"};
  if (hash)
    without.append({"renormalize", "logit_bias", "z", "mutual_information"});
  for (StringRef name : without)
    if (isSet(c, name))
      return refuse(c, c.at(name),
                    "`" + name + "` has nothing to work on with `choice = " + choice +
                        "`, which does not choose by scores; it goes with `choice = token`");
  if (hash && gate.given)
    return refuse(c, gate, "`choice = hash` has no scores and no gate: all gates are 1 / top_k");
  if (!byToken && balance.given && balance.constant->asReal() != 0)
    return refuse(c, balance,
                  "a balance loss cannot move the loads of `choice = " + choice +
                      "`, which are what they are; leave `balance` out");
  if (!gate.given && !hash && choice != "mixture")
    gate.constant = Constant::ofWord("softmax_topk");
  if (!balance.given)
    balance.constant = Constant::ofReal(byToken ? 0.01 : 0.0);
  return true;
}

/// Gates that would always be 1 teach the router nothing.
static bool checkGate(Completion &c, int64_t topK) {
  const ArgumentValue &gate = c.at("gate"), &renormalize = c.at("renormalize");
  if (!gate.constant)
    return true;
  bool chooseFirst = gate.constant->text == "topk_softmax";
  if (chooseFirst && renormalize.constant->boolean) {
    c.diagnostics.error(renormalize.range, "the gates of `topk_softmax` sum to 1 already, `renormalize` has no effect")
        .note(gate.range, "the gate is chosen here");
    return false;
  }
  if (topK == 1 && (chooseFirst || renormalize.constant->boolean))
    return refuse(c, renormalize.constant->boolean ? renormalize : gate,
                  "with top_k = 1 this makes every gate 1, and the router would learn nothing; "
                  "`softmax_topk` without `renormalize` keeps the gate");
  return true;
}

static bool checkGroups(Completion &c, int64_t count, int64_t topK) {
  const ArgumentValue &groups = c.at("groups"), &best = c.at("top_groups");
  int64_t g = groups.constant->count, b = best.constant->count;
  if (g == 1 && b == 1)
    return true;
  if (g == 1)
    return refuse(c, best, "`top_groups` needs `groups`: there is one group only");
  if (c.count("null") > 0)
    return refuse(c, groups, "null choices belong to no group; leave out `groups` or `null`");
  if (count % g != 0)
    return refuse(c, groups,
                  Twine(count) + " experts cannot be cut into " + Twine(g) + " groups; " + nearbyDivisors(count, g) +
                      " would fit");
  if (b >= g)
    return refuse(c, best.given ? best : groups,
                  "`top_groups` of " + Twine(b) + " among " + Twine(g) + " groups limits nothing; it is from 1 to " +
                      Twine(g - 1));
  if (b * (count / g) < topK)
    return refuse(c, best.given ? best : groups,
                  "each token goes to " + Twine(topK) + " experts, but " + Twine(b) + " groups of " + Twine(count / g) +
                      " hold only " + Twine(b * (count / g)) +
                      "; `top_groups = " + Twine((topK + count / g - 1) / (count / g)) + "` would fit");
  return true;
}

/// A threshold is held against scores that sum to 1 over the experts.
static bool checkThreshold(Completion &c) {
  const ArgumentValue &threshold = c.at("threshold");
  double value = threshold.constant->asReal();
  if (value == 0)
    return true;
  if (c.at("gate").constant->text != "softmax_topk" || c.at("renormalize").constant->boolean || c.count("null") > 0)
    return refuse(c, threshold,
                  "`threshold` is held against a softmax over the experts: it goes with `gate = softmax_topk`, without "
                  "`renormalize` and `null`");
  if (value >= double(c.count("experts")))
    return refuse(c, threshold,
                  "no score is above `threshold / experts` of 1 or more; a `threshold` below " +
                      Twine(c.count("experts")) + " would fit");
  return true;
}

static bool settleRouting(Completion &c) {
  if (!settleChoice(c))
    return false;
  int64_t count = c.count("experts"), topK = c.count("top_k"), choices = count + c.count("null");
  if (topK > choices) {
    const ArgumentValue &where = c.at("top_k").given ? c.at("top_k") : c.at("granularity");
    return refuse(c, where, "each token goes to " + Twine(topK) + " experts, but there are only " + Twine(choices));
  }
  return checkGate(c, topK) && checkGroups(c, count, topK) && checkThreshold(c);
}

//===----------------------------------------------------------------------===//
// The pool
//===----------------------------------------------------------------------===//

static bool checkExpert(Completion &c, const ArgumentValue &expert) {
  const Layer &layer = *expert.layer;
  if (!layer.builtin || (layer.builtin->name != "mlp" && layer.builtin->name != "swiglu"))
    return refuse(c, expert,
                  "the experts of a `moe` are `mlp` or `swiglu` layers, not `" +
                      (layer.builtin ? layer.builtin->name : StringRef(layer.name)) + "`");
  return checkGateForm(layer, c.diagnostics);
}

static bool checkPool(Completion &c) {
  const ArgumentValue &shared = c.at("shared"), &gate = c.at("shared_gate");
  if (gate.constant->boolean && !shared.layer)
    return refuse(c, gate, "`shared_gate` needs a `shared` expert that it weighs");
  if (shared.layer && !checkExpert(c, shared))
    return false;
  if (shared.layer && !argumentOf(*shared.layer, "hidden").constant)
    return refuse(c, shared, "the shared expert needs `hidden`");
  return true;
}

bool completeRoute(Completion &c) { return solveRouter(c) && settleRouting(c); }
bool completeExperts(Completion &c) { return checkExpert(c, c.at("expert")) && checkPool(c) && solvePool(c); }
bool completeMoe(Completion &c) {
  return checkExpert(c, c.at("expert")) && checkPool(c) && solvePool(c) && settleRouting(c);
}

} // namespace moire::sema
