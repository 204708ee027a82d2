// SPDX-License-Identifier: EUPL-1.2
// What is outside a simulated node's database and outlives it: the nonce's twin, backups, and what
// the simulation knows of the node's past that the node itself may have forgotten.
#pragma once

#include <cstdint>
#include <optional>

#include "core/store/doubt.h"
#include "tests/support/faulting_disk.h"

namespace staffel::sim {

// How long a node remembers a process that has ended, and waits for one that is silent: short,
// since a run has two minutes.
inline constexpr std::chrono::milliseconds kSimLease{60'000};
inline constexpr std::chrono::milliseconds kSimSilence{15'000};

// The twin as a file of its own on the node's disk: replaced whole and durably, or not at all.
class SimTwin final : public Twin {
 public:
  explicit SimTwin(testing::FaultingDisk& disk) : disk_(disk) {}

  // The next save fails, or the power is gone before or after it; `how` decides.
  void Break(std::uint64_t how) { broken_ = how; }
  void Mend() { broken_.reset(); }
  // It holds one nonce alone: what is written now can be missed later.
  [[nodiscard]] bool IsSettled() const;

  Result<std::optional<Bytes>> Load() override;
  Status Save(ByteView bytes) override;

  std::optional<Bytes> content;
  std::uint64_t failures = 0;
  std::uint64_t power_cuts = 0;

 private:
  testing::FaultingDisk& disk_;
  std::optional<std::uint64_t> broken_;
};

// What is known of a node's past, whatever its database says.
struct Past {
  bool in_doubt = false;    // and must say so
  bool waits = false;       // has not exchanged since: no acts as the chair, no cosigning
  bool must_doubt = false;  // at the next start
  bool may_doubt = false;
  std::uint64_t barred_until_term = 0;  // acts as the chair only in a later one
  std::uint64_t cosigns_from = 0;       // charter entries with lower numbers no more
  std::uint64_t renewals = 0;           // of the nonce, by starts and backups: a copy knows fewer
};

struct NodeBackup {
  enum class Kind : std::uint8_t {
    kMade,       // by the program, as a file without a nonce
    kCopy,       // of the database, by hand
    kDirectory,  // the same with the twin
    kNothing,    // the disk is lost
  } kind = Kind::kCopy;
  testing::FaultingDisk::Image image;
  std::optional<Bytes> twin;
  Past past;
  bool had_charter = false;
};

// A process that was answered.
struct Admitted {
  Nonce process;
  TimeMs heard;
  std::int64_t skew_ms = 0;  // of the clock that said so
};

}  // namespace staffel::sim
