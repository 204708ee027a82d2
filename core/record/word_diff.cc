// SPDX-License-Identifier: EUPL-1.2
#include "core/record/word_diff.h"

#include <algorithm>

namespace staffel::record {
namespace {

// Beyond so many changed words two texts have nothing in common that a reader would follow.
constexpr int kChangedWordsMax = 500;

bool IsSpace(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

// One ASCII sign, or one of U+2000 to U+206F: dashes, quotation marks, dots.
std::size_t SignBytes(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  if (text.size() >= 3 && byte(0) == 0xE2 && (byte(1) == 0x80 || byte(1) == 0x81)) return 3;
  const unsigned char c = byte(0);
  const bool word =
      c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  return word ? 0 : 1;
}

// Words, runs of space, single signs.
std::vector<std::string_view> Words(std::string_view text) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    std::size_t size = 0;
    if (IsSpace(text.front())) {
      while (size < text.size() && IsSpace(text[size])) ++size;
    } else if (const std::size_t sign = SignBytes(text); sign != 0) {
      size = sign;
    } else {
      while (size < text.size() && SignBytes(text.substr(size)) == 0) ++size;
    }
    words.push_back(text.substr(0, size));
    text.remove_prefix(size);
  }
  return words;
}

// Words [from, to) of the base are replaced by words [new_from, new_to) of the other text.
struct Hunk {
  std::size_t from = 0, to = 0, new_from = 0, new_to = 0;
};

// Myers' greedy algorithm ("An O(ND) Difference Algorithm", 1986), with common ends cut off before
// and one hunk for everything where too much differs.
std::vector<Hunk> Compare(const std::vector<std::string_view>& a,
                          const std::vector<std::string_view>& b) {
  std::size_t head = 0;
  while (head < a.size() && head < b.size() && a[head] == b[head]) ++head;
  std::size_t tail = 0;
  while (tail < a.size() - head && tail < b.size() - head &&
         a[a.size() - 1 - tail] == b[b.size() - 1 - tail]) {
    ++tail;
  }
  const int n = static_cast<int>(a.size() - head - tail);
  const int m = static_cast<int>(b.size() - head - tail);
  if (n == 0 && m == 0) return {};
  const auto same = [&](int x, int y) {
    return a[head + static_cast<std::size_t>(x)] == b[head + static_cast<std::size_t>(y)];
  };
  const int limit = std::min(n + m, kChangedWordsMax);
  const auto at = [&](int k) { return static_cast<std::size_t>(k + limit + 1); };
  std::vector<int> reach(2 * static_cast<std::size_t>(limit) + 3, 0);
  std::vector<std::vector<int>> trace;
  int distance = -1;
  for (int d = 0; d <= limit && distance < 0; ++d) {
    trace.push_back(reach);
    for (int k = -d; k <= d; k += 2) {
      int x = k == -d || (k != d && reach[at(k - 1)] < reach[at(k + 1)]) ? reach[at(k + 1)]
                                                                         : reach[at(k - 1)] + 1;
      int y = x - k;
      while (x < n && y < m && same(x, y)) ++x, ++y;
      reach[at(k)] = x;
      if (x >= n && y >= m) {
        distance = d;
        break;
      }
    }
  }
  if (distance < 0) return {{head, a.size() - tail, head, b.size() - tail}};

  // Back along the trace: single deletions and insertions, joined where they touch.
  std::vector<Hunk> hunks;
  const auto add = [&](int x, int y, int x_to, int y_to) {
    const Hunk hunk{head + static_cast<std::size_t>(x), head + static_cast<std::size_t>(x_to),
                    head + static_cast<std::size_t>(y), head + static_cast<std::size_t>(y_to)};
    if (!hunks.empty() && hunks.back().from == hunk.to && hunks.back().new_from == hunk.new_to) {
      hunks.back().from = hunk.from;
      hunks.back().new_from = hunk.new_from;
    } else {
      hunks.push_back(hunk);
    }
  };
  int x = n, y = m;
  for (int d = distance; d > 0; --d) {
    const std::vector<int>& before = trace[static_cast<std::size_t>(d)];
    const int k = x - y;
    const bool inserted = k == -d || (k != d && before[at(k - 1)] < before[at(k + 1)]);
    const int k_before = inserted ? k + 1 : k - 1;
    const int x_before = before[at(k_before)];
    const int y_before = x_before - k_before;
    if (inserted) {
      add(x_before, y_before, x_before, y_before + 1);
    } else {
      add(x_before, y_before, x_before + 1, y_before);
    }
    x = x_before;
    y = y_before;
  }
  std::reverse(hunks.begin(), hunks.end());
  return hunks;
}

std::string Join(const std::vector<std::string_view>& words, std::size_t from, std::size_t to) {
  std::string text;
  for (std::size_t i = from; i < to; ++i) text.append(words[i]);
  return text;
}

}  // namespace

std::vector<DiffPart> WordDiff(std::string_view base, std::string_view text) {
  const auto a = Words(base);
  const auto b = Words(text);
  std::vector<DiffPart> parts;
  const auto add = [&](DiffPart::What what, std::string piece) {
    if (!piece.empty()) parts.push_back({what, std::move(piece)});
  };
  std::size_t done = 0;
  for (const Hunk& hunk : Compare(a, b)) {
    add(DiffPart::What::kSame, Join(a, done, hunk.from));
    add(DiffPart::What::kDeleted, Join(a, hunk.from, hunk.to));
    add(DiffPart::What::kInserted, Join(b, hunk.new_from, hunk.new_to));
    done = hunk.to;
  }
  add(DiffPart::What::kSame, Join(a, done, a.size()));
  return parts;
}

std::string DiffToText(const std::vector<DiffPart>& parts) {
  std::string text;
  for (const DiffPart& part : parts) {
    switch (part.what) {
      case DiffPart::What::kSame:
        text += part.text;
        break;
      case DiffPart::What::kDeleted:
        text += "[-" + part.text + "-]";
        break;
      case DiffPart::What::kInserted:
        text += "{+" + part.text + "+}";
        break;
    }
  }
  return text;
}

std::optional<std::string> SuggestMerge(std::string_view base, std::string_view a,
                                        std::string_view b) {
  const auto words = Words(base);
  struct Edit {
    std::size_t from, to;
    std::string text;
    bool operator==(const Edit&) const = default;
  };
  const auto edits_of = [&](std::string_view text) {
    const auto other = Words(text);
    std::vector<Edit> edits;
    for (const Hunk& hunk : Compare(words, other)) {
      edits.push_back({hunk.from, hunk.to, Join(other, hunk.new_from, hunk.new_to)});
    }
    return edits;
  };
  std::vector<Edit> all = edits_of(a);
  for (Edit& edit : edits_of(b)) {
    // The same edit by both is one edit; two that overlap or touch are for a person.
    if (std::find(all.begin(), all.end(), edit) != all.end()) continue;
    for (const Edit& other : all) {
      if (edit.from <= other.to && other.from <= edit.to) return std::nullopt;
    }
    all.push_back(std::move(edit));
  }
  std::sort(all.begin(), all.end(), [](const Edit& x, const Edit& y) { return x.from < y.from; });
  std::string merged;
  std::size_t done = 0;
  for (const Edit& edit : all) {
    merged += Join(words, done, edit.from) + edit.text;
    done = edit.to;
  }
  return merged + Join(words, done, words.size());
}

}  // namespace staffel::record
