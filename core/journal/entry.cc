// SPDX-License-Identifier: EUPL-1.2
#include "core/journal/entry.h"

#include <algorithm>

#include "core/base/mutation.h"
#include "core/base/wire.h"
#include "core/crypto/hash.h"
#include "core/journal/known_format.h"

namespace staffel {

namespace {
thread_local std::uint32_t known_format = kFormat;
thread_local std::uint32_t written_format = kFormat;
}  // namespace

std::uint32_t KnownFormat() { return known_format; }
std::uint32_t WrittenFormat() { return written_format; }

namespace testing {
void BecomeVersion(std::uint32_t known, std::uint32_t written) {
  known_format = known;
  written_format = written;
}
PlayVersion::PlayVersion(std::uint32_t format) : before_(known_format) { known_format = format; }
PlayVersion::~PlayVersion() { known_format = before_; }
}  // namespace testing

namespace {

// Field numbers of proto/staffel/v1/journal.proto. Headers are read and written here by hand and
// not by the generated classes: what is hashed must have one reading, so fields stand in ascending
// order, single ones once, and defaults are not written (docs/formats/journal.md, "One reading").
namespace header_field {
enum : std::uint32_t {
  kFormat = 1,
  kJournal,
  kSeq,
  kPrev,
  kTime,
  kOp,
  kOpen,
  kWrite,
  kReceipt,
  kErasure,
  kCharter,
  kDisclosure
};
}
namespace open_field {
enum : std::uint32_t { kConference = 1, kKey, kAudience, kTerm, kPurpose, kNonce };
}
namespace write_field {
enum : std::uint32_t { kParents = 1, kRecords };
}
namespace part_field {
enum : std::uint32_t { kKind = 1, kRecord, kCommitment, kChanges };
}
namespace change_field {
enum : std::uint32_t { kCell = 1, kParents };
}
namespace receipt_field {
enum : std::uint32_t { kLines = 1 };
}
namespace line_field {
enum : std::uint32_t { kJournal = 1, kEntry };
}
namespace erasure_field {
enum : std::uint32_t { kPayloads = 1, kRecords, kDropped, kCarriedOut };
}
namespace pair_field {  // ErasedPayload and ErasedRecord
enum : std::uint32_t { kFirst = 1, kSecond };
}
namespace charter_field {
enum : std::uint32_t { kCharter = 1 };
}
namespace disclosure_field {
enum : std::uint32_t { kItems = 1 };
}
namespace item_field {
enum : std::uint32_t { kSalt = 1, kContent };
}
namespace payload_field {
enum : std::uint32_t { kAuthor = 1, kValues };
}

// Walks a message in the one allowed reading. Unknown fields are passed over and remembered.
class StrictReader {
 public:
  explicit StrictReader(ByteView message) : reader_(message) {}

  // Calls `take(field)` for each field; it answers whether it knew and accepted it: kUnknown makes
  // the whole opaque, kRefused ends the walk.
  enum class Taken { kSingle, kRepeated, kUnknown, kRefused };

  template <typename Take>
  bool Walk(Take&& take, bool& opaque) {
    std::uint32_t last = 0;
    bool last_repeats = true;
    while (auto field = reader_.Next()) {
      if (field->number < last || (field->number == last && !last_repeats)) return false;
      const Taken taken = take(*field);
      if (taken == Taken::kRefused) return false;
      if (taken == Taken::kUnknown) opaque = true;
      last = field->number;
      last_repeats = taken != Taken::kSingle;
    }
    return reader_.ok();
  }

 private:
  WireReader reader_;
};
using Taken = StrictReader::Taken;

Taken TakeNumber(const WireField& field, std::uint64_t& out) {
  if (field.type != WireType::kVarint || field.number_value == 0) return Taken::kRefused;
  out = field.number_value;
  return Taken::kSingle;
}

Taken TakeNumber32(const WireField& field, std::uint32_t& out) {
  if (field.number_value > 0xffffffff) return Taken::kRefused;
  std::uint64_t value = 0;
  const Taken taken = TakeNumber(field, value);
  out = static_cast<std::uint32_t>(value);
  return taken;
}

template <typename Id>
Taken TakeId(const WireField& field, Id& out) {
  const auto id = field.type == WireType::kBytes ? Id::From(field.bytes) : std::nullopt;
  if (!id || id->is_zero()) return Taken::kRefused;
  out = *id;
  return Taken::kSingle;
}

bool ReadOpen(ByteView bytes, OpenBody& open, bool& opaque) {
  return StrictReader(bytes).Walk(
             [&](const WireField& field) {
               switch (field.number) {
                 case open_field::kConference:
                   return TakeId(field, open.conference);
                 case open_field::kKey: {
                   auto key = crypto::PublicKey::From(field.bytes);
                   if (field.type != WireType::kBytes || !key) return Taken::kRefused;
                   open.key = std::move(*key);
                   return Taken::kSingle;
                 }
                 case open_field::kAudience:
                   return TakeId(field, open.audience);
                 case open_field::kTerm:
                   return TakeNumber(field, open.lane.term);
                 case open_field::kPurpose: {
                   std::uint64_t purpose = 0;
                   if (TakeNumber(field, purpose) == Taken::kRefused) return Taken::kRefused;
                   // Format 1 has no other; what a newer one calls so is not ours to judge.
                   if (purpose != 1) return opaque ? Taken::kSingle : Taken::kRefused;
                   open.lane.purpose = Purpose::kErasures;
                   return Taken::kSingle;
                 }
                 case open_field::kNonce:
                   return TakeId(field, open.nonce);
                 default:
                   return Taken::kUnknown;
               }
             },
             opaque) &&
         !open.conference.is_zero() && !open.key.empty() && !open.audience.is_zero() &&
         !open.nonce.is_zero();
}

bool ReadPacked(ByteView bytes, std::vector<std::uint32_t>& out, std::size_t limit) {
  while (!bytes.empty()) {
    const auto value = TakeVarint(bytes);
    if (!value || *value >= limit || out.size() >= limit) return false;
    out.push_back(static_cast<std::uint32_t>(*value));
  }
  return !out.empty();
}

bool ReadChange(ByteView bytes, CellChange& change, std::size_t parents, bool& opaque) {
  return StrictReader(bytes).Walk(
             [&](const WireField& field) {
               switch (field.number) {
                 case change_field::kCell:
                   if (field.type != WireType::kBytes || !CheckCell(field.bytes))
                     return Taken::kRefused;
                   change.cell = field.bytes;
                   return Taken::kSingle;
                 case change_field::kParents:
                   if (field.type != WireType::kBytes ||
                       !ReadPacked(field.bytes, change.parents, parents)) {
                     return Taken::kRefused;
                   }
                   return Taken::kSingle;
                 default:
                   return Taken::kUnknown;
               }
             },
             opaque) &&
         !change.cell.empty();
}

bool ReadPart(ByteView bytes, RecordPart& part, std::size_t parents, bool& opaque) {
  return StrictReader(bytes).Walk(
             [&](const WireField& field) {
               switch (field.number) {
                 case part_field::kKind:
                   return TakeNumber32(field, part.kind);
                 case part_field::kRecord:
                   return TakeId(field, part.record);
                 case part_field::kCommitment:
                   return TakeId(field, part.commitment);
                 case part_field::kChanges: {
                   CellChange change;
                   if (field.type != WireType::kBytes ||
                       !ReadChange(field.bytes, change, parents, opaque)) {
                     return Taken::kRefused;
                   }
                   part.changes.push_back(std::move(change));
                   return Taken::kRepeated;
                 }
                 default:
                   return Taken::kUnknown;
               }
             },
             opaque) &&
         part.kind != 0 && !part.record.is_zero() && !part.commitment.is_zero();
}

bool ReadWrite(ByteView bytes, WriteBody& write, bool& opaque) {
  const bool read = StrictReader(bytes).Walk(
      [&](const WireField& field) {
        switch (field.number) {
          case write_field::kParents: {
            EntryId parent;
            if (write.parents.size() >= kParentsMax || TakeId(field, parent) == Taken::kRefused) {
              return Taken::kRefused;
            }
            write.parents.push_back(parent);
            return Taken::kRepeated;
          }
          case write_field::kRecords: {
            RecordPart part;
            if (write.records.size() >= kRecordPartsMax || field.type != WireType::kBytes ||
                !ReadPart(field.bytes, part, write.parents.size(), opaque)) {
              return Taken::kRefused;
            }
            write.records.push_back(std::move(part));
            return Taken::kRepeated;
          }
          default:
            return Taken::kUnknown;
        }
      },
      opaque);
  if (!read) return false;
  if (write.records.size() > 1) {
    // One part a record: a commitment then stands for all that an entry says of it.
    std::vector<std::pair<std::uint32_t, RecordId>> records;
    records.reserve(write.records.size());
    for (const RecordPart& part : write.records) records.emplace_back(part.kind, part.record);
    std::sort(records.begin(), records.end());
    if (std::adjacent_find(records.begin(), records.end()) != records.end()) return false;
  }
  if (write.parents.size() < 2) return true;
  auto sorted = write.parents;
  std::sort(sorted.begin(), sorted.end());
  return std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end();
}

// A journal and an entry of it: a receipt's line, an erasure carried out.
template <typename Line>
Taken TakeLine(const WireField& field, std::vector<Line>& lines, bool& opaque) {
  if (field.type != WireType::kBytes) return Taken::kRefused;
  Line line;
  const bool read = StrictReader(field.bytes)
                        .Walk(
                            [&](const WireField& inner) {
                              switch (inner.number) {
                                case line_field::kJournal:
                                  return TakeId(inner, line.journal);
                                case line_field::kEntry:
                                  return TakeId(inner, line.entry);
                                default:
                                  return Taken::kUnknown;
                              }
                            },
                            opaque);
  if (!read || line.journal.is_zero() || line.entry.is_zero()) return Taken::kRefused;
  lines.push_back(line);
  return Taken::kRepeated;
}

bool ReadReceipt(ByteView bytes, ReceiptBody& receipt, bool& opaque) {
  return StrictReader(bytes).Walk(
      [&](const WireField& field) {
        if (field.number != receipt_field::kLines) return Taken::kUnknown;
        return TakeLine(field, receipt.lines, opaque);
      },
      opaque);
}

bool ReadErasure(ByteView bytes, ErasureBody& erasure, bool& opaque) {
  return StrictReader(bytes).Walk(
      [&](const WireField& field) {
        if (field.number == erasure_field::kCarriedOut) {
          return TakeLine(field, erasure.carried_out, opaque);
        }
        if (field.number == erasure_field::kDropped) {
          EntryId dropped;
          if (TakeId(field, dropped) == Taken::kRefused || dropped.is_zero()) {
            return Taken::kRefused;
          }
          erasure.dropped.push_back(dropped);
          return Taken::kRepeated;
        }
        if (field.number != erasure_field::kPayloads && field.number != erasure_field::kRecords) {
          return Taken::kUnknown;
        }
        if (field.type != WireType::kBytes) return Taken::kRefused;
        ErasureBody::OnePayload payload;
        ErasureBody::WholeRecord record;
        const bool is_payload = field.number == erasure_field::kPayloads;
        const bool read = StrictReader(field.bytes)
                              .Walk(
                                  [&](const WireField& inner) {
                                    switch (inner.number) {
                                      case pair_field::kFirst:
                                        return is_payload ? TakeId(inner, payload.entry)
                                                          : TakeNumber32(inner, record.kind);
                                      case pair_field::kSecond:
                                        return is_payload ? TakeNumber32(inner, payload.index)
                                                          : TakeId(inner, record.record);
                                      default:
                                        return Taken::kUnknown;
                                    }
                                  },
                                  opaque);
        const bool whole =
            is_payload ? !payload.entry.is_zero() : record.kind != 0 && !record.record.is_zero();
        if (!read || !whole) return Taken::kRefused;
        if (is_payload) {
          erasure.payloads.push_back(payload);
        } else {
          erasure.records.push_back(record);
        }
        return Taken::kRepeated;
      },
      opaque);
}

bool ReadCharter(ByteView bytes, CharterBody& charter, bool& opaque) {
  return StrictReader(bytes).Walk(
      [&](const WireField& field) {
        if (field.number != charter_field::kCharter) return Taken::kUnknown;
        if (field.type != WireType::kBytes) return Taken::kRefused;
        charter.charter = field.bytes;
        return Taken::kSingle;
      },
      opaque);
}

bool ReadDisclosure(ByteView bytes, DisclosureBody& disclosure, bool& opaque) {
  const auto take_bytes = [](const WireField& field, Bytes& out) {
    if (field.type != WireType::kBytes || field.bytes.empty()) return Taken::kRefused;
    out = field.bytes;
    return Taken::kSingle;
  };
  return StrictReader(bytes).Walk(
      [&](const WireField& field) {
        if (field.number != disclosure_field::kItems) return Taken::kUnknown;
        if (field.type != WireType::kBytes) return Taken::kRefused;
        DisclosureBody::Item item;
        const bool read = StrictReader(field.bytes)
                              .Walk(
                                  [&](const WireField& inner) {
                                    switch (inner.number) {
                                      case item_field::kSalt:
                                        return take_bytes(inner, item.salt);
                                      case item_field::kContent:
                                        return take_bytes(inner, item.content);
                                      default:
                                        return Taken::kUnknown;
                                    }
                                  },
                                  opaque);
        if (!read || item.salt.size() != kSaltBytes || item.content.empty()) {
          return Taken::kRefused;
        }
        disclosure.items.push_back(std::move(item));
        return Taken::kRepeated;
      },
      opaque);
}

template <typename BodyType, typename Read>
Taken TakeBody(const WireField& field, Header& header, Read&& read) {
  if (field.type != WireType::kBytes || !std::holds_alternative<std::monostate>(header.body)) {
    return Taken::kRefused;
  }
  BodyType body;
  if (!read(field.bytes, body, header.opaque)) return Taken::kRefused;
  header.body = std::move(body);
  return Taken::kSingle;
}

// What must hold between the fields of a header of format 1.
Status CheckShape(const Header& header) {
  const bool opens = std::holds_alternative<OpenBody>(header.body);
  const bool is_charter = std::holds_alternative<CharterBody>(header.body);
  if (header.seq == 0) {
    if (!header.journal.is_zero() || !header.prev.is_zero()) {
      return Fail(ErrorCode::kInvalid, "an entry 0 names a journal or a predecessor");
    }
    if (!opens && !is_charter && !header.opaque) {
      return Fail(ErrorCode::kInvalid, "an entry 0 does not open a journal");
    }
  } else {
    if (header.journal.is_zero() || header.prev.is_zero()) {
      return Fail(ErrorCode::kInvalid, "entry {} names no journal or no predecessor", header.seq);
    }
    if (opens)
      return Fail(ErrorCode::kInvalid, "entry {} opens a journal; only entry 0 may", header.seq);
  }
  if (header.seq > kSeqMax) {
    return Fail(ErrorCode::kTooLarge, "an entry has the number {}; the greatest is {}", header.seq,
                kSeqMax);
  }
  if (std::holds_alternative<std::monostate>(header.body) && !header.opaque) {
    return Fail(ErrorCode::kInvalid, "entry {} has no body", header.seq);
  }
  return {};
}

Bytes SerializeBody(const OpenBody& open) {
  Bytes out;
  AppendBytesField(out, open_field::kConference, open.conference.bytes());
  AppendBytesField(out, open_field::kKey, open.key.bytes());
  AppendBytesField(out, open_field::kAudience, open.audience.bytes());
  if (open.lane.term != 0) AppendVarintField(out, open_field::kTerm, open.lane.term);
  if (open.lane.purpose != Purpose::kActs) AppendVarintField(out, open_field::kPurpose, 1);
  AppendBytesField(out, open_field::kNonce, open.nonce.bytes());
  return out;
}

Bytes SerializeBody(const WriteBody& write) {
  Bytes out;
  for (const EntryId& parent : write.parents) {
    AppendBytesField(out, write_field::kParents, parent.bytes());
  }
  for (const RecordPart& part : write.records) {
    Bytes inner;
    AppendVarintField(inner, part_field::kKind, part.kind);
    AppendBytesField(inner, part_field::kRecord, part.record.bytes());
    AppendBytesField(inner, part_field::kCommitment, part.commitment.bytes());
    for (const CellChange& change : part.changes) {
      Bytes change_bytes;
      AppendBytesField(change_bytes, change_field::kCell, change.cell);
      if (!change.parents.empty()) {
        Bytes packed;
        for (std::uint32_t parent : change.parents) AppendVarint(packed, parent);
        AppendBytesField(change_bytes, change_field::kParents, packed);
      }
      AppendBytesField(inner, part_field::kChanges, change_bytes);
    }
    AppendBytesField(out, write_field::kRecords, inner);
  }
  return out;
}

template <typename Line>
void AppendLines(Bytes& out, std::uint32_t number, const std::vector<Line>& lines) {
  for (const auto& line : lines) {
    Bytes inner;
    AppendBytesField(inner, line_field::kJournal, line.journal.bytes());
    AppendBytesField(inner, line_field::kEntry, line.entry.bytes());
    AppendBytesField(out, number, inner);
  }
}

Bytes SerializeBody(const ReceiptBody& receipt) {
  Bytes out;
  AppendLines(out, receipt_field::kLines, receipt.lines);
  return out;
}

Bytes SerializeBody(const ErasureBody& erasure) {
  Bytes out;
  for (const auto& payload : erasure.payloads) {
    Bytes inner;
    AppendBytesField(inner, pair_field::kFirst, payload.entry.bytes());
    if (payload.index != 0) AppendVarintField(inner, pair_field::kSecond, payload.index);
    AppendBytesField(out, erasure_field::kPayloads, inner);
  }
  for (const auto& record : erasure.records) {
    Bytes inner;
    AppendVarintField(inner, pair_field::kFirst, record.kind);
    AppendBytesField(inner, pair_field::kSecond, record.record.bytes());
    AppendBytesField(out, erasure_field::kRecords, inner);
  }
  for (const EntryId& dropped : erasure.dropped) {
    AppendBytesField(out, erasure_field::kDropped, dropped.bytes());
  }
  AppendLines(out, erasure_field::kCarriedOut, erasure.carried_out);
  return out;
}

Bytes SerializeBody(const CharterBody& charter) {
  Bytes out;
  AppendBytesField(out, charter_field::kCharter, charter.charter);
  return out;
}

Bytes SerializeBody(const DisclosureBody& disclosure) {
  Bytes out;
  for (const auto& item : disclosure.items) {
    Bytes inner;
    AppendBytesField(inner, item_field::kSalt, item.salt);
    AppendBytesField(inner, item_field::kContent, item.content);
    AppendBytesField(out, disclosure_field::kItems, inner);
  }
  return out;
}

}  // namespace

Result<Header> ParseHeader(ByteView bytes) {
  if (bytes.size() > kCharterHeaderBytesMax) {
    return Fail(ErrorCode::kTooLarge, "a header has {} bytes; {} are allowed", bytes.size(),
                kCharterHeaderBytesMax);
  }
  Header header;
  header.format = 0;
  const bool read = StrictReader(bytes).Walk(
      [&](const WireField& field) {
        switch (field.number) {
          case header_field::kFormat: {
            const Taken taken = TakeNumber32(field, header.format);
            if (header.format > KnownFormat()) header.opaque = true;
            return taken;
          }
          case header_field::kJournal:
            return TakeId(field, header.journal);
          case header_field::kSeq:
            return TakeNumber(field, header.seq);
          case header_field::kPrev:
            return TakeId(field, header.prev);
          case header_field::kTime:
            return TakeNumber(field, header.time.value);
          case header_field::kOp: {
            OpId op;
            const Taken taken = TakeId(field, op);
            header.op = op;
            return taken;
          }
          case header_field::kOpen:
            return TakeBody<OpenBody>(field, header, ReadOpen);
          case header_field::kWrite:
            return TakeBody<WriteBody>(field, header, ReadWrite);
          case header_field::kReceipt:
            return TakeBody<ReceiptBody>(field, header, ReadReceipt);
          case header_field::kErasure:
            return TakeBody<ErasureBody>(field, header, ReadErasure);
          case header_field::kCharter:
            return TakeBody<CharterBody>(field, header, ReadCharter);
          case header_field::kDisclosure:
            return TakeBody<DisclosureBody>(field, header, ReadDisclosure);
          default:
            return Taken::kUnknown;
        }
      },
      header.opaque);
  if (!read || header.format == 0) {
    return Fail(ErrorCode::kInvalid,
                "a header of {} bytes cannot be read: it is damaged or not an entry", bytes.size());
  }
  // A test that plays a later version knows every field.
  if (KnownFormat() > kFormat) header.opaque = header.format > KnownFormat();
  if (bytes.size() > kHeaderBytesMax && !std::holds_alternative<CharterBody>(header.body)) {
    return Fail(ErrorCode::kTooLarge, "a header has {} bytes; {} are allowed", bytes.size(),
                kHeaderBytesMax);
  }
  STAFFEL_CHECK(CheckShape(header));
  return header;
}

Bytes SerializeHeader(const Header& header) {
  Bytes out;
  AppendVarintField(out, header_field::kFormat, header.format);
  if (!header.journal.is_zero())
    AppendBytesField(out, header_field::kJournal, header.journal.bytes());
  if (header.seq != 0) AppendVarintField(out, header_field::kSeq, header.seq);
  if (!header.prev.is_zero()) AppendBytesField(out, header_field::kPrev, header.prev.bytes());
  if (header.time.value != 0) AppendVarintField(out, header_field::kTime, header.time.value);
  if (header.op) AppendBytesField(out, header_field::kOp, header.op->bytes());
  const auto number = static_cast<std::uint32_t>(header_field::kOpen + header.body.index() - 1);
  std::visit(
      [&](const auto& body) {
        if constexpr (!std::is_same_v<std::decay_t<decltype(body)>, std::monostate>) {
          AppendBytesField(out, number, SerializeBody(body));
        }
      },
      header.body);
  return out;
}

Bytes SerializePayload(const PayloadContent& content, Random& random) {
  Bytes out = random.Draw(kSaltBytes);
  if (content.author) AppendBytesField(out, payload_field::kAuthor, content.author->bytes());
  for (const auto& value : content.values) {
    Bytes inner;
    if (value) AppendBytesField(inner, 1, *value);
    AppendBytesField(out, payload_field::kValues, inner);
  }
  return out;
}

Result<PayloadContent> ParsePayload(ByteView payload, std::size_t changes) {
  if (payload.size() > kPayloadBytesMax) {
    return Fail(ErrorCode::kTooLarge, "a payload has {} bytes; {} are allowed", payload.size(),
                kPayloadBytesMax);
  }
  if (payload.size() < kSaltBytes) return Fail(ErrorCode::kInvalid, "a payload has no salt");
  PayloadContent content;
  content.values.reserve(changes);
  bool opaque = false;
  const bool read =
      StrictReader(payload.substr(kSaltBytes))
          .Walk(
              [&](const WireField& field) {
                switch (field.number) {
                  case payload_field::kAuthor: {
                    RecordId author;
                    const Taken taken = TakeId(field, author);
                    content.author = author;
                    return taken;
                  }
                  case payload_field::kValues: {
                    if (field.type != WireType::kBytes || content.values.size() >= changes) {
                      return Taken::kRefused;
                    }
                    std::optional<Bytes> value;
                    WireReader inner(field.bytes);
                    while (auto one = inner.Next()) {
                      if (one->number != 1) continue;
                      if (one->type != WireType::kBytes || value) return Taken::kRefused;
                      value = Bytes(one->bytes);
                    }
                    if (!inner.ok()) return Taken::kRefused;
                    content.values.push_back(std::move(value));
                    return Taken::kRepeated;
                  }
                  default:
                    return Taken::kUnknown;
                }
              },
              opaque);
  if (!read || content.values.size() != changes) {
    return Fail(ErrorCode::kInvalid,
                "a payload does not hold the {} values that its header announces", changes);
  }
  return content;
}

Result<Entry> MakeEntry(Bytes header_bytes) {
  Entry entry;
  STAFFEL_TRY(header, ParseHeader(header_bytes));
  entry.header = std::move(header);
  entry.id = crypto::HashEntry(header_bytes);
  entry.header_bytes = std::move(header_bytes);
  return entry;
}

Status CheckPayloads(const Entry& entry) {
  const auto* write = std::get_if<WriteBody>(&entry.header.body);
  const std::size_t parts = write == nullptr ? 0 : write->records.size();
  if (entry.payloads.size() != parts) {
    return Fail(ErrorCode::kCorrupt, "entry {} has {} payloads for {} record parts", entry.id.Hex(),
                entry.payloads.size(), parts);
  }
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < parts; ++i) {
    const auto& payload = entry.payloads[i];
    if (!payload) continue;  // erased: whether that is right is for the store to know
    if (payload->size() > kPayloadBytesMax) {
      return Fail(ErrorCode::kTooLarge, "payload {} of entry {} has {} bytes; {} are allowed", i,
                  entry.id.Hex(), payload->size(), kPayloadBytesMax);
    }
    if (crypto::HashPayload(*payload) != write->records[i].commitment &&
        !STAFFEL_MUTATION(kSkipCommitment)) {
      return Fail(ErrorCode::kCorrupt, "payload {} of entry {} does not match its commitment", i,
                  entry.id.Hex());
    }
    bytes += payload->size();
  }
  if (bytes > kEntryPayloadBytesMax) {
    return Fail(ErrorCode::kTooLarge, "the payloads of entry {} have {} bytes; {} are allowed",
                entry.id.Hex(), bytes, kEntryPayloadBytesMax);
  }
  return {};
}

Entry ComposeEntry(Header header, std::vector<std::optional<Bytes>> payloads) {
  Entry entry;
  if (std::holds_alternative<WriteBody>(header.body)) header.format = WrittenFormat();
  entry.header_bytes = SerializeHeader(header);
  entry.header = std::move(header);
  entry.id = crypto::HashEntry(entry.header_bytes);
  entry.payloads = std::move(payloads);
  return entry;
}

Bytes SignatureOf(const EntryId& entry, const crypto::KeyPair& key) {
  return key.Sign(crypto::kTagSign, entry.bytes());
}

Entry SignEntry(Header header, std::vector<std::optional<Bytes>> payloads,
                const crypto::KeyPair& key) {
  Entry entry = ComposeEntry(std::move(header), std::move(payloads));
  entry.signature = SignatureOf(entry.id, key);
  return entry;
}

Bytes PackPayloads(const std::vector<std::optional<Bytes>>& payloads) {
  Bytes out;
  for (const auto& payload : payloads) {
    AppendVarint(out, payload ? payload->size() + 1 : 0);
    if (payload) out.append(*payload);
  }
  return out;
}

Result<std::vector<std::optional<Bytes>>> UnpackPayloads(ByteView packed) {
  std::vector<std::optional<Bytes>> payloads;
  while (!packed.empty()) {
    const auto size = TakeVarint(packed);
    if (!size || (*size > 0 && *size - 1 > packed.size())) {
      return Fail(ErrorCode::kCorrupt, "stored payloads are cut short");
    }
    if (*size == 0) {
      payloads.emplace_back(std::nullopt);
      continue;
    }
    payloads.emplace_back(packed.substr(0, *size - 1));
    packed.remove_prefix(*size - 1);
  }
  return payloads;
}

}  // namespace staffel
