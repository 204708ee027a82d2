// SPDX-License-Identifier: EUPL-1.2
// A disk in memory for SQLite, with everything that real ones do on bad days: writes that fail or
// are torn, syncs that fail, no space left, and power cuts after which only what was synced is
// certain. Each disk registers a VFS of its own, whose name goes into StoreOptions::vfs.
//
// How a power cut is tried: arm it (CutPowerAt) or pull the plug (CutPower). From then on every
// operation of the files open now fails; what the disk holds is decided at that moment. Destroy
// what was using it, call Restart, open again.
//
// All functions may be called from any thread. A disk outlives every database opened on it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"

namespace staffel::testing {

// What becomes of writes that nobody had synced when the power went.
enum class Unsynced {
  kLost,  // all gone
  kKept,  // all there: what a killed process leaves behind
  kTorn,  // each sector of each write, each new and each deleted file: as a coin decides
};

class FaultingDisk {
 public:
  static constexpr std::size_t kSectorBytes = 512;

  // `seed` decides what a torn write keeps.
  explicit FaultingDisk(std::uint64_t seed = 1);
  ~FaultingDisk();
  FaultingDisk(const FaultingDisk&) = delete;
  FaultingDisk& operator=(const FaultingDisk&) = delete;

  // The name under which SQLite knows this disk.
  [[nodiscard]] const std::string& vfs() const;

  // Writes, truncations, deletions and syncs since the disk was made, numbered together from 1.
  [[nodiscard]] std::uint64_t operations() const;
  struct Counts {
    std::uint64_t writes = 0;
    std::uint64_t syncs = 0;
    std::uint64_t truncations = 0;
    std::uint64_t deletions = 0;
    std::uint64_t bytes_written = 0;
    // Of the faults below, how many happened.
    std::uint64_t failed_writes = 0;
    std::uint64_t torn_writes = 0;
    std::uint64_t failed_syncs = 0;
    std::uint64_t refused_for_space = 0;
    std::uint64_t power_cuts = 0;
    std::uint64_t dropped_writes = 0;  // writes that a power cut undid, wholly or in part
  };
  [[nodiscard]] Counts counts() const;

  // The operation with this number does not happen, and the power is gone with it.
  void CutPowerAt(std::uint64_t operation, Unsynced unsynced);
  void CutPower(Unsynced unsynced);
  [[nodiscard]] bool power_is_cut() const;
  // After a power cut: the files are what the cut left; armed faults are forgotten. Files opened
  // before stay dead.
  void Restart();

  // The operation with this number fails once, without a power cut. A write: nothing of it is
  // written, or with `torn` its first half. A sync: what it should have synced will never be,
  // unless written again (so do Linux' file systems).
  void FailAt(std::uint64_t operation, bool torn = false);

  // From now on syncs are acknowledged and do nothing: what a broken disk does, and what checks of
  // durability must notice.
  void LieAboutSyncs(bool lie);

  // All files together may hold this many bytes; growing beyond is refused with SQLITE_FULL.
  // Nothing: no limit.
  void SetSpace(std::optional<std::uint64_t> bytes);
  [[nodiscard]] std::uint64_t used() const;

  // Called at each sync of a file before it happens, outside the disk's lock: a test can hold the
  // disk there. Replace it only while nobody uses the disk.
  void OnSync(std::function<void()> callback);

  // What a file holds now; nothing where there is none. For damage on purpose, and for looking
  // for bytes that must be gone.
  [[nodiscard]] std::optional<Bytes> ReadFile(std::string_view name) const;
  // Replaces a file, synced. Nobody may have it open.
  void WriteFile(std::string_view name, ByteView content);
  // The same for taking one away.
  void RemoveFile(std::string_view name);
  [[nodiscard]] std::vector<std::string> Files() const;
  // A copy of all files as they are, as a backup would be, and back. Nobody may have them open.
  using Image = std::vector<std::pair<std::string, Bytes>>;
  [[nodiscard]] Image Save() const;
  void Load(const Image& image);

  struct State;  // of faulting_disk.cc

 private:
  std::unique_ptr<State> state_;
};

}  // namespace staffel::testing
