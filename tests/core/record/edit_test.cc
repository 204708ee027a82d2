// SPDX-License-Identifier: EUPL-1.2
#include "core/record/edit.h"

#include "core/record/row.h"
#include "core/record/view.h"
#include "tests/core/record/fixture.h"

using namespace staffel;
using namespace staffel::record;

namespace {

std::string NewRefusal(std::string_view kind, std::string_view json) {
  const auto made = TryNew(kind, json);
  INFO(json);
  REQUIRE_FALSE(made);
  return made.error().message;
}

bool Has(const std::string& text, std::string_view part) {
  INFO(text);
  CHECK(text.find(part) != std::string::npos);
  return text.find(part) != std::string::npos;
}

// Edits a record and gives it as JSON.
class Record {
 public:
  Record(std::string_view kind, std::string_view json)
      : kind_(KindNamed(kind)), cells_(MakeCells(kind, json)) {}

  Status Edit(std::string_view json) {
    auto object = ParseJson(json);
    if (!object) return Forward(object);
    return Apply(*object, json);
  }
  Status Assign(const std::vector<std::string>& assignments) {
    auto object = ParseAssignments(kind_, assignments);
    if (!object) return Forward(object);
    return Apply(*object, {});
  }
  std::string Json() const { return RowToJson(kind_, cells_.Row(kind_)); }
  Bytes Row() const { return cells_.Row(kind_); }
  const std::vector<CellWrite>& last() const { return last_; }

 private:
  Status Apply(const JsonValue& object, std::string_view source) {
    // The store keeps the row alive while the edit is worked out; so do we.
    const Bytes row = cells_.Row(kind_);
    auto writes = EditsOf(kind_, object, row, {&ids_, {}, source});
    if (!writes) return Forward(writes);
    last_ = *writes;
    cells_.Apply(*writes);
    return {};
  }

  const Kind& kind_;
  Cells cells_;
  CountedIds first_ids_;
  struct LaterIds final : ElementIds {
    ElementId Next(std::string_view) override {
      Bytes bytes(16, '\0');
      bytes[0] = static_cast<char>(0xA0 + count++);
      return *ElementId::From(bytes);
    }
    int count = 1;
  } ids_;
  std::vector<CellWrite> last_;
};

constexpr const char* kMeeting =
    R"({"title": "Hauptkonferenz", "when": {"start": "2025-04-23T11:00", "end": "2025-04-24T13:00", "zone": "Europe/Berlin"}})";

}  // namespace

TEST_CASE("a new record gives one write for each cell, in the bytes of the formats page") {
  const auto made = TryNew(
      "resolution", R"({"title": "Ä", "originators": ["NI"], "items": ["Eins"], "stage": "entwurf",
                                            "outcome": "angenommen", "release": {"decision": true, "report": false}})");
  REQUIRE(made);
  std::vector<std::string> lines;
  for (const CellWrite& write : *made)
    lines.push_back(ToHex(write.cell) + " " + ToHex(*write.value));
  const std::string id = "01" + std::string(30, '0');
  CHECK(lines == std::vector<std::string>{
                     "000102 1202c384",
                     "00010603024e49 32024e49",
                     "00010a02" + id + "0102 120156",
                     "00010a02" + id + "0103 1a0445696e73",
                     "00010f 7801",
                     "010110 800101",
                     "010111 8a01020801",
                 });
}

TEST_CASE("equal input gives equal bytes: decomposed text, seconds, order of names") {
  const auto a = TryNew("meeting",
                        "{\"title\": \"Gru\u0308n\", \"when\": {\"zone\": \"Europe/Berlin\", "
                        "\"start\": \"2025-04-23T11:00:00\"}}");
  const auto b = TryNew("meeting",
                        "{\"when\": {\"start\": \"2025-04-23T11:00\", \"zone\": "
                        "\"Europe/Berlin\"}, \"title\": \"Gr\u00fcn \"}");
  REQUIRE(a);
  REQUIRE(b);
  CHECK(*a == *b);
}

TEST_CASE("each refusal of a new record names the field and the place") {
  Has(NewRefusal("resolution", "{\n  \"titel\": \"x\"}"), "line 2, column ");
  Has(NewRefusal("resolution", R"({"titel": "x"})"), "did you mean 'title'?");
  Has(NewRefusal("resolution", R"({"title": 5})"),
      "field 'title': text is wanted here, not a number");
  Has(NewRefusal("resolution", R"({"title": ""})"), "must not be empty");
  Has(NewRefusal("resolution", R"({})"), "field 'title'");
  Has(NewRefusal("resolution", R"({"title": "a\nb"})"), "several lines");
  Has(NewRefusal("resolution", R"({"title": "a\u0000b"})"), "NUL");
  Has(NewRefusal("resolution", R"({"title": "a\u0007b"})"), "control character 0x07");
  Has(NewRefusal("resolution", R"({"title": "x", "number": "TOP 1"})"), "no agenda number");
  Has(NewRefusal("resolution", R"({"title": "x", "meeting": "M3"})"), "32 hexadecimal digits");
  Has(NewRefusal("resolution", R"({"title": "x", "originators": ["Niedersachsen"]})"),
      "no member id");
  Has(NewRefusal("resolution", R"({"title": "x", "originators": ["NI", "NI"]})"), "twice");
  Has(NewRefusal("resolution", R"({"title": "x", "originators": "NI"})"), "a list is wanted");
  Has(NewRefusal("resolution", R"({"title": "x", "stage": "fertig"})"),
      "is not one of: entwurf, vorgeschlagen");
  Has(NewRefusal("resolution", R"({"title": "x", "items": [""]})"), "must not be empty");
  Has(NewRefusal("resolution", R"({"title": "x", "items": [{"txt": "y"}]})"),
      "field 'items.1.txt'");
  Has(NewRefusal("resolution", R"({"title": "x", "deleted": true})"), "'deleted'");
  Has(NewRefusal("resolution", R"({"title": "x", "release": {"decision": "yes"}})"),
      "field 'release.decision'");
  Has(NewRefusal("resolution", R"({"title": "x", "report_due": "2025-02-30"})"),
      "'2025-02-30' is no real date");
  Has(NewRefusal("resolution", "{\"title\": \"" + std::string(kLineBytesMax + 1, 'x') + "\"}"),
      "are allowed");
  Has(NewRefusal("resolution", "[]"), "an object of fields");
  Has(NewRefusal("ballot", R"({"title": "x", "votes_recorded": {"NI": "X"}})"),
      "field 'votes_recorded.NI'");
  Has(NewRefusal("ballot", R"({"title": "x", "votes_recorded": {"ni": "J"}})"), "no member id");
  Has(NewRefusal("ballot", R"({"title": "x", "conditions": {"threshold": 4294967296}})"),
      "out of range");
  Has(NewRefusal("ballot", R"({"title": "x", "conditions": {"threshold": -1}})"),
      "-1 is out of range");
  Has(NewRefusal("ballot", R"({"title": "x", "conditions": {"threshold": 1.5}})"),
      "a whole number is wanted");
  Has(NewRefusal("ballot", R"({"title": "x", "conditions": {"opens_ms": "2025-13-01T00:00Z"}})"),
      "conditions.opens_ms");
  Has(NewRefusal("person", R"({"name": "x", "emails": ["ada"]})"), "no e-mail address");
  Has(NewRefusal("person", R"({"name": "x", "phones": ["anrufen!"]})"), "no telephone number");
  Has(NewRefusal("person", R"({"name": "x", "url": "javascript:alert"})"), "https://");
  Has(NewRefusal("person", R"({"name": "x", "memberships": ["NI"]})"), "an object is wanted");
  Has(NewRefusal("person", R"({"name": "x", "emails": [{"type": "privat"}]})"), "emails.address");
}

TEST_CASE("times are real, in a zone that has them, and in order") {
  const auto refusal = [](const std::string& when) {
    return NewRefusal("meeting", R"({"title": "x", "when": )" + when + "}");
  };
  Has(refusal(R"({"start": "2025-02-30T11:00", "zone": "Europe/Berlin"})"), "2025-02-30T11:00");
  Has(refusal(R"({"start": "2025-03-30T02:30", "zone": "Europe/Berlin"})"),
      "does not exist in Europe/Berlin");
  Has(refusal(R"({"start": "2025-04-23T11:00", "zone": "Europe/Göttingen"})"),
      "no known time zone");
  Has(refusal(R"({"start": "2025-04-23T11:00"})"), "needs its time zone");
  Has(refusal(R"({"start": "2025-04-23", "zone": "Europe/Berlin"})"), "without a time");
  Has(refusal(R"({"start": "2025-04-23", "end": "2025-04-23T12:00", "zone": "Europe/Berlin"})"),
      "both");
  Has(refusal(
          R"({"start": "2025-04-23T11:00", "end": "2025-04-23T10:00", "zone": "Europe/Berlin"})"),
      "ends");
  Has(refusal(R"({"start": "2025-04-23T11:00+02:00", "zone": "Europe/Berlin"})"), "without offset");
  Has(refusal("\"2025-04-23\""), "an object is wanted");
  CHECK(
      TryNew("event",
             R"({"title": "x", "when": {"start": "2025-01-22T24:00", "zone": "Europe/Berlin"}})"));
  CHECK(TryNew("event", R"({"title": "x", "when": {"start": "2025-02-19"}})"));
}

TEST_CASE("text marked as classified is refused in every field") {
  const auto made =
      TryNew("resolution", R"({"title": "x", "items": ["VS – Nur für den Dienstgebrauch: …"]})");
  REQUIRE_FALSE(made);
  CHECK(made.error().code == ErrorCode::kDenied);
  Has(made.error().message, "field 'items.1.text'");
  Has(NewRefusal("person",
                 R"({"name": "x", "emails": [{"address": "a@b.de", "type": "V S - N f D"}]})"),
      "emails.type");
}

TEST_CASE("an edit of one part of a group keeps the others") {
  Record record("meeting", kMeeting);
  REQUIRE(record.Edit(R"({"when.start": "2025-04-23T10:00"})"));
  CHECK(record.last().size() == 1);
  Has(record.Json(),
      R"("when":{"start":"2025-04-23T10:00","end":"2025-04-24T13:00","zone":"Europe/Berlin"})");
  REQUIRE(record.Edit(R"({"when": {"end": null}})"));
  Has(record.Json(), R"("when":{"start":"2025-04-23T10:00","zone":"Europe/Berlin"})");
  // The parts are judged together, also with what stood there before.
  CHECK_FALSE(record.Edit(R"({"when.end": "2025-04-22T10:00"})"));
  REQUIRE(record.Edit(R"({"when": null})"));
  CHECK(record.Json() == R"({"title":"Hauptkonferenz"})");
}

TEST_CASE("parts of a group that this version does not know survive an edit") {
  const Kind& kind = KindNamed("meeting");
  Bytes group, row;
  AppendBytesField(group, 1, "2025-04-23");
  AppendBytesField(group, 99, "neu");
  AppendBytesField(row, 4, group);
  CountedIds ids;
  const auto edits =
      EditsOf(kind, *ParseJson(R"({"when.end": "2025-04-24"})"), row, {&ids, {}, {}});
  REQUIRE(edits);
  Has(*edits->front().value, "neu");
}

TEST_CASE("null empties a field, and a required one stays") {
  Record record("meeting", kMeeting);
  REQUIRE(record.Edit(R"({"level": "Ministerebene"})"));
  REQUIRE(record.Edit(R"({"level": null})"));
  REQUIRE(record.last().size() == 1);
  CHECK_FALSE(record.last().front().value.has_value());
  CHECK_FALSE(record.Edit(R"({"title": null})"));
  CHECK_FALSE(record.Edit(R"({"title": "", "level": "x"})"));
}

TEST_CASE("a set takes a whole list, additions and removals, and writes only what changes") {
  Record record("resolution", R"({"title": "x", "originators": ["NI", "BY"]})");
  REQUIRE(record.Edit(R"({"originators": ["BY", "HE"]})"));
  CHECK(record.last().size() == 2);
  Has(record.Json(), R"("originators":["BY","HE"])");
  REQUIRE(record.Assign({"originators+=NW", "originators-=HE", "originators+=SH"}));
  Has(record.Json(), R"("originators":["BY","NW","SH"])");
  REQUIRE(record.Assign({"originators=NI,BE"}));
  Has(record.Json(), R"("originators":["BE","NI"])");
  const auto absent = record.Assign({"originators-=TH"});
  REQUIRE_FALSE(absent);
  CHECK(absent.error().code == ErrorCode::kConflict);
  REQUIRE(record.Edit(R"({"originators": null})"));
  CHECK(record.Json() == R"({"title":"x"})");
}

TEST_CASE("an address is removed by what it says, and added twice it goes as one") {
  Record record(
      "person",
      R"({"name": "Ada", "emails": [{"address": "a@x.example", "type": "dienstlich"}, "b@x.example"]})");
  Has(record.Json(), R"("emails":["b@x.example",{"address":"a@x.example","type":"dienstlich"}])");
  REQUIRE(record.Assign({"emails-=a@x.example", "emails+=c@x.example"}));
  Has(record.Json(), R"("emails":["b@x.example","c@x.example"])");
  REQUIRE(record.Assign({"emails+=c@x.example"}));
  CHECK(record.last().empty());
}

TEST_CASE("an element of several parts is removed in the form in which it was added") {
  Record record("person", R"({"name": "Ada", "emails": ["b@x.example"]})");
  const std::string full = R"({"address": "a@x.example", "type": "privat"})";
  REQUIRE(record.Assign({"emails+=" + full}));
  REQUIRE(record.Assign({"emails-=" + full}));
  CHECK(record.Json() == R"({"name":"Ada","emails":["b@x.example"]})");
  REQUIRE(record.Assign({"emails+=" + full}));
  REQUIRE(record.Assign({R"(emails-={"address": "a@x.example"})"}));
  CHECK(record.Json() == R"({"name":"Ada","emails":["b@x.example"]})");
  const auto other = record.Assign({R"(emails-={"address": "b@x.example", "type": "privat"})"});
  REQUIRE_FALSE(other);
  CHECK(other.error().code == ErrorCode::kConflict);
  const auto broken = record.Assign({R"(emails-={"address")"});
  REQUIRE_FALSE(broken);
  CHECK(broken.error().code == ErrorCode::kInvalid);
}

TEST_CASE("of two elements that say the same, the id tells which one is removed") {
  const std::string one(32, '1');
  const std::string two(32, '2');
  const auto element = [](const std::string& id) {
    return R"({"id": ")" + id + R"(", "address": "a@x.example"})";
  };
  Record record("person",
                R"({"name": "Ada", "emails": [)" + element(one) + "," + element(two) + "]}");
  REQUIRE(record.Assign({"emails-=" + element(two)}));
  CHECK(record.last().size() == 1);
  CHECK(record.Json() == R"({"name":"Ada","emails":["a@x.example"]})");
  REQUIRE_FALSE(record.Assign({"emails-=" + element(two)}));
}

TEST_CASE("the command line's form knows no numbers in a set, and says what to write") {
  Record record("person", R"({"name": "Ada", "emails": ["a@x.example"]})");
  const auto numbered = record.Assign({"emails.0.address=b@x.example"});
  REQUIRE_FALSE(numbered);
  Has(numbered.error().message, "write emails+=… to add one and emails-=… to remove it");
}

TEST_CASE("map entries are written one by one") {
  Record record("ballot", R"({"title": "x", "votes_recorded": {"NI": "J", "BY": "N"}})");
  REQUIRE(record.Edit(R"({"votes_recorded": {"BY": "E", "NI": null}})"));
  Has(record.Json(), R"("votes_recorded":{"BY":"E"})");
  REQUIRE(record.Assign({"votes_cast.HE=J"}));
  CHECK(OwnerOf(record.last().front().cell) ==
        CellOwner{OwnerKind::kMember, *MemberId::From("HE")});
  Has(record.Json(), R"("votes_cast":{"HE":"J"})");
}

TEST_CASE("elements of a sequence are edited, inserted, moved and removed by number or id") {
  Record record("resolution", R"({"title": "x", "items": ["Eins", "Zwei", "Drei"]})");
  const auto texts = [&] {
    std::string out;
    const auto object = ParseJson(record.Json());
    for (const JsonValue& item : object->Find("items")->items) out += item.Find("text")->text + " ";
    return out;
  };
  CHECK(texts() == "Eins Zwei Drei ");
  REQUIRE(record.Assign({"items.2.text=Zwei neu"}));
  CHECK(record.last().size() == 1);
  CHECK(texts() == "Eins Zwei neu Drei ");
  REQUIRE(record.Edit(
      R"({"items": {"insert": [{"text": "Anderthalb", "after": 1}, {"text": "Null", "before": "1"}]}})"));
  CHECK(texts() == "Null Eins Anderthalb Zwei neu Drei ");
  REQUIRE(record.Edit(R"({"items": {"move": [{"item": "5", "before": "1"}]}})"));
  CHECK(texts() == "Drei Null Eins Anderthalb Zwei neu ");
  CHECK(record.last().size() == 1);
  REQUIRE(record.Assign({"items-=1", "items+=Ende"}));
  CHECK(texts() == "Null Eins Anderthalb Zwei neu Ende ");
  const std::string id = ParseJson(record.Json())->Find("items")->items[1].Find("id")->text;
  REQUIRE(record.Assign({"items." + id.substr(0, 8) + ".text=EINS"}));
  CHECK(texts() == "Null EINS Anderthalb Zwei neu Ende ");
  REQUIRE(record.Edit(R"({"items.2": null, "items.3": "Dritte"})"));
  CHECK(texts() == "Null Dritte Zwei neu Ende ");
  // A removal empties every cell that the element has, its position too.
  REQUIRE(record.Edit(R"({"items.1": null})"));
  CHECK(record.last().size() == 2);
}

TEST_CASE("an element that is not there is refused as moved on, a whole list as hiding changes") {
  Record record("resolution", R"({"title": "x", "items": ["Eins", "Zwei"]})");
  for (const char* edit :
       {R"({"items.3.text": "x"})", R"({"items.0": null})", R"({"items.ffffffff": null})"}) {
    const auto refused = record.Edit(edit);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::kConflict);
  }
  CHECK_FALSE(record.Edit(R"({"items": ["Neu"]})"));
  CHECK_FALSE(
      record.Edit(R"({"items": {"insert": [{"text": "x", "after": "1", "before": "2"}]}})"));
  CHECK_FALSE(record.Edit(R"({"items": {"move": [{"item": "1", "before": "1"}]}})"));
  CHECK_FALSE(record.Edit(R"({"items.1.position": null})"));
  CHECK_FALSE(record.Edit(R"({"items": {"sort": []}})"));
}

TEST_CASE("a field named twice is refused, in whatever way") {
  Record record("resolution", R"({"title": "x", "items": ["Eins", "Zwei"]})");
  CHECK_FALSE(record.Assign({"title=a", "title=b"}));
  CHECK_FALSE(record.Edit(R"({"items.1.text": "a", "items": {"1": {"text": "b"}}})"));
  CHECK_FALSE(record.Edit(R"({"items.1.text": "a", "items.01.text": "b"})"));
  CHECK_FALSE(record.Edit(R"({"items": {"remove": ["1"]}, "items.1": null})"));
}

TEST_CASE("assignments understand plain numbers, truth values, lists and objects") {
  const Kind& kind = KindNamed("ballot");
  const auto object = ParseAssignments(
      kind, std::vector<std::string>{"title=Block", "conditions.threshold=13",
                                     "conditions.majority=anzahl", R"(votes_recorded={"NI":"J"})",
                                     "conditions.opens_ms=2025-05-30T09:00:00+02:00"});
  REQUIRE(object);
  CountedIds ids;
  const auto cells = CellsOfRecord(kind, *object, {&ids, {}, {}});
  if (!cells) FAIL(cells.error().message);
  Cells made;
  made.Apply(*cells);
  CHECK(
      RowToJson(kind, made.Row(kind)) ==
      R"({"title":"Block","conditions":{"majority":"anzahl","threshold":13,"opens_ms":"2025-05-30T07:00:00Z"},)"
      R"("votes_recorded":{"NI":"J"}})");
  for (const char* bad :
       {"title", "=x", "titel+=x", "title+=x", "originators+=", "votes_recorded={"}) {
    INFO(bad);
    CHECK_FALSE(
        (ParseAssignments(KindNamed("resolution"), std::vector<std::string>{bad}).has_value() &&
         ParseAssignments(kind, std::vector<std::string>{bad}).has_value()));
  }
}

TEST_CASE("loose numbers are for the command line only") {
  Has(NewRefusal("ballot", R"({"title": "x", "conditions": {"threshold": "13"}})"),
      "a whole number is wanted");
  Has(NewRefusal("meeting", R"({"title": "x", "closed": "true"})"), "true or false");
}

TEST_CASE("one value for one cell decides a conflict by something new") {
  const Kind& kind = KindNamed("resolution");
  CountedIds ids;
  const InputContext context{&ids, {}, {}};
  const ElementId element = ids.Next("");
  const Field& items = *kind.Find("items");
  const Cell cell = PartCell(items, element, *items.FindPart("text"));
  const auto written = ValueForCell(kind, cell, "Neu", context);
  REQUIRE(written);
  CHECK(*written == CellWrite{cell, *FromHex("1a034e6575")});
  CHECK_FALSE(ValueForCell(kind, cell, "VS-NfD", context));
  CHECK_FALSE(ValueForCell(kind, cell, "", context)->value.has_value());
  CHECK(ValueForCell(kind, RegisterCell(*kind.Find("release")), R"({"decision": true})", context)
            .has_value());
  CHECK_FALSE(ValueForCell(kind, RegisterCell(*kind.Find("release")), "ja", context).has_value());
  CHECK(*ValueForCell(kind, DeletedCell(), "true", context) == DeletionWrite());
  CHECK_FALSE(ValueForCell(kind, FieldCell(4711), "x", context).has_value());
  CHECK_FALSE(ValueForCell(kind, FieldCell(16), "angenommen", context)
                  .has_value());  // the chair's, not anyone's
}

TEST_CASE("references resolve by a name where the caller knows one") {
  CountedIds ids;
  const RecordId target = RecordIdFromSeed("d", "M3");
  const FindReference find = [&](std::uint32_t kind, std::string_view name) -> Result<RecordId> {
    if (kind == 1 && name == "M3") return target;
    return Fail(ErrorCode::kNotFound, "no record '{}'", name);
  };
  const Kind& kind = KindNamed("resolution");
  for (const char* json :
       {R"({"title":"x","meeting":"@M3"})", R"({"title":"x","meeting":{"ref":"M3"}})",
        R"({"title":"x","meeting":"M3"})"}) {
    const auto cells = CellsOfRecord(kind, *ParseJson(json), {&ids, find, json});
    if (!cells) FAIL(cells.error().message);
    CHECK(LastWireField(*(*cells)[1].value, 4).bytes == target.bytes());
  }
  const auto unknown =
      CellsOfRecord(kind, *ParseJson(R"({"title":"x","meeting":"@M4"})"), {&ids, find, {}});
  REQUIRE_FALSE(unknown);
  Has(unknown.error().message, "field 'meeting': no record 'M4'");
}

TEST_CASE("writes split by the lane that may write them") {
  const auto made = TryNew(
      "ballot",
      R"({"title": "x", "votes_recorded": {"NI": "J"}, "votes_cast": {"NI": "J", "BY": "N"}})");
  REQUIRE(made);
  const WritesByOwner split = SplitByOwner(*made);
  CHECK(split.anyone.size() == 1);
  CHECK(split.chair.size() == 1);
  REQUIRE(split.members.size() == 2);
  CHECK(split.members[0].first.text() == "BY");
}
