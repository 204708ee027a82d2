// SPDX-License-Identifier: EUPL-1.2
// That no sentence is missing here is checked by tests/core/base/german_sentences_test.py, which
// reads the sources.
#include "core/base/german.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include <catch2/catch.hpp>

#include "core/base/language.h"

namespace staffel {
namespace {

std::size_t Values(std::string_view english) {
  std::size_t count = 0;
  for (auto at = english.find("{}"); at != std::string_view::npos;
       at = english.find("{}", at + 2)) {
    ++count;
  }
  return count;
}

// Which values the German template uses: bit by bit.
unsigned Used(std::string_view german) {
  unsigned used = 0;
  unsigned next = 0;
  for (std::size_t at = german.find('{'); at != std::string_view::npos;
       at = german.find('{', at + 1)) {
    if (german.substr(at, 2) == "{}") used |= 1u << next++;
    if (at + 2 < german.size() && german[at + 2] == '}' && german[at + 1] >= '0' &&
        german[at + 1] <= '9') {
      used |= 1u << static_cast<unsigned>(german[at + 1] - '0');
    }
  }
  return used;
}

TEST_CASE("the catalogue is sorted, has each sentence once, and no German one loses a value") {
  const auto all = GermanSentences();
  REQUIRE(all.size() > 300);
  // What the German says more shortly than the English, on purpose.
  constexpr std::string_view kShorter[] = {"{}: {} required {} missing"};
  for (std::size_t i = 0; i < all.size(); ++i) {
    INFO(all[i].english);
    if (i > 0) CHECK(all[i - 1].english < all[i].english);
    CHECK_FALSE(all[i].german.empty());
    if (std::find(std::begin(kShorter), std::end(kShorter), all[i].english) != std::end(kShorter)) {
      continue;
    }
    CHECK(Used(all[i].german) == (1u << Values(all[i].english)) - 1);
  }
}

TEST_CASE("a sentence is said in German with its values") {
  CHECK(InGerman("no record has an id that begins with 902c") ==
        "kein Datensatz hat eine Kennung, die mit 902c beginnt");
  CHECK(InGerman("the node stops") == "der Knoten wird gerade beendet");
}

TEST_CASE("sentences in sentences are said in German, too") {
  CHECK(InGerman("line 3, column 14: field 'when.start': '2025-02-30' is no real date; write "
                 "YYYY-MM-DD") ==
        "Zeile 3, Spalte 14: Feld „when.start“: „2025-02-30“ ist kein wirkliches Datum; bitte "
        "JJJJ-MM-TT schreiben");
  CHECK(InGerman("field 'titel': kind event has no such field; did you mean 'title'? (there are: "
                 "title, when)") ==
        "Feld „titel“: ein Datensatz der Art event hat kein solches Feld; gemeint vielleicht "
        "'title'? (Es gibt: title, when)");
}

TEST_CASE("what is put around a sentence leaves it German, and text of others as it was") {
  CHECK(InGerman("c.toml:2:2: replica: is no key; known here: data, log") ==
        "c.toml:2:2: replica: ist kein Schlüssel; bekannt sind hier: data, log");
  CHECK(InGerman("c.toml:3:1: replicas.port: must be a whole number")
            .ends_with("eine ganze Zahl sein"));
  CHECK(InGerman("line 1: the file is empty: there is no data set in it; nothing was imported")
            .ends_with("; nichts wurde übernommen"));
  CHECK(InGerman("/x/y cannot be read: " + std::string(std::strerror(EACCES))) ==
        "/x/y ist nicht lesbar: keine Berechtigung");
  CHECK(InGerman("file is not a database (SQLite 26)") == "file is not a database (SQLite 26)");
}

TEST_CASE("sentences one behind the other are said in German one by one") {
  // As core/charter/needs.cc makes them of a change that needs several approvals.
  CHECK(InGerman("gives BY its first key: needs the signatures of a quorum: 2 of NI, NW, BY; has "
                 "NI. changes rule 'rotation.next': needs NI, or the signatures of a quorum: 2 of "
                 "NI, NW, BY; has nobody") ==
        "gibt BY seinen ersten Schlüssel: braucht die Unterschriften eines Quorums: 2 von NI, NW, "
        "BY; hat NI. ändert die Regel „rotation.next“: braucht NI oder die Unterschriften eines "
        "Quorums: 2 von NI, NW, BY; hat niemanden");
  // As core/store/erasure.cc does of what stands against an erasure.
  CHECK(InGerman("note 4f2a cannot be erased by NI alone: it holds what only BY may write; the "
                 "charter does not list its kind as personal. The chair (NI) can erase it on its "
                 "node. A quorum's charter entry can name it") ==
        "note 4f2a darf NI nicht allein löschen: es enthält, was nur BY schreiben darf; die "
        "Satzung führt seine Art nicht als personenbezogen. Der Vorsitz (NI) kann es auf seinem "
        "Knoten löschen. Der Satzungseintrag eines Quorums kann es nennen");
}

TEST_CASE("a text of others with full stops in it stays the one value that it is") {
  CHECK(InGerman("rule deadline.x from 2025: „Hallo. Welt; so“") ==
        "Regel deadline.x ab 2025: „Hallo. Welt; so“");
  CHECK(InGerman("the conference is called A. B") == "die Konferenz heißt A. B");
  CHECK(InGerman("„Nr. 5“ is no member id such as NI") ==
        "„Nr. 5“ ist keine Kennung eines Mitglieds wie NI");
  std::string many = "the node stops";
  for (int i = 0; i < 10'000; ++i) many += ". the node stops";
  CHECK(InGerman(many).size() >= many.size() / 2);
}

TEST_CASE("values stay as they are, and so does what is unknown") {
  CHECK(InGerman("") == "");
  CHECK(InGerman("something that nobody ever wrote") == "something that nobody ever wrote");
  CHECK(InGerman("'the moon' is no real date; write YYYY-MM-DD") ==
        "„the moon“ ist kein wirkliches Datum; bitte JJJJ-MM-TT schreiben");
  // Braces in what a person wrote are no places for values.
  CHECK(InGerman("'{0}{}' is no real date; write YYYY-MM-DD") ==
        "„{0}{}“ ist kein wirkliches Datum; bitte JJJJ-MM-TT schreiben");
  CHECK(InGerman("line 1, column 2: an object is wanted here, as {\"start\": …}, not text")
            .starts_with("Zeile 1, Spalte 2: hier wird ein Objekt verlangt, etwa {\"start\": …}"));
}

TEST_CASE("what was asked for last decides the language, and German is the first") {
  const char* english[] = {"staffel", "--lang", "en", "status"};
  CHECK(ChooseLanguage(4, english) == Language::kEnglish);
  const char* assigned[] = {"staffel", "--lang=en"};
  CHECK(ChooseLanguage(2, assigned) == Language::kEnglish);
  const char* german[] = {"staffel", "--lang", "de"};
  CHECK(ChooseLanguage(3, german) == Language::kGerman);
}

}  // namespace
}  // namespace staffel
