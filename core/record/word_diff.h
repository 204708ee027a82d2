// SPDX-License-Identifier: EUPL-1.2
// What two people changed in one paragraph, word by word, and a suggestion where their edits do not
// meet. A suggestion is shown and never applied unasked (design.md, section 3). Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace staffel::record {

struct DiffPart {
  enum class What : std::uint8_t { kSame, kInserted, kDeleted };
  What what = What::kSame;
  std::string text;
  friend bool operator==(const DiffPart&, const DiffPart&) = default;
};

// From `base` to `text`: what stays and was deleted, in order, is the base; what stays and was
// inserted is the text. Words stay whole. Very different long texts come as one deletion and one
// insertion.
[[nodiscard]] std::vector<DiffPart> WordDiff(std::string_view base, std::string_view text);

// "Die [-alte-]{+neue+} Fassung": for terminals without colour.
[[nodiscard]] std::string DiffToText(const std::vector<DiffPart>& parts);

// Both edits together, if they change different words of the base and do not touch; nothing
// otherwise. The same for (a, b) and (b, a).
[[nodiscard]] std::optional<std::string> SuggestMerge(std::string_view base, std::string_view a,
                                                      std::string_view b);

}  // namespace staffel::record
