// SPDX-License-Identifier: EUPL-1.2
#include "sync/proposal.h"

#include "core/charter/build.h"
#include "core/charter/needs.h"

namespace staffel::sync {

Result<Proposed> ProposeCharter(Store& store, const crypto::KeyPair& key,
                                const charter::Content& content, Clock& clock) {
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
  const auto signer = in_force.authority->SignerOf(key.public_key());
  if (!signer) {
    return Fail(ErrorCode::kDenied,
                "this node's key signs for no member, so it cannot put a change forward");
  }
  const auto needs = charter::JudgeChange(*in_force.authority, content, {*signer});
  if (needs.forbidden) {
    return Fail(ErrorCode::kDenied, "the charter does not allow this: {}", needs.Sentence());
  }
  STAFFEL_TRY(entry, charter::MakeCharterEntry(tree->Find(in_force.entry), content, clock.Now()));
  Proposed proposed;
  proposed.entry = entry.id;
  CharterItem item;
  item.id = entry.id;
  item.entry = std::move(entry);
  item.signatures.push_back(
      charter::SignCharterEntry(item.id, charter::CharterSignature::Kind::kApproval, key));
  Batch batch;
  batch.charter.push_back(std::move(item));
  STAFFEL_TRY(ingested, store.Ingest(store.Prepare(std::move(batch))));
  if (!ingested.charter_refusals.empty()) {
    return tl::unexpected<Error>(ingested.charter_refusals.front());
  }
  return DescribeProposal(store, key, proposed.entry);
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
