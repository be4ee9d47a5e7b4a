// Widths that no processor has are refused.
// RUN: moire-opt %s --moire-vectorize-rows=vector-bits=100 --verify-diagnostics

// expected-error@+1 {{expects `vector-bits` of 128, 256 or 512, got 100}}
module {
}
