// SPDX-License-Identifier: EUPL-1.2
#include "sync/hub.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <utility>

#include "sync/handover.h"
#include "sync/invitation.h"
#include "sync/proposal.h"

namespace staffel::sync {
namespace {

constexpr std::uint64_t kMinuteMs = 60'000;

int StatusOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalid:
    case ErrorCode::kCorrupt:
    case ErrorCode::kUnsupported:
      return 400;
    case ErrorCode::kDenied:
      return 403;
    case ErrorCode::kNotFound:
      return 404;
    case ErrorCode::kExists:
    case ErrorCode::kConflict:
      return 409;
    case ErrorCode::kTooLarge:
      return 413;
    case ErrorCode::kUnavailable:
      return 503;
    case ErrorCode::kStorage:
      return 507;
    case ErrorCode::kInternal:
      break;
  }
  return 500;
}

HubAnswer Refusal(int status, std::string sentence) {
  return {status, "text/plain; charset=utf-8", std::move(sentence)};
}

HubAnswer Refusal(const Error& error) { return Refusal(StatusOf(error.code), error.message); }

}  // namespace

class Hub::Impl {
 public:
  explicit Impl(HubOptions options)
      : options_(std::move(options)),
        responder_(*options_.store, options_.limits, options_.clocks),
        instances_(options_.instance_lease) {}

  HubAnswer Handle(std::string_view path, const std::optional<crypto::PublicKey>& peer,
                   ByteView body, std::stop_token stop) {
    HubAnswer answer = Route(path, peer, body, std::move(stop));
    if (answer.status != 200) ++refused_;
    return answer;
  }

  Stats stats() const {
    return {exchanges_.load(), joins_.load(), refused_.load(), waiting_.load()};
  }

 private:
  HubAnswer Route(std::string_view path, const std::optional<crypto::PublicKey>& peer,
                  ByteView body, std::stop_token stop) {
    if (path != kExchangePath && path != kJoinPath) {
      return Refusal(
          404, "there is nothing at this path: replicas exchange at " + std::string(kExchangePath));
    }
    if (options_.store->doubt().in_doubt) return Refusal(DoubtRefusal());
    if (!peer || peer->empty()) {
      return Refusal(403, "replicas show a certificate with the key that the charter lists");
    }
    const Place place(*this, *peer);
    if (!place.granted()) {
      return Refusal(429, "too many requests of this replica are open: wait for their answers");
    }
    return path == kJoinPath ? Join(*peer, body) : Exchange(*peer, body, std::move(stop));
  }

  // One of the requests that a peer may have open at once.
  class Place {
   public:
    Place(Impl& hub, const crypto::PublicKey& peer) : hub_(hub), peer_(peer) {
      const std::lock_guard lock(hub_.mutex_);
      auto& open = hub_.open_[peer_];
      granted_ = open < kRequestsPerPeerMax;
      if (granted_) {
        ++open;
      } else if (open == 0) {
        hub_.open_.erase(peer_);
      }
    }
    ~Place() {
      if (!granted_) return;
      const std::lock_guard lock(hub_.mutex_);
      const auto found = hub_.open_.find(peer_);
      if (--found->second == 0) hub_.open_.erase(found);
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    [[nodiscard]] bool granted() const { return granted_; }

   private:
    Impl& hub_;
    const crypto::PublicKey& peer_;
    bool granted_ = false;
  };

  HubAnswer Exchange(const crypto::PublicKey& peer, ByteView body, std::stop_token stop) {
    ++exchanges_;
    std::optional<Patience> patience;
    // Asked at the first answer only: while a request waits, its process may have ended.
    Responder::Admission admission = [&](const Instance& instance) {
      return Admit(peer, instance);
    };
    for (;;) {
      // Read before the answer is made: a commit in between ends the wait at once.
      const std::uint64_t seen = options_.commits->revision();
      auto reply = responder_.Answer(body, peer, admission);
      admission = {};
      if (!reply) return Refusal(reply.error());
      for (const DigestDifference& incident : reply->incidents) {
        if (options_.on_incident) options_.on_incident(incident);
      }
      if (options_.on_peer_holds && !reply->peer_holds.empty()) {
        options_.on_peer_holds(peer, reply->peer_holds);
      }
      if (reply->nothing_new && options_.store->doubt().cosigning_waits) {
        // An exchange has completed, whoever asked. Failing, the next one ends it.
        (void)options_.store->EndDoubt(DoubtEnd::kExchanged);
      }
      if (reply->charter_changed) CharterChanged();
      HubAnswer answer{200, std::string(kExchangeType), std::move(reply->bytes)};
      if (!reply->nothing_new || reply->wait_ms == 0 || stop.stop_requested()) return answer;
      if (!patience) {
        patience.emplace(std::min(std::chrono::milliseconds(reply->wait_ms), options_.wait_max));
      }
      const auto left = patience->Left();
      if (left <= std::chrono::milliseconds(0)) return answer;
      if (waiting_.fetch_add(1) >= kWaitersMax) {
        --waiting_;
        return answer;  // the asker comes again
      }
      options_.commits->Wait(seen, left, stop);
      --waiting_;
    }
  }

  Status Admit(const crypto::PublicKey& peer, const Instance& instance) {
    const auto verdict = instances_.Admit(peer, instance, options_.clock->Now());
    if (verdict.discovered && options_.on_second_instance) {
      const auto authority = options_.store->authority();
      const auto member = authority ? authority->MemberOfTlsKey(peer) : std::nullopt;
      if (member) options_.on_second_instance(*member);
    }
    if (verdict.admitted) return {};
    return tl::unexpected<Error>(RunsTwice());
  }

  HubAnswer Join(const crypto::PublicKey& peer, ByteView body) {
    ++joins_;
    {
      const std::lock_guard lock(mutex_);
      const std::uint64_t now = options_.clock->Now().value;
      if (now < minute_start_ || now - minute_start_ >= kMinuteMs) {
        minute_start_ = now;
        join_failures_ = 0;
      }
      if (join_failures_ >= kJoinFailuresPerMinuteMax) {
        return Refusal(429, "too many wrong invitations were tried: try again in a minute");
      }
    }
    bool failed = false;
    auto answer = AnswerJoin(*options_.store, *options_.key, body, peer, *options_.clock,
                             *options_.random, &failed);
    if (failed) {
      const std::lock_guard lock(mutex_);
      ++join_failures_;
    }
    if (!answer) return Refusal(answer.error());
    CharterChanged();
    return {200, std::string(kJoinType), std::move(*answer)};
  }

  // What is in force is signed as seen, what was overtaken is put forward again. Failures come
  // again with the next change; the exchange itself has succeeded.
  void CharterChanged() {
    if (options_.cosign) (void)CosignInForce(*options_.store, *options_.key);
    (void)RenewProposals(*options_.store, *options_.key, *options_.random);
    (void)RenewOvertaken(*options_.store);
    (void)StepHandover(*options_.store, *options_.key, *options_.clock);
    if (options_.cosign) (void)CosignInForce(*options_.store, *options_.key);
  }

  const HubOptions options_;
  Responder responder_;
  InstanceWatch instances_;
  std::mutex mutex_;
  std::map<crypto::PublicKey, std::size_t> open_;
  std::uint64_t minute_start_ = 0;
  std::size_t join_failures_ = 0;
  std::atomic<std::uint64_t> exchanges_ = 0;
  std::atomic<std::uint64_t> joins_ = 0;
  std::atomic<std::uint64_t> refused_ = 0;
  std::atomic<std::size_t> waiting_ = 0;
};

Hub::Hub(HubOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Hub::~Hub() = default;
HubAnswer Hub::Handle(std::string_view path, const std::optional<crypto::PublicKey>& peer,
                      ByteView body, std::stop_token stop) {
  return impl_->Handle(path, peer, body, std::move(stop));
}
Hub::Stats Hub::stats() const { return impl_->stats(); }

}  // namespace staffel::sync
