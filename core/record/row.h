// SPDX-License-Identifier: EUPL-1.2
// A record's row cut into its fields by the kind's tables, for the functions of edit.h and view.h.
// A row is a protobuf message that the projection made: well-formed, fields ascending. Views into
// the row; any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/wire.h"
#include "core/journal/cell.h"
#include "core/record/catalog.h"

namespace staffel::record {

// All fields of a message, in its order. What follows an unreadable field is left out.
[[nodiscard]] std::vector<WireField> WireFields(ByteView message);
// Those of one number.
[[nodiscard]] std::vector<WireField> WireFieldsOf(ByteView message, std::uint32_t number);
// The last of one number, as protobuf reads a single field; number 0 where there is none.
[[nodiscard]] WireField LastWireField(ByteView message, std::uint32_t number);

// One element of a sequence, or of a set whose elements are messages.
struct RowElement {
  ElementId id;
  ByteView position;  // sequences only
  ByteView message;   // the element's content
};
// Elements without a readable id are left out.
[[nodiscard]] std::vector<RowElement> RowElements(ByteView row, const Field& field);

// What a single text or number stands for in a set's element and a sequence's: its first part
// behind id and position that is text, or in a set the part behind the id. Nothing where only an
// object will do.
[[nodiscard]] const Field* MainPart(const Field& field);

}  // namespace staffel::record
