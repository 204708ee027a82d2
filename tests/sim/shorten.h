// SPDX-License-Identifier: EUPL-1.2
// The shortest run that still fails: faults are left out one after the other, Länder too, and the
// time is cut, as long as something still does not hold.
#pragma once

#include <string>

#include "tests/sim/simulation.h"

namespace staffel::sim {

// `failing` must fail. Uses a bounded number of runs, each at most as long as the first.
[[nodiscard]] RunOptions Shorten(const RunOptions& failing);

// The command line that plays these options again.
[[nodiscard]] std::string CommandLine(const RunOptions& options);

}  // namespace staffel::sim
