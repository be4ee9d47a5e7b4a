//===- test/dialect/Parsed.h - ops from text --------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A function written as text, and the ops in it: what tests of interfaces ask their questions about.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_TEST_DIALECT_PARSED_H
#define MOIRE_TEST_DIALECT_PARSED_H

#include "dialect/IR/MoireOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include <gtest/gtest.h>

namespace moire::test {

/// A parsed function. The test fails when the text is wrong.
class Parsed {
public:
  /// `body` stands between the braces of a function of `arguments`.
  Parsed(llvm::StringRef arguments, llvm::StringRef body) {
    context.loadDialect<MoireDialect, mlir::func::FuncDialect>();
    std::string text = ("func.func @f(" + arguments + ") {\n" + body + "\nreturn\n}\n").str();
    module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    EXPECT_TRUE(module) << text;
  }

  /// The last op of this kind. The test fails when there is none.
  template <typename OpTy> OpTy last() {
    OpTy found;
    if (module)
      module->walk([&](OpTy op) { found = op; });
    EXPECT_TRUE(found) << "no such op";
    return found;
  }

private:
  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
};

} // namespace moire::test

#endif // MOIRE_TEST_DIALECT_PARSED_H
