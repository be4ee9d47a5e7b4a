#!/usr/bin/env python3
# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Holds the rules of who may include whom (docs/contributing.md), and keeps source files below 600 lines."""
import os
import re
import sys

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
C_HEADERS = {"runtime/abi.h", "kernels/include/Kernels.h", "kernels/include/KernelList.inc", "kernels/include/Reference.h"}
MAY = {"dialect": {"dialect"}, "kernels": {"kernels"}, "passes": {"passes", "dialect"}, "frontend": {"frontend", "dialect"},
       "frontend/tools": {"frontend", "dialect", "passes"}, "runtime": {"runtime"}}
OUTSIDE = {"runtime": ("mlir/", "llvm/"), "kernels": ("mlir/", "llvm/")}


def owner(path):
    return "frontend/tools" if path.startswith("frontend/tools/") else path.split("/")[0]


def main():
    problems, files = [], 0
    for folder in ("dialect", "kernels", "passes", "frontend", "runtime"):
        for root, _, names in os.walk(os.path.join(SOURCE, folder)):
            for name in names:
                if not name.endswith((".h", ".cpp", ".inc", ".td")):
                    continue
                path = os.path.relpath(os.path.join(root, name), SOURCE)
                files += 1
                with open(os.path.join(root, name)) as file:
                    lines = file.read().splitlines()
                if len(lines) > 600:
                    problems.append(f"{path}: {len(lines)} lines")
                for number, line in enumerate(lines, 1):
                    include = re.match(r'\s*#?\s*include\s+["<]([^">]+)[">]', line)
                    if not include:
                        continue
                    target = include.group(1)
                    top = target.split("/")[0]
                    if any(target.startswith(prefix) for prefix in OUTSIDE.get(owner(path), ())):
                        problems.append(f"{path}:{number}: includes {target}")
                    if top in MAY and target not in C_HEADERS and top not in MAY[owner(path)]:
                        problems.append(f"{path}:{number}: includes {target}")
    print(*problems, sep="\n")
    print(f"{files} files, {len(problems)} problems")
    return not problems and files > 100


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
