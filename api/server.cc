// SPDX-License-Identifier: EUPL-1.2
// One request's way: the acceptor takes a connection and gives it a thread; the thread shakes TLS
// hands, reads a head and a body within their limits (sync/http_message.h), and lets cpp-httplib
// call the handler and write the answer. cpp-httplib never sees a byte of the network: it is handed
// a request line of ours, because its own reading has no limits worth the name, knows no DAV
// methods, and decodes bodies in ways that can be made to explode.
#include "api/server.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <ctime>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <variant>

#include <arpa/inet.h>
#include <fcntl.h>
#include <httplib.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/router.h"
#include "sync/channel.h"
#include "sync/http_message.h"

namespace staffel::api {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using sync::Channel;
using sync::Deadline;
using sync::Descriptor;
using sync::IoState;

constexpr std::size_t kReadBytes = std::size_t{16} << 10;
// An answer's head and a small body leave in one packet.
constexpr std::size_t kCoalescedBytesMax = std::size_t{16} << 10;
constexpr std::size_t kAnswerSliceBytes = std::size_t{64} << 10;
// After a refusal the rest of what the peer sends is read past for a moment: closing on unread
// bytes would reset the connection and take the refusal with it.
constexpr milliseconds kLingerMax{1'000};
constexpr std::size_t kLingerBytesMax = std::size_t{1} << 20;
// At a stop, answers under way have this long to leave; then their connections are cut.
constexpr milliseconds kStopGrace{1'000};

constexpr std::uint64_t kListenEvent = 0;
constexpr std::uint64_t kStopEvent = 1;
constexpr std::uint64_t kReapEvent = 2;
constexpr std::uint64_t kFirstConnection = 3;

std::string SystemText(int error) {
  return std::error_code(error, std::generic_category()).message();
}

std::string HttpDate() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::array<char, 64> text{};
  // Day and month names are English here: no program of ours sets a locale.
  const std::size_t size =
      std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return {text.data(), size};
}

bool IsServersOwnField(std::string_view name) {
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) {
    return static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
  });
  return lower == "content-length" || lower == "connection" || lower == "transfer-encoding" ||
         lower == "keep-alive" || lower == "date";
}

struct Peer {
  std::string address;  // for people
  std::string group;    // what the cap per peer counts: an IPv4 address, an IPv6 /64, or nothing
};

Peer PeerOf(const sockaddr_storage& storage) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (storage.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage);
    inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
    return {text.data(), text.data()};
  }
  if (storage.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
      inet_ntop(AF_INET, v6.sin6_addr.s6_addr + 12, text.data(), text.size());
      return {text.data(), text.data()};
    }
    inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
    return {text.data(), std::string(reinterpret_cast<const char*>(v6.sin6_addr.s6_addr), 8)};
  }
  return {"unix", ""};
}

// One request while it is answered: what cpp-httplib's callbacks find by way of their thread.
struct Exchange {
  const Request* request = nullptr;
  const Handler* handler = nullptr;
  const std::function<void(const std::string&)>* report = nullptr;
  std::optional<Response> ready;  // a refusal, instead of calling the handler
};
thread_local Exchange* current_exchange = nullptr;

// Called inside a catch of everything: what was thrown goes to the log, and the
// asker gets a 500 that tells nothing.
Response Failed(const Exchange& exchange) {
  if (exchange.report != nullptr && *exchange.report) {
    std::string what = "something that is no exception";
    try {
      throw;
    } catch (const std::exception& thrown) {
      what = thrown.what();
    } catch (...) {
    }
    (*exchange.report)(fmt::format("answering {} {} failed with an exception: {}",
                                   exchange.request->method, exchange.request->path, what));
  }
  return Problem(500, "The node failed; its log says more.", "internal");
}

// What cpp-httplib reads a request from and writes an answer to.
class AnswerStream final : public httplib::Stream {
 public:
  AnswerStream(Channel& channel, const Limits& limits, std::string_view head)
      : channel_(channel), limits_(limits), head_(head) {}

  bool is_readable() const override { return true; }
  bool is_writable() const override { return state_ == IoState::kDone; }
  ssize_t read(char* data, std::size_t size) override {
    const std::size_t taken = std::min(size, head_.size());
    std::memcpy(data, head_.data(), taken);
    head_.remove_prefix(taken);
    return static_cast<ssize_t>(taken);
  }
  ssize_t write(const char* data, std::size_t size) override {
    if (buffer_.size() + size > kCoalescedBytesMax) Flush();
    if (size > kCoalescedBytesMax) {
      Send({data, size});
    } else {
      buffer_.append(data, size);
    }
    return state_ == IoState::kDone ? static_cast<ssize_t>(size) : -1;
  }
  void get_remote_ip_and_port(std::string& /*ip*/, int& /*port*/) const override {}
  void get_local_ip_and_port(std::string& /*ip*/, int& /*port*/) const override {}
  socket_t socket() const override { return channel_.fd(); }

  void Flush() {
    Send(buffer_);
    buffer_.clear();
  }
  [[nodiscard]] IoState state() const { return state_; }

 private:
  void Send(std::string_view bytes) {
    // The clock starts with the first byte: a handler may have waited for minutes before.
    if (sent_ == 0) begin_ = steady_clock::now();
    while (!bytes.empty() && state_ == IoState::kDone) {
      const std::string_view slice = bytes.substr(0, kAnswerSliceBytes);
      const Deadline deadline = begin_ + limits_.answer_deadline +
                                std::chrono::seconds(sent_ / limits_.bytes_per_second_min);
      // A stop lets answers leave: it cuts the socket once their grace is over.
      state_ = channel_.Write(slice, deadline, /*wake_fd=*/-1);
      sent_ += slice.size();
      bytes.remove_prefix(slice.size());
    }
  }

  Channel& channel_;
  const Limits& limits_;
  std::string_view head_;
  std::string buffer_;
  std::size_t sent_ = 0;
  Deadline begin_;
  IoState state_ = IoState::kDone;
};

// A share of the memory that all request bodies have together.
class BodyBudget {
 public:
  BodyBudget(std::atomic<std::size_t>& used, std::size_t bytes_max)
      : used_(used), bytes_max_(bytes_max) {}
  BodyBudget(const BodyBudget&) = delete;
  BodyBudget& operator=(const BodyBudget&) = delete;
  ~BodyBudget() { used_ -= held_; }
  [[nodiscard]] bool Hold(std::size_t bytes) {
    if (bytes <= held_) return true;
    const std::size_t more = bytes - held_;
    if (used_.fetch_add(more) + more > bytes_max_) {
      used_ -= more;
      return false;
    }
    held_ = bytes;
    return true;
  }

 private:
  std::atomic<std::size_t>& used_;
  std::size_t bytes_max_;
  std::size_t held_ = 0;
};

// A listening socket and what has to be undone with it.
struct Listening {
  Descriptor socket;
  std::uint16_t port = 0;
  std::string address;
  std::string unix_path;
  struct stat unix_file {};
};

Status RemoveStaleSocket(const std::string& path, const sockaddr_un& address) {
  struct stat file {};
  if (lstat(path.c_str(), &file) != 0) return {};
  if (!S_ISSOCK(file.st_mode)) {
    return Fail(ErrorCode::kExists, "{} is there and is not a socket: name another path", path);
  }
  const Descriptor probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int connected =
      connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  // A full backlog (EAGAIN) is a living listener too.
  if (connected == 0 || errno == EAGAIN) {
    return Fail(ErrorCode::kExists, "another process already listens on {}: stop it first", path);
  }
  if (errno != ECONNREFUSED) {
    return Fail(ErrorCode::kUnavailable, "the socket {} cannot be examined: {}", path,
                SystemText(errno));
  }
  unlink(path.c_str());
  return {};
}

Result<Listening> ListenOnUnixSocket(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return Fail(ErrorCode::kInvalid, "the socket path {} is longer than the {} bytes it may have",
                path, sizeof address.sun_path - 1);
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  STAFFEL_CHECK(RemoveStaleSocket(path, address));
  Listening listening;
  listening.socket = Descriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int fd = listening.socket.get();
  // Linux gives the file the mode that the socket has before bind: there is no moment in which
  // others could connect.
  if (fd < 0 || fchmod(fd, 0600) != 0 ||
      bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      chmod(path.c_str(), 0600) != 0 || listen(fd, kListenBacklog) != 0 ||
      lstat(path.c_str(), &listening.unix_file) != 0) {
    return Fail(ErrorCode::kUnavailable, "cannot listen on the socket {}: {}", path,
                SystemText(errno));
  }
  listening.address = listening.unix_path = path;
  return listening;
}

Result<Listening> ListenOnPort(const std::string& host, std::uint16_t port) {
  sockaddr_storage storage{};
  auto& v4 = reinterpret_cast<sockaddr_in&>(storage);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(storage);
  const bool is_v6 = inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) == 1;
  if (is_v6) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
  } else if (inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
  } else {
    return Fail(ErrorCode::kInvalid,
                "'{}' is not an address to listen on: give an IPv4 or IPv6 address, such as "
                "127.0.0.1 or ::",
                host);
  }
  Listening listening;
  listening.socket = Descriptor(
      ::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP));
  const int fd = listening.socket.get();
  const int on = 1;
  const int v6_only = host == "::" ? 0 : 1;
  socklen_t size = is_v6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      (is_v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof v6_only) != 0) ||
      bind(fd, reinterpret_cast<const sockaddr*>(&storage), size) != 0 ||
      listen(fd, kListenBacklog) != 0 ||
      getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) {
    return Fail(ErrorCode::kUnavailable, "cannot listen on {} port {}: {}", host, port,
                SystemText(errno));
  }
  listening.port = ntohs(is_v6 ? v6.sin6_port : v4.sin_port);
  listening.address = is_v6 ? fmt::format("[{}]:{}", host, listening.port)
                            : fmt::format("{}:{}", host, listening.port);
  return listening;
}

sync::PeerCertificate PeerCertificateOf(ClientCertificates certificates) {
  switch (certificates) {
    case ClientCertificates::kNone:
      return sync::PeerCertificate::kNone;
    case ClientCertificates::kOptional:
      return sync::PeerCertificate::kOptional;
    case ClientCertificates::kRequired:
      return sync::PeerCertificate::kRequired;
  }
  return sync::PeerCertificate::kRequired;
}

}  // namespace

std::optional<std::string_view> Request::Header(std::string_view name) const {
  return sync::FindField(headers, name);
}

std::optional<std::string_view> Request::Query(std::string_view name) const {
  return sync::FindField(query, name);
}

// ---- The server --------------------------------------------------------------------------------

class Server::Impl final : public httplib::Server {
 public:
  Impl(ListenerOptions options, api::Handler handler, Listening listening,
       std::shared_ptr<sync::TlsContext> tls)
      : options_(std::move(options)),
        handler_(std::move(handler)),
        listening_(std::move(listening)),
        tls_(std::move(tls)) {
    keep_alive_max_count_ = options_.limits.requests_per_connection_max;
    keep_alive_timeout_sec_ =
        std::chrono::duration_cast<std::chrono::seconds>(options_.limits.keep_alive_idle).count();
    set_pre_routing_handler([](const httplib::Request&, httplib::Response& response) {
      Answer(*current_exchange, response);
      return HandlerResponse::Handled;
    });
    // What cpp-httplib adds of its own and should not.
    set_post_routing_handler([](const httplib::Request& request, httplib::Response& response) {
      if (response.status == 204 || response.status == 304) {
        response.headers.erase("Content-Length");
      }
      if (request.method == "HEAD") response.headers.erase("Accept-Ranges");
    });
  }
  ~Impl() override { Stop(); }

  [[nodiscard]] Status Run();
  void Stop();
  [[nodiscard]] Status ReloadCertificate(std::string_view certificate_pem,
                                         std::string_view key_pem);
  [[nodiscard]] const Listening& listening() const { return listening_; }
  [[nodiscard]] Stats stats() const;

 private:
  struct Connection {
    std::uint64_t id = 0;
    int fd = -1;
    Peer peer;
    std::stop_source closing;
    std::thread thread;
  };
  // What reading came to: all is there, the connection is over, or an answer that refuses.
  enum class Over { kOver };
  template <typename T>
  using Read = std::variant<T, Over, Response>;

  static void Answer(Exchange& exchange, httplib::Response& response);

  void AcceptorThread();
  void AcceptAll();
  void Admit(Descriptor socket, Peer peer);
  void Reap();
  void Watch(const Connection& connection, int operation);

  void ConnectionThread(Connection& connection, Descriptor socket);
  void Serve(Connection& connection, Channel& channel);
  [[nodiscard]] bool ServeOne(Connection& connection, Channel& channel, Bytes& buffer, bool last);
  [[nodiscard]] Read<sync::RequestHead> ReadHead(Channel& channel, Bytes& buffer);
  [[nodiscard]] Read<Bytes> ReadBody(Channel& channel, Bytes& buffer, const sync::RequestHead& head,
                                     BodyBudget& budget);
  [[nodiscard]] IoState ReadMore(Channel& channel, Bytes& buffer, Deadline deadline);
  [[nodiscard]] bool WriteAnswer(Channel& channel, Exchange& exchange, bool head_only, bool close);
  void Refuse(Channel& channel, Response response);
  void Linger(Channel& channel);
  [[nodiscard]] bool DecodesEncoding(const sync::HttpFields& fields) const;

  const ListenerOptions options_;
  const api::Handler handler_;
  Listening listening_;
  std::atomic<std::shared_ptr<sync::TlsContext>> tls_;  // empty: plain
  Descriptor epoll_;
  Descriptor spare_;  // given up for a moment to turn a connection away when descriptors run out
  sync::Wake stop_;
  Descriptor reap_;  // an eventfd: a connection's thread is done
  std::thread acceptor_;

  mutable std::mutex mutex_;
  std::condition_variable connection_ended_;
  // Guarded by mutex_:
  std::unordered_map<std::uint64_t, std::unique_ptr<Connection>> connections_;
  std::vector<std::unique_ptr<Connection>> ended_;
  std::map<std::string, std::size_t> connections_per_peer_;
  std::uint64_t next_id_ = kFirstConnection;
  bool stopped_ = false;

  std::atomic<bool> stopping_ = false;
  std::atomic<std::size_t> bodies_bytes_ = 0;
  std::atomic<std::uint64_t> accepted_ = 0;
  std::atomic<std::uint64_t> turned_away_ = 0;
  std::atomic<std::uint64_t> requests_ = 0;
  std::atomic<std::uint64_t> refused_ = 0;
};

Status Server::Impl::Run() {
  epoll_ = Descriptor(epoll_create1(EPOLL_CLOEXEC));
  reap_ = Descriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  spare_ = Descriptor(open("/dev/null", O_RDONLY | O_CLOEXEC));
  bool ready = epoll_ && reap_ && spare_ && stop_.fd() >= 0;
  for (const auto& [fd, id] :
       {std::pair{listening_.socket.get(), kListenEvent}, std::pair{stop_.fd(), kStopEvent},
        std::pair{reap_.get(), kReapEvent}}) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = id;
    ready = ready && epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
  }
  if (!ready) {
    return Fail(ErrorCode::kUnavailable, "cannot wait for connections on {}: {}",
                listening_.address, SystemText(errno));
  }
  acceptor_ = std::thread([this] { AcceptorThread(); });
  return {};
}

void Server::Impl::AcceptorThread() {
  while (!stopping_) {
    std::array<epoll_event, 64> events{};
    const int ready = epoll_wait(epoll_.get(), events.data(), events.size(), -1);
    for (int i = 0; i < ready; ++i) {
      const std::uint64_t id = events[static_cast<std::size_t>(i)].data.u64;
      if (id == kStopEvent) return;
      if (id == kReapEvent) {
        Reap();
      } else if (id == kListenEvent) {
        AcceptAll();
      } else {
        // A peer hung up while its handler runs. The handler's callbacks must not run under the
        // lock: they may take locks of their own.
        std::optional<std::stop_source> closing;
        {
          const std::lock_guard lock(mutex_);
          const auto found = connections_.find(id);
          if (found != connections_.end()) closing = found->second->closing;
        }
        if (closing) closing->request_stop();
      }
    }
  }
}

void Server::Impl::AcceptAll() {
  // A bound, so that a flood of newcomers does not keep hang-ups from being noticed.
  for (int i = 0; i < kListenBacklog; ++i) {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    const int fd = accept4(listening_.socket.get(), reinterpret_cast<sockaddr*>(&storage), &size,
                           SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
      if (size == 0) storage.ss_family = AF_UNIX;
      Admit(Descriptor(fd), PeerOf(storage));
      continue;
    }
    if (errno == EMFILE || errno == ENFILE) {
      // Without this the connection would stay in the queue and wake us for ever.
      spare_ = Descriptor();
      const Descriptor rejected(accept(listening_.socket.get(), nullptr, nullptr));
      ++turned_away_;
      spare_ = Descriptor(open("/dev/null", O_RDONLY | O_CLOEXEC));
      return;
    }
    if (errno == EINTR || errno == ECONNABORTED) continue;
    if (errno != EAGAIN) {
      // Out of memory or the like: later is better than never, and than a busy loop.
      (void)sync::WaitFor(-1, 0, steady_clock::now() + milliseconds(20), stop_.fd());
    }
    return;
  }
}

void Server::Impl::Admit(Descriptor socket, Peer peer) {
  ++accepted_;
  const Limits& limits = options_.limits;
  const std::lock_guard lock(mutex_);
  const bool counted = !peer.group.empty();
  if (stopping_ || connections_.size() >= limits.connections_max ||
      (counted && connections_per_peer_[peer.group] >= limits.connections_per_peer_max)) {
    ++turned_away_;
    return;  // closed by going out of scope
  }
  if (counted) {
    const int on = 1;
    setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  auto connection = std::make_unique<Connection>();
  connection->id = next_id_++;
  connection->fd = socket.get();
  connection->peer = std::move(peer);
  Connection& reference = *connection;
  try {
    // The thread's first act that matters takes mutex_, so it finds itself in the map.
    connection->thread = std::thread([this, &reference, moved = std::move(socket)]() mutable {
      ConnectionThread(reference, std::move(moved));
    });
  } catch (const std::system_error&) {
    ++turned_away_;
    return;
  }
  if (counted) ++connections_per_peer_[reference.peer.group];
  connections_.emplace(reference.id, std::move(connection));
}

void Server::Impl::Reap() {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t drained = ::read(reap_.get(), &count, sizeof count);
  std::vector<std::unique_ptr<Connection>> ended;
  {
    const std::lock_guard lock(mutex_);
    ended.swap(ended_);
  }
  for (const auto& connection : ended) connection->thread.join();
}

void Server::Impl::ConnectionThread(Connection& connection, Descriptor socket) {
  Channel channel(std::move(socket));
  Serve(connection, channel);
  {
    const std::lock_guard lock(mutex_);
    if (!connection.peer.group.empty()) {
      const auto count = connections_per_peer_.find(connection.peer.group);
      if (--count->second == 0) connections_per_peer_.erase(count);
    }
    const auto self = connections_.find(connection.id);
    ended_.push_back(std::move(self->second));
    connections_.erase(self);
    connection_ended_.notify_all();
  }
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(reap_.get(), &one, sizeof one);
  // Only now is the descriptor closed: Stop never shuts down one that may be another's by then.
}

void Server::Impl::Serve(Connection& connection, Channel& channel) {
  const Limits& limits = options_.limits;
  if (const auto tls = tls_.load()) {
    if (channel.AcceptTls(tls, steady_clock::now() + limits.handshake_deadline, stop_.fd()) !=
        IoState::kDone) {
      return;
    }
  }
  Bytes buffer;
  for (std::size_t i = 1; i <= limits.requests_per_connection_max; ++i) {
    if (buffer.empty() &&
        ReadMore(channel, buffer, steady_clock::now() + limits.keep_alive_idle) != IoState::kDone) {
      break;
    }
    if (!ServeOne(connection, channel, buffer, i == limits.requests_per_connection_max)) return;
  }
  channel.Finish();
}

// False where the connection is over.
bool Server::Impl::ServeOne(Connection& connection, Channel& channel, Bytes& buffer, bool last) {
  auto head = ReadHead(channel, buffer);
  if (auto* refusal = std::get_if<Response>(&head)) {
    Refuse(channel, std::move(*refusal));
    return false;
  }
  if (std::holds_alternative<Over>(head)) return false;
  auto& parts = std::get<sync::RequestHead>(head);

  Request request;
  request.method = parts.method;
  request.path = std::move(parts.path);
  request.target = std::move(parts.target);
  request.query = std::move(parts.query);
  request.peer_key = channel.peer_key();
  request.peer_address = connection.peer.address;
  request.closing = connection.closing.get_token();
  if (!DecodesEncoding(parts.fields)) {
    Refuse(channel, Problem(415, "Requests in this Content-Encoding are not read here."));
    return false;
  }
  request.headers = parts.fields;

  Exchange exchange;
  exchange.request = &request;
  exchange.handler = &handler_;
  exchange.report = &options_.report;
  if (options_.gate) {
    try {
      exchange.ready = options_.gate(request);
    } catch (...) {
      exchange.ready = Failed(exchange);
    }
    if (exchange.ready && (parts.framing.chunked || parts.framing.length > 0)) {
      Refuse(channel, *std::move(exchange.ready));
      return false;
    }
  }
  BodyBudget budget(bodies_bytes_, options_.limits.request_bodies_bytes_max);
  auto body = ReadBody(channel, buffer, parts, budget);
  if (auto* refusal = std::get_if<Response>(&body)) {
    Refuse(channel, std::move(*refusal));
    return false;
  }
  if (std::holds_alternative<Over>(body) || stopping_) return false;
  request.body = std::move(std::get<Bytes>(body));

  ++requests_;
  Watch(connection, EPOLL_CTL_ADD);
  const bool close = last || !parts.keep_alive;
  const bool kept = WriteAnswer(channel, exchange, request.method == "HEAD", close);
  Watch(connection, EPOLL_CTL_DEL);
  if (!kept) return false;
  if (!stopping_ && !connection.closing.stop_requested()) return true;
  channel.Finish();
  return false;
}

// While the handler runs, nobody reads from the socket: the acceptor watches for its end.
void Server::Impl::Watch(const Connection& connection, int operation) {
  epoll_event event{};
  event.events = EPOLLRDHUP | EPOLLONESHOT;
  event.data.u64 = connection.id;
  epoll_ctl(epoll_.get(), operation, connection.fd, &event);
}

IoState Server::Impl::ReadMore(Channel& channel, Bytes& buffer, Deadline deadline) {
  const std::size_t before = buffer.size();
  buffer.resize(before + kReadBytes);
  std::size_t got = 0;
  const IoState state = channel.Read(&buffer[before], kReadBytes, got, deadline, stop_.fd());
  buffer.resize(before + got);
  return state;
}

Server::Impl::Read<sync::RequestHead> Server::Impl::ReadHead(Channel& channel, Bytes& buffer) {
  const Limits& limits = options_.limits;
  const Deadline deadline = steady_clock::now() + limits.head_deadline;
  sync::HeadReader reader(
      {limits.request_line_bytes_max, limits.request_head_bytes_max, limits.request_fields_max});
  while (true) {
    std::size_t used = 0;
    const sync::ReadState state = reader.Feed(buffer, used);
    buffer.erase(0, used);
    if (state == sync::ReadState::kDone) break;
    if (state == sync::ReadState::kRefused) {
      return Problem(reader.refusal().status, reader.refusal().detail);
    }
    const IoState more = ReadMore(channel, buffer, deadline);
    if (more == IoState::kTimeout) return Problem(408, "The head of the request took too long.");
    if (more != IoState::kDone) return Over::kOver;
  }
  auto head = sync::ParseRequestHead(reader.first_line(), std::move(reader.fields()));
  if (!head) return Problem(head.error().status, head.error().detail);
  return *std::move(head);
}

Server::Impl::Read<Bytes> Server::Impl::ReadBody(Channel& channel, Bytes& buffer,
                                                 const sync::RequestHead& head,
                                                 BodyBudget& budget) {
  const Limits& limits = options_.limits;
  const Deadline begin = steady_clock::now() + limits.body_deadline;
  sync::BodyReader reader(head.framing, limits.request_body_bytes_max);
  Bytes body;
  bool continued = !head.expects_continue;
  std::size_t moved = 0;
  while (true) {
    std::size_t used = 0;
    const sync::ReadState state = reader.Feed(buffer, used, body);
    buffer.erase(0, used);
    moved += used;
    if (!budget.Hold(body.capacity())) {
      Response busy = Problem(503, "Too many large requests at once: try again.", "unavailable");
      busy.headers.emplace_back("Retry-After", "1");
      return busy;
    }
    if (state == sync::ReadState::kDone) return body;
    if (state == sync::ReadState::kRefused) {
      return Problem(reader.refusal().status, reader.refusal().detail,
                     reader.refusal().status == 413 ? "too-large" : "invalid");
    }
    const Deadline deadline = begin + std::chrono::seconds(moved / limits.bytes_per_second_min);
    if (!continued) {
      continued = true;
      if (channel.Write("HTTP/1.1 100 Continue\r\n\r\n", deadline, stop_.fd()) != IoState::kDone) {
        return Over::kOver;
      }
    }
    const IoState more = ReadMore(channel, buffer, deadline);
    if (more == IoState::kTimeout) return Problem(408, "The body of the request took too long.");
    if (more != IoState::kDone) return Over::kOver;
  }
}

bool Server::Impl::DecodesEncoding(const sync::HttpFields& fields) const {
  return std::all_of(fields.begin(), fields.end(), [&](const auto& field) {
    if (field.first != "content-encoding" || field.second == "identity") return true;
    const auto& known = options_.content_encodings;
    return std::find(known.begin(), known.end(), field.second) != known.end();
  });
}

// Runs inside cpp-httplib's routing: nothing may escape, or its text would go out in a header.
void Server::Impl::Answer(Exchange& exchange, httplib::Response& response) {
  Response answer;
  if (exchange.ready) {
    answer = *std::move(exchange.ready);
  } else {
    try {
      answer = (*exchange.handler)(*exchange.request);
    } catch (...) {
      answer = Failed(exchange);
    }
  }
  response.status = answer.status;
  for (auto& [name, value] : answer.headers) {
    // A value with a line break in it would be a second field.
    if (IsServersOwnField(name) || !sync::IsToken(name) || !sync::IsFieldValue(value)) continue;
    response.headers.emplace(std::move(name), std::move(value));
  }
  response.headers.emplace("Date", HttpDate());
  response.body = std::move(answer.body);
}

// False where the connection is over.
bool Server::Impl::WriteAnswer(Channel& channel, Exchange& exchange, bool head_only, bool close) {
  AnswerStream stream(channel, options_.limits,
                      head_only ? "HEAD / HTTP/1.1\r\n\r\n" : "POST / HTTP/1.1\r\n\r\n");
  current_exchange = &exchange;
  bool closed = false;
  const bool written = process_request(stream, close, closed, nullptr);
  current_exchange = nullptr;
  stream.Flush();
  const bool kept = written && !closed && !close && stream.state() == IoState::kDone;
  if (!kept && stream.state() == IoState::kDone) Linger(channel);
  return kept;
}

void Server::Impl::Refuse(Channel& channel, Response response) {
  ++refused_;
  Exchange exchange;
  exchange.ready = std::move(response);
  (void)WriteAnswer(channel, exchange, /*head_only=*/false, /*close=*/true);
}

void Server::Impl::Linger(Channel& channel) {
  channel.Finish();
  const Deadline deadline = steady_clock::now() + kLingerMax;
  std::array<char, kReadBytes> dropped{};
  std::size_t total = 0;
  while (total < kLingerBytesMax) {
    std::size_t got = 0;
    if (channel.Read(dropped.data(), dropped.size(), got, deadline, stop_.fd()) != IoState::kDone) {
      return;
    }
    total += got;
  }
}

Status Server::Impl::ReloadCertificate(std::string_view certificate_pem, std::string_view key_pem) {
  if (!options_.tls) {
    return Fail(ErrorCode::kInvalid, "the listener on {} has no TLS: there is nothing to reload",
                listening_.address);
  }
  STAFFEL_TRY(context,
              sync::TlsContext::ForServer(certificate_pem, key_pem,
                                          PeerCertificateOf(options_.tls->client_certificates)));
  tls_.store(std::move(context));
  return {};
}

Server::Stats Server::Impl::stats() const {
  Stats stats;
  {
    const std::lock_guard lock(mutex_);
    stats.open = connections_.size();
  }
  stats.accepted = accepted_;
  stats.turned_away = turned_away_;
  stats.requests = requests_;
  stats.refused = refused_;
  return stats;
}

void Server::Impl::Stop() {
  stopping_ = true;
  stop_.Signal();
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    stopped_ = true;
  }
  if (acceptor_.joinable()) acceptor_.join();
  listening_.socket = Descriptor();
  if (!listening_.unix_path.empty()) {
    struct stat file {};
    // Only our own: another process may have taken the path meanwhile.
    if (lstat(listening_.unix_path.c_str(), &file) == 0 &&
        file.st_ino == listening_.unix_file.st_ino && file.st_dev == listening_.unix_file.st_dev) {
      unlink(listening_.unix_path.c_str());
    }
  }
  std::vector<std::stop_source> closing;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, connection] : connections_) closing.push_back(connection->closing);
  }
  for (auto& source : closing) source.request_stop();
  {
    std::unique_lock lock(mutex_);
    const auto all_ended = [&] { return connections_.empty(); };
    if (!connection_ended_.wait_for(lock, kStopGrace, all_ended)) {
      for (const auto& [id, connection] : connections_) shutdown(connection->fd, SHUT_RDWR);
      connection_ended_.wait(lock, all_ended);
    }
  }
  Reap();
}

// ---- The face ----------------------------------------------------------------------------------

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;

Result<std::unique_ptr<Server>> Server::Start(ListenerOptions options, Handler handler) {
  std::shared_ptr<sync::TlsContext> tls;
  if (options.tls) {
    STAFFEL_TRY(context,
                sync::TlsContext::ForServer(options.tls->certificate_pem, options.tls->key_pem,
                                            PeerCertificateOf(options.tls->client_certificates)));
    tls = std::move(context);
    // The key lives in the context now; a copy would only lie about.
    options.tls->key_pem.clear();
  }
  STAFFEL_TRY(listening, options.unix_path.empty() ? ListenOnPort(options.address, options.port)
                                                   : ListenOnUnixSocket(options.unix_path));
  auto impl = std::make_unique<Impl>(std::move(options), std::move(handler), std::move(listening),
                                     std::move(tls));
  STAFFEL_CHECK(impl->Run());
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

std::uint16_t Server::port() const { return impl_->listening().port; }
std::string Server::address() const { return impl_->listening().address; }
Server::Stats Server::stats() const { return impl_->stats(); }
Status Server::ReloadCertificate(std::string_view certificate_pem, std::string_view key_pem) {
  return impl_->ReloadCertificate(certificate_pem, key_pem);
}
void Server::Stop() { impl_->Stop(); }

}  // namespace staffel::api
