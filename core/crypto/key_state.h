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

struct ContextDeleter {
  void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
};
using ContextPtr = std::unique_ptr<EVP_PKEY_CTX, ContextDeleter>;

struct KeyPair::State {
  PkeyPtr pkey;
  PublicKey public_key;
  // Ready to sign, and never used itself: each signature takes a copy, from any thread. To look the
  // algorithm up each time would cost a quarter of the signature.
  ContextPtr signer;
};

}  // namespace staffel::crypto
