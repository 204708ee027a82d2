// SPDX-License-Identifier: EUPL-1.2
// What the store keeps of a record that has been touched more than once: its heads, referring to
// entries by arrival. Values stay in the journal, in one place, so that erasing them there is
// enough.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "core/base/id.h"
#include "core/base/result.h"
#include "core/base/time.h"
#include "core/fold/fold.h"
#include "core/journal/entry.h"

namespace staffel {

struct StoredState {
  // Least and greatest time of the valid entries that touch the record, whatever came first.
  TimeMs created;
  TimeMs changed;
  // Every entry that has a head, ascending by id.
  struct Source {
    EntryId entry;
    std::uint64_t arrival = 0;
    bool erased = false;  // this record's payload in it is absent
  };
  std::vector<Source> sources;
  struct CellHeads {
    Cell cell;
    std::vector<std::uint32_t> heads;  // indices into sources, ascending
  };
  std::vector<CellHeads> cells;  // in byte order

  void AddTime(TimeMs time) {
    if (time.value == 0) return;  // a clock that knows nothing says nothing
    created = created.value == 0 ? time : std::min(created, time);
    changed = std::max(changed, time);
  }
  [[nodiscard]] fold::RecordHeads ToHeads() const;
  [[nodiscard]] Hash Leaf(const AudienceId& audience, std::uint32_t kind,
                          const RecordId& record) const;
};

[[nodiscard]] Bytes EncodeState(const StoredState& state);
// kCorrupt: only a damaged file holds anything else.
[[nodiscard]] Result<StoredState> DecodeState(ByteView bytes);

// The parts of `write` that concern a record, as one: an entry may hold several.
struct RecordSlice {
  struct Change {
    const CellChange* change = nullptr;
    std::size_t part = 0;
    std::size_t index = 0;  // of the change in its part
  };
  std::vector<Change> changes;
  std::vector<std::size_t> parts;
};
[[nodiscard]] RecordSlice SliceOf(const WriteBody& write, std::uint32_t kind,
                                  const RecordId& record);

}  // namespace staffel
