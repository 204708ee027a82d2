// SPDX-License-Identifier: EUPL-1.2
#include "core/store/erasure_index.h"

#include <algorithm>

#include "core/journal/cell.h"

namespace staffel {
namespace {

using Word = ErasureIndex::Word;

// An opaque entry's own reason says only that; whether a cut leaves it out is asked by number.
// Which of two branches it is on is not asked: every replica answers alike all the same.
Word WordOfOpaque(const JournalInfo& journal, std::uint64_t seq) {
  if (journal.verdict.reason == charter::Reason::kGrantEnded) return Word::kUndecided;
  if (!journal.verdict.valid()) return Word::kWithoutEffect;
  if (!journal.verdict.cut) return Word::kInEffect;
  const auto& heads = *journal.verdict.cut;
  const bool within =
      std::any_of(heads.begin(), heads.end(), [&](const auto& head) { return seq <= head.seq; });
  return within ? Word::kInEffect : Word::kUndecided;
}

}  // namespace

Word WordOf(const JournalInfo& journal, const EntryRow& row) {
  if (journal.open.lane.purpose != Purpose::kErasures) return Word::kNone;
  switch (row.reason) {
    case charter::Reason::kValid:
      return Word::kInEffect;
    case charter::Reason::kAfterCut:
    case charter::Reason::kGrantEnded:
      return Word::kUndecided;
    case charter::Reason::kNewerFormat:
      return WordOfOpaque(journal, row.seq);
    default:
      return Word::kWithoutEffect;
  }
}

void ErasureIndex::Add(const JournalInfo& journal, const EntryRow& row) {
  const auto* body = std::get_if<ErasureBody>(&row.entry.header.body);
  if (body == nullptr || journal.open.lane.purpose != Purpose::kErasures) return;
  has_drops_ = has_drops_ || !body->dropped.empty();
  if (body->payloads.empty() && body->records.empty() && body->dropped.empty()) return;
  const auto number = static_cast<std::uint32_t>(sources_.size());
  sources_.push_back({.entry = row.entry.id,
                      .arrival = row.arrival,
                      .journal = journal.number,
                      .seq = row.seq,
                      .names = !body->payloads.empty() || !body->records.empty(),
                      .audience = journal.audience,
                      .member = journal.verdict.member,
                      .lane = journal.open.lane,
                      .word = WordOf(journal, row),
                      .reason = row.reason});
  for (const auto& payload : body->payloads) {
    payloads_[payload.entry].emplace_back(payload.index, number);
    payload_audiences_.insert(journal.audience);
  }
  for (const auto& record : body->records) {
    records_[{journal.audience, record.kind, record.record}].push_back(number);
  }
}

void ErasureIndex::AddCharter(const charter::CharterTree& tree) {
  const auto add = [&](const charter::Content& content, const EntryId& entry, Word word) {
    if (content.erased_payloads.empty() && content.erased_records.empty()) return;
    const auto number = static_cast<std::uint32_t>(sources_.size());
    sources_.push_back({.entry = entry, .names = true, .word = word});
    for (const auto& payload : content.erased_payloads) {
      payloads_[payload.entry].emplace_back(payload.index, number);
      charter_payloads_ = true;
    }
    for (const auto& record : content.erased_records) {
      records_[{record.audience, record.kind, record.record}].push_back(number);
    }
  };
  if (authority_) add(authority_->content(), authority_->entry(), Word::kInEffect);
  // What another charter entry names may have been destroyed where that one was in force: its
  // absence is no reason to refuse an entry.
  std::set<charter::ErasedPayload> payloads;
  std::set<charter::ErasedRecord> records;
  for (const EntryId& entry : tree.Entries()) {
    const auto authority = tree.AuthorityOf(entry);
    if (!authority) continue;
    const auto& content = authority->content();
    payloads.insert(content.erased_payloads.begin(), content.erased_payloads.end());
    records.insert(content.erased_records.begin(), content.erased_records.end());
  }
  charter::Content ever;
  ever.erased_payloads.assign(payloads.begin(), payloads.end());
  ever.erased_records.assign(records.begin(), records.end());
  add(ever, EntryId(), Word::kWithoutEffect);
}

Result<ErasureIndex> ErasureIndex::Load(TableReader& reader, const JournalMap& journals,
                                        const charter::CharterTree* tree,
                                        std::shared_ptr<const charter::Authority> authority) {
  ErasureIndex index;
  index.authority_ = std::move(authority);
  std::vector<std::int64_t> numbers;
  for (const auto& [number, journal] : journals.by_number) {
    if (journal.open.lane.purpose == Purpose::kErasures) numbers.push_back(number);
  }
  std::sort(numbers.begin(), numbers.end());
  std::set<std::pair<AudienceId, EntryId>> dropped;
  for (std::int64_t number : numbers) {
    const JournalInfo& journal = journals.Get(number);
    std::vector<EntryRow> rows;
    {
      STAFFEL_TRY(statement, reader.Get("SELECT arrival, seq, reason, header, id FROM entry WHERE "
                                        "journal = ? ORDER BY seq, fork"));
      statement->Bind(1, number);
      const sqlite::StatementScope scope(*statement);
      for (;;) {
        STAFFEL_TRY(found, statement->Step());
        if (!found) break;
        EntryRow row;
        row.arrival = static_cast<std::uint64_t>(statement->Int(0));
        row.journal = number;
        row.seq = static_cast<std::uint64_t>(statement->Int(1));
        row.reason = static_cast<charter::Reason>(statement->Int(2));
        STAFFEL_TRY(header, ParseHeader(statement->Blob(3)));
        row.entry.header = std::move(header);
        row.entry.id = EntryId::From(statement->Blob(4)).value_or(EntryId());
        rows.push_back(std::move(row));
      }
    }
    for (const EntryRow& row : rows) {
      index.Add(journal, row);
      const auto* body = std::get_if<ErasureBody>(&row.entry.header.body);
      if (body == nullptr || journal.open.lane.term == 0) continue;
      if (WordOf(journal, row) != Word::kInEffect) continue;
      for (const EntryId& entry : body->dropped) dropped.emplace(journal.audience, entry);
    }
  }
  for (Source& source : index.sources_) {
    if (source.word == Word::kUndecided && dropped.contains({source.audience, source.entry})) {
      source.dropped = true;
      source.word = Word::kWithoutEffect;
    }
  }
  if (tree != nullptr) index.AddCharter(*tree);
  return index;
}

bool ErasureIndex::NamesPayloadsOf(const AudienceId& audience) const {
  return charter_payloads_ || payload_audiences_.contains(audience);
}

std::optional<std::string> ErasureIndex::Objection(const Source& source, const JournalInfo& journal,
                                                   const RecordPart& part) const {
  if (source.lane.term == 0 &&
      (journal.open.lane.term != 0 || journal.verdict.member != source.member)) {
    return fmt::format("it was written by {}{}, and a member erases in its own journals",
                       journal.verdict.member.empty() ? "nobody" : journal.verdict.member.text(),
                       journal.open.lane.term != 0 ? " in the chair" : "");
  }
  if (!authority_ || !authority_->EverPersonalKind(part.kind)) {
    return std::string("the charter does not list its kind as personal");
  }
  for (const CellChange& change : part.changes) {
    const auto owner = CheckCell(change.cell);
    if (owner && owner->kind == OwnerKind::kMember && owner->member != source.member) {
      return fmt::format("it holds what only {} may write", owner->member.text());
    }
  }
  return std::nullopt;
}

Word ErasureIndex::Say(std::uint32_t number, const JournalInfo& journal,
                       const RecordPart& part) const {
  const Source& source = sources_[number];
  if (source.arrival == 0) return source.word;  // a quorum may erase anything
  if (source.audience != journal.audience) return Word::kNone;
  return Objection(source, journal, part) ? Word::kWithoutEffect : source.word;
}

Word ErasureIndex::OfRepeat(const JournalInfo& journal, const EntryId& named, std::size_t index,
                            const RecordPart& part) const {
  Word word = Word::kNone;
  const auto found = payloads_.find(named);
  if (found == payloads_.end()) return word;
  for (const auto& [at, source] : found->second) {
    if (at == index) word = std::max(word, Say(source, journal, part));
  }
  return word;
}

Word ErasureIndex::Of(const JournalInfo& journal, const EntryId& entry, std::size_t index,
                      const RecordPart& part) const {
  Word word = OfRepeat(journal, entry, index, part);
  const auto found = records_.find({journal.audience, part.kind, part.record});
  if (found == records_.end()) return word;
  for (std::uint32_t source : found->second) word = std::max(word, Say(source, journal, part));
  return word;
}

bool ErasureIndex::TakesNoWrites(const AudienceId& audience, std::uint32_t kind,
                                 const RecordId& record, const MemberId& member,
                                 const Lane& lane) const {
  const auto found = records_.find({audience, kind, record});
  if (found == records_.end()) return false;
  JournalInfo journal;
  journal.audience = audience;
  journal.open.lane = lane;
  journal.verdict.member = member;
  RecordPart part;
  part.kind = kind;
  part.record = record;
  return std::any_of(found->second.begin(), found->second.end(), [&](std::uint32_t source) {
    return Say(source, journal, part) >= Word::kUndecided;
  });
}

std::unordered_set<EntryId> ErasureIndex::NamedEntries() const {
  std::unordered_set<EntryId> named;
  for (const auto& [entry, items] : payloads_) named.insert(entry);
  return named;
}

std::vector<ErasureIndex::RecordKey> ErasureIndex::NamedRecords() const {
  std::vector<RecordKey> named;
  named.reserve(records_.size());
  for (const auto& [key, sources] : records_) named.push_back(key);
  return named;
}

Result<std::vector<std::uint64_t>> RepeatsOf(TableReader& reader, const JournalMap& journals,
                                             const JournalInfo& journal, const Entry& entry) {
  std::vector<std::uint64_t> arrivals;
  if (!entry.header.op || journal.verdict.member.empty()) return arrivals;
  STAFFEL_TRY(statement, reader.Get("SELECT e.arrival, e.id, e.journal FROM op o JOIN entry e ON "
                                    "e.arrival = o.arrival WHERE o.op = ?"));
  statement->BindBlob(1, entry.header.op->bytes());
  const sqlite::StatementScope scope(*statement);
  for (;;) {
    STAFFEL_TRY(found, statement->Step());
    if (!found) return arrivals;
    if (statement->Blob(1) == entry.id.bytes()) continue;
    const JournalInfo& other = journals.Get(statement->Int(2));
    if (other.audience != journal.audience || other.verdict.member != journal.verdict.member)
      continue;
    arrivals.push_back(static_cast<std::uint64_t>(statement->Int(0)));
  }
}

Result<std::vector<Word>> WordsOn(TableReader& reader, const JournalMap& journals,
                                  const ErasureIndex& index, const JournalInfo& journal,
                                  const Entry& entry) {
  std::vector<Word> words;
  const auto* write = std::get_if<WriteBody>(&entry.header.body);
  if (write == nullptr || index.empty()) return words;
  for (std::size_t i = 0; i < write->records.size(); ++i) {
    words.push_back(index.Of(journal, entry.id, i, write->records[i]));
  }
  if (!entry.header.op || !index.NamesPayloadsOf(journal.audience)) return words;
  STAFFEL_TRY(repeats, RepeatsOf(reader, journals, journal, entry));
  for (std::uint64_t arrival : repeats) {
    STAFFEL_TRY(other, reader.GetEntry(arrival));
    const auto* named = std::get_if<WriteBody>(&other.entry.header.body);
    if (named == nullptr || !index.Names(other.entry.id)) continue;
    for (std::size_t i = 0; i < words.size(); ++i) {
      const RecordPart& part = write->records[i];
      for (std::size_t at = 0; at < named->records.size(); ++at) {
        const RecordPart& same = named->records[at];
        if (same.kind != part.kind || same.record != part.record) continue;
        words[i] = std::max(words[i], index.OfRepeat(journal, other.entry.id, at, part));
      }
    }
  }
  return words;
}

}  // namespace staffel
