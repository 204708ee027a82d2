// SPDX-License-Identifier: EUPL-1.2
// Two versions of the software side by side. What a later version writes is made here with a format
// or a field that this one does not know; PlayVersion lets a store be a later one's.
#include <catch2/catch.hpp>

#include "core/base/wire.h"
#include "core/charter/build.h"
#include "core/charter/tree.h"
#include "core/crypto/hash.h"
#include "core/journal/known_format.h"
#include "core/store/store.h"
#include "tests/support/conference.h"
#include "tests/support/later_node.h"

namespace staffel {
namespace {

using testing::ConferenceOf;
using testing::CopyMissing;
using testing::Describe;
using testing::DigestRoot;
using testing::kNote;
using testing::kNoteText;
using testing::kNoteTitle;
using testing::LaterNode;
using testing::Newer;
using testing::NewNote;
using testing::PlayVersion;
using testing::SetText;
using testing::TestReplica;
using testing::TextValue;

template <typename T>
T Value(Result<T> result) {
  if (!result) FAIL(result.error().message);
  return std::move(*result);
}
void Done(const Status& status) {
  if (!status) FAIL(status.error().message);
}

std::vector<std::pair<Cell, Bytes>> Note(std::string_view title) {
  return {{FieldCell(kNoteTitle), TextValue(kNoteTitle, title)},
          {FieldCell(kNoteText), TextValue(kNoteText, "Text")}};
}

RecordView Get(Store& store, const RecordId& record) {
  auto snapshot = Value(store.Read());
  return Value(snapshot.GetRecord(record));
}
StoreCounts CountsOf(Store& store) { return Value(Value(store.Read()).Counts()); }
bool HasDigest(Store& store, const AudienceId& audience) {
  return Value(Value(store.Read()).Digest(audience)).complete;
}

struct Fixture {
  const testing::TestConference& conference = ConferenceOf(3);
  AudienceId laender = conference.laender();
  RecordId record = testing::SimRandom(5).DrawId<RecordId>();
  TestReplica older{conference, 0, 21};
  TestReplica other{conference, 2, 22};
  Fixture() {
    Done(older.Open());
    Done(other.Open());
  }
  // The file in the hands of a later version.
  void Upgrade(TestReplica& replica) const {
    replica.Close();
    Done(replica.Open());
  }
};

TEST_CASE("an older node stores and forwards what it cannot read, and folds it after its upgrade") {
  const auto newer = GENERATE(Newer::kFormat, Newer::kField);
  Fixture f;
  LaterNode later(f.conference, {});
  const EntryId first = later.Write(f.record, kNote, Note("eins"), {}, {});
  later.Write(f.record, kNote, {{FieldCell(kNoteTitle), TextValue(kNoteTitle, "zwei")}}, {first},
              newer);
  later.Write(testing::SimRandom(6).DrawId<RecordId>(), kNote, Note("nur neu"), {}, newer);
  Done(later.SendTo(f.older.store()));

  CHECK(Get(f.older.store(), f.record).incomplete);
  CHECK(CountsOf(f.older.store()).opaque_entries == 2);
  CHECK(CountsOf(f.older.store()).records == 1);
  CHECK(!HasDigest(f.older.store(), f.laender));
  CHECK(Value(f.older.store().Verify()).problems.empty());
  // Forwarded byte for byte, by a node that cannot read it, to another one.
  CHECK(Value(CopyMissing(f.older.store(), f.other.store(), f.laender)) == 4);
  CHECK(CountsOf(f.other.store()).opaque_entries == 2);

  const PlayVersion version(2);
  f.Upgrade(f.older);
  CHECK(!Get(f.older.store(), f.record).incomplete);
  CHECK(CountsOf(f.older.store()).opaque_entries == 0);
  CHECK(CountsOf(f.older.store()).records == 2);
  CHECK(HasDigest(f.older.store(), f.laender));
  CHECK(Value(f.older.store().Verify()).problems.empty());
  // As a node that could read it from the beginning.
  TestReplica fresh(f.conference, 2, 23);
  Done(fresh.Open());
  Done(later.SendTo(fresh.store()));
  CHECK(Value(Describe(fresh.store(), f.laender)) == Value(Describe(f.older.store(), f.laender)));
  CHECK(Value(DigestRoot(fresh.store(), f.laender)) ==
        Value(DigestRoot(f.older.store(), f.laender)));
}

TEST_CASE("a record whose beginning could not be read is whole after the upgrade") {
  Fixture f;
  LaterNode later(f.conference, {});
  const EntryId first = later.Write(f.record, kNote, Note("eins"), {}, Newer::kFormat);
  later.Write(f.record, kNote, {{FieldCell(kNoteTitle), TextValue(kNoteTitle, "zwei")}}, {first},
              {});
  Done(later.SendTo(f.older.store()));
  CHECK(Get(f.older.store(), f.record).incomplete);
  const PlayVersion version(2);
  f.Upgrade(f.older);
  CHECK(Value(f.older.store().Verify()).problems.empty());
  auto snapshot = Value(f.older.store().Read());
  const auto history = Value(snapshot.History(Get(f.older.store(), f.record)));
  REQUIRE(history.size() == 2);
  CHECK(history[0].entry == first);
}

TEST_CASE("edits made beside what cannot be read meet it after the upgrade, and nothing is lost") {
  Fixture f;
  LaterNode later(f.conference, {});
  const EntryId first = later.Write(f.record, kNote, Note("eins"), {}, {});
  later.Write(f.record, kNote, {{FieldCell(kNoteTitle), TextValue(kNoteTitle, "neu")}}, {first},
              Newer::kFormat);
  Done(later.SendTo(f.older.store()));
  (void)Value(f.older.store().Apply(SetText(f.laender, kNote, f.record, kNoteTitle, "alt")));
  CHECK(Get(f.older.store(), f.record).conflicts == 0);
  const PlayVersion version(2);
  f.Upgrade(f.older);
  CHECK(Get(f.older.store(), f.record).conflicts == 1);
  TestReplica fresh(f.conference, 2, 23);
  Done(fresh.Open());
  (void)Value(CopyMissing(f.older.store(), fresh.store(), f.laender));
  CHECK(Value(Describe(fresh.store(), f.laender)) == Value(Describe(f.older.store(), f.laender)));
  CHECK(Value(DigestRoot(fresh.store(), f.laender)) ==
        Value(DigestRoot(f.older.store(), f.laender)));
}

TEST_CASE("a journal that a newer version opened is kept whole and folded after the upgrade") {
  const auto newer = GENERATE(Newer::kFormat, Newer::kField);
  Fixture f;
  LaterNode later(f.conference, newer);
  // In a journal that is not understood, plain entries are not either.
  later.Write(f.record, kNote, Note("eins"), {}, {});
  Done(later.SendTo(f.older.store()));
  CHECK(CountsOf(f.older.store()).opaque_entries == 2);
  CHECK(CountsOf(f.older.store()).records == 0);
  CHECK(!HasDigest(f.older.store(), f.laender));
  f.Upgrade(f.older);  // a restart is no upgrade
  CHECK(CountsOf(f.older.store()).opaque_entries == 2);
  CHECK(Value(f.older.store().Verify()).problems.empty());
  CHECK(Value(CopyMissing(f.older.store(), f.other.store(), f.laender)) == 2);
  const PlayVersion version(2);
  f.Upgrade(f.other);
  CHECK(CountsOf(f.other.store()).opaque_entries == 0);
  CHECK(CountsOf(f.other.store()).records == 1);
  CHECK(Value(f.other.store().Verify()).problems.empty());
}

TEST_CASE("what follows an erasure of a newer format is taken, too") {
  Fixture f;
  LaterNode later(f.conference, {});
  const EntryId first = later.Write(f.record, kNote, Note("eins"), {}, {});
  later.Follow(ErasureBody{{{first, 0}}, {}}, {}, Newer::kFormat);
  later.Write(testing::SimRandom(6).DrawId<RecordId>(), kNote, Note("danach"), {}, {});
  Done(later.SendTo(f.older.store()));
  CHECK(CountsOf(f.older.store()).entries == 4);
  CHECK(CountsOf(f.older.store()).records == 2);
}

TEST_CASE("a body of a sort that nobody here knows is stored, forwarded and counted") {
  Fixture f;
  LaterNode later(f.conference, {});
  Header header;
  later.Write(f.record, kNote, Note("eins"), {}, {});
  Done(later.SendTo(f.older.store()));
  Entry last = later.run().entries.back();
  header.journal = later.run().entries.front().id;
  header.seq = last.header.seq + 1;
  header.prev = last.id;
  Bytes bytes = SerializeHeader(header);
  AppendBytesField(bytes, 13, "was später kommt");
  Entry entry = Value(MakeEntry(bytes));
  entry.signature = f.conference.member(1).key.Sign(crypto::kTagSign, entry.id.bytes());
  Batch batch;
  batch.runs.push_back({{entry}});
  CHECK(Value(f.older.store().Ingest(f.older.store().Prepare(std::move(batch)))).new_entries == 1);
  CHECK(CountsOf(f.older.store()).opaque_entries == 1);
  CHECK(Value(CopyMissing(f.older.store(), f.other.store(), f.laender)) == 3);
  f.Upgrade(f.older);
  CHECK(Value(f.older.store().Verify()).problems.empty());
}

TEST_CASE(
    "new kinds and new fields need no newer format: kept, agreed on, shown with their bytes") {
  Fixture f;
  LaterNode later(f.conference, {});
  constexpr std::uint32_t kLaterKind = 900;
  constexpr std::uint32_t kLaterField = 300;
  const RecordId unknown = testing::SimRandom(8).DrawId<RecordId>();
  later.Write(unknown, kLaterKind, {{FieldCell(2), TextValue(2, "Datensatz")}}, {}, {});
  auto values = Note("mit neuem Feld");
  values.emplace_back(FieldCell(kLaterField), TextValue(kLaterField, "später"));
  later.Write(f.record, kNote, values, {}, {});
  Done(later.SendTo(f.older.store()));
  (void)Value(CopyMissing(f.older.store(), f.other.store(), f.laender));
  CHECK(HasDigest(f.older.store(), f.laender));
  CHECK(Value(DigestRoot(f.older.store(), f.laender)) ==
        Value(DigestRoot(f.other.store(), f.laender)));
  CHECK(Get(f.older.store(), unknown).kind == kLaterKind);
  CHECK(Get(f.older.store(), unknown).row == TextValue(2, "Datensatz"));
  CHECK(Get(f.older.store(), f.record).row.find("später") != Bytes::npos);
  // An edit of what is known leaves the rest as it is.
  (void)Value(f.older.store().Apply(SetText(f.laender, kNote, f.record, kNoteTitle, "geändert")));
  CHECK(Get(f.older.store(), f.record).row.find("später") != Bytes::npos);
}

TEST_CASE("a kind whose least version is beyond ours is read here and not written") {
  Fixture f;
  (void)Value(f.older.store().Apply(NewNote(f.laender, f.record, "vorher")));
  charter::Content content = f.older.store().authority()->content();
  content.min_versions = {{kNote, projection::kProjectionVersion + 1}};
  const auto tree = f.older.store().charter();
  const Entry entry = Value(charter::MakeCharterEntry(&*tree->Find(tree->InForce().entry), content,
                                                      TimeMs{1'700'000'000'000}));
  CharterItem item{.entry = entry, .id = entry.id};
  for (std::size_t signer = 0; signer < 2; ++signer) {
    item.signatures.push_back(charter::SignCharterEntry(
        entry.id, charter::CharterSignature::Kind::kApproval, f.conference.member(signer).key));
  }
  Batch batch;
  batch.charter.push_back(std::move(item));
  CHECK(Value(f.older.store().Ingest(f.older.store().Prepare(std::move(batch))))
            .charter_refusals.empty());
  const auto refused =
      f.older.store().Apply(SetText(f.laender, kNote, f.record, kNoteTitle, "nachher"));
  REQUIRE(!refused);
  CHECK(refused.error().code == ErrorCode::kUnsupported);
  CHECK(refused.error().message.find("upgrade") != std::string::npos);
  CHECK(Get(f.older.store(), f.record).row.find("vorher") != Bytes::npos);
  // What newer nodes write is folded and shown all the same.
  LaterNode later(f.conference, {});
  later.Write(testing::SimRandom(6).DrawId<RecordId>(), kNote, Note("von neueren"), {}, {});
  Done(later.SendTo(f.older.store()));
  CHECK(CountsOf(f.older.store()).records == 2);
}

TEST_CASE("a file that a newer version has had in its hands is not opened by an older one") {
  Fixture f;
  f.older.Close();
  {
    const PlayVersion version(2);
    Done(f.older.Open());
    f.older.Close();
  }
  const Status opened = f.older.Open();
  REQUIRE(!opened);
  CHECK(opened.error().code == ErrorCode::kUnsupported);
  CHECK(opened.error().message.find("newer version") != std::string::npos);
  const PlayVersion version(2);
  Done(f.older.Open());
}

}  // namespace
}  // namespace staffel
