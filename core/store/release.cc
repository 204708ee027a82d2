// SPDX-License-Identifier: EUPL-1.2
#include "core/record/release.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/crypto/hash.h"
#include "core/record/catalog.h"
#include "core/record/view.h"
#include "core/store/release.h"
#include "core/store/store_impl.h"
#include "core/store/writer.h"

namespace staffel {
namespace {

using record::CellWrite;
using record::ReleaseContent;

// Whether everyone who sees `narrow` sees `wide`. Where the chair alone writes, the public reads:
// nothing that is not written so is as wide, whoever its readers are.
bool IsWider(const charter::Audience& wide, const charter::Audience& narrow) {
  if (narrow.chair_writes_only && !wide.chair_writes_only) return false;
  return std::includes(wide.readers.begin(), wide.readers.end(), narrow.readers.begin(),
                       narrow.readers.end());
}

std::string Label(const charter::Audience& audience) {
  return audience.name.empty() ? audience.id.Hex().substr(0, 8) : audience.name;
}

std::string Join(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) out += (out.empty() ? "" : ", ") + text;
  return out;
}

const projection::CellState* FindCell(const projection::RecordState& state, const Cell& cell) {
  for (const auto& one : state.cells) {
    if (one.cell == cell) return &one;
  }
  return nullptr;
}

std::vector<EntryId> HeadsOf(const projection::CellState* cell) {
  std::vector<EntryId> heads;
  if (cell == nullptr) return heads;
  for (const auto& head : cell->heads) heads.push_back(head.entry);
  return heads;
}

// The value that all heads agree on; nothing where they do not, or one is erased.
std::optional<std::optional<Bytes>> AgreedValue(const projection::CellState* cell) {
  if (cell == nullptr) return std::optional<Bytes>();
  for (const auto& head : cell->heads) {
    if (head.erased || head.value != cell->heads.front().value) return std::nullopt;
  }
  return cell->heads.front().value;
}

std::string NameOf(const ReleaseOrder::Item& item) {
  const auto* kind = record::Kinds().Find(item.kind);
  return fmt::format("{} {}", kind == nullptr ? "record" : kind->name,
                     item.record.Hex().substr(0, 8));
}

// An order is one op and makes several entries: the first has its id, the others one that follows.
OpId OpOf(const ReleaseOrder& order, const ReleaseOrder::Item& item, bool second) {
  if (!second && item.record == order.records.front().record) return *order.op;
  const Hash hash =
      crypto::Sha256({order.op->bytes(), item.record.bytes(), second ? "second" : "first"});
  return *OpId::From(hash.bytes().substr(0, OpId::kBytes));
}

// What of the order's choice concerns this kind: fields that it has. One that no kind of the order
// has stays in, to be refused.
record::ReleaseChoice ChoiceFor(const record::Kind& kind, const ReleaseOrder& order) {
  const auto of_another = [&](const std::string& field) {
    if (kind.Find(std::string_view(field)) != nullptr) return false;
    return std::any_of(order.records.begin(), order.records.end(), [&](const auto& item) {
      const auto* other = record::Kinds().Find(item.kind);
      return other != nullptr && other->Find(std::string_view(field)) != nullptr;
    });
  };
  record::ReleaseChoice choice{order.parts, order.with, order.without};
  std::erase_if(choice.with, of_another);
  std::erase_if(choice.without, of_another);
  return choice;
}

// The head with the greatest (time, entry id) among those with a value.
const projection::Head* LatestOf(const projection::CellState* cell) {
  const projection::Head* latest = nullptr;
  if (cell == nullptr) return latest;
  for (const auto& head : cell->heads) {
    if (!head.value || head.erased) continue;
    if (latest == nullptr ||
        std::pair(head.time, head.entry) > std::pair(latest->time, latest->entry)) {
      latest = &head;
    }
  }
  return latest;
}

}  // namespace

// ---------------------------------------------------------------------------------------------
// References

Result<std::vector<std::string>> Writer::TooNarrow(const charter::Audience& audience,
                                                   const RecordId& record, int without_flags,
                                                   bool* held) {
  std::vector<std::string> narrow;
  std::vector<std::int64_t> numbers;
  {
    STAFFEL_TRY(statement,
                reader_.Get("SELECT audience FROM record WHERE id = ?1 AND (flags & ?2) = 0"));
    statement->BindBlob(1, record.bytes());
    statement->Bind(2, without_flags);
    const sqlite::StatementScope scope(*statement);
    for (;;) {
      STAFFEL_TRY(row, statement->Step());
      if (!row) break;
      numbers.push_back(statement->Int(0));
    }
  }
  *held = !numbers.empty();
  for (const std::int64_t number : numbers) {
    const auto* other = cache_.authority->FindAudience(cache_.journals.AudienceOf(number));
    if (other == nullptr) continue;
    if (IsWider(*other, audience)) return std::vector<std::string>();
    narrow.push_back(Label(*other));
  }
  if (!numbers.empty() && narrow.empty()) narrow.emplace_back("a closed audience");
  return narrow;
}

Status Writer::CheckReferences(const charter::Audience& audience, const Edit& edit,
                               const std::set<RecordId>& along) {
  const auto check = [&](const std::string& what, const RecordId& target) -> Status {
    if (along.contains(target)) return {};
    bool held = false;
    STAFFEL_TRY(narrow, TooNarrow(audience, target, kFlagHidden, &held));
    // What is not held here may be anywhere: it is a number that says nothing.
    if (narrow.empty()) return {};
    return Fail(ErrorCode::kDenied,
                "{} names record {}, which only '{}' sees: in '{}' it may not be named, because "
                "not all who read there could see it; release it first ('staffel release {} --to "
                "{}'), or leave it out",
                what, target.Hex().substr(0, 8), Join(narrow), Label(audience),
                target.Hex().substr(0, 8), Label(audience));
  };
  if (edit.author) STAFFEL_CHECK(check("the author", *edit.author));
  for (const RecordEdit& record : edit.records) {
    const auto* kind = record::Kinds().Find(record.kind);
    if (kind == nullptr) continue;
    for (const CellEdit& cell : record.cells) {
      if (!cell.value) continue;
      for (const auto& reference : record::ReferencesOf(*kind, cell.cell, *cell.value)) {
        STAFFEL_CHECK(check(fmt::format("the field '{}'", reference.field), reference.record));
      }
    }
  }
  return {};
}

// ---------------------------------------------------------------------------------------------
// Releasing

Result<Writer::ReleaseCopy> Writer::CopyIn(const AudienceId& audience, std::uint32_t kind,
                                           const RecordId& record) {
  ReleaseCopy copy;
  const auto number = cache_.journals.audiences.find(audience);
  if (number == cache_.journals.audiences.end()) return copy;
  STAFFEL_TRY(found, reader_.FindRecord(number->second, kind, record));
  if (!found || (found->flags & kFlagHidden) != 0) return copy;
  STAFFEL_TRY(state, reader_.StateOf(*found));
  copy.leaf = state.Leaf(audience, kind, record);
  STAFFEL_TRY(values, LoadState(reader_, cache_.journals, *found, state));
  copy.state = std::move(values);
  STAFFEL_TRY(row, RowOf(reader_, *found));
  copy.bytes = std::move(row);
  copy.row = std::move(*found);
  return copy;
}

Status Writer::CheckDecided(const record::Kind& kind, const ReleaseCopy& copy,
                            const std::vector<std::string>& carried) {
  if (copy.row->conflicts == 0) return {};
  const RecordHistory history(reader_, cache_.journals, *copy.row);
  const auto projected = projection::Project(copy.state, history);
  STAFFEL_CHECK(history.status());
  for (const auto& conflict : projected.conflicts) {
    const auto path = record::ReadCellPath(conflict.cell);
    const auto* field = path ? kind.Find(path->field) : nullptr;
    if (field != nullptr && field->rule != record::Rule::kDeleted &&
        std::find(carried.begin(), carried.end(), field->name) == carried.end()) {
      continue;
    }
    return Fail(ErrorCode::kConflict,
                "the field '{}' has several versions: what is released must be decided first "
                "('staffel conflicts')",
                field == nullptr ? "?" : field->name);
  }
  return {};
}

Result<Released> Writer::Release(const ReleaseOrder& order) {
  if (!cache_.authority) {
    return Fail(ErrorCode::kDenied, "this node belongs to no conference yet");
  }
  const auto member = cache_.authority->MemberOfKey(key_.public_key());
  const auto* wide = cache_.authority->FindAudience(order.to);
  if (wide == nullptr || !member) {
    return Fail(ErrorCode::kNotFound, "there is no such audience, or this node is no member");
  }
  if (order.records.empty() || order.records.size() > kReleaseRecordsMax) {
    return Fail(order.records.empty() ? ErrorCode::kInvalid : ErrorCode::kTooLarge,
                "1 to {} records are released at once, not {}", kReleaseRecordsMax,
                order.records.size());
  }
  Released released;
  released.records.resize(order.records.size());
  for (std::size_t i = 0; order.op && i < order.records.size(); ++i) {
    STAFFEL_TRY(repeat, FindRepeat(OpOf(order, order.records[i], /*second=*/false), *member,
                                   order.to, Outcome::kApplied));
    if (!repeat) continue;
    released.repeated = true;
    released.records[i].entry = repeat->entry;
  }
  if (released.repeated) return released;

  std::set<RecordId> along;
  for (const auto& item : order.records) along.insert(item.record);
  std::vector<ReleasePlan> plans;
  for (const auto& item : order.records) {
    auto plan = PlanRelease(order, item, along);
    if (!plan && order.records.size() > 1) {
      return Fail(plan.error().code, "nothing is released because of {}: {}", NameOf(item),
                  plan.error().message);
    }
    if (!plan) return Forward(plan);
    plans.push_back(std::move(*plan));
  }
  STAFFEL_CHECK(CheckSeen(*wide, plans));
  for (std::size_t i = 0; i < plans.size(); ++i) {
    if (!order.dry_run && !plans[i].cells.empty()) {
      STAFFEL_TRY(entry, WriteRelease(order, plans[i], along));
      plans[i].released.entry = entry;
    }
    released.records[i] = std::move(plans[i].released);
  }
  return released;
}

Status Writer::CheckSeen(const charter::Audience& wide, const std::vector<ReleasePlan>& plans) {
  std::vector<std::string> named;
  std::vector<std::string> missing;
  for (const ReleasePlan& plan : plans) {
    for (const auto& unseen : plan.unseen) {
      const std::string id = unseen.record.Hex().substr(0, 8);
      const std::string name = fmt::format("{} ({})", id, unseen.field);
      if (std::find(named.begin(), named.end(), name) == named.end()) named.push_back(name);
      if (std::find(missing.begin(), missing.end(), id) == missing.end()) missing.push_back(id);
    }
  }
  if (missing.empty()) return {};
  std::string ids;
  for (const std::string& id : missing) ids += (ids.empty() ? "" : " ") + id;
  if (plans.size() == 1) {
    return Fail(ErrorCode::kDenied,
                "{} names what '{}' may not see: {}. Release these along with it ('staffel release "
                "{} {} --to {}'), or leave the fields out (--without)",
                plans.front().name, Label(wide), Join(named),
                plans.front().item.record.Hex().substr(0, 8), ids, Label(wide));
  }
  return Fail(ErrorCode::kDenied,
              "nothing is released: named is what '{}' may not see: {}. Add these to the command "
              "({}), or leave the fields out (--without)",
              Label(wide), Join(named), ids);
}

Result<Writer::ReleasePlan> Writer::PlanRelease(const ReleaseOrder& order,
                                                const ReleaseOrder::Item& item,
                                                const std::set<RecordId>& along) {
  const auto& authority = *cache_.authority;
  const MemberId member = *authority.MemberOfKey(key_.public_key());
  const auto* narrow = authority.FindAudience(item.from);
  const auto* wide = authority.FindAudience(order.to);
  if (narrow == nullptr) {
    return Fail(ErrorCode::kNotFound, "there is no such audience, or this node is no member");
  }
  if (narrow == wide || !IsWider(*wide, *narrow)) {
    return Fail(ErrorCode::kDenied,
                "'{}' is not wider than '{}': a release goes to an audience that all readers of "
                "the first one read, too",
                Label(*wide), Label(*narrow));
  }
  ReleasePlan plan;
  plan.item = item;
  plan.name = NameOf(item);
  plan.kind = record::Kinds().Find(item.kind);
  if (plan.kind == nullptr) {
    return Fail(ErrorCode::kUnsupported, "records of kind {} need a newer version", item.kind);
  }
  STAFFEL_TRY(inside, CopyIn(item.from, item.kind, item.record));
  if (!inside.row) {
    return Fail(ErrorCode::kNotFound, "{} is not in '{}' here", plan.name, Label(*narrow));
  }
  if ((inside.row->flags & (kFlagDeleted | kFlagErased)) != 0) {
    return Fail(ErrorCode::kDenied, "{} is deleted or erased: there is nothing to release",
                plan.name);
  }

  // 1. What shall stand outside.
  const record::ReleaseChoice choice = ChoiceFor(*plan.kind, order);
  STAFFEL_TRY(content,
              record::ContentToRelease(*plan.kind, inside.bytes, choice, wide->chair_writes_only));
  STAFFEL_CHECK(CheckDecided(*plan.kind, inside, content.carried));
  const bool chair = authority.hub_key() == key_.public_key();
  const auto writable = [&](const Cell& cell) {
    const CellOwner owner = record::OwnerOf(cell);
    if (owner.kind == OwnerKind::kChair) return chair;
    if (owner.kind == OwnerKind::kMember) return owner.member == member && !wide->chair_writes_only;
    return true;
  };
  std::set<std::string> not_ours;
  std::erase_if(content.cells, [&](const CellWrite& write) {
    if (writable(write.cell)) return false;
    not_ours.insert(plan.kind->Find(record::ReadCellPath(write.cell)->field)->name);
    return true;
  });
  for (const std::string& field : not_ours) {
    std::erase(content.carried, field);
    content.left_out.push_back({field, "owner"});
  }
  plan.released.carried = content.carried;
  for (const auto& out : content.left_out) {
    plan.released.left_out.push_back({out.field, out.reason});
  }

  // 2. What it names that its readers could not see.
  for (const CellWrite& write : content.cells) {
    for (const auto& reference : record::ReferencesOf(*plan.kind, write.cell, *write.value)) {
      if (along.contains(reference.record)) continue;
      bool held = false;
      // What was withdrawn or deleted there is not seen, either.
      STAFFEL_TRY(too_narrow,
                  TooNarrow(*wide, reference.record, kFlagHidden | kFlagDeleted, &held));
      if (!held || !too_narrow.empty()) plan.unseen.push_back({reference.field, reference.record});
    }
  }

  // 3. What that changes there.
  STAFFEL_TRY(outside, CopyIn(order.to, item.kind, item.record));
  if (outside.row && (outside.row->flags & kFlagErased) != 0) {
    return Fail(ErrorCode::kDenied, "{} has been erased in '{}': it takes no writes", plan.name,
                Label(*wide));
  }
  plan.outside = std::move(outside);
  PlanCells(content.cells, writable, plan);
  plan.released.unchanged = plan.cells.empty();
  if (plan.cells.empty()) return plan;

  // 4. The tie: outside a commitment, inside its salt.
  plan.note.audience = order.to;
  plan.note.salt = random_.Draw(record::kReleaseSaltBytes);
  plan.note.source = inside.leaf;
  plan.note.time = clock_.Now();
  plan.note.choice = {content.parts, choice.with, choice.without};
  const Cell commitment = record::ReleaseCommitmentCell();
  plan.cells.push_back(
      {commitment,
       record::EncodeReleaseCommitment(record::ReleaseCommitment(plan.note.salt, plan.note.source)),
       HeadsOf(FindCell(plan.outside.state, commitment))});
  return plan;
}

void Writer::PlanCells(const std::vector<CellWrite>& content,
                       const std::function<bool(const Cell&)>& writable, ReleasePlan& plan) const {
  std::map<Cell, const CellWrite*> wanted;
  for (const CellWrite& write : content) wanted[write.cell] = &write;
  for (const auto& [cell, write] : wanted) {
    const auto* there = FindCell(plan.outside.state, cell);
    const auto agreed = AgreedValue(there);
    if (there != nullptr && agreed && *agreed == write->value) continue;
    plan.cells.push_back({cell, write->value, HeadsOf(there)});
  }
  for (const auto& there : plan.outside.state.cells) {
    const auto path = record::ReadCellPath(there.cell);
    if (wanted.contains(there.cell) || !path || record::IsReleaseField(path->field)) continue;
    const bool deletes = there.cell == DeletedCell();
    if (!deletes && (plan.kind->Find(path->field) == nullptr || !writable(there.cell))) continue;
    const auto agreed = AgreedValue(&there);
    if (agreed && !*agreed) continue;
    // What was withdrawn comes back; what is not carried any more goes.
    plan.cells.push_back({there.cell, std::nullopt, HeadsOf(&there)});
  }
}

// One entry for each capacity, anyone's cells first; no author: that is inner matter.
Result<EntryId> Writer::WriteRelease(const ReleaseOrder& order, ReleasePlan& plan,
                                     const std::set<RecordId>& along) {
  const bool chair_writes_only = cache_.authority->FindAudience(order.to)->chair_writes_only;
  std::vector<std::vector<CellEdit>> groups(2);
  for (CellEdit& cell : plan.cells) {
    const bool of_chair = record::OwnerOf(cell.cell).kind == OwnerKind::kChair;
    groups[!chair_writes_only && of_chair ? 1 : 0].push_back(std::move(cell));
  }
  std::optional<EntryId> first;
  for (auto& group : groups) {
    if (group.empty()) continue;
    Edit edit;
    edit.audience = order.to;
    if (order.op) edit.op = OpOf(order, plan.item, /*second=*/first.has_value());
    const bool create = !plan.outside.row && !first;
    edit.records.push_back({plan.item.kind, plan.item.record,
                            create ? RecordEdit::Mode::kCreate : RecordEdit::Mode::kChange,
                            std::move(group)});
    STAFFEL_TRY(applied, Apply(edit, along));
    if (!first) first = applied.entry;
  }
  STAFFEL_CHECK(WriteReleaseNote(plan.item.from, plan.item.kind, plan.item.record, plan.note));
  return *first;
}

Status Writer::WriteReleaseNote(const AudienceId& inside, std::uint32_t kind,
                                const RecordId& record, const record::ReleaseNote& note) {
  STAFFEL_TRY(copy, CopyIn(inside, kind, record));
  const Cell cell = record::ReleaseNoteCell(note.audience);
  Edit edit;
  edit.audience = inside;
  edit.records.push_back(
      {kind,
       record,
       RecordEdit::Mode::kChange,
       {{cell, record::EncodeReleaseNote(note), HeadsOf(FindCell(copy.state, cell))}}});
  STAFFEL_TRY(applied, Apply(edit));
  (void)applied;
  return {};
}

Result<Applied> Writer::Withdraw(std::uint32_t kind, const RecordId& record,
                                 const AudienceId& audience, const std::optional<OpId>& op) {
  if (!cache_.authority) {
    return Fail(ErrorCode::kDenied, "this node belongs to no conference yet");
  }
  STAFFEL_TRY(outside, CopyIn(audience, kind, record));
  const Cell commitment = record::ReleaseCommitmentCell();
  if (!outside.row || FindCell(outside.state, commitment) == nullptr) {
    return Fail(ErrorCode::kNotFound, "record {} has not been released to this audience",
                record.Hex().substr(0, 8));
  }
  Edit edit;
  edit.audience = audience;
  edit.op = op;
  edit.records.push_back({kind, record, RecordEdit::Mode::kDelete, {}});
  STAFFEL_TRY(applied, Apply(edit));
  if (applied.repeated) return applied;
  // Inside, where its source is and lives, it is noted down.
  const auto member = cache_.authority->MemberOfKey(key_.public_key());
  const bool chair = cache_.authority->hub_key() == key_.public_key();
  for (const charter::Audience& other : cache_.authority->audiences()) {
    if (other.id == audience || !member || !other.IsWriter(*member)) continue;
    if (other.chair_writes_only && !chair) continue;
    STAFFEL_TRY(inside, CopyIn(other.id, kind, record));
    if (!inside.row || (inside.row->flags & (kFlagDeleted | kFlagErased)) != 0) continue;
    const auto* head = LatestOf(FindCell(inside.state, record::ReleaseNoteCell(audience)));
    auto note = head == nullptr ? std::nullopt : record::DecodeReleaseNote(*head->value);
    if (!note || note->withdrawn) continue;
    note->withdrawn = true;
    note->salt.clear();
    note->source = {};
    note->time = clock_.Now();
    STAFFEL_CHECK(WriteReleaseNote(other.id, kind, record, *note));
  }
  return applied;
}

Result<Released> Store::Release(const ReleaseOrder& order) {
  Released released;
  const Status done = impl_->Write(
      [&](Writer& writer) -> Status {
        STAFFEL_TRY(result, writer.Release(order));
        released = std::move(result);
        return {};
      },
      /*alone=*/true);
  if (!done) return tl::unexpected<Error>(done.error());
  return released;
}

Result<Applied> Store::Withdraw(std::uint32_t kind, const RecordId& record,
                                const AudienceId& audience, const std::optional<OpId>& op) {
  Applied applied;
  const Status done = impl_->Write(
      [&](Writer& writer) -> Status {
        STAFFEL_TRY(result, writer.Withdraw(kind, record, audience, op));
        applied = result;
        return {};
      },
      /*alone=*/true);
  if (!done) return tl::unexpected<Error>(done.error());
  return applied;
}

// ---------------------------------------------------------------------------------------------
// Looking: both copies laid over each other

namespace {

// How `outside` stands to what a note says was released from `inside`.
void Compare(const record::Kind& kind, const record::ReleaseNote& note, ByteView inside,
             const RecordView& outside, ReleaseView& view) {
  if (outside.deleted) {
    view.state = ReleaseView::State::kWithdrawn;
    return;
  }
  const auto content = record::ContentToRelease(kind, inside, note.choice, /*gated=*/false);
  if (!content) {
    view.state = ReleaseView::State::kUnknown;
    return;
  }
  view.fields =
      record::DifferingFields(kind, content->cells, record::CellsOfRow(kind, outside.row));
  view.state = view.fields.empty() ? ReleaseView::State::kCurrent : ReleaseView::State::kDiffers;
}

void TakeCommitment(const projection::RecordState& outside, ReleaseView& view) {
  const auto* head = LatestOf(FindCell(outside, record::ReleaseCommitmentCell()));
  if (head == nullptr) return;
  view.commitment = record::DecodeReleaseCommitment(*head->value);
  view.time = head->time;
  view.member = head->member;
}

}  // namespace

Result<std::vector<ReleaseView>> Snapshot::Releases(const RecordView& record) {
  std::vector<ReleaseView> views;
  const auto* kind = record::Kinds().Find(record.kind);
  if (kind == nullptr) return views;
  STAFFEL_TRY(state, State(record));
  const auto note_of = [](const projection::RecordState& of, const AudienceId& to) {
    const auto* head = LatestOf(FindCell(of, record::ReleaseNoteCell(to)));
    return head == nullptr ? std::nullopt : record::DecodeReleaseNote(*head->value);
  };
  const auto proves = [](const record::ReleaseNote& note, const ReleaseView& view) {
    return view.commitment && !note.salt.empty() &&
           record::ReleaseCommitment(note.salt, note.source) == *view.commitment;
  };
  // Outward: for each note, the copy that it speaks of.
  for (const auto& cell : state.cells) {
    const auto path = record::ReadCellPath(cell.cell);
    if (!path || path->field != record::kReleaseNoteField) continue;
    const auto* head = LatestOf(&cell);
    const auto note = head == nullptr ? std::nullopt : record::DecodeReleaseNote(*head->value);
    if (!note) continue;
    ReleaseView view;
    view.audience = note->audience;
    view.time = note->time;
    view.member = head->member;
    const auto outside = GetRecord(record.record, note->audience);
    if (outside) {
      STAFFEL_TRY(outside_state, State(*outside));
      TakeCommitment(outside_state, view);
      Compare(*kind, *note, record.row, *outside, view);
      view.proven = proves(*note, view);
    } else if (outside.error().code != ErrorCode::kNotFound) {
      return tl::unexpected<Error>(outside.error());
    }
    views.push_back(std::move(view));
  }
  // Inward: this copy is itself a release.
  ReleaseView received;
  TakeCommitment(state, received);
  if (!received.commitment) return views;
  received.outward = false;
  received.state = ReleaseView::State::kReceived;
  const auto authority = this->authority();
  for (const charter::Audience& other : authority->audiences()) {
    if (other.id == record.audience) continue;
    const auto inside = GetRecord(record.record, other.id);
    if (!inside) {
      if (inside.error().code != ErrorCode::kNotFound) {
        return tl::unexpected<Error>(inside.error());
      }
      continue;
    }
    STAFFEL_TRY(inside_state, State(*inside));
    const auto note = note_of(inside_state, record.audience);
    if (!note) continue;
    ReleaseView view = received;
    view.audience = other.id;
    Compare(*kind, *note, inside->row, record, view);
    view.proven = proves(*note, view);
    views.push_back(std::move(view));
    return views;
  }
  views.push_back(std::move(received));
  return views;
}

}  // namespace staffel
