// SPDX-License-Identifier: EUPL-1.2
#include "core/record/position.h"

#include <algorithm>
#include <cstdint>

namespace staffel::record {
namespace {

constexpr std::string_view kDigits =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
constexpr std::size_t kBase = kDigits.size();

std::size_t DigitValue(char c) {
  const std::size_t value = kDigits.find(c);
  return value == std::string_view::npos ? 0 : value;
}

// Strictly between, `after` empty meaning the end. Both are positions or empty, before < after.
std::string Between(std::string_view before, std::string_view after) {
  std::string out;
  while (true) {
    const std::size_t low = before.empty() ? 0 : DigitValue(before.front());
    const std::size_t high = after.empty() ? kBase : DigitValue(after.front());
    if (low == high) {  // a common beginning, zeros behind `before` included
      out.push_back(kDigits[low]);
      after.remove_prefix(1);
    } else if (high - low > 1) {
      // Appending is what people do most: one step on, so that positions stay short.
      const bool append = after.empty() && !before.empty();
      out.push_back(kDigits[append ? low + 1 : (low + high) / 2]);
      return out;
    } else if (after.size() > 1) {
      out.push_back(after.front());
      return out;
    } else {
      out.push_back(kDigits[low]);
      after = {};
    }
    if (!before.empty()) before.remove_prefix(1);
  }
}

}  // namespace

bool IsPosition(std::string_view text) {
  return !text.empty() && text.back() != '0' && std::all_of(text.begin(), text.end(), [](char c) {
    return kDigits.find(c) != std::string_view::npos;
  });
}

std::string PositionBetween(std::string_view before, std::string_view after) {
  // Foreign positions may be anything; what is none gives no bound.
  if (!IsPosition(before)) before = {};
  if (!IsPosition(after) || after <= before) after = {};
  return Between(before, after);
}

std::vector<std::string> EvenPositions(std::size_t count) {
  std::size_t width = 1;
  std::uint64_t span = kBase;
  while (span <= count + 1 && span < (std::uint64_t{1} << 40)) {
    span *= kBase;
    ++width;
  }
  std::vector<std::string> positions;
  positions.reserve(count);
  for (std::size_t i = 1; i <= count; ++i) {
    std::uint64_t value = span * i / (count + 1);
    std::string digits(width, '0');
    for (std::size_t j = width; j-- > 0; value /= kBase) digits[j] = kDigits[value % kBase];
    digits.erase(digits.find_last_not_of('0') + 1);
    positions.push_back(std::move(digits));
  }
  return positions;
}

}  // namespace staffel::record
