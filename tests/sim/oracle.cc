// SPDX-License-Identifier: EUPL-1.2
#include "tests/sim/oracle.h"

#include <algorithm>

#include "core/charter/needs.h"

namespace staffel::sim {

Reading::Reading(std::vector<Batch> batches) : kept(std::move(batches)) {
  for (const Batch& batch : kept) {
    for (const Run& run : batch.runs) {
      for (const Entry& entry : run.entries) {
        entries[entry.id] = &entry;
        if (const auto* open = std::get_if<OpenBody>(&entry.header.body)) opened[entry.id] = open;
      }
    }
  }
}

// ---------------------------------------------------------------------------------------------
// Rights

namespace {

charter::Content ContentOf(const Entry& entry) {
  auto content = charter::ParseContent(std::get<CharterBody>(entry.header.body).charter);
  STAFFEL_ASSERT(content.has_value());
  return std::move(*content);
}

JournalId JournalOf(const Entry& entry) {
  return entry.header.seq == 0 ? entry.id : entry.header.journal;
}

// `entry` or one of its ancestors is `wanted`.
bool Reaches(const Reading& reading, const EntryId& entry, const EntryId& wanted) {
  for (auto at = reading.entries.find(entry); at != reading.entries.end();
       at = reading.entries.find(at->second->header.prev)) {
    if (at->first == wanted) return true;
    if (at->second->header.seq == 0) return false;
  }
  return false;
}

}  // namespace

Rights::Rights(const charter::CharterTree& tree, const EntryId& in_force) {
  for (EntryId at = in_force;;) {
    const Entry* entry = tree.Find(at);
    STAFFEL_ASSERT(entry != nullptr);
    contents_.push_back(ContentOf(*entry));
    if (entry->header.seq == 0) break;
    at = entry->header.prev;
  }
  std::reverse(contents_.begin(), contents_.end());
}

std::optional<MemberId> Rights::OwnerOf(const crypto::PublicKey& key) const {
  for (const charter::Content& content : contents_) {
    for (const charter::Member& member : content.members) {
      for (const charter::Replica& replica : member.replicas) {
        if (replica.key == key) return member.id;
      }
    }
  }
  return std::nullopt;
}

bool Rights::Reads(const MemberId& member, const AudienceId& audience) const {
  const charter::Audience* found = content().FindAudience(audience);
  return found != nullptr && found->IsReader(member);
}

bool Rights::JournalCounts(const OpenBody& open, const charter::Cut* cut) const {
  const auto member = OwnerOf(open.key);
  const charter::Audience* audience = content().FindAudience(open.audience);
  if (!member || audience == nullptr) return false;
  const bool ever_wrote =
      std::any_of(contents_.begin(), contents_.end(), [&](const charter::Content& content) {
        const auto* then = content.FindAudience(open.audience);
        return then != nullptr && then->IsWriter(*member);
      });
  if (!ever_wrote) return false;
  if (open.lane.term == 0) {
    const charter::Member* now = content().FindMember(*member);
    const bool listed =
        now != nullptr && std::any_of(now->replicas.begin(), now->replicas.end(),
                                      [&](const auto& replica) { return replica.key == open.key; });
    return (listed && audience->IsWriter(*member)) || cut != nullptr;
  }
  if (open.lane.term > content().terms.size()) return false;
  if (content().terms[open.lane.term - 1].replica != open.key) return false;
  return open.lane.term == content().terms.size() || cut != nullptr;
}

bool Rights::BodyCounts(const OpenBody& open, const Header& header) const {
  const bool chair = open.lane.term != 0;
  const bool erasures = open.lane.purpose == Purpose::kErasures;
  if (header.opaque) return false;
  if (std::holds_alternative<OpenBody>(header.body)) return true;
  if (std::holds_alternative<ErasureBody>(header.body)) return erasures;
  if (std::holds_alternative<ReceiptBody>(header.body)) return chair && !erasures;
  const auto* write = std::get_if<WriteBody>(&header.body);
  if (write == nullptr || erasures) return false;
  const bool chair_only = content().FindAudience(open.audience)->chair_writes_only;
  const MemberId member = *OwnerOf(open.key);
  std::set<std::tuple<std::uint32_t, RecordId, Cell>> written;
  for (const RecordPart& part : write->records) {
    for (const CellChange& change : part.changes) {
      const auto address = DecodeCell(change.cell);
      if (!address || !written.emplace(part.kind, part.record, change.cell).second) return false;
      const CellOwner& owner = address->owner;
      const bool may = owner.kind == OwnerKind::kMember  ? !chair && owner.member == member
                       : owner.kind == OwnerKind::kChair ? chair
                                                         : chair == chair_only;
      if (!may) return false;
    }
  }
  return true;
}

std::set<EntryId> Rights::Valid(const Reading& reading) const {
  std::set<EntryId> valid;
  for (const auto& [id, entry] : reading.entries) {
    const JournalId journal = JournalOf(*entry);
    const OpenBody& open = *reading.opened.at(journal);
    const charter::Cut* cut = nullptr;
    for (const charter::Cut& one : content().cuts) {
      if (one.journal == journal && one.audience == open.audience && one.key == open.key &&
          one.term == open.lane.term) {
        cut = &one;
      }
    }
    if (!JournalCounts(open, cut) || !BodyCounts(open, entry->header)) continue;
    if (cut != nullptr && !cut->hidden) {
      bool within = false;
      for (const charter::CutHead& head : cut->heads) {
        const bool held = reading.entries.contains(head.entry);
        within =
            within || (held ? Reaches(reading, head.entry, id) : entry->header.seq <= head.seq);
      }
      if (!within) continue;
    }
    valid.insert(id);
  }
  return valid;
}

// ---------------------------------------------------------------------------------------------
// The tree

namespace {

struct TreeNode {
  const Entry* entry = nullptr;
  charter::Content content;
  std::vector<EntryId> children;
  bool possible = false;
  bool settled = false;
  bool approved = false;
  std::pair<std::size_t, std::size_t> best;  // settled, approved by a quorum
};

std::set<MemberId> SignersBy(const charter::CharterTree& tree, const EntryId& id,
                             const charter::Content& judge, charter::CharterSignature::Kind kind) {
  std::set<MemberId> members;
  for (const charter::CharterSignature& signature : tree.SignaturesOf(id)) {
    if (signature.kind != kind) continue;
    for (const charter::Member& member : judge.members) {
      if (member.SignsWith(signature.key)) members.insert(member.id);
    }
  }
  return members;
}

bool MoreThanHalf(const charter::Content& judge, const std::set<MemberId>& members) {
  std::size_t all = 0;
  std::size_t have = 0;
  for (const charter::Member& member : judge.members) {
    if (!member.voting || !member.has_keys()) continue;
    ++all;
    have += members.contains(member.id) ? 1 : 0;
  }
  return 2 * have > all;
}

}  // namespace

TreeReading ReadTree(const charter::CharterTree& tree) {
  std::map<EntryId, TreeNode> nodes;
  std::vector<EntryId> order = tree.Entries();  // parents first
  for (const EntryId& id : order) {
    TreeNode node;
    node.entry = tree.Find(id);
    if (!std::holds_alternative<CharterBody>(node.entry->header.body)) continue;
    node.content = ContentOf(*node.entry);
    const bool first = node.entry->header.seq == 0;
    const auto parent = nodes.find(node.entry->header.prev);
    if (!first && parent == nodes.end()) continue;
    const charter::Content& judge = first ? node.content : parent->second.content;
    using Kind = charter::CharterSignature::Kind;
    const auto approved = SignersBy(tree, id, judge, Kind::kApproval);
    node.settled = MoreThanHalf(judge, SignersBy(tree, id, judge, Kind::kSeen));
    node.approved = MoreThanHalf(judge, approved);
    if (first) {
      node.possible = true;
    } else {
      const auto needs = tree.NeedsOf(id);
      const bool met =
          needs && !needs->forbidden &&
          (node.approved ||
           std::all_of(needs->requirements.begin(), needs->requirements.end(),
                       [&](const charter::Requirement& one) { return one.MetBy(approved); }));
      node.possible = parent->second.possible && met;
      parent->second.children.push_back(id);
    }
    nodes.emplace(id, std::move(node));
  }
  for (auto id = order.rbegin(); id != order.rend(); ++id) {
    const auto at = nodes.find(*id);
    if (at == nodes.end() || !at->second.possible) continue;
    TreeNode& node = at->second;
    for (const EntryId& child : node.children) {
      if (nodes.at(child).possible) node.best = std::max(node.best, nodes.at(child).best);
    }
    node.best.first += node.settled ? 1 : 0;
    node.best.second += node.approved ? 1 : 0;
  }
  const auto strongest = [&](const EntryId& id) {
    std::vector<EntryId> best;
    for (const EntryId& child : nodes.at(id).children) {
      const TreeNode& node = nodes.at(child);
      if (!node.possible) continue;
      if (!best.empty() && node.best < nodes.at(best.front()).best) continue;
      if (!best.empty() && node.best > nodes.at(best.front()).best) best.clear();
      best.push_back(child);
    }
    return best;
  };
  TreeReading reading{.in_force = tree.conference()};
  for (;;) {
    const auto best = strongest(reading.in_force);
    if (best.empty()) return reading;
    if (best.size() > 1) {
      reading.tied = true;
      for (EntryId end : best) {
        for (auto next = strongest(end); !next.empty(); next = strongest(end)) end = next.front();
        reading.tied_ends.push_back(end);
      }
      return reading;
    }
    reading.in_force = best.front();
  }
}

bool ChairActs(const charter::CharterTree& tree, const crypto::PublicKey& key, TimeMs now) {
  if (tree.Find(tree.conference()) == nullptr) return false;  // it has not come yet
  const TreeReading reading = ReadTree(tree);
  const charter::Content in_force = ContentOf(*tree.Find(reading.in_force));
  const charter::Term& term = in_force.terms.back();
  if (reading.tied || term.replica != key) return false;
  if (in_force.terms.size() > 1 && now < term.starts) return false;
  // What stands on the entry in force and is not in force waits, unless it never can be. Nothing
  // waits further on: a proposal's child counts only once the proposal does.
  for (const EntryId& id : tree.Entries()) {
    const Entry& entry = *tree.Find(id);
    if (entry.header.seq == 0 || entry.header.prev != reading.in_force) continue;
    if (!std::holds_alternative<CharterBody>(entry.header.body)) continue;
    const auto needs = tree.NeedsOf(id);
    if (!needs || needs->forbidden) continue;
    const auto signers = SignersBy(tree, id, in_force, charter::CharterSignature::Kind::kApproval);
    if (signers.contains(term.member) && ContentOf(entry).terms.size() != in_force.terms.size()) {
      return false;
    }
  }
  return true;
}

// ---------------------------------------------------------------------------------------------
// The fold

std::map<RecordKey, HeadsByCell> FoldAll(const Reading& reading, const Rights& rights,
                                         const std::set<EntryId>& valid) {
  std::map<RecordKey, std::map<Cell, std::map<EntryId, std::set<EntryId>>>> changes;
  // Entries of one member with one op are repeats: naming one names all.
  std::map<std::pair<MemberId, OpId>, std::vector<EntryId>> repeats;
  std::map<EntryId, std::pair<MemberId, OpId>> op_of;
  for (const auto& [id, entry] : reading.entries) {
    const auto* write = std::get_if<WriteBody>(&entry->header.body);
    if (write == nullptr || entry->header.opaque) continue;
    const OpenBody& open = *reading.opened.at(JournalOf(*entry));
    const auto member = rights.OwnerOf(open.key);
    if (entry->header.op && member) {
      const std::pair key(*member, *entry->header.op);
      repeats[key].push_back(id);
      op_of[id] = key;
    }
    for (const RecordPart& part : write->records) {
      auto& cells = changes[{open.audience, part.kind, part.record}];
      for (const CellChange& change : part.changes) {
        auto& parents = cells[change.cell][id];
        for (const std::uint32_t parent : change.parents) parents.insert(write->parents[parent]);
      }
    }
  }
  std::map<RecordKey, HeadsByCell> heads;
  for (const auto& [key, cells] : changes) {
    for (const auto& [cell, by_entry] : cells) {
      std::set<EntryId> covered;
      std::vector<EntryId> open;  // they cover what they name
      for (const auto& [id, parents] : by_entry) {
        if (valid.contains(id)) open.push_back(id);
      }
      const auto cover = [&](const EntryId& id) {
        if (by_entry.contains(id) && covered.insert(id).second) open.push_back(id);
      };
      while (!open.empty()) {
        const EntryId id = open.back();
        open.pop_back();
        for (const EntryId& parent : by_entry.at(id)) {
          cover(parent);
          const auto op = op_of.find(parent);
          if (op == op_of.end()) continue;
          for (const EntryId& repeat : repeats[op->second]) cover(repeat);
        }
      }
      for (const auto& [id, parents] : by_entry) {
        if (valid.contains(id) && !covered.contains(id)) heads[key][cell].insert(id);
      }
    }
  }
  return heads;
}

}  // namespace staffel::sim
