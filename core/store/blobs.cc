// SPDX-License-Identifier: EUPL-1.2
#include "core/store/blobs.h"

#include <algorithm>
#include <limits>
#include <unordered_map>

#include "core/base/wire.h"
#include "core/crypto/hash.h"
#include "core/crypto/sha256_stream.h"
#include "core/record/blob_field.h"
#include "core/store/store_impl.h"

namespace staffel {
namespace {

constexpr std::string_view kTagBlob = "staffel/1/blob";
constexpr std::int64_t kUploads = 0;  // the audience of what no record names yet

// A row of `blob`.
struct BlobRow {
  std::int64_t number = 0;
  std::uint64_t size_bytes = 0;
  Bytes chunks;
  std::size_t have = 0;
  std::optional<Hash> sha256;

  [[nodiscard]] std::size_t chunk_count() const { return chunks.size() / Hash::kBytes; }
  [[nodiscard]] ByteView ChunkHash(std::size_t place) const {
    return ByteView(chunks).substr(place * Hash::kBytes, Hash::kBytes);
  }
};

Result<std::optional<BlobRow>> FindBlob(TableReader& reader, const BlobId& id,
                                        std::int64_t audience) {
  STAFFEL_TRY(statement, reader.Get("SELECT number, size_bytes, chunks, have, sha256 FROM blob "
                                    "WHERE id = ? AND audience = ?"));
  statement->BindBlob(1, id.bytes());
  statement->Bind(2, audience);
  const sqlite::StatementScope scope(*statement);
  STAFFEL_TRY(found, statement->Step());
  if (!found) return std::optional<BlobRow>();
  BlobRow row;
  row.number = statement->Int(0);
  row.size_bytes = static_cast<std::uint64_t>(statement->Int(1));
  row.chunks = statement->Blob(2);
  row.have = static_cast<std::size_t>(statement->Int(3));
  if (!statement->IsNull(4)) row.sha256 = Hash::From(statement->Blob(4));
  return std::optional<BlobRow>(std::move(row));
}

Result<Bytes> ReadChunk(TableReader& reader, std::int64_t blob, std::size_t place) {
  STAFFEL_TRY(statement, reader.Get("SELECT c.bytes FROM blob_chunk b JOIN chunk c ON c.number = "
                                    "b.chunk WHERE b.blob = ? AND b.place = ?"));
  statement->Bind(1, blob);
  statement->Bind(2, static_cast<std::int64_t>(place));
  const sqlite::StatementScope scope(*statement);
  STAFFEL_TRY(found, statement->Step());
  if (!found) return Fail(ErrorCode::kNotFound, "piece {} of the attachment is not here", place);
  return Bytes(statement->Blob(0));
}

// The SHA-256 of the whole, read piece by piece.
Result<Hash> HashWhole(TableReader& reader, const BlobRow& blob) {
  crypto::Sha256Stream stream;
  for (std::size_t place = 0; place < blob.chunk_count(); ++place) {
    STAFFEL_TRY(bytes, ReadChunk(reader, blob.number, place));
    stream.Add(bytes);
  }
  return stream.Finish();
}

// Puts a piece into its place, stored once however often it occurs.
Status StoreChunk(TableReader& reader, std::int64_t blob, std::size_t place, ByteView hash,
                  ByteView bytes) {
  std::optional<std::int64_t> chunk;
  {
    STAFFEL_TRY(find, reader.Get("SELECT number FROM chunk WHERE hash = ?"));
    find->BindBlob(1, hash);
    const sqlite::StatementScope scope(*find);
    STAFFEL_TRY(found, find->Step());
    if (found) chunk = find->Int(0);
  }
  if (!chunk) {
    STAFFEL_TRY(insert,
                reader.Get("INSERT INTO chunk (hash, bytes) VALUES (?, ?) RETURNING number"));
    insert->BindBlob(1, hash);
    insert->BindBlob(2, bytes);
    const sqlite::StatementScope scope(*insert);
    STAFFEL_TRY(made, insert->Step());
    STAFFEL_ASSERT(made);
    chunk = insert->Int(0);
  }
  STAFFEL_TRY(
      link, reader.Get("INSERT OR REPLACE INTO blob_chunk (blob, place, chunk) VALUES (?, ?, ?)"));
  link->Bind(1, blob);
  link->Bind(2, static_cast<std::int64_t>(place));
  link->Bind(3, *chunk);
  return link->Run();
}

// Removes attachments and the pieces that no other holds. SQLite overwrites what it frees
// (secure_delete, see core/sqlite).
Status DropBlobs(Writer& writer, const std::vector<std::int64_t>& blobs) {
  TableReader& reader = writer.reader();
  for (const std::int64_t blob : blobs) {
    writer.NoteWrote();
    std::vector<std::int64_t> chunks;
    {
      STAFFEL_TRY(list, reader.Get("SELECT chunk FROM blob_chunk WHERE blob = ?"));
      list->Bind(1, blob);
      const sqlite::StatementScope scope(*list);
      for (;;) {
        STAFFEL_TRY(row, list->Step());
        if (!row) break;
        chunks.push_back(list->Int(0));
      }
    }
    STAFFEL_TRY(unlink, reader.Get("DELETE FROM blob_chunk WHERE blob = ?"));
    unlink->Bind(1, blob);
    STAFFEL_CHECK(unlink->Run());
    for (const std::int64_t chunk : chunks) {
      STAFFEL_TRY(remove, reader.Get("DELETE FROM chunk WHERE number = ?1 AND NOT EXISTS (SELECT 1 "
                                     "FROM blob_chunk WHERE chunk = ?1)"));
      remove->Bind(1, chunk);
      STAFFEL_CHECK(remove->Run());
    }
    STAFFEL_TRY(remove, reader.Get("DELETE FROM blob WHERE number = ?"));
    remove->Bind(1, blob);
    STAFFEL_CHECK(remove->Run());
  }
  return {};
}

Result<std::vector<std::int64_t>> Numbers(sqlite::Statement& statement) {
  std::vector<std::int64_t> numbers;
  const sqlite::StatementScope scope(statement);
  for (;;) {
    STAFFEL_TRY(row, statement.Step());
    if (!row) return numbers;
    numbers.push_back(statement.Int(0));
  }
}

// An attachment is named here where a valid entry of the audience has it in a payload.
constexpr std::string_view kNamedSql =
    "SELECT MAX(r.size_bytes) FROM blob_ref r JOIN entry e ON e.arrival = r.arrival "
    "WHERE r.id = ? AND r.audience = ? AND e.reason = 0";

Result<std::optional<std::uint64_t>> NamedSize(TableReader& reader, const BlobId& id,
                                               std::int64_t audience) {
  STAFFEL_TRY(statement, reader.Get(kNamedSql));
  statement->BindBlob(1, id.bytes());
  statement->Bind(2, audience);
  const sqlite::StatementScope scope(*statement);
  STAFFEL_TRY(row, statement->Step());
  if (!row || statement->IsNull(0)) return std::optional<std::uint64_t>();
  return std::optional<std::uint64_t>(static_cast<std::uint64_t>(statement->Int(0)));
}

// Whether any payload here names it: then its bytes are kept, whatever the entry is worth.
Result<bool> IsNamed(TableReader& reader, const BlobId& id, std::int64_t audience) {
  STAFFEL_TRY(statement, reader.Get("SELECT 1 FROM blob_ref WHERE id = ? AND audience = ?"));
  statement->BindBlob(1, id.bytes());
  statement->Bind(2, audience);
  const sqlite::StatementScope scope(*statement);
  return statement->Step();
}

Error NoUpload() {
  return {ErrorCode::kNotFound, "this upload is not known any more: attach the file again"};
}

std::int64_t NumberOf(const JournalMap& journals, const AudienceId& audience) {
  const auto found = journals.audiences.find(audience);
  return found == journals.audiences.end() ? -1 : found->second;
}

// Valid names whose bytes are not whole here, in the order in which their entries came.
#define STAFFEL_WANTED_SQL(filter)                                                          \
  "SELECT r.id, r.audience, MAX(r.size_bytes), MIN(r.arrival) AS first FROM blob_ref r "    \
  "JOIN entry e ON e.arrival = r.arrival WHERE e.reason = 0 " filter                        \
  "AND NOT EXISTS (SELECT 1 FROM blob b WHERE b.id = r.id AND b.audience = r.audience AND " \
  "b.sha256 IS NOT NULL) GROUP BY r.id, r.audience ORDER BY first"
constexpr std::string_view kWantedSql = STAFFEL_WANTED_SQL("");
constexpr std::string_view kWantedOfSql = STAFFEL_WANTED_SQL("AND r.id = ? ");
#undef STAFFEL_WANTED_SQL

}  // namespace

BlobId BlobIdOf(std::uint64_t size_bytes, ByteView chunk_hashes) {
  Bytes data;
  AppendVarint(data, size_bytes);
  data.append(chunk_hashes);
  return crypto::TaggedHash(kTagBlob, data);
}

// ---------------------------------------------------------------------------------------------
// In the commit

Status Writer::IndexBlobs(const JournalInfo& journal, const Entry& entry, std::uint64_t arrival) {
  const auto* write = std::get_if<WriteBody>(&entry.header.body);
  if (write == nullptr || entry.header.opaque) return {};
  for (std::size_t i = 0; i < write->records.size() && i < entry.payloads.size(); ++i) {
    const RecordPart& part = write->records[i];
    if (!record::NamesBlobs(part.kind) || !entry.payloads[i]) continue;
    const auto content = ParsePayload(*entry.payloads[i], part.changes.size());
    if (!content) continue;
    const record::Kind& kind = *record::Kinds().Find(part.kind);
    for (std::size_t j = 0; j < part.changes.size(); ++j) {
      if (!content->values[j]) continue;
      const auto named = record::BlobNamedBy(kind, part.changes[j].cell, *content->values[j]);
      if (!named || named->size_bytes == 0 || named->size_bytes > kBlobBytesMax) continue;
      wrote_ = true;
      STAFFEL_TRY(insert,
                  reader_.Get("INSERT OR IGNORE INTO blob_ref (arrival, part, id, audience, "
                              "size_bytes) VALUES (?, ?, ?, ?, ?)"));
      insert->Bind(1, static_cast<std::int64_t>(arrival));
      insert->Bind(2, static_cast<std::int64_t>(i));
      insert->BindBlob(3, named->blob.bytes());
      insert->Bind(4, journal.audience_number);
      insert->Bind(5, static_cast<std::int64_t>(named->size_bytes));
      STAFFEL_CHECK(insert->Run());
    }
  }
  return {};
}

Status Writer::ReindexBlobs(std::uint64_t arrival) {
  std::vector<std::pair<BlobId, std::int64_t>> before;
  {
    STAFFEL_TRY(list, reader_.Get("SELECT id, audience FROM blob_ref WHERE arrival = ?"));
    list->Bind(1, static_cast<std::int64_t>(arrival));
    const sqlite::StatementScope scope(*list);
    for (;;) {
      STAFFEL_TRY(row, list->Step());
      if (!row) break;
      before.emplace_back(BlobId::From(list->Blob(0)).value_or(BlobId()), list->Int(1));
    }
  }
  STAFFEL_TRY(entry, reader_.GetEntry(arrival));
  if (before.empty() && entry.entry.payloads.empty()) return {};
  {
    // A hidden payload comes back if the chair drops its erasure: until then it names what it
    // named.
    STAFFEL_TRY(hidden, reader_.Get("SELECT part, bytes FROM absent WHERE arrival = ? AND bytes IS "
                                    "NOT NULL"));
    hidden->Bind(1, static_cast<std::int64_t>(arrival));
    const sqlite::StatementScope scope(*hidden);
    for (;;) {
      STAFFEL_TRY(row, hidden->Step());
      if (!row) break;
      const auto part = static_cast<std::size_t>(hidden->Int(0));
      if (part < entry.entry.payloads.size()) entry.entry.payloads[part] = Bytes(hidden->Blob(1));
    }
  }
  wrote_ = true;
  STAFFEL_TRY(clear, reader_.Get("DELETE FROM blob_ref WHERE arrival = ?"));
  clear->Bind(1, static_cast<std::int64_t>(arrival));
  STAFFEL_CHECK(clear->Run());
  STAFFEL_CHECK(IndexBlobs(cache_.journals.Get(entry.journal), entry.entry, arrival));
  for (const auto& [id, audience] : before) {
    STAFFEL_TRY(named, IsNamed(reader_, id, audience));
    if (named) continue;
    STAFFEL_TRY(blob, FindBlob(reader_, id, audience));
    if (blob) STAFFEL_CHECK(DropBlobs(*this, {blob->number}));
  }
  return {};
}

Status Writer::ReindexAllBlobs() {
  STAFFEL_TRY(last, database_.QueryInt("SELECT IFNULL(MAX(arrival), 0) FROM entry"));
  for (std::int64_t arrival = 1; arrival <= last; ++arrival) {
    STAFFEL_CHECK(ReindexBlobs(static_cast<std::uint64_t>(arrival)));
  }
  return {};
}

Status Writer::PurgeBlobs(std::int64_t audience) {
  wrote_ = true;
  STAFFEL_TRY(names, reader_.Get("DELETE FROM blob_ref WHERE audience = ?"));
  names->Bind(1, audience);
  STAFFEL_CHECK(names->Run());
  STAFFEL_TRY(list, reader_.Get("SELECT number FROM blob WHERE audience = ?"));
  list->Bind(1, audience);
  STAFFEL_TRY(blobs, Numbers(*list));
  return DropBlobs(*this, blobs);
}

// ---------------------------------------------------------------------------------------------
// From a person

Result<Hash> Blobs::BeginUpload() {
  const Hash upload = *Hash::From(store_.impl_->options.random->Draw(Hash::kBytes));
  const Status done = store_.impl_->Write(
      [&](Writer& writer) -> Status {
        TableReader& reader = writer.reader();
        STAFFEL_TRY(list, reader.Get("SELECT number FROM blob WHERE audience = 0"));
        STAFFEL_TRY(uploads, Numbers(*list));
        if (uploads.size() >= kUploadsMax) {
          return Fail(ErrorCode::kTooLarge,
                      "{} files are being attached at once already: wait for one to end",
                      uploads.size());
        }
        writer.NoteWrote();
        STAFFEL_TRY(insert, reader.Get("INSERT INTO blob (id, audience, size_bytes, chunks, have) "
                                       "VALUES (?, 0, 0, x'', 0)"));
        insert->BindBlob(1, upload.bytes());
        return insert->Run();
      },
      /*alone=*/false);
  if (!done) return tl::unexpected<Error>(done.error());
  return upload;
}

Status Blobs::AddPiece(const Hash& upload, std::size_t place, ByteView bytes) {
  if (bytes.empty() || bytes.size() > kBlobChunkBytes) {
    return Fail(ErrorCode::kInvalid, "a piece of an attachment has 1 to {} bytes, this one {}",
                kBlobChunkBytes, bytes.size());
  }
  const Hash hash = crypto::Sha256(bytes);
  return store_.impl_->Write(
      [&](Writer& writer) -> Status {
        TableReader& reader = writer.reader();
        STAFFEL_TRY(blob, FindBlob(reader, upload, kUploads));
        if (!blob) return tl::unexpected<Error>(NoUpload());
        if (place + 1 == blob->have && blob->ChunkHash(place) == hash.bytes()) return {};
        if (place != blob->have || blob->size_bytes != place * kBlobChunkBytes) {
          return Fail(ErrorCode::kInvalid, "piece {} of an attachment came where piece {} belongs",
                      place, blob->have);
        }
        if (blob->size_bytes + bytes.size() > kBlobBytesMax) {
          return Fail(ErrorCode::kTooLarge, "the file has more than {} MiB, which is the limit",
                      kBlobBytesMax >> 20);
        }
        writer.NoteWrote();
        STAFFEL_CHECK(StoreChunk(reader, blob->number, place, hash.bytes(), bytes));
        blob->chunks.append(hash.bytes());
        STAFFEL_TRY(update, reader.Get("UPDATE blob SET size_bytes = ?, chunks = ?, have = ? WHERE "
                                       "number = ?"));
        update->Bind(1, static_cast<std::int64_t>(blob->size_bytes + bytes.size()));
        update->BindBlob(2, blob->chunks);
        update->Bind(3, static_cast<std::int64_t>(place + 1));
        update->Bind(4, blob->number);
        return update->Run();
      },
      /*alone=*/false);
}

Result<Bytes> Blobs::UploadedPiece(const Hash& upload, std::size_t place) {
  STAFFEL_TRY(snapshot, store_.Read());
  TableReader& reader = snapshot.state_->connection->reader;
  STAFFEL_TRY(blob, FindBlob(reader, upload, kUploads));
  if (!blob) return tl::unexpected<Error>(NoUpload());
  return ReadChunk(reader, blob->number, place);
}

Result<BlobContent> Blobs::Describe(const Hash& upload) {
  STAFFEL_TRY(snapshot, store_.Read());
  TableReader& reader = snapshot.state_->connection->reader;
  STAFFEL_TRY(blob, FindBlob(reader, upload, kUploads));
  if (!blob) return tl::unexpected<Error>(NoUpload());
  if (blob->have == 0) return Fail(ErrorCode::kInvalid, "the file is empty: nothing to attach");
  STAFFEL_TRY(sha256, HashWhole(reader, *blob));
  return BlobContent{BlobIdOf(blob->size_bytes, blob->chunks), blob->size_bytes, sha256};
}

Result<std::vector<Applied>> Blobs::Attach(const Hash& upload, std::span<const Edit> edits) {
  STAFFEL_TRY(content, Describe(upload));
  std::vector<Applied> applied;
  const Status done = store_.impl_->Write(
      [&](Writer& writer) -> Status {
        applied.clear();
        TableReader& reader = writer.reader();
        STAFFEL_TRY(blob, FindBlob(reader, upload, kUploads));
        if (!blob || BlobIdOf(blob->size_bytes, blob->chunks) != content.id) {
          return tl::unexpected<Error>(NoUpload());
        }
        for (const Edit& edit : edits) {
          STAFFEL_TRY(one, writer.Apply(edit));
          applied.push_back(one);
        }
        const std::int64_t audience = NumberOf(writer.cache().journals, edits.front().audience);
        STAFFEL_TRY(named, IsNamed(reader, content.id, audience));
        STAFFEL_TRY(held, FindBlob(reader, content.id, audience));
        if (!named || (held && held->sha256)) return DropBlobs(writer, {blob->number});
        // A part of the same that was being fetched gives way to the whole.
        if (held) STAFFEL_CHECK(DropBlobs(writer, {held->number}));
        writer.NoteWrote();
        STAFFEL_TRY(update, reader.Get("UPDATE blob SET id = ?, audience = ?, sha256 = ? WHERE "
                                       "number = ?"));
        update->BindBlob(1, content.id.bytes());
        update->Bind(2, audience);
        update->BindBlob(3, content.sha256.bytes());
        update->Bind(4, blob->number);
        return update->Run();
      },
      /*alone=*/true);
  if (!done) return tl::unexpected<Error>(done.error());
  return applied;
}

Status Blobs::DropUpload(const Hash& upload) {
  return store_.impl_->Write(
      [&](Writer& writer) -> Status {
        STAFFEL_TRY(blob, FindBlob(writer.reader(), upload, kUploads));
        return blob ? DropBlobs(writer, {blob->number}) : Status();
      },
      /*alone=*/false);
}

Status Blobs::DropUploads() {
  return store_.impl_->Write(
      [&](Writer& writer) -> Status {
        STAFFEL_TRY(list, writer.reader().Get("SELECT number FROM blob WHERE audience = 0"));
        STAFFEL_TRY(uploads, Numbers(*list));
        return DropBlobs(writer, uploads);
      },
      /*alone=*/false);
}

// ---------------------------------------------------------------------------------------------
// Looking

Result<BlobState> Blobs::State(const BlobId& id, const AudienceId& audience) {
  STAFFEL_TRY(snapshot, store_.Read());
  TableReader& reader = snapshot.state_->connection->reader;
  const std::int64_t number = NumberOf(*snapshot.state_->published->journals, audience);
  STAFFEL_TRY(named, NamedSize(reader, id, number));
  if (!named) {
    return Fail(ErrorCode::kNotFound, "no record of this audience names the attachment {}",
                id.Hex().substr(0, 12));
  }
  BlobState state{id, audience, *named};
  STAFFEL_TRY(blob, FindBlob(reader, id, number));
  if (!blob) return state;
  state.size_bytes = blob->size_bytes;
  state.complete = blob->sha256.has_value();
  state.sha256 = blob->sha256;
  state.here_bytes = state.complete
                         ? blob->size_bytes
                         : std::min<std::uint64_t>(blob->size_bytes, blob->have * kBlobChunkBytes);
  return state;
}

Result<std::vector<BlobState>> Blobs::Find(const Hash& id_or_sha256) {
  std::vector<std::pair<BlobId, AudienceId>> found;
  {
    STAFFEL_TRY(snapshot, store_.Read());
    TableReader& reader = snapshot.state_->connection->reader;
    STAFFEL_TRY(list, reader.Get("SELECT DISTINCT id, audience FROM blob_ref WHERE id = ?1 UNION "
                                 "SELECT id, audience FROM blob WHERE sha256 = ?1 AND audience != "
                                 "0 ORDER BY audience"));
    list->BindBlob(1, id_or_sha256.bytes());
    const sqlite::StatementScope scope(*list);
    for (;;) {
      STAFFEL_TRY(row, list->Step());
      if (!row) break;
      found.emplace_back(BlobId::From(list->Blob(0)).value_or(BlobId()),
                         snapshot.state_->published->journals->AudienceOf(list->Int(1)));
    }
  }
  std::vector<BlobState> states;
  for (const auto& [id, audience] : found) {
    auto state = State(id, audience);
    if (state) states.push_back(std::move(*state));
    if (!state && state.error().code != ErrorCode::kNotFound) return Forward(state);
  }
  return states;
}

Result<std::optional<AudienceId>> Blobs::ReadableBy(const MemberId& member, const BlobId& id) {
  STAFFEL_TRY(snapshot, store_.Read());
  const auto authority = snapshot.authority();
  if (!authority) return std::optional<AudienceId>();
  TableReader& reader = snapshot.state_->connection->reader;
  std::vector<std::int64_t> audiences;
  {
    STAFFEL_TRY(list,
                reader.Get("SELECT audience FROM blob WHERE id = ? AND audience != 0 AND sha256 IS "
                           "NOT NULL ORDER BY audience"));
    list->BindBlob(1, id.bytes());
    STAFFEL_TRY(numbers, Numbers(*list));
    audiences = std::move(numbers);
  }
  for (const std::int64_t number : audiences) {
    const AudienceId& audience = snapshot.state_->published->journals->AudienceOf(number);
    if (!authority->Reads(member, audience)) continue;
    STAFFEL_TRY(named, NamedSize(reader, id, number));
    if (named) return std::optional<AudienceId>(audience);
  }
  return std::optional<AudienceId>();
}

Result<BlobList> Blobs::List(const BlobId& id, const AudienceId& audience) {
  STAFFEL_TRY(snapshot, store_.Read());
  STAFFEL_TRY(blob, FindBlob(snapshot.state_->connection->reader, id,
                             NumberOf(*snapshot.state_->published->journals, audience)));
  if (!blob) return Fail(ErrorCode::kNotFound, "the attachment is not here");
  return BlobList{blob->size_bytes, std::move(blob->chunks)};
}

Result<Bytes> Blobs::Chunk(const BlobId& id, const AudienceId& audience, std::size_t place) {
  STAFFEL_TRY(snapshot, store_.Read());
  TableReader& reader = snapshot.state_->connection->reader;
  STAFFEL_TRY(blob,
              FindBlob(reader, id, NumberOf(*snapshot.state_->published->journals, audience)));
  if (!blob) return Fail(ErrorCode::kNotFound, "the attachment is not here");
  return ReadChunk(reader, blob->number, place);
}

Result<BlobCounts> Blobs::Counts() {
  STAFFEL_TRY(snapshot, store_.Read());
  sqlite::Database& database = snapshot.state_->connection->database;
  BlobCounts counts;
  STAFFEL_TRY(
      complete,
      database.QueryInt("SELECT COUNT(*) FROM blob WHERE audience != 0 AND sha256 IS NOT NULL"));
  STAFFEL_TRY(bytes, database.QueryInt("SELECT IFNULL(SUM(LENGTH(bytes)), 0) FROM chunk"));
  counts.complete = static_cast<std::uint64_t>(complete);
  counts.bytes = static_cast<std::uint64_t>(bytes);
  STAFFEL_TRY(wanted, database.QueryInt(fmt::format("SELECT COUNT(*) FROM ({})", kWantedSql)));
  counts.wanted = static_cast<std::uint64_t>(wanted);
  return counts;
}

// ---------------------------------------------------------------------------------------------
// From other replicas

Result<std::vector<WantedBlob>> Blobs::Wanted(std::size_t limit,
                                              const std::optional<MemberId>& shared_with) {
  return ReadWanted(limit, shared_with, std::nullopt);
}

Result<std::vector<WantedBlob>> Blobs::WantedOf(const BlobId& id, const MemberId& member) {
  return ReadWanted(std::numeric_limits<std::size_t>::max(), member, id);
}

Result<std::uint64_t> Blobs::Mark() {
  STAFFEL_TRY(snapshot, store_.Read());
  sqlite::Database& database = snapshot.state_->connection->database;
  STAFFEL_TRY(named, database.QueryInt("SELECT IFNULL(MAX(arrival), 0) FROM blob_ref"));
  STAFFEL_TRY(whole, database.QueryInt("SELECT COUNT(sha256) FROM blob"));
  return static_cast<std::uint64_t>(named) << 24 ^ static_cast<std::uint64_t>(whole);
}

Result<std::vector<WantedBlob>> Blobs::ReadWanted(std::size_t limit,
                                                  const std::optional<MemberId>& shared_with,
                                                  const std::optional<BlobId>& id) {
  STAFFEL_TRY(snapshot, store_.Read());
  std::vector<WantedBlob> wanted;
  const auto authority = snapshot.authority();
  const auto own = store_.own_member();
  if (!authority || !own) return wanted;
  TableReader& reader = snapshot.state_->connection->reader;
  std::vector<std::pair<WantedBlob, std::int64_t>> found;
  {
    STAFFEL_TRY(list, reader.Get(id ? kWantedOfSql : kWantedSql));
    if (id) list->BindBlob(1, id->bytes());
    const sqlite::StatementScope scope(*list);
    while (found.size() < limit) {
      STAFFEL_TRY(row, list->Step());
      if (!row) break;
      const std::int64_t number = list->Int(1);
      const AudienceId& audience = snapshot.state_->published->journals->AudienceOf(number);
      if (!authority->Reads(*own, audience)) continue;
      if (shared_with && !authority->Reads(*shared_with, audience)) continue;
      WantedBlob blob;
      blob.id = BlobId::From(list->Blob(0)).value_or(BlobId());
      blob.audience = audience;
      blob.size_bytes = static_cast<std::uint64_t>(list->Int(2));
      found.emplace_back(std::move(blob), number);
    }
  }
  for (auto& [blob, number] : found) {
    STAFFEL_TRY(held, FindBlob(reader, blob.id, number));
    if (held) {
      blob.listed = true;
      blob.size_bytes = held->size_bytes;
      STAFFEL_TRY(places, reader.Get("SELECT place FROM blob_chunk WHERE blob = ? ORDER BY place"));
      places->Bind(1, held->number);
      STAFFEL_TRY(have, Numbers(*places));
      while (blob.next_chunk < have.size() &&
             have[blob.next_chunk] == static_cast<std::int64_t>(blob.next_chunk)) {
        ++blob.next_chunk;
      }
    }
    wanted.push_back(std::move(blob));
  }
  return wanted;
}

Status Blobs::Expect(const BlobId& id, const AudienceId& audience, const BlobList& list) {
  if (list.size_bytes == 0 || list.size_bytes > kBlobBytesMax ||
      list.chunk_hashes.size() != BlobChunks(list.size_bytes) * Hash::kBytes ||
      BlobIdOf(list.size_bytes, list.chunk_hashes) != id) {
    return Fail(ErrorCode::kCorrupt, "the list of pieces is not that of the attachment {}",
                id.Hex().substr(0, 12));
  }
  return store_.impl_->Write(
      [&](Writer& writer) -> Status {
        TableReader& reader = writer.reader();
        const std::int64_t number = NumberOf(writer.cache().journals, audience);
        STAFFEL_TRY(named, NamedSize(reader, id, number));
        if (!named) return Fail(ErrorCode::kNotFound, "this attachment is not wanted here");
        STAFFEL_TRY(held, FindBlob(reader, id, number));
        if (held) return {};
        writer.NoteWrote();
        STAFFEL_TRY(insert, reader.Get("INSERT INTO blob (id, audience, size_bytes, chunks, have) "
                                       "VALUES (?, ?, ?, ?, 0)"));
        insert->BindBlob(1, id.bytes());
        insert->Bind(2, number);
        insert->Bind(3, static_cast<std::int64_t>(list.size_bytes));
        insert->BindBlob(4, list.chunk_hashes);
        return insert->Run();
      },
      /*alone=*/false);
}

Result<bool> Blobs::Take(const BlobId& id, const AudienceId& audience, std::size_t place,
                         ByteView bytes) {
  const Hash hash = crypto::Sha256(bytes);
  bool complete = false;
  const Status done = store_.impl_->Write(
      [&](Writer& writer) -> Status {
        complete = false;
        TableReader& reader = writer.reader();
        STAFFEL_TRY(blob, FindBlob(reader, id, NumberOf(writer.cache().journals, audience)));
        if (!blob) return Fail(ErrorCode::kNotFound, "this attachment is not expected here");
        if (place >= blob->chunk_count() || blob->ChunkHash(place) != hash.bytes()) {
          return Fail(ErrorCode::kCorrupt,
                      "piece {} of the attachment {} is not what its list says", place,
                      id.Hex().substr(0, 12));
        }
        complete = blob->sha256.has_value();
        if (complete) return {};
        {
          STAFFEL_TRY(there, reader.Get("SELECT 1 FROM blob_chunk WHERE blob = ? AND place = ?"));
          there->Bind(1, blob->number);
          there->Bind(2, static_cast<std::int64_t>(place));
          const sqlite::StatementScope scope(*there);
          STAFFEL_TRY(known, there->Step());
          if (known) return {};
        }
        writer.NoteWrote();
        STAFFEL_CHECK(StoreChunk(reader, blob->number, place, hash.bytes(), bytes));
        ++blob->have;
        complete = blob->have == blob->chunk_count();
        if (complete) {
          STAFFEL_TRY(sha256, HashWhole(reader, *blob));
          blob->sha256 = sha256;
        }
        STAFFEL_TRY(update, reader.Get("UPDATE blob SET have = ?, sha256 = ? WHERE number = ?"));
        update->Bind(1, static_cast<std::int64_t>(blob->have));
        if (blob->sha256) {
          update->BindBlob(2, blob->sha256->bytes());
        } else {
          update->BindNull(2);
        }
        update->Bind(3, blob->number);
        return update->Run();
      },
      /*alone=*/false);
  if (!done) return tl::unexpected<Error>(done.error());
  return complete;
}

Result<std::size_t> Blobs::ShareHeld() {
  std::size_t shared = 0;
  const Status done = store_.impl_->Write(
      [&](Writer& writer) -> Status {
        shared = 0;
        const auto& authority = writer.cache().authority;
        if (!authority) return {};
        TableReader& reader = writer.reader();
        // What is wanted in one audience and here whole for another, and who named it there.
        struct Offer {
          BlobId id;
          std::int64_t audience = 0;
          std::int64_t journal = 0;
          std::int64_t held_for = 0;
        };
        std::vector<Offer> offers;
        {
          STAFFEL_TRY(list, reader.Get("SELECT DISTINCT r.id, r.audience, e.journal, b.audience "
                                       "FROM blob b JOIN blob_ref r ON r.id = b.id "
                                       "JOIN entry e ON e.arrival = r.arrival "
                                       "WHERE b.sha256 IS NOT NULL AND b.audience != 0 "
                                       "AND b.audience != r.audience AND e.reason = 0 "
                                       "AND NOT EXISTS (SELECT 1 FROM blob w WHERE w.id = r.id AND "
                                       "w.audience = r.audience AND w.sha256 IS NOT NULL)"));
          const sqlite::StatementScope scope(*list);
          for (;;) {
            STAFFEL_TRY(row, list->Step());
            if (!row) break;
            offers.push_back({BlobId::From(list->Blob(0)).value_or(BlobId()), list->Int(1),
                              list->Int(2), list->Int(3)});
          }
        }
        const JournalMap& journals = writer.cache().journals;
        for (const Offer& offer : offers) {
          const MemberId& member = journals.Get(offer.journal).verdict.member;
          if (member.empty() || !authority->Reads(member, journals.AudienceOf(offer.held_for))) {
            continue;
          }
          STAFFEL_TRY(source, FindBlob(reader, offer.id, offer.held_for));
          STAFFEL_TRY(target, FindBlob(reader, offer.id, offer.audience));
          if (!source || (target && target->sha256)) continue;
          if (target) STAFFEL_CHECK(DropBlobs(writer, {target->number}));
          writer.NoteWrote();
          STAFFEL_TRY(
              insert,
              reader.Get("INSERT INTO blob (id, audience, size_bytes, chunks, have, sha256) "
                         "SELECT id, ?, size_bytes, chunks, have, sha256 FROM blob WHERE "
                         "number = ? RETURNING number"));
          insert->Bind(1, offer.audience);
          insert->Bind(2, source->number);
          std::int64_t made = 0;
          {
            const sqlite::StatementScope scope(*insert);
            STAFFEL_TRY(row, insert->Step());
            STAFFEL_ASSERT(row);
            made = insert->Int(0);
          }
          STAFFEL_TRY(links, reader.Get("INSERT INTO blob_chunk (blob, place, chunk) SELECT ?, "
                                        "place, chunk FROM blob_chunk WHERE blob = ?"));
          links->Bind(1, made);
          links->Bind(2, source->number);
          STAFFEL_CHECK(links->Run());
          ++shared;
        }
        return {};
      },
      /*alone=*/false);
  if (!done) return tl::unexpected<Error>(done.error());
  return shared;
}

}  // namespace staffel
