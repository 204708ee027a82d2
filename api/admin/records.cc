// SPDX-License-Identifier: EUPL-1.2
// Records: list, show, add, set, delete, restore, search, log.
#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "api/admin/administration.h"
#include "api/admin/clock_marks.h"
#include "api/admin/receipts.h"
#include "api/admin/shown.h"
#include "core/journal/cell.h"
#include "core/record/cells.h"
#include "core/record/record_id.h"
#include "core/record/release.h"
#include "core/record/view.h"

namespace staffel::api {

namespace {

// The heads of a cell that count; none where nobody has written it.
std::set<std::optional<Bytes>> ValuesIn(const projection::RecordState& state, const Cell& cell) {
  std::set<std::optional<Bytes>> values;
  for (const auto& one : state.cells) {
    if (one.cell != cell) continue;
    for (const auto& head : one.heads) {
      if (!head.erased) values.insert(head.value);
    }
  }
  return values;
}

// Whether a write changes nothing: its value is the only one, or there is none and it empties.
bool Stands(const projection::RecordState& state, const record::CellWrite& write) {
  const auto values = ValuesIn(state, write.cell);
  return values.empty() ? !write.value : values.size() == 1 && *values.begin() == write.value;
}

// A conflict is decided as one and not by an edit beside it: kConflict, naming the field.
Status CheckUncontested(const record::Kind& kind, const RecordView& view,
                        const projection::RecordState& state,
                        const std::vector<record::CellWrite>& writes) {
  for (const record::CellWrite& write : writes) {
    const std::size_t values = ValuesIn(state, write.cell).size();
    if (values < 2) continue;
    return Fail(ErrorCode::kConflict,
                "field '{}': there are {} competing values: decide the conflict first (staffel "
                "conflicts show {})",
                record::FieldPathOf(kind, write.cell, view.row).path, values,
                view.record.Hex().substr(0, 8));
  }
  return {};
}

using Values = std::map<std::pair<Cell, EntryId>, std::optional<Bytes>>;

// What each entry of a history wrote into each cell.
Values ValuesOf(const std::vector<HistoryItem>& history) {
  Values values;
  for (const HistoryItem& item : history) {
    for (const auto& change : item.changes) values[{change.cell, item.entry}] = change.value;
  }
  return values;
}

// One change for people: from what to what. A decision between several values names them all.
void FillChange(const record::Kind& kind, ByteView row, const HistoryItem::Change& change,
                const Values& values, const record::Wording& wording, admin::LogChange& out) {
  const auto path = record::FieldPathOf(kind, change.cell, row);
  out.set_head(change.head);
  out.set_path(path.path);
  out.set_label_de(path.label_de);
  out.set_label_en(path.label_en);
  if (change.cell == DeletedCell()) {
    out.set_label_de("Datensatz");
    out.set_label_en("Record");
    out.set_has_after(true);
    out.set_after(change.value ? record::ValueToText(kind, change.cell, change.value, wording)
                  : wording.is_german() ? "wiederhergestellt"
                                        : "restored");
    return;
  }
  std::vector<std::string> before;
  for (const EntryId& parent : change.parents) {
    const auto found = values.find({change.cell, parent});
    if (found == values.end()) continue;
    std::string text = record::ValueToText(kind, change.cell, found->second, wording);
    if (std::find(before.begin(), before.end(), text) == before.end()) {
      before.push_back(std::move(text));
    }
  }
  if (record::IsPositionCell(kind, change.cell)) {
    // The letters of a position tell a person nothing; that something was moved does.
    out.set_has_after(change.value.has_value());
    if (change.value) {
      out.set_after(wording.is_german() ? (before.empty() ? "eingereiht" : "verschoben")
                                        : (before.empty() ? "placed" : "moved"));
    }
    return;
  }
  out.set_has_before(!before.empty());
  out.set_before(fmt::format("{}", fmt::join(before, " / ")));
  if (!change.value) return;
  out.set_has_after(true);
  out.set_after(record::ValueToText(kind, change.cell, change.value, wording));
}

}  // namespace

Result<admin::ListReply> Administration::List(const admin::ListRequest& request, Call& call) {
  admin::ListReply reply;
  STAFFEL_TRY(snapshot, options_.store->Read());
  reply.set_demonstration(IsDemonstration(snapshot));
  ListFilter filter;
  filter.with_deleted = request.with_deleted();
  const record::Kind* kind = nullptr;
  if (!request.kind().empty()) {
    STAFFEL_TRY(named, record::Kinds().Named(request.kind()));
    kind = named;
    filter.kind = kind->number;
  }
  if (!request.audience().empty()) {
    STAFFEL_TRY(audience, FindAudience(snapshot, request.audience()));
    filter.audience = audience;
  }
  std::vector<ListColumn> columns;
  if (kind != nullptr) columns = ListColumns(*kind);
  for (const ListColumn& column : columns) {
    auto* out = reply.add_columns();
    out->set_name(column.path);
    out->set_label_de(column.label_de);
    out->set_label_en(column.label_en);
  }
  STAFFEL_TRY(list, Sorted(snapshot, filter));
  auto at = list->lines.begin();
  if (!request.page().empty()) {
    STAFFEL_TRY(last, ReadPage(request.page()));
    at = std::upper_bound(list->lines.begin(), list->lines.end(), last);
  }
  const std::size_t limit = request.limit() == 0
                                ? kPageRecordsDefault
                                : std::min<std::size_t>(request.limit(), kPageRecordsMax);
  reply.set_total(list->lines.size());
  const record::Wording wording = WordingFor(snapshot, call);
  for (; at != list->lines.end() && static_cast<std::size_t>(reply.records_size()) < limit; ++at) {
    if (call.closing.stop_requested()) return Fail(ErrorCode::kUnavailable, "the node stops");
    STAFFEL_TRY(view, snapshot.GetRecord(at->record, at->audience));
    STAFFEL_TRY(shown, Shown(snapshot, view, call.wording));
    for (const ListColumn& column : columns) {
      shown.add_columns(record::FieldText(*kind, view.row, column.path, wording));
    }
    *reply.add_records() = std::move(shown);
  }
  if (at != list->lines.end()) reply.set_next_page(PageAfter(*std::prev(at)));
  return reply;
}

Result<admin::ShowReply> Administration::Show(const admin::ShowRequest& request, Call& call) {
  admin::ShowReply reply;
  STAFFEL_TRY(snapshot, options_.store->Read());
  reply.set_demonstration(IsDemonstration(snapshot));
  STAFFEL_TRY(view, FindRecord(snapshot, request.id(), request.kind(), request.audience(), call));
  const record::Wording wording = WordingFor(snapshot, call);
  STAFFEL_TRY(shown, Shown(snapshot, view, wording));
  *reply.mutable_record() = std::move(shown);
  STAFFEL_TRY(conflicts, snapshot.ConflictsOf(view));
  for (const ConflictView& conflict : conflicts) {
    STAFFEL_TRY(out, ShownConflict(snapshot, conflict, wording));
    MarkClocks(out);
    *reply.add_conflicts() = std::move(out);
  }
  STAFFEL_TRY(releases, ShownReleases(snapshot, view));
  for (auto& release : releases) *reply.add_releases() = std::move(release);
  const auto* kind = record::Kinds().Find(view.kind);
  if (kind == nullptr) return reply;
  for (auto& field : ShownFields(*kind, view.row, wording)) {
    for (const auto& conflict : reply.conflicts()) {
      if (conflict.path() == field.path() || conflict.path().starts_with(field.path() + ".")) {
        field.set_conflict(true);
      }
    }
    *reply.add_fields() = std::move(field);
  }
  return reply;
}

Result<admin::ChangeReply> Administration::Add_(const admin::AddRequest& request, Call& call) {
  STAFFEL_TRY(kind, record::Kinds().Named(request.kind()));
  STAFFEL_CHECK(RefuseOwnKind(*kind));
  STAFFEL_TRY(op, ReadOp(request.op()));
  STAFFEL_TRY(fields, ReadFields(*kind, request.json(),
                                 {request.assignments().begin(), request.assignments().end()}));
  STAFFEL_TRY(snapshot, options_.store->Read());
  STAFFEL_TRY(audience, AudienceFor(snapshot, *kind, request.audience()));
  STAFFEL_TRY(author, FindAuthor(snapshot, request.author(), call));
  record::RandomElementIds ids(*options_.random);
  STAFFEL_TRY(writes,
              record::CellsOfRecord(*kind, fields, InputFor(snapshot, ids, request.json(), call)));
  if (writes.empty()) {
    return Fail(ErrorCode::kInvalid, "a new {} needs at least one field: staffel kinds {}",
                kind->name, kind->name);
  }
  STAFFEL_CHECK(CheckWriter(*kind, "", writes));
  // With an op id the record has the same id at a repeat, too.
  const RecordId record =
      op ? record::RecordIdFromSeed("op", op->Hex()) : options_.random->DrawId<RecordId>();
  STAFFEL_TRY(edits, EditsFor(audience, kind->number, record, /*create=*/true, std::move(writes),
                              author, op, nullptr));
  return ApplyAndShow(edits, record);
}

Result<admin::ChangeReply> Administration::Set(const admin::SetRequest& request, Call& call) {
  STAFFEL_TRY(op, ReadOp(request.op()));
  STAFFEL_TRY(snapshot, options_.store->Read());
  STAFFEL_TRY(view, FindRecord(snapshot, request.id(), "", request.audience(), call));
  const auto* kind = record::Kinds().Find(view.kind);
  if (kind == nullptr) {
    return Fail(ErrorCode::kUnsupported, "records of kind {} need a newer version of Staffel",
                view.kind);
  }
  STAFFEL_CHECK(CheckVersion(view, request.if_version()));
  if (view.deleted) {
    // Written all the same, it would be a conflict of this person with themselves.
    return Fail(ErrorCode::kConflict, "{} is deleted: restore it first (staffel restore {})",
                record::TitleOf(*kind, view.row), view.record.Hex().substr(0, 8));
  }
  STAFFEL_TRY(fields, ReadFields(*kind, request.json(),
                                 {request.assignments().begin(), request.assignments().end()}));
  STAFFEL_TRY(author, FindAuthor(snapshot, request.author(), call));
  record::RandomElementIds ids(*options_.random);
  STAFFEL_TRY(writes, record::EditsOf(*kind, fields, view.row,
                                      InputFor(snapshot, ids, request.json(), call)));
  STAFFEL_CHECK(CheckWriter(*kind, view.row, writes));
  STAFFEL_TRY(state, snapshot.State(view));
  STAFFEL_CHECK(CheckUncontested(*kind, view, state, writes));
  std::vector<record::CellWrite> news = writes;
  std::erase_if(news, [&](const record::CellWrite& write) { return Stands(state, write); });
  if (!news.empty()) {
    writes = std::move(news);
  } else if (!writes.empty()) {
    // All of it stands so already; but a repeat of the op that wrote it is answered as one.
    STAFFEL_TRY(written, EntryOf(snapshot, view, op));
    if (!written) writes.clear();
  }
  std::optional<projection::RecordState> shown;
  // What was shown becomes the parents: a change that comes between is kept beside ours.
  if (!request.if_version().empty()) shown = std::move(state);
  STAFFEL_TRY(edits, EditsFor(view.audience, view.kind, view.record, /*create=*/false,
                              std::move(writes), author, op, shown ? &*shown : nullptr));
  return ApplyAndShow(edits, view.record, &view);
}

Result<admin::ChangeReply> Administration::Delete(const admin::DeleteRequest& request, Call& call) {
  STAFFEL_TRY(op, ReadOp(request.op()));
  STAFFEL_TRY(snapshot, options_.store->Read());
  STAFFEL_TRY(view, FindRecord(snapshot, request.id(), "", request.audience(), call));
  STAFFEL_CHECK(CheckVersion(view, request.if_version()));
  if (view.deleted) return ApplyAndShow({}, view.record);
  STAFFEL_TRY(author, FindAuthor(snapshot, request.author(), call));
  if (const auto* kind = record::Kinds().Find(view.kind)) {
    STAFFEL_CHECK(CheckWriter(*kind, view.row, {record::DeletionWrite()}));
  }
  Edit edit{view.audience, op, author, {}};
  edit.records.push_back({view.kind, view.record, RecordEdit::Mode::kDelete, {}});
  STAFFEL_TRY(reply, ApplyAndShow({edit}, view.record));
  reply.set_conflicts_deleted(static_cast<std::uint32_t>(view.conflicts));
  return reply;
}

Result<admin::ChangeReply> Administration::Restore(const admin::RestoreRequest& request,
                                                   Call& call) {
  STAFFEL_TRY(op, ReadOp(request.op()));
  STAFFEL_TRY(snapshot, options_.store->Read());
  STAFFEL_TRY(view, FindRecord(snapshot, request.id(), "", request.audience(), call));
  STAFFEL_TRY(author, FindAuthor(snapshot, request.author(), call));
  if (!view.deleted && view.conflicts == 0) return ApplyAndShow({}, view.record);
  if (const auto* kind = record::Kinds().Find(view.kind)) {
    STAFFEL_CHECK(CheckWriter(*kind, view.row, {record::UndeletionWrite()}));
  }
  Edit edit{view.audience, op, author, {}};
  edit.records.push_back({view.kind, view.record, RecordEdit::Mode::kRestore, {}});
  return ApplyAndShow({edit}, view.record);
}

Result<admin::SearchReply> Administration::Search(const admin::SearchRequest& request, Call& call) {
  admin::SearchReply reply;
  // Whoever writes and then searches finds it: a small arrear of the index is made up for at once.
  STAFFEL_TRY(left, options_.store->IndexSearch(kIndexBeforeSearch));
  (void)left;
  STAFFEL_TRY(snapshot, options_.store->Read());
  reply.set_demonstration(IsDemonstration(snapshot));
  std::optional<std::uint32_t> kind;
  if (!request.kind().empty()) {
    STAFFEL_TRY(named, record::Kinds().Named(request.kind()));
    kind = named->number;
  }
  std::optional<AudienceId> audience;
  if (!request.audience().empty()) {
    STAFFEL_TRY(named, FindAudience(snapshot, request.audience()));
    audience = named;
  }
  const std::size_t limit =
      request.limit() == 0 ? 50 : std::min<std::size_t>(request.limit(), kSearchHitsMax);
  STAFFEL_TRY(found, snapshot.Search(request.query(), kind, limit, request.offset(), audience));
  for (const SearchHit& hit : found.hits) {
    auto* out = reply.add_hits();
    STAFFEL_TRY(shown, Shown(snapshot, hit.record, call.wording));
    *out->mutable_record() = std::move(shown);
    out->set_snippet(hit.snippet);
  }
  reply.set_more(found.more);
  reply.set_not_yet_indexed(found.not_yet_indexed);
  return reply;
}

Result<admin::LogReply> Administration::Log(const admin::LogRequest& request, Call& call) {
  admin::LogReply reply;
  STAFFEL_TRY(snapshot, options_.store->Read());
  reply.set_demonstration(IsDemonstration(snapshot));
  STAFFEL_TRY(view, FindRecord(snapshot, request.id(), "", request.audience(), call));
  STAFFEL_TRY(shown, Shown(snapshot, view));
  *reply.mutable_record() = std::move(shown);
  const auto* kind = record::Kinds().Find(view.kind);
  const auto authority = snapshot.authority();
  const bool receipted = authority != nullptr && IsReceipted(*authority, view.audience);
  const auto own = options_.store->own_member();
  const record::Wording wording = WordingFor(snapshot, call);
  STAFFEL_TRY(history, snapshot.History(view));
  const auto marks = ClockMarks(history, MarkingNow());
  const Values values = ValuesOf(history);
  for (const HistoryItem& item : history) {
    auto* out = reply.add_items();
    out->set_clock(std::string(marks[static_cast<std::size_t>(reply.items_size()) - 1]));
    out->set_entry(item.entry.Hex());
    out->set_journal(item.journal.Hex());
    out->set_number(item.seq);
    out->set_member(std::string(item.member.text()));
    out->set_term(item.lane.term);
    out->set_time_ms(item.time.value);
    STAFFEL_TRY(author, AuthorName(snapshot, item.author));
    out->set_author(author);
    out->set_valid(item.valid);
    out->set_invalid_reason(item.invalid_reason);
    out->set_erased(item.erased);
    out->set_reason(std::string(ReasonName(item.reason)));
    out->set_reception(std::string(ReceptionName(receipted, item.reception.has_value())));
    if (item.reception) {
      out->set_received_ms(item.reception->time.value);
      out->set_receipt(item.reception->receipt.Hex());
      out->set_receipt_term(item.reception->term);
    }
    out->set_own(own && item.member == *own);
    if (kind == nullptr) {
      for (const auto& change : item.changes) out->add_changes()->set_head(change.head);
      continue;
    }
    std::vector<const HistoryItem::Change*> changes;
    for (const auto& change : item.changes) changes.push_back(&change);
    std::sort(changes.begin(), changes.end(), [&](const auto* a, const auto* b) {
      return std::tuple(record::PlaceOf(*kind, a->cell, view.row), ByteView(a->cell)) <
             std::tuple(record::PlaceOf(*kind, b->cell, view.row), ByteView(b->cell));
    });
    for (const auto* change : changes) {
      const auto place = record::ReadCellPath(change->cell);
      if (place && record::IsReleaseField(place->field)) {
        // Salt and hash are for machines; that there was a release is for people.
        auto& to = *out->add_changes();
        to.set_head(change->head);
        to.set_path("release");
        to.set_label_de("Freigabe");
        to.set_label_en("Release");
        const auto note = change->value ? record::DecodeReleaseNote(*change->value) : std::nullopt;
        const bool german = wording.is_german();
        to.set_has_after(change->value.has_value());
        to.set_after(!note
                         ? (german ? "belegt" : "proven")
                         : (note->withdrawn ? (german ? "zurückgenommen aus " : "taken back from ")
                                            : (german ? "für " : "to ")) +
                               AudienceName(snapshot, note->audience));
        continue;
      }
      FillChange(*kind, view.row, *change, values, wording, *out->add_changes());
    }
  }
  return reply;
}

}  // namespace staffel::api
