// SPDX-License-Identifier: EUPL-1.2
// What the members do to their charter: the chair is handed over, twice at once now and then, keys
// come and go, a quorum begins a term without the chair; and what a dishonest chair tries alone,
// which must never come into force anywhere.
#include <algorithm>

#include "tests/sim/world.h"

namespace staffel::sim {
namespace {

using charter::CharterSignature;

bool HasSigned(const charter::CharterTree& tree, const EntryId& entry,
               const crypto::PublicKey& key) {
  const auto signatures = tree.SignaturesOf(entry);
  return std::any_of(signatures.begin(), signatures.end(), [&](const auto& signature) {
    return signature.kind == CharterSignature::Kind::kApproval && signature.key == key;
  });
}

// The last cut of a lane counts, and there is one.
void PutCut(charter::Content& content, charter::Cut cut) {
  std::erase_if(content.cuts, [&](const charter::Cut& old) {
    return old.journal == cut.journal && old.audience == cut.audience && old.key == cut.key &&
           old.term == cut.term;
  });
  content.cuts.push_back(std::move(cut));
}

using Held = CharterDraft::HeldJournal;

std::function<bool(const Held&)> OfTerm(std::uint64_t term) {
  return [term](const Held& journal) { return journal.lane.term == term; };
}

std::function<bool(const Held&)> OfKey(const crypto::PublicKey& key) {
  return [key](const Held& journal) { return journal.lane.term == 0 && journal.key == key; };
}

// At what is held here, of the audiences that are read here; hidden where they are not open.
Result<std::vector<charter::Cut>> CutsOf(CharterDraft& draft,
                                         const std::function<bool(const Held&)>& which) {
  std::vector<charter::Cut> cuts;
  for (const Held& journal : draft.journals()) {
    if (!which(journal) || !draft.authority().Reads(draft.member(), journal.audience)) continue;
    STAFFEL_TRY(cut, draft.CutOf(journal));
    cuts.push_back(std::move(cut));
  }
  return cuts;
}

}  // namespace

void Simulation::CharterAct() {
  After(acts_.Below(end_ / 4 + 1) + end_ / 40, [this] { CharterAct(); });
  Node* node = RandomUp();
  const std::uint64_t what = acts_.Below(100);
  if (node == nullptr) return;
  const auto authority = AuthorityOf(*node);
  if (!authority) return;
  SetClock(*node);
  const auto hub = NodeOfKey(authority->hub_key());
  Node* chair = hub && nodes_[*hub]->up && !nodes_[*hub]->is_clone ? nodes_[*hub].get() : nullptr;
  if (what < 30) {
    if (chair != nullptr) ProposeHandover(*chair, acts_.Chance(35));
  } else if (what < 42) {
    ProposeRecovery(*node);
  } else if (what < 55) {
    ProposeKey();
  } else if (what < 67) {
    ProposeKeyRemoval();
  } else if (what < 78) {
    charter::Content content = authority->content();
    const bool deadline = chair == node;
    content.rules.push_back(
        {fmt::format("{}.{}", deadline ? "deadline" : "threshold", acts_.Below(1000)), "1",
         TimeMs{testing::kSimStartMs}});
    std::sort(content.rules.begin(), content.rules.end());
    Propose(*node, content, {Act::Kind::kRule, "changes a rule"}, {&node->replica.key()});
  } else if (chair != nullptr && Has(Part::kForgery)) {
    ActAlone(*chair);
  }
}

// A person at the node approves what is proposed, honestly.
void Simulation::Approve(Node& node) {
  Store& store = node.replica.store();
  const auto tree = store.charter();
  if (tree == nullptr || node.is_clone) return;
  for (const auto& proposal : tree->Waiting()) {
    const auto known = acts_proposed_.find(proposal.entry);
    if (known == acts_proposed_.end() || known->second.kind == Act::Kind::kForbidden) continue;
    if (acts_.Chance(30)) continue;
    if (HasSigned(*tree, proposal.entry, node.replica.key().public_key())) continue;
    CharterItem item{.id = proposal.entry};
    item.signatures.push_back(charter::SignCharterEntry(
        proposal.entry, CharterSignature::Kind::kApproval, node.replica.key()));
    const auto taken = store.Ingest(store.Prepare({.charter = {item}}));
    if (!taken) {
      Excuse(node, taken.error(), "approving");
      return;
    }
    Trace("{} approves {}", Name(node), proposal.entry.Hex().substr(0, 8));
  }
}

std::optional<EntryId> Simulation::Propose(Node& node, const charter::Content& content, Act act,
                                           const std::vector<const crypto::KeyPair*>& signers) {
  Store& store = node.replica.store();
  const auto tree = store.charter();
  if (tree == nullptr || tree->InForce().tied) return std::nullopt;
  const Entry* parent = tree->Find(tree->InForce().entry);
  const auto entry = charter::MakeCharterEntry(parent, content, node.replica.clock().Now());
  if (!entry) {
    Failed("{} cannot write a charter: {}", Name(node), entry.error().message);
    return std::nullopt;
  }
  CharterItem item{.entry = *entry, .id = entry->id};
  for (const crypto::KeyPair* key : signers) {
    item.signatures.push_back(
        charter::SignCharterEntry(entry->id, CharterSignature::Kind::kApproval, *key));
  }
  const auto taken = store.Ingest(store.Prepare({.charter = {item}}));
  if (!taken) {
    Excuse(node, taken.error(), "proposing");
    return std::nullopt;
  }
  Trace("{} proposes {}: {}", Name(node), entry->id.Hex().substr(0, 8), act.text);
  acts_proposed_[entry->id] = std::move(act);
  Wake(node);
  return entry->id;
}

std::optional<EntryId> Simulation::ProposeChange(Node& node, const CharterChange& change, Act act) {
  const auto proposed = node.replica.store().Propose(change);
  if (!proposed) {
    const ErrorCode code = proposed.error().code;
    if (code == ErrorCode::kDenied || code == ErrorCode::kConflict) return std::nullopt;
    Excuse(node, proposed.error(), "proposing");
    return std::nullopt;
  }
  Trace("{} proposes {}: {}", Name(node), proposed->Hex().substr(0, 8), act.text);
  acts_proposed_[*proposed] = std::move(act);
  Wake(node);
  return *proposed;
}

// The chair signs for a successor, whom a third will confirm; racing: for two at once.
void Simulation::ProposeHandover(Node& chair, bool racing) {
  const auto authority = AuthorityOf(chair);
  if (!authority || authority->hub_key() != chair.replica.key().public_key()) return;
  const auto& term = authority->current_term();
  for (int count = racing ? 2 : 1; count > 0 && chair.up && !failure_; --count) {
    Node& next = *nodes_[acts_.Below(nodes_.size())];
    const charter::Member* member = authority->FindMember(next.replica.self().id);
    if (next.is_clone || next.gone || member == nullptr || !member->voting ||
        member->id == term.member || !authority->IsCurrentKey(next.replica.key().public_key())) {
      continue;
    }
    const auto change = [&](CharterDraft& draft) -> Result<charter::Content> {
      STAFFEL_TRY(cuts, CutsOf(draft, OfTerm(term.number)));
      return charter::WithNextTerm(draft.authority().content(), member->id,
                                   next.replica.key().public_key(),
                                   TimeMs{chair.replica.clock().Now()}, std::move(cuts));
    };
    if (ProposeChange(
            chair, change,
            {Act::Kind::kHandover, fmt::format("hands the chair to {}", member->id.text())}) &&
        racing && count == 1) {
      ++counts_.racing_handovers;
    }
  }
}

void Simulation::ProposeRecovery(Node& node) {
  const auto authority = AuthorityOf(node);
  const auto own = node.replica.store().own_member();
  const charter::Member* member = own ? authority->FindMember(*own) : nullptr;
  if (member == nullptr || !member->voting || member->id == authority->chair() ||
      !authority->IsCurrentKey(node.replica.key().public_key())) {
    return;
  }
  const auto change = [&](CharterDraft& draft) -> Result<charter::Content> {
    STAFFEL_TRY(cuts, CutsOf(draft, OfTerm(draft.authority().current_term().number)));
    return charter::WithNextTerm(draft.authority().content(), member->id,
                                 node.replica.key().public_key(),
                                 TimeMs{node.replica.clock().Now()}, std::move(cuts));
  };
  ProposeChange(node, change, {Act::Kind::kRecovery, "takes the chair with a quorum"});
}

void Simulation::ProposeKey() {
  for (std::size_t spare = conference_->listed_replicas(); spare < conference_->replicas().size();
       ++spare) {
    const charter::Replica replica = testing::ListedReplica(*conference_, spare);
    for (Node* node : UpNodes()) {
      if (node->replica.self().id !=
          conference_->member(conference_->replicas()[spare].member).id) {
        continue;
      }
      const auto authority = AuthorityOf(*node);
      if (!authority || authority->OwnerEver(replica.key)) continue;
      const auto content =
          charter::WithReplicaAdded(authority->content(), node->replica.self().id, replica);
      if (!content) continue;
      Propose(*node, *content, {Act::Kind::kAddKey, "adds a key"}, {&node->replica.key()});
      return;
    }
  }
}

void Simulation::StartSpares(Node& node) {
  const auto authority = AuthorityOf(node);
  if (!authority) return;
  for (std::size_t spare = conference_->listed_replicas(); spare < conference_->replicas().size();
       ++spare) {
    const auto key = conference_->replicas()[spare].key.public_key();
    if (!authority->IsCurrentKey(key) || NodeOfKey(key)) continue;
    Start(AddNode(spare, TestReplica::Charter::kByExchange));
  }
}

// A Land takes one of its two replicas out: its people stop writing there, the other one fetches
// everything, and signs how far it goes.
void Simulation::ProposeKeyRemoval() {
  for (Node* leaving : UpNodes()) {
    for (Node* other : UpNodes()) {
      if (leaving == other || leaving->replica.self().id != other->replica.self().id) continue;
      const auto authority = AuthorityOf(*other);
      const auto& key = leaving->replica.key().public_key();
      if (!MayExchange(*leaving, *other) || authority->hub_key() == key ||
          leaving->replica.disk().power_is_cut() || other->replica.disk().power_is_cut()) {
        continue;
      }
      const charter::Member* member = authority->FindMember(other->replica.self().id);
      if (member->replicas.size() < 2) return;
      const auto change = [&, key = key](CharterDraft& draft) -> Result<charter::Content> {
        STAFFEL_TRY(cuts, CutsOf(draft, OfKey(key)));
        return charter::WithKeyRemoved(draft.authority().content(), key, std::move(cuts));
      };
      ProposeChange(*other, change,
                    {Act::Kind::kRemoveKey, fmt::format("takes out {}", Name(*leaving))});
      return;
    }
  }
}

// What no signature of the chair alone may bring about.
void Simulation::ActAlone(Node& chair) {
  const auto authority = AuthorityOf(chair);
  if (!authority || authority->hub_key() != chair.replica.key().public_key()) return;
  charter::Content content = authority->content();
  std::vector<const crypto::KeyPair*> signers{&chair.replica.key()};
  const auto fresh = [&] {
    return crypto::KeyPair::FromSeedForTests(
        fmt::format("alone {} {}", options_.seed, ++fresh_keys_));
  };
  Act act{Act::Kind::kForbidden, ""};
  const std::size_t victim = acts_.Below(content.members.size());
  charter::Member& member = content.members[victim];
  const bool other = member.id != authority->chair();
  // Two of two are a quorum with one more: what one signs alone is what is tried.
  if (authority->quorum().needed < 2) return;
  switch (acts_.Below(7)) {
    case 0: {
      act.text = fmt::format("alone adds a key for {}", member.id.text());
      member.replicas.push_back({fresh().public_key(), fresh().public_key(), ""});
      break;
    }
    case 1: {
      if (!other) return;
      auto snapshot = chair.replica.store().Read();
      if (!snapshot) return Excuse(chair, snapshot.error(), "reading");
      const auto journals = snapshot->Journals();
      if (!journals) return Excuse(chair, journals.error(), "reading");
      const auto found = std::find_if(journals->begin(), journals->end(), [&](const auto& journal) {
        return journal.lane.term == 0 && journal.member == member.id;
      });
      if (found == journals->end()) return;
      act.text = fmt::format("alone cuts a journal of {}", member.id.text());
      charter::Cut cut{.journal = found->journal, .audience = found->audience, .key = found->key};
      PutCut(content, std::move(cut));
      break;
    }
    case 2: {
      act.text = "alone begins another term";
      const auto& key = chair.replica.key().public_key();
      content.terms.push_back({content.terms.size() + 1, authority->chair(), key, {}});
      break;
    }
    case 3: {
      // With the successor's signature, and no third: enough only where two are a quorum.
      if (!other || authority->quorum().needed <= 2 || member.replicas.empty() || !member.voting) {
        return;
      }
      const auto node = NodeOfKey(member.replicas.front().key);
      if (!node) return;
      act.text = fmt::format("and {} pass the chair without a third", member.id.text());
      content.terms.push_back(
          {content.terms.size() + 1, member.id, member.replicas.front().key, {}});
      signers.push_back(&nodes_[*node]->replica.key());
      break;
    }
    case 4: {
      // Half of the votes are not more than half of them.
      const auto& eligible = authority->quorum().eligible;
      if (eligible.size() % 2 != 0) return;
      act.text = "and half of the voters change a threshold";
      for (const MemberId& voter : eligible) {
        if (2 * signers.size() == eligible.size()) break;
        if (voter == authority->chair()) continue;
        const auto node = NodeOfKey(authority->FindMember(voter)->replicas.front().key);
        if (!node) return;
        signers.push_back(&nodes_[*node]->replica.key());
      }
      content.rules.push_back({fmt::format("threshold.half{}", ++fresh_keys_), "1", {}});
      std::sort(content.rules.begin(), content.rules.end());
      break;
    }
    case 5: {
      act.text = "alone changes a threshold";
      content.rules.push_back({fmt::format("threshold.alone{}", ++fresh_keys_), "1", {}});
      std::sort(content.rules.begin(), content.rules.end());
      break;
    }
    default: {
      // Signatures of all others, each made with a key of the chair's.
      act.text = "forges signatures for a rule";
      content.rules.push_back({fmt::format("threshold.forged{}", ++fresh_keys_), "1", {}});
      std::sort(content.rules.begin(), content.rules.end());
      const auto id = Propose(chair, content, act, signers);
      if (!id || !chair.up) return;
      CharterItem item{.id = *id};
      for (const charter::Member& one : authority->members()) {
        for (const charter::Replica& replica : one.replicas) {
          auto signature = charter::SignCharterEntry(*id, CharterSignature::Kind::kApproval,
                                                     chair.replica.key());
          signature.key = replica.key;
          item.signatures.push_back(std::move(signature));
        }
      }
      ++counts_.forbidden_acts;
      const auto taken = chair.replica.store().Ingest(chair.replica.store().Prepare({{item}, {}}));
      if (!taken) Excuse(chair, taken.error(), "forging");
      return;
    }
  }
  if (Propose(chair, content, act, signers)) ++counts_.forbidden_acts;
}

bool Simulation::BreakTie(Node& node) {
  Store& store = node.replica.store();
  const auto tree = store.charter();
  const TreeReading reading = ReadTree(*tree);
  if (!reading.tied) return false;
  const EntryId end = reading.tied_ends.front();
  const auto authority = tree->AuthorityOf(end);
  charter::Content content = authority->content();
  content.rules.push_back({fmt::format("tie.{}", ++fresh_keys_), "broken", {}});
  std::sort(content.rules.begin(), content.rules.end());
  const auto entry =
      charter::MakeCharterEntry(tree->Find(end), content, node.replica.clock().Now());
  if (!entry) {
    Failed("nobody can break a tie: {}", entry.error().message);
    return false;
  }
  CharterItem item{.entry = *entry, .id = entry->id};
  for (const MemberId& voter : authority->quorum().eligible) {
    for (const auto& one : nodes_) {
      if (one->is_clone || one->replica.self().id != voter ||
          !authority->SignerOf(one->replica.key().public_key())) {
        continue;
      }
      item.signatures.push_back(charter::SignCharterEntry(
          entry->id, CharterSignature::Kind::kApproval, one->replica.key()));
    }
  }
  const auto taken = store.Ingest(store.Prepare({.charter = {item}}));
  if (!taken) {
    Failed("{} cannot take what breaks a tie: {}", Name(node), taken.error().message);
    return false;
  }
  acts_proposed_[entry->id] = {Act::Kind::kRule, "breaks a tie"};
  Trace("a quorum appends {} to one of the tied branches", entry->id.Hex().substr(0, 8));
  return true;
}

}  // namespace staffel::sim
