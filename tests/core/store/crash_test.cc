// SPDX-License-Identifier: EUPL-1.2
// Power cuts, failing writes and full disks at every operation of a scripted session: what was
// acknowledged is there, nothing is half-done, the store is sound and works on.
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

#include "core/store/store.h"
#include "tests/support/conference.h"

namespace staffel {
namespace {

using testing::ConferenceOf;
using testing::kNote;
using testing::kNoteTitle;
using testing::NewNote;
using testing::SetText;
using testing::TestReplica;
using testing::Unsynced;

template <typename T>
T Value(Result<T> result) {
  if (!result) FAIL(result.error().message);
  return std::move(*result);
}

// What the session was told is on disk.
struct Acknowledged {
  std::vector<EntryId> own;
  std::vector<EntryId> foreign;
  std::vector<std::string> local;
  bool charter = false;
};

// The entries of another Land that arrive in the session, in two batches.
const std::vector<Batch>& Foreign() {
  static const std::vector<Batch> batches = [] {
    TestReplica other(ConferenceOf(2), 1, 99);
    REQUIRE(other.Open());
    const AudienceId laender = other.conference().laender();
    for (int index = 0; index < 6; ++index) {
      const RecordId note = testing::SimRandom(500 + index).DrawId<RecordId>();
      REQUIRE(other.store().Apply(NewNote(laender, note, "aus NW", std::string(2000, 'x'))));
      REQUIRE(other.store().Apply(SetText(laender, kNote, note, kNoteTitle, "aus NW, neu")));
    }
    auto all = Value(testing::ReadAll(other.store(), 5000));
    REQUIRE(all.size() >= 2);
    return all;
  }();
  return batches;
}

// The session. Stops at the first error: the power is gone then, or the disk said no.
Status Session(TestReplica& replica, Acknowledged& acknowledged) {
  STAFFEL_CHECK(replica.Open());
  acknowledged.charter = true;
  Store& store = replica.store();
  const AudienceId laender = replica.conference().laender();
  const RecordId first = testing::SimRandom(1).DrawId<RecordId>();
  const auto apply = [&](const Edit& edit) -> Status {
    STAFFEL_TRY(applied, store.Apply(edit));
    acknowledged.own.push_back(applied.entry);
    return {};
  };
  STAFFEL_CHECK(apply(NewNote(laender, first, "eins", std::string(3000, 'y'))));
  STAFFEL_CHECK(apply(SetText(laender, kNote, first, kNoteTitle, "zwei")));
  STAFFEL_TRY(one, store.Ingest(store.Prepare(Foreign()[0])));
  for (const Run& run : Foreign()[0].runs) {
    for (const Entry& entry : run.entries) acknowledged.foreign.push_back(entry.id);
  }
  STAFFEL_CHECK(store.PutLocal("peer", Bytes("NW")));
  acknowledged.local.push_back("peer");
  STAFFEL_CHECK(
      apply({.audience = laender,
             .records = {{.kind = kNote, .record = first, .mode = RecordEdit::Mode::kDelete}}}));
  STAFFEL_CHECK(store.Checkpoint());
  std::vector<PreparedBatch> rest;
  for (std::size_t index = 1; index < Foreign().size(); ++index) {
    rest.push_back(store.Prepare(Foreign()[index]));
  }
  STAFFEL_TRY(others, store.IngestAll(std::move(rest)));
  for (std::size_t index = 1; index < Foreign().size(); ++index) {
    for (const Run& run : Foreign()[index].runs) {
      for (const Entry& entry : run.entries) acknowledged.foreign.push_back(entry.id);
    }
  }
  STAFFEL_TRY(left, store.IndexSearch(100));
  (void)left;
  std::vector<Edit> edits;
  for (int index = 0; index < 3; ++index) {
    edits.push_back(
        NewNote(laender, testing::SimRandom(50 + index).DrawId<RecordId>(), "drei auf einmal"));
  }
  STAFFEL_TRY(applied, store.ApplyAll(edits));
  for (const Applied& each : applied) acknowledged.own.push_back(each.entry);
  STAFFEL_CHECK(store.Checkpoint());
  return {};
}

std::set<EntryId> HeldEntries(Store& store) {
  std::set<EntryId> held;
  for (const Batch& batch : Value(testing::ReadAll(store, 1 << 20))) {
    for (const Run& run : batch.runs) {
      for (const Entry& entry : run.entries) held.insert(entry.id);
    }
  }
  return held;
}

void CheckAfter(TestReplica& replica, const Acknowledged& acknowledged) {
  Store& store = replica.store();
  const std::set<EntryId> held = HeldEntries(store);
  for (const EntryId& entry : acknowledged.own) CHECK(held.contains(entry));
  for (const EntryId& entry : acknowledged.foreign) CHECK(held.contains(entry));
  for (const std::string& key : acknowledged.local) CHECK(Value(store.GetLocal(key)));
  const VerifyReport report = Value(store.Verify());
  INFO((report.problems.empty() ? "" : report.problems.front()));
  CHECK(report.problems.empty());
  // And it works on: the same things arrive again, an edit is made, all is sound.
  for (const Batch& batch : Foreign()) {
    const Ingested ingested = Value(store.Ingest(store.Prepare(batch)));
    for (const RunResult& run : ingested.runs) {
      CHECK((run.outcome == RunOutcome::kKnown || run.outcome == RunOutcome::kAccepted));
    }
  }
  Value(store.Apply(
      NewNote(replica.conference().laender(), replica.random().DrawId<RecordId>(), "danach")));
  Value(store.IndexSearch(1000));
  const VerifyReport again = Value(store.Verify());
  INFO((again.problems.empty() ? "" : again.problems.front()));
  CHECK(again.problems.empty());
}

std::uint64_t OperationsOfSession() {
  static const std::uint64_t operations = [] {
    TestReplica replica(ConferenceOf(2), 0, 1);
    Acknowledged acknowledged;
    const Status done = Session(replica, acknowledged);
    if (!done) FAIL(done.error().message);
    return replica.disk().operations();
  }();
  return operations;
}

TEST_CASE("the power is cut at every operation of a session: nothing acknowledged is lost") {
  const auto unsynced = GENERATE(Unsynced::kLost, Unsynced::kTorn, Unsynced::kKept);
  const std::uint64_t operations = OperationsOfSession();
  REQUIRE(operations > 50);
  for (std::uint64_t cut = 1; cut <= operations; ++cut) {
    INFO("power cut at operation " << cut << " of " << operations);
    TestReplica replica(ConferenceOf(2), 0, cut);
    Acknowledged acknowledged;
    replica.disk().CutPowerAt(cut, unsynced);
    const Status done = Session(replica, acknowledged);
    if (!replica.disk().power_is_cut()) {
      // The numbers of operations may differ a little: SQLite's salts are random.
      REQUIRE(done);
      continue;
    }
    replica.Close();
    replica.disk().Restart();
    const Status opened = replica.Open();
    if (!opened) FAIL(opened.error().message);
    CheckAfter(replica, acknowledged);
  }
}

TEST_CASE("every operation fails once: an error, nothing half-done, the store works on") {
  const bool torn = GENERATE(false, true);
  const std::uint64_t operations = OperationsOfSession();
  std::size_t errors = 0;
  for (std::uint64_t failing = 1; failing <= operations; ++failing) {
    INFO("operation " << failing << " of " << operations << " fails");
    TestReplica replica(ConferenceOf(2), 0, failing);
    Acknowledged acknowledged;
    replica.disk().FailAt(failing, torn);
    const Status done = Session(replica, acknowledged);
    if (!done) {
      ++errors;
      CHECK((done.error().code == ErrorCode::kStorage || done.error().code == ErrorCode::kCorrupt));
      CHECK_FALSE(done.error().message.empty());
    }
    // The same process goes on where it can; else a new one does.
    if (!replica.is_open()) {
      const Status opened = replica.Open();
      if (!opened) FAIL(opened.error().message);
    }
    CheckAfter(replica, acknowledged);
    const Status reopened = replica.Open();
    if (!reopened) FAIL(reopened.error().message);
    CheckAfter(replica, acknowledged);
  }
  CHECK(errors > 20);
}

TEST_CASE("a full disk refuses with a clear sentence, keeps what it had, and works with space") {
  TestReplica replica(ConferenceOf(2), 0);
  REQUIRE(replica.Open());
  const AudienceId laender = replica.conference().laender();
  Acknowledged acknowledged;
  acknowledged.own.push_back(
      Value(replica.store().Apply(NewNote(laender, replica.random().DrawId<RecordId>(), "eins")))
          .entry);
  REQUIRE(replica.store().Checkpoint());
  replica.disk().SetSpace(replica.disk().used());
  std::size_t refused = 0;
  for (int index = 0; index < 200; ++index) {
    const auto applied = replica.store().Apply(
        NewNote(laender, replica.random().DrawId<RecordId>(), "mehr", std::string(20'000, 'z')));
    if (applied) {
      acknowledged.own.push_back(applied->entry);
      continue;
    }
    ++refused;
    CHECK(applied.error().code == ErrorCode::kStorage);
    CHECK(applied.error().message.find("full") != std::string::npos);
    if (refused == 3) break;
  }
  CHECK(refused == 3);
  // Reading goes on, and what arrives from others is refused as a whole.
  CHECK(Value(Value(replica.store().Read()).Count({})) == acknowledged.own.size());
  const std::uint64_t revision = replica.store().revision();
  const auto ingested = replica.store().Ingest(replica.store().Prepare(Foreign()[0]));
  REQUIRE_FALSE(ingested);
  CHECK(ingested.error().code == ErrorCode::kStorage);
  CHECK(replica.store().revision() == revision);
  CHECK(HeldEntries(replica.store()).size() == acknowledged.own.size() + 1);  // and the opening
  replica.disk().SetSpace(std::nullopt);
  CheckAfter(replica, acknowledged);
}

TEST_CASE("sixteen writers share their commits, and all that was acknowledged survives a crash") {
  constexpr int kThreads = 16;
  constexpr int kEdits = 25;
  TestReplica replica(ConferenceOf(2), 0);
  REQUIRE(replica.Open());
  const AudienceId laender = replica.conference().laender();
  std::mutex mutex;
  Acknowledged acknowledged;
  std::vector<std::string> failures;
  // The first sync waits until every writer has asked: the others must share the next ones.
  std::condition_variable all_asked;
  int asked = 0;
  replica.disk().OnSync([&] {
    std::unique_lock lock(mutex);
    all_asked.wait(lock, [&] { return asked == kThreads; });
  });
  const std::uint64_t syncs_before = replica.disk().counts().syncs;
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&, thread] {
        testing::SimRandom ids(1000 + static_cast<std::uint64_t>(thread));
        {
          const std::lock_guard lock(mutex);
          ++asked;
        }
        all_asked.notify_all();
        for (int index = 0; index < kEdits; ++index) {
          const auto applied = replica.store().Apply(
              NewNote(laender, ids.DrawId<RecordId>(), fmt::format("{} {}", thread, index)));
          const std::lock_guard lock(mutex);
          if (!applied) {
            failures.push_back(applied.error().message);
            continue;
          }
          acknowledged.own.push_back(applied->entry);
        }
      });
    }
  }
  CHECK(failures == std::vector<std::string>());
  REQUIRE(acknowledged.own.size() == kThreads * kEdits);
  // Group commit: clearly fewer syncs than edits.
  CHECK(replica.disk().counts().syncs - syncs_before < kThreads * kEdits);
  replica.disk().OnSync({});
  REQUIRE(replica.CrashAndOpen(Unsynced::kLost));
  const std::uint64_t entries = HeldEntries(replica.store()).size();
  CHECK(entries == kThreads * kEdits + 1);  // and the opening
  // What shared a commit shares its signature; that the last one has it, Verify looks after.
  CHECK(Value(replica.store().Verify()).signatures < entries);
  CheckAfter(replica, acknowledged);
}

TEST_CASE("the log of small writes is overwritten before it grows on and on") {
  constexpr std::size_t kValueBytes = 400'000;
  constexpr std::size_t kWrites = 150;
  TestReplica replica(ConferenceOf(2), 0);
  REQUIRE(replica.Open());
  for (std::size_t index = 1; index <= kWrites; ++index) {
    REQUIRE(replica.store().PutLocal("key", Bytes(kValueBytes, static_cast<char>(index))));
  }
  std::size_t log_bytes = 0;
  for (const std::string& file : replica.disk().Files()) {
    if (file.ends_with("-wal")) log_bytes = replica.disk().ReadFile(file)->size();
  }
  CHECK(log_bytes > kValueBytes);
  CHECK(log_bytes < kValueBytes * kWrites * 3 / 4);
  REQUIRE(replica.CrashAndOpen(Unsynced::kLost));
  CHECK(Value(replica.store().GetLocal("key")) == Bytes(kValueBytes, static_cast<char>(kWrites)));
  CheckAfter(replica, {});
}

TEST_CASE("a crash in the middle of sixteen writers keeps exactly whole entries") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    TestReplica replica(ConferenceOf(2), 0, seed);
    REQUIRE(replica.Open());
    const AudienceId laender = replica.conference().laender();
    replica.disk().CutPowerAt(replica.disk().operations() + 20 + seed * 13, Unsynced::kTorn);
    std::mutex mutex;
    Acknowledged acknowledged;
    {
      std::vector<std::jthread> threads;
      for (std::uint64_t thread = 0; thread < 16; ++thread) {
        threads.emplace_back([&, thread] {
          testing::SimRandom ids(seed * 100 + thread);
          for (int index = 0; index < 50; ++index) {
            const auto applied =
                replica.store().Apply(NewNote(laender, ids.DrawId<RecordId>(), "Titel"));
            if (!applied) return;
            const std::lock_guard lock(mutex);
            acknowledged.own.push_back(applied->entry);
          }
        });
      }
    }
    REQUIRE(replica.disk().power_is_cut());
    replica.Close();
    replica.disk().Restart();
    REQUIRE(replica.Open());
    CheckAfter(replica, acknowledged);
  }
}

TEST_CASE("readers beside a writer see whole commits, one snapshot at a time") {
  TestReplica replica(ConferenceOf(2), 0);
  REQUIRE(replica.Open());
  const AudienceId laender = replica.conference().laender();
  const RecordId left = replica.random().DrawId<RecordId>();
  const RecordId right = replica.random().DrawId<RecordId>();
  Edit both = NewNote(laender, left, "0");
  both.records.push_back(NewNote(laender, right, "0").records[0]);
  Value(replica.store().Apply(both));
  std::atomic<bool> done{false};
  std::atomic<int> wrong{0};
  std::atomic<int> looked{0};
  {
    std::vector<std::jthread> readers;
    for (int reader = 0; reader < 4; ++reader) {
      readers.emplace_back([&] {
        std::uint64_t last = 0;
        while (!done) {
          auto snapshot = replica.store().Read();
          if (!snapshot) {
            ++wrong;
            return;
          }
          const auto first = snapshot->GetRecord(left);
          const auto second = snapshot->GetRecord(right);
          // Both are written by one entry, always: their rows are the same.
          if (!first || !second || first->row != second->row) ++wrong;
          if (snapshot->revision() < last) ++wrong;
          last = snapshot->revision();
          ++looked;
        }
      });
    }
    for (int index = 1; index <= 200; ++index) {
      Edit edit = SetText(laender, kNote, left, kNoteTitle, fmt::format("{}", index));
      edit.records.push_back(
          SetText(laender, kNote, right, kNoteTitle, fmt::format("{}", index)).records[0]);
      Value(replica.store().Apply(edit));
      if (index % 50 == 0) REQUIRE(replica.store().Checkpoint());
    }
    done = true;
  }
  CHECK(wrong == 0);
  CHECK(looked > 0);
}

}  // namespace
}  // namespace staffel
