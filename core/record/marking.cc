// SPDX-License-Identifier: EUPL-1.2
#include "core/record/marking.h"

#include <array>
#include <vector>

#include "core/base/text.h"

namespace staffel::record {
namespace {

struct Pattern {
  std::string_view letters;  // folded, nothing between them
  bool ends_word = false;    // what follows must be a new word
  std::string_view name;
};

// All begin at a word's beginning: "TVs NFD" is none.
constexpr std::array kPatterns = {
    Pattern{"vsnfd", true, "VS-NfD"},
    Pattern{"nurfurdendienstgebrauch", false, "VS – NUR FÜR DEN DIENSTGEBRAUCH"},
    Pattern{"nurfuerdendienstgebrauch", false, "VS – NUR FÜR DEN DIENSTGEBRAUCH"},
    Pattern{"vsvertraulich", true, "VS-VERTRAULICH"},
    Pattern{"vsvertr", true, "VS-VERTRAULICH"},
    Pattern{"vsgeheim", true, "GEHEIM"},
    Pattern{"amtlichgeheimgehalten", true, "GEHEIM (amtlich geheim gehalten)"},
    Pattern{"strenggeheim", true, "STRENG GEHEIM"},
};

}  // namespace

std::optional<std::string> FindMarking(std::string_view text) {
  const std::string folded = FoldForSearch(text);
  // The letters alone, each with whether a word begins there: spacing and punctuation, also inside
  // of "V S - N f D", are of no account.
  std::string letters;
  std::vector<bool> begins;
  bool apart = true;
  for (char c : folded) {
    if (c < 'a' || c > 'z') {
      apart = true;
      continue;
    }
    letters.push_back(c);
    begins.push_back(apart);
    apart = false;
  }
  for (const Pattern& pattern : kPatterns) {
    for (std::size_t at = letters.find(pattern.letters); at != std::string::npos;
         at = letters.find(pattern.letters, at + 1)) {
      const std::size_t end = at + pattern.letters.size();
      if (begins[at] && (!pattern.ends_word || end == letters.size() || begins[end])) {
        return std::string(pattern.name);
      }
    }
  }
  return std::nullopt;
}

Status RefuseMarked(std::string_view what, std::string_view text) {
  const auto marking = FindMarking(text);
  if (!marking) return {};
  return Fail(ErrorCode::kDenied,
              "the {} is marked {}: this system is not approved for classified information; keep "
              "it out of here",
              what, *marking);
}

}  // namespace staffel::record
