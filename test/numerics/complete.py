# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Every op with a reverse rule has a gradient test, and the evaluator knows every op of the tensor level."""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
declared = re.compile(r'def Moire_(\w+) : Moire_TensorOp<"(\w+)", \[(.*)\]>')
ops = [m.groups() for file in sorted((root / "dialect/IR").glob("*.td"))
       for m in map(declared.match, file.read_text().splitlines()) if m]
tests = "".join(file.read_text() for file in (root / "test/numerics").glob("gradients-*.mlir"))
evaluator = "".join(file.read_text() for file in (root / "test/numerics/evaluator").glob("*.cpp"))
untested = [name for _, name, traits in ops
            if "DifferentiableOpInterface" in traits and not re.search(rf"moire\.{name}\b", tests)]
unknown = [name for op, name, _ in ops if not re.search(rf"\b{op}\b", evaluator)]
for name in untested:
    print(f"error: `moire.{name}` has a reverse rule, but no gradient test")
for name in unknown:
    print(f"error: the evaluator does not know `moire.{name}`")
print(f"{len(ops)} ops")
sys.exit(bool(untested or unknown or len(ops) < 40))
