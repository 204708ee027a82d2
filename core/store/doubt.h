// SPDX-License-Identifier: EUPL-1.2
// A replica's doubt about its own past. A nonce stands in the database and in a twin outside it;
// where they do not match at open, the database is not the one that this node wrote last: a backup
// was restored, a snapshot brought back, a file lost. What follows from that is decided here; who
// is turned away meanwhile, by whoever serves (sync/hub.h, api/node.h). docs/decisions/0014 has the
// reasons, core.md ("Doubt, restore, fork") the rule.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/id.h"
#include "core/base/result.h"
#include "core/base/time.h"

namespace staffel {

// The nonce is renewed after so much time with writes in it, at each start and at each backup: a
// copy of the file made otherwise is noticed when it is older than that.
inline constexpr std::chrono::minutes kNonceRenewal{10};

// The file outside the database. The store calls it from its writer only, one call at a time.
class Twin {
 public:
  virtual ~Twin() = default;
  // What was saved last; nothing where there is none.
  [[nodiscard]] virtual Result<std::optional<Bytes>> Load() = 0;
  // Replaces it. On return it is durable; after an error, or a crash in the middle, the old or the
  // new content stands whole.
  [[nodiscard]] virtual Status Save(ByteView content) = 0;
};

// The twin's content: the nonce in force, or during a renewal the old and the new one. A nonce of
// zeros stands for a database that has none yet, and matches only an empty one.
[[nodiscard]] Bytes EncodeTwin(const std::vector<Nonce>& nonces);
// Nothing where the bytes are no twin.
[[nodiscard]] std::optional<std::vector<Nonce>> DecodeTwin(ByteView content);

struct DoubtState {
  // Nobody is served before an exchange has completed, or the administrator's word. Own edits go
  // on, in new journals.
  bool in_doubt = false;
  TimeMs since;
  std::string reason;  // a sentence for people
  // Charter entries are cosigned from this number on; while `cosigning_waits`, none.
  bool cosigning_waits = false;
  std::uint64_t cosign_from = 0;
  // The chair's lanes of this term and of earlier ones are not written any more: a restored chair
  // acts only in a next term to itself. 0: none.
  std::uint64_t no_acts_until_term = 0;

  // Before its first exchange a node does not know which term it is the chair of.
  [[nodiscard]] bool MayActIn(std::uint64_t term) const {
    return !cosigning_waits && term > no_acts_until_term;
  }

  friend bool operator==(const DoubtState&, const DoubtState&) = default;
};
[[nodiscard]] Bytes EncodeDoubt(const DoubtState& state);
[[nodiscard]] std::optional<DoubtState> DecodeDoubt(ByteView bytes);

// What is said to whoever asks while a node is in doubt.
[[nodiscard]] Error DoubtRefusal();

enum class DoubtEnd {
  kExchanged,  // an exchange has completed: what others hold of our past is here
  kTrusted,    // the administrator's word: serve; cosigning and the chair's acts still wait
  kVouched,    // the administrator's word that nothing is missing: all is as before this doubt
  kFounded,    // a new conference: nothing in it can have been forgotten
};

}  // namespace staffel
