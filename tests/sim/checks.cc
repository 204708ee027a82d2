// SPDX-License-Identifier: EUPL-1.2
// The quiet end, and what must hold there: on every node, compared with every other one, and with
// the oracle's second reading of the same bytes.
#include <algorithm>

#include "tests/sim/world.h"

namespace staffel::sim {

void Simulation::Quiet() {
  Trace("quiet");
  const bool with_clones = faults_.Chance(50);
  for (auto& node : nodes_) {
    if (node->is_clone && (!with_clones || !node->up)) {
      if (node->up) Stop(*node);
      node->gone = true;
    }
    if (node->gone) continue;
    FaultingDisk& disk = node->replica.disk();
    disk.SetSpace(std::nullopt);
    node->twin.Mend();
    if (node->up) Stop(*node);
    // Forgets armed faults; keeps what a killed process would leave.
    disk.CutPower(Unsynced::kKept);
    disk.Restart();
    node->away = false;
    SetClock(*node);
    const Status opened = OpenNode(*node);
    if (failure_) return;
    if (!opened) {
      Failed("{} cannot be opened in the end: {}", Name(*node), opened.error().message);
      return;
    }
    node->up = true;
  }
  blocked_until_.clear();
  ClonesComeTogether();
  if (failure_) return;
  for (int breaks = 0; breaks < kTieBreaksMax; ++breaks) {
    if (!ComeTogether()) return;
    Node& first = *nodes_[0];
    const auto tree = first.replica.store().charter();
    if (!tree->InForce().tied) {
      GoBeyond();
      return;
    }
    ++counts_.ties;
    if (!BreakTie(first) || failure_) break;
  }
  Failed("after {} attempts to break it there is still a tie", kTieBreaksMax);
}

void Simulation::GoBeyond() {
  if (!Has(Part::kForgery)) return;
  bool any = false;
  for (const Beyond which : {Beyond::kTerm, Beyond::kErasures, Beyond::kKey}) {
    Node* victim = RandomOf(Members(), acts_);
    if (victim != nullptr && ForgeBeyond(*victim, which)) any = true;
    if (failure_) return;
  }
  if (!any || !ComeTogether() || !acts_.Chance(70)) return;
  for (Node* member : Members()) DecideErasures(*member);
  if (!failure_) ComeTogether();
}

bool Simulation::ComeTogether() {
  const auto before = ActJournals();
  const std::uint64_t copies_before = counts_.copies_deleted;
  for (int round = 0; round < kQuietRoundsMax; ++round) {
    std::uint64_t moved = 0;
    for (std::size_t index = 0; index < nodes_.size(); ++index) {
      Node& node = *nodes_[index];
      if (!node.up) continue;
      std::vector<std::size_t> peers = PeersOf(node);
      // Where these are in doubt themselves, a node tries the others.
      if (InDoubt(node)) {
        for (const Node* other : UpNodes()) {
          if (other->index != node.index) peers.push_back(other->index);
        }
      }
      for (const std::size_t peer : peers) {
        // Whose key is out, or not in yet, hears nothing more, and nobody listens to it.
        if (!nodes_[peer]->up || InDoubt(*nodes_[peer])) continue;
        const auto theirs = AuthorityOf(*nodes_[peer]);
        if (!theirs || !theirs->IsCurrentKey(node.replica.key().public_key())) continue;
        if (node.had_charter && !MayExchange(node, *nodes_[peer])) continue;
        if (!ExchangeNow(node, *nodes_[peer], moved)) return false;
      }
    }
    for (auto& node : nodes_) {
      if (!node->up) continue;
      const Status cosigned = Cosign(*node, moved);
      if (!cosigned) Failed("{} cannot cosign: {}", Name(*node), cosigned.error().message);
      if (!failure_) LeaveAudiences(*node, moved);
      if (!failure_) WipeNow(*node, moved);
      if (!failure_) Receipt(*node, moved);
      if (failure_) return false;
    }
    // Time goes on: a chair pauses between receipts.
    now_ += 2 * kSecond;
    if (moved > 0 || SettleDoubts()) continue;
    if (failure_) return false;
    // That a member has deleted its copy is written down by whoever hears it first.
    if (counts_.copies_deleted == copies_before && ActJournals() != before) {
      Failed("somebody opens journals and has nothing to write");
    }
    return !failure_;
  }
  Failed("after {} rounds with hub and relays, something still moves", kQuietRoundsMax);
  return false;
}

std::vector<Node*> Simulation::Members() {
  std::vector<Node*> members;
  const auto authority = AuthorityOf(*nodes_[0]);
  for (auto& node : nodes_) {
    if (node->up && !node->is_clone && authority &&
        authority->IsCurrentKey(node->replica.key().public_key())) {
      members.push_back(node.get());
    }
  }
  return members;
}

void Simulation::Check() {
  const auto members = Members();
  if (members.empty()) {
    Failed("in the end nobody is in the conference");
    return;
  }
  CheckCharter();
  if (failure_) return;
  const auto authority = AuthorityOf(*members.front());
  for (const charter::Audience& audience : authority->audiences()) {
    Node* first = nullptr;
    std::optional<std::string> state;
    std::optional<Hash> digest;
    for (Node* node : members) {
      if (!audience.IsReader(node->replica.self().id)) continue;
      Store& store = node->replica.store();
      // Whoever cannot read all of it shows less.
      if (mixed_ && node->format == kFormat) continue;
      auto own_digest = Get(*node, testing::DigestRoot(store, audience.id));
      auto own_state = Get(*node, testing::Describe(store, audience.id));
      if (failure_) return;
      if (first == nullptr) {
        first = node;
        state = std::move(own_state);
        digest = std::move(own_digest);
        continue;
      }
      if (*own_digest != *digest) {
        Failed("{} has another digest of audience '{}' than {}", Name(*node), audience.name,
               Name(*first));
      }
      if (*own_state != *state) {
        Failed("{} shows something else than {}: {}", Name(*node), Name(*first),
               testing::Difference(*own_state, *state));
      }
    }
  }
  for (Node* node : members) {
    if (!failure_) CheckNode(*node);
  }
}

// Everybody has the same charter, in force is what a second reading says, and nothing that one
// member may not bring about alone.
void Simulation::CheckCharter() {
  std::shared_ptr<const charter::CharterTree> first;
  for (Node* node : Members()) {
    const auto tree = node->replica.store().charter();
    if (first == nullptr) {
      first = tree;
      const TreeReading reading = ReadTree(*tree);
      if (reading.in_force != tree->InForce().entry || reading.tied != tree->InForce().tied) {
        Failed("{} has charter entry {} in force, its signatures say {}", Name(*node),
               tree->InForce().entry.Hex(), reading.in_force.Hex());
        return;
      }
      continue;
    }
    if (tree->SummaryHash() != first->SummaryHash() ||
        tree->InForce().entry != first->InForce().entry) {
      Failed("{} has another charter than {}", Name(*node), Name(*Members().front()));
      return;
    }
    for (const EntryId& id : first->Entries()) {
      using Kind = charter::CharterSignature::Kind;
      for (const Kind kind : {Kind::kApproval, Kind::kSeen}) {
        if (tree->SignersOf(id, kind) != first->SignersOf(id, kind)) {
          Failed("{} knows other signers of charter entry {}", Name(*node), id.Hex());
          return;
        }
      }
    }
  }
  for (const EntryId& id : first->PathInForce()) {
    const auto act = acts_proposed_.find(id);
    if (act == acts_proposed_.end()) continue;
    switch (act->second.kind) {
      case Act::Kind::kForbidden:
        Failed("in force is what the chair {}", act->second.text);
        return;
      case Act::Kind::kHandover:
        ++counts_.handovers;
        break;
      case Act::Kind::kRecovery:
        ++counts_.recoveries;
        break;
      case Act::Kind::kAddKey:
        ++counts_.keys_added;
        break;
      case Act::Kind::kRemoveKey:
        ++counts_.keys_removed;
        break;
      case Act::Kind::kRule:
        ++counts_.rules_changed;
        break;
      case Act::Kind::kTakeIn:
        ++counts_.taken_in;
        break;
      case Act::Kind::kTakeOut:
        ++counts_.taken_out;
        break;
      case Act::Kind::kErase:
        ++counts_.erasures_quorum;
        break;
    }
  }
}

void Simulation::CheckNode(Node& node) {
  Store& store = node.replica.store();
  auto batches = Get(node, testing::ReadAll(store, 1 << 20));
  if (failure_) return;
  const Reading reading(std::move(*batches));
  const auto tree = store.charter();
  const Rights rights(*tree, tree->InForce().entry);
  const Standings standings = rights.StandingsOf(reading);
  const auto valid = ValidOf(standings);
  CheckEntries(node, reading, rights, valid);
  if (!failure_) CheckHeads(node, reading, rights, valid);
  if (!failure_) CheckErasures(node, reading, rights, standings);
  if (!failure_) CheckReceipts(node, reading, rights, valid);
  if (!failure_) CheckAudiences(node);
  if (!failure_) CheckIncomplete(node, reading);
  if (!failure_) CheckLeft(node);
  if (failure_) return;
  const auto report = Get(node, store.Verify());
  if (failure_) return;
  if (!report->problems.empty()) {
    Failed("{} does not verify: {}", Name(node), report->problems.front());
  }
  const auto incidents = Get(node, store.Incidents(0, 100));
  if (failure_) return;
  for (const auto& incident : *incidents) {
    if (incident.kind == "fork" || (incident.kind == "doubt" && counts_.doubts > 0)) continue;
    Failed("{}: {}", Name(node), incident.text);
  }
}

// What was acknowledged is with everybody who may have it, as its writer meant it.
void Simulation::CheckEntries(Node& node, const Reading& reading, const Rights& rights,
                              const std::set<EntryId>& valid) {
  for (const auto& writer : nodes_) {
    // Whose key is out has said all that it will say; what it wrote afterwards it keeps.
    const auto authority = AuthorityOf(node);
    const bool listed = authority->IsCurrentKey(writer->replica.key().public_key());
    for (const Acknowledged& known : writer->acknowledged) {
      if (known.only_copy_lost || (!listed && writer->index != node.index)) continue;
      if (writer->is_clone && !writer->heard.contains(known.entry)) continue;
      // Who was taken out of an audience has handed its own over, and has nothing left of it.
      if (!rights.Reads(node.replica.self().id, known.edit.audience)) continue;
      const auto found = reading.entries.find(known.entry);
      if (found == reading.entries.end()) {
        Failed("{} lacks entry {}, which {} acknowledged", Name(node), known.entry.Hex(),
               Name(*writer));
        return;
      }
      if (writer->index != node.index) continue;
      CheckAsMeant(node, known, *found->second);
      if (!valid.contains(known.entry)) ++counts_.without_effect;
    }
  }
  for (const EntryId& id : broken_) {
    if (reading.entries.contains(id)) Failed("{} keeps a broken entry, {}", Name(node), id.Hex());
  }
  const auto authority = AuthorityOf(node);
  for (const auto& [id, given_to] : void_) {
    // It may be gone with that node's disk, or have stayed there when its key was taken out.
    const auto& holder = nodes_[given_to]->replica.key().public_key();
    if (!disks_put_back_ && authority->IsCurrentKey(holder) &&
        rights.Reads(node.replica.self().id, conference_->laender()) &&
        !reading.entries.contains(id)) {
      Failed("{} lacks the forged entry {}, which must travel like any other", Name(node),
             id.Hex());
    }
  }
}

void Simulation::CheckAsMeant(const Node& node, const Acknowledged& known, const Entry& entry) {
  const auto* write = std::get_if<WriteBody>(&entry.header.body);
  if (write == nullptr || write->records.size() != known.edit.records.size()) {
    Failed("{}: entry {} is not the edit that was made", Name(node), entry.id.Hex());
    return;
  }
  for (std::size_t part = 0; part < write->records.size(); ++part) {
    const RecordEdit& meant = known.edit.records[part];
    const RecordPart& written = write->records[part];
    if (meant.mode == RecordEdit::Mode::kDelete || meant.mode == RecordEdit::Mode::kRestore) {
      continue;
    }
    if (!entry.payloads[part]) continue;  // erased: CheckErasures knows whether it may be
    const auto payload = ParsePayload(*entry.payloads[part], written.changes.size());
    if (!payload || meant.cells.size() != written.changes.size()) {
      Failed("{}: entry {} has another form than the edit", Name(node), entry.id.Hex());
      return;
    }
    for (std::size_t index = 0; index < meant.cells.size(); ++index) {
      const CellEdit& cell = meant.cells[index];
      std::set<EntryId> named;
      for (const std::uint32_t parent : written.changes[index].parents) {
        named.insert(write->parents[parent]);
      }
      if (written.changes[index].cell != cell.cell || payload->values[index] != cell.value) {
        Failed("{}: entry {} says something else than the edit", Name(node), entry.id.Hex());
      }
      if (cell.parents && named != std::set<EntryId>(cell.parents->begin(), cell.parents->end())) {
        Failed("{}: entry {} names other parents than its writer was shown", Name(node),
               entry.id.Hex());
      }
    }
  }
}

// The heads, the provisional value and the validity of every entry are what the oracle says.
void Simulation::CheckHeads(Node& node, const Reading& reading, const Rights& rights,
                            const std::set<EntryId>& valid) {
  const auto expected = FoldAll(reading, rights, valid);
  auto snapshot = node.replica.store().Read();
  if (!snapshot) {
    Failed("{}: {}", Name(node), snapshot.error().message);
    return;
  }
  std::size_t shown = 0;
  ListFilter filter{.with_deleted = true, .limit = 500};
  for (;;) {
    const auto views = Get(node, snapshot->List(filter));
    if (failure_ || views->empty()) break;
    filter.after_number = views->back().number;
    for (const RecordView& view : *views) {
      ++shown;
      const auto found = expected.find({view.audience, view.kind, view.record});
      if (found == expected.end()) {
        Failed("{} shows record {}, of which nothing is valid", Name(node), view.record.Hex());
        return;
      }
      const auto state = Get(node, snapshot->State(view));
      const auto history = Get(node, snapshot->History(view));
      const auto conflicts = Get(node, snapshot->ConflictsOf(view));
      if (failure_) return;
      HeadsByCell heads;
      for (const auto& cell : state->cells) {
        for (const auto& head : cell.heads) heads[cell.cell].insert(head.entry);
      }
      if (heads != found->second) {
        Failed("{}: the heads of record {} are not what its journals say", Name(node),
               view.record.Hex());
        return;
      }
      for (const HistoryItem& item : *history) {
        if (item.valid != valid.contains(item.entry)) {
          Failed("{} takes entry {} for {}, and the charter does not", Name(node), item.entry.Hex(),
                 item.valid ? "valid" : "void: " + item.invalid_reason);
          return;
        }
      }
      for (const ConflictView& one : *conflicts) {
        if (one.conflict.kind != projection::ConflictKind::kValue) continue;
        // A record that some delete and some do not stays visible: of those heads the latest is
        // shown.
        const bool of_deletion = one.conflict.cell == DeletedCell();
        const projection::Head* latest = nullptr;
        for (const projection::Head& head : one.conflict.heads) {
          if (head.erased || (of_deletion && head.value)) continue;
          if (latest == nullptr ||
              std::pair(head.time, head.entry) > std::pair(latest->time, latest->entry)) {
            latest = &head;
          }
        }
        // What shows no value of several may lack one that could be shown.
        const bool shows = latest != nullptr && (of_deletion || latest->value);
        if (shows && one.conflict.provisional != latest->entry) {
          std::string heads_text;
          for (const projection::Head& head : one.conflict.heads) {
            heads_text += fmt::format(" {}@{}={}", head.entry.Hex().substr(0, 8), head.time.value,
                                      head.value ? ToHex(*head.value) : "-");
          }
          Failed("{} shows {} in place of the latest in cell {} of record {}:{}", Name(node),
                 one.conflict.provisional.Hex().substr(0, 8), ToHex(one.conflict.cell),
                 view.record.Hex(), heads_text);
          return;
        }
      }
    }
  }
  if (failure_) return;
  if (shown != expected.size()) {
    Failed("{} shows {} records, its journals have {}", Name(node), shown, expected.size());
    return;
  }
  if (node.index == 0) {
    counts_.records_at_end += shown;
    const auto counts = Get(node, snapshot->Counts());
    if (!failure_) counts_.conflicts_at_end += counts->conflicts;
  }
}

// What a node may not read is nowhere with it: no journal, no byte in any file.
void Simulation::CheckAudiences(Node& node) {
  auto snapshot = node.replica.store().Read();
  if (!snapshot) {
    Failed("{}: {}", Name(node), snapshot.error().message);
    return;
  }
  const auto authority = AuthorityOf(node);
  const MemberId& member = node.replica.self().id;
  const auto journals = Get(node, snapshot->Journals());
  if (failure_) return;
  for (const JournalView& journal : *journals) {
    if (!authority->Reads(member, journal.audience)) {
      Failed("{} holds a journal of an audience that it may not read", Name(node));
    }
    if (node.index == 0 && journal.branches > 1) ++counts_.forks;
  }
  CheckForks(node, *journals);
  std::vector<std::string> marks;
  for (const charter::Audience& audience : authority->audiences()) {
    if (!audience.IsReader(member)) marks.push_back(MarkOf(audience.id));
  }
  constexpr std::string_view kPrefix = "Merkzeichen-";
  for (const std::string& file : node.replica.disk().Files()) {
    const Bytes content = *node.replica.disk().ReadFile(file);
    for (std::size_t at = content.find(kPrefix); at != Bytes::npos;
         at = content.find(kPrefix, at + 1)) {
      for (const std::string& mark : marks) {
        if (content.compare(at, mark.size(), mark) == 0) {
          Failed("{}'s file {} holds bytes that it may not have", Name(node), file);
          return;
        }
      }
    }
  }
}

}  // namespace staffel::sim
