// SPDX-License-Identifier: EUPL-1.2
#include "core/record/cells.h"

#include "tests/core/record/fixture.h"

using namespace staffel;
using namespace staffel::record;

namespace {

const MemberId kNi = *MemberId::From("NI");
const ElementId kElement = *ElementId::From(Bytes(16, '\x07'));

const Field& FieldOf(std::string_view kind, std::string_view name) {
  return *KindNamed(kind).Find(name);
}

bool Fits(const Field& field, const Cell& cell, std::string_view value_hex) {
  const auto path = ReadCellPath(cell);
  REQUIRE(path);
  return CellFits(field, *path) && ValueFits(field, *path, *FromHex(value_hex));
}

bool AddressFits(const Field& field, const Cell& cell) {
  return CellFits(field, *ReadCellPath(cell));
}

}  // namespace

TEST_CASE("a cell's path reads back what EncodeCell wrote") {
  const Field& votes = FieldOf("ballot", "votes_cast");
  const Cell vote_cell = MemberCell(votes, kNi);
  const auto path = ReadCellPath(vote_cell);
  REQUIRE(path);
  CHECK(path->owner == OwnerKind::kMember);
  CHECK(path->owner_member == "NI");
  CHECK(path->field == votes.number);
  CHECK(path->step == StepKind::kMember);
  CHECK(path->element == "NI");
  CHECK(path->part == 0);
  const Field& items = FieldOf("resolution", "items");
  const Cell text_cell = PartCell(items, kElement, *items.FindPart("text"));
  const auto part = ReadCellPath(text_cell);
  REQUIRE(part);
  CHECK(part->owner == OwnerKind::kAnyone);
  CHECK(part->element == kElement.bytes());
  CHECK(part->part == 3);
  CHECK_FALSE(ReadCellPath("").has_value());
  CHECK_FALSE(ReadCellPath(EncodeCell({{}, {5u, 6u}})).has_value());
  CHECK_FALSE(ReadCellPath(EncodeCell({{}, {5u, kNi, 6u, 7u}})).has_value());
  CHECK_FALSE(ReadCellPath("\x03\x01\x05").has_value());
}

TEST_CASE("only the owner that the field names fits") {
  const Field& outcome = FieldOf("resolution", "outcome");
  CHECK(AddressFits(outcome, RegisterCell(outcome)));
  CHECK_FALSE(AddressFits(outcome, FieldCell(outcome.number)));
  const Field& votes = FieldOf("ballot", "votes_cast");
  CHECK(AddressFits(votes, MemberCell(votes, kNi)));
  const MemberId by = *MemberId::From("BY");
  // BY's cell in the place of NI's vote: valid to write, and never a vote of NI.
  CHECK_FALSE(AddressFits(votes, EncodeCell({{OwnerKind::kMember, by}, {votes.number, kNi}})));
  CHECK_FALSE(AddressFits(votes, EncodeCell({{}, {votes.number, kNi}})));
}

TEST_CASE("a vote whose bytes name another Land than its address does not fit") {
  const Field& votes = FieldOf("ballot", "votes_cast");
  const Cell cell = MemberCell(votes, kNi);
  CHECK(Fits(votes, cell, "42060a024e491001"));
  CHECK_FALSE(Fits(votes, cell, "42060a0242591001"));          // BY
  CHECK_FALSE(Fits(votes, cell, "420a0a024e490a0242591001"));  // NI, then BY
  CHECK_FALSE(Fits(votes, cell, "42021001"));                  // nobody
  CHECK_FALSE(Fits(votes, cell, "4a060a024e491001"));          // another field
  CHECK_FALSE(Fits(votes, cell, "42060a024e49100142060a024e491001"));
}

TEST_CASE("an element's bytes must hold the id of its address") {
  const Field& emails = FieldOf("person", "emails");
  const Cell cell = ElementCell(emails, kElement);
  const std::string id = "0a10" + ToHex(kElement.bytes());
  CHECK(Fits(emails, cell, "3215" + id + "120161"));
  CHECK_FALSE(Fits(emails, cell, "3203120161"));
  CHECK_FALSE(Fits(emails, cell,
                   "3215"
                   "0a10" +
                       std::string(32, '0') + "120161"));
}

TEST_CASE("text that is not UTF-8 would make a whole row unreadable: it does not fit") {
  const Field& title = FieldOf("resolution", "title");
  const Cell cell = RegisterCell(title);
  CHECK(Fits(title, cell,
             "12"
             "02"
             "c3a4"));
  for (const char* bad : {"1201ff", "1202c0af", "1203eda080", "1204f4908080", "1201c3",
                          "1203e08080", "120a6161616161616161ff61"}) {
    INFO(bad);
    CHECK_FALSE(Fits(title, cell, bad));
  }
  CHECK(Fits(title, cell, "1203e282ac"));
  CHECK(Fits(title, cell, "1204f09f9880"));
  CHECK_FALSE(Fits(title, cell, "1001"));
  CHECK_FALSE(Fits(title, cell, ""));
}
