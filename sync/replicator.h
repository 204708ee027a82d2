// SPDX-License-Identifier: EUPL-1.2
// The background worker of a node: keeps it in step with the hub of the term in force, or with
// other replicas while the hub cannot be reached; asks to join while the node is no member yet. At
// the hub, which the others call, it calls some of them at its start and now and then.
// Says at any time when it last succeeded, what failed, and when it tries next. Bytes and rules are
// the session's.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/random.h"
#include "core/base/result.h"
#include "core/base/time.h"
#include "core/crypto/key.h"
#include "core/store/store.h"
#include "sync/commit_signal.h"
#include "sync/http_transport.h"
#include "sync/session.h"

namespace staffel::sync {

// How long to pause after so many failures in a row: twice as long each time, up to `most`, and of
// that a random part between a half and the whole, so that not all who lost one hub come back at
// once. `draw` is any random number.
[[nodiscard]] std::chrono::milliseconds PauseAfter(std::uint64_t failures,
                                                   std::chrono::milliseconds first,
                                                   std::chrono::milliseconds most,
                                                   std::uint64_t draw);

struct ReplicatorOptions {
  Store* store = nullptr;                // outlives the replicator
  const crypto::KeyPair* key = nullptr;  // the replica's; outlives the replicator
  TlsIdentity identity;                  // our certificate and key
  crypto::PublicKey tls_key;             // the key in it
  Clock* clock = nullptr;
  Random* random = nullptr;
  CommitSignal* commits = nullptr;
  std::string proxy;  // see HttpTransport::Options
  bool cosign = true;
  SessionLimits limits;
  std::optional<Instance> instance;  // of this process, for whoever answers
  ClockWatch* clocks = nullptr;      // outlives the replicator; optional

  std::chrono::milliseconds debounce{50};          // after a local commit
  std::chrono::milliseconds wait{50'000};          // a request is kept open so long
  std::chrono::milliseconds backoff_first{1'000};  // doubles at each failure, with jitter
  std::chrono::milliseconds backoff_max{300'000};
  std::chrono::milliseconds join_interval{5'000};  // between two questions while joining
  // Between two exchanges with a relay while there is nothing to bring: it does not call us.
  std::chrono::milliseconds relay_interval{15'000};
  // Between two times that a hub calls others of its own accord: nobody who takes it for the hub
  // can tell it that it is not.
  std::chrono::milliseconds hub_interval{300'000};

  // Called on the replicator's thread.
  std::function<void(const DigestDifference&)> on_incident;
  // Called after each agreement with what both sides hold, on the replicator's thread.
  std::function<void(const crypto::PublicKey&, const std::vector<AudienceVector>&)> on_peer_holds;
  // One line each time the state changes, for the log.
  std::function<void(const std::string& event, bool failed)> on_event;
};

struct ReplicatorStatus {
  enum class Phase {
    kStopped,
    kAlone,    // no conference: neither founded nor joining
    kJoining,  // asking to become a member
    kIsHub,    // the others call us
    kNoPeer,   // nobody in the charter has an address
    kExchanging,
    kInStep,   // agreed; waiting for news
    kWaiting,  // after a failure, until next_attempt
  } phase = Phase::kStopped;
  std::string peer;  // "NI (https://…)": the one talked to last
  bool peer_is_hub = true;
  std::vector<std::string> called;  // at the hub: with whom it agreed when it last called others
  TimeMs last_contact;              // an answer came, whatever it said; zero: never since the start
  TimeMs last_success;              // agreed
  TimeMs next_attempt;              // zero: none is planned, or one is under way
  std::string last_error;           // a sentence for people; empty after a success
  TimeMs last_error_time;
  std::uint64_t failures = 0;  // in a row
  // Entries that our replica wrote and the hub is not known to hold: "am Ministerium, noch nicht
  // eingegangen". Nothing: not known yet.
  std::optional<std::uint64_t> own_entries_pending;
  Progress progress;                        // of the exchange under way, or the last one
  std::vector<std::string> problems;        // runs refused in the last exchange
  std::vector<DigestDifference> incidents;  // differing digests since the start, each once
};

// Any thread. Start once.
class Replicator {
 public:
  explicit Replicator(ReplicatorOptions options);
  ~Replicator();  // stops
  Replicator(const Replicator&) = delete;
  Replicator& operator=(const Replicator&) = delete;

  // Refuses an identity that cannot be used.
  [[nodiscard]] Status Start();
  // Ends requests under way and waits for the threads. Repeatable.
  void Stop();

  [[nodiscard]] ReplicatorStatus status() const;
  // Exchanges now, without waiting for a backoff to end, and returns when an exchange that began
  // after the call has agreed or failed (then its error), or after `at_most` (kUnavailable). The
  // hub itself calls some of the others; where nobody has an address there is nothing to do,
  // success. kNotFound where there is nobody to exchange with, or nobody answers the hub.
  [[nodiscard]] Status SyncNow(std::chrono::milliseconds at_most);
  // The same without waiting for the end.
  void Wake();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace staffel::sync
