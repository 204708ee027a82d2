// SPDX-License-Identifier: EUPL-1.2
#include "core/record/cells.h"

#include <cstring>

#include "core/base/wire.h"

namespace staffel::record {
namespace {

// The encoding of core/journal/cell.cc, read without building a CellAddress.
constexpr char kStepField = 1;
constexpr char kStepId = 2;
constexpr char kStepMember = 3;

bool TakeShort(ByteView& in, ByteView& out) {
  if (in.empty()) return false;
  const std::size_t size = static_cast<std::uint8_t>(in.front());
  if (in.size() < 1 + size || size == 0) return false;
  out = in.substr(1, size);
  in.remove_prefix(1 + size);
  return true;
}

bool TakeNumber(ByteView& in, std::uint32_t& out) {
  if (in.size() < 2 || in.front() != kStepField) return false;
  in.remove_prefix(1);
  const auto number = TakeVarint(in);
  if (!number || *number == 0 || *number >= (1u << 29)) return false;
  out = static_cast<std::uint32_t>(*number);
  return true;
}

// RFC 3629. Of our own, because protobuf refuses a whole message for one ill-formed text, and this
// is asked for every text of an ingest: eight ASCII bytes at a time.
bool IsWellFormedText(ByteView text) {
  const auto* p = reinterpret_cast<const unsigned char*>(text.data());
  const auto* const end = p + text.size();
  while (p < end) {
    if (end - p >= 8) {
      std::uint64_t eight;
      std::memcpy(&eight, p, 8);
      if ((eight & 0x8080808080808080u) == 0) {
        p += 8;
        continue;
      }
    }
    const unsigned char lead = *p;
    if (lead < 0x80) {
      ++p;
      continue;
    }
    const int more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
    if (lead < 0xC2 || lead > 0xF4 || end - p <= more) return false;
    for (int i = 1; i <= more; ++i) {
      if ((p[i] & 0xC0) != 0x80) return false;
    }
    if (lead == 0xE0 && p[1] < 0xA0) return false;  // overlong
    if (lead == 0xED && p[1] > 0x9F) return false;  // surrogates
    if (lead == 0xF0 && p[1] < 0x90) return false;  // overlong
    if (lead == 0xF4 && p[1] > 0x8F) return false;  // beyond U+10FFFF
    p += more + 1;
  }
  return true;
}

bool ContentFits(const Field& field, const WireField& wire);

bool PartsFit(const Field& field, ByteView message) {
  WireReader reader(message);
  while (auto wire = reader.Next()) {
    const Field* part = field.FindPart(wire->number);
    if (part != nullptr && !ContentFits(*part, *wire)) return false;
  }
  return reader.ok();
}

bool ContentFits(const Field& field, const WireField& wire) {
  switch (field.type) {
    case Type::kText:
      return wire.type == WireType::kBytes && IsWellFormedText(wire.bytes);
    case Type::kBytes:
      return wire.type == WireType::kBytes;
    case Type::kBool:
    case Type::kNumber:
    case Type::kEnum:
      return wire.type == WireType::kVarint;
    case Type::kMessage:
      return wire.type == WireType::kBytes && PartsFit(field, wire.bytes);
  }
  return false;
}

// A map's entry: the key of its address, and at most one value.
bool EntryFits(const Field& field, ByteView key, const WireField& wire) {
  if (wire.type != WireType::kBytes) return false;
  WireReader reader(wire.bytes);
  bool key_seen = false;
  bool value_seen = false;
  while (auto part = reader.Next()) {
    if (part->number == 1 && !key_seen) {
      key_seen = part->type == WireType::kBytes && part->bytes == key;
      if (!key_seen) return false;
    } else if (part->number == 2 && !value_seen) {
      value_seen = true;
      if (!ContentFits(field, *part)) return false;
    } else {
      return false;
    }
  }
  return reader.ok() && key_seen;
}

// A set's element that is a message: field 1 is the id of its address.
bool ElementFits(const Field& field, ByteView id, const WireField& wire) {
  if (!ContentFits(field, wire)) return false;
  WireReader reader(wire.bytes);
  bool id_seen = false;
  while (auto part = reader.Next()) {
    if (part->number != 1) continue;
    if (part->type != WireType::kBytes || part->bytes != id) return false;
    id_seen = true;
  }
  return id_seen;
}

CellOwner OwnerFor(const Field& field, const MemberId* member) {
  switch (field.owner) {
    case Owner::kAnyone:
      return {OwnerKind::kAnyone, {}};
    case Owner::kChair:
      return {OwnerKind::kChair, {}};
    case Owner::kEntryMember:
      STAFFEL_ASSERT(member != nullptr);
      return {OwnerKind::kMember, *member};
  }
  return {};
}

}  // namespace

std::optional<CellPath> ReadCellPath(ByteView cell) {
  if (cell.empty() || static_cast<std::uint8_t>(cell.front()) > 2) return std::nullopt;
  CellPath path;
  path.owner = static_cast<OwnerKind>(cell.front());
  cell.remove_prefix(1);
  if (path.owner == OwnerKind::kMember && !TakeShort(cell, path.owner_member)) return std::nullopt;
  if (!TakeNumber(cell, path.field)) return std::nullopt;
  if (cell.empty()) return path;
  const char step = cell.front();
  if (step == kStepId && cell.size() >= 1 + ElementId::kBytes) {
    path.step = StepKind::kElement;
    path.element = cell.substr(1, ElementId::kBytes);
    cell.remove_prefix(1 + ElementId::kBytes);
  } else if (step == kStepMember) {
    cell.remove_prefix(1);
    path.step = StepKind::kMember;
    if (!TakeShort(cell, path.element)) return std::nullopt;
  } else {
    return std::nullopt;
  }
  if (cell.empty()) return path;
  if (!TakeNumber(cell, path.part) || !cell.empty()) return std::nullopt;
  return path;
}

bool CellFits(const Field& field, const CellPath& path) {
  switch (field.owner) {
    case Owner::kAnyone:
      if (path.owner != OwnerKind::kAnyone) return false;
      break;
    case Owner::kChair:
      if (path.owner != OwnerKind::kChair) return false;
      break;
    case Owner::kEntryMember:
      if (path.owner != OwnerKind::kMember || path.owner_member != path.element) return false;
      break;
  }
  switch (field.rule) {
    case Rule::kRegister:
    case Rule::kGroup:
    case Rule::kText:
    case Rule::kDeleted:
      return path.step == StepKind::kNone && path.part == 0;
    case Rule::kSet:
      return path.part == 0 &&
             path.step == (field.is_member_set() ? StepKind::kMember : StepKind::kElement);
    case Rule::kMap:
      return path.part == 0 && path.step == StepKind::kMember;
    // Part 1 is the element's id: its address, no cell.
    case Rule::kSequence:
      return path.step == StepKind::kElement && path.part > 1;
    case Rule::kNone:
    case Rule::kPart:
      return false;
  }
  return false;
}

bool ValueFits(const Field& field, const CellPath& path, ByteView value) {
  WireReader reader(value);
  const auto wire = reader.Next();
  if (!wire || !reader.rest().empty()) return false;
  if (path.part != 0) {
    if (wire->number != path.part) return false;
    const Field* part = field.FindPart(path.part);
    return part == nullptr || ContentFits(*part, *wire);
  }
  if (wire->number != field.number) return false;
  if (field.rule == Rule::kMap) return EntryFits(field, path.element, *wire);
  if (field.rule != Rule::kSet) return ContentFits(field, *wire);
  if (field.is_member_set()) return wire->type == WireType::kBytes && wire->bytes == path.element;
  return ElementFits(field, path.element, *wire);
}

bool UnknownValueFits(const CellPath& path, ByteView value) {
  WireReader reader(value);
  const auto wire = reader.Next();
  return wire && reader.rest().empty() && wire->number == (path.part != 0 ? path.part : path.field);
}

Cell RegisterCell(const Field& field) {
  return EncodeCell({OwnerFor(field, nullptr), {field.number}});
}

Cell MemberCell(const Field& field, const MemberId& member) {
  return EncodeCell({OwnerFor(field, &member), {field.number, member}});
}

Cell ElementCell(const Field& field, const ElementId& element) {
  return EncodeCell({OwnerFor(field, nullptr), {field.number, element}});
}

Cell PartCell(const Field& field, const ElementId& element, const Field& part) {
  return EncodeCell({OwnerFor(field, nullptr), {field.number, element, part.number}});
}

CellOwner OwnerOf(const Cell& cell) {
  const auto owner = CheckCell(cell);
  STAFFEL_ASSERT(owner.has_value());
  return *owner;
}

}  // namespace staffel::record
