// SPDX-License-Identifier: EUPL-1.2
// The one error type of the house. A function that can fail returns Result<T> or Status; an Error
// is a code from one short list and a sentence for a human: what failed, on what, what to do now.
// A conflict between two edits is not an error: both are kept and listed.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

namespace staffel {

// The short list. Codes say what the caller can do about it; the message says the rest.
enum class ErrorCode {
  kInvalid,      // the input is wrong and will stay wrong: correct it
  kNotFound,     // what was named is not here
  kExists,       // it is here already, and is something else
  kDenied,       // the asker has no right to this
  kConflict,     // the state has moved on since the asker looked: look again
  kTooLarge,     // beyond a named limit
  kUnsupported,  // this version cannot do it: upgrade
  kUnavailable,  // not now: try again later (network, busy, doubt about one's past)
  kStorage,      // disk full, disk error, damaged file
  kCorrupt,      // bytes that do not verify: hash, chain or signature
  kInternal,     // a bug of ours
};

// "invalid", "not-found", …: stable names, used in JSON output and logs.
[[nodiscard]] std::string_view ErrorCodeName(ErrorCode code);

struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
};

template <typename T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

// Fail(code, "record {} has no field {}", id, name): the usual way to make an error.
template <typename... Args>
[[nodiscard]] tl::unexpected<Error> Fail(ErrorCode code, fmt::format_string<Args...> format,
                                         Args&&... args) {
  return tl::unexpected<Error>(Error{code, fmt::format(format, std::forward<Args>(args)...)});
}

// Hands an error upward unchanged: `if (!loaded) return Forward(loaded);`
template <typename T>
[[nodiscard]] tl::unexpected<Error> Forward(T& failed) {
  return tl::unexpected<Error>(std::move(failed.error()));
}

// Asserts what only a bug of ours could break; stays on in release builds and ends the process
// with the place. Never used on input, peers or the disk.
[[noreturn]] void AssertionFailed(const char* expression, const char* file, int line);

}  // namespace staffel

#define STAFFEL_ASSERT(expression) \
  ((expression) ? (void)0 : ::staffel::AssertionFailed(#expression, __FILE__, __LINE__))

// `STAFFEL_TRY(value, Expression());` declares `value`, or returns the error upward.
#define STAFFEL_TRY_CONCAT_(a, b) a##b
#define STAFFEL_TRY_CONCAT(a, b) STAFFEL_TRY_CONCAT_(a, b)
#define STAFFEL_TRY_IMPL(holder, declaration, ...) \
  auto holder = (__VA_ARGS__);                     \
  if (!holder) return ::staffel::Forward(holder);  \
  declaration = std::move(*holder)
#define STAFFEL_TRY(name, ...) \
  STAFFEL_TRY_IMPL(STAFFEL_TRY_CONCAT(staffel_try_, __LINE__), auto name, __VA_ARGS__)
#define STAFFEL_CHECK(...)                                          \
  do {                                                              \
    auto staffel_check_ = (__VA_ARGS__);                            \
    if (!staffel_check_) return ::staffel::Forward(staffel_check_); \
  } while (false)
