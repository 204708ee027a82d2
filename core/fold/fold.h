// SPDX-License-Identifier: EUPL-1.2
// The fold: which changes of a cell are its heads. It knows no schema, no clock and no order of
// arrival: its answer depends on the set of changes alone (core.md, "Fold"). The store keeps the
// heads up to date with Extend and falls back to FoldRecord; the projection gives them meaning.
// Pure functions over values: every call may come from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/base/id.h"
#include "core/journal/cell.h"

namespace staffel::fold {

// Entries of one member with one op id are repeats of each other: what names one names all.
struct RepeatKey {
  MemberId member;
  OpId op;
  friend auto operator<=>(const RepeatKey&, const RepeatKey&) = default;
};

// What one entry does to one record.
struct Touch {
  EntryId entry;
  bool valid = true;  // by the charter in force
  std::optional<RepeatKey> repeat;
  struct CellTouch {
    Cell cell;
    std::vector<EntryId> parents;
  };
  std::vector<CellTouch> cells;
};

// The heads of one cell: entry ids in ascending order, never empty.
struct CellHeads {
  Cell cell;
  std::vector<EntryId> heads;
  friend bool operator==(const CellHeads&, const CellHeads&) = default;
};

// Cells in byte order; a cell without heads is not listed.
using RecordHeads = std::vector<CellHeads>;

// A change covers the changes of its cell in the parents it names, if it is valid or itself
// covered. Heads are the valid changes that nothing covers. `touches` may come in any order and
// hold the same entry twice.
[[nodiscard]] RecordHeads FoldRecord(std::span<const Touch> touches);

// The same result as folding again with `touch` added, provided that no entry held names `touch`
// as a parent, that it has no repeats here, and that each parent it names is missing, or valid and
// without repeats (else more is covered than it names). Then a valid touch replaces the parents it
// names, and an invalid one changes nothing. The caller knows all this; missing parents are
// remembered.
void Extend(RecordHeads& heads, const Touch& touch);

}  // namespace staffel::fold
