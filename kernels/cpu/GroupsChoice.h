//===- kernels/cpu/GroupsChoice.h - experts choose their tokens --------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A task is a range of groups. Lanes are experts: a vector of experts takes its
// best tokens one after the other, all lanes at once, so choosing costs
// group * count steps. Experts take few tokens of a group (count = group / experts
// times what a token is to get), which is why nothing is sorted.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_GROUPSCHOICE_H
#define MOIRE_KERNELS_CPU_GROUPSCHOICE_H

#include "kernels/cpu/GroupsSoftmax.h"

namespace moire::cpu {
inline namespace MOIRE_ISA_NAMESPACE {

/// The choice of one vector of experts in one group.
template <typename S> class TokenChooser {
  using V = Simd<S>;
  static constexpr int64_t lanes = V::lanes;
  static constexpr S lowest = -__builtin_huge_val();
  int64_t group;
  S *scores;      ///< [group][lanes]; what has been taken is lowest
  uint32_t *mask; ///< [group]: a bit for each lane that took the member

public:
  TokenChooser(ScratchFrame &frame, int64_t group)
      : group(group), scores(frame.take<S>(size_t(group * lanes))), mask(frame.take<uint32_t>(size_t(group))) {}

  /// Lets each lane take `count` members by the scores of its expert, `used` of them in a row, members `stride` apart.
  void choose(const S *from, int64_t stride, int64_t used, int64_t count) {
    for (int64_t i = 0; i < group; ++i) {
      V::store(scores + i * lanes, loadElements<S>(from + i * stride, used));
      mask[i] = 0;
    }
    for (int64_t j = 0; j < count; ++j) {
      // Member numbers as S are exact; a member counts when it is larger, so the first among equals stays.
      Vec<S> best = V::broadcast(lowest), place = V::broadcast(S(-1));
      for (int64_t i = 0; i < group; ++i) {
        Vec<S> score = V::load(scores + i * lanes);
        place = score > best ? V::broadcast(S(i)) : place;
        best = V::max(score, best);
      }
      S places[lanes];
      V::store(places, place);
      for (int64_t lane = 0; lane < used; ++lane)
        take(lane, int64_t(places[lane]));
    }
  }

  /// Whether `lane` took member `i`.
  bool taken(int64_t lane, int64_t i) const { return mask[i] >> lane & 1; }

private:
  void take(int64_t lane, int64_t i) {
    if (i < 0) // only minus infinity and NaN are left: the first that is not taken yet
      for (i = 0; taken(lane, i);)
        ++i;
    mask[i] |= 1u << lane;
    scores[i * lanes + lane] = lowest;
  }
};

template <typename S> void chooseTokens(const ChooseTokensArguments<S> &a) {
  constexpr int64_t lanes = Simd<S>::lanes;
  Grouping shape = a.shape;
  int64_t groups = groupsOf(shape);
  parallelFor(groups, groupsGrain(shape), [&](int64_t begin, int64_t end) {
    ScratchFrame frame;
    TokenChooser<S> chooser(frame, shape.group);
    for (int64_t n = begin; n < end; ++n)
      for (int64_t e = 0; e < shape.experts; e += lanes) {
        int64_t first = firstToken(shape, n), used = smaller(lanes, shape.experts - e), next[lanes];
        chooser.choose(a.scores + first * shape.experts + e, shape.time * shape.experts, used, a.count);
        for (int64_t lane = 0; lane < used; ++lane)
          next[lane] = ((e + lane) * groups + n) * a.count;
        for (int64_t i = 0; i < shape.group; ++i) {
          int64_t token = first + i * shape.time;
          int32_t *position = a.position + token * shape.experts + e;
          for (int64_t lane = 0; lane < used; ++lane) {
            position[lane] = -1;
            if (!chooser.taken(lane, i))
              continue;
            a.rows[next[lane]] = int32_t(token);
            position[lane] = int32_t(next[lane]++);
          }
        }
      }
  });
}

} // namespace MOIRE_ISA_NAMESPACE
} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_GROUPSCHOICE_H
