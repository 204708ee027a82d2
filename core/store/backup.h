// SPDX-License-Identifier: EUPL-1.2
// A backup: one SQLite file with the whole replica as it was at one moment, checked before it is
// called one. It carries no nonce, so that whatever is restored from it is in doubt about its past
// (doubt.h), however little time has gone by. Where the file is put, and that it is put there
// whole, is the caller's business; docs/formats/backup.md describes it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/id.h"
#include "core/base/result.h"
#include "core/base/time.h"
#include "core/crypto/key.h"

namespace staffel {

struct BackupOptions {
  std::string path;     // a file that does not exist; on the store's file system (its vfs)
  std::string version;  // of the software, for whoever looks into the file
  // What else is to travel in it, by name: keys, where the administrator asks for them.
  std::vector<std::pair<std::string, Bytes>> extras;
};

// What a backup says about itself.
struct BackupView {
  TimeMs made;  // zero: no backup of ours, but a copy of a replica's file
  std::string version;
  std::optional<ConferenceId> conference;
  std::string conference_name;  // empty: none yet
  std::optional<MemberId> member;
  crypto::PublicKey key;  // the replica's
  std::uint64_t entries = 0;
  std::uint64_t records = 0;
  std::vector<std::pair<std::string, Bytes>> extras;
};

// Opens a backup and looks whether it is one: a replica's file, of a schema that this version
// knows, structurally sound. kNotFound, kCorrupt (with what is damaged), kUnsupported (a newer
// version's), kStorage. Writes nothing but what SQLite needs to read it.
[[nodiscard]] Result<BackupView> InspectBackup(const std::string& path, const std::string& vfs);

// Makes a replica's file of a backup's copy: what only a backup carries is taken out, and so is any
// nonce. On return it is durable.
[[nodiscard]] Status TurnIntoReplica(const std::string& path, const std::string& vfs);

}  // namespace staffel
