// SPDX-License-Identifier: EUPL-1.2
#include "core/base/time.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include <unicode/basictz.h>
#include <unicode/timezone.h>
#include <unicode/unistr.h>

#include "core/base/thread_annotations.h"

namespace staffel {
namespace {

using std::chrono::days;
using std::chrono::milliseconds;
using std::chrono::sys_days;
using std::chrono::sys_time;

constexpr std::int64_t kMsPerMinute = 60'000;
constexpr std::int64_t kMsPerDay = 86'400'000;

std::optional<int> TakeDigits(std::string_view& in, std::size_t count) {
  if (in.size() < count) return std::nullopt;
  int value = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (in[i] < '0' || in[i] > '9') return std::nullopt;
    value = value * 10 + (in[i] - '0');
  }
  in.remove_prefix(count);
  return value;
}

bool Take(std::string_view& in, char c) {
  if (in.empty() || in.front() != c) return false;
  in.remove_prefix(1);
  return true;
}

// "2025-04-23" as days since 1970; takes it off the front of `in`.
std::optional<std::int64_t> TakeDate(std::string_view& in) {
  const auto year = TakeDigits(in, 4);
  if (!year || !Take(in, '-')) return std::nullopt;
  const auto month = TakeDigits(in, 2);
  if (!month || !Take(in, '-')) return std::nullopt;
  const auto day = TakeDigits(in, 2);
  if (!day) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok()) return std::nullopt;
  return sys_days(date).time_since_epoch().count();
}

// "11:00", "11:00:05", "11:00:05.250", "24:00" in milliseconds since midnight.
std::optional<std::int64_t> TakeTimeOfDay(std::string_view& in) {
  const auto hour = TakeDigits(in, 2);
  if (!hour || !Take(in, ':')) return std::nullopt;
  const auto minute = TakeDigits(in, 2);
  if (!minute) return std::nullopt;
  int second = 0;
  int millisecond = 0;
  if (Take(in, ':')) {
    const auto parsed = TakeDigits(in, 2);
    if (!parsed) return std::nullopt;
    second = *parsed;
    if (Take(in, '.')) {
      const auto fraction = TakeDigits(in, 3);
      if (!fraction) return std::nullopt;
      millisecond = *fraction;
    }
  }
  const bool end_of_day = *hour == 24 && *minute == 0 && second == 0 && millisecond == 0;
  if ((*hour > 23 && !end_of_day) || *minute > 59 || second > 59) return std::nullopt;
  return ((*hour * 60LL + *minute) * 60 + second) * 1000 + millisecond;
}

// Only zones of the IANA database: ICU by itself also takes "GMT+1" and a zone called unknown.
std::unique_ptr<icu::TimeZone> MakeZone(std::string_view zone) {
  const auto name = icu::UnicodeString::fromUTF8(
      icu::StringPiece(zone.data(), static_cast<int32_t>(zone.size())));
  UErrorCode status = U_ZERO_ERROR;
  icu::UnicodeString canonical;
  UBool is_system = false;
  icu::TimeZone::getCanonicalID(name, canonical, is_system, status);
  if (U_FAILURE(status) || !is_system || canonical == icu::UnicodeString("Etc/Unknown")) {
    return nullptr;
  }
  return std::unique_ptr<icu::TimeZone>(icu::TimeZone::createTimeZone(name));
}

// Made once each: an import reads two times a record, and to make a zone costs more than all else
// of a time. No more of them than the IANA has; they are read by any thread and stay.
const icu::TimeZone* FindZone(std::string_view zone) {
  constexpr std::size_t kNameBytesMax = 64;
  if (zone.empty() || zone.size() > kNameBytesMax) return nullptr;
  static Mutex mutex;
  static std::map<std::string, std::unique_ptr<icu::TimeZone>, std::less<>> zones;
  const MutexLock lock(mutex);
  const auto known = zones.find(zone);
  if (known != zones.end()) return known->second.get();
  auto made = MakeZone(zone);
  if (!made) return nullptr;
  return zones.emplace(zone, std::move(made)).first->second.get();
}

std::string FormatDateTime(std::int64_t local_ms, char separator) {
  const sys_time<milliseconds> time{milliseconds(local_ms)};
  const auto day = std::chrono::floor<days>(time);
  const std::chrono::year_month_day date(day);
  const auto rest = (time - day).count();
  std::string text =
      fmt::format("{:04}-{:02}-{:02}{}{:02}:{:02}:{:02}", static_cast<int>(date.year()),
                  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), separator,
                  rest / 3'600'000, rest / 60'000 % 60, rest / 1000 % 60);
  if (rest % 1000 != 0) text += fmt::format(".{:03}", rest % 1000);
  return text;
}

// A header may carry any 64-bit number; calendars end with the year 9999, and so does what we
// print.
std::int64_t Printable(TimeMs time) {
  constexpr std::uint64_t kPrintableMax = 253'402'300'799'999;
  return static_cast<std::int64_t>(std::min(time.value, kPrintableMax));
}

// Local date and time of day, in milliseconds, as if the zone were UTC.
Result<std::int64_t> TakeDateTime(std::string_view& in, std::string_view whole) {
  const auto date = TakeDate(in);
  if (!date)
    return Fail(ErrorCode::kInvalid, "'{}' does not begin with a real date (YYYY-MM-DD)", whole);
  if (!Take(in, 'T') && !Take(in, ' ')) {
    return Fail(ErrorCode::kInvalid, "'{}' has no time after the date (…T11:00)", whole);
  }
  const auto time = TakeTimeOfDay(in);
  if (!time)
    return Fail(ErrorCode::kInvalid, "'{}' has no real time of day (HH:MM or HH:MM:SS)", whole);
  return *date * kMsPerDay + *time;
}

}  // namespace

std::string FormatTimeUtc(TimeMs time) { return FormatDateTime(Printable(time), 'T') + "Z"; }

std::string FormatTimeIn(TimeMs time, std::string_view zone) {
  const std::int64_t utc = Printable(time) / 1000 * 1000;
  const auto* found = FindZone(zone);
  if (!found) return FormatDateTime(utc, ' ') + "Z";
  UErrorCode status = U_ZERO_ERROR;
  int32_t raw = 0;
  int32_t saving = 0;
  found->getOffset(static_cast<UDate>(utc), /*local=*/false, raw, saving, status);
  return FormatDateTime(utc + raw + saving, ' ');
}

Result<TimeMs> ParseTime(std::string_view text) {
  std::string_view in = text;
  STAFFEL_TRY(local, TakeDateTime(in, text));
  std::int64_t offset = 0;
  if (!Take(in, 'Z')) {
    const bool minus = !in.empty() && in.front() == '-';
    if (!Take(in, '+') && !Take(in, '-')) {
      return Fail(ErrorCode::kInvalid, "'{}' has no offset: end it with Z or +01:00", text);
    }
    const auto hours = TakeDigits(in, 2);
    const bool colon = Take(in, ':');
    const auto minutes = colon ? TakeDigits(in, 2) : std::nullopt;
    if (!hours || !minutes || *hours > 18 || *minutes > 59) {
      return Fail(ErrorCode::kInvalid, "'{}' has no real offset: end it with Z or +01:00", text);
    }
    offset = (*hours * 60LL + *minutes) * kMsPerMinute * (minus ? -1 : 1);
  }
  if (!in.empty()) return Fail(ErrorCode::kInvalid, "'{}' goes on after the time: '{}'", text, in);
  const std::int64_t utc = local - offset;
  if (utc < 0) return Fail(ErrorCode::kInvalid, "'{}' lies before 1970", text);
  return TimeMs{static_cast<std::uint64_t>(utc)};
}

Result<TimeMs> ParseLocalTime(std::string_view text, std::string_view zone) {
  std::string_view in = text;
  STAFFEL_TRY(local, TakeDateTime(in, text));
  if (!in.empty()) return Fail(ErrorCode::kInvalid, "'{}' goes on after the time: '{}'", text, in);
  const auto* found = FindZone(zone);
  if (!found) return Fail(ErrorCode::kInvalid, "'{}' is not a known time zone", zone);
  const auto* rules = dynamic_cast<const icu::BasicTimeZone*>(found);
  STAFFEL_ASSERT(rules != nullptr);
  UErrorCode status = U_ZERO_ERROR;
  int32_t raw = 0;
  int32_t saving = 0;
  rules->getOffsetFromLocal(static_cast<UDate>(local), UCAL_TZ_LOCAL_FORMER, UCAL_TZ_LOCAL_FORMER,
                            raw, saving, status);
  const std::int64_t utc = local - raw - saving;
  if (U_FAILURE(status) || utc < 0)
    return Fail(ErrorCode::kInvalid, "'{}' cannot be read in {}", text, zone);
  // A skipped time does not come back as itself.
  found->getOffset(static_cast<UDate>(utc), /*local=*/false, raw, saving, status);
  if (utc + raw + saving != local) {
    return Fail(ErrorCode::kInvalid, "'{}' does not exist in {}: the clocks go forward over it",
                text, zone);
  }
  return TimeMs{static_cast<std::uint64_t>(utc)};
}

bool IsDate(std::string_view text) {
  const auto date = TakeDate(text);
  return date && text.empty();
}

bool IsKnownZone(std::string_view zone) { return FindZone(zone) != nullptr; }

}  // namespace staffel
