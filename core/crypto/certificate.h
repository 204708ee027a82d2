// SPDX-License-Identifier: EUPL-1.2
// Self-signed X.509 certificates: only a wrapping that TLS demands around a key that the charter
// lists. Nothing but the key in them is ever believed.
#pragma once

#include <string>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/crypto/key.h"

namespace staffel::crypto {

// A certificate (PEM) over `key`, self-signed, for `common_name`. Valid from 1970 to 9999: its
// lifetime is the charter's business, and a node with a wrong clock must still find its hub.
[[nodiscard]] Result<std::string> MakeSelfSignedCertificate(const KeyPair& key,
                                                            std::string_view common_name);

// The P-256 key in a certificate. Refuses other kinds of key and what is not a certificate.
[[nodiscard]] Result<PublicKey> PublicKeyOfCertificate(ByteView der);
[[nodiscard]] Result<PublicKey> PublicKeyOfCertificatePem(std::string_view pem);

}  // namespace staffel::crypto
