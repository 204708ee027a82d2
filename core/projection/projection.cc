// SPDX-License-Identifier: EUPL-1.2
#include "core/projection/projection.h"

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <span>

#include "core/base/mutation.h"
#include "core/base/wire.h"
#include "core/projection/fresh.h"
#include "core/record/catalog.h"
#include "core/record/cells.h"
#include "core/record/release.h"

namespace staffel::projection {
namespace {

using record::CellPath;
using record::Field;
using record::Kind;
using record::Rule;
using record::StepKind;

constexpr std::uint32_t kElementIdField = 1;
constexpr std::uint32_t kPositionField = 2;
constexpr ByteView kDeletedValue{"\x08\x01", 2};
// How far back one question about a cell's past looks. A cell with a longer chain of changes since
// two edits parted is beyond human use; what lies further back counts as not found.
constexpr std::size_t kHistoryStepsMax = 10'000;

// ---- The row, from one value a cell
// ----------------------------------------------------------------

// One value that goes into the row. Views into the state.
struct Item {
  std::uint32_t field = 0;
  std::uint32_t part = 0;  // not zero: a field of a sequence's element
  ByteView element;
  ByteView cell;
  ByteView value;
};

// By field; in it by element, so that a set's order and a map's is that of the ids and members.
bool Before(const Item& a, const Item& b) {
  if (a.field != b.field) return a.field < b.field;
  if (const int order = a.element.compare(b.element); order != 0) return order < 0;
  if (a.part != b.part) return a.part < b.part;
  return a.cell < b.cell;
}

ByteView PositionText(ByteView value) {
  WireReader reader(value);
  const auto field = reader.Next();
  return field ? field->bytes : ByteView();
}

// The elements of one sequence: `items` are all values of one field, sorted.
void AppendSequence(std::span<const Item> items, Bytes& row) {
  struct Element {
    ByteView position;
    ByteView id;
    std::span<const Item> items;
    std::size_t bytes = 0;
  };
  std::vector<Element> elements;
  for (std::size_t i = 0; i < items.size();) {
    std::size_t j = i;
    bool content = false;
    Element element;
    element.id = items[i].element;
    for (; j < items.size() && items[j].element == element.id; ++j) {
      if (items[j].part == kPositionField) {
        element.position = PositionText(items[j].value);
      } else {
        content = true;
      }
      element.bytes += items[j].value.size();
    }
    element.items = items.subspan(i, j - i);
    // An element is there while it says something: a position alone is what a removal left behind
    // that met a move.
    if (content) elements.push_back(element);
    i = j;
  }
  std::sort(elements.begin(), elements.end(), [](const Element& a, const Element& b) {
    if (a.position.empty() != b.position.empty()) return b.position.empty();
    if (const int order = a.position.compare(b.position); order != 0) return order < 0;
    return a.id < b.id;
  });
  for (const Element& element : elements) {
    AppendVarint(row, std::uint64_t{items.front().field} << 3 | 2);
    AppendVarint(row, 2 + element.id.size() + element.bytes);
    AppendBytesField(row, kElementIdField, element.id);
    for (const Item& item : element.items) row.append(item.value);
  }
}

Bytes Compose(std::vector<Item>& items, bool deleted) {
  if (!std::is_sorted(items.begin(), items.end(), Before)) {
    std::sort(items.begin(), items.end(), Before);
  }
  std::size_t size = 2;
  for (const Item& item : items) size += item.value.size() + 4;
  Bytes row;
  row.reserve(size);
  if (deleted) row.append(kDeletedValue);
  for (std::size_t i = 0; i < items.size();) {
    if (items[i].part == 0) {
      row.append(items[i++].value);
      continue;
    }
    std::size_t j = i;
    while (j < items.size() && items[j].field == items[i].field && items[j].part != 0) ++j;
    AppendSequence(std::span(items).subspan(i, j - i), row);
    i = j;
  }
  return row;
}

// ---- One cell
// --------------------------------------------------------------------------------------

// What the projection makes of a cell's address.
struct Placed {
  CellPath path;
  const Field* field = nullptr;  // unknown to this version: nothing
  bool is_deleted_cell = false;
};

// Nothing: the cell is ignored, because of its owner, or because its shape is not its rule's.
std::optional<Placed> Place(const Kind* kind, ByteView cell) {
  auto path = record::ReadCellPath(cell);
  // What ties a release to its source is nobody's to read in a row, and never a conflict.
  if (!path || record::IsReleaseField(path->field)) return std::nullopt;
  Placed placed{*path, kind == nullptr ? nullptr : kind->Find(path->field), false};
  if (path->field == kDeletedField) {
    placed.is_deleted_cell = path->owner == OwnerKind::kAnyone && path->step == StepKind::kNone;
    if (!placed.is_deleted_cell) return std::nullopt;
    return placed;
  }
  if (placed.field != nullptr && !record::CellFits(*placed.field, *path)) return std::nullopt;
  return placed;
}

bool Fits(const Placed& placed, ByteView value) {
  return placed.field != nullptr ? record::ValueFits(*placed.field, placed.path, value)
                                 : record::UnknownValueFits(placed.path, value);
}

bool InSequence(const Placed& placed) { return placed.path.part != 0; }

// An element's cell in a set: known ones by their rule; of unknown ones the address tells as much.
bool InSet(const Placed& placed) {
  return placed.field != nullptr && placed.field->rule == Rule::kSet;
}

bool Deletes(const Head& head) {
  return !head.erased && head.value && *head.value == kDeletedValue;
}

bool Later(const Head& a, const Head& b) {
  if (STAFFEL_MUTATION(kProvisionalById)) return a.entry > b.entry;
  return a.time != b.time ? a.time > b.time : a.entry > b.entry;
}

using Heads = std::vector<const Head*>;

// The greatest by (time, entry id); nothing of an empty list.
const Head* Latest(const Heads& heads) {
  const Head* latest = nullptr;
  for (const Head* head : heads) {
    if (latest == nullptr || Later(*head, *latest)) latest = head;
  }
  return latest;
}

bool Agree(const Heads& heads) {
  return std::all_of(heads.begin(), heads.end(),
                     [&](const Head* head) { return head->value == heads.front()->value; });
}

void Sort(Heads& heads) {
  std::sort(heads.begin(), heads.end(),
            [](const Head* a, const Head* b) { return a->entry < b->entry; });
  heads.erase(std::unique(heads.begin(), heads.end(),
                          [](const Head* a, const Head* b) { return a->entry == b->entry; }),
              heads.end());
}

std::vector<Head> Copy(const Heads& heads) {
  std::vector<Head> copies;
  copies.reserve(heads.size());
  for (const Head* head : heads) copies.push_back(*head);
  return copies;
}

// ---- The past of a cell
// ----------------------------------------------------------------------------

// Every change of the cell from `starts` back, these included: entry id and, where it is found, the
// change.
using Past = std::map<EntryId, std::optional<History::Change>>;

Past WalkBack(const History& history, const Cell& cell, std::vector<EntryId> starts) {
  Past past;
  while (!starts.empty() && past.size() < kHistoryStepsMax) {
    const EntryId entry = starts.back();
    starts.pop_back();
    if (past.contains(entry)) continue;
    auto change = history.Find(cell, entry);
    if (change) starts.insert(starts.end(), change->parents.begin(), change->parents.end());
    past.emplace(entry, std::move(change));
  }
  return past;
}

// What all the heads started from: the latest changes that lie in the past of each. Nothing if
// these say different things, or nothing, or are gone.
std::optional<Bytes> BaseOf(const History& history, const Cell& cell, const Heads& heads) {
  std::vector<Past> pasts;
  for (const Head* head : heads) pasts.push_back(WalkBack(history, cell, head->parents));
  Past common;
  for (const auto& [entry, change] : pasts.front()) {
    if (std::all_of(pasts.begin() + 1, pasts.end(),
                    [&key = entry](const Past& past) { return past.contains(key); })) {
      common.emplace(entry, change);
    }
  }
  std::set<EntryId> behind;  // what another common change covers
  for (const auto& [entry, change] : common) {
    if (!change || behind.contains(entry)) continue;
    for (const auto& [older, unused] : WalkBack(history, cell, change->parents))
      behind.insert(older);
  }
  std::optional<Bytes> base;
  bool found = false;
  for (const auto& [entry, change] : common) {
    if (behind.contains(entry)) continue;
    if (!change || change->erased || (found && change->value != base)) return std::nullopt;
    base = change->value;
    found = true;
  }
  return base;
}

// ---- A record
// --------------------------------------------------------------------------------------

class Projector {
 public:
  Projector(const RecordState& state, const History& history)
      : kind_(record::Kinds().Find(state.kind)), history_(history) {
    cells_.reserve(state.cells.size());
    erased_ = !state.cells.empty();
    for (const CellState& cell : state.cells) {
      for (const Head& head : cell.heads) erased_ = erased_ && head.erased;
      if (auto placed = Place(kind_, cell.cell)) cells_.push_back({&cell, *placed});
    }
    const auto before = [](const PlacedCell& a, const PlacedCell& b) {
      return a.state->cell < b.state->cell;
    };
    if (!std::is_sorted(cells_.begin(), cells_.end(), before)) {
      std::sort(cells_.begin(), cells_.end(), before);
    }
  }

  Projection Run() {
    items_.reserve(cells_.size());
    for (std::size_t i = 0; i < cells_.size();) {
      std::size_t j = i + 1;
      if (InSequence(cells_[i].placed)) {
        while (j < cells_.size() && SameElement(cells_[i], cells_[j])) ++j;
        ProjectElement(std::span(cells_).subspan(i, j - i));
      } else if (cells_[i].placed.is_deleted_cell) {
        deletion_ = cells_[i].state;
      } else {
        ProjectCell(cells_[i]);
      }
      i = j;
    }
    const bool deleted = ProjectDeletion();
    // Whoever deleted the record knew of all that competes in it.
    if (deleted) conflicts_.clear();
    std::stable_sort(conflicts_.begin(), conflicts_.end(),
                     [](const Conflict& a, const Conflict& b) { return a.cell < b.cell; });
    return {Compose(items_, deleted), deleted, erased_, std::move(conflicts_)};
  }

 private:
  struct PlacedCell {
    const CellState* state;
    Placed placed;
  };

  static bool SameElement(const PlacedCell& a, const PlacedCell& b) {
    const CellPath& x = a.placed.path;
    const CellPath& y = b.placed.path;
    return y.part != 0 && x.field == y.field && x.element == y.element && x.step == y.step &&
           x.owner == y.owner && x.owner_member == y.owner_member;
  }

  // Heads that compete: not erased. With a value, and without.
  struct Live {
    Heads valued;
    Heads emptied;
  };
  static Live LiveHeads(const CellState& state) {
    Live live;
    for (const Head& head : state.heads) {
      if (!head.erased) (head.value ? live.valued : live.emptied).push_back(&head);
    }
    return live;
  }

  void Show(const PlacedCell& cell, const Head& head) {
    if (head.value) ShowValue(cell.placed, cell.state->cell, *head.value);
  }
  // What does not have its field's form cannot stand in a row; the heads still list it.
  void ShowValue(const Placed& placed, ByteView cell, ByteView value) {
    if (!Fits(placed, value)) return;
    items_.push_back({placed.path.field, placed.path.part, placed.path.element, cell, value});
  }

  void AddConflict(const Cell& cell, Heads heads, const Head& shown) {
    Sort(heads);
    conflicts_.push_back(
        {cell, ConflictKind::kValue, Copy(heads), shown.entry, BaseOf(history_, cell, heads)});
  }

  void ProjectCell(const PlacedCell& cell) {
    const std::vector<Head>& heads = cell.state->heads;
    if (heads.size() == 1) {  // nearly every cell of nearly every record
      if (!heads.front().erased) Show(cell, heads.front());
      return;
    }
    Live live = LiveHeads(*cell.state);
    Heads competing = std::move(live.valued);
    // An element of a set that one keeps and another removes, stays: no conflict.
    if (!InSet(cell.placed) || competing.empty()) {
      competing.insert(competing.end(), live.emptied.begin(), live.emptied.end());
    }
    const Head* shown = Latest(competing);
    if (shown == nullptr) return;
    Show(cell, *shown);
    if (!Agree(competing)) AddConflict(cell.state->cell, std::move(competing), *shown);
  }

  // A sequence's element. It is there while any cell of it but the position has a head with a
  // value. Removing empties all its cells in one entry; a text edited beside that is a conflict in
  // the text's cell and is shown; a move beside it is not: it changed nothing that anybody wrote.
  void ProjectElement(std::span<const PlacedCell> cells) {
    const PlacedCell* position = nullptr;
    bool content = false;
    for (const PlacedCell& cell : cells) {
      if (cell.placed.path.part == kPositionField) {
        position = &cell;
        continue;
      }
      for (const Head& head : cell.state->heads) content = content || (!head.erased && head.value);
    }
    if (!content) return;
    Heads removals;
    if (position != nullptr) {
      Live live = LiveHeads(*position->state);
      removals = live.emptied;
      ProjectPosition(*position, live);
    }
    for (const PlacedCell& cell : cells) {
      if (&cell != position) ProjectContent(cell, removals);
    }
  }

  void ProjectPosition(const PlacedCell& cell, const Live& live) {
    if (const Head* shown = Latest(live.valued)) {
      Show(cell, *shown);
      if (!Agree(live.valued)) AddConflict(cell.state->cell, live.valued, *shown);
      return;
    }
    // Removed by all who touched the position, kept by an edit: it stands where it stood.
    std::vector<EntryId> starts;
    for (const Head* head : live.emptied) {
      starts.insert(starts.end(), head->parents.begin(), head->parents.end());
    }
    const Past past = WalkBack(history_, cell.state->cell, std::move(starts));
    const History::Change* latest = nullptr;
    EntryId latest_entry;
    for (const auto& [entry, change] : past) {
      if (!change || !change->value) continue;
      if (latest == nullptr || change->time > latest->time ||
          (change->time == latest->time && entry > latest_entry)) {
        latest = &*change;
        latest_entry = entry;
      }
    }
    if (latest == nullptr) return;
    recovered_.push_back(*latest->value);
    ShowValue(cell.placed, cell.state->cell, recovered_.back());
  }

  void ProjectContent(const PlacedCell& cell, const Heads& removals) {
    const std::vector<Head>& heads = cell.state->heads;
    if (heads.size() == 1 && removals.empty()) {
      if (!heads.front().erased) Show(cell, heads.front());
      return;
    }
    const Live live = LiveHeads(*cell.state);
    const Head* shown = Latest(live.valued);
    if (shown == nullptr) return;
    Show(cell, *shown);
    Heads competing = live.valued;
    competing.insert(competing.end(), live.emptied.begin(), live.emptied.end());
    // A removal that did not know of this cell competes with what stands in it.
    for (const Head* removal : removals) {
      const bool unknown =
          std::any_of(live.valued.begin(), live.valued.end(), [&](const Head* head) {
            return head->entry != removal->entry &&
                   !WalkBack(history_, cell.state->cell, head->parents).contains(removal->entry);
          });
      if (unknown) competing.push_back(removal);
    }
    if (!Agree(competing)) AddConflict(cell.state->cell, std::move(competing), *shown);
  }

  // Whether the record is deleted; otherwise lists what stands against it.
  bool ProjectDeletion() {
    if (deletion_ == nullptr) return false;
    const Live live = LiveHeads(*deletion_);
    Heads deleting;
    Heads keeping = live.emptied;
    for (const Head* head : live.valued) (Deletes(*head) ? deleting : keeping).push_back(head);
    if (deleting.empty()) return false;
    if (!keeping.empty()) {
      Heads competing = deleting;
      competing.insert(competing.end(), keeping.begin(), keeping.end());
      AddConflict(deletion_->cell, std::move(competing), *Latest(keeping));
      return false;
    }
    std::set<EntryId> named;
    for (const Head* head : deleting) {
      // What one entry wrote beside its deletion it knew of: an erasure's clean values.
      named.insert(head->entry);
      named.insert(head->parents.begin(), head->parents.end());
    }
    bool deleted = true;
    for (const PlacedCell& cell : cells_) {
      if (cell.placed.is_deleted_cell) continue;
      const Heads unknown = UnknownTo(named, *cell.state);
      if (unknown.empty()) continue;
      deleted = false;
      Heads competing = deleting;
      competing.insert(competing.end(), unknown.begin(), unknown.end());
      Sort(competing);
      conflicts_.push_back({cell.state->cell, ConflictKind::kDeletedBesideEdited, Copy(competing),
                            EntryId(), BaseOf(history_, cell.state->cell, unknown)});
    }
    return deleted;
  }

  // The cell's heads that a deletion neither names nor reaches by the cell's parents.
  Heads UnknownTo(const std::set<EntryId>& named, const CellState& state) const {
    Heads unknown;
    for (const Head& head : state.heads) {
      if (!head.erased && !named.contains(head.entry)) unknown.push_back(&head);
    }
    if (unknown.empty()) return unknown;
    // A change that a deletion names may have become invalid since, and what it covered is a head
    // again: the deletion knew of that too.
    const Past reached = WalkBack(history_, state.cell, {named.begin(), named.end()});
    std::erase_if(unknown, [&](const Head* head) { return reached.contains(head->entry); });
    return unknown;
  }

  const Kind* kind_;
  const History& history_;
  std::vector<PlacedCell> cells_;
  std::vector<Item> items_;
  std::deque<Bytes> recovered_;
  std::vector<Conflict> conflicts_;
  const CellState* deletion_ = nullptr;
  bool erased_ = false;
};

}  // namespace

Projection Project(const RecordState& state, const History& history) {
  return Projector(state, history).Run();
}

FreshRow RowOfValues(std::uint32_t kind_number, std::span<const CellValue> cells) {
  const Kind* kind = record::Kinds().Find(kind_number);
  std::vector<Item> items;
  items.reserve(cells.size());
  FreshRow fresh;
  for (const CellValue& cell : cells) {
    const auto placed = Place(kind, cell.cell);
    if (!placed) continue;
    if (placed->is_deleted_cell) {
      fresh.deleted = cell.value == kDeletedValue;
    } else if (Fits(*placed, cell.value)) {
      const CellPath& path = placed->path;
      items.push_back({path.field, path.part, path.element, cell.cell, cell.value});
    }
  }
  fresh.row = Compose(items, fresh.deleted);
  return fresh;
}

}  // namespace staffel::projection
