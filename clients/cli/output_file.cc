// SPDX-License-Identifier: EUPL-1.2
#include "clients/cli/output_file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace staffel::cli {

namespace {

constexpr int kLinksMax = 40;  // as the kernel

// What the links of this name lead to, whether it is there or not; empty where they have no end.
std::string BehindLinks(const std::string& name) {
  std::filesystem::path path(name);
  for (int i = 0; i < kLinksMax; ++i) {
    std::error_code error;
    const std::filesystem::path target = std::filesystem::read_symlink(path, error);
    if (error) return path.string();
    path = path.parent_path() / target;
  }
  return {};
}

}  // namespace

OutputFile::~OutputFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!part_.empty()) ::unlink(part_.c_str());
}

bool OutputFile::Refuse(int error) {
  (void)context_.Refuse(Error{
      ErrorCode::kStorage, fmt::format("{} cannot be written: {}", name_, std::strerror(error))});
  return false;
}

bool OutputFile::Open(const std::string& name, mode_t mode) {
  name_ = name;
  if (name == "-") return true;
  struct stat there {};
  const bool is_there = ::stat(name.c_str(), &there) == 0;
  if (!is_there && errno != ENOENT) return Refuse(errno);
  if (is_there && S_ISDIR(there.st_mode)) return Refuse(EISDIR);
  if (is_there && S_ISSOCK(there.st_mode)) {
    (void)context_.Refuse(
        Error{ErrorCode::kInvalid, fmt::format("{} is a socket: name a file", name)});
    return false;
  }
  if (is_there && !S_ISREG(there.st_mode)) {
    fd_ = ::open(name.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY);
    return fd_ >= 0 || Refuse(errno);
  }
  target_ = BehindLinks(name);
  if (target_.empty()) return Refuse(ELOOP);
  // Made anew: what an interrupted run has left goes, and no link that lies there is followed.
  const std::string part = target_ + ".part";
  ::unlink(part.c_str());
  fd_ = ::open(part.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd_ < 0) return Refuse(errno);
  part_ = part;
  return true;
}

bool OutputFile::Write(std::string_view bytes) {
  if (name_ == "-") {
    Context::Print(bytes);
    return Context::FlushOutput() == 0;
  }
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd_, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return Refuse(errno);
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
  return true;
}

bool OutputFile::Finish() {
  if (name_ == "-") return Context::FlushOutput() == 0;
  const bool on_disk = part_.empty() || ::fsync(fd_) == 0;
  const int fd = fd_;
  if (!on_disk) return Refuse(errno);
  fd_ = -1;
  if (::close(fd) != 0) return Refuse(errno);
  if (part_.empty()) return true;
  if (std::rename(part_.c_str(), target_.c_str()) != 0) return Refuse(errno);
  part_.clear();
  return true;
}

}  // namespace staffel::cli
