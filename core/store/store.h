// SPDX-License-Identifier: EUPL-1.2
// The replica: one SQLite file, one door. Own edits (Apply) and foreign entries (Ingest) meet in
// one commit: verify, append to the journal, fold, project, in one transaction; nothing else writes
// state. The store reads no clock and no randomness of its own and starts no threads. It does not
// know how entries travel (sync/) nor who may ask (api/).
//
// Threads: every public function may be called from any thread. There is one writer at a time;
// calls that wait for it share one fsync (group commit). Readers never wait for the writer.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/clock.h"
#include "core/base/id.h"
#include "core/base/random.h"
#include "core/base/result.h"
#include "core/base/time.h"
#include "core/charter/authority.h"
#include "core/charter/hidden.h"
#include "core/charter/judge.h"
#include "core/charter/tree.h"
#include "core/crypto/key.h"
#include "core/journal/entry.h"
#include "core/projection/projection.h"
#include "core/store/backup.h"
#include "core/store/doubt.h"
#include "core/store/erasure.h"
#include "core/store/leave.h"
#include "core/store/receipts.h"
#include "core/store/release.h"

namespace staffel {

inline constexpr std::uint64_t kSchemaVersion = 1;

struct StoreOptions {
  std::string path;                      // of the SQLite file; its -wal and -shm stand beside it
  Clock* clock = nullptr;                // outlives the store
  Random* random = nullptr;              // outlives the store
  const crypto::KeyPair* key = nullptr;  // the replica's; outlives the store
  // Keys that the replica signed with before: a database of one of these becomes the new key's,
  // which opens journals of its own.
  std::vector<crypto::PublicKey> former_keys;
  std::string vfs;      // tests name a faulting one
  int readers_max = 8;  // open read connections kept for reuse
  // Where the nonce's twin stands; outlives the store. Without one, a database that was put back is
  // not noticed: for tools and tests.
  Twin* twin = nullptr;
  // Called before this replica states that it has carried out an erasure, or deleted its copy of an
  // audience: deletes what holds it beside the file, such as a database that a restore has put
  // aside. A failure puts the statement off. Empty: there is nothing beside.
  std::function<Status()> forget_copies;
};

// ---------------------------------------------------------------------------------------------
// What is written

// One cell to write. Without a value the cell is emptied.
struct CellEdit {
  Cell cell;
  std::optional<Bytes> value;
  // The heads that the writer was shown; they become the parents. Nothing: the heads as they are
  // when the edit is applied, which is refused (kConflict) where several different values compete:
  // a conflict is decided by naming its heads.
  std::optional<std::vector<EntryId>> parents;
};

struct RecordEdit {
  std::uint32_t kind = 0;
  RecordId record;
  enum class Mode {
    kCreate,   // refused (kExists) where the record is there already
    kChange,   // refused (kNotFound) where it is not
    kDelete,   // sets `deleted` with the heads of all cells as parents; `cells` must be empty
    kRestore,  // takes the deletion back; `cells` must be empty
  } mode = Mode::kChange;
  std::vector<CellEdit> cells;
};

// One atomic change: becomes exactly one entry.
struct Edit {
  AudienceId audience;
  // An op id of our member that is here already is not applied again. Refused (kConflict): one that
  // was rejected, or made in another audience; it is never taken for done.
  std::optional<OpId> op;
  std::optional<RecordId> author;  // a Person
  std::vector<RecordEdit> records;
};

struct Applied {
  EntryId entry;          // of the entry made now, or of the one that this op had made before
  bool repeated = false;  // the op id was known: nothing was written
  std::uint64_t revision = 0;
};

struct ApplyAllOptions {
  // Called on the caller's thread with how many edits are done; may be called again from the start.
  std::function<void(std::size_t)> progress;
  // How a refusal calls the edit of this index ("line 7"); else "change 7 of 9".
  std::function<std::string(std::size_t)> name_of;
  // Only to see whether all would be taken: in the end nothing is written.
  bool rehearse = false;
};

// ---------------------------------------------------------------------------------------------
// What arrives

// Entries of one journal, each the predecessor of the next, ending at a signature.
struct Run {
  std::vector<Entry> entries;  // entries.back().signature is set
};

struct CharterItem {
  std::optional<Entry> entry;  // nothing where only signatures travel
  EntryId id;
  std::vector<charter::CharterSignature> signatures;
};

struct Batch {
  std::vector<CharterItem> charter;
  std::vector<Run> runs;
};

enum class RunOutcome {
  kAccepted,     // all of it is here now
  kKnown,        // nothing of it was new
  kUnknownPrev,  // its first entry follows one that is not here: send from an earlier seq
  kRefused,      // see `reason`
};

struct RunResult {
  JournalId journal;
  RunOutcome outcome = RunOutcome::kAccepted;
  std::size_t new_entries = 0;
  std::uint64_t first_seq = 0;
  std::uint64_t last_seq = 0;
  std::optional<Error> reason;
};

struct Ingested {
  std::vector<RunResult> runs;  // in the batch's order
  std::size_t new_entries = 0;
  std::size_t new_charter_entries = 0;
  std::size_t new_signatures = 0;
  std::vector<Error> charter_refusals;
  std::uint64_t revision = 0;
};

// A batch that has been checked as far as that is possible without the disk: form, hashes, links,
// payloads, the signature at the end of each run. Made by Store::Prepare, taken by Store::Ingest.
struct PreparedBatch {
  Batch batch;
  std::vector<std::optional<Error>> refused;  // per run
  // Per run: the signature has been verified. It has not where the journal's opening is on its way;
  // then Ingest verifies it.
  std::vector<bool> verified;
};

// ---------------------------------------------------------------------------------------------
// What is read

struct RecordView {
  AudienceId audience;
  std::uint32_t kind = 0;
  RecordId record;
  Bytes row;  // the record's message, as projected
  bool deleted = false;
  bool erased = false;
  bool incomplete = false;  // entries of a newer format touch it, which are not folded here
  std::size_t conflicts = 0;
  std::uint64_t number = 0;    // of this replica, stable: for paging
  std::uint64_t revision = 0;  // of its audience (Snapshot::RevisionOf), by its last change here
  TimeMs created;              // by the writers' clocks
  TimeMs changed;
};

struct ListFilter {
  std::optional<AudienceId> audience;
  std::optional<std::uint32_t> kind;
  bool with_deleted = false;
  std::uint64_t after_number = 0;  // pages go on behind this RecordView::number
  // With this set (> 0), and an audience: in order of its revision, what changed since.
  std::uint64_t after_revision = 0;
  std::size_t limit = 100;
};

struct ConflictView {
  RecordView record;
  projection::Conflict conflict;
};

// One line of a record's history.
struct HistoryItem {
  EntryId entry;
  JournalId journal;
  std::uint64_t seq = 0;
  MemberId member;
  Lane lane;
  TimeMs time;
  std::optional<OpId> op;
  std::optional<RecordId> author;
  bool valid = true;
  std::string invalid_reason;
  charter::Reason reason = charter::Reason::kValid;
  std::optional<Reception> reception;  // nothing: not received
  bool erased = false;
  struct Change {
    Cell cell;
    std::optional<Bytes> value;
    std::vector<EntryId> parents;
    bool head = false;
    std::optional<Bytes> before;  // the value of its parents, where they agree
  };
  std::vector<Change> changes;
};

struct SearchHit {
  RecordView record;
  std::string snippet;
};
struct SearchResult {
  std::vector<SearchHit> hits;
  bool more = false;
  std::uint64_t not_yet_indexed = 0;  // records that the index does not know yet
};

// A branch of a journal: every entry up to `head`.
struct VectorItem {
  JournalId journal;
  EntryId head;
  std::uint64_t seq = 0;
  friend auto operator<=>(const VectorItem&, const VectorItem&) = default;
};
using VersionVector = std::vector<VectorItem>;  // sorted

struct StateDigest {
  std::array<Hash, 256> buckets;  // big-endian sums mod 2^256, by first byte of the record id
  Hash root;                      // SHA-256 of the buckets
  bool complete = true;           // false while opaque entries are held: not to be compared
};

// An entry as stored, for sending on: nothing is parsed.
struct StoredEntry {
  std::uint64_t arrival = 0;
  JournalId journal;
  std::uint64_t seq = 0;
  EntryId id;
  Bytes header;
  std::vector<std::optional<Bytes>> payloads;
  Bytes signature;  // empty where none is held
};

struct StoredRun {
  JournalId journal;
  std::vector<StoredEntry> entries;  // ends at one with a signature
};

struct JournalView {
  JournalId journal;
  AudienceId audience;
  MemberId member;  // empty: of a key no longer listed
  Lane lane;
  crypto::PublicKey key;
  bool own = false;
  bool valid = true;
  std::string invalid_reason;
  std::size_t branches = 1;
  std::uint64_t entries = 0;
};

// An entry that is here and has no effect.
struct EntryWithoutEffect {
  EntryId entry;
  JournalId journal;
  std::uint64_t seq = 0;
  AudienceId audience;
  MemberId member;  // empty: of a key no longer listed
  Lane lane;
  TimeMs time;
  charter::Reason reason = charter::Reason::kValid;
  std::vector<std::pair<std::uint32_t, RecordId>> records;  // kind and id, where it is a write
};

// From which entry on a journal is wanted.
struct Want {
  JournalId journal;
  std::uint64_t from_seq = 0;
};

struct StoreCounts {
  std::uint64_t entries = 0;
  std::uint64_t own_entries = 0;
  std::uint64_t records = 0;
  std::uint64_t conflicts = 0;
  std::uint64_t journals = 0;
  std::uint64_t invalid_entries = 0;
  std::uint64_t own_invalid_entries = 0;  // of these, written by this replica's member
  std::uint64_t opaque_entries = 0;
  std::uint64_t charter_entries = 0;
  std::uint64_t not_yet_indexed = 0;
  std::uint64_t file_bytes = 0;
};

class StoreImpl;
class CharterDraft;
// Makes the next charter from the one in force; see charter_draft.h. May run twice, so it keeps
// nothing outside.
using CharterChange = std::function<Result<charter::Content>(CharterDraft&)>;

// One consistent snapshot. Hold it briefly: while it lives, the WAL cannot be emptied. Belongs to
// one thread at a time; the store must outlive it.
class Snapshot {
 public:
  Snapshot(Snapshot&&) noexcept;
  Snapshot& operator=(Snapshot&&) = delete;
  ~Snapshot();

  // The charter in force when the snapshot was taken; null while there is none.
  [[nodiscard]] std::shared_ptr<const charter::Authority> authority() const;
  [[nodiscard]] std::uint64_t revision() const;
  // How often records of this audience have changed here: what a client of the audience may know.
  // What goes on in other audiences does not show in it.
  [[nodiscard]] Result<std::uint64_t> RevisionOf(const AudienceId& audience);

  // kNotFound where the record is not here. A record may live in several audiences after a release:
  // without one named, the one with the fewest readers; among equals that where members write.
  [[nodiscard]] Result<RecordView> GetRecord(const RecordId& record,
                                             std::optional<AudienceId> audience = {});
  // Records whose id begins with these hexadecimal digits, at most `limit`, optionally of one kind.
  [[nodiscard]] Result<std::vector<RecordView>> FindByPrefix(std::string_view hex,
                                                             std::optional<std::uint32_t> kind,
                                                             std::size_t limit);
  [[nodiscard]] Result<std::vector<RecordView>> List(const ListFilter& filter);
  [[nodiscard]] Result<std::uint64_t> Count(const ListFilter& filter);  // ignores its limit
  // Heads with values: what an edit names, what a person compares.
  [[nodiscard]] Result<projection::RecordState> State(const RecordView& record);
  [[nodiscard]] Result<std::vector<ConflictView>> ConflictsOf(const RecordView& record);
  // Records with conflicts, in order of number; paged by records, not by conflicts.
  [[nodiscard]] Result<std::vector<ConflictView>> Conflicts(const ListFilter& filter);
  // Oldest arrival first.
  [[nodiscard]] Result<std::vector<HistoryItem>> History(const RecordView& record);
  // Where this record has been released to, or from, and whether the texts say the same.
  [[nodiscard]] Result<std::vector<ReleaseView>> Releases(const RecordView& record);
  // Words in any order, each found as a part of a word, accents and case ignored.
  [[nodiscard]] Result<SearchResult> Search(std::string_view query,
                                            std::optional<std::uint32_t> kind, std::size_t limit,
                                            std::size_t offset,
                                            std::optional<AudienceId> audience = {});

  [[nodiscard]] Result<VersionVector> Vector(const AudienceId& audience);
  [[nodiscard]] Result<StateDigest> Digest(const AudienceId& audience);
  // Whether this very entry is held. Cheap for heads.
  [[nodiscard]] Result<bool> HasEntry(const JournalId& journal, std::uint64_t seq,
                                      const EntryId& entry);
  // The greatest seq held of a journal; nothing where the journal is unknown.
  [[nodiscard]] Result<std::optional<std::uint64_t>> LastSeq(const JournalId& journal);
  // The wanted entries as runs: erasures first, then the chair's acts, then the rest by order of
  // arrival; about `bytes_max` of headers and payloads, at least one run if anything is wanted.
  // `more` is set where entries were left out.
  [[nodiscard]] Result<std::vector<StoredRun>> ReadRuns(std::span<const Want> wants,
                                                        std::size_t bytes_max, bool* more);
  [[nodiscard]] Result<std::vector<JournalView>> Journals();

  // All erasures, oldest arrival first, the charter's last: what, by whom, and which replicas have
  // carried them out.
  [[nodiscard]] Result<std::vector<ErasureView>> Erasures();
  [[nodiscard]] Result<ErasureCounts> CountErasures();
  // Payloads of this audience that were destroyed under an erasure without effect now: wanted
  // again. Ascending. Cheap where there are none.
  [[nodiscard]] Result<std::vector<PayloadAt>> MissingPayloads(const AudienceId& audience);
  // The records whose contents these are, each once, as far as their entries are held; `absent`
  // gets how many contents are not. Reads through all entries.
  [[nodiscard]] Result<std::vector<charter::ErasedRecord>> RecordsOf(
      const std::vector<charter::ErasedPayload>& payloads, std::size_t* absent);
  // The bytes of a payload of this audience; nothing where they are not here.
  [[nodiscard]] Result<std::optional<Bytes>> Payload(const AudienceId& audience,
                                                     const PayloadAt& at);
  // What entries of the audience have disclosed under this hash (charter/hidden.h); nothing where
  // no entry held does.
  [[nodiscard]] Result<std::optional<Bytes>> Disclosed(const AudienceId& audience,
                                                       const Hash& hidden);
  // All heads of the audience, as a handover's protocol names them.
  [[nodiscard]] std::vector<charter::HandoverPart::Head> HandoverHeads(const AudienceId& audience);
  // What follows from these heads and all before them, judged by that charter and by nothing that
  // came later: the same on every replica that holds them. kNotFound where one is not held. Reads
  // the whole audience.
  [[nodiscard]] Result<charter::HandoverPart::Figures> FiguresAt(
      const AudienceId& audience, const std::vector<charter::HandoverPart::Head>& heads,
      const charter::Authority& authority);
  // Our journals in audiences of the conference that our member is no longer in.
  [[nodiscard]] std::vector<LeftJournal> LeftJournals() const;
  [[nodiscard]] Result<StoreCounts> Counts();

  // Nothing where the entry is not received, or not here.
  [[nodiscard]] Result<std::optional<Reception>> ReceptionOf(const JournalId& journal,
                                                             std::uint64_t seq,
                                                             const EntryId& entry);
  [[nodiscard]] Result<RecordReception> ReceptionOf(const RecordView& record);
  // One for each audience that this replica's member reads, in the charter's order.
  [[nodiscard]] Result<std::vector<ReceiptGap>> ReceiptGaps();
  // The valid receipt of a term with the greatest (time, entry id); nothing where there is none.
  [[nodiscard]] Result<std::optional<ReceiptView>> LastReceipt(const AudienceId& audience,
                                                               std::uint64_t term);
  // Void receipts, latest arrival first: evidence for the chair, who judges what they name.
  [[nodiscard]] Result<std::vector<ReceiptView>> VoidReceipts(std::size_t limit);
  // Entries without effect, latest arrival first; of this replica's member only, or of all. Those
  // of a newer format are left out: they may have an effect after the upgrade.
  [[nodiscard]] Result<std::vector<EntryWithoutEffect>> WithoutEffect(bool only_own,
                                                                      std::size_t limit);

 private:
  friend class StoreImpl;
  friend class Store;
  friend class Blobs;
  struct State_;
  explicit Snapshot(std::unique_ptr<State_> state);
  std::unique_ptr<State_> state_;
};

// Something that went on working and still deserves a look.
struct Incident {
  std::uint64_t number = 0;
  TimeMs time;
  std::string kind;  // "fork", "digest", …
  std::string text;
};

struct VerifyReport {
  std::uint64_t entries = 0;
  std::uint64_t signatures = 0;
  std::uint64_t records = 0;
  std::vector<std::string> problems;  // empty: all is sound
};

class Store {
 public:
  // Opens or creates the file, migrates its schema, checks that it belongs to `key`'s replica.
  // kStorage, kCorrupt, kUnsupported (written by a newer version).
  [[nodiscard]] static Result<std::unique_ptr<Store>> Open(const StoreOptions& options);
  ~Store();

  // ---- writing ----

  // Returns after the entry is on disk, fsynced. Refusals: kDenied (not joined, not a writer of the
  // audience, someone else's cell), kNotFound, kExists, kConflict, kTooLarge, kInvalid, kStorage.
  [[nodiscard]] Result<Applied> Apply(const Edit& edit);
  // All in one transaction, one entry each: all are applied, or none and the first refusal
  // returned, its message preceded by the edit's name or number.
  [[nodiscard]] Result<std::vector<Applied>> ApplyAll(std::span<const Edit> edits,
                                                      const ApplyAllOptions& options = {});

  // Makes the rejection of an op final: an entry without changes, by which every replica of our
  // member knows it. However often the op is delivered from now on, it is not applied, also where
  // it would be possible by then. Refusals: as Apply; kExists: it was applied before.
  [[nodiscard]] Result<Applied> Reject(const AudienceId& audience, const OpId& op);

  // Checks a batch as far as possible without the writer. Runs on the caller's thread.
  [[nodiscard]] PreparedBatch Prepare(Batch batch);
  // Refused runs and signatures are reported, the rest is stored. Only disk errors fail the whole,
  // and then nothing of it is stored.
  [[nodiscard]] Result<Ingested> Ingest(PreparedBatch batch);
  // Several prepared batches in one transaction: cheaper for long streams.
  [[nodiscard]] Result<std::vector<Ingested>> IngestAll(std::vector<PreparedBatch> batches);

  // Releases records to a wider audience: entries there, and notes in the narrower ones, in one
  // transaction. kDenied: not wider, not ours to write, not cleared for publication, or one names
  // what not all who read there may see; kConflict: what would be released is not decided;
  // kNotFound, kInvalid, kTooLarge.
  [[nodiscard]] Result<Released> Release(const ReleaseOrder& order);
  // Takes a release back: deletes the record in the wider audience. Its readers keep what they had
  // in their journals. kNotFound: it has not been released there.
  [[nodiscard]] Result<Applied> Withdraw(std::uint32_t kind, const RecordId& record,
                                         const AudienceId& audience, const std::optional<OpId>& op);

  // Receipts, in the chair's lane: one entry for each audience of `order` with entries that are
  // here and not received; none where nothing is due. kDenied: this replica is not the present
  // term's; kUnavailable: two branches of the charter are tied; kStorage.
  [[nodiscard]] Result<std::vector<WrittenReceipt>> WriteReceipts(const ReceiptOrder& order);
  // The journals that this replica's key writes or wrote. Cheap.
  [[nodiscard]] std::vector<JournalId> OwnJournals() const;

  // ---- erasure: core.md, "Erasure"; decision 0012 ----

  // What erasing would do, target by target; writes nothing. Refusals stand in the plans.
  [[nodiscard]] Result<std::vector<ErasurePlan>> PlanErasure(const ErasureRequest& request);
  // Erases all targets in one transaction, or none: clean values, then one or more entries in our
  // journals of erasures, carried out here before it returns, and fsynced. Says which entries. What
  // was erased may lie in free places of the files until Wipe. Refusals: as PlanErasure says;
  // kExists: nothing is left to erase.
  [[nodiscard]] Result<std::vector<EntryId>> Erase(const ErasureRequest& request);
  // Only the clean values of fields: before a quorum's charter entry that names their payloads.
  [[nodiscard]] Status WriteCleanValues(const ErasureRequest& request);
  // The chair repeats an erasure beyond a cut, or drops it: what it hid is shown again. kDenied:
  // not the chair's node; kNotFound; kConflict: it waits for no decision.
  [[nodiscard]] Result<EntryId> DecideErasure(const EntryId& erasure, bool repeat);
  // Payloads that a peer sent again: those that are missing here and match are taken. Says how
  // many.
  [[nodiscard]] Result<std::size_t> TakePayloads(std::vector<PayloadBytes> payloads);
  // Takes what was erased out of the search index, of free places of the file and of the WAL, then
  // says in each audience what this replica has carried out. True: nothing is left to do; false: a
  // reader holds the WAL, try again later. Waits for other writes and keeps them waiting while the
  // file is written anew, a second for some hundred megabytes. Cheap where there is nothing to do.
  [[nodiscard]] Result<bool> Wipe();

  // ---- charter ----

  // Binds the replica to a conference, by what an invitation names. Charter entries of any other
  // conference are refused. Not called, the first charter that is ingested decides. kExists: it
  // belongs to another one already.
  [[nodiscard]] Status Adopt(const ConferenceId& conference);
  [[nodiscard]] std::optional<ConferenceId> conference() const;
  // Null until entry 0 of the charter is held.
  [[nodiscard]] std::shared_ptr<const charter::Authority> authority() const;
  // The tree as it stands: for the exchange, for what waits for signatures. Null until Adopt.
  [[nodiscard]] std::shared_ptr<const charter::CharterTree> charter() const;
  [[nodiscard]] std::optional<MemberId> own_member() const;  // by the charter in force

  // Puts a change of the charter forward in one transaction: runs `change`, writes what it
  // discloses, makes the entry on top of the charter in force (or of `parent`, one of two tied
  // entries or below), and approves it with this replica's key. What it still needs, the charter's
  // tree says. kDenied: this node's key signs for no member; kConflict: the charter is tied, and no
  // parent named; and whatever `change` refuses.
  [[nodiscard]] Result<EntryId> Propose(const CharterChange& change,
                                        std::optional<EntryId> parent = {});

  // ---- reading ----
  [[nodiscard]] Result<Snapshot> Read();
  // Raised by every commit that changes anything a client or peer could ask for.
  [[nodiscard]] std::uint64_t revision() const;
  // Called after each such commit, on the writer's thread, outside its lock: be brief, and never
  // write, which would wait for itself.
  void OnCommit(std::function<void(std::uint64_t revision)> callback);

  // ---- local matters, never replicated: invitations, peers, settings ----
  [[nodiscard]] Result<std::optional<Bytes>> GetLocal(std::string_view key);
  [[nodiscard]] Result<std::vector<std::pair<std::string, Bytes>>> ListLocal(
      std::string_view prefix);
  // Replaces, or with nothing removes. Atomic: `expected`, where given, must be what stands there.
  [[nodiscard]] Status PutLocal(std::string_view key, const std::optional<Bytes>& value,
                                std::optional<std::optional<Bytes>> expected = {});

  // ---- backup (backup.h) ----

  // Writes a backup while work goes on, and checks it; then renews the nonce. Any thread; takes as
  // long as copying the file. kStorage: nothing that could be taken for a backup is promised.
  [[nodiscard]] Result<BackupView> Backup(const BackupOptions& options);

  // ---- doubt about the own past (doubt.h) ----

  [[nodiscard]] DoubtState doubt() const;
  // From which number on this replica cosigns charter entries; nothing: none for now.
  [[nodiscard]] std::optional<std::uint64_t> cosign_from() const;
  // Harmless where there is no doubt.
  [[nodiscard]] Status EndDoubt(DoubtEnd how);
  // Gives the database and its twin a new nonce, so that any copy made before is noticed when it
  // is put back. kStorage where the twin cannot be written; then nothing is written before it can.
  [[nodiscard]] Status RenewNonce();

  // ---- upkeep: call now and then, from a thread of the caller's ----

  // Brings the full-text index up to date, at most `records_max` records; says how many are left.
  [[nodiscard]] Result<std::uint64_t> IndexSearch(std::size_t records_max);
  // Moves the WAL into the file, off the writer's path.
  [[nodiscard]] Status Checkpoint();
  // Deletes the copies of audiences that our member was taken out of, once all that this replica
  // wrote there has been handed over: journals, state, index, attachments, and the log behind them.
  // Says how many copies are gone for good now; each leaves a statement for those in the audience.
  [[nodiscard]] Result<std::size_t> LeaveAudiences();
  // Up to which seq (exclusive) somebody in the audience has taken a journal that we left.
  [[nodiscard]] Result<std::uint64_t> HandedOver(const JournalId& journal);
  [[nodiscard]] Status NoteHandedOver(const JournalId& journal, std::uint64_t next_seq);
  // Statements that nobody has taken yet.
  [[nodiscard]] Result<std::vector<CopyDeleted>> DeletedCopies();
  [[nodiscard]] Status NoteDeletedCopyTaken(const AudienceId& audience);
  // Recomputes everything from the journal: hashes, links, signatures, fold, projection, digest.
  // `progress` gets entries done and in all; returning false stops with kUnavailable.
  [[nodiscard]] Result<VerifyReport> Verify(
      const std::function<bool(std::uint64_t, std::uint64_t)>& progress = {});

  // ---- what a person should look into: forks, digests that differ, refused runs ----
  [[nodiscard]] Status ReportIncident(std::string_view kind, std::string_view text);
  [[nodiscard]] Result<std::vector<Incident>> Incidents(std::uint64_t after_number,
                                                        std::size_t limit);

 private:
  friend class Snapshot;
  friend class Blobs;
  explicit Store(std::unique_ptr<StoreImpl> impl);
  std::unique_ptr<StoreImpl> impl_;
};

}  // namespace staffel
