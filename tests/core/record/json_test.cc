// SPDX-License-Identifier: EUPL-1.2
#include "core/record/json.h"

#include <catch2/catch.hpp>

using namespace staffel;
using namespace staffel::record;

namespace {

std::string Refusal(std::string_view text) {
  const auto parsed = ParseJson(text);
  REQUIRE_FALSE(parsed);
  return parsed.error().message;
}

}  // namespace

TEST_CASE("JSON values come with their types and their order") {
  const auto value = ParseJson(R"({"b": [1, -2, 2.5, true, null], "a": "\u00e4\ud83d\ude00"})");
  REQUIRE(value);
  REQUIRE(value->members.size() == 2);
  CHECK(value->members[0].first == "b");
  const auto& items = value->members[0].second.items;
  REQUIRE(items.size() == 5);
  CHECK(items[0].integer == 1);
  CHECK(items[1].negative);
  CHECK(items[1].integer == 2);
  CHECK(items[2].type == JsonType::kFraction);
  CHECK(items[3].truth);
  CHECK(items[4].type == JsonType::kNull);
  CHECK(value->Find("a")->text == "ä😀");
  CHECK(value->Find("c") == nullptr);
  CHECK(ParseJson("-9223372036854775808")->integer == 9223372036854775808u);
  CHECK(ParseJson("18446744073709551615")->integer == 18446744073709551615u);
}

TEST_CASE("half a JSON, two of them, and other syntax are refused at their place") {
  CHECK(Refusal("{\n \"a\": ").starts_with("line 2, column "));
  CHECK(Refusal("{\"a\": 1} x").starts_with("line 1, column "));
  for (const char* bad : {"", "{", "[1,]", "{'a':1}", "nul", "01", "\"\x01\"", "{\"a\":1,}", "\"a",
                          "\xff", "[1 2]", "\"\\ud800\"", "1e999", "// x\n1"}) {
    INFO(bad);
    CHECK_FALSE(ParseJson(bad).has_value());
  }
}

TEST_CASE("a name that stands twice is refused by name") {
  CHECK(Refusal(R"({"title": "a", "x": {}, "title": "b"})").find("'title' stands there twice") !=
        std::string::npos);
}

TEST_CASE("depth, size and number of values have limits") {
  CHECK(ParseJson(std::string(kJsonDepthMax, '[') + std::string(kJsonDepthMax, ']')).has_value());
  CHECK(Refusal(std::string(kJsonDepthMax + 1, '[')).find("nested deeper") != std::string::npos);
  CHECK(Refusal(std::string(200'000, '[')).find("nested deeper") != std::string::npos);
  CHECK(ParseJson(std::string(kJsonBytesMax + 1, ' ')).error().code == ErrorCode::kTooLarge);
  std::string many = "[0";
  for (std::size_t i = 0; i <= kJsonValuesMax; ++i) many += ",0";
  CHECK(ParseJson(many + "]").error().code == ErrorCode::kTooLarge);
}

TEST_CASE("places count characters, as editors do") {
  CHECK(JsonPlace("äöü\nß", 0) == "line 1, column 1");
  CHECK(JsonPlace("äöü\nß", 6) == "line 1, column 4");
  CHECK(JsonPlace("äöü\nß", 7) == "line 2, column 1");
  CHECK(JsonPlace("ab", 99) == "line 1, column 3");
}

TEST_CASE("text written as JSON reads back the same") {
  for (const std::string& text :
       {std::string("Grüße \"an\" \\alle\n\tzwei"), std::string("\x01\x1f\x7f")}) {
    std::string out;
    AppendJsonText(out, text);
    const auto value = ParseJson(out);
    REQUIRE(value);
    CHECK(value->text == text);
  }
  std::string out;
  AppendJsonText(out, "a\xff");
  CHECK(ParseJson(out).has_value());
}
