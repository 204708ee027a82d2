// SPDX-License-Identifier: EUPL-1.2
// What a terminal shows: widths of characters, wrapped text, tables, a progress bar. Knows nothing
// of records. Text from other ministries passes through Clean first, so that it cannot steer a
// terminal.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace staffel::cli {

// Columns that the text takes: combining marks none, East Asian wide characters and emoji two.
// Ill-formed bytes count one each.
[[nodiscard]] std::size_t DisplayWidth(std::string_view text);
// Control characters become visible ("␛"), but line breaks stay; ill-formed UTF-8 becomes U+FFFD.
[[nodiscard]] std::string Clean(std::string_view text);
// Lines of at most `width` columns, broken between words where that is possible. Line breaks in the
// text stay; never empty. Width 0: lines as they are.
[[nodiscard]] std::vector<std::string> Wrap(std::string_view text, std::size_t width);
// Filled up with blanks to `width` columns.
[[nodiscard]] std::string Pad(std::string_view text, std::size_t width);

// Columns of the terminal behind a descriptor; 0 where it is none (also no limit).
[[nodiscard]] std::size_t TerminalWidth(int fd);
[[nodiscard]] bool IsTerminal(int fd);
// Asks on standard error, so that standard output has only what it is for, and reads a line:
// whether it is "ja" or "yes".
[[nodiscard]] bool Confirmed(std::string_view question);

// Rows under a heading. Cells that are too long for the terminal are wrapped: the widest columns
// give way first.
class Table {
 public:
  explicit Table(std::vector<std::string> heading) : heading_(std::move(heading)) {}
  void Add(std::vector<std::string> cells);
  [[nodiscard]] bool empty() const { return rows_.empty(); }
  // Width 0: nothing is wrapped.
  [[nodiscard]] std::string Render(std::size_t width) const;

 private:
  std::vector<std::string> heading_;
  std::vector<std::vector<std::string>> rows_;
};

// One line on standard error that is drawn anew; silent where that is no terminal. One thread.
class Progress {
 public:
  explicit Progress(std::string what);
  ~Progress();  // clears the line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  // `total` 0: unknown.
  void Show(std::uint64_t done, std::uint64_t total);
  void Clear();

 private:
  std::string what_;
  bool active_;
  bool drawn_ = false;
  std::string last_;
};

}  // namespace staffel::cli
