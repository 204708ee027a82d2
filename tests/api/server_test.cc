// SPDX-License-Identifier: EUPL-1.2
#include "api/server.h"

#include <atomic>
#include <condition_variable>
#include <fstream>
#include <future>
#include <latch>
#include <list>
#include <mutex>
#include <stdexcept>
#include <thread>

#include <catch2/catch.hpp>
#include <openssl/ssl.h>
#include <sys/stat.h>

#include "api/router.h"
#include "sync/http_transport.h"
#include "tests/support/http_test_kit.h"

namespace staffel::api {
namespace {

using test::RawAnswer;
using test::RawClient;
using test::TestIdentity;
using namespace std::chrono_literals;

// Says what reached the handler: "METHOD path|body".
Response Echo(const Request& request) {
  Response response;
  response.headers.emplace_back("Content-Type", "text/plain");
  response.body = request.method + " " + request.path + "|" + request.body;
  return response;
}

std::unique_ptr<Server> StartServer(ListenerOptions options = {}, Handler handler = Echo) {
  auto server = Server::Start(std::move(options), std::move(handler));
  if (!server) FAIL(server.error().message);
  return std::move(*server);
}

ListenerOptions WithTls(const TestIdentity& identity, ClientCertificates certificates) {
  ListenerOptions options;
  options.tls = TlsOptions{identity.certificate_pem, identity.key_pem, certificates};
  return options;
}

Result<std::unique_ptr<sync::HttpTransport>> TransportTo(const Server& server,
                                                         const TestIdentity& expected,
                                                         const TestIdentity* own) {
  sync::HttpTransport::Options options;
  options.url = "https://" + server.address();
  options.pinned_keys = {expected.key};
  if (own != nullptr) options.identity = sync::TlsIdentity{own->certificate_pem, own->key_pem};
  return sync::HttpTransport::Create(std::move(options));
}

RawAnswer AskOnce(const Server& server, std::string_view bytes) {
  RawClient client(server.port());
  return client.Ask(bytes);
}

std::string Get(std::string_view target) {
  return "GET " + std::string(target) + " HTTP/1.1\r\nHost: x\r\n\r\n";
}

// A handler's gate: lets handlers wait until they are told, or told to stop.
class Gathering {
 public:
  // Returns whether the request was told to end.
  bool Wait(const std::stop_token& closing) {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.notify_all();
    return !changed_.wait(lock, closing, [&] { return open_; });
  }
  void Await(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return waiting_ >= count; });
  }
  void Open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable_any changed_;
  int waiting_ = 0;
  bool open_ = false;
};

}  // namespace

TEST_CASE("a request reaches the handler with its parts, decoded") {
  Request seen;
  const auto server = StartServer({}, [&](const Request& request) {
    seen = request;
    return Response{};
  });
  const auto answer = AskOnce(*server,
                              "POST /a%20b/%C3%BC?q=x+y&leer&z=%26 HTTP/1.1\r\nHost: x\r\n"
                              "X-Twice: 1\r\nx-twice:  2 \r\nContent-Length: 3\r\n\r\nabc");
  CHECK(answer.status == 200);
  CHECK(seen.method == "POST");
  CHECK(seen.path == "/a b/ü");
  CHECK(seen.target == "/a%20b/%C3%BC?q=x+y&leer&z=%26");
  CHECK(seen.query == decltype(seen.query){{"q", "x y"}, {"leer", ""}, {"z", "&"}});
  CHECK(seen.Query("z") == "&");
  CHECK(seen.Header("x-twice") == "1");
  CHECK(seen.headers[2] == std::pair<std::string, std::string>{"x-twice", "2"});
  CHECK(seen.body == "abc");
  CHECK(seen.peer_address == "127.0.0.1");
  CHECK_FALSE(seen.peer_key);
}

TEST_CASE("two requests sent in one piece are both answered, in order") {
  const auto server = StartServer();
  RawClient client(server->port());
  client.Send(Get("/1") + "POST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab" + Get("/3"));
  CHECK(client.Receive().body == "GET /1|");
  CHECK(client.Receive().body == "POST /2|ab");
  CHECK(client.Receive().body == "GET /3|");
}

TEST_CASE("DAV methods reach the handler under their own names, and none can be faked") {
  const auto server = StartServer();
  RawClient client(server->port());
  for (const std::string method :
       {"PROPFIND", "REPORT", "MKCALENDAR", "MKCOL", "PROPPATCH", "PATCH", "DELETE"}) {
    CHECK(client.Ask(method + " /dav/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n!").body ==
          method + " /dav/|!");
  }
  CHECK(client
            .Ask("POST /dav/ HTTP/1.1\r\nHost: x\r\nX-HTTP-Method-Override: DELETE\r\n"
                 "Staffel-Method: DELETE\r\nX-Method: DELETE\r\nContent-Length: 0\r\n\r\n")
            .body == "POST /dav/|");
}

TEST_CASE("HEAD has the length of GET and no body, and 204 has no length") {
  const auto server = StartServer({}, [](const Request& request) {
    Response response = Echo(request);
    if (request.path == "/none") response = {204, {}, ""};
    return response;
  });
  RawClient client(server->port());
  client.Send("HEAD /x HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto head = client.Receive(/*to_head=*/true);
  CHECK(head.status == 200);
  CHECK(sync::FindField(head.fields, "content-length") == "8");
  CHECK_FALSE(sync::FindField(head.fields, "accept-ranges"));
  // The connection is in step: what follows is an answer, not a body.
  const auto none = client.Ask(Get("/none"));
  CHECK(none.status == 204);
  CHECK_FALSE(sync::FindField(none.fields, "content-length"));
  CHECK(client.Ask(Get("/y")).body == "GET /y|");
}

TEST_CASE("what could be read in two ways is refused") {
  const auto server = StartServer();
  const auto status = [&](std::string_view bytes) { return AskOnce(*server, bytes).status; };
  const std::string post = "POST / HTTP/1.1\r\nHost: x\r\n";
  CHECK(status(post + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n") == 400);
  CHECK(status(post + "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx") == 400);
  CHECK(status(post + "Content-Length: 1, 1\r\n\r\nx") == 400);
  CHECK(status(post + "Content-Length: +1\r\n\r\nx") == 400);
  CHECK(status(post + "Content-Length: -1\r\n\r\nx") == 400);
  CHECK(status(post + "Content-Length: 99999999999999999999999\r\n\r\nx") == 400);
  CHECK(status(post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n") == 501);
  CHECK(status(post +
               "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n") == 501);
  CHECK(status("GET / HTTP/1.1\nHost: x\n\n") == 400);
  CHECK(status("GET / HTTP/1.1\r\nHost: x\rX: y\r\n\r\n") == 400);
  CHECK(status("GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n") == 400);
  CHECK(status("GET / HTTP/1.1\r\nHost: x\r\nX : a\r\n\r\n") == 400);
  CHECK(status(std::string("GET / HTTP/1.1\r\nHost: x\0y\r\n\r\n", 29)) == 400);
  CHECK(status("GET / HTTP/1.1\r\n\r\n") == 400);
  CHECK(status("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n") == 400);
  CHECK(status("GET  / HTTP/1.1\r\nHost: x\r\n\r\n") == 400);
  CHECK(status("GET / HTTP/2.0\r\nHost: x\r\n\r\n") == 505);
  CHECK(status("GET /../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n") == 400);
  CHECK(status("GET /%2e%2e/etc HTTP/1.1\r\nHost: x\r\n\r\n") == 400);
  CHECK(status("GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n") == 400);
  CHECK(status("GET /%ff HTTP/1.1\r\nHost: x\r\n\r\n") == 400);
  CHECK(status("CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n") == 501);
  CHECK(server->stats().requests == 0);
}

TEST_CASE("an endless request line, head, or number of fields is cut at its limit") {
  const auto server = StartServer();
  {
    RawClient client(server->port());
    const auto answer = client.Ask("GET /" + std::string(1 << 20, 'a'));
    CHECK(answer.status == 414);
    CHECK(answer.body.find("8192 bytes") != std::string::npos);
    CHECK(client.IsEnded());
  }
  std::string fields = "GET / HTTP/1.1\r\nHost: x\r\n";
  for (int i = 0; i < 40'000; ++i) fields += "a: b\r\n";
  CHECK(AskOnce(*server, fields + "\r\n").status == 431);
  CHECK(AskOnce(*server, "GET / HTTP/1.1\r\nHost: x\r\na: " + std::string(40'000, 'b')).status ==
        431);
  // Just within: 99 further fields, 8 KiB of line.
  std::string allowed = "GET /" + std::string(8192 - 14, 'a') + " HTTP/1.1\r\nHost: x\r\n";
  for (int i = 0; i < 99; ++i) allowed += "a: b\r\n";
  CHECK(AskOnce(*server, allowed + "\r\n").status == 200);
}

TEST_CASE("bodies: chunks are put together, and every body has a limit") {
  ListenerOptions options;
  options.limits.request_body_bytes_max = 1000;
  const auto server = StartServer(std::move(options));
  const std::string chunked = "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  CHECK(AskOnce(*server, chunked + "3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n")
            .body == "POST /c|abc0123456789");
  CHECK(AskOnce(*server, chunked + "-2\r\nab\r\n0\r\n\r\n").status == 400);
  CHECK(AskOnce(*server, chunked + "0x2\r\nab\r\n0\r\n\r\n").status == 400);
  CHECK(AskOnce(*server, chunked + "2\r\nabc\r\n0\r\n\r\n").status == 400);
  CHECK(AskOnce(*server, chunked + "ffffffffffffffffff\r\n").status == 400);
  CHECK(AskOnce(*server, chunked + "fffffffffffffff\r\n").status == 413);
  CHECK(AskOnce(*server, chunked + "2\nab\n0\n\n").status == 400);
  CHECK(AskOnce(*server, chunked + "1;" + std::string(300, 'x') + "\r\n").status == 400);
  std::string many = chunked;
  for (int i = 0; i < 101; ++i) many += "a\r\n0123456789\r\n";
  CHECK(AskOnce(*server, many + "0\r\n\r\n").status == 413);
  CHECK(AskOnce(*server, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n").status ==
        413);
  CHECK(AskOnce(*server, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n" +
                             std::string(1000, 'z'))
            .status == 200);
  // No length is no body, answered at once.
  CHECK(AskOnce(*server, "POST /n HTTP/1.1\r\nHost: x\r\n\r\n").body == "POST /n|");
}

TEST_CASE("a refused upload of many megabytes still learns why") {
  const auto server = StartServer();
  RawClient client(server->port());
  client.Send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n" +
              std::string(900'000, 'x'));
  const auto answer = client.Receive();
  CHECK(answer.status == 413);
  CHECK(sync::FindField(answer.fields, "content-type") == "application/problem+json");
  CHECK(sync::FindField(answer.fields, "connection") == "close");
}

TEST_CASE("all bodies together have a limit, and give their share back") {
  ListenerOptions options;
  options.limits.request_bodies_bytes_max = 100'000;
  Gathering gathering;
  const auto server = StartServer(std::move(options), [&](const Request& request) {
    if (request.path == "/wait") gathering.Wait(request.closing);
    return Response{};
  });
  const auto post = [](std::string_view path, std::size_t size) {
    return "POST " + std::string(path) +
           " HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n" +
           std::string(size, 'x');
  };
  RawClient first(server->port());
  first.Send(post("/wait", 60'000));
  gathering.Await(1);
  const auto refused = AskOnce(*server, post("/", 60'000));
  CHECK(refused.status == 503);
  CHECK(sync::FindField(refused.fields, "retry-after") == "1");
  gathering.Open();
  CHECK(first.Receive().status == 200);
  // The answer leaves a moment before the share is given back: the next request on the same
  // connection comes after that for certain.
  CHECK(first.Ask(post("/", 60'000)).status == 200);
}

TEST_CASE("the gate refuses a request before its body is read") {
  ListenerOptions options;
  options.gate = [](const Request& request) -> std::optional<Response> {
    if (request.path == "/open") return std::nullopt;
    return Problem(403, "Strangers send nothing here.");
  };
  const auto server = StartServer(std::move(options));
  CHECK(AskOnce(*server, "POST /shut HTTP/1.1\r\nHost: x\r\nContent-Length: 16000000\r\n\r\n")
            .status == 403);
  RawClient client(server->port());
  CHECK(client.Ask(Get("/shut")).status == 403);
  CHECK(client.Ask(Get("/open")).status == 200);  // nothing was left unread: it goes on
}

TEST_CASE("Expect: 100-continue is answered before the body, other expectations are refused") {
  const auto server = StartServer();
  RawClient client(server->port());
  CHECK(
      client.Ask("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
          .status == 100);
  CHECK(client.Ask("ok").body == "POST /|ok");
  CHECK(client.Ask("GET / HTTP/1.1\r\nHost: x\r\nExpect: much\r\n\r\n").status == 417);
}

TEST_CASE("a content coding is refused unless the handler decodes it") {
  ListenerOptions options;
  options.content_encodings = {"zstd"};
  const auto server = StartServer(std::move(options));
  const std::string post = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Encoding: ";
  CHECK(AskOnce(*server, post + "gzip\r\n\r\nx").status == 415);
  CHECK(AskOnce(*server, post + "zstd, gzip\r\n\r\nx").status == 415);
  CHECK(AskOnce(*server, post + "zstd\r\n\r\nx").status == 200);
  CHECK(AskOnce(*server, post + "identity\r\n\r\nx").status == 200);
}

TEST_CASE("a client that sends a byte at a time is cut off by the deadline of the whole request") {
  ListenerOptions options;
  options.limits.head_deadline = 300ms;
  options.limits.body_deadline = 300ms;
  const auto server = StartServer(std::move(options));
  const auto drip = [&](std::string_view begin, char byte) {
    RawClient client(server->port());
    client.Send(begin);
    // Each byte comes well within any pause between bytes that a server could grant.
    std::jthread dripping([&](const std::stop_token& stop) {
      while (!stop.stop_requested() && send(client.channel.fd(), &byte, 1, MSG_NOSIGNAL) == 1) {
        std::this_thread::sleep_for(10ms);
      }
    });
    return client.Receive().status;
  };
  CHECK(drip("GET /", 'a') == 408);
  CHECK(drip("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n", 'b') == 408);
}

TEST_CASE("idle and half-open connections do not hold up others") {
  const TestIdentity identity("server");
  const auto server = StartServer(WithTls(identity, ClientCertificates::kNone));
  std::list<RawClient> idle;
  for (int i = 0; i < 64; ++i) idle.emplace_back(server->port());  // no TLS handshake ever comes
  const auto transport = TransportTo(*server, identity, nullptr);
  REQUIRE(transport);
  const auto answer = (*transport)->Post("/", {}, "x");
  REQUIRE(answer);
  CHECK(answer->body == "POST /|x");
}

TEST_CASE("connections are capped per peer and in all, and a place freed is given again") {
  ListenerOptions options;
  options.limits.connections_per_peer_max = 2;
  const auto server = StartServer(std::move(options));
  {
    RawClient first(server->port());
    RawClient second(server->port());
    CHECK(first.Ask(Get("/")).status == 200);
    CHECK(second.Ask(Get("/")).status == 200);
    RawClient third(server->port());
    CHECK(third.IsEnded());
    CHECK(first.Ask(Get("/")).status == 200);
    CHECK(server->stats().turned_away == 1);
    // This one ends for certain before the next comes: the server says so by ending it itself.
    first.Send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    CHECK(first.Receive().status == 200);
    CHECK(first.IsEnded());
  }
  RawAnswer answer;
  const auto end = test::Soon();
  while (answer.status != 200 && std::chrono::steady_clock::now() < end) {
    answer = AskOnce(*server, Get("/"));
  }
  CHECK(answer.status == 200);

  ListenerOptions tight;
  tight.limits.connections_max = 1;
  const auto small = StartServer(std::move(tight));
  RawClient only(small->port());
  CHECK(only.Ask(Get("/")).status == 200);
  CHECK(AskOnce(*small, Get("/")).status == 0);
}

TEST_CASE("keep-alive ends after its limits, on request, and with HTTP/1.0") {
  ListenerOptions options;
  options.limits.requests_per_connection_max = 3;
  options.limits.keep_alive_idle = 200ms;
  const auto server = StartServer(std::move(options));
  RawClient client(server->port());
  CHECK_FALSE(sync::FindField(client.Ask(Get("/")).fields, "connection"));
  client.Ask(Get("/"));
  CHECK(sync::FindField(client.Ask(Get("/")).fields, "connection") == "close");
  CHECK(client.IsEnded());
  RawClient closing(server->port());
  CHECK(closing.Ask("GET / HTTP/1.1\r\nHost: x\r\nConnection: Close\r\n\r\n").status == 200);
  CHECK(closing.IsEnded());
  RawClient old(server->port());
  CHECK(old.Ask("GET / HTTP/1.0\r\n\r\n").status == 200);
  CHECK(old.IsEnded());
  RawClient idle(server->port());
  CHECK(idle.Ask(Get("/")).status == 200);
  CHECK(idle.IsEnded());
}

TEST_CASE("what a handler throws becomes a bare 500, and what it may not send is left out") {
  std::mutex mutex;
  std::vector<std::string> reports;
  ListenerOptions options;
  options.report = [&](const std::string& sentence) {
    const std::lock_guard lock(mutex);
    reports.push_back(sentence);
  };
  const auto server = StartServer(std::move(options), [](const Request& request) {
    if (request.path == "/throw") throw std::runtime_error("the secret");
    if (request.path == "/odd") throw 42;
    Response response;
    response.headers = {{"X-Good", "yes"},
                        {"X-Split", "a\r\nX-Evil: b"},
                        {"Content-Length", "99"},
                        {"Transfer-Encoding", "chunked"}};
    response.body = "body";
    return response;
  });
  RawClient client(server->port());
  for (const std::string path : {"/throw", "/odd"}) {
    const auto answer = client.Ask(Get(path));
    CHECK(answer.status == 500);
    CHECK(answer.body.find("secret") == std::string::npos);
    for (const auto& [name, value] : answer.fields)
      CHECK(value.find("secret") == std::string::npos);
  }
  {
    const std::lock_guard lock(mutex);
    REQUIRE(reports.size() == 2);
    CHECK(reports[0] == "answering GET /throw failed with an exception: the secret");
  }
  const auto answer = client.Ask(Get("/"));
  CHECK(answer.body == "body");
  CHECK(sync::FindField(answer.fields, "x-good") == "yes");
  CHECK_FALSE(sync::FindField(answer.fields, "x-evil"));
  CHECK_FALSE(sync::FindField(answer.fields, "x-split"));
  CHECK(sync::FindField(answer.fields, "date"));
}

TEST_CASE("an answer of many megabytes arrives whole") {
  const std::string big(8 << 20, 'q');
  const auto server = StartServer({}, [&](const Request&) { return Response{200, {}, big}; });
  CHECK(AskOnce(*server, Get("/")).body == big);
}

TEST_CASE("a peer that hangs up ends its waiting handler") {
  Gathering gathering;
  std::promise<bool> told;
  const auto server = StartServer({}, [&](const Request& request) {
    told.set_value(gathering.Wait(request.closing));
    return Response{};
  });
  {
    RawClient client(server->port());
    client.Send(Get("/"));
    gathering.Await(1);
  }
  auto future = told.get_future();
  REQUIRE(future.wait_for(test::kPatience) == std::future_status::ready);
  CHECK(future.get());
}

TEST_CASE("a stop ends a hundred waiting requests, answers them, and frees the port") {
  const TestIdentity identity("server");
  Gathering gathering;
  auto server =
      StartServer(WithTls(identity, ClientCertificates::kNone), [&](const Request& request) {
        return Response{gathering.Wait(request.closing) ? 503 : 200, {}, ""};
      });
  const auto transport = TransportTo(*server, identity, nullptr);
  REQUIRE(transport);
  std::atomic<int> answered = 0;
  {
    std::vector<std::jthread> clients;
    for (int i = 0; i < 100; ++i) {
      clients.emplace_back([&] {
        const auto answer = (*transport)->Post("/wait", {}, "");
        if (answer && answer->status == 503) ++answered;
      });
    }
    gathering.Await(100);
    RawClient idle(server->port());
    const auto begin = std::chrono::steady_clock::now();
    server->Stop();
    // The promise is two seconds; the bound here only tells a stop from a hang.
    CHECK(std::chrono::steady_clock::now() - begin < 10s);
    CHECK(idle.IsEnded());
  }
  CHECK(answered == 100);
  CHECK(server->stats().open == 0);
  ListenerOptions again;
  again.port = server->port();
  server.reset();
  CHECK(Server::Start(again, Echo));
}

TEST_CASE("a stop cuts a client that does not read its answer") {
  std::latch entered(1);
  const std::string big(64 << 20, 'q');
  auto server = StartServer({}, [&](const Request&) {
    entered.count_down();
    return Response{200, {}, big};
  });
  RawClient client(server->port());
  client.Send(Get("/"));
  entered.wait();
  const auto begin = std::chrono::steady_clock::now();
  server->Stop();
  CHECK(std::chrono::steady_clock::now() - begin < 10s);  // the answer's deadline would be 30 s
}

TEST_CASE("a Unix socket is private, replaces a stale one, and refuses what is not one") {
  const test::TestDirectory directory;
  const std::string path = (directory.path() / "admin.sock").string();
  ListenerOptions options;
  options.unix_path = path;
  {
    const auto server = StartServer(options, [](const Request& request) {
      return Response{200, {}, request.peer_address};
    });
    struct stat file {};
    REQUIRE(stat(path.c_str(), &file) == 0);
    CHECK((file.st_mode & 0777) == 0600);
    CHECK(server->port() == 0);
    CHECK(server->address() == path);
    RawClient client(path);
    CHECK(client.Ask(Get("/")).body == "unix");
    const auto second = Server::Start(options, Echo);
    REQUIRE_FALSE(second);
    CHECK(second.error().code == ErrorCode::kExists);
    CHECK(second.error().message.find("already listens") != std::string::npos);
    CHECK(RawClient(path).Ask(Get("/")).status == 200);  // the living one lives on
  }
  CHECK_FALSE(std::filesystem::exists(path));
  {
    // What a killed process leaves behind.
    const sync::Descriptor dead(::socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(bind(dead.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  }
  {
    const auto server = StartServer(options);
    CHECK(RawClient(path).Ask(Get("/")).status == 200);
  }
  std::ofstream(path) << "precious";
  const auto refused = Server::Start(options, Echo);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kExists);
  CHECK(std::filesystem::file_size(path) == 8);
  options.unix_path = (directory.path() / std::string(200, 'x')).string();
  CHECK(Server::Start(options, Echo).error().code == ErrorCode::kInvalid);
}

TEST_CASE("it listens on IPv6, and says why it cannot listen") {
  ListenerOptions options;
  options.address = "::1";
  if (auto server = Server::Start(options, Echo)) {
    CHECK((*server)->address() == "[::1]:" + std::to_string((*server)->port()));
  } else {
    WARN("this machine has no IPv6: " << server.error().message);
  }
  const auto first = StartServer();
  ListenerOptions taken;
  taken.port = first->port();
  CHECK(Server::Start(taken, Echo).error().message.find(std::to_string(first->port())) !=
        std::string::npos);
  taken.address = "nowhere";
  CHECK(Server::Start(taken, Echo).error().code == ErrorCode::kInvalid);
}

TEST_CASE("client certificates: the key that is proven reaches the handler") {
  const TestIdentity identity("server");
  const TestIdentity client("client");
  const auto tell_key = [](const Request& request) {
    return Response{200, {}, request.peer_key ? request.peer_key->Fingerprint().Hex() : "none"};
  };
  const auto ask = [&](const Server& server, const TestIdentity* own) {
    const auto transport = TransportTo(server, identity, own);
    return (*transport)->Post("/", {}, "");
  };
  SECTION("required") {
    const auto server = StartServer(WithTls(identity, ClientCertificates::kRequired), tell_key);
    const auto known = ask(*server, &client);
    REQUIRE(known);
    CHECK(known->body == client.key.Fingerprint().Hex());
    CHECK(known->peer_key == identity.key);
    const auto nobody = ask(*server, nullptr);
    REQUIRE_FALSE(nobody);
    CHECK(nobody.error().code == ErrorCode::kDenied);
    CHECK(nobody.error().message.find("refuses our TLS certificate") != std::string::npos);
  }
  SECTION("optional") {
    const auto server = StartServer(WithTls(identity, ClientCertificates::kOptional), tell_key);
    CHECK(ask(*server, &client)->body == client.key.Fingerprint().Hex());
    CHECK(ask(*server, nullptr)->body == "none");
  }
  SECTION("none") {
    const auto server = StartServer(WithTls(identity, ClientCertificates::kNone), tell_key);
    CHECK(ask(*server, &client)->body == "none");
  }
}

TEST_CASE("resumed sessions keep the client's key") {
  const TestIdentity identity("server");
  const TestIdentity client("client");
  ListenerOptions options = WithTls(identity, ClientCertificates::kRequired);
  options.limits.requests_per_connection_max = 1;
  const auto server = StartServer(std::move(options), [](const Request& request) {
    return Response{200, {}, request.peer_key->Fingerprint().Hex()};
  });
  const auto transport = TransportTo(*server, identity, &client);
  REQUIRE(transport);
  for (int i = 0; i < 5; ++i) {
    const auto answer = (*transport)->Post("/", {}, "");
    REQUIRE(answer);
    CHECK(answer->body == client.key.Fingerprint().Hex());
    CHECK(answer->peer_key == identity.key);
  }
  CHECK((*transport)->stats().connections == 5);
  CHECK((*transport)->stats().resumed == 4);
}

TEST_CASE("TLS 1.2 is refused") {
  const TestIdentity identity("server");
  const auto server = StartServer(WithTls(identity, ClientCertificates::kNone));
  const auto shakes_hands = [&](int version) {
    const std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context(SSL_CTX_new(TLS_client_method()),
                                                               SSL_CTX_free);
    SSL_CTX_set_min_proto_version(context.get(), version);
    SSL_CTX_set_max_proto_version(context.get(), version);
    const std::unique_ptr<SSL, void (*)(SSL*)> ssl(SSL_new(context.get()), SSL_free);
    const sync::Descriptor socket = test::ConnectTo(server->port());
    SSL_set_fd(ssl.get(), socket.get());
    return SSL_connect(ssl.get()) == 1;
  };
  CHECK_FALSE(shakes_hands(TLS1_2_VERSION));
  CHECK(shakes_hands(TLS1_3_VERSION));
}

TEST_CASE("a certificate is replaced while the server runs, and a bad one changes nothing") {
  const TestIdentity before("before");
  const TestIdentity after("after");
  const auto server = StartServer(WithTls(before, ClientCertificates::kNone));
  const auto old_transport = TransportTo(*server, before, nullptr);
  REQUIRE((*old_transport)->Post("/", {}, ""));
  CHECK(server->ReloadCertificate("rubbish", after.key_pem).error().code == ErrorCode::kInvalid);
  CHECK_FALSE(server->ReloadCertificate(after.certificate_pem, before.key_pem));
  CHECK((*TransportTo(*server, before, nullptr))->Post("/", {}, ""));
  REQUIRE(server->ReloadCertificate(after.certificate_pem, after.key_pem));
  CHECK((*old_transport)->Post("/", {}, ""));  // its connection goes on
  CHECK((*TransportTo(*server, after, nullptr))->Post("/", {}, ""));
  CHECK((*TransportTo(*server, before, nullptr))->Post("/", {}, "").error().code ==
        ErrorCode::kDenied);
  CHECK_FALSE(StartServer()->ReloadCertificate(after.certificate_pem, after.key_pem));
  CHECK_FALSE(Server::Start(
      [&] {
        auto options = WithTls(before, ClientCertificates::kNone);
        options.tls->key_pem = after.key_pem;
        return options;
      }(),
      Echo));
}

TEST_CASE("garbage and plain HTTP on a TLS port, and TLS on a plain one, harm nobody") {
  const TestIdentity identity("server");
  const auto server = StartServer(WithTls(identity, ClientCertificates::kNone));
  CHECK(AskOnce(*server, Get("/")).status == 0);
  CHECK(AskOnce(*server, std::string(100'000, '\xff')).status == 0);
  CHECK((*TransportTo(*server, identity, nullptr))->Post("/", {}, ""));
  const auto plain = StartServer();
  const auto answer = (*TransportTo(*plain, identity, nullptr))->Post("/", {}, "");
  REQUIRE_FALSE(answer);
  CHECK(answer.error().code == ErrorCode::kUnavailable);
  CHECK(AskOnce(*plain, Get("/")).status == 200);
}

TEST_CASE("many requests on many connections are all answered") {
  const TestIdentity identity("server");
  const auto server = StartServer(WithTls(identity, ClientCertificates::kNone));
  const auto transport = TransportTo(*server, identity, nullptr);
  std::atomic<int> right = 0;
  {
    std::vector<std::jthread> clients;
    for (int i = 0; i < 8; ++i) {
      clients.emplace_back([&, i] {
        for (int j = 0; j < 50; ++j) {
          const std::string body = std::to_string(i) + "-" + std::to_string(j);
          const auto answer = (*transport)->Post("/", {}, body);
          if (answer && answer->body == "POST /|" + body) ++right;
        }
      });
    }
  }
  CHECK(right == 400);
  CHECK(server->stats().requests == 400);
}

}  // namespace staffel::api
