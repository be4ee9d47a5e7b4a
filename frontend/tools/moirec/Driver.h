//===- frontend/tools/moirec/Driver.h - options and stages of moirec -------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the compiler's main does.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_FRONTEND_TOOLS_MOIREC_DRIVER_H
#define MOIRE_FRONTEND_TOOLS_MOIREC_DRIVER_H

namespace moire {

/// Reads the command line, compiles, writes the output. 0 on success, else 1 and nothing written.
int runDriver(int argc, char **argv);

} // namespace moire

#endif // MOIRE_FRONTEND_TOOLS_MOIREC_DRIVER_H
