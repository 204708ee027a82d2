// SPDX-License-Identifier: EUPL-1.2
// The projection of a record with exactly one entry: nothing can compete, so nothing needs the
// heads' names and times. The path that an ingest of many new records takes. Any thread.
#pragma once

#include <cstdint>
#include <span>

#include "core/base/bytes.h"

namespace staffel::projection {

struct CellValue {
  ByteView cell;
  ByteView value;
};

struct FreshRow {
  Bytes row;
  bool deleted = false;
};

// The same row as Project gives for one head a cell with these values (cells that the entry emptied
// are left out). Cells in any order, each once.
[[nodiscard]] FreshRow RowOfValues(std::uint32_t kind, std::span<const CellValue> cells);

}  // namespace staffel::projection
