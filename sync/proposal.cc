// SPDX-License-Identifier: EUPL-1.2
#include "sync/proposal.h"

#include "core/charter/needs.h"
#include "core/store/charter_draft.h"

namespace staffel::sync {

Result<Proposed> ProposeCharter(Store& store, const crypto::KeyPair& key,
                                const charter::Authority& base, const charter::Content& content) {
  const auto tree = store.charter();
  if (tree == nullptr || tree->InForce().authority == nullptr) {
    return Fail(ErrorCode::kDenied,
                "this node belongs to no conference yet: found one ('staffel found') or join one "
                "('staffel join')");
  }
  const auto& in_force = tree->InForce();
  if (in_force.tied) {
    return Fail(ErrorCode::kUnavailable,
                "two branches of the charter are equally strong: a quorum must decide between them "
                "first ('staffel waiting')");
  }
  STAFFEL_TRY(entry, store.Propose([&](CharterDraft& draft) -> Result<charter::Content> {
    // Made from one charter, it must not undo what another has changed meanwhile.
    if (draft.authority().entry() != base.entry()) {
      return Fail(ErrorCode::kConflict, "the charter has changed meanwhile: look again");
    }
    const auto needs = charter::JudgeChange(draft.authority(), content, {draft.member()});
    if (needs.forbidden) {
      return Fail(ErrorCode::kDenied, "the charter does not allow this: {}", needs.Sentence());
    }
    return content;
  }));
  return DescribeProposal(store, key, entry);
}

Proposed DescribeProposal(Store& store, const crypto::KeyPair& key, const EntryId& entry) {
  Proposed proposed;
  proposed.entry = entry;
  proposed.change.entry = proposed.entry;
  for (WaitingChange& change : WaitingChanges(store, key)) {
    if (change.entry == proposed.entry) proposed.change = std::move(change);
  }
  const auto after = store.charter();
  const auto judged = after->NeedsOf(proposed.entry);
  proposed.in_force = judged && judged->Satisfied();
  if (proposed.in_force) {
    proposed.change.needs = judged->Sentence();
    proposed.change.missing_from.clear();
    for (const auto& requirement : judged->requirements) {
      if (!proposed.change.change.empty()) proposed.change.change += "; ";
      proposed.change.change += requirement.change;
    }
    proposed.change.approved.assign(judged->approved.begin(), judged->approved.end());
  }
  return proposed;
}

}  // namespace staffel::sync
