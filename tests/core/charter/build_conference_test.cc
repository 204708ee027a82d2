// SPDX-License-Identifier: EUPL-1.2
#include "core/charter/build_conference.h"

#include <catch2/catch.hpp>

#include "core/charter/build_audiences.h"
#include "core/charter/rotation.h"
#include "tests/core/charter/board.h"

namespace staffel::charter {
namespace {

// NI (chair), NW, BY, HE have joined, BW is listed: a quorum is 3 of 4. The guest SSW has no vote.
struct Conference : Board {
  Conference() : Board(4, 5) {
    now = Must(WithMemberAdmitted(Now(), {M("SSW"), "Gast", false}));
    at = Settle(tip(), now, 4);
    REQUIRE(tree().InForce().entry == at);
  }
  bool Allowed(const Content& content, std::set<MemberId> approved) {
    return JudgeChange(authority(), content, std::move(approved)).Satisfied();
  }
  // Three of four, the chair or not; whoever it concerns is not asked.
  void CheckOnlyQuorum(const Content& content) {
    CHECK(Allowed(content, {M("NW"), M("BY"), M("HE")}));
    CHECK(Allowed(content, {M("NI"), M("NW"), M("BY")}));
    CHECK_FALSE(Allowed(content, {M("NI"), M("HE")}));
    CHECK_FALSE(Allowed(content, {M("NI"), M("HE"), M("SSW")}));
  }
  std::shared_ptr<const Authority> After(const Content& content) {
    const Entry entry = Make(at, content);
    return Authority::Extend(authority(), entry.id, std::make_shared<const Content>(content));
  }
  Content now;
  EntryId at;
};

const Audience& Named(const Content& content, std::string_view name) {
  const auto found = std::find_if(content.audiences.begin(), content.audiences.end(),
                                  [&](const Audience& one) { return one.name == name; });
  REQUIRE(found != content.audiences.end());
  return *found;
}

ErrorCode CodeOf(const Result<Content>& result) {
  return result ? ErrorCode::kInternal : result.error().code;
}

TEST_CASE("a vote is given and taken by a quorum, and counts in the next one") {
  Conference conference;
  const Content without = Must(WithMemberChanged(conference.now, M("HE"), {.voting = false}));
  conference.CheckOnlyQuorum(without);
  const auto after = conference.After(without);
  CHECK(after->quorum().needed == 2);
  CHECK_FALSE(after->quorum().ReachedBy({M("NI"), M("HE")}));
  CHECK(after->quorum().ReachedBy({M("NI"), M("BY")}));
  // It stays where it is: out of an audience it goes with cuts, by a step of its own.
  CHECK(Named(without, kLaenderAudience).IsWriter(M("HE")));
  CHECK(without.cuts == conference.now.cuts);
  const Content again = Must(WithMemberChanged(without, M("HE"), {.voting = true}));
  CHECK(again == conference.now);
}

TEST_CASE("a guest with a vote is among the Länder, as one that was admitted with it") {
  Conference conference;
  const Content given = Must(WithMemberChanged(conference.now, M("SSW"), {.voting = true}));
  conference.CheckOnlyQuorum(given);
  const Content admitted = Must(WithMemberAdmitted(conference.Now(), {M("SSW"), "Gast", true}));
  for (const auto name : {kLaenderAudience, kGuestsAudience, kPublicAudience}) {
    INFO(name);
    CHECK(Named(given, name).readers == Named(admitted, name).readers);
    CHECK(Named(given, name).writers == Named(admitted, name).writers);
  }
}

TEST_CASE("a member is renamed by a quorum, to a name that is one") {
  Conference conference;
  const Content renamed = Must(WithMemberChanged(conference.now, M("HE"), {.name = "Hessen"}));
  CHECK(renamed.FindMember(M("HE"))->name == "Hessen");
  conference.CheckOnlyQuorum(renamed);
  const auto refused = [&](MemberChange change, const char* member = "HE") {
    return CodeOf(WithMemberChanged(conference.now, M(member), change));
  };
  CHECK(refused({.name = ""}) == ErrorCode::kInvalid);
  CHECK(refused({.name = "HE", .voting = true}) == ErrorCode::kExists);
  CHECK(refused({.name = "X"}, "XX") == ErrorCode::kNotFound);
}

TEST_CASE("a member goes by a quorum, out of all audiences, and its own one goes with it") {
  Conference conference;
  AudienceId group;
  Content before = Must(WithAudience(conference.now, {.name = "ag", .readers = {M("HE"), M("NI")}},
                                     conference.random(), &group));
  const AudienceId own = Named(before, "land:HE").id;
  Cut cut;
  cut.journal = conference.random().DrawId<JournalId>();
  cut.audience = Named(before, kLaenderAudience).id;
  cut.key = KeyOf("HE").public_key();
  cut.heads = {{7, conference.random().DrawId<EntryId>()}};
  const Content without = Must(WithoutMember(before, M("HE"), {cut}));
  CHECK(without.FindMember(M("HE")) == nullptr);
  CHECK(without.FindAudience(own) == nullptr);
  CHECK(without.FindAudience(group)->readers == std::vector<MemberId>{M("NI")});
  for (const Audience& audience : without.audiences) CHECK_FALSE(audience.IsReader(M("HE")));
  CHECK(without.cuts == std::vector<Cut>{cut});

  const Content gone = Must(WithoutMember(conference.now, M("HE"), {cut}));
  conference.CheckOnlyQuorum(gone);
  const auto after = conference.After(gone);
  CHECK(after->quorum().needed == 2);
  CHECK(after->quorum().eligible == std::vector<MemberId>{M("NI"), M("NW"), M("BY")});
  CHECK_FALSE(after->SignerOf(KeyOf("HE").public_key()));
  CHECK_FALSE(after->ReplicaOfTlsKey(KeyOf("HE/tls").public_key()));
  // What it wrote stays its own, up to the cut.
  CHECK(after->MemberOfKey(KeyOf("HE").public_key()) == M("HE"));
  CHECK(after->EverWrote(M("HE"), cut.audience));
}

TEST_CASE("who has the chair, and the last vote, neither goes nor loses its vote") {
  Conference conference;
  const auto refused = [](const Content& content, const char* member) {
    CHECK(CodeOf(WithMemberChanged(content, M(member), {.voting = false})) == ErrorCode::kDenied);
    CHECK(CodeOf(WithoutMember(content, M(member), {})) == ErrorCode::kDenied);
  };
  refused(conference.now, "NI");
  CHECK(WithoutMember(conference.now, M("NI"), {}).error().message.find("handover") !=
        std::string::npos);
  // A chair without a vote, as no builder makes it: then NW's is the last one with keys.
  Content alone = conference.now;
  for (Member& member : alone.members) member.voting = member.id == M("NW") || member.id == M("BW");
  refused(alone, "NW");
  CHECK(WithMemberChanged(alone, M("BW"), {.voting = false}));
  CHECK(CodeOf(WithoutMember(conference.now, M("XX"), {})) == ErrorCode::kNotFound);
}

TEST_CASE("who passes entries on between others hands that over before it goes") {
  Conference conference;
  NewAudience relayed{.name = "ag", .readers = {M("BY"), M("HE"), M("NW")}};
  relayed.relay = M("HE");
  AudienceId group;
  const Content before = Must(WithAudience(conference.now, relayed, conference.random(), &group));
  const auto refused = WithoutMember(before, M("HE"), {});
  CHECK(CodeOf(refused) == ErrorCode::kDenied);
  CHECK(refused.error().message.find("ag") != std::string::npos);
  CHECK(WithoutMember(Must(WithAudienceRelay(before, group, M("BY"))), M("HE"), {}));
}

TEST_CASE("a threshold that could be reached is not put out of reach by a vote that goes") {
  Conference conference;
  Content content = Must(WithRule(conference.now, "threshold.resolution", "5", TimeMs{1}));
  CHECK(CodeOf(WithoutMember(content, M("HE"), {})) == ErrorCode::kInvalid);
  CHECK(CodeOf(WithMemberChanged(content, M("BW"), {.voting = false})) == ErrorCode::kInvalid);
  CHECK(WithoutMember(content, M("SSW"), {}));
  content = Must(WithRule(content, "threshold.resolution", "4", TimeMs{2}));
  CHECK(WithoutMember(content, M("HE"), {}));
  // One that nobody could reach before either is not this change's to mend.
  content = Must(WithRule(content, "threshold.resolution", "13", TimeMs{3}));
  CHECK(WithoutMember(content, M("HE"), {}));
}

TEST_CASE("what was announced for somebody who goes, or has no vote, is left out") {
  Conference conference;
  const auto announced = [&](const char* member) {
    const NextTerm next{M(member), KeyOf(member).public_key(), TimeMs{5000}};
    return Must(WithRule(conference.now, std::string(kNextRule), NextTermText(next), TimeMs{1}));
  };
  CHECK(Must(WithoutMember(announced("HE"), M("HE"), {})).rules.empty());
  CHECK(Must(WithMemberChanged(announced("HE"), M("HE"), {.voting = false})).rules.empty());
  CHECK(Must(WithoutMember(announced("BY"), M("HE"), {})).rules.size() == 1);
}

TEST_CASE("the conference's name and title are changed by a quorum") {
  Conference conference;
  const Content content =
      Must(WithConferenceChanged(conference.now, {.name = "AndereMK", .title = "Andere"}));
  CHECK(content.name == "AndereMK");
  CHECK(content.title == "Andere");
  conference.CheckOnlyQuorum(content);
  CHECK(Must(WithConferenceChanged(content, {.title = ""})).title.empty());
  CHECK(CodeOf(WithConferenceChanged(content, {.name = ""})) == ErrorCode::kInvalid);
  CHECK(CodeOf(WithConferenceChanged(content, {.name = "AndereMK"})) == ErrorCode::kExists);
}

TEST_CASE("what holds for a kind is changed by a quorum, each part by itself") {
  Conference conference;
  const auto changed = [](const Content& content, KindChange change) {
    return Must(WithKindChanged(content, 5, change));
  };
  const Content personal = changed(conference.now, {.personal = true});
  CHECK(personal.personal_kinds == std::vector<std::uint32_t>{5});
  conference.CheckOnlyQuorum(personal);
  const Content least = changed(personal, {.min_version = 2});
  CHECK(least.min_versions == std::vector<MinVersion>{{5, 2}});
  CHECK(least.personal_kinds == personal.personal_kinds);
  conference.CheckOnlyQuorum(least);
  CHECK(changed(least, {.min_version = 3}).min_versions == std::vector<MinVersion>{{5, 3}});
  CHECK(changed(least, {.personal = false, .min_version = 0}) == conference.now);
  CHECK(CodeOf(WithKindChanged(least, 5, {.personal = true, .min_version = 2})) ==
        ErrorCode::kExists);
}

}  // namespace
}  // namespace staffel::charter
