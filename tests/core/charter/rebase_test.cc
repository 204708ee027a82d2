// SPDX-License-Identifier: EUPL-1.2
#include "core/charter/rebase.h"

#include "core/charter/build_audiences.h"
#include "tests/core/charter/board.h"

namespace staffel::charter {
namespace {

Content Ruled(const Content& content, std::string name, std::string value) {
  return Must(WithRule(content, std::move(name), std::move(value), TimeMs{5}));
}

TEST_CASE("what was changed on one charter is changed on another, beside what that changed") {
  Board board(4);
  const Content base = board.Now();
  const Content mine = Must(WithMemberAdmitted(base, {M("SSW"), "Gast", false}));
  const Content now = Must(WithMemberAdmitted(Ruled(base, "deadline.amendment", "7 days"),
                                              {M("GAST"), "Noch einer", false}));
  const Content both = Must(Rebased(base, mine, now));
  CHECK(both.FindMember(M("SSW")) != nullptr);
  CHECK(both.FindMember(M("GAST")) != nullptr);
  CHECK(both.rules == now.rules);
  for (const Audience& audience : both.audiences) {
    CHECK(audience.IsReader(M("SSW")) == audience.IsReader(M("GAST")));
  }
  CHECK(JudgeChange(board.authority(), Must(Rebased(base, mine, base)), {M("NI"), M("NW")})
            .Satisfied());
}

TEST_CASE("an erasure and a removal are made anew, and what both changed is a person's matter") {
  Board board(4);
  const Content base = board.Now();
  Content erases = base;
  erases.erased_records.push_back(
      {base.audiences.front().id, 5, board.random().DrawId<RecordId>()});
  const Content now = Ruled(base, "deadline.amendment", "7 days");
  CHECK(Must(Rebased(base, erases, now)).erased_records == erases.erased_records);
  CHECK(Rebased(base, erases, Must(Rebased(base, erases, now))).error().code == ErrorCode::kExists);

  const auto laender = base.audiences.front().id;
  const Content out = Must(WithoutAudienceMember(base, laender, M("BY"), {}));
  const Content narrower = Must(Rebased(base, out, Ruled(now, "rotation.order", "NI NW BY")));
  CHECK_FALSE(narrower.FindAudience(laender)->IsReader(M("BY")));
  CHECK_FALSE(narrower.FindAudience(laender)->IsWriter(M("BY")));

  const auto clash = Rebased(base, Ruled(base, "deadline.amendment", "14 days"), now);
  CHECK(clash.error().code == ErrorCode::kConflict);
  CHECK(clash.error().message.find("deadline.amendment") != std::string::npos);
  Content renamed = base;
  renamed.name = "Andere";
  Content otherwise = base;
  otherwise.name = "Ganz andere";
  CHECK(Rebased(base, renamed, otherwise).error().code == ErrorCode::kConflict);
  // A term is made of what was held at that moment.
  const Content passed = Must(WithNextTerm(base, M("NW"), KeyOf("NW").public_key(), TimeMs{9}, {}));
  CHECK(Rebased(base, passed, now).error().code == ErrorCode::kConflict);
}

TEST_CASE("a further key, a key taken out, a name and a member gone are each found again") {
  Board board(4);
  const Content base = board.Now();
  const Content now = Ruled(base, "deadline.amendment", "7 days");
  const Content added = Must(WithReplicaAdded(base, M("BY"), ReplicaNamed("BY2")));
  CHECK(Must(Rebased(base, added, now)).FindMember(M("BY"))->replicas.size() == 2);
  const Content removed = Must(WithKeyRemoved(added, KeyOf("BY").public_key(), {}));
  const Content left = Must(Rebased(added, removed, Must(Rebased(base, added, now))));
  REQUIRE(left.FindMember(M("BY"))->replicas.size() == 1);
  CHECK(left.FindMember(M("BY"))->replicas.front().key == KeyOf("BY2").public_key());
  Content named = base;
  named.FindMember(M("HE"))->name = "Hessen";
  CHECK(Must(Rebased(base, named, added)).FindMember(M("HE"))->name == "Hessen");
  // Changed here and taken out there.
  Content without = base;
  for (Audience& audience : without.audiences) {
    std::erase(audience.readers, M("HE"));
    std::erase(audience.writers, M("HE"));
    if (audience.relay == M("HE")) audience.relay.reset();
  }
  std::erase_if(without.members, [](const Member& member) { return member.id == M("HE"); });
  CHECK(Rebased(base, named, without).error().code == ErrorCode::kConflict);
}

TEST_CASE("the same change is known again, whatever is drawn anew each time") {
  Board board(4);
  const Content base = board.Now();
  const auto group = [&](std::string name, std::vector<MemberId> readers) {
    return Must(WithAudience(base, {.name = std::move(name), .readers = std::move(readers)},
                             board.random(), nullptr));
  };
  const std::vector<MemberId> two{M("NI"), M("NW")};
  const std::vector<MemberId> other{M("NI"), M("BY")};
  CHECK(SameChange(base, group("ag", two), group("ag", two)));
  CHECK_FALSE(SameChange(base, group("ag", two), group("ag", other)));
  CHECK_FALSE(SameChange(base, group("ag", two), group("bg", two)));
  CHECK_FALSE(SameChange(base, group("", two), group("", two)));  // only those inside could tell
  const auto laender = base.audiences.front().id;
  Cut cut;
  cut.journal = board.random().DrawId<JournalId>();
  cut.audience = laender;
  cut.key = KeyOf("BY").public_key();
  cut.hidden = board.random().DrawId<Hash>();
  Cut again = cut;
  again.hidden = board.random().DrawId<Hash>();
  Content closed = base;
  closed.FindAudience(laender)->open = false;
  CHECK(SameChange(closed, Must(WithoutAudienceMember(closed, laender, M("BY"), {cut})),
                   Must(WithoutAudienceMember(closed, laender, M("BY"), {again}))));
  CHECK_FALSE(SameChange(closed, Must(WithCuts(closed, {cut})), Must(WithCuts(closed, {again}))));
}

}  // namespace
}  // namespace staffel::charter
