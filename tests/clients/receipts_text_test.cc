// SPDX-License-Identifier: EUPL-1.2
// The reasons why an entry has no effect: what the node names, the page describes, and the command
// line explains in both languages.
#include <fstream>
#include <sstream>

#include <catch2/catch.hpp>

#include "api/admin/receipts.h"
#include "clients/cli/commands.h"

namespace staffel {
namespace {

TEST_CASE(
    "every reason has a name, a line in docs/formats/admin.md, and advice in both languages") {
  std::ifstream file(STAFFEL_SOURCE_DIR "/docs/formats/admin.md");
  std::stringstream page;
  page << file.rdbuf();
  REQUIRE_FALSE(page.str().empty());
  for (int at = 1; at <= static_cast<int>(charter::Reason::kNewerFormat); ++at) {
    const auto reason = static_cast<charter::Reason>(at);
    const std::string name(api::ReasonName(reason));
    INFO(name);
    CHECK(name != "unknown");
    CHECK_THAT(page.str(), Catch::Contains("| " + name + " |"));
    cli::Context context;
    const std::string sentence(charter::ReasonSentence(reason));
    const std::string german = cli::ReasonText(context, name, sentence);
    CHECK(german != sentence);
    CHECK_FALSE(cli::AdviceText(context, name).empty());
    context.language = cli::Language::kEnglish;
    CHECK(cli::ReasonText(context, name, sentence) != german);
    CHECK_FALSE(cli::AdviceText(context, name).empty());
  }
  CHECK(api::ReasonName(charter::Reason::kValid).empty());
}

TEST_CASE("a reason of a later version is shown by its own sentence") {
  const cli::Context context;
  CHECK(cli::ReasonText(context, "of-tomorrow", "the entry is odd") == "the entry is odd");
  CHECK(cli::AdviceText(context, "of-tomorrow").empty());
}

TEST_CASE("what is received, at the ministry, and never received is said apart") {
  cli::Context context;
  CHECK_THAT(cli::ReceptionText(context, "received", 1'750'000'000'000),
             Catch::StartsWith("eingegangen "));
  CHECK(cli::ReceptionText(context, "ministry", 0) == "am Ministerium, noch nicht eingegangen");
  CHECK_THAT(cli::ReceptionText(context, "no-chair", 0), Catch::Contains("kein Vorsitz"));
  context.language = cli::Language::kEnglish;
  CHECK_THAT(cli::ReceptionText(context, "ministry", 0), Catch::Contains("not yet received"));
}

}  // namespace
}  // namespace staffel
