//===- runtime/Core/Status.cpp - messages of failed system calls ----------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Turns error numbers of the operating system into text.
//
//===------------------------------------------------------------------------===//
#include "runtime/Core/Status.h"

#include <cerrno>
#include <system_error>

namespace moire::runtime {

Status Status::system(const std::string &what, int code) {
  return error("{}: {}", what, std::generic_category().message(code));
}

Status Status::system(const std::string &what) { return system(what, errno); }

} // namespace moire::runtime
