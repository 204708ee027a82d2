// SPDX-License-Identifier: EUPL-1.2
// The deliberate faults of core/base/mutation.h, each switched on for seed after seed until the
// checks find it.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace staffel::sim {

struct FoundMutation {
  std::string name;
  std::string meaning;
  std::uint64_t seed = 0;  // of the run that found it, and that holds without the fault
  std::uint64_t runs = 0;  // in which it took effect
  double seconds = 0;
  std::string failure;  // empty: not found
};

// Of all faults, or of the one called `only`; unknown names give nothing. Each is tried for at most
// `per_mutation`, and `seeds_max` seeds, in `threads` threads together. `reliable`: without those
// that only a rare meeting brings to light (docs/operating/simulator.md), and each first with the
// seed that found it last.
[[nodiscard]] std::vector<FoundMutation> FindMutations(const std::string& only,
                                                       std::chrono::seconds per_mutation,
                                                       std::uint64_t seeds_max, unsigned threads,
                                                       bool reliable = false);

// Switches one fault on for this thread's runs: to look at one by hand. False: no such name.
[[nodiscard]] bool SwitchOn(const std::string& name);

}  // namespace staffel::sim
