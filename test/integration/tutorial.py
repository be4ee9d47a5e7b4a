# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Follows a tutorial to the letter: writes its files, runs its commands, compares what they print.

    tutorial.py PAGE...

A ```moire FILE block is a file. A ```console block has commands after `$ ` and what each prints; in it `…` stands for
anything in a line, a line of `…` alone for any lines. Its commands must succeed, the last one of a ```console fails block
must not. All blocks of a page run in one folder, in order.
"""
import os
import re
import subprocess
import sys
import tempfile

BUILD = os.environ.get("MOIRE_BUILD", "build")


def blocks(page):
    """(words after the fence, text, line) of each fenced block."""
    for match in re.finditer(r"^```([^\n]*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        yield match.group(1).split(), match.group(2), page.count("\n", 0, match.start()) + 1


def commands(text):
    """(command, expected lines) of a console block."""
    found = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


def agrees(expected, printed):
    pattern = "".join(r"(?:.*\n)*?" if line == "…" else r"[^\n]*".join(map(re.escape, line.split("…"))) + r"\n"
                      for line in expected)
    return re.fullmatch(pattern, printed if not printed or printed.endswith("\n") else printed + "\n")


def follow(path):
    with open(path, encoding="utf-8") as file:
        page = file.read()
    environment = {**os.environ, "PATH": os.path.abspath(os.path.join(BUILD, "bin")) + os.pathsep + os.environ["PATH"]}
    ran = failures = 0
    with tempfile.TemporaryDirectory() as folder:
        environment["XDG_CACHE_HOME"] = os.path.join(folder, ".cache")
        for words, text, line in blocks(page):
            if words[:1] == ["moire"]:
                with open(os.path.join(folder, words[1]), "w", encoding="utf-8") as file:
                    file.write(text)
            elif words[:1] == ["console"]:
                steps = commands(text)
                for i, (command, expected) in enumerate(steps):
                    result = subprocess.run(["bash", "-c", command], cwd=folder, env=environment, encoding="utf-8",
                                            errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                    should_fail = "fails" in words and i == len(steps) - 1
                    ran += 1
                    if (result.returncode != 0) != should_fail or not agrees(expected, result.stdout):
                        failures += 1
                        print(f"{path}:{line}: `{command}` ended with {result.returncode} and printed\n{result.stdout}")
            else:
                failures += 1
                print(f"{path}:{line}: neither a file nor a console: {' '.join(words)}")
    print(f"{path}: {ran} commands, {failures} failures")
    return failures == 0 and ran > 0


if __name__ == "__main__":
    sys.exit(0 if all([follow(page) for page in sys.argv[1:]]) and len(sys.argv) > 1 else 1)
