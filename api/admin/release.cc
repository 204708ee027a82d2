// SPDX-License-Identifier: EUPL-1.2
// Releasing records to a wider audience, taking that back, and what `staffel show` says of it.
#include <algorithm>

#include "api/admin/administration.h"
#include "core/record/view.h"
#include "sync/audiences.h"

namespace staffel::api {

namespace {

admin::ReleaseState::State StateOf(ReleaseView::State state) {
  switch (state) {
    case ReleaseView::State::kCurrent:
      return admin::ReleaseState::CURRENT;
    case ReleaseView::State::kDiffers:
      return admin::ReleaseState::DIFFERS;
    case ReleaseView::State::kWithdrawn:
      return admin::ReleaseState::WITHDRAWN;
    case ReleaseView::State::kReceived:
      return admin::ReleaseState::RECEIVED;
    case ReleaseView::State::kUnknown:
      break;
  }
  return admin::ReleaseState::UNKNOWN;
}

}  // namespace

Result<std::vector<admin::ReleaseState>> Administration::ShownReleases(Snapshot& snapshot,
                                                                       const RecordView& view) {
  std::vector<admin::ReleaseState> out;
  STAFFEL_TRY(releases, snapshot.Releases(view));
  for (const ReleaseView& release : releases) {
    admin::ReleaseState shown;
    if (!release.audience.is_zero()) {
      shown.set_audience(sync::AudienceLabel(snapshot, release.audience));
    }
    shown.set_state(StateOf(release.state));
    shown.set_outward(release.outward);
    for (const std::string& field : release.fields) shown.add_fields(field);
    shown.set_time_ms(release.time.value);
    shown.set_member(std::string(release.member.text()));
    shown.set_proven(release.proven);
    if (release.commitment) shown.set_commitment(release.commitment->Hex());
    out.push_back(std::move(shown));
  }
  return out;
}

Result<admin::ReleaseReply> Administration::Release(const admin::ReleaseRequest& request,
                                                    Call& call) {
  ReleaseOrder order;
  STAFFEL_TRY(op, ReadOp(request.op()));
  order.op = op;
  STAFFEL_TRY(snapshot, options_.store->Read());
  if (request.to().empty()) {
    return Fail(ErrorCode::kInvalid, "to whom? Name the wider audience, such as guests or public");
  }
  STAFFEL_TRY(to, FindAudience(snapshot, request.to()));
  order.to = to;
  std::vector<RecordView> inside;
  for (const std::string& id : request.ids()) {
    STAFFEL_TRY(view, FindRecord(snapshot, id, "", request.from(), call));
    const auto named = [&](const RecordView& other) { return other.record == view.record; };
    if (std::any_of(inside.begin(), inside.end(), named)) continue;
    order.records.push_back({view.kind, view.record, view.audience});
    inside.push_back(std::move(view));
  }
  order.parts.assign(request.parts().begin(), request.parts().end());
  order.with.assign(request.with().begin(), request.with().end());
  order.without.assign(request.without().begin(), request.without().end());
  order.dry_run = request.dry_run();
  STAFFEL_TRY(released, options_.store->Release(order));
  STAFFEL_TRY(after, options_.store->Read());
  admin::ReleaseReply reply;
  reply.set_repeated_op(released.repeated);
  for (std::size_t i = 0; i < inside.size(); ++i) {
    STAFFEL_TRY(one, ShownRelease(after, inside[i], order, released.records[i]));
    *reply.add_released() = std::move(one);
  }
  return reply;
}

Result<admin::ReleasedRecord> Administration::ShownRelease(Snapshot& snapshot,
                                                           const RecordView& inside,
                                                           const ReleaseOrder& order,
                                                           const ReleasedRecord& released) {
  admin::ReleasedRecord shown;
  shown.set_unchanged(released.unchanged);
  if (released.entry) shown.set_entry(released.entry->Hex());
  for (const std::string& field : released.carried) shown.add_carried(field);
  const auto* kind = record::Kinds().Find(inside.kind);
  for (const auto& left_out : released.left_out) {
    auto* out = shown.add_left_out();
    out->set_field(left_out.field);
    out->set_reason(left_out.reason);
    if (const auto* field = kind->Find(std::string_view(left_out.field))) {
      out->set_label_de(field->label_de);
      out->set_label_en(field->label_en);
    }
  }
  STAFFEL_TRY(view, order.dry_run ? Result<RecordView>(inside)
                                  : snapshot.GetRecord(inside.record, order.to));
  STAFFEL_TRY(record, Shown(snapshot, view));
  *shown.mutable_record() = std::move(record);
  return shown;
}

Result<admin::WithdrawReply> Administration::Withdraw(const admin::WithdrawRequest& request,
                                                      Call& call) {
  STAFFEL_TRY(op, ReadOp(request.op()));
  STAFFEL_TRY(snapshot, options_.store->Read());
  if (request.from().empty()) {
    return Fail(ErrorCode::kInvalid,
                "from where? Name the audience that it was released to, such as guests or public");
  }
  STAFFEL_TRY(from, FindAudience(snapshot, request.from()));
  STAFFEL_TRY(anywhere, FindRecord(snapshot, request.id(), "", "", call));
  const auto released = snapshot.GetRecord(anywhere.record, from);
  if (!released && released.error().code == ErrorCode::kNotFound) {
    return Fail(ErrorCode::kNotFound, "record {} has not been released to this audience",
                anywhere.record.Hex().substr(0, 8));
  }
  if (!released) return tl::unexpected<Error>(released.error());
  const RecordView& view = *released;
  admin::WithdrawReply reply;
  if (view.deleted) {
    reply.set_unchanged(true);
  } else {
    STAFFEL_TRY(applied, options_.store->Withdraw(view.kind, view.record, view.audience, op));
    reply.set_entry(applied.entry.Hex());
    reply.set_repeated_op(applied.repeated);
  }
  STAFFEL_TRY(after, options_.store->Read());
  STAFFEL_TRY(there, after.GetRecord(view.record, view.audience));
  STAFFEL_TRY(shown, Shown(after, there));
  *reply.mutable_record() = std::move(shown);
  return reply;
}

}  // namespace staffel::api
