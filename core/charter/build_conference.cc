// SPDX-License-Identifier: EUPL-1.2
#include "core/charter/build_conference.h"

#include <algorithm>

#include "core/charter/build.h"
#include "core/charter/build_steps.h"
#include "core/charter/rotation.h"

namespace staffel::charter {
namespace {

bool HasVoteWithKeys(const Member& member) { return member.voting && member.has_keys(); }

// A member is to lose its vote, or to go: what would leave the conference without hands.
Status CheckVoteCanGo(const Content& charter, const Member& member) {
  if (charter.terms.back().member == member.id) {
    return Fail(ErrorCode::kDenied,
                "{} has the chair, which only a member with a vote can have: hand it over first "
                "('staffel handover propose')",
                member.id.text());
  }
  const auto votes = std::count_if(charter.members.begin(), charter.members.end(), HasVoteWithKeys);
  if (HasVoteWithKeys(member) && votes == 1) {
    return Fail(ErrorCode::kDenied,
                "{} is the last member with a vote and keys: nobody could ever change the charter "
                "again",
                member.id.text());
  }
  return {};
}

// A threshold that could be reached before and cannot now. Of each name the rule that begins last
// is the one that stays.
Status CheckThresholds(const Content& before, const Content& after) {
  for (const Rule& rule : after.rules) {
    const auto votes = VotesAskedFor(rule);
    if (!votes || *votes <= VotesIn(after) || *votes > VotesIn(before)) continue;
    const bool overtaken = std::any_of(
        after.rules.begin(), after.rules.end(),
        [&](const Rule& other) { return other.name == rule.name && other.from > rule.from; });
    if (overtaken) continue;
    return Fail(ErrorCode::kInvalid,
                "rule '{}' asks for {} votes, and there would be {}: set it anew first ('staffel "
                "rules set')",
                rule.name, *votes, VotesIn(after));
  }
  return {};
}

// Announced to somebody who cannot have the chair any more.
void DropAnnouncement(Content& charter, const MemberId& member) {
  std::erase_if(charter.rules, [&](const Rule& rule) {
    const auto next = rule.name == kNextRule ? ReadNextTerm(rule.value) : std::nullopt;
    return next && next->member == member;
  });
}

void Insert(std::vector<MemberId>& members, const MemberId& member) {
  const auto at = std::lower_bound(members.begin(), members.end(), member);
  if (at == members.end() || *at != member) members.insert(at, member);
}

void TakeAmongTheLaender(Content& charter, const MemberId& member) {
  for (Audience& audience : charter.audiences) {
    const bool laender = audience.name == kLaenderAudience;
    if (laender) Insert(audience.readers, member);
    if (laender || audience.name == kGuestsAudience || audience.name == kPublicAudience) {
      Insert(audience.writers, member);
    }
  }
}

Result<Content> Changed(const Content& before, const Content& after) {
  if (after == before) return Fail(ErrorCode::kExists, "the charter says just that already");
  return Finished(after);
}

}  // namespace

Result<Content> WithMemberChanged(const Content& charter, const MemberId& member,
                                  const MemberChange& change) {
  Content next = charter;
  STAFFEL_TRY(changed, FindMember(next, member));
  if (change.name) {
    if (change.name->empty()) return Fail(ErrorCode::kInvalid, "a member needs a name");
    changed->name = *change.name;
  }
  if (change.voting && *change.voting != changed->voting) {
    if (!*change.voting) {
      STAFFEL_CHECK(CheckVoteCanGo(charter, *changed));
      DropAnnouncement(next, member);
    } else {
      TakeAmongTheLaender(next, member);
    }
    changed->voting = *change.voting;
    STAFFEL_CHECK(CheckThresholds(charter, next));
  }
  return Changed(charter, next);
}

Result<Content> WithoutMember(const Content& charter, const MemberId& member,
                              std::vector<Cut> cuts) {
  Content next = charter;
  STAFFEL_TRY(gone, FindMember(next, member));
  STAFFEL_CHECK(CheckVoteCanGo(charter, *gone));
  std::erase_if(next.audiences, [&](const Audience& audience) {
    return audience.readers == std::vector<MemberId>{member};
  });
  for (Audience& audience : next.audiences) {
    if (audience.relay == member) {
      return Fail(
          ErrorCode::kDenied,
          "{} passes entries on in the audience {}: give that to another of its members first "
          "('staffel audience relay')",
          member.text(), audience.name.empty() ? audience.id.Hex().substr(0, 8) : audience.name);
    }
    std::erase(audience.readers, member);
    std::erase(audience.writers, member);
  }
  std::erase_if(next.members, [&](const Member& one) { return one.id == member; });
  DropAnnouncement(next, member);
  STAFFEL_CHECK(CheckThresholds(charter, next));
  PutCuts(next, std::move(cuts));
  return Finished(next);
}

Result<Content> WithConferenceChanged(const Content& charter, const ConferenceChange& change) {
  Content next = charter;
  if (change.name) {
    if (change.name->empty()) return Fail(ErrorCode::kInvalid, "a conference needs a name");
    next.name = *change.name;
  }
  if (change.title) next.title = *change.title;
  return Changed(charter, next);
}

Result<Content> WithKindChanged(const Content& charter, std::uint32_t kind,
                                const KindChange& change) {
  Content next = charter;
  if (change.personal) {
    auto& personal = next.personal_kinds;
    const bool is = std::find(personal.begin(), personal.end(), kind) != personal.end();
    if (is && !*change.personal) std::erase(personal, kind);
    if (!is && *change.personal) personal.push_back(kind);
  }
  if (change.min_version) {
    const auto least = std::find_if(next.min_versions.begin(), next.min_versions.end(),
                                    [&](const MinVersion& one) { return one.kind == kind; });
    if (*change.min_version == 0) {
      std::erase_if(next.min_versions, [&](const MinVersion& one) { return one.kind == kind; });
    } else if (least == next.min_versions.end()) {
      next.min_versions.push_back({kind, *change.min_version});
    } else {
      least->version = *change.min_version;
    }
  }
  return Changed(charter, next);
}

}  // namespace staffel::charter
