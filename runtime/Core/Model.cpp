//===- runtime/Core/Model.cpp - a package with its memory ------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Allocates what a use needs and nothing else.
//
//===------------------------------------------------------------------------===//
#include "runtime/Core/Model.h"

#include <cstring>

namespace moire::runtime {

Result<Model> Model::make(Package package, Use use) {
  Model model(std::move(package));
  const moire_package &p = *model.held;
  const size_t master = static_cast<size_t>(p.parameter_elements) * model.held.elementBytes();
  const size_t trained = static_cast<size_t>(p.trained_elements) * model.held.elementBytes();
  MOIRE_ASSIGN(model.params, Buffer::allocate(master, "parameters"));
  MOIRE_ASSIGN(model.compute, Buffer::allocate(static_cast<size_t>(p.compute_elements) * 2, "bf16 parameters"));
  MOIRE_ASSIGN(model.arena, Buffer::allocate(static_cast<size_t>(p.arena_bytes), "arena"));
  if (use == Use::Train) {
    MOIRE_ASSIGN(model.grads, Buffer::allocate(trained, "gradients"));
    MOIRE_ASSIGN(model.moment1, Buffer::allocate(trained, "first moments"));
    MOIRE_ASSIGN(model.moment2, Buffer::allocate(trained, "second moments"));
  }
  if (use == Use::Generate) {
    MOIRE_ASSIGN(model.state, Buffer::allocate(static_cast<size_t>(p.state_bytes), "decoding state"));
  }
  model.view = {model.params.data(),  model.grads.data(), model.moment1.data(), model.moment2.data(),
                model.compute.data(), model.arena.data(), model.state.data()};
  return model;
}

size_t Model::bytes() const {
  size_t sum = 0;
  for (const Buffer *buffer : {&params, &grads, &moment1, &moment2, &compute, &arena, &state})
    sum += buffer->bytes();
  return sum;
}

void Model::clearState() {
  if (state.data())
    std::memset(state.data(), 0, state.bytes());
}

Status Model::check(int32_t code, const char *name) const {
  if (code >= 0)
    return {};
  return Status::error("model `{}` has no `{}` step (code {})", held->model, name, code);
}

Status forEachInstance(const moire_package &package, const std::function<Status(const Instance &)> &visit) {
  for (int64_t i = 0; i < package.parameter_count; ++i) {
    const moire_parameter &parameter = package.parameters[i];
    const int64_t elements = instanceElements(parameter);
    for (int64_t n = 0; n < parameter.instances; ++n)
      MOIRE_TRY(visit({parameter, n, parameter.paths[n], parameter.offset + n * elements, elements}));
  }
  return {};
}

} // namespace moire::runtime
