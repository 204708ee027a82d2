// SPDX-License-Identifier: EUPL-1.2
// The hub's receipting: knows what other replicas hold of what this machine wrote, and writes the
// receipts that are due, at most one a second and audience. Does nothing while another replica has
// the chair, or the charter is tied, or while no other clock bears out its own (decision 0015). No
// thread and no clock of its own: the daemon calls Work from one thread, a simulator whenever it
// likes. What is due, and what counts, is the store's business.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <stop_token>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/crypto/key.h"
#include "core/store/store.h"
#include "sync/clock_watch.h"
#include "sync/wire.h"

namespace staffel::sync {

inline constexpr std::chrono::milliseconds kReceiptPause{1'000};
// Branches of one journal that are remembered of one peer, the longest ones.
inline constexpr std::size_t kHeldBranchesMax = 16;

struct ChairOptions {
  Store* store = nullptr;                // outlives the chair
  const crypto::KeyPair* key = nullptr;  // the replica's; outlives the chair
  Clock* clock = nullptr;                // outlives the chair
  ClockWatch* clocks = nullptr;          // outlives the chair; optional: receipts wait for another
  std::chrono::milliseconds pause = kReceiptPause;
};

class Chair {
 public:
  explicit Chair(ChairOptions options);
  ~Chair();
  Chair(const Chair&) = delete;
  Chair& operator=(const Chair&) = delete;

  // What the replica with this TLS key has just shown to hold: Responder::Reply::peer_holds, or
  // what was agreed with it. Replaces what it showed before in these audiences. Any thread.
  void PeerHolds(const crypto::PublicKey& peer, const std::vector<AudienceVector>& vectors);

  struct Worked {
    std::vector<WrittenReceipt> receipts;
    // More may be due after so long; nothing: not before a commit or PeerHolds.
    std::optional<std::chrono::milliseconds> again;
  };
  // Writes what is due now. One thread at a time. kStorage.
  [[nodiscard]] Result<Worked> Work();

  // Waits for a commit, for news of a peer, or `at_most`, since the last Work began.
  void Wait(std::chrono::milliseconds at_most, std::stop_token stop);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace staffel::sync
