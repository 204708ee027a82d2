// SPDX-License-Identifier: EUPL-1.2
// Which entry is in force: forks, ties, settling, and that no order of arrival changes the answer.
#include "core/charter/tree.h"

#include <algorithm>

#include <rapidcheck/catch.h>

#include "core/crypto/hash.h"
#include "tests/core/charter/board.h"

namespace staffel::charter {
namespace {

TEST_CASE("quorum is more than half of the voting members that have keys") {
  const std::size_t needed[] = {0, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9};
  for (std::size_t n = 1; n <= 17; ++n) {
    Board board(n, 17);
    CAPTURE(n);
    CHECK(board.authority().quorum().eligible.size() == n);
    CHECK(board.authority().quorum().needed == needed[n]);
    // One below does not do, one more does.
    const EntryId entry = board.ProposeSame(board.tip());
    for (std::size_t i = 0; i < needed[n]; ++i) {
      CHECK(board.tree().InForce().entry == board.tip());
      board.Approve(entry, {Board::Laender()[i]});
    }
    CHECK(board.tree().InForce().entry == entry);
  }
}

TEST_CASE("an entry is settled when a quorum has cosigned it, not when it approved") {
  Board board(3);
  const EntryId entry = board.ProposeSame(board.tip());
  board.Approve(entry, {"NI", "NW", "BY"});
  CHECK(board.tree().InForce().entry == entry);
  CHECK_FALSE(board.tree().IsSettled(entry));
  CHECK_FALSE(board.tree().InForce().settled);
  board.Cosign(entry, {"NI"});
  CHECK_FALSE(board.tree().IsSettled(entry));
  board.Cosign(entry, {"BY"});
  CHECK(board.tree().IsSettled(entry));
  CHECK(board.tree().InForce().settled);
}

TEST_CASE("approval and cosignature do not stand in for each other") {
  Board board(3);
  const EntryId entry = board.ProposeSame(board.tip());
  board.Cosign(entry, {"NI", "NW", "BY"});
  CHECK(board.tree().InForce().entry == board.tip());
  // The same bytes under the other kind do not verify.
  CharterSignature signature = SignCharterEntry(entry, Kind::kSeen, KeyOf("NI"));
  signature.kind = Kind::kApproval;
  const auto refused = board.tree().AddSignature(entry, signature);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kCorrupt);
}

TEST_CASE("one member counts once, with whatever replica or recovery key it signs") {
  Board board(3);
  Content content = board.Now();
  content.FindMember(M("NW"))->replicas.push_back(ReplicaNamed("NW2"));
  content.FindMember(M("NW"))->recovery_keys.push_back(KeyOf("NW-safe").public_key());
  const EntryId base = board.Settle(board.tip(), content, 3);
  const EntryId entry = board.ProposeSame(base);
  board.Approve(entry, {"NW", "NW2", "NW-safe"});
  board.Cosign(entry, {"NW", "NW2", "NW-safe"});
  CHECK(board.tree().SignersOf(entry, Kind::kApproval) == std::set<MemberId>{M("NW")});
  CHECK(board.tree().InForce().entry == base);
  CHECK_FALSE(board.tree().IsSettled(entry));
  board.Approve(entry, {"NI"});
  CHECK(board.tree().InForce().entry == entry);
}

TEST_CASE("burnt nodes: recovery keys alone make a quorum") {
  Board board(3);
  Content content = board.Now();
  for (const char* name : {"NI", "NW"}) {
    content.FindMember(M(name))->recovery_keys = {KeyOf(std::string(name) + "-safe").public_key()};
  }
  const EntryId base = board.Settle(board.tip(), content, 3);
  const EntryId entry = board.ProposeSame(base);
  board.Approve(entry, {"NI-safe", "NW-safe"});
  CHECK(board.tree().InForce().entry == entry);
}

TEST_CASE("a signature counts only if the parent lists its key") {
  Board board(2, 4);
  Content content = board.Now();
  content.FindMember(M("BY"))->replicas = {ReplicaNamed("BY")};
  const EntryId joins = board.Propose(content);
  SECTION("the joining member does not vote on its own joining") {
    board.Approve(joins, {"NI", "BY"});
    CHECK(board.tree().SignersOf(joins, Kind::kApproval) == std::set<MemberId>{M("NI")});
    CHECK(board.tree().SignaturesOf(joins).size() == 2);
    CHECK(board.tree().InForce().entry == board.tip());
  }
  SECTION("a key that no entry ever named is refused") {
    const auto refused =
        board.tree().AddSignature(joins, SignCharterEntry(joins, Kind::kApproval, KeyOf("evil")));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::kDenied);
    CHECK_FALSE(board.tree().KeyEverNamed(KeyOf("evil").public_key()));
    CHECK(board.tree().KeyEverNamed(KeyOf("BY").public_key()));
  }
  SECTION("a key taken out counts no more on what follows") {
    board.Approve(joins, {"NI", "NW"});
    content = board.ContentOf(joins);
    content.FindMember(M("NW"))->replicas = {ReplicaNamed("NW2")};
    const EntryId rotated = board.Settle(joins, content, 3);
    REQUIRE(board.tree().InForce().entry == rotated);
    const EntryId next = board.ProposeSame(rotated);
    board.Approve(next, {"NI", "NW"});
    CHECK(board.tree().InForce().entry == rotated);
    board.Approve(next, {"NW2"});
    CHECK(board.tree().InForce().entry == next);
  }
}

TEST_CASE("a signature that does not verify, or for an entry not held, is refused") {
  Board board(2);
  const EntryId entry = board.ProposeSame(board.tip());
  CharterSignature signature = SignCharterEntry(board.tip(), Kind::kApproval, KeyOf("NI"));
  CHECK(board.tree().AddSignature(entry, signature).error().code == ErrorCode::kCorrupt);
  const auto unknown = board.random().DrawId<EntryId>();
  signature = SignCharterEntry(unknown, Kind::kApproval, KeyOf("NI"));
  CHECK(board.tree().AddSignature(unknown, signature).error().code == ErrorCode::kNotFound);
  signature = SignCharterEntry(entry, Kind::kApproval, KeyOf("NI"));
  CHECK(Must(board.tree().AddSignature(entry, signature)));
  CHECK_FALSE(Must(board.tree().AddSignature(entry, signature)));
}

TEST_CASE("at a fork the branch with more settled entries is in force") {
  Board board(3);
  const EntryId left = board.Settle(board.tip(), board.Now(), 3);
  const EntryId right = board.Settle(board.tip(), board.Now(), 3);
  CHECK(board.tree().InForce().tied);
  CHECK(board.tree().InForce().entry == board.tip());
  SECTION("a settled entry on top of one decides") {
    const EntryId more = board.Settle(left, board.Now(), 2);
    CHECK(board.tree().InForce().entry == more);
    CHECK_FALSE(board.tree().InForce().tied);
    CHECK(board.tree().PathInForce().back() == more);
  }
  SECTION("with as many settled ones, approval by a quorum decides") {
    const EntryId more = board.ProposeSame(right);
    board.Approve(more, {"NI", "NW"});
    CHECK(board.tree().InForce().entry == more);
    // One settled entry weighs more than any number of approved ones.
    const EntryId other = board.ProposeSame(left);
    board.Approve(other, {"NW", "BY"});
    board.Cosign(other, {"NI", "BY"});
    CHECK(board.tree().InForce().entry == other);
    EntryId on = more;
    for (int i = 0; i < 3; ++i) {
      on = board.ProposeSame(on);
      board.Approve(on, {"NI", "NW"});
    }
    CHECK(board.tree().InForce().entry == other);
  }
  SECTION("a third branch beside two tied ones is not offered for approval") {
    const EntryId third = board.ProposeSame(board.tip());
    const EntryId above = board.ProposeSame(left);
    std::vector<EntryId> offered;
    for (const auto& proposal : board.tree().Waiting()) offered.push_back(proposal.entry);
    CHECK(offered == std::vector<EntryId>{above});
    CHECK(third != above);
  }
}

TEST_CASE("the best path of a subtree counts, not the sum of its branches") {
  Board board(3);
  // Left: two children, each settled. Right: one child on one child.
  const EntryId left = board.Settle(board.tip(), board.Now(), 3);
  board.Settle(left, board.Now(), 3);
  board.Settle(left, board.Now(), 3);
  board.Settle(left, board.Now(), 3);
  const EntryId right = board.Settle(board.tip(), board.Now(), 3);
  const EntryId second = board.Settle(right, board.Now(), 3);
  const EntryId third = board.Settle(second, board.Now(), 3);
  CHECK(board.tree().InForce().entry == third);
}

TEST_CASE("entries without the signatures that they need lend no strength to their branch") {
  Board board(3);
  const EntryId left = board.Settle(board.tip(), board.Now(), 3);
  const EntryId right = board.ProposeSame(board.tip());
  board.Approve(right, {"NI"});
  // Cosigned by all, but never approved; and what stands on it is lost with it.
  board.Cosign(right, {"NI", "NW", "BY"});
  EntryId on = right;
  for (int i = 0; i < 3; ++i) on = board.Settle(on, board.Now(), 3);
  CHECK(board.tree().InForce().entry == left);
  // With the approval that was missing, the whole branch counts.
  board.Approve(right, {"NW"});
  CHECK(board.tree().InForce().entry == on);
}

TEST_CASE("a branch that an ex-chair makes later does not pass a settled one") {
  Board board(4);
  const Content handed =
      Must(WithNextTerm(board.Now(), M("NW"), KeyOf("NW").public_key(), TimeMs{2000}, {}));
  const EntryId settled = board.Settle(board.tip(), handed, 4);
  // NI still is the chair at the fork, and signs alone what a chair may sign alone.
  Content content = board.Now();
  EntryId on = board.tip();
  for (int i = 0; i < 5; ++i) {
    content.rules = {{"deadline.papers", std::to_string(i), TimeMs{0}}};
    on = board.Propose(on, content);
    board.Approve(on, {"NI"});
    board.Cosign(on, {"NI"});
  }
  CHECK(board.tree().InForce().entry == settled);
  CHECK(board.authority().chair() == M("NW"));
}

TEST_CASE("proposals wait on the entry in force, say what they lack, and lapse with it") {
  Board board(3, 4);
  Content content = board.Now();
  content.FindMember(M("HE"))->replicas = {ReplicaNamed("HE")};
  const EntryId joins = board.Propose(content);
  board.Approve(joins, {"NI"});
  auto waiting = board.tree().Waiting();
  REQUIRE(waiting.size() == 1);
  CHECK(waiting[0].entry == joins);
  CHECK(waiting[0].needs.MissingFrom() == std::vector<MemberId>{M("BY"), M("NW")});
  // A deadline set meanwhile voids it: it must be proposed again.
  content = board.Now();
  content.rules = {{"deadline.papers", "14 days", TimeMs{0}}};
  const EntryId deadline = board.Propose(content);
  board.Approve(deadline, {"NI"});
  CHECK(board.tree().InForce().entry == deadline);
  CHECK(board.tree().Waiting().empty());
}

TEST_CASE("what can never be allowed is not offered for approval") {
  Board board(2, 3);
  Content content = board.Now();
  content.FindMember(M("NW"))->replicas = {ReplicaNamed("NW2")};
  content.FindMember(M("BY"))->replicas = {ReplicaNamed("NW")};
  const EntryId entry = board.Propose(content);
  board.Approve(entry, {"NI", "NW"});
  CHECK(board.tree().InForce().entry == board.tip());
  CHECK(board.tree().Waiting().empty());
  CHECK(board.tree().NeedsOf(entry)->forbidden);
}

TEST_CASE("each node cosigns the path in force, with its member's first key only") {
  Board board(3);
  Content content = board.Now();
  content.FindMember(M("NW"))->replicas.push_back(ReplicaNamed("NW2"));
  const EntryId base = board.Settle(board.tip(), content, 3);
  const EntryId entry = board.ProposeSame(base);
  board.Approve(entry, {"NI", "NW"});
  const auto due = [&](const char* key, std::uint64_t from) {
    return board.tree().ToCosign(KeyOf(key).public_key(), from);
  };
  CHECK(due("NW", 0) == std::vector<EntryId>{entry});
  CHECK(due("NW2", 0).empty());
  CHECK(due("evil", 0).empty());
  CHECK(due("NW", board.tree().InForce().seq + 1).empty());
  // BY joined with entry 2: it has no voice on entries 1 and 2, and signed the third above.
  CHECK(due("BY", 0) == std::vector<EntryId>{entry});
  board.Cosign(entry, {"NW"});
  CHECK(due("NW", 0).empty());
}

TEST_CASE("entries that do not belong are refused") {
  Board board(2);
  CharterTree& tree = board.tree();
  const Entry& tip = *tree.Find(board.tip());
  SECTION("of another conference") {
    FoundingOptions options;
    options.name = "Andere";
    options.members = {{M("NI"), "NI", true}};
    options.founder = M("NI");
    options.replica = ReplicaNamed("NI");
    const Content content = Must(FoundingCharter(options, board.random()));
    CHECK(tree.Add(Must(MakeCharterEntry(nullptr, content, TimeMs{1}))).error().code ==
          ErrorCode::kInvalid);
  }
  SECTION("with a number that does not follow") {
    Header header = tip.header;
    header.seq = tip.header.seq + 2;
    header.prev = tip.id;
    CHECK(tree.Add(Must(MakeEntry(SerializeHeader(header)))).error().code == ErrorCode::kCorrupt);
  }
  SECTION("of another body") {
    Header header = tip.header;
    header.body = WriteBody();
    CHECK(tree.Add(Must(MakeEntry(SerializeHeader(header)))).error().code == ErrorCode::kInvalid);
  }
  SECTION("with contents that cannot be read") {
    Header header = tip.header;
    header.body = CharterBody{"not a charter"};
    CHECK(tree.Add(Must(MakeEntry(SerializeHeader(header)))).error().code == ErrorCode::kInvalid);
  }
  SECTION("under an id that is not theirs") {
    Entry entry = board.Make(board.tip(), board.Now());
    entry.id = board.random().DrawId<EntryId>();
    CHECK(tree.Add(entry).error().code == ErrorCode::kCorrupt);
  }
  SECTION("too many without the entries before them") {
    const Entry missing = board.Make(board.tip(), board.Now());
    for (std::size_t i = 0; i <= kWaitingForParentsMax; ++i) {
      const Entry child = Must(MakeCharterEntry(&missing, board.Now(), TimeMs{100 + i}));
      const auto added = tree.Add(child);
      if (i < kWaitingForParentsMax) {
        CHECK(added);
      } else {
        CHECK(added.error().code == ErrorCode::kUnavailable);
      }
    }
    CHECK(Must(tree.Add(missing)));
    CHECK(tree.Waiting().size() == 1);
  }
}

TEST_CASE("an entry of a newer format is kept and passed on, and never in force here") {
  Board board(2);
  Header header = board.tree().Find(board.tip())->header;
  header.seq += 1;
  header.prev = board.tip();
  Bytes bytes = SerializeHeader(header);
  bytes[1] = 2;  // the format, the header's first field
  const Entry newer = Must(MakeEntry(bytes));
  REQUIRE(newer.header.opaque);
  CHECK(Must(board.tree().Add(newer)));
  board.Approve(newer.id, {"NI", "NW"});
  CHECK(board.tree().InForce().entry == board.tip());
  CHECK(board.tree().NeedsOf(newer.id)->forbidden);
  CHECK_FALSE(board.tree().InForce().newer);
  board.Cosign(newer.id, {"NI", "NW"});
  CHECK(board.tree().InForce().entry == board.tip());
  CHECK(board.tree().InForce().newer);
  const auto held = board.tree().Entries();
  CHECK(std::find(held.begin(), held.end(), newer.id) != held.end());
}

TEST_CASE("an empty tree says so, and takes its entry 0 last as well as first") {
  Board board(3);
  CharterTree tree(board.tree().conference());
  CHECK(tree.InForce().authority == nullptr);
  auto entries = board.tree().Entries();
  std::reverse(entries.begin(), entries.end());
  for (const EntryId& id : entries) CHECK(Must(tree.Add(*board.tree().Find(id))));
  CHECK_FALSE(Must(tree.Add(*board.tree().Find(entries.front()))));
  for (const EntryId& id : entries) {
    for (const auto& signature : board.tree().SignaturesOf(id)) {
      CHECK(Must(tree.AddSignature(id, signature)));
    }
  }
  CHECK(tree.InForce().entry == board.tip());
  CHECK(tree.SummaryHash() == board.tree().SummaryHash());
}

TEST_CASE("a child that waits for its parent is dropped when its number turns out wrong") {
  Board board(2);
  const Entry parent = board.Make(board.tip(), board.Now());
  Header header = parent.header;
  header.seq += 2;
  header.prev = parent.id;
  const Entry child = Must(MakeEntry(SerializeHeader(header)));
  CHECK(Must(board.tree().Add(child)));
  CHECK(Must(board.tree().Add(parent)));
  CHECK_FALSE(board.tree().Holds(child.id));
  CHECK(board.tree().Holds(parent.id));
}

TEST_CASE("the summary covers entries and who signed, not with which key or bytes") {
  Board board(2);
  Content content = board.Now();
  content.FindMember(M("NW"))->replicas.push_back(ReplicaNamed("NW2"));
  const EntryId base = board.Settle(board.tip(), content, 2);
  const EntryId entry = board.ProposeSame(base);
  CharterTree other = board.tree();
  const Hash before = other.SummaryHash();
  board.Approve(entry, {"NW"});
  CHECK(board.tree().SummaryHash() != before);
  Must(other.AddSignature(entry, SignCharterEntry(entry, Kind::kSeen, KeyOf("NW"))));
  CHECK(board.tree().SummaryHash() != other.SummaryHash());
  other = board.tree();
  board.Approve(entry, {"NW2"});
  CHECK(board.tree().SummaryHash() == other.SummaryHash());
}

// ---- any order ----

struct Piece {
  std::optional<Entry> entry;
  EntryId id;
  std::optional<CharterSignature> signature;
};

// A random tree: forks, proposals of several sorts, signatures of members in and out of it.
std::vector<Piece> RandomPieces() {
  Board board(4, 6);
  std::vector<EntryId> known = board.tree().Entries();
  const int steps = *rc::gen::inRange(3, 14);
  for (int i = 0; i < steps; ++i) {
    const EntryId parent = known[static_cast<std::size_t>(*rc::gen::inRange<int>(
        std::max(0, static_cast<int>(known.size()) - 4), static_cast<int>(known.size())))];
    Content content = board.ContentOf(parent);
    switch (*rc::gen::inRange(0, 5)) {
      case 0:
        content.rules = {{"deadline.papers", std::to_string(i), TimeMs{0}}};
        break;
      case 1:
        content.rules = {{"threshold.resolution", std::to_string(i), TimeMs{0}}};
        break;
      case 2: {
        Member* member = content.FindMember(M("BW"));
        if (member->replicas.empty()) member->replicas = {ReplicaNamed("BW")};
        break;
      }
      case 3: {
        const auto next = WithNextTerm(content, M("NW"), KeyOf("NW").public_key(), TimeMs{9}, {});
        if (next) content = *next;
        break;
      }
      default:
        break;
    }
    const EntryId entry = board.Propose(parent, content);
    known.push_back(entry);
    const bool wide = *rc::gen::inRange(0, 3) != 0;
    for (const std::string name : {"NI", "NW", "BY", "HE", "BW"}) {
      for (const Kind kind : {Kind::kApproval, Kind::kSeen}) {
        const bool signs = wide ? *rc::gen::inRange(0, 4) != 0 : *rc::gen::inRange(0, 4) == 0;
        if (!signs || !board.tree().KeyEverNamed(KeyOf(name).public_key())) continue;
        board.Sign(entry, kind, {name});
      }
    }
  }
  std::vector<Piece> pieces;
  for (const EntryId& id : board.tree().Entries()) {
    pieces.push_back({*board.tree().Find(id), id, std::nullopt});
    for (auto& signature : board.tree().SignaturesOf(id)) {
      pieces.push_back({std::nullopt, id, std::move(signature)});
    }
  }
  return pieces;
}

// Delivers in the given order, and offers again what was refused for what was not there yet.
CharterTree Deliver(const std::vector<Piece>& pieces) {
  CharterTree tree(pieces.front().entry->header.seq == 0 ? pieces.front().id : ConferenceId());
  std::vector<const Piece*> open;
  for (const Piece& piece : pieces) open.push_back(&piece);
  while (!open.empty()) {
    std::vector<const Piece*> again;
    for (const Piece* piece : open) {
      if (piece->entry) {
        RC_ASSERT(tree.Add(*piece->entry).has_value());
        continue;
      }
      const auto added = tree.AddSignature(piece->id, *piece->signature);
      if (!added) again.push_back(piece);
    }
    RC_ASSERT(again.size() < open.size());
    open = std::move(again);
  }
  return tree;
}

TEST_CASE("any order of entries and signatures gives the same entry in force and summary") {
  rc::prop("order of arrival does not matter", [] {
    const auto pieces = RandomPieces();
    const CharterTree expected = Deliver(pieces);
    std::vector<std::size_t> order(pieces.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    testing::SimRandom random(*rc::gen::arbitrary<std::uint64_t>());
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.Below(i)]);
    // The conference's id comes from the invitation, before any entry.
    CharterTree tree(pieces.front().id);
    std::vector<std::size_t> open = order;
    while (!open.empty()) {
      std::vector<std::size_t> again;
      for (std::size_t at : open) {
        const Piece& piece = pieces[at];
        const auto added =
            piece.entry ? tree.Add(*piece.entry) : tree.AddSignature(piece.id, *piece.signature);
        if (!added) again.push_back(at);
      }
      RC_ASSERT(again.size() < open.size());
      open = std::move(again);
    }
    RC_ASSERT(tree.InForce().entry == expected.InForce().entry);
    RC_ASSERT(tree.InForce().tied == expected.InForce().tied);
    RC_ASSERT(tree.InForce().settled == expected.InForce().settled);
    RC_ASSERT(tree.SummaryHash() == expected.SummaryHash());
    RC_ASSERT(tree.Entries() == expected.Entries());
    RC_ASSERT(tree.PathInForce() == expected.PathInForce());
    RC_CLASSIFY(expected.InForce().tied, "tied");
  });
}

}  // namespace
}  // namespace staffel::charter
