//===- test/passes/PlaceTest.cpp - strided windows --------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Views of places address the elements that the tensor op would pick: every chain of slices and reshapes is compared
// with the same chain on a list of element numbers.
//===----------------------------------------------------------------------===//
#include "passes/Conversion/Buffers/Place.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/MLIRContext.h"
#include <deque>
#include <gtest/gtest.h>
#include <random>

using namespace mlir;
using namespace moire;

namespace {

class PlaceTest : public testing::Test {
protected:
  Root &root(ArrayRef<int64_t> shape) {
    Root &made = roots.emplace_back(UnknownLoc::get(&context));
    made.element = Float32Type::get(&context);
    made.shape.assign(shape.begin(), shape.end());
    return made;
  }

  /// Numbers of the root's elements that a place addresses, row-major.
  static std::vector<int64_t> elementsOf(const Place &place) {
    std::vector<int64_t> result;
    SmallVector<int64_t> index(place.rank());
    for (int64_t count = place.elements(); count > 0; --count) {
      int64_t at = place.offset;
      for (auto [i, stride] : llvm::zip(index, place.strides))
        at += i * stride;
      result.push_back(at);
      for (int64_t dim = place.rank() - 1; dim >= 0 && ++index[dim] == place.shape[dim]; --dim)
        index[dim] = 0;
    }
    return result;
  }

  MLIRContext context;
  std::deque<Root> roots;
};

} // namespace

TEST_F(PlaceTest, WholeIsDense) {
  Place place = Place::whole(root({2, 3, 4}));
  EXPECT_TRUE(place.isDense());
  EXPECT_EQ(place.rowStride(1), 4);
  EXPECT_EQ(place.rowStride(2), 12);
  EXPECT_EQ(elementsOf(place).back(), 23);
}

TEST_F(PlaceTest, SliceOfColumnsKeepsOneStride) {
  Place place = Place::whole(root({2, 3, 8})).sliced(2, 4, 4);
  EXPECT_FALSE(place.isDense());
  EXPECT_TRUE(place.hasDenseRows(1));
  EXPECT_EQ(place.rowStride(1), 8);
  EXPECT_EQ(place.rowStride(2), std::nullopt);
  std::optional<Place> heads = place.reshaped({2, 3, 2, 2});
  ASSERT_TRUE(heads);
  EXPECT_EQ(heads->rowStride(2), 8);
  EXPECT_EQ(elementsOf(*heads), elementsOf(place));
}

TEST_F(PlaceTest, SliceOfTimeHasNoSingleStrideUnlessTheBatchIsOne) {
  EXPECT_EQ(Place::whole(root({2, 3, 8})).sliced(1, 1, 2).rowStride(1), std::nullopt);
  EXPECT_EQ(Place::whole(root({1, 3, 8})).sliced(1, 1, 2).rowStride(1), 8);
}

TEST_F(PlaceTest, JoiningGappedDimensionsIsRefused) {
  Place place = Place::whole(root({2, 8})).sliced(1, 0, 4);
  EXPECT_FALSE(place.reshaped({8}));
  EXPECT_TRUE(place.reshaped({2, 2, 2}));
}

TEST_F(PlaceTest, RowsOfStacks) {
  Place stack = Place::whole(root({5, 2, 3}));
  EXPECT_EQ(stack.row(2).offset, 12);
  Place moving = stack.row(Term{nullptr, LoopIndex::Row, {}, 0});
  ASSERT_EQ(moving.terms.size(), 1u);
  EXPECT_EQ(moving.terms[0].stride, 6);
  EXPECT_EQ(stack.row(Term{nullptr, LoopIndex::Parity, {}, 0}, /*backwards=*/true).terms[0].stride, -6);
  EXPECT_TRUE(moving.isDense());
}

TEST_F(PlaceTest, PlacesAreEqualUpToStridesOfSingleElements) {
  Place a = Place::whole(root({1, 4}));
  Place b = a;
  b.strides[0] = 77;
  EXPECT_TRUE(a == b);
  b.offset = 1;
  EXPECT_FALSE(a == b);
}

TEST_F(PlaceTest, RandomChainsAddressTheRightElements) {
  std::mt19937 random(3);
  auto divisors = [](int64_t n) {
    std::vector<int64_t> result;
    for (int64_t d = 1; d <= n; ++d)
      if (n % d == 0)
        result.push_back(d);
    return result;
  };
  int reshapes = 0;
  for (int round = 0; round < 300; ++round) {
    Place place = Place::whole(root({2, 6, 4}));
    std::vector<int64_t> expected = elementsOf(place);
    for (int step = 0; step < 4; ++step) {
      if (random() % 2) {
        int64_t dim = random() % place.rank(), extent = place.shape[dim];
        int64_t count = 1 + random() % extent, first = random() % (extent - count + 1);
        int64_t inner = elementCount(ArrayRef<int64_t>(place.shape).drop_front(dim + 1));
        std::vector<int64_t> kept;
        for (size_t i = 0; i < expected.size(); ++i) {
          int64_t at = int64_t(i) / inner % extent;
          if (at >= first && at < first + count)
            kept.push_back(expected[i]);
        }
        expected = kept;
        place = place.sliced(dim, first, count);
      } else {
        std::vector<int64_t> all = divisors(place.elements());
        int64_t first = all[random() % all.size()];
        std::vector<int64_t> rest = divisors(place.elements() / first);
        int64_t second = rest[random() % rest.size()];
        std::optional<Place> view = place.reshaped({first, second, place.elements() / first / second});
        if (!view)
          continue;
        place = *view;
        ++reshapes;
      }
      EXPECT_EQ(elementsOf(place), expected);
    }
  }
  EXPECT_GT(reshapes, 100);
}
