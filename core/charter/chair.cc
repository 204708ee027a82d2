// SPDX-License-Identifier: EUPL-1.2
#include "core/charter/chair.h"

namespace staffel::charter {

ChairStanding StandingOf(const CharterTree& tree, const crypto::PublicKey& key, TimeMs now) {
  using State = ChairStanding::State;
  const auto& in_force = tree.InForce();
  if (in_force.authority == nullptr) {
    return {State::kNotTheChair, "there is no charter here yet"};
  }
  const Authority& authority = *in_force.authority;
  const Term& term = authority.current_term();
  if (term.replica != key) {
    return {State::kNotTheChair,
            fmt::format("only the node of the chair ({}) writes this", authority.chair().text())};
  }
  if (in_force.tied) {
    return {State::kTied,
            "two branches of the charter are equally strong, so nobody acts as the chair until a "
            "quorum has decided ('staffel charter show'); editing goes on"};
  }
  if (term.number > 1 && now < term.starts) {
    return {State::kNotYet, fmt::format("the term of {} begins on {}; until then nobody acts as "
                                        "the chair, and editing goes on",
                                        term.member.text(), FormatTimeUtc(term.starts))};
  }
  for (const auto& proposal : tree.Waiting()) {
    if (!proposal.needs.approved.contains(term.member)) continue;
    const auto child = tree.AuthorityOf(proposal.entry);
    if (child == nullptr || child->current_term().number == term.number) continue;
    return {State::kSigned,
            fmt::format("{} has signed the handover to {}: the acts of its term have ended; "
                        "'staffel handover cancel' takes them up again while the handover is not "
                        "in force",
                        term.member.text(), child->chair().text())};
  }
  return {State::kActs, {}};
}

}  // namespace staffel::charter
