// SPDX-License-Identifier: EUPL-1.2
#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <stop_token>
#include <thread>

#include "sync/blobs.h"

namespace staffel::sync {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// A call to look again may come just before the wait begins: it is heard this much later.
constexpr milliseconds kLook{1'000};

struct Peer {
  MemberId member;
  std::string name;
  std::string url;
  crypto::PublicKey tls_key;
  bool is_hub = false;
};

// A peer's answer as what it means for us.
Error ErrorOf(const Peer& peer, const HttpAnswer& answer) {
  ErrorCode code = ErrorCode::kUnavailable;
  if (answer.status == 404) code = ErrorCode::kNotFound;
  if (answer.status == 422 || answer.status == 416) code = ErrorCode::kCorrupt;
  return {code,
          fmt::format("{} answered {} to a request for an attachment", peer.name, answer.status)};
}

}  // namespace

class BlobCourier::Impl {
 public:
  explicit Impl(BlobCourierOptions options)
      : options_(std::move(options)), blobs_(*options_.store) {}
  ~Impl() { Stop(); }

  void Start() {
    STAFFEL_ASSERT(!worker_.joinable());
    worker_ = std::jthread([this](std::stop_token stop) { Work(stop); });
  }

  void Stop() {
    worker_.request_stop();
    options_.commits->Poke();
    if (worker_.joinable()) worker_.join();
  }

  void Wake() {
    {
      const std::lock_guard lock(mutex_);
      woken_ = true;
    }
    options_.commits->Poke();
  }

  BlobCourierStatus status() const {
    const std::lock_guard lock(mutex_);
    return status_;
  }

 private:
  void Work(const std::stop_token& stop) {
    milliseconds pause = options_.pause_first;
    std::uint64_t known = 0;
    while (!stop.stop_requested()) {
      const std::uint64_t seen = options_.commits->revision();
      moved_ = false;
      error_.reset();
      const Status done = Round(stop);
      if (stop.stop_requested()) return;
      if (!done) error_ = done.error();
      Report();
      // What records name has changed: soon again, since the hub may not have heard of it yet.
      const auto named = blobs_.Mark();
      if (moved_ || (named && *named != known)) pause = options_.pause_first;
      if (named) known = *named;
      Sleep(seen, pause, stop);
      pause = std::min(pause * 2, options_.pause_max);
    }
  }

  // Waits as long as nothing that concerns attachments happens.
  void Sleep(std::uint64_t seen, milliseconds pause, const std::stop_token& stop) {
    const Patience patience(pause);
    const auto names = blobs_.Mark();
    while (!stop.stop_requested() && patience.Left() > milliseconds(0)) {
      options_.commits->Wait(seen, std::min(patience.Left(), kLook), stop);
      {
        const std::lock_guard lock(mutex_);
        if (woken_) {
          woken_ = false;
          return;
        }
      }
      const std::uint64_t now = options_.commits->revision();
      if (now == seen) continue;
      seen = now;
      const auto named = blobs_.Mark();
      if (named && names && *named != *names) return;
    }
  }

  Status Round(const std::stop_token& stop) {
    const auto authority = options_.store->authority();
    const auto own = options_.store->own_member();
    if (!authority || !own) return {};
    STAFFEL_TRY(shared, blobs_.ShareHeld());
    moved_ = moved_ || shared > 0;
    std::vector<Peer> peers = Peers(*authority);
    std::set<crypto::PublicKey> silent;  // in this round
    STAFFEL_CHECK(FetchAll(*authority, peers, silent, stop));
    for (const Peer& peer : peers) {
      if (stop.stop_requested()) return {};
      if (silent.contains(peer.tls_key) || Shunned(peer)) continue;
      const Status brought = Bring(peer, stop);
      if (!brought) Note(peer, brought.error(), silent);
      // The hub, or while it cannot be reached the first other one.
      if (brought) break;
    }
    return {};
  }

  std::vector<Peer> Peers(const charter::Authority& authority) const {
    std::vector<Peer> peers;
    for (const charter::Member& member : authority.members()) {
      for (const charter::Replica& replica : member.replicas) {
        if (replica.url.empty() || replica.key == options_.key->public_key()) continue;
        peers.push_back({member.id, fmt::format("{} ({})", member.id.text(), replica.url),
                         replica.url, replica.tls_key, replica.key == authority.hub_key()});
      }
    }
    std::stable_partition(peers.begin(), peers.end(), [](const Peer& p) { return p.is_hub; });
    return peers;
  }

  // ---- fetching ----

  Status FetchAll(const charter::Authority& authority, const std::vector<Peer>& peers,
                  std::set<crypto::PublicKey>& silent, const std::stop_token& stop) {
    STAFFEL_TRY(wanted, blobs_.Wanted(kBlobsWantedMax));
    for (const WantedBlob& blob : wanted) {
      for (const Peer& peer : peers) {
        if (stop.stop_requested()) return {};
        if (silent.contains(peer.tls_key) || Shunned(peer)) continue;
        if (!authority.Reads(peer.member, blob.audience)) continue;
        const Status fetched = Fetch(peer, blob, stop);
        if (fetched) break;
        // Our own disk: no peer can help.
        if (fetched.error().code == ErrorCode::kStorage) return fetched;
        Note(peer, fetched.error(), silent);
      }
    }
    return {};
  }

  // Fetches what lacks of one attachment from one peer.
  Status Fetch(const Peer& peer, const WantedBlob& wanted, const std::stop_token& stop) {
    WantedBlob blob = wanted;
    const std::string path = std::string(kBlobPath) + blob.id.Hex();
    if (!blob.listed) {
      STAFFEL_TRY(answer, Ask(peer, "GET", path + "/list", {}, {}, stop));
      if (answer.status != 200) return tl::unexpected<Error>(ErrorOf(peer, answer));
      STAFFEL_TRY(list, UnpackBlobList(answer.body));
      STAFFEL_CHECK(blobs_.Expect(blob.id, blob.audience, list));
      blob.size_bytes = list.size_bytes;
    }
    for (std::size_t place = blob.next_chunk; place < BlobChunks(blob.size_bytes); ++place) {
      if (stop.stop_requested()) return Fail(ErrorCode::kUnavailable, "this node is stopping");
      const std::uint64_t first = place * std::uint64_t{kBlobChunkBytes};
      const std::uint64_t last = std::min(first + kBlobChunkBytes, blob.size_bytes) - 1;
      STAFFEL_TRY(answer, Ask(peer, "GET", path,
                              {{"range", fmt::format("bytes={}-{}", first, last)}}, {}, stop));
      if (answer.status != 206) return tl::unexpected<Error>(ErrorOf(peer, answer));
      STAFFEL_TRY(complete, blobs_.Take(blob.id, blob.audience, place, answer.body));
      moved_ = true;
      const std::lock_guard lock(mutex_);
      ++status_.pieces_fetched;
      if (!complete) continue;
      ++status_.fetched;
      return {};
    }
    return {};
  }

  // ---- bringing ----

  // The peer did not take it: its reasons are its own, and it has sent us no garbage.
  static Error NotTaken(const Peer& peer, int status) {
    return {ErrorCode::kUnavailable,
            fmt::format("{} answered {} to an attachment brought to it", peer.name, status)};
  }

  Status Bring(const Peer& peer, const std::stop_token& stop) {
    STAFFEL_TRY(answer, Ask(peer, "GET", kBlobsWantedPath, {}, {}, stop));
    if (answer.status != 200) return tl::unexpected<Error>(ErrorOf(peer, answer));
    STAFFEL_TRY(wanted, UnpackWanted(answer.body));
    for (const WantedThere& one : wanted) {
      if (stop.stop_requested()) return {};
      // Asked again for each: rights may have changed, and what the peer says is only its word.
      STAFFEL_TRY(audience, blobs_.ReadableBy(peer.member, one.id));
      if (audience) STAFFEL_CHECK(BringOne(peer, one, *audience, stop));
    }
    return {};
  }

  Status BringOne(const Peer& peer, const WantedThere& wanted, const AudienceId& audience,
                  const std::stop_token& stop) {
    const std::string path = std::string(kBlobPath) + wanted.id.Hex();
    STAFFEL_TRY(list, blobs_.List(wanted.id, audience));
    if (!wanted.listed) {
      STAFFEL_TRY(answer, Ask(peer, "PUT", path + "/list", {}, PackBlobList(list), stop));
      if (answer.status == 404) return {};  // somebody else was quicker
      if (answer.status != 204) return tl::unexpected<Error>(NotTaken(peer, answer.status));
    }
    for (std::uint64_t place = wanted.next_chunk; place < BlobChunks(list.size_bytes); ++place) {
      if (stop.stop_requested()) return Fail(ErrorCode::kUnavailable, "this node is stopping");
      STAFFEL_TRY(piece, blobs_.Chunk(wanted.id, audience, static_cast<std::size_t>(place)));
      const std::uint64_t first = place * kBlobChunkBytes;
      STAFFEL_TRY(answer,
                  Ask(peer, "PUT", path,
                      {{"content-range", fmt::format("bytes {}-{}/{}", first,
                                                     first + piece.size() - 1, list.size_bytes)}},
                      piece, stop));
      if (answer.status == 404) return {};
      if (answer.status != 204 && answer.status != 201) {
        return tl::unexpected<Error>(NotTaken(peer, answer.status));
      }
      moved_ = true;
    }
    const std::lock_guard lock(mutex_);
    ++status_.brought;
    return {};
  }

  // ---- peers ----

  Result<HttpAnswer> Ask(const Peer& peer, std::string_view method, std::string_view path,
                         HttpHeaders headers, ByteView body, const std::stop_token& stop) {
    auto& line = lines_[peer.tls_key];
    if (!line.second || line.first != peer.url) {
      HttpTransport::Options options;
      options.url = peer.url;
      options.identity = options_.identity;
      options.pinned_keys = {peer.tls_key};
      options.proxy = options_.proxy;
      options.answer_body_bytes_max = kBlobBodyBytesMax + 1024;
      STAFFEL_TRY(transport, HttpTransport::Create(std::move(options)));
      line = {peer.url, std::move(transport)};
    }
    if (!body.empty()) headers.emplace_back("content-type", "application/octet-stream");
    return line.second->Request(method, path, headers, body, stop);
  }

  [[nodiscard]] bool Shunned(const Peer& peer) const {
    const auto found = shunned_.find(peer.tls_key);
    return found != shunned_.end() && steady_clock::now() < found->second;
  }

  // What a peer's failure means for the rest of the round, and beyond.
  void Note(const Peer& peer, const Error& error, std::set<crypto::PublicKey>& silent) {
    if (error.code == ErrorCode::kNotFound) return;  // it has not got it either
    error_ = error;
    if (error.code != ErrorCode::kCorrupt && error.code != ErrorCode::kTooLarge) {
      silent.insert(peer.tls_key);
      return;
    }
    shunned_[peer.tls_key] = steady_clock::now() + options_.shun;
    {
      const std::lock_guard lock(mutex_);
      ++status_.refused;
    }
    (void)options_.store->ReportIncident(
        "attachment",
        fmt::format(
            "{} sent bytes that are not the attachment asked for: {}; it is not asked again "
            "for an hour",
            peer.name, error.message));
  }

  void Report() {
    bool changed = false;
    std::string text = error_ ? error_->message : "";
    {
      const std::lock_guard lock(mutex_);
      changed = status_.last_error != text;
      status_.last_error = text;
    }
    if (changed && !text.empty() && options_.on_event) options_.on_event(text);
  }

  const BlobCourierOptions options_;
  Blobs blobs_;

  mutable std::mutex mutex_;
  // Guarded by mutex_.
  BlobCourierStatus status_;
  bool woken_ = false;

  // The worker's own.
  bool moved_ = false;
  std::optional<Error> error_;
  std::map<crypto::PublicKey, std::pair<std::string, std::unique_ptr<HttpTransport>>> lines_;
  std::map<crypto::PublicKey, steady_clock::time_point> shunned_;

  std::jthread worker_;
};

BlobCourier::BlobCourier(BlobCourierOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}
BlobCourier::~BlobCourier() = default;
void BlobCourier::Start() { impl_->Start(); }
void BlobCourier::Stop() { impl_->Stop(); }
void BlobCourier::Wake() { impl_->Wake(); }
BlobCourierStatus BlobCourier::status() const { return impl_->status(); }

}  // namespace staffel::sync
