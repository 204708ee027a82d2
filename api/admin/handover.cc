// SPDX-License-Identifier: EUPL-1.2
// Handing the chair over: what people ask for at the nodes that take part, and the protocol.
#include "sync/handover.h"

#include <algorithm>
#include <chrono>

#include "api/admin/administration.h"
#include "api/admin/named_key.h"
#include "sync/audiences.h"
#include "sync/charter_changes.h"
#include "sync/invitation.h"

namespace staffel::api {

namespace {

// Before a node says that it holds everything, it has just agreed with the hub.
constexpr std::chrono::seconds kExchangeBeforeAccepting{30};

template <typename Out>
Status PutAudiences(Out& out, Store& store, const std::vector<AudienceId>& audiences) {
  if (audiences.empty()) return {};
  STAFFEL_TRY(snapshot, store.Read());
  for (const AudienceId& id : audiences) out.Add(sync::AudienceLabel(snapshot, id));
  return {};
}

template <typename Out>
void Put(Out& out, const std::vector<MemberId>& members) {
  for (const MemberId& member : members) out.Add(std::string(member.text()));
}

std::string_view StateName(sync::ProtocolAudience::State state) {
  using State = sync::ProtocolAudience::State;
  switch (state) {
    case State::kEqual:
      return "equal";
    case State::kErasedSince:
      return "erased-since";
    case State::kNotHeld:
      return "not-held";
    case State::kNotDisclosed:
      return "not-disclosed";
    case State::kDiffers:
      break;
  }
  return "differs";
}

Result<sync::HandoverChoice> ReadChoice(const charter::Authority& authority,
                                        const admin::HandoverRequest& request) {
  sync::HandoverChoice choice;
  if (!request.member().empty()) {
    STAFFEL_TRY(member, ReadMember(request.member()));
    choice.member = member;
  }
  if (request.starts_ms() != 0) choice.starts = TimeMs{request.starts_ms()};
  if (request.key().empty()) return choice;
  std::vector<crypto::PublicKey> keys;
  for (const auto& member : authority.members()) {
    for (const auto& replica : member.replicas) keys.push_back(replica.key);
  }
  STAFFEL_TRY(key, FindKey(keys, request.key()));
  choice.replica = std::move(key);
  return choice;
}

}  // namespace

Result<admin::HandoverState> Administration::ShownHandover() {
  STAFFEL_TRY(status, sync::ReadHandover(*options_.store, *options_.key, *options_.clock));
  const auto authority = options_.store->authority();
  admin::HandoverState out;
  out.set_chair(std::string(authority->chair().text()));
  out.set_term(authority->current_term().number);
  out.set_term_starts_ms(authority->current_term().starts.value);
  out.set_is_chairs_node(authority->hub_key() == options_.key->public_key());
  if (status.announced) {
    out.set_announced_member(std::string(status.announced->member.text()));
    out.set_announced_key(ToHex(status.announced->replica.bytes()));
    out.set_announced_starts_ms(status.announced->starts.value);
  }
  out.set_agreed_here(status.agreed_here);
  for (const auto& pending : status.pending) {
    auto* one = out.add_pending();
    one->set_entry(pending.entry.Hex());
    one->set_from(std::string(pending.from.text()));
    one->set_to(std::string(pending.to.text()));
    one->set_term(pending.term);
    one->set_starts_ms(pending.starts.value);
    Put(*one->mutable_approved(), pending.approved);
    Put(*one->mutable_missing(), pending.missing_from);
    one->set_needs(pending.needs);
    one->set_check(pending.check);
    STAFFEL_CHECK(PutAudiences(*one->mutable_not_cut(), *options_.store, pending.not_cut));
  }
  out.set_tied(status.tied);
  for (const EntryId& entry : status.tied_entries) out.add_tied_entries(entry.Hex());
  out.set_next_by_rule(std::string(status.next_by_rule.text()));
  out.set_next_start_ms(status.next_start.value);
  out.set_chair_pauses(status.chair_acts);
  STAFFEL_TRY(not_cut, sync::EndedTermsNotCut(*options_.store));
  STAFFEL_CHECK(PutAudiences(*out.mutable_not_cut(), *options_.store, not_cut));
  return out;
}

Result<admin::HandoverReply> Administration::Handover(const admin::HandoverRequest& request,
                                                      Call&) {
  admin::HandoverReply reply;
  const auto authority = options_.store->authority();
  if (authority == nullptr) {
    return Fail(ErrorCode::kUnavailable, "this node belongs to no conference yet");
  }
  STAFFEL_TRY(choice, ReadChoice(*authority, request));
  Store& store = *options_.store;
  switch (request.action()) {
    case admin::HandoverRequest::PROPOSE: {
      STAFFEL_TRY(next, sync::ProposeHandover(store, *options_.key, choice, *options_.clock));
      (void)next;
      reply.set_done("proposed");
      break;
    }
    case admin::HandoverRequest::ACCEPT: {
      // Whoever agrees has just come to hold what the hub holds.
      if (const auto synced = options_.replicator->SyncNow(kExchangeBeforeAccepting); !synced) {
        return Fail(synced.error().code,
                    "a handover is accepted by a node that holds everything, and the exchange "
                    "with the hub failed: {}",
                    synced.error().message);
      }
      STAFFEL_TRY(next, sync::AcceptHandover(store, *options_.key));
      (void)next;
      STAFFEL_TRY(signed_now, sync::StepHandover(store, *options_.key, *options_.clock));
      reply.set_done(signed_now ? "signed" : "accepted");
      break;
    }
    case admin::HandoverRequest::COMPLETE: {
      const bool chair = authority->hub_key() == options_.key->public_key();
      if (chair) {
        STAFFEL_TRY(entry, sync::CompleteHandover(store, *options_.key, request.at_once(),
                                                  *options_.clock));
        reply.set_entry(entry.Hex());
      } else {
        // Elsewhere: what waits, signed now.
        STAFFEL_TRY(status, sync::ReadHandover(store, *options_.key, *options_.clock));
        if (status.pending.empty()) {
          return Fail(ErrorCode::kNotFound,
                      "no handover waits for signatures: {} signs first, on its node",
                      authority->chair().text());
        }
        const std::string id = status.pending.front().entry.Hex();
        STAFFEL_TRY(approved, sync::Approve(store, *options_.key, id));
        (void)approved;
        reply.set_entry(id);
      }
      reply.set_done("signed");
      break;
    }
    case admin::HandoverRequest::CANCEL:
      STAFFEL_CHECK(sync::CancelHandover(store, *options_.key, *options_.clock));
      reply.set_done("cancelled");
      break;
    case admin::HandoverRequest::RECOVER: {
      STAFFEL_TRY(entry, sync::RecoverChair(store, *options_.key, choice, *options_.clock));
      reply.set_entry(entry.Hex());
      reply.set_done("recovery");
      STAFFEL_CHECK(PutAudiences(*reply.mutable_not_cut(), store, sync::NotCutBy(store, entry)));
      break;
    }
    case admin::HandoverRequest::CUT: {
      std::vector<EntryId> up_to;
      for (const std::string& text : request.up_to()) {
        const auto entry = EntryId::FromText(text);
        if (!entry) return Fail(ErrorCode::kInvalid, "'{}' is no entry's whole id", text);
        up_to.push_back(*entry);
      }
      STAFFEL_TRY(entry, sync::CutEndedTerms(store, up_to));
      reply.set_entry(entry.Hex());
      reply.set_done("cut");
      break;
    }
    default:
      break;
  }
  if (!reply.done().empty()) {
    if (options_.cosign) {
      STAFFEL_TRY(cosigned, sync::CosignInForce(store, *options_.key));
      (void)cosigned;
    }
    options_.replicator->Wake();
  }
  STAFFEL_TRY(state, ShownHandover());
  *reply.mutable_state() = std::move(state);
  return reply;
}

Result<admin::HandoverProtocolReply> Administration::HandoverProtocol(
    const admin::HandoverProtocolRequest& request, Call&) {
  std::optional<std::uint64_t> term;
  if (request.term() != 0) term = request.term();
  if (!term && !request.compare().empty()) {
    STAFFEL_TRY(named, sync::TermOfProtocolText(request.compare()));
    term = named;
  }
  STAFFEL_TRY(protocol, sync::CheckProtocol(*options_.store, term));
  admin::HandoverProtocolReply reply;
  reply.set_term(protocol.term.number);
  reply.set_from(std::string(protocol.ended.member.text()));
  reply.set_to(std::string(protocol.term.member.text()));
  reply.set_starts_ms(protocol.term.starts.value);
  reply.set_entry(protocol.entry.Hex());
  reply.set_settled(protocol.settled);
  Put(*reply.mutable_approved(), protocol.approved);
  for (const auto& audience : protocol.audiences) {
    auto* out = reply.add_audiences();
    out->set_id(audience.audience.Hex());
    out->set_name(audience.name);
    out->set_state(std::string(StateName(audience.state)));
    out->set_sentence(audience.sentence);
    out->set_of_both(audience.of_both);
    if (!audience.part) continue;
    const auto& figures = audience.part->figures;
    out->set_entries(figures.entries);
    out->set_records(figures.records);
    out->set_digest(figures.digest.Hex());
    if (figures.last_receipt.is_zero()) continue;
    out->set_last_receipt(figures.last_receipt.Hex());
    out->set_last_receipt_ms(figures.last_receipt_time.value);
  }
  reply.set_text(sync::ProtocolText(protocol, request.all()));
  reply.set_holds(protocol.Holds());
  if (!request.compare().empty()) {
    STAFFEL_TRY(differences, sync::CompareProtocol(protocol, request.compare()));
    for (auto& one : differences) reply.add_differences(std::move(one));
    if (reply.differences_size() > 0) reply.set_holds(false);
  }
  return reply;
}

}  // namespace staffel::api
