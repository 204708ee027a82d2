// SPDX-License-Identifier: EUPL-1.2
#include "core/base/time.h"

#include <chrono>
#include <string>
#include <string_view>

#include <catch2/catch.hpp>
#include <rapidcheck/catch.h>

namespace staffel {
namespace {

constexpr std::string_view kBerlin = "Europe/Berlin";

std::string Utc(std::string_view text) {
  const auto time = ParseTime(text);
  return time ? FormatTimeUtc(*time) : "refused: " + time.error().message;
}

std::string InBerlin(std::string_view text) {
  const auto time = ParseLocalTime(text, kBerlin);
  return time ? FormatTimeUtc(*time) : "refused: " + time.error().message;
}

TEST_CASE("a time with an offset is the same moment in UTC") {
  CHECK(Utc("2025-03-19T10:30+01:00") == "2025-03-19T09:30:00Z");
  CHECK(Utc("2025-04-23T11:00+02:00") == "2025-04-23T09:00:00Z");
  CHECK(Utc("2025-07-01T00:00+02:00") == "2025-06-30T22:00:00Z");
  CHECK(Utc("2025-06-30T22:00:00Z") == "2025-06-30T22:00:00Z");
  CHECK(Utc("2025-01-01T01:15:30.250-03:45") == "2025-01-01T05:00:30.250Z");
  CHECK(Utc("2025-04-23 11:00:05+00:00") == "2025-04-23T11:00:05Z");
}

TEST_CASE("24:00 is the following midnight") {
  CHECK(Utc("2025-01-22T24:00+01:00") == "2025-01-22T23:00:00Z");
  CHECK(Utc("2025-06-30T24:00+02:00") == "2025-06-30T22:00:00Z");
  CHECK(Utc("2024-12-31T24:00:00Z") == "2025-01-01T00:00:00Z");
  CHECK(InBerlin("2025-06-30T24:00") == "2025-06-30T22:00:00Z");
  CHECK(Utc("2025-01-22T24:01+01:00").starts_with("refused"));
  CHECK(Utc("2025-01-22T24:00:00.001Z").starts_with("refused"));
}

TEST_CASE("dates that no calendar has are refused") {
  for (const char* text :
       {"2025-02-29T10:00Z", "2025-13-01T10:00Z", "2025-00-10T10:00Z", "2025-04-31T10:00Z",
        "2025-4-1T10:00Z", "25-04-01T10:00Z", "01.04.2025 10:00Z", "heute", ""}) {
    CAPTURE(text);
    const auto time = ParseTime(text);
    REQUIRE_FALSE(time);
    CHECK(time.error().code == ErrorCode::kInvalid);
    CHECK(time.error().message.find("real date") != std::string::npos);
  }
  CHECK(Utc("2024-02-29T10:00Z") == "2024-02-29T10:00:00Z");
}

TEST_CASE("times of day that no clock shows are refused") {
  for (const char* text :
       {"2025-04-01T25:00Z", "2025-04-01T10:60Z", "2025-04-01T10:00:60Z", "2025-04-01T1:00Z",
        "2025-04-01T10Z", "2025-04-01T10:00:Z", "2025-04-01T10:00:00.1Z", "2025-04-01T-1:00Z"}) {
    CAPTURE(text);
    const auto time = ParseTime(text);
    REQUIRE_FALSE(time);
    CHECK(time.error().message.find("time of day") != std::string::npos);
  }
  CHECK(ParseTime("2025-04-01").error().message.find("no time after the date") !=
        std::string::npos);
}

TEST_CASE("a time without an offset, or with one that no place has, is refused") {
  CHECK(ParseTime("2025-04-01T10:00").error().message.find("no offset") != std::string::npos);
  for (const char* text : {"2025-04-01T10:00+1:00", "2025-04-01T10:00+01", "2025-04-01T10:00+19:00",
                           "2025-04-01T10:00+01:60", "2025-04-01T10:00+0100"}) {
    CAPTURE(text);
    const auto time = ParseTime(text);
    REQUIRE_FALSE(time);
    CHECK(time.error().message.find("real offset") != std::string::npos);
  }
  CHECK(ParseTime("2025-04-01T10:00Zulu").error().message.find("goes on after the time: 'ulu'") !=
        std::string::npos);
}

TEST_CASE("times before 1970 are refused, the first moment is not") {
  CHECK(Utc("1970-01-01T00:00Z") == "1970-01-01T00:00:00Z");
  CHECK(Utc("1969-12-31T24:00Z") == "1970-01-01T00:00:00Z");
  CHECK(Utc("1969-12-31T23:59:59.999Z").find("before 1970") != std::string::npos);
  CHECK(Utc("1970-01-01T00:30+01:00").find("before 1970") != std::string::npos);
}

TEST_CASE("local times follow the change of clocks") {
  CHECK(InBerlin("2025-03-19T10:30") == "2025-03-19T09:30:00Z");
  CHECK(InBerlin("2025-04-23T11:00") == "2025-04-23T09:00:00Z");
  CHECK(InBerlin("2025-03-30T01:59") == "2025-03-30T00:59:00Z");
  CHECK(InBerlin("2025-03-30T03:00") == "2025-03-30T01:00:00Z");
}

TEST_CASE("a local time that the clocks skip is refused") {
  for (const char* text : {"2025-03-30T02:00", "2025-03-30T02:30", "2025-03-30T02:59:59.999"}) {
    CAPTURE(text);
    const auto time = ParseLocalTime(text, kBerlin);
    REQUIRE_FALSE(time);
    CHECK(time.error().message.find("does not exist in Europe/Berlin") != std::string::npos);
  }
}

TEST_CASE("a local time that comes twice is the first of the two") {
  CHECK(InBerlin("2025-10-26T02:30") == "2025-10-26T00:30:00Z");
  CHECK(InBerlin("2025-10-26T03:00") == "2025-10-26T02:00:00Z");
}

TEST_CASE("unknown zones are refused, known ones are not") {
  for (const char* zone : {"Europe/Berlin", "UTC", "America/New_York"}) CHECK(IsKnownZone(zone));
  for (const char* zone :
       {"", "Europe/Hannover", "Etc/Unknown", "Berlin", "CEST+1", "GMT+1", "europe/berlin"}) {
    CAPTURE(zone);
    CHECK_FALSE(IsKnownZone(zone));
    CHECK_FALSE(ParseLocalTime("2025-04-01T10:00", zone));
  }
  CHECK(ParseLocalTime("2025-04-01T10:00", "Europe/Hannover").error().message ==
        "'Europe/Hannover' is not a known time zone");
}

TEST_CASE("a local time takes no offset") {
  CHECK(InBerlin("2025-04-01T10:00Z").find("goes on after the time") != std::string::npos);
  CHECK(InBerlin("2025-04-01T10:00+02:00").find("goes on after the time") != std::string::npos);
}

TEST_CASE("people read times in their own zone") {
  const TimeMs handover = *ParseTime("2025-06-30T22:00:00Z");
  CHECK(FormatTimeIn(handover, kBerlin) == "2025-07-01 00:00:00");
  CHECK(FormatTimeIn(*ParseTime("2025-01-15T11:00:00.999Z"), kBerlin) == "2025-01-15 12:00:00");
  CHECK(FormatTimeIn(handover, "Nowhere/Land") == "2025-06-30 22:00:00Z");
}

TEST_CASE("a date is a real day and nothing after it") {
  CHECK(IsDate("2025-02-28"));
  CHECK(IsDate("2024-02-29"));
  for (const char* text : {"2025-02-29", "2025-02-28 ", "2025-02-28T00:00", "2025-2-28",
                           "28.02.2025", "", "2025-06-31"}) {
    CAPTURE(text);
    CHECK_FALSE(IsDate(text));
  }
}

TEST_CASE("a time written is read back as itself") {
  rc::prop("from 1970 to the end of 9999", [] {
    const TimeMs time{*rc::gen::inRange<std::uint64_t>(0, 253'402'300'800'000)};
    const auto read = ParseTime(FormatTimeUtc(time));
    RC_ASSERT(read.has_value());
    RC_ASSERT(*read == time);
  });
}

TEST_CASE("a time from a peer that lies far beyond any calendar is still printed") {
  // Headers carry any 64-bit number; printing one must not end the process.
  for (const std::uint64_t value :
       {std::uint64_t{253'402'300'800'000}, std::uint64_t{1} << 62, ~std::uint64_t{0}}) {
    CHECK_FALSE(FormatTimeUtc(TimeMs{value}).empty());
    CHECK_FALSE(FormatTimeIn(TimeMs{value}, kBerlin).empty());
  }
}

}  // namespace
}  // namespace staffel
