// SPDX-License-Identifier: EUPL-1.2
#include "sync/channel.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <mutex>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/crypto/certificate.h"

namespace staffel::sync {
namespace {

constexpr long kPeerCertificateBytesMax = 16 << 10;
constexpr long kSessionSeconds = 3600;
constexpr std::size_t kSessionsMax = 8;
// A stop or a reload must never wait for one huge write.
constexpr std::size_t kWriteBytesMax = std::size_t{256} << 10;
constexpr std::string_view kSessionContext = "staffel/1";

template <typename T, void (*kFree)(T*)>
struct Freeing {
  void operator()(T* pointer) const { kFree(pointer); }
};
using X509Ptr = std::unique_ptr<X509, Freeing<X509, X509_free>>;
using PkeyPtr = std::unique_ptr<EVP_PKEY, Freeing<EVP_PKEY, EVP_PKEY_free>>;
using SslPtr = std::unique_ptr<SSL, Freeing<SSL, SSL_free>>;
using SslContextPtr = std::unique_ptr<SSL_CTX, Freeing<SSL_CTX, SSL_CTX_free>>;
using SessionPtr = std::unique_ptr<SSL_SESSION, Freeing<SSL_SESSION, SSL_SESSION_free>>;
using BioPtr = std::unique_ptr<BIO, Freeing<BIO, BIO_free_all>>;

std::string OpenSslError() {
  const unsigned long code = ERR_peek_last_error();
  const char* reason = ERR_reason_error_string(code);
  std::string text = reason != nullptr ? reason : "OpenSSL gives no reason";
  ERR_clear_error();
  return text;
}

// A socket under OpenSSL that never raises SIGPIPE: a library must not touch the process's signals.
int BioWrite(BIO* bio, const char* data, int size) {
  const int fd = static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio)));
  const ssize_t sent = send(fd, data, static_cast<std::size_t>(size), MSG_NOSIGNAL);
  BIO_clear_retry_flags(bio);
  if (sent < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(bio);
  return static_cast<int>(sent);
}

int BioRead(BIO* bio, char* data, int size) {
  const int fd = static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio)));
  const ssize_t received = recv(fd, data, static_cast<std::size_t>(size), 0);
  BIO_clear_retry_flags(bio);
  if (received < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
  return static_cast<int>(received);
}

long BioControl(BIO* /*bio*/, int command, long /*number*/, void* /*pointer*/) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO* NewSocketBio(int fd) {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "staffel socket");
    BIO_meth_set_write(made, BioWrite);
    BIO_meth_set_read(made, BioRead);
    BIO_meth_set_ctrl(made, BioControl);
    return made;
  }();
  BIO* bio = BIO_new(method);
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(fd)));
  BIO_set_init(bio, 1);
  return bio;
}

std::optional<crypto::PublicKey> KeyOf(X509* certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate, &der);
  if (size <= 0) return std::nullopt;
  auto key = crypto::PublicKeyOfCertificate(
      ByteView(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size)));
  OPENSSL_free(der);
  if (!key) return std::nullopt;
  return *std::move(key);
}

// Alerts by which a peer says that our certificate is missing or not to its liking (RFC 8446,
// section 6.2). OpenSSL reports them as reasons from SSL_AD_REASON_OFFSET on.
bool IsCertificateAlert(unsigned long error) {
  if (ERR_GET_LIB(error) != ERR_LIB_SSL) return false;
  switch (ERR_GET_REASON(error) - SSL_AD_REASON_OFFSET) {
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_ACCESS_DENIED:
    case SSL_AD_CERTIFICATE_REQUIRED:
      return true;
    default:
      return false;
  }
}

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) close(fd_);
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

Descriptor::~Descriptor() {
  if (fd_ >= 0) close(fd_);
}

Wake::Wake() : event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void Wake::Signal() {
  const std::uint64_t one = 1;
  // Cannot fail but for a counter that is full, and then it is readable all the same.
  [[maybe_unused]] const ssize_t written = write(event_.get(), &one, sizeof one);
}

IoState WaitFor(int fd, short events, Deadline deadline, int wake_fd) {
  pollfd waits[2] = {{fd, events, 0}, {wake_fd, POLLIN, 0}};
  while (true) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now())
            .count();
    const int timeout_ms =
        static_cast<int>(std::clamp<std::int64_t>(left, 0, std::numeric_limits<int>::max()));
    const int ready = poll(waits, 2, timeout_ms);
    if (ready < 0 && errno != EINTR) return IoState::kFailed;
    if (ready <= 0) {
      if (ready == 0 && std::chrono::steady_clock::now() >= deadline) return IoState::kTimeout;
      continue;
    }
    return waits[1].revents != 0 ? IoState::kWoken : IoState::kDone;
  }
}

// ---- TLS set-up -------------------------------------------------------------------------------

struct TlsContext::State {
  SslContextPtr context;
  PeerCertificate peer = PeerCertificate::kNone;
  std::mutex mutex;
  std::vector<SessionPtr> sessions;  // guarded by mutex; the newest last
};

struct Channel::Tls {
  std::shared_ptr<TlsContext> context;  // outlives ssl
  KeyCheck check;
  std::optional<crypto::PublicKey> shown;  // by the peer, before it was judged
  bool key_refused = false;
  bool failed = false;
  SslPtr ssl;
};

namespace {

// The index of a Channel::Tls in its SSL, and of a TlsContext::State in its SSL_CTX.
int SslIndex() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}
int ContextIndex() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

Status UseChain(SSL_CTX* context, std::string_view certificate_pem) {
  const BioPtr certificates(
      BIO_new_mem_buf(certificate_pem.data(), static_cast<int>(certificate_pem.size())));
  bool first = true;
  while (true) {
    X509Ptr certificate(PEM_read_bio_X509(certificates.get(), nullptr, nullptr, nullptr));
    if (!certificate) break;
    const long used = first ? SSL_CTX_use_certificate(context, certificate.get())
                            : SSL_CTX_add1_chain_cert(context, certificate.get());
    if (used != 1) {
      return Fail(ErrorCode::kInvalid, "the TLS certificate cannot be used: {}", OpenSslError());
    }
    first = false;
  }
  // Reading on at the end of the file leaves "no start line" behind.
  ERR_clear_error();
  if (first) {
    return Fail(ErrorCode::kInvalid,
                "there is no TLS certificate in PEM where one should be: give a file that begins "
                "with the server's own certificate");
  }
  return {};
}

Status UseCertificate(SSL_CTX* context, std::string_view certificate_pem,
                      std::string_view key_pem) {
  STAFFEL_CHECK(UseChain(context, certificate_pem));
  const BioPtr keys(BIO_new_mem_buf(key_pem.data(), static_cast<int>(key_pem.size())));
  // Without a callback OpenSSL would ask for a password on the terminal.
  const auto no_password = [](char*, int, int, void*) { return -1; };
  const PkeyPtr key(PEM_read_bio_PrivateKey(keys.get(), nullptr, no_password, nullptr));
  if (!key) {
    ERR_clear_error();
    return Fail(ErrorCode::kInvalid,
                "there is no readable private key in PEM for the TLS certificate: it must be "
                "without a password");
  }
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1) {
    return Fail(ErrorCode::kInvalid, "the private key does not belong to the TLS certificate: {}",
                OpenSslError());
  }
  return {};
}

}  // namespace

TlsContext::TlsContext(std::unique_ptr<State> state) : state_(std::move(state)) {}
TlsContext::~TlsContext() = default;

Status TlsContext::CheckCertificates(std::string_view certificate_pem) {
  const SslContextPtr context(SSL_CTX_new(TLS_server_method()));
  if (context == nullptr) {
    return Fail(ErrorCode::kInternal, "TLS cannot be set up: {}", OpenSslError());
  }
  return UseChain(context.get(), certificate_pem);
}

Result<std::shared_ptr<TlsContext>> TlsContext::ForServer(std::string_view certificate_pem,
                                                          std::string_view key_pem,
                                                          PeerCertificate peer) {
  auto state = std::make_unique<State>();
  state->peer = peer;
  state->context.reset(SSL_CTX_new(TLS_server_method()));
  SSL_CTX* context = state->context.get();
  if (context == nullptr || SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
      SSL_CTX_set_session_id_context(context,
                                     reinterpret_cast<const unsigned char*>(kSessionContext.data()),
                                     static_cast<unsigned>(kSessionContext.size())) != 1) {
    return Fail(ErrorCode::kInternal, "TLS cannot be set up: {}", OpenSslError());
  }
  STAFFEL_CHECK(UseCertificate(context, certificate_pem, key_pem));
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_max_cert_list(context, kPeerCertificateBytesMax);
  SSL_CTX_set_timeout(context, kSessionSeconds);
  // Tickets carry the session: the server keeps nothing per client.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  if (peer != PeerCertificate::kNone) {
    SSL_CTX_set_verify(
        context,
        SSL_VERIFY_PEER |
            (peer == PeerCertificate::kRequired ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
        nullptr);
    // In place of OpenSSL's search for an authority. The handshake proves that the peer has the
    // private key; who that is, the charter says.
    SSL_CTX_set_cert_verify_callback(
        context,
        [](X509_STORE_CTX* store, void* required) {
          if (required == nullptr || KeyOf(X509_STORE_CTX_get0_cert(store))) return 1;
          X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
          return 0;
        },
        peer == PeerCertificate::kRequired ? context : nullptr);
  }
  return std::shared_ptr<TlsContext>(new TlsContext(std::move(state)));
}

Result<std::shared_ptr<TlsContext>> TlsContext::ForClient(std::string_view certificate_pem,
                                                          std::string_view key_pem) {
  auto state = std::make_unique<State>();
  state->peer = PeerCertificate::kRequired;
  state->context.reset(SSL_CTX_new(TLS_client_method()));
  SSL_CTX* context = state->context.get();
  if (context == nullptr || SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
      SSL_CTX_set_ex_data(context, ContextIndex(), state.get()) != 1) {
    return Fail(ErrorCode::kInternal, "TLS cannot be set up: {}", OpenSslError());
  }
  if (!certificate_pem.empty() || !key_pem.empty()) {
    STAFFEL_CHECK(UseCertificate(context, certificate_pem, key_pem));
  }
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_max_cert_list(context, kPeerCertificateBytesMax);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_cert_verify_callback(
      context,
      [](X509_STORE_CTX* store, void*) {
        auto* ssl = static_cast<SSL*>(
            X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
        auto* tls = static_cast<Channel::Tls*>(SSL_get_ex_data(ssl, SslIndex()));
        return Channel::CheckCertificate(*tls, X509_STORE_CTX_get0_cert(store)) ? 1 : 0;
      },
      nullptr);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
  SSL_CTX_sess_set_new_cb(context, [](SSL* ssl, SSL_SESSION* session) {
    auto* owner = static_cast<State*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), ContextIndex()));
    const std::lock_guard lock(owner->mutex);
    if (owner->sessions.size() == kSessionsMax) owner->sessions.erase(owner->sessions.begin());
    owner->sessions.emplace_back(session);
    return 1;  // the session is ours now
  });
  return std::shared_ptr<TlsContext>(new TlsContext(std::move(state)));
}

// ---- The channel ------------------------------------------------------------------------------

Channel::Channel(Descriptor socket) : socket_(std::move(socket)) {
  const int flags = fcntl(socket_.get(), F_GETFL);
  fcntl(socket_.get(), F_SETFL, flags | O_NONBLOCK);
}

Channel::~Channel() {
  // OpenSSL bars the session of a connection that was not shut down from being resumed, a rule of
  // SSL 3.0 that RFC 8446 does not have.
  if (tls_ && tls_->ssl && !tls_->failed) {
    SSL_set_shutdown(tls_->ssl.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  }
}

bool Channel::CheckCertificate(Tls& tls, void* certificate) {
  auto key = KeyOf(static_cast<X509*>(certificate));
  tls.shown = key;
  if (key && tls.check(*key)) return true;
  tls.key_refused = true;
  return false;
}

IoState Channel::AcceptTls(std::shared_ptr<TlsContext> context, Deadline deadline, int wake_fd) {
  tls_ = std::make_unique<Tls>();
  tls_->context = std::move(context);
  tls_->ssl.reset(SSL_new(tls_->context->state_->context.get()));
  if (!tls_->ssl) return IoState::kFailed;
  SSL_set_accept_state(tls_->ssl.get());
  return Handshake(deadline, wake_fd);
}

IoState Channel::ConnectTls(std::shared_ptr<TlsContext> context, KeyCheck check, Deadline deadline,
                            int wake_fd) {
  tls_ = std::make_unique<Tls>();
  tls_->context = std::move(context);
  tls_->check = std::move(check);
  TlsContext::State& state = *tls_->context->state_;
  tls_->ssl.reset(SSL_new(state.context.get()));
  if (!tls_->ssl) return IoState::kFailed;
  SSL_set_ex_data(tls_->ssl.get(), SslIndex(), tls_.get());
  SSL_set_connect_state(tls_->ssl.get());
  {
    // Each ticket is used once, so that two connections cannot be told to be the same client's.
    const std::lock_guard lock(state.mutex);
    if (!state.sessions.empty()) {
      SSL_set_session(tls_->ssl.get(), state.sessions.back().get());
      state.sessions.pop_back();
    }
  }
  const IoState shaken = Handshake(deadline, wake_fd);
  if (tls_->key_refused || (shaken == IoState::kDone && (!peer_key_ || !tls_->check(*peer_key_)))) {
    // A resumed session has not asked the check: its pins may have changed since.
    peer_key_ = shaken == IoState::kDone ? peer_key_ : tls_->shown;
    tls_->failed = true;
    wrong_key_ = true;
    error_ = "another key than expected";
    return IoState::kRefused;
  }
  return shaken;
}

IoState Channel::Handshake(Deadline deadline, int wake_fd) {
  SSL* ssl = tls_->ssl.get();
  BIO* bio = NewSocketBio(socket_.get());
  SSL_set_bio(ssl, bio, bio);
  while (true) {
    ERR_clear_error();
    errno = 0;
    const int result = SSL_do_handshake(ssl);
    if (result == 1) break;
    short events = 0;
    const IoState failure = TlsFailure(result, events);
    if (failure != IoState::kDone) return failure;
    const IoState waited = WaitFor(socket_.get(), events, deadline, wake_fd);
    if (waited != IoState::kDone) return waited;
  }
  resumed_ = SSL_session_reused(ssl) == 1;
  const X509Ptr certificate(SSL_get1_peer_certificate(ssl));
  if (certificate) peer_key_ = KeyOf(certificate.get());
  return IoState::kDone;
}

// kDone and poll's events where the operation only has to wait.
IoState Channel::TlsFailure(int result, short& events) {
  switch (SSL_get_error(tls_->ssl.get(), result)) {
    case SSL_ERROR_WANT_READ:
      events = POLLIN;
      return IoState::kDone;
    case SSL_ERROR_WANT_WRITE:
      events = POLLOUT;
      return IoState::kDone;
    case SSL_ERROR_ZERO_RETURN:
      return IoState::kClosed;
    case SSL_ERROR_SYSCALL: {
      tls_->failed = true;
      if (errno == 0) return IoState::kClosed;
      return SystemFailure(errno);
    }
    default: {
      tls_->failed = true;
      const unsigned long code = ERR_peek_last_error();
      const bool ended = ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
      error_ = OpenSslError();
      if (ended) return IoState::kClosed;
      return IsCertificateAlert(code) ? IoState::kRefused : IoState::kFailed;
    }
  }
}

IoState Channel::SystemFailure(int error) {
  error_ = std::error_code(error, std::generic_category()).message();
  return error == ECONNRESET || error == EPIPE ? IoState::kClosed : IoState::kFailed;
}

IoState Channel::Read(char* data, std::size_t size, std::size_t& got, Deadline deadline,
                      int wake_fd) {
  got = 0;
  while (true) {
    short events = POLLIN;
    if (tls_) {
      ERR_clear_error();
      errno = 0;
      const int result = SSL_read_ex(tls_->ssl.get(), data, size, &got);
      if (result == 1) return IoState::kDone;
      const IoState failure = TlsFailure(result, events);
      if (failure != IoState::kDone) return failure;
    } else {
      const ssize_t received = recv(socket_.get(), data, size, 0);
      if (received == 0) return IoState::kClosed;
      if (received > 0) {
        got = static_cast<std::size_t>(received);
        return IoState::kDone;
      }
      if (errno != EAGAIN && errno != EINTR) return SystemFailure(errno);
    }
    const IoState waited = WaitFor(socket_.get(), events, deadline, wake_fd);
    if (waited != IoState::kDone) return waited;
  }
}

IoState Channel::Write(ByteView bytes, Deadline deadline, int wake_fd) {
  while (!bytes.empty()) {
    const std::size_t size = std::min(bytes.size(), kWriteBytesMax);
    short events = POLLOUT;
    if (tls_) {
      ERR_clear_error();
      errno = 0;
      std::size_t sent = 0;
      const int result = SSL_write_ex(tls_->ssl.get(), bytes.data(), size, &sent);
      if (result == 1) {
        bytes.remove_prefix(sent);
        continue;
      }
      const IoState failure = TlsFailure(result, events);
      if (failure != IoState::kDone) return failure;
    } else {
      const ssize_t sent = send(socket_.get(), bytes.data(), size, MSG_NOSIGNAL);
      if (sent >= 0) {
        bytes.remove_prefix(static_cast<std::size_t>(sent));
        continue;
      }
      if (errno != EAGAIN && errno != EINTR) return SystemFailure(errno);
    }
    const IoState waited = WaitFor(socket_.get(), events, deadline, wake_fd);
    if (waited != IoState::kDone) return waited;
  }
  return IoState::kDone;
}

void Channel::Finish() {
  if (tls_ && tls_->ssl && !tls_->failed && SSL_is_init_finished(tls_->ssl.get()) == 1) {
    ERR_clear_error();
    SSL_shutdown(tls_->ssl.get());
    ERR_clear_error();
  }
  shutdown(socket_.get(), SHUT_WR);
}

bool Channel::IsQuiet() {
  char byte = 0;
  std::size_t got = 0;
  // Reading is what takes in late session tickets, which are no sign of an end.
  return Read(&byte, 1, got, Deadline{}, /*wake_fd=*/-1) == IoState::kTimeout;
}

}  // namespace staffel::sync
