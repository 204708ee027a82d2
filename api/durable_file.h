// SPDX-License-Identifier: EUPL-1.2
// Files that are whole or not there, whatever happens in between: written beside, synced, renamed,
// and the directory synced. For keys, the nonce's twin, backups.
#pragma once

#include <string>
#include <string_view>

#include "core/base/result.h"

namespace staffel::api {

// Replaces the file, mode 0600. On return it is durable; after an error the old one stands, or the
// new one. kStorage.
[[nodiscard]] Status WriteDurably(const std::string& path, std::string_view content);
// Syncs a file that somebody else wrote, and puts it, mode 0600, in the place of `path` in the same
// directory. kStorage; then `part` may be left over.
[[nodiscard]] Status PutInPlace(const std::string& part, const std::string& path);
[[nodiscard]] Status SyncDirectoryOf(const std::string& path);
// kStorage, with what the system says (errno): "PATH cannot be made: No such file or directory".
[[nodiscard]] tl::unexpected<Error> SystemFailure(std::string_view what, const std::string& path);
[[nodiscard]] bool FileExists(const std::string& path);

}  // namespace staffel::api
