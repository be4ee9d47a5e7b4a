//===- test/dialect/InferenceTest.cpp - inference on anything ---------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Type inference runs before any verifier: whatever operands it is handed, it answers or reports, and never crashes.
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "test/dialect/Parsed.h"

using namespace mlir;

/// Types that no verifier would let pass, beside some that one would.
static SmallVector<Type> oddTypes(MLIRContext *context) {
  Builder builder(context);
  Type f32 = builder.getF32Type();
  return {builder.getIndexType(),
          f32,
          UnrankedTensorType::get(f32),
          RankedTensorType::get({}, f32),
          RankedTensorType::get({ShapedType::kDynamic, 8}, f32),
          RankedTensorType::get({0, 4, 8}, builder.getIntegerType(1)),
          RankedTensorType::get({2, 3, 4, 8}, builder.getBF16Type()),
          MemRefType::get({2, 8}, f32),
          VectorType::get({8}, f32)};
}

TEST(Inference, SurvivesAnyOperands) {
  MLIRContext context;
  context.loadDialect<moire::MoireDialect>();
  ScopedDiagnosticHandler quiet(&context, [](Diagnostic &) { return success(); });
  SmallVector<Type> types = oddTypes(&context);
  Block block;
  for (Type type : types)
    block.addArgument(type, UnknownLoc::get(&context));

  unsigned inferring = 0;
  for (RegisteredOperationName name : context.getRegisteredOperationsByDialect("moire")) {
    auto *interface = name.getInterface<InferTypeOpInterface>();
    if (!interface)
      continue;
    ++inferring;
    for (unsigned count = 0; count <= 9; ++count)
      for (unsigned first = 0; first < types.size(); ++first)
        for (unsigned step : {0, 1, 2}) {
          SmallVector<Value> operands;
          for (unsigned number = 0; number < count; ++number)
            operands.push_back(block.getArgument((first + number * step) % types.size()));
          SmallVector<Type> inferred;
          LogicalResult result =
              interface->inferReturnTypes(&context, UnknownLoc::get(&context), operands, DictionaryAttr::get(&context),
                                          OpaqueProperties(nullptr), RegionRange(), inferred);
          if (succeeded(result)) {
            EXPECT_TRUE(llvm::all_of(inferred, [](Type type) { return static_cast<bool>(type); }))
                << name.getStringRef().str();
          }
        }
  }
  EXPECT_GE(inferring, 12u);
}
