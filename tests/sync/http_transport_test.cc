// SPDX-License-Identifier: EUPL-1.2
#include "sync/http_transport.h"

#include <atomic>
#include <functional>
#include <future>
#include <list>
#include <mutex>
#include <thread>

#include <catch2/catch.hpp>

#include "api/server.h"
#include "tests/support/http_test_kit.h"

namespace staffel::sync {
namespace {

using api::ListenerOptions;
using api::Server;
using test::RawClient;
using test::TestIdentity;
using namespace std::chrono_literals;

std::unique_ptr<Server> StartPeer(const TestIdentity& identity, api::Handler handler) {
  ListenerOptions options;
  options.tls = api::TlsOptions{identity.certificate_pem, identity.key_pem,
                                api::ClientCertificates::kOptional};
  auto server = Server::Start(std::move(options), std::move(handler));
  if (!server) FAIL(server.error().message);
  return std::move(*server);
}

api::Response Echo(const api::Request& request) {
  return {200, {{"X-Method", request.method}}, request.path + "|" + request.body};
}

HttpTransport::Options OptionsFor(const std::string& address, const crypto::PublicKey& key) {
  HttpTransport::Options options;
  options.url = "https://" + address;
  options.pinned_keys = {key};
  return options;
}

std::unique_ptr<HttpTransport> Make(HttpTransport::Options options) {
  auto transport = HttpTransport::Create(std::move(options));
  if (!transport) FAIL(transport.error().message);
  return std::move(*transport);
}

bool Says(const Error& error, std::string_view part) {
  INFO(error.message);
  const bool says = error.message.find(part) != std::string::npos;
  CHECK(says);
  return says;
}

// A listening socket whose connections each go to `serve` on a thread of their own. Ends them all,
// and waits, when destroyed.
class LoopbackListener {
 public:
  explicit LoopbackListener(std::function<void(int fd)> serve) : serve_(std::move(serve)) {
    socket_ = Descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0);
    REQUIRE(listen(socket_.get(), 16) == 0);
    getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    accepting_ = std::thread([this] {
      while (true) {
        Descriptor one(accept(socket_.get(), nullptr, nullptr));
        if (!one) return;
        const std::lock_guard lock(mutex_);
        const int fd = one.get();
        open_.push_back(std::move(one));
        serving_.emplace_back([this, fd] {
          serve_(fd);
          shutdown(fd, SHUT_RDWR);
        });
      }
    });
  }
  ~LoopbackListener() {
    shutdown(socket_.get(), SHUT_RDWR);
    accepting_.join();
    for (const auto& fd : open_) shutdown(fd.get(), SHUT_RDWR);
    for (auto& thread : serving_) thread.join();
  }
  [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  std::function<void(int)> serve_;
  Descriptor socket_;
  std::uint16_t port_ = 0;
  std::thread accepting_;
  std::mutex mutex_;
  std::list<Descriptor> open_;
  std::list<std::thread> serving_;
};

std::string ReadHeadBytes(int fd) {
  std::string head;
  char byte = 0;
  while (!head.ends_with("\r\n\r\n") && recv(fd, &byte, 1, 0) == 1) head.push_back(byte);
  return head;
}

void SendAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

void Pump(int from, int to) {
  char buffer[4096];
  ssize_t got = 0;
  while ((got = recv(from, buffer, sizeof buffer, 0)) > 0) {
    SendAll(to, {buffer, static_cast<std::size_t>(got)});
  }
  shutdown(to, SHUT_WR);
}

// A CONNECT proxy that wants "anna:geh:heim/1".
class Proxy {
 public:
  Proxy()
      : listener_([this](int fd) {
          const std::string head = ReadHeadBytes(fd);
          // base64("anna:geh:heim/1")
          if (head.find("\r\nProxy-Authorization: Basic YW5uYTpnZWg6aGVpbS8x\r\n") ==
              std::string::npos) {
            ++refused;
            SendAll(fd,
                    "HTTP/1.1 407 Proxy Authentication Required\r\n"
                    "Proxy-Authenticate: Basic realm=\"x\"\r\n\r\n<html>no</html>");
            return;
          }
          const std::size_t colon = head.find(':');
          const auto port = static_cast<std::uint16_t>(std::stoi(head.substr(colon + 1)));
          const Descriptor peer = test::ConnectTo(port);
          if (!peer) {
            SendAll(fd, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
            return;
          }
          ++tunnels;
          SendAll(fd, "HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n");
          std::thread back([&] { Pump(peer.get(), fd); });
          Pump(fd, peer.get());
          back.join();
        }) {}
  [[nodiscard]] std::string address() const { return listener_.address(); }
  std::atomic<int> tunnels = 0;
  std::atomic<int> refused = 0;

 private:
  LoopbackListener listener_;
};

// A TLS server that answers each request head with fixed bytes.
class Scripted {
 public:
  Scripted(const TestIdentity& identity, std::vector<std::string> answers)
      : context_(*TlsContext::ForServer(identity.certificate_pem, identity.key_pem,
                                        PeerCertificate::kNone)),
        answers_(std::move(answers)),
        listener_([this](int fd) {
          Channel channel{Descriptor(dup(fd))};
          if (channel.AcceptTls(context_, test::Soon(), -1) != IoState::kDone) return;
          std::string seen;
          while (true) {
            char buffer[4096];
            std::size_t got = 0;
            if (channel.Read(buffer, sizeof buffer, got, test::Soon(), -1) != IoState::kDone)
              return;
            seen.append(buffer, got);
            if (!seen.ends_with("\r\n\r\n")) continue;
            seen.clear();
            const std::size_t index = next_++;
            if (index >= answers_.size()) return;
            if (channel.Write(answers_[index], test::Soon(), -1) != IoState::kDone) return;
            if (answers_[index].find("close") != std::string::npos) {
              channel.Finish();
              return;
            }
          }
        }) {}
  [[nodiscard]] std::string address() const { return listener_.address(); }
  [[nodiscard]] std::size_t answered() const { return next_; }

 private:
  std::shared_ptr<TlsContext> context_;
  std::vector<std::string> answers_;
  std::atomic<std::size_t> next_ = 0;
  LoopbackListener listener_;
};

}  // namespace

TEST_CASE("a request and its answer travel whole, on one kept connection") {
  const TestIdentity peer("peer");
  const auto server = StartPeer(peer, Echo);
  auto options = OptionsFor(server->address(), peer.key);
  options.url += "/prefix/";
  const auto transport = Make(std::move(options));
  const std::string big(3 << 20, 'b');
  for (const std::string& body : {std::string(), std::string("x"), big}) {
    const auto answer = transport->Post("/a", {{"X-Test", "1"}}, body);
    REQUIRE(answer);
    CHECK(answer->status == 200);
    CHECK(answer->body == "/prefix/a|" + body);
    CHECK(answer->Header("x-method") == "POST");
    CHECK(answer->peer_key == peer.key);
  }
  CHECK(transport->Request("HEAD", "/a", {}, "")->body.empty());
  CHECK(transport->Request("GET", "/b", {}, "")->body == "/prefix/b|");
  CHECK(transport->stats().connections == 1);
}

TEST_CASE("only a pinned key is spoken to, by itself or by its fingerprint") {
  const TestIdentity peer("peer");
  const TestIdentity other("other");
  std::atomic<int> requests = 0;
  const auto server = StartPeer(peer, [&](const api::Request& request) {
    ++requests;
    return Echo(request);
  });
  {
    auto options = OptionsFor(server->address(), other.key);
    options.pinned_fingerprints = {TestIdentity("third").key.Fingerprint()};
    const auto refused = Make(options)->Post("/", {}, "secret");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::kDenied);
    Says(refused.error(), server->address());
    Says(refused.error(), "the key " + peer.key.Fingerprint().Hex());
    Says(refused.error(), other.key.Fingerprint().Hex());
    Says(refused.error(), options.pinned_fingerprints[0].Hex());
    CHECK(requests == 0);
  }
  auto by_fingerprint = OptionsFor(server->address(), other.key);
  by_fingerprint.pinned_fingerprints = {peer.key.Fingerprint()};
  CHECK(Make(by_fingerprint)->Post("/", {}, ""));
  auto several = OptionsFor(server->address(), other.key);
  several.pinned_keys.push_back(peer.key);
  CHECK(Make(several)->Post("/", {}, ""));
}

TEST_CASE("what cannot work is refused before anything is sent") {
  const TestIdentity own("own");
  const auto refused = [&](const std::function<void(HttpTransport::Options&)>& change) {
    auto options = OptionsFor("127.0.0.1:1", own.key);
    change(options);
    const auto transport = HttpTransport::Create(std::move(options));
    REQUIRE_FALSE(transport);
    CHECK(transport.error().code == ErrorCode::kInvalid);
    return transport.error();
  };
  refused([](auto& options) { options.url = "http://127.0.0.1:1"; });
  refused([](auto& options) { options.url = "https://"; });
  refused([](auto& options) { options.url = "https://a:99999"; });
  refused([](auto& options) { options.url = "https://a:1/x y"; });
  refused([](auto& options) { options.url = "https://user@a:1"; });
  refused([](auto& options) { options.pinned_keys.clear(); });
  for (const std::string proxy :
       {"anna:geheim@127.0.0.1:3128", "http://geheim@127.0.0.1:1", "http://anna:geheim@:1",
        "http://anna:geheim%4@127.0.0.1:1", "https://anna:geheim@127.0.0.1:1"}) {
    const Error error = refused([&](auto& options) { options.proxy = proxy; });
    CHECK(error.message.find("geheim") == std::string::npos);
  }
  refused([&](auto& options) { options.identity = TlsIdentity{own.certificate_pem, "no key"}; });
  refused([&](auto& options) {
    options.identity = TlsIdentity{own.certificate_pem, TestIdentity("x").key_pem};
  });
  const auto transport = Make(OptionsFor("127.0.0.1:1", own.key));
  CHECK(transport->Post("/", {{"A", "b\r\nC: d"}}, "").error().code == ErrorCode::kInvalid);
  CHECK(transport->Post("no-slash", {}, "").error().code == ErrorCode::kInvalid);
  CHECK(transport->Post("/a b", {}, "").error().code == ErrorCode::kInvalid);
}

TEST_CASE("refused connections and unknown names are said plainly") {
  const TestIdentity peer("peer");
  std::string address;
  {
    LoopbackListener closed([](int) {});
    address = closed.address();
  }
  const auto refused = Make(OptionsFor(address, peer.key))->Post("/", {}, "");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kUnavailable);
  Says(refused.error(), address);
  Says(refused.error(), "connection refused");

  const auto unknown = Make(OptionsFor("no-such-host.invalid:443", peer.key))->Post("/", {}, "");
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().code == ErrorCode::kUnavailable);
  Says(unknown.error(), "no-such-host.invalid");
}

TEST_CASE("a server that hangs is given up: at the handshake, and at the answer") {
  const TestIdentity peer("peer");
  {
    LoopbackListener silent([](int fd) { ReadHeadBytes(fd); });
    auto options = OptionsFor(silent.address(), peer.key);
    options.connect_timeout = 200ms;
    const auto answer = Make(std::move(options))->Post("/", {}, "");
    REQUIRE_FALSE(answer);
    CHECK(answer.error().code == ErrorCode::kUnavailable);
    Says(answer.error(), "within 200 ms, while shaking hands in TLS");
  }
  const auto server = StartPeer(peer, [](const api::Request& request) {
    std::mutex mutex;
    std::unique_lock lock(mutex);
    std::condition_variable_any never;
    never.wait(lock, request.closing, [] { return false; });
    return api::Response{};
  });
  auto options = OptionsFor(server->address(), peer.key);
  options.read_timeout = 200ms;
  const auto answer = Make(options)->Post("/", {}, "");
  REQUIRE_FALSE(answer);
  CHECK(answer.error().code == ErrorCode::kUnavailable);
  Says(answer.error(), "was silent for 200 ms");
  // A timeout is not a closed connection: it is not tried again.
  CHECK(server->stats().requests == 1);
  options.read_timeout = 60s;
  options.total_timeout = 200ms;
  Says(Make(options)->Post("/", {}, "").error(), "not complete within 200 ms");
}

TEST_CASE("the stop token ends a waiting request at once") {
  const TestIdentity peer("peer");
  std::promise<void> entered;
  std::promise<void> left;
  const auto server = StartPeer(peer, [&](const api::Request& request) {
    entered.set_value();
    std::mutex mutex;
    std::unique_lock lock(mutex);
    std::condition_variable_any never;
    never.wait(lock, request.closing, [] { return false; });
    left.set_value();
    return api::Response{};
  });
  const auto transport = Make(OptionsFor(server->address(), peer.key));
  std::stop_source stop;
  auto answer = std::async(std::launch::async,
                           [&] { return transport->Post("/", {}, "", stop.get_token()); });
  entered.get_future().wait();
  stop.request_stop();
  REQUIRE(answer.wait_for(test::kPatience) == std::future_status::ready);
  const auto stopped = answer.get();
  REQUIRE_FALSE(stopped);
  CHECK(stopped.error().code == ErrorCode::kUnavailable);
  Says(stopped.error(), "was stopped");
  // And the peer learns of it.
  CHECK(left.get_future().wait_for(test::kPatience) == std::future_status::ready);
  // One that is stopped before it begins does not begin.
  CHECK_FALSE(transport->Post("/", {}, "", stop.get_token()));
  CHECK(server->stats().requests == 1);
}

TEST_CASE("a CONNECT proxy is passed with the right password, and the peer's key still counts") {
  const TestIdentity peer("peer");
  const auto server = StartPeer(peer, Echo);
  Proxy proxy;
  auto options = OptionsFor(server->address(), peer.key);
  SECTION("right password, percent-encoded") {
    options.proxy = "http://anna:geh%3Aheim%2F1@" + proxy.address();
    const auto transport = Make(options);
    CHECK(transport->Post("/a", {}, "x")->body == "/a|x");
    CHECK(transport->Post("/b", {}, "y")->body == "/b|y");
    CHECK(proxy.tunnels == 1);
  }
  SECTION("wrong password") {
    options.proxy = "http://anna:geheim2@" + proxy.address();
    const auto answer = Make(options)->Post("/", {}, "");
    REQUIRE_FALSE(answer);
    CHECK(answer.error().code == ErrorCode::kDenied);
    Says(answer.error(), "does not accept the user and password");
    Says(answer.error(), "407");
    CHECK(answer.error().message.find("geheim2") == std::string::npos);
    CHECK(server->stats().accepted == 0);
  }
  SECTION("no password") {
    options.proxy = "http://" + proxy.address();
    Says(Make(options)->Post("/", {}, "").error(), "asks for a user and a password");
  }
  SECTION("another key behind the proxy") {
    options.proxy = "http://anna:geh%3Aheim%2F1@" + proxy.address();
    options.pinned_keys = {TestIdentity("other").key};
    const auto answer = Make(options)->Post("/", {}, "");
    REQUIRE_FALSE(answer);
    CHECK(answer.error().code == ErrorCode::kDenied);
    Says(answer.error(), "through the proxy " + proxy.address());
    Says(answer.error(), peer.key.Fingerprint().Hex());
  }
  SECTION("nobody behind the proxy") {
    std::string gone;
    {
      LoopbackListener closed([](int) {});
      gone = closed.address();
    }
    options.url = "https://" + gone;
    options.proxy = "http://anna:geh%3Aheim%2F1@" + proxy.address();
    Says(Make(options)->Post("/", {}, "").error(), "it answers 502");
  }
}

TEST_CASE("an answer over the limit is refused, announced or in chunks") {
  const TestIdentity peer("peer");
  const auto server = StartPeer(peer, [](const api::Request&) {
    return api::Response{200, {}, std::string(1001, 'x')};
  });
  auto options = OptionsFor(server->address(), peer.key);
  options.answer_body_bytes_max = 1000;
  const auto answer = Make(options)->Post("/", {}, "");
  REQUIRE_FALSE(answer);
  CHECK(answer.error().code == ErrorCode::kTooLarge);
  Says(answer.error(), "1000 bytes");
  Scripted chunks(peer, {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n" +
                         std::string(1000, 'x') + "\r\n1\r\nx\r\n0\r\n\r\n"});
  options.url = "https://" + chunks.address();
  CHECK(Make(options)->Post("/", {}, "").error().code == ErrorCode::kTooLarge);
}

TEST_CASE("answers that are not strictly HTTP are refused, those that are, understood") {
  const TestIdentity peer("peer");
  const auto ask = [&](std::string answer) {
    const Scripted server(peer, {std::move(answer)});
    auto options = OptionsFor(server.address(), peer.key);
    options.read_timeout = 5s;
    return Make(options)->Post("/", {}, "");
  };
  CHECK(
      ask("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Made\r\nContent-Length: 2\r\n\r\nok")->body ==
      "ok");
  CHECK(ask("HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")->body ==
        "ok");
  CHECK(ask("HTTP/1.1 204 No Content\r\n\r\n")->status == 204);
  CHECK(ask("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")->status == 503);
  CHECK_FALSE(ask("SSH-2.0-OpenSSH\r\n\r\n"));
  CHECK_FALSE(ask("HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"));
  CHECK_FALSE(ask("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx"));
  CHECK_FALSE(ask("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\ncut"));
  CHECK_FALSE(ask("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 10\r\n\r\ncut"));
  CHECK_FALSE(ask("HTTP/1.1 200 OK\r\nX: " + std::string(40'000, 'y')));
}

TEST_CASE("a connection that closed while it was kept is replaced, once") {
  const TestIdentity peer("peer");
  const std::string ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  // The second request is read and answered by closing: the third comes on a new connection.
  Scripted server(peer, {ok, "close", ok});
  const auto transport = Make(OptionsFor(server.address(), peer.key));
  CHECK(transport->Post("/", {}, ""));
  // "close" is no HTTP, so this one fails, and is not repeated: something was answered.
  CHECK_FALSE(transport->Post("/", {}, ""));
  CHECK(transport->Post("/", {}, ""));
  CHECK(transport->stats().connections == 2);

  const TestIdentity identity("restarted");
  auto first = StartPeer(identity, Echo);
  const auto again = Make(OptionsFor(first->address(), identity.key));
  CHECK(again->Post("/", {}, ""));
  ListenerOptions options;
  options.port = first->port();
  options.tls =
      api::TlsOptions{identity.certificate_pem, identity.key_pem, api::ClientCertificates::kNone};
  first.reset();
  const auto second = Server::Start(options, Echo);
  REQUIRE(second);
  CHECK(again->Post("/", {}, "")->body == "/|");
}

}  // namespace staffel::sync
