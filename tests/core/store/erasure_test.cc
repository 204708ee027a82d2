// SPDX-License-Identifier: EUPL-1.2
// Erasure: who may erase what, that it reaches every replica whatever came first, that nothing of
// it is left in any file, and that the rest stays what it was.
#include "core/store/erasure.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "core/base/text.h"
#include "core/base/wire.h"
#include "core/charter/build.h"
#include "core/store/charter_draft.h"
#include "core/store/store.h"
#include "tests/support/conference.h"
#include "tests/support/later_node.h"

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

constexpr std::uint32_t kMeeting = 1;  // of the kinds, one that is not personal

void Ok(const Status& status) {
  if (!status) FAIL(status.error().message);
}

template <typename T>
T Value(Result<T> result) {
  if (!result) FAIL(result.error().message);
  return std::move(*result);
}

// A replica that is open and joined. 0: NI, in the chair; 1: NW; 2: BY.
struct Opened : TestReplica {
  explicit Opened(std::size_t member = 0, std::uint64_t seed = 1)
      : TestReplica(ConferenceOf(3), member, seed) {
    Ok(Open());
  }
  AudienceId laender() const { return conference().laender(); }
  RecordId NewId() { return random().DrawId<RecordId>(); }
  EntryId Do(const Edit& edit) {
    clock().Advance(1);
    return Value(store().Apply(edit)).entry;
  }
  RecordId AddNote(std::string_view title, std::string_view text = "Text") {
    const RecordId note = NewId();
    Do(NewNote(laender(), note, title, text));
    return note;
  }
  void Set(const RecordId& note, std::uint32_t field, std::string_view text) {
    Do(SetText(laender(), kNote, note, field, text));
  }
  RecordView Get(const RecordId& record) {
    Snapshot snapshot = Value(store().Read());
    return Value(snapshot.GetRecord(record));
  }
  std::string In(const RecordId& record, std::uint32_t field) {
    const Bytes row = Get(record).row;
    WireReader reader(row);
    while (const auto found = reader.Next()) {
      if (found->number == field) return std::string(found->bytes);
    }
    return "";
  }
  std::vector<ConflictView> ConflictsOf(const RecordId& record) {
    Snapshot snapshot = Value(store().Read());
    return Value(snapshot.ConflictsOf(Value(snapshot.GetRecord(record))));
  }
  std::vector<ErasureView> Erasures() { return Value(Value(store().Read()).Erasures()); }
  ErasureCounts Counts() { return Value(Value(store().Read()).CountErasures()); }
  std::vector<EntryId> Erase(const RecordId& record, std::vector<std::uint32_t> fields = {}) {
    clock().Advance(1);
    return Value(store().Erase({{{laender(), kNote, record}}, std::move(fields)}));
  }
  Error Refused(const RecordId& record, std::vector<std::uint32_t> fields = {},
                std::uint32_t kind = kNote) {
    const std::uint64_t revision = store().revision();
    const auto erased = store().Erase({{{laender(), kind, record}}, std::move(fields)});
    REQUIRE_FALSE(erased);
    CHECK(store().revision() == revision);
    return erased.error();
  }
  void Sound() {
    const VerifyReport report = Value(store().Verify());
    INFO((report.problems.empty() ? "" : report.problems.front()));
    CHECK(report.problems.empty());
  }
  // Whether any file holds these bytes: as they are, or as the search folds them.
  std::vector<std::string> FilesWith(std::string_view mark) {
    std::vector<std::string> files;
    for (const std::string& name : disk().Files()) {
      const Bytes content = *disk().ReadFile(name);
      if (content.find(mark) != Bytes::npos || content.find(FoldForSearch(mark)) != Bytes::npos) {
        files.push_back(name);
      }
    }
    return files;
  }
};

void Copy(Opened& from, Opened& to) {
  Value(CopyMissing(from.store(), to.store(), from.laender()));
}

void SameState(Opened& a, Opened& b) {
  const AudienceId laender = a.laender();
  CHECK(Value(testing::DigestRoot(a.store(), laender)) ==
        Value(testing::DigestRoot(b.store(), laender)));
  CHECK(Value(testing::Describe(a.store(), laender)) ==
        Value(testing::Describe(b.store(), laender)));
}

void Exchange(Opened& a, Opened& b) {
  Copy(a, b);
  Copy(b, a);
  SameState(a, b);
}

Edit Delete(const AudienceId& audience, const RecordId& record) {
  return {.audience = audience,
          .records = {{.kind = kNote, .record = record, .mode = RecordEdit::Mode::kDelete}}};
}

// A charter entry on top of the one in force, approved by the first `signers` members, for all.
struct Amended {
  Batch batch;
};
template <typename Change>
Amended Amend(Opened& at, Change&& change, std::size_t signers = 3) {
  charter::Content content = at.store().authority()->content();
  change(content);
  const auto tree = at.store().charter();
  const Entry entry = Value(
      charter::MakeCharterEntry(tree->Find(tree->InForce().entry), content, at.clock().Now()));
  CharterItem item{.entry = entry, .id = entry.id};
  for (std::size_t signer = 0; signer < signers; ++signer) {
    item.signatures.push_back(charter::SignCharterEntry(
        entry.id, charter::CharterSignature::Kind::kApproval, at.conference().member(signer).key));
  }
  return {{.charter = {item}}};
}
void Take(Opened& at, const Amended& amended) {
  const Ingested taken = Value(at.store().Ingest(at.store().Prepare(amended.batch)));
  REQUIRE(taken.charter_refusals.empty());
}

// An entry that no honest node would write: in a journal of `as`, opened anew.
Run Forged(const TestConference& conference, std::size_t as, const AudienceId& audience,
           const Lane& lane, Body body, std::uint64_t seed = 77) {
  testing::SimRandom random(seed);
  const auto& key = conference.member(as).key;
  Header open;
  open.time = TimeMs{testing::kSimStartMs};
  open.body =
      OpenBody{conference.conference(), key.public_key(), audience, lane, random.DrawId<Nonce>()};
  Run run;
  run.entries.push_back(SignEntry(std::move(open), {}, key));
  Header header;
  header.journal = run.entries.front().id;
  header.seq = 1;
  header.prev = run.entries.front().id;
  header.time = TimeMs{testing::kSimStartMs + 1};
  header.body = std::move(body);
  run.entries.push_back(SignEntry(std::move(header), {}, key));
  return run;
}
RunResult Ingest(Opened& at, Run run) {
  Batch batch;
  batch.runs.push_back(std::move(run));
  return Value(at.store().Ingest(at.store().Prepare(std::move(batch)))).runs.front();
}

// ---- whole records ----

TEST_CASE("the chair erases a record: it is gone on both nodes, the history verifies") {
  Opened ni(0), nw(1);
  const RecordId person = nw.AddNote("Erika Mustermann", "Telefon 0511 4711");
  const RecordId other = nw.AddNote("bleibt");
  Exchange(nw, ni);
  ni.Set(person, kNoteText, "Telefon 0511 4712");
  Exchange(nw, ni);
  ni.Erase(person);
  CHECK(ni.Get(person).erased);
  CHECK(ni.Get(person).row.empty());
  Exchange(ni, nw);
  CHECK(nw.Get(person).erased);
  CHECK(nw.Get(person).row.empty());
  CHECK(nw.In(other, kNoteTitle) == "bleibt");
  Snapshot snapshot = Value(nw.store().Read());
  for (const HistoryItem& item : Value(snapshot.History(Value(snapshot.GetRecord(person))))) {
    CHECK(item.erased);
    CHECK(item.valid);
    for (const auto& change : item.changes) CHECK_FALSE(change.value);
  }
  ni.Sound();
  nw.Sound();
}

// core.md, Exchange: whoever takes a message up to its middle must not show what it is to erase.
TEST_CASE("erasures are read out before the chair's acts, and these before what members wrote") {
  Opened ni(0);
  const RecordId person = ni.AddNote("Erika Mustermann");
  Edit ballot{.audience = ni.laender()};
  ballot.records.push_back({.kind = 8, .record = ni.NewId(), .mode = RecordEdit::Mode::kCreate});
  ballot.records[0].cells.push_back(
      {.cell = EncodeCell({.owner = {OwnerKind::kChair, {}}, .steps = {std::uint32_t{8}}}),
       .value = TextValue(8, "J")});
  ni.Do(ballot);
  ni.Erase(person);
  Snapshot snapshot = Value(ni.store().Read());
  std::map<JournalId, int> rank;
  std::vector<Want> wants;
  for (const JournalView& journal : Value(snapshot.Journals())) {
    rank[journal.journal] = journal.lane.purpose == Purpose::kErasures ? 0
                            : journal.lane.term != 0                   ? 1
                                                                       : 2;
    wants.push_back({journal.journal, 0});
  }
  bool more = true;
  std::vector<int> order;
  for (const StoredRun& run : Value(snapshot.ReadRuns(wants, 1 << 20, &more))) {
    order.push_back(rank.at(run.journal));
  }
  CHECK(order == std::vector<int>{0, 1, 2});
}

TEST_CASE("a wholly erased record takes no writes, and says so, on every node") {
  Opened ni(0), nw(1);
  const RecordId person = nw.AddNote("Erika Mustermann");
  Exchange(nw, ni);
  ni.Erase(person);
  Exchange(ni, nw);
  for (Opened* at : {&ni, &nw}) {
    for (const Edit& edit :
         {SetText(at->laender(), kNote, person, kNoteText, "doch"), Delete(at->laender(), person),
          NewNote(at->laender(), person, "wieder da")}) {
      const auto refused = at->store().Apply(edit);
      REQUIRE_FALSE(refused);
      CHECK((refused.error().code == ErrorCode::kDenied ||
             refused.error().code == ErrorCode::kExists));
      if (refused.error().code == ErrorCode::kDenied)
        CHECK(refused.error().message.find("erased") != std::string::npos);
    }
  }
  CHECK(ni.Refused(person).code == ErrorCode::kExists);
}

TEST_CASE("an erased record takes no writes either where nothing of it ever arrived") {
  Opened ni(0), nw(1);
  const RecordId person = ni.AddNote("Erika Mustermann");
  ni.Erase(person);
  Run erasure;  // only the journal of erasures travels
  for (const Batch& batch : Value(testing::ReadAll(ni.store(), 1 << 20))) {
    for (const Run& run : batch.runs) {
      const auto* open = std::get_if<OpenBody>(&run.entries.front().header.body);
      if (open != nullptr && open->lane.purpose == Purpose::kErasures) erasure = run;
    }
  }
  REQUIRE(Ingest(nw, erasure).outcome == RunOutcome::kAccepted);
  const auto refused = nw.store().Apply(NewNote(nw.laender(), person, "neu"));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kDenied);
}

TEST_CASE("an edit of an erased record that arrives two years late is erased on arrival") {
  Opened ni(0), nw(1), by(2);
  const RecordId person = ni.AddNote("Erika Mustermann");
  Exchange(ni, nw);
  nw.Set(person, kNoteText, "SPAETEREINTRAG");  // offline from here on
  ni.Erase(person);
  ni.clock().Advance(std::uint64_t{1000} * 60 * 60 * 24 * 730);
  Exchange(ni, by);
  Copy(nw, ni);
  CHECK(ni.FilesWith("SPAETEREINTRAG").empty());
  CHECK(ni.Get(person).erased);
  Exchange(ni, nw);
  Exchange(ni, by);
  SameState(nw, by);
  for (Opened* at : {&ni, &nw, &by}) at->Sound();
  CHECK(Value(nw.store().Wipe()));
  CHECK(nw.FilesWith("SPAETEREINTRAG").empty());
  CHECK(by.FilesWith("SPAETEREINTRAG").empty());
}

TEST_CASE("a deleted record that is erased stays out of the lists") {
  Opened ni(0);
  const RecordId person = ni.AddNote("Erika Mustermann");
  ni.Do(Delete(ni.laender(), person));
  ni.Erase(person);
  Snapshot snapshot = Value(ni.store().Read());
  CHECK(Value(snapshot.List({.kind = kNote})).empty());
  CHECK(Value(snapshot.List({.kind = kNote, .with_deleted = true})).size() == 1);
  CHECK(Value(snapshot.Counts()).records == 0);
}

TEST_CASE("conflicting heads are all destroyed, and the conflict with them") {
  Opened ni(0), nw(1);
  const RecordId person = ni.AddNote("Erika Mustermann");
  Exchange(ni, nw);
  ni.Set(person, kNoteTitle, "Erika Eins");
  nw.Set(person, kNoteTitle, "Erika Zwei");
  Exchange(ni, nw);
  REQUIRE(ni.ConflictsOf(person).size() == 1);
  ni.Erase(person);
  Exchange(ni, nw);
  for (Opened* at : {&ni, &nw}) {
    CHECK(at->ConflictsOf(person).empty());
    CHECK(Value(at->store().Wipe()));
    for (const char* mark : {"Erika Eins", "Erika Zwei", "Erika Mustermann"})
      CHECK(at->FilesWith(mark).empty());
    at->Sound();
  }
}

TEST_CASE("words of an erased record are found no more, at once") {
  Opened ni(0);
  const RecordId person = ni.AddNote("Erika Mustermann");
  Value(ni.store().IndexSearch(100));
  CHECK(Value(Value(ni.store().Read()).Search("mustermann", {}, 10, 0)).hits.size() == 1);
  ni.Erase(person);
  CHECK(Value(Value(ni.store().Read()).Search("mustermann", {}, 10, 0)).hits.empty());
  Value(ni.store().IndexSearch(100));
  CHECK(Value(Value(ni.store().Read()).Search("mustermann", {}, 10, 0)).hits.empty());
}

// ---- who may ----

TEST_CASE("a member erases what it wrote itself, alone") {
  Opened nw(1), ni(0);
  const RecordId person = nw.AddNote("Erika Mustermann");
  Exchange(nw, ni);
  nw.Erase(person);
  Exchange(nw, ni);
  CHECK(ni.Get(person).erased);
  const auto erasures = ni.Erasures();
  REQUIRE(erasures.size() == 1);
  CHECK(erasures[0].member.text() == "NW");
  CHECK(erasures[0].lane.term == 0);
  CHECK(erasures[0].standing == ErasureStanding::kInEffect);
}

TEST_CASE("a member does not erase what another has written, and hears who can") {
  Opened ni(0), nw(1), by(2);
  const RecordId person = nw.AddNote("Erika Mustermann");
  Exchange(nw, ni);
  Exchange(ni, by);
  by.Set(person, kNoteText, "von BY");
  Exchange(by, nw);
  const Error refused = nw.Refused(person);
  CHECK(refused.code == ErrorCode::kDenied);
  CHECK(refused.message.find("BY") != std::string::npos);
  CHECK(refused.message.find("NI") != std::string::npos);
  // Its own field it may: there is nobody else's in it.
  nw.Erase(person, {kNoteTitle});
  CHECK(nw.In(person, kNoteText) == "von BY");
  CHECK(nw.In(person, kNoteTitle).empty());
}

TEST_CASE("what is not of a personal kind needs a quorum, also for the chair and one's own") {
  Opened ni(0), nw(1);
  for (Opened* at : {&ni, &nw}) {
    const RecordId meeting = at->NewId();
    Edit edit{.audience = at->laender()};
    edit.records.push_back({.kind = kMeeting,
                            .record = meeting,
                            .mode = RecordEdit::Mode::kCreate,
                            .cells = {{.cell = FieldCell(2), .value = TextValue(2, "Sitzung")}}});
    at->Do(edit);
    const Error refused = at->Refused(meeting, {}, kMeeting);
    CHECK(refused.code == ErrorCode::kDenied);
    CHECK(refused.message.find("quorum") != std::string::npos);
    const auto plans = Value(at->store().PlanErasure({{{at->laender(), kMeeting, meeting}}, {}}));
    REQUIRE(plans.size() == 1);
    CHECK(plans[0].quorum_may);
    CHECK(plans[0].quorum_records.size() == 1);
  }
  CHECK(ni.Refused(ni.NewId()).code == ErrorCode::kNotFound);
}

TEST_CASE("forged erasures are kept, passed on, and without effect, everywhere alike") {
  Opened ni(0), nw(1), by(2);
  const RecordId note = ni.AddNote("von NI");
  const EntryId first = Value(Value(ni.store().Read()).History(ni.Get(note))).front().entry;
  const RecordId meeting = ni.NewId();
  Edit edit{.audience = ni.laender()};
  edit.records.push_back({.kind = kMeeting,
                          .record = meeting,
                          .mode = RecordEdit::Mode::kCreate,
                          .cells = {{.cell = FieldCell(2), .value = TextValue(2, "Sitzung")}}});
  ni.Do(edit);
  // BY erases NI's note by record and by payload; the chair a meeting; BY as the chair; anyone in
  // a journal of acts.
  std::vector<Run> runs;
  runs.push_back(Forged(ni.conference(), 2, ni.laender(), {0, Purpose::kErasures},
                        ErasureBody{{{first, 0}}, {{kNote, note}}, {}, {}}, 1));
  runs.push_back(Forged(ni.conference(), 0, ni.laender(), {1, Purpose::kErasures},
                        ErasureBody{{}, {{kMeeting, meeting}}, {}, {}}, 2));
  runs.push_back(Forged(ni.conference(), 2, ni.laender(), {1, Purpose::kErasures},
                        ErasureBody{{}, {{kNote, note}}, {}, {}}, 3));
  runs.push_back(Forged(ni.conference(), 0, ni.laender(), {1, Purpose::kActs},
                        ErasureBody{{}, {{kNote, note}}, {}, {}}, 4));
  for (const Run& run : runs) CHECK(Ingest(ni, run).outcome == RunOutcome::kAccepted);
  for (const Run& run : runs) CHECK(Ingest(by, run).outcome == RunOutcome::kAccepted);
  Exchange(ni, by);
  Exchange(ni, nw);
  for (Opened* at : {&ni, &nw, &by}) {
    CHECK(at->In(note, kNoteTitle) == "von NI");
    CHECK(at->In(meeting, 2) == "Sitzung");
    at->Sound();
    for (const ErasureView& view : at->Erasures()) {
      // By record and payload of another: nothing of it is the writer's.
      if (view.member.text() == "BY" && view.lane.term == 0) continue;
      CHECK(view.standing == ErasureStanding::kWithoutEffect);
      CHECK_FALSE(view.why.empty());
    }
  }
}

TEST_CASE("a cell that is another member's own is never erased by the chair alone") {
  Opened ni(0), nw(1);
  const RecordId note = nw.NewId();
  CellAddress own;
  own.owner = {OwnerKind::kMember, *MemberId::From("NW")};
  own.steps = {std::uint32_t{77}};
  Edit edit{.audience = nw.laender()};
  edit.records.push_back({.kind = kNote,
                          .record = note,
                          .mode = RecordEdit::Mode::kCreate,
                          .cells = {{.cell = EncodeCell(own), .value = TextValue(77, "eigen")}}});
  nw.Do(edit);
  Exchange(nw, ni);
  const Error refused = ni.Refused(note);
  CHECK(refused.code == ErrorCode::kDenied);
  CHECK(refused.message.find("NW") != std::string::npos);
  // Also where the chair's erasure comes all the same.
  REQUIRE(Ingest(ni, Forged(ni.conference(), 0, ni.laender(), {1, Purpose::kErasures},
                            ErasureBody{{}, {{kNote, note}}, {}, {}}))
              .outcome == RunOutcome::kAccepted);
  CHECK_FALSE(ni.Get(note).erased);
  nw.Erase(note);  // its own
  CHECK(nw.Get(note).erased);
}

// ---- fields ----

TEST_CASE("a field is erased: what stood beside it in the payloads is written anew before") {
  Opened ni(0), nw(1);
  const RecordId note = ni.AddNote("GEHEIMERTITEL", "der Text bleibt");
  Exchange(ni, nw);
  ni.Erase(note, {kNoteTitle});
  Exchange(ni, nw);
  for (Opened* at : {&ni, &nw}) {
    CHECK(at->In(note, kNoteTitle).empty());
    CHECK(at->In(note, kNoteText) == "der Text bleibt");
    CHECK_FALSE(at->Get(note).erased);
    CHECK(at->ConflictsOf(note).empty());
    CHECK(Value(at->store().Wipe()));
    CHECK(at->FilesWith("GEHEIMERTITEL").empty());
    at->Sound();
  }
  // A field that was erased may be written again.
  ni.Set(note, kNoteTitle, "neuer Titel");
  CHECK(ni.In(note, kNoteTitle) == "neuer Titel");
  CHECK(ni.Refused(note, {kNoteTitle + 50}).code == ErrorCode::kExists);
}

TEST_CASE("erasing a field of a deleted record leaves it deleted") {
  Opened ni(0), nw(1);
  const RecordId note = ni.AddNote("GEHEIMERTITEL", "Text");
  ni.Do(Delete(ni.laender(), note));
  ni.Erase(note, {kNoteTitle});
  Exchange(ni, nw);
  for (Opened* at : {&ni, &nw}) {
    CHECK(at->Get(note).deleted);
    CHECK(at->ConflictsOf(note).empty());
    at->Sound();
  }
}

TEST_CASE("erasing a payload that holds the deletion leaves the record deleted") {
  Opened ni(0);
  const RecordId note = ni.AddNote("eins", "Text");
  // A deletion beside a title in one entry, as an earlier erasure would write it.
  const auto heads = Value(Value(ni.store().Read()).History(ni.Get(note)));
  Bytes deleted;
  AppendVarintField(deleted, kDeletedField, 1);
  Edit edit{.audience = ni.laender()};
  edit.records.push_back(
      {.kind = kNote,
       .record = note,
       .cells = {{FieldCell(kNoteTitle), TextValue(kNoteTitle, "GEHEIMERTITEL"), {}},
                 {DeletedCell(), deleted, std::vector<EntryId>{heads.front().entry}}}});
  ni.Do(edit);
  REQUIRE(ni.Get(note).deleted);
  ni.Erase(note, {kNoteTitle});
  CHECK(ni.Get(note).deleted);
  CHECK(ni.ConflictsOf(note).empty());
  CHECK(Value(ni.store().Wipe()));
  CHECK(ni.FilesWith("GEHEIMERTITEL").empty());
  ni.Sound();
}

TEST_CASE("erasing a field decides no conflict of another one") {
  Opened ni(0), nw(1);
  const RecordId note = ni.AddNote("Titel", "Text");
  Exchange(ni, nw);
  Edit both{.audience = ni.laender()};
  both.records.push_back(
      {.kind = kNote,
       .record = note,
       .cells = {{FieldCell(kNoteTitle), TextValue(kNoteTitle, "GEHEIM eins"), {}},
                 {FieldCell(kNoteText), TextValue(kNoteText, "Text von NI"), {}}}});
  ni.Do(both);
  nw.Set(note, kNoteText, "Text von NW");
  Exchange(ni, nw);
  REQUIRE(ni.ConflictsOf(note).size() == 1);
  ni.Erase(note, {kNoteTitle});
  Exchange(ni, nw);
  const auto conflicts = nw.ConflictsOf(note);
  REQUIRE(conflicts.size() == 1);
  std::set<Bytes> values;
  for (const auto& head : conflicts[0].conflict.heads) values.insert(head.value.value_or(""));
  CHECK(values ==
        std::set<Bytes>{TextValue(kNoteText, "Text von NI"), TextValue(kNoteText, "Text von NW")});
  nw.Sound();
}

TEST_CASE("deleted beside edited stays a conflict when a field of either is erased") {
  Opened ni(0), nw(1);
  const RecordId note = ni.AddNote("GEHEIM", "Text");
  Exchange(ni, nw);
  ni.Do(Delete(ni.laender(), note));
  nw.Set(note, kNoteText, "noch geändert");
  Exchange(ni, nw);
  REQUIRE(ni.ConflictsOf(note).size() == 1);
  ni.Erase(note, {kNoteTitle});
  Exchange(ni, nw);
  for (Opened* at : {&ni, &nw}) {
    CHECK_FALSE(at->Get(note).deleted);
    REQUIRE(at->ConflictsOf(note).size() == 1);
    CHECK(at->ConflictsOf(note)[0].conflict.cell == FieldCell(kNoteText));
    CHECK(at->In(note, kNoteText) == "noch geändert");
  }
}

// ---- order, repeats ----

TEST_CASE("the law: the same entries give the same state and digest, erasures whenever they come") {
  Opened ni(0), nw(1), by(2);
  std::vector<RecordId> notes;
  testing::SimRandom random(5);
  for (int step = 0; step < 90; ++step) {
    Opened& at = *std::vector<Opened*>{&ni, &nw, &by}[random.Below(3)];
    const RecordId note = notes.empty() ? RecordId() : notes[random.Below(notes.size())];
    const std::uint64_t what = random.Below(10);
    if (notes.size() < 4 || what == 0) {
      notes.push_back(at.AddNote(fmt::format("Notiz {}", step), "Text"));
    } else if (what < 7) {
      // Refused where it is erased, deleted or not here yet.
      (void)at.store().Apply(SetText(at.laender(), kNote, note,
                                     random.Chance(50) ? kNoteTitle : kNoteText,
                                     fmt::format("Text {}", step)));
    } else if (what == 7) {
      (void)at.store().Apply(Delete(at.laender(), note));
    } else {
      std::vector<std::uint32_t> fields;
      if (random.Chance(60)) fields = {random.Chance(50) ? kNoteTitle : kNoteText};
      (void)at.store().Erase({{{at.laender(), kNote, note}}, fields});
    }
    at.clock().Advance(1 + random.Below(3));
    if (random.Chance(30)) Copy(at, *std::vector<Opened*>{&ni, &nw, &by}[random.Below(3)]);
  }
  for (int round = 0; round < 2; ++round) {
    for (Opened* from : {&ni, &nw, &by}) {
      for (Opened* to : {&ni, &nw, &by}) {
        if (from != to) Copy(*from, *to);
      }
    }
  }
  SameState(ni, nw);
  SameState(ni, by);
  REQUIRE(ni.Erasures().size() > 5);
  // Whole entries with their payloads as they were before any erasure do not exist any more; but
  // the orders in which what is left can arrive do.
  std::map<JournalId, std::vector<Entry>> journals;
  for (const Batch& batch : Value(testing::ReadAll(ni.store(), 1 << 20))) {
    for (const Run& run : batch.runs) {
      const Entry& first = run.entries.front();
      const JournalId id = first.header.seq == 0 ? first.id : first.header.journal;
      auto& entries = journals[id];
      entries.insert(entries.end(), run.entries.begin(), run.entries.end());
    }
  }
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    testing::SimRandom order(seed);
    Opened fresh(seed % 3, 100 + seed);
    std::map<JournalId, std::size_t> done;
    for (int tries = 0; tries < 20000; ++tries) {
      auto at =
          std::next(journals.begin(), static_cast<std::ptrdiff_t>(order.Below(journals.size())));
      std::size_t& from = done[at->first];
      if (from == at->second.size()) {
        if (std::all_of(journals.begin(), journals.end(),
                        [&](const auto& one) { return done[one.first] == one.second.size(); }))
          break;
        continue;
      }
      Run run;
      const std::size_t to = std::min<std::size_t>(at->second.size(), from + 1 + order.Below(4));
      run.entries.assign(at->second.begin() + static_cast<std::ptrdiff_t>(from),
                         at->second.begin() + static_cast<std::ptrdiff_t>(to));
      // Refused while the erasure that explains an absent payload is not here: comes again.
      if (Ingest(fresh, run).outcome == RunOutcome::kAccepted) from = to;
    }
    SameState(fresh, ni);
    fresh.Sound();
  }
}

TEST_CASE("full payloads beside, before and after their erasure end in the same state") {
  Opened nw(1);
  const RecordId note = nw.AddNote("GEHEIM", "Text");
  nw.Set(note, kNoteText, "Text zwei");
  const auto data = Value(testing::ReadAll(nw.store(), 1 << 20));
  nw.Erase(note, {kNoteTitle});
  nw.Erase(note);
  std::vector<Run> runs;
  for (const Batch& batch : data) runs.insert(runs.end(), batch.runs.begin(), batch.runs.end());
  std::vector<Run> erasing;
  std::vector<Run> clean;
  for (const Batch& batch : Value(testing::ReadAll(nw.store(), 1 << 20))) {
    for (const Run& run : batch.runs) {
      const auto* open = std::get_if<OpenBody>(&run.entries.front().header.body);
      (open != nullptr && open->lane.purpose == Purpose::kErasures ? erasing : clean)
          .push_back(run);
    }
  }
  REQUIRE(erasing.size() == 1);
  Opened before(0, 11), after(2, 12), between(0, 13);
  const auto all = [](Opened& at, const std::vector<Run>& some) {
    for (const Run& run : some) Ingest(at, run);
  };
  all(before, erasing), all(before, runs), all(before, clean);
  all(after, runs), all(after, erasing), all(after, clean);
  Run half = runs.front();
  half.entries.resize(2);
  Ingest(between, half);
  all(between, erasing), all(between, runs), all(between, clean);
  for (Opened* at : {&before, &after, &between}) {
    SameState(*at, nw);
    at->Sound();
    CHECK(Value(at->store().Wipe()));
    CHECK(at->FilesWith("GEHEIM").empty());
  }
}

TEST_CASE("repeats of one op are erased with it, whichever came first") {
  Opened nw(1), lost(1, 9), ni(0);
  const OpId op = nw.random().DrawId<OpId>();
  const RecordId note = nw.NewId();
  Edit edit = NewNote(nw.laender(), note, "DOPPELT", "Text");
  edit.op = op;
  const EntryId first = nw.Do(edit);
  lost.clock().Advance(500);
  const EntryId second = lost.Do(edit);  // restored, and asked again
  REQUIRE(first != second);
  nw.Erase(note, {kNoteTitle});  // names the first alone
  SECTION("the erasure first") {
    Copy(nw, ni);
    Copy(lost, ni);
  }
  SECTION("the repeat first") {
    Copy(lost, ni);
    Copy(nw, ni);
  }
  SECTION("the repeat, the erasure without what it names, then that") {
    Copy(lost, ni);
    std::vector<Run> data;
    for (const Batch& batch : Value(testing::ReadAll(nw.store(), 1 << 20))) {
      for (const Run& run : batch.runs) {
        const auto* open = std::get_if<OpenBody>(&run.entries.front().header.body);
        if (open != nullptr && open->lane.purpose == Purpose::kErasures) {
          Ingest(ni, run);
        } else {
          data.push_back(run);
        }
      }
    }
    for (const Run& run : data) CHECK(Ingest(ni, run).outcome == RunOutcome::kAccepted);
  }
  CHECK(ni.In(note, kNoteTitle).empty());
  CHECK(Value(ni.store().Wipe()));
  CHECK(ni.FilesWith("DOPPELT").empty());
  ni.Sound();
  Copy(ni, lost);
  CHECK(lost.In(note, kNoteTitle).empty());
  SameState(ni, lost);
}

// ---- absent payloads ----

TEST_CASE("trace 13: erasing a record reaches what entries of a newer format hold of it") {
  const bool erased_before = GENERATE(false, true);
  Opened ni(0), by(2);
  testing::LaterNode later(ni.conference(), {});
  const RecordId person = ni.NewId();
  const auto title = [](std::string_view text) {
    return std::vector<std::pair<Cell, Bytes>>{
        {FieldCell(kNoteTitle), TextValue(kNoteTitle, text)}};
  };
  const EntryId first = later.Write(person, kNote, title("Erika Mustermann"), {}, {});
  Ok(later.SendTo(ni.store()));
  later.Write(person, kNote, title("Erika Neuesformat"), {first}, testing::Newer::kFormat);
  const RecordId other = ni.NewId();
  later.Write(other, kNote, title("bleibt Neuesformat"), {}, testing::Newer::kFormat);
  if (erased_before) ni.Erase(person);
  Ok(later.SendTo(ni.store()));
  if (!erased_before) ni.Erase(person);
  CHECK(Value(ni.store().Wipe()));
  CHECK(ni.FilesWith("Erika").empty());
  CHECK_FALSE(ni.FilesWith("bleibt Neuesformat").empty());
  ni.Sound();
  // It travels without these bytes.
  Copy(ni, by);
  CHECK(by.FilesWith("Erika").empty());
  CHECK(Value(Value(by.store().Read()).Counts()).opaque_entries == 2);
  by.Sound();
}

TEST_CASE("an absent payload is refused while no erasure names it") {
  Opened ni(0), nw(1);
  const RecordId note = nw.AddNote("Titel");
  auto batches = Value(testing::ReadAll(nw.store(), 1 << 20));
  REQUIRE(batches.size() == 1);
  Run run = batches[0].runs.at(0);
  run.entries.back().payloads[0].reset();
  const RunResult refused = Ingest(ni, run);
  CHECK(refused.outcome == RunOutcome::kRefused);
  REQUIRE(refused.reason);
  CHECK(refused.reason->message.find("absent") != std::string::npos);
  CHECK(Ingest(ni, batches[0].runs[0]).outcome == RunOutcome::kAccepted);
  CHECK(ni.In(note, kNoteTitle) == "Titel");
}

TEST_CASE("a payload withheld under an erasure without effect is missing, and comes back") {
  Opened ni(0), nw(1);
  const RecordId note = nw.AddNote("Titel");
  // BY names it, which has no effect; whoever withholds it now is not refused, and gains nothing.
  Ingest(ni, Forged(ni.conference(), 2, ni.laender(), {0, Purpose::kErasures},
                    ErasureBody{{}, {{kNote, note}}, {}, {}}));
  Run run = Value(testing::ReadAll(nw.store(), 1 << 20)).at(0).runs.at(0);
  Run without = run;
  without.entries.back().payloads[0].reset();
  CHECK(Ingest(ni, without).outcome == RunOutcome::kAccepted);
  CHECK(ni.Counts().missing_payloads == 1);
  ni.Sound();
  Snapshot snapshot = Value(ni.store().Read());
  const auto missing = Value(snapshot.MissingPayloads(ni.laender()));
  REQUIRE(missing.size() == 1);
  CHECK(Value(snapshot.MissingPayloads(ni.self().own)).empty());
  Snapshot there = Value(nw.store().Read());
  CHECK_FALSE(Value(there.Payload(nw.self().own, missing[0])));
  const auto bytes = Value(there.Payload(nw.laender(), missing[0]));
  REQUIRE(bytes);
  CHECK(Value(ni.store().TakePayloads({{missing[0], *bytes + "x"}})) == 0);
  CHECK(Value(ni.store().TakePayloads({{missing[0], *bytes}})) == 1);
  CHECK(Value(ni.store().TakePayloads({{missing[0], *bytes}})) == 0);
  CHECK(ni.In(note, kNoteTitle) == "Titel");
  CHECK(ni.Counts().missing_payloads == 0);
  ni.Sound();
}

TEST_CASE("an erased payload that is sent again is not taken") {
  Opened ni(0);
  const RecordId note = ni.AddNote("Titel");
  Snapshot snapshot = Value(ni.store().Read());
  const auto item = Value(snapshot.History(Value(snapshot.GetRecord(note)))).front();
  const PayloadAt at{item.journal, item.seq, item.entry, 0};
  const Bytes bytes = *Value(snapshot.Payload(ni.laender(), at));
  ni.Erase(note);
  CHECK(Value(ni.store().TakePayloads({{at, bytes}})) == 0);
  CHECK(ni.Get(note).erased);
}

// ---- the charter: quorum, cuts ----

TEST_CASE("a quorum's charter entry erases what nobody may alone, wherever it comes from") {
  Opened ni(0), nw(1), by(2);
  const RecordId meeting = nw.NewId();
  Edit edit{.audience = nw.laender()};
  edit.records.push_back({.kind = kMeeting,
                          .record = meeting,
                          .mode = RecordEdit::Mode::kCreate,
                          .cells = {{.cell = FieldCell(2), .value = TextValue(2, "NAMEDRIN")}}});
  nw.Do(edit);
  Exchange(nw, ni);
  const auto naming = [&](charter::Content& content) {
    content.erased_records.push_back({nw.laender(), kMeeting, meeting});
  };
  // Proposed, with one approval: nothing happens.
  Take(ni, Amend(ni, naming, 1));
  CHECK(ni.In(meeting, 2) == "NAMEDRIN");
  const Amended approved = Amend(ni, naming, 3);
  Take(ni, approved);
  CHECK(ni.Get(meeting).erased);
  ni.Sound();
  // The others hear of it before and after the data.
  Take(by, approved);
  Copy(nw, by);
  CHECK(by.Get(meeting).erased);
  CHECK(by.FilesWith("NAMEDRIN").empty());
  Take(nw, approved);
  CHECK(nw.Get(meeting).erased);
  Exchange(ni, nw);
  SameState(ni, by);
  REQUIRE(ni.Erasures().size() == 1);
  CHECK(ni.Erasures()[0].by_charter);
  CHECK(Value(nw.store().Wipe()));
  CHECK(nw.FilesWith("NAMEDRIN").empty());
}

TEST_CASE("a quorum's entry names single payloads, the clean values written before") {
  Opened ni(0), nw(1);
  const RecordId meeting = nw.NewId();
  Edit edit{.audience = nw.laender()};
  edit.records.push_back({.kind = kMeeting,
                          .record = meeting,
                          .mode = RecordEdit::Mode::kCreate,
                          .cells = {{FieldCell(2), TextValue(2, "NAMEDRIN"), {}},
                                    {FieldCell(99), TextValue(99, "bleibt"), {}}}});
  nw.Do(edit);
  const ErasureRequest request{{{nw.laender(), kMeeting, meeting}}, {2}};
  const auto plans = Value(nw.store().PlanErasure(request));
  REQUIRE(plans[0].quorum_payloads.size() == 1);
  Ok(nw.store().WriteCleanValues(request));
  Take(nw, Amend(nw, [&](charter::Content& content) {
         content.erased_payloads = plans[0].quorum_payloads;
       }));
  CHECK(nw.In(meeting, 2).empty());
  CHECK(nw.In(meeting, 99) == "bleibt");
  CHECK(Value(nw.store().Wipe()));
  CHECK(nw.FilesWith("NAMEDRIN").empty());
  nw.Sound();
}

// NW's journal of erasures cut before what it erases: at its opening.
Amended CutErasures(Opened& at, Opened& of) {
  JournalId journal;
  for (const JournalView& view : Value(Value(of.store().Read()).Journals())) {
    if (view.own && view.lane.purpose == Purpose::kErasures) journal = view.journal;
  }
  REQUIRE_FALSE(journal.is_zero());
  return Amend(at, [&](charter::Content& content) {
    charter::Cut cut;
    cut.journal = journal;
    cut.audience = of.laender();
    cut.key = of.self().key.public_key();
    cut.heads = {{0, journal}};
    content.cuts.push_back(cut);
  });
}

TEST_CASE("an erasure beyond a cut hides what it named, until the chair repeats or drops it") {
  Opened ni(0), nw(1), by(2);
  const RecordId note = nw.AddNote("Titel", "Text");
  Exchange(nw, ni);
  Exchange(ni, by);
  nw.Erase(note);
  const Amended cut = CutErasures(ni, nw);
  // NI hears of the erasure, then of the cut; BY the other way round.
  Exchange(nw, ni);
  CHECK(ni.Get(note).erased);
  Take(ni, cut);
  Take(by, cut);
  Copy(nw, by);
  Take(nw, cut);
  for (Opened* at : {&ni, &by}) {
    CHECK(at->In(note, kNoteTitle).empty());
    CHECK(at->Counts().undecided == 1);
    REQUIRE(at->Erasures().size() == 1);
    CHECK(at->Erasures()[0].standing == ErasureStanding::kUndecided);
    at->Sound();
  }
  SameState(ni, by);
  const EntryId erasure = ni.Erasures()[0].entry;
  CHECK(by.store().DecideErasure(erasure, true).error().code == ErrorCode::kDenied);
  CHECK(ni.store().DecideErasure(EntryId(), true).error().code == ErrorCode::kNotFound);
  SECTION("repeated: destroyed for good") {
    Value(ni.store().DecideErasure(erasure, /*repeat=*/true));
    Exchange(ni, by);
    Exchange(ni, nw);
    for (Opened* at : {&ni, &nw, &by}) {
      CHECK(at->Get(note).erased);
      CHECK(at->Counts().undecided == 0);
      CHECK(at->Counts().missing_payloads == 0);
      CHECK(Value(at->store().Wipe()));
      CHECK(at->FilesWith("Titel").empty());
      at->Sound();
    }
  }
  SECTION(
      "dropped: shown again where it was kept, missing where it was destroyed, and comes back") {
    Value(ni.store().DecideErasure(erasure, /*repeat=*/false));
    CHECK(ni.store().DecideErasure(erasure, false).error().code == ErrorCode::kConflict);
    Copy(ni, by);
    CHECK(by.In(note, kNoteTitle) == "Titel");
    CHECK(by.Counts().missing_payloads == 0);
    CHECK(ni.Counts().missing_payloads == 1);
    Snapshot snapshot = Value(ni.store().Read());
    const auto missing = Value(snapshot.MissingPayloads(ni.laender()));
    REQUIRE(missing.size() == 1);
    const auto bytes = Value(Value(by.store().Read()).Payload(by.laender(), missing[0]));
    REQUIRE(bytes);
    CHECK(Value(ni.store().TakePayloads({{missing[0], *bytes}})) == 1);
    SameState(ni, by);
    CHECK(ni.In(note, kNoteTitle) == "Titel");
    for (Opened* at : {&ni, &by}) at->Sound();
  }
}

TEST_CASE("an ex-chair's erasures beyond its cut do not take effect for ever") {
  Opened ni(0), nw(1);
  const RecordId note = nw.AddNote("Titel", "Text");
  Exchange(nw, ni);
  // NW takes the chair; NI's chair lanes are cut, of which there is none yet.
  const Amended next = Amend(ni, [&](charter::Content& content) {
    content = Value(charter::WithNextTerm(content, nw.self().id, nw.self().key.public_key(),
                                          nw.clock().Now(), {}));
  });
  Take(ni, next);
  Take(nw, next);
  Ingest(nw, Forged(ni.conference(), 0, ni.laender(), {1, Purpose::kErasures},
                    ErasureBody{{}, {{kNote, note}}, {}, {}}));
  CHECK(nw.Counts().undecided == 1);
  const EntryId erasure = nw.Erasures()[0].entry;
  Value(nw.store().DecideErasure(erasure, /*repeat=*/false));
  CHECK(nw.In(note, kNoteTitle) == "Titel");
  CHECK(nw.Counts().undecided == 0);
  nw.Sound();
}

TEST_CASE(
    "a chair that has signed a handover erases as the member that it is, and decides nothing") {
  Opened ni(0), nw(1);
  const RecordId own = ni.AddNote("Titel", "Text");
  const RecordId others = nw.AddNote("Von NW", "Text");
  const RecordId hidden = nw.AddNote("Verborgen", "Text");
  nw.Erase(hidden);
  const Amended cut = CutErasures(ni, nw);
  Exchange(nw, ni);
  Take(ni, cut);
  const auto erasures = ni.Erasures();
  REQUIRE(ni.Counts().undecided == 1);
  Value(ni.store().Propose([&](CharterDraft& draft) {
    return charter::WithNextTerm(draft.authority().content(), nw.self().id,
                                 nw.self().key.public_key(), ni.clock().Now(), {});
  }));
  const auto plans = Value(ni.store().PlanErasure(
      {.targets = {{ni.laender(), kNote, own}, {ni.laender(), kNote, others}}}));
  CHECK_FALSE(plans[0].as_chair);
  CHECK_FALSE(plans[0].refusal);
  REQUIRE(plans[1].refusal);
  CHECK(plans[1].refusal->code == ErrorCode::kDenied);
  CHECK(ni.store().DecideErasure(erasures[0].entry, /*repeat=*/true).error().code ==
        ErrorCode::kUnavailable);
}

// ---- what replicas say of it ----

TEST_CASE("each replica says when it has carried an erasure out, and only once") {
  Opened ni(0), nw(1), by(2);
  const RecordId note = ni.AddNote("Titel");
  Exchange(ni, nw);
  ni.Erase(note);
  CHECK(ni.Counts().wipe_pending);
  CHECK(Value(ni.store().Wipe()));
  CHECK_FALSE(ni.Counts().wipe_pending);
  Exchange(ni, nw);
  nw.clock().Advance(5000);
  CHECK(Value(nw.store().Wipe()));
  Exchange(nw, ni);
  const auto erasures = ni.Erasures();
  REQUIRE(erasures.size() == 1);
  REQUIRE(erasures[0].replicas.size() == 3);
  std::map<std::string, std::optional<TimeMs>> said;
  for (const auto& replica : erasures[0].replicas)
    said[std::string(replica.member.text())] = replica.carried_out;
  CHECK(said["NI"]);
  REQUIRE(said["NW"]);
  CHECK(*said["NW"] >= TimeMs{testing::kSimStartMs + 5000});
  CHECK_FALSE(said["BY"]);
  // Nothing to say, nothing is written: no two nodes keep each other awake.
  const std::uint64_t revision = ni.store().revision();
  CHECK(Value(ni.store().Wipe()));
  CHECK(ni.store().revision() == revision);
  Exchange(ni, by);
  CHECK(Value(by.store().Wipe()));  // nothing was here to destroy: it says so all the same
  Exchange(by, ni);
  const auto after = ni.Erasures();
  for (const auto& replica : after[0].replicas) CHECK(replica.carried_out);
  // A further erasure is a further word.
  const RecordId other = ni.AddNote("Titel");
  ni.Erase(other);
  CHECK_FALSE(ni.Erasures().back().replicas[1].carried_out);
  CHECK(Value(ni.store().Wipe()));
  CHECK(ni.Erasures().back().replicas[1].carried_out);
}

TEST_CASE("what a quorum's charter entry erased is said to be carried out, too") {
  Opened ni(0);
  const RecordId meeting = ni.NewId();
  Edit edit{.audience = ni.laender()};
  edit.records.push_back({.kind = kMeeting,
                          .record = meeting,
                          .mode = RecordEdit::Mode::kCreate,
                          .cells = {{FieldCell(2), TextValue(2, "NAMEDRIN"), {}}}});
  ni.Do(edit);
  Take(ni, Amend(ni, [&](charter::Content& content) {
         content.erased_records.push_back({ni.laender(), kMeeting, meeting});
       }));
  CHECK(Value(ni.store().Wipe()));
  const auto replicas = ni.Erasures().at(0).replicas;
  CHECK(std::any_of(replicas.begin(), replicas.end(), [](const auto& replica) {
    return replica.member.text() == "NI" && replica.carried_out;
  }));
  const std::uint64_t revision = ni.store().revision();
  CHECK(Value(ni.store().Wipe()));
  CHECK(ni.store().revision() == revision);
}

// ---- files ----

TEST_CASE("no file holds a byte of what was erased, without closing the store") {
  Opened ni(0), nw(1);
  testing::SimRandom random(3);
  std::vector<RecordId> people;
  std::vector<std::string> marks;
  for (int index = 0; index < 40; ++index) {
    marks.push_back(fmt::format("QXZWJ{}Ungewöhnlich", index));
    people.push_back(ni.AddNote(marks.back(), std::string(random.Below(3000), 'x') + marks.back()));
  }
  for (int step = 0; step < 150; ++step) {
    const std::size_t at = random.Below(people.size());
    ni.Set(people[at], kNoteText, std::string(random.Below(4000), 'y') + marks[at]);
    if (step % 20 == 0) {
      Value(ni.store().IndexSearch(1000));
      Ok(ni.store().Checkpoint());
    }
  }
  Copy(ni, nw);
  Value(nw.store().IndexSearch(1000));
  REQUIRE_FALSE(ni.FilesWith(marks[7]).empty());
  for (std::size_t index = 0; index < people.size(); index += 2) ni.Erase(people[index]);
  Copy(ni, nw);
  for (Opened* at : {&ni, &nw}) {
    CHECK(Value(at->store().Wipe()));
    for (std::size_t index = 0; index < people.size(); ++index) {
      CHECK(at->FilesWith(marks[index]).empty() == (index % 2 == 0));
    }
    at->Sound();
    Value(at->store().IndexSearch(1000));
    CHECK(Value(Value(at->store().Read()).Search("qxzwj7", {}, 10, 0)).hits.size() == 1);
    CHECK(Value(Value(at->store().Read()).Search("qxzwj8", {}, 10, 0)).hits.empty());
  }
}

TEST_CASE("a reader that holds the old pages keeps the wipe pending, and no longer") {
  Opened ni(0);
  const RecordId note = ni.AddNote("GEHEIM");
  {
    Snapshot reading = Value(ni.store().Read());
    CHECK(Value(reading.GetRecord(note)).record == note);
    ni.Erase(note);
    CHECK_FALSE(Value(ni.store().Wipe()));
    CHECK(ni.Counts().wipe_pending);
    CHECK_FALSE(Value(ni.store().Wipe()));
  }
  CHECK(Value(ni.store().Wipe()));
  CHECK_FALSE(ni.Counts().wipe_pending);
  CHECK(ni.FilesWith("GEHEIM").empty());
}

TEST_CASE("a node set back to a backup of before erases again when it hears of it") {
  Opened ni(0), nw(1);
  const RecordId note = ni.AddNote("GEHEIM");
  Exchange(ni, nw);
  nw.Close();
  const auto backup = nw.disk().Save();
  Ok(nw.Open());
  ni.Erase(note);
  Exchange(ni, nw);
  nw.Close();
  nw.disk().Load(backup);
  Ok(nw.Open());
  REQUIRE_FALSE(nw.FilesWith("GEHEIM").empty());
  Copy(ni, nw);
  CHECK(nw.Get(note).erased);
  CHECK(Value(nw.store().Wipe()));
  CHECK(nw.FilesWith("GEHEIM").empty());
  nw.Sound();
}

TEST_CASE("a store opened again remembers what was erased") {
  Opened ni(0), nw(1);
  const RecordId note = ni.AddNote("Titel");
  Exchange(ni, nw);
  nw.Set(note, kNoteText, "spät");
  ni.Erase(note);
  Ok(ni.Open());
  CHECK(ni.Get(note).erased);
  Copy(nw, ni);
  CHECK(ni.Get(note).erased);
  CHECK(ni.store().Apply(SetText(ni.laender(), kNote, note, kNoteText, "doch")).error().code ==
        ErrorCode::kDenied);
  ni.Sound();
}

}  // namespace
}  // namespace staffel
