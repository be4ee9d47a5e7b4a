//===- runtime/Core/Package.cpp - loading a compiled model -----------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// dlopen, then checks from the most basic to the most detailed: a field is read
// only after what makes it meaningful has been checked.
//
//===------------------------------------------------------------------------===//
#include "runtime/Core/Package.h"

#include "runtime/Core/CpuFeatures.h"

#include <dlfcn.h>
#include <filesystem>
#include <limits>
#include <set>

namespace moire::runtime {

bool isFrozen(const moire_parameter &parameter) { return parameter.lr_factor == 0 && !(parameter.sign_rate > 0); }

int64_t instanceElements(const moire_parameter &parameter) {
  int64_t elements = 1;
  for (int32_t i = 0; i < parameter.rank; ++i)
    elements *= parameter.shape[i];
  return elements;
}

const char *Package::precisionName() const {
  return table->precision == MOIRE_DTYPE_BF16 ? "bf16" : table->precision == MOIRE_DTYPE_F64 ? "f64" : "f32";
}

/// Sizes that must be there before anything else makes sense.
static Status checkHeader(const moire_package &p, const std::string &path) {
  for (const char *text : {p.model, p.compiler, p.spec, p.spec_hash, p.target, p.features, p.train_json, p.cost_json})
    if (!text)
      return Status::error("package `{}` is malformed: a text field is null", path);
  if (std::string_view(p.target) != "cpu")
    return Status::error("package `{}` was compiled for target `{}`; this runtime runs `cpu`", path, p.target);
  if (const auto missing = missingCpuFeatures(p.features); !missing.empty())
    return Status::error("package `{}` needs processor features that this machine lacks: {}", path,
                         fmt::join(missing, ", "));
  constexpr int64_t most = std::numeric_limits<int32_t>::max();
  for (const auto &[name, value, low, high] :
       {std::tuple("batch", p.batch, int64_t(1), most), std::tuple("context", p.context, int64_t(1), most),
        std::tuple("vocab", p.vocab, int64_t(1), most),
        std::tuple("decode_context", p.decode_context, int64_t(0), INT64_MAX),
        std::tuple("prefill_tokens", p.prefill_tokens, int64_t(0), most),
        std::tuple("parameter_elements", p.parameter_elements, int64_t(0), INT64_MAX / 8),
        std::tuple("trained_elements", p.trained_elements, int64_t(0), p.parameter_elements),
        std::tuple("compute_elements", p.compute_elements, int64_t(0), INT64_MAX / 8),
        std::tuple("arena_bytes", p.arena_bytes, int64_t(0), INT64_MAX),
        std::tuple("state_bytes", p.state_bytes, int64_t(0), INT64_MAX),
        std::tuple("metric_floats", p.metric_floats, int64_t(0), most),
        std::tuple("parameter_count", p.parameter_count, int64_t(0), most),
        std::tuple("metric_count", p.metric_count, int64_t(0), most)})
    if (value < low || value > high)
      return Status::error("package `{}` is malformed: `{}` is {}", path, name, value);
  if (p.precision != MOIRE_DTYPE_F32 && p.precision != MOIRE_DTYPE_BF16 && p.precision != MOIRE_DTYPE_F64)
    return Status::error("package `{}` is malformed: unknown precision {}", path, p.precision);
  return {};
}

/// Parameters must lie inside their buffer and have distinct paths; metrics must lie inside theirs.
static Status checkTables(const moire_package &p, const std::string &path) {
  if ((p.parameter_count > 0 && !p.parameters) || (p.metric_count > 0 && !p.metrics))
    return Status::error("package `{}` is malformed: a table is null", path);
  std::set<std::string_view> paths;
  for (int64_t i = 0; i < p.parameter_count; ++i) {
    const moire_parameter &parameter = p.parameters[i];
    bool sane = parameter.instances > 0 && parameter.rank >= 0 && parameter.offset >= 0;
    int64_t elements = sane ? parameter.instances : 0;
    for (int32_t d = 0; sane && d < parameter.rank; ++d)
      sane = parameter.shape[d] > 0 && !__builtin_mul_overflow(elements, parameter.shape[d], &elements);
    const int64_t end = isFrozen(parameter) ? p.parameter_elements : p.trained_elements;
    if (!sane || elements > end - parameter.offset)
      return Status::error("package `{}` is malformed: parameter `{}` lies outside of its buffer", path,
                           parameter.name ? parameter.name : "");
    for (int64_t instance = 0; instance < parameter.instances; ++instance)
      if (!paths.insert(parameter.paths[instance]).second)
        return Status::error("package `{}` is malformed: two parameters are called `{}`", path,
                             parameter.paths[instance]);
  }
  int64_t losses = 0;
  for (int64_t i = 0; i < p.metric_count; ++i) {
    const moire_metric &metric = p.metrics[i];
    if (metric.offset < 0 || metric.count < 1 || metric.count > p.metric_floats - metric.offset)
      return Status::error("package `{}` is malformed: metric `{}` lies outside of its array", path, metric.path);
    losses += std::string_view(metric.kind) == "loss";
  }
  if (losses != 1)
    return Status::error("package `{}` is malformed: it has {} metrics of kind `loss` instead of one", path, losses);
  return {};
}

Result<Package> Package::load(const std::string &path) {
  // A name without a slash would make dlopen search the library path.
  const std::string full = std::filesystem::absolute(path).string();
  std::error_code code;
  if (!std::filesystem::is_regular_file(full, code))
    return Status::error("no package `{}`", path);
  Package package;
  package.file = path;
  package.handle = std::shared_ptr<void>(::dlopen(full.c_str(), RTLD_NOW | RTLD_LOCAL), [](void *handle) {
    if (handle)
      ::dlclose(handle);
  });
  if (!package.handle)
    return Status::error("cannot load package: {}", ::dlerror());
  using Getter = const moire_package *(*)();
  const auto get = reinterpret_cast<Getter>(::dlsym(package.handle.get(), MOIRE_PACKAGE_SYMBOL));
  if (!get)
    return Status::error("`{}` is not a package: it does not export `{}`", path, MOIRE_PACKAGE_SYMBOL);
  package.table = get();
  if (!package.table)
    return Status::error("package `{}` is malformed: it has no table", path);
  if (package.table->abi_version != MOIRE_ABI_VERSION)
    return Status::error("package `{}` has ABI version {}, this runtime has {}: compile it again", path,
                         package.table->abi_version, MOIRE_ABI_VERSION);
  if (package.table->struct_bytes != sizeof(moire_package))
    return Status::error("package `{}` is malformed: its table has {} bytes, expected {}", path,
                         package.table->struct_bytes, sizeof(moire_package));
  MOIRE_TRY(checkHeader(*package.table, path));
  MOIRE_TRY(checkTables(*package.table, path));
  const moire_package &p = *package.table;
  if (!p.train_step || !p.accumulate || !p.optimizer_step || !p.refresh || !p.eval_step || !p.prefill || !p.decode)
    return Status::error("package `{}` is malformed: an entry point is missing", path);
  return package;
}

} // namespace moire::runtime
