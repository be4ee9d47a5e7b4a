// Each level is closed by what may no longer occur.
// RUN: moire-opt %s --moire-verify-level=level=tensor --split-input-file
// RUN: not moire-opt %s --moire-verify-level=level=fused --split-input-file 2>&1 | FileCheck %s --check-prefix=FUSED
// RUN: not moire-opt %s --moire-verify-level=level=linalg --split-input-file 2>&1 | FileCheck %s --check-prefix=LINALG
// RUN: not moire-opt %s --moire-verify-level=level=llvm --split-input-file 2>&1 | FileCheck %s --check-prefix=LLVM
// RUN: not moire-opt %s --moire-verify-level=level=moon --split-input-file 2>&1 | FileCheck %s --check-prefix=NAME

// FUSED: error: 'moire.unary' op may not occur at level `fused`
// FUSED-NOT: moire.slice
// LINALG: error: 'moire.unary' op may not occur at level `linalg`
// LINALG: error: 'moire.slice' op may not occur at level `linalg`
// LINALG: error: 'memref.alloc' op may not occur at level `linalg`
// LLVM: error: 'moire.unary' op may not occur at level `llvm`
// NAME: there is no level `moon` to close
func.func @f(%x: tensor<4xf32>) -> tensor<2xf32> {
  %y = moire.unary relu %x : tensor<4xf32>
  %s = moire.slice %y dim 0 at 1 : tensor<4xf32> to tensor<2xf32>
  return %s : tensor<2xf32>
}

// -----

func.func @g() {
  %a = memref.alloc() : memref<4xf32>
  return
}
