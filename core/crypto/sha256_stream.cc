// SPDX-License-Identifier: EUPL-1.2
#include "core/crypto/sha256_stream.h"

#include <openssl/evp.h>

#include "core/base/result.h"

namespace staffel::crypto {

struct Sha256Stream::State {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{EVP_MD_CTX_new(),
                                                                  EVP_MD_CTX_free};
  void Begin() { STAFFEL_ASSERT(EVP_DigestInit_ex2(context.get(), EVP_sha256(), nullptr) == 1); }
};

Sha256Stream::Sha256Stream() : state_(std::make_unique<State>()) { state_->Begin(); }
Sha256Stream::~Sha256Stream() = default;
Sha256Stream::Sha256Stream(Sha256Stream&&) noexcept = default;
Sha256Stream& Sha256Stream::operator=(Sha256Stream&&) noexcept = default;

void Sha256Stream::Add(ByteView bytes) {
  STAFFEL_ASSERT(EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) == 1);
}

Hash Sha256Stream::Finish() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  STAFFEL_ASSERT(EVP_DigestFinal_ex(state_->context.get(), digest, &size) == 1 &&
                 size == Hash::kBytes);
  state_->Begin();
  return *Hash::From({reinterpret_cast<const char*>(digest), size});
}

}  // namespace staffel::crypto
