//===- frontend/Sema/Builtins.cpp - the layers that the language knows -----===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The table. The rules that complete and check each layer's arguments stand in
// BuiltinRules.cpp.
//===----------------------------------------------------------------------===//
#include "frontend/Sema/Builtins.h"
#include "frontend/Sema/BuiltinRules.h"
#include "frontend/Sema/Resolved.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Twine.h"

using namespace llvm;

namespace moire::sema {

using Kind = ArgumentKind;
using Default = ArgumentInfo::Default;

static ArgumentInfo required(StringRef name, Kind kind, StringRef doc) {
  return {name, kind, Default::Required, {}, {}, doc};
}
static ArgumentInfo derived(StringRef name, Kind kind, StringRef doc) {
  return {name, kind, Default::Derived, {}, {}, doc};
}
static ArgumentInfo count(StringRef name, int64_t value, StringRef doc) {
  return {name, Kind::Count, Default::Value, Constant::ofCount(value), {}, doc};
}
static ArgumentInfo real(StringRef name, Kind kind, double value, StringRef doc) {
  return {name, kind, Default::Value, Constant::ofReal(value), {}, doc};
}
static ArgumentInfo flag(StringRef name, bool value, StringRef doc) {
  return {name, Kind::Bool, Default::Value, Constant::ofBool(value), {}, doc};
}
static ArgumentInfo word(StringRef name, std::vector<StringRef> words, StringRef doc) {
  Constant first = Constant::ofWord(words.front());
  return {name, Kind::Word, Default::Value, first, std::move(words), doc};
}
static ArgumentInfo none(StringRef name, Kind kind, StringRef doc) {
  return {name, kind, Default::Value, Constant::ofNone(), {}, doc};
}
static ArgumentInfo derivedWord(StringRef name, std::vector<StringRef> words, StringRef doc) {
  return {name, Kind::Word, Default::Derived, {}, std::move(words), doc};
}
static ArgumentInfo maybe(StringRef name, std::vector<StringRef> words, StringRef doc) {
  return {name, Kind::OptionalWord, Default::Value, Constant::ofNone(), std::move(words), doc};
}
static ArgumentInfo bias() { return flag("bias", false, "whether each product adds a vector"); }

using Arguments = std::vector<ArgumentInfo>;

static Arguments joined(std::initializer_list<Arguments> parts) {
  Arguments all;
  for (const Arguments &part : parts)
    all.insert(all.end(), part.begin(), part.end());
  return all;
}

// The tables read better laid out by hand.
// clang-format off

static Arguments sizesOfRouter() {
  return {derived("experts", Kind::Count, "how many there are"),
          derived("top_k", Kind::Count, "how many each token goes to: 1"),
          derived("expansion", Kind::Count, "parameters of all experts over those one token meets"),
          derived("granularity", Kind::Count, "pieces that each expert is cut into: 1")};
}

static Arguments choosing() {
  return {word("choice", {"token", "hash", "balanced", "expert", "mixture", "dense"}, "who meets whom, see below"),
          derivedWord("gate", {"softmax_topk", "topk_softmax", "sigmoid_topk", "sqrt_softplus_topk"},
                      "what scores are, before or after the choice: `softmax_topk`"),
          flag("renormalize", false, "whether the chosen gates are made to sum to 1"),
          real("scale", Kind::Positive, 1.0, "factor of all gates"),
          real("bias_rate", Kind::NonNegative, 0.0,
               "step of a bias on the choice alone that evens out the load; 0: none"),
          flag("logit_bias", false, "whether a learned vector is added to the logits"),
          count("groups", 1, "groups of neighbouring experts"),
          count("top_groups", 1, "groups that a token may choose from"),
          none("capacity", Kind::OptionalReal, "rows that an expert takes in training, over its even share"),
          count("group", 1, "sequences whose tokens at one position meet, with `choice = expert` or `mixture`"),
          {"temperature", Kind::RealOrWord, Default::Value, Constant::ofReal(1.0), {"learned", "learned_per_expert"},
           "what a mixture divides its logits by"},
          word("emit", {"same", "separate", "softmax_experts"}, "what weighs the outputs of a mixture"),
          {"null", Kind::CountOrZero, Default::Value, Constant::ofCount(0), {}, "further choices that have no expert"},
          real("threshold", Kind::NonNegative, 0.0,
               "score times `experts` that an expert must be above to be among the `top_k`; 0: none")};
}

static Arguments losses() {
  return {derived("balance", Kind::NonNegative, "weight of the load-balancing loss: 0.01, or 0 without scores"),
          real("sequence_balance", Kind::NonNegative, 0.0, "weight of the load-balancing loss of each sequence"),
          real("z", Kind::NonNegative, 0.0, "weight of the router's z-loss"),
          real("mutual_information", Kind::NonNegative, 0.0,
               "weight of the loss that makes tokens decided, experts even")};
}

static Arguments ofPool() {
  return {{"latent", Kind::CountOrZero, Default::Value, Constant::ofCount(0), {},
           "features that experts work on; 0: those of the stream"},
          none("shared", Kind::OptionalLayer, "one more expert, that every token goes to"),
          flag("shared_gate", false, "whether a sigmoid of the token weighs the shared expert"),
          none("total", Kind::OptionalCount, "parameters of all experts"),
          none("active", Kind::OptionalCount, "parameters of the experts that a token meets")};
}

ArrayRef<Builtin> builtins() {
  static const std::vector<StringRef> activations = {"gelu", "relu", "relu2", "silu"};
  static const ArgumentInfo hidden = {"hidden", Kind::Count, Default::Applied, {}, {},
                                      "features inside; experts may leave it to `total` or `active`"};
  static const ArgumentInfo scaling = maybe("rope_scaling", {"linear", "ntk", "yarn"}, "how positions are stretched");
  static const ArgumentInfo factor = none("rope_factor", Kind::OptionalReal, "by how much they are stretched");
  static const ArgumentInfo original = none("rope_original", Kind::OptionalCount, "context that yarn starts from");
  static const ArgumentInfo fast = real("rope_beta_fast", Kind::Positive, 32.0,
                                        "turns within `rope_original` from which yarn leaves a pair as it is");
  static const ArgumentInfo slow = real("rope_beta_slow", Kind::Positive, 1.0,
                                        "turns up to which yarn stretches a pair in full");
  static const ArgumentInfo truncate = flag("rope_truncate", true, "whether yarn rounds these bounds to whole pairs");
  static const ArgumentInfo pairs = flag("rope_interleaved", false,
                                         "whether neighbouring features turn together, in the place of halves of a head");
  static const std::vector<StringRef> gates = {"silu", "gelu", "relu", "relu2", "sigmoid"};
  static const Builtin table[] = {
      {"embed", Input::Tokens, true,
       {required("vocab", Kind::Count, "number of different tokens"), required("width", Kind::Count, "features")},
       "a row of a table for each token", nullptr, widthOfArgument<1>},
      {"learned_positions", Input::Features, true, {}, "a learned row for each position, to be added to the stream",
       nullptr, sameWidth, Routes::No, sameTime},
      {"sinusoidal_positions", Input::Features, false, {},
       "a fixed row of sines and cosines for each position, to be added to the stream", completeSinusoids, sameWidth},
      {"rms_norm", Input::Features, true,
       {real("eps", Kind::Positive, 1e-5, "added to the mean square"),
        count("groups", 1, "equal slices of the features, each with a mean of its own")},
       "x / sqrt(mean(x^2) + eps), times a learned weight", completeRmsNorm, sameWidth},
      {"layer_norm", Input::Features, true,
       {real("eps", Kind::Positive, 1e-5, "added to the variance"), flag("bias", true, "whether it adds a vector")},
       "(x - mean) / sqrt(variance + eps), times a learned weight", nullptr, sameWidth},
      {"attention", Input::Features, true,
       {required("heads", Kind::Count, "query heads"), derived("kv_heads", Kind::Count, "key and value heads: `heads`"),
        derived("head_dim", Kind::Count, "features of a head: `width / heads`"),
        derived("value_dim", Kind::Count, "features of a head's values: `head_dim`"),
        flag("causal", true, "whether a position sees itself and earlier ones only"),
        none("window", Kind::OptionalCount, "positions that are seen, the own one among them"),
        flag("sinks", false, "a learned number per head that takes part in the softmax's sum"),
        none("softcap", Kind::OptionalReal, "c of c tanh(score / c)"),
        flag("alibi", false, "whether scores fall with the distance (ALiBi)"),
        none("scale", Kind::OptionalReal, "factor of the scores, else 1 / sqrt(head_dim)"),
        maybe("qk_norm", {"head", "full"}, "RMSNorm of queries and keys, per head or over all features"),
        maybe("gate", {"head", "element"}, "sigmoid gate on what the heads give"),
        none("rope", Kind::OptionalReal, "base of the rotary positions"),
        none("rope_dim", Kind::OptionalCount, "features of a head that are rotated, else all"),
        scaling, factor, original, fast, slow, truncate, pairs,
        derived("width", Kind::Count, "features of the output: those of the stream"), bias()},
       "softmax self-attention", completeAttention, widthOfArgument<21>},
      {"latent_attention", Input::Features, true,
       {required("heads", Kind::Count, "heads"),
        required("kv_latent", Kind::Count, "features that keys and values are made from"),
        none("q_latent", Kind::OptionalCount, "features that queries are made from, else those of the stream"),
        required("nope_dim", Kind::Count, "features of a head's keys without positions"),
        required("rope_dim", Kind::Count, "features of the rotated part of the keys, which all heads share"),
        required("value_dim", Kind::Count, "features of a head's values"),
        real("rope", Kind::Positive, 10000.0, "base of the rotary positions"), scaling, factor, original, fast,
        slow, truncate, pairs},
       "attention over keys and values from a small latent (MLA)", completeLatentAttention, sameWidth},
      {"linear", Input::Features, true, {required("width", Kind::Count, "features of the output"), bias()},
       "one product", nullptr, widthOfArgument<0>},
      {"mlp", Input::Features, true,
       {hidden, word("activation", activations, "between the products"), bias()},
       "two products with a pointwise function between them", completeMlp, sameWidth},
      {"swiglu", Input::Features, true,
       {hidden, word("activation", gates, "of the gate"),
        none("limit", Kind::OptionalReal, "most that the gate may be, and the size of what it multiplies"),
        real("alpha", Kind::Positive, 1.0, "of silu: x * sigmoid(alpha x)"),
        real("offset", Kind::NonNegative, 0.0, "added to what the gate multiplies"), bias()},
       "(silu(x Wg) * (x Wu)) Wd", completeSwiglu, sameWidth},
      {"moe", Input::Features, true,
       joined({{required("expert", Kind::Layer, "an `mlp` or a `swiglu`")}, sizesOfRouter(), choosing(), ofPool(),
               losses()}),
       "mixture of experts: `route` and `experts` in one", completeMoe, sameWidth},
      {"route", Input::Features, true, joined({sizesOfRouter(), choosing(), losses()}),
       "a routing: which experts each token goes to, with what weight", completeRoute, sameWidth, Routes::Makes},
      {"experts", Input::Features, true,
       joined({{required("expert", Kind::Layer, "an `mlp` or a `swiglu`"),
                derived("experts", Kind::Count, "how many there are: as many as the routing chooses among"),
                derived("expansion", Kind::Count, "parameters of all experts over those one token meets"),
                derived("granularity", Kind::Count, "pieces that each expert is cut into: 1")},
               ofPool()}),
       "a pool of experts, applied as a routing says", completeExperts, sameWidth, Routes::Takes},
      {"mamba", Input::Features, true,
       {count("state", 16, "state per channel"), count("conv", 4, "taps of the convolution"),
        count("expand", 2, "channels over features"),
        derived("dt_rank", Kind::Count, "rank of the step size: `ceil_div(width, 16)`"),
        flag("inner_norm", false, "whether the low-rank step, B and C go through an RMSNorm each, as in Jamba")},
       "selective state-space layer (Mamba-1)", completeMamba, sameWidth},
      {"mamba2", Input::Features, true,
       {count("state", 128, "state per channel, at most 256"),
        count("head_dim", 64, "channels that share a decay, at most 256"),
        count("expand", 2, "channels over features"), count("groups", 1, "heads are split into so many that share B and C"),
        count("conv", 4, "taps of the convolution"),
        count("chunk", 128, "tokens that are computed together, at most 256; changes speed and memory, not results"),
        flag("norm", true, "whether the gated output goes through an RMSNorm, by groups")},
       "state-space layer with one decay a head (Mamba-2)", completeMamba2, sameWidth},
      {"concat", Input::Features, false, {}, "the features of two streams side by side", nullptr, sameWidth,
       Routes::Joins},
      {"conv1d", Input::Features, true,
       {required("width", Kind::Count, "features of the output"), required("kernel", Kind::Count, "positions that are read"),
        count("stride", 1, "positions between two results"),
        flag("causal", true, "whether the last position that is read is the result's own, else the middle one"),
        flag("bias", true, "whether the product adds a vector")},
       "a dense convolution along time", completeConv1d, widthOfArgument<0>, Routes::No, convolvedTime},
      {"stack", Input::Features, false, {required("factor", Kind::Count, "neighbouring positions that become one")},
       "neighbouring positions side by side: fewer positions, more features", completeStack, stackedWidth, Routes::No,
       stackedTime},
      {"unstack", Input::Features, false, {required("factor", Kind::Count, "positions that each position becomes")},
       "the inverse of `stack`: fewer features, more positions", completeUnstack, unstackedWidth, Routes::No,
       unstackedTime},
      {"shift", Input::Features, false, {required("by", Kind::Count, "positions")},
       "the stream some positions later, zeros in front", completeShift, sameWidth, Routes::No, sameTime},
      {"head", Input::Features, true,
       {required("vocab", Kind::Count, "logits per position"),
        none("tied", Kind::OptionalLayer, "an `embed` bound by `let` whose table is used again"),
        none("softcap", Kind::OptionalReal, "c of c tanh(logit / c)"), bias()},
       "logits", completeHead, widthOfArgument<0>},
      {"relu", Input::Features, false, {}, "max(x, 0)", nullptr, sameWidth},
      {"gelu", Input::Features, false, {}, "x times the normal distribution function of x", nullptr, sameWidth},
      {"relu2", Input::Features, false, {}, "max(x, 0)^2", nullptr, sameWidth},
      {"silu", Input::Features, false, {}, "x * sigmoid(x)", nullptr, sameWidth},
      {"sigmoid", Input::Features, false, {}, "1 / (1 + exp(-x))", nullptr, sameWidth},
  };
  return table;
}

ArrayRef<Builtin> trainBuiltins() {
  static const Constant betas = Constant::ofTuple({Constant::ofReal(0.9), Constant::ofReal(0.95)});
  static const Constant onePercent = Constant::ofReal(0.01);
  static const Builtin table[] = {
      {"adamw", Input::None, false,
       {required("lr", Kind::Positive, "largest learning rate"),
        {"betas", Kind::Pair, Default::Value, betas, {}, "decay of the two moments"},
        real("eps", Kind::Positive, 1e-8, "added to the root of the second moment"),
        real("weight_decay", Kind::NonNegative, 0.1, "decoupled; norms and biases are left out"),
        real("clip", Kind::NonNegative, 1.0, "largest norm of the gradient; 0 for none")},
       "AdamW", nullptr, nullptr},
      {"cosine", Input::None, false,
       {{"warmup", Kind::CountOrFraction, Default::Value, onePercent, {}, "linear rise: steps, or a share of them"},
        real("final", Kind::Fraction, 0.1, "last learning rate, as a share of the largest")},
       "a half cosine after the warm-up", nullptr, nullptr},
      {"constant", Input::None, false,
       {{"warmup", Kind::CountOrFraction, Default::Value, onePercent, {}, "linear rise: steps, or a share of them"}},
       "no change after the warm-up", nullptr, nullptr},
      {"mup", Input::None, false,
       {real("input", Kind::Positive, 1.0, "multiplies what embeddings give"),
        real("output", Kind::Positive, 1.0, "multiplies the logits"),
        word("router", {"head", "branch", "hidden"}, "how the weights of routers are treated")},
       "muP from a base model: `base_NAME = …` gives its hyperparameter NAME", nullptr, nullptr},
      {"projected", Input::None, false, {},
       "weights projected from those of a larger model: `NAME = …` gives its hyperparameter NAME", nullptr, nullptr},
  };
  return table;
}

// clang-format on

static const Builtin *find(ArrayRef<Builtin> table, StringRef name) {
  for (const Builtin &builtin : table)
    if (builtin.name == name)
      return &builtin;
  return nullptr;
}
const Builtin *findBuiltin(StringRef name) { return find(builtins(), name); }
const Builtin *findTrainBuiltin(StringRef name) { return find(trainBuiltins(), name); }

ArrayRef<StringRef> allWords() {
  static const std::vector<StringRef> words = [] {
    std::vector<StringRef> all;
    for (const Builtin &builtin : builtins())
      for (const ArgumentInfo &info : builtin.arguments)
        for (StringRef text : info.words)
          if (!is_contained(all, text))
            all.push_back(text);
    return all;
  }();
  return words;
}
bool isWord(StringRef name) { return is_contained(allWords(), name); }

std::string wordsOf(const ArgumentInfo &info) {
  std::vector<StringRef> words = info.words;
  if (info.kind == Kind::OptionalWord)
    words.push_back("none");
  return listNames(words, "or");
}

/// `name` when required, `name = default`, `name = derived`.
static std::string head(const Builtin &builtin) {
  std::string text = builtin.input == Input::Tokens ? "tokens" : builtin.input == Input::Features ? "x" : "";
  text += builtin.routes == Routes::Takes ? ", r" : builtin.routes == Routes::Joins ? ", y" : "";
  for (const ArgumentInfo &info : builtin.arguments) {
    text += (text.empty() ? "" : ", ") + info.name.str();
    if (info.defaults == Default::Value)
      text += " = " + info.value.spelled();
    else if (info.defaults == Default::Derived)
      text += " = …";
  }
  return text;
}

static std::string wantedOf(const ArgumentInfo &info);

void printBuiltins(raw_ostream &os) {
  for (ArrayRef<Builtin> table : {builtins(), trainBuiltins()})
    for (const Builtin &builtin : table) {
      os << "- `" << builtin.name << '(' << head(builtin) << ")`: " << builtin.doc << '\n';
      for (const ArgumentInfo &info : builtin.arguments) {
        os << "  - `" << info.name << "`: " << wantedOf(info) << "; " << info.doc << '\n';
      }
    }
  for (const Function &function : functions())
    os << "- `" << function.name << "`: " << function.doc << '\n';
}

ArgumentValue *Completion::find(StringRef name) {
  for (size_t i = 0; i < infos.size(); ++i)
    if (infos[i].name == name)
      return &values[i];
  return nullptr;
}

ArgumentValue &Completion::at(StringRef name) {
  ArgumentValue *value = find(name);
  assert(value && "no such argument");
  return *value;
}

const ArgumentValue &argumentOf(const Layer &layer, StringRef name) {
  for (size_t i = 0; i < layer.arguments.size(); ++i)
    if (layer.builtin->arguments[i].name == name)
      return layer.arguments[i];
  llvm_unreachable("no such argument");
}

ArgumentValue &argumentOf(Layer &layer, StringRef name) {
  return const_cast<ArgumentValue &>(argumentOf(std::as_const(layer), name));
}

//===----------------------------------------------------------------------===//
// Kinds
//===----------------------------------------------------------------------===//

StringRef describe(Kind kind) {
  switch (kind) {
  case Kind::Count:
    return "a count of at least 1";
  case Kind::CountOrZero:
    return "a count of at least 0";
  case Kind::OptionalCount:
    return "a count of at least 1, or `none`";
  case Kind::Positive:
    return "a number above 0";
  case Kind::NonNegative:
    return "a number of at least 0";
  case Kind::Fraction:
    return "a share of at least 0 and below 1, such as `10%`";
  case Kind::OptionalReal:
    return "a number above 0, or `none`";
  case Kind::RealOrWord:
    return "a number above 0, or a word";
  case Kind::Bool:
    return "`true` or `false`";
  case Kind::Word:
    return "a word";
  case Kind::OptionalWord:
    return "a word, or `none`";
  case Kind::Pair:
    return "a pair of shares such as `(0.9, 0.95)`";
  case Kind::Layer:
    return "a layer";
  case Kind::OptionalLayer:
    return "a layer, or `none`";
  case Kind::CountOrFraction:
    return "a count of steps, or a share of them such as `1%`";
  }
  llvm_unreachable("not a kind");
}

/// What an argument takes, with its words where it takes both.
static std::string wantedOf(const ArgumentInfo &info) {
  if (info.kind == Kind::RealOrWord)
    return "a number above 0, or " + listNames(info.words, "or");
  return info.words.empty() ? describe(info.kind).str() : wordsOf(info);
}

static bool isShare(double value) { return value >= 0 && value < 1; }

std::optional<Constant> fit(const Constant &value, const ArgumentInfo &info, SMRange range, Diagnostics &diagnostics) {
  using C = Constant::Kind;
  bool isCount = value.kind == C::Count, isNumber = value.isNumber();
  double number = isNumber ? value.asReal() : 0;
  bool fits = false;
  switch (info.kind) {
  case Kind::Count:
    fits = isCount && value.count >= 1;
    break;
  case Kind::CountOrZero:
    fits = isCount && value.count >= 0;
    break;
  case Kind::OptionalCount:
    fits = value.kind == C::None || (isCount && value.count >= 1);
    break;
  case Kind::Positive:
    fits = isNumber && number > 0;
    break;
  case Kind::NonNegative:
    fits = isNumber && number >= 0;
    break;
  case Kind::Fraction:
    fits = isNumber && isShare(number);
    break;
  case Kind::OptionalReal:
    fits = value.kind == C::None || (isNumber && number > 0);
    break;
  case Kind::RealOrWord:
    fits = (isNumber && number > 0) || (value.kind == C::Word && is_contained(info.words, value.text));
    break;
  case Kind::Bool:
    fits = value.kind == C::Bool;
    break;
  case Kind::Word:
  case Kind::OptionalWord:
    fits = (value.kind == C::Word && is_contained(info.words, value.text)) ||
           (value.kind == C::None && info.kind == Kind::OptionalWord);
    if (!fits && value.kind == C::Word) {
      (void)diagnostics.error(range, "`" + info.name + "` is " + wordsOf(info) + ", not `" + value.text + "`" +
                                         didYouMean(value.text, info.words));
      return std::nullopt;
    }
    break;
  case Kind::Pair:
    fits = value.kind == C::Tuple && value.elements.size() == 2 &&
           all_of(value.elements, [](const Constant &e) { return e.isNumber() && isShare(e.asReal()); });
    break;
  case Kind::OptionalLayer:
    fits = value.kind == C::None;
    break;
  case Kind::CountOrFraction:
    fits = isCount ? value.count >= 0 : isNumber && isShare(number);
    break;
  case Kind::Layer:
    break;
  }
  if (!fits) {
    std::string wanted = wantedOf(info);
    (void)diagnostics.error(range, "`" + info.name + "` is " + wanted + ", not " + value.described());
    return std::nullopt;
  }
  bool wantsReal = info.kind == Kind::Positive || info.kind == Kind::NonNegative || info.kind == Kind::Fraction ||
                   info.kind == Kind::OptionalReal || info.kind == Kind::RealOrWord;
  if (isCount && wantsReal)
    return Constant::ofReal(number);
  if (info.kind == Kind::Pair)
    return Constant::ofTuple(
        {Constant::ofReal(value.elements[0].asReal()), Constant::ofReal(value.elements[1].asReal())});
  return value;
}

} // namespace moire::sema
