// SPDX-License-Identifier: EUPL-1.2
// Nodes of two versions side by side: some are of a later one and write edits in a format that the
// others cannot read. These keep and forward such entries, and show nothing as whole that they
// touch; they are upgraded one by one, the last ones before the end.
#include <algorithm>

#include "tests/sim/world.h"

namespace staffel::sim {
namespace {

constexpr std::uint32_t kLaterFormat = kFormat + 1;

}  // namespace

void Simulation::SetUpVersions() {
  mixed_ = Has(Part::kVersions) && versions_.Chance(25);
  if (!mixed_) return;
  ++counts_.mixed_runs;
  After(end_ / 3 + versions_.Below(end_), [this] { Upgrade(); });
}

void Simulation::ChooseVersion(Node& node) {
  if (!mixed_) return;
  node.format = versions_.Chance(45) ? kLaterFormat : kFormat;
  node.replica.set_version(node.format, kFormat);
}

// A later program writes some edits as it could not before, and others as ever.
void Simulation::ChooseFormat(Node& node) {
  if (!mixed_) return;
  const bool later = node.format == kLaterFormat && versions_.Chance(50);
  if (later) ++counts_.later_entries;
  node.replica.set_version(node.format, later ? kLaterFormat : kFormat);
}

void Simulation::SetVersion(Node& node, std::uint32_t format) {
  if (!mixed_) return;
  node.format = format;
  node.replica.set_version(format, kFormat);
}

void Simulation::Upgrade() {
  After(versions_.Below(end_ / 2 + 1), [this] { Upgrade(); });
  std::vector<Node*> older;
  for (Node* node : UpNodes()) {
    if (node->format == kFormat) older.push_back(node);
  }
  Node* node = RandomOf(older, versions_);
  if (node == nullptr) return;
  Trace("{} is upgraded", Name(*node));
  ++counts_.upgrades;
  Stop(*node);
  SetVersion(*node, kLaterFormat);
  Start(*node);
}

void Simulation::UpgradeAll() {
  if (!mixed_) return;
  for (const auto& node : nodes_) {
    if (node->format == kFormat) ++counts_.upgrades;
    SetVersion(*node, kLaterFormat);
  }
}

// What a node shows as whole is touched by nothing that it cannot read, and the other way round.
void Simulation::CheckIncomplete(Node& node, const Reading& reading) {
  if (!mixed_) return;
  std::set<std::tuple<AudienceId, std::uint32_t, RecordId>> touched;
  for (const auto& [id, entry] : reading.entries) {
    const auto* write = std::get_if<WriteBody>(&entry->header.body);
    if (!entry->header.opaque || write == nullptr) continue;
    ++counts_.unread_entries;
    const AudienceId& audience = reading.opened.at(entry->header.journal)->audience;
    for (const RecordPart& part : write->records) touched.emplace(audience, part.kind, part.record);
  }
  auto snapshot = node.replica.store().Read();
  if (!snapshot) {
    Failed("{}: {}", Name(node), snapshot.error().message);
    return;
  }
  ListFilter filter{.with_deleted = true, .limit = 500};
  for (;;) {
    const auto views = Get(node, snapshot->List(filter));
    if (failure_ || views->empty()) return;
    filter.after_number = views->back().number;
    for (const RecordView& view : *views) {
      if (view.incomplete == touched.contains({view.audience, view.kind, view.record})) continue;
      Failed("{} shows record {} as {}, which it is not", Name(node), view.record.Hex(),
             view.incomplete ? "incomplete" : "whole");
      return;
    }
  }
}

}  // namespace staffel::sim
