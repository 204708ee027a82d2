// SPDX-License-Identifier: EUPL-1.2
// The bytes of an exchange: messages to and from bytes, compressed, bounded, strict; entries cut of
// what the receiver can rebuild. Pure functions; what a message means is the session's business.
// Byte format: docs/formats/exchange.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/id.h"
#include "core/base/result.h"
#include "core/charter/tree.h"
#include "core/journal/entry.h"
#include "core/store/store.h"
#include "sync/instances.h"

namespace staffel::sync {

inline constexpr std::uint32_t kProtocol = 1;
// What a sender puts into one message: headers and payloads, before compression.
inline constexpr std::size_t kBatchBytesMax = std::size_t{4} << 20;
inline constexpr std::size_t kBatchEntriesMax = 16'384;
inline constexpr std::size_t kCharterBytesMax = std::size_t{8} << 20;
// What a receiver takes: a batch may go beyond the sender's aim by one run.
inline constexpr std::size_t kMessageBytesMax = std::size_t{32} << 20;  // decompressed
inline constexpr std::size_t kMessageEntriesMax = 100'000;
inline constexpr std::size_t kMessageLinesMax = 200'000;  // of any repeated field
inline constexpr std::size_t kMissingNamedMax = 1'000;    // missing payloads
inline constexpr std::size_t kReasonBytesMax = 500;
inline constexpr int kCompressionLevel = 3;

// A run as it travels: entries still cut. Cheap to read off the wire and to pass to another thread.
struct WireRun {
  JournalId journal;
  std::uint64_t first_seq = 0;
  EntryId prev;  // zero for entry 0
  std::uint32_t count = 0;
  Bytes entries;
  Bytes signature;

  [[nodiscard]] std::uint64_t last_seq() const { return first_seq + count - 1; }
};

// Cuts a stored run, whose entries follow one another and end at a signature. What would not be
// rebuilt to the stored bytes stays.
[[nodiscard]] WireRun CutRun(const StoredRun& run);
// Rebuilds headers and hashes them. kCorrupt or kInvalid where the bytes do not make a run; whether
// hashes, payloads and signature hold together is then for Store::Prepare.
[[nodiscard]] Result<Run> RebuildRun(const WireRun& run);
// The predecessor that header bytes name, zero for entry 0; without parsing the rest.
[[nodiscard]] EntryId PrevOf(ByteView header);

struct CharterLine {
  EntryId entry;
  Bytes signatures;  // 8 bytes
  friend bool operator==(const CharterLine&, const CharterLine&) = default;
};
// The line of an entry that the tree holds.
[[nodiscard]] CharterLine LineOf(const charter::CharterTree& tree, const EntryId& entry);

struct AudienceSummary {
  AudienceId audience;
  Hash summary;
  friend bool operator==(const AudienceSummary&, const AudienceSummary&) = default;
};
struct AudienceVector {
  AudienceId audience;
  VersionVector items;
  friend bool operator==(const AudienceVector&, const AudienceVector&) = default;
};
struct AudienceDigest {
  AudienceId audience;
  Hash root;
  friend bool operator==(const AudienceDigest&, const AudienceDigest&) = default;
};
struct Held {
  EntryId entry;
  std::uint64_t seq = 0;
  friend bool operator==(const Held&, const Held&) = default;
};
struct WantJournal {
  JournalId journal;
  std::uint64_t from_seq = 0;
  // Entries that the asker holds, given where the journal has branches: what they do not cover is
  // wanted; `from_seq` counts only where the other side knows none of them.
  std::vector<Held> held;
  friend bool operator==(const WantJournal&, const WantJournal&) = default;
};
struct RunProblem {
  enum class Outcome : std::uint8_t { kUnknownPrev = 1, kRefused = 2 };
  JournalId journal;
  std::uint64_t first_seq = 0;
  Outcome outcome = Outcome::kUnknownPrev;
  std::string reason;
  friend bool operator==(const RunProblem&, const RunProblem&) = default;
};

// Request and answer alike. See sync.proto for who uses what.
struct Message {
  std::optional<ConferenceId> conference;
  std::optional<Hash> charter_summary;
  std::optional<Hash> audiences_summary;
  std::optional<Hash> audiences_digest;
  std::uint32_t wait_ms = 0;
  std::vector<CharterLine> charter_lines;
  std::vector<EntryId> charter_wants;
  std::vector<CharterItem> charter_items;
  std::vector<AudienceSummary> summaries;
  std::vector<AudienceVector> vectors;
  std::vector<AudienceDigest> digests;
  std::vector<WantJournal> wants;
  std::vector<WireRun> runs;
  std::vector<RunProblem> problems;
  bool more = false;
  std::uint64_t new_entries = 0;
  std::optional<Hash> missing_summary;
  std::vector<PayloadAt> missing;  // ascending
  std::optional<PayloadAt> missing_after;
  std::vector<PayloadBytes> found;
  std::optional<Instance> instance;
  std::optional<TimeMs> now;
  std::optional<TimeMs> majority;
  std::vector<CopyDeleted> copies_deleted;
  std::vector<AudienceId> copies_deleted_taken;
};

// One message as it goes over the line. Asserts that it is within kMessageBytesMax. Move large ones
// in: their runs are not copied then.
[[nodiscard]] Bytes EncodeMessage(Message message);
// Refuses (kInvalid, kTooLarge, kUnsupported) whatever is not exactly such a message.
[[nodiscard]] Result<Message> DecodeMessage(ByteView bytes);

// The hashes that are compared. Tagged, over fixed encodings: docs/formats/exchange.md.
[[nodiscard]] Hash SummaryOf(const VersionVector& vector);
[[nodiscard]] Hash SummaryOf(std::span<const AudienceSummary> summaries);
[[nodiscard]] Hash DigestOf(std::span<const AudienceDigest> digests);
// Of missing payloads, ascending; nothing where none is.
[[nodiscard]] std::optional<Hash> SummaryOf(std::span<const PayloadAt> missing);

}  // namespace staffel::sync
