// SPDX-License-Identifier: EUPL-1.2
#include "sync/proposal.h"

#include <algorithm>
#include <optional>

#include "core/base/wire.h"
#include "core/charter/needs.h"
#include "core/charter/rebase.h"
#include "core/store/charter_draft.h"

namespace staffel::sync {
namespace {

using charter::CharterTree;
using charter::Content;

// "charter/proposed/<entry>": what this node put forward, and how often again since; the same with
// "dropped" for what a person does not want to see.
constexpr std::string_view kProposedPrefix = "charter/proposed/";
constexpr std::string_view kDroppedPrefix = "charter/dropped/";
constexpr std::size_t kShownDigits = 12;
constexpr std::size_t kPrefixMin = 4;

std::string Local(std::string_view prefix, const EntryId& entry) {
  return std::string(prefix) + entry.Hex();
}

Status Remember(Store& store, const EntryId& entry, std::uint64_t renewals) {
  Bytes value;
  AppendVarint(value, renewals);
  return store.PutLocal(Local(kProposedPrefix, entry), value);
}

// Whoever asks twice gets one proposal, not two of which the first to come into force overtakes the
// other.
Status RefuseRepeated(const CharterTree& tree, const std::set<EntryId>& dropped,
                      const charter::Authority& on, const Content& content) {
  for (const auto& proposal : tree.Waiting()) {
    const auto child = tree.AuthorityOf(proposal.entry);
    if (dropped.contains(proposal.entry) || child == nullptr ||
        tree.Find(proposal.entry)->header.prev != on.entry() ||
        !charter::SameChange(on.content(), child->content(), content)) {
      continue;
    }
    const std::string id = proposal.entry.Hex().substr(0, kShownDigits);
    return Fail(ErrorCode::kExists,
                "the same change waits already, as entry {}: approve it, or drop it first "
                "('staffel waiting --drop {}')",
                id, id);
  }
  return {};
}

// What has become of a change that was put forward here.
enum class Fate { kWaits, kOvertaken, kSettled };
Fate FateOf(const CharterTree& tree, const std::vector<EntryId>& path, const EntryId& entry) {
  const Entry* held = tree.Find(entry);
  const auto needs = tree.NeedsOf(entry);
  if (held == nullptr || !needs || needs->forbidden) return Fate::kSettled;
  if (std::find(path.begin(), path.end(), entry) != path.end()) return Fate::kSettled;
  return held->header.prev == tree.InForce().entry ? Fate::kWaits : Fate::kOvertaken;
}

// The same change on top of what is in force now.
Result<Content> Anew(const CharterTree& tree, const EntryId& entry) {
  const auto base = tree.AuthorityOf(tree.Find(entry)->header.prev);
  const auto proposed = tree.AuthorityOf(entry);
  const charter::Authority& now = *tree.InForce().authority;
  if (base == nullptr || proposed == nullptr) {
    return Fail(ErrorCode::kUnsupported, "a newer version made it");
  }
  STAFFEL_TRY(content, charter::Rebased(base->content(), proposed->content(), now.content()));
  const auto needs = charter::JudgeChange(now, content, {});
  if (needs.forbidden) {
    return Fail(ErrorCode::kDenied, "the charter does not allow this: {}", needs.Sentence());
  }
  return content;
}

struct OpenProposal {
  EntryId entry;
  std::uint64_t renewals = 0;
};
Result<std::vector<OpenProposal>> Remembered(Store& store) {
  STAFFEL_TRY(all, store.ListLocal(kProposedPrefix));
  std::vector<OpenProposal> open;
  for (const auto& [local, bytes] : all) {
    ByteView value(bytes);
    const auto entry = EntryId::FromText(std::string_view(local).substr(kProposedPrefix.size()));
    if (entry) open.push_back({*entry, TakeVarint(value).value_or(0)});
  }
  return open;
}

Status Forget(Store& store, const EntryId& entry) {
  return store.PutLocal(Local(kProposedPrefix, entry), std::nullopt);
}

Result<EntryId> FindChange(Store& store, const crypto::KeyPair& key, std::string_view what) {
  std::set<EntryId> found;
  if (what.size() >= kPrefixMin) {
    for (const auto& change : WaitingChanges(store, key, /*all=*/true)) {
      if (change.entry.Hex().starts_with(what)) found.insert(change.entry);
    }
    for (const auto& overtaken : OvertakenChanges(store, key)) {
      if (overtaken.change.entry.Hex().starts_with(what)) found.insert(overtaken.change.entry);
    }
  }
  if (found.empty()) {
    return Fail(ErrorCode::kNotFound,
                "no change waits under {}: 'staffel waiting --all' shows what does", what);
  }
  if (found.size() > 1) {
    return Fail(ErrorCode::kInvalid, "several waiting changes begin with {}: give more of the id",
                what);
  }
  return *found.begin();
}

}  // namespace

Result<EntryId> PutForward(Store& store, const CharterChange& change) {
  STAFFEL_TRY(open, Remembered(store));
  if (open.size() >= kOpenProposalsMax) {
    return Fail(ErrorCode::kTooLarge,
                "{} changes that this node put forward are open: drop some first ('staffel waiting "
                "--drop ID')",
                open.size());
  }
  const auto dropped = DroppedChanges(store);
  STAFFEL_TRY(entry, store.Propose([&](CharterDraft& draft) -> Result<Content> {
    STAFFEL_TRY(content, change(draft));
    // Asked here, where no other writer is: of two at once, one is refused.
    STAFFEL_CHECK(RefuseRepeated(*store.charter(), dropped, draft.authority(), content));
    return content;
  }));
  const auto tree = store.charter();
  // A crash before this leaves a proposal that waits like any other, and is not made anew.
  if (FateOf(*tree, tree->PathInForce(), entry) != Fate::kSettled) {
    STAFFEL_CHECK(Remember(store, entry, 0));
  }
  return entry;
}

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
  STAFFEL_TRY(
      entry, PutForward(store, [&](CharterDraft& draft) -> Result<charter::Content> {
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
  proposed.change.entry = entry;
  if (auto change = ChangeOf(store, key, entry)) proposed.change = std::move(*change);
  const auto needs = store.charter()->NeedsOf(entry);
  proposed.in_force = needs && needs->Satisfied();
  return proposed;
}

Result<std::size_t> RenewOvertaken(Store& store) {
  STAFFEL_TRY(open, Remembered(store));
  std::size_t renewed = 0;
  for (const OpenProposal& one : open) {
    const auto tree = store.charter();
    if (tree == nullptr || tree->InForce().authority == nullptr || tree->InForce().tied) break;
    const Fate fate = FateOf(*tree, tree->PathInForce(), one.entry);
    if (fate == Fate::kSettled) STAFFEL_CHECK(Forget(store, one.entry));
    if (fate != Fate::kOvertaken || one.renewals >= kRenewalsMax) continue;
    auto content = Anew(*tree, one.entry);
    if (content) {
      const auto dropped = DroppedChanges(store);
      const auto proposed = store.Propose([&](CharterDraft& draft) -> Result<Content> {
        if (draft.authority().entry() != tree->InForce().entry) {
          return Fail(ErrorCode::kConflict, "the charter has changed meanwhile: look again");
        }
        // Another thread of this node may do the same at this moment.
        STAFFEL_CHECK(RefuseRepeated(*store.charter(), dropped, draft.authority(), *content));
        return *content;
      });
      if (proposed) {
        STAFFEL_CHECK(Remember(store, *proposed, one.renewals + 1));
        STAFFEL_CHECK(Forget(store, one.entry));
        ++renewed;
        continue;
      }
      content = tl::unexpected<Error>(proposed.error());
    }
    // All of it is in force by another entry, or waits in one.
    if (content.error().code == ErrorCode::kExists) STAFFEL_CHECK(Forget(store, one.entry));
  }
  return renewed;
}

std::vector<OvertakenChange> OvertakenChanges(Store& store, const crypto::KeyPair& key) {
  std::vector<OvertakenChange> out;
  const auto tree = store.charter();
  const auto open = Remembered(store);
  if (tree == nullptr || tree->InForce().authority == nullptr || !open || open->empty()) return out;
  const auto path = tree->PathInForce();
  for (const OpenProposal& one : *open) {
    if (FateOf(*tree, path, one.entry) != Fate::kOvertaken || tree->InForce().tied) continue;
    auto change = ChangeOf(store, key, one.entry);
    if (!change) continue;
    const auto content = Anew(*tree, one.entry);
    if (content && one.renewals < kRenewalsMax) continue;  // the next look at the charter does it
    out.push_back({std::move(*change),
                   content ? fmt::format("it has been put forward {} times", one.renewals + 1)
                           : content.error().message});
  }
  return out;
}

Result<EntryId> DropChange(Store& store, const crypto::KeyPair& key, std::string_view what) {
  STAFFEL_TRY(entry, FindChange(store, key, what));
  // What waits no more needs no hiding; so that there is never more of it than waits.
  std::set<EntryId> waiting;
  for (const auto& change : WaitingChanges(store, key, /*all=*/true)) waiting.insert(change.entry);
  for (const EntryId& old : DroppedChanges(store)) {
    if (!waiting.contains(old)) STAFFEL_CHECK(store.PutLocal(Local(kDroppedPrefix, old), {}));
  }
  if (waiting.contains(entry)) {
    STAFFEL_CHECK(store.PutLocal(Local(kDroppedPrefix, entry), Bytes("1")));
  }
  STAFFEL_CHECK(Forget(store, entry));
  return entry;
}

Result<EntryId> KeepChange(Store& store, const crypto::KeyPair& key, std::string_view what) {
  STAFFEL_TRY(entry, FindChange(store, key, what));
  STAFFEL_CHECK(store.PutLocal(Local(kDroppedPrefix, entry), std::nullopt));
  return entry;
}

std::set<EntryId> DroppedChanges(Store& store) {
  std::set<EntryId> dropped;
  const auto all = store.ListLocal(kDroppedPrefix);
  if (!all) return dropped;
  for (const auto& [local, bytes] : *all) {
    const auto entry = EntryId::FromText(std::string_view(local).substr(kDroppedPrefix.size()));
    if (entry) dropped.insert(*entry);
  }
  return dropped;
}

}  // namespace staffel::sync
