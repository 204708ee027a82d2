// SPDX-License-Identifier: EUPL-1.2
// The law that everything stands on: replicas that hold the same entries have the same state,
// whatever the order, grouping and repetition of their delivery. Tried with random histories of
// several members over all kinds and rules, with conflicts, decisions and deletions.
#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>
#include <rapidcheck.h>

#include "core/store/store.h"
#include "tests/support/conference.h"
#include "tests/support/workload.h"

namespace staffel {
namespace {

using testing::ConferenceOf;
using testing::CopyMissing;
using testing::SimRandom;
using testing::TestReplica;

template <typename T>
T Value(Result<T> result) {
  if (!result) {
    INFO(result.error().message);
    RC_FAIL(result.error().message);
  }
  return std::move(*result);
}

struct Counted : testing::WorkloadCounts {
  std::size_t conflicts = 0;
};

void EditALittle(TestReplica& replica, SimRandom& random, Counted& counted) {
  for (std::uint64_t count = 1 + random.Below(4); count > 0; --count) {
    replica.clock().Advance(random.Below(3));  // equal times happen
    const auto edit =
        Value(testing::RandomEdit(replica, replica.conference().laender(), random, counted));
    if (!edit) continue;
    const auto applied = replica.store().Apply(*edit);
    if (applied) {
      ++counted.edits;
      continue;
    }
    // The only refusals that honest editing meets here: a record that was made meanwhile, and
    // restoring or deleting what is so already.
    ++counted.refusals;
    if (applied.error().code != ErrorCode::kExists &&
        applied.error().code != ErrorCode::kConflict) {
      RC_FAIL(applied.error().message);
    }
  }
}

// Cuts everything into single entries, to be delivered in any order the chains allow.
std::vector<Entry> AllEntries(TestReplica& replica) {
  std::vector<Entry> entries;
  for (const Batch& batch : Value(testing::ReadAll(replica.store(), 1 << 16))) {
    for (const Run& run : batch.runs) {
      entries.insert(entries.end(), run.entries.begin(), run.entries.end());
    }
  }
  return entries;
}

// Delivers journals' entries in a random interleaving, in batches of random size, with repetition
// and with runs that come too early.
void DeliverAtRandom(const std::vector<Entry>& entries, TestReplica& to, SimRandom& random) {
  std::map<JournalId, std::vector<const Entry*>> journals;
  for (const Entry& entry : entries) {
    journals[entry.header.seq == 0 ? entry.id : entry.header.journal].push_back(&entry);
  }
  for (auto& [journal, chain] : journals) {
    std::sort(chain.begin(), chain.end(),
              [](const Entry* a, const Entry* b) { return a->header.seq < b->header.seq; });
  }
  std::map<JournalId, std::size_t> delivered;
  const auto run_of = [](const std::vector<const Entry*>& chain, std::size_t from,
                         std::size_t count) {
    Run run;
    // A run ends at a signature; every entry made here has one.
    for (std::size_t at = from; at < chain.size() && count > 0; ++at, --count) {
      run.entries.push_back(*chain[at]);
    }
    return run;
  };
  for (bool all = false; !all;) {
    all = true;
    std::vector<PreparedBatch> batches;
    for (std::uint64_t count = 1 + random.Below(3); count > 0; --count) {
      Batch batch;
      for (const auto& [journal, chain] : journals) {
        if (!random.Chance(50)) continue;
        std::size_t& from = delivered[journal];
        if (from > 0 && random.Chance(20)) {  // again
          batch.runs.push_back(run_of(chain, random.Below(from), 1 + random.Below(4)));
        }
        if (from + 2 < chain.size() && random.Chance(10)) {  // too early: unknown prev
          batch.runs.push_back(run_of(chain, from + 2, 1));
        }
        Run run = run_of(chain, from, 1 + random.Below(5));
        from += run.entries.size();
        if (!run.entries.empty()) batch.runs.push_back(std::move(run));
      }
      batches.push_back(to.store().Prepare(std::move(batch)));
    }
    const auto ingested = Value(to.store().IngestAll(std::move(batches)));
    for (const Ingested& one : ingested) {
      for (const RunResult& run : one.runs) {
        if (run.outcome == RunOutcome::kRefused) RC_FAIL(run.reason->message);
      }
    }
    for (const auto& [journal, chain] : journals) {
      if (delivered[journal] < chain.size()) all = false;
    }
    if (random.Chance(5)) RC_ASSERT(to.Open().has_value());  // a restart changes nothing
  }
}

void SameState(const std::string& state, const std::string& other) {
  if (state != other) RC_FAIL(testing::Difference(state, other));
}

void Converge(std::uint64_t seed, Counted& counted) {
  constexpr std::size_t kMembers = 4;
  SimRandom random(seed);
  const auto& conference = ConferenceOf(kMembers);
  std::vector<std::unique_ptr<TestReplica>> replicas;
  for (std::size_t index = 0; index < kMembers; ++index) {
    replicas.push_back(std::make_unique<TestReplica>(conference, index, seed));
    RC_ASSERT(replicas.back()->Open().has_value());
  }
  const AudienceId laender = conference.laender();
  for (int step = 0; step < 24; ++step) {
    EditALittle(*replicas[random.Below(kMembers)], random, counted);
    if (random.Chance(40)) {
      TestReplica& from = *replicas[random.Below(kMembers)];
      TestReplica& to = *replicas[random.Below(kMembers)];
      if (&from != &to) Value(CopyMissing(from.store(), to.store(), laender));
    }
  }
  for (int round = 0; round < 2; ++round) {
    for (auto& from : replicas) {
      for (auto& to : replicas) {
        if (from != to) Value(CopyMissing(from->store(), to->store(), laender));
      }
    }
  }
  const std::string state = Value(testing::Describe(replicas[0]->store(), laender));
  const Hash digest = Value(testing::DigestRoot(replicas[0]->store(), laender));
  for (auto& replica : replicas) {
    RC_ASSERT(Value(testing::DigestRoot(replica->store(), laender)) == digest);
    SameState(Value(testing::Describe(replica->store(), laender)), state);
  }
  // A stranger to all of this gets the same entries in an order of its own.
  const std::vector<Entry> entries = AllEntries(*replicas[0]);
  for (std::uint64_t copy = 0; copy < 2; ++copy) {
    // The member's own replica lost everything: it is fetched back.
    TestReplica fresh(conference, copy, seed + 1000 + copy);
    RC_ASSERT(fresh.Open().has_value());
    DeliverAtRandom(entries, fresh, random);
    RC_ASSERT(Value(testing::DigestRoot(fresh.store(), laender)) == digest);
    SameState(Value(testing::Describe(fresh.store(), laender)), state);
    const VerifyReport report = Value(fresh.store().Verify());
    if (!report.problems.empty()) RC_FAIL(report.problems.front());
  }
  counted.conflicts += Value(Value(replicas[0]->store().Read()).Counts()).conflicts;
}

TEST_CASE("equal entries give equal digests and rows, in any order, grouping and repetition") {
  Counted counted;
  const bool held = rc::check(
      "convergence", [&counted] { Converge(*rc::gen::arbitrary<std::uint32_t>(), counted); });
  CHECK(held);
  // The property says something only if these happened.
  CHECK(counted.edits > 1000);
  CHECK(counted.conflicts > 50);
  CHECK(counted.decisions > 5);
  CHECK(counted.deletions > 50);
  CHECK(counted.kinds.size() == record::Kinds().kinds().size());
}

}  // namespace
}  // namespace staffel
