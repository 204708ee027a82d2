// SPDX-License-Identifier: EUPL-1.2
// Rules of a conference as dated data (docs/formats/charter.md, "Rules"): in which order the chair
// passes on, who is passed over, on which day a term begins; and what has been announced for the
// next handover; deadlines. Nothing here is code for one conference: another order is another
// charter. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/id.h"
#include "core/base/result.h"
#include "core/base/time.h"
#include "core/charter/authority.h"
#include "core/crypto/key.h"

namespace staffel::charter {

// "BW BY BE": members in the chair's order. Not there: the voting members by their names.
inline constexpr std::string_view kOrderRule = "rotation.order";
// "BE HB HH": members that the chair passes over.
inline constexpr std::string_view kSkipRule = "rotation.skip";
// "07-01": month and day on which a term begins. Not there: a year after the last began.
inline constexpr std::string_view kFirstDayRule = "rotation.first-day";
// "Europe/Berlin": whose midnight that is. Not there: this one.
inline constexpr std::string_view kZoneRule = "rotation.zone";
// What the chair has announced: see NextTerm.
inline constexpr std::string_view kNextRule = "rotation.next";
// "deadline.amendment" and the like: an RFC 3339 time, or "14 days" before the meeting.
inline constexpr std::string_view kDeadlinePrefix = "deadline.";
// "threshold.resolution" and the like: "13", "unanimous", "majority", "majority-of-votes".
inline constexpr std::string_view kThresholdPrefix = "threshold.";

// Whether a rule of that name may have that value: a name that nothing reads is refused, and votes
// that nobody could reach. Of "deadline.…" and "threshold.…" the rest is a record's kind, which is
// not looked at here. The refusal says what is expected.
[[nodiscard]] Status CheckRule(const Authority& authority, std::string_view name,
                               std::string_view value);

// How many members have a vote.
[[nodiscard]] std::size_t VotesIn(const Content& charter);

// How many votes a rule "threshold.…" asks for; nothing where it gives no number, or is no such
// rule.
[[nodiscard]] std::optional<std::size_t> VotesAskedFor(const Rule& rule);

// The newest rule of that name that has begun at `time`; null where none has. Lives as long as the
// charter does.
[[nodiscard]] const Rule* RuleInForce(const Content& charter, std::string_view name, TimeMs time);

// What a rule "deadline.…" says: a time, or so many days before the meeting that something is for.
struct DeadlineRule {
  std::optional<TimeMs> at;
  unsigned days_before = 0;  // where no time is given
  friend bool operator==(const DeadlineRule&, const DeadlineRule&) = default;
};
inline constexpr unsigned kDeadlineDaysMax = 3'660;
[[nodiscard]] Result<DeadlineRule> ReadDeadline(std::string_view value);
// The end of the day that comes so many days before a meeting's first day ("2025-03-20", or a
// date-time of that form), in that zone.
[[nodiscard]] Result<TimeMs> DaysBefore(std::string_view start, unsigned days,
                                        std::string_view zone);

// Who has the chair after `member`, by the rules at `time`. kNotFound: the rules name nobody else.
[[nodiscard]] Result<MemberId> NextChair(const Authority& authority, const MemberId& member,
                                         TimeMs time);
// The members in the chair's order at `time`, those that are passed over left out.
[[nodiscard]] std::vector<MemberId> ChairOrder(const Authority& authority, TimeMs time);
// The first beginning of a term after `time`, by the rules then.
[[nodiscard]] Result<TimeMs> NextTermStart(const Authority& authority, TimeMs time);

// The next term as the chair has announced it, as data in the charter, before anything of it is
// signed: members agree to it in advance.
struct NextTerm {
  MemberId member;
  crypto::PublicKey replica;
  TimeMs starts;
  friend bool operator==(const NextTerm&, const NextTerm&) = default;
};
[[nodiscard]] std::string NextTermText(const NextTerm& next);
[[nodiscard]] std::optional<NextTerm> ReadNextTerm(std::string_view text);
// What is announced in this charter for the term after its present one.
[[nodiscard]] std::optional<NextTerm> Announced(const Authority& authority);

}  // namespace staffel::charter
