// SPDX-License-Identifier: EUPL-1.2
// A small past for the tests of the projection: changes by name, folded plainly (a change covers
// the parents it names), so that heads and history always belong together.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/projection/projection.h"
#include "core/record/cells.h"

namespace staffel::projection {

inline EntryId EntryNamed(std::uint64_t number) {
  Bytes bytes(32, '\0');
  for (int i = 0; i < 8; ++i)
    bytes[static_cast<std::size_t>(i)] = static_cast<char>(number >> (8 * (7 - i)) & 0xFF);
  return *EntryId::From(bytes);
}

class TestPast final : public History {
 public:
  struct Write {
    Cell cell;
    std::optional<Bytes> value;
    std::vector<std::uint64_t> parents;
  };

  // Adds the entry `number`, written at `time`, with these changes.
  void Add(std::uint64_t number, std::uint64_t time, std::vector<Write> writes,
           std::string_view member = "NI") {
    for (Write& write : writes) {
      Held held;
      for (std::uint64_t parent : write.parents) held.change.parents.push_back(EntryNamed(parent));
      held.change.value = std::move(write.value);
      held.change.time = {time};
      held.change.member = *MemberId::From(member);
      cells_[write.cell][EntryNamed(number)] = std::move(held);
    }
  }
  void Erase(std::uint64_t number) {
    for (auto& [cell, changes] : cells_) {
      const auto found = changes.find(EntryNamed(number));
      if (found == changes.end()) continue;
      found->second.change.erased = true;
      found->second.change.value.reset();
    }
  }
  // An entry beyond a cut: it has no effect any more, though others may name it.
  void Void(std::uint64_t number) {
    for (auto& [cell, changes] : cells_) {
      const auto found = changes.find(EntryNamed(number));
      if (found != changes.end()) found->second.valid = false;
    }
  }

  std::optional<Change> Find(const Cell& cell, const EntryId& entry) const override {
    const auto changes = cells_.find(cell);
    if (changes == cells_.end()) return std::nullopt;
    const auto found = changes->second.find(entry);
    if (found == changes->second.end()) return std::nullopt;
    return found->second.change;
  }

  // The heads as core.md, "Fold", has them.
  RecordState State(std::uint32_t kind) const {
    RecordState state;
    state.kind = kind;
    for (const auto& [cell, changes] : cells_) {
      CellState cell_state{cell, {}};
      const std::set<EntryId> covered = Covered(changes);
      for (const auto& [entry, held] : changes) {
        if (!held.valid || covered.contains(entry)) continue;
        Head head;
        head.entry = entry;
        head.time = held.change.time;
        head.member = held.change.member;
        head.value = held.change.value;
        head.erased = held.change.erased;
        head.parents = held.change.parents;
        cell_state.heads.push_back(std::move(head));
      }
      if (!cell_state.heads.empty()) state.cells.push_back(std::move(cell_state));
    }
    return state;
  }

  // The heads of one cell, and of all: what a later change names.
  std::vector<std::uint64_t> HeadsOf(const Cell& cell) const {
    std::vector<std::uint64_t> numbers;
    for (const CellState& state : State(0).cells) {
      if (state.cell == cell) Numbers(state, numbers);
    }
    return numbers;
  }
  std::vector<std::uint64_t> AllHeads() const {
    std::vector<std::uint64_t> numbers;
    for (const CellState& state : State(0).cells) Numbers(state, numbers);
    std::sort(numbers.begin(), numbers.end());
    numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
    return numbers;
  }
  const auto& cells() const { return cells_; }

 private:
  struct Held {
    Change change;
    bool valid = true;
  };

  // A change covers its parents if it is valid or itself covered.
  static std::set<EntryId> Covered(const std::map<EntryId, Held>& changes) {
    std::set<EntryId> covered;
    for (bool more = true; more;) {
      more = false;
      for (const auto& [entry, held] : changes) {
        if (!held.valid && !covered.contains(entry)) continue;
        for (const EntryId& parent : held.change.parents)
          more = covered.insert(parent).second || more;
      }
    }
    return covered;
  }
  static void Numbers(const CellState& state, std::vector<std::uint64_t>& numbers) {
    for (const Head& head : state.heads) {
      std::uint64_t number = 0;
      for (char c : head.entry.bytes().substr(0, 8))
        number = number << 8 | static_cast<std::uint8_t>(c);
      numbers.push_back(number);
    }
  }

  std::map<Cell, std::map<EntryId, Held>> cells_;
};

}  // namespace staffel::projection
