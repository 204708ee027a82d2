// SPDX-License-Identifier: EUPL-1.2
// The fold's laws as properties (any order, any grouping, any repetition), and its single rules.
#include "core/fold/fold.h"

#include <algorithm>
#include <map>
#include <set>

#include <catch2/catch.hpp>
#include <rapidcheck/catch.h>

#include "tests/support/sim_random.h"

namespace staffel::fold {
namespace {

EntryId Id(unsigned number) {
  Bytes bytes(EntryId::kBytes, '\0');
  // A little mixing: byte order then differs from the order of writing.
  bytes[0] = static_cast<char>((number * 167u + 13u) & 0xff);
  bytes[1] = static_cast<char>(number & 0xff);
  bytes[2] = static_cast<char>(number >> 8);
  bytes[31] = 1;
  return *EntryId::From(bytes);
}

const Cell kTitle = FieldCell(2);
const Cell kText = FieldCell(3);

Touch Write(unsigned entry, std::vector<unsigned> parents, const Cell& cell = kTitle) {
  Touch touch;
  touch.entry = Id(entry);
  Touch::CellTouch change{cell, {}};
  for (unsigned parent : parents) change.parents.push_back(Id(parent));
  touch.cells.push_back(change);
  return touch;
}

Touch Invalid(Touch touch) {
  touch.valid = false;
  return touch;
}

Touch Repeat(Touch touch, std::string_view member, unsigned op) {
  OpId id = *OpId::From(Bytes(16, static_cast<char>(op)));
  touch.repeat = RepeatKey{*MemberId::From(member), id};
  return touch;
}

std::vector<EntryId> Heads(const std::vector<Touch>& touches, const Cell& cell = kTitle) {
  for (const CellHeads& heads : FoldRecord(touches)) {
    if (heads.cell == cell) return heads.heads;
  }
  return {};
}

std::vector<EntryId> Ids(std::vector<unsigned> numbers) {
  std::vector<EntryId> ids;
  for (unsigned number : numbers) ids.push_back(Id(number));
  std::sort(ids.begin(), ids.end());
  return ids;
}

TEST_CASE("nothing written has no heads") { CHECK(FoldRecord({}).empty()); }

TEST_CASE(
    "an edit that names what it saw replaces it, and one that did not see it stands beside it") {
  CHECK(Heads({Write(1, {}), Write(2, {1})}) == Ids({2}));
  CHECK(Heads({Write(1, {}), Write(2, {1}), Write(3, {1})}) == Ids({2, 3}));
  CHECK(Heads({Write(1, {}), Write(2, {1}), Write(3, {1}), Write(4, {2, 3})}) == Ids({4}));
}

TEST_CASE("edits of different cells do not meet") {
  const std::vector<Touch> touches{Write(1, {}), Write(2, {}, kText), Write(3, {1, 2})};
  CHECK(Heads(touches) == Ids({3}));
  // Entry 3 names entry 2, but changes another cell: it covers nothing there.
  CHECK(Heads(touches, kText) == Ids({2}));
}

TEST_CASE("an invalid change is no head and covers nothing") {
  CHECK(Heads({Write(1, {}), Invalid(Write(2, {1}))}) == Ids({1}));
  CHECK(Heads({Invalid(Write(1, {}))}).empty());
}

TEST_CASE("an invalid change that a valid one covers passes the cover on") {
  // 2 is void, but 3 was written by someone who saw it, and through it 1.
  CHECK(Heads({Write(1, {}), Invalid(Write(2, {1})), Write(3, {2})}) == Ids({3}));
  CHECK(Heads({Write(1, {}), Invalid(Write(2, {1})), Invalid(Write(3, {2})), Write(4, {3})}) ==
        Ids({4}));
  // The void chain alone covers nothing.
  CHECK(Heads({Write(1, {}), Invalid(Write(2, {1})), Invalid(Write(3, {2}))}) == Ids({1}));
}

TEST_CASE("a missing parent is nothing special, and covers when it comes") {
  CHECK(Heads({Write(1, {}), Write(3, {2})}) == Ids({1, 3}));
  CHECK(Heads({Write(1, {}), Write(3, {2}), Write(2, {1})}) == Ids({3}));
}

TEST_CASE("a chain that misses a link covers no further than it reaches") {
  // 2 is missing: 3 names it and so does not cover 1, until 2 arrives.
  CHECK(Heads({Write(1, {}), Write(3, {2}), Write(4, {3})}) == Ids({1, 4}));
}

TEST_CASE("what names one repeat of an op names all of them") {
  const Touch first = Repeat(Write(1, {}), "NI", 7);
  const Touch again = Repeat(Write(2, {}), "NI", 7);
  CHECK(Heads({first, again}) == Ids({1, 2}));
  CHECK(Heads({first, again, Write(3, {1})}) == Ids({3}));
  CHECK(Heads({first, again, Write(3, {2})}) == Ids({3}));
  // Named through a repeat that is not held here: the others are not known to be its repeats.
  CHECK(Heads({first, Write(3, {2})}) == Ids({1, 3}));
  // The same op id at another member is another op.
  CHECK(Heads({first, Repeat(Write(2, {}), "NW", 7), Write(3, {1})}) == Ids({2, 3}));
}

TEST_CASE("the repeat of an op, applied anew after later edits, is covered with the first") {
  // An op is applied, edited over, and after a restore applied again: no head twice.
  const Touch first = Repeat(Write(2, {1}), "NI", 7);
  const Touch again = Repeat(Write(4, {1}), "NI", 7);
  CHECK(Heads({Write(1, {}), first, Write(3, {2}), again}) == Ids({3}));
}

TEST_CASE("a repeat that does not touch the cell leaves nothing behind") {
  Touch rejected = Repeat(Write(2, {}), "NI", 7);
  rejected.cells.clear();
  CHECK(Heads({Repeat(Write(1, {}), "NI", 7), rejected, Write(3, {2})}) == Ids({3}));
}

TEST_CASE("a cell without heads is not listed, and cells stand in byte order") {
  const auto heads = FoldRecord(std::vector<Touch>{Write(1, {}, kText), Write(2, {}, kTitle),
                                                   Invalid(Write(3, {}, FieldCell(9)))});
  REQUIRE(heads.size() == 2);
  CHECK(heads[0].cell == kTitle);
  CHECK(heads[1].cell == kText);
}

TEST_CASE("a long chain folds without deep recursion") {
  std::vector<Touch> touches{Write(0, {})};
  for (unsigned i = 1; i < 60'000; ++i) {
    Touch touch = Write(0, {});
    Bytes bytes(EntryId::kBytes, '\2');
    for (int k = 0; k < 4; ++k) bytes[static_cast<std::size_t>(k)] = static_cast<char>(i >> 8 * k);
    touch.entry = *EntryId::From(bytes);
    touch.cells[0].parents = {touches.back().entry};
    touches.push_back(touch);
  }
  for (std::size_t i = 0; i + 1 < touches.size(); ++i) touches[i].valid = i % 3 == 0;
  CHECK(Heads(touches) == std::vector<EntryId>{touches.back().entry});
}

// ---- laws ----

// Random histories: several cells, forks, merges, void changes, repeats, parents never held.
std::vector<Touch> RandomHistory(testing::SimRandom& random) {
  const Cell cells[] = {kTitle, kText, DeletedCell()};
  std::vector<Touch> touches;
  const auto count = static_cast<unsigned>(1 + random.Below(14));
  for (unsigned i = 0; i < count; ++i) {
    Touch touch;
    touch.entry = Id(i);
    touch.valid = !random.Chance(25);
    if (random.Chance(30)) {
      touch = Repeat(std::move(touch), random.Chance(50) ? "NI" : "NW",
                     static_cast<unsigned>(1 + random.Below(3)));
    }
    for (const Cell& cell : cells) {
      if (!random.Chance(70)) continue;
      Touch::CellTouch change{cell, {}};
      for (unsigned parent = 0; parent < i; ++parent) {
        if (random.Chance(30)) change.parents.push_back(Id(parent));
      }
      if (random.Chance(10)) change.parents.push_back(Id(900));  // never arrives
      touch.cells.push_back(std::move(change));
    }
    touches.push_back(std::move(touch));
  }
  return touches;
}

void Shuffle(std::vector<Touch>& touches, testing::SimRandom& random) {
  for (std::size_t i = touches.size(); i > 1; --i)
    std::swap(touches[i - 1], touches[random.Below(i)]);
}

// core.md's definition, read as literally as can be: the least fixed point of "covered".
RecordHeads Specification(const std::vector<Touch>& touches) {
  std::map<Cell, std::map<EntryId, const Touch*>> changes;
  for (const Touch& touch : touches) {
    for (const auto& change : touch.cells) changes[change.cell][touch.entry] = &touch;
  }
  const auto same = [&](const EntryId& a, const EntryId& b) {
    if (a == b) return true;
    const Touch* first = nullptr;
    const Touch* second = nullptr;
    for (const Touch& touch : touches) {
      if (touch.entry == a) first = &touch;
      if (touch.entry == b) second = &touch;
    }
    return first != nullptr && second != nullptr && first->repeat &&
           first->repeat == second->repeat;
  };
  RecordHeads result;
  for (const auto& [cell, writers] : changes) {
    std::set<EntryId> covered;
    for (bool grown = true; grown;) {
      grown = false;
      for (const auto& [entry, touch] : writers) {
        if (!touch->valid && !covered.contains(entry)) continue;
        for (const auto& change : touch->cells) {
          if (change.cell != cell) continue;
          for (const EntryId& parent : change.parents) {
            for (const auto& [other, unused] : writers) {
              if (same(parent, other) && covered.insert(other).second) grown = true;
            }
          }
        }
      }
    }
    CellHeads heads{cell, {}};
    for (const auto& [entry, touch] : writers) {
      if (touch->valid && !covered.contains(entry)) heads.heads.push_back(entry);
    }
    if (!heads.heads.empty()) result.push_back(heads);
  }
  return result;
}

TEST_CASE("the fold is what core.md says it is") {
  rc::prop("equal to the definition", [](std::uint64_t seed) {
    testing::SimRandom random(seed);
    const auto touches = RandomHistory(random);
    RC_ASSERT(FoldRecord(touches) == Specification(touches));
  });
}

TEST_CASE("order and repetition of delivery do not matter") {
  rc::prop("any order, any repetition", [](std::uint64_t seed) {
    testing::SimRandom random(seed);
    auto touches = RandomHistory(random);
    const RecordHeads expected = FoldRecord(touches);
    const std::size_t count = touches.size();
    for (std::size_t i = 0; i < count; ++i) {
      if (random.Chance(30)) touches.push_back(touches[random.Below(count)]);
    }
    Shuffle(touches, random);
    RC_ASSERT(FoldRecord(touches) == expected);
  });
}

// The first half of Extend's precondition: nobody held names the touch, and it has no repeats here.
bool MayExtend(const std::vector<Touch>& held, const Touch& touch) {
  for (const Touch& one : held) {
    if (one.entry == touch.entry) return false;
    if (touch.repeat && one.repeat == touch.repeat) return false;
    for (const auto& change : one.cells) {
      if (std::find(change.parents.begin(), change.parents.end(), touch.entry) !=
          change.parents.end()) {
        return false;
      }
    }
  }
  return true;
}

// The other half: a parent that is void, or has repeats, covers more than its name.
bool NamesMoreThanItSays(const std::vector<Touch>& held, const Touch& touch) {
  for (const auto& change : touch.cells) {
    for (const EntryId& parent : change.parents) {
      for (const Touch& one : held) {
        if (one.entry == parent && (!one.valid || one.repeat)) return true;
      }
    }
  }
  return false;
}

TEST_CASE("grouping does not matter: extending by one equals folding all") {
  rc::prop("Extend equals FoldRecord under its precondition", [](std::uint64_t seed) {
    testing::SimRandom random(seed);
    auto touches = RandomHistory(random);
    if (random.Chance(50)) Shuffle(touches, random);
    std::vector<Touch> held;
    RecordHeads heads;
    for (const Touch& touch : touches) {
      const bool extends = MayExtend(held, touch) && !NamesMoreThanItSays(held, touch);
      held.push_back(touch);
      if (extends) {
        Extend(heads, touch);
        RC_ASSERT(heads == FoldRecord(held));
      } else {
        heads = FoldRecord(held);
      }
    }
    RC_ASSERT(heads == FoldRecord(touches));
  });
}

TEST_CASE("extending by a void change changes nothing") {
  RecordHeads heads = FoldRecord(std::vector<Touch>{Write(1, {})});
  const RecordHeads before = heads;
  Extend(heads, Invalid(Write(2, {1})));
  CHECK(heads == before);
}

}  // namespace
}  // namespace staffel::fold
