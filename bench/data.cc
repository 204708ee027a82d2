// SPDX-License-Identifier: EUPL-1.2
#include "bench/data.h"

#include <array>
#include <string>
#include <string_view>

#include "core/record/edit.h"
#include "tests/support/conference.h"
#include "tests/support/sim_random.h"

namespace staffel::bench {
namespace {

using testing::SimRandom;

constexpr std::array<std::string_view, 24> kWords = {"Integration",
                                                     "Ministerkonferenz",
                                                     "Beschlussvorschlag",
                                                     "Länder",
                                                     "Sprachkurse",
                                                     "Einbürgerung",
                                                     "Fachkräfte",
                                                     "Bericht",
                                                     "Vorkonferenz",
                                                     "Übermittlung",
                                                     "Arbeitsgruppe",
                                                     "Migrationsberatung",
                                                     "und",
                                                     "für",
                                                     "der",
                                                     "die",
                                                     "zur",
                                                     "Umsetzung",
                                                     "Anerkennung",
                                                     "Teilhabe",
                                                     "Kommunen",
                                                     "Bundesregierung",
                                                     "bittet",
                                                     "Förderung"};

// Words until the text has about `bytes` bytes.
std::string Text(std::size_t bytes, SimRandom& random) {
  std::string text;
  while (text.size() < bytes) {
    if (!text.empty()) text += ' ';
    text += kWords[random.Below(kWords.size())];
  }
  return text;
}

std::string EventJson(std::uint64_t number, SimRandom& random) {
  return fmt::format(
      R"({{"title": "{}", "type": "Termin", "when": {{"start": "2025-{:02}-{:02}T10:00", )"
      R"("end": "2025-{:02}-{:02}T12:30", "zone": "Europe/Berlin"}}, )"
      R"("place": {{"name": "Ministerium", "room": "{}", "city": "Hannover"}}, )"
      R"("status": "bestätigt", "description": "{}", "uid": "{}@intmk.example", )"
      R"("responsible": ["NI", "NW"]}})",
      Text(40, random), 1 + number % 12, 1 + number % 28, 1 + number % 12, 1 + number % 28,
      100 + number % 400, Text(189, random), ToHex(random.Draw(12)));
}

std::string PersonJson(std::uint64_t number, SimRandom& random) {
  return fmt::format(
      R"({{"name": "Dr. Erika Mustermann-{}", "name_parts": {{"family": "Mustermann-{}", )"
      R"("given": "Erika", "prefix": "Dr."}}, "salutation": "Frau", )"
      R"("memberships": [{{"member": "NI", "role": "referat", "function": "{}"}}], )"
      R"("emails": [{{"address": "erika.mustermann{}@ministerium.example", "type": "dienstlich"}}], )"
      R"("phones": [{{"number": "+49 511 120-{}", "type": "dienstlich"}}], )"
      R"("address": {{"street": "Hauptstraße {}", "postcode": "30159", "city": "Hannover"}}, )"
      R"("note": "{}", "uid": "{}"}})",
      number, number, Text(40, random), number, 1000 + number % 9000, 1 + number % 200,
      Text(130, random), ToHex(random.Draw(12)));
}

std::string ResolutionJson(std::uint64_t number, SimRandom& random) {
  std::string items;
  for (int item = 0; item < 8; ++item) {
    if (item > 0) items += ", ";
    items += fmt::format(R"({{"text": "{}"}})", Text(440, random));
  }
  return fmt::format(
      R"({{"title": "{}", "number": "{}.{}", "originators": ["NI", "NW"], )"
      R"("co_originators": ["BY", "HE"], "preamble": "{}", "items": [{}], "reasons": "{}", )"
      R"("stage": "vorgeschlagen", "keywords": [{{"text": "{}"}}]}})",
      Text(80, random), 1 + number % 9, 1 + number % 30, Text(400, random), items,
      Text(1640, random), Text(20, random));
}

Edit ToEdit(std::string_view kind_name, const std::string& json, const AudienceId& audience,
            SimRandom& random) {
  const record::Kind& kind = *record::Kinds().Find(kind_name);
  record::RandomElementIds ids(random);
  const auto value = record::ParseJson(json);
  STAFFEL_ASSERT(value.has_value());
  const auto cells = record::CellsOfRecord(kind, *value, {.ids = &ids, .source = json});
  if (!cells) fmt::print(stderr, "{}\n", cells.error().message);
  STAFFEL_ASSERT(cells.has_value());
  Edit edit{.audience = audience};
  edit.records.push_back(testing::ToRecordEdit(kind.number, random.DrawId<RecordId>(),
                                               RecordEdit::Mode::kCreate, *cells, nullptr));
  return edit;
}

}  // namespace

std::vector<Edit> MixedRecords(std::size_t count, const AudienceId& audience) {
  SimRandom random(2025);
  std::vector<Edit> edits;
  edits.reserve(count);
  for (std::size_t number = 0; number < count; ++number) {
    const std::size_t which = number % 10;
    if (which < 6) {
      edits.push_back(ToEdit("event", EventJson(number, random), audience, random));
    } else if (which < 9) {
      edits.push_back(ToEdit("person", PersonJson(number, random), audience, random));
    } else {
      edits.push_back(ToEdit("resolution", ResolutionJson(number, random), audience, random));
    }
  }
  return edits;
}

Edit SmallRecord(std::uint64_t number, const AudienceId& audience) {
  SimRandom random(1'000'000 + number);
  return ToEdit("event", EventJson(number, random), audience, random);
}

}  // namespace staffel::bench
