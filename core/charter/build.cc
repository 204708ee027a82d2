// SPDX-License-Identifier: EUPL-1.2
#include "core/charter/build.h"

#include <algorithm>

#include "core/charter/build_steps.h"
#include "core/charter/rotation.h"

namespace staffel::charter {
namespace {

Audience OwnAudience(const MemberId& member, Random& random) {
  Audience audience;
  audience.id = random.DrawId<AudienceId>();
  audience.name = OwnAudienceName(member);
  audience.readers = {member};
  audience.writers = {member};
  audience.relay = member;
  return audience;
}

}  // namespace

std::string OwnAudienceName(const MemberId& member) {
  return fmt::format("{}{}", kOwnAudiencePrefix, member.text());
}

bool IsStandingAudience(const Content& charter, std::string_view name) {
  if (!name.starts_with(kOwnAudiencePrefix)) {
    return name == kLaenderAudience || name == kGuestsAudience || name == kPublicAudience;
  }
  const auto owner = MemberId::From(name.substr(kOwnAudiencePrefix.size()));
  return owner && charter.FindMember(*owner) != nullptr;
}

Result<Content> FoundingCharter(const FoundingOptions& options, Random& random) {
  Content charter;
  charter.name = options.name;
  charter.title = options.title;
  charter.demonstration = options.demonstration;
  charter.rules = options.rules;
  charter.personal_kinds = options.personal_kinds;
  Audience laender;
  laender.id = random.DrawId<AudienceId>();
  // Not open, also while there is no guest: cuts of an open audience stand in the charter for every
  // member to read, and how long a journal of the Länder is must not be told to a later guest.
  laender.name = kLaenderAudience;
  Audience guests;
  guests.name = kGuestsAudience;
  Audience everyone;
  everyone.name = kPublicAudience;
  everyone.open = true;
  everyone.chair_writes_only = true;
  for (const auto& one : options.members) {
    Member member;
    member.id = one.id;
    member.name = one.name;
    member.voting = one.voting;
    if (one.id == options.founder) {
      member.replicas = {options.replica};
      member.recovery_keys = options.recovery_keys;
    }
    charter.members.push_back(std::move(member));
    guests.readers.push_back(one.id);
    if (one.voting) laender.readers.push_back(one.id);
  }
  STAFFEL_TRY(founder, FindMember(charter, options.founder));
  if (!founder->voting) {
    return Fail(ErrorCode::kInvalid, "{} founds the conference but has no vote in it",
                options.founder.text());
  }
  std::sort(laender.readers.begin(), laender.readers.end());
  std::sort(guests.readers.begin(), guests.readers.end());
  laender.writers = laender.readers;
  guests.writers = laender.readers;
  everyone.readers = guests.readers;
  everyone.writers = laender.readers;
  charter.audiences.push_back(std::move(laender));
  charter.audiences.push_back(OwnAudience(options.founder, random));
  guests.id = random.DrawId<AudienceId>();
  charter.audiences.push_back(std::move(guests));
  everyone.id = random.DrawId<AudienceId>();
  charter.audiences.push_back(std::move(everyone));
  charter.terms.push_back({1, options.founder, options.replica.key, options.term_starts});
  return Finished(charter);
}

Result<Content> WithMemberAdmitted(const Content& charter,
                                   const FoundingOptions::FoundingMember& add) {
  Content next = charter;
  if (next.FindMember(add.id) != nullptr) {
    return Fail(ErrorCode::kExists, "{} is a member of {} already: invite it", add.id.text(),
                charter.name);
  }
  Member member;
  member.id = add.id;
  member.name = add.name;
  member.voting = add.voting;
  next.members.push_back(std::move(member));
  for (Audience& audience : next.audiences) {
    const bool everyone = audience.name == kGuestsAudience || audience.name == kPublicAudience;
    if (!everyone && !(add.voting && audience.name == kLaenderAudience)) continue;
    audience.readers.push_back(add.id);
    std::sort(audience.readers.begin(), audience.readers.end());
    if (!add.voting) continue;
    audience.writers.push_back(add.id);
    std::sort(audience.writers.begin(), audience.writers.end());
  }
  return Finished(next);
}

Result<Content> WithMemberJoined(const Content& charter, const MemberId& member,
                                 const Replica& replica,
                                 const std::vector<crypto::PublicKey>& recovery_keys,
                                 Random& random) {
  Content next = charter;
  STAFFEL_TRY(joined, FindMember(next, member));
  if (joined->has_keys()) {
    return Fail(ErrorCode::kExists,
                "{} has joined already: a further replica needs its own signature", member.text());
  }
  joined->replicas = {replica};
  joined->recovery_keys = recovery_keys;
  next.audiences.push_back(OwnAudience(member, random));
  return Finished(next);
}

Result<Content> WithReplicaAdded(const Content& charter, const MemberId& member,
                                 const Replica& replica) {
  Content next = charter;
  STAFFEL_TRY(owner, FindMember(next, member));
  if (!owner->has_keys()) {
    return Fail(ErrorCode::kNotFound, "{} has not joined yet: invite it first", member.text());
  }
  if (owner->SignsWith(replica.key)) {
    return Fail(ErrorCode::kExists, "{} has this key already", member.text());
  }
  owner->replicas.push_back(replica);
  return Finished(next);
}

Result<Content> WithReplicaUrl(const Content& charter, const crypto::PublicKey& key,
                               std::string url) {
  Content next = charter;
  for (Member& member : next.members) {
    for (Replica& replica : member.replicas) {
      if (replica.key != key) continue;
      replica.url = std::move(url);
      return Finished(next);
    }
  }
  return Fail(ErrorCode::kNotFound, "no member has the replica key {}", ToHex(key.bytes()));
}

Result<Content> WithNextTerm(const Content& charter, const MemberId& member,
                             const crypto::PublicKey& hub, TimeMs starts, std::vector<Cut> cuts,
                             std::vector<Term::Part> protocol) {
  Content next = charter;
  STAFFEL_TRY(chair, FindMember(next, member));
  const bool listed = std::any_of(chair->replicas.begin(), chair->replicas.end(),
                                  [&](const Replica& replica) { return replica.key == hub; });
  if (!listed) {
    return Fail(ErrorCode::kNotFound, "{} has no replica with the key {}", member.text(),
                ToHex(hub.bytes()));
  }
  next.terms.push_back({next.terms.size() + 1, member, hub, starts, std::move(protocol)});
  std::erase_if(next.rules, [](const Rule& rule) { return rule.name == kNextRule; });
  PutCuts(next, std::move(cuts));
  return Finished(next);
}

Result<Content> WithCuts(const Content& charter, std::vector<Cut> cuts) {
  Content next = charter;
  PutCuts(next, std::move(cuts));
  return Finished(next);
}

Result<Content> WithKeyRemoved(const Content& charter, const crypto::PublicKey& key,
                               std::vector<Cut> cuts) {
  if (charter.terms.back().replica == key) {
    return Fail(ErrorCode::kDenied,
                "this is the hub's key, and a term names one replica for ever: hand the chair over "
                "first, to another replica of {} or to another member",
                charter.terms.back().member.text());
  }
  Content next = charter;
  for (Member& member : next.members) {
    const std::size_t gone =
        std::erase_if(member.replicas, [&](const Replica& replica) { return replica.key == key; }) +
        std::erase(member.recovery_keys, key);
    if (gone == 0) continue;
    PutCuts(next, std::move(cuts));
    return Finished(next);
  }
  return Fail(ErrorCode::kNotFound, "no member has the key {}", ToHex(key.bytes()));
}

Result<Content> WithRecoveryKeyAdded(const Content& charter, const MemberId& member,
                                     const crypto::PublicKey& key) {
  Content next = charter;
  STAFFEL_TRY(owner, FindMember(next, member));
  if (!owner->has_keys()) {
    return Fail(ErrorCode::kNotFound, "{} has not joined yet: invite it first", member.text());
  }
  if (owner->SignsWith(key)) {
    return Fail(ErrorCode::kExists, "{} has this key already", member.text());
  }
  owner->recovery_keys.push_back(key);
  return Finished(next);
}

Result<Content> WithRule(const Content& charter, std::string name, std::optional<std::string> value,
                         TimeMs from) {
  Content next = charter;
  const auto gone = std::erase_if(
      next.rules, [&](const Rule& rule) { return rule.name == name && rule.from == from; });
  if (value) {
    next.rules.push_back({std::move(name), std::move(*value), from});
  } else if (gone == 0) {
    return Fail(ErrorCode::kNotFound, "no rule '{}' begins on {}", name, FormatTimeUtc(from));
  }
  return Finished(next);
}

Result<Entry> MakeCharterEntry(const Entry* parent, const Content& charter, TimeMs time) {
  STAFFEL_TRY(bytes, SerializeContent(charter));
  Header header;
  header.time = time;
  if (parent != nullptr) {
    header.journal = parent->header.seq == 0 ? parent->id : parent->header.journal;
    header.seq = parent->header.seq + 1;
    header.prev = parent->id;
  }
  header.body = CharterBody{std::move(bytes)};
  return MakeEntry(SerializeHeader(header));
}

}  // namespace staffel::charter
