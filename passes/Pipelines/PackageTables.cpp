//===- passes/Pipelines/PackageTables.cpp - moire_get_package ---------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The constants of runtime/abi.h, field by field in its order. The sizes of the structures are compared with those that
// the C compiler gave this file.
//===----------------------------------------------------------------------===//
#include "passes/Pipelines/EntryPoints.h"
#include "runtime/abi.h"
#include "llvm/IR/Constants.h"

using namespace moire;

namespace {

/// Makes constants.
class Tables {
public:
  explicit Tables(llvm::Module &module) : module(module), context(module.getContext()) {}

  llvm::Constant *number(int64_t value) { return llvm::ConstantInt::get(llvm::Type::getInt64Ty(context), value); }
  llvm::Constant *small(int32_t value) { return llvm::ConstantInt::get(llvm::Type::getInt32Ty(context), value); }
  llvm::Constant *real(double value) { return llvm::ConstantFP::get(llvm::Type::getDoubleTy(context), value); }
  llvm::Constant *null() { return llvm::ConstantPointerNull::get(llvm::PointerType::get(context, 0)); }
  llvm::Constant *text(llvm::StringRef value) { return global(llvm::ConstantDataArray::getString(context, value)); }
  llvm::Constant *numbers(llvm::ArrayRef<int64_t> values) {
    return global(llvm::ConstantDataArray::get(
        context, llvm::ArrayRef(reinterpret_cast<const uint64_t *>(values.data()), values.size())));
  }
  llvm::Constant *texts(llvm::ArrayRef<std::string> values) {
    llvm::SmallVector<llvm::Constant *> pointers;
    for (const std::string &value : values)
      pointers.push_back(text(value));
    return array(pointers);
  }
  llvm::Constant *record(llvm::ArrayRef<llvm::Constant *> fields) { return llvm::ConstantStruct::getAnon(fields); }
  /// A pointer to constants that follow each other; null when there are none.
  llvm::Constant *array(llvm::ArrayRef<llvm::Constant *> values) {
    if (values.empty())
      return null();
    return global(llvm::ConstantArray::get(llvm::ArrayType::get(values.front()->getType(), values.size()), values));
  }
  llvm::Constant *global(llvm::Constant *value) {
    auto *variable = new llvm::GlobalVariable(module, value->getType(), /*isConstant=*/true,
                                              llvm::GlobalValue::PrivateLinkage, value, "table");
    variable->setUnnamedAddr(llvm::GlobalValue::UnnamedAddr::Global);
    return variable;
  }
  int64_t bytes(llvm::Constant *value) { return module.getDataLayout().getTypeAllocSize(value->getType()); }

private:
  llvm::Module &module;
  llvm::LLVMContext &context;
};

} // namespace

static llvm::Constant *parameterTable(Tables &tables, const PackageInfo &info, int64_t &recordBytes) {
  llvm::SmallVector<llvm::Constant *> records;
  for (const ParameterInfo &p : info.parameters)
    records.push_back(tables.record(
        {tables.text(p.name), tables.text(p.role), tables.texts(p.paths), tables.number(p.paths.size()),
         tables.small(p.shape.size()), p.shape.empty() ? tables.null() : tables.numbers(p.shape),
         tables.number(p.offset), tables.number(p.computeOffset), tables.small(p.init), tables.real(p.initA),
         tables.real(p.initB), tables.real(p.learningRate), tables.real(p.decay), tables.real(p.signRate),
         tables.real(p.rateStart), tables.real(p.rateEnd), tables.real(p.multiplier)}));
  if (!records.empty())
    recordBytes = tables.bytes(records.front());
  return tables.array(records);
}

static llvm::Constant *metricTable(Tables &tables, const PackageInfo &info, int64_t &count, int64_t &recordBytes) {
  llvm::SmallVector<llvm::Constant *> records;
  if (const FunctionInfo *train = info.function("train"))
    for (const ArgumentInfo &metric : train->arguments) {
      if (metric.role != ArgumentRole::Metric || metric.paths.empty())
        continue;
      int64_t each = metric.elements() / int64_t(metric.paths.size());
      for (size_t copy = 0; copy < metric.paths.size(); ++copy)
        records.push_back(tables.record({tables.text(metric.paths[copy]), tables.text(metric.kind),
                                         tables.number(metric.number + int64_t(copy) * each), tables.number(each)}));
    }
  count = records.size();
  if (!records.empty())
    recordBytes = tables.bytes(records.front());
  return tables.array(records);
}

static int32_t precisionOf(llvm::StringRef name) {
  return name == "bf16" ? MOIRE_DTYPE_BF16 : name == "f64" ? MOIRE_DTYPE_F64 : MOIRE_DTYPE_F32;
}

llvm::Error moire::addPackage(llvm::Module &module, const PackageInfo &info) {
  EntryWriter writer(module, info);
  llvm::Expected<std::vector<llvm::Function *>> entries = writer.writeAll();
  if (!entries)
    return entries.takeError();
  Tables tables(module);
  int64_t parameterBytes = sizeof(moire_parameter), metricBytes = sizeof(moire_metric), metricCount = 0;
  llvm::Constant *parameters = parameterTable(tables, info, parameterBytes);
  llvm::Constant *metrics = metricTable(tables, info, metricCount, metricBytes);
  llvm::SmallVector<llvm::Constant *> fields{tables.small(MOIRE_ABI_VERSION),
                                             tables.small(sizeof(moire_package)),
                                             tables.text(info.model),
                                             tables.text("moirec " MOIRE_VERSION),
                                             tables.text(info.spec),
                                             tables.text(info.specHash),
                                             tables.text("cpu"),
                                             tables.text(info.features),
                                             tables.text(info.trainJson),
                                             tables.text(info.costJson),
                                             tables.small(precisionOf(info.precision)),
                                             tables.small(0),
                                             tables.number(info.batch),
                                             tables.number(info.context),
                                             tables.number(info.vocab),
                                             tables.number(info.decodeContext),
                                             tables.number(info.prefillTokens),
                                             tables.number(info.parameterElements),
                                             tables.number(info.trainedElements),
                                             tables.number(info.computeElements),
                                             tables.number(writer.arenaBytes()),
                                             tables.number(info.stateBytes),
                                             tables.number(info.metricFloats),
                                             tables.number(info.parameters.size()),
                                             parameters,
                                             tables.number(metricCount),
                                             metrics};
  for (llvm::Function *entry : *entries)
    fields.push_back(entry);
  llvm::Constant *package = tables.record(fields);
  if (parameterBytes != sizeof(moire_parameter) || metricBytes != sizeof(moire_metric) ||
      tables.bytes(package) != sizeof(moire_package))
    return llvm::createStringError("internal error: the tables do not have the layout of runtime/abi.h");

  llvm::IRBuilder<> b(module.getContext());
  auto *function = llvm::Function::Create(llvm::FunctionType::get(b.getPtrTy(), false), llvm::Function::ExternalLinkage,
                                          MOIRE_PACKAGE_SYMBOL, module);
  b.SetInsertPoint(llvm::BasicBlock::Create(module.getContext(), "", function));
  b.CreateRet(tables.global(package));
  return llvm::Error::success();
}
