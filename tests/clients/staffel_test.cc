// SPDX-License-Identifier: EUPL-1.2
// The C interface, and the C++ one over it, against a real node in this process.
#include "staffel/staffel.hpp"

#include <chrono>
#include <csignal>
#include <cstring>
#include <memory>
#include <string>
#include <thread>

#include <catch2/catch.hpp>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/config.h"
#include "api/node.h"
#include "api/server.h"
#include "clients/cpp/http.h"
#include "tests/support/temporary_directory.h"

namespace {

using Catch::Contains;

std::unique_ptr<staffel::api::Node> StartNode(const std::string& path) {
  staffel::api::Config config;
  config.directory = path;
  config.replicas = staffel::api::ListenerConfig{};
  auto node = staffel::api::Node::Start(config);
  INFO((node ? "" : node.error().message));
  REQUIRE(node);
  return std::move(*node);
}

// The text of the first member of this name.
std::string Member(const std::string& json, const std::string& name) {
  const auto key = json.find("\"" + name + "\":\"");
  REQUIRE(key != std::string::npos);
  const auto begin = key + name.size() + 4;
  return json.substr(begin, json.find('"', begin) - begin);
}

constexpr const char* kFound =
    R"({"name": "Test", "member": "NI", "members": [{"id": "NI", "name": "Niedersachsen"},)"
    R"({"id": "NW", "name": "Nordrhein-Westfalen"}]})";

TEST_CASE("a node that does not run is unavailable, and says what to do") {
  const staffel::testing::TemporaryDirectory home;
  staffel_error* error = nullptr;
  CHECK(staffel_open(home.path().c_str(), &error) == nullptr);
  REQUIRE(error != nullptr);
  CHECK(staffel_error_code(error) == STAFFEL_UNAVAILABLE);
  CHECK_THAT(staffel_error_message(error), Contains("staffeld --config"));
  staffel_error_free(error);
  CHECK(staffel_open(home.path().c_str(), nullptr) == nullptr);
  staffel_error_free(nullptr);
  staffel_free(nullptr);
  staffel_close(nullptr);
}

TEST_CASE("a program chooses the language of what it is told") {
  const staffel::testing::TemporaryDirectory home;
  const std::string path = home.File("node");
  const auto daemon = StartNode(path);
  staffel::Node node(path);
  const auto refusal = [&] {
    try {
      (void)node.Show("zzzz");
    } catch (const staffel::RefusedError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK_THAT(refusal(), Contains("is no id"));
  node.SetLanguage("de");
  CHECK_THAT(refusal(), Contains("ist keine Kennung"));
  node.SetLanguage("en");
  CHECK_THAT(refusal(), Contains("is no id"));
  node.SetLanguage("xx");
  CHECK_THAT(refusal(), Contains("is no id"));
  staffel_set_language(nullptr, "de");
}

// A socket whose other side begins to read a request, and closes before it has come to an end.
class HangingUp {
 public:
  explicit HangingUp(const std::string& path) : listening_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    REQUIRE(::bind(listening_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(listening_, 8) == 0);
    thread_ = std::thread([this] {
      for (;;) {
        const int taken = ::accept(listening_, nullptr, nullptr);
        if (taken < 0) return;
        char first = 0;
        [[maybe_unused]] const ssize_t got = ::read(taken, &first, 1);
        ::close(taken);
      }
    });
  }
  ~HangingUp() {
    ::shutdown(listening_, SHUT_RDWR);
    thread_.join();
    ::close(listening_);
  }
  HangingUp(const HangingUp&) = delete;
  HangingUp& operator=(const HangingUp&) = delete;

 private:
  int listening_;
  std::thread thread_;
};

TEST_CASE("a node that hangs up ends no program: no signal, a refusal") {
  const staffel::testing::TemporaryDirectory home;
  const HangingUp node(home.File("socket"));
  struct sigaction before {};
  struct sigaction deadly {};
  deadly.sa_handler = SIG_DFL;
  REQUIRE(sigaction(SIGPIPE, &deadly, &before) == 0);
  staffel::client::HttpConnection connection(home.File("socket"));
  const std::string body(std::size_t{1} << 20, 'x');
  // The signal comes where the other side closes between a look at it and the write: often enough.
  for (int round = 0; round < 200; ++round) {
    const auto reply = connection.Post("/admin/v1/Add", body, std::chrono::seconds(60));
    REQUIRE_FALSE(reply);
    REQUIRE(reply.error().code == staffel::ErrorCode::kUnavailable);
  }
  sigset_t pending;
  sigpending(&pending);
  CHECK(sigismember(&pending, SIGPIPE) == 0);
  sigaction(SIGPIPE, &before, nullptr);
}

TEST_CASE("what is beyond a node's limit is refused before it is sent") {
  CHECK(staffel::client::kRequestBytesMax == staffel::api::kRequestBodyBytesMax);
  const staffel::testing::TemporaryDirectory home;
  const std::string path = home.File("node");
  const auto daemon = StartNode(path);
  staffel::Node node(path);
  try {
    node.Add("event", "{\"title\": \"" + std::string(std::size_t{16} << 20, 'x') + "\"}");
    FAIL("a request without end was taken");
  } catch (const staffel::RefusedError& error) {
    CHECK(error.code() == STAFFEL_TOO_LARGE);
  }
  CHECK_THAT(node.Status(), Contains("unfounded"));
}

TEST_CASE("records are added, shown, changed, deleted and restored") {
  const staffel::testing::TemporaryDirectory home;
  const std::string path = home.File("node");
  const auto daemon = StartNode(path);
  staffel::Node node(path);
  CHECK_THAT(node.Status(), Contains("\"state\":\"unfounded\""));
  CHECK_THROWS_AS(node.Add("event", R"({"title": "Zu früh"})"), staffel::RefusedError);
  node.Invoke("Found", kFound);
  CHECK_THAT(node.Status(), Contains("\"state\":\"member\""));

  const std::string added =
      node.Add("event", R"({"title": "Sitzung", "when": {"start": "2025-05-01"}})");
  const std::string id = Member(added, "id");
  const std::string version = Member(added, "version");
  CHECK_THAT(node.List("event"), Contains("Sitzung"));
  CHECK_THAT(node.Set(id, R"({"title": "Verlegt"})", version), Contains("Verlegt"));
  try {
    node.Set(id, R"({"title": "Zu spät"})", version);
    FAIL("a stale version was taken");
  } catch (const staffel::RefusedError& error) {
    CHECK(error.code() == STAFFEL_CONFLICT);
  }
  CHECK_THAT(node.Delete(id), Contains("\"deleted\":true"));
  CHECK_THAT(node.Restore(id), Contains("\"deleted\":false"));
  CHECK_THAT(node.Search("verl"), Contains(id));
  CHECK_THAT(node.Log(id), Contains("\"before\":\"Sitzung\""));
  CHECK_THAT(node.Kinds(), Contains("\"name\":\"resolution\""));
}

TEST_CASE("wrong input is refused with its code") {
  const staffel::testing::TemporaryDirectory home;
  const std::string path = home.File("node");
  const auto daemon = StartNode(path);
  staffel_error* error = nullptr;
  staffel_node* node = staffel_open(path.c_str(), &error);
  REQUIRE(node != nullptr);
  staffel_free(staffel_call(node, "Found", kFound, &error));
  REQUIRE(error == nullptr);
  const auto refused = [&](char* reply, staffel_code code) {
    CHECK(reply == nullptr);
    REQUIRE(error != nullptr);
    CHECK(staffel_error_code(error) == code);
    CHECK(std::strlen(staffel_error_message(error)) > 10);
    staffel_error_free(error);
    error = nullptr;
  };
  refused(staffel_show(node, "0123456789abcdef", &error), STAFFEL_NOT_FOUND);
  refused(staffel_show(node, "keine Kennung", &error), STAFFEL_INVALID);
  refused(staffel_show(node, nullptr, &error), STAFFEL_INVALID);
  refused(staffel_add(node, "event", "{\"title\": ", &error), STAFFEL_INVALID);
  refused(staffel_add(node, "event", R"({"titel": "x"})", &error), STAFFEL_INVALID);
  refused(staffel_add(node, "events", "{}", &error), STAFFEL_NOT_FOUND);
  refused(staffel_call(node, "Nothing", "{}", &error), STAFFEL_INVALID);
  refused(staffel_call(node, "Show", "{\"nothing\": 1}", &error), STAFFEL_INVALID);
  refused(staffel_call(node, "Found", kFound, &error), STAFFEL_EXISTS);
  refused(staffel_status(nullptr, &error), STAFFEL_INVALID);
  staffel_close(node);
}

TEST_CASE("a connection survives a restart of the daemon") {
  const staffel::testing::TemporaryDirectory home;
  const std::string path = home.File("node");
  auto daemon = StartNode(path);
  staffel::Node node(path);
  node.Invoke("Found", kFound);
  daemon.reset();
  CHECK_THROWS_AS(node.Status(), staffel::RefusedError);
  daemon = StartNode(path);
  CHECK_THAT(node.Status(), Contains("\"state\":\"member\""));
}

TEST_CASE("a socket in a directory with a long name is reached") {
  const staffel::testing::TemporaryDirectory home;
  const std::string path = home.File(std::string(40, 'a'));
  const auto daemon = StartNode(path);
  CHECK_NOTHROW(staffel::Node(path).Status());
}

}  // namespace
