// SPDX-License-Identifier: EUPL-1.2
#include "core/base/search_text.h"

#include <algorithm>

#include <catch2/catch.hpp>

namespace staffel {
namespace {

bool Finds(std::string_view query, std::string_view text) {
  const std::string form = IndexForm(text);
  const auto words = WordsOfQuery(query, 16);
  return !words.empty() && std::all_of(words.begin(), words.end(),
                                       [&](const SearchWord& word) { return word.IsIn(form); });
}

TEST_CASE("an umlaut is found with it, without it, and written with an e") {
  for (const char* query : {"Müller", "muller", "mueller", "MUELLER", "müller", "uelle"}) {
    INFO(query);
    CHECK(Finds(query, "Karl-Heinz Beispiel-Müller"));
  }
  CHECK(Finds("oehlmann", "Dr. Imke Beispiel-Öhlmann"));
  CHECK(Finds("kraefte", "Beschleunigung der Fachkräfteeinwanderung"));
  CHECK(Finds("Oeyvind", "Øyvind Jensen"));
  CHECK(Finds("gross", "Nele Muster-Groß"));
}

TEST_CASE("what was written with an e is found with the umlaut, too") {
  CHECK(Finds("Müller", "Hans Mueller"));
  CHECK(Finds("mueller", "Hans Mueller"));
}

TEST_CASE("an e behind a vowel that is no umlaut is not taken for one") {
  CHECK(Finds("neue", "Neue Eckpunkte"));
  CHECK_FALSE(Finds("neue", "Neun Eckpunkte"));
  CHECK_FALSE(Finds("aktuelle", "aktulle"));
}

TEST_CASE("several words are all looked for, in any order") {
  CHECK(Finds("laender bekraeftigen", "Die Länder bekräftigen"));
  CHECK(Finds("bekräftigen laender", "Die Länder bekräftigen"));
  CHECK_FALSE(Finds("laender ablehnen", "Die Länder bekräftigen"));
  CHECK(WordsOfQuery(" \n ", 16).empty());
  CHECK(WordsOfQuery("a b c", 2).size() == 2);
}

TEST_CASE("a snippet shows the text as it was written") {
  const std::string text = "Beschluss\nDie Länder bekräftigen die Bedeutung der Beratung";
  CHECK(SnippetOf(text, WordsOfQuery("laender", 16), 160) ==
        "Beschluss Die Länder bekräftigen die Bedeutung der Beratung");
  const std::string snippet = SnippetOf(text, WordsOfQuery("bedeutung", 16), 40);
  CHECK(snippet == "…die Bedeutung der Beratung");
  // Nothing is cut inside of a character.
  for (std::size_t bytes = 8; bytes < text.size(); ++bytes) {
    const std::string cut = SnippetOf(text, WordsOfQuery("bekraeftigen", 16), bytes);
    CHECK(cut.find("\xEF\xBF\xBD") == std::string::npos);
    CHECK(cut.find("bekr") != std::string::npos);
  }
}

TEST_CASE("any bytes can be indexed and shown") {
  for (const char* text : {"", "\xFF\xFE", "\xC3", "a\xC3", "\xC3\xBC\xC3"}) {
    (void)IndexForm(text);
    (void)SnippetOf(text, WordsOfQuery("a", 16), 10);
  }
  CHECK(SnippetOf("", WordsOfQuery("a", 16), 10).empty());
}

}  // namespace
}  // namespace staffel
