// SPDX-License-Identifier: EUPL-1.2
#include "tests/sim/simulation.h"

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <set>
#include <utility>
#include <vector>

#include "core/charter/tree.h"
#include "sync/invitation.h"
#include "sync/session.h"

namespace staffel::sim {
namespace {

using testing::FaultingDisk;
using testing::SimRandom;
using testing::TestConference;
using testing::TestReplica;
using testing::Unsynced;

constexpr std::uint64_t kSecond = 1'000;
constexpr std::uint64_t kAnswerTimeout = 5 * kSecond;
constexpr std::uint64_t kWaitMs = 20 * kSecond;
// Of one exchange in the quiet end, beside one for each batch.
constexpr std::uint64_t kRoundTripsBase = 60;
constexpr int kQuietRoundsMax = 6;  // in which everybody exchanges with the hub
constexpr std::size_t kRepeatableMax = 8;

// An edit that the store has acknowledged: from now on it must never be gone.
struct Acknowledged {
  EntryId entry;
  Edit edit;                    // as its writer meant it
  bool only_copy_lost = false;  // a backup was restored before anybody else had it
};

struct Node {
  Node(const TestConference& conference, std::size_t member, std::uint64_t seed,
       TestReplica::Charter charter)
      : index(member), replica(conference, member, seed, charter) {}

  std::size_t index;
  TestReplica replica;
  bool up = false;
  std::uint64_t life = 0;  // raised whenever the process ends: what it had under way is void
  std::int64_t skew_ms = 0;
  bool had_charter = false;
  std::vector<Acknowledged> acknowledged;
  std::vector<Edit> repeatable;  // edits with an op id that a client may send again
  std::optional<FaultingDisk::Image> backup;

  // The asking side, per peer.
  struct Asking {
    std::unique_ptr<sync::Exchange> exchange;
    bool under_way = false;
    std::uint64_t attempt = 0;
    int retries = 0;
  };
  std::map<std::size_t, Asking> asking;
  // Requests of others that are kept open.
  struct Waiter {
    std::size_t from = 0;
    std::uint64_t from_life = 0;
    std::uint64_t attempt = 0;
    Bytes request;
    std::uint64_t until = 0;
    std::uint64_t revision = 0;
  };
  std::vector<Waiter> waiters;
  std::map<std::size_t, std::uint64_t> newest_attempt_from;
};

// Swallows batches: for Mutation::kSkipBatch.
class LyingIntake final : public sync::Intake {
 public:
  explicit LyingIntake(Store& store) : direct_(store) {}
  bool lie = false;
  bool lied = false;
  Status Take(sync::ReceivedBatch batch) override {
    if (lie && !batch.runs.empty()) {
      lied = true;
      batch.runs.clear();
    }
    return direct_.Take(std::move(batch));
  }
  Result<std::vector<Ingested>> Flush() override { return direct_.Flush(); }

 private:
  sync::DirectIntake direct_;
};

class Simulation {
 public:
  explicit Simulation(const RunOptions& options) : options_(options), random_(options.seed) {}

  RunReport Run() {
    SetUp();
    while (!failure_ && !events_.empty() && now_ < end_) {
      Event event = events_.top();
      events_.pop();
      now_ = event.time;
      event.action();
    }
    if (!failure_) Quiet();
    if (!failure_) Check();
    for (auto& node : nodes_) Collect(*node);
    return {.counts = counts_,
            .failure = failure_,
            .trace_hash = trace_hash_,
            .nodes = nodes_.size(),
            .mutated = mutated_};
  }

 private:
  struct Event {
    std::uint64_t time = 0;
    std::uint64_t order = 0;
    std::function<void()> action;
    bool operator<(const Event& other) const {
      return std::pair(time, order) > std::pair(other.time, other.order);
    }
  };

  void After(std::uint64_t delay, std::function<void()> action) {
    events_.push({now_ + delay, ++order_, std::move(action)});
  }
  // For a node's process as it is now: void once that has ended.
  void AfterFor(Node& node, std::uint64_t delay, std::function<void()> action) {
    After(delay, [&node, life = node.life, action = std::move(action)] {
      if (node.up && node.life == life) action();
    });
  }

  template <typename... Args>
  void Trace(fmt::format_string<Args...> format, Args&&... args) {
    const std::string line =
        fmt::format("{:>8} {}", now_, fmt::format(format, std::forward<Args>(args)...));
    for (const char c : line) {
      trace_hash_ = (trace_hash_ ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    }
    if (options_.trace) fmt::print("{}\n", line);
  }
  template <typename... Args>
  void Failed(fmt::format_string<Args...> format, Args&&... args) {
    if (failure_) return;
    failure_ = fmt::format(format, std::forward<Args>(args)...);
    Trace("FAILED {}", *failure_);
  }

  // ---- the course of a run ----

  void SetUp() {
    // Mostly a handful; now and then the whole conference.
    const std::size_t size = random_.Chance(4) ? 16 : 2 + random_.Below(5);
    conference_ = &testing::ConferenceOf(size);
    loss_percent_ = random_.Chance(30) ? 0 : random_.Below(35);
    repeat_percent_ = random_.Below(20);
    delay_max_ = random_.Chance(50) ? 200 : 8 * kSecond;
    limits_.batch_entries_max = random_.Chance(50) ? 1 + random_.Below(6) : 1000;
    limits_.batch_bytes_max = random_.Chance(30) ? 1000 : 1 << 20;
    end_ = (40 + random_.Below(200)) * kSecond;
    edit_interval_ = 500 + random_.Below(size > 8 ? 20'000 : 6'000);
    Trace("seed {} size {} loss {} repeat {} delay {} batch {}/{} end {}", options_.seed, size,
          loss_percent_, repeat_percent_, delay_max_, limits_.batch_entries_max,
          limits_.batch_bytes_max, end_);
    for (std::size_t index = 0; index < size && !failure_; ++index) {
      const bool fetches = index > 0 && random_.Chance(40);
      nodes_.push_back(std::make_unique<Node>(
          *conference_, index, options_.seed * 31 + 7,
          fetches ? TestReplica::Charter::kByExchange : TestReplica::Charter::kAtHand));
      Node& node = *nodes_.back();
      node.had_charter = !fetches;
      node.skew_ms = static_cast<std::int64_t>(random_.Below(2 * 3'600'000)) - 3'600'000;
      Start(node);
    }
    After(random_.Below(3 * kSecond), [this] { Fault(); });
  }

  void Start(Node& node) {
    SetClock(node);
    const Status opened = node.replica.Open();
    if (!opened) {
      if (Died(node)) return;
      // A full disk or a failing one: somebody tries again later.
      if (opened.error().code == ErrorCode::kStorage && Faulty(node)) {
        Trace("{} cannot start: {}", Name(node), opened.error().message);
        After(2 * kSecond, [this, &node] {
          if (!node.up && !failure_) Start(node);
        });
        return;
      }
      Failed("{} cannot start: {}", Name(node), opened.error().message);
      return;
    }
    node.up = true;
    Trace("{} is up", Name(node));
    AfterFor(node, random_.Below(edit_interval_), [this, &node] { Edits(node); });
    AfterFor(node, random_.Below(2 * kSecond), [this, &node] { Sync(node); });
    AfterFor(node, 5 * kSecond + random_.Below(20 * kSecond), [this, &node] { Upkeep(node); });
  }

  // The process ends, however it came about. What it had open is gone.
  void Stop(Node& node) {
    node.up = false;
    ++node.life;
    node.asking.clear();
    node.waiters.clear();
    intakes_.erase(node.index);
    node.replica.Close();
  }

  void GoDown(Node& node) {
    Stop(node);
    if (node.replica.disk().power_is_cut()) node.replica.disk().Restart();
    if (node.index == 0) ++counts_.hub_crashes;
    After(100 + random_.Below(20 * kSecond), [this, &node] {
      if (!node.up && !failure_) Start(node);
    });
  }

  // To be asked after every error of a store: whether the power went in the middle of it.
  bool Died(Node& node) {
    if (!node.replica.disk().power_is_cut()) return false;
    ++counts_.cuts_in_commit;
    Trace("{} lost power in mid-commit", Name(node));
    GoDown(node);
    return true;
  }

  // Whether a disk error is one that we asked for.
  bool Faulty(Node& node) {
    const auto counts = node.replica.disk().counts();
    return counts.failed_writes + counts.torn_writes + counts.failed_syncs +
               counts.refused_for_space >
           0;
  }

  void Excuse(Node& node, const Error& error, std::string_view doing) {
    if (Died(node)) return;
    if (error.code == ErrorCode::kStorage && Faulty(node)) {
      Trace("{} {}: {}", Name(node), doing, error.message);
      return;
    }
    Failed("{} {}: {}", Name(node), doing, error.message);
  }

  void SetClock(Node& node) {
    node.replica.clock().Set(static_cast<std::uint64_t>(
        static_cast<std::int64_t>(testing::kSimStartMs + 86'400'000 + now_) + node.skew_ms));
  }

  static std::string Name(const Node& node) { return std::string(node.replica.self().id.text()); }

  // ---- people ----

  void Edits(Node& node) {
    SetClock(node);
    for (std::uint64_t count = 1 + random_.Below(3); count > 0 && node.up && !failure_; --count) {
      EditOnce(node);
    }
    Wake(node);
    if (node.up) {
      AfterFor(node, random_.Below(2 * edit_interval_), [this, &node] { Edits(node); });
    }
  }

  void EditOnce(Node& node) {
    Store& store = node.replica.store();
    if (!store.own_member()) return;  // still waiting for the charter
    if (!node.repeatable.empty() && random_.Chance(10)) {
      ++counts_.workload.repeated_ops;
      Submit(node, node.repeatable[random_.Below(node.repeatable.size())], /*again=*/true);
      return;
    }
    const bool for_all = !random_.Chance(12);
    const AudienceId audience = for_all ? conference_->laender() : node.replica.self().own;
    auto edit = testing::RandomEdit(node.replica, audience, random_, counts_.workload);
    if (!edit) {
      Excuse(node, edit.error(), "reading for an edit");
      return;
    }
    if (!*edit) return;
    if (!for_all) {
      // A mark that must never be seen elsewhere, in any file.
      Submit(node, testing::NewNote(audience, random_.DrawId<RecordId>(), SecretOf(node)),
             /*again=*/false);
      if (!node.up) return;
    }
    Submit(node, **edit, /*again=*/false);
    // Several of it in one transaction, as an import does.
    if (random_.Chance(5) && node.up) SubmitSeveral(node);
  }

  static std::string SecretOf(const Node& node) { return "GEHEIM-NUR-" + Name(node); }

  void Submit(Node& node, const Edit& edit, bool again) {
    const bool lie = options_.mutation == Mutation::kLoseAcknowledged && !mutated_ &&
                     node.acknowledged.size() > 3;
    node.replica.disk().LieAboutSyncs(lie);
    const auto applied = node.replica.store().Apply(Mutated(node, edit));
    if (!applied) {
      ++counts_.workload.refusals;
      // Made meanwhile, decided meanwhile, restored meanwhile: people hear that, too.
      const ErrorCode code = applied.error().code;
      if (code == ErrorCode::kExists || code == ErrorCode::kConflict ||
          code == ErrorCode::kInvalid || code == ErrorCode::kNotFound) {
        if (code == ErrorCode::kNotFound && !again) {
          Failed("{} was shown a record that is not there: {}", Name(node),
                 applied.error().message);
        }
        return;
      }
      Excuse(node, applied.error(), "applying an edit");
      // A client that heard nothing sends its op again.
      if (edit.op && node.repeatable.size() < kRepeatableMax) node.repeatable.push_back(edit);
      return;
    }
    Trace("{} wrote {}", Name(node), applied->entry.Hex().substr(0, 8));
    Acknowledge(node, applied->entry, edit);
    if (lie && !applied->repeated) {
      mutated_ = true;
      node.replica.disk().LieAboutSyncs(false);
      node.replica.disk().CutPower(Unsynced::kLost);
      GoDown(node);
      return;
    }
    if (edit.op && node.repeatable.size() < kRepeatableMax) node.repeatable.push_back(edit);
  }

  void SubmitSeveral(Node& node) {
    std::vector<Edit> edits;
    for (std::uint64_t count = 2 + random_.Below(5); count > 0; --count) {
      edits.push_back(testing::NewNote(conference_->laender(), random_.DrawId<RecordId>(),
                                       fmt::format("aus einer Datei {}", count)));
    }
    const auto applied = node.replica.store().ApplyAll(edits);
    if (!applied) {
      Excuse(node, applied.error(), "applying several edits");
      return;
    }
    for (std::size_t index = 0; index < edits.size(); ++index) {
      Acknowledge(node, (*applied)[index].entry, edits[index]);
    }
  }

  void Acknowledge(Node& node, const EntryId& entry, const Edit& edit) {
    ++counts_.acknowledged;
    for (const Acknowledged& known : node.acknowledged) {
      if (known.entry == entry) return;  // a repeat
    }
    node.acknowledged.push_back({entry, edit});
  }

  // What a deliberate fault makes of an edit on its way into the store.
  Edit Mutated(Node& node, const Edit& edit) {
    Edit changed = edit;
    switch (options_.mutation) {
      case Mutation::kDropParent:
        for (RecordEdit& record : changed.records) {
          for (CellEdit& cell : record.cells) {
            if (!cell.parents || cell.parents->empty() || mutated_) continue;
            cell.parents->pop_back();
            mutated_ = true;
          }
        }
        break;
      case Mutation::kWrongValue:
        for (RecordEdit& record : changed.records) {
          for (CellEdit& cell : record.cells) {
            if (!cell.value || mutated_) continue;
            cell.value->back() ^= 1;
            mutated_ = true;
          }
        }
        break;
      case Mutation::kForeignAudience:
        if (!mutated_ && edit.audience == node.replica.self().own) {
          const bool all_new = std::all_of(
              edit.records.begin(), edit.records.end(),
              [](const RecordEdit& record) { return record.mode == RecordEdit::Mode::kCreate; });
          if (all_new) {
            changed.audience = conference_->laender();
            mutated_ = true;
          }
        }
        break;
      case Mutation::kSilentDecision: {
        auto snapshot = node.replica.store().Read();
        if (!snapshot) break;
        for (RecordEdit& record : changed.records) {
          const auto view = snapshot->GetRecord(record.record, edit.audience);
          if (!view) continue;
          const auto state = snapshot->State(*view);
          for (CellEdit& cell : record.cells) {
            for (const auto& known : state->cells) {
              if (mutated_ || known.cell != cell.cell || !cell.parents) continue;
              if (known.heads.size() <= cell.parents->size()) continue;
              cell.parents->clear();
              for (const auto& head : known.heads) cell.parents->push_back(head.entry);
              mutated_ = true;
            }
          }
        }
        break;
      }
      default:
        break;
    }
    return changed;
  }

  // ---- the network ----

  Node& Hub() { return *nodes_[0]; }

  void Sync(Node& node) {
    AfterFor(node, 1 * kSecond + random_.Below(10 * kSecond), [this, &node] { Sync(node); });
    std::size_t peer = 0;
    if (node.index == 0 || random_.Chance(15)) {
      peer = random_.Below(nodes_.size());
      if (peer == node.index || (node.index == 0 && random_.Chance(80))) return;
      if (peer != 0) ++counts_.peer_exchanges;
    }
    Node::Asking& asking = node.asking[peer];
    if (asking.under_way) return;
    if (asking.exchange == nullptr) {
      asking.exchange = MakeExchange(node, peer);
    } else {
      asking.exchange->Begin();
    }
    asking.retries = 0;
    Ask(node, peer);
  }

  std::unique_ptr<sync::Exchange> MakeExchange(Node& node, std::size_t peer) {
    sync::ExchangeOptions options{.limits = limits_};
    if (node.replica.store().authority() == nullptr) {
      options.conference = conference_->conference();
    }
    if (options_.mutation == Mutation::kSkipBatch && node.index == nodes_.size() - 1) {
      auto& intake = intakes_[node.index];
      if (intake == nullptr) intake = std::make_unique<LyingIntake>(node.replica.store());
      intake->lie = node.replica.store().own_member().has_value();
      options.intake = intake.get();
    }
    return std::make_unique<sync::Exchange>(
        node.replica.store(), conference_->member(peer).tls.public_key(), std::move(options));
  }

  void Ask(Node& node, std::size_t peer) {
    Node::Asking& asking = node.asking[peer];
    const auto request = asking.exchange->NextRequest(random_.Chance(50) ? kWaitMs : 0);
    if (!request) {
      asking.under_way = false;
      asking.exchange.reset();
      // Who has no charter yet knows only the hub.
      if (request.error().code == ErrorCode::kDenied && !node.had_charter) return;
      Excuse(node, request.error(), "asking");
      return;
    }
    asking.under_way = true;
    const std::uint64_t attempt = ++asking.attempt;
    ++counts_.requests;
    SendRequest(node, peer, attempt, *request);
    if (random_.Chance(repeat_percent_)) {
      ++counts_.repeated_requests;
      SendRequest(node, peer, attempt, *request);
    }
    AfterFor(node, asking.exchange->waiting() ? kWaitMs + kAnswerTimeout : kAnswerTimeout,
             [this, &node, peer, attempt] {
               Node::Asking& late = node.asking[peer];
               if (!late.under_way || late.attempt != attempt) return;
               if (++late.retries > 3) {
                 late.under_way = false;  // another comparison later
                 return;
               }
               Ask(node, peer);
             });
  }

  bool Blocked(std::size_t a, std::size_t b) {
    const auto found = blocked_until_.find(std::minmax(a, b));
    return found != blocked_until_.end() && found->second > now_;
  }

  void SendRequest(Node& from, std::size_t to, std::uint64_t attempt, Bytes request) {
    if (random_.Chance(loss_percent_)) {
      ++counts_.lost_requests;
      return;
    }
    if (Blocked(from.index, to)) {
      ++counts_.blocked_by_partition;
      return;
    }
    After(random_.Below(delay_max_),
          [this, &from, to, attempt, life = from.life, request = std::move(request)] {
            Node& node = *nodes_[to];
            if (!node.up) return;
            std::uint64_t& newest = node.newest_attempt_from[from.index];
            if (attempt < newest) ++counts_.late_requests;
            newest = std::max(newest, attempt);
            Receive(node, {from.index, life, attempt, request, 0, 0});
          });
  }

  void Receive(Node& node, Node::Waiter waiter) {
    SetClock(node);
    sync::Responder responder(node.replica.store(), limits_);
    const auto reply =
        responder.Answer(waiter.request, conference_->member(waiter.from).tls.public_key());
    if (!reply) {
      const ErrorCode code = reply.error().code;
      // Not knowing the asker, or anybody, is honest while the charter is on its way.
      if ((code == ErrorCode::kDenied || code == ErrorCode::kUnavailable) && !node.had_charter) {
        return;
      }
      Excuse(node, reply.error(), "answering");
      return;
    }
    for (const sync::DigestDifference& incident : reply->incidents) Alarm(node, incident);
    if (reply->new_entries > 0 || reply->charter_changed) Wake(node);
    const std::uint64_t revision = node.replica.store().revision();
    if (reply->nothing_new && reply->wait_ms > 0) {
      if (waiter.until == 0) {
        ++counts_.waits;
        waiter.until = now_ + reply->wait_ms;
        AfterFor(node, reply->wait_ms, [this, &node] { Wake(node); });
      }
      if (now_ < waiter.until) {
        waiter.revision = revision;
        node.waiters.push_back(std::move(waiter));
        return;
      }
    }
    SendAnswer(node, waiter, reply->bytes);
  }

  // A commit, or the end of a wait: whoever waits is answered anew.
  void Wake(Node& node) {
    if (!node.up) return;
    std::vector<Node::Waiter> waiters = std::move(node.waiters);
    node.waiters.clear();
    const std::uint64_t revision = node.replica.store().revision();
    for (Node::Waiter& waiter : waiters) {
      if (!node.up) return;
      if (waiter.revision == revision && now_ < waiter.until) {
        node.waiters.push_back(std::move(waiter));
      } else {
        Receive(node, std::move(waiter));
      }
    }
  }

  void SendAnswer(Node& node, const Node::Waiter& waiter, Bytes answer) {
    if (random_.Chance(loss_percent_)) {
      ++counts_.lost_answers;
      return;
    }
    if (Blocked(node.index, waiter.from)) {
      ++counts_.blocked_by_partition;
      return;
    }
    After(random_.Below(delay_max_), [this, peer = node.index, waiter, answer = std::move(answer)] {
      Node& to = *nodes_[waiter.from];
      if (!to.up || to.life != waiter.from_life) return;
      Node::Asking& asking = to.asking[peer];
      // An answer to a request that was given up: the connection is gone.
      if (!asking.under_way || asking.attempt != waiter.attempt) return;
      TakeAnswer(to, peer, answer);
    });
  }

  void TakeAnswer(Node& node, std::size_t peer, const Bytes& answer) {
    SetClock(node);
    Node::Asking& asking = node.asking[peer];
    asking.under_way = false;
    const auto state = asking.exchange->TakeAnswer(answer);
    if (!state) {
      asking.exchange.reset();
      // The two move apart while they compare: they try again.
      if (state.error().code == ErrorCode::kUnavailable) {
        Trace("{} and {}: {}", Name(node), Name(*nodes_[peer]), state.error().message);
        return;
      }
      if (state.error().code == ErrorCode::kDenied && !node.had_charter) return;
      Excuse(node, state.error(), "taking an answer");
      return;
    }
    for (const sync::DigestDifference& incident : asking.exchange->incidents())
      Alarm(node, incident);
    if (const auto lying = intakes_.find(node.index); lying != intakes_.end()) {
      if (lying->second->lied) mutated_ = true;
    }
    if (!node.had_charter && node.replica.store().own_member()) {
      node.had_charter = true;
      ++counts_.charters_fetched;
    }
    asking.retries = 0;
    Wake(node);
    if (*state == sync::Exchange::State::kGoOn) {
      Ask(node, peer);
      return;
    }
    ++counts_.exchanges_agreed;
    Trace("{} agrees with {}", Name(node), Name(*nodes_[peer]));
    // What a replicator does then: ask again, and wait.
    if (random_.Chance(60)) {
      asking.exchange->Begin();
      Ask(node, peer);
    }
  }

  void Alarm(const Node& node, const sync::DigestDifference& incident) {
    Failed("false alarm, or a true one: {} and {} hold the same entries with different digests",
           Name(node), incident.peer.text());
  }

  // ---- faults and upkeep ----

  void Upkeep(Node& node) {
    AfterFor(node, 5 * kSecond + random_.Below(20 * kSecond), [this, &node] { Upkeep(node); });
    Store& store = node.replica.store();
    switch (random_.Below(3)) {
      case 0: {
        const Status moved = store.Checkpoint();
        if (!moved) Excuse(node, moved.error(), "checkpointing");
        break;
      }
      case 1: {
        const auto left = store.IndexSearch(1 + random_.Below(50));
        if (!left) Excuse(node, left.error(), "indexing");
        break;
      }
      default: {
        if (!store.own_member()) break;
        const auto signed_count = sync::CosignInForce(store, node.replica.self().key);
        if (!signed_count) {
          Excuse(node, signed_count.error(), "cosigning");
        } else {
          counts_.cosignatures += *signed_count;
          if (*signed_count > 0) Wake(node);
        }
      }
    }
  }

  void Fault() {
    After(random_.Below(2 * end_ / 15), [this] { Fault(); });
    Node& node = *nodes_[random_.Chance(25) ? 0 : random_.Below(nodes_.size())];
    FaultingDisk& disk = node.replica.disk();
    const std::uint64_t what = random_.Below(100);
    if (what < 12) {
      if (node.up) Crash(node);
    } else if (what < 32) {
      const auto unsynced = static_cast<Unsynced>(random_.Below(3));
      Trace("{} will lose power", Name(node));
      disk.CutPowerAt(disk.operations() + 1 + random_.Below(40), unsynced);
    } else if (what < 42) {
      Trace("{}'s disk will fail once", Name(node));
      disk.FailAt(disk.operations() + 1 + random_.Below(30), random_.Chance(50));
    } else if (what < 52) {
      Trace("{}'s disk is full", Name(node));
      disk.SetSpace(disk.used() + random_.Below(40'000));
      After(1 + random_.Below(15 * kSecond), [&disk] { disk.SetSpace(std::nullopt); });
    } else if (what < 68) {
      const std::size_t other = random_.Below(nodes_.size());
      blocked_until_[std::minmax(node.index, other)] = now_ + random_.Below(end_ / 2);
      Trace("{} cannot reach {}", Name(node), Name(*nodes_[other]));
    } else if (what < 74) {
      // The hub alone against all.
      for (std::size_t other = 1; other < nodes_.size(); ++other) {
        blocked_until_[{0, other}] = now_ + random_.Below(end_ / 3);
      }
      Trace("the hub is cut off");
    } else if (what < 82) {
      node.skew_ms += static_cast<std::int64_t>(random_.Below(4 * 3'600'000)) - 2 * 3'600'000;
      ++counts_.clocks_set;
    } else if (what < 90) {
      if (!node.up) return;
      Trace("{} restarts", Name(node));
      ++counts_.clean_restarts;
      Stop(node);
      Start(node);
    } else if (what < 95) {
      if (node.up) node.backup = disk.Save();
    } else {
      RestoreBackup(node);
    }
  }

  void Crash(Node& node) {
    const auto unsynced = static_cast<Unsynced>(random_.Below(3));
    Trace("{} loses power", Name(node));
    CountCut(unsynced);
    node.replica.disk().CutPower(unsynced);
    GoDown(node);
  }

  void CountCut(Unsynced unsynced) {
    if (unsynced == Unsynced::kLost) ++counts_.power_cuts_lost;
    if (unsynced == Unsynced::kTorn) ++counts_.power_cuts_torn;
    if (unsynced == Unsynced::kKept) ++counts_.power_cuts_kept;
  }

  // An administrator brings back yesterday's file, and the node goes on with it unaware. What only
  // this node held is then truly lost; everything else must come back.
  void RestoreBackup(Node& node) {
    if (!node.backup) return;
    for (const auto& other : nodes_) {
      if (!other->up) return;  // nobody could say what is held
    }
    for (auto& writer : nodes_) {
      for (Acknowledged& known : writer->acknowledged) {
        if (known.only_copy_lost) continue;
        bool elsewhere = false;
        for (const auto& other : nodes_) {
          if (other->index != node.index && Holds(*other, known)) elsewhere = true;
        }
        if (!elsewhere) known.only_copy_lost = true;
      }
    }
    if (failure_) return;
    Trace("{} is restored from a backup", Name(node));
    ++counts_.restored_backups;
    Stop(node);
    node.replica.disk().Load(*node.backup);
    node.backup.reset();
    Start(node);
  }

  // Whether a node holds the entry; its journal is looked up in the node's own vectors.
  bool Holds(Node& node, const Acknowledged& known) {
    auto snapshot = node.replica.store().Read();
    if (!snapshot) {
      Excuse(node, snapshot.error(), "reading");
      return false;
    }
    for (const RecordEdit& record : known.edit.records) {
      const auto view = snapshot->GetRecord(record.record, known.edit.audience);
      if (!view) return false;
      const auto history = snapshot->History(*view);
      if (!history) {
        Failed("{} cannot tell a record's history: {}", Name(node), history.error().message);
        return false;
      }
      for (const HistoryItem& item : *history) {
        if (item.entry == known.entry) return true;
      }
      return false;
    }
    return false;
  }

  // ---- the end: no more faults ----

  void Quiet() {
    Trace("quiet");
    for (auto& node : nodes_) {
      FaultingDisk& disk = node->replica.disk();
      disk.SetSpace(std::nullopt);
      if (node->up) Stop(*node);
      // Forgets armed faults; keeps what a killed process would leave.
      disk.CutPower(Unsynced::kKept);
      disk.Restart();
      SetClock(*node);
      const Status opened = node->replica.Open();
      if (!opened) {
        Failed("{} cannot be opened in the end: {}", Name(*node), opened.error().message);
        return;
      }
      node->up = true;
    }
    for (int round = 0; round < kQuietRoundsMax; ++round) {
      std::uint64_t moved = 0;
      for (std::size_t index = 1; index < nodes_.size(); ++index) {
        if (!ExchangeNow(*nodes_[index], Hub(), moved)) return;
      }
      for (auto& node : nodes_) {
        const auto cosigned = sync::CosignInForce(node->replica.store(), node->replica.self().key);
        if (!cosigned) {
          Failed("{} cannot cosign: {}", Name(*node), cosigned.error().message);
          return;
        }
        moved += *cosigned;
      }
      if (moved == 0) return;
    }
    Failed("after {} rounds with the hub, something still moves", kQuietRoundsMax);
  }

  bool ExchangeNow(Node& node, Node& peer, std::uint64_t& moved) {
    auto exchange = MakeExchange(node, peer.index);
    sync::Responder responder(peer.replica.store(), limits_);
    const crypto::PublicKey& key = node.replica.self().tls.public_key();
    // Each round trip brings at least one entry forward, one way or the other.
    const std::uint64_t trips_max = kRoundTripsBase + 2 * counts_.acknowledged;
    for (std::uint64_t trip = 0; trip < trips_max; ++trip) {
      const auto request = exchange->NextRequest();
      if (!request) {
        Failed("{} cannot ask {}: {}", Name(node), Name(peer), request.error().message);
        return false;
      }
      const auto reply = responder.Answer(*request, key);
      if (!reply) {
        Failed("{} cannot answer {}: {}", Name(peer), Name(node), reply.error().message);
        return false;
      }
      moved += reply->new_entries + (reply->charter_changed ? 1 : 0);
      for (const sync::DigestDifference& incident : reply->incidents) Alarm(peer, incident);
      const auto state = exchange->TakeAnswer(reply->bytes);
      if (const auto lying = intakes_.find(node.index); lying != intakes_.end()) {
        if (lying->second->lied) mutated_ = true;
      }
      if (!state) {
        Failed("{} and {} do not come together: {}", Name(node), Name(peer), state.error().message);
        return false;
      }
      for (const sync::DigestDifference& incident : exchange->incidents()) Alarm(node, incident);
      if (*state == sync::Exchange::State::kAgreed) {
        moved += exchange->progress().entries_received + exchange->progress().charter_received;
        if (!exchange->problems().empty()) {
          Failed("{} and {}: {}", Name(node), Name(peer), exchange->problems().front());
          return false;
        }
        if (!node.had_charter) ++counts_.charters_fetched;
        node.had_charter = true;
        return true;
      }
    }
    Failed("{} and {} still exchange after {} round trips", Name(node), Name(peer), trips_max);
    return false;
  }

  // ---- what must hold ----

  template <typename T>
  std::optional<T> Get(const Node& node, Result<T> result) {
    if (result) return std::move(*result);
    Failed("{}: {}", Name(node), result.error().message);
    return std::nullopt;
  }

  void Check() {
    const AudienceId laender = conference_->laender();
    const auto state = Get(Hub(), testing::Describe(Hub().replica.store(), laender));
    const auto digest = Get(Hub(), testing::DigestRoot(Hub().replica.store(), laender));
    if (failure_) return;
    const Hash charter = Hub().replica.store().charter()->SummaryHash();
    for (auto& node : nodes_) {
      Store& store = node->replica.store();
      const auto own_digest = Get(*node, testing::DigestRoot(store, laender));
      const auto own_state = Get(*node, testing::Describe(store, laender));
      if (failure_) return;
      if (*own_digest != *digest) Failed("{} has another digest than the hub", Name(*node));
      if (*own_state != *state) {
        Failed("{} shows something else than the hub: {}", Name(*node),
               testing::Difference(*own_state, *state));
      }
      if (store.charter()->SummaryHash() != charter) {
        Failed("{} has another charter than the hub", Name(*node));
      }
      CheckEntries(*node);
      CheckAudiences(*node);
      const auto report = Get(*node, store.Verify());
      if (failure_) return;
      if (!report->problems.empty()) {
        Failed("{} does not verify: {}", Name(*node), report->problems.front());
      }
      const auto incidents = Get(*node, store.Incidents(0, 100));
      if (failure_) return;
      for (const auto& incident : *incidents) {
        if (incident.kind != "fork") Failed("{}: {}", Name(*node), incident.text);
      }
    }
  }

  // What was acknowledged is here, as its writer meant it; and the heads are what an independent
  // reading of the journal says.
  void CheckEntries(Node& node) {
    const auto batches = Get(node, testing::ReadAll(node.replica.store(), 1 << 20));
    if (failure_) return;
    std::map<EntryId, const Entry*> entries;
    std::map<JournalId, MemberId> writers;
    std::map<JournalId, AudienceId> audiences;
    for (const Batch& batch : *batches) {
      for (const auto& run : batch.runs) {
        for (const Entry& entry : run.entries) {
          entries[entry.id] = &entry;
          if (const auto* open = std::get_if<OpenBody>(&entry.header.body)) {
            audiences[entry.id] = open->audience;
            for (std::size_t index = 0; index < conference_->size(); ++index) {
              if (conference_->member(index).key.public_key() == open->key) {
                writers[entry.id] = conference_->member(index).id;
              }
            }
          }
        }
      }
    }
    for (const auto& writer : nodes_) {
      for (const Acknowledged& known : writer->acknowledged) {
        if (known.only_copy_lost) continue;
        if (known.edit.audience != conference_->laender() && writer->index != node.index) continue;
        const auto found = entries.find(known.entry);
        if (found == entries.end()) {
          Failed("{} lacks entry {}, which {} acknowledged", Name(node), known.entry.Hex(),
                 Name(*writer));
          return;
        }
        if (writer->index == node.index) CheckAsMeant(node, known, *found->second);
      }
    }
    CheckHeads(node, entries, writers, audiences);
  }

  void CheckAsMeant(const Node& node, const Acknowledged& known, const Entry& entry) {
    const auto* write = std::get_if<WriteBody>(&entry.header.body);
    if (write == nullptr || write->records.size() != known.edit.records.size()) {
      Failed("{}: entry {} is not the edit that was made", Name(node), entry.id.Hex());
      return;
    }
    for (std::size_t part = 0; part < write->records.size(); ++part) {
      const RecordEdit& meant = known.edit.records[part];
      const RecordPart& written = write->records[part];
      if (meant.mode == RecordEdit::Mode::kDelete || meant.mode == RecordEdit::Mode::kRestore) {
        continue;
      }
      const auto payload = ParsePayload(*entry.payloads[part], written.changes.size());
      if (!payload || meant.cells.size() != written.changes.size()) {
        Failed("{}: entry {} has another form than the edit", Name(node), entry.id.Hex());
        return;
      }
      for (std::size_t index = 0; index < meant.cells.size(); ++index) {
        const CellEdit& cell = meant.cells[index];
        std::set<EntryId> named;
        for (const std::uint32_t parent : written.changes[index].parents) {
          named.insert(write->parents[parent]);
        }
        if (written.changes[index].cell != cell.cell || payload->values[index] != cell.value) {
          Failed("{}: entry {} says something else than the edit", Name(node), entry.id.Hex());
        }
        if (cell.parents &&
            named != std::set<EntryId>(cell.parents->begin(), cell.parents->end())) {
          Failed("{}: entry {} names other parents than its writer was shown", Name(node),
                 entry.id.Hex());
        }
      }
    }
  }

  void CheckHeads(Node& node, const std::map<EntryId, const Entry*>& entries,
                  const std::map<JournalId, MemberId>& writers,
                  const std::map<JournalId, AudienceId>& audiences) {
    using RecordKey = std::tuple<AudienceId, std::uint32_t, RecordId>;
    std::map<RecordKey, std::map<Cell, std::map<EntryId, std::set<EntryId>>>> changes;
    // Entries of one member with one op are repeats: naming one names all.
    std::map<std::pair<MemberId, OpId>, std::vector<EntryId>> repeats;
    std::map<EntryId, std::pair<MemberId, OpId>> op_of;
    for (const auto& [id, entry] : entries) {
      const auto* write = std::get_if<WriteBody>(&entry->header.body);
      if (write == nullptr) continue;
      if (entry->header.op) {
        const auto key = std::pair(writers.at(entry->header.journal), *entry->header.op);
        repeats[key].push_back(id);
        op_of[id] = key;
      }
      for (const RecordPart& part : write->records) {
        auto& cells = changes[{audiences.at(entry->header.journal), part.kind, part.record}];
        for (const CellChange& change : part.changes) {
          auto& parents = cells[change.cell][id];
          for (const std::uint32_t parent : change.parents) {
            parents.insert(write->parents[parent]);
          }
        }
      }
    }
    auto snapshot = node.replica.store().Read();
    if (!snapshot) {
      Failed("{}: {}", Name(node), snapshot.error().message);
      return;
    }
    std::map<RecordKey, std::map<Cell, std::vector<EntryId>>> shown;
    ListFilter filter{.with_deleted = true, .limit = 500};
    for (;;) {
      const auto views = Get(node, snapshot->List(filter));
      if (failure_ || views->empty()) break;
      filter.after_number = views->back().number;
      for (const RecordView& view : *views) {
        const auto state = Get(node, snapshot->State(view));
        if (failure_) return;
        auto& cells = shown[{view.audience, view.kind, view.record}];
        for (const auto& cell : state->cells) {
          for (const auto& head : cell.heads) cells[cell.cell].push_back(head.entry);
        }
      }
    }
    if (shown.size() != changes.size()) {
      Failed("{} shows {} records, its journals have {}", Name(node), shown.size(), changes.size());
      return;
    }
    if (node.index == 0) counts_.records_at_end += shown.size();
    for (const auto& [key, cells] : changes) {
      for (const auto& [cell, by_entry] : cells) {
        std::set<EntryId> covered;
        for (const auto& [entry, parents] : by_entry) {
          for (const EntryId& parent : parents) {
            covered.insert(parent);
            const auto op = op_of.find(parent);
            if (op == op_of.end()) continue;
            for (const EntryId& repeat : repeats[op->second]) covered.insert(repeat);
          }
        }
        std::vector<EntryId> heads;
        for (const auto& [entry, parents] : by_entry) {
          if (!covered.contains(entry)) heads.push_back(entry);
        }
        if (shown[key][cell] != heads) {
          Failed("{}: record {} has {} heads in cell {}, its journals say {}", Name(node),
                 std::get<2>(key).Hex(), shown[key][cell].size(), ToHex(cell), heads.size());
          return;
        }
      }
    }
  }

  // A Land's own audience is nowhere else: no journal, no byte in any file.
  void CheckAudiences(Node& node) {
    auto snapshot = node.replica.store().Read();
    if (!snapshot) {
      Failed("{}: {}", Name(node), snapshot.error().message);
      return;
    }
    const auto journals = Get(node, snapshot->Journals());
    if (failure_) return;
    for (const JournalView& journal : *journals) {
      if (journal.audience != conference_->laender() &&
          journal.audience != node.replica.self().own) {
        Failed("{} holds a journal of an audience that is not its own", Name(node));
      }
      if (node.index == 0 && journal.branches > 1) ++counts_.forks;
    }
    for (const std::string& file : node.replica.disk().Files()) {
      const Bytes content = *node.replica.disk().ReadFile(file);
      for (const auto& other : nodes_) {
        if (other->index == node.index) continue;
        if (content.find(SecretOf(*other)) != Bytes::npos) {
          Failed("{}'s file {} holds bytes that only {} may see", Name(node), file, Name(*other));
        }
      }
    }
    if (node.index == 0) {
      const auto counts = Get(node, snapshot->Counts());
      if (!failure_) counts_.conflicts_at_end += counts->conflicts;
    }
  }

  void Collect(Node& node) {
    const auto disk = node.replica.disk().counts();
    counts_.failed_operations += disk.failed_writes + disk.torn_writes + disk.failed_syncs;
    counts_.refusals_for_space += disk.refused_for_space;
  }

  RunOptions options_;
  SimRandom random_;
  const TestConference* conference_ = nullptr;
  std::map<std::size_t, std::unique_ptr<LyingIntake>> intakes_;  // outlive the exchanges
  std::vector<std::unique_ptr<Node>> nodes_;
  std::priority_queue<Event> events_;
  std::uint64_t now_ = 0;
  std::uint64_t order_ = 0;
  std::uint64_t end_ = 0;
  std::uint64_t edit_interval_ = 0;
  std::uint64_t loss_percent_ = 0;
  std::uint64_t repeat_percent_ = 0;
  std::uint64_t delay_max_ = 0;
  sync::SessionLimits limits_;
  std::map<std::pair<std::size_t, std::size_t>, std::uint64_t> blocked_until_;
  Counts counts_;
  std::optional<std::string> failure_;
  std::uint64_t trace_hash_ = 0xcbf29ce484222325u;
  bool mutated_ = false;
};

// Every counter with its name; `wanted`: over many runs it must have happened.
struct NamedCount {
  const char* name;
  std::uint64_t value;
  bool wanted;
};

std::vector<NamedCount> Names(const Counts& c) {
  const auto& w = c.workload;
  return {{"edits acknowledged", c.acknowledged, true},
          {"  records made", w.creations, true},
          {"  records changed", w.changes, true},
          {"  edits from an older view", w.stale_views, true},
          {"  conflicts decided", w.decisions, true},
          {"  records deleted", w.deletions, true},
          {"  records restored", w.restorations, true},
          {"  ops sent again", w.repeated_ops, true},
          {"  refused", w.refusals, true},
          {"records in the end", c.records_at_end, true},
          {"conflicts in the end", c.conflicts_at_end, true},
          {"requests", c.requests, true},
          {"exchanges agreed", c.exchanges_agreed, true},
          {"exchanges without the hub", c.peer_exchanges, true},
          {"requests kept waiting", c.waits, true},
          {"charters fetched", c.charters_fetched, true},
          {"charter cosignatures", c.cosignatures, false},
          {"requests lost", c.lost_requests, true},
          {"answers lost", c.lost_answers, true},
          {"requests repeated", c.repeated_requests, true},
          {"requests out of order", c.late_requests, true},
          {"messages blocked by partitions", c.blocked_by_partition, true},
          {"power cuts, unsynced data lost", c.power_cuts_lost, true},
          {"power cuts, unsynced data torn", c.power_cuts_torn, true},
          {"processes killed", c.power_cuts_kept, true},
          {"power cuts in mid-commit", c.cuts_in_commit, true},
          {"crashes of the hub", c.hub_crashes, true},
          {"failed disk operations", c.failed_operations, true},
          {"writes refused by a full disk", c.refusals_for_space, true},
          {"clean restarts", c.clean_restarts, true},
          {"backups restored", c.restored_backups, true},
          {"journals forked", c.forks, true},
          {"clocks set", c.clocks_set, true}};
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
  acknowledged += o.acknowledged;
  conflicts_at_end += o.conflicts_at_end;
  records_at_end += o.records_at_end;
  exchanges_agreed += o.exchanges_agreed;
  requests += o.requests;
  waits += o.waits;
  peer_exchanges += o.peer_exchanges;
  charters_fetched += o.charters_fetched;
  cosignatures += o.cosignatures;
  lost_requests += o.lost_requests;
  lost_answers += o.lost_answers;
  repeated_requests += o.repeated_requests;
  late_requests += o.late_requests;
  blocked_by_partition += o.blocked_by_partition;
  power_cuts_lost += o.power_cuts_lost;
  power_cuts_torn += o.power_cuts_torn;
  power_cuts_kept += o.power_cuts_kept;
  cuts_in_commit += o.cuts_in_commit;
  hub_crashes += o.hub_crashes;
  failed_operations += o.failed_operations;
  refusals_for_space += o.refusals_for_space;
  clean_restarts += o.clean_restarts;
  restored_backups += o.restored_backups;
  forks += o.forks;
  clocks_set += o.clocks_set;
}

std::string Counts::Table() const {
  std::string table;
  for (const NamedCount& count : Names(*this)) {
    table += fmt::format("  {:<34} {:>10}\n", count.name, count.value);
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

const char* MutationName(Mutation mutation) {
  switch (mutation) {
    case Mutation::kNone:
      return "none";
    case Mutation::kDropParent:
      return "drop-parent";
    case Mutation::kLoseAcknowledged:
      return "lose-acknowledged";
    case Mutation::kWrongValue:
      return "wrong-value";
    case Mutation::kSkipBatch:
      return "skip-batch";
    case Mutation::kForeignAudience:
      return "foreign-audience";
    case Mutation::kSilentDecision:
      return "silent-decision";
  }
  return "?";
}

RunReport Run(const RunOptions& options) { return Simulation(options).Run(); }

}  // namespace staffel::sim
