// SPDX-License-Identifier: EUPL-1.2
#include "core/store/migrate.h"

namespace staffel {

Result<std::uint64_t> SchemaVersionOf(sqlite::Database& database) {
  STAFFEL_TRY(version, database.QueryInt("PRAGMA user_version"));
  return static_cast<std::uint64_t>(version);
}

Result<bool> LeadTo(sqlite::Database& database, const Schema& schema, std::string_view name) {
  STAFFEL_TRY(found, SchemaVersionOf(database));
  if (found > schema.version) {
    return Fail(
        ErrorCode::kUnsupported,
        "the database '{}' was written by a newer version (schema {}, this one knows {}): upgrade",
        name, found, schema.version);
  }
  if (found == schema.version) return false;
  const bool empty = found == 0;
  if (empty) {
    STAFFEL_CHECK(database.Execute(schema.latest));
  } else {
    std::uint64_t at = found;
    for (const Migration& migration : schema.migrations) {
      if (migration.to_version != at + 1) continue;
      STAFFEL_CHECK(database.Execute(migration.sql));
      at = migration.to_version;
    }
    if (at != schema.version) {
      return Fail(ErrorCode::kUnsupported,
                  "the database '{}' has schema {}, and no way leads from there to {}: restore a "
                  "backup with an intermediate version",
                  name, found, schema.version);
    }
  }
  STAFFEL_CHECK(database.Execute(fmt::format("PRAGMA user_version = {}", schema.version)));
  return empty;
}

}  // namespace staffel
