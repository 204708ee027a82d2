// SPDX-License-Identifier: EUPL-1.2
// From what a person or a program hands in to writes of cells: new records, and edits of fields.
// All input is checked here, and refused naming the field and the place; what other replicas send
// is never judged by these rules. Who signs the writes, with which parents, is the store's
// business. Pure functions: any thread.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/id.h"
#include "core/base/result.h"
#include "core/record/catalog.h"
#include "core/record/cells.h"
#include "core/record/json.h"
#include "core/record/record_id.h"

namespace staffel::record {

inline constexpr std::size_t kLineBytesMax = 2'000;
inline constexpr std::size_t kTextBytesMax = 200'000;
inline constexpr std::size_t kElementsMax = 2'000;
inline constexpr std::size_t kPositionBytesMax = 200;

// Finds the record that a reference names in another way than by its 32 hexadecimal digits: a key
// of the same file, a shortened id. `kind` is what the field refers to, 0 for any.
using FindReference = std::function<Result<RecordId>(std::uint32_t kind, std::string_view name)>;

// Says whether a reference may name this record, which exists or not.
using CheckReference = std::function<Status(std::uint32_t kind, const RecordId& record)>;

struct InputContext {
  ElementIds* ids = nullptr;     // required
  FindReference find_reference;  // without it only full ids are understood
  // The JSON that the value was read from: lets refusals name line and column.
  std::string_view source = {};
  CheckReference check_reference = {};  // of full ids; without it all of them are taken
  // The ids of the conference's members: others are refused as values, though removing them is
  // not. Empty: any id is taken.
  std::vector<std::string> members = {};
};

// The cells of a new record from an object of fields:
//   {"title": "…", "when": {"start": "2025-04-23T11:00", "zone": "Europe/Berlin"},
//    "originators": ["NI", "BY"], "votes_recorded": {"NI": "J"}, "items": ["…", {"text": "…"}]}
// Refuses unknown fields (naming the nearest), wrong types and formats, empty required fields, and
// text with a marking of classified information. Cells in byte order.
[[nodiscard]] Result<std::vector<CellWrite>> CellsOfRecord(const Kind& kind,
                                                           const JsonValue& object,
                                                           const InputContext& context);

// The cells that an edit of a record writes; `row` is the record as it now is. Beside whole fields:
//   null empties a field; a group given in part keeps its other parts; "when.start" names a part;
//   a set takes the full list or {"add": […], "remove": […]}; a map {"NI": "J", "BY": null};
//   "items.2.text" names a field of the second element ("items.<id>.text" too, ids shortened where
//   unique); "items.2": null removes it; {"insert": [{"text": "…", "after": "2"}],
//   "move": [{"item": "3", "before": "1"}], "remove": ["4"]}; a whole list only where there is
//   none.
// Nothing is written for what stays as it is in a set; a single value is written even if it is the
// same, because that is how a person confirms one. kConflict where a named element is not there.
[[nodiscard]] Result<std::vector<CellWrite>> EditsOf(const Kind& kind, const JsonValue& edits,
                                                     ByteView row, const InputContext& context);

// The command line's form, as the same object: `title=…`, `when.start=…`, `items.2.text=…`,
// `originators+=BY`, `originators-=BY`, `items+=…` (at the end), `items-=2`; `title=` empties. An
// element of several parts is added and removed as JSON: `emails-={"address": "…"}`.
// Numbers and truth values may be written plainly. Works for new records and edits alike.
[[nodiscard]] Result<JsonValue> ParseAssignments(const Kind& kind,
                                                 std::span<const std::string> assignments);

// The cells that say "deleted", and "not deleted". Their parents must be the heads of all cells of
// the record (core.md, "Projection"): the store sees to that.
[[nodiscard]] CellWrite DeletionWrite();
[[nodiscard]] CellWrite UndeletionWrite();

// One value for one cell, for deciding a conflict by writing something new: text as on the command
// line. For a set's element or a map's entry the element or member is the cell's.
[[nodiscard]] Result<CellWrite> ValueForCell(const Kind& kind, const Cell& cell,
                                             std::string_view text, const InputContext& context);

// Writes by the lane they have to travel in: anyone's, the chair's, and each member's own.
struct WritesByOwner {
  std::vector<CellWrite> anyone;
  std::vector<CellWrite> chair;
  std::vector<std::pair<MemberId, std::vector<CellWrite>>> members;  // by member
};
[[nodiscard]] WritesByOwner SplitByOwner(std::vector<CellWrite> writes);

}  // namespace staffel::record
