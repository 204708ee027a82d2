// SPDX-License-Identifier: EUPL-1.2
// What the charter says, for people; and changes of keys and rules that a person puts forward.
#include <algorithm>

#include "api/admin/administration.h"
#include "api/admin/named_key.h"
#include "core/charter/rotation.h"
#include "core/projection/projection.h"
#include "core/record/catalog.h"
#include "core/record/marking.h"
#include "sync/charter_changes.h"
#include "sync/handover.h"
#include "sync/invitation.h"

namespace staffel::api {

namespace {

template <typename Out>
void Put(Out& out, const std::vector<MemberId>& members) {
  for (const MemberId& member : members) out.Add(std::string(member.text()));
}
template <typename Out>
void Put(Out& out, const std::set<MemberId>& members) {
  for (const MemberId& member : members) out.Add(std::string(member.text()));
}

admin::CharterKey ShownKey(const charter::Authority& authority, const charter::Member& member,
                           const crypto::PublicKey& key, const charter::Replica* replica,
                           const crypto::PublicKey& ours) {
  admin::CharterKey out;
  out.set_key(ToHex(key.bytes()));
  out.set_fingerprint(key.Fingerprint().Hex());
  out.set_member(std::string(member.id.text()));
  out.set_ours(key == ours);
  if (replica == nullptr) {
    out.set_kind("recovery");
    return out;
  }
  out.set_kind("replica");
  out.set_url(replica->url);
  out.set_hub(authority.hub_key() == key);
  out.set_cosigns(authority.Cosigns(key));
  return out;
}

std::vector<admin::CharterKey> KeysOf(const charter::Authority& authority,
                                      const charter::Member& member,
                                      const crypto::PublicKey& ours) {
  std::vector<admin::CharterKey> keys;
  for (const auto& replica : member.replicas) {
    keys.push_back(ShownKey(authority, member, replica.key, &replica, ours));
  }
  for (const auto& key : member.recovery_keys) {
    keys.push_back(ShownKey(authority, member, key, nullptr, ours));
  }
  return keys;
}

void FillRules(const charter::Authority& authority, TimeMs now,
               google::protobuf::RepeatedPtrField<admin::CharterRule>* rules) {
  std::vector<charter::Rule> sorted = authority.content().rules;
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
    return std::tie(a.name, a.from) < std::tie(b.name, b.from);
  });
  for (const charter::Rule& rule : sorted) {
    auto* out = rules->Add();
    out->set_name(rule.name);
    out->set_value(rule.value);
    out->set_from_ms(rule.from.value);
    const bool begun = rule.from <= now;
    const bool overtaken = std::any_of(sorted.begin(), sorted.end(), [&](const auto& other) {
      return other.name == rule.name && rule.from < other.from && other.from <= now;
    });
    out->set_now(begun && !overtaken);
  }
}

void FillCuts(Snapshot& snapshot, const charter::Authority& authority, admin::CharterReply& reply) {
  for (const charter::Cut& cut : authority.content().cuts) {
    auto* out = reply.add_cuts();
    out->set_journal(cut.journal.Hex());
    const auto* audience = authority.FindAudience(cut.audience);
    out->set_audience(audience == nullptr || audience->name.empty() ? cut.audience.Hex()
                                                                    : audience->name);
    if (const auto member = authority.MemberOfKey(cut.key)) {
      out->set_member(std::string(member->text()));
    }
    out->set_term(cut.term);
    out->set_hidden(cut.hidden.has_value());
    std::vector<charter::CutHead> heads = cut.heads;
    if (cut.hidden) {
      const auto content = snapshot.Disclosed(cut.audience, *cut.hidden);
      const auto disclosed = content && *content ? charter::ParseCutHeads(**content) : std::nullopt;
      out->set_disclosed(disclosed.has_value());
      if (disclosed) heads = *disclosed;
    }
    for (const auto& head : heads) {
      out->add_heads(fmt::format("{} {}", head.seq, head.entry.Hex()));
    }
  }
}

void FillEntries(const charter::CharterTree& tree, admin::CharterReply& reply) {
  const auto path = tree.PathInForce();
  for (const EntryId& id : tree.Entries()) {
    const Entry* entry = tree.Find(id);
    auto* out = reply.add_entries();
    out->set_entry(id.Hex());
    out->set_number(entry->header.seq);
    if (!entry->header.prev.is_zero()) out->set_parent(entry->header.prev.Hex());
    out->set_time_ms(entry->header.time.value);
    out->set_settled(tree.IsSettled(id));
    using Kind = charter::CharterSignature::Kind;
    Put(*out->mutable_approved(), tree.SignersOf(id, Kind::kApproval));
    Put(*out->mutable_seen(), tree.SignersOf(id, Kind::kSeen));
    const auto needs = tree.NeedsOf(id);
    if (std::find(path.begin(), path.end(), id) != path.end()) {
      out->set_state("in-force");
    } else if (entry->header.opaque || tree.AuthorityOf(id) == nullptr) {
      out->set_state("newer");
    } else if (needs && needs->forbidden) {
      out->set_state("forbidden");
      out->set_missing(needs->Sentence());
    } else {
      out->set_state("beside");
    }
    if (!needs) {
      if (entry->header.seq == 0) out->add_changes("founds the conference");
      continue;
    }
    for (const auto& requirement : needs->requirements) out->add_changes(requirement.change);
  }
  for (const auto& proposal : tree.Waiting()) {
    for (auto& entry : *reply.mutable_entries()) {
      if (entry.entry() != proposal.entry.Hex()) continue;
      entry.set_state("waiting");
      entry.set_missing(proposal.needs.Sentence());
    }
  }
}

tl::unexpected<Error> NoConference() {
  return Fail(ErrorCode::kUnavailable,
              "this node belongs to no conference yet: found one, or join with an invitation");
}

std::vector<crypto::PublicKey> ListedKeys(const charter::Authority& authority) {
  std::vector<crypto::PublicKey> keys;
  for (const auto& member : authority.members()) {
    for (const auto& replica : member.replicas) keys.push_back(replica.key);
    keys.insert(keys.end(), member.recovery_keys.begin(), member.recovery_keys.end());
  }
  return keys;
}

// Also those that a charter before this one listed.
std::vector<crypto::PublicKey> KeysEverListed(const charter::CharterTree& tree) {
  std::vector<crypto::PublicKey> keys;
  for (const EntryId& entry : tree.PathInForce()) {
    const auto authority = tree.AuthorityOf(entry);
    if (authority == nullptr) continue;
    for (auto& key : ListedKeys(*authority)) keys.push_back(std::move(key));
  }
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
}

// The charter knows no kinds: here it is seen whether anything reads "deadline.amendmnet".
Status CheckKindOfRule(std::string_view name) {
  for (const std::string_view prefix : {charter::kDeadlinePrefix, charter::kThresholdPrefix}) {
    if (name.starts_with(prefix)) {
      STAFFEL_CHECK(record::Kinds().Named(name.substr(prefix.size())));
    }
  }
  return {};
}

}  // namespace

Result<admin::ApproveReply> Administration::Proposed(const EntryId& entry) {
  if (options_.cosign) {
    STAFFEL_TRY(cosigned, sync::CosignInForce(*options_.store, *options_.key));
    (void)cosigned;
  }
  options_.replicator->Wake();
  admin::ApproveReply reply;
  const auto change = sync::ChangeOf(*options_.store, *options_.key, entry);
  if (!change) return reply;
  STAFFEL_TRY(shown, ShownProposal(*change));
  *reply.add_proposals() = std::move(shown);
  if (change->missing_from.empty()) reply.set_in_force(1);
  return reply;
}

Result<admin::CharterReply> Administration::Charter(const admin::CharterRequest& request, Call&) {
  const auto tree = options_.store->charter();
  if (tree == nullptr || tree->InForce().authority == nullptr) return NoConference();
  const charter::Authority& authority = *tree->InForce().authority;
  admin::CharterReply reply;
  reply.set_conference_id(authority.conference().Hex());
  reply.set_name(authority.name());
  reply.set_title(authority.content().title);
  reply.set_demonstration(authority.demonstration());
  reply.set_entry(authority.entry().Hex());
  reply.set_number(authority.seq());
  reply.set_settled(tree->InForce().settled);
  reply.set_tied(tree->InForce().tied);
  for (const EntryId& entry : tree->TiedEntries()) reply.add_tied_entries(entry.Hex());
  reply.set_quorum(static_cast<std::uint32_t>(authority.quorum().needed));
  Put(*reply.mutable_eligible(), authority.quorum().eligible);
  for (const auto& member : authority.members()) {
    auto* out = reply.add_members();
    out->set_id(std::string(member.id.text()));
    out->set_name(member.name);
    out->set_voting(member.voting);
    for (auto& key : KeysOf(authority, member, options_.key->public_key())) {
      *out->add_keys() = std::move(key);
    }
  }
  for (const auto& audience : authority.audiences()) {
    auto* out = reply.add_audiences();
    out->set_id(audience.id.Hex());
    out->set_name(audience.name);
    out->set_open(audience.open);
    out->set_chair_writes_only(audience.chair_writes_only);
    Put(*out->mutable_readers(), audience.readers);
    Put(*out->mutable_writers(), audience.writers);
    if (audience.relay) out->set_relay(std::string(audience.relay->text()));
  }
  for (const auto& term : authority.content().terms) {
    auto* out = reply.add_terms();
    out->set_number(term.number);
    out->set_member(std::string(term.member.text()));
    out->set_key(ToHex(term.replica.bytes()));
    out->set_starts_ms(term.starts.value);
    out->set_protocol_parts(static_cast<std::uint32_t>(term.protocol.size()));
  }
  for (const std::uint32_t kind : authority.content().personal_kinds) {
    reply.add_personal_kinds(KindName(kind));
  }
  reply.set_own_version(projection::kProjectionVersion);
  for (const auto& least : authority.content().min_versions) {
    auto* out = reply.add_min_versions();
    out->set_kind(KindName(least.kind));
    out->set_version(least.version);
    out->set_read_only(least.version > projection::kProjectionVersion);
  }
  STAFFEL_TRY(snapshot, options_.store->Read());
  FillCuts(snapshot, authority, reply);
  FillRules(authority, options_.clock->Now(), reply.mutable_rules());
  if (request.log()) {
    FillEntries(*tree, reply);
    for (auto& entry : *reply.mutable_entries()) {
      STAFFEL_TRY(details, DetailsOf(snapshot, *tree, *EntryId::FromText(entry.entry())));
      for (std::string& detail : details) entry.add_details(std::move(detail));
    }
  }
  return reply;
}

Result<admin::ApproveReply> Administration::Strengthen(const admin::StrengthenRequest& request,
                                                       Call&) {
  STAFFEL_TRY(entry, sync::Strengthen(*options_.store, *options_.key, request.entry()));
  return Proposed(entry);
}

Result<admin::ApproveReply> Administration::ApproveWith(const admin::ApproveWithRequest& request,
                                                        Call&) {
  const auto entry = EntryId::FromText(request.entry());
  if (!entry) return Fail(ErrorCode::kInvalid, "'{}' is no entry's id", request.entry());
  STAFFEL_TRY(key, crypto::PublicKey::From(request.key()));
  STAFFEL_CHECK(sync::TakeApproval(*options_.store, *entry, key, request.signature()));
  return Proposed(*entry);
}

std::string Administration::Rotation() {
  const auto authority = options_.store->authority();
  if (authority == nullptr) return {};
  const auto& own = options_.key->public_key();
  if (!options_.former_key.empty() && authority->IsCurrentKey(options_.former_key)) {
    return "the node signs with its new keys; the former one is still listed: 'staffel keys "
           "rotate' takes it out";
  }
  if (!options_.next_keys) return {};
  const auto next = options_.next_keys(/*make=*/false);
  if (!next || !*next) return {};
  if (!authority->IsCurrentKey((*next)->replica)) {
    return "new keys are prepared and wait for approval: 'staffel waiting'";
  }
  if (authority->hub_key() == own) {
    return fmt::format(
        "the new keys are in the charter; the chair passes to them by 'staffel "
        "handover propose {} --key {}'",
        authority->chair().text(), ToHex((*next)->replica.bytes()).substr(0, 16));
  }
  return "the new keys are in the charter: restart staffeld, and it goes on with them";
}

Result<admin::KeysReply> Administration::Keys(const admin::KeysRequest&, Call&) {
  const auto authority = options_.store->authority();
  if (authority == nullptr) return NoConference();
  admin::KeysReply reply;
  if (const auto own = options_.store->own_member()) reply.set_member(std::string(own->text()));
  for (const auto& member : authority->members()) {
    for (auto& key : KeysOf(*authority, member, options_.key->public_key())) {
      *reply.add_keys() = std::move(key);
    }
  }
  for (const auto& key : KeysEverListed(*options_.store->charter())) {
    if (authority->SignerOf(key)) continue;
    const auto owner = authority->OwnerEver(key);
    auto* out = reply.add_former();
    out->set_key(ToHex(key.bytes()));
    out->set_kind("former");
    out->set_fingerprint(key.Fingerprint().Hex());
    if (owner) out->set_member(std::string(owner->text()));
  }
  reply.set_rotation(Rotation());
  return reply;
}

Result<admin::ApproveReply> Administration::ChangeKeys(const admin::ChangeKeysRequest& request,
                                                       Call&) {
  const auto tree = options_.store->charter();
  if (tree == nullptr || tree->InForce().authority == nullptr) return NoConference();
  const charter::Authority& authority = *tree->InForce().authority;
  std::vector<EntryId> up_to;
  for (const std::string& text : request.up_to()) {
    const auto entry = EntryId::FromText(text);
    if (!entry) return Fail(ErrorCode::kInvalid, "'{}' is no entry's whole id", text);
    up_to.push_back(*entry);
  }
  const auto propose = [&]() -> Result<EntryId> {
    switch (request.action()) {
      case admin::ChangeKeysRequest::REMOVE: {
        STAFFEL_TRY(key, FindKey(ListedKeys(authority), request.key()));
        if (key == options_.key->public_key()) {
          return Fail(ErrorCode::kInvalid,
                      "this node signs with that key: rotate it first ('staffel keys rotate'), or "
                      "take it out from another node");
        }
        return sync::RemoveKey(*options_.store, key, up_to,
                               request.anyway() ? sync::Unread::kVoid : sync::Unread::kRefuse);
      }
      case admin::ChangeKeysRequest::CUT: {
        STAFFEL_TRY(key, FindKey(KeysEverListed(*tree), request.key()));
        return sync::CutJournals(*options_.store, key, up_to);
      }
      case admin::ChangeKeysRequest::ADD_RECOVERY: {
        const auto bytes = FromHex(request.key());
        if (!bytes) return Fail(ErrorCode::kInvalid, "a key is 66 hexadecimal digits");
        STAFFEL_TRY(key, crypto::PublicKey::From(*bytes));
        return sync::AddRecoveryKey(*options_.store, key);
      }
      case admin::ChangeKeysRequest::ADDRESS:
        if (options_.url.empty()) {
          return Fail(ErrorCode::kInvalid,
                      "this node listens nowhere: give it a table [replicas] in its configuration "
                      "and start it again");
        }
        return sync::SetAddress(*options_.store, options_.key->public_key(), options_.url);
      default:
        break;
    }
    if (!options_.former_key.empty() && authority.IsCurrentKey(options_.former_key)) {
      return sync::RemoveKey(*options_.store, options_.former_key, {});
    }
    if (!options_.next_keys) {
      return Fail(ErrorCode::kUnsupported, "this node keeps its keys elsewhere");
    }
    STAFFEL_TRY(next, options_.next_keys(/*make=*/true));
    if (!next) return Fail(ErrorCode::kInternal, "no new keys were made");
    if (authority.IsCurrentKey(next->replica)) {
      return Fail(ErrorCode::kConflict, "{}", Rotation());
    }
    for (const auto& proposal : tree->Waiting()) {
      const auto child = tree->AuthorityOf(proposal.entry);
      if (child != nullptr && child->IsCurrentKey(next->replica)) return proposal.entry;
    }
    return sync::AddReplica(*options_.store, {next->replica, next->tls, options_.url});
  };
  STAFFEL_TRY(entry, propose());
  return Proposed(entry);
}

Result<admin::RulesReply> Administration::Rules(const admin::RulesRequest&, Call&) {
  const auto authority = options_.store->authority();
  if (authority == nullptr) return NoConference();
  const TimeMs now = options_.clock->Now();
  admin::RulesReply reply;
  FillRules(*authority, now, reply.mutable_rules());
  Put(*reply.mutable_chair_order(), charter::ChairOrder(*authority, now));
  if (const auto next = charter::NextChair(*authority, authority->chair(), now)) {
    reply.set_next_chair(std::string(next->text()));
  }
  if (const auto start = charter::NextTermStart(*authority, now)) {
    reply.set_next_start_ms(start->value);
  }
  return reply;
}

Result<admin::ApproveReply> Administration::SetRule(const admin::SetRuleRequest& request, Call&) {
  if (request.name().empty()) return Fail(ErrorCode::kInvalid, "which rule?");
  STAFFEL_CHECK(record::RefuseMarked("rule", request.name() + " " + request.value()));
  if (!request.remove()) STAFFEL_CHECK(CheckKindOfRule(request.name()));
  const TimeMs from = request.from_ms() == 0 ? options_.clock->Now() : TimeMs{request.from_ms()};
  STAFFEL_TRY(entry, sync::SetRule(*options_.store, request.name(),
                                   request.remove() ? std::nullopt
                                                    : std::optional<std::string>(request.value()),
                                   from));
  return Proposed(entry);
}

Result<admin::ApproveReply> Administration::AdmitMember(const admin::AdmitMemberRequest& request,
                                                        Call&) {
  STAFFEL_TRY(member, ReadMember(request.id()));
  STAFFEL_CHECK(record::RefuseMarked("name of a member", request.name()));
  STAFFEL_TRY(entry, sync::AdmitMember(*options_.store, member, request.name(), request.voting()));
  return Proposed(entry);
}

Result<admin::ApproveReply> Administration::ChangeMember(const admin::ChangeMemberRequest& request,
                                                         Call&) {
  STAFFEL_TRY(member, ReadMember(request.member()));
  charter::MemberChange change;
  if (request.has_name()) {
    STAFFEL_CHECK(record::RefuseMarked("name of a member", request.name()));
    change.name = request.name();
  }
  if (request.has_voting()) change.voting = request.voting();
  STAFFEL_TRY(entry, sync::ChangeMember(*options_.store, member, change));
  return Proposed(entry);
}

Result<admin::ApproveReply> Administration::RemoveMember(const admin::RemoveMemberRequest& request,
                                                         Call&) {
  STAFFEL_TRY(member, ReadMember(request.member()));
  STAFFEL_TRY(entry,
              sync::RemoveMember(*options_.store, member,
                                 request.anyway() ? sync::Unread::kVoid : sync::Unread::kRefuse));
  return Proposed(entry);
}

Result<admin::ApproveReply> Administration::ChangeConference(
    const admin::ChangeConferenceRequest& request, Call&) {
  charter::ConferenceChange change;
  if (request.has_name()) {
    STAFFEL_CHECK(record::RefuseMarked("conference's name", request.name()));
    change.name = request.name();
  }
  if (request.has_title()) {
    STAFFEL_CHECK(record::RefuseMarked("conference's title", request.title()));
    change.title = request.title();
  }
  STAFFEL_TRY(entry, sync::ChangeConference(*options_.store, change));
  return Proposed(entry);
}

Result<admin::ApproveReply> Administration::ChangeKind(const admin::ChangeKindRequest& request,
                                                       Call&) {
  STAFFEL_TRY(kind, record::Kinds().Named(request.kind()));
  charter::KindChange change;
  if (request.has_personal()) change.personal = request.personal();
  if (request.has_min_version()) change.min_version = request.min_version();
  STAFFEL_TRY(entry, sync::ChangeKind(*options_.store, kind->number, change));
  return Proposed(entry);
}

void Administration::FillCharterStatus(admin::StatusReply& reply) {
  const auto authority = options_.store->authority();
  if (authority == nullptr) return;
  reply.set_term_starts_ms(authority->current_term().starts.value);
  reply.set_key_rotation(Rotation());
  auto state = ShownHandover();
  if (!state) return;
  reply.set_charter_tied(state->tied());
  reply.set_chair_pauses(state->chair_pauses());
  if (state->is_chairs_node() && state->chair_pauses().empty() && options_.clocks != nullptr) {
    const auto view = options_.clocks->Look();
    const bool due = std::any_of(
        reply.audiences().begin(), reply.audiences().end(),
        [](const auto& audience) { return audience.receipted() && audience.not_received() > 0; });
    if (due && !view.borne_out) {
      reply.set_chair_pauses(
          view.clocks == 1
              ? "no receipts until another node calls: a second clock has to bear out their time, "
                "and none has been heard within an hour"
              : "no receipts: every other clock that is heard differs from this node's by more "
                "than an hour; check the time services, or wait for a clock that agrees");
    }
  }
  if (!state->announced_member().empty() || state->pending_size() > 0 ||
      state->not_cut_size() > 0) {
    *reply.mutable_handover() = std::move(*state);
  }
}

}  // namespace staffel::api
