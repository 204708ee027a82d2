// SPDX-License-Identifier: EUPL-1.2
#include "api/durable_file.h"

#include <catch2/catch.hpp>
#include <sys/stat.h>

#include "api/config.h"
#include "tests/support/temporary_directory.h"

namespace staffel::api {
namespace {

TEST_CASE("a durable file is replaced whole, for its owner alone, and leaves nothing beside it") {
  const testing::TemporaryDirectory directory;
  const std::string path = directory.path() + "/twin";
  REQUIRE(WriteDurably(path, "eins"));
  REQUIRE(WriteDurably(path, "zwei"));
  CHECK(*ReadFile(path, 100) == "zwei");
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  CHECK_FALSE(FileExists(path + ".part"));
  // What a crash left beside it is in nobody's way.
  REQUIRE(WriteDurably(path + ".part", "rest"));
  REQUIRE(WriteDurably(path, "drei"));
  CHECK(*ReadFile(path, 100) == "drei");
}

TEST_CASE("where a durable file cannot be written the old one stands, and the reason is said") {
  const testing::TemporaryDirectory directory;
  const auto nowhere = WriteDurably(directory.path() + "/nowhere/twin", "eins");
  REQUIRE_FALSE(nowhere);
  CHECK(nowhere.error().code == ErrorCode::kStorage);
  CHECK(nowhere.error().message.find("No such file") != std::string::npos);
  const auto missing = PutInPlace(directory.path() + "/part", directory.path() + "/file");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == ErrorCode::kStorage);
}

}  // namespace
}  // namespace staffel::api
