// SPDX-License-Identifier: EUPL-1.2
#include "core/journal/cell.h"

#include <catch2/catch.hpp>
#include <rapidcheck/catch.h>

#include "tests/support/sim_random.h"

namespace staffel {
namespace {

MemberId M(std::string_view text) { return *MemberId::From(text); }

TEST_CASE("cells have the bytes of docs/formats/journal.md") {
  const ElementId element = *ElementId::From(*FromHex("000102030405060708090a0b0c0d0e0f"));
  CHECK(ToHex(FieldCell(1)) == "000101");
  CHECK(ToHex(DeletedCell()) == "000101");
  CHECK(ToHex(FieldCell(300)) == "0001ac02");
  CHECK(ToHex(EncodeCell({{OwnerKind::kChair, {}}, {7u}})) == "010107");
  CHECK(ToHex(EncodeCell({{OwnerKind::kMember, M("NI")}, {9u, M("NI")}})) ==
        "02024e490109"
        "03024e49");
  CHECK(ToHex(EncodeCell({{}, {5u, element, 2u}})) ==
        "000105"
        "02000102030405060708090a0b0c0d0e0f"
        "0102");
}

TEST_CASE("each cell address reads back as it was written, and has one encoding") {
  rc::prop("round trip", [](std::uint64_t seed) {
    testing::SimRandom random(seed);
    const char* members[] = {"NI", "NW", "BUND", "A", "ABCDEFGHIJKLMNOP"};
    const auto member = [&] { return M(members[random.Below(5)]); };
    CellAddress address;
    address.owner.kind = static_cast<OwnerKind>(random.Below(3));
    if (address.owner.kind == OwnerKind::kMember) address.owner.member = member();
    address.steps.emplace_back(static_cast<std::uint32_t>(1 + random.Below((1u << 29) - 1)));
    for (std::uint64_t i = random.Below(4); i > 0; --i) {
      switch (random.Below(3)) {
        case 0:
          address.steps.emplace_back(static_cast<std::uint32_t>(1 + random.Below(40)));
          break;
        case 1:
          address.steps.emplace_back(random.DrawId<ElementId>());
          break;
        default:
          address.steps.emplace_back(member());
          break;
      }
    }
    const Cell cell = EncodeCell(address);
    const auto decoded = DecodeCell(cell);
    RC_ASSERT(decoded.has_value());
    RC_ASSERT(*decoded == address);
    RC_ASSERT(CheckCell(cell) == address.owner);
    // What is accepted is what would have been written: no second spelling of a cell.
    Bytes changed = cell;
    changed[random.Below(changed.size())] = static_cast<char>(random.Next());
    const auto other = DecodeCell(changed);
    RC_ASSERT(other.has_value() == CheckCell(changed).has_value());
    if (other) RC_ASSERT(EncodeCell(*other) == changed);
  });
}

TEST_CASE("what EncodeCell would not have written is refused") {
  const char* refused[] = {
      "",                  // nothing
      "00",                // no steps
      "030101",            // unknown owner
      "0001",              // step without number
      "000100",            // field number 0
      "00018180",          // number cut short
      "00018100",          // not minimal
      "0001808080800201",  // beyond the greatest field number
      "000401",            // unknown step
      "0003024e49",        // does not begin with a field number
      "0002000102030405060708090a0b0c0d0e0f",
      "00010502000102",  // id cut short
      "0001050300",      // member without a name
      "0001050302",      // member cut short
      "00010503026e69",  // not a member id
      "02",              // owner cut short
      "02006e0101",      // owner without a name
      "02056e690101",
  };
  for (const char* hex : refused) {
    const Bytes cell = FromHex(hex).value();
    CAPTURE(hex);
    CHECK_FALSE(DecodeCell(cell));
    CHECK_FALSE(CheckCell(cell));
  }
}

TEST_CASE("a cell of 128 bytes is taken, a longer one refused") {
  CellAddress address{{}, {1u}};
  while (EncodeCell(address).size() + 17 <= kCellBytesMax) address.steps.emplace_back(ElementId());
  Cell cell = EncodeCell(address);
  while (cell.size() + 2 <= kCellBytesMax) cell += Bytes("\1\1");
  CHECK(DecodeCell(cell));
  cell += Bytes("\1\1");
  REQUIRE(cell.size() > kCellBytesMax);
  CHECK(DecodeCell(cell).error().code == ErrorCode::kTooLarge);
  CHECK_FALSE(CheckCell(cell));
}

}  // namespace
}  // namespace staffel
