// SPDX-License-Identifier: EUPL-1.2
// The counterexamples that earlier wordings of the charter's rules had, each as a test that fails
// when its cure is taken out. The numbers are those of the list that docs/traces.md has; what takes
// several replicas is in tests/sim, what concerns receipts in tests/core/store.
#include <catch2/catch.hpp>

#include "core/charter/judge.h"
#include "core/charter/needs.h"
#include "tests/core/charter/board.h"

namespace staffel::charter {
namespace {

TEST_CASE("trace 1: a dead branch that an ex-chair makes longer does not pass the settled one") {
  Board board(4);
  const EntryId tip = board.tip();
  const Content handed =
      Must(WithNextTerm(board.Now(), M("NW"), KeyOf("NW").public_key(), TimeMs{2000}, {}));
  const EntryId one = board.Propose(tip, handed);
  board.Approve(one, {"NI", "NW", "BY"});
  board.Cosign(one, {"NW", "BY", "HE"});
  REQUIRE(board.tree().IsSettled(one));
  // The ex-chair forks it: 11, 12 and 13, all its own deadlines, approved by itself alone. What is
  // not in force is cosigned by nobody honest, whatever numbers they have used up.
  EntryId at = tip;
  for (std::uint64_t i = 1; i <= 3; ++i) {
    at = board.Propose(at, Must(WithRule(board.ContentOf(at), "deadline.x", "soon", TimeMs{i})));
    board.Approve(at, {"NI"});
    board.Cosign(at, {"NI"});
  }
  CHECK(board.tree().InForce().entry == one);
  for (const std::string& name : Names{"NW", "BY", "HE"}) {
    for (const EntryId& id : board.tree().ToCosign(KeyOf(name).public_key(), 0)) {
      CHECK(board.tree().Find(id)->header.seq <= board.tree().Find(one)->header.seq);
    }
  }
}

TEST_CASE("trace 2: a tie ends when a quorum appends to one of the tied paths, and not otherwise") {
  Board board(4);
  const EntryId tip = board.tip();
  const EntryId one = board.Propose(tip, Must(WithRule(board.Now(), "deadline.a", "x", TimeMs{1})));
  const EntryId two = board.Propose(tip, Must(WithRule(board.Now(), "deadline.b", "x", TimeMs{1})));
  board.Approve(one, {"NI"});
  board.Approve(two, {"NI"});
  board.Cosign(one, {"NI", "NW"});
  board.Cosign(two, {"BY", "HE"});
  REQUIRE(board.tree().InForce().tied);
  REQUIRE(board.tree().InForce().entry == tip);
  CHECK(board.tree().TiedEntries() == (one < two ? std::vector{one, two} : std::vector{two, one}));
  // A third branch beside them settles nothing.
  const EntryId beside = board.ProposeSame(tip);
  board.Approve(beside, {"NI", "NW"});
  CHECK(board.tree().InForce().tied);
  // Two have used number 2 already: the approval of a quorum decides, not who cosigns.
  const EntryId below = board.ProposeSame(two);
  board.Approve(below, {"NW", "BY"});
  CHECK(board.tree().InForce().tied);
  board.Approve(below, {"HE"});
  CHECK_FALSE(board.tree().InForce().tied);
  CHECK(board.tree().InForce().entry == below);
  CHECK(board.tree().TiedEntries().empty());
}

TEST_CASE("trace 3: a node in doubt cosigns numbers above all it met, and every later one") {
  Board board(4);
  const std::uint64_t met = board.tree().InForce().seq;
  const EntryId next = board.Propose(Must(WithRule(board.Now(), "deadline.a", "x", TimeMs{1})));
  board.Approve(next, {"NI"});
  const auto key = KeyOf("HE").public_key();
  CHECK(board.tree().ToCosign(key, met + 2).empty());
  CHECK(board.tree().ToCosign(key, met + 1) == std::vector{next});
}

TEST_CASE("trace 4: an approval is no cosignature and a cosignature no approval, in bytes too") {
  Board board(3);
  const EntryId entry = board.ProposeSame(board.tip());
  const auto approval = SignCharterEntry(entry, Kind::kApproval, KeyOf("NI"));
  auto forged = approval;
  forged.kind = Kind::kSeen;
  const auto taken = board.tree().AddSignature(entry, forged);
  REQUIRE_FALSE(taken);
  CHECK(taken.error().code == ErrorCode::kCorrupt);
  // And the summary tells them apart.
  const Hash before = board.tree().SummaryHash();
  board.Approve(entry, {"NI"});
  const Hash approved = board.tree().SummaryHash();
  board.Cosign(entry, {"NI"});
  CHECK(board.tree().SummaryHash() != approved);
  CHECK(approved != before);
}

TEST_CASE("trace 5: one Land with two replicas kept apart counts for one branch only") {
  Board board(3);
  Content content = board.Now();
  content.FindMember(M("BY"))->replicas.push_back(ReplicaNamed("BY2"));
  const EntryId base = board.Settle(board.tip(), content, 3);
  const EntryId one = board.ProposeSame(base);
  const EntryId two = board.ProposeSame(base);
  board.Approve(one, {"NI", "NW"});
  // Only the first listed replica cosigns; the other one is asked for nothing.
  CHECK(board.tree().ToCosign(KeyOf("BY").public_key(), 0) == std::vector{one});
  CHECK(board.tree().ToCosign(KeyOf("BY2").public_key(), 0).empty());
  board.Approve(two, {"NI", "NW"});
  CHECK(board.tree().AuthorityOf(base)->Cosigns(KeyOf("BY").public_key()));
  CHECK_FALSE(board.tree().AuthorityOf(base)->Cosigns(KeyOf("BY2").public_key()));
  // Signatures of both on one entry are one member's.
  board.Cosign(one, {"BY", "BY2"});
  CHECK_FALSE(board.tree().IsSettled(one));
  board.Cosign(one, {"NI"});
  CHECK(board.tree().IsSettled(one));
}

TEST_CASE("trace 6: a chair's entries cosigned by machines do not outrun what a quorum approves") {
  Board board(5);
  const EntryId tip = board.tip();
  // The chair piles up entries of its own; they are in force, but only a minority's machines have
  // seen them when a quorum approves its removal beside them.
  EntryId at = tip;
  for (std::uint64_t i = 1; i <= 3; ++i) {
    at = board.Propose(at, Must(WithRule(board.ContentOf(at), "deadline.x", "soon", TimeMs{i})));
    board.Approve(at, {"NI"});
    board.Cosign(at, {"NI", "NW"});
  }
  REQUIRE(board.tree().InForce().entry == at);
  const EntryId removal = board.Propose(
      tip,
      Must(WithNextTerm(board.ContentOf(tip), M("NW"), KeyOf("NW").public_key(), TimeMs{9}, {})));
  board.Approve(removal, {"NW", "BY", "HE"});
  CHECK(board.tree().InForce().entry == removal);
}

TEST_CASE("trace 8: the chair alone cuts nothing of its own, and gets no further key") {
  Board board(4);
  const Content before = board.Now();
  Content key = before;
  key.FindMember(M("NI"))->replicas.push_back(ReplicaNamed("NI2"));
  CHECK_FALSE(board.Judge(key, {"NI"}).Satisfied());
  CHECK(board.Judge(key, {"NI", "NW"}).Satisfied());
  const Content cut = Must(WithCuts(before, {{board.random().DrawId<JournalId>(),
                                              before.audiences[0].id,
                                              KeyOf("NI").public_key(),
                                              0,
                                              {},
                                              {}}}));
  CHECK_FALSE(board.Judge(cut, {"NI"}).Satisfied());
  CHECK(board.Judge(cut, {"NI", "BY"}).Satisfied());
  // The next term to a guest of the chair's own making: the guest is no third member.
  const Content to_itself =
      Must(WithNextTerm(before, M("NI"), KeyOf("NI").public_key(), TimeMs{9}, {}));
  CHECK_FALSE(board.Judge(to_itself, {"NI", "NW"}).Satisfied());
  CHECK(board.Judge(to_itself, {"NI", "NW", "BY"}).Satisfied());
  // A chair who does not read them leaves the readers a place to meet.
  Content guest = before;
  for (Audience& audience : guest.audiences) {
    if (audience.readers.size() > 1) audience.relay = M("NW");
  }
  const EntryId with_relays = board.Settle(board.tip(), guest, 4);
  REQUIRE(board.tree().InForce().entry == with_relays);
  guest.members.push_back({M("BUND"), "Bund", false, {ReplicaNamed("BUND")}, {}});
  const EntryId with_guest = board.Propose(with_relays, guest);
  board.Approve(with_guest, {"NI"});
  REQUIRE(board.tree().InForce().entry == with_guest);
  const Content to_guest =
      Must(WithNextTerm(guest, M("BUND"), KeyOf("BUND").public_key(), TimeMs{9}, {}));
  const auto judged = [&](std::initializer_list<const char*> names) {
    std::set<MemberId> members;
    for (const char* name : names) members.insert(M(name));
    return JudgeChange(*board.tree().AuthorityOf(with_guest), to_guest, members).Satisfied();
  };
  CHECK_FALSE(judged({"NI", "BUND"}));
  CHECK(judged({"NI", "BUND", "NW"}));
}

TEST_CASE("trace 9: a Land's key listed under a new guest is never allowed") {
  Board board(3);
  Content content = board.Now();
  content.FindMember(M("BY"))->replicas = {ReplicaNamed("BY2")};
  const EntryId rotated = board.Propose(content);
  board.Approve(rotated, {"NI", "BY"});
  REQUIRE(board.tree().InForce().entry == rotated);
  // BY's former key, which no member lists now.
  content.members.push_back({M("BUND"), "Bund", false, {ReplicaNamed("BY")}, {}});
  const EntryId stolen = board.Propose(rotated, content);
  board.Approve(stolen, {"NI", "NW", "BY2"});
  REQUIRE(board.tree().NeedsOf(stolen)->forbidden);
  CHECK(board.tree().InForce().entry == rotated);
}

TEST_CASE(
    "trace 10: a cut names every branch that was received, and a new grant brings nothing back") {
  Board board(3);
  const auto& authority = board.authority();
  const AudienceId laender = authority.FindAudienceByName("laender")->id;
  const JournalId journal = board.random().DrawId<JournalId>();
  const OpenBody open{authority.conference(), KeyOf("BY").public_key(), laender, Lane{},
                      board.random().DrawId<Nonce>()};
  // A clone forked BY's journal: 1a and 1b, both received.
  const EntryId e1a = board.random().DrawId<EntryId>();
  const EntryId e1b = board.random().DrawId<EntryId>();
  const Cut cut{journal, laender, open.key, 0, {{1, e1a}, {1, e1b}}, {}};
  Content content = Must(WithCuts(board.Now(), {cut}));
  content.FindMember(M("BY"))->replicas = {ReplicaNamed("BY2")};
  const EntryId rotated = board.Propose(content);
  board.Approve(rotated, {"NI", "BY"});
  REQUIRE(board.tree().InForce().entry == rotated);
  struct Held final : HeldEntries {
    bool Holds(const EntryId&) const override { return true; }
    bool IsSelfOrAncestor(const EntryId& entry, const EntryId& head) const override {
      return entry == head;
    }
  } held;
  const auto verdict = JudgeJournal(board.authority(), journal, open);
  CHECK(verdict.valid());
  CHECK(WithinCut(verdict, 1, e1a, held));
  CHECK(WithinCut(verdict, 1, e1b, held));
  CHECK_FALSE(WithinCut(verdict, 2, board.random().DrawId<EntryId>(), held));
  // Another journal of that key, which no cut names, is void now.
  const JournalId other = board.random().DrawId<JournalId>();
  CHECK(JudgeJournal(board.authority(), other, open).reason == Reason::kGrantEnded);
  // The key comes back: the cut stays what it was, and what came after it stays out.
  content.FindMember(M("BY"))->replicas.push_back(ReplicaNamed("BY"));
  const EntryId again = board.Propose(rotated, content);
  board.Approve(again, {"NI", "BY2"});
  REQUIRE(board.tree().InForce().entry == again);
  const auto later = JudgeJournal(board.authority(), journal, open);
  CHECK(later.named_by_cut);
  CHECK_FALSE(WithinCut(later, 2, board.random().DrawId<EntryId>(), held));
}

TEST_CASE("trace 11: a key is replaced in two entries, and what is written between them counts") {
  Board board(3);
  const AudienceId laender = board.authority().FindAudienceByName("laender")->id;
  const JournalId journal = board.random().DrawId<JournalId>();
  const OpenBody open{board.authority().conference(), KeyOf("BY").public_key(), laender, Lane{},
                      board.random().DrawId<Nonce>()};
  const EntryId added =
      board.Propose(Must(WithReplicaAdded(board.Now(), M("BY"), ReplicaNamed("BY2"))));
  board.Approve(added, {"NI", "BY"});
  REQUIRE(board.tree().InForce().entry == added);
  // Both keys write now: nothing is stranded.
  CHECK(JudgeJournal(board.authority(), journal, open).valid());
  OpenBody fresh = open;
  fresh.key = KeyOf("BY2").public_key();
  CHECK(JudgeJournal(board.authority(), board.random().DrawId<JournalId>(), fresh).valid());
  // After its last write (number 7) the old one goes, with the cut there; the new key signs for BY.
  const EntryId last = board.random().DrawId<EntryId>();
  const EntryId out = board.Propose(
      added, Must(WithKeyRemoved(board.ContentOf(added), open.key,
                                 {{journal, laender, open.key, 0, {{7, last}}, {}}})));
  board.Approve(out, {"NI", "BY2"});
  REQUIRE(board.tree().InForce().entry == out);
  const auto verdict = JudgeJournal(board.authority(), journal, open);
  REQUIRE(verdict.cut);
  CHECK(verdict.cut->front().seq == 7);
  // The hub's own key goes only by a next term.
  CHECK_FALSE(WithKeyRemoved(board.ContentOf(out), KeyOf("NI").public_key(), {}));
}

TEST_CASE("trace 12: an ended chair's erasures lie beyond its cut like all its acts") {
  Board board(3);
  const AudienceId laender = board.authority().FindAudienceByName("laender")->id;
  const JournalId journal = board.random().DrawId<JournalId>();
  const OpenBody open{board.authority().conference(), KeyOf("NI").public_key(), laender,
                      Lane{1, Purpose::kErasures}, board.random().DrawId<Nonce>()};
  CHECK(JudgeJournal(board.authority(), journal, open).valid());
  const EntryId last = board.random().DrawId<EntryId>();
  const EntryId handed =
      board.Propose(Must(WithNextTerm(board.Now(), M("NW"), KeyOf("NW").public_key(), TimeMs{2000},
                                      {{journal, laender, open.key, 1, {{4, last}}, {}}})));
  board.Approve(handed, {"NI", "NW", "BY"});
  const auto verdict = JudgeJournal(board.authority(), journal, open);
  REQUIRE(verdict.cut);
  CHECK(verdict.cut->front().seq == 4);
  // An erasing lane that the cut does not name is void altogether.
  CHECK(JudgeJournal(board.authority(), board.random().DrawId<JournalId>(), open).reason ==
        Reason::kGrantEnded);
}

TEST_CASE("trace 13: eight burnt nodes of sixteen, the chair's among them, end no conference") {
  Board board(16);
  Content content = board.Now();
  for (const Member& member : board.Now().members) {
    content.FindMember(member.id)->recovery_keys = {
        KeyOf(std::string(member.id.text()) + "/recovery").public_key()};
  }
  const EntryId base = board.Settle(board.tip(), content, 16);
  const EntryId recovered = board.Propose(
      base,
      Must(WithNextTerm(board.ContentOf(base), M("MV"), KeyOf("MV").public_key(), TimeMs{9}, {})));
  // NI to HB are burnt; the other eight are no quorum by their nodes alone.
  Names signers(Board::Laender().begin() + 8, Board::Laender().begin() + 16);
  board.Approve(recovered, signers);
  CHECK(board.tree().InForce().entry == base);
  board.Approve(recovered, {"NI/recovery"});
  CHECK(board.tree().InForce().entry == recovered);
}

TEST_CASE(
    "trace 14 and leak 7: no charter tells the length of a journal to whoever does not get it") {
  Board board(3);
  const Audience& own = *board.authority().FindAudienceByName("land:BY");
  const Cut open_cut{board.random().DrawId<JournalId>(),        own.id, KeyOf("BY").public_key(), 0,
                     {{977, board.random().DrawId<EntryId>()}}, {}};
  const EntryId entry = board.Propose(Must(WithCuts(board.Now(), {open_cut})));
  board.Approve(entry, {"NI", "NW", "BY"});
  REQUIRE(board.tree().NeedsOf(entry)->forbidden);
  CHECK(board.tree().InForce().entry == board.tip());
  Cut hidden = open_cut;
  hidden.heads.clear();
  hidden.hidden = board.random().DrawId<Hash>();
  const EntryId fine = board.Propose(Must(WithCuts(board.Now(), {hidden})));
  board.Approve(fine, {"NI", "BY"});
  CHECK(board.tree().InForce().entry == fine);
}

}  // namespace
}  // namespace staffel::charter
