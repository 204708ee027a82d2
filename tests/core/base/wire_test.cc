// SPDX-License-Identifier: EUPL-1.2
#include "core/base/wire.h"

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>
#include <rapidcheck/catch.h>

namespace staffel {
namespace {

Bytes Varint(std::uint64_t value) {
  Bytes out;
  AppendVarint(out, value);
  return out;
}

// Reads all fields; the second value is whether the whole was a message.
std::pair<std::vector<WireField>, bool> ReadAll(ByteView message) {
  WireReader reader(message);
  std::vector<WireField> fields;
  while (const auto field = reader.Next()) fields.push_back(*field);
  return {fields, reader.ok()};
}

TEST_CASE("varints have the bytes that protobuf gives them") {
  CHECK(ToHex(Varint(0)) == "00");
  CHECK(ToHex(Varint(127)) == "7f");
  CHECK(ToHex(Varint(128)) == "8001");
  CHECK(ToHex(Varint(300)) == "ac02");
  CHECK(ToHex(Varint(std::numeric_limits<std::uint64_t>::max())) == "ffffffffffffffffff01");
}

TEST_CASE("a varint that is cut short, too long or not minimal is refused") {
  for (const char* hex : {"", "80", "ffffffff", "8000", "808000", "ffffffffffffffffff02",
                          "ffffffffffffffffffff01", "80808080808080808000"}) {
    CAPTURE(hex);
    const Bytes bytes = *FromHex(hex);
    ByteView in = bytes;
    CHECK_FALSE(TakeVarint(in));
    CHECK(in.size() == bytes.size());  // nothing was taken
  }
}

TEST_CASE("any number survives, and takes its own bytes only") {
  rc::prop("varints", [](std::uint64_t value, const std::string& after) {
    const Bytes bytes = Varint(value) + after;
    ByteView in = bytes;
    RC_ASSERT(TakeVarint(in) == value);
    RC_ASSERT(in == after);
  });
}

TEST_CASE("a message is cut into its fields, each as it stands") {
  Bytes message;
  AppendVarintField(message, 1, 150);
  AppendBytesField(message, 2, "testing");
  AppendBytesField(message, 2, "");
  message += *FromHex("1d01000080");          // field 3, four bytes
  message += *FromHex("210200000000000080");  // field 4, eight bytes
  AppendVarintField(message, (1u << 29) - 1, 1);
  CHECK(ToHex(message.substr(0, 12)) == "089601120774657374696e67");

  const auto [fields, ok] = ReadAll(message);
  CHECK(ok);
  REQUIRE(fields.size() == 6);
  CHECK(fields[0].number == 1);
  CHECK(fields[0].type == WireType::kVarint);
  CHECK(fields[0].number_value == 150);
  CHECK(fields[1].number == 2);
  CHECK(fields[1].bytes == "testing");
  CHECK(fields[1].whole == *FromHex("120774657374696e67"));
  CHECK(fields[2].bytes.empty());
  CHECK(fields[3].type == WireType::kFixed32);
  CHECK(fields[3].number_value == 0x80000001u);
  CHECK(fields[4].type == WireType::kFixed64);
  CHECK(fields[4].number_value == 0x8000000000000002u);
  CHECK(fields[5].number == (1u << 29) - 1);
}

TEST_CASE("bytes that are no message are refused, and reading stops there") {
  for (const char* hex : {
           "00",                      // field number 0
           "08",                      // a tag without a value
           "0b",                      // a group begins
           "0c",                      // a group ends
           "0e", "0f",                // wire types that do not exist
           "1205616263",              // five bytes said, three there
           "12ffffffffffffffffff01",  // a length beyond everything
           "0d010203",                // three of four bytes
           "0901020304050607",        // seven of eight bytes
           "088000",                  // a value not minimally encoded
           "880001",                  // a tag not minimally encoded
           "808080801001",            // field number 2^29
       }) {
    CAPTURE(hex);
    const auto [fields, ok] = ReadAll(*FromHex(hex));
    CHECK(fields.empty());
    CHECK_FALSE(ok);
  }
  const auto [fields, ok] = ReadAll(*FromHex("080100"));
  CHECK(fields.size() == 1);
  CHECK_FALSE(ok);
}

TEST_CASE("an empty message has no fields and is one") {
  const auto [fields, ok] = ReadAll("");
  CHECK(fields.empty());
  CHECK(ok);
}

TEST_CASE("the fields of a message, put together, are the message") {
  rc::prop("for messages that we write", [] {
    const auto numbers =
        *rc::gen::container<std::vector<std::pair<std::uint32_t, std::string>>>(rc::gen::pair(
            rc::gen::inRange<std::uint32_t>(1, 1u << 29), rc::gen::arbitrary<std::string>()));
    Bytes message;
    for (const auto& [number, content] : numbers) {
      if (content.size() % 2 == 0) {
        AppendBytesField(message, number, content);
      } else {
        AppendVarintField(message, number, content.size());
      }
    }
    const auto [fields, ok] = ReadAll(message);
    RC_ASSERT(ok);
    RC_ASSERT(fields.size() == numbers.size());
    Bytes joined;
    for (std::size_t i = 0; i < fields.size(); ++i) {
      RC_ASSERT(fields[i].number == numbers[i].first);
      joined += fields[i].whole;
    }
    RC_ASSERT(joined == message);
  });
  rc::prop("for any bytes: what was read and what is left are all there was",
           [](const std::string& bytes) {
             WireReader reader(bytes);
             Bytes joined;
             while (const auto field = reader.Next()) joined += field->whole;
             RC_ASSERT(bytes.starts_with(joined));
             if (reader.ok()) RC_ASSERT(joined == bytes);
           });
}

}  // namespace
}  // namespace staffel
