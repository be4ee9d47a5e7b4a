# ===- test/runtime/moire_random.py - the runtime's random numbers, once more ---===
#
# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# The formulas of docs/runtime.md in plain Python: which windows a step reads, and
# which first values a parameter gets. Peers written in other systems use it to
# train on the very same batches.
#
# ===----------------------------------------------------------------------===
import math

MASK32, MASK64 = (1 << 32) - 1, (1 << 64) - 1


def philox(key, counter):
    """Philox4x32-10: the four words at `counter` (four words) under a 64-bit key."""
    k0, k1 = key & MASK32, key >> 32
    c0, c1, c2, c3 = counter
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = p1 >> 32 ^ c1 ^ k0, p1 & MASK32, p0 >> 32 ^ c3 ^ k1, p0 & MASK32
        k0, k1 = k0 + 0x9E3779B9 & MASK32, k1 + 0xBB67AE85 & MASK32
    return c0, c1, c2, c3


def mix(x):
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & MASK64
    x = (x ^ x >> 27) * 0x94D049BB133111EB & MASK64
    return x ^ x >> 31


def stream(seed, name):
    """The key of the stream `name` of a run's seed."""
    digest = 0xCBF29CE484222325
    for byte in name.encode():
        digest = (digest ^ byte) * 0x100000001B3 & MASK64
    return mix(seed + mix(digest) & MASK64)


def window_starts(seed, step, micro, rows, train_tokens, context):
    """The first token of each row of a batch; steps and micro steps count from 0."""
    key = stream(seed, "data")
    starts = []
    for row in range(rows):
        low, high, _, _ = philox(key, (row, micro, step & MASK32, step >> 32))
        starts.append((high << 32 | low) * (train_tokens - context) >> 64)
    return starts


def unit(word):
    return (word + 0.5) / 2**32


def _block(seed, path, element, lane):
    index = element // 4
    return philox(stream(seed, path), (index & MASK32, index >> 32, lane, 0))


def uniform(seed, path, element, low, high):
    return low + (high - low) * unit(_block(seed, path, element, 0)[element % 4])


def log_uniform(seed, path, element, low, high):
    return math.log(uniform(seed, path, element, low, high))


def normal(seed, path, element, deviation, bound=math.inf):
    lane = 0
    while True:
        pair = _block(seed, path, element, lane)[element % 4 // 2 * 2:][:2]
        turn = math.sin if element % 2 else math.cos
        value = deviation * math.sqrt(-2 * math.log(unit(pair[0]))) * turn(2 * math.pi * unit(pair[1]))
        if abs(value) <= bound:
            return value
        lane += 1
