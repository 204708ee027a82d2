// SPDX-License-Identifier: EUPL-1.2
#include "sync/wire.h"

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include <zstd.h>

#include "core/base/wire.h"
#include "core/crypto/hash.h"
#include "staffel/v1/sync.pb.h"

namespace staffel::sync {
namespace {

// Envelope: a version byte, a coding byte, the message.
constexpr char kEnvelopeVersion = 1;
constexpr char kPlain = 0;
constexpr char kZstd = 1;
constexpr std::size_t kEnvelopeBytes = 2;
// Below this, compressing does not pay.
constexpr std::size_t kCompressFromBytes = 200;

constexpr std::string_view kTagVector = "staffel/1/sync-vector";
constexpr std::string_view kTagAudiences = "staffel/1/sync-audiences";
constexpr std::string_view kTagDigests = "staffel/1/sync-digests";
constexpr std::string_view kTagMissing = "staffel/1/sync-missing";
constexpr std::string_view kTagSigners = "staffel/1/sync-signers";
constexpr std::size_t kLineHashBytes = 8;

constexpr std::size_t kHashBytes = 32;
// What is put back where bytes were cut out.
enum CutKind : std::uint64_t { kCutJournal = 0, kCutPrev = 1, kCutCommitment = 2 };

// Field numbers of journal.proto, as far as they are cut.
constexpr std::uint32_t kFieldJournal = 2;
constexpr std::uint32_t kFieldPrev = 4;
constexpr std::uint32_t kFieldWrite = 8;
constexpr std::uint32_t kFieldRecords = 2;
constexpr std::uint32_t kFieldCommitment = 3;

struct Cut {
  std::size_t at = 0;  // in the whole header
  CutKind kind = kCutJournal;
};

std::size_t OffsetIn(ByteView whole, ByteView part) {
  return static_cast<std::size_t>(part.data() - whole.data());
}

// Where the commitments of a write stand, one for each record part that has one.
bool FindCommitments(ByteView header, ByteView write, std::vector<std::size_t>& found) {
  WireReader records(write);
  while (auto record = records.Next()) {
    if (record->number != kFieldRecords || record->type != WireType::kBytes) continue;
    WireReader part(record->bytes);
    while (auto field = part.Next()) {
      if (field->number != kFieldCommitment) continue;
      if (field->type != WireType::kBytes || field->bytes.size() != kHashBytes) return false;
      found.push_back(OffsetIn(header, field->bytes));
    }
    if (!part.ok()) return false;
  }
  return records.ok();
}

// What of this header the receiver can rebuild; in ascending order of place.
std::vector<Cut> FindCuts(const StoredEntry& entry, const JournalId& journal, const EntryId& prev) {
  std::vector<Cut> cuts;
  const ByteView header = entry.header;
  WireReader reader(header);
  while (auto field = reader.Next()) {
    if (field->type != WireType::kBytes) continue;
    if (field->number == kFieldJournal && field->bytes == journal.bytes()) {
      cuts.push_back({OffsetIn(header, field->bytes), kCutJournal});
    } else if (field->number == kFieldPrev && field->bytes == prev.bytes()) {
      cuts.push_back({OffsetIn(header, field->bytes), kCutPrev});
    } else if (field->number == kFieldWrite) {
      std::vector<std::size_t> commitments;
      if (!FindCommitments(header, field->bytes, commitments) ||
          commitments.size() != entry.payloads.size()) {
        continue;
      }
      // All that travel, or none: so that the n-th cut belongs to the n-th payload that is there.
      const std::size_t before = cuts.size();
      for (std::size_t i = 0; i < commitments.size(); ++i) {
        const auto& payload = entry.payloads[i];
        if (!payload) continue;
        if (crypto::HashPayload(*payload).bytes() != header.substr(commitments[i], kHashBytes)) {
          cuts.resize(before);
          break;
        }
        cuts.push_back({commitments[i], kCutCommitment});
      }
    }
  }
  if (!reader.ok()) cuts.clear();
  return cuts;
}

void AppendSized(Bytes& out, ByteView bytes) {
  AppendVarint(out, bytes.size());
  out.append(bytes);
}

std::optional<ByteView> TakeSized(ByteView& in, std::size_t bytes_max) {
  const auto size = TakeVarint(in);
  if (!size || *size > in.size() || *size > bytes_max) return std::nullopt;
  const ByteView taken = in.substr(0, *size);
  in.remove_prefix(*size);
  return taken;
}

tl::unexpected<Error> Broken(std::string_view what) {
  return Fail(ErrorCode::kInvalid, "the peer sent an exchange that cannot be read: {}", what);
}

// ---------------------------------------------------------------------------------------------
// Compression

struct Compressor {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ~Compressor() { ZSTD_freeCCtx(context); }
};
struct Decompressor {
  ZSTD_DCtx* context = ZSTD_createDCtx();
  ~Decompressor() { ZSTD_freeDCtx(context); }
};

// Batches are megabytes: fresh memory for each would cost more in page faults than the work on it.
// So each thread keeps one buffer, up to this size.
constexpr std::size_t kKeptBufferBytesMax = std::size_t{12} << 20;

class KeptBuffer {
 public:
  // At least `size` bytes, of any content; valid until the next call.
  char* Get(std::size_t size) {
    if (bytes_.size() < size) bytes_ = std::vector<char>(size);
    return bytes_.data();
  }
  // Gives back what was unusually large.
  void Release() {
    if (bytes_.size() > kKeptBufferBytesMax) std::vector<char>().swap(bytes_);
  }

 private:
  std::vector<char> bytes_;
};

Bytes Wrap(ByteView message) {
  Bytes out;
  if (message.size() >= kCompressFromBytes) {
    thread_local Compressor compressor;
    thread_local KeptBuffer buffer;
    const std::size_t bound = ZSTD_compressBound(message.size());
    char* compressed = buffer.Get(bound);
    const std::size_t size = ZSTD_compressCCtx(compressor.context, compressed, bound,
                                               message.data(), message.size(), kCompressionLevel);
    if (ZSTD_isError(size) == 0 && size < message.size()) {
      out.reserve(kEnvelopeBytes + size);
      out = {kEnvelopeVersion, kZstd};
      out.append(compressed, size);
      buffer.Release();
      return out;
    }
    buffer.Release();
  }
  out.reserve(kEnvelopeBytes + message.size());
  out = {kEnvelopeVersion, kPlain};
  out += message;
  return out;
}

// The message inside; `space` holds it where it had to be decompressed.
Result<ByteView> Unwrap(ByteView bytes, KeptBuffer& space) {
  if (bytes.size() < kEnvelopeBytes) return Broken("it is cut short");
  if (bytes[0] != kEnvelopeVersion) {
    return Fail(
        ErrorCode::kUnsupported,
        "the peer speaks version {} of the exchange, this node version {}: update the older "
        "of the two",
        static_cast<unsigned>(static_cast<std::uint8_t>(bytes[0])),
        static_cast<unsigned>(kEnvelopeVersion));
  }
  const ByteView content = bytes.substr(kEnvelopeBytes);
  if (bytes[1] == kPlain) {
    if (content.size() > kMessageBytesMax) {
      return Fail(ErrorCode::kTooLarge, "the peer sent an exchange of {} bytes; {} are allowed",
                  content.size(), kMessageBytesMax);
    }
    return content;
  }
  if (bytes[1] != kZstd) return Broken("its coding is unknown");
  // The size is believed only up to the limit, and must then be true to the byte.
  const unsigned long long size = ZSTD_getFrameContentSize(content.data(), content.size());
  if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR) {
    return Broken("its compressed part does not say its size");
  }
  if (size > kMessageBytesMax) {
    return Fail(ErrorCode::kTooLarge,
                "the peer sent an exchange of {} bytes, uncompressed; {} are allowed", size,
                kMessageBytesMax);
  }
  thread_local Decompressor decompressor;
  char* plain = space.Get(static_cast<std::size_t>(size));
  const std::size_t got = ZSTD_decompressDCtx(
      decompressor.context, plain, static_cast<std::size_t>(size), content.data(), content.size());
  if (ZSTD_isError(got) != 0 || got != size) return Broken("its compressed part is damaged");
  return ByteView(plain, got);
}

// ---------------------------------------------------------------------------------------------
// Fields

template <typename Id>
bool ReadId(const std::string& bytes, Id& out) {
  const auto id = Id::From(bytes);
  if (!id || id->is_zero()) return false;
  out = *id;
  return true;
}

template <typename Id>
bool ReadOptionalId(const std::string& bytes, std::optional<Id>& out) {
  if (bytes.empty()) return true;
  Id id;
  if (!ReadId(bytes, id)) return false;
  out = id;
  return true;
}

Bytes PackItems(const VersionVector& items) {
  Bytes out;
  out.reserve(items.size() * 70);
  for (const VectorItem& item : items) {
    out.append(item.journal.bytes());
    out.append(item.head.bytes());
    AppendVarint(out, item.seq);
  }
  return out;
}

bool UnpackItems(ByteView bytes, VersionVector& items) {
  while (!bytes.empty()) {
    if (bytes.size() < 2 * kHashBytes || items.size() >= kMessageLinesMax) return false;
    VectorItem item;
    item.journal = *JournalId::From(bytes.substr(0, kHashBytes));
    item.head = *EntryId::From(bytes.substr(kHashBytes, kHashBytes));
    bytes.remove_prefix(2 * kHashBytes);
    const auto seq = TakeVarint(bytes);
    if (!seq) return false;
    item.seq = *seq;
    if (!items.empty() && !(items.back() < item)) return false;
    items.push_back(item);
  }
  return true;
}

Bytes PackPlaces(std::span<const PayloadAt> payloads) {
  Bytes out;
  out.reserve(payloads.size() * (2 * kHashBytes + 4));
  for (const PayloadAt& at : payloads) {
    out.append(at.journal.bytes());
    out.append(at.entry.bytes());
    AppendVarint(out, at.seq);
    AppendVarint(out, at.index);
  }
  return out;
}

bool UnpackPlaces(ByteView bytes, std::vector<PayloadAt>& payloads) {
  while (!bytes.empty()) {
    if (bytes.size() < 2 * kHashBytes || payloads.size() >= kMissingNamedMax) return false;
    PayloadAt at;
    at.journal = *JournalId::From(bytes.substr(0, kHashBytes));
    at.entry = *EntryId::From(bytes.substr(kHashBytes, kHashBytes));
    bytes.remove_prefix(2 * kHashBytes);
    const auto seq = TakeVarint(bytes);
    const auto index = seq ? TakeVarint(bytes) : std::nullopt;
    if (!index || *index >= kRecordPartsMax) return false;
    at.seq = *seq;
    at.index = static_cast<std::uint32_t>(*index);
    if (!payloads.empty() && !(payloads.back() < at)) return false;
    payloads.push_back(at);
  }
  return true;
}

bool UnpackPlace(ByteView bytes, PayloadAt& at) {
  std::vector<PayloadAt> one;
  if (!UnpackPlaces(bytes, one) || one.size() != 1) return false;
  at = one.front();
  return true;
}

bool UnpackHeld(ByteView bytes, std::vector<Held>& held) {
  while (!bytes.empty()) {
    if (bytes.size() < kHashBytes || held.size() >= kMessageLinesMax) return false;
    Held item;
    item.entry = *EntryId::From(bytes.substr(0, kHashBytes));
    bytes.remove_prefix(kHashBytes);
    const auto seq = TakeVarint(bytes);
    if (!seq) return false;
    item.seq = *seq;
    held.push_back(item);
  }
  return true;
}

std::optional<CharterItem> ReadCharterItem(const v1::CharterItem& in) {
  CharterItem item;
  if (!ReadId(in.entry(), item.id)) return std::nullopt;
  if (!in.header().empty()) {
    auto entry = MakeEntry(in.header());
    if (!entry || entry->id != item.id) return std::nullopt;
    item.entry = std::move(*entry);
  }
  for (const auto& signature_in : in.signatures()) {
    charter::CharterSignature signature;
    if (signature_in.kind() != 1 && signature_in.kind() != 2) return std::nullopt;
    signature.kind = static_cast<charter::CharterSignature::Kind>(signature_in.kind());
    auto key = crypto::PublicKey::From(signature_in.key());
    if (!key || signature_in.signature().size() != crypto::kSignatureBytes) return std::nullopt;
    signature.key = std::move(*key);
    signature.signature = signature_in.signature();
    item.signatures.push_back(std::move(signature));
  }
  if (!item.entry && item.signatures.empty()) return std::nullopt;
  return item;
}

std::optional<WireRun> ReadRun(v1::WireRun& in) {
  WireRun run;
  if (!ReadId(in.journal(), run.journal)) return std::nullopt;
  run.first_seq = in.first_seq();
  run.count = in.count();
  const bool has_prev = !in.prev().empty();
  if (has_prev != (run.first_seq > 0) || (has_prev && !ReadId(in.prev(), run.prev))) {
    return std::nullopt;
  }
  // Each entry has some twenty bytes; this keeps the count honest before memory is reserved by it.
  if (run.count == 0 || run.count > kMessageEntriesMax || run.count > in.entries().size() / 4 ||
      run.first_seq > UINT64_MAX - run.count) {
    return std::nullopt;
  }
  if (in.signature().size() != crypto::kSignatureBytes) return std::nullopt;
  run.entries = std::move(*in.mutable_entries());
  run.signature = std::move(*in.mutable_signature());
  return run;
}

template <typename Digests>
Hash HashPairs(std::string_view tag, const Digests& pairs) {
  Bytes all;
  all.reserve(pairs.size() * 48);
  for (const auto& [audience, hash] : pairs) {
    all.append(audience.bytes());
    all.append(hash.bytes());
  }
  return crypto::TaggedHash(tag, all);
}

}  // namespace

// ---------------------------------------------------------------------------------------------
// Runs

EntryId PrevOf(ByteView header) {
  WireReader reader(header);
  while (auto field = reader.Next()) {
    if (field->number == kFieldPrev) return EntryId::From(field->bytes).value_or(EntryId());
    if (field->number > kFieldPrev) break;
  }
  return {};
}

WireRun CutRun(const StoredRun& stored) {
  STAFFEL_ASSERT(!stored.entries.empty());
  STAFFEL_ASSERT(stored.entries.back().signature.size() == crypto::kSignatureBytes);
  WireRun run;
  run.journal = stored.journal;
  run.first_seq = stored.entries.front().seq;
  run.count = static_cast<std::uint32_t>(stored.entries.size());
  run.prev = PrevOf(stored.entries.front().header);
  run.signature = stored.entries.back().signature;

  std::size_t bytes = 0;
  for (const StoredEntry& entry : stored.entries) {
    bytes += entry.header.size() + 16;
    for (const auto& payload : entry.payloads) bytes += payload ? payload->size() + 4 : 1;
  }
  run.entries.reserve(bytes);

  EntryId prev = run.prev;
  Bytes header;
  Bytes places;
  for (const StoredEntry& entry : stored.entries) {
    const auto cuts = FindCuts(entry, run.journal, prev);
    header.clear();
    places.clear();
    std::size_t from = 0;
    for (const Cut& cut : cuts) {
      header.append(entry.header, from, cut.at - from);
      AppendVarint(places, (cut.at - from) * 4 + cut.kind);
      from = cut.at + kHashBytes;
    }
    header.append(entry.header, from, std::string::npos);
    AppendSized(run.entries, header);
    AppendVarint(run.entries, cuts.size());
    run.entries += places;
    AppendVarint(run.entries, entry.payloads.size());
    for (const auto& payload : entry.payloads) {
      AppendVarint(run.entries, payload ? payload->size() + 1 : 0);
      if (payload) run.entries += *payload;
    }
    prev = entry.id;
  }
  return run;
}

Result<Run> RebuildRun(const WireRun& wire) {
  Run run;
  run.entries.reserve(wire.count);
  ByteView in = wire.entries;
  EntryId prev = wire.prev;
  std::vector<std::uint64_t> cuts;
  for (std::uint32_t n = 0; n < wire.count; ++n) {
    const auto cut_header = TakeSized(in, kHeaderBytesMax);
    const auto cut_count = TakeVarint(in);
    if (!cut_header || !cut_count || *cut_count > kRecordPartsMax + 2) {
      return Broken("an entry's header is cut short");
    }
    cuts.clear();
    for (std::uint64_t i = 0; i < *cut_count; ++i) {
      const auto cut = TakeVarint(in);
      if (!cut) return Broken("an entry's header is cut short");
      cuts.push_back(*cut);
    }
    const auto payload_count = TakeVarint(in);
    if (!payload_count || *payload_count > kRecordPartsMax) {
      return Broken("an entry has too many payloads");
    }
    std::vector<std::optional<Bytes>> payloads;
    payloads.reserve(*payload_count);
    for (std::uint64_t i = 0; i < *payload_count; ++i) {
      const auto size = TakeVarint(in);
      if (!size || *size > in.size() + 1 || *size > kPayloadBytesMax + 1) {
        return Broken("a payload is cut short");
      }
      if (*size == 0) {
        payloads.emplace_back();
      } else {
        payloads.emplace_back(Bytes(in.substr(0, *size - 1)));
        in.remove_prefix(*size - 1);
      }
    }

    Bytes header;
    header.reserve(cut_header->size() + cuts.size() * kHashBytes);
    ByteView rest = *cut_header;
    auto payload = payloads.begin();
    for (const std::uint64_t cut : cuts) {
      const std::uint64_t gap = cut / 4;
      if (gap > rest.size()) return Broken("an entry is cut outside its header");
      header.append(rest.substr(0, gap));
      rest.remove_prefix(gap);
      switch (cut % 4) {
        case kCutJournal:
          header.append(wire.journal.bytes());
          break;
        case kCutPrev:
          header.append(prev.bytes());
          break;
        case kCutCommitment:
          while (payload != payloads.end() && !*payload) ++payload;
          if (payload == payloads.end()) return Broken("a commitment without its payload");
          header.append(crypto::HashPayload(**payload).bytes());
          ++payload;
          break;
        default:
          return Broken("an entry is cut in an unknown way");
      }
    }
    header.append(rest);
    if (header.size() > kHeaderBytesMax) {
      return Fail(ErrorCode::kTooLarge, "an entry's header has {} bytes; {} are allowed",
                  header.size(), kHeaderBytesMax);
    }

    STAFFEL_TRY(entry, MakeEntry(std::move(header)));
    if (entry.header.seq != wire.first_seq + n) {
      return Broken("a run's entries do not follow one another");
    }
    const JournalId& journal = entry.header.seq == 0 ? entry.id : entry.header.journal;
    if (journal != wire.journal) return Broken("a run holds an entry of another journal");
    entry.payloads = std::move(payloads);
    prev = entry.id;
    run.entries.push_back(std::move(entry));
  }
  if (!in.empty()) return Broken("a run goes on behind its last entry");
  run.entries.back().signature = wire.signature;
  return run;
}

CharterLine LineOf(const charter::CharterTree& tree, const EntryId& entry) {
  Bytes all;
  for (const auto& signature : tree.SignaturesOf(entry)) {
    all.push_back(static_cast<char>(signature.kind));
    all.append(signature.key.bytes());
  }
  const Hash hash = crypto::TaggedHash(kTagSigners, all);
  return {entry, Bytes(hash.bytes().substr(0, kLineHashBytes))};
}

// ---------------------------------------------------------------------------------------------
// Messages

Bytes EncodeMessage(Message message) {
  v1::ExchangeMessage out;
  out.set_protocol(kProtocol);
  const auto put = [](const auto& id, std::string* field) {
    if (id) *field = id->bytes();
  };
  put(message.conference, out.mutable_conference());
  put(message.charter_summary, out.mutable_charter_summary());
  put(message.audiences_summary, out.mutable_audiences_summary());
  put(message.audiences_digest, out.mutable_audiences_digest());
  out.set_wait_ms(message.wait_ms);
  if (message.instance) {
    out.set_instance(std::string(message.instance->id.bytes()));
    out.set_restored(message.instance->restored);
    for (const Nonce& before : message.instance->before) {
      out.mutable_instances_before()->append(before.bytes());
    }
  }
  if (message.now) out.set_now_ms(message.now->value);
  if (message.majority) out.set_majority_ms(message.majority->value);
  for (const CharterLine& line : message.charter_lines) {
    auto* to = out.add_charter_lines();
    to->set_entry(Bytes(line.entry.bytes()));
    to->set_signatures(line.signatures);
  }
  for (const EntryId& want : message.charter_wants) out.add_charter_wants(Bytes(want.bytes()));
  for (const CharterItem& item : message.charter_items) {
    auto* to = out.add_charter_items();
    to->set_entry(Bytes(item.id.bytes()));
    if (item.entry) to->set_header(item.entry->header_bytes);
    for (const auto& signature : item.signatures) {
      auto* signature_to = to->add_signatures();
      signature_to->set_kind(static_cast<std::uint32_t>(signature.kind));
      signature_to->set_key(Bytes(signature.key.bytes()));
      signature_to->set_signature(signature.signature);
    }
  }
  for (const AudienceSummary& summary : message.summaries) {
    auto* to = out.add_summaries();
    to->set_audience(Bytes(summary.audience.bytes()));
    to->set_summary(Bytes(summary.summary.bytes()));
  }
  for (const AudienceVector& vector : message.vectors) {
    auto* to = out.add_vectors();
    to->set_audience(Bytes(vector.audience.bytes()));
    to->set_items(PackItems(vector.items));
  }
  for (const AudienceDigest& digest : message.digests) {
    auto* to = out.add_digests();
    to->set_audience(Bytes(digest.audience.bytes()));
    to->set_root(Bytes(digest.root.bytes()));
  }
  for (const WantJournal& want : message.wants) {
    auto* to = out.add_wants();
    to->set_journal(Bytes(want.journal.bytes()));
    to->set_from_seq(want.from_seq);
    for (const Held& held : want.held) {
      to->mutable_held()->append(held.entry.bytes());
      AppendVarint(*to->mutable_held(), held.seq);
    }
  }
  for (WireRun& run : message.runs) {
    auto* to = out.add_runs();
    to->set_journal(Bytes(run.journal.bytes()));
    to->set_first_seq(run.first_seq);
    if (!run.prev.is_zero()) to->set_prev(Bytes(run.prev.bytes()));
    to->set_count(run.count);
    to->set_entries(std::move(run.entries));
    to->set_signature(std::move(run.signature));
  }
  for (const RunProblem& problem : message.problems) {
    auto* to = out.add_problems();
    to->set_journal(Bytes(problem.journal.bytes()));
    to->set_first_seq(problem.first_seq);
    to->set_outcome(static_cast<std::uint32_t>(problem.outcome));
    // Cut at a character: protobuf refuses to read half of one.
    std::size_t size = std::min(problem.reason.size(), kReasonBytesMax);
    while (size > 0 && size < problem.reason.size() && (problem.reason[size] & 0xc0) == 0x80)
      --size;
    to->set_reason(problem.reason.substr(0, size));
  }
  out.set_more(message.more);
  out.set_new_entries(message.new_entries);
  put(message.missing_summary, out.mutable_missing_summary());
  out.set_missing(PackPlaces(message.missing));
  if (message.missing_after) out.set_missing_after(PackPlaces({&*message.missing_after, 1}));
  for (PayloadBytes& found : message.found) {
    auto* to = out.add_found();
    to->set_at(PackPlaces({&found.at, 1}));
    to->set_payload(std::move(found.bytes));
  }
  for (const CopyDeleted& statement : message.copies_deleted) {
    auto* to = out.add_copies_deleted();
    to->set_audience(Bytes(statement.audience.bytes()));
    to->set_charter(Bytes(statement.charter.bytes()));
    to->set_time_ms(statement.time.value);
    to->set_key(Bytes(statement.key.bytes()));
    to->set_signature(statement.signature);
  }
  for (const AudienceId& audience : message.copies_deleted_taken) {
    out.add_copies_deleted_taken(Bytes(audience.bytes()));
  }
  const std::size_t size = out.ByteSizeLong();
  STAFFEL_ASSERT(size <= kMessageBytesMax);
  thread_local KeptBuffer buffer;
  char* bytes = buffer.Get(std::max<std::size_t>(size, 1));
  STAFFEL_ASSERT(out.SerializeToArray(bytes, static_cast<int>(size)));
  Bytes wrapped = Wrap(ByteView(bytes, size));
  buffer.Release();
  return wrapped;
}

Result<Message> DecodeMessage(ByteView bytes) {
  thread_local KeptBuffer space;
  STAFFEL_TRY(content, Unwrap(bytes, space));
  v1::ExchangeMessage in;
  if (!in.ParseFromArray(content.data(), static_cast<int>(content.size()))) {
    return Broken("it is not a message");
  }
  space.Release();
  if (in.protocol() != kProtocol) {
    return Fail(ErrorCode::kUnsupported,
                "the peer speaks protocol {}, this node protocol {}: update the older of the two",
                in.protocol(), kProtocol);
  }
  const auto too_many = [](int size) { return static_cast<std::size_t>(size) > kMessageLinesMax; };
  if (too_many(in.charter_lines_size()) || too_many(in.charter_wants_size()) ||
      too_many(in.charter_items_size()) || too_many(in.summaries_size()) ||
      too_many(in.vectors_size()) || too_many(in.digests_size()) || too_many(in.wants_size()) ||
      too_many(in.runs_size()) || too_many(in.problems_size()) || too_many(in.found_size()) ||
      too_many(in.copies_deleted_size()) || too_many(in.copies_deleted_taken_size())) {
    return Fail(ErrorCode::kTooLarge, "the peer sent a list of more than {} items",
                kMessageLinesMax);
  }

  Message message;
  if (!ReadOptionalId(in.conference(), message.conference) ||
      !ReadOptionalId(in.charter_summary(), message.charter_summary) ||
      !ReadOptionalId(in.audiences_summary(), message.audiences_summary) ||
      !ReadOptionalId(in.audiences_digest(), message.audiences_digest) ||
      !ReadOptionalId(in.missing_summary(), message.missing_summary)) {
    return Broken("a hash has the wrong length");
  }
  message.wait_ms = in.wait_ms();
  if (!in.instance().empty()) {
    const auto id = Nonce::From(in.instance());
    ByteView before = in.instances_before();
    if (!id || before.size() % Nonce::kBytes != 0 ||
        before.size() > kInstancesBeforeMax * Nonce::kBytes) {
      return Fail(ErrorCode::kInvalid, "the message names its process wrongly");
    }
    message.instance = Instance{*id, {}, in.restored()};
    for (; !before.empty(); before.remove_prefix(Nonce::kBytes)) {
      message.instance->before.push_back(*Nonce::From(before.substr(0, Nonce::kBytes)));
    }
  } else if (!in.instances_before().empty() || in.restored()) {
    return Fail(ErrorCode::kInvalid, "the message names processes before none");
  }
  if (in.now_ms() != 0) message.now = TimeMs{in.now_ms()};
  if (in.majority_ms() != 0) message.majority = TimeMs{in.majority_ms()};
  for (const auto& line_in : in.charter_lines()) {
    CharterLine line;
    if (!ReadId(line_in.entry(), line.entry) || line_in.signatures().size() != kLineHashBytes) {
      return Broken("a line of the charter's list");
    }
    line.signatures = line_in.signatures();
    message.charter_lines.push_back(std::move(line));
  }
  for (const auto& want_in : in.charter_wants()) {
    EntryId want;
    if (!ReadId(want_in, want)) return Broken("the id of a charter entry");
    message.charter_wants.push_back(want);
  }
  for (const auto& item_in : in.charter_items()) {
    auto item = ReadCharterItem(item_in);
    if (!item) return Broken("a charter entry or its signatures");
    message.charter_items.push_back(std::move(*item));
  }
  for (const auto& summary_in : in.summaries()) {
    AudienceSummary summary;
    if (!ReadId(summary_in.audience(), summary.audience) ||
        !ReadId(summary_in.summary(), summary.summary)) {
      return Broken("the summary of an audience");
    }
    message.summaries.push_back(summary);
  }
  for (const auto& vector_in : in.vectors()) {
    AudienceVector vector;
    if (!ReadId(vector_in.audience(), vector.audience) ||
        !UnpackItems(vector_in.items(), vector.items)) {
      return Broken("the vector of an audience");
    }
    message.vectors.push_back(std::move(vector));
  }
  for (const auto& digest_in : in.digests()) {
    AudienceDigest digest;
    if (!ReadId(digest_in.audience(), digest.audience) || !ReadId(digest_in.root(), digest.root)) {
      return Broken("the digest of an audience");
    }
    message.digests.push_back(digest);
  }
  for (const auto& want_in : in.wants()) {
    WantJournal want;
    if (!ReadId(want_in.journal(), want.journal) || !UnpackHeld(want_in.held(), want.held)) {
      return Broken("a wish for a journal");
    }
    want.from_seq = want_in.from_seq();
    message.wants.push_back(std::move(want));
  }
  std::size_t entries = 0;
  for (auto& run_in : *in.mutable_runs()) {
    auto run = ReadRun(run_in);
    if (!run) return Broken("the head of a run");
    entries += run->count;
    if (entries > kMessageEntriesMax) {
      return Fail(ErrorCode::kTooLarge, "the peer sent more than {} entries at once",
                  kMessageEntriesMax);
    }
    message.runs.push_back(std::move(*run));
  }
  for (const auto& problem_in : in.problems()) {
    RunProblem problem;
    if (!ReadId(problem_in.journal(), problem.journal) || problem_in.outcome() < 1 ||
        problem_in.outcome() > 2 || problem_in.reason().size() > kReasonBytesMax) {
      return Broken("a word about a run");
    }
    problem.first_seq = problem_in.first_seq();
    problem.outcome = static_cast<RunProblem::Outcome>(problem_in.outcome());
    problem.reason = problem_in.reason();
    message.problems.push_back(std::move(problem));
  }
  message.more = in.more();
  message.new_entries = in.new_entries();
  if (!UnpackPlaces(in.missing(), message.missing)) return Broken("a list of payloads");
  if (!in.missing_after().empty() &&
      !UnpackPlace(in.missing_after(), message.missing_after.emplace())) {
    return Broken("the name of a payload");
  }
  for (auto& found_in : *in.mutable_found()) {
    PayloadBytes found;
    if (!UnpackPlace(found_in.at(), found.at) || found_in.payload().size() > kPayloadBytesMax) {
      return Broken("a payload that was missing");
    }
    found.bytes = std::move(*found_in.mutable_payload());
    message.found.push_back(std::move(found));
  }
  for (const auto& statement_in : in.copies_deleted()) {
    CopyDeleted statement;
    auto key = crypto::PublicKey::From(statement_in.key());
    if (!ReadId(statement_in.audience(), statement.audience) ||
        !ReadId(statement_in.charter(), statement.charter) || !key) {
      return Broken("a statement about a deleted copy");
    }
    statement.time = TimeMs{statement_in.time_ms()};
    statement.key = std::move(*key);
    statement.signature = statement_in.signature();
    message.copies_deleted.push_back(std::move(statement));
  }
  for (const auto& audience_in : in.copies_deleted_taken()) {
    AudienceId audience;
    if (!ReadId(audience_in, audience)) return Broken("the id of an audience");
    message.copies_deleted_taken.push_back(audience);
  }
  return message;
}

// ---------------------------------------------------------------------------------------------
// Hashes

Hash SummaryOf(const VersionVector& vector) {
  return crypto::TaggedHash(kTagVector, PackItems(vector));
}

Hash SummaryOf(std::span<const AudienceSummary> summaries) {
  return HashPairs(kTagAudiences, summaries);
}

std::optional<Hash> SummaryOf(std::span<const PayloadAt> missing) {
  if (missing.empty()) return std::nullopt;
  return crypto::TaggedHash(kTagMissing, PackPlaces(missing));
}

Hash DigestOf(std::span<const AudienceDigest> digests) { return HashPairs(kTagDigests, digests); }

}  // namespace staffel::sync
