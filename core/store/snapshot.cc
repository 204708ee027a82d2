// SPDX-License-Identifier: EUPL-1.2
#include <algorithm>
#include <queue>

#include "core/base/search_text.h"
#include "core/base/wire.h"
#include "core/charter/build.h"
#include "core/record/catalog.h"
#include "core/record/view.h"
#include "core/store/receipt_reader.h"
#include "core/store/store_impl.h"

namespace staffel {
namespace {

constexpr std::size_t kPageMax = 10'000;
constexpr std::size_t kRunEntriesMax = 10'000;
constexpr std::size_t kSearchWordsMax = 16;
constexpr std::size_t kTrigram = 3;
// Up to so many hits the best come first; beyond, weighing all of them costs more than it helps,
// and the newest come first.
constexpr std::int64_t kRankedHitsMax = 1000;
constexpr std::size_t kSnippetBytes = 160;

// Code points, not bytes: trigrams are counted in them.
std::size_t CodePoints(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

std::string EscapeLike(std::string_view word) {
  std::string out = "%";
  for (char c : word) {
    if (c == '%' || c == '_' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out + "%";
}

}  // namespace

Snapshot::Snapshot(std::unique_ptr<State_> state) : state_(std::move(state)) {}
Snapshot::Snapshot(Snapshot&&) noexcept = default;
Snapshot::~Snapshot() {
  if (state_ && state_->connection) state_->store->ReturnReader(std::move(state_->connection));
}

std::shared_ptr<const charter::Authority> Snapshot::authority() const {
  return state_->published->authority;
}
std::uint64_t Snapshot::revision() const { return state_->published->revision; }

Result<std::uint64_t> Snapshot::RevisionOf(const AudienceId& audience) {
  STAFFEL_TRY(statement, state_->connection->reader.Get(
                             "SELECT IFNULL(MAX(r.changed), 0) FROM audience a "
                             "JOIN record r ON r.audience = a.number WHERE a.id = ?"));
  statement->BindBlob(1, audience.bytes());
  const sqlite::StatementScope scope(*statement);
  STAFFEL_TRY(row, statement->Step());
  return row ? static_cast<std::uint64_t>(statement->Int(0)) : 0;
}

// ---------------------------------------------------------------------------------------------
// Records

namespace {

Result<RecordView> MakeView(TableReader& reader, const JournalMap& journals,
                            const RecordRow& record) {
  RecordView view;
  view.audience = journals.AudienceOf(record.audience);
  view.kind = record.kind;
  view.record = record.id;
  view.deleted = (record.flags & kFlagDeleted) != 0;
  view.erased = (record.flags & kFlagErased) != 0;
  view.conflicts = record.conflicts;
  view.number = static_cast<std::uint64_t>(record.number);
  view.revision = record.changed;
  if (record.state) {
    STAFFEL_TRY(state, DecodeState(*record.state));
    view.created = state.created;
    view.changed = state.changed;
  } else {
    STAFFEL_TRY(entry, reader.GetEntry(record.first_entry));
    view.created = entry.entry.header.time;
    view.changed = view.created;
  }
  STAFFEL_TRY(row, RowOf(reader, record));
  view.row = std::move(row);
  STAFFEL_TRY(opaque, reader.Get("SELECT EXISTS (SELECT 1 FROM opaque_part WHERE record = ? AND "
                                 "kind = ? AND audience = ?)"));
  opaque->BindBlob(1, record.id.bytes());
  opaque->Bind(2, record.kind);
  opaque->Bind(3, record.audience);
  const sqlite::StatementScope scope(*opaque);
  STAFFEL_TRY(found, opaque->Step());
  view.incomplete = found && opaque->Int(0) != 0;
  return view;
}

Result<std::vector<RecordView>> Collect(TableReader& reader, const JournalMap& journals,
                                        sqlite::Statement& statement) {
  std::vector<RecordRow> rows;
  {
    const sqlite::StatementScope scope(statement);
    for (;;) {
      STAFFEL_TRY(found, statement.Step());
      if (!found) break;
      rows.push_back(TableReader::ReadRecord(statement));
    }
  }
  std::vector<RecordView> views;
  views.reserve(rows.size());
  for (const RecordRow& row : rows) {
    STAFFEL_TRY(view, MakeView(reader, journals, row));
    views.push_back(std::move(view));
  }
  return views;
}

Result<RecordRow> RowOfView(TableReader& reader, const RecordView& view) {
  STAFFEL_TRY(found, reader.GetRecordByNumber(static_cast<std::int64_t>(view.number)));
  if (!found) return Fail(ErrorCode::kNotFound, "record {} is not here", view.record.Hex());
  return *found;
}

// -1 in place of an audience or kind means any.
struct FilterBindings {
  std::int64_t audience = -1;
  std::int64_t kind = -1;
  std::int64_t hidden = kFlagHidden;
};

std::optional<FilterBindings> BindingsOf(const JournalMap& journals, const ListFilter& filter) {
  FilterBindings bindings;
  if (filter.audience) {
    const auto found = journals.audiences.find(*filter.audience);
    if (found == journals.audiences.end()) return std::nullopt;
    bindings.audience = found->second;
  }
  if (filter.kind) bindings.kind = *filter.kind;
  // An erased record has nothing to show, and may have been deleted before.
  if (!filter.with_deleted) bindings.hidden |= kFlagDeleted | kFlagErased;
  return bindings;
}

}  // namespace

Result<RecordView> Snapshot::GetRecord(const RecordId& record, std::optional<AudienceId> audience) {
  TableReader& reader = state_->connection->reader;
  STAFFEL_TRY(statement, reader.Get("SELECT number, audience, kind, id, first_entry, changed, "
                                    "flags, conflicts, state, row "
                                    "FROM record WHERE id = ?1 AND (flags & 4) = 0"));
  statement->BindBlob(1, record.bytes());
  STAFFEL_TRY(views, Collect(reader, *state_->published->journals, *statement));
  if (audience) {
    std::erase_if(views, [&](const RecordView& view) { return view.audience != *audience; });
  }
  if (views.empty()) return Fail(ErrorCode::kNotFound, "there is no record {} here", record.Hex());
  const auto width = [&](const RecordView& view) {
    const auto* listed = state_->published->authority
                             ? state_->published->authority->FindAudience(view.audience)
                             : nullptr;
    // Two audiences may have the same readers: what only the chair writes counts as the wider one.
    return std::tuple(listed == nullptr ? 0 : listed->readers.size(),
                      listed != nullptr && listed->chair_writes_only,
                      listed != nullptr && listed->name == charter::kGuestsAudience, view.audience);
  };
  return std::move(*std::min_element(views.begin(), views.end(), [&](const auto& a, const auto& b) {
    return width(a) < width(b);
  }));
}

Result<std::vector<RecordView>> Snapshot::FindByPrefix(std::string_view hex,
                                                       std::optional<std::uint32_t> kind,
                                                       std::size_t limit) {
  constexpr std::size_t kDigits = RecordId::kBytes * 2;
  const bool odd = hex.size() % 2 != 0;
  if (hex.size() > kDigits)
    return Fail(ErrorCode::kInvalid, "'{}' is longer than an id ({} digits)", hex, kDigits);
  // An odd digit stands for a range of sixteen bytes.
  const auto low = FromHex(std::string(hex) + (odd ? "0" : ""));
  const auto high = FromHex(std::string(hex) + (odd ? "f" : ""));
  if (!low || !high)
    return Fail(ErrorCode::kInvalid,
                "'{}' is not the beginning of an id: ids have digits 0-9 and a-f", hex);
  const Bytes upper = *high + Bytes(RecordId::kBytes - high->size(), '\xff');
  TableReader& reader = state_->connection->reader;
  STAFFEL_TRY(
      statement,
      reader.Get(
          "SELECT number, audience, kind, id, first_entry, changed, flags, conflicts, state, row "
          "FROM record WHERE id >= ?1 AND id <= ?2 AND (?3 = -1 OR kind = ?3) AND (flags & 4) = 0 "
          "ORDER BY id LIMIT ?4"));
  statement->BindBlob(1, *low);
  statement->BindBlob(2, upper);
  statement->Bind(3, kind ? static_cast<std::int64_t>(*kind) : -1);
  statement->Bind(4, static_cast<std::int64_t>(std::min(limit, kPageMax)));
  return Collect(reader, *state_->published->journals, *statement);
}

Result<std::vector<RecordView>> Snapshot::List(const ListFilter& filter) {
  const auto bindings = BindingsOf(*state_->published->journals, filter);
  if (!bindings) return std::vector<RecordView>();
  TableReader& reader = state_->connection->reader;
  // Two orders, two indexes: by number for pages, by revision for what changed.
  constexpr std::string_view kByRevision =
      "SELECT number, audience, kind, id, first_entry, changed, flags, conflicts, state, row FROM "
      "record "
      "WHERE audience = ?2 AND changed > ?1 AND (?3 = -1 OR kind = ?3) AND (flags & ?4) = 0 "
      "ORDER BY changed LIMIT ?5";
  constexpr std::string_view kByKind =
      "SELECT number, audience, kind, id, first_entry, changed, flags, conflicts, state, row FROM "
      "record "
      "WHERE kind = ?3 AND number > ?1 AND (?2 = -1 OR audience = ?2) AND (flags & ?4) = 0 ORDER "
      "BY number LIMIT ?5";
  constexpr std::string_view kByNumber =
      "SELECT number, audience, kind, id, first_entry, changed, flags, conflicts, state, row FROM "
      "record "
      "WHERE number > ?1 AND (?2 = -1 OR audience = ?2) AND ?3 = -1 AND (flags & ?4) = 0 ORDER BY "
      "number LIMIT ?5";
  const bool by_revision = filter.after_revision > 0;
  STAFFEL_ASSERT(!by_revision || filter.audience);
  STAFFEL_TRY(statement, reader.Get(by_revision ? kByRevision : filter.kind ? kByKind : kByNumber));
  statement->Bind(
      1, static_cast<std::int64_t>(by_revision ? filter.after_revision : filter.after_number));
  statement->Bind(2, bindings->audience);
  statement->Bind(3, bindings->kind);
  statement->Bind(4, bindings->hidden);
  statement->Bind(5, static_cast<std::int64_t>(std::min(filter.limit, kPageMax)));
  return Collect(reader, *state_->published->journals, *statement);
}

Result<std::uint64_t> Snapshot::Count(const ListFilter& filter) {
  const auto bindings = BindingsOf(*state_->published->journals, filter);
  if (!bindings) return std::uint64_t{0};
  TableReader& reader = state_->connection->reader;
  STAFFEL_TRY(
      statement,
      reader.Get("SELECT COUNT(*) FROM record WHERE number > ?1 AND (?2 = -1 OR audience = ?2) "
                 "AND (?3 = -1 OR kind = ?3) AND (flags & ?4) = 0 AND changed > ?5"));
  statement->Bind(1, static_cast<std::int64_t>(filter.after_number));
  statement->Bind(2, bindings->audience);
  statement->Bind(3, bindings->kind);
  statement->Bind(4, bindings->hidden);
  statement->Bind(5, static_cast<std::int64_t>(filter.after_revision));
  const sqlite::StatementScope scope(*statement);
  STAFFEL_TRY(row, statement->Step());
  return row ? static_cast<std::uint64_t>(statement->Int(0)) : 0;
}

Result<projection::RecordState> Snapshot::State(const RecordView& record) {
  TableReader& reader = state_->connection->reader;
  STAFFEL_TRY(row, RowOfView(reader, record));
  STAFFEL_TRY(state, reader.StateOf(row));
  return LoadState(reader, *state_->published->journals, row, state);
}

Result<std::vector<ConflictView>> Snapshot::ConflictsOf(const RecordView& record) {
  TableReader& reader = state_->connection->reader;
  const JournalMap& journals = *state_->published->journals;
  STAFFEL_TRY(row, RowOfView(reader, record));
  std::vector<ConflictView> conflicts;
  if (row.conflicts == 0) return conflicts;
  STAFFEL_TRY(state, reader.StateOf(row));
  STAFFEL_TRY(values, LoadState(reader, journals, row, state));
  const RecordHistory history(reader, journals, row);
  auto projected = projection::Project(values, history);
  STAFFEL_CHECK(history.status());
  for (auto& conflict : projected.conflicts) conflicts.push_back({record, std::move(conflict)});
  return conflicts;
}

Result<std::vector<ConflictView>> Snapshot::Conflicts(const ListFilter& filter) {
  const auto bindings = BindingsOf(*state_->published->journals, filter);
  if (!bindings) return std::vector<ConflictView>();
  TableReader& reader = state_->connection->reader;
  STAFFEL_TRY(statement, reader.Get("SELECT number, audience, kind, id, first_entry, changed, "
                                    "flags, conflicts, state, row FROM record "
                                    "WHERE conflicts > 0 AND number > ?1 AND (?2 = -1 OR audience "
                                    "= ?2) AND (?3 = -1 OR kind = ?3) "
                                    "AND (flags & ?4) = 0 ORDER BY number LIMIT ?5"));
  statement->Bind(1, static_cast<std::int64_t>(filter.after_number));
  statement->Bind(2, bindings->audience);
  statement->Bind(3, bindings->kind);
  statement->Bind(4, bindings->hidden);
  statement->Bind(5, static_cast<std::int64_t>(std::min(filter.limit, kPageMax)));
  STAFFEL_TRY(records, Collect(reader, *state_->published->journals, *statement));
  std::vector<ConflictView> all;
  for (const RecordView& record : records) {
    STAFFEL_TRY(conflicts, ConflictsOf(record));
    std::move(conflicts.begin(), conflicts.end(), std::back_inserter(all));
  }
  return all;
}

Result<std::vector<HistoryItem>> Snapshot::History(const RecordView& record) {
  TableReader& reader = state_->connection->reader;
  const JournalMap& journals = *state_->published->journals;
  STAFFEL_TRY(row, RowOfView(reader, record));
  STAFFEL_TRY(state, reader.StateOf(row));
  STAFFEL_TRY(arrivals, reader.Touches(row));
  std::set<std::pair<Cell, EntryId>> heads;
  for (const auto& cell : state.cells) {
    for (std::uint32_t index : cell.heads) heads.emplace(cell.cell, state.sources[index].entry);
  }
  std::map<std::pair<Cell, EntryId>, std::optional<Bytes>> values;
  std::vector<HistoryItem> items;
  ReceiptReader receipts(reader, journals);
  for (std::uint64_t arrival : arrivals) {
    STAFFEL_TRY(touch, reader.GetTouch(arrival, row.kind, row.id));
    const JournalInfo& journal = journals.Get(touch.row.journal);
    HistoryItem item;
    item.entry = touch.row.entry.id;
    item.journal = journal.id;
    item.seq = touch.row.seq;
    item.member = journal.verdict.member;
    item.lane = journal.open.lane;
    item.time = touch.row.entry.header.time;
    item.op = touch.row.entry.header.op;
    item.author = touch.author;
    item.valid = touch.row.reason == charter::Reason::kValid;
    if (!item.valid) item.invalid_reason = charter::ReasonSentence(touch.row.reason);
    item.reason = touch.row.reason;
    STAFFEL_TRY(reception, receipts.Of(journal, item.seq, item.entry));
    item.reception = reception;
    item.erased = touch.erased;
    const auto& parents = std::get<WriteBody>(touch.row.entry.header.body).parents;
    for (const auto& one : touch.slice.changes) {
      HistoryItem::Change change;
      change.cell = one.change->cell;
      if (const auto& content = touch.contents[one.part]) change.value = content->values[one.index];
      for (std::uint32_t index : one.change->parents) change.parents.push_back(parents[index]);
      change.head = heads.contains({change.cell, item.entry});
      values[{change.cell, item.entry}] = change.value;
      item.changes.push_back(std::move(change));
    }
    items.push_back(std::move(item));
  }
  // A parent may have arrived after its child: filled in when all are known.
  for (HistoryItem& item : items) {
    for (auto& change : item.changes) {
      std::set<std::optional<Bytes>> before;
      for (const EntryId& parent : change.parents) {
        const auto found = values.find({change.cell, parent});
        if (found != values.end()) before.insert(found->second);
      }
      if (before.size() == 1) change.before = *before.begin();
    }
  }
  return items;
}

namespace {

// Whether more than kRankedHitsMax texts match.
Result<bool> MatchesMany(TableReader& reader, std::string_view match) {
  STAFFEL_TRY(statement, reader.Get("SELECT COUNT(*) FROM (SELECT rowid FROM search "
                                    "WHERE body MATCH ?1 LIMIT ?2)"));
  statement->BindText(1, match);
  statement->Bind(2, kRankedHitsMax + 1);
  const sqlite::StatementScope scope(*statement);
  STAFFEL_TRY(row, statement->Step());
  return row && statement->Int(0) > kRankedHitsMax;
}

}  // namespace

Result<SearchResult> Snapshot::Search(std::string_view query, std::optional<std::uint32_t> kind,
                                      std::size_t limit, std::size_t offset,
                                      std::optional<AudienceId> audience) {
  const std::vector<SearchWord> words = WordsOfQuery(query, kSearchWordsMax);
  if (words.empty())
    return Fail(ErrorCode::kInvalid,
                "there is nothing to search for: give a word or a part of one");
  limit = std::min(limit, kPageMax);
  TableReader& reader = state_->connection->reader;
  SearchResult result;
  ListFilter filter;
  filter.audience = audience;
  const auto bindings = BindingsOf(*state_->published->journals, filter);
  if (!bindings) {
    STAFFEL_TRY(waiting, NotYetIndexed(reader));
    result.not_yet_indexed = waiting;
    return result;
  }
  // Words of three characters and more go through the trigram index; shorter ones are looked for in
  // the texts that remain.
  std::string match;
  std::vector<std::string> patterns;
  for (const SearchWord& word : words) {
    if (CodePoints(word.forms.front()) < kTrigram) {
      patterns.push_back(EscapeLike(word.forms.front()));
      continue;
    }
    std::string either;
    for (const std::string& form : word.forms) {
      std::string quoted;
      for (char c : form) quoted += c == '"' ? "\"\"" : std::string(1, c);
      either += fmt::format("{}\"{}\"", either.empty() ? "" : " OR ", quoted);
    }
    match += fmt::format("{}({})", match.empty() ? "" : " AND ", either);
  }
  std::vector<RecordRow> rows;
  {
    constexpr std::string_view kNewest =
        "SELECT r.number, r.audience, r.kind, r.id, r.first_entry, r.changed, r.flags, "
        "r.conflicts, r.state, r.row, s.body "
        "FROM search s CROSS JOIN record r ON r.number = s.rowid WHERE s.body MATCH ?1 AND "
        "(?2 = -1 OR r.kind = ?2) AND (?3 = -1 OR r.audience = ?3) AND (r.flags & 7) = 0 "
        "ORDER BY s.rowid DESC";
    constexpr std::string_view kBest =
        "SELECT r.number, r.audience, r.kind, r.id, r.first_entry, r.changed, r.flags, "
        "r.conflicts, r.state, r.row, s.body "
        "FROM search s CROSS JOIN record r ON r.number = s.rowid WHERE s.body MATCH ?1 AND (?2 = "
        "-1 OR "
        "r.kind = ?2) AND (?3 = -1 OR r.audience = ?3) AND (r.flags & 7) = 0 "
        "ORDER BY s.rank, r.number";
    constexpr std::string_view kAll =
        "SELECT r.number, r.audience, r.kind, r.id, r.first_entry, r.changed, r.flags, "
        "r.conflicts, r.state, r.row, s.body "
        "FROM search s JOIN record r ON r.number = s.rowid WHERE s.body LIKE ?1 ESCAPE '\\' AND "
        "(?2 = -1 OR r.kind = ?2) AND (?3 = -1 OR r.audience = ?3) AND (r.flags & 7) = 0 "
        "ORDER BY r.number";
    bool many = false;
    if (!match.empty()) {
      STAFFEL_TRY(matches_many, MatchesMany(reader, match));
      many = matches_many;
    }
    STAFFEL_TRY(statement, reader.Get(match.empty() ? kAll : many ? kNewest : kBest));
    statement->BindText(1, match.empty() ? patterns.front() : match);
    statement->Bind(2, kind ? static_cast<std::int64_t>(*kind) : -1);
    statement->Bind(3, bindings->audience);
    const sqlite::StatementScope scope(*statement);
    std::size_t seen = 0;
    for (;;) {
      STAFFEL_TRY(found, statement->Step());
      if (!found) break;
      const std::string_view body = statement->Text(10);
      const bool all = std::all_of(words.begin(), words.end(),
                                   [&](const SearchWord& word) { return word.IsIn(body); });
      if (!all) continue;
      if (seen++ < offset) continue;
      if (rows.size() == limit) {
        result.more = true;
        break;
      }
      rows.push_back(TableReader::ReadRecord(*statement));
    }
  }
  for (const RecordRow& row : rows) {
    STAFFEL_TRY(view, MakeView(reader, *state_->published->journals, row));
    // The index holds folded text; people are shown what was written.
    const auto* of = record::Kinds().Find(view.kind);
    std::string snippet =
        of == nullptr ? "" : SnippetOf(record::SearchTextOf(*of, view.row), words, kSnippetBytes);
    result.hits.push_back({std::move(view), std::move(snippet)});
  }
  STAFFEL_TRY(waiting, NotYetIndexed(reader));
  result.not_yet_indexed = waiting;
  return result;
}

// ---------------------------------------------------------------------------------------------
// The exchange

Result<VersionVector> Snapshot::Vector(const AudienceId& audience) {
  TableReader& reader = state_->connection->reader;
  STAFFEL_TRY(
      statement,
      reader.Get("SELECT j.id, b.entry, b.seq FROM branch b JOIN journal j ON j.number = b.journal "
                 "JOIN audience a ON a.number = j.audience WHERE a.id = ?"));
  statement->BindBlob(1, audience.bytes());
  const sqlite::StatementScope scope(*statement);
  VersionVector vector;
  for (;;) {
    STAFFEL_TRY(row, statement->Step());
    if (!row) break;
    vector.push_back({*JournalId::From(statement->Blob(0)), *EntryId::From(statement->Blob(1)),
                      static_cast<std::uint64_t>(statement->Int(2))});
  }
  std::sort(vector.begin(), vector.end());
  return vector;
}

Result<StateDigest> Snapshot::Digest(const AudienceId& audience) {
  StateDigest digest;
  TableReader& reader = state_->connection->reader;
  {
    STAFFEL_TRY(statement, reader.Get("SELECT d.bucket, d.sum FROM digest d JOIN audience a ON "
                                      "a.number = d.audience WHERE a.id = ?"));
    statement->BindBlob(1, audience.bytes());
    const sqlite::StatementScope scope(*statement);
    for (;;) {
      STAFFEL_TRY(row, statement->Step());
      if (!row) break;
      digest.buckets.at(static_cast<std::size_t>(statement->Int(0))) =
          Hash::From(statement->Blob(1)).value_or(Hash());
    }
  }
  digest.root = RootOf(digest.buckets);
  // By an index of their own (12: Reason::kNewerFormat): every exchange asks this.
  STAFFEL_TRY(opaque, reader.Get("SELECT EXISTS (SELECT 1 FROM entry e INDEXED BY entry_opaque "
                                 "CROSS JOIN journal j ON j.number = e.journal "
                                 "CROSS JOIN audience a ON a.number = j.audience "
                                 "WHERE e.reason = 12 AND a.id = ?1)"));
  opaque->BindBlob(1, audience.bytes());
  const sqlite::StatementScope scope(*opaque);
  STAFFEL_TRY(row, opaque->Step());
  digest.complete = !row || opaque->Int(0) == 0;
  return digest;
}

Result<bool> Snapshot::HasEntry(const JournalId& journal, std::uint64_t seq, const EntryId& entry) {
  const JournalInfo* info = state_->published->journals->Find(journal);
  if (info == nullptr) return false;
  TableReader& reader = state_->connection->reader;
  STAFFEL_TRY(statement, reader.Get("SELECT id FROM entry WHERE journal = ? AND seq = ?"));
  statement->Bind(1, info->number);
  statement->Bind(2, static_cast<std::int64_t>(seq));
  const sqlite::StatementScope scope(*statement);
  for (;;) {
    STAFFEL_TRY(row, statement->Step());
    if (!row) return false;
    if (statement->Blob(0) == entry.bytes()) return true;
  }
}

Result<std::vector<charter::ErasedRecord>> Snapshot::RecordsOf(
    const std::vector<charter::ErasedPayload>& payloads, std::size_t* absent) {
  *absent = payloads.size();
  std::vector<charter::ErasedRecord> records;
  if (payloads.empty()) return records;
  std::unordered_map<EntryId, std::vector<std::uint32_t>> wanted;
  for (const auto& payload : payloads) wanted[payload.entry].push_back(payload.index);
  TableReader& reader = state_->connection->reader;
  std::vector<std::uint64_t> arrivals;
  {
    STAFFEL_TRY(statement, reader.Get("SELECT arrival, id FROM entry"));
    const sqlite::StatementScope scope(*statement);
    for (;;) {
      STAFFEL_TRY(row, statement->Step());
      if (!row) break;
      const auto id = EntryId::From(statement->Blob(1));
      if (id && wanted.contains(*id)) {
        arrivals.push_back(static_cast<std::uint64_t>(statement->Int(0)));
      }
    }
  }
  for (const std::uint64_t arrival : arrivals) {
    STAFFEL_TRY(row, reader.GetEntry(arrival));
    const auto* write = std::get_if<WriteBody>(&row.entry.header.body);
    for (const std::uint32_t at : wanted[row.entry.id]) {
      if (write == nullptr || at >= write->records.size()) continue;
      --*absent;
      const charter::ErasedRecord record{state_->published->journals->Get(row.journal).audience,
                                         write->records[at].kind, write->records[at].record};
      if (std::find(records.begin(), records.end(), record) == records.end()) {
        records.push_back(record);
      }
    }
  }
  return records;
}

Result<std::optional<std::uint64_t>> Snapshot::LastSeq(const JournalId& journal) {
  const JournalInfo* info = state_->published->journals->Find(journal);
  if (info == nullptr) return std::optional<std::uint64_t>();
  TableReader& reader = state_->connection->reader;
  STAFFEL_TRY(statement, reader.Get("SELECT MAX(seq) FROM branch WHERE journal = ?"));
  statement->Bind(1, info->number);
  const sqlite::StatementScope scope(*statement);
  STAFFEL_TRY(row, statement->Step());
  if (!row || statement->IsNull(0)) return std::optional<std::uint64_t>();
  return std::optional<std::uint64_t>(static_cast<std::uint64_t>(statement->Int(0)));
}

namespace {

StoredEntry ReadStored(const sqlite::Statement& statement, const JournalId& journal) {
  StoredEntry entry;
  entry.journal = journal;
  entry.arrival = static_cast<std::uint64_t>(statement.Int(0));
  entry.seq = static_cast<std::uint64_t>(statement.Int(1));
  entry.id = EntryId::From(statement.Blob(2)).value_or(EntryId());
  entry.header = statement.Blob(3);
  if (!statement.IsNull(4)) {
    if (auto payloads = UnpackPayloads(statement.Blob(4))) entry.payloads = std::move(*payloads);
  }
  if (!statement.IsNull(5)) entry.signature = statement.Blob(5);
  return entry;
}

std::size_t SizeOf(const StoredEntry& entry) {
  std::size_t bytes = entry.header.size() + entry.signature.size();
  for (const auto& payload : entry.payloads) bytes += payload ? payload->size() : 0;
  return bytes;
}

// The predecessor named in header bytes of ours or of any format: field 4.
std::optional<EntryId> PrevOf(ByteView header) {
  WireReader reader(header);
  while (auto field = reader.Next()) {
    if (field->number == 4) return EntryId::From(field->bytes);
    if (field->number > 4) break;
  }
  return std::nullopt;
}

// One wanted journal, read forward by seq.
struct Cursor {
  const JournalInfo* journal = nullptr;
  int priority = 0;  // erasures, the chair's acts, the rest
  sqlite::Statement statement;
  // The row that the statement stands on. Only its arrival is looked at until it is taken: payloads
  // may be large, and there may be many journals.
  bool has_row = false;
  std::uint64_t arrival = 0;
  // The runs that a next entry may continue, by their last entry: one a branch.
  std::vector<std::pair<EntryId, std::size_t>> tails;
};

}  // namespace

Result<std::vector<StoredRun>> Snapshot::ReadRuns(std::span<const Want> wants,
                                                  std::size_t bytes_max, bool* more) {
  *more = false;
  std::vector<std::unique_ptr<Cursor>> cursors;
  const auto advance = [](Cursor& cursor) -> Status {
    STAFFEL_TRY(row, cursor.statement.Step());
    cursor.has_row = row;
    if (row) cursor.arrival = static_cast<std::uint64_t>(cursor.statement.Int(0));
    return {};
  };
  for (const Want& want : wants) {
    const JournalInfo* journal = state_->published->journals->Find(want.journal);
    if (journal == nullptr) continue;
    STAFFEL_TRY(statement, state_->connection->database.Prepare(
                               "SELECT arrival, seq, id, header, payloads, signature FROM entry "
                               "WHERE journal = ? AND seq >= ? ORDER BY seq, fork"));
    auto cursor = std::make_unique<Cursor>(Cursor{journal, 0, std::move(statement), false, 0, {}});
    cursor->priority = journal->open.lane.purpose == Purpose::kErasures ? 0
                       : journal->open.lane.term != 0                   ? 1
                                                                        : 2;
    cursor->statement.Bind(1, journal->number);
    cursor->statement.Bind(2, static_cast<std::int64_t>(want.from_seq));
    STAFFEL_CHECK(advance(*cursor));
    if (cursor->has_row) cursors.push_back(std::move(cursor));
  }
  const auto later = [](const Cursor* a, const Cursor* b) {
    return std::pair(a->priority, a->arrival) > std::pair(b->priority, b->arrival);
  };
  std::priority_queue<Cursor*, std::vector<Cursor*>, decltype(later)> queue(later);
  for (const auto& cursor : cursors) queue.push(cursor.get());

  std::vector<StoredRun> runs;
  std::size_t bytes = 0;
  std::size_t entries = 0;
  std::size_t unsigned_ends = 0;
  const auto take = [&](Cursor& cursor, bool only_to_signatures) -> Status {
    StoredEntry entry = ReadStored(cursor.statement, cursor.journal->id);
    if (only_to_signatures) {
      const auto before = PrevOf(entry.header);
      const bool continues =
          std::any_of(cursor.tails.begin(), cursor.tails.end(), [&](const auto& tail) {
            return before && tail.first == *before &&
                   runs[tail.second].entries.back().signature.empty();
          });
      if (!continues) {
        *more = true;
        return advance(cursor);
      }
    }
    bytes += SizeOf(entry);
    ++entries;
    const auto prev = PrevOf(entry.header);
    const auto tail = std::find_if(cursor.tails.begin(), cursor.tails.end(),
                                   [&](const auto& one) { return prev && one.first == *prev; });
    std::size_t index = runs.size();
    if (tail != cursor.tails.end()) {
      index = tail->second;
      tail->first = entry.id;
      if (runs[index].entries.back().signature.empty()) --unsigned_ends;
    } else {
      runs.push_back({cursor.journal->id, {}});
      cursor.tails.emplace_back(entry.id, index);
    }
    if (entry.signature.empty()) ++unsigned_ends;
    runs[index].entries.push_back(std::move(entry));
    return advance(cursor);
  };
  while (!queue.empty()) {
    Cursor* cursor = queue.top();
    queue.pop();
    // Past the budget only what brings an open run to a signature is still read, branch by branch.
    const bool full = bytes >= bytes_max || entries >= kRunEntriesMax;
    if (full) {
      if (unsigned_ends == 0) {
        *more = true;
        break;
      }
      const bool continues = std::any_of(runs.begin(), runs.end(), [&](const StoredRun& run) {
        return run.journal == cursor->journal->id && run.entries.back().signature.empty();
      });
      if (!continues) {
        *more = true;
        continue;
      }
    }
    STAFFEL_CHECK(take(*cursor, /*only_to_signatures=*/full));
    if (cursor->has_row) queue.push(cursor);
  }
  // What still has no signature at its end is cut back to the last one: the rest comes when the
  // sender holds one.
  for (StoredRun& run : runs) {
    while (!run.entries.empty() && run.entries.back().signature.empty()) run.entries.pop_back();
  }
  std::erase_if(runs, [](const StoredRun& run) { return run.entries.empty(); });
  return runs;
}

Result<std::vector<JournalView>> Snapshot::Journals() {
  TableReader& reader = state_->connection->reader;
  std::vector<JournalView> views;
  STAFFEL_TRY(statement,
              reader.Get("SELECT journal, COUNT(*) FROM entry GROUP BY journal ORDER BY journal"));
  const sqlite::StatementScope scope(*statement);
  for (;;) {
    STAFFEL_TRY(row, statement->Step());
    if (!row) return views;
    const JournalInfo& journal = state_->published->journals->Get(statement->Int(0));
    JournalView view;
    view.journal = journal.id;
    view.audience = journal.audience;
    view.member = journal.verdict.member;
    view.lane = journal.open.lane;
    view.key = journal.open.key;
    view.own = journal.own;
    view.valid = journal.verdict.valid();
    if (!view.valid) view.invalid_reason = charter::ReasonSentence(journal.verdict.reason);
    view.branches = journal.branches.size();
    view.entries = static_cast<std::uint64_t>(statement->Int(1));
    views.push_back(std::move(view));
  }
}

namespace {

Result<std::uint64_t> CountOwnWithoutEffect(TableReader& reader, const JournalMap& journals,
                                            const charter::Authority* authority,
                                            const crypto::PublicKey& key) {
  const auto own = authority == nullptr ? std::nullopt : authority->MemberOfKey(key);
  STAFFEL_TRY(statement,
              reader.Get("SELECT journal, COUNT(*) FROM entry INDEXED BY entry_without_effect "
                         "WHERE reason != 0 AND reason != ? GROUP BY journal"));
  statement->Bind(1, static_cast<std::int64_t>(charter::Reason::kNewerFormat));
  const sqlite::StatementScope scope(*statement);
  std::uint64_t count = 0;
  for (;;) {
    STAFFEL_TRY(row, statement->Step());
    if (!row) return count;
    const JournalInfo& journal = journals.Get(statement->Int(0));
    if (!journal.own && (!own || journal.verdict.member != *own)) continue;
    count += static_cast<std::uint64_t>(statement->Int(1));
  }
}

}  // namespace

Result<StoreCounts> Snapshot::Counts() {
  sqlite::Database& database = state_->connection->database;
  StoreCounts counts;
  const auto count = [&](std::uint64_t& into, std::string_view sql) -> Status {
    STAFFEL_TRY(value, database.QueryInt(sql));
    into = static_cast<std::uint64_t>(value);
    return {};
  };
  STAFFEL_CHECK(count(counts.entries, "SELECT IFNULL(MAX(arrival), 0) FROM entry"));
  STAFFEL_CHECK(count(counts.records, "SELECT COUNT(*) FROM record WHERE (flags & 7) = 0"));
  STAFFEL_CHECK(
      count(counts.conflicts, "SELECT IFNULL(SUM(conflicts), 0) FROM record WHERE conflicts > 0"));
  STAFFEL_CHECK(count(counts.journals, "SELECT COUNT(*) FROM journal"));
  STAFFEL_CHECK(count(counts.charter_entries, "SELECT COUNT(*) FROM charter_entry"));
  STAFFEL_CHECK(
      count(counts.file_bytes,
            "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"));
  TableReader& reader = state_->connection->reader;
  for (const auto& [number, journal] : state_->published->journals->by_number) {
    if (!journal.own) continue;
    STAFFEL_TRY(own, reader.Get("SELECT COUNT(*) FROM entry WHERE journal = ?"));
    own->Bind(1, number);
    const sqlite::StatementScope scope(*own);
    STAFFEL_TRY(row, own->Step());
    if (row) counts.own_entries += static_cast<std::uint64_t>(own->Int(0));
  }
  STAFFEL_TRY(
      invalid,
      reader.Get("SELECT COUNT(*), IFNULL(SUM(reason = ?1), 0) FROM entry WHERE reason != 0"));
  invalid->Bind(1, static_cast<std::int64_t>(charter::Reason::kNewerFormat));
  {
    const sqlite::StatementScope scope(*invalid);
    STAFFEL_TRY(row, invalid->Step());
    if (row) {
      counts.opaque_entries = static_cast<std::uint64_t>(invalid->Int(1));
      counts.invalid_entries = static_cast<std::uint64_t>(invalid->Int(0)) - counts.opaque_entries;
    }
  }
  if (counts.invalid_entries > 0) {
    STAFFEL_TRY(own, CountOwnWithoutEffect(reader, *state_->published->journals,
                                           state_->published->authority.get(),
                                           state_->store->options.key->public_key()));
    counts.own_invalid_entries = own;
  }
  STAFFEL_TRY(waiting, NotYetIndexed(reader));
  counts.not_yet_indexed = waiting;
  return counts;
}

}  // namespace staffel
