// SPDX-License-Identifier: EUPL-1.2
#include "core/store/backup.h"

#include "core/base/wire.h"
#include "core/sqlite/database.h"
#include "core/store/store_impl.h"

namespace staffel {
namespace {

constexpr std::string_view kExtraPrefix = "extra/";
constexpr std::string_view kMade = "made";
constexpr std::string_view kVersion = "version";

using Lines = std::vector<std::pair<std::string, Bytes>>;

Result<std::optional<Bytes>> Meta(sqlite::Database& database, std::string_view key) {
  STAFFEL_TRY(statement, database.Prepare("SELECT value FROM meta WHERE key = ?"));
  statement.BindText(1, key);
  STAFFEL_TRY(row, statement.Step());
  return row ? std::optional<Bytes>(statement.Blob(0)) : std::nullopt;
}

// Back from WAL to a single file, synced: what is renamed afterwards is all there is.
Status IntoOneFile(sqlite::Database& database) {
  STAFFEL_TRY(left, database.Checkpoint(/*truncate=*/true));
  if (left != 0) return Fail(ErrorCode::kStorage, "the file is still read by somebody else");
  STAFFEL_TRY(mode, database.Prepare("PRAGMA journal_mode = DELETE"));
  return mode.Run();
}

Status AddLines(const std::string& path, const std::string& vfs, const Lines& lines) {
  STAFFEL_TRY(database, sqlite::Database::Open({.path = path, .create = false, .vfs = vfs}));
  STAFFEL_TRY(transaction, sqlite::Transaction::BeginWrite(database));
  STAFFEL_CHECK(
      database.Execute("DELETE FROM meta WHERE key = 'nonce';"
                       "CREATE TABLE backup (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;"));
  {
    STAFFEL_TRY(insert, database.Prepare("INSERT INTO backup (key, value) VALUES (?, ?)"));
    for (const auto& [key, value] : lines) {
      insert.BindText(1, key);
      insert.BindBlob(2, value);
      STAFFEL_CHECK(insert.Run());
    }
  }
  STAFFEL_CHECK(transaction.Commit());
  return IntoOneFile(database);
}

tl::unexpected<Error> NoReplica(const std::string& path) {
  return Fail(ErrorCode::kCorrupt, "{} is no backup of a Staffel node, or is damaged", path);
}

}  // namespace

Result<BackupView> InspectBackup(const std::string& path, const std::string& vfs) {
  auto opened = sqlite::Database::Open(
      {.path = path, .read_only = true, .create = false, .vfs = vfs, .busy_timeout_ms = 0});
  if (!opened) {
    if (opened.error().code == ErrorCode::kCorrupt) return NoReplica(path);
    return Forward(opened);
  }
  sqlite::Database& database = *opened;
  const auto version = database.QueryInt("PRAGMA user_version");
  if (!version) {
    return version.error().code == ErrorCode::kCorrupt ? NoReplica(path)
                                                       : tl::unexpected<Error>(version.error());
  }
  if (*version <= 0) return NoReplica(path);
  if (static_cast<std::uint64_t>(*version) > kSchemaVersion) {
    return Fail(ErrorCode::kUnsupported,
                "{} was written by a newer version (schema {}, this one knows {}): upgrade first",
                path, *version, kSchemaVersion);
  }
  const auto damage = database.QuickCheck();
  if (!damage || *damage) {
    return Fail(ErrorCode::kCorrupt, "{} is damaged: {}; take another backup", path,
                damage ? **damage : damage.error().message);
  }
  BackupView view;
  const auto key = Meta(database, "replica-key");
  if (!key || !*key) return NoReplica(path);
  auto replica = crypto::PublicKey::From(**key);
  if (!replica) return NoReplica(path);
  view.key = std::move(*replica);
  STAFFEL_TRY(entries, database.QueryInt("SELECT COUNT(*) FROM entry"));
  STAFFEL_TRY(records, database.QueryInt("SELECT COUNT(*) FROM record"));
  STAFFEL_TRY(marked,
              database.QueryInt("SELECT COUNT(*) FROM sqlite_master WHERE name = 'backup'"));
  view.entries = static_cast<std::uint64_t>(entries);
  view.records = static_cast<std::uint64_t>(records);
  STAFFEL_TRY(conference, Meta(database, "conference"));
  if (conference) view.conference = ConferenceId::From(*conference);
  if (marked == 0) return view;
  STAFFEL_TRY(list, database.Prepare("SELECT key, value FROM backup ORDER BY key"));
  for (;;) {
    STAFFEL_TRY(row, list.Step());
    if (!row) break;
    const std::string name(list.Text(0));
    ByteView value = list.Blob(1);
    if (name == kMade) view.made = TimeMs{TakeVarint(value).value_or(0)};
    if (name == kVersion) view.version = std::string(value);
    if (name == "conference-name") view.conference_name = std::string(value);
    if (name == "member") view.member = MemberId::From(value);
    if (name.starts_with(kExtraPrefix)) {
      view.extras.emplace_back(name.substr(kExtraPrefix.size()), Bytes(value));
    }
  }
  return view;
}

Status TurnIntoReplica(const std::string& path, const std::string& vfs) {
  STAFFEL_TRY(database, sqlite::Database::Open({.path = path, .create = false, .vfs = vfs}));
  STAFFEL_TRY(transaction, sqlite::Transaction::BeginWrite(database));
  // secure_delete is on: keys that travelled in the file leave no trace in it.
  STAFFEL_CHECK(
      database.Execute("DROP TABLE IF EXISTS backup; DELETE FROM meta WHERE key = 'nonce';"));
  STAFFEL_CHECK(transaction.Commit());
  return IntoOneFile(database);
}

Result<BackupView> Store::Backup(const BackupOptions& options) {
  const std::string& vfs = impl_->options.vfs;
  {
    // A connection of its own: VACUUM reads one snapshot, and neither waits for the writer nor
    // makes it wait. Free pages, with what was erased, do not come along.
    STAFFEL_TRY(source,
                sqlite::Database::Open({.path = impl_->options.path, .create = false, .vfs = vfs}));
    STAFFEL_TRY(vacuum, source.Prepare("VACUUM INTO ?"));
    vacuum.BindText(1, options.path);
    STAFFEL_CHECK(vacuum.Run());
  }
  Lines lines;
  Bytes made;
  AppendVarint(made, impl_->options.clock->Now().value);
  lines.emplace_back(kMade, std::move(made));
  lines.emplace_back(kVersion, options.version);
  if (const auto in_force = authority()) {
    lines.emplace_back("conference-name", Bytes(in_force->name()));
    if (const auto member = own_member()) lines.emplace_back("member", Bytes(member->text()));
  }
  for (const auto& [name, content] : options.extras) {
    lines.emplace_back(std::string(kExtraPrefix) + name, content);
  }
  STAFFEL_CHECK(AddLines(options.path, vfs, lines));
  STAFFEL_TRY(view, InspectBackup(options.path, vfs));
  if (view.key != impl_->options.key->public_key() || view.conference != conference()) {
    return Fail(ErrorCode::kInternal,
                "the backup does not hold what this node is: it was not kept");
  }
  // Any other copy made until now is noticed, too, when it is put back.
  STAFFEL_CHECK(RenewNonce());
  return view;
}

}  // namespace staffel
