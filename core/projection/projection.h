// SPDX-License-Identifier: EUPL-1.2
// What the heads mean: a value, a conflict, a set. Driven by the rules in the record kinds' .proto
// options, by reflection; versioned; outside the digest (core.md, "Projection"). Pure: reads no
// clock, no disk; the one thing it may ask for is the history of a cell, which the store hands in.
// Every call may come from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/id.h"
#include "core/base/time.h"
#include "core/journal/cell.h"

namespace staffel::projection {

// Raised whenever the same heads may show as something else: stored rows are then projected anew.
inline constexpr std::uint32_t kProjectionVersion = 1;

// One head of a cell, with what a person wants to know about it.
struct Head {
  EntryId entry;
  TimeMs time;
  MemberId member;                 // whose journal
  std::optional<RecordId> author;  // as the payload says
  std::optional<Bytes> value;      // nothing: the cell was emptied
  bool erased = false;             // its payload is gone; value is nothing
  std::vector<EntryId> parents;    // of this cell's change
};

struct CellState {
  Cell cell;
  std::vector<Head> heads;  // ascending by entry id, never empty
};

// All heads of one record in one audience. Cells in byte order.
struct RecordState {
  std::uint32_t kind = 0;
  RecordId record;
  std::vector<CellState> cells;
};

// Changes of this record that may no longer be heads: for the base of a conflict, and for whether a
// deletion knew of an edit. Missing and erased entries are simply not found.
class History {
 public:
  struct Change {
    std::vector<EntryId> parents;
    std::optional<Bytes> value;
    bool erased = false;
    TimeMs time;
    MemberId member;
  };
  virtual ~History() = default;
  [[nodiscard]] virtual std::optional<Change> Find(const Cell& cell,
                                                   const EntryId& entry) const = 0;
};

enum class ConflictKind : std::uint8_t {
  kValue = 0,               // several values for one cell
  kDeletedBesideEdited = 1  // deleted by one, changed by another; the record stays visible
};

struct Conflict {
  Cell cell;
  ConflictKind kind = ConflictKind::kValue;
  // What competes. For kDeletedBesideEdited: the deleting heads and the cell's own.
  std::vector<Head> heads;
  EntryId provisional;  // the one shown meanwhile: greatest (time, entry id); zero for deletions
  // What they all started from, where there is one and its payload is still here.
  std::optional<Bytes> base;
};

struct Projection {
  Bytes row;             // the record's message, serialized deterministically, fields ascending
  bool deleted = false;  // by all heads of `deleted`, knowing of every edit
  bool erased = false;   // every head's payload is gone
  std::vector<Conflict> conflicts;  // by cell
};

// The projected state. A kind unknown to this version gives the values of plain field cells as they
// are, register rules, so that nothing is hidden while nothing is misread.
[[nodiscard]] Projection Project(const RecordState& state, const History& history);

}  // namespace staffel::projection
