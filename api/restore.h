// SPDX-License-Identifier: EUPL-1.2
// Putting a backup in the place of a node's database, while the node is not running. The next start
// is in doubt (core/store/doubt.h), whatever happens in between: the nonce's twin goes first.
#pragma once

#include <string>

#include "core/base/result.h"
#include "core/base/time.h"
#include "core/store/backup.h"

namespace staffel::api {

struct Restored {
  BackupView backup;
  std::string kept;         // where the database that stood there is now; empty: there was none
  bool keys_taken = false;  // the directory had none, the backup had some
};

// Checks the file, keeps the old database aside under a name with the time `now`, and puts a copy
// of the file in its place: after a crash the old one stands, or the new one, whole. Refusals: a
// node runs in the directory (kExists); kNotFound, kCorrupt, kUnsupported (the file); kDenied (the
// backup of another node, or no keys for it); kStorage. The file itself stays as it is.
[[nodiscard]] Result<Restored> RestoreBackup(const std::string& directory, const std::string& file,
                                             TimeMs now);

// Deletes the databases that restores have kept aside, with their logs: they hold what has been
// erased since. On return that is durable. Cheap where there are none.
[[nodiscard]] Status ForgetKept(const std::string& database);

}  // namespace staffel::api
