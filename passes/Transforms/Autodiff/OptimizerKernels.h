//===- passes/Transforms/Autodiff/OptimizerKernels.h - sweeps over parameters --===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writes the kernels of the optimizer: loops over tasks, and in a task one sweep of full vectors and one over what is
// left. BuildOptimizer.cpp puts the entry points around them.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_TRANSFORMS_AUTODIFF_OPTIMIZERKERNELS_H
#define MOIRE_PASSES_TRANSFORMS_AUTODIFF_OPTIMIZERKERNELS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "passes/Analysis/ParameterLayout.h"

namespace moire::optimizer {

/// Slots of the buffer of f64 scalars that the entry point fills for the update kernel.
enum Coefficient : int64_t {
  GradientScale, ///< grad_scale times the factor of clipping
  Beta1,
  Rest1, ///< 1 - beta1
  Beta2,
  Rest2,   ///< 1 - beta2
  Unbias1, ///< 1 / (1 - beta1^step)
  Unbias2, ///< 1 / (1 - beta2^step)
  Epsilon,
  RateStart, ///< the learning rate's part that fades, before the parameter's factor
  RateEnd,   ///< its part that rises to the last learning rate
  Decay,     ///< weight decay before the parameter's factor
  CoefficientCount
};

/// What a task knows of its parameter; of one that follows the sign rule the first is its rate.
enum Factor : int64_t { StartFactor, EndFactor, DecayFactor, FactorCount };

/// The kernels of one module. Every member adds one private function; names are the symbols that launches use.
class Kernels {
public:
  /// Cuts the parameters into tasks and writes them down as constants. `bits`: width of a vector. With `nativeBf16`
  /// rounding to bf16 is one instruction, else integer arithmetic.
  Kernels(mlir::ModuleOp module, const ParameterLayout &layout, unsigned bits, bool nativeBf16);

  /// Kernel(begin, end, grads, partials): the sum of squares of each task, in f64.
  void buildNorm(llvm::StringRef name);
  /// Kernel(begin, end, params, grads, moment1, moment2, [compute,] coefficients): AdamW, and the bf16 copy.
  void buildUpdate(llvm::StringRef name);
  /// Kernel(begin, end, params, grads): the sign rule, over the tasks of the parameters that follow it.
  void buildSign(llvm::StringRef name);
  /// Kernel(begin, end, accumulator, grads): the sum of both into the accumulator.
  void buildAccumulate(llvm::StringRef name);
  /// Kernel(begin, end, params, compute): the bf16 copy.
  void buildRefresh(llvm::StringRef name);

  /// Tasks of the parameters that AdamW moves, of those that follow the sign rule, and of frozen ones that are copied.
  int64_t taskCount() const { return tasks; }
  int64_t signTaskCount() const { return signTasks; }
  int64_t frozenTaskCount() const { return frozenTasks; }
  /// Types of params; of grads and moments; of the bf16 copies (null when there are none).
  mlir::MemRefType flatType() const { return flat; }
  mlir::MemRefType trainedType() const { return trained; }
  mlir::MemRefType computeType() const { return compute; }

private:
  using Builder = mlir::ImplicitLocOpBuilder;
  /// Where a task lies, as values in a kernel.
  struct Task {
    mlir::Value number, offset, length, computeOffset;
  };

  void writeTasks(const ParameterLayout &layout);
  void addGlobal(llvm::StringRef name, mlir::DenseElementsAttr value);
  /// A function over tasks, counted from number `first`; `body(builder, task, buffers)` writes what is done for one.
  void buildKernel(llvm::StringRef name, llvm::ArrayRef<mlir::Type> buffers,
                   llvm::function_ref<void(Builder &, const Task &, mlir::ValueRange)> body, int64_t first = 0);
  /// Two loops over the elements of a task: full vectors, then single elements. `body(builder, type, index, element)`
  /// gets the type to work in, the index in the flat buffers, and the number of the element in the task.
  void sweep(Builder &builder, const Task &task,
             llvm::function_ref<void(Builder &, mlir::Type, mlir::Value, mlir::Value)> body);
  mlir::Value loadFactor(Builder &builder, const Task &task, int64_t which);
  mlir::Value toBf16(Builder &builder, mlir::Value value);

  mlir::ModuleOp module;
  mlir::FloatType element;
  int64_t width; ///< elements in a vector
  bool nativeBf16;
  int64_t tasks = 0, signTasks = 0, frozenTasks = 0;
  mlir::MemRefType flat, trained, compute, taskType, factorType;
};

} // namespace moire::optimizer

#endif // MOIRE_PASSES_TRANSFORMS_AUTODIFF_OPTIMIZERKERNELS_H
