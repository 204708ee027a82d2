// SPDX-License-Identifier: EUPL-1.2
// Handing the chair over between real stores that exchange by the real session.
#include "sync/handover.h"

#include <algorithm>

#include <catch2/catch.hpp>

#include "core/charter/build.h"
#include "core/charter/build_audiences.h"
#include "core/charter/chair.h"
#include "core/store/charter_draft.h"
#include "sync/charter_changes.h"
#include "sync/invitation.h"
#include "tests/sync/talk.h"

namespace staffel::sync {
namespace {

using testing::ConferenceOf;
using testing::NewNote;
using testing::Ok;
using testing::Talk;
using testing::TestReplica;
using testing::Value;

struct House : testing::FourLaender {
  // One exchange, and what a node does after it.
  void Exchange(std::size_t asker, std::size_t answerer) {
    Talk talk(*replicas.at(asker), *replicas.at(answerer));
    Ok(talk.Run());
    for (std::size_t one : {answerer, asker}) {
      (void)Value(CosignInForce(store(one), key(one)));
      (void)Value(StepHandover(store(one), key(one), replicas.at(one)->clock()));
      (void)Value(CosignInForce(store(one), key(one)));
    }
  }
  // Everyone with the given hub, twice: what one signs reaches the others.
  void Round(std::size_t hub, std::size_t but = 99) {
    for (int i = 0; i < 3; ++i) {
      for (std::size_t one = 0; one < replicas.size(); ++one) {
        if (one != hub && one != but) Exchange(one, hub);
      }
    }
  }
  RecordId Write(std::size_t index, std::string_view title) {
    const auto record = replicas.at(index)->random().DrawId<RecordId>();
    Value(store(index).Apply(NewNote(ConferenceOf(4).laender(), record, title)));
    return record;
  }
  bool Has(std::size_t index, const RecordId& record) {
    Snapshot snapshot = Value(store(index).Read());
    return snapshot.GetRecord(record).has_value();
  }
  std::string Chair(std::size_t index) {
    return std::string(store(index).authority()->chair().text());
  }
  void Receipts(std::size_t index) {
    ReceiptOrder order;
    order.audiences = {ConferenceOf(4).laender()};
    Value(store(index).WriteReceipts(order));
  }
  HandoverChoice To(std::size_t index) {
    HandoverChoice choice;
    choice.member = replicas.at(index)->self().id;
    choice.starts = TimeMs{replicas.at(0)->clock().Now().value + 60'000};
    return choice;
  }

  // A group of two, known to all.
  AudienceId Group(std::size_t one, std::size_t other) {
    AudienceId group;
    const EntryId entry = Value(store(one).Propose([&](CharterDraft& draft) {
      charter::NewAudience audience;
      audience.name = "AG";
      audience.readers = {replicas.at(one)->self().id, replicas.at(other)->self().id};
      audience.relay = replicas.at(one)->self().id;
      return charter::WithAudience(draft.authority().content(), audience,
                                   replicas.at(one)->random(), &group);
    }));
    Round(0);
    Value(Approve(store(other), key(other), entry.Hex()));
    Round(0);
    REQUIRE(store(0).authority()->Reads(replicas.at(other)->self().id, group));
    return group;
  }
  RecordId WriteIn(std::size_t index, const AudienceId& audience, std::string_view title) {
    const auto record = replicas.at(index)->random().DrawId<RecordId>();
    Value(store(index).Apply(NewNote(audience, record, title)));
    return record;
  }
  EntryId LastEntryOf(std::size_t index, const RecordId& record) {
    Snapshot snapshot = Value(store(index).Read());
    return Value(snapshot.History(Value(snapshot.GetRecord(record)))).back().entry;
  }
  // These sign as well, by way of `at`; then it is in force there.
  void ApproveAt(std::size_t at, const EntryId& entry, const std::vector<std::size_t>& others) {
    for (std::size_t one : others) {
      Exchange(one, at);
      Value(Approve(store(one), key(one), entry.Hex()));
      Exchange(one, at);
    }
    REQUIRE(store(at).authority()->entry() == entry);
  }
};

TEST_CASE("announced, agreed to, signed: the chair passes on and both sides print one protocol") {
  House house;
  const RecordId early = house.Write(3, "von HE");
  house.Round(0);
  house.Receipts(0);
  const auto next =
      Value(ProposeHandover(house.store(0), house.key(0), house.To(1), house[0].clock()));
  house.Round(0);
  CHECK(Value(AcceptHandover(house.store(1), house.key(1))) == next);
  CHECK(Value(AcceptHandover(house.store(2), house.key(2))) == next);
  CHECK_FALSE(Value(StepHandover(house.store(1), house.key(1), house[1].clock())));
  // HE is away from here on, with an entry of its own that nobody has.
  const RecordId stranded = house.Write(3, "unterwegs");
  const EntryId entry =
      Value(CompleteHandover(house.store(0), house.key(0), /*at_once=*/false, house[0].clock()));
  CHECK(Value(CompleteHandover(house.store(0), house.key(0), false, house[0].clock())) == entry);
  house.Round(0, /*but=*/3);
  for (std::size_t one : {0u, 1u, 2u}) CHECK(house.Chair(one) == "NW");
  CHECK(house.Chair(3) == "NI");
  // The old hub receipts no more, the new one not before its time.
  const auto refused = house.store(0).WriteReceipts({{ConferenceOf(4).laender()}, {}});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kDenied);
  const auto too_early = house.store(1).WriteReceipts({{ConferenceOf(4).laender()}, {}});
  REQUIRE_FALSE(too_early);
  CHECK(too_early.error().code == ErrorCode::kUnavailable);
  house[1].clock().Advance(120'000);
  house.Receipts(1);
  // HE knows only the old hub, is led on, and loses nothing.
  house.Exchange(3, 0);
  CHECK(house.Chair(3) == "NW");
  house.Exchange(3, 1);
  CHECK(house.Has(1, stranded));
  CHECK(house.Has(3, early));
  // The protocol: the same text at both, right by a third one's own reckoning, also later.
  const Protocol old_hub = Value(CheckProtocol(house.store(0), 2));
  const Protocol new_hub = Value(CheckProtocol(house.store(1), std::nullopt));
  CHECK(ProtocolText(old_hub, false) == ProtocolText(new_hub, false));
  CHECK(old_hub.Holds());
  CHECK(new_hub.Holds());
  // In `laender` something was written and received; the others were never written in.
  const auto lines_with = [&](std::string_view beginning) {
    const std::string text = ProtocolText(new_hub, false);
    std::size_t count = 0;
    for (std::size_t at = text.find(beginning); at != std::string::npos;
         at = text.find(beginning, at + 1)) {
      ++count;
    }
    return count;
  };
  CHECK(lines_with("last-receipt ") == lines_with("last-receipt none") + 1);
  const Protocol third = Value(CheckProtocol(house.store(3), 2));
  CHECK(third.Holds());
  CHECK(Value(CompareProtocol(third, ProtocolText(old_hub, true))).empty());
  CHECK(Value(TermOfProtocolText(ProtocolText(old_hub, false))) == 2);
  std::string forged = ProtocolText(old_hub, false);
  forged.replace(forged.find("\nentries "), 9, "\nentries 9");
  CHECK(Value(CompareProtocol(third, forged)).size() == 1);
  CHECK_FALSE(CompareProtocol(third, "irgendein Text"));
  // Cut off, with something added, or with an audience twice, it is another paper, too.
  const std::string whole = ProtocolText(old_hub, false);
  CHECK(Value(CompareProtocol(third, whole)).empty());
  const auto differs = [&](const std::string& paper) {
    return !Value(CompareProtocol(third, paper)).empty();
  };
  CHECK(differs(whole.substr(0, whole.find("\n\n") + 1)));
  CHECK(differs(whole.substr(0, whole.find("\ndigest ") + 1)));
  CHECK(differs(whole + "\nNachtrag: auch die Entwürfe sind übergeben\n"));
  CHECK(differs(whole + whole.substr(whole.find("\n\n") + 1)));
  CHECK_FALSE(CheckProtocol(house.store(3), 1));
  CHECK_FALSE(CheckProtocol(house.store(3), 7));
  // The announcement has happened.
  CHECK_FALSE(charter::Announced(*house.store(1).authority()));
}

TEST_CASE("at once: the new hub takes up with the last signature") {
  House house;
  house.Round(0);
  Value(ProposeHandover(house.store(0), house.key(0), house.To(1), house[0].clock()));
  house.Round(0);
  Value(AcceptHandover(house.store(1), house.key(1)));
  Value(AcceptHandover(house.store(2), house.key(2)));
  Value(CompleteHandover(house.store(0), house.key(0), /*at_once=*/true, house[0].clock()));
  house.Round(0);
  REQUIRE(house.Chair(1) == "NW");
  house.Receipts(1);
}

TEST_CASE("who has not agreed does not sign, and what was not announced is not signed") {
  House house;
  house.Round(0);
  Value(ProposeHandover(house.store(0), house.key(0), house.To(1), house[0].clock()));
  house.Round(0);
  Value(AcceptHandover(house.store(1), house.key(1)));
  // BY has agreed to NW; the chair signs for HE instead.
  Value(AcceptHandover(house.store(2), house.key(2)));
  Value(ProposeHandover(house.store(0), house.key(0), house.To(3), house[0].clock()));
  house.Round(0);
  Value(CompleteHandover(house.store(0), house.key(0), false, house[0].clock()));
  house.Round(0);
  CHECK(house.Chair(0) == "NI");
  const auto status = Value(ReadHandover(house.store(2), house.key(2), house[2].clock()));
  REQUIRE(status.pending.size() == 1);
  CHECK(status.pending[0].to.text() == "HE");
  CHECK_FALSE(status.agreed_here);
  CHECK(status.pending[0].check.empty());
  // By hand: HE and BY approve what waits.
  const std::string id = status.pending[0].entry.Hex();
  Value(Approve(house.store(3), house.key(3), id));
  Value(Approve(house.store(2), house.key(2), id));
  house.Round(0);
  CHECK(house.Chair(0) == "HE");
}

TEST_CASE("a node that lacks what the protocol names signs later, when it has it") {
  House house;
  house.Round(0);
  Value(ProposeHandover(house.store(0), house.key(0), house.To(1), house[0].clock()));
  house.Round(0);
  Value(AcceptHandover(house.store(1), house.key(1)));
  house.Write(0, "kommt noch an");
  const EntryId entry =
      Value(CompleteHandover(house.store(0), house.key(0), false, house[0].clock()));
  // Only the charter reaches NW.
  Batch batch;
  const auto tree = house.store(0).charter();
  for (const EntryId& id : tree->Entries()) {
    batch.charter.push_back({*tree->Find(id), id, tree->SignaturesOf(id)});
  }
  Value(house.store(1).Ingest(house.store(1).Prepare(std::move(batch))));
  CHECK_FALSE(Value(StepHandover(house.store(1), house.key(1), house[1].clock())));
  const Status check = CheckHandover(house.store(1), house.key(1), entry);
  REQUIRE_FALSE(check);
  CHECK(check.error().code == ErrorCode::kUnavailable);
  CHECK_FALSE(Approve(house.store(1), house.key(1), entry.Hex()));
  house.Exchange(1, 0);
  const auto signers =
      house.store(1).charter()->SignersOf(entry, charter::CharterSignature::Kind::kApproval);
  CHECK(signers.contains(house[1].self().id));
}

TEST_CASE("a handover that slips something in, or lies in its protocol, is signed by nobody") {
  House house;
  const RecordId note = house.Write(0, "x");
  (void)note;
  house.Round(0);
  const auto next =
      Value(ProposeHandover(house.store(0), house.key(0), house.To(1), house[0].clock()));
  house.Round(0);
  Value(AcceptHandover(house.store(1), house.key(1)));
  const auto patched = [&](bool lies) {
    return Value(house.store(0).Propose([&](CharterDraft& draft) -> Result<charter::Content> {
      std::vector<charter::Term::Part> parts;
      STAFFEL_TRY(part, draft.ProtocolOf(ConferenceOf(4).laender()));
      if (lies) part.figures.records += 1;
      for (Bytes& content : charter::SerializeHandoverPart(part)) {
        STAFFEL_TRY(hidden, draft.Disclose(part.audience, std::move(content)));
        parts.push_back({part.audience, hidden});
      }
      STAFFEL_TRY(content, charter::WithNextTerm(draft.authority().content(), next.member,
                                                 next.replica, next.starts, {}, std::move(parts)));
      if (!lies) content.title = "Etwas anderes";
      return content;
    }));
  };
  for (const bool lies : {false, true}) {
    const EntryId entry = patched(lies);
    house.Exchange(1, 0);
    house.Exchange(1, 0);
    const Status check = CheckHandover(house.store(1), house.key(1), entry);
    REQUIRE_FALSE(check);
    CHECK(check.error().code == ErrorCode::kConflict);
    const auto signers =
        house.store(1).charter()->SignersOf(entry, charter::CharterSignature::Kind::kApproval);
    CHECK(signers.size() == 1);
  }
}

TEST_CASE("taken back in time, the chair's acts go on") {
  House house;
  house.Round(0);
  CHECK_FALSE(CancelHandover(house.store(0), house.key(0), house[0].clock()));
  CHECK_FALSE(CancelHandover(house.store(1), house.key(1), house[1].clock()));
  Value(ProposeHandover(house.store(0), house.key(0), house.To(1), house[0].clock()));
  house.Round(0);
  Value(AcceptHandover(house.store(2), house.key(2)));
  Ok(CancelHandover(house.store(2), house.key(2), house[2].clock()));
  Value(AcceptHandover(house.store(1), house.key(1)));
  Value(CompleteHandover(house.store(0), house.key(0), false, house[0].clock()));
  const auto signed_away = house.store(0).WriteReceipts({{ConferenceOf(4).laender()}, {}});
  REQUIRE_FALSE(signed_away);
  CHECK(signed_away.error().code == ErrorCode::kUnavailable);
  Ok(CancelHandover(house.store(0), house.key(0), house[0].clock()));
  house.Receipts(0);
  house.Round(0);
  CHECK(house.Chair(1) == "NI");
  CHECK_FALSE(charter::Announced(*house.store(1).authority()));
  // Signed by NW or not, the entry that was taken back stands beside the path now.
  CHECK(Value(ReadHandover(house.store(0), house.key(0), house[0].clock())).pending.empty());
}

TEST_CASE("a signed handover that another change overtakes is signed anew") {
  House house;
  house.Round(0);
  Value(ProposeHandover(house.store(0), house.key(0), house.To(1), house[0].clock()));
  house.Round(0);
  const EntryId first =
      Value(CompleteHandover(house.store(0), house.key(0), false, house[0].clock()));
  // A deadline that the chair sets meanwhile.
  Value(SetRule(house.store(0), "deadline.x", "2026-01-01T00:00:00Z", TimeMs{1}));
  CHECK(Value(StepHandover(house.store(0), house.key(0), house[0].clock())));
  Value(AcceptHandover(house.store(1), house.key(1)));
  Value(AcceptHandover(house.store(2), house.key(2)));
  house.Round(0);
  CHECK(house.Chair(2) == "NW");
  CHECK(house.store(2).authority()->entry() != first);
}

TEST_CASE("each refusal of a step says why") {
  House house;
  house.Round(0);
  CHECK(ProposeHandover(house.store(1), house.key(1), house.To(1), house[1].clock()).error().code ==
        ErrorCode::kDenied);
  CHECK(AcceptHandover(house.store(1), house.key(1)).error().code == ErrorCode::kNotFound);
  CHECK(CompleteHandover(house.store(0), house.key(0), false, house[0].clock()).error().code ==
        ErrorCode::kNotFound);
  CHECK(CompleteHandover(house.store(1), house.key(1), false, house[1].clock()).error().code ==
        ErrorCode::kDenied);
  HandoverChoice stranger = house.To(1);
  stranger.member = *MemberId::From("XX");
  CHECK(ProposeHandover(house.store(0), house.key(0), stranger, house[0].clock()).error().code ==
        ErrorCode::kNotFound);
  HandoverChoice late = house.To(1);
  late.starts = house[0].clock().Now();
  CHECK(ProposeHandover(house.store(0), house.key(0), late, house[0].clock()).error().code ==
        ErrorCode::kInvalid);
  Value(ProposeHandover(house.store(0), house.key(0), house.To(1), house[0].clock()));
  CHECK(AcceptHandover(house.store(0), house.key(0)).error().code == ErrorCode::kDenied);
  Value(CompleteHandover(house.store(0), house.key(0), false, house[0].clock()));
  CHECK(ProposeHandover(house.store(0), house.key(0), house.To(2), house[0].clock()).error().code ==
        ErrorCode::kConflict);
}

TEST_CASE("a chair goes on in a next term to itself, by two others or by more than half") {
  House house;
  house.Round(0);
  house.Receipts(0);
  house.Round(0);
  SECTION("announced, agreed to and signed") {
    Value(ProposeHandover(house.store(0), house.key(0), house.To(0), house[0].clock()));
    house.Round(0);
    Value(AcceptHandover(house.store(1), house.key(1)));
    Value(CompleteHandover(house.store(0), house.key(0), /*at_once=*/true, house[0].clock()));
    house.Round(0);
    CHECK(house.store(3).authority()->current_term().number == 1);
    Value(AcceptHandover(house.store(2), house.key(2)));
    house.Round(0);
  }
  SECTION("put forward by others") {
    const EntryId entry = Value(
        RecoverChair(house.store(2), house.key(2), {house[0].self().id, {}, {}}, house[2].clock()));
    house.Exchange(2, 0);
    house.Round(0);
    Value(Approve(house.store(0), house.key(0), entry.Hex()));
    Value(Approve(house.store(3), house.key(3), entry.Hex()));
    house.Round(0);
  }
  for (std::size_t one : {0u, 1u, 2u, 3u}) {
    CHECK(house.store(one).authority()->current_term().number == 2);
    CHECK(house.Chair(one) == "NI");
    CHECK(house.store(one).authority()->hub_key() == house.key(0).public_key());
    CHECK(Value(CheckProtocol(house.store(one), 2)).Holds());
  }
  house.Receipts(0);
  CHECK_FALSE(Value(StepHandover(house.store(0), house.key(0), house[0].clock())));
}

TEST_CASE("a chair with a second node that can be reached means that one, unless it names itself") {
  House house;
  const auto further = Value(crypto::KeyPair::Generate()).public_key();
  const auto its_tls = Value(crypto::KeyPair::Generate()).public_key();
  const auto second = Value(AddReplica(house.store(0), {further, its_tls, "https://ni2.example"}));
  house.Round(0);
  Value(Approve(house.store(1), house.key(1), second.Hex()));
  house.Round(0);
  HandoverChoice choice = house.To(0);
  CHECK(Value(ProposeHandover(house.store(0), house.key(0), choice, house[0].clock())).replica ==
        further);
  choice.replica = house.key(0).public_key();
  CHECK(Value(ProposeHandover(house.store(0), house.key(0), choice, house[0].clock())).replica ==
        *choice.replica);
}

TEST_CASE("when the chair's node is lost, more than half of the Länder appoint the next") {
  House house;
  house.Write(0, "von NI");
  house.Round(0);
  house.Receipts(0);
  house.Round(0);
  // NI is gone. BY puts NW forward; HE's second proposal of the same is the same entry.
  const EntryId entry = Value(
      RecoverChair(house.store(2), house.key(2), {house[1].self().id, {}, {}}, house[2].clock()));
  for (int i = 0; i < 2; ++i) {
    house.Exchange(1, 2);
    house.Exchange(3, 2);
  }
  CHECK(house.Chair(2) == "NI");
  CHECK(Value(RecoverChair(house.store(3), house.key(3), {house[1].self().id, {}, {}},
                           house[3].clock())) == entry);
  Value(Approve(house.store(1), house.key(1), entry.Hex()));
  for (int i = 0; i < 2; ++i) {
    house.Exchange(1, 2);
    house.Exchange(3, 2);
  }
  for (std::size_t one : {1u, 2u, 3u}) CHECK(house.Chair(one) == "NW");
  house.Receipts(1);
  // The protocol is checked like any other.
  CHECK(Value(CheckProtocol(house.store(3), 2)).Holds());
  // What NI received before its end counts, what it does later is void.
  house.Receipts(0);
  const RecordId late = house.Write(0, "NI kommt wieder");
  house.Exchange(0, 1);
  CHECK(house.Chair(0) == "NW");
  CHECK(house.Has(1, late));
}

TEST_CASE("two handovers at once stop authority and never editing, until a quorum decides") {
  House house;
  house.Round(0);
  // NI hands over to NW with BY, while HE and BY, who believe NI lost, appoint HE.
  Value(ProposeHandover(house.store(0), house.key(0), house.To(1), house[0].clock()));
  house.Round(0);
  const EntryId to_nw =
      Value(CompleteHandover(house.store(0), house.key(0), true, house[0].clock()));
  const EntryId to_he = Value(
      RecoverChair(house.store(3), house.key(3), {house[3].self().id, {}, {}}, house[3].clock()));
  house.Round(0);
  for (std::size_t one : {1u, 2u, 3u})
    Value(Approve(house.store(one), house.key(one), to_nw.Hex()));
  // The same three sign both: nobody told them of the other.
  for (std::size_t one : {1u, 2u}) {
    Batch batch;
    batch.charter.push_back(
        {std::nullopt,
         to_he,
         {charter::SignCharterEntry(to_he, charter::CharterSignature::Kind::kApproval,
                                    house.key(one))}});
    Value(house.store(0).Ingest(house.store(0).Prepare(std::move(batch))));
  }
  for (int i = 0; i < 3; ++i) {
    for (std::size_t one : {1u, 2u, 3u}) {
      Talk talk(house[one], house[0]);
      Ok(talk.Run());
    }
  }
  for (std::size_t one : {0u, 1u, 2u, 3u}) {
    CAPTURE(one);
    REQUIRE(house.store(one).charter()->InForce().tied);
    house.Write(one, "Bearbeiten geht weiter");
    CHECK_FALSE(house.store(one).WriteReceipts({{ConferenceOf(4).laender()}, {}}));
    const auto status = Value(ReadHandover(house.store(one), house.key(one), house[one].clock()));
    CHECK(status.tied);
    CHECK(status.tied_entries.size() == 2);
    CHECK_FALSE(status.chair_acts.empty());
  }
  CHECK_FALSE(SetRule(house.store(0), "deadline.x", "2026-01-01T00:00:00Z", TimeMs{1}));
  CHECK(Strengthen(house.store(1), house.key(1), "ffffffff").error().code == ErrorCode::kNotFound);
  const EntryId strong = Value(Strengthen(house.store(1), house.key(1), to_he.Hex().substr(0, 12)));
  house.Exchange(1, 0);
  house.Exchange(2, 0);
  CHECK(Value(Strengthen(house.store(2), house.key(2), to_he.Hex().substr(0, 12))) == strong);
  house.Exchange(2, 0);
  house.Exchange(3, 0);
  CHECK(Value(Strengthen(house.store(3), house.key(3), to_he.Hex().substr(0, 12))) == strong);
  house.Round(0);
  for (std::size_t one : {0u, 1u, 2u, 3u}) {
    CHECK_FALSE(house.store(one).charter()->InForce().tied);
    CHECK(house.Chair(one) == "HE");
  }
  CHECK(Strengthen(house.store(0), house.key(0), "00").error().code == ErrorCode::kInvalid);
}

// ---- keys ----

TEST_CASE("the chair alone, on a patched node, makes no key for a Land and cuts no journal of it") {
  House house;
  const RecordId note = house.Write(1, "von NW");
  house.Round(0);
  const auto forged = crypto::KeyPair::FromSeedForTests("forged");
  const auto forged_tls = crypto::KeyPair::FromSeedForTests("forged tls");
  const EntryId key = Value(house.store(0).Propose([&](CharterDraft& draft) {
    return charter::WithReplicaAdded(draft.authority().content(), house[1].self().id,
                                     {forged.public_key(), forged_tls.public_key(), ""});
  }));
  const EntryId cut =
      Value(house.store(0).Propose([&](CharterDraft& draft) -> Result<charter::Content> {
        std::vector<charter::Cut> cuts;
        for (const auto& journal : draft.journals()) {
          if (journal.member != house[1].self().id) continue;
          // Void from its start.
          STAFFEL_TRY(made, draft.CutOf(journal, std::vector<charter::CutHead>()));
          cuts.push_back(std::move(made));
        }
        return charter::WithCuts(draft.authority().content(), std::move(cuts));
      }));
  const EntryId out = Value(house.store(0).Propose([&](CharterDraft& draft) {
    return charter::WithKeyRemoved(draft.authority().content(), house.key(1).public_key(), {});
  }));
  house.Round(0);
  for (std::size_t one : {0u, 1u, 2u, 3u}) {
    const auto tree = house.store(one).charter();
    for (const EntryId& entry : {key, cut, out}) {
      CHECK(tree->Holds(entry));
      CHECK(house.store(one).authority()->entry() != entry);
    }
    CHECK_FALSE(house.store(one).authority()->IsCurrentKey(forged.public_key()));
    CHECK(house.store(one).authority()->IsCurrentKey(house.key(1).public_key()));
    CHECK(house.Has(one, note));
    Snapshot snapshot = Value(house.store(one).Read());
    CHECK(Value(snapshot.Counts()).invalid_entries == 0);
  }
}

TEST_CASE("a stolen key is revoked up to a named entry, and what came after has no effect") {
  House house;
  const RecordId before = house.Write(1, "vor dem Diebstahl");
  Snapshot snapshot = Value(house.store(1).Read());
  const EntryId last = Value(snapshot.History(Value(snapshot.GetRecord(before)))).front().entry;
  const RecordId after = house.Write(1, "vom Dieb");
  house.Round(0);
  REQUIRE(house.Has(2, after));
  // BY and the others, with the quorum's right: NW's only key is the stolen one.
  const EntryId entry = Value(RemoveKey(house.store(2), house.key(1).public_key(), {last}));
  house.Exchange(2, 0);
  Value(Approve(house.store(0), house.key(0), entry.Hex()));
  house.Exchange(3, 0);
  Value(Approve(house.store(3), house.key(3), entry.Hex()));
  house.Exchange(3, 0);
  house.Exchange(2, 0);
  for (std::size_t one : {0u, 2u, 3u}) {
    CHECK(house.store(one).authority()->entry() == entry);
    CHECK(house.Has(one, before));
    CHECK_FALSE(house.Has(one, after));
  }
  CHECK(RemoveKey(house.store(0), house.key(0).public_key(), {}).error().code ==
        ErrorCode::kDenied);
  CHECK(RemoveKey(house.store(0), house.key(1).public_key(), {}).error().code ==
        ErrorCode::kNotFound);
  CHECK(RemoveKey(house.store(0), house.key(2).public_key(), {last}).error().code ==
        ErrorCode::kNotFound);
}

TEST_CASE("a key's work in an audience that the proposer does not read is not lost unasked") {
  House house;
  const AudienceId group = house.Group(1, 2);
  const auto stolen = house.key(1).public_key();
  const RecordId inside = house.WriteIn(1, group, "in der AG");
  const RecordId before = house.Write(1, "vor dem Diebstahl");
  const EntryId last = house.LastEntryOf(1, before);
  const RecordId after = house.Write(1, "vom Dieb");
  house.Exchange(2, 1);
  house.Round(0);
  REQUIRE(house.Has(2, inside));
  const auto refused = RemoveKey(house.store(0), stolen, {last});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kDenied);
  CHECK(refused.error().message.find("AG (BY)") != std::string::npos);

  SECTION("whoever reads it cuts first") {
    house.ApproveAt(2, Value(CutJournals(house.store(2), stolen, {last})), {3, 0});
    const EntryId out = Value(RemoveKey(house.store(0), stolen, {}));
    house.ApproveAt(0, out, {2, 3});
  }
  SECTION("or afterwards, where it could not wait") {
    const EntryId out = Value(RemoveKey(house.store(0), stolen, {last}, Unread::kVoid));
    house.ApproveAt(0, out, {2, 3});
    house.Exchange(2, 0);
    CHECK_FALSE(house.Has(2, inside));
    // It is a former key by now; what the theft is cut off by stays as it is.
    house.ApproveAt(2, Value(CutJournals(house.store(2), stolen, {})), {3});
    CHECK(CutJournals(house.store(2), stolen, {}).error().code == ErrorCode::kNotFound);
  }
  for (std::size_t one : {0u, 2u, 3u}) {
    house.Exchange(one == 0 ? 2 : one, 0);
    CHECK_FALSE(house.store(one).authority()->IsCurrentKey(stolen));
    CHECK(house.Has(one, before));
    CHECK_FALSE(house.Has(one, after));
  }
  CHECK(house.Has(2, inside));
  // Whoever holds the key is told what has become of it; a stranger is not.
  Talk talk(house[1], house[0]);
  const Status told = talk.Run();
  REQUIRE_FALSE(told);
  CHECK(told.error().code == ErrorCode::kDenied);
  CHECK(told.error().message.find("NW goes on with a new node") != std::string::npos);
  const auto stranger = crypto::KeyPair::FromSeedForTests("stranger").public_key();
  CHECK(NotListed(*house.store(0).authority(), stranger).message.find("no longer") ==
        std::string::npos);
}

TEST_CASE("a recovered chair's acts where the proposer does not read count again by a cut") {
  House house;
  const AudienceId group = house.Group(0, 1);
  const RecordId inside = house.WriteIn(1, group, "in der AG");
  house.Round(0);
  Value(house.store(0).WriteReceipts({{group}, {}}));
  house.Round(0);
  const auto not_received = [&] {
    Snapshot snapshot = Value(house.store(1).Read());
    return Value(snapshot.ReceptionOf(Value(snapshot.GetRecord(inside)))).not_received;
  };
  REQUIRE(not_received() == 0);
  CHECK(Value(EndedTermsNotCut(house.store(1))).empty());
  CHECK(CutEndedTerms(house.store(1), {}).error().code == ErrorCode::kNotFound);
  // NI is gone; BY does not read the group.
  const EntryId entry = Value(
      RecoverChair(house.store(2), house.key(2), {house[2].self().id, {}, {}}, house[2].clock()));
  CHECK(NotCutBy(house.store(2), entry) == std::vector{group});
  CHECK(Value(ReadHandover(house.store(2), house.key(2), house[2].clock())).pending.at(0).not_cut ==
        std::vector{group});
  house.ApproveAt(2, entry, {1, 3});
  house.Exchange(1, 2);
  CHECK(not_received() == 1);
  CHECK(Value(EndedTermsNotCut(house.store(1))) == std::vector{group});
  CHECK(Value(EndedTermsNotCut(house.store(2))).empty());
  CHECK(CutEndedTerms(house.store(1), {entry}).error().code == ErrorCode::kNotFound);
  const EntryId cut = Value(CutEndedTerms(house.store(1), {}));
  CHECK(NotCutBy(house.store(1), cut).empty());
  house.Exchange(1, 2);
  Value(Approve(house.store(2), house.key(2), cut.Hex()));
  house.ApproveAt(2, cut, {3});
  house.Exchange(1, 2);
  CHECK(not_received() == 0);
  CHECK(Value(EndedTermsNotCut(house.store(1))).empty());
}

TEST_CASE("a recovery key is added with the chair, and signs for its Land") {
  House house;
  const auto recovery = crypto::KeyPair::FromSeedForTests("recovery");
  const EntryId entry = Value(AddRecoveryKey(house.store(1), recovery.public_key()));
  house.Round(0);
  CHECK(house.store(1).authority()->entry() != entry);
  Value(Approve(house.store(0), house.key(0), entry.Hex()));
  house.Round(0);
  REQUIRE(house.store(1).authority()->entry() == entry);
  // A threshold needs three of four; NW's node is burnt, its recovery key is not.
  const EntryId rule = Value(SetRule(house.store(0), "threshold.resolution", "3", TimeMs{1}));
  house.Round(0);
  Value(Approve(house.store(2), house.key(2), rule.Hex()));
  house.Round(0);
  REQUIRE(house.store(2).authority()->entry() == entry);
  const auto signature =
      charter::SignCharterEntry(rule, charter::CharterSignature::Kind::kApproval, recovery);
  Ok(TakeApproval(house.store(3), rule, recovery.public_key(), signature.signature));
  house.Round(0);
  CHECK(house.store(0).authority()->entry() == rule);
  CHECK(house.store(0).authority()->RuleAt("threshold.resolution", TimeMs{5}) == "3");
  const auto stranger = crypto::KeyPair::FromSeedForTests("stranger");
  CHECK(
      TakeApproval(house.store(3), rule, stranger.public_key(), signature.signature).error().code ==
      ErrorCode::kDenied);
  CHECK(TakeApproval(house.store(3), rule, house.key(2).public_key(), signature.signature)
            .has_value());  // known already: its signature is not even looked at
  CHECK_FALSE(SetRule(house.store(0), "threshold.resolution", "viele", TimeMs{1}));
}

}  // namespace
}  // namespace staffel::sync
