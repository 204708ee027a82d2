// SPDX-License-Identifier: EUPL-1.2
// A connected socket as a stream of bytes, plain or under TLS 1.3, whose every wait has a deadline
// and can be cut short. The server in api/ and the HTTP transport stand on it; it knows neither
// HTTP nor whom to trust: what a peer's key means is asked of a function handed in.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/crypto/key.h"

namespace staffel::sync {

using Deadline = std::chrono::steady_clock::time_point;

// Owns a file descriptor.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();
  [[nodiscard]] int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// Wakes whoever waits on a channel, once and for good. Signal may be called from any thread.
class Wake {
 public:
  Wake();
  void Signal();
  [[nodiscard]] int fd() const { return event_.get(); }

 private:
  Descriptor event_;
};

enum class IoState {
  kDone,
  kClosed,   // the peer ended the connection
  kTimeout,  // the deadline passed
  kWoken,    // the Wake was signalled
  kRefused,  // TLS: the peer did not accept our certificate, or lacks one
  kFailed,   // anything else: Channel::error() says what
};

// Waits until `fd` has one of poll's `events` (a hang-up counts), the deadline, or the wake.
// `wake_fd` may be -1. Waking wins over readiness.
[[nodiscard]] IoState WaitFor(int fd, short events, Deadline deadline, int wake_fd);

enum class PeerCertificate {
  kNone,      // server: not asked for
  kOptional,  // server: asked for, may be missing or hold another kind of key
  kRequired,  // must be there and hold a P-256 key; always so for clients
};

// What one side of TLS shows and asks for. Immutable, shared by many channels on any threads. The
// client's also keeps sessions for resumption: one context per peer, never shared between peers.
class TlsContext {
 public:
  // Refuses PEM that cannot be read and a key that does not fit the certificate.
  [[nodiscard]] static Result<std::shared_ptr<TlsContext>> ForServer(
      std::string_view certificate_pem, std::string_view key_pem, PeerCertificate peer);
  // Only the first half of that: whether there are certificates that can be used.
  [[nodiscard]] static Status CheckCertificates(std::string_view certificate_pem);
  // Without certificate and key (both empty) it shows none.
  [[nodiscard]] static Result<std::shared_ptr<TlsContext>> ForClient(
      std::string_view certificate_pem, std::string_view key_pem);
  ~TlsContext();

 private:
  friend class Channel;
  struct State;
  explicit TlsContext(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// One owner, one thread at a time; its descriptor may be shut down from another.
class Channel {
 public:
  // Whether this key is the one to talk to. Asked during a client's handshake, before anything of
  // ours is sent.
  using KeyCheck = std::function<bool(const crypto::PublicKey&)>;

  // Takes a connected stream socket and makes it non-blocking.
  explicit Channel(Descriptor socket);
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  [[nodiscard]] IoState AcceptTls(std::shared_ptr<TlsContext> context, Deadline deadline,
                                  int wake_fd);
  // kRefused and wrong_key() where `check` says no; peer_key() is then the key that was shown.
  [[nodiscard]] IoState ConnectTls(std::shared_ptr<TlsContext> context, KeyCheck check,
                                   Deadline deadline, int wake_fd);

  // Reads at least one byte, at most `size`; `got` says how many.
  [[nodiscard]] IoState Read(char* data, std::size_t size, std::size_t& got, Deadline deadline,
                             int wake_fd);
  // Writes all, or fails.
  [[nodiscard]] IoState Write(ByteView bytes, Deadline deadline, int wake_fd);
  // Says goodbye: the other side sees an end, not a cut. Does not wait.
  void Finish();

  // Whether an idle connection can be used for another request: nothing to read, not ended.
  [[nodiscard]] bool IsQuiet();
  [[nodiscard]] int fd() const { return socket_.get(); }
  [[nodiscard]] const std::optional<crypto::PublicKey>& peer_key() const { return peer_key_; }
  // After ConnectTls: the check said no to peer_key(), or the peer has no P-256 key.
  [[nodiscard]] bool wrong_key() const { return wrong_key_; }
  [[nodiscard]] bool resumed() const { return resumed_; }
  // What went wrong, in the words of the system or of OpenSSL.
  [[nodiscard]] const std::string& error() const { return error_; }

 private:
  friend class TlsContext;
  struct Tls;
  IoState Handshake(Deadline deadline, int wake_fd);
  IoState TlsFailure(int result, short& events);
  IoState SystemFailure(int error);
  // `certificate` is an X509: OpenSSL's names stay out of this header.
  static bool CheckCertificate(Tls& tls, void* certificate);

  Descriptor socket_;
  std::unique_ptr<Tls> tls_;
  std::optional<crypto::PublicKey> peer_key_;
  bool wrong_key_ = false;
  bool resumed_ = false;
  std::string error_;
};

}  // namespace staffel::sync
