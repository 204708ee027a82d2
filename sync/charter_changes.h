// SPDX-License-Identifier: EUPL-1.2
// Changes of the charter that a person puts forward on a node: keys, addresses, rules, and the
// strengthening of a branch. Each makes one entry, signed here; whose signatures it still needs is
// core/charter's answer, and the others give them with `staffel approve`. Any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/id.h"
#include "core/base/result.h"
#include "core/charter/build_conference.h"
#include "core/charter/content.h"
#include "core/crypto/key.h"
#include "core/store/store.h"

namespace staffel::sync {

// A further replica of this node's member: the first step of a rotation, or a second machine.
// kExists: it is listed; kDenied: it belongs to another member.
[[nodiscard]] Result<EntryId> AddReplica(Store& store, const charter::Replica& replica);
// What a removed key wrote counts only up to a cut, and only readers of an audience can cut there.
enum class Unread {
  kRefuse,  // kDenied where the key's member reads an audience that this node does not, others
            // could cut there, and no cut of the key stands there yet: the sentence names both
  kVoid,    // goes on all the same: CutJournals there lets it count again
};
// Takes a replica or recovery key out, with cuts of all journals of that key in audiences read
// here: at the named entry where `up_to` has one of that journal, or else as it is cut already, or
// else at what is held here. The last step of a rotation, and the revocation of a stolen key.
// kNotFound: no such key; kDenied: the hub's; kNotFound: an entry of `up_to` is not here, or of
// another key's journal.
[[nodiscard]] Result<EntryId> RemoveKey(Store& store, const crypto::PublicKey& key,
                                        const std::vector<EntryId>& up_to,
                                        Unread unread = Unread::kRefuse);
// Cuts the journals of a key that is or was listed, in audiences read here, and leaves the key as
// it is: what lies beyond has no effect. A former key's journals that are cut already stay as they
// are, but for those that `up_to` names.
[[nodiscard]] Result<EntryId> CutJournals(Store& store, const crypto::PublicKey& key,
                                          const std::vector<EntryId>& up_to);
// Cuts the chair's lanes of ended terms that no cut names, in audiences read here, so that what the
// chair did there counts again: a handover cuts only where its proposer reads. For a quorum to
// approve. kNotFound: there is none; an entry of `up_to` is not here, or in no such journal.
[[nodiscard]] Result<EntryId> CutEndedTerms(Store& store, const std::vector<EntryId>& up_to);
// Audiences read here that have such lanes.
[[nodiscard]] Result<std::vector<AudienceId>> EndedTermsNotCut(Store& store);
// A recovery key of this node's member.
[[nodiscard]] Result<EntryId> AddRecoveryKey(Store& store, const crypto::PublicKey& key);
// Lists one more member, which the hub can invite once that is in force. kExists: it is listed.
[[nodiscard]] Result<EntryId> AdmitMember(Store& store, const MemberId& member, std::string name,
                                          bool voting);
// A member's name or vote, what the conference is called, what holds for a kind of records: as
// build_conference.h has it.
[[nodiscard]] Result<EntryId> ChangeMember(Store& store, const MemberId& member,
                                           const charter::MemberChange& change);
[[nodiscard]] Result<EntryId> ChangeConference(Store& store,
                                               const charter::ConferenceChange& change);
[[nodiscard]] Result<EntryId> ChangeKind(Store& store, std::uint32_t kind,
                                         const charter::KindChange& change);
// Takes a member out of the conference, with cuts of all its journals in audiences read here at
// what is held here, or as they are cut already. kDenied also as Unread says.
[[nodiscard]] Result<EntryId> RemoveMember(Store& store, const MemberId& member,
                                           Unread unread = Unread::kRefuse);
// Where others reach this node.
[[nodiscard]] Result<EntryId> SetAddress(Store& store, const crypto::PublicKey& key,
                                         std::string url);
// A rule that holds from `from` on, or without a value none. Refuses what rotation.h's CheckRule
// refuses; kExists: it is just so already.
[[nodiscard]] Result<EntryId> SetRule(Store& store, std::string name,
                                      std::optional<std::string> value, TimeMs from);

// Appends an entry without a change to a branch, for a quorum to approve: that decides between two
// that are equally strong. `entry`: a beginning of a tied entry's id; the end of its path is what
// is appended to. Where one waits there already, it is approved in place of a second. kNotFound: no
// tied entry is called so; kInvalid: several are, or nothing is tied.
[[nodiscard]] Result<EntryId> Strengthen(Store& store, const crypto::KeyPair& key,
                                         std::string_view entry);

// Takes a signature that was made elsewhere, with a recovery key. kDenied: the key signs for no
// member there; kCorrupt: it does not verify; kNotFound: no such entry.
[[nodiscard]] Status TakeApproval(Store& store, const EntryId& entry, const crypto::PublicKey& key,
                                  Bytes signature);

}  // namespace staffel::sync
