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

// Between two sentences that were put one behind the other.
constexpr std::string_view kJoint = ". ";
constexpr int kJointsMax = 8;
// So much text of its own has a template that tells a sentence from any text with a colon in it.
constexpr std::size_t kTellingBytes = 8;

bool ReachesOverJoint(const Values& values) {
  return std::any_of(values.begin(), values.end(), [](std::string_view value) {
    return value.find(kJoint) != std::string_view::npos;
  });
}

std::string InGermanNested(std::string_view english, int nesting);

std::string Said(const Pattern& pattern, const Values& values, int nesting) {
  std::vector<std::string> german;
  for (std::string_view value : values) german.push_back(InGermanNested(value, nesting + 1));
  return Fill(pattern.sentence->german, german);
}

std::optional<std::string> OneSentence(std::string_view english, int nesting) {
  for (const Pattern& pattern : Patterns()) {
    if (pattern.literal_bytes < kTellingBytes) break;
    const auto values = Match(pattern, english);
    if (values && !ReachesOverJoint(*values)) return Said(pattern, *values, nesting);
  }
  return std::nullopt;
}

// Sentences one behind the other, each of a template, and nothing besides.
std::optional<std::string> Sentences(std::string_view english, int nesting, int joints) {
  if (auto one = OneSentence(english, nesting)) return one;
  std::size_t at = english.find(kJoint);
  for (; at != std::string_view::npos && joints > 0; --joints) {
    const auto first = OneSentence(english.substr(0, at), nesting);
    const auto rest =
        first ? Sentences(english.substr(at + kJoint.size()), nesting, joints - 1) : std::nullopt;
    if (rest) return *first + std::string(kJoint) + *rest;
    at = english.find(kJoint, at + kJoint.size());
  }
  return std::nullopt;
}

std::string InGermanNested(std::string_view english, int nesting) {
  if (english.empty() || nesting > kNestingMax) return std::string(english);
  for (const Pattern& pattern : Patterns()) {
    const auto values = Match(pattern, english);
    if (!values) continue;
    // A value that reaches over a joint may have swallowed the sentence behind it, or be a text of
    // others with a full stop in it.
    if (ReachesOverJoint(*values)) {
      if (auto several = Sentences(english, nesting, kJointsMax)) return *std::move(several);
    }
    return Said(pattern, *values, nesting);
  }
  return std::string(english);
}

}  // namespace

std::string InGerman(std::string_view english) { return InGermanNested(english, 0); }

}  // namespace staffel
