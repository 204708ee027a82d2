// SPDX-License-Identifier: EUPL-1.2
#include "core/store/writer.h"

#include <algorithm>

#include "core/base/mutation.h"
#include "core/base/search_text.h"
#include "core/base/text.h"
#include "core/base/wire.h"
#include "core/charter/chair.h"
#include "core/charter/judge.h"
#include "core/crypto/hash.h"
#include "core/record/catalog.h"
#include "core/record/view.h"
#include "core/store/receipt_reader.h"

namespace staffel {
namespace {

// As many bytes of own entries stand before a signature at most, and one entry: a message carries
// them whole or not at all.
constexpr std::size_t kUnsignedBytesMax = std::size_t{64} << 10U;

constexpr std::string_view kMetaConference = "conference";
constexpr std::string_view kMetaRevision = "revision";

// The wire bytes of `deleted = true`.
const Bytes& DeletedValue() {
  static const Bytes value = [] {
    Bytes bytes;
    AppendVarintField(bytes, kDeletedField, 1);
    return bytes;
  }();
  return value;
}

Bytes NumberBytes(std::uint64_t value) {
  Bytes bytes;
  AppendVarint(bytes, value);
  return bytes;
}

// What of a cut journal is held, read once: which heads of the cut, and all their ancestors.
class HeldOfCut final : public charter::HeldEntries {
 public:
  static Result<HeldOfCut> Load(TableReader& reader, const JournalInfo& journal) {
    std::unordered_map<EntryId, EntryId> prevs;
    STAFFEL_TRY(statement, reader.Get("SELECT id, header FROM entry WHERE journal = ?"));
    statement->Bind(1, journal.number);
    const sqlite::StatementScope scope(*statement);
    for (;;) {
      STAFFEL_TRY(row, statement->Step());
      if (!row) break;
      STAFFEL_TRY(header, ParseHeader(statement->Blob(1)));
      const auto id = EntryId::From(statement->Blob(0));
      if (id) prevs[*id] = header.prev;
    }
    HeldOfCut held;
    for (const charter::CutHead& head : *journal.verdict.cut) {
      if (!prevs.contains(head.entry)) continue;
      auto& ancestors = held.ancestors_[head.entry];
      for (auto at = prevs.find(head.entry); at != prevs.end(); at = prevs.find(at->second)) {
        ancestors.insert(at->first);
      }
    }
    return held;
  }

  bool Holds(const EntryId& entry) const override { return ancestors_.contains(entry); }
  bool IsSelfOrAncestor(const EntryId& entry, const EntryId& head) const override {
    const auto found = ancestors_.find(head);
    return found != ancestors_.end() && found->second.contains(entry);
  }

 private:
  // Only heads of the cut are ever asked for.
  std::unordered_map<EntryId, std::unordered_set<EntryId>> ancestors_;
};

// Distinct records of a write, in order.
std::vector<std::pair<std::uint32_t, RecordId>> RecordsOf(const WriteBody& write) {
  std::vector<std::pair<std::uint32_t, RecordId>> records;
  for (const RecordPart& part : write.records) {
    const std::pair<std::uint32_t, RecordId> key{part.kind, part.record};
    if (std::find(records.begin(), records.end(), key) == records.end()) records.push_back(key);
  }
  return records;
}

bool Touches(const RecordSlice& slice, const Cell& cell) {
  return std::any_of(slice.changes.begin(), slice.changes.end(),
                     [&](const auto& change) { return change.change->cell == cell; });
}

}  // namespace

// ---------------------------------------------------------------------------------------------
// Caches

Status Writer::Load() {
  cache_ = WriterCache();
  due_ = Due();
  unsigned_.clear();
  wrote_ = false;
  STAFFEL_CHECK(LoadCharter());
  STAFFEL_CHECK(LoadDoubt());
  {
    STAFFEL_TRY(statement, reader_.Get("SELECT number, id FROM audience"));
    const sqlite::StatementScope scope(*statement);
    for (;;) {
      STAFFEL_TRY(row, statement->Step());
      if (!row) break;
      const auto id = AudienceId::From(statement->Blob(1));
      if (!id)
        return Fail(ErrorCode::kCorrupt, "the file names an audience wrongly: restore a backup");
      cache_.journals.audiences[*id] = statement->Int(0);
      cache_.journals.audience_ids[statement->Int(0)] = *id;
    }
  }
  STAFFEL_CHECK(LoadDisclosed());
  {
    STAFFEL_TRY(
        statement,
        reader_.Get("SELECT number, audience, header, current FROM journal ORDER BY number"));
    const sqlite::StatementScope scope(*statement);
    for (;;) {
      STAFFEL_TRY(row, statement->Step());
      if (!row) break;
      STAFFEL_TRY(entry, MakeEntry(Bytes(statement->Blob(2))));
      JournalInfo journal;
      journal.number = statement->Int(0);
      journal.id = entry.id;
      const auto* open = std::get_if<OpenBody>(&entry.header.body);
      if (open == nullptr) {
        return Fail(ErrorCode::kCorrupt,
                    "the file is damaged: a journal has no opening; restore a backup");
      }
      journal.open = *open;
      journal.audience = journal.open.audience;
      journal.audience_number = statement->Int(1);
      journal.own = IsOwn(journal.open.key);
      journal.opaque = entry.header.opaque;
      if (cache_.authority) journal.verdict = VerdictOf(journal.id, journal.open);
      if (statement->Int(3) != 0)
        cache_.current[{journal.audience_number, journal.open.lane}] = journal.number;
      cache_.journals.by_id[journal.id] = journal.number;
      cache_.journals.by_number.emplace(journal.number, std::move(journal));
    }
  }
  {
    STAFFEL_TRY(statement,
                reader_.Get("SELECT journal, entry, seq, arrival, time_ms, last_act FROM branch"));
    const sqlite::StatementScope scope(*statement);
    for (;;) {
      STAFFEL_TRY(row, statement->Step());
      if (!row) break;
      const auto journal = cache_.journals.by_number.find(statement->Int(0));
      const auto entry = EntryId::From(statement->Blob(1));
      if (journal == cache_.journals.by_number.end() || !entry) {
        return Fail(ErrorCode::kCorrupt,
                    "the file is damaged: a branch belongs to no journal; restore a backup");
      }
      journal->second.branches.push_back({*entry, static_cast<std::uint64_t>(statement->Int(2)),
                                          static_cast<std::uint64_t>(statement->Int(3)),
                                          TimeMs{static_cast<std::uint64_t>(statement->Int(4))},
                                          static_cast<std::uint64_t>(statement->Int(5))});
    }
  }
  {
    STAFFEL_TRY(statement, reader_.Get("SELECT audience, bucket, sum FROM digest"));
    const sqlite::StatementScope scope(*statement);
    for (;;) {
      STAFFEL_TRY(row, statement->Step());
      if (!row) break;
      cache_.buckets[{statement->Int(0), static_cast<std::size_t>(statement->Int(1))}].sum =
          Hash::From(statement->Blob(2)).value_or(Hash());
    }
  }
  STAFFEL_TRY(arrival, database_.QueryInt("SELECT IFNULL(MAX(arrival), 0) FROM entry"));
  STAFFEL_TRY(record, database_.QueryInt("SELECT IFNULL(MAX(number), 0) FROM record"));
  STAFFEL_TRY(missing, database_.QueryInt("SELECT EXISTS (SELECT 1 FROM missing)"));
  STAFFEL_TRY(ops, database_.QueryInt("SELECT EXISTS (SELECT 1 FROM op)"));
  STAFFEL_TRY(receipts, database_.QueryInt("SELECT EXISTS (SELECT 1 FROM receipt_missing)"));
  cache_.changes.clear();
  {
    STAFFEL_TRY(statement,
                reader_.Get("SELECT number, (SELECT MAX(changed) FROM record r WHERE r.audience = "
                            "a.number) FROM audience a"));
    const sqlite::StatementScope scope(*statement);
    for (;;) {
      STAFFEL_TRY(row, statement->Step());
      if (!row) break;
      cache_.changes[statement->Int(0)] = static_cast<std::uint64_t>(statement->Int(1));
    }
  }
  cache_.last_arrival = static_cast<std::uint64_t>(arrival);
  cache_.last_record = record;
  cache_.any_missing = missing != 0;
  cache_.any_ops = ops != 0;
  cache_.any_receipt_missing = receipts != 0;
  STAFFEL_TRY(statement, reader_.Get("SELECT value FROM meta WHERE key = ?"));
  statement->BindText(1, kMetaRevision);
  const sqlite::StatementScope scope(*statement);
  STAFFEL_TRY(row, statement->Step());
  ByteView revision = row ? statement->Blob(0) : ByteView();
  cache_.revision = TakeVarint(revision).value_or(0);
  cache_.journals_changed = true;
  return LoadErasures();
}

Status Writer::LoadCharter() {
  std::optional<ConferenceId> conference;
  {
    STAFFEL_TRY(statement, reader_.Get("SELECT value FROM meta WHERE key = ?"));
    statement->BindText(1, kMetaConference);
    const sqlite::StatementScope scope(*statement);
    STAFFEL_TRY(row, statement->Step());
    if (row) conference = ConferenceId::From(statement->Blob(0));
  }
  if (!conference) return {};
  auto tree = std::make_shared<charter::CharterTree>(*conference);
  {
    STAFFEL_TRY(statement, reader_.Get("SELECT header FROM charter_entry ORDER BY arrival"));
    const sqlite::StatementScope scope(*statement);
    for (;;) {
      STAFFEL_TRY(row, statement->Step());
      if (!row) break;
      auto entry = MakeEntry(Bytes(statement->Blob(0)));
      // What the tree has dropped since, or a later version refuses, rests in the file without
      // effect: it must not keep the node from starting.
      if (entry) (void)tree->Add(std::move(*entry));
    }
  }
  {
    STAFFEL_TRY(statement,
                reader_.Get("SELECT entry, kind, key, signature FROM charter_signature"));
    const sqlite::StatementScope scope(*statement);
    for (;;) {
      STAFFEL_TRY(row, statement->Step());
      if (!row) break;
      const auto signed_entry = EntryId::From(statement->Blob(0));
      auto key = crypto::PublicKey::From(statement->Blob(2));
      if (!signed_entry || !key) continue;
      (void)tree->AddSignature(*signed_entry,
                               {static_cast<charter::CharterSignature::Kind>(statement->Int(1)),
                                std::move(*key), Bytes(statement->Blob(3))});
    }
  }
  cache_.authority = tree->InForce().authority;
  cache_.tree = std::move(tree);
  return {};
}

Status Writer::Flush() {
  for (const auto& [journal, last] : unsigned_) STAFFEL_CHECK(Sign(last.arrival, last.entry));
  unsigned_.clear();
  for (std::int64_t number : cache_.dirty_journals) {
    STAFFEL_TRY(remove, reader_.Get("DELETE FROM branch WHERE journal = ?"));
    remove->Bind(1, number);
    STAFFEL_CHECK(remove->Run());
    for (const auto& branch : cache_.journals.Get(number).branches) {
      STAFFEL_TRY(
          insert,
          reader_.Get("INSERT INTO branch (journal, entry, seq, arrival, time_ms, last_act) "
                      "VALUES (?, ?, ?, ?, ?, ?)"));
      insert->Bind(1, number);
      insert->BindBlob(2, branch.entry.bytes());
      insert->Bind(3, static_cast<std::int64_t>(branch.seq));
      insert->Bind(4, static_cast<std::int64_t>(branch.arrival));
      insert->Bind(5, StoredTime(branch.greatest));
      insert->Bind(6, static_cast<std::int64_t>(branch.last_act));
      STAFFEL_CHECK(insert->Run());
    }
  }
  cache_.dirty_journals.clear();
  for (auto& [key, bucket] : cache_.buckets) {
    if (!bucket.dirty) continue;
    STAFFEL_TRY(upsert,
                reader_.Get("INSERT INTO digest (audience, bucket, sum) VALUES (?, ?, ?) "
                            "ON CONFLICT (audience, bucket) DO UPDATE SET sum = excluded.sum"));
    upsert->Bind(1, key.first);
    upsert->Bind(2, static_cast<std::int64_t>(key.second));
    upsert->BindBlob(3, bucket.sum.bytes());
    STAFFEL_CHECK(upsert->Run());
    bucket.dirty = false;
  }
  STAFFEL_TRY(meta, reader_.Get("INSERT INTO meta (key, value) VALUES (?, ?) "
                                "ON CONFLICT (key) DO UPDATE SET value = excluded.value"));
  const Bytes revision = NumberBytes(cache_.revision);
  meta->BindText(1, kMetaRevision);
  meta->BindBlob(2, revision);
  return meta->Run();
}

// ---------------------------------------------------------------------------------------------
// Signatures

Status Writer::SignLater(const JournalInfo& journal, std::uint64_t arrival, const Entry& entry) {
  Unsigned& last = unsigned_[journal.number];
  last.arrival = arrival;
  last.entry = entry.id;
  last.bytes += entry.header_bytes.size();
  for (const auto& payload : entry.payloads) {
    if (payload) last.bytes += payload->size();
  }
  if (last.bytes < kUnsignedBytesMax) return {};
  STAFFEL_CHECK(Sign(last.arrival, last.entry));
  unsigned_.erase(journal.number);
  return {};
}

Status Writer::Sign(std::uint64_t arrival, const EntryId& entry) {
  STAFFEL_TRY(update, reader_.Get("UPDATE entry SET signature = ? WHERE arrival = ?"));
  const Bytes signature = SignatureOf(entry, key_);
  update->BindBlob(1, signature);
  update->Bind(2, static_cast<std::int64_t>(arrival));
  return update->Run();
}

// ---------------------------------------------------------------------------------------------
// Journals

Result<std::int64_t> Writer::AudienceNumber(const AudienceId& audience) {
  const auto found = cache_.journals.audiences.find(audience);
  if (found != cache_.journals.audiences.end()) return found->second;
  wrote_ = true;
  STAFFEL_TRY(insert, reader_.Get("INSERT INTO audience (id) VALUES (?)"));
  insert->BindBlob(1, audience.bytes());
  STAFFEL_CHECK(insert->Run());
  const std::int64_t number = database_.LastInsertRowId();
  cache_.journals.audiences[audience] = number;
  cache_.journals.audience_ids[number] = audience;
  cache_.journals_changed = true;
  return number;
}

Result<JournalInfo*> Writer::CreateJournal(const Entry& opening, bool current) {
  const auto& open = std::get<OpenBody>(opening.header.body);
  STAFFEL_TRY(audience, AudienceNumber(open.audience));
  JournalInfo journal;
  journal.id = opening.id;
  journal.open = open;
  journal.audience = open.audience;
  journal.audience_number = audience;
  journal.own = IsOwn(open.key);
  journal.opaque = opening.header.opaque;
  journal.verdict = VerdictOf(journal.id, open);
  STAFFEL_TRY(
      insert,
      reader_.Get(
          "INSERT INTO journal (id, audience, header, reason, current) VALUES (?, ?, ?, ?, ?)"));
  insert->BindBlob(1, opening.id.bytes());
  insert->Bind(2, audience);
  insert->BindBlob(3, opening.header_bytes);
  insert->Bind(4, static_cast<std::int64_t>(journal.verdict.reason));
  insert->Bind(5, current ? 1 : 0);
  STAFFEL_CHECK(insert->Run());
  journal.number = database_.LastInsertRowId();
  if (current) cache_.current[{audience, open.lane}] = journal.number;
  cache_.journals.by_id[journal.id] = journal.number;
  JournalInfo& stored = cache_.journals.by_number[journal.number];
  stored = std::move(journal);
  cache_.journals_changed = true;
  STAFFEL_TRY(arrival, Append(stored, opening, /*fork=*/0, Judge(stored, opening)));
  stored.branches.push_back(Longer(stored, {}, opening, arrival));
  return &stored;
}

Result<JournalInfo*> Writer::OwnJournal(const AudienceId& audience, const Lane& lane) {
  STAFFEL_TRY(number, AudienceNumber(audience));
  const auto current = cache_.current.find({number, lane});
  if (current != cache_.current.end()) {
    JournalInfo& journal = cache_.journals.by_number.at(current->second);
    // A cut or forked journal is not gone on with: what follows would be void, or ambiguous.
    if (journal.verdict.valid() && !journal.verdict.named_by_cut && journal.branches.size() == 1)
      return &journal;
    wrote_ = true;
    STAFFEL_TRY(update, reader_.Get("UPDATE journal SET current = 0 WHERE number = ?"));
    update->Bind(1, journal.number);
    STAFFEL_CHECK(update->Run());
    cache_.current.erase(current);
  }
  Header header;
  header.time = clock_.Now();
  header.body = OpenBody{cache_.authority->conference(), key_.public_key(), audience, lane,
                         random_.DrawId<Nonce>()};
  return CreateJournal(SignEntry(std::move(header), {}, key_), /*current=*/true);
}

charter::Reason Writer::Judge(const JournalInfo& journal, const Entry& entry) {
  if (journal.opaque) return charter::Reason::kNewerFormat;
  const charter::Reason reason = charter::JudgeHeader(journal.verdict, entry.header);
  // In a cut journal an entry counts for nothing until the whole journal is judged, at the end of
  // the run that brought it.
  return reason == charter::Reason::kValid && journal.verdict.cut ? charter::Reason::kAfterCut
                                                                  : reason;
}

Result<std::uint64_t> Writer::Append(JournalInfo& journal, const Entry& entry, std::uint64_t fork,
                                     charter::Reason reason) {
  wrote_ = true;
  const std::uint64_t arrival = ++cache_.last_arrival;
  STAFFEL_TRY(insert, reader_.Get("INSERT INTO entry (arrival, journal, seq, fork, reason, id, "
                                  "header, payloads, signature) "
                                  "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"));
  Bytes packed;
  insert->Bind(1, static_cast<std::int64_t>(arrival));
  insert->Bind(2, journal.number);
  insert->Bind(3, static_cast<std::int64_t>(entry.header.seq));
  insert->Bind(4, static_cast<std::int64_t>(fork));
  insert->Bind(5, static_cast<std::int64_t>(reason));
  insert->BindBlob(6, entry.id.bytes());
  insert->BindBlob(7, entry.header_bytes);
  if (entry.payloads.empty()) {
    insert->BindNull(8);
  } else {
    packed = PackPayloads(entry.payloads);
    insert->BindBlob(8, packed);
  }
  if (entry.signature.empty()) {
    insert->BindNull(9);
  } else {
    insert->BindBlob(9, entry.signature);
  }
  STAFFEL_CHECK(insert->Run());
  if (entry.header.op) {
    STAFFEL_TRY(op, reader_.Get("INSERT INTO op (op, arrival) VALUES (?, ?)"));
    op->BindBlob(1, entry.header.op->bytes());
    op->Bind(2, static_cast<std::int64_t>(arrival));
    STAFFEL_CHECK(op->Run());
    cache_.any_ops = true;
  }
  if (const auto* disclosure = std::get_if<DisclosureBody>(&entry.header.body);
      disclosure != nullptr && !entry.header.opaque) {
    STAFFEL_CHECK(TakeDisclosure(journal, *disclosure));
  }
  cache_.dirty_journals.insert(journal.number);
  STAFFEL_CHECK(TakeReceiptMissing(journal, entry, arrival));
  if (reason == charter::Reason::kNewerFormat) STAFFEL_CHECK(NoteOpaque(journal, entry, arrival));
  STAFFEL_CHECK(IndexBlobs(journal, entry, arrival));
  return arrival;
}

Result<std::optional<std::uint64_t>> Writer::FindEntry(const JournalInfo& journal,
                                                       std::uint64_t seq, const EntryId& id) {
  for (const auto& branch : journal.branches) {
    if (branch.entry == id && branch.seq == seq)
      return std::optional<std::uint64_t>(branch.arrival);
  }
  STAFFEL_TRY(statement,
              reader_.Get("SELECT arrival, id FROM entry WHERE journal = ? AND seq = ?"));
  statement->Bind(1, journal.number);
  statement->Bind(2, static_cast<std::int64_t>(seq));
  const sqlite::StatementScope scope(*statement);
  for (;;) {
    STAFFEL_TRY(row, statement->Step());
    if (!row) return std::optional<std::uint64_t>();
    if (statement->Blob(1) == id.bytes())
      return std::optional<std::uint64_t>(static_cast<std::uint64_t>(statement->Int(0)));
  }
}

// ---------------------------------------------------------------------------------------------
// Fold and project

Status Writer::Fold(const JournalInfo& journal, TouchRow& touch) {
  if (std::holds_alternative<ReceiptBody>(touch.row.entry.header.body)) {
    return TakeReceipt(journal, touch.row);
  }
  const auto* write = std::get_if<WriteBody>(&touch.row.entry.header.body);
  if (write == nullptr || touch.row.reason == charter::Reason::kNewerFormat) return {};
  for (const auto& [kind, id] : RecordsOf(*write)) {
    touch.slice = SliceOf(*write, kind, id);
    STAFFEL_CHECK(FoldPart(journal, touch, kind, id));
  }
  return {};
}

Status Writer::FoldPart(const JournalInfo& journal, TouchRow& touch, std::uint32_t kind,
                        const RecordId& id) {
  STAFFEL_TRY(named_before, TakeMissing(touch.row.entry.id));
  STAFFEL_TRY(repeats, HasRepeats(journal, touch.row.entry));
  touch.erased = std::any_of(touch.slice.parts.begin(), touch.slice.parts.end(),
                             [&](std::size_t part) { return !touch.row.entry.payloads[part]; });
  // Whoever names no earlier change makes a record, nearly always: then it is not looked for first.
  const bool seems_new =
      std::all_of(touch.slice.changes.begin(), touch.slice.changes.end(),
                  [](const auto& change) { return change.change->parents.empty(); });
  std::optional<RecordRow> found;
  if (!seems_new) {
    STAFFEL_TRY(held, reader_.FindRecord(journal.audience_number, kind, id));
    found = std::move(held);
  }
  if (!found) {
    STAFFEL_TRY(created, CreateRecord(journal, touch, kind, id, named_before, repeats));
    if (created) return {};
    STAFFEL_TRY(held, reader_.FindRecord(journal.audience_number, kind, id));
    found = std::move(held);
  }
  RecordRow& record = *found;
  const fold::Touch change = touch.ToTouch(journal);
  FillContents(touch);
  STAFFEL_TRY(state, reader_.StateOf(record));
  const Hash before = state.Leaf(journal.audience, kind, id);
  STAFFEL_TRY(insert, reader_.Get("INSERT OR IGNORE INTO touch (record, arrival) VALUES (?, ?)"));
  insert->Bind(1, record.number);
  insert->Bind(2, static_cast<std::int64_t>(touch.row.arrival));
  STAFFEL_CHECK(insert->Run());
  if (repeats) record.flags |= kFlagRepeats;
  fold::RecordHeads heads = state.ToHeads();
  bool whole =
      (named_before || (record.flags & kFlagRepeats) != 0) && !STAFFEL_MUTATION(kExtendOnly);
  whole = whole || STAFFEL_MUTATION(kCoverByClock);
  // Parents that are not heads of their cell: covered already, invalid (then what they cover may
  // change), or missing.
  std::vector<EntryId> others;
  for (const auto& cell : change.cells) {
    const auto at =
        std::lower_bound(heads.begin(), heads.end(), cell.cell,
                         [](const fold::CellHeads& a, const Cell& b) { return a.cell < b; });
    for (const EntryId& parent : cell.parents) {
      if (at == heads.end() || at->cell != cell.cell ||
          std::find(at->heads.begin(), at->heads.end(), parent) == at->heads.end()) {
        others.push_back(parent);
      }
    }
  }
  if (!others.empty()) {
    STAFFEL_TRY(known,
                reader_.Get("SELECT e.id, e.reason FROM entry e WHERE e.arrival = ?1 UNION ALL "
                            "SELECT e.id, e.reason FROM touch t JOIN entry e ON e.arrival = "
                            "t.arrival WHERE t.record = ?2"));
    known->Bind(1, static_cast<std::int64_t>(record.first_entry));
    known->Bind(2, record.number);
    std::unordered_map<EntryId, bool> valid;
    {
      const sqlite::StatementScope scope(*known);
      for (;;) {
        STAFFEL_TRY(row, known->Step());
        if (!row) break;
        valid[*EntryId::From(known->Blob(0))] = known->Int(1) == 0;
      }
    }
    for (const EntryId& parent : others) {
      const auto held = valid.find(parent);
      if (held != valid.end()) {
        whole = whole || !held->second;
        continue;
      }
      if (STAFFEL_MUTATION(kForgetMissing)) continue;
      STAFFEL_TRY(remember,
                  reader_.Get("INSERT OR IGNORE INTO missing (parent, record) VALUES (?, ?)"));
      remember->BindBlob(1, parent.bytes());
      remember->Bind(2, record.number);
      STAFFEL_CHECK(remember->Run());
      cache_.any_missing = true;
    }
  }
  if (whole) return Refold(record, before);
  if (!change.valid) return {};
  fold::Extend(heads, change);
  // Keep the sources that still have a head, and the new one.
  std::map<EntryId, StoredState::Source> sources;
  for (const auto& source : state.sources) sources[source.entry] = source;
  sources[change.entry] = {change.entry, touch.row.arrival, touch.erased};
  StoredState next;
  next.created = state.created;
  next.changed = state.changed;
  next.AddTime(touch.row.entry.header.time);
  std::map<EntryId, std::uint32_t> used;
  for (const auto& cell : heads) {
    for (const EntryId& head : cell.heads) used[head] = 0;
  }
  for (auto& [entry, index] : used) {
    index = static_cast<std::uint32_t>(next.sources.size());
    next.sources.push_back(sources.at(entry));
  }
  for (const auto& cell : heads) {
    auto& target = next.cells.emplace_back(StoredState::CellHeads{cell.cell, {}});
    for (const EntryId& head : cell.heads) target.heads.push_back(used.at(head));
  }
  ChangeLeaf(journal.audience_number, id, before, next.Leaf(journal.audience, kind, id));
  return StoreRecord(record, next, &touch);
}

Result<bool> Writer::CreateRecord(const JournalInfo& journal, TouchRow& touch, std::uint32_t kind,
                                  const RecordId& id, bool named_before, bool repeats) {
  RecordRow record;
  record.number = cache_.last_record + 1;
  record.audience = journal.audience_number;
  record.kind = kind;
  record.id = id;
  record.first_entry = touch.row.arrival;
  record.changed = cache_.changes[record.audience] + 1;
  if (repeats) record.flags |= kFlagRepeats;
  STAFFEL_TRY(insert, reader_.Get("INSERT INTO record (number, audience, kind, id, first_entry, "
                                  "changed, flags, conflicts, state, row) "
                                  "VALUES (?, ?, ?, ?, ?, ?, ?, 0, NULL, NULL) "
                                  "ON CONFLICT (id, kind, audience) DO NOTHING"));
  insert->Bind(1, record.number);
  insert->Bind(2, record.audience);
  insert->Bind(3, kind);
  insert->BindBlob(4, id.bytes());
  insert->Bind(5, static_cast<std::int64_t>(record.first_entry));
  insert->Bind(6, static_cast<std::int64_t>(record.changed));
  insert->Bind(7, record.flags);
  STAFFEL_CHECK(insert->Run());
  if (database_.Changes() == 0) return false;
  cache_.last_record = record.number;
  cache_.changes[record.audience] = record.changed;
  const auto& parents = std::get<WriteBody>(touch.row.entry.header.body).parents;
  for (const auto& change : touch.slice.changes) {
    if (STAFFEL_MUTATION(kForgetMissing)) break;
    for (std::uint32_t parent : change.change->parents) {
      STAFFEL_TRY(remember,
                  reader_.Get("INSERT OR IGNORE INTO missing (parent, record) VALUES (?, ?)"));
      remember->BindBlob(1, parents[parent].bytes());
      remember->Bind(2, record.number);
      STAFFEL_CHECK(remember->Run());
      cache_.any_missing = true;
    }
  }
  const bool plain = !named_before && !repeats && touch.row.reason == charter::Reason::kValid &&
                     !touch.erased && !touch.slice.changes.empty() &&
                     !Touches(touch.slice, DeletedCell());
  if (!plain) {
    STAFFEL_CHECK(Refold(record, Hash()));
    return true;
  }
  // The common case: heads and row stay where they are, in the entry.
  std::vector<const Cell*> cells;
  cells.reserve(touch.slice.changes.size());
  for (const auto& change : touch.slice.changes) cells.push_back(&change.change->cell);
  std::sort(cells.begin(), cells.end(), [](const Cell* a, const Cell* b) { return *a < *b; });
  LeafBuilder leaf(journal.audience, kind, id);
  for (const Cell* cell : cells) {
    leaf.BeginCell(*cell, 1);
    leaf.AddHead(touch.row.entry.id, /*erased=*/false);
  }
  ChangeLeaf(record.audience, id, Hash(), leaf.Finish());
  return true;
}

Status Writer::StoreRecord(RecordRow& record, const StoredState& state, const TouchRow* fresh) {
  const RecordHistory history(reader_, cache_.journals, record);
  STAFFEL_TRY(values, LoadState(reader_, cache_.journals, record, state, fresh));
  projection::Projection projected;
  record.flags &= kFlagRepeats;
  if (values.cells.empty()) {
    record.flags |= kFlagHidden;
  } else {
    projected = projection::Project(values, history);
    STAFFEL_CHECK(history.status());
    if (projected.deleted) record.flags |= kFlagDeleted;
    if (projected.erased) record.flags |= kFlagErased;
  }
  record.conflicts = projected.conflicts.size();
  record.changed = ++cache_.changes[record.audience];
  const Bytes encoded = EncodeState(state);
  STAFFEL_TRY(update, reader_.Get("UPDATE record SET changed = ?, flags = ?, conflicts = ?, state "
                                  "= ?, row = ? WHERE number = ?"));
  update->Bind(1, static_cast<std::int64_t>(record.changed));
  update->Bind(2, record.flags);
  update->Bind(3, static_cast<std::int64_t>(record.conflicts));
  update->BindBlob(4, encoded);
  update->BindBlob(5, projected.row);
  update->Bind(6, record.number);
  return update->Run();
}

Result<StoredState> Writer::FoldFromJournal(RecordRow& record) {
  STAFFEL_TRY(arrivals, reader_.Touches(record));
  std::vector<fold::Touch> touches;
  std::map<EntryId, StoredState::Source> sources;
  std::set<fold::RepeatKey> repeats;
  std::map<EntryId, TimeMs> times;  // only for a deliberate fault
  StoredState state;
  for (std::uint64_t arrival : arrivals) {
    STAFFEL_TRY(touch, reader_.GetTouch(arrival, record.kind, record.id));
    sources[touch.row.entry.id] = {touch.row.entry.id, arrival, touch.erased};
    if (STAFFEL_MUTATION(kCoverByClock)) times[touch.row.entry.id] = touch.row.entry.header.time;
    if (touch.row.reason == charter::Reason::kValid) state.AddTime(touch.row.entry.header.time);
    touches.push_back(touch.ToTouch(cache_.journals.Get(touch.row.journal)));
    // A charter may make repeats of entries that were none when they came.
    if (touches.back().repeat && !repeats.insert(*touches.back().repeat).second) {
      record.flags |= kFlagRepeats;
    }
  }
  fold::RecordHeads heads = fold::FoldRecord(touches);
  if (STAFFEL_MUTATION(kCoverByClock)) {
    for (auto& cell : heads) {
      const auto later = [&](const EntryId& a, const EntryId& b) {
        return times.at(a) < times.at(b);
      };
      cell.heads = {*std::max_element(cell.heads.begin(), cell.heads.end(), later)};
    }
  }
  std::map<EntryId, std::uint32_t> used;
  for (const auto& cell : heads) {
    for (const EntryId& head : cell.heads) used[head] = 0;
  }
  for (auto& [entry, index] : used) {
    index = static_cast<std::uint32_t>(state.sources.size());
    state.sources.push_back(sources.at(entry));
  }
  for (const auto& cell : heads) {
    auto& target = state.cells.emplace_back(StoredState::CellHeads{cell.cell, {}});
    for (const EntryId& head : cell.heads) target.heads.push_back(used.at(head));
  }
  return state;
}

Status Writer::Refold(RecordRow& record, const Hash& old_leaf) {
  STAFFEL_TRY(state, FoldFromJournal(record));
  const AudienceId& audience = cache_.journals.AudienceOf(record.audience);
  ChangeLeaf(record.audience, record.id, old_leaf, state.Leaf(audience, record.kind, record.id));
  return StoreRecord(record, state, nullptr);
}

Result<bool> Writer::TakeMissing(const EntryId& entry) {
  if (!cache_.any_missing) return false;
  STAFFEL_TRY(statement, reader_.Get("SELECT EXISTS (SELECT 1 FROM missing WHERE parent = ?)"));
  statement->BindBlob(1, entry.bytes());
  const sqlite::StatementScope scope(*statement);
  STAFFEL_TRY(row, statement->Step());
  // The rows stay: an entry of several records is asked for once a record, and a name is for ever.
  return row && statement->Int(0) != 0;
}

Result<bool> Writer::HasRepeats(const JournalInfo& journal, const Entry& entry) {
  if (!entry.header.op || !cache_.any_ops) return false;
  STAFFEL_TRY(statement,
              reader_.Get("SELECT e.id, e.journal FROM op o JOIN entry e ON e.arrival = o.arrival "
                          "WHERE o.op = ?"));
  statement->BindBlob(1, entry.header.op->bytes());
  const sqlite::StatementScope scope(*statement);
  for (;;) {
    STAFFEL_TRY(row, statement->Step());
    if (!row) return false;
    if (statement->Blob(0) == entry.id.bytes()) continue;
    const JournalInfo& other = cache_.journals.Get(statement->Int(1));
    if (other.verdict.member == journal.verdict.member) return true;
  }
}

void Writer::ChangeLeaf(std::int64_t audience, const RecordId& record, const Hash& before,
                        const Hash& after) {
  if (before == after) return;
  auto& bucket = cache_.buckets[{audience, BucketOf(record)}];
  if (!STAFFEL_MUTATION(kKeepOldLeaf)) TakeFrom(bucket.sum, before);
  AddTo(bucket.sum, after);
  bucket.dirty = true;
}

// ---------------------------------------------------------------------------------------------
// Own edits

Result<std::optional<Applied>> Writer::FindRepeat(const OpId& op, const MemberId& member,
                                                  const AudienceId& audience, Outcome outcome) {
  if (!cache_.any_ops || STAFFEL_MUTATION(kRepeatOp)) return std::optional<Applied>();
  STAFFEL_TRY(statement,
              reader_.Get("SELECT e.id, e.journal, e.header FROM op o JOIN entry e ON e.arrival = "
                          "o.arrival WHERE o.op = ? ORDER BY e.arrival"));
  statement->BindBlob(1, op.bytes());
  const sqlite::StatementScope scope(*statement);
  std::optional<Applied> applied;
  std::optional<Applied> rejected;
  bool elsewhere = false;
  for (;;) {
    STAFFEL_TRY(row, statement->Step());
    if (!row) break;
    const JournalInfo& journal = cache_.journals.Get(statement->Int(1));
    if (journal.verdict.member != member) continue;
    if (journal.audience != audience) {
      elsewhere = true;
      continue;
    }
    const auto header = ParseHeader(statement->Blob(2));
    const auto* write = header ? std::get_if<WriteBody>(&header->body) : nullptr;
    auto& repeat = write != nullptr && write->records.empty() ? rejected : applied;
    if (!repeat) {
      repeat = Applied{*EntryId::From(statement->Blob(0)), /*repeated=*/true, cache_.revision};
    }
  }
  // Applied on one replica and rejected on another, before they met: then it is applied.
  if (applied && outcome == Outcome::kRejected) {
    return Fail(ErrorCode::kExists, "this change has been applied: it is not rejected any more");
  }
  if (!applied && rejected && outcome == Outcome::kApplied) {
    return Fail(ErrorCode::kConflict,
                "this change was rejected before, which is final: make it anew");
  }
  if (!applied && !rejected && elsewhere) {
    return Fail(ErrorCode::kConflict,
                "this change was made in another audience before; one change has one audience");
  }
  return applied ? applied : rejected;
}

Status Writer::CheckParents(const RecordEdit& record, std::int64_t audience,
                            const std::vector<EntryId>& parents) {
  if (parents.empty()) return {};
  STAFFEL_TRY(foreign,
              reader_.Get("SELECT number, audience, kind, id, first_entry, changed, flags, "
                          "conflicts, state, row FROM record "
                          "WHERE id = ? AND kind = ? AND audience != ?"));
  foreign->BindBlob(1, record.record.bytes());
  foreign->Bind(2, record.kind);
  foreign->Bind(3, audience);
  std::vector<RecordRow> others;
  {
    const sqlite::StatementScope scope(*foreign);
    for (;;) {
      STAFFEL_TRY(row, foreign->Step());
      if (!row) break;
      others.push_back(TableReader::ReadRecord(*foreign));
    }
  }
  for (const RecordRow& other : others) {
    STAFFEL_TRY(arrivals, reader_.Touches(other));
    for (std::uint64_t arrival : arrivals) {
      STAFFEL_TRY(entry, reader_.GetEntry(arrival));
      if (std::find(parents.begin(), parents.end(), entry.entry.id) == parents.end()) continue;
      return Fail(
          ErrorCode::kInvalid,
          "the edit names a change of record {} in another audience, which would tell of it",
          record.record.Hex());
    }
  }
  return {};
}

Result<RecordPart> Writer::MakePart(const Edit& edit, const RecordEdit& record,
                                    std::int64_t audience, WriteBody& body,
                                    std::unordered_map<EntryId, std::uint32_t>& parent_index,
                                    std::vector<std::optional<Bytes>>& payloads) {
  STAFFEL_TRY(found, reader_.FindRecord(audience, record.kind, record.record));
  const bool exists = found && (found->flags & kFlagHidden) == 0;
  const auto* kind = record::Kinds().Find(record.kind);
  const auto name = [&] {
    return fmt::format("{} {}", kind == nullptr ? "record" : kind->name, record.record.Hex());
  };
  if (record.mode == RecordEdit::Mode::kCreate && exists) {
    return Fail(ErrorCode::kExists, "{} is here already: change it in place of adding it", name());
  }
  if (record.mode != RecordEdit::Mode::kCreate && !exists) {
    return Fail(ErrorCode::kNotFound, "{} is not in this audience here", name());
  }
  StoredState state;
  if (found) {
    STAFFEL_TRY(loaded, reader_.StateOf(*found));
    state = std::move(loaded);
  }
  const bool takes_cells =
      record.mode == RecordEdit::Mode::kCreate || record.mode == RecordEdit::Mode::kChange;
  if (!takes_cells && !record.cells.empty()) {
    return Fail(ErrorCode::kInvalid, "deleting or restoring {} takes no other changes", name());
  }
  RecordPart part;
  part.kind = record.kind;
  part.record = record.record;
  PayloadContent content;
  content.author = edit.author;
  const auto add = [&](const Cell& cell, std::vector<EntryId> parents, std::optional<Bytes> value) {
    if (!parents.empty() && STAFFEL_MUTATION(kDropParent)) parents.pop_back();
    if (value && STAFFEL_MUTATION(kWrongValue)) value->back() ^= 1;
    CellChange change;
    change.cell = cell;
    for (const EntryId& parent : parents) {
      const auto [at, fresh] =
          parent_index.emplace(parent, static_cast<std::uint32_t>(body.parents.size()));
      if (fresh) body.parents.push_back(parent);
      if (std::find(change.parents.begin(), change.parents.end(), at->second) ==
          change.parents.end()) {
        change.parents.push_back(at->second);
      }
    }
    part.changes.push_back(std::move(change));
    content.values.push_back(value);
  };
  const auto heads_of = [&](const Cell& cell) -> const StoredState::CellHeads* {
    const auto at =
        std::lower_bound(state.cells.begin(), state.cells.end(), cell,
                         [](const StoredState::CellHeads& a, const Cell& b) { return a.cell < b; });
    return at == state.cells.end() || at->cell != cell ? nullptr : &*at;
  };
  switch (record.mode) {
    case RecordEdit::Mode::kDelete: {
      // Names every head of every cell: a later reader knows which edits the deletion knew of.
      std::vector<EntryId> all;
      for (const auto& source : state.sources) all.push_back(source.entry);
      if (all.size() > kParentsMax) {
        return Fail(ErrorCode::kTooLarge,
                    "{} has {} heads; a deletion can name {}: decide its conflicts first", name(),
                    all.size(), kParentsMax);
      }
      add(DeletedCell(), all, DeletedValue());
      break;
    }
    case RecordEdit::Mode::kRestore: {
      std::vector<EntryId> parents;
      if (const auto* heads = heads_of(DeletedCell())) {
        for (std::uint32_t index : heads->heads) parents.push_back(state.sources[index].entry);
      }
      if (parents.empty()) return Fail(ErrorCode::kInvalid, "{} is not deleted", name());
      add(DeletedCell(), parents, std::nullopt);
      break;
    }
    case RecordEdit::Mode::kCreate:
    case RecordEdit::Mode::kChange: {
      std::optional<projection::RecordState> values;
      for (const CellEdit& cell : record.cells) {
        if (cell.parents) {
          STAFFEL_CHECK(CheckParents(record, audience, *cell.parents));
          std::vector<EntryId> shown = *cell.parents;
          if (const auto* all = heads_of(cell.cell); all != nullptr &&
                                                     all->heads.size() > shown.size() &&
                                                     STAFFEL_MUTATION(kSilentDecision)) {
            for (std::uint32_t index : all->heads) shown.push_back(state.sources[index].entry);
          }
          add(cell.cell, std::move(shown), cell.value);
          continue;
        }
        std::vector<EntryId> parents;
        const auto* heads = heads_of(cell.cell);
        if (heads != nullptr) {
          for (std::uint32_t index : heads->heads) parents.push_back(state.sources[index].entry);
        }
        if (parents.size() > 1) {
          if (!values) {
            STAFFEL_TRY(loaded, LoadState(reader_, cache_.journals, *found, state));
            values = std::move(loaded);
          }
          const auto& cells = values->cells;
          const auto& competing = cells[static_cast<std::size_t>(heads - state.cells.data())].heads;
          std::set<std::optional<Bytes>> distinct;
          for (const auto& head : competing) {
            if (!head.erased) distinct.insert(head.value);
          }
          if (distinct.size() > 1) {
            return Fail(ErrorCode::kConflict,
                        "{} has {} competing values in this field: decide the conflict first "
                        "('staffel conflicts')",
                        name(), distinct.size());
          }
        }
        add(cell.cell, parents, cell.value);
      }
      break;
    }
  }
  if (part.changes.empty())
    return Fail(ErrorCode::kInvalid, "the edit of {} changes nothing", name());
  Bytes payload = SerializePayload(content, random_);
  if (payload.size() > kPayloadBytesMax) {
    return Fail(ErrorCode::kTooLarge,
                "{} has {} bytes of text and values; {} are allowed in one change", name(),
                payload.size(), kPayloadBytesMax);
  }
  part.commitment = crypto::HashPayload(payload);
  payloads.emplace_back(std::move(payload));
  return part;
}

Result<Writer::Capacity> Writer::OwnCapacity(const AudienceId& id) {
  if (!cache_.authority) {
    return Fail(ErrorCode::kDenied,
                "this node belongs to no conference yet: found one ('staffel found') or join one "
                "('staffel join')");
  }
  const auto& authority = *cache_.authority;
  const auto member = authority.MemberOfKey(key_.public_key());
  if (!member || !authority.IsCurrentKey(key_.public_key())) {
    return Fail(ErrorCode::kDenied,
                "this node's key is not in the charter: its joining is not approved yet, or it was "
                "removed");
  }
  const auto* audience = authority.FindAudience(id);
  if (audience == nullptr) return Fail(ErrorCode::kNotFound, "there is no audience {}", id.Hex());
  return Capacity{*member, audience};
}

Status Writer::CheckWrites(const Capacity& capacity) {
  const auto& [member, audience] = capacity;
  if (cache_.authority->Writes(member, audience->id)) return {};
  const std::string name = audience->name.empty() ? audience->id.Hex() : audience->name;
  if (!cache_.authority->Reads(member, audience->id)) {
    return Fail(ErrorCode::kDenied, "the audience {} is not one of {}'s: choose another", name,
                member.text());
  }
  return Fail(ErrorCode::kDenied, "{} may read the audience {}, not write in it", member.text(),
              name);
}

Result<Applied> Writer::Reject(const AudienceId& audience, const OpId& op) {
  STAFFEL_TRY(capacity, OwnCapacity(audience));
  STAFFEL_TRY(repeat, FindRepeat(op, capacity.member, audience, Outcome::kRejected));
  if (repeat) return *repeat;
  STAFFEL_CHECK(CheckWrites(capacity));
  Header header;
  header.time = clock_.Now();
  header.op = op;
  header.body = WriteBody();
  return WriteOwn(audience, Lane{}, std::move(header), {});
}

Result<Applied> Writer::Apply(const Edit& edit, const std::set<RecordId>& along) {
  STAFFEL_TRY(capacity, OwnCapacity(edit.audience));
  const auto& authority = *cache_.authority;
  const MemberId& member = capacity.member;
  const charter::Audience* audience = capacity.audience;
  if (edit.op) {
    STAFFEL_TRY(repeat, FindRepeat(*edit.op, member, edit.audience, Outcome::kApplied));
    if (repeat) return *repeat;
  }
  if (edit.records.empty() || edit.records.size() > kRecordPartsMax) {
    return Fail(edit.records.empty() ? ErrorCode::kInvalid : ErrorCode::kTooLarge,
                "one change concerns 1 to {} records, this one {}", kRecordPartsMax,
                edit.records.size());
  }
  STAFFEL_CHECK(CheckVersion(edit));
  bool chair_cells = audience->chair_writes_only;
  std::set<std::tuple<std::uint32_t, RecordId, Cell>> cells;
  for (const RecordEdit& record : edit.records) {
    for (const CellEdit& cell : record.cells) {
      if (!cells.emplace(record.kind, record.record, cell.cell).second) {
        return Fail(ErrorCode::kInvalid, "record {} is given two values for one field",
                    record.record.Hex());
      }
      const auto owner = CheckCell(cell.cell);
      if (!owner) return Fail(ErrorCode::kInvalid, "cell {} is no address", ToHex(cell.cell));
      chair_cells = chair_cells || owner->kind == OwnerKind::kChair;
    }
  }
  Lane lane;
  if (chair_cells) {
    STAFFEL_CHECK(CheckChair());
    lane.term = authority.current_term().number;
  }
  if (lane.term == 0) STAFFEL_CHECK(CheckWrites(capacity));
  STAFFEL_CHECK(CheckReferences(*audience, edit, along));
  WriteBody body;
  std::unordered_map<EntryId, std::uint32_t> parent_index;
  std::vector<std::optional<Bytes>> payloads;
  {
    const auto number = cache_.journals.audiences.find(edit.audience);
    const std::int64_t audience_number =
        number == cache_.journals.audiences.end() ? 0 : number->second;
    for (const RecordEdit& record : edit.records) {
      STAFFEL_TRY(part, MakePart(edit, record, audience_number, body, parent_index, payloads));
      body.records.push_back(std::move(part));
    }
  }
  if (body.parents.size() > kParentsMax) {
    return Fail(ErrorCode::kTooLarge, "the change names {} earlier ones; {} are allowed: split it",
                body.parents.size(), kParentsMax);
  }
  for (const RecordEdit& record : edit.records) {
    if (!cache_.erasures.TakesNoWrites(edit.audience, record.kind, record.record, member, lane))
      continue;
    return Fail(ErrorCode::kDenied,
                "record {} has been erased (Art. 17 DSGVO): it takes no writes; add a new one",
                record.record.Hex());
  }
  // Judged before the journal is even opened: a refusal leaves nothing behind.
  charter::JournalVerdict verdict;
  verdict.member = member;
  verdict.lane = lane;
  verdict.chair_writes_only = audience->chair_writes_only;
  Header header;
  header.seq = 1;
  header.journal = *JournalId::From(Bytes(32, '\1'));
  header.prev = header.journal;
  header.time = clock_.Now();
  header.op = edit.op;
  header.body = std::move(body);
  std::size_t payload_bytes = 0;
  for (const auto& payload : payloads) payload_bytes += payload->size();
  if (payload_bytes > kEntryPayloadBytesMax) {
    return Fail(ErrorCode::kTooLarge, "the change holds {} bytes; {} are allowed: split it",
                payload_bytes, kEntryPayloadBytesMax);
  }
  const charter::Reason reason = charter::JudgeHeader(verdict, header);
  if (reason != charter::Reason::kValid) {
    return Fail(ErrorCode::kDenied, "this change would have no effect: {}",
                charter::ReasonSentence(reason));
  }
  const std::size_t header_bytes = SerializeHeader(header).size();
  if (header_bytes > kHeaderBytesMax - 64) {
    return Fail(ErrorCode::kTooLarge,
                "the change has a header of {} bytes; {} are allowed: split it", header_bytes,
                kHeaderBytesMax - 64);
  }
  return WriteOwn(edit.audience, lane, std::move(header), std::move(payloads));
}

Result<Applied> Writer::WriteOwn(const AudienceId& audience, const Lane& lane, Header header,
                                 std::vector<std::optional<Bytes>> payloads) {
  STAFFEL_CHECK(CheckMayAct(lane));
  STAFFEL_TRY(journal, OwnJournal(audience, lane));
  auto& branch = journal->branches.front();
  header.journal = journal->id;
  header.seq = branch.seq + 1;
  header.prev = branch.entry;
  TouchRow touch;
  touch.row.journal = journal->number;
  touch.row.entry = ComposeEntry(std::move(header), std::move(payloads));
  touch.row.seq = touch.row.entry.header.seq;
  touch.row.reason = Judge(*journal, touch.row.entry);
  STAFFEL_TRY(withheld, Withhold(*journal, touch.row.entry));
  STAFFEL_TRY(arrival, Append(*journal, touch.row.entry, /*fork=*/0, touch.row.reason));
  STAFFEL_CHECK(SignLater(*journal, arrival, touch.row.entry));
  touch.row.arrival = arrival;
  branch = Longer(*journal, branch, touch.row.entry, arrival);
  STAFFEL_CHECK(Fold(*journal, touch));
  STAFFEL_CHECK(NoteStored(*journal, touch.row, withheld));
  STAFFEL_CHECK(JudgeOpened());
  STAFFEL_CHECK(CarryOutDue());
  return Applied{touch.row.entry.id, /*repeated=*/false, ++cache_.revision};
}

// ---------------------------------------------------------------------------------------------
// Foreign entries

Result<Ingested> Writer::Ingest(PreparedBatch& prepared) {
  Ingested result;
  if (!prepared.batch.charter.empty()) {
    STAFFEL_CHECK(IngestCharter(prepared.batch.charter, result));
    STAFFEL_CHECK(CarryOutDue());
  }
  for (std::size_t i = 0; i < prepared.batch.runs.size(); ++i) {
    if (prepared.refused[i]) {
      RunResult refused;
      const auto& entries = prepared.batch.runs[i].entries;
      if (!entries.empty()) {
        const Entry& first = entries.front();
        refused.journal = first.header.seq == 0 ? first.id : first.header.journal;
        refused.first_seq = first.header.seq;
        refused.last_seq = entries.back().header.seq;
      }
      refused.outcome = RunOutcome::kRefused;
      refused.reason = prepared.refused[i];
      result.runs.push_back(std::move(refused));
      continue;
    }
    STAFFEL_TRY(run, IngestRun(prepared.batch.runs[i], prepared.verified[i]));
    result.new_entries += run.new_entries;
    result.runs.push_back(std::move(run));
  }
  STAFFEL_CHECK(CarryOutDue());
  if (result.new_entries + result.new_charter_entries + result.new_signatures > 0)
    ++cache_.revision;
  result.revision = cache_.revision;
  return result;
}

Result<RunResult> Writer::IngestRun(Run& run, bool verified) {
  RunResult result;
  const Entry& first = run.entries.front();
  result.journal = first.header.seq == 0 ? first.id : first.header.journal;
  result.first_seq = first.header.seq;
  result.last_seq = run.entries.back().header.seq;
  const auto refuse = [&](ErrorCode code, std::string message) {
    result.outcome = RunOutcome::kRefused;
    result.reason = Error{code, std::move(message)};
    return result;
  };
  if (!cache_.authority) return refuse(ErrorCode::kDenied, "there is no charter here yet");
  JournalInfo* journal = cache_.journals.Find(result.journal);
  const OpenBody* open = nullptr;
  if (journal != nullptr) {
    open = &journal->open;
  } else {
    if (first.header.seq != 0) {
      result.outcome = RunOutcome::kUnknownPrev;
      return result;
    }
    open = std::get_if<OpenBody>(&first.header.body);
    // Of a newer format, too: an opening says whose journal it is and for whom in every format.
    if (open == nullptr) {
      return refuse(ErrorCode::kUnsupported,
                    "a journal is opened in a way that only a newer version knows: upgrade this "
                    "node");
    }
    if (open->conference != cache_.authority->conference()) {
      return refuse(ErrorCode::kDenied, "a journal belongs to another conference");
    }
    if (!cache_.tree->KeyEverNamed(open->key) && !STAFFEL_MUTATION(kAnyKey)) {
      return refuse(ErrorCode::kDenied,
                    "a journal is written with a key that no charter entry ever named");
    }
    const auto member = cache_.authority->MemberOfKey(key_.public_key());
    if (!member || !cache_.authority->KeepsCopy(*member, open->audience)) {
      return refuse(ErrorCode::kDenied,
                    "a journal belongs to an audience that this node may not read");
    }
  }
  if (!verified && !STAFFEL_MUTATION(kSkipRunSignature) &&
      !crypto::Verify(open->key, crypto::kTagSign, run.entries.back().id.bytes(),
                      run.entries.back().signature)) {
    return refuse(ErrorCode::kCorrupt, "the signature at the end of a run does not verify");
  }
  STAFFEL_TRY(absent, RefuseAbsent(journal, run));
  if (absent) return refuse(ErrorCode::kCorrupt, *absent);
  std::size_t at = 0;
  if (journal == nullptr) {
    STAFFEL_TRY(created, CreateJournal(first, /*current=*/false));
    journal = created;
    ++result.new_entries;
    at = 1;
  }
  for (; at < run.entries.size(); ++at) {
    Entry& entry = run.entries[at];
    auto branch = std::find_if(journal->branches.begin(), journal->branches.end(),
                               [&](const auto& one) { return one.entry == entry.header.prev; });
    std::uint64_t fork = 0;
    if (branch == journal->branches.end() || journal->branches.size() > 1) {
      STAFFEL_TRY(held, FindEntry(*journal, entry.header.seq, entry.id));
      if (held) {
        if (!entry.signature.empty()) {
          STAFFEL_TRY(
              sign, reader_.Get(
                        "UPDATE entry SET signature = ? WHERE arrival = ? AND signature IS NULL"));
          sign->BindBlob(1, entry.signature);
          sign->Bind(2, static_cast<std::int64_t>(*held));
          STAFFEL_CHECK(sign->Run());
          wrote_ = true;
        }
        continue;
      }
      if (branch == journal->branches.end()) {
        if (entry.header.seq == 0)
          return refuse(ErrorCode::kInvalid, "a run opens its journal twice");
        STAFFEL_TRY(prev, FindEntry(*journal, entry.header.seq - 1, entry.header.prev));
        if (!prev) {
          result.outcome = RunOutcome::kUnknownPrev;
          break;
        }
      }
      STAFFEL_TRY(count, reader_.Get("SELECT COUNT(*) FROM entry WHERE journal = ? AND seq = ?"));
      count->Bind(1, journal->number);
      count->Bind(2, static_cast<std::int64_t>(entry.header.seq));
      {
        const sqlite::StatementScope scope(*count);
        STAFFEL_TRY(row, count->Step());
        fork = row ? static_cast<std::uint64_t>(count->Int(0)) : 0;
      }
    }
    if (branch != journal->branches.end() && entry.header.seq != branch->seq + 1) {
      return refuse(ErrorCode::kCorrupt, "an entry's number does not follow its predecessor's");
    }
    TouchRow touch;
    touch.row.journal = journal->number;
    touch.row.seq = entry.header.seq;
    touch.row.reason = Judge(*journal, entry);
    STAFFEL_TRY(withheld, Withhold(*journal, entry));
    STAFFEL_TRY(arrival, Append(*journal, entry, fork, touch.row.reason));
    touch.row.arrival = arrival;
    if (branch != journal->branches.end()) {
      *branch = Longer(*journal, *branch, entry, arrival);
    } else if (STAFFEL_MUTATION(kDropBranch)) {
      journal->branches = {Longer(*journal, journal->branches.front(), entry, arrival)};
    } else {
      STAFFEL_TRY(before, BranchAt(*journal, entry.header.prev));
      journal->branches.push_back(Longer(*journal, before, entry, arrival));
      // Once a journal: a peer that forks on and on must not fill the list.
      if (journal->branches.size() == 2) {
        STAFFEL_CHECK(SettleReceived(*journal));
        STAFFEL_TRY(sibling, reader_.Get("SELECT id FROM entry WHERE journal = ? AND seq = ? "
                                         "AND fork = 0"));
        sibling->Bind(1, journal->number);
        sibling->Bind(2, static_cast<std::int64_t>(entry.header.seq));
        EntryId other;
        {
          const sqlite::StatementScope scope(*sibling);
          STAFFEL_TRY(row, sibling->Step());
          if (row) other = EntryId::From(sibling->Blob(0)).value_or(EntryId());
        }
        STAFFEL_CHECK(ReportIncident(
            "fork", fmt::format("journal {} of {} has two entries after number {}, {} and {}: both "
                                "are kept; its owner goes on in a new journal",
                                journal->id.Hex().substr(0, 12), journal->verdict.member.text(),
                                entry.header.seq - 1, other.Hex().substr(0, 12),
                                entry.id.Hex().substr(0, 12))));
      }
    }
    ++result.new_entries;
    touch.row.entry = std::move(entry);
    STAFFEL_CHECK(Fold(*journal, touch));
    STAFFEL_CHECK(NoteStored(*journal, touch.row, withheld));
  }
  const auto current = cache_.current.find({journal->audience_number, journal->open.lane});
  if (result.new_entries > 0 && current != cache_.current.end() &&
      current->second == journal->number) {
    // A peer knows more of the journal that we write: the next write opens a new one.
    cache_.current.erase(current);
    STAFFEL_TRY(update, reader_.Get("UPDATE journal SET current = 0 WHERE number = ?"));
    update->Bind(1, journal->number);
    STAFFEL_CHECK(update->Run());
    if (STAFFEL_MUTATION(kReopenAtOnce)) {
      STAFFEL_TRY(opened, OwnJournal(journal->audience, journal->open.lane));
      journal = cache_.journals.Find(result.journal);
      (void)opened;
    }
  }
  if (result.outcome == RunOutcome::kAccepted && result.new_entries == 0)
    result.outcome = RunOutcome::kKnown;
  if (result.new_entries > 0) cache_.journals_changed = true;
  // A head of the cut may have come: what lies beside it is judged anew.
  if (result.new_entries > 0 && journal->verdict.cut)
    STAFFEL_CHECK(Rejudge({{journal->number, false}}));
  STAFFEL_CHECK(JudgeOpened());
  return result;
}

Status Writer::Adopt(const ConferenceId& conference) {
  if (cache_.tree) {
    if (cache_.tree->conference() == conference) return {};
    return Fail(
        ErrorCode::kExists,
        "this node belongs to the conference {} already: use an empty directory for another one",
        cache_.tree->conference().Hex().substr(0, 12));
  }
  STAFFEL_TRY(meta, reader_.Get("INSERT INTO meta (key, value) VALUES (?, ?)"));
  meta->BindText(1, kMetaConference);
  meta->BindBlob(2, conference.bytes());
  STAFFEL_CHECK(meta->Run());
  wrote_ = true;
  cache_.tree = std::make_shared<charter::CharterTree>(conference);
  ++cache_.revision;
  return {};
}

Status Writer::IngestCharter(std::vector<CharterItem>& items, Ingested& result) {
  if (!cache_.tree) {
    // The first charter that comes founds or is adopted; who cares which one calls Adopt before.
    const auto founding = std::find_if(items.begin(), items.end(), [](const CharterItem& item) {
      return item.entry && item.entry->header.seq == 0;
    });
    if (founding == items.end()) {
      result.charter_refusals.push_back(
          {ErrorCode::kDenied, "this node has adopted no conference yet"});
      return {};
    }
    charter::CharterTree probe(founding->entry->id);
    const auto taken = probe.Add(*founding->entry);
    if (!taken) {
      result.charter_refusals.push_back(taken.error());
      return {};
    }
    STAFFEL_CHECK(Adopt(founding->entry->id));
  }
  auto tree = std::make_shared<charter::CharterTree>(*cache_.tree);
  const auto store_entry = [&](const Entry& entry) -> Status {
    STAFFEL_TRY(insert,
                reader_.Get("INSERT OR IGNORE INTO charter_entry (id, header) VALUES (?, ?)"));
    insert->BindBlob(1, entry.id.bytes());
    insert->BindBlob(2, entry.header_bytes);
    return insert->Run();
  };
  for (CharterItem& item : items) {
    if (!item.entry) continue;
    const Entry entry = *item.entry;
    auto added = tree->Add(std::move(*item.entry));
    if (!added) {
      result.charter_refusals.push_back(added.error());
      continue;
    }
    if (!*added) continue;
    STAFFEL_CHECK(store_entry(entry));
    ++result.new_charter_entries;
  }
  for (CharterItem& item : items) {
    for (auto& signature : item.signatures) {
      auto added = tree->AddSignature(item.id, signature);
      if (!added) {
        result.charter_refusals.push_back(added.error());
        continue;
      }
      if (!*added) continue;
      STAFFEL_TRY(insert, reader_.Get("INSERT OR IGNORE INTO charter_signature (entry, kind, key, "
                                      "signature) VALUES (?, ?, ?, ?)"));
      insert->BindBlob(1, item.id.bytes());
      insert->Bind(2, static_cast<std::int64_t>(signature.kind));
      insert->BindBlob(3, signature.key.bytes());
      insert->BindBlob(4, signature.signature);
      STAFFEL_CHECK(insert->Run());
      ++result.new_signatures;
    }
  }
  if (result.new_charter_entries + result.new_signatures == 0) return {};
  wrote_ = true;
  const EntryId before = cache_.authority ? cache_.authority->entry() : EntryId();
  cache_.authority = tree->InForce().authority;
  cache_.tree = std::move(tree);
  const EntryId after = cache_.authority ? cache_.authority->entry() : EntryId();
  due_.all = true;
  if (before != after && cache_.authority && !STAFFEL_MUTATION(kSkipRejudge)) {
    STAFFEL_CHECK(RejudgeAll());
  }
  return {};
}

Status Writer::RejudgeAll() {
  std::vector<std::pair<std::int64_t, bool>> changed;
  for (auto& [number, journal] : cache_.journals.by_number) {
    auto verdict = VerdictOf(journal.id, journal.open);
    if (verdict == journal.verdict) continue;
    changed.emplace_back(number, verdict.member != journal.verdict.member);
    journal.verdict = std::move(verdict);
  }
  std::sort(changed.begin(), changed.end());
  return Rejudge(changed);
}

Status Writer::Rejudge(const std::vector<std::pair<std::int64_t, bool>>& changed) {
  std::set<std::int64_t> records;
  std::vector<std::uint64_t> receipts;
  std::map<std::uint64_t, charter::Reason> absorbed;
  for (const auto& [number, everything] : changed) {
    const JournalInfo& journal = cache_.journals.Get(number);
    due_.all = due_.all || journal.open.lane.purpose == Purpose::kErasures;
    STAFFEL_TRY(update_journal, reader_.Get("UPDATE journal SET reason = ? WHERE number = ?"));
    update_journal->Bind(1, static_cast<std::int64_t>(journal.verdict.reason));
    update_journal->Bind(2, number);
    STAFFEL_CHECK(update_journal->Run());
    std::optional<HeldOfCut> held;
    if (journal.verdict.cut) {
      STAFFEL_TRY(loaded, HeldOfCut::Load(reader_, journal));
      held = std::move(loaded);
    }
    std::vector<std::uint64_t> arrivals;
    {
      STAFFEL_TRY(list, reader_.Get("SELECT arrival FROM entry WHERE journal = ? ORDER BY seq"));
      list->Bind(1, number);
      const sqlite::StatementScope scope(*list);
      for (;;) {
        STAFFEL_TRY(row, list->Step());
        if (!row) break;
        arrivals.push_back(static_cast<std::uint64_t>(list->Int(0)));
      }
    }
    for (std::uint64_t arrival : arrivals) {
      STAFFEL_TRY(row, reader_.GetEntry(arrival));
      charter::Reason reason = journal.opaque
                                   ? charter::Reason::kNewerFormat
                                   : charter::JudgeHeader(journal.verdict, row.entry.header);
      if (reason == charter::Reason::kValid && held &&
          !charter::WithinCut(journal.verdict, row.seq, row.entry.id, *held)) {
        reason = charter::Reason::kAfterCut;
      }
      if (row.reason == charter::Reason::kNewerFormat) {
        if (reason != charter::Reason::kNewerFormat) absorbed.emplace(arrival, reason);
        continue;
      }
      if (reason == row.reason && !everything) continue;
      STAFFEL_TRY(update, reader_.Get("UPDATE entry SET reason = ? WHERE arrival = ?"));
      update->Bind(1, static_cast<std::int64_t>(reason));
      update->Bind(2, static_cast<std::int64_t>(arrival));
      STAFFEL_CHECK(update->Run());
      if (reason != row.reason && std::holds_alternative<ReceiptBody>(row.entry.header.body)) {
        receipts.push_back(arrival);
      }
      const auto* write = std::get_if<WriteBody>(&row.entry.header.body);
      if (write == nullptr) continue;
      for (const auto& [kind, id] : RecordsOf(*write)) {
        STAFFEL_TRY(record, reader_.FindRecord(journal.audience_number, kind, id));
        if (record) records.insert(record->number);
      }
    }
  }
  cache_.journals_changed = cache_.journals_changed || !changed.empty();
  STAFFEL_CHECK(ReceiptsRejudged(receipts));
  for (std::int64_t number : records) {
    STAFFEL_TRY(record, reader_.GetRecordByNumber(number));
    // The state stored, not the one that follows from the entries, is what the digest holds. A
    // record without one had its first entry valid: judged as it was then.
    StoredState old;
    if (record->state) {
      STAFFEL_TRY(decoded, DecodeState(*record->state));
      old = std::move(decoded);
    } else {
      STAFFEL_TRY(touch, reader_.GetTouch(record->first_entry, record->kind, record->id));
      touch.row.reason = charter::Reason::kValid;
      old = StateOfFirst(touch);
    }
    const Hash leaf =
        old.Leaf(cache_.journals.AudienceOf(record->audience), record->kind, record->id);
    STAFFEL_CHECK(Refold(*record, leaf));
  }
  return FoldAbsorbed(std::move(absorbed));
}

// ---------------------------------------------------------------------------------------------
// Local matters and upkeep

Status Writer::PutLocal(std::string_view key, const std::optional<Bytes>& value,
                        const std::optional<std::optional<Bytes>>& expected) {
  if (expected) {
    STAFFEL_TRY(statement, reader_.Get("SELECT value FROM local WHERE key = ?"));
    statement->BindText(1, key);
    const sqlite::StatementScope scope(*statement);
    STAFFEL_TRY(row, statement->Step());
    const std::optional<Bytes> present =
        row ? std::optional<Bytes>(statement->Blob(0)) : std::nullopt;
    if (present != *expected)
      return Fail(ErrorCode::kConflict, "'{}' has changed in the meantime: look again", key);
  }
  wrote_ = true;
  if (!value) {
    STAFFEL_TRY(remove, reader_.Get("DELETE FROM local WHERE key = ?"));
    remove->BindText(1, key);
    return remove->Run();
  }
  STAFFEL_TRY(upsert, reader_.Get("INSERT INTO local (key, value) VALUES (?, ?) "
                                  "ON CONFLICT (key) DO UPDATE SET value = excluded.value"));
  upsert->BindText(1, key);
  upsert->BindBlob(2, *value);
  return upsert->Run();
}

Status Writer::ReportIncident(std::string_view kind, std::string_view text) {
  wrote_ = true;
  STAFFEL_TRY(insert, reader_.Get("INSERT INTO incident (time_ms, kind, text) VALUES (?, ?, ?)"));
  insert->Bind(1, static_cast<std::int64_t>(clock_.Now().value));
  insert->BindText(2, kind);
  insert->BindText(3, text);
  return insert->Run();
}

Result<std::uint64_t> Writer::IndexSearch(std::size_t records_max) {
  std::vector<RecordRow> records;
  {
    STAFFEL_TRY(
        statement,
        reader_.Get("SELECT r.number, r.audience, r.kind, r.id, r.first_entry, r.changed, r.flags, "
                    "r.conflicts, r.state, r.row FROM audience a JOIN record r ON r.audience = "
                    "a.number AND "
                    "r.changed > a.indexed ORDER BY r.audience, r.changed LIMIT ?"));
    statement->Bind(1, static_cast<std::int64_t>(records_max));
    const sqlite::StatementScope scope(*statement);
    for (;;) {
      STAFFEL_TRY(row, statement->Step());
      if (!row) break;
      records.push_back(TableReader::ReadRecord(*statement));
    }
  }
  if (records.empty()) return std::uint64_t{0};
  wrote_ = true;
  for (const RecordRow& record : records) {
    STAFFEL_TRY(remove, reader_.Get("DELETE FROM search WHERE rowid = ?"));
    remove->Bind(1, record.number);
    STAFFEL_CHECK(remove->Run());
    if ((record.flags & (kFlagHidden | kFlagErased)) != 0) continue;
    const auto* kind = record::Kinds().Find(record.kind);
    if (kind == nullptr) continue;
    STAFFEL_TRY(row, RowOf(reader_, record));
    const std::string text = IndexForm(record::SearchTextOf(*kind, row));
    STAFFEL_TRY(insert, reader_.Get("INSERT INTO search (rowid, body) VALUES (?, ?)"));
    insert->Bind(1, record.number);
    insert->BindText(2, text);
    STAFFEL_CHECK(insert->Run());
  }
  std::map<std::int64_t, std::uint64_t> reached;
  for (const RecordRow& record : records) reached[record.audience] = record.changed;
  for (const auto& [audience, changed] : reached) {
    STAFFEL_TRY(update, reader_.Get("UPDATE audience SET indexed = ? WHERE number = ?"));
    update->Bind(1, static_cast<std::int64_t>(changed));
    update->Bind(2, audience);
    STAFFEL_CHECK(update->Run());
  }
  return NotYetIndexed(reader_);
}

Status Writer::ProjectAll() {
  STAFFEL_TRY(last, database_.QueryInt("SELECT IFNULL(MAX(number), 0) FROM record"));
  for (std::int64_t number = 1; number <= last; ++number) {
    STAFFEL_TRY(record, reader_.GetRecordByNumber(number));
    if (!record || !record->state) continue;
    STAFFEL_TRY(state, DecodeState(*record->state));
    STAFFEL_CHECK(StoreRecord(*record, state, nullptr));
  }
  return {};
}

}  // namespace staffel
