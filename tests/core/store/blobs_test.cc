// SPDX-License-Identifier: EUPL-1.2
#include "core/store/blobs.h"

#include <algorithm>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "core/base/wire.h"
#include "core/crypto/hash.h"
#include "core/record/blob_field.h"
#include "core/sqlite/database.h"
#include "core/store/writer.h"
#include "tests/support/conference.h"

namespace staffel {
namespace {

using testing::ConferenceOf;
using testing::CopyMissing;
using testing::TestReplica;
using testing::Unsynced;

constexpr std::uint32_t kDocument = 11;

template <typename T>
T Value(Result<T> result) {
  if (!result) FAIL(result.error().message);
  return std::move(*result);
}
void Done(const Status& status) {
  if (!status) FAIL(status.error().message);
}

// Bytes that no other file has, and that do not compress away.
Bytes FileOf(std::uint64_t seed, std::size_t size) {
  testing::SimRandom random(seed);
  return random.Draw(size);
}

Hash Upload(Blobs& blobs, ByteView file) {
  const Hash upload = Value(blobs.BeginUpload());
  for (std::size_t place = 0; place * kBlobChunkBytes < file.size(); ++place) {
    Done(blobs.AddPiece(upload, place, file.substr(place * kBlobChunkBytes, kBlobChunkBytes)));
  }
  return upload;
}

// An edit that makes a document name the content.
Edit Naming(const AudienceId& audience, const RecordId& record, const BlobContent& content,
            RecordEdit::Mode mode = RecordEdit::Mode::kCreate) {
  const auto write = record::NameBlob(
      *record::Kinds().Find(kDocument),
      {content.id, content.size_bytes, content.sha256, "application/pdf", "a.pdf"});
  Edit edit{.audience = audience, .records = {{.kind = kDocument, .record = record, .mode = mode}}};
  edit.records[0].cells.push_back({write.cell, write.value, {}});
  return edit;
}

BlobContent Attach(Store& store, const AudienceId& audience, const RecordId& record,
                   ByteView file) {
  Blobs blobs(store);
  const Hash upload = Upload(blobs, file);
  const BlobContent content = Value(blobs.Describe(upload));
  const std::vector<Edit> edits{Naming(audience, record, content)};
  (void)Value(blobs.Attach(upload, edits));
  return content;
}

// What a replica has of an attachment, piece by piece.
Bytes ReadWhole(Store& store, const BlobId& id, const AudienceId& audience) {
  Blobs blobs(store);
  const BlobList list = Value(blobs.List(id, audience));
  Bytes file;
  for (std::size_t place = 0; place < BlobChunks(list.size_bytes); ++place) {
    file += Value(blobs.Chunk(id, audience, place));
  }
  return file;
}

// Moves all that is wanted of one attachment; says how many pieces.
std::size_t Fetch(Store& from, Store& to, const BlobId& id, const AudienceId& audience) {
  Blobs source(from);
  Blobs target(to);
  const BlobList list = Value(source.List(id, audience));
  Done(target.Expect(id, audience, list));
  std::size_t moved = 0;
  for (;;) {
    const auto wanted = Value(target.Wanted(100));
    const auto found = std::find_if(wanted.begin(), wanted.end(), [&](const WantedBlob& one) {
      return one.id == id && one.audience == audience;
    });
    if (found == wanted.end()) return moved;
    ++moved;
    (void)Value(target.Take(id, audience, found->next_chunk,
                            Value(source.Chunk(id, audience, found->next_chunk))));
  }
}

struct Two {
  const testing::TestConference& conference = ConferenceOf(3);
  TestReplica ni{conference, 0, 11};
  TestReplica nw{conference, 1, 12};
  AudienceId laender = conference.laender();
  RecordId record = testing::SimRandom(7).DrawId<RecordId>();
  Two() {
    Done(ni.Open());
    Done(nw.Open());
  }
  void Copy() { (void)Value(CopyMissing(ni.store(), nw.store(), laender)); }
};

std::string AllFiles(testing::FaultingDisk& disk) {
  std::string all;
  for (const std::string& name : disk.Files()) {
    if (const auto file = disk.ReadFile(name)) all += *file;
  }
  return all;
}

TEST_CASE("an attachment is its bytes: what is read is what was attached, with sha256sum's sum") {
  Two t;
  const Bytes file = FileOf(1, 2 * kBlobChunkBytes + 12345);
  const BlobContent content = Attach(t.ni.store(), t.laender, t.record, file);
  CHECK(content.size_bytes == file.size());
  CHECK(content.sha256 == crypto::Sha256(file));
  CHECK(ReadWhole(t.ni.store(), content.id, t.laender) == file);
  const BlobState state = Value(Blobs(t.ni.store()).State(content.id, t.laender));
  CHECK(state.complete);
  CHECK(state.here_bytes == file.size());
}

TEST_CASE("the id of an attachment's bytes follows from size and pieces alone") {
  const Bytes piece = "Niederschrift";
  const Hash hash = crypto::Sha256(piece);
  Bytes data;
  AppendVarint(data, piece.size());
  data.append(hash.bytes());
  CHECK(BlobIdOf(piece.size(), hash.bytes()) == crypto::TaggedHash("staffel/1/blob", data));
  CHECK(BlobIdOf(piece.size(), hash.bytes()).Hex() ==
        "9afddfc13b29c83a6b12be3da8e95bfb0dee5c00ced50451cf54ca2e81606f95");
}

TEST_CASE("who learns of an attachment wants it, fetches it piece by piece, and has it whole") {
  Two t;
  const Bytes file = FileOf(2, 3 * kBlobChunkBytes);
  const BlobContent content = Attach(t.ni.store(), t.laender, t.record, file);
  CHECK(Value(Blobs(t.nw.store()).Wanted(10)).empty());
  t.Copy();
  const auto wanted = Value(Blobs(t.nw.store()).Wanted(10));
  REQUIRE(wanted.size() == 1);
  CHECK(wanted[0].id == content.id);
  CHECK(wanted[0].size_bytes == file.size());
  CHECK(!wanted[0].listed);
  CHECK(Fetch(t.ni.store(), t.nw.store(), content.id, t.laender) == 3);
  CHECK(ReadWhole(t.nw.store(), content.id, t.laender) == file);
  CHECK(Value(Blobs(t.nw.store()).State(content.id, t.laender)).sha256 == content.sha256);
  CHECK(Value(Blobs(t.nw.store()).Wanted(10)).empty());
}

TEST_CASE("a fetch goes on where it stopped, also after a power cut") {
  Two t;
  const Bytes file = FileOf(3, 4 * kBlobChunkBytes);
  const BlobContent content = Attach(t.ni.store(), t.laender, t.record, file);
  t.Copy();
  Blobs source(t.ni.store());
  {
    Blobs target(t.nw.store());
    Done(target.Expect(content.id, t.laender, Value(source.List(content.id, t.laender))));
    for (const std::size_t place : {0u, 1u}) {
      CHECK(!Value(target.Take(content.id, t.laender, place,
                               Value(source.Chunk(content.id, t.laender, place)))));
    }
  }
  Done(t.nw.CrashAndOpen(Unsynced::kLost));
  const auto wanted = Value(Blobs(t.nw.store()).Wanted(10));
  REQUIRE(wanted.size() == 1);
  CHECK(wanted[0].listed);
  CHECK(wanted[0].next_chunk == 2);
  CHECK(Value(Blobs(t.nw.store()).State(content.id, t.laender)).here_bytes == 2 * kBlobChunkBytes);
  CHECK(Fetch(t.ni.store(), t.nw.store(), content.id, t.laender) == 2);
  CHECK(ReadWhole(t.nw.store(), content.id, t.laender) == file);
}

TEST_CASE("garbage is refused piece by piece, and nothing of it is kept") {
  Two t;
  const BlobContent content =
      Attach(t.ni.store(), t.laender, t.record, FileOf(4, 2 * kBlobChunkBytes));
  t.Copy();
  Blobs target(t.nw.store());
  BlobList list = Value(Blobs(t.ni.store()).List(content.id, t.laender));
  BlobList wrong = list;
  wrong.chunk_hashes[3] = static_cast<char>(wrong.chunk_hashes[3] ^ 1);
  CHECK(target.Expect(content.id, t.laender, wrong).error().code == ErrorCode::kCorrupt);
  wrong = list;
  ++wrong.size_bytes;
  CHECK(target.Expect(content.id, t.laender, wrong).error().code == ErrorCode::kCorrupt);
  CHECK(target.Take(content.id, t.laender, 0, "x").error().code == ErrorCode::kNotFound);
  Done(target.Expect(content.id, t.laender, list));
  const Bytes second = Value(Blobs(t.ni.store()).Chunk(content.id, t.laender, 1));
  CHECK(target.Take(content.id, t.laender, 0, second).error().code == ErrorCode::kCorrupt);
  CHECK(target.Take(content.id, t.laender, 2, second).error().code == ErrorCode::kCorrupt);
  CHECK(Value(target.State(content.id, t.laender)).here_bytes == 0);
  CHECK(Value(target.Counts()).bytes == 0);
}

TEST_CASE("an attachment that no record names is neither wanted nor taken") {
  Two t;
  Blobs target(t.nw.store());
  const Hash hash = crypto::Sha256("frei erfunden");
  const BlobList list{13, Bytes(hash.bytes())};
  const BlobId id = BlobIdOf(13, hash.bytes());
  CHECK(target.Expect(id, t.laender, list).error().code == ErrorCode::kNotFound);
  CHECK(target.State(id, t.laender).error().code == ErrorCode::kNotFound);
}

TEST_CASE("equal pieces are stored once, however many records name them") {
  Two t;
  const Bytes file = FileOf(5, kBlobChunkBytes + 100);
  const BlobContent first = Attach(t.ni.store(), t.laender, t.record, file);
  const BlobContent second =
      Attach(t.ni.store(), t.laender, testing::SimRandom(8).DrawId<RecordId>(), file);
  CHECK(first.id == second.id);
  (void)Attach(t.ni.store(), t.ni.self().own, testing::SimRandom(9).DrawId<RecordId>(), file);
  const BlobCounts counts = Value(Blobs(t.ni.store()).Counts());
  CHECK(counts.bytes == file.size());
  CHECK(counts.complete == 2);  // one for each audience
}

TEST_CASE("bytes held for one audience are not given to readers of another") {
  Two t;
  const Bytes file = FileOf(6, 5000);
  const BlobContent content = Attach(t.ni.store(), t.ni.self().own, t.record, file);
  Blobs ni(t.ni.store());
  CHECK(Value(ni.ReadableBy(t.ni.self().id, content.id)) == t.ni.self().own);
  CHECK(!Value(ni.ReadableBy(t.nw.self().id, content.id)));
  // NW has heard the id somewhere and names it in an audience that both read.
  (void)Value(
      t.nw.store().Apply(Naming(t.laender, testing::SimRandom(20).DrawId<RecordId>(), content)));
  (void)Value(CopyMissing(t.nw.store(), t.ni.store(), t.laender));
  CHECK(Value(ni.ShareHeld()) == 0);
  CHECK(!Value(ni.ReadableBy(t.nw.self().id, content.id)));
  CHECK(Value(ni.Wanted(10)).size() == 1);
}

TEST_CASE("a release moves no bytes: who reads both audiences may name them in the wider one") {
  Two t;
  const Bytes file = FileOf(7, 5000);
  const BlobContent content = Attach(t.ni.store(), t.ni.self().own, t.record, file);
  (void)Value(t.ni.store().Apply(Naming(t.laender, t.record, content)));
  Blobs ni(t.ni.store());
  CHECK(!Value(ni.ReadableBy(t.nw.self().id, content.id)));
  CHECK(Value(ni.ShareHeld()) == 1);
  CHECK(Value(ni.ReadableBy(t.nw.self().id, content.id)) == t.laender);
  CHECK(Value(ni.Counts()).bytes == file.size());
  CHECK(Value(ni.ShareHeld()) == 0);
}

// What an erasure does to the file: the payload goes, and with it whatever it named.
void ErasePayload(TestReplica& replica, const RecordId& record) {
  const auto& self = replica.self();
  replica.Close();
  auto database =
      Value(sqlite::Database::Open({.path = "replica.db", .vfs = replica.disk().vfs()}));
  const std::vector<crypto::PublicKey> no_former_keys;
  Writer writer(database, replica.clock(), replica.random(), self.key, no_former_keys);
  Done(writer.Load());
  auto transaction = Value(sqlite::Transaction::BeginWrite(database));
  const auto laender = writer.cache().journals.audiences.at(replica.conference().laender());
  const auto row = Value(writer.reader().FindRecord(laender, kDocument, record));
  REQUIRE(row);
  {
    auto erase = Value(database.Prepare("UPDATE entry SET payloads = ? WHERE arrival = ?"));
    const Bytes absent = PackPayloads({std::nullopt});
    erase.BindBlob(1, absent);
    erase.Bind(2, static_cast<std::int64_t>(row->first_entry));
    Done(erase.Run());
  }
  Done(writer.ReindexBlobs(row->first_entry));
  Done(writer.Flush());
  Done(transaction.Commit());
  (void)Value(database.Checkpoint(/*truncate=*/true));
}

TEST_CASE("the bytes go with the last payload that names them, out of every file") {
  Two t;
  const Bytes file = FileOf(10, 2 * kBlobChunkBytes + 500);
  const RecordId other = testing::SimRandom(50).DrawId<RecordId>();
  const BlobContent content = Attach(t.ni.store(), t.laender, t.record, file);
  (void)Attach(t.ni.store(), t.laender, other, file);
  const std::vector<std::string> marks{file.substr(100, 64), file.substr(kBlobChunkBytes + 5, 64),
                                       file.substr(file.size() - 80, 64)};
  ErasePayload(t.ni, t.record);
  Done(t.ni.Open());
  CHECK(ReadWhole(t.ni.store(), content.id, t.laender) == file);
  ErasePayload(t.ni, other);
  const std::string left = AllFiles(t.ni.disk());
  for (const std::string& mark : marks) CHECK(left.find(mark) == std::string::npos);
  Done(t.ni.Open());
  CHECK(Value(Blobs(t.ni.store()).Counts()).bytes == 0);
  CHECK(Blobs(t.ni.store()).State(content.id, t.laender).error().code == ErrorCode::kNotFound);
}

TEST_CASE("a deleted record keeps its attachment, since it can be restored") {
  Two t;
  const Bytes file = FileOf(11, 5000);
  const BlobContent content = Attach(t.ni.store(), t.laender, t.record, file);
  Edit remove{
      .audience = t.laender,
      .records = {{.kind = kDocument, .record = t.record, .mode = RecordEdit::Mode::kDelete}}};
  (void)Value(t.ni.store().Apply(remove));
  CHECK(ReadWhole(t.ni.store(), content.id, t.laender) == file);
}

TEST_CASE("the refusals of an upload say what is wrong") {
  Two t;
  Blobs blobs(t.ni.store());
  const Hash upload = Value(blobs.BeginUpload());
  CHECK(blobs.Describe(upload).error().code == ErrorCode::kInvalid);
  CHECK(blobs.AddPiece(upload, 0, "").error().code == ErrorCode::kInvalid);
  CHECK(blobs.AddPiece(upload, 1, "x").error().code == ErrorCode::kInvalid);
  CHECK(blobs.AddPiece(upload, 0, Bytes(kBlobChunkBytes + 1, 'x')).error().code ==
        ErrorCode::kInvalid);
  Done(blobs.AddPiece(upload, 0, "kurz"));
  Done(blobs.AddPiece(upload, 0, "kurz"));  // a repeat after a lost answer
  CHECK(blobs.AddPiece(upload, 1, "nach dem Ende").error().code == ErrorCode::kInvalid);
  CHECK(blobs.AddPiece(Hash(), 0, "x").error().code == ErrorCode::kNotFound);
  Done(blobs.DropUpload(upload));
  CHECK(blobs.Describe(upload).error().code == ErrorCode::kNotFound);
  for (std::size_t i = 0; i < kUploadsMax; ++i) (void)Value(blobs.BeginUpload());
  CHECK(blobs.BeginUpload().error().code == ErrorCode::kTooLarge);
  Done(blobs.DropUploads());
  CHECK(Value(blobs.Counts()).bytes == 0);
}

TEST_CASE("a refused edit attaches nothing, and the upload can be used again") {
  Two t;
  Blobs blobs(t.ni.store());
  const Hash upload = Upload(blobs, "Entwurf");
  const BlobContent content = Value(blobs.Describe(upload));
  std::vector<Edit> edits{Naming(t.laender, t.record, content, RecordEdit::Mode::kChange)};
  CHECK(blobs.Attach(upload, edits).error().code == ErrorCode::kNotFound);
  CHECK(blobs.State(content.id, t.laender).error().code == ErrorCode::kNotFound);
  edits[0].records[0].mode = RecordEdit::Mode::kCreate;
  CHECK(blobs.Attach(upload, edits));
  CHECK(Value(blobs.State(content.id, t.laender)).complete);
}

TEST_CASE("a file beyond the limit is refused at the piece that goes beyond") {
  Two t;
  Blobs blobs(t.ni.store());
  const Hash upload = Value(blobs.BeginUpload());
  const Bytes piece(kBlobChunkBytes, 'x');  // stored once: the test's disk is memory
  const std::size_t most = BlobChunks(kBlobBytesMax);
  for (std::size_t place = 0; place < most; ++place) Done(blobs.AddPiece(upload, place, piece));
  CHECK(blobs.AddPiece(upload, most, "x").error().code == ErrorCode::kTooLarge);
  CHECK(Value(blobs.Describe(upload)).size_bytes == kBlobBytesMax);
}

TEST_CASE("a full disk refuses a piece, keeps what was there, and takes it once there is room") {
  Two t;
  const Bytes file = FileOf(21, 3 * kBlobChunkBytes);
  const BlobContent content = Attach(t.ni.store(), t.laender, t.record, file);
  t.Copy();
  Blobs source(t.ni.store());
  Blobs target(t.nw.store());
  Done(target.Expect(content.id, t.laender, Value(source.List(content.id, t.laender))));
  (void)Value(target.Take(content.id, t.laender, 0, file.substr(0, kBlobChunkBytes)));
  t.nw.disk().SetSpace(t.nw.disk().used() + kBlobChunkBytes / 2);
  CHECK(target.Take(content.id, t.laender, 1, file.substr(kBlobChunkBytes, kBlobChunkBytes))
            .error()
            .code == ErrorCode::kStorage);
  t.nw.disk().SetSpace(std::nullopt);
  CHECK(Fetch(t.ni.store(), t.nw.store(), content.id, t.laender) == 2);
  CHECK(ReadWhole(t.nw.store(), content.id, t.laender) == file);
}

TEST_CASE(
    "power cuts at any point of attaching: all of it or nothing, never a name without bytes") {
  const Bytes file = FileOf(30, kBlobChunkBytes + 700);
  std::uint64_t cuts = 0;
  for (std::uint64_t at = 1;; at += 3) {
    TestReplica replica(ConferenceOf(2), 0, 40);
    Done(replica.Open());
    const AudienceId laender = replica.conference().laender();
    const RecordId record = testing::SimRandom(31).DrawId<RecordId>();
    replica.disk().CutPowerAt(replica.disk().operations() + at, Unsynced::kTorn);
    std::optional<BlobId> acknowledged;
    {
      Blobs blobs(replica.store());
      const auto attach = [&]() -> Status {
        STAFFEL_TRY(upload, blobs.BeginUpload());
        STAFFEL_CHECK(blobs.AddPiece(upload, 0, file.substr(0, kBlobChunkBytes)));
        STAFFEL_CHECK(blobs.AddPiece(upload, 1, file.substr(kBlobChunkBytes)));
        STAFFEL_TRY(content, blobs.Describe(upload));
        const std::vector<Edit> edits{Naming(laender, record, content)};
        STAFFEL_TRY(applied, blobs.Attach(upload, edits));
        acknowledged = content.id;
        return {};
      };
      (void)attach();
    }
    const bool cut = replica.disk().power_is_cut();
    if (cut) {
      ++cuts;
      Done(replica.CrashAndOpen(Unsynced::kTorn));
    }
    Blobs blobs(replica.store());
    Done(blobs.DropUploads());
    auto snapshot = Value(replica.store().Read());
    const bool named = snapshot.GetRecord(record).has_value();
    const BlobCounts counts = Value(blobs.Counts());
    CHECK(counts.wanted == 0);
    CHECK(counts.complete == (named ? 1 : 0));
    CHECK(counts.bytes == (named ? file.size() : 0));
    if (acknowledged) {
      REQUIRE(named);
      CHECK(ReadWhole(replica.store(), *acknowledged, laender) == file);
    }
    if (!cut) break;
  }
  CHECK(cuts > 20);
}

}  // namespace
}  // namespace staffel
