//===- runtime/tools/Compile.cpp - from a spec to a package ------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A cached package is named by what it was made of: the resolved spec (so that
// files behind `use`, presets and defaults count), the options, the compiler's
// identity, and the processor that `native` code is for.
//
//===------------------------------------------------------------------------===//
#include "runtime/tools/Compile.h"

#include "runtime/Core/CpuFeatures.h"
#include "runtime/Core/File.h"
#include "runtime/Core/Hash.h"
#include "runtime/Core/Package.h"
#include "runtime/Core/Process.h"

#include <cstdlib>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

namespace moire::runtime {

namespace fs = std::filesystem;

std::vector<std::string> CompileOptions::arguments() const {
  std::vector<std::string> list;
  if (!preset.empty())
    list.insert(list.end(), {"--preset", preset});
  for (const std::string &define : defines)
    list.insert(list.end(), {"-D", define});
  if (!precision.empty())
    list.push_back("--precision=" + precision);
  if (recompute)
    list.push_back("--recompute");
  if (probe)
    list.push_back("--probe");
  return list;
}

void addCompileOptions(CLI::App &command, CompileOptions &options) {
  command.add_option("--preset", options.preset, "Preset of the spec");
  command.add_option("-D", options.defines, "Hyperparameter of the spec, NAME=VALUE")
      ->expected(1)
      ->take_all()
      ->check([](const std::string &define) {
        return define.find('=') == std::string::npos ? "-D " + define + ": expected NAME=VALUE" : std::string();
      });
  command.add_option("--precision", options.precision, "Precision of products")->check(CLI::IsMember({"f32", "bf16"}));
  command.add_flag("--recompute", options.recompute,
                   "Compute layers again in the reverse pass: less memory, more time");
}

bool isPackage(const std::string &path) {
  if (path.ends_with(".so"))
    return true; // also when it is missing or broken: the error then says so
  Result<MappedFile> file = MappedFile::open(path);
  return file.ok() && (*file).bytes().starts_with("\x7f"
                                                  "ELF");
}

static bool runnable(const std::string &path) { return ::access(path.c_str(), X_OK) == 0; }

/// The compiler's path.
static Result<std::string> findCompiler() {
  if (const char *named = std::getenv("MOIREC"); named && *named) {
    if (runnable(named))
      return std::string(named);
    return Status::error("$MOIREC is `{}`, which cannot be run", named);
  }
  MOIRE_ASSIGN(const std::string self, executablePath());
  const std::string beside = (fs::path(self).parent_path() / "moirec").string();
  if (runnable(beside))
    return beside;
  std::string_view path = std::getenv("PATH") ? std::getenv("PATH") : "";
  while (!path.empty()) {
    const size_t end = std::min(path.find(':'), path.size());
    const std::string candidate = std::string(path.substr(0, end)) + "/moirec";
    if (end > 0 && runnable(candidate))
      return candidate;
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return Status::error("cannot find the compiler `moirec`: it is not beside `{}`, not on the PATH, and $MOIREC is not "
                       "set; a compiled package (.so) needs none",
                       self);
}

/// The command line of the compiler.
static Result<std::vector<std::string>> compilerCommand(const std::string &spec, const CompileOptions &options,
                                                        const std::vector<std::string> &extra) {
  std::error_code code;
  if (!fs::exists(spec, code))
    return Status::error("no spec `{}`", spec);
  MOIRE_ASSIGN(const std::string compiler, findCompiler());
  std::vector<std::string> command = {compiler, spec};
  const std::vector<std::string> arguments = options.arguments();
  command.insert(command.end(), arguments.begin(), arguments.end());
  command.insert(command.end(), extra.begin(), extra.end());
  return command;
}

bool compiles(const std::string &spec, const CompileOptions &options) {
  auto command = compilerCommand(spec, options, {"--emit=spec"});
  return command.ok() && runProgram(*command, /*quiet=*/true).ok();
}

Result<std::string> runCompiler(const std::string &spec, const CompileOptions &options,
                                const std::vector<std::string> &extra) {
  MOIRE_ASSIGN(const std::vector<std::string> command, compilerCommand(spec, options, extra));
  auto output = runProgram(command);
  if (!output.ok())
    return Status::error("cannot compile `{}`: {}", spec, output.message());
  return output;
}

static Result<std::string> cacheFolder() {
  std::string base;
  if (const char *cache = std::getenv("XDG_CACHE_HOME"); cache && *cache)
    base = cache;
  else if (const char *home = std::getenv("HOME"); home && *home)
    base = std::string(home) + "/.cache";
  else
    return Status::error("neither $XDG_CACHE_HOME nor $HOME is set: there is no place for compiled packages");
  const std::string folder = base + "/moire";
  MOIRE_TRY(makeFolders(folder));
  return folder;
}

/// Changes whenever the compiler is built or installed again.
static Result<std::string> compilerIdentity() {
  MOIRE_ASSIGN(const std::string path, findCompiler());
  struct stat info;
  if (::stat(path.c_str(), &info) != 0)
    return Status::system(fmt::format("cannot read `{}`", path));
  return fmt::format("{} {} {}.{}", fs::canonical(path).string(), static_cast<int64_t>(info.st_size),
                     static_cast<int64_t>(info.st_mtim.tv_sec), static_cast<int64_t>(info.st_mtim.tv_nsec));
}

static Result<std::string> compileCached(const std::string &spec, const CompileOptions &options) {
  MOIRE_ASSIGN(const std::string resolved, runCompiler(spec, options, {"--emit=spec"}));
  MOIRE_ASSIGN(const std::string compiler, compilerIdentity());
  MOIRE_ASSIGN(const std::string folder, cacheFolder());
  const std::string key = sha256(fmt::format("{}\n{}\n{}\n{}\n{}", MOIRE_ABI_VERSION, compiler, cpuFeatures(),
                                             fmt::join(options.arguments(), "\n"), resolved));
  const std::string package = fmt::format("{}/{}.so", folder, key);
  std::error_code code;
  if (fs::exists(package, code))
    return package;
  // Written aside: two runs that compile the same spec at once both end with a whole file.
  const std::string aside = fmt::format("{}/{}.{}.so", folder, key, ::getpid());
  auto compiled = runCompiler(spec, options, {"--emit=package", "-o", aside});
  if (!compiled.ok()) {
    fs::remove(aside, code);
    return compiled.takeStatus();
  }
  fs::rename(aside, package, code);
  if (code)
    return Status::system(fmt::format("cannot write `{}`", package), code.value());
  return package;
}

Result<std::string> packageFor(const std::string &specOrPackage, const CompileOptions &options) {
  if (!isPackage(specOrPackage))
    return compileCached(specOrPackage, options);
  if (!options.preset.empty() || !options.defines.empty())
    return Status::error("`{}` is compiled already: --preset and -D go with a spec", specOrPackage);
  if (options.recompute)
    return Status::error("`{}` is compiled already: --recompute goes with a spec", specOrPackage);
  if (!options.precision.empty()) {
    MOIRE_ASSIGN(const Package package, Package::load(specOrPackage));
    if (options.precision != package.precisionName())
      return Status::error("package `{}` computes in {}, --precision asks for {}: compile the spec again",
                           specOrPackage, package.precisionName(), options.precision);
  }
  return specOrPackage;
}

} // namespace moire::runtime
