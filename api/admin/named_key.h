// SPDX-License-Identifier: EUPL-1.2
// How people name a key of the charter: as `status` or `keys list` shows it, whole or shortened.
#pragma once

#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/crypto/key.h"

namespace staffel::api {

// The one of these whose hexadecimal digits, or whose fingerprint's, begin like that. kInvalid: too
// few digits, or several keys begin so; kNotFound: none does.
[[nodiscard]] Result<crypto::PublicKey> FindKey(const std::vector<crypto::PublicKey>& keys,
                                                std::string_view prefix);

}  // namespace staffel::api
