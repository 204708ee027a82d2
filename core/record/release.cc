// SPDX-License-Identifier: EUPL-1.2
#include "core/record/release.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/base/wire.h"
#include "core/crypto/hash.h"
#include "core/record/position.h"
#include "core/record/row.h"
#include "staffel/v1/release.pb.h"

namespace staffel::record {
namespace {

constexpr std::string_view kTagRelease = "staffel/1/release";
constexpr std::uint32_t kPositionPart = 2;

bool Contains(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// The address of a field's cell, whatever the rule: for a value cut from a row.
std::optional<Cell> CellOf(const Field& field, const WireField& wire) {
  switch (field.rule) {
    case Rule::kSet:
      if (field.is_member_set()) {
        const auto member = MemberId::From(wire.bytes);
        return member ? std::optional<Cell>(MemberCell(field, *member)) : std::nullopt;
      } else {
        const auto id = ElementId::From(LastWireField(wire.bytes, 1).bytes);
        return id ? std::optional<Cell>(ElementCell(field, *id)) : std::nullopt;
      }
    case Rule::kMap: {
      const auto member = MemberId::From(LastWireField(wire.bytes, 1).bytes);
      return member ? std::optional<Cell>(MemberCell(field, *member)) : std::nullopt;
    }
    default:
      return RegisterCell(field);
  }
}

void AddReferences(const Field& field, ByteView content, const std::string& name, int depth,
                   std::vector<Reference>& out) {
  constexpr int kDepthMax = 4;
  if (field.type == Type::kBytes && field.format == Format::kReference) {
    if (const auto record = RecordId::From(content); record && !record->is_zero()) {
      out.push_back({name, *record});
    }
    return;
  }
  if (field.type != Type::kMessage || depth > kDepthMax) return;
  for (const WireField& wire : WireFields(content)) {
    const Field* part = field.FindPart(wire.number);
    if (part != nullptr && wire.type == WireType::kBytes) {
      AddReferences(*part, wire.bytes, name, depth + 1, out);
    }
  }
}

// What the kind's gate allows to be published; nothing where the kind has none.
std::optional<std::vector<std::string>> AllowedParts(const Kind& kind, ByteView row) {
  const Field* gate = kind.Find(std::string_view(kind.release_gate));
  if (kind.release_gate.empty() || gate == nullptr) return std::nullopt;
  std::vector<std::string> allowed;
  const WireField wire = LastWireField(row, gate->number);
  if (gate->type == Type::kBool) {
    if (wire.number != 0 && wire.number_value != 0) {
      allowed = {std::string(kPartDecision), std::string(kPartReport), std::string(kPartAnnexes)};
    }
    return allowed;
  }
  for (const Field& part : gate->parts) {
    const WireField flag = LastWireField(wire.bytes, part.number);
    if (flag.number != 0 && flag.number_value != 0) allowed.push_back(part.name);
  }
  return allowed;
}

Result<std::vector<std::string>> ChooseParts(const Kind& kind, ByteView row,
                                             const ReleaseChoice& choice, bool gated) {
  for (const std::string& part : choice.parts) {
    if (part != kPartDecision && part != kPartReport && part != kPartAnnexes) {
      return Fail(ErrorCode::kInvalid, "there is no part '{}': there are decision, report, annexes",
                  part);
    }
  }
  const auto allowed = AllowedParts(kind, row);
  if (gated && allowed) {
    if (!Contains(*allowed, kPartDecision)) {
      return Fail(ErrorCode::kDenied,
                  "nothing of this {} is cleared for publication: the chair clears it in the field "
                  "'{}' first",
                  kind.name, kind.release_gate);
    }
    for (const std::string& part : choice.parts) {
      if (!Contains(*allowed, part)) {
        return Fail(ErrorCode::kDenied,
                    "the part '{}' is not cleared for publication: the chair clears it in the "
                    "field '{}' first",
                    part, kind.release_gate);
      }
    }
  }
  if (!choice.parts.empty()) return choice.parts;
  if (allowed && !allowed->empty()) return *allowed;
  return std::vector<std::string>{std::string(kPartDecision)};
}

// Why a field does not travel; nothing where it does.
std::optional<std::string> WhyNot(const Field& field, const ReleaseChoice& choice,
                                  const std::vector<std::string>& parts) {
  if (Contains(choice.without, field.name)) return "named";
  switch (field.release) {
    case Release::kNever:
      return "inner";
    case Release::kConfidential:
      if (!Contains(choice.with, field.name)) return "confidential";
      break;
    case Release::kReport:
      if (!Contains(parts, kPartReport)) return "part";
      break;
    case Release::kAnnexes:
      if (!Contains(parts, kPartAnnexes)) return "part";
      break;
    case Release::kWithRecord:
      break;
  }
  return std::nullopt;
}

// Positions say how many neighbours there were: outside they are dealt out anew.
void DealPositions(const Kind& kind, std::vector<CellWrite>& cells) {
  for (const Field& field : kind.fields) {
    if (field.rule != Rule::kSequence) continue;
    std::vector<std::string> order;
    for (const CellWrite& write : cells) {
      const auto path = ReadCellPath(write.cell);
      if (!path || path->field != field.number) continue;
      std::string id(path->element);
      if (!Contains(order, id)) order.push_back(std::move(id));
    }
    if (order.empty()) continue;
    std::erase_if(cells, [&](const CellWrite& write) {
      const auto path = ReadCellPath(write.cell);
      return path && path->field == field.number && path->part == kPositionPart;
    });
    const auto positions = EvenPositions(order.size());
    const Field* position = field.FindPart(kPositionPart);
    for (std::size_t i = 0; i < order.size(); ++i) {
      Bytes value;
      AppendBytesField(value, kPositionPart, positions[i]);
      cells.push_back({PartCell(field, *ElementId::From(order[i]), *position), std::move(value)});
    }
  }
}

}  // namespace

Cell ReleaseCommitmentCell() { return FieldCell(kReleaseCommitmentField); }

Cell ReleaseNoteCell(const AudienceId& audience) {
  return EncodeCell({{}, {kReleaseNoteField, *ElementId::From(audience.bytes())}});
}

std::vector<CellWrite> CellsOfRow(const Kind& kind, ByteView row) {
  std::vector<CellWrite> cells;
  for (const WireField& wire : WireFields(row)) {
    const Field* field = kind.Find(wire.number);
    if (field == nullptr || field->rule == Rule::kDeleted) continue;
    if (field->rule == Rule::kSequence) {
      const auto id = ElementId::From(LastWireField(wire.bytes, 1).bytes);
      if (!id) continue;
      for (const WireField& part : WireFields(wire.bytes)) {
        const Field* of = part.number == 1 ? nullptr : field->FindPart(part.number);
        if (of != nullptr) cells.push_back({PartCell(*field, *id, *of), Bytes(part.whole)});
      }
      continue;
    }
    if (auto cell = CellOf(*field, wire)) {
      cells.push_back({std::move(*cell), Bytes(wire.whole)});
    }
  }
  return cells;
}

std::vector<Reference> ReferencesOf(const Kind& kind, ByteView cell, ByteView value) {
  std::vector<Reference> references;
  const auto path = ReadCellPath(cell);
  const Field* field = path ? kind.Find(path->field) : nullptr;
  if (field == nullptr) return references;
  const std::string name = field->name;
  if (path->part != 0) field = field->FindPart(path->part);
  if (field == nullptr) return references;
  WireReader reader(value);
  while (const auto wire = reader.Next()) {
    if (wire->type == WireType::kBytes) AddReferences(*field, wire->bytes, name, 0, references);
  }
  return references;
}

Result<ReleaseContent> ContentToRelease(const Kind& kind, ByteView row, const ReleaseChoice& choice,
                                        bool gated) {
  if (kind.never_released) {
    return Fail(ErrorCode::kDenied, "a record of kind {} stays in its audience", kind.name);
  }
  for (const auto* names : {&choice.with, &choice.without}) {
    for (const std::string& name : *names) {
      const Field* field = kind.Find(std::string_view(name));
      if (field == nullptr || field->rule == Rule::kDeleted) {
        return Fail(ErrorCode::kInvalid, "kind {} has no field '{}': staffel kinds {}", kind.name,
                    name, kind.name);
      }
      if (names == &choice.with && field->release == Release::kNever) {
        return Fail(ErrorCode::kDenied, "the field '{}' of kind {} never leaves its audience", name,
                    kind.name);
      }
    }
  }
  ReleaseContent content;
  STAFFEL_TRY(parts, ChooseParts(kind, row, choice, gated));
  content.parts = std::move(parts);
  std::set<std::uint32_t> seen;
  for (CellWrite& write : CellsOfRow(kind, row)) {
    const Field* field = kind.Find(ReadCellPath(write.cell)->field);
    const auto why = WhyNot(*field, choice, content.parts);
    if (seen.insert(field->number).second) {
      if (why) {
        content.left_out.push_back({field->name, *why});
      } else {
        content.carried.push_back(field->name);
      }
    }
    if (!why) content.cells.push_back(std::move(write));
  }
  DealPositions(kind, content.cells);
  return content;
}

std::vector<std::string> DifferingFields(const Kind& kind, const std::vector<CellWrite>& a,
                                         const std::vector<CellWrite>& b) {
  const auto by_field = [](const std::vector<CellWrite>& cells) {
    std::map<std::uint32_t, std::vector<CellWrite>> fields;
    for (const CellWrite& write : cells) {
      const auto path = ReadCellPath(write.cell);
      if (!path || path->part == kPositionPart) continue;
      fields[path->field].push_back(write);
    }
    return fields;
  };
  const auto ours = by_field(a);
  const auto theirs = by_field(b);
  std::vector<std::string> differing;
  for (const Field& field : kind.fields) {
    const auto our = ours.find(field.number);
    const auto their = theirs.find(field.number);
    const bool same = our == ours.end() || their == theirs.end()
                          ? (our == ours.end()) == (their == theirs.end())
                          : our->second == their->second;
    if (!same) differing.push_back(field.name);
  }
  return differing;
}

Bytes EncodeReleaseNote(const ReleaseNote& note) {
  v1::ReleaseNote out;
  out.set_audience(Bytes(note.audience.bytes()));
  out.set_salt(note.salt);
  if (!note.source.is_zero()) out.set_source(Bytes(note.source.bytes()));
  out.set_time_ms(note.time.value);
  out.set_withdrawn(note.withdrawn);
  for (const std::string& part : note.choice.parts) out.add_parts(part);
  for (const std::string& field : note.choice.with) out.add_with(field);
  for (const std::string& field : note.choice.without) out.add_without(field);
  Bytes value;
  AppendBytesField(value, kReleaseNoteField, out.SerializeAsString());
  return value;
}

std::optional<ReleaseNote> DecodeReleaseNote(ByteView value) {
  WireReader reader(value);
  const auto field = reader.Next();
  v1::ReleaseNote in;
  if (!field || field->number != kReleaseNoteField || field->type != WireType::kBytes ||
      !in.ParseFromArray(field->bytes.data(), static_cast<int>(field->bytes.size()))) {
    return std::nullopt;
  }
  ReleaseNote note;
  const auto audience = AudienceId::From(in.audience());
  if (!audience) return std::nullopt;
  note.audience = *audience;
  note.salt = in.salt();
  note.source = Hash::From(in.source()).value_or(Hash());
  note.time = TimeMs{in.time_ms()};
  note.withdrawn = in.withdrawn();
  note.choice.parts.assign(in.parts().begin(), in.parts().end());
  note.choice.with.assign(in.with().begin(), in.with().end());
  note.choice.without.assign(in.without().begin(), in.without().end());
  return note;
}

Hash ReleaseCommitment(ByteView salt, const Hash& source) {
  return crypto::TaggedHash(kTagRelease, Bytes(salt) + Bytes(source.bytes()));
}

Bytes EncodeReleaseCommitment(const Hash& commitment) {
  Bytes value;
  AppendBytesField(value, kReleaseCommitmentField, commitment.bytes());
  return value;
}

std::optional<Hash> DecodeReleaseCommitment(ByteView value) {
  WireReader reader(value);
  const auto field = reader.Next();
  if (!field || field->number != kReleaseCommitmentField || field->type != WireType::kBytes) {
    return std::nullopt;
  }
  return Hash::From(field->bytes);
}

}  // namespace staffel::record
