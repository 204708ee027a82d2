// SPDX-License-Identifier: EUPL-1.2
// The records that are measured with: 60 % events of about 380 bytes, 30 % contacts of about 470,
// 10 % resolutions of about 6 KB, made from words a conference uses and always the same.
#pragma once

#include <cstddef>
#include <vector>

#include "core/base/id.h"
#include "core/store/store.h"

namespace staffel::bench {

// Edits that make `count` records in `audience`, mixed, one record an edit.
[[nodiscard]] std::vector<Edit> MixedRecords(std::size_t count, const AudienceId& audience);

// A small event, as one client writes it: for single commits. `number` makes it another one.
[[nodiscard]] Edit SmallRecord(std::uint64_t number, const AudienceId& audience);

}  // namespace staffel::bench
