// SPDX-License-Identifier: EUPL-1.2
#include "core/record/agenda_number.h"

#include <string>

#include "core/base/text.h"

namespace staffel::record {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Ordered so that 2 < 2.1 < 2a, and numbers stand before A1.
constexpr char kNumber = 2;
constexpr char kLetters = 3;
constexpr char kNoAgendaNumber = '\x7F';

}  // namespace

bool IsAgendaNumber(std::string_view text) {
  if (text.empty() || text.size() > kAgendaNumberBytesMax) return false;
  bool after_dot = true;
  bool digits = false;
  std::size_t letters = 0;  // in a row
  for (char c : text) {
    if (c == '.') {
      // "abc" and "a.b" are words: a number begins with one.
      if (after_dot || !digits) return false;
      letters = 0;
    } else if (IsDigit(c)) {
      digits = true;
      letters = 0;
    } else if (!IsLetter(c) || ++letters > kAgendaLettersMax) {
      return false;
    }
    after_dot = c == '.';
  }
  return !after_dot && digits;
}

Bytes AgendaSortKey(std::string_view text) {
  if (!IsAgendaNumber(text)) return kNoAgendaNumber + FoldForSearch(text);
  Bytes key;
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] == '.') {
      ++i;
      continue;
    }
    const bool digits = IsDigit(text[i]);
    std::size_t j = i;
    while (j < text.size() && text[j] != '.' && IsDigit(text[j]) == digits) ++j;
    std::string_view run = text.substr(i, j - i);
    if (digits) {
      // The longer number is the greater one, once leading zeros are gone.
      while (run.size() > 1 && run.front() == '0') run.remove_prefix(1);
      key.push_back(kNumber);
      key.push_back(static_cast<char>(run.size()));
      key.append(run);
    } else {
      key.push_back(kLetters);
      for (char c : run) key.push_back(c <= 'Z' ? static_cast<char>(c + 32) : c);
    }
    i = j;
  }
  return key;
}

}  // namespace staffel::record
