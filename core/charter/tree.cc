// SPDX-License-Identifier: EUPL-1.2
#include "core/charter/tree.h"

#include <algorithm>

#include "core/base/mutation.h"
#include "core/base/wire.h"
#include "core/crypto/hash.h"

namespace staffel::charter {
namespace {

std::string_view TagOf(CharterSignature::Kind kind) {
  return kind == CharterSignature::Kind::kApproval ? crypto::kTagSign : crypto::kTagSeen;
}

void AppendMembers(Bytes& out, const std::set<MemberId>& members) {
  AppendVarint(out, members.size());
  for (const MemberId& member : members) {
    AppendVarint(out, member.text().size());
    out.append(member.text());
  }
}

// docs/formats/charter.md, "Summary".
Hash LeafOf(const EntryId& entry, const std::set<MemberId>& approved,
            const std::set<MemberId>& seen) {
  Bytes signers;
  AppendMembers(signers, approved);
  AppendMembers(signers, seen);
  return crypto::Sha256({entry.bytes(), signers});
}

Status CheckForm(const Entry& entry, const ConferenceId& conference) {
  const Header& header = entry.header;
  if (!std::holds_alternative<CharterBody>(header.body) && !header.opaque) {
    return Fail(ErrorCode::kInvalid, "entry {} is not of a charter", entry.id.Hex());
  }
  if (entry.id != crypto::HashEntry(entry.header_bytes)) {
    return Fail(ErrorCode::kCorrupt, "charter entry {} does not match its id", entry.id.Hex());
  }
  const EntryId& journal = header.seq == 0 ? entry.id : header.journal;
  if (journal != conference) {
    return Fail(ErrorCode::kInvalid, "charter entry {} is of another conference, {}",
                entry.id.Hex(), journal.Hex());
  }
  if (!entry.payloads.empty()) {
    return Fail(ErrorCode::kInvalid, "charter entry {} has payloads", entry.id.Hex());
  }
  return {};
}

}  // namespace

CharterSignature SignCharterEntry(const EntryId& entry, CharterSignature::Kind kind,
                                  const crypto::KeyPair& key) {
  return {kind, key.public_key(), key.Sign(TagOf(kind), entry.bytes())};
}

Result<bool> CharterTree::Add(Entry entry) {
  if (Holds(entry.id)) return false;
  STAFFEL_CHECK(CheckForm(entry, conference_));
  if (index_.size() >= kTreeEntriesMax) {
    return Fail(ErrorCode::kTooLarge, "the charter has {} entries; no more are taken",
                index_.size());
  }
  Node node;
  if (!entry.header.opaque) {
    STAFFEL_TRY(content, ParseContent(std::get<CharterBody>(entry.header.body).charter));
    node.content = std::make_shared<const Content>(std::move(content));
  }
  const Header& header = entry.header;
  const auto parent = header.seq == 0 ? index_.end() : index_.find(header.prev);
  if (parent != index_.end() && nodes_[parent->second].entry->header.seq + 1 != header.seq) {
    return Fail(ErrorCode::kCorrupt, "charter entry {} has number {}, but stands on number {}",
                entry.id.Hex(), header.seq, nodes_[parent->second].entry->header.seq);
  }
  const bool waits = header.seq != 0 && (parent == index_.end() || !nodes_[parent->second].linked);
  if (waits && orphan_count_ >= kWaitingForParentsMax) {
    return Fail(ErrorCode::kUnavailable,
                "{} charter entries wait for the entries before them: send those first",
                orphan_count_);
  }
  entry.signature.clear();  // signatures stand beside
  std::shared_ptr<const Content> names = node.content;
  if (!names) {
    // Keys that a newer version names are named: what they sign is stored and forwarded here, too.
    const auto* body = std::get_if<CharterBody>(&entry.header.body);
    auto content = body == nullptr ? Fail(ErrorCode::kUnsupported, "a newer body")
                                   : ParseContent(body->charter);
    if (content) names = std::make_shared<const Content>(std::move(*content));
  }
  if (names) {
    for (const Member& member : names->members) {
      for (const Replica& replica : member.replicas) named_.insert(replica.key);
      named_.insert(member.recovery_keys.begin(), member.recovery_keys.end());
    }
  }
  node.leaf = LeafOf(entry.id, {}, {});
  const EntryId id = entry.id;
  const EntryId prev = header.prev;
  node.entry = std::make_shared<const Entry>(std::move(entry));
  const std::size_t at = nodes_.size();
  nodes_.push_back(std::move(node));
  index_.emplace(id, at);
  if (waits) {
    orphans_[prev].push_back(at);
    ++orphan_count_;
    return true;
  }
  Link(at);
  LinkOrphansOf(id);
  Recompute();
  return true;
}

void CharterTree::LinkOrphansOf(const EntryId& parent) {
  std::vector<EntryId> open{parent};
  while (!open.empty()) {
    const auto found = orphans_.find(open.back());
    open.pop_back();
    if (found == orphans_.end()) continue;
    const std::vector<std::size_t> waiting = std::move(found->second);
    orphan_count_ -= waiting.size();
    const std::uint64_t seq = nodes_[index_.at(found->first)].entry->header.seq;
    orphans_.erase(found);
    for (std::size_t at : waiting) {
      if (nodes_[at].entry->header.seq != seq + 1) {
        Drop(at);  // as it would have been refused had its parent come first
        continue;
      }
      Link(at);
      open.push_back(nodes_[at].entry->id);
    }
  }
}

void CharterTree::Drop(std::size_t at) {
  index_.erase(nodes_[at].entry->id);
  nodes_[at] = Node();
}

void CharterTree::Link(std::size_t at) {
  Node& node = nodes_[at];
  const Header& header = node.entry->header;
  node.linked = true;
  if (header.seq == 0) {
    if (node.content) node.authority = Authority::Found(node.entry->id, node.content);
  } else {
    node.parent = index_.at(header.prev);
    Node& parent = nodes_[*node.parent];
    parent.children.push_back(at);
    Needs needs;
    if (node.content && parent.authority) {
      node.authority = Authority::Extend(*parent.authority, node.entry->id, node.content);
      needs = JudgeChange(*parent.authority, *node.content, {});
    } else {
      needs.forbidden = "is written, or stands on an entry written, by a newer version";
    }
    node.needs = std::make_shared<const Needs>(std::move(needs));
  }
  const auto before = [&](std::size_t a, std::size_t b) {
    const Entry& left = *nodes_[a].entry;
    const Entry& right = *nodes_[b].entry;
    return std::pair(left.header.seq, left.id) < std::pair(right.header.seq, right.id);
  };
  order_.insert(std::lower_bound(order_.begin(), order_.end(), at, before), at);
  Count(node);
}

const Authority* CharterTree::JudgeOf(const Node& node) const {
  if (!node.linked) return nullptr;
  return node.parent ? nodes_[*node.parent].authority.get() : node.authority.get();
}

bool CharterTree::Count(Node& node) {
  const Authority* judge = JudgeOf(node);
  if (judge == nullptr) return false;
  const std::set<MemberId> had_approved = std::exchange(node.approved, {});
  node.seen.clear();
  for (const auto& [by, signature] : node.signatures) {
    const auto member = judge->SignerOf(by.second);
    if (!member) continue;
    (by.first == CharterSignature::Kind::kApproval ? node.approved : node.seen).insert(*member);
  }
  node.leaf = LeafOf(node.entry->id, node.approved, node.seen);
  const bool was_satisfied = node.needs && node.needs->Satisfied();
  if (node.needs && node.approved != had_approved) {
    Needs needs = *node.needs;
    needs.approved = node.approved;
    node.needs = std::make_shared<const Needs>(std::move(needs));
  }
  const bool satisfied = node.needs && node.needs->Satisfied();
  const bool settled = judge->quorum().ReachedBy(node.seen);
  const bool by_quorum = judge->quorum().ReachedBy(node.approved);
  const bool moves =
      satisfied != was_satisfied || settled != node.settled || by_quorum != node.quorum_approved;
  node.settled = settled;
  node.quorum_approved = by_quorum;
  return moves;
}

Result<bool> CharterTree::AddSignature(const EntryId& entry, CharterSignature signature) {
  const auto found = index_.find(entry);
  if (found == index_.end()) {
    return Fail(ErrorCode::kNotFound, "charter entry {} is not here: send it before its signatures",
                entry.Hex());
  }
  if (signature.kind != CharterSignature::Kind::kApproval &&
      signature.kind != CharterSignature::Kind::kSeen) {
    return Fail(ErrorCode::kUnsupported, "a signature on charter entry {} is of unknown kind {}",
                entry.Hex(), static_cast<int>(signature.kind));
  }
  Node& node = nodes_[found->second];
  const std::pair by(signature.kind, signature.key);
  // ECDSA has many signatures of one key over one text: the first one kept is as good as any.
  if (node.signatures.contains(by)) return false;
  if (!KeyEverNamed(signature.key)) {
    return Fail(ErrorCode::kDenied, "key {} signs charter entry {}, but no charter ever named it",
                ToHex(signature.key.bytes()), entry.Hex());
  }
  if (!STAFFEL_MUTATION(kUnverifiedApproval) &&
      !crypto::Verify(signature.key, TagOf(signature.kind), entry.bytes(), signature.signature)) {
    return Fail(ErrorCode::kCorrupt, "a signature by key {} on charter entry {} does not verify",
                ToHex(signature.key.bytes()), entry.Hex());
  }
  node.signatures.emplace(by, std::move(signature.signature));
  if (Count(node)) Recompute();
  return true;
}

void CharterTree::Recompute() {
  for (std::size_t at : order_) {
    Node& node = nodes_[at];
    node.possible = node.parent ? nodes_[*node.parent].possible && node.needs->Satisfied()
                                : node.authority != nullptr;
    node.best = {};
  }
  for (auto at = order_.rbegin(); at != order_.rend(); ++at) {
    Node& node = nodes_[*at];
    if (!node.possible) continue;
    // `best` holds the strongest child's by now.
    node.best.settled += node.settled ? 1 : 0;
    node.best.approved += node.quorum_approved ? 1 : 0;
    if (node.parent) {
      Node& parent = nodes_[*node.parent];
      parent.best = std::max(parent.best, node.best);
    }
  }
  in_force_ = {};
  if (order_.empty() || !nodes_[order_.front()].possible) return;
  std::size_t at = order_.front();
  while (true) {
    std::optional<std::size_t> strongest;
    bool tied = false;
    for (std::size_t child : nodes_[at].children) {
      if (!nodes_[child].possible) continue;
      if (!strongest || nodes_[child].best > nodes_[*strongest].best) {
        strongest = child;
        tied = false;
      } else if (nodes_[child].best == nodes_[*strongest].best) {
        tied = !STAFFEL_MUTATION(kTieGoesOn);
      }
    }
    in_force_.tied = tied;
    if (!strongest || tied) break;
    at = *strongest;
  }
  const Node& node = nodes_[at];
  in_force_.entry = node.entry->id;
  in_force_.seq = node.entry->header.seq;
  in_force_.authority = node.authority;
  in_force_.settled = node.settled;
  in_force_.newer = std::any_of(node.children.begin(), node.children.end(), [&](std::size_t child) {
    return nodes_[child].content == nullptr && nodes_[child].settled;
  });
}

const CharterTree::Node* CharterTree::FindNode(const EntryId& entry) const {
  const auto found = index_.find(entry);
  return found == index_.end() ? nullptr : &nodes_[found->second];
}

const Entry* CharterTree::Find(const EntryId& entry) const {
  const Node* node = FindNode(entry);
  return node == nullptr ? nullptr : node->entry.get();
}

std::vector<EntryId> CharterTree::Entries() const {
  std::vector<EntryId> ids;
  for (std::size_t at : order_) ids.push_back(nodes_[at].entry->id);
  std::vector<std::pair<std::uint64_t, EntryId>> waiting;
  for (const Node& node : nodes_) {
    if (node.entry && !node.linked) waiting.emplace_back(node.entry->header.seq, node.entry->id);
  }
  std::sort(waiting.begin(), waiting.end());
  for (const auto& [seq, id] : waiting) ids.push_back(id);
  return ids;
}

std::vector<CharterSignature> CharterTree::SignaturesOf(const EntryId& entry) const {
  std::vector<CharterSignature> out;
  const Node* node = FindNode(entry);
  if (node == nullptr) return out;
  for (const auto& [by, signature] : node->signatures) {
    out.push_back({by.first, by.second, signature});
  }
  return out;
}

std::vector<EntryId> CharterTree::PathInForce() const {
  std::vector<EntryId> path;
  const Node* node = FindNode(in_force_.entry);
  while (node != nullptr) {
    path.push_back(node->entry->id);
    node = node->parent ? &nodes_[*node->parent] : nullptr;
  }
  std::reverse(path.begin(), path.end());
  return path;
}

bool CharterTree::IsSettled(const EntryId& entry) const {
  const Node* node = FindNode(entry);
  return node != nullptr && node->settled;
}

std::set<MemberId> CharterTree::SignersOf(const EntryId& entry, CharterSignature::Kind kind) const {
  const Node* node = FindNode(entry);
  if (node == nullptr) return {};
  return kind == CharterSignature::Kind::kApproval ? node->approved : node->seen;
}

std::shared_ptr<const Authority> CharterTree::AuthorityOf(const EntryId& entry) const {
  const Node* node = FindNode(entry);
  return node == nullptr ? nullptr : node->authority;
}

std::optional<Needs> CharterTree::NeedsOf(const EntryId& entry) const {
  const Node* node = FindNode(entry);
  if (node == nullptr || !node->needs) return std::nullopt;
  return *node->needs;
}

std::vector<EntryId> CharterTree::TiedEntries() const {
  std::vector<EntryId> tied;
  const Node* node = FindNode(in_force_.entry);
  if (node == nullptr || !in_force_.tied) return tied;
  Strength best;
  for (std::size_t child : node->children) {
    if (nodes_[child].possible) best = std::max(best, nodes_[child].best);
  }
  for (std::size_t child : node->children) {
    if (nodes_[child].possible && nodes_[child].best == best)
      tied.push_back(nodes_[child].entry->id);
  }
  std::sort(tied.begin(), tied.end());
  return tied;
}

EntryId CharterTree::StrongestBelow(const EntryId& entry) const {
  const Node* node = FindNode(entry);
  while (node != nullptr) {
    const Node* strongest = nullptr;
    bool tied = false;
    for (std::size_t child : node->children) {
      const Node& next = nodes_[child];
      if (!next.possible) continue;
      if (strongest == nullptr || next.best > strongest->best) {
        strongest = &next;
        tied = false;
      } else if (next.best == strongest->best) {
        tied = true;
      }
    }
    if (strongest == nullptr || tied) return node->entry->id;
    node = strongest;
  }
  return entry;
}

bool CharterTree::IsOnOrBelow(std::size_t at, const EntryId& ancestor) const {
  std::optional<std::size_t> step = at;
  while (step) {
    if (nodes_[*step].entry->id == ancestor) return true;
    step = nodes_[*step].parent;
  }
  return false;
}

std::vector<CharterTree::Proposal> CharterTree::Waiting() const {
  std::vector<Proposal> waiting;
  for (std::size_t at : order_) {
    const Node& node = nodes_[at];
    if (!node.parent || !node.needs || node.possible || node.needs->forbidden) continue;
    if (!nodes_[*node.parent].possible || !IsOnOrBelow(*node.parent, in_force_.entry)) continue;
    // A third branch beside two tied ones would not untie them.
    if (in_force_.tied && nodes_[*node.parent].entry->id == in_force_.entry) continue;
    waiting.push_back({node.entry->id, *node.needs});
  }
  return waiting;
}

std::vector<EntryId> CharterTree::ToCosign(const crypto::PublicKey& key,
                                           std::uint64_t from_seq) const {
  std::vector<EntryId> out;
  for (const EntryId& id : STAFFEL_MUTATION(kCosignWaiting) ? Entries() : PathInForce()) {
    const Node& node = *FindNode(id);
    if (!node.parent || node.entry->header.seq < from_seq) continue;
    const Authority* judge = JudgeOf(node);
    const auto member = judge->SignerOf(key);
    if (judge->Cosigns(key) && member && !node.seen.contains(*member)) out.push_back(id);
  }
  return out;
}

Hash CharterTree::SummaryHash() const {
  std::vector<std::pair<EntryId, const Hash*>> leaves;
  leaves.reserve(index_.size());
  for (const auto& [id, at] : index_) leaves.emplace_back(id, &nodes_[at].leaf);
  std::sort(leaves.begin(), leaves.end());
  Bytes all;
  all.reserve(leaves.size() * Hash::kBytes);
  for (const auto& [id, leaf] : leaves) {
    all.append(STAFFEL_MUTATION(kIgnoreSigners) ? id.bytes() : leaf->bytes());
  }
  return crypto::Sha256(all);
}

}  // namespace staffel::charter
