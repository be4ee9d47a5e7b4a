//===- frontend/tools/moirec/Driver.cpp - options and stages of moirec -----===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A spec is resolved and emitted here; a `.mlir` file is read at whatever
// level it is. Everything behind the model level is the backend's.
//===----------------------------------------------------------------------===//
#include "frontend/tools/moirec/Driver.h"
#include "dialect/IR/MoireOps.h"
#include "frontend/Emit/Emit.h"
#include "frontend/Parser/Parser.h"
#include "frontend/Sema/Sema.h"
#include "frontend/tools/moirec/Backend.h"
#include "frontend/tools/moirec/Blocks.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/Timing.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

namespace cl = llvm::cl;
using namespace mlir;

namespace moire {

namespace {

/// The command line. A struct, so that nothing is registered before main runs.
struct CommandLine {
  cl::OptionCategory category{"moirec"};
  cl::opt<std::string> input{cl::Positional, cl::desc("SPEC"), cl::value_desc("spec.moire or module.mlir"),
                             cl::Optional, cl::cat(category)};
  cl::opt<bool> listLayers{"list-layers", cl::desc("print the layers that the language knows, and stop"),
                           cl::cat(category)};
  cl::opt<std::string> preset{"preset", cl::desc("take the values of a preset"), cl::value_desc("name"),
                              cl::cat(category)};
  cl::list<std::string> defines{"D", cl::Prefix, cl::desc("override a hyperparameter or a setting"),
                                cl::value_desc("name=value"), cl::cat(category)};
  cl::opt<std::string> target{"target", cl::desc("what to compile for: cpu"), cl::init("cpu"), cl::cat(category)};
  cl::opt<std::string> precision{"precision", cl::desc("of products: f32, bf16 or f64"), cl::init("f32"),
                                 cl::cat(category)};
  cl::opt<std::string> features{"features", cl::desc("of the processor: native, or a level for packages that travel"),
                                cl::init("native"), cl::cat(category)};
  cl::list<std::string> skipProofs{"skip-proofs", cl::CommaSeparated, cl::cat(category), cl::value_desc("names"),
                                   cl::desc("what not to prove of the model: causality, gradients, precision")};
  cl::opt<bool> fuseRouting{"fuse-routing", cl::init(true), cl::cat(category),
                            cl::desc("join routing, gathers, activations and sums with the products over experts")};
  cl::opt<bool> recompute{
      "recompute", cl::cat(category),
      cl::desc("compute the layers of a `repeat` again in the reverse pass, not keep what they made")};
  cl::opt<bool> probe{"probe", cl::cat(category),
                      cl::desc("report samples and sums of the activations among the metrics of a training step")};
  cl::opt<Stage> emit{
      "emit", cl::desc("where to stop"),
      cl::values(clEnumValN(Stage::Ast, "ast", "the syntax tree"), clEnumValN(Stage::Spec, "spec", "the resolved spec"),
                 clEnumValN(Stage::Blocks, "blocks", "the blocks of the model level as JSON, for other programs"),
                 clEnumValN(Stage::Model, "model", "blocks as papers name them"),
                 clEnumValN(Stage::Tensor, "tensor", "differentiable primitives, with the backward pass"),
                 clEnumValN(Stage::Fused, "fused", "what one kernel does"),
                 clEnumValN(Stage::Linalg, "linalg", "loops and calls into kernels"),
                 clEnumValN(Stage::Llvm, "llvm", "LLVM IR"), clEnumValN(Stage::Assembly, "asm", "assembly"),
                 clEnumValN(Stage::Package, "package", "a shared object for the runtime (the default)")),
      cl::init(Stage::Package), cl::cat(category)};
  cl::opt<std::string> cost{"cost", cl::desc("print parameters, FLOPs and bytes as JSON and stop"), cl::ValueOptional,
                            cl::value_desc("json"), cl::cat(category)};
  cl::opt<std::string> output{"o", cl::desc("where to write; - is standard output"), cl::value_desc("file"),
                              cl::cat(category)};
};

int fail(const llvm::Twine &text) {
  llvm::errs() << "error: " << text << '\n';
  return 1;
}

class Driver {
public:
  explicit Driver(CommandLine &line) : line(line), diagnostics(sources, llvm::errs()) {}

  int run() {
    if (line.listLayers) {
      sema::printBuiltins(llvm::outs());
      return 0;
    }
    if (line.input.empty())
      return fail("no spec is given; `moirec --help` lists the options");
    if (line.target != "cpu")
      return fail("there is no target `" + line.target + "`; this compiler has `cpu`");
    if (line.precision != "f32" && line.precision != "bf16" && line.precision != "f64")
      return fail("there is no precision `" + line.precision + "`; there are `f32`, `bf16` and `f64`");
    bool wantsCost = line.cost.getNumOccurrences() != 0;
    if (wantsCost && !line.cost.empty() && line.cost != "json")
      return fail("`--cost` prints `json`, not `" + line.cost + "`");
    for (const std::string &proof : line.skipProofs)
      if (proof != "causality" && proof != "gradients" && proof != "precision")
        return fail("there is no proof `" + proof + "` to skip; there are `causality`, `gradients` and `precision`");
    llvm::StringRef path = line.input;
    if (line.emit == Stage::Package && !wantsCost && (line.output == "-" || (line.output.empty() && path == "-")))
      return fail("a package is a file: name it by `-o`");
    if (path.ends_with(".mlir") || path.ends_with(".mlirbc"))
      return fromIR();
    if (line.emit == Stage::Ast && !wantsCost)
      return dumpTree();
    return fromSpec();
  }

private:
  /// Where the output goes: `-o`, else standard output for text and `SPEC.so` for a package.
  std::string output() const {
    if (!line.output.empty())
      return line.output;
    if (line.emit != Stage::Package || line.cost.getNumOccurrences() != 0)
      return "-";
    llvm::SmallString<256> path(line.input);
    llvm::sys::path::replace_extension(path, ".so");
    return path.str().str();
  }

  int dumpTree() {
    auto buffer = llvm::MemoryBuffer::getFileOrSTDIN(line.input);
    if (std::error_code error = buffer.getError())
      return fail("cannot read `" + line.input + "`: " + error.message());
    unsigned id = sources.AddNewSourceBuffer(std::move(*buffer), llvm::SMLoc());
    std::unique_ptr<ast::File> file = parseFile(id, diagnostics);
    if (!file)
      return 1;
    std::string text;
    llvm::raw_string_ostream os(text);
    ast::dump(*file, sources, os);
    return write(text);
  }

  int fromSpec() {
    sema::Options options;
    options.preset = line.preset;
    options.defines.assign(line.defines.begin(), line.defines.end());
    std::unique_ptr<sema::Resolved> resolved = sema::resolve(line.input, options, diagnostics);
    if (!resolved)
      return 1;
    bool wantsCost = line.cost.getNumOccurrences() != 0;
    openContext();
    if (!findShapes(*resolved))
      return 1;
    if (line.emit == Stage::Spec && !wantsCost)
      return write(resolved->text);
    OwningOpRef<ModuleOp> module = emitModel(*resolved, sources, *context);
    if (failed(verify(*module)) || (resolved->source && !sameLoops(*module)))
      return 1;
    return finish(*module);
  }

  /// Looks at the models that this one is compared with, so that the resolved spec can stand for itself.
  bool findShapes(sema::Resolved &resolved) {
    auto shapesOf = [&](const sema::ResolvedModel &other) -> std::optional<std::vector<sema::BaseShape>> {
      OwningOpRef<ModuleOp> module = emitOther(other, sources, *context);
      if (failed(verify(*module)))
        return std::nullopt;
      loopsOfSource.clear();
      module->walk([&](RepeatOp repeat) { loopsOfSource.push_back(repeat.getCount()); });
      auto extents = extentsOf(*module);
      if (failed(extents))
        return std::nullopt;
      std::vector<sema::BaseShape> shapes;
      for (auto &[name, of] : *extents)
        shapes.push_back({name, of});
      return shapes;
    };
    if (resolved.base) {
      auto shapes = shapesOf(*resolved.base);
      if (!shapes)
        return false;
      resolved.setBaseShapes(std::move(*shapes));
    }
    if (resolved.source) {
      auto shapes = shapesOf(*resolved.source);
      if (!shapes)
        return false;
      resolved.setSourceShapes(std::move(*shapes));
    }
    return true;
  }

  /// Shapes are those of one copy: whether there are as many copies, loops tell.
  bool sameLoops(ModuleOp module) {
    size_t number = 0;
    bool same = true;
    module.walk([&](RepeatOp repeat) {
      if (same && number < loopsOfSource.size() && int64_t(repeat.getCount()) != loopsOfSource[number]) {
        repeat.emitError("runs ") << repeat.getCount() << " times, in the source of `compress` "
                                  << loopsOfSource[number] << ": a projection changes sizes, not layers";
        same = false;
      }
      ++number;
    });
    return same;
  }

  int fromIR() {
    if (!line.preset.empty() || !line.defines.empty())
      return fail("`--preset` and `-D` need a spec, IR has its numbers already");
    if (line.emit == Stage::Ast || line.emit == Stage::Spec)
      return fail("a spec cannot be made of IR");
    openContext();
    auto buffer = llvm::MemoryBuffer::getFileOrSTDIN(line.input);
    if (std::error_code error = buffer.getError())
      return fail("cannot read `" + line.input + "`: " + error.message());
    sources.AddNewSourceBuffer(std::move(*buffer), llvm::SMLoc());
    OwningOpRef<ModuleOp> module = parseSourceFile<ModuleOp>(sources, context.get());
    return module ? finish(*module) : 1;
  }

  int finish(ModuleOp module) {
    if (line.emit == Stage::Blocks && line.cost.getNumOccurrences() == 0)
      return failed(writeBlocks(module, output()));
    BackendOptions options{line.target,      line.precision,
                           line.features,    std::vector<std::string>(line.skipProofs.begin(), line.skipProofs.end()),
                           line.fuseRouting, line.recompute,
                           line.probe};
    LogicalResult done = line.cost.getNumOccurrences() != 0 ? writeCost(module, options, output())
                                                            : compile(module, line.emit, options, output());
    return failed(done);
  }

  void openContext() {
    if (context)
      return;
    DialectRegistry registry;
    registerBackendDialects(registry);
    context = std::make_unique<MLIRContext>(registry);
    handler = std::make_unique<SourceMgrDiagnosticHandler>(sources, context.get());
  }

  int write(llvm::StringRef text) {
    openContext();
    return failed(writeText(text, output(), UnknownLoc::get(context.get())));
  }

  CommandLine &line;
  llvm::SourceMgr sources;
  Diagnostics diagnostics;
  std::vector<int64_t> loopsOfSource; ///< how often each repeat of the last model compared with runs
  std::unique_ptr<MLIRContext> context;
  std::unique_ptr<SourceMgrDiagnosticHandler> handler;
};

} // namespace

int runDriver(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  CommandLine line;
  registerAsmPrinterCLOptions();
  registerMLIRContextCLOptions();
  registerPassManagerCLOptions();
  registerDefaultTimingManagerCLOptions();
  // The help is about this tool and MLIR's own flags, not about all that LLVM's libraries register.
  for (auto &entry : cl::getRegisteredOptions())
    if (!llvm::is_contained(entry.second->Categories, &line.category) && !entry.first.starts_with("mlir-"))
      entry.second->setHiddenFlag(cl::Hidden);
  cl::ParseCommandLineOptions(argc, argv, "Compiles a Moire spec\n");
  return Driver(line).run();
}

} // namespace moire
