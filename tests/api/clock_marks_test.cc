// SPDX-License-Identifier: EUPL-1.2
#include "api/admin/clock_marks.h"

#include <catch2/catch.hpp>

#include "tests/support/sim_random.h"

namespace staffel::api {
namespace {

constexpr std::uint64_t kMinute = 60'000;
constexpr TimeMs kNow{1'000'000'000};

HistoryItem Item(std::uint64_t number, TimeMs time, std::vector<EntryId> parents = {}) {
  HistoryItem item;
  item.entry = testing::SimRandom(number).DrawId<EntryId>();
  item.time = time;
  item.changes.push_back({});
  item.changes.back().parents = std::move(parents);
  return item;
}

TEST_CASE("an entry from the future, or dated after its receipt, is marked as ahead") {
  auto received = Item(2, TimeMs{kNow.value - 60 * kMinute});
  received.reception = Reception{1, TimeMs{kNow.value - 90 * kMinute}, {}};
  const auto marks = ClockMarks({Item(1, TimeMs{kNow.value + 6 * kMinute}), received,
                                 Item(3, TimeMs{kNow.value + 4 * kMinute}), Item(4, TimeMs{1})},
                                kNow);
  CHECK(marks == std::vector<std::string_view>{"ahead", "ahead", "", ""});
}

TEST_CASE("an entry dated before what it builds on is marked as behind, unless that was ahead") {
  const auto sound = Item(1, TimeMs{kNow.value - 10 * kMinute});
  const auto ahead = Item(2, TimeMs{kNow.value + 10 * kMinute});
  const auto marks = ClockMarks({sound, ahead, Item(3, TimeMs{5}, {sound.entry}),
                                 Item(4, kNow, {ahead.entry}), Item(5, kNow, {sound.entry})},
                                kNow);
  CHECK(marks == std::vector<std::string_view>{"", "ahead", "behind", "", ""});
}

}  // namespace
}  // namespace staffel::api
