// SPDX-License-Identifier: EUPL-1.2
#include "core/charter/rotation.h"

#include <algorithm>
#include <charconv>
#include <chrono>

#include "core/base/text.h"

namespace staffel::charter {
namespace {

constexpr std::string_view kDefaultZone = "Europe/Berlin";

std::vector<std::string_view> Words(std::string_view text) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    const auto end = std::min(text.find_first_of(" ,"), text.size());
    if (end > 0) words.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

Result<std::vector<MemberId>> ReadMembers(const Authority& authority, std::string_view rule,
                                          std::string_view value) {
  std::vector<MemberId> members;
  for (std::string_view word : Words(value)) {
    const auto id = MemberId::From(word);
    if (!id || authority.FindMember(*id) == nullptr) {
      return Fail(ErrorCode::kInvalid, "rule '{}' names '{}', who is no member of {}", rule, word,
                  authority.name());
    }
    if (std::find(members.begin(), members.end(), *id) != members.end()) {
      return Fail(ErrorCode::kInvalid, "rule '{}' names {} twice", rule, word);
    }
    members.push_back(*id);
  }
  return members;
}

// Those that are members still; a rule may be older than a leaving.
std::vector<MemberId> MembersOf(const Authority& authority, std::string_view value) {
  std::vector<MemberId> members;
  for (std::string_view word : Words(value)) {
    const auto id = MemberId::From(word);
    if (id && authority.FindMember(*id) != nullptr) members.push_back(*id);
  }
  return members;
}

std::string ZoneAt(const Authority& authority, TimeMs time) {
  auto zone = authority.RuleAt(kZoneRule, time);
  return zone && IsKnownZone(*zone) ? *zone : std::string(kDefaultZone);
}

int YearIn(TimeMs time, std::string_view zone) {
  const std::string local = FormatTimeIn(time, zone);
  int year = 0;
  std::from_chars(local.data(), local.data() + 4, year);
  return year;
}

// Midnight of "MM-DD" in that year; a 29 February that is not there is the day before.
Result<TimeMs> Midnight(int year, std::string_view day, std::string_view zone) {
  std::string date = fmt::format("{:04}-{}", year, day);
  if (!IsDate(date) && day == "02-29") date = fmt::format("{:04}-02-28", year);
  return ParseLocalTime(date + "T00:00", zone);
}

bool IsThreshold(std::string_view value) {
  if (value == "unanimous" || value == "majority" || value == "majority-of-votes") return true;
  unsigned votes = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), votes);
  return error == std::errc() && end == value.data() + value.size() && votes > 0;
}

}  // namespace

Status CheckRule(const Authority& authority, std::string_view name, std::string_view value) {
  if (name != kOrderRule && name != kSkipRule && name != kFirstDayRule && name != kZoneRule &&
      name != kNextRule && !name.starts_with(kDeadlinePrefix) &&
      !name.starts_with(kThresholdPrefix)) {
    return Fail(ErrorCode::kInvalid,
                "there is no rule '{}': there are rotation.order, rotation.skip, "
                "rotation.first-day, rotation.zone, deadline.KIND and threshold.KIND",
                name);
  }
  if (name == kOrderRule || name == kSkipRule) {
    STAFFEL_TRY(members, ReadMembers(authority, name, value));
    if (members.empty()) return Fail(ErrorCode::kInvalid, "rule '{}' names nobody", name);
    return {};
  }
  if (name == kFirstDayRule && !IsDate(fmt::format("2024-{}", value))) {
    return Fail(ErrorCode::kInvalid, "rule '{}' is a month and a day such as 07-01, not '{}'", name,
                value);
  }
  if (name == kZoneRule && !IsKnownZone(value)) {
    return Fail(ErrorCode::kInvalid, "rule '{}': '{}' is no time zone such as Europe/Berlin", name,
                value);
  }
  if (name == kNextRule) {
    return Fail(ErrorCode::kInvalid, "a handover is announced by 'staffel handover propose'");
  }
  if (name.starts_with(kDeadlinePrefix)) {
    STAFFEL_TRY(deadline, ReadDeadline(value));
    (void)deadline;
  }
  if (name.starts_with(kThresholdPrefix) && !IsThreshold(value)) {
    return Fail(ErrorCode::kInvalid,
                "rule '{}' is a number of votes, 'unanimous', 'majority' (of all who have a vote) "
                "or 'majority-of-votes' (of those cast), not '{}'",
                name, value);
  }
  if (const auto votes = VotesAskedFor({std::string(name), std::string(value), {}})) {
    const std::size_t voting = VotesIn(authority.content());
    if (*votes > voting) {
      return Fail(ErrorCode::kInvalid, "rule '{}': {} votes are more than the {} that there are",
                  name, *votes, voting);
    }
  }
  return {};
}

std::size_t VotesIn(const Content& charter) {
  return static_cast<std::size_t>(
      std::count_if(charter.members.begin(), charter.members.end(),
                    [](const Member& member) { return member.voting; }));
}

std::optional<std::size_t> VotesAskedFor(const Rule& rule) {
  if (!rule.name.starts_with(kThresholdPrefix)) return std::nullopt;
  std::size_t votes = 0;
  const char* last = rule.value.data() + rule.value.size();
  const auto [end, error] = std::from_chars(rule.value.data(), last, votes);
  if (error != std::errc() || end != last) return std::nullopt;
  return votes;
}

const Rule* RuleInForce(const Content& charter, std::string_view name, TimeMs time) {
  const Rule* newest = nullptr;
  for (const Rule& rule : charter.rules) {
    if (rule.name != name || rule.from > time) continue;
    if (newest == nullptr || rule.from > newest->from) newest = &rule;
  }
  return newest;
}

Result<DeadlineRule> ReadDeadline(std::string_view value) {
  DeadlineRule rule;
  const auto [end, error] =
      std::from_chars(value.data(), value.data() + value.size(), rule.days_before);
  const std::string_view unit = value.substr(static_cast<std::size_t>(end - value.data()));
  if (error == std::errc() && (unit == " days" || unit == " day")) {
    if (rule.days_before <= kDeadlineDaysMax) return rule;
    return Fail(ErrorCode::kInvalid, "a deadline is at most {} days before the meeting",
                kDeadlineDaysMax);
  }
  auto time = ParseTime(value);
  if (!time) {
    return Fail(ErrorCode::kInvalid,
                "a deadline is a time such as 2025-03-01T12:00:00+01:00, or days before the "
                "meeting such as '14 days', not '{}'",
                value);
  }
  return DeadlineRule{*time, 0};
}

Result<TimeMs> DaysBefore(std::string_view start, unsigned days, std::string_view zone) {
  const std::string_view date = start.substr(0, 10);
  if (!IsDate(date)) return Fail(ErrorCode::kInvalid, "'{}' is no date", start);
  int year = 0;
  unsigned month = 0;
  unsigned day = 0;
  std::from_chars(date.data(), date.data() + 4, year);
  std::from_chars(date.data() + 5, date.data() + 7, month);
  std::from_chars(date.data() + 8, date.data() + 10, day);
  using namespace std::chrono;
  const year_month_day before(
      sys_days(std::chrono::year(year) / static_cast<int>(month) / static_cast<int>(day)) -
      std::chrono::days(days));
  return ParseLocalTime(
      fmt::format("{:04}-{:02}-{:02}T24:00", static_cast<int>(before.year()),
                  static_cast<unsigned>(before.month()), static_cast<unsigned>(before.day())),
      zone);
}

std::vector<MemberId> ChairOrder(const Authority& authority, TimeMs time) {
  std::vector<MemberId> order;
  if (const auto rule = authority.RuleAt(kOrderRule, time)) {
    order = MembersOf(authority, *rule);
  } else {
    std::vector<const Member*> voting;
    for (const Member& member : authority.members()) {
      if (member.voting) voting.push_back(&member);
    }
    std::stable_sort(voting.begin(), voting.end(), [](const Member* a, const Member* b) {
      return CompareGerman(a->name, b->name) < 0;
    });
    for (const Member* member : voting) order.push_back(member->id);
  }
  const auto skip = MembersOf(authority, authority.RuleAt(kSkipRule, time).value_or(""));
  std::erase_if(order, [&](const MemberId& member) {
    return std::find(skip.begin(), skip.end(), member) != skip.end();
  });
  return order;
}

Result<MemberId> NextChair(const Authority& authority, const MemberId& member, TimeMs time) {
  // The place of whoever has the chair counts also where the rule would pass it over.
  std::vector<MemberId> order = ChairOrder(authority, time);
  const auto nobody = [&] {
    return Fail(ErrorCode::kNotFound, "the rules of {} name nobody after {}: name the next chair",
                authority.name(), member.text());
  };
  if (order.empty()) return nobody();
  const auto at = std::find(order.begin(), order.end(), member);
  if (at != order.end()) {
    const auto next = std::next(at) == order.end() ? order.begin() : std::next(at);
    if (*next == member) return nobody();
    return *next;
  }
  std::vector<MemberId> everyone;
  if (const auto rule = authority.RuleAt(kOrderRule, time)) {
    everyone = MembersOf(authority, *rule);
  } else {
    std::vector<const Member*> members;
    for (const Member& one : authority.members()) members.push_back(&one);
    std::stable_sort(members.begin(), members.end(), [](const Member* a, const Member* b) {
      return CompareGerman(a->name, b->name) < 0;
    });
    for (const Member* one : members) everyone.push_back(one->id);
  }
  const auto place = std::find(everyone.begin(), everyone.end(), member);
  for (auto next = place; next != everyone.end(); ++next) {
    if (std::find(order.begin(), order.end(), *next) != order.end()) return *next;
  }
  return order.front();
}

Result<TimeMs> NextTermStart(const Authority& authority, TimeMs time) {
  const std::string zone = ZoneAt(authority, time);
  std::string day;
  if (const auto rule = authority.RuleAt(kFirstDayRule, time)) {
    day = *rule;
  } else {
    day = FormatTimeIn(authority.current_term().starts, zone).substr(5, 5);
  }
  const int year = YearIn(time, zone);
  for (int candidate : {year, year + 1}) {
    STAFFEL_TRY(start, Midnight(candidate, day, zone));
    if (start > time) return start;
  }
  return Fail(ErrorCode::kInternal, "no term begins after {}", FormatTimeUtc(time));
}

std::string NextTermText(const NextTerm& next) {
  return fmt::format("{} {} {}", next.member.text(), ToHex(next.replica.bytes()),
                     FormatTimeUtc(next.starts));
}

std::optional<NextTerm> ReadNextTerm(std::string_view text) {
  const auto words = Words(text);
  if (words.size() != 3) return std::nullopt;
  const auto member = MemberId::From(words[0]);
  const auto bytes = FromHex(words[1]);
  auto key = bytes ? crypto::PublicKey::From(*bytes) : Result<crypto::PublicKey>();
  const auto starts = ParseTime(words[2]);
  if (!member || !bytes || !key || !starts) return std::nullopt;
  return NextTerm{*member, std::move(*key), *starts};
}

std::optional<NextTerm> Announced(const Authority& authority) {
  // The one that was written last; there is never more than one unless a quorum wants it so.
  const Rule* last = nullptr;
  for (const Rule& rule : authority.content().rules) {
    if (rule.name == kNextRule && (last == nullptr || last->from < rule.from)) last = &rule;
  }
  return last == nullptr ? std::nullopt : ReadNextTerm(last->value);
}

}  // namespace staffel::charter
