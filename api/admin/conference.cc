// SPDX-License-Identifier: EUPL-1.2
// The node and its conference: status, kinds, founding, inviting, joining, approving.
#include <algorithm>

#include <sys/statvfs.h>

#include "api/admin/administration.h"
#include "api/admin/shown.h"
#include "core/record/marking.h"
#include "core/store/blobs.h"
#include "sync/audiences.h"
#include "sync/invitation.h"

namespace staffel::api {

namespace {

constexpr std::size_t kIncidentsShown = 20;
constexpr std::size_t kIncidentsRead = 10'000;

// Less than this, and one write more may be too much.
constexpr std::uint64_t kDiskBytesLow = std::uint64_t{16} << 20;

// What is wrong with the room on the disk; empty: nothing.
std::string DiskProblem(const std::string& directory) {
  struct statvfs disk {};
  if (::statvfs(directory.c_str(), &disk) != 0) return {};
  const std::uint64_t free_bytes = std::uint64_t{disk.f_bavail} * disk.f_frsize;
  if (free_bytes >= kDiskBytesLow) return {};
  return fmt::format(
      "the disk is full or nearly so: {} KiB are free for {}; without room this node "
      "can be read and takes no writes",
      free_bytes >> 10, directory);
}

using sync::ReplicatorStatus;

std::string_view PhaseName(ReplicatorStatus::Phase phase) {
  using Phase = ReplicatorStatus::Phase;
  switch (phase) {
    case Phase::kAlone:
      return "alone";
    case Phase::kJoining:
      return "joining";
    case Phase::kIsHub:
      return "hub";
    case Phase::kNoPeer:
      return "no-peer";
    case Phase::kExchanging:
      return "exchanging";
    case Phase::kInStep:
      return "in-step";
    case Phase::kWaiting:
      return "waiting";
    case Phase::kStopped:
      break;
  }
  return "stopped";
}

void FillExchange(const ReplicatorStatus& status, TimeMs now, admin::Exchange& out) {
  using Phase = ReplicatorStatus::Phase;
  out.set_active(status.phase != Phase::kStopped && status.phase != Phase::kAlone &&
                 status.phase != Phase::kIsHub && status.phase != Phase::kNoPeer);
  out.set_phase(std::string(PhaseName(status.phase)));
  out.set_running(status.phase == Phase::kExchanging || status.phase == Phase::kInStep);
  const auto space = status.peer.find(" (");
  out.set_peer(status.peer.substr(0, space));
  if (space != std::string::npos && status.peer.ends_with(')')) {
    out.set_peer_url(status.peer.substr(space + 2, status.peer.size() - space - 3));
  }
  out.set_last_attempt_ms(std::max(status.last_contact, status.last_error_time).value);
  out.set_last_success_ms(status.last_success.value);
  out.set_next_attempt_ms(
      status.next_attempt.value == 0 && out.running() ? now.value : status.next_attempt.value);
  out.set_last_error(status.last_error);
  out.set_pending_entries(status.own_entries_pending.value_or(0));
  out.set_received_entries(status.progress.entries_received);
  out.set_sent_entries(status.progress.entries_sent);
  out.set_failures_in_row(status.failures);
  for (const std::string& called : status.called) out.add_called(called);
}

void FillJoin(const sync::JoiningStatus& joining, const ReplicatorStatus& replicator,
              admin::JoinProgress& out) {
  out.set_conference_name(joining.token.conference_name);
  out.set_member(std::string(joining.token.member.text()));
  out.set_hub_url(joining.token.hub_url);
  if (!joining.refused.empty()) {
    out.set_state("refused");
    out.set_sentence(joining.refused);
  } else if (joining.asked.value != 0) {
    out.set_state("waiting");
    out.set_sentence(joining.waiting);
  } else {
    out.set_state("asking");
    out.set_sentence(replicator.last_error);
  }
  out.set_last_attempt_ms(std::max(joining.asked, replicator.last_error_time).value);
  out.set_next_attempt_ms(replicator.next_attempt.value);
}

std::string_view StateName(sync::Invitation::State state) {
  switch (state) {
    case sync::Invitation::State::kOpen:
      return "open";
    case sync::Invitation::State::kExpired:
      return "expired";
    case sync::Invitation::State::kRevoked:
      return "revoked";
    case sync::Invitation::State::kUsed:
    case sync::Invitation::State::kJoined:
      break;
  }
  return "used";
}

}  // namespace

admin::Proposal ShownChange(const sync::WaitingChange& change, const std::optional<MemberId>& own) {
  admin::Proposal out;
  out.set_entry(change.entry.Hex());
  for (const std::string& one : change.changes) out.add_changes(one);
  for (const std::string& one : change.lacks) out.add_lacks(one);
  out.set_sentence(change.needs);
  out.set_dropped(change.dropped);
  for (const MemberId& member : change.approved) out.add_approved(std::string(member.text()));
  for (const MemberId& member : change.missing_from) {
    out.add_missing(std::string(member.text()));
    if (own && member == *own && !change.approved_here) out.set_ours_helps(true);
  }
  return out;
}

Result<admin::StatusReply> Administration::Status_(const admin::StatusRequest&, Call&) {
  admin::StatusReply reply;
  const TimeMs now = options_.clock->Now();
  reply.set_now_ms(now.value);
  reply.set_version(options_.version);
  reply.set_directory(options_.directory);
  reply.set_replicas_address(options_.replicas_address);
  reply.set_people_address(options_.people_address);
  reply.set_key_fingerprint(options_.key->public_key().Fingerprint().Hex());
  reply.set_tls_fingerprint(options_.tls_key.Fingerprint().Hex());
  const ReplicatorStatus replicator = options_.replicator->status();
  FillExchange(replicator, now, *reply.mutable_exchange());

  STAFFEL_TRY(joining, sync::Joining(*options_.store));
  const auto own = options_.store->own_member();
  if (own) {
    reply.set_state(admin::StatusReply::MEMBER);
  } else if (joining) {
    reply.set_state(admin::StatusReply::JOINING);
  }
  if (joining) FillJoin(*joining, replicator, *reply.mutable_join());

  STAFFEL_TRY(snapshot, options_.store->Read());
  STAFFEL_TRY(counts, snapshot.Counts());
  auto* out = reply.mutable_counts();
  out->set_entries(counts.entries);
  out->set_own_entries(counts.own_entries);
  out->set_records(counts.records);
  out->set_conflicts(counts.conflicts);
  out->set_journals(counts.journals);
  out->set_invalid_entries(counts.invalid_entries);
  out->set_opaque_entries(counts.opaque_entries);
  out->set_not_yet_indexed(counts.not_yet_indexed);
  out->set_file_bytes(counts.file_bytes);
  out->set_own_invalid_entries(counts.own_invalid_entries);
  STAFFEL_TRY(attachments, Blobs(*options_.store).Counts());
  reply.mutable_attachments()->set_here(attachments.complete);
  reply.mutable_attachments()->set_wanted(attachments.wanted);
  reply.mutable_attachments()->set_bytes(attachments.bytes);
  if (options_.courier != nullptr) {
    reply.mutable_attachments()->set_last_error(options_.courier->status().last_error);
  }

  const auto authority = options_.store->authority();
  if (authority != nullptr) {
    reply.set_conference_id(authority->conference().Hex());
    reply.set_conference_name(authority->name());
    reply.set_conference_title(authority->content().title);
    reply.set_demonstration(authority->demonstration());
    reply.set_chair(std::string(authority->chair().text()));
    reply.set_term(authority->current_term().number);
    reply.set_is_hub(authority->hub_key() == options_.key->public_key());
    if (const auto hub = authority->Hub()) reply.set_hub_url(hub->replica->url);
    for (const auto& member : authority->members()) {
      auto* shown = reply.add_members();
      shown->set_id(std::string(member.id.text()));
      shown->set_name(member.name);
      shown->set_voting(member.voting);
      shown->set_has_keys(member.has_keys());
      for (const auto& replica : member.replicas) {
        if (shown->url().empty()) shown->set_url(replica.url);
      }
    }
    if (own) {
      reply.set_member(std::string(own->text()));
      if (const auto* member = authority->FindMember(*own)) reply.set_member_name(member->name);
      for (const AudienceId& id : authority->AudiencesReadBy(*own)) {
        const auto* audience = authority->FindAudience(id);
        STAFFEL_TRY(digest, snapshot.Digest(id));
        auto* shown = reply.add_audiences();
        shown->set_id(id.Hex());
        shown->set_name(audience->name);
        if (digest.complete) shown->set_digest(digest.root.Hex());
        shown->set_writer(authority->Writes(*own, id));
        for (const MemberId& reader : audience->readers) {
          shown->add_readers(std::string(reader.text()));
        }
        if (audience->name.empty()) {
          shown->set_name(sync::ProfileOf(snapshot, id).name);
          shown->set_confidential(true);
        }
        ListFilter records;
        records.audience = id;
        STAFFEL_TRY(count, snapshot.Count(records));
        shown->set_records(count);
        if (const auto relay = authority->RelayOf(id)) shown->set_relay(std::string(relay->text()));
      }
    }
  }
  if (const auto tree = options_.store->charter(); tree != nullptr) {
    reply.set_charter_settled(tree->InForce().settled);
    reply.set_charter_tied(tree->InForce().tied);
    reply.set_charter_newer(tree->InForce().newer);
    for (const auto& change : sync::WaitingChanges(*options_.store, *options_.key)) {
      reply.set_waiting(reply.waiting() + 1);
      if (ShownChange(change, own).ours_helps())
        reply.set_waiting_for_us(reply.waiting_for_us() + 1);
    }
    reply.set_overtaken(
        static_cast<std::uint32_t>(sync::OvertakenChanges(*options_.store, *options_.key).size()));
  }
  STAFFEL_CHECK(FillReceptions(snapshot, reply));
  FillDoubt(reply);
  STAFFEL_TRY(erasures, snapshot.CountErasures());
  reply.set_erasures_undecided(erasures.undecided);
  reply.set_payloads_missing(erasures.missing_payloads);
  reply.set_wipe_pending(erasures.wipe_pending);
  FillCharterStatus(reply);
  STAFFEL_TRY(incidents, options_.store->Incidents(0, kIncidentsRead));
  const std::size_t skip =
      incidents.size() > kIncidentsShown ? incidents.size() - kIncidentsShown : 0;
  for (std::size_t i = skip; i < incidents.size(); ++i) {
    reply.add_incidents(FormatTimeUtc(incidents[i].time) + ": " + incidents[i].text);
  }
  if (auto full = DiskProblem(options_.directory); !full.empty()) {
    reply.add_incidents(std::move(full));
  }
  return reply;
}

Result<admin::KindsReply> Administration::Kinds_(const admin::KindsRequest& request, Call&) {
  admin::KindsReply reply;
  if (!request.kind().empty()) {
    STAFFEL_TRY(kind, record::Kinds().Named(request.kind()));
    *reply.add_kinds() = DescribeKind(*kind);
    return reply;
  }
  for (const record::Kind& kind : record::Kinds().kinds()) *reply.add_kinds() = DescribeKind(kind);
  return reply;
}

Result<admin::FoundReply> Administration::Found(const admin::FoundRequest& request, Call&) {
  charter::FoundingOptions founding;
  founding.name = request.name();
  founding.title = request.title();
  founding.demonstration = request.demonstration();
  founding.term_starts =
      request.term_starts_ms() == 0 ? options_.clock->Now() : TimeMs{request.term_starts_ms()};
  STAFFEL_TRY(founder, ReadMember(request.member()));
  if (options_.member && *options_.member != founder) {
    return Fail(ErrorCode::kInvalid,
                "this node's configuration says that it is {}'s (member = \"{}\"), not {}'s",
                options_.member->text(), options_.member->text(), founder.text());
  }
  STAFFEL_CHECK(record::RefuseMarked("conference's name", request.name()));
  STAFFEL_CHECK(record::RefuseMarked("conference's title", request.title()));
  founding.founder = founder;
  for (const auto& member : request.members()) {
    STAFFEL_TRY(id, ReadMember(member.id()));
    STAFFEL_CHECK(record::RefuseMarked("name of a member", member.name()));
    founding.members.push_back({id, member.name(), !member.guest()});
  }
  for (const auto& rule : request.rules()) {
    STAFFEL_CHECK(record::RefuseMarked("rule", rule.name() + " " + rule.value()));
    founding.rules.push_back({rule.name(), rule.value(), TimeMs{rule.from_ms()}});
  }
  if (options_.url.empty() && options_.hears_on_all) {
    return Fail(ErrorCode::kInvalid,
                "this hub listens on all addresses, and nobody can reach it by that: say in "
                "[replicas] which url the others reach it by");
  }
  if (options_.url.empty()) {
    return Fail(ErrorCode::kInvalid,
                "a hub must be reachable by the others: give it a table [replicas] in its "
                "configuration and start it again");
  }
  founding.replica = {options_.key->public_key(), options_.tls_key, options_.url};
  for (const record::Kind& kind : record::Kinds().kinds()) {
    if (kind.personal) founding.personal_kinds.push_back(kind.number);
  }
  STAFFEL_TRY(conference, sync::Found(*options_.store, *options_.key, founding, *options_.clock,
                                      *options_.random));
  STAFFEL_CHECK(options_.store->EndDoubt(DoubtEnd::kFounded));
  if (options_.cosign) {
    STAFFEL_TRY(cosigned, sync::CosignInForce(*options_.store, *options_.key));
    (void)cosigned;
  }
  options_.replicator->Wake();
  admin::FoundReply reply;
  reply.set_conference_id(conference.Hex());
  return reply;
}

Result<admin::InviteReply> Administration::Invite(const admin::InviteRequest& request, Call&) {
  STAFFEL_TRY(member, ReadMember(request.member()));
  constexpr std::chrono::hours kDefault{24 * 7};
  const std::chrono::seconds lifetime =
      request.valid_seconds() == 0
          ? kDefault
          : std::chrono::seconds(std::min<std::uint64_t>(
                request.valid_seconds(),
                static_cast<std::uint64_t>(
                    std::chrono::seconds(sync::kInvitationLifetimeMax).count())));
  STAFFEL_TRY(made, sync::Invite(*options_.store, member, *options_.clock, *options_.random,
                                 std::chrono::duration_cast<std::chrono::milliseconds>(lifetime),
                                 request.further()));
  admin::InviteReply reply;
  reply.set_token(made.token);
  reply.set_id(made.invitation.id);
  reply.set_expires_ms(made.invitation.expires.value);
  reply.set_fingerprint(options_.tls_key.Fingerprint().Hex());
  return reply;
}

Result<admin::ListInvitationsReply> Administration::ListInvitations(
    const admin::ListInvitationsRequest&, Call&) {
  admin::ListInvitationsReply reply;
  STAFFEL_TRY(invitations, sync::ListInvitations(*options_.store, *options_.clock));
  for (const auto& invitation : invitations) {
    auto* out = reply.add_invitations();
    out->set_id(invitation.id);
    out->set_member(std::string(invitation.member.text()));
    out->set_created_ms(invitation.created.value);
    out->set_expires_ms(invitation.expires.value);
    out->set_state(std::string(StateName(invitation.state)));
  }
  return reply;
}

Result<admin::RevokeInvitationReply> Administration::RevokeInvitation(
    const admin::RevokeInvitationRequest& request, Call&) {
  STAFFEL_TRY(revoked, sync::RevokeInvitation(*options_.store, request.id(), *options_.clock));
  (void)revoked;
  return admin::RevokeInvitationReply();
}

Result<admin::JoinReply> Administration::Join(const admin::JoinRequest& request, Call&) {
  STAFFEL_TRY(token, sync::ReadToken(request.token()));
  if (options_.member && *options_.member != token.member) {
    return Fail(ErrorCode::kInvalid,
                "this invitation is for {}, and this node's configuration says that it is {}'s",
                token.member.text(), options_.member->text());
  }
  STAFFEL_CHECK(
      sync::StartJoining(*options_.store, request.token(), options_.url, *options_.clock));
  options_.replicator->Wake();
  admin::JoinReply reply;
  STAFFEL_TRY(joining, sync::Joining(*options_.store));
  auto* join = reply.mutable_join();
  if (joining) {
    FillJoin(*joining, options_.replicator->status(), *join);
  } else {
    join->set_conference_name(token.conference_name);
    join->set_member(std::string(token.member.text()));
    join->set_hub_url(token.hub_url);
    join->set_state("joined");
  }
  return reply;
}

Result<admin::WaitingReply> Administration::Waiting(const admin::WaitingRequest& request, Call&) {
  admin::WaitingReply reply;
  if (!request.drop().empty()) {
    STAFFEL_CHECK(sync::DropChange(*options_.store, *options_.key, request.drop()));
  } else if (!request.keep().empty()) {
    STAFFEL_CHECK(sync::KeepChange(*options_.store, *options_.key, request.keep()));
  }
  for (const auto& change : sync::WaitingChanges(*options_.store, *options_.key, request.all())) {
    STAFFEL_TRY(shown, ShownProposal(change));
    *reply.add_proposals() = std::move(shown);
  }
  for (const auto& overtaken : sync::OvertakenChanges(*options_.store, *options_.key)) {
    auto* out = reply.add_overtaken();
    STAFFEL_TRY(shown, ShownProposal(overtaken.change));
    *out->mutable_proposal() = std::move(shown);
    out->set_reason(overtaken.reason);
  }
  return reply;
}

Result<admin::ApproveReply> Administration::Approve(const admin::ApproveRequest& request, Call&) {
  if (request.what().empty()) {
    return Fail(
        ErrorCode::kInvalid,
        "which change? A member's id, or the beginning of an entry's id: 'staffel waiting'");
  }
  STAFFEL_TRY(approved, sync::Approve(*options_.store, *options_.key, request.what()));
  if (options_.cosign) {
    STAFFEL_TRY(cosigned, sync::CosignInForce(*options_.store, *options_.key));
    (void)cosigned;
  }
  admin::ApproveReply reply;
  for (const auto& change : approved.changes) {
    STAFFEL_TRY(shown, ShownProposal(change));
    *reply.add_proposals() = std::move(shown);
    if (change.missing_from.empty()) reply.set_in_force(reply.in_force() + 1);
  }
  // An audience may have come into force whose name waits to be written.
  STAFFEL_TRY(named, sync::WriteProfiles(*options_.store));
  (void)named;
  options_.replicator->Wake();
  return reply;
}

}  // namespace staffel::api
