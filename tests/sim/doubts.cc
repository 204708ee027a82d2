// SPDX-License-Identifier: EUPL-1.2
// Databases that are put back, lost or run twice, and twins that tell of it or do not. The
// simulation knows what really happened, and expects a node to doubt its past exactly then when it
// can know: not less, and not more.
#include "tests/sim/doubts.h"

#include <algorithm>

#include "core/store/backup.h"
#include "tests/sim/world.h"

namespace staffel::sim {
namespace {

constexpr std::string_view kDatabase = "replica.db";  // as TestReplica names it
constexpr std::string_view kBackupFile = "backup.db";

std::vector<Nonce> NoncesIn(const std::optional<Bytes>& twin) {
  const auto nonces = twin ? DecodeTwin(*twin) : std::nullopt;
  return nonces.value_or(std::vector<Nonce>());
}

}  // namespace

Result<std::optional<Bytes>> SimTwin::Load() {
  if (disk_.power_is_cut()) return Fail(ErrorCode::kStorage, "the power is gone");
  return content;
}

Status SimTwin::Save(ByteView bytes) {
  if (disk_.power_is_cut()) return Fail(ErrorCode::kStorage, "the power is gone");
  if (!broken_) {
    content = Bytes(bytes);
    return {};
  }
  const std::uint64_t how = *broken_;
  broken_.reset();
  const bool power = how % 2 == 0;
  const bool late = how / 2 % 2 == 0;
  if (late) content = Bytes(bytes);
  if (power) {
    ++power_cuts;
    disk_.CutPower(static_cast<testing::Unsynced>(how / 4 % 3));
  } else {
    ++failures;
  }
  return Fail(ErrorCode::kStorage, "the twin cannot be written");
}

bool SimTwin::IsSettled() const { return NoncesIn(content).size() == 1; }

bool Simulation::InDoubt(Node& node) { return node.replica.store().doubt().in_doubt; }

Status Simulation::OpenNode(Node& node) {
  STAFFEL_CHECK(node.replica.Open());
  Store& store = node.replica.store();
  Past& past = node.past;
  const DoubtState doubt = store.doubt();
  if (past.must_doubt && !doubt.in_doubt) {
    Failed("{} goes on with a database that is not its last one, and does not notice", Name(node));
  }
  if (doubt.in_doubt && !past.must_doubt && !past.may_doubt && !past.in_doubt) {
    Failed("{} doubts its past without a reason: {}", Name(node), doubt.reason);
  }
  if (failure_) return {};
  if (doubt.in_doubt && !past.in_doubt) {
    Trace("{} is in doubt: {}", Name(node), doubt.reason);
    ++counts_.doubts;
    past.waits = true;
    const auto authority = store.authority();
    if (authority) {
      past.barred_until_term = std::max(past.barred_until_term, authority->current_term().number);
    }
  }
  past.in_doubt = doubt.in_doubt;
  // An exchange may have been noted, and the power gone before anybody heard it.
  past.waits = past.waits && doubt.cosigning_waits;
  past.must_doubt = false;
  past.may_doubt = false;
  ++past.renewals;
  STAFFEL_TRY(instance,
              sync::BeginInstance(store, node.replica.random(), node.replica.clock().Now()));
  if (!sync::NoteInstance(store, instance)) unnoted_.insert(node.replica.key().public_key());
  node.instance = std::move(instance);
  node.watch = std::make_unique<sync::InstanceWatch>(kSimLease, kSimSilence);
  node.chair = std::make_unique<sync::Chair>(sync::ChairOptions{
      .store = &store, .key = &node.replica.key(), .clock = &node.replica.clock()});
  return {};
}

void Simulation::BackUp(Node& node) {
  NodeBackup backup{.kind = static_cast<NodeBackup::Kind>(faults_.Below(4)),
                    .past = node.past,
                    .had_charter = node.had_charter};
  if (backup.kind == NodeBackup::Kind::kMade) {
    const auto made = node.replica.store().Backup({.path = std::string(kBackupFile)});
    const auto file = node.replica.disk().ReadFile(kBackupFile);
    if (!made || !file) {
      if (made) {
        Failed("{} made a backup that is not there", Name(node));
      } else {
        Excuse(node, made.error(), "making a backup");
      }
      // The daemon clears away what it could not finish.
      if (node.up) node.replica.disk().RemoveFile(kBackupFile);
      return;
    }
    ++node.past.renewals;
    backup.image.emplace_back(kDatabase, *file);
    node.replica.disk().RemoveFile(kBackupFile);
  } else if (backup.kind != NodeBackup::Kind::kNothing) {
    backup.image = node.replica.disk().Save();
    backup.twin = node.twin.content;
  }
  Trace("{} is copied ({})", Name(node), static_cast<int>(backup.kind));
  node.backup = std::move(backup);
  if (!faults_.Chance(60)) return;
  After(faults_.Below(end_ / 2 + 1), [this, &node] { RestoreBackup(node); });
}

// An administrator brings back yesterday's file, and the node goes on with it. What only this node
// held is then truly lost; everything else must come back.
void Simulation::RestoreBackup(Node& node) {
  if (!node.backup || node.is_clone || node.gone || node.away) return;
  LoseOnlyCopies(node);
  if (failure_) return;
  if (node.up) Stop(node);
  FaultingDisk& disk = node.replica.disk();
  disk.CutPower(Unsynced::kKept);  // what was armed is forgotten
  disk.Restart();
  const NodeBackup backup = std::move(*node.backup);
  node.backup.reset();
  disks_put_back_ = true;
  Trace("{} is restored ({})", Name(node), static_cast<int>(backup.kind));
  disk.SetSpace(std::nullopt);
  disk.Load(backup.image);
  Past& past = node.past;
  const auto held = NoncesIn(node.twin.content);
  bool noticed = true;
  past.must_doubt = past.may_doubt = false;
  node.had_charter = backup.had_charter;
  switch (backup.kind) {
    case NodeBackup::Kind::kMade: {
      ++counts_.restored_backups;
      const Status turned = TurnIntoReplica(std::string(kDatabase), disk.vfs());
      if (!turned) Failed("{} cannot be restored: {}", Name(node), turned.error().message);
      node.twin.content.reset();
      past.must_doubt = true;
      break;
    }
    case NodeBackup::Kind::kCopy:
      ++counts_.restored_copies;
      noticed = past.must_doubt = held.empty() || past.renewals != backup.past.renewals;
      past.may_doubt = true;
      break;
    case NodeBackup::Kind::kDirectory:
      ++counts_.restored_directories;
      node.twin.content = backup.twin;
      noticed = false;
      break;
    case NodeBackup::Kind::kNothing:
      ++counts_.lost_disks;
      // A twin that was there before any nonce stands for an empty database.
      noticed = past.must_doubt = !held.empty() && std::ranges::count(held, Nonce()) == 0;
      if (faults_.Chance(50)) {
        node.twin.content.reset();
        noticed = past.must_doubt = false;
      }
      node.had_charter = node.index == 0;
      break;
  }
  if (!noticed) {
    // It is what it was then, and knows no better; of a disk that is lost with its twin, nothing.
    const Past then = backup.kind == NodeBackup::Kind::kNothing ? Past() : backup.past;
    past.in_doubt = then.in_doubt;
    past.may_doubt = past.may_doubt || past.in_doubt;
    past.waits = then.waits;
    past.barred_until_term = then.barred_until_term;
    past.cosigns_from = then.cosigns_from;
    ran_twice_.insert(node.replica.key().public_key());
  } else {
    past.in_doubt = false;  // as far as the database knows
  }
  if (!failure_) Start(node);
}

void Simulation::LoseTwin(Node& node) {
  if (!node.up || node.is_clone) return;
  Trace("{} loses its twin", Name(node));
  ++counts_.lost_twins;
  const Past before = node.past;
  Stop(node);
  node.twin.content.reset();
  node.past.must_doubt = true;
  Start(node);
  if (!node.up || before.in_doubt || !faults_.Chance(40)) return;
  const Status vouched = node.replica.store().EndDoubt(DoubtEnd::kVouched);
  if (!vouched) {
    Excuse(node, vouched.error(), "taking the administrator's word");
    return;
  }
  Trace("{}'s administrator says that nothing is missing", Name(node));
  ++counts_.vouched;
  node.past = before;
}

// Somebody starts a copy of a node elsewhere, of today or older; after a while it is found and
// stopped. What it alone wrote goes with it, unless it meets the others before.
void Simulation::RunClone(Node& node) {
  if (!node.up || node.is_clone || nodes_.size() > 24) return;
  NodeBackup copy{
      .image = node.replica.disk().Save(), .twin = node.twin.content, .past = node.past};
  const bool old = faults_.Chance(30);
  const bool with_twin = faults_.Chance(70);
  if (old && node.backup && node.backup->twin) copy = *node.backup;
  Node& clone = AddNode(node.replica_number, TestReplica::Charter::kByExchange);
  clone.is_clone = true;
  clone.had_charter = true;
  clone.skew_ms = node.skew_ms;
  SetVersion(clone, node.format);
  clone.replica.disk().Load(copy.image);
  clone.past = copy.past;
  clone.past.may_doubt = copy.past.in_doubt;
  if (with_twin) {
    clone.twin.content = copy.twin;
  } else {
    clone.past.in_doubt = false;
    clone.past.must_doubt = true;
  }
  Trace("{} runs twice", Name(node));
  ++counts_.clones;
  ran_twice_.insert(node.replica.key().public_key());
  Start(clone);
  After(5 * kSecond + faults_.Below(end_ / 2 + 1), [this, &clone] {
    clone.gone = true;
    if (clone.up) Stop(clone);
  });
}

Status Simulation::Exchanged(Node& node) {
  Store& store = node.replica.store();
  if (!store.doubt().in_doubt && !store.doubt().cosigning_waits) return {};
  Past& past = node.past;
  // All numbers that it has met are used up.
  const auto tree = store.charter();
  const auto authority = store.authority();
  for (const EntryId& id : tree->Entries()) {
    if (tree->AuthorityOf(id) == nullptr) continue;
    past.cosigns_from = std::max(past.cosigns_from, tree->Find(id)->header.seq + 1);
  }
  if (authority && authority->hub_key() == node.replica.key().public_key()) {
    past.barred_until_term = std::max(past.barred_until_term, authority->current_term().number);
  }
  STAFFEL_CHECK(store.EndDoubt(DoubtEnd::kExchanged));
  if (past.in_doubt) ++counts_.doubts_ended;
  past.in_doubt = past.waits = false;
  Trace("{} is in doubt no more", Name(node));
  return {};
}

Status Simulation::Trust(Node& node) {
  STAFFEL_CHECK(node.replica.store().EndDoubt(DoubtEnd::kTrusted));
  Trace("{}'s administrator lets it serve", Name(node));
  ++counts_.trusted;
  node.past.in_doubt = false;
  return {};
}

Status Simulation::Admit(Node& node, const Node& from, const sync::Instance& instance) {
  const crypto::PublicKey& key = from.replica.key().public_key();
  const TimeMs now = node.replica.clock().Now();
  const auto verdict = node.watch->Admit(from.replica.tls().public_key(), instance, now);
  Trace("{} {} process {} of {}{}", Name(node), verdict.admitted ? "answers" : "refuses",
        instance.id.Hex().substr(0, 4), Name(from), instance.restored ? ", restored" : "");
  if (!verdict.admitted) {
    ++counts_.second_refused;
    if (!ran_twice_.contains(key) && !unnoted_.contains(key)) {
      Failed("{} refuses {} as a second process, and there is no other", Name(node), Name(from));
    }
    return tl::unexpected<Error>(sync::RunsTwice());
  }
  auto& before = node.admitted[key];
  if (!before.empty() && before.back().process == instance.id) {
    before.back().heard = now;
    before.back().skew_ms = node.skew_ms;
    return {};
  }
  before.push_back({instance.id, now, node.skew_ms});
  // One, the other, the first, the other again: then both were known to run.
  if (before.size() < 4) return {};
  const auto* last = &before.back();
  const auto silence = static_cast<std::uint64_t>(kSimSilence.count());
  const bool one_clock = std::all_of(before.begin(), before.end(), [&](const Admitted& one) {
    return one.skew_ms == node.skew_ms;
  });
  // Where the clock was set in between, who ended when is not known.
  if (one_clock && last[0].process == last[-2].process && last[-1].process == last[-3].process &&
      last[-3].heard <= last[0].heard && last[0].heard.value - last[-1].heard.value < silence &&
      last[-1].heard.value - last[-2].heard.value < silence) {
    Failed("{} goes on with {} and with a second process of it", Name(node), Name(from));
  }
  before.erase(before.begin());
  return {};
}

bool Simulation::SettleDoubts() {
  for (const auto& node : nodes_) {
    if (!node->up || !InDoubt(*node)) continue;
    for (const auto& other : nodes_) {
      if (!other->up || other->is_clone || InDoubt(*other) || !MayExchange(*node, *other) ||
          other->replica.key().public_key() == node->replica.key().public_key()) {
        continue;
      }
      Failed("{} stays in doubt beside {}, which could be asked", Name(*node), Name(*other));
      return false;
    }
    // All are in doubt, or nobody may speak to it any more.
    const Status trusted = Trust(*node);
    if (!trusted) Failed("{}: {}", Name(*node), trusted.error().message);
    return !failure_;
  }
  return false;
}

// What only their own Land reads they cannot bring each other; and where they are the relay, the
// others ask the original.
bool Simulation::IsReached(Node& clone, const AudienceId& audience) {
  const auto authority = AuthorityOf(clone);
  const charter::Audience* found = authority->FindAudience(audience);
  return found != nullptr && found->readers.size() > 1 &&
         authority->RelayOf(audience) != clone.replica.self().id;
}

std::set<JournalId> Simulation::ActJournals() {
  std::set<JournalId> all;
  for (const auto& node : nodes_) {
    if (!node->up) continue;
    auto snapshot = node->replica.store().Read();
    if (!snapshot) {
      Failed("{}: {}", Name(*node), snapshot.error().message);
      return all;
    }
    const auto journals = Get(*node, snapshot->Journals());
    if (!journals) return all;
    for (const JournalView& journal : *journals) {
      if (journal.lane == Lane{}) all.insert(journal.journal);
    }
  }
  return all;
}

void Simulation::ClonesComeTogether() {
  const bool any =
      std::ranges::any_of(nodes_, [](const auto& node) { return node->is_clone && node->up; });
  if (!any) return;
  // Nobody has heard of either since its own start, so both are answered, in turn.
  watching_ = false;
  (void)ComeTogether();
  watching_ = true;
  for (const auto& clone : nodes_) {
    if (failure_) return;
    if (!clone->is_clone || !clone->up) continue;
    const auto original = NodeOfKey(clone->replica.key().public_key());
    const auto authority = AuthorityOf(*clone);
    if (original && nodes_[*original]->up && authority &&
        authority->IsCurrentKey(clone->replica.key().public_key())) {
      ++counts_.clones_at_end;
      for (const Acknowledged& known : clone->acknowledged) {
        if (IsReached(*clone, known.edit.audience)) clone->heard.insert(known.entry);
      }
      for (const AudienceId& audience : authority->AudiencesReadBy(clone->replica.self().id)) {
        if (!IsReached(*clone, audience) || (mixed_ && clone->format == kFormat)) continue;
        const auto one = Get(*clone, testing::DigestRoot(clone->replica.store(), audience));
        Node& other = *nodes_[*original];
        const auto two = Get(other, testing::DigestRoot(other.replica.store(), audience));
        if (one && two && *one != *two) {
          Failed("{} and its clone have met all others, and hold different things", Name(other));
        }
      }
    }
    Stop(*clone);
    clone->gone = true;
  }
}

void Simulation::CheckForks(Node& node, const std::vector<JournalView>& journals) {
  for (const JournalView& journal : journals) {
    if (journal.branches < 2 || ran_twice_.contains(journal.key) ||
        continued_.contains(journal.journal)) {
      continue;
    }
    Failed(
        "{} holds journal {} of {} (term {}) forked, which ran once and knew what it had written",
        Name(node), journal.journal.Hex(), journal.member.text(), journal.lane.term);
    return;
  }
}

}  // namespace staffel::sim
