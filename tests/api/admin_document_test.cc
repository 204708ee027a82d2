// SPDX-License-Identifier: EUPL-1.2
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "api/router.h"
#include "core/base/result.h"

namespace staffel::api {
namespace {

TEST_CASE("the table of codes in docs/formats/admin.md is the one in the program") {
  std::ifstream file(STAFFEL_SOURCE_DIR "/docs/formats/admin.md");
  std::stringstream text;
  text << file.rdbuf();
  REQUIRE_FALSE(text.str().empty());
  for (int code = 0; code <= static_cast<int>(ErrorCode::kInternal); ++code) {
    const auto one = static_cast<ErrorCode>(code);
    const std::string line = fmt::format("| {} | {} |", ErrorCodeName(one), HttpStatus(one));
    CHECK_THAT(text.str(), Catch::Contains(line));
  }
}

}  // namespace
}  // namespace staffel::api
