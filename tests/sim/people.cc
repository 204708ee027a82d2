// SPDX-License-Identifier: EUPL-1.2
// What people and their phones do to a node: everything that the store acknowledges here is
// remembered, and must be there in the end as it was meant.
#include <algorithm>

#include "tests/sim/world.h"

namespace staffel::sim {

void Simulation::Edits(Node& node) {
  SetClock(node);
  for (std::uint64_t count = 1 + people_.Below(3); count > 0 && node.up && !failure_; --count) {
    EditOnce(node);
  }
  Wake(node);
  if (node.up) {
    AfterFor(node, people_.Below(2 * edit_interval_), [this, &node] { Edits(node); });
  }
}

// Mostly what all Länder share; else any other that this node may write.
std::optional<AudienceId> Simulation::PickAudience(Node& node, SimRandom& random) {
  const auto authority = AuthorityOf(node);
  const auto member = node.replica.store().own_member();
  if (!authority || !member) return std::nullopt;  // still waiting for the charter
  const bool chair = node.replica.ActsAsChair();
  std::vector<AudienceId> possible;
  for (const charter::Audience& audience : authority->audiences()) {
    if (audience.chair_writes_only ? chair && audience.IsWriter(*member)
                                   : audience.IsWriter(*member)) {
      possible.push_back(audience.id);
    }
  }
  if (possible.empty()) return std::nullopt;
  const AudienceId& laender = conference_->laender();
  const bool shared = std::find(possible.begin(), possible.end(), laender) != possible.end();
  const std::size_t other = random.Below(possible.size());
  return shared && random.Chance(75) ? laender : possible[other];
}

void Simulation::EditOnce(Node& node) {
  if (!node.repeatable.empty() && people_.Chance(10)) {
    ++counts_.workload.repeated_ops;
    // A copy: Submit may add to the list.
    const Edit again = node.repeatable[people_.Below(node.repeatable.size())];
    Submit(node, again, /*again=*/true);
    return;
  }
  const auto audience = PickAudience(node, people_);
  if (!audience) return;
  auto edit = testing::RandomEdit(node.replica, *audience, people_, counts_.workload);
  if (!edit) {
    Excuse(node, edit.error(), "reading for an edit");
    return;
  }
  if (!*edit) return;
  if (people_.Chance(*audience == conference_->laender() ? 5 : 30)) {
    // A mark that must never be seen elsewhere, in any file.
    Submit(node,
           testing::NewNote(*audience, people_.DrawId<RecordId>(), MarkOf(*audience),
                            MarkOf(*audience)),
           /*again=*/false);
    if (!node.up) return;
  }
  Submit(node, **edit, /*again=*/false);
  // Several of it in one transaction, as an import does.
  if (people_.Chance(5) && node.up) SubmitSeveral(node, *audience);
}

// Whether the edit is written in the chair's lane.
bool Simulation::IsChairs(Node& node, const Edit& edit) {
  const auto authority = AuthorityOf(node);
  const auto* audience = authority ? authority->FindAudience(edit.audience) : nullptr;
  if (audience != nullptr && audience->chair_writes_only) return true;
  for (const RecordEdit& record : edit.records) {
    for (const CellEdit& cell : record.cells) {
      const auto address = DecodeCell(cell.cell);
      if (address && address->owner.kind == OwnerKind::kChair) return true;
    }
  }
  return false;
}

bool Simulation::ChairMayAct(Node& node) {
  const auto tree = node.replica.store().charter();
  return tree != nullptr &&
         ChairActs(*tree, node.replica.key().public_key(), node.replica.clock().Now()) &&
         // What it signed in the term in which it was in doubt may be unknown to it.
         !node.past.waits && AuthorityOf(node)->current_term().number > node.past.barred_until_term;
}

// A chair whose term is signed away, has not begun or is tied hears that: true, and counted.
bool Simulation::ChairRefused(Node& node, bool chairs, const Error& error) {
  const bool waits = error.code == ErrorCode::kUnavailable || error.code == ErrorCode::kDenied;
  if (!chairs || !waits || node.replica.disk().power_is_cut()) return false;
  if (ChairMayAct(node)) {
    Failed("{} may act as the chair and is refused: {}", Name(node), error.message);
  }
  ++counts_.chair_waits;
  return true;
}

std::optional<EntryId> Simulation::Submit(Node& node, const Edit& edit, bool again) {
  const bool chairs = IsChairs(node, edit);
  const bool may_act = !chairs || ChairMayAct(node);
  node.settled_before = node.twin.IsSettled();
  ChooseFormat(node);
  const auto applied = node.replica.store().Apply(edit);
  if (!applied) {
    ++counts_.workload.refusals;
    // Made meanwhile, decided meanwhile, restored meanwhile, no longer the chair: people hear that.
    const ErrorCode code = applied.error().code;
    if (code == ErrorCode::kExists || code == ErrorCode::kConflict || code == ErrorCode::kInvalid ||
        code == ErrorCode::kNotFound || code == ErrorCode::kDenied) {
      if (code == ErrorCode::kNotFound && !again) {
        Failed("{} was shown a record that is not there: {}", Name(node), applied.error().message);
      }
      return std::nullopt;
    }
    if (ChairRefused(node, chairs, applied.error())) return std::nullopt;
    Excuse(node, applied.error(), "applying an edit");
    // A client that heard nothing sends its op again.
    if (edit.op && node.repeatable.size() < kRepeatableMax) node.repeatable.push_back(edit);
    return std::nullopt;
  }
  Trace("{} wrote {}", Name(node), applied->entry.Hex().substr(0, 8));
  if (!may_act && !applied->repeated) {
    Failed("{} wrote {} as the chair, which it may not be now", Name(node), applied->entry.Hex());
  }
  if (edit.op && !applied->repeated) {
    for (const Acknowledged& known : node.acknowledged) {
      if (known.edit.op == edit.op && known.entry != applied->entry && !known.only_copy_lost &&
          Holds(node, known)) {
        Failed("{} applied an op again that it had applied", Name(node));
      }
    }
  }
  Acknowledge(node, applied->entry, edit);
  if (edit.op && !again && node.repeatable.size() < kRepeatableMax) node.repeatable.push_back(edit);
  return applied->entry;
}

void Simulation::SubmitSeveral(Node& node, const AudienceId& audience) {
  std::vector<Edit> edits;
  for (std::uint64_t count = 2 + people_.Below(5); count > 0; --count) {
    edits.push_back(testing::NewNote(audience, people_.DrawId<RecordId>(),
                                     fmt::format("aus einer Datei {}", count)));
  }
  const bool chairs = IsChairs(node, edits.front());
  const bool may_act = !chairs || ChairMayAct(node);
  node.settled_before = node.twin.IsSettled();
  ChooseFormat(node);
  const auto applied = node.replica.store().ApplyAll(edits);
  if (!applied) {
    if (ChairRefused(node, chairs, applied.error())) return;
    if (applied.error().code == ErrorCode::kDenied) return;
    Excuse(node, applied.error(), "applying several edits");
    return;
  }
  if (!may_act) Failed("{} wrote several as the chair, which it may not be now", Name(node));
  for (std::size_t index = 0; index < edits.size(); ++index) {
    Acknowledge(node, (*applied)[index].entry, edits[index]);
  }
}

void Simulation::Acknowledge(Node& node, const EntryId& entry, const Edit& edit) {
  ++counts_.acknowledged;
  // Whatever is written is written under a nonce that the twin holds alone, so that its loss is
  // noticed. A renewal that fails afterwards may leave two.
  if (!node.settled_before && !node.twin.IsSettled()) {
    Failed("{} writes while its twin does not hold the new nonce alone", Name(node));
  }
  for (const Acknowledged& known : node.acknowledged) {
    if (known.entry == entry) return;  // a repeat
  }
  node.acknowledged.push_back({entry, edit});
}

// One phone does something: reads at a replica of its Land and writes an op, or sends what it has.
void Simulation::Devices() {
  After(people_.Below(2 * edit_interval_ / devices_.size() + 200), [this] { Devices(); });
  Device& device = devices_[people_.Below(devices_.size())];
  std::vector<Node*> near;
  for (Node* node : UpNodes()) {
    if (node->replica.self().id == conference_->member(device.member).id) near.push_back(node);
  }
  if (near.empty()) return;
  if (device.outbox.empty() || (device.outbox.size() < 4 && people_.Chance(30))) {
    Node& node = *near[people_.Below(near.size())];
    const auto audience = PickAudience(node, people_);
    if (!audience) return;
    auto edit = testing::RandomEdit(node.replica, *audience, people_, counts_.workload);
    if (!edit) {
      Excuse(node, edit.error(), "reading for a phone");
      return;
    }
    if (!*edit) return;
    (*edit)->op = people_.DrawId<OpId>();
    device.outbox.push_back(std::move(**edit));
    ++counts_.device_ops;
    return;
  }
  if (device.sent) ++counts_.device_repeats;
  std::size_t at = people_.Below(near.size());
  // Where one replica of the Land does not answer, the phone tries the other one.
  if (device.sent && near[at]->index == device.node) at = (at + 1) % near.size();
  Node& node = *near[at];
  if (device.sent && node.index != device.node) ++counts_.device_elsewhere;
  device.sent = true;
  device.node = node.index;
  SetClock(node);
  Submit(node, device.outbox.front(), /*again=*/true);
  if (!node.up || failure_) return;
  Wake(node);
  // The answer may get lost: then the same op comes again, perhaps to another replica.
  if (people_.Chance(10 + loss_percent_)) return;
  device.outbox.erase(device.outbox.begin());
  device.sent = false;
}

}  // namespace staffel::sim
