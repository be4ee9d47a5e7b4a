//===- runtime/Transform/Blocks.cpp - what parameters are parts of ----------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The compiler speaks of blocks inside of loops; here each iteration counts.
//
//===------------------------------------------------------------------------===//
#include "runtime/Transform/Blocks.h"

#include <algorithm>

namespace moire::runtime {

int64_t Layer::count(const char *name, int64_t otherwise) const {
  return attributes.contains(name) && attributes[name].is_number_integer() ? attributes[name].get<int64_t>()
                                                                           : otherwise;
}

double Layer::number(const char *name, double otherwise) const {
  return attributes.contains(name) && attributes[name].is_number() ? attributes[name].get<double>() : otherwise;
}

std::string Layer::word(const char *name) const {
  return attributes.contains(name) && attributes[name].is_string() ? attributes[name].get<std::string>() : "";
}

bool Layer::flag(const char *name) const {
  return attributes.contains(name) && attributes[name].is_boolean() && attributes[name].get<bool>();
}

/// The parts of a path between dots.
static std::vector<std::string> partsOf(const std::string &path) {
  std::vector<std::string> parts(1);
  for (const char c : path)
    if (c == '.')
      parts.emplace_back();
    else
      parts.back() += c;
  return parts;
}

/// What stands in `path` where `pattern` has a `#`.
static std::vector<std::string> indicesOf(const std::string &pattern, const std::string &path) {
  const std::vector<std::string> general = partsOf(pattern), special = partsOf(path);
  std::vector<std::string> indices;
  for (size_t i = 0; i < std::min(general.size(), special.size()); ++i)
    if (general[i] == "#")
      indices.push_back(special[i]);
  return indices;
}

/// The instances of block `router` in the same iterations of the loops around both as the pool at `path`.
static void addRouters(const Json &router, const Json &pool, Layer &layer) {
  const auto mine = indicesOf(pool.at("path"), layer.path);
  for (const Json &path : router.at("paths")) {
    const auto its = indicesOf(router.at("path"), path);
    const size_t both = std::min(mine.size(), its.size());
    if (std::equal(mine.begin(), mine.begin() + both, its.begin()))
      layer.routers.push_back(path);
  }
}

Result<Blocks> Blocks::parse(const std::string &text, const std::string &where) {
  MOIRE_ASSIGN(const Json json, parseJson(text, where));
  Blocks blocks;
  try {
    for (const Json &block : json.at("blocks"))
      for (const Json &path : block.at("paths")) {
        Layer layer{block.at("op"), path, block.at("attributes"), {}};
        if (layer.attributes.contains("routers"))
          for (const Json &name : layer.attributes["routers"])
            for (const Json &other : json.at("blocks"))
              if (other.at("path") == name)
                addRouters(other, block, layer);
        layer.attributes.erase("routers");
        blocks.byPath[layer.path] = blocks.list.size();
        blocks.list.push_back(std::move(layer));
      }
  } catch (const Json::exception &error) {
    return Status::error("{}: {}", where, error.what());
  }
  return blocks;
}

const Layer *Blocks::find(const std::string &path) const {
  const auto found = byPath.find(path);
  return found == byPath.end() ? nullptr : &list[found->second];
}

const Layer *Blocks::owner(const std::string &parameter) const {
  for (size_t end = parameter.rfind('.'); end != std::string::npos && end > 0; end = parameter.rfind('.', end - 1))
    if (const Layer *layer = find(parameter.substr(0, end)))
      return layer;
  return nullptr;
}

std::string generalPath(const std::string &path) {
  std::string general;
  for (const std::string &part : partsOf(path)) {
    const bool number = !part.empty() && part.find_first_not_of("0123456789") == std::string::npos;
    general += (general.empty() ? "" : ".") + (number ? "#" : part);
  }
  return general;
}

std::vector<std::string> differences(const Blocks &source, const Blocks &target) {
  std::vector<std::string> found;
  for (const Layer &layer : target.layers()) {
    const Layer *before = source.find(layer.path);
    if (!before || before->op != layer.op)
      continue;
    std::vector<std::string> changes;
    auto text = [](const Json &attributes, const std::string &key) {
      const Json value = attributes.value(key, Json(false));
      return value == Json(false)  ? "none"
             : value == Json(true) ? "yes"
             : value.is_string()   ? value.get<std::string>()
                                   : value.dump();
    };
    auto compare = [&](const Json &keys) {
      for (const auto &item : keys.items()) {
        if (item.key() == "mup_scores")
          continue; // queries make up for it
        const std::string was = text(before->attributes, item.key()), is = text(layer.attributes, item.key());
        const std::string change = fmt::format("{} {} -> {}", item.key(), was, is);
        if (was != is && std::find(changes.begin(), changes.end(), change) == changes.end())
          changes.push_back(change);
      }
    };
    compare(before->attributes);
    compare(layer.attributes);
    if (changes.empty())
      continue;
    const std::string line =
        fmt::format("`{}` computes differently: {}", generalPath(layer.path), fmt::join(changes, ", "));
    if (std::find(found.begin(), found.end(), line) == found.end())
      found.push_back(line);
  }
  return found;
}

} // namespace moire::runtime
