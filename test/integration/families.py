#!/usr/bin/env python3
# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Models of the papers and of the public families: exact counts of their full sizes, and short runs of their small ones.

    families.py counts|training
"""
import json
import math
import os
import subprocess
import sys
import tempfile

from abi import BUILD
from runs import EXAMPLES, moire, spec, text

EXPERTS = ("expert", "attention")

# Example, preset, roles that the published number counts (none: everything), the number, what is active of it.
COUNTS = [
    ("switch", "small", EXPERTS, 545_259_520, 25_165_824),
    ("switch", "big", EXPERTS, 2_453_667_840, 113_246_208),
    ("fine_grained", "base", EXPERTS, 3_652_190_208, 84_934_656),
    ("fine_grained", "small", EXPERTS, 1_082_130_432, 25_165_824),
    # Without norms, as the names of the released models count: 320M with 170M active, 1.9B with 470M.
    ("optimal_sparsity", "d512_e8_k2", ("expert", "attention", "router", "embedding", "head"), 320_143_360, 169_148_416),
    ("optimal_sparsity", "d1024_e16_k2", ("expert", "attention", "router", "embedding", "head"), 1_881_931_776,
     472_645_632),
    ("optimal_sparsity", "d2048_e128_k16", ("expert",), 51_539_607_552, None),
    ("megrez2", "a3b", ("expert",), 5_536_481_280, None),
    ("megrez2", "a3b", ("ffn",), 1_038_090_240 + 67_239_936, None),
    ("megrez2", "a3b", ("attention",), 325_058_560, None),
    # 2,991,456,256 active with the gates: a pool counts once for each layer that chooses from it.
    ("megrez2", "a3b", ("expert", "ffn", "attention"), 6_966_870_016, 2_991_456_256 - 3_932_160),
    ("megrez2", "a3b", ("embedding", "head"), 527_892_480, None),
    ("mixtral", "m8x7b", (), 46_702_792_704, None),
    ("olmoe", "b7", (), 6_919_161_856, None),
    ("deepseek_v3", "v3", (), 671_026_419_200, None),
    ("qwen3_moe", "a3b", (), 30_532_122_624, None),
    ("qwen3_moe", "a22b", (), 235_093_634_560, None),
    ("jamba", "v01", (), 51_570_323_328, None),
    ("granite4", "h_tiny", (), 6_939_037_248, None),
    ("gpt_oss", "b20", (), 20_914_757_184, 4_187_440_704),
    # The published 5.13B active leave out the embeddings, of which a token reads one row.
    ("gpt_oss", "b120", (), 116_829_156_672, 5_132_849_472 + 579_133_440),
    ("nemotron_h", "b8", (), 8_100_852_736, None),
    # Published as 8 x 34M with 210M, 8 x 113M with 708M, 8 x 906M with 5.67B parameters outside of embeddings.
    ("relative_rates", "medium", EXPERTS, 209_715_200, 33_554_432),
    ("relative_rates", "base", EXPERTS, 707_788_800, 113_246_208),
    ("relative_rates", "large", EXPERTS, 5_662_310_400, 905_969_664),
    ("mup", "w256", EXPERTS, 4 * 4 * 256**2 + 4 * 8 * 6 * 256**2, 4 * 4 * 256**2 + 4 * 6 * 256**2),
]


def zamba2(width, layers, uses, hidden, rank, groups, vocab=32_000, state=64, head_dim=64, shared=2):
    """Parameters of a published Zamba2, product by product."""
    inner, mixed = 2 * width, 2 * width + 2 * groups * state
    heads = inner // head_dim
    mamba = width + width * (inner + mixed + heads) + 5 * mixed + 3 * heads + inner + inner * width
    block = 2 * width + 3 * (2 * width) ** 2 + 2 * width * width + width + 3 * width * hidden
    use = width * rank + 2 * rank * hidden + width * width
    return vocab * width + layers * mamba + shared * block + uses * use + width


COUNTS += [("zamba2", "b2_7", (), zamba2(2560, 54, 9, 10_240, 128, groups=1), None),  # published: 2.7B
           ("zamba2", "b7", (), zamba2(3584, 81, 13, 14_336, 128, groups=2), None)]   # published: 7.4B


def counts():
    bills, good = {}, True
    for name, preset, roles, published, active in COUNTS:
        if (name, preset) not in bills:
            run = subprocess.run([os.path.join(BUILD, "bin", "moirec"), spec(name), "--preset", preset, "--cost=json"],
                                 capture_output=True, text=True)
            assert run.returncode == 0, run.stderr
            bills[name, preset] = json.loads(run.stdout)["parameters"]
        bill = bills[name, preset]
        found = sum(bill["by_role"][role] for role in roles) if roles else bill["total"]
        # What is not counted, norms and here and there embeddings and routers, is active in every token.
        used = bill["active"] - (bill["total"] - found)
        ok = found == published and active in (None, used)
        good = good and ok
        print(f"{'ok  ' if ok else 'FAIL'} {name} {preset} {' + '.join(roles) or 'all'}: {found:,} (published {published:,})"
              + (f", active {used:,} (published {active:,})" if active else ""), flush=True)
    return good


def training():
    with tempfile.TemporaryDirectory(prefix="moire-test-") as folder:
        data = text(folder)
        for name in sorted(({row[0] for row in COUNTS} | {"beyond_50b", "dense_training"}) - set(EXAMPLES)):
            out = os.path.join(folder, name)
            moire("train", spec(name), "--data", data, "--out", out, "--steps", "30", "--seed", "3", "-D", "batch=4", "-D",
                  "context=32")
            losses = [json.loads(line)["loss"] for line in open(os.path.join(out, "metrics.jsonl"))]
            # Multipliers make granite4's first steps short: its logits are divided by six.
            assert all(map(math.isfinite, losses)) and losses[0] > 5 and losses[-1] < losses[0] - 0.4, (name, losses)
            command = [os.path.join(BUILD, "bin", "package-conformance"), f"--package={os.path.join(out, 'package.so')}"]
            if name in ("switch", "relative_rates", "mup"):  # drops tokens while it trains, and none when it is evaluated
                command.append("--gtest_filter=-*EvalAndTrainAgreeOnTheLoss")
            check = subprocess.run(command, capture_output=True, text=True)
            assert check.returncode == 0, check.stdout[-3000:]
            print(f"ok   {name}: loss {losses[0]:.3f} to {losses[-1]:.3f} in 30 steps, decodes as it reads", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(0 if {"counts": counts, "training": training}[sys.argv[1]]() else 1)
