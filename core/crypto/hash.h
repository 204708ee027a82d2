// SPDX-License-Identifier: EUPL-1.2
// SHA-256, bare and with the tags of core.md ("H"). Every call may come from any thread.
#pragma once

#include <initializer_list>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/id.h"

namespace staffel::crypto {

// The tags of format 1. Frozen: see docs/formats/journal.md.
inline constexpr std::string_view kTagEntry = "staffel/1/entry";
inline constexpr std::string_view kTagPayload = "staffel/1/payload";
inline constexpr std::string_view kTagLeaf = "staffel/1/leaf";
inline constexpr std::string_view kTagSign = "staffel/1/sign";
inline constexpr std::string_view kTagSeen = "staffel/1/seen";

// SHA-256 (FIPS 180-4) of the parts, one after another.
[[nodiscard]] Hash Sha256(std::initializer_list<ByteView> parts);
[[nodiscard]] inline Hash Sha256(ByteView data) { return Sha256({data}); }

// H(tag, data): SHA-256 of the ASCII tag, a zero byte, and the data.
[[nodiscard]] Hash TaggedHash(std::string_view tag, ByteView data);

[[nodiscard]] EntryId HashEntry(ByteView header);
[[nodiscard]] Commitment HashPayload(ByteView payload);

}  // namespace staffel::crypto
