// SPDX-License-Identifier: EUPL-1.2
#include "api/node_directory.h"

#include <filesystem>
#include <fstream>

#include <catch2/catch.hpp>
#include <sys/stat.h>

#include "tests/support/temporary_directory.h"

namespace staffel::api {
namespace {

TEST_CASE("the first start makes a directory for its user alone, and keys in it") {
  const testing::TemporaryDirectory home;
  const std::string path = home.File("node");
  Bytes replica;
  {
    const auto directory = NodeDirectory::Open(path);
    REQUIRE(directory);
    const auto keys = directory->LoadKeys();
    REQUIRE(keys);
    replica = keys->replica.public_key().bytes();
    CHECK(keys->replica.public_key() != keys->tls.public_key());
    for (const char* name : {"", "/replica.key", "/tls.key", "/lock"}) {
      struct stat status {};
      REQUIRE(::stat((path + name).c_str(), &status) == 0);
      CHECK((status.st_mode & 0077) == 0);
    }
  }
  const auto again = NodeDirectory::Open(path);
  REQUIRE(again);
  CHECK(again->LoadKeys()->replica.public_key().bytes() == replica);
}

TEST_CASE("two owners of one directory: the second is refused, and after the first it is not") {
  const testing::TemporaryDirectory home;
  const std::string path = home.File("node");
  {
    const auto first = NodeDirectory::Open(path);
    REQUIRE(first);
    const auto second = NodeDirectory::Open(path);
    REQUIRE_FALSE(second);
    CHECK(second.error().code == ErrorCode::kExists);
    CHECK_THAT(second.error().message, Catch::Contains(path));
  }
  CHECK(NodeDirectory::Open(path));
}

TEST_CASE("a directory or a key that others may read is refused") {
  const testing::TemporaryDirectory home;
  const std::string path = home.File("node");
  {
    const auto directory = NodeDirectory::Open(path);
    REQUIRE(directory->LoadKeys());
    ::chmod(directory->File("tls.key").c_str(), 0604);
    CHECK(directory->LoadKeys().error().code == ErrorCode::kDenied);
  }
  ::chmod(path.c_str(), 0710);
  CHECK(NodeDirectory::Open(path).error().code == ErrorCode::kDenied);
}

TEST_CASE("a key that is missing beside a database, or damaged, is not replaced") {
  const testing::TemporaryDirectory home;
  const auto directory = NodeDirectory::Open(home.File("node"));
  REQUIRE(directory->LoadKeys());
  std::ofstream(directory->database()) << "anything";
  std::filesystem::remove(directory->File("replica.key"));
  CHECK(directory->LoadKeys().error().code == ErrorCode::kCorrupt);
  CHECK_FALSE(std::filesystem::exists(directory->File("replica.key")));
  std::ofstream(directory->File("replica.key")) << "no key";
  ::chmod(directory->File("replica.key").c_str(), 0600);
  CHECK(directory->LoadKeys().error().code == ErrorCode::kCorrupt);
}

TEST_CASE("what is not a directory is refused") {
  const testing::TemporaryDirectory home;
  std::ofstream(home.File("file")) << "x";
  CHECK(NodeDirectory::Open(home.File("file")).error().code == ErrorCode::kStorage);
  CHECK(NodeDirectory::Open(home.File("missing") + "/node").error().code == ErrorCode::kStorage);
}

TEST_CASE(
    "keys are rotated: prepared, in use, and the former one is remembered, whatever crashes") {
  const testing::TemporaryDirectory home;
  const auto directory = NodeDirectory::Open(home.File("node"));
  REQUIRE(directory);
  const auto old = directory->LoadKeys();
  REQUIRE(old);
  REQUIRE(directory->NextKeys(/*make=*/false));
  CHECK_FALSE(directory->NextKeys(/*make=*/false)->has_value());
  CHECK_FALSE(directory->FormerKey()->has_value());
  const auto next = directory->NextKeys(/*make=*/true);
  REQUIRE((next && *next));
  // Asked for again, they are the same.
  CHECK((*directory->NextKeys(true))->replica.public_key() == (*next)->replica.public_key());
  CHECK(directory->LoadKeys()->replica.public_key() == old->replica.public_key());
  const auto in_use = [&] {
    const auto keys = directory->LoadKeys();
    REQUIRE(keys);
    CHECK(keys->replica.public_key() == (*next)->replica.public_key());
    CHECK(keys->tls.public_key() == (*next)->tls.public_key());
    CHECK((*directory->FormerKey())->public_key() == old->replica.public_key());
    CHECK_FALSE(directory->NextKeys(false)->has_value());
  };
  SECTION("without a crash") {
    REQUIRE(directory->SwitchKeys());
    in_use();
    // Nothing is left to switch.
    REQUIRE(directory->SwitchKeys());
    in_use();
  }
  SECTION("cut short after the former key got its second name: it begins anew") {
    std::filesystem::create_hard_link(directory->File("replica.key"),
                                      directory->File("replica-former.key"));
    CHECK(directory->LoadKeys()->replica.public_key() == old->replica.public_key());
    REQUIRE(directory->SwitchKeys());
    in_use();
  }
  SECTION("cut short between the two renames: the next start ends it") {
    std::filesystem::create_hard_link(directory->File("replica.key"),
                                      directory->File("replica-former.key"));
    std::filesystem::rename(directory->File("replica-next.key"), directory->File("replica.key"));
    in_use();
  }
}

}  // namespace
}  // namespace staffel::api
