# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# One configuration for every lit suite: .mlir and .moire files with RUN lines, checked by FileCheck.
import os

import lit.formats

config.name = "Moire"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".moire", ".test"]
config.excludes = ["Inputs", "unit", "bench", "lit.cfg.py", "CMakeLists.txt"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.moire_build, "test")

tools = [os.path.join(config.moire_build, "bin"), config.llvm_tools]
config.environment["PATH"] = os.pathsep.join(tools + [os.environ.get("PATH", "")])
config.environment["MOIRE_BUILD"] = config.moire_build
for name in ("HOME", "XDG_CACHE_HOME", "ASAN_OPTIONS", "UBSAN_OPTIONS", "MOIRE_THREADS", "MOIRE_ISA"):
    if name in os.environ:
        config.environment[name] = os.environ[name]

# Tests of the packaging and of numbers call Python with numpy; Debian's interpreter has it.
config.substitutions.append(("%python", config.python))
config.substitutions.append(("%source", config.moire_source))
config.substitutions.append(("%build", config.moire_build))

if os.path.exists(os.path.join(config.moire_build, "bin", "moire")):
    config.available_features.add("runtime")
if os.path.exists(os.path.join(config.moire_build, "bin", "moirec")):
    config.available_features.add("compiler")
