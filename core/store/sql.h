// SPDX-License-Identifier: EUPL-1.2
// The schema and the migrations that lead to it, compiled in from the .sql files beside this one.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace staffel {

struct Migration {
  std::uint64_t to_version;
  std::string_view sql;
};

extern const std::string_view kSchemaSql;
// Ascending by version.
const std::vector<Migration>& Migrations();

}  // namespace staffel
