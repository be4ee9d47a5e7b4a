// A module without a model becomes a shared object that exports plain calls and needs kernels only.
// REQUIRES: compiler
// RUN: moirec %s -o %t.so
// RUN: llvm-nm -D --defined-only --format=just-symbols %t.so | sort | FileCheck %s --check-prefix=EXPORTS
// RUN: llvm-nm -D --undefined-only --format=just-symbols %t.so | sort | FileCheck %s --check-prefix=NEEDS
// RUN: moirec %s --emit=asm -o - | FileCheck %s --check-prefix=ASM

// EXPORTS: moire_arena_f
// EXPORTS-NEXT: moire_call_f
// EXPORTS-NEXT: moire_signature_f
// EXPORTS-NOT: {{.}}
// NEEDS: moire_gemm_f32_f32
// NEEDS-NEXT: moire_parallel_for
// NEEDS-NOT: {{.}}
// ASM: .globl moire_call_f
// ASM: moire_gemm_f32_f32@PLT
func.func @f(%x: tensor<64x64xf32>, %w: tensor<64x512xf32>) -> tensor<64x512xf32> {
  %y = moire.linear %x, %w : (tensor<64x64xf32>, tensor<64x512xf32>) -> tensor<64x512xf32>
  %z = moire.unary gelu %y : tensor<64x512xf32>
  return %z : tensor<64x512xf32>
}
