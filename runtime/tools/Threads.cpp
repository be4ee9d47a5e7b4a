//===- runtime/tools/Threads.cpp - the --threads option ---------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Shared by the subcommands that run a model.
//
//===------------------------------------------------------------------------===//
#include "kernels/include/Kernels.h"
#include "runtime/tools/Commands.h"

#include <algorithm>
#include <sched.h>

namespace moire::runtime {

/// Processors that this process may run on: a container or `taskset` may have left fewer than the machine has.
static int32_t usableProcessors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  const int count = ::sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
  return std::clamp(count, 1, 256);
}

void addThreadsOption(CLI::App &command, int32_t &threads) {
  threads = usableProcessors();
  command.add_option("--threads", threads, "Threads to compute on")->check(CLI::Range(1, 256))->capture_default_str();
}

void useThreads(int32_t threads) { moire_set_threads(threads); }

} // namespace moire::runtime
