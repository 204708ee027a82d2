// SPDX-License-Identifier: EUPL-1.2
#include "core/base/text.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

namespace staffel {
namespace {

TEST_CASE("well-formed UTF-8 is told from other bytes") {
  for (const std::string_view text : {"", "abc", "Größe", "Phương Nguyễn", "日本", "🏃"}) {
    CAPTURE(text);
    CHECK(IsUtf8(text));
  }
  for (const std::string_view bytes : {
           "\xff", "\xc3", "a\x80", "\xc0\xaf",  // cut short, stray, overlong
           "\xed\xa0\x80",                       // a surrogate
           "\xf4\x90\x80\x80",                   // beyond U+10FFFF
           "\xe2\x82",                           // the first two bytes of €
       }) {
    CAPTURE(bytes);
    CHECK_FALSE(IsUtf8(bytes));
  }
}

TEST_CASE("names typed on any keyboard are stored in one form") {
  // Decomposed, as a Mac's file system or a Vietnamese keyboard gives them, and composed.
  const std::vector<std::pair<std::string, std::string>> names = {
      {"Ceyda S\u0327ahin-Beispiel", "Ceyda \u015eahin-Beispiel"},
      {"Do\u0308rte Musterow", "D\u00f6rte Musterow"},
      {"Dr. Imke Beispiel-O\u0308hlmann", "Dr. Imke Beispiel-\u00d6hlmann"},
      {"Lucie Muster-Lefe\u0300vre", "Lucie Muster-Lef\u00e8vre"},
      {"Phu\u031bo\u031bng Nguye\u0302\u0303n-Muster", "Ph\u01b0\u01a1ng Nguy\u1ec5n-Muster"},
      {"\u00d8yvind Beispiel-Jensen", "\u00d8yvind Beispiel-Jensen"},
      {"Greta Wei\u00df-Beispiel", "Greta Wei\u00df-Beispiel"},
      {"Finn von Musterkamp", "Finn von Musterkamp"},
  };
  for (const auto& [typed, stored] : names) {
    CAPTURE(typed);
    CHECK(ToNfc(typed) == stored);
    CHECK(ToNfc(stored) == stored);
  }
}

TEST_CASE("normalising keeps what only looks alike") {
  CHECK(ToNfc("\ufb01") == "\ufb01");  // the ligature fi is not f and i
  CHECK(ToNfc("\u00b2") == "\u00b2");  // nor is a small two a two
  CHECK(ToNfc("line\nline\ttab") == "line\nline\ttab");
}

TEST_CASE("text that is not UTF-8, or has a NUL, is refused with the reason") {
  CHECK(ToNfc("Gr\xf6\xdf"
              "e")
            .error()
            .message == "the text is not valid UTF-8");
  CHECK(ToNfc(std::string_view("a\0b", 3)).error().message == "the text contains a NUL character");
  CHECK(ToNfc(std::string_view("ä\0b", 4)).error().code == ErrorCode::kInvalid);
}

TEST_CASE("names are found by those who cannot type them") {
  CHECK(FoldForSearch("Ceyda Şahin-Beispiel") == "ceyda sahin-beispiel");
  CHECK(FoldForSearch("Dörte") == "dorte");
  CHECK(FoldForSearch("Öhlmann") == "ohlmann");
  CHECK(FoldForSearch("Weiß") == "weiss");
  CHECK(FoldForSearch("WEISS") == "weiss");
  CHECK(FoldForSearch("Groẞ") == "gross");
  CHECK(FoldForSearch("Lefèvre") == "lefevre");
  CHECK(FoldForSearch("Øyvind") == "oyvind");
  CHECK(FoldForSearch("Phương Nguyễn") == "phuong nguyen");
  CHECK(FoldForSearch("Jale Muster-Özdemir") == "jale muster-ozdemir");
  CHECK(FoldForSearch("Gül") == "gul");
  CHECK(FoldForSearch("Łódź") == "lodz");
  CHECK(FoldForSearch("Đặng") == "dang");
  CHECK(FoldForSearch("Æsir, œuvre") == "aesir, oeuvre");
  CHECK(FoldForSearch("İstanbul, ısı") == "istanbul, isi");
}

TEST_CASE("folding does not care how a text was composed") {
  CHECK(FoldForSearch("S\u0327ahin") == FoldForSearch("\u015eahin"));
  CHECK(FoldForSearch("Nguye\u0302\u0303n") == FoldForSearch("Nguy\u1ec5n"));
  CHECK(FoldForSearch("\ufb01n") == "fin");
}

TEST_CASE("folding what has been folded changes nothing") {
  for (const std::string_view text :
       {"Weiß", "Øyvind", "Phương Nguyễn-Muster", "ẞ", "ﬁn", "Æ", "İ"}) {
    CAPTURE(text);
    const auto once = FoldForSearch(text);
    CHECK(FoldForSearch(once) == once);
  }
}

TEST_CASE("ill-formed bytes fold to nothing") {
  CHECK(FoldForSearch("Gr\xf6\xdf"
                      "e") == "");
  CHECK(FoldForSearch("") == "");
}

TEST_CASE("lists are sorted as a German reader expects") {
  CHECK(CompareGerman("Öhlmann", "Ohlmann") > 0);  // after its plain form …
  CHECK(CompareGerman("Öhlmann", "Olsen") < 0);    // … and long before Z
  CHECK(CompareGerman("Weiß", "Weiss") != 0);
  CHECK(CompareGerman("Weiß", "Weisz") < 0);
  CHECK(CompareGerman("Şahin", "Sander") < 0);
  CHECK(CompareGerman("Bayern", "Bayern") == 0);
  CHECK(CompareGerman("berlin", "Bremen") < 0);
}

}  // namespace
}  // namespace staffel
