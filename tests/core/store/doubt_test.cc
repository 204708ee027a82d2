// SPDX-License-Identifier: EUPL-1.2
// A database that was put back is noticed, whatever broke in between, and one that was not is never
// taken for one that was.
#include "core/store/doubt.h"

#include <array>
#include <set>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "core/charter/build.h"
#include "core/store/store.h"
#include "tests/support/conference.h"
#include "tests/support/memory_twin.h"

namespace staffel {
namespace {

using testing::ConferenceOf;
using testing::kNote;
using testing::kNoteTitle;
using testing::MemoryTwin;
using testing::NewNote;
using testing::SetText;
using testing::TestReplica;
using testing::Unsynced;

template <typename T>
T Value(Result<T> result) {
  if (!result) FAIL(result.error().message);
  return std::move(*result);
}

struct Node {
  explicit Node(std::size_t size = 2, std::size_t member = 1)
      : replica(ConferenceOf(size), member) {
    replica.set_twin(&twin);
    REQUIRE(replica.Open());
  }
  Applied Write(std::string_view title) {
    return Value(replica.store().Apply(
        NewNote(replica.conference().laender(), replica.random().DrawId<RecordId>(), title)));
  }
  testing::FaultingDisk::Image Copy() {
    replica.Close();
    auto image = replica.disk().Save();
    REQUIRE(replica.Open());
    return image;
  }
  void PutBack(const testing::FaultingDisk::Image& image) {
    replica.Close();
    replica.disk().Load(image);
    REQUIRE(replica.Open());
  }
  Store& store() { return replica.store(); }
  std::vector<JournalView> OwnJournals() {
    std::vector<JournalView> own;
    for (auto& journal : Value(Value(store().Read()).Journals())) {
      if (journal.own) own.push_back(journal);
    }
    return own;
  }
  MemoryTwin twin;
  TestReplica replica;
};

TEST_CASE("a fresh node and one that starts again are not in doubt") {
  Node node;
  CHECK_FALSE(node.store().doubt().in_doubt);
  node.Write("eins");
  node.replica.Close();
  REQUIRE(node.replica.Open());
  CHECK_FALSE(node.store().doubt().in_doubt);
  CHECK(node.store().cosign_from() == std::uint64_t{0});
  node.Write("zwei");
  CHECK(node.OwnJournals().size() == 1);
}

TEST_CASE("without a twin nothing is noticed and nothing is refused") {
  TestReplica replica(ConferenceOf(2), 1);
  REQUIRE(replica.Open());
  CHECK_FALSE(replica.store().doubt().in_doubt);
  CHECK(replica.store().RenewNonce());
}

TEST_CASE("a database put back is in doubt, closes its journals and writes in a new one") {
  Node node;
  node.Write("eins");
  const auto copy = node.Copy();
  node.Write("zwei");
  node.PutBack(copy);
  const DoubtState doubt = node.store().doubt();
  CHECK(doubt.in_doubt);
  CHECK(doubt.reason.find("older copy") != std::string::npos);
  CHECK_FALSE(node.store().cosign_from());
  CHECK(Value(node.store().Incidents(0, 10)).size() == 1);
  node.Write("drei");
  CHECK(node.OwnJournals().size() == 2);
  // The doubt is not forgotten by starting again.
  node.replica.Close();
  REQUIRE(node.replica.Open());
  CHECK(node.store().doubt().in_doubt);
  node.Write("vier");
  CHECK(node.OwnJournals().size() == 2);
}

TEST_CASE("a missing or unreadable twin is doubt, and says so") {
  Node node;
  node.Write("eins");
  node.replica.Close();
  node.twin.content.reset();
  REQUIRE(node.replica.Open());
  CHECK(node.store().doubt().in_doubt);
  CHECK(node.store().doubt().reason.find("missing") != std::string::npos);
  REQUIRE(node.store().EndDoubt(DoubtEnd::kVouched));
  node.replica.Close();
  node.twin.content = "staffel twin 1\nno nonce\n";
  REQUIRE(node.replica.Open());
  CHECK(node.store().doubt().in_doubt);
  CHECK(node.store().doubt().reason.find("cannot be read") != std::string::npos);
}

TEST_CASE("a database made anew beside an old twin is in doubt until a conference is founded") {
  Node node;
  node.Write("eins");
  node.replica.Close();
  node.replica.disk().Load({});
  REQUIRE(node.replica.Open());
  CHECK(node.store().doubt().in_doubt);
  REQUIRE(node.store().EndDoubt(DoubtEnd::kFounded));
  CHECK(node.store().doubt() == DoubtState());
}

TEST_CASE("a crash at the very first start leaves no doubt behind") {
  MemoryTwin twin;
  TestReplica replica(ConferenceOf(2), 1);
  replica.set_twin(&twin);
  for (std::uint64_t save = 1; save <= 2; ++save) {
    for (const bool late : {false, true}) {
      twin = MemoryTwin();
      twin.fail_at = save;
      twin.late = late;
      replica.disk().Load({});
      CHECK_FALSE(replica.Open());
      twin.fail_at.reset();
      REQUIRE(replica.CrashAndOpen(Unsynced::kTorn));
      CHECK_FALSE(replica.store().doubt().in_doubt);
      replica.Close();
    }
  }
}

TEST_CASE("the nonce is renewed by ten minutes of writing, not by waiting") {
  Node node;
  const Bytes at_start = *node.twin.content;
  node.Write("eins");
  CHECK(*node.twin.content == at_start);
  node.replica.clock().Advance(11 * 60'000);
  CHECK(Value(node.store().IndexSearch(100)) == 0);  // writes, and renews
  const Bytes later = *node.twin.content;
  CHECK(later != at_start);
  node.replica.clock().Advance(11 * 60'000);
  CHECK(Value(node.store().IndexSearch(100)) == 0);  // nothing to write
  CHECK(*node.twin.content == later);
}

TEST_CASE("while the twin cannot be written nothing is acknowledged, and then work goes on") {
  Node node;
  node.Write("eins");
  node.twin.fail_at = node.twin.saves + 2;  // the last step of a renewal
  CHECK_FALSE(node.store().RenewNonce());
  const auto refused = node.store().Apply(NewNote(
      node.replica.conference().laender(), node.replica.random().DrawId<RecordId>(), "zwei"));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kStorage);
  CHECK(refused.error().message.find("twin") != std::string::npos);
  node.twin.fail_at.reset();
  node.Write("drei");
  node.replica.Close();
  REQUIRE(node.replica.Open());
  CHECK_FALSE(node.store().doubt().in_doubt);
}

TEST_CASE("a node that starts without room for its twin is read, and writes once there is room") {
  Node node;
  node.Write("eins");
  for (const std::uint64_t step : {1, 2}) {
    node.replica.Close();
    node.twin.fail_at = node.twin.saves + step;
    REQUIRE(node.replica.Open());
    CHECK_FALSE(node.store().doubt().in_doubt);
    CHECK(Value(Value(node.store().Read()).Counts()).records == 1);
    const auto refused = node.store().Apply(NewNote(
        node.replica.conference().laender(), node.replica.random().DrawId<RecordId>(), "zwei"));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::kStorage);
  }
  node.twin.fail_at.reset();
  node.Write("drei");
  node.replica.Close();
  REQUIRE(node.replica.Open());
  CHECK_FALSE(node.store().doubt().in_doubt);
  CHECK(Value(Value(node.store().Read()).Counts()).records == 2);
}

TEST_CASE("an exchange ends the doubt, and cosigning goes on above all that was met") {
  Node node;
  const auto copy = node.Copy();
  node.Write("eins");
  node.PutBack(copy);
  REQUIRE(node.store().EndDoubt(DoubtEnd::kExchanged));
  CHECK_FALSE(node.store().doubt().in_doubt);
  const std::uint64_t met = node.store().charter()->InForce().seq;
  CHECK(node.store().cosign_from() == met + 1);
  node.replica.Close();
  REQUIRE(node.replica.Open());
  CHECK(node.store().cosign_from() == met + 1);
}

TEST_CASE("the administrator's word lets serve, and lets neither cosign nor act") {
  Node node(2, 0);  // NI has the chair
  const auto copy = node.Copy();
  node.Write("eins");
  node.PutBack(copy);
  REQUIRE(node.store().EndDoubt(DoubtEnd::kTrusted));
  CHECK_FALSE(node.store().doubt().in_doubt);
  CHECK_FALSE(node.store().cosign_from());
  CHECK(node.store().doubt().no_acts_until_term == 1);
  // A completed exchange lets cosign; to act, the chair needs another term.
  REQUIRE(node.store().EndDoubt(DoubtEnd::kExchanged));
  CHECK(node.store().cosign_from());
  CHECK(node.store().doubt().no_acts_until_term == 1);
  // Whoever vouches that nothing is missing gets everything back.
  REQUIRE(node.store().EndDoubt(DoubtEnd::kVouched));
  CHECK(node.store().doubt() == DoubtState());
}

TEST_CASE("a restored chair acts only in a next term") {
  Node node(2, 0);
  const auto copy = node.Copy();
  node.Write("eins");
  const Cell chair_cell = EncodeCell({{OwnerKind::kChair, {}}, {std::uint32_t{900}}});
  const auto act = [&] {
    Edit edit;
    edit.audience = node.replica.conference().laender();
    RecordEdit record;
    record.kind = kNote;
    record.record = node.replica.random().DrawId<RecordId>();
    record.mode = RecordEdit::Mode::kCreate;
    record.cells.push_back({chair_cell, testing::TextValue(900, "Eingang"), {}});
    edit.records.push_back(record);
    return node.store().Apply(edit);
  };
  REQUIRE(act());
  node.PutBack(copy);
  const auto refused = act();
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kDenied);
  CHECK(refused.error().message.find("next term") != std::string::npos);
  node.Write("als Mitglied geht es weiter");
  REQUIRE(node.store().EndDoubt(DoubtEnd::kExchanged));
  CHECK_FALSE(act());
}

TEST_CASE("vouching for a lost twin takes back nothing of an earlier doubt") {
  Node node(2, 0);
  const auto copy = node.Copy();
  node.Write("eins");
  node.PutBack(copy);
  REQUIRE(node.store().EndDoubt(DoubtEnd::kExchanged));
  const DoubtState earlier = node.store().doubt();
  CHECK(earlier.no_acts_until_term == 1);
  node.replica.Close();
  node.twin.content.reset();
  REQUIRE(node.replica.Open());
  CHECK(node.store().doubt().in_doubt);
  // Nor where the node was started once more before the administrator's word.
  node.replica.Close();
  REQUIRE(node.replica.Open());
  REQUIRE(node.store().EndDoubt(DoubtEnd::kVouched));
  CHECK(node.store().doubt() == earlier);
}

TEST_CASE("a chair in doubt acts in no term before it has exchanged, whatever it has learnt") {
  Node node(2, 0);
  const auto copy = node.Copy();
  node.PutBack(copy);
  // A term that it had begun and forgotten comes with the charter, in the middle of the exchange.
  const auto& conference = node.replica.conference();
  const Entry& last = *conference.charter_items().back().entry;
  auto content = Value(charter::ParseContent(std::get<CharterBody>(last.header.body).charter));
  content = Value(charter::WithNextTerm(content, conference.member(0).id,
                                        conference.member(0).key.public_key(), TimeMs{1}, {}));
  const Entry next = Value(charter::MakeCharterEntry(&last, content, TimeMs{2}));
  CharterItem item{.entry = next, .id = next.id};
  for (const std::size_t signer : {0, 1}) {
    item.signatures.push_back(charter::SignCharterEntry(
        next.id, charter::CharterSignature::Kind::kApproval, conference.member(signer).key));
  }
  (void)Value(node.store().Ingest(node.store().Prepare({.charter = {item}})));
  REQUIRE(node.store().authority()->current_term().number == 2);
  const auto refused = node.store().WriteReceipts({});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kDenied);
}

TEST_CASE("what a restored node had written comes back, beside what it wrote meanwhile") {
  Node node;
  TestReplica other(ConferenceOf(2), 0);
  REQUIRE(other.Open());
  const AudienceId laender = node.replica.conference().laender();
  const RecordId note = node.replica.random().DrawId<RecordId>();
  REQUIRE(node.store().Apply(NewNote(laender, note, "eins")));
  const auto copy = node.Copy();
  REQUIRE(node.store().Apply(SetText(laender, kNote, note, kNoteTitle, "zwei")));
  Value(testing::CopyMissing(node.store(), other.store(), laender));
  node.PutBack(copy);
  REQUIRE(node.store().Apply(SetText(laender, kNote, note, kNoteTitle, "drei")));
  Value(testing::CopyMissing(other.store(), node.store(), laender));
  Value(testing::CopyMissing(node.store(), other.store(), laender));
  CHECK(Value(testing::Describe(node.store(), laender)) ==
        Value(testing::Describe(other.store(), laender)));
  // No fork: two journals of one branch each, and a conflict that people decide.
  for (const JournalView& journal : node.OwnJournals()) CHECK(journal.branches == 1);
  CHECK(node.OwnJournals().size() == 2);
  CHECK(Value(Value(node.store().Read()).Counts()).conflicts == 1);
}

// core-traces.md, "Doubt", 14: all schedules to six steps. A step writes, makes a backup (which
// renews), puts the last backup back, starts again, or starts or renews with a crash at one of the
// points where a renewal can be broken. After each start: doubt exactly where something that was
// acknowledged is missing, or may be; never a match where it is.
struct Schedules {
  enum Step { kWrite, kBackup, kPutBack, kCrashBefore, kCrashAfterPair, kCrashAfterCommit, kSteps };

  // A renewal over a toy database: the rule alone, thousands of times.
  struct World {
    int nonce = 0;          // the database's
    std::set<int> twin{0};  // the twin's
    int content = 0;        // what the database holds: the number of the last write
    int acknowledged = 0;   // by this node, ever
    int writes = 0;
    int drawn = 0;
    bool doubt = false;
    std::optional<std::pair<int, int>> backup;  // nonce, content
  };
};

TEST_CASE("trace doubt 14, the rule: all schedules to six steps, no false match") {
  using Step = Schedules::Step;
  using World = Schedules::World;
  std::size_t matches = 0;
  std::size_t doubts = 0;
  // The renewal of doubt.cc, broken off after `steps` of its three.
  const auto renew = [](World& world, int steps) {
    const int old = world.nonce;
    const int fresh = ++world.drawn;
    if (steps >= 1) world.twin = {old, fresh};
    if (steps >= 2) world.nonce = fresh;
    if (steps >= 3) world.twin = {fresh};
  };
  const auto start = [&](World& world, int steps) {
    if (world.twin.contains(world.nonce)) {
      ++matches;
      // What this node acknowledged is all there: else it would go on writing in the past.
      REQUIRE(world.content == world.acknowledged);
      renew(world, steps);
      return;
    }
    ++doubts;
    world.doubt = true;
    // Forgotten from now on: new journals are opened.
    world.acknowledged = world.content;
    if (steps >= 1) world.nonce = ++world.drawn;
    if (steps >= 3) world.twin = {world.nonce};
  };
  std::array<int, 6> schedule{};
  std::size_t count = 0;
  for (;;) {
    World world;
    start(world, 3);
    for (const int step : schedule) {
      switch (static_cast<Step>(step)) {
        case Step::kWrite:
          world.acknowledged = world.content = ++world.writes;
          break;
        case Step::kBackup:
          world.backup = {world.nonce, world.content};
          renew(world, 3);
          break;
        case Step::kPutBack:
          if (!world.backup) break;
          std::tie(world.nonce, world.content) = *world.backup;
          start(world, 3);
          break;
        case Step::kCrashBefore:
          start(world, 0);
          start(world, 3);
          break;
        case Step::kCrashAfterPair:
          start(world, 1);
          start(world, 3);
          break;
        case Step::kCrashAfterCommit:
          // Made while the twin holds both: the backup of the middle of a renewal.
          start(world, 2);
          world.backup = {world.nonce, world.content};
          start(world, 3);
          break;
        case Step::kSteps:
          break;
      }
    }
    ++count;
    std::size_t at = 0;
    while (at < schedule.size() && ++schedule[at] == Step::kSteps) schedule[at++] = 0;
    if (at == schedule.size()) break;
  }
  CHECK(count == 46'656);
  CHECK(matches > 0);
  CHECK(doubts > 0);
}

// The same with the real store on a disk that loses its power: fewer steps, each point of a
// renewal.
TEST_CASE("trace doubt 14, the store: schedules to three steps with crashes, no false match") {
  enum Step {
    kWrite,
    kBackup,
    kPutBack,
    kRestart,
    kCrashTwinEarly,
    kCrashTwinLate,
    kCrashCommit,
    kSteps
  };
  std::array<int, 3> schedule{};
  std::size_t doubts = 0;
  const auto title = [](int number) { return "Notiz " + std::to_string(number); };
  for (;;) {
    Node node;
    const AudienceId laender = node.replica.conference().laender();
    const RecordId record = node.replica.random().DrawId<RecordId>();
    REQUIRE(node.store().Apply(NewNote(laender, record, title(0))));
    int written = 0;
    std::optional<testing::FaultingDisk::Image> backup;
    EntryId last;
    std::set<EntryId> acknowledged;
    // Opens again after whatever happened: a match must hold all that was acknowledged.
    const auto look = [&] {
      const auto view = Value(Value(node.store().Read()).GetRecord(record));
      const auto history = Value(Value(node.store().Read()).History(view));
      std::set<EntryId> held;
      for (const auto& item : history) held.insert(item.entry);
      const bool whole =
          std::includes(held.begin(), held.end(), acknowledged.begin(), acknowledged.end());
      if (!whole) {
        INFO("schedule " << schedule[0] << schedule[1] << schedule[2]);
        REQUIRE(node.store().doubt().in_doubt);
      }
      if (node.store().doubt().in_doubt) {
        ++doubts;
        REQUIRE(node.store().EndDoubt(DoubtEnd::kExchanged));
        acknowledged = held;
      }
    };
    const auto crash = [&](auto break_it) {
      break_it();
      (void)node.store().RenewNonce();
      node.twin.fail_at.reset();
      REQUIRE(node.replica.CrashAndOpen(Unsynced::kLost));
      look();
    };
    for (const int step : schedule) {
      switch (step) {
        case kWrite: {
          const auto applied = Value(
              node.store().Apply(SetText(laender, kNote, record, kNoteTitle, title(++written))));
          acknowledged.insert(applied.entry);
          break;
        }
        case kBackup:
          backup = node.replica.disk().Save();
          REQUIRE(node.store().RenewNonce());
          break;
        case kPutBack:
          if (backup) node.PutBack(*backup);
          look();
          break;
        case kRestart:
          node.replica.Close();
          REQUIRE(node.replica.Open());
          look();
          break;
        case kCrashTwinEarly:
          crash([&] { node.twin.fail_at = node.twin.saves + 1; });
          break;
        case kCrashTwinLate:
          crash([&] {
            node.twin.fail_at = node.twin.saves + 2;
            node.twin.late = schedule[0] % 2 == 0;
          });
          break;
        case kCrashCommit:
          crash([&] {
            node.replica.disk().CutPowerAt(node.replica.disk().operations() + 2, Unsynced::kTorn);
          });
          break;
        default:
          break;
      }
    }
    std::size_t at = 0;
    while (at < schedule.size() && ++schedule[at] == kSteps) schedule[at++] = 0;
    if (at == schedule.size()) break;
  }
  CHECK(doubts > 0);
}

TEST_CASE("what a twin and a note of doubt look like, and what is none") {
  testing::SimRandom random(1);
  const Nonce one = random.DrawId<Nonce>();
  const Nonce two = random.DrawId<Nonce>();
  CHECK(DecodeTwin(EncodeTwin({one})) == std::vector<Nonce>{one});
  CHECK(DecodeTwin(EncodeTwin({one, two})) == std::vector<Nonce>{one, two});
  for (const std::string& none :
       {std::string(), std::string("staffel twin 1\n"), "staffel twin 1\n" + one.Hex(),
        "staffel twin 2\n" + one.Hex() + "\n", EncodeTwin({one, two, one})}) {
    CHECK_FALSE(DecodeTwin(none));
  }
  DoubtState state;
  state.in_doubt = true;
  state.since = TimeMs{5};
  state.reason = "weil";
  state.cosigning_waits = true;
  state.cosign_from = 7;
  state.no_acts_until_term = 3;
  CHECK(DecodeDoubt(EncodeDoubt(state)) == state);
  CHECK_FALSE(DecodeDoubt(""));
}

}  // namespace
}  // namespace staffel
