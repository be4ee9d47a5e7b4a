//===- kernels/cpu/GroupsSoftmax.h - softmax over the members of a group -----===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A task is a range of groups. Lanes are experts, so that a group is read line by
// line; members lie a power of two apart more often than not and would push each
// other out of the caches, so a few vectors of all members are worked on in scratch memory.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_GROUPSSOFTMAX_H
#define MOIRE_KERNELS_CPU_GROUPSSOFTMAX_H

#include "kernels/cpu/GroupsTable.h"
#include "kernels/cpu/Scratch.h"
#include "kernels/cpu/ThreadPool.h"
#include "kernels/cpu/VectorMath.h"

namespace moire::cpu {
inline namespace MOIRE_ISA_NAMESPACE {

/// Groups of a task: about 16k elements.
MOIRE_INLINE int64_t groupsGrain(const Grouping &shape) { return 1 + 16384 / (shape.group * shape.experts + 1); }

/// Vectors of experts that are worked on together: a cache line of float at the least.
inline constexpr int64_t groupVectors = 4;

template <typename S> void groupSoftmax(const GroupSoftmaxArguments<S> &a) {
  using V = Simd<S>;
  constexpr int64_t lanes = V::lanes;
  Grouping shape = a.shape;
  parallelFor(groupsOf(shape), groupsGrain(shape), [&](int64_t begin, int64_t end) {
    ScratchFrame frame;
    S *powers = frame.take<S>(size_t(shape.group * groupVectors * lanes));
    int64_t stride = shape.time * shape.experts;
    for (int64_t n = begin; n < end; ++n)
      for (int64_t e = 0; e < shape.experts; e += groupVectors * lanes) {
        int64_t at = firstToken(shape, n) * shape.experts + e;
        int64_t vectors = smaller(groupVectors, (shape.experts - e + lanes - 1) / lanes);
        for (int64_t v = 0; v < vectors; ++v) {
          int64_t used = smaller(lanes, shape.experts - e - v * lanes);
          const S *from = a.from + at + v * lanes;
          S *power = powers + v * lanes;
          Vec<S> most = loadElements<S>(from, used);
          for (int64_t i = 0; i < shape.group; ++i) {
            Vec<S> logits = loadElements<S>(from + i * stride, used);
            most = V::max(logits, most);
            V::store(power + i * groupVectors * lanes, logits);
          }
          Vec<S> sum = V::zero();
          for (int64_t i = 0; i < shape.group; ++i) {
            S *place = power + i * groupVectors * lanes;
            Vec<S> value = expScaled((V::load(place) - most) * V::broadcast(expScale<S>));
            V::store(place, value);
            sum = sum + value;
          }
          Vec<S> scale = V::broadcast(S(1)) / sum;
          for (int64_t i = 0; i < shape.group; ++i)
            storeElements<S>(a.to + at + v * lanes + i * stride, V::load(power + i * groupVectors * lanes) * scale,
                             used);
        }
      }
  });
}

template <typename S> void groupSoftmaxBackward(const GroupSoftmaxArguments<S> &a) {
  using V = Simd<S>;
  constexpr int64_t lanes = V::lanes;
  Grouping shape = a.shape;
  parallelFor(groupsOf(shape), groupsGrain(shape), [&](int64_t begin, int64_t end) {
    int64_t stride = shape.time * shape.experts;
    for (int64_t n = begin; n < end; ++n)
      for (int64_t e = 0; e < shape.experts; e += lanes) {
        int64_t at = firstToken(shape, n) * shape.experts + e, used = smaller(lanes, shape.experts - e);
        Vec<S> mean = V::zero();
        for (int64_t i = 0; i < shape.group; ++i)
          mean = V::fma(loadElements<S>(a.from + at + i * stride, used),
                        loadElements<S>(a.dweights + at + i * stride, used), mean);
        for (int64_t i = 0; i < shape.group; ++i) {
          Vec<S> difference = loadElements<S>(a.dweights + at + i * stride, used) - mean;
          storeElements<S>(a.to + at + i * stride, loadElements<S>(a.from + at + i * stride, used) * difference, used);
        }
      }
  });
}

} // namespace MOIRE_ISA_NAMESPACE
} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_GROUPSSOFTMAX_H
