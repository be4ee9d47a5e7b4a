// Row kernels in machine code agree with plain loops: widths that leave tails, three widths of vectors.
// REQUIRES: compiler, runtime
// RUN: moire-evaluate --compiled --features=native --tolerance=5e-6 %s
// RUN: moire-evaluate --compiled --features=avx2 --tolerance=5e-6 %s
// RUN: moire-evaluate --compiled --features=baseline --tolerance=5e-6 %s

func.func @functions(%x: tensor<3x100xf32> {moire.spread = 4.0 : f64}) -> (tensor<3x100xf32>, tensor<3x100xf32>, tensor<3x100xf32>, tensor<3x100xf32>, tensor<3x100xf32>, tensor<3x100xf32>) {
  %0 = moire.unary exp %x : tensor<3x100xf32>
  %1 = moire.unary gelu %x : tensor<3x100xf32>
  %2 = moire.unary silu %x : tensor<3x100xf32>
  %3 = moire.unary sigmoid %x : tensor<3x100xf32>
  %4 = moire.unary softplus %x : tensor<3x100xf32>
  %5 = moire.unary log %4 : tensor<3x100xf32>
  return %0, %1, %2, %3, %4, %5 : tensor<3x100xf32>, tensor<3x100xf32>, tensor<3x100xf32>, tensor<3x100xf32>, tensor<3x100xf32>, tensor<3x100xf32>
}

func.func @slopes(%x: tensor<3x71xf32> {moire.spread = 4.0 : f64}, %d: tensor<3x71xf32>) -> (tensor<3x71xf32>, tensor<3x71xf32>, tensor<3x71xf32>, tensor<3x71xf32>, tensor<3x71xf32>) {
  %0 = moire.unary_grad relu2 %x, %d : tensor<3x71xf32>
  %1 = moire.unary_grad gelu %x, %d : tensor<3x71xf32>
  %2 = moire.unary_grad silu %x, %d : tensor<3x71xf32>
  %3 = moire.unary_grad sigmoid %x, %d : tensor<3x71xf32>
  %4 = moire.unary_grad softplus %x, %d : tensor<3x71xf32>
  return %0, %1, %2, %3, %4 : tensor<3x71xf32>, tensor<3x71xf32>, tensor<3x71xf32>, tensor<3x71xf32>, tensor<3x71xf32>
}

// A norm behind a sum, and its reverse; 80 rows are several chunks.
func.func @norms(%x: tensor<80x257xf32>, %r: tensor<80x257xf32>, %w: tensor<257xf32>, %b: tensor<257xf32>, %d: tensor<80x257xf32>)
    -> (tensor<80x257xf32>, tensor<80x257xf32>, tensor<80x257xf32>, tensor<257xf32>, tensor<80x257xf32>, tensor<257xf32>, tensor<257xf32>) {
  %s = moire.binary add %x, %r : (tensor<80x257xf32>, tensor<80x257xf32>) -> tensor<80x257xf32>
  %y, %rstd = moire.rms_norm %s, %w eps 1.0e-5 : (tensor<80x257xf32>, tensor<257xf32>) -> (tensor<80x257xf32>, tensor<80xf32>)
  %dx, %dw = moire.rms_norm_grad %d, %s, %w, %rstd : (tensor<80x257xf32>, tensor<80x257xf32>, tensor<257xf32>, tensor<80xf32>) -> (tensor<80x257xf32>, tensor<257xf32>)
  %n, %mean, %lrstd = moire.layer_norm %s, %w, %b eps 1.0e-5 : (tensor<80x257xf32>, tensor<257xf32>, tensor<257xf32>) -> (tensor<80x257xf32>, tensor<80xf32>, tensor<80xf32>)
  %lx, %lw, %lb = moire.layer_norm_grad %d, %s, %w, %mean, %lrstd : (tensor<80x257xf32>, tensor<80x257xf32>, tensor<257xf32>, tensor<80xf32>, tensor<80xf32>) -> (tensor<80x257xf32>, tensor<257xf32>, tensor<257xf32>)
  return %y, %n, %dx, %dw, %lx, %lw, %lb : tensor<80x257xf32>, tensor<80x257xf32>, tensor<80x257xf32>, tensor<257xf32>, tensor<80x257xf32>, tensor<257xf32>, tensor<257xf32>
}

// Losses and their reverse in one kernel; some targets do not count.
func.func @losses(%l: tensor<20x53xf32> {moire.spread = 5.0 : f64}, %t: tensor<20xi32> {moire.at_least = -2 : i64, moire.below = 53 : i64})
    -> (tensor<20xf32>, tensor<20x53xf32>, tensor<f32>, tensor<20x53xf32>, tensor<20x53xf32>) {
  %nll, %lse = moire.cross_entropy %l, %t : (tensor<20x53xf32>, tensor<20xi32>) -> (tensor<20xf32>, tensor<20xf32>)
  %c = moire.count_targets %t : (tensor<20xi32>) -> tensor<20xf32>
  %n = moire.reduce_leading %c : tensor<20xf32> to tensor<f32>
  %dl = moire.cross_entropy_grad %l, %t, %lse, %c : (tensor<20x53xf32>, tensor<20xi32>, tensor<20xf32>, tensor<20xf32>) -> tensor<20x53xf32>
  %p = moire.softmax %l : tensor<20x53xf32>
  %dp = moire.softmax_grad %p, %l : tensor<20x53xf32>
  %z, %zl = moire.z_loss %l coefficient 0.1 tokens 20 : (tensor<20x53xf32>) -> (tensor<20xf32>, tensor<20xf32>)
  %dz = moire.z_loss_grad %l, %zl, %z coefficient 0.1 tokens 20 : (tensor<20x53xf32>, tensor<20xf32>, tensor<20xf32>) -> tensor<20x53xf32>
  return %nll, %dl, %n, %dp, %dz : tensor<20xf32>, tensor<20x53xf32>, tensor<f32>, tensor<20x53xf32>, tensor<20x53xf32>
}

// Rows of other times, halves of rows, and rows that are chosen by number.
func.func @shifted(%h: tensor<2x13x66xf32>, %w: tensor<4x33xf32>, %b: tensor<33xf32>, %d: tensor<2x13x33xf32>,
                   %i: tensor<2x13xi32> {moire.below = 5 : i64}, %table: tensor<5x33xf32>)
    -> (tensor<2x13x33xf32>, tensor<2x13x66xf32>, tensor<2x13x33xf32>, tensor<4x33xf32>, tensor<33xf32>, tensor<5x33xf32>) {
  %x = moire.slice %h dim 2 at 33 : tensor<2x13x66xf32> to tensor<2x13x33xf32>
  %c = moire.conv causal %x, %w, %b : (tensor<2x13x33xf32>, tensor<4x33xf32>, tensor<33xf32>) -> tensor<2x13x33xf32>
  %e = moire.lookup %i, %table : (tensor<2x13xi32>, tensor<5x33xf32>) -> tensor<2x13x33xf32>
  %s = moire.binary mul %c, %e : (tensor<2x13x33xf32>, tensor<2x13x33xf32>) -> tensor<2x13x33xf32>
  %both = moire.concat %s, %x dim 2 : (tensor<2x13x33xf32>, tensor<2x13x33xf32>) -> tensor<2x13x66xf32>
  %dx = moire.conv_grad_input %d, %w : (tensor<2x13x33xf32>, tensor<4x33xf32>) -> tensor<2x13x33xf32>
  %dw, %db = moire.conv_grad_weight %x, %d : (tensor<2x13x33xf32>, tensor<2x13x33xf32>) -> (tensor<4x33xf32>, tensor<33xf32>)
  %dt = moire.lookup_grad %i, %d : (tensor<2x13xi32>, tensor<2x13x33xf32>) -> tensor<5x33xf32>
  return %c, %both, %dx, %dw, %db, %dt : tensor<2x13x33xf32>, tensor<2x13x66xf32>, tensor<2x13x33xf32>, tensor<4x33xf32>, tensor<33xf32>, tensor<5x33xf32>
}

func.func @sums(%x: tensor<3x40x7xf32>, %load: tensor<7xf32>, %d: tensor<f32>)
    -> (tensor<7xf32>, tensor<f32>, tensor<40x7xf32>, tensor<f32>, tensor<3x40x7xf32>) {
  %0 = moire.reduce_leading %x : tensor<3x40x7xf32> to tensor<7xf32>
  %1 = moire.reduce_leading %x : tensor<3x40x7xf32> to tensor<f32>
  %2 = moire.reduce_leading %x : tensor<3x40x7xf32> to tensor<40x7xf32>
  %3 = moire.balance_loss %x, %load factor 3.0 : (tensor<3x40x7xf32>, tensor<7xf32>) -> tensor<f32>
  %4 = moire.balance_loss_grad %d, %load factor 3.0 : (tensor<f32>, tensor<7xf32>) -> tensor<3x40x7xf32>
  return %0, %1, %2, %3, %4 : tensor<7xf32>, tensor<f32>, tensor<40x7xf32>, tensor<f32>, tensor<3x40x7xf32>
}
