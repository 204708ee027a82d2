// SPDX-License-Identifier: EUPL-1.2
#include "core/store/handover.h"

#include <algorithm>
#include <array>
#include <map>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "core/store/digest.h"
#include "core/store/store_impl.h"

namespace staffel {
namespace {

using charter::HandoverPart;

// What lies at or before the protocol's heads in one journal.
struct Slice {
  const JournalInfo* journal = nullptr;
  std::vector<EntryRow> entries;  // by seq
  std::unordered_map<EntryId, EntryId> prevs;
};

// Held, for a cut, means: within the protocol. What a replica holds beyond it must not matter.
class WithinSlice final : public charter::HeldEntries {
 public:
  explicit WithinSlice(const Slice& slice) : slice_(slice) {}
  bool Holds(const EntryId& entry) const override { return slice_.prevs.contains(entry); }
  bool IsSelfOrAncestor(const EntryId& entry, const EntryId& head) const override {
    auto& ancestors = ancestors_[head];
    if (ancestors.empty()) {
      for (auto at = slice_.prevs.find(head); at != slice_.prevs.end();
           at = slice_.prevs.find(at->second)) {
        ancestors.insert(at->first);
      }
    }
    return ancestors.contains(entry);
  }

 private:
  const Slice& slice_;
  mutable std::unordered_map<EntryId, std::unordered_set<EntryId>> ancestors_;
};

class WithinProtocol final : public charter::OpenedCuts {
 public:
  explicit WithinProtocol(const AudienceId& audience) : audience_(audience) {}
  void Take(const DisclosureBody& body) {
    for (const auto& item : body.items) contents_[charter::HashHidden(item)] = item.content;
  }
  std::optional<std::vector<charter::CutHead>> HeadsOf(const AudienceId& audience,
                                                       const Hash& hidden) const override {
    const auto found = contents_.find(hidden);
    if (audience != audience_ || found == contents_.end()) return std::nullopt;
    return charter::ParseCutHeads(found->second);
  }

 private:
  AudienceId audience_;
  std::map<Hash, Bytes> contents_;
};

Result<Slice> ReadSlice(TableReader& reader, const JournalInfo& journal,
                        const std::vector<EntryId>& heads) {
  Slice slice;
  slice.journal = &journal;
  std::vector<EntryRow> rows;
  {
    std::vector<std::uint64_t> arrivals;
    STAFFEL_TRY(list, reader.Get("SELECT arrival FROM entry WHERE journal = ? ORDER BY seq, fork"));
    list->Bind(1, journal.number);
    {
      const sqlite::StatementScope scope(*list);
      for (;;) {
        STAFFEL_TRY(row, list->Step());
        if (!row) break;
        arrivals.push_back(static_cast<std::uint64_t>(list->Int(0)));
      }
    }
    for (std::uint64_t arrival : arrivals) {
      STAFFEL_TRY(row, reader.GetEntry(arrival));
      rows.push_back(std::move(row));
    }
  }
  std::unordered_set<EntryId> wanted(heads.begin(), heads.end());
  std::size_t found = 0;
  for (auto row = rows.rbegin(); row != rows.rend(); ++row) {
    if (!wanted.contains(row->entry.id)) continue;
    if (std::find(heads.begin(), heads.end(), row->entry.id) != heads.end()) ++found;
    wanted.insert(row->entry.header.prev);
    slice.prevs[row->entry.id] = row->entry.header.prev;
    slice.entries.push_back(std::move(*row));
  }
  if (found != heads.size()) {
    return Fail(ErrorCode::kNotFound,
                "{} of {} heads of journal {} ({}) are not here yet: exchange first",
                heads.size() - found, heads.size(), journal.id.Hex().substr(0, 12),
                journal.verdict.member.text());
  }
  std::reverse(slice.entries.begin(), slice.entries.end());
  return slice;
}

struct Touched {
  std::vector<fold::Touch> touches;
  std::unordered_map<EntryId, bool> erased;
};
using Records = std::map<std::pair<std::uint32_t, RecordId>, Touched>;

void TakeWrite(const EntryRow& row, const WriteBody& write, const JournalInfo& judged, bool valid,
               Records& records, HandoverPart::Figures& figures) {
  for (std::size_t i = 0; i < write.records.size(); ++i) {
    const bool erased = i >= row.entry.payloads.size() || !row.entry.payloads[i];
    figures.erased += erased ? 1 : 0;
    const RecordPart& part = write.records[i];
    Touched& touched = records[{part.kind, part.record}];
    touched.erased[row.entry.id] = erased;
    auto& touch = touched.touches.emplace_back();
    touch.entry = row.entry.id;
    touch.valid = valid;
    if (row.entry.header.op && !judged.verdict.member.empty()) {
      touch.repeat = fold::RepeatKey{judged.verdict.member, *row.entry.header.op};
    }
    for (const CellChange& change : part.changes) {
      auto& cell = touch.cells.emplace_back();
      cell.cell = change.cell;
      for (std::uint32_t index : change.parents) cell.parents.push_back(write.parents[index]);
    }
  }
}

void TakeReceipt(const EntryRow& row, const Lane& lane, std::uint64_t term,
                 HandoverPart::Figures& figures) {
  if (lane.term != term) return;
  const auto before = std::pair(figures.last_receipt_time, figures.last_receipt);
  const auto now = std::pair(row.entry.header.time, row.entry.id);
  if (before < now) {
    figures.last_receipt_time = now.first;
    figures.last_receipt = now.second;
  }
}

void SumRecords(const AudienceId& audience, const Records& records,
                HandoverPart::Figures& figures) {
  std::array<Hash, 256> buckets{};
  std::map<std::uint32_t, HandoverPart::Kind> kinds;
  for (const auto& [key, touched] : records) {
    LeafBuilder leaf(audience, key.first, key.second);
    for (const auto& cell : fold::FoldRecord(touched.touches)) {
      leaf.BeginCell(cell.cell, cell.heads.size());
      for (const EntryId& head : cell.heads) leaf.AddHead(head, touched.erased.at(head));
    }
    const Hash sum = leaf.Finish();
    if (sum.is_zero()) continue;
    ++figures.records;
    AddTo(buckets[BucketOf(key.second)], sum);
    auto& kind = kinds[key.first];
    kind.kind = key.first;
    ++kind.records;
    AddTo(kind.digest, sum);
  }
  figures.digest = RootOf(buckets);
  for (const auto& [number, kind] : kinds) figures.kinds.push_back(kind);
}

}  // namespace

std::vector<HandoverPart::Head> HeadsOf(const JournalMap& journals, const AudienceId& audience) {
  std::vector<HandoverPart::Head> heads;
  for (const auto& [number, journal] : journals.by_number) {
    if (journal.audience != audience) continue;
    for (const auto& branch : journal.branches) {
      heads.push_back({journal.id, branch.seq, branch.entry});
    }
  }
  std::sort(heads.begin(), heads.end());
  return heads;
}

Result<HandoverPart::Figures> FiguresOf(TableReader& reader, const JournalMap& journals,
                                        const charter::Authority& authority,
                                        const AudienceId& audience,
                                        const std::vector<HandoverPart::Head>& heads) {
  std::map<JournalId, std::vector<EntryId>> by_journal;
  for (const auto& head : heads) by_journal[head.journal].push_back(head.entry);
  std::vector<Slice> slices;
  WithinProtocol opened(audience);
  for (const auto& [id, entries] : by_journal) {
    const JournalInfo* journal = journals.Find(id);
    if (journal == nullptr || journal->audience != audience) {
      return Fail(ErrorCode::kNotFound, "journal {} is not here yet: exchange first",
                  id.Hex().substr(0, 12));
    }
    STAFFEL_TRY(slice, ReadSlice(reader, *journal, entries));
    for (const EntryRow& row : slice.entries) {
      const auto* body = std::get_if<DisclosureBody>(&row.entry.header.body);
      if (body != nullptr && !row.entry.header.opaque) opened.Take(*body);
    }
    slices.push_back(std::move(slice));
  }
  HandoverPart::Figures figures;
  Records records;
  const std::uint64_t term = authority.current_term().number;
  for (const Slice& slice : slices) {
    JournalInfo judged;
    judged.open = slice.journal->open;
    judged.verdict =
        charter::JudgeJournal(authority, slice.journal->id, slice.journal->open, &opened);
    const WithinSlice held(slice);
    for (const EntryRow& row : slice.entries) {
      ++figures.entries;
      const bool valid = charter::JudgeEntry(judged.verdict, row.entry.id, row.entry.header,
                                             held) == charter::Reason::kValid;
      figures.valid += valid ? 1 : 0;
      if (row.entry.header.opaque) continue;
      if (const auto* write = std::get_if<WriteBody>(&row.entry.header.body)) {
        TakeWrite(row, *write, judged, valid, records, figures);
      } else if (valid && std::holds_alternative<ReceiptBody>(row.entry.header.body)) {
        TakeReceipt(row, judged.verdict.lane, term, figures);
      }
    }
  }
  SumRecords(audience, records, figures);
  return figures;
}

std::vector<HandoverPart::Head> Snapshot::HandoverHeads(const AudienceId& audience) {
  return HeadsOf(*state_->published->journals, audience);
}

Result<HandoverPart::Figures> Snapshot::FiguresAt(const AudienceId& audience,
                                                  const std::vector<HandoverPart::Head>& heads,
                                                  const charter::Authority& authority) {
  return FiguresOf(state_->connection->reader, *state_->published->journals, authority, audience,
                   heads);
}

Result<std::optional<Bytes>> Snapshot::Disclosed(const AudienceId& audience, const Hash& hidden) {
  const auto number = state_->published->journals->audiences.find(audience);
  if (number == state_->published->journals->audiences.end()) return std::optional<Bytes>();
  STAFFEL_TRY(statement, state_->connection->reader.Get(
                             "SELECT content FROM disclosed WHERE audience = ? AND hidden = ?"));
  statement->Bind(1, number->second);
  statement->BindBlob(2, hidden.bytes());
  const sqlite::StatementScope scope(*statement);
  STAFFEL_TRY(row, statement->Step());
  return row ? std::optional<Bytes>(statement->Blob(0)) : std::optional<Bytes>();
}

}  // namespace staffel
