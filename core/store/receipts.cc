// SPDX-License-Identifier: EUPL-1.2
// The writer's part of receipts: booking those that come, writing our own.
#include "core/store/receipts.h"

#include <algorithm>
#include <map>

#include "core/charter/chair.h"
#include "core/store/receipt_reader.h"
#include "core/store/store_impl.h"
#include "core/store/writer.h"

namespace staffel {
namespace {

// Entries whose places are remembered, in all; beyond, the memory is begun anew.
constexpr std::size_t kPlacesMax = 200'000;

constexpr std::int64_t kVoid = 0;
constexpr std::int64_t kCounts = 1;
constexpr std::int64_t kOutdone = 2;

// One line as it is booked.
struct Line {
  std::uint64_t seq = 0;
  std::uint64_t receipt = 0;  // arrival
  std::uint64_t named = 0;    // arrival
  Reception reception;
};

Status SetCounts(TableReader& reader, const JournalInfo& journal, const Line& line,
                 std::int64_t counts) {
  STAFFEL_TRY(update, reader.Get("UPDATE received SET counts = ? WHERE journal = ? AND seq = ? AND "
                                 "receipt = ? AND named = ?"));
  update->Bind(1, counts);
  update->Bind(2, journal.number);
  update->Bind(3, static_cast<std::int64_t>(line.seq));
  update->Bind(4, static_cast<std::int64_t>(line.receipt));
  update->Bind(5, static_cast<std::int64_t>(line.named));
  return update->Run();
}

// Reads seq, receipt, named, term, time, receipt's id from columns 0 to 5.
Line ReadLine(const sqlite::Statement& statement) {
  Line line;
  line.seq = static_cast<std::uint64_t>(statement.Int(0));
  line.receipt = static_cast<std::uint64_t>(statement.Int(1));
  line.named = static_cast<std::uint64_t>(statement.Int(2));
  line.reception = {static_cast<std::uint64_t>(statement.Int(3)),
                    TimeMs{static_cast<std::uint64_t>(statement.Int(4))},
                    EntryId::From(statement.Blob(5)).value_or(EntryId())};
  return line;
}

}  // namespace

// ---------------------------------------------------------------------------------------------
// Branches

JournalInfo::Branch Writer::Longer(const JournalInfo& journal, const JournalInfo::Branch& before,
                                   const Entry& entry, std::uint64_t arrival) {
  JournalInfo::Branch branch;
  branch.entry = entry.id;
  branch.seq = entry.header.seq;
  branch.arrival = arrival;
  branch.greatest = std::max(before.greatest, entry.header.time);
  branch.last_act =
      NeedsReceipt(journal.open.lane, entry.header) ? entry.header.seq : before.last_act;
  return branch;
}

Result<JournalInfo::Branch> Writer::BranchAt(const JournalInfo& journal, const EntryId& entry) {
  JournalInfo::Branch branch;
  branch.entry = entry;
  // A member that forks on and on must not make us read its journal each time.
  if (journal.open.lane.term == 0) return branch;
  STAFFEL_TRY(chain, JournalChain::Load(reader_, journal));
  for (auto at = chain.links.find(entry); at != chain.links.end();
       at = chain.links.find(at->second.prev)) {
    branch.seq = std::max(branch.seq, at->second.seq);
    branch.greatest = std::max(branch.greatest, at->second.time);
    if (at->second.act) branch.last_act = std::max(branch.last_act, at->second.seq);
  }
  return branch;
}

// ---------------------------------------------------------------------------------------------
// Booking

Status Writer::FindNamed(const JournalInfo& journal,
                         std::map<EntryId, std::optional<WriterCache::Place>>& wanted) {
  // No index of the file knows an entry by its id alone. A receipt mostly names a head; else what
  // has come since the last one that was named; what is left is looked for in all of the journal.
  std::size_t left = wanted.size();
  const auto note = [&](const EntryId& id, const WriterCache::Place& place) {
    const auto at = wanted.find(id);
    if (at == wanted.end() || at->second) return;
    at->second = place;
    --left;
  };
  for (const auto& branch : journal.branches) note(branch.entry, {branch.seq, branch.arrival});
  const auto scan = [&](std::uint64_t from, const auto& take) -> Status {
    STAFFEL_TRY(statement, reader_.Get("SELECT id, seq, arrival FROM entry WHERE journal = ? AND "
                                       "seq >= ? ORDER BY seq"));
    statement->Bind(1, journal.number);
    statement->Bind(2, static_cast<std::int64_t>(from));
    const sqlite::StatementScope scope(*statement);
    while (left > 0) {
      STAFFEL_TRY(row, statement->Step());
      if (!row) break;
      const auto id = EntryId::From(statement->Blob(0));
      if (!id) continue;
      take(*id, WriterCache::Place{static_cast<std::uint64_t>(statement->Int(1)),
                                   static_cast<std::uint64_t>(statement->Int(2))});
    }
    return {};
  };
  if (left == 0) return {};
  auto places = cache_.places.find(journal.number);
  if (places == cache_.places.end()) {
    std::uint64_t known = 0;
    {
      STAFFEL_TRY(statement, reader_.Get("SELECT MAX(seq) FROM received WHERE journal = ?"));
      statement->Bind(1, journal.number);
      const sqlite::StatementScope scope(*statement);
      STAFFEL_TRY(row, statement->Step());
      if (row) known = static_cast<std::uint64_t>(statement->Int(0));
    }
    STAFFEL_CHECK(scan(known + 1, note));
    if (left == 0) return {};
    std::size_t size = 0;
    for (const auto& [number, of] : cache_.places) size += of.size();
    if (size > kPlacesMax) cache_.places.clear();
    std::unordered_map<EntryId, WriterCache::Place> all;
    STAFFEL_CHECK(
        scan(0, [&](const EntryId& id, const WriterCache::Place& place) { all[id] = place; }));
    places = cache_.places.emplace(journal.number, std::move(all)).first;
  }
  for (auto& [id, place] : wanted) {
    if (place) continue;
    const auto at = places->second.find(id);
    if (at != places->second.end()) place = at->second;
  }
  return {};
}

Status Writer::TakeReceipt(const JournalInfo& journal, const EntryRow& row) {
  const auto* receipt = std::get_if<ReceiptBody>(&row.entry.header.body);
  const Lane& lane = journal.open.lane;
  // In another lane it is nobody's word.
  if (receipt == nullptr || lane.term == 0 || lane.purpose != Purpose::kActs) return {};
  const auto branch = std::find_if(journal.branches.begin(), journal.branches.end(),
                                   [&](const auto& one) { return one.entry == row.entry.id; });
  STAFFEL_ASSERT(branch != journal.branches.end());
  STAFFEL_TRY(insert, reader_.Get("INSERT INTO receipt (arrival, audience, term, time_ms) "
                                  "VALUES (?, ?, ?, ?)"));
  insert->Bind(1, static_cast<std::int64_t>(row.arrival));
  insert->Bind(2, journal.audience_number);
  insert->Bind(3, static_cast<std::int64_t>(std::min(lane.term, kSeqMax)));
  insert->Bind(4, StoredTime(branch->greatest));
  STAFFEL_CHECK(insert->Run());
  std::map<JournalId, std::map<EntryId, std::optional<WriterCache::Place>>> named;
  for (const auto& line : receipt->lines) named[line.journal].emplace(line.entry, std::nullopt);
  for (auto& [id, entries] : named) {
    const JournalInfo* of = cache_.journals.Find(id);
    if (of != nullptr) {
      // All that an entry names is of its own audience: the rest says nothing.
      if (of->audience_number != journal.audience_number) continue;
      STAFFEL_CHECK(FindNamed(*of, entries));
    }
    for (const auto& [entry, place] : entries) {
      if (place) {
        STAFFEL_CHECK(PutReceived(*of, place->seq, place->arrival, row.arrival));
        continue;
      }
      STAFFEL_TRY(missing, reader_.Get("INSERT OR IGNORE INTO receipt_missing (entry, journal, "
                                       "receipt) VALUES (?, ?, ?)"));
      missing->BindBlob(1, entry.bytes());
      missing->BindBlob(2, id.bytes());
      missing->Bind(3, static_cast<std::int64_t>(row.arrival));
      STAFFEL_CHECK(missing->Run());
      cache_.any_receipt_missing = true;
    }
  }
  return {};
}

Status Writer::TakeReceiptMissing(const JournalInfo& journal, const Entry& entry,
                                  std::uint64_t arrival) {
  const auto places = cache_.places.find(journal.number);
  if (places != cache_.places.end()) places->second[entry.id] = {entry.header.seq, arrival};
  if (!cache_.any_receipt_missing) return {};
  std::vector<std::uint64_t> receipts;
  {
    STAFFEL_TRY(statement, reader_.Get("SELECT m.receipt, r.audience FROM receipt_missing m JOIN "
                                       "receipt r ON r.arrival = m.receipt "
                                       "WHERE m.entry = ? AND m.journal = ?"));
    statement->BindBlob(1, entry.id.bytes());
    statement->BindBlob(2, journal.id.bytes());
    const sqlite::StatementScope scope(*statement);
    for (;;) {
      STAFFEL_TRY(row, statement->Step());
      if (!row) break;
      if (statement->Int(1) != journal.audience_number) continue;
      receipts.push_back(static_cast<std::uint64_t>(statement->Int(0)));
    }
  }
  if (receipts.empty()) return {};
  STAFFEL_TRY(remove, reader_.Get("DELETE FROM receipt_missing WHERE entry = ? AND journal = ?"));
  remove->BindBlob(1, entry.id.bytes());
  remove->BindBlob(2, journal.id.bytes());
  STAFFEL_CHECK(remove->Run());
  for (const std::uint64_t receipt : receipts) {
    STAFFEL_CHECK(PutReceived(journal, entry.header.seq, arrival, receipt));
  }
  return {};
}

Status Writer::PutReceived(const JournalInfo& journal, std::uint64_t seq, std::uint64_t named,
                           std::uint64_t receipt) {
  Line line{seq, receipt, named, {}};
  std::int64_t counts = kVoid;
  {
    STAFFEL_TRY(statement,
                reader_.Get("SELECT r.term, r.time_ms, e.id, e.reason FROM receipt r "
                            "JOIN entry e ON e.arrival = r.arrival WHERE r.arrival = ?"));
    statement->Bind(1, static_cast<std::int64_t>(receipt));
    const sqlite::StatementScope scope(*statement);
    STAFFEL_TRY(row, statement->Step());
    if (!row) return Fail(ErrorCode::kCorrupt, "a receipt is missing: run 'staffel verify'");
    line.reception = {static_cast<std::uint64_t>(statement->Int(0)),
                      TimeMs{static_cast<std::uint64_t>(statement->Int(1))},
                      EntryId::From(statement->Blob(2)).value_or(EntryId())};
    if (statement->Int(3) == 0) counts = kCounts;
  }
  std::vector<Line> outdone;
  if (counts == kCounts && journal.branches.size() <= 1) {
    // Of the lines that count, seqs and receptions rise together: what stands behind this one and
    // comes before it makes it needless, and it makes needless what stands before and comes after.
    STAFFEL_TRY(behind, reader_.Get("SELECT d.seq, d.receipt, d.named, r.term, r.time_ms, e.id "
                                    "FROM received d JOIN receipt r ON r.arrival = d.receipt "
                                    "JOIN entry e ON e.arrival = d.receipt "
                                    "WHERE d.journal = ?1 AND d.seq >= ?2 AND d.counts = 1 "
                                    "ORDER BY d.seq LIMIT 1"));
    behind->Bind(1, journal.number);
    behind->Bind(2, static_cast<std::int64_t>(seq));
    {
      const sqlite::StatementScope scope(*behind);
      STAFFEL_TRY(row, behind->Step());
      if (row && ReadLine(*behind).reception <= line.reception) counts = kOutdone;
    }
    if (counts == kCounts) {
      STAFFEL_TRY(before, reader_.Get("SELECT d.seq, d.receipt, d.named, r.term, r.time_ms, e.id "
                                      "FROM received d JOIN receipt r ON r.arrival = d.receipt "
                                      "JOIN entry e ON e.arrival = d.receipt "
                                      "WHERE d.journal = ?1 AND d.seq <= ?2 AND d.counts = 1 "
                                      "ORDER BY d.seq DESC"));
      before->Bind(1, journal.number);
      before->Bind(2, static_cast<std::int64_t>(seq));
      const sqlite::StatementScope scope(*before);
      for (;;) {
        STAFFEL_TRY(row, before->Step());
        if (!row) break;
        const Line other = ReadLine(*before);
        if (other.reception < line.reception) break;
        outdone.push_back(other);
      }
    }
  }
  for (const Line& other : outdone) {
    STAFFEL_CHECK(SetCounts(reader_, journal, other, kOutdone));
  }
  STAFFEL_TRY(insert, reader_.Get("INSERT OR REPLACE INTO received (journal, seq, receipt, named, "
                                  "counts) VALUES (?, ?, ?, ?, ?)"));
  insert->Bind(1, journal.number);
  insert->Bind(2, static_cast<std::int64_t>(seq));
  insert->Bind(3, static_cast<std::int64_t>(receipt));
  insert->Bind(4, static_cast<std::int64_t>(named));
  insert->Bind(5, counts);
  return insert->Run();
}

Status Writer::SettleReceived(const JournalInfo& journal) {
  std::vector<std::pair<Line, std::int64_t>> lines;  // with what is stored
  std::vector<bool> valid;
  {
    STAFFEL_TRY(statement,
                reader_.Get("SELECT d.seq, d.receipt, d.named, r.term, r.time_ms, e.id, e.reason, "
                            "d.counts FROM received d JOIN receipt r ON r.arrival = d.receipt "
                            "JOIN entry e ON e.arrival = d.receipt WHERE d.journal = ?"));
    statement->Bind(1, journal.number);
    const sqlite::StatementScope scope(*statement);
    for (;;) {
      STAFFEL_TRY(row, statement->Step());
      if (!row) break;
      lines.emplace_back(ReadLine(*statement), statement->Int(7));
      valid.push_back(statement->Int(6) == 0);
    }
  }
  std::vector<std::size_t> order(lines.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const Line& x = lines[a].first;
    const Line& y = lines[b].first;
    return x.seq != y.seq ? x.seq > y.seq : x.reception < y.reception;
  });
  std::optional<Reception> least;
  const bool forked = journal.branches.size() > 1;
  for (const std::size_t at : order) {
    const auto& [line, stored] = lines[at];
    std::int64_t counts = kVoid;
    if (valid[at]) {
      counts = !forked && least && *least <= line.reception ? kOutdone : kCounts;
      if (!least || line.reception < *least) least = line.reception;
    }
    if (counts != stored) STAFFEL_CHECK(SetCounts(reader_, journal, line, counts));
  }
  return {};
}

Status Writer::ReceiptsRejudged(const std::vector<std::uint64_t>& receipts) {
  if (!receipts.empty()) cache_.received_forks.clear();
  std::set<std::int64_t> journals;
  for (const std::uint64_t receipt : receipts) {
    STAFFEL_TRY(statement, reader_.Get("SELECT DISTINCT journal FROM received WHERE receipt = ?"));
    statement->Bind(1, static_cast<std::int64_t>(receipt));
    const sqlite::StatementScope scope(*statement);
    for (;;) {
      STAFFEL_TRY(row, statement->Step());
      if (!row) break;
      journals.insert(statement->Int(0));
    }
  }
  for (const std::int64_t journal : journals) {
    STAFFEL_CHECK(SettleReceived(cache_.journals.Get(journal)));
  }
  return {};
}

// ---------------------------------------------------------------------------------------------
// Writing

Status Writer::CheckChair() const {
  const auto standing = charter::StandingOf(*cache_.tree, key_.public_key(), clock_.Now());
  if (!standing.acts()) {
    // Not the chair: never. Tied, signed away or not begun: not now.
    return Fail(standing.state == charter::ChairStanding::State::kNotTheChair
                    ? ErrorCode::kDenied
                    : ErrorCode::kUnavailable,
                "{}", standing.sentence);
  }
  if (cache_.tree->InForce().newer) {
    return Fail(ErrorCode::kUnsupported,
                "the charter has gone on in a newer version: upgrade this node before it acts as "
                "the chair");
  }
  return CheckMayAct({cache_.authority->current_term().number, Purpose::kActs});
}

Result<std::vector<ReceiptBody::Line>> Writer::LinesDue(
    std::int64_t audience, const std::vector<HeldElsewhere>& held_elsewhere) {
  std::vector<const JournalInfo*> journals;
  for (const auto& [number, journal] : cache_.journals.by_number) {
    if (journal.audience_number == audience) journals.push_back(&journal);
  }
  // Not in the map's order: the same set of entries gives the same receipt.
  std::sort(journals.begin(), journals.end(),
            [](const JournalInfo* a, const JournalInfo* b) { return a->number < b->number; });
  ReceiptReader receipts(reader_, cache_.journals);
  std::vector<ReceiptBody::Line> lines;
  // The last entry up to `upto` and beyond `after` that needs a receipt, in a journal without
  // branches.
  const auto last_act = [&](const JournalInfo& journal, std::uint64_t after,
                            std::uint64_t upto) -> Result<std::optional<EntryId>> {
    STAFFEL_TRY(statement, reader_.Get("SELECT id, header FROM entry WHERE journal = ? AND seq > ? "
                                       "AND seq <= ? ORDER BY seq DESC"));
    statement->Bind(1, journal.number);
    statement->Bind(2, static_cast<std::int64_t>(after));
    statement->Bind(3, static_cast<std::int64_t>(upto));
    const sqlite::StatementScope scope(*statement);
    for (;;) {
      STAFFEL_TRY(row, statement->Step());
      if (!row) return std::optional<EntryId>();
      STAFFEL_TRY(header, ParseHeader(statement->Blob(1)));
      if (NeedsReceipt(journal.open.lane, header)) return EntryId::From(statement->Blob(0));
    }
  };
  for (const JournalInfo* journal : journals) {
    std::vector<HeldElsewhere> held;
    if (journal->own) {
      for (const HeldElsewhere& one : held_elsewhere) {
        if (one.journal != journal->id) continue;
        STAFFEL_TRY(here, FindEntry(*journal, one.seq, one.entry));
        if (here) held.push_back(one);
      }
      if (held.empty()) continue;
    }
    if (journal->branches.size() > 1) {
      std::vector<EntryId> heads;
      for (const auto& branch : journal->branches) heads.push_back(branch.entry);
      const auto done = cache_.received_forks.find(journal->number);
      if (done != cache_.received_forks.end() && done->second == heads) continue;
      STAFFEL_TRY(chain, receipts.ChainOf(*journal));
      STAFFEL_TRY(received, receipts.ReceivedEntries(*journal));
      std::set<EntryId> named;
      const auto name = [&](const EntryId& head) {
        const EntryId* act = chain->LastAct(head);
        if (act != nullptr && !received.contains(*act)) named.insert(*act);
      };
      if (journal->own) {
        for (const HeldElsewhere& one : held) name(one.entry);
      } else {
        for (const auto& branch : journal->branches) name(branch.entry);
      }
      for (const EntryId& entry : named) lines.push_back({journal->id, entry});
      const bool all = std::all_of(chain->links.begin(), chain->links.end(), [&](const auto& link) {
        return !link.second.act || received.contains(link.first);
      });
      if (all) cache_.received_forks[journal->number] = std::move(heads);
      continue;
    }
    const auto& branch = journal->branches.front();
    std::uint64_t upto = branch.last_act;
    if (journal->own) {
      std::uint64_t covered = 0;
      for (const HeldElsewhere& one : held) covered = std::max(covered, one.seq);
      upto = std::min(upto, covered);
    }
    STAFFEL_TRY(received, receipts.ReceivedSeq(*journal));
    if (upto <= received.value_or(0)) continue;
    STAFFEL_TRY(act, last_act(*journal, received.value_or(0), upto));
    if (act) lines.push_back({journal->id, *act});
  }
  return lines;
}

Result<std::vector<WrittenReceipt>> Writer::WriteReceipts(const ReceiptOrder& order) {
  if (!cache_.authority) return Fail(ErrorCode::kDenied, "this node belongs to no conference yet");
  STAFFEL_CHECK(CheckChair());
  const auto& authority = *cache_.authority;
  const Lane lane{authority.current_term().number, Purpose::kActs};
  std::vector<WrittenReceipt> written;
  for (const AudienceId& audience : order.audiences) {
    if (!IsReceipted(authority, audience)) continue;
    const auto number = cache_.journals.audiences.find(audience);
    if (number == cache_.journals.audiences.end()) continue;
    STAFFEL_TRY(lines, LinesDue(number->second, order.held_elsewhere));
    if (lines.empty()) continue;
    WrittenReceipt receipt;
    receipt.audience = audience;
    receipt.more = lines.size() > kReceiptLinesMax;
    if (receipt.more) lines.resize(kReceiptLinesMax);
    receipt.lines = lines.size();
    Header header;
    header.time = clock_.Now();
    // Received times never fall in a lane, also where it has several journals or the clock was put
    // back.
    for (const auto& [at, journal] : cache_.journals.by_number) {
      if (!journal.own || journal.audience != audience || journal.open.lane != lane) continue;
      for (const auto& branch : journal.branches) {
        header.time = std::max(header.time, branch.greatest);
      }
    }
    header.body = ReceiptBody{std::move(lines)};
    STAFFEL_TRY(applied, WriteOwn(audience, lane, std::move(header), {}));
    receipt.entry = applied.entry;
    written.push_back(receipt);
  }
  return written;
}

// ---------------------------------------------------------------------------------------------
// The store's face

Result<std::vector<WrittenReceipt>> Store::WriteReceipts(const ReceiptOrder& order) {
  std::vector<WrittenReceipt> written;
  const Status done = impl_->Write(
      [&](Writer& writer) -> Status {
        STAFFEL_TRY(result, writer.WriteReceipts(order));
        written = std::move(result);
        return {};
      },
      /*alone=*/false);
  if (!done) return tl::unexpected<Error>(done.error());
  return written;
}

std::vector<JournalId> Store::OwnJournals() const {
  std::vector<JournalId> own;
  const auto journals = impl_->published()->journals;
  for (const auto& [number, journal] : journals->by_number) {
    if (journal.own) own.push_back(journal.id);
  }
  return own;
}

}  // namespace staffel
