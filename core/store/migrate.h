// SPDX-License-Identifier: EUPL-1.2
// Leads a file to the schema of this version: an empty one at once, an older one step by step
// through the numbered migrations. Internal to core/store; the caller holds a write transaction, so
// that a file is led all the way or stays as it was.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/base/result.h"
#include "core/sqlite/database.h"
#include "core/store/sql.h"

namespace staffel {

struct Schema {
  std::uint64_t version = 0;
  std::string_view latest;                // for an empty file
  std::span<const Migration> migrations;  // ascending: to version 2, 3, … `version`
};

// The schema version that the file says; 0 for an empty one.
[[nodiscard]] Result<std::uint64_t> SchemaVersionOf(sqlite::Database& database);

// Leads the file to `schema`; says whether it was empty. kUnsupported: a newer version wrote it, or
// a step is missing. `name` is for messages.
[[nodiscard]] Result<bool> LeadTo(sqlite::Database& database, const Schema& schema,
                                  std::string_view name);

}  // namespace staffel
