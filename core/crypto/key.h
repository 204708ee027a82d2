// SPDX-License-Identifier: EUPL-1.2
// P-256 keys and ECDSA signatures (FIPS 186-5), in the one form that core.md allows: an algorithm
// byte, then raw r and s, with s in the lower half of the order, so that nobody can make a second
// signature out of a first.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/id.h"
#include "core/base/result.h"

namespace staffel::crypto {

inline constexpr char kAlgorithmP256 = 1;
inline constexpr std::size_t kSignatureBytes = 65;  // algorithm byte, r (32), s (32)

// A point on P-256, as its 33 compressed bytes (SEC 1, section 2.3.3). A value: checked to lie on
// the curve when it is made.
class PublicKey {
 public:
  static constexpr std::size_t kBytes = 33;

  PublicKey() = default;  // no key: verifies nothing
  // Refuses other lengths and points that are not on the curve.
  [[nodiscard]] static Result<PublicKey> From(ByteView compressed);
  [[nodiscard]] ByteView bytes() const { return bytes_; }
  [[nodiscard]] bool empty() const { return bytes_.empty(); }
  // SHA-256 of the 33 bytes: what an invitation carries, and what people compare.
  [[nodiscard]] Hash Fingerprint() const;

  friend bool operator==(const PublicKey&, const PublicKey&) = default;
  friend auto operator<=>(const PublicKey&, const PublicKey&) = default;

 private:
  friend class KeyPair;
  friend Result<PublicKey> PublicKeyOfCertificate(ByteView der);
  Bytes bytes_;
};

// A private key and its public half. Moves, never copies; wiped by OpenSSL when destroyed.
// Sign may be called from any thread.
class KeyPair {
 public:
  [[nodiscard]] static Result<KeyPair> Generate();
  // A key that follows from `seed` (any bytes): for simulation and golden files only.
  [[nodiscard]] static KeyPair FromSeedForTests(ByteView seed);
  // PKCS #8 PEM without a password, as ToPem writes it.
  [[nodiscard]] static Result<KeyPair> FromPem(std::string_view pem);

  KeyPair(KeyPair&&) noexcept;
  KeyPair& operator=(KeyPair&&) noexcept;
  ~KeyPair();

  [[nodiscard]] const PublicKey& public_key() const;
  [[nodiscard]] std::string ToPem() const;
  // A signature of kSignatureBytes over tag, a zero byte and message. Low s.
  [[nodiscard]] Bytes Sign(std::string_view tag, ByteView message) const;

 private:
  friend Result<std::string> MakeSelfSignedCertificate(const KeyPair&, std::string_view);
  struct State;
  explicit KeyPair(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Whether `signature` is one by `key` over tag, a zero byte and message. False for any other
// algorithm byte, length, high s, or the empty key.
[[nodiscard]] bool Verify(const PublicKey& key, std::string_view tag, ByteView message,
                          ByteView signature);

}  // namespace staffel::crypto
