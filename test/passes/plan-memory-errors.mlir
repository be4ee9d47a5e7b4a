// Kernels run on many threads: their scratch is on the stack.
// RUN: moire-opt %s --moire-plan-memory --verify-diagnostics

func.func private @kernel(%begin: index, %end: index) {
  // expected-error @below {{'memref.alloc' op is inside a kernel, which must not allocate}}
  %a = memref.alloc() : memref<64xf32>
  return
}
