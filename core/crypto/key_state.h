// SPDX-License-Identifier: EUPL-1.2
// What KeyPair hides: shared by key.cc and certificate.cc only, so that OpenSSL's headers stay
// inside this folder.
#pragma once

#include <memory>

#include <openssl/evp.h>

#include "core/crypto/key.h"

namespace staffel::crypto {

struct PkeyDeleter {
  void operator()(EVP_PKEY* pkey) const { EVP_PKEY_free(pkey); }
};
using PkeyPtr = std::unique_ptr<EVP_PKEY, PkeyDeleter>;

struct KeyPair::State {
  PkeyPtr pkey;
  PublicKey public_key;
};

}  // namespace staffel::crypto
