// SPDX-License-Identifier: EUPL-1.2
// The figures of a handover's protocol, computed from nothing but entries up to given heads and the
// charter that judges them. Internal to core/store: snapshots and drafts of charters use it.
#pragma once

#include <vector>

#include "core/charter/authority.h"
#include "core/charter/hidden.h"
#include "core/store/reader.h"

namespace staffel {

[[nodiscard]] std::vector<charter::HandoverPart::Head> HeadsOf(const JournalMap& journals,
                                                               const AudienceId& audience);
[[nodiscard]] Result<charter::HandoverPart::Figures> FiguresOf(
    TableReader& reader, const JournalMap& journals, const charter::Authority& authority,
    const AudienceId& audience, const std::vector<charter::HandoverPart::Head>& heads);

}  // namespace staffel
