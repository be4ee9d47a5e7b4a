//===- ProjectWeights.cpp - small weights made from large frozen ones -------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Projected compression (arXiv 2506.22255, section 3): declares for each matrix that has a larger source what it is
// composed of, and composes it where it is first read whole: once for each function, or for each iteration of a loop.
//===----------------------------------------------------------------------===//
#include "passes/Transforms/Expand/Passes.h"

#include "dialect/IR/TypeUtils.h"
#include "mlir/IR/Remarks.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>

using namespace mlir;

namespace moire {
#define GEN_PASS_DEF_PROJECTWEIGHTSPASS
#include "passes/Transforms/Expand/Passes.h.inc"

namespace {

constexpr const char *category = "moire-project-weights";

/// One of each of what a weight is composed of: declarations, or values. `in` and `out` are null for a side that keeps
/// its size.
template <typename T> struct Parts {
  T source, in, out, aux;
  llvm::SmallVector<T> all() const {
    llvm::SmallVector<T> some;
    for (T part : {source, in, out, aux})
      if (part)
        some.push_back(part);
    return some;
  }
};

/// How one weight is composed. Extents are those of one matrix; an expert's weight is a stack of them.
struct Projection {
  Parts<ParamOp> params;
  int64_t in, out, sourceIn, sourceOut;
  llvm::SmallVector<int64_t> pieces; ///< columns of the weight that have projections of their own, side by side
  bool narrow = false;               ///< products read it in another type than it is kept in
};

std::string extents(ArrayRef<int64_t> shape) {
  std::string text;
  for (int64_t extent : shape)
    text += (text.empty() ? "" : " x ") + std::to_string(extent);
  return text;
}

ArrayRef<int64_t> instanceOf(ParamOp param) {
  return cast<RankedTensorType>(param.getType()).getShape().drop_front(param.getStack());
}

/// Extents of the matrices of this role: a weight of fewer is one of vectors.
size_t matrixRank(Role role) { return role == Role::Expert ? 3 : 2; }

/// Why a matrix may not shrink from `from` to `to`; empty when it may. `in` and `out` are its last two extents.
std::string whyNot(ParamOp param, ArrayRef<int64_t> from, ArrayRef<int64_t> to) {
  size_t in = from.size() - 2, out = from.size() - 1;
  for (size_t dim = 0; dim < in; ++dim)
    if (from[dim] != to[dim])
      return "experts are not projected on each other: their number must stay";
  bool reads = from[in] != to[in], writes = from[out] != to[out];
  if (param.getRole() == Role::Attention) {
    bool last = param.getSymName().ends_with(".out.weight");
    if (last ? reads : writes)
      return "heads keep their number and size: give the layer a `head_dim` (and latent sizes) that does not follow "
             "what "
             "shrinks";
  }
  if (param.getRole() == Role::Embedding && reads)
    return "a table keeps its rows: vocabulary and context must stay";
  if ((param.getRole() == Role::Head || param.getRole() == Role::Router) && writes)
    return "what is chosen from (a vocabulary, experts) must stay as large as it is";
  return "";
}

/// Finds what is to be projected and declares its parts.
class Declarations {
public:
  Declarations(ModuleOp module, DictionaryAttr shapes) : module(module), shapes(shapes) {}

  LogicalResult run() {
    llvm::DenseSet<StringRef> seen;
    for (ParamOp param : llvm::to_vector(module.getOps<ParamOp>())) {
      seen.insert(param.getSymName());
      if (failed(inspect(param)))
        return failure();
    }
    auto isBlock = [&](StringRef name) { // of which the size of a head is listed
      return llvm::any_of(seen, [&](StringRef param) { return param.consume_front(name) && param.starts_with("."); });
    };
    for (NamedAttribute shape : shapes)
      if (!seen.contains(shape.getName()) && !isBlock(shape.getName()))
        return module.emitError("the source has a parameter `")
               << shape.getName().getValue() << "` that this model has not: a projection changes sizes, not layers";
    return success();
  }

  llvm::StringMap<Projection> projections; ///< by the name that the weight had

private:
  LogicalResult inspect(ParamOp param) {
    auto pieces = param->getAttrOfType<DenseI64ArrayAttr>("moire.pieces");
    param->removeAttr("moire.pieces");
    auto shape = shapes.getAs<DenseI64ArrayAttr>(param.getSymName());
    if (!shape)
      return param.emitError("`") << param.getSymName()
                                  << "` has no counterpart in the source: a projection changes sizes, not layers";
    ArrayRef<int64_t> from = shape, to = instanceOf(param);
    if (from.size() != to.size())
      return param.emitError("`") << param.getSymName() << "` has " << to.size() << " extents, in the source "
                                  << from.size();
    if (from == to)
      return success();
    auto refuse = [&](const llvm::Twine &why) {
      auto diag = param.emitError("`") << param.getSymName() << "` is " << extents(from) << " in the source and "
                                       << extents(to) << " here";
      diag.attachNote() << why;
      return diag;
    };
    for (auto [large, small] : llvm::zip_equal(from, to))
      if (small > large)
        return refuse("a projection makes nothing larger");
    if (param.getRole() == Role::Ssm)
      return refuse("state-space layers have no projected form: their inner sizes must stay, and with them the width "
                    "that they stand on");
    if (to.size() < matrixRank(param.getRole()))
      return success(); // vectors are cut when the source is attached, and trained like any other
    if (std::string why = whyNot(param, from, to); !why.empty())
      return refuse(why);
    Projection projection;
    projection.narrow = param.getCompute();
    projection.sourceIn = from[from.size() - 2];
    projection.sourceOut = from.back();
    projection.in = to[to.size() - 2];
    projection.out = to.back();
    projection.pieces.assign(pieces ? llvm::to_vector(pieces.asArrayRef()) : llvm::SmallVector<int64_t>{to.back()});
    if (projection.out != projection.sourceOut &&
        (!llvm::all_equal(projection.pieces) || projection.sourceOut % int64_t(projection.pieces.size()) != 0))
      return refuse("its columns are of several kinds, which do not shrink alike");
    declare(param, std::move(projection), from);
    return success();
  }

  /// Declares source and projections before the weight, which becomes the auxiliary one.
  void declare(ParamOp param, Projection projection, ArrayRef<int64_t> from) {
    OpBuilder b(param);
    std::string name = param.getSymName().str();
    auto type = cast<RankedTensorType>(param.getType());
    ArrayRef<int64_t> leading = type.getShape().drop_back(2); // copies, experts
    auto add = [&](StringRef suffix, ArrayRef<int64_t> matrix) {
      auto made = cast<ParamOp>(b.clone(*param));
      rename(made, suffix);
      llvm::SmallVector<int64_t> shape(leading);
      llvm::append_range(shape, matrix);
      made.setTypeAttr(TypeAttr::get(type.clone(shape)));
      return made;
    };
    // First values without a source leave the composed weight as large as one that is drawn by itself.
    auto addProjection = [&](StringRef suffix, int64_t rows, int64_t columns, int64_t fanIn) {
      ParamOp made = add(suffix, {rows, columns});
      made.setInit(Init::Normal);
      made.setInitA(llvm::APFloat(1 / std::sqrt(double(fanIn))));
      made.setInitB(llvm::APFloat(0.0));
      return made;
    };
    int64_t count = projection.pieces.size();
    Parts<ParamOp> &parts = projection.params;
    parts.source = add("source", from.take_back(2));
    parts.source.setLrFactor(llvm::APFloat(0.0));
    parts.source.setDecayFactor(llvm::APFloat(0.0));
    if (projection.in != projection.sourceIn)
      parts.in = addProjection("in", count * projection.in, projection.sourceIn, projection.sourceIn);
    if (projection.out != projection.sourceOut)
      parts.out = addProjection("out", projection.sourceOut, projection.out / count, projection.sourceOut / count);
    parts.aux = param;
    rename(param, "aux");
    param.setCompute(false); // added in full precision
    remark::passed(param.getLoc(), remark::RemarkOpts::name("projected").category(category))
        << "`" + name + "` is projected from " + extents(from) + " to " + extents(instanceOf(param));
    projections[name] = std::move(projection);
  }

  void rename(ParamOp param, StringRef suffix) {
    Builder b(param.getContext());
    param.setSymName((param.getSymName() + "." + suffix).str());
    llvm::SmallVector<Attribute> paths;
    for (Attribute path : param.getPaths())
      paths.push_back(b.getStringAttr(cast<StringAttr>(path).getValue() + "." + suffix));
    param.setPathsAttr(b.getArrayAttr(paths));
  }

  ModuleOp module;
  DictionaryAttr shapes;
};

/// Ops on matrices, or on stacks of as many of them.
class Matrices {
public:
  Matrices(OpBuilder &b, Location loc) : b(b), loc(loc) {}

  /// x w, in elements of `element`.
  Value product(Value x, Value w, Type element) {
    ArrayRef<int64_t> left = shapeOf(x.getType()), right = shapeOf(w.getType());
    llvm::SmallVector<int64_t> shape(left);
    shape.back() = right.back();
    if (left.size() == 2)
      return LinearOp::create(b, loc, RankedTensorType::get(shape, element), x, w, Value(), /*transpose=*/false).getY();
    int64_t count = left[0], rows = left[1];
    auto offsets = EvenOffsetsOp::create(b, loc, RankedTensorType::get({count + 1}, b.getI32Type()), rows);
    Value flat = GroupedLinearOp::create(b, loc, RankedTensorType::get({count * rows, right.back()}, element),
                                         reshape(x, {count * rows, left[2]}), w, offsets.getOffsets(), /*rows=*/Value(),
                                         /*position=*/Value(), /*transpose=*/false)
                     .getY();
    return reshape(flat, shape);
  }
  /// `size` rows (`dim` 0) or columns (`dim` 1) from `offset` on; x itself when these are all.
  Value slice(Value x, int64_t dim, int64_t offset, int64_t size) {
    llvm::SmallVector<int64_t> shape(shapeOf(x.getType()));
    dim += shape.size() - 2;
    if (shape[dim] == size)
      return x;
    shape[dim] = size;
    return SliceOp::create(b, loc, RankedTensorType::get(shape, elementOf(x.getType())), x, dim, offset).getY();
  }
  Value beside(ArrayRef<Value> columns) {
    if (columns.size() == 1)
      return columns.front();
    llvm::SmallVector<int64_t> shape(shapeOf(columns.front().getType()));
    int64_t dim = shape.size() - 1;
    shape[dim] = 0;
    for (Value piece : columns)
      shape[dim] += lastExtent(piece.getType());
    return ConcatOp::create(b, loc, RankedTensorType::get(shape, elementOf(columns.front().getType())), columns, dim)
        .getY();
  }
  Value sum(Value a, Value c) { return BinaryOp::create(b, loc, a.getType(), a, c, Binary::Add).getY(); }
  Value cast(Value x, Type element) {
    auto type = llvm::cast<RankedTensorType>(x.getType());
    return type.getElementType() == element ? x : CastOp::create(b, loc, type.clone(element), x).getY();
  }

private:
  Value reshape(Value x, ArrayRef<int64_t> shape) {
    return ReshapeOp::create(b, loc, RankedTensorType::get(shape, elementOf(x.getType())), x).getY();
  }
  OpBuilder &b;
  Location loc;
};

/// Replaces, in one function, the reads of the weights by compositions.
class Compositions {
public:
  explicit Compositions(const llvm::StringMap<Projection> &projections) : projections(projections) {}

  LogicalResult run(func::FuncOp function) {
    for (unsigned number = 0; number < function.getNumArguments(); ++number) {
      auto name = function.getArgAttrOfType<FlatSymbolRefAttr>(number, "moire.param");
      auto found = name ? projections.find(name.getValue()) : projections.end();
      if (found == projections.end())
        continue;
      const Projection &projection = found->second;
      Type read = elementOf(function.getArgumentTypes()[number]);
      Parts<Value> values;
      unsigned next = number;
      auto addBefore = [&](ParamOp param, Value &value) {
        if (!param)
          return;
        auto type = cast<RankedTensorType>(param.getType()).clone(read);
        NamedAttribute means("moire.param", FlatSymbolRefAttr::get(param.getSymNameAttr()));
        (void)function.insertArgument(next, type, DictionaryAttr::get(function.getContext(), means), param.getLoc());
        value = function.getArgument(next++);
      };
      addBefore(projection.params.source, values.source);
      addBefore(projection.params.in, values.in);
      addBefore(projection.params.out, values.out);
      values.aux = function.getArgument(next);
      function.setArgAttr(next, "moire.param", FlatSymbolRefAttr::get(ParamOp(projection.params.aux).getSymNameAttr()));
      Type full = elementOf(ParamOp(projection.params.aux).getType());
      if (failed(replace(values, projection, ParamOp(projection.params.aux).getStack(), read, full)))
        return failure();
      number = next;
    }
    auto types = llvm::to_vector(function.getBody().front().getArgumentTypes());
    function.setType(FunctionType::get(function.getContext(), types, function.getResultTypes()));
    return success();
  }

private:
  /// Replaces the uses of `values.aux`, which still stands for the weight; `stack` loops slice it before it is whole.
  LogicalResult replace(Parts<Value> values, const Projection &projection, unsigned stack, Type read, Type full) {
    Value weight = values.aux;
    auto type = cast<RankedTensorType>(weight.getType());
    llvm::SmallVector<OpOperand *> uses;
    for (OpOperand &use : weight.getUses())
      uses.push_back(&use);
    weight.setType(type.clone(full));
    if (stack == 0) {
      compose(values, projection, uses, read, full);
      return success();
    }
    llvm::SetVector<std::pair<Operation *, unsigned>> slices;
    for (OpOperand *use : uses) {
      auto repeat = dyn_cast<RepeatOp>(use->getOwner());
      if (!repeat || use->getOperandNumber() < repeat.getNumCarried())
        return use->getOwner()->emitError("reads the copies of `")
               << ParamOp(projection.params.aux).getSymName() << "` together, before one can be composed";
      slices.insert({repeat, use->getOperandNumber() - repeat.getNumCarried()});
    }
    for (auto [op, number] : slices) {
      auto repeat = cast<RepeatOp>(op);
      auto sliced = [&](Value value) -> Value {
        if (!value)
          return {};
        repeat.getSlicesMutable().append(value);
        return repeat.getBody().front().addArgument(sliceType(cast<RankedTensorType>(value.getType())), value.getLoc());
      };
      Parts<Value> inner{sliced(values.source), sliced(values.in), sliced(values.out), repeat.getSliceArgs()[number]};
      if (failed(replace(inner, projection, stack - 1, read, full)))
        return failure();
    }
    return success();
  }

  void compose(const Parts<Value> &values, const Projection &projection, ArrayRef<OpOperand *> uses, Type read,
               Type full) {
    if (uses.empty())
      return;
    OpBuilder b(values.aux.getContext());
    Location loc = ParamOp(projection.params.aux).getLoc();
    // Where fewer tokens look a table up than it has rows, their rows are projected instead: e_c = P e + aux.
    auto looksUp = [&](OpOperand *use) {
      auto lookup = dyn_cast<LookupOp>(use->getOwner());
      return lookup && elementsOf(lookup.getIndex().getType()) < projection.sourceIn;
    };
    if (llvm::all_of(uses, looksUp) && !values.in) {
      for (OpOperand *use : uses) {
        auto lookup = cast<LookupOp>(use->getOwner());
        b.setInsertionPoint(lookup);
        auto rows = [&](Value table) {
          llvm::SmallVector<int64_t> shape(shapeOf(lookup.getIndex().getType()));
          shape.push_back(lastExtent(table.getType()));
          auto type = RankedTensorType::get(shape, elementOf(table.getType()));
          return LookupOp::create(b, lookup.getLoc(), type, lookup.getIndex(), table).getY();
        };
        auto type = cast<RankedTensorType>(lookup.getY().getType());
        Matrices m(b, lookup.getLoc());
        Value projected =
            LinearOp::create(b, lookup.getLoc(), type.clone(full), rows(values.source), values.out, Value(),
                             /*transpose=*/false);
        lookup.replaceAllUsesWith(m.cast(m.sum(projected, rows(values.aux)), read));
        lookup.erase();
      }
      return;
    }
    b.setInsertionPointToStart(cast<BlockArgument>(values.aux).getOwner());
    Value weight = Matrices(b, loc).cast(composed(b, loc, values, projection, read, full), read);
    for (OpOperand *use : uses)
      use->set(weight);
  }

  /// P_in W P_out + aux, of each piece in the cheaper order.
  static Value composed(OpBuilder &b, Location loc, const Parts<Value> &values, const Projection &projection, Type read,
                        Type full) {
    Matrices m(b, loc);
    // Kernels of grouped products have no wider result than their factors.
    Type last = shapeOf(values.aux.getType()).size() > 2 ? read : full;
    int64_t in = projection.in, sourceIn = projection.sourceIn, count = projection.pieces.size();
    llvm::SmallVector<Value> columns;
    int64_t at = 0;
    for (auto [number, out] : llvm::enumerate(projection.pieces)) {
      int64_t sourceOut = values.out ? projection.sourceOut / count : out;
      Value w = m.slice(values.source, 1, at, sourceOut);
      Value left = values.in ? m.slice(values.in, 0, int64_t(number) * in, in) : Value();
      Value right = values.out ? m.slice(values.out, 0, at, sourceOut) : Value();
      at += sourceOut;
      bool leftFirst = in * sourceOut * (sourceIn + out) <= sourceIn * out * (sourceOut + in);
      if (!right)
        w = m.product(left, w, last);
      else if (!left)
        w = m.product(w, right, last);
      else if (leftFirst)
        w = m.product(m.product(left, w, read), right, last);
      else
        w = m.product(left, m.product(w, right, read), last);
      columns.push_back(m.cast(w, full));
    }
    return m.sum(m.beside(columns), values.aux);
  }

  const llvm::StringMap<Projection> &projections;
};

struct ProjectWeights final : impl::ProjectWeightsPassBase<ProjectWeights> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto shapes = module->getAttrOfType<DictionaryAttr>("moire.source_shapes");
    if (!shapes)
      return;
    Declarations declarations(module, shapes);
    if (failed(declarations.run()))
      return signalPassFailure();
    if (declarations.projections.empty()) {
      module.emitError("no weight is smaller than in the source: there is nothing to project");
      return signalPassFailure();
    }
    Compositions compositions(declarations.projections);
    for (auto function : module.getOps<func::FuncOp>())
      if (!function.isDeclaration() && failed(compositions.run(function)))
        return signalPassFailure();
    module->removeAttr("moire.source_shapes");
  }
};

} // namespace
} // namespace moire
