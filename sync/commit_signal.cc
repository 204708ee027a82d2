// SPDX-License-Identifier: EUPL-1.2
#include "sync/commit_signal.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>

namespace staffel::sync {

struct CommitSignal::State {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::uint64_t revision = 0;
  std::uint64_t pokes = 0;
};

CommitSignal::CommitSignal(Store& store) : state_(std::make_shared<State>()) {
  store.OnCommit([state = state_](std::uint64_t revision) {
    {
      const std::lock_guard lock(state->mutex);
      // Callbacks of two commits may come in either order.
      if (revision <= state->revision) return;
      state->revision = revision;
    }
    state->changed.notify_all();
  });
  const std::uint64_t now = store.revision();
  const std::lock_guard lock(state_->mutex);
  if (now > state_->revision) state_->revision = now;
}

std::uint64_t CommitSignal::revision() const {
  const std::lock_guard lock(state_->mutex);
  return state_->revision;
}

bool CommitSignal::Wait(std::uint64_t seen, std::chrono::milliseconds at_most,
                        std::stop_token stop) const {
  std::unique_lock lock(state_->mutex);
  const std::uint64_t pokes = state_->pokes;
  state_->changed.wait_for(lock, stop, at_most,
                           [&] { return state_->revision != seen || state_->pokes != pokes; });
  return state_->revision != seen;
}

void CommitSignal::Poke() {
  {
    const std::lock_guard lock(state_->mutex);
    ++state_->pokes;
  }
  state_->changed.notify_all();
}

std::chrono::milliseconds Patience::Left() const {
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(end_ - std::chrono::steady_clock::now());
  return std::max(left, std::chrono::milliseconds(0));
}

}  // namespace staffel::sync
