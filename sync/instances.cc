// SPDX-License-Identifier: EUPL-1.2
#include "sync/instances.h"

#include <algorithm>

#include "core/base/mutation.h"
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

Result<Instance> BeginInstance(Store& store, Random& random, TimeMs now) {
  Instance instance;
  instance.id = random.DrawId<Nonce>();
  // Some may remember what it has forgotten, until the lease is over.
  const DoubtState doubt = store.doubt();
  const auto lease = static_cast<std::uint64_t>(kInstanceLease.count());
  const bool lately = doubt.since.value != 0 && now.value < doubt.since.value + lease &&
                      doubt.since.value < now.value + lease;
  instance.restored = doubt.in_doubt || doubt.cosigning_waits || lately;
  STAFFEL_TRY(stored, store.GetLocal(kInstancesKey));
  ByteView before = stored ? ByteView(*stored) : ByteView();
  while (before.size() >= Nonce::kBytes && instance.before.size() < kInstancesBeforeMax) {
    instance.before.push_back(*Nonce::From(before.substr(0, Nonce::kBytes)));
    before.remove_prefix(Nonce::kBytes);
  }
  const Status noted = NoteInstance(store, instance);
  if (!noted && noted.error().code != ErrorCode::kStorage) return Forward(noted);
  return instance;
}

Status NoteInstance(Store& store, const Instance& instance) {
  Bytes packed(instance.id.bytes());
  for (const Nonce& before : instance.before) packed.append(before.bytes());
  STAFFEL_TRY(stored, store.GetLocal(kInstancesKey));
  if (stored == packed) return {};
  return store.PutLocal(kInstancesKey, packed);
}

InstanceWatch::Verdict InstanceWatch::Admit(const crypto::PublicKey& peer, const Instance& instance,
                                            TimeMs now) {
  const std::lock_guard lock(mutex_);
  const auto [at, fresh] = seen_.try_emplace(peer, Seen{instance.id, now, {}, {}, {}});
  Seen& seen = at->second;
  // A clock that was put back far says nothing about who has ended.
  const auto since = [&](TimeMs then, std::chrono::milliseconds span) {
    const auto length = static_cast<std::uint64_t>(span.count());
    return now.value >= then.value + length || now.value + length < then.value;
  };
  const auto follow = [&] {
    Remember(seen.followed, seen.current);
    std::erase(seen.second, instance.id);
    seen.current = instance.id;
    seen.heard = now;
    seen.contended.reset();
    return Verdict{};
  };
  if (fresh || instance.id == seen.current) {
    seen.heard = now;
    seen.contended.reset();
    return {};
  }
  if (since(seen.heard, lease_)) {
    seen = {instance.id, now, {}, {}, {}};
    return {};
  }
  if (Contains(seen.followed, instance.id)) {
    const Nonce follower = seen.current;
    std::erase(seen.followed, instance.id);
    seen.current = instance.id;
    seen.heard = now;
    seen.contended.reset();
    Remember(seen.second, follower);
    return {.admitted = true, .discovered = true};
  }
  if (STAFFEL_MUTATION(kAdmitSecond)) return follow();
  const bool known = Contains(seen.second, instance.id);
  if (!known && (instance.restored || Contains(instance.before, seen.current))) return follow();
  // Were the other one running, it would have asked meanwhile.
  if (seen.contended && since(*seen.contended, silence_)) return follow();
  if (!seen.contended) seen.contended = now;
  Remember(seen.second, instance.id);
  return {.admitted = false, .discovered = !known};
}

Error RunsTwice() {
  return {
      ErrorCode::kConflict,
      "this node runs twice: another process with the same key, on a copy of the same database, "
      "is exchanging here. Stop one of the two (a copied directory, a snapshot of the machine) "
      "and delete its copy; the other is taken again two minutes after that, with all that it "
      "wrote"};
}

}  // namespace staffel::sync
