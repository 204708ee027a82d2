// SPDX-License-Identifier: EUPL-1.2
#include "tests/sim/counts.h"

#include "core/base/text.h"
#include "core/record/catalog.h"

namespace staffel::sim {
namespace {

struct NamedCount {
  const char* name;
  std::uint64_t value;
  bool wanted;
};

std::vector<NamedCount> Names(const Counts& c) {
  const auto& w = c.workload;
  return {{"records made", w.creations, true},
          {"records changed", w.changes, true},
          {"edits from an older view", w.stale_views, true},
          {"conflicts decided", w.decisions, true},
          {"records deleted", w.deletions, true},
          {"records restored", w.restorations, true},
          {"ops sent again", w.repeated_ops, true},
          {"edits refused", w.refusals, true},
#define STAFFEL_SIM_NAME(name, text, wanted) {text, c.name, wanted},
          STAFFEL_SIM_COUNTS(STAFFEL_SIM_NAME)
#undef STAFFEL_SIM_NAME
  };
}

}  // namespace

void Counts::Add(const Counts& o) {
  workload.edits += o.workload.edits;
  workload.creations += o.workload.creations;
  workload.changes += o.workload.changes;
  workload.stale_views += o.workload.stale_views;
  workload.decisions += o.workload.decisions;
  workload.deletions += o.workload.deletions;
  workload.restorations += o.workload.restorations;
  workload.repeated_ops += o.workload.repeated_ops;
  workload.refusals += o.workload.refusals;
  for (const auto& [kind, count] : o.workload.kinds) workload.kinds[kind] += count;
#define STAFFEL_SIM_ADD(name, text, wanted) name += o.name;
  STAFFEL_SIM_COUNTS(STAFFEL_SIM_ADD)
#undef STAFFEL_SIM_ADD
}

std::string Counts::Table() const {
  std::string table;
  for (const NamedCount& count : Names(*this)) {
    table += fmt::format("  {:<40} {:>10}\n", count.name, count.value);
  }
  return table;
}

std::vector<std::string> Counts::NeverHappened() const {
  std::vector<std::string> names;
  for (const NamedCount& count : Names(*this)) {
    if (count.wanted && count.value == 0) names.emplace_back(count.name);
  }
  for (const record::Kind& kind : record::Kinds().kinds()) {
    if (!workload.kinds.contains(kind.number)) {
      names.push_back(fmt::format("a record of kind {}", kind.name));
    }
  }
  return names;
}

}  // namespace staffel::sim
