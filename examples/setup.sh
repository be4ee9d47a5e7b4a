#!/usr/bin/env bash
# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Installs what Moire builds with on Debian 12, and builds it into build/. Run as root or with sudo at hand.
#   examples/setup.sh            packages for building and running
#   examples/setup.sh --tests    and those that only the tests need
# Does nothing that is already done, so it may be run again.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

packages=(clang-22 lld-22 libmlir-22-dev mlir-22-tools llvm-22-dev llvm-22-tools libboost1.81-dev libdnnl-dev
          libcli11-dev nlohmann-json3-dev libfmt-dev libspdlog-dev libsentencepiece-dev sentencepiece libeigen3-dev libbenchmark-dev
          cmake ninja-build ccache git ca-certificates)
[ "${1:-}" = --tests ] && packages+=(libgtest-dev libgmock-dev python3 python3-numpy python3-torch
                                     libclang-rt-22-dev)

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  echo "installing: ${missing[*]}"
  sudo=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "error: run as root, or install sudo" >&2; exit 1; }
    sudo=(sudo)
  fi
  log=$(mktemp)
  "${sudo[@]}" apt-get update -q >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
  DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -q --no-install-recommends "${missing[@]}" >"$log" 2>&1 ||
    { tail -n 40 "$log" >&2; exit 1; }
  rm -f "$log"
fi

cd "$root"
# Said either way: the folder may have been configured for the other.
tests=OFF
[ "${1:-}" = --tests ] && tests=ON
cmake --preset release -DMOIRE_TESTS=$tests >build-configure.log 2>&1 || { cat build-configure.log >&2; exit 1; }
mv build-configure.log build/
echo "building (two jobs; the log is build/build.log)"
cmake --build --preset release >build/build.log 2>&1 || { grep -E 'error|FAILED' -A5 build/build.log | head -n 60 >&2; exit 1; }
