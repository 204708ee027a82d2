// SPDX-License-Identifier: EUPL-1.2
// Attachments: the bytes behind the ids that records name. Kept in pieces in the replica's own
// file, each piece once; held for an audience, given to whoever reads it, erased with the last
// payload that names them. Format, and what follows from it: docs/formats/blobs.md. How they travel
// is sync/blobs.h's business.
//
// Threads: every function may be called from any thread; each write is one short transaction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/id.h"
#include "core/base/result.h"
#include "core/store/store.h"

namespace staffel {

using BlobId = Hash;

inline constexpr std::size_t kBlobChunkBytes = std::size_t{1} << 20;
inline constexpr std::uint64_t kBlobBytesMax = std::uint64_t{100} << 20;
// Files on their way in from people, at once.
inline constexpr std::size_t kUploadsMax = 16;

// How many pieces a file of that size has; all but the last have kBlobChunkBytes.
[[nodiscard]] constexpr std::size_t BlobChunks(std::uint64_t size_bytes) {
  return static_cast<std::size_t>((size_bytes + kBlobChunkBytes - 1) / kBlobChunkBytes);
}
// H("staffel/1/blob", varint(size) ‖ SHA-256 of each piece).
[[nodiscard]] BlobId BlobIdOf(std::uint64_t size_bytes, ByteView chunk_hashes);

struct BlobContent {
  BlobId id;
  std::uint64_t size_bytes = 0;
  Hash sha256;  // of the whole, as sha256sum prints it
};

struct BlobState {
  BlobId id;
  AudienceId audience;
  std::uint64_t size_bytes = 0;  // while nothing is here: as a record says
  std::uint64_t here_bytes = 0;
  bool complete = false;
  std::optional<Hash> sha256;  // once complete
};

// What proves each piece by itself: SHA-256 values, one after another.
struct BlobList {
  std::uint64_t size_bytes = 0;
  Bytes chunk_hashes;
};

struct WantedBlob {
  BlobId id;
  AudienceId audience;
  std::uint64_t size_bytes = 0;  // as a record says; by the list once `listed`
  bool listed = false;           // the list is here: pieces can be taken
  std::size_t next_chunk = 0;    // the first that lacks
};

struct BlobCounts {
  std::uint64_t complete = 0;
  std::uint64_t wanted = 0;  // named and not here, or not whole
  std::uint64_t bytes = 0;   // of all pieces held
};

class Blobs {
 public:
  explicit Blobs(Store& store) : store_(store) {}  // the store outlives this

  // ---- from a person ----

  // A place for a file's pieces; its id is for the calls below. kTooLarge while kUploadsMax are
  // under way.
  [[nodiscard]] Result<Hash> BeginUpload();
  // Piece `place`, in order, each kBlobChunkBytes but the last. On disk when this returns; the same
  // piece again is harmless. kTooLarge beyond kBlobBytesMax.
  [[nodiscard]] Status AddPiece(const Hash& upload, std::size_t place, ByteView bytes);
  // One of the pieces that came.
  [[nodiscard]] Result<Bytes> UploadedPiece(const Hash& upload, std::size_t place);
  // What the record is to name. kInvalid for an empty file.
  [[nodiscard]] Result<BlobContent> Describe(const Hash& upload);
  // Applies the edits, which name the upload, and makes its bytes their audience's: all in one
  // transaction, so that no entry of ours names bytes that are not here.
  [[nodiscard]] Result<std::vector<Applied>> Attach(const Hash& upload,
                                                    std::span<const Edit> edits);
  [[nodiscard]] Status DropUpload(const Hash& upload);
  // All of them: at a node's start, when nobody is uploading.
  [[nodiscard]] Status DropUploads();

  // ---- looking ----

  // kNotFound where no valid entry of that audience names it.
  [[nodiscard]] Result<BlobState> State(const BlobId& id, const AudienceId& audience);
  // Wherever a valid entry names an attachment with this id, or one whose bytes are here and have
  // this SHA-256.
  [[nodiscard]] Result<std::vector<BlobState>> Find(const Hash& id_or_sha256);
  // An audience that `member` reads, in which a valid entry names the attachment and its bytes are
  // here whole. Nothing: it is not for this member, or not here; who asks cannot tell which.
  [[nodiscard]] Result<std::optional<AudienceId>> ReadableBy(const MemberId& member,
                                                             const BlobId& id);
  // The list, once it is known; kNotFound.
  [[nodiscard]] Result<BlobList> List(const BlobId& id, const AudienceId& audience);
  // One piece; kNotFound where it is not here.
  [[nodiscard]] Result<Bytes> Chunk(const BlobId& id, const AudienceId& audience,
                                    std::size_t place);
  [[nodiscard]] Result<BlobCounts> Counts();

  // ---- from other replicas ----

  // What valid entries of audiences that we read name and that is not here whole, the oldest entry
  // first, at most `limit`; with `shared_with`, only of audiences that this member reads, too.
  [[nodiscard]] Result<std::vector<WantedBlob>> Wanted(
      std::size_t limit, const std::optional<MemberId>& shared_with = {});
  // The same for one attachment: the audiences that `member` reads and that lack it here.
  [[nodiscard]] Result<std::vector<WantedBlob>> WantedOf(const BlobId& id, const MemberId& member);
  // A number that changes when records name other attachments, or one has become whole: for whoever
  // waits for work.
  [[nodiscard]] Result<std::uint64_t> Mark();
  // Makes a place for the pieces. kCorrupt where the list is not the one of this id, kNotFound
  // where the attachment is not wanted.
  [[nodiscard]] Status Expect(const BlobId& id, const AudienceId& audience, const BlobList& list);
  // Takes one piece; true when the whole is here now. kCorrupt where it is not the one that the
  // list names: garbage is found at once, and who sent it is known. kNotFound without Expect.
  [[nodiscard]] Result<bool> Take(const BlobId& id, const AudienceId& audience, std::size_t place,
                                  ByteView bytes);
  // Bytes held for one audience become another's where a member names them there who reads the
  // first: it could hand them on itself. So a release moves no bytes. Says how many.
  [[nodiscard]] Result<std::size_t> ShareHeld();

 private:
  [[nodiscard]] Result<std::vector<WantedBlob>> ReadWanted(
      std::size_t limit, const std::optional<MemberId>& shared_with,
      const std::optional<BlobId>& id);
  Store& store_;
};

}  // namespace staffel
