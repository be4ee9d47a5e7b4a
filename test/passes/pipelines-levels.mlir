// Every level can be left and entered again, and the code in the end is the same.
// REQUIRES: compiler
// RUN: moirec %s --features=avx2 --emit=asm -o %t.direct
// RUN: moirec %s --features=avx2 --emit=tensor -o %t.tensor.mlir
// RUN: moirec %t.tensor.mlir --features=avx2 --emit=fused -o %t.fused.mlir
// RUN: moirec %t.fused.mlir --features=avx2 --emit=linalg -o %t.linalg.mlir
// RUN: moirec %t.linalg.mlir --features=avx2 --emit=llvm -o %t.llvm.mlir
// RUN: moirec %t.llvm.mlir --features=avx2 --emit=asm -o %t.steps
// RUN: diff %t.direct %t.steps
// RUN: FileCheck %s --check-prefix=TENSOR --input-file=%t.tensor.mlir
// RUN: FileCheck %s --check-prefix=FUSED --input-file=%t.fused.mlir
// RUN: FileCheck %s --check-prefix=LINALG --input-file=%t.linalg.mlir
// RUN: FileCheck %s --check-prefix=LLVM --input-file=%t.llvm.mlir

// TENSOR: moire.rms_norm_grad
// FUSED-NOT: moire.rms_norm_grad {{.*}} tensor<8x64xf32>
// FUSED: moire.rowwise
// LINALG: moire.launch
// LINALG: linalg.generic
// LLVM: llvm.call @moire_gemm_f32_f32
func.func @f(%x: tensor<8x64xf32>, %w: tensor<64x64xf32> {moire.differentiate}, %g: tensor<64xf32> {moire.differentiate}) -> (tensor<f32> {moire.objective}) {
  %y = moire.linear %x, %w : (tensor<8x64xf32>, tensor<64x64xf32>) -> tensor<8x64xf32>
  %n, %r = moire.rms_norm %y, %g eps 1.0e-5 : (tensor<8x64xf32>, tensor<64xf32>) -> (tensor<8x64xf32>, tensor<8xf32>)
  %m = moire.binary mul %n, %n : (tensor<8x64xf32>, tensor<8x64xf32>) -> tensor<8x64xf32>
  %loss = moire.reduce_leading %m : tensor<8x64xf32> to tensor<f32>
  return %loss : tensor<f32>
}
