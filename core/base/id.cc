// SPDX-License-Identifier: EUPL-1.2
#include "core/base/id.h"

namespace staffel {

std::optional<MemberId> MemberId::From(std::string_view text) {
  constexpr std::size_t kLengthMax = 16;
  if (text.empty() || text.size() > kLengthMax) return std::nullopt;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool capital = c >= 'A' && c <= 'Z';
    const bool later = (c >= '0' && c <= '9') || c == '-';
    if (!capital && !(i > 0 && later)) return std::nullopt;
  }
  MemberId member;
  member.text_ = text;
  return member;
}

}  // namespace staffel
