// SPDX-License-Identifier: EUPL-1.2
// staffel_sim: runs the simulation for many seeds. A failing seed is printed with what did not
// hold; `staffel_sim --first SEED --seeds 1 --trace` plays it again, step by step.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>

#include "core/base/allocator.h"
#include "tests/sim/simulation.h"

namespace staffel::sim {
namespace {

// Enough runs for every fault to have had its turn.
constexpr std::uint64_t kSeedsForCoverage = 100;

struct Arguments {
  std::uint64_t first = 1;
  std::uint64_t seeds = 200;
  double minutes = 0;
  unsigned threads = 1;
  bool trace = false;
  bool self_check = false;
};

struct Failure {
  std::uint64_t seed = 0;
  std::string what;
};

int RunSeeds(const Arguments& arguments) {
  const auto start = std::chrono::steady_clock::now();
  const auto seconds = [&start] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  std::atomic<std::uint64_t> next{arguments.first};
  std::atomic<std::uint64_t> done{0};
  std::atomic<bool> stop{false};
  std::mutex mutex;
  Counts counts;
  std::vector<Failure> failures;
  const auto work = [&] {
    while (!stop) {
      const std::uint64_t seed = next++;
      if (arguments.minutes > 0 ? seconds() > arguments.minutes * 60
                                : seed >= arguments.first + arguments.seeds) {
        return;
      }
      const RunReport report = Run({.seed = seed, .trace = arguments.trace});
      const std::lock_guard lock(mutex);
      counts.Add(report.counts);
      ++done;
      if (report.failure) {
        failures.push_back({seed, *report.failure});
        std::printf("seed %llu FAILED: %s\n  again: staffel_sim --first %llu --seeds 1 --trace\n",
                    static_cast<unsigned long long>(seed), report.failure->c_str(),
                    static_cast<unsigned long long>(seed));
        std::fflush(stdout);
        if (failures.size() >= 5) stop = true;
      }
    }
  };
  {
    std::vector<std::jthread> threads;
    for (unsigned index = 0; index < std::max(arguments.threads, 1u); ++index) {
      threads.emplace_back(work);
    }
  }
  std::printf("%s", counts.Table().c_str());
  std::printf("%llu seeds from %llu in %.1f s: %.1f seeds a second, %zu failed\n",
              static_cast<unsigned long long>(done.load()),
              static_cast<unsigned long long>(arguments.first), seconds(),
              static_cast<double>(done.load()) / seconds(), failures.size());
  bool ok = failures.empty();
  if (ok && done >= kSeedsForCoverage) {
    for (const std::string& name : counts.NeverHappened()) {
      std::printf("never happened in all these runs: %s\n", name.c_str());
      ok = false;
    }
  }
  return ok ? 0 : 1;
}

// Puts in each deliberate fault and expects the checks to find it.
int SelfCheck() {
  constexpr std::uint64_t kTries = 60;
  bool ok = true;
  for (const Mutation mutation : kMutations) {
    std::optional<std::string> found;
    std::uint64_t mutated = 0;
    for (std::uint64_t seed = 1; seed <= kTries && !found; ++seed) {
      std::fflush(stdout);
      const RunReport report = Run({.seed = seed, .mutation = mutation});
      if (report.mutated) ++mutated;
      if (report.mutated && report.failure) found = report.failure;
    }
    if (found) {
      const std::string line = found->substr(0, found->find('\n'));
      std::printf("%-18s found in mutated run %llu: %s\n", MutationName(mutation),
                  static_cast<unsigned long long>(mutated), line.c_str());
    } else {
      std::printf("%-18s NOT FOUND in %llu mutated runs\n", MutationName(mutation),
                  static_cast<unsigned long long>(mutated));
      ok = false;
    }
  }
  // And a seed replays exactly.
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const RunReport first = Run({.seed = seed});
    const RunReport second = Run({.seed = seed});
    if (first.trace_hash != second.trace_hash) {
      std::printf("seed %llu does not replay\n", static_cast<unsigned long long>(seed));
      ok = false;
    }
  }
  return ok ? 0 : 1;
}

}  // namespace
}  // namespace staffel::sim

int main(int argc, char** argv) {
  staffel::KeepFreedMemory();
  staffel::sim::Arguments arguments;
  CLI::App app("Simulates whole conferences, one per seed, with every fault we can think of.");
  app.add_option("--seeds", arguments.seeds, "How many seeds (default 200)");
  app.add_option("--first", arguments.first, "The first seed (default 1)");
  app.add_option("--minutes", arguments.minutes, "Run for so long in place of --seeds");
  app.add_option("--threads", arguments.threads, "Simulations at once (default 1)");
  app.add_flag("--trace", arguments.trace, "Print everything that happens");
  app.add_flag("--self-check", arguments.self_check,
               "Put in deliberate faults: the checks must find each");
  CLI11_PARSE(app, argc, argv);
  return arguments.self_check ? staffel::sim::SelfCheck() : staffel::sim::RunSeeds(arguments);
}
