// SPDX-License-Identifier: EUPL-1.2
// What a replica answers to others: exchanges, also waiting ones, and, at the hub, join requests.
// Every replica has one; what peers show to hold it hands to the chair (chair.h). It knows no
// sockets: api/ hands it the path, the key that TLS has proven and the body. A replica in doubt
// about its own past (core/store/doubt.h) answers everything with 503.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/clock.h"
#include "core/base/random.h"
#include "core/base/result.h"
#include "core/crypto/key.h"
#include "core/store/store.h"
#include "sync/clock_watch.h"
#include "sync/commit_signal.h"
#include "sync/instances.h"
#include "sync/session.h"

namespace staffel::sync {

inline constexpr std::string_view kExchangePath = "/sync/v1/exchange";
inline constexpr std::string_view kJoinPath = "/sync/v1/join";
inline constexpr std::string_view kExchangeType = "application/vnd.staffel.exchange";
inline constexpr std::string_view kJoinType = "application/vnd.staffel.join";
inline constexpr std::chrono::milliseconds kWaitMax{55'000};
inline constexpr std::size_t kRequestsPerPeerMax = 8;  // at once, waiting ones included
inline constexpr std::size_t kWaitersMax = 1'000;
// Wrong codes in a minute, from all peers together; then joining pauses for the rest of it.
inline constexpr std::size_t kJoinFailuresPerMinuteMax = 20;

struct HubAnswer {
  int status = 200;
  std::string content_type;  // of the body: "text/plain; charset=utf-8" for refusals
  Bytes body;                // a refusal's is one sentence for people
};

struct HubOptions {
  Store* store = nullptr;                // outlives the hub
  const crypto::KeyPair* key = nullptr;  // the replica's; outlives the hub
  Clock* clock = nullptr;
  Random* random = nullptr;
  CommitSignal* commits = nullptr;
  SessionLimits limits;
  std::chrono::milliseconds wait_max = kWaitMax;
  bool cosign = true;  // sign as seen what comes into force
  // Clocks are compared with each request; outlives the hub. Optional.
  ClockWatch* clocks = nullptr;
  std::chrono::milliseconds instance_lease = kInstanceLease;
  // Called once for each process that is found to be the second of its replica.
  std::function<void(const MemberId&)> on_second_instance;
  // Called for each digest that differs, on a request's thread.
  std::function<void(const DigestDifference&)> on_incident;
  // Called with what a peer's request has shown that it holds, on a request's thread.
  std::function<void(const crypto::PublicKey&, const std::vector<AudienceVector>&)> on_peer_holds;
};

class Hub {
 public:
  explicit Hub(HubOptions options);
  ~Hub();
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  // Answers POST to kExchangePath or kJoinPath (404 for others). Any number of threads at once; a
  // waiting request returns when there is news, when `stop` is asked, or after wait_max.
  [[nodiscard]] HubAnswer Handle(std::string_view path,
                                 const std::optional<crypto::PublicKey>& peer, ByteView body,
                                 std::stop_token stop = {});

  struct Stats {
    std::uint64_t exchanges = 0;
    std::uint64_t joins = 0;
    std::uint64_t refused = 0;
    std::size_t waiting = 0;  // now
  };
  [[nodiscard]] Stats stats() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace staffel::sync
