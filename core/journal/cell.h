// SPDX-License-Identifier: EUPL-1.2
// The address of a cell: whose it is, and where in the record. The address alone says who may
// write, so that validity never needs a schema. Byte format: docs/formats/journal.md, "Cells".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/id.h"
#include "core/base/result.h"

namespace staffel {

// An encoded cell address. Compared as bytes; a std::string so that short ones need no allocation.
using Cell = Bytes;

enum class OwnerKind : std::uint8_t { kAnyone = 0, kChair = 1, kMember = 2 };

struct CellOwner {
  OwnerKind kind = OwnerKind::kAnyone;
  MemberId member;  // kMember only
  friend bool operator==(const CellOwner&, const CellOwner&) = default;
};

// One step of a path: a protobuf field number, a 16-byte element id, or a member id.
using ElementId = FixedId<16, struct ElementIdTag>;
using CellStep = std::variant<std::uint32_t, ElementId, MemberId>;

struct CellAddress {
  CellOwner owner;
  std::vector<CellStep> steps;  // at least one; the first is a field number
  friend bool operator==(const CellAddress&, const CellAddress&) = default;
};

inline constexpr std::size_t kCellBytesMax = 128;

// The one encoding of an address. The address must be well-formed (asserted).
[[nodiscard]] Cell EncodeCell(const CellAddress& address);
// For the common case: field `number`, anyone's.
[[nodiscard]] Cell FieldCell(std::uint32_t number);

// Refuses what EncodeCell would not have written: unknown owners and step types, numbers not
// minimally encoded, no steps, more than kCellBytesMax bytes.
[[nodiscard]] Result<CellAddress> DecodeCell(ByteView cell);
// DecodeCell's verdict and the owner, without building the path: for the ingest of many entries.
[[nodiscard]] std::optional<CellOwner> CheckCell(ByteView cell);

// The cell of every record that says whether it is deleted: field 1, anyone's.
inline constexpr std::uint32_t kDeletedField = 1;
[[nodiscard]] const Cell& DeletedCell();

}  // namespace staffel
