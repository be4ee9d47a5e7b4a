//===- frontend/tools/moirec/moirec.cpp - the compiler's main --------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Compiles a spec to any level, or goes on from IR of any level.
//===----------------------------------------------------------------------===//
#include "frontend/tools/moirec/Driver.h"

int main(int argc, char **argv) { return moire::runDriver(argc, argv); }
