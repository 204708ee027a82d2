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
#include "tests/sim/mutations.h"
#include "tests/sim/shorten.h"
#include "tests/sim/simulation.h"

namespace staffel::sim {
namespace {

// Enough runs for every fault to have had its turn.
constexpr std::uint64_t kSeedsForCoverage = 200;
constexpr std::chrono::minutes kMutationLimit{10};
// Of the self-check, which is part of the tests.
constexpr std::chrono::seconds kSelfCheckLimit{60};
constexpr std::uint64_t kSelfCheckSeeds = 400;

struct Arguments {
  std::uint64_t first = 1;
  std::optional<std::uint64_t> seeds;
  double minutes = 0;
  unsigned threads = 1;
  bool self_check = false;
  bool mutations = false;
  std::string mutation;
  std::vector<std::string> without;
  RunOptions run;
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
  // With a time and no number, as many as fit.
  const std::uint64_t seeds =
      arguments.seeds.value_or(arguments.minutes > 0 ? UINT64_MAX - arguments.first : 200);
  std::atomic<std::uint64_t> next{arguments.first};
  std::atomic<std::uint64_t> done{0};
  std::atomic<bool> stop{false};
  std::mutex mutex;
  Counts counts;
  std::vector<Failure> failures;
  const auto work = [&] {
    while (!stop) {
      const std::uint64_t seed = next++;
      if (seed >= arguments.first + seeds) return;
      if (arguments.minutes > 0 && seconds() > arguments.minutes * 60) return;
      RunOptions options = arguments.run;
      options.seed = seed;
      if (!arguments.mutation.empty() && !SwitchOn(arguments.mutation)) return;
      const RunReport report = Run(options);
      const std::lock_guard lock(mutex);
      counts.Add(report.counts);
      ++done;
      if (report.failure) {
        failures.push_back({seed, *report.failure});
        std::printf("seed %llu FAILED: %s\n", static_cast<unsigned long long>(seed),
                    report.failure->c_str());
        std::fflush(stdout);
        if (!options.trace) {
          std::printf("  again: %s\n", CommandLine(Shorten(options)).c_str());
        }
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
int Mutations(const Arguments& arguments, std::chrono::seconds limit, std::uint64_t seeds_max,
              bool reliable) {
  bool ok = true;
  const auto all = FindMutations(arguments.mutation, limit, seeds_max, arguments.threads, reliable);
  if (all.empty()) {
    std::printf("no fault is called '%s'\n", arguments.mutation.c_str());
    return 1;
  }
  for (const FoundMutation& one : all) {
    if (one.failure.empty()) {
      std::printf("%-20s NOT FOUND in %llu runs with it, %.0f s: %s\n", one.name.c_str(),
                  static_cast<unsigned long long>(one.runs), one.seconds, one.meaning.c_str());
      ok = false;
    } else {
      std::printf("%-20s seed %5llu, %6.1f s: %s\n", one.name.c_str(),
                  static_cast<unsigned long long>(one.seed), one.seconds, one.failure.c_str());
    }
  }
  return ok ? 0 : 1;
}

// Seeds replay exactly, and the faults are found that are found reliably.
int SelfCheck(const Arguments& arguments) {
  bool ok = true;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    if (Run({.seed = seed}).trace_hash != Run({.seed = seed}).trace_hash) {
      std::printf("seed %llu does not replay\n", static_cast<unsigned long long>(seed));
      ok = false;
    }
  }
  const int found = Mutations(arguments, kSelfCheckLimit, kSelfCheckSeeds, /*reliable=*/true);
  return ok ? found : 1;
}

}  // namespace
}  // namespace staffel::sim

int main(int argc, char** argv) {
  staffel::KeepFreedMemory();
  staffel::sim::Arguments arguments;
  CLI::App app("Simulates whole conferences, one per seed, with every fault we can think of.");
  app.add_option("--seeds", arguments.seeds, "How many seeds (default 200, or as many as fit)");
  app.add_option("--first", arguments.first, "The first seed (default 1)");
  app.add_option("--minutes", arguments.minutes, "Begin no seed after so long");
  app.add_option("--threads", arguments.threads, "Simulations at once (default 1)");
  app.add_flag("--trace", arguments.run.trace, "Print everything that happens");
  app.add_option("--without", arguments.without, "Parts to leave out, such as power,disk")
      ->delimiter(',');
  app.add_option("--end", arguments.run.end_percent, "Percent of the time that the seed gives");
  app.add_option("--laender", arguments.run.laender_max, "At most so many Länder");
  app.add_flag("--self-check", arguments.self_check,
               "Seeds replay, and deliberate faults are found: the short way");
  app.add_flag("--mutations", arguments.mutations,
               "Each deliberate fault of the engine, ten minutes at most: the checks must find it");
  app.add_option("--mutation", arguments.mutation, "Only this fault; alone: runs with it");
  CLI11_PARSE(app, argc, argv);
  for (const std::string& name : arguments.without) {
    bool known = false;
    for (const auto& [part, text] : staffel::sim::kParts) {
      if (name != text) continue;
      arguments.run.without.insert(part);
      known = true;
    }
    if (!known) {
      std::printf("no part of a run is called '%s'\n", name.c_str());
      return 2;
    }
  }
  if (arguments.self_check) return staffel::sim::SelfCheck(arguments);
  if (arguments.mutations) {
    return staffel::sim::Mutations(arguments, staffel::sim::kMutationLimit, UINT64_MAX,
                                   /*reliable=*/false);
  }
  return staffel::sim::RunSeeds(arguments);
}
