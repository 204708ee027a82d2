// SPDX-License-Identifier: EUPL-1.2
#include "sync/replicator.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>

#include "core/base/wire.h"
#include "sync/handover.h"
#include "sync/hub.h"
#include "sync/ingest_queue.h"
#include "sync/invitation.h"

namespace staffel::sync {
namespace {

using std::chrono::milliseconds;
using Phase = ReplicatorStatus::Phase;

// Other replicas that are tried in one attempt while the hub cannot be reached.
constexpr std::size_t kFallbackPeersMax = 3;
// How often a node without a conference looks whether someone has begun to join.
constexpr milliseconds kAloneLookInterval{1'000};
constexpr std::size_t kRefusalBytesMax = 500;
constexpr std::string_view kReceivedKey = "sync/received";

struct Peer {
  std::string name;  // "NI (https://…)"
  std::string url;
  crypto::PublicKey tls_key;
  bool is_hub = false;
  friend bool operator==(const Peer&, const Peer&) = default;
};

// Seqs of our own journals that the hub holds.
using Received = std::map<JournalId, std::uint64_t>;

Bytes PackReceived(const Received& received) {
  Bytes out;
  for (const auto& [journal, seq] : received) {
    out.append(journal.bytes());
    AppendVarint(out, seq);
  }
  return out;
}

Received UnpackReceived(ByteView in) {
  Received received;
  while (in.size() > JournalId::kBytes) {
    const auto journal = JournalId::From(in.substr(0, JournalId::kBytes));
    in.remove_prefix(JournalId::kBytes);
    const auto seq = TakeVarint(in);
    if (!seq) break;
    received[*journal] = *seq;
  }
  return received;
}

// What a refusing peer said, made harmless for a status line.
std::string Sentence(const HttpAnswer& answer) {
  const auto type = answer.Header("content-type");
  if (!type || type->substr(0, 10) != "text/plain") return {};
  std::string text;
  for (const char c : answer.body.substr(0, kRefusalBytesMax)) {
    text.push_back(static_cast<unsigned char>(c) < 0x20 ? ' ' : c);
  }
  return text;
}

Error RefusedBy(const std::string& peer, const HttpAnswer& answer) {
  ErrorCode code = ErrorCode::kUnavailable;
  if (answer.status == 403) code = ErrorCode::kDenied;
  if (answer.status == 400 || answer.status == 413) code = ErrorCode::kInvalid;
  const std::string sentence = Sentence(answer);
  return {code, fmt::format("{} refused with status {}{}{}", peer, answer.status,
                            sentence.empty() ? "" : ": ", sentence)};
}

}  // namespace

class Replicator::Impl {
 public:
  explicit Impl(ReplicatorOptions options) : options_(std::move(options)) {}
  ~Impl() { Stop(); }

  Status Start() {
    // Tried once with an address that is never used: a bad identity is found now, not at night.
    HttpTransport::Options probe;
    probe.url = "https://127.0.0.1:1";
    probe.identity = options_.identity;
    probe.pinned_keys = {options_.tls_key};
    probe.proxy = options_.proxy;
    auto transport = HttpTransport::Create(std::move(probe));
    if (!transport) return Forward(transport);
    STAFFEL_TRY(received, options_.store->GetLocal(kReceivedKey));
    const std::lock_guard lock(mutex_);
    STAFFEL_ASSERT(!worker_.joinable());
    if (received) received_ = UnpackReceived(*received);
    worker_ = std::jthread([this](std::stop_token stop) { Work(std::move(stop)); });
    watcher_ = std::jthread([this](std::stop_token stop) { Watch(std::move(stop)); });
    return {};
  }

  void Stop() {
    watcher_.request_stop();
    worker_.request_stop();
    {
      const std::lock_guard lock(mutex_);
      if (current_) current_->request_stop();
    }
    changed_.notify_all();
    if (worker_.joinable()) worker_.join();
    if (watcher_.joinable()) watcher_.join();
    const std::lock_guard lock(mutex_);
    status_.phase = Phase::kStopped;
    status_.next_attempt = {};
  }

  ReplicatorStatus status() const {
    ReplicatorStatus status;
    std::optional<Received> received;
    {
      const std::lock_guard lock(mutex_);
      status = status_;
      received = received_;
    }
    if (received) status.own_entries_pending = Pending(*received);
    return status;
  }

  Status SyncNow(milliseconds at_most) {
    std::unique_lock lock(mutex_);
    const std::uint64_t wanted = ++requested_;
    WakeLocked();
    const bool done = changed_.wait_for(lock, at_most, [&] {
      return served_ >= wanted || worker_.get_stop_token().stop_requested();
    });
    if (!done || served_ < wanted) {
      return Fail(ErrorCode::kUnavailable, "the exchange has not ended yet: see the status");
    }
    if (served_error_) return tl::unexpected<Error>(*served_error_);
    return {};
  }

  void Wake() {
    const std::lock_guard lock(mutex_);
    WakeLocked();
  }

 private:
  // ---- waking ----

  void WakeLocked() {
    woken_ = true;
    if (current_ && current_waits_) current_->request_stop();
    changed_.notify_all();
  }

  // Tells the worker of commits, some milliseconds later: a person saves more than once.
  void Watch(std::stop_token stop) {
    std::uint64_t seen = options_.commits->revision();
    while (!stop.stop_requested()) {
      if (!options_.commits->Wait(seen, std::chrono::hours(1), stop)) continue;
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, stop, options_.debounce, [] { return false; });
      seen = options_.commits->revision();
      committed_ = true;
      if (current_ && current_waits_ && options_.store->revision() != agreed_revision_) {
        current_->request_stop();
      }
      changed_.notify_all();
    }
  }

  // Waits until woken, or `at_most`, or, with `commits`, until something was committed.
  void Sleep(milliseconds at_most, bool commits, const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, stop, at_most, [&] { return woken_ || (commits && committed_); });
  }

  // ---- the worker ----

  void Work(std::stop_token stop) {
    while (!stop.stop_requested()) {
      std::uint64_t serving = 0;
      {
        const std::lock_guard lock(mutex_);
        serving = requested_;
        woken_ = false;
        committed_ = false;
      }
      const milliseconds pause = Attempt(serving, stop);
      if (stop.stop_requested()) break;
      if (pause > milliseconds(0)) Sleep(pause, pause_ends_with_commits_, stop);
    }
    changed_.notify_all();
  }

  // One attempt at whatever is to be done, up to a waiting request that ended. Returns how long to
  // pause before the next.
  milliseconds Attempt(std::uint64_t serving, const std::stop_token& stop) {
    pause_ends_with_commits_ = false;
    const auto authority = options_.store->authority();
    const auto own = options_.store->own_member();
    if (!authority || !own) return JoinAttempt(serving, stop);
    // A member has nothing left to join.
    if (auto joining = options_.store->GetLocal("joining"); joining && *joining) {
      (void)StopJoining(*options_.store);
    }
    Housekeep();
    if (authority->hub_key() == options_.key->public_key()) {
      Enter(Phase::kIsHub);
      Served(serving, std::nullopt);
      pause_ends_with_commits_ = true;
      return std::chrono::hours(1);
    }
    const auto peers = Peers(*authority);
    if (peers.empty()) {
      Enter(Phase::kNoPeer);
      Served(serving,
             Error{ErrorCode::kNotFound, "nobody in the charter has an address to exchange with"});
      pause_ends_with_commits_ = true;
      return options_.backoff_max;
    }

    std::optional<Error> failure;
    std::size_t tried = 0;
    for (const Peer& peer : peers) {
      if (stop.stop_requested() || tried > kFallbackPeersMax) break;
      ++tried;
      const Status done = ExchangeWith(peer, serving, stop);
      if (!done) {
        if (stop.stop_requested()) return milliseconds(0);
        if (!failure) {
          failure = done.error();
          SetError(*failure);  // seen while the others are tried
        }
        continue;
      }
      // Whoever answered may have told of another hub: then to that one at once.
      const auto now = options_.store->authority();
      if (peer.is_hub || (now && now->hub_key() != authority->hub_key())) return milliseconds(0);
      // In step with another replica, but the hub is still to be reached.
      break;
    }
    if (!failure) {
      Served(serving, std::nullopt);
      return Fails({ErrorCode::kUnavailable, "the hub has no address in the charter"});
    }
    const milliseconds pause = Fails(*failure);
    Served(serving, failure);
    return pause;
  }

  // The hub first, then the others in any order.
  std::vector<Peer> Peers(const charter::Authority& authority) {
    std::vector<Peer> peers;
    for (const charter::Member& member : authority.members()) {
      for (const charter::Replica& replica : member.replicas) {
        if (replica.url.empty() || replica.key == options_.key->public_key()) continue;
        Peer peer;
        peer.name = fmt::format("{} ({})", member.id.text(), replica.url);
        peer.url = replica.url;
        peer.tls_key = replica.tls_key;
        peer.is_hub = replica.key == authority.hub_key();
        peers.push_back(std::move(peer));
      }
    }
    for (std::size_t i = peers.size(); i > 1; --i) {
      std::swap(peers[i - 1], peers[static_cast<std::size_t>(DrawBelow(i))]);
    }
    std::stable_partition(peers.begin(), peers.end(), [](const Peer& p) { return p.is_hub; });
    return peers;
  }

  // ---- exchanging ----

  struct Line {
    Peer peer;
    std::unique_ptr<HttpTransport> transport;
    std::unique_ptr<IngestQueue> queue;
    std::unique_ptr<Exchange> exchange;
  };

  Result<Line*> LineTo(const Peer& peer) {
    const auto found = lines_.find(peer.tls_key);
    if (found != lines_.end() && found->second.peer == peer) return &found->second;
    Line line;
    line.peer = peer;
    HttpTransport::Options options;
    options.url = peer.url;
    options.identity = options_.identity;
    options.pinned_keys = {peer.tls_key};
    options.proxy = options_.proxy;
    options.read_timeout = options_.wait + milliseconds(40'000);
    STAFFEL_TRY(transport, HttpTransport::Create(std::move(options)));
    line.transport = std::move(transport);
    line.queue = std::make_unique<IngestQueue>(*options_.store);
    ExchangeOptions exchange;
    exchange.limits = options_.limits;
    exchange.intake = line.queue.get();
    line.exchange = std::make_unique<Exchange>(*options_.store, peer.tls_key, exchange);
    return &(lines_[peer.tls_key] = std::move(line));
  }

  // Comes to an agreement; with the hub, stays until a waiting request has ended.
  Status ExchangeWith(const Peer& peer, std::uint64_t serving, const std::stop_token& stop) {
    {
      const std::lock_guard lock(mutex_);
      status_.peer = peer.name;
      status_.peer_is_hub = peer.is_hub;
    }
    STAFFEL_TRY(line, LineTo(peer));
    line->exchange->Begin();
    Enter(Phase::kExchanging);
    STAFFEL_CHECK(Converse(*line, 0, stop));
    Agreed(*line);
    Served(serving, std::nullopt);
    if (!peer.is_hub) return {};

    line->exchange->Begin();
    Enter(Phase::kInStep);
    const Status waited = Converse(*line, static_cast<std::uint32_t>(options_.wait.count()), stop);
    if (waited) {
      Agreed(*line);
      return {};
    }
    // Broken off because there is something to send, or someone asks.
    const std::lock_guard lock(mutex_);
    if (interrupted_ && !stop.stop_requested()) return {};
    return waited;
  }

  // Requests and answers until both sides agree.
  Status Converse(Line& line, std::uint32_t wait_ms, const std::stop_token& stop) {
    for (;;) {
      if (stop.stop_requested()) return Fail(ErrorCode::kUnavailable, "this node is stopping");
      STAFFEL_TRY(request, line.exchange->NextRequest(wait_ms));
      wait_ms = 0;
      auto answer = Ask(*line.transport, kExchangePath, kExchangeType, request,
                        line.exchange->waiting(), stop);
      if (!answer) return Forward(answer);
      if (answer->status != 200) return tl::unexpected<Error>(RefusedBy(line.peer.name, *answer));
      auto state = line.exchange->TakeAnswer(answer->body);
      Note(*line.exchange);
      if (!state) {
        return Fail(state.error().code, "{}: {}", line.peer.name, state.error().message);
      }
      if (*state == Exchange::State::kAgreed) return {};
      Enter(Phase::kExchanging);
    }
  }

  // One request. A waiting one is broken off by Wake and by commits.
  Result<HttpAnswer> Ask(HttpTransport& transport, std::string_view path, std::string_view type,
                         const Bytes& body, bool waits, const std::stop_token& stop) {
    std::stop_source source;
    {
      const std::lock_guard lock(mutex_);
      current_ = source;
      current_waits_ = waits;
      interrupted_ = false;
      // What came in before a waiting request would wait with it.
      if (stop.stop_requested() ||
          (waits && (woken_ || options_.store->revision() != agreed_revision_))) {
        source.request_stop();
      }
    }
    auto answer =
        transport.Post(path, {{"content-type", std::string(type)}}, body, source.get_token());
    const std::lock_guard lock(mutex_);
    current_.reset();
    interrupted_ = waits && source.stop_requested();
    if (answer) status_.last_contact = options_.clock->Now();
    return answer;
  }

  void Note(const Exchange& exchange) {
    std::vector<DigestDifference> fresh;
    {
      const std::lock_guard lock(mutex_);
      status_.progress = exchange.progress();
      status_.problems = exchange.problems();
      for (const DigestDifference& incident : exchange.incidents()) {
        if (std::find(status_.incidents.begin(), status_.incidents.end(), incident) ==
            status_.incidents.end()) {
          status_.incidents.push_back(incident);
          fresh.push_back(incident);
        }
      }
    }
    if (!options_.on_incident) return;
    for (const DigestDifference& incident : fresh) options_.on_incident(incident);
  }

  void Agreed(const Line& line) {
    Housekeep();
    if (options_.on_peer_holds) {
      options_.on_peer_holds(line.peer.tls_key, line.exchange->agreed_vectors());
    }
    bool changed = false;
    Received received;
    if (line.peer.is_hub) {
      if (auto snapshot = options_.store->Read()) {
        if (auto journals = snapshot->Journals()) {
          for (const JournalView& journal : *journals) {
            if (!journal.own) continue;
            for (const AudienceVector& vector : line.exchange->agreed_vectors()) {
              for (const VectorItem& item : vector.items) {
                if (item.journal != journal.journal) continue;
                received[item.journal] = std::max(received[item.journal], item.seq);
              }
            }
          }
        }
      }
    }
    {
      const std::lock_guard lock(mutex_);
      agreed_revision_ = line.exchange->agreed_revision();
      status_.last_success = options_.clock->Now();
      if (line.peer.is_hub) {
        status_.failures = 0;
        status_.last_error.clear();
        changed = received_ != received;
        received_ = received;
      }
    }
    // For the status after a restart; nothing depends on it.
    if (changed) (void)options_.store->PutLocal(kReceivedKey, PackReceived(received));
  }

  std::optional<std::uint64_t> Pending(const Received& received) const {
    const auto authority = options_.store->authority();
    const auto own = options_.store->own_member();
    if (!authority || !own) return std::nullopt;
    auto snapshot = options_.store->Read();
    if (!snapshot) return std::nullopt;
    auto journals = snapshot->Journals();
    if (!journals) return std::nullopt;
    const auto shared = authority->AudiencesShared(*own, authority->chair());
    std::uint64_t pending = 0;
    for (const JournalView& journal : *journals) {
      if (!journal.own ||
          std::find(shared.begin(), shared.end(), journal.audience) == shared.end()) {
        continue;
      }
      const auto last = snapshot->LastSeq(journal.journal);
      if (!last || !*last) continue;
      const auto held = received.find(journal.journal);
      const std::uint64_t first = held == received.end() ? 0 : held->second + 1;
      if (**last + 1 > first) pending += **last + 1 - first;
    }
    return pending;
  }

  void Housekeep() {
    if (options_.cosign) (void)CosignInForce(*options_.store, *options_.key);
    (void)RenewProposals(*options_.store, *options_.key, *options_.clock, *options_.random);
    (void)StepHandover(*options_.store, *options_.key, *options_.clock);
    if (options_.cosign) (void)CosignInForce(*options_.store, *options_.key);
  }

  // ---- joining ----

  milliseconds JoinAttempt(std::uint64_t serving, const std::stop_token& stop) {
    auto joining = Joining(*options_.store);
    if (!joining || !*joining) {
      Enter(Phase::kAlone);
      Served(serving,
             Error{ErrorCode::kNotFound,
                   "this node belongs to no conference: found one, or join by invitation"});
      pause_ends_with_commits_ = true;
      return kAloneLookInterval;
    }
    Enter(Phase::kJoining);
    const JoiningStatus& join = **joining;
    {
      const std::lock_guard lock(mutex_);
      status_.peer = fmt::format("{} ({})", join.token.conference_name, join.token.hub_url);
      status_.peer_is_hub = true;
    }
    if (!join.refused.empty()) {
      const Error refused{ErrorCode::kDenied, join.refused};
      SetError(refused);
      Served(serving, refused);
      return kAloneLookInterval;  // until a person begins anew
    }
    auto state = AskToJoin(join, stop);
    if (!state) {
      if (stop.stop_requested()) return milliseconds(0);
      const milliseconds pause = Fails(state.error());
      Enter(Phase::kJoining);
      Served(serving, state.error());
      return pause;
    }
    const std::lock_guard lock(mutex_);
    status_.failures = 0;
    if (*state == JoinState::kWaiting) {
      status_.last_error.clear();
      ServedLocked(serving, Error{ErrorCode::kUnavailable,
                                  "the joining waits for the approval of other members"});
      status_.next_attempt = {options_.clock->Now().value +
                              static_cast<std::uint64_t>(options_.join_interval.count())};
      return options_.join_interval;
    }
    return milliseconds(0);
  }

  Result<JoinState> AskToJoin(const JoiningStatus& join, const std::stop_token& stop) {
    HttpTransport::Options options;
    options.url = join.token.hub_url;
    options.identity = options_.identity;
    options.pinned_fingerprints = {join.token.hub_tls_fingerprint};
    options.proxy = options_.proxy;
    STAFFEL_TRY(transport, HttpTransport::Create(std::move(options)));
    JoinKeys keys;
    keys.key = options_.key;
    keys.tls_key = options_.tls_key;
    STAFFEL_TRY(request, MakeJoinRequest(*options_.store, keys));
    STAFFEL_TRY(answer, Ask(*transport, kJoinPath, kJoinType, request, /*waits=*/false, stop));
    const std::string name = join.token.hub_url;
    if (answer.status != 200) return tl::unexpected<Error>(RefusedBy(name, answer));
    STAFFEL_TRY(state, TakeJoinAnswer(*options_.store, answer.body, *options_.clock));
    if (state != JoinState::kApproved) return state;

    // A member now, by the hub's charter: fetch it, and everything else with it.
    IngestQueue queue(*options_.store);
    ExchangeOptions exchange_options;
    exchange_options.limits = options_.limits;
    exchange_options.conference = join.token.conference;
    exchange_options.intake = &queue;
    Line line;
    line.peer = {name, name, answer.peer_key, true};
    line.exchange = std::make_unique<Exchange>(*options_.store, answer.peer_key, exchange_options);
    line.transport = std::move(transport);
    line.exchange->Begin();
    STAFFEL_CHECK(Converse(line, 0, stop));
    Agreed(line);
    return state;
  }

  // ---- status ----

  void Enter(Phase phase) {
    bool changed = false;
    std::string peer;
    {
      const std::lock_guard lock(mutex_);
      changed = status_.phase != phase;
      status_.phase = phase;
      status_.next_attempt = {};
      peer = status_.peer;
    }
    if (!changed || !options_.on_event) return;
    switch (phase) {
      case Phase::kAlone:
        return options_.on_event("no conference yet");
      case Phase::kJoining:
        return options_.on_event("joining");
      case Phase::kIsHub:
        return options_.on_event("this node is the hub");
      case Phase::kNoPeer:
        return options_.on_event("nobody to exchange with");
      case Phase::kInStep:
        return options_.on_event("in step with " + peer);
      case Phase::kStopped:
      case Phase::kExchanging:
      case Phase::kWaiting:
        return;
    }
  }

  void SetError(const Error& error) {
    bool changed = false;
    {
      const std::lock_guard lock(mutex_);
      changed = status_.last_error != error.message;
      status_.last_error = error.message;
      status_.last_error_time = options_.clock->Now();
    }
    if (changed && options_.on_event) options_.on_event(error.message);
  }

  // Books a failure and says how long to pause: longer each time, and never at the same moment as
  // all the others that lost the same hub.
  milliseconds Fails(const Error& error) {
    SetError(error);
    const std::lock_guard lock(mutex_);
    ++status_.failures;
    auto pause = options_.backoff_first;
    for (std::uint64_t i = 1; i < status_.failures && pause < options_.backoff_max; ++i) pause *= 2;
    pause = std::min(pause, options_.backoff_max);
    const auto half = static_cast<std::uint64_t>(pause.count()) / 2;
    const milliseconds jittered(half + DrawBelow(half + 1));
    status_.phase = Phase::kWaiting;
    status_.next_attempt = {options_.clock->Now().value +
                            static_cast<std::uint64_t>(jittered.count())};
    return std::max(jittered, milliseconds(1));
  }

  std::uint64_t DrawBelow(std::uint64_t bound) {
    std::uint64_t value = 0;
    for (const char c : options_.random->Draw(8)) {
      value = value << 8 | static_cast<std::uint8_t>(c);
    }
    return value % bound;
  }

  void Served(std::uint64_t serving, std::optional<Error> error) {
    const std::lock_guard lock(mutex_);
    ServedLocked(serving, std::move(error));
  }
  void ServedLocked(std::uint64_t serving, std::optional<Error> error) {
    if (serving <= served_) return;  // the first word about a request counts
    served_ = serving;
    served_error_ = std::move(error);
    changed_.notify_all();
  }

  const ReplicatorOptions options_;

  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  // Guarded by mutex_.
  ReplicatorStatus status_;
  std::optional<Received> received_;
  std::uint64_t requested_ = 0;
  std::uint64_t served_ = 0;
  std::optional<Error> served_error_;
  bool woken_ = false;
  bool committed_ = false;
  std::optional<std::stop_source> current_;  // of the request under way
  bool current_waits_ = false;
  bool interrupted_ = false;
  std::uint64_t agreed_revision_ = 0;

  // The worker's own.
  std::map<crypto::PublicKey, Line> lines_;
  bool pause_ends_with_commits_ = false;

  std::jthread worker_;
  std::jthread watcher_;
};

Replicator::Replicator(ReplicatorOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}
Replicator::~Replicator() = default;
Status Replicator::Start() { return impl_->Start(); }
void Replicator::Stop() { impl_->Stop(); }
ReplicatorStatus Replicator::status() const { return impl_->status(); }
Status Replicator::SyncNow(std::chrono::milliseconds at_most) { return impl_->SyncNow(at_most); }
void Replicator::Wake() { impl_->Wake(); }

}  // namespace staffel::sync
