// SPDX-License-Identifier: EUPL-1.2
#include "clients/cpp/http.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>

#include <fcntl.h>
#include <httplib.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace staffel::client {

namespace {

// cpp-httplib writes without MSG_NOSIGNAL, and a node that has heard enough closes: the signal
// would end a program that knows nothing of us. A library must not touch the process's signals, so
// it is held back in this thread, and taken away if it was ours.
class WithoutSigpipe {
 public:
  WithoutSigpipe() {
    sigset_t pending;
    sigemptyset(&pending);
    sigpending(&pending);
    pending_before_ = sigismember(&pending, SIGPIPE) == 1;
    sigemptyset(&sigpipe_);
    sigaddset(&sigpipe_, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &sigpipe_, &before_);
  }
  ~WithoutSigpipe() {
    const timespec at_once{};
    while (!pending_before_ && sigtimedwait(&sigpipe_, nullptr, &at_once) < 0 && errno == EINTR) {
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  WithoutSigpipe(const WithoutSigpipe&) = delete;
  WithoutSigpipe& operator=(const WithoutSigpipe&) = delete;

 private:
  sigset_t sigpipe_{};
  sigset_t before_{};
  bool pending_before_ = false;
};

}  // namespace

// cpp-httplib 0.11 knows no Unix sockets: it is handed a connected one.
class HttpConnection::Impl final : public httplib::ClientImpl {
 public:
  explicit Impl(std::string path) : ClientImpl("localhost", 80), path_(std::move(path)) {
    set_keep_alive(true);
    set_tcp_nodelay(false);
    set_decompress(false);
    set_url_encode(false);
  }
  [[nodiscard]] int connect_error() const { return connect_error_; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  bool create_and_connect_socket(Socket& socket, httplib::Error& error) override {
    connect_error_ = 0;
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || !Connect(fd)) {
      connect_error_ = errno;
      if (fd >= 0) ::close(fd);
      error = httplib::Error::Connection;
      return false;
    }
    socket.sock = fd;
    return true;
  }

  bool Connect(int fd) const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::string path = path_;
    int directory = -1;
    if (path.size() >= sizeof address.sun_path) {
      // Through the directory's descriptor the path is short, wherever the directory stands.
      const auto slash = path.rfind('/');
      if (slash == std::string::npos) {
        errno = ENAMETOOLONG;
        return false;
      }
      directory = ::open(path.substr(0, slash).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
      if (directory < 0) return false;
      path = "/proc/self/fd/" + std::to_string(directory) + path.substr(slash);
      if (path.size() >= sizeof address.sun_path) {
        ::close(directory);
        errno = ENAMETOOLONG;
        return false;
      }
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    const int result = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    const int saved = errno;
    if (directory >= 0) ::close(directory);
    errno = saved;
    return result == 0;
  }

  std::string path_;
  int connect_error_ = 0;
};

HttpConnection::HttpConnection(std::string socket_path)
    : impl_(std::make_unique<Impl>(std::move(socket_path))) {}
HttpConnection::~HttpConnection() = default;

Result<HttpReply> HttpConnection::Post(std::string_view path, ByteView body,
                                       std::chrono::seconds timeout, std::string_view language) {
  if (body.size() > kRequestBytesMax) {
    return Fail(ErrorCode::kTooLarge, "the request has {} bytes; a node takes at most {}",
                body.size(), kRequestBytesMax);
  }
  const WithoutSigpipe without_sigpipe;
  impl_->set_read_timeout(timeout.count(), 0);
  impl_->set_write_timeout(timeout.count(), 0);
  // The edge to a library that throws: nothing of it passes.
  try {
    const std::string target(path);
    httplib::Headers headers;
    if (!language.empty()) headers.emplace("Accept-Language", std::string(language));
    auto result =
        impl_->Post(target.c_str(), headers, body.data(), body.size(), "application/x-protobuf");
    if (result) {
      return HttpReply{result->status, result->get_header_value("Content-Type"),
                       std::move(result->body)};
    }
    if (result.error() == httplib::Error::Connection) {
      const int error = impl_->connect_error();
      if (error == EACCES || error == EPERM) {
        return Fail(ErrorCode::kDenied,
                    "{} may not be opened: only the user that staffeld runs as (and root) may ask "
                    "the node",
                    impl_->path());
      }
      if (error == ENOENT || error == ECONNREFUSED || error == ENOTDIR) {
        return Fail(ErrorCode::kUnavailable,
                    "no staffeld answers at {}: start it (staffeld --config FILE), or name "
                    "another node with --node",
                    impl_->path());
      }
      return Fail(ErrorCode::kUnavailable, "{} cannot be reached: {}", impl_->path(),
                  std::strerror(error));
    }
    return Fail(ErrorCode::kUnavailable,
                "staffeld at {} gave no answer ({}): it was stopped or is overloaded; whether the "
                "request was carried out is not known, so look before you repeat it",
                impl_->path(), httplib::to_string(result.error()));
  } catch (const std::exception& exception) {
    return Fail(ErrorCode::kInternal, "the request to {} failed: {}", impl_->path(),
                exception.what());
  }
}

}  // namespace staffel::client
