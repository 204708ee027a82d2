// SPDX-License-Identifier: EUPL-1.2
#include "tests/sim/shorten.h"

#include "core/base/text.h"

namespace staffel::sim {
namespace {

bool Fails(const RunOptions& options) { return Run(options).failure.has_value(); }

}  // namespace

RunOptions Shorten(const RunOptions& failing) {
  RunOptions shortest = failing;
  shortest.trace = false;
  // The time first: whatever comes after is cheaper then.
  std::uint64_t enough = shortest.end_percent;
  for (std::uint64_t too_little = 0; enough - too_little > 2;) {
    RunOptions shorter = shortest;
    shorter.end_percent = (too_little + enough) / 2;
    if (Fails(shorter)) {
      enough = shorter.end_percent;
    } else {
      too_little = shorter.end_percent;
    }
  }
  shortest.end_percent = enough;
  for (const std::size_t laender : {2, 3, 4, 6, 10}) {
    if (laender >= shortest.laender_max) break;
    RunOptions fewer = shortest;
    fewer.laender_max = laender;
    if (!Fails(fewer)) continue;
    shortest = fewer;
    break;
  }
  for (const auto& [part, name] : kParts) {
    RunOptions less = shortest;
    if (less.without.insert(part).second && Fails(less)) shortest = less;
  }
  return shortest;
}

std::string CommandLine(const RunOptions& options) {
  std::string line = fmt::format("staffel_sim --first {} --seeds 1 --trace", options.seed);
  if (options.end_percent != 100) line += fmt::format(" --end {}", options.end_percent);
  if (options.laender_max != 16) line += fmt::format(" --laender {}", options.laender_max);
  if (!options.without.empty()) {
    line += " --without ";
    for (const auto& [part, name] : kParts) {
      if (!options.without.contains(part)) continue;
      if (line.back() != ' ') line += ',';
      line += name;
    }
  }
  return line;
}

}  // namespace staffel::sim
