// SPDX-License-Identifier: EUPL-1.2
// Audiences: who is in which, founding one, taking members in and out, closing it.
#include "sync/audiences.h"

#include <algorithm>

#include "api/admin/administration.h"
#include "api/admin/shown.h"
#include "core/charter/build.h"

namespace staffel::api {

namespace {

template <typename Names>
Result<std::vector<MemberId>> ReadMembers(const Names& names) {
  std::vector<MemberId> members;
  for (const std::string& name : names) {
    STAFFEL_TRY(member, ReadMember(name));
    if (std::find(members.begin(), members.end(), member) != members.end()) {
      return Fail(ErrorCode::kInvalid, "{} is named twice", name);
    }
    members.push_back(member);
  }
  return members;
}

}  // namespace

Result<admin::AudienceListReply> Administration::AudienceList(
    const admin::AudienceListRequest& request, Call&) {
  admin::AudienceListReply reply;
  STAFFEL_TRY(snapshot, options_.store->Read());
  const auto authority = snapshot.authority();
  if (authority == nullptr) {
    return Fail(ErrorCode::kNotFound, "this node belongs to no conference and has no audiences");
  }
  std::optional<AudienceId> only;
  if (!request.audience().empty()) {
    STAFFEL_TRY(found, FindAudience(snapshot, request.audience()));
    only = found;
  }
  const auto own = options_.store->own_member();
  for (const charter::Audience& audience : authority->audiences()) {
    const bool reads = own && audience.IsReader(*own);
    if (only ? audience.id != *only : !reads && !request.all()) continue;
    auto* out = reply.add_audiences();
    out->set_id(audience.id.Hex());
    out->set_name(audience.name);
    out->set_confidential(audience.name.empty());
    out->set_open(audience.open);
    out->set_chair_writes_only(audience.chair_writes_only);
    for (const MemberId& reader : audience.readers) out->add_readers(std::string(reader.text()));
    for (const MemberId& writer : audience.writers) out->add_writers(std::string(writer.text()));
    if (audience.relay) out->set_relay(std::string(audience.relay->text()));
    if (const auto relay = authority->RelayOf(audience.id)) {
      out->set_passed_on_by(std::string(relay->text()));
    }
    out->set_reader(reads);
    out->set_writer(own && audience.IsWriter(*own));
    if (!reads) continue;
    ListFilter filter;
    filter.audience = audience.id;
    STAFFEL_TRY(records, snapshot.Count(filter));
    out->set_records(records);
    const sync::AudienceProfile profile = sync::ProfileOf(snapshot, audience.id);
    if (audience.name.empty()) out->set_name(profile.name);
    out->set_purpose(profile.purpose);
    for (const auto& former : sync::FormerReaders(*options_.store, snapshot, audience.id)) {
      auto* copy = out->add_deleted_copies();
      copy->set_member(std::string(former.member.text()));
      copy->set_time_ms(former.confirmed.value);
      copy->set_verified(former.verified);
    }
  }
  return reply;
}

Result<admin::AudienceChangeReply> Administration::AudienceCreate(
    const admin::AudienceCreateRequest& request, Call&) {
  charter::NewAudience audience;
  STAFFEL_TRY(readers, ReadMembers(request.readers()));
  STAFFEL_TRY(writers, ReadMembers(request.writers()));
  audience.readers = std::move(readers);
  audience.writers = std::move(writers);
  if (!request.relay().empty()) {
    STAFFEL_TRY(relay, ReadMember(request.relay()));
    audience.relay = relay;
  }
  STAFFEL_TRY(change, sync::CreateAudience(*options_.store, *options_.key, std::move(audience),
                                           {request.name(), request.purpose()},
                                           request.confidential(), *options_.random));
  STAFFEL_CHECK(AfterCharterChange());
  return ShownAudienceChange(change);
}

Result<admin::AudienceChangeReply> Administration::AudienceAdd(
    const admin::AudienceAddRequest& request, Call&) {
  STAFFEL_TRY(member, ReadMember(request.member()));
  STAFFEL_TRY(snapshot, options_.store->Read());
  STAFFEL_TRY(audience, FindAudience(snapshot, request.audience()));
  STAFFEL_TRY(change, sync::AddToAudience(*options_.store, *options_.key, audience, member,
                                          !request.reads_only()));
  STAFFEL_CHECK(AfterCharterChange());
  return ShownAudienceChange(change);
}

Result<admin::AudienceChangeReply> Administration::AudienceRemove(
    const admin::AudienceRemoveRequest& request, Call&) {
  STAFFEL_TRY(member, ReadMember(request.member()));
  STAFFEL_TRY(snapshot, options_.store->Read());
  STAFFEL_TRY(audience, FindAudience(snapshot, request.audience()));
  STAFFEL_TRY(change, sync::RemoveFromAudience(*options_.store, *options_.key, audience, member));
  // Who puts it forward wants it; where nothing is missing, nothing waits.
  auto approved = sync::Approve(*options_.store, *options_.key, change.proposed.entry.Hex());
  if (!approved && approved.error().code != ErrorCode::kNotFound) return Forward(approved);
  change.proposed = sync::DescribeProposal(*options_.store, *options_.key, change.proposed.entry);
  STAFFEL_CHECK(AfterCharterChange());
  return ShownAudienceChange(change);
}

Result<admin::AudienceChangeReply> Administration::AudienceRelay(
    const admin::AudienceRelayRequest& request, Call&) {
  STAFFEL_TRY(member, ReadMember(request.member()));
  STAFFEL_TRY(snapshot, options_.store->Read());
  STAFFEL_TRY(audience, FindAudience(snapshot, request.audience()));
  STAFFEL_TRY(change, sync::SetAudienceRelay(*options_.store, *options_.key, audience, member));
  STAFFEL_CHECK(AfterCharterChange());
  return ShownAudienceChange(change);
}

Result<admin::AudienceChangeReply> Administration::AudienceClose(
    const admin::AudienceCloseRequest& request, Call&) {
  STAFFEL_TRY(snapshot, options_.store->Read());
  STAFFEL_TRY(audience, FindAudience(snapshot, request.audience()));
  STAFFEL_TRY(change, sync::CloseAudience(*options_.store, *options_.key, audience));
  STAFFEL_CHECK(AfterCharterChange());
  return ShownAudienceChange(change);
}

Result<admin::AudienceChangeReply> Administration::ShownAudienceChange(
    const sync::AudienceChange& change) {
  admin::AudienceChangeReply reply;
  STAFFEL_TRY(proposal, ShownProposal(change.proposed.change));
  *reply.mutable_proposal() = std::move(proposal);
  reply.set_in_force(change.proposed.in_force);
  reply.set_audience(change.audience.Hex());
  return reply;
}

Status Administration::AfterCharterChange() {
  if (options_.cosign) {
    STAFFEL_TRY(cosigned, sync::CosignInForce(*options_.store, *options_.key));
    (void)cosigned;
  }
  STAFFEL_TRY(named, sync::WriteProfiles(*options_.store));
  (void)named;
  options_.replicator->Wake();
  return {};
}

}  // namespace staffel::api
