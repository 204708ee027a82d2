// SPDX-License-Identifier: EUPL-1.2
// What people see of values, and what of their input is refused: times as they read them, labels
// in both languages, members and references that there are.
#include "core/record/agenda_number.h"
#include "core/record/input.h"
#include "core/record/marking.h"
#include "core/record/view.h"
#include "core/record/wording.h"
#include "tests/core/record/fixture.h"

using namespace staffel;
using namespace staffel::record;

namespace {

Wording German() { return {.times_as_stored = false}; }
Wording English() { return {.language = Language::kEnglish, .times_as_stored = false}; }

InputContext With(ElementIds& ids, std::vector<std::string> members) {
  InputContext context;
  context.ids = &ids;
  context.members = std::move(members);
  return context;
}

std::string RefusalOf(const Result<std::vector<CellWrite>>& made) {
  REQUIRE_FALSE(made);
  return made.error().message;
}

Result<std::vector<CellWrite>> Assigned(std::string_view kind, std::vector<std::string> assignments,
                                        const InputContext& context, ByteView row = {}) {
  auto object = ParseAssignments(KindNamed(kind), assignments);
  if (!object) return Forward(object);
  return row.empty() ? CellsOfRecord(KindNamed(kind), *object, context)
                     : EditsOf(KindNamed(kind), *object, row, context);
}

}  // namespace

TEST_CASE("the end of a day is said as 24 Uhr, and dates as people read them") {
  CHECK(SayTime("2025-01-22T24:00", German()) == "22.01.2025, 24 Uhr");
  CHECK(SayTime("2025-01-22T24:00", English()) == "22 Jan 2025, 24:00");
  CHECK(SayTime("2025-04-03", German()) == "03.04.2025");
  CHECK(SayTime("2025-04-03", English()) == "3 Apr 2025");
  CHECK(SayTime("2024-09-10T13:00", German()) == "10.09.2024, 13:00 Uhr");
  CHECK(SayTime("2024-09-10T13:00:05", German()) == "10.09.2024, 13:00:05 Uhr");
  CHECK(SayTime("2025-01-22T24:00", Wording()) == "2025-01-22T24:00");
}

TEST_CASE("points in time are said as the clocks in Berlin show them, in summer and in winter") {
  const auto at = [](const char* text) { return *ParseTime(text); };
  CHECK(SayInstant(at("2025-06-13T10:00:00Z"), German()) == "13.06.2025, 12:00 Uhr");
  CHECK(SayInstant(at("2025-06-30T22:00:00Z"), German()) == "01.07.2025, 00:00 Uhr");
  CHECK(SayInstant(at("2025-01-13T10:00:00Z"), English()) == "13 Jan 2025, 11:00");
  CHECK(SayInstant(at("2025-06-13T10:00:00Z"), Wording()) == "2025-06-13T10:00:00Z");
}

TEST_CASE("text that is no time is shown as it is") {
  for (const char* text : {"", "bald", "2025-13-01", "2025-02-30T10:00", "2025-01-01T99:00",
                           "2025-01-01T", "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"}) {
    CHECK(SayTime(text, German()) == text);
  }
}

TEST_CASE("enumerations, truth values and emptiness are said in the language asked for") {
  const Kind& kind = KindNamed("resolution");
  const Cells cells = MakeCells("resolution", R"({"title": "x", "stage": "final"})");
  CHECK(FieldText(kind, cells.Row(kind), "stage", German()) == "Endfassung");
  CHECK(FieldText(kind, cells.Row(kind), "stage", English()) == "final");
  const Cell title = cells.values().begin()->first;
  CHECK(ValueToText(kind, title, std::nullopt, English()) == "(empty)");
  CHECK(ValueToText(kind, DeletedCell(), Bytes("\x08\x01"), English()) == "deleted");
  CHECK(TitleOf(KindNamed("note"), "", English()) == "(no title)");
}

TEST_CASE("a reference is named where somebody knows its name") {
  const std::string id(32, '7');
  const Kind& kind = KindNamed("note");
  const Cells cells = MakeCells("note", R"({"text": "x", "about": ")" + id + "\"}");
  Wording wording = German();
  wording.name_record = [](ByteView bytes) { return "Sitzung " + ToHex(bytes).substr(0, 2); };
  const auto about = std::prev(cells.values().end());
  CHECK(ValueToText(kind, about->first, about->second, wording) == "Sitzung 77");
  CHECK(ValueToText(kind, about->first, about->second) == id);
}

TEST_CASE("cells are read in the order of their record, whatever their ids are") {
  const Kind& kind = KindNamed("resolution");
  const Cells cells =
      MakeCells("resolution", R"({"title": "x", "items": ["Eins", "Zwei", "Drei"]})");
  const Bytes row = cells.Row(kind);
  std::vector<CellPlace> places;
  for (const auto& [cell, value] : cells.values()) places.push_back(PlaceOf(kind, cell, row));
  CHECK(std::is_sorted(places.begin(), places.end()));
  CHECK(places.back().element == 2);
  // What is no longer in the row stands behind what is.
  CHECK(PlaceOf(kind, std::prev(cells.values().end())->first, "").element == 0);
  CHECK(IsPositionCell(kind, std::next(cells.values().begin())->first));
  CHECK_FALSE(IsPositionCell(kind, cells.values().begin()->first));
}

TEST_CASE("the title as it is shown can be searched for") {
  const Kind& kind = KindNamed("resolution");
  const Cells cells =
      MakeCells("resolution", R"({"title": "Migrationsberatung", "number": "2.3"})");
  CHECK(SearchTextOf(kind, cells.Row(kind)).find("TOP 2.3 Migrationsberatung") !=
        std::string::npos);
}

TEST_CASE("members that the conference does not have are refused, naming those it has") {
  CountedIds ids;
  const InputContext context = With(ids, {"BY", "NI"});
  const std::string message =
      RefusalOf(Assigned("event", {"title=x", "when.start=2025-05-01", "responsible=ZZ"}, context));
  CHECK_THAT(message, Catch::Contains("responsible"));
  CHECK_THAT(message, Catch::Contains("'ZZ' is no member of this conference; there are: BY, NI"));
  CHECK_THAT(RefusalOf(Assigned("resolution", {"title=x", "originators+=XX"}, context)),
             Catch::Contains("'XX' is no member"));
  CHECK_THAT(RefusalOf(Assigned("ballot", {"title=x", R"(votes_cast={"XX": "J"})"}, context)),
             Catch::Contains("votes_cast.XX"));
  CHECK(Assigned("event", {"title=x", "when.start=2025-05-01", "responsible=BY,NI"}, context));
}

TEST_CASE("a member that has left can still be taken off a list") {
  CountedIds ids;
  const Kind& kind = KindNamed("event");
  const Cells cells = MakeCells(
      "event", R"({"title": "x", "when": {"start": "2025-05-01"}, "responsible": ["ZZ"]})");
  const auto removed =
      Assigned("event", {"responsible-=ZZ"}, With(ids, {"BY", "NI"}), cells.Row(kind));
  REQUIRE(removed);
  CHECK(removed->size() == 1);
}

TEST_CASE("a full id of a record that is not here is refused where that can be checked") {
  CountedIds ids;
  InputContext context = With(ids, {});
  const std::string id(32, '0');
  CHECK(Assigned("note", {"text=x", "about=" + id}, context));
  context.check_reference = [](std::uint32_t, const RecordId&) -> Status {
    return Fail(ErrorCode::kNotFound, "not here");
  };
  CHECK_THAT(RefusalOf(Assigned("note", {"text=x", "about=" + id}, context)),
             Catch::Contains("'about': not here"));
}

TEST_CASE("a required field is not emptied, neither by an edit nor by deciding a conflict") {
  CountedIds ids;
  const InputContext context = With(ids, {});
  const Kind& kind = KindNamed("event");
  const Cells cells = MakeCells("event", R"({"title": "x", "when": {"start": "2025-05-01"}})");
  const Cell title = cells.values().begin()->first;
  for (const char* text : {"", "  "}) {
    const auto written = ValueForCell(kind, title, text, context);
    REQUIRE_FALSE(written);
    CHECK(written.error().message == "field 'title': must not be empty");
  }
  CHECK_THAT(RefusalOf(Assigned("event", {"title="}, context, cells.Row(kind))),
             Catch::Contains("must not be empty"));
  CHECK_THAT(RefusalOf(Assigned("event", {"when="}, context, cells.Row(kind))),
             Catch::Contains("must not be empty"));
  CHECK_THAT(RefusalOf(Assigned("event", {"title=x"}, context)), Catch::Contains("'when'"));
}

TEST_CASE("a marked name is refused, saying what it is the name of") {
  CHECK(RefuseMarked("name of a member", "Niedersachsen"));
  const auto refused = RefuseMarked("conference's name", "VS-NfD Runde");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kDenied);
  CHECK_THAT(refused.error().message, Catch::Contains("the conference's name is marked VS-NfD"));
}
