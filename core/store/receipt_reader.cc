// SPDX-License-Identifier: EUPL-1.2
#include "core/store/receipt_reader.h"

#include <algorithm>

#include "core/store/store_impl.h"

namespace staffel {

bool IsReceipted(const charter::Authority& authority, const AudienceId& audience) {
  return authority.Reads(authority.chair(), audience) &&
         authority.EverWrote(authority.chair(), audience);
}

bool NeedsReceipt(const Lane& lane, const Header& header) {
  if (header.seq == 0) return false;
  return lane.term == 0 || !std::holds_alternative<ReceiptBody>(header.body);
}

std::int64_t StoredTime(TimeMs time) {
  constexpr auto kMax = static_cast<std::uint64_t>(INT64_MAX);
  return static_cast<std::int64_t>(std::min(time.value, kMax));
}

// ---------------------------------------------------------------------------------------------
// Chains

Result<JournalChain> JournalChain::Load(TableReader& reader, const JournalInfo& journal) {
  JournalChain chain;
  STAFFEL_TRY(statement, reader.Get("SELECT id, arrival, header FROM entry WHERE journal = ?"));
  statement->Bind(1, journal.number);
  const sqlite::StatementScope scope(*statement);
  for (;;) {
    STAFFEL_TRY(row, statement->Step());
    if (!row) return chain;
    const auto id = EntryId::From(statement->Blob(0));
    STAFFEL_TRY(header, ParseHeader(statement->Blob(2)));
    if (!id) continue;
    chain.links[*id] = {header.prev, header.seq, static_cast<std::uint64_t>(statement->Int(1)),
                        header.time, NeedsReceipt(journal.open.lane, header)};
  }
}

void JournalChain::AddAncestors(const EntryId& entry, std::unordered_set<EntryId>& into) const {
  for (auto at = links.find(entry); at != links.end(); at = links.find(at->second.prev)) {
    if (!into.insert(at->first).second) return;
  }
}

bool JournalChain::IsSelfOrAncestor(const EntryId& entry, const EntryId& of) const {
  const auto wanted = links.find(entry);
  if (wanted == links.end()) return false;
  for (auto at = links.find(of); at != links.end(); at = links.find(at->second.prev)) {
    if (at->first == entry) return true;
    if (at->second.seq <= wanted->second.seq) return false;
  }
  return false;
}

const EntryId* JournalChain::LastAct(const EntryId& entry) const {
  for (auto at = links.find(entry); at != links.end(); at = links.find(at->second.prev)) {
    if (at->second.act) return &at->first;
  }
  return nullptr;
}

Result<const JournalChain*> ReceiptReader::ChainOf(const JournalInfo& journal) {
  const auto known = chains_.find(journal.number);
  if (known != chains_.end()) return &known->second;
  STAFFEL_TRY(chain, JournalChain::Load(reader_, journal));
  return &(chains_[journal.number] = std::move(chain));
}

// ---------------------------------------------------------------------------------------------
// What is received

Result<std::optional<Reception>> ReceiptReader::Of(const JournalInfo& journal, std::uint64_t seq,
                                                   const EntryId& entry) {
  // Without branches the lines that count have rising seqs and rising receptions: the next one
  // decides. With branches all of them are looked at.
  STAFFEL_TRY(statement,
              reader_.Get("SELECT r.term, r.time_ms, e.id, n.id FROM received d "
                          "JOIN receipt r ON r.arrival = d.receipt "
                          "JOIN entry e ON e.arrival = d.receipt "
                          "JOIN entry n ON n.arrival = d.named "
                          "WHERE d.journal = ?1 AND d.seq >= ?2 AND d.counts = 1 ORDER BY d.seq"));
  statement->Bind(1, journal.number);
  statement->Bind(2, static_cast<std::int64_t>(seq));
  const sqlite::StatementScope scope(*statement);
  const bool forked = journal.branches.size() > 1;
  std::optional<Reception> least;
  for (;;) {
    STAFFEL_TRY(row, statement->Step());
    if (!row) return least;
    const Reception reception{static_cast<std::uint64_t>(statement->Int(0)),
                              TimeMs{static_cast<std::uint64_t>(statement->Int(1))},
                              EntryId::From(statement->Blob(2)).value_or(EntryId())};
    if (!forked) return std::optional<Reception>(reception);
    if (least && *least <= reception) continue;
    STAFFEL_TRY(chain, ChainOf(journal));
    const EntryId named = EntryId::From(statement->Blob(3)).value_or(EntryId());
    if (chain->IsSelfOrAncestor(entry, named)) least = reception;
  }
}

Result<std::optional<std::uint64_t>> ReceiptReader::ReceivedSeq(const JournalInfo& journal) {
  STAFFEL_TRY(statement,
              reader_.Get("SELECT MAX(seq) FROM received WHERE journal = ? AND counts = 1"));
  statement->Bind(1, journal.number);
  const sqlite::StatementScope scope(*statement);
  STAFFEL_TRY(row, statement->Step());
  if (!row || statement->IsNull(0)) return std::optional<std::uint64_t>();
  return std::optional<std::uint64_t>(static_cast<std::uint64_t>(statement->Int(0)));
}

Result<std::unordered_set<EntryId>> ReceiptReader::ReceivedEntries(const JournalInfo& journal) {
  STAFFEL_TRY(chain, ChainOf(journal));
  STAFFEL_TRY(statement,
              reader_.Get("SELECT n.id FROM received d JOIN entry n ON n.arrival = d.named "
                          "WHERE d.journal = ? AND d.counts = 1"));
  statement->Bind(1, journal.number);
  const sqlite::StatementScope scope(*statement);
  std::unordered_set<EntryId> received;
  for (;;) {
    STAFFEL_TRY(row, statement->Step());
    if (!row) return received;
    if (const auto named = EntryId::From(statement->Blob(0))) {
      chain->AddAncestors(*named, received);
    }
  }
}

Result<ReceiptReader::Gap> ReceiptReader::GapOf(const JournalInfo& journal) {
  Gap gap;
  if (journal.branches.size() > 1) {
    STAFFEL_TRY(received, ReceivedEntries(journal));
    STAFFEL_TRY(chain, ChainOf(journal));
    std::uint64_t first = UINT64_MAX;
    for (const auto& [id, link] : chain->links) {
      if (!link.act || received.contains(id)) continue;
      ++gap.entries;
      if (link.seq > first || (link.seq == first && gap.since <= link.time)) continue;
      first = link.seq;
      gap.since = link.time;
    }
    return gap;
  }
  std::uint64_t last = 0;
  {
    STAFFEL_TRY(statement, reader_.Get("SELECT MAX(last_act) FROM branch WHERE journal = ?"));
    statement->Bind(1, journal.number);
    const sqlite::StatementScope scope(*statement);
    STAFFEL_TRY(row, statement->Step());
    if (row) last = static_cast<std::uint64_t>(statement->Int(0));
  }
  STAFFEL_TRY(received, ReceivedSeq(journal));
  const std::uint64_t first = received.value_or(0) + 1;
  if (last < first) return gap;
  // A member's lane holds nothing but what needs a receipt; the chair's own is looked through.
  const bool count_all = journal.open.lane.term == 0;
  if (count_all) gap.entries = last - first + 1;
  STAFFEL_TRY(statement, reader_.Get("SELECT header FROM entry WHERE journal = ? AND seq >= ? AND "
                                     "seq <= ? ORDER BY seq"));
  statement->Bind(1, journal.number);
  statement->Bind(2, static_cast<std::int64_t>(first));
  statement->Bind(3, static_cast<std::int64_t>(last));
  const sqlite::StatementScope scope(*statement);
  for (;;) {
    STAFFEL_TRY(row, statement->Step());
    if (!row) return gap;
    STAFFEL_TRY(header, ParseHeader(statement->Blob(0)));
    if (!NeedsReceipt(journal.open.lane, header)) continue;
    if (!gap.since) gap.since = header.time;
    if (count_all) return gap;
    ++gap.entries;
  }
}

Result<ReceiptView> ReceiptReader::View(std::uint64_t arrival) {
  STAFFEL_TRY(row, reader_.GetEntry(arrival));
  const JournalInfo& journal = journals_.Get(row.journal);
  ReceiptView view;
  view.entry = row.entry.id;
  view.journal = journal.id;
  view.seq = row.seq;
  view.audience = journal.audience;
  view.member = journal.verdict.member;
  view.term = journal.open.lane.term;
  if (row.reason != charter::Reason::kValid) {
    view.invalid_reason = charter::ReasonSentence(row.reason);
  }
  if (const auto* receipt = std::get_if<ReceiptBody>(&row.entry.header.body)) {
    for (const auto& line : receipt->lines) view.lines.push_back({line.journal, line.entry});
  }
  STAFFEL_TRY(statement, reader_.Get("SELECT time_ms FROM receipt WHERE arrival = ?"));
  statement->Bind(1, static_cast<std::int64_t>(arrival));
  const sqlite::StatementScope scope(*statement);
  STAFFEL_TRY(found, statement->Step());
  if (found) view.time = TimeMs{static_cast<std::uint64_t>(statement->Int(0))};
  return view;
}

// ---------------------------------------------------------------------------------------------
// The snapshot's face

Result<std::optional<Reception>> Snapshot::ReceptionOf(const JournalId& journal, std::uint64_t seq,
                                                       const EntryId& entry) {
  const JournalInfo* info = state_->published->journals->Find(journal);
  if (info == nullptr) return std::optional<Reception>();
  STAFFEL_TRY(held, HasEntry(journal, seq, entry));
  if (!held) return std::optional<Reception>();
  return ReceiptReader(state_->connection->reader, *state_->published->journals)
      .Of(*info, seq, entry);
}

Result<RecordReception> Snapshot::ReceptionOf(const RecordView& record) {
  TableReader& reader = state_->connection->reader;
  const JournalMap& journals = *state_->published->journals;
  RecordReception out;
  const auto& authority = state_->published->authority;
  out.receipted = authority != nullptr && IsReceipted(*authority, record.audience);
  STAFFEL_TRY(row, reader.GetRecordByNumber(static_cast<std::int64_t>(record.number)));
  if (!row) return Fail(ErrorCode::kNotFound, "record {} is not here", record.record.Hex());
  STAFFEL_TRY(arrivals, reader.Touches(*row));
  ReceiptReader receipts(reader, journals);
  for (const std::uint64_t arrival : arrivals) {
    STAFFEL_TRY(statement,
                reader.Get("SELECT journal, seq, id, header FROM entry WHERE arrival = ?"));
    statement->Bind(1, static_cast<std::int64_t>(arrival));
    const sqlite::StatementScope scope(*statement);
    STAFFEL_TRY(found, statement->Step());
    if (!found) continue;
    ++out.entries;
    const JournalInfo& journal = journals.Get(statement->Int(0));
    STAFFEL_TRY(reception, receipts.Of(journal, static_cast<std::uint64_t>(statement->Int(1)),
                                       EntryId::From(statement->Blob(2)).value_or(EntryId())));
    if (reception) {
      out.received = std::max(out.received.value_or(TimeMs()), reception->time);
      continue;
    }
    ++out.not_received;
    STAFFEL_TRY(header, ParseHeader(statement->Blob(3)));
    out.since = out.since ? std::min(*out.since, header.time) : header.time;
  }
  if (out.not_received > 0) out.received.reset();
  return out;
}

Result<std::vector<ReceiptGap>> Snapshot::ReceiptGaps() {
  std::vector<ReceiptGap> gaps;
  const auto& authority = state_->published->authority;
  const auto own = authority == nullptr
                       ? std::nullopt
                       : authority->MemberOfKey(state_->store->options.key->public_key());
  if (!own) return gaps;
  const JournalMap& journals = *state_->published->journals;
  ReceiptReader receipts(state_->connection->reader, journals);
  for (const charter::Audience& audience : authority->audiences()) {
    if (!audience.IsReader(*own)) continue;
    ReceiptGap gap;
    gap.audience = audience.id;
    gap.receipted = IsReceipted(*authority, audience.id);
    for (const auto& [number, journal] : journals.by_number) {
      if (journal.audience != audience.id) continue;
      STAFFEL_TRY(of, receipts.GapOf(journal));
      if (of.entries == 0) continue;
      const auto add = [&](std::uint64_t& entries, std::optional<TimeMs>& since) {
        entries += of.entries;
        if (of.since && (!since || *of.since < *since)) since = of.since;
      };
      add(gap.all, gap.all_since);
      if (journal.own) add(gap.own, gap.own_since);
    }
    gaps.push_back(gap);
  }
  return gaps;
}

Result<std::optional<ReceiptView>> Snapshot::LastReceipt(const AudienceId& audience,
                                                         std::uint64_t term) {
  TableReader& reader = state_->connection->reader;
  const JournalMap& journals = *state_->published->journals;
  const auto number = journals.audiences.find(audience);
  if (number == journals.audiences.end()) return std::optional<ReceiptView>();
  std::optional<std::uint64_t> last;
  {
    STAFFEL_TRY(statement,
                reader.Get("SELECT r.arrival FROM receipt r JOIN entry e ON e.arrival = r.arrival "
                           "WHERE r.audience = ? AND r.term = ? AND e.reason = 0 "
                           "ORDER BY r.time_ms DESC, e.id DESC LIMIT 1"));
    statement->Bind(1, number->second);
    statement->Bind(2, static_cast<std::int64_t>(term));
    const sqlite::StatementScope scope(*statement);
    STAFFEL_TRY(row, statement->Step());
    if (row) last = static_cast<std::uint64_t>(statement->Int(0));
  }
  if (!last) return std::optional<ReceiptView>();
  STAFFEL_TRY(view, ReceiptReader(reader, journals).View(*last));
  return std::optional<ReceiptView>(std::move(view));
}

Result<std::vector<ReceiptView>> Snapshot::VoidReceipts(std::size_t limit) {
  TableReader& reader = state_->connection->reader;
  std::vector<std::uint64_t> arrivals;
  {
    STAFFEL_TRY(statement,
                reader.Get("SELECT r.arrival FROM entry e INDEXED BY entry_without_effect "
                           "JOIN receipt r ON r.arrival = e.arrival WHERE e.reason != 0 "
                           "ORDER BY r.arrival DESC LIMIT ?"));
    statement->Bind(1, static_cast<std::int64_t>(limit));
    const sqlite::StatementScope scope(*statement);
    for (;;) {
      STAFFEL_TRY(row, statement->Step());
      if (!row) break;
      arrivals.push_back(static_cast<std::uint64_t>(statement->Int(0)));
    }
  }
  ReceiptReader receipts(reader, *state_->published->journals);
  std::vector<ReceiptView> views;
  for (const std::uint64_t arrival : arrivals) {
    STAFFEL_TRY(view, receipts.View(arrival));
    views.push_back(std::move(view));
  }
  return views;
}

Result<std::vector<EntryWithoutEffect>> Snapshot::WithoutEffect(bool only_own, std::size_t limit) {
  TableReader& reader = state_->connection->reader;
  const JournalMap& journals = *state_->published->journals;
  const auto& authority = state_->published->authority;
  const auto own = authority == nullptr
                       ? std::nullopt
                       : authority->MemberOfKey(state_->store->options.key->public_key());
  std::vector<std::uint64_t> arrivals;
  {
    STAFFEL_TRY(statement,
                reader.Get("SELECT arrival, journal FROM entry INDEXED BY entry_without_effect "
                           "WHERE reason != 0 AND reason != ? ORDER BY arrival DESC"));
    statement->Bind(1, static_cast<std::int64_t>(charter::Reason::kNewerFormat));
    const sqlite::StatementScope scope(*statement);
    while (arrivals.size() < limit) {
      STAFFEL_TRY(row, statement->Step());
      if (!row) break;
      const JournalInfo& journal = journals.Get(statement->Int(1));
      if (only_own && !journal.own && (!own || journal.verdict.member != *own)) continue;
      arrivals.push_back(static_cast<std::uint64_t>(statement->Int(0)));
    }
  }
  std::vector<EntryWithoutEffect> out;
  for (const std::uint64_t arrival : arrivals) {
    STAFFEL_TRY(row, reader.GetEntry(arrival));
    const JournalInfo& journal = journals.Get(row.journal);
    EntryWithoutEffect item;
    item.entry = row.entry.id;
    item.journal = journal.id;
    item.seq = row.seq;
    item.audience = journal.audience;
    item.member = journal.verdict.member;
    item.lane = journal.open.lane;
    item.time = row.entry.header.time;
    item.reason = row.reason;
    if (const auto* write = std::get_if<WriteBody>(&row.entry.header.body)) {
      for (const RecordPart& part : write->records) {
        const std::pair<std::uint32_t, RecordId> record{part.kind, part.record};
        if (item.records.empty() || item.records.back() != record) item.records.push_back(record);
      }
    }
    out.push_back(std::move(item));
  }
  return out;
}

}  // namespace staffel
