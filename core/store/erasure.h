// SPDX-License-Identifier: EUPL-1.2
// Erasure (core.md, "Erasure"; decision 0012), as the store's callers see it: what is asked for,
// what would become of it, what was erased and who has carried it out. Plain values. What an
// erasure reaches is erasure_index.h, carrying it out erasure.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/id.h"
#include "core/base/result.h"
#include "core/base/time.h"
#include "core/charter/content.h"
#include "core/crypto/key.h"
#include "core/journal/entry.h"

namespace staffel {

struct ErasureTarget {
  AudienceId audience;
  std::uint32_t kind = 0;
  RecordId record;
  friend bool operator==(const ErasureTarget&, const ErasureTarget&) = default;
};

struct ErasureRequest {
  // One record in each audience where it lives, or several.
  std::vector<ErasureTarget> targets;
  // Field numbers; empty: whole records, for ever. A field's payloads are destroyed with all that
  // stands beside it in them; what still counts of that is written anew before.
  std::vector<std::uint32_t> fields;
};

// What erasing one target by ourselves would do.
struct ErasurePlan {
  ErasureTarget target;
  std::uint64_t payloads = 0;      // that would be destroyed here and now
  std::uint64_t clean_values = 0;  // that would be written anew
  bool as_chair = false;           // by the chair's right; else by a member's in its own journals
  bool erased_already = false;     // nothing is left to erase, and what comes is erased
  // Why we may not do it alone: kDenied with what is needed, kNotFound, kConflict.
  std::optional<Error> refusal;
  bool quorum_may = false;  // a quorum's charter entry with what follows would do it
  std::vector<charter::ErasedRecord> quorum_records;
  std::vector<charter::ErasedPayload> quorum_payloads;
};

enum class ErasureStanding : std::uint8_t {
  kWithoutEffect = 0,  // its writer may not erase this
  kUndecided = 1,      // beyond a cut: hidden until the chair repeats or drops it
  kDropped = 2,        // beyond a cut, and dropped by the chair
  kInEffect = 3,
};

// One erasure: an entry of a journal, or what one charter entry named first.
struct ErasureView {
  EntryId entry;
  bool by_charter = false;
  AudienceId audience;  // not known of payloads that the charter names
  MemberId member;      // who erased; empty where the charter did
  Lane lane;
  TimeMs time;
  std::vector<ErasureBody::WholeRecord> records;
  std::vector<ErasureBody::OnePayload> payloads;
  // The records that the payloads belong to, as far as they are held; each once.
  std::vector<ErasureBody::WholeRecord> parts_of;
  ErasureStanding standing = ErasureStanding::kInEffect;
  std::string why;  // where it is not in effect: a sentence
  // What each replica that reads the audience says of it: when it had destroyed the bytes in all
  // its files. No time: it has not said so yet. By member, then key.
  struct Replica {
    MemberId member;
    crypto::PublicKey key;
    std::optional<TimeMs> carried_out;
  };
  std::vector<Replica> replicas;
};

struct ErasureCounts {
  std::uint64_t undecided = 0;  // erasures beyond a cut that wait for the chair
  // Payloads destroyed under an erasure that has lost its effect: fetched again where a peer has
  // them.
  std::uint64_t missing_payloads = 0;
  bool wipe_pending = false;  // erased bytes may still lie in free places of the files: Store::Wipe
};

// A payload that is wanted again, or sent again.
struct PayloadAt {
  JournalId journal;
  std::uint64_t seq = 0;
  EntryId entry;
  std::uint32_t index = 0;
  friend auto operator<=>(const PayloadAt&, const PayloadAt&) = default;
};
struct PayloadBytes {
  PayloadAt at;
  Bytes bytes;
};

}  // namespace staffel
