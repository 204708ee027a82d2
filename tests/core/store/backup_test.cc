// SPDX-License-Identifier: EUPL-1.2
// A backup is whole or is none, also when the power goes in the middle of making it.
#include "core/store/backup.h"

#include <string>

#include <catch2/catch.hpp>

#include "core/store/store.h"
#include "tests/support/conference.h"
#include "tests/support/memory_twin.h"

namespace staffel {
namespace {

using testing::ConferenceOf;
using testing::MemoryTwin;
using testing::NewNote;
using testing::TestReplica;
using testing::Unsynced;

constexpr const char* kFile = "backup.db";

template <typename T>
T Value(Result<T> result) {
  if (!result) FAIL(result.error().message);
  return std::move(*result);
}

BackupOptions Options() {
  return {.path = kFile, .version = "1", .extras = {{"replica.key", "PEM of a key"}}};
}

struct Node {
  Node() : replica(ConferenceOf(2), 1) {
    replica.set_twin(&twin);
    REQUIRE(replica.Open());
    for (int i = 0; i < 5; ++i) {
      REQUIRE(replica.store().Apply(NewNote(replica.conference().laender(),
                                            replica.random().DrawId<RecordId>(), "Notiz",
                                            std::string(3000, 'x'))));
    }
  }
  MemoryTwin twin;
  TestReplica replica;
};

TEST_CASE("a backup says what it is, holds everything, and carries no nonce") {
  Node node;
  const Bytes twin_before = *node.twin.content;
  const BackupView made = Value(node.replica.store().Backup(Options()));
  CHECK(made.records == 5);
  CHECK(made.entries == 6);
  CHECK(made.member->text() == "NW");
  CHECK(made.key == node.replica.self().key.public_key());
  CHECK(made.conference == node.replica.conference().conference());
  CHECK(made.made == node.replica.clock().Now());
  CHECK(made.version == "1");
  CHECK(made.extras == Options().extras);
  CHECK(*node.twin.content != twin_before);  // renewed
  // One file: no log beside it.
  for (const std::string& file : node.replica.disk().Files()) {
    CHECK(file.find("backup.db-") == std::string::npos);
  }
  // The node works on, and is not in doubt at its next start.
  node.replica.Close();
  REQUIRE(node.replica.Open());
  CHECK_FALSE(node.replica.store().doubt().in_doubt);
}

TEST_CASE("a replica made of a backup is in doubt, however soon, and has no trace of the keys") {
  Node node;
  (void)Value(node.replica.store().Backup(Options()));
  node.replica.Close();
  REQUIRE(TurnIntoReplica(kFile, node.replica.disk().vfs()));
  const Bytes file = *node.replica.disk().ReadFile(kFile);
  CHECK(file.find("PEM of a key") == Bytes::npos);
  node.replica.disk().Load({{"replica.db", file}});
  REQUIRE(node.replica.Open());
  CHECK(node.replica.store().doubt().in_doubt);
  CHECK(Value(Value(node.replica.store().Read()).Counts()).records == 5);
  CHECK(Value(node.replica.store().Verify()).problems.empty());
}

TEST_CASE("what is no backup is refused with the reason") {
  Node node;
  const std::string vfs = node.replica.disk().vfs();
  CHECK_FALSE(InspectBackup("nowhere.db", vfs));
  (void)Value(node.replica.store().Backup(Options()));
  const Bytes whole = *node.replica.disk().ReadFile(kFile);
  const auto refused = [&](const Bytes& content) {
    node.replica.disk().WriteFile("other.db", content);
    const auto view = InspectBackup("other.db", vfs);
    REQUIRE_FALSE(view);
    return view.error();
  };
  refused(Bytes());
  refused(
      Bytes("no database at all, but some text that is long enough to look at").append(9000, 'x'));
  refused(whole.substr(0, whole.size() / 2));
  Bytes noise = whole;
  for (std::size_t at = 3 * 8192; at < noise.size(); at += 5) noise[at] = 'x';
  refused(noise);
  // user_version stands at 60, big-endian.
  Bytes newer = whole;
  newer[63] = 99;
  const Error error = refused(newer);
  CHECK(error.code == ErrorCode::kUnsupported);
  CHECK(error.message.find("newer version") != std::string::npos);
  // A file is never written over.
  CHECK_FALSE(node.replica.store().Backup(Options()));
  CHECK(*node.replica.disk().ReadFile(kFile) == whole);
}

TEST_CASE(
    "the power goes at any operation of a backup: none or a whole one, and the node is sound") {
  Node node;
  const auto image = [&] {
    node.replica.Close();
    return node.replica.disk().Save();
  }();
  const MemoryTwin twin = node.twin;
  bool done = false;
  std::size_t none = 0;
  std::size_t whole = 0;
  for (std::uint64_t operation = 1; !done; operation += 1 + operation / 12) {
    for (const Unsynced unsynced : {Unsynced::kLost, Unsynced::kTorn, Unsynced::kKept}) {
      node.twin = twin;
      node.replica.disk().Load(image);
      REQUIRE(node.replica.Open());
      node.replica.disk().CutPowerAt(node.replica.disk().operations() + operation, unsynced);
      const auto made = node.replica.store().Backup(Options());
      done = made.has_value() && !node.replica.disk().power_is_cut();
      REQUIRE(node.replica.CrashAndOpen(unsynced));
      INFO("operation " << operation);
      CHECK_FALSE(node.replica.store().doubt().in_doubt);
      CHECK(Value(Value(node.replica.store().Read()).Counts()).records == 5);
      const auto view = InspectBackup(kFile, node.replica.disk().vfs());
      // Whole it is; that it survives the power is the business of whoever puts it in its place.
      if (made && unsynced == Unsynced::kKept) REQUIRE(view);
      if (view && view->made.value != 0) {
        ++whole;
        CHECK(view->records == 5);
        CHECK(view->extras == Options().extras);
      } else {
        ++none;
      }
      node.replica.Close();
    }
  }
  CHECK(none > 0);
  CHECK(whole > 0);
}

TEST_CASE("a full disk makes no backup, says so, and leaves the node as it was") {
  Node node;
  node.replica.disk().SetSpace(node.replica.disk().used() + 20'000);
  const auto refused = node.replica.store().Backup(Options());
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kStorage);
  CHECK(refused.error().message.find("full") != std::string::npos);
  node.replica.disk().SetSpace({});
  CHECK(node.replica.store().Apply(NewNote(node.replica.conference().laender(),
                                           node.replica.random().DrawId<RecordId>(), "weiter")));
}

}  // namespace
}  // namespace staffel
