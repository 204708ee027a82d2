// SPDX-License-Identifier: EUPL-1.2
// Carrying out erasures, in the transaction that brings them or what they name: payloads destroyed
// or put aside, states and rows made anew, words taken out of the index; and our own erasures, with
// the clean values before them.
#include "core/store/erasure.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/base/mutation.h"
#include "core/base/wire.h"
#include "core/crypto/hash.h"
#include "core/record/catalog.h"
#include "core/store/writer.h"

namespace staffel {
namespace {

using Word = ErasureIndex::Word;

constexpr std::string_view kMetaWipe = "wipe";
// Items of one erasure entry: well below what a header may hold.
constexpr std::size_t kItemsPerEntryMax = 1000;

std::optional<Absence> AbsenceOf(Word word) {
  switch (word) {
    case Word::kInEffect:
      return Absence::kErased;
    case Word::kUndecided:
      return Absence::kHidden;
    default:
      return std::nullopt;
  }
}

std::string NameOf(std::uint32_t kind, const RecordId& record) {
  const auto* known = record::Kinds().Find(kind);
  return fmt::format("{} {}", known == nullptr ? "record" : known->name, record.Hex());
}

std::optional<std::uint32_t> FieldOf(const Cell& cell) {
  const auto address = DecodeCell(cell);
  if (!address) return std::nullopt;
  const auto* field = std::get_if<std::uint32_t>(&address->steps.front());
  return field == nullptr ? std::nullopt : std::optional<std::uint32_t>(*field);
}

}  // namespace

// ---------------------------------------------------------------------------------------------
// What arrives

Status Writer::LoadErasures() {
  STAFFEL_TRY(absent, database_.QueryInt("SELECT EXISTS (SELECT 1 FROM absent)"));
  cache_.any_absent = absent != 0;
  STAFFEL_TRY(index,
              ErasureIndex::Load(reader_, cache_.journals, cache_.tree.get(), cache_.authority));
  cache_.erasures = std::move(index);
  return {};
}

Result<std::vector<Withheld>> Writer::Withhold(const JournalInfo& journal, Entry& entry) {
  std::vector<Withheld> withheld;
  const bool whole = std::all_of(entry.payloads.begin(), entry.payloads.end(),
                                 [](const auto& payload) { return payload.has_value(); });
  if (entry.payloads.empty() || (whole && cache_.erasures.empty())) return withheld;
  STAFFEL_TRY(words, WordsOn(reader_, cache_.journals, cache_.erasures, journal, entry));
  words.resize(entry.payloads.size(), Word::kNone);
  for (std::size_t part = 0; part < entry.payloads.size(); ++part) {
    auto& payload = entry.payloads[part];
    const auto why = AbsenceOf(words[part]);
    if (payload && !why) continue;
    Withheld one{part, why.value_or(Absence::kMissing), std::nullopt};
    if (one.why == Absence::kHidden) one.bytes = std::move(payload);
    payload.reset();
    withheld.push_back(std::move(one));
  }
  return withheld;
}

Status Writer::NoteStored(const JournalInfo& journal, const EntryRow& row,
                          const std::vector<Withheld>& withheld) {
  for (const Withheld& one : withheld) {
    STAFFEL_TRY(insert, reader_.Get("INSERT OR REPLACE INTO absent (arrival, part, why, bytes) "
                                    "VALUES (?, ?, ?, ?)"));
    insert->Bind(1, static_cast<std::int64_t>(row.arrival));
    insert->Bind(2, static_cast<std::int64_t>(one.part));
    insert->Bind(3, static_cast<std::int64_t>(one.why));
    insert->BindBlobOrNull(4, one.bytes);
    STAFFEL_CHECK(insert->Run());
    cache_.any_absent = true;
  }
  // What names this entry names its repeats.
  if (row.entry.header.op && cache_.erasures.Names(row.entry.id)) {
    STAFFEL_TRY(repeats, RepeatsOf(reader_, cache_.journals, journal, row.entry));
    due_.arrivals.insert(repeats.begin(), repeats.end());
  }
  const auto* body = std::get_if<ErasureBody>(&row.entry.header.body);
  if (body == nullptr || journal.open.lane.purpose != Purpose::kErasures) return {};
  cache_.erasures.Add(journal, row);
  if (STAFFEL_MUTATION(kForgetErasure)) return {};
  if (!body->dropped.empty()) due_.all = true;
  for (const auto& payload : body->payloads) due_.entries.insert(payload.entry);
  for (const auto& record : body->records) {
    due_.records.emplace(journal.audience, record.kind, record.record);
  }
  return {};
}

Result<std::optional<std::string>> Writer::RefuseAbsent(const JournalInfo* journal,
                                                        const Run& run) {
  for (const Entry& entry : run.entries) {
    const bool whole = std::all_of(entry.payloads.begin(), entry.payloads.end(),
                                   [](const auto& payload) { return payload.has_value(); });
    if (whole) continue;
    // A journal's opening has no payloads: by now the journal is known, or its opening is in the
    // run and the run's audience with it.
    JournalInfo opened;
    if (journal == nullptr) {
      opened.open = std::get<OpenBody>(run.entries.front().header.body);
      opened.audience = opened.open.audience;
      opened.verdict =
          charter::JudgeJournal(*cache_.authority, run.entries.front().id, opened.open);
    } else {
      STAFFEL_TRY(held, FindEntry(*journal, entry.header.seq, entry.id));
      if (held) continue;
    }
    const JournalInfo& judged = journal == nullptr ? opened : *journal;
    STAFFEL_TRY(words, WordsOn(reader_, cache_.journals, cache_.erasures, judged, entry));
    words.resize(entry.payloads.size(), Word::kNone);
    // The name may be that of a repeat that is not here yet.
    if (entry.header.op && cache_.erasures.NamesPayloadsOf(judged.audience)) continue;
    for (std::size_t part = 0; part < entry.payloads.size(); ++part) {
      if (entry.payloads[part] || words[part] != Word::kNone) continue;
      return std::optional<std::string>(
          fmt::format("a payload of entry {} is absent and no erasure names it", entry.id.Hex()));
    }
  }
  return std::optional<std::string>();
}

// ---------------------------------------------------------------------------------------------
// Carrying out

Result<std::set<std::uint64_t>> Writer::DueArrivals() {
  std::set<std::uint64_t> arrivals = std::move(due_.arrivals);
  std::unordered_set<EntryId> entries = std::move(due_.entries);
  std::set<ErasureIndex::RecordKey> records = std::move(due_.records);
  if (due_.all) {
    STAFFEL_CHECK(LoadErasures());
    entries = cache_.erasures.NamedEntries();
    const auto named = cache_.erasures.NamedRecords();
    records.insert(named.begin(), named.end());
    STAFFEL_TRY(statement, reader_.Get("SELECT DISTINCT arrival FROM absent"));
    const sqlite::StatementScope scope(*statement);
    for (;;) {
      STAFFEL_TRY(row, statement->Step());
      if (!row) break;
      arrivals.insert(static_cast<std::uint64_t>(statement->Int(0)));
    }
  }
  due_ = Due();
  for (const auto& [audience, kind, id] : records) {
    const auto number = cache_.journals.audiences.find(audience);
    if (number == cache_.journals.audiences.end()) continue;
    STAFFEL_TRY(record, reader_.FindRecord(number->second, kind, id));
    if (!record) continue;
    STAFFEL_TRY(touches, reader_.Touches(*record));
    arrivals.insert(touches.begin(), touches.end());
  }
  if (!records.empty()) {
    // Entries of a newer format touch no record yet; whose payloads they are is known all the same.
    STAFFEL_TRY(opaque, reader_.Get("SELECT arrival FROM entry WHERE reason = 12"));
    const sqlite::StatementScope scope(*opaque);
    for (;;) {
      STAFFEL_TRY(row, opaque->Step());
      if (!row) break;
      arrivals.insert(static_cast<std::uint64_t>(opaque->Int(0)));
    }
  }
  if (!entries.empty()) {
    // Ids have no index: it would cost more at every arrival than this look at all entries does
    // at the few erasures of single payloads.
    std::vector<std::uint64_t> named;
    STAFFEL_TRY(statement, reader_.Get("SELECT arrival, id FROM entry"));
    {
      const sqlite::StatementScope scope(*statement);
      for (;;) {
        STAFFEL_TRY(row, statement->Step());
        if (!row) break;
        const auto id = EntryId::From(statement->Blob(1));
        if (id && entries.contains(*id))
          named.push_back(static_cast<std::uint64_t>(statement->Int(0)));
      }
    }
    for (std::uint64_t arrival : named) {
      arrivals.insert(arrival);
      STAFFEL_TRY(row, reader_.GetEntry(arrival));
      STAFFEL_TRY(repeats,
                  RepeatsOf(reader_, cache_.journals, cache_.journals.Get(row.journal), row.entry));
      arrivals.insert(repeats.begin(), repeats.end());
    }
  }
  return arrivals;
}

Result<std::vector<Writer::PayloadChange>> Writer::ChangesOf(std::uint64_t arrival) {
  std::vector<PayloadChange> changes;
  STAFFEL_TRY(row, reader_.GetEntry(arrival));
  if (row.entry.payloads.empty()) return changes;
  std::map<std::size_t, std::pair<Absence, bool>> absent;  // why, and whether the bytes are kept
  {
    STAFFEL_TRY(statement,
                reader_.Get("SELECT part, why, bytes IS NOT NULL FROM absent WHERE arrival = ?"));
    statement->Bind(1, static_cast<std::int64_t>(arrival));
    const sqlite::StatementScope scope(*statement);
    for (;;) {
      STAFFEL_TRY(found, statement->Step());
      if (!found) break;
      absent[static_cast<std::size_t>(statement->Int(0))] = {
          static_cast<Absence>(statement->Int(1)), statement->Int(2) != 0};
    }
  }
  STAFFEL_TRY(words, WordsOn(reader_, cache_.journals, cache_.erasures,
                             cache_.journals.Get(row.journal), row.entry));
  words.resize(row.entry.payloads.size(), Word::kNone);
  for (std::size_t part = 0; part < words.size(); ++part) {
    PayloadChange change{arrival, part, std::nullopt, AbsenceOf(words[part])};
    bool here = row.entry.payloads[part].has_value();
    if (!here) {
      const auto known = absent.find(part);
      change.before = known == absent.end() ? Absence::kMissing : known->second.first;
      here = known != absent.end() && known->second.second;
      if (!change.after && !here) change.after = Absence::kMissing;
    }
    if (change.before != change.after) changes.push_back(change);
  }
  return changes;
}

Status Writer::ApplyChanges(std::uint64_t arrival, const std::vector<PayloadChange>& changes) {
  wrote_ = true;
  STAFFEL_TRY(row, reader_.GetEntry(arrival));
  auto& payloads = row.entry.payloads;
  for (const PayloadChange& change : changes) {
    std::optional<Bytes> kept;
    if (change.before) {
      STAFFEL_TRY(take, reader_.Get("SELECT bytes FROM absent WHERE arrival = ? AND part = ?"));
      take->Bind(1, static_cast<std::int64_t>(arrival));
      take->Bind(2, static_cast<std::int64_t>(change.part));
      const sqlite::StatementScope scope(*take);
      STAFFEL_TRY(found, take->Step());
      if (found && !take->IsNull(0)) kept = Bytes(take->Blob(0));
    } else {
      kept = std::move(payloads[change.part]);
      payloads[change.part].reset();
    }
    STAFFEL_TRY(remove, reader_.Get("DELETE FROM absent WHERE arrival = ? AND part = ?"));
    remove->Bind(1, static_cast<std::int64_t>(arrival));
    remove->Bind(2, static_cast<std::int64_t>(change.part));
    STAFFEL_CHECK(remove->Run());
    if (!change.after) {
      payloads[change.part] = std::move(kept);
      continue;
    }
    if (*change.after != Absence::kHidden && kept) {
      kept.reset();
      STAFFEL_CHECK(MarkWipe());
    }
    STAFFEL_TRY(insert, reader_.Get("INSERT INTO absent (arrival, part, why, bytes) "
                                    "VALUES (?, ?, ?, ?)"));
    insert->Bind(1, static_cast<std::int64_t>(arrival));
    insert->Bind(2, static_cast<std::int64_t>(change.part));
    insert->Bind(3, static_cast<std::int64_t>(*change.after));
    insert->BindBlobOrNull(4, kept);
    STAFFEL_CHECK(insert->Run());
    cache_.any_absent = true;
  }
  const Bytes packed = PackPayloads(payloads);
  STAFFEL_TRY(update, reader_.Get("UPDATE entry SET payloads = ? WHERE arrival = ?"));
  update->BindBlob(1, packed);
  update->Bind(2, static_cast<std::int64_t>(arrival));
  STAFFEL_CHECK(update->Run());
  // Attachments that only an erased payload named go with it.
  return ReindexBlobs(arrival);
}

Status Writer::CarryOutDue() {
  if (!due_.all && due_.records.empty() && due_.entries.empty() && due_.arrivals.empty()) return {};
  if (due_.all && !cache_.any_absent && cache_.erasures.empty()) {
    // Most charters change nothing here; what they name themselves is seen when it is loaded.
    due_.all = false;
    STAFFEL_CHECK(LoadErasures());
    due_.all = !cache_.erasures.empty();
  }
  STAFFEL_TRY(arrivals, DueArrivals());
  // First what changes, and what the records' leaves are until then: the digest holds those.
  std::map<std::uint64_t, std::vector<PayloadChange>> all;
  std::map<std::int64_t, Hash> leaves;
  for (std::uint64_t arrival : arrivals) {
    STAFFEL_TRY(changes, ChangesOf(arrival));
    if (changes.empty()) continue;
    STAFFEL_TRY(row, reader_.GetEntry(arrival));
    const JournalInfo& journal = cache_.journals.Get(row.journal);
    const auto& records = std::get<WriteBody>(row.entry.header.body).records;
    for (const PayloadChange& change : changes) {
      const RecordPart& part = records[change.part];
      STAFFEL_TRY(record, reader_.FindRecord(journal.audience_number, part.kind, part.record));
      if (!record || leaves.contains(record->number)) continue;
      STAFFEL_TRY(state, reader_.StateOf(*record));
      leaves[record->number] = state.Leaf(journal.audience, part.kind, part.record);
    }
    all[arrival] = std::move(changes);
  }
  for (const auto& [arrival, changes] : all) STAFFEL_CHECK(ApplyChanges(arrival, changes));
  for (const auto& [number, leaf] : leaves) {
    STAFFEL_TRY(record, reader_.GetRecordByNumber(number));
    STAFFEL_CHECK(Refold(*record, leaf));
    STAFFEL_TRY(words, reader_.Get("DELETE FROM search WHERE rowid = ?"));
    words->Bind(1, number);
    STAFFEL_CHECK(words->Run());
  }
  return {};
}

Result<std::size_t> Writer::TakePayloads(const std::vector<PayloadBytes>& payloads) {
  std::size_t taken = 0;
  for (const PayloadBytes& payload : payloads) {
    const JournalInfo* journal = cache_.journals.Find(payload.at.journal);
    if (journal == nullptr) continue;
    STAFFEL_TRY(arrival, FindEntry(*journal, payload.at.seq, payload.at.entry));
    if (!arrival) continue;
    STAFFEL_TRY(row, reader_.GetEntry(*arrival));
    const auto* write = std::get_if<WriteBody>(&row.entry.header.body);
    if (write == nullptr || payload.at.index >= write->records.size()) continue;
    if (row.entry.payloads[payload.at.index]) continue;
    if (payload.bytes.size() > kPayloadBytesMax ||
        crypto::HashPayload(payload.bytes) != write->records[payload.at.index].commitment) {
      continue;
    }
    STAFFEL_TRY(keep, reader_.Get("UPDATE absent SET bytes = ? WHERE arrival = ? AND part = ? AND "
                                  "why = 3"));
    keep->BindBlob(1, payload.bytes);
    keep->Bind(2, static_cast<std::int64_t>(*arrival));
    keep->Bind(3, payload.at.index);
    STAFFEL_CHECK(keep->Run());
    if (database_.Changes() == 0) continue;
    wrote_ = true;
    ++taken;
    due_.arrivals.insert(*arrival);
  }
  STAFFEL_CHECK(CarryOutDue());
  if (taken > 0) ++cache_.revision;
  return taken;
}

// ---------------------------------------------------------------------------------------------
// Our own erasures

// What erasing one target by ourselves takes.
struct Writer::TargetPlan {
  ErasurePlan plan;
  Lane lane;
  std::vector<ErasureBody::OnePayload> items;  // of fields
  std::set<std::uint64_t> arrivals;            // that hold the items
  // Clean values: in rounds, since two heads of one cell are not one change.
  std::vector<std::vector<CellEdit>> clean;
  bool delete_again = false;  // the record is deleted, and what is written anew must be, too
  // Heads of `deleted` in a record that is not deleted: each anew, knowing what it knew.
  struct Deletion {
    EntryId head;
    std::optional<Bytes> value;
    std::vector<EntryId> parents;
  };
  std::vector<Deletion> deletions;
};

Result<Writer::TargetPlan> Writer::PlanTarget(const ErasureTarget& target,
                                              const std::vector<std::uint32_t>& fields) {
  TargetPlan made;
  made.plan.target = target;
  const std::string name = NameOf(target.kind, target.record);
  const bool whole = fields.empty();
  if (!cache_.authority) {
    return Fail(ErrorCode::kDenied, "this node belongs to no conference yet");
  }
  const auto& authority = *cache_.authority;
  const auto member = authority.MemberOfKey(key_.public_key());
  if (!member || !authority.IsCurrentKey(key_.public_key())) {
    return Fail(ErrorCode::kDenied, "this node's key is not in the charter");
  }
  // Of a closed audience, too: copies of it stay.
  const bool known = authority.EverAnAudience(target.audience);
  const auto number = cache_.journals.audiences.find(target.audience);
  std::optional<RecordRow> found;
  if (known && number != cache_.journals.audiences.end()) {
    STAFFEL_TRY(record, reader_.FindRecord(number->second, target.kind, target.record));
    found = std::move(record);
  }
  if (!found) return Fail(ErrorCode::kNotFound, "{} is not in this audience here", name);
  const RecordRow& record = *found;

  // A chair that may not act now erases as the member that it is: as the chair it would do so
  // beyond the cut of its term.
  const bool chair = CheckChair().has_value() && authority.EverWrote(*member, target.audience);
  made.lane = {chair ? authority.current_term().number : 0, Purpose::kErasures};
  made.plan.as_chair = chair;
  ErasureIndex::Source source;
  source.audience = target.audience;
  source.member = *member;
  source.lane = made.lane;

  STAFFEL_TRY(arrivals, reader_.Touches(record));
  std::vector<TouchRow> concerned;
  std::set<std::string> objections;
  std::set<MemberId> others;
  for (std::uint64_t arrival : arrivals) {
    STAFFEL_TRY(touch, reader_.GetTouch(arrival, record.kind, record.id));
    const auto& write = std::get<WriteBody>(touch.row.entry.header.body);
    const std::size_t part = touch.slice.parts.front();
    if (!touch.row.entry.payloads[part]) continue;
    const bool named =
        whole ||
        std::any_of(
            touch.slice.changes.begin(), touch.slice.changes.end(), [&](const auto& change) {
              const auto field = FieldOf(change.change->cell);
              return field && std::find(fields.begin(), fields.end(), *field) != fields.end();
            });
    if (!named) continue;
    const JournalInfo& journal = cache_.journals.Get(touch.row.journal);
    if (const auto objection = cache_.erasures.Objection(source, journal, write.records[part])) {
      objections.insert(*objection);
      if (made.lane.term == 0 && journal.verdict.member != *member &&
          !journal.verdict.member.empty())
        others.insert(journal.verdict.member);
    }
    made.items.push_back({touch.row.entry.id, static_cast<std::uint32_t>(part)});
    made.arrivals.insert(arrival);
    concerned.push_back(std::move(touch));
  }
  made.plan.payloads = concerned.size();
  made.plan.quorum_may = true;
  if (whole) {
    made.plan.quorum_records.push_back({target.audience, target.kind, target.record});
    made.plan.erased_already =
        concerned.empty() && cache_.erasures.TakesNoWrites(target.audience, target.kind,
                                                           target.record, *member, made.lane);
    if (!authority.EverPersonalKind(target.kind)) {
      objections.insert("the charter does not list its kind as personal");
    }
  } else {
    for (const auto& item : made.items)
      made.plan.quorum_payloads.push_back({item.entry, item.index});
    made.plan.erased_already = concerned.empty();
  }
  if (!objections.empty()) {
    std::string why;
    for (const std::string& objection : objections) why += (why.empty() ? "" : "; ") + objection;
    made.plan.refusal = Error{
        ErrorCode::kDenied,
        fmt::format("{} cannot be erased by {}{} alone: {}. {}A quorum's charter entry can name it",
                    name, member->text(), chair ? " in the chair" : "", why,
                    others.empty() || !authority.EverPersonalKind(target.kind)
                        ? ""
                        : fmt::format("The chair ({}) can erase it on its node. ",
                                      authority.chair().text()))};
  }

  if (whole) return made;
  // What still counts of the payloads that go, and is none of the fields: it is written anew.
  STAFFEL_TRY(state, reader_.StateOf(record));
  const auto touch_of = [&](std::uint64_t arrival) -> const TouchRow* {
    const auto at = std::find_if(concerned.begin(), concerned.end(),
                                 [&](const auto& touch) { return touch.row.arrival == arrival; });
    return at == concerned.end() ? nullptr : &*at;
  };
  const auto value_in = [](const TouchRow& touch, const Cell& cell) -> std::optional<Bytes> {
    for (const auto& change : touch.slice.changes) {
      if (change.change->cell != cell) continue;
      const auto& content = touch.contents[change.part];
      return content ? content->values[change.index] : std::nullopt;
    }
    return std::nullopt;
  };
  for (const auto& cell : state.cells) {
    const auto field = FieldOf(cell.cell);
    if (field && std::find(fields.begin(), fields.end(), *field) != fields.end()) continue;
    // Heads of equal value go into one change, those of others into the next round's.
    std::map<std::optional<Bytes>, std::vector<EntryId>> values;
    for (std::uint32_t index : cell.heads) {
      const TouchRow* touch = touch_of(state.sources[index].arrival);
      if (touch == nullptr) continue;
      const auto value = value_in(*touch, cell.cell);
      if (cell.cell != DeletedCell()) {
        values[value].push_back(touch->row.entry.id);
        continue;
      }
      TargetPlan::Deletion deletion{touch->row.entry.id, value, {touch->row.entry.id}};
      const auto& parents = std::get<WriteBody>(touch->row.entry.header.body).parents;
      for (const auto& change : touch->slice.changes) {
        if (change.change->cell != cell.cell) continue;
        for (std::uint32_t parent : change.change->parents)
          deletion.parents.push_back(parents[parent]);
      }
      made.deletions.push_back(std::move(deletion));
    }
    std::size_t round = 0;
    for (auto& [value, parents] : values) {
      if (made.clean.size() <= round) made.clean.emplace_back();
      made.clean[round++].push_back({cell.cell, value, std::move(parents)});
      ++made.plan.clean_values;
    }
  }
  if ((record.flags & kFlagDeleted) != 0) {
    made.delete_again = !made.clean.empty() || !made.deletions.empty();
    made.deletions.clear();
    if (made.delete_again) ++made.plan.clean_values;
  }
  made.plan.clean_values += made.deletions.size();
  return made;
}

Status Writer::WriteClean(const TargetPlan& made) {
  const ErasureTarget& target = made.plan.target;
  const auto* audience = cache_.authority->FindAudience(target.audience);
  std::map<EntryId, std::vector<EntryId>> renewed;  // a head, and what stands in its place
  for (const auto& round : made.clean) {
    // One entry is written in one capacity.
    std::vector<CellEdit> as_member;
    std::vector<CellEdit> as_chair;
    for (const CellEdit& cell : round) {
      const auto owner = CheckCell(cell.cell);
      const bool chair = owner && (owner->kind == OwnerKind::kChair ||
                                   (owner->kind == OwnerKind::kAnyone && audience != nullptr &&
                                    audience->chair_writes_only));
      (chair ? as_chair : as_member).push_back(cell);
    }
    for (auto& cells : {as_member, as_chair}) {
      if (cells.empty()) continue;
      Edit edit{.audience = target.audience};
      edit.records.push_back({.kind = target.kind, .record = target.record, .cells = cells});
      STAFFEL_TRY(applied, Apply(edit));
      for (const CellEdit& cell : cells) {
        for (const EntryId& parent : *cell.parents) renewed[parent].push_back(applied.entry);
      }
    }
  }
  if (made.delete_again) {
    Edit edit{.audience = target.audience};
    edit.records.push_back({.kind = target.kind,
                            .record = target.record,
                            .mode = RecordEdit::Mode::kDelete,
                            .cells = {}});
    STAFFEL_TRY(applied, Apply(edit));
    (void)applied;
  }
  for (const auto& deletion : made.deletions) {
    std::vector<EntryId> parents = deletion.parents;
    for (const EntryId& known : deletion.parents) {
      const auto anew = renewed.find(known);
      if (anew == renewed.end()) continue;
      parents.insert(parents.end(), anew->second.begin(), anew->second.end());
    }
    Edit edit{.audience = target.audience};
    edit.records.push_back({.kind = target.kind,
                            .record = target.record,
                            .cells = {{DeletedCell(), deletion.value, std::move(parents)}}});
    STAFFEL_TRY(applied, Apply(edit));
    (void)applied;
  }
  return {};
}

Result<std::vector<ErasurePlan>> Writer::PlanErasure(const ErasureRequest& request) {
  std::vector<ErasurePlan> plans;
  for (const ErasureTarget& target : request.targets) {
    auto made = PlanTarget(target, request.fields);
    if (!made) {
      ErasurePlan refused;
      refused.target = target;
      refused.refusal = made.error();
      plans.push_back(std::move(refused));
      continue;
    }
    plans.push_back(std::move(made->plan));
  }
  return plans;
}

Result<std::vector<EntryId>> Writer::Erase(const ErasureRequest& request) {
  // All is looked at before anything is written: a refusal leaves nothing behind.
  for (const ErasureTarget& target : request.targets) {
    STAFFEL_TRY(made, PlanTarget(target, request.fields));
    if (made.plan.refusal) return tl::unexpected<Error>(*made.plan.refusal);
    if (made.plan.erased_already) {
      return Fail(ErrorCode::kExists, "{} has been erased already: nothing is left to erase",
                  NameOf(target.kind, target.record));
    }
  }
  std::vector<EntryId> erasures;
  for (const ErasureTarget& target : request.targets) {
    STAFFEL_TRY(made, PlanTarget(target, request.fields));
    STAFFEL_CHECK(WriteClean(made));
    std::vector<ErasureBody> bodies;
    if (request.fields.empty()) {
      bodies.emplace_back().records.push_back({target.kind, target.record});
    }
    for (const auto& item :
         request.fields.empty() ? std::vector<ErasureBody::OnePayload>() : made.items) {
      if (bodies.empty() || bodies.back().payloads.size() >= kItemsPerEntryMax)
        bodies.emplace_back();
      bodies.back().payloads.push_back(item);
    }
    for (ErasureBody& body : bodies) {
      Header header;
      header.time = clock_.Now();
      header.body = std::move(body);
      STAFFEL_TRY(written, WriteOwn(target.audience, made.lane, std::move(header), {}));
      erasures.push_back(written.entry);
    }
  }
  return erasures;
}

Status Writer::WriteCleanValues(const ErasureRequest& request) {
  for (const ErasureTarget& target : request.targets) {
    STAFFEL_TRY(made, PlanTarget(target, request.fields));
    STAFFEL_CHECK(WriteClean(made));
  }
  return {};
}

Result<EntryId> Writer::DecideErasure(const EntryId& erasure, bool repeat) {
  const auto& sources = cache_.erasures.sources();
  const auto found = std::find_if(sources.begin(), sources.end(), [&](const auto& source) {
    return source.entry == erasure && source.arrival != 0 && source.names;
  });
  if (found == sources.end()) {
    return Fail(ErrorCode::kNotFound, "there is no erasure {} here", erasure.Hex());
  }
  if (found->word != Word::kUndecided) {
    return Fail(ErrorCode::kConflict, "erasure {} waits for no decision", erasure.Hex());
  }
  const auto& authority = *cache_.authority;
  if (authority.hub_key() != key_.public_key()) {
    return Fail(ErrorCode::kDenied, "only the node of the chair ({}) decides this",
                authority.chair().text());
  }
  STAFFEL_CHECK(CheckChair());
  const ErasureIndex::Source source = *found;
  STAFFEL_TRY(row, reader_.GetEntry(source.arrival));
  ErasureBody body;
  if (repeat) {
    const auto& said = std::get<ErasureBody>(row.entry.header.body);
    body.payloads = said.payloads;
    body.records = said.records;
  }
  body.dropped = {erasure};
  Header header;
  header.time = clock_.Now();
  header.body = std::move(body);
  STAFFEL_TRY(written,
              WriteOwn(source.audience, {authority.current_term().number, Purpose::kErasures},
                       std::move(header), {}));
  return written.entry;
}

// ---------------------------------------------------------------------------------------------
// Wiping, and saying so

Status Writer::MarkWipe() {
  wrote_ = true;
  STAFFEL_TRY(mark, WipeMark());
  Bytes value;
  AppendVarint(value, mark + 1);
  STAFFEL_TRY(meta, reader_.Get("INSERT INTO meta (key, value) VALUES (?, ?) "
                                "ON CONFLICT (key) DO UPDATE SET value = excluded.value"));
  meta->BindText(1, kMetaWipe);
  meta->BindBlob(2, value);
  return meta->Run();
}

Result<std::uint64_t> Writer::WipeMark() {
  STAFFEL_TRY(statement, reader_.Get("SELECT value FROM meta WHERE key = ?"));
  statement->BindText(1, kMetaWipe);
  const sqlite::StatementScope scope(*statement);
  STAFFEL_TRY(row, statement->Step());
  ByteView bytes = row ? statement->Blob(0) : ByteView();
  return TakeVarint(bytes).value_or(0);
}

Status Writer::ForgetWords() {
  wrote_ = true;
  // A deleted row's words rest in the index's older segments until these are merged.
  STAFFEL_TRY(merge, reader_.Get("INSERT INTO search (search) VALUES ('optimize')"));
  return merge->Run();
}

// What each audience has not been told yet of what we have carried out, of erasures that had
// arrived by then.
Result<std::vector<std::pair<AudienceId, std::vector<ErasureBody::CarriedOut>>>> Writer::Unstated(
    std::uint64_t last_arrival) {
  std::vector<std::pair<AudienceId, std::vector<ErasureBody::CarriedOut>>> all;
  if (!cache_.authority || cache_.erasures.empty()) return all;
  const auto& authority = *cache_.authority;
  const auto member = authority.MemberOfKey(key_.public_key());
  if (!member || !authority.IsCurrentKey(key_.public_key())) return all;
  // What we have said, by audience.
  std::map<AudienceId, std::set<EntryId>> said;
  for (const auto& [number, journal] : cache_.journals.by_number) {
    if (!journal.own || journal.open.lane != Lane{0, Purpose::kErasures}) continue;
    STAFFEL_TRY(statement, reader_.Get("SELECT header FROM entry WHERE journal = ?"));
    statement->Bind(1, number);
    const sqlite::StatementScope scope(*statement);
    for (;;) {
      STAFFEL_TRY(row, statement->Step());
      if (!row) break;
      const auto header = ParseHeader(statement->Blob(0));
      const auto* body = header ? std::get_if<ErasureBody>(&header->body) : nullptr;
      if (body == nullptr) continue;
      for (const auto& line : body->carried_out) said[journal.audience].insert(line.entry);
    }
  }
  std::map<AudienceId, std::map<std::int64_t, std::vector<const ErasureIndex::Source*>>> unsaid;
  bool charter = false;
  for (const ErasureIndex::Source& source : cache_.erasures.sources()) {
    if (source.word != Word::kInEffect || !source.names) continue;
    if (source.arrival == 0) {
      charter = true;
      continue;
    }
    if (source.arrival > last_arrival || !authority.KeepsCopy(*member, source.audience)) continue;
    unsaid[source.audience][source.journal].push_back(&source);
  }
  std::map<AudienceId, std::vector<ErasureBody::CarriedOut>> lines;
  for (const auto& [audience, journals] : unsaid) {
    for (const auto& [number, sources] : journals) {
      const JournalInfo& journal = cache_.journals.Get(number);
      std::uint64_t said_to = 0;
      const ErasureIndex::Source* last = nullptr;
      for (const auto* source : sources) {
        if (said[audience].contains(source->entry)) said_to = std::max(said_to, source->seq);
        if (last == nullptr || source->seq > last->seq) last = source;
      }
      if (journal.branches.size() == 1) {
        if (last->seq > said_to) lines[audience].push_back({journal.id, last->entry});
        continue;
      }
      for (const auto* source : sources) {  // a forked one: each by its name
        if (!said[audience].contains(source->entry))
          lines[audience].push_back({journal.id, source->entry});
      }
    }
  }
  if (charter) {
    // In the audiences of the records that the charter names, and in those where payloads are gone.
    std::set<AudienceId> concerned;
    for (const auto& record : authority.content().erased_records) concerned.insert(record.audience);
    STAFFEL_TRY(gone, reader_.Get("SELECT DISTINCT e.journal FROM absent a JOIN entry e ON "
                                  "e.arrival = a.arrival"));
    {
      const sqlite::StatementScope scope(*gone);
      for (;;) {
        STAFFEL_TRY(row, gone->Step());
        if (!row) break;
        if (!authority.content().erased_payloads.empty())
          concerned.insert(cache_.journals.Get(gone->Int(0)).audience);
      }
    }
    for (const AudienceId& audience : concerned) {
      if (!authority.KeepsCopy(*member, audience)) continue;
      // A charter that names nothing more needs no further word.
      const bool known =
          std::any_of(said[audience].begin(), said[audience].end(), [&](const EntryId& entry) {
            const auto then = cache_.tree->AuthorityOf(entry);
            if (!then) return false;
            return then->content().erased_records == authority.content().erased_records &&
                   then->content().erased_payloads == authority.content().erased_payloads;
          });
      if (!known) lines[audience].push_back({authority.conference(), authority.entry()});
    }
  }
  for (auto& [audience, items] : lines) all.emplace_back(audience, std::move(items));
  return all;
}

Result<bool> Writer::HasUnstatedErasures() {
  STAFFEL_TRY(unstated, Unstated(cache_.last_arrival));
  return !unstated.empty();
}

Status Writer::Wiped(std::uint64_t mark, std::uint64_t last_arrival) {
  STAFFEL_TRY(now, WipeMark());
  if (now == mark && mark != 0) {
    wrote_ = true;
    STAFFEL_TRY(remove, reader_.Get("DELETE FROM meta WHERE key = ?"));
    remove->BindText(1, kMetaWipe);
    STAFFEL_CHECK(remove->Run());
  }
  STAFFEL_TRY(unstated, Unstated(last_arrival));
  for (auto& [audience, lines] : unstated) {
    for (std::size_t at = 0; at < lines.size(); at += kItemsPerEntryMax / 2) {
      ErasureBody body;
      const auto end = std::min(lines.size(), at + kItemsPerEntryMax / 2);
      body.carried_out.assign(lines.begin() + static_cast<std::ptrdiff_t>(at),
                              lines.begin() + static_cast<std::ptrdiff_t>(end));
      Header header;
      header.time = clock_.Now();
      header.body = std::move(body);
      STAFFEL_TRY(written, WriteOwn(audience, {0, Purpose::kErasures}, std::move(header), {}));
      (void)written;
    }
  }
  return {};
}

}  // namespace staffel
