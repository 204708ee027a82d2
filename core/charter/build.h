// SPDX-License-Identifier: EUPL-1.2
// Makes new charters and their entries: founding, joining, keys, terms. Builders only write down
// the change; who must sign it is said by needs.h. Pure but for the randomness handed in; any
// thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/id.h"
#include "core/base/random.h"
#include "core/base/result.h"
#include "core/base/time.h"
#include "core/charter/content.h"
#include "core/journal/entry.h"

namespace staffel::charter {

inline constexpr std::string_view kLaenderAudience = "laender";
// Länder and guests: all members read, the Länder write.
inline constexpr std::string_view kGuestsAudience = "guests";
// What anybody may see: all members read, the chair writes.
inline constexpr std::string_view kPublicAudience = "public";
// The audience of one Land alone: "land:NI". No other audience has a name that begins so.
inline constexpr std::string_view kOwnAudiencePrefix = "land:";
[[nodiscard]] std::string OwnAudienceName(const MemberId& member);
// Whether the charter is never without an audience of this name: one of the above, or the own one
// of somebody who is a member of it. It is not closed, not renamed, and founded only once.
[[nodiscard]] bool IsStandingAudience(const Content& charter, std::string_view name);

struct FoundingOptions {
  std::string name;
  std::string title;
  struct FoundingMember {
    MemberId id;
    std::string name;
    bool voting = true;
  };
  std::vector<FoundingMember> members;
  MemberId founder;  // one of them, voting; has the chair in term 1
  Replica replica;   // the founder's: the hub
  std::vector<crypto::PublicKey> recovery_keys;
  TimeMs term_starts;
  std::vector<Rule> rules;
  std::vector<std::uint32_t> personal_kinds;
  bool demonstration = false;
};

// The charter of entry 0: all members, the founder's keys, the audience `laender` (all voting
// members read and write; relay: the hub; guests are not in it), the founder's own audience, and
// `guests` and `public`, which all members read.
[[nodiscard]] Result<Content> FoundingCharter(const FoundingOptions& options, Random& random);

// Lists one more member, without keys: it reads what all members read, a voting one what the Länder
// do, and can be invited then. kExists: it is listed.
[[nodiscard]] Result<Content> WithMemberAdmitted(const Content& charter,
                                                 const FoundingOptions::FoundingMember& add);
// `member`, listed and without keys, gets its first ones and its own audience, which it alone
// reads, writes and relays. kNotFound: no such member; kExists: it has keys.
[[nodiscard]] Result<Content> WithMemberJoined(const Content& charter, const MemberId& member,
                                               const Replica& replica,
                                               const std::vector<crypto::PublicKey>& recovery_keys,
                                               Random& random);
// A further replica of a member that has one. kExists: the key is listed already.
[[nodiscard]] Result<Content> WithReplicaAdded(const Content& charter, const MemberId& member,
                                               const Replica& replica);
// A new address for a replica. kNotFound: no such key.
[[nodiscard]] Result<Content> WithReplicaUrl(const Content& charter, const crypto::PublicKey& key,
                                             std::string url);
// The next term: the chair passes to `member`, whose replica `hub` becomes the hub, with the cuts
// of the ended term's lanes and the hashes of the handover's protocol. What was announced for it
// (rotation.h, kNextRule) has happened and is left out.
[[nodiscard]] Result<Content> WithNextTerm(const Content& charter, const MemberId& member,
                                           const crypto::PublicKey& hub, TimeMs starts,
                                           std::vector<Cut> cuts,
                                           std::vector<Term::Part> protocol = {});
// With these cuts; each takes the place of one of the same lane: the last cut counts.
[[nodiscard]] Result<Content> WithCuts(const Content& charter, std::vector<Cut> cuts);
// Without this replica or recovery key. kNotFound: no member has it; kDenied: it is the hub's,
// which only a next term can change.
[[nodiscard]] Result<Content> WithKeyRemoved(const Content& charter, const crypto::PublicKey& key,
                                             std::vector<Cut> cuts);
// A further recovery key of a member that has keys. kExists: it has this one.
[[nodiscard]] Result<Content> WithRecoveryKeyAdded(const Content& charter, const MemberId& member,
                                                   const crypto::PublicKey& key);
// With a rule that holds from `from` on, or, without a value, without the one that began then.
[[nodiscard]] Result<Content> WithRule(const Content& charter, std::string name,
                                       std::optional<std::string> value, TimeMs from);

// The entry that makes `charter` the child of `parent`, or entry 0 where there is none. Signatures
// stand beside it: SignCharterEntry. Refuses what ParseContent refuses, and more than 4 MiB.
[[nodiscard]] Result<Entry> MakeCharterEntry(const Entry* parent, const Content& charter,
                                             TimeMs time);

}  // namespace staffel::charter
