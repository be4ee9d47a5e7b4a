//===- frontend/Sema/Program.cpp - a spec and all that it uses -------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A file is read once however often it is used; using a file that is still
// being read is the circle that is refused.
//===----------------------------------------------------------------------===//
#include "frontend/Sema/Program.h"
#include "frontend/Parser/Parser.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

using namespace llvm;

namespace moire::sema {

namespace {

class Loader {
public:
  Loader(Program &program, Diagnostics &diagnostics) : program(program), diagnostics(diagnostics) {}

  /// Reads a file; `from` is the `use`, or null for the main file.
  void load(StringRef path, const ast::Use *from) {
    auto buffer = path == "-" ? MemoryBuffer::getSTDIN() : MemoryBuffer::getFile(path);
    SMRange place = from ? from->range : SMRange();
    std::error_code error = buffer.getError();
    if (!error && sys::fs::is_directory(path))
      error = std::make_error_code(std::errc::is_a_directory);
    if (error) {
      (void)diagnostics.error(place, "cannot read `" + path + "`: " + StringRef(error.message()).lower());
      return;
    }
    SmallString<256> identity(path);
    if (path != "-")
      (void)sys::fs::real_path(path, identity);
    auto open = find_if(stack, [&](const Open &entry) { return entry.identity == identity; });
    if (open != stack.end()) {
      auto circle = diagnostics.error(place, "`" + path + "` uses itself in a circle");
      for (auto it = open + 1; it != stack.end(); ++it)
        circle.note(it->from->range, "by way of this `use`");
      return;
    }
    if (!seen.insert(identity).second)
      return;
    if (stack.size() > 64) {
      (void)diagnostics.error(place, "files use each other more than 64 levels deep");
      return;
    }
    unsigned id = diagnostics.sourceManager().AddNewSourceBuffer(std::move(*buffer), SMLoc());
    std::unique_ptr<ast::File> file = parseFile(id, diagnostics);
    if (!file)
      return;
    stack.push_back({identity.str().str(), from});
    for (const ast::Use &use : file->uses) {
      if (sys::path::is_absolute(use.path) || path == "-") {
        load(use.path, &use);
        continue;
      }
      SmallString<256> relative(path);
      sys::path::remove_filename(relative);
      sys::path::append(relative, use.path);
      load(relative, &use);
    }
    stack.pop_back();
    gather(*file);
    program.files.push_back(std::move(file));
  }

private:
  struct Open {
    std::string identity;
    const ast::Use *from;
  };

  /// Enters a declaration; a second one of the same name is an error.
  template <typename T> void enter(StringMap<const T *> &table, const T &declaration) {
    const ast::Ident &name = declaration.name;
    auto [it, fresh] = table.try_emplace(name.text, &declaration);
    if (!fresh)
      diagnostics.error(name.range, "`" + name.text + "` is declared twice")
          .note(it->second->name.range, "it was declared here before");
  }

  /// Only one of these in all files.
  template <typename T> void enterOnly(const T *&slot, const T &declaration, StringRef what) {
    if (slot)
      diagnostics.error(declaration.range, "a spec has one " + what + ", this is a second one")
          .note(slot->range, "the first is here");
    else
      slot = &declaration;
  }

  void gather(const ast::File &file) {
    for (const auto &let : file.lets)
      program.lets.push_back(let.get());
    for (const auto &block : file.blocks)
      enter(program.blocks, *block);
    for (const auto &preset : file.presets)
      enter(program.presets, *preset);
    for (const auto &model : file.models)
      enterOnly(program.model, *model, "`model`");
    for (const auto &train : file.trains)
      enterOnly(program.train, *train, "`train` section");
  }

  Program &program;
  Diagnostics &diagnostics;
  std::vector<Open> stack;
  StringSet<> seen;
};

} // namespace

bool Program::inMainFile(const ast::Node &node, const SourceMgr &sources) const {
  return sources.FindBufferContainingLoc(node.range.Start) == files.back()->buffer;
}

std::unique_ptr<Program> loadProgram(StringRef path, Diagnostics &diagnostics) {
  auto program = std::make_unique<Program>();
  Loader(*program, diagnostics).load(path, nullptr);
  if (diagnostics.errorCount() != 0)
    return nullptr;
  if (!program->model) {
    StringRef text = diagnostics.sourceManager().getMemoryBuffer(program->files.back()->buffer)->getBuffer();
    SMLoc begin = SMLoc::getFromPointer(text.begin());
    (void)diagnostics.error({begin, begin}, "a spec needs one `model`, here is none");
    return nullptr;
  }
  return program;
}

} // namespace moire::sema
