//===- passes/Conversion/Rowwise/VectorMath.cpp - functions as polynomials --===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Each function is reduced to a small interval and approximated there by a polynomial. The coefficients are Chebyshev
// fits made with 40 digits; the comment at each says of what and where. No branches: what differs by range is selected.
//===----------------------------------------------------------------------===//
#include "passes/Conversion/Rowwise/VectorMath.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"
#include <limits>

using namespace mlir;

namespace {

/// Writes arithmetic on values of one type, a float or a vector of floats.
class Formula {
public:
  Formula(OpBuilder &builder, Location loc, Type type, moire::rows::ConstantPool &pool)
      : b(builder), loc(loc), type(type), pool(pool), isDouble(getElementTypeOrSelf(type).isF64()) {}

  Value exp(Value x, bool finite = false);
  Value log(Value x);
  Value log1p(Value x);
  Value log1pOfFraction(Value x);
  Value erf(Value x);
  Value erfc(Value x);
  Value erfNear0(Value x);
  Value erfcOfSize(Value size);
  Value tanh(Value x);
  Value rsqrt(Value x) { return div(number(1), math::SqrtOp::create(b, loc, x)); }

private:
  static constexpr auto fused = arith::FastMathFlags::contract;
  Value number(double value) {
    return pool.get(b, loc, splat(type, b.getFloatAttr(getElementTypeOrSelf(type), value)));
  }
  Value integer(int64_t value) {
    return pool.get(b, loc, splat(bitsType(), b.getIntegerAttr(getElementTypeOrSelf(bitsType()), value)));
  }
  TypedAttr splat(Type of, TypedAttr element) {
    if (auto shaped = dyn_cast<ShapedType>(of))
      return DenseElementsAttr::get(shaped, Attribute(element));
    return element;
  }
  Type bitsType() {
    Type element = b.getIntegerType(isDouble ? 64 : 32);
    auto shaped = dyn_cast<ShapedType>(type);
    return shaped ? shaped.clone(element) : element;
  }
  Value add(Value x, Value y) { return arith::AddFOp::create(b, loc, x, y, fused); }
  Value sub(Value x, Value y) { return arith::SubFOp::create(b, loc, x, y, fused); }
  Value mul(Value x, Value y) { return arith::MulFOp::create(b, loc, x, y, fused); }
  Value div(Value x, Value y) { return arith::DivFOp::create(b, loc, x, y); }
  Value abs(Value x) { return math::AbsFOp::create(b, loc, x); }
  Value select(Value c, Value x, Value y) { return arith::SelectOp::create(b, loc, c, x, y); }
  Value compare(arith::CmpFPredicate how, Value x, Value y) { return arith::CmpFOp::create(b, loc, how, x, y); }
  Value less(Value x, Value y) { return compare(arith::CmpFPredicate::OLT, x, y); }
  Value bits(Value x) { return arith::BitcastOp::create(b, loc, bitsType(), x); }
  Value fromBits(Value x) { return arith::BitcastOp::create(b, loc, type, x); }
  Value addBits(Value x, Value y) { return arith::AddIOp::create(b, loc, x, y); }
  /// Largest and smallest that keep a NaN: written as comparisons of this order they are one instruction each on x86.
  Value atLeast(Value x, double low) { return select(less(x, number(low)), number(low), x); }
  Value atMost(Value x, double high) {
    return select(compare(arith::CmpFPredicate::OGT, x, number(high)), number(high), x);
  }
  Value polynomial(ArrayRef<double> coefficients, Value x) {
    Value sum = number(coefficients.back());
    for (double coefficient : llvm::reverse(coefficients.drop_back()))
      sum = add(mul(sum, x), number(coefficient));
    return sum;
  }

  OpBuilder &b;
  Location loc;
  Type type;
  moire::rows::ConstantPool &pool;
  bool isDouble;
};

} // namespace

/// `x = n ln 2 + r`, `exp x = 2^n exp r`. Adding 1.5 2^mantissa rounds x / ln 2 to a whole number and leaves it in the
/// low bits, from where a shift makes it an exponent. The polynomial is twice exp r and the exponent one less, so that
/// n = 128 (1024) is still in range, and the lowest n gives a factor of exactly 0. With `finite` the result stops
/// growing where it would overflow.
Value Formula::exp(Value x, bool finite) {
  double magic = isDouble ? 0x1.8p52 : 0x1.8p23;
  double high = isDouble ? 0.69314718036912381649 : 0.693359375;
  double low = isDouble ? 1.9082149292705877e-10 : -2.1219444005469058e-4;
  double most = isDouble ? 709.0 : 88.0;
  x = atMost(atLeast(x, isDouble ? -708.39 : -87.33), finite ? most : most + 1);
  Value shifted = add(mul(x, number(1.4426950408889634)), number(magic));
  // Not `sub`: the difference must not be contracted with what made it.
  Value n = arith::SubFOp::create(b, loc, shifted, number(magic));
  Value r = sub(sub(x, mul(n, number(high))), mul(n, number(low)));
  // 2 exp r for |r| <= ln 2 / 2.
  static constexpr double single[] = {2,
                                      2,
                                      1.0,
                                      2 * 0.16666577025597988,
                                      2 * 0.041666554662050534,
                                      2 * 0.0083631730745137109,
                                      2 * 0.0013926176119935579};
  static constexpr double twice[] = {2,
                                     2,
                                     1.0,
                                     2 * 0.16666666666666671,
                                     2 * 0.04166666666666667,
                                     2 * 0.0083333333333261409,
                                     2 * 0.0013888888888883752,
                                     2 * 0.00019841269874800492,
                                     2 * 2.4801587325533364e-5,
                                     2 * 2.7557255425746434e-6,
                                     2 * 2.7557273661348636e-7,
                                     2 * 2.5105206373957011e-8,
                                     2 * 2.0914679376583935e-9};
  Value raised = isDouble ? polynomial(twice, r) : polynomial(single, r);
  Value exponent = addBits(bits(shifted), integer(isDouble ? 1022 : 126));
  Value scale = arith::ShLIOp::create(b, loc, exponent, integer(isDouble ? 52 : 23));
  return mul(raised, fromBits(scale));
}

/// `x = 2^e m` with m in [sqrt 1/2, sqrt 2), `log x = e ln 2 + log m`. Numbers below the smallest normal one count as
/// 0.
Value Formula::log(Value x) {
  int64_t mantissa = isDouble ? 52 : 23;
  Value raw = bits(x);
  Value above = addBits(raw, integer(isDouble ? -0x3fe6a09e667f3bcd : -0x3f3504f3));
  Value exponent = arith::ShRSIOp::create(b, loc, above, integer(mantissa));
  Value m = fromBits(arith::SubIOp::create(b, loc, raw, arith::ShLIOp::create(b, loc, exponent, integer(mantissa))));
  Value e = arith::SIToFPOp::create(b, loc, type, exponent);
  Value f = sub(m, number(1)), result;
  if (isDouble) {
    // log m = 2 atanh s = 2 s + s^3 P(s^2), s = (m - 1) / (m + 1), |s| <= 0.1716.
    static constexpr double p[] = {0.66666666666666666, 0.40000000000000877, 0.28571428570803612, 0.22222222391713917,
                                   0.18181795640132906, 0.15386239702814658, 0.13268773138656885, 0.13086626147840102};
    Value s = div(f, add(m, number(1))), w = mul(s, s);
    Value tail = mul(mul(s, w), polynomial(p, w));
    result =
        add(mul(e, number(0.69314718036912381649)), add(add(s, s), add(tail, mul(e, number(1.9082149292705877e-10)))));
  } else {
    // log(1 + f) = f - f^2 / 2 + f^3 P(f), without a division.
    static constexpr double p[] = {0.33333331180030048,  -0.24999996957950882, 0.20000715748892102,
                                   -0.16667802319501254, 0.1424905764569748,   -0.12425687331451106,
                                   0.11685419923486739,  -0.11479733846637636, 0.069716114714511778};
    Value square = mul(f, f);
    Value tail = sub(mul(mul(square, f), polynomial(p, f)), mul(number(0.5), square));
    result = add(mul(e, number(0.693359375)), add(f, add(mul(e, number(-2.1219444005469058e-4)), tail)));
  }
  double infinity = std::numeric_limits<double>::infinity();
  double normal = isDouble ? std::numeric_limits<double>::min() : std::numeric_limits<float>::min();
  result = select(less(x, number(normal)), number(-infinity), result);
  result = select(less(x, number(0)), number(std::numeric_limits<double>::quiet_NaN()), result);
  return select(less(x, number(infinity)), result, x);
}

/// `log(1 + x)` with what the sum lost put back: `log y + (x - (y - 1)) / y`, y = 1 + x rounded.
Value Formula::log1p(Value x) {
  Value y = arith::AddFOp::create(b, loc, number(1), x);
  Value lost = arith::SubFOp::create(b, loc, x, arith::SubFOp::create(b, loc, y, number(1)));
  Value correction = select(less(number(0), y), div(lost, y), number(0));
  return select(less(x, number(std::numeric_limits<double>::infinity())), add(log(y), correction), x);
}

/// `log(1 + x) = x P(x)` for x in [0, 1].
Value Formula::log1pOfFraction(Value x) {
  static constexpr double single[] = {
      0.99999999465629198,  -0.49999892648063279, 0.33329710498917749,   -0.24951616262872074, 0.19663274257204805,
      -0.15269667074363288, 0.10543623795419526,  -0.056373612830107328, 0.019542527261014101, -0.0031760570184319597};
  static constexpr double twice[] = {1.0,
                                     -0.49999999999999834,
                                     0.33333333333306461,
                                     -0.24999999998264811,
                                     0.19999999940349815,
                                     -0.16666665403691092,
                                     0.1428569630956731,
                                     -0.12499817769513954,
                                     0.11109740896460193,
                                     -0.099921278217600168,
                                     0.090555675155907331,
                                     -0.08207163680437429,
                                     0.073290152555349544,
                                     -0.062887546707831463,
                                     0.05007742395391704,
                                     -0.035530525401441245,
                                     0.021511022653356974,
                                     -0.01061469636358553,
                                     0.004047809893467512,
                                     -0.0011093809681700343,
                                     0.00019330794553431146,
                                     -1.6020216725538193e-5};
  return mul(x, isDouble ? polynomial(twice, x) : polynomial(single, x));
}

/// erf on |x| <= 1 as x P(x^2).
Value Formula::erfNear0(Value x) {
  static constexpr double single[] = {1.1283791261787373,    -0.37612343775327804, 0.11280316652505075,
                                      -0.026715054232266431, 0.004921762027877231, -0.00056480598655030437};
  static constexpr double twice[] = {1.1283791670955126,     -0.37612638903183748,   0.11283791670954879,
                                     -0.026866170645076793,  0.0052239776248180145,  -0.00085483269808337899,
                                     0.00012055331111642711, -1.4925595266831182e-5, 1.6461000484121368e-6,
                                     -1.6350312701054695e-7, 1.4659775274047436e-8,  -1.1372848856791674e-9,
                                     5.9571761477489114e-11};
  Value square = mul(x, x);
  return mul(x, isDouble ? polynomial(twice, square) : polynomial(single, square));
}

/// erfc of |x|: in f32 on all numbers, in f64 beyond 1.
Value Formula::erfcOfSize(Value size) {
  if (!isDouble) {
    // exp(x Q(x)), Q the fit of log erfc(x) / x up to 4. Beyond, the sum falls ever faster, and so does its
    // exponential.
    static constexpr double q[] = {-1.1283793887814759,    -0.63660872711156735,    -0.10286206004531453,
                                   0.019402622335078291,   -0.00019481944435194016, -0.0014037605628788814,
                                   0.00053547524239542635, -0.00010554070435964095, 1.1312982686559857e-5,
                                   -5.2000502996286086e-7};
    return exp(mul(size, polynomial(q, size)));
  }
  // exp(-x^2) Q(t), Q the fit of exp(x^2) erfc(x) in t = (x - 3) / (x + 3) up to 6; beyond, erfc counts for nothing.
  static constexpr double q[] = {0.17900115118138995,    -0.32623356004303723,   0.24560380171233091,
                                 -0.15011593650077743,   0.071665837197973469,   -0.024392499318655417,
                                 0.0042691363331483025,  0.00070774643851773535, -0.00059706195861583047,
                                 4.5255298034073953e-5,  6.4056733422068437e-5,  -1.2860318447907675e-5,
                                 -7.9798177043487268e-6, 2.1169509641489687e-6,  1.2598817267482605e-6,
                                 -2.7269500546476834e-7, -2.3893874634747923e-7, -2.5925894581233315e-8};
  Value bounded = atMost(size, 6);
  Value t = div(sub(bounded, number(3)), add(bounded, number(3)));
  return mul(exp(arith::NegFOp::create(b, loc, mul(size, size))), polynomial(q, t));
}

Value Formula::erf(Value x) {
  Value size = abs(x), far = sub(number(1), erfcOfSize(size));
  return select(less(size, number(1)), erfNear0(x), math::CopySignOp::create(b, loc, far, x));
}

Value Formula::erfc(Value x) {
  Value size = abs(x), above = erfcOfSize(size);
  Value result = select(less(x, number(0)), sub(number(2), above), above);
  return isDouble ? select(less(size, number(1)), sub(number(1), erfNear0(x)), result) : result;
}

/// Near 0 `x + x^3 P(x^2)`, else `1 - 2 / (exp 2|x| + 1)` with the sign of x.
Value Formula::tanh(Value x) {
  // P on x^2 <= 0.4.
  static constexpr double single[] = {-0.33333328433318589, 0.13332718845589667, -0.053843263175278768,
                                      0.020961329108563817, -0.0060451650965224006};
  static constexpr double twice[] = {-0.33333333333333333,   0.13333333333332962,    -0.05396825396781054,
                                     0.021869488515352347,   -0.008863235024306106,  0.003592120760870841,
                                     -0.0014557676940659455, 0.00058962214868720599, -0.00023746756598223251,
                                     9.232749708085371e-5,   -3.092912547386467e-5,  6.3543408148597192e-6};
  Value size = abs(x), square = mul(x, x);
  Value small = add(x, mul(mul(x, square), isDouble ? polynomial(twice, square) : polynomial(single, square)));
  Value raised = exp(add(size, size));
  Value large = sub(number(1), div(number(2), add(raised, number(1))));
  return select(less(square, number(0.4)), small, math::CopySignOp::create(b, loc, large, x));
}

/// Whether `x` is `exp(-|..|)`, as softplus writes it: it then lies in [0, 1].
static bool isFraction(Value x) {
  auto raised = x.getDefiningOp<math::ExpOp>();
  auto negated = raised ? raised.getOperand().getDefiningOp<arith::NegFOp>() : nullptr;
  return negated && negated.getOperand().getDefiningOp<math::AbsFOp>();
}

void moire::rows::expandMath(Operation *root, ConstantPool &pool) {
  SmallVector<Operation *> found;
  root->walk([&](Operation *op) {
    if (!isa<math::ExpOp, math::LogOp, math::Log1pOp, math::ErfOp, math::ErfcOp, math::TanhOp, math::RsqrtOp>(op))
      return;
    Type element = getElementTypeOrSelf(op->getResult(0).getType());
    if (element.isF32() || element.isF64())
      found.push_back(op);
  });
  // Users first: some look at how their operand is computed.
  for (Operation *op : llvm::reverse(found)) {
    OpBuilder builder(op);
    Formula formula(builder, op->getLoc(), op->getResult(0).getType(), pool);
    Value x = op->getOperand(0);
    Value result =
        TypeSwitch<Operation *, Value>(op)
            .Case([&](math::ExpOp o) {
              bool finite = bitEnumContainsAny(o.getFastmath(), arith::FastMathFlags::ninf);
              return formula.exp(x, finite);
            })
            .Case([&](math::LogOp) { return formula.log(x); })
            .Case([&](math::Log1pOp) { return isFraction(x) ? formula.log1pOfFraction(x) : formula.log1p(x); })
            .Case([&](math::ErfOp) { return formula.erf(x); })
            .Case([&](math::ErfcOp) { return formula.erfc(x); })
            .Case([&](math::TanhOp) { return formula.tanh(x); })
            .Case([&](math::RsqrtOp) { return formula.rsqrt(x); });
    op->getResult(0).replaceAllUsesWith(result);
    op->erase();
  }
}

//===----------------------------------------------------------------------===//
// bf16 in integers
//===----------------------------------------------------------------------===//

/// `type` with another element type.
static Type withElement(Type type, Type element) {
  auto shaped = dyn_cast<ShapedType>(type);
  return shaped ? shaped.clone(element) : element;
}

void moire::rows::expandBf16(Operation *root, ConstantPool &pool) {
  SmallVector<Operation *> found;
  root->walk([&](Operation *op) {
    if (!isa<arith::ExtFOp, arith::TruncFOp>(op))
      return;
    Type from = getElementTypeOrSelf(op->getOperand(0).getType());
    Type to = getElementTypeOrSelf(op->getResult(0).getType());
    if ((from.isBF16() && to.isF32()) || (from.isF32() && to.isBF16()))
      found.push_back(op);
  });
  for (Operation *op : found) {
    OpBuilder b(op);
    Location loc = op->getLoc();
    Value x = op->getOperand(0), result;
    Type wide = withElement(x.getType(), b.getI32Type()), narrow = withElement(x.getType(), b.getI16Type());
    auto integer = [&](int64_t value) -> Value {
      Attribute element = b.getI32IntegerAttr(value);
      TypedAttr attr = isa<ShapedType>(wide) ? TypedAttr(DenseElementsAttr::get(cast<ShapedType>(wide), element))
                                             : cast<TypedAttr>(element);
      return pool.get(b, loc, attr);
    };
    if (isa<arith::ExtFOp>(op)) {
      Value low = arith::ExtUIOp::create(b, loc, wide, arith::BitcastOp::create(b, loc, narrow, x));
      result =
          arith::BitcastOp::create(b, loc, op->getResult(0).getType(), arith::ShLIOp::create(b, loc, low, integer(16)));
    } else {
      // Half a unit less than a tie, plus the last kept bit: rounds ties to even. A NaN keeps its top bits and is
      // quiet.
      Value raw = arith::BitcastOp::create(b, loc, wide, x);
      Value last = arith::AndIOp::create(b, loc, arith::ShRUIOp::create(b, loc, raw, integer(16)), integer(1));
      Value rounded = arith::AddIOp::create(b, loc, raw, arith::AddIOp::create(b, loc, last, integer(0x7fff)));
      Value quiet = arith::OrIOp::create(b, loc, raw, integer(0x400000));
      Value isNan = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNO, x, x);
      Value chosen = arith::SelectOp::create(b, loc, isNan, quiet, rounded);
      Value top = arith::TruncIOp::create(b, loc, narrow, arith::ShRUIOp::create(b, loc, chosen, integer(16)));
      result = arith::BitcastOp::create(b, loc, op->getResult(0).getType(), top);
    }
    op->getResult(0).replaceAllUsesWith(result);
    op->erase();
  }
}
