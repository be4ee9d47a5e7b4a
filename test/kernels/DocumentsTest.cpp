//===- test/kernels/DocumentsTest.cpp - where documents begin ------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Positions of tokens in their documents, at once and a few tokens at a time.
//===----------------------------------------------------------------------===//
#include "test/kernels/TestData.h"

using namespace moire::test;

namespace {

using Ages = std::vector<int32_t>;

Ages positions(bool fast, int64_t batch, const std::vector<int32_t> &tokens, Ages *count = nullptr) {
  Ages ages(tokens.size(), -1);
  (fast ? moire_document_positions : moire_reference_document_positions)(batch, int64_t(tokens.size()) / batch, 9,
                                                                         tokens.data(), count ? count->data() : nullptr,
                                                                         ages.data(), count ? count->data() : nullptr);
  return ages;
}

TEST(Documents, BeginAtTheSeparator) {
  for (bool fast : {false, true}) {
    EXPECT_EQ(positions(fast, 1, {1, 2, 9, 3, 4, 9, 9, 5}), Ages({0, 1, 0, 1, 2, 0, 0, 1}));
    EXPECT_EQ(positions(fast, 1, {9, 9, 9}), Ages({0, 0, 0}));
    EXPECT_EQ(positions(fast, 2, {9, 1, 2, 3, 4, 9}), Ages({0, 1, 2, 0, 1, 0}));
  }
}

TEST(Documents, GoOnFromACount) {
  for (bool fast : {false, true}) {
    Ages count = {4, 0};
    EXPECT_EQ(positions(fast, 2, {1, 2, 1, 9}, &count), Ages({4, 5, 0, 0}));
    EXPECT_EQ(count, Ages({6, 1}));
  }
}

TEST(Documents, FewTokensAtATimeEqualAllAndTheOracle) {
  std::vector<int32_t> tokens;
  for (int32_t t = 0; t < 200; ++t)
    tokens.push_back(t * t % 11);
  for (int64_t step : {1, 7, 200}) {
    Ages count = {0}, all;
    for (size_t begin = 0; begin < tokens.size(); begin += size_t(step)) {
      auto end = tokens.begin() + long(std::min(begin + size_t(step), tokens.size()));
      Ages part = positions(true, 1, {tokens.begin() + long(begin), end}, &count);
      all.insert(all.end(), part.begin(), part.end());
    }
    EXPECT_EQ(all, positions(false, 1, tokens));
  }
}

} // namespace
