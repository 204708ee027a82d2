// SPDX-License-Identifier: EUPL-1.2
#include "core/crypto/key.h"

#include <array>
#include <cstring>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

#include "core/crypto/hash.h"
#include "core/crypto/key_state.h"

namespace staffel::crypto {
namespace {

constexpr std::size_t kScalarBytes = 32;

template <auto kFree>
struct Freed {
  template <typename T>
  void operator()(T* pointer) const {
    kFree(pointer);
  }
};
using BnPtr = std::unique_ptr<BIGNUM, Freed<BN_free>>;
using SigPtr = std::unique_ptr<ECDSA_SIG, Freed<ECDSA_SIG_free>>;
using BioPtr = std::unique_ptr<BIO, Freed<BIO_free_all>>;
using GroupPtr = std::unique_ptr<EC_GROUP, Freed<EC_GROUP_free>>;
using PointPtr = std::unique_ptr<EC_POINT, Freed<EC_POINT_free>>;

const EC_GROUP* Group() {
  static const GroupPtr group(EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1));
  return group.get();
}

const unsigned char* U(ByteView bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

// The compressed point of a P-256 key; nothing for other keys.
std::optional<Bytes> CompressedPoint(EVP_PKEY* pkey) {
  char group[32] = {};
  std::size_t group_size = 0;
  if (EVP_PKEY_get_utf8_string_param(pkey, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group,
                                     &group_size) != 1 ||
      std::string_view(group) != "prime256v1") {
    return std::nullopt;
  }
  std::array<unsigned char, 65> encoded{};
  std::size_t size = 0;
  if (EVP_PKEY_get_octet_string_param(pkey, OSSL_PKEY_PARAM_PUB_KEY, encoded.data(), encoded.size(),
                                      &size) != 1) {
    return std::nullopt;
  }
  const PointPtr point(EC_POINT_new(Group()));
  if (EC_POINT_oct2point(Group(), point.get(), encoded.data(), size, nullptr) != 1) {
    return std::nullopt;
  }
  Bytes compressed(PublicKey::kBytes, '\0');
  if (EC_POINT_point2oct(Group(), point.get(), POINT_CONVERSION_COMPRESSED,
                         reinterpret_cast<unsigned char*>(compressed.data()), compressed.size(),
                         nullptr) != compressed.size()) {
    return std::nullopt;
  }
  return compressed;
}

PkeyPtr PkeyFromPoint(ByteView compressed) {
  // EVP wants the group's name beside the point.
  char name[] = "prime256v1";
  OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, name, 0),
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY,
                                        const_cast<char*>(compressed.data()), compressed.size()),
      OSSL_PARAM_construct_end()};
  const ContextPtr context(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  EVP_PKEY* pkey = nullptr;
  if (!context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1) {
    return nullptr;
  }
  return PkeyPtr(pkey);
}

const EVP_MD* Sha256Algorithm() {
  static const EVP_MD* algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return algorithm;
}

// Order of the group, and half of it.
struct Order {
  BnPtr whole{BN_new()};
  BnPtr half{BN_new()};
  Order() {
    EC_GROUP_get_order(Group(), whole.get(), nullptr);
    BN_rshift1(half.get(), whole.get());
  }
};
const Order& GroupOrder() {
  static const Order order;
  return order;
}

}  // namespace

Result<PublicKey> PublicKey::From(ByteView compressed) {
  if (compressed.size() != kBytes) {
    return Fail(ErrorCode::kInvalid, "a P-256 key has {} bytes, this has {}", kBytes,
                compressed.size());
  }
  const PointPtr point(EC_POINT_new(Group()));
  if (EC_POINT_oct2point(Group(), point.get(), U(compressed), compressed.size(), nullptr) != 1 ||
      EC_POINT_is_at_infinity(Group(), point.get()) == 1) {
    return Fail(ErrorCode::kInvalid, "these 33 bytes are not a point on P-256");
  }
  PublicKey key;
  key.bytes_ = compressed;
  return key;
}

Hash PublicKey::Fingerprint() const { return Sha256(bytes_); }

KeyPair::KeyPair(std::unique_ptr<State> state) : state_(std::move(state)) {
  state_->signer.reset(EVP_PKEY_CTX_new(state_->pkey.get(), nullptr));
  const bool ok = EVP_PKEY_sign_init(state_->signer.get()) == 1 &&
                  EVP_PKEY_CTX_set_signature_md(state_->signer.get(), Sha256Algorithm()) == 1;
  STAFFEL_ASSERT(ok);
}
KeyPair::KeyPair(KeyPair&&) noexcept = default;
KeyPair& KeyPair::operator=(KeyPair&&) noexcept = default;
KeyPair::~KeyPair() = default;

Result<KeyPair> KeyPair::Generate() {
  auto state = std::make_unique<State>();
  state->pkey.reset(EVP_EC_gen("prime256v1"));
  const auto point = state->pkey ? CompressedPoint(state->pkey.get()) : std::nullopt;
  if (!point) return Fail(ErrorCode::kInternal, "OpenSSL could not make a P-256 key");
  state->public_key.bytes_ = *point;
  return KeyPair(std::move(state));
}

KeyPair KeyPair::FromSeedForTests(ByteView seed) {
  const Hash scalar = TaggedHash("staffel/test/key", seed);
  const BnPtr secret(BN_bin2bn(U(scalar.bytes()), kScalarBytes, nullptr));
  const std::unique_ptr<BN_CTX, Freed<BN_CTX_free>> scratch(BN_CTX_new());
  BN_nnmod(secret.get(), secret.get(), GroupOrder().half.get(), scratch.get());
  BN_add_word(secret.get(), 1);
  const PointPtr point(EC_POINT_new(Group()));
  EC_POINT_mul(Group(), point.get(), secret.get(), nullptr, nullptr, nullptr);
  Bytes uncompressed(65, '\0');
  EC_POINT_point2oct(Group(), point.get(), POINT_CONVERSION_UNCOMPRESSED,
                     reinterpret_cast<unsigned char*>(uncompressed.data()), uncompressed.size(),
                     nullptr);
  const std::unique_ptr<OSSL_PARAM_BLD, Freed<OSSL_PARAM_BLD_free>> builder(OSSL_PARAM_BLD_new());
  OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0);
  OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, uncompressed.data(),
                                   uncompressed.size());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_PRIV_KEY, secret.get());
  const std::unique_ptr<OSSL_PARAM, Freed<OSSL_PARAM_free>> params(
      OSSL_PARAM_BLD_to_param(builder.get()));
  const ContextPtr context(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  EVP_PKEY* pkey = nullptr;
  EVP_PKEY_fromdata_init(context.get());
  EVP_PKEY_fromdata(context.get(), &pkey, EVP_PKEY_KEYPAIR, params.get());
  STAFFEL_ASSERT(pkey != nullptr);
  auto state = std::make_unique<State>();
  state->pkey.reset(pkey);
  state->public_key.bytes_ = *CompressedPoint(pkey);
  return KeyPair(std::move(state));
}

Result<KeyPair> KeyPair::FromPem(std::string_view pem) {
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  auto state = std::make_unique<State>();
  // An empty password instead of a prompt on the terminal.
  state->pkey.reset(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, const_cast<char*>("")));
  if (!state->pkey)
    return Fail(ErrorCode::kInvalid, "this is not a private key in PEM without password");
  const auto point = CompressedPoint(state->pkey.get());
  if (!point)
    return Fail(ErrorCode::kInvalid, "this private key is not on the curve P-256 (prime256v1)");
  state->public_key.bytes_ = *point;
  return KeyPair(std::move(state));
}

const PublicKey& KeyPair::public_key() const { return state_->public_key; }

std::string KeyPair::ToPem() const {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  const int written = PEM_write_bio_PKCS8PrivateKey(bio.get(), state_->pkey.get(), nullptr, nullptr,
                                                    0, nullptr, nullptr);
  STAFFEL_ASSERT(written == 1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

Bytes KeyPair::Sign(std::string_view tag, ByteView message) const {
  const Hash digest = TaggedHash(tag, message);
  const ContextPtr context(EVP_PKEY_CTX_dup(state_->signer.get()));
  std::array<unsigned char, 80> der{};
  std::size_t der_size = der.size();
  bool ok =
      EVP_PKEY_sign(context.get(), der.data(), &der_size, U(digest.bytes()), Hash::kBytes) == 1;
  STAFFEL_ASSERT(ok);
  const unsigned char* cursor = der.data();
  const SigPtr signature(d2i_ECDSA_SIG(nullptr, &cursor, static_cast<long>(der_size)));
  STAFFEL_ASSERT(signature != nullptr);
  const BIGNUM* r = ECDSA_SIG_get0_r(signature.get());
  const BnPtr s(BN_dup(ECDSA_SIG_get0_s(signature.get())));
  if (BN_cmp(s.get(), GroupOrder().half.get()) > 0) {
    BN_sub(s.get(), GroupOrder().whole.get(), s.get());
  }
  Bytes out(kSignatureBytes, '\0');
  out[0] = kAlgorithmP256;
  auto* raw = reinterpret_cast<unsigned char*>(out.data());
  ok = BN_bn2binpad(r, raw + 1, kScalarBytes) == kScalarBytes &&
       BN_bn2binpad(s.get(), raw + 1 + kScalarBytes, kScalarBytes) == kScalarBytes;
  STAFFEL_ASSERT(ok);
  return out;
}

bool Verify(const PublicKey& key, std::string_view tag, ByteView message, ByteView signature) {
  if (key.empty() || signature.size() != kSignatureBytes || signature[0] != kAlgorithmP256) {
    return false;
  }
  BnPtr r(BN_bin2bn(U(signature) + 1, kScalarBytes, nullptr));
  BnPtr s(BN_bin2bn(U(signature) + 1 + kScalarBytes, kScalarBytes, nullptr));
  if (BN_is_zero(r.get()) || BN_is_zero(s.get()) || BN_cmp(s.get(), GroupOrder().half.get()) > 0) {
    return false;
  }
  const SigPtr sig(ECDSA_SIG_new());
  if (ECDSA_SIG_set0(sig.get(), r.get(), s.get()) != 1) return false;
  (void)r.release();
  (void)s.release();
  std::array<unsigned char, 80> der{};
  unsigned char* cursor = der.data();
  const int der_size = i2d_ECDSA_SIG(sig.get(), &cursor);
  if (der_size <= 0) return false;
  const PkeyPtr pkey = PkeyFromPoint(key.bytes());
  if (!pkey) return false;
  const ContextPtr context(EVP_PKEY_CTX_new(pkey.get(), nullptr));
  const Hash digest = TaggedHash(tag, message);
  return EVP_PKEY_verify_init(context.get()) == 1 &&
         EVP_PKEY_CTX_set_signature_md(context.get(), Sha256Algorithm()) == 1 &&
         EVP_PKEY_verify(context.get(), der.data(), static_cast<std::size_t>(der_size),
                         U(digest.bytes()), Hash::kBytes) == 1;
}

}  // namespace staffel::crypto
