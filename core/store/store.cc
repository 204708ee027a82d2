// SPDX-License-Identifier: EUPL-1.2
#include "core/store/store.h"

#include <algorithm>

#include "core/base/mutation.h"
#include "core/base/wire.h"
#include "core/crypto/hash.h"
#include "core/journal/known_format.h"
#include "core/store/migrate.h"
#include "core/store/sql.h"
#include "core/store/store_impl.h"

namespace staffel {
namespace {

// As many waiting writes as share one fsync at most: bounds the time that one of them waits.
constexpr std::size_t kGroupCommitMax = 256;
// After so many pages of small writes the leader moves the log into the file, so that the next ones
// overwrite it: a log that grows needs new blocks for each commit, and then a sync costs twice as
// much. 32 MB at 8 KiB a page: done in a tenth of a second, once in some thousand writes.
constexpr int kLogPages = 4000;
// A long stream is not held up for that; upkeep moves what it leaves. Where nobody does, the writer
// does by itself at 480 MB.
constexpr int kWalPagesMax = 60'000;
constexpr std::string_view kMetaKey = "replica-key";
constexpr std::string_view kMetaProjection = "projection";
constexpr std::string_view kMetaFormat = "format";

Bytes FormatBytes() {
  Bytes bytes;
  AppendVarint(bytes, KnownFormat());
  return bytes;
}

}  // namespace

// ---------------------------------------------------------------------------------------------
// Opening

StoreImpl::StoreImpl(const StoreOptions& opened, sqlite::Database database)
    : options(opened),
      database_(std::move(database)),
      writer_(database_, *opened.clock, *opened.random, *opened.key, options.former_keys) {}

Result<std::unique_ptr<StoreImpl>> StoreImpl::Open(const StoreOptions& options) {
  STAFFEL_ASSERT(options.clock != nullptr && options.random != nullptr && options.key != nullptr);
  STAFFEL_TRY(database, sqlite::Database::Open({.path = options.path, .vfs = options.vfs}));
  std::unique_ptr<StoreImpl> store(new StoreImpl(options, std::move(database)));
  STAFFEL_CHECK(store->Prepare());
  return store;
}

Status StoreImpl::Prepare() {
  STAFFEL_CHECK(database_.Execute("PRAGMA wal_autocheckpoint = 0"));
  database_.OnWal([this](int pages) { wal_pages_ = pages; });
  STAFFEL_CHECK(Migrate());
  // The file and the key belong together: a database beside another key would write journals that
  // nobody believes.
  TableReader reader(database_);
  bool takes_over = false;
  STAFFEL_TRY(statement, reader.Get("SELECT value FROM meta WHERE key = ?"));
  statement->BindText(1, kMetaKey);
  {
    const sqlite::StatementScope scope(*statement);
    STAFFEL_TRY(row, statement->Step());
    const auto of = row ? Bytes(statement->Blob(0)) : Bytes(options.key->public_key().bytes());
    const bool former =
        std::any_of(options.former_keys.begin(), options.former_keys.end(),
                    [&](const crypto::PublicKey& key) { return of == key.bytes(); });
    if (former && of != options.key->public_key().bytes()) {
      takes_over = true;
    } else if (of != options.key->public_key().bytes()) {
      return Fail(
          ErrorCode::kDenied,
          "the database '{}' belongs to another replica's key: keep database and keys together",
          options.path);
    }
  }
  std::uint64_t format = 0;
  statement->BindText(1, kMetaFormat);
  {
    const sqlite::StatementScope scope(*statement);
    STAFFEL_TRY(row, statement->Step());
    ByteView bytes = row ? statement->Blob(0) : ByteView();
    format = TakeVarint(bytes).value_or(0);
  }
  if (format > KnownFormat()) {
    return Fail(ErrorCode::kUnsupported,
                "the database '{}' has been in the hands of a newer version (format {}, this one "
                "knows {}): upgrade",
                options.path, format, KnownFormat());
  }
  if (takes_over) STAFFEL_CHECK(TakeOver(reader));
  STAFFEL_CHECK(writer_.Load());
  STAFFEL_TRY(opaque, database_.QueryInt("SELECT EXISTS (SELECT 1 FROM entry INDEXED BY "
                                         "entry_opaque WHERE reason = 12)"));
  if (opaque != 0 || format < KnownFormat()) {
    STAFFEL_TRY(transaction, sqlite::Transaction::BeginWrite(database_));
    STAFFEL_CHECK(writer_.Absorb(/*everything=*/format < KnownFormat()));
    STAFFEL_TRY(meta, reader.Get("INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO "
                                 "UPDATE SET value = excluded.value"));
    const Bytes known = FormatBytes();
    meta->BindText(1, kMetaFormat);
    meta->BindBlob(2, known);
    STAFFEL_CHECK(meta->Run());
    STAFFEL_CHECK(writer_.Flush());
    STAFFEL_CHECK(transaction.Commit());
  }
  std::uint64_t projected = 0;
  statement->BindText(1, kMetaProjection);
  {
    const sqlite::StatementScope scope(*statement);
    STAFFEL_TRY(row, statement->Step());
    ByteView bytes = row ? statement->Blob(0) : ByteView();
    projected = TakeVarint(bytes).value_or(0);
  }
  if (projected != projection::kProjectionVersion) {
    STAFFEL_TRY(transaction, sqlite::Transaction::BeginWrite(database_));
    STAFFEL_CHECK(writer_.ProjectAll());
    STAFFEL_CHECK(writer_.ReindexAllBlobs());
    STAFFEL_TRY(meta, reader.Get("INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO "
                                 "UPDATE SET value = excluded.value"));
    Bytes version;
    AppendVarint(version, projection::kProjectionVersion);
    meta->BindText(1, kMetaProjection);
    meta->BindBlob(2, version);
    STAFFEL_CHECK(meta->Run());
    STAFFEL_CHECK(writer_.Flush());
    STAFFEL_CHECK(transaction.Commit());
  }
  STAFFEL_CHECK(MatchTwin());
  Publish();
  return {};
}

Status StoreImpl::TakeOver(TableReader& reader) {
  STAFFEL_TRY(transaction, sqlite::Transaction::BeginWrite(database_));
  STAFFEL_TRY(meta, reader.Get("UPDATE meta SET value = ? WHERE key = ?"));
  meta->BindBlob(1, options.key->public_key().bytes());
  meta->BindText(2, kMetaKey);
  STAFFEL_CHECK(meta->Run());
  // Nobody else writes the former key's journals, and this replica does not go on with them.
  STAFFEL_CHECK(database_.Execute("UPDATE journal SET current = 0"));
  return transaction.Commit();
}

Status StoreImpl::Migrate() {
  STAFFEL_TRY(found, SchemaVersionOf(database_));
  if (found == kSchemaVersion) return {};
  STAFFEL_TRY(transaction, sqlite::Transaction::BeginWrite(database_));
  STAFFEL_TRY(empty, LeadTo(database_, {kSchemaVersion, kSchemaSql, Migrations()}, options.path));
  if (empty) {
    TableReader reader(database_);
    STAFFEL_TRY(meta, reader.Get("INSERT INTO meta (key, value) VALUES (?, ?)"));
    meta->BindText(1, kMetaKey);
    meta->BindBlob(2, options.key->public_key().bytes());
    STAFFEL_CHECK(meta->Run());
    const Bytes format = FormatBytes();
    meta->BindText(1, kMetaFormat);
    meta->BindBlob(2, format);
    STAFFEL_CHECK(meta->Run());
  }
  return transaction.Commit();
}

// ---------------------------------------------------------------------------------------------
// Writing

Status StoreImpl::Write(const std::function<Status(Writer&)>& work, bool alone) {
  Waiting mine;
  mine.work = &work;
  mine.alone = alone;
  return Queue(mine);
}

Status StoreImpl::Outside(const std::function<Status(sqlite::Database&)>& work) {
  Waiting mine;
  mine.outside = &work;
  mine.alone = true;
  return Queue(mine);
}

Status StoreImpl::Queue(Waiting& mine) {
  bool leads = false;
  {
    const MutexLock lock(queue_mutex_);
    queue_.push_back(&mine);
    leads = !has_leader_;
    has_leader_ = true;
  }
  if (!leads && mine.turn->Wait() == Turn::Step::kDone) return std::move(mine.result);
  // We lead, for ourselves, who are the first in the queue, and for whoever waits with us.
  std::vector<Waiting*> batch;
  {
    const MutexLock lock(queue_mutex_);
    while (!queue_.empty() && batch.size() < kGroupCommitMax) {
      if (!batch.empty() && queue_.front()->alone) break;
      batch.push_back(queue_.front());
      queue_.pop_front();
      if (batch.back()->alone) break;
    }
  }
  RunBatch(batch);
  for (Waiting* one : batch) {
    if (one == &mine) continue;
    const auto turn = one->turn;  // `one` is gone when it has heard
    turn->Give(Turn::Step::kDone);
  }
  MoveLogWhenDue();
  std::shared_ptr<Turn> next;
  {
    const MutexLock lock(queue_mutex_);
    has_leader_ = !queue_.empty();
    if (has_leader_) next = queue_.front()->turn;
  }
  if (next) next->Give(Turn::Step::kLead);
  return std::move(mine.result);
}

void StoreImpl::RunBatch(std::vector<Waiting*>& batch) noexcept {
  if (batch.front()->outside != nullptr) {
    batch.front()->result = (*batch.front()->outside)(database_);
    return;
  }
  const int wal_before = wal_pages_;
  const Status done = RunTransaction(batch);
  if (!done && batch.size() > 1) {
    // One of them failed in the middle and took the others' transaction with it: each alone.
    for (Waiting* one : batch) {
      std::vector<Waiting*> single{one};
      const Status alone = RunTransaction(single);
      if (!alone) one->result = alone;
    }
  } else if (!done) {
    batch.front()->result = done;
  }
  const std::uint64_t before = published()->revision;
  if (cache_valid_) Publish();
  if (!batch.front()->alone) small_pages_ += std::max(0, wal_pages_ - wal_before);
  std::vector<std::function<void(std::uint64_t)>> callbacks;
  std::uint64_t revision = 0;
  {
    const MutexLock lock(published_mutex_);
    callbacks = callbacks_;
    revision = published_->revision;
  }
  if (revision == before) return;
  for (const auto& callback : callbacks) callback(revision);
}

// Runs a batch in one transaction. An error returned means that nothing of it was kept; refusals of
// single ones, before they wrote anything, stand in their results.
Status StoreImpl::RunTransaction(std::vector<Waiting*>& batch) {
  if (!cache_valid_) {
    // After a rollback the caches could not be read anew: nothing is written before they can.
    STAFFEL_CHECK(writer_.Load());
    cache_valid_ = true;
  }
  const auto undo = [&](Status failed) {
    database_.Rollback();
    cache_valid_ = writer_.Load().has_value();
    return failed;
  };
  // Some disk errors end SQLite's transaction by themselves; what came after would stand alone.
  const auto lost = [&] {
    return Fail(ErrorCode::kStorage, "the disk failed in the middle of a write; nothing was kept");
  };
  STAFFEL_CHECK(SettleNonce());
  STAFFEL_CHECK(database_.BeginImmediate());
  bool any = false;
  for (Waiting* one : batch) {
    writer_.ClearWrote();
    one->result = (*one->work)(writer_);
    if (!one->result && (writer_.wrote() || !database_.in_transaction())) return undo(one->result);
    if (!database_.in_transaction()) return undo(lost());
    any = any || (one->result && writer_.wrote());
  }
  if (!any) {
    database_.Rollback();
    return {};
  }
  const Status flushed = writer_.Flush();
  if (!flushed) return undo(flushed);
  if (!database_.in_transaction()) return undo(lost());
  const Status committed = database_.Commit();
  if (!committed) return undo(committed);
  RenewNonceWhenDue();
  return {};
}

void StoreImpl::Publish() {
  const WriterCache& cache = writer_.cache();
  auto next = std::make_shared<Published>();
  const MutexLock lock(published_mutex_);
  next->journals = cache.journals_changed || !published_
                       ? std::make_shared<const JournalMap>(cache.journals)
                       : published_->journals;
  next->tree = cache.tree;
  next->authority = cache.authority;
  next->revision = cache.revision;
  next->doubt = cache.doubt;
  published_ = std::move(next);
  published_changed_.notify_all();
  writer_.ClearJournalsChanged();
}

std::shared_ptr<const Published> StoreImpl::PublishedSince(std::uint64_t revision) const {
  MutexLock lock(published_mutex_);
  while (published_->revision < revision) published_changed_.wait(lock);
  return published_;
}

void StoreImpl::OnCommit(std::function<void(std::uint64_t)> callback) {
  const MutexLock lock(published_mutex_);
  callbacks_.push_back(std::move(callback));
}

// ---------------------------------------------------------------------------------------------
// Readers

std::shared_ptr<const Published> StoreImpl::published() const {
  const MutexLock lock(published_mutex_);
  return published_;
}

Result<std::unique_ptr<ReadConnection>> StoreImpl::BorrowReader() {
  {
    const MutexLock lock(readers_mutex_);
    if (!readers_.empty()) {
      auto reader = std::move(readers_.back());
      readers_.pop_back();
      return reader;
    }
  }
  STAFFEL_TRY(database,
              sqlite::Database::Open(
                  {.path = options.path, .read_only = true, .create = false, .vfs = options.vfs}));
  return std::make_unique<ReadConnection>(std::move(database));
}

void StoreImpl::ReturnReader(std::unique_ptr<ReadConnection> reader) {
  reader->database.Rollback();
  const MutexLock lock(readers_mutex_);
  if (readers_.size() < static_cast<std::size_t>(options.readers_max))
    readers_.push_back(std::move(reader));
}

void StoreImpl::MoveLogWhenDue() noexcept {
  if (small_pages_ <= kLogPages && wal_pages_ <= kWalPagesMax) return;
  small_pages_ = 0;
  if (!checkpoint_mutex_.try_lock()) return;  // somebody is at it
  // What cannot be moved now stays in the log: the writes are on disk.
  (void)CheckpointHeld();
  checkpoint_mutex_.unlock();
}

Status StoreImpl::Checkpoint() {
  const MutexLock lock(checkpoint_mutex_);
  return CheckpointHeld();
}

Status StoreImpl::CheckpointHeld() {
  if (!checkpointer_) {
    STAFFEL_TRY(database, sqlite::Database::Open(
                              {.path = options.path, .create = false, .vfs = options.vfs}));
    checkpointer_ = std::make_unique<sqlite::Database>(std::move(database));
  }
  STAFFEL_CHECK(checkpointer_->Checkpoint(/*truncate=*/false));
  return {};
}

// ---------------------------------------------------------------------------------------------
// The public face

Store::Store(std::unique_ptr<StoreImpl> impl) : impl_(std::move(impl)) {}
Store::~Store() = default;

Result<std::unique_ptr<Store>> Store::Open(const StoreOptions& options) {
  STAFFEL_TRY(impl, StoreImpl::Open(options));
  return std::unique_ptr<Store>(new Store(std::move(impl)));
}

Result<Applied> Store::Apply(const Edit& edit) {
  Applied applied;
  const Status done = impl_->Write(
      [&](Writer& writer) -> Status {
        STAFFEL_TRY(result, writer.Apply(edit));
        applied = result;
        return {};
      },
      /*alone=*/false);
  if (!done) return tl::unexpected<Error>(done.error());
  return applied;
}

Result<Applied> Store::Reject(const AudienceId& audience, const OpId& op) {
  Applied rejected;
  const Status done = impl_->Write(
      [&](Writer& writer) -> Status {
        STAFFEL_TRY(result, writer.Reject(audience, op));
        rejected = result;
        return {};
      },
      /*alone=*/false);
  if (!done) return tl::unexpected<Error>(done.error());
  return rejected;
}

Result<std::vector<Applied>> Store::ApplyAll(std::span<const Edit> edits,
                                             const ApplyAllOptions& options) {
  std::vector<Applied> applied;
  bool rehearsed = false;
  const Status done = impl_->Write(
      [&](Writer& writer) -> Status {
        applied.clear();
        rehearsed = false;
        for (std::size_t i = 0; i < edits.size(); ++i) {
          auto result = writer.Apply(edits[i]);
          if (!result) {
            return Fail(result.error().code, "{}: {}",
                        options.name_of ? options.name_of(i)
                                        : fmt::format("change {} of {}", i + 1, edits.size()),
                        result.error().message);
          }
          applied.push_back(*result);
          if (options.progress) options.progress(i + 1);
        }
        if (!options.rehearse) return {};
        rehearsed = true;
        return Fail(ErrorCode::kUnavailable, "a rehearsal ends without a commit");
      },
      /*alone=*/true);
  if (!done && !rehearsed) return tl::unexpected<Error>(done.error());
  return applied;
}

PreparedBatch Store::Prepare(Batch batch) {
  PreparedBatch prepared;
  prepared.batch = std::move(batch);
  const auto journals = impl_->published()->journals;
  std::unordered_map<JournalId, crypto::PublicKey> opened;
  for (Run& run : prepared.batch.runs) {
    prepared.verified.push_back(false);
    const auto check = [&]() -> Status {
      if (run.entries.empty()) return Fail(ErrorCode::kInvalid, "a run is empty");
      const Entry& first = run.entries.front();
      const JournalId journal = first.header.seq == 0 ? first.id : first.header.journal;
      for (std::size_t i = 0; i < run.entries.size(); ++i) {
        const Entry& entry = run.entries[i];
        if (std::holds_alternative<CharterBody>(entry.header.body)) {
          return Fail(ErrorCode::kInvalid, "a charter entry travels among the records' entries");
        }
        STAFFEL_CHECK(CheckPayloads(entry));
        if (i == 0) continue;
        const Entry& before = run.entries[i - 1];
        if (entry.header.journal != journal || entry.header.seq != before.header.seq + 1 ||
            (entry.header.prev != before.id && !STAFFEL_MUTATION(kSkipChainLink))) {
          return Fail(ErrorCode::kCorrupt, "entry {} does not follow the one before it in its run",
                      entry.id.Hex());
        }
      }
      const crypto::PublicKey* key = nullptr;
      if (const auto* open = std::get_if<OpenBody>(&first.header.body)) {
        key = &(opened[journal] = open->key);
      } else if (const auto* known = journals->Find(journal)) {
        key = &known->open.key;
      } else if (const auto found = opened.find(journal); found != opened.end()) {
        key = &found->second;
      }
      // The exchange carries only the last signature. Whoever hands in others has them stored only
      // where they verify.
      for (std::size_t i = 0; i + 1 < run.entries.size(); ++i) {
        Entry& inner = run.entries[i];
        if (inner.signature.empty()) continue;
        if (key == nullptr ||
            !crypto::Verify(*key, crypto::kTagSign, inner.id.bytes(), inner.signature)) {
          inner.signature.clear();
        }
      }
      if (key == nullptr) return {};  // its opening is on its way: Ingest verifies
      const Entry& last = run.entries.back();
      if (!crypto::Verify(*key, crypto::kTagSign, last.id.bytes(), last.signature) &&
          !STAFFEL_MUTATION(kSkipRunSignature)) {
        return Fail(ErrorCode::kCorrupt,
                    "the signature at the end of a run of journal {} does not verify",
                    journal.Hex().substr(0, 12));
      }
      prepared.verified.back() = true;
      return {};
    };
    const Status checked = check();
    prepared.refused.push_back(checked ? std::nullopt : std::optional<Error>(checked.error()));
  }
  return prepared;
}

Result<Ingested> Store::Ingest(PreparedBatch batch) {
  std::vector<PreparedBatch> one;
  one.push_back(std::move(batch));
  STAFFEL_TRY(all, IngestAll(std::move(one)));
  return std::move(all.front());
}

Result<std::vector<Ingested>> Store::IngestAll(std::vector<PreparedBatch> batches) {
  std::vector<Ingested> results;
  // Entries are moved into the store; `alone` means that the work runs once.
  const Status done = impl_->Write(
      [&](Writer& writer) -> Status {
        for (PreparedBatch& batch : batches) {
          STAFFEL_TRY(result, writer.Ingest(batch));
          results.push_back(std::move(result));
        }
        return {};
      },
      /*alone=*/true);
  if (!done) return tl::unexpected<Error>(done.error());
  return results;
}

Status Store::Adopt(const ConferenceId& conference) {
  return impl_->Write([&](Writer& writer) { return writer.Adopt(conference); }, /*alone=*/true);
}

std::optional<ConferenceId> Store::conference() const {
  const auto tree = impl_->published()->tree;
  return tree ? std::optional<ConferenceId>(tree->conference()) : std::nullopt;
}

std::shared_ptr<const charter::Authority> Store::authority() const {
  return impl_->published()->authority;
}
std::shared_ptr<const charter::CharterTree> Store::charter() const {
  return impl_->published()->tree;
}

std::optional<MemberId> Store::own_member() const {
  const auto in_force = authority();
  return in_force ? in_force->MemberOfKey(impl_->options.key->public_key()) : std::nullopt;
}

Result<Snapshot> Store::Read() {
  // How often a snapshot is taken anew because a commit came between it and its maps.
  constexpr int kTriesMax = 8;
  STAFFEL_TRY(connection, impl_->BorrowReader());
  auto state = std::make_unique<Snapshot::State_>();
  state->store = impl_.get();
  state->connection = std::move(connection);
  for (int i = 0;; ++i) {
    STAFFEL_CHECK(state->connection->database.Begin());
    std::uint64_t revision = 0;
    {
      STAFFEL_TRY(statement,
                  state->connection->reader.Get("SELECT value FROM meta WHERE key = 'revision'"));
      const sqlite::StatementScope scope(*statement);
      STAFFEL_TRY(row, statement->Step());
      ByteView bytes = row ? statement->Blob(0) : ByteView();
      revision = TakeVarint(bytes).value_or(0);
    }
    // A commit is on disk a moment before its maps are published: never read with older maps.
    state->published = impl_->PublishedSince(revision);
    if (state->published->revision == revision) break;
    if (i + 1 == kTriesMax) {
      // Newer maps know more and nothing else; the revision must be the snapshot's own, or whoever
      // goes on from it would miss a change.
      auto own = std::make_shared<Published>(*state->published);
      own->revision = revision;
      state->published = std::move(own);
      break;
    }
    state->connection->database.Rollback();
  }
  return Snapshot(std::move(state));
}

std::uint64_t Store::revision() const { return impl_->published()->revision; }

void Store::OnCommit(std::function<void(std::uint64_t)> callback) {
  impl_->OnCommit(std::move(callback));
}

Result<std::optional<Bytes>> Store::GetLocal(std::string_view key) {
  STAFFEL_TRY(snapshot, Read());
  STAFFEL_TRY(statement,
              snapshot.state_->connection->reader.Get("SELECT value FROM local WHERE key = ?"));
  statement->BindText(1, key);
  const sqlite::StatementScope scope(*statement);
  STAFFEL_TRY(row, statement->Step());
  return row ? std::optional<Bytes>(statement->Blob(0)) : std::optional<Bytes>();
}

Result<std::vector<std::pair<std::string, Bytes>>> Store::ListLocal(std::string_view prefix) {
  STAFFEL_TRY(snapshot, Read());
  STAFFEL_TRY(statement,
              snapshot.state_->connection->reader.Get(
                  "SELECT key, value FROM local WHERE substr(key, 1, ?2) = ?1 ORDER BY key"));
  statement->BindText(1, prefix);
  statement->Bind(2, static_cast<std::int64_t>(prefix.size()));
  const sqlite::StatementScope scope(*statement);
  std::vector<std::pair<std::string, Bytes>> found;
  for (;;) {
    STAFFEL_TRY(row, statement->Step());
    if (!row) return found;
    found.emplace_back(std::string(statement->Text(0)), Bytes(statement->Blob(1)));
  }
}

Status Store::PutLocal(std::string_view key, const std::optional<Bytes>& value,
                       std::optional<std::optional<Bytes>> expected) {
  return impl_->Write([&](Writer& writer) { return writer.PutLocal(key, value, expected); },
                      /*alone=*/false);
}

Result<std::uint64_t> Store::IndexSearch(std::size_t records_max) {
  std::uint64_t left = 0;
  const Status done = impl_->Write(
      [&](Writer& writer) -> Status {
        STAFFEL_TRY(result, writer.IndexSearch(records_max));
        left = result;
        return {};
      },
      /*alone=*/true);
  if (!done) return tl::unexpected<Error>(done.error());
  return left;
}

Status Store::Checkpoint() { return impl_->Checkpoint(); }

Status Store::ReportIncident(std::string_view kind, std::string_view text) {
  return impl_->Write([&](Writer& writer) { return writer.ReportIncident(kind, text); },
                      /*alone=*/false);
}

Result<std::vector<Incident>> Store::Incidents(std::uint64_t after_number, std::size_t limit) {
  STAFFEL_TRY(snapshot, Read());
  STAFFEL_TRY(statement, snapshot.state_->connection->reader.Get(
                             "SELECT number, time_ms, kind, text FROM incident WHERE number > ? "
                             "ORDER BY number LIMIT ?"));
  statement->Bind(1, static_cast<std::int64_t>(after_number));
  statement->Bind(2, static_cast<std::int64_t>(limit));
  const sqlite::StatementScope scope(*statement);
  std::vector<Incident> found;
  for (;;) {
    STAFFEL_TRY(row, statement->Step());
    if (!row) return found;
    found.push_back({static_cast<std::uint64_t>(statement->Int(0)),
                     TimeMs{static_cast<std::uint64_t>(statement->Int(1))},
                     std::string(statement->Text(2)), std::string(statement->Text(3))});
  }
}

}  // namespace staffel
