// The remark names what makes up the peak, largest first.
// RUN: moire-opt %s --moire-plan-memory --remarks-filter-analyse=moire-plan-memory --remark-format=emitRemark 2>&1 | FileCheck %s

// CHECK: arena of 1280 bytes for 2 buffers; 1280 bytes alive at the peak
// CHECK-NEXT: 1024 bytes: memref<256xf32>
// CHECK-NEXT: 256 bytes: memref<64xf32>
func.func @f(%x: memref<64xf32>, %y: memref<256xf32>) {
  %a = memref.alloc() : memref<64xf32>
  %b = memref.alloc() : memref<256xf32>
  memref.copy %x, %a : memref<64xf32> to memref<64xf32>
  memref.copy %y, %b : memref<256xf32> to memref<256xf32>
  memref.copy %a, %x : memref<64xf32> to memref<64xf32>
  memref.copy %b, %y : memref<256xf32> to memref<256xf32>
  return
}
