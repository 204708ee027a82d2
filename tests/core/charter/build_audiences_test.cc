// SPDX-License-Identifier: EUPL-1.2
#include "core/charter/build_audiences.h"

#include <catch2/catch.hpp>

#include "tests/core/charter/board.h"

namespace staffel::charter {
namespace {

NewAudience Group(std::vector<MemberId> readers, std::string name = "ag") {
  return {.name = std::move(name), .readers = std::move(readers)};
}

TEST_CASE("a group is founded by all its first members, and by nobody else") {
  Board board(4);
  AudienceId founded;
  const Content content =
      Must(WithAudience(board.Now(), Group({M("NW"), M("NI"), M("BY")}), board.random(), &founded));
  const Audience* group = content.FindAudience(founded);
  REQUIRE(group != nullptr);
  CHECK(group->readers == std::vector<MemberId>{M("BY"), M("NI"), M("NW")});
  CHECK(group->writers == group->readers);
  CHECK_FALSE(group->open);
  const auto judged = [&](std::set<MemberId> approved) {
    return JudgeChange(board.authority(), content, std::move(approved)).Satisfied();
  };
  CHECK(judged({M("NI"), M("NW"), M("BY")}));
  CHECK_FALSE(judged({M("NI"), M("NW")}));
  CHECK_FALSE(judged({M("HE"), M("NW")}));
}

TEST_CASE("a group that could meet nowhere, or under a name that is taken, is not founded") {
  Board board(4);
  const auto refused = [&](NewAudience audience) {
    const auto made = WithAudience(board.Now(), audience, board.random(), nullptr);
    return made ? ErrorCode::kInternal : made.error().code;
  };
  CHECK(refused(Group({M("NW"), M("BY")})) == ErrorCode::kInvalid);  // without the chair
  NewAudience relayed = Group({M("NW"), M("BY")});
  relayed.relay = M("NW");
  CHECK(WithAudience(board.Now(), relayed, board.random(), nullptr));
  relayed.relay = M("HE");
  CHECK(refused(relayed) == ErrorCode::kInvalid);  // a relay reads
  CHECK(refused(Group({M("NI"), M("NW")}, "laender")) == ErrorCode::kExists);
  CHECK(refused(Group({M("NI"), M("NW")}, "land:BE")) == ErrorCode::kExists);
  CHECK(refused(Group({M("NI"), M("XX")})) == ErrorCode::kInvalid);
  NewAudience foreign = Group({M("NI"), M("NW")});
  foreign.writers = {M("BY")};
  CHECK(refused(foreign) == ErrorCode::kInvalid);
}

TEST_CASE("two groups may have no name in the charter: that is what confidential means") {
  Board board(4);
  AudienceId first;
  const Content one =
      Must(WithAudience(board.Now(), Group({M("NI"), M("NW")}, ""), board.random(), &first));
  const Content two =
      Must(WithAudience(one, Group({M("NI"), M("BY")}, ""), board.random(), nullptr));
  CHECK(two.audiences.size() == board.Now().audiences.size() + 2);
  CHECK(two.FindAudience(first)->name.empty());
}

TEST_CASE("a member is taken in by the chair and one of the audience, out by a quorum") {
  Board board(5);
  AudienceId group;
  NewAudience relayed = Group({M("NW"), M("BY")});
  relayed.relay = M("NW");
  const Content founded = Must(WithAudience(board.Now(), relayed, board.random(), &group));
  const auto before = Authority::Extend(
      board.authority(),
      EntryId(Must(MakeCharterEntry(board.tree().Find(board.tree().InForce().entry), founded,
                                    TimeMs{9}))
                  .id),
      std::make_shared<const Content>(founded));
  const Content wider = Must(WithAudienceMember(founded, group, M("HE"), true));
  CHECK(wider.FindAudience(group)->IsWriter(M("HE")));
  CHECK(JudgeChange(*before, wider, {M("NI"), M("BY")}).Satisfied());
  CHECK_FALSE(JudgeChange(*before, wider, {M("NI"), M("HE")}).Satisfied());
  CHECK_FALSE(JudgeChange(*before, wider, {M("NW"), M("BY")}).Satisfied());
  CHECK(WithAudienceMember(wider, group, M("HE"), true).error().code == ErrorCode::kExists);
  CHECK(WithAudienceMember(wider, group, M("XX"), true).error().code == ErrorCode::kNotFound);
  CHECK(WithAudienceMember(wider, AudienceId(), M("HE"), true).error().code ==
        ErrorCode::kNotFound);

  const Content narrower = Must(WithoutAudienceMember(founded, group, M("BY"), {}));
  CHECK_FALSE(narrower.FindAudience(group)->IsReader(M("BY")));
  CHECK_FALSE(JudgeChange(*before, narrower, {M("NI"), M("BY")}).Satisfied());
  CHECK(JudgeChange(*before, narrower, {M("NI"), M("NW"), M("HE")}).Satisfied());
  CHECK(WithoutAudienceMember(narrower, group, M("BY"), {}).error().code == ErrorCode::kNotFound);
  CHECK(WithoutAudienceMember(narrower, group, M("NW"), {}).error().code == ErrorCode::kDenied);
  CHECK(Must(WithoutAudience(founded, group)).FindAudience(group) == nullptr);
  CHECK(WithoutAudience(founded, AudienceId()).error().code == ErrorCode::kNotFound);
}

TEST_CASE("what every conference has is neither closed nor renamed, by whatever signatures") {
  Board board(3);
  const Names all{"NI", "NW", "BY"};
  for (const char* name : {"laender", "guests", "public", "land:NI"}) {
    INFO(name);
    const auto find = [&](Content& content) {
      return std::find_if(content.audiences.begin(), content.audiences.end(),
                          [&](const Audience& audience) { return audience.name == name; });
    };
    Content now = board.Now();
    REQUIRE(find(now) != now.audiences.end());
    CHECK(WithoutAudience(now, find(now)->id).error().code == ErrorCode::kDenied);
    Content closed = now;
    closed.audiences.erase(find(closed));
    CHECK(board.Judge(closed, all).forbidden.has_value());
    // Else: renamed first, then closed.
    Content renamed = now;
    find(renamed)->name = "anders";
    CHECK(board.Judge(renamed, all).forbidden.has_value());
  }
  Content group =
      Must(WithAudience(board.Now(), Group({M("NI"), M("NW")}), board.random(), nullptr));
  CHECK(board.Judge(group, all).Satisfied());
}

TEST_CASE("a Land's own audience is that Land's alone, and no quorum of others says otherwise") {
  Board board(4);
  const Names all{"NI", "NW", "BY", "HE"};
  const Content now = board.Now();
  const auto own =
      std::find_if(now.audiences.begin(), now.audiences.end(), [](const Audience& one) {
        return one.name == "land:BY";
      })->id;
  CHECK(WithAudienceMember(now, own, M("NW"), true).error().code == ErrorCode::kDenied);
  CHECK(WithoutAudienceMember(now, own, M("BY"), {}).error().code == ErrorCode::kDenied);
  const auto judged = [&](auto change) {
    Content content = now;
    change(content);
    return board.Judge(content, all);
  };
  CHECK(judged([&](Content& c) { c.FindAudience(own)->readers = {M("BY"), M("NW")}; }).forbidden);
  CHECK(judged([&](Content& c) {
          c.FindAudience(own)->readers = {M("BY"), M("NW")};
          c.FindAudience(own)->writers = {M("BY"), M("NW")};
        }).forbidden);
  // Taken from its Land, it would be deleted on that Land's node.
  CHECK(judged([&](Content& c) {
          c.FindAudience(own)->readers = c.FindAudience(own)->writers = {};
          c.FindAudience(own)->relay.reset();
        }).forbidden);
  CHECK(judged([&](Content& c) {
          Audience second = *c.FindAudience(own);
          second.id = board.random().DrawId<AudienceId>();
          second.name = "land:XX";
          c.audiences.push_back(second);
        }).forbidden);
  // A Land that leaves the conference takes nothing with it: its audience goes with it.
  CHECK(judged([&](Content& c) {
          std::erase_if(c.audiences, [&](const Audience& one) { return one.id == own; });
          for (Audience& audience : c.audiences) {
            std::erase(audience.readers, M("BY"));
            std::erase(audience.writers, M("BY"));
          }
          std::erase_if(c.members, [](const Member& member) { return member.id == M("BY"); });
        }).Satisfied());
}

}  // namespace
}  // namespace staffel::charter
