// SPDX-License-Identifier: EUPL-1.2
// Conflicts: listing them with all that a person needs to decide, and deciding. A decision is an
// ordinary change whose parents are all the heads.
#include <algorithm>
#include <charconv>

#include "api/admin/administration.h"
#include "core/record/view.h"

namespace staffel::api {

namespace {

constexpr std::size_t kEntryPrefixMin = 4;

bool Names(const record::Kind* kind, const ConflictView& view, const std::string& cell) {
  if (cell.empty() || ToHex(view.conflict.cell) == cell) return true;
  return kind != nullptr &&
         record::FieldPathOf(*kind, view.conflict.cell, view.record.row).path == cell;
}

// The head that a person means: by its member, where that has one, or by its entry.
Result<const projection::Head*> ChooseHead(const projection::Conflict& conflict,
                                           const std::string& take) {
  std::vector<const projection::Head*> found;
  for (const auto& head : conflict.heads) {
    const std::string entry = head.entry.Hex();
    if (head.member.text() == take ||
        (take.size() >= kEntryPrefixMin && std::string_view(entry).starts_with(take))) {
      found.push_back(&head);
    }
  }
  if (found.size() == 1) return found.front();
  std::string there;
  for (const auto& head : conflict.heads) {
    there += fmt::format("{}{} {}", there.empty() ? "" : ", ", head.member.text(),
                         head.entry.Hex().substr(0, 12));
  }
  if (found.empty()) {
    return Fail(ErrorCode::kNotFound, "nothing in this conflict is called „{}“; there are: {}",
                take, there);
  }
  return Fail(ErrorCode::kInvalid, "„{}“ is not unique in this conflict; there are: {}", take,
              there);
}

}  // namespace

Result<admin::ConflictsReply> Administration::Conflicts(const admin::ConflictsRequest& request,
                                                        Call& call) {
  admin::ConflictsReply reply;
  STAFFEL_TRY(snapshot, options_.store->Read());
  reply.set_demonstration(IsDemonstration(snapshot));
  STAFFEL_TRY(counts, snapshot.Counts());
  reply.set_total(counts.conflicts);
  std::vector<ConflictView> views;
  if (!request.id().empty()) {
    STAFFEL_TRY(view, FindRecord(snapshot, request.id(), "", request.audience(), call));
    STAFFEL_TRY(found, snapshot.ConflictsOf(view));
    const auto* kind = record::Kinds().Find(view.kind);
    for (ConflictView& conflict : found) {
      if (Names(kind, conflict, request.cell())) views.push_back(std::move(conflict));
    }
    if (views.empty() && !request.cell().empty()) {
      return Fail(ErrorCode::kNotFound, "there is no conflict at „{}“ of this record",
                  request.cell());
    }
  } else {
    ListFilter filter;
    filter.limit = request.limit() == 0 ? kPageRecordsDefault
                                        : std::min<std::size_t>(request.limit(), kPageRecordsMax);
    if (!request.kind().empty()) {
      STAFFEL_TRY(named, record::Kinds().Named(request.kind()));
      filter.kind = named->number;
    }
    if (!request.audience().empty()) {
      STAFFEL_TRY(audience, FindAudience(snapshot, request.audience()));
      filter.audience = audience;
    }
    const std::string& page = request.page();
    if (!page.empty() &&
        std::from_chars(page.data(), page.data() + page.size(), filter.after_number).ec !=
            std::errc()) {
      return Fail(ErrorCode::kInvalid, "„{}“ is no page of this list", page);
    }
    STAFFEL_TRY(found, snapshot.Conflicts(filter));
    views = std::move(found);
    // Pages are of records: a full one may be followed by another.
    std::size_t records = 0;
    std::uint64_t last = 0;
    for (const ConflictView& view : views) {
      if (view.record.number != last) ++records;
      last = view.record.number;
    }
    if (records >= filter.limit) reply.set_next_page(std::to_string(last));
  }
  for (const ConflictView& view : views) {
    STAFFEL_TRY(shown, ShownConflict(snapshot, view, WordingFor(snapshot, call)));
    MarkClocks(shown);
    *reply.add_conflicts() = std::move(shown);
  }
  return reply;
}

Result<admin::ChangeReply> Administration::Decide(const admin::DecideRequest& request, Call& call) {
  STAFFEL_TRY(op, ReadOp(request.op()));
  STAFFEL_TRY(snapshot, options_.store->Read());
  STAFFEL_TRY(view, FindRecord(snapshot, request.id(), "", request.audience(), call));
  STAFFEL_TRY(author, FindAuthor(snapshot, request.author(), call));
  const auto* kind = record::Kinds().Find(view.kind);
  STAFFEL_TRY(conflicts, snapshot.ConflictsOf(view));
  std::vector<const ConflictView*> named;
  for (const ConflictView& conflict : conflicts) {
    if (Names(kind, conflict, request.cell())) named.push_back(&conflict);
  }
  if (named.empty()) {
    return Fail(ErrorCode::kNotFound, "there is no conflict{} of this record",
                request.cell().empty() ? "" : " at „" + request.cell() + "“");
  }
  if (named.size() > 1) {
    return Fail(ErrorCode::kInvalid,
                "this record has {} conflicts: name the field (staffel conflicts show {})",
                named.size(), request.id());
  }
  const projection::Conflict& conflict = named.front()->conflict;
  for (const std::string& shown : request.shown()) {
    const bool still = std::any_of(conflict.heads.begin(), conflict.heads.end(),
                                   [&](const auto& head) { return head.entry.Hex() == shown; });
    if (!still) {
      return Fail(ErrorCode::kConflict,
                  "the conflict has changed since you looked: {} is no version of it any more",
                  shown.substr(0, 12));
    }
  }
  if (request.shown_size() > 0 &&
      static_cast<std::size_t>(request.shown_size()) != conflict.heads.size()) {
    return Fail(ErrorCode::kConflict,
                "another version has come since you looked: look at the conflict again");
  }

  Edit edit{view.audience, op, author, {}};
  RecordEdit change{view.kind, view.record, RecordEdit::Mode::kChange, {}};
  const bool is_deletion = conflict.kind == projection::ConflictKind::kDeletedBesideEdited;
  switch (request.decision_case()) {
    case admin::DecideRequest::kTake: {
      STAFFEL_TRY(head, ChooseHead(conflict, request.take()));
      if (head->erased) {
        return Fail(ErrorCode::kDenied, "the content of this version has been erased");
      }
      if (is_deletion) {
        STAFFEL_TRY(shown, ShownConflict(snapshot, *named.front()));
        const auto taken =
            std::find_if(shown.heads().begin(), shown.heads().end(),
                         [&](const auto& one) { return one.entry() == head->entry.Hex(); });
        change.mode = taken->deletes() ? RecordEdit::Mode::kDelete : RecordEdit::Mode::kRestore;
        break;
      }
      CellEdit cell{conflict.cell, head->value, std::vector<EntryId>()};
      for (const auto& one : conflict.heads) cell.parents->push_back(one.entry);
      change.cells.push_back(std::move(cell));
      break;
    }
    case admin::DecideRequest::kWrite: {
      if (is_deletion || kind == nullptr) {
        return Fail(ErrorCode::kInvalid,
                    "here one side deletes: take the deletion or the changed record (staffel "
                    "conflicts take)");
      }
      record::RandomElementIds ids(*options_.random);
      STAFFEL_TRY(write, record::ValueForCell(*kind, conflict.cell, request.write(),
                                              InputFor(snapshot, ids, "", call)));
      CellEdit cell{write.cell, write.value, std::vector<EntryId>()};
      for (const auto& one : conflict.heads) cell.parents->push_back(one.entry);
      change.cells.push_back(std::move(cell));
      break;
    }
    default:
      return Fail(ErrorCode::kInvalid, "a decision takes one of the versions or writes another");
  }
  edit.records.push_back(std::move(change));
  return ApplyAndShow({edit}, view.record, &view);
}

}  // namespace staffel::api
