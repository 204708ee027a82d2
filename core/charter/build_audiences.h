// SPDX-License-Identifier: EUPL-1.2
// Makes charters with other audiences: founded, with members taken in or out, closed. Like build.h
// it only writes down the change; who must sign it is said by needs.h. Pure but for the randomness
// handed in; any thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/id.h"
#include "core/base/random.h"
#include "core/base/result.h"
#include "core/charter/content.h"

namespace staffel::charter {

struct NewAudience {
  std::string name;  // empty: confidential, told by a record inside
  std::vector<MemberId> readers;
  std::vector<MemberId> writers;  // empty: all readers
  std::optional<MemberId> relay;  // nothing: the hub, whose member must be a reader
  bool chair_writes_only = false;
};

// Founds an audience under a new id, which is put into `founded`. kExists: an audience has this
// name, or a name that is kept for others ("land:…"); kInvalid: a reader, writer or relay that is
// no member, or not in it. Otherwise what ParseContent refuses: readers
// that are no members, writers that do not read, an audience that nobody could pass on.
[[nodiscard]] Result<Content> WithAudience(const Content& charter, const NewAudience& audience,
                                           Random& random, AudienceId* founded);
// Takes a member in as a reader, and as a writer where `writes`. kNotFound: no such audience or
// member; kExists: it is in already, with this right; kDenied: a Land's own audience.
[[nodiscard]] Result<Content> WithAudienceMember(const Content& charter, const AudienceId& audience,
                                                 const MemberId& member, bool writes);
// Takes a member out, with the cuts of its lanes there: a journal that none of them names is void
// as soon as the member's key is. A cut of the same lane replaces the one before. kNotFound: no
// such audience, or the member is not in it; kDenied: it is the last reader (close the audience),
// its relay (WithAudienceRelay first), or the audience is one Land's own.
[[nodiscard]] Result<Content> WithoutAudienceMember(const Content& charter,
                                                    const AudienceId& audience,
                                                    const MemberId& member, std::vector<Cut> cuts);
// Another reader passes entries on from now. kNotFound: no such audience, or the member is not in
// it; kExists: it does already; kDenied: the audience is one Land's own.
[[nodiscard]] Result<Content> WithAudienceRelay(const Content& charter, const AudienceId& audience,
                                                const MemberId& member);
// Closes an audience for ever: nobody reads or writes it any more. kNotFound: there is none;
// kDenied: one that the conference is never without (IsStandingAudience).
[[nodiscard]] Result<Content> WithoutAudience(const Content& charter, const AudienceId& audience);

}  // namespace staffel::charter
