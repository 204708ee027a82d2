// SPDX-License-Identifier: EUPL-1.2
#include "sync/replicator.h"

#include <mutex>

#include <catch2/catch.hpp>

#include "sync/handover.h"
#include "sync/invitation.h"
#include "tests/sync/node_kit.h"

namespace staffel::testing {
namespace {

using Phase = sync::ReplicatorStatus::Phase;

struct Conference {
  Conference() {
    hub.StartServer();
    hub.Found({"NI", "NW", "BY", "HE"});
    hub.StartReplicator();
  }
  void Invite(TestNode& node, std::string_view member, std::string_view url = "") {
    const auto made = Value(sync::Invite(*hub.store, Land(member), hub.clock, hub.random));
    Ok(sync::StartJoining(*node.store, made.token, url, node.clock));
  }
  // Joins and waits until it is a member; `approver` signs where a quorum is needed.
  void Join(TestNode& node, std::string_view member, TestNode* approver = nullptr,
            std::string_view url = "") {
    Invite(node, member, url);
    node.StartReplicator();
    if (approver != nullptr) {
      REQUIRE(Await(*approver->commits, [&] {
        return sync::Approve(*approver->store, approver->key, member).has_value();
      }));
    }
    REQUIRE(Await(*node.commits, [&] { return node.IsMember(); }));
    Ok(node.replicator->SyncNow(kNodePatience));
  }
  TestNode hub{"NI"};
  TestNode nw{"NW"};
  TestNode by{"BY"};
};

Phase PhaseOf(TestNode& node) { return node.replicator->status().phase; }

bool AwaitPhase(TestNode& node, Phase phase) {
  return Await(*node.commits, [&] { return PhaseOf(node) == phase; });
}

TEST_CASE("a node joins by invitation, and an edit anywhere arrives everywhere by itself") {
  Conference conference;
  REQUIRE(AwaitPhase(conference.hub, Phase::kIsHub));
  Ok(conference.hub.replicator->SyncNow(kNodePatience));
  conference.Join(conference.nw, "NW");
  conference.Join(conference.by, "BY", &conference.nw);
  for (TestNode* writer : {&conference.nw, &conference.hub, &conference.by}) {
    const auto record = writer->Write("von " + writer->name);
    for (TestNode* reader : {&conference.hub, &conference.nw, &conference.by}) {
      REQUIRE(Await(*reader->commits, [&] { return reader->Has(record); }));
    }
  }
  REQUIRE(AwaitPhase(conference.nw, Phase::kInStep));
  const auto status = conference.nw.replicator->status();
  REQUIRE(status.last_error.empty());
  REQUIRE(status.last_success.value > 0);
  REQUIRE(status.peer.find("NI") == 0);
  REQUIRE(status.incidents.empty());
  REQUIRE(status.problems.empty());
  // Everybody has signed as seen what is in force, without being told to.
  REQUIRE(Await(*conference.hub.commits, [&] {
    const auto tree = conference.hub.store->charter();
    return tree->SignersOf(tree->InForce().entry, charter::CharterSignature::Kind::kSeen).size() >=
           2;
  }));
}

TEST_CASE("while the hub is away edits wait and are counted, and afterwards they arrive") {
  Conference conference;
  conference.nw.backoff_first = milliseconds(1);
  conference.Join(conference.nw, "NW");
  REQUIRE(AwaitPhase(conference.nw, Phase::kInStep));
  REQUIRE(conference.nw.replicator->status().own_entries_pending == 0u);
  conference.hub.StopServer();
  const auto record = conference.nw.Write("ohne Netz");
  REQUIRE(Await(*conference.nw.commits,
                [&] { return conference.nw.replicator->status().failures >= 3; }));
  auto status = conference.nw.replicator->status();
  REQUIRE(!status.last_error.empty());
  REQUIRE(status.own_entries_pending.value() >= 1);
  const Status now = conference.nw.replicator->SyncNow(kNodePatience);
  REQUIRE(!now);
  REQUIRE(now.error().code == ErrorCode::kUnavailable);

  SECTION("also when the node is started again meanwhile") {
    conference.nw.CloseStore();
    conference.nw.OpenStore();
    conference.nw.StartReplicator();
    REQUIRE(conference.nw.replicator->status().own_entries_pending.value() >= 1);
  }
  conference.hub.StartServer();
  REQUIRE(Await(*conference.hub.commits, [&] { return conference.hub.Has(record); }));
  REQUIRE(Await(*conference.nw.commits, [&] {
    const auto s = conference.nw.replicator->status();
    return s.own_entries_pending == 0u && s.last_error.empty() && s.failures == 0;
  }));
}

TEST_CASE("the pause after failures doubles up to its limit, and is never the same for all") {
  constexpr milliseconds kFirst(1'000), kMost(60'000);
  milliseconds whole = kFirst;
  for (std::uint64_t failures = 1; failures < 80; ++failures) {
    std::set<milliseconds> pauses;
    for (std::uint64_t draw = 0; draw < 1'000; ++draw) {
      const milliseconds pause = sync::PauseAfter(failures, kFirst, kMost, draw * 7'919);
      REQUIRE(pause >= whole / 2);
      REQUIRE(pause <= whole);
      pauses.insert(pause);
    }
    REQUIRE(pauses.size() > 100);
    whole = std::min(whole * 2, kMost);
  }
  REQUIRE(sync::PauseAfter(1, milliseconds(0), kMost, 5) == milliseconds(1));  // never none at all
}

TEST_CASE("the pause after failures has an end that people can see") {
  TestNode nw("NW");
  nw.backoff_first = milliseconds(30'000);
  Conference conference;
  conference.Invite(nw, "NW");
  conference.hub.StopServer();
  nw.StartReplicator();
  REQUIRE(Await(*nw.commits, [&] { return nw.replicator->status().failures == 1; }));
  REQUIRE(Await(*nw.commits, [&] { return nw.replicator->status().phase == Phase::kJoining; }));
  for (std::uint64_t failures = 2; failures < 5; ++failures) {
    REQUIRE(!nw.replicator->SyncNow(kNodePatience));  // does not wait for the pause to end
    REQUIRE(nw.replicator->status().failures == failures);
    REQUIRE(Await(*nw.commits, [&] {
      const auto status = nw.replicator->status();
      return status.next_attempt.value > nw.clock.Now().value && !status.last_error.empty();
    }));
  }
  nw.StopReplicator();  // and stopping does not, either
}

TEST_CASE("while the hub is away two others with addresses exchange with each other") {
  Conference conference;
  conference.nw.StartServer();
  conference.Join(conference.nw, "NW", nullptr, conference.nw.url);
  conference.Join(conference.by, "BY", &conference.nw);
  REQUIRE(Await(*conference.by.commits, [&] {
    return conference.by.store->charter()->SummaryHash() ==
           conference.nw.store->charter()->SummaryHash();
  }));
  conference.hub.StopServer();
  const auto record = conference.by.Write("am Vorsitz vorbei");
  REQUIRE(Await(*conference.nw.commits, [&] { return conference.nw.Has(record); }));
  const auto status = conference.by.replicator->status();
  REQUIRE(!status.last_error.empty());  // the hub's absence is not hidden
}

// NW and BY join, and can be reached.
void MeetReachably(Conference& conference) {
  conference.nw.StartServer();
  conference.by.StartServer();
  conference.Join(conference.nw, "NW", nullptr, conference.nw.url);
  conference.Join(conference.by, "BY", &conference.nw, conference.by.url);
  REQUIRE(Await(*conference.hub.commits,
                [&] { return conference.hub.store->charter()->InForce().settled; }));
}

bool HasChair(TestNode& node, std::string_view land) {
  return node.store->authority()->chair() == Land(land);
}

// The two make BY the hub, without NI.
void Recover(Conference& conference) {
  TestNode& by = conference.by;
  TestNode& nw = conference.nw;
  const auto entry = Value(sync::RecoverChair(*by.store, by.key, {.member = Land("BY")}, by.clock));
  REQUIRE(Await(*nw.commits, [&] {
    return sync::CheckHandover(*nw.store, nw.key, entry) &&
           sync::Approve(*nw.store, nw.key, entry.Hex()).has_value();
  }));
  for (TestNode* node : {&by, &nw}) {
    REQUIRE(Await(*node->commits, [&] { return HasChair(*node, "BY"); }));
  }
}

TEST_CASE(
    "a hub that was replaced while it was away learns it at its start, and its work arrives") {
  Conference conference;
  MeetReachably(conference);
  conference.hub.StopServer();
  conference.hub.StopReplicator();
  Recover(conference);
  const auto record = conference.hub.Write("beim alten Hub");
  REQUIRE(HasChair(conference.hub, "NI"));
  conference.hub.StartServer();
  conference.hub.StartReplicator();
  REQUIRE(Await(*conference.hub.commits, [&] { return HasChair(conference.hub, "BY"); }));
  REQUIRE(Await(*conference.by.commits, [&] { return conference.by.Has(record); }));
  REQUIRE(AwaitPhase(conference.hub, Phase::kInStep));
}

TEST_CASE("a hub that nobody could reach learns from those it calls that it was replaced") {
  Conference conference;
  conference.hub.hub_interval = milliseconds(20);
  conference.hub.StopReplicator();
  conference.hub.StartReplicator();
  MeetReachably(conference);
  conference.hub.StopServer();
  Recover(conference);
  REQUIRE(Await(*conference.hub.commits, [&] { return HasChair(conference.hub, "BY"); }));
}

TEST_CASE("a hub that is told to exchange says whom it called") {
  Conference conference;
  sync::Replicator& hub = *conference.hub.replicator;
  conference.nw.StartServer();
  Ok(hub.SyncNow(kNodePatience));  // nobody else is there
  REQUIRE(hub.status().called.empty());
  conference.Join(conference.nw, "NW", nullptr, conference.nw.url);
  REQUIRE(Await(*conference.hub.commits,
                [&] { return conference.hub.store->charter()->InForce().settled; }));
  conference.nw.StopReplicator();
  const auto record = conference.nw.Write("wird geholt");
  Ok(hub.SyncNow(kNodePatience));
  REQUIRE(conference.hub.Has(record));
  REQUIRE(hub.status().called == std::vector{"NW (" + conference.nw.url + ")"});
  REQUIRE(hub.status().phase == Phase::kIsHub);
  conference.nw.StopServer();
  const Status nobody = hub.SyncNow(kNodePatience);
  REQUIRE(!nobody);
  REQUIRE(nobody.error().code == ErrorCode::kNotFound);
  REQUIRE(hub.status().called.empty());
  REQUIRE(hub.status().last_error.empty());  // that others are away is no error of the hub's
}

TEST_CASE("a hub with another key than the charter's is not spoken to") {
  Conference conference;
  conference.Join(conference.nw, "NW");
  conference.hub.StopServer();
  TestNode impostor("NI");
  impostor.port = conference.hub.port;
  impostor.StartServer();
  const Status denied = conference.nw.replicator->SyncNow(kNodePatience);
  REQUIRE(!denied);
  REQUIRE(denied.error().code == ErrorCode::kDenied);
  REQUIRE(impostor.hub->stats().exchanges == 0);
}

TEST_CASE("a refused invitation is said, and not asked for again") {
  Conference conference;
  conference.Invite(conference.nw, "NW");
  const auto id =
      Value(sync::ListInvitations(*conference.hub.store, conference.hub.clock)).front().id;
  Value(sync::RevokeInvitation(*conference.hub.store, id, conference.hub.clock));
  conference.nw.StartReplicator();
  REQUIRE(Await(*conference.nw.commits, [&] {
    const auto joining = Value(sync::Joining(*conference.nw.store));
    return joining && !joining->refused.empty();
  }));
  const Status again = conference.nw.replicator->SyncNow(kNodePatience);
  REQUIRE(!again);
  REQUIRE(again.error().code == ErrorCode::kDenied);
  REQUIRE(conference.hub.hub->stats().joins == 1);
  // Another invitation works, without a restart.
  conference.Invite(conference.nw, "NW");
  conference.nw.replicator->Wake();
  REQUIRE(Await(*conference.nw.commits, [&] { return conference.nw.IsMember(); }));
}

TEST_CASE("a node without a conference says so, and begins when somebody joins") {
  Conference conference;
  conference.nw.StartReplicator();
  REQUIRE(AwaitPhase(conference.nw, Phase::kAlone));
  const Status nobody = conference.nw.replicator->SyncNow(kNodePatience);
  REQUIRE(!nobody);
  REQUIRE(nobody.error().code == ErrorCode::kNotFound);
  conference.Invite(conference.nw, "NW");
  REQUIRE(Await(*conference.nw.commits, [&] { return conference.nw.IsMember(); }));
}

TEST_CASE("a peer that answers garbage is an error to show, and nothing else") {
  Conference conference;
  conference.Join(conference.nw, "NW");
  conference.hub.StopServer();
  api::ListenerOptions listener;
  listener.port = conference.hub.port;
  listener.tls =
      api::TlsOptions{conference.hub.identity.certificate_pem, conference.hub.identity.key_pem,
                      api::ClientCertificates::kRequired};
  const int status = GENERATE(200, 500);
  auto server = Value(api::Server::Start(std::move(listener), [&](const api::Request&) {
    return api::Response{status, {{"Content-Type", "text/plain"}}, "\x01 nonsense \n\x1b[31m"};
  }));
  const Status nonsense = conference.nw.replicator->SyncNow(kNodePatience);
  REQUIRE(!nonsense);
  for (const char c : nonsense.error().message) REQUIRE(static_cast<unsigned char>(c) >= 0x20);
  server->Stop();
  conference.hub.StartServer();
  Ok(conference.nw.replicator->SyncNow(kNodePatience));
}

TEST_CASE("an identity that cannot be used is refused at the start") {
  TestNode node("NI");
  sync::ReplicatorOptions options;
  options.store = node.store.get();
  options.key = &node.key;
  options.tls_key = node.tls.public_key();
  options.identity = {"no certificate", "no key"};
  options.clock = &node.clock;
  options.random = &node.random;
  options.commits = node.commits.get();
  sync::Replicator replicator(std::move(options));
  REQUIRE(!replicator.Start());
}

}  // namespace
}  // namespace staffel::testing
