// SPDX-License-Identifier: EUPL-1.2
#include "core/base/id.h"

#include <string>
#include <type_traits>
#include <unordered_set>

#include <catch2/catch.hpp>

namespace staffel {
namespace {

TEST_CASE("an id has exactly its number of bytes") {
  CHECK(RecordId::From(Bytes(16, 'x')));
  CHECK_FALSE(RecordId::From(Bytes(15, 'x')));
  CHECK_FALSE(RecordId::From(Bytes(17, 'x')));
  CHECK_FALSE(RecordId::From(""));
  CHECK(EntryId::From(Bytes(32, 'x')));
  CHECK_FALSE(EntryId::From(Bytes(16, 'x')));
}

TEST_CASE("an id gives back its bytes and its text") {
  const std::string text = "000102030405060708090a0b0c0d0eff";
  const auto id = RecordId::FromText(text);
  REQUIRE(id);
  CHECK(id->Hex() == text);
  CHECK(id->bytes() == *FromHex(text));
  CHECK(RecordId::From(id->bytes()) == *id);
  CHECK_FALSE(RecordId::FromText("0001"));
  CHECK_FALSE(RecordId::FromText(text + "00"));
  CHECK_FALSE(RecordId::FromText("not hexadecimal, 32 characters !"));
}

TEST_CASE("ids are ordered as unsigned bytes, not as characters") {
  const auto low = *OpId::From("\x7f" + Bytes(15, '\xff'));
  const auto high = *OpId::From("\x80" + Bytes(15, '\0'));
  CHECK(low < high);
  CHECK(high > low);
  CHECK(low != high);
  CHECK(*OpId::From(Bytes(15, 'a') + '\0') < *OpId::From(Bytes(15, 'a') + '\1'));
}

TEST_CASE("an id that nobody set is zero, and a real one is not") {
  CHECK(Nonce().is_zero());
  CHECK(Nonce::From(Bytes(16, '\0'))->is_zero());
  CHECK_FALSE(Nonce::From(Bytes(15, '\0') + '\1')->is_zero());
}

TEST_CASE("ids of different meaning are different types") {
  CHECK_FALSE(std::is_convertible_v<RecordId, OpId>);
  CHECK_FALSE(std::is_convertible_v<EntryId, Commitment>);
  CHECK(std::is_same_v<EntryId, JournalId>);  // the id of entry 0 is the journal's
}

TEST_CASE("equal ids meet in a hash table") {
  std::unordered_set<RecordId> ids;
  for (char c = 'a'; c <= 'z'; ++c) ids.insert(*RecordId::From(Bytes(16, c)));
  ids.insert(*RecordId::From(Bytes(16, 'm')));
  CHECK(ids.size() == 26);
  CHECK(ids.contains(*RecordId::From(Bytes(16, 'q'))));
}

TEST_CASE("a member is a short word of capitals, digits and hyphens") {
  for (const char* text : {"NI", "BUND", "A", "A-LAND", "B2", "ABCDEFGHIJKLMNOP"}) {
    CAPTURE(text);
    const auto member = MemberId::From(text);
    REQUIRE(member);
    CHECK(member->text() == text);
    CHECK_FALSE(member->empty());
  }
  for (const char* text : {"", "ni", "Ni", "2B", "-A", "N I", "NI\n", "NÖ", "ABCDEFGHIJKLMNOPQ"}) {
    CAPTURE(text);
    CHECK_FALSE(MemberId::From(text));
  }
  CHECK_FALSE(MemberId::From(std::string_view("N\0I", 3)));
}

TEST_CASE("members are ordered by their text and told apart by it") {
  CHECK(*MemberId::From("BW") < *MemberId::From("BY"));
  CHECK(*MemberId::From("B") < *MemberId::From("BB"));
  CHECK(std::hash<MemberId>()(*MemberId::From("NI")) ==
        std::hash<MemberId>()(*MemberId::From("NI")));
  CHECK(MemberId().empty());
}

}  // namespace
}  // namespace staffel
