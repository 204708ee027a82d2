// SPDX-License-Identifier: EUPL-1.2
// Cells of a record as the kinds see them: which field an address belongs to, and whether address
// and value have the form that the field's rule asks for. Cuts addresses without copying, because
// the projection reads every cell of an ingest here. The bytes: docs/formats/records.md.
#pragma once

#include <cstdint>
#include <optional>

#include "core/base/bytes.h"
#include "core/base/id.h"
#include "core/journal/cell.h"
#include "core/record/catalog.h"

namespace staffel::record {

// A write to one cell: the value's bytes, or nothing to empty it.
struct CellWrite {
  Cell cell;
  std::optional<Bytes> value;
  friend bool operator==(const CellWrite&, const CellWrite&) = default;
};

enum class StepKind : std::uint8_t { kNone, kElement, kMember };

// An address cut into the shapes that rules use: field; field and element; field, element and part.
// Views into the cell.
struct CellPath {
  OwnerKind owner = OwnerKind::kAnyone;
  ByteView owner_member;
  std::uint32_t field = 0;
  StepKind step = StepKind::kNone;
  ByteView element;        // 16 bytes, or a member id
  std::uint32_t part = 0;  // zero where there is none
};

// Nothing for addresses of other shapes, also of newer ones.
[[nodiscard]] std::optional<CellPath> ReadCellPath(ByteView cell);

// Whether the field's rule has cells at this address and their owner is the one it names.
[[nodiscard]] bool CellFits(const Field& field, const CellPath& path);

// Whether the bytes are one value of that cell: the right field and wire type, text in UTF-8, the
// element or member of the address inside. What fits can be put into a row as it is. Asked of
// foreign values too: says nothing about formats and lengths.
[[nodiscard]] bool ValueFits(const Field& field, const CellPath& path, ByteView value);
// For fields unknown to this version: one well-formed protobuf field of the path's number.
[[nodiscard]] bool UnknownValueFits(const CellPath& path, ByteView value);

// The addresses of a field's cells. `member` and `element` as the rule asks for.
[[nodiscard]] Cell RegisterCell(const Field& field);
[[nodiscard]] Cell MemberCell(const Field& field, const MemberId& member);
[[nodiscard]] Cell ElementCell(const Field& field, const ElementId& element);
[[nodiscard]] Cell PartCell(const Field& field, const ElementId& element, const Field& part);

// Who may write the cell: the lane it has to travel in.
[[nodiscard]] CellOwner OwnerOf(const Cell& cell);

}  // namespace staffel::record
