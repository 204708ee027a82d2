// SPDX-License-Identifier: EUPL-1.2
#include "tests/support/faulting_disk.h"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>
#include <sqlite3.h>

namespace staffel::testing {
namespace {

// Plain SQLite, so that the disk is tried without anything of ours on top.
class Plain {
 public:
  explicit Plain(const FaultingDisk& disk, const char* name = "plain.db") {
    result_ = sqlite3_open_v2(name, &handle_,
                              SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                              disk.vfs().c_str());
    sqlite3_busy_timeout(handle_, 10'000);
    if (result_ == SQLITE_OK) {
      result_ =
          Run("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; "
              "CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, body TEXT);");
    }
  }
  ~Plain() { sqlite3_close_v2(handle_); }
  Plain(const Plain&) = delete;
  Plain& operator=(const Plain&) = delete;

  int Run(const std::string& sql) {
    return sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  }
  int Insert(int id) {
    return Run("INSERT INTO t VALUES (" + std::to_string(id) + ", '" +
               std::string(3000, static_cast<char>('a' + id % 26)) + "')");
  }
  // The first column of the first row as text.
  std::string Ask(const std::string& sql) {
    std::string answer = "-";
    sqlite3_exec(
        handle_, sql.c_str(),
        [](void* out, int, char** values, char**) {
          *static_cast<std::string*>(out) = values[0] == nullptr ? "NULL" : values[0];
          return 1;
        },
        &answer, nullptr);
    return answer;
  }
  int result() const { return result_; }

 private:
  sqlite3* handle_ = nullptr;
  int result_ = SQLITE_OK;
};

TEST_CASE("what was committed is there after closing and opening again") {
  FaultingDisk disk;
  {
    Plain database(disk);
    REQUIRE(database.result() == SQLITE_OK);
    REQUIRE(database.Ask("PRAGMA journal_mode") == "wal");
    REQUIRE(database.Insert(1) == SQLITE_OK);
    CHECK(disk.counts().syncs > 0);
    CHECK(disk.Files() == std::vector<std::string>{"plain.db", "plain.db-wal"});
  }
  CHECK(disk.Files() == std::vector<std::string>{"plain.db"});
  Plain database(disk);
  CHECK(database.Ask("SELECT count(*) FROM t") == "1");
}

TEST_CASE("two disks with a file of the same name do not meet") {
  FaultingDisk first;
  FaultingDisk second;
  Plain one(first);
  Plain other(second);
  REQUIRE(one.Insert(1) == SQLITE_OK);
  CHECK(other.Ask("SELECT count(*) FROM t") == "0");
}

TEST_CASE("the power is cut at every operation: every commit that returned is there, and sound") {
  const auto unsynced = GENERATE(Unsynced::kLost, Unsynced::kKept, Unsynced::kTorn);
  std::uint64_t dropped = 0;
  bool finished = false;
  for (std::uint64_t cut = 1; !finished; ++cut) {
    INFO("power cut at operation " << cut);
    FaultingDisk disk(cut);
    disk.CutPowerAt(cut, unsynced);
    int committed = 0;
    {
      Plain database(disk);
      for (int id = 1; id <= 6; ++id) {
        if (database.Insert(id) != SQLITE_OK) break;
        committed = id;
        if (id == 4) (void)database.Run("PRAGMA wal_checkpoint(TRUNCATE)");
      }
    }
    finished = !disk.power_is_cut();
    if (finished) break;
    dropped += disk.counts().dropped_writes;
    disk.Restart();
    Plain database(disk);
    REQUIRE(database.result() == SQLITE_OK);
    CHECK(database.Ask("PRAGMA integrity_check") == "ok");
    const int there = std::stoi(database.Ask("SELECT count(*) FROM t"));
    CHECK(there >= committed);
    CHECK(there <= committed + 1);
  }
  CHECK((dropped > 0) == (unsynced != Unsynced::kKept));
}

TEST_CASE("without syncs a power cut loses commits: the disk does notice") {
  FaultingDisk disk;
  {
    Plain database(disk);
    REQUIRE(database.Run("PRAGMA synchronous = OFF") == SQLITE_OK);
    REQUIRE(database.Insert(1) == SQLITE_OK);
    disk.CutPower(Unsynced::kLost);
    CHECK(database.Insert(2) != SQLITE_OK);
  }
  disk.Restart();
  Plain database(disk);
  CHECK(database.Ask("SELECT count(*) FROM t") == "0");
}

TEST_CASE("a disk that lies about its syncs loses what it acknowledged") {
  FaultingDisk disk;
  {
    Plain database(disk);
    disk.LieAboutSyncs(true);
    REQUIRE(database.Insert(1) == SQLITE_OK);
    disk.CutPower(Unsynced::kLost);
  }
  disk.Restart();
  Plain database(disk);
  CHECK(database.Ask("SELECT count(*) FROM t") == "0");
}

TEST_CASE("a write that fails or is torn fails one commit and harms no other") {
  const bool torn = GENERATE(false, true);
  for (std::uint64_t ahead = 1; ahead <= 3; ++ahead) {
    INFO("operation " << ahead << " ahead");
    FaultingDisk disk;
    {
      Plain database(disk);
      REQUIRE(database.Insert(1) == SQLITE_OK);
      disk.FailAt(disk.operations() + ahead, torn);
      const int result = database.Insert(2);
      CHECK(result != SQLITE_OK);
      CHECK(database.Ask("SELECT count(*) FROM t") == "1");
      CHECK(database.Insert(3) == SQLITE_OK);
      disk.CutPower(Unsynced::kTorn);
    }
    const auto counts = disk.counts();
    CHECK(counts.failed_writes + counts.torn_writes + counts.failed_syncs == 1);
    disk.Restart();
    Plain database(disk);
    CHECK(database.Ask("PRAGMA integrity_check") == "ok");
    CHECK(database.Ask("SELECT group_concat(id) FROM t") == "1,3");
  }
}

TEST_CASE("a full disk says so, and works again with space") {
  FaultingDisk disk;
  Plain database(disk);
  REQUIRE(database.Insert(1) == SQLITE_OK);
  disk.SetSpace(disk.used() + 100);
  CHECK(database.Insert(2) == SQLITE_FULL);
  CHECK(disk.counts().refused_for_space > 0);
  CHECK(database.Ask("SELECT count(*) FROM t") == "1");
  disk.SetSpace(std::nullopt);
  CHECK(database.Insert(2) == SQLITE_OK);
}

TEST_CASE("what a file held is decided when the power goes, not when it comes back") {
  FaultingDisk disk;
  {
    Plain database(disk);
    REQUIRE(database.Insert(1) == SQLITE_OK);
    disk.CutPower(Unsynced::kLost);
    CHECK(database.Ask("SELECT count(*) FROM t") != "2");
    CHECK(database.Insert(2) != SQLITE_OK);
  }  // closing writes nothing
  disk.Restart();
  Plain database(disk);
  CHECK(database.Ask("SELECT count(*) FROM t") == "1");
}

TEST_CASE("several connections on several threads lock each other as on a real disk") {
  FaultingDisk disk;
  Plain first(disk);
  REQUIRE(first.result() == SQLITE_OK);
  std::atomic<int> failures{0};
  std::atomic<bool> done{false};
  std::vector<std::jthread> threads;
  std::jthread reader([&] {
    Plain database(disk);
    while (!done) {
      if (database.Ask("SELECT count(*) FROM t") == "-") ++failures;
    }
  });
  for (int writer = 0; writer < 4; ++writer) {
    threads.emplace_back([&, writer] {
      Plain database(disk);
      for (int index = 0; index < 50; ++index) {
        if (database.Insert(writer * 1000 + index) != SQLITE_OK) ++failures;
      }
    });
  }
  threads.clear();
  done = true;
  reader.join();
  CHECK(failures == 0);
  CHECK(first.Ask("SELECT count(*) FROM t") == "200");
  CHECK(first.Ask("PRAGMA integrity_check") == "ok");
}

TEST_CASE("an image saved and loaded elsewhere is the same database") {
  FaultingDisk disk;
  {
    Plain database(disk);
    REQUIRE(database.Insert(1) == SQLITE_OK);
  }
  FaultingDisk other;
  other.Load(disk.Save());
  Plain database(other);
  CHECK(database.Ask("SELECT count(*) FROM t") == "1");
}

}  // namespace
}  // namespace staffel::testing
