// SPDX-License-Identifier: EUPL-1.2
// What the builders of charters share (build.h, build_audiences.h, build_conference.h), and nobody
// else includes.
#pragma once

#include <vector>

#include "core/base/result.h"
#include "core/charter/content.h"

namespace staffel::charter {

// The last cut counts: one of the same lane replaces the one before.
void PutCuts(Content& charter, std::vector<Cut> cuts);

// Reads the finished charter back, so that no builder hands out what every node would refuse.
[[nodiscard]] Result<Content> Finished(const Content& charter);

// kNotFound: no such member.
[[nodiscard]] Result<Member*> FindMember(Content& charter, const MemberId& id);

}  // namespace staffel::charter
