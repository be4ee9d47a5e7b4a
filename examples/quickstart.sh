#!/usr/bin/env bash
# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# From a fresh Debian 12 machine to a trained model: installs, builds, trains moe_mamba on real text, generates.
#   examples/quickstart.sh [--data PATH]... [--steps N] [--out DIR]
# Without --data the text is what the set-up itself installed: the C++ headers of LLVM and MLIR.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
data=() steps=150 out=$root/build/quickstart
while [ $# -gt 0 ]; do
  case $1 in
    --data) data+=("$2"); shift 2 ;;
    --steps) steps=$2; shift 2 ;;
    --out) out=$2; shift 2 ;;
    -h | --help) sed -n '2,8p' "${BASH_SOURCE[0]}" | cut -c3-; exit 0 ;;
    *) echo "error: unknown argument '$1'" >&2; exit 1 ;;
  esac
done

"$root/examples/setup.sh"
[ ${#data[@]} -gt 0 ] || data=(/usr/lib/llvm-22/include/mlir)
export PATH="$root/build/bin:$PATH"
spec=$root/examples/moe_mamba/moe_mamba.moire

echo
echo "== The model"
cat "$spec"
echo
echo "== What it costs"
moire cost "$spec"
echo
echo "== Training on ${data[*]}"
rm -rf "$out"
moire train "$spec" --data "${data[@]}" --out "$out" --steps "$steps" --seed 1
echo
echo "== A sample"
moire generate "$out" --prompt "#include " --tokens 200 --temperature 0.8 --top-k 40 --seed 1
echo
echo
echo "The run is in $out: metrics.jsonl, checkpoints/, spec.moire. Continue it with"
echo "  build/bin/moire train $spec --data ${data[*]} --out $out --steps $((2 * steps)) --resume"
