// SPDX-License-Identifier: EUPL-1.2
#include "core/base/bytes.h"

#include <string>

#include <catch2/catch.hpp>
#include <rapidcheck/catch.h>

namespace staffel {
namespace {

TEST_CASE("hexadecimal is written in lower case and read in either") {
  CHECK(ToHex(Bytes("\x00\xff\x1a", 3)) == "00ff1a");
  CHECK(ToHex("") == "");
  CHECK(FromHex("00FF1a") == Bytes("\x00\xff\x1a", 3));
  CHECK(FromHex("") == Bytes());
}

TEST_CASE("what is not hexadecimal is refused") {
  CHECK_FALSE(FromHex("0"));
  CHECK_FALSE(FromHex("0g"));
  CHECK_FALSE(FromHex("g0"));
  CHECK_FALSE(FromHex("0x"));
  CHECK_FALSE(FromHex(" 1"));
  CHECK_FALSE(FromHex("ä"));
}

TEST_CASE("base64url follows the vectors of RFC 4648, without padding") {
  CHECK(ToBase64Url("") == "");
  CHECK(ToBase64Url("f") == "Zg");
  CHECK(ToBase64Url("fo") == "Zm8");
  CHECK(ToBase64Url("foo") == "Zm9v");
  CHECK(ToBase64Url("foob") == "Zm9vYg");
  CHECK(ToBase64Url("fooba") == "Zm9vYmE");
  CHECK(ToBase64Url("foobar") == "Zm9vYmFy");
  CHECK(ToBase64Url("\xfb\xff\xfe") == "-__-");
}

TEST_CASE("base64url has one text for one sequence of bytes") {
  CHECK(FromBase64Url("Zg") == Bytes("f"));
  CHECK_FALSE(FromBase64Url("Zh"));    // bits left over that are not zero
  CHECK_FALSE(FromBase64Url("Zm9"));   // the same, in the second group
  CHECK_FALSE(FromBase64Url("Zg=="));  // padding
  CHECK_FALSE(FromBase64Url("Z"));     // six bits are no byte
  CHECK_FALSE(FromBase64Url("+/+/"));  // the other alphabet
  CHECK_FALSE(FromBase64Url("Zm 9v"));
}

TEST_CASE("any bytes survive both text forms") {
  rc::prop("hexadecimal and base64url give back what they were given",
           [](const std::string& bytes) {
             RC_ASSERT(FromHex(ToHex(bytes)) == bytes);
             RC_ASSERT(FromBase64Url(ToBase64Url(bytes)) == bytes);
           });
}

TEST_CASE("a text read as base64url is the text that would be written") {
  rc::prop("no two texts mean the same bytes", [] {
    const auto alphabet =
        std::string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
    const auto text = *rc::gen::container<std::string>(rc::gen::elementOf(alphabet));
    const auto bytes = FromBase64Url(text);
    if (bytes) RC_ASSERT(ToBase64Url(*bytes) == text);
  });
}

}  // namespace
}  // namespace staffel
