// SPDX-License-Identifier: EUPL-1.2
#include "core/crypto/certificate.h"

#include <catch2/catch.hpp>

namespace staffel::crypto {
namespace {

// The bytes inside PEM armour.
Bytes DerOf(std::string_view pem) {
  std::string text;
  bool inside = false;
  while (!pem.empty()) {
    const auto end = pem.find('\n');
    const auto line = pem.substr(0, end);
    pem.remove_prefix(end == std::string_view::npos ? pem.size() : end + 1);
    if (line.substr(0, 5) == "-----") {
      inside = !inside;
    } else if (inside) {
      text += line;
    }
  }
  while (!text.empty() && text.back() == '=') text.pop_back();
  for (char& c : text) c = c == '+' ? '-' : c == '/' ? '_' : c;
  return FromBase64Url(text).value();
}

TEST_CASE("a certificate gives back the key that it was made over") {
  for (const char* seed : {"one", "two", "three", "four"}) {
    const KeyPair key = KeyPair::FromSeedForTests(seed);
    const auto pem = MakeSelfSignedCertificate(key, "NI – Niedersachsen");
    REQUIRE(pem);
    CHECK(PublicKeyOfCertificatePem(*pem).value() == key.public_key());
    CHECK(PublicKeyOfCertificate(DerOf(*pem)).value() == key.public_key());
  }
}

TEST_CASE("what is no certificate is refused") {
  CHECK(PublicKeyOfCertificate("").error().code == ErrorCode::kInvalid);
  CHECK(PublicKeyOfCertificate("garbage").error().code == ErrorCode::kInvalid);
  CHECK(PublicKeyOfCertificatePem("").error().code == ErrorCode::kInvalid);
  const KeyPair key = KeyPair::FromSeedForTests("one");
  CHECK_FALSE(PublicKeyOfCertificatePem(key.ToPem()));
  const Bytes der = DerOf(MakeSelfSignedCertificate(key, "NI").value());
  CHECK_FALSE(PublicKeyOfCertificate(ByteView(der).substr(0, der.size() / 2)));
}

TEST_CASE("a certificate over a key of another kind is refused") {
  // Ed25519, self-signed, made with `openssl req -x509 -newkey ed25519`.
  constexpr std::string_view kEd25519 = R"(-----BEGIN CERTIFICATE-----
MIIBNDCB56ADAgECAhQJ78+4tiW0m9+FFVlm5KDv2I12IjAFBgMrZXAwDzENMAsG
A1UEAwwEdGVzdDAgFw0yNjExMjIxMTExNDFaGA8yMTI2MTAyOTExMTE0MVowDzEN
MAsGA1UEAwwEdGVzdDAqMAUGAytlcAMhAJvj93mczkDsDXLYYPqEx0Y5f/L42ghs
DSLvexVpN1+No1MwUTAdBgNVHQ4EFgQUWnLhUZaDhJlOLlJDM7Oq56pcv+gwHwYD
VR0jBBgwFoAUWnLhUZaDhJlOLlJDM7Oq56pcv+gwDwYDVR0TAQH/BAUwAwEB/zAF
BgMrZXADQQCoZW0/V7hr3lT207s4jU2SKdO6IeVh4LzeiKD+J65mL383cvsctmWW
PhQzCZyTNM5B9KCTNV0W1leItyTQ6hwG
-----END CERTIFICATE-----
)";
  const auto key = PublicKeyOfCertificatePem(kEd25519);
  REQUIRE_FALSE(key);
  CHECK(key.error().message.find("P-256") != std::string::npos);
}

TEST_CASE("a name that a certificate cannot carry is an error, not a crash") {
  const KeyPair key = KeyPair::FromSeedForTests("one");
  CHECK_FALSE(MakeSelfSignedCertificate(key, std::string(100, 'x')));
}

}  // namespace
}  // namespace staffel::crypto
