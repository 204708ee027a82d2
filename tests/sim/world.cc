// SPDX-License-Identifier: EUPL-1.2
#include "tests/sim/world.h"

#include <algorithm>

namespace staffel::sim {

RunReport Run(const RunOptions& options) { return Simulation(options).Run(); }

Simulation::Simulation(const RunOptions& options)
    : options_(options),
      random_(options.seed),
      people_(options.seed * 7 + 1),
      network_(options.seed * 7 + 2),
      faults_(options.seed * 7 + 3),
      acts_(options.seed * 7 + 4),
      erasing_(options.seed * 7 + 5),
      members_(options.seed * 7 + 6),
      versions_(options.seed * 7 + 7) {}

RunReport Simulation::Run() {
  SetUp();
  const std::uint64_t middle = Has(Part::kMidCheck) && random_.Chance(25) ? end_ / 2 : 0;
  bool checked = middle == 0;
  while (!failure_ && !events_.empty() && now_ < end_) {
    Event event = events_.top();
    if (!checked && event.time >= middle) {
      checked = true;
      now_ = middle;
      Quiet();
      if (!failure_) Check();
      if (failure_) break;
      ++counts_.quiet_points;
      for (auto& node : nodes_) {
        if (node->up) StartLoops(*node);
      }
      continue;
    }
    events_.pop();
    now_ = std::max(now_, event.time);  // a quiet point takes its time
    event.action();
  }
  UpgradeAll();
  if (!failure_) Quiet();
  if (!failure_) Check();
  for (auto& node : nodes_) Collect(*node);
  return {
      .counts = counts_, .failure = failure_, .trace_hash = trace_hash_, .nodes = nodes_.size()};
}

// ---------------------------------------------------------------------------------------------
// Time and report

void Simulation::After(std::uint64_t delay, std::function<void()> action) {
  events_.push({now_ + delay, ++order_, std::move(action)});
}

void Simulation::AfterFor(Node& node, std::uint64_t delay, std::function<void()> action) {
  After(delay, [&node, life = node.life, action = std::move(action)] {
    if (node.up && node.life == life) action();
  });
}

void Simulation::TraceLine(const std::string& text) {
  const std::string line = fmt::format("{:>8} {}", now_, text);
  for (const char c : line) {
    trace_hash_ = (trace_hash_ ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  }
  if (options_.trace) fmt::print("{}\n", line);
}

std::string Simulation::Name(const Node& node) {
  std::string name(node.replica.self().id.text());
  if (node.replica_number >= node.replica.conference().size()) name += "'";
  if (node.is_clone) name += " (clone)";
  return name;
}

std::string Simulation::MarkOf(const AudienceId& audience) {
  return "Merkzeichen-" + audience.Hex().substr(0, 16);
}

// ---------------------------------------------------------------------------------------------
// The course of a run

void Simulation::SetUp() {
  testing::ConferenceOptions shape;
  // Mostly a handful; now and then all sixteen and their guest.
  const bool all = random_.Chance(4);
  shape.laender = std::min<std::size_t>(all ? 16 : 2 + random_.Below(4), options_.laender_max);
  shape.guest = (random_.Chance(35) || all) && Has(Part::kGuest);
  shape.groups = (random_.Chance(50) || all) && Has(Part::kGroups);
  shape.second_replicas = random_.Chance(25) && Has(Part::kSecond) ? 1 : 0;
  shape.spare_replicas = random_.Chance(40) && Has(Part::kCharter) ? 1 : 0;
  conference_ = &testing::ConferenceOf(shape);
  counts_.guests += shape.guest ? 1 : 0;
  counts_.groups += shape.groups ? 1 : 0;
  counts_.second_replicas += shape.second_replicas;
  if (Has(Part::kNetwork)) {
    loss_percent_ = random_.Chance(30) ? 0 : random_.Below(35);
    repeat_percent_ = random_.Below(20);
    delay_max_ = random_.Chance(50) ? 200 : 8 * kSecond;
  } else {
    delay_max_ = 100;
  }
  limits_.batch_entries_max = random_.Chance(50) ? 1 + random_.Below(6) : 1000;
  limits_.batch_bytes_max = random_.Chance(30) ? 1000 : 1 << 20;
  end_ = (40 + random_.Below(160)) * kSecond * options_.end_percent / 100;
  edit_interval_ = 1'000 + random_.Below(shape.laender > 8 ? 20'000 : 6'000);
  Trace(
      "seed {} Länder {} guest {} groups {} second {} loss {} repeat {} delay {} batch {}/{} end "
      "{}",
      options_.seed, shape.laender, shape.guest, shape.groups, shape.second_replicas, loss_percent_,
      repeat_percent_, delay_max_, limits_.batch_entries_max, limits_.batch_bytes_max, end_);
  SetUpVersions();
  for (std::size_t index = 0; index < conference_->listed_replicas() && !failure_; ++index) {
    const bool fetches = index > 0 && random_.Chance(30);
    Node& node =
        AddNode(index, fetches ? TestReplica::Charter::kByExchange : TestReplica::Charter::kAtHand);
    Start(node);
  }
  if (Has(Part::kDevice)) {
    const std::size_t devices = random_.Below(3 * conference_->size());
    for (std::size_t index = 0; index < devices; ++index) {
      devices_.push_back({.member = random_.Below(conference_->size())});
    }
    if (!devices_.empty()) After(random_.Below(2 * kSecond), [this] { Devices(); });
  }
  After(random_.Below(3 * kSecond), [this] { Fault(); });
  if (Has(Part::kCharter)) After(random_.Below(end_ / 3 + 1), [this] { CharterAct(); });
  if (Has(Part::kForgery)) After(random_.Below(end_ / 2 + 1), [this] { Forge(); });
  if (Has(Part::kMembers) && shape.groups) {
    After(members_.Below(end_ / 4 + 1), [this] { AudienceAct(); });
  }
  if (Has(Part::kErasure)) After(random_.Below(end_ / 10 + 1), [this] { AboutPersons(); });
}

Node& Simulation::AddNode(std::size_t replica, TestReplica::Charter charter) {
  nodes_.push_back(std::make_unique<Node>(nodes_.size(), *conference_, replica,
                                          options_.seed * 31 + 7 + nodes_.size(), charter));
  Node& node = *nodes_.back();
  ChooseVersion(node);
  node.had_charter = charter == TestReplica::Charter::kAtHand;
  const std::uint64_t skew = random_.Below(2 * 3'600'000);
  const std::uint64_t year_off = random_.Below(100);
  if (Has(Part::kClock)) {
    node.skew_ms = static_cast<std::int64_t>(skew) - 3'600'000;
    if (year_off < 4) {
      node.skew_ms +=
          year_off < 2 ? static_cast<std::int64_t>(kYear) : -static_cast<std::int64_t>(kYear);
      ++counts_.years_off;
    }
  }
  return node;
}

void Simulation::Start(Node& node) {
  SetClock(node);
  const Status opened = OpenNode(node);
  if (failure_) return;
  if (!opened) {
    if (Died(node)) return;
    // A full disk or a failing one: somebody tries again later.
    if (opened.error().code == ErrorCode::kStorage && Faulty(node)) {
      Trace("{} cannot start: {}", Name(node), opened.error().message);
      After(2 * kSecond, [this, &node] {
        if (!node.up && !node.away && !node.gone && !failure_) Start(node);
      });
      return;
    }
    Failed("{} cannot start: {}", Name(node), opened.error().message);
    return;
  }
  node.up = true;
  Trace("{} is up", Name(node));
  StartLoops(node);
}

void Simulation::StartLoops(Node& node) {
  AfterFor(node, people_.Below(edit_interval_), [this, &node] { Edits(node); });
  AfterFor(node, network_.Below(2 * kSecond), [this, &node] { Sync(node); });
  AfterFor(node, 5 * kSecond + faults_.Below(20 * kSecond), [this, &node] { Upkeep(node); });
  AfterFor(node, erasing_.Below(4 * kSecond), [this, &node] { Receipts(node); });
}

void Simulation::Stop(Node& node) {
  node.up = false;
  ++node.life;
  node.asking.clear();
  node.waiters.clear();
  node.chair.reset();
  node.watch.reset();
  node.admitted.clear();
  node.replica.Close();
}

void Simulation::GoDown(Node& node) {
  const auto authority = AuthorityOf(node);
  if (authority && authority->hub_key() == node.replica.key().public_key()) ++counts_.hub_crashes;
  Stop(node);
  if (node.replica.disk().power_is_cut()) node.replica.disk().Restart();
  After(100 + faults_.Below(20 * kSecond), [this, &node] {
    if (!node.up && !node.away && !node.gone && !failure_) Start(node);
  });
}

bool Simulation::Died(Node& node) {
  if (!node.replica.disk().power_is_cut()) return false;
  ++counts_.cuts_in_commit;
  Trace("{} lost power in mid-commit", Name(node));
  GoDown(node);
  return true;
}

bool Simulation::Faulty(Node& node) {
  const auto counts = node.replica.disk().counts();
  return counts.failed_writes + counts.torn_writes + counts.failed_syncs +
                 counts.refused_for_space >
             0 ||
         node.twin.failures > 0;
}

void Simulation::Excuse(Node& node, const Error& error, std::string_view doing) {
  if (Died(node)) return;
  if (error.code == ErrorCode::kStorage && Faulty(node)) {
    Trace("{} {}: {}", Name(node), doing, error.message);
    return;
  }
  Failed("{} {}: {}", Name(node), doing, error.message);
}

void Simulation::SetClock(Node& node) {
  node.replica.clock().Set(static_cast<std::uint64_t>(
      static_cast<std::int64_t>(testing::kSimStartMs + 2 * kYear + now_ + years_ms_) +
      node.skew_ms));
}

void Simulation::Collect(Node& node) {
  const auto disk = node.replica.disk().counts();
  counts_.failed_operations += disk.failed_writes + disk.torn_writes + disk.failed_syncs;
  counts_.refusals_for_space += disk.refused_for_space;
  counts_.failed_twins += node.twin.failures;
  counts_.cuts_at_twin += node.twin.power_cuts;
}

std::shared_ptr<const charter::Authority> Simulation::AuthorityOf(Node& node) {
  return node.replica.is_open() ? node.replica.store().authority() : nullptr;
}

std::optional<std::size_t> Simulation::NodeOfKey(const crypto::PublicKey& key) const {
  for (const auto& node : nodes_) {
    if (!node->is_clone && node->replica.key().public_key() == key) return node->index;
  }
  return std::nullopt;
}

std::vector<Node*> Simulation::UpNodes() {
  std::vector<Node*> up;
  for (auto& node : nodes_) {
    if (node->up && !node->is_clone) up.push_back(node.get());
  }
  return up;
}

Node* Simulation::RandomUp() { return RandomOf(UpNodes(), acts_); }

Node* Simulation::RandomOf(const std::vector<Node*>& nodes, SimRandom& random) {
  return nodes.empty() ? nullptr : nodes[random.Below(nodes.size())];
}

}  // namespace staffel::sim
