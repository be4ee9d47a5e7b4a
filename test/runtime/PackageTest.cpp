//===- test/runtime/PackageTest.cpp - packages that are refused ----------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Loading the fake package and the variants that must not load.
//
//===------------------------------------------------------------------------===//
#include "Support.h"
#include "runtime/Core/Model.h"

using namespace moire::runtime;

namespace {

class Packages : public FolderTest {};

TEST_F(Packages, Loads) {
  const auto package = Package::load(fakePath());
  ASSERT_OK(package);
  EXPECT_STREQ((*package)->model, "fake");
  EXPECT_STREQ(package->precisionName(), "f32");
  EXPECT_EQ(Package::load(fakePath("fake-f64"))->elementBytes(), 8u);
}

TEST_F(Packages, RefusesWhatItCannotRun) {
  EXPECT_ERROR(Package::load(path("none.so")), "no package");
  EXPECT_ERROR(Package::load(write("text.so", "hello")), "cannot load package");
  EXPECT_ERROR(Package::load(fakePath("fake-other-abi")), "has ABI version 999, this runtime has 3");
  EXPECT_ERROR(Package::load(fakePath("fake-features")), "that this machine lacks: no-such-feature");
  EXPECT_ERROR(Package::load(fakePath("fake-missing-symbol")), "moire_no_such_kernel");
  EXPECT_ERROR(Package::load("libm.so.6"), "no package"); // never looked for in the library path
}

TEST_F(Packages, UseDecidesWhichBuffersExist) {
  const auto package = Package::load(fakePath("fake-bf16"));
  ASSERT_OK(package);
  const auto training = Model::make(*package, Use::Train);
  ASSERT_OK(training);
  EXPECT_TRUE(training->buffers().grads && training->buffers().moment2 && training->buffers().compute);
  EXPECT_FALSE(training->buffers().state);
  const auto evaluation = Model::make(*package, Use::Evaluate);
  EXPECT_TRUE(evaluation->buffers().params && evaluation->buffers().arena);
  EXPECT_FALSE(evaluation->buffers().grads || evaluation->buffers().moment1 || evaluation->buffers().state);
  EXPECT_TRUE(Model::make(*package, Use::Generate)->buffers().state);
}

TEST_F(Packages, InstancesFollowTheTable) {
  const auto package = Package::load(fakePath());
  std::vector<std::string> paths;
  int64_t end = 0;
  EXPECT_OK(forEachInstance(**package, [&](const Instance &instance) -> Status {
    paths.push_back(instance.path);
    EXPECT_EQ(instance.offset, end);
    end = instance.offset + instance.elements;
    return {};
  }));
  EXPECT_EQ(paths, (std::vector<std::string>{"bigram.weight", "first.weight", "layers.0.bias", "layers.1.bias"}));
  EXPECT_EQ(end, (*package)->parameter_elements);
}

} // namespace
