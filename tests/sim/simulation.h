// SPDX-License-Identifier: EUPL-1.2
// A whole conference in one thread: real stores on disks that fail, real session bytes over a
// network that loses, repeats, reorders and delays, clocks that disagree, power cuts in mid-commit,
// a chair that is handed over, honestly and otherwise. All of it follows from one seed; a failing
// seed replays exactly.
//
// The course of a run: some minutes of simulated time with edits and faults; then the faults stop,
// and after a bounded number of exchanges everything that the design promises must hold. Some runs
// have such a quiet point in the middle, too.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "tests/sim/counts.h"

namespace staffel::sim {

// What can be left out of a run, to find the shortest one that still fails.
enum class Part : std::uint8_t {
  kNetwork,    // loss, repetition, delay of messages
  kPartition,  // pairs that cannot reach each other
  kPower,      // power cuts, crashes and restarts
  kDisk,       // failing operations, no space
  kClock,      // clocks that are off
  kBackup,     // old backups brought back
  kTwin,       // twins of the nonce that are lost or cannot be written
  kClone,      // one database run twice
  kAway,       // a node that is off for two years
  kCharter,    // handovers, keys, cuts, rules
  kForgery,    // patched nodes
  kErasure,    // texts about persons, and their erasure
  kDevice,     // ops of phones
  kMembers,    // members taken into groups, and out of them
  kVersions,   // nodes of two versions
  kGroups,     // audiences beyond `laender` and each Land's own
  kGuest,      // a member without a vote
  kSecond,     // Länder with two replicas
  kMidCheck,   // the quiet point in the middle
};
inline constexpr std::array<std::pair<Part, const char*>, 19> kParts = {{
    {Part::kNetwork, "network"},   {Part::kPartition, "partition"}, {Part::kPower, "power"},
    {Part::kDisk, "disk"},         {Part::kClock, "clock"},         {Part::kBackup, "backup"},
    {Part::kTwin, "twin"},         {Part::kClone, "clone"},         {Part::kAway, "away"},
    {Part::kCharter, "charter"},   {Part::kForgery, "forgery"},     {Part::kErasure, "erasure"},
    {Part::kDevice, "device"},     {Part::kMembers, "members"},     {Part::kVersions, "versions"},
    {Part::kGroups, "groups"},     {Part::kGuest, "guest"},         {Part::kSecond, "second"},
    {Part::kMidCheck, "midcheck"},
}};

struct RunOptions {
  std::uint64_t seed = 1;
  bool trace = false;  // to standard output
  std::set<Part> without;
  std::uint64_t end_percent = 100;  // of the time that the seed gives
  std::size_t laender_max = 16;
};

struct RunReport {
  Counts counts;
  std::optional<std::string> failure;  // what did not hold, on which node
  // A hash of all that happened, in order: equal for equal options.
  std::uint64_t trace_hash = 0;
  std::size_t nodes = 0;
};

[[nodiscard]] RunReport Run(const RunOptions& options);

}  // namespace staffel::sim
