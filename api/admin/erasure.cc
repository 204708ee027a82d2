// SPDX-License-Identifier: EUPL-1.2
// Erasing records and fields (Art. 17 DSGVO), what was erased and by which replicas it has been
// carried out.
#include <algorithm>
#include <map>
#include <set>

#include "api/admin/administration.h"
#include "core/store/charter_draft.h"
#include "sync/proposal.h"

namespace staffel::api {

namespace {

constexpr std::size_t kAudiencesOfRecordMax = 100;
constexpr std::size_t kKeyDigits = 8;

std::string_view StandingName(ErasureStanding standing) {
  switch (standing) {
    case ErasureStanding::kInEffect:
      return "in-effect";
    case ErasureStanding::kUndecided:
      return "undecided";
    case ErasureStanding::kDropped:
      return "dropped";
    case ErasureStanding::kWithoutEffect:
      break;
  }
  return "without-effect";
}

Result<std::vector<std::uint32_t>> FieldNumbers(
    const record::Kind* kind, const google::protobuf::RepeatedPtrField<std::string>& names) {
  std::vector<std::uint32_t> numbers;
  for (const std::string& name : names) {
    const auto* field = kind == nullptr ? nullptr : kind->Find(name);
    if (field == nullptr) {
      return Fail(ErrorCode::kInvalid,
                  "{} has no field „{}“; whole fields are erased, no parts of them",
                  kind == nullptr ? "this kind" : kind->name, name);
    }
    if (field->rule == record::Rule::kDeleted) {
      return Fail(ErrorCode::kInvalid, "„{}“ holds nothing that could be erased", name);
    }
    numbers.push_back(field->number);
  }
  return numbers;
}

void FillPlan(const ErasurePlan& plan, admin::ErasedIn& out) {
  out.set_payloads(plan.payloads);
  out.set_clean_values(plan.clean_values);
  out.set_as_chair(plan.as_chair);
  out.set_erased_before(plan.erased_already);
  out.set_quorum_may(plan.quorum_may);
  if (plan.refusal) out.set_refusal(plan.refusal->message);
  out.set_erased(!plan.refusal && !plan.erased_already);
}

// What of the charter's lists a target adds; says whether anything is new.
bool AddTo(charter::Content& content, const ErasurePlan& plan) {
  bool added = false;
  const auto add = [&](auto& list, const auto& items) {
    for (const auto& item : items) {
      if (std::find(list.begin(), list.end(), item) != list.end()) continue;
      list.push_back(item);
      added = true;
    }
  };
  add(content.erased_records, plan.quorum_records);
  add(content.erased_payloads, plan.quorum_payloads);
  return added;
}

Result<EntryId> ProposeErasure(Store& store, const std::vector<ErasurePlan>& plans) {
  return sync::PutForward(store, [&](CharterDraft& draft) -> Result<charter::Content> {
    charter::Content content = draft.authority().content();
    bool added = false;
    for (const ErasurePlan& plan : plans) added = AddTo(content, plan) || added;
    if (!added) return Fail(ErrorCode::kExists, "the charter names all of it already");
    return content;
  });
}

}  // namespace

Result<admin::EraseReply> Administration::Erase(const admin::EraseRequest& request, Call& call) {
  admin::EraseReply reply;
  std::vector<ErasurePlan> plans;
  std::vector<ErasurePlan> for_quorum;
  ErasureRequest alone;
  std::vector<std::uint32_t> fields;
  std::map<AudienceId, admin::ErasedIn*> shown;
  RecordId record;
  {
    STAFFEL_TRY(snapshot, options_.store->Read());
    STAFFEL_TRY(found,
                FindRecord(snapshot, request.id(), request.kind(), request.audience(), call));
    record = found.record;
    STAFFEL_TRY(before, Shown(snapshot, found));
    *reply.mutable_record() = std::move(before);
    reply.set_demonstration(IsDemonstration(snapshot));
    STAFFEL_TRY(numbers, FieldNumbers(record::Kinds().Find(found.kind), request.fields()));
    fields = std::move(numbers);
    // Each audience has entries of its own, and an erasure is of its own audience.
    std::vector<RecordView> views{found};
    if (request.audience().empty()) {
      STAFFEL_TRY(everywhere,
                  snapshot.FindByPrefix(record.Hex(), found.kind, kAudiencesOfRecordMax));
      views = std::move(everywhere);
    }
    ErasureRequest all{{}, fields};
    for (const RecordView& view : views) {
      all.targets.push_back({view.audience, view.kind, view.record});
    }
    STAFFEL_TRY(made, options_.store->PlanErasure(all));
    plans = std::move(made);
    for (const ErasurePlan& plan : plans) {
      auto* out = reply.add_audiences();
      out->set_audience(AudienceName(snapshot, plan.target.audience));
      FillPlan(plan, *out);
      shown[plan.target.audience] = out;
      if (out->erased()) alone.targets.push_back(plan.target);
      if (plan.refusal && plan.quorum_may) for_quorum.push_back(plan);
    }
  }
  if (request.plan_only()) return reply;
  const bool proposes = request.propose() && !for_quorum.empty();
  if (alone.targets.empty() && !proposes) {
    for (const ErasurePlan& plan : plans) {
      if (plan.refusal) return tl::unexpected<Error>(*plan.refusal);
    }
    return Fail(ErrorCode::kExists, "record {} has been erased already", record.Hex());
  }
  alone.fields = fields;
  for (const ErasureTarget& target : alone.targets) {
    ErasureRequest one{{target}, fields};
    STAFFEL_TRY(entries, options_.store->Erase(one));
    for (const EntryId& entry : entries) {
      shown[target.audience]->add_entries(entry.Hex());
    }
  }
  if (proposes) {
    if (!fields.empty()) {
      ErasureRequest clean{{}, fields};
      for (const ErasurePlan& plan : for_quorum) clean.targets.push_back(plan.target);
      STAFFEL_CHECK(options_.store->WriteCleanValues(clean));
    }
    STAFFEL_TRY(proposal, ProposeErasure(*options_.store, for_quorum));
    for (const ErasurePlan& plan : for_quorum) {
      shown[plan.target.audience]->set_proposal(proposal.Hex());
    }
  }
  // The person waits for this word: files, too. Where a reader is in the way, upkeep goes on.
  if (const auto wiped = options_.store->Wipe()) reply.set_wiped(*wiped);
  options_.replicator->Wake();
  STAFFEL_TRY(snapshot, options_.store->Read());
  STAFFEL_TRY(after, snapshot.GetRecord(record, plans.front().target.audience));
  STAFFEL_TRY(now, Shown(snapshot, after));
  *reply.mutable_record() = std::move(now);
  return reply;
}

Result<admin::ErasuresReply> Administration::Erasures(const admin::ErasuresRequest& request,
                                                      Call&) {
  admin::ErasuresReply reply;
  STAFFEL_TRY(snapshot, options_.store->Read());
  STAFFEL_TRY(erasures, snapshot.Erasures());
  reply.set_demonstration(IsDemonstration(snapshot));
  for (const ErasureView& view : erasures) {
    admin::Erasure out;
    out.set_entry(view.entry.Hex());
    if (!view.audience.is_zero()) out.set_audience(AudienceName(snapshot, view.audience));
    out.set_member(std::string(view.member.text()));
    out.set_term(view.lane.term);
    out.set_time_ms(view.time.value);
    out.set_standing(std::string(StandingName(view.standing)));
    out.set_sentence(view.why);
    const auto add = [&](const ErasureBody::WholeRecord& record, bool whole) {
      auto* thing = out.add_things();
      const auto* kind = record::Kinds().Find(record.kind);
      thing->set_kind(kind == nullptr ? std::to_string(record.kind) : kind->name);
      thing->set_record(record.record.Hex());
      thing->set_whole(whole);
      return thing;
    };
    for (const auto& record : view.records) add(record, /*whole=*/true);
    for (const auto& record : view.parts_of) {
      add(record, /*whole=*/false)->set_payloads(view.payloads.size());
    }
    if (view.records.empty() && view.parts_of.empty()) {
      out.add_things()->set_payloads(view.payloads.size());
    }
    for (const auto& replica : view.replicas) {
      auto* by = out.add_replicas();
      by->set_member(std::string(replica.member.text()));
      by->set_key(replica.key.Fingerprint().Hex().substr(0, kKeyDigits));
      if (replica.carried_out) by->set_carried_out_ms(replica.carried_out->value);
    }
    if (!request.id().empty()) {
      const bool asked =
          out.entry().starts_with(request.id()) ||
          std::any_of(out.things().begin(), out.things().end(),
                      [&](const auto& thing) { return thing.record().starts_with(request.id()); });
      if (!asked) continue;
    }
    *reply.add_erasures() = std::move(out);
  }
  return reply;
}

Result<admin::DecideErasureReply> Administration::DecideErasure(
    const admin::DecideErasureRequest& request, Call&) {
  std::vector<EntryId> named;
  {
    STAFFEL_TRY(snapshot, options_.store->Read());
    STAFFEL_TRY(erasures, snapshot.Erasures());
    for (const ErasureView& view : erasures) {
      if (request.entry().size() >= kIdPrefixMin && view.entry.Hex().starts_with(request.entry()))
        named.push_back(view.entry);
    }
  }
  if (named.size() != 1) {
    return Fail(
        named.empty() ? ErrorCode::kNotFound : ErrorCode::kInvalid,
        "{} erasures have an entry that begins with „{}“: 'staffel erasures list' shows them",
        named.size(), request.entry());
  }
  STAFFEL_TRY(decision, options_.store->DecideErasure(named.front(), request.repeat()));
  (void)options_.store->Wipe();
  options_.replicator->Wake();
  admin::DecideErasureReply reply;
  reply.set_entry(decision.Hex());
  return reply;
}

}  // namespace staffel::api
