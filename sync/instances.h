// SPDX-License-Identifier: EUPL-1.2
// Notices that one replica runs twice: a copied directory, a snapshot of a machine started beside
// its original. Each process draws an id and names, with its requests, the ids of those that its
// database has seen before it. Whoever answers remembers who asks now, and refuses a second one.
// That is all it decides: nothing about what a peer holds is remembered by its key
// (core-traces.md, "Exchange", 10), and what a refused one wrote is taken as soon as it is alone.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "core/base/id.h"
#include "core/base/result.h"
#include "core/base/time.h"
#include "core/crypto/key.h"

namespace staffel {
class Random;
class Store;
}  // namespace staffel

namespace staffel::sync {

// Who was not heard of for so long has ended: another one may come.
inline constexpr std::chrono::milliseconds kInstanceLease{600'000};
// The same where another process is waiting: beside it, a process that runs is heard of within one
// waiting request (hub.h).
inline constexpr std::chrono::milliseconds kInstanceSilence{120'000};
// Ids of earlier processes that are kept and named.
inline constexpr std::size_t kInstancesBeforeMax = 16;

struct Instance {
  Nonce id;                   // of this process
  std::vector<Nonce> before;  // of those before it on this database, the newest first
  bool restored = false;      // lately in doubt about its past: it does not know all before it
  friend bool operator==(const Instance&, const Instance&) = default;
};

// Draws this process's id, and notes it in the database before anything is said under it. On a full
// disk it goes without the note, so that others still get what this node holds: NoteInstance makes
// up for it. A process that follows one without a note may be turned away until the lease is over.
[[nodiscard]] Result<Instance> BeginInstance(Store& store, Random& random, TimeMs now);
// Notes it where that has not been done. kStorage.
[[nodiscard]] Status NoteInstance(Store& store, const Instance& instance);

// Any thread.
class InstanceWatch {
 public:
  explicit InstanceWatch(std::chrono::milliseconds lease = kInstanceLease,
                         std::chrono::milliseconds silence = kInstanceSilence)
      : lease_(lease), silence_(silence) {}

  struct Verdict {
    bool admitted = true;
    // The first time that a second instance of this replica shows: to be reported.
    bool discovered = false;
  };
  // Whether this process may exchange now. Admitted: the one that asked last; one that follows it
  // on the same database, or says that it was restored; one that was refused, once the other has
  // been silent beside it; anyone after the lease. Where one that was followed asks again, it had
  // not ended at all: it goes on, and its follower is the second one.
  [[nodiscard]] Verdict Admit(const crypto::PublicKey& peer, const Instance& instance, TimeMs now);

 private:
  struct Seen {
    Nonce current;
    TimeMs heard;
    std::vector<Nonce> followed;  // were current, until one came that names them as before it
    std::vector<Nonce> second;    // refused until they are alone
    // When one was refused first since `current` was heard of last.
    std::optional<TimeMs> contended;
  };
  const std::chrono::milliseconds lease_;
  const std::chrono::milliseconds silence_;
  std::mutex mutex_;
  std::map<crypto::PublicKey, Seen> seen_;  // members' keys only: as many as the charter lists
};

// What the second one is told.
[[nodiscard]] Error RunsTwice();

}  // namespace staffel::sync
