// SPDX-License-Identifier: EUPL-1.2
#include "core/crypto/key.h"

#include <catch2/catch.hpp>

#include "core/crypto/hash.h"

namespace staffel::crypto {
namespace {

// The order of P-256 (FIPS 186-5, D.2.3).
const Bytes kOrder = *FromHex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");

// kOrder - s: the other s that plain ECDSA would accept.
Bytes Mirrored(ByteView s) {
  Bytes out(32, '\0');
  int borrow = 0;
  for (int i = 31; i >= 0; --i) {
    const auto at = static_cast<std::size_t>(i);
    int digit = static_cast<unsigned char>(kOrder[at]) - static_cast<unsigned char>(s[at]) - borrow;
    borrow = digit < 0 ? 1 : 0;
    if (digit < 0) digit += 256;
    out[at] = static_cast<char>(digit);
  }
  return out;
}

TEST_CASE("a signature verifies for its key, tag and message, and for nothing else") {
  const KeyPair key = KeyPair::FromSeedForTests("one");
  const KeyPair other = KeyPair::FromSeedForTests("two");
  const Bytes signature = key.Sign(kTagSign, "message");
  CHECK(Verify(key.public_key(), kTagSign, "message", signature));
  CHECK_FALSE(Verify(other.public_key(), kTagSign, "message", signature));
  CHECK_FALSE(Verify(key.public_key(), kTagSeen, "message", signature));
  CHECK_FALSE(Verify(key.public_key(), kTagSign, "massage", signature));
  CHECK_FALSE(Verify(PublicKey(), kTagSign, "message", signature));
}

TEST_CASE("each single changed bit of a signature is noticed") {
  const KeyPair key = KeyPair::FromSeedForTests("one");
  const Bytes signature = key.Sign(kTagSign, "message");
  for (std::size_t i = 0; i < signature.size(); ++i) {
    Bytes changed = signature;
    changed[i] = static_cast<char>(changed[i] ^ (1 << (i % 8)));
    CAPTURE(i);
    CHECK_FALSE(Verify(key.public_key(), kTagSign, "message", changed));
  }
}

TEST_CASE("signatures are 65 bytes: algorithm 1, r, and an s in the lower half") {
  const KeyPair key = KeyPair::FromSeedForTests("one");
  for (int i = 0; i < 40; ++i) {
    const Bytes signature = key.Sign(kTagSign, std::to_string(i));
    REQUIRE(signature.size() == kSignatureBytes);
    CHECK(signature[0] == kAlgorithmP256);
    const Bytes s = signature.substr(33);
    CHECK(s < Mirrored(s));
    // The mirrored one satisfies ECDSA's equation, and is refused all the same.
    CHECK_FALSE(Verify(key.public_key(), kTagSign, std::to_string(i),
                       signature.substr(0, 33) + Mirrored(s)));
  }
}

TEST_CASE("other algorithms, lengths and values outside the field are refused") {
  const KeyPair key = KeyPair::FromSeedForTests("one");
  const Bytes signature = key.Sign(kTagSign, "message");
  const auto refused = [&](Bytes bytes) {
    return !Verify(key.public_key(), kTagSign, "message", bytes);
  };
  for (const char algorithm : {'\0', '\2', '\xff'}) {
    Bytes changed = signature;
    changed[0] = algorithm;
    CHECK(refused(changed));
  }
  CHECK(refused(""));
  CHECK(refused(signature.substr(0, 64)));
  CHECK(refused(signature + '\0'));
  const Bytes zero(32, '\0');
  CHECK(refused(signature.substr(0, 1) + zero + signature.substr(33)));
  CHECK(refused(signature.substr(0, 33) + zero));
  CHECK(refused(signature.substr(0, 1) + kOrder + signature.substr(33)));
  CHECK(refused(signature.substr(0, 33) + kOrder));
  CHECK(refused(Bytes(1, '\1') + Bytes(64, '\xff')));
}

TEST_CASE("a public key is 33 bytes on the curve") {
  const PublicKey key = KeyPair::FromSeedForTests("one").public_key();
  CHECK(PublicKey::From(key.bytes()).value() == key);
  CHECK_FALSE(PublicKey::From(""));
  CHECK_FALSE(PublicKey::From(key.bytes().substr(1)));
  CHECK_FALSE(PublicKey::From(Bytes(key.bytes()) + '\0'));
  CHECK_FALSE(PublicKey::From(Bytes(33, '\0')));
  CHECK_FALSE(PublicKey::From(Bytes(33, '\xff')));
  // Uncompressed and hybrid points have another first byte.
  Bytes changed(key.bytes());
  changed[0] = '\4';
  CHECK_FALSE(PublicKey::From(changed));
  // About half of all x have no point: among these few one is not on the curve.
  int off_curve = 0;
  for (char last = 0; last < 16; ++last) {
    changed = Bytes(key.bytes());
    changed.back() = last;
    if (!PublicKey::From(changed)) ++off_curve;
  }
  CHECK(off_curve > 0);
}

TEST_CASE("a key travels as PEM and stays the same key") {
  auto key = KeyPair::Generate();
  REQUIRE(key);
  const std::string pem = key->ToPem();
  CHECK(pem.rfind("-----BEGIN PRIVATE KEY-----", 0) == 0);
  const auto read = KeyPair::FromPem(pem);
  REQUIRE(read);
  CHECK(read->public_key() == key->public_key());
  CHECK(Verify(key->public_key(), kTagSign, "m", read->Sign(kTagSign, "m")));
}

TEST_CASE("what is no P-256 key in PEM is refused, saying what it is not") {
  CHECK(KeyPair::FromPem("").error().code == ErrorCode::kInvalid);
  CHECK(KeyPair::FromPem("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
            .error()
            .code == ErrorCode::kInvalid);
  // RFC 8410, section 10.3: an Ed25519 key.
  const auto ed25519 = KeyPair::FromPem(
      "-----BEGIN PRIVATE KEY-----\n"
      "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n"
      "-----END PRIVATE KEY-----\n");
  REQUIRE_FALSE(ed25519);
  CHECK(ed25519.error().message.find("P-256") != std::string::npos);
}

TEST_CASE("generated keys differ, and keys from one seed do not") {
  CHECK(KeyPair::Generate()->public_key() != KeyPair::Generate()->public_key());
  CHECK(KeyPair::FromSeedForTests("a").public_key() == KeyPair::FromSeedForTests("a").public_key());
  CHECK(KeyPair::FromSeedForTests("a").public_key() != KeyPair::FromSeedForTests("b").public_key());
}

TEST_CASE("a fingerprint is the SHA-256 of the 33 bytes") {
  const PublicKey key = KeyPair::FromSeedForTests("one").public_key();
  CHECK(key.Fingerprint() == Sha256(key.bytes()));
}

}  // namespace
}  // namespace staffel::crypto
