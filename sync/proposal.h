// SPDX-License-Identifier: EUPL-1.2
// Puts a change of the charter forward: an entry on top of the one in force, approved with this
// node's key. Who else must approve is the charter's to say (core/charter/needs.h); they do it with
// Approve (invitation.h). Another entry that comes into force first overtakes a proposal: the node
// that made it remembers it, and puts it forward again. Joinings (invitation.h) and handovers have
// ways of their own.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

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

// How often a change is put forward again before a person must do it; and how many of a node's own
// may be open at once.
inline constexpr std::uint64_t kRenewalsMax = 20;
inline constexpr std::size_t kOpenProposalsMax = 100;

// Proposes what `change` makes, and remembers it until it is in force or dropped. kExists: the same
// change waits already; kTooLarge: kOpenProposalsMax are open; otherwise what `change` and
// Store::Propose refuse.
[[nodiscard]] Result<EntryId> PutForward(Store& store, const CharterChange& change);

// `content` was made from `base`. kDenied: this node signs for no member, or no signature could
// ever allow the change (then nothing is stored); kUnavailable: two branches of the charter are
// tied; kConflict: another charter than `base` is in force by now; otherwise as PutForward.
[[nodiscard]] Result<Proposed> ProposeCharter(Store& store, const crypto::KeyPair& key,
                                              const charter::Authority& base,
                                              const charter::Content& content);

// How a charter entry stands now: what it changes, whose approval it has and lacks.
[[nodiscard]] Proposed DescribeProposal(Store& store, const crypto::KeyPair& key,
                                        const EntryId& entry);

// Puts what this node had proposed forward again, on top of the charter in force, where another
// entry has overtaken it. Call after the charter has changed; says how many. Cheap where nothing
// was.
[[nodiscard]] Result<std::size_t> RenewOvertaken(Store& store);

// What this node had proposed, was overtaken, and cannot be put forward again by itself.
struct OvertakenChange {
  WaitingChange change;
  std::string reason;  // for people
};
[[nodiscard]] std::vector<OvertakenChange> OvertakenChanges(Store& store,
                                                            const crypto::KeyPair& key);

// Hides a change on this node, whoever proposed it: it is neither shown nor approved here, and not
// put forward again. It stays with the others, who can bring it into force all the same. `what`: a
// unique beginning of its entry's id. kNotFound: none waits that is called so; kInvalid: several.
[[nodiscard]] Result<EntryId> DropChange(Store& store, const crypto::KeyPair& key,
                                         std::string_view what);
// Shows it again.
[[nodiscard]] Result<EntryId> KeepChange(Store& store, const crypto::KeyPair& key,
                                         std::string_view what);
[[nodiscard]] std::set<EntryId> DroppedChanges(Store& store);

}  // namespace staffel::sync
