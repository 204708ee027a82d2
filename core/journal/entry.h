// SPDX-License-Identifier: EUPL-1.2
// An entry: one atomic change, written by one replica in one capacity for one audience. Here its
// bytes are read, written and checked by themselves: form and limits ("refused" in core.md). Chains
// are the store's business, validity the charter's. Byte format: docs/formats/journal.md.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/id.h"
#include "core/base/random.h"
#include "core/base/result.h"
#include "core/base/time.h"
#include "core/crypto/key.h"
#include "core/journal/cell.h"

namespace staffel {

inline constexpr std::uint32_t kFormat = 1;
inline constexpr std::size_t kHeaderBytesMax = 64 * 1024;
inline constexpr std::size_t kCharterHeaderBytesMax = 4 * 1024 * 1024;
inline constexpr std::size_t kPayloadBytesMax = 1024 * 1024;
// All payloads of one entry: bounds what one batch must be able to carry.
inline constexpr std::size_t kEntryPayloadBytesMax = 8 * 1024 * 1024;
inline constexpr std::size_t kRecordPartsMax = 1000;
inline constexpr std::size_t kParentsMax = 1024;
// Far beyond any journal, and within what every language and database counts exactly.
inline constexpr std::uint64_t kSeqMax = (std::uint64_t{1} << 53) - 1;
inline constexpr std::size_t kSaltBytes = 16;

enum class Purpose : std::uint8_t { kActs = 0, kErasures = 1 };

// The capacity in which a journal is written: a member's (term 0), or the chair's of one term.
struct Lane {
  std::uint64_t term = 0;
  Purpose purpose = Purpose::kActs;
  friend auto operator<=>(const Lane&, const Lane&) = default;
};

struct OpenBody {
  ConferenceId conference;
  crypto::PublicKey key;
  AudienceId audience;
  Lane lane;
  Nonce nonce;
  friend bool operator==(const OpenBody&, const OpenBody&) = default;
};

struct CellChange {
  Cell cell;
  std::vector<std::uint32_t> parents;  // indices into WriteBody::parents
  friend bool operator==(const CellChange&, const CellChange&) = default;
};

struct RecordPart {
  std::uint32_t kind = 0;
  RecordId record;
  Commitment commitment;
  std::vector<CellChange> changes;
  friend bool operator==(const RecordPart&, const RecordPart&) = default;
};

struct WriteBody {
  std::vector<EntryId> parents;
  std::vector<RecordPart> records;
  friend bool operator==(const WriteBody&, const WriteBody&) = default;
};

struct ReceiptBody {
  struct Line {
    JournalId journal;
    EntryId entry;
    friend bool operator==(const Line&, const Line&) = default;
  };
  std::vector<Line> lines;
  friend bool operator==(const ReceiptBody&, const ReceiptBody&) = default;
};

struct ErasureBody {
  struct OnePayload {
    EntryId entry;
    std::uint32_t index = 0;
    friend bool operator==(const OnePayload&, const OnePayload&) = default;
  };
  struct WholeRecord {
    std::uint32_t kind = 0;
    RecordId record;
    friend bool operator==(const WholeRecord&, const WholeRecord&) = default;
  };
  // What the writing replica has destroyed in all its files: what an erasures' journal, or with the
  // conference's id the charter, names up to the entry.
  struct CarriedOut {
    JournalId journal;
    EntryId entry;
    friend bool operator==(const CarriedOut&, const CarriedOut&) = default;
  };
  std::vector<OnePayload> payloads;
  std::vector<WholeRecord> records;
  std::vector<EntryId> dropped;  // the chair's: erasures beyond a cut that are not carried out
  std::vector<CarriedOut> carried_out;
  friend bool operator==(const ErasureBody&, const ErasureBody&) = default;
};

struct CharterBody {
  Bytes charter;  // a serialized v1::Charter
  friend bool operator==(const CharterBody&, const CharterBody&) = default;
};

// Shows, within an audience, what the charter holds only as a salted hash: the heads of a hidden
// cut, a part of a handover's protocol. What the content is, is for the charter to say.
struct DisclosureBody {
  struct Item {
    Bytes salt;  // kSaltBytes
    Bytes content;
    friend bool operator==(const Item&, const Item&) = default;
  };
  std::vector<Item> items;
  friend bool operator==(const DisclosureBody&, const DisclosureBody&) = default;
};

// std::monostate: a body of a newer format, not understood here.
using Body = std::variant<std::monostate, OpenBody, WriteBody, ReceiptBody, ErasureBody,
                          CharterBody, DisclosureBody>;

struct Header {
  std::uint32_t format = kFormat;
  JournalId journal;  // zero in entry 0
  std::uint64_t seq = 0;
  EntryId prev;  // zero in entry 0
  TimeMs time;
  std::optional<OpId> op;
  Body body;
  // A newer format, or fields unknown here: stored and forwarded, folded after the upgrade.
  bool opaque = false;
  friend bool operator==(const Header&, const Header&) = default;
};

// Reads header bytes and checks form and limits. kInvalid or kTooLarge: refused by every node.
// Opaque headers are read as far as core.md promises their fields.
[[nodiscard]] Result<Header> ParseHeader(ByteView bytes);
// The bytes that are signed. Only for headers made here: received bytes are kept as received.
[[nodiscard]] Bytes SerializeHeader(const Header& header);

// One value a change, in the change's order; nothing where the cell is emptied.
struct PayloadContent {
  std::optional<RecordId> author;
  std::vector<std::optional<Bytes>> values;
  friend bool operator==(const PayloadContent&, const PayloadContent&) = default;
};

// The payload bytes: a fresh salt, then the content.
[[nodiscard]] Bytes SerializePayload(const PayloadContent& content, Random& random);
// Refuses payloads without salt, beyond kPayloadBytesMax, or that do not hold `changes` values.
[[nodiscard]] Result<PayloadContent> ParsePayload(ByteView payload, std::size_t changes);

// An entry as it travels and rests.
struct Entry {
  EntryId id;
  Bytes header_bytes;
  Header header;
  // For a write: one per record part; nothing = the bytes are absent (erased).
  std::vector<std::optional<Bytes>> payloads;
  // By the replica's key over staffel/1/sign; empty where only a later entry of the run has one.
  Bytes signature;
};

// Takes header bytes as received, parses them and computes the id.
[[nodiscard]] Result<Entry> MakeEntry(Bytes header_bytes);
// Checks each payload against its commitment and the limits. kCorrupt names the part.
[[nodiscard]] Status CheckPayloads(const Entry& entry);

// Serializes and hashes the header: an entry of our own, still without its signature.
[[nodiscard]] Entry ComposeEntry(Header header, std::vector<std::optional<Bytes>> payloads);
// The signature of an entry, by its id.
[[nodiscard]] Bytes SignatureOf(const EntryId& entry, const crypto::KeyPair& key);
// Both.
[[nodiscard]] Entry SignEntry(Header header, std::vector<std::optional<Bytes>> payloads,
                              const crypto::KeyPair& key);

// The payloads of an entry as one value for the disk, and back. Each is a varint of its size plus
// one (0: absent) and its bytes.
[[nodiscard]] Bytes PackPayloads(const std::vector<std::optional<Bytes>>& payloads);
[[nodiscard]] Result<std::vector<std::optional<Bytes>>> UnpackPayloads(ByteView packed);

}  // namespace staffel
