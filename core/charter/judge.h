// SPDX-License-Identifier: EUPL-1.2
// Validity (core.md): which entries have an effect, by the charter in force. Split for the store: a
// journal is judged once per charter, an entry by its journal's verdict. Reads no payload, no
// clock, no parent and no other audience, and gives the same answer with the same reason on every
// node.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "core/base/id.h"
#include "core/charter/authority.h"
#include "core/charter/content.h"
#include "core/journal/entry.h"

namespace staffel::charter {

// Why an entry has no effect. The numbers rest in the store: never reused.
enum class Reason : std::uint8_t {
  kValid = 0,
  kOtherConference = 1,
  kUnknownAudience = 2,
  kUnknownKey = 3,
  kNeverAWriter = 4,
  kUnknownTerm = 5,
  kNotTheTermsReplica = 6,
  kGrantEnded = 7,
  kAfterCut = 8,
  kForeignCell = 9,
  kCellTwice = 10,
  kNotOfThisLane = 11,
  kNewerFormat = 12,
};

// An English sentence for logs and `staffel verify`: "the journal's replica was never …".
[[nodiscard]] std::string_view ReasonSentence(Reason reason);

// What the store remembers of a journal under one charter.
struct JournalVerdict {
  Reason reason = Reason::kValid;  // anything else: no entry of it is valid
  MemberId member;                 // whose replica writes; empty where unknown
  Lane lane;
  bool chair_writes_only = false;
  // Present where a cut says how far the journal goes; its heads, ascending.
  std::optional<std::vector<CutHead>> cut;
  // The charter cuts this journal, also where the heads are hidden still: its owner goes on in a
  // new one.
  bool named_by_cut = false;
  [[nodiscard]] bool valid() const { return reason == Reason::kValid; }
  friend bool operator==(const JournalVerdict&, const JournalVerdict&) = default;
};

// Heads of hidden cuts that entries of the audience have disclosed, whether those entries have an
// effect or not; the hash has been checked.
class OpenedCuts {
 public:
  virtual ~OpenedCuts() = default;
  // Nothing where no entry held opens this cut. Such a cut has no effect yet.
  [[nodiscard]] virtual std::optional<std::vector<CutHead>> HeadsOf(const AudienceId& audience,
                                                                    const Hash& hidden) const = 0;
};

// Points 1 and 2 of validity, as far as they concern the whole journal. `opened` may be null.
[[nodiscard]] JournalVerdict JudgeJournal(const Authority& authority, const JournalId& journal,
                                          const OpenBody& open, const OpenedCuts* opened = nullptr);

// What of the journal is held: asked only where the journal is cut.
class HeldEntries {
 public:
  virtual ~HeldEntries() = default;
  [[nodiscard]] virtual bool Holds(const EntryId& entry) const = 0;
  // Whether `entry` is `head` or one of its ancestors by prev. Both are held, in one journal.
  [[nodiscard]] virtual bool IsSelfOrAncestor(const EntryId& entry, const EntryId& head) const = 0;
};

// Point 2 for one entry: valid are the held heads and their ancestors, and for a head not held all
// up to its seq. True where the journal is not cut. The answer for one entry can change when a head
// of the cut arrives: the store then judges the journal again.
[[nodiscard]] bool WithinCut(const JournalVerdict& journal, std::uint64_t seq, const EntryId& entry,
                             const HeldEntries& held);

// Point 3: whether the header may do what it does in this journal. kValid, or why not.
[[nodiscard]] Reason JudgeHeader(const JournalVerdict& journal, const Header& header);

// All of it for one entry.
[[nodiscard]] Reason JudgeEntry(const JournalVerdict& journal, const EntryId& id,
                                const Header& header, const HeldEntries& held);

}  // namespace staffel::charter
