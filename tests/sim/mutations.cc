// SPDX-License-Identifier: EUPL-1.2
#include "tests/sim/mutations.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <string_view>
#include <thread>
#include <utility>

#include "core/base/mutation.h"
#include "tests/sim/simulation.h"

namespace staffel::sim {
namespace {

using mutation::Mutation;

struct Named {
  Mutation mutation;
  const char* name;
  const char* meaning;
};
constexpr Named kAll[] = {
#define STAFFEL_SIM_MUTATION(name, text, meaning) {Mutation::name, text, meaning},
    STAFFEL_MUTATION_LIST(STAFFEL_SIM_MUTATION)
#undef STAFFEL_SIM_MUTATION
};

// Not found, or now and then, which is not enough for a test: docs/operating/simulator.md says why.
constexpr std::string_view kRarelyFound[] = {"ignore-repeats",  "invalid-covers", "keep-journals",
                                             "write-unsettled", "reopen-at-once", "act-in-doubt"};

// Where the first seed does not find a fault: one that did. Only a beginning, so that the tests are
// short.
constexpr std::pair<std::string_view, std::uint64_t> kFoundBy[] = {
    {"skip-run-signature", 4},  {"skip-chain-link", 3}, {"skip-commitment", 5},
    {"drop-branch", 10},        {"skip-rejudge", 7},    {"chair-writes-all", 4},
    {"members-write-chair", 9}, {"cell-twice", 3},      {"ignore-end", 19},
    {"chair-alone", 13},        {"two-for-a-term", 3},  {"half-is-quorum", 3},
    {"tie-goes-on", 19},        {"cosign-waiting", 3},  {"unverified-approval", 8},
    {"ignore-signers", 3},      {"forget-erasure", 4},  {"skip-wipe", 13},
    {"one-audience-more", 3},   {"swallow-batch", 3},   {"same-nonce-again", 12},
    {"any-term", 53},           {"ignore-cut", 5},      {"cosign-again", 4},
};

std::uint64_t FoundBy(std::string_view name) {
  for (const auto& [fault, seed] : kFoundBy) {
    if (fault == name) return seed;
  }
  return 1;
}

// Whether a seed fails without any fault; each is run once for all faults. Any thread.
bool FailsAnyway(std::uint64_t seed) {
  static std::mutex mutex;
  static std::map<std::uint64_t, bool> known;
  {
    const std::lock_guard lock(mutex);
    if (const auto found = known.find(seed); found != known.end()) return found->second;
  }
  const bool fails = Run({.seed = seed}).failure.has_value();
  const std::lock_guard lock(mutex);
  return known[seed] = fails;
}

FoundMutation Find(const Named& named, std::chrono::seconds limit, std::uint64_t seeds_max,
                   std::uint64_t first) {
  FoundMutation found{.name = named.name, .meaning = named.meaning};
  const auto start = std::chrono::steady_clock::now();
  mutation::active = named.mutation;
  for (std::uint64_t tried = 0; tried < seeds_max; ++tried) {
    const std::uint64_t seed = tried == 0 ? first : tried;
    mutation::hits = 0;
    const RunReport report = Run({.seed = seed});
    if (mutation::hits > 0) {
      ++found.runs;
      // A run that fails without the fault as well has not found it.
      bool fails_anyway = false;
      if (report.failure) {
        mutation::active = Mutation::kNone;
        fails_anyway = FailsAnyway(seed);
        mutation::active = named.mutation;
      }
      if (report.failure && !fails_anyway) {
        found.seed = seed;
        found.failure = report.failure->substr(0, report.failure->find('\n'));
        break;
      }
    }
    if (std::chrono::steady_clock::now() - start > limit) break;
  }
  mutation::active = Mutation::kNone;
  found.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return found;
}

}  // namespace

std::vector<FoundMutation> FindMutations(const std::string& only, std::chrono::seconds limit,
                                         std::uint64_t seeds_max, unsigned threads, bool reliable) {
  std::vector<FoundMutation> found(std::size(kAll));
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t at = next++; at < std::size(kAll); at = next++) {
      const std::string_view name = kAll[at].name;
      if (!only.empty() && only != name) continue;
      if (reliable && std::ranges::find(kRarelyFound, name) != std::end(kRarelyFound)) continue;
      found[at] = Find(kAll[at], limit, seeds_max, reliable ? FoundBy(name) : 1);
    }
  };
  {
    std::vector<std::jthread> running;
    for (unsigned index = 0; index < std::max(threads, 1u); ++index) running.emplace_back(work);
  }
  std::erase_if(found, [](const FoundMutation& one) { return one.name.empty(); });
  return found;
}

bool SwitchOn(const std::string& name) {
  for (const Named& named : kAll) {
    if (name == named.name) {
      mutation::active = named.mutation;
      return true;
    }
  }
  return false;
}

}  // namespace staffel::sim
