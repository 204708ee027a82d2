// SPDX-License-Identifier: EUPL-1.2
// Two stores in one process that exchange by the real session, with every message in the test's
// hand: counted, read, lost, repeated or changed.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "sync/session.h"
#include "sync/wire.h"
#include "tests/support/conference.h"

namespace staffel::testing {

template <typename T>
T Value(Result<T> result) {
  if (!result) FAIL(result.error().message);
  return std::move(*result);
}
inline void Ok(const Status& status) {
  if (!status) FAIL(status.error().message);
}

struct TalkOptions {
  sync::SessionLimits limits;
  // Sees and may change each message; false loses it.
  std::function<bool(Bytes& request)> on_request;
  std::function<bool(Bytes& answer)> on_answer;
  std::function<void(const sync::Responder::Reply&)> on_reply;
  bool repeat_requests = false;  // each arrives twice
  int round_trips_max = 5'000;
};

// A long-lived exchange of one replica with another.
class Talk {
 public:
  Talk(TestReplica& asker, TestReplica& answerer, TalkOptions options = {},
       sync::Intake* intake = nullptr)
      : asker_(asker), answerer_(answerer), options_(std::move(options)) {
    sync::ExchangeOptions exchange;
    exchange.limits = options_.limits;
    exchange.conference = asker.conference().conference();
    exchange.intake = intake;
    exchange_ =
        std::make_unique<sync::Exchange>(asker.store(), answerer.self().tls.public_key(), exchange);
  }

  // Until both agree. The error is the session's, of either side.
  Status Run() {
    exchange_->Begin();
    round_trips = 0;
    bytes_up = bytes_down = 0;
    request_bytes.clear();
    answer_bytes.clear();
    for (int i = 0; i < options_.round_trips_max; ++i) {
      STAFFEL_TRY(request, exchange_->NextRequest());
      if (options_.on_request && !options_.on_request(request)) continue;
      bytes_up += request.size();
      request_bytes.push_back(request.size());
      sync::Responder responder(answerer_.store(), options_.limits);
      if (options_.repeat_requests) {
        auto first = responder.Answer(request, asker_.self().tls.public_key());
        if (!first) return Forward(first);
      }
      STAFFEL_TRY(reply, responder.Answer(request, asker_.self().tls.public_key()));
      if (options_.on_reply) options_.on_reply(reply);
      for (auto& incident : reply.incidents) answerer_incidents.push_back(incident);
      if (options_.on_answer && !options_.on_answer(reply.bytes)) continue;
      bytes_down += reply.bytes.size();
      answer_bytes.push_back(reply.bytes.size());
      ++round_trips;
      STAFFEL_TRY(state, exchange_->TakeAnswer(reply.bytes));
      if (state == sync::Exchange::State::kAgreed) return {};
    }
    return Fail(ErrorCode::kUnavailable, "no agreement after {} round trips",
                options_.round_trips_max);
  }

  sync::Exchange& exchange() { return *exchange_; }

  int round_trips = 0;
  std::size_t bytes_up = 0;
  std::size_t bytes_down = 0;
  std::vector<std::size_t> request_bytes;
  std::vector<std::size_t> answer_bytes;
  std::vector<sync::DigestDifference> answerer_incidents;

 private:
  TestReplica& asker_;
  TestReplica& answerer_;
  TalkOptions options_;
  std::unique_ptr<sync::Exchange> exchange_;
};

// One exchange, to the end.
inline void Sync(TestReplica& asker, TestReplica& answerer, TalkOptions options = {}) {
  Talk talk(asker, answerer, std::move(options));
  Ok(talk.Run());
}

// Both hold the same of the audience: entries, state, what a person sees.
inline void RequireSame(TestReplica& a, TestReplica& b, const AudienceId& audience) {
  auto snapshot_a = Value(a.store().Read());
  auto snapshot_b = Value(b.store().Read());
  REQUIRE(Value(snapshot_a.Vector(audience)) == Value(snapshot_b.Vector(audience)));
  REQUIRE(Value(DigestRoot(a.store(), audience)).Hex() ==
          Value(DigestRoot(b.store(), audience)).Hex());
  REQUIRE(Value(Describe(a.store(), audience)) == Value(Describe(b.store(), audience)));
}

inline std::uint64_t Entries(TestReplica& replica) {
  return Value(Value(replica.store().Read()).Counts()).entries;
}

// `count` new notes in the Länder's audience.
inline std::vector<RecordId> WriteNotes(TestReplica& replica, std::size_t count,
                                        std::string_view title = "Notiz") {
  std::vector<RecordId> records;
  for (std::size_t i = 0; i < count; ++i) {
    records.push_back(replica.random().DrawId<RecordId>());
    Value(replica.store().Apply(
        NewNote(replica.conference().laender(), records.back(), fmt::format("{} {}", title, i))));
  }
  return records;
}

// NI in the chair, NW, BY, HE, each with its store open; three are a quorum.
struct FourLaender {
  FourLaender() {
    for (std::size_t i = 0; i < 4; ++i) {
      replicas.push_back(std::make_unique<TestReplica>(ConferenceOf(4), i));
      Ok(replicas.back()->Open());
    }
  }
  TestReplica& operator[](std::size_t index) { return *replicas.at(index); }
  Store& store(std::size_t index) { return replicas.at(index)->store(); }
  const crypto::KeyPair& key(std::size_t index) { return replicas.at(index)->self().key; }

  std::vector<std::unique_ptr<TestReplica>> replicas;
};

}  // namespace staffel::testing
