// SPDX-License-Identifier: EUPL-1.2
// The operating system's randomness, by OpenSSL.
#pragma once

#include "core/base/random.h"

namespace staffel::crypto {

class SystemRandom final : public Random {
 public:
  [[nodiscard]] Bytes Draw(std::size_t size) override;
};

// Compares in a time that does not depend on where the bytes differ: for codes and secrets.
[[nodiscard]] bool EqualSecrets(ByteView a, ByteView b);

}  // namespace staffel::crypto
