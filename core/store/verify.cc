// SPDX-License-Identifier: EUPL-1.2
// Recomputes everything that follows from the journal and compares it with what is stored.
#include <algorithm>

#include "core/crypto/hash.h"
#include "core/store/blobs.h"
#include "core/store/erasure_index.h"
#include "core/store/receipt_reader.h"
#include "core/store/store_impl.h"

namespace staffel {
namespace {

constexpr std::size_t kProblemsMax = 100;
constexpr std::uint64_t kProgressEvery = 1000;

class Verifier {
 public:
  Verifier(ReadConnection& connection, const Published& published,
           const std::function<bool(std::uint64_t, std::uint64_t)>& progress)
      : database_(connection.database),
        reader_(connection.reader),
        published_(published),
        progress_(progress) {}

  Result<VerifyReport> Run() {
    STAFFEL_TRY(damage, database_.QuickCheck());
    if (damage) Problem("the file is damaged: {}", *damage);
    STAFFEL_TRY(entries, database_.QueryInt("SELECT COUNT(*) FROM entry"));
    STAFFEL_TRY(records, database_.QueryInt("SELECT COUNT(*) FROM record"));
    all_ = static_cast<std::uint64_t>(entries + records);
    STAFFEL_CHECK(CheckJournals());
    STAFFEL_CHECK(CheckErasures());
    STAFFEL_CHECK(CheckDisclosures());
    STAFFEL_CHECK(CheckRecords());
    STAFFEL_CHECK(CheckDigests());
    STAFFEL_CHECK(CheckReceipts());
    STAFFEL_CHECK(CheckAttachments());
    if (problems_left_out_ > 0)
      report_.problems.push_back(fmt::format("… and {} more", problems_left_out_));
    return std::move(report_);
  }

 private:
  template <typename... Args>
  void Problem(fmt::format_string<Args...> format, Args&&... args) {
    if (report_.problems.size() >= kProblemsMax) {
      ++problems_left_out_;
      return;
    }
    report_.problems.push_back(fmt::format(format, std::forward<Args>(args)...));
  }

  Status Advance() {
    ++done_;
    if (progress_ && done_ % kProgressEvery == 0 && !progress_(done_, all_)) {
      return Fail(ErrorCode::kUnavailable,
                  "checking was stopped after {} of {} entries and records", done_, all_);
    }
    return {};
  }

  // Hashes, links, payloads, signatures: journal by journal, by seq.
  Status CheckJournals() {
    for (const auto& [number, journal] : published_.journals->by_number) {
      STAFFEL_TRY(statement,
                  database_.Prepare("SELECT seq, id, header, payloads, signature, reason FROM "
                                    "entry WHERE journal = ? ORDER BY seq, fork"));
      statement.Bind(1, number);
      std::unordered_map<EntryId, std::uint64_t>
          last;  // entries of the seq before, and of this one
      std::unordered_map<EntryId, std::uint64_t> before;
      std::uint64_t seq = 0;
      std::map<EntryId, bool> ends;  // and whether it is signed: nothing after it vouches for it
      for (;;) {
        STAFFEL_TRY(row, statement.Step());
        if (!row) break;
        STAFFEL_CHECK(Advance());
        ++report_.entries;
        const std::string place =
            fmt::format("entry {} of journal {} ({})", statement.Int(0),
                        journal.id.Hex().substr(0, 12), journal.verdict.member.text());
        auto entry = MakeEntry(Bytes(statement.Blob(2)));
        if (!entry) {
          Problem("{}: {}", place, entry.error().message);
          continue;
        }
        if (entry->id.bytes() != statement.Blob(1))
          Problem("{}: its bytes do not have its hash", place);
        const auto* disclosure = std::get_if<DisclosureBody>(&entry->header.body);
        if (disclosure != nullptr && !entry->header.opaque) {
          for (const auto& item : disclosure->items) {
            disclosed_[{journal.audience_number, charter::HashHidden(item)}] = item.content;
          }
        }
        if (!statement.IsNull(3)) {
          auto payloads = UnpackPayloads(statement.Blob(3));
          if (payloads) entry->payloads = std::move(*payloads);
        }
        const Status payloads = CheckPayloads(*entry);
        if (!payloads) Problem("{}: {}", place, payloads.error().message);
        if (entry->header.seq != seq) {
          if (entry->header.seq != seq + 1) Problem("{}: entries before it are missing", place);
          before = std::move(last);
          last.clear();
          seq = entry->header.seq;
        }
        if (seq > 0 && !before.contains(entry->header.prev))
          Problem("{}: its predecessor is missing", place);
        last[entry->id] = seq;
        ends.erase(entry->header.prev);
        ends[entry->id] = !statement.IsNull(4);
        if (!statement.IsNull(4)) {
          ++report_.signatures;
          if (!crypto::Verify(journal.open.key, crypto::kTagSign, entry->id.bytes(),
                              statement.Blob(4)))
            Problem("{}: its signature does not verify", place);
        }
        const auto stored = static_cast<charter::Reason>(statement.Int(5));
        // A cut depends on what else is held: only the plain verdicts are compared here.
        if (!journal.verdict.cut && published_.authority) {
          const auto judged = journal.opaque ? charter::Reason::kNewerFormat
                                             : charter::JudgeHeader(journal.verdict, entry->header);
          if (judged != stored)
            Problem("{}: stored as '{}', judged '{}'", place, charter::ReasonSentence(stored),
                    charter::ReasonSentence(judged));
        }
      }
      std::set<EntryId> branches;
      STAFFEL_TRY(stored_branches, reader_.Get("SELECT entry FROM branch WHERE journal = ?"));
      stored_branches->Bind(1, number);
      const sqlite::StatementScope scope(*stored_branches);
      for (;;) {
        STAFFEL_TRY(row, stored_branches->Step());
        if (!row) break;
        branches.insert(*EntryId::From(stored_branches->Blob(0)));
      }
      std::set<EntryId> last_entries;
      for (const auto& [end, is_signed] : ends) {
        last_entries.insert(end);
        if (!is_signed)
          Problem("journal {}: nobody has signed its last entry", journal.id.Hex().substr(0, 12));
      }
      if (branches != last_entries)
        Problem("journal {}: its stored heads are not its last entries",
                journal.id.Hex().substr(0, 12));
    }
    return {};
  }

  // Each absent payload is listed, with the reason that the erasures give; none is here that must
  // not be.
  Status CheckErasures() {
    const JournalMap& journals = *published_.journals;
    STAFFEL_TRY(index,
                ErasureIndex::Load(reader_, journals, published_.tree.get(), published_.authority));
    std::map<std::pair<std::uint64_t, std::size_t>, std::pair<Absence, bool>> absent;
    {
      STAFFEL_TRY(statement,
                  database_.Prepare("SELECT arrival, part, why, bytes IS NOT NULL FROM absent"));
      for (;;) {
        STAFFEL_TRY(row, statement.Step());
        if (!row) break;
        absent[{static_cast<std::uint64_t>(statement.Int(0)),
                static_cast<std::size_t>(statement.Int(1))}] = {
            static_cast<Absence>(statement.Int(2)), statement.Int(3) != 0};
      }
    }
    STAFFEL_TRY(last, database_.QueryInt("SELECT IFNULL(MAX(arrival), 0) FROM entry"));
    for (std::int64_t arrival = 1; arrival <= last; ++arrival) {
      auto row = reader_.GetEntry(static_cast<std::uint64_t>(arrival));
      if (!row || row->entry.payloads.empty()) continue;  // unreadable: reported above
      STAFFEL_TRY(words, WordsOn(reader_, journals, index, journals.Get(row->journal), row->entry));
      words.resize(row->entry.payloads.size(), ErasureIndex::Word::kNone);
      for (std::size_t part = 0; part < words.size(); ++part) {
        const auto listed = absent.find({row->arrival, part});
        const bool erased = words[part] == ErasureIndex::Word::kInEffect;
        const bool hidden = words[part] == ErasureIndex::Word::kUndecided;
        if (row->entry.payloads[part]) {
          if (erased || hidden) Problem("entry {}: a payload is here that was erased", arrival);
        } else if (listed == absent.end()) {
          Problem("entry {}: a payload is gone, and nothing says why", arrival);
        } else if (listed->second.first != (erased   ? Absence::kErased
                                            : hidden ? Absence::kHidden
                                                     : Absence::kMissing)) {
          Problem("entry {}: a payload is gone for another reason than what is stored", arrival);
        } else if (erased && listed->second.second) {
          Problem("entry {}: bytes of an erased payload are kept aside", arrival);
        }
        if (!row->entry.payloads[part] && listed != absent.end()) absent.erase(listed);
      }
    }
    for (const auto& [key, why] : absent)
      Problem("entry {}: a payload is listed as gone and is here", key.first);
    return {};
  }

  // What entries disclose is what stands in the table: hidden cuts are judged by it.
  Status CheckDisclosures() {
    STAFFEL_TRY(statement, database_.Prepare("SELECT audience, hidden, content FROM disclosed"));
    std::size_t rows = 0;
    for (;;) {
      STAFFEL_TRY(row, statement.Step());
      if (!row) break;
      ++rows;
      const auto found =
          disclosed_.find({statement.Int(0), Hash::From(statement.Blob(1)).value_or(Hash())});
      if (found == disclosed_.end() || found->second != statement.Blob(2)) {
        Problem("a stored disclosure of hidden cuts is in no entry");
      }
    }
    if (rows < disclosed_.size()) {
      Problem("{} disclosures of hidden cuts are missing", disclosed_.size() - rows);
    }
    return {};
  }

  // Fold and projection, from all entries that touch a record.
  Status CheckRecords() {
    const JournalMap& journals = *published_.journals;
    // Touches by record as the journal has them, not as the index says.
    std::map<std::tuple<std::int64_t, std::uint32_t, RecordId>, std::vector<std::uint64_t>> touched;
    {
      STAFFEL_TRY(
          statement,
          database_.Prepare(
              "SELECT arrival, journal, header FROM entry WHERE reason != ? ORDER BY arrival"));
      statement.Bind(1, static_cast<std::int64_t>(charter::Reason::kNewerFormat));
      for (;;) {
        STAFFEL_TRY(row, statement.Step());
        if (!row) break;
        const auto header = ParseHeader(statement.Blob(2));
        if (!header) continue;  // reported above
        const auto* write = std::get_if<WriteBody>(&header->body);
        if (write == nullptr) continue;
        for (const RecordPart& part : write->records) {
          auto& arrivals =
              touched[{journals.Get(statement.Int(1)).audience_number, part.kind, part.record}];
          const auto arrival = static_cast<std::uint64_t>(statement.Int(0));
          if (arrivals.empty() || arrivals.back() != arrival) arrivals.push_back(arrival);
        }
      }
    }
    for (const auto& [key, arrivals] : touched) {
      STAFFEL_CHECK(Advance());
      ++report_.records;
      const auto& [audience, kind, id] = key;
      STAFFEL_TRY(found, reader_.FindRecord(audience, kind, id));
      if (!found) {
        Problem("record {}: missing, though {} entries touch it", id.Hex(), arrivals.size());
        continue;
      }
      STAFFEL_TRY(listed, reader_.Touches(*found));
      if (listed != arrivals)
        Problem("record {}: its list of entries is not what the journal says", id.Hex());
      std::vector<fold::Touch> touches;
      std::unordered_map<EntryId, bool> erased;
      for (std::uint64_t arrival : arrivals) {
        STAFFEL_TRY(touch, reader_.GetTouch(arrival, kind, id));
        erased[touch.row.entry.id] = touch.erased;
        touches.push_back(touch.ToTouch(journals.Get(touch.row.journal)));
      }
      const fold::RecordHeads heads = fold::FoldRecord(touches);
      STAFFEL_TRY(state, reader_.StateOf(*found));
      if (state.ToHeads() != heads)
        Problem("record {}: its stored heads are not what its entries give", id.Hex());
      LeafBuilder leaf(journals.AudienceOf(audience), kind, id);
      for (const auto& cell : heads) {
        leaf.BeginCell(cell.cell, cell.heads.size());
        for (const EntryId& head : cell.heads) leaf.AddHead(head, erased.at(head));
      }
      AddTo(sums_[{audience, BucketOf(id)}], leaf.Finish());
      if (!found->state) continue;
      STAFFEL_TRY(values, LoadState(reader_, journals, *found, state));
      if (values.cells.empty()) continue;
      const RecordHistory history(reader_, journals, *found);
      const auto projected = projection::Project(values, history);
      STAFFEL_CHECK(history.status());
      if (projected.row != found->row || projected.conflicts.size() != found->conflicts) {
        Problem("record {}: its stored row is not what its heads give", id.Hex());
      }
    }
    return {};
  }

  Status CheckDigests() {
    STAFFEL_TRY(statement, database_.Prepare("SELECT audience, bucket, sum FROM digest"));
    for (;;) {
      STAFFEL_TRY(row, statement.Step());
      if (!row) break;
      const auto key = std::pair(statement.Int(0), static_cast<std::size_t>(statement.Int(1)));
      const Hash stored = Hash::From(statement.Blob(2)).value_or(Hash());
      if (sums_[key] != stored)
        Problem("the digest of bucket {} is not the sum of its records", key.second);
      sums_.erase(key);
    }
    for (const auto& [key, sum] : sums_) {
      if (!sum.is_zero()) Problem("the digest of bucket {} is missing", key.second);
    }
    return {};
  }

  // Attachments: each piece against its hash, each whole against its list.
  Status CheckAttachments() {
    std::unordered_map<std::int64_t, Hash> chunks;
    STAFFEL_TRY(pieces, database_.Prepare("SELECT number, hash, bytes FROM chunk"));
    for (;;) {
      STAFFEL_TRY(row, pieces.Step());
      if (!row) break;
      const Hash hash = crypto::Sha256(pieces.Blob(2));
      if (hash.bytes() != pieces.Blob(1)) {
        Problem("piece {} of an attachment: its bytes do not have its hash", pieces.Int(0));
      }
      chunks[pieces.Int(0)] = hash;
    }
    STAFFEL_TRY(blobs, database_.Prepare("SELECT number, id, size_bytes, chunks, have, sha256 FROM "
                                         "blob WHERE audience != 0"));
    STAFFEL_TRY(links, database_.Prepare("SELECT place, chunk FROM blob_chunk WHERE blob = ?"));
    for (;;) {
      STAFFEL_TRY(row, blobs.Step());
      if (!row) break;
      const auto id = BlobId::From(blobs.Blob(1)).value_or(BlobId());
      const ByteView list = blobs.Blob(3);
      bool good = BlobIdOf(static_cast<std::uint64_t>(blobs.Int(2)), list) == id;
      std::int64_t have = 0;
      links.Bind(1, blobs.Int(0));
      for (;;) {
        STAFFEL_TRY(link, links.Step());
        if (!link) break;
        ++have;
        const auto at = static_cast<std::size_t>(links.Int(0)) * Hash::kBytes;
        good = good && at < list.size() && chunks.contains(links.Int(1)) &&
               chunks.at(links.Int(1)).bytes() == list.substr(at, Hash::kBytes);
      }
      const bool whole = static_cast<std::size_t>(have) * Hash::kBytes == list.size();
      if (!good || have != blobs.Int(4) || (!blobs.IsNull(5) && !whole)) {
        Problem("attachment {}: what is stored of it is not what its id says", id.Hex());
      }
    }
    return {};
  }

  // Receipts: what the chair's lanes say, against what has been made of it.
  Status CheckReceipts() {
    struct Line {
      std::uint64_t receipt = 0;
      Reception reception;
      bool valid = false;
    };
    std::map<JournalId, std::map<EntryId, std::vector<Line>>> named;
    std::map<std::uint64_t, std::int64_t> times;
    for (const auto& [number, journal] : published_.journals->by_number) {
      const Lane& lane = journal.open.lane;
      if (lane.term == 0 || lane.purpose != Purpose::kActs) continue;
      STAFFEL_TRY(statement,
                  database_.Prepare("SELECT id, arrival, reason, header FROM entry WHERE journal = "
                                    "? ORDER BY seq, fork"));
      statement.Bind(1, number);
      std::unordered_map<EntryId, TimeMs> greatest;
      for (;;) {
        STAFFEL_TRY(row, statement.Step());
        if (!row) break;
        const auto id = EntryId::From(statement.Blob(0));
        const auto header = ParseHeader(statement.Blob(3));
        if (!id || !header) continue;  // reported above
        const TimeMs time = std::max(header->time, greatest[header->prev]);
        greatest[*id] = time;
        const auto* receipt = std::get_if<ReceiptBody>(&header->body);
        if (receipt == nullptr) continue;
        const auto arrival = static_cast<std::uint64_t>(statement.Int(1));
        const std::int64_t stored_time = StoredTime(time);
        times[arrival] = stored_time;
        for (const auto& line : receipt->lines) {
          const JournalInfo* of = published_.journals->Find(line.journal);
          if (of != nullptr && of->audience_number != journal.audience_number) continue;
          named[line.journal][line.entry].push_back(
              {arrival,
               {std::min(lane.term, kSeqMax), TimeMs{static_cast<std::uint64_t>(stored_time)}, *id},
               statement.Int(2) == 0});
        }
      }
    }
    // (journal, seq, receipt, named) → counts
    std::map<std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t>, std::int64_t> made;
    for (const auto& [id, entries] : named) {
      const JournalInfo* journal = published_.journals->Find(id);
      if (journal == nullptr) continue;
      std::map<std::int64_t, std::vector<std::pair<std::int64_t, Line>>, std::greater<>> by_seq;
      STAFFEL_TRY(statement,
                  database_.Prepare("SELECT id, seq, arrival FROM entry WHERE journal = ?"));
      statement.Bind(1, journal->number);
      for (;;) {
        STAFFEL_TRY(row, statement.Step());
        if (!row) break;
        const auto found = entries.find(EntryId::From(statement.Blob(0)).value_or(EntryId()));
        if (found == entries.end()) continue;
        for (const Line& line : found->second) {
          by_seq[statement.Int(1)].emplace_back(statement.Int(2), line);
        }
      }
      std::optional<Reception> least;
      for (auto& [seq, lines] : by_seq) {
        std::sort(lines.begin(), lines.end(), [](const auto& a, const auto& b) {
          return a.second.reception < b.second.reception;
        });
        for (const auto& [arrival, line] : lines) {
          const bool outdone = journal->branches.size() <= 1 && least && *least <= line.reception;
          const bool once = made.try_emplace({journal->number, seq,
                                              static_cast<std::int64_t>(line.receipt), arrival},
                                             !line.valid ? 0
                                             : outdone   ? 2
                                                         : 1)
                                .second;
          if (!once) continue;  // a receipt may name an entry twice
          if (line.valid && !outdone) least = line.reception;
        }
      }
    }
    STAFFEL_TRY(stored,
                database_.Prepare("SELECT journal, seq, receipt, named, counts FROM received"));
    for (;;) {
      STAFFEL_TRY(row, stored.Step());
      if (!row) break;
      const auto key = std::tuple(stored.Int(0), stored.Int(1), stored.Int(2), stored.Int(3));
      const auto found = made.find(key);
      if (found == made.end() || found->second != stored.Int(4)) {
        Problem("what is received of journal {} is not what the receipts say",
                published_.journals->Get(stored.Int(0)).id.Hex().substr(0, 12));
      }
      if (found != made.end()) made.erase(found);
    }
    for (const auto& [key, counts] : made) {
      Problem("a receipt's word on journal {} is missing",
              published_.journals->Get(std::get<0>(key)).id.Hex().substr(0, 12));
    }
    STAFFEL_TRY(receipts, database_.Prepare("SELECT arrival, time_ms FROM receipt"));
    for (;;) {
      STAFFEL_TRY(row, receipts.Step());
      if (!row) break;
      const auto found = times.find(static_cast<std::uint64_t>(receipts.Int(0)));
      if (found == times.end() || found->second != receipts.Int(1)) {
        Problem("the time of the receipt at {} is not what its journal says", receipts.Int(0));
      }
      if (found != times.end()) times.erase(found);
    }
    for (const auto& [arrival, time] : times) Problem("the receipt at {} is missing", arrival);
    return {};
  }

  sqlite::Database& database_;
  TableReader& reader_;
  const Published& published_;
  const std::function<bool(std::uint64_t, std::uint64_t)>& progress_;
  VerifyReport report_;
  std::map<std::pair<std::int64_t, std::size_t>, Hash> sums_;
  std::map<std::pair<std::int64_t, Hash>, Bytes> disclosed_;
  std::uint64_t done_ = 0;
  std::uint64_t all_ = 0;
  std::size_t problems_left_out_ = 0;
};

}  // namespace

Result<VerifyReport> Store::Verify(
    const std::function<bool(std::uint64_t, std::uint64_t)>& progress) {
  STAFFEL_TRY(snapshot, Read());
  return Verifier(*snapshot.state_->connection, *snapshot.state_->published, progress).Run();
}

}  // namespace staffel
