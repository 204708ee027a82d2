// SPDX-License-Identifier: EUPL-1.2
#include "core/crypto/certificate.h"

#include <array>

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "core/crypto/key_state.h"

namespace staffel::crypto {
namespace {

struct X509Deleter {
  void operator()(X509* certificate) const { X509_free(certificate); }
};
using X509Ptr = std::unique_ptr<X509, X509Deleter>;
struct BioDeleter {
  void operator()(BIO* bio) const { BIO_free_all(bio); }
};
using BioPtr = std::unique_ptr<BIO, BioDeleter>;

constexpr long kX509Version3 = 2;

bool AddExtension(X509* certificate, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  if (extension == nullptr) return false;
  const bool added = X509_add_ext(certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return added;
}

}  // namespace

Result<std::string> MakeSelfSignedCertificate(const KeyPair& key, std::string_view common_name) {
  const X509Ptr certificate(X509_new());
  EVP_PKEY* pkey = key.state_->pkey.get();
  std::array<unsigned char, 16> serial{};
  bool ok = RAND_bytes(serial.data(), static_cast<int>(serial.size())) == 1;
  serial[0] &= 0x7f;
  BIGNUM* number = BN_bin2bn(serial.data(), static_cast<int>(serial.size()), nullptr);
  ok = ok && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate.get())) != nullptr;
  BN_free(number);
  ok = ok && X509_set_version(certificate.get(), kX509Version3) == 1 &&
       ASN1_TIME_set_string_X509(X509_getm_notBefore(certificate.get()), "19700101000000Z") == 1 &&
       ASN1_TIME_set_string_X509(X509_getm_notAfter(certificate.get()), "99991231235959Z") == 1 &&
       X509_set_pubkey(certificate.get(), pkey) == 1;
  X509_NAME* name = X509_get_subject_name(certificate.get());
  ok = ok &&
       X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                  reinterpret_cast<const unsigned char*>(common_name.data()),
                                  static_cast<int>(common_name.size()), -1, 0) == 1 &&
       X509_set_issuer_name(certificate.get(), name) == 1 &&
       AddExtension(certificate.get(), NID_basic_constraints, "critical,CA:FALSE") &&
       AddExtension(certificate.get(), NID_ext_key_usage, "serverAuth,clientAuth") &&
       X509_sign(certificate.get(), pkey, EVP_sha256()) > 0;
  const BioPtr bio(BIO_new(BIO_s_mem()));
  ok = ok && PEM_write_bio_X509(bio.get(), certificate.get()) == 1;
  if (!ok)
    return Fail(ErrorCode::kInternal, "OpenSSL could not make a certificate for '{}'", common_name);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<std::size_t>(size));
}

Result<PublicKey> PublicKeyOfCertificate(ByteView der) {
  const auto* cursor = reinterpret_cast<const unsigned char*>(der.data());
  const X509Ptr certificate(d2i_X509(nullptr, &cursor, static_cast<long>(der.size())));
  if (!certificate) return Fail(ErrorCode::kInvalid, "this is not an X.509 certificate");
  EVP_PKEY* pkey = X509_get0_pubkey(certificate.get());
  std::array<char, 32> group{};
  std::array<unsigned char, 65> point{};
  std::size_t size = 0;
  if (pkey == nullptr ||
      EVP_PKEY_get_utf8_string_param(pkey, OSSL_PKEY_PARAM_GROUP_NAME, group.data(), group.size(),
                                     &size) != 1 ||
      std::string_view(group.data()) != "prime256v1" ||
      EVP_PKEY_get_octet_string_param(pkey, OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size(),
                                      &size) != 1) {
    return Fail(ErrorCode::kInvalid, "the certificate does not hold a P-256 key");
  }
  Bytes compressed;
  if (size == 65) {
    // Uncompressed: 4, x, y. The compressed form keeps x and whether y is odd.
    compressed.push_back((point[64] & 1) != 0 ? '\3' : '\2');
    compressed.append(reinterpret_cast<const char*>(point.data()) + 1, 32);
  } else {
    compressed.assign(reinterpret_cast<const char*>(point.data()), size);
  }
  return PublicKey::From(compressed);
}

Result<PublicKey> PublicKeyOfCertificatePem(std::string_view pem) {
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const X509Ptr certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (!certificate) return Fail(ErrorCode::kInvalid, "this is not an X.509 certificate in PEM");
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate.get(), &der);
  if (size <= 0) return Fail(ErrorCode::kInvalid, "this certificate cannot be encoded");
  const Bytes copy(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  return PublicKeyOfCertificate(copy);
}

}  // namespace staffel::crypto
