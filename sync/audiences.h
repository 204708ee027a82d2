// SPDX-License-Identifier: EUPL-1.2
// Audiences as people handle them: founding one, taking members in and out, closing it, and the
// record inside that keeps a confidential name. Works on a Store alone. What leaves a node for
// whom is the session's business, who must sign is the charter's.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/id.h"
#include "core/base/random.h"
#include "core/base/result.h"
#include "core/charter/build_audiences.h"
#include "core/crypto/key.h"
#include "core/store/store.h"
#include "sync/proposal.h"

namespace staffel::sync {

struct AudienceProfile {
  std::string name;
  std::string purpose;
};

struct AudienceChange {
  AudienceId audience;
  Proposed proposed;
};

// Puts a new audience forward. Where no relay is named, it gets one (our member, if it can be
// reached, else the first reader that can): the chair may pass to a Land that is not in it, and an
// audience that then met nowhere would stop the handover. With `confidential` its name is kept out
// of the charter: this node remembers it and writes it into the audience once that is in force
// (WriteProfiles). kDenied: our member would not read it; kExists: one of that name waits already;
// otherwise what WithAudience and
// ProposeCharter refuse.
[[nodiscard]] Result<AudienceChange> CreateAudience(Store& store, const crypto::KeyPair& key,
                                                    charter::NewAudience audience,
                                                    const AudienceProfile& profile,
                                                    bool confidential, Random& random);
[[nodiscard]] Result<AudienceChange> AddToAudience(Store& store, const crypto::KeyPair& key,
                                                   const AudienceId& audience,
                                                   const MemberId& member, bool writes);
// Takes a member out, with cuts of all its journals there at what is held here. What it has written
// beyond is taken still, stored and listed; its node deletes its copy and confirms that. kDenied:
// our member is not in the audience, so that its journals are not held here.
[[nodiscard]] Result<AudienceChange> RemoveFromAudience(Store& store, const crypto::KeyPair& key,
                                                        const AudienceId& audience,
                                                        const MemberId& member);
// Has another of its readers pass entries on: where the relay's node is lost, or is to be taken
// out.
[[nodiscard]] Result<AudienceChange> SetAudienceRelay(Store& store, const crypto::KeyPair& key,
                                                      const AudienceId& audience,
                                                      const MemberId& member);
[[nodiscard]] Result<AudienceChange> CloseAudience(Store& store, const crypto::KeyPair& key,
                                                   const AudienceId& audience);

// Writes the names and purposes that wait for their audience to come into force. Call after the
// charter has changed; says how many were written. Harmless when repeated.
[[nodiscard]] Result<std::size_t> WriteProfiles(Store& store);

// Writes into the audience that `member`, taken out of it, has deleted its copy. Harmless when
// repeated. kDenied: we may not write there.
[[nodiscard]] Status RecordDeletedCopy(Store& store, const MemberId& member,
                                       const CopyDeleted& statement);

// Who was in the audience once and is not now, by the charter in force, and what they confirmed.
struct FormerReader {
  MemberId member;
  TimeMs confirmed;       // zero: nothing so far
  bool verified = false;  // the statement's signature is the member's
};
[[nodiscard]] std::vector<FormerReader> FormerReaders(Store& store, Snapshot& snapshot,
                                                      const AudienceId& audience);

// What this node will write into an audience once it is in force; empty where nothing waits.
[[nodiscard]] AudienceProfile WaitingProfile(Store& store, const AudienceId& audience);
// What this node meets others for: the audiences that its member reads, closed ones of which it
// keeps a copy, and those that it was taken out of as long as there is something to hand over, or
// to say of the deleted copy.
[[nodiscard]] Result<std::vector<AudienceId>> AudiencesToMeetFor(Store& store);

// What the audience says of itself; empty where it says nothing, or is not read here.
[[nodiscard]] AudienceProfile ProfileOf(Snapshot& snapshot, const AudienceId& audience);
// The charter's name, else the one it says of itself, else its id.
[[nodiscard]] std::string AudienceLabel(Snapshot& snapshot, const AudienceId& audience);

}  // namespace staffel::sync
