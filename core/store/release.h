// SPDX-License-Identifier: EUPL-1.2
// Releasing a record to a wider audience, and how a release stands to what it was made of. A
// release is an ordinary entry there, under the same record id, with its heads as parents; what it
// carries is said by core/record/release.h. No fold looks across audiences: what is compared here
// is only shown. Part of store.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/id.h"
#include "core/base/time.h"

namespace staffel {

struct ReleaseOrder {
  std::uint32_t kind = 0;
  RecordId record;
  AudienceId from;
  AudienceId to;
  std::vector<std::string> parts;  // as in record::ReleaseChoice
  std::vector<std::string> with;
  std::vector<std::string> without;
  std::optional<OpId> op;
  bool dry_run = false;  // say what would be carried, write nothing
};

struct Released {
  std::optional<EntryId> entry;  // the first one in the wider audience; nothing: none was written
  bool unchanged = false;        // it says the same there already
  bool repeated = false;         // this op was known
  std::vector<std::string> carried;  // fields that say something
  struct LeftOut {
    std::string field;
    std::string reason;  // "confidential", "part", "inner", "named", "owner"
  };
  std::vector<LeftOut> left_out;
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
