// SPDX-License-Identifier: EUPL-1.2
// A whole conference in one thread: real stores on disks that fail, real session bytes over a
// network that loses, repeats, reorders and delays, clocks that disagree, power cuts in mid-commit.
// All of it follows from one seed; a failing seed replays exactly.
//
// The course of a run: some minutes of simulated time with edits and faults; then the faults stop,
// and after a bounded number of exchanges everything that the design promises must hold.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "tests/support/workload.h"

namespace staffel::sim {

// What happened, over one run or many. Each fault is counted where it took effect, not where it was
// planned.
struct Counts {
  testing::WorkloadCounts workload;
  std::uint64_t acknowledged = 0;
  std::uint64_t conflicts_at_end = 0;
  std::uint64_t records_at_end = 0;
  std::uint64_t exchanges_agreed = 0;
  std::uint64_t requests = 0;
  std::uint64_t waits = 0;             // requests that the answering side kept open
  std::uint64_t peer_exchanges = 0;    // between two replicas without the hub
  std::uint64_t charters_fetched = 0;  // replicas that got the charter by exchange
  std::uint64_t cosignatures = 0;

  std::uint64_t lost_requests = 0;
  std::uint64_t lost_answers = 0;
  std::uint64_t repeated_requests = 0;
  std::uint64_t late_requests = 0;  // arrived after a later one of the same pair
  std::uint64_t blocked_by_partition = 0;
  std::uint64_t power_cuts_lost = 0;
  std::uint64_t power_cuts_torn = 0;
  std::uint64_t power_cuts_kept = 0;
  std::uint64_t cuts_in_commit = 0;  // met an operation of the disk
  std::uint64_t hub_crashes = 0;
  std::uint64_t failed_operations = 0;  // of disks, that were failed on purpose
  std::uint64_t refusals_for_space = 0;
  std::uint64_t clean_restarts = 0;
  std::uint64_t restored_backups = 0;
  std::uint64_t forks = 0;
  std::uint64_t clocks_set = 0;

  void Add(const Counts& other);
  // "name value" a line, and the names of those that are zero and should not be over many runs.
  [[nodiscard]] std::string Table() const;
  [[nodiscard]] std::vector<std::string> NeverHappened() const;
};

// Faults put in on purpose that the checks must find: a simulator that cannot fail proves nothing.
enum class Mutation {
  kNone,
  kDropParent,        // an edit reaches the store with one parent less than its writer named
  kLoseAcknowledged,  // a disk forgets a commit that was acknowledged (a sync that does nothing)
  kWrongValue,        // an edit reaches the store with another value
  kSkipBatch,         // a batch is acknowledged to the sender and never stored
  kForeignAudience,   // an edit for one Land's own audience goes to all
  kSilentDecision,    // an edit without knowledge of a conflict covers all its heads
};
inline constexpr Mutation kMutations[] = {
    Mutation::kDropParent, Mutation::kLoseAcknowledged, Mutation::kWrongValue,
    Mutation::kSkipBatch,  Mutation::kForeignAudience,  Mutation::kSilentDecision,
};
[[nodiscard]] const char* MutationName(Mutation mutation);

struct RunOptions {
  std::uint64_t seed = 1;
  Mutation mutation = Mutation::kNone;
  bool trace = false;  // to standard output
};

struct RunReport {
  Counts counts;
  std::optional<std::string> failure;  // what did not hold, on which node
  // A hash of all that happened, in order: equal for equal seeds.
  std::uint64_t trace_hash = 0;
  std::size_t nodes = 0;
  bool mutated = false;  // the mutation took effect
};

[[nodiscard]] RunReport Run(const RunOptions& options);

}  // namespace staffel::sim
