// SPDX-License-Identifier: EUPL-1.2
// What a guest's node ever gets: looked for in the bytes, received and stored.
#include "sync/audiences.h"

#include <set>

#include <catch2/catch.hpp>

#include "core/record/audience_profile.h"
#include "core/record/json.h"
#include "core/record/release.h"
#include "tests/support/audiences.h"
#include "tests/sync/talk.h"

namespace staffel::testing {
namespace {

constexpr std::uint32_t kResolution = 6;

// NI in the chair, NW and HE; BY is a guest. A group of NW and HE, which the chair is not in.
struct House {
  House() {
    steps.MakeGuest(2);
    charter::NewAudience audience;
    audience.readers = {nw.self().id, he.self().id};
    audience.relay = nw.self().id;
    group = steps.Found(audience, nw.random());
    for (TestReplica* replica : {&ni, &nw, &by, &he}) {
      Ok(replica->Open());
      steps.GiveTo(*replica);
    }
    laender = steps.Named(charter::kLaenderAudience);
    guests = steps.Named(charter::kGuestsAudience);
  }

  RecordId Draft(TestReplica& at, const AudienceId& audience, const std::string& json) {
    const auto* kind = record::Kinds().Find(kResolution);
    record::RandomElementIds ids(at.random());
    record::InputContext context;
    context.ids = &ids;
    const auto writes =
        Value(record::CellsOfRecord(*kind, Value(record::ParseJson(json)), context));
    const auto record = at.random().DrawId<RecordId>();
    Value(at.store().Apply({.audience = audience,
                            .records = {ToRecordEdit(kResolution, record, RecordEdit::Mode::kCreate,
                                                     writes, nullptr)}}));
    return record;
  }
  void Release(TestReplica& at, const RecordId& record) {
    ReleaseOrder order;
    order.records = {{kResolution, record, laender}};
    order.to = guests;
    Value(at.store().Release(order));
  }
  // Inner matters of every sort, each with its mark.
  void Inside(int round) {
    const std::string n = std::to_string(round);
    Value(ni.store().Apply(
        NewNote(ni.self().own, ni.random().DrawId<RecordId>(), "MARKE-KAMIN " + n)));
    Value(nw.store().Apply(NewNote(group, nw.random().DrawId<RecordId>(), "MARKE-GRUPPE " + n)));
    const RecordId draft = Draft(ni, laender, R"({"title": "MARKE-ENTWURF )" + n + "\"}");
    Value(ni.store().Apply(
        {.audience = laender,
         .records = {{.kind = kResolution, .record = draft, .mode = RecordEdit::Mode::kDelete}}}));
    Sync(nw, ni);
    Sync(he, nw);
    Sync(he, ni);
  }

  const TestConference& conference = ConferenceOf(4);
  CharterSteps steps{conference};
  TestReplica ni{conference, 0, 31};
  TestReplica nw{conference, 1, 32};
  TestReplica by{conference, 2, 33};
  TestReplica he{conference, 3, 34};
  AudienceId laender, guests, group;
};

TEST_CASE("a guest's node never receives or stores a byte of a narrower audience") {
  House house;
  // The members of the group are told its name inside.
  const auto profile = record::AudienceProfileId(house.group);
  Edit naming{.audience = house.group};
  naming.records.push_back(
      {.kind = record::kAudienceProfileKind,
       .record = profile,
       .mode = RecordEdit::Mode::kCreate,
       .cells = {{.cell = FieldCell(record::kAudienceNameField),
                  .value = TextValue(record::kAudienceNameField, "MARKE-NAME")}}});
  Value(house.nw.store().Apply(naming));
  const RecordId released = house.Draft(
      house.ni, house.laender,
      R"({"title": "FREI", "reasons": "MARKE-GRUND", "items": ["Eins"], "list": "MARKE-LISTE"})");
  house.Release(house.ni, released);
  for (int round = 0; round < 5; ++round) house.Inside(round);

  // Everything that ever reaches the guest, in the clear; whoever it talks to.
  std::string received;
  TalkOptions options;
  const auto look = [&](Bytes& bytes) {
    sync::Message message = Value(sync::DecodeMessage(bytes));
    // What all members know stands in the charter: who is in which audience, by its id.
    message.charter_items.clear();
    for (auto& run : message.runs) {
      for (const Entry& entry : Value(sync::RebuildRun(run)).entries) {
        received += entry.header_bytes;
        for (const auto& payload : entry.payloads) received += payload.value_or(Bytes());
      }
    }
    for (const auto& vector : message.vectors) {
      received += vector.audience.bytes();
      for (const auto& item : vector.items) received += Bytes(item.journal.bytes());
    }
    for (const auto& summary : message.summaries) received += summary.audience.bytes();
    for (const auto& digest : message.digests) received += digest.audience.bytes();
    for (const auto& problem : message.problems) received += problem.reason;
    return true;
  };
  options.on_answer = look;
  Sync(house.by, house.ni, options);
  Sync(house.by, house.nw, options);
  Sync(house.by, house.he, options);
  TalkOptions called;
  called.on_request = look;
  Sync(house.ni, house.by, called);
  Sync(house.nw, house.by, called);
  REQUIRE(received.find("FREI") != std::string::npos);

  std::vector<std::string> marks{"MARKE"};
  for (TestReplica* replica : {&house.ni, &house.nw, &house.he}) {
    auto snapshot = Value(replica->store().Read());
    for (const AudienceId& audience :
         {house.laender, house.group, house.ni.self().own, house.nw.self().own}) {
      for (const auto& item : Value(snapshot.Vector(audience))) {
        marks.emplace_back(item.journal.bytes());
        marks.emplace_back(item.head.bytes());
      }
      for (const RecordView& view : Value(snapshot.List({.audience = audience}))) {
        if (view.record != released) marks.emplace_back(view.record.bytes());
      }
    }
  }
  REQUIRE(marks.size() > 8);
  CHECK(FindMark(received, marks).empty());
  // Database, log and free pages.
  house.by.Close();
  std::size_t bytes = 0;
  for (const auto& [name, content] : house.by.disk().Save()) {
    INFO(name);
    bytes += content.size();
    CHECK(FindMark(content, marks).empty());
  }
  CHECK(bytes > 10'000);
}

TEST_CASE("no number, length or count at a guest's node depends on what goes on inside") {
  std::vector<std::size_t> quiet;
  std::vector<std::size_t> busy;
  std::uint64_t quiet_revision = 0;
  std::uint64_t busy_revision = 0;
  for (const bool active : {false, true}) {
    House house;
    Sync(house.by, house.ni);
    auto& sizes = active ? busy : quiet;
    for (int round = 0; round < 4; ++round) {
      const RecordId record =
          house.Draft(house.ni, house.guests, R"({"title": "Für alle", "items": ["Eins"]})");
      (void)record;
      if (active) house.Inside(round);
      Talk talk(house.by, house.ni);
      Ok(talk.Run());
      sizes.insert(sizes.end(), talk.request_bytes.begin(), talk.request_bytes.end());
      sizes.insert(sizes.end(), talk.answer_bytes.begin(), talk.answer_bytes.end());
      sizes.push_back(static_cast<std::size_t>(talk.round_trips));
    }
    (active ? busy_revision : quiet_revision) = house.by.store().revision();
  }
  // Ids and salts differ, and with them compression by a few bytes: never more than that.
  REQUIRE(quiet.size() == busy.size());
  for (std::size_t i = 0; i < quiet.size(); ++i) {
    INFO(i << ": " << quiet[i] << " against " << busy[i]);
    CHECK(std::max(quiet[i], busy[i]) - std::min(quiet[i], busy[i]) <= 12);
  }
  CHECK(quiet_revision == busy_revision);
}

TEST_CASE("a member that is taken in gets the whole history of the audience") {
  House house;
  for (int round = 0; round < 3; ++round) house.Inside(round);
  const auto content =
      Value(charter::WithAudienceMember(house.steps.Now(), house.group, house.ni.self().id, true));
  house.steps.Step(content);
  {
    auto snapshot = Value(house.ni.store().Read());
    CHECK(Value(snapshot.Vector(house.group)).empty());
  }
  house.steps.GiveTo(house.nw);
  // NI hears of it by the exchange itself, and has everything when that ends.
  Sync(house.ni, house.nw);
  RequireSame(house.ni, house.nw, house.group);
  auto snapshot = Value(house.ni.store().Read());
  CHECK(Value(snapshot.List({.audience = house.group})).size() == 3);
  CHECK_FALSE(Value(snapshot.Vector(house.group)).empty());
}

// HE taken out of the group; the cut is hidden, as in every audience that is not open.
charter::Content WithoutHesse(House& house) {
  std::vector<charter::Cut> cuts;
  auto snapshot = Value(house.nw.store().Read());
  for (const JournalView& journal : Value(snapshot.Journals())) {
    if (journal.audience != house.group || journal.member != house.he.self().id) continue;
    charter::Cut cut;
    cut.journal = journal.journal;
    cut.audience = journal.audience;
    cut.key = journal.key;
    cut.hidden = Hash::From(house.nw.random().Draw(Hash::kBytes));
    cuts.push_back(std::move(cut));
  }
  REQUIRE(cuts.size() == 1);
  return Value(
      charter::WithoutAudienceMember(house.steps.Now(), house.group, house.he.self().id, cuts));
}

bool Holds(TestReplica& replica, const RecordId& record) {
  auto snapshot = Value(replica.store().Read());
  return snapshot.GetRecord(record).has_value();
}

TEST_CASE("a member that is taken out hands over what only it has, deletes its copy, and says so") {
  House house;
  const auto note = [&](TestReplica& at, std::string_view text) {
    const auto record = at.random().DrawId<RecordId>();
    Value(at.store().Apply(NewNote(house.group, record, text)));
    return record;
  };
  note(house.nw, "MARKE-ALT");
  const RecordId edited = note(house.he, "MARKE-GEMEINSAM");
  Sync(house.he, house.nw);
  Value(house.he.store().Apply(SetText(house.group, kNote, edited, kNoteText, "MARKE-GEÄNDERT")));
  while (Value(house.he.store().IndexSearch(100)) > 0) continue;
  // HE is away, writes on, and is taken out meanwhile.
  const RecordId late = note(house.he, "MARKE-UNTERWEGS");
  house.steps.Step(WithoutHesse(house));
  house.steps.GiveTo(house.nw);
  // Before it has met anybody nothing is deleted: what only it has would be lost.
  house.steps.GiveTo(house.he);
  CHECK(Value(house.he.store().LeaveAudiences()) == 0);
  CHECK(Holds(house.he, late));
  CHECK_FALSE(house.he.store().Apply(NewNote(house.group, RecordId(), "zu spät")));
  // The chair is not in the group: it gets nothing of it.
  Sync(house.he, house.ni);
  CHECK(Value(house.he.store().LeaveAudiences()) == 0);
  CHECK_FALSE(Holds(house.ni, late));

  const RecordId after = note(house.nw, "MARKE-NACHHER");
  Sync(house.he, house.nw);
  CHECK(Holds(house.nw, late));
  CHECK_FALSE(Holds(house.he, after));
  {
    auto snapshot = Value(house.nw.store().Read());
    const auto former = sync::FormerReaders(house.nw.store(), snapshot, house.group);
    REQUIRE(former.size() == 1);
    CHECK(former[0].member == house.he.self().id);
    CHECK(former[0].confirmed.value == 0);
  }
  CHECK(Value(house.he.store().LeaveAudiences()) == 1);
  CHECK(Value(house.he.store().LeaveAudiences()) == 0);
  CHECK_FALSE(Holds(house.he, late));
  CHECK(Value(Value(house.he.store().Read()).Vector(house.group)).empty());
  const auto report = Value(house.he.store().Verify());
  INFO((report.problems.empty() ? "" : report.problems.front()));
  CHECK(report.problems.empty());

  Sync(house.he, house.nw);
  CHECK(Value(house.he.store().DeletedCopies()).empty());
  {
    auto snapshot = Value(house.nw.store().Read());
    const auto former = sync::FormerReaders(house.nw.store(), snapshot, house.group);
    REQUIRE(former.size() == 1);
    CHECK(former[0].confirmed.value > 0);
    CHECK(former[0].verified);
  }
  // Files: database, log, free pages, index.
  house.he.Close();
  for (const auto& [name, content] : house.he.disk().Save()) {
    INFO(name);
    CHECK(FindMark(content, {"MARKE", "marke", "Marke"}).empty());
  }
  Ok(house.he.Open());
  Sync(house.he, house.nw);
  CHECK_FALSE(Holds(house.he, after));
}

TEST_CASE("who was taken out before a group was closed leaves its copy all the same") {
  House house;
  const auto note = [&](TestReplica& at, std::string_view text) {
    const auto record = at.random().DrawId<RecordId>();
    const auto applied = Value(at.store().Apply(NewNote(house.group, record, text)));
    return std::pair(record, applied.entry);
  };
  note(house.nw, "MARKE-ALT");
  note(house.he, "MARKE-GEMEINSAM");
  Sync(house.he, house.nw);
  // HE is away, writes on, and hears of both at once.
  const auto late = note(house.he, "MARKE-UNTERWEGS");
  house.steps.Step(WithoutHesse(house));
  house.steps.Step(Value(charter::WithoutAudience(house.steps.Now(), house.group)));
  house.steps.GiveTo(house.nw);
  house.steps.GiveTo(house.he);
  CHECK(Value(house.he.store().LeaveAudiences()) == 0);
  Sync(house.he, house.nw);
  auto held = Value(house.nw.store().Read());
  const auto vector = Value(held.Vector(house.group));
  CHECK(std::any_of(vector.begin(), vector.end(),
                    [&](const VectorItem& item) { return item.head == late.second; }));
  CHECK(Value(house.he.store().LeaveAudiences()) == 1);
  CHECK_FALSE(Holds(house.he, late.first));
  Sync(house.he, house.nw);
  CHECK(Value(house.he.store().DeletedCopies()).empty());
  house.he.Close();
  for (const auto& [name, content] : house.he.disk().Save()) {
    INFO(name);
    CHECK(FindMark(content, {"MARKE", "marke", "Marke"}).empty());
  }
}

TEST_CASE("what was written in an audience under a charter that lost is handed over, too") {
  House house;
  // NI is taken into the group; a quorum, which has not heard of it, goes another way.
  CharterSteps losing = house.steps;
  losing.Propose(
      Value(charter::WithAudienceMember(losing.Now(), house.group, house.ni.self().id, true)),
      {0, 1});
  losing.GiveTo(house.ni);
  Value(house.ni.store().Apply(
      NewNote(house.group, house.ni.random().DrawId<RecordId>(), "MARKE-VERGEBENS")));
  for (const std::uint64_t day : {1, 2}) {
    charter::Content content = house.steps.Now();
    content.rules.push_back({"threshold.resolution", "3", TimeMs{kSimStartMs + day}});
    house.steps.Step(content);
  }
  for (TestReplica* replica : {&house.ni, &house.nw, &house.he}) house.steps.GiveTo(*replica);
  CHECK(Value(house.ni.store().LeaveAudiences()) == 0);

  // First NW has to hear of the charter that lost.
  Sync(house.ni, house.nw);
  Sync(house.ni, house.nw);
  CHECK(Value(Value(house.nw.store().Read()).Counts()).invalid_entries > 0);
  CHECK(Value(house.ni.store().LeaveAudiences()) == 1);
  // Those inside give it to each other.
  Sync(house.he, house.nw);
  CHECK(Value(Value(house.he.store().Read()).Counts()).invalid_entries > 0);
}

TEST_CASE("a statement that is forged, or of somebody who is still in it, is not put on record") {
  House house;
  Sync(house.he, house.nw);
  const auto ask = [&](const CopyDeleted& statement) {
    sync::Message message;
    message.conference = house.conference.conference();
    message.charter_summary = house.nw.store().charter()->SummaryHash();
    message.copies_deleted.push_back(statement);
    sync::Responder responder(house.nw.store());
    const auto reply =
        Value(responder.Answer(sync::EncodeMessage(message), house.he.self().tls.public_key()));
    return Value(sync::DecodeMessage(reply.bytes)).copies_deleted_taken.size();
  };
  const EntryId entry = house.nw.store().authority()->entry();
  const auto good = SignCopyDeleted(house.group, entry, TimeMs{5}, house.he.self().key);
  CHECK(VerifyCopyDeleted(good));
  CHECK(UnpackCopyDeleted(PackCopyDeleted(good)) == good);
  CHECK(ask(good) == 0);  // HE is in it
  Value(house.he.store().Apply(NewNote(house.group, house.he.random().DrawId<RecordId>(), "da")));
  Sync(house.he, house.nw);
  house.steps.Step(WithoutHesse(house));
  house.steps.GiveTo(house.nw);
  CHECK(ask(SignCopyDeleted(house.group, entry, TimeMs{5}, house.ni.self().key)) == 0);
  auto changed = good;
  changed.time = TimeMs{6};
  CHECK(ask(changed) == 0);
  changed = good;
  changed.audience = house.laender;
  CHECK(ask(changed) == 0);
  CHECK(ask(good) == 1);
  CHECK(ask(good) == 1);  // a repeat is harmless
  auto snapshot = Value(house.nw.store().Read());
  CHECK(sync::FormerReaders(house.nw.store(), snapshot, house.group)[0].verified);
}

TEST_CASE("what is erased in a group reaches every copy, also when the group is closed") {
  House house;
  const auto note = [&](TestReplica& at, std::string_view text) {
    const auto record = at.random().DrawId<RecordId>();
    Value(at.store().Apply(NewNote(house.group, record, text)));
    return record;
  };
  const auto erase = [&](TestReplica& at, const RecordId& record) {
    Value(at.store().Erase({{{house.group, kNote, record}}, {}}));
  };
  const auto close = [&] {
    house.steps.Step(Value(charter::WithoutAudience(house.steps.Now(), house.group)));
    house.steps.GiveTo(house.nw);
  };
  const RecordId erased = note(house.nw, "MARKE-PERSON");
  const RecordId kept = note(house.nw, "Bleibt");
  Sync(house.he, house.nw);
  house.he.Close();
  const auto backup = house.he.disk().Save();
  Ok(house.he.Open());
  // Files: database, log, free pages, index.
  const auto gone = [&](TestReplica& at) {
    CHECK(Value(at.store().Wipe()));
    const auto counts = Value(Value(at.store().Read()).CountErasures());
    CHECK(counts.missing_payloads == 0);
    CHECK(counts.undecided == 0);
    const auto report = Value(at.store().Verify());
    INFO((report.problems.empty() ? "" : report.problems.front()));
    CHECK(report.problems.empty());
    at.Close();
    for (const auto& [name, content] : at.disk().Save()) {
      INFO(name);
      CHECK(FindMark(content, {"MARKE", "marke"}).empty());
    }
    Ok(at.Open());
  };

  SECTION("before it hears of the closing, at a node that was away") {
    erase(house.nw, erased);
    close();
    Sync(house.he, house.nw);
  }
  SECTION("at a node put back to a backup afterwards") {
    erase(house.nw, erased);
    Sync(house.he, house.nw);
    close();
    Sync(house.he, house.nw);
    house.he.Close();
    house.he.disk().Load(backup);
    Ok(house.he.Open());
    Sync(house.he, house.nw);
  }
  SECTION("where the erasure itself was away") {
    erase(house.nw, erased);
    house.steps.Step(Value(charter::WithoutAudience(house.steps.Now(), house.group)));
    house.steps.GiveTo(house.he);
    Sync(house.he, house.nw);
  }
  SECTION("also one that is asked for only then") {
    close();
    Sync(house.he, house.nw);
    erase(house.nw, erased);
    Sync(house.he, house.nw);
  }
  gone(house.he);
  Sync(house.he, house.nw);
  gone(house.nw);
  Sync(house.nw, house.he);
  const auto erasures = Value(Value(house.he.store().Read()).Erasures());
  REQUIRE(erasures.size() == 1);
  CHECK(erasures[0].standing == ErasureStanding::kInEffect);
  REQUIRE(erasures[0].replicas.size() == 2);
  for (const auto& replica : erasures[0].replicas) CHECK(replica.carried_out);
  // All else of the group has ended, and nobody else hears of it.
  CHECK(house.nw.store().Apply(SetText(house.group, kNote, kept, kNoteText, "doch")).error().code ==
        ErrorCode::kNotFound);
  CHECK(Value(Value(house.nw.store().Read()).List({.audience = house.group})).empty());
  Sync(house.ni, house.nw);
  CHECK(Value(Value(house.ni.store().Read()).Vector(house.group)).empty());
}

TEST_CASE("what was written before a group was closed is erased where the chair named it") {
  House house;
  charter::NewAudience fresh;
  fresh.readers = {house.ni.self().id, house.nw.self().id};
  const AudienceId group = house.steps.Found(fresh, house.nw.random());
  for (TestReplica* replica : {&house.ni, &house.nw}) house.steps.GiveTo(*replica);
  const auto record = house.nw.random().DrawId<RecordId>();
  Value(house.nw.store().Apply(NewNote(group, record, "Titel")));
  Sync(house.nw, house.ni);
  Value(house.nw.store().Apply(SetText(group, kNote, record, kNoteText, "MARKE-SPÄT")));
  Value(house.ni.store().Erase({{{group, kNote, record}}, {}}));
  house.steps.Step(Value(charter::WithoutAudience(house.steps.Now(), group)));
  house.steps.GiveTo(house.ni);
  // A next chair, which is not in the group, ends nothing of it.
  house.steps.Step(Value(charter::WithNextTerm(house.steps.Now(), house.he.self().id,
                                               house.he.self().key.public_key(),
                                               TimeMs{kSimStartMs + 2'000}, {})));
  Sync(house.nw, house.ni);
  house.steps.GiveTo(house.ni);
  Sync(house.nw, house.ni);
  for (TestReplica* at : {&house.ni, &house.nw}) {
    CHECK(Value(at->store().Wipe()));
    CHECK(Value(Value(at->store().Read()).CountErasures()).undecided == 0);
    at->Close();
    for (const auto& [name, content] : at->disk().Save()) {
      INFO(name);
      CHECK(FindMark(content, {"MARKE", "marke"}).empty());
    }
    Ok(at->Open());
  }
}

TEST_CASE("a group without the chair meets through its relay") {
  House house;
  const auto record = house.he.random().DrawId<RecordId>();
  Value(house.he.store().Apply(NewNote(house.group, record, "Nur wir")));
  Sync(house.he, house.ni);
  Sync(house.nw, house.ni);
  {
    auto snapshot = Value(house.nw.store().Read());
    CHECK_FALSE(snapshot.GetRecord(record));
  }
  Sync(house.he, house.nw);
  RequireSame(house.he, house.nw, house.group);
}

}  // namespace
}  // namespace staffel::testing
