// SPDX-License-Identifier: EUPL-1.2
// Two versions of the software in one exchange.
#include <catch2/catch.hpp>

#include "core/journal/known_format.h"
#include "tests/support/later_node.h"
#include "tests/sync/talk.h"

namespace staffel::testing {
namespace {

TEST_CASE("what neither side can read travels unread, without a digest, and agrees once both can") {
  const auto& conference = ConferenceOf(3);
  TestReplica older(conference, 0, 31);
  TestReplica other(conference, 2, 32);
  Ok(older.Open());
  Ok(other.Open());
  for (const auto opening :
       {std::optional<Newer>(), std::optional(Newer::kFormat), std::optional(Newer::kField)}) {
    LaterNode later(conference, opening, opening ? 90 + static_cast<std::uint64_t>(*opening) : 97);
    const RecordId record = SimRandom(5 + (opening ? 1 : 0)).DrawId<RecordId>();
    const EntryId first = later.Write(
        record, kNote, {{FieldCell(kNoteTitle), TextValue(kNoteTitle, "eins")}}, {}, {});
    later.Write(record, kNote, {{FieldCell(kNoteTitle), TextValue(kNoteTitle, "zwei")}}, {first},
                Newer::kFormat);
    later.Write(record, kNote, {{FieldCell(kNoteText), TextValue(kNoteText, "Text")}}, {first},
                Newer::kField);
    Ok(later.SendTo(older.store()));
  }
  WriteNotes(older, 3);
  WriteNotes(other, 3);
  Talk talk(other, older);
  Ok(talk.Run());
  CHECK(talk.exchange().problems().empty());
  CHECK(talk.exchange().incidents().empty());
  CHECK(talk.answerer_incidents.empty());
  CHECK(Value(Value(other.store().Read()).Vector(conference.laender())) ==
        Value(Value(older.store().Read()).Vector(conference.laender())));
  CHECK(Value(Value(other.store().Read()).Counts()).opaque_entries == 10);
  // In step, and it stays so: one round trip.
  Ok(talk.Run());
  CHECK(talk.round_trips == 1);

  const PlayVersion version(2);
  for (TestReplica* replica : {&older, &other}) {
    replica->Close();
    Ok(replica->Open());
    CHECK(Value(Value(replica->store().Read()).Counts()).opaque_entries == 0);
  }
  Talk after(other, older);
  Ok(after.Run());
  CHECK(after.exchange().incidents().empty());
  RequireSame(older, other, conference.laender());
}

}  // namespace
}  // namespace staffel::testing
