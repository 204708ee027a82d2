// SPDX-License-Identifier: EUPL-1.2
// The chair's receipts: written as the daemon does, and in the end what everybody shows as
// received, and as missing, is what the receipts held say.
#include <algorithm>

#include "tests/sim/world.h"

namespace staffel::sim {

void Simulation::Receipts(Node& node) {
  AfterFor(node, kSecond + erasing_.Below(6 * kSecond), [this, &node] { Receipts(node); });
  SetClock(node);
  std::uint64_t moved = 0;
  Receipt(node, moved);
  if (node.up && moved > 0) Wake(node);
}

void Simulation::Receipt(Node& node, std::uint64_t& moved) {
  const auto authority = AuthorityOf(node);
  if (!authority || authority->hub_key() != node.replica.key().public_key()) return;
  const bool may_act = ChairMayAct(node);
  const auto worked = node.chair->Work();
  if (!worked) return Excuse(node, worked.error(), "receipting");
  for (const WrittenReceipt& receipt : worked->receipts) {
    ++counts_.receipts;
    ++moved;
    if (!may_act) Failed("{} receipts as the chair, which it may not be now", Name(node));
    if (!authority->Reads(authority->chair(), receipt.audience)) {
      Failed("{} receipts in an audience without the chair", Name(node));
    }
  }
}

void Simulation::CheckReceipts(Node& node, const Reading& reading, const Rights& rights,
                               const std::set<EntryId>& valid) {
  auto snapshot = node.replica.store().Read();
  if (!snapshot) {
    Failed("{}: {}", Name(node), snapshot.error().message);
    return;
  }
  // An honest chair's times never fall, whatever its clock does.
  for (const auto& [id, entry] : reading.entries) {
    if (!std::holds_alternative<ReceiptBody>(entry->header.body)) continue;
    const auto before = reading.entries.find(entry->header.prev);
    if (before == reading.entries.end() || !valid.contains(id)) continue;
    if (entry->header.time < GreatestTime(reading, before->first)) {
      Failed("{} holds receipt {} with a time before its predecessor's", Name(node), id.Hex());
      return;
    }
  }
  const auto received = ReceptionsOf(reading, valid);
  std::map<AudienceId, std::pair<std::uint64_t, std::uint64_t>> missing;  // own, all
  for (const auto& [id, entry] : reading.entries) {
    const JournalId journal = entry->header.seq == 0 ? id : entry->header.journal;
    const OpenBody& open = *reading.opened.at(journal);
    const auto found = received.find(id);
    const auto shown = Get(node, snapshot->ReceptionOf(journal, entry->header.seq, id));
    if (failure_) return;
    const std::optional<Reception> expected =
        found == received.end() ? std::nullopt : std::optional(found->second);
    if (*shown != expected) {
      Failed(
          "{} shows entry {} as received {}, its receipts say {}", Name(node), id.Hex(),
          *shown ? fmt::format("in term {} at {}", (*shown)->term, (*shown)->time.value) : "never",
          expected ? fmt::format("in term {} at {}", expected->term, expected->time.value)
                   : "never");
      return;
    }
    // What was received stays so, and never gets later, unless its receipt counts no more.
    if (const auto before = received_.find({node.index, id}); before != received_.end()) {
      if (valid.contains(before->second.receipt) && (!expected || *expected > before->second)) {
        Failed("{} shows entry {} as received later than before", Name(node), id.Hex());
        return;
      }
    }
    if (expected) received_[{node.index, id}] = *expected;
    const bool receipt = std::holds_alternative<ReceiptBody>(entry->header.body);
    if (entry->header.seq == 0 || expected || (open.lane.term != 0 && receipt)) continue;
    auto& [own, all] = missing[open.audience];
    ++all;
    if (open.key == node.replica.key().public_key()) ++own;
  }
  const auto gaps = Get(node, snapshot->ReceiptGaps());
  if (failure_) return;
  const auto authority = AuthorityOf(node);
  const bool is_hub = authority->hub_key() == node.replica.key().public_key();
  const bool acts = is_hub && ChairMayAct(node);
  for (const ReceiptGap& gap : *gaps) {
    const auto [own, all] = missing[gap.audience];
    if (gap.own != own || gap.all != all) {
      Failed("{} shows a gap of {} ({} of its own), there is one of {} ({})", Name(node), gap.all,
             gap.own, all, own);
      return;
    }
    const bool chair = rights.Reads(authority->chair(), gap.audience);
    if (!chair && gap.receipted) {
      Failed("{} expects receipts in an audience without the chair", Name(node));
      return;
    }
    if (!acts || !gap.receipted) continue;
    counts_.not_received += gap.all;
    // All that has come is received; what the hub wrote itself once somebody else holds it.
    const bool others = std::any_of(nodes_.begin(), nodes_.end(), [&](const auto& other) {
      return other->up && other->index != node.index &&
             authority->IsCurrentKey(other->replica.key().public_key()) &&
             rights.Reads(other->replica.self().id, gap.audience);
    });
    if (gap.all > (others ? 0 : gap.own)) {
      Failed("{} has not receipted {} entries that it holds ({} of its own)", Name(node), gap.all,
             gap.own);
      return;
    }
  }
}

}  // namespace staffel::sim
