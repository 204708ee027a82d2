// SPDX-License-Identifier: EUPL-1.2
#include "sync/instances.h"

#include <algorithm>

#include "core/base/random.h"
#include "core/store/store.h"

namespace staffel::sync {
namespace {

constexpr std::string_view kInstancesKey = "sync/instances";

bool Contains(const std::vector<Nonce>& list, const Nonce& id) {
  return std::find(list.begin(), list.end(), id) != list.end();
}

void Remember(std::vector<Nonce>& list, const Nonce& id) {
  if (Contains(list, id)) return;
  list.push_back(id);
  if (list.size() > kInstancesBeforeMax) list.erase(list.begin());
}

}  // namespace

Result<Instance> BeginInstance(Store& store, Random& random) {
  Instance instance;
  instance.id = random.DrawId<Nonce>();
  const DoubtState doubt = store.doubt();
  instance.restored = doubt.in_doubt || doubt.cosigning_waits;
  STAFFEL_TRY(stored, store.GetLocal(kInstancesKey));
  Bytes packed(instance.id.bytes());
  ByteView before = stored ? ByteView(*stored) : ByteView();
  while (before.size() >= Nonce::kBytes && instance.before.size() < kInstancesBeforeMax) {
    instance.before.push_back(*Nonce::From(before.substr(0, Nonce::kBytes)));
    packed.append(before.substr(0, Nonce::kBytes));
    before.remove_prefix(Nonce::kBytes);
  }
  STAFFEL_CHECK(store.PutLocal(kInstancesKey, packed));
  return instance;
}

InstanceWatch::Verdict InstanceWatch::Admit(const crypto::PublicKey& peer, const Instance& instance,
                                            TimeMs now) {
  const std::lock_guard lock(mutex_);
  const auto [at, fresh] = seen_.try_emplace(peer, Seen{instance.id, now, {}, {}});
  Seen& seen = at->second;
  const auto lease = static_cast<std::uint64_t>(lease_.count());
  // A clock that was put back far says nothing about who has ended.
  const bool expired =
      now.value >= seen.heard.value + lease || now.value + lease < seen.heard.value;
  if (fresh || instance.id == seen.current) {
    seen.heard = now;
    return {};
  }
  if (expired) {
    seen = {instance.id, now, {}, {}};
    return {};
  }
  if (Contains(seen.followed, instance.id)) {
    std::erase(seen.followed, instance.id);
    Remember(seen.second, seen.current);
    seen.current = instance.id;
    seen.heard = now;
    return {.admitted = true, .discovered = true};
  }
  if (Contains(seen.second, instance.id)) return {.admitted = false, .discovered = false};
  if (instance.restored || Contains(instance.before, seen.current)) {
    Remember(seen.followed, seen.current);
    seen.current = instance.id;
    seen.heard = now;
    return {};
  }
  Remember(seen.second, instance.id);
  return {.admitted = false, .discovered = true};
}

Error RunsTwice() {
  return {
      ErrorCode::kConflict,
      "this node runs twice: another process with the same key, on a copy of the same database, "
      "is exchanging here. Stop one of the two (a copied directory, a snapshot of the machine) "
      "and delete its copy; the other is taken again after ten minutes at most, with all that "
      "it wrote"};
}

}  // namespace staffel::sync
