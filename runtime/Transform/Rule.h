//===- runtime/Transform/Rule.h - where a parameter's values come from ------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A transformation is a list of rules. For every instance of every parameter of
// the target they are asked in order; the first that knows gives its values.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_TRANSFORM_RULE_H
#define MOIRE_RUNTIME_TRANSFORM_RULE_H

#include "runtime/Core/Model.h"
#include "runtime/Transform/Activations.h"
#include "runtime/Transform/Source.h"

#include <memory>
#include <optional>

namespace moire::runtime {

/// A parameter of the target that needs values.
struct Wanted {
  const Instance &instance;
  std::string path;
  std::vector<int64_t> shape;
  const Layer *layer; ///< that it is a part of; null when the compiler named none
};

/// What a rule gives.
struct Taken {
  std::vector<double> values;
  std::string kind;                 ///< one word for the table: copied, split, repeated, scaled, new, …
  std::string how;                  ///< more about it; equal for the layers of a group; may be empty
  std::vector<std::string> sources; ///< tensors of the source that it was made of
};

/// One way to make parameters.
class Rule {
public:
  virtual ~Rule() = default;
  /// The values of `wanted`; nothing when this rule is not about it; an error when it is, but cannot be made: the
  /// message says what would fit.
  virtual Result<std::optional<Taken>> take(const Wanted &wanted, const Source &source) const = 0;
  /// Why a tensor of the source that nothing was made of may go; empty: this rule does not say so.
  virtual std::string drops(const std::string &path) const {
    (void)path;
    return {};
  }
  /// What the user should know about the result as a whole.
  virtual std::vector<std::string> notes() const { return {}; }
};

using Rules = std::vector<std::unique_ptr<Rule>>;

/// What the command line chose.
struct TransformOptions {
  int64_t seed = 0;         ///< of new values and noise
  double noise = 0;         ///< deviation of what is added to experts, over the root mean square of the tensor
  bool approximate = false; ///< gates whose sum varies may stand for 1 on average
  /// By what features are chosen that a smaller model keeps: activations, magnitude or random; empty: none.
  std::string importance;
  ActivationSums activations; ///< of the source, for an importance by activations
};

/// Parameters of equal path and shape; routers of mixtures of tokens become routers of token choice with their
/// temperature inside (arXiv 2310.15961, transition tuning).
std::unique_ptr<Rule> makeCopyRule(const Blocks &source, const Blocks &target);

/// Biases that layers of the source did not have: zero, which changes nothing.
std::unique_ptr<Rule> makeNewBiasRule();

/// Feed-forward layers that become experts (arXiv 2212.05055; in slices: 2410.07524). An error says what cannot give
/// the values of the dense layer, and which spec would.
Result<std::unique_ptr<Rule>> makeUpcycleRule(const Blocks &source, const Blocks &target,
                                              const TransformOptions &options);

/// Fewer features, chosen by importance: weights are cut, or projected from what they were (arXiv 2506.22255). Null
/// where nothing gets smaller, and where nothing says by what to choose and weights would be cut.
Result<std::unique_ptr<Rule>> makeProjectRule(const moire_package &package, const Blocks &target, const Source &source,
                                              const TransformOptions &options);

/// Weights that the source composes of a frozen source and projections, as plain weights.
std::unique_ptr<Rule> makeMergeRule();

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_TRANSFORM_RULE_H
