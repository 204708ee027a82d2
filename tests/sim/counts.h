// SPDX-License-Identifier: EUPL-1.2
// What happened in a run, or in many. Each fault is counted where it took effect, not where it was
// planned; what is wanted and never happened in many runs fails them, for it would prove nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/workload.h"

namespace staffel::sim {

// Name, what it is called in the table, whether it must happen.
#define STAFFEL_SIM_COUNTS(X)                                             \
  X(acknowledged, "edits acknowledged", true)                             \
  X(without_effect, "  of them void in the end", true)                    \
  X(chair_waits, "edits of a chair that may not act, refused", true)      \
  X(device_ops, "  ops of devices", true)                                 \
  X(device_repeats, "  ops sent again by devices", true)                  \
  X(device_elsewhere, "  sent again to another replica", true)            \
  X(records_at_end, "records in the end", true)                           \
  X(conflicts_at_end, "conflicts in the end", true)                       \
  X(quiet_points, "quiet points in mid-run", true)                        \
  X(guests, "runs with a guest", true)                                    \
  X(groups, "runs with groups", true)                                     \
  X(second_replicas, "second replicas of a Land", true)                   \
  X(requests, "requests", true)                                           \
  X(exchanges_agreed, "exchanges agreed", true)                           \
  X(peer_exchanges, "exchanges without the hub", true)                    \
  X(relay_exchanges, "exchanges with a relay", true)                      \
  X(waits, "requests kept waiting", true)                                 \
  X(charters_fetched, "charters fetched", true)                           \
  X(cosignatures, "charter cosignatures", true)                           \
  X(handovers, "handovers in force", true)                                \
  X(racing_handovers, "racing handovers", true)                           \
  X(recoveries, "terms begun by a quorum", true)                          \
  X(ties, "ties of the charter", true)                                    \
  X(keys_added, "keys added", true)                                       \
  X(keys_removed, "keys taken out, with cuts", true)                      \
  X(taken_in, "members taken into a group", true)                         \
  X(taken_out, "members taken out of a group", true)                      \
  X(copies_deleted, "  copies deleted then", true)                        \
  X(copies_confirmed, "  and known to be, inside", true)                  \
  X(rules_changed, "rules changed", true)                                 \
  X(forbidden_acts, "acts of a chair alone, never in force", true)        \
  X(forged_entries, "forged entries, stored and void", true)              \
  X(beyond_term, "entries beyond a cut, of a former chair", true)         \
  X(beyond_key, "entries beyond a cut, of a key taken out", true)         \
  X(beyond_hidden, "  beyond a hidden cut", true)                         \
  X(broken_entries, "broken entries, refused", true)                      \
  X(receipts, "receipts written", true)                                   \
  X(not_received, "entries without a receipt in the end", true)           \
  X(planted, "texts about persons", true)                                 \
  X(erasures_own, "erasures by a member", true)                           \
  X(erasures_chair, "erasures by the chair", true)                        \
  X(erasures_fields, "  of single fields", true)                          \
  X(erasures_quorum, "erasures by a quorum, in force", false)             \
  X(erased_unseen, "texts erased on arrival", true)                       \
  X(erased_at_end, "payloads erased in the end", true)                    \
  X(erasures_beyond, "erasures beyond a cut", false)                      \
  X(erasures_repeated, "  repeated by the chair", false)                  \
  X(erasures_dropped, "  dropped by the chair", false)                    \
  X(payloads_missing, "payloads erased for nothing", false)               \
  X(mixed_runs, "runs of two versions", true)                             \
  X(later_entries, "entries in a later format", true)                     \
  X(unread_entries, "  not read by an older node at a quiet point", true) \
  X(upgrades, "nodes upgraded", true)                                     \
  X(lost_requests, "requests lost", true)                                 \
  X(lost_answers, "answers lost", true)                                   \
  X(repeated_requests, "requests repeated", true)                         \
  X(late_requests, "requests out of order", true)                         \
  X(blocked_by_partition, "messages blocked by partitions", true)         \
  X(power_cuts_lost, "power cuts, unsynced data lost", true)              \
  X(power_cuts_torn, "power cuts, unsynced data torn", true)              \
  X(power_cuts_kept, "processes killed", true)                            \
  X(cuts_in_commit, "power cuts in mid-commit", true)                     \
  X(hub_crashes, "crashes of the hub", true)                              \
  X(failed_operations, "failed disk operations", true)                    \
  X(refusals_for_space, "writes refused by a full disk", true)            \
  X(clean_restarts, "clean restarts", true)                               \
  X(restored_backups, "backups restored", true)                           \
  X(restored_copies, "copies put back, twin left behind", true)           \
  X(restored_directories, "copies put back with their twin", true)        \
  X(lost_disks, "disks lost", true)                                       \
  X(lost_twins, "twins lost", true)                                       \
  X(failed_twins, "twins that could not be written", true)                \
  X(cuts_at_twin, "power cuts while a twin was written", true)            \
  X(doubts, "nodes in doubt about their past", true)                      \
  X(doubts_ended, "  ended by an exchange", true)                         \
  X(trusted, "  ended by the administrator's word", true)                 \
  X(vouched, "  and by the word that nothing is missing", true)           \
  X(refused_in_doubt, "requests refused by a node in doubt", true)        \
  X(clones, "clones run twice", true)                                     \
  X(second_refused, "requests of second processes refused", true)         \
  X(clones_at_end, "clones that ran on in the quiet", true)               \
  X(forks, "journals forked", true)                                       \
  X(clocks_set, "clocks set", true)                                       \
  X(years_off, "  by a year", true)                                       \
  X(away, "two years offline", true)

struct Counts {
  testing::WorkloadCounts workload;
#define STAFFEL_SIM_FIELD(name, text, wanted) std::uint64_t name = 0;
  STAFFEL_SIM_COUNTS(STAFFEL_SIM_FIELD)
#undef STAFFEL_SIM_FIELD

  void Add(const Counts& other);
  // "name value" a line, and the names of those that are zero and should not be over many runs.
  [[nodiscard]] std::string Table() const;
  [[nodiscard]] std::vector<std::string> NeverHappened() const;
};

}  // namespace staffel::sim
