// SPDX-License-Identifier: EUPL-1.2
#include "core/record/wording.h"

#include <array>

#include <fmt/format.h>

namespace staffel::record {
namespace {

constexpr std::array<std::string_view, 12> kEnglishMonths = {
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

// "2025-04-23" as "23.04.2025" or "23 Apr 2025".
std::string SayDate(std::string_view date, const Wording& wording) {
  const std::string_view year = date.substr(0, 4);
  const std::string_view month = date.substr(5, 2);
  const std::string_view day = date.substr(8, 2);
  if (wording.is_german()) return fmt::format("{}.{}.{}", day, month, year);
  const auto number = static_cast<std::size_t>((month[0] - '0') * 10 + (month[1] - '0'));
  return fmt::format("{} {} {}", day.substr(day.front() == '0' ? 1 : 0), kEnglishMonths[number - 1],
                     year);
}

}  // namespace

std::string SayTime(std::string_view stored, const Wording& wording) {
  constexpr std::size_t kDateBytes = 10;
  constexpr std::size_t kMinuteBytes = 16;
  if (wording.times_as_stored || !IsDate(stored.substr(0, kDateBytes))) return std::string(stored);
  const std::string date = SayDate(stored, wording);
  if (stored.size() == kDateBytes) return date;
  // The form that ParseLocalTime takes, with a zone that has every time of day.
  if (!ParseLocalTime(stored, "UTC")) return std::string(stored);
  std::string_view time = stored.substr(kDateBytes + 1);
  if (stored.size() > kMinuteBytes && stored.substr(kMinuteBytes) == ":00")
    time = time.substr(0, 5);
  if (!wording.is_german()) return fmt::format("{}, {}", date, time);
  // The end of a day has a name of its own: a deadline „bis 24 Uhr".
  return fmt::format("{}, {} Uhr", date, time == "24:00" ? "24" : time);
}

std::string SayInstant(TimeMs time, const Wording& wording) {
  if (wording.times_as_stored) return FormatTimeUtc(time);
  return SayTime(FormatTimeIn(time, kConferenceZone), wording);
}

}  // namespace staffel::record
