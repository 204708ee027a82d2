// SPDX-License-Identifier: EUPL-1.2
#include "sync/clock_watch.h"

#include <catch2/catch.hpp>

#include "tests/support/conference.h"

namespace staffel::sync {
namespace {

using testing::ConferenceOf;
using testing::SimClock;

constexpr std::uint64_t kYear = 365ull * 86'400'000;

struct Watched {
  SimClock clock;
  ClockWatch watch{clock};
  TimeMs now() { return clock.Now(); }
  void Hear(std::size_t member, TimeMs theirs, bool hub = false,
            std::optional<TimeMs> majority = {}) {
    watch.Heard(ConferenceOf(4).member(member).tls.public_key(), hub, theirs, majority);
  }
};

TEST_CASE("a clock that most of the others contradict is wrong, and what is written is bounded") {
  for (const bool ahead : {true, false}) {
    Watched node;
    const TimeMs true_now = node.now();
    node.clock.Set(ahead ? true_now.value + kYear : true_now.value - kYear);
    node.Hear(0, true_now, true);
    CHECK_FALSE(node.watch.Look().wrong());  // two clocks: nobody knows which
    CHECK(node.watch.BoundedNow() == node.now());
    node.Hear(1, TimeMs{true_now.value + 2'000});
    CHECK(node.watch.Look().wrong());
    const auto bounded = static_cast<std::int64_t>(node.watch.BoundedNow().value);
    const auto off = bounded - static_cast<std::int64_t>(true_now.value);
    CHECK(std::abs(off) <= kClockTolerance.count() + 2'000);
    // Put right, everything is at once as it should be.
    node.clock.Set(true_now.value + 1'000);
    CHECK(node.watch.BoundedNow() == node.now());
  }
}

TEST_CASE(
    "our clock is borne out by a majority, or by one other that is near, and by nothing else") {
  Watched node;
  CHECK_FALSE(node.watch.Look().borne_out);  // nobody is heard
  const auto near = static_cast<std::uint64_t>(kReceiptTolerance.count());
  node.Hear(1, TimeMs{node.now().value + near});
  CHECK(node.watch.Look().borne_out);
  for (const TimeMs far :
       {TimeMs{node.now().value + near + 1}, TimeMs{node.now().value - near - 1}}) {
    node.Hear(1, far);
    CHECK_FALSE(node.watch.Look().borne_out);
  }
  // Neither by two that agree neither with us nor with each other.
  node.Hear(2, TimeMs{node.now().value - kYear});
  CHECK_FALSE(node.watch.Look().borne_out);
  // Two that agree are a majority: what we write is bounded by it.
  node.Hear(1, TimeMs{node.now().value - kYear});
  CHECK(node.watch.Look().wrong());
  CHECK(node.watch.Look().borne_out);
  node.Hear(1, node.now());
  CHECK(node.watch.Look().borne_out);
  node.clock.Advance(static_cast<std::uint64_t>(kClockMemory.count()) + 1);
  CHECK_FALSE(node.watch.Look().borne_out);
}

TEST_CASE("one wrong clock among the others moves nobody, not even the hub's") {
  Watched node;
  node.Hear(0, TimeMs{node.now().value + kYear}, true);
  CHECK(node.watch.BoundedNow() == node.now());
  CHECK(node.watch.Look().hub_ms == static_cast<std::int64_t>(kYear));
  node.Hear(1, node.now());
  CHECK_FALSE(node.watch.Look().wrong());
  CHECK(node.watch.BoundedNow() == node.now());
  CHECK(node.watch.Majority() == node.now());
  // Two against two: no majority.
  node.Hear(2, TimeMs{node.now().value + kYear});
  CHECK_FALSE(node.watch.Look().majority_ms);
  CHECK(node.watch.BoundedNow() == node.now());
}

TEST_CASE("a node that hears the hub alone goes by what the hub's hearing agrees on") {
  Watched node;
  const TimeMs true_now = node.now();
  node.clock.Advance(kYear);
  node.Hear(0, true_now, true, true_now);
  CHECK(node.watch.Look().wrong());
  CHECK(node.watch.BoundedNow().value == true_now.value + kClockTolerance.count());
  // Only the hub's word counts for that, and only while the hub's clocks agree.
  node.Hear(0, true_now, true);
  CHECK_FALSE(node.watch.Look().wrong());
  Watched other;
  other.clock.Advance(kYear);
  other.Hear(1, true_now, false, true_now);
  CHECK_FALSE(other.watch.Look().wrong());
}

TEST_CASE("what was heard an hour ago does not count") {
  Watched node;
  node.Hear(0, TimeMs{node.now().value + kYear}, true);
  node.Hear(1, TimeMs{node.now().value + kYear});
  CHECK(node.watch.Look().wrong());
  node.clock.Advance(kClockMemory.count() + 1);
  CHECK_FALSE(node.watch.Look().wrong());
  CHECK(node.watch.Look().clocks == 1);
}

TEST_CASE("clocks some minutes apart agree") {
  Watched node;
  node.Hear(0, TimeMs{node.now().value + 200'000}, true);
  node.Hear(1, TimeMs{node.now().value - 90'000});
  CHECK_FALSE(node.watch.Look().wrong());
  CHECK(node.watch.Look().majority_ms);
}

}  // namespace
}  // namespace staffel::sync
