// SPDX-License-Identifier: EUPL-1.2
// A record's row as people and programs see it: JSON, title, sort key, text for searching, and
// names and values of single cells for the list of conflicts. A row is what the projection made;
// fields that this version does not know stay in it and are shown as bytes. Pure functions: any
// thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/base/bytes.h"
#include "core/record/catalog.h"
#include "core/record/cells.h"
#include "core/record/wording.h"

namespace staffel::record {

// Canonical: fields by number, empty ones left out, sets sorted, elements in their order with their
// ids, instants as RFC 3339, enumerations and references as text. The same row is the same JSON;
// CellsOfRecord takes it back. An object without line breaks.
[[nodiscard]] std::string RowToJson(const Kind& kind, ByteView row);
// The same with the ids of the sets' elements, each one listed: what an import takes back as the
// elements that they are, so that nothing stands there twice.
[[nodiscard]] std::string RowToJsonWithIds(const Kind& kind, ByteView row);

// "TOP 2.3 Fortentwicklung der Migrationsberatung": the fields marked as title; a hint in brackets
// where they are empty.
[[nodiscard]] std::string TitleOf(const Kind& kind, ByteView row, const Wording& wording = {});

// What the full-text index gets: the title as it is shown, then the searchable fields, a line each,
// as written.
[[nodiscard]] std::string SearchTextOf(const Kind& kind, ByteView row);

// Compared as bytes: agenda items and resolutions by TOP, people by name, meetings by start.
// Depends on the version of the collation rules: for stored lists that can be made anew, never for
// hashes.
[[nodiscard]] Bytes SortKeyOf(const Kind& kind, ByteView row);

// What a cell is called: for programs ("items.2.text"), and for people. EditsOf understands the
// former, but for elements of sets, which are named by what they say. Elements no longer in the row
// are named by their id.
struct FieldPath {
  std::string path;
  std::string label_de;  // "Ziffer 2: Text"
  std::string label_en;
};
[[nodiscard]] FieldPath FieldPathOf(const Kind& kind, ByteView cell, ByteView row);

// Where a cell stands among those of its record, for people who read down: by field, then by
// element in the row's order, then by part. Compared as tuples; cells of elements that are no
// longer in the row come after the others of their field.
struct CellPlace {
  std::uint32_t field = 0;
  std::size_t element = 0;
  std::uint32_t part = 0;
  friend auto operator<=>(const CellPlace&, const CellPlace&) = default;
};
[[nodiscard]] CellPlace PlaceOf(const Kind& kind, ByteView cell, ByteView row);
// Whether a cell holds nothing but the place of its element or record in an order.
[[nodiscard]] bool IsPositionCell(const Kind& kind, ByteView cell);

// One head's value for people; "(leer)" for nothing. Bytes that do not fit the field are shown in
// hexadecimal.
[[nodiscard]] std::string ValueToText(const Kind& kind, ByteView cell,
                                      const std::optional<Bytes>& value,
                                      const Wording& wording = {});
// The same as JSON: what the field would hold in RowToJson; null for nothing.
[[nodiscard]] std::string ValueToJson(const Kind& kind, ByteView cell,
                                      const std::optional<Bytes>& value);
// The plain text of a TEXT or line cell, for a word diff; nothing for other cells.
[[nodiscard]] std::optional<std::string> TextOfValue(const Kind& kind, ByteView cell,
                                                     const std::optional<Bytes>& value);

// The first value of a dotted field as text ("when.start", "number"); empty where there is none.
[[nodiscard]] std::string FieldText(const Kind& kind, ByteView row, std::string_view path,
                                    const Wording& wording = {});

}  // namespace staffel::record
