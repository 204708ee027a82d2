// SPDX-License-Identifier: EUPL-1.2
#include "api/config.h"

#include <fstream>
#include <string>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "core/crypto/certificate.h"
#include "core/crypto/key.h"
#include "tests/support/temporary_directory.h"

namespace staffel::api {
namespace {

std::string Refusal(std::string_view text) {
  const auto config = ParseConfig(text, "/etc/staffel/staffel.toml");
  REQUIRE_FALSE(config);
  return config.error().message;
}

TEST_CASE("the shortest configuration names a data directory, beside its file") {
  const auto config = ParseConfig("data = \"var\"\n", "/etc/staffel/staffel.toml");
  REQUIRE(config);
  CHECK(config->directory == "/etc/staffel/var");
  CHECK(config->cosign);
  CHECK_FALSE(config->replicas);
  CHECK_FALSE(config->people);
  CHECK(config->log_level == "info");
}

TEST_CASE("every key is read") {
  const auto config = ParseConfig(R"(
data = "/var/lib/staffel"
member = "NI"
cosign = false
[replicas]
address = "::"
port = 7443
url = "https://intmk.example.org:7443"
[people]
address = "127.0.0.1"
port = 8443
certificate = "people.crt"
key = "people.key"
[proxy]
url = "http://proxy.example.org:3128"
user = "staffel"
password_file = "secret"
[exchange]
retry_max_seconds = 30
[log]
level = "debug"
file = "log"
)",
                                  "/etc/staffel/staffel.toml");
  REQUIRE(config);
  CHECK(config->directory == "/var/lib/staffel");
  CHECK(config->member->text() == "NI");
  CHECK_FALSE(config->cosign);
  CHECK(config->replicas->address == "::");
  CHECK(config->replicas->port == 7443);
  CHECK(config->url == "https://intmk.example.org:7443");
  CHECK(config->people->port == 8443);
  CHECK(config->certificate_file == "/etc/staffel/people.crt");
  CHECK(config->key_file == "/etc/staffel/people.key");
  CHECK(config->proxy_url == "http://proxy.example.org:3128");
  CHECK(config->proxy_user == "staffel");
  CHECK(config->proxy_password_file == "/etc/staffel/secret");
  CHECK(config->retry_max == std::chrono::seconds(30));
  CHECK(config->log_level == "debug");
  CHECK(config->log_file == "/etc/staffel/log");
}

TEST_CASE("a refusal names file, line and column, the key and the reason") {
  CHECK(Refusal("data = \"x\"\n\n[people]\n  port = \"443\"\n") ==
        "/etc/staffel/staffel.toml:4:10: people.port: must be a whole number");
}

TEST_CASE("unknown keys are refused, with those that are known") {
  const std::string message = Refusal("data = \"x\"\n[replicas]\nport = 1\nadress = \"::\"\n");
  CHECK_THAT(message, Catch::StartsWith("/etc/staffel/staffel.toml:4:1: replicas.adress: "));
  CHECK_THAT(message, Catch::Contains("address, port, url"));
  CHECK_THAT(Refusal("data = \"x\"\nmembre = \"NI\"\n"), Catch::Contains("membre"));
}

TEST_CASE("wrong values are refused") {
  const std::string data = "data = \"x\"\n";
  for (const std::string& text :
       {std::string(),
        std::string("data = \"\""),
        std::string("data = 1"),
        data + "data = \"y\"",
        data + "member = \"Niedersachsen!\"",
        data + "cosign = \"yes\"",
        data + "replicas = 1",
        data + "[replicas]",
        data + "[replicas]\nport = 65536",
        data + "[replicas]\nport = -1",
        data + "[replicas]\nport = 1\naddress = \"localhost\"",
        data + "[replicas]\nport = 1\naddress = \"300.1.1.1\"",
        data + "[replicas]\nport = 1\naddress = \"1:2\"",
        data + "[replicas]\nport = 1\nurl = \"http://x\"",
        data + "[replicas]\nport = 1\nurl = \"https://\"",
        data + "[people]\nport = 1\ncertificate = \"c\"",
        data + "[people]\nport = 1\nkey = \"k\"",
        data + "[proxy]",
        data + "[proxy]\nurl = \"http://user:secret@proxy:1\"",
        data + "[proxy]\nurl = \"http://proxy:1\"\nuser = \"u\"",
        data + "[proxy]\nurl = \"http://proxy:1\"\nuser = \"a:b\"\npassword_file = \"p\"",
        data + "[exchange]\nretry_max_seconds = 0",
        data + "[log]\nlevel = \"loud\"",
        data + "data2 = \"half",
        std::string("\xff\xfe"),
        std::string("data = \"a\\u0000b\"")}) {
    INFO(text);
    CHECK_THAT(Refusal(text), Catch::StartsWith("/etc/staffel/staffel.toml:"));
  }
}

TEST_CASE("what could never work is refused before it is tried") {
  const auto listens = [](std::string_view replicas, std::string_view people) {
    return fmt::format("data = \"x\"\n[replicas]\n{}\n[people]\n{}\n", replicas, people);
  };
  CHECK(Refusal(listens("port = 7443", "port = 7443")).find("same address and port") !=
        std::string::npos);
  CHECK(Refusal(listens("address = \"::\"\nport = 7443", "port = 7443")).find("same address") !=
        std::string::npos);
  CHECK(ParseConfig(listens("port = 0", "port = 0"), "f"));
  CHECK(ParseConfig(listens("address = \"127.0.0.2\"\nport = 7443", "port = 7443"), "f"));
  for (const std::string_view url :
       {"https://x:99999/y", "https://x:0", "https://x:", "https://x:7y"}) {
    CAPTURE(url);
    CHECK(Refusal(fmt::format("data = \"x\"\n[replicas]\nport = 1\nurl = \"{}\"\n", url))
              .find("port of an address") != std::string::npos);
  }
  CHECK(ParseConfig("data = \"x\"\n[replicas]\nport = 1\nurl = \"https://[::1]/y\"\n", "f"));
  // A file that cannot be made, a directory that is a file.
  const testing::TemporaryDirectory directory;
  const std::string file = directory.path() + "/file";
  std::ofstream(file) << "x";
  const auto checked = [&](const std::string& text) {
    const auto config = ParseConfig(text, directory.path() + "/staffel.toml");
    REQUIRE(config);
    return CheckFiles(*config);
  };
  CHECK(checked("data = \"new/node\"\n[log]\nfile = \"log\"\n"));
  CHECK_FALSE(checked("data = \"file/node\"\n"));
  // The node makes its data directory, and nothing for its log.
  CHECK_FALSE(checked("data = \"node\"\n[log]\nfile = \"missing/log\"\n"));
  CHECK_FALSE(checked("data = \"node\"\n[log]\nfile = \"file/log\"\n"));
}

TEST_CASE("an address that hears on all is none to tell") {
  CHECK(ListenerConfig{"::", 1}.HearsOnAll());
  CHECK(ListenerConfig{"0.0.0.0", 1}.HearsOnAll());
  CHECK(ListenerConfig{"0:0::0", 1}.HearsOnAll());
  CHECK_FALSE(ListenerConfig{"127.0.0.1", 1}.HearsOnAll());
  CHECK_FALSE(ListenerConfig{"::1", 1}.HearsOnAll());
}

TEST_CASE("a password in the proxy's address is refused and not repeated") {
  CHECK_THAT(Refusal("data = \"x\"\n[proxy]\nurl = \"http://user:secret@proxy:1\"\n"),
             !Catch::Contains("secret"));
}

TEST_CASE("the example in the documentation is in order and shows every table") {
  const std::string file = STAFFEL_SOURCE_DIR "/docs/operating/staffeld.toml";
  const auto text = ReadFile(file, kConfigBytesMax);
  REQUIRE(text);
  const auto config = ParseConfig(*text, file);
  REQUIRE(config);
  CHECK(config->replicas);
  CHECK(config->people);
  CHECK_FALSE(config->proxy_url.empty());
}

TEST_CASE("a file that the configuration names and that cannot be read is refused with its place") {
  const testing::TemporaryDirectory directory;
  const std::string file = directory.path() + "/staffel.toml";
  const auto refusal = [&](const std::string& text) {
    std::ofstream(file) << "data = \"x\"\n" << text;
    const auto config = LoadConfig(file);
    REQUIRE_FALSE(config);
    return config.error().message;
  };
  std::ofstream(directory.path() + "/there") << "something";
  const auto first = crypto::KeyPair::Generate().value();
  std::ofstream(directory.path() + "/a.crt")
      << crypto::MakeSelfSignedCertificate(first, "a").value();
  std::ofstream(directory.path() + "/a.key") << first.ToPem();
  std::ofstream(directory.path() + "/b.key") << crypto::KeyPair::Generate().value().ToPem();
  CHECK_THAT(refusal("[people]\nport = 1\ncertificate = \"none\"\nkey = \"there\"\n"),
             Catch::StartsWith(file + ":4:15: people.certificate: ") && Catch::Contains("none"));
  CHECK_THAT(refusal("[people]\nport = 1\ncertificate = \"there\"\nkey = \"a.key\"\n"),
             Catch::StartsWith(file + ":4:15: people.certificate: there is no TLS certificate"));
  CHECK_THAT(refusal("[people]\nport = 1\ncertificate = \"a.crt\"\nkey = \".\"\n"),
             Catch::StartsWith(file + ":5:7: people.key: "));
  CHECK_THAT(refusal("[people]\nport = 1\ncertificate = \"a.crt\"\nkey = \"there\"\n"),
             Catch::StartsWith(file + ":5:7: people.key: there is no readable private key"));
  CHECK_THAT(refusal("[people]\nport = 1\ncertificate = \"a.crt\"\nkey = \"b.key\"\n"),
             Catch::StartsWith(file + ":5:7: people.key: the private key does not belong"));
  CHECK_THAT(
      refusal("[log]\nfile = \"lgo/staffeld.log\"\n"),
      Catch::StartsWith(file + ":3:8: log.file: ") && Catch::Contains("lgo is no directory"));
  std::ofstream(file) << "data = \"x\"\n[people]\nport = 1\ncertificate = \"a.crt\"\nkey = "
                         "\"a.key\"\n[log]\nfile = \"staffeld.log\"\n";
  const auto good = LoadConfig(file);
  INFO((good ? "" : good.error().message));
  CHECK(good);
  CHECK_THAT(refusal("[proxy]\nurl = \"http://p:1\"\nuser = \"u\"\npassword_file = \"none\"\n"),
             Catch::StartsWith(file + ":5:17: proxy.password_file: "));
}

TEST_CASE("files that are missing, too large or no files are refused") {
  const testing::TemporaryDirectory directory;
  CHECK(LoadConfig(directory.path() + "/none.toml").error().code == ErrorCode::kNotFound);
  CHECK(LoadConfig(directory.path()).error().code == ErrorCode::kInvalid);
  std::ofstream(directory.path() + "/large.toml") << std::string(kConfigBytesMax + 1, '#');
  CHECK(LoadConfig(directory.path() + "/large.toml").error().code == ErrorCode::kTooLarge);
}

}  // namespace
}  // namespace staffel::api
