//===- dialect/IR/Precompiled.cpp - home of the precompiled headers ---------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A source of its own, so that the precompiled headers belong to no library in particular.
//===----------------------------------------------------------------------===//
#include "dialect/IR/Precompiled.h"
