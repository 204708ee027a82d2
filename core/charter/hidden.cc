// SPDX-License-Identifier: EUPL-1.2
#include "core/charter/hidden.h"

#include <algorithm>

#include <google/protobuf/stubs/logging.h>

#include "core/base/wire.h"
#include "core/crypto/hash.h"
#include "staffel/v1/charter.pb.h"

namespace staffel::charter {
namespace {

// An entry's header has 64 KiB; what a head takes is below 80 bytes.
constexpr std::size_t kHeadsPerContentMax = 600;

// CutHeads and CutHead.
enum : std::uint32_t { kHeads = 1 };
enum : std::uint32_t { kHeadSeq = 1, kHeadEntry = 2 };

tl::unexpected<Error> NoPart() {
  return Fail(ErrorCode::kCorrupt, "what an audience discloses is not the handover's protocol");
}

}  // namespace

Hash HashHidden(const DisclosureBody::Item& item) {
  return crypto::TaggedHash(crypto::kTagPayload, item.salt + item.content);
}

Bytes SerializeCutHeads(const std::vector<CutHead>& heads) {
  auto sorted = heads;
  std::sort(sorted.begin(), sorted.end());
  Bytes out;
  for (const CutHead& head : sorted) {
    Bytes inner;
    if (head.seq != 0) AppendVarintField(inner, kHeadSeq, head.seq);
    AppendBytesField(inner, kHeadEntry, head.entry.bytes());
    AppendBytesField(out, kHeads, inner);
  }
  return out;
}

std::optional<std::vector<CutHead>> ParseCutHeads(ByteView content) {
  std::vector<CutHead> heads;
  WireReader reader(content);
  while (auto field = reader.Next()) {
    if (field->number != kHeads || field->type != WireType::kBytes) return std::nullopt;
    CutHead head;
    WireReader inner(field->bytes);
    while (auto one = inner.Next()) {
      if (one->number == kHeadSeq && one->type == WireType::kVarint) {
        head.seq = one->number_value;
      } else if (one->number == kHeadEntry && one->type == WireType::kBytes) {
        head.entry = EntryId::From(one->bytes).value_or(EntryId());
      } else {
        return std::nullopt;
      }
    }
    if (!inner.ok() || head.entry.is_zero()) return std::nullopt;
    heads.push_back(head);
  }
  const bool twice = std::adjacent_find(heads.begin(), heads.end()) != heads.end();
  if (!reader.ok() || heads.empty() || heads.size() > kCutHeadsMax || twice) return std::nullopt;
  // One reading: whoever discloses the same heads writes the same bytes.
  if (SerializeCutHeads(heads) != content) return std::nullopt;
  return heads;
}

std::vector<Bytes> SerializeHandoverPart(const HandoverPart& part) {
  std::vector<Bytes> contents;
  std::size_t at = 0;
  do {
    v1::HandoverPart out;
    out.set_term(part.term);
    out.set_audience(Bytes(part.audience.bytes()));
    const std::size_t end = std::min(part.heads.size(), at + kHeadsPerContentMax);
    for (std::size_t i = at; i < end; ++i) {
      auto* head = out.add_heads();
      head->set_journal(Bytes(part.heads[i].journal.bytes()));
      head->set_seq(part.heads[i].seq);
      head->set_entry(Bytes(part.heads[i].entry.bytes()));
    }
    if (at == 0) {
      auto* figures = out.mutable_figures();
      figures->set_entries(part.figures.entries);
      figures->set_records(part.figures.records);
      figures->set_valid(part.figures.valid);
      figures->set_erased(part.figures.erased);
      figures->set_digest(Bytes(part.figures.digest.bytes()));
      for (const auto& kind : part.figures.kinds) {
        auto* one = figures->add_kinds();
        one->set_kind(kind.kind);
        one->set_records(kind.records);
        one->set_digest(Bytes(kind.digest.bytes()));
      }
      if (!part.figures.last_receipt.is_zero()) {
        figures->set_last_receipt(Bytes(part.figures.last_receipt.bytes()));
        figures->set_last_receipt_ms(part.figures.last_receipt_time.value);
      }
    }
    contents.push_back(out.SerializeAsString());
    at = end;
  } while (at < part.heads.size());
  return contents;
}

Result<HandoverPart> ParseHandoverPart(const std::vector<Bytes>& contents) {
  const google::protobuf::LogSilencer silencer;
  HandoverPart part;
  bool with_figures = false;
  for (const Bytes& content : contents) {
    v1::HandoverPart in;
    if (!in.ParseFromString(content)) return NoPart();
    const auto audience = AudienceId::From(in.audience());
    if (!audience || audience->is_zero() || in.term() == 0) return NoPart();
    const bool first = part.term == 0;
    if (!first && (part.term != in.term() || part.audience != *audience)) return NoPart();
    part.term = in.term();
    part.audience = *audience;
    for (const auto& one : in.heads()) {
      const auto journal = JournalId::From(one.journal());
      const auto entry = EntryId::From(one.entry());
      if (!journal || !entry) return NoPart();
      part.heads.push_back({*journal, one.seq(), *entry});
    }
    if (!in.has_figures()) continue;
    if (with_figures) return NoPart();
    with_figures = true;
    const auto& figures = in.figures();
    part.figures.entries = figures.entries();
    part.figures.records = figures.records();
    part.figures.valid = figures.valid();
    part.figures.erased = figures.erased();
    part.figures.digest = Hash::From(figures.digest()).value_or(Hash());
    for (const auto& one : figures.kinds()) {
      part.figures.kinds.push_back(
          {one.kind(), one.records(), Hash::From(one.digest()).value_or(Hash())});
    }
    part.figures.last_receipt = EntryId::From(figures.last_receipt()).value_or(EntryId());
    part.figures.last_receipt_time = TimeMs{figures.last_receipt_ms()};
  }
  if (!with_figures) return NoPart();
  std::sort(part.heads.begin(), part.heads.end());
  return part;
}

}  // namespace staffel::charter
