// SPDX-License-Identifier: EUPL-1.2
#include "core/crypto/hash.h"

#include <catch2/catch.hpp>

#include "core/crypto/system_random.h"

namespace staffel::crypto {
namespace {

TEST_CASE("SHA-256 gives the values of FIPS 180-4") {
  CHECK(Sha256("").Hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(Sha256("abc").Hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(Sha256(Bytes(1'000'000, 'a')).Hex() ==
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("parts are hashed one after another") {
  CHECK(Sha256({"a", "", "bc"}) == Sha256("abc"));
  CHECK(Sha256({}) == Sha256(""));
}

TEST_CASE("a tag and its zero byte keep hashes of different things apart") {
  const Hash direct = Sha256(Bytes("staffel/1/entry\0data", 20));
  CHECK(TaggedHash(kTagEntry, "data") == direct);
  CHECK(HashEntry("data").bytes() == direct.bytes());
  CHECK(HashPayload("data").bytes() == TaggedHash(kTagPayload, "data").bytes());
  CHECK(HashEntry("data").bytes() != HashPayload("data").bytes());
}

TEST_CASE("randomness has the size asked for and does not repeat") {
  SystemRandom random;
  CHECK(random.Draw(0).empty());
  CHECK(random.Draw(33).size() == 33);
  CHECK(random.Draw(32) != random.Draw(32));
}

TEST_CASE("secrets are equal only when all of them is") {
  CHECK(EqualSecrets("", ""));
  CHECK(EqualSecrets("abc", "abc"));
  CHECK_FALSE(EqualSecrets("abc", "abd"));
  CHECK_FALSE(EqualSecrets("abc", "ab"));
  CHECK_FALSE(EqualSecrets("ab", "abc"));
}

}  // namespace
}  // namespace staffel::crypto
