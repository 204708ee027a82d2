// SPDX-License-Identifier: EUPL-1.2
// The hub's receipting over the real exchange: what becomes due when, and that it comes to rest.
#include "sync/chair.h"

#include <stop_token>

#include <catch2/catch.hpp>

#include "tests/sync/talk.h"

namespace staffel::testing {
namespace {

using std::chrono::milliseconds;

const TestConference& Three() { return ConferenceOf(3); }

struct Member : TestReplica {
  explicit Member(std::size_t member, const TestConference& conference = Three())
      : TestReplica(conference, member) {
    Ok(Open());
  }
  ReceiptGap Gap() {
    Snapshot snapshot = Value(store().Read());
    for (const ReceiptGap& gap : Value(snapshot.ReceiptGaps())) {
      if (gap.audience == conference().laender()) return gap;
    }
    FAIL("not a reader");
    return {};
  }
};

struct Hub : Member {
  explicit Hub(const TestConference& conference = Three()) : Member(0, conference) {}
  sync::Chair chair{{.store = &store(), .key = &self().key, .clock = &clock()}};
  std::size_t Work() { return Value(chair.Work()).receipts.size(); }
};

// A node's whole exchange with the hub, as the daemons have it: an agreement, and then the request
// that waits and shows that both hold the same.
void Exchange(TestReplica& asker, Hub& hub) {
  TalkOptions options;
  options.on_reply = [&](const sync::Responder::Reply& reply) {
    hub.chair.PeerHolds(asker.self().tls.public_key(), reply.peer_holds);
  };
  Talk talk(asker, hub, options);
  Ok(talk.Run());
  Ok(talk.Run());
}

TEST_CASE("what a member wrote is receipted after its exchange, and the receipt comes back") {
  Hub hub;
  Member nw(1);
  WriteNotes(nw, 3);
  CHECK(nw.Gap().own == 3);
  Exchange(nw, hub);
  CHECK(hub.Work() == 1);
  Exchange(nw, hub);
  CHECK(nw.Gap().own == 0);
  CHECK(nw.Gap().all == 0);
}

TEST_CASE("at most one receipt a second and audience, and the rest is due after the pause") {
  Hub hub;
  Member nw(1);
  WriteNotes(nw, 1);
  Exchange(nw, hub);
  REQUIRE(hub.Work() == 1);
  WriteNotes(nw, 1);
  Exchange(nw, hub);
  const auto early = Value(hub.chair.Work());
  CHECK(early.receipts.empty());
  CHECK(early.again == sync::kReceiptPause);
  hub.clock().Advance(999);
  CHECK(Value(hub.chair.Work()).again == milliseconds(1));
  hub.clock().Advance(1);
  CHECK(hub.Work() == 1);
  CHECK(hub.Gap().all == 0);
}

TEST_CASE("a hub receipts nothing while no other clock bears out its own") {
  Hub hub;
  Member nw(1);
  sync::ClockWatch clocks(hub.clock());
  sync::Chair chair(
      {.store = &hub.store(), .key = &hub.self().key, .clock = &hub.clock(), .clocks = &clocks});
  WriteNotes(nw, 1);
  Exchange(nw, hub);
  const auto held = [&] {
    const auto worked = Value(chair.Work());
    // Nothing is committed when a clock is heard.
    CHECK(worked.again);
    return worked.receipts.empty();
  };
  CHECK(held());
  const TimeMs year_behind{hub.clock().now_ms() - 365ull * 86'400'000};
  clocks.Heard(nw.self().tls.public_key(), false, year_behind, {});
  CHECK(held());
  clocks.Heard(Three().member(2).tls.public_key(), false, TimeMs{hub.clock().now_ms()}, {});
  CHECK(Value(chair.Work()).receipts.size() == 1);
}

TEST_CASE("a clock put back does not hold receipts up") {
  Hub hub;
  Member nw(1);
  WriteNotes(nw, 1);
  Exchange(nw, hub);
  REQUIRE(hub.Work() == 1);
  hub.clock().Set(hub.clock().now_ms() - 86'400'000);
  WriteNotes(nw, 1);
  Exchange(nw, hub);
  CHECK(hub.Work() == 1);
}

TEST_CASE("the hub's own change is received when a peer has shown that it holds it") {
  Hub hub;
  Member nw(1);
  WriteNotes(hub, 1);
  CHECK(hub.Work() == 0);
  CHECK(hub.Gap().own == 1);
  // An exchange whose last answer brings the change: only the next request shows that it came.
  TalkOptions options;
  options.on_reply = [&](const sync::Responder::Reply& reply) {
    hub.chair.PeerHolds(nw.self().tls.public_key(), reply.peer_holds);
  };
  Talk talk(nw, hub, options);
  Ok(talk.Run());
  CHECK(hub.Work() == 0);
  Ok(talk.Run());
  CHECK(hub.Work() == 1);
  CHECK(hub.Gap().own == 0);
}

TEST_CASE("a peer that was put back to an earlier state holds what it shows now") {
  Hub hub;
  Member nw(1);
  WriteNotes(hub, 1);
  Exchange(nw, hub);
  REQUIRE(hub.Gap().own == 1);
  // Before the receipt is due, NW's disk is lost: it begins anew, and shows so.
  hub.chair.PeerHolds(nw.self().tls.public_key(), {{hub.conference().laender(), {}}});
  CHECK(hub.Work() == 0);
  CHECK(hub.Gap().own == 1);
}

TEST_CASE("where nothing more is written, hub and members come to rest") {
  Hub hub;
  Member nw(1);
  Member by(2);
  WriteNotes(hub, 2);
  WriteNotes(nw, 2);
  WriteNotes(by, 2);
  std::size_t receipts = 0;
  std::size_t last = 0;
  for (std::size_t round = 1; round <= 20; ++round) {
    Exchange(nw, hub);
    Exchange(by, hub);
    hub.clock().Advance(1'000);
    const std::size_t written = hub.Work();
    receipts += written;
    if (written > 0) last = round;
  }
  CHECK(receipts <= 4);
  CHECK(last <= 4);
  CHECK(hub.Gap().all == 0);
  CHECK(nw.Gap().all == 0);
  CHECK(by.Gap().all == 0);
  // Nothing to wait for but news.
  CHECK_FALSE(Value(hub.chair.Work()).again);
  RequireSame(hub, nw, hub.conference().laender());
}

TEST_CASE("a member's node writes no receipts") {
  Hub hub;
  Member nw(1);
  WriteNotes(hub, 1);
  Exchange(nw, hub);
  sync::Chair chair({.store = &nw.store(), .key = &nw.self().key, .clock = &nw.clock()});
  const std::uint64_t revision = nw.store().revision();
  CHECK(Value(chair.Work()).receipts.empty());
  CHECK_FALSE(Value(chair.Work()).again);
  CHECK(nw.store().revision() == revision);
}

TEST_CASE("waiting ends with a commit, with a peer's news, and when asked to stop") {
  Hub hub;
  Member nw(1);
  CHECK(hub.Work() == 0);
  WriteNotes(hub, 1);
  hub.chair.Wait(std::chrono::hours(1), {});  // a commit has come
  CHECK(hub.Work() == 0);
  Ok(Talk(nw, hub).Run());
  const auto vector = Value(Value(nw.store().Read()).Vector(nw.conference().laender()));
  hub.chair.PeerHolds(nw.self().tls.public_key(), {{nw.conference().laender(), vector}});
  hub.chair.Wait(std::chrono::hours(1), {});
  CHECK(hub.Work() == 1);
  CHECK(hub.Work() == 0);
  std::stop_source stop;
  stop.request_stop();
  hub.chair.Wait(std::chrono::hours(1), stop.get_token());
}

}  // namespace
}  // namespace staffel::testing
