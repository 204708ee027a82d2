// SPDX-License-Identifier: EUPL-1.2
// The one commit: everything that changes a replica's state happens in a WriteSession, inside one
// transaction of the writer's connection. Its caches are copies that the store publishes only after
// the commit; after a rollback they are read anew. Internal to core/store; one thread at a time.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/base/clock.h"
#include "core/base/random.h"
#include "core/charter/tree.h"
#include "core/record/catalog.h"
#include "core/record/release.h"
#include "core/store/charter_draft.h"
#include "core/store/digest.h"
#include "core/store/doubt.h"
#include "core/store/erasure.h"
#include "core/store/erasure_index.h"
#include "core/store/reader.h"
#include "core/store/store.h"

namespace staffel {

// What the writer remembers between transactions: a function of the file.
struct WriterCache {
  JournalMap journals;
  bool journals_changed = false;
  std::unordered_set<std::int64_t> dirty_journals;  // whose branches must be written
  std::shared_ptr<const charter::CharterTree> tree;
  std::shared_ptr<const charter::Authority> authority;
  std::uint64_t revision = 0;
  std::map<std::int64_t, std::uint64_t> changes;  // by audience number: its last change
  std::uint64_t last_arrival = 0;
  std::int64_t last_record = 0;
  bool any_missing = false;
  bool any_ops = false;
  bool any_receipt_missing = false;
  // Where entries stand, by their ids: of journals in which a receipt named what neither is a head
  // nor new, so that a thousand such receipts read the journal once. Dropped when it grows too
  // large.
  struct Place {
    std::uint64_t seq = 0;
    std::uint64_t arrival = 0;
  };
  std::unordered_map<std::int64_t, std::unordered_map<EntryId, Place>> places;
  // Heads of forked journals of which all is received: not walked again while these stay.
  std::unordered_map<std::int64_t, std::vector<EntryId>> received_forks;
  struct Bucket {
    Hash sum;
    bool dirty = false;
  };
  std::map<std::pair<std::int64_t, std::size_t>, Bucket> buckets;
  // What entries have disclosed, by audience and hash (charter/hidden.h).
  std::map<std::pair<AudienceId, Hash>, Bytes> disclosed;
  // Journals this replica goes on writing, by (audience number, lane).
  std::map<std::pair<std::int64_t, Lane>, std::int64_t> current;
  std::optional<Nonce> nonce;
  DoubtState doubt;
  DoubtState doubt_before;  // what earlier doubts left, when `doubt` began
  ErasureIndex erasures;
  bool any_absent = false;  // any payload is absent (table `absent`)
};

// A payload that does not rest where it would: destroyed before it was stored, or put aside.
struct Withheld {
  std::size_t part = 0;
  Absence why = Absence::kErased;
  std::optional<Bytes> bytes;  // of a hidden one
};

class Writer {
 public:
  Writer(sqlite::Database& database, Clock& clock, Random& random, const crypto::KeyPair& key,
         const std::vector<crypto::PublicKey>& former_keys)
      : database_(database),
        reader_(database),
        clock_(clock),
        random_(random),
        key_(key),
        former_keys_(former_keys) {}

  // Reads all caches from the file.
  [[nodiscard]] Status Load();
  // Writes what the caches hold back: the last step before COMMIT.
  [[nodiscard]] Status Flush();

  // `along`: records that the same transaction brings to this audience, and that may be named
  // there.
  [[nodiscard]] Result<Applied> Apply(const Edit& edit, const std::set<RecordId>& along = {});
  [[nodiscard]] Result<Applied> Reject(const AudienceId& audience, const OpId& op);
  [[nodiscard]] Result<Ingested> Ingest(PreparedBatch& prepared);
  // Deletes what is left of audiences that our member was taken out of: leave.cc.
  [[nodiscard]] Result<std::size_t> DeleteLeft();
  // Releases: release.cc.
  [[nodiscard]] Result<Released> Release(const ReleaseOrder& order);
  [[nodiscard]] Result<Applied> Withdraw(std::uint32_t kind, const RecordId& record,
                                         const AudienceId& audience, const std::optional<OpId>& op);
  [[nodiscard]] Status Adopt(const ConferenceId& conference);
  // receipts.cc
  [[nodiscard]] Result<std::vector<WrittenReceipt>> WriteReceipts(const ReceiptOrder& order);
  // See Store::Propose.
  [[nodiscard]] Result<EntryId> Propose(const CharterChange& change,
                                        const std::optional<EntryId>& parent);
  [[nodiscard]] Status PutLocal(std::string_view key, const std::optional<Bytes>& value,
                                const std::optional<std::optional<Bytes>>& expected);
  [[nodiscard]] Result<std::uint64_t> IndexSearch(std::size_t records_max);
  [[nodiscard]] Status ReportIncident(std::string_view kind, std::string_view text);

  // Erasure: erasure.cc, as Store has them.
  [[nodiscard]] Result<std::vector<ErasurePlan>> PlanErasure(const ErasureRequest& request);
  [[nodiscard]] Result<std::vector<EntryId>> Erase(const ErasureRequest& request);
  [[nodiscard]] Status WriteCleanValues(const ErasureRequest& request);
  [[nodiscard]] Result<EntryId> DecideErasure(const EntryId& erasure, bool repeat);
  // Puts back what is missing; says how many payloads were taken.
  [[nodiscard]] Result<std::size_t> TakePayloads(const std::vector<PayloadBytes>& payloads);
  // How much there is to wipe: grows with whatever is destroyed; 0: nothing.
  [[nodiscard]] Result<std::uint64_t> WipeMark();
  // The index of words gets rid of what was taken out of it.
  [[nodiscard]] Status ForgetWords();
  // Everything up to this mark is gone from the files: says so in the audiences, for what had
  // arrived by then.
  [[nodiscard]] Status Wiped(std::uint64_t mark, std::uint64_t last_arrival);
  [[nodiscard]] Result<bool> HasUnstatedErasures();
  // Projects every stored row anew: after an upgrade of the projection.
  [[nodiscard]] Status ProjectAll();

  // Versions: versions.cc. Reads again what was opaque when it came, judges and folds what this
  // version understands; with `everything`, judges all anew, since the charter may have been among
  // it. At every start: the way of a replica through an upgrade.
  [[nodiscard]] Status Absorb(bool everything);

  // Attachments: blobs.cc. Notes anew which ones an entry names, after payloads of it came or went,
  // and erases what nothing names any more, in the same transaction.
  [[nodiscard]] Status ReindexBlobs(std::uint64_t arrival);
  // The same for every entry: after an upgrade.
  [[nodiscard]] Status ReindexAllBlobs();
  // All of an audience that this node leaves.
  [[nodiscard]] Status PurgeBlobs(std::int64_t audience);
  // Doubt about the own past: doubt.cc.
  [[nodiscard]] Status SetNonce(const Nonce& nonce);
  // Closes all journals that this replica writes, and notes why.
  [[nodiscard]] Status BeginDoubt(std::string reason);
  [[nodiscard]] Status EndDoubt(DoubtEnd how);

  [[nodiscard]] const WriterCache& cache() const { return cache_; }
  [[nodiscard]] TableReader& reader() { return reader_; }
  void ClearJournalsChanged() { cache_.journals_changed = false; }
  // Whether anything was written since Load or the last call: an edit that was refused before its
  // first write needs no rollback.
  [[nodiscard]] bool wrote() const { return wrote_; }
  void ClearWrote() { wrote_ = false; }
  // For writes that other files of this folder make through reader().
  void NoteWrote() { wrote_ = true; }

 private:
  friend class CharterDraft;
  [[nodiscard]] Status LoadCharter();
  [[nodiscard]] Status LoadDoubt();
  [[nodiscard]] Status PutMeta(std::string_view key, ByteView value);
  [[nodiscard]] Status SetDoubt(DoubtState state);
  // kDenied where the lane is the chair's of a term in which this replica was in doubt.
  [[nodiscard]] Status CheckMayAct(const Lane& lane) const;
  [[nodiscard]] Status LoadDisclosed();
  // Whether this replica writes with that key, or did before a rotation.
  [[nodiscard]] bool IsOwn(const crypto::PublicKey& key) const;
  // By the charter in force and what has been disclosed.
  [[nodiscard]] charter::JournalVerdict VerdictOf(const JournalId& journal,
                                                  const OpenBody& open) const;
  // Keeps what the entry discloses; journals whose cut it opens are judged by JudgeOpened.
  [[nodiscard]] Status TakeDisclosure(const JournalInfo& journal, const DisclosureBody& body);
  [[nodiscard]] Status JudgeOpened();
  [[nodiscard]] Result<std::int64_t> AudienceNumber(const AudienceId& audience);
  [[nodiscard]] Result<JournalInfo*> OwnJournal(const AudienceId& audience, const Lane& lane);
  // Puts an entry of our own into the lane's journal, opened where there is none: fills in journal,
  // number and predecessor, signs, appends, folds. Judged by the caller: nothing is refused here.
  [[nodiscard]] Result<Applied> WriteOwn(const AudienceId& audience, const Lane& lane,
                                         Header header, std::vector<std::optional<Bytes>> payloads);
  // Of an own entry that was stored without a signature: Flush signs the last one of each journal,
  // whose chain vouches for those before it. A run cannot end at the others, so they are few.
  [[nodiscard]] Status SignLater(const JournalInfo& journal, std::uint64_t arrival,
                                 const Entry& entry);
  [[nodiscard]] Status Sign(std::uint64_t arrival, const EntryId& entry);
  [[nodiscard]] Result<JournalInfo*> CreateJournal(const Entry& opening, bool current);
  [[nodiscard]] charter::Reason Judge(const JournalInfo& journal, const Entry& entry);
  [[nodiscard]] Result<std::uint64_t> Append(JournalInfo& journal, const Entry& entry,
                                             std::uint64_t fork, charter::Reason reason);
  [[nodiscard]] Status NoteOpaque(const JournalInfo& journal, const Entry& entry,
                                  std::uint64_t arrival);
  // Folds entries that were opaque and are no more, with what they are judged now.
  [[nodiscard]] Status FoldAbsorbed(std::map<std::uint64_t, charter::Reason> absorbed);
  // Refuses kinds whose least version (charter) is beyond ours.
  [[nodiscard]] Status CheckVersion(const Edit& edit) const;
  [[nodiscard]] Status IndexBlobs(const JournalInfo& journal, const Entry& entry,
                                  std::uint64_t arrival);
  [[nodiscard]] Status Fold(const JournalInfo& journal, TouchRow& touch);
  [[nodiscard]] Status FoldPart(const JournalInfo& journal, TouchRow& touch, std::uint32_t kind,
                                const RecordId& id);
  // False, and nothing done: the record is here already.
  [[nodiscard]] Result<bool> CreateRecord(const JournalInfo& journal, TouchRow& touch,
                                          std::uint32_t kind, const RecordId& id, bool named_before,
                                          bool repeats);
  [[nodiscard]] Status StoreRecord(RecordRow& record, const StoredState& state,
                                   const TouchRow* fresh);
  // Folds a record from all its touches and stores the result.
  [[nodiscard]] Status Refold(RecordRow& record, const Hash& old_leaf);
  [[nodiscard]] Result<StoredState> FoldFromJournal(RecordRow& record);
  [[nodiscard]] Result<bool> TakeMissing(const EntryId& entry);
  [[nodiscard]] Result<bool> HasRepeats(const JournalInfo& journal, const Entry& entry);
  [[nodiscard]] Status DeleteAudience(std::int64_t audience);
  // References, only to equal or wider audiences: release.cc. `held`: the record is here at all;
  // a copy with one of `without_flags` is not.
  [[nodiscard]] Result<std::vector<std::string>> TooNarrow(const charter::Audience& audience,
                                                           const RecordId& record,
                                                           int without_flags, bool* held);
  [[nodiscard]] Status CheckReferences(const charter::Audience& audience, const Edit& edit,
                                       const std::set<RecordId>& along);
  // A record in one audience; without a row where it is not there.
  struct ReleaseCopy {
    std::optional<RecordRow> row;
    projection::RecordState state;
    Bytes bytes;  // the projected row
    Hash leaf;
  };
  [[nodiscard]] Result<ReleaseCopy> CopyIn(const AudienceId& audience, std::uint32_t kind,
                                           const RecordId& record);
  // What becomes of one record of an order, before anything is written.
  struct ReleasePlan {
    ReleaseOrder::Item item;
    std::string name;  // "resolution 902cf95e"
    const record::Kind* kind = nullptr;
    ReleaseCopy outside;
    std::vector<CellEdit> cells;  // in the wider audience; none: it says the same there already
    record::ReleaseNote note;
    ReleasedRecord released;
    struct Unseen {
      std::string field;
      RecordId record;
    };
    std::vector<Unseen> unseen;  // what it names and its readers could not see
  };
  [[nodiscard]] Result<ReleasePlan> PlanRelease(const ReleaseOrder& order,
                                                const ReleaseOrder::Item& item,
                                                const std::set<RecordId>& along);
  // kDenied where records of the order name what the wider audience may not see: with all of it.
  [[nodiscard]] static Status CheckSeen(const charter::Audience& wide,
                                        const std::vector<ReleasePlan>& plans);
  // Puts into the plan what the content changes in the wider audience.
  void PlanCells(const std::vector<record::CellWrite>& content,
                 const std::function<bool(const Cell&)>& writable, ReleasePlan& plan) const;
  [[nodiscard]] Result<EntryId> WriteRelease(const ReleaseOrder& order, ReleasePlan& plan,
                                             const std::set<RecordId>& along);
  // Refuses a copy with several versions of a field that would be carried.
  [[nodiscard]] Status CheckDecided(const record::Kind& kind, const ReleaseCopy& copy,
                                    const std::vector<std::string>& carried);
  [[nodiscard]] Status WriteReleaseNote(const AudienceId& inside, std::uint32_t kind,
                                        const RecordId& record, const record::ReleaseNote& note);
  void ChangeLeaf(std::int64_t audience, const RecordId& record, const Hash& before,
                  const Hash& after);

  // Receipts: receipts.cc.
  // Whether this replica may act as the chair now: refused otherwise, with the reason.
  [[nodiscard]] Status CheckChair() const;
  // The branch that `entry` makes of the one ending at its predecessor.
  [[nodiscard]] static JournalInfo::Branch Longer(const JournalInfo& journal,
                                                  const JournalInfo::Branch& before,
                                                  const Entry& entry, std::uint64_t arrival);
  // The branch that ends at an entry which has a successor already; of a member's lane no more than
  // Longer needs.
  [[nodiscard]] Result<JournalInfo::Branch> BranchAt(const JournalInfo& journal,
                                                     const EntryId& entry);
  // Where entries of a journal stand; those not held stay without a place.
  [[nodiscard]] Status FindNamed(const JournalInfo& journal,
                                 std::map<EntryId, std::optional<WriterCache::Place>>& wanted);
  // Books a receipt of the chair's lane: what it names of what is here, and what is missing.
  [[nodiscard]] Status TakeReceipt(const JournalInfo& journal, const EntryRow& row);
  // Books what receipts said of an entry before it was here.
  [[nodiscard]] Status TakeReceiptMissing(const JournalInfo& journal, const Entry& entry,
                                          std::uint64_t arrival);
  [[nodiscard]] Status PutReceived(const JournalInfo& journal, std::uint64_t seq,
                                   std::uint64_t named, std::uint64_t receipt);
  // Decides anew which lines count for a journal: it has forked, or receipts were judged anew.
  [[nodiscard]] Status SettleReceived(const JournalInfo& journal);
  [[nodiscard]] Status ReceiptsRejudged(const std::vector<std::uint64_t>& receipts);
  // The lines that are due for one audience.
  [[nodiscard]] Result<std::vector<ReceiptBody::Line>> LinesDue(
      std::int64_t audience, const std::vector<HeldElsewhere>& held_elsewhere);

  // Erasure: erasure.cc.
  [[nodiscard]] Status LoadErasures();
  // Takes out of an entry that is about to be stored what may not rest here.
  [[nodiscard]] Result<std::vector<Withheld>> Withhold(const JournalInfo& journal, Entry& entry);
  // Remembers what was withheld, and what a newly stored entry erases.
  [[nodiscard]] Status NoteStored(const JournalInfo& journal, const EntryRow& row,
                                  const std::vector<Withheld>& withheld);
  // Why a run with absent payloads is refused: no erasure held names them.
  [[nodiscard]] Result<std::optional<std::string>> RefuseAbsent(const JournalInfo* journal,
                                                                const Run& run);
  // Carries out what has become due since the last call: the last step of whatever stores entries.
  [[nodiscard]] Status CarryOutDue();
  struct PayloadChange {
    std::uint64_t arrival = 0;
    std::size_t part = 0;
    std::optional<Absence> before;  // nothing: the payload is there
    std::optional<Absence> after;
  };
  [[nodiscard]] Result<std::set<std::uint64_t>> DueArrivals();
  [[nodiscard]] Result<std::vector<PayloadChange>> ChangesOf(std::uint64_t arrival);
  [[nodiscard]] Status ApplyChanges(std::uint64_t arrival,
                                    const std::vector<PayloadChange>& changes);
  [[nodiscard]] Status MarkWipe();
  struct TargetPlan;
  [[nodiscard]] Result<TargetPlan> PlanTarget(const ErasureTarget& target,
                                              const std::vector<std::uint32_t>& fields);
  [[nodiscard]] Status WriteClean(const TargetPlan& plan);
  [[nodiscard]] Result<std::vector<std::pair<AudienceId, std::vector<ErasureBody::CarriedOut>>>>
  Unstated(std::uint64_t last_arrival);

  [[nodiscard]] Status IngestCharter(std::vector<CharterItem>& items, Ingested& result);
  [[nodiscard]] Result<RunResult> IngestRun(Run& run, bool verified);
  // After a change of the charter in force: judges all journals, then the entries of those whose
  // verdict has changed, and folds the records that they touch.
  [[nodiscard]] Status RejudgeAll();
  // With `everything`, also the records of entries whose verdict stays: their member has changed.
  [[nodiscard]] Status Rejudge(const std::vector<std::pair<std::int64_t, bool>>& journals);
  [[nodiscard]] Result<std::optional<std::uint64_t>> FindEntry(const JournalInfo& journal,
                                                               std::uint64_t seq,
                                                               const EntryId& id);
  // What is here of our member's op in this audience. Refuses where what became of it is something
  // else than what is asked for.
  enum class Outcome { kApplied, kRejected };
  [[nodiscard]] Result<std::optional<Applied>> FindRepeat(const OpId& op, const MemberId& member,
                                                          const AudienceId& audience,
                                                          Outcome outcome);
  // As whom this replica writes in an audience, by the charter in force; and whether it may.
  struct Capacity {
    MemberId member;
    const charter::Audience* audience = nullptr;
  };
  [[nodiscard]] Result<Capacity> OwnCapacity(const AudienceId& id);
  [[nodiscard]] Status CheckWrites(const Capacity& capacity);
  // Refuses parents that are entries of this record in another audience: a header tells no audience
  // of another's entries.
  [[nodiscard]] Status CheckParents(const RecordEdit& record, std::int64_t audience,
                                    const std::vector<EntryId>& parents);
  [[nodiscard]] Result<RecordPart> MakePart(
      const Edit& edit, const RecordEdit& record, std::int64_t audience, WriteBody& body,
      std::unordered_map<EntryId, std::uint32_t>& parent_index,
      std::vector<std::optional<Bytes>>& payloads);

  sqlite::Database& database_;
  TableReader reader_;
  Clock& clock_;
  Random& random_;
  const crypto::KeyPair& key_;
  const std::vector<crypto::PublicKey>& former_keys_;
  WriterCache cache_;
  bool wrote_ = false;
  // What erasures reach and has not been looked at yet. Empty between transactions.
  struct Due {
    bool all = false;
    std::set<ErasureIndex::RecordKey> records;
    std::unordered_set<EntryId> entries;
    std::set<std::uint64_t> arrivals;
  };
  Due due_;
  std::vector<std::pair<AudienceId, Hash>> newly_disclosed_;
  // The last own entry of a journal, by its number, where no signature stands behind it yet. Empty
  // between transactions.
  struct Unsigned {
    std::uint64_t arrival = 0;
    EntryId entry;
    std::size_t bytes = 0;  // since the journal's last signature
  };
  std::map<std::int64_t, Unsigned> unsigned_;
};

}  // namespace staffel
