// SPDX-License-Identifier: EUPL-1.2
#include "core/record/word_diff.h"

#include <catch2/catch.hpp>
#include <rapidcheck/catch.h>

using namespace staffel::record;

namespace {

std::string Side(const std::vector<DiffPart>& parts, DiffPart::What left_out) {
  std::string text;
  for (const DiffPart& part : parts) {
    if (part.what != left_out) text += part.text;
  }
  return text;
}

const std::string kBase =
    "Sie bitten den Bund, die Migrationsberatung bedarfsgerecht zu finanzieren.";

std::string Sentence(const std::vector<int>& words) {
  static const std::vector<std::string> kWords = {"Bund", "Länder", "bitten", "und", ",",
                                                  ".",    "„Wort“", " ",      "\n"};
  std::string text;
  for (int word : words) text += kWords[static_cast<std::size_t>(word) % kWords.size()] + " ";
  return text;
}

}  // namespace

TEST_CASE("a diff shows the words that changed") {
  CHECK(DiffToText(WordDiff("Die alte Fassung.", "Die neue Fassung.")) ==
        "Die [-alte-]{+neue+} Fassung.");
  CHECK(DiffToText(WordDiff(kBase, kBase)) == kBase);
  CHECK(DiffToText(WordDiff("", "neu")) == "{+neu+}");
  CHECK(DiffToText(WordDiff("alt", "")) == "[-alt-]");
  CHECK(WordDiff("", "").empty());
}

TEST_CASE("both sides of a diff are the texts that went in") {
  rc::prop("base and text come back", [](const std::vector<int>& a, const std::vector<int>& b) {
    const std::string base = Sentence(a), text = Sentence(b);
    const auto parts = WordDiff(base, text);
    RC_ASSERT(Side(parts, DiffPart::What::kInserted) == base);
    RC_ASSERT(Side(parts, DiffPart::What::kDeleted) == text);
  });
}

TEST_CASE("very different long texts give one deletion and one insertion, quickly") {
  std::string a, b;
  for (int i = 0; i < 20'000; ++i) a += "alt" + std::to_string(i) + " ";
  for (int i = 0; i < 20'000; ++i) b += "neu" + std::to_string(i) + "\n";
  const auto parts = WordDiff(a, b);
  CHECK(Side(parts, DiffPart::What::kInserted) == a);
  CHECK(Side(parts, DiffPart::What::kDeleted) == b);
}

TEST_CASE("edits of different words are suggested together") {
  const std::string ni = "Sie bitten den Bund, die Migrationsberatung auskömmlich zu finanzieren.";
  const std::string he =
      "Sie bitten den Bund erneut, die Migrationsberatung bedarfsgerecht zu finanzieren.";
  const std::string both =
      "Sie bitten den Bund erneut, die Migrationsberatung auskömmlich zu finanzieren.";
  CHECK(SuggestMerge(kBase, ni, he) == both);
  CHECK(SuggestMerge(kBase, he, ni) == both);
}

TEST_CASE("edits that meet are for a person") {
  const std::string nw =
      "Sie bitten den Bund, die Migrationsberatung mindestens für drei Haushaltsjahre zu "
      "finanzieren.";
  const std::string by =
      "Sie bitten den Bund, die Migrationsberatung im Rahmen verfügbarer Mittel zu finanzieren.";
  CHECK_FALSE(SuggestMerge(kBase, nw, by).has_value());
  CHECK_FALSE(SuggestMerge(kBase, "", by).has_value());
  // Two insertions at one place have no order.
  CHECK_FALSE(SuggestMerge("a b", "a x b", "a y b").has_value());
}

TEST_CASE("a suggestion holds both edits or is not made, whoever comes first") {
  rc::prop("symmetric, and neutral where one changed nothing",
           [](const std::vector<int>& base, const std::vector<int>& a, const std::vector<int>& b) {
             const std::string text = Sentence(base), left = Sentence(a), right = Sentence(b);
             RC_ASSERT(SuggestMerge(text, left, right) == SuggestMerge(text, right, left));
             RC_ASSERT(SuggestMerge(text, left, text) == left);
             RC_ASSERT(SuggestMerge(text, left, left) == left);
           });
}
