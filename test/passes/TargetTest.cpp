//===- test/passes/TargetTest.cpp - features and levels ---------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Names of features become vector widths; unknown names are refused.
//===----------------------------------------------------------------------===//
#include "passes/Pipelines/Target.h"
#include "passes/Pipelines/Codegen.h"
#include "llvm/Target/TargetMachine.h"
#include <filesystem>
#include <gtest/gtest.h>

using namespace moire;

static TargetFeatures parsed(llvm::StringRef text) {
  llvm::Expected<TargetFeatures> features = parseFeatures(text);
  EXPECT_TRUE(bool(features));
  return features ? *features : TargetFeatures();
}

TEST(Target, LevelsGrow) {
  EXPECT_EQ(parsed("baseline").vectorBits(), 128u);
  EXPECT_EQ(parsed("baseline").list(), "");
  EXPECT_EQ(parsed("avx2").vectorBits(), 256u);
  EXPECT_TRUE(parsed("avx2").has("fma"));
  EXPECT_FALSE(parsed("avx2").has("avx512f"));
  EXPECT_EQ(parsed("avx512").vectorBits(), 512u);
  EXPECT_FALSE(parsed("avx512").nativeBf16());
  EXPECT_TRUE(parsed("avx512bf16").nativeBf16());
}

TEST(Target, ListsAreSortedAndPartialSetsAreNotWide) {
  EXPECT_EQ(parsed("fma,avx2").list(), "fma,avx2");
  EXPECT_EQ(parsed("avx2,fma").list(), "fma,avx2");
  EXPECT_EQ(parsed("avx512f,avx2,fma").vectorBits(), 256u);
  EXPECT_FALSE(parsed("avx512bf16,avx2,fma").nativeBf16() && parsed("avx512bf16,avx2,fma").vectorBits() < 512);
}

TEST(Target, UnknownNamesAreRefused) {
  llvm::Expected<TargetFeatures> features = parseFeatures("avx2,avx9000");
  ASSERT_FALSE(bool(features));
  EXPECT_NE(llvm::toString(features.takeError()).find("`avx9000`"), std::string::npos);
}

TEST(Target, NativeIsWhatTheMachineTakes) {
  auto machine = createTargetMachine(parsed("native"));
  ASSERT_TRUE(bool(machine));
  EXPECT_EQ((*machine)->getTargetCPU(), "x86-64");
}

TEST(Codegen, WhatCannotBeLinkedLeavesNothing) {
  std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / "moire-link";
  std::filesystem::create_directories(folder);
  llvm::Error error = linkSharedObject(llvm::ArrayRef<char>("not an object", 13), (folder / "package.so").string());
  ASSERT_TRUE(bool(error));
  EXPECT_NE(llvm::toString(std::move(error)).find("the linker"), std::string::npos);
  EXPECT_TRUE(std::filesystem::is_empty(folder));
  llvm::Error nowhere = linkSharedObject({}, (folder / "missing" / "package.so").string());
  EXPECT_NE(llvm::toString(std::move(nowhere)).find("cannot write beside"), std::string::npos);
  std::filesystem::remove_all(folder);
}
