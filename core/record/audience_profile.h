// SPDX-License-Identifier: EUPL-1.2
// The record in which an audience speaks of itself (proto/staffel/v1/audience.proto): one an
// audience, under an id that follows from the audience's. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/bytes.h"
#include "core/base/id.h"

namespace staffel::record {

inline constexpr std::uint32_t kAudienceProfileKind = 15;
inline constexpr std::uint32_t kAudienceNameField = 2;
inline constexpr std::uint32_t kAudiencePurposeField = 3;
inline constexpr std::uint32_t kDeletedCopiesField = 4;

// Inside the audience everybody finds it without searching; outside nothing of it is seen.
[[nodiscard]] RecordId AudienceProfileId(const AudienceId& audience);

}  // namespace staffel::record
