# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs every example of the language reference.

```moire blocks must resolve, and their resolved form must resolve to itself. ```moire-error blocks must fail with exit code
1 and say each line of the ```text block after them, in order. An example without a declaration of its own stands in the
frame that the page shows. The page must also hold what `moirec --list-layers` prints.

    check_language.py MOIREC PAGE
"""
import re
import subprocess
import sys
import tempfile


def run(moirec, *arguments):
    return subprocess.run([moirec, *arguments], capture_output=True, text=True)


def blocks(page):
    """(kind, text, line) of each fenced block."""
    for match in re.finditer(r"^```([a-z-]*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        yield match.group(1), match.group(2), page.count("\n", 0, match.start()) + 1


def main():
    moirec, path = sys.argv[1:]
    page = open(path, encoding="utf-8").read()
    found = list(blocks(page))
    frame = next(text for kind, text, _ in found if kind == "moire-frame")
    failures = 0
    counts = {"moire": 0, "moire-error": 0}

    def fail(line, why, output=""):
        nonlocal failures
        failures += 1
        print(f"{path}:{line}: {why}\n{output}")

    with tempfile.NamedTemporaryFile("w", suffix=".moire") as spec:

        def write(text):
            spec.seek(0)
            spec.truncate()
            spec.write(text)
            spec.flush()

        for i, (kind, text, line) in enumerate(found):
            if kind not in counts:
                continue
            counts[kind] += 1
            if not re.search(r"^model ", text, re.MULTILINE):
                text = frame.replace("  …\n", text)
            write(text)
            result = run(moirec, spec.name, "--emit=spec")
            if kind == "moire":
                if result.returncode != 0:
                    fail(line, "the example does not resolve", result.stderr)
                    continue
                write(result.stdout)
                again = run(moirec, spec.name, "--emit=spec")
                if again.stdout != result.stdout:
                    fail(line, "the resolved example does not resolve to itself", again.stderr)
                continue
            expected = found[i + 1]
            if expected[0] != "text":
                fail(line, "an example that fails needs its message in a ```text block")
                continue
            if result.returncode != 1:
                fail(line, f"the example ends with {result.returncode} instead of 1", result.stderr)
            at = 0
            for message in expected[1].splitlines():
                at = result.stderr.find(message, at)
                if at < 0:
                    fail(line, f"missing: {message}", result.stderr)
                    break
    layers = run(moirec, "--list-layers").stdout
    if not layers or layers not in page:
        fail(1, "the list of layers differs from `moirec --list-layers`")
    if not all(counts.values()):
        fail(1, "found no examples")
    print(f"{counts['moire']} examples, {counts['moire-error']} mistakes, {failures} failures")
    return 1 if failures else 0


sys.exit(main())
