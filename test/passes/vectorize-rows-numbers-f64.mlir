// Row kernels in f64 are good enough for gradient checks.
// REQUIRES: compiler, runtime
// RUN: moire-evaluate --compiled --features=native --tolerance=1e-13 %s
// RUN: moire-evaluate --compiled --features=avx2 --tolerance=1e-13 %s
// RUN: moire-evaluate --compiled --features=baseline --tolerance=1e-13 %s

func.func @doubles(%x: tensor<12x29xf64> {moire.spread = 3.0 : f64}, %w: tensor<29xf64>, %d: tensor<12x29xf64>)
    -> (tensor<12x29xf64>, tensor<12x29xf64>, tensor<12x29xf64>, tensor<29xf64>, tensor<12x29xf64>) {
  %0 = moire.unary gelu %x : tensor<12x29xf64>
  %1 = moire.unary_grad gelu %x, %d : tensor<12x29xf64>
  %2 = moire.unary softplus %x : tensor<12x29xf64>
  %y, %r = moire.rms_norm %x, %w eps 1.0e-5 : (tensor<12x29xf64>, tensor<29xf64>) -> (tensor<12x29xf64>, tensor<12xf64>)
  %dx, %dw = moire.rms_norm_grad %d, %x, %w, %r : (tensor<12x29xf64>, tensor<12x29xf64>, tensor<29xf64>, tensor<12xf64>) -> (tensor<12x29xf64>, tensor<29xf64>)
  %p = moire.softmax %x : tensor<12x29xf64>
  return %0, %1, %2, %dw, %p : tensor<12x29xf64>, tensor<12x29xf64>, tensor<12x29xf64>, tensor<29xf64>, tensor<12x29xf64>
}
