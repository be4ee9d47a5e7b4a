//===- passes/Conversion/Rowwise/RowBody.cpp - formulas of the row ops ------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Each row op in terms of scalar functions, sums and maxima. The forms are chosen so that no intermediate value
// overflows where the result does not, and so that a row is passed over as few times as possible.
//===----------------------------------------------------------------------===//
#include "passes/Conversion/Rowwise/RowBody.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>
#include <limits>

using namespace mlir;
using namespace moire;
using namespace moire::rows;

namespace {

/// Builds the graph op by op.
class BodyBuilder {
public:
  BodyBuilder(RowwiseOp op, std::optional<int64_t> rowLength, RowBody &body)
      : op(op), rowLength(rowLength), body(body), graph(body.graph) {}

  LogicalResult run();

private:
  LogicalResult build(Operation *inner);
  RowValue unary(Unary kind, const RowValue &x);
  RowValue unarySlope(Unary kind, const RowValue &x);
  void build(RmsNormOp norm);
  void build(RmsNormGradOp grad);
  void build(LayerNormOp norm);
  void build(LayerNormGradOp grad);
  void build(CrossEntropyOp loss);
  void build(CrossEntropyGradOp grad);
  void build(RopeOp rope);
  void build(ConcatOp concat);
  void build(TileOp tile);
  void build(FoldOp fold);
  LogicalResult build(LookupOp lookup);

  // Short names for arithmetic on whole values: formulas are read more often than written.
  RowValue get(Value value) { return values.lookup(value); }
  void set(Value value, RowValue row) { values[value] = std::move(row); }
  RowValue number(double value) { return RowGraph::scalar(graph.constant(value)); }
  RowValue add(const RowValue &a, const RowValue &b) { return graph.map(Fn::Add, {a, b}); }
  RowValue sub(const RowValue &a, const RowValue &b) { return graph.map(Fn::Sub, {a, b}); }
  RowValue mul(const RowValue &a, const RowValue &b) { return graph.map(Fn::Mul, {a, b}); }
  RowValue div(const RowValue &a, const RowValue &b) { return graph.map(Fn::Div, {a, b}); }
  RowValue max(const RowValue &a, const RowValue &b) { return graph.map(Fn::Max, {a, b}); }
  RowValue neg(const RowValue &a) { return graph.map(Fn::Neg, {a}); }
  RowValue exp(const RowValue &a) { return graph.map(Fn::Exp, {a}); }
  RowValue log(const RowValue &a) { return graph.map(Fn::Log, {a}); }
  RowValue select(const RowValue &c, const RowValue &a, const RowValue &b) { return graph.map(Fn::Select, {c, a, b}); }
  RowValue above(const RowValue &a, double bound) { return graph.map(Fn::Greater, {a, number(bound)}); }
  RowValue below(const RowValue &a, double bound) { return graph.map(Fn::Greater, {number(bound), a}); }
  RowValue sum(const RowValue &a) { return RowGraph::scalar(graph.reduce(NodeKind::Sum, a)); }
  RowValue maximum(const RowValue &a) { return RowGraph::scalar(graph.reduce(NodeKind::Maximum, a)); }
  RowValue mean(const RowValue &a) { return mul(sum(a), number(1.0 / a.length())); }
  RowValue sigmoid(const RowValue &x) {
    return graph.map(Fn::Reciprocal, {add(number(1), graph.map(Fn::FiniteExp, {neg(x)}))});
  }
  /// Share of the normal distribution below x. `1 + erf` would lose all digits where x is far below 0.
  RowValue normalShare(const RowValue &x) {
    return mul(number(0.5), graph.map(Fn::Erfc, {mul(x, number(-M_SQRT1_2))}));
  }
  /// Taylor's series where the other form would lose digits; both within a few units in the last place in f32 and f64.
  RowValue hyperbolicTangent(const RowValue &x) {
    constexpr double switchAt = 0.25;
    // The series' coefficients of x^3, x^5, ...: c_1 = 1 and (2n + 1) c_n = -sum of c_i c_j over i + j = n - 1.
    constexpr int terms = 11;
    double c[terms] = {1};
    for (int n = 1; n < terms; ++n) {
      for (int i = 0; i < n; ++i)
        c[n] -= c[i] * c[n - 1 - i];
      c[n] /= 2 * n + 1;
    }
    RowValue square = mul(x, x), series = number(c[terms - 1]);
    for (int n = terms - 2; n >= 1; --n)
      series = add(mul(series, square), number(c[n]));
    RowValue near = add(x, mul(mul(x, square), series)), size = graph.map(Fn::Abs, {x});
    // 1 - 2 / (exp(2 |x|) + 1)
    RowValue below = graph.map(Fn::Reciprocal, {add(number(1), graph.map(Fn::FiniteExp, {mul(size, number(2))}))});
    RowValue far = sub(number(1), mul(number(2), below));
    far = select(graph.map(Fn::Greater, {number(0), x}), neg(far), far);
    return select(graph.map(Fn::Greater, {number(switchAt), size}), near, far);
  }
  RowValue logSumExp(const RowValue &x) {
    RowValue top = maximum(x);
    return add(top, log(sum(exp(sub(x, top)))));
  }
  /// `1 / sqrt(mean square + eps)`, exactly rounded steps: it is needed once per row.
  RowValue reciprocalRoot(const RowValue &meanSquare, double eps) {
    return div(number(1), graph.map(Fn::Sqrt, {add(meanSquare, number(eps))}));
  }
  /// The row of a rank-1 type, `value` in every column.
  RowValue repeated(Node *value, Type type) {
    auto shape = cast<ShapedType>(type).getShape();
    return shape.empty() ? RowGraph::scalar(value) : RowGraph::row(graph.splat(value, rowLength.value_or(shape[0])));
  }

  RowwiseOp op;
  std::optional<int64_t> rowLength;
  RowBody &body;
  RowGraph &graph;
  DenseMap<Value, RowValue> values;
};

} // namespace

LogicalResult BodyBuilder::run() {
  Block &block = op.getBody().front();
  for (BlockArgument argument : block.getArguments()) {
    auto type = cast<ShapedType>(argument.getType());
    auto cls = type.getElementType().isInteger() ? NodeClass::Integer : NodeClass::Real;
    unsigned number = argument.getArgNumber();
    if (type.getRank() == 0)
      set(argument, RowGraph::scalar(graph.load(number, 0, 0, cls)));
    else if (type.getRank() == 1)
      set(argument, RowGraph::row(graph.load(number, 0, rowLength.value_or(type.getDimSize(0)), cls)));
  }
  for (Operation &inner : block.without_terminator())
    if (failed(build(&inner)))
      return failure();
  for (Value yielded : block.getTerminator()->getOperands()) {
    if (!values.contains(yielded))
      return op.emitOpError("yields a value that is neither a row nor a number");
    body.yields.push_back(get(yielded));
  }
  return success();
}

RowValue BodyBuilder::unary(Unary kind, const RowValue &x) {
  switch (kind) {
  case Unary::Neg:
    return neg(x);
  case Unary::Exp:
    return exp(x);
  case Unary::Log:
    return log(x);
  case Unary::Relu:
    return max(x, number(0));
  case Unary::Relu2: {
    RowValue positive = max(x, number(0));
    return mul(positive, positive);
  }
  case Unary::Gelu:
    return mul(x, normalShare(x));
  case Unary::Silu:
    return mul(x, sigmoid(x));
  case Unary::Sigmoid:
    return sigmoid(x);
  case Unary::Softplus: {
    // The exponential's argument is never positive, so nothing overflows and large x gives x.
    RowValue tail = graph.map(Fn::Log1p, {exp(neg(graph.map(Fn::Abs, {x})))});
    return add(max(x, number(0)), tail);
  }
  case Unary::Tanh:
    return hyperbolicTangent(x);
  }
  llvm_unreachable("all pointwise functions are listed");
}

RowValue BodyBuilder::unarySlope(Unary kind, const RowValue &x) {
  RowValue zero = number(0), one = number(1);
  switch (kind) {
  case Unary::Neg:
    return number(-1);
  case Unary::Exp:
    return exp(x);
  case Unary::Log:
    return div(one, x);
  case Unary::Relu:
    return select(graph.map(Fn::Greater, {x, zero}), one, zero);
  case Unary::Relu2:
    return mul(number(2), max(x, zero));
  case Unary::Gelu: {
    RowValue density = mul(exp(mul(mul(x, x), number(-0.5))), number(0.5 * M_SQRT1_2 * M_2_SQRTPI));
    return add(normalShare(x), mul(x, density));
  }
  case Unary::Silu: {
    RowValue gate = sigmoid(x);
    return mul(gate, add(one, mul(x, sub(one, gate))));
  }
  case Unary::Sigmoid: {
    RowValue gate = sigmoid(x);
    return mul(gate, sub(one, gate));
  }
  case Unary::Softplus:
    return sigmoid(x);
  case Unary::Tanh: {
    RowValue bent = hyperbolicTangent(x);
    return sub(one, mul(bent, bent));
  }
  }
  llvm_unreachable("all pointwise functions are listed");
}

void BodyBuilder::build(RmsNormOp norm) {
  RowValue x = get(norm.getX());
  RowValue rstd = reciprocalRoot(mean(mul(x, x)), norm.getEps().convertToDouble());
  set(norm.getY(), mul(mul(x, rstd), get(norm.getWeight())));
  set(norm.getRstd(), rstd);
}

void BodyBuilder::build(RmsNormGradOp grad) {
  RowValue rstd = get(grad.getRstd()), dy = get(grad.getDy());
  RowValue normed = mul(get(grad.getX()), rstd), weighted = mul(dy, get(grad.getWeight()));
  RowValue along = mean(mul(weighted, normed));
  set(grad.getDx(), mul(rstd, sub(weighted, mul(normed, along))));
  set(grad.getDweight(), mul(dy, normed));
}

void BodyBuilder::build(LayerNormOp norm) {
  RowValue x = get(norm.getX());
  RowValue centre = mean(x), centred = sub(x, centre);
  RowValue rstd = reciprocalRoot(mean(mul(centred, centred)), norm.getEps().convertToDouble());
  set(norm.getY(), add(mul(mul(centred, rstd), get(norm.getWeight())), get(norm.getBias())));
  set(norm.getMean(), centre);
  set(norm.getRstd(), rstd);
}

void BodyBuilder::build(LayerNormGradOp grad) {
  RowValue rstd = get(grad.getRstd()), dy = get(grad.getDy());
  RowValue normed = mul(sub(get(grad.getX()), get(grad.getMean())), rstd), weighted = mul(dy, get(grad.getWeight()));
  RowValue along = mean(mul(weighted, normed));
  set(grad.getDx(), mul(rstd, sub(sub(weighted, mean(weighted)), mul(normed, along))));
  set(grad.getDweight(), mul(dy, normed));
  set(grad.getDbias(), dy);
}

void BodyBuilder::build(CrossEntropyOp loss) {
  RowValue logits = get(loss.getLogits()), target = get(loss.getTargets());
  RowValue lse = logSumExp(logits);
  // One load where the logits lie in memory, else the only column that is not masked.
  RowValue hit;
  if (logits.pieces.size() == 1 && logits.single()->kind == NodeKind::Load) {
    Node *load = logits.single();
    hit = RowGraph::scalar(graph.element(load->input, load->offset, target.single()));
  } else {
    RowValue column = RowGraph::row(graph.column(0, logits.length()));
    hit = sum(select(graph.map(Fn::Same, {column, target}), logits, number(0)));
  }
  set(loss.getNll(), select(graph.map(Fn::NotNegative, {target}), sub(lse, hit), number(0)));
  set(loss.getLse(), lse);
}

void BodyBuilder::build(CrossEntropyGradOp grad) {
  RowValue logits = get(grad.getLogits()), target = get(grad.getTargets());
  RowValue scale = select(graph.map(Fn::NotNegative, {target}), get(grad.getDnll()), number(0));
  RowValue column = RowGraph::row(graph.column(0, logits.length()));
  RowValue hit = select(graph.map(Fn::Same, {column, target}), number(1), number(0));
  set(grad.getDlogits(), mul(scale, sub(exp(sub(logits, get(grad.getLse()))), hit)));
}

void BodyBuilder::build(RopeOp rope) {
  RowValue x = get(rope.getX()), cosine = get(rope.getCos()), sine = get(rope.getSin());
  if (rope.getInverse())
    sine = neg(sine);
  int64_t half = x.length() / 2;
  RowValue a = graph.slice(x, 0, half), b = graph.slice(x, half, half);
  RowValue y = sub(mul(a, cosine), mul(b, sine));
  llvm::append_range(y.pieces, add(mul(b, cosine), mul(a, sine)).pieces);
  set(rope.getY(), y);
}

void BodyBuilder::build(ConcatOp concat) {
  RowValue y;
  for (Value x : concat.getXs())
    llvm::append_range(y.pieces, get(x).pieces);
  set(concat.getY(), y);
}

void BodyBuilder::build(TileOp tile) {
  RowValue x = get(tile.getX()), y;
  if (x.length() == 1)
    y = RowGraph::row(graph.splat(sum(x).single(), tile.getCopies()));
  else
    for (uint64_t copy = 0; copy < tile.getCopies(); ++copy)
      llvm::append_range(y.pieces, x.pieces);
  set(tile.getY(), y);
}

void BodyBuilder::build(FoldOp fold) {
  RowValue x = get(fold.getX());
  int64_t length = x.length() / fold.getCopies();
  if (length == 1)
    return set(fold.getY(), RowGraph::row(graph.splat(sum(x).single(), 1)));
  RowValue y = graph.slice(x, 0, length);
  for (uint64_t copy = 1; copy < fold.getCopies(); ++copy)
    y = add(y, graph.slice(x, copy * length, length));
  set(fold.getY(), y);
}

LogicalResult BodyBuilder::build(LookupOp lookup) {
  auto table = dyn_cast<BlockArgument>(lookup.getTable());
  if (!table)
    return lookup.emitOpError("inside a row kernel reads its table from an input");
  int64_t width = cast<ShapedType>(table.getType()).getDimSize(1);
  Node *row = get(lookup.getIndex()).single();
  set(lookup.getY(), RowGraph::row(graph.load(table.getArgNumber(), 0, width, NodeClass::Real, row)));
  return success();
}

LogicalResult BodyBuilder::build(Operation *inner) {
  auto apply = [&](auto typed) {
    build(typed);
    return success();
  };
  return TypeSwitch<Operation *, LogicalResult>(inner)
      .Case([&](UnaryOp o) { return set(o.getY(), unary(o.getKind(), get(o.getX()))), success(); })
      .Case([&](UnaryGradOp o) {
        return set(o.getDx(), mul(get(o.getDy()), unarySlope(o.getKind(), get(o.getX())))), success();
      })
      .Case([&](BinaryOp o) {
        Fn fn = o.getKind() == Binary::Add ? Fn::Add : o.getKind() == Binary::Sub ? Fn::Sub : Fn::Mul;
        return set(o.getY(), graph.map(fn, {get(o.getA()), get(o.getB())})), success();
      })
      .Case([&](ScaleOp o) {
        return set(o.getY(), mul(get(o.getX()), number(o.getFactor().convertToDouble()))), success();
      })
      .Case([&](ClampOp o) {
        RowValue x = get(o.getX()), y = x; // what is no number stays none
        if (o.getHigh())
          y = select(above(x, o.getHigh()->convertToDouble()), number(o.getHigh()->convertToDouble()), y);
        if (o.getLow())
          y = select(below(x, o.getLow()->convertToDouble()), number(o.getLow()->convertToDouble()), y);
        return set(o.getY(), y), success();
      })
      .Case([&](ClampGradOp o) {
        RowValue x = get(o.getX()), dx = get(o.getDy());
        if (o.getHigh())
          dx = select(above(x, o.getHigh()->convertToDouble()), number(0), dx);
        if (o.getLow())
          dx = select(below(x, o.getLow()->convertToDouble()), number(0), dx);
        return set(o.getDx(), dx), success();
      })
      .Case([&](CastOp o) { return set(o.getY(), get(o.getX())), success(); })
      .Case([&](BroadcastOp o) {
        RowValue x = get(o.getX());
        return set(o.getY(), x.scalar ? repeated(x.single(), o.getY().getType()) : x), success();
      })
      .Case([&](FillOp o) {
        return set(o.getY(), repeated(graph.constant(o.getValue().convertToDouble()), o.getY().getType())), success();
      })
      .Case([&](ReduceLeadingOp o) {
        RowValue x = get(o.getX());
        bool toNumber = o.getY().getType().getRank() == 0 && !x.scalar;
        return set(o.getY(), toNumber ? sum(x) : x), success();
      })
      .Case([&](SliceOp o) {
        int64_t length = cast<ShapedType>(o.getY().getType()).getDimSize(0);
        return set(o.getY(), graph.slice(get(o.getX()), o.getOffset(), length)), success();
      })
      .Case([&](SoftmaxOp o) {
        RowValue x = get(o.getX()), raised = exp(sub(x, maximum(x)));
        return set(o.getY(), mul(raised, div(number(1), sum(raised)))), success();
      })
      .Case([&](SoftmaxGradOp o) {
        RowValue y = get(o.getY()), dy = get(o.getDy());
        return set(o.getDx(), mul(y, sub(dy, sum(mul(dy, y))))), success();
      })
      .Case([&](ScaleRowsOp o) { return set(o.getY(), mul(get(o.getX()), get(o.getS()))), success(); })
      .Case([&](DotRowsOp o) { return set(o.getY(), sum(mul(get(o.getA()), get(o.getB())))), success(); })
      .Case([&](ZLossOp o) {
        RowValue lse = logSumExp(get(o.getLogits()));
        double factor = o.getCoefficient().convertToDouble() / o.getTokens();
        set(o.getLse(), lse);
        return set(o.getLoss(), mul(mul(lse, lse), number(factor))), success();
      })
      .Case([&](ZLossGradOp o) {
        RowValue lse = get(o.getLse());
        RowValue factor =
            mul(mul(get(o.getDloss()), lse), number(2 * o.getCoefficient().convertToDouble() / o.getTokens()));
        return set(o.getDlogits(), mul(factor, exp(sub(get(o.getLogits()), lse)))), success();
      })
      .Case([&](CountTargetsOp o) {
        RowValue counts = graph.map(Fn::NotNegative, {get(o.getTargets())});
        return set(o.getY(), select(counts, number(1), number(0))), success();
      })
      .Case([&](ReachesBackOp o) {
        RowValue age = graph.map(Fn::ToReal, {get(o.getDocuments())});
        RowValue reaches = graph.map(Fn::Greater, {age, number(double(o.getBy()) - 0.5)});
        return set(o.getY(), select(reaches, number(1), number(0))), success();
      })
      .Case<RmsNormOp, RmsNormGradOp, LayerNormOp, LayerNormGradOp, CrossEntropyOp, CrossEntropyGradOp, RopeOp,
            ConcatOp, TileOp, FoldOp>(apply)
      .Case([&](LookupOp o) { return build(o); })
      .Default([](Operation *o) { return o->emitOpError("is not known as part of a row kernel"); });
}

LogicalResult moire::rows::buildRowBody(RowwiseOp op, std::optional<int64_t> rowLength, RowBody &body) {
  return BodyBuilder(op, rowLength, body).run();
}

bool moire::rows::isElementwise(RowwiseOp op) {
  return llvm::all_of(op.getBody().front().without_terminator(), [](Operation &inner) {
    return isa<UnaryOp, UnaryGradOp, BinaryOp, ScaleOp, ClampOp, ClampGradOp, CastOp, BroadcastOp, FillOp,
               CountTargetsOp>(inner);
  });
}
