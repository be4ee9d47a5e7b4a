//===----------------------------------------------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The dialect itself, the base class of its operations, and the type constraints they share.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_DIALECT_TD
#define MOIRE_DIALECT_TD

include "mlir/IR/OpBase.td"

def Moire_Dialect : Dialect {
  let name = "moire";
  let cppNamespace = "::moire";
  let summary = "Mixture models, from blocks as papers name them down to planned kernels";
  let description = [{
    Four levels live in this dialect. At the *model* level an op is a block of a paper (`moire.experts`); at the
    *tensor* level it is a differentiable primitive (`moire.grouped_linear`); at the *fused* level what one kernel
    does (`moire.rowwise`); at the *buffer* level a call on planned memory (`moire.kernel_call`, `moire.launch`).

    All shapes are static. A stream is `tensor<batch x time x width>`; row-like ops work on the last dimension and
    take any leading ones, none included, which is how the same op describes a tensor and a single row inside
    `moire.rowwise`.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
  let usePropertiesForAttributes = 1;
  let useDefaultAttributePrinterParser = 1;
  let useDefaultTypePrinterParser = 1;
}

class Moire_Op<string mnemonic, list<Trait> traits = []> : Op<Moire_Dialect, mnemonic, traits>;

/// Element types of activations and weights: f32, bf16 (with f32 for everything delicate) or f64.
def Moire_Float : AnyTypeOf<[F32, BF16, F64]>;
/// Statistics, routing, states, losses and gradients of parameters: never below f32.
def Moire_Full : AnyTypeOf<[F32, F64]>;
def Moire_Tensor : StaticShapeTensorOf<[Moire_Float]>;
def Moire_FullTensor : StaticShapeTensorOf<[Moire_Full]>;
def Moire_Index : StaticShapeTensorOf<[I32]>;
def Moire_AnyTensor : StaticShapeTensorOf<[F32, BF16, F64, I32]>;
def Moire_Buffer : StaticShapeMemRefOf<[F32, BF16, F64, I32]>;
def Moire_TensorOrBuffer : AnyTypeOf<[Moire_AnyTensor, Moire_Buffer]>;

#endif
