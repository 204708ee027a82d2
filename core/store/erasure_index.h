// SPDX-License-Identifier: EUPL-1.2
// What erasures reach: for each payload the strongest word that is said about it. A function of the
// entries held and the charter's tree, whatever came first; read from the erasures' journals, which
// are few and short. The store asks it at every arrival and carries out what it says (erasure.cc).
// Internal to core/store; a value, one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/charter/tree.h"
#include "core/store/erasure.h"
#include "core/store/reader.h"

namespace staffel {

// Why a payload's bytes are not where they were. The numbers rest in the file (table `absent`).
enum class Absence : std::uint8_t {
  kErased = 1,   // an erasure in effect names it
  kHidden = 2,   // an erasure beyond a cut does: until the chair decides
  kMissing = 3,  // only one without effect does: fetched again where that is possible
};

class ErasureIndex {
 public:
  // Ascending: the strongest counts.
  enum class Word : std::uint8_t { kNone, kWithoutEffect, kUndecided, kInEffect };

  // One erasure entry, or all that the charter in force (kInEffect) or other charter entries held
  // (kWithoutEffect) name.
  struct Source {
    EntryId entry;
    std::uint64_t arrival = 0;  // 0: the charter
    std::int64_t journal = 0;
    std::uint64_t seq = 0;
    bool names = false;   // any payload or record: it can be carried out
    AudienceId audience;  // of the journal
    MemberId member;
    Lane lane;
    Word word = Word::kNone;
    bool dropped = false;
    charter::Reason reason = charter::Reason::kValid;
  };

  [[nodiscard]] static Result<ErasureIndex> Load(
      TableReader& reader, const JournalMap& journals, const charter::CharterTree* tree,
      std::shared_ptr<const charter::Authority> authority);

  // Takes a further entry of an erasures' journal, as stored.
  void Add(const JournalInfo& journal, const EntryRow& row);

  [[nodiscard]] bool empty() const { return payloads_.empty() && records_.empty(); }
  // Whether any single payload of the audience is named: a repeat of one may be unknown still.
  [[nodiscard]] bool NamesPayloadsOf(const AudienceId& audience) const;
  [[nodiscard]] bool Names(const EntryId& entry) const { return payloads_.contains(entry); }
  [[nodiscard]] const std::vector<Source>& sources() const { return sources_; }
  // Drops settle a source only once the whole journal is known: whether any did, Load must be
  // asked.
  [[nodiscard]] bool has_drops() const { return has_drops_; }

  // What is said of one payload, by names of its own and of its record.
  [[nodiscard]] Word Of(const JournalInfo& journal, const EntryId& entry, std::size_t index,
                        const RecordPart& part) const;
  // What is said of it by the name of `named`, a repeat whose part `index` is of the same record.
  [[nodiscard]] Word OfRepeat(const JournalInfo& journal, const EntryId& named, std::size_t index,
                              const RecordPart& part) const;
  // Whether a write by this lane's journal into the record would be erased at once.
  [[nodiscard]] bool TakesNoWrites(const AudienceId& audience, std::uint32_t kind,
                                   const RecordId& record, const MemberId& member,
                                   const Lane& lane) const;
  // Whether `source` may erase a payload of that part in that journal, if it is valid. Nothing: it
  // may; else a sentence.
  [[nodiscard]] std::optional<std::string> Objection(const Source& source,
                                                     const JournalInfo& journal,
                                                     const RecordPart& part) const;

  // All that is named, for carrying everything out anew.
  [[nodiscard]] std::unordered_set<EntryId> NamedEntries() const;
  using RecordKey = std::tuple<AudienceId, std::uint32_t, RecordId>;
  [[nodiscard]] std::vector<RecordKey> NamedRecords() const;

 private:
  struct RecordKeyHash {
    std::size_t operator()(const RecordKey& key) const {
      return std::hash<RecordId>()(std::get<2>(key)) ^
             (std::hash<AudienceId>()(std::get<0>(key)) * 31) ^ std::get<1>(key);
    }
  };
  [[nodiscard]] Word Say(std::uint32_t source, const JournalInfo& journal,
                         const RecordPart& part) const;
  void AddCharter(const charter::CharterTree& tree);

  std::shared_ptr<const charter::Authority> authority_;
  std::vector<Source> sources_;
  std::unordered_map<EntryId, std::vector<std::pair<std::uint32_t, std::uint32_t>>>
      payloads_;  // (index, source)
  std::unordered_map<RecordKey, std::vector<std::uint32_t>, RecordKeyHash> records_;
  std::set<AudienceId> payload_audiences_;
  bool charter_payloads_ = false;
  bool has_drops_ = false;
};

// What is said of each payload of a write, its repeats' names included; empty where the index is.
[[nodiscard]] Result<std::vector<ErasureIndex::Word>> WordsOn(TableReader& reader,
                                                              const JournalMap& journals,
                                                              const ErasureIndex& index,
                                                              const JournalInfo& journal,
                                                              const Entry& entry);
// Arrivals of the other entries of the same member and audience with the same op id.
[[nodiscard]] Result<std::vector<std::uint64_t>> RepeatsOf(TableReader& reader,
                                                           const JournalMap& journals,
                                                           const JournalInfo& journal,
                                                           const Entry& entry);

// The word that an entry of an erasures' journal has by its journal's verdict and its own reason.
[[nodiscard]] ErasureIndex::Word WordOf(const JournalInfo& journal, const EntryRow& row);

}  // namespace staffel
