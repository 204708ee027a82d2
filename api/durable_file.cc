// SPDX-License-Identifier: EUPL-1.2
#include "api/durable_file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace staffel::api {

tl::unexpected<Error> SystemFailure(std::string_view what, const std::string& path) {
  return Fail(ErrorCode::kStorage, "{} {}: {}", path, what, std::strerror(errno));
}

Status SyncDirectoryOf(const std::string& path) {
  const auto slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "."
                                : slash == 0               ? "/"
                                                           : path.substr(0, slash);
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return SystemFailure("cannot be opened", directory);
  const int result = ::fsync(fd);
  ::close(fd);
  if (result != 0) return SystemFailure("cannot be written", directory);
  return {};
}

Status PutInPlace(const std::string& part, const std::string& path) {
  const int fd = ::open(part.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return SystemFailure("cannot be opened", part);
  const bool synced = ::fchmod(fd, 0600) == 0 && ::fsync(fd) == 0;
  const int error = errno;
  ::close(fd);
  if (!synced) {
    errno = error;
    return SystemFailure("cannot be written", part);
  }
  if (std::rename(part.c_str(), path.c_str()) != 0) return SystemFailure("cannot be written", path);
  return SyncDirectoryOf(path);
}

Status WriteDurably(const std::string& path, std::string_view content) {
  const std::string part = path + ".part";
  ::unlink(part.c_str());
  const int fd = ::open(part.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return SystemFailure("cannot be made", part);
  bool written = true;
  for (std::string_view left = content; written && !left.empty();) {
    const ssize_t count = ::write(fd, left.data(), left.size());
    written = count > 0 || (count < 0 && errno == EINTR);
    if (count > 0) left.remove_prefix(static_cast<std::size_t>(count));
  }
  written = written && ::fsync(fd) == 0;
  const int error = errno;
  ::close(fd);
  if (!written || std::rename(part.c_str(), path.c_str()) != 0) {
    if (!written) errno = error;
    auto failed = SystemFailure("cannot be written", path);
    ::unlink(part.c_str());
    return failed;
  }
  return SyncDirectoryOf(path);
}

bool FileExists(const std::string& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0;
}

}  // namespace staffel::api
