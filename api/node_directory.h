// SPDX-License-Identifier: EUPL-1.2
// A node's data directory: its lock, its keys, the names of its files. Made at the first start,
// with rights for nobody else; refused where others could read it. What the keys are for is
// node.h's.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/crypto/key.h"

namespace staffel::api {

// What others know a node by. Kept in PEM files of mode 0600, never shown and never sent.
struct NodeKeys {
  crypto::KeyPair replica;  // signs entries
  crypto::KeyPair tls;      // proves the machine
};

// Owns the directory's lock: one daemon a directory. Released when destroyed, also by a crash.
class NodeDirectory {
 public:
  // Makes the directory where it is missing (mode 0700) and locks it. kDenied: others may look into
  // it; kExists: another daemon works there; kStorage: it cannot be made or written.
  [[nodiscard]] static Result<NodeDirectory> Open(const std::string& path);
  NodeDirectory(NodeDirectory&& other) noexcept;
  NodeDirectory& operator=(NodeDirectory&&) = delete;
  ~NodeDirectory();

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string File(std::string_view name) const;
  [[nodiscard]] std::string database() const { return File("staffel.db"); }
  [[nodiscard]] std::string twin() const { return File("staffel.twin"); }
  [[nodiscard]] std::string socket() const { return File("staffel.sock"); }

  // Reads the keys, or makes them at the first start. kDenied: a key file that others may read.
  // kCorrupt: the database is there and a key is not: a new one would be a stranger.
  [[nodiscard]] Result<NodeKeys> LoadKeys() const;
  // Keys for a rotation, kept beside those in use until the charter lists them. `make`: prepares
  // them where there are none. Nothing where none are prepared.
  [[nodiscard]] Result<std::optional<NodeKeys>> NextKeys(bool make) const;
  // The prepared keys become those in use; the replica's former one is kept (FormerKey). Can be
  // repeated after a crash at any point.
  [[nodiscard]] Status SwitchKeys() const;
  // The key that this node signed with before the last rotation: the database may still be its.
  [[nodiscard]] Result<std::optional<crypto::KeyPair>> FormerKey() const;

  // One more key of that name, made where it is missing: for the people's certificate.
  [[nodiscard]] Result<crypto::KeyPair> LoadOrMakeKey(std::string_view name) const;

 private:
  NodeDirectory(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}
  std::string path_;
  int lock_ = -1;
};

}  // namespace staffel::api
