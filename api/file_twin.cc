// SPDX-License-Identifier: EUPL-1.2
#include "api/file_twin.h"

#include "api/config.h"
#include "api/durable_file.h"

namespace staffel::api {

namespace {
constexpr std::size_t kTwinBytesMax = 1024;
}  // namespace

Result<std::optional<Bytes>> FileTwin::Load() {
  if (!FileExists(path_)) return std::optional<Bytes>();
  auto content = ReadFile(path_, kTwinBytesMax);
  if (content) return std::optional<Bytes>(std::move(*content));
  // Larger than any twin: none of ours. What cannot be read at all is the disk's fault.
  if (content.error().code == ErrorCode::kTooLarge) return std::optional<Bytes>(Bytes());
  return Forward(content);
}

Status FileTwin::Save(ByteView content) { return WriteDurably(path_, content); }

}  // namespace staffel::api
