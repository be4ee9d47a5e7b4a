//===- runtime/Core/Status.h - how failure travels in the runtime ---------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The runtime reports failure by value: a `Status` is success or a message for
// the user, a `Result<T>` is a value or such a message. Neither can be dropped
// silently, and no exception leaves a function of the runtime.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_CORE_STATUS_H
#define MOIRE_RUNTIME_CORE_STATUS_H

#include <fmt/format.h>
#include <memory>
#include <string>
#include <utility>
#include <variant>

namespace moire::runtime {

/// Success, or one message for the user: lower case, no full stop, names in backquotes.
class [[nodiscard]] Status {
public:
  /// Success.
  Status() = default;

  /// Failure with a formatted message.
  template <typename... Args> static Status error(fmt::format_string<Args...> format, Args &&...args) {
    Status status;
    status.text = std::make_unique<std::string>(fmt::format(format, std::forward<Args>(args)...));
    return status;
  }

  /// Failure of a system call: the message, then what `errno` (or `code`) means.
  static Status system(const std::string &what, int code);
  static Status system(const std::string &what);

  bool ok() const { return !text; }
  /// The message; empty on success.
  std::string message() const { return text ? *text : std::string(); }

private:
  std::unique_ptr<std::string> text;
};

/// A value, or why there is none.
template <typename T> class [[nodiscard]] Result {
public:
  Result(T value) : held(std::in_place_index<0>, std::move(value)) {}
  Result(Status failure) : held(std::in_place_index<1>, std::move(failure)) {}

  bool ok() const { return held.index() == 0; }
  /// The failure; call only when !ok().
  Status takeStatus() { return std::move(std::get<1>(held)); }
  std::string message() const { return ok() ? std::string() : std::get<1>(held).message(); }

  T &operator*() { return std::get<0>(held); }
  const T &operator*() const { return std::get<0>(held); }
  T *operator->() { return &std::get<0>(held); }
  const T *operator->() const { return &std::get<0>(held); }

private:
  std::variant<T, Status> held;
};

} // namespace moire::runtime

#define MOIRE_CONCAT_INNER(a, b) a##b
#define MOIRE_CONCAT(a, b) MOIRE_CONCAT_INNER(a, b)

/// Leaves the function with the failure of `expression`, a Status.
#define MOIRE_TRY(expression)                                                                                          \
  do {                                                                                                                 \
    if (::moire::runtime::Status moireStatus = (expression); !moireStatus.ok())                                        \
      return moireStatus;                                                                                              \
  } while (false)

/// Leaves the function with the failure of `expression`, a Result; else initialises `declaration` with its value.
#define MOIRE_ASSIGN(declaration, expression)                                                                          \
  auto MOIRE_CONCAT(moireResult, __LINE__) = (expression);                                                             \
  if (!MOIRE_CONCAT(moireResult, __LINE__).ok())                                                                       \
    return MOIRE_CONCAT(moireResult, __LINE__).takeStatus();                                                           \
  declaration = std::move(*MOIRE_CONCAT(moireResult, __LINE__))

#endif // MOIRE_RUNTIME_CORE_STATUS_H
