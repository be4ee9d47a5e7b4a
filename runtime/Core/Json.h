//===- runtime/Core/Json.h - JSON read strictly ---------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A setting that is misspelt, given twice or of the wrong kind is an error and
// never a default: `ObjectReader` takes each expected key out of an object and
// refuses what is left over.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_CORE_JSON_H
#define MOIRE_RUNTIME_CORE_JSON_H

#include "runtime/Core/Status.h"

#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>

namespace moire::runtime {

/// JSON objects keep the order in which keys were added.
using Json = nlohmann::ordered_json;

/// Parses `text`; `where` begins the message. A key given twice is an error.
Result<Json> parseJson(std::string_view text, const std::string &where);

/// Parses the file `path`.
Result<Json> readJson(const std::string &path);

/// Takes known keys out of an object, checking their kinds; the first error is kept and reported by finish().
class ObjectReader {
public:
  /// Reads `object`, called `where` in messages.
  ObjectReader(const Json &object, std::string where);

  bool has(const char *key) const { return object.is_object() && object.contains(key); }
  /// A whole number in [low, high]: `4`, not `4.0`.
  ObjectReader &count(const char *key, int64_t &value, int64_t low, int64_t high = INT64_MAX);
  /// A number in [low, high].
  ObjectReader &number(const char *key, double &value, double low, double high);
  /// Text.
  ObjectReader &text(const char *key, std::string &value);
  /// A nested value of any kind; null when the key is absent and not `required`.
  const Json &value(const char *key, bool required = true);
  /// From here on a missing key is not an error and leaves the value as it was (or until required()).
  ObjectReader &optional() { return mustExist = false, *this; }
  ObjectReader &required() { return mustExist = true, *this; }
  /// The first error, or one about a key that nobody asked for.
  Status finish();

private:
  const Json *find(const char *key);
  void fail(Status status);

  const Json &object;
  std::string where;
  std::set<std::string> known;
  bool mustExist = true;
  Status failure;
};

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_CORE_JSON_H
