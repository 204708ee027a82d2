// SPDX-License-Identifier: EUPL-1.2
// What other nodes' clocks show, beside our own. A clock that a majority contradicts is warned of,
// and what is written here is dated within a tolerance of what the majority shows; no single clock,
// not even the hub's, moves another one. docs/decisions/0015.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "core/base/clock.h"
#include "core/base/time.h"
#include "core/crypto/key.h"

namespace staffel::sync {

// Clocks that differ by less agree: messages take seconds, and computers drift.
inline constexpr std::chrono::milliseconds kClockTolerance{300'000};
// A chair dates receipts by a clock that another one bears out this closely: they decide deadlines,
// and none is ever dated before an earlier one of its term.
inline constexpr std::chrono::milliseconds kReceiptTolerance{3'600'000};
// What was heard longer ago does not count.
inline constexpr std::chrono::milliseconds kClockMemory{3'600'000};

// Any thread.
class ClockWatch {
 public:
  explicit ClockWatch(Clock& own) : own_(own) {}

  [[nodiscard]] TimeMs OwnNow() { return own_.Now(); }
  // A peer's clock, as it has just come. `majority`, from the hub alone: what the clocks that it
  // hears agree on, where they do.
  void Heard(const crypto::PublicKey& peer, bool is_hub, TimeMs theirs,
             std::optional<TimeMs> majority);

  struct View {
    std::size_t clocks = 1;  // heard lately, ours included
    // By how much the others' clocks are ahead of ours, as far as most of them agree: our own
    // hearing, or, with fewer than three clocks, the hub's.
    std::optional<std::int64_t> majority_ms;
    // Whether anything bears out the time that is written here: a majority, or at least one other
    // clock within kReceiptTolerance of ours.
    bool borne_out = false;
    // The hub's clock beside ours, for a warning where there is no majority.
    std::optional<std::int64_t> hub_ms;
    [[nodiscard]] bool wrong() const;  // a majority contradicts our clock
  };
  [[nodiscard]] View Look();
  // What a majority of the clocks that we hear shows now: for answers. Nothing without one.
  [[nodiscard]] std::optional<TimeMs> Majority();
  // Our clock, bounded: never further from the majority's than the tolerance.
  [[nodiscard]] TimeMs BoundedNow();

 private:
  struct Said {
    std::int64_t offset_ms = 0;
    TimeMs when;  // by our clock
    bool is_hub = false;
  };
  // By how much most of the clocks heard, ours among them, are ahead of ours.
  std::optional<std::int64_t> OwnMajority(TimeMs now) const;
  [[nodiscard]] static bool IsFresh(TimeMs when, TimeMs now);

  Clock& own_;
  std::mutex mutex_;
  std::map<crypto::PublicKey, Said> said_;  // members' keys only
  std::optional<Said> hubs_majority_;
};

// For the store: dates what is written here.
class BoundedClock final : public Clock {
 public:
  explicit BoundedClock(ClockWatch& watch) : watch_(watch) {}
  TimeMs Now() override { return watch_.BoundedNow(); }

 private:
  ClockWatch& watch_;
};

}  // namespace staffel::sync
