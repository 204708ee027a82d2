// SPDX-License-Identifier: EUPL-1.2
#include "sync/invitation.h"

#include <catch2/catch.hpp>

#include "core/base/bytes.h"
#include "sync/wire_join.h"
#include "tests/sync/node_kit.h"

namespace staffel::testing {
namespace {

using sync::Invitation;
using sync::JoinState;

// A hub and a node that wants to join, without a network: requests are carried by hand.
struct JoinKit {
  JoinKit() {
    hub.url = "https://127.0.0.1:7777";
    hub.Found({"NI", "NW", "BY", "HE"});
  }

  struct Answered {
    Result<Bytes> bytes = Bytes();
    bool failed = false;
    std::optional<sync::JoinAnswer> answer;
  };
  Answered Ask(TestNode& node, std::optional<Bytes> changed = {}) {
    sync::JoinKeys keys;
    keys.key = &node.key;
    keys.tls_key = node.tls.public_key();
    const Bytes request = changed ? *changed : Value(sync::MakeJoinRequest(*node.store, keys));
    Answered answered;
    answered.bytes = sync::AnswerJoin(*hub.store, hub.key, request, node.tls.public_key(),
                                      hub.clock, hub.random, &answered.failed);
    if (answered.bytes) answered.answer = Value(sync::DecodeJoinAnswer(*answered.bytes));
    return answered;
  }
  JoinState StateOf(const Answered& answered) {
    if (!answered.bytes) FAIL(answered.bytes.error().message);
    return static_cast<JoinState>(answered.answer->state);
  }
  std::string Invite(std::string_view member = "NW") {
    return Value(sync::Invite(*hub.store, Land(member), hub.clock, hub.random)).token;
  }
  Invitation::State StateOfInvitation(std::size_t index = 0) {
    return Value(sync::ListInvitations(*hub.store, hub.clock)).at(index).state;
  }

  TestNode hub{"NI"};
  TestNode nw{"NW"};
};

TEST_CASE("founding makes a conference of one, whose founder has the chair") {
  JoinKit kit;
  const auto authority = kit.hub.store->authority();
  REQUIRE(authority->chair() == Land("NI"));
  REQUIRE(kit.hub.store->own_member() == Land("NI"));
  REQUIRE(authority->quorum().needed == 1);
  kit.hub.Write("geht");
  // Once only.
  charter::FoundingOptions options;
  const auto again =
      sync::Found(*kit.hub.store, kit.hub.key, options, kit.hub.clock, kit.hub.random);
  REQUIRE(!again);
  REQUIRE(again.error().code == ErrorCode::kExists);
}

TEST_CASE(
    "a token says what it is for, survives being copied, and its code is nowhere in the store") {
  JoinKit kit;
  const auto made = Value(sync::Invite(*kit.hub.store, Land("NW"), kit.hub.clock, kit.hub.random));
  const auto content = Value(sync::ReadToken(made.token));
  REQUIRE(content.conference == kit.hub.store->authority()->conference());
  REQUIRE(content.conference_name == "IntMK");
  REQUIRE(content.member == Land("NW"));
  REQUIRE(content.hub_url == kit.hub.url);
  REQUIRE(content.hub_tls_fingerprint == kit.hub.tls.public_key().Fingerprint());
  REQUIRE(content.expires.value > kit.hub.clock.Now().value);
  std::string wrapped = "  " + made.token;
  wrapped.insert(40, "\n  ");
  REQUIRE(Value(sync::ReadToken(wrapped)).member == Land("NW"));

  const auto code = Value(sync::DecodeToken(made.token)).code;
  REQUIRE(code.size() * 8 >= 80);
  for (const auto& [key, value] : Value(kit.hub.store->ListLocal(""))) {
    REQUIRE(value.find(code) == Bytes::npos);
  }
}

TEST_CASE("a token that is cut, mistyped, newer or something else is refused with a reason") {
  JoinKit kit;
  const std::string token = kit.Invite();
  for (const std::string& bad :
       {token.substr(0, token.size() / 2), token.substr(3), std::string("staffel-1."),
        std::string(), std::string("staffel-1.äöü"), std::string(10'000, 'a'),
        std::string("https://example.org")}) {
    const auto read = sync::ReadToken(bad);
    REQUIRE(!read);
    REQUIRE(read.error().code == ErrorCode::kInvalid);
  }
  const auto newer = sync::ReadToken("staffel-2." + token.substr(10));
  REQUIRE(!newer);
  REQUIRE(newer.error().code == ErrorCode::kUnsupported);
}

TEST_CASE("who may be invited, and by whom") {
  JoinKit kit;
  const auto code_of = [&](std::string_view member) {
    const auto made = sync::Invite(*kit.hub.store, Land(member), kit.hub.clock, kit.hub.random);
    REQUIRE(!made);
    return made.error().code;
  };
  REQUIRE(code_of("XX") == ErrorCode::kNotFound);
  REQUIRE(code_of("NI") == ErrorCode::kExists);
  const auto alone = sync::Invite(*kit.nw.store, Land("NW"), kit.nw.clock, kit.nw.random);
  REQUIRE(!alone);
  const auto for_ever = sync::Invite(*kit.hub.store, Land("NW"), kit.hub.clock, kit.hub.random,
                                     std::chrono::hours(24 * 400));
  REQUIRE(!for_ever);
  REQUIRE(for_ever.error().code == ErrorCode::kInvalid);
}

TEST_CASE("a node joins: the founder alone is the quorum, and asking again hears the same") {
  JoinKit kit;
  Ok(sync::StartJoining(*kit.nw.store, kit.Invite(), "https://127.0.0.1:8888", kit.nw.clock));
  REQUIRE(Value(sync::Joining(*kit.nw.store))->token.member == Land("NW"));
  REQUIRE(kit.StateOfInvitation() == Invitation::State::kOpen);
  const auto first = kit.Ask(kit.nw);
  // Proposed and approved by the founder in one step; in force at once.
  REQUIRE(kit.StateOf(first) == JoinState::kApproved);
  REQUIRE(kit.StateOf(kit.Ask(kit.nw)) == JoinState::kApproved);
  REQUIRE(kit.StateOfInvitation() == Invitation::State::kJoined);
  REQUIRE(kit.hub.store->authority()->MemberOfTlsKey(kit.nw.tls.public_key()) == Land("NW"));
  REQUIRE(kit.hub.store->authority()->FindAudienceByName("land:NW") != nullptr);
  // The member that has joined is not invited again, nor its invitation revoked.
  const auto revoked = sync::RevokeInvitation(
      *kit.hub.store, Value(sync::ListInvitations(*kit.hub.store, kit.hub.clock))[0].id,
      kit.hub.clock);
  REQUIRE(!revoked);
  REQUIRE(revoked.error().code == ErrorCode::kConflict);
}

TEST_CASE("an invitation is refused when it is expired, revoked, used by another, or not ours") {
  JoinKit kit;
  const std::string token = kit.Invite();
  Ok(sync::StartJoining(*kit.nw.store, token, "", kit.nw.clock));

  SECTION("expired, by the hub's clock") {
    kit.hub.clock.Advance(15ull * 24 * 3600 * 1000);
    const auto answered = kit.Ask(kit.nw);
    REQUIRE(kit.StateOf(answered) == JoinState::kRefused);
    REQUIRE(answered.answer->reason.find("ended") != std::string::npos);
    REQUIRE(kit.StateOfInvitation() == Invitation::State::kExpired);
  }
  SECTION("expired, by the joiner's clock") {
    TestNode late("NW", 1'800'000'000'000);
    const Status start = sync::StartJoining(*late.store, token, "", late.clock);
    REQUIRE(!start);
    REQUIRE(start.error().code == ErrorCode::kInvalid);
  }
  SECTION("revoked") {
    const auto id = Value(sync::ListInvitations(*kit.hub.store, kit.hub.clock))[0].id;
    REQUIRE(Value(sync::RevokeInvitation(*kit.hub.store, id.substr(0, 6), kit.hub.clock)).state ==
            Invitation::State::kRevoked);
    REQUIRE(kit.StateOf(kit.Ask(kit.nw)) == JoinState::kRefused);
  }
  SECTION("used by another node") {
    REQUIRE(kit.StateOf(kit.Ask(kit.nw)) == JoinState::kApproved);
    TestNode thief("NW");
    Ok(sync::StartJoining(*thief.store, token, "", thief.clock));
    const auto answered = kit.Ask(thief);
    REQUIRE(kit.StateOf(answered) == JoinState::kRefused);
    REQUIRE(!kit.hub.store->authority()->MemberOfTlsKey(thief.tls.public_key()));
  }
  SECTION("with a wrong code, or an unknown id: the same sentence, and counted") {
    auto bad = Value(sync::DecodeToken(token));
    bad.code[3] = static_cast<char>(bad.code[3] ^ 1);
    TestNode guesser("NW");
    Ok(sync::StartJoining(*guesser.store, sync::EncodeToken(bad), "", guesser.clock));
    const auto wrong_code = kit.Ask(guesser);
    REQUIRE(kit.StateOf(wrong_code) == JoinState::kRefused);
    REQUIRE(wrong_code.failed);
    bad.id[0] = static_cast<char>(bad.id[0] ^ 1);
    Ok(sync::StopJoining(*guesser.store));
    Ok(sync::StartJoining(*guesser.store, sync::EncodeToken(bad), "", guesser.clock));
    const auto wrong_id = kit.Ask(guesser);
    REQUIRE(wrong_id.failed);
    REQUIRE(wrong_id.answer->reason == wrong_code.answer->reason);
    REQUIRE(kit.StateOfInvitation() == Invitation::State::kOpen);
  }
  SECTION("for another member") {
    auto other = Value(sync::DecodeToken(token));
    other.member = Land("BY");
    TestNode by("BY");
    Ok(sync::StartJoining(*by.store, sync::EncodeToken(other), "", by.clock));
    const auto answered = kit.Ask(by);
    REQUIRE(kit.StateOf(answered) == JoinState::kRefused);
    REQUIRE(answered.failed);
  }
  SECTION("of another hub, or conference") {
    auto other = Value(sync::DecodeToken(token));
    other.hub_tls_fingerprint = kit.nw.tls.public_key().Fingerprint();
    TestNode node("NW");
    Ok(sync::StartJoining(*node.store, sync::EncodeToken(other), "", node.clock));
    REQUIRE(kit.Ask(node).bytes.error().code == ErrorCode::kDenied);
    other.hub_tls_fingerprint = kit.hub.tls.public_key().Fingerprint();
    other.conference = *ConferenceId::From(Bytes(32, 'c'));
    Ok(sync::StopJoining(*node.store));
    Ok(sync::StartJoining(*node.store, sync::EncodeToken(other), "", node.clock));
    REQUIRE(kit.Ask(node).bytes.error().code == ErrorCode::kInvalid);
  }
}

TEST_CASE("a join request that is replayed, unsigned or garbage gets nowhere") {
  JoinKit kit;
  Ok(sync::StartJoining(*kit.nw.store, kit.Invite(), "", kit.nw.clock));
  sync::JoinKeys keys;
  keys.key = &kit.nw.key;
  keys.tls_key = kit.nw.tls.public_key();
  const Bytes request = Value(sync::MakeJoinRequest(*kit.nw.store, keys));
  SECTION("over another connection") {
    TestNode thief("X");
    REQUIRE(kit.Ask(thief, request).bytes.error().code == ErrorCode::kDenied);
  }
  SECTION("with another replica key than the one that signed") {
    auto parts = Value(sync::DecodeJoinRequest(request));
    auto body = Value(sync::DecodeJoinBody(parts.body, true));
    body.key = kit.hub.key.public_key();
    parts.body = sync::EncodeJoinBody(body);
    REQUIRE(kit.Ask(kit.nw, sync::EncodeJoinRequest(parts)).bytes.error().code ==
            ErrorCode::kDenied);
  }
  SECTION("garbage") {
    for (const Bytes& bad :
         {Bytes(), Bytes("garbage"), request.substr(0, request.size() / 2), Bytes(100'000, 'x')}) {
      const auto answered = kit.Ask(kit.nw, bad);
      REQUIRE(!answered.bytes);
    }
  }
  REQUIRE(kit.StateOfInvitation() == Invitation::State::kOpen);
}

TEST_CASE(
    "the third to join waits for a quorum, and one command approves, asking survives a restart") {
  JoinKit kit;
  Ok(sync::StartJoining(*kit.nw.store, kit.Invite("NW"), "", kit.nw.clock));
  REQUIRE(kit.StateOf(kit.Ask(kit.nw)) == JoinState::kApproved);
  // NW fetches the charter.
  Value(kit.nw.store->Ingest(kit.nw.store->Prepare(Batch())));
  sync::Exchange exchange(*kit.nw.store, kit.hub.tls.public_key(),
                          {.conference = kit.hub.store->authority()->conference()});
  sync::Responder responder(*kit.hub.store);
  const auto carry = [&] {
    exchange.Begin();
    for (;;) {
      const auto reply =
          Value(responder.Answer(Value(exchange.NextRequest()), kit.nw.tls.public_key()));
      if (Value(exchange.TakeAnswer(reply.bytes)) == sync::Exchange::State::kAgreed) break;
    }
  };
  carry();
  REQUIRE(kit.nw.IsMember());
  REQUIRE(!Value(sync::Joining(*kit.nw.store)));

  TestNode by("BY");
  Ok(sync::StartJoining(*by.store, kit.Invite("BY"), "", by.clock));
  const auto waiting = kit.Ask(by);
  REQUIRE(kit.StateOf(waiting) == JoinState::kWaiting);
  REQUIRE(waiting.answer->missing_from == std::vector<MemberId>{Land("NW")});
  REQUIRE(!waiting.answer->reason.empty());
  REQUIRE(Value(sync::TakeJoinAnswer(*by.store, *waiting.bytes, by.clock)) == JoinState::kWaiting);
  by.CloseStore();
  by.OpenStore();
  REQUIRE(Value(sync::Joining(*by.store))->missing_from == std::vector<MemberId>{Land("NW")});
  // The same proposal, not another one.
  REQUIRE(kit.Ask(by).answer->entry == waiting.answer->entry);

  SECTION("approved by NW") {
    carry();
    const auto changes = sync::WaitingChanges(*kit.nw.store, kit.nw.key);
    REQUIRE(changes.size() == 1);
    REQUIRE(changes[0].joining == std::vector<MemberId>{Land("BY")});
    REQUIRE(!changes[0].approved_here);
    const auto nobody = sync::Approve(*kit.nw.store, kit.nw.key, "HE");
    REQUIRE(!nobody);
    REQUIRE(nobody.error().code == ErrorCode::kNotFound);
    const auto approved = Value(sync::Approve(*kit.nw.store, kit.nw.key, "BY"));
    REQUIRE(approved.changes.size() == 1);
    REQUIRE(approved.changes[0].missing_from.empty());
    carry();
    REQUIRE(kit.StateOf(kit.Ask(by)) == JoinState::kApproved);
  }
  SECTION("overtaken by another change: the hub puts it forward again") {
    // Another member's joining comes into force meanwhile.
    TestNode he("HE");
    Ok(sync::StartJoining(*he.store, kit.Invite("HE"), "", he.clock));
    REQUIRE(kit.StateOf(kit.Ask(he)) == JoinState::kWaiting);
    carry();
    Value(sync::Approve(*kit.nw.store, kit.nw.key, "HE"));
    Value(sync::CosignInForce(*kit.nw.store, kit.nw.key));
    carry();
    Value(sync::CosignInForce(*kit.hub.store, kit.hub.key));
    REQUIRE(kit.StateOf(kit.Ask(he)) == JoinState::kApproved);
    REQUIRE(Value(sync::RenewProposals(*kit.hub.store, kit.hub.key, kit.hub.random)) == 1);
    REQUIRE(Value(sync::RenewProposals(*kit.hub.store, kit.hub.key, kit.hub.random)) == 0);
    const auto again = kit.Ask(by);
    REQUIRE(kit.StateOf(again) == JoinState::kWaiting);
    REQUIRE(again.answer->entry != waiting.answer->entry);
    carry();
    Value(sync::Approve(*kit.nw.store, kit.nw.key, again.answer->entry->Hex().substr(0, 8)));
    carry();
    REQUIRE(kit.StateOf(kit.Ask(by)) == JoinState::kApproved);
  }
  SECTION("revoked while it waits") {
    const auto invitations = Value(sync::ListInvitations(*kit.hub.store, kit.hub.clock));
    for (const auto& invitation : invitations) {
      if (invitation.member != Land("BY")) continue;
      REQUIRE(invitation.state == Invitation::State::kUsed);
      REQUIRE(invitation.missing_from == std::vector<MemberId>{Land("NW")});
      Value(sync::RevokeInvitation(*kit.hub.store, invitation.id, kit.hub.clock));
    }
    REQUIRE(kit.StateOf(kit.Ask(by)) == JoinState::kRefused);
  }
}

TEST_CASE("joining is written down once and can be given up") {
  JoinKit kit;
  const std::string token = kit.Invite();
  REQUIRE(!sync::StopJoining(*kit.nw.store));
  const Status bad_url = sync::StartJoining(*kit.nw.store, token, "http://plain", kit.nw.clock);
  REQUIRE(!bad_url);
  REQUIRE(bad_url.error().code == ErrorCode::kInvalid);
  Ok(sync::StartJoining(*kit.nw.store, token, "", kit.nw.clock));
  Ok(sync::StartJoining(*kit.nw.store, token, "", kit.nw.clock));
  TestNode other("other");
  other.url = "https://127.0.0.1:9999";
  other.Found({"SN", "TH"});
  const auto elsewhere =
      Value(sync::Invite(*other.store, Land("TH"), other.clock, other.random)).token;
  const Status second = sync::StartJoining(*kit.nw.store, elsewhere, "", kit.nw.clock);
  REQUIRE(!second);
  REQUIRE(second.error().code == ErrorCode::kExists);
  Ok(sync::StopJoining(*kit.nw.store));
  Ok(sync::StartJoining(*kit.nw.store, elsewhere, "", kit.nw.clock));
  // A member of a conference joins no other.
  const Status member = sync::StartJoining(*kit.hub.store, elsewhere, "", kit.hub.clock);
  REQUIRE(!member);
  REQUIRE(member.error().code == ErrorCode::kExists);
}

TEST_CASE("cosigning happens once, and only by the member's first replica") {
  JoinKit kit;
  Ok(sync::StartJoining(*kit.nw.store, kit.Invite(), "", kit.nw.clock));
  REQUIRE(kit.StateOf(kit.Ask(kit.nw)) == JoinState::kApproved);
  REQUIRE(Value(sync::CosignInForce(*kit.hub.store, kit.hub.key)) == 1);
  REQUIRE(Value(sync::CosignInForce(*kit.hub.store, kit.hub.key)) == 0);
  REQUIRE(Value(sync::CosignInForce(*kit.hub.store, kit.nw.tls)) == 0);
}

}  // namespace
}  // namespace staffel::testing
