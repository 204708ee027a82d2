// SPDX-License-Identifier: EUPL-1.2
#include "core/record/import.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>

#include "core/record/record_id.h"
#include "core/record/row.h"
#include "core/record/view.h"
#include "tests/core/record/fixture.h"

using namespace staffel;
using namespace staffel::record;

namespace {

const std::string kHeader =
    R"({"staffel":"import","version":1,"dataset":"probe","notice":"Demodaten"})"
    "\n";

Error Refusal(const std::string& file) {
  const auto plan = ImportReader::Read(file);
  INFO(file.substr(0, 300));
  REQUIRE_FALSE(plan);
  return plan.error();
}

bool Has(const Error& error, std::string_view part) {
  INFO(error.message);
  CHECK(error.message.find(part) != std::string::npos);
  return true;
}

std::string DemoFile() {
  std::ifstream in(STAFFEL_SOURCE_DIR "/data/intmk-demo.jsonl", std::ios::binary);
  REQUIRE(in);
  return {std::istreambuf_iterator<char>(in), {}};
}

struct Demo {
  ImportPlan plan;
  std::map<std::string, Bytes> rows;                     // by key
  std::map<std::string, std::vector<std::string>> keys;  // by kind
};

const Demo& LoadDemo() {
  static const Demo demo = [] {
    auto plan = ImportReader::Read(DemoFile());
    if (!plan) FAIL(plan.error().message);
    Demo made{std::move(*plan), {}, {}};
    for (const ImportRecord& record : made.plan.records) {
      const Kind& kind = *Kinds().Find(record.kind);
      Cells cells;
      cells.Apply(record.writes);
      made.rows[record.key] = cells.Row(kind);
      made.keys[kind.name].push_back(record.key);
    }
    return made;
  }();
  return demo;
}

}  // namespace

TEST_CASE("a small data set is read with references to keys before and after") {
  const auto plan =
      ImportReader::Read(kHeader + R"({"kind":"resolution","key":"R1","title":"a","meeting":"@M1"})"
                                   "\r\n\n"
                                   R"({"kind":"meeting","key":"M1","title":"b"})");
  if (!plan) FAIL(plan.error().message);
  CHECK(plan->dataset == "probe");
  CHECK(plan->notice == "Demodaten");
  REQUIRE(plan->records.size() == 2);
  CHECK(plan->records[0].line == 2);
  CHECK(plan->records[1].line == 4);
  CHECK(plan->records[1].record == RecordIdFromSeed("probe", "M1"));
  CHECK(LastWireField(*plan->records[0].writes[1].value, 4).bytes ==
        plan->records[1].record.bytes());
}

TEST_CASE("ids of the file's own records count as there, others are judged, in their place") {
  const std::string id = RecordIdFromSeed("probe", "M1").Hex();
  const std::string meeting = R"({"kind":"meeting","key":"M1","title":"b"})";
  const auto read = [&](const std::string& reference) {
    ImportReader reader;
    REQUIRE(reader.Feed(kHeader + R"({"kind":"resolution","key":"R1","title":"a","meeting":")" +
                        reference + "\"}\n" + meeting));
    return reader.Finish([](std::uint32_t kind, const RecordId& record) -> Status {
      CHECK(kind == Kinds().Named("meeting").value()->number);
      return Fail(ErrorCode::kNotFound, "no record has the id {}", record.Hex());
    });
  };
  CHECK(read(id));
  const auto nowhere = read(std::string(32, 'f'));
  REQUIRE_FALSE(nowhere);
  Has(nowhere.error(), "line 2, column ");
  Has(nowhere.error(), "meeting");
  Has(nowhere.error(), "no record has the id ffff");
  const std::string item = R"({"kind":"resolution","key":"R2","title":"a","agenda_item":")";
  Has(Refusal(kHeader + item + id + "\"}\n" + meeting), "'M1' is of kind meeting");
}

TEST_CASE("the same file gives the same ids, another data set other ones") {
  const std::string line =
      R"({"kind":"resolution","key":"R1","title":"a","items":["x","y"],"keywords":["k"]})";
  const auto a = ImportReader::Read(kHeader + line);
  const auto b = ImportReader::Read(kHeader + line + "\n");
  REQUIRE(a);
  REQUIRE(b);
  CHECK(a->records[0].writes == b->records[0].writes);
  const auto other = ImportReader::Read(R"({"staffel":"import","version":1,"dataset":"other"})"
                                        "\n" +
                                        line);
  REQUIRE(other);
  CHECK(other->records[0].record != a->records[0].record);
  CHECK(other->records[0].writes != a->records[0].writes);
}

TEST_CASE("the file may come in pieces of any size") {
  const std::string file = DemoFile();
  const auto whole = ImportReader::Read(file);
  REQUIRE(whole);
  for (std::size_t size : {1u, 7u, 4096u}) {
    ImportReader reader;
    for (std::size_t i = 0; i < file.size(); i += size)
      REQUIRE(reader.Feed(std::string_view(file).substr(i, size)));
    const auto pieces = reader.Finish();
    REQUIRE(pieces);
    REQUIRE(pieces->records.size() == whole->records.size());
    CHECK(pieces->records.back().writes == whole->records.back().writes);
  }
}

TEST_CASE("each bad line is refused by line and reason, and nothing comes out") {
  Has(Refusal(""), "empty");
  Has(Refusal("{\"kind\":\"person\"}\n"), "line 1");
  Has(Refusal("nonsense\n"), "line 1, column");
  Has(Refusal(R"({"staffel":"import","version":2,"dataset":"x"})"), "version 2");
  CHECK(Refusal(R"({"staffel":"import","version":2,"dataset":"x"})").code ==
        ErrorCode::kUnsupported);
  Has(Refusal(R"({"staffel":"import","version":1,"dataset":"a b"})"), "dataset");
  Has(Refusal(R"({"staffel":"import","version":1,"dataset":"x","notes":""})"), "notes");
  const std::string good = R"({"kind":"person","key":"P","name":"Ada"})"
                           "\n";
  Has(Refusal(kHeader + good + "{\"kind\":\"person\",\"key\":\"Q\",\"na"), "line 3, column");
  Has(Refusal(kHeader + good + good), "line 3: the key 'P' stands there twice");
  Has(Refusal(kHeader + "[]\n"), "line 2");
  Has(Refusal(kHeader + R"({"key":"P"})"), "\"kind\" is missing");
  Has(Refusal(kHeader + R"({"kind":"persn","key":"P"})"), "did you mean 'person'?");
  Has(Refusal(kHeader + R"({"kind":"person"})"), "\"key\" is missing");
  Has(Refusal(kHeader + R"({"kind":"person","key":"a/b","name":"x"})"), "a key has");
  Has(Refusal(kHeader + R"({"kind":"person","key":"P","nam":"x"})"),
      "line 2, column 37: field 'nam'");
  Has(Refusal(kHeader + R"({"kind":"resolution","key":"R","title":"x","meeting":"@M9"})"),
      "no record of this file has the key 'M9'");
  Has(Refusal(kHeader + good + R"({"kind":"resolution","key":"R","title":"x","meeting":"@P"})"),
      "'P' is of kind person; kind meeting is wanted");
  Has(Refusal(kHeader + R"({"kind":"event","key":"E","title":"x","when":{"start":"2025-02-30"}})"),
      "'2025-02-30' is no real date");
  CHECK(Refusal(kHeader + R"({"kind":"note","key":"N","text":"VS-NfD"})").code ==
        ErrorCode::kDenied);
  Has(Refusal(kHeader + "{\"kind\":\"note\",\"key\":\"N\",\"text\":\"\xff\"}"), "line 2");
}

TEST_CASE("a line without end is refused at its limit, long before it is read") {
  ImportReader reader;
  REQUIRE(reader.Feed(kHeader));
  const std::string piece(64 * 1024, 'x');
  std::size_t fed = 0;
  Status fed_status;
  while (fed_status && fed < (std::size_t{1} << 31)) {
    fed_status = reader.Feed(piece);
    fed += piece.size();
  }
  REQUIRE_FALSE(fed_status);
  CHECK(fed_status.error().code == ErrorCode::kTooLarge);
  Has(fed_status.error(), "line 2");
  CHECK(fed <= kImportLineBytesMax + piece.size());
  CHECK_FALSE(reader.Finish().has_value());
  CHECK_FALSE(reader.Feed("\n").has_value());
}

TEST_CASE("the demo data hold the conference of the fixture") {
  const Demo& demo = LoadDemo();
  CHECK(demo.plan.dataset == "intmk-demo");
  CHECK(demo.plan.notice == "Demodaten – keine tatsächlichen Beschlüsse");
  CHECK(demo.keys.at("person").size() == 41);
  CHECK(demo.keys.at("meeting").size() == 6);
  CHECK(demo.keys.at("event").size() == 10);
  CHECK(demo.keys.at("resolution").size() == 12);
  CHECK(demo.keys.at("declaration").size() == 2);
  CHECK(demo.keys.at("agenda-item").size() == 19);
  CHECK(demo.keys.at("document").size() == 1);
  // Sixteen Länder and the two ministries before them, the Bund, the office and the working group.
  CHECK(demo.keys.at("organization").size() == 21);

  const Kind& resolution = KindNamed("resolution");
  std::map<std::string, int> outcomes;
  int green = 0, released = 0;
  for (const std::string& key : demo.keys.at("resolution")) {
    const Bytes& row = demo.rows.at(key);
    ++outcomes[FieldText(resolution, row, "outcome")];
    green += FieldText(resolution, row, "list") == "Grüne Liste" ? 1 : 0;
    released += FieldText(resolution, row, "release.decision") == "ja" ? 1 : 0;
  }
  CHECK(outcomes == std::map<std::string, int>{{"angenommen", 9},
                                               {"zur Kenntnis genommen", 1},
                                               {"nicht zustande gekommen", 2}});
  CHECK(green == 4);
  CHECK(released == 10);
}

TEST_CASE("the demo agenda comes in the order of the TOPs") {
  const Demo& demo = LoadDemo();
  const Kind& kind = KindNamed("agenda-item");
  std::vector<std::pair<Bytes, std::string>> items;
  for (const std::string& key : demo.keys.at("agenda-item")) {
    items.emplace_back(SortKeyOf(kind, demo.rows.at(key)),
                       FieldText(kind, demo.rows.at(key), "number"));
  }
  std::sort(items.begin(), items.end());
  std::vector<std::string> numbers;
  for (const auto& [sort_key, number] : items) numbers.push_back(number);
  CHECK(numbers == std::vector<std::string>{"0.1", "0.2", "0.3", "1", "1a", "2.1", "2.2", "2.3",
                                            "2.4a", "2.4b", "2.5", "3.1", "3.2", "3.3", "4.1",
                                            "5.1", "6", "7", "A1"});
}

TEST_CASE("the demo votes add up to the results that stand beside them") {
  const Demo& demo = LoadDemo();
  const Kind& kind = KindNamed("ballot");
  std::map<std::string, std::string> spoken;
  for (const std::string& key : demo.keys.at("ballot")) {
    const Bytes& row = demo.rows.at(key);
    std::map<std::uint64_t, int> votes;
    for (const WireField& vote : WireFieldsOf(row, kind.Find("votes_recorded")->number)) {
      ++votes[LastWireField(vote.bytes, 2).number_value];
    }
    const auto result = [&](std::string_view part) {
      const std::string text = FieldText(kind, row, "result." + std::string(part));
      return text.empty() ? "0" : text;
    };
    INFO(key);
    CHECK(std::to_string(votes[1]) == result("yes"));
    CHECK(std::to_string(votes[2]) == result("no"));
    CHECK(std::to_string(votes[3]) == result("abstentions"));
    CHECK(std::to_string(votes[4]) == result("absent"));
    spoken[key] = result("yes") + ":" + result("no") + ":" + result("abstentions") + ":" +
                  result("absent") + ":" + result("unanswered");
  }
  CHECK(spoken == std::map<std::string, std::string>{{"B-GL", "16:0:0:0:0"},
                                                     {"B-R01", "16:0:0:0:0"},
                                                     {"B-R02", "15:0:1:0:0"},
                                                     {"B-R04", "13:1:2:0:0"},
                                                     {"B-R06", "14:0:1:1:0"},
                                                     {"B-R07", "12:3:1:0:0"},
                                                     {"B-R08", "15:1:0:0:0"},
                                                     {"B-R11", "14:0:2:0:0"},
                                                     {"B-R12", "16:0:0:0:0"},
                                                     {"U1", "13:0:1:0:2"}});
}

TEST_CASE("R04 has its three Ziffern, and no demo record needs a Land's own lane") {
  const Demo& demo = LoadDemo();
  const Kind& kind = KindNamed("resolution");
  const auto items = RowElements(demo.rows.at("R04"), *kind.Find("items"));
  REQUIRE(items.size() == 3);
  CHECK(LastWireField(items[0].message, 3).bytes.starts_with("Die Länder bekräftigen"));
  CHECK(LastWireField(items[1].message, 3).bytes.starts_with("Sie bitten den Bund,"));
  CHECK(LastWireField(items[2].message, 3).bytes ==
        "Die IntMK bittet das Vorsitzland, den Beschluss zu übermitteln.");
  for (const ImportRecord& record : demo.plan.records) {
    INFO(record.key);
    CHECK(SplitByOwner(record.writes).members.empty());
  }
}

TEST_CASE("every demo record is the same after going out as JSON and in again") {
  const Demo& demo = LoadDemo();
  for (const ImportRecord& record : demo.plan.records) {
    const Kind& kind = *Kinds().Find(record.kind);
    const std::string json = RowToJson(kind, demo.rows.at(record.key));
    INFO(json);
    CHECK(RowToJson(kind, MakeRow(kind.name, json)) == json);
  }
}
