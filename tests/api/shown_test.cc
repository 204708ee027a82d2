// SPDX-License-Identifier: EUPL-1.2
#include "api/admin/shown.h"

#include <algorithm>

#include <catch2/catch.hpp>

#include "core/record/catalog.h"

namespace staffel::api {
namespace {

std::vector<std::string> Columns(std::string_view kind) {
  std::vector<std::string> paths;
  for (const ListColumn& column : ListColumns(*record::Kinds().Find(kind))) {
    CHECK_FALSE(column.label_de.empty());
    CHECK_FALSE(column.label_en.empty());
    paths.push_back(column.path);
  }
  return paths;
}

TEST_CASE("a list shows what people look for first") {
  using Paths = std::vector<std::string>;
  CHECK(Columns("agenda-item") == Paths{"number", "title", "status"});
  CHECK(Columns("resolution") == Paths{"number", "title", "stage", "outcome"});
  CHECK(Columns("person") ==
        Paths{"name", "memberships.member", "memberships.role", "memberships.function"});
}

TEST_CASE("every kind has columns, and all its fields are described") {
  for (const record::Kind& kind : record::Kinds().kinds()) {
    INFO(kind.name);
    const auto columns = ListColumns(kind);
    CHECK_FALSE(columns.empty());
    CHECK(columns.size() <= 5);
    const auto described = DescribeKind(kind);
    for (const record::Field& field : kind.fields) {
      const bool found = std::any_of(described.fields().begin(), described.fields().end(),
                                     [&](const auto& one) { return one.path() == field.name; });
      CHECK(found == (field.rule != record::Rule::kDeleted));
    }
    for (const auto& field : described.fields()) CHECK_FALSE(field.type().empty());
  }
}

TEST_CASE("an empty row shows nothing, and bytes that are no row do no harm") {
  record::Wording name;
  name.times_as_stored = false;
  for (const record::Kind& kind : record::Kinds().kinds()) {
    CHECK(ShownFields(kind, "", name).empty());
    (void)ShownFields(kind, "\xFF\xFF\xFF", name);
  }
}

}  // namespace
}  // namespace staffel::api
