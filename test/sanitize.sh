#!/usr/bin/env bash
# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Runs the tests of the kernels and of the runtime under the address and undefined-behaviour sanitizers, in
# build-sanitize/. Needs what test/run.sh installs. Exit code 0 means that nothing was found.
#   test/sanitize.sh              everything
#   test/sanitize.sh -R Routing   arguments go to ctest
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
cmake --preset sanitize -DMOIRE_COMPILER=OFF >/dev/null
echo "building (two jobs; the log is build-sanitize/build.log)"
cmake --build --preset sanitize >build-sanitize/build.log 2>&1 ||
  { grep -E 'error|FAILED' -A5 build-sanitize/build.log | head -n 60 >&2; exit 1; }
export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
ctest --test-dir build-sanitize --output-on-failure -j2 "$@"
