// SPDX-License-Identifier: EUPL-1.2
#include "sync/hub.h"

#include <atomic>
#include <thread>

#include <catch2/catch.hpp>

#include "sync/http_transport.h"
#include "sync/invitation.h"
#include "tests/sync/node_kit.h"

namespace staffel::testing {
namespace {

using sync::HttpTransport;
using sync::Hub;

std::unique_ptr<HttpTransport> TransportTo(TestNode& hub, TestNode& from) {
  HttpTransport::Options options;
  options.url = hub.url;
  options.identity = from.identity;
  options.pinned_keys = {hub.tls.public_key()};
  return Value(HttpTransport::Create(std::move(options)));
}

// A hub NI with a server, and a member NW that has joined and fetched the charter.
struct Pair {
  Pair() {
    hub.StartServer();
    hub.Found({"NI", "NW", "BY"});
    Join(nw, "NW");
  }
  void Join(TestNode& node, std::string_view member) {
    const auto made = Value(sync::Invite(*hub.store, Land(member), hub.clock, hub.random));
    Ok(sync::StartJoining(*node.store, made.token, "", node.clock));
    node.StartReplicator();
    REQUIRE(Await(*node.commits, [&] { return node.IsMember(); }));
    node.StopReplicator();
  }
  // A request of NW that has nothing to bring.
  Bytes IdleRequest(std::uint32_t wait_ms) {
    sync::Exchange exchange(*nw.store, hub.tls.public_key());
    for (;;) {
      exchange.Begin();
      Bytes request = Value(exchange.NextRequest(wait_ms));
      const auto answer =
          hub.hub->Handle(sync::kExchangePath, nw.tls.public_key(), request, Stopped());
      REQUIRE(answer.status == 200);
      if (exchange.waiting() &&
          Value(exchange.TakeAnswer(answer.body)) == sync::Exchange::State::kAgreed) {
        return request;
      }
      for (;;) {
        const Bytes next = Value(exchange.NextRequest());
        const auto more =
            hub.hub->Handle(sync::kExchangePath, nw.tls.public_key(), next, Stopped());
        if (Value(exchange.TakeAnswer(more.body)) == sync::Exchange::State::kAgreed) break;
      }
    }
  }
  static std::stop_token Stopped() {
    std::stop_source source;
    source.request_stop();
    return source.get_token();
  }
  TestNode hub{"NI"};
  TestNode nw{"NW"};
};

TEST_CASE("a waiting request is answered when the hub has news, and not before") {
  Pair pair;
  const Bytes request = pair.IdleRequest(50'000);
  std::atomic<bool> answered = false;
  sync::HubAnswer answer;
  std::thread waiter([&] {
    answer = pair.hub.hub->Handle(sync::kExchangePath, pair.nw.tls.public_key(), request);
    answered = true;
  });
  REQUIRE(Await(*pair.hub.commits, [&] { return pair.hub.hub->stats().waiting == 1; }));
  // News of an audience that NW does not read wake nobody.
  const auto* own = pair.hub.store->authority()->FindAudienceByName("land:NI");
  Value(pair.hub.store->Apply(NewNote(own->id, pair.hub.random.DrawId<RecordId>(), "intern")));
  REQUIRE(Await(*pair.hub.commits, [&] { return pair.hub.hub->stats().waiting == 1; }));
  REQUIRE(!answered);
  pair.hub.Write("Neuigkeit");
  waiter.join();
  REQUIRE(answer.status == 200);
  const auto message = Value(sync::DecodeMessage(answer.body));
  REQUIRE(!message.summaries.empty());
}

TEST_CASE("a waiting request ends when it is told to stop, and when its time is over") {
  Pair pair;
  SECTION("stopped") {
    const Bytes request = pair.IdleRequest(50'000);
    std::stop_source stop;
    sync::HubAnswer answer;
    std::thread waiter([&] {
      answer = pair.hub.hub->Handle(sync::kExchangePath, pair.nw.tls.public_key(), request,
                                    stop.get_token());
    });
    REQUIRE(Await(*pair.hub.commits, [&] { return pair.hub.hub->stats().waiting == 1; }));
    stop.request_stop();
    waiter.join();
    REQUIRE(answer.status == 200);
  }
  SECTION("over") {
    const Bytes request = pair.IdleRequest(1);
    const auto answer =
        pair.hub.hub->Handle(sync::kExchangePath, pair.nw.tls.public_key(), request);
    REQUIRE(answer.status == 200);
    REQUIRE(pair.hub.hub->stats().waiting == 0);
  }
}

TEST_CASE("one peer cannot hold more than its share of waiting requests") {
  Pair pair;
  const Bytes request = pair.IdleRequest(50'000);
  std::stop_source stop;
  std::vector<std::thread> waiters;
  for (std::size_t i = 0; i < sync::kRequestsPerPeerMax; ++i) {
    waiters.emplace_back([&] {
      (void)pair.hub.hub->Handle(sync::kExchangePath, pair.nw.tls.public_key(), request,
                                 stop.get_token());
    });
  }
  REQUIRE(Await(*pair.hub.commits,
                [&] { return pair.hub.hub->stats().waiting == sync::kRequestsPerPeerMax; }));
  REQUIRE(pair.hub.hub->Handle(sync::kExchangePath, pair.nw.tls.public_key(), request).status ==
          429);
  stop.request_stop();
  for (auto& waiter : waiters) waiter.join();
  REQUIRE(
      pair.hub.hub->Handle(sync::kExchangePath, pair.nw.tls.public_key(), request, Pair::Stopped())
          .status == 200);
}

TEST_CASE("strangers, garbage and wrong paths get a sentence, not an exchange") {
  Pair pair;
  TestNode stranger("XX");
  auto transport = TransportTo(pair.hub, stranger);
  const auto status_of = [&](std::string_view path, ByteView body) {
    return Value(transport->Post(path, {}, body));
  };
  const Bytes request = pair.IdleRequest(1);
  const auto denied = status_of(sync::kExchangePath, request);
  REQUIRE(denied.status == 403);
  REQUIRE(denied.body.find("no member") != Bytes::npos);
  REQUIRE(status_of(sync::kExchangePath, "garbage").status == 400);
  REQUIRE(status_of(sync::kExchangePath, "").status == 400);
  REQUIRE(status_of(sync::kExchangePath, "\x09\x01 from the future").status == 400);
  REQUIRE(status_of("/sync/v1/else", request).status == 404);
  REQUIRE(status_of(sync::kJoinPath, Bytes(1000, '\xff')).status == 400);
  REQUIRE(pair.hub.hub->Handle(sync::kExchangePath, std::nullopt, request).status == 403);
  REQUIRE(pair.hub.hub->stats().refused >= 7);
}

TEST_CASE("a compressed message that would swell beyond the limit is refused before it does") {
  Pair pair;
  sync::Message message;
  message.conference = pair.hub.store->authority()->conference();
  // As large as may be, then a byte of its stated size changed: it must be true to the byte.
  sync::WireRun run;
  run.journal = *JournalId::From(Bytes(32, 'j'));
  run.count = 1;
  run.entries = Bytes(20 << 20, 'x');
  run.signature = Bytes(65, 's');
  message.runs.push_back(run);
  Bytes swollen = sync::EncodeMessage(message);
  REQUIRE(swollen.size() < 100'000);
  REQUIRE(sync::DecodeMessage(swollen));
  const auto answer = pair.hub.hub->Handle(sync::kExchangePath, pair.nw.tls.public_key(), swollen);
  REQUIRE(answer.status == 200);  // read, and the run refused
  REQUIRE(Value(sync::DecodeMessage(answer.body)).problems.size() == 1);
}

TEST_CASE("guessing invitations is cut off after some wrong ones in a minute") {
  Pair pair;
  const auto made =
      Value(sync::Invite(*pair.hub.store, Land("BY"), pair.hub.clock, pair.hub.random));
  TestNode by("BY");
  Ok(sync::StartJoining(*by.store, made.token, "", by.clock));
  sync::JoinKeys keys;
  keys.key = &by.key;
  keys.tls_key = by.tls.public_key();
  const Bytes honest = Value(sync::MakeJoinRequest(*by.store, keys));
  Ok(sync::StopJoining(*by.store));
  auto token = made.token;
  token[token.size() - 40] = token[token.size() - 40] == 'A' ? 'B' : 'A';
  REQUIRE(Value(sync::ReadToken(token)).member == Land("BY"));
  Ok(sync::StartJoining(*by.store, token, "", by.clock));
  const Bytes guess = Value(sync::MakeJoinRequest(*by.store, keys));
  const auto post = [&](const Bytes& body) {
    return pair.hub.hub->Handle(sync::kJoinPath, by.tls.public_key(), body).status;
  };
  for (std::size_t i = 0; i < sync::kJoinFailuresPerMinuteMax; ++i) REQUIRE(post(guess) == 200);
  REQUIRE(post(guess) == 429);
  REQUIRE(post(honest) == 429);
  pair.hub.clock.Advance(60'000);
  REQUIRE(post(honest) == 200);
}

TEST_CASE("a replica that is not the hub answers exchanges, and lets nobody join") {
  Pair pair;
  pair.nw.Write("von NW");
  sync::Exchange exchange(*pair.hub.store, pair.nw.tls.public_key());
  exchange.Begin();
  for (;;) {
    const auto answer = pair.nw.hub->Handle(sync::kExchangePath, pair.hub.tls.public_key(),
                                            Value(exchange.NextRequest()));
    REQUIRE(answer.status == 200);
    if (Value(exchange.TakeAnswer(answer.body)) == sync::Exchange::State::kAgreed) break;
  }
  const auto made =
      Value(sync::Invite(*pair.hub.store, Land("BY"), pair.hub.clock, pair.hub.random));
  TestNode by("BY");
  Ok(sync::StartJoining(*by.store, made.token, "", by.clock));
  sync::JoinKeys keys;
  keys.key = &by.key;
  keys.tls_key = by.tls.public_key();
  const auto answer = pair.nw.hub->Handle(sync::kJoinPath, by.tls.public_key(),
                                          Value(sync::MakeJoinRequest(*by.store, keys)));
  REQUIRE(answer.status == 403);
}

}  // namespace
}  // namespace staffel::testing
