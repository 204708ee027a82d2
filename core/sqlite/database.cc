// SPDX-License-Identifier: EUPL-1.2
#include "core/sqlite/database.h"

#include <utility>

#include <sqlite3.h>

#include "core/base/mutation.h"

namespace staffel::sqlite {
namespace {

ErrorCode CodeOf(int result) {
  switch (result & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return ErrorCode::kUnavailable;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return ErrorCode::kCorrupt;
    case SQLITE_TOOBIG:
      return ErrorCode::kTooLarge;
    case SQLITE_CONSTRAINT:
      return ErrorCode::kExists;
    case SQLITE_ERROR:
    case SQLITE_MISUSE:
    case SQLITE_RANGE:
      return ErrorCode::kInternal;
    default:
      return ErrorCode::kStorage;
  }
}

tl::unexpected<Error> FailOn(sqlite3* database, std::string_view what) {
  const int result = sqlite3_extended_errcode(database);
  const char* hint = (result & 0xff) == SQLITE_FULL
                         ? "; the disk is full: free some space, nothing was changed"
                         : "";
  return Fail(CodeOf(result), "{}: {} (SQLite {}){}", what, sqlite3_errmsg(database), result, hint);
}

}  // namespace

Statement::Statement(Statement&& other) noexcept
    : database_(other.database_), statement_(std::exchange(other.statement_, nullptr)) {}

Statement& Statement::operator=(Statement&& other) noexcept {
  std::swap(database_, other.database_);
  std::swap(statement_, other.statement_);
  return *this;
}

Statement::~Statement() { sqlite3_finalize(statement_); }

void Statement::Bind(int index, std::int64_t value) {
  const int result = sqlite3_bind_int64(statement_, index, value);
  STAFFEL_ASSERT(result == SQLITE_OK);
}

void Statement::BindBlob(int index, ByteView value) {
  // A null pointer would bind NULL; an empty blob is not NULL.
  const int result = value.empty() ? sqlite3_bind_zeroblob(statement_, index, 0)
                                   : sqlite3_bind_blob64(statement_, index, value.data(),
                                                         value.size(), SQLITE_STATIC);
  STAFFEL_ASSERT(result == SQLITE_OK || result == SQLITE_TOOBIG);
}

void Statement::BindText(int index, std::string_view value) {
  const char* data = value.empty() ? "" : value.data();
  const int result =
      sqlite3_bind_text64(statement_, index, data, value.size(), SQLITE_STATIC, SQLITE_UTF8);
  STAFFEL_ASSERT(result == SQLITE_OK || result == SQLITE_TOOBIG);
}

void Statement::BindNull(int index) {
  const int result = sqlite3_bind_null(statement_, index);
  STAFFEL_ASSERT(result == SQLITE_OK);
}

void Statement::BindBlobOrNull(int index, const std::optional<Bytes>& value) {
  if (value) {
    BindBlob(index, *value);
  } else {
    BindNull(index);
  }
}

Result<bool> Statement::Step() {
  const int result = sqlite3_step(statement_);
  if (result == SQLITE_ROW) return true;
  if (result == SQLITE_DONE) {
    sqlite3_reset(statement_);
    return false;
  }
  auto failed = FailOn(database_, "the database refused a statement");
  sqlite3_reset(statement_);
  return failed;
}

Status Statement::Run() {
  for (;;) {
    STAFFEL_TRY(row, Step());
    if (!row) return {};
  }
}

void Statement::Reset() {
  if (statement_ != nullptr) sqlite3_reset(statement_);
}

std::int64_t Statement::Int(int column) const { return sqlite3_column_int64(statement_, column); }

ByteView Statement::Blob(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  return {static_cast<const char*>(data), data == nullptr ? 0 : static_cast<std::size_t>(size)};
}

std::string_view Statement::Text(int column) const {
  const unsigned char* data = sqlite3_column_text(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  return {reinterpret_cast<const char*>(data),
          data == nullptr ? 0 : static_cast<std::size_t>(size)};
}

bool Statement::IsNull(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

struct Database::State {
  sqlite3* handle = nullptr;
  int busy_timeout_ms = 0;
  std::function<void(int)> on_wal;
  ~State() { sqlite3_close_v2(handle); }
};

Database::Database(std::unique_ptr<State> state) : state_(std::move(state)) {}
Database::Database(Database&&) noexcept = default;
Database& Database::operator=(Database&&) noexcept = default;
Database::~Database() = default;

Result<Database> Database::Open(const OpenOptions& options) {
  auto state = std::make_unique<State>();
  const int flags = (options.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) |
                    (options.create && !options.read_only ? SQLITE_OPEN_CREATE : 0) |
                    SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const int result = sqlite3_open_v2(options.path.c_str(), &state->handle, flags,
                                     options.vfs.empty() ? nullptr : options.vfs.c_str());
  if (result != SQLITE_OK) {
    return Fail(ErrorCode::kStorage, "cannot open the database '{}': {}", options.path,
                sqlite3_errstr(result));
  }
  state->busy_timeout_ms = options.busy_timeout_ms;
  sqlite3_busy_timeout(state->handle, options.busy_timeout_ms);
  // A view or trigger planted in a damaged file must not run anything.
  sqlite3_db_config(state->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(state->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  Database database(std::move(state));
  // The file is read for the first time here: one that is none of ours shows now.
  std::string pragmas = "PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY;";
  if (!options.read_only) {
    pragmas += fmt::format(
        "PRAGMA page_size = {}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; "
        "PRAGMA secure_delete = ON; PRAGMA foreign_keys = ON;",
        options.page_bytes);
  }
  if (!options.read_only && STAFFEL_MUTATION(kSkipSync)) pragmas += "PRAGMA synchronous = OFF;";
  if (const Status set = database.Execute(pragmas); !set) {
    return Fail(set.error().code, "cannot open the database '{}': {}", options.path,
                set.error().message);
  }
  return database;
}

Result<Statement> Database::Prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int result = sqlite3_prepare_v3(state_->handle, sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (result != SQLITE_OK) return FailOn(state_->handle, fmt::format("cannot prepare '{}'", sql));
  return Statement(state_->handle, statement);
}

Status Database::Execute(std::string_view sql) {
  const std::string text(sql);
  if (sqlite3_exec(state_->handle, text.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
    return FailOn(state_->handle, "the database refused a command");
  }
  return {};
}

Result<std::int64_t> Database::QueryInt(std::string_view sql) {
  STAFFEL_TRY(statement, Prepare(sql));
  STAFFEL_TRY(row, statement.Step());
  if (!row) return Fail(ErrorCode::kNotFound, "'{}' gave no row", sql);
  return statement.Int(0);
}

std::int64_t Database::LastInsertRowId() const { return sqlite3_last_insert_rowid(state_->handle); }
int Database::Changes() const { return sqlite3_changes(state_->handle); }
bool Database::in_transaction() const { return sqlite3_get_autocommit(state_->handle) == 0; }
Status Database::Begin() { return Execute("BEGIN"); }
Status Database::BeginImmediate() { return Execute("BEGIN IMMEDIATE"); }
Status Database::Commit() { return Execute("COMMIT"); }

void Database::Rollback() {
  // Some errors end the transaction by themselves; a second ROLLBACK would only complain.
  if (in_transaction()) sqlite3_exec(state_->handle, "ROLLBACK", nullptr, nullptr, nullptr);
}

Result<int> Database::Checkpoint(bool truncate) {
  int frames = 0;
  int moved = 0;
  const int result = sqlite3_wal_checkpoint_v2(
      state_->handle, nullptr, truncate ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE,
      &frames, &moved);
  if (result != SQLITE_OK && (result & 0xff) != SQLITE_BUSY)
    return FailOn(state_->handle, "checkpoint failed");
  return frames < 0 ? 0 : frames - moved;
}

Result<bool> Database::Vacuum(int patience_ms) {
  STAFFEL_CHECK(Execute("VACUUM"));
  return EmptyWal(patience_ms);
}

Result<bool> Database::EmptyWal(int patience_ms) {
  sqlite3_busy_timeout(state_->handle, patience_ms);
  int frames = -1;
  const int result = sqlite3_wal_checkpoint_v2(state_->handle, nullptr, SQLITE_CHECKPOINT_TRUNCATE,
                                               &frames, nullptr);
  sqlite3_busy_timeout(state_->handle, state_->busy_timeout_ms);
  if ((result & 0xff) == SQLITE_BUSY) return false;
  if (result != SQLITE_OK) return FailOn(state_->handle, "emptying the WAL failed");
  return frames <= 0;
}

Result<std::optional<std::string>> Database::QuickCheck() {
  STAFFEL_TRY(statement, Prepare("PRAGMA quick_check(10)"));
  std::string report;
  for (;;) {
    STAFFEL_TRY(row, statement.Step());
    if (!row) break;
    const std::string_view line = statement.Text(0);
    if (line == "ok") continue;
    if (!report.empty()) report += "; ";
    report += line;
  }
  if (report.empty()) return std::optional<std::string>();
  return std::optional<std::string>(std::move(report));
}

void Database::OnWal(std::function<void(int)> callback) {
  state_->on_wal = std::move(callback);
  sqlite3_wal_hook(
      state_->handle,
      [](void* context, sqlite3*, const char*, int pages) {
        static_cast<State*>(context)->on_wal(pages);
        return SQLITE_OK;
      },
      state_.get());
}

Result<Transaction> Transaction::BeginRead(Database& database) {
  STAFFEL_CHECK(database.Begin());
  return Transaction(database);
}

Result<Transaction> Transaction::BeginWrite(Database& database) {
  STAFFEL_CHECK(database.BeginImmediate());
  return Transaction(database);
}

Status Transaction::Commit() {
  // Until COMMIT has succeeded the transaction stays ours: a failed one is rolled back on the way
  // out.
  STAFFEL_CHECK(database_->Commit());
  database_ = nullptr;
  return {};
}

}  // namespace staffel::sqlite
