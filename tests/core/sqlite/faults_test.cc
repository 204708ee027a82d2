// SPDX-License-Identifier: EUPL-1.2
// What a Database says and does on bad days: full disks, failing writes and syncs, power cuts.
#include <string>

#include <catch2/catch.hpp>

#include "core/sqlite/database.h"
#include "tests/support/faulting_disk.h"

namespace staffel::sqlite {
namespace {

using testing::FaultingDisk;
using testing::Unsynced;

Database Opened(const FaultingDisk& disk) {
  auto database = Database::Open({.path = "a.db", .vfs = disk.vfs()});
  if (!database) FAIL(database.error().message);
  auto made =
      database->Execute("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, body BLOB) STRICT");
  if (!made) FAIL(made.error().message);
  return std::move(*database);
}

Status Insert(Database& database, std::int64_t id, const Bytes& body) {
  STAFFEL_TRY(insert, database.Prepare("INSERT INTO t (id, body) VALUES (?, ?)"));
  insert.Bind(1, id);
  insert.BindBlob(2, body);
  return insert.Run();
}

std::int64_t Count(Database& database) { return *database.QueryInt("SELECT count(*) FROM t"); }

TEST_CASE("a full disk in the middle of a transaction: said in words, nothing of it is kept") {
  FaultingDisk disk;
  Database database = Opened(disk);
  REQUIRE(Insert(database, 1, "a"));
  disk.SetSpace(disk.used() + 20'000);
  {
    auto transaction = Transaction::BeginWrite(database);
    REQUIRE(transaction);
    Status failed;
    for (std::int64_t id = 2; id < 20 && failed; ++id) {
      failed = Insert(database, id, Bytes(10'000, 'x'));
    }
    if (failed) failed = transaction->Commit();
    REQUIRE_FALSE(failed);
    CHECK(failed.error().code == ErrorCode::kStorage);
    CHECK(failed.error().message.find("the disk is full") != std::string::npos);
  }
  CHECK_FALSE(database.in_transaction());
  CHECK(Count(database) == 1);
  disk.SetSpace(std::nullopt);
  CHECK(Insert(database, 2, "b"));
}

TEST_CASE("a commit whose sync fails is not acknowledged, and not there after a power cut") {
  FaultingDisk disk;
  {
    Database database = Opened(disk);
    REQUIRE(Insert(database, 1, "a"));
    auto transaction = Transaction::BeginWrite(database);
    REQUIRE(transaction);
    REQUIRE(Insert(database, 2, "b"));
    // One frame and its header, then the sync.
    disk.FailAt(disk.operations() + 3);
    const Status failed = transaction->Commit();
    REQUIRE_FALSE(failed);
    CHECK(disk.counts().failed_syncs == 1);
    CHECK(failed.error().code == ErrorCode::kStorage);
    disk.CutPower(Unsynced::kLost);
  }
  disk.Restart();
  Database database = Opened(disk);
  CHECK(Count(database) == 1);
}

TEST_CASE(
    "a transaction that goes out of scope after a failed write leaves the next one a clean start") {
  FaultingDisk disk;
  Database database = Opened(disk);
  for (int index = 0; index < 10; ++index) {
    INFO(index);
    disk.FailAt(disk.operations() + 1 + static_cast<std::uint64_t>(index) % 3, index % 2 == 0);
    {
      auto transaction = Transaction::BeginWrite(database);
      if (!transaction) continue;
      if (Insert(database, 100 + index, Bytes(9000, 'x'))) (void)transaction->Commit();
    }
    CHECK_FALSE(database.in_transaction());
  }
  disk.FailAt(0);
  CHECK(Insert(database, 1, "a"));
  CHECK_FALSE(*database.QuickCheck());
}

TEST_CASE("opening on a disk that fails is refused with the path, and works afterwards") {
  for (std::uint64_t operation = 1; operation <= 6; ++operation) {
    FaultingDisk disk;
    disk.FailAt(operation);
    const auto refused = Database::Open({.path = "a.db", .vfs = disk.vfs()});
    if (!refused) {
      CHECK(refused.error().code == ErrorCode::kStorage);
      CHECK(refused.error().message.find("a.db") != std::string::npos);
    }
    disk.FailAt(0);
    Database database = Opened(disk);
    CHECK(Insert(database, 1, "a"));
  }
}

TEST_CASE("a row is read while others are written behind it") {
  FaultingDisk disk;
  Database database = Opened(disk);
  for (int id = 1; id <= 3; ++id) REQUIRE(Insert(database, id, "a"));
  auto select = database.Prepare("SELECT id FROM t ORDER BY id");
  REQUIRE(select);
  const StatementScope scope(*select);
  REQUIRE(*select->Step());
  CHECK(select->Int(0) == 1);
  REQUIRE(database.Execute("UPDATE t SET body = x'62' WHERE id = 1"));
  REQUIRE(*select->Step());
  CHECK(select->Int(0) == 2);
}

TEST_CASE("the schema cannot be written past SQLite's own commands") {
  FaultingDisk disk;
  Database database = Opened(disk);
  CHECK_FALSE(
      database.Execute("PRAGMA writable_schema = ON; "
                       "UPDATE sqlite_master SET sql = 'nonsense' WHERE name = 't'"));
  CHECK(Insert(database, 1, "a"));
}

}  // namespace
}  // namespace staffel::sqlite
