// SPDX-License-Identifier: EUPL-1.2
// Any bytes as a configuration: read or refused with a place, never a crash, and the same at a
// repeat.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "api/config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto config = staffel::api::ParseConfig(text, "fuzz.toml");
  if (!config) {
    STAFFEL_ASSERT(!config.error().message.empty());
    STAFFEL_ASSERT(config.error().message.starts_with("fuzz.toml"));
    return 0;
  }
  STAFFEL_ASSERT(!config->directory.empty());
  STAFFEL_ASSERT(config->certificate_file.empty() == config->key_file.empty());
  STAFFEL_ASSERT(config->proxy_user.empty() == config->proxy_password_file.empty());
  return 0;
}
