// SPDX-License-Identifier: EUPL-1.2
#include "api/restore.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/durable_file.h"
#include "api/node_directory.h"
#include "core/sqlite/database.h"

namespace staffel::api {

namespace {

constexpr std::size_t kPieceBytes = std::size_t{1} << 20;

Status CopyFile(const std::string& from, const std::string& to) {
  const int source = ::open(from.c_str(), O_RDONLY | O_CLOEXEC);
  if (source < 0) {
    if (errno == ENOENT) return Fail(ErrorCode::kNotFound, "there is no file {}", from);
    return SystemFailure("cannot be read", from);
  }
  struct stat status {};
  if (::fstat(source, &status) == 0 && !S_ISREG(status.st_mode)) {
    ::close(source);
    return Fail(ErrorCode::kInvalid, "{} is no file", from);
  }
  const int target = ::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (target < 0) {
    auto failed = SystemFailure("cannot be made", to);
    ::close(source);
    return failed;
  }
  std::string piece(kPieceBytes, '\0');
  Status done;
  for (;;) {
    const ssize_t got = ::read(source, piece.data(), piece.size());
    if (got < 0) done = SystemFailure("cannot be read", from);
    if (got <= 0) break;
    for (ssize_t at = 0; at < got && done;) {
      const ssize_t put = ::write(target, piece.data() + at, static_cast<std::size_t>(got - at));
      if (put <= 0) {
        done = SystemFailure("cannot be written", to);
      } else {
        at += put;
      }
    }
    if (!done) break;
  }
  if (done && ::fsync(target) != 0) done = SystemFailure("cannot be written", to);
  ::close(source);
  ::close(target);
  return done;
}

void Discard(const std::string& part) {
  for (const char* tail : {"", "-journal", "-wal", "-shm"}) ::unlink((part + tail).c_str());
}

Status Rename(const std::string& from, const std::string& to) {
  if (std::rename(from.c_str(), to.c_str()) == 0) return {};
  return SystemFailure("cannot be renamed", from);
}

// "20261125T101500Z"
std::string Stamp(TimeMs now) {
  std::string text = FormatTimeUtc(now).substr(0, 19);
  std::erase_if(text, [](char c) { return c == '-' || c == ':'; });
  return text + "Z";
}

// The keys that the directory lacks, out of the backup. Says whether any were taken.
Result<bool> TakeKeys(const NodeDirectory& directory, const BackupView& backup) {
  constexpr std::array<const char*, 2> kNames{"replica.key", "tls.key"};
  bool taken = false;
  for (const char* name : kNames) {
    if (FileExists(directory.File(name))) continue;
    const auto* found = static_cast<const Bytes*>(nullptr);
    for (const auto& [extra, content] : backup.extras) {
      if (extra == name) found = &content;
    }
    if (found == nullptr) {
      return Fail(ErrorCode::kDenied,
                  "{} is missing, and the backup was made without keys: bring the node's keys back "
                  "first; with a new one it would be a stranger to its conference",
                  directory.File(name));
    }
    if (!crypto::KeyPair::FromPem(*found)) {
      return Fail(ErrorCode::kCorrupt, "the key {} in the backup cannot be read", name);
    }
    STAFFEL_CHECK(WriteDurably(directory.File(name), *found));
    taken = true;
  }
  return taken;
}

constexpr std::string_view kKeptMark = ".before-restore-";

// The old database under another name. Its log first goes into it, where that is possible; else
// the two stay a pair.
Result<std::string> KeepAside(const NodeDirectory& directory, TimeMs now) {
  const std::string database = directory.database();
  if (!FileExists(database)) {
    // A log without its database would be taken for the new one's.
    Discard(database);
    STAFFEL_CHECK(SyncDirectoryOf(database));
    return std::string();
  }
  {
    auto old = sqlite::Database::Open({.path = database, .create = false, .busy_timeout_ms = 0});
    if (old) (void)old->Checkpoint(/*truncate=*/true);
  }
  std::string kept = database + std::string(kKeptMark) + Stamp(now);
  for (int number = 2; FileExists(kept); ++number) {
    kept = database + std::string(kKeptMark) + Stamp(now) + "-" + std::to_string(number);
  }
  // In this order: from here on the database stands without its log, which is why the twin has
  // gone before.
  if (FileExists(database + "-wal")) STAFFEL_CHECK(Rename(database + "-wal", kept + "-wal"));
  ::unlink((database + "-shm").c_str());
  if (::link(database.c_str(), kept.c_str()) != 0) return SystemFailure("cannot be made", kept);
  STAFFEL_CHECK(SyncDirectoryOf(database));
  return kept;
}

}  // namespace

Result<Restored> RestoreBackup(const std::string& path, const std::string& file, TimeMs now) {
  STAFFEL_TRY(directory, NodeDirectory::Open(path));
  const std::string part = directory.File("restore.part");
  Discard(part);
  Restored restored;
  const auto work = [&]() -> Status {
    STAFFEL_CHECK(CopyFile(file, part));
    auto view = InspectBackup(part, {});
    if (!view) {
      // The sentence names the copy; people know the file.
      std::string message = view.error().message;
      if (const auto at = message.find(part); at != std::string::npos) {
        message.replace(at, part.size(), file);
      }
      return Fail(view.error().code, "{}", message);
    }
    restored.backup = std::move(*view);
    if (FileExists(directory.File("replica.key"))) {
      STAFFEL_TRY(key, directory.LoadOrMakeKey("replica.key"));
      if (key.public_key() != restored.backup.key) {
        return Fail(ErrorCode::kDenied,
                    "{} is the backup of another node (its key is {}, the one in {} is {}): choose "
                    "the right file, or the right directory",
                    file, restored.backup.key.Fingerprint().Hex().substr(0, 16), path,
                    key.public_key().Fingerprint().Hex().substr(0, 16));
      }
    }
    STAFFEL_CHECK(TurnIntoReplica(part, {}));
    STAFFEL_TRY(taken, TakeKeys(directory, restored.backup));
    restored.keys_taken = taken;
    // Without a twin every start is in doubt, with the old database and with the new one.
    if (FileExists(directory.twin())) {
      if (::unlink(directory.twin().c_str()) != 0) {
        return SystemFailure("cannot be removed", directory.twin());
      }
      STAFFEL_CHECK(SyncDirectoryOf(directory.twin()));
    }
    STAFFEL_TRY(kept, KeepAside(directory, now));
    restored.kept = kept;
    return PutInPlace(part, directory.database());
  };
  const Status done = work();
  if (!done) {
    Discard(part);
    return Fail(done.error().code, "nothing was restored: {}", done.error().message);
  }
  return restored;
}

Status ForgetKept(const std::string& database) {
  const std::filesystem::path stands(database);
  const std::string prefix = stands.filename().string() + std::string(kKeptMark);
  std::error_code error;
  std::vector<std::string> kept;
  for (std::filesystem::directory_iterator at(stands.parent_path(), error), end;
       !error && at != end; at.increment(error)) {
    if (at->path().filename().string().starts_with(prefix)) kept.push_back(at->path().string());
  }
  if (error) {
    return Fail(ErrorCode::kStorage, "{} cannot be read: {}", stands.parent_path().string(),
                error.message());
  }
  for (const std::string& file : kept) {
    if (::unlink(file.c_str()) != 0 && errno != ENOENT) {
      return SystemFailure("cannot be deleted", file);
    }
  }
  if (kept.empty()) return {};
  return SyncDirectoryOf(database);
}

}  // namespace staffel::api
