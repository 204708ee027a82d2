// SPDX-License-Identifier: EUPL-1.2
// SQLite behind one narrow face: database, statement, transaction. Everything that SQL can do wrong
// comes back as an Error; handles are RAII. This folder is the only one that sees sqlite3.h.
//
//   STAFFEL_TRY(db, sqlite::Database::Open({.path = "staffel.db"}));
//   STAFFEL_TRY(insert, db.Prepare("INSERT INTO t (id, body) VALUES (?, ?)"));
//   insert.Bind(1, 7); insert.Bind(2, body);
//   STAFFEL_CHECK(insert.Run());
//
// A Database and its statements belong to one thread at a time (SQLITE_OPEN_NOMUTEX).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/bytes.h"
#include "core/base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace staffel::sqlite {

struct OpenOptions {
  std::string path;
  bool read_only = false;
  bool create = true;
  int page_bytes = 8192;  // for a new file
  std::string vfs;        // empty: the system's; tests name a faulting one
  int busy_timeout_ms = 10'000;
};

class Statement {
 public:
  Statement(Statement&&) noexcept;
  Statement& operator=(Statement&&) noexcept;
  ~Statement();

  // Parameters count from 1. Views must live until the statement has run: they are not copied.
  void Bind(int index, std::int64_t value);
  void BindBlob(int index, ByteView value);
  void BindText(int index, std::string_view value);
  void BindNull(int index);
  void BindBlobOrNull(int index, const std::optional<Bytes>& value);

  // One step: true while there is a row. After the last row, or an error, the statement is reset
  // and its bindings stay.
  [[nodiscard]] Result<bool> Step();
  // Runs a statement that gives no rows (rows are passed over).
  [[nodiscard]] Status Run();
  void Reset();

  // Columns count from 0. Views live until the next Step or Reset.
  [[nodiscard]] std::int64_t Int(int column) const;
  [[nodiscard]] ByteView Blob(int column) const;
  [[nodiscard]] std::string_view Text(int column) const;
  [[nodiscard]] bool IsNull(int column) const;

 private:
  friend class Database;
  Statement(sqlite3* database, sqlite3_stmt* statement)
      : database_(database), statement_(statement) {}
  sqlite3* database_ = nullptr;
  sqlite3_stmt* statement_ = nullptr;
};

// Resets a statement when it goes out of scope, so that a reader never holds a snapshot by mistake.
class StatementScope {
 public:
  explicit StatementScope(Statement& statement) : statement_(statement) {}
  ~StatementScope() { statement_.Reset(); }
  StatementScope(const StatementScope&) = delete;
  StatementScope& operator=(const StatementScope&) = delete;

 private:
  Statement& statement_;
};

class Database {
 public:
  // WAL, synchronous=FULL, foreign keys on, secure_delete on. kStorage names path and cause.
  [[nodiscard]] static Result<Database> Open(const OpenOptions& options);

  Database(Database&&) noexcept;
  Database& operator=(Database&&) noexcept;
  ~Database();

  [[nodiscard]] Result<Statement> Prepare(std::string_view sql);
  // Several statements at once, none with parameters.
  [[nodiscard]] Status Execute(std::string_view sql);
  // One integer from a statement without parameters: PRAGMA user_version and the like.
  [[nodiscard]] Result<std::int64_t> QueryInt(std::string_view sql);
  [[nodiscard]] std::int64_t LastInsertRowId() const;
  [[nodiscard]] int Changes() const;

  // True between a successful Begin and its Commit or Rollback.
  [[nodiscard]] bool in_transaction() const;
  [[nodiscard]] Status Begin();           // BEGIN: a read snapshot is taken at the first read
  [[nodiscard]] Status BeginImmediate();  // takes the write lock
  [[nodiscard]] Status Commit();
  void Rollback();  // harmless without a transaction

  // Moves WAL pages into the file without blocking anyone; says how many WAL frames remain.
  [[nodiscard]] Result<int> Checkpoint(bool truncate);
  // Writes the file anew without its free places, which may still hold what was deleted, and
  // empties the WAL. False: the file is written, and someone still reads what the WAL held; ask
  // again. Waits `patience_ms` for readers. Not within a transaction.
  [[nodiscard]] Result<bool> Vacuum(int patience_ms);
  // Only the second half: true where the WAL is empty now.
  [[nodiscard]] Result<bool> EmptyWal(int patience_ms);
  // Structural damage in words, or nothing when the file is sound.
  [[nodiscard]] Result<std::optional<std::string>> QuickCheck();
  // Pages of the WAL after each commit go to `callback` in place of SQLite's own checkpoint, which
  // would run on the writer's path.
  void OnWal(std::function<void(int pages)> callback);

 private:
  struct State;
  explicit Database(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Commits on Commit(), rolls back otherwise.
class Transaction {
 public:
  [[nodiscard]] static Result<Transaction> BeginRead(Database& database);
  [[nodiscard]] static Result<Transaction> BeginWrite(Database& database);
  Transaction(Transaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction() {
    if (database_ != nullptr) database_->Rollback();
  }
  [[nodiscard]] Status Commit();

 private:
  explicit Transaction(Database& database) : database_(&database) {}
  Database* database_;
};

}  // namespace staffel::sqlite
