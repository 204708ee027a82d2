// SPDX-License-Identifier: EUPL-1.2
// Patched nodes: members who write what is not theirs (stored and forwarded, valid nowhere), and
// bytes that no honest program makes (refused).
#include "core/crypto/hash.h"
#include "tests/sim/world.h"

namespace staffel::sim {
namespace {

// A journal that a patched node opens, and what it appends.
class Forgery {
 public:
  Forgery(const ConferenceId& conference, const AudienceId& audience, const Lane& lane,
          const crypto::KeyPair& key, TimeMs time, SimRandom& random)
      : key_(key), time_(time), random_(random) {
    Header header;
    header.time = time;
    header.body = OpenBody{conference, key.public_key(), audience, lane, random.DrawId<Nonce>()};
    run.entries.push_back(SignEntry(std::move(header), {}, key));
  }

  void Write(const CellOwner& owner, int times = 1) {
    WriteBody write;
    RecordPart part;
    part.kind = testing::kNote;
    part.record = random_.DrawId<RecordId>();
    PayloadContent content;
    for (int time = 0; time < times; ++time) {
      part.changes.push_back({EncodeCell({owner, {testing::kNoteTitle}}), {}});
      content.values.emplace_back(testing::TextValue(testing::kNoteTitle, "gefälscht"));
    }
    Bytes payload = SerializePayload(content, random_);
    part.commitment = crypto::HashPayload(payload);
    write.records.push_back(std::move(part));
    Append(std::move(write), {std::move(payload)});
  }

  // Writes the cells of an edit of that audience once more, with it as the parent, and a cell of
  // `other`'s. False where there is no such edit.
  bool Cover(const std::vector<Acknowledged>& known, const AudienceId& audience,
             const MemberId& other) {
    if (known.empty()) return false;
    const Acknowledged& one = known[random_.Below(known.size())];
    if (one.edit.audience != audience || one.edit.records.front().cells.empty()) return false;
    const RecordEdit& record = one.edit.records.front();
    WriteBody write;
    write.parents = {one.entry};
    RecordPart part{.kind = record.kind, .record = record.record};
    PayloadContent content;
    for (const CellEdit& cell : record.cells) {
      part.changes.push_back({cell.cell, {0}});
      content.values.push_back(cell.value);
    }
    part.changes.push_back({EncodeCell({{OwnerKind::kMember, other}, {testing::kNoteTitle}}), {}});
    content.values.emplace_back(testing::TextValue(testing::kNoteTitle, "gefälscht"));
    Bytes payload = SerializePayload(content, random_);
    part.commitment = crypto::HashPayload(payload);
    write.records.push_back(std::move(part));
    Append(std::move(write), {std::move(payload)});
    return true;
  }

  void Append(Body body, std::vector<std::optional<Bytes>> payloads = {}) {
    const Entry& last = run.entries.back();
    Header header;
    header.journal = run.entries.front().id;
    header.seq = last.header.seq + 1;
    header.prev = prev.value_or(last.id);
    header.time = time_;
    header.body = std::move(body);
    run.entries.push_back(SignEntry(std::move(header), std::move(payloads), key_));
  }

  staffel::Run run;
  std::optional<EntryId> prev;  // of the next entry, where it is not to be the right one

 private:
  const crypto::KeyPair& key_;
  TimeMs time_;
  SimRandom& random_;
};

}  // namespace

void Simulation::Forge() {
  After(acts_.Below(end_ / 3 + 1) + end_ / 40, [this] { Forge(); });
  Node* forger = RandomUp();
  Node* victim = RandomUp();
  const bool broken = acts_.Chance(50);
  if (forger == nullptr || forger == victim) return;
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
  void_.insert(id);
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

}  // namespace staffel::sim
