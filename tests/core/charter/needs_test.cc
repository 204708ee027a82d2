// SPDX-License-Identifier: EUPL-1.2
// core.md's table of signatures, row by row: who suffices, and above all who does not.
#include "core/charter/needs.h"

#include "tests/core/charter/board.h"

namespace staffel::charter {
namespace {

// NI (chair), NW, BY, HE, BW have joined; BE is listed without a key. Quorum: 3 of 5. The guests
// BUND and GAST have no vote; BUND has a key. The group AG: NW and BY.
class Table {
 public:
  Table() {
    Content content = board.Now();
    Member bund;
    bund.id = M("BUND");
    bund.replicas = {ReplicaNamed("BUND")};
    content.members.push_back(bund);
    Member guest;
    guest.id = M("GAST");
    content.members.push_back(guest);
    Audience group;
    group.id = board.random().DrawId<AudienceId>();
    group.name = "ag";
    group.readers = group.writers = {M("BY"), M("NW")};
    group.relay = M("NW");
    content.audiences.push_back(group);
    // So that a chair who does not read it leaves its readers with a place to meet.
    for (Audience& audience : content.audiences) {
      if (audience.readers.size() > 1 && !audience.relay) audience.relay = M("NW");
    }
    content.rules = {{"deadline.papers", "14 days", TimeMs{0}},
                     {"rotation.order", "NI NW BY", TimeMs{0}},
                     {"threshold.resolution", "13", TimeMs{0}}};
    base = board.Settle(board.tip(), content, 5);
    REQUIRE(board.tree().InForce().entry == base);
  }

  Content Now() { return board.ContentOf(base); }
  Needs Judge(const Content& content, const Names& approved) {
    std::set<MemberId> members;
    for (const std::string& name : approved) members.insert(M(name));
    return JudgeChange(*board.tree().AuthorityOf(base), content, members);
  }
  bool Allowed(const Content& content, const Names& approved) {
    return Judge(content, approved).Satisfied();
  }
  // A quorum may do anything that is not forbidden, and two of five are none.
  void CheckQuorum(const Content& content) {
    CHECK(Allowed(content, {"NW", "BY", "HE"}));
    CHECK(Allowed(content, {"NI", "HE", "BW"}));
    CHECK_FALSE(Allowed(content, {"NI", "BUND", "GAST"}));
  }
  void CheckOnlyQuorum(const Content& content) {
    CheckQuorum(content);
    CHECK_FALSE(Allowed(content, {}));
    CHECK_FALSE(Allowed(content, {"NI"}));
    CHECK_FALSE(Allowed(content, {"NI", "NW"}));
  }

  Board board{5, 6};
  EntryId base;
};

Audience& Group(Content& content) {
  return *std::find_if(content.audiences.begin(), content.audiences.end(),
                       [](const Audience& a) { return a.name == "ag"; });
}

Cut MemberCut(Table& table, const std::string& key) {
  Cut cut;
  cut.journal = table.board.random().DrawId<JournalId>();
  cut.audience = table.Now().audiences.front().id;
  cut.key = KeyOf(key).public_key();
  cut.heads = {{3, table.board.random().DrawId<EntryId>()}};
  return cut;
}

TEST_CASE("deadlines and rotation: the chair alone") {
  Table table;
  Content content = table.Now();
  content.rules[0].value = "21 days";
  content.rules[1].value = "NI BY NW";
  CHECK(table.Allowed(content, {"NI"}));
  CHECK_FALSE(table.Allowed(content, {}));
  CHECK_FALSE(table.Allowed(content, {"NW", "BY"}));
  CHECK(table.Allowed(content, {"NW", "BY", "HE"}));
}

TEST_CASE("thresholds: a quorum, whatever else the entry changes beside them") {
  Table table;
  Content content = table.Now();
  content.rules[0].value = "21 days";
  content.rules[2].value = "1";
  table.CheckOnlyQuorum(content);
}

TEST_CASE("a member without a vote with its first key: the chair alone") {
  Table table;
  Content content = table.Now();
  content.FindMember(M("GAST"))->replicas = {ReplicaNamed("GAST")};
  CHECK(table.Allowed(content, {"NI"}));
  CHECK_FALSE(table.Allowed(content, {"NW"}));
  CHECK_FALSE(table.Allowed(content, {"GAST"}));
  Content fresh = table.Now();
  Member member;
  member.id = M("NEU");
  member.replicas = {ReplicaNamed("NEU")};
  fresh.members.push_back(member);
  CHECK(table.Allowed(fresh, {"NI"}));
  CHECK_FALSE(table.Allowed(fresh, {"NW", "BY"}));
}

TEST_CASE(
    "one more member is listed: a guest by the chair and a reader beside it, a Land by a quorum") {
  Table table;
  const Content guest = Must(WithMemberAdmitted(table.Now(), {M("SSW"), "Gast", false}));
  CHECK(table.Allowed(guest, {"NI", "NW"}));
  CHECK_FALSE(table.Allowed(guest, {"NI"}));
  CHECK_FALSE(table.Allowed(guest, {"NW", "GAST"}));
  for (const Audience& audience : guest.audiences) {
    const bool everyone = audience.name == kGuestsAudience || audience.name == kPublicAudience;
    CHECK(audience.IsReader(M("SSW")) == everyone);
    CHECK_FALSE(audience.IsWriter(M("SSW")));
  }
  const Content land = Must(WithMemberAdmitted(table.Now(), {M("XX"), "Land", true}));
  CHECK_FALSE(table.Allowed(land, {"NI", "NW"}));
  table.CheckQuorum(land);
  for (const Audience& audience : land.audiences) {
    CHECK(audience.IsWriter(M("XX")) ==
          (audience.name == kLaenderAudience || audience.name == kGuestsAudience ||
           audience.name == kPublicAudience));
  }
  CHECK(WithMemberAdmitted(table.Now(), {M("NW"), "", false}).error().code == ErrorCode::kExists);
}

TEST_CASE("the chair alone cannot make a key for a Land") {
  Table table;
  SECTION("a first one") {
    Content content = table.Now();
    content.FindMember(M("BE"))->replicas = {ReplicaNamed("BE")};
    table.CheckOnlyQuorum(content);
  }
  SECTION("a further one") {
    Content content = table.Now();
    content.FindMember(M("NW"))->replicas.push_back(ReplicaNamed("NW2"));
    CHECK_FALSE(table.Allowed(content, {"NI"}));
    CHECK_FALSE(table.Allowed(content, {"NI", "BY"}));
    CHECK_FALSE(table.Allowed(content, {"NW"}));
    CHECK(table.Allowed(content, {"NI", "NW"}));
    table.CheckQuorum(content);
  }
  SECTION("a recovery key, or one that only TLS asks for") {
    Content content = table.Now();
    content.FindMember(M("NW"))->recovery_keys.push_back(KeyOf("evil").public_key());
    CHECK_FALSE(table.Allowed(content, {"NI"}));
    content = table.Now();
    content.FindMember(M("NW"))->replicas[0].tls_key = KeyOf("evil").public_key();
    CHECK_FALSE(table.Allowed(content, {"NI"}));
    CHECK(table.Allowed(content, {"NI", "NW"}));
  }
  SECTION("by listing a Land anew as a guest with a vote to come") {
    Content content = table.Now();
    content.FindMember(M("BE"))->voting = false;
    content.FindMember(M("BE"))->replicas = {ReplicaNamed("BE")};
    table.CheckOnlyQuorum(content);
  }
}

TEST_CASE("a key belongs to one member for ever, also against a quorum") {
  Table table;
  const Names all{"NI", "NW", "BY", "HE", "BW"};
  SECTION("the chair lists a Land's key under a new guest") {
    Content content = table.Now();
    Member guest;
    guest.id = M("NEU");
    guest.replicas = {{KeyOf("NW").public_key(), KeyOf("NEU/tls").public_key(), ""}};
    content.members.push_back(guest);
    // Listed twice at once, it is refused before any signature is asked for.
    CHECK_FALSE(SerializeContent(content));
    // Moved from one to the other, no signature allows it.
    content.FindMember(M("NW"))->replicas = {ReplicaNamed("NW2")};
    const Needs needs = table.Judge(content, all);
    CHECK_FALSE(needs.Satisfied());
    CHECK(needs.Sentence().find("belongs to NW for ever") != std::string::npos);
    CHECK(needs.MissingFrom().empty());
  }
  SECTION("a key that has been taken out stays its member's") {
    Content content = table.Now();
    content.FindMember(M("NW"))->replicas = {ReplicaNamed("NW2")};
    const EntryId taken = table.board.Settle(table.base, content, 5);
    content.FindMember(M("GAST"))->recovery_keys = {KeyOf("NW").public_key()};
    CHECK(JudgeChange(*table.board.tree().AuthorityOf(taken), content, {M("NI")}).forbidden);
  }
}

TEST_CASE("a first key is given once: afterwards the chair alone cannot give another") {
  Table table;
  Content content = table.Now();
  content.FindMember(M("BUND"))->replicas.clear();
  const EntryId empty = table.board.Settle(table.base, content, 5);
  content.FindMember(M("BUND"))->replicas = {ReplicaNamed("BUND2")};
  const Authority& parent = *table.board.tree().AuthorityOf(empty);
  CHECK_FALSE(JudgeChange(parent, content, {M("NI")}).Satisfied());
  CHECK(JudgeChange(parent, content, {M("NI"), M("NW"), M("BY")}).Satisfied());
  // Nor by leaving and coming back.
  std::erase_if(content.members, [](const Member& m) { return m.id == M("BUND"); });
  const EntryId gone = table.board.Settle(empty, content, 5);
  Member again;
  again.id = M("BUND");
  again.replicas = {ReplicaNamed("BUND3")};
  content.members.push_back(again);
  CHECK_FALSE(JudgeChange(*table.board.tree().AuthorityOf(gone), content, {M("NI")}).Satisfied());
}

TEST_CASE("further keys of the chair: the chair and another voting member") {
  Table table;
  Content content = table.Now();
  content.FindMember(M("NI"))->replicas.push_back(ReplicaNamed("NI2"));
  CHECK_FALSE(table.Allowed(content, {"NI"}));
  CHECK_FALSE(table.Allowed(content, {"NI", "BUND"}));  // a guest's word is not enough
  CHECK_FALSE(table.Allowed(content, {"NW", "BY"}));
  CHECK(table.Allowed(content, {"NI", "NW"}));
}

TEST_CASE("votes: a quorum") {
  Table table;
  Content content = table.Now();
  content.FindMember(M("BUND"))->voting = true;
  table.CheckOnlyQuorum(content);
  content = table.Now();
  content.FindMember(M("HE"))->voting = false;
  table.CheckOnlyQuorum(content);
  content = table.Now();
  Member sybil;
  sybil.id = M("NEU");
  sybil.voting = true;
  content.members.push_back(sybil);
  table.CheckOnlyQuorum(content);
}

TEST_CASE("personal kinds, erasures, names, least versions, taking a member out: a quorum") {
  Table table;
  const auto changed = [&](auto change) {
    Content content = table.Now();
    change(content);
    table.CheckOnlyQuorum(content);
  };
  changed([](Content& c) { c.personal_kinds.push_back(5); });
  changed([](Content& c) { c.min_versions.push_back({5, 2}); });
  changed([](Content& c) { c.name = "Andere"; });
  changed([](Content& c) { c.demonstration = true; });
  changed([](Content& c) { c.FindMember(M("HE"))->name = "Hessen?"; });
  changed([](Content& c) { std::erase_if(c.members, [](auto& m) { return m.id == M("GAST"); }); });
  changed([&](Content& c) {
    c.erased_payloads.push_back({table.board.random().DrawId<EntryId>(), 0});
  });
  changed([](Content& c) { c.unknown = "something newer"; });
}

TEST_CASE("an entry that changes nothing needs a quorum: it strengthens its branch") {
  Table table;
  table.CheckOnlyQuorum(table.Now());
}

TEST_CASE("a new audience: all its first members") {
  Table table;
  Content content = table.Now();
  Audience audience;
  audience.id = table.board.random().DrawId<AudienceId>();
  audience.readers = {M("BY"), M("HE")};
  audience.writers = {M("BY")};
  SECTION("all of them suffice, and nobody else is needed") {
    audience.relay = M("HE");
    content.audiences.push_back(audience);
    CHECK(table.Allowed(content, {"BY", "HE"}));
    CHECK_FALSE(table.Allowed(content, {"BY"}));
    CHECK_FALSE(table.Allowed(content, {"NI", "HE"}));
    table.CheckQuorum(content);
  }
  SECTION("without relay and reading chair they would meet nowhere: refused") {
    content.audiences.push_back(audience);
    CHECK_FALSE(SerializeContent(content));
  }
  SECTION("a joining guest brings the audience that it alone is in, and no other") {
    audience.readers = audience.writers = {M("GAST")};
    audience.relay = M("GAST");
    content.FindMember(M("GAST"))->replicas = {ReplicaNamed("GAST")};
    content.audiences.push_back(audience);
    CHECK(table.Allowed(content, {"NI"}));
    content.audiences.back().readers = {M("GAST"), M("HE")};
    CHECK_FALSE(table.Allowed(content, {"NI"}));
    CHECK_FALSE(table.Allowed(content, {"NI", "HE"}));  // the guest cannot sign yet
  }
}

TEST_CASE("a new relay: all readers of the audience") {
  Table table;
  Content content = table.Now();
  Group(content).relay = M("BY");
  CHECK(table.Allowed(content, {"BY", "NW"}));
  CHECK_FALSE(table.Allowed(content, {"NI", "NW"}));
  table.CheckQuorum(content);
}

TEST_CASE("a member into an audience: the chair and one of that audience") {
  Table table;
  Content content = table.Now();
  Group(content).readers = {M("BY"), M("HE"), M("NW")};
  CHECK(table.Allowed(content, {"NI", "NW"}));
  CHECK_FALSE(table.Allowed(content, {"NI"}));
  CHECK_FALSE(table.Allowed(content, {"NI", "HE"}));
  CHECK_FALSE(table.Allowed(content, {"BY", "NW"}));
  table.CheckQuorum(content);
  SECTION("a chair that is in it does not stand for the other one") {
    Content wide = table.Now();
    Audience& laender = wide.audiences.front();
    REQUIRE(laender.IsReader(M("NI")));
    laender.readers.push_back(M("BUND"));
    CHECK_FALSE(table.Allowed(wide, {"NI"}));
    CHECK(table.Allowed(wide, {"NI", "HE"}));
  }
  SECTION("the right to write is asked for like the right to read") {
    Content writes = table.Now();
    Group(writes).writers = {M("NW")};
    const EntryId narrow = table.board.Settle(table.base, writes, 5);
    Group(writes).writers = {M("BY"), M("NW")};
    const Authority& parent = *table.board.tree().AuthorityOf(narrow);
    CHECK_FALSE(JudgeChange(parent, writes, {M("NI")}).Satisfied());
    CHECK(JudgeChange(parent, writes, {M("NI"), M("BY")}).Satisfied());
  }
}

TEST_CASE("out of an audience, closing one, its nature: a quorum, and a closed one stays closed") {
  Table table;
  Content content = table.Now();
  Group(content).readers = Group(content).writers = {M("NW")};
  table.CheckOnlyQuorum(content);
  content = table.Now();
  Group(content).open = true;
  table.CheckOnlyQuorum(content);
  content = table.Now();
  const Audience group = Group(content);
  content.audiences.pop_back();
  table.CheckOnlyQuorum(content);
  const EntryId closed = table.board.Settle(table.base, content, 5);
  content.audiences.push_back(group);
  CHECK(JudgeChange(*table.board.tree().AuthorityOf(closed), content, {}).forbidden);
}

TEST_CASE("the next term: old and new chair and a voting member") {
  Table table;
  const auto next = [&](const std::string& name) {
    return Must(WithNextTerm(table.Now(), M(name), KeyOf(name).public_key(), TimeMs{2000}, {}));
  };
  CHECK(table.Allowed(next("NW"), {"NI", "NW", "BY"}));
  CHECK_FALSE(table.Allowed(next("NW"), {"NI", "NW"}));
  CHECK_FALSE(table.Allowed(next("NW"), {"NI", "NW", "BUND"}));
  CHECK_FALSE(table.Allowed(next("NW"), {"NI", "BY"}));
  table.CheckQuorum(next("NW"));
  SECTION("a guest of the chair's making cannot be both the next chair and the third") {
    CHECK_FALSE(table.Allowed(next("BUND"), {"NI", "BUND"}));
    CHECK(table.Allowed(next("BUND"), {"NI", "BUND", "HE"}));
  }
  SECTION("to itself: the chair and two others") {
    CHECK_FALSE(table.Allowed(next("NI"), {"NI"}));
    CHECK_FALSE(table.Allowed(next("NI"), {"NI", "NW"}));
    CHECK(table.Allowed(next("NI"), {"NI", "NW", "BY"}));
  }
  SECTION("the replica must be one of the member's, whoever signs") {
    Content content = next("NW");
    content.terms.back().replica = KeyOf("BY").public_key();
    CHECK(table.Judge(content, {"NI", "NW", "BY", "HE", "BW"}).forbidden);
  }
  SECTION("a term names one replica for ever; its start may be moved by a quorum") {
    Content content = table.Now();
    content.terms[0].replica = KeyOf("NW").public_key();
    content.terms[0].member = M("NW");
    CHECK(table.Judge(content, {"NI", "NW", "BY"}).forbidden);
    content = table.Now();
    content.terms[0].starts = TimeMs{5};
    table.CheckOnlyQuorum(content);
  }
  SECTION("two terms at once are not the next") {
    Content content = next("NW");
    content.terms.push_back({3, M("BY"), KeyOf("BY").public_key(), TimeMs{3000}});
    CHECK(table.Judge(content, {"NI", "NW", "BY"}).forbidden);
  }
}

TEST_CASE(
    "cut of a member's lane: the chair and that member, and of the chair's own: and a voter") {
  Table table;
  Content content = table.Now();
  content.cuts.push_back(MemberCut(table, "NW"));
  CHECK(table.Allowed(content, {"NI", "NW"}));
  CHECK_FALSE(table.Allowed(content, {"NI"}));
  CHECK_FALSE(table.Allowed(content, {"NI", "BY"}));
  table.CheckQuorum(content);
  SECTION("the chair's member lane") {
    Content own = table.Now();
    own.cuts.push_back(MemberCut(table, "NI"));
    CHECK_FALSE(table.Allowed(own, {"NI"}));
    CHECK_FALSE(table.Allowed(own, {"NI", "BUND"}));
    CHECK(table.Allowed(own, {"NI", "BY"}));
  }
  SECTION("changing or dropping a cut asks for the same") {
    const EntryId with = table.board.Settle(table.base, content, 5);
    const Authority& parent = *table.board.tree().AuthorityOf(with);
    Content less = content;
    less.cuts.clear();
    CHECK_FALSE(JudgeChange(parent, less, {M("NI")}).Satisfied());
    CHECK(JudgeChange(parent, less, {M("NI"), M("NW")}).Satisfied());
    Content more = content;
    more.cuts[0].heads[0].seq = 9;
    CHECK_FALSE(JudgeChange(parent, more, {M("NI")}).Satisfied());
  }
  SECTION("in an audience that is not open, a cut in the clear tells too much") {
    Content told = table.Now();
    told.cuts.push_back(MemberCut(table, "NW"));
    told.cuts[0].audience = Group(told).id;
    CHECK(table.Judge(told, {"NI", "NW", "BY"}).forbidden);
    told.cuts[0].heads.clear();
    told.cuts[0].hidden = table.board.random().DrawId<Hash>();
    CHECK(table.Allowed(told, {"NI", "NW"}));
  }
}

TEST_CASE("the chair alone cannot take back what it received: cuts of chair lanes") {
  Table table;
  Cut cut = MemberCut(table, "NI");
  cut.term = 1;
  Content content = table.Now();
  content.cuts = {cut};
  SECTION("within the term: a quorum") { table.CheckOnlyQuorum(content); }
  SECTION("with the handover: its signatures suffice") {
    const Content next =
        Must(WithNextTerm(table.Now(), M("NW"), KeyOf("NW").public_key(), TimeMs{2000}, {cut}));
    CHECK(table.Allowed(next, {"NI", "NW", "BY"}));
    CHECK_FALSE(table.Allowed(next, {"NI", "NW"}));
    // Afterwards old and new chair together cannot change a past term's.
    const EntryId handed = table.board.Settle(table.base, next, 5);
    Content later = next;
    later.cuts[0].heads[0].seq = 1;
    const Authority& parent = *table.board.tree().AuthorityOf(handed);
    CHECK_FALSE(JudgeChange(parent, later, {M("NI"), M("NW")}).Satisfied());
    CHECK(JudgeChange(parent, later, {M("NI"), M("NW"), M("BY")}).Satisfied());
  }
}

TEST_CASE("what is missing can be read") {
  Board board(3, 4);
  Content content = board.Now();
  content.FindMember(M("HE"))->replicas = {ReplicaNamed("HE")};
  const Needs needs = board.Judge(content, {"NI"});
  CHECK(needs.Sentence() ==
        "gives HE its first key: needs the signatures of a quorum: 2 of NI, NW, BY; has NI");
  CHECK(needs.MissingFrom() == std::vector<MemberId>{M("BY"), M("NW")});
  CHECK(board.Judge(content, {"NI", "BY"}).Sentence() == "nothing is missing");
  content = board.Now();
  content.FindMember(M("NW"))->replicas.push_back(ReplicaNamed("NW2"));
  CHECK(board.Judge(content, {}).Sentence() ==
        "changes the keys or addresses of NW: needs NI and NW, or the signatures of a quorum: "
        "2 of NI, NW, BY; has nobody");
}

}  // namespace
}  // namespace staffel::charter
