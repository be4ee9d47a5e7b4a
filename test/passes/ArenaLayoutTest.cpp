//===- test/passes/ArenaLayoutTest.cpp - offsets by liveness ----------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Random lifetimes never conflict, and nested ones, as training makes them, reach the lower bound.
//===----------------------------------------------------------------------===//
#include "passes/Conversion/Buffers/ArenaLayout.h"
#include <gtest/gtest.h>
#include <random>

using namespace moire;

TEST(ArenaLayout, RandomLifetimesNeverConflict) {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    llvm::SmallVector<Lifetime> buffers(1 + random() % 60);
    for (Lifetime &buffer : buffers) {
      buffer.first = random() % 50;
      buffer.last = buffer.first + random() % 20;
      buffer.bytes = 64 * (random() % 9);
    }
    int64_t size = layOutArena(buffers, /*reuse=*/true);
    EXPECT_FALSE(hasConflict(buffers));
    EXPECT_GE(size, peakMoment(buffers).second);
    for (const Lifetime &buffer : buffers) {
      EXPECT_EQ(buffer.offset % 64, 0);
      EXPECT_LE(buffer.offset + buffer.bytes, size);
    }
  }
}

TEST(ArenaLayout, NestedLifetimesReachTheLowerBound) {
  llvm::SmallVector<Lifetime> buffers;
  for (int64_t layer = 0; layer < 40; ++layer) {
    buffers.push_back({layer * 3, 240 - layer * 3, 64 * (1 + layer % 7)});   // kept for the reverse pass
    buffers.push_back({layer * 3 + 1, layer * 3 + 2, 64 * (2 + layer % 5)}); // scratch of the forward pass
  }
  EXPECT_EQ(layOutArena(buffers, /*reuse=*/true), peakMoment(buffers).second);
  EXPECT_FALSE(hasConflict(buffers));
}

TEST(ArenaLayout, WithoutReuseEveryBufferIsApart) {
  llvm::SmallVector<Lifetime> buffers{{0, 1, 64}, {2, 3, 128}, {4, 5, 64}};
  EXPECT_EQ(layOutArena(buffers, /*reuse=*/false), 256);
  for (Lifetime &buffer : buffers) {
    buffer.first = 0;
    buffer.last = 5;
  }
  EXPECT_FALSE(hasConflict(buffers));
}

TEST(ArenaLayout, TheCheckSeesConflicts) {
  EXPECT_TRUE(hasConflict({{0, 2, 64, 0}, {2, 3, 64, 0}}));
  EXPECT_TRUE(hasConflict({{0, 9, 128, 0}, {3, 4, 64, 64}}));
  EXPECT_FALSE(hasConflict({{0, 1, 64, 0}, {2, 3, 64, 0}}));
  EXPECT_FALSE(hasConflict({{0, 9, 64, 0}, {3, 4, 64, 64}}));
}
