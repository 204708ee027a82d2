// SPDX-License-Identifier: EUPL-1.2
// Patched nodes: members who write what is not theirs (stored and forwarded, valid nowhere), and
// bytes that no honest program makes (refused).
#include "tests/sim/forgery.h"
#include "tests/sim/world.h"

namespace staffel::sim {

void Simulation::Forge() {
  After(acts_.Below(end_ / 3 + 1) + end_ / 40, [this] { Forge(); });
  Node* forger = RandomUp();
  Node* victim = RandomUp();
  const bool broken = acts_.Chance(50);
  const auto beyond = static_cast<Beyond>(acts_.Below(3));
  if (victim != nullptr && acts_.Chance(30) && ForgeBeyond(*victim, beyond)) return;
  if (forger == nullptr || forger == victim || failure_) return;
  const auto authority = AuthorityOf(*victim);
  const auto member = forger->replica.self().id;
  if (!authority || !authority->IsCurrentKey(forger->replica.key().public_key())) return;
  if (!authority->Writes(member, conference_->laender()) ||
      !authority->Reads(victim->replica.self().id, conference_->laender())) {
    return;
  }
  SetClock(*victim);
  if (broken) {
    ForgeBroken(*forger, *victim);
  } else {
    ForgeVoid(*forger, *victim);
  }
}

void Simulation::ForgeVoid(Node& forger, Node& victim) {
  const auto authority = AuthorityOf(victim);
  const bool hub = authority->hub_key() == forger.replica.key().public_key();
  const std::uint64_t what = acts_.Below(7);
  Lane lane;
  if (what == 2) lane.term = 1 + acts_.Below(authority->current_term().number + 1);
  if (what == 5) lane.term = authority->current_term().number;
  // The forger's own term is its own: what it writes there may count.
  const charter::Term* term = lane.term == 0 ? nullptr : authority->FindTerm(lane.term);
  if (what == 2 && term != nullptr && term->replica == forger.replica.key().public_key()) return;
  if (what == 5 && !hub) return;
  Forgery forgery(authority->conference(), conference_->laender(), lane, forger.replica.key(),
                  forger.replica.clock().Now(), acts_);
  MemberId other;
  for (const charter::Member& member : authority->members()) {
    if (member.id != forger.replica.self().id) other = member.id;
  }
  switch (what) {
    case 0:
    case 5:
      forgery.Write({OwnerKind::kMember, other});
      break;
    case 1:
      forgery.Write({OwnerKind::kChair, {}});
      break;
    case 2:
      forgery.Write({OwnerKind::kChair, {}});
      break;
    case 6:
      // Names what stands in another's record, beside a cell that makes all of it void.
      if (!forgery.Cover(victim.acknowledged, conference_->laender(), other)) return;
      break;
    case 3:
      forgery.Write({OwnerKind::kAnyone, {}}, /*times=*/2);
      break;
    default:
      forgery.Append(ReceiptBody{{{forgery.run.entries[0].id, forgery.run.entries[0].id}}});
      break;
  }
  const EntryId id = forgery.run.entries.back().id;
  const auto taken =
      victim.replica.store().Ingest(victim.replica.store().Prepare({{}, {forgery.run}}));
  if (!taken) {
    Excuse(victim, taken.error(), "taking a forgery");
    return;
  }
  if (taken->runs.front().outcome != RunOutcome::kAccepted) {
    Failed("{} refuses a forged entry of {}, which must be kept and be void: {}", Name(victim),
           Name(forger), taken->runs.front().reason ? taken->runs.front().reason->message : "");
    return;
  }
  Trace("{} forged {} ({}) at {}", Name(forger), id.Hex().substr(0, 8), what, Name(victim));
  ++counts_.forged_entries;
  void_[id] = victim.index;
  Wake(victim);
}

void Simulation::ForgeBroken(Node& forger, Node& victim) {
  const auto authority = AuthorityOf(victim);
  const std::uint64_t what = acts_.Below(4);
  const auto stranger = crypto::KeyPair::FromSeedForTests(
      fmt::format("stranger {} {}", options_.seed, ++fresh_keys_));
  const crypto::KeyPair& key = what == 3 ? stranger : forger.replica.key();
  Forgery forgery(authority->conference(), conference_->laender(), {}, key,
                  forger.replica.clock().Now(), acts_);
  forgery.Write({OwnerKind::kAnyone, {}});
  if (what == 1) forgery.prev = forgery.run.entries.front().id;
  forgery.Write({OwnerKind::kAnyone, {}});
  Entry& last = forgery.run.entries.back();
  if (what == 0) last.signature = stranger.Sign(crypto::kTagSign, last.id.bytes());
  if (what == 2) last.payloads.front()->back() ^= 1;
  const auto taken =
      victim.replica.store().Ingest(victim.replica.store().Prepare({{}, {forgery.run}}));
  if (!taken) {
    Excuse(victim, taken.error(), "refusing broken entries");
    return;
  }
  ++counts_.broken_entries;
  broken_.insert(forgery.run.entries.back().id);
  if (taken->runs.front().outcome != RunOutcome::kRefused) {
    Failed("{} takes broken entries (sort {}) that it must refuse", Name(victim), what);
  }
}

// A key goes on where a cut in force has ended it: the chair of a former term, a replica that was
// taken out. Says whether anything was written.
bool Simulation::ForgeBeyond(Node& victim, Beyond which) {
  const auto authority = AuthorityOf(victim);
  if (!authority) return false;
  struct End {
    JournalView journal;
    VectorItem head;
  };
  std::vector<End> ends;
  {
    auto snapshot = victim.replica.store().Read();
    if (!snapshot) return false;
    const auto journals = snapshot->Journals();
    if (!journals) return false;
    for (const JournalView& journal : *journals) {
      if (journal.key == victim.replica.key().public_key() || !NodeOfKey(journal.key)) continue;
      if (!authority->FindCut(journal.journal, journal.audience, journal.key, journal.lane.term)) {
        continue;
      }
      const Beyond of = journal.lane.term == 0                   ? Beyond::kKey
                        : journal.lane.purpose == Purpose::kActs ? Beyond::kTerm
                                                                 : Beyond::kErasures;
      if (of != which) continue;
      const auto vector = snapshot->Vector(journal.audience);
      if (!vector) return false;
      for (const VectorItem& item : *vector) {
        if (item.journal == journal.journal) ends.push_back({journal, item});
      }
    }
  }
  if (ends.empty() && which == Beyond::kErasures) return ForgeErasure(victim);
  if (ends.empty()) return false;
  const End& end = ends[acts_.Below(ends.size())];
  const crypto::KeyPair& key = nodes_[*NodeOfKey(end.journal.key)]->replica.key();
  SetClock(victim);
  Forgery forgery(end.journal.journal, end.head, key, victim.replica.clock().Now(), acts_);
  const Lane& lane = end.journal.lane;
  const bool chair_only = authority->FindAudience(end.journal.audience)->chair_writes_only;
  if (lane.purpose == Purpose::kErasures) {
    ErasureBody body;
    for (const Planted& one : planted_) {
      if (one.audience == end.journal.audience && acts_.Chance(30)) {
        body.records.push_back({testing::kNote, one.record});
        break;
      }
    }
    if (body.records.empty()) return false;
    forgery.Append(std::move(body));
  } else if (lane.term != 0 && acts_.Chance(30)) {
    forgery.Append(ReceiptBody{{{end.journal.journal, end.head.head}}});
  } else {
    forgery.Write({lane.term != 0 && !chair_only ? OwnerKind::kChair : OwnerKind::kAnyone, {}});
  }
  if (!GiveBeyond(victim, forgery.run)) return false;
  continued_.insert(end.journal.journal);
  ++(lane.term != 0 ? counts_.beyond_term : counts_.beyond_key);
  const charter::Audience* audience = authority->FindAudience(end.journal.audience);
  if (!audience->open) ++counts_.beyond_hidden;
  return true;
}

// A former chair erases in a journal of its ended term that nobody has heard of.
bool Simulation::ForgeErasure(Node& victim) {
  const auto authority = AuthorityOf(victim);
  const std::uint64_t term = authority->current_term().number;
  if (term < 2 || planted_.empty()) return false;
  const charter::Term& ended = *authority->FindTerm(1 + acts_.Below(term - 1));
  const auto number = NodeOfKey(ended.replica);
  const Planted& chosen = planted_[acts_.Below(planted_.size())];
  const MemberId& member = victim.replica.self().id;
  if (!number || *number == victim.index || !authority->Reads(member, chosen.audience) ||
      !authority->EverWrote(ended.member, chosen.audience)) {
    return false;
  }
  SetClock(victim);
  Forgery forgery(authority->conference(), chosen.audience, {ended.number, Purpose::kErasures},
                  nodes_[*number]->replica.key(), victim.replica.clock().Now(), acts_);
  ErasureBody body;
  body.records.push_back({testing::kNote, chosen.record});
  forgery.Append(std::move(body));
  if (!GiveBeyond(victim, forgery.run)) return false;
  ++counts_.beyond_term;
  return true;
}

bool Simulation::GiveBeyond(Node& victim, const staffel::Run& run) {
  const EntryId id = run.entries.back().id;
  const auto taken = victim.replica.store().Ingest(victim.replica.store().Prepare({{}, {run}}));
  if (!taken) {
    Excuse(victim, taken.error(), "taking what lies beyond a cut");
    return false;
  }
  if (taken->runs.front().outcome != RunOutcome::kAccepted) {
    Failed("{} refuses an entry beyond a cut, which must be kept: {}", Name(victim),
           taken->runs.front().reason ? taken->runs.front().reason->message : "");
    return false;
  }
  Trace("{} holds {} beyond a cut", Name(victim), id.Hex().substr(0, 8));
  Wake(victim);
  return true;
}

}  // namespace staffel::sim
