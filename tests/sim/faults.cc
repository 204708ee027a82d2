// SPDX-License-Identifier: EUPL-1.2
// What goes wrong with machines, disks and clocks, and what their upkeep does meanwhile.
#include <algorithm>

#include "sync/invitation.h"
#include "tests/sim/world.h"

namespace staffel::sim {

void Simulation::Upkeep(Node& node) {
  AfterFor(node, 5 * kSecond + faults_.Below(20 * kSecond), [this, &node] { Upkeep(node); });
  SetClock(node);
  Store& store = node.replica.store();
  switch (faults_.Below(4)) {
    case 0: {
      const Status moved = store.Checkpoint();
      if (!moved) Excuse(node, moved.error(), "checkpointing");
      break;
    }
    case 1: {
      const auto left = store.IndexSearch(1 + faults_.Below(50));
      if (!left) Excuse(node, left.error(), "indexing");
      break;
    }
    case 2: {
      std::uint64_t moved = 0;
      LeaveAudiences(node, moved);
      if (node.up && moved > 0) Wake(node);
      break;
    }
    default: {
      std::uint64_t moved = 0;
      const Status cosigned = Cosign(node, moved);
      if (!cosigned) {
        Excuse(node, cosigned.error(), "cosigning");
        break;
      }
      Approve(node);
      if (node.up && moved > 0) Wake(node);
      if (node.up && InDoubt(node) && faults_.Chance(8)) {
        const Status trusted = Trust(node);
        if (!trusted) Excuse(node, trusted.error(), "taking the administrator's word");
      }
    }
  }
  if (node.up && !node.is_clone) StartSpares(node);
}

// A node cosigns what is in force and nothing else: looked at here, where it does so.
Status Simulation::Cosign(Node& node, std::uint64_t& moved) {
  Store& store = node.replica.store();
  if (!store.own_member()) return {};
  const auto before = store.charter();
  STAFFEL_TRY(count, sync::CosignInForce(store, node.replica.key()));
  if (count == 0) return {};
  moved += count;
  counts_.cosignatures += count;
  const auto path = before->PathInForce();
  const auto after = store.charter();
  const auto has = [&](const charter::CharterTree& tree, const EntryId& id) {
    const auto signatures = tree.SignaturesOf(id);
    return std::any_of(signatures.begin(), signatures.end(), [&](const auto& signature) {
      return signature.kind == charter::CharterSignature::Kind::kSeen &&
             signature.key == node.replica.key().public_key();
    });
  };
  for (const EntryId& id : after->Entries()) {
    if (!has(*after, id) || has(*before, id)) continue;
    if (std::find(path.begin(), path.end(), id) == path.end()) {
      Failed("{} cosigned charter entry {}, which is not in force there", Name(node), id.Hex());
    }
    if (node.past.waits || after->Find(id)->header.seq < node.past.cosigns_from) {
      Failed("{} was in doubt and cosigned {}, which it may have cosigned before", Name(node),
             id.Hex());
    }
  }
  return {};
}

void Simulation::Fault() {
  After(faults_.Below(2 * end_ / 15 + 1), [this] { Fault(); });
  Node& node = *nodes_[faults_.Chance(25) ? 0 : faults_.Below(nodes_.size())];
  const std::uint64_t what = faults_.Below(100);
  const std::uint64_t how = faults_.Next();
  if (node.gone || node.away) return;
  FaultingDisk& disk = node.replica.disk();
  if (what < 12) {
    if (node.up && Has(Part::kPower)) Crash(node);
  } else if (what < 30) {
    if (!Has(Part::kPower)) return;
    Trace("{} will lose power", Name(node));
    disk.CutPowerAt(disk.operations() + 1 + how % 40, static_cast<Unsynced>(how / 64 % 3));
  } else if (what < 39) {
    if (!Has(Part::kDisk)) return;
    Trace("{}'s disk will fail once", Name(node));
    disk.FailAt(disk.operations() + 1 + how % 30, how / 64 % 2 == 0);
  } else if (what < 47) {
    if (!Has(Part::kDisk)) return;
    Trace("{}'s disk is full", Name(node));
    disk.SetSpace(disk.used() + how % 40'000);
    After(1 + how % (15 * kSecond), [&disk] { disk.SetSpace(std::nullopt); });
  } else if (what < 62) {
    if (!Has(Part::kPartition)) return;
    const std::size_t other = how % nodes_.size();
    blocked_until_[std::minmax(node.index, other)] = now_ + how / 64 % (end_ / 2 + 1);
    Trace("{} cannot reach {}", Name(node), Name(*nodes_[other]));
  } else if (what < 67) {
    if (!Has(Part::kPartition)) return;
    // The hub alone against all.
    for (std::size_t other = 1; other < nodes_.size(); ++other) {
      blocked_until_[{0, other}] = now_ + (how + other * 997) % (end_ / 3 + 1);
    }
    Trace("the first hub is cut off");
  } else if (what < 74) {
    if (!Has(Part::kClock)) return;
    node.skew_ms += static_cast<std::int64_t>(how % (4 * 3'600'000)) - 2 * 3'600'000;
    ++counts_.clocks_set;
  } else if (what < 81) {
    if (!node.up || !Has(Part::kPower)) return;
    Trace("{} restarts", Name(node));
    ++counts_.clean_restarts;
    Stop(node);
    Start(node);
  } else if (what < 86) {
    if (node.up && Has(Part::kBackup)) BackUp(node);
  } else if (what < 88) {
    if (Has(Part::kTwin)) node.twin.Break(how);
  } else if (what < 91) {
    if (Has(Part::kBackup)) RestoreBackup(node);
  } else if (what < 93) {
    if (Has(Part::kTwin)) LoseTwin(node);
  } else if (what < 97) {
    if (Has(Part::kClone)) RunClone(node);
  } else {
    if (Has(Part::kAway)) GoAway(node);
  }
}

void Simulation::Crash(Node& node) {
  const auto unsynced = static_cast<Unsynced>(faults_.Below(3));
  Trace("{} loses power", Name(node));
  CountCut(unsynced);
  node.replica.disk().CutPower(unsynced);
  GoDown(node);
}

void Simulation::CountCut(Unsynced unsynced) {
  if (unsynced == Unsynced::kLost) ++counts_.power_cuts_lost;
  if (unsynced == Unsynced::kTorn) ++counts_.power_cuts_torn;
  if (unsynced == Unsynced::kKept) ++counts_.power_cuts_kept;
}

void Simulation::LoseOnlyCopies(const Node& node) {
  for (auto& writer : nodes_) {
    for (Acknowledged& known : writer->acknowledged) {
      if (known.only_copy_lost) continue;
      bool elsewhere = false;
      for (const auto& other : nodes_) {
        if (other->index != node.index && other->up && !other->is_clone && Holds(*other, known)) {
          elsewhere = true;
          break;
        }
      }
      if (!elsewhere) known.only_copy_lost = true;
    }
  }
  LoseErasures(node);
}

// A node that is switched off and comes back after two years, when everything has gone on.
void Simulation::GoAway(Node& node) {
  if (node.index == 0 || node.is_clone || nodes_.size() < 3 || counts_.away > 0) return;
  Trace("{} is switched off", Name(node));
  ++counts_.away;
  // What nobody else has yet: it comes back when everything has gone on, and some of it is erased.
  for (int text = 0; text < 3 && node.up && Has(Part::kErasure); ++text) Plant(node);
  if (failure_) return;
  if (node.up) Stop(node);
  node.away = true;
  After(faults_.Below(end_ / 2 + 1), [this] { years_ms_ += 2 * kYear; });
}

bool Simulation::Holds(Node& node, const Acknowledged& known) {
  auto snapshot = node.replica.store().Read();
  if (!snapshot) {
    Excuse(node, snapshot.error(), "reading");
    return false;
  }
  for (const RecordEdit& record : known.edit.records) {
    const auto view = snapshot->GetRecord(record.record, known.edit.audience);
    if (!view) return false;
    const auto history = snapshot->History(*view);
    if (!history) {
      Failed("{} cannot tell a record's history: {}", Name(node), history.error().message);
      return false;
    }
    for (const HistoryItem& item : *history) {
      if (item.entry == known.entry) return true;
    }
    return false;
  }
  return false;
}

}  // namespace staffel::sim
