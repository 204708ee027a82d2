// SPDX-License-Identifier: EUPL-1.2
// Power cuts at every operation of an erasure and of the wiping behind it: the record is there
// whole or erased whole, the store is sound, and in the end no byte is left.
#include <string>

#include <catch2/catch.hpp>

#include "core/store/store.h"
#include "tests/support/conference.h"

namespace staffel {
namespace {

using testing::ConferenceOf;
using testing::kNote;
using testing::kNoteText;
using testing::NewNote;
using testing::SetText;
using testing::TestReplica;
using testing::Unsynced;

constexpr std::string_view kMark = "GEHEIMNISVOLL";

struct Session {
  TestReplica replica;
  RecordId note;
  bool erased = false;  // as acknowledged

  explicit Session(std::uint64_t seed)
      : replica(ConferenceOf(2), 0, seed), note(testing::SimRandom(7).DrawId<RecordId>()) {}

  Status Begin() {
    STAFFEL_CHECK(replica.Open());
    const AudienceId laender = replica.conference().laender();
    STAFFEL_TRY(made, replica.store().Apply(NewNote(laender, note, kMark, kMark)));
    STAFFEL_TRY(changed, replica.store().Apply(SetText(laender, kNote, note, kNoteText,
                                                       std::string(kMark) + " zwei")));
    STAFFEL_TRY(left, replica.store().IndexSearch(100));
    (void)made, (void)changed, (void)left;
    return replica.store().Checkpoint();
  }
  Status Erase() {
    STAFFEL_TRY(entries,
                replica.store().Erase({{{replica.conference().laender(), kNote, note}}, {}}));
    (void)entries;
    erased = true;
    STAFFEL_TRY(wiped, replica.store().Wipe());
    (void)wiped;
    return {};
  }
};

TEST_CASE("the power is cut at every operation of an erasure: all of it or nothing") {
  const auto unsynced = GENERATE(Unsynced::kLost, Unsynced::kTorn, Unsynced::kKept);
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  {
    Session whole(1);
    REQUIRE(whole.Begin());
    first = whole.replica.disk().operations() + 1;
    REQUIRE(whole.Erase());
    last = whole.replica.disk().operations();
  }
  REQUIRE(last > first + 5);
  for (std::uint64_t cut = first; cut <= last; ++cut) {
    INFO("power cut at operation " << cut << " of " << last);
    Session session(cut);
    session.replica.disk().CutPowerAt(cut, unsynced);
    const Status begun = session.Begin();
    if (begun) (void)session.Erase();
    if (!session.replica.disk().power_is_cut()) continue;
    session.replica.Close();
    session.replica.disk().Restart();
    const Status opened = session.replica.Open();
    if (!opened) FAIL(opened.error().message);
    if (!begun) continue;  // SQLite's salts are random: the session was shorter than thought
    Store& store = session.replica.store();
    const auto report = store.Verify();
    REQUIRE(report);
    INFO((report->problems.empty() ? "" : report->problems.front()));
    CHECK(report->problems.empty());
    bool gone = false;
    {
      auto snapshot = store.Read();
      REQUIRE(snapshot);
      const auto view = snapshot->GetRecord(session.note);
      REQUIRE(view);
      gone = view->erased;
      CHECK(view->row.empty() == gone);
    }
    if (session.erased) CHECK(gone);
    if (!gone) REQUIRE(session.Erase());
    const auto wiped = store.Wipe();
    REQUIRE(wiped);
    CHECK(*wiped);
    for (const std::string& name : session.replica.disk().Files()) {
      INFO(name);
      CHECK(session.replica.disk().ReadFile(name)->find(kMark) == Bytes::npos);
    }
  }
}

}  // namespace
}  // namespace staffel
