// SPDX-License-Identifier: EUPL-1.2
#include "core/base/search_text.h"

#include <algorithm>
#include <utility>

#include "core/base/text.h"

namespace staffel {
namespace {

// In front of the hit a snippet shows this part of its length.
constexpr std::size_t kSnippetBeforeDivisor = 4;

bool IsContinuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// The bytes of the character at the front, at least one.
std::size_t CharacterBytes(std::string_view text) {
  std::size_t bytes = 1;
  while (bytes < text.size() && IsContinuation(text[bytes])) ++bytes;
  return bytes;
}

// "ae" for ä; nothing for characters that are not written with an e. Text is in NFC.
std::string_view WithE(std::string_view character) {
  constexpr std::pair<std::string_view, std::string_view> kWritten[] = {
      {"ä", "ae"}, {"ö", "oe"}, {"ü", "ue"}, {"Ä", "ae"},
      {"Ö", "oe"}, {"Ü", "ue"}, {"ø", "oe"}, {"Ø", "oe"}};
  for (const auto& [letter, written] : kWritten) {
    if (letter == character) return written;
  }
  return {};
}

// The word folded with its umlauts written ae, oe, ue; empty where it has none.
std::string WrittenWithE(std::string_view word) {
  // All of these letters begin with this byte: most words are passed at once.
  if (word.find('\xC3') == std::string_view::npos) return {};
  std::string written;
  bool any = false;
  while (!word.empty()) {
    const std::string_view character = word.substr(0, CharacterBytes(word));
    const std::string_view with_e = WithE(character);
    any = any || !with_e.empty();
    written += with_e.empty() ? character : with_e;
    word.remove_prefix(character.size());
  }
  return any ? FoldForSearch(written) : std::string();
}

// Calls `take` with each run of characters that are no blanks.
template <typename Take>
void EachWord(std::string_view text, Take take) {
  const auto is_blank = [](char c) { return static_cast<unsigned char>(c) <= ' '; };
  while (!text.empty()) {
    const auto begin = std::find_if_not(text.begin(), text.end(), is_blank);
    const auto end = std::find_if(begin, text.end(), is_blank);
    if (begin != end && !take(std::string_view(&*begin, static_cast<std::size_t>(end - begin)))) {
      return;
    }
    text.remove_prefix(static_cast<std::size_t>(end - text.begin()));
  }
}

// The folded text with the place in the original that each byte comes from.
struct Folded {
  std::string text;
  std::vector<std::size_t> origin;
};

Folded FoldWithOrigins(std::string_view text, bool with_e) {
  Folded folded;
  folded.text.reserve(text.size());
  folded.origin.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::string_view character = text.substr(at, CharacterBytes(text.substr(at)));
    const std::string_view written = with_e ? WithE(character) : std::string_view();
    folded.text += written.empty() ? FoldForSearch(character) : std::string(written);
    folded.origin.resize(folded.text.size(), at);
    at += character.size();
  }
  return folded;
}

}  // namespace

std::string IndexForm(std::string_view text) {
  std::string form = FoldForSearch(text);
  EachWord(text, [&](std::string_view word) {
    const std::string written = WrittenWithE(word);
    if (!written.empty()) {
      if (form.empty() || form.back() != '\n') form += '\n';
      form += written + '\n';
    }
    return true;
  });
  return form;
}

bool SearchWord::IsIn(std::string_view index_form) const {
  return std::any_of(forms.begin(), forms.end(), [&](const std::string& form) {
    return index_form.find(form) != std::string_view::npos;
  });
}

std::vector<SearchWord> WordsOfQuery(std::string_view query, std::size_t words_max) {
  std::vector<SearchWord> words;
  const auto nfc = ToNfc(query);
  EachWord(nfc ? std::string_view(*nfc) : query, [&](std::string_view word) {
    SearchWord found;
    const std::string folded = FoldForSearch(word);
    if (folded.empty()) return true;
    found.forms.push_back(folded);
    // Whoever asks for Müller also means what somebody without umlauts wrote as Mueller.
    const std::string written = WrittenWithE(word);
    if (!written.empty()) found.forms.push_back(written);
    words.push_back(std::move(found));
    return words.size() < words_max;
  });
  return words;
}

std::string SnippetOf(std::string_view text, const std::vector<SearchWord>& words,
                      std::size_t bytes) {
  std::size_t hit = std::string_view::npos;
  for (const bool with_e : {false, true}) {
    const Folded folded = FoldWithOrigins(text, with_e);
    for (const SearchWord& word : words) {
      for (const std::string& form : word.forms) {
        const std::size_t at = folded.text.find(form);
        if (at != std::string::npos) hit = std::min(hit, folded.origin[at]);
      }
    }
    if (hit != std::string_view::npos) break;
  }
  const std::size_t before = bytes / kSnippetBeforeDivisor;
  std::size_t begin = hit == std::string_view::npos || hit < before ? 0 : hit - before;
  while (begin > 0 && IsContinuation(text[begin])) --begin;
  if (begin > 0) {
    // From a whole word on, where one begins before the hit.
    const std::size_t blank = text.find_first_of(" \n", begin);
    if (blank < hit) begin = blank + 1;
  }
  std::size_t end = std::min(text.size(), begin + bytes);
  while (end < text.size() && IsContinuation(text[end])) ++end;
  while (end > begin && text[end - 1] == '\n') --end;
  std::string snippet(text.substr(begin, end - begin));
  std::replace(snippet.begin(), snippet.end(), '\n', ' ');
  const bool goes_on = text.find_first_not_of('\n', end) != std::string_view::npos;
  return (begin > 0 ? "…" : "") + snippet + (goes_on ? "…" : "");
}

}  // namespace staffel
