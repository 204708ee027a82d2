// SPDX-License-Identifier: EUPL-1.2
#include "tests/support/workload.h"

namespace staffel::testing {
namespace {

std::vector<EntryId> HeadsOf(const projection::RecordState& state, const Cell& cell) {
  std::vector<EntryId> heads;
  for (const projection::CellState& known : state.cells) {
    if (known.cell != cell) continue;
    for (const projection::Head& head : known.heads) heads.push_back(head.entry);
  }
  return heads;
}

std::optional<RecordEdit> NewRecord(TestReplica& replica, bool chair, SimRandom& random,
                                    WorkloadCounts& counts) {
  const auto kinds = record::Kinds().kinds();
  const record::Kind& kind = kinds[random.Below(kinds.size())];
  // Two replicas that make one record at once: rare, and must hold, too.
  const RecordId id =
      random.Chance(10) ? SimRandom(random.Below(3)).DrawId<RecordId>() : random.DrawId<RecordId>();
  const auto writes = RandomWrites(kind, {}, replica.self().id, chair, random);
  if (writes.empty()) return std::nullopt;
  ++counts.creations;
  ++counts.kinds[kind.number];
  return ToRecordEdit(kind.number, id, RecordEdit::Mode::kCreate, writes, nullptr);
}

}  // namespace

Result<std::optional<Edit>> RandomEdit(TestReplica& replica, const AudienceId& audience,
                                       SimRandom& random, WorkloadCounts& counts) {
  const bool chair = replica.ActsAsChair();
  STAFFEL_TRY(snapshot, replica.store().Read());
  STAFFEL_TRY(views, snapshot.List({.audience = audience, .with_deleted = true, .limit = 1000}));
  Edit edit{.audience = audience};
  if (random.Chance(20)) edit.op = random.DrawId<OpId>();
  if (random.Chance(50)) edit.author = SimRandom(7).DrawId<RecordId>();
  if (views.empty() || random.Chance(30)) {
    auto record = NewRecord(replica, chair, random, counts);
    if (!record) return std::optional<Edit>();
    edit.records.push_back(std::move(*record));
    return std::optional(std::move(edit));
  }
  const RecordView& view = views[random.Below(views.size())];
  const record::Kind* kind = record::Kinds().Find(view.kind);
  STAFFEL_TRY(state, snapshot.State(view));
  const std::uint64_t what = random.Below(10);
  if (what == 0) {
    ++(view.deleted ? counts.restorations : counts.deletions);
    edit.records.push_back(
        {.kind = view.kind,
         .record = view.record,
         .mode = view.deleted ? RecordEdit::Mode::kRestore : RecordEdit::Mode::kDelete});
    return std::optional(std::move(edit));
  }
  if (what <= 3 && view.conflicts > 0) {
    STAFFEL_TRY(conflicts, snapshot.ConflictsOf(view));
    const projection::Conflict& conflict = conflicts[random.Below(conflicts.size())].conflict;
    CellEdit cell{.cell = conflict.cell, .value = conflict.heads.front().value};
    cell.parents = HeadsOf(state, conflict.cell);
    const auto address = DecodeCell(conflict.cell);
    const bool ours = address && (address->owner.kind == OwnerKind::kAnyone ||
                                  (address->owner.kind == OwnerKind::kChair && chair));
    if (ours && conflict.kind == projection::ConflictKind::kValue) {
      ++counts.decisions;
      edit.records.push_back({.kind = view.kind, .record = view.record, .cells = {cell}});
      return std::optional(std::move(edit));
    }
  }
  const auto writes = RandomWrites(*kind, view.row, replica.self().id, chair, random);
  if (writes.empty()) return std::optional<Edit>();
  ++counts.changes;
  edit.records.push_back(
      ToRecordEdit(view.kind, view.record, RecordEdit::Mode::kChange, writes, &state));
  if (random.Chance(10)) {  // shown less than there is: fewer parents, more heads
    ++counts.stale_views;
    for (CellEdit& cell : edit.records.back().cells) {
      if (!cell.parents->empty()) cell.parents->pop_back();
    }
  }
  if (random.Chance(15) && !chair) {  // one change of two records
    auto record = NewRecord(replica, /*chair=*/false, random, counts);
    const bool same = record && record->record == view.record;
    if (record && !same) edit.records.push_back(std::move(*record));
  }
  return std::optional(std::move(edit));
}

}  // namespace staffel::testing
