// SPDX-License-Identifier: EUPL-1.2
#include "core/crypto/hash.h"

#include <memory>

#include <openssl/evp.h>

#include "core/base/result.h"

namespace staffel::crypto {
namespace {

// Fetched once: looking an algorithm up costs more than hashing a header.
const EVP_MD* Algorithm() {
  static const EVP_MD* algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return algorithm;
}

EVP_MD_CTX* ThreadContext() {
  thread_local const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(
      EVP_MD_CTX_new(), EVP_MD_CTX_free);
  return context.get();
}

}  // namespace

Hash Sha256(std::initializer_list<ByteView> parts) {
  EVP_MD_CTX* context = ThreadContext();
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  bool ok = EVP_DigestInit_ex2(context, Algorithm(), nullptr) == 1;
  for (ByteView part : parts) {
    ok = ok && EVP_DigestUpdate(context, part.data(), part.size()) == 1;
  }
  ok = ok && EVP_DigestFinal_ex(context, digest, &size) == 1;
  STAFFEL_ASSERT(ok && size == Hash::kBytes);
  return *Hash::From({reinterpret_cast<const char*>(digest), size});
}

Hash TaggedHash(std::string_view tag, ByteView data) {
  return Sha256({tag, ByteView("\0", 1), data});
}

EntryId HashEntry(ByteView header) { return *EntryId::From(TaggedHash(kTagEntry, header).bytes()); }

Commitment HashPayload(ByteView payload) {
  return *Commitment::From(TaggedHash(kTagPayload, payload).bytes());
}

}  // namespace staffel::crypto
