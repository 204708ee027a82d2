// SPDX-License-Identifier: EUPL-1.2
// Messages from fixed values, with everything in them that an exchange can carry: what golden/
// holds byte for byte, and what the fuzz corpus begins with.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/base/bytes.h"
#include "core/store/store.h"
#include "sync/wire.h"
#include "sync/wire_join.h"

namespace staffel::golden {

// Two entries of one journal: its opening, and a write with payloads.
StoredRun GoldenRun();
sync::Message GoldenMessage();
// What EncodeMessage has compressed, or the bytes behind a plain envelope.
Bytes ContentOf(ByteView message);
sync::InvitationToken GoldenToken();
sync::JoinBody GoldenJoinBody();
// Name and bytes of each golden file.
std::vector<std::pair<std::string, Bytes>> GoldenFiles();

}  // namespace staffel::golden
