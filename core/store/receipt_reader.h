// SPDX-License-Identifier: EUPL-1.2
// Reads what receipts have made of the store's tables, over one connection: the writer's or a
// snapshot's. Journals without branches are answered from an index; forked ones, which are rare, by
// walking their chains. Internal to core/store.
#pragma once

#include <map>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/journal/entry.h"
#include "core/store/reader.h"
#include "core/store/receipts.h"

namespace staffel {

// Whether an entry of this lane is anything that a receipt is for. Openings are not, and receipts
// are not: a receipt of receipts would go on for ever.
[[nodiscard]] bool NeedsReceipt(const Lane& lane, const Header& header);

// Times are stored as SQLite's signed integers; beyond them all are the same.
[[nodiscard]] std::int64_t StoredTime(TimeMs time);

// All links of one journal, for walking back from an entry.
struct JournalChain {
  struct Link {
    EntryId prev;
    std::uint64_t seq = 0;
    std::uint64_t arrival = 0;
    TimeMs time;
    bool act = false;
  };
  std::unordered_map<EntryId, Link> links;

  [[nodiscard]] static Result<JournalChain> Load(TableReader& reader, const JournalInfo& journal);
  // `entry` and its ancestors, as far as they are not in `into` already.
  void AddAncestors(const EntryId& entry, std::unordered_set<EntryId>& into) const;
  [[nodiscard]] bool IsSelfOrAncestor(const EntryId& entry, const EntryId& of) const;
  // The last entry at or before `entry` that needs a receipt; null where there is none.
  [[nodiscard]] const EntryId* LastAct(const EntryId& entry) const;
};

// Belongs to one thread; remembers chains while it lives, so keep it no longer than a snapshot.
class ReceiptReader {
 public:
  ReceiptReader(TableReader& reader, const JournalMap& journals)
      : reader_(reader), journals_(journals) {}

  [[nodiscard]] Result<std::optional<Reception>> Of(const JournalInfo& journal, std::uint64_t seq,
                                                    const EntryId& entry);
  // The greatest seq that counts as received in a journal without branches.
  [[nodiscard]] Result<std::optional<std::uint64_t>> ReceivedSeq(const JournalInfo& journal);
  // Entries received in a journal that may have branches.
  [[nodiscard]] Result<std::unordered_set<EntryId>> ReceivedEntries(const JournalInfo& journal);

  struct Gap {
    std::uint64_t entries = 0;
    std::optional<TimeMs> since;
  };
  [[nodiscard]] Result<Gap> GapOf(const JournalInfo& journal);
  [[nodiscard]] Result<const JournalChain*> ChainOf(const JournalInfo& journal);
  [[nodiscard]] Result<ReceiptView> View(std::uint64_t arrival);

 private:
  TableReader& reader_;
  const JournalMap& journals_;
  std::map<std::int64_t, JournalChain> chains_;
};

}  // namespace staffel
