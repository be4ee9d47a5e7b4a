//===- test/kernels/ThreadPoolTest.cpp - threads and their scratch memory --===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "kernels/cpu/ThreadPool.h"
#include "kernels/cpu/Scratch.h"
#include "kernels/include/Kernels.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>
#include <vector>

namespace {

using namespace moire::cpu;

/// The test's own number of threads, and the old one afterwards.
struct Threads {
  explicit Threads(int32_t count) : before(moire_threads()) { moire_set_threads(count); }
  ~Threads() { moire_set_threads(before); }
  int32_t before;
};

TEST(ThreadPool, CoversEachIndexOnce) {
  for (int threads : {1, 2, 3, 7}) {
    Threads set(threads);
    ASSERT_EQ(moire_threads(), threads);
    for (int64_t count : {0, 1, 2, 15, 16, 17, 1000})
      for (int64_t grain : {1, 4, 16, 5000}) {
        std::vector<std::atomic<int>> seen(count);
        parallelFor(count, grain, [&](int64_t begin, int64_t end) {
          EXPECT_EQ(begin % grain, 0);
          EXPECT_LT(begin, end);
          for (int64_t i = begin; i < end; ++i)
            ++seen[i];
        });
        for (auto &times : seen)
          ASSERT_EQ(times, 1);
      }
  }
}

TEST(ThreadPool, PlainFunctionIsEnough) {
  std::vector<int> squares(100);
  moire_parallel_for(
      100, 8,
      [](int64_t begin, int64_t end, void *context) {
        for (int64_t i = begin; i < end; ++i)
          static_cast<int *>(context)[i] = int(i * i);
      },
      squares.data());
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(squares[i], i * i);
}

TEST(ThreadPool, RegionsInsideRegionsRunInPlace) {
  Threads set(3);
  std::atomic<int> runs{0};
  parallelRegion([&](int thread, int threads) {
    EXPECT_EQ(threads, 3);
    EXPECT_EQ(thread, threadIndex());
    EXPECT_EQ(regionThreads(), 1);
    std::thread::id here = std::this_thread::get_id();
    parallelRegion([&](int inner, int innerThreads) {
      EXPECT_EQ(inner, 0);
      EXPECT_EQ(innerThreads, 1);
      EXPECT_EQ(std::this_thread::get_id(), here);
      EXPECT_EQ(threadIndex(), thread);
      regionBarrier();
      ++runs;
    });
    regionBarrier(); // still that of the outer region
  });
  EXPECT_EQ(runs, 3);
}

TEST(ThreadPool, BarrierShowsWhatWasWritten) {
  Threads set(4);
  std::vector<int> slots(4, -1);
  std::atomic<int> wrong{0};
  parallelRegion([&](int thread, int threads) {
    for (int turn = 0; turn < 200; ++turn) {
      slots[thread] = turn;
      regionBarrier();
      for (int other = 0; other < threads; ++other)
        if (slots[other] != turn)
          ++wrong;
      regionBarrier();
    }
  });
  EXPECT_EQ(wrong, 0);
}

TEST(ThreadPool, CallersTakeTurns) {
  Threads set(2);
  std::atomic<int> inside{0}, most{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i)
    callers.emplace_back([&] {
      for (int turn = 0; turn < 50; ++turn)
        parallelRegion([&](int, int) {
          int now = ++inside;
          int seen = most;
          while (now > seen && !most.compare_exchange_weak(seen, now))
            ;
          --inside;
        });
    });
  for (std::thread &caller : callers)
    caller.join();
  EXPECT_LE(most, 2);
}

TEST(Scratch, IsAlignedAndGivenBack) {
  Threads set(3);
  std::atomic<int> wrong{0};
  parallelRegion([&](int thread, int) {
    void *first;
    {
      ScratchFrame frame;
      first = frame.take<float>(1000);
      ScratchFrame inner;
      int *more = inner.take<int>(5);
      for (int i = 0; i < 5; ++i)
        more[i] = thread;
      regionBarrier();
      for (int i = 0; i < 5; ++i)
        wrong += more[i] != thread;
      wrong += reinterpret_cast<uintptr_t>(first) % 128 || reinterpret_cast<uintptr_t>(more) % 128;
    }
    ScratchFrame again;
    wrong += again.take<float>(1000) != first;
  });
  EXPECT_EQ(wrong, 0);
}

TEST(ScratchDeathTest, RefusesTooMuchAndOutside) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(ScratchFrame(), "outside of a parallel region");
  EXPECT_DEATH(parallelRegion([](int, int) { ScratchFrame().take<char>(Arena::capacity + 1); }), "scratch memory");
}

} // namespace
