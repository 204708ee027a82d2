// SPDX-License-Identifier: EUPL-1.2
// Searching as people do: "muller", "mueller" and "Müller" all find Müller, and what is shown of a
// hit is the text as it was written. The index itself is the store's business. Any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace staffel {

// What an index by substrings holds of a text: the text folded (text.h), and behind it once more
// the words with an umlaut, written ae, oe, ue. So "ue" finds an umlaut only where there is one:
// "neue" does not find "neu".
[[nodiscard]] std::string IndexForm(std::string_view text);

// A word of a query in the forms that stand for it, the folded one first; a hit has any of them.
struct SearchWord {
  std::vector<std::string> forms;
  [[nodiscard]] bool IsIn(std::string_view index_form) const;
};
// The words of a query, in its order, at most `words_max`; none where it holds nothing to look for.
[[nodiscard]] std::vector<SearchWord> WordsOfQuery(std::string_view query, std::size_t words_max);

// A piece of `text`, as it is written, of about `bytes` bytes around the first word found in it;
// line breaks are blanks. Its beginning where none is found.
[[nodiscard]] std::string SnippetOf(std::string_view text, const std::vector<SearchWord>& words,
                                    std::size_t bytes);

}  // namespace staffel
