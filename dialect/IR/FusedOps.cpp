//===- dialect/IR/FusedOps.cpp - verifiers of fused ops and of calls -----===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Row kernels, before and after memory is planned, and calls on planned memory.
//===----------------------------------------------------------------------===//
#include "dialect/IR/MoireOps.h"
#include "dialect/IR/Verify.h"
#include "mlir/IR/AffineExpr.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

using namespace mlir;
using namespace moire;

//===----------------------------------------------------------------------===//
// Row kernels
//===----------------------------------------------------------------------===//

YieldOp RowwiseOp::getYield() { return cast<YieldOp>(getBody().front().getTerminator()); }

int64_t RowwiseOp::getDomainSize() {
  int64_t size = 1;
  for (int64_t extent : getDomain())
    size *= extent;
  return size;
}

void RowwiseOp::getEffects(SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &effects) {
  for (OpOperand &input : getInputsMutable())
    if (isa<MemRefType>(input.get().getType()))
      effects.emplace_back(MemoryEffects::Read::get(), &input);
  for (OpOperand &out : getOutsMutable())
    effects.emplace_back(MemoryEffects::Write::get(), &out);
}

/// Whether a map result is `di`, `di + constant` or a constant.
static bool isRowIndex(AffineExpr expr) {
  if (isa<AffineDimExpr, AffineConstantExpr>(expr))
    return true;
  auto sum = dyn_cast<AffineBinaryOpExpr>(expr);
  return sum && sum.getKind() == AffineExprKind::Add && isa<AffineDimExpr>(sum.getLHS()) &&
         isa<AffineConstantExpr>(sum.getRHS());
}

/// Fails unless input number `index`, its map and its block argument fit. rowwise.C1
static LogicalResult verifyInput(RowwiseOp op, unsigned index) {
  auto mapAttr = cast<AffineMapAttr>(op.getMaps()[index]);
  AffineMap map = mapAttr.getValue();
  Type input = op.getInputs()[index].getType();
  Type argument = op.getBody().getArgument(index).getType();
  std::string name = "input #" + std::to_string(index);
  if (map.getNumDims() != op.getDomain().size() || map.getNumSymbols() != 0)
    return op.emitOpError("expects the map of ")
           << name << " to take " << op.getDomain().size() << " dimensions and no symbols, got " << mapAttr;
  if (!llvm::all_of(map.getResults(), isRowIndex))
    return op.emitOpError("expects the map of ")
           << name << " to give dimensions, dimensions plus constants, or constants, got " << mapAttr;
  ArrayRef<int64_t> shape = shapeOf(input);
  if (map.getNumResults() > shape.size())
    return op.emitOpError("expects a map of at most ")
           << shape.size() << " results for " << name << ", got " << mapAttr;
  Type row = RankedTensorType::get(shape.drop_front(map.getNumResults()), elementOf(input));
  if (argument != row)
    return op.emitOpError("expects the row of ") << name << " as " << row << ", got a block argument of " << argument;
  return success();
}

/// Fails unless result (or output buffer) number `index` holds what the body yields for it. rowwise.C2
static LogicalResult verifyOutput(RowwiseOp op, unsigned index, Type output) {
  Type row = op.getYield().getValues()[index].getType();
  std::string name = "output #" + std::to_string(index);
  bool summed = op.getSummed()[index];
  SmallVector<int64_t> shape;
  if (!summed)
    llvm::append_range(shape, op.getDomain());
  llvm::append_range(shape, shapeOf(row));
  if (failed(expectShape(op, name, output, shape, op.getYield().getValues()[index])))
    return failure();
  return expectElement(op, name, output, summed ? fullType(row) : elementOf(row));
}

LogicalResult RowwiseOp::verify() {
  for (int64_t extent : getDomain())
    if (extent < 1) // rowwise.C3
      return emitOpError("expects domain extents of 1 or more, got ") << extent;
  size_t inputs = getInputs().size();
  if (getMaps().size() != inputs || getBody().getNumArguments() != inputs) // rowwise.C1
    return emitOpError("expects a map and a block argument for each of ")
           << inputs << " inputs, got " << getMaps().size() << " and " << getBody().getNumArguments();
  for (unsigned index = 0; index < inputs; ++index)
    if (failed(verifyInput(*this, index)))
      return failure();

  if (!getOuts().empty() && getNumResults() != 0) // rowwise.C2
    return emitOpError("expects results or `outs`, got both");
  TypeRange outputs = getOuts().empty() ? TypeRange(getResultTypes()) : TypeRange(getOuts().getTypes());
  auto yield = dyn_cast<YieldOp>(getBody().front().getTerminator());
  if (!yield) // rowwise.C2
    return emitOpError("expects its body to end in `moire.yield`, got `")
           << getBody().front().getTerminator()->getName() << "`";
  if (yield.getValues().size() != outputs.size() || getSummed().size() != outputs.size()) // rowwise.C2
    return emitOpError("expects a yielded value and a `summed` flag for each of ")
           << outputs.size() << " outputs, got " << yield.getValues().size() << " and " << getSummed().size();
  for (auto [index, output] : llvm::enumerate(outputs))
    if (failed(verifyOutput(*this, index, output)))
      return failure();
  return success();
}

//===----------------------------------------------------------------------===//
// Products with row kernels
//===----------------------------------------------------------------------===//

RowwiseOp ProductRowsOp::getRows() { return cast<RowwiseOp>(*std::next(getBody().front().begin())); }

YieldOp ProductRowsOp::getYield() { return cast<YieldOp>(getBody().front().getTerminator()); }

LogicalResult ProductRowsOp::verify() {
  Block &body = getBody().front();
  if (body.getOperations().size() != 3 || !isa<GroupedLinearOp, KernelCallOp>(body.front()) ||
      !isa<RowwiseOp>(*std::next(body.begin())) || !isa<YieldOp>(body.back())) // product_rows.C1
    return emitOpError("expects a product, a row kernel and a yield in its body");
  RowwiseOp rows = getRows();
  if (rows.getDomain().size() != 1 || llvm::is_contained(rows.getSummed(), true)) // product_rows.C2
    return emitOpError("expects a row kernel over one extent that sums nothing over rows");
  if (auto product = dyn_cast<GroupedLinearOp>(body.front())) {
    if (shapeOf(product.getY().getType())[0] != rows.getDomain()[0]) // product_rows.C2
      return emitOpError("expects a row kernel over the ")
             << shapeOf(product.getY().getType())[0] << " rows of the product, got " << rows.getDomain()[0];
    bool reads = false;
    for (auto [input, map] : llvm::zip_equal(rows.getInputs(), rows.getMaps().getAsValueRange<AffineMapAttr>())) {
      if (input == product.getY() && !map.isIdentity()) // product_rows.C2
        return emitOpError("expects a row kernel that reads of the product the row it computes");
      reads |= input == product.getY();
    }
    if (!reads) // product_rows.C2
      return emitOpError("expects a row kernel that reads the product");
  }
  if (getOwn() && (isa<GroupedLinearOp>(body.front()) || *getOwn() >= rows.getInputs().size())) // product_rows.C4
    return emitOpError("expects `own` on buffers only, as the number of an input, got ") << *getOwn();
  if (getYield().getValues().getTypes() != getResultTypes()) // product_rows.C3
    return emitOpError("expects results of the types that its body yields");
  return success();
}

//===----------------------------------------------------------------------===//
// Calls on planned memory
//===----------------------------------------------------------------------===//

LogicalResult KernelCallOp::verify() {
  size_t buffers = 0, integers = 0, floats = 0, scalars = 0, kernels = 0;
  for (char letter : getSignature()) {
    switch (letter) {
    case 'b':
      ++buffers;
      break;
    case 'i':
    case 't':
      ++integers;
      break;
    case 'f':
    case 'd':
      ++floats;
      break;
    case 'p':
      ++scalars;
      break;
    case 'r':
      ++kernels;
      break;
    case '0':
      break;
    default: // kernel_call.C1
      return emitOpError("expects letters of \"b0itfdpr\" in its signature, got '") << Twine(letter) << "'";
    }
  }
  auto usedUp = [&](StringRef what, size_t letters, size_t given) -> LogicalResult { // kernel_call.C1
    if (letters == given)
      return success();
    return emitOpError("expects ") << letters << " " << what << " by its signature, got " << given;
  };
  if (failed(usedUp("buffers", buffers, getBuffers().size())) ||
      failed(usedUp("integers", integers, getIntegers().size())) ||
      failed(usedUp("floats", floats, getFloats().size())))
    return failure();
  if (kernels != (getThen() ? 1 : 0)) // kernel_call.C2
    return emitOpError("expects a kernel behind `then` if its signature asks for one, and only then");
  return usedUp("scalars", scalars, getScalars().size());
}

LogicalResult LaunchOp::verify() {
  int64_t count = getCount(), grain = getGrain();
  if (failed(expect(count >= 1, *this, "`count` of 1 or more", count))) // launch.C2
    return failure();
  return expect(grain >= 1, *this, "`grain` of 1 or more", grain); // launch.C2
}

/// The type of a buffer whose offset is zero.
static MemRefType withoutOffset(MemRefType type) {
  auto [strides, offset] = type.getStridesAndOffset();
  if (type.getLayout().isIdentity() || offset == 0)
    return type;
  MemRefType dense = MemRefType::get(type.getShape(), type.getElementType());
  if (strides == dense.getStridesAndOffset().first)
    return dense;
  return MemRefType::get(type.getShape(), type.getElementType(), StridedLayoutAttr::get(type.getContext(), 0, strides));
}

/// Fails unless `name` is a kernel that works on `buffers`. launch.C1
static LogicalResult expectKernel(Operation *op, SymbolTableCollection &symbols, FlatSymbolRefAttr name,
                                  OperandRange buffers) {
  auto kernel = symbols.lookupNearestSymbolFrom<FunctionOpInterface>(op, name);
  if (!kernel) // launch.C1
    return op->emitOpError("expects a function named `") << name.getValue() << "`";
  ArrayRef<Type> arguments = kernel.getArgumentTypes();
  auto disagree = [&]() -> InFlightDiagnostic {
    InFlightDiagnostic diag = op->emitOpError();
    diag.attachNote(kernel.getLoc()) << "kernel defined here";
    return diag;
  };
  size_t expected = 2 + buffers.size();
  if (arguments.size() != expected) // launch.C1
    return disagree() << "expects a kernel of " << expected << " arguments, got " << arguments.size();
  for (Type range : arguments.take_front(2))
    if (!isa<IndexType>(range)) // launch.C1
      return disagree() << "expects the kernel's first two arguments to be indices, got " << range;
  for (auto [index, pair] : llvm::enumerate(llvm::zip_equal(arguments.drop_front(2), buffers))) {
    auto [argument, buffer] = pair;
    // The pointer that a kernel gets has the offset applied; extents and strides stay.
    Type expectedType = withoutOffset(cast<MemRefType>(buffer.getType()));
    if (argument != expectedType) // launch.C1
      return disagree() << "expects kernel argument #" << index + 2 << " to be " << expectedType << ", got "
                        << argument;
  }
  return success();
}

LogicalResult LaunchOp::verifySymbolUses(SymbolTableCollection &symbols) { // launch.C1
  return expectKernel(*this, symbols, getKernelAttr(), getBuffers());
}

LogicalResult KernelCallOp::verifySymbolUses(SymbolTableCollection &symbols) { // kernel_call.C2
  return getThen() ? expectKernel(*this, symbols, getThenAttr(), getThenBuffers()) : success();
}
