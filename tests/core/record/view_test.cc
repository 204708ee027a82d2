// SPDX-License-Identifier: EUPL-1.2
#include "core/record/view.h"

#include <algorithm>

#include "tests/core/record/fixture.h"

using namespace staffel;
using namespace staffel::record;

TEST_CASE("a row is shown as JSON in one order, and the JSON makes the same row") {
  const std::vector<std::pair<std::string, std::string>> records = {
      {"resolution",
       R"({"title":"Ä \"x\"","number":"2.4a","originators":["BY","NI"],"items":[{"id":"01000000000000000000000000000000",)"
       R"("position":"K","text":"Eins"},{"id":"02000000000000000000000000000000","position":"f","text":"Zwei","heading":"H"}],)"
       R"("stage":"final","outcome":"angenommen","release":{"decision":true},"keywords":["a","b"]})"},
      {"person",
       R"({"name":"Finn von Musterkamp","name_parts":{"family":"von Musterkamp","sort_as":"Musterkamp"},)"
       R"("memberships":[{"id":"01000000000000000000000000000000","position":"V","member":"HH","validity":{"from":"2024-07-01"},)"
       R"("votes":true}],"emails":["a@b.example",{"address":"c@d.example","type":"Vorzimmer"}]})"},
      {"ballot",
       R"({"title":"x","conditions":{"majority":"anzahl","threshold":13,"closes_ms":"2025-06-13T10:00:00Z"},)"
       R"("votes_recorded":{"BY":"E","NI":"J"}})"},
      {"document", R"({"title":"x","file":{"sha256":")" + std::string(64, 'a') +
                       R"(","size_bytes":12},"released":true})"},
  };
  for (const auto& [kind, json] : records) {
    CHECK(RowToJson(KindNamed(kind), MakeRow(kind, json)) == json);
  }
}

TEST_CASE("fields and values unknown to this version are shown and not lost") {
  const Kind& kind = KindNamed("resolution");
  Bytes row = MakeRow("resolution", R"({"title": "x"})");
  AppendVarintField(row, 15, 77);
  AppendVarintField(row, 300, 1);
  AppendVarintField(row, 300, 2);
  CHECK(RowToJson(kind, row) == R"({"title":"x","stage":"#77","#300":["e01201","e01202"]})");
}

TEST_CASE("what two people added to a set is shown once") {
  const Kind& kind = KindNamed("person");
  Bytes row;
  for (char id : {'\1', '\2'}) {
    Bytes element;
    AppendBytesField(element, 1, Bytes(16, id));
    AppendBytesField(element, 2, "a@b.example");
    AppendBytesField(row, 6, element);
  }
  CHECK(RowToJson(kind, row) == R"({"emails":["a@b.example"]})");
}

TEST_CASE("titles name the TOP first") {
  CHECK(TitleOf(KindNamed("resolution"),
                MakeRow("resolution", R"({"title": "Migrationsberatung", "number": "2.3"})")) ==
        "TOP 2.3 Migrationsberatung");
  CHECK(TitleOf(KindNamed("person"), MakeRow("person", R"({"name": "Ada"})")) == "Ada");
  CHECK(TitleOf(KindNamed("note"), "") == "(ohne Titel)");
}

TEST_CASE("the search text holds what people look for, and no ids") {
  const std::string text = SearchTextOf(
      KindNamed("person"),
      MakeRow("person", R"({"name": "Ceyda Şahin", "emails": ["hausleitung@be.example"],
        "memberships": [{"role": "mitglied", "function": "Senatorin"}], "address": {"city": "Berlin"}})"));
  for (const char* part : {"Ceyda Şahin", "hausleitung@be.example", "Senatorin", "Berlin"}) {
    INFO(part);
    CHECK(text.find(part) != std::string::npos);
  }
  const std::string resolution = SearchTextOf(
      KindNamed("resolution"),
      MakeRow("resolution",
              R"({"title": "x", "items": ["Integrationsministerkonferenz"], "stage": "entwurf"})"));
  CHECK(resolution == "x\nIntegrationsministerkonferenz\n");
}

TEST_CASE("people sort by family name, meetings by start, agenda items by TOP") {
  const auto sorted = [](std::string_view kind, std::vector<std::string> records) {
    std::sort(records.begin(), records.end(), [&](const auto& a, const auto& b) {
      return SortKeyOf(KindNamed(kind), MakeRow(kind, a)) <
             SortKeyOf(KindNamed(kind), MakeRow(kind, b));
    });
    std::string titles;
    for (const std::string& record : records)
      titles += TitleOf(KindNamed(kind), MakeRow(kind, record)) + "|";
    return titles;
  };
  CHECK(
      sorted(
          "person",
          {R"({"name": "Zoe Öhlmann", "name_parts": {"family": "Öhlmann"}})",
           R"({"name": "Finn von Musterkamp", "name_parts": {"family": "von Musterkamp", "sort_as": "Musterkamp"}})",
           R"({"name": "Petra Zahn", "name_parts": {"family": "Zahn"}})",
           R"({"name": "Ada Ohm", "name_parts": {"family": "Ohm"}})"}) ==
      "Finn von Musterkamp|Zoe Öhlmann|Ada Ohm|Petra Zahn|");
  CHECK(sorted("meeting",
               {R"({"title": "c"})",
                R"({"title": "b", "when": {"start": "2025-03-30T03:00", "zone": "Europe/Berlin"}})",
                R"({"title": "a", "when": {"start": "2025-03-30T01:30", "zone": "UTC"}})",
                R"({"title": "0", "when": {"start": "2024-09-10"}})"}) == "0|b|a|c|");
  const std::string meeting = std::string(32, '1');
  CHECK(sorted("agenda-item", {R"({"title": "d", "number": "A1", "meeting": ")" + meeting + "\"}",
                               R"({"title": "c", "number": "2.10", "meeting": ")" + meeting + "\"}",
                               R"({"title": "b", "number": "2.9", "meeting": ")" + meeting +
                                   "\"}"}) == "TOP 2.9 b|TOP 2.10 c|TOP A1 d|");
}

TEST_CASE("cells have names for programs and for people") {
  const Kind& kind = KindNamed("resolution");
  const Cells cells = MakeCells(
      "resolution", R"({"title": "x", "originators": ["BY"], "items": ["Eins", "Zwei"]})");
  const Bytes row = cells.Row(kind);
  std::vector<std::string> paths;
  for (const auto& [cell, value] : cells.values()) {
    const FieldPath path = FieldPathOf(kind, cell, row);
    paths.push_back(path.path + " = " + path.label_de);
  }
  CHECK(paths == std::vector<std::string>{
                     "title = Titel", "originators.BY = Antragsteller: BY",
                     "items.1.position = Ziffer 1: Reihenfolge", "items.1.text = Ziffer 1: Text",
                     "items.2.position = Ziffer 2: Reihenfolge", "items.2.text = Ziffer 2: Text"});
  // An element that is gone is named by its id; an unknown field by its number.
  CHECK(FieldPathOf(kind, std::prev(cells.values().end())->first, "").label_de ==
        "Ziffer 02000000: Text");
  CHECK(FieldPathOf(kind, FieldCell(300), row).path == "#300");
  CHECK(FieldPathOf(kind, DeletedCell(), row).label_de == "Gelöscht");
}

TEST_CASE("values of single cells are shown for people") {
  const Cells cells =
      MakeCells("ballot", R"({"title": "Block", "mode": "umlauf", "votes_recorded": {"NI": "E"},
      "conditions": {"majority": "anzahl", "threshold": 13}})");
  const Kind& kind = KindNamed("ballot");
  std::vector<std::string> texts;
  for (const auto& [cell, value] : cells.values()) texts.push_back(ValueToText(kind, cell, value));
  CHECK(texts == std::vector<std::string>{"Block", "Umlaufverfahren",
                                          "Mehrheit: Mindestzahl der Ja-Stimmen; Schwelle: 13",
                                          "Enthaltung"});
  CHECK(ValueToText(kind, cells.values().begin()->first, std::nullopt) == "(leer)");
  CHECK(ValueToText(kind, cells.values().begin()->first, Bytes("\xff")) == "ff");
  CHECK(ValueToText(kind, DeletedCell(), Bytes("\x08\x01")) == "gelöscht");
  CHECK(ValueToJson(kind, cells.values().begin()->first, cells.values().begin()->second) ==
        "\"Block\"");
  CHECK(ValueToJson(kind, DeletedCell(), std::nullopt) == "null");
  CHECK(TextOfValue(kind, cells.values().begin()->first, cells.values().begin()->second) ==
        "Block");
  CHECK_FALSE(TextOfValue(kind, std::prev(cells.values().end())->first,
                          std::prev(cells.values().end())->second)
                  .has_value());
}

TEST_CASE("any bytes as a row are shown somehow and break nothing") {
  for (const Kind& kind : Kinds().kinds()) {
    for (const Bytes& row : {Bytes("\xff\xff\xff"), Bytes("\x12\x7f"),
                             Bytes("\x08\x01\x12\x01\xff"), Bytes("\x0a\x02\x08\x01")}) {
      CHECK(ParseJson(RowToJson(kind, row)).has_value());
      (void)TitleOf(kind, row);
      (void)SearchTextOf(kind, row);
      (void)SortKeyOf(kind, row);
    }
  }
}
