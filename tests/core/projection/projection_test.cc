// SPDX-License-Identifier: EUPL-1.2
#include "core/projection/projection.h"

#include "core/base/wire.h"
#include "core/projection/fresh.h"
#include "core/record/edit.h"
#include "core/record/view.h"
#include "tests/core/projection/past.h"
#include "tests/core/record/fixture.h"

using namespace staffel;
using namespace staffel::projection;
using record::Field;
using record::KindNamed;

namespace {

const Bytes kDeleted("\x08\x01");

const record::Kind& Resolution() { return KindNamed("resolution"); }
const Field& FieldOf(std::string_view kind, std::string_view name) {
  return *KindNamed(kind).Find(name);
}

Bytes TextValue(std::uint32_t number, std::string_view text) {
  Bytes wire;
  AppendBytesField(wire, number, text);
  return wire;
}

const Cell kTitle = FieldCell(2);
const Cell kReasons = FieldCell(11);
Bytes Title(std::string_view text) { return TextValue(2, text); }
Bytes Reasons(std::string_view text) { return TextValue(11, text); }

const ElementId kZiffer = *ElementId::From(Bytes(16, '\x11'));
const ElementId kOther = *ElementId::From(Bytes(16, '\x22'));
Cell ItemCell(const ElementId& id, std::string_view part) {
  const Field& items = FieldOf("resolution", "items");
  return record::PartCell(items, id, *items.FindPart(part));
}
Bytes Position(std::string_view text) { return TextValue(2, text); }
Bytes Text(std::string_view text) { return TextValue(3, text); }

Projection ProjectResolution(const TestPast& past) { return Project(past.State(6), past); }
std::string Json(const Projection& projection) {
  return record::RowToJson(Resolution(), projection.row);
}

std::vector<std::uint64_t> Times(const Conflict& conflict) {
  std::vector<std::uint64_t> times;
  for (const Head& head : conflict.heads) times.push_back(head.time.value);
  std::sort(times.begin(), times.end());
  return times;
}

}  // namespace

TEST_CASE("two Länder edit one title: both are kept, the later is shown, and the base is named") {
  TestPast past;
  past.Add(1, 10, {{kTitle, Title("alt"), {}}});
  past.Add(2, 20, {{kTitle, Title("NW"), {1}}}, "NW");
  past.Add(3, 15, {{kTitle, Title("BY"), {1}}}, "BY");
  const Projection projection = ProjectResolution(past);
  CHECK(Json(projection) == R"({"title":"NW"})");
  REQUIRE(projection.conflicts.size() == 1);
  const Conflict& conflict = projection.conflicts.front();
  CHECK(conflict.cell == kTitle);
  CHECK(conflict.kind == ConflictKind::kValue);
  CHECK(conflict.heads.size() == 2);
  CHECK(conflict.provisional == EntryNamed(2));
  CHECK(conflict.base == Title("alt"));
}

TEST_CASE("equal times are decided by the entry id") {
  TestPast past;
  past.Add(7, 10, {{kTitle, Title("sieben"), {}}});
  past.Add(8, 10, {{kTitle, Title("acht"), {}}});
  CHECK(Json(ProjectResolution(past)) == R"({"title":"acht"})");
}

TEST_CASE("equal bytes agree, and a decision ends the conflict") {
  TestPast past;
  past.Add(1, 10, {{kTitle, Title("gleich"), {}}});
  past.Add(2, 20, {{kTitle, Title("gleich"), {}}});
  CHECK(ProjectResolution(past).conflicts.empty());
  past.Add(3, 30, {{kTitle, Title("anders"), {}}});
  CHECK(ProjectResolution(past).conflicts.size() == 1);
  past.Add(4, 5, {{kTitle, Title("gleich"), {1, 2, 3}}});
  const Projection decided = ProjectResolution(past);
  CHECK(decided.conflicts.empty());
  CHECK(Json(decided) == R"({"title":"gleich"})");
}

TEST_CASE("emptied beside edited is a conflict of a register") {
  TestPast past;
  past.Add(1, 10, {{kTitle, Title("alt"), {}}});
  past.Add(2, 20, {{kTitle, Title("neu"), {1}}});
  past.Add(3, 30, {{kTitle, std::nullopt, {1}}});
  const Projection projection = ProjectResolution(past);
  CHECK(projection.conflicts.size() == 1);
  CHECK(Json(projection) == "{}");
}

TEST_CASE("edits of different fields and of different Ziffern merge") {
  TestPast past;
  past.Add(1, 10,
           {{kTitle, Title("a"), {}},
            {kReasons, Reasons("b"), {}},
            {ItemCell(kZiffer, "position"), Position("1"), {}},
            {ItemCell(kZiffer, "text"), Text("Eins"), {}},
            {ItemCell(kOther, "position"), Position("2"), {}},
            {ItemCell(kOther, "text"), Text("Zwei"), {}}});
  past.Add(2, 20, {{kTitle, Title("a2"), {1}}, {ItemCell(kZiffer, "text"), Text("Eins neu"), {1}}});
  past.Add(3, 20,
           {{kReasons, Reasons("b2"), {1}}, {ItemCell(kOther, "text"), Text("Zwei neu"), {1}}});
  const Projection projection = ProjectResolution(past);
  CHECK(projection.conflicts.empty());
  CHECK(
      Json(projection) ==
      R"({"title":"a2","items":[{"id":"11111111111111111111111111111111","position":"1","text":"Eins neu"},)"
      R"({"id":"22222222222222222222222222222222","position":"2","text":"Zwei neu"}],"reasons":"b2"})");
}

TEST_CASE("an erased head does not compete, and only erased heads say so") {
  TestPast past;
  past.Add(1, 10, {{kTitle, Title("bleibt"), {}}});
  past.Add(2, 20, {{kTitle, Title("getilgt"), {}}});
  past.Erase(2);
  const Projection projection = ProjectResolution(past);
  CHECK(projection.conflicts.empty());
  CHECK(Json(projection) == R"({"title":"bleibt"})");
  CHECK_FALSE(projection.erased);
  past.Erase(1);
  const Projection erased = ProjectResolution(past);
  CHECK(erased.erased);
  CHECK(erased.row.empty());
}

TEST_CASE(
    "the base is nothing where the edits started from nothing, from different values, or an erased "
    "one") {
  TestPast past;
  past.Add(1, 10, {{kTitle, Title("a"), {}}});
  past.Add(2, 11, {{kTitle, Title("b"), {}}});
  CHECK_FALSE(ProjectResolution(past).conflicts.front().base.has_value());
  past.Add(3, 12, {{kTitle, Title("c"), {1, 2}}});
  past.Add(4, 13, {{kTitle, Title("d"), {1, 2}}});
  CHECK_FALSE(ProjectResolution(past).conflicts.front().base.has_value());
  past.Add(5, 14, {{kTitle, Title("e"), {3, 4}}});
  past.Add(6, 15, {{kTitle, Title("f"), {5}}});
  past.Add(7, 16, {{kTitle, Title("g"), {5}}});
  past.Add(8, 17, {{kTitle, Title("h"), {7}}});
  CHECK(ProjectResolution(past).conflicts.front().base == Title("e"));
  past.Erase(5);
  CHECK_FALSE(ProjectResolution(past).conflicts.front().base.has_value());
}

TEST_CASE("an element added beside removed stays, without conflict") {
  const Cell by = record::MemberCell(FieldOf("resolution", "originators"), *MemberId::From("BY"));
  TestPast past;
  past.Add(1, 10, {{by, TextValue(6, "BY"), {}}});
  past.Add(2, 30, {{by, std::nullopt, {1}}});
  CHECK(Json(ProjectResolution(past)) == "{}");
  past.Add(3, 20, {{by, TextValue(6, "BY"), {1}}});
  const Projection projection = ProjectResolution(past);
  CHECK(projection.conflicts.empty());
  CHECK(Json(projection) == R"({"originators":["BY"]})");
}

TEST_CASE("a vote counts only from its owner's cell") {
  const Field& cast = FieldOf("ballot", "votes_cast");
  const MemberId ni = *MemberId::From("NI");
  const MemberId by = *MemberId::From("BY");
  const Bytes yes_ni = *FromHex("42060a024e491001");
  TestPast past;
  past.Add(1, 10, {{EncodeCell({{}, {cast.number, ni}}), yes_ni, {}}});  // anyone's cell
  past.Add(2, 10,
           {{EncodeCell({{OwnerKind::kMember, by}, {cast.number, ni}}),
             yes_ni,
             {}}});  // BY's, at NI's place
  past.Add(3, 10,
           {{EncodeCell({{OwnerKind::kMember, by}, {cast.number, by}}),
             yes_ni,
             {}}});  // BY's, naming NI
  past.Add(4, 10, {{EncodeCell({{OwnerKind::kChair, {}}, {cast.number, ni}}), yes_ni, {}}});
  CHECK(Project(past.State(8), past).row.empty());
  past.Add(5, 10, {{record::MemberCell(cast, ni), yes_ni, {}}});
  CHECK(record::RowToJson(KindNamed("ballot"), Project(past.State(8), past).row) ==
        R"({"votes_cast":{"NI":"J"}})");
  // The result is the chair's: what anyone writes there is no result.
  TestPast forged;
  forged.Add(1, 10, {{FieldCell(16), *FromHex("800101"), {}}});
  CHECK(ProjectResolution(forged).row.empty());
}

TEST_CASE("elements stand by position, ties by id, those without one last") {
  TestPast past;
  const ElementId third = *ElementId::From(Bytes(16, '\x01'));
  past.Add(1, 10,
           {{ItemCell(kOther, "position"), Position("V"), {}},
            {ItemCell(kOther, "text"), Text("b"), {}},
            {ItemCell(kZiffer, "position"), Position("V"), {}},
            {ItemCell(kZiffer, "text"), Text("a"), {}},
            {ItemCell(third, "text"), Text("c"), {}}});
  const std::string json = Json(ProjectResolution(past));
  CHECK(json.find("\"a\"") < json.find("\"b\""));
  CHECK(json.find("\"b\"") < json.find("\"c\""));
}

TEST_CASE(
    "a removed Ziffer is gone, and a text written beside the removal is shown, as a conflict, at "
    "its "
    "place") {
  TestPast past;
  const Cell position = ItemCell(kZiffer, "position");
  const Cell text = ItemCell(kZiffer, "text");
  past.Add(1, 10, {{position, Position("V"), {}}, {text, Text("Eins"), {}}});
  past.Add(2, 30, {{position, std::nullopt, {1}}, {text, std::nullopt, {1}}}, "NI");
  CHECK(Json(ProjectResolution(past)) == "{}");
  past.Add(3, 20, {{text, Text("Eins neu"), {1}}}, "HE");
  const Projection both = ProjectResolution(past);
  CHECK(
      Json(both) ==
      R"({"items":[{"id":"11111111111111111111111111111111","position":"V","text":"Eins neu"}]})");
  REQUIRE(both.conflicts.size() == 1);
  CHECK(both.conflicts[0].cell == text);
  CHECK(Times(both.conflicts[0]) == std::vector<std::uint64_t>{20, 30});
  CHECK(both.conflicts[0].base == Text("Eins"));
  CHECK(both.conflicts[0].provisional == EntryNamed(3));

  SECTION("deciding for the text keeps it, at its place") {
    past.Add(4, 40, {{text, Text("Eins neu"), {2, 3}}});
    const Projection decided = ProjectResolution(past);
    CHECK(decided.conflicts.empty());
    CHECK(Json(decided) == Json(both));
    past.Add(5, 50, {{text, Text("Eins noch neuer"), {4}}});
    CHECK(ProjectResolution(past).conflicts.empty());
  }
  SECTION("deciding for the removal removes it") {
    past.Add(4, 40, {{text, std::nullopt, {2, 3}}});
    CHECK(ProjectResolution(past).conflicts.empty());
    CHECK(Json(ProjectResolution(past)) == "{}");
  }
}

TEST_CASE(
    "a field written beside a removal that did not know of it is a conflict, until someone "
    "decides") {
  TestPast past;
  const Cell position = ItemCell(kZiffer, "position");
  const Cell text = ItemCell(kZiffer, "text");
  const Cell heading = ItemCell(kZiffer, "heading");
  past.Add(1, 10, {{position, Position("V"), {}}, {text, Text("Eins"), {}}});
  past.Add(2, 30, {{position, std::nullopt, {1}}, {text, std::nullopt, {1}}});
  past.Add(3, 20, {{heading, TextValue(4, "Überschrift"), {}}});
  const Projection both = ProjectResolution(past);
  REQUIRE(both.conflicts.size() == 1);
  CHECK(both.conflicts[0].cell == heading);
  CHECK(Times(both.conflicts[0]) == std::vector<std::uint64_t>{20, 30});
  CHECK(Json(both).find("Überschrift") != std::string::npos);
  // A decision names all that competed.
  past.Add(4, 40, {{heading, TextValue(4, "Überschrift"), {2, 3}}});
  CHECK(ProjectResolution(past).conflicts.empty());
}

TEST_CASE("a move beside a removal removes, and two moves are a conflict of the place") {
  TestPast past;
  const Cell position = ItemCell(kZiffer, "position");
  const Cell text = ItemCell(kZiffer, "text");
  past.Add(1, 10, {{position, Position("V"), {}}, {text, Text("Eins"), {}}});
  past.Add(2, 20, {{position, Position("a"), {1}}});
  past.Add(3, 30, {{position, std::nullopt, {1}}, {text, std::nullopt, {1}}});
  const Projection removed = ProjectResolution(past);
  CHECK(removed.conflicts.empty());
  CHECK(Json(removed) == "{}");
  TestPast moved;
  moved.Add(1, 10, {{position, Position("V"), {}}, {text, Text("Eins"), {}}});
  moved.Add(2, 20, {{position, Position("a"), {1}}});
  moved.Add(3, 30, {{position, Position("b"), {1}}});
  const Projection two = ProjectResolution(moved);
  REQUIRE(two.conflicts.size() == 1);
  CHECK(two.conflicts[0].cell == position);
  CHECK(two.conflicts[0].base == Position("V"));
}

TEST_CASE("deleted by one who knew of everything: the record is deleted and nothing competes") {
  TestPast past;
  past.Add(1, 10, {{kTitle, Title("a"), {}}});
  past.Add(2, 20, {{kTitle, Title("b"), {}}, {kReasons, Reasons("c"), {}}});
  past.Add(3, 30, {{DeletedCell(), kDeleted, {1, 2}}});
  const Projection projection = ProjectResolution(past);
  CHECK(projection.deleted);
  CHECK(projection.conflicts.empty());
  CHECK(Json(projection) == R"({"deleted":true,"title":"b","reasons":"c"})");
  past.Add(4, 40, {{DeletedCell(), std::nullopt, {3}}});
  CHECK_FALSE(ProjectResolution(past).deleted);
  CHECK(ProjectResolution(past).conflicts.size() == 1);
}

TEST_CASE(
    "deleted beside edited: the record stays visible, and the edit is listed with the deletion") {
  TestPast past;
  past.Add(1, 10, {{kTitle, Title("a"), {}}, {kReasons, Reasons("c"), {}}});
  past.Add(2, 20, {{DeletedCell(), kDeleted, {1}}}, "NI");
  past.Add(3, 15, {{kTitle, Title("b"), {1}}}, "HE");
  const Projection projection = ProjectResolution(past);
  CHECK_FALSE(projection.deleted);
  CHECK(Json(projection) == R"({"title":"b","reasons":"c"})");
  REQUIRE(projection.conflicts.size() == 1);
  const Conflict& conflict = projection.conflicts[0];
  CHECK(conflict.kind == ConflictKind::kDeletedBesideEdited);
  CHECK(conflict.cell == kTitle);
  CHECK(Times(conflict) == std::vector<std::uint64_t>{15, 20});
  CHECK(conflict.provisional.is_zero());
  CHECK(conflict.base == Title("a"));
  // Deleted again, by one who saw the edit.
  past.Add(4, 40, {{DeletedCell(), kDeleted, {1, 2, 3}}});
  CHECK(ProjectResolution(past).deleted);
}

TEST_CASE("an edit, a deletion unaware of it and one aware of it: no false conflict") {
  TestPast past;
  past.Add(1, 10, {{kTitle, Title("a"), {}}});
  past.Add(2, 20, {{kTitle, Title("b"), {1}}});
  past.Add(3, 21, {{DeletedCell(), kDeleted, {1}}}, "BY");
  past.Add(4, 22, {{DeletedCell(), kDeleted, {2}}}, "NI");
  CHECK(ProjectResolution(past).deleted);
  CHECK(ProjectResolution(past).conflicts.empty());
}

TEST_CASE("a deletion that knew a later edit, void by now, knew what that one covered") {
  TestPast past;
  past.Add(1, 10, {{kTitle, Title("a"), {}}});
  past.Add(2, 20, {{kTitle, Title("b"), {1}}});
  past.Add(3, 30, {{DeletedCell(), kDeleted, {2}}});
  past.Void(2);
  REQUIRE(past.HeadsOf(kTitle) == std::vector<std::uint64_t>{1});
  CHECK(ProjectResolution(past).deleted);
}

TEST_CASE("deleted beside restored is a conflict of its own, and the record stays visible") {
  TestPast past;
  past.Add(1, 10, {{kTitle, Title("a"), {}}});
  past.Add(2, 20, {{DeletedCell(), kDeleted, {1}}});
  past.Add(3, 30, {{DeletedCell(), kDeleted, {1, 2}}}, "BY");
  past.Add(4, 25, {{DeletedCell(), std::nullopt, {2}}}, "HE");
  const Projection projection = ProjectResolution(past);
  CHECK_FALSE(projection.deleted);
  REQUIRE(projection.conflicts.size() == 1);
  CHECK(projection.conflicts[0].cell == DeletedCell());
  CHECK(projection.conflicts[0].kind == ConflictKind::kValue);
}

TEST_CASE("clean values written with the deletion, as an erasure does, do not stand against it") {
  TestPast past;
  past.Add(1, 10, {{kTitle, Title("Wanda"), {}}});
  past.Add(2, 20, {{kTitle, Title("Gast des Bundes"), {1}}, {DeletedCell(), kDeleted, {1}}});
  past.Erase(1);
  CHECK(ProjectResolution(past).deleted);
}

TEST_CASE("fields and kinds unknown to this version keep their bytes") {
  TestPast past;
  Bytes newer, element;
  AppendBytesField(newer, 300, "neu");
  past.Add(1, 10,
           {{kTitle, Title("a"), {}},
            {FieldCell(300), newer, {}},
            {EncodeCell({{}, {301u, kZiffer, 3u}}), Text("x"), {}},
            {EncodeCell({{}, {301u, kZiffer, 2u}}), Position("V"), {}},
            {ItemCell(kOther, "text"), Text("y"), {}},
            {EncodeCell({{}, {10u, kOther, 40u}}), TextValue(40, "z"), {}}});
  AppendBytesField(element, 1, kZiffer.bytes());
  element += Position("V") + Text("x");
  Bytes ziffer, row = Title("a");
  AppendBytesField(ziffer, 1, kOther.bytes());
  ziffer += Text("y") + TextValue(40, "z");
  AppendBytesField(row, 10, ziffer);
  row += newer;
  AppendBytesField(row, 301, element);
  CHECK(ToHex(ProjectResolution(past).row) == ToHex(row));
  Bytes unknown_kind = Title("a");
  AppendBytesField(unknown_kind, 10, ziffer);
  unknown_kind += newer;
  AppendBytesField(unknown_kind, 301, element);
  CHECK(ToHex(Project(past.State(4711), past).row) == ToHex(unknown_kind));
}

TEST_CASE("a value without its field's form is listed, and never breaks a row") {
  TestPast past;
  past.Add(1, 10, {{kTitle, Title("gut"), {}}});
  past.Add(2, 20,
           {{kTitle, Bytes("\x12\x01\xff"), {}},
            {kReasons, Bytes("\xff\xff"), {}},
            {FieldCell(6), Bytes("\x32\x02NI"), {}}});
  const Projection projection = ProjectResolution(past);
  CHECK(projection.row.empty());
  CHECK(projection.conflicts.size() == 1);
}

TEST_CASE("golden rows: these bytes are frozen with the projection's version") {
  REQUIRE(kProjectionVersion == 1);
  record::CountedIds ids;
  const std::string json =
      R"({"title":"T","number":"2.3","originators":["NW","BY"],"items":["Eins","Zwei"],"stage":"final","outcome":"angenommen",
          "release":{"decision":true,"annexes":true},"keywords":["k"]})";
  const auto writes =
      record::CellsOfRecord(Resolution(), *record::ParseJson(json), {&ids, {}, json});
  REQUIRE(writes);
  TestPast past;
  std::vector<TestPast::Write> changes;
  std::vector<CellValue> values;
  for (const auto& write : *writes) {
    changes.push_back({write.cell, write.value, {}});
    values.push_back({write.cell, *write.value});
  }
  past.Add(1, 10, changes);
  const std::string id1 = "01" + std::string(30, '0'), id2 = "02" + std::string(30, '0'),
                    id3 = "03" + std::string(30, '0');
  const std::string golden =
      "120154"
      "1a03322e33"
      "32024259"
      "32024e57"
      "521b0a10" +
      id1 +
      "12014b"
      "1a0445696e73"
      "521b0a10" +
      id2 +
      "120166"
      "1a045a776569"
      "7804"
      "800101"
      "8a010408011801"
      "9a01150a10" +
      id3 + "12016b";
  CHECK(ToHex(ProjectResolution(past).row) == golden);
  CHECK(ToHex(RowOfValues(6, values).row) == golden);
}
