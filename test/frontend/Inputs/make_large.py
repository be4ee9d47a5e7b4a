# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes specs of unreasonable size into a folder."""
import sys

folder = sys.argv[1]
n = 10000


def write(name, text):
    data = text if isinstance(text, bytes) else text.encode()
    with open(f"{folder}/{name}.moire", "wb") as file:
        file.write(data)


write("ten-megabytes", "let a = 1\n" * (n * 100))
write("parentheses", "let a = " + "(" * n + "1" + ")" * n)
write("repeats", "model m {" + "repeat 1 {" * n + "}" * (n + 1))
write("elses", "model m {" + "if true {} else " * n + "{}}")
write("choices", "let a = " + "if true then 1 else " * n + "1")
write("calls", "let a = " + "f(" * n)
write("records", "let a = " + "{k:" * n)
write("bytes", bytes(range(1, 256)) * 100)
write("nul", b"let a = 1\0\0\0")

model = "model m(width = 64) {{\n  x = embed(tokens, vocab = 256, width)\n{}\n  return x |> head(vocab = 256)\n}}\n"
# Each block calls the next: once, which nests, and twice, which doubles.
chain = "".join(f"block b{i}(x) {{ return b{i + 1}(x) }}\n" for i in range(n)) + f"block b{n}(x) {{ return relu(x) }}\n"
write("blocks", chain + model.format("  x = b0(x)"))
double = "".join(f"block b{i}(x) {{ return b{i + 1}(b{i + 1}(x)) }}\n" for i in range(40)) + "block b40(x) { return relu(x) }\n"
write("doubling", double + model.format("  x = b0(x)"))
write("endless", model.format("  repeat 1B { x = relu(x) }"))
write("name", model.format("  x += " + "a" * 1000000))
# Flat chains cost no stack, and signs cancel.
flat = "1" + "+1" * 200000 + "+" + "-" * 200001 + "1"
write("fits", f"let a = {flat}\nlet b = {'not ' * 200000}true\n" + model.format('  require b and a == 200000, "sum"'))
