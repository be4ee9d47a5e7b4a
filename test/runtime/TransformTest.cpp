//===- test/runtime/TransformTest.cpp - rules of transformations --------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Rules on models small enough to check by eye: which numbers go where. That the
// whole models then agree is shown by test/integration/transform.py.
//
//===------------------------------------------------------------------------===//
#include "runtime/Transform/Transform.h"
#include "test/runtime/Support.h"

#include <cmath>
#include <numeric>

using namespace moire::runtime;

namespace {

/// A block of `op` with one instance, or one for each of two layers when its path has a `#`.
std::string block(const std::string &op, const std::string &path, const std::string &attributes) {
  std::string paths = fmt::format("\"{}\"", path);
  if (const size_t at = path.find('#'); at != std::string::npos) {
    std::string first = path, second = path;
    first[at] = '0', second[at] = '1';
    paths = fmt::format("\"{}\", \"{}\"", first, second);
  }
  return fmt::format(R"({{"op": "{}", "path": "{}", "paths": [{}], "attributes": {{{}}}}})", op, path, paths,
                     attributes);
}

Blocks blocksOf(const std::vector<std::string> &list) {
  auto blocks = Blocks::parse(fmt::format(R"({{"model": "m", "blocks": [{}]}})", fmt::join(list, ", ")), "blocks");
  EXPECT_OK(blocks);
  return *blocks;
}

std::string mlp(int64_t hidden) {
  return block("mlp", "layers.#.mlp", fmt::format(R"("activation": "relu", "bias": true, "hidden": {})", hidden));
}

/// A mixture in the place of the mlp; `routing` adds to the router's attributes.
std::vector<std::string> moe(int64_t hidden, int64_t experts, int64_t topK, const std::string &routing) {
  return {block("router", "layers.#.moe.router",
                fmt::format(R"("nested": true, "choice": "token", "gate": "softmax_topk", "scale": 1, "top_k": {}{})",
                            topK, routing.empty() ? "" : ", " + routing)),
          block("experts", "layers.#.moe.experts",
                fmt::format(R"("activation": "relu", "bias": true, "alpha": 1, "hidden": {}, "experts": {},
                                "routers": ["layers.#.moe.router"])",
                            hidden, experts))};
}

class Transform : public FolderTest {
protected:
  /// A source of tensors whose numbers count from 1, times 10^(their place in the list).
  Source source(const std::vector<std::pair<std::string, std::vector<int64_t>>> &shapes, Blocks blocks) {
    std::vector<StoredTensor> tensors;
    std::vector<std::vector<float>> values;
    for (const auto &[name, shape] : shapes) {
      int64_t elements = 1;
      for (const int64_t extent : shape)
        elements *= extent;
      values.emplace_back(static_cast<size_t>(elements));
      std::iota(values.back().begin(), values.back().end(), 1.0f);
      for (float &value : values.back())
        value *= std::pow(10.0f, static_cast<float>(tensors.size()));
      tensors.push_back({name, "F32", shape, nullptr, values.back().size() * sizeof(float)});
    }
    for (size_t i = 0; i < tensors.size(); ++i)
      tensors[i].data = values[i].data();
    EXPECT_OK(writeSafetensors(path("model.safetensors"), tensors, {}));
    auto file = Safetensors::open(path("model.safetensors"));
    EXPECT_OK(file);
    return Source(std::move(*file), std::move(blocks));
  }

  /// What `rule` gives for a parameter of the target.
  Result<std::optional<Taken>> take(const Rule &rule, const Source &from, const Blocks &target, const std::string &name,
                                    const std::vector<int64_t> &shape) {
    moire_parameter p{};
    p.name = name.c_str();
    p.rank = static_cast<int32_t>(shape.size());
    p.shape = shape.data();
    p.init = MOIRE_INIT_NORMAL;
    p.init_a = 1;
    const Instance instance{p, 0, name.c_str(), 0, instanceElements(p)};
    return rule.take({instance, name, shape, target.owner(name)}, from);
  }
};

using Values = std::vector<double>;

TEST_F(Transform, KnowsWhatAParameterIsAPartOf) {
  const Blocks blocks = blocksOf(moe(2, 4, 2, ""));
  ASSERT_EQ(blocks.layers().size(), 4u);
  const Layer *pool = blocks.owner("layers.1.moe.experts.up.weight");
  ASSERT_TRUE(pool);
  EXPECT_EQ(pool->path, "layers.1.moe.experts");
  EXPECT_EQ(pool->routers, std::vector<std::string>{"layers.1.moe.router"}) << "the router of its own iteration";
  EXPECT_EQ(pool->count("experts"), 4);
  EXPECT_FALSE(blocks.owner("embed.weight"));
  EXPECT_EQ(generalPath("layers.12.attention_1.out.weight"), "layers.#.attention_1.out.weight");
  const Blocks shared =
      blocksOf({block("router", "layers.#.route", ""), block("experts", "pool", R"("routers": ["layers.#.route"])")});
  EXPECT_EQ(shared.find("pool")->routers, (std::vector<std::string>{"layers.0.route", "layers.1.route"}));
}

TEST_F(Transform, SaysHowLayersThatStayDiffer) {
  const Blocks before = blocksOf(moe(2, 4, 2, R"("group": 2)")), after = blocksOf(moe(2, 4, 1, ""));
  EXPECT_EQ(differences(before, before), std::vector<std::string>());
  EXPECT_EQ(differences(before, after),
            std::vector<std::string>{"`layers.#.moe.router` computes differently: top_k 2 -> 1, group 2 -> none"});
}

TEST_F(Transform, CopiesEqualParametersOnly) {
  const Source from = source({{"embed.weight", {2, 3}}}, blocksOf({}));
  const auto rule = makeCopyRule(from.blocks(), from.blocks());
  auto same = take(*rule, from, from.blocks(), "embed.weight", {2, 3});
  ASSERT_TRUE(same.ok() && *same);
  EXPECT_EQ((*same)->values, (Values{1, 2, 3, 4, 5, 6}));
  for (const std::vector<int64_t> &shape : {std::vector<int64_t>{3, 2}, {6}}) {
    auto other = take(*rule, from, from.blocks(), "embed.weight", shape);
    EXPECT_TRUE(other.ok() && !*other);
  }
}

TEST_F(Transform, ReadsAMixturesControllerUnderItsTemperature) {
  const std::string mixture = R"("choice": "mixture", "learned_temperature": true, "emit": "separate")";
  const Source from = source({{"r.weight", {2, 3}}, {"r.temperature", {3}}, {"r.emit.weight", {2, 3}}},
                             blocksOf({block("router", "r", mixture)}));
  const Blocks target = blocksOf({block("router", "r", R"("choice": "token")")});
  const auto rule = makeCopyRule(from.blocks(), target);
  auto router = take(*rule, from, target, "r.weight", {2, 3});
  ASSERT_TRUE(router.ok() && *router);
  const Values temperature = {10, 20, 30};
  for (size_t i = 0; i < 6; ++i)
    EXPECT_DOUBLE_EQ((*router)->values[i], static_cast<double>(i + 1) * std::exp(1 - temperature[i % 3]));
  EXPECT_NE(rule->drops("r.emit.weight"), "");
  EXPECT_NE(rule->drops("r.temperature"), "");
  EXPECT_EQ(rule->drops("r.weight"), "");
  // One that stays a mixture keeps its numbers.
  const auto plain = makeCopyRule(from.blocks(), from.blocks());
  EXPECT_EQ((*take(*plain, from, from.blocks(), "r.weight", {2, 3}))->values, (Values{1, 2, 3, 4, 5, 6}));
}

TEST_F(Transform, QueriesMakeUpForTheScaleOfScores) {
  auto attention = [](const std::string &more) {
    return blocksOf({block("attention", "a", R"("heads": 1, "head_dim": 2)" + more)});
  };
  const Source from = source({{"a.qkv.weight", {1, 6}}, {"a.q_norm.weight", {2}}}, attention(""));
  const Blocks target = attention(R"(, "mup_scores": 0.5)");
  const auto rule = makeCopyRule(from.blocks(), target);
  EXPECT_EQ((*take(*rule, from, target, "a.qkv.weight", {1, 6}))->values, (Values{2, 4, 3, 4, 5, 6}));
  // A norm behind the product would take it back, so the norm's weight has it.
  const Blocks normed = attention(R"(, "mup_scores": 0.5, "qk_norm": "head")");
  EXPECT_EQ((*take(*rule, from, normed, "a.qkv.weight", {1, 6}))->values, (Values{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ((*take(*rule, from, normed, "a.q_norm.weight", {2}))->values, (Values{20, 40}));
}

TEST_F(Transform, CutsADenseLayerIntoSlices) {
  // Width 2, 4 hidden features in 2 slices, 4 experts: two groups of one slice each.
  const Source from = source({{"layers.0.mlp.up.weight", {2, 4}},
                              {"layers.0.mlp.up.bias", {4}},
                              {"layers.0.mlp.down.weight", {4, 2}},
                              {"layers.0.mlp.down.bias", {2}}},
                             blocksOf({mlp(4)}));
  const Blocks target = blocksOf(moe(2, 4, 2, R"("renormalize": true)"));
  auto rule = makeUpcycleRule(from.blocks(), target, {});
  ASSERT_OK(rule);
  auto values = [&](const std::string &suffix, const std::vector<int64_t> &shape) {
    auto taken = take(**rule, from, target, "layers.0.moe." + suffix, shape);
    EXPECT_OK(taken);
    return taken.ok() && *taken ? (*taken)->values : Values();
  };
  const Values left = {1, 2, 5, 6}, right = {3, 4, 7, 8};
  Values up, down, bias;
  for (int64_t e = 0; e < 4; ++e) {
    const Values &slice = e % 2 == 0 ? left : right;
    up.insert(up.end(), slice.begin(), slice.end());
    for (int64_t row = 0; row < 4; ++row) // two slices share gates that sum to 1: each counts twice
      down.push_back(2 * 100 * static_cast<double>((e % 2) * 4 + row + 1));
    bias.insert(bias.end(), {1000, 2000});
  }
  EXPECT_EQ(values("experts.up.weight", {4, 2, 2}), up);
  EXPECT_EQ(values("experts.up.bias", {4, 2}), (Values{10, 20, 30, 40, 10, 20, 30, 40}));
  EXPECT_EQ(values("experts.down.weight", {4, 2, 2}), down);
  EXPECT_EQ(values("experts.down.bias", {4, 2}), bias);
  const Values router = values("router.weight", {2, 4});
  ASSERT_EQ(router.size(), 8u);
  for (size_t i = 0; i < 8; i += 2)
    EXPECT_EQ(router[i], router[i + 1]) << "neighbours are chosen together";
  EXPECT_NE(router[0], router[2]);
  EXPECT_ERROR(take(**rule, from, target, "layers.0.moe.experts.up.weight", {4, 3, 2}), "a width of 2 would fit");
}

TEST_F(Transform, NoiseIsAsLargeAsSaidAndOfTheSeed) {
  const Source from = source({{"layers.0.mlp.up.weight", {32, 32}}}, blocksOf({mlp(32)}));
  const Blocks target = blocksOf(moe(32, 4, 2, R"("renormalize": true)"));
  auto noisy = [&](int64_t seed) {
    auto rule = makeUpcycleRule(from.blocks(), target, {seed, 0.05, false});
    auto taken = take(**rule, from, target, "layers.0.moe.experts.up.weight", {4, 32, 32});
    EXPECT_OK(taken);
    return (*taken)->values;
  };
  const Values values = noisy(3);
  EXPECT_EQ(values, noisy(3));
  EXPECT_NE(values, noisy(4));
  double squares = 0, whole = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const double parent = static_cast<double>(i % 1024 + 1);
    squares += (values[i] - parent) * (values[i] - parent), whole += parent * parent;
  }
  EXPECT_NEAR(std::sqrt(squares / whole), 0.05, 0.003);
}

TEST_F(Transform, RefusesExpertsThatCannotGiveTheDenseLayer) {
  const Blocks dense = blocksOf({mlp(8)});
  const struct {
    std::vector<std::string> target;
    const char *error;
  } cases[] = {{moe(8, 4, 2, ""), "do not sum to one number"},
               {moe(3, 4, 2, R"("renormalize": true)"), "8, 4, 2, 1 would fit"},
               {moe(4, 4, 3, R"("renormalize": true)"), "`top_k` of 2 or 4 would fit, not 3"},
               {moe(4, 5, 2, R"("renormalize": true)"), "5 experts cannot hold 2 slices equally often; 6 would fit"},
               {moe(4, 8, 2, R"("renormalize": true, "nulls": 1)"), "`null = 0` would fit"},
               {moe(2, 8, 4, R"("renormalize": true, "groups": 4)"), "groups of 4 would fit"},
               {{block("experts", "layers.#.pool", R"("hidden": 8, "experts": 2, "bias": true, "activation": "relu",
                                               "alpha": 1, "routers": [])")},
                "no router sends tokens"}};
  for (const auto &[target, error] : cases) {
    const Blocks blocks = blocksOf(target);
    EXPECT_ERROR(makeUpcycleRule(dense, blocks, {}), error);
  }
  const Blocks even = blocksOf(moe(8, 4, 1, ""));
  auto approximate = makeUpcycleRule(dense, even, {0, 0, true});
  ASSERT_OK(approximate);
  EXPECT_NE((*approximate)->notes().front().find("on average only"), std::string::npos);
}

} // namespace
