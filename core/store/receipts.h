// SPDX-License-Identifier: EUPL-1.2
// What the chair's receipts say: which entries have been received, when, by which receipt, and what
// has not been. Values only; the store computes them (receipts.cc, receipt_reader.cc). A receipt
// concerns its own audience and nothing else. docs/decisions/0011-receipts.md has the readings that
// were chosen.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/id.h"
#include "core/base/time.h"
#include "core/charter/authority.h"

namespace staffel {

// Lines of one receipt at most: bounds its header. What is left out stands in the next.
inline constexpr std::size_t kReceiptLinesMax = 800;

// Whether the present chair gives receipts in this audience: it reads it, and what its lane holds
// there is valid (it is or was a writer).
[[nodiscard]] bool IsReceipted(const charter::Authority& authority, const AudienceId& audience);

// The receipt that counts for an entry: the valid one with the least (term, time, entry id).
struct Reception {
  // In this order they are compared.
  std::uint64_t term = 0;
  TimeMs time;  // the receipt's, or the greatest so far in its journal if that is later
  EntryId receipt;
  friend auto operator<=>(const Reception&, const Reception&) = default;
};

// A record's entries, taken together.
struct RecordReception {
  bool receipted = false;  // somebody gives receipts in this audience
  std::uint64_t entries = 0;
  std::uint64_t not_received = 0;
  std::optional<TimeMs> since;     // by its writer's clock, the first entry not received
  std::optional<TimeMs> received;  // where all are: the latest of their times
};

// What one audience holds that the chair has not receipted. Openings and receipts need none.
struct ReceiptGap {
  AudienceId audience;
  bool receipted = false;  // false: there is no chair here, and never a receipt
  std::uint64_t own = 0;   // written by this replica
  std::optional<TimeMs> own_since;
  std::uint64_t all = 0;
  std::optional<TimeMs> all_since;
};

// A receipt by itself: the last of a term, or one that is void and thus evidence for the chair.
struct ReceiptView {
  EntryId entry;
  JournalId journal;
  std::uint64_t seq = 0;
  AudienceId audience;
  MemberId member;  // whose key wrote it
  std::uint64_t term = 0;
  TimeMs time;
  std::string invalid_reason;  // empty: it is valid
  struct Line {
    JournalId journal;
    EntryId entry;
  };
  std::vector<Line> lines;
};

// A branch of one of this replica's own journals as another replica is known to hold it.
struct HeldElsewhere {
  JournalId journal;
  EntryId entry;
  std::uint64_t seq = 0;
  friend auto operator<=>(const HeldElsewhere&, const HeldElsewhere&) = default;
};

struct ReceiptOrder {
  // In which audiences; those where nothing is due, or that have no receipts, are passed over.
  std::vector<AudienceId> audiences;
  // What this machine wrote is received as far as another one is known to hold it.
  std::vector<HeldElsewhere> held_elsewhere;
};

struct WrittenReceipt {
  AudienceId audience;
  EntryId entry;
  std::size_t lines = 0;
  bool more = false;  // kReceiptLinesMax left something out
};

}  // namespace staffel
