// SPDX-License-Identifier: EUPL-1.2
#include "core/store/reader.h"

#include <algorithm>

#include "core/projection/fresh.h"

namespace staffel {

const JournalInfo* JournalMap::Find(const JournalId& id) const {
  const auto found = by_id.find(id);
  return found == by_id.end() ? nullptr : &by_number.at(found->second);
}

JournalInfo* JournalMap::Find(const JournalId& id) {
  const auto found = by_id.find(id);
  return found == by_id.end() ? nullptr : &by_number.at(found->second);
}

const JournalInfo& JournalMap::Get(std::int64_t number) const {
  static const JournalInfo nobodys;
  const auto found = by_number.find(number);
  return found == by_number.end() ? nobodys : found->second;
}

const AudienceId& JournalMap::AudienceOf(std::int64_t number) const {
  static const AudienceId none;
  const auto found = audience_ids.find(number);
  return found == audience_ids.end() ? none : found->second;
}

fold::Touch TouchRow::ToTouch(const JournalInfo& journal) const {
  fold::Touch touch;
  touch.entry = row.entry.id;
  touch.valid = row.reason == charter::Reason::kValid;
  if (row.entry.header.op && !journal.verdict.member.empty()) {
    touch.repeat = fold::RepeatKey{journal.verdict.member, *row.entry.header.op};
  }
  const auto& parents = std::get<WriteBody>(row.entry.header.body).parents;
  for (const auto& change : slice.changes) {
    auto& cell = touch.cells.emplace_back();
    cell.cell = change.change->cell;
    cell.parents.reserve(change.change->parents.size());
    for (std::uint32_t index : change.change->parents) cell.parents.push_back(parents[index]);
  }
  return touch;
}

Result<sqlite::Statement*> TableReader::Get(std::string_view sql) {
  // Keys are string literals: they live as long as the program.
  auto& statement = statements_[sql];
  if (!statement) {
    STAFFEL_TRY(prepared, database_.Prepare(sql));
    statement = std::make_unique<sqlite::Statement>(std::move(prepared));
  }
  statement->Reset();
  return statement.get();
}

RecordRow TableReader::ReadRecord(const sqlite::Statement& statement) {
  RecordRow record;
  record.number = statement.Int(0);
  record.audience = statement.Int(1);
  record.kind = static_cast<std::uint32_t>(statement.Int(2));
  record.id = RecordId::From(statement.Blob(3)).value_or(RecordId());
  record.first_entry = static_cast<std::uint64_t>(statement.Int(4));
  record.changed = static_cast<std::uint64_t>(statement.Int(5));
  record.flags = static_cast<int>(statement.Int(6));
  record.conflicts = static_cast<std::size_t>(statement.Int(7));
  if (!statement.IsNull(8)) record.state = Bytes(statement.Blob(8));
  if (!statement.IsNull(9)) record.row = Bytes(statement.Blob(9));
  return record;
}

Result<std::optional<RecordRow>> TableReader::FindRecord(std::int64_t audience, std::uint32_t kind,
                                                         const RecordId& id) {
  STAFFEL_TRY(
      statement,
      Get("SELECT number, audience, kind, id, first_entry, changed, flags, conflicts, state, row "
          "FROM record WHERE id = ? AND kind = ? AND audience = ?"));
  statement->BindBlob(1, id.bytes());
  statement->Bind(2, kind);
  statement->Bind(3, audience);
  const sqlite::StatementScope scope(*statement);
  STAFFEL_TRY(found, statement->Step());
  if (!found) return std::optional<RecordRow>();
  return std::optional<RecordRow>(ReadRecord(*statement));
}

Result<std::optional<RecordRow>> TableReader::GetRecordByNumber(std::int64_t number) {
  STAFFEL_TRY(
      statement,
      Get("SELECT number, audience, kind, id, first_entry, changed, flags, conflicts, state, row "
          "FROM record WHERE number = ?"));
  statement->Bind(1, number);
  const sqlite::StatementScope scope(*statement);
  STAFFEL_TRY(found, statement->Step());
  if (!found) return std::optional<RecordRow>();
  return std::optional<RecordRow>(ReadRecord(*statement));
}

Result<EntryRow> TableReader::GetEntry(std::uint64_t arrival) {
  STAFFEL_TRY(
      statement,
      Get("SELECT journal, seq, reason, id, header, payloads FROM entry WHERE arrival = ?"));
  statement->Bind(1, static_cast<std::int64_t>(arrival));
  const sqlite::StatementScope scope(*statement);
  STAFFEL_TRY(found, statement->Step());
  if (!found)
    return Fail(ErrorCode::kCorrupt,
                "entry number {} is missing from the file: run 'staffel verify'", arrival);
  EntryRow row;
  row.arrival = arrival;
  row.journal = statement->Int(0);
  row.seq = static_cast<std::uint64_t>(statement->Int(1));
  row.reason = static_cast<charter::Reason>(statement->Int(2));
  row.entry.header_bytes = statement->Blob(4);
  STAFFEL_TRY(header, ParseHeader(row.entry.header_bytes));
  row.entry.header = std::move(header);
  const auto id = EntryId::From(statement->Blob(3));
  if (!id)
    return Fail(ErrorCode::kCorrupt, "entry number {} has no id: run 'staffel verify'", arrival);
  row.entry.id = *id;
  if (!statement->IsNull(5)) {
    STAFFEL_TRY(payloads, UnpackPayloads(statement->Blob(5)));
    row.entry.payloads = std::move(payloads);
  }
  return row;
}

Result<TouchRow> TableReader::GetTouch(std::uint64_t arrival, std::uint32_t kind,
                                       const RecordId& id) {
  STAFFEL_TRY(row, GetEntry(arrival));
  TouchRow touch;
  touch.row = std::move(row);
  const auto* write = std::get_if<WriteBody>(&touch.row.entry.header.body);
  if (write == nullptr || touch.row.entry.payloads.size() != write->records.size()) {
    return Fail(ErrorCode::kCorrupt,
                "entry number {} does not hold what its record needs: run 'staffel verify'",
                arrival);
  }
  touch.slice = SliceOf(*write, kind, id);
  FillContents(touch);
  return touch;
}

Result<std::uint64_t> NotYetIndexed(TableReader& reader) {
  STAFFEL_TRY(statement, reader.Get("SELECT COUNT(*) FROM audience a JOIN record r ON r.audience = "
                                    "a.number AND r.changed > a.indexed"));
  const sqlite::StatementScope scope(*statement);
  STAFFEL_TRY(row, statement->Step());
  return row ? static_cast<std::uint64_t>(statement->Int(0)) : std::uint64_t{0};
}

void FillContents(TouchRow& touch) {
  const auto& write = std::get<WriteBody>(touch.row.entry.header.body);
  touch.contents.clear();
  touch.contents.resize(write.records.size());
  for (std::size_t part : touch.slice.parts) {
    const auto& payload = touch.row.entry.payloads[part];
    if (!payload) {
      touch.erased = true;
      continue;
    }
    auto content = ParsePayload(*payload, write.records[part].changes.size());
    // A payload that matches its commitment and still cannot be read is its writer's doing: it
    // counts as holding nothing, on every replica alike.
    if (!content) continue;
    if (!touch.author) touch.author = content->author;
    touch.contents[part] = std::move(*content);
  }
}

Result<Bytes> RowOf(TableReader& reader, const RecordRow& record) {
  if (record.row) return *record.row;
  STAFFEL_TRY(touch, reader.GetTouch(record.first_entry, record.kind, record.id));
  std::vector<projection::CellValue> values;
  values.reserve(touch.slice.changes.size());
  for (const auto& change : touch.slice.changes) {
    const auto& content = touch.contents[change.part];
    if (!content || !content->values[change.index]) continue;
    values.push_back({change.change->cell, *content->values[change.index]});
  }
  std::sort(values.begin(), values.end(),
            [](const auto& a, const auto& b) { return a.cell < b.cell; });
  return projection::RowOfValues(record.kind, values).row;
}

Result<std::vector<std::uint64_t>> TableReader::Touches(const RecordRow& record) {
  std::vector<std::uint64_t> arrivals{record.first_entry};
  STAFFEL_TRY(statement, Get("SELECT arrival FROM touch WHERE record = ? ORDER BY arrival"));
  statement->Bind(1, record.number);
  const sqlite::StatementScope scope(*statement);
  for (;;) {
    STAFFEL_TRY(found, statement->Step());
    if (!found) break;
    arrivals.push_back(static_cast<std::uint64_t>(statement->Int(0)));
  }
  // What could not be read at first may have come before the entry that the record began with here.
  std::sort(arrivals.begin(), arrivals.end());
  return arrivals;
}

StoredState StateOfFirst(const TouchRow& touch) {
  StoredState state;
  if (touch.row.reason != charter::Reason::kValid) return state;
  state.AddTime(touch.row.entry.header.time);
  state.sources.push_back({touch.row.entry.id, touch.row.arrival, touch.erased});
  std::vector<const Cell*> cells;
  for (const auto& change : touch.slice.changes) cells.push_back(&change.change->cell);
  std::sort(cells.begin(), cells.end(), [](const Cell* a, const Cell* b) { return *a < *b; });
  for (const Cell* cell : cells) state.cells.push_back({*cell, {0}});
  return state;
}

Result<StoredState> TableReader::StateOf(const RecordRow& record) {
  if (record.state) return DecodeState(*record.state);
  STAFFEL_TRY(touch, GetTouch(record.first_entry, record.kind, record.id));
  return StateOfFirst(touch);
}

namespace {

projection::Head MakeHead(const TouchRow& touch, const RecordSlice::Change& change,
                          const JournalMap& journals) {
  projection::Head head;
  head.entry = touch.row.entry.id;
  head.time = touch.row.entry.header.time;
  head.member = journals.Get(touch.row.journal).verdict.member;
  const auto& parents = std::get<WriteBody>(touch.row.entry.header.body).parents;
  for (std::uint32_t index : change.change->parents) head.parents.push_back(parents[index]);
  head.erased = !touch.row.entry.payloads[change.part].has_value();
  if (const auto& content = touch.contents[change.part]) {
    head.author = content->author;
    head.value = content->values[change.index];
  }
  return head;
}

}  // namespace

Result<projection::RecordState> LoadState(TableReader& reader, const JournalMap& journals,
                                          const RecordRow& record, const StoredState& state,
                                          const TouchRow* fresh) {
  std::vector<TouchRow> loaded;
  std::vector<const TouchRow*> touches;
  loaded.reserve(state.sources.size());
  for (const auto& source : state.sources) {
    if (fresh != nullptr && fresh->row.arrival == source.arrival) {
      touches.push_back(fresh);
      continue;
    }
    STAFFEL_TRY(touch, reader.GetTouch(source.arrival, record.kind, record.id));
    loaded.push_back(std::move(touch));
    touches.push_back(&loaded.back());
  }
  projection::RecordState out;
  out.kind = record.kind;
  out.record = record.id;
  out.cells.reserve(state.cells.size());
  for (const auto& cell : state.cells) {
    auto& target = out.cells.emplace_back();
    target.cell = cell.cell;
    for (std::uint32_t index : cell.heads) {
      const TouchRow& touch = *touches[index];
      const auto& changes = touch.slice.changes;
      const auto change = std::find_if(changes.begin(), changes.end(), [&](const auto& one) {
        return one.change->cell == cell.cell;
      });
      if (change == changes.end()) {
        return Fail(ErrorCode::kCorrupt,
                    "the state of record {} does not fit its journal: run 'staffel verify'",
                    record.id.Hex());
      }
      target.heads.push_back(MakeHead(touch, *change, journals));
    }
  }
  return out;
}

void RecordHistory::Load() const {
  if (loaded_) return;
  loaded_ = true;
  auto arrivals = reader_.Touches(record_);
  if (!arrivals) {
    status_ = Forward(arrivals);
    return;
  }
  for (std::uint64_t arrival : *arrivals) {
    auto statement = reader_.Get("SELECT id FROM entry WHERE arrival = ?");
    if (!statement) {
      status_ = Forward(statement);
      return;
    }
    (*statement)->Bind(1, static_cast<std::int64_t>(arrival));
    const sqlite::StatementScope scope(**statement);
    auto row = (*statement)->Step();
    if (!row) {
      status_ = Forward(row);
      return;
    }
    const auto id = *row ? EntryId::From((*statement)->Blob(0)) : std::nullopt;
    if (id) arrivals_.emplace(*id, arrival);
  }
}

std::optional<projection::History::Change> RecordHistory::Find(const Cell& cell,
                                                               const EntryId& entry) const {
  Load();
  const auto found = arrivals_.find(entry);
  if (found == arrivals_.end()) return std::nullopt;
  auto touch = reader_.GetTouch(found->second, record_.kind, record_.id);
  if (!touch) {
    status_ = Forward(touch);
    return std::nullopt;
  }
  for (const auto& change : touch->slice.changes) {
    if (change.change->cell != cell) continue;
    projection::Head head = MakeHead(*touch, change, journals_);
    return Change{std::move(head.parents), std::move(head.value), head.erased, head.time,
                  head.member};
  }
  return std::nullopt;
}

}  // namespace staffel
