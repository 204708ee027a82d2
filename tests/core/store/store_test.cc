// SPDX-License-Identifier: EUPL-1.2
#include "core/store/store.h"

#include <algorithm>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "core/base/wire.h"
#include "core/sqlite/database.h"
#include "tests/support/conference.h"

namespace staffel {
namespace {

using testing::ConferenceOf;
using testing::CopyMissing;
using testing::kNote;
using testing::kNoteText;
using testing::kNoteTitle;
using testing::NewNote;
using testing::SetText;
using testing::TestConference;
using testing::TestReplica;
using testing::TextValue;

// Two Länder; one conference for all tests, because founding it costs signatures.
const TestConference& Two() { return ConferenceOf(2); }

void Ok(const Status& status) {
  if (!status) FAIL(status.error().message);
}

template <typename T>
T Value(Result<T> result) {
  if (!result) FAIL(result.error().message);
  return std::move(*result);
}

// A replica that is open and joined.
struct Opened : TestReplica {
  explicit Opened(std::size_t member = 0, const TestConference& conference = Two(),
                  std::uint64_t seed = 1)
      : TestReplica(conference, member, seed) {
    Ok(Open());
  }
  AudienceId laender() const { return conference().laender(); }
  RecordId NewId() { return random().DrawId<RecordId>(); }
  RecordView Get(const RecordId& record) {
    Snapshot snapshot = Value(store().Read());
    return Value(snapshot.GetRecord(record));
  }
  projection::RecordState StateOf(const RecordId& record) {
    Snapshot snapshot = Value(store().Read());
    const RecordView view = Value(snapshot.GetRecord(record));
    return Value(snapshot.State(view));
  }
  std::vector<EntryId> HeadsOf(const RecordId& record, const Cell& cell) {
    std::vector<EntryId> heads;
    for (const auto& state : StateOf(record).cells) {
      if (state.cell != cell) continue;
      for (const auto& head : state.heads) heads.push_back(head.entry);
    }
    return heads;
  }
  std::string TitleOf(const RecordId& record) { return TextIn(Get(record).row, kNoteTitle); }
  static std::string TextIn(const Bytes& row, std::uint32_t field) {
    WireReader reader(row);
    while (const auto found = reader.Next()) {
      if (found->number == field) return std::string(found->bytes);
    }
    return "";
  }
  ErrorCode Refused(const Edit& edit) {
    const std::uint64_t revision = store().revision();
    const auto applied = store().Apply(edit);
    REQUIRE_FALSE(applied);
    CHECK_FALSE(applied.error().message.empty());
    CHECK(store().revision() == revision);
    return applied.error().code;
  }
  void Sound() {
    const VerifyReport report = Value(store().Verify());
    INFO((report.problems.empty() ? "" : report.problems.front()));
    CHECK(report.problems.empty());
  }
};

Edit Delete(const AudienceId& audience, const RecordId& record,
            RecordEdit::Mode mode = RecordEdit::Mode::kDelete) {
  return {.audience = audience, .records = {{.kind = kNote, .record = record, .mode = mode}}};
}

// What one replica has and the other lacks, both ways, until nothing is new.
void Exchange(Opened& a, Opened& b) {
  const AudienceId laender = a.laender();
  Value(CopyMissing(a.store(), b.store(), laender));
  Value(CopyMissing(b.store(), a.store(), laender));
  CHECK(Value(testing::DigestRoot(a.store(), laender)) ==
        Value(testing::DigestRoot(b.store(), laender)));
  CHECK(Value(testing::Describe(a.store(), laender)) ==
        Value(testing::Describe(b.store(), laender)));
}

// ---- opening ----

TEST_CASE("a new store knows nobody until it has adopted a conference") {
  TestReplica replica(Two(), 0);
  auto store = Value(Store::Open({.path = "replica.db",
                                  .clock = &replica.clock(),
                                  .random = &replica.random(),
                                  .key = &replica.self().key,
                                  .vfs = replica.disk().vfs()}));
  CHECK_FALSE(store->conference());
  CHECK(store->authority() == nullptr);
  CHECK(store->charter() == nullptr);
  CHECK_FALSE(store->own_member());
  const auto refused = store->Apply(NewNote(Two().laender(), RecordId(), "Titel"));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kDenied);
  Snapshot snapshot = Value(store->Read());
  CHECK(Value(snapshot.List({})).empty());
  CHECK(Value(snapshot.Counts()).entries == 0);
}

TEST_CASE("a store belongs to one conference for ever") {
  Opened replica;
  Ok(replica.store().Adopt(Two().conference()));  // the same again is harmless
  const TestConference other(1, /*seed=*/77);
  const Status refused = replica.store().Adopt(other.conference());
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kExists);
  CHECK(replica.store().conference() == Two().conference());
  // Its charter entries are refused, too, and say so.
  const Ingested ingested = Value(replica.store().Ingest(replica.store().Prepare(other.charter())));
  CHECK(ingested.new_charter_entries == 0);
  CHECK_FALSE(ingested.charter_refusals.empty());
}

TEST_CASE("a store opened again is what it was") {
  Opened replica;
  const RecordId note = replica.NewId();
  const Applied applied = Value(replica.store().Apply(NewNote(replica.laender(), note, "Titel")));
  const std::string before = Value(testing::Describe(replica.store(), replica.laender()));
  const Hash digest = Value(testing::DigestRoot(replica.store(), replica.laender()));
  const std::uint64_t revision = replica.store().revision();
  Ok(replica.Open());
  CHECK(Value(testing::Describe(replica.store(), replica.laender())) == before);
  CHECK(Value(testing::DigestRoot(replica.store(), replica.laender())) == digest);
  CHECK(replica.store().revision() == revision);
  CHECK(replica.store().own_member() == replica.self().id);
  // Its journal goes on where it stood.
  Value(replica.store().Apply(SetText(replica.laender(), kNote, note, kNoteTitle, "Neu")));
  Snapshot snapshot = Value(replica.store().Read());
  const auto journals = Value(snapshot.Journals());
  CHECK(std::count_if(journals.begin(), journals.end(), [&](const JournalView& journal) {
          return journal.own && journal.audience == replica.laender();
        }) == 1);
  CHECK(applied.revision <= revision);
}

TEST_CASE("a file of another replica is refused") {
  Opened replica;
  Value(replica.store().Apply(NewNote(replica.laender(), replica.NewId(), "Titel")));
  replica.Close();
  const auto refused = Store::Open({.path = "replica.db",
                                    .clock = &replica.clock(),
                                    .random = &replica.random(),
                                    .key = &Two().member(1).key,
                                    .vfs = replica.disk().vfs()});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("replica.db") != std::string::npos);
}

TEST_CASE("a file that is no database is refused and named") {
  testing::FaultingDisk disk;
  testing::SimClock clock;
  testing::SimRandom random(1);
  disk.WriteFile("letter.db", std::string(10'000, 'x'));
  const auto refused = Store::Open({.path = "letter.db",
                                    .clock = &clock,
                                    .random = &random,
                                    .key = &Two().member(0).key,
                                    .vfs = disk.vfs()});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kCorrupt);
  CHECK(refused.error().message.find("letter.db") != std::string::npos);
}

// ---- own edits ----

TEST_CASE("a record made here is read as it was written") {
  Opened replica;
  const RecordId note = replica.NewId();
  const std::uint64_t before = replica.store().revision();
  const Applied applied =
      Value(replica.store().Apply(NewNote(replica.laender(), note, "Titel", "Länge läuft")));
  CHECK_FALSE(applied.repeated);
  CHECK(applied.revision > before);
  CHECK(replica.store().revision() == applied.revision);
  const RecordView view = replica.Get(note);
  CHECK(view.audience == replica.laender());
  CHECK(view.kind == kNote);
  CHECK(view.record == note);
  CHECK(view.conflicts == 0);
  CHECK_FALSE(view.deleted);
  CHECK(view.revision == 1);
  CHECK(view.created == TimeMs{replica.clock().now_ms()});
  CHECK(view.changed == view.created);
  CHECK(Opened::TextIn(view.row, kNoteTitle) == "Titel");
  CHECK(Opened::TextIn(view.row, kNoteText) == "Länge läuft");
}

TEST_CASE("an edit replaces what it was shown") {
  Opened replica;
  const RecordId note = replica.NewId();
  Value(replica.store().Apply(NewNote(replica.laender(), note, "Titel")));
  replica.clock().Advance(1000);
  const Applied applied = Value(
      replica.store().Apply(SetText(replica.laender(), kNote, note, kNoteTitle, "Neuer Titel")));
  CHECK(replica.TitleOf(note) == "Neuer Titel");
  CHECK(replica.HeadsOf(note, FieldCell(kNoteTitle)) == std::vector<EntryId>{applied.entry});
  CHECK(replica.Get(note).created.value == replica.clock().now_ms() - 1000);
  CHECK(replica.Get(note).changed.value == replica.clock().now_ms());
  replica.Sound();
}

TEST_CASE("a cell without a value is emptied") {
  Opened replica;
  const RecordId note = replica.NewId();
  Value(replica.store().Apply(NewNote(replica.laender(), note, "Titel")));
  Edit edit = SetText(replica.laender(), kNote, note, kNoteTitle, "");
  edit.records[0].cells[0].value.reset();
  Value(replica.store().Apply(edit));
  CHECK(replica.TitleOf(note).empty());
  CHECK(replica.HeadsOf(note, FieldCell(kNoteTitle)).size() == 1);
}

TEST_CASE("creating what is there, and changing what is not, are refused") {
  Opened replica;
  const RecordId note = replica.NewId();
  CHECK(replica.Refused(SetText(replica.laender(), kNote, note, kNoteTitle, "x")) ==
        ErrorCode::kNotFound);
  CHECK(replica.Refused(Delete(replica.laender(), note)) == ErrorCode::kNotFound);
  Value(replica.store().Apply(NewNote(replica.laender(), note, "Titel")));
  CHECK(replica.Refused(NewNote(replica.laender(), note, "Titel")) == ErrorCode::kExists);
}

TEST_CASE("an audience that the replica does not write is refused") {
  Opened replica(0);
  CHECK(replica.Refused(NewNote(Two().member(1).own, replica.NewId(), "Titel")) ==
        ErrorCode::kDenied);
  CHECK(replica.Refused(NewNote(replica.random().DrawId<AudienceId>(), replica.NewId(), "x")) ==
        ErrorCode::kNotFound);
  // Its own is its to write.
  Value(replica.store().Apply(NewNote(Two().member(0).own, replica.NewId(), "Titel")));
}

TEST_CASE("another member's cell is refused, one's own is not, and the chair's is the chair's") {
  Opened chair(0);
  Opened land(1);
  const auto edit_of = [](Opened& replica, CellOwner owner) {
    Edit edit{.audience = replica.laender()};
    RecordEdit record{.kind = 8, .record = replica.NewId(), .mode = RecordEdit::Mode::kCreate};
    record.cells.push_back({.cell = EncodeCell({.owner = owner, .steps = {std::uint32_t{8}}}),
                            .value = TextValue(8, "J")});
    edit.records.push_back(record);
    return edit;
  };
  const CellOwner ni{OwnerKind::kMember, Two().member(0).id};
  const CellOwner nw{OwnerKind::kMember, Two().member(1).id};
  const CellOwner of_chair{OwnerKind::kChair, {}};
  CHECK(land.Refused(edit_of(land, ni)) == ErrorCode::kDenied);
  CHECK(chair.Refused(edit_of(chair, nw)) == ErrorCode::kDenied);
  CHECK(land.Refused(edit_of(land, of_chair)) == ErrorCode::kDenied);
  Value(land.store().Apply(edit_of(land, nw)));
  Value(chair.store().Apply(edit_of(chair, ni)));
  Value(chair.store().Apply(edit_of(chair, of_chair)));
  Exchange(chair, land);
  chair.Sound();
  land.Sound();
}

TEST_CASE("an edit that says nothing, or nonsense, is refused") {
  Opened replica;
  const RecordId note = replica.NewId();
  CHECK(replica.Refused({.audience = replica.laender()}) == ErrorCode::kInvalid);
  Edit twice = NewNote(replica.laender(), note, "Titel");
  twice.records[0].cells.push_back(twice.records[0].cells[0]);
  CHECK(replica.Refused(twice) != ErrorCode::kInternal);
  Edit no_cell = NewNote(replica.laender(), note, "Titel");
  no_cell.records[0].cells[0].cell = "no cell";
  CHECK(replica.Refused(no_cell) == ErrorCode::kInvalid);
  Edit empty_cell = NewNote(replica.laender(), note, "Titel");
  empty_cell.records[0].cells[0].cell.clear();
  CHECK(replica.Refused(empty_cell) == ErrorCode::kInvalid);
}

TEST_CASE("what is beyond a limit is refused, what is just within is taken") {
  Opened replica;
  const RecordId note = replica.NewId();
  CHECK(replica.Refused(NewNote(replica.laender(), note, std::string(kPayloadBytesMax, 'x'))) ==
        ErrorCode::kTooLarge);
  Value(replica.store().Apply(
      NewNote(replica.laender(), note, std::string(kPayloadBytesMax - 1000, 'x'))));
  Edit many{.audience = replica.laender()};
  for (std::size_t index = 0; index <= kRecordPartsMax; ++index) {
    many.records.push_back(NewNote(replica.laender(), replica.NewId(), "x").records[0]);
  }
  CHECK(replica.Refused(many) != ErrorCode::kInternal);
  replica.Sound();
}

TEST_CASE("one edit of several records is one entry") {
  Opened replica;
  Edit edit = NewNote(replica.laender(), replica.NewId(), "Erste");
  edit.records.push_back(NewNote(replica.laender(), replica.NewId(), "Zweite").records[0]);
  const RecordId author = replica.NewId();
  edit.author = author;
  const Applied applied = Value(replica.store().Apply(edit));
  for (const RecordEdit& record : edit.records) {
    const RecordView view = replica.Get(record.record);
    Snapshot snapshot = Value(replica.store().Read());
    const auto history = Value(snapshot.History(view));
    REQUIRE(history.size() == 1);
    CHECK(history[0].entry == applied.entry);
    CHECK(history[0].author == author);
    CHECK(history[0].member == replica.self().id);
    CHECK(history[0].valid);
  }
}

TEST_CASE("a refused part refuses the whole edit") {
  Opened replica;
  const RecordId good = replica.NewId();
  Edit edit = NewNote(replica.laender(), good, "Gut");
  edit.records.push_back(
      SetText(replica.laender(), kNote, replica.NewId(), kNoteTitle, "x").records[0]);
  CHECK(replica.Refused(edit) == ErrorCode::kNotFound);
  Snapshot snapshot = Value(replica.store().Read());
  CHECK(snapshot.GetRecord(good).error().code == ErrorCode::kNotFound);
}

TEST_CASE("an op that is repeated is not applied again") {
  Opened replica;
  const RecordId note = replica.NewId();
  Edit edit = NewNote(replica.laender(), note, "Titel");
  edit.op = replica.random().DrawId<OpId>();
  const Applied first = Value(replica.store().Apply(edit));
  const Applied again = Value(replica.store().Apply(edit));
  CHECK(again.repeated);
  CHECK(again.entry == first.entry);
  CHECK(Value(Value(replica.store().Read()).Counts()).records == 1);
  // Also after a restart, and with another edit between.
  Value(replica.store().Apply(SetText(replica.laender(), kNote, note, kNoteTitle, "Neu")));
  Ok(replica.Open());
  CHECK(Value(replica.store().Apply(edit)).entry == first.entry);
  CHECK(replica.TitleOf(note) == "Neu");
}

TEST_CASE("an op of ours that came back from elsewhere is a repeat, too") {
  Opened first(0);
  Edit edit = NewNote(first.laender(), first.NewId(), "Titel");
  edit.op = first.random().DrawId<OpId>();
  const Applied applied = Value(first.store().Apply(edit));
  Opened second(1);
  Value(CopyMissing(first.store(), second.store(), first.laender()));
  // The same replica, lost and fetched back from its peer.
  Opened again(0, Two(), /*seed=*/2);
  Value(CopyMissing(second.store(), again.store(), first.laender()));
  const Applied repeated = Value(again.store().Apply(edit));
  CHECK(repeated.repeated);
  CHECK(repeated.entry == applied.entry);
}

TEST_CASE("trace 1 of the ops: an edit covers the heads that its writer was shown elsewhere") {
  // NI's phone edits at home, then reads and edits at NW's node: what it was shown there reaches
  // home later than its edit does.
  Opened ni(0), nw(1);
  const RecordId note = ni.NewId();
  Value(ni.store().Apply(NewNote(ni.laender(), note, "Titel")));
  Exchange(ni, nw);
  const Applied shown =
      Value(nw.store().Apply(SetText(nw.laender(), kNote, note, kNoteTitle, "a")));
  Edit edit = SetText(ni.laender(), kNote, note, kNoteTitle, "b");
  edit.records[0].cells[0].parents = {shown.entry};
  Value(ni.store().Apply(edit));
  Exchange(nw, ni);
  for (Opened* at : {&ni, &nw}) {
    CHECK(at->Get(note).conflicts == 0);
    CHECK(at->TitleOf(note) == "b");
    at->Sound();
  }
}

TEST_CASE("trace 3 of the ops: what was rejected is not applied later, whoever delivers it") {
  Opened home(0), nw(1);
  const RecordId note = home.NewId();
  Edit edit = SetText(home.laender(), kNote, note, kNoteTitle, "zu früh");
  edit.op = home.random().DrawId<OpId>();
  REQUIRE(home.Refused(edit) == ErrorCode::kNotFound);
  const Applied rejected = Value(home.store().Reject(home.laender(), *edit.op));
  CHECK_FALSE(rejected.repeated);
  // By now it would be possible.
  Value(nw.store().Apply(NewNote(nw.laender(), note, "Titel")));
  Exchange(home, nw);
  // NI's other machine, which still has a copy of the op.
  Opened other(0, Two(), /*seed=*/2);
  Value(CopyMissing(nw.store(), other.store(), home.laender()));
  for (Opened* at : {&home, &other}) {
    CHECK(at->Refused(edit) == ErrorCode::kConflict);
    const Applied again = Value(at->store().Reject(at->laender(), *edit.op));
    CHECK(again.repeated);
    CHECK(again.entry == rejected.entry);
    CHECK(at->TitleOf(note) == "Titel");
    at->Sound();
  }
  // Where it was applied before the rejection was heard of, it is applied.
  Edit early = SetText(home.laender(), kNote, note, kNoteTitle, "rechtzeitig");
  early.op = home.random().DrawId<OpId>();
  const Applied applied = Value(other.store().Apply(early));
  Value(home.store().Reject(home.laender(), *early.op));
  Exchange(home, other);
  for (Opened* at : {&home, &other}) {
    const Applied again = Value(at->store().Apply(early));
    CHECK(again.repeated);
    CHECK(again.entry == applied.entry);
    CHECK(at->store().Reject(at->laender(), *early.op).error().code == ErrorCode::kExists);
    CHECK(at->TitleOf(note) == "rechtzeitig");
    at->Sound();
  }
  CHECK(home.store().Reject(nw.self().own, home.random().DrawId<OpId>()).error().code ==
        ErrorCode::kDenied);
}

TEST_CASE("trace 5 of the ops: an op done in one audience is not taken for done in another") {
  Opened replica;
  Edit edit = NewNote(replica.laender(), replica.NewId(), "Titel");
  edit.op = replica.random().DrawId<OpId>();
  Value(replica.store().Apply(edit));
  Edit half = NewNote(replica.self().own, replica.NewId(), "die andere Hälfte");
  half.op = edit.op;
  CHECK(replica.Refused(half) == ErrorCode::kConflict);
  CHECK(replica.store().Reject(replica.self().own, *edit.op).error().code == ErrorCode::kConflict);
}

TEST_CASE("trace 6 of the ops: a narrower audience does not show in a wider one's revisions") {
  std::vector<std::uint64_t> seen[2];
  for (const bool busy : {false, true}) {
    Opened ni(0);
    for (int i = 0; i < 3; ++i) {
      const RecordId note = ni.NewId();
      Value(ni.store().Apply(NewNote(ni.laender(), note, "für alle")));
      if (busy) {
        const RecordId own = ni.NewId();
        Value(ni.store().Apply(NewNote(ni.self().own, own, "nur hier")));
        Value(ni.store().Apply(SetText(ni.self().own, kNote, own, kNoteTitle, "und nur hier")));
      }
      Value(ni.store().Apply(SetText(ni.laender(), kNote, note, kNoteTitle, "neu")));
      Ok(ni.Open());  // also not after a restart
      seen[busy].push_back(ni.Get(note).revision);
      seen[busy].push_back(Value(Value(ni.store().Read()).RevisionOf(ni.laender())));
    }
    CHECK(Value(Value(ni.store().Read()).RevisionOf(ni.self().own)) == (busy ? 6 : 0));
    CHECK(Value(Value(ni.store().Read()).Counts()).not_yet_indexed == (busy ? 6 : 3));
    CHECK(Value(ni.store().IndexSearch(2)) == (busy ? 4 : 1));
    CHECK(Value(ni.store().IndexSearch(10)) == 0);
    CHECK(Value(Value(ni.store().Read()).Search("neu", {}, 10, 0)).hits.size() == 3);
  }
  CHECK(seen[false] == std::vector<std::uint64_t>{2, 2, 4, 4, 6, 6});
  CHECK(seen[true] == seen[false]);
}

// ---- several at once ----

TEST_CASE("a list of edits is applied wholly, one entry each, in order") {
  Opened replica;
  const RecordId note = replica.NewId();
  std::vector<Edit> edits = {NewNote(replica.laender(), note, "a"),
                             SetText(replica.laender(), kNote, note, kNoteTitle, "b"),
                             SetText(replica.laender(), kNote, note, kNoteTitle, "c")};
  std::vector<std::size_t> progress;
  const auto applied = Value(replica.store().ApplyAll(
      edits, {.progress = [&](std::size_t done) { progress.push_back(done); }}));
  REQUIRE(applied.size() == 3);
  CHECK(replica.TitleOf(note) == "c");
  CHECK(applied[0].entry != applied[1].entry);
  CHECK(std::is_sorted(progress.begin(), progress.end()));
  CHECK((progress.empty() || progress.back() == 3));
  replica.Sound();
}

TEST_CASE("one refused edit of a list leaves nothing of it, and its number is said") {
  Opened replica;
  const RecordId note = replica.NewId();
  const std::string before = Value(testing::Describe(replica.store(), replica.laender()));
  std::vector<Edit> edits = {NewNote(replica.laender(), note, "a"),
                             NewNote(replica.laender(), note, "b")};
  const auto refused = replica.store().ApplyAll(edits);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kExists);
  CHECK(refused.error().message.find('2') != std::string::npos);
  CHECK(Value(testing::Describe(replica.store(), replica.laender())) == before);
  // The next edit starts from a clean state.
  Value(replica.store().Apply(NewNote(replica.laender(), note, "c")));
  CHECK(replica.TitleOf(note) == "c");
  replica.Sound();
}

// ---- signatures ----

// The numbers of the entries that carry a signature, of the only journal written here.
std::vector<std::uint64_t> SignedIn(Opened& replica) {
  Snapshot snapshot = Value(replica.store().Read());
  const VersionVector vector = Value(snapshot.Vector(replica.laender()));
  REQUIRE(vector.size() == 1);
  std::vector<std::uint64_t> numbers;
  bool more = true;
  const std::vector<Want> wants = {{vector[0].journal, 0}};
  for (const StoredRun& run : Value(snapshot.ReadRuns(wants, 64 << 20, &more))) {
    for (const StoredEntry& entry : run.entries) {
      if (!entry.signature.empty()) numbers.push_back(entry.seq);
    }
  }
  CHECK_FALSE(more);
  return numbers;
}

TEST_CASE("of what is committed together the last entry of each journal is signed") {
  Opened replica;
  std::vector<Edit> edits;
  for (int count = 0; count < 5; ++count) {
    edits.push_back(NewNote(replica.laender(), replica.NewId(), "a"));
  }
  Value(replica.store().ApplyAll(edits));
  CHECK(SignedIn(replica) == std::vector<std::uint64_t>{0, 5});
  Value(replica.store().Apply(NewNote(replica.laender(), replica.NewId(), "b")));
  CHECK(SignedIn(replica) == std::vector<std::uint64_t>{0, 5, 6});
  // What another transaction left unsigned when it was undone is not signed by this one.
  const RecordId twice = replica.NewId();
  edits = {NewNote(replica.laender(), twice, "c"), NewNote(replica.laender(), twice, "c")};
  CHECK_FALSE(replica.store().ApplyAll(edits));
  Value(replica.store().Apply(NewNote(replica.laender(), twice, "c")));
  CHECK(SignedIn(replica) == std::vector<std::uint64_t>{0, 5, 6, 7});
  Opened other(1);
  Exchange(replica, other);
  replica.Sound();
  other.Sound();
}

TEST_CASE("a signature stands behind each 64 KiB, so that a message can end there") {
  Opened replica;
  std::vector<Edit> edits;
  for (int count = 0; count < 5; ++count) {
    edits.push_back(NewNote(replica.laender(), replica.NewId(), "a", std::string(30'000, 'x')));
  }
  Value(replica.store().ApplyAll(edits));
  CHECK(SignedIn(replica) == std::vector<std::uint64_t>{0, 3, 5});
  Opened other(1);
  Exchange(replica, other);
  other.Sound();
}

TEST_CASE("verify finds a journal whose last entry nobody has signed") {
  Opened replica;
  Value(replica.store().Apply(NewNote(replica.laender(), replica.NewId(), "a")));
  replica.Sound();
  replica.Close();
  {
    auto file = Value(sqlite::Database::Open({.path = "replica.db", .vfs = replica.disk().vfs()}));
    Ok(file.Execute("UPDATE entry SET signature = NULL WHERE seq = 1"));
  }
  Ok(replica.Open());
  const VerifyReport report = Value(replica.store().Verify());
  REQUIRE(report.problems.size() == 1);
  CHECK(report.problems[0].find("nobody has signed its last entry") != std::string::npos);
}

// ---- conflicts ----

TEST_CASE("two Länder edit one title: both are kept, the same one is shown on both") {
  Opened ni(0);
  Opened nw(1);
  const RecordId note = ni.NewId();
  const Applied base = Value(ni.store().Apply(NewNote(ni.laender(), note, "Titel")));
  Exchange(ni, nw);
  ni.clock().Advance(1000);
  nw.clock().Advance(2000);
  const Applied by_ni =
      Value(ni.store().Apply(SetText(ni.laender(), kNote, note, kNoteTitle, "Titel aus NI")));
  const Applied by_nw =
      Value(nw.store().Apply(SetText(nw.laender(), kNote, note, kNoteTitle, "Titel aus NW")));
  Exchange(ni, nw);
  for (Opened* replica : {&ni, &nw}) {
    CHECK(replica->TitleOf(note) == "Titel aus NW");
    CHECK(replica->Get(note).conflicts == 1);
    Snapshot snapshot = Value(replica->store().Read());
    const auto conflicts = Value(snapshot.Conflicts({}));
    REQUIRE(conflicts.size() == 1);
    const projection::Conflict& conflict = conflicts[0].conflict;
    CHECK(conflicts[0].record.record == note);
    CHECK(conflict.cell == FieldCell(kNoteTitle));
    CHECK(conflict.kind == projection::ConflictKind::kValue);
    CHECK(conflict.provisional == by_nw.entry);
    CHECK(conflict.base == TextValue(kNoteTitle, "Titel"));
    REQUIRE(conflict.heads.size() == 2);
    for (const projection::Head& head : conflict.heads) {
      const bool is_ni = head.entry == by_ni.entry;
      CHECK((is_ni || head.entry == by_nw.entry));
      CHECK(head.member == Two().member(is_ni ? 0 : 1).id);
      CHECK(head.value == TextValue(kNoteTitle, is_ni ? "Titel aus NI" : "Titel aus NW"));
      CHECK(head.parents == std::vector<EntryId>{base.entry});
    }
    CHECK(Value(snapshot.Counts()).conflicts == 1);
    replica->Sound();
  }
}

TEST_CASE("two Länder write the same title: they agree") {
  Opened ni(0);
  Opened nw(1);
  const RecordId note = ni.NewId();
  Value(ni.store().Apply(NewNote(ni.laender(), note, "Titel")));
  Exchange(ni, nw);
  Value(ni.store().Apply(SetText(ni.laender(), kNote, note, kNoteTitle, "Gleich")));
  Value(nw.store().Apply(SetText(nw.laender(), kNote, note, kNoteTitle, "Gleich")));
  Exchange(ni, nw);
  CHECK(ni.Get(note).conflicts == 0);
  CHECK(ni.HeadsOf(note, FieldCell(kNoteTitle)).size() == 2);
  // Nothing competes: an edit without parents named covers both.
  Value(ni.store().Apply(SetText(ni.laender(), kNote, note, kNoteTitle, "Weiter")));
  CHECK(ni.HeadsOf(note, FieldCell(kNoteTitle)).size() == 1);
}

TEST_CASE("two Länder edit different fields: nothing is in conflict") {
  Opened ni(0);
  Opened nw(1);
  const RecordId note = ni.NewId();
  Value(ni.store().Apply(NewNote(ni.laender(), note, "Titel", "Text")));
  Exchange(ni, nw);
  Value(ni.store().Apply(SetText(ni.laender(), kNote, note, kNoteTitle, "Titel neu")));
  Value(nw.store().Apply(SetText(nw.laender(), kNote, note, kNoteText, "Text neu")));
  Exchange(ni, nw);
  CHECK(nw.Get(note).conflicts == 0);
  CHECK(nw.TitleOf(note) == "Titel neu");
  CHECK(Opened::TextIn(nw.Get(note).row, kNoteText) == "Text neu");
}

TEST_CASE("a conflict is decided by naming its heads, and by nothing less") {
  Opened ni(0);
  Opened nw(1);
  const RecordId note = ni.NewId();
  const Cell title = FieldCell(kNoteTitle);
  Value(ni.store().Apply(NewNote(ni.laender(), note, "Titel")));
  Exchange(ni, nw);
  const Applied by_ni =
      Value(ni.store().Apply(SetText(ni.laender(), kNote, note, kNoteTitle, "NI")));
  Value(nw.store().Apply(SetText(nw.laender(), kNote, note, kNoteTitle, "NW")));
  Exchange(ni, nw);
  // Unnamed: refused, because somebody's text would vanish unseen.
  CHECK(ni.Refused(SetText(ni.laender(), kNote, note, kNoteTitle, "x")) == ErrorCode::kConflict);
  // One of the two named: the other stays.
  Edit half = SetText(ni.laender(), kNote, note, kNoteTitle, "NI, verbessert");
  half.records[0].cells[0].parents = {by_ni.entry};
  Value(ni.store().Apply(half));
  CHECK(ni.Get(note).conflicts == 1);
  CHECK(ni.HeadsOf(note, title).size() == 2);
  // Both: decided, also at the other's.
  Edit decision = SetText(ni.laender(), kNote, note, kNoteTitle, "Beide");
  decision.records[0].cells[0].parents = ni.HeadsOf(note, title);
  Value(ni.store().Apply(decision));
  CHECK(ni.Get(note).conflicts == 0);
  Exchange(ni, nw);
  CHECK(nw.Get(note).conflicts == 0);
  CHECK(nw.TitleOf(note) == "Beide");
  CHECK(Value(Value(nw.store().Read()).Counts()).conflicts == 0);
  nw.Sound();
}

TEST_CASE("when a record was created does not depend on what arrived first") {
  Opened ni(0);
  Opened nw(1);
  const RecordId note = ni.NewId();
  ni.clock().Advance(5000);
  Value(ni.store().Apply(NewNote(ni.laender(), note, "aus NI")));
  Value(nw.store().Apply(NewNote(ni.laender(), note, "aus NW")));
  Exchange(ni, nw);
  CHECK(ni.Get(note).created == nw.Get(note).created);
  CHECK(ni.Get(note).changed == nw.Get(note).changed);
}

TEST_CASE("an edit that was shown an old state becomes a second head") {
  Opened replica;
  const RecordId note = replica.NewId();
  const Applied base = Value(replica.store().Apply(NewNote(replica.laender(), note, "Titel")));
  Value(replica.store().Apply(SetText(replica.laender(), kNote, note, kNoteTitle, "eins")));
  Edit late = SetText(replica.laender(), kNote, note, kNoteTitle, "zwei");
  late.records[0].cells[0].parents = {base.entry};
  Value(replica.store().Apply(late));
  CHECK(replica.Get(note).conflicts == 1);
  Edit from_nothing = SetText(replica.laender(), kNote, note, kNoteTitle, "drei");
  from_nothing.records[0].cells[0].parents.emplace();
  Value(replica.store().Apply(from_nothing));
  CHECK(replica.HeadsOf(note, FieldCell(kNoteTitle)).size() == 3);
  replica.Sound();
}

// ---- deletion ----

TEST_CASE("a deleted record is hidden from lists, kept in the journal, and can come back") {
  Opened replica;
  const RecordId note = replica.NewId();
  Value(replica.store().Apply(NewNote(replica.laender(), note, "Titel")));
  Value(replica.store().Apply(Delete(replica.laender(), note)));
  {
    Snapshot snapshot = Value(replica.store().Read());
    CHECK(Value(snapshot.List({})).empty());
    CHECK(Value(snapshot.Count({})) == 0);
    const auto with = Value(snapshot.List({.with_deleted = true}));
    REQUIRE(with.size() == 1);
    CHECK(with[0].deleted);
    CHECK(Value(snapshot.History(with[0])).size() == 2);
  }
  Value(replica.store().Apply(Delete(replica.laender(), note, RecordEdit::Mode::kRestore)));
  CHECK_FALSE(replica.Get(note).deleted);
  CHECK(replica.TitleOf(note) == "Titel");
  replica.Sound();
}

TEST_CASE("deleted here, edited there: the record stays visible and the conflict is listed") {
  Opened ni(0);
  Opened nw(1);
  const RecordId note = ni.NewId();
  Value(ni.store().Apply(NewNote(ni.laender(), note, "Titel")));
  Exchange(ni, nw);
  Value(ni.store().Apply(Delete(ni.laender(), note)));
  Value(nw.store().Apply(SetText(nw.laender(), kNote, note, kNoteTitle, "Noch wichtig")));
  Exchange(ni, nw);
  for (Opened* replica : {&ni, &nw}) {
    const RecordView view = replica->Get(note);
    CHECK_FALSE(view.deleted);
    CHECK(replica->TitleOf(note) == "Noch wichtig");
    Snapshot snapshot = Value(replica->store().Read());
    const auto conflicts = Value(snapshot.ConflictsOf(view));
    REQUIRE(conflicts.size() == 1);
    CHECK(conflicts[0].conflict.kind == projection::ConflictKind::kDeletedBesideEdited);
  }
  // Deleting again, knowing of the edit, decides it.
  Value(ni.store().Apply(Delete(ni.laender(), note)));
  Exchange(ni, nw);
  CHECK(nw.Get(note).deleted);
  CHECK(nw.Get(note).conflicts == 0);
  nw.Sound();
}

TEST_CASE("an edit, a deletion unaware of it, a deletion aware of it: deleted, no conflict") {
  Opened ni(0);
  Opened nw(1);
  const RecordId note = ni.NewId();
  Value(ni.store().Apply(NewNote(ni.laender(), note, "Titel")));
  Exchange(ni, nw);
  Value(nw.store().Apply(SetText(nw.laender(), kNote, note, kNoteTitle, "Neu")));
  Value(ni.store().Apply(Delete(ni.laender(), note)));
  Value(nw.store().Apply(Delete(nw.laender(), note)));
  Exchange(ni, nw);
  CHECK(ni.Get(note).deleted);
  CHECK(ni.Get(note).conflicts == 0);
}

TEST_CASE("deleting takes no cells") {
  Opened replica;
  const RecordId note = replica.NewId();
  Value(replica.store().Apply(NewNote(replica.laender(), note, "Titel")));
  Edit edit = Delete(replica.laender(), note);
  edit.records[0].cells.push_back(
      {.cell = FieldCell(kNoteTitle), .value = TextValue(kNoteTitle, "x")});
  CHECK(replica.Refused(edit) == ErrorCode::kInvalid);
}

// ---- what arrives ----

TEST_CASE("a batch ingested again is known, and changes nothing") {
  Opened ni(0);
  Opened nw(1);
  Value(ni.store().Apply(NewNote(ni.laender(), ni.NewId(), "Titel")));
  const auto batches = Value(testing::ReadAll(ni.store(), 1 << 20));
  for (int round = 0; round < 2; ++round) {
    const std::uint64_t revision = nw.store().revision();
    for (const Batch& batch : batches) {
      const Ingested ingested = Value(nw.store().Ingest(nw.store().Prepare(batch)));
      for (const RunResult& run : ingested.runs) {
        CHECK(run.outcome == (round == 0 ? RunOutcome::kAccepted : RunOutcome::kKnown));
        CHECK(run.new_entries == (round == 0 ? run.last_seq - run.first_seq + 1 : 0));
      }
    }
    CHECK((nw.store().revision() > revision) == (round == 0));
  }
  Exchange(ni, nw);
}

TEST_CASE("a run whose predecessor is missing is told so, and taken once it is there") {
  Opened ni(0);
  Opened nw(1);
  const RecordId note = ni.NewId();
  Value(ni.store().Apply(NewNote(ni.laender(), note, "a")));
  Value(ni.store().Apply(SetText(ni.laender(), kNote, note, kNoteTitle, "b")));
  auto batches = Value(testing::ReadAll(ni.store(), 1 << 20));
  REQUIRE(batches.size() == 1);
  REQUIRE(batches[0].runs.size() == 1);
  const std::vector<Entry> entries = batches[0].runs[0].entries;
  REQUIRE(entries.size() == 3);  // the opening and two writes
  REQUIRE_FALSE(entries[2].signature.empty());
  Batch tail;
  tail.runs.push_back({.entries = {entries[2]}});
  const Ingested refused = Value(nw.store().Ingest(nw.store().Prepare(tail)));
  REQUIRE(refused.runs.size() == 1);
  CHECK(refused.runs[0].outcome == RunOutcome::kUnknownPrev);
  CHECK(refused.new_entries == 0);
  CHECK(refused.runs[0].journal == entries[0].id);
  Exchange(ni, nw);
}

TEST_CASE("damaged entries are refused, each with its reason, and the rest of the batch is kept") {
  Opened ni(0);
  Opened nw(1);
  Opened he(0, Two(), 3);
  const RecordId note = ni.NewId();
  Value(ni.store().Apply(NewNote(ni.laender(), note, "a")));
  Value(nw.store().Apply(NewNote(ni.laender(), nw.NewId(), "b")));
  const Run good = Value(testing::ReadAll(nw.store(), 1 << 20))[0].runs[0];
  const Run source = Value(testing::ReadAll(ni.store(), 1 << 20))[0].runs[0];
  const auto refused_with = [&](Run bad) {
    Batch batch;
    batch.runs.push_back(std::move(bad));
    batch.runs.push_back(good);
    const Ingested ingested = Value(he.store().Ingest(he.store().Prepare(std::move(batch))));
    REQUIRE(ingested.runs.size() == 2);
    CHECK(ingested.runs[0].outcome == RunOutcome::kRefused);
    REQUIRE(ingested.runs[0].reason);
    CHECK(ingested.runs[1].outcome != RunOutcome::kRefused);
    return ingested.runs[0].reason->message;
  };
  SECTION("a payload that does not match its commitment") {
    Run bad = source;
    bad.entries.back().payloads[0]->back() ^= 1;
    CHECK_FALSE(refused_with(bad).empty());
  }
  SECTION("a signature by somebody else") {
    Run bad = source;
    bad.entries.back().signature =
        Two().member(1).key.Sign("staffel/1/sign", bad.entries.back().id.bytes());
    CHECK(refused_with(bad).find("signature") != std::string::npos);
  }
  SECTION("no signature at the end") {
    Run bad = source;
    bad.entries.back().signature.clear();
    CHECK_FALSE(refused_with(bad).empty());
  }
  SECTION("a broken link") {
    Run bad = source;
    Header header = bad.entries.back().header;
    header.prev = ni.random().DrawId<EntryId>();
    bad.entries.back() = SignEntry(header, bad.entries.back().payloads, Two().member(0).key);
    (void)refused_with(bad);
  }
  SECTION("a journal of a key that no charter ever named") {
    const auto stranger = crypto::KeyPair::FromSeedForTests("stranger");
    Header header = source.entries[0].header;
    OpenBody open = std::get<OpenBody>(header.body);
    open.key = stranger.public_key();
    header.body = open;
    Run bad;
    bad.entries.push_back(SignEntry(header, {}, stranger));
    CHECK_FALSE(refused_with(bad).empty());
  }
  SECTION("a payload that is missing without an erasure") {
    Run bad = source;
    bad.entries.back().payloads[0].reset();
    CHECK_FALSE(refused_with(bad).empty());
  }
  CHECK(Value(Value(he.store().Read()).Counts()).records == 1);
  he.Sound();
}

TEST_CASE("a fork is kept as two branches: both heads stand, an incident is reported") {
  Opened ni(0);
  const RecordId note = ni.NewId();
  Value(ni.store().Apply(NewNote(ni.laender(), note, "Titel")));
  ni.Close();
  const auto backup = ni.disk().Save();
  Ok(ni.Open());
  Value(ni.store().Apply(SetText(ni.laender(), kNote, note, kNoteTitle, "weiter")));
  Opened nw(1);
  Value(CopyMissing(ni.store(), nw.store(), ni.laender()));
  // The old image runs again, unaware, and writes something else in the same place.
  Opened clone(0, Two(), 5);
  clone.Close();
  clone.disk().Load(backup);
  Ok(clone.Open());
  clone.clock().Advance(5000);
  Value(clone.store().Apply(SetText(ni.laender(), kNote, note, kNoteTitle, "anders")));
  const auto batches = Value(testing::ReadAll(clone.store(), 1 << 20));
  for (const Batch& batch : batches) {
    const Ingested ingested = Value(nw.store().Ingest(nw.store().Prepare(batch)));
    for (const RunResult& run : ingested.runs) CHECK(run.outcome == RunOutcome::kAccepted);
  }
  CHECK(nw.HeadsOf(note, FieldCell(kNoteTitle)).size() == 2);
  CHECK(nw.Get(note).conflicts == 1);
  CHECK(nw.TitleOf(note) == "anders");
  Snapshot snapshot = Value(nw.store().Read());
  CHECK(Value(snapshot.Vector(ni.laender())).size() == 2);
  const auto incidents = Value(nw.store().Incidents(0, 100));
  CHECK(std::any_of(incidents.begin(), incidents.end(),
                    [](const Incident& incident) { return incident.kind == "fork"; }));
  nw.Sound();
}

TEST_CASE("a replica that meets more of its own journal opens a new one, and keeps the old") {
  Opened ni(0);
  const RecordId note = ni.NewId();
  Value(ni.store().Apply(NewNote(ni.laender(), note, "Titel")));
  ni.Close();
  const auto backup = ni.disk().Save();
  Ok(ni.Open());
  Value(ni.store().Apply(SetText(ni.laender(), kNote, note, kNoteTitle, "nach dem Backup")));
  Opened nw(1);
  Value(CopyMissing(ni.store(), nw.store(), ni.laender()));
  // The backup comes back: first it learns, then it writes.
  Opened restored(0, Two(), 5);
  restored.Close();
  restored.disk().Load(backup);
  Ok(restored.Open());
  Value(CopyMissing(nw.store(), restored.store(), ni.laender()));
  CHECK(restored.TitleOf(note) == "nach dem Backup");
  Value(restored.store().Apply(SetText(ni.laender(), kNote, note, kNoteTitle, "danach")));
  Snapshot snapshot = Value(restored.store().Read());
  const auto journals = Value(snapshot.Journals());
  CHECK(std::count_if(journals.begin(), journals.end(),
                      [](const JournalView& journal) { return journal.own; }) == 2);
  Exchange(restored, nw);
  CHECK(nw.TitleOf(note) == "danach");
  CHECK(nw.Get(note).conflicts == 0);
}

TEST_CASE("the charter may come after the entries that it makes valid") {
  const TestConference three(3, /*seed=*/9);
  Opened ni(0, three);
  Opened he(2, three);
  Value(he.store().Apply(NewNote(three.laender(), he.NewId(), "aus BY")));
  const Batch entries = Value(testing::ReadAll(he.store(), 1 << 20))[0];
  // NW knows the charter only up to its own joining: BY's key is a stranger's.
  TestReplica nw(three, 1);
  auto store = Value(Store::Open({.path = "replica.db",
                                  .clock = &nw.clock(),
                                  .random = &nw.random(),
                                  .key = &three.member(1).key,
                                  .vfs = nw.disk().vfs()}));
  Ok(store->Adopt(three.conference()));
  Batch early;
  early.charter = {three.charter_items()[0], three.charter_items()[1]};
  Value(store->Ingest(store->Prepare(early)));
  const Ingested refused = Value(store->Ingest(store->Prepare(entries)));
  CHECK(refused.runs[0].outcome == RunOutcome::kRefused);
  // Charter and entries in one batch: the charter goes first.
  Batch both = entries;
  both.charter = {three.charter_items()[2]};
  const Ingested accepted = Value(store->Ingest(store->Prepare(both)));
  CHECK(accepted.new_charter_entries == 1);
  CHECK(accepted.runs[0].outcome == RunOutcome::kAccepted);
  CHECK(Value(testing::Describe(*store, three.laender())) ==
        Value(testing::Describe(he.store(), three.laender())));
  (void)ni;
}

// ---- reading ----

TEST_CASE("lists are filtered, paged and counted") {
  Opened replica;
  std::vector<RecordId> notes;
  for (int index = 0; index < 7; ++index) {
    notes.push_back(replica.NewId());
    Value(replica.store().Apply(
        NewNote(index < 5 ? replica.laender() : Two().member(0).own, notes.back(), "Notiz")));
  }
  Edit event{.audience = replica.laender()};
  event.records.push_back({.kind = 3,
                           .record = replica.NewId(),
                           .mode = RecordEdit::Mode::kCreate,
                           .cells = {{.cell = FieldCell(2), .value = TextValue(2, "Termin")}}});
  Value(replica.store().Apply(event));
  Snapshot snapshot = Value(replica.store().Read());
  CHECK(Value(snapshot.Count({})) == 8);
  CHECK(Value(snapshot.Count({.kind = kNote})) == 7);
  CHECK(Value(snapshot.Count({.audience = replica.laender(), .kind = kNote})) == 5);
  CHECK(Value(snapshot.Count({.audience = Two().member(1).own})) == 0);
  std::vector<RecordId> paged;
  ListFilter filter{.kind = kNote, .limit = 3};
  for (int page = 0; page < 3; ++page) {
    const auto views = Value(snapshot.List(filter));
    for (const RecordView& view : views) paged.push_back(view.record);
    if (!views.empty()) filter.after_number = views.back().number;
  }
  CHECK(paged == notes);
  CHECK(Value(snapshot.List(filter)).empty());
}

TEST_CASE("what changed since a revision comes in the order of change") {
  Opened replica;
  const RecordId first = replica.NewId();
  const RecordId second = replica.NewId();
  Value(replica.store().Apply(NewNote(replica.laender(), first, "a")));
  Value(replica.store().Apply(NewNote(replica.laender(), second, "b")));
  const std::uint64_t revision = replica.Get(second).revision;
  Value(replica.store().Apply(SetText(replica.laender(), kNote, first, kNoteTitle, "c")));
  Snapshot snapshot = Value(replica.store().Read());
  const auto changed =
      Value(snapshot.List({.audience = replica.laender(), .after_revision = revision}));
  REQUIRE(changed.size() == 1);
  CHECK(changed[0].record == first);
  const auto all = Value(snapshot.List({.audience = replica.laender(), .after_revision = 1}));
  REQUIRE(all.size() == 2);
  CHECK(all[0].record == second);
  CHECK(all[1].record == first);
}

TEST_CASE("a record is found by the beginning of its id") {
  Opened replica;
  const RecordId note = replica.NewId();
  Value(replica.store().Apply(NewNote(replica.laender(), note, "a")));
  for (int index = 0; index < 40; ++index) {
    Value(replica.store().Apply(NewNote(replica.laender(), replica.NewId(), "b")));
  }
  Snapshot snapshot = Value(replica.store().Read());
  for (const std::size_t digits : {32u, 31u, 9u}) {
    const auto found = Value(snapshot.FindByPrefix(note.Hex().substr(0, digits), {}, 10));
    REQUIRE(found.size() == 1);
    CHECK(found[0].record == note);
  }
  CHECK(Value(snapshot.FindByPrefix("", {}, 10)).size() == 10);
  CHECK(Value(snapshot.FindByPrefix(note.Hex().substr(0, 8), 3, 10)).empty());
  CHECK_FALSE(snapshot.FindByPrefix("xy", {}, 10).value_or(std::vector<RecordView>()).size());
}

TEST_CASE("a record's history names each change, by whom, from what") {
  Opened ni(0);
  Opened nw(1);
  const RecordId note = ni.NewId();
  const Applied made = Value(ni.store().Apply(NewNote(ni.laender(), note, "Titel")));
  Exchange(ni, nw);
  const Applied edited =
      Value(nw.store().Apply(SetText(ni.laender(), kNote, note, kNoteTitle, "Neu")));
  Exchange(ni, nw);
  Snapshot snapshot = Value(ni.store().Read());
  const auto history = Value(snapshot.History(ni.Get(note)));
  REQUIRE(history.size() == 2);
  CHECK(history[0].entry == made.entry);
  CHECK(history[0].member == Two().member(0).id);
  CHECK(history[0].changes.size() == 2);
  CHECK(history[1].entry == edited.entry);
  CHECK(history[1].member == Two().member(1).id);
  REQUIRE(history[1].changes.size() == 1);
  CHECK(history[1].changes[0].value == TextValue(kNoteTitle, "Neu"));
  CHECK(history[1].changes[0].before == TextValue(kNoteTitle, "Titel"));
  CHECK(history[1].changes[0].head);
  CHECK(history[1].changes[0].parents == std::vector<EntryId>{made.entry});
}

TEST_CASE("a snapshot stays what it was while the store goes on") {
  Opened replica;
  const RecordId note = replica.NewId();
  Value(replica.store().Apply(NewNote(replica.laender(), note, "vorher")));
  Snapshot before = Value(replica.store().Read());
  Value(replica.store().Apply(SetText(replica.laender(), kNote, note, kNoteTitle, "nachher")));
  Value(replica.store().Apply(NewNote(replica.laender(), replica.NewId(), "neu")));
  Snapshot after = Value(replica.store().Read());
  CHECK(Opened::TextIn(Value(before.GetRecord(note)).row, kNoteTitle) == "vorher");
  CHECK(Value(before.Count({})) == 1);
  CHECK(before.revision() < after.revision());
  CHECK(Opened::TextIn(Value(after.GetRecord(note)).row, kNoteTitle) == "nachher");
  CHECK(Value(after.Count({})) == 2);
  CHECK(Value(before.Digest(replica.laender())).root !=
        Value(after.Digest(replica.laender())).root);
}

TEST_CASE("words are found in parts of compounds, without accents and case, once indexed") {
  Opened replica;
  const RecordId note = replica.NewId();
  Value(replica.store().Apply(
      NewNote(replica.laender(), note, "Integrationsministerkonferenz", "Frau Müller-Weiß")));
  Value(replica.store().Apply(NewNote(replica.laender(), replica.NewId(), "Anderes", "nichts")));
  {
    Snapshot snapshot = Value(replica.store().Read());
    CHECK(Value(snapshot.Search("minister", {}, 10, 0)).not_yet_indexed == 2);
  }
  CHECK(Value(replica.store().IndexSearch(1)) == 1);
  CHECK(Value(replica.store().IndexSearch(100)) == 0);
  Snapshot snapshot = Value(replica.store().Read());
  for (const char* query :
       {"minister", "MINISTER", "müller", "Muller", "weiß", "minister müller", "konferenz"}) {
    INFO(query);
    const SearchResult found = Value(snapshot.Search(query, {}, 10, 0));
    REQUIRE(found.hits.size() == 1);
    CHECK(found.hits[0].record.record == note);
    CHECK(found.not_yet_indexed == 0);
  }
  CHECK(Value(snapshot.Search("minister nichts", {}, 10, 0)).hits.empty());
  CHECK(Value(snapshot.Search("minister", 3, 10, 0)).hits.empty());
  for (const char* odd : {"", "\"", "a*", "NEAR(", "' OR 1=1", "%", "ab"}) {
    INFO(odd);
    const auto found = snapshot.Search(odd, {}, 10, 0);
    CHECK((found || found.error().code == ErrorCode::kInvalid));
  }
}

TEST_CASE("a deleted record is found no more, a changed one by its new words") {
  Opened replica;
  const RecordId note = replica.NewId();
  Value(replica.store().Apply(NewNote(replica.laender(), note, "Sprachkurse")));
  Value(replica.store().IndexSearch(100));
  Value(replica.store().Apply(SetText(replica.laender(), kNote, note, kNoteTitle, "Fachkräfte")));
  Value(replica.store().IndexSearch(100));
  {
    Snapshot snapshot = Value(replica.store().Read());
    CHECK(Value(snapshot.Search("Sprachkurse", {}, 10, 0)).hits.empty());
    CHECK(Value(snapshot.Search("Fachkräfte", {}, 10, 0)).hits.size() == 1);
  }
  Value(replica.store().Apply(Delete(replica.laender(), note)));
  Value(replica.store().IndexSearch(100));
  Snapshot snapshot = Value(replica.store().Read());
  CHECK(Value(snapshot.Search("Fachkräfte", {}, 10, 0)).hits.empty());
}

TEST_CASE("vector, presence and wanted entries speak of one journal") {
  Opened replica;
  const RecordId note = replica.NewId();
  Value(replica.store().Apply(NewNote(replica.laender(), note, "a")));
  const Applied last =
      Value(replica.store().Apply(SetText(replica.laender(), kNote, note, kNoteTitle, "b")));
  Snapshot snapshot = Value(replica.store().Read());
  const VersionVector vector = Value(snapshot.Vector(replica.laender()));
  REQUIRE(vector.size() == 1);
  CHECK(vector[0].head == last.entry);
  CHECK(vector[0].seq == 2);
  CHECK(Value(snapshot.Vector(Two().member(1).own)).empty());
  CHECK(Value(snapshot.LastSeq(vector[0].journal)) == 2);
  CHECK(Value(snapshot.LastSeq(replica.random().DrawId<EntryId>())) == std::nullopt);
  CHECK(Value(snapshot.HasEntry(vector[0].journal, 2, last.entry)));
  CHECK_FALSE(Value(snapshot.HasEntry(vector[0].journal, 1, last.entry)));
  CHECK_FALSE(Value(snapshot.HasEntry(vector[0].journal, 3, last.entry)));
  bool more = true;
  const std::vector<Want> wants = {{vector[0].journal, 1}};
  const auto runs = Value(snapshot.ReadRuns(wants, 1 << 20, &more));
  CHECK_FALSE(more);
  REQUIRE(runs.size() == 1);
  REQUIRE(runs[0].entries.size() == 2);
  CHECK(runs[0].entries[0].seq == 1);
  CHECK(runs[0].entries[1].id == last.entry);
  CHECK_FALSE(runs[0].entries[1].signature.empty());
  const auto some = Value(snapshot.ReadRuns(wants, 1, &more));
  CHECK(more);
  CHECK(some.size() == 1);
  const std::vector<Want> nothing = {{vector[0].journal, 3}};
  CHECK(Value(snapshot.ReadRuns(nothing, 1 << 20, &more)).empty());
  CHECK_FALSE(more);
}

TEST_CASE("a digest is the same for the same entries, and another one after any change") {
  Opened ni(0);
  Opened nw(1);
  const Hash empty = Value(testing::DigestRoot(ni.store(), ni.laender()));
  CHECK(Value(testing::DigestRoot(nw.store(), nw.laender())) == empty);
  const RecordId note = ni.NewId();
  Value(ni.store().Apply(NewNote(ni.laender(), note, "a")));
  const Hash one = Value(testing::DigestRoot(ni.store(), ni.laender()));
  CHECK(one != empty);
  Value(ni.store().Apply(SetText(ni.laender(), kNote, note, kNoteTitle, "b")));
  CHECK(Value(testing::DigestRoot(ni.store(), ni.laender())) != one);
  // Another audience has another digest.
  CHECK(Value(testing::DigestRoot(ni.store(), Two().member(0).own)) == empty);
  Exchange(ni, nw);
}

// ---- commits, local values, upkeep ----

TEST_CASE("whoever asks is told of each commit, after it is visible") {
  Opened replica;
  std::vector<std::uint64_t> told;
  replica.store().OnCommit([&](std::uint64_t revision) {
    told.push_back(revision);
    CHECK(replica.store().revision() >= revision);
    CHECK(Value(replica.store().Read()).revision() >= revision);
  });
  const Applied applied =
      Value(replica.store().Apply(NewNote(replica.laender(), replica.NewId(), "a")));
  CHECK(told == std::vector<std::uint64_t>{applied.revision});
  (void)replica.Refused({.audience = replica.laender()});
  CHECK(told.size() == 1);
}

TEST_CASE("local values are kept, listed, compared and removed") {
  Opened replica;
  Store& store = replica.store();
  CHECK_FALSE(Value(store.GetLocal("peer/a")));
  Ok(store.PutLocal("peer/a", Bytes("1")));
  Ok(store.PutLocal("peer/b", Bytes("2")));
  Ok(store.PutLocal("pees", Bytes("3")));
  CHECK(Value(store.GetLocal("peer/a")) == Bytes("1"));
  const auto peers = Value(store.ListLocal("peer/"));
  REQUIRE(peers.size() == 2);
  CHECK(peers[0].first == "peer/a");
  CHECK(peers[1].second == "2");
  // Compare and set: what an invitation that may be used once stands on.
  const std::optional<Bytes> nothing;
  const auto refused = store.PutLocal("peer/a", Bytes("x"), std::optional(nothing));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kConflict);
  Ok(store.PutLocal("peer/a", Bytes("y"), std::optional(std::optional(Bytes("1")))));
  Ok(store.PutLocal("peer/c", Bytes("z"), std::optional(nothing)));
  CHECK_FALSE(store.PutLocal("peer/a", Bytes("x"), std::optional(std::optional(Bytes("1")))));
  Ok(store.PutLocal("peer/b", std::nullopt));
  CHECK_FALSE(Value(store.GetLocal("peer/b")));
  Ok(replica.Open());
  CHECK(Value(replica.store().GetLocal("peer/a")) == Bytes("y"));
  CHECK(Value(replica.store().GetLocal("peer/c")) == Bytes("z"));
}

TEST_CASE("a checkpoint moves the log into the file, also while somebody reads") {
  Opened replica;
  const RecordId note = replica.NewId();
  Value(replica.store().Apply(NewNote(replica.laender(), note, "a")));
  {
    Snapshot reader = Value(replica.store().Read());
    CHECK(Value(reader.Count({})) == 1);
    Ok(replica.store().Checkpoint());
    Value(replica.store().Apply(SetText(replica.laender(), kNote, note, kNoteTitle, "b")));
    Ok(replica.store().Checkpoint());
    CHECK(Opened::TextIn(Value(reader.GetRecord(note)).row, kNoteTitle) == "a");
  }
  Ok(replica.store().Checkpoint());
  CHECK(replica.TitleOf(note) == "b");
}

TEST_CASE("verify counts what it looked at, and stops when told to") {
  Opened replica;
  constexpr std::size_t kNotes = 3000;
  std::vector<Edit> edits;
  for (std::size_t index = 0; index < kNotes; ++index) {
    edits.push_back(NewNote(replica.laender(), replica.NewId(), "a"));
  }
  Value(replica.store().ApplyAll(edits));
  std::uint64_t last = 0;
  const VerifyReport report =
      Value(replica.store().Verify([&](std::uint64_t done, std::uint64_t all) {
        CHECK(done >= last);
        CHECK(done <= all);
        last = done;
        return true;
      }));
  CHECK(last > 0);
  CHECK(report.problems.empty());
  CHECK(report.entries >= kNotes);
  CHECK(report.records == kNotes);
  CHECK(report.signatures >= 1);
  const auto stopped = replica.store().Verify([](std::uint64_t, std::uint64_t) { return false; });
  REQUIRE_FALSE(stopped);
  CHECK(stopped.error().code == ErrorCode::kUnavailable);
}

TEST_CASE("verify finds a byte that changed in the file") {
  Opened replica;
  const std::string marker = "ein unverwechselbarer Satz";
  Value(replica.store().Apply(NewNote(replica.laender(), replica.NewId(), "a", marker)));
  replica.Close();  // the log goes into the file
  Bytes file = *replica.disk().ReadFile("replica.db");
  std::size_t found = 0;
  for (std::size_t at = file.find(marker); at != Bytes::npos; at = file.find(marker, at + 1)) {
    file[at] = 'E';
    ++found;
  }
  REQUIRE(found > 0);
  replica.disk().WriteFile("replica.db", file);
  Ok(replica.Open());
  const auto report = replica.store().Verify();
  if (report) {
    CHECK_FALSE(report->problems.empty());
  } else {
    CHECK(report.error().code == ErrorCode::kCorrupt);
  }
}

TEST_CASE("incidents are kept in order and read page by page") {
  Opened replica;
  Ok(replica.store().ReportIncident("digest", "eins"));
  Ok(replica.store().ReportIncident("digest", "zwei"));
  const auto first = Value(replica.store().Incidents(0, 1));
  REQUIRE(first.size() == 1);
  CHECK(first[0].text == "eins");
  CHECK(first[0].time == TimeMs{replica.clock().now_ms()});
  const auto second = Value(replica.store().Incidents(first[0].number, 10));
  REQUIRE(second.size() == 1);
  CHECK(second[0].text == "zwei");
}

TEST_CASE("the author is in the payload and never in the header") {
  Opened replica;
  Edit edit = NewNote(replica.laender(), replica.NewId(), "geheimer Titel");
  edit.author = replica.NewId();
  Value(replica.store().Apply(edit));
  for (const Batch& batch : Value(testing::ReadAll(replica.store(), 1 << 20))) {
    for (const Run& run : batch.runs) {
      for (const Entry& entry : run.entries) {
        CHECK(entry.header_bytes.find(edit.author->bytes()) == Bytes::npos);
        CHECK(entry.header_bytes.find("geheimer") == Bytes::npos);
      }
    }
  }
}

}  // namespace
}  // namespace staffel
