// SPDX-License-Identifier: EUPL-1.2
#include "core/charter/build_audiences.h"

#include <algorithm>

#include "core/charter/build.h"
#include "core/charter/build_steps.h"

namespace staffel::charter {
namespace {

Result<Audience*> Find(Content& charter, const AudienceId& id) {
  Audience* audience = charter.FindAudience(id);
  if (audience == nullptr) {
    return Fail(ErrorCode::kNotFound, "{} has no audience {}", charter.name, id.Hex());
  }
  return audience;
}

std::vector<MemberId> Ascending(std::vector<MemberId> members) {
  std::sort(members.begin(), members.end());
  return members;
}

void Insert(std::vector<MemberId>& members, const MemberId& member) {
  const auto at = std::lower_bound(members.begin(), members.end(), member);
  if (at == members.end() || *at != member) members.insert(at, member);
}

std::string Label(const Audience& audience) {
  return audience.name.empty() ? audience.id.Hex().substr(0, 8) : audience.name;
}

// A Land's own audience has that Land in it and nobody else, ever.
Status RefuseOwn(const Audience& audience) {
  if (!audience.name.starts_with(kOwnAudiencePrefix)) return {};
  return Fail(ErrorCode::kDenied, "'{}' is one Land's alone: nobody is taken into it or out of it",
              audience.name);
}

// By names that people know: ParseContent would name the id of an audience that is not there yet.
Status CheckMembers(const Content& charter, const NewAudience& audience) {
  const auto reads = [&](const MemberId& member) {
    return std::find(audience.readers.begin(), audience.readers.end(), member) !=
           audience.readers.end();
  };
  for (const MemberId& reader : audience.readers) {
    if (charter.FindMember(reader) == nullptr) {
      return Fail(ErrorCode::kInvalid, "{} is no member of {}", reader.text(), charter.name);
    }
  }
  for (const MemberId& writer : audience.writers) {
    if (!reads(writer)) {
      return Fail(ErrorCode::kInvalid, "{} is to write and is not among the audience's members",
                  writer.text());
    }
  }
  if (audience.relay && !reads(*audience.relay)) {
    return Fail(ErrorCode::kInvalid,
                "{} is to pass entries on and is not among the audience's members",
                audience.relay->text());
  }
  return {};
}

// One that can be changed, and that the member is in.
Result<Audience*> FindWithReader(Content& content, const AudienceId& audience,
                                 const MemberId& member) {
  STAFFEL_TRY(found, Find(content, audience));
  STAFFEL_CHECK(RefuseOwn(*found));
  if (!found->IsReader(member)) {
    return Fail(ErrorCode::kNotFound, "{} is not in the audience {}", member.text(), Label(*found));
  }
  return found;
}

}  // namespace

Result<Content> WithAudience(const Content& charter, const NewAudience& audience, Random& random,
                             AudienceId* founded) {
  Content next = charter;
  if (audience.name.starts_with(kOwnAudiencePrefix)) {
    return Fail(ErrorCode::kExists, "the name '{}' is kept for a Land's own audience",
                audience.name);
  }
  for (const Audience& other : next.audiences) {
    if (!audience.name.empty() && other.name == audience.name) {
      return Fail(ErrorCode::kExists, "there is an audience '{}' already: choose another name",
                  audience.name);
    }
  }
  STAFFEL_CHECK(CheckMembers(charter, audience));
  Audience made;
  made.id = random.DrawId<AudienceId>();
  made.name = audience.name;
  made.readers = Ascending(audience.readers);
  made.writers = audience.writers.empty() ? made.readers : Ascending(audience.writers);
  made.relay = audience.relay;
  made.chair_writes_only = audience.chair_writes_only;
  if (founded != nullptr) *founded = made.id;
  next.audiences.push_back(std::move(made));
  return Finished(next);
}

Result<Content> WithAudienceMember(const Content& charter, const AudienceId& audience,
                                   const MemberId& member, bool writes) {
  Content next = charter;
  STAFFEL_TRY(changed, Find(next, audience));
  if (next.FindMember(member) == nullptr) {
    return Fail(ErrorCode::kNotFound, "{} is no member of {}", member.text(), charter.name);
  }
  STAFFEL_CHECK(RefuseOwn(*changed));
  if (changed->IsReader(member) && (!writes || changed->IsWriter(member))) {
    return Fail(ErrorCode::kExists, "{} is in the audience {} already", member.text(),
                Label(*changed));
  }
  Insert(changed->readers, member);
  if (writes) Insert(changed->writers, member);
  return Finished(next);
}

Result<Content> WithoutAudienceMember(const Content& charter, const AudienceId& audience,
                                      const MemberId& member, std::vector<Cut> cuts) {
  Content next = charter;
  STAFFEL_TRY(changed, FindWithReader(next, audience, member));
  if (changed->readers.size() == 1) {
    return Fail(ErrorCode::kDenied, "{} is the only one in the audience {}: close it instead",
                member.text(), Label(*changed));
  }
  if (changed->relay == member) {
    return Fail(
        ErrorCode::kDenied,
        "{} passes entries on in the audience {}: give that to another of its members first "
        "('staffel audience relay')",
        member.text(), Label(*changed));
  }
  std::erase(changed->readers, member);
  std::erase(changed->writers, member);
  PutCuts(next, std::move(cuts));
  return Finished(next);
}

Result<Content> WithAudienceRelay(const Content& charter, const AudienceId& audience,
                                  const MemberId& member) {
  Content next = charter;
  STAFFEL_TRY(changed, FindWithReader(next, audience, member));
  if (changed->relay == member) {
    return Fail(ErrorCode::kExists, "{} passes entries on in the audience {} already",
                member.text(), Label(*changed));
  }
  changed->relay = member;
  return Finished(next);
}

Result<Content> WithoutAudience(const Content& charter, const AudienceId& audience) {
  Content next = charter;
  STAFFEL_TRY(closed, Find(next, audience));
  if (IsStandingAudience(charter, closed->name)) {
    return Fail(
        ErrorCode::kDenied,
        "'{}' is never closed: the conference is not without it, and what is in it would be "
        "gone from every list for ever",
        closed->name);
  }
  std::erase_if(next.audiences, [&](const Audience& one) { return one.id == audience; });
  return Finished(next);
}

}  // namespace staffel::charter
