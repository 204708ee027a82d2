// SPDX-License-Identifier: EUPL-1.2
// What the chair has received, what came late, and what has no effect.
#include "api/admin/receipts.h"

#include <algorithm>
#include <set>

#include "api/admin/administration.h"
#include "core/charter/rotation.h"
#include "core/record/release.h"
#include "core/record/view.h"
#include "staffel/v1/ballot.pb.h"
#include "staffel/v1/event.pb.h"
#include "staffel/v1/meeting.pb.h"

namespace staffel::api {

namespace {

// The conferences' own zone, where a deadline names none.
constexpr std::string_view kZone = "Europe/Berlin";

constexpr std::string_view kBallotKind = "ballot";
constexpr std::string_view kEventKind = "event";
constexpr std::string_view kMeetingKind = "meeting";
// A declaration names a resolution, that an agenda item, that its meeting.
constexpr int kStepsToMeetingMax = 3;
// What a deadline of the calendar is about, where it names no record.
constexpr std::string_view kDeadlineKinds[] = {"resolution", "amendment", "ballot", "declaration"};

// A deadline, and where it comes from.
struct Deadline {
  TimeMs at;
  std::string field;                  // of the record, where it stands there
  std::optional<charter::Rule> rule;  // else the one that gives it
  std::optional<RecordView> meeting;  // from whose first day that counts back
};

// The deadline that stands in the record itself.
Result<std::optional<Deadline>> OwnDeadlineOf(const record::Kind& kind, const RecordView& view) {
  if (kind.name == kBallotKind) {
    v1::Ballot ballot;
    if (ballot.ParseFromArray(view.row.data(), static_cast<int>(view.row.size())) &&
        ballot.conditions().closes_ms() != 0) {
      return std::optional(
          Deadline{TimeMs{ballot.conditions().closes_ms()}, "conditions.closes_ms", {}, {}});
    }
  }
  if (kind.name == kEventKind) {
    v1::Event event;
    if (event.ParseFromArray(view.row.data(), static_cast<int>(view.row.size())) &&
        !event.when().start().empty()) {
      std::string start = event.when().start();
      if (IsDate(start)) start += "T24:00";  // a day's deadline ends with the day
      STAFFEL_TRY(time,
                  ParseLocalTime(start, event.when().zone().empty() ? kZone : event.when().zone()));
      return std::optional(Deadline{time, "when.start", {}, {}});
    }
  }
  return std::optional<Deadline>();
}

// The meeting that the record is for: it names it, or what it names does. The first that is found.
Result<std::optional<RecordView>> MeetingOf(Snapshot& snapshot, const record::Kind& kind,
                                            const RecordView& view, int steps) {
  std::vector<RecordView> others;
  for (const auto& cell : record::CellsOfRow(kind, view.row)) {
    if (!cell.value) continue;
    for (const auto& reference : record::ReferencesOf(kind, cell.cell, *cell.value)) {
      const record::Field* field = kind.Find(reference.field);
      // What it is for is one record; sets name what it has to do with.
      if (field == nullptr || field->rule != record::Rule::kRegister) continue;
      const auto* to = record::Kinds().Find(field->refers_to);
      if (to == nullptr) continue;
      auto named = snapshot.GetRecord(reference.record, view.audience);
      if (!named && named.error().code == ErrorCode::kNotFound) {
        named = snapshot.GetRecord(reference.record);
      }
      if (!named && named.error().code == ErrorCode::kNotFound) continue;
      if (!named) return tl::unexpected<Error>(named.error());
      if (named->kind != to->number || named->deleted) continue;
      if (to->name == kMeetingKind) return std::optional(std::move(*named));
      others.push_back(std::move(*named));
    }
  }
  for (const RecordView& other : others) {
    if (steps == 0) break;
    STAFFEL_TRY(meeting, MeetingOf(snapshot, *record::Kinds().Find(other.kind), other, steps - 1));
    if (meeting) return meeting;
  }
  return std::optional<RecordView>();
}

// The deadline that the conference's rules give to records of this kind; nothing where none does.
Result<std::optional<Deadline>> RuledDeadlineOf(Snapshot& snapshot, const record::Kind& kind,
                                                const RecordView& view, TimeMs now) {
  const auto authority = snapshot.authority();
  if (authority == nullptr) return std::optional<Deadline>();
  const std::string name = std::string(charter::kDeadlinePrefix) + kind.name;
  STAFFEL_TRY(meeting, MeetingOf(snapshot, kind, view, kStepsToMeetingMax));
  v1::Meeting of;
  std::string zone(kZone);
  std::optional<TimeMs> first_day;
  if (meeting && of.ParseFromArray(meeting->row.data(), static_cast<int>(meeting->row.size())) &&
      !of.when().start().empty()) {
    if (!of.when().zone().empty()) zone = of.when().zone();
    STAFFEL_TRY(end, charter::DaysBefore(of.when().start(), 0, zone));
    first_day = end;
  }
  // The rule that holds on the meeting's first day: a later one changes no deadline that is over.
  const charter::Rule* ruling =
      charter::RuleInForce(authority->content(), name, first_day.value_or(now));
  if (ruling == nullptr) return std::optional<Deadline>();
  STAFFEL_TRY(rule, charter::ReadDeadline(ruling->value));
  if (rule.at) return std::optional(Deadline{*rule.at, {}, *ruling, {}});
  if (!first_day) {
    return Fail(ErrorCode::kInvalid,
                "the deadline of „{}“ is {} before its meeting, and it has no meeting with a "
                "date: name one, or a deadline with --at",
                record::TitleOf(kind, view.row), ruling->value);
  }
  STAFFEL_TRY(at, charter::DaysBefore(of.when().start(), rule.days_before, zone));
  return std::optional(Deadline{at, {}, *ruling, std::move(meeting)});
}

Result<Deadline> DeadlineOf(Snapshot& snapshot, const record::Kind& kind, const RecordView& view,
                            TimeMs now) {
  STAFFEL_TRY(own, OwnDeadlineOf(kind, view));
  if (own) return *own;
  STAFFEL_TRY(ruled, RuledDeadlineOf(snapshot, kind, view, now));
  if (ruled) return *ruled;
  if (kind.name == kBallotKind) {
    return Fail(ErrorCode::kInvalid,
                "the ballot „{}“ has no deadline (conditions.closes_ms): name one with --at",
                record::TitleOf(kind, view.row));
  }
  if (kind.name == kEventKind) {
    return Fail(ErrorCode::kInvalid, "the event „{}“ has no time: name a deadline with --at",
                record::TitleOf(kind, view.row));
  }
  return Fail(ErrorCode::kInvalid,
              "kind {} has no deadline of its own: name a ballot, an event, or a time with --at",
              kind.name);
}

// The member whose own cell this is; nothing for other cells.
std::optional<MemberId> OwnerOf(const Cell& cell) {
  const auto owner = CheckCell(cell);
  if (!owner || owner->kind != OwnerKind::kMember) return std::nullopt;
  return owner->member;
}

std::set<std::string> AdmittedTo(ByteView row) {
  v1::Ballot ballot;
  std::set<std::string> admitted;
  if (!ballot.ParseFromArray(row.data(), static_cast<int>(row.size()))) return admitted;
  for (const std::string& member : ballot.admitted()) admitted.insert(member);
  return admitted;
}

void FillReceipt(const ReceiptView& view, std::string audience, admin::Receipt& out) {
  out.set_entry(view.entry.Hex());
  out.set_journal(view.journal.Hex());
  out.set_number(view.seq);
  out.set_member(std::string(view.member.text()));
  out.set_term(view.term);
  out.set_time_ms(view.time.value);
  out.set_audience(std::move(audience));
  out.set_sentence(view.invalid_reason);
  for (const auto& line : view.lines) {
    auto* to = out.add_lines();
    to->set_journal(line.journal.Hex());
    to->set_entry(line.entry.Hex());
  }
}

}  // namespace

std::string_view ReasonName(charter::Reason reason) {
  switch (reason) {
    case charter::Reason::kValid:
      return "";
    case charter::Reason::kOtherConference:
      return "other-conference";
    case charter::Reason::kUnknownAudience:
      return "unknown-audience";
    case charter::Reason::kUnknownKey:
      return "unknown-key";
    case charter::Reason::kNeverAWriter:
      return "never-a-writer";
    case charter::Reason::kUnknownTerm:
      return "unknown-term";
    case charter::Reason::kNotTheTermsReplica:
      return "not-the-terms-replica";
    case charter::Reason::kGrantEnded:
      return "grant-ended";
    case charter::Reason::kAfterCut:
      return "after-cut";
    case charter::Reason::kForeignCell:
      return "foreign-cell";
    case charter::Reason::kCellTwice:
      return "cell-twice";
    case charter::Reason::kNotOfThisLane:
      return "not-of-this-lane";
    case charter::Reason::kNewerFormat:
      return "newer-format";
  }
  return "unknown";
}

std::string_view ReceptionName(bool receipted, bool received) {
  if (received) return "received";
  return receipted ? "ministry" : "no-chair";
}

staffel::Status Administration::FillReceptions(Snapshot& snapshot, admin::StatusReply& reply) {
  STAFFEL_TRY(gaps, snapshot.ReceiptGaps());
  for (const ReceiptGap& gap : gaps) {
    const std::string id = gap.audience.Hex();
    for (auto& audience : *reply.mutable_audiences()) {
      if (audience.id() != id) continue;
      audience.set_receipted(gap.receipted);
      audience.set_own_not_received(gap.own);
      audience.set_own_not_received_since_ms(gap.own_since.value_or(TimeMs()).value);
      audience.set_not_received(gap.all);
      audience.set_not_received_since_ms(gap.all_since.value_or(TimeMs()).value);
    }
  }
  STAFFEL_TRY(evidence, snapshot.VoidReceipts(kVoidReceiptsShown));
  reply.set_void_receipts(static_cast<std::uint32_t>(evidence.size()));
  return {};
}

Result<admin::ReceiptsReply> Administration::Receipts(const admin::ReceiptsRequest&, Call&) {
  admin::ReceiptsReply reply;
  STAFFEL_TRY(snapshot, options_.store->Read());
  const auto authority = snapshot.authority();
  if (authority == nullptr) {
    return Fail(ErrorCode::kDenied, "this node belongs to no conference yet");
  }
  STAFFEL_TRY(gaps, snapshot.ReceiptGaps());
  for (const ReceiptGap& gap : gaps) {
    auto* out = reply.add_audiences();
    out->set_audience(AudienceName(snapshot, gap.audience));
    out->set_receipted(gap.receipted);
    out->set_not_received(gap.all);
    out->set_not_received_since_ms(gap.all_since.value_or(TimeMs()).value);
    STAFFEL_TRY(last, snapshot.LastReceipt(gap.audience, authority->current_term().number));
    if (last) FillReceipt(*last, out->audience(), *out->mutable_last());
  }
  STAFFEL_TRY(evidence, snapshot.VoidReceipts(kVoidReceiptsShown + 1));
  reply.set_void_more(evidence.size() > kVoidReceiptsShown);
  if (reply.void_more()) evidence.resize(kVoidReceiptsShown);
  for (const ReceiptView& view : evidence) {
    FillReceipt(view, AudienceName(snapshot, view.audience), *reply.add_void_());
  }
  return reply;
}

Result<admin::LateReply> Administration::Late(const admin::LateRequest& request, Call& call) {
  admin::LateReply reply;
  STAFFEL_TRY(snapshot, options_.store->Read());
  reply.set_demonstration(IsDemonstration(snapshot));
  STAFFEL_TRY(view, FindRecord(snapshot, request.id(), "", request.audience(), call));
  const auto* kind = record::Kinds().Find(view.kind);
  if (kind == nullptr) {
    return Fail(ErrorCode::kUnsupported, "records of kind {} need a newer version of Staffel",
                view.kind);
  }
  STAFFEL_TRY(shown, Shown(snapshot, view));
  *reply.mutable_record() = std::move(shown);
  TimeMs deadline{request.deadline_ms()};
  if (deadline.value == 0) {
    STAFFEL_TRY(found, DeadlineOf(snapshot, *kind, view, options_.clock->Now()));
    deadline = found.at;
    reply.set_deadline_from(found.rule ? "rule" : "record");
    reply.set_deadline_field(found.field);
    if (found.rule) {
      reply.mutable_deadline_rule()->set_name(found.rule->name);
      reply.mutable_deadline_rule()->set_value(found.rule->value);
      reply.mutable_deadline_rule()->set_from_ms(found.rule->from.value);
      const auto* now = charter::RuleInForce(snapshot.authority()->content(), found.rule->name,
                                             options_.clock->Now());
      reply.mutable_deadline_rule()->set_now(now != nullptr && *now == *found.rule);
    }
    if (found.meeting) {
      STAFFEL_TRY(meeting, Shown(snapshot, *found.meeting));
      *reply.mutable_deadline_meeting() = std::move(meeting);
    }
  } else {
    reply.set_deadline_from("request");
  }
  reply.set_deadline_ms(deadline.value);
  const auto authority = snapshot.authority();
  reply.set_receipted(authority != nullptr && IsReceipted(*authority, view.audience));

  // Which records the deadline is for: an event names one, and what refers to it belongs to it.
  std::vector<RecordView> records;
  if (kind->name == kEventKind) {
    v1::Event event;
    (void)event.ParseFromArray(view.row.data(), static_cast<int>(view.row.size()));
    const auto about = RecordId::From(event.about());
    for (const std::string_view name : kDeadlineKinds) {
      STAFFEL_TRY(of, record::Kinds().Named(name));
      ListFilter filter{.audience = view.audience, .kind = of->number, .with_deleted = true};
      for (;;) {
        STAFFEL_TRY(page, snapshot.List(filter));
        if (page.empty()) break;
        filter.after_number = page.back().number;
        for (RecordView& one : page) {
          // Sixteen random bytes stand in a row only where it refers to the record.
          const bool meant =
              !about || one.record == *about || one.row.find(Bytes(about->bytes())) != Bytes::npos;
          if (!meant) continue;
          if (records.size() == kLateRecordsMax) {
            return Fail(ErrorCode::kTooLarge,
                        "the deadline concerns more than {} records: name one of them, and the "
                        "time with --at",
                        kLateRecordsMax);
          }
          records.push_back(std::move(one));
        }
      }
    }
  } else {
    records.push_back(std::move(view));
  }

  std::vector<admin::LateItem> items;
  for (const RecordView& one : records) {
    const auto* of = record::Kinds().Find(one.kind);
    if (of == nullptr) continue;
    const bool ballot = of->name == kBallotKind;
    const auto admitted = ballot ? AdmittedTo(one.row) : std::set<std::string>();
    std::string short_id;
    STAFFEL_TRY(history, snapshot.History(one));
    for (const HistoryItem& item : history) {
      if (!item.valid || (item.reception && item.reception->time <= deadline)) continue;
      for (const auto& change : item.changes) {
        // In a ballot only what a Land casts has a deadline.
        if (ballot && !OwnerOf(change.cell)) continue;
        if (short_id.empty()) {
          STAFFEL_TRY(shortened, ShortId(snapshot, one.record));
          short_id = shortened;
        }
        admin::LateItem out;
        out.set_record_id(one.record.Hex());
        out.set_record_short_id(short_id);
        out.set_record_kind(of->name);
        out.set_record_title(record::TitleOf(*of, one.row));
        out.set_member(std::string(item.member.text()));
        const auto path = record::FieldPathOf(*of, change.cell, one.row);
        out.set_path(path.path);
        out.set_label_de(path.label_de);
        out.set_label_en(path.label_en);
        out.set_text(record::ValueToText(*of, change.cell, change.value));
        out.set_entry(item.entry.Hex());
        out.set_time_ms(item.time.value);
        out.set_received_ms(item.reception ? item.reception->time.value : 0);
        out.set_in_time(item.time <= deadline);
        out.set_admitted(admitted.contains(out.member()));
        items.push_back(std::move(out));
      }
    }
  }
  std::stable_sort(items.begin(), items.end(),
                   [](const auto& a, const auto& b) { return a.time_ms() < b.time_ms(); });
  for (auto& item : items) *reply.add_items() = std::move(item);
  return reply;
}

Result<admin::IneffectiveReply> Administration::Ineffective(
    const admin::IneffectiveRequest& request, Call&) {
  admin::IneffectiveReply reply;
  STAFFEL_TRY(snapshot, options_.store->Read());
  reply.set_demonstration(IsDemonstration(snapshot));
  const auto own = options_.store->own_member();
  const std::size_t limit = request.limit() == 0
                                ? kIneffectiveDefault
                                : std::min<std::size_t>(request.limit(), kIneffectiveMax);
  STAFFEL_TRY(entries, snapshot.WithoutEffect(/*only_own=*/!request.all(), limit + 1));
  reply.set_more(entries.size() > limit);
  if (reply.more()) entries.resize(limit);
  for (const EntryWithoutEffect& entry : entries) {
    auto* out = reply.add_entries();
    out->set_entry(entry.entry.Hex());
    out->set_journal(entry.journal.Hex());
    out->set_number(entry.seq);
    out->set_member(std::string(entry.member.text()));
    out->set_term(entry.lane.term);
    out->set_audience(AudienceName(snapshot, entry.audience));
    out->set_time_ms(entry.time.value);
    out->set_reason(std::string(ReasonName(entry.reason)));
    out->set_sentence(std::string(charter::ReasonSentence(entry.reason)));
    out->set_own(own && entry.member == *own);
    for (const auto& [kind, id] : entry.records) {
      const auto view = snapshot.GetRecord(id, entry.audience);
      if (view) {
        STAFFEL_TRY(shown, Shown(snapshot, *view));
        *out->add_records() = std::move(shown);
        continue;
      }
      // Nothing valid is known of it.
      auto* record = out->add_records();
      record->set_id(id.Hex());
      record->set_short_id(id.Hex().substr(0, 8));
      const auto* of = record::Kinds().Find(kind);
      record->set_kind(of == nullptr ? std::to_string(kind) : of->name);
    }
  }
  return reply;
}

}  // namespace staffel::api
