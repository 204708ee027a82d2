// SPDX-License-Identifier: EUPL-1.2
#include "core/base/german.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <vector>

namespace staffel {
namespace {

// Sentences hold sentences: "line 3, column 4: field 'when': '2025-02-30' is no real date".
constexpr int kNestingMax = 6;
constexpr std::size_t kValuesMax = 9;

// A template cut at its values: one more literal than values.
struct Pattern {
  std::vector<std::string_view> literals;
  std::size_t literal_bytes = 0;
  const Sentence* sentence = nullptr;
};

Pattern PatternOf(const Sentence& sentence) {
  Pattern pattern;
  pattern.sentence = &sentence;
  std::string_view rest = sentence.english;
  for (;;) {
    const auto value = rest.find("{}");
    pattern.literals.push_back(rest.substr(0, value));
    pattern.literal_bytes += pattern.literals.back().size();
    if (value == std::string_view::npos) return pattern;
    rest.remove_prefix(value + 2);
  }
}

// The most telling template first: of two that fit, the one with more text of its own.
const std::vector<Pattern>& Patterns() {
  static const std::vector<Pattern> patterns = [] {
    std::vector<Pattern> all;
    for (const Sentence& sentence : GermanSentences()) all.push_back(PatternOf(sentence));
    std::stable_sort(all.begin(), all.end(), [](const Pattern& a, const Pattern& b) {
      return a.literal_bytes > b.literal_bytes;
    });
    return all;
  }();
  return patterns;
}

using Values = std::vector<std::string_view>;

// The values where the whole text fits. A value reaches to the first place where the literal behind
// it stands; the last one to the end.
std::optional<Values> Match(const Pattern& pattern, std::string_view text) {
  const auto& literals = pattern.literals;
  if (literals.size() == 1) {
    return text == literals.front() ? std::optional<Values>(Values()) : std::nullopt;
  }
  if (!text.starts_with(literals.front())) return std::nullopt;
  text.remove_prefix(literals.front().size());
  if (!text.ends_with(literals.back())) return std::nullopt;
  text.remove_suffix(literals.back().size());
  Values values;
  for (std::size_t i = 1; i + 1 < literals.size(); ++i) {
    const auto at = text.find(literals[i]);
    if (at == std::string_view::npos) return std::nullopt;
    values.push_back(text.substr(0, at));
    text.remove_prefix(at + literals[i].size());
  }
  values.push_back(text);
  return values;
}

std::string Fill(std::string_view german, const std::vector<std::string>& values) {
  std::string out;
  std::size_t next = 0;
  while (!german.empty()) {
    const auto open = german.find('{');
    out += german.substr(0, open);
    if (open == std::string_view::npos) break;
    german.remove_prefix(open);
    const auto close = german.find('}');
    std::size_t index = next;
    if (close == 2 && german[1] >= '0' && german[1] < '0' + static_cast<int>(kValuesMax)) {
      index = static_cast<std::size_t>(german[1] - '0');
    } else if (close == 1) {
      ++next;
    } else {
      out += german.front();
      german.remove_prefix(1);
      continue;
    }
    if (index < values.size()) out += values[index];
    german.remove_prefix(close + 1);
  }
  return out;
}

std::string InGermanNested(std::string_view english, int nesting) {
  if (english.empty() || nesting > kNestingMax) return std::string(english);
  for (const Pattern& pattern : Patterns()) {
    const auto values = Match(pattern, english);
    if (!values) continue;
    std::vector<std::string> german;
    for (std::string_view value : *values) german.push_back(InGermanNested(value, nesting + 1));
    return Fill(pattern.sentence->german, german);
  }
  return std::string(english);
}

}  // namespace

std::string InGerman(std::string_view english) { return InGermanNested(english, 0); }

}  // namespace staffel
