// SPDX-License-Identifier: EUPL-1.2
// Makes new charters in which the conference is another: who is in it, with which vote, under which
// name; what it is called; which kinds are personal, and which versions write them. Who must sign
// is needs.h's to say. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/id.h"
#include "core/base/result.h"
#include "core/charter/content.h"

namespace staffel::charter {

// What is not given stays as it is. All of these refuse what changes nothing (kExists).

struct MemberChange {
  std::optional<std::string> name;
  std::optional<bool> voting;
};
// A vote that is given takes the member among the Länder, as one admitted with a vote: it reads and
// writes `laender`, with its whole history, and writes what all read. One that is taken leaves it
// in all its audiences: out of them it goes by its own steps, with cuts (build_audiences.h).
// kNotFound: no such member; kDenied: the vote of the chair, or the last one of a member with keys;
// kInvalid: an empty name, or a rule then asks for more votes than there are.
[[nodiscard]] Result<Content> WithMemberChanged(const Content& charter, const MemberId& member,
                                                const MemberChange& change);
// Takes a member out of the conference, with its keys and out of every audience; the ones that it
// alone is in close with it, its own among them. The cuts are those of its journals: what none of
// them names loses its effect. What was announced for its term is left out. kNotFound: no such
// member; kDenied: it has the chair, or the last vote of a member with keys, or passes entries on
// between others; kInvalid: a rule then asks for more votes than there are.
[[nodiscard]] Result<Content> WithoutMember(const Content& charter, const MemberId& member,
                                            std::vector<Cut> cuts);

struct ConferenceChange {
  std::optional<std::string> name;
  std::optional<std::string> title;
};
// kInvalid: an empty name.
[[nodiscard]] Result<Content> WithConferenceChanged(const Content& charter,
                                                    const ConferenceChange& change);

struct KindChange {
  std::optional<bool> personal;
  std::optional<std::uint32_t> min_version;  // of the projection; 0: any version writes it
};
[[nodiscard]] Result<Content> WithKindChanged(const Content& charter, std::uint32_t kind,
                                              const KindChange& change);

}  // namespace staffel::charter
