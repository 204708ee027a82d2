// SPDX-License-Identifier: EUPL-1.2
// One run's world: nodes, network, time, people, and what is known to be true of it. Internal to
// tests/sim; each .cc beside it holds one concern. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/base/text.h"
#include "core/charter/build.h"
#include "core/charter/tree.h"
#include "core/store/charter_draft.h"
#include "sync/chair.h"
#include "sync/instances.h"
#include "sync/session.h"
#include "tests/sim/doubts.h"
#include "tests/sim/oracle.h"
#include "tests/sim/simulation.h"
#include "tests/support/conference.h"

namespace staffel::sim {

using testing::FaultingDisk;
using testing::SimRandom;
using testing::TestConference;
using testing::TestReplica;
using testing::Unsynced;

inline constexpr std::uint64_t kSecond = 1'000;
inline constexpr std::uint64_t kYear = 365ull * 86'400 * kSecond;
inline constexpr std::uint64_t kAnswerTimeout = 5 * kSecond;
inline constexpr std::uint32_t kWaitMs = 20 * kSecond;
// Of one exchange in the quiet end, beside one for each batch.
inline constexpr std::uint64_t kRoundTripsBase = 60;
inline constexpr int kQuietRoundsMax = 10;  // in which everybody exchanges with hub and relays
inline constexpr int kTieBreaksMax = 4;
inline constexpr std::size_t kRepeatableMax = 8;

// An edit that the store has acknowledged: from now on it must never be gone.
struct Acknowledged {
  EntryId entry;
  Edit edit;                    // as its writer meant it
  bool only_copy_lost = false;  // a backup was restored before anybody else had it
};

struct Node {
  Node(std::size_t number, const TestConference& conference, std::size_t of, std::uint64_t seed,
       TestReplica::Charter charter)
      : index(number),
        replica_number(of),
        replica(conference, of, seed, charter),
        twin(replica.disk()) {
    replica.set_twin(&twin);
  }

  std::size_t index;           // in the world's list
  std::size_t replica_number;  // in the conference's list
  TestReplica replica;
  SimTwin twin;
  bool settled_before = false;  // the twin, when the edit under way began
  Past past;
  std::unique_ptr<sync::InstanceWatch> watch;  // of its process, like the next
  std::optional<sync::Instance> instance;
  std::map<crypto::PublicKey, std::vector<Admitted>> admitted;  // by `watch`, the last ones
  bool up = false;
  bool away = false;        // off until the end
  bool gone = false;        // for good: a clone that was found, a replica that never was listed
  bool is_clone = false;    // runs on a copy of another node's disk
  std::set<EntryId> heard;  // a clone's writes that have reached the others
  std::uint64_t life = 0;   // raised whenever the process ends: what it had under way is void
  std::int64_t skew_ms = 0;
  std::uint32_t format = kFormat;  // of headers that its program understands
  bool had_charter = false;
  std::vector<Acknowledged> acknowledged;
  std::vector<Edit> repeatable;        // edits with an op id that a client may send again
  std::unique_ptr<sync::Chair> chair;  // while it is up; writes receipts once it has the chair
  std::optional<NodeBackup> backup;
  std::set<EntryId> cosigned;  // charter entries that its machine has signed

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

// A phone of one Land: keeps its ops until a replica says that it has them.
struct Device {
  std::size_t member = 0;
  std::vector<Edit> outbox;
  std::size_t node = 0;  // where it sent the first of them last
  bool sent = false;
};

// A change of the charter that somebody proposed.
struct Act {
  enum class Kind : std::uint8_t {
    kHandover,
    kRecovery,
    kAddKey,
    kRemoveKey,
    kRule,
    kErase,
    kTakeIn,
    kTakeOut,
    kForbidden,  // never to be in force
  };
  Kind kind = Kind::kRule;
  std::string text;
};

// A text about a person, which may be erased one day: then nobody holds it in any file.
struct Planted {
  std::string mark;
  EntryId entry;
  std::size_t node = 0;
  AudienceId audience;
  RecordId record;
  bool unseen = false;  // erased by somebody who did not hold it
};

// An erasure that a store has acknowledged.
struct Erased {
  EntryId entry;
  AudienceId audience;
  std::size_t node = 0;
  bool only_copy_lost = false;
};

class Simulation {
 public:
  explicit Simulation(const RunOptions& options);
  RunReport Run();

 private:
  // ---- time and report (world.cc) ----
  struct Event {
    std::uint64_t time = 0;
    std::uint64_t order = 0;
    std::function<void()> action;
    bool operator<(const Event& other) const {
      return std::pair(time, order) > std::pair(other.time, other.order);
    }
  };
  void After(std::uint64_t delay, std::function<void()> action);
  // For a node's process as it is now: void once that has ended.
  void AfterFor(Node& node, std::uint64_t delay, std::function<void()> action);
  void TraceLine(const std::string& text);
  template <typename... Args>
  void Trace(fmt::format_string<Args...> format, Args&&... args) {
    TraceLine(fmt::format(format, std::forward<Args>(args)...));
  }
  template <typename... Args>
  void Failed(fmt::format_string<Args...> format, Args&&... args) {
    if (failure_) return;
    failure_ = fmt::format(format, std::forward<Args>(args)...);
    TraceLine("FAILED " + *failure_);
  }
  template <typename T>
  std::optional<T> Get(const Node& node, Result<T> result) {
    if (result) return std::move(*result);
    Failed("{}: {}", Name(node), result.error().message);
    return std::nullopt;
  }
  [[nodiscard]] bool Has(Part part) const { return !options_.without.contains(part); }
  static std::string Name(const Node& node);
  // A text that nobody outside the audience may ever hold, in any file.
  static std::string MarkOf(const AudienceId& audience);

  // ---- the course of a run (world.cc) ----
  void SetUp();
  Node& AddNode(std::size_t replica, TestReplica::Charter charter);
  void Start(Node& node);
  void StartLoops(Node& node);
  // The process ends, however it came about. What it had open is gone.
  void Stop(Node& node);
  void GoDown(Node& node);
  // To be asked after every error of a store: whether the power went in the middle of it.
  bool Died(Node& node);
  // Whether a disk error is one that we asked for.
  static bool Faulty(Node& node);
  void Excuse(Node& node, const Error& error, std::string_view doing);
  void SetClock(Node& node);
  void Collect(Node& node);
  // The charter as this node sees it; null while it has none.
  static std::shared_ptr<const charter::Authority> AuthorityOf(Node& node);
  [[nodiscard]] std::optional<std::size_t> NodeOfKey(const crypto::PublicKey& key) const;
  // Up, and not a clone.
  [[nodiscard]] std::vector<Node*> UpNodes();
  Node* RandomUp();
  static Node* RandomOf(const std::vector<Node*>& nodes, SimRandom& random);

  // ---- people and their devices (people.cc) ----
  void Edits(Node& node);
  void EditOnce(Node& node);
  // What was written, or had been before; nothing where it was refused.
  std::optional<EntryId> Submit(Node& node, const Edit& edit, bool again);
  void SubmitSeveral(Node& node, const AudienceId& audience);
  static bool IsChairs(Node& node, const Edit& edit);
  static bool ChairMayAct(Node& node);
  bool ChairRefused(Node& node, bool chairs, const Error& error);
  void Acknowledge(Node& node, const EntryId& entry, const Edit& edit);
  std::optional<AudienceId> PickAudience(Node& node, SimRandom& random);
  void Devices();
  void DeviceSends(Device& device);

  // ---- the network (network.cc) ----
  void Sync(Node& node);
  // Whom a node speaks to by the charter it knows: the hub, the relays of its audiences.
  std::vector<std::size_t> PeersOf(Node& node);
  std::unique_ptr<sync::Exchange> MakeExchange(Node& node, std::size_t peer);
  void Ask(Node& node, std::size_t peer);
  bool Blocked(std::size_t a, std::size_t b);
  void SendRequest(Node& from, std::size_t to, std::uint64_t attempt, const Bytes& request);
  void Receive(Node& node, Node::Waiter waiter);
  // A commit, or the end of a wait: whoever waits is answered anew.
  void Wake(Node& node);
  void SendAnswer(Node& node, const Node::Waiter& waiter, const Bytes& answer);
  void TakeAnswer(Node& node, std::size_t peer, const Bytes& answer);
  void Alarm(const Node& node, const sync::DigestDifference& incident);
  // Looks into a message for what its receiver may not see.
  void Inspect(Node& from, Node& to, const Bytes& message);
  // Whether the two may exchange, by the charters of both.
  bool MayExchange(Node& a, Node& b);
  // An exchange without any fault, to its end.
  bool ExchangeNow(Node& node, Node& peer, std::uint64_t& moved);

  // ---- faults and upkeep (faults.cc) ----
  void Upkeep(Node& node);
  Status Cosign(Node& node, std::uint64_t& moved);
  void Fault();
  void Crash(Node& node);
  void CountCut(Unsynced unsynced);
  // Notes which acknowledged edits nobody else has: they are lost with this node's disk.
  void LoseOnlyCopies(const Node& node);
  void GoAway(Node& node);
  // Whether a node holds the entry.
  bool Holds(Node& node, const Acknowledged& known);

  // ---- receipts (receipts.cc) ----
  void Receipts(Node& node);
  // What the chair's thread does now.
  void Receipt(Node& node, std::uint64_t& moved);
  void CheckReceipts(Node& node, const Reading& reading, const Rights& rights,
                     const std::set<EntryId>& valid);

  // ---- erasures (erasures.cc) ----
  void AboutPersons();
  // Writes a text about a person into a note, new or known.
  void Plant(Node& node);
  void EraseSomething(Node& node);
  // The chair repeats or drops erasures beyond a cut.
  void DecideErasures(Node& chair);
  // As LoseOnlyCopies: which erasures are lost with the node's disk.
  void LoseErasures(const Node& node);
  void Wipe(Node& node);
  // Without any fault, to its end.
  void WipeNow(Node& node, std::uint64_t& moved);
  void CheckErasures(Node& node, const Reading& reading, const Rights& rights,
                     const Standings& standings);

  // ---- doubt about the own past, clones (doubts.cc) ----
  // Opens the store as the daemon does at its start, and looks whether it doubts exactly where it
  // must.
  Status OpenNode(Node& node);
  void BackUp(Node& node);
  void RestoreBackup(Node& node);
  void LoseTwin(Node& node);
  void RunClone(Node& node);
  // What a node notes when an exchange has completed, whoever asked.
  Status Exchanged(Node& node);
  // The administrator lets it serve although nobody could be asked.
  Status Trust(Node& node);
  // Whether `node` answers this process of `from`'s.
  Status Admit(Node& node, const Node& from, const sync::Instance& instance);
  static bool InDoubt(Node& node);
  // In the quiet end, when nothing moves any more: somebody is still in doubt. True: a word of the
  // administrator's was needed, and the rest goes on.
  bool SettleDoubts();
  // Clones that still run, beside their originals: both come together with all others, and neither
  // opens journals while nobody writes.
  void ClonesComeTogether();
  static bool IsReached(Node& clone, const AudienceId& audience);
  // Journals of members' acts, of all nodes.
  std::set<JournalId> ActJournals();
  // No journal has two branches whose owner knew, or had to know, that its past was uncertain.
  void CheckForks(Node& node, const std::vector<JournalView>& journals);

  // ---- acts of the charter (charter_acts.cc) ----
  void CharterAct();
  void Approve(Node& node);
  // Makes a child of what is in force at `node`, signed by `signers`, and gives it to the node.
  std::optional<EntryId> Propose(Node& node, const charter::Content& content, Act act,
                                 const std::vector<const crypto::KeyPair*>& signers);
  // As Store::Propose: the change is made of what the node holds, and approved by it.
  std::optional<EntryId> ProposeChange(Node& node, const CharterChange& change, Act act);
  void ProposeHandover(Node& chair, bool racing);
  void ProposeRecovery(Node& node);
  void ProposeKey();
  void ProposeKeyRemoval();
  void ActAlone(Node& chair);
  // Has a quorum append to one of two tied branches. False where that is not possible.
  bool BreakTie(Node& node);
  // A spare replica whose key is in force starts.
  void StartSpares(Node& node);

  // ---- members in and out of groups (audiences.cc) ----
  void AudienceAct();
  // Deletes copies of audiences that the node's member was taken out of, as the daemon does.
  void LeaveAudiences(Node& node, std::uint64_t& moved);
  void CheckLeft(Node& node);

  // ---- two versions (versions.cc) ----
  void SetUpVersions();
  void ChooseVersion(Node& node);
  void ChooseFormat(Node& node);
  void SetVersion(Node& node, std::uint32_t format);
  void Upgrade();
  void UpgradeAll();
  void CheckIncomplete(Node& node, const Reading& reading);

  // ---- patched nodes (forgeries.cc) ----
  void Forge();
  void ForgeVoid(Node& forger, Node& victim);
  void ForgeBroken(Node& forger, Node& victim);
  enum class Beyond : std::uint8_t { kTerm, kErasures, kKey };
  bool ForgeBeyond(Node& victim, Beyond which);
  bool ForgeErasure(Node& victim);
  bool GiveBeyond(Node& victim, const staffel::Run& run);
  // All agree: those beyond a cut go on nevertheless, and the chair decides about their erasures.
  void GoBeyond();

  // ---- the end (checks.cc) ----
  // No more faults: everybody comes together, within a bound.
  void Quiet();
  bool ComeTogether();
  // Nodes that belong to the conference by the charter in force.
  std::vector<Node*> Members();
  void Check();
  void CheckNode(Node& node);
  void CheckEntries(Node& node, const Reading& reading, const Rights& rights,
                    const std::set<EntryId>& valid);
  void CheckAsMeant(const Node& node, const Acknowledged& known, const Entry& entry);
  void CheckHeads(Node& node, const Reading& reading, const Rights& rights,
                  const std::set<EntryId>& valid);
  void CheckAudiences(Node& node);
  void CheckCharter();

  const RunOptions options_;
  // A stream for each concern: what is left out of a run changes as little as possible of the rest.
  SimRandom random_;  // the shape of the run
  SimRandom people_;
  SimRandom network_;
  SimRandom faults_;
  SimRandom acts_;
  SimRandom erasing_;
  SimRandom members_;
  SimRandom versions_;
  const TestConference* conference_ = nullptr;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<Device> devices_;
  std::priority_queue<Event> events_;
  std::uint64_t now_ = 0;
  std::uint64_t order_ = 0;
  std::uint64_t end_ = 0;
  std::uint64_t years_ms_ = 0;  // by which all clocks have gone on at once
  std::uint64_t edit_interval_ = 0;
  std::uint64_t loss_percent_ = 0;
  std::uint64_t repeat_percent_ = 0;
  std::uint64_t delay_max_ = 0;
  sync::SessionLimits limits_;
  std::map<std::pair<std::size_t, std::size_t>, std::uint64_t> blocked_until_;
  std::map<EntryId, Act> acts_proposed_;
  std::vector<Planted> planted_;
  std::uint64_t marks_ = 0;
  std::vector<Erased> erased_;
  // What was shown as received at the last quiet point.
  std::map<std::pair<std::size_t, EntryId>, Reception> received_;
  // Forged, stored everywhere and valid nowhere; and the node that each was given to.
  std::map<EntryId, std::size_t> void_;
  std::set<EntryId> broken_;     // forged: nowhere
  bool disks_put_back_ = false;  // whatever had one holder only may be gone
  // Keys of replicas whose database ran twice, or was put back in a way that nobody can notice.
  std::set<crypto::PublicKey> ran_twice_;
  // Journals that a forger wrote on in, from where its victim held them: their owner may have gone
  // on.
  std::set<JournalId> continued_;
  // Of those a process once could not note itself, for want of space: the next one does not know
  // it.
  std::set<crypto::PublicKey> unnoted_;
  bool watching_ = true;  // nodes refuse a replica that runs twice
  bool mixed_ = false;    // nodes of two versions
  std::uint64_t fresh_keys_ = 0;
  Counts counts_;
  std::optional<std::string> failure_;
  std::uint64_t trace_hash_ = 0xcbf29ce484222325u;
};

}  // namespace staffel::sim
