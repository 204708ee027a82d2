// SPDX-License-Identifier: EUPL-1.2
// Bytes as values and as views, and their text forms. Protobuf keeps bytes in std::string, and so
// do we: no copies at the border.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace staffel {

using Bytes = std::string;
using ByteView = std::string_view;

// Lower-case hexadecimal, two digits a byte.
[[nodiscard]] std::string ToHex(ByteView bytes);
// Reads what ToHex wrote, in either case; nothing for odd length or other characters.
[[nodiscard]] std::optional<Bytes> FromHex(std::string_view text);

// RFC 4648 section 5: base64url without padding.
[[nodiscard]] std::string ToBase64Url(ByteView bytes);
[[nodiscard]] std::optional<Bytes> FromBase64Url(std::string_view text);

}  // namespace staffel
