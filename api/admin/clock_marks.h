// SPDX-License-Identifier: EUPL-1.2
// Which entries were dated by a wrong clock, as far as others' receipts and changes show it. Only
// for people's eyes: nothing is decided by it (docs/decisions/0015).
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "core/store/store.h"

namespace staffel::api {

// "ahead": dated later than it was received, or than it is now. "Now" is as the others' clocks show
// it, where ours is wrong.
[[nodiscard]] bool IsAhead(TimeMs time, std::optional<TimeMs> received, TimeMs now);

// For each item of a record's history "ahead", "behind" (dated earlier than a change that it
// names and that is not ahead itself), or nothing.
[[nodiscard]] std::vector<std::string_view> ClockMarks(const std::vector<HistoryItem>& history,
                                                       TimeMs now);

}  // namespace staffel::api
