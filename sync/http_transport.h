// SPDX-License-Identifier: EUPL-1.2
// The outbound half of the wire: requests to one peer over TLS 1.3, directly or through an
// authenticating CONNECT proxy. A peer is known by the key in its certificate, never by its name or
// by an authority. What is sent, when, and when to try again, is left to its callers.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/id.h"
#include "core/base/result.h"
#include "core/crypto/key.h"

namespace staffel::sync {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

inline constexpr std::size_t kAnswerBodyBytesMax = std::size_t{64} << 20;
inline constexpr std::size_t kIdleConnectionsMax = 4;

struct HttpAnswer {
  int status = 0;  // whatever the peer said, also 4xx and 5xx: only its meaning is the caller's
  HttpHeaders headers;  // names lower-case
  Bytes body;
  crypto::PublicKey peer_key;  // the key that answered: one of the pinned

  // The first field of this (lower-case) name.
  [[nodiscard]] std::optional<std::string_view> Header(std::string_view name) const;
};

// The certificate and key that we show (PEM): see crypto::MakeSelfSignedCertificate.
struct TlsIdentity {
  std::string certificate_pem;
  std::string key_pem;
};

// Requests to one peer. Holds a few idle connections and TLS sessions for the next request. Every
// method may be called from any thread; requests at the same time use connections of their own.
class HttpTransport {
 public:
  struct Options {
    std::string url;  // "https://host:port", "https://[::1]:port", with an optional path prefix
    std::optional<TlsIdentity> identity;
    // The peer's certificate must hold one of these keys, or a key with one of these fingerprints
    // (PublicKey::Fingerprint, as invitations carry it). At least one of either.
    std::vector<crypto::PublicKey> pinned_keys;
    std::vector<Hash> pinned_fingerprints;
    std::string proxy;  // "http://[user:password@]host:port", or empty
    // Finding the peer, connecting, the proxy's consent and the TLS handshake together.
    std::chrono::milliseconds connect_timeout{15'000};
    // Silence while the answer is awaited. Longer than the longest wait that is asked of the peer.
    std::chrono::milliseconds read_timeout{90'000};
    std::chrono::milliseconds total_timeout{600'000};
    std::size_t answer_body_bytes_max = kAnswerBodyBytesMax;
  };

  // Refuses URLs, certificates and pins that cannot work; connects to nobody.
  [[nodiscard]] static Result<std::unique_ptr<HttpTransport>> Create(Options options);
  ~HttpTransport();
  HttpTransport(const HttpTransport&) = delete;
  HttpTransport& operator=(const HttpTransport&) = delete;

  // Sends one request and waits for the whole answer. `path` begins with "/" and is appended to
  // the URL's. A kept connection that turns out to be closed is replaced once, without a word, so
  // the request may arrive twice: all that Staffel sends is harmless when repeated.
  //
  // Refused with kUnavailable (no name, no route, no answer in time, stopped by `stop`), kDenied
  // (another key than pinned, our certificate or the proxy password refused), kTooLarge (answer
  // beyond the limit). The sentence says which, and what to do; never a password.
  [[nodiscard]] Result<HttpAnswer> Request(std::string_view method, std::string_view path,
                                           const HttpHeaders& headers, ByteView body,
                                           std::stop_token stop = {});
  [[nodiscard]] Result<HttpAnswer> Post(std::string_view path, const HttpHeaders& headers,
                                        ByteView body, std::stop_token stop = {}) {
    return Request("POST", path, headers, body, std::move(stop));
  }

  struct Stats {
    std::size_t connections = 0;  // opened since the start
    std::size_t resumed = 0;      // of these, with a resumed TLS session
    std::size_t requests = 0;
    std::uint64_t bytes_sent = 0;  // HTTP heads and bodies, inside TLS
    std::uint64_t bytes_received = 0;
  };
  [[nodiscard]] Stats stats() const;

 private:
  class Impl;
  explicit HttpTransport(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace staffel::sync
