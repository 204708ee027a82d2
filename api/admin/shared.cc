// SPDX-License-Identifier: EUPL-1.2
// What several calls of the administration need: finding records, showing them, turning writes into
// edits.
#include <algorithm>
#include <charconv>
#include <set>

#include "api/admin/administration.h"
#include "api/admin/named_key.h"
#include "api/admin/receipts.h"
#include "api/admin/shown.h"
#include "core/charter/build.h"
#include "core/crypto/hash.h"
#include "core/record/audience_profile.h"
#include "core/record/cells.h"
#include "core/record/row.h"
#include "core/record/view.h"
#include "core/record/word_diff.h"
#include "sync/audiences.h"

namespace staffel::api {

namespace {

constexpr std::size_t kShortIdDigits = 8;
constexpr std::size_t kVersionDigits = 16;
constexpr std::size_t kKeyPrefixMin = 8;

std::string VersionOf(const RecordView& view) {
  const char flags[] = {view.deleted ? '1' : '0', view.erased ? '1' : '0'};
  const auto conflicts = std::to_string(view.conflicts);
  return crypto::Sha256({ByteView(flags, sizeof flags), conflicts, "\n", view.row})
      .Hex()
      .substr(0, kVersionDigits);
}

// Whether the edits write into this element of a list.
bool Touches(const std::vector<Edit>& edits, const record::Field& field, const ElementId& element) {
  for (const Edit& edit : edits) {
    for (const RecordEdit& change : edit.records) {
      for (const CellEdit& cell : change.cells) {
        const auto path = record::ReadCellPath(cell.cell);
        if (path && path->field == field.number && path->element == element.bytes()) return true;
      }
    }
  }
  return false;
}

// An element goes with its last content, whether somebody meant that or not: so it is said.
void FillRemoved(const RecordView& before, const RecordView& after, const std::vector<Edit>& edits,
                 admin::ChangeReply& reply) {
  const auto* kind = record::Kinds().Find(after.kind);
  if (kind == nullptr) return;
  for (const record::Field& field : kind->fields) {
    if (field.rule != record::Rule::kSequence) continue;
    const auto was = record::RowElements(before.row, field);
    const auto now = record::RowElements(after.row, field);
    const auto stays = [&](const record::RowElement& element) {
      return std::any_of(now.begin(), now.end(),
                         [&](const record::RowElement& other) { return other.id == element.id; });
    };
    for (auto at = was.begin(); at != was.end(); ++at) {
      if (stays(*at) || !Touches(edits, field, at->id)) continue;
      const auto number = at - was.begin() + 1;
      auto& removed = *reply.add_removed();
      removed.set_path(fmt::format("{}.{}", field.name, number));
      removed.set_label_de(fmt::format("{} {}", field.element_label_de, number));
      removed.set_label_en(fmt::format("{} {}", field.element_label_en, number));
      removed.set_renumbers(std::any_of(at + 1, was.end(), stays));
    }
  }
}

void FillDiff(const std::string& base, const std::string& text, admin::Head& head) {
  for (const auto& part : record::WordDiff(base, text)) {
    auto* out = head.add_diff();
    out->set_op(part.what == record::DiffPart::What::kSame       ? admin::DiffPart::SAME
                : part.what == record::DiffPart::What::kInserted ? admin::DiffPart::INSERTED
                                                                 : admin::DiffPart::DELETED);
    out->set_text(part.text);
  }
}

}  // namespace

Result<MemberId> ReadMember(std::string_view text) {
  const auto member = MemberId::From(text);
  if (!member) return Fail(ErrorCode::kInvalid, "„{}“ is no member id such as NI", text);
  return *member;
}

std::string KindName(std::uint32_t number) {
  const auto* kind = record::Kinds().Find(number);
  return kind == nullptr ? std::to_string(number) : kind->name;
}

Result<RecordView> Administration::FindRecord(Snapshot& snapshot, std::string_view id,
                                              std::string_view kind, std::string_view audience,
                                              Call& call) {
  std::optional<AudienceId> in;
  if (!audience.empty()) {
    STAFFEL_TRY(found, FindAudience(snapshot, audience));
    in = found;
  }
  std::optional<std::uint32_t> kind_number;
  if (!kind.empty()) {
    STAFFEL_TRY(named, record::Kinds().Named(kind));
    kind_number = named->number;
  }
  const auto of_kind = [&](RecordView view) -> Result<RecordView> {
    if (!kind_number || view.kind == *kind_number) return view;
    const auto* is = record::Kinds().Find(view.kind);
    return Fail(ErrorCode::kInvalid, "{} („{}“) is of kind {}, not {}",
                view.record.Hex().substr(0, kShortIdDigits),
                is == nullptr ? "" : record::TitleOf(*is, view.row),
                is == nullptr ? std::to_string(view.kind) : is->name, kind);
  };
  if (const auto whole = RecordId::FromText(id)) {
    STAFFEL_TRY(view, snapshot.GetRecord(*whole, in));
    return of_kind(std::move(view));
  }
  std::string prefix(id);
  std::transform(prefix.begin(), prefix.end(), prefix.begin(), [](unsigned char c) {
    return c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : static_cast<char>(c);
  });
  if (prefix.size() < kIdPrefixMin || prefix.size() > 2 * RecordId::kBytes ||
      prefix.find_first_not_of("0123456789abcdef") != std::string::npos) {
    return Fail(ErrorCode::kInvalid,
                "„{}“ is no id: an id has 32 hexadecimal digits, of which at least the first {} "
                "are to be given",
                id, kIdPrefixMin);
  }
  STAFFEL_TRY(found, snapshot.FindByPrefix(prefix, kind_number, kCandidatesMax + 1));
  if (found.empty() && kind_number) {
    // There may be one, and of another kind: that is what the person has to know.
    STAFFEL_TRY(others, snapshot.FindByPrefix(prefix, {}, 1));
    if (!others.empty()) return of_kind(std::move(others.front()));
  }
  std::set<RecordId> distinct;
  for (const RecordView& view : found) distinct.insert(view.record);
  if (distinct.empty()) {
    return Fail(ErrorCode::kNotFound, "no record has an id that begins with {}", prefix);
  }
  if (distinct.size() > 1) {
    for (const RecordView& view : found) {
      if (call.candidates.size() == kCandidatesMax) break;
      STAFFEL_TRY(shown, Shown(snapshot, view));
      call.candidates.push_back(std::move(shown));
    }
    return Fail(ErrorCode::kInvalid, "{} begins the ids of several records: give more digits",
                prefix);
  }
  return snapshot.GetRecord(*distinct.begin(), in);
}

Result<std::optional<RecordId>> Administration::FindAuthor(Snapshot& snapshot,
                                                           std::string_view author, Call& call) {
  if (author.empty()) return std::optional<RecordId>();
  STAFFEL_TRY(view, FindRecord(snapshot, author, "person", "", call));
  return std::optional<RecordId>(view.record);
}

Result<crypto::PublicKey> FindKey(const std::vector<crypto::PublicKey>& keys,
                                  std::string_view prefix) {
  if (prefix.size() < kKeyPrefixMin) {
    return Fail(ErrorCode::kInvalid,
                "name a key by at least {} digits, as 'staffel keys list' has it", kKeyPrefixMin);
  }
  std::optional<crypto::PublicKey> found;
  for (const auto& key : keys) {
    if (!ToHex(key.bytes()).starts_with(prefix) && !key.Fingerprint().Hex().starts_with(prefix)) {
      continue;
    }
    if (found) return Fail(ErrorCode::kInvalid, "several keys begin with {}", prefix);
    found = key;
  }
  if (!found) return Fail(ErrorCode::kNotFound, "no key in the charter begins with {}", prefix);
  return *std::move(found);
}

Result<AudienceId> Administration::FindAudience(Snapshot& snapshot, std::string_view audience) {
  const auto authority = snapshot.authority();
  if (authority == nullptr) {
    return Fail(ErrorCode::kNotFound, "this node belongs to no conference and has no audiences");
  }
  if (const auto* named = authority->FindAudienceByName(audience)) return named->id;
  if (const auto id = AudienceId::FromText(audience)) {
    if (authority->FindAudience(*id) != nullptr) return *id;
  }
  // Confidential names are known inside only; two groups may have chosen the same one.
  std::vector<AudienceId> found;
  for (const charter::Audience& one : authority->audiences()) {
    if (!one.name.empty()) continue;
    const bool by_id = audience.size() >= kIdPrefixMin && one.id.Hex().starts_with(audience);
    if (by_id || sync::ProfileOf(snapshot, one.id).name == audience) found.push_back(one.id);
  }
  if (found.size() == 1) return found.front();
  if (found.size() > 1) {
    return Fail(ErrorCode::kInvalid, "several audiences are called „{}“: name it by its id ({})",
                audience, found.front().Hex());
  }
  return Fail(ErrorCode::kNotFound,
              "there is no audience „{}“ here; 'staffel audience list' has them", audience);
}

Result<AudienceId> Administration::AudienceFor(Snapshot& snapshot, const record::Kind& kind,
                                               std::string_view audience) const {
  const auto own = options_.store->own_member();
  if (!own) {
    return Fail(ErrorCode::kDenied,
                "this node belongs to no conference yet: found one (staffel found) or join one "
                "(staffel join)");
  }
  if (!audience.empty()) return FindAudience(snapshot, audience);
  // A note is private to its Land unless it says otherwise (design.md, section 3).
  constexpr std::string_view kPrivateKind = "note";
  return FindAudience(snapshot, kind.name == kPrivateKind ? charter::OwnAudienceName(*own)
                                                          : std::string(charter::kLaenderAudience));
}

std::string Administration::AudienceName(Snapshot& snapshot, const AudienceId& audience) {
  return sync::AudienceLabel(snapshot, audience);
}

bool Administration::IsDemonstration(Snapshot& snapshot) {
  const auto authority = snapshot.authority();
  return authority != nullptr && authority->demonstration();
}

record::InputContext Administration::InputFor(Snapshot& snapshot, record::ElementIds& ids,
                                              std::string_view source, Call& call) {
  record::InputContext context;
  context.ids = &ids;
  context.source = source;
  context.find_reference = [this, &snapshot, &call](std::uint32_t kind,
                                                    std::string_view name) -> Result<RecordId> {
    const auto* wanted = kind == 0 ? nullptr : record::Kinds().Find(kind);
    STAFFEL_TRY(view, FindRecord(snapshot, name, wanted == nullptr ? "" : wanted->name, "", call));
    return view.record;
  };
  context.check_reference = [this, &snapshot, &call](std::uint32_t kind,
                                                     const RecordId& record) -> staffel::Status {
    const auto* wanted = kind == 0 ? nullptr : record::Kinds().Find(kind);
    const auto found =
        FindRecord(snapshot, record.Hex(), wanted == nullptr ? "" : wanted->name, "", call);
    if (found) return {};
    if (found.error().code != ErrorCode::kNotFound) return tl::unexpected<Error>(found.error());
    return Fail(ErrorCode::kNotFound, "what it refers to is not here: no record has the id {}",
                record.Hex());
  };
  if (const auto authority = snapshot.authority()) {
    for (const auto& member : authority->members()) {
      context.members.emplace_back(member.id.text());
    }
  }
  return context;
}

Result<std::string> Administration::ShortId(Snapshot& snapshot, const RecordId& record) {
  const std::string hex = record.Hex();
  for (std::size_t digits = kShortIdDigits; digits < hex.size(); digits += 4) {
    STAFFEL_TRY(found, snapshot.FindByPrefix(hex.substr(0, digits), {}, 4));
    const bool unique = std::all_of(found.begin(), found.end(),
                                    [&](const RecordView& view) { return view.record == record; });
    if (unique) return hex.substr(0, digits);
  }
  return hex;
}

record::Wording Administration::WordingFor(Snapshot& snapshot, const Call& call) {
  record::Wording wording = call.wording;
  wording.name_record = [&snapshot, language = call.wording](ByteView id) {
    const auto record = RecordId::From(id);
    if (!record) return ToHex(id);
    const std::string digits = record->Hex().substr(0, kShortIdDigits);
    const auto found = snapshot.GetRecord(*record);
    const auto* kind = found ? record::Kinds().Find(found->kind) : nullptr;
    return kind == nullptr ? digits : digits + " " + record::TitleOf(*kind, found->row, language);
  };
  return wording;
}

Result<admin::Record> Administration::Shown(Snapshot& snapshot, const RecordView& view,
                                            const record::Wording& wording) {
  admin::Record out;
  out.set_id(view.record.Hex());
  STAFFEL_TRY(short_id, ShortId(snapshot, view.record));
  out.set_short_id(short_id);
  out.set_audience(AudienceName(snapshot, view.audience));
  STAFFEL_TRY(copies, snapshot.FindByPrefix(view.record.Hex(), view.kind, kCandidatesMax));
  for (const RecordView& copy : copies) {
    if (copy.audience != view.audience && !copy.deleted) {
      out.add_also_in(AudienceName(snapshot, copy.audience));
    }
  }
  out.set_deleted(view.deleted);
  out.set_erased(view.erased);
  out.set_conflicts(static_cast<std::uint32_t>(view.conflicts));
  out.set_incomplete(view.incomplete);
  if (const auto authority = snapshot.authority()) {
    const auto& least = authority->content().min_versions;
    out.set_read_only(std::any_of(least.begin(), least.end(), [&](const auto& one) {
      return one.kind == view.kind && one.version > projection::kProjectionVersion;
    }));
  }
  out.set_version(VersionOf(view));
  out.set_created_ms(view.created.value);
  out.set_changed_ms(view.changed.value);
  STAFFEL_TRY(reception, snapshot.ReceptionOf(view));
  out.set_reception(
      std::string(ReceptionName(reception.receipted, reception.received.has_value())));
  out.set_received_ms(reception.received.value_or(TimeMs()).value);
  out.set_not_received_since_ms(reception.since.value_or(TimeMs()).value);
  const auto* kind = record::Kinds().Find(view.kind);
  if (kind == nullptr) {
    // Of a newer version: kept and passed on, not understood here.
    out.set_kind(std::to_string(view.kind));
    out.set_title(out.id());
    return out;
  }
  out.set_kind(kind->name);
  out.set_title(record::TitleOf(*kind, view.row, wording));
  out.set_json(record::RowToJson(*kind, view.row));
  return out;
}

Result<std::string> Administration::AuthorName(Snapshot& snapshot,
                                               const std::optional<RecordId>& author) {
  if (!author) return std::string();
  const auto view = snapshot.GetRecord(*author);
  if (!view) {
    if (view.error().code != ErrorCode::kNotFound) return tl::unexpected<Error>(view.error());
    return author->Hex().substr(0, kShortIdDigits);
  }
  const auto* kind = record::Kinds().Find(view->kind);
  return kind == nullptr ? author->Hex().substr(0, kShortIdDigits)
                         : record::TitleOf(*kind, view->row);
}

Result<admin::Conflict> Administration::ShownConflict(Snapshot& snapshot, const ConflictView& view,
                                                      const record::Wording& wording) {
  admin::Conflict out;
  STAFFEL_TRY(shown, Shown(snapshot, view.record, wording));
  *out.mutable_record() = std::move(shown);
  const auto& conflict = view.conflict;
  out.set_cell(ToHex(conflict.cell));
  const auto* kind = record::Kinds().Find(view.record.kind);
  const bool is_deletion = conflict.kind == projection::ConflictKind::kDeletedBesideEdited;
  out.set_deleted_beside_edited(is_deletion);
  if (kind != nullptr) {
    const auto path = record::FieldPathOf(*kind, conflict.cell, view.record.row);
    out.set_path(path.path);
    out.set_label_de(path.label_de);
    out.set_label_en(path.label_en);
  }
  STAFFEL_TRY(state, snapshot.State(view.record));
  out.set_version(DecisionVersion(state, conflict.cell));
  std::set<EntryId> deleting;
  if (is_deletion || conflict.cell == DeletedCell()) {
    for (const projection::Head* head : DeletingHeads(state)) deleting.insert(head->entry);
  }
  std::optional<std::string> base;
  if (conflict.base && kind != nullptr) {
    out.set_has_base(true);
    out.set_base(record::ValueToText(*kind, conflict.cell, conflict.base, wording));
    base = record::TextOfValue(*kind, conflict.cell, conflict.base);
  }
  std::vector<std::string> texts;
  for (const auto& head : conflict.heads) {
    auto* to = out.add_heads();
    to->set_entry(head.entry.Hex());
    to->set_time_ms(head.time.value);
    to->set_member(std::string(head.member.text()));
    STAFFEL_TRY(author, AuthorName(snapshot, head.author));
    to->set_author(author);
    to->set_emptied(!head.value && !head.erased);
    to->set_erased(head.erased);
    to->set_provisional(head.entry == conflict.provisional);
    to->set_deletes(deleting.contains(head.entry));
    if (kind == nullptr || to->deletes()) continue;
    to->set_text(record::ValueToText(*kind, conflict.cell, head.value, wording));
    const auto text = record::TextOfValue(*kind, conflict.cell, head.value);
    if (text && base) {
      FillDiff(*base, *text, *to);
      texts.push_back(*text);
    }
  }
  if (base && texts.size() == 2 && conflict.heads.size() == 2) {
    if (auto merged = record::SuggestMerge(*base, texts[0], texts[1])) {
      out.set_has_suggestion(true);
      out.set_suggestion(std::move(*merged));
    }
  }
  return out;
}

Result<std::optional<EntryId>> Administration::EntryOf(Snapshot& snapshot, const RecordView& view,
                                                       const std::optional<OpId>& op) {
  if (!op) return std::optional<EntryId>();
  STAFFEL_TRY(history, snapshot.History(view));
  const auto written = std::find_if(history.begin(), history.end(),
                                    [&](const HistoryItem& item) { return item.op == op; });
  if (written == history.end()) return std::optional<EntryId>();
  return std::optional(written->entry);
}

std::vector<const projection::Head*> Administration::DeletingHeads(
    const projection::RecordState& state) {
  std::vector<const projection::Head*> heads;
  for (const projection::CellState& cell : state.cells) {
    if (cell.cell != DeletedCell()) continue;
    for (const projection::Head& head : cell.heads) {
      if (head.value) heads.push_back(&head);
    }
  }
  return heads;
}

std::string Administration::DecisionVersion(const projection::RecordState& state,
                                            const Cell& cell) {
  const bool whole = !DeletingHeads(state).empty();
  Bytes heads;
  for (const projection::CellState& of : state.cells) {
    if (!whole && of.cell != cell) continue;
    for (const projection::Head& head : of.heads) heads += head.entry.bytes();
  }
  return crypto::Sha256({heads}).Hex().substr(0, kVersionDigits);
}

Status Administration::CheckVersion(const RecordView& view, std::string_view if_version) {
  if (if_version.empty() || VersionOf(view) == if_version) return {};
  return Fail(ErrorCode::kConflict,
              "the record has changed since you looked: its version is {} now, not {}; look at it "
              "again (staffel show, staffel log)",
              VersionOf(view), if_version);
}

staffel::Status Administration::CheckChair(std::uint32_t kind, const Cell& cell) const {
  const auto authority = options_.store->authority();
  if (authority == nullptr || authority->hub_key() == options_.key->public_key()) return {};
  const auto* of = record::Kinds().Find(kind);
  return Fail(ErrorCode::kDenied, "field '{}': only the node of the chair ({}) writes it",
              of == nullptr ? ToHex(cell) : record::FieldPathOf(*of, cell, "").path,
              authority->chair().text());
}

staffel::Status Administration::CheckWriter(const record::Kind& kind, ByteView row,
                                            const std::vector<record::CellWrite>& writes) const {
  const record::Field* owner = kind.written_by.empty() ? nullptr : kind.Find(kind.written_by);
  const auto us = options_.store->own_member();
  const auto authority = options_.store->authority();
  if (owner == nullptr || !us || authority == nullptr) return {};
  // Whose it is by the row; of a new record, by what is written now.
  std::string member = record::FieldText(kind, row, owner->name);
  for (const record::CellWrite& write : writes) {
    if (member.empty() && write.value && write.cell == record::RegisterCell(*owner)) {
      member = record::ValueToText(kind, write.cell, write.value);
    }
  }
  if (member.empty() || member == us->text()) return {};
  // The chair writes for a Land without a node; whoever has one writes for itself.
  const auto id = MemberId::From(member);
  const auto* known = id ? authority->FindMember(*id) : nullptr;
  if (authority->chair() == *us && (known == nullptr || !known->has_keys())) return {};
  for (const record::CellWrite& write : writes) {
    const auto path = record::ReadCellPath(write.cell);
    if (!path || path->owner == OwnerKind::kChair) continue;
    if (path->step == record::StepKind::kMember && path->element == us->text()) continue;
    return Fail(
        ErrorCode::kDenied,
        "field '{}': a record of kind {} is its member's own: {} writes it at its node, not {}",
        record::FieldPathOf(kind, write.cell, row).path, kind.name, member, us->text());
  }
  return {};
}

Result<std::vector<Edit>> Administration::EditsFor(const AudienceId& audience, std::uint32_t kind,
                                                   const RecordId& record, bool create,
                                                   std::vector<record::CellWrite> writes,
                                                   const std::optional<RecordId>& author,
                                                   const std::optional<OpId>& op,
                                                   const projection::RecordState* shown) {
  auto split = record::SplitByOwner(std::move(writes));
  std::vector<std::vector<record::CellWrite>> groups;
  groups.push_back(std::move(split.anyone));
  for (auto& [member, own] : split.members) {
    const auto us = options_.store->own_member();
    if (!us || *us != member) {
      return Fail(ErrorCode::kDenied,
                  "a value of {} can only be written at a node of {} (a vote cast, a statement of "
                  "that Land)",
                  member.text(), member.text());
    }
    for (auto& write : own) groups.front().push_back(std::move(write));
  }
  std::sort(groups.front().begin(), groups.front().end(),
            [](const record::CellWrite& a, const record::CellWrite& b) { return a.cell < b.cell; });
  if (!split.chair.empty()) {
    STAFFEL_CHECK(CheckChair(kind, split.chair.front().cell));
  }
  groups.push_back(std::move(split.chair));

  std::vector<Edit> edits;
  for (auto& group : groups) {
    if (group.empty()) continue;
    Edit edit;
    edit.audience = audience;
    edit.author = author;
    if (op) {
      // One op id becomes one entry: the second entry has one that follows from the first.
      edit.op = edits.empty()
                    ? *op
                    : *OpId::From(crypto::Sha256({op->bytes(), "chair"}).bytes().substr(0, 16));
    }
    RecordEdit change;
    change.kind = kind;
    change.record = record;
    change.mode = create && edits.empty() ? RecordEdit::Mode::kCreate : RecordEdit::Mode::kChange;
    for (auto& write : group) {
      CellEdit cell{std::move(write.cell), std::move(write.value), std::nullopt};
      if (shown != nullptr) {
        cell.parents.emplace();
        for (const auto& state : shown->cells) {
          if (state.cell != cell.cell) continue;
          for (const auto& head : state.heads) cell.parents->push_back(head.entry);
        }
      }
      change.cells.push_back(std::move(cell));
    }
    edit.records.push_back(std::move(change));
    edits.push_back(std::move(edit));
  }
  return edits;
}

Result<admin::ChangeReply> Administration::ApplyAndShow(const std::vector<Edit>& edits,
                                                        const RecordId& record,
                                                        const RecordView* before) {
  admin::ChangeReply reply;
  if (edits.empty()) {
    reply.set_unchanged(true);
  } else if (edits.size() == 1) {
    STAFFEL_TRY(applied, options_.store->Apply(edits.front()));
    reply.set_entry(applied.entry.Hex());
    reply.set_repeated_op(applied.repeated);
  } else {
    STAFFEL_TRY(applied, options_.store->ApplyAll(edits));
    reply.set_entry(applied.front().entry.Hex());
    reply.set_repeated_op(applied.front().repeated);
  }
  const std::optional<AudienceId> audience =
      edits.empty() ? std::nullopt : std::optional<AudienceId>(edits.front().audience);
  STAFFEL_TRY(snapshot, options_.store->Read());
  STAFFEL_TRY(view, snapshot.GetRecord(record, audience));
  STAFFEL_TRY(shown, Shown(snapshot, view));
  reply.set_conflicts_left(static_cast<std::uint32_t>(view.conflicts));
  reply.set_reception(shown.reception());
  *reply.mutable_record() = std::move(shown);
  if (before != nullptr) FillRemoved(*before, view, edits, reply);
  return reply;
}

Result<std::optional<OpId>> Administration::ReadOp(std::string_view op) {
  if (op.empty()) return std::optional<OpId>();
  const auto id = OpId::FromText(op);
  if (!id) return Fail(ErrorCode::kInvalid, "an op id has 32 hexadecimal digits");
  return std::optional<OpId>(*id);
}

Result<record::JsonValue> Administration::ReadFields(const record::Kind& kind,
                                                     const std::string& json,
                                                     const std::vector<std::string>& assignments) {
  record::JsonValue fields;
  fields.type = record::JsonType::kObject;
  if (!json.empty()) {
    STAFFEL_TRY(parsed, record::ParseJson(json));
    if (parsed.type != record::JsonType::kObject) {
      return Fail(ErrorCode::kInvalid, "the fields must be a JSON object, not {}",
                  parsed.TypeName());
    }
    fields = std::move(parsed);
  }
  if (assignments.empty()) return fields;
  STAFFEL_TRY(assigned, record::ParseAssignments(kind, assignments));
  for (auto& [name, value] : assigned.members) {
    if (fields.Find(name) != nullptr) {
      return Fail(ErrorCode::kInvalid, "the field '{}' is given twice: in the JSON and beside it",
                  name);
    }
    // Values of the command line stand nowhere in the JSON text: no place is named for them.
    fields.members.emplace_back(name, std::move(value));
  }
  return fields;
}

staffel::Status Administration::RefuseOwnKind(const record::Kind& kind) {
  if (kind.number != record::kAudienceProfileKind) return {};
  return Fail(ErrorCode::kInvalid,
              "records of kind {} are written by Staffel itself: see staffel audience", kind.name);
}

std::string Administration::PageAfter(const SortedList::Line& line) {
  return fmt::format("{:x}-{}-{}-{}", line.kind, line.record.Hex(), line.audience.Hex(),
                     ToHex(line.key));
}

Result<Administration::SortedList::Line> Administration::ReadPage(std::string_view page) {
  const auto next = [&page] {
    const auto part = page.substr(0, page.find('-'));
    page.remove_prefix(std::min(page.size(), part.size() + 1));
    return part;
  };
  const std::string_view whole = page;
  const std::string_view number = next();
  SortedList::Line line;
  const auto [end, error] =
      std::from_chars(number.data(), number.data() + number.size(), line.kind, 16);
  const auto record = RecordId::From(FromHex(next()).value_or(Bytes()));
  const auto audience = AudienceId::From(FromHex(next()).value_or(Bytes()));
  const auto key = FromHex(page);
  if (error != std::errc() || end != number.data() + number.size() || !record || !audience ||
      !key) {
    return Fail(ErrorCode::kInvalid, "„{}“ is no page of this list", whole);
  }
  line.record = *record;
  line.audience = *audience;
  line.key = *key;
  return line;
}

Result<std::shared_ptr<const Administration::SortedList>> Administration::Sorted(
    Snapshot& snapshot, const ListFilter& filter) {
  const std::string name =
      fmt::format("{} {} {}", filter.kind.value_or(0),
                  filter.audience ? filter.audience->Hex() : "all", filter.with_deleted);
  {
    const std::lock_guard lock(lists_mutex_);
    for (const auto& list : lists_) {
      if (list->revision == snapshot.revision() && list->filter == name) return list;
    }
  }
  auto list = std::make_shared<SortedList>();
  auto& lines = list->lines;
  ListFilter page = filter;
  page.limit = kPageRecordsMax;
  for (;;) {
    STAFFEL_TRY(views, snapshot.List(page));
    for (const RecordView& view : views) {
      const auto* kind = record::Kinds().Find(view.kind);
      lines.push_back({view.kind, kind == nullptr ? Bytes() : record::SortKeyOf(*kind, view.row),
                       view.record, view.audience});
    }
    if (lines.size() > kSortedRecordsMax) {
      return Fail(ErrorCode::kTooLarge,
                  "more than {} records: name a kind or an audience, or use export",
                  kSortedRecordsMax);
    }
    if (views.size() < page.limit) break;
    page.after_number = views.back().number;
  }
  std::sort(lines.begin(), lines.end());
  list->revision = snapshot.revision();
  list->filter = name;
  const std::lock_guard lock(lists_mutex_);
  lists_.push_front(list);
  if (lists_.size() > kSortedListsKept) lists_.pop_back();
  return std::shared_ptr<const SortedList>(list);
}

}  // namespace staffel::api
