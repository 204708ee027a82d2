// SPDX-License-Identifier: EUPL-1.2
// Whole nodes in one process: a store in a file, a hub behind the real server with mutual TLS on
// loopback, a replicator. Events are awaited, never slept for.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <catch2/catch.hpp>

#include "api/server.h"
#include "core/crypto/certificate.h"
#include "core/crypto/system_random.h"
#include "sync/commit_signal.h"
#include "sync/hub.h"
#include "sync/invitation.h"
#include "sync/replicator.h"
#include "tests/support/http_test_kit.h"
#include "tests/support/sim_random.h"
#include "tests/sync/talk.h"

namespace staffel::testing {

using std::chrono::milliseconds;
inline constexpr milliseconds kNodePatience{60'000};

inline MemberId Land(std::string_view text) { return *MemberId::From(text); }

// Waits until `what` is so, asking whenever the store has changed or a moment has passed.
inline bool Await(sync::CommitSignal& commits, const std::function<bool()>& what) {
  const sync::Patience patience(kNodePatience);
  while (!what()) {
    if (patience.Left() <= milliseconds(0)) return false;
    commits.Wait(commits.revision(), std::min(patience.Left(), milliseconds(20)), {});
  }
  return true;
}

class TestNode {
 public:
  explicit TestNode(std::string named, std::uint64_t start_ms = 1'700'000'000'000)
      : name(std::move(named)),
        key(Value(crypto::KeyPair::Generate())),
        tls(Value(crypto::KeyPair::Generate())) {
    clock.Set(start_ms);
    identity.certificate_pem = Value(crypto::MakeSelfSignedCertificate(tls, name));
    identity.key_pem = tls.ToPem();
    OpenStore();
  }
  ~TestNode() {
    StopReplicator();
    StopServer();
  }

  void OpenStore() {
    store = Value(Store::Open({.path = (directory.path() / "replica.db").string(),
                               .clock = &clock,
                               .random = &random,
                               .key = &key}));
    commits = std::make_unique<sync::CommitSignal>(*store);
    hub = std::make_unique<sync::Hub>(sync::HubOptions{.store = store.get(),
                                                       .key = &key,
                                                       .clock = &clock,
                                                       .random = &random,
                                                       .commits = commits.get(),
                                                       .wait_max = wait_max});
  }
  void CloseStore() {
    StopReplicator();
    StopServer();
    hub.reset();
    commits.reset();
    store.reset();
  }

  // On the same port again after the first time.
  void StartServer() {
    api::ListenerOptions listener;
    listener.port = port;
    listener.tls = api::TlsOptions{identity.certificate_pem, identity.key_pem,
                                   api::ClientCertificates::kRequired};
    server = Value(api::Server::Start(std::move(listener), [this](const api::Request& request) {
      auto answer = hub->Handle(request.path, request.peer_key, request.body, request.closing);
      api::Response response;
      response.status = answer.status;
      response.headers.emplace_back("Content-Type", answer.content_type);
      response.body = std::move(answer.body);
      return response;
    }));
    port = server->port();
    url = fmt::format("https://127.0.0.1:{}", port);
  }
  void StopServer() { server.reset(); }

  void StartReplicator() {
    sync::ReplicatorOptions options;
    options.store = store.get();
    options.key = &key;
    options.identity = identity;
    options.tls_key = tls.public_key();
    options.clock = &clock;
    options.random = &random;
    options.commits = commits.get();
    options.cosign = cosign;
    options.debounce = milliseconds(1);
    options.backoff_first = backoff_first;
    options.backoff_max = milliseconds(60'000);
    options.join_interval = milliseconds(10);
    options.hub_interval = hub_interval;
    replicator = std::make_unique<sync::Replicator>(std::move(options));
    Ok(replicator->Start());
  }
  void StopReplicator() { replicator.reset(); }

  void Found(const std::vector<std::string>& members) {
    charter::FoundingOptions options;
    options.name = "IntMK";
    options.title = "Test";
    for (const auto& member : members) options.members.push_back({Land(member), member, true});
    options.founder = Land(members.front());
    options.replica = {key.public_key(), tls.public_key(), url};
    options.term_starts = clock.Now();
    Value(sync::Found(*store, key, options, clock, random));
  }

  AudienceId laender() {
    return store->authority()->FindAudienceByName(charter::kLaenderAudience)->id;
  }
  RecordId Write(std::string_view title) {
    const auto record = random.DrawId<RecordId>();
    Value(store->Apply(NewNote(laender(), record, title)));
    return record;
  }
  bool Has(const RecordId& record) {
    auto snapshot = store->Read();
    return snapshot && snapshot->GetRecord(record).has_value();
  }
  bool IsMember() { return store->own_member().has_value(); }

  std::string name;
  test::TestDirectory directory;
  SimClock clock;
  crypto::SystemRandom random;
  crypto::KeyPair key;
  crypto::KeyPair tls;
  sync::TlsIdentity identity;
  milliseconds wait_max = sync::kWaitMax;
  milliseconds backoff_first{5};
  milliseconds hub_interval{3'600'000};
  bool cosign = true;
  std::unique_ptr<Store> store;
  std::unique_ptr<sync::CommitSignal> commits;
  std::unique_ptr<sync::Hub> hub;
  std::uint16_t port = 0;
  std::string url;
  std::unique_ptr<api::Server> server;
  std::unique_ptr<sync::Replicator> replicator;
};

}  // namespace staffel::testing
