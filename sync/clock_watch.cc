// SPDX-License-Identifier: EUPL-1.2
#include "sync/clock_watch.h"

#include <algorithm>
#include <cstdlib>

namespace staffel::sync {
namespace {

// Fewer say nothing: of two that differ, nobody knows which is wrong.
constexpr std::size_t kMajorityClocksMin = 3;

std::int64_t Difference(TimeMs a, TimeMs b) { return static_cast<std::int64_t>(a.value - b.value); }

TimeMs Shifted(TimeMs time, std::int64_t by) {
  const auto value = static_cast<std::int64_t>(time.value) + by;
  return TimeMs{value < 0 ? 0 : static_cast<std::uint64_t>(value)};
}

}  // namespace

bool ClockWatch::View::wrong() const {
  return majority_ms && std::abs(*majority_ms) > kClockTolerance.count();
}

bool ClockWatch::IsFresh(TimeMs when, TimeMs now) {
  // Also after our own clock was put right: what was compared with the wrong one does not count.
  return std::abs(Difference(now, when)) <= kClockMemory.count();
}

void ClockWatch::Heard(const crypto::PublicKey& peer, bool is_hub, TimeMs theirs,
                       std::optional<TimeMs> majority) {
  const TimeMs now = own_.Now();
  const std::lock_guard lock(mutex_);
  said_[peer] = {Difference(theirs, now), now, is_hub};
  std::erase_if(said_, [&](const auto& one) { return !IsFresh(one.second.when, now); });
  if (!is_hub) return;
  hubs_majority_.reset();
  if (majority) hubs_majority_ = Said{Difference(*majority, now), now, true};
}

std::optional<std::int64_t> ClockWatch::OwnMajority(TimeMs now) const {
  std::vector<std::int64_t> offsets{0};
  for (const auto& [peer, said] : said_) {
    if (IsFresh(said.when, now)) offsets.push_back(said.offset_ms);
  }
  if (offsets.size() < kMajorityClocksMin) return std::nullopt;
  std::sort(offsets.begin(), offsets.end());
  // The largest group whose members all agree with each other.
  std::size_t best_from = 0;
  std::size_t best = 0;
  for (std::size_t from = 0, to = 0; from < offsets.size(); ++from) {
    while (to < offsets.size() && offsets[to] - offsets[from] <= kClockTolerance.count()) ++to;
    if (to - from > best) {
      best = to - from;
      best_from = from;
    }
  }
  if (best * 2 <= offsets.size()) return std::nullopt;
  return offsets[best_from + best / 2];
}

ClockWatch::View ClockWatch::Look() {
  const TimeMs now = own_.Now();
  const std::lock_guard lock(mutex_);
  View view;
  for (const auto& [peer, said] : said_) {
    if (!IsFresh(said.when, now)) continue;
    ++view.clocks;
    if (said.is_hub) view.hub_ms = said.offset_ms;
    if (std::abs(said.offset_ms) <= kReceiptTolerance.count()) view.borne_out = true;
  }
  view.majority_ms = OwnMajority(now);
  if (!view.majority_ms && view.clocks < kMajorityClocksMin && hubs_majority_ &&
      IsFresh(hubs_majority_->when, now)) {
    view.majority_ms = hubs_majority_->offset_ms;
  }
  if (view.majority_ms) view.borne_out = true;
  return view;
}

std::optional<TimeMs> ClockWatch::Majority() {
  const TimeMs now = own_.Now();
  const std::lock_guard lock(mutex_);
  const auto offset = OwnMajority(now);
  if (!offset) return std::nullopt;
  return Shifted(now, *offset);
}

TimeMs ClockWatch::BoundedNow() {
  const View view = Look();
  const TimeMs now = own_.Now();
  if (!view.wrong()) return now;
  const std::int64_t tolerance = kClockTolerance.count();
  return Shifted(
      now, *view.majority_ms > 0 ? *view.majority_ms - tolerance : *view.majority_ms + tolerance);
}

}  // namespace staffel::sync
