// SPDX-License-Identifier: EUPL-1.2
// Stable names of what the store says about an entry: they stand in replies and in scripts, and
// docs/formats/admin.md lists them. What they mean for people is the client's business.
#pragma once

#include <string_view>

#include "core/charter/judge.h"

namespace staffel::api {

// "foreign-cell", "after-cut", …; empty for a valid entry.
[[nodiscard]] std::string_view ReasonName(charter::Reason reason);
// "received"; "ministry" where it is not; "no-chair" where it never will be.
[[nodiscard]] std::string_view ReceptionName(bool receipted, bool received);

}  // namespace staffel::api
