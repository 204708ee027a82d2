// SPDX-License-Identifier: EUPL-1.2
#include "core/base/result.h"

#include <memory>
#include <set>
#include <string>

#include <catch2/catch.hpp>

namespace staffel {
namespace {

Result<int> Half(int number) {
  if (number % 2 != 0) return Fail(ErrorCode::kInvalid, "{} is odd: give an even number", number);
  return number / 2;
}

Result<int> Quarter(int number) {
  STAFFEL_TRY(half, Half(number));
  STAFFEL_TRY(quarter, Half(half));
  return quarter;
}

Status IsDivisibleByFour(int number) {
  STAFFEL_CHECK(Quarter(number));
  return {};
}

Result<std::unique_ptr<int>> Owned(bool fails) {
  if (fails) return Fail(ErrorCode::kNotFound, "there is none");
  return std::make_unique<int>(7);
}

Result<int> Unwrapped(bool fails) {
  STAFFEL_TRY(owned, Owned(fails));
  return *owned;
}

TEST_CASE("an error says what failed, and travels upward unchanged") {
  CHECK(Quarter(12) == 3);
  const auto failed = Quarter(6);
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code == ErrorCode::kInvalid);
  CHECK(failed.error().message == "3 is odd: give an even number");
  CHECK(IsDivisibleByFour(8));
  CHECK(IsDivisibleByFour(6).error().message == "3 is odd: give an even number");
}

TEST_CASE("a result that cannot be copied is moved out") {
  CHECK(Unwrapped(false) == 7);
  CHECK(Unwrapped(true).error().code == ErrorCode::kNotFound);
}

TEST_CASE("every code has a name of its own") {
  std::set<std::string_view> names;
  for (int code = 0; code <= static_cast<int>(ErrorCode::kInternal); ++code) {
    names.insert(ErrorCodeName(static_cast<ErrorCode>(code)));
  }
  CHECK(names.size() == static_cast<std::size_t>(ErrorCode::kInternal) + 1);
  CHECK(ErrorCodeName(ErrorCode::kTooLarge) == "too-large");
}

}  // namespace
}  // namespace staffel
