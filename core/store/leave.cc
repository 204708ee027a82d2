// SPDX-License-Identifier: EUPL-1.2
#include "core/store/leave.h"

#include <algorithm>
#include <string_view>

#include "core/base/wire.h"
#include "core/store/store_impl.h"
#include "core/store/writer.h"

namespace staffel {
namespace {

constexpr std::string_view kTagCopyDeleted = "staffel/1/copy-deleted";
// Local: up to which seq (exclusive) a left journal was handed over; audiences whose copy is gone
// from the tables and may still stand in the log; statements that wait to be taken.
constexpr std::string_view kHandedPrefix = "left/handed/";
constexpr std::string_view kGoingPrefix = "left/going/";
constexpr std::string_view kStatementPrefix = "left/deleted/";

constexpr std::uint32_t kAudienceField = 1;
constexpr std::uint32_t kCharterField = 2;
constexpr std::uint32_t kTimeField = 3;
constexpr std::uint32_t kKeyField = 4;
constexpr std::uint32_t kSignatureField = 5;

Bytes Signed(const AudienceId& audience, const EntryId& charter, TimeMs time) {
  Bytes bytes(audience.bytes());
  bytes += charter.bytes();
  AppendVarint(bytes, time.value);
  return bytes;
}

std::string Local(std::string_view prefix, std::string_view id) {
  return std::string(prefix) + std::string(id);
}

// Whether the copy of this audience has to go: it is one of the conference, or was, and we are not
// in it, or were not any more when it was closed.
bool IsLeft(const charter::Authority& authority, const MemberId& own, const AudienceId& audience) {
  return authority.EverAnAudience(audience) && !authority.KeepsCopy(own, audience);
}

}  // namespace

CopyDeleted SignCopyDeleted(const AudienceId& audience, const EntryId& charter, TimeMs time,
                            const crypto::KeyPair& key) {
  return {audience, charter, time, key.public_key(),
          key.Sign(kTagCopyDeleted, Signed(audience, charter, time))};
}

bool VerifyCopyDeleted(const CopyDeleted& statement) {
  return crypto::Verify(statement.key, kTagCopyDeleted,
                        Signed(statement.audience, statement.charter, statement.time),
                        statement.signature);
}

Bytes PackCopyDeleted(const CopyDeleted& statement) {
  Bytes bytes;
  AppendBytesField(bytes, kAudienceField, statement.audience.bytes());
  AppendBytesField(bytes, kCharterField, statement.charter.bytes());
  AppendVarintField(bytes, kTimeField, statement.time.value);
  AppendBytesField(bytes, kKeyField, statement.key.bytes());
  AppendBytesField(bytes, kSignatureField, statement.signature);
  return bytes;
}

std::optional<CopyDeleted> UnpackCopyDeleted(ByteView bytes) {
  CopyDeleted statement;
  std::optional<AudienceId> audience;
  std::optional<EntryId> charter;
  WireReader reader(bytes);
  while (const auto field = reader.Next()) {
    switch (field->number) {
      case kAudienceField:
        audience = AudienceId::From(field->bytes);
        break;
      case kCharterField:
        charter = EntryId::From(field->bytes);
        break;
      case kTimeField:
        statement.time = TimeMs{field->number_value};
        break;
      case kKeyField:
        if (auto key = crypto::PublicKey::From(field->bytes)) statement.key = std::move(*key);
        break;
      case kSignatureField:
        statement.signature = Bytes(field->bytes);
        break;
      default:
        break;
    }
  }
  if (!reader.ok() || !audience || !charter || statement.key.empty()) return std::nullopt;
  statement.audience = *audience;
  statement.charter = *charter;
  return statement;
}

// ---------------------------------------------------------------------------------------------
// Handing over

std::vector<LeftJournal> Snapshot::LeftJournals() const {
  std::vector<LeftJournal> left;
  const auto& authority = state_->published->authority;
  if (authority == nullptr) return left;
  for (const auto& [number, journal] : state_->published->journals->by_number) {
    if (!journal.own || journal.branches.empty()) continue;
    const auto own = authority->MemberOfKey(journal.open.key);
    if (!own || !IsLeft(*authority, *own, journal.audience)) continue;
    LeftJournal one{journal.id, journal.audience, 0};
    for (const auto& branch : journal.branches) one.last_seq = std::max(one.last_seq, branch.seq);
    left.push_back(one);
  }
  std::sort(left.begin(), left.end(),
            [](const LeftJournal& a, const LeftJournal& b) { return a.journal < b.journal; });
  return left;
}

Result<std::uint64_t> Store::HandedOver(const JournalId& journal) {
  STAFFEL_TRY(value, GetLocal(Local(kHandedPrefix, journal.Hex())));
  if (!value) return std::uint64_t{0};
  ByteView bytes = *value;
  return TakeVarint(bytes).value_or(0);
}

Status Store::NoteHandedOver(const JournalId& journal, std::uint64_t next_seq) {
  Bytes value;
  AppendVarint(value, next_seq);
  return PutLocal(Local(kHandedPrefix, journal.Hex()), value);
}

Result<std::vector<CopyDeleted>> Store::DeletedCopies() {
  STAFFEL_TRY(all, ListLocal(kStatementPrefix));
  std::vector<CopyDeleted> statements;
  const auto authority = this->authority();
  const auto own = own_member();
  for (const auto& [key, bytes] : all) {
    auto statement = UnpackCopyDeleted(bytes);
    // Taken in again meanwhile: then there is a copy, and nothing to confirm.
    const bool stands =
        statement && authority && own && !authority->Reads(*own, statement->audience);
    if (stands) {
      statements.push_back(std::move(*statement));
    } else if (authority && own) {
      STAFFEL_CHECK(PutLocal(key, std::nullopt));
    }
  }
  return statements;
}

Status Store::NoteDeletedCopyTaken(const AudienceId& audience) {
  return PutLocal(Local(kStatementPrefix, audience.Hex()), std::nullopt);
}

// ---------------------------------------------------------------------------------------------
// Deleting

Status Writer::DeleteAudience(std::int64_t audience) {
  // What the caches hold back belongs on the disk first: they are read anew afterwards.
  STAFFEL_CHECK(Flush());
  std::vector<std::string> journals;
  for (const auto& [number, journal] : cache_.journals.by_number) {
    if (journal.audience_number == audience) journals.push_back(journal.id.Hex());
  }
  STAFFEL_CHECK(PurgeBlobs(audience));
  // In an order in which each finds what it is found by.
  constexpr std::string_view kDeletions[] = {
      "DELETE FROM op WHERE arrival IN (SELECT e.arrival FROM entry e JOIN journal j ON j.number = "
      "e.journal WHERE j.audience = ?1)",
      "DELETE FROM received WHERE journal IN (SELECT number FROM journal WHERE audience = ?1) OR "
      "receipt IN (SELECT arrival FROM receipt WHERE audience = ?1)",
      "DELETE FROM receipt_missing WHERE receipt IN (SELECT arrival FROM receipt WHERE audience = "
      "?1)",
      "DELETE FROM receipt WHERE audience = ?1",
      "DELETE FROM disclosed WHERE audience = ?1",
      "DELETE FROM opaque_part WHERE audience = ?1",
      "DELETE FROM absent WHERE arrival IN (SELECT e.arrival FROM entry e JOIN journal j ON "
      "j.number "
      "= e.journal WHERE j.audience = ?1)",
      "DELETE FROM search WHERE rowid IN (SELECT number FROM record WHERE audience = ?1)",
      "DELETE FROM touch WHERE record IN (SELECT number FROM record WHERE audience = ?1)",
      "DELETE FROM missing WHERE record IN (SELECT number FROM record WHERE audience = ?1)",
      "DELETE FROM record WHERE audience = ?1",
      "DELETE FROM digest WHERE audience = ?1",
      "DELETE FROM branch WHERE journal IN (SELECT number FROM journal WHERE audience = ?1)",
      "DELETE FROM entry WHERE journal IN (SELECT number FROM journal WHERE audience = ?1)",
      "DELETE FROM journal WHERE audience = ?1",
      "DELETE FROM audience WHERE number = ?1"};
  for (const std::string_view sql : kDeletions) {
    STAFFEL_TRY(statement, reader_.Get(sql));
    statement->Bind(1, audience);
    STAFFEL_CHECK(statement->Run());
  }
  for (const std::string& journal : journals) {
    STAFFEL_CHECK(PutLocal(Local(kHandedPrefix, journal), std::nullopt, std::nullopt));
    // Incidents name a journal by the beginning of its id.
    STAFFEL_TRY(incidents, reader_.Get("DELETE FROM incident WHERE instr(text, ?1) > 0"));
    incidents->BindText(1, std::string_view(journal).substr(0, 12));
    STAFFEL_CHECK(incidents->Run());
  }
  // A row that is deleted from the index lives on in its segments until they are merged.
  STAFFEL_CHECK(database_.Execute("INSERT INTO search (search) VALUES ('optimize')"));
  STAFFEL_CHECK(Load());
  ++cache_.revision;
  NoteWrote();
  return {};
}

Result<std::size_t> Writer::DeleteLeft() {
  std::size_t deleted = 0;
  if (!cache_.authority || cache_.tree->InForce().tied) return deleted;
  const auto own = cache_.authority->MemberOfKey(key_.public_key());
  if (!own) return deleted;
  std::vector<std::pair<AudienceId, std::int64_t>> left;
  for (const auto& [audience, number] : cache_.journals.audiences) {
    if (IsLeft(*cache_.authority, *own, audience)) left.emplace_back(audience, number);
  }
  std::sort(left.begin(), left.end());
  for (const auto& [audience, number] : left) {
    bool handed = true;
    for (const auto& [journal_number, journal] : cache_.journals.by_number) {
      if (!journal.own || journal.audience_number != number) continue;
      STAFFEL_TRY(statement, reader_.Get("SELECT value FROM local WHERE key = ?"));
      const std::string key = Local(kHandedPrefix, journal.id.Hex());
      statement->BindText(1, key);
      const sqlite::StatementScope scope(*statement);
      STAFFEL_TRY(row, statement->Step());
      ByteView bytes = row ? statement->Blob(0) : ByteView();
      const std::uint64_t next = TakeVarint(bytes).value_or(0);
      for (const auto& branch : journal.branches) handed = handed && branch.seq < next;
    }
    // What only we hold must not be lost with our copy.
    if (!handed) continue;
    const EntryId charter = cache_.authority->entry();
    STAFFEL_CHECK(DeleteAudience(number));
    STAFFEL_CHECK(
        PutLocal(Local(kGoingPrefix, audience.Hex()), Bytes(charter.bytes()), std::nullopt));
    ++deleted;
  }
  return deleted;
}

Result<std::size_t> Store::LeaveAudiences() {
  const auto published = impl_->published();
  const auto own = own_member();
  if (!published->authority || !own) return std::size_t{0};
  const bool any = std::any_of(
      published->journals->audiences.begin(), published->journals->audiences.end(),
      [&](const auto& audience) { return IsLeft(*published->authority, *own, audience.first); });
  if (any) {
    const Status done = impl_->Write(
        [&](Writer& writer) -> Status {
          STAFFEL_TRY(deleted, writer.DeleteLeft());
          (void)deleted;
          return {};
        },
        /*alone=*/true);
    if (!done) return tl::unexpected<Error>(done.error());
  }
  STAFFEL_TRY(going, ListLocal(kGoingPrefix));
  if (going.empty()) return std::size_t{0};
  // Only when the log has no frame of before is the copy gone; a reader may hold it up.
  STAFFEL_TRY(emptied, impl_->EmptyLog());
  if (!emptied) return std::size_t{0};
  if (impl_->options.forget_copies) STAFFEL_CHECK(impl_->options.forget_copies());
  for (const auto& [key, charter] : going) {
    const auto audience = AudienceId::FromText(std::string_view(key).substr(kGoingPrefix.size()));
    const auto entry = EntryId::From(charter);
    if (audience && entry) {
      const CopyDeleted statement =
          SignCopyDeleted(*audience, *entry, impl_->options.clock->Now(), *impl_->options.key);
      STAFFEL_CHECK(PutLocal(Local(kStatementPrefix, audience->Hex()), PackCopyDeleted(statement)));
    }
    STAFFEL_CHECK(PutLocal(key, std::nullopt));
  }
  return going.size();
}

Result<bool> StoreImpl::EmptyLog() {
  STAFFEL_CHECK(Checkpoint());
  const MutexLock lock(checkpoint_mutex_);
  STAFFEL_TRY(left, checkpointer_->Checkpoint(/*truncate=*/true));
  if (left != 0) return false;
  // A reader that holds it up is no error of a checkpoint: this says whether one does.
  STAFFEL_TRY(busy, checkpointer_->QueryInt("PRAGMA wal_checkpoint(TRUNCATE)"));
  return busy == 0;
}

}  // namespace staffel
