//===- Mup.cpp - maximal-update scaling -------------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Which extents have grown says how a parameter is treated; the products that read it say which extent is which.
//===----------------------------------------------------------------------===//
#include "dialect/IR/TypeUtils.h"
#include "mlir/IR/Remarks.h"
#include "passes/Transforms/Scaling/ParameterUses.h"
#include "passes/Transforms/Scaling/Passes.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>

using namespace mlir;

namespace moire {
#define GEN_PASS_DEF_MUPPASS
#include "passes/Transforms/Scaling/Passes.h.inc"

namespace {

/// One product with a parameter: by how much its contracted extent has grown since the base model, and its free one.
struct Product {
  Operation *op;
  double in, out;
  bool grownToFixed() const { return in != 1 && out == 1; }
  bool grownToGrown() const { return in != 1 && out != 1; }
};

/// Whether the products of `op` contract the last extent of their matrix rather than the last but one.
bool isTransposed(Operation *op) {
  if (auto linear = dyn_cast<LinearOp>(op))
    return linear.getTranspose();
  return cast<GroupedLinearOp>(op).getTranspose();
}

class Scaling {
public:
  Scaling(MupOp mup, llvm::MapVector<ParamOp, ParameterUses> uses) : mup(mup), uses(std::move(uses)) {}

  LogicalResult run() {
    for (auto &[param, operands] : uses)
      if (failed(treat(param, operands)))
        return failure();
    return checkBase();
  }

private:
  /// Growth of each extent of one copy of `param`.
  FailureOr<SmallVector<double>> growthOf(ParamOp param) {
    ArrayRef<int64_t> shape = cast<RankedTensorType>(param.getType()).getShape().drop_front(param.getStack());
    if (shape.empty())
      return SmallVector<double>();
    auto base = mup.getBase().getAs<DenseI64ArrayAttr>(param.getSymName());
    if (!base || base.size() != int64_t(shape.size())) {
      auto diag = mlir::emitError(mup.getLoc())
                  << "the base model has no parameter `" << param.getSymName() << "` of " << int64_t(shape.size())
                  << " extents; it must have the same layers as the model";
      diag.attachNote(param.getLoc()) << "the model has it here";
      return failure();
    }
    SmallVector<double> growth;
    for (auto [now, before] : llvm::zip_equal(shape, base.asArrayRef()))
      growth.push_back(double(now) / double(before));
    return growth;
  }

  /// Every entry of the base is a parameter's, or names a block that owns some.
  LogicalResult checkBase() {
    for (NamedAttribute entry : mup.getBase()) {
      StringRef name = entry.getName();
      bool known = llvm::any_of(uses, [&](const auto &one) {
        StringRef symbol = ParamOp(one.first).getSymName();
        return symbol == name || (symbol.starts_with(name) && symbol.drop_front(name.size()).starts_with("."));
      });
      if (!known)
        return mlir::emitError(mup.getLoc())
               << "the base model has `" << name << "`, the model does not; both must have the same layers";
    }
    return success();
  }

  LogicalResult treat(ParamOp param, ArrayRef<OpOperand *> operands) {
    FailureOr<SmallVector<double>> growth = growthOf(param);
    if (failed(growth))
      return failure();
    SmallVector<Product> products;
    bool isTable = false, isPlain = false;
    for (OpOperand *operand : operands) {
      Operation *op = operand->getOwner();
      if (isa<LinearOp, GroupedLinearOp>(op)) {
        size_t last = growth->size() - 1, in = isTransposed(op) ? last : last - 1;
        products.push_back({op, (*growth)[in], (*growth)[in == last ? last - 1 : last]});
      } else if (isa<LookupOp>(op)) {
        isTable = true;
      } else {
        isPlain = true;
      }
    }
    if (param.getRole() == Role::Embedding)
      scaleInputs(param, operands);
    double multiplier = 1;
    if (!products.empty())
      multiplier = treatMatrix(param, products, /*keepsInit=*/isTable || isPlain);
    bool isLogits = param.getRole() == Role::Head || (isTable && !products.empty());
    if (isLogits && !products.empty())
      multiplier *= mup.getOutput().convertToDouble();
    if (multiplier == 1)
      return success();
    param.setMultiplierAttr(real(multiplier));
    for (const Product &product : products)
      scaleProduct(product.op, multiplier);
    return success();
  }

  /// Sets first values and rates of a matrix; returns what its products are multiplied by. A table that is read row by
  /// row as well keeps both: it is the embedding's.
  double treatMatrix(ParamOp param, ArrayRef<Product> products, bool keepsInit) {
    const Product &product = products.front();
    double grown = product.in;
    RouterScaling router = param.getRole() == Role::Router ? mup.getRouter() : RouterScaling::Head;
    bool hidden = product.grownToGrown() || (product.grownToFixed() && router == RouterScaling::Hidden);
    if (hidden && !keepsInit) {
      param.setLrFactorAttr(real(param.getLrFactor().convertToDouble() / grown));
      param.setDecayFactorAttr(real(param.getDecayFactor().convertToDouble() * grown));
      note(param, llvm::formatv("hidden: rate / {0:F4}, variance / {0:F4}", grown));
      return 1;
    }
    if (!product.grownToFixed())
      return 1;
    if (!keepsInit) {
      double factor = std::sqrt(grown);
      param.setInitAAttr(real(param.getInitA().convertToDouble() * factor));
      param.setInitBAttr(real(param.getInitB().convertToDouble() * factor));
    }
    note(param, llvm::formatv("to a fixed width: rate and variance of the base{0}",
                              router == RouterScaling::Head ? llvm::formatv(", products / {0:F4}", grown).str() : ""));
    return router == RouterScaling::Head ? 1 / grown : 1;
  }

  /// Multiplies what an embedding gives by the input's coefficient.
  void scaleInputs(ParamOp param, ArrayRef<OpOperand *> operands) {
    double factor = mup.getInput().convertToDouble();
    if (factor == 1)
      return;
    param.setMultiplierAttr(real(factor));
    for (OpOperand *operand : operands) {
      Operation *op = operand->getOwner();
      if (isa<LookupOp>(op))
        scaleResult(op->getResult(0), factor);
      else if (!isa<LinearOp>(op))
        scaleOperand(*operand, factor);
    }
  }

  void scaleProduct(Operation *op, double factor) {
    auto elements = [](Value value) { return cast<RankedTensorType>(value.getType()).getNumElements(); };
    auto linear = dyn_cast<LinearOp>(op);
    bool atResult = !(linear && linear.getBias()) && elements(op->getResult(0)) <= elements(op->getOperand(0));
    if (atResult)
      scaleResult(op->getResult(0), factor);
    else
      scaleOperand(op->getOpOperand(0), factor);
  }

  void scaleResult(Value value, double factor) {
    OpBuilder b(value.getContext());
    b.setInsertionPointAfterValue(value);
    auto scaled = ScaleOp::create(b, value.getLoc(), value.getType(), value, real(factor));
    value.replaceAllUsesExcept(scaled.getY(), scaled);
  }

  void scaleOperand(OpOperand &operand, double factor) {
    OpBuilder b(operand.getOwner());
    Value value = operand.get();
    operand.set(ScaleOp::create(b, operand.getOwner()->getLoc(), value.getType(), value, real(factor)).getY());
  }

  FloatAttr real(double value) { return FloatAttr::get(Float64Type::get(mup.getContext()), value); }
  void note(ParamOp param, const llvm::formatv_object_base &text) {
    remark::passed(param.getLoc(), remark::RemarkOpts::name("scaling").category("moire-mup"))
        << param.getSymName().str() + ": " + text.str();
  }

  MupOp mup;
  llvm::MapVector<ParamOp, ParameterUses> uses;
};

struct Mup final : impl::MupPassBase<Mup> {
  void runOnOperation() override {
    auto requests = llvm::to_vector(getOperation().getOps<MupOp>());
    if (requests.empty())
      return;
    if (requests.size() > 1) {
      mlir::emitError(requests[1].getLoc(), "a module is scaled once").attachNote(requests[0].getLoc())
          << "by this one";
      return signalPassFailure();
    }
    if (failed(Scaling(requests[0], usesOfParameters(getOperation())).run()))
      return signalPassFailure();
    requests[0].erase();
  }
};

} // namespace
} // namespace moire
