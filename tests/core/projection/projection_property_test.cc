// SPDX-License-Identifier: EUPL-1.2
// The laws of the projection, over all kinds and all their fields: random pasts of edits, removals,
// deletions and erasures, some of them concurrent.
#include <random>

#include <catch2/catch.hpp>
#include <google/protobuf/message.h>
#include <rapidcheck/catch.h>

#include "core/base/wire.h"
#include "core/projection/fresh.h"
#include "core/projection/projection.h"
#include "core/record/catalog.h"
#include "tests/core/projection/past.h"

using namespace staffel;
using namespace staffel::projection;
using record::Field;
using record::Kind;
using record::Rule;
using record::Type;

namespace {

using Dice = std::mt19937_64;
std::uint64_t Roll(Dice& dice, std::uint64_t below) { return dice() % below; }

Bytes ContentOf(const Field& field, std::uint32_t number, Dice& dice);

Bytes PartsOf(const Field& field, Dice& dice) {
  Bytes message;
  for (const Field& part : field.parts) {
    if (part.number == 1 && part.format == record::Format::kElement) continue;
    if (Roll(dice, 2) == 0) message += ContentOf(part, part.number, dice);
  }
  return message;
}

Bytes ContentOf(const Field& field, std::uint32_t number, Dice& dice) {
  Bytes wire;
  switch (field.type) {
    case Type::kText:
    case Type::kBytes:
      AppendBytesField(wire, number, std::string(1, static_cast<char>('A' + Roll(dice, 3))));
      break;
    case Type::kMessage:
      AppendBytesField(wire, number, PartsOf(field, dice));
      break;
    default:
      AppendVarintField(wire, number, 1 + Roll(dice, 3));
  }
  return wire;
}

// One random value of one random cell of the field; few elements and members, so that they meet.
TestPast::Write RandomWrite(const Field& field, Dice& dice) {
  static const std::vector<MemberId> kMembers = {*MemberId::From("NI"), *MemberId::From("BY")};
  const ElementId element = *ElementId::From(Bytes(16, static_cast<char>(1 + Roll(dice, 2))));
  const MemberId& member = kMembers[Roll(dice, 2)];
  Bytes wire;
  switch (field.rule) {
    case Rule::kSet:
      if (field.is_member_set()) {
        AppendBytesField(wire, field.number, member.text());
        return {record::MemberCell(field, member), wire, {}};
      } else {
        Bytes message;
        AppendBytesField(message, 1, element.bytes());
        message += PartsOf(field, dice);
        AppendBytesField(wire, field.number, message);
        return {record::ElementCell(field, element), wire, {}};
      }
    case Rule::kMap: {
      Bytes pair;
      AppendBytesField(pair, 1, member.text());
      pair += ContentOf(field, 2, dice);
      AppendBytesField(wire, field.number, pair);
      return {record::MemberCell(field, member), wire, {}};
    }
    case Rule::kSequence: {
      const Field& part = field.parts[1 + Roll(dice, field.parts.size() - 1)];
      return {record::PartCell(field, element, part), ContentOf(part, part.number, dice), {}};
    }
    default:
      return {record::RegisterCell(field), ContentOf(field, field.number, dice), {}};
  }
}

// A past of `steps` entries; each writer has seen a part of what was before. Mostly one field, so
// that changes meet.
TestPast RandomPast(const Kind& kind, std::uint64_t seed, std::size_t steps) {
  Dice dice(seed);
  TestPast past;
  std::vector<TestPast> seen(3);  // what each of three writers knows
  for (std::uint64_t number = 1; number <= steps; ++number) {
    TestPast& writer = seen[Roll(dice, seen.size())];
    std::vector<TestPast::Write> writes;
    if (Roll(dice, 8) == 0) {
      writes.push_back({DeletedCell(),
                        Roll(dice, 4) == 0 ? std::nullopt : std::optional<Bytes>("\x08\x01"),
                        writer.AllHeads()});
    } else {
      std::map<Cell, TestPast::Write> one;
      for (std::uint64_t i = 0; i <= Roll(dice, 3); ++i) {
        const Field& field = kind.fields[1 + (seed + Roll(dice, 2)) % (kind.fields.size() - 1)];
        TestPast::Write write = RandomWrite(field, dice);
        write.parents = writer.HeadsOf(write.cell);
        if (Roll(dice, 4) == 0 || write.value->empty()) write.value.reset();
        one.insert_or_assign(write.cell, write);
      }
      for (auto& [cell, write] : one) writes.push_back(std::move(write));
    }
    const std::uint64_t time = 100 + Roll(dice, 4);
    past.Add(number, time, writes);
    writer.Add(number, time, writes);
    if (Roll(dice, 3) == 0) seen[Roll(dice, seen.size())] = past;  // an exchange
    if (Roll(dice, 16) == 0) past.Erase(1 + Roll(dice, number));
  }
  return past;
}

std::string Describe(const Conflict& conflict) {
  std::string text = ToHex(conflict.cell) + (conflict.kind == ConflictKind::kValue ? " v" : " d") +
                     conflict.provisional.Hex() + (conflict.base ? ToHex(*conflict.base) : "-");
  for (const Head& head : conflict.heads) text += head.entry.Hex();
  return text;
}

std::string Describe(const Projection& projection) {
  std::string text =
      ToHex(projection.row) + (projection.deleted ? "D" : "") + (projection.erased ? "E" : "");
  for (const Conflict& conflict : projection.conflicts) text += "\n" + Describe(conflict);
  return text;
}

template <typename Law>
void ForAllKinds(const Law& law) {
  for (const Kind& kind : record::Kinds().kinds()) {
    INFO(kind.name);
    rc::prop(kind.name,
             [&](std::uint64_t seed) { law(kind, RandomPast(kind, seed, 1 + seed % 9)); });
  }
}

}  // namespace

TEST_CASE("the order in which heads and cells are handed in does not matter") {
  ForAllKinds([](const Kind& kind, const TestPast& past) {
    RecordState state = past.State(kind.number);
    const std::string expected = Describe(Project(state, past));
    Dice dice(state.cells.size());
    for (int i = 0; i < 3; ++i) {
      for (CellState& cell : state.cells) {
        std::shuffle(cell.heads.begin(), cell.heads.end(), dice);
        for (Head& head : cell.heads) std::shuffle(head.parents.begin(), head.parents.end(), dice);
      }
      std::shuffle(state.cells.begin(), state.cells.end(), dice);
      RC_ASSERT(Describe(Project(state, past)) == expected);
    }
  });
}

TEST_CASE("a cell is in conflict exactly when live heads of different bytes compete in it") {
  ForAllKinds([](const Kind& kind, const TestPast& past) {
    const RecordState state = past.State(kind.number);
    const Projection projection = Project(state, past);
    if (projection.deleted) {
      RC_ASSERT(projection.conflicts.empty());
      return;
    }
    for (const CellState& cell : state.cells) {
      const auto path = record::ReadCellPath(cell.cell);
      const Field* field = kind.Find(path->field);
      // Sets keep what one keeps; elements have rules between their cells: see projection_test.cc.
      if (field->rule == Rule::kSet || field->rule == Rule::kSequence) continue;
      std::set<std::optional<Bytes>> values;
      for (const Head& head : cell.heads) {
        if (!head.erased) values.insert(head.value);
      }
      const bool listed = std::any_of(
          projection.conflicts.begin(), projection.conflicts.end(), [&](const Conflict& conflict) {
            return conflict.cell == cell.cell && conflict.kind == ConflictKind::kValue;
          });
      RC_ASSERT(listed == (values.size() > 1));
    }
  });
}

TEST_CASE("what a conflict shows is the greatest by time and entry id of what may be shown") {
  ForAllKinds([](const Kind& kind, const TestPast& past) {
    for (const Conflict& conflict : Project(past.State(kind.number), past).conflicts) {
      RC_ASSERT(conflict.heads.size() >= 2u);
      RC_ASSERT(std::is_sorted(conflict.heads.begin(), conflict.heads.end(),
                               [](const Head& a, const Head& b) { return a.entry < b.entry; }));
      if (conflict.kind == ConflictKind::kDeletedBesideEdited) {
        RC_ASSERT(conflict.provisional.is_zero());
        continue;
      }
      const auto shown =
          std::find_if(conflict.heads.begin(), conflict.heads.end(),
                       [&](const Head& head) { return head.entry == conflict.provisional; });
      RC_ASSERT(shown != conflict.heads.end());
      for (const Head& head : conflict.heads) {
        RC_ASSERT(!head.erased);
        const bool later = std::pair(head.time, head.entry) > std::pair(shown->time, shown->entry);
        const auto path = record::ReadCellPath(conflict.cell);
        // Elements' cells show text before its removal; a restored record is shown.
        if (later && path->part == 0 && conflict.cell != DeletedCell())
          RC_FAIL("a later head is not shown");
      }
    }
  });
}

TEST_CASE("a change that names all heads of a cell ends its conflict and is what is shown") {
  ForAllKinds([](const Kind& kind, const TestPast& past) {
    TestPast decided = past;
    std::uint64_t number = 1000;
    for (const Conflict& conflict : Project(past.State(kind.number), past).conflicts) {
      if (conflict.kind != ConflictKind::kValue) continue;
      std::set<EntryId> named;
      std::vector<std::uint64_t> parents = decided.HeadsOf(conflict.cell);
      for (const Head& head : conflict.heads) {
        std::uint64_t parent = 0;
        for (char c : head.entry.bytes().substr(0, 8))
          parent = parent << 8 | static_cast<std::uint8_t>(c);
        parents.push_back(parent);
      }
      const auto shown =
          std::find_if(conflict.heads.begin(), conflict.heads.end(),
                       [&](const Head& head) { return head.entry == conflict.provisional; });
      decided.Add(++number, 1, {{conflict.cell, shown->value, parents}});
    }
    for (const Conflict& conflict : Project(decided.State(kind.number), decided).conflicts) {
      RC_ASSERT(conflict.kind == ConflictKind::kDeletedBesideEdited);
    }
  });
}

TEST_CASE(
    "deleting what one sees, all of it, deletes, and any edit unknown to it keeps the record") {
  ForAllKinds([](const Kind& kind, const TestPast& past) {
    TestPast deleted = past;
    deleted.Add(1000, 1, {{DeletedCell(), Bytes("\x08\x01"), past.AllHeads()}});
    RC_ASSERT(Project(deleted.State(kind.number), deleted).deleted);
    Dice dice(1);
    TestPast::Write edit = RandomWrite(kind.fields[1], dice);
    edit.parents = past.HeadsOf(edit.cell);
    deleted.Add(1001, 2, {edit});
    const Projection kept = Project(deleted.State(kind.number), deleted);
    RC_ASSERT(!kept.deleted);
    RC_ASSERT(
        std::any_of(kept.conflicts.begin(), kept.conflicts.end(), [&](const Conflict& conflict) {
          return conflict.cell == edit.cell && conflict.kind == ConflictKind::kDeletedBesideEdited;
        }));
  });
}

TEST_CASE("every row is a message that protobuf reads, with fields in ascending order") {
  ForAllKinds([](const Kind& kind, const TestPast& past) {
    const Projection projection = Project(past.State(kind.number), past);
    WireReader reader(projection.row);
    std::uint32_t last = 0;
    while (auto field = reader.Next()) {
      RC_ASSERT(field->number >= last);
      last = field->number;
    }
    RC_ASSERT(reader.ok());
    const auto* pool = google::protobuf::DescriptorPool::generated_pool();
    const google::protobuf::Descriptor* descriptor = nullptr;
    for (const char* name :
         {"Meeting", "AgendaItem", "Event", "Organization", "Person", "Resolution", "Amendment",
          "Ballot", "Declaration", "Note", "Document", "AudienceProfile"}) {
      const auto* candidate = pool->FindMessageTypeByName(std::string("staffel.v1.") + name);
      RC_ASSERT(candidate != nullptr);
      if (candidate->field_count() == static_cast<int>(kind.fields.size()) &&
          candidate->FindFieldByName(kind.fields.back().name) != nullptr &&
          candidate->FindFieldByName(kind.fields[1].name) != nullptr && descriptor == nullptr) {
        descriptor = candidate;
      }
    }
    RC_ASSERT(descriptor != nullptr);
    std::unique_ptr<google::protobuf::Message> message(
        google::protobuf::MessageFactory::generated_factory()->GetPrototype(descriptor)->New());
    RC_ASSERT(message->ParseFromString(projection.row));
  });
}

TEST_CASE("the fast path for a record of one entry gives the row of the long way") {
  ForAllKinds([](const Kind& kind, const TestPast& past) {
    TestPast one;
    std::vector<TestPast::Write> writes;
    for (const CellState& cell : past.State(kind.number).cells) {
      if (cell.heads.front().value) writes.push_back({cell.cell, cell.heads.front().value, {}});
    }
    one.Add(1, 1, writes);
    std::vector<CellValue> values;
    for (const TestPast::Write& write : writes) values.push_back({write.cell, *write.value});
    const Projection slow = Project(one.State(kind.number), one);
    const FreshRow fast = RowOfValues(kind.number, values);
    RC_ASSERT(ToHex(fast.row) == ToHex(slow.row));
    RC_ASSERT(fast.deleted == slow.deleted);
  });
}

TEST_CASE("random bytes as values and addresses break nothing") {
  rc::prop("any bytes",
           [](const std::vector<std::pair<std::string, std::string>>& cells, std::uint8_t kind) {
             RecordState state;
             state.kind = kind % 13u;
             for (const auto& [cell, value] : cells) {
               Head head;
               head.value = value;
               state.cells.push_back({std::string(1, '\0') + "\x01" + cell, {head}});
             }
             const Projection projection = Project(state, TestPast());
             WireReader reader(projection.row);
             while (reader.Next()) continue;
             RC_ASSERT(reader.ok());
           });
}
