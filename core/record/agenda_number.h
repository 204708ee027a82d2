// SPDX-License-Identifier: EUPL-1.2
// Agenda numbers ("TOP") as the conferences write and order them: 0.1, 0.2, 1, 1a, 2.1, 2.4a, 2.4b,
// 2.9, 2.10, 3.1, then A1, A3. A number is never changed by us: gaps stay. Any thread.
#pragma once

#include <string_view>

#include "core/base/bytes.h"

namespace staffel::record {

inline constexpr std::size_t kAgendaNumberBytesMax = 16;
// In a row: "2.4a", "TV1"; more are a word.
inline constexpr std::size_t kAgendaLettersMax = 2;

// Numbers and letters, parted by dots or not, a digit among the first: "2.4a", "A1", "10.2.1".
[[nodiscard]] bool IsAgendaNumber(std::string_view text);

// Compared as bytes: the order of the TOPs. Text that is no agenda number comes last.
[[nodiscard]] Bytes AgendaSortKey(std::string_view text);

}  // namespace staffel::record
