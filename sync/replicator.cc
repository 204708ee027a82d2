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
#include "sync/audiences.h"
#include "sync/handover.h"
#include "sync/hub.h"
#include "sync/ingest_queue.h"
#include "sync/invitation.h"
#include "sync/proposal.h"

namespace staffel::sync {
namespace {

using std::chrono::milliseconds;
using Phase = ReplicatorStatus::Phase;

// Other replicas that are tried in one attempt while the hub cannot be reached.
constexpr std::size_t kFallbackPeersMax = 3;
// Other replicas that a hub calls at a time.
constexpr std::size_t kHubCallsMax = 4;
// How often a node without a conference looks whether someone has begun to join.
constexpr milliseconds kAloneLookInterval{1'000};
// A hub whose charter a quorum has not seen yet calls others so often.
constexpr milliseconds kTellInterval{5'000};
constexpr std::size_t kRefusalBytesMax = 500;
constexpr std::string_view kReceivedKey = "sync/received";
constexpr std::string_view kLastSuccessKey = "sync/last-success";
constexpr std::uint64_t kLastSuccessStepMs = 60'000;

struct Peer {
  std::string name;  // "NI (https://…)"
  std::string url;
  crypto::PublicKey tls_key;
  bool is_hub = false;
  bool was_hub = false;  // of this term or an earlier one
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
  if (answer.status == 409) code = ErrorCode::kConflict;
  if (answer.status == 400 || answer.status == 413) code = ErrorCode::kInvalid;
  const std::string sentence = Sentence(answer);
  return {code, fmt::format("{} refused with status {}{}{}", peer, answer.status,
                            sentence.empty() ? "" : ": ", sentence)};
}

}  // namespace

std::chrono::milliseconds PauseAfter(std::uint64_t failures, std::chrono::milliseconds first,
                                     std::chrono::milliseconds most, std::uint64_t draw) {
  milliseconds pause = std::min(first, most);
  for (std::uint64_t i = 1; i < failures && pause < most; ++i) pause = std::min(pause * 2, most);
  const auto half = static_cast<std::uint64_t>(pause.count()) / 2;
  return std::max(milliseconds(half + draw % (half + 1)), milliseconds(1));
}

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
    STAFFEL_TRY(last_success, options_.store->GetLocal(kLastSuccessKey));
    const std::lock_guard lock(mutex_);
    STAFFEL_ASSERT(!worker_.joinable());
    if (last_success) {
      ByteView rest = *last_success;
      last_success_kept_.value = TakeVarint(rest).value_or(0);
      status_.last_success = last_success_kept_;
    }
    if (received) received_ = UnpackReceived(*received);
    worker_ = std::jthread([this](std::stop_token stop) { Work(std::move(stop)); });
    watcher_ = std::jthread([this](std::stop_token stop) { Watch(std::move(stop)); });
    relays_ = std::jthread([this](std::stop_token stop) { MeetRelays(std::move(stop)); });
    return {};
  }

  void Stop() {
    relays_.request_stop();
    watcher_.request_stop();
    worker_.request_stop();
    {
      const std::lock_guard lock(mutex_);
      if (current_) current_->request_stop();
    }
    changed_.notify_all();
    if (worker_.joinable()) worker_.join();
    if (watcher_.joinable()) watcher_.join();
    if (relays_.joinable()) relays_.join();
    KeepLastSuccess(/*at_once=*/true);
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
      for (const auto& [peer, error] : relay_errors_) status.problems.push_back(error);
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
      changed_.notify_all();
      if (!current_ || !current_waits_) continue;
      const std::uint64_t request = request_number_;
      const crypto::PublicKey peer = current_peer_;
      lock.unlock();
      const bool news = HasNewsFor(peer);
      lock.lock();
      if (news && current_ && current_waits_ && request_number_ == request) {
        current_->request_stop();
      }
    }
  }

  // Whether the peer lacks something that it may have, as far as the last agreement tells. Work in
  // an audience that it does not read is no news: breaking off its request would tell it of that.
  bool HasNewsFor(const crypto::PublicKey& peer) {
    const auto state = ComparedWith(*options_.store, peer);
    const std::lock_guard lock(mutex_);
    return !state || *state != agreed_state_;
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
    // A hub in doubt asks the others for its own past, as everyone else does.
    const bool is_hub = authority->hub_key() == options_.key->public_key();
    if (is_hub && !options_.store->doubt().in_doubt) return AttemptAsHub(*authority, serving, stop);
    hub_rest_.reset();
    const auto peers = Peers(*authority);
    if (peers.empty()) {
      Enter(Phase::kNoPeer);
      Served(serving,
             Error{ErrorCode::kNotFound, "nobody in the charter has an address to exchange with"});
      if (is_hub) {
        SetError(
            {ErrorCode::kNotFound,
             "this hub is in doubt about its own past, and nobody in the charter has an address "
             "to ask: only the administrator's word lets it serve ('staffel trust')"});
      }
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
      if (peer.is_hub || is_hub || (now && now->hub_key() != authority->hub_key())) {
        return milliseconds(0);
      }
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

  // The others call the hub. It calls some of them all the same: a term that has just begun may be
  // known to it alone; and whoever still takes it for the hub cannot tell it that it was replaced
  // while it was away, or that it runs twice.
  milliseconds AttemptAsHub(const charter::Authority& authority, std::uint64_t serving,
                            const std::stop_token& stop) {
    Enter(Phase::kIsHub);
    pause_ends_with_commits_ = true;
    const bool settled = options_.store->charter()->InForce().settled;
    std::vector<Peer> peers = Peers(authority);
    if (peers.empty()) {
      hub_rest_.reset();
      NoteCalled({});
      Served(serving, std::nullopt);
      return std::chrono::hours(1);
    }
    const bool untold = !settled && hub_told_ != authority.entry();
    if (hub_rest_ && hub_rest_->Left() > milliseconds(0) && !untold && !IsAsked(serving)) {
      return hub_rest_->Left();
    }
    if (!settled) {
      // Whoever calls a former hub hears of the new one there.
      std::stable_partition(peers.begin(), peers.end(), [](const Peer& p) { return p.was_hub; });
    }
    peers.resize(std::min(peers.size(), kHubCallsMax));
    std::vector<std::string> called;
    std::optional<Error> failure;
    for (const Peer& peer : peers) {
      const Status done = Meet(peer, stop);
      if (stop.stop_requested()) return milliseconds(0);
      const auto now = options_.store->authority();
      // Another one is the hub by now: on to that one at once.
      if (now && now->hub_key() != authority.hub_key()) return milliseconds(0);
      if (done) {
        called.push_back(peer.name);
      } else if (!failure || IsRefusal(done.error())) {
        failure = done.error();
      }
    }
    hub_told_ = authority.entry();
    hub_failures_ = called.empty() ? hub_failures_ + 1 : 0;
    milliseconds pause = settled ? options_.hub_interval : kTellInterval;
    if (called.empty()) {
      pause = std::min(pause, PauseAfter(hub_failures_, options_.backoff_first,
                                         options_.backoff_max, DrawNumber()));
    }
    hub_rest_.emplace(pause);
    // That somebody is away is no error of the hub's; what one says who answers may be.
    if (failure && IsRefusal(*failure)) {
      SetError(*failure);
    } else {
      const std::lock_guard lock(mutex_);
      status_.last_error.clear();
    }
    const bool nobody = called.empty();
    NoteCalled(std::move(called));
    if (nobody) {
      Served(serving, Error{IsRefusal(*failure) ? failure->code : ErrorCode::kNotFound,
                            fmt::format("this node is the hub, and none of the others that it "
                                        "called exchanges with it: {}",
                                        failure->message)});
    } else {
      Served(serving, std::nullopt);
    }
    return hub_rest_->Left();
  }

  static bool IsRefusal(const Error& error) {
    return error.code == ErrorCode::kDenied || error.code == ErrorCode::kConflict;
  }

  bool IsAsked(std::uint64_t serving) const {
    const std::lock_guard lock(mutex_);
    return serving > served_;
  }

  void NoteCalled(std::vector<std::string> called) {
    const std::lock_guard lock(mutex_);
    status_.called = std::move(called);
  }

  // One exchange up to an agreement, without the phases of a node that keeps in step with a hub.
  Status Meet(const Peer& peer, const std::stop_token& stop) {
    STAFFEL_TRY(line, LineTo(peer));
    STAFFEL_CHECK(ConverseBriefly(*line, stop, /*with_progress=*/true));
    Agreed(*line);
    return {};
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
        for (const charter::Term& term : authority.content().terms) {
          peer.was_hub = peer.was_hub || term.replica == replica.key;
        }
        peers.push_back(std::move(peer));
      }
    }
    for (std::size_t i = peers.size(); i > 1; --i) {
      std::swap(peers[i - 1], peers[static_cast<std::size_t>(DrawNumber() % i)]);
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
    STAFFEL_TRY(line, MakeLine(peer));
    return &(lines_[peer.tls_key] = std::move(line));
  }

  Result<Line> MakeLine(const Peer& peer) {
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
    exchange.instance = options_.instance;
    exchange.clocks = options_.clocks;
    exchange.peer_is_hub = peer.is_hub;
    line.exchange = std::make_unique<Exchange>(*options_.store, peer.tls_key, exchange);
    return line;
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
                        line.exchange->waiting(), line.peer.tls_key, stop);
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
                         const Bytes& body, bool waits, const crypto::PublicKey& peer,
                         const std::stop_token& stop) {
    std::stop_source source;
    {
      const std::lock_guard lock(mutex_);
      current_ = source;
      current_waits_ = waits;
      current_peer_ = peer;
      ++request_number_;
      interrupted_ = false;
    }
    // What came in before a waiting request would wait with it. Asked after the request is known to
    // the watcher, so that no commit falls between the two.
    const bool news = waits && HasNewsFor(peer);
    {
      const std::lock_guard lock(mutex_);
      if (stop.stop_requested() || (waits && (woken_ || news))) source.request_stop();
    }
    auto answer =
        transport.Post(path, {{"content-type", std::string(type)}}, body, source.get_token());
    const std::lock_guard lock(mutex_);
    current_.reset();
    interrupted_ = waits && source.stop_requested();
    if (answer) status_.last_contact = options_.clock->Now();
    return answer;
  }

  void Note(const Exchange& exchange, bool with_progress = true) {
    std::vector<DigestDifference> fresh;
    {
      const std::lock_guard lock(mutex_);
      if (with_progress) {
        status_.progress = exchange.progress();
        status_.problems = exchange.problems();
      }
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
    // Before the cosigning: what this replica may sign follows from what it has met now. A failure
    // of the disk leaves the doubt standing.
    (void)options_.store->EndDoubt(DoubtEnd::kExchanged);
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
      agreed_state_ = line.exchange->agreed_state();
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
    KeepLastSuccess(/*at_once=*/false);
  }

  // When we were last in step, for the status after a restart: once a minute, and at the end.
  void KeepLastSuccess(bool at_once) {
    TimeMs last;
    {
      const std::lock_guard lock(mutex_);
      last = status_.last_success;
      if (last == last_success_kept_ ||
          (!at_once && last.value < last_success_kept_.value + kLastSuccessStepMs)) {
        return;
      }
      last_success_kept_ = last;
    }
    Bytes out;
    AppendVarint(out, last.value);
    (void)options_.store->PutLocal(kLastSuccessKey, out);
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

  // ---- relays ----

  // An audience that the chair does not read meets through its relay. On a thread of its own: what
  // the hub sees of us must not depend on what goes on in such an audience.
  void MeetRelays(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      const std::uint64_t seen = options_.commits->revision();
      const auto peers = Relays();
      std::erase_if(relay_lines_, [&](const auto& line) {
        return std::none_of(peers.begin(), peers.end(),
                            [&](const Peer& peer) { return peer == line.second.line.peer; });
      });
      {
        const std::lock_guard lock(mutex_);
        std::erase_if(relay_errors_,
                      [&](const auto& error) { return !relay_lines_.contains(error.first); });
      }
      milliseconds pause = options_.relay_interval;
      for (const Peer& peer : peers) {
        if (stop.stop_requested()) return;
        pause = std::min(pause, MeetRelay(peer, stop));
      }
      if (options_.commits->Wait(seen, std::max(pause, milliseconds(1)), stop)) {
        options_.commits->Wait(options_.commits->revision(), options_.debounce, stop);
      }
    }
  }

  // The replicas of the relay of each audience that the chair does not read: our member's others,
  // too, for what is written at one of two in `land:` reaches the other in no other way.
  std::vector<Peer> Relays() {
    std::vector<Peer> peers;
    const auto authority = options_.store->authority();
    const auto own = options_.store->own_member();
    if (!authority || !own) return peers;
    const auto audiences = AudiencesToMeetFor(*options_.store);
    if (!audiences) return peers;  // the store says so elsewhere; the next round looks again
    for (const AudienceId& id : *audiences) {
      if (authority->KeepsCopy(authority->chair(), id)) continue;
      const auto relay = authority->RelayOf(id);
      const auto* member = relay ? authority->FindMember(*relay) : nullptr;
      if (member == nullptr) continue;
      for (const charter::Replica& replica : member->replicas) {
        if (replica.url.empty() || replica.key == options_.key->public_key()) continue;
        Peer peer;
        peer.name = fmt::format("{} ({})", member->id.text(), replica.url);
        peer.url = replica.url;
        peer.tls_key = replica.tls_key;
        if (std::find(peers.begin(), peers.end(), peer) == peers.end()) peers.push_back(peer);
      }
    }
    return peers;
  }

  // One exchange, where there is news for the relay or its time has come. Says when to come again.
  milliseconds MeetRelay(const Peer& peer, const std::stop_token& stop) {
    auto& meeting = relay_lines_[peer.tls_key];
    const auto left = meeting.rest ? meeting.rest->Left() : milliseconds(0);
    if (left > milliseconds(0)) {
      if (meeting.failures > 0) return left;
      const auto state = ComparedWith(*options_.store, peer.tls_key);
      if (state && *state == meeting.agreed) return left;
    }
    Status done;
    if (meeting.line.exchange == nullptr || meeting.line.peer != peer) {
      auto line = MakeLine(peer);
      if (line) {
        meeting.line = std::move(*line);
      } else {
        done = tl::unexpected<Error>(line.error());
      }
    }
    if (done) done = ConverseBriefly(meeting.line, stop, /*with_progress=*/false);
    milliseconds pause = options_.relay_interval;
    if (done) {
      meeting.failures = 0;
      meeting.agreed = meeting.line.exchange->agreed_state();
      Housekeep();
      if (options_.on_peer_holds) {
        options_.on_peer_holds(peer.tls_key, meeting.line.exchange->agreed_vectors());
      }
    } else {
      pause = options_.backoff_first;
      for (int i = 0; i < meeting.failures && pause < options_.backoff_max; ++i) pause *= 2;
      pause = std::min(pause, options_.backoff_max);
      ++meeting.failures;
    }
    meeting.rest = std::make_unique<Patience>(pause);
    bool changed = false;
    {
      const std::lock_guard lock(mutex_);
      const std::string error = done ? std::string() : "relay " + done.error().message;
      changed = relay_errors_[peer.tls_key] != error;
      if (done) {
        relay_errors_.erase(peer.tls_key);
      } else {
        relay_errors_[peer.tls_key] = error;
      }
    }
    if (changed && options_.on_event && !stop.stop_requested()) {
      options_.on_event(done ? "met the relay " + peer.name : "relay " + done.error().message,
                        !done);
    }
    return pause;
  }

  // Requests and answers until both sides agree; nobody breaks them off but the end.
  Status ConverseBriefly(Line& line, const std::stop_token& stop, bool with_progress) {
    line.exchange->Begin();
    for (;;) {
      if (stop.stop_requested()) return Fail(ErrorCode::kUnavailable, "this node is stopping");
      STAFFEL_TRY(request, line.exchange->NextRequest(0));
      STAFFEL_TRY(answer, line.transport->Post(kExchangePath,
                                               {{"content-type", std::string(kExchangeType)}},
                                               request, stop));
      if (answer.status != 200) return tl::unexpected<Error>(RefusedBy(line.peer.name, answer));
      auto state = line.exchange->TakeAnswer(answer.body);
      Note(*line.exchange, with_progress);
      if (!state) {
        return Fail(state.error().code, "{}: {}", line.peer.name, state.error().message);
      }
      if (*state == Exchange::State::kAgreed) return {};
    }
  }

  void Housekeep() {
    if (options_.cosign) (void)CosignInForce(*options_.store, *options_.key);
    (void)RenewProposals(*options_.store, *options_.key, *options_.random);
    (void)RenewOvertaken(*options_.store);
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
      const milliseconds pause = Fails(state.error(), Phase::kJoining);
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
    STAFFEL_TRY(answer, Ask(*transport, kJoinPath, kJoinType, request, /*waits=*/false,
                            crypto::PublicKey(), stop));
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
    exchange_options.instance = options_.instance;
    exchange_options.clocks = options_.clocks;
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
      if (phase == Phase::kIsHub) status_.peer.clear();
      peer = status_.peer;
    }
    if (!changed || !options_.on_event) return;
    switch (phase) {
      case Phase::kAlone:
        return options_.on_event("no conference yet", false);
      case Phase::kJoining:
        return options_.on_event("joining", false);
      case Phase::kIsHub:
        return options_.on_event("this node is the hub", false);
      case Phase::kNoPeer:
        return options_.on_event("nobody to exchange with", false);
      case Phase::kInStep:
        return options_.on_event("in step with " + peer, false);
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
    if (changed && options_.on_event) options_.on_event(error.message, true);
  }

  // Books a failure and says how long to pause: longer each time, and never at the same moment as
  // all the others that lost the same hub.
  milliseconds Fails(const Error& error, Phase phase = Phase::kWaiting) {
    SetError(error);
    const std::lock_guard lock(mutex_);
    ++status_.failures;
    const milliseconds pause =
        PauseAfter(status_.failures, options_.backoff_first, options_.backoff_max, DrawNumber());
    status_.phase = phase;
    status_.next_attempt = {options_.clock->Now().value +
                            static_cast<std::uint64_t>(pause.count())};
    return pause;
  }

  std::uint64_t DrawNumber() {
    std::uint64_t value = 0;
    for (const char c : options_.random->Draw(8)) {
      value = value << 8 | static_cast<std::uint8_t>(c);
    }
    return value;
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
  TimeMs last_success_kept_;
  std::uint64_t requested_ = 0;
  std::uint64_t served_ = 0;
  std::optional<Error> served_error_;
  bool woken_ = false;
  bool committed_ = false;
  std::optional<std::stop_source> current_;  // of the request under way
  bool current_waits_ = false;
  bool interrupted_ = false;
  crypto::PublicKey current_peer_;
  std::uint64_t request_number_ = 0;
  Hash agreed_state_;

  // The worker's own.
  std::map<crypto::PublicKey, Line> lines_;
  bool pause_ends_with_commits_ = false;
  std::optional<Patience> hub_rest_;  // as the hub: until it calls others again
  EntryId hub_told_;                  // the charter entry in force when it last did
  std::uint64_t hub_failures_ = 0;    // in a row

  // The relays' thread's own, but for the errors, which mutex_ guards.
  struct Meeting {
    Line line;
    std::unique_ptr<Patience> rest;
    int failures = 0;  // in a row
    Hash agreed;
  };
  std::map<crypto::PublicKey, Meeting> relay_lines_;
  std::map<crypto::PublicKey, std::string> relay_errors_;

  std::jthread worker_;
  std::jthread watcher_;
  std::jthread relays_;
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
