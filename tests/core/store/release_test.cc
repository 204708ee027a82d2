// SPDX-License-Identifier: EUPL-1.2
#include "core/store/release.h"

#include <algorithm>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "core/record/catalog.h"
#include "core/record/json.h"
#include "core/record/release.h"
#include "core/record/view.h"
#include "tests/support/audiences.h"

namespace staffel {
namespace {

using testing::CharterSteps;
using testing::ConferenceOf;
using testing::CopyMissing;
using testing::TestReplica;

constexpr std::uint32_t kMeeting = 1;
constexpr std::uint32_t kAgendaItem = 2;
constexpr std::uint32_t kResolution = 6;
constexpr std::uint32_t kBallot = 8;

void Ok(const Status& status) {
  if (!status) FAIL(status.error().message);
}
template <typename T>
T Value(Result<T> result) {
  if (!result) FAIL(result.error().message);
  return std::move(*result);
}

const record::Kind& KindOf(std::uint32_t number) { return *record::Kinds().Find(number); }

// NI in the chair, NW, and BY as a guest.
struct House {
  House() {
    Ok(ni.Open());
    Ok(nw.Open());
    Ok(by.Open());
    steps.MakeGuest(2);
    guests = steps.Named(charter::kGuestsAudience);
    everyone = steps.Named(charter::kPublicAudience);
    laender = steps.Named(charter::kLaenderAudience);
    for (TestReplica* replica : {&ni, &nw, &by}) steps.GiveTo(*replica);
  }

  RecordEdit EditOf(TestReplica& at, std::uint32_t kind, const RecordId& record,
                    RecordEdit::Mode mode, const std::string& json) {
    record::RandomElementIds ids(at.random());
    record::InputContext context;
    context.ids = &ids;
    const auto object = Value(record::ParseJson(json));
    std::vector<record::CellWrite> writes;
    if (mode == RecordEdit::Mode::kCreate) {
      writes = Value(record::CellsOfRecord(KindOf(kind), object, context));
    } else {
      auto snapshot = Value(at.store().Read());
      writes = Value(
          record::EditsOf(KindOf(kind), object, Value(snapshot.GetRecord(record)).row, context));
    }
    return testing::ToRecordEdit(kind, record, mode, writes, nullptr);
  }
  RecordId Add(TestReplica& at, const AudienceId& audience, std::uint32_t kind,
               const std::string& json) {
    const auto record = at.random().DrawId<RecordId>();
    // Anyone's cells first, the chair's in its lane.
    auto edit = EditOf(at, kind, record, RecordEdit::Mode::kCreate, json);
    Write(at, audience, std::move(edit));
    return record;
  }
  void Write(TestReplica& at, const AudienceId& audience, RecordEdit edit) {
    std::vector<Edit> edits;
    RecordEdit chair = edit;
    const auto of_chair = [](const CellEdit& cell) {
      return record::OwnerOf(cell.cell).kind == OwnerKind::kChair;
    };
    std::erase_if(edit.cells, of_chair);
    std::erase_if(chair.cells, [&](const CellEdit& cell) { return !of_chair(cell); });
    if (!edit.cells.empty()) edits.push_back({.audience = audience, .records = {edit}});
    if (!chair.cells.empty()) {
      if (!edits.empty()) chair.mode = RecordEdit::Mode::kChange;
      edits.push_back({.audience = audience, .records = {chair}});
    }
    Value(at.store().ApplyAll(edits));
  }
  void Set(TestReplica& at, const AudienceId& audience, std::uint32_t kind, const RecordId& record,
           const std::string& json) {
    Write(at, audience, EditOf(at, kind, record, RecordEdit::Mode::kChange, json));
  }
  RecordId Draft(const std::string& more = "") {
    return Add(
        ni, laender, kResolution,
        R"({"title": "Sprachförderung", "items": ["Eins", "Zwei"], "reasons": "INNEN-GRUND",)"
        R"( "list": "INNEN-LISTE")" +
            more + "}");
  }
  Result<ReleasedRecord> Release(TestReplica& at, const RecordId& record, const AudienceId& to,
                                 std::uint32_t kind = kResolution, ReleaseOrder order = {}) {
    order.records = {{kind, record, laender}};
    order.to = to;
    STAFFEL_TRY(released, at.store().Release(order));
    return released.records.front();
  }
  std::string Json(TestReplica& at, const RecordId& record, const AudienceId& audience) {
    auto snapshot = Value(at.store().Read());
    const auto view = snapshot.GetRecord(record, audience);
    if (!view) return "";
    return record::RowToJson(KindOf(view->kind), view->row);
  }
  std::vector<ReleaseView> Releases(TestReplica& at, const RecordId& record,
                                    const AudienceId& audience) {
    auto snapshot = Value(at.store().Read());
    return Value(snapshot.Releases(Value(snapshot.GetRecord(record, audience))));
  }
  static void Sound(TestReplica& replica) {
    const auto report = Value(replica.store().Verify());
    INFO((report.problems.empty() ? "" : report.problems.front()));
    CHECK(report.problems.empty());
  }

  TestReplica ni{ConferenceOf(3), 0, 21};
  TestReplica nw{ConferenceOf(3), 1, 22};
  TestReplica by{ConferenceOf(3), 2, 23};
  CharterSteps steps{ConferenceOf(3)};
  AudienceId laender, guests, everyone;
};

TEST_CASE(
    "what is released is the state without history, authors, inner fields and old positions") {
  House house;
  const RecordId draft = house.Draft();
  house.Set(house.ni, house.laender, kResolution, draft,
            R"({"title": "Verlässliche Finanzierung"})");
  house.Set(house.ni, house.laender, kResolution, draft,
            R"({"items": {"insert": [{"text": "Dazwischen", "after": "1"}]}})");
  house.Set(house.ni, house.laender, kResolution, draft, R"({"items.2": null})");
  const ReleasedRecord released = Value(house.Release(house.ni, draft, house.guests));
  CHECK(released.entry);
  CHECK(std::find(released.carried.begin(), released.carried.end(), "items") !=
        released.carried.end());
  const std::string inside = house.Json(house.ni, draft, house.laender);
  const std::string outside = house.Json(house.ni, draft, house.guests);
  CHECK(outside.find("Verlässliche Finanzierung") != std::string::npos);
  CHECK(outside.find("Zwei") != std::string::npos);
  CHECK(outside.find("Dazwischen") == std::string::npos);
  CHECK(outside.find("INNEN") == std::string::npos);
  CHECK(inside.find("INNEN-GRUND") != std::string::npos);

  // The guest gets exactly this: one entry of the record, no author, positions as for a new list.
  Value(CopyMissing(house.ni.store(), house.by.store(), house.guests));
  auto snapshot = Value(house.by.store().Read());
  const auto view = Value(snapshot.GetRecord(draft));
  CHECK(view.audience == house.guests);
  const auto history = Value(snapshot.History(view));
  REQUIRE(history.size() == 1);
  CHECK_FALSE(history.front().author);
  const auto fresh = house.Add(house.ni, house.laender, kResolution,
                               R"({"title": "Neu", "items": ["Eins", "Zwei"]})");
  const auto positions = [](const std::string& json) {
    std::vector<std::string> found;
    for (std::size_t at = json.find("\"position\""); at != std::string::npos;
         at = json.find("\"position\"", at + 1)) {
      found.push_back(json.substr(at, json.find_first_of(",}", at) - at));
    }
    return found;
  };
  CHECK(positions(outside) == positions(house.Json(house.ni, fresh, house.laender)));
  House::Sound(house.ni);
  House::Sound(house.by);
}

TEST_CASE("both sides see whether the released text is the current one, as far as each may know") {
  House house;
  const RecordId draft = house.Draft();
  Value(house.Release(house.ni, draft, house.guests));
  Value(CopyMissing(house.ni.store(), house.nw.store(), house.laender));
  Value(CopyMissing(house.ni.store(), house.nw.store(), house.guests));
  Value(CopyMissing(house.ni.store(), house.by.store(), house.guests));
  {
    const auto releases = house.Releases(house.nw, draft, house.laender);
    REQUIRE(releases.size() == 1);
    CHECK(releases[0].state == ReleaseView::State::kCurrent);
    CHECK(releases[0].audience == house.guests);
    CHECK(releases[0].member.text() == "NI");
    CHECK(releases[0].proven);
  }
  house.Set(house.ni, house.laender, kResolution, draft, R"({"title": "Neuer Titel"})");
  house.Set(house.ni, house.laender, kResolution, draft, R"({"reasons": "bleibt innen"})");
  {
    const auto releases = house.Releases(house.ni, draft, house.laender);
    REQUIRE(releases.size() == 1);
    CHECK(releases[0].state == ReleaseView::State::kDiffers);
    CHECK(releases[0].fields == std::vector<std::string>{"title"});
    const auto from_outside = house.Releases(house.ni, draft, house.guests);
    REQUIRE(from_outside.size() == 1);
    CHECK_FALSE(from_outside[0].outward);
    CHECK(from_outside[0].state == ReleaseView::State::kDiffers);
  }
  {
    // The guest knows that it is a release, and nothing of what goes on inside.
    const auto releases = house.Releases(house.by, draft, house.guests);
    REQUIRE(releases.size() == 1);
    CHECK(releases[0].state == ReleaseView::State::kReceived);
    CHECK(releases[0].audience.is_zero());
    CHECK(releases[0].commitment);
  }
  const ReleasedRecord again = Value(house.Release(house.ni, draft, house.guests));
  CHECK(again.entry);
  CHECK_FALSE(again.unchanged);
  CHECK(house.Releases(house.ni, draft, house.laender)[0].state == ReleaseView::State::kCurrent);
  CHECK(house.Json(house.ni, draft, house.guests).find("Neuer Titel") != std::string::npos);
  const ReleasedRecord twice = Value(house.Release(house.ni, draft, house.guests));
  CHECK(twice.unchanged);
  CHECK_FALSE(twice.entry);
}

TEST_CASE("a release that is taken back is deleted outside, noted inside, and can come again") {
  House house;
  const RecordId draft = house.Draft();
  CHECK(house.ni.store().Withdraw(kResolution, draft, house.guests, {}).error().code ==
        ErrorCode::kNotFound);
  Value(house.Release(house.ni, draft, house.guests));
  Value(house.ni.store().Withdraw(kResolution, draft, house.guests, {}));
  Value(CopyMissing(house.ni.store(), house.by.store(), house.guests));
  {
    auto snapshot = Value(house.by.store().Read());
    CHECK(Value(snapshot.GetRecord(draft)).deleted);
    CHECK(Value(snapshot.List({.audience = house.guests, .kind = kResolution})).empty());
  }
  auto releases = house.Releases(house.ni, draft, house.laender);
  REQUIRE(releases.size() == 1);
  CHECK(releases[0].state == ReleaseView::State::kWithdrawn);
  Value(house.Release(house.ni, draft, house.guests));
  Value(CopyMissing(house.ni.store(), house.by.store(), house.guests));
  auto snapshot = Value(house.by.store().Read());
  CHECK_FALSE(Value(snapshot.GetRecord(draft)).deleted);
  CHECK(Value(snapshot.GetRecord(draft)).conflicts == 0);
  CHECK(house.Releases(house.ni, draft, house.laender)[0].state == ReleaseView::State::kCurrent);
}

TEST_CASE("votes of single Länder are not released unless somebody names them") {
  House house;
  const RecordId ballot = house.Add(
      house.ni, house.laender, kBallot,
      R"({"title": "Block", "votes_recorded": {"NI": "J", "NW": "N"}, "result": {"yes": 1, "no": 1}})");
  const ReleasedRecord released = Value(house.Release(house.ni, ballot, house.guests, kBallot));
  CHECK(std::any_of(released.left_out.begin(), released.left_out.end(), [](const auto& out) {
    return out.field == "votes_recorded" && out.reason == "confidential";
  }));
  CHECK(house.Json(house.ni, ballot, house.guests).find("votes_recorded") == std::string::npos);
  CHECK(house.Json(house.ni, ballot, house.guests).find("result") != std::string::npos);
  ReleaseOrder named;
  named.with = {"votes_recorded"};
  Value(house.Release(house.ni, ballot, house.guests, kBallot, named));
  CHECK(house.Json(house.ni, ballot, house.guests).find("votes_recorded") != std::string::npos);
  named.with = {"no_such_field"};
  CHECK(house.Release(house.ni, ballot, house.guests, kBallot, named).error().code ==
        ErrorCode::kInvalid);
}

TEST_CASE("publication needs the chair, and the chair's clearance part by part") {
  House house;
  const RecordId draft = house.Draft();
  CHECK(house.Release(house.ni, draft, house.everyone).error().code == ErrorCode::kDenied);
  house.Set(house.ni, house.laender, kResolution, draft, R"({"release": {"decision": true}})");
  Value(CopyMissing(house.ni.store(), house.nw.store(), house.laender));
  CHECK(house.Release(house.nw, draft, house.everyone).error().code == ErrorCode::kDenied);
  ReleaseOrder report;
  report.parts = {"decision", "report"};
  CHECK(house.Release(house.ni, draft, house.everyone, kResolution, report).error().code ==
        ErrorCode::kDenied);
  ReleaseOrder trial;
  trial.dry_run = true;
  const std::uint64_t revision = house.ni.store().revision();
  CHECK_FALSE(Value(house.Release(house.ni, draft, house.everyone, kResolution, trial)).entry);
  CHECK(house.ni.store().revision() == revision);
  Value(house.Release(house.ni, draft, house.everyone));
  CHECK(house.Json(house.ni, draft, house.everyone).find("Sprachförderung") != std::string::npos);
  CHECK(house.Json(house.ni, draft, house.everyone).find("INNEN") == std::string::npos);
  house.Set(house.ni, house.laender, kResolution, draft,
            R"({"release": {"decision": true, "report": true}})");
  Value(house.Release(house.ni, draft, house.everyone));
  CHECK(house.Json(house.ni, draft, house.everyone).find("INNEN-GRUND") != std::string::npos);
  House::Sound(house.ni);
}

TEST_CASE("a release goes to a wider audience only, of what is decided and there") {
  House house;
  const RecordId draft = house.Draft();
  ReleaseOrder order;
  order.records = {{kResolution, draft, house.laender}};
  order.to = house.ni.self().own;
  CHECK(house.ni.store().Release(order).error().code == ErrorCode::kDenied);
  order.to = house.laender;
  CHECK(house.ni.store().Release(order).error().code == ErrorCode::kDenied);
  order.to = house.guests;
  order.records[0].record = house.ni.random().DrawId<RecordId>();
  CHECK(house.ni.store().Release(order).error().code == ErrorCode::kNotFound);
  order.parts = {"everything"};
  order.records[0].record = draft;
  CHECK(house.ni.store().Release(order).error().code == ErrorCode::kInvalid);

  // Two versions of the title: first somebody decides.
  Value(CopyMissing(house.ni.store(), house.nw.store(), house.laender));
  house.Set(house.ni, house.laender, kResolution, draft, R"({"title": "A"})");
  house.Set(house.nw, house.laender, kResolution, draft, R"({"title": "B"})");
  Value(CopyMissing(house.nw.store(), house.ni.store(), house.laender));
  CHECK(house.Release(house.ni, draft, house.guests).error().code == ErrorCode::kConflict);
  ReleaseOrder without;
  without.without = {"title"};
  Value(house.Release(house.ni, draft, house.guests, kResolution, without));
}

TEST_CASE(
    "a release by a Land that is not the chair leaves the chair's fields inside, and says so") {
  House house;
  const RecordId draft = house.Draft(R"(, "outcome": "angenommen")");
  Value(CopyMissing(house.ni.store(), house.nw.store(), house.laender));
  const ReleasedRecord by_nw = Value(house.Release(house.nw, draft, house.guests));
  CHECK(std::any_of(by_nw.left_out.begin(), by_nw.left_out.end(), [](const auto& out) {
    return out.field == "outcome" && out.reason == "owner";
  }));
  Value(CopyMissing(house.nw.store(), house.ni.store(), house.guests));
  Value(CopyMissing(house.nw.store(), house.ni.store(), house.laender));
  const auto releases = house.Releases(house.ni, draft, house.laender);
  REQUIRE(releases.size() == 1);
  CHECK(releases[0].fields == std::vector<std::string>{"outcome"});
  Value(house.Release(house.ni, draft, house.guests));
  CHECK(house.Json(house.ni, draft, house.guests).find("angenommen") != std::string::npos);
  Value(CopyMissing(house.ni.store(), house.by.store(), house.guests));
  CHECK(house.Json(house.by, draft, house.guests).find("angenommen") != std::string::npos);
}

TEST_CASE("a repeated op releases once") {
  House house;
  const RecordId draft = house.Draft();
  const RecordId other = house.Draft();
  ReleaseOrder order;
  order.records = {{kResolution, draft, house.laender}, {kResolution, other, house.laender}};
  order.to = house.guests;
  order.op = house.ni.random().DrawId<OpId>();
  const Released first = Value(house.ni.store().Release(order));
  CHECK_FALSE(first.repeated);
  CHECK(first.records[0].entry != first.records[1].entry);
  house.Set(house.ni, house.laender, kResolution, draft, R"({"title": "später"})");
  const Released second = Value(house.ni.store().Release(order));
  CHECK(second.repeated);
  REQUIRE(second.records.size() == 2);
  CHECK(second.records[0].entry == first.records[0].entry);
  CHECK(second.records[1].entry == first.records[1].entry);
  CHECK(house.Json(house.ni, draft, house.guests).find("später") == std::string::npos);
}

TEST_CASE("records that name each other are released together, all or none") {
  House house;
  const RecordId meeting = house.Add(house.ni, house.laender, kMeeting, R"({"title": "Runde"})");
  const RecordId draft = house.Draft(R"(, "meeting": ")" + meeting.Hex() + "\"");
  const RecordId item = house.Add(house.ni, house.laender, kAgendaItem,
                                  R"({"number": "2.3", "title": "Sprache", "resolution": ")" +
                                      draft.Hex() + R"(", "meeting": ")" + meeting.Hex() + "\"}");
  house.Set(house.ni, house.laender, kResolution, draft,
            R"({"agenda_item": ")" + item.Hex() + "\"}");
  ReleaseOrder order;
  order.to = house.guests;
  order.records = {{kResolution, draft, house.laender}, {kAgendaItem, item, house.laender}};
  // Each needs the other, and both the meeting: what is missing is named once for all.
  CHECK_FALSE(house.Release(house.ni, draft, house.guests));
  CHECK_FALSE(house.Release(house.ni, item, house.guests, kAgendaItem));
  const auto hindered = house.ni.store().Release(order);
  REQUIRE_FALSE(hindered);
  CHECK(hindered.error().code == ErrorCode::kDenied);
  CHECK(hindered.error().message.find("(" + meeting.Hex().substr(0, 8) + ")") != std::string::npos);
  CHECK(hindered.error().message.find(item.Hex().substr(0, 8)) == std::string::npos);

  order.records.push_back({kMeeting, meeting, house.laender});
  order.dry_run = true;
  CHECK(Value(house.ni.store().Release(order)).records.size() == 3);
  CHECK(house.Json(house.ni, draft, house.guests).empty());
  order.dry_run = false;
  // A field that only some of the kinds have concerns those; one that none has is refused.
  order.without = {"no_such_field"};
  CHECK(house.ni.store().Release(order).error().code == ErrorCode::kInvalid);
  order.without = {"items"};
  const Released released = Value(house.ni.store().Release(order));
  for (const ReleasedRecord& one : released.records) CHECK(one.entry);
  Value(CopyMissing(house.ni.store(), house.by.store(), house.guests));
  CHECK(house.Json(house.by, draft, house.guests).find(item.Hex()) != std::string::npos);
  CHECK(house.Json(house.by, draft, house.guests).find("Zwei") == std::string::npos);
  CHECK(house.Json(house.by, item, house.guests).find(draft.Hex()) != std::string::npos);
  for (const RecordId& record : {draft, item, meeting}) {
    const auto releases = house.Releases(house.ni, record, house.laender);
    REQUIRE(releases.size() == 1);
    CHECK(releases[0].state == ReleaseView::State::kCurrent);
    CHECK(releases[0].proven);
  }
  // Again: only what has changed inside is written.
  house.Set(house.ni, house.laender, kMeeting, meeting, R"({"title": "Große Runde"})");
  const Released again = Value(house.ni.store().Release(order));
  CHECK(again.records[0].unchanged);
  CHECK(again.records[1].unchanged);
  CHECK(again.records[2].entry);
  House::Sound(house.ni);
  House::Sound(house.by);
}

TEST_CASE("a release that is refused at one record has released none") {
  House house;
  const RecordId draft = house.Draft();
  const RecordId gone = house.Draft();
  Value(house.ni.store().Apply(
      {.audience = house.laender,
       .records = {{.kind = kResolution, .record = gone, .mode = RecordEdit::Mode::kDelete}}}));
  ReleaseOrder order;
  order.to = house.guests;
  CHECK(house.ni.store().Release(order).error().code == ErrorCode::kInvalid);
  order.records = {{kResolution, draft, house.laender}, {kResolution, gone, house.laender}};
  const auto refused = house.ni.store().Release(order);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kDenied);
  CHECK(refused.error().message.find(gone.Hex().substr(0, 8)) != std::string::npos);
  CHECK(house.Json(house.ni, draft, house.guests).empty());
  CHECK(house.Releases(house.ni, draft, house.laender).empty());
  order.records.assign(kReleaseRecordsMax + 1, {kResolution, draft, house.laender});
  CHECK(house.ni.store().Release(order).error().code == ErrorCode::kTooLarge);
}

TEST_CASE("what was taken back is not named by a later release") {
  House house;
  const RecordId meeting = house.Add(house.ni, house.laender, kMeeting, R"({"title": "Runde"})");
  const RecordId draft = house.Draft(R"(, "meeting": ")" + meeting.Hex() + "\"");
  Value(house.Release(house.ni, meeting, house.guests, kMeeting));
  Value(house.ni.store().Withdraw(kMeeting, meeting, house.guests, {}));
  CHECK(house.Release(house.ni, draft, house.guests).error().code == ErrorCode::kDenied);
  Value(house.Release(house.ni, meeting, house.guests, kMeeting));
  Value(house.Release(house.ni, draft, house.guests));
}

TEST_CASE("references point to equal or wider audiences only, and the refusal says which") {
  House house;
  const AudienceId own = house.ni.self().own;
  const RecordId inner = house.Add(house.ni, own, kMeeting, R"({"title": "Kamingespräch"})");
  const RecordId shared = house.Add(house.ni, house.laender, kMeeting, R"({"title": "Runde"})");
  const auto with_meeting = [&](const AudienceId& audience, const RecordId& meeting) {
    const auto record = house.ni.random().DrawId<RecordId>();
    return house.ni.store().Apply(
        {.audience = audience,
         .records = {house.EditOf(house.ni, kResolution, record, RecordEdit::Mode::kCreate,
                                  R"({"title": "X", "meeting": ")" + meeting.Hex() + "\"}")}});
  };
  const auto refused = with_meeting(house.laender, inner);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kDenied);
  CHECK(refused.error().message.find("meeting") != std::string::npos);
  CHECK(refused.error().message.find(inner.Hex().substr(0, 8)) != std::string::npos);
  CHECK(with_meeting(own, inner));
  CHECK(with_meeting(own, shared));
  CHECK(with_meeting(house.laender, shared));
  CHECK_FALSE(with_meeting(house.guests, shared));
  // In a set's element, and as the author.
  const auto record = house.ni.random().DrawId<RecordId>();
  CHECK_FALSE(house.ni.store().Apply(
      {.audience = house.laender,
       .records = {house.EditOf(house.ni, kResolution, record, RecordEdit::Mode::kCreate,
                                R"({"title": "X", "references": [")" + inner.Hex() + "\"]}")}}));
  Edit signed_edit = testing::NewNote(house.laender, record, "N");
  signed_edit.author = inner;
  CHECK(house.ni.store().Apply(signed_edit).error().code == ErrorCode::kDenied);

  // A release names what hinders it, and goes once that is released, too, or left out.
  const RecordId draft = house.Draft(R"(, "meeting": ")" + shared.Hex() + "\"");
  const auto hindered = house.Release(house.ni, draft, house.guests);
  REQUIRE_FALSE(hindered);
  CHECK(hindered.error().message.find(shared.Hex().substr(0, 8)) != std::string::npos);
  ReleaseOrder without;
  without.without = {"meeting"};
  Value(house.Release(house.ni, draft, house.guests, kResolution, without));
  Value(house.Release(house.ni, shared, house.guests, kMeeting));
  Value(house.Release(house.ni, draft, house.guests));
  CHECK(house.Json(house.ni, draft, house.guests).find(shared.Hex()) != std::string::npos);
}

}  // namespace
}  // namespace staffel
