// SPDX-License-Identifier: EUPL-1.2
// Fractional positions: where an element stands in its sequence, such that there is always room
// between two. Base-62 digits after an imagined point, compared as bytes; two people may choose the
// same one, then the elements' ids decide. Any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace staffel::record {

// Digits 0-9A-Za-z, not empty, not ending in 0.
[[nodiscard]] bool IsPosition(std::string_view text);

// A position after `before` and ahead of `after`; an empty one means the very start or end.
// Unless before < after, the result comes after `before` only: two elements at one position have
// no room between them.
[[nodiscard]] std::string PositionBetween(std::string_view before, std::string_view after);

// `count` positions in ascending order, evenly spread and short.
[[nodiscard]] std::vector<std::string> EvenPositions(std::size_t count);

}  // namespace staffel::record
