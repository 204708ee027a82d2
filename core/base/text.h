// SPDX-License-Identifier: EUPL-1.2
// Unicode, by ICU: libstdc++ has neither normalisation nor folding.
#pragma once

#include <string>
#include <string_view>

#include "core/base/result.h"

namespace staffel {

// Whether the bytes are well-formed UTF-8 (RFC 3629).
[[nodiscard]] bool IsUtf8(std::string_view text);
// Normalisation form C (UAX #15), as every stored text has it. Refuses ill-formed UTF-8 and NUL.
[[nodiscard]] Result<std::string> ToNfc(std::string_view text);
// For searching and comparing as people do: lower case, no accents, ß as ss, ø as o.
// "Şahin" and "sahin" fold alike. Ill-formed bytes fold to nothing.
[[nodiscard]] std::string FoldForSearch(std::string_view text);
// Compares by the rules of German (DIN 5007-1 by way of CLDR): for lists that people read.
[[nodiscard]] int CompareGerman(std::string_view a, std::string_view b);
// Bytes that compare as CompareGerman does, without zero bytes. They change with the version of the
// rules: for lists that can be made anew, never for what is hashed.
[[nodiscard]] std::string GermanSortKey(std::string_view text);

}  // namespace staffel
