#!/usr/bin/env bash
# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Installs, builds and runs all tests on a fresh Debian 12 machine. Exit code 0 means that every one passed.
#   test/run.sh              everything
#   test/run.sh -R kernels   arguments go to ctest
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
began=$SECONDS
examples/setup.sh --tests
echo "built in $((SECONDS - began)) s"
began=$SECONDS
status=0
ctest --test-dir build --no-tests=error --output-on-failure -j2 "$@" || status=$?
echo "tested in $((SECONDS - began)) s"
exit $status
