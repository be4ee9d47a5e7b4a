# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Layers computed again in the reverse pass, in less memory: the same gradients as when they are kept, up to what is rounded
where other kernels meet."""
import os
import sys

import numpy as np

from abi import SOURCE, Model, compile_spec

# Example, and the most that is left of the arena.
EXAMPLES = [("gpt", 0.65), ("moe", 0.65), ("moe_mamba", 0.65), ("mamba2", 0.75), ("deepseek_v3", 1.0), ("switch", 0.8)]


def main():
    for name, most in EXAMPLES:
        spec = os.path.join(SOURCE, "examples", name, f"{name}.moire")
        for precision in ("f32", "bf16"):
            options = ("-D", "batch=2", "-D", "context=64", f"--precision={precision}")
            arenas, norms, losses = [], [], []
            for more in ((), ("--recompute",)):
                model = Model(compile_spec(spec, *options, *more))
                model.randomise(1)
                losses.append(model.train_step(*model.tokens())["loss"][0])
                norms.append({path: value.copy() for path, value in model.tensors("grads").items()})
                arenas.append(model.package.arena_bytes)
            worst = max(np.linalg.norm(value - norms[1][path]) / max(np.linalg.norm(value), 1e-9)
                        for path, value in norms[0].items())
            assert worst <= (2e-6 if precision == "f32" else 2e-2), (name, precision, worst)
            assert abs(losses[0] - losses[1]) <= 1e-6 * losses[0], losses
            assert arenas[1] <= most * arenas[0], (name, precision, arenas)
            print(f"ok   {name} {precision}: {len(norms[0])} gradients within {worst:.1e}, arena "
                  f"{arenas[0] / 2**20:.1f} to {arenas[1] / 2**20:.1f} MiB", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
