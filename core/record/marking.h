// SPDX-License-Identifier: EUPL-1.2
// Markings of classified information. Staffel is not approved for it (design.md, section 8), so
// input marked so is refused before it is written anywhere. Any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace staffel::record {

// The usual name of the marking found: „VS-NfD", „VS – NUR FÜR DEN DIENSTGEBRAUCH", „V S - N f D"
// in any case, spacing and punctuation, and the higher grades. Nothing for text without one.
[[nodiscard]] std::optional<std::string> FindMarking(std::string_view text);

// kDenied where the text, which is `what` ("name of a member"), carries a marking.
[[nodiscard]] Status RefuseMarked(std::string_view what, std::string_view text);

}  // namespace staffel::record
