// SPDX-License-Identifier: EUPL-1.2
// What people do to a replica, at random: records of all kinds made, edited with the heads they
// were shown as parents, sometimes with an older view; conflicts decided, records deleted and
// restored. Shared by the property tests and the simulation.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>

#include "tests/support/conference.h"

namespace staffel::testing {

struct WorkloadCounts {
  std::uint64_t edits = 0;
  std::uint64_t creations = 0;
  std::uint64_t changes = 0;
  std::uint64_t stale_views = 0;  // edits that name fewer heads than there are
  std::uint64_t decisions = 0;
  std::uint64_t deletions = 0;
  std::uint64_t restorations = 0;
  std::uint64_t repeated_ops = 0;
  std::uint64_t refusals = 0;
  std::map<std::uint32_t, std::uint64_t> kinds;
};

// An edit of something that the replica shows in `audience`, or of something new. Nothing where
// nobody would have done anything. Errors are the store's, from reading.
[[nodiscard]] Result<std::optional<Edit>> RandomEdit(TestReplica& replica,
                                                     const AudienceId& audience, SimRandom& random,
                                                     WorkloadCounts& counts);

}  // namespace staffel::testing
