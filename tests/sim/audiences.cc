// SPDX-License-Identifier: EUPL-1.2
// Members are taken into groups and out of them again: who comes in gets all of it, who goes hands
// over what nobody else has, deletes its copy, and says so.
#include "sync/audiences.h"

#include <algorithm>

#include "tests/sim/world.h"

namespace staffel::sim {
namespace {

// Neither what every conference has nor a Land's own: those have no relay but the hub.
bool IsGroup(const charter::Audience& audience) { return audience.relay.has_value(); }

}  // namespace

void Simulation::AudienceAct() {
  After(end_ / 20 + members_.Below(end_ / 4 + 1), [this] { AudienceAct(); });
  Node* node = RandomOf(UpNodes(), members_);
  const auto authority = node == nullptr ? nullptr : AuthorityOf(*node);
  if (authority == nullptr) return;
  const auto own = node->replica.store().own_member();
  if (!own) return;
  std::vector<const charter::Audience*> groups;
  for (const charter::Audience& audience : authority->audiences()) {
    if (IsGroup(audience) && audience.IsReader(*own)) groups.push_back(&audience);
  }
  if (groups.empty()) return;
  const charter::Audience& group = *groups[members_.Below(groups.size())];
  const bool takes_out = group.readers.size() > 2 && members_.Chance(60);
  std::vector<MemberId> possible;
  for (const charter::Member& member : authority->members()) {
    if (!member.has_keys() || member.id == *own || group.relay == member.id) continue;
    if (group.IsReader(member.id) == takes_out) possible.push_back(member.id);
  }
  if (possible.empty()) return;
  const MemberId& member = possible[members_.Below(possible.size())];
  const bool writes = members_.Chance(75);
  SetClock(*node);
  Store& store = node->replica.store();
  const crypto::KeyPair& key = node->replica.key();
  const auto changed = takes_out ? sync::RemoveFromAudience(store, key, group.id, member)
                                 : sync::AddToAudience(store, key, group.id, member, writes);
  if (!changed) {
    const ErrorCode code = changed.error().code;
    // Proposed already, changed meanwhile, tied meanwhile.
    if (code == ErrorCode::kExists || code == ErrorCode::kDenied || code == ErrorCode::kConflict ||
        code == ErrorCode::kUnavailable) {
      return;
    }
    return Excuse(*node, changed.error(), "changing an audience");
  }
  const EntryId& entry = changed->proposed.entry;
  const std::string text =
      fmt::format("takes {} {} a group", member.text(), takes_out ? "out of" : "into");
  Trace("{} proposes {}: {}", Name(*node), entry.Hex().substr(0, 8), text);
  acts_proposed_[entry] = {takes_out ? Act::Kind::kTakeOut : Act::Kind::kTakeIn, text};
  Wake(*node);
}

void Simulation::LeaveAudiences(Node& node, std::uint64_t& moved) {
  const auto gone = node.replica.store().LeaveAudiences();
  if (!gone) return Excuse(node, gone.error(), "deleting the copy of an audience");
  if (*gone == 0) return;
  Trace("{} has deleted its copies of {} audiences", Name(node), *gone);
  counts_.copies_deleted += *gone;
  moved += *gone;
}

// Who was taken out has nothing left of it; and its word for that is known inside.
void Simulation::CheckLeft(Node& node) {
  Store& store = node.replica.store();
  const auto authority = AuthorityOf(node);
  auto snapshot = store.Read();
  if (!snapshot) {
    Failed("{}: {}", Name(node), snapshot.error().message);
    return;
  }
  if (!snapshot->LeftJournals().empty()) {
    Failed("{} still holds journals of an audience that it was taken out of", Name(node));
    return;
  }
  const auto waiting = Get(node, store.DeletedCopies());
  if (failure_) return;
  if (!waiting->empty()) {
    Failed("{} has deleted a copy, and nobody inside has taken its word for that", Name(node));
    return;
  }
  for (const charter::Audience& audience : authority->audiences()) {
    if (!audience.IsReader(node.replica.self().id)) continue;
    for (const auto& former : sync::FormerReaders(store, *snapshot, audience.id)) {
      if (former.confirmed.value == 0) continue;
      if (!former.verified) {
        Failed("{} holds a word of {} that {} did not sign", Name(node), former.member.text(),
               former.member.text());
        return;
      }
      ++counts_.copies_confirmed;
    }
  }
}

}  // namespace staffel::sim
