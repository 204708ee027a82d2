// SPDX-License-Identifier: EUPL-1.2
#include "sync/http_transport.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <system_error>
#include <thread>

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <strings.h>
#include <sys/socket.h>

#include "sync/channel.h"
#include "sync/http_message.h"

namespace staffel::sync {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t kReadBytes = std::size_t{16} << 10;
constexpr std::size_t kAnswerFieldsMax = 200;
constexpr int kInterimAnswersMax = 8;
constexpr std::size_t kWriteSliceBytes = std::size_t{64} << 10;
constexpr milliseconds kIdleMax{25'000};  // less than the server's patience
// Name lookups cannot be interrupted; no more than this many are left hanging.
constexpr int kLookupsMax = 8;
constexpr std::size_t kAddressesMax = 8;

struct Endpoint {
  std::string host;  // without brackets
  std::string port;
  [[nodiscard]] std::string Text() const {
    return host.find(':') != std::string::npos ? "[" + host + "]:" + port : host + ":" + port;
  }
};

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  int family = AF_UNSPEC;
};

// "host:port" and "[::1]:port".
std::optional<Endpoint> ParseEndpoint(std::string_view text, std::string_view default_port) {
  Endpoint endpoint;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    endpoint.host = text.substr(1, close - 1);
    text.remove_prefix(close + 1);
    in6_addr ignored{};
    if (inet_pton(AF_INET6, endpoint.host.c_str(), &ignored) != 1) return std::nullopt;
  } else {
    const std::size_t colon = std::min(text.find(':'), text.size());
    endpoint.host = text.substr(0, colon);
    text.remove_prefix(colon);
    const auto in_name = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             c == '.' || c == '-' || c == '_';
    };
    if (!std::all_of(endpoint.host.begin(), endpoint.host.end(), in_name)) return std::nullopt;
  }
  endpoint.port = default_port;
  if (!text.empty()) {
    if (text.front() != ':') return std::nullopt;
    endpoint.port = text.substr(1);
  }
  int port = 0;
  for (const char digit : endpoint.port) {
    if (digit < '0' || digit > '9' || port > 65535) return std::nullopt;
    port = port * 10 + (digit - '0');
  }
  if (endpoint.host.empty() || endpoint.host.size() > 253 || port < 1 || port > 65535) {
    return std::nullopt;
  }
  return endpoint;
}

// RFC 4648 section 4, as Basic authentication wants it.
std::string ToBase64(ByteView bytes) {
  std::string text = ToBase64Url(bytes);
  std::replace(text.begin(), text.end(), '-', '+');
  std::replace(text.begin(), text.end(), '_', '/');
  text.append((4 - text.size() % 4) % 4, '=');
  return text;
}

std::string Seconds(milliseconds duration) {
  if (duration.count() % 1000 == 0) return fmt::format("{} s", duration.count() / 1000);
  return fmt::format("{} ms", duration.count());
}

// The lookup runs on a thread of its own, which may outlive the asker: getaddrinfo cannot be
// interrupted, and with a broken resolver it takes half a minute.
struct Lookup {
  Endpoint endpoint;
  std::mutex mutex;
  Wake done;
  // Guarded by mutex:
  std::vector<Address> addresses;
  std::string error;
};
std::atomic<int> lookups_under_way = 0;

void RunLookup(Lookup& lookup) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int result =
      getaddrinfo(lookup.endpoint.host.c_str(), lookup.endpoint.port.c_str(), &hints, &found);
  const std::lock_guard lock(lookup.mutex);
  if (result != 0) {
    lookup.error = gai_strerror(result);
  } else {
    for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
      if (lookup.addresses.size() == kAddressesMax) break;
      Address address;
      std::memcpy(&address.storage, one->ai_addr, one->ai_addrlen);
      address.size = one->ai_addrlen;
      address.family = one->ai_family;
      lookup.addresses.push_back(address);
    }
    freeaddrinfo(found);
  }
  lookup.done.Signal();
}

// A head as it arrived: its first line and fields.
struct RawHead {
  std::string first_line;
  HttpFields fields;
};

}  // namespace

std::optional<std::string_view> HttpAnswer::Header(std::string_view name) const {
  return FindField(headers, name);
}

class HttpTransport::Impl {
 public:
  explicit Impl(Options options) : options_(std::move(options)) {}

  [[nodiscard]] Status Prepare();
  [[nodiscard]] Result<HttpAnswer> Request(std::string_view method, std::string_view path,
                                           const HttpHeaders& headers, ByteView body,
                                           const std::stop_token& stop);
  [[nodiscard]] Stats stats() const;

 private:
  struct Connection {
    explicit Connection(Descriptor socket) : channel(std::move(socket)) {}
    Channel channel;
    Bytes buffer;  // read and not yet used
    IoState last_read = IoState::kDone;
    Deadline idle_since;
  };
  // One request's patience: its deadlines, and what ends it early.
  struct Patience {
    Deadline total;
    int wake_fd;
  };
  // An exchange that failed, and whether a fresh connection might do better.
  struct Attempt {
    Result<HttpAnswer> answer;
    bool stale = false;
  };

  [[nodiscard]] Result<std::unique_ptr<Connection>> Connect(const Patience& patience);
  [[nodiscard]] Result<std::vector<Address>> Find(const Endpoint& endpoint, Deadline deadline,
                                                  const Patience& patience) const;
  [[nodiscard]] Result<Descriptor> ConnectSocket(const Endpoint& endpoint, Deadline deadline,
                                                 const Patience& patience) const;
  [[nodiscard]] Status AskProxy(Connection& connection, Deadline deadline,
                                const Patience& patience) const;
  [[nodiscard]] Status ShakeHands(Connection& connection, Deadline deadline,
                                  const Patience& patience);
  [[nodiscard]] Attempt Exchange(Connection& connection, std::string_view head, ByteView body,
                                 bool is_head_request, const Patience& patience, bool& keep);
  [[nodiscard]] Result<RawHead> ReadHead(Connection& connection, const Patience& patience,
                                         bool& silent);
  [[nodiscard]] Result<Bytes> ReadBody(Connection& connection, BodyFraming framing,
                                       const Patience& patience);
  [[nodiscard]] Status ReadMore(Connection& connection, const Patience& patience);
  [[nodiscard]] IoState ReadSome(Connection& connection, Deadline deadline, int wake_fd) const;
  [[nodiscard]] std::unique_ptr<Connection> TakeIdle();
  void KeepIdle(std::unique_ptr<Connection> connection);

  [[nodiscard]] bool IsPinned(const crypto::PublicKey& key) const;
  [[nodiscard]] std::string PinsText() const;
  [[nodiscard]] std::string PeerText() const;
  [[nodiscard]] Error IoError(IoState state, const Channel& channel, milliseconds waited,
                              std::string_view doing) const;
  [[nodiscard]] Error ConnectTimeout(std::string_view doing) const;
  [[nodiscard]] Error Stopped() const;

  Options options_;
  Endpoint peer_;
  std::string path_prefix_;
  std::optional<Endpoint> proxy_;
  std::string proxy_authorization_;  // the field's value, or empty
  std::shared_ptr<TlsContext> tls_;

  std::mutex mutex_;
  std::vector<std::unique_ptr<Connection>> idle_;  // guarded by mutex_
  std::atomic<std::size_t> connections_ = 0;
  std::atomic<std::size_t> resumed_ = 0;
  std::atomic<std::size_t> requests_ = 0;
  std::atomic<std::uint64_t> bytes_sent_ = 0;
  std::atomic<std::uint64_t> bytes_received_ = 0;
};

// ---- What is said when it fails ----------------------------------------------------------------

std::string HttpTransport::Impl::PeerText() const {
  return proxy_ ? fmt::format("{} through the proxy {}", peer_.Text(), proxy_->Text())
                : peer_.Text();
}

std::string HttpTransport::Impl::PinsText() const {
  std::string text;
  for (const auto& key : options_.pinned_keys) {
    text += (text.empty() ? "" : " or ") + key.Fingerprint().Hex();
  }
  for (const auto& fingerprint : options_.pinned_fingerprints) {
    text += (text.empty() ? "" : " or ") + fingerprint.Hex();
  }
  return text;
}

Error HttpTransport::Impl::Stopped() const {
  return {ErrorCode::kUnavailable, fmt::format("the request to {} was stopped", PeerText())};
}

Error HttpTransport::Impl::ConnectTimeout(std::string_view doing) const {
  return {ErrorCode::kUnavailable,
          fmt::format("no connection to {} within {}, while {}: check the network and the firewall",
                      PeerText(), Seconds(options_.connect_timeout), doing)};
}

Error HttpTransport::Impl::IoError(IoState state, const Channel& channel, milliseconds waited,
                                   std::string_view doing) const {
  switch (state) {
    case IoState::kWoken:
      return Stopped();
    case IoState::kTimeout:
      return {ErrorCode::kUnavailable,
              fmt::format("{} was silent for {}, while {}", PeerText(), Seconds(waited), doing)};
    case IoState::kRefused:
      return {ErrorCode::kDenied,
              fmt::format("{} refuses our TLS certificate ({}): it must know this node's key",
                          PeerText(), channel.error())};
    case IoState::kClosed:
      return {ErrorCode::kUnavailable,
              fmt::format("{} closed the connection, while {}", PeerText(), doing)};
    default:
      return {ErrorCode::kUnavailable, fmt::format("the connection to {} failed, while {}: {}",
                                                   PeerText(), doing, channel.error())};
  }
}

// ---- Set-up ------------------------------------------------------------------------------------

Status HttpTransport::Impl::Prepare() {
  constexpr std::string_view kScheme = "https://";
  std::string_view url = options_.url;
  if (!url.starts_with(kScheme)) {
    return Fail(ErrorCode::kInvalid,
                "the peer's URL '{}' does not begin with https://: peers speak TLS only", url);
  }
  url.remove_prefix(kScheme.size());
  const std::size_t slash = std::min(url.find('/'), url.size());
  auto peer = ParseEndpoint(url.substr(0, slash), "443");
  const std::string_view prefix = url.substr(slash);
  if (!peer || prefix.find_first_of("?# \t\r\n") != std::string_view::npos ||
      !IsFieldValue(prefix)) {
    return Fail(ErrorCode::kInvalid,
                "the peer's URL '{}' is not https://host:port with an optional path", options_.url);
  }
  peer_ = *std::move(peer);
  path_prefix_ = prefix;
  while (path_prefix_.ends_with('/')) path_prefix_.pop_back();

  if (options_.pinned_keys.empty() && options_.pinned_fingerprints.empty()) {
    return Fail(ErrorCode::kInvalid,
                "no key is pinned for {}: without one, anybody could answer in its place",
                peer_.Text());
  }
  if (!options_.proxy.empty()) {
    constexpr std::string_view kProxyScheme = "http://";
    std::string_view proxy = options_.proxy;
    // The text may hold a password: it is never repeated.
    const auto invalid = [] {
      return Fail(ErrorCode::kInvalid,
                  "the proxy is not given as http://[user:password@]host:port (characters such as "
                  "@ and : in user or password percent-encoded)");
    };
    if (!proxy.starts_with(kProxyScheme)) return invalid();
    proxy.remove_prefix(kProxyScheme.size());
    if (proxy.ends_with('/')) proxy.remove_suffix(1);
    if (const std::size_t at = proxy.rfind('@'); at != std::string_view::npos) {
      const std::string_view login = proxy.substr(0, at);
      const std::size_t colon = login.find(':');
      if (colon == std::string_view::npos) return invalid();
      const auto user = PercentDecode(login.substr(0, colon), /*plus=*/false);
      const auto password = PercentDecode(login.substr(colon + 1), /*plus=*/false);
      if (!user || !password || user->empty() || user->find(':') != std::string::npos) {
        return invalid();
      }
      proxy_authorization_ = "Basic " + ToBase64(*user + ":" + *password);
      proxy.remove_prefix(at + 1);
    }
    proxy_ = ParseEndpoint(proxy, "3128");
    if (!proxy_) return invalid();
    options_.proxy.clear();
  }
  const TlsIdentity identity = options_.identity.value_or(TlsIdentity{});
  STAFFEL_TRY(tls, TlsContext::ForClient(identity.certificate_pem, identity.key_pem));
  tls_ = std::move(tls);
  options_.identity.reset();  // the context holds the key now
  return {};
}

bool HttpTransport::Impl::IsPinned(const crypto::PublicKey& key) const {
  const auto& keys = options_.pinned_keys;
  if (std::find(keys.begin(), keys.end(), key) != keys.end()) return true;
  const auto& fingerprints = options_.pinned_fingerprints;
  return std::find(fingerprints.begin(), fingerprints.end(), key.Fingerprint()) !=
         fingerprints.end();
}

// ---- Connecting --------------------------------------------------------------------------------

Result<std::vector<Address>> HttpTransport::Impl::Find(const Endpoint& endpoint, Deadline deadline,
                                                       const Patience& patience) const {
  auto lookup = std::make_shared<Lookup>();
  lookup->endpoint = endpoint;
  in6_addr ignored{};
  if (inet_pton(AF_INET, endpoint.host.c_str(), &ignored) == 1 ||
      inet_pton(AF_INET6, endpoint.host.c_str(), &ignored) == 1) {
    RunLookup(*lookup);  // a number: nobody is asked
    return std::move(lookup->addresses);
  }
  if (++lookups_under_way > kLookupsMax) {
    --lookups_under_way;
    return Fail(ErrorCode::kUnavailable,
                "the name {} cannot be looked up: {} earlier lookups still hang; check the "
                "machine's DNS",
                endpoint.host, kLookupsMax);
  }
  std::thread([lookup] {
    RunLookup(*lookup);
    --lookups_under_way;
  }).detach();
  const IoState waited = WaitFor(lookup->done.fd(), POLLIN, deadline, patience.wake_fd);
  if (waited == IoState::kWoken) return tl::unexpected<Error>(Stopped());
  if (waited != IoState::kDone) {
    return tl::unexpected<Error>(
        ConnectTimeout(fmt::format("asking for the address of {}", endpoint.host)));
  }
  const std::lock_guard lock(lookup->mutex);
  if (lookup->addresses.empty()) {
    return Fail(ErrorCode::kUnavailable,
                "the name {} has no address ({}): check its spelling and the machine's DNS",
                endpoint.host, lookup->error.empty() ? "none found" : lookup->error);
  }
  return std::move(lookup->addresses);
}

Result<Descriptor> HttpTransport::Impl::ConnectSocket(const Endpoint& endpoint, Deadline deadline,
                                                      const Patience& patience) const {
  STAFFEL_TRY(addresses, Find(endpoint, deadline, patience));
  int last_error = 0;
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    const Address& address = addresses[i];
    Descriptor socket(
        ::socket(address.family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP));
    if (!socket) {
      last_error = errno;
      continue;
    }
    const int on = 1;
    setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    int error = 0;
    if (connect(socket.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.size) !=
        0) {
      error = errno;
    }
    if (error == EINPROGRESS) {
      // What is left is shared among the addresses left, so that one dead address (an IPv6 that
      // goes nowhere) does not use up all of it.
      const auto now = steady_clock::now();
      const auto share = (deadline - now) / static_cast<std::int64_t>(addresses.size() - i);
      const IoState waited = WaitFor(socket.get(), POLLOUT, now + share, patience.wake_fd);
      if (waited == IoState::kWoken) return tl::unexpected<Error>(Stopped());
      socklen_t size = sizeof error;
      if (waited != IoState::kDone) {
        error = ETIMEDOUT;
      } else {
        getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size);
      }
    }
    if (error == 0) return socket;
    last_error = error;
  }
  if (steady_clock::now() >= deadline) {
    return tl::unexpected<Error>(ConnectTimeout(fmt::format("connecting to {}", endpoint.Text())));
  }
  return Fail(ErrorCode::kUnavailable, "no connection to {}{}: {}", proxy_ ? "the proxy " : "",
              endpoint.Text(),
              last_error == ECONNREFUSED
                  ? "nobody listens there (connection refused); is it running, is the port right?"
                  : std::error_code(last_error, std::generic_category()).message());
}

IoState HttpTransport::Impl::ReadSome(Connection& connection, Deadline deadline,
                                      int wake_fd) const {
  const std::size_t before = connection.buffer.size();
  connection.buffer.resize(before + kReadBytes);
  std::size_t got = 0;
  const IoState state =
      connection.channel.Read(&connection.buffer[before], kReadBytes, got, deadline, wake_fd);
  connection.buffer.resize(before + got);
  connection.last_read = state;
  return state;
}

Status HttpTransport::Impl::AskProxy(Connection& connection, Deadline deadline,
                                     const Patience& patience) const {
  std::string request = fmt::format("CONNECT {0} HTTP/1.1\r\nHost: {0}\r\n", peer_.Text());
  if (!proxy_authorization_.empty()) {
    request += "Proxy-Authorization: " + proxy_authorization_ + "\r\n";
  }
  request += "\r\n";
  const auto failed = [&](IoState state) -> Status {
    if (state == IoState::kTimeout) {
      return tl::unexpected<Error>(ConnectTimeout("waiting for the proxy's consent"));
    }
    return tl::unexpected<Error>(IoError(state, connection.channel, options_.connect_timeout,
                                         "waiting for the proxy's consent"));
  };
  IoState state = connection.channel.Write(request, deadline, patience.wake_fd);
  if (state != IoState::kDone) return failed(state);
  HeadReader reader({.fields_max = kAnswerFieldsMax});
  while (true) {
    std::size_t used = 0;
    const ReadState read = reader.Feed(connection.buffer, used);
    connection.buffer.erase(0, used);
    if (read == ReadState::kDone) break;
    if (read == ReadState::kRefused) {
      return Fail(ErrorCode::kUnavailable, "the proxy {} does not answer in HTTP: {}",
                  proxy_->Text(), reader.refusal().detail);
    }
    state = ReadSome(connection, deadline, patience.wake_fd);
    if (state != IoState::kDone) return failed(state);
  }
  const auto head = ParseAnswerHead(reader.first_line(), std::move(reader.fields()));
  if (!head) {
    return Fail(ErrorCode::kUnavailable, "the proxy {} does not answer in HTTP: {}", proxy_->Text(),
                head.error().detail);
  }
  if (head->status == 407) {
    std::string offers;
    bool basic = false;
    for (const auto& [name, value] : head->fields) {
      if (name != "proxy-authenticate") continue;
      const std::string scheme(value.substr(0, value.find(' ')));
      basic = basic || ::strcasecmp(scheme.c_str(), "basic") == 0;
      offers += (offers.empty() ? "" : ", ") + scheme.substr(0, 40);
    }
    if (!offers.empty() && !basic) {
      return Fail(ErrorCode::kDenied,
                  "the proxy {} offers only {}, and Staffel knows Basic only (407)", proxy_->Text(),
                  offers);
    }
    return Fail(ErrorCode::kDenied, "the proxy {} {} (407)", proxy_->Text(),
                proxy_authorization_.empty()
                    ? "asks for a user and a password: add them to its URL in the configuration"
                    : "does not accept the user and password given for it");
  }
  if (head->status < 200 || head->status > 299) {
    return Fail(head->status == 403 ? ErrorCode::kDenied : ErrorCode::kUnavailable,
                "the proxy {} does not connect us to {}: it answers {}", proxy_->Text(),
                peer_.Text(), head->status);
  }
  if (!connection.buffer.empty()) {
    // In TLS the client speaks first: whatever came before is not the peer's.
    return Fail(ErrorCode::kUnavailable, "the proxy {} sends bytes of its own into the connection",
                proxy_->Text());
  }
  return {};
}

Status HttpTransport::Impl::ShakeHands(Connection& connection, Deadline deadline,
                                       const Patience& patience) {
  Channel& channel = connection.channel;
  const IoState state = channel.ConnectTls(
      tls_, [this](const crypto::PublicKey& key) { return IsPinned(key); }, deadline,
      patience.wake_fd);
  if (state == IoState::kDone) {
    if (channel.resumed()) ++resumed_;
    return {};
  }
  if (state == IoState::kTimeout) {
    return tl::unexpected<Error>(ConnectTimeout("shaking hands in TLS"));
  }
  if (channel.wrong_key()) {
    return Fail(ErrorCode::kDenied,
                "{} is not the peer it should be: its certificate holds {}, expected was the key "
                "{}. Check the address; if the peer has a new key, the charter must name it first",
                PeerText(),
                channel.peer_key() ? "the key " + channel.peer_key()->Fingerprint().Hex()
                                   : std::string("no P-256 key"),
                PinsText());
  }
  if (state == IoState::kFailed) {
    return Fail(ErrorCode::kUnavailable,
                "no TLS 1.3 connection to {}: {}; is this the port of a Staffel node?", PeerText(),
                channel.error());
  }
  return tl::unexpected<Error>(
      IoError(state, channel, options_.connect_timeout, "shaking hands in TLS"));
}

Result<std::unique_ptr<HttpTransport::Impl::Connection>> HttpTransport::Impl::Connect(
    const Patience& patience) {
  const Deadline deadline =
      std::min(patience.total, steady_clock::now() + options_.connect_timeout);
  STAFFEL_TRY(socket, ConnectSocket(proxy_ ? *proxy_ : peer_, deadline, patience));
  auto connection = std::make_unique<Connection>(std::move(socket));
  ++connections_;
  if (proxy_) STAFFEL_CHECK(AskProxy(*connection, deadline, patience));
  STAFFEL_CHECK(ShakeHands(*connection, deadline, patience));
  return connection;
}

std::unique_ptr<HttpTransport::Impl::Connection> HttpTransport::Impl::TakeIdle() {
  while (true) {
    std::unique_ptr<Connection> connection;
    {
      const std::lock_guard lock(mutex_);
      if (idle_.empty()) return nullptr;
      connection = std::move(idle_.back());
      idle_.pop_back();
    }
    if (steady_clock::now() - connection->idle_since < kIdleMax && connection->channel.IsQuiet()) {
      return connection;
    }
  }
}

void HttpTransport::Impl::KeepIdle(std::unique_ptr<Connection> connection) {
  connection->idle_since = steady_clock::now();
  const std::lock_guard lock(mutex_);
  if (idle_.size() < kIdleConnectionsMax) idle_.push_back(std::move(connection));
}

// ---- One request -------------------------------------------------------------------------------

Status HttpTransport::Impl::ReadMore(Connection& connection, const Patience& patience) {
  const Deadline silence = steady_clock::now() + options_.read_timeout;
  const std::size_t before = connection.buffer.size();
  const IoState state = ReadSome(connection, std::min(silence, patience.total), patience.wake_fd);
  bytes_received_ += connection.buffer.size() - before;
  if (state == IoState::kDone) return {};
  if (state == IoState::kTimeout && patience.total < silence) {
    return Fail(ErrorCode::kUnavailable, "the answer of {} was not complete within {}", PeerText(),
                Seconds(options_.total_timeout));
  }
  return tl::unexpected<Error>(
      IoError(state, connection.channel, options_.read_timeout, "we waited for its answer"));
}

// `silent` says whether the connection ended before the first byte of an answer.
Result<RawHead> HttpTransport::Impl::ReadHead(Connection& connection, const Patience& patience,
                                              bool& silent) {
  HeadReader reader({.fields_max = kAnswerFieldsMax});
  silent = connection.buffer.empty();
  while (true) {
    std::size_t used = 0;
    const ReadState read = reader.Feed(connection.buffer, used);
    connection.buffer.erase(0, used);
    if (read == ReadState::kDone) break;
    if (read == ReadState::kRefused) {
      return Fail(ErrorCode::kUnavailable, "{} does not answer in HTTP: {}", PeerText(),
                  reader.refusal().detail);
    }
    auto more = ReadMore(connection, patience);
    if (!more) {
      silent = silent && (connection.last_read == IoState::kClosed ||
                          connection.last_read == IoState::kFailed);
      return Forward(more);
    }
    silent = false;
  }
  return RawHead{reader.first_line(), std::move(reader.fields())};
}

Result<Bytes> HttpTransport::Impl::ReadBody(Connection& connection, BodyFraming framing,
                                            const Patience& patience) {
  BodyReader reader(framing, options_.answer_body_bytes_max);
  Bytes body;
  while (true) {
    std::size_t used = 0;
    const ReadState read = reader.Feed(connection.buffer, used, body);
    connection.buffer.erase(0, used);
    if (read == ReadState::kDone) return body;
    if (read == ReadState::kRefused && reader.refusal().status == 413) {
      return Fail(ErrorCode::kTooLarge, "the answer of {} is longer than the {} bytes allowed",
                  PeerText(), options_.answer_body_bytes_max);
    }
    if (read == ReadState::kRefused) {
      return Fail(ErrorCode::kUnavailable, "{} does not answer in HTTP: {}", PeerText(),
                  reader.refusal().detail);
    }
    STAFFEL_CHECK(ReadMore(connection, patience));
  }
}

HttpTransport::Impl::Attempt HttpTransport::Impl::Exchange(Connection& connection,
                                                           std::string_view head, ByteView body,
                                                           bool is_head_request,
                                                           const Patience& patience, bool& keep) {
  keep = false;
  // Small requests leave in one packet.
  std::string first(head);
  const ByteView joined = body.substr(0, kWriteSliceBytes);
  first.append(joined);
  body.remove_prefix(joined.size());
  IoState written = IoState::kDone;
  std::string_view next = first;
  while (!next.empty() && written == IoState::kDone) {
    const Deadline deadline = std::min(patience.total, steady_clock::now() + options_.read_timeout);
    written = connection.channel.Write(next, deadline, patience.wake_fd);
    bytes_sent_ += next.size();
    next = body.substr(0, kWriteSliceBytes);
    body.remove_prefix(next.size());
  }
  // A server that refuses a request while it is still being sent answers, and then closes: the
  // answer is worth more than the broken pipe.
  if (written != IoState::kDone && written != IoState::kClosed) {
    return {tl::unexpected<Error>(IoError(written, connection.channel, options_.read_timeout,
                                          "we sent it the request")),
            /*stale=*/false};
  }
  HttpAnswer answer;
  AnswerHead parsed;
  for (int interim = 0;; ++interim) {
    bool silent = false;
    auto raw = ReadHead(connection, patience, silent);
    if (!raw) return {Forward(raw), silent};
    auto read = ParseAnswerHead(raw->first_line, std::move(raw->fields));
    if (!read || interim > kInterimAnswersMax || read->status == 101) {
      return {Fail(ErrorCode::kUnavailable, "{} does not answer in HTTP: {}", PeerText(),
                   read ? "too many interim answers" : read.error().detail),
              /*stale=*/false};
    }
    parsed = *std::move(read);
    if (parsed.status >= 200) break;
  }
  answer.status = parsed.status;
  if (connection.channel.peer_key()) answer.peer_key = *connection.channel.peer_key();
  if (!is_head_request && parsed.status != 204 && parsed.status != 304) {
    if (!parsed.framing) {
      return {Fail(ErrorCode::kUnavailable,
                   "the answer of {} has no length: it could be cut short unseen", PeerText()),
              /*stale=*/false};
    }
    auto content = ReadBody(connection, *parsed.framing, patience);
    if (!content) return {Forward(content), /*stale=*/false};
    answer.body = *std::move(content);
  }
  answer.headers = std::move(parsed.fields);
  keep = parsed.keep_alive && connection.buffer.empty() && written == IoState::kDone;
  return {std::move(answer), /*stale=*/false};
}

Result<HttpAnswer> HttpTransport::Impl::Request(std::string_view method, std::string_view path,
                                                const HttpHeaders& headers, ByteView body,
                                                const std::stop_token& stop) {
  if (!IsToken(method) || !path.starts_with('/') || !IsFieldValue(path) ||
      path.find(' ') != std::string_view::npos) {
    return Fail(ErrorCode::kInvalid, "'{} {}' is not a method and a path", method, path);
  }
  std::string head = fmt::format("{} {}{} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n", method,
                                 path_prefix_, path, peer_.Text(), body.size());
  for (const auto& [name, value] : headers) {
    if (!IsToken(name) || !IsFieldValue(value)) {
      return Fail(ErrorCode::kInvalid, "the header field '{}' cannot be sent", name);
    }
    head += name + ": " + value + "\r\n";
  }
  head += "\r\n";

  Wake wake;
  const std::stop_callback on_stop(stop, [&wake] { wake.Signal(); });
  const Patience patience{steady_clock::now() + options_.total_timeout, wake.fd()};
  ++requests_;
  auto connection = TakeIdle();
  bool fresh = false;
  while (true) {
    if (!connection) {
      STAFFEL_TRY(connected, Connect(patience));
      connection = std::move(connected);
      fresh = true;
    }
    bool keep = false;
    Attempt attempt = Exchange(*connection, head, body, method == "HEAD", patience, keep);
    if (attempt.answer || fresh || !attempt.stale || stop.stop_requested()) {
      if (keep) KeepIdle(std::move(connection));
      return std::move(attempt.answer);
    }
    connection.reset();  // it had been closed while it was kept
  }
}

HttpTransport::Stats HttpTransport::Impl::stats() const {
  return {connections_, resumed_, requests_, bytes_sent_, bytes_received_};
}

// ---- The face ----------------------------------------------------------------------------------

HttpTransport::HttpTransport(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpTransport::~HttpTransport() = default;

Result<std::unique_ptr<HttpTransport>> HttpTransport::Create(Options options) {
  auto impl = std::make_unique<Impl>(std::move(options));
  STAFFEL_CHECK(impl->Prepare());
  return std::unique_ptr<HttpTransport>(new HttpTransport(std::move(impl)));
}

Result<HttpAnswer> HttpTransport::Request(std::string_view method, std::string_view path,
                                          const HttpHeaders& headers, ByteView body,
                                          std::stop_token stop) {
  return impl_->Request(method, path, headers, body, stop);
}

HttpTransport::Stats HttpTransport::stats() const { return impl_->stats(); }

}  // namespace staffel::sync
