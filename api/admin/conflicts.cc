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

// One version of one conflict.
struct Choice {
  const projection::Conflict* conflict;
  const projection::Head* head;
};

// The version that a person means: by its member, where that has one here, or by its entry. What
// somebody wrote into a field stands in the conflict between texts, if there is one, and beside the
// deletion: taken, it decides between the texts, and the deletion is a question of its own.
Result<Choice> Choose(const std::vector<const projection::Conflict*>& conflicts,
                      const std::string& take) {
  std::vector<Choice> all;
  for (const auto* conflict : conflicts) {
    for (const projection::Head& head : conflict->heads) {
      const auto same = std::find_if(
          all.begin(), all.end(), [&](const Choice& one) { return one.head->entry == head.entry; });
      if (same == all.end()) {
        all.push_back({conflict, &head});
      } else if (conflict->kind == projection::ConflictKind::kValue) {
        *same = {conflict, &head};
      }
    }
  }
  std::vector<Choice> found;
  std::string there;
  for (const Choice& one : all) {
    const std::string entry = one.head->entry.Hex();
    const std::string_view member = one.head->member.text();
    there += fmt::format("{}{} {}", there.empty() ? "" : ", ", member, entry.substr(0, 12));
    if (member == take ||
        (take.size() >= kEntryPrefixMin && std::string_view(entry).starts_with(take))) {
      found.push_back(one);
    }
  }
  if (found.size() == 1) return found.front();
  if (found.empty()) {
    return Fail(ErrorCode::kNotFound, "nothing in this conflict is called „{}“; there are: {}",
                take, there);
  }
  return Fail(ErrorCode::kInvalid, "„{}“ is not unique in this conflict; there are: {}", take,
              there);
}

std::vector<EntryId> EntriesOf(const std::vector<projection::Head>& heads) {
  std::vector<EntryId> entries;
  for (const projection::Head& head : heads) entries.push_back(head.entry);
  return entries;
}

// The heads that a decision about the deletion covers. Deleting takes all that the record has, and
// a head may be of several cells.
std::vector<EntryId> CoveredByDeletion(const projection::RecordState& state, bool deletes) {
  std::vector<EntryId> entries;
  for (const projection::CellState& cell : state.cells) {
    if (!deletes && cell.cell != DeletedCell()) continue;
    for (const projection::Head& head : cell.heads) {
      if (std::find(entries.begin(), entries.end(), head.entry) == entries.end()) {
        entries.push_back(head.entry);
      }
    }
  }
  return entries;
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
  // A repeat after a lost answer: what it decided is no conflict any more.
  STAFFEL_TRY(written, EntryOf(snapshot, view, op));
  if (written) {
    STAFFEL_TRY(reply, ApplyAndShow({}, view.record, &view));
    reply.set_unchanged(false);
    reply.set_entry(written->Hex());
    reply.set_repeated_op(true);
    return reply;
  }
  const auto* kind = record::Kinds().Find(view.kind);
  STAFFEL_TRY(conflicts, snapshot.ConflictsOf(view));
  std::vector<const projection::Conflict*> named;
  for (const ConflictView& conflict : conflicts) {
    if (Names(kind, conflict, request.cell())) named.push_back(&conflict.conflict);
  }
  if (named.empty()) {
    return Fail(ErrorCode::kNotFound, "there is no conflict{} of this record",
                request.cell().empty() ? "" : " at „" + request.cell() + "“");
  }
  // Of one cell two can stand: between the texts, and between them and a deletion.
  const Cell& cell = named.front()->cell;
  for (const auto* conflict : named) {
    if (conflict->cell == cell) continue;
    return Fail(ErrorCode::kInvalid,
                "this record has {} conflicts: name the field (staffel conflicts show {})",
                named.size(), request.id());
  }
  STAFFEL_TRY(state, snapshot.State(view));
  if (request.if_version().empty()) {
    return Fail(ErrorCode::kInvalid,
                "nothing is decided unseen: give the version of the conflict that you saw "
                "(--if-version, from staffel conflicts show {})",
                request.id());
  }
  if (request.if_version() != DecisionVersion(state, cell)) {
    return Fail(ErrorCode::kConflict,
                "the conflict has changed since you looked: look at it again (staffel conflicts "
                "show {})",
                request.id());
  }

  CellEdit decision{cell, std::nullopt, std::nullopt};
  bool deletes = false;
  switch (request.decision_case()) {
    case admin::DecideRequest::kTake: {
      STAFFEL_TRY(choice, Choose(named, request.take()));
      if (choice.head->erased) {
        return Fail(ErrorCode::kDenied, "the content of this version has been erased");
      }
      if (choice.conflict->kind == projection::ConflictKind::kDeletedBesideEdited ||
          cell == DeletedCell()) {
        const auto deleting = DeletingHeads(state);
        deletes = std::any_of(deleting.begin(), deleting.end(), [&](const projection::Head* head) {
          return head->entry == choice.head->entry;
        });
        const auto write = deletes ? record::DeletionWrite() : record::UndeletionWrite();
        decision = {write.cell, write.value, CoveredByDeletion(state, deletes)};
      } else {
        decision.value = choice.head->value;
        decision.parents = EntriesOf(choice.conflict->heads);
      }
      break;
    }
    case admin::DecideRequest::kWrite: {
      const auto between =
          std::find_if(named.begin(), named.end(), [](const projection::Conflict* conflict) {
            return conflict->kind == projection::ConflictKind::kValue;
          });
      if (between == named.end() || kind == nullptr || cell == DeletedCell()) {
        return Fail(ErrorCode::kInvalid,
                    "here one side deletes: take the deletion or the changed record (staffel "
                    "conflicts take)");
      }
      record::RandomElementIds ids(*options_.random);
      STAFFEL_TRY(write, record::ValueForCell(*kind, cell, request.write(),
                                              InputFor(snapshot, ids, "", call)));
      decision = {write.cell, write.value, EntriesOf((*between)->heads)};
      break;
    }
    default:
      return Fail(ErrorCode::kInvalid, "a decision takes one of the versions or writes another");
  }
  if (kind != nullptr) {
    STAFFEL_CHECK(CheckWriter(*kind, view.row, {{decision.cell, decision.value}}));
  }
  Edit edit{view.audience, op, author, {}};
  edit.records.push_back(
      {view.kind, view.record, RecordEdit::Mode::kChange, {std::move(decision)}});
  STAFFEL_TRY(reply, ApplyAndShow({edit}, view.record, &view));
  if (deletes) reply.set_conflicts_deleted(static_cast<std::uint32_t>(conflicts.size() - 1));
  return reply;
}

}  // namespace staffel::api
