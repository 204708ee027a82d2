// SPDX-License-Identifier: EUPL-1.2
#include "core/fold/fold.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "core/base/mutation.h"

namespace staffel::fold {
namespace {

// One cell's changes, with repeats merged into one class that shares its covers.
class CellFold {
 public:
  void Add(const Touch& touch, const std::vector<EntryId>& parents) {
    Change& change = changes_[touch.entry];
    change.valid = touch.valid;
    change.parents = &parents;
  }

  std::vector<EntryId> Heads(const std::unordered_map<EntryId, std::vector<EntryId>>& repeats) {
    for (auto& [entry, change] : changes_) {
      if (change.valid || STAFFEL_MUTATION(kInvalidCovers)) CoverParents(change, repeats);
    }
    std::vector<EntryId> heads;
    for (const auto& [entry, change] : changes_) {
      const bool counts = change.valid || STAFFEL_MUTATION(kInvalidCounts);
      if (counts && !change.covered) heads.push_back(entry);
    }
    return heads;
  }

 private:
  struct Change {
    bool valid = false;
    bool covered = false;
    bool spread = false;  // its parents are covered already
    const std::vector<EntryId>* parents = nullptr;
  };

  // Iterative: a chain of edits may be long.
  void CoverParents(Change& start,
                    const std::unordered_map<EntryId, std::vector<EntryId>>& repeats) {
    std::vector<Change*> open{&start};
    while (!open.empty()) {
      Change* change = open.back();
      open.pop_back();
      if (change->spread) continue;
      change->spread = true;
      for (const EntryId& parent : *change->parents) {
        Cover(parent, open);
        const auto same = repeats.find(parent);
        if (same == repeats.end()) continue;
        for (const EntryId& repeat : same->second) Cover(repeat, open);
      }
    }
  }

  void Cover(const EntryId& entry, std::vector<Change*>& open) {
    const auto found = changes_.find(entry);
    if (found == changes_.end()) return;
    found->second.covered = true;
    // Valid or itself covered: it covers its own parents, too.
    open.push_back(&found->second);
  }

  std::map<EntryId, Change> changes_;
};

}  // namespace

RecordHeads FoldRecord(std::span<const Touch> touches) {
  std::map<RepeatKey, std::set<EntryId>> classes;
  std::map<Cell, CellFold> cells;
  for (const Touch& touch : touches) {
    if (touch.repeat) classes[*touch.repeat].insert(touch.entry);
    for (const auto& cell : touch.cells) cells[cell.cell].Add(touch, cell.parents);
  }
  std::unordered_map<EntryId, std::vector<EntryId>> repeats;
  for (const auto& [key, entries] : classes) {
    if (entries.size() < 2 || STAFFEL_MUTATION(kIgnoreRepeats)) continue;
    for (const EntryId& entry : entries) {
      repeats[entry].assign(entries.begin(), entries.end());
    }
  }
  RecordHeads result;
  for (auto& [cell, fold] : cells) {
    auto heads = fold.Heads(repeats);
    if (!heads.empty()) result.push_back({cell, std::move(heads)});
  }
  return result;
}

void Extend(RecordHeads& heads, const Touch& touch) {
  if (!touch.valid && !STAFFEL_MUTATION(kInvalidCounts)) return;
  for (const auto& change : touch.cells) {
    auto at = std::lower_bound(heads.begin(), heads.end(), change.cell,
                               [](const CellHeads& a, const Cell& b) { return a.cell < b; });
    if (at == heads.end() || at->cell != change.cell) at = heads.insert(at, {change.cell, {}});
    std::erase_if(at->heads, [&](const EntryId& head) {
      return std::find(change.parents.begin(), change.parents.end(), head) != change.parents.end();
    });
    at->heads.insert(std::lower_bound(at->heads.begin(), at->heads.end(), touch.entry),
                     touch.entry);
  }
}

}  // namespace staffel::fold
