// SPDX-License-Identifier: EUPL-1.2
#include "api/node_directory.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/config.h"
#include "api/durable_file.h"

namespace staffel::api {

namespace {

constexpr std::size_t kKeyFileBytesMax = 4096;
constexpr mode_t kOthers = 0077;

}  // namespace

Result<NodeDirectory> NodeDirectory::Open(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return SystemFailure("cannot be made", path);
  }
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return SystemFailure("cannot be read", path);
  if (!S_ISDIR(status.st_mode)) {
    return Fail(ErrorCode::kStorage, "{} is not a directory", path);
  }
  if ((status.st_mode & kOthers) != 0) {
    return Fail(ErrorCode::kDenied,
                "{} may be read or written by others (mode {:04o}); it holds the node's keys: "
                "chmod 700 {}",
                path, status.st_mode & 07777, path);
  }
  const std::string lock_path = path + "/lock";
  const int fd = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return SystemFailure("cannot be opened", lock_path);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    std::string holder(32, '\0');
    const ssize_t got = ::pread(fd, holder.data(), holder.size(), 0);
    holder.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    holder.erase(holder.find_last_not_of(" \n") + 1);
    ::close(fd);
    if (error != EWOULDBLOCK) {
      errno = error;
      return SystemFailure("cannot be locked", lock_path);
    }
    return Fail(ErrorCode::kExists,
                "another staffeld{} works in {}: only one may; stop it, or give this one a data "
                "directory of its own",
                holder.empty() ? "" : fmt::format(" (process {})", holder), path);
  }
  const std::string pid = std::to_string(::getpid()) + "\n";
  // The lock holds without the number, which a full disk does not take.
  if (::ftruncate(fd, 0) != 0 ||
      (::pwrite(fd, pid.data(), pid.size(), 0) < 0 && errno != ENOSPC && errno != EDQUOT)) {
    auto failed = SystemFailure("cannot be written", lock_path);
    ::close(fd);
    return failed;
  }
  return NodeDirectory(path, fd);
}

NodeDirectory::NodeDirectory(NodeDirectory&& other) noexcept
    : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)) {}

NodeDirectory::~NodeDirectory() {
  if (lock_ >= 0) ::close(lock_);
}

std::string NodeDirectory::File(std::string_view name) const {
  return path_ + "/" + std::string(name);
}

Result<crypto::KeyPair> NodeDirectory::LoadOrMakeKey(std::string_view name) const {
  const std::string path = File(name);
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno != ENOENT) return SystemFailure("cannot be read", path);
    STAFFEL_TRY(key, crypto::KeyPair::Generate());
    STAFFEL_CHECK(WriteDurably(path, key.ToPem()));
    return key;
  }
  if (!S_ISREG(status.st_mode) || (status.st_mode & kOthers) != 0) {
    return Fail(ErrorCode::kDenied,
                "the key {} may be read by others, or is no regular file (mode {:04o}): chmod 600 "
                "{}, and consider whether it is still a secret",
                path, status.st_mode & 07777, path);
  }
  STAFFEL_TRY(pem, ReadFile(path, kKeyFileBytesMax));
  auto key = crypto::KeyPair::FromPem(pem);
  if (!key) {
    return Fail(ErrorCode::kCorrupt, "the key {} cannot be read: {}", path, key.error().message);
  }
  return key;
}

namespace {

constexpr const char* kNextReplicaKey = "replica-next.key";
constexpr const char* kNextTlsKey = "tls-next.key";
constexpr const char* kFormerReplicaKey = "replica-former.key";

}  // namespace

Result<std::optional<NodeKeys>> NodeDirectory::NextKeys(bool make) const {
  if (!make && !(FileExists(File(kNextReplicaKey)) && FileExists(File(kNextTlsKey)))) {
    return std::optional<NodeKeys>();
  }
  STAFFEL_TRY(replica, LoadOrMakeKey(kNextReplicaKey));
  STAFFEL_TRY(tls, LoadOrMakeKey(kNextTlsKey));
  return std::optional<NodeKeys>(NodeKeys{std::move(replica), std::move(tls)});
}

Status NodeDirectory::SwitchKeys() const {
  const auto rename_key = [&](const std::string& from, const std::string& to) -> Status {
    if (std::rename(from.c_str(), to.c_str()) != 0) return SystemFailure("cannot be renamed", from);
    return SyncDirectoryOf(to);
  };
  if (FileExists(File(kNextReplicaKey))) {
    // The key in use gets a second name first: there is one of that name at every moment.
    ::unlink(File(kFormerReplicaKey).c_str());
    if (::link(File("replica.key").c_str(), File(kFormerReplicaKey).c_str()) != 0) {
      return SystemFailure("cannot be kept beside the new one", File("replica.key"));
    }
    STAFFEL_CHECK(rename_key(File(kNextReplicaKey), File("replica.key")));
  }
  if (FileExists(File(kNextTlsKey))) STAFFEL_CHECK(rename_key(File(kNextTlsKey), File("tls.key")));
  return {};
}

Result<std::optional<crypto::KeyPair>> NodeDirectory::FormerKey() const {
  if (!FileExists(File(kFormerReplicaKey))) return std::optional<crypto::KeyPair>();
  STAFFEL_TRY(key, LoadOrMakeKey(kFormerReplicaKey));
  return std::optional<crypto::KeyPair>(std::move(key));
}

Result<NodeKeys> NodeDirectory::LoadKeys() const {
  // A switch that a crash has cut short: the replica's new key is in use, the machine's not yet.
  if (FileExists(File(kNextTlsKey)) && !FileExists(File(kNextReplicaKey))) {
    STAFFEL_CHECK(SwitchKeys());
  }
  if (FileExists(database())) {
    for (const char* name : {"replica.key", "tls.key"}) {
      if (FileExists(File(name))) continue;
      return Fail(ErrorCode::kCorrupt,
                  "{} is missing, but there is a database: a new key would make this node a "
                  "stranger to its conference. Bring the key back from a backup",
                  File(name));
    }
  }
  STAFFEL_TRY(replica, LoadOrMakeKey("replica.key"));
  STAFFEL_TRY(tls, LoadOrMakeKey("tls.key"));
  return NodeKeys{std::move(replica), std::move(tls)};
}

}  // namespace staffel::api
