// SPDX-License-Identifier: EUPL-1.2
// Wakes threads when the store's revision has changed. One per store, made once by whoever opens it
// and handed to the hub and the replicator: both wait here.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <stop_token>

#include "core/store/store.h"

namespace staffel::sync {

// Any thread. The store may outlive it or not: its callback shares what it needs.
class CommitSignal {
 public:
  explicit CommitSignal(Store& store);

  // The store's revision as last heard.
  [[nodiscard]] std::uint64_t revision() const;
  // Waits until the revision differs from `seen`, or Poke, `stop` or the time ends it. Says whether
  // the revision differs.
  bool Wait(std::uint64_t seen, std::chrono::milliseconds at_most, std::stop_token stop) const;
  // Ends all present waits.
  void Poke();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// How long one may still wait: a time that runs out, by a clock that never jumps.
class Patience {
 public:
  explicit Patience(std::chrono::milliseconds at_most)
      : end_(std::chrono::steady_clock::now() + at_most) {}
  // Never negative.
  [[nodiscard]] std::chrono::milliseconds Left() const;

 private:
  std::chrono::steady_clock::time_point end_;
};

}  // namespace staffel::sync
