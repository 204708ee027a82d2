// SPDX-License-Identifier: EUPL-1.2
#include "api/admin/clock_marks.h"

#include <map>

#include "sync/clock_watch.h"

namespace staffel::api {

namespace {
constexpr auto kTolerance = static_cast<std::uint64_t>(sync::kClockTolerance.count());
}  // namespace

bool IsAhead(TimeMs time, std::optional<TimeMs> received, TimeMs now) {
  return time.value > now.value + kTolerance ||
         (received && time.value > received->value + kTolerance);
}

std::vector<std::string_view> ClockMarks(const std::vector<HistoryItem>& history, TimeMs now) {
  std::vector<std::string_view> marks(history.size());
  std::map<EntryId, TimeMs> sound;
  for (std::size_t i = 0; i < history.size(); ++i) {
    const auto& reception = history[i].reception;
    const auto received = reception ? std::optional<TimeMs>(reception->time) : std::nullopt;
    if (IsAhead(history[i].time, received, now)) {
      marks[i] = "ahead";
    } else {
      sound[history[i].entry] = history[i].time;
    }
  }
  for (std::size_t i = 0; i < history.size(); ++i) {
    if (!marks[i].empty()) continue;
    for (const auto& change : history[i].changes) {
      for (const EntryId& parent : change.parents) {
        const auto found = sound.find(parent);
        if (found != sound.end() && found->second.value > history[i].time.value + kTolerance) {
          marks[i] = "behind";
        }
      }
    }
  }
  return marks;
}

}  // namespace staffel::api
