#!/usr/bin/env python3
# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Holds the dialect's words and its code together.

Every op has a summary, a description and an example; every example is among the tests; every numbered constraint is
cited where it is enforced (dialect/IR) and where it is broken (test/dialect/*-invalid.mlir); and no citation names a
constraint that does not exist. Takes the root of the source tree.
"""
import pathlib
import re
import sys

LABEL = re.compile(r"\b([a-z][a-z0-9_]*)\.(C\d+(?:, C\d+)*)")


def read(paths):
    return "\n".join(path.read_text() for path in sorted(paths))


def operations(text):
    """(mnemonic, body) of every op that a .td file defines."""
    starts = list(re.finditer(r'^def Moire_\w+Op : Moire_\w*Op<"(\w+)"', text, re.M))
    for start in starts:
        end = text.index("\n}\n", start.start())
        yield start.group(1), text[start.start() : end]


def citations(text):
    """All labels such as linear.C2 in a text; `x.C1, C2` counts as two."""
    return {f"{op}.{label}" for op, labels in LABEL.findall(text) for label in labels.split(", ")}


def squeezed(text):
    """Text without comments and with single spaces: examples are wrapped, tests are not."""
    lines = [line for line in text.split("\n") if not line.lstrip().startswith("//")]
    return " ".join(" ".join(lines).split())


def main():
    root = pathlib.Path(sys.argv[1])
    sources = root / "dialect" / "IR"
    tests = root / "test" / "dialect"
    tablegen = read(sources.glob("*.td"))
    enforced = citations(read(sources.glob("*.cpp"))) | citations(tablegen)
    broken = citations(read(tests.glob("*-invalid.mlir")))
    shown = squeezed(read(tests.glob("*-ops.mlir")))

    problems = []
    known = set()
    count = 0
    for op, body in operations(tablegen):
        count += 1
        summary = re.search(r'let summary = "([^"]+)"', body)
        description = re.search(r"let description = \[\{(.*?)\}\];", body, re.S)
        if not summary:
            problems.append(f"{op}: no summary")
        elif summary.group(1).lower() in (op, op.replace("_", " ")):
            problems.append(f"{op}: the summary repeats the name")
        if not description or len(description.group(1).split()) < 3:
            problems.append(f"{op}: no description")
            continue
        example = re.search(r"```mlir\n(.*?)```", description.group(1), re.S)
        if not example:
            problems.append(f"{op}: no example")
        elif squeezed(example.group(1)) not in shown:
            problems.append(f"{op}: the example is in no test")
        labels = [f"{op}.{label}" for label in re.findall(r"^ *- \((C\d+)\)", description.group(1), re.M)]
        known.update(labels)
        if labels != [f"{op}.C{number + 1}" for number in range(len(labels))]:
            problems.append(f"{op}: constraints are not numbered from 1 up: {labels}")
        if labels and "hasVerifier" not in body and not any(label in enforced for label in labels):
            problems.append(f"{op}: constraints, but no verifier and no trait that cites one")
    problems += [f"{label}: enforced nowhere" for label in sorted(known - enforced)]
    problems += [f"{label}: no test breaks it" for label in sorted(known - broken)]
    problems += [f"{label}: cited, but there is no such constraint" for label in sorted((enforced | broken) - known)]

    for problem in problems:
        print(problem)
    print(f"{count} ops, {len(known)} constraints, {len(problems)} problems")
    return 1 if problems or count == 0 or not known else 0


if __name__ == "__main__":
    sys.exit(main())
