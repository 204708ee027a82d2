// SPDX-License-Identifier: EUPL-1.2
// Whether a replica may act as the chair now: write receipts, deadlines, adoption, anything in the
// chair's lane. The node asks this before it writes; what of it counts is judged by judge.h, which
// knows no clock. Pure; any thread.
#pragma once

#include <string>

#include "core/base/time.h"
#include "core/charter/tree.h"
#include "core/crypto/key.h"

namespace staffel::charter {

struct ChairStanding {
  enum class State {
    kActs,         // the chair's lane may be written
    kNotTheChair,  // the term in force names another replica
    kTied,         // two branches of the charter are equally strong: nobody has authority
    kSigned,       // this chair has signed the next term: its acts have ended, and were they
                   // written they would lie beyond the cut
    kNotYet,       // the term has been passed on to this replica and begins later
  } state = State::kNotTheChair;
  std::string sentence;  // why not, and what to do; empty for kActs
  [[nodiscard]] bool acts() const { return state == State::kActs; }
};

// `now` is the node's own clock: a term handed over begins at the time set, the first one at once.
[[nodiscard]] ChairStanding StandingOf(const CharterTree& tree, const crypto::PublicKey& key,
                                       TimeMs now);

}  // namespace staffel::charter
