// SPDX-License-Identifier: EUPL-1.2
#include "sync/proposal.h"

#include <memory>

#include <catch2/catch.hpp>

#include "core/store/charter_draft.h"
#include "sync/audiences.h"
#include "sync/charter_changes.h"
#include "tests/support/conference.h"
#include "tests/sync/talk.h"

namespace staffel::sync {
namespace {

using testing::Ok;
using testing::Talk;
using testing::Value;

struct House : testing::FourLaender {
  // What a node does by itself after an exchange.
  void Exchange(std::size_t asker, std::size_t answerer) {
    Talk talk(*replicas.at(asker), *replicas.at(answerer));
    Ok(talk.Run());
    for (std::size_t one : {answerer, asker}) {
      (void)Value(CosignInForce(store(one), key(one)));
      (void)Value(RenewOvertaken(store(one)));
    }
  }
  void Round() {
    for (int i = 0; i < 3; ++i) {
      for (std::size_t one = 1; one < replicas.size(); ++one) Exchange(one, 0);
    }
  }
  std::vector<WaitingChange> Waiting(std::size_t index) {
    return WaitingChanges(store(index), key(index));
  }
  // The chair alone: in force at once.
  void Deadline(const char* days) {
    Value(SetRule(store(0), "deadline.amendment", days, TimeMs{1}));
  }
};

TEST_CASE("what another change overtakes is put forward again by the node that wants it") {
  House house;
  const EntryId first = Value(AdmitMember(house.store(1), *MemberId::From("SSW"), "Gast", false));
  house.Round();
  REQUIRE(house.Waiting(2).size() == 1);
  house.Deadline("7 days");
  CHECK(house.Waiting(0).empty());
  house.Round();
  for (std::size_t one : {0u, 1u, 2u, 3u}) {
    INFO(one);
    const auto waiting = house.Waiting(one);
    REQUIRE(waiting.size() == 1);
    CHECK(waiting.front().entry != first);
    CHECK(waiting.front().approved == std::vector<MemberId>{*MemberId::From("NW")});
  }
  CHECK(OvertakenChanges(house.store(1), house.key(1)).empty());
  CHECK(Value(RenewOvertaken(house.store(1))) == 0);
  // Approved, it is in force, beside what had overtaken it; and then it is done with.
  Value(Approve(house.store(0), house.key(0), house.Waiting(0).front().entry.Hex()));
  house.Round();
  const auto authority = house.store(3).authority();
  CHECK(authority->FindMember(*MemberId::From("SSW")) != nullptr);
  CHECK(authority->content().rules.size() == 1);
  house.Deadline("14 days");
  house.Round();
  CHECK(house.Waiting(1).empty());
}

TEST_CASE(
    "what both have changed is not put forward again, and the node says so until it is dropped") {
  House house;
  const EntryId mine = Value(SetRule(house.store(1), "deadline.amendment", "21 days", TimeMs{1}));
  house.Round();
  house.Deadline("7 days");
  house.Round();
  CHECK(house.Waiting(1).empty());
  const auto overtaken = OvertakenChanges(house.store(1), house.key(1));
  REQUIRE(overtaken.size() == 1);
  CHECK(overtaken.front().change.entry == mine);
  CHECK(overtaken.front().reason.find("deadline.amendment") != std::string::npos);
  CHECK(OvertakenChanges(house.store(2), house.key(2)).empty());
  Value(DropChange(house.store(1), house.key(1), mine.Hex().substr(0, 12)));
  CHECK(OvertakenChanges(house.store(1), house.key(1)).empty());
}

TEST_CASE("the same change is not put forward twice while the first waits") {
  House house;
  const MemberId ssw = *MemberId::From("SSW");
  Value(AdmitMember(house.store(0), ssw, "Gast", false));
  CHECK(AdmitMember(house.store(0), ssw, "Gast", false).error().code == ErrorCode::kExists);
  house.Round();
  CHECK(AdmitMember(house.store(1), ssw, "Gast", false).error().code == ErrorCode::kExists);
  CHECK(AdmitMember(house.store(1), ssw, "Anders", false));
  charter::NewAudience audience;
  audience.readers = {*MemberId::From("NI"), *MemberId::From("NW")};
  const auto create = [&](const char* name, bool confidential) {
    return CreateAudience(house.store(0), house.key(0), audience, {name, ""}, confidential,
                          house.replicas[0]->random());
  };
  CHECK(create("AG", false));
  CHECK(create("AG", false).error().code == ErrorCode::kExists);
  CHECK(create("AG geheim", true));
  CHECK(create("AG geheim", true).error().code == ErrorCode::kExists);
  CHECK(create("AG anders", true));
}

TEST_CASE("what was dropped is hidden, not approved by mistake, and not put forward again") {
  House house;
  const MemberId ssw = *MemberId::From("SSW");
  const EntryId entry = Value(AdmitMember(house.store(1), ssw, "Gast", false));
  house.Round();
  Value(DropChange(house.store(0), house.key(0), entry.Hex().substr(0, 8)));
  CHECK(house.Waiting(0).empty());
  CHECK(WaitingChanges(house.store(0), house.key(0), /*all=*/true).front().dropped);
  CHECK(Approve(house.store(0), house.key(0), entry.Hex()).error().code == ErrorCode::kDenied);
  CHECK(house.Waiting(2).size() == 1);  // the others see it
  Value(KeepChange(house.store(0), house.key(0), entry.Hex()));
  CHECK(house.Waiting(0).size() == 1);
  CHECK(DropChange(house.store(0), house.key(0), "ffffffffffff").error().code ==
        ErrorCode::kNotFound);
  // By the one who proposed it: nothing comes again.
  Value(DropChange(house.store(1), house.key(1), entry.Hex()));
  house.Deadline("7 days");
  house.Round();
  for (std::size_t one : {0u, 1u, 2u, 3u}) CHECK(house.Waiting(one).empty());
  CHECK(AdmitMember(house.store(1), ssw, "Gast", false));
}

TEST_CASE("a node puts a change forward again only so often") {
  House house;
  const EntryId mine = Value(AdmitMember(house.store(0), *MemberId::From("SSW"), "Gast", false));
  for (std::uint64_t i = 0; i <= kRenewalsMax; ++i) {
    house.Deadline(i % 2 == 0 ? "7 days" : "14 days");
    (void)Value(RenewOvertaken(house.store(0)));
  }
  CHECK(house.Waiting(0).empty());
  const auto overtaken = OvertakenChanges(house.store(0), house.key(0));
  REQUIRE(overtaken.size() == 1);
  CHECK(overtaken.front().change.entry != mine);
  CHECK(overtaken.front().reason.find(std::to_string(kRenewalsMax + 1)) != std::string::npos);
}

}  // namespace
}  // namespace staffel::sync
