// SPDX-License-Identifier: EUPL-1.2
#include "core/sqlite/database.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

#include <catch2/catch.hpp>

#include "tests/support/temporary_directory.h"

namespace staffel::sqlite {
namespace {

using testing::TemporaryDirectory;

Database Opened(const OpenOptions& options) {
  auto database = Database::Open(options);
  if (!database) FAIL(database.error().message);
  return std::move(*database);
}

Statement Prepared(Database& database, std::string_view sql) {
  auto statement = database.Prepare(sql);
  if (!statement) FAIL(statement.error().message);
  return std::move(*statement);
}

constexpr std::string_view kTable =
    "CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB, name TEXT) STRICT";

std::int64_t Count(Database& database) { return *database.QueryInt("SELECT count(*) FROM t"); }

TEST_CASE("a value comes back as it was bound, empty beside NULL, with zero bytes inside") {
  TemporaryDirectory directory;
  Database database = Opened({.path = directory.File("a.db")});
  REQUIRE(database.Execute(kTable));
  const Bytes body("a\0b\xff", 4);
  {
    Statement insert = Prepared(database, "INSERT INTO t (id, body, name) VALUES (?, ?, ?)");
    insert.Bind(1, std::int64_t{1} << 62);
    insert.BindBlob(2, body);
    insert.BindText(3, "Øyvind");
    REQUIRE(insert.Run());
    CHECK(database.LastInsertRowId() == std::int64_t{1} << 62);
    CHECK(database.Changes() == 1);
    insert.Bind(1, -5);
    insert.BindBlob(2, "");
    insert.BindText(3, "");
    REQUIRE(insert.Run());
    insert.Bind(1, 7);
    insert.BindBlobOrNull(2, std::nullopt);
    insert.BindNull(3);
    REQUIRE(insert.Run());
  }
  Statement select = Prepared(database, "SELECT id, body, name FROM t ORDER BY id");
  REQUIRE(*select.Step());
  CHECK(select.Int(0) == -5);
  CHECK(select.Blob(1).empty());
  CHECK_FALSE(select.IsNull(1));
  CHECK_FALSE(select.IsNull(2));
  REQUIRE(*select.Step());
  CHECK(select.Int(0) == 7);
  CHECK(select.IsNull(1));
  CHECK(select.IsNull(2));
  CHECK(select.Text(2).empty());
  REQUIRE(*select.Step());
  CHECK(select.Int(0) == std::int64_t{1} << 62);
  CHECK(select.Blob(1) == body);
  CHECK(select.Text(2) == "Øyvind");
  CHECK_FALSE(*select.Step());
  // After the last row it begins anew.
  REQUIRE(*select.Step());
  CHECK(select.Int(0) == -5);
}

TEST_CASE("a transaction that nobody commits is undone") {
  TemporaryDirectory directory;
  Database database = Opened({.path = directory.File("a.db")});
  REQUIRE(database.Execute(kTable));
  {
    auto transaction = Transaction::BeginWrite(database);
    REQUIRE(transaction);
    REQUIRE(database.Execute("INSERT INTO t (id) VALUES (1)"));
    CHECK(database.in_transaction());
    CHECK(Count(database) == 1);
  }
  CHECK_FALSE(database.in_transaction());
  CHECK(Count(database) == 0);
  {
    auto transaction = Transaction::BeginWrite(database);
    REQUIRE(transaction);
    REQUIRE(database.Execute("INSERT INTO t (id) VALUES (2)"));
    Transaction moved = std::move(*transaction);
    REQUIRE(moved.Commit());
  }
  CHECK(Count(database) == 1);
  database.Rollback();  // harmless without a transaction
  CHECK(Count(database) == 1);
}

TEST_CASE("a second transaction inside the first is refused") {
  TemporaryDirectory directory;
  Database database = Opened({.path = directory.File("a.db")});
  auto transaction = Transaction::BeginWrite(database);
  REQUIRE(transaction);
  CHECK_FALSE(Transaction::BeginWrite(database));
  CHECK(database.in_transaction());  // the first one is still there
}

TEST_CASE("readers keep the state they began with while the writer goes on") {
  TemporaryDirectory directory;
  Database writer = Opened({.path = directory.File("a.db")});
  REQUIRE(writer.Execute(kTable));
  REQUIRE(writer.Execute("INSERT INTO t (id) VALUES (1)"));
  Database reader = Opened({.path = directory.File("a.db"), .read_only = true});
  auto snapshot = Transaction::BeginRead(reader);
  REQUIRE(snapshot);
  CHECK(Count(reader) == 1);
  REQUIRE(writer.Execute("INSERT INTO t (id) VALUES (2)"));
  CHECK(Count(reader) == 1);
  REQUIRE(snapshot->Commit());
  CHECK(Count(reader) == 2);
}

TEST_CASE("a reader cannot write") {
  TemporaryDirectory directory;
  Database writer = Opened({.path = directory.File("a.db")});
  REQUIRE(writer.Execute(kTable));
  Database reader = Opened({.path = directory.File("a.db"), .read_only = true});
  const auto refused = reader.Execute("INSERT INTO t (id) VALUES (1)");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("readonly") != std::string::npos);
  CHECK(Count(writer) == 0);
}

TEST_CASE("a second writer waits, and is told to come back later when its time is over") {
  TemporaryDirectory directory;
  Database first = Opened({.path = directory.File("a.db")});
  REQUIRE(first.Execute(kTable));
  Database second = Opened({.path = directory.File("a.db"), .busy_timeout_ms = 1});
  auto transaction = Transaction::BeginWrite(first);
  REQUIRE(transaction);
  const auto refused = Transaction::BeginWrite(second);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kUnavailable);
  REQUIRE(transaction->Commit());
  CHECK(Transaction::BeginWrite(second));
}

TEST_CASE("what breaks a rule of the schema is refused with the rule's name") {
  TemporaryDirectory directory;
  Database database = Opened({.path = directory.File("a.db")});
  REQUIRE(database.Execute(kTable));
  REQUIRE(database.Execute("INSERT INTO t (id) VALUES (1)"));
  const auto twice = database.Execute("INSERT INTO t (id) VALUES (1)");
  REQUIRE_FALSE(twice);
  CHECK(twice.error().code == ErrorCode::kExists);
  CHECK(twice.error().message.find("t.id") != std::string::npos);
  // STRICT: a text is no number.
  CHECK_FALSE(database.Execute("INSERT INTO t (id) VALUES ('two')"));
  // Foreign keys are on.
  REQUIRE(database.Execute("CREATE TABLE child (id INTEGER REFERENCES t (id)) STRICT"));
  CHECK_FALSE(database.Execute("INSERT INTO child (id) VALUES (9)"));
}

TEST_CASE("a statement that failed can run again with other values") {
  TemporaryDirectory directory;
  Database database = Opened({.path = directory.File("a.db")});
  REQUIRE(database.Execute(kTable));
  Statement insert = Prepared(database, "INSERT INTO t (id) VALUES (?)");
  insert.Bind(1, 1);
  REQUIRE(insert.Run());
  CHECK_FALSE(insert.Run());
  insert.Bind(1, 2);
  CHECK(insert.Run());
  CHECK(Count(database) == 2);
}

TEST_CASE("a statement that is not SQL is refused and names itself") {
  TemporaryDirectory directory;
  Database database = Opened({.path = directory.File("a.db")});
  const auto refused = database.Prepare("SELEKT 1");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("SELEKT 1") != std::string::npos);
  CHECK(database.QueryInt("SELECT 1 WHERE 0").error().code == ErrorCode::kNotFound);
}

TEST_CASE("a statement out of scope holds no snapshot") {
  TemporaryDirectory directory;
  Database writer = Opened({.path = directory.File("a.db")});
  REQUIRE(writer.Execute(kTable));
  REQUIRE(writer.Execute("INSERT INTO t (id) VALUES (1), (2)"));
  Database reader = Opened({.path = directory.File("a.db"), .read_only = true});
  Statement select = Prepared(reader, "SELECT id FROM t");
  {
    StatementScope scope(select);
    REQUIRE(*select.Step());  // a row is open
  }
  REQUIRE(writer.Execute("INSERT INTO t (id) VALUES (3)"));
  // Nobody reads: everything moves into the file.
  CHECK(*writer.Checkpoint(/*truncate=*/true) == 0);
}

TEST_CASE("what was committed is there after closing and opening, in the way that was asked for") {
  TemporaryDirectory directory;
  {
    Database database = Opened({.path = directory.File("a.db")});
    REQUIRE(database.Execute(kTable));
    REQUIRE(database.Execute("INSERT INTO t (id) VALUES (1)"));
  }
  Database database = Opened({.path = directory.File("a.db")});
  CHECK(Count(database) == 1);
  CHECK(*database.QueryInt("PRAGMA page_size") == 8192);
  CHECK(*database.QueryInt("PRAGMA synchronous") == 2);  // FULL: acknowledged means fsynced
  CHECK(*database.QueryInt("PRAGMA secure_delete") == 1);
  CHECK(*database.QueryInt("PRAGMA foreign_keys") == 1);
  Statement mode = Prepared(database, "PRAGMA journal_mode");
  REQUIRE(*mode.Step());
  CHECK(mode.Text(0) == "wal");
}

TEST_CASE("deleted bytes are gone from the file") {
  TemporaryDirectory directory;
  const std::string secret = "Wanda Beispiel-Bund, geheim";
  {
    Database database = Opened({.path = directory.File("a.db")});
    REQUIRE(database.Execute(kTable));
    Statement insert = Prepared(database, "INSERT INTO t (id, name) VALUES (1, ?)");
    insert.BindText(1, secret);
    REQUIRE(insert.Run());
    REQUIRE(*database.Checkpoint(/*truncate=*/true) == 0);
    REQUIRE(database.Execute("DELETE FROM t"));
    REQUIRE(*database.Checkpoint(/*truncate=*/true) == 0);
    for (const char* name : {"a.db", "a.db-wal"}) {
      std::ifstream file(directory.File(name), std::ios::binary);
      const std::string content((std::istreambuf_iterator<char>(file)),
                                std::istreambuf_iterator<char>());
      CHECK(content.find(secret) == std::string::npos);
    }
  }
}

TEST_CASE("a file that cannot be opened is named, with the cause") {
  TemporaryDirectory directory;
  const std::string missing = directory.File("nowhere/a.db");
  const auto nowhere = Database::Open({.path = missing});
  REQUIRE_FALSE(nowhere);
  CHECK(nowhere.error().code == ErrorCode::kStorage);
  CHECK(nowhere.error().message.find(missing) != std::string::npos);

  const auto not_created = Database::Open({.path = directory.File("b.db"), .create = false});
  REQUIRE_FALSE(not_created);
  CHECK_FALSE(std::filesystem::exists(directory.File("b.db")));

  const std::string letter = directory.File("letter.db");
  std::ofstream(letter) << std::string(10'000, 'x');
  const auto no_database = Database::Open({.path = letter});
  REQUIRE_FALSE(no_database);
  CHECK(no_database.error().code == ErrorCode::kCorrupt);
  CHECK(no_database.error().message.find(letter) != std::string::npos);
}

TEST_CASE("structural damage is found and described") {
  TemporaryDirectory directory;
  const std::string path = directory.File("a.db");
  {
    Database database = Opened({.path = path});
    REQUIRE(database.Execute(kTable));
    REQUIRE(database.Execute("CREATE INDEX by_name ON t (name)"));
    REQUIRE(database.Execute(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) "
        "INSERT INTO t (id, name) SELECT i, 'name ' || i FROM n"));
    CHECK_FALSE(*database.QuickCheck());
  }
  {
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(5 * 8192);
    file << std::string(8192, '\x5a');
  }
  Database database = Opened({.path = path});
  const auto report = database.QuickCheck();
  // Damage may stop the check itself; either way it is said, never passed over.
  if (report) {
    REQUIRE(*report);
    CHECK_FALSE((*report)->empty());
  } else {
    CHECK(report.error().code == ErrorCode::kCorrupt);
  }
}

TEST_CASE("the writer is told how long its log has grown, and checkpoints elsewhere") {
  TemporaryDirectory directory;
  Database writer = Opened({.path = directory.File("a.db")});
  int pages = 0;
  writer.OnWal([&pages](int now) { pages = now; });
  REQUIRE(writer.Execute(kTable));
  CHECK(pages > 0);
  const int after_create = pages;
  REQUIRE(writer.Execute("INSERT INTO t (id) VALUES (1)"));
  CHECK(pages > after_create);
  // Another connection moves the pages; the writer starts its log anew.
  Database keeper = Opened({.path = directory.File("a.db")});
  CHECK(*keeper.Checkpoint(/*truncate=*/false) == 0);
  REQUIRE(writer.Execute("INSERT INTO t (id) VALUES (2)"));
  CHECK(pages < after_create);
}

TEST_CASE("a reader in the way leaves frames in the log, and harms nobody") {
  TemporaryDirectory directory;
  Database writer = Opened({.path = directory.File("a.db")});
  REQUIRE(writer.Execute(kTable));
  Database reader = Opened({.path = directory.File("a.db"), .read_only = true});
  auto snapshot = Transaction::BeginRead(reader);
  REQUIRE(snapshot);
  CHECK(Count(reader) == 0);
  REQUIRE(writer.Execute("INSERT INTO t (id) VALUES (1)"));
  CHECK(*writer.Checkpoint(/*truncate=*/false) > 0);
  REQUIRE(snapshot->Commit());
  CHECK(*writer.Checkpoint(/*truncate=*/false) == 0);
}

TEST_CASE("a full disk is said in words, and nothing is changed") {
  TemporaryDirectory directory;
  Database database = Opened({.path = directory.File("a.db")});
  REQUIRE(database.Execute(kTable));
  REQUIRE(database.Execute("INSERT INTO t (id) VALUES (1)"));
  // SQLite's own limit gives the same error as a disk without space.
  REQUIRE(database.Execute("PRAGMA max_page_count = 4"));
  Statement insert = Prepared(database, "INSERT INTO t (id, body) VALUES (2, ?)");
  const Bytes body(100'000, 'x');
  insert.BindBlob(1, body);
  const auto refused = insert.Run();
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kStorage);
  CHECK(refused.error().message.find("the disk is full") != std::string::npos);
  CHECK(Count(database) == 1);
}

TEST_CASE("handles can be moved and outlive nothing they need") {
  TemporaryDirectory directory;
  Database first = Opened({.path = directory.File("a.db")});
  REQUIRE(first.Execute(kTable));
  Statement count = Prepared(first, "SELECT count(*) FROM t");
  Database second = std::move(first);
  REQUIRE(*count.Step());
  CHECK(count.Int(0) == 0);
  count.Reset();
  Statement other = Prepared(second, "SELECT 41 + 1");
  other = std::move(count);
  REQUIRE(*other.Step());
  CHECK(other.Int(0) == 0);
}

}  // namespace
}  // namespace staffel::sqlite
