// SPDX-License-Identifier: EUPL-1.2
// Times as the journal has them: UTC milliseconds since 1970, unsigned, and their text forms.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace staffel {

// A point in time, UTC, in milliseconds since 1970-01-01T00:00:00Z. Zero is "unknown".
struct TimeMs {
  std::uint64_t value = 0;
  friend auto operator<=>(const TimeMs&, const TimeMs&) = default;
};

// RFC 3339: "2025-06-30T22:00:00Z"; with milliseconds only where they are not zero.
// Times after the year 9999 are printed as its last moment.
[[nodiscard]] std::string FormatTimeUtc(TimeMs time);
// In a named zone of the IANA database, for people: "2025-07-01 00:00:00" (no offset).
// Falls back to UTC, marked "Z", where the zone is unknown.
[[nodiscard]] std::string FormatTimeIn(TimeMs time, std::string_view zone);

// Reads RFC 3339 date-times with an offset or Z ("2025-03-19T10:30+01:00", seconds optional), and
// "24:00" as the following midnight. Refuses what is not a real date or time, saying which part.
[[nodiscard]] Result<TimeMs> ParseTime(std::string_view text);

// A local date-time without offset ("2025-04-23T11:00", seconds optional, "24:00" allowed) in a
// named zone. Refuses unknown zones and times that the zone skips at a change of clocks.
[[nodiscard]] Result<TimeMs> ParseLocalTime(std::string_view text, std::string_view zone);

// Whether `text` is a real calendar date, "2025-02-28".
[[nodiscard]] bool IsDate(std::string_view text);
[[nodiscard]] bool IsKnownZone(std::string_view zone);

}  // namespace staffel
