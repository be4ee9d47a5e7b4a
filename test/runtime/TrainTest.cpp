//===- test/runtime/TrainTest.cpp - the loop, evaluation and generation ----------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Runs of the fake package inside of one process; cli-test.py has those that need
// a process of their own.
//
//===------------------------------------------------------------------------===//
#include "runtime/Train/Train.h"
#include "Support.h"
#include "runtime/Core/File.h"
#include "runtime/Train/Evaluate.h"
#include "runtime/Train/Generate.h"

#include <algorithm>
#include <cmath>
#include <csignal>
#include <numbers>
#include <thread>
#include <unistd.h>

using namespace moire::runtime;

namespace {

class Training : public FolderTest {
protected:
  void SetUp() override {
    for (int i = 0; i < 400; ++i)
      text += "the quick brown fox jumps over the lazy dog. ";
    write("text.txt", text);
  }
  TrainRequest request(const std::string &out, const std::string &package = "fake") const {
    TrainRequest asked;
    asked.package = fakePath(package);
    asked.out = path(out);
    asked.record.data = {path("text.txt")};
    return asked;
  }
  Result<int> train(const TrainRequest &asked) const {
    MOIRE_ASSIGN(PreparedRun run, prepare(asked));
    return trainLoop(run);
  }
  std::vector<Json> metrics(const std::string &out) const {
    std::vector<Json> lines;
    std::ifstream file(path(out) + "/metrics.jsonl");
    for (std::string line; std::getline(file, line);)
      lines.push_back(*parseJson(line, "line"));
    return lines;
  }
  std::string weights(const std::string &out, int64_t step) const {
    return *readFile(checkpointPath(path(out), step) + "/model.safetensors");
  }

  std::string text;
};

TEST_F(Training, TheLossFalls) {
  ASSERT_OK(train(request("run")));
  const auto lines = metrics("run");
  ASSERT_EQ(lines.size(), 20u);
  for (size_t i = 0; i < lines.size(); ++i)
    EXPECT_EQ(lines[i]["step"], i + 1);
  EXPECT_NEAR(lines[0]["loss"].get<double>(), std::log(256), 0.1);
  EXPECT_LT(lines[19]["loss"].get<double>(), 4.5);
  EXPECT_EQ(lines[19]["tokens"], 20 * 32);
  EXPECT_EQ(lines[0]["lr"], 0.025);
  EXPECT_EQ(lines[3]["layers.0.moe.load"].size(), 4u);
  EXPECT_EQ(lines[3]["layers.0.moe.balance_loss"], 0.25);
  EXPECT_FALSE(lines[18].contains("eval_loss"));
  EXPECT_LT(lines[19]["eval_loss"].get<double>(), 4.5);
  EXPECT_EQ(listCheckpoints(path("run")), (std::vector<int64_t>{5, 10, 15, 20}));
  for (const char *name : {"run.json", "spec.moire", "package.so"})
    EXPECT_TRUE(std::filesystem::exists(path("run") + "/" + name));
}

TEST_F(Training, AccumulatedBatchesGiveTheirMean) {
  // Steps of three batches leave what plain AdamW on the mean gradient of the same batches leaves.
  TrainRequest asked = request("run", "fake-accumulate");
  asked.overrides.steps = 1;
  asked.overrides.seed = 3;
  auto run = prepare(asked);
  ASSERT_OK(run);
  const moire_package &p = *run->model.package();
  const auto n = static_cast<size_t>(p.parameter_elements);
  auto *const params = static_cast<float *>(run->model.buffers().params);
  const std::vector<float> start(params, params + n);
  std::vector<double> mean(n);
  double loss = 0;
  for (int64_t micro = 0; micro < 3; ++micro) {
    Batch batch(p.batch, p.context);
    sampleBatch(run->data, run->split.train, 3, 0, micro, batch);
    std::vector<float> values(static_cast<size_t>(p.metric_floats));
    ASSERT_EQ(p.train_step(&run->model.buffers(), batch.tokens.data(), batch.targets.data(), 1, values.data()), 0);
    for (size_t i = 0; i < n; ++i)
      mean[i] += static_cast<const float *>(run->model.buffers().grads)[i] / 3.0;
    loss += values[0] / 3.0;
  }
  ASSERT_OK(trainLoop(*run));
  EXPECT_NEAR(metrics("run")[0]["loss"].get<double>(), loss, 1e-6);
  EXPECT_EQ(metrics("run")[0]["tokens"], 96);
  double squares = 0;
  for (const double g : mean)
    squares += g * g;
  EXPECT_NEAR(metrics("run")[0]["grad_norm"].get<double>(), std::sqrt(squares), 1e-6);
  for (size_t i = 0; i < n; ++i) {
    const double rate = i < 65536 ? 0.05 : 0.025, update = mean[i] / (std::abs(mean[i]) + 1e-8);
    ASSERT_NEAR(params[i], start[i] - rate * update, std::abs(mean[i]) < 1e-7 && mean[i] != 0 ? rate : 1e-5) << i;
  }
}

TEST_F(Training, ResumingGivesTheSameBits) {
  ASSERT_OK(train(request("whole")));
  // A run that is stopped by a signal after step 10, from within: the loop sees it after the step.
  ASSERT_OK(train(request("parts")));
  for (const int64_t step : {15, 20})
    std::filesystem::remove_all(checkpointPath(path("parts"), step));
  TrainRequest again;
  again.out = path("parts");
  again.resume = true;
  ASSERT_OK(train(again));
  EXPECT_EQ(weights("parts", 20), weights("whole", 20));
  const auto a = metrics("whole"), b = metrics("parts");
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i)
    for (const char *key : {"step", "loss", "grad_norm", "lr", "tokens"})
      EXPECT_EQ(a[i][key], b[i][key]);
}

TEST_F(Training, NoStepsWriteTheFirstWeights) {
  TrainRequest asked = request("run");
  asked.overrides.steps = 0;
  ASSERT_OK(train(asked));
  EXPECT_EQ(listCheckpoints(path("run")), (std::vector<int64_t>{0}));
  EXPECT_TRUE(metrics("run").empty());
}

TEST_F(Training, GradientsThatAreNotFinite) {
  EXPECT_ERROR(train(request("run", "fake-nan")), "not finite in 10 steps in a row; stopped at step 10");
  EXPECT_EQ(metrics("run").size(), 10u);
  EXPECT_EQ(metrics("run")[0]["skipped"], true);
  EXPECT_TRUE(metrics("run")[0]["grad_norm"].is_null());
  TrainRequest asked = request("some", "fake-sometimes-nan");
  ASSERT_OK(train(asked));
  int64_t skipped = 0;
  for (const Json &line : metrics("some"))
    skipped += line.contains("skipped");
  EXPECT_GT(skipped, 0);
  EXPECT_LT(skipped, 20);
  EXPECT_EQ(readState(checkpointPath(path("some"), 20))->progress.updates, 20 - skipped);
}

TEST_F(Training, BadInputWritesNothing) {
  const auto fails = [&](const TrainRequest &asked, const std::string &message) {
    EXPECT_ERROR(prepare(asked), message);
    EXPECT_FALSE(std::filesystem::exists(asked.out));
  };
  TrainRequest few = request("run");
  few.record.data = {write("few.txt", "too few tokens for a batch")};
  fails(few, "the data have 23 tokens to train on, a batch of 4 x 8 takes 33");
  fails(request("run", "fake-unknown-key"), "unknown key `acumulate`");
  TrainRequest numbers = request("run");
  numbers.record.data = {write("a.bin", std::string(2000, '\x7f'))};
  numbers.record.tokenizer = "u16";
  fails(numbers, "token 0 is 32639, but the model's vocab is 256");
  TrainRequest nothing = request("run");
  nothing.resume = true;
  fails(nothing, "nothing to resume");
}

TEST_F(Training, AFolderHoldsOneRun) {
  ASSERT_OK(train(request("run")));
  EXPECT_ERROR(prepare(request("run")), "already holds a run");
  TrainRequest again = request("run");
  again.resume = true;
  {
    const auto held = prepare(again);
    ASSERT_OK(held);
    EXPECT_ERROR(prepare(again), "is in use");
  }
  std::filesystem::remove_all(path("run/checkpoints"));
  EXPECT_ERROR(prepare(again), "has no complete checkpoint");
}

TEST_F(Training, AResumedRunIsTheSameRun) {
  ASSERT_OK(train(request("run")));
  const auto fails = [&](auto change, const std::string &message) {
    TrainRequest again = request("run");
    again.resume = true;
    change(again);
    EXPECT_ERROR(prepare(again), message);
  };
  fails([](auto &r) { r.overrides.seed = 9; }, "the run's seed is 0: --seed 9 cannot resume it");
  fails([](auto &r) { r.overrides.holdout = 0.5; }, "--holdout 0.5 cannot resume it");
  fails([](auto &r) { r.overrides.steps = 10; }, "has done 20 steps already");
  fails([](auto &r) { r.package = fakePath("fake-other-rate"); }, "`optimizer` is");
  fails([](auto &r) { r.package = fakePath("fake-other-hash"); }, "of another spec");
  fails([](auto &r) { r.package = fakePath("fake-bf16"); }, "the run computes in f32");
  fails([&](auto &r) { r.record.data = {write("b.txt", text + "!")}; },
        "the data are not those of the run: 18001 tokens");
  fails([&](auto &r) { r.record.data = {write("b.txt", "!" + text.substr(1))}; }, "other contents");
  std::filesystem::resize_file(checkpointPath(path("run"), 20) + "/optimizer.safetensors", 99);
  fails([](auto &) {}, "optimizer.safetensors` is truncated");
  fails([](auto &) {}, "move it away to resume from step 15");
}

TEST_F(Training, ASignalStopsAfterTheStep) {
  auto run = prepare(request("run"));
  ASSERT_OK(run);
  ::setenv("MOIRE_FAKE_SLEEP_MS", "50", 1);
  std::thread sender([] {
    std::this_thread::sleep_for(std::chrono::milliseconds(160));
    ::kill(::getpid(), SIGTERM);
  });
  const auto code = trainLoop(*run);
  sender.join();
  ::unsetenv("MOIRE_FAKE_SLEEP_MS");
  ASSERT_OK(code);
  EXPECT_EQ(*code, 128 + SIGTERM);
  const auto steps = listCheckpoints(path("run"));
  ASSERT_FALSE(steps.empty());
  EXPECT_EQ(steps.back(), metrics("run").back()["step"]);
  EXPECT_LT(steps.back(), 20);
}

TEST_F(Training, EvaluationIsTheMeanOverEveryTarget) {
  for (const char *name : {"fake", "fake-bf16"}) {
    ASSERT_OK(train(request(name, name)));
    auto run = openRun(path(name), -1, Use::Evaluate);
    ASSERT_OK(run);
    const auto stream = TokenStream::open({write("eval.txt", text.substr(0, 101))}, run->tokenizer, 256);
    Batch batch(4, 8), single(4, 8);
    const auto whole = evaluate(run->model, *stream, {0, 101}, 0, batch);
    ASSERT_OK(whole);
    EXPECT_EQ(whole->tokens, 100);
    EXPECT_EQ(*whole->textBytes, 100);
    const Json json = toJson(*whole);
    EXPECT_NEAR(json["bits_per_byte"].get<double>(), json["loss"].get<double>() / std::numbers::ln2, 1e-12);
    EXPECT_NEAR(json["perplexity"].get<double>(), std::exp(json["loss"].get<double>()), 1e-9);
    // Window by window.
    double sum = 0;
    for (int64_t begin = 0; begin < 100; begin += 8) {
      std::fill(single.targets.begin(), single.targets.end(), -1);
      for (int64_t t = 0; t < 8 && begin + t + 1 < 101; ++t) {
        single.tokens[size_t(t)] = text[size_t(begin + t)];
        single.targets[size_t(t)] = text[size_t(begin + t + 1)];
      }
      double part = 0;
      int64_t count = 0;
      ASSERT_EQ(run->model.package()->eval_step(&run->model.buffers(), single.tokens.data(), single.targets.data(),
                                                &part, &count),
                0);
      sum += part;
    }
    EXPECT_NEAR(whole->lossSum, sum, 1e-9);
    EXPECT_LT(evaluate(run->model, *stream, {0, 101}, 2, batch)->tokens, 100);
  }
}

TEST(Sampling, FollowsItsRules) {
  const float logits[] = {1, 3, 3, 0};
  Sampling greedy;
  greedy.temperature = 0;
  EXPECT_EQ(sample(logits, 4, greedy, 0), 1);
  Sampling plain;
  std::array<int, 4> seen{};
  for (int64_t position = 0; position < 20000; ++position)
    ++seen[static_cast<size_t>(sample(logits, 4, plain, position))];
  const double total = std::exp(1) + 2 * std::exp(3) + 1;
  EXPECT_NEAR(seen[0] / 20000.0, std::exp(1) / total, 0.01);
  EXPECT_NEAR(seen[1] / 20000.0, std::exp(3) / total, 0.015);
  EXPECT_NEAR(seen[3] / 20000.0, 1 / total, 0.01);
  Sampling two = plain, nucleus = plain;
  two.topK = 2;
  nucleus.topP = 0.4; // the likeliest alone has 0.456
  for (int64_t position = 0; position < 200; ++position) {
    EXPECT_TRUE(sample(logits, 4, two, position) == 1 || sample(logits, 4, two, position) == 2);
    EXPECT_EQ(sample(logits, 4, nucleus, position), 1);
    EXPECT_EQ(sample(logits, 4, plain, position), sample(logits, 4, plain, position));
  }
}

TEST_F(Training, GenerationReadsThePromptAndStopsWhenFull) {
  ASSERT_OK(train(request("run")));
  auto run = openRun(path("run"), -1, Use::Generate);
  ASSERT_OK(run);
  const moire_package &p = *run->model.package();
  const std::vector<int32_t> prompt = *run->tokenizer.encodePrompt("the quick"); // 9 tokens: two blocks and one more
  Sampling greedy;
  greedy.temperature = 0;
  std::vector<int32_t> made;
  const auto count = generate(run->model, prompt, 5, 256, greedy, [&](int32_t token) -> Status {
    made.push_back(token);
    return {};
  });
  ASSERT_OK(count);
  EXPECT_EQ(*count, 5);
  // By hand, one token at a time.
  std::vector<int32_t> expected = prompt;
  std::vector<float> logits(256);
  run->model.clearState();
  for (size_t i = 0; i < prompt.size() + 4; ++i) {
    ASSERT_EQ(p.decode(&run->model.buffers(), &expected[i], int64_t(i), logits.data()), 0);
    if (i + 1 >= prompt.size())
      expected.push_back(sample(logits.data(), 256, greedy, 0));
  }
  EXPECT_EQ(made, std::vector<int32_t>(expected.begin() + 9, expected.end()));
  const auto ignore = [](int32_t) { return Status(); };
  // The token that a document begins with ends the text before it.
  Sampling ending = greedy;
  ending.end = made[3];
  const auto first = std::find(made.begin(), made.end(), made[3]) - made.begin();
  EXPECT_EQ(*generate(run->model, prompt, 5, 256, ending, ignore), first);
  EXPECT_EQ(*generate(run->model, prompt, 100, 256, greedy, ignore), 24 - 9 + 1);
  EXPECT_ERROR(generate(run->model, std::vector<int32_t>(25, 1), 1, 256, greedy, ignore),
               "the prompt has 25 tokens, the model's context for generation 24");
  EXPECT_ERROR(generate(run->model, {300}, 1, 256, greedy, ignore), "token 300 of the prompt");
}

} // namespace
