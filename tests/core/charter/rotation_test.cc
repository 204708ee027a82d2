// SPDX-License-Identifier: EUPL-1.2
#include "core/charter/rotation.h"

#include <catch2/catch.hpp>

#include "tests/core/charter/board.h"

namespace staffel::charter {
namespace {

// A conference of these members, founded by the first of `founder`.
std::shared_ptr<const Authority> Conference(
    const std::vector<std::pair<std::string, std::string>>& members, const std::string& founder,
    std::string_view starts, std::vector<Rule> rules) {
  testing::SimRandom random(1);
  FoundingOptions options;
  options.name = "XMK";
  for (const auto& [id, name] : members) options.members.push_back({M(id), name, true});
  options.founder = M(founder);
  options.replica = ReplicaNamed(founder, "https://hub.example.org");
  options.term_starts = Must(ParseTime(starts));
  options.rules = std::move(rules);
  const Content content = Must(FoundingCharter(options, random));
  return Authority::Found(random.DrawId<EntryId>(), std::make_shared<const Content>(content));
}

const std::vector<std::pair<std::string, std::string>>& Laender() {
  static const std::vector<std::pair<std::string, std::string>> laender{
      {"NI", "Niedersachsen"},
      {"NW", "Nordrhein-Westfalen"},
      {"BY", "Bayern"},
      {"BW", "Baden-Württemberg"},
      {"BE", "Berlin"},
      {"BB", "Brandenburg"},
      {"HB", "Bremen"},
      {"HH", "Hamburg"},
      {"HE", "Hessen"},
      {"MV", "Mecklenburg-Vorpommern"},
      {"RP", "Rheinland-Pfalz"},
      {"SL", "Saarland"},
      {"SN", "Sachsen"},
      {"ST", "Sachsen-Anhalt"},
      {"SH", "Schleswig-Holstein"},
      {"TH", "Thüringen"}};
  return laender;
}

TEST_CASE("IntMK: the chair passes by the Länder's names, each 1 July in Berlin") {
  const auto intmk = Conference(Laender(), "NI", "2024-06-30T22:00:00Z",
                                {{"rotation.first-day", "07-01", TimeMs{1}}});
  const TimeMs now = Must(ParseTime("2025-05-02T10:00:00+02:00"));
  std::string order;
  for (const MemberId& member : ChairOrder(*intmk, now)) order += std::string(member.text()) + " ";
  CHECK(order == "BW BY BE BB HB HH HE MV NI NW RP SL SN ST SH TH ");
  std::string row;
  MemberId at = M("NI");
  for (int i = 0; i < 16; ++i) {
    at = Must(NextChair(*intmk, at, now));
    row += std::string(at.text()) + " ";
  }
  CHECK(row == "NW RP SL SN ST SH TH BW BY BE BB HB HH HE MV NI ");
  CHECK(FormatTimeUtc(Must(NextTermStart(*intmk, now))) == "2025-06-30T22:00:00Z");
  // The day itself is not after itself.
  CHECK(FormatTimeUtc(Must(NextTermStart(*intmk, Must(ParseTime("2025-06-30T22:00:00Z"))))) ==
        "2026-06-30T22:00:00Z");
}

TEST_CASE("AMK: seventeen votes, the calendar year, city states and the Bund passed over") {
  auto members = Laender();
  members.emplace_back("BUND", "Bund");
  const auto amk = Conference(
      members, "BW", "2024-12-31T23:00:00Z",
      {{"rotation.first-day", "01-01", TimeMs{1}}, {"rotation.skip", "BE HB HH BUND", TimeMs{1}}});
  CHECK(amk->quorum().eligible.size() == 1);
  const TimeMs now = Must(ParseTime("2025-05-02T10:00:00+02:00"));
  std::string row;
  MemberId at = M("BW");
  for (int i = 0; i < 13; ++i) {
    at = Must(NextChair(*amk, at, now));
    row += std::string(at.text()) + " ";
  }
  CHECK(row == "BY BB HE MV NI NW RP SL SN ST SH TH BW ");
  // Whoever is passed over and has the chair all the same passes it on from its place.
  CHECK(Must(NextChair(*amk, M("HH"), now)) == M("HE"));
  // Winter time: midnight in Berlin is 23:00 UTC.
  CHECK(FormatTimeUtc(Must(NextTermStart(*amk, now))) == "2025-12-31T23:00:00Z");
}

TEST_CASE("an order, a zone and their dates are data, and so is a change of them") {
  const TimeMs early = Must(ParseTime("2025-01-01T00:00:00Z"));
  const TimeMs late = Must(ParseTime("2027-01-01T00:00:00Z"));
  const auto body =
      Conference(Laender(), "NI", "2024-02-29T00:00:00Z",
                 {{"rotation.order", "TH NI BY", TimeMs{1}},
                  {"rotation.order", "TH NI HE BY", Must(ParseTime("2026-01-01T00:00:00Z"))},
                  {"rotation.zone", "UTC", TimeMs{1}}});
  CHECK(Must(NextChair(*body, M("NI"), early)) == M("BY"));
  CHECK(Must(NextChair(*body, M("NI"), late)) == M("HE"));
  CHECK(Must(NextChair(*body, M("BY"), late)) == M("TH"));
  // No day is given: a year after the last term began, and what is no date is the day before.
  CHECK(FormatTimeUtc(Must(NextTermStart(*body, early))) == "2025-02-28T00:00:00Z");
}

TEST_CASE("where the rules name nobody else, they say so") {
  const auto body =
      Conference(Laender(), "NI", "2024-02-01T00:00:00Z", {{"rotation.order", "NI", TimeMs{1}}});
  const auto refused = NextChair(*body, M("NI"), TimeMs{5});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kNotFound);
}

TEST_CASE("rules that cannot be meant are refused with what is expected") {
  const auto body = Conference(Laender(), "NI", "2024-02-01T00:00:00Z", {});
  const auto taken = [&](std::string_view name, std::string_view value) {
    return CheckRule(*body, name, value).has_value();
  };
  CHECK(taken("rotation.order", "NI, NW BY"));
  CHECK_FALSE(taken("rotation.order", "NI XX"));
  CHECK_FALSE(taken("rotation.order", "NI NI"));
  CHECK_FALSE(taken("rotation.skip", ""));
  CHECK(taken("rotation.first-day", "02-29"));
  CHECK_FALSE(taken("rotation.first-day", "13-01"));
  CHECK_FALSE(taken("rotation.first-day", "1. Juli"));
  CHECK_FALSE(taken("rotation.zone", "Europe/Hannover"));
  CHECK_FALSE(taken("rotation.next", "NW"));
  CHECK(taken("deadline.registration", "2025-03-01T12:00:00+01:00"));
  CHECK_FALSE(taken("deadline.registration", "morgen"));
  CHECK(taken("deadline.amendment", "14 days"));
  CHECK(taken("deadline.amendment", "1 day"));
  CHECK_FALSE(taken("deadline.amendment", "14 Tage"));
  CHECK_FALSE(taken("deadline.amendment", "-1 days"));
  CHECK_FALSE(taken("deadline.amendment", " days"));
  CHECK_FALSE(taken("deadline.amendment", "4000 days"));
  CHECK(taken("threshold.resolution", "13"));
  CHECK(taken("threshold.resolution", "unanimous"));
  CHECK_FALSE(taken("threshold.resolution", "0"));
  CHECK_FALSE(taken("threshold.resolution", "most"));
  // Sixteen have a vote; what nothing reads is a slip of the pen.
  CHECK(taken("threshold.resolution", "16"));
  CHECK_FALSE(taken("threshold.resolution", "17"));
  CHECK_FALSE(taken("nonsense", "5"));
  CHECK_FALSE(taken("rotation.oder", "NI NW BY"));
}

TEST_CASE("a deadline of days before a meeting ends with its day, where the meeting is") {
  CHECK(Must(ReadDeadline("14 days")) == DeadlineRule{std::nullopt, 14});
  CHECK(Must(ReadDeadline("2025-03-01T12:00Z")).at == Must(ParseTime("2025-03-01T12:00Z")));
  const auto before = [](std::string_view start, unsigned days) {
    return FormatTimeUtc(Must(DaysBefore(start, days, "Europe/Berlin")));
  };
  // Over the change of clocks, the end of February and that of the year.
  CHECK(before("2025-04-09T10:00", 14) == "2025-03-26T23:00:00Z");
  CHECK(before("2025-04-09", 7) == "2025-04-02T22:00:00Z");
  CHECK(before("2024-03-01", 1) == "2024-02-29T23:00:00Z");
  CHECK(before("2025-01-10", 10) == "2024-12-31T23:00:00Z");
  CHECK(before("2025-01-10", 0) == "2025-01-10T23:00:00Z");
  CHECK_FALSE(DaysBefore("2025-02-30", 1, "Europe/Berlin"));
  CHECK_FALSE(DaysBefore("2025-02-03", 1, "Europe/Hannover"));
}

TEST_CASE("what is announced reads back, and a next term takes it away") {
  Board board(3);
  const NextTerm next{M("NW"), KeyOf("NW").public_key(), Must(ParseTime("2025-06-30T22:00:00Z"))};
  REQUIRE(ReadNextTerm(NextTermText(next)));
  CHECK(*ReadNextTerm(NextTermText(next)) == next);
  CHECK_FALSE(ReadNextTerm("NW"));
  CHECK_FALSE(ReadNextTerm("NW 00 2025-06-30T22:00:00Z"));
  CHECK_FALSE(Announced(board.authority()));
  const Content announced =
      Must(WithRule(board.Now(), std::string(kNextRule), NextTermText(next), TimeMs{9}));
  CHECK(Must(WithRule(announced, std::string(kNextRule), std::nullopt, TimeMs{9})) == board.Now());
  CHECK_FALSE(WithRule(board.Now(), std::string(kNextRule), std::nullopt, TimeMs{9}));
  // The chair announces alone.
  CHECK(board.Judge(announced, {"NI"}).Satisfied());
  const EntryId entry = board.Propose(announced);
  board.Approve(entry, {"NI"});
  REQUIRE(Announced(board.authority()));
  CHECK(*Announced(board.authority()) == next);
  const Content passed = Must(WithNextTerm(announced, M("NW"), next.replica, next.starts, {}));
  CHECK(passed.rules.empty());
}

}  // namespace
}  // namespace staffel::charter
