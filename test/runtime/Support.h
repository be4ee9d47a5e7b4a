//===- test/runtime/Support.h - shared by the runtime's tests -----------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A folder of its own for each test, and checks on results and messages.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_TEST_RUNTIME_SUPPORT_H
#define MOIRE_TEST_RUNTIME_SUPPORT_H

#include "runtime/Core/Package.h"
#include "runtime/Core/Status.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <string>

/// A test with an empty folder that goes away with it.
class FolderTest : public ::testing::Test {
protected:
  FolderTest() {
    std::string name = (std::filesystem::temp_directory_path() / "moire-test-XXXXXX").string();
    folder = ::mkdtemp(name.data());
  }
  ~FolderTest() override { std::filesystem::remove_all(folder); }

  std::string path(const std::string &name) const { return folder + "/" + name; }
  std::string write(const std::string &name, std::string_view bytes) const {
    std::filesystem::create_directories(std::filesystem::path(path(name)).parent_path());
    std::ofstream(path(name), std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return path(name);
  }

  std::string folder;
};

/// The path of a variant of the fake package.
inline std::string fakePath(const std::string &name = "fake") { return std::string(MOIRE_FAKES) + "/" + name + ".so"; }

/// Expects success of a Status or Result.
#define EXPECT_OK(expression)                                                                                          \
  do {                                                                                                                 \
    const auto &outcome = (expression);                                                                                \
    EXPECT_TRUE(outcome.ok()) << outcome.message();                                                                    \
  } while (false)
#define ASSERT_OK(expression)                                                                                          \
  do {                                                                                                                 \
    const auto &outcome = (expression);                                                                                \
    ASSERT_TRUE(outcome.ok()) << outcome.message();                                                                    \
  } while (false)
/// Expects failure with a message that contains `text`.
#define EXPECT_ERROR(expression, text)                                                                                 \
  do {                                                                                                                 \
    const auto &outcome = (expression);                                                                                \
    EXPECT_FALSE(outcome.ok());                                                                                        \
    EXPECT_NE(outcome.message().find(text), std::string::npos) << outcome.message();                                   \
  } while (false)

#endif // MOIRE_TEST_RUNTIME_SUPPORT_H
