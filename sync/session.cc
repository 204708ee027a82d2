// SPDX-License-Identifier: EUPL-1.2
#include "sync/session.h"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "core/base/mutation.h"
#include "core/crypto/hash.h"
#include "sync/audiences.h"

namespace staffel::sync {
namespace {

// Of one journal with branches, at most so much is read at once to find what a peer lacks.
constexpr std::size_t kBranchScanBytesMax = std::size_t{256} << 20;
constexpr int kLookTriesMax = 16;
constexpr std::size_t kProblemsMax = 20;
// Messages of one exchange that deal with missing payloads.
constexpr int kMissingRoundsMax = 1'000;

// ---------------------------------------------------------------------------------------------
// What one side holds, at one moment

struct Look {
  std::shared_ptr<const charter::CharterTree> tree;  // null: no charter here
  std::unique_ptr<Snapshot> snapshot;
  MemberId own;
  MemberId peer;                        // empty: no member by the charter here
  std::vector<AudienceVector> vectors;  // shared audiences, ascending
  std::vector<AudienceSummary> summaries;
  std::vector<AudienceDigest> digests;
  std::vector<PayloadAt> missing;  // payloads of shared audiences, ascending
  std::optional<Hash> charter_summary;
  std::optional<Hash> audiences_summary;
  std::optional<Hash> missing_summary;
  std::optional<Hash> audiences_digest;  // nothing while opaque entries are held

  [[nodiscard]] const AudienceVector* FindVector(const AudienceId& audience) const {
    for (const auto& vector : vectors) {
      if (vector.audience == audience) return &vector;
    }
    return nullptr;
  }
};

bool HasCharter(const std::shared_ptr<const charter::CharterTree>& tree) {
  return tree != nullptr && tree->InForce().authority != nullptr;
}

Status ReadDigests(Look& look) {
  look.digests.clear();
  bool complete = true;
  for (const AudienceVector& vector : look.vectors) {
    STAFFEL_TRY(digest, look.snapshot->Digest(vector.audience));
    look.digests.push_back({vector.audience, digest.root});
    complete = complete && digest.complete;
  }
  if (complete) look.audiences_digest = DigestOf(look.digests);
  return {};
}

// Reads what is compared, all from one moment: a charter and a snapshot that belong together.
enum class Digests { kLeaveOut, kRead };
Result<Look> LookAt(Store& store, const crypto::PublicKey& peer, Digests digests) {
  Look look;
  for (int tries = 0;; ++tries) {
    look.tree = store.charter();
    auto snapshot = store.Read();
    if (!snapshot) return Forward(snapshot);
    look.snapshot = std::make_unique<Snapshot>(std::move(*snapshot));
    if (store.charter() == look.tree || tries >= kLookTriesMax) break;
    look.snapshot.reset();
  }
  if (!HasCharter(look.tree)) return look;
  look.charter_summary = look.tree->SummaryHash();

  const charter::Authority& authority = *look.snapshot->authority();
  if (const auto own = store.own_member()) look.own = *own;
  if (const auto member = authority.MemberOfTlsKey(peer)) look.peer = *member;
  if (look.own.empty() || look.peer.empty()) return look;

  // Only what both may read is looked at from here on: the rest cannot be named by mistake.
  auto shared = authority.AudiencesShared(look.own, look.peer);
  if (STAFFEL_MUTATION(kOneAudienceMore)) shared = authority.AudiencesReadBy(look.own);
  for (const AudienceId& audience : shared) {
    STAFFEL_TRY(vector, look.snapshot->Vector(audience));
    look.summaries.push_back({audience, SummaryOf(vector)});
    look.vectors.push_back({audience, std::move(vector)});
    STAFFEL_TRY(missing, look.snapshot->MissingPayloads(audience));
    look.missing.insert(look.missing.end(), missing.begin(), missing.end());
  }
  std::sort(look.missing.begin(), look.missing.end());
  look.missing_summary = SummaryOf(look.missing);
  look.audiences_summary = SummaryOf(look.summaries);
  if (digests == Digests::kRead) STAFFEL_CHECK(ReadDigests(look));
  return look;
}

Hash StateOf(const Look& look) {
  if (!look.charter_summary || !look.audiences_summary) return {};
  return crypto::Sha256({look.charter_summary->bytes(), look.audiences_summary->bytes(),
                         look.missing_summary.value_or(Hash()).bytes()});
}

tl::unexpected<Error> NoMember() {
  return Fail(
      ErrorCode::kDenied,
      "the key of this connection belongs to no member of the conference: ask the chair for "
      "an invitation, or wait until the joining is approved");
}

tl::unexpected<Error> Refused(const Look& look, const crypto::PublicKey& peer) {
  return tl::unexpected<Error>(NotListed(*look.tree->InForce().authority, peer));
}

// The branches of each journal in a vector.
using Branches = std::map<JournalId, std::vector<VectorItem>>;

Branches ByJournal(const VersionVector& vector) {
  Branches branches;
  for (const VectorItem& item : vector) branches[item.journal].push_back(item);
  return branches;
}

std::uint64_t MaxSeq(const std::vector<VectorItem>& items) {
  std::uint64_t seq = 0;
  for (const VectorItem& item : items) seq = std::max(seq, item.seq);
  return seq;
}

// Which of our journals the peer may hear of.
std::map<JournalId, AudienceId> SharedJournals(const Look& look) {
  std::map<JournalId, AudienceId> journals;
  for (const AudienceVector& vector : look.vectors) {
    for (const VectorItem& item : vector.items) journals.emplace(item.journal, vector.audience);
  }
  return journals;
}

// ---------------------------------------------------------------------------------------------
// Reading what to send

std::size_t BytesOf(const StoredEntry& entry) {
  std::size_t bytes = entry.header.size();
  for (const auto& payload : entry.payloads) bytes += payload ? payload->size() : 0;
  return bytes;
}

// What still fits into a message.
struct Budget {
  std::size_t bytes = 0;
  std::size_t entries = 0;
  bool used = false;  // at least one run is in: the rest may wait
};

// Takes runs into `out` until the budget is spent, cutting a run only behind a signature. The first
// run always travels, as far as its first signature, or a long one would never. Says whether all
// were taken; `last` gets the id of each run's last entry.
bool TakeWithin(std::vector<StoredRun> runs, Budget& budget, std::vector<WireRun>& out,
                std::vector<EntryId>* last = nullptr) {
  for (StoredRun& run : runs) {
    if (run.entries.empty() || run.entries.back().signature.empty()) continue;
    std::size_t keep = 0;
    std::size_t keep_bytes = 0;
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < run.entries.size(); ++i) {
      bytes += BytesOf(run.entries[i]);
      const bool fits = i + 1 <= budget.entries && bytes <= budget.bytes;
      if (!fits && (keep > 0 || budget.used)) break;
      if (run.entries[i].signature.empty()) continue;
      keep = i + 1;
      keep_bytes = bytes;
      if (!fits) break;
    }
    if (keep == 0) return false;
    const bool whole = keep == run.entries.size();
    run.entries.resize(keep);
    out.push_back(CutRun(run));
    if (last != nullptr) last->push_back(run.entries.back().id);
    budget.used = true;
    budget.bytes -= std::min(budget.bytes, keep_bytes);
    budget.entries -= std::min(budget.entries, keep);
    if (!whole) return false;
  }
  return true;
}

Status ReadLinear(Snapshot& snapshot, const std::vector<Want>& wants, Budget& budget,
                  std::vector<WireRun>& out, bool& more, std::vector<EntryId>* last = nullptr) {
  if (wants.empty()) return {};
  if (budget.used && (budget.bytes == 0 || budget.entries == 0)) {
    more = true;
    return {};
  }
  bool left = false;
  STAFFEL_TRY(runs, snapshot.ReadRuns(wants, std::max<std::size_t>(budget.bytes, 1), &left));
  if (!TakeWithin(std::move(runs), budget, out, last) || left) more = true;
  return {};
}

// Of a journal with branches: what the entries in `held` do not cover. Where none of them is held
// here, everything from `from_seq` on.
// `ours` are its heads here.
Result<std::vector<StoredRun>> ReadUncovered(Snapshot& snapshot, const JournalId& journal,
                                             const std::vector<VectorItem>& ours,
                                             const std::vector<Held>& held, std::uint64_t from_seq,
                                             std::size_t bytes_max) {
  std::vector<Held> known;
  for (const Held& item : held) {
    STAFFEL_TRY(has, snapshot.HasEntry(journal, item.seq, item.entry));
    if (has) known.push_back(item);
  }
  if (known.empty()) {
    const Want want{journal, from_seq};
    bool more = false;
    return snapshot.ReadRuns({&want, 1}, std::max<std::size_t>(bytes_max, 1), &more);
  }

  std::unordered_set<EntryId> covered;
  std::uint64_t from = UINT64_MAX;
  for (const Held& item : known) {
    covered.insert(item.entry);
    from = std::min(from, item.seq);
  }
  for (const VectorItem& head : ours) from = std::min(from, head.seq);
  // Back from the lowest of both sides' heads, in growing steps, until every branch from there on
  // stands on something covered.
  for (std::uint64_t step = 1;; step *= 2) {
    const Want want{journal, from};
    bool more = false;
    STAFFEL_TRY(runs, snapshot.ReadRuns({&want, 1}, kBranchScanBytesMax, &more));
    std::unordered_map<EntryId, EntryId> prev_of;
    for (const StoredRun& run : runs) {
      for (const StoredEntry& entry : run.entries) prev_of[entry.id] = PrevOf(entry.header);
    }
    for (const Held& item : known) {
      for (EntryId at = item.entry; !at.is_zero();) {
        covered.insert(at);
        const auto found = prev_of.find(at);
        if (found == prev_of.end()) break;
        at = found->second;
      }
    }
    bool stands = true;
    for (const auto& [id, prev] : prev_of) {
      if (covered.contains(id) || prev_of.contains(prev) || covered.contains(prev)) continue;
      stands = false;
      break;
    }
    if (!stands && from > 0) {
      from = from > step ? from - step : 0;
      continue;
    }
    std::vector<StoredRun> missing;
    for (StoredRun& run : runs) {
      // What is covered is a beginning of the run: ancestors come first.
      const auto first = std::find_if(run.entries.begin(), run.entries.end(),
                                      [&](const auto& e) { return !covered.contains(e.id); });
      run.entries.erase(run.entries.begin(), first);
      if (!run.entries.empty()) missing.push_back(std::move(run));
    }
    return missing;
  }
}

// The missing payloads that come after one, as many as a message names.
std::vector<PayloadAt> MissingAfter(const std::vector<PayloadAt>& missing,
                                    const std::optional<PayloadAt>& after) {
  const auto from =
      after ? std::upper_bound(missing.begin(), missing.end(), *after) : missing.begin();
  const auto left = static_cast<std::size_t>(missing.end() - from);
  return {from, from + static_cast<std::ptrdiff_t>(std::min(left, kMissingNamedMax))};
}

// Of the payloads that the peer has named, those that are here and in audiences that it reads, in
// their order, until the budget is spent; at least one travels. Says how many were looked at.
Result<std::size_t> FindPayloads(Look& look, const std::vector<PayloadAt>& named, Budget& budget,
                                 std::vector<PayloadBytes>& out) {
  const auto journals = SharedJournals(look);
  for (std::size_t at = 0; at < named.size(); ++at) {
    const auto audience = journals.find(named[at].journal);
    if (audience == journals.end()) continue;
    STAFFEL_TRY(bytes, look.snapshot->Payload(audience->second, named[at]));
    if (!bytes) continue;
    if (budget.used && bytes->size() > budget.bytes) return at;
    budget.used = true;
    budget.bytes -= std::min(budget.bytes, bytes->size());
    out.push_back({named[at], std::move(*bytes)});
  }
  return named.size();
}

std::vector<DigestDifference> Compare(const std::vector<AudienceDigest>& ours,
                                      const std::vector<AudienceDigest>& theirs,
                                      const MemberId& peer) {
  std::vector<DigestDifference> incidents;
  for (const AudienceDigest& their : theirs) {
    for (const AudienceDigest& our : ours) {
      if (our.audience == their.audience && our.root != their.root) {
        incidents.push_back({our.audience, our.root, their.root, peer});
      }
    }
  }
  return incidents;
}

// The charter entries of `ids` with all their signatures, parents first, about kCharterBytesMax.
std::vector<CharterItem> CharterItems(const charter::CharterTree& tree,
                                      const std::map<EntryId, bool>& with_entry) {
  std::vector<CharterItem> items;
  std::size_t bytes = 0;
  for (const EntryId& id : tree.Entries()) {
    const auto wanted = with_entry.find(id);
    if (wanted == with_entry.end()) continue;
    CharterItem item;
    item.id = id;
    if (wanted->second) item.entry = *tree.Find(id);
    item.signatures = tree.SignaturesOf(id);
    if (!item.entry && item.signatures.empty()) continue;
    bytes += item.entry ? item.entry->header_bytes.size() : 0;
    bytes += item.signatures.size() * 120;
    if (!items.empty() && bytes > kCharterBytesMax) break;
    items.push_back(std::move(item));
  }
  return items;
}

}  // namespace

Result<Hash> ComparedWith(Store& store, const crypto::PublicKey& peer) {
  STAFFEL_TRY(look, LookAt(store, peer, Digests::kLeaveOut));
  return StateOf(look);
}

// ---------------------------------------------------------------------------------------------
// Into the store

PreparedBatch PrepareReceived(Store& store, ReceivedBatch received,
                              std::vector<RunResult>& broken) {
  Batch batch;
  batch.charter = std::move(received.charter);
  for (WireRun& wire : received.runs) {
    auto run = RebuildRun(wire);
    if (run) {
      batch.runs.push_back(std::move(*run));
    } else {
      RunResult result;
      result.journal = wire.journal;
      result.outcome = RunOutcome::kRefused;
      result.first_seq = wire.first_seq;
      result.last_seq = wire.last_seq();
      result.reason = std::move(run.error());
      broken.push_back(std::move(result));
    }
    Bytes().swap(wire.entries);
  }
  return store.Prepare(std::move(batch));
}

Status DirectIntake::Take(ReceivedBatch batch) {
  std::vector<RunResult> broken;
  auto ingested = store_.Ingest(PrepareReceived(store_, std::move(batch), broken));
  if (!ingested) return Forward(ingested);
  for (RunResult& result : broken) ingested->runs.push_back(std::move(result));
  done_.push_back(std::move(*ingested));
  return {};
}

Result<std::vector<Ingested>> DirectIntake::Flush() { return std::exchange(done_, {}); }

// ---------------------------------------------------------------------------------------------
// The asking side

class Exchange::Impl {
 public:
  Impl(Store& store, crypto::PublicKey peer, ExchangeOptions options)
      : store_(store),
        peer_(std::move(peer)),
        options_(options),
        direct_(store),
        intake_(options.intake != nullptr ? options.intake : &direct_) {}

  void Begin() {
    charter_rounds_ = 0;
    charter_given_up_ = false;
    idle_ = 0;
    moved_ = false;
    ask_vectors_.clear();
    charter_send_.clear();
    charter_wants_.clear();
    linear_.clear();
    branched_.clear();
    branched_send_.clear();
    skip_send_.clear();
    skip_take_.clear();
    parted_.clear();
    problems_.clear();
    missing_ = {};
    digest_rounds_ = 0;
    report_digests_ = false;
    reported_ = false;
    fresh_ = true;
    sent_ = {};
    // What an exchange that was broken off left behind must not be taken for this one's.
    (void)intake_->Flush();
  }

  Result<Bytes> NextRequest(std::uint32_t wait_ms) {
    waiting_ = false;
    sent_ = {};
    STAFFEL_TRY(look, LookAt(store_, peer_, Digests::kLeaveOut));
    Message message;
    if (!HasCharter(look.tree)) {
      if (!options_.conference) {
        return Fail(
            ErrorCode::kInvalid,
            "this node belongs to no conference yet: found one, or join with an invitation");
      }
      message.conference = *options_.conference;
    } else {
      if (options_.conference && look.tree->conference() != *options_.conference) {
        return Fail(ErrorCode::kInvalid, "this node belongs to another conference");
      }
      message.conference = look.tree->conference();
      message.charter_summary = look.charter_summary;
      if (look.own.empty() || look.peer.empty()) {
        // A charter that is behind may not name the peer yet: the peer's own may.
      } else {
        message.audiences_summary = look.audiences_summary;
        message.missing_summary = MissingAsCompared(look);
      }
    }

    // 1. The charter, and nothing else while it differs.
    if (!charter_send_.empty() || !charter_wants_.empty()) {
      if (look.tree) message.charter_items = CharterItems(*look.tree, charter_send_);
      message.charter_wants = charter_wants_;
      sent_.charter = true;
      return Encode(std::move(message));
    }
    if (!message.audiences_summary) return Encode(std::move(message));

    Budget budget{options_.limits.batch_bytes_max, options_.limits.batch_entries_max, false};
    // 2. What the peer lacks, as far as is known.
    STAFFEL_CHECK(AddLinearSends(look, budget, message));
    if (!sent_.more) STAFFEL_CHECK(AddBranchedSends(look, budget, message));

    // 3. What we lack: first the plain journals, then those with branches.
    for (const auto& [journal, plan] : linear_) {
      message.wants.push_back({journal, plan.next_seq, {}});
    }
    if (linear_.empty()) {
      const Branches ours = OwnBranches(look);
      for (const auto& [journal, plan] : branched_) {
        WantJournal want{journal, plan.from_seq, plan.held};
        if (const auto found = ours.find(journal); found != ours.end()) {
          for (const VectorItem& item : found->second) want.held.push_back({item.head, item.seq});
        }
        message.wants.push_back(std::move(want));
      }
      sent_.branched = !branched_.empty();
    }
    sent_.wants = !message.wants.empty();

    // 4. Vectors, where summaries differ.
    for (const AudienceId& audience : ask_vectors_) {
      if (const auto* vector = look.FindVector(audience)) message.vectors.push_back(*vector);
    }
    if (report_digests_) {
      STAFFEL_CHECK(ReadDigests(look));
      message.digests = look.digests;
      sent_.report = true;
    }
    // Not where the payloads that are missing differ: so does the state then.
    if (message.wants.empty() && !sent_.more && message.missing_summary == look.missing_summary) {
      // It may be the last: the states are compared with it.
      if (look.digests.empty()) STAFFEL_CHECK(ReadDigests(look));
      message.audiences_digest = look.audiences_digest;
    }
    if (!sent_.more) STAFFEL_CHECK(AddLeft(look, budget, message));
    if (missing_.under_way) STAFFEL_CHECK(AddMissing(look, budget, message));
    sent_.plain = message.runs.empty() && message.copies_deleted.empty() && message.wants.empty() &&
                  message.vectors.empty() && message.digests.empty() && !missing_.under_way;
    if (fresh_ && sent_.plain && wait_ms > 0) {
      message.wait_ms = wait_ms;
      waiting_ = true;
    }
    return Encode(std::move(message));
  }

  Result<State> TakeAnswer(ByteView bytes) {
    waiting_ = false;
    fresh_ = false;
    progress_.bytes_received += bytes.size();
    progress_.round_trips += 1;
    STAFFEL_TRY(answer, DecodeMessage(bytes));
    if (!answer.charter_summary) {
      return Fail(ErrorCode::kInvalid, "the peer's answer says nothing of its charter");
    }
    if (options_.clocks != nullptr && answer.now) {
      options_.clocks->Heard(peer_, options_.peer_is_hub, *answer.now, answer.majority);
    }
    if (answer.new_entries > 0) moved_ = true;
    STAFFEL_CHECK(TakeProblems(answer));
    STAFFEL_CHECK(TakeLeft(answer));
    TakeAccepted(answer);

    STAFFEL_TRY(charter_agrees, TakeCharter(answer));
    if (!charter_agrees && !charter_given_up_) return State::kGoOn;

    STAFFEL_CHECK(TakeVectors(answer));
    STAFFEL_CHECK(TakeRuns(answer));
    if (!linear_.empty()) return State::kGoOn;  // the stream goes on; the store works meanwhile
    STAFFEL_CHECK(Settle());
    STAFFEL_CHECK(TakeFound(answer));
    if (!linear_.empty() || !branched_.empty() || sent_.more) return State::kGoOn;
    return Conclude(answer, charter_agrees);
  }

  [[nodiscard]] bool waiting() const { return waiting_; }
  [[nodiscard]] const Progress& progress() const { return progress_; }
  [[nodiscard]] const std::vector<DigestDifference>& incidents() const { return incidents_; }
  [[nodiscard]] const std::vector<std::string>& problems() const { return problems_; }

  [[nodiscard]] const std::vector<AudienceVector>& agreed_vectors() const { return agreed_; }
  [[nodiscard]] std::uint64_t agreed_revision() const { return agreed_revision_; }
  [[nodiscard]] const Hash& agreed_state() const { return agreed_state_; }

 private:
  // A journal without branches that the peer is ahead in.
  struct LinearPlan {
    AudienceId audience;
    std::uint64_t next_seq = 0;
    VectorItem target;
  };
  // A journal with branches, or whose two sides have parted.
  struct BranchedPlan {
    AudienceId audience;
    std::vector<VectorItem> theirs;
    std::uint64_t from_seq = 0;
    std::uint64_t step = 1;
    std::vector<Held> held;  // entries that came again: the peer holds them, and so do we
  };
  // What the last request carried, to be booked when its answer is here.
  struct Sent {
    bool plain = false;
    bool charter = false;
    bool wants = false;
    bool branched = false;
    bool more = false;  // runs were left out
    bool report = false;
    struct Up {
      AudienceId audience;
      VectorItem item;
      std::uint64_t entries = 0;
      bool branched = false;
    };
    std::vector<Up> ups;
    std::vector<AudienceVector> vectors;  // as sent
    struct Left {
      JournalId journal;
      std::uint64_t first_seq = 0;
      std::uint64_t last_seq = 0;
    };
    std::vector<Left> left;
    std::vector<PayloadAt> missing;
    std::size_t looked_for = 0;  // of Missing::to_find
  };
  // Payloads that were destroyed under an erasure without effect now, asked for in pages in both
  // directions, once all else agrees.
  struct Missing {
    bool under_way = false;
    int rounds = 0;
    std::optional<PayloadAt> asked_to;  // of ours: asked for up to here
    bool asked_all = false;
    std::optional<PayloadAt> heard_to;  // of the peer's: heard of up to here
    bool heard_all = false;
    std::vector<PayloadAt> to_find;  // heard of, and not known to be dealt with
  };

  Result<Bytes> Encode(Message message) {
    if (options_.instance) {
      message.instance = options_.instance;
      // Once the peer has agreed with this process it knows whom it follows.
      if (has_agreed_) message.instance = Instance{options_.instance->id, {}};
    }
    if (options_.clocks != nullptr) message.now = options_.clocks->OwnNow();
    sent_.vectors = message.vectors;
    Bytes bytes = EncodeMessage(std::move(message));
    progress_.bytes_sent += bytes.size();
    return bytes;
  }

  static Branches OwnBranches(const Look& look) {
    Branches all;
    for (const auto& vector : look.vectors) {
      for (const VectorItem& item : vector.items) all[item.journal].push_back(item);
    }
    return all;
  }

  // ---- sending ----

  // From where on the peer lacks a journal that has no branches on either side, as far as is
  // believed. Nothing where it lacks nothing, or that cannot be said so simply.
  Result<std::optional<std::uint64_t>> SendFrom(Snapshot& snapshot,
                                                const std::vector<VectorItem>& ours,
                                                const std::vector<VectorItem>* theirs) {
    std::optional<std::uint64_t> from;
    if (ours.size() != 1) return from;
    if (theirs == nullptr || theirs->empty()) {
      from = 0;
      return from;
    }
    if (theirs->size() != 1 || theirs->front().seq >= ours.front().seq) return from;
    STAFFEL_TRY(held, snapshot.HasEntry(theirs->front().journal, theirs->front().seq,
                                        theirs->front().head));
    if (held) from = theirs->front().seq + 1;
    return from;
  }

  Status AddLinearSends(Look& look, Budget& budget, Message& message) {
    std::vector<Want> wants;
    std::map<JournalId, AudienceId> audience_of;
    std::uint64_t to_send = 0;
    for (const AudienceVector& vector : look.vectors) {
      const auto believed = believed_.find(vector.audience);
      if (believed == believed_.end()) continue;
      for (const auto& [journal, ours] : ByJournal(vector.items)) {
        if (skip_send_.contains(journal)) continue;
        const auto theirs = believed->second.find(journal);
        STAFFEL_TRY(from, SendFrom(*look.snapshot, ours,
                                   theirs == believed->second.end() ? nullptr : &theirs->second));
        if (!from) continue;
        wants.push_back({journal, *from});
        audience_of[journal] = vector.audience;
        to_send += ours.front().seq + 1 - *from;
      }
    }
    progress_.entries_to_send = to_send;
    std::vector<EntryId> last;
    STAFFEL_CHECK(ReadLinear(*look.snapshot, wants, budget, message.runs, sent_.more, &last));
    for (std::size_t i = 0; i < last.size(); ++i) {
      Book(message.runs[i], last[i], audience_of[message.runs[i].journal], false);
    }
    return {};
  }

  Status AddBranchedSends(Look& look, Budget& budget, Message& message) {
    if (branched_send_.empty()) return {};
    Branches ours = OwnBranches(look);
    for (auto plan = branched_send_.begin(); plan != branched_send_.end();) {
      const JournalId journal = plan->first;
      std::vector<Held> held;
      for (const VectorItem& item : plan->second.theirs) held.push_back({item.head, item.seq});
      STAFFEL_TRY(runs,
                  ReadUncovered(*look.snapshot, journal, ours[journal], held, 0, budget.bytes));
      if (runs.empty() || skip_send_.contains(journal)) {
        plan = branched_send_.erase(plan);
        continue;
      }
      std::vector<EntryId> last;
      const std::size_t first = message.runs.size();
      // What does not fit is found missing at the next comparison.
      const bool all = TakeWithin(std::move(runs), budget, message.runs, &last);
      for (std::size_t i = 0; i < last.size(); ++i) {
        Book(message.runs[first + i], last[i], plan->second.audience, true);
      }
      if (!all) break;
      ++plan;
    }
    return {};
  }

  // Of audiences that our member was taken out of, to a peer that is in them: what this replica
  // wrote there, wherever the cut lies, and that its copy is deleted. Nothing about the audience is
  // asked, and nothing answered.
  Status AddLeft(const Look& look, Budget& budget, Message& message) {
    const auto authority = look.snapshot->authority();
    std::vector<Want> wants;
    for (const LeftJournal& journal : look.snapshot->LeftJournals()) {
      if (!authority->KeepsCopy(look.peer, journal.audience) ||
          skip_send_.contains(journal.journal)) {
        continue;
      }
      STAFFEL_TRY(next, store_.HandedOver(journal.journal));
      if (next <= journal.last_seq) wants.push_back({journal.journal, next});
    }
    if (!wants.empty()) {
      const std::size_t first = message.runs.size();
      STAFFEL_CHECK(ReadLinear(*look.snapshot, wants, budget, message.runs, sent_.more));
      for (std::size_t i = first; i < message.runs.size(); ++i) {
        const WireRun& run = message.runs[i];
        sent_.left.push_back({run.journal, run.first_seq, run.last_seq()});
      }
    }
    STAFFEL_TRY(statements, store_.DeletedCopies());
    for (CopyDeleted& statement : statements) {
      if (authority->KeepsCopy(look.peer, statement.audience)) {
        message.copies_deleted.push_back(std::move(statement));
      }
    }
    return {};
  }

  Status TakeLeft(const Message& answer) {
    for (const Sent::Left& left : sent_.left) {
      const auto problem =
          std::find_if(answer.problems.begin(), answer.problems.end(),
                       [&](const RunProblem& p) { return p.journal == left.journal; });
      if (problem == answer.problems.end()) {
        STAFFEL_CHECK(store_.NoteHandedOver(left.journal, left.last_seq + 1));
        moved_ = true;
      } else if (problem->outcome == RunProblem::Outcome::kUnknownPrev && left.first_seq > 0) {
        STAFFEL_CHECK(store_.NoteHandedOver(left.journal, 0));  // another peer took the beginning
        moved_ = true;
      } else if (problem->outcome == RunProblem::Outcome::kUnknownPrev &&
                 store_.charter()->SummaryHash() != *answer.charter_summary) {
        moved_ = true;  // it may not know yet that we were in: offered again
      } else {
        skip_send_.insert(left.journal);
        AddProblem("the peer did not take what was left of journal " +
                   left.journal.Hex().substr(0, 12) + ": " + problem->reason);
      }
    }
    for (const AudienceId& audience : answer.copies_deleted_taken) {
      STAFFEL_CHECK(store_.NoteDeletedCopyTaken(audience));
    }
    return {};
  }

  void Book(const WireRun& run, const EntryId& last, const AudienceId& audience, bool branched) {
    sent_.ups.push_back({audience, {run.journal, last, run.last_seq()}, run.count, branched});
  }

  void TakeAccepted(const Message& answer) {
    for (const Sent::Up& up : sent_.ups) {
      const bool failed =
          std::any_of(answer.problems.begin(), answer.problems.end(),
                      [&](const RunProblem& p) { return p.journal == up.item.journal; });
      if (failed) continue;
      progress_.entries_sent += up.entries;
      progress_.entries_to_send -= std::min(progress_.entries_to_send, up.entries);
      if (up.branched) {
        branched_send_.erase(up.item.journal);
        // What the peer holds now is asked anew.
        believed_.erase(up.audience);
      } else if (const auto found = believed_.find(up.audience); found != believed_.end()) {
        found->second[up.item.journal] = {up.item};
      }
    }
  }

  Status TakeProblems(const Message& answer) {
    for (const RunProblem& problem : answer.problems) {
      for (const Sent::Up& up : sent_.ups) {
        if (up.item.journal != problem.journal) continue;
        // Our belief about the peer was wrong: ask.
        believed_.erase(up.audience);
        if (problem.outcome == RunProblem::Outcome::kRefused) {
          skip_send_.insert(problem.journal);
          AddProblem("the peer refused entries " + std::to_string(problem.first_seq) +
                     " and later of journal " + problem.journal.Hex().substr(0, 12) + ": " +
                     problem.reason);
        } else if (up.branched) {
          branched_send_.erase(problem.journal);
        }
      }
    }
    return {};
  }

  // ---- the charter ----

  Result<bool> TakeCharter(Message& answer) {
    if (!answer.charter_items.empty()) {
      const auto conference =
          options_.conference ? *options_.conference : store_.conference().value_or(ConferenceId());
      Batch batch;
      for (CharterItem& item : answer.charter_items) {
        if (item.entry) {
          const Header& header = item.entry->header;
          const EntryId& of = header.seq == 0 ? item.id : header.journal;
          if (of != conference) {
            return Fail(ErrorCode::kDenied,
                        "the peer sent the charter of another conference than the one this node "
                        "belongs to or was invited to");
          }
        }
        batch.charter.push_back(std::move(item));
      }
      // Binds a new node to the conference that it was invited to; harmless for the others.
      STAFFEL_CHECK(store_.Adopt(conference));
      STAFFEL_TRY(ingested, store_.Ingest(store_.Prepare(std::move(batch))));
      progress_.charter_received += ingested.new_charter_entries + ingested.new_signatures;
      if (ingested.new_charter_entries + ingested.new_signatures > 0) {
        moved_ = true;
        charter_moved_ = true;
        skip_send_.clear();
        skip_take_.clear();
      }
      for (const Error& refusal : ingested.charter_refusals) AddProblem(refusal.message);
    }
    if (sent_.charter) {
      charter_send_.clear();
      charter_wants_.clear();
    }

    const auto tree = store_.charter();
    const bool agrees = HasCharter(tree) && tree->SummaryHash() == *answer.charter_summary;
    if (agrees) {
      if (charter_moved_) believed_.clear();  // who may read what may have changed
      charter_moved_ = false;
      charter_rounds_ = 0;
      return true;
    }
    if (charter_given_up_) return false;
    if (++charter_rounds_ > kCharterRoundsMax) {
      if (!HasCharter(tree)) {
        return Fail(ErrorCode::kUnavailable, "the peer does not send its conference's charter");
      }
      // Data goes on meanwhile: nobody waits for a signature.
      charter_given_up_ = true;
      AddProblem("the charters of the two sides do not come together");
      return false;
    }
    std::map<EntryId, Bytes> theirs;
    for (const CharterLine& line : answer.charter_lines) theirs[line.entry] = line.signatures;
    if (answer.charter_lines.empty()) return false;  // ask again, for the list
    std::set<EntryId> known;
    if (tree) {
      for (const EntryId& id : tree->Entries()) {
        known.insert(id);
        const auto their = theirs.find(id);
        if (their == theirs.end()) {
          charter_send_[id] = true;
        } else if (their->second != LineOf(*tree, id).signatures) {
          charter_send_[id] = false;
          charter_wants_.push_back(id);
        }
      }
    }
    for (const CharterLine& line : answer.charter_lines) {
      if (!known.contains(line.entry)) charter_wants_.push_back(line.entry);
    }
    if (charter_send_.empty() && charter_wants_.empty()) {
      // The same is held and yet something else counts: nothing that could be sent helps.
      charter_given_up_ = true;
    }
    return false;
  }

  // ---- receiving ----

  // What the peer holds, from what it says differs from what we sent.
  Status TakeVectors(const Message& answer) {
    if (answer.vectors.empty()) return {};
    STAFFEL_TRY(look, LookAt(store_, peer_, Digests::kLeaveOut));
    for (const AudienceVector& differs : answer.vectors) {
      const auto sent = std::find_if(sent_.vectors.begin(), sent_.vectors.end(),
                                     [&](const auto& v) { return v.audience == differs.audience; });
      // Only what was asked, and is still shared.
      if (sent == sent_.vectors.end() || look.FindVector(differs.audience) == nullptr) continue;
      ask_vectors_.erase(differs.audience);
      Branches theirs = ByJournal(sent->items);
      for (auto& [journal, items] : ByJournal(differs.items)) {
        if (items.size() == 1 && items.front().head.is_zero()) {
          theirs.erase(journal);
        } else {
          theirs[journal] = items;
        }
      }
      const Branches ours = ByJournal(look.FindVector(differs.audience)->items);
      for (const auto& [journal, items] : theirs) {
        const auto own = ours.find(journal);
        STAFFEL_CHECK(Plan(*look.snapshot, differs.audience, journal,
                           own == ours.end() ? std::vector<VectorItem>() : own->second, items));
      }
      for (const auto& [journal, items] : ours) {
        // With branches, of a journal that the peer has nothing of: no plain continuation either.
        if (items.size() > 1 && !theirs.contains(journal)) {
          branched_send_[journal] = {differs.audience, {}, 0, 1, {}};
        }
      }
      believed_[differs.audience] = std::move(theirs);
    }
    CountExpected();
    return {};
  }

  Status Plan(Snapshot& snapshot, const AudienceId& audience, const JournalId& journal,
              const std::vector<VectorItem>& ours, const std::vector<VectorItem>& theirs) {
    if (ours == theirs) return {};
    bool all_held = true;
    bool any_held = false;
    for (const VectorItem& item : theirs) {
      STAFFEL_TRY(held, snapshot.HasEntry(journal, item.seq, item.head));
      all_held = all_held && held;
      any_held = any_held || held;
    }
    if (!all_held && !skip_take_.contains(journal)) {
      const bool may_be_ahead = ours.empty() || theirs.front().seq > ours.front().seq;
      if (theirs.size() == 1 && ours.size() <= 1 && may_be_ahead && !parted_.contains(journal)) {
        const std::uint64_t next = ours.empty() ? 0 : ours.front().seq + 1;
        linear_[journal] = {audience, next, theirs.front()};
      } else {
        PlanBranched(audience, journal, ours, theirs);
      }
    }
    // We have something the peer has not named, and it is no plain continuation of what it has: it
    // is sent once we hold a head of the peer's, so that we know where the branches part.
    const bool plain = ours.size() == 1 && theirs.size() == 1;
    if (any_held && !(plain && all_held)) {
      bool lacking = false;
      for (const VectorItem& item : ours) {
        lacking = lacking || std::find(theirs.begin(), theirs.end(), item) == theirs.end();
      }
      if (lacking) branched_send_[journal] = {audience, theirs, 0, 1, {}};
    }
    return {};
  }

  void PlanBranched(const AudienceId& audience, const JournalId& journal,
                    const std::vector<VectorItem>& ours, const std::vector<VectorItem>& theirs) {
    BranchedPlan plan;
    plan.audience = audience;
    plan.theirs = theirs;
    // The side whose seq is not smaller sends from the other's on.
    plan.from_seq = ours.empty() ? 0 : std::min(MaxSeq(ours), MaxSeq(theirs));
    const auto [known, is_new] = branched_.try_emplace(journal, plan);
    if (!is_new) known->second.theirs = theirs;
  }

  void CountExpected() {
    std::uint64_t expected = 0;
    for (const auto& [journal, plan] : linear_) {
      if (plan.target.seq + 1 > plan.next_seq) expected += plan.target.seq + 1 - plan.next_seq;
    }
    progress_.entries_to_receive = expected;
  }

  Status TakeRuns(Message& answer) {
    ReceivedBatch batch;
    bool any_linear = false;
    for (WireRun& run : answer.runs) {
      // Nothing is taken that was not asked for.
      if (const auto found = linear_.find(run.journal); found != linear_.end()) {
        any_linear = true;
        LinearPlan& plan = found->second;
        plan.next_seq = std::max(plan.next_seq, run.last_seq() + 1);
        batch.runs.push_back(std::move(run));
      } else if (branched_.contains(run.journal)) {
        // Which entry it ends with decides how to go on; journals with branches are rare.
        auto rebuilt = RebuildRun(run);
        if (rebuilt) {
          received_[run.journal].push_back({{rebuilt->entries.back().id, run.last_seq()},
                                            rebuilt->entries.front().header.prev,
                                            run.first_seq});
        }
        batch.runs.push_back(std::move(run));
      }
    }
    std::erase_if(linear_,
                  [](const auto& item) { return item.second.next_seq > item.second.target.seq; });
    // The peer has no more of what is still wanted, or does not give it: compare again.
    if (sent_.wants && !sent_.branched && (!any_linear || !answer.more)) linear_.clear();
    CountExpected();
    asked_branched_ = sent_.branched;
    if (batch.runs.empty()) return {};
    return intake_->Take(std::move(batch));
  }

  // Looks at what became of what was received.
  Status Settle() {
    STAFFEL_TRY(batches, intake_->Flush());
    for (Ingested& batch : batches) {
      progress_.entries_received += batch.new_entries;
      if (batch.new_entries > 0) moved_ = true;
      for (RunResult& result : batch.runs) {
        if (result.outcome == RunOutcome::kUnknownPrev) {
          // Not a continuation of what we hold: the two sides have parted earlier.
          if (!branched_.contains(result.journal) && parted_.insert(result.journal).second) {
            moved_ = true;
          }
          AskAgain(result.journal);
        } else if (result.outcome == RunOutcome::kRefused) {
          skip_take_.insert(result.journal);
          branched_.erase(result.journal);
          AddProblem("entries " + std::to_string(result.first_seq) + " to " +
                     std::to_string(result.last_seq) + " of journal " +
                     result.journal.Hex().substr(0, 12) + " were refused: " +
                     (result.reason ? result.reason->message : std::string("no reason given")));
        }
      }
    }
    if (!asked_branched_) {
      received_.clear();
      return {};
    }
    asked_branched_ = false;
    STAFFEL_TRY(look, LookAt(store_, peer_, Digests::kLeaveOut));
    for (auto plan = branched_.begin(); plan != branched_.end();) {
      STAFFEL_TRY(done, SettleBranched(*look.snapshot, plan->first, plan->second));
      plan = done ? branched_.erase(plan) : std::next(plan);
    }
    received_.clear();
    return {};
  }

  // Says whether there is nothing more to ask for in this plan.
  Result<bool> SettleBranched(Snapshot& snapshot, const JournalId& journal, BranchedPlan& plan) {
    bool all = true;
    for (const VectorItem& item : plan.theirs) {
      STAFFEL_TRY(held, snapshot.HasEntry(journal, item.seq, item.head));
      all = all && held;
    }
    AskAgain(journal);
    if (all) return true;
    const auto came = received_.find(journal);
    if (came == received_.end()) return true;  // the peer gives nothing: compare again
    bool connected = false;
    std::uint64_t lowest = UINT64_MAX;
    for (const auto& [last, prev, first_seq] : came->second) {
      STAFFEL_TRY(held, snapshot.HasEntry(journal, last.seq, last.entry));
      if (held) {
        // Common ground: the peer leaves out what this covers.
        std::erase_if(plan.held, [&before = prev](const Held& h) { return h.entry == before; });
        plan.held.push_back(last);
        connected = true;
      } else {
        lowest = std::min(lowest, first_seq);
      }
    }
    moved_ = true;
    if (!connected) {
      if (lowest == 0) return true;
      plan.from_seq = lowest > plan.step ? lowest - plan.step : 0;
      plan.step *= 2;
    }
    return false;
  }

  void AskAgain(const JournalId& journal) {
    for (auto item = believed_.begin(); item != believed_.end();) {
      item = item->second.contains(journal) ? believed_.erase(item) : std::next(item);
    }
  }

  // ---- payloads that are missing ----

  // Where asking has not made the two sides miss the same, nothing is gained by asking again before
  // either has changed: until then the peer's summary stands for ours, and a request may wait.
  [[nodiscard]] std::optional<Hash> MissingAsCompared(const Look& look) const {
    if (missing_unmet_ && missing_unmet_->first == look.missing_summary) {
      return missing_unmet_->second;
    }
    return look.missing_summary;
  }

  Status AddMissing(Look& look, Budget& budget, Message& message) {
    if (!missing_.asked_all) message.missing = MissingAfter(look.missing, missing_.asked_to);
    sent_.missing = message.missing;
    STAFFEL_TRY(done, FindPayloads(look, missing_.to_find, budget, message.found));
    sent_.looked_for = done;
    message.missing_after = missing_.heard_to;
    return {};
  }

  Status TakeFound(Message& answer) {
    // Nothing is taken that was not asked for.
    std::erase_if(answer.found, [&](const PayloadBytes& found) {
      return !std::binary_search(sent_.missing.begin(), sent_.missing.end(), found.at);
    });
    if (missing_.under_way) {
      if (!answer.found.empty() && answer.more) {
        missing_.asked_to = answer.found.back().at;
      } else if (!sent_.missing.empty()) {
        missing_.asked_to = sent_.missing.back();
      }
      missing_.asked_all = missing_.asked_all || (sent_.missing.empty() && !answer.more);
    }
    if (!answer.found.empty()) {
      STAFFEL_TRY(taken, store_.TakePayloads(std::move(answer.found)));
      if (taken > 0) moved_ = true;
    }
    missing_.to_find.erase(
        missing_.to_find.begin(),
        missing_.to_find.begin() + static_cast<std::ptrdiff_t>(sent_.looked_for));
    // What the peer misses is named page by page, the first one unasked.
    if (missing_.to_find.empty()) {
      std::erase_if(answer.missing, [&](const PayloadAt& at) {
        return missing_.heard_to && at <= *missing_.heard_to;
      });
      if (!answer.missing.empty()) missing_.heard_to = answer.missing.back();
      missing_.heard_all = answer.missing.empty();
      missing_.to_find = std::move(answer.missing);
    }
    return {};
  }

  // Says whether another request may bring the two sides to miss the same payloads.
  bool GoOnWithMissing(const Look& look, const std::optional<Hash>& theirs) {
    if (look.missing_summary == theirs) {
      missing_unmet_.reset();
      missing_.under_way = false;
      return false;
    }
    if (missing_unmet_ && missing_unmet_ == std::pair(look.missing_summary, theirs)) return false;
    const bool all = missing_.asked_all && missing_.heard_all && missing_.to_find.empty();
    if (!all && ++missing_.rounds <= kMissingRoundsMax) {
      missing_.under_way = true;
      return true;
    }
    missing_.under_way = false;
    missing_unmet_ = {look.missing_summary, theirs};
    AddProblem("the peer and this node miss different payloads, and neither sends the other's");
    return false;
  }

  // ---- the end ----

  Result<State> Conclude(const Message& answer, bool charter_agrees) {
    STAFFEL_TRY(look, LookAt(store_, peer_, Digests::kLeaveOut));
    if (look.own.empty() || look.peer.empty()) return NoMember();
    const bool equal =
        answer.audiences_summary && look.audiences_summary == answer.audiences_summary;
    const bool charter_equal = charter_agrees && look.charter_summary == answer.charter_summary;
    if (equal) {
      if (charter_equal) {
        if (GoOnWithMissing(look, answer.missing_summary)) return State::kGoOn;
      }
      if (charter_equal && look.missing_summary == answer.missing_summary) {
        STAFFEL_CHECK(ReadDigests(look));
        STAFFEL_TRY(go_on, CheckDigests(answer, look));
        if (go_on) return State::kGoOn;
      }
      if (charter_equal || charter_given_up_) {
        believed_.clear();
        for (const AudienceVector& vector : look.vectors) {
          believed_[vector.audience] = ByJournal(vector.items);
        }
        agreed_ = look.vectors;
        agreed_revision_ = look.snapshot->revision();
        has_agreed_ = true;
        agreed_state_ = StateOf(look);
        progress_.entries_to_receive = 0;
        progress_.entries_to_send = 0;
        return State::kAgreed;
      }
    }

    if (moved_) {
      idle_ = 0;
    } else if (++idle_ > kIdleComparisonsMax) {
      std::string why = problems_.empty() ? std::string("") : ": " + problems_.front();
      return Fail(ErrorCode::kUnavailable,
                  "the two sides still differ after {} comparisons without news{}", idle_ - 1, why);
    }
    moved_ = false;

    ask_vectors_.clear();
    for (const AudienceSummary& their : answer.summaries) {
      for (const AudienceSummary& our : look.summaries) {
        if (our.audience == their.audience && our.summary != their.summary) {
          ask_vectors_.insert(our.audience);
        }
      }
    }
    return State::kGoOn;
  }

  // Equal vectors, equal charter: then the states must be equal, too. Says whether another request
  // is needed to find out where they are not.
  Result<bool> CheckDigests(const Message& answer, const Look& look) {
    if (sent_.report) {
      report_digests_ = false;
      reported_ = true;
    }
    if (!look.audiences_digest || !answer.audiences_digest ||
        *look.audiences_digest == *answer.audiences_digest || reported_) {
      return false;
    }
    if (answer.digests.empty()) return ++digest_rounds_ <= kIdleComparisonsMax;
    for (DigestDifference& incident : Compare(look.digests, answer.digests, look.peer)) {
      if (std::find(incidents_.begin(), incidents_.end(), incident) == incidents_.end()) {
        incidents_.push_back(std::move(incident));
      }
    }
    report_digests_ = true;  // so that the peer knows, too
    return true;
  }

  void AddProblem(std::string problem) {
    if (problems_.size() >= kProblemsMax) return;
    if (std::find(problems_.begin(), problems_.end(), problem) != problems_.end()) return;
    problems_.push_back(std::move(problem));
  }

  Store& store_;
  const crypto::PublicKey peer_;
  const ExchangeOptions options_;
  DirectIntake direct_;
  Intake* const intake_;

  // What the peer is believed to hold: true at the last agreement or vector. A wrong belief costs a
  // round trip and heals. No audience here: not known.
  std::map<AudienceId, Branches> believed_;
  std::vector<AudienceVector> agreed_;
  std::uint64_t agreed_revision_ = 0;
  bool has_agreed_ = false;
  Hash agreed_state_;

  // Of the comparison under way.
  bool fresh_ = true;
  bool waiting_ = false;
  int idle_ = 0;
  bool moved_ = false;
  int charter_rounds_ = 0;
  bool charter_given_up_ = false;
  bool charter_moved_ = false;
  Missing missing_;
  // The two summaries of what is missing that asking has left different.
  std::optional<std::pair<std::optional<Hash>, std::optional<Hash>>> missing_unmet_;
  int digest_rounds_ = 0;
  bool report_digests_ = false;
  bool reported_ = false;
  std::map<EntryId, bool> charter_send_;  // with the entry itself, or its signatures only
  std::vector<EntryId> charter_wants_;
  std::set<AudienceId> ask_vectors_;
  std::map<JournalId, LinearPlan> linear_;
  std::map<JournalId, BranchedPlan> branched_;
  std::map<JournalId, BranchedPlan> branched_send_;
  std::set<JournalId> parted_;  // the peer's branch is not a continuation of ours
  std::set<JournalId> skip_send_;
  std::set<JournalId> skip_take_;
  bool asked_branched_ = false;
  struct Came {
    Held last;
    EntryId prev;
    std::uint64_t first_seq = 0;
  };
  std::map<JournalId, std::vector<Came>> received_;
  Sent sent_;

  Progress progress_;
  std::vector<DigestDifference> incidents_;
  std::vector<std::string> problems_;
};

Exchange::Exchange(Store& store, crypto::PublicKey peer, ExchangeOptions options)
    : impl_(std::make_unique<Impl>(store, std::move(peer), options)) {}
Exchange::~Exchange() = default;
void Exchange::Begin() { impl_->Begin(); }
Result<Bytes> Exchange::NextRequest(std::uint32_t wait_ms) { return impl_->NextRequest(wait_ms); }
bool Exchange::waiting() const { return impl_->waiting(); }
Result<Exchange::State> Exchange::TakeAnswer(ByteView answer) { return impl_->TakeAnswer(answer); }
const Progress& Exchange::progress() const { return impl_->progress(); }
const std::vector<DigestDifference>& Exchange::incidents() const { return impl_->incidents(); }
const std::vector<std::string>& Exchange::problems() const { return impl_->problems(); }
const std::vector<AudienceVector>& Exchange::agreed_vectors() const {
  return impl_->agreed_vectors();
}
std::uint64_t Exchange::agreed_revision() const { return impl_->agreed_revision(); }
Hash Exchange::agreed_state() const { return impl_->agreed_state(); }

// ---------------------------------------------------------------------------------------------
// The answering side

namespace {

// Also in a branch of the charter that was in force once and has lost: what the member wrote under
// it is void, and kept like everything else.
bool EverWroteAnywhere(const charter::CharterTree& tree, const MemberId& member,
                       const AudienceId& audience) {
  const auto entries = tree.Entries();
  return std::any_of(entries.begin(), entries.end(), [&](const EntryId& id) {
    const auto authority = tree.AuthorityOf(id);
    return authority != nullptr && authority->EverWrote(member, audience);
  });
}

// Whether a run may be taken from this peer: of a shared audience, by our journals or by the entry
// that opens it. What else the peer sends is answered like a journal never heard of.
// Of an audience that we are in and the peer is not, its own journals are taken: a member that was
// taken out hands over what it had written before it knew.
bool MayTake(const Look& look, const std::map<JournalId, AudienceId>& journals,
             const WireRun& run) {
  if (journals.contains(run.journal)) return true;
  const auto authority = look.snapshot->authority();
  const auto is_peers_own = [&](const AudienceId& audience, const crypto::PublicKey& key) {
    return authority->KeepsCopy(look.own, audience) && authority->MemberOfKey(key) == look.peer &&
           EverWroteAnywhere(*look.tree, look.peer, audience);
  };
  if (run.first_seq != 0) {
    const auto held = look.snapshot->Journals();
    return held && std::any_of(held->begin(), held->end(), [&](const JournalView& journal) {
             return journal.journal == run.journal && is_peers_own(journal.audience, journal.key);
           });
  }
  const auto rebuilt = RebuildRun(run);
  // Broken ones are refused further on, with the reason.
  if (!rebuilt) return true;
  const auto* open = std::get_if<OpenBody>(&rebuilt->entries.front().header.body);
  return open == nullptr || look.FindVector(open->audience) != nullptr ||
         is_peers_own(open->audience, open->key);
}

// Puts the statement of a member that was taken out on record in the audience, for all who are in
// it. Says whether it stands there; not where we may not write.
Result<bool> TakeDeletedCopy(Store& store, const Look& look, const CopyDeleted& statement) {
  const auto authority = look.snapshot->authority();
  if (!authority->KeepsCopy(look.own, statement.audience) ||
      authority->KeepsCopy(look.peer, statement.audience) ||
      authority->MemberOfKey(statement.key) != look.peer || !VerifyCopyDeleted(statement)) {
    return false;
  }
  // Of a closed audience there is no record to put it in, and nobody who would look.
  if (!authority->Reads(look.own, statement.audience)) return true;
  auto recorded = RecordDeletedCopy(store, look.peer, statement);
  if (recorded) return true;
  const ErrorCode code = recorded.error().code;
  if (code == ErrorCode::kDenied || code == ErrorCode::kConflict) return false;
  return tl::unexpected<Error>(recorded.error());
}

// The items of the journals in which we differ from the peer's vector.
VersionVector Differing(const VersionVector& ours, const VersionVector& theirs) {
  const Branches our_journals = ByJournal(ours);
  const Branches their_journals = ByJournal(theirs);
  VersionVector differing;
  for (const auto& [journal, items] : our_journals) {
    const auto their = their_journals.find(journal);
    if (their != their_journals.end() && their->second == items) continue;
    differing.insert(differing.end(), items.begin(), items.end());
  }
  for (const auto& [journal, items] : their_journals) {
    if (!our_journals.contains(journal)) differing.push_back({journal, EntryId(), 0});
  }
  std::sort(differing.begin(), differing.end());
  return differing;
}

}  // namespace

Error NotListed(const charter::Authority& authority, const crypto::PublicKey& tls_key) {
  const auto owner = authority.OwnerEver(tls_key);
  if (!owner) {
    return {ErrorCode::kDenied,
            "the charter does not list this key, so it is no member's: join with an invitation "
            "first, or wait until the joining is approved"};
  }
  if (authority.FindMember(*owner) == nullptr) {
    return {ErrorCode::kDenied,
            fmt::format("{} was taken out of the conference: what is written here reaches nobody "
                        "any more, and nothing comes; more than half of the members with a vote "
                        "could take it in again ('staffel charter admit')",
                        owner->text())};
  }
  return {ErrorCode::kDenied,
          fmt::format("the charter lists this node's key no longer: it was taken out, and what is "
                      "written there reaches nobody any more; {} goes on with a new node ('staffel "
                      "invite {} --further' at the hub)",
                      owner->text(), owner->text())};
}

Result<Responder::Reply> Responder::Answer(ByteView bytes, const crypto::PublicKey& peer,
                                           const Admission& admission) {
  STAFFEL_TRY(request, DecodeMessage(bytes));
  STAFFEL_TRY(look, LookAt(store_, peer, Digests::kLeaveOut));
  if (!HasCharter(look.tree)) {
    return Fail(ErrorCode::kUnavailable, "this node belongs to no conference yet");
  }
  if (look.own.empty()) return NoMember();
  if (look.peer.empty()) return Refused(look, peer);
  if (!request.conference || *request.conference != look.tree->conference()) {
    return Fail(ErrorCode::kInvalid, "this node belongs to another conference than the one named");
  }
  if (admission) {
    if (request.instance) STAFFEL_CHECK(admission(*request.instance));
    if (clocks_ != nullptr && request.now) {
      const auto hub = look.snapshot->authority()->Hub();
      const bool is_hub = hub && hub->replica->tls_key == peer;
      clocks_->Heard(peer, is_hub, *request.now, std::nullopt);
    }
  }

  Reply reply;
  Message answer;
  // 1. Take what came: the charter first, it says who may write the rest.
  if (!request.charter_items.empty() || !request.runs.empty()) {
    Batch charter;
    for (CharterItem& item : request.charter_items) charter.charter.push_back(std::move(item));
    if (!charter.charter.empty()) {
      STAFFEL_TRY(ingested, store_.Ingest(store_.Prepare(std::move(charter))));
      reply.charter_changed = ingested.new_charter_entries + ingested.new_signatures > 0;
    }
    if (!request.runs.empty()) {
      const auto journals = SharedJournals(look);
      ReceivedBatch batch;
      for (WireRun& run : request.runs) {
        if (MayTake(look, journals, run)) {
          if (!STAFFEL_MUTATION(kSwallowBatch)) batch.runs.push_back(std::move(run));
        } else {
          answer.problems.push_back(
              {run.journal, run.first_seq, RunProblem::Outcome::kUnknownPrev, {}});
        }
      }
      std::vector<RunResult> broken;
      STAFFEL_TRY(ingested, store_.Ingest(PrepareReceived(store_, std::move(batch), broken)));
      answer.new_entries = ingested.new_entries;
      reply.new_entries = ingested.new_entries;
      for (RunResult& result : broken) ingested.runs.push_back(std::move(result));
      for (const RunResult& result : ingested.runs) {
        if (result.outcome == RunOutcome::kUnknownPrev) {
          answer.problems.push_back(
              {result.journal, result.first_seq, RunProblem::Outcome::kUnknownPrev, {}});
        } else if (result.outcome == RunOutcome::kRefused) {
          answer.problems.push_back({result.journal, result.first_seq,
                                     RunProblem::Outcome::kRefused,
                                     result.reason ? result.reason->message : std::string()});
        }
      }
    }
    look.snapshot.reset();
    STAFFEL_TRY(after, LookAt(store_, peer, Digests::kLeaveOut));
    look = std::move(after);
    if (look.own.empty()) return NoMember();
    if (look.peer.empty()) return Refused(look, peer);
  }

  if (!request.found.empty()) {
    const auto journals = SharedJournals(look);
    std::erase_if(request.found,
                  [&](const PayloadBytes& found) { return !journals.contains(found.at.journal); });
    STAFFEL_TRY(taken, store_.TakePayloads(std::move(request.found)));
    if (taken > 0) {
      look.snapshot.reset();
      STAFFEL_TRY(after, LookAt(store_, peer, Digests::kLeaveOut));
      look = std::move(after);
    }
  }

  for (const CopyDeleted& statement : request.copies_deleted) {
    STAFFEL_TRY(taken, TakeDeletedCopy(store_, look, statement));
    if (taken) answer.copies_deleted_taken.push_back(statement.audience);
  }

  answer.charter_summary = look.charter_summary;
  answer.audiences_summary = look.audiences_summary;
  answer.missing_summary = look.missing_summary;
  const bool charter_equal = request.charter_summary == look.charter_summary;
  const bool equal = request.audiences_summary == look.audiences_summary;
  const bool missing_equal = request.missing_summary == look.missing_summary;

  // 2. The charter.
  if (!request.charter_wants.empty()) {
    std::map<EntryId, bool> wanted;
    for (const EntryId& id : request.charter_wants) wanted[id] = true;
    answer.charter_items = CharterItems(*look.tree, wanted);
  } else if (!charter_equal) {
    for (const EntryId& id : look.tree->Entries()) {
      answer.charter_lines.push_back(LineOf(*look.tree, id));
    }
  }

  // 3. Vectors and summaries.
  std::vector<Want> linear;
  for (const AudienceVector& theirs : request.vectors) {
    const AudienceVector* ours = look.FindVector(theirs.audience);
    if (ours == nullptr) continue;  // not shared, by the charter here: never heard of
    answer.vectors.push_back({theirs.audience, Differing(ours->items, theirs.items)});
    const Branches their_journals = ByJournal(theirs.items);
    for (const auto& [journal, items] : ByJournal(ours->items)) {
      if (items.size() != 1) continue;  // asked for by name, with what is held
      const auto their = their_journals.find(journal);
      if (their == their_journals.end()) {
        linear.push_back({journal, 0});
      } else if (their->second.size() == 1 && their->second != items) {
        const VectorItem& head = their->second.front();
        STAFFEL_TRY(held, look.snapshot->HasEntry(journal, head.seq, head.head));
        if (held) linear.push_back({journal, head.seq + 1});
      }
    }
  }
  if (request.vectors.empty() && request.wants.empty() && request.audiences_summary && !equal) {
    answer.summaries = look.summaries;
  }

  // 4. Entries.
  Branches journals;
  for (const AudienceVector& vector : look.vectors) {
    for (const VectorItem& item : vector.items) journals[item.journal].push_back(item);
  }
  std::vector<const WantJournal*> branched;
  std::set<JournalId> seen;
  for (const WantJournal& want : request.wants) {
    if (!journals.contains(want.journal) || !seen.insert(want.journal).second) continue;
    if (want.held.empty()) {
      linear.push_back({want.journal, want.from_seq});
    } else {
      branched.push_back(&want);
    }
  }
  Budget budget{limits_.batch_bytes_max, limits_.batch_entries_max, false};
  STAFFEL_CHECK(ReadLinear(*look.snapshot, linear, budget, answer.runs, answer.more));
  for (const WantJournal* want : branched) {
    if (answer.more) break;
    STAFFEL_TRY(runs, ReadUncovered(*look.snapshot, want->journal, journals[want->journal],
                                    want->held, want->from_seq, budget.bytes));
    if (!TakeWithin(std::move(runs), budget, answer.runs)) answer.more = true;
  }

  // 5. Payloads that are missing, where all else agrees.
  if (charter_equal && equal && !missing_equal) {
    answer.missing = MissingAfter(look.missing, request.missing_after);
    STAFFEL_TRY(done, FindPayloads(look, request.missing, budget, answer.found));
    if (done < request.missing.size()) answer.more = true;
  }

  // 6. Digests; in a stream with its end. All of them where nothing but the state differs.
  if (!answer.more) {
    STAFFEL_CHECK(ReadDigests(look));
    answer.audiences_digest = look.audiences_digest;
  }
  if (charter_equal && equal && missing_equal) {
    const bool differs = request.audiences_digest && look.audiences_digest &&
                         *request.audiences_digest != *look.audiences_digest;
    if (differs) answer.digests = look.digests;
    if (!request.digests.empty()) {
      reply.incidents = Compare(look.digests, request.digests, look.peer);
    }
  }

  reply.nothing_new = charter_equal && equal && missing_equal && request.runs.empty() &&
                      request.missing.empty() && request.found.empty() &&
                      request.copies_deleted.empty() && request.charter_items.empty() &&
                      request.charter_wants.empty() && request.vectors.empty() &&
                      request.wants.empty() && request.digests.empty() && answer.digests.empty();
  reply.wait_ms = request.wait_ms;
  if (clocks_ != nullptr) {
    answer.now = clocks_->OwnNow();
    answer.majority = clocks_->Majority();
  }
  if (equal) {
    reply.peer_holds = std::move(look.vectors);
  } else {
    for (AudienceVector& theirs : request.vectors) {
      if (look.FindVector(theirs.audience) != nullptr) {
        reply.peer_holds.push_back(std::move(theirs));
      }
    }
  }
  look.snapshot.reset();
  reply.bytes = EncodeMessage(std::move(answer));
  return reply;
}

}  // namespace staffel::sync
