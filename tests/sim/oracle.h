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

#include "core/charter/hidden.h"
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
  // Heads of hidden cuts that entries of the audience disclose.
  std::map<std::pair<AudienceId, Hash>, std::vector<charter::CutHead>> disclosed;
};

// What the charter says of one entry.
enum class Standing : std::uint8_t {
  kCounts,
  kBeyond,  // a cut, or the end of a grant: it would count otherwise
  kNever,
};
using Standings = std::map<EntryId, Standing>;

// The charter from entry 0 to an entry: who ever had which right.
class Rights {
 public:
  Rights(const charter::CharterTree& tree, const EntryId& in_force);

  [[nodiscard]] std::optional<MemberId> OwnerOf(const crypto::PublicKey& key) const;
  [[nodiscard]] bool Reads(const MemberId& member, const AudienceId& audience) const;
  [[nodiscard]] const charter::Content& content() const { return contents_.back(); }
  [[nodiscard]] bool EverPersonal(std::uint32_t kind) const;
  // Of every entry of the reading.
  [[nodiscard]] Standings StandingsOf(const Reading& reading) const;

 private:
  [[nodiscard]] Standing OfJournal(const OpenBody& open, const charter::Cut* cut) const;
  [[nodiscard]] bool BodyCounts(const OpenBody& open, const Header& header) const;

  std::vector<charter::Content> contents_;  // from entry 0 on
};

// The entries that have an effect.
[[nodiscard]] std::set<EntryId> ValidOf(const Standings& standings);

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

// The greatest time of an entry and all before it in its journal.
[[nodiscard]] TimeMs GreatestTime(const Reading& reading, const EntryId& entry);
// Which receipt counts for each entry that is received.
[[nodiscard]] std::map<EntryId, Reception> ReceptionsOf(const Reading& reading,
                                                        const std::set<EntryId>& valid);

// The strongest word that erasures say of a payload, ascending.
enum class ErasureWord : std::uint8_t {
  kNone,
  kWithoutEffect,
  kUndecided,  // beyond a cut: hidden until the chair decides
  kInEffect,
};
// Of each payload of each write of the reading, in the order of its records.
[[nodiscard]] std::map<EntryId, std::vector<ErasureWord>> ErasureWords(
    const Reading& reading, const Rights& rights, const Standings& standings,
    const charter::CharterTree& tree);

}  // namespace staffel::sim
