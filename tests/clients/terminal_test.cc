// SPDX-License-Identifier: EUPL-1.2
#include "clients/cli/terminal.h"

#include <catch2/catch.hpp>

namespace staffel::cli {
namespace {

using Lines = std::vector<std::string>;

TEST_CASE("width counts what a terminal shows, not bytes") {
  CHECK(DisplayWidth("") == 0);
  CHECK(DisplayWidth("Müller") == 6);
  CHECK(DisplayWidth("Mu\u0308ller") == 6);  // a combining mark
  CHECK(DisplayWidth("Phương Nguyễn") == 13);
  CHECK(DisplayWidth("会議") == 4);
  CHECK(DisplayWidth("\U0001F389") == 2);
  CHECK(DisplayWidth("a\xFFz") == 3);
  CHECK(Pad("é", 3) == "é  ");
  CHECK(Pad("abcd", 3) == "abcd");
}

TEST_CASE("text of others cannot steer the terminal") {
  CHECK(Clean("a\x1B[31mb") == "a␛[31mb");
  CHECK(Clean("a\x07"
              "b\rc") == "a␇b␍c");
  CHECK(Clean("a\tb\nc") == "a b\nc");
  CHECK(Clean("a\xC2\x9B"
              "31m") == "a\uFFFD31m");             // an 8-bit control character
  CHECK(Clean("abc\u202Edef") == "abc\uFFFDdef");  // would turn the rest round
  CHECK(Clean("a\xFF\xC3") == "a\uFFFD\uFFFD");
  CHECK(Clean("Straße „2.4a“") == "Straße „2.4a“");
}

TEST_CASE("lines break between words, long words are cut, line breaks stay") {
  CHECK(Wrap("eins zwei drei", 9) == Lines{"eins zwei", "drei"});
  CHECK(Wrap("eins\n\nzwei", 20) == Lines{"eins", "", "zwei"});
  CHECK(Wrap("Bundesländer", 5) == Lines{"Bunde", "sländ", "er"});
  CHECK(Wrap("", 5) == Lines{""});
  CHECK(Wrap("eins zwei drei", 0) == Lines{"eins zwei drei"});
  CHECK(Wrap("会議会議", 5) == Lines{"会議", "会議"});
}

TEST_CASE("tables line up by width, and fit the terminal") {
  Table table({"TOP", "Titel"});
  table.Add({"2.4a", "Zugewanderte Frauen"});
  table.Add({"1", "Şahin"});
  CHECK(table.Render(0) ==
        "TOP   Titel\n"
        "────  ───────────────────\n"
        "2.4a  Zugewanderte Frauen\n"
        "1     Şahin\n");
  CHECK(table.Render(20) ==
        "TOP   Titel\n"
        "────  ──────────────\n"
        "2.4a  Zugewanderte\n"
        "      Frauen\n"
        "1     Şahin\n");
}

}  // namespace
}  // namespace staffel::cli
