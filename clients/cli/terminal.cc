// SPDX-License-Identifier: EUPL-1.2
#include "clients/cli/terminal.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <iostream>
#include <numeric>
#include <utility>

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace staffel::cli {

namespace {

struct Range {
  char32_t first;
  char32_t last;
};

// Marks that stand on the character before, and characters without any width (Unicode 15, the
// scripts that a German administration meets).
constexpr std::array<Range, 12> kZeroWidth = {{{0x0300, 0x036F},
                                               {0x0483, 0x0489},
                                               {0x0591, 0x05BD},
                                               {0x0610, 0x061A},
                                               {0x064B, 0x065F},
                                               {0x1AB0, 0x1AFF},
                                               {0x1DC0, 0x1DFF},
                                               {0x200B, 0x200F},
                                               {0x202A, 0x202E},
                                               {0x20D0, 0x20FF},
                                               {0xFE00, 0xFE0F},
                                               {0xFE20, 0xFE2F}}};
// East Asian wide and fullwidth characters, and emoji.
constexpr std::array<Range, 14> kWide = {{{0x1100, 0x115F},
                                          {0x2E80, 0x303E},
                                          {0x3041, 0x33FF},
                                          {0x3400, 0x4DBF},
                                          {0x4E00, 0x9FFF},
                                          {0xA000, 0xA4CF},
                                          {0xAC00, 0xD7A3},
                                          {0xF900, 0xFAFF},
                                          {0xFE30, 0xFE6F},
                                          {0xFF00, 0xFF60},
                                          {0xFFE0, 0xFFE6},
                                          {0x1F300, 0x1F64F},
                                          {0x1F900, 0x1F9FF},
                                          {0x20000, 0x3FFFD}}};

template <std::size_t kSize>
bool Within(char32_t c, const std::array<Range, kSize>& ranges) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [c](const Range& range) { return c >= range.first && c <= range.last; });
}

struct Character {
  char32_t code = 0;
  std::size_t bytes = 1;
  bool sound = false;
};

// The character at the front of a text that is not empty.
Character Next(std::string_view text) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = at(0);
  if (first < 0x80) return {first, 1, true};
  const std::size_t length = first >= 0xC2 && first < 0xE0   ? 2
                             : first >= 0xE0 && first < 0xF0 ? 3
                             : first >= 0xF0 && first < 0xF5 ? 4
                                                             : 0;
  if (length == 0 || length > text.size()) return {first, 1, false};
  char32_t code = first & (0xFFu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xC0) != 0x80) return {first, 1, false};
    code = code << 6 | (at(i) & 0x3Fu);
  }
  if ((length == 3 && code < 0x800) || (length == 4 && code < 0x10000) || code > 0x10FFFF ||
      (code >= 0xD800 && code < 0xE000)) {
    return {first, 1, false};
  }
  return {code, length, true};
}

std::size_t WidthOf(const Character& character) {
  if (!character.sound) return 1;
  if (Within(character.code, kZeroWidth)) return 0;
  return Within(character.code, kWide) ? 2 : 1;
}

void WrapLine(std::string_view line, std::size_t width, std::vector<std::string>& lines) {
  std::string current;
  std::size_t current_width = 0;
  while (!line.empty()) {
    const auto end = line.find(' ');
    std::string_view word = line.substr(0, end);
    line.remove_prefix(end == std::string_view::npos ? line.size() : end + 1);
    std::size_t word_width = DisplayWidth(word);
    if (!current.empty() && current_width + 1 + word_width <= width) {
      current += ' ';
      current += word;
      current_width += 1 + word_width;
      continue;
    }
    if (!current.empty()) lines.push_back(std::exchange(current, {}));
    // A word longer than a line is cut.
    while (word_width > width) {
      std::size_t bytes = 0;
      std::size_t taken = 0;
      while (bytes < word.size()) {
        const Character next = Next(word.substr(bytes));
        if (taken + WidthOf(next) > width && bytes > 0) break;
        taken += WidthOf(next);
        bytes += next.bytes;
      }
      lines.emplace_back(word.substr(0, bytes));
      word.remove_prefix(bytes);
      word_width = DisplayWidth(word);
    }
    current = word;
    current_width = word_width;
  }
  if (!current.empty() || lines.empty()) lines.push_back(std::move(current));
}

}  // namespace

std::size_t DisplayWidth(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) {
    const Character next = Next(text);
    width += WidthOf(next);
    text.remove_prefix(next.bytes);
  }
  return width;
}

std::string Clean(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const Character next = Next(text);
    if (!next.sound) {
      out += "\xEF\xBF\xBD";
    } else if (next.code < 0x20 && next.code != '\n') {
      // Tabs are blanks; U+2400 and on are the pictures of control characters.
      if (next.code == '\t') {
        out += ' ';
      } else {
        out += "\xE2\x90";
        out += static_cast<char>(0x80 + next.code);
      }
    } else if (next.code == 0x7F || (next.code >= 0x80 && next.code < 0xA0) ||
               (next.code >= 0x202A && next.code <= 0x202E) ||
               (next.code >= 0x2066 && next.code <= 0x2069)) {
      out += "\xEF\xBF\xBD";  // also what would turn the direction of writing round
    } else {
      out.append(text.substr(0, next.bytes));
    }
    text.remove_prefix(next.bytes);
  }
  return out;
}

std::vector<std::string> Wrap(std::string_view text, std::size_t width) {
  std::vector<std::string> lines;
  for (;;) {
    const auto end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    if (width == 0) {
      lines.emplace_back(line);
    } else {
      std::vector<std::string> wrapped;
      WrapLine(line, width, wrapped);
      std::move(wrapped.begin(), wrapped.end(), std::back_inserter(lines));
    }
    if (end == std::string_view::npos) return lines;
    text.remove_prefix(end + 1);
  }
}

std::string Pad(std::string_view text, std::size_t width) {
  std::string out(text);
  const std::size_t has = DisplayWidth(text);
  if (has < width) out.append(width - has, ' ');
  return out;
}

bool IsTerminal(int fd) { return ::isatty(fd) == 1; }

bool Confirmed(std::string_view question) {
  fmt::print(stderr, "{}", question);
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "ja" || answer == "yes";
}

std::size_t TerminalWidth(int fd) {
  winsize size{};
  if (!IsTerminal(fd)) return 0;
  if (::ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return std::max<std::size_t>(size.ws_col, 40);
}

void Table::Add(std::vector<std::string> cells) {
  cells.resize(heading_.size());
  for (std::string& cell : cells) cell = Clean(cell);
  rows_.push_back(std::move(cells));
}

std::string Table::Render(std::size_t width) const {
  const std::size_t columns = heading_.size();
  std::vector<std::size_t> widths(columns);
  const auto measure = [&](const std::vector<std::string>& cells) {
    for (std::size_t i = 0; i < columns; ++i) {
      for (const std::string& line : Wrap(cells[i], 0)) {
        widths[i] = std::max(widths[i], DisplayWidth(line));
      }
    }
  };
  measure(heading_);
  for (const auto& row : rows_) measure(row);

  constexpr std::size_t kGap = 2;
  constexpr std::size_t kLeast = 8;
  if (width > 0) {
    const std::size_t gaps = kGap * (columns - 1);
    std::size_t sum = std::accumulate(widths.begin(), widths.end(), std::size_t{0}) + gaps;
    while (sum > width) {
      const auto widest = std::max_element(widths.begin(), widths.end());
      if (*widest <= kLeast) break;
      --*widest;
      --sum;
    }
  }

  std::string out;
  const auto print = [&](const std::vector<std::string>& cells) {
    std::vector<std::vector<std::string>> lines(columns);
    std::size_t height = 1;
    for (std::size_t i = 0; i < columns; ++i) {
      lines[i] = Wrap(cells[i], width == 0 ? 0 : std::max<std::size_t>(widths[i], 1));
      height = std::max(height, lines[i].size());
    }
    for (std::size_t line = 0; line < height; ++line) {
      std::string text;
      for (std::size_t i = 0; i < columns; ++i) {
        const std::string cell = line < lines[i].size() ? lines[i][line] : std::string();
        text += i + 1 < columns ? Pad(cell, widths[i] + kGap) : cell;
      }
      text.erase(text.find_last_not_of(' ') + 1);
      out += text + "\n";
    }
  };
  print(heading_);
  std::string rule;
  for (std::size_t i = 0; i < columns; ++i) {
    if (i > 0) rule.append(kGap, ' ');
    for (std::size_t k = 0; k < widths[i]; ++k) rule += "─";
  }
  out += rule + "\n";
  for (const auto& row : rows_) print(row);
  return out;
}

Progress::Progress(std::string what) : what_(std::move(what)), active_(IsTerminal(STDERR_FILENO)) {}

Progress::~Progress() { Clear(); }

void Progress::Clear() {
  if (!drawn_) return;
  std::fputs("\r\x1B[K", stderr);
  std::fflush(stderr);
  drawn_ = false;
  last_.clear();
}

void Progress::Show(std::uint64_t done, std::uint64_t total) {
  if (!active_) return;
  std::string line;
  if (total == 0) {
    line = fmt::format("{}  {}", what_, done);
  } else {
    constexpr std::uint64_t kCells = 30;
    const std::uint64_t filled = std::min(done, total) * kCells / total;
    std::string bar;
    for (std::uint64_t i = 0; i < kCells; ++i) bar += i < filled ? "█" : "░";
    line = fmt::format("{}  {} {:3} %  {}/{}", what_, bar, std::min(done, total) * 100 / total,
                       done, total);
  }
  if (line == last_) return;
  fmt::print(stderr, "\r\x1B[K{}", line);
  std::fflush(stderr);
  last_ = std::move(line);
  drawn_ = true;
}

}  // namespace staffel::cli
