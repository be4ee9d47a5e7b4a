//===- test/runtime/CheckpointTest.cpp - states on disk ---------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Safetensors files and checkpoints: what is written comes back, and whatever is
// damaged or foreign is refused with the reason.
//
//===------------------------------------------------------------------------===//
#include "runtime/Train/Checkpoint.h"
#include "Support.h"
#include "runtime/Train/Initialise.h"

#include <cstring>

using namespace moire::runtime;

namespace {

class Tensors : public FolderTest {};

std::string file(const std::string &header, const std::string &data) {
  const uint64_t length = header.size();
  return std::string(reinterpret_cast<const char *>(&length), 8) + header + data;
}

TEST_F(Tensors, RoundTrip) {
  const float a[] = {1, 2, 3, 4, 5, 6};
  const double b[] = {0.5};
  const auto bytes = writeSafetensors(
      path("t"), {{"a", "F32", {2, 3}, a, 24}, {"none", "F32", {0}, nullptr, 0}, {"b", "F64", {}, b, 8}}, {{"k", "v"}});
  ASSERT_OK(bytes);
  EXPECT_EQ(*bytes, std::filesystem::file_size(path("t")));
  const auto read = Safetensors::open(path("t"));
  ASSERT_OK(read);
  EXPECT_EQ(read->metadata().at("k"), "v");
  ASSERT_EQ(read->tensors().size(), 3u);
  EXPECT_EQ(read->find("a")->shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(read->find("b")->shape.size(), 0u);
  EXPECT_EQ(read->find("c"), nullptr);
  float back[6];
  read->read(*read->find("a"), back);
  EXPECT_EQ(std::memcmp(a, back, sizeof(a)), 0);
}

TEST_F(Tensors, DamagedFilesAreRefused) {
  const std::string good = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  EXPECT_OK(Safetensors::open(write("t", file(good, "12345678"))));
  const auto fails = [&](const std::string &bytes, const std::string &text) {
    EXPECT_ERROR(Safetensors::open(write("t", bytes)), text);
  };
  fails("1234", "is truncated");
  fails(file(good, "1234"), "is truncated: 8 bytes of tensors promised, 4 found");
  fails(file(good, "123456789"), "has 1 bytes after its last tensor");
  fails(file(good, "").substr(0, 20), "is truncated: its header has");
  fails(std::string(16, '\xff'), "is not a safetensors file");
  fails(file("[]", ""), "is not a safetensors file");
  fails(file("{", ""), "not valid JSON");
  const auto entry = [](const std::string &dtype, const std::string &shape, const std::string &place) {
    return file(fmt::format(R"({{"a":{{"dtype":"{}","shape":{},"data_offsets":{}}}}})", dtype, shape, place),
                "12345678");
  };
  for (const std::string &bytes :
       {entry("F31", "[2]", "[0,8]"), entry("F32", "[3]", "[0,8]"), entry("F32", "[2]", "[8,0]"),
        entry("F32", "[2]", "[1,9]"), entry("F32", "[-2]", "[0,8]"), entry("F32", "2", "[0,8]"),
        entry("F32", "[2]", "[0]"), entry("F32", "[9223372036854775807,9223372036854775807]", "[0,8]"),
        entry("F32", "[2.0]", "[0,8]")})
    fails(bytes, "do not fit together");
  fails(file(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}})", "12345678"), "unknown key `x`");
  fails(file(R"({"a":1})", ""), "expected an object");
}

class Checkpoints : public FolderTest {
protected:
  Model model(const std::string &name, Use use = Use::Train) {
    return std::move(*Model::make(*Package::load(fakePath(name)), use));
  }
  /// Saves a checkpoint of the fake model with recognisable moments.
  Model saved(int64_t step) {
    Model m = model("fake");
    EXPECT_OK(initialise(m, step));
    for (int64_t i = 0; i < m.package()->parameter_elements; ++i) {
      static_cast<float *>(m.buffers().moment1)[i] = static_cast<float>(i);
      static_cast<float *>(m.buffers().moment2)[i] = static_cast<float>(-i);
    }
    state.progress = {step, step - 1, step * 32, 1, 2.5};
    state.config.steps = 20;
    state.precision = "f32";
    state.data = {{"tokens", 5}};
    state.tokenizer = "bytes";
    EXPECT_OK(saveCheckpoint(folder, m, state));
    return m;
  }
  std::string in(int64_t step, const std::string &name) const { return checkpointPath(folder, step) + "/" + name; }

  RunState state;
};

TEST_F(Checkpoints, RoundTrip) {
  const Model before = saved(10);
  Model after = model("fake");
  ASSERT_OK(loadCheckpoint(checkpointPath(folder, 10), after, true));
  const size_t bytes = static_cast<size_t>(before.package()->parameter_elements) * 4;
  EXPECT_EQ(std::memcmp(before.buffers().params, after.buffers().params, bytes), 0);
  EXPECT_EQ(std::memcmp(before.buffers().moment1, after.buffers().moment1, bytes), 0);
  EXPECT_EQ(std::memcmp(before.buffers().moment2, after.buffers().moment2, bytes), 0);
  const auto read = readState(checkpointPath(folder, 10));
  ASSERT_OK(read);
  EXPECT_EQ(read->progress.step, 10);
  EXPECT_EQ(read->progress.updates, 9);
  EXPECT_EQ(read->progress.skippedInRow, 1);
  EXPECT_EQ(read->data, state.data);
  EXPECT_EQ(toJson(read->config), toJson(state.config));
  Model evaluation = model("fake", Use::Evaluate);
  EXPECT_OK(loadCheckpoint(checkpointPath(folder, 10), evaluation, false));
}

TEST_F(Checkpoints, TensorsAreCalledByTheirPaths) {
  saved(1);
  const auto file = Safetensors::open(in(1, "model.safetensors"));
  ASSERT_OK(file);
  ASSERT_EQ(file->tensors().size(), 4u);
  EXPECT_NE(file->find("layers.1.bias"), nullptr);
  EXPECT_EQ(file->metadata().at("spec_hash"), "5eed0001");
  EXPECT_EQ(Safetensors::open(in(1, "optimizer.safetensors"))->tensors().size(), 8u);
}

TEST_F(Checkpoints, OnlyCompleteOnesAreListed) {
  saved(10), saved(5);
  write("checkpoints/step-00000015/model.safetensors", "half");
  write("checkpoints/.writing-step-00000020/model.safetensors", "half");
  write("checkpoints/step-7/state.json", "{}");
  EXPECT_EQ(listCheckpoints(folder), (std::vector<int64_t>{5, 10}));
  EXPECT_EQ(*findCheckpoint(folder, -1), checkpointPath(folder, 10));
  EXPECT_EQ(*findCheckpoint(folder, 5), checkpointPath(folder, 5));
  EXPECT_ERROR(findCheckpoint(folder, 15), "has no checkpoint of step 15; it has 5, 10");
  EXPECT_ERROR(findCheckpoint(folder + "/none", -1), "has no complete checkpoint");
  EXPECT_OK(tidyCheckpoints(folder, 1));
  EXPECT_EQ(listCheckpoints(folder), (std::vector<int64_t>{10}));
  EXPECT_FALSE(std::filesystem::exists(path("checkpoints/.writing-step-00000020")));
  // An incomplete folder does not keep the step from being saved.
  saved(15);
  EXPECT_EQ(listCheckpoints(folder), (std::vector<int64_t>{10, 15}));
}

TEST_F(Checkpoints, TruncatedFilesAreRefused) {
  saved(10);
  const std::string name = in(10, "model.safetensors");
  std::filesystem::resize_file(name, std::filesystem::file_size(name) - 8);
  EXPECT_ERROR(readState(checkpointPath(folder, 10)), "model.safetensors` is truncated: it has");
  Model m = model("fake");
  EXPECT_ERROR(loadCheckpoint(checkpointPath(folder, 10), m, true), "is truncated");
  saved(11);
  std::filesystem::resize_file(in(11, "state.json"), 100);
  EXPECT_ERROR(readState(checkpointPath(folder, 11)), "not valid JSON");
}

TEST_F(Checkpoints, OtherVersionsAreRefused) {
  saved(10);
  std::ifstream in10(in(10, "state.json"));
  std::string text((std::istreambuf_iterator<char>(in10)), {});
  text.replace(text.find("\"format\": 1"), 11, "\"format\": 7");
  std::ofstream(in(10, "state.json")) << text;
  EXPECT_ERROR(readState(checkpointPath(folder, 10)), "has format version 7; this runtime reads 1");
  Model m = model("fake");
  EXPECT_ERROR(loadCheckpoint(checkpointPath(folder, 10), m, true), "has format version 7");
}

TEST_F(Checkpoints, OtherSpecsAreRefused) {
  saved(10);
  Model small = model("fake-small"), other = model("fake-other-hash"), wide = model("fake-f64");
  EXPECT_ERROR(loadCheckpoint(checkpointPath(folder, 10), small, true),
               "is of another spec (hash 5eed0001, the package has 5eed0064): `bigram.weight` is [256, 256], the "
               "package has [64, 64]; `first.weight`");
  EXPECT_ERROR(loadCheckpoint(checkpointPath(folder, 10), small, true), "and 1 more");
  EXPECT_ERROR(loadCheckpoint(checkpointPath(folder, 10), other, true),
               "of another spec (hash 5eed0001, the package has 5eed0002): the same parameters, another computation");
  EXPECT_ERROR(loadCheckpoint(checkpointPath(folder, 10), wide, true),
               "does not fit the package: `bigram.weight` is F32, the package has F64");
}

} // namespace
