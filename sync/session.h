// SPDX-License-Identifier: EUPL-1.2
// The exchange between two replicas: bytes in, bytes out. Reads no clock, no socket and no
// randomness and starts no thread, so that the simulator runs exactly what the daemon runs. Bytes
// are carried by http_transport.h and hub.h; when to exchange is the replicator's business.
//
// The one that asks (Exchange) thinks for both; the one that answers (Responder) keeps nothing
// between two requests, so that any request may be lost, repeated or arrive at another process.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/id.h"
#include "core/base/result.h"
#include "core/crypto/key.h"
#include "core/store/store.h"
#include "sync/clock_watch.h"
#include "sync/wire.h"

namespace staffel::sync {

// Comparisons in a row that bring nothing and yet do not agree: then the exchange gives up.
inline constexpr int kIdleComparisonsMax = 4;
inline constexpr int kCharterRoundsMax = 12;

struct SessionLimits {
  std::size_t batch_bytes_max = kBatchBytesMax;
  std::size_t batch_entries_max = kBatchEntriesMax;  // tests set tiny ones
};

// Two replicas hold the same entries and the same charter, and yet their states differ: one of them
// is damaged or wrong. Always to be shown to people.
struct DigestDifference {
  AudienceId audience;
  Hash ours;
  Hash theirs;
  MemberId peer;
  friend bool operator==(const DigestDifference&, const DigestDifference&) = default;
};

// For status and progress bars. Counts since the Exchange was made.
struct Progress {
  std::uint64_t round_trips = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t entries_received = 0;  // new here
  std::uint64_t entries_sent = 0;
  std::uint64_t entries_to_receive = 0;  // still expected, as far as known
  std::uint64_t entries_to_send = 0;
  std::uint64_t charter_received = 0;  // new charter entries and signatures
};

// What one answer brought, on its way into the store.
struct ReceivedBatch {
  std::vector<CharterItem> charter;
  std::vector<WireRun> runs;
};

// The way of received batches into the store. DirectIntake stores at once on the caller's thread;
// IngestQueue (ingest_queue.h) stores behind the exchange's back while it fetches on.
class Intake {
 public:
  virtual ~Intake() = default;
  // May wait while too much is under way. An error (of the disk) ends the exchange.
  [[nodiscard]] virtual Status Take(ReceivedBatch batch) = 0;
  // Waits until all that was taken is stored, and says what became of it since the last Flush.
  [[nodiscard]] virtual Result<std::vector<Ingested>> Flush() = 0;
};

class DirectIntake final : public Intake {
 public:
  explicit DirectIntake(Store& store) : store_(store) {}
  [[nodiscard]] Status Take(ReceivedBatch batch) override;
  [[nodiscard]] Result<std::vector<Ingested>> Flush() override;

 private:
  Store& store_;
  std::vector<Ingested> done_;
};

// Rebuilds the runs of a batch and has the store check them. Runs that cannot be rebuilt are put
// into `broken`, not into the batch.
[[nodiscard]] PreparedBatch PrepareReceived(Store& store, ReceivedBatch batch,
                                            std::vector<RunResult>& broken);

// One hash over all that the two compare: the charter and the audiences that both read. It changes
// when an exchange with this peer would have something to say, and never by anything else: who
// wakes by it does not tell the peer when, or how often, somebody works in an audience that it does
// not read. Zero while the two share nothing.
[[nodiscard]] Result<Hash> ComparedWith(Store& store, const crypto::PublicKey& peer);

struct ExchangeOptions {
  SessionLimits limits;
  // What a joining node was invited to: needed while the store holds no charter.
  std::optional<ConferenceId> conference;
  // Outlives the exchange; without one, batches are stored at once.
  Intake* intake = nullptr;
  // Which process asks, so that a replica that runs twice is noticed.
  std::optional<Instance> instance;
  // Clocks are compared with each answer; outlives the exchange.
  ClockWatch* clocks = nullptr;
  bool peer_is_hub = false;
};

// The asking side towards one peer. Use:
//   Exchange exchange(store, peer_tls_key, options);
//   do {
//     auto request = exchange.NextRequest();       // bytes to send
//     auto state = exchange.TakeAnswer(answer);    // bytes that came back
//   } while (state == kGoOn);
// A lost request or answer: call NextRequest again. Kept for a long time, Begin() starts another
// comparison, with what was agreed last as a hint about what the peer holds. One thread at a time.
class Exchange {
 public:
  enum class State {
    kGoOn,    // send NextRequest
    kAgreed,  // both hold the same, as far as both may
  };

  // `store` outlives it. `peer` is the TLS key that the peer has proven.
  Exchange(Store& store, crypto::PublicKey peer, ExchangeOptions options = {});
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // Starts another comparison after an agreement or an error.
  void Begin();
  // The bytes to send now. With `wait_ms`, the peer is asked to keep the request open until it has
  // news, if this request has nothing to bring (see CanWait). Errors: kDenied (the peer is no
  // member by the charter here), kInvalid (no conference), kStorage.
  [[nodiscard]] Result<Bytes> NextRequest(std::uint32_t wait_ms = 0);
  // Whether the last request asked the peer to wait.
  [[nodiscard]] bool waiting() const;
  // Takes the answer to the last request. Errors leave what was stored before stored; Begin starts
  // over. kInvalid, kTooLarge, kCorrupt: the peer talks nonsense. kUnavailable: the two sides do
  // not come closer. kStorage: our disk.
  [[nodiscard]] Result<State> TakeAnswer(ByteView answer);

  [[nodiscard]] const Progress& progress() const;
  // Found since the Exchange was made; each difference once.
  [[nodiscard]] const std::vector<DigestDifference>& incidents() const;
  // Sentences about runs that one side refused, since the last Begin: shown, not fatal.
  [[nodiscard]] const std::vector<std::string>& problems() const;
  // What both sides held at the last agreement, by shared audience, and the store's revision then.
  // Empty and 0 before the first.
  [[nodiscard]] const std::vector<AudienceVector>& agreed_vectors() const;
  [[nodiscard]] std::uint64_t agreed_revision() const;
  // ComparedWith as it was then; zero before the first.
  [[nodiscard]] Hash agreed_state() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// What a peer is told (kDenied) whose TLS key the charter does not list: to whom it once belonged,
// where it was taken out; who holds it knows that. A stranger learns nothing.
[[nodiscard]] Error NotListed(const charter::Authority& authority,
                              const crypto::PublicKey& tls_key);

// The answering side. Any thread; holds nothing but its limits.
class Responder {
 public:
  explicit Responder(Store& store, SessionLimits limits = {}, ClockWatch* clocks = nullptr)
      : store_(store), limits_(limits), clocks_(clocks) {}

  // Says whether this process of the peer's replica may exchange: asked once the peer is known to
  // be a member, before anything is taken. Its refusal is the answer.
  using Admission = std::function<Status(const Instance&)>;

  struct Reply {
    Bytes bytes;
    // The request brought nothing, wanted nothing, and all summaries agree: the asker may be made
    // to wait `wait_ms`, and the same request answered again.
    bool nothing_new = false;
    std::uint32_t wait_ms = 0;
    std::vector<DigestDifference> incidents;
    // The charter here has new entries or signatures by this request.
    bool charter_changed = false;
    std::uint64_t new_entries = 0;
    // What the request has shown that the peer holds, of audiences shared with it: for the chair.
    std::vector<AudienceVector> peer_holds;
  };
  // Answers one request of the peer that has proven `peer` in TLS. Errors: kDenied (no member by
  // the charter here), kUnavailable (no charter here yet), kInvalid, kTooLarge, kUnsupported (the
  // request), kStorage. Repeating a request is harmless. `admission` is given the first time that a
  // request is answered: then its clock is compared, too.
  [[nodiscard]] Result<Reply> Answer(ByteView request, const crypto::PublicKey& peer,
                                     const Admission& admission = {});

 private:
  Store& store_;
  SessionLimits limits_;
  ClockWatch* clocks_ = nullptr;
};

}  // namespace staffel::sync
