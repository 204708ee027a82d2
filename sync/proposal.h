// SPDX-License-Identifier: EUPL-1.2
// Puts a change of the charter forward: an entry on top of the one in force, approved with this
// node's key. Who else must approve is the charter's to say (core/charter/needs.h); they do it with
// Approve (invitation.h).
#pragma once

#include "core/base/id.h"
#include "core/base/result.h"
#include "core/charter/authority.h"
#include "core/charter/content.h"
#include "core/crypto/key.h"
#include "core/store/store.h"
#include "sync/invitation.h"

namespace staffel::sync {

struct Proposed {
  EntryId entry;
  bool in_force = false;  // nothing was missing
  WaitingChange change;   // as it stands now; `missing_from` is empty where it is in force
};

// `content` was made from `base`. kDenied: this node signs for no member, or no signature could
// ever allow the change (then nothing is stored); kUnavailable: two branches of the charter are
// tied; kConflict: another charter than `base` is in force by now. Another entry that comes into
// force first overtakes a proposal: it is put forward again by whoever wants it.
[[nodiscard]] Result<Proposed> ProposeCharter(Store& store, const crypto::KeyPair& key,
                                              const charter::Authority& base,
                                              const charter::Content& content);

// How a charter entry stands now: what it changes, whose approval it has and lacks.
[[nodiscard]] Proposed DescribeProposal(Store& store, const crypto::KeyPair& key,
                                        const EntryId& entry);

}  // namespace staffel::sync
