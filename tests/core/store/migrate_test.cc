// SPDX-License-Identifier: EUPL-1.2
#include "core/store/migrate.h"

#include <array>
#include <string>

#include <catch2/catch.hpp>

#include "core/store/store.h"
#include "tests/support/temporary_directory.h"

namespace staffel {
namespace {

// A schema with a past: what version 1 made, and the step to version 2.
constexpr std::string_view kFirst = "CREATE TABLE thing (id INTEGER PRIMARY KEY) STRICT;";
constexpr std::string_view kSecond =
    "CREATE TABLE thing (id INTEGER PRIMARY KEY, name TEXT) STRICT;";
constexpr std::array<Migration, 1> kSteps{{{2, "ALTER TABLE thing ADD COLUMN name TEXT;"}}};

class File {
 public:
  explicit File(const std::string& name = "file")
      : path_(directory_.path() + "/" + name),
        database_(std::move(*sqlite::Database::Open({.path = path_}))) {}
  sqlite::Database& operator*() { return database_; }
  sqlite::Database* operator->() { return &database_; }

 private:
  testing::TemporaryDirectory directory_;
  std::string path_;
  sqlite::Database database_;
};

std::string Columns(sqlite::Database& database) {
  auto statement = database.Prepare("SELECT name, type FROM pragma_table_info('thing')");
  REQUIRE(statement);
  std::string all;
  for (;;) {
    const auto row = statement->Step();
    REQUIRE(row);
    if (!*row) return all;
    all += Bytes(statement->Blob(0)) + " " + Bytes(statement->Blob(1)) + ";";
  }
}

TEST_CASE("an empty file gets the latest schema at once") {
  File file;
  const auto empty = LeadTo(*file, {2, kSecond, kSteps}, "file");
  REQUIRE(empty);
  CHECK(*empty);
  CHECK(*SchemaVersionOf(*file) == 2);
}

TEST_CASE("an older file is led to what a new one has, with what it holds") {
  File fresh("fresh"), old("old");
  REQUIRE(LeadTo(*fresh, {2, kSecond, kSteps}, "fresh"));
  REQUIRE(LeadTo(*old, {1, kFirst, {}}, "old"));
  REQUIRE(old->Execute("INSERT INTO thing (id) VALUES (7)"));
  const auto empty = LeadTo(*old, {2, kSecond, kSteps}, "old");
  REQUIRE(empty);
  CHECK_FALSE(*empty);
  CHECK(*SchemaVersionOf(*old) == 2);
  CHECK(Columns(*old) == Columns(*fresh));
  CHECK(*old->QueryInt("SELECT id FROM thing") == 7);
  // And once more changes nothing.
  REQUIRE(LeadTo(*old, {2, kSecond, kSteps}, "old"));
}

TEST_CASE("a file that no step leads on from is refused") {
  File file;
  REQUIRE(LeadTo(*file, {1, kFirst, {}}, "file"));
  const auto refused = LeadTo(*file, {3, kSecond, kSteps}, "file");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kUnsupported);
}

TEST_CASE("a file of a newer version is refused and stays as it is") {
  File file;
  REQUIRE(file->Execute("PRAGMA user_version = 99"));
  const auto refused = LeadTo(*file, {2, kSecond, kSteps}, "der-name");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kUnsupported);
  CHECK_THAT(refused.error().message,
             Catch::Contains("der-name") && Catch::Contains("newer") && Catch::Contains("99"));
  CHECK(*SchemaVersionOf(*file) == 99);
}

TEST_CASE("the store's own migrations lead step by step to its version") {
  std::uint64_t at = 1;
  for (const Migration& migration : Migrations()) CHECK(migration.to_version == ++at);
  CHECK(at == kSchemaVersion);
  File file;
  const auto empty = LeadTo(*file, {kSchemaVersion, kSchemaSql, Migrations()}, "file");
  REQUIRE(empty);
  CHECK(*empty);
}

}  // namespace
}  // namespace staffel
