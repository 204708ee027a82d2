// SPDX-License-Identifier: EUPL-1.2
// Validity by the charter in force: journals, cuts, and who may write which cell.
#include "core/charter/judge.h"

#include <map>

#include "core/charter/build_audiences.h"
#include "tests/core/charter/board.h"

namespace staffel::charter {
namespace {

class Judging {
 public:
  Judging() : laender(board.Now().audiences.front().id) {}

  OpenBody Open(const std::string& key, std::uint64_t term = 0, Purpose purpose = Purpose::kActs) {
    return {board.tree().conference(),
            KeyOf(key).public_key(),
            laender,
            {term, purpose},
            board.random().DrawId<Nonce>()};
  }
  Reason Judge(const OpenBody& open) {
    return JudgeJournal(board.authority(), journal, open).reason;
  }
  // Puts a charter in force with everybody's signature.
  void InForce(const Content& content) {
    const EntryId entry = board.Settle(board.tree().InForce().entry, content, 3);
    REQUIRE(board.tree().InForce().entry == entry);
  }
  Content Now() { return board.authority().content(); }
  Cut CutOf(const OpenBody& open, std::vector<CutHead> heads) {
    return {journal, open.audience, open.key, open.lane.term, std::move(heads), std::nullopt};
  }

  Board board{3};
  AudienceId laender;
  JournalId journal = board.random().DrawId<JournalId>();
};

TEST_CASE("a member's journal is valid while its replica's member is a writer") {
  Judging j;
  CHECK(j.Judge(j.Open("NW")) == Reason::kValid);
  CHECK(j.Judge(j.Open("evil")) == Reason::kUnknownKey);
  OpenBody open = j.Open("NW");
  open.audience = j.board.random().DrawId<AudienceId>();
  CHECK(j.Judge(open) == Reason::kUnknownAudience);
  open = j.Open("NW");
  open.conference = j.board.random().DrawId<ConferenceId>();
  CHECK(j.Judge(open) == Reason::kOtherConference);
  // Nobody writes in another Land's own audience.
  open = j.Open("NW");
  open.audience = j.board.authority().FindAudienceByName("land:NI")->id;
  CHECK(j.Judge(open) == Reason::kNeverAWriter);
}

TEST_CASE("a recovery key writes no journals") {
  Judging j;
  Content content = j.Now();
  content.FindMember(M("NW"))->recovery_keys = {KeyOf("NW-safe").public_key()};
  j.InForce(content);
  CHECK(j.Judge(j.Open("NW-safe")) == Reason::kUnknownKey);
}

TEST_CASE("the chair's lane belongs to the term's one replica") {
  Judging j;
  CHECK(j.Judge(j.Open("NI", 1)) == Reason::kValid);
  CHECK(j.Judge(j.Open("NW", 1)) == Reason::kNotTheTermsReplica);
  CHECK(j.Judge(j.Open("NI", 2)) == Reason::kUnknownTerm);
  Content content = j.Now();
  content.FindMember(M("NI"))->replicas.push_back(ReplicaNamed("NI2"));
  j.InForce(content);
  CHECK(j.Judge(j.Open("NI2", 1)) == Reason::kNotTheTermsReplica);
  CHECK(j.Judge(j.Open("NI2")) == Reason::kValid);
}

TEST_CASE("after the handover the old chair's lanes count up to their cuts, and those alone") {
  Judging j;
  const OpenBody chair = j.Open("NI", 1);
  const OpenBody member = j.Open("NI");
  const CutHead head{4, j.board.random().DrawId<EntryId>()};
  j.InForce(Must(WithNextTerm(j.Now(), M("NW"), KeyOf("NW").public_key(), TimeMs{2000},
                              {j.CutOf(chair, {head})})));
  const auto verdict = JudgeJournal(j.board.authority(), j.journal, chair);
  CHECK(verdict.valid());
  CHECK(verdict.cut == std::vector<CutHead>{head});
  // A chair's journal that the handover does not name is void.
  CHECK(JudgeJournal(j.board.authority(), j.board.random().DrawId<JournalId>(), chair).reason ==
        Reason::kGrantEnded);
  // The cut names the chair's lane: the member's own goes on.
  const auto own = JudgeJournal(j.board.authority(), j.journal, member);
  CHECK(own.valid());
  CHECK_FALSE(own.cut);
  CHECK(j.Judge(j.Open("NW", 2)) == Reason::kValid);
}

TEST_CASE("when the key is out, or the member no writer, only what a cut names counts") {
  Judging j;
  const OpenBody open = j.Open("NW");
  Content content = j.Now();
  SECTION("the key is taken out") { content.FindMember(M("NW"))->replicas = {ReplicaNamed("NW2")}; }
  SECTION("the member is out of the audience") {
    content.audiences[0].readers = content.audiences[0].writers = {M("BY"), M("NI")};
  }
  j.InForce(content);
  CHECK(j.Judge(open) == Reason::kGrantEnded);
  const CutHead head{2, j.board.random().DrawId<EntryId>()};
  content = j.Now();
  content.cuts = {j.CutOf(open, {head})};
  j.InForce(content);
  CHECK(j.Judge(open) == Reason::kValid);
  // A later cut can admit more: the last one counts.
  content.cuts[0].heads[0].seq = 7;
  j.InForce(content);
  CHECK(JudgeJournal(j.board.authority(), j.journal, open).cut->front().seq == 7);
}

TEST_CASE("when an audience is closed all ends in it but the right to erase, as it stood then") {
  Judging j;
  NewAudience fresh;
  fresh.readers = fresh.writers = {M("NI"), M("NW")};
  AudienceId group;
  j.InForce(Must(WithAudience(j.Now(), fresh, j.board.random(), &group)));
  const auto open = [&](const std::string& key, std::uint64_t term, Purpose purpose) {
    OpenBody body = j.Open(key, term, purpose);
    body.audience = group;
    return body;
  };
  const auto acts = open("NW", 0, Purpose::kActs);
  const auto erasures = open("NW", 0, Purpose::kErasures);
  const auto chairs = open("NI", 1, Purpose::kErasures);
  const auto strangers = open("BY", 0, Purpose::kErasures);
  CHECK(j.Judge(acts) == Reason::kValid);
  CHECK(j.board.authority().FindClosed(group) == nullptr);
  j.InForce(Must(WithoutAudience(j.Now(), group)));
  CHECK(j.board.authority().FindClosed(group) != nullptr);
  CHECK(j.Judge(acts) == Reason::kUnknownAudience);
  CHECK(j.Judge(open("NI", 1, Purpose::kActs)) == Reason::kUnknownAudience);
  CHECK(j.Judge(strangers) == Reason::kNeverAWriter);
  for (const OpenBody& one : {erasures, chairs}) {
    CHECK(j.Judge(one) == Reason::kValid);
    CHECK(JudgeJournal(j.board.authority(), j.journal, one).member ==
          *j.board.authority().MemberOfKey(one.key));
  }
  CHECK(j.board.authority().KeepsCopy(M("NW"), group));
  CHECK_FALSE(j.board.authority().Reads(M("NW"), group));
  CHECK_FALSE(j.board.authority().KeepsCopy(M("BY"), group));
  CHECK(j.board.authority().RelayOf(group) == M("NI"));
  // What comes later ends none of it: neither another key, nor another chair.
  Content content = j.Now();
  content.FindMember(M("NW"))->replicas = {ReplicaNamed("NW2")};
  j.InForce(content);
  j.InForce(Must(WithNextTerm(j.Now(), M("BY"), KeyOf("BY").public_key(), TimeMs{2000}, {})));
  CHECK(j.Judge(erasures) == Reason::kValid);
  CHECK(j.Judge(open("NW2", 0, Purpose::kErasures)) == Reason::kValid);
  content = j.Now();
  content.FindMember(M("NW"))->replicas = {ReplicaNamed("NW3")};
  j.InForce(content);
  CHECK(j.Judge(open("NW2", 0, Purpose::kErasures)) == Reason::kValid);
  CHECK(j.Judge(chairs) == Reason::kValid);
  CHECK(j.board.authority().RelayOf(group) == M("NI"));
  // A cut counts here as everywhere.
  content = j.Now();
  Cut cut = j.CutOf(erasures, {});
  cut.hidden = Hash::From(j.board.random().Draw(Hash::kBytes));
  content.cuts = {cut};
  j.InForce(content);
  CHECK(JudgeJournal(j.board.authority(), j.journal, erasures).named_by_cut);
}

TEST_CASE("a cut that names another key, audience or term than the journal's is none") {
  Judging j;
  const OpenBody open = j.Open("NW");
  Content content = j.Now();
  Cut cut = j.CutOf(open, {});
  SECTION("key") { cut.key = KeyOf("BY").public_key(); }
  SECTION("term") { cut.term = 1; }
  content.cuts = {cut};
  j.InForce(content);
  const auto verdict = JudgeJournal(j.board.authority(), j.journal, open);
  CHECK(verdict.valid());
  CHECK_FALSE(verdict.cut);
}

class Opened : public OpenedCuts {
 public:
  std::optional<std::vector<CutHead>> HeadsOf(const AudienceId& audience,
                                              const Hash& hidden) const override {
    if (audience != of) return std::nullopt;
    const auto found = heads.find(hidden);
    if (found == heads.end()) return std::nullopt;
    return found->second;
  }
  AudienceId of;
  std::map<Hash, std::vector<CutHead>> heads;
};

TEST_CASE("a hidden cut counts once an entry of the audience opens it") {
  Judging j;
  OpenBody open = j.Open("NW");
  open.audience = j.board.authority().FindAudienceByName("land:NW")->id;
  Content content = j.Now();
  Cut cut = j.CutOf(open, {});
  cut.hidden = j.board.random().DrawId<Hash>();
  content.cuts = {cut};
  j.InForce(content);
  Opened opened;
  CHECK_FALSE(JudgeJournal(j.board.authority(), j.journal, open, &opened).cut);
  CHECK(JudgeJournal(j.board.authority(), j.journal, open, &opened).named_by_cut);
  opened.heads[*cut.hidden] = {{5, j.board.random().DrawId<EntryId>()}};
  // What another audience says does not open it.
  CHECK_FALSE(JudgeJournal(j.board.authority(), j.journal, open, &opened).cut);
  opened.of = open.audience;
  CHECK(JudgeJournal(j.board.authority(), j.journal, open, &opened).cut->front().seq == 5);
}

// A journal's branches, as (entry, parent).
class Branches : public HeldEntries {
 public:
  bool Holds(const EntryId& entry) const override { return parents.contains(entry); }
  bool IsSelfOrAncestor(const EntryId& entry, const EntryId& head) const override {
    EntryId at = head;
    while (at != entry && parents.contains(at)) at = parents.at(at);
    return at == entry;
  }
  std::map<EntryId, EntryId> parents;
};

TEST_CASE(
    "within a cut: held heads and their ancestors, and for a head not held all up to its seq") {
  Judging j;
  auto id = [&] { return j.board.random().DrawId<EntryId>(); };
  // 0 - 1 - 2a - 3a, and 2b beside 2a.
  const EntryId e0 = id(), e1 = id(), e2a = id(), e3a = id(), e2b = id(), away = id();
  Branches held;
  held.parents = {{e0, EntryId()}, {e1, e0}, {e2a, e1}, {e3a, e2a}, {e2b, e1}};
  JournalVerdict verdict;
  CHECK(WithinCut(verdict, 3, e3a, held));  // not cut
  verdict.cut = std::vector<CutHead>{{2, e2a}};
  CHECK(WithinCut(verdict, 0, e0, held));
  CHECK(WithinCut(verdict, 2, e2a, held));
  CHECK_FALSE(WithinCut(verdict, 3, e3a, held));
  CHECK_FALSE(WithinCut(verdict, 2, e2b, held));
  // A cut names all branches that were received: none is lost.
  verdict.cut = std::vector<CutHead>{{2, e2a}, {2, e2b}};
  CHECK(WithinCut(verdict, 2, e2b, held));
  // A head not held: all up to its number, until it comes.
  verdict.cut = std::vector<CutHead>{{2, away}};
  CHECK(WithinCut(verdict, 2, e2a, held));
  CHECK(WithinCut(verdict, 2, e2b, held));
  CHECK_FALSE(WithinCut(verdict, 3, e3a, held));
  held.parents[away] = e1;
  CHECK_FALSE(WithinCut(verdict, 2, e2a, held));
  CHECK(WithinCut(verdict, 1, e1, held));
  // No heads: void from the start.
  verdict.cut = std::vector<CutHead>{};
  CHECK_FALSE(WithinCut(verdict, 0, e0, held));
}

class Writing : public Judging {
 public:
  Header Write(std::vector<Cell> cells) {
    WriteBody write;
    RecordPart part{1, board.random().DrawId<RecordId>(), {}, {}};
    for (Cell& cell : cells) part.changes.push_back({std::move(cell), {}});
    write.records.push_back(part);
    Header header;
    header.body = write;
    return header;
  }
  Reason By(const std::string& key, std::uint64_t term, const Header& header,
            Purpose purpose = Purpose::kActs) {
    return JudgeHeader(JudgeJournal(board.authority(), journal, Open(key, term, purpose)), header);
  }
  Cell Of(OwnerKind kind, const char* member = nullptr) {
    CellOwner owner{kind, member == nullptr ? MemberId() : M(member)};
    return EncodeCell({owner, {5u}});
  }
};

TEST_CASE("a member writes what is anyone's and its own, and the chair what is the chair's") {
  Writing w;
  CHECK(w.By("NW", 0, w.Write({w.Of(OwnerKind::kAnyone)})) == Reason::kValid);
  CHECK(w.By("NW", 0, w.Write({w.Of(OwnerKind::kMember, "NW")})) == Reason::kValid);
  CHECK(w.By("NW", 0, w.Write({w.Of(OwnerKind::kMember, "BY")})) == Reason::kForeignCell);
  CHECK(w.By("NW", 0, w.Write({w.Of(OwnerKind::kChair)})) == Reason::kForeignCell);
  CHECK(w.By("NI", 1, w.Write({w.Of(OwnerKind::kChair)})) == Reason::kValid);
  CHECK(w.By("NI", 1, w.Write({w.Of(OwnerKind::kAnyone)})) == Reason::kForeignCell);
  // The chair cannot write a Land's vote, nor its own Land's in this capacity.
  CHECK(w.By("NI", 1, w.Write({w.Of(OwnerKind::kMember, "NW")})) == Reason::kForeignCell);
  CHECK(w.By("NI", 1, w.Write({w.Of(OwnerKind::kMember, "NI")})) == Reason::kForeignCell);
  // One foreign cell voids the whole entry: it is one atomic change.
  CHECK(w.By("NW", 0, w.Write({w.Of(OwnerKind::kAnyone), w.Of(OwnerKind::kMember, "BY")})) ==
        Reason::kForeignCell);
}

TEST_CASE("where only the chair writes, what is anyone's is the chair's") {
  Writing w;
  Content content = w.Now();
  content.audiences[0].chair_writes_only = true;
  w.InForce(content);
  CHECK(w.By("NI", 1, w.Write({w.Of(OwnerKind::kAnyone)})) == Reason::kValid);
  CHECK(w.By("NW", 0, w.Write({w.Of(OwnerKind::kAnyone)})) == Reason::kForeignCell);
  CHECK(w.By("NW", 0, w.Write({w.Of(OwnerKind::kMember, "NW")})) == Reason::kValid);
}

TEST_CASE("no cell twice in an entry, also across two parts of one record") {
  Writing w;
  const Cell cell = w.Of(OwnerKind::kAnyone);
  CHECK(w.By("NW", 0, w.Write({cell, cell})) == Reason::kCellTwice);
  Header header = w.Write({cell});
  auto& records = std::get<WriteBody>(header.body).records;
  records.push_back(records.front());
  CHECK(w.By("NW", 0, header) == Reason::kCellTwice);
  records.back().kind = 2;
  CHECK(w.By("NW", 0, header) == Reason::kValid);
  // Many cells take the other way through the check.
  std::vector<Cell> many;
  for (std::uint32_t i = 2; i < 60; ++i) many.push_back(FieldCell(i));
  CHECK(w.By("NW", 0, w.Write(many)) == Reason::kValid);
  many.push_back(FieldCell(2));
  CHECK(w.By("NW", 0, w.Write(many)) == Reason::kCellTwice);
}

TEST_CASE("each sort of entry has its lane") {
  Writing w;
  Header receipt, erasure, charter, opens;
  receipt.body = ReceiptBody();
  erasure.body = ErasureBody();
  charter.body = CharterBody();
  opens.body = w.Open("NW");
  CHECK(w.By("NI", 1, receipt) == Reason::kValid);
  CHECK(w.By("NI", 0, receipt) == Reason::kNotOfThisLane);
  CHECK(w.By("NI", 1, erasure) == Reason::kNotOfThisLane);
  CHECK(w.By("NI", 1, erasure, Purpose::kErasures) == Reason::kValid);
  CHECK(w.By("NW", 0, erasure, Purpose::kErasures) == Reason::kValid);
  CHECK(w.By("NW", 0, w.Write({FieldCell(2)}), Purpose::kErasures) == Reason::kNotOfThisLane);
  CHECK(w.By("NW", 0, charter) == Reason::kNotOfThisLane);
  CHECK(w.By("NW", 0, opens) == Reason::kValid);
  Header newer = w.Write({FieldCell(2)});
  newer.opaque = true;
  CHECK(w.By("NW", 0, newer) == Reason::kNewerFormat);
}

TEST_CASE("an entry has its journal's reason, then its own, then the cut's") {
  Writing w;
  Branches held;
  JournalVerdict verdict = JudgeJournal(w.board.authority(), w.journal, w.Open("NW"));
  Header header = w.Write({FieldCell(2)});
  header.seq = 3;
  const auto id = w.board.random().DrawId<EntryId>();
  CHECK(JudgeEntry(verdict, id, header, held) == Reason::kValid);
  verdict.cut = std::vector<CutHead>{{2, w.board.random().DrawId<EntryId>()}};
  CHECK(JudgeEntry(verdict, id, header, held) == Reason::kAfterCut);
  verdict.reason = Reason::kGrantEnded;
  CHECK(JudgeEntry(verdict, id, header, held) == Reason::kGrantEnded);
  CHECK_FALSE(ReasonSentence(Reason::kGrantEnded).empty());
}

}  // namespace
}  // namespace staffel::charter
