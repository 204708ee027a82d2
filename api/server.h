// SPDX-License-Identifier: EUPL-1.2
// The HTTP server that everything which asks a node anything comes through: replicas, people,
// the local administration. It owns sockets, TLS 1.3, threads and limits, and hands complete,
// bounded requests to one handler; who may ask, and what the answer is, is the handler's business
// (router.h, and what stands behind it).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/crypto/key.h"

namespace staffel::api {

// Field names are lower-case in requests; several fields of one name stay several.
using Headers = std::vector<std::pair<std::string, std::string>>;

struct Request {
  std::string method;  // as sent: also PROPFIND, REPORT and whatever else is a token
  std::string path;    // percent-decoded UTF-8, without the query, without "." and ".." segments
  std::string target;  // the path and query as sent, begins with "/" (or is "*" for OPTIONS)
  std::vector<std::pair<std::string, std::string>> query;  // decoded, in the order sent
  Headers headers;
  Bytes body;
  // The key of the TLS client certificate, possession proven by the handshake. It says which key
  // speaks, not whether it may.
  std::optional<crypto::PublicKey> peer_key;
  std::string peer_address;  // "192.0.2.7", "2001:db8::1", or "unix"
  // Asked to stop when the server stops or the peer hangs up: a handler that waits returns early.
  std::stop_token closing;

  // The first field of this (lower-case) name; nothing where there is none.
  [[nodiscard]] std::optional<std::string_view> Header(std::string_view name) const;
  // The first query parameter of this name.
  [[nodiscard]] std::optional<std::string_view> Query(std::string_view name) const;
};

struct Response {
  int status = 200;
  Headers headers;  // Content-Length, Connection and Date are the server's
  Bytes body;       // not sent for HEAD; its length still is
};

// Called on many threads at once, one per connection. What it throws becomes a bare 500, and goes
// to ListenerOptions::report.
using Handler = std::function<Response(const Request&)>;

// Called with a request whose body has not been read yet: an answer refuses it before its bytes
// cost memory, nothing lets it pass.
using Gate = std::function<std::optional<Response>(const Request&)>;

inline constexpr std::size_t kRequestLineBytesMax = std::size_t{8} << 10;
inline constexpr std::size_t kRequestHeadBytesMax = std::size_t{32} << 10;
inline constexpr std::size_t kRequestFieldsMax = 100;
inline constexpr std::size_t kRequestBodyBytesMax = std::size_t{16} << 20;
inline constexpr std::size_t kRequestBodiesBytesMax = std::size_t{512} << 20;
inline constexpr std::size_t kConnectionsMax = 2000;
inline constexpr std::size_t kConnectionsPerPeerMax = 256;
inline constexpr std::size_t kRequestsPerConnectionMax = 1000;
inline constexpr int kListenBacklog = 1024;

// What one listener grants. The defaults suit a node; a test, or a hub behind a proxy, sets others.
struct Limits {
  std::size_t request_line_bytes_max = kRequestLineBytesMax;
  std::size_t request_head_bytes_max = kRequestHeadBytesMax;
  std::size_t request_fields_max = kRequestFieldsMax;
  std::size_t request_body_bytes_max = kRequestBodyBytesMax;
  std::size_t request_bodies_bytes_max = kRequestBodiesBytesMax;  // of all connections together
  std::size_t connections_max = kConnectionsMax;
  std::size_t connections_per_peer_max = kConnectionsPerPeerMax;  // IPv6: per /64; not for Unix
  std::size_t requests_per_connection_max = kRequestsPerConnectionMax;
  std::chrono::milliseconds handshake_deadline{10'000};
  std::chrono::milliseconds head_deadline{10'000};  // from the first byte of a request
  // A body, and an answer, may take this long and another second for each bytes_per_second_min
  // that it really moved: slow lines work, a byte a second does not.
  std::chrono::milliseconds body_deadline{30'000};
  std::chrono::milliseconds answer_deadline{30'000};
  std::size_t bytes_per_second_min = std::size_t{16} << 10;
  std::chrono::milliseconds keep_alive_idle{30'000};
};

enum class ClientCertificates {
  kNone,      // not asked for
  kOptional,  // asked for; without one, or with one of another kind of key, peer_key is empty
  kRequired,  // no connection without a P-256 certificate; peer_key is always there
};

// Only TLS 1.3 is spoken. Any client certificate is accepted with proof of possession.
struct TlsOptions {
  std::string certificate_pem;  // the chain, the server's own certificate first
  std::string key_pem;
  ClientCertificates client_certificates = ClientCertificates::kNone;
};

struct ListenerOptions {
  // An IPv4 or IPv6 address ("::" hears both), and a port; 0 takes any free one.
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;
  // If set, a Unix socket at this path instead, mode 0600. A stale socket is replaced; one that
  // somebody answers on, and anything that is not a socket, is refused.
  std::string unix_path;
  std::optional<TlsOptions> tls;
  Limits limits;
  // Content codings of requests that the handler decodes itself, within a limit of its own, such
  // as "zstd". A request in any other is answered 415.
  std::vector<std::string> content_encodings;
  Gate gate;  // optional
  // Told in a sentence what a handler or the gate threw: the asker learns nothing of it, so this is
  // where the log comes in. Optional; called on any thread.
  std::function<void(const std::string&)> report;
};

// One listener with its threads: one that accepts and notices hang-ups, one per connection. Every
// method may be called from any thread, Stop not from a handler.
class Server {
 public:
  struct Stats {
    std::size_t open = 0;           // connections now
    std::uint64_t accepted = 0;     // since the start
    std::uint64_t turned_away = 0;  // closed at once: a cap was reached
    std::uint64_t requests = 0;     // handed to the handler
    std::uint64_t refused = 0;      // answered 4xx or 5xx by the server itself
  };

  // Listens and serves until Stop. Refuses addresses that cannot be bound and certificates that
  // do not fit their key.
  [[nodiscard]] static Result<std::unique_ptr<Server>> Start(ListenerOptions options,
                                                             Handler handler);
  ~Server();  // stops
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // The port in use; 0 for a Unix socket.
  [[nodiscard]] std::uint16_t port() const;
  // Where to reach it, for people: "127.0.0.1:8443", "[::1]:8443", or the socket's path.
  [[nodiscard]] std::string address() const;
  [[nodiscard]] Stats stats() const;

  // New connections get this certificate; those open keep theirs. On refusal nothing changes.
  [[nodiscard]] Status ReloadCertificate(std::string_view certificate_pem,
                                         std::string_view key_pem);

  // Accepts no more, ends idle connections, asks running handlers to return (Request::closing),
  // lets their answers go out for a second, and waits for the threads. Repeatable.
  void Stop();

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace staffel::api
