// Row kernels on bf16 agree with plain loops, with and without the processor's conversions.
// REQUIRES: compiler, runtime
// RUN: moire-evaluate --compiled --features=native --tolerance=2e-2 %s
// RUN: moire-evaluate --compiled --features=avx2 --tolerance=2e-2 %s
// RUN: moire-evaluate --compiled --features=baseline --tolerance=2e-2 %s

// Narrow storage: computed in full precision, rounded where it is stored.
func.func @halves(%x: tensor<30x77xbf16>, %w: tensor<77xf32>, %h: tensor<30x154xbf16>) -> (tensor<30x77xbf16>, tensor<30x77xbf16>, tensor<30x154xbf16>) {
  %y, %r = moire.rms_norm %x, %w eps 1.0e-5 : (tensor<30x77xbf16>, tensor<77xf32>) -> (tensor<30x77xbf16>, tensor<30xf32>)
  %g = moire.slice %h dim 1 at 0 : tensor<30x154xbf16> to tensor<30x77xbf16>
  %u = moire.slice %h dim 1 at 77 : tensor<30x154xbf16> to tensor<30x77xbf16>
  %s = moire.unary silu %g : tensor<30x77xbf16>
  %m = moire.binary mul %s, %u : (tensor<30x77xbf16>, tensor<30x77xbf16>) -> tensor<30x77xbf16>
  %c = moire.concat %x, %u dim 1 : (tensor<30x77xbf16>, tensor<30x77xbf16>) -> tensor<30x154xbf16>
  return %y, %m, %c : tensor<30x77xbf16>, tensor<30x77xbf16>, tensor<30x154xbf16>
}
