// SPDX-License-Identifier: EUPL-1.2
// Texts about persons, written everywhere and also by those who are cut off; and their erasure by
// whoever may order it: the writer, the chair, a quorum. In the end no file of any node holds what
// an erasure in effect reaches, whenever it came.
#include <algorithm>

#include "tests/sim/world.h"

namespace staffel::sim {
namespace {

// Small letters and digits: so it stands in the index of words as it stands in the text.
constexpr std::string_view kMarkPrefix = "zuloeschen";
constexpr std::size_t kMarkDigits = 16;
constexpr std::size_t kMarkBytes = kMarkPrefix.size() + kMarkDigits;

// All marks in some bytes.
void FindMarks(ByteView bytes, std::set<std::string>& into) {
  for (std::size_t at = bytes.find(kMarkPrefix); at != ByteView::npos;
       at = bytes.find(kMarkPrefix, at + 1)) {
    if (at + kMarkBytes <= bytes.size()) into.emplace(bytes.substr(at, kMarkBytes));
  }
}

}  // namespace

void Simulation::AboutPersons() {
  After(end_ / 60 + erasing_.Below(end_ / 20 + 1), [this] { AboutPersons(); });
  Node* node = RandomOf(UpNodes(), erasing_);
  const std::uint64_t what = erasing_.Below(100);
  if (node == nullptr) return;
  SetClock(*node);
  if (what < 50) {
    Plant(*node);
  } else if (what < 80) {
    EraseSomething(*node);
  } else if (what < 90) {
    Wipe(*node);
  } else {
    for (Node* chair : UpNodes()) {
      if (chair->up) DecideErasures(*chair);
    }
  }
  Wake(*node);
}

void Simulation::Plant(Node& node) {
  const auto audience = PickAudience(node, erasing_);
  if (!audience) return;
  const std::string mark = fmt::format("{}{:016x}", kMarkPrefix, options_.seed << 32 | ++marks_);
  std::vector<RecordId> known;
  for (const Planted& one : planted_) {
    if (one.audience == *audience) known.push_back(one.record);
  }
  Edit edit;
  if (!known.empty() && erasing_.Chance(65)) {
    auto snapshot = node.replica.store().Read();
    if (!snapshot) return Excuse(node, snapshot.error(), "reading a note");
    // Of the last ones: it is these that are edited by several and erased at the same time.
    const std::size_t last = std::min<std::size_t>(known.size(), 6);
    const auto view = snapshot->GetRecord(known[known.size() - 1 - erasing_.Below(last)], audience);
    if (view && !view->deleted) {
      const auto state = snapshot->State(*view);
      if (!state) return Excuse(node, state.error(), "reading a note");
      const std::uint32_t field = erasing_.Chance(50) ? testing::kNoteTitle : testing::kNoteText;
      edit = testing::SetText(*audience, testing::kNote, view->record, field, mark);
      CellEdit& cell = edit.records.front().cells.front();
      cell.parents.emplace();
      for (const auto& one : state->cells) {
        if (one.cell != cell.cell) continue;
        for (const auto& head : one.heads) cell.parents->push_back(head.entry);
      }
    }
  }
  if (edit.records.empty()) {
    edit = testing::NewNote(*audience, erasing_.DrawId<RecordId>(), "Zur Person", mark);
  }
  if (erasing_.Chance(30)) edit.op = erasing_.DrawId<OpId>();
  const auto entry = Submit(node, edit, /*again=*/false);
  if (!entry) return;
  ++counts_.planted;
  planted_.push_back({mark, *entry, node.index, *audience, edit.records.front().record, false});
}

void Simulation::EraseSomething(Node& node) {
  if (planted_.empty()) return;
  const std::size_t last = std::min<std::size_t>(planted_.size(), 12);
  const Planted& chosen = planted_[planted_.size() - 1 - erasing_.Below(last)];
  ErasureRequest request;
  request.targets.push_back({chosen.audience, testing::kNote, chosen.record});
  if (erasing_.Chance(40)) {
    request.fields.push_back(erasing_.Chance(50) ? testing::kNoteTitle : testing::kNoteText);
  }
  Store& store = node.replica.store();
  const auto plans = store.PlanErasure(request);
  if (!plans) return Excuse(node, plans.error(), "planning an erasure");
  const ErasurePlan& plan = plans->front();
  if (plan.refusal || plan.erased_already) return;
  const bool may_act = ChairMayAct(node);
  std::vector<Planted*> unseen;
  if (request.fields.empty()) {
    for (Planted& one : planted_) {
      if (one.record != chosen.record || one.audience != chosen.audience) continue;
      Edit edit{.audience = one.audience};
      edit.records.push_back({.kind = testing::kNote, .record = one.record});
      if (!Holds(node, {one.entry, edit})) unseen.push_back(&one);
    }
    if (!node.up || failure_) return;
  }
  const auto erased = store.Erase(request);
  if (!erased) {
    const ErrorCode code = erased.error().code;
    // Clean values are the chair's to write in `public`; another's cell is nobody else's.
    if (code == ErrorCode::kDenied || code == ErrorCode::kConflict) return;
    if (ChairRefused(node, /*chairs=*/true, erased.error())) return;
    return Excuse(node, erased.error(), "erasing");
  }
  Trace("{} erased {} of record {}{}", Name(node), request.fields.empty() ? "all" : "a field",
        chosen.record.Hex().substr(0, 8), plan.as_chair ? " as the chair" : "");
  if (plan.as_chair && !may_act) {
    Failed("{} erased as the chair, which it may not be now", Name(node));
  }
  ++(plan.as_chair ? counts_.erasures_chair : counts_.erasures_own);
  if (!request.fields.empty()) ++counts_.erasures_fields;
  for (const EntryId& entry : *erased) erased_.push_back({entry, chosen.audience, node.index});
  for (Planted* one : unseen) one->unseen = true;
}

void Simulation::DecideErasures(Node& chair) {
  const auto authority = AuthorityOf(chair);
  if (!authority || authority->hub_key() != chair.replica.key().public_key()) return;
  std::vector<EntryId> undecided;
  {
    auto snapshot = chair.replica.store().Read();
    if (!snapshot) return Excuse(chair, snapshot.error(), "reading erasures");
    const auto views = snapshot->Erasures();
    if (!views) return Excuse(chair, views.error(), "reading erasures");
    for (const ErasureView& view : *views) {
      if (view.standing == ErasureStanding::kUndecided) undecided.push_back(view.entry);
    }
  }
  for (const EntryId& entry : undecided) {
    const bool repeat = erasing_.Chance(50);
    const bool may_act = ChairMayAct(chair);
    const auto decided = chair.replica.store().DecideErasure(entry, repeat);
    if (!decided) {
      if (decided.error().code == ErrorCode::kDenied) continue;
      if (ChairRefused(chair, /*chairs=*/true, decided.error())) continue;
      return Excuse(chair, decided.error(), "deciding about an erasure");
    }
    Trace("{} {} erasure {}", Name(chair), repeat ? "repeats" : "drops", entry.Hex().substr(0, 8));
    if (!may_act) Failed("{} decides as the chair, which it may not be now", Name(chair));
    ++(repeat ? counts_.erasures_repeated : counts_.erasures_dropped);
  }
  if (!undecided.empty()) Wake(chair);
}

void Simulation::LoseErasures(const Node& node) {
  std::set<EntryId> elsewhere;
  for (const auto& other : nodes_) {
    if (erased_.empty() || other->index == node.index || !other->up || other->is_clone) continue;
    auto snapshot = other->replica.store().Read();
    if (!snapshot) {
      Excuse(*other, snapshot.error(), "reading erasures");
      continue;
    }
    const auto views = snapshot->Erasures();
    if (!views) {
      Excuse(*other, views.error(), "reading erasures");
      continue;
    }
    for (const ErasureView& view : *views) elsewhere.insert(view.entry);
  }
  for (Erased& one : erased_) {
    if (!elsewhere.contains(one.entry)) one.only_copy_lost = true;
  }
}

void Simulation::Wipe(Node& node) {
  const auto wiped = node.replica.store().Wipe();
  if (!wiped) Excuse(node, wiped.error(), "wiping");
}

void Simulation::WipeNow(Node& node, std::uint64_t& moved) {
  Store& store = node.replica.store();
  const std::uint64_t before = store.revision();
  const auto wiped = Get(node, store.Wipe());
  if (failure_) return;
  if (!*wiped) Failed("{} cannot take out of its files what was erased", Name(node));
  if (store.revision() != before) ++moved;
}

void Simulation::CheckErasures(Node& node, const Reading& reading, const Rights& rights,
                               const Standings& standings) {
  Store& store = node.replica.store();
  const auto words = ErasureWords(reading, rights, standings, *store.charter());
  auto snapshot = store.Read();
  if (!snapshot) {
    Failed("{}: {}", Name(node), snapshot.error().message);
    return;
  }
  // Payload by payload, what is here and what is not.
  std::set<std::string> present;
  std::map<EntryId, ErasureWord> absent;
  // Where something is put aside until the chair decides: other edits may hold the same text.
  std::set<RecordId> put_aside;
  for (const auto& [id, entry] : reading.entries) {
    for (std::size_t index = 0; index < entry->payloads.size(); ++index) {
      const ErasureWord word = words.at(id).at(index);
      if (entry->payloads[index]) {
        FindMarks(*entry->payloads[index], present);
        if (word < ErasureWord::kUndecided) continue;
        Failed("{} still holds payload {} of entry {}, which is erased", Name(node), index,
               id.Hex());
        return;
      }
      if (word == ErasureWord::kNone) {
        Failed("{} lacks payload {} of entry {}, which nobody erased", Name(node), index, id.Hex());
        return;
      }
      absent[id] = word;
      if (word == ErasureWord::kUndecided) {
        put_aside.insert(std::get<WriteBody>(entry->header.body).records[index].record);
      }
      if (node.index == 0) {
        if (word == ErasureWord::kInEffect) ++counts_.erased_at_end;
        if (word == ErasureWord::kWithoutEffect) ++counts_.payloads_missing;
      }
    }
  }
  std::set<std::string> forbidden;
  for (const Planted& one : planted_) {
    const auto found = absent.find(one.entry);
    if (found == absent.end()) continue;
    if (put_aside.contains(one.record)) {
      present.insert(one.mark);
    } else {
      forbidden.insert(one.mark);
      if (one.unseen && node.index == one.node) ++counts_.erased_unseen;
    }
  }
  for (const std::string& file : node.replica.disk().Files()) {
    std::set<std::string> marks;
    FindMarks(*node.replica.disk().ReadFile(file), marks);
    for (const std::string& mark : marks) {
      if (!forbidden.contains(mark) || present.contains(mark)) continue;
      Failed("{}'s file {} holds a text that was erased, {}", Name(node), file, mark);
      return;
    }
  }
  // Each erasure counts as it should, and everybody says that it has carried it out.
  const auto views = Get(node, snapshot->Erasures());
  if (failure_) return;
  std::set<EntryId> held;
  for (const ErasureView& view : *views) {
    held.insert(view.entry);
    if (!view.by_charter) {
      const bool undecided = view.standing == ErasureStanding::kUndecided ||
                             view.standing == ErasureStanding::kDropped;
      if (undecided != (standings.at(view.entry) == Standing::kBeyond)) {
        Failed("{} takes erasure {} for something else than the charter does", Name(node),
               view.entry.Hex());
        return;
      }
      if (undecided && node.index == 0) ++counts_.erasures_beyond;
    }
    if (view.standing != ErasureStanding::kInEffect) continue;
    for (const ErasureView::Replica& replica : view.replicas) {
      const auto number = NodeOfKey(replica.key);
      if (!number || !nodes_[*number]->up || replica.carried_out) continue;
      Failed("{} does not know that {} has carried out erasure {}", Name(node),
             Name(*nodes_[*number]), view.entry.Hex());
      return;
    }
  }
  const auto authority = AuthorityOf(node);
  for (const Erased& one : erased_) {
    const Node& writer = *nodes_[one.node];
    if (one.only_copy_lost || writer.is_clone || held.contains(one.entry)) continue;
    if (!rights.Reads(node.replica.self().id, one.audience) ||
        (writer.index != node.index &&
         !authority->IsCurrentKey(writer.replica.key().public_key()))) {
      continue;
    }
    Failed("{} lacks erasure {}, which {} acknowledged", Name(node), one.entry.Hex(), Name(writer));
    return;
  }
}

}  // namespace staffel::sim
