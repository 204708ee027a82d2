// SPDX-License-Identifier: EUPL-1.2
// What replicas say to each other about attachments: lists, pieces, what is wanted. Here are the
// answers (BlobHost) and the background worker that fetches what is wanted here and brings what is
// wanted at the hub (BlobCourier), beside the exchange and never in its way. What may be given to
// whom, and that each piece is the right one, the store says (core/store/blobs.h). Paths and bytes:
// docs/formats/blobs.md.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/crypto/key.h"
#include "core/store/blobs.h"
#include "core/store/store.h"
#include "sync/commit_signal.h"
#include "sync/http_transport.h"

namespace staffel::sync {

inline constexpr std::string_view kBlobPath = "/sync/v1/blob/";
inline constexpr std::string_view kBlobsWantedPath = "/sync/v1/blobs/wanted";
inline constexpr std::size_t kBlobsWantedMax = 100;  // named in one answer
// A body of any request about attachments.
inline constexpr std::size_t kBlobBodyBytesMax = kBlobChunkBytes;

struct BlobRequest {
  std::string_view method;
  std::string_view path;
  std::optional<std::string_view> range;          // the field Range
  std::optional<std::string_view> content_range;  // the field Content-Range
  ByteView body;
};

struct BlobAnswer {
  int status = 200;
  std::string content_type = "application/octet-stream";
  std::string content_range;  // with 206
  Bytes body;                 // a refusal's is one sentence for people
};

// Whether a request is for BlobHost::Answer.
[[nodiscard]] bool IsBlobPath(std::string_view path);

// Any number of threads at once.
class BlobHost {
 public:
  explicit BlobHost(Store& store) : store_(store) {}  // the store outlives this

  // `peer` is the TLS key that the asker has proven. 403 for keys that the charter does not list;
  // 404 for whatever is not here or not for the asker, without a difference.
  [[nodiscard]] BlobAnswer Answer(const BlobRequest& request,
                                  const std::optional<crypto::PublicKey>& peer);

 private:
  [[nodiscard]] Result<BlobAnswer> Give(const BlobRequest& request, const MemberId& member,
                                        const BlobId& id, bool list);
  [[nodiscard]] Result<BlobAnswer> Take(const BlobRequest& request, const MemberId& member,
                                        const BlobId& id, bool list);
  [[nodiscard]] Result<BlobAnswer> Wanted(const MemberId& member);
  Store& store_;
};

// The bytes of the answers: a list, and what is wanted.
[[nodiscard]] Bytes PackBlobList(const BlobList& list);
[[nodiscard]] Result<BlobList> UnpackBlobList(ByteView bytes);
struct WantedThere {
  BlobId id;
  bool listed = false;
  std::uint64_t next_chunk = 0;
};
[[nodiscard]] Bytes PackWanted(const std::vector<WantedThere>& wanted);
[[nodiscard]] Result<std::vector<WantedThere>> UnpackWanted(ByteView bytes);

// "bytes=0-99" (Range), or "bytes 0-99/1000" (Content-Range). One range with both its ends: all
// that a replica ever sends. Nothing for anything else.
struct ByteRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  std::optional<std::uint64_t> size;  // of Content-Range
};
[[nodiscard]] std::optional<ByteRange> ReadByteRange(std::string_view text, bool of_content);

struct BlobCourierOptions {
  Store* store = nullptr;                // outlives the courier
  const crypto::KeyPair* key = nullptr;  // the replica's; outlives the courier
  TlsIdentity identity;
  CommitSignal* commits = nullptr;
  std::string proxy;  // see HttpTransport::Options
  // After a change, the first look; then twice as long each time, up to the other one.
  std::chrono::milliseconds pause_first{250};
  std::chrono::milliseconds pause_max{300'000};
  std::chrono::milliseconds shun{3'600'000};  // who sent garbage is left alone for so long
  // One line for the log. On the courier's thread.
  std::function<void(const std::string&)> on_event;
};

struct BlobCourierStatus {
  std::uint64_t fetched = 0;  // attachments, since the start
  std::uint64_t brought = 0;
  std::uint64_t pieces_fetched = 0;
  std::uint64_t refused = 0;  // lists and pieces that were not what they should be
  std::string last_error;     // a sentence for people; empty when the last round went well
};

// Any thread. Start once.
class BlobCourier {
 public:
  explicit BlobCourier(BlobCourierOptions options);
  ~BlobCourier();  // stops
  BlobCourier(const BlobCourier&) = delete;
  BlobCourier& operator=(const BlobCourier&) = delete;

  void Start();
  // Ends requests under way and waits for the thread. Repeatable.
  void Stop();
  // Looks again now: an exchange has succeeded, or somebody waits for an attachment.
  void Wake();
  [[nodiscard]] BlobCourierStatus status() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace staffel::sync
