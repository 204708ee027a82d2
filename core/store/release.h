// SPDX-License-Identifier: EUPL-1.2
// Releasing records to a wider audience, and how a release stands to what it was made of. A
// release is an ordinary entry there, under the same record id, with its heads as parents; what it
// carries is said by core/record/release.h. Records that name each other go in one order. No fold
// looks across audiences: what is compared here is only shown. Part of store.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/id.h"
#include "core/base/time.h"

namespace staffel {

inline constexpr std::size_t kReleaseRecordsMax = 1'000;  // of one order

// All of it is released in one transaction, or nothing. What a record names is right where its
// readers see it already or the order brings it to them.
struct ReleaseOrder {
  struct Item {
    std::uint32_t kind = 0;
    RecordId record;
    AudienceId from;
  };
  std::vector<Item> records;  // each once
  AudienceId to;
  // As in record::ReleaseChoice. A field that some kinds of the order have and others have not
  // concerns those that have it.
  std::vector<std::string> parts;
  std::vector<std::string> with;
  std::vector<std::string> without;
  std::optional<OpId> op;
  bool dry_run = false;  // say what would be carried, write nothing
};

struct ReleasedRecord {
  std::optional<EntryId> entry;  // the first one in the wider audience; nothing: none was written
  bool unchanged = false;        // it says the same there already
  std::vector<std::string> carried;  // fields that say something
  struct LeftOut {
    std::string field;
    std::string reason;  // "confidential", "part", "inner", "named", "owner"
  };
  std::vector<LeftOut> left_out;
};

struct Released {
  bool repeated = false;                // this op was known: nothing was written
  std::vector<ReleasedRecord> records;  // one for each of the order, in its order
};

// How a record stands in another audience, as far as this replica holds both.
struct ReleaseView {
  enum class State {
    kCurrent,  // what is released says what stands inside
    kDiffers,  // `fields` say where not
    kWithdrawn,
    kUnknown,   // the wider audience is not, or no longer, held here
    kReceived,  // the record shown is itself what was released, and its source is not held here
  } state = State::kUnknown;
  AudienceId audience;  // the other one; zero for kReceived
  std::vector<std::string> fields;
  TimeMs time;
  MemberId member;      // whose node released it; empty: not known
  bool outward = true;  // released from here to `audience`; else from `audience` to here
  bool proven = false;  // salt and source inside match the commitment outside
  std::optional<Hash> commitment;
};

}  // namespace staffel
