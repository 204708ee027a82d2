// SPDX-License-Identifier: EUPL-1.2
// What core.md says, read a second time and written down as simply as possible, with no eye on
// speed: which entry of the charter is in force, which entries are valid, which changes are heads.
// The checks compare the engine with it; it shares no code with what it judges beyond parsing.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <vector>

#include "core/charter/tree.h"
#include "core/journal/entry.h"
#include "core/store/store.h"

namespace staffel::sim {

// All entries that a node holds.
struct Reading {
  explicit Reading(std::vector<Batch> batches);
  std::vector<Batch> kept;
  std::map<EntryId, const Entry*> entries;
  std::map<JournalId, const OpenBody*> opened;
};

// The charter from entry 0 to an entry: who ever had which right.
class Rights {
 public:
  Rights(const charter::CharterTree& tree, const EntryId& in_force);

  [[nodiscard]] std::optional<MemberId> OwnerOf(const crypto::PublicKey& key) const;
  [[nodiscard]] bool Reads(const MemberId& member, const AudienceId& audience) const;
  [[nodiscard]] const charter::Content& content() const { return contents_.back(); }
  // Entries of the reading that have an effect.
  [[nodiscard]] std::set<EntryId> Valid(const Reading& reading) const;

 private:
  [[nodiscard]] bool JournalCounts(const OpenBody& open, const charter::Cut* cut) const;
  [[nodiscard]] bool BodyCounts(const OpenBody& open, const Header& header) const;

  std::vector<charter::Content> contents_;  // from entry 0 on
};

// Which entry is in force, by signatures counted anew.
struct TreeReading {
  EntryId in_force;
  bool tied = false;
  // Of the branches that a tie stands before: the last entry of each one's strongest path.
  std::vector<EntryId> tied_ends;
};
[[nodiscard]] TreeReading ReadTree(const charter::CharterTree& tree);
// Whether the replica of `key` may write as the chair at `now`: its term is in force and has begun,
// nothing is tied, and its Land has not signed another term that waits for others.
[[nodiscard]] bool ChairActs(const charter::CharterTree& tree, const crypto::PublicKey& key,
                             TimeMs now);

using RecordKey = std::tuple<AudienceId, std::uint32_t, RecordId>;
using HeadsByCell = std::map<Cell, std::set<EntryId>>;
// Heads of every record that has any.
[[nodiscard]] std::map<RecordKey, HeadsByCell> FoldAll(const Reading& reading, const Rights& rights,
                                                       const std::set<EntryId>& valid);

}  // namespace staffel::sim
