//===- runtime/Core/Json.cpp - JSON read strictly --------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// nlohmann-json does the parsing; this file adds the refusals.
//
//===------------------------------------------------------------------------===//
#include "runtime/Core/Json.h"

#include "runtime/Core/File.h"

#include <vector>

namespace moire::runtime {

Result<Json> parseJson(std::string_view text, const std::string &where) {
  std::vector<std::set<std::string>> open;
  std::string twice;
  const Json::parser_callback_t noteKeys = [&](int, Json::parse_event_t event, Json &parsed) {
    if (event == Json::parse_event_t::object_start)
      open.emplace_back();
    else if (event == Json::parse_event_t::object_end)
      open.pop_back();
    else if (event == Json::parse_event_t::key && !open.back().insert(parsed.get<std::string>()).second)
      twice = parsed.get<std::string>();
    return true;
  };
  try {
    Json parsed = Json::parse(text, noteKeys);
    if (!twice.empty())
      return Status::error("{}: key `{}` is given twice", where, twice);
    return parsed;
  } catch (const Json::exception &problem) {
    const std::string reason = problem.what();
    return Status::error("{}: not valid JSON ({})", where, reason.substr(reason.find("] ") + 2));
  }
}

Result<Json> readJson(const std::string &path) {
  MOIRE_ASSIGN(const std::string text, readFile(path));
  return parseJson(text, fmt::format("`{}`", path));
}

ObjectReader::ObjectReader(const Json &object, std::string where) : object(object), where(std::move(where)) {
  if (!object.is_object())
    fail(Status::error("{}: expected an object, found {}", this->where, object.type_name()));
}

void ObjectReader::fail(Status status) {
  if (failure.ok())
    failure = std::move(status);
}

const Json *ObjectReader::find(const char *key) {
  known.insert(key);
  if (has(key))
    return &object[key];
  if (mustExist)
    fail(Status::error("{}: key `{}` is missing", where, key));
  return nullptr;
}

ObjectReader &ObjectReader::count(const char *key, int64_t &value, int64_t low, int64_t high) {
  const Json *found = find(key);
  if (!found)
    return *this;
  const bool fits = found->is_number_integer() &&
                    !(found->is_number_unsigned() && found->get<uint64_t>() > uint64_t(INT64_MAX)) &&
                    found->get<int64_t>() >= low && found->get<int64_t>() <= high;
  if (fits)
    value = found->get<int64_t>();
  else if (high == INT64_MAX)
    fail(Status::error("{}: `{}` must be a whole number of at least {}, not {}", where, key, low, found->dump()));
  else
    fail(Status::error("{}: `{}` must be a whole number from {} to {}, not {}", where, key, low, high, found->dump()));
  return *this;
}

ObjectReader &ObjectReader::number(const char *key, double &value, double low, double high) {
  const Json *found = find(key);
  if (!found)
    return *this;
  if (found->is_number() && found->get<double>() >= low && found->get<double>() <= high)
    value = found->get<double>();
  else
    fail(Status::error("{}: `{}` must be a number from {} to {}, not {}", where, key, low, high, found->dump()));
  return *this;
}

ObjectReader &ObjectReader::text(const char *key, std::string &value) {
  const Json *found = find(key);
  if (found && found->is_string())
    value = found->get<std::string>();
  else if (found)
    fail(Status::error("{}: `{}` must be text, not {}", where, key, found->dump()));
  return *this;
}

const Json &ObjectReader::value(const char *key, bool required) {
  static const Json nothing;
  const bool before = std::exchange(mustExist, required);
  const Json *found = find(key);
  mustExist = before;
  return found ? *found : nothing;
}

Status ObjectReader::finish() {
  if (object.is_object())
    for (const auto &item : object.items())
      if (!known.contains(item.key()))
        fail(Status::error("{}: unknown key `{}` (known: {})", where, item.key(), fmt::join(known, ", ")));
  return std::move(failure);
}

} // namespace moire::runtime
