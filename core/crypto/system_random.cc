// SPDX-License-Identifier: EUPL-1.2
#include "core/crypto/system_random.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "core/base/result.h"

namespace staffel::crypto {

Bytes SystemRandom::Draw(std::size_t size) {
  Bytes bytes(size, '\0');
  const int drawn =
      RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(size));
  STAFFEL_ASSERT(drawn == 1);
  return bytes;
}

bool EqualSecrets(ByteView a, ByteView b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace staffel::crypto
