// SPDX-License-Identifier: EUPL-1.2
// Records: list, show, add, set, delete, restore, search, log.
#include <algorithm>
#include <charconv>

#include "api/admin/administration.h"
#include "api/admin/receipts.h"
#include "api/admin/shown.h"
#include "core/record/cells.h"
#include "core/record/record_id.h"
#include "core/record/release.h"
#include "core/record/view.h"

namespace staffel::api {

namespace {

// "17": how many records come before the page.
Result<std::size_t> ReadPage(const std::string& page) {
  std::size_t offset = 0;
  if (page.empty()) return offset;
  const auto [end, error] = std::from_chars(page.data(), page.data() + page.size(), offset);
  if (error != std::errc() || end != page.data() + page.size()) {
    return Fail(ErrorCode::kInvalid, "„{}“ is no page of this list", page);
  }
  return offset;
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
  STAFFEL_TRY(offset, ReadPage(request.page()));
  const std::size_t limit = request.limit() == 0
                                ? kPageRecordsDefault
                                : std::min<std::size_t>(request.limit(), kPageRecordsMax);
  reply.set_total(list->records.size());
  std::size_t at = offset;
  for (; at < list->records.size() && at < offset + limit; ++at) {
    if (call.closing.stop_requested()) return Fail(ErrorCode::kUnavailable, "the node stops");
    const auto& [record, audience] = list->records[at];
    STAFFEL_TRY(view, snapshot.GetRecord(record, audience));
    STAFFEL_TRY(shown, Shown(snapshot, view));
    for (const ListColumn& column : columns) {
      shown.add_columns(record::FieldText(*kind, view.row, column.path));
    }
    *reply.add_records() = std::move(shown);
  }
  if (at < list->records.size()) reply.set_next_page(std::to_string(at));
  return reply;
}

Result<admin::ShowReply> Administration::Show(const admin::ShowRequest& request, Call& call) {
  admin::ShowReply reply;
  STAFFEL_TRY(snapshot, options_.store->Read());
  reply.set_demonstration(IsDemonstration(snapshot));
  STAFFEL_TRY(view, FindRecord(snapshot, request.id(), request.kind(), request.audience(), call));
  STAFFEL_TRY(shown, Shown(snapshot, view));
  *reply.mutable_record() = std::move(shown);
  STAFFEL_TRY(conflicts, snapshot.ConflictsOf(view));
  for (const ConflictView& conflict : conflicts) {
    STAFFEL_TRY(out, ShownConflict(snapshot, conflict));
    *reply.add_conflicts() = std::move(out);
  }
  STAFFEL_TRY(releases, ShownReleases(snapshot, view));
  for (auto& release : releases) *reply.add_releases() = std::move(release);
  const auto* kind = record::Kinds().Find(view.kind);
  if (kind == nullptr) return reply;
  const NameRecord name = [&](std::string_view hex) {
    const auto id = RecordId::FromText(hex);
    const auto found = id ? snapshot.GetRecord(*id) : Fail(ErrorCode::kNotFound, "no id");
    const std::string digits(hex.substr(0, 8));
    if (!found) return digits;
    const auto* of = record::Kinds().Find(found->kind);
    return of == nullptr ? digits : digits + " " + record::TitleOf(*of, found->row);
  };
  for (auto& field : ShownFields(*kind, view.row, name)) {
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
  STAFFEL_TRY(fields, ReadFields(*kind, request.json(),
                                 {request.assignments().begin(), request.assignments().end()}));
  STAFFEL_TRY(author, FindAuthor(snapshot, request.author(), call));
  record::RandomElementIds ids(*options_.random);
  STAFFEL_TRY(writes, record::EditsOf(*kind, fields, view.row,
                                      InputFor(snapshot, ids, request.json(), call)));
  std::optional<projection::RecordState> shown;
  if (!request.if_version().empty()) {
    // What was shown becomes the parents: a change that comes between is kept beside ours.
    STAFFEL_TRY(state, snapshot.State(view));
    shown = std::move(state);
  }
  STAFFEL_TRY(edits, EditsFor(view.audience, view.kind, view.record, /*create=*/false,
                              std::move(writes), author, op, shown ? &*shown : nullptr));
  return ApplyAndShow(edits, view.record);
}

Result<admin::ChangeReply> Administration::Delete(const admin::DeleteRequest& request, Call& call) {
  STAFFEL_TRY(op, ReadOp(request.op()));
  STAFFEL_TRY(snapshot, options_.store->Read());
  STAFFEL_TRY(view, FindRecord(snapshot, request.id(), "", request.audience(), call));
  STAFFEL_CHECK(CheckVersion(view, request.if_version()));
  if (view.deleted) return ApplyAndShow({}, view.record);
  STAFFEL_TRY(author, FindAuthor(snapshot, request.author(), call));
  Edit edit{view.audience, op, author, {}};
  edit.records.push_back({view.kind, view.record, RecordEdit::Mode::kDelete, {}});
  return ApplyAndShow({edit}, view.record);
}

Result<admin::ChangeReply> Administration::Restore(const admin::RestoreRequest& request,
                                                   Call& call) {
  STAFFEL_TRY(op, ReadOp(request.op()));
  STAFFEL_TRY(snapshot, options_.store->Read());
  STAFFEL_TRY(view, FindRecord(snapshot, request.id(), "", request.audience(), call));
  STAFFEL_TRY(author, FindAuthor(snapshot, request.author(), call));
  if (!view.deleted && view.conflicts == 0) return ApplyAndShow({}, view.record);
  Edit edit{view.audience, op, author, {}};
  edit.records.push_back({view.kind, view.record, RecordEdit::Mode::kRestore, {}});
  return ApplyAndShow({edit}, view.record);
}

Result<admin::SearchReply> Administration::Search(const admin::SearchRequest& request, Call&) {
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
    STAFFEL_TRY(shown, Shown(snapshot, hit.record));
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
  STAFFEL_TRY(history, snapshot.History(view));
  for (const HistoryItem& item : history) {
    auto* out = reply.add_items();
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
    for (const auto& change : item.changes) {
      auto* to = out->add_changes();
      to->set_head(change.head);
      if (kind == nullptr) continue;
      const auto place = record::ReadCellPath(change.cell);
      if (place && record::IsReleaseField(place->field)) {
        // Salt and hash are for machines; that there was a release is for people.
        to->set_path("release");
        to->set_label_de("Freigabe");
        to->set_label_en("Release");
        const auto note = change.value ? record::DecodeReleaseNote(*change.value) : std::nullopt;
        to->set_has_after(change.value.has_value());
        to->set_after(!note ? "belegt"
                            : (note->withdrawn ? "zurückgenommen aus " : "für ") +
                                  AudienceName(snapshot, note->audience));
        continue;
      }
      const auto path = record::FieldPathOf(*kind, change.cell, view.row);
      to->set_path(path.path);
      to->set_label_de(path.label_de);
      to->set_label_en(path.label_en);
      if (change.before) {
        to->set_has_before(true);
        to->set_before(record::ValueToText(*kind, change.cell, change.before));
      }
      if (change.value) {
        to->set_has_after(true);
        to->set_after(record::ValueToText(*kind, change.cell, change.value));
      }
    }
  }
  return reply;
}

}  // namespace staffel::api
