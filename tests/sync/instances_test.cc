// SPDX-License-Identifier: EUPL-1.2
// One replica that runs twice, by its ids alone, and by real stores over the hub.
#include "sync/instances.h"

#include <catch2/catch.hpp>

#include "sync/hub.h"
#include "tests/support/conference.h"
#include "tests/support/memory_twin.h"

namespace staffel::sync {
namespace {

using testing::ConferenceOf;
using testing::NewNote;
using testing::SimRandom;
using testing::TestReplica;

Nonce Id(std::uint64_t number) { return SimRandom(number).DrawId<Nonce>(); }
const crypto::PublicKey& Peer() { return ConferenceOf(2).member(1).tls.public_key(); }

TEST_CASE("a process that follows another on the same database is taken at once") {
  InstanceWatch watch;
  const TimeMs now{1'000'000'000};
  CHECK(watch.Admit(Peer(), {Id(1), {}}, now).admitted);
  CHECK(watch.Admit(Peer(), {Id(2), {Id(1)}}, now).admitted);
  // Three starts without an exchange in between.
  CHECK(watch.Admit(Peer(), {Id(5), {Id(4), Id(3), Id(2)}}, now).admitted);
  const auto again = watch.Admit(Peer(), {Id(5), {}}, now);
  CHECK(again.admitted);
  CHECK_FALSE(again.discovered);
}

TEST_CASE("a copy made before its original was started again is refused") {
  InstanceWatch watch;
  const TimeMs now{1'000'000'000};
  CHECK(watch.Admit(Peer(), {Id(2), {Id(1)}}, now).admitted);
  const auto copy = watch.Admit(Peer(), {Id(3), {Id(1)}}, now);
  CHECK_FALSE(copy.admitted);
  CHECK(copy.discovered);
  CHECK_FALSE(watch.Admit(Peer(), {Id(3), {Id(1)}}, now).discovered);
  CHECK(watch.Admit(Peer(), {Id(2), {}}, now).admitted);
}

TEST_CASE("a copy made of a running node is refused as soon as the original asks again") {
  InstanceWatch watch;
  const TimeMs now{1'000'000'000};
  CHECK(watch.Admit(Peer(), {Id(1), {}}, now).admitted);
  CHECK(watch.Admit(Peer(), {Id(2), {Id(1)}}, now).admitted);  // looks like a start
  const auto original = watch.Admit(Peer(), {Id(1), {}}, now);
  CHECK(original.admitted);
  CHECK(original.discovered);
  CHECK_FALSE(watch.Admit(Peer(), {Id(2), {Id(1)}}, now).admitted);
  CHECK(watch.Admit(Peer(), {Id(1), {}}, now).admitted);
}

TEST_CASE("a restored node is taken at once, and refused where its original still runs") {
  InstanceWatch watch;
  const TimeMs now{1'000'000'000};
  CHECK(watch.Admit(Peer(), {Id(2), {Id(1)}}, now).admitted);
  CHECK(watch.Admit(Peer(), {Id(3), {}, /*restored=*/true}, now).admitted);
  CHECK(watch.Admit(Peer(), {Id(3), {}}, now).admitted);
  CHECK(watch.Admit(Peer(), {Id(2), {}}, now).discovered);
  CHECK_FALSE(watch.Admit(Peer(), {Id(3), {}, /*restored=*/true}, now).admitted);
}

TEST_CASE("the one that is left is taken after the lease, and another replica never matters") {
  InstanceWatch watch;
  TimeMs now{1'000'000'000};
  CHECK(watch.Admit(Peer(), {Id(1), {}}, now).admitted);
  CHECK_FALSE(watch.Admit(Peer(), {Id(9), {}}, now).admitted);
  CHECK(watch.Admit(ConferenceOf(2).member(0).tls.public_key(), {Id(9), {}}, now).admitted);
  now.value += kInstanceLease.count();
  CHECK(watch.Admit(Peer(), {Id(9), {}}, now).admitted);
  CHECK_FALSE(watch.Admit(Peer(), {Id(1), {}}, now).admitted);
}

TEST_CASE("who was refused is taken once the other has been silent beside it, and only then") {
  InstanceWatch watch;
  TimeMs now{1'000'000'000};
  CHECK(watch.Admit(Peer(), {Id(1), {}}, now).admitted);
  CHECK(watch.Admit(Peer(), {Id(9), {}}, now).discovered);
  // The first one runs: each sign of it counts anew.
  now.value += kInstanceSilence.count() - 1;
  CHECK_FALSE(watch.Admit(Peer(), {Id(9), {}}, now).admitted);
  CHECK(watch.Admit(Peer(), {Id(1), {}}, now).admitted);
  now.value += 1;
  CHECK_FALSE(watch.Admit(Peer(), {Id(9), {}}, now).admitted);
  now.value += kInstanceSilence.count();
  CHECK(watch.Admit(Peer(), {Id(9), {}}, now).admitted);
  CHECK(watch.Admit(Peer(), {Id(9), {}}, now).admitted);
  // It had only been out of reach: it goes on, and the other is the second one again.
  CHECK(watch.Admit(Peer(), {Id(1), {}}, now).discovered);
  CHECK_FALSE(watch.Admit(Peer(), {Id(9), {}}, now).admitted);
  CHECK(watch.Admit(Peer(), {Id(1), {}}, now).admitted);
}

TEST_CASE("a restored node says so at its later starts, too, as long as anybody may remember") {
  testing::MemoryTwin twin;
  TestReplica replica(ConferenceOf(2), 1);
  replica.set_twin(&twin);
  REQUIRE(replica.Open());
  InstanceWatch elsewhere;
  const auto start = [&] {
    return *BeginInstance(replica.store(), replica.random(), replica.clock().Now());
  };
  const auto copy = [&] {
    replica.Close();
    auto image = replica.disk().Save();
    REQUIRE(replica.Open());
    return image;
  }();
  CHECK(elsewhere.Admit(Peer(), start(), replica.clock().Now()).admitted);
  replica.Close();
  replica.disk().Load(copy);
  REQUIRE(replica.Open());
  CHECK(start().restored);
  REQUIRE(replica.store().EndDoubt(DoubtEnd::kExchanged));  // with a third node
  replica.Close();
  REQUIRE(replica.Open());
  CHECK(elsewhere.Admit(Peer(), start(), replica.clock().Now()).admitted);
  replica.clock().Advance(kInstanceLease.count());
  CHECK_FALSE(start().restored);
}

TEST_CASE("each start notes its id before it is said, and knows those before it") {
  TestReplica replica(ConferenceOf(2), 1);
  REQUIRE(replica.Open());
  std::vector<Nonce> ids;
  for (int start = 0; start < 20; ++start) {
    const auto instance = BeginInstance(replica.store(), replica.random(), TimeMs{});
    REQUIRE(instance);
    REQUIRE(instance->before.size() == std::min<std::size_t>(ids.size(), kInstancesBeforeMax));
    if (!ids.empty()) CHECK(instance->before.front() == ids.back());
    ids.push_back(instance->id);
  }
}

struct Pair {
  // Runs an exchange of `store` with the hub to its end; the last status.
  int Converse(Store& store, const Instance& instance) {
    ExchangeOptions options;
    options.instance = instance;
    Exchange exchange(store, conference.member(0).tls.public_key(), options);
    exchange.Begin();
    for (int round = 0; round < 50; ++round) {
      const auto request = exchange.NextRequest();
      REQUIRE(request);
      const auto answer = hub->Handle(kExchangePath, Peer(), *request);
      if (answer.status != 200) {
        said = answer.body;
        return answer.status;
      }
      const auto state = exchange.TakeAnswer(answer.body);
      REQUIRE(state);
      if (*state == Exchange::State::kAgreed) return 200;
    }
    return 0;
  }
  Pair() {
    REQUIRE(server.Open());
    commits = std::make_unique<CommitSignal>(server.store());
    HubOptions options;
    options.store = &server.store();
    options.key = &server.self().key;
    options.clock = &server.clock();
    options.random = &server.random();
    options.commits = commits.get();
    options.cosign = false;
    options.on_second_instance = [this](const MemberId& member) {
      reported.emplace_back(member.text());
    };
    hub = std::make_unique<Hub>(options);
  }
  const testing::TestConference& conference = ConferenceOf(2);
  TestReplica server{conference, 0};
  std::unique_ptr<CommitSignal> commits;
  std::unique_ptr<Hub> hub;
  std::vector<std::string> reported;
  std::string said;
};

// core-traces.md, "Exchange", 10, and "Doubt", 15.
TEST_CASE("two clones: the second is refused and told why, both sides' entries are kept at last") {
  Pair pair;
  const AudienceId laender = pair.conference.laender();
  TestReplica original(pair.conference, 1);
  REQUIRE(original.Open());
  REQUIRE(original.store().Apply(NewNote(laender, original.random().DrawId<RecordId>(), "vorher")));
  const auto first = *BeginInstance(original.store(), original.random(), TimeMs{});
  CHECK(pair.Converse(original.store(), first) == 200);

  TestReplica clone(pair.conference, 1, /*seed=*/7);
  original.Close();
  clone.disk().Load(original.disk().Save());
  REQUIRE(original.Open());
  REQUIRE(clone.Open());
  const auto second = *BeginInstance(clone.store(), clone.random(), TimeMs{});
  REQUIRE(original.store().Apply(NewNote(laender, original.random().DrawId<RecordId>(), "hier")));
  REQUIRE(clone.store().Apply(NewNote(laender, clone.random().DrawId<RecordId>(), "dort")));
  CHECK(pair.Converse(clone.store(), second) == 200);  // taken for a start
  CHECK(pair.Converse(original.store(), first) == 200);
  CHECK(pair.reported == std::vector<std::string>{"NW"});
  CHECK(pair.Converse(clone.store(), second) == 409);
  CHECK(pair.said.find("runs twice") != std::string::npos);
  CHECK(pair.reported.size() == 1);

  // Both idle, over and over: nobody opens journals for that.
  const auto journals = [&](TestReplica& replica) {
    auto snapshot = replica.store().Read();
    return snapshot->Journals()->size();
  };
  const auto before = journals(original);
  for (int round = 0; round < 8; ++round) {
    pair.server.clock().Advance(kInstanceLease.count());
    CHECK(pair.Converse(round % 2 == 0 ? clone.store() : original.store(),
                        round % 2 == 0 ? second : first) == 200);
  }
  CHECK(journals(original) == before);
  CHECK(journals(clone) == before);
  // The fork is kept whole on all sides, and both heads are named.
  const auto text = *testing::Describe(pair.server.store(), laender);
  CHECK(pair.server.store().Read()->Counts()->records == 3);
  const auto incidents = *pair.server.store().Incidents(0, 10);
  REQUIRE(incidents.size() == 1);
  CHECK(incidents.front().kind == "fork");
  CHECK(incidents.front().text.find(" and ") != std::string::npos);
  CHECK(*testing::Describe(clone.store(), laender) == text);
  CHECK(*testing::Describe(original.store(), laender) == text);
}

TEST_CASE("a replica in doubt answers nobody, and its hub says why") {
  Pair pair;
  TestReplica peer(pair.conference, 1);
  REQUIRE(peer.Open());
  // As after a restore: the hub's store is told so by its twin, tested in core/store.
  class Missing final : public Twin {
   public:
    Result<std::optional<Bytes>> Load() override { return std::optional<Bytes>(); }
    Status Save(ByteView) override { return {}; }
  } twin;
  pair.hub.reset();
  pair.commits.reset();
  pair.server.Close();
  pair.server.set_twin(&twin);
  REQUIRE(pair.server.Open());
  REQUIRE(pair.server.store().doubt().in_doubt);
  CommitSignal commits(pair.server.store());
  HubOptions options;
  options.store = &pair.server.store();
  options.key = &pair.server.self().key;
  options.clock = &pair.server.clock();
  options.random = &pair.server.random();
  options.commits = &commits;
  Hub hub(options);
  for (const auto path : {kExchangePath, kJoinPath}) {
    const auto answer = hub.Handle(path, Peer(), Bytes("anything"));
    CHECK(answer.status == 503);
    CHECK(answer.body.find("in doubt about its own past") != std::string::npos);
  }
  REQUIRE(pair.server.store().EndDoubt(DoubtEnd::kTrusted));
  CHECK(pair.server.store().doubt().cosigning_waits);
  Exchange exchange(peer.store(), pair.conference.member(0).tls.public_key());
  exchange.Begin();
  for (bool agreed = false; !agreed;) {
    const auto answer = hub.Handle(kExchangePath, Peer(), *exchange.NextRequest());
    REQUIRE(answer.status == 200);
    agreed = *exchange.TakeAnswer(answer.body) == Exchange::State::kAgreed;
  }
  CHECK_FALSE(pair.server.store().doubt().cosigning_waits);
}

}  // namespace
}  // namespace staffel::sync
