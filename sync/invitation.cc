// SPDX-License-Identifier: EUPL-1.2
#include "sync/invitation.h"

#include <algorithm>
#include <utility>

#include "core/crypto/hash.h"
#include "core/crypto/system_random.h"
#include "core/store/charter_draft.h"
#include "sync/handover.h"
#include "sync/proposal.h"
#include "sync/wire_join.h"

namespace staffel::sync {
namespace {

constexpr std::string_view kInvitationPrefix = "invitation/";
constexpr std::string_view kJoiningKey = "joining";
constexpr std::string_view kTagCode = "staffel/1/invitation";
constexpr int kUpdateTriesMax = 10;

std::string InvitationKey(ByteView id) { return std::string(kInvitationPrefix) + ToHex(id); }

Bytes HashCode(ByteView id, ByteView code) {
  Bytes all(id);
  all.append(code);
  return Bytes(crypto::TaggedHash(kTagCode, all).bytes());
}

std::shared_ptr<const charter::CharterTree> Charter(Store& store) {
  auto tree = store.charter();
  return tree && tree->InForce().authority ? tree : nullptr;
}

tl::unexpected<Error> NoConference() {
  return Fail(ErrorCode::kUnavailable,
              "this node belongs to no conference yet: found one, or join with an invitation");
}

Status IngestCharter(Store& store, CharterItem item) {
  Batch batch;
  batch.charter.push_back(std::move(item));
  STAFFEL_TRY(ingested, store.Ingest(store.Prepare(std::move(batch))));
  if (!ingested.charter_refusals.empty()) {
    return tl::unexpected<Error>(std::move(ingested.charter_refusals.front()));
  }
  return {};
}

// Whether the member's keys are in force by this join.
bool HasJoined(const charter::Authority& authority, const JoinBody& body) {
  const auto replica = authority.ReplicaOfKey(body.key);
  return replica && replica->member->id == body.member && replica->replica->tls_key == body.tls_key;
}

const charter::Content* ContentOf(const charter::CharterTree& tree, const EntryId& entry) {
  const auto authority = tree.AuthorityOf(entry);
  return authority ? &authority->content() : nullptr;
}

// The waiting proposal that gives `body`'s keys to its member.
std::optional<charter::CharterTree::Proposal> ProposalOf(const charter::CharterTree& tree,
                                                         const JoinBody& body) {
  for (auto& proposal : tree.Waiting()) {
    const charter::Content* content = ContentOf(tree, proposal.entry);
    if (content == nullptr) continue;
    const charter::Member* member = content->FindMember(body.member);
    if (member == nullptr || !member->SignsWith(body.key)) continue;
    return std::move(proposal);
  }
  return std::nullopt;
}

// Puts forward, on top of the charter in force, that the joiner gets its keys; approved with ours.
Result<EntryId> Propose(Store& store, const JoinBody& body, bool further, Random& random) {
  charter::Replica replica;
  replica.key = body.key;
  replica.tls_key = body.tls_key;
  replica.url = body.url;
  return store.Propose([&](CharterDraft& draft) {
    const charter::Content& before = draft.authority().content();
    return further ? charter::WithReplicaAdded(before, body.member, replica)
                   : charter::WithMemberJoined(before, body.member, replica, body.recovery_keys,
                                               random);
  });
}

struct StoredInvitation {
  std::string key;
  Bytes bytes;
  InvitationRecord record;
};

Result<std::vector<StoredInvitation>> AllInvitations(Store& store) {
  STAFFEL_TRY(all, store.ListLocal(kInvitationPrefix));
  std::vector<StoredInvitation> invitations;
  for (auto& [key, bytes] : all) {
    STAFFEL_TRY(record, DecodeInvitationRecord(bytes));
    invitations.push_back({key, bytes, std::move(record)});
  }
  return invitations;
}

Invitation Show(const StoredInvitation& stored, const charter::CharterTree* tree, TimeMs now) {
  const InvitationRecord& record = stored.record;
  Invitation invitation;
  invitation.id = stored.key.substr(kInvitationPrefix.size());
  invitation.member = record.member;
  invitation.created = record.created;
  invitation.expires = record.expires;
  invitation.used = record.used_time;
  if (record.used) invitation.key = record.used->key;
  if (record.used && tree != nullptr && HasJoined(*tree->InForce().authority, *record.used)) {
    invitation.state = Invitation::State::kJoined;
  } else if (record.revoked) {
    invitation.state = Invitation::State::kRevoked;
  } else if (record.used) {
    invitation.state = Invitation::State::kUsed;
    if (tree != nullptr) {
      if (const auto proposal = ProposalOf(*tree, *record.used)) {
        invitation.waiting = proposal->needs.Sentence();
        invitation.missing_from = proposal->needs.MissingFrom();
      }
    }
  } else if (record.expires <= now) {
    invitation.state = Invitation::State::kExpired;
  }
  return invitation;
}

// Whether this node is the hub of the term in force.
bool IsHub(const charter::Authority& authority, const crypto::PublicKey& key) {
  return authority.hub_key() == key;
}

bool IsHttpsUrl(std::string_view url) {
  return url.starts_with("https://") && url.size() > 8 && url.size() <= charter::kUrlBytesMax &&
         std::all_of(url.begin(), url.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

WaitingChange Describe(const charter::CharterTree& tree, const EntryId& entry,
                       const charter::Needs& needs, const crypto::PublicKey& key) {
  WaitingChange change;
  change.entry = entry;
  for (const auto& requirement : needs.requirements) change.changes.push_back(requirement.change);
  change.approved.assign(needs.approved.begin(), needs.approved.end());
  change.missing_from = needs.MissingFrom();
  change.needs = needs.Sentence();
  for (const auto& requirement : needs.requirements) {
    if (needs.forbidden || needs.Satisfied() || requirement.MetBy(needs.approved)) continue;
    charter::Needs one = needs;
    one.requirements = {requirement};
    change.lacks.push_back(one.Sentence());
  }
  if (needs.forbidden) change.lacks = {needs.Sentence()};
  const Entry* held = tree.Find(entry);
  const charter::Content* content = ContentOf(tree, entry);
  const auto parent = held != nullptr ? tree.AuthorityOf(held->header.prev) : nullptr;
  if (content != nullptr && parent) {
    for (const charter::Member& member : content->members) {
      const charter::Member* before = parent->FindMember(member.id);
      if (before == nullptr ? member.has_keys()
                            : member.replicas.size() > before->replicas.size()) {
        change.joining.push_back(member.id);
      }
    }
    if (const auto signer = parent->SignerOf(key)) {
      change.approved_here = needs.approved.contains(*signer);
    }
  }
  return change;
}

}  // namespace

// ---------------------------------------------------------------------------------------------
// Founding

Result<ConferenceId> Found(Store& store, const crypto::KeyPair& key,
                           const charter::FoundingOptions& options, Clock& clock, Random& random) {
  if (store.conference()) {
    return Fail(
        ErrorCode::kExists,
        "this node belongs to a conference already: a new one needs a directory of its own");
  }
  STAFFEL_TRY(joining, store.GetLocal(kJoiningKey));
  if (joining) {
    return Fail(ErrorCode::kExists,
                "this node is joining a conference: give that up first, or use another directory");
  }
  if (options.replica.key != key.public_key()) {
    return Fail(ErrorCode::kInvalid, "the founding names another key than this node's");
  }
  STAFFEL_TRY(content, charter::FoundingCharter(options, random));
  STAFFEL_TRY(entry, charter::MakeCharterEntry(nullptr, content, clock.Now()));
  const ConferenceId conference = entry.id;
  charter::CharterTree tree(conference);
  STAFFEL_TRY(added, tree.Add(entry));
  (void)added;
  for (const charter::Rule& rule : options.rules) {
    STAFFEL_CHECK(charter::CheckRule(*tree.AuthorityOf(entry.id), rule.name, rule.value));
  }
  CharterItem item;
  item.id = entry.id;
  item.entry = std::move(entry);
  item.signatures.push_back(
      charter::SignCharterEntry(conference, charter::CharterSignature::Kind::kApproval, key));
  STAFFEL_CHECK(store.Adopt(conference));
  STAFFEL_CHECK(IngestCharter(store, std::move(item)));
  return conference;
}

// ---------------------------------------------------------------------------------------------
// Inviting

Result<MadeInvitation> Invite(Store& store, const MemberId& member, Clock& clock, Random& random,
                              std::chrono::milliseconds lifetime, bool further) {
  const auto tree = Charter(store);
  if (!tree) return NoConference();
  const charter::Authority& authority = *tree->InForce().authority;
  const auto hub = authority.Hub();
  const auto own = store.own_member();
  if (!hub || !own || *own != authority.chair()) {
    return Fail(ErrorCode::kDenied, "only the hub invites: ask {}, who holds the chair",
                authority.chair().text());
  }
  if (hub->replica->url.empty()) {
    return Fail(
        ErrorCode::kInvalid,
        "the charter names no address of the hub, so nobody could find it by an invitation");
  }
  const charter::Member* invited = authority.FindMember(member);
  if (invited == nullptr) {
    return Fail(ErrorCode::kNotFound, "{} is no member of {}: only listed members are invited",
                member.text(), authority.name());
  }
  if (!further && authority.EverHadKey(member)) {
    return Fail(ErrorCode::kExists,
                "{} has joined already: one more replica of it is invited with --further",
                member.text());
  }
  if (further && !invited->has_keys()) {
    return Fail(ErrorCode::kInvalid,
                "{} has no replica yet: invite its first one without --further", member.text());
  }
  if (lifetime <= std::chrono::milliseconds(0) || lifetime > kInvitationLifetimeMax) {
    return Fail(ErrorCode::kInvalid, "an invitation lasts at most {} days",
                kInvitationLifetimeMax.count() / 24);
  }
  const TimeMs now = clock.Now();
  STAFFEL_TRY(all, AllInvitations(store));
  const auto open = std::count_if(all.begin(), all.end(), [&](const StoredInvitation& one) {
    return Show(one, tree.get(), now).state == Invitation::State::kOpen;
  });
  if (static_cast<std::size_t>(open) >= kInvitationsOpenMax) {
    return Fail(ErrorCode::kTooLarge, "{} invitations are open: revoke some first", open);
  }

  InvitationToken token;
  token.conference = authority.conference();
  token.conference_name = authority.name();
  token.hub_url = hub->replica->url;
  token.hub_tls_fingerprint = hub->replica->tls_key.Fingerprint();
  token.member = member;
  token.id = random.Draw(kInvitationIdBytes);
  token.code = random.Draw(kCodeBytes);
  token.expires = {now.value + static_cast<std::uint64_t>(lifetime.count())};

  StoredInvitation stored;
  stored.key = InvitationKey(token.id);
  stored.record.member = member;
  stored.record.further = further;
  stored.record.code_hash = HashCode(token.id, token.code);
  stored.record.created = now;
  stored.record.expires = token.expires;
  STAFFEL_CHECK(
      store.PutLocal(stored.key, EncodeInvitationRecord(stored.record), std::optional<Bytes>()));
  return MadeInvitation{Show(stored, tree.get(), now), EncodeToken(token)};
}

Result<std::vector<Invitation>> ListInvitations(Store& store, Clock& clock) {
  const auto tree = Charter(store);
  STAFFEL_TRY(all, AllInvitations(store));
  std::vector<Invitation> invitations;
  for (const StoredInvitation& one : all) {
    invitations.push_back(Show(one, tree.get(), clock.Now()));
  }
  std::stable_sort(invitations.begin(), invitations.end(),
                   [](const Invitation& a, const Invitation& b) { return a.created > b.created; });
  return invitations;
}

Result<Invitation> RevokeInvitation(Store& store, std::string_view id, Clock& clock) {
  for (int tries = 0; tries < kUpdateTriesMax; ++tries) {
    const auto tree = Charter(store);
    STAFFEL_TRY(all, AllInvitations(store));
    StoredInvitation* found = nullptr;
    for (StoredInvitation& one : all) {
      if (id.empty() ||
          !std::string_view(one.key).substr(kInvitationPrefix.size()).starts_with(id)) {
        continue;
      }
      if (found != nullptr) {
        return Fail(ErrorCode::kInvalid, "several invitations begin with {}: give more of the id",
                    id);
      }
      found = &one;
    }
    if (found == nullptr) return Fail(ErrorCode::kNotFound, "there is no invitation {}", id);
    if (Show(*found, tree.get(), clock.Now()).state == Invitation::State::kJoined) {
      return Fail(ErrorCode::kConflict,
                  "{} has joined with this invitation: it can no longer be revoked, only the "
                  "member's key can",
                  found->record.member.text());
    }
    found->record.revoked = true;
    const Status put =
        store.PutLocal(found->key, EncodeInvitationRecord(found->record), found->bytes);
    if (put) return Show(*found, tree.get(), clock.Now());
    if (put.error().code != ErrorCode::kConflict) return tl::unexpected<Error>(put.error());
  }
  return Fail(ErrorCode::kUnavailable, "the invitation keeps changing: try again");
}

// ---------------------------------------------------------------------------------------------
// Joining: the new node

Result<TokenContent> ReadToken(std::string_view text) {
  STAFFEL_TRY(token, DecodeToken(text));
  TokenContent content;
  content.conference = token.conference;
  content.conference_name = token.conference_name;
  content.member = token.member;
  content.hub_url = token.hub_url;
  content.hub_tls_fingerprint = token.hub_tls_fingerprint;
  content.expires = token.expires;
  return content;
}

Status StartJoining(Store& store, std::string_view text, std::string_view url, Clock& clock) {
  STAFFEL_TRY(token, DecodeToken(text));
  if (token.expires <= clock.Now()) {
    return Fail(
        ErrorCode::kInvalid,
        "this invitation ended on {}: ask {} for a new one (or is this machine's clock wrong?)",
        FormatTimeUtc(token.expires), token.hub_url);
  }
  if (!url.empty() && !IsHttpsUrl(url)) {
    return Fail(
        ErrorCode::kInvalid,
        "\"{}\" is not an address at which this node can be reached: write https://host:port, "
        "or nothing",
        url);
  }
  if (store.conference()) {
    return Fail(
        ErrorCode::kExists,
        "this node belongs to a conference already: another one needs a directory of its own");
  }
  STAFFEL_TRY(standing, store.GetLocal(kJoiningKey));
  if (standing) {
    STAFFEL_TRY(before, DecodeJoiningRecord(*standing));
    STAFFEL_TRY(before_token, DecodeToken(before.token));
    const bool same = before_token.id == token.id && before_token.code == token.code;
    if (same && before.refused.empty() && before.url == url) return {};
    if (before.refused.empty() && before_token.conference != token.conference) {
      return Fail(ErrorCode::kExists,
                  "this node is joining {} already: give that up first, or use another directory",
                  before_token.conference_name);
    }
  }
  JoiningRecord record;
  record.token = EncodeToken(token);
  record.url = std::string(url);
  record.started = clock.Now();
  return store.PutLocal(kJoiningKey, EncodeJoiningRecord(record), standing);
}

Status StopJoining(Store& store) {
  STAFFEL_TRY(standing, store.GetLocal(kJoiningKey));
  if (!standing) return Fail(ErrorCode::kNotFound, "this node is not joining a conference");
  return store.PutLocal(kJoiningKey, std::nullopt, standing);
}

Result<std::optional<JoiningStatus>> Joining(Store& store) {
  std::optional<JoiningStatus> none;
  STAFFEL_TRY(standing, store.GetLocal(kJoiningKey));
  if (!standing) return none;
  // The charter is here and names us: joined.
  if (store.own_member()) return none;
  STAFFEL_TRY(record, DecodeJoiningRecord(*standing));
  STAFFEL_TRY(token, ReadToken(record.token));
  JoiningStatus status;
  status.token = std::move(token);
  status.url = record.url;
  status.started = record.started;
  status.asked = record.asked;
  status.waiting = record.waiting;
  status.missing_from = record.missing_from;
  status.refused = record.refused;
  return std::optional<JoiningStatus>(std::move(status));
}

Result<Bytes> MakeJoinRequest(Store& store, const JoinKeys& keys) {
  STAFFEL_TRY(standing, store.GetLocal(kJoiningKey));
  if (!standing) return Fail(ErrorCode::kNotFound, "this node is not joining a conference");
  STAFFEL_TRY(record, DecodeJoiningRecord(*standing));
  STAFFEL_TRY(token, DecodeToken(record.token));
  JoinBody body;
  body.conference = token.conference;
  body.hub_tls_fingerprint = token.hub_tls_fingerprint;
  body.member = token.member;
  body.invitation = token.id;
  body.code = token.code;
  body.key = keys.key->public_key();
  body.tls_key = keys.tls_key;
  body.url = record.url;
  body.recovery_keys = keys.recovery_keys;
  JoinRequest request;
  request.body = EncodeJoinBody(body);
  request.proof = keys.key->Sign(kTagJoin, request.body);
  return EncodeJoinRequest(request);
}

Result<JoinState> TakeJoinAnswer(Store& store, ByteView bytes, Clock& clock) {
  STAFFEL_TRY(answer, DecodeJoinAnswer(bytes));
  const auto state = static_cast<JoinState>(answer.state);
  STAFFEL_TRY(standing, store.GetLocal(kJoiningKey));
  if (!standing) return Fail(ErrorCode::kNotFound, "this node is not joining a conference");
  STAFFEL_TRY(record, DecodeJoiningRecord(*standing));
  record.asked = clock.Now();
  record.waiting = state == JoinState::kWaiting ? answer.reason : std::string();
  record.missing_from = answer.missing_from;
  record.refused = state == JoinState::kRefused ? answer.reason : std::string();
  STAFFEL_CHECK(store.PutLocal(kJoiningKey, EncodeJoiningRecord(record), standing));
  return state;
}

// ---------------------------------------------------------------------------------------------
// Joining: the hub

namespace {

Bytes Refuse(std::string reason) {
  JoinAnswer answer;
  answer.state = static_cast<std::uint32_t>(JoinState::kRefused);
  answer.reason = std::move(reason);
  return EncodeJoinAnswer(answer);
}

// How the joining of an invitation that was used stands; proposes where nothing is proposed.
Result<Bytes> StateOf(Store& store, const JoinBody& body, bool further, Random& random) {
  auto tree = Charter(store);
  if (!tree) return NoConference();
  JoinAnswer answer;
  for (int tries = 0; tries < 2; ++tries) {
    const charter::Authority& authority = *tree->InForce().authority;
    if (HasJoined(authority, body)) {
      answer.state = static_cast<std::uint32_t>(JoinState::kApproved);
      return EncodeJoinAnswer(answer);
    }
    if (const auto owner = authority.OwnerEver(body.key); owner) {
      return Refuse(fmt::format("this replica's key belongs to {} already", owner->text()));
    }
    if (const auto owner = authority.OwnerEver(body.tls_key); owner) {
      return Refuse(fmt::format("this replica's TLS key belongs to {} already", owner->text()));
    }
    if (!further && authority.EverHadKey(body.member)) {
      return Refuse(fmt::format(
          "{} has joined with another node: a further one needs an invitation that says so",
          body.member.text()));
    }
    if (const auto proposal = ProposalOf(*tree, body)) {
      answer.state = static_cast<std::uint32_t>(JoinState::kWaiting);
      answer.reason = proposal->needs.Sentence();
      answer.missing_from = proposal->needs.MissingFrom();
      answer.entry = proposal->entry;
      return EncodeJoinAnswer(answer);
    }
    if (tree->InForce().tied) {
      answer.state = static_cast<std::uint32_t>(JoinState::kWaiting);
      answer.reason = "two branches of the charter are equally strong: a quorum must decide first";
      return EncodeJoinAnswer(answer);
    }
    STAFFEL_TRY(proposed, Propose(store, body, further, random));
    (void)proposed;
    tree = Charter(store);
  }
  answer.state = static_cast<std::uint32_t>(JoinState::kWaiting);
  answer.reason = "the hub is putting the joining forward";
  return EncodeJoinAnswer(answer);
}

}  // namespace

Result<Bytes> AnswerJoin(Store& store, const crypto::KeyPair& key, ByteView bytes,
                         const crypto::PublicKey& peer, Clock& clock, Random& random,
                         bool* failed) {
  *failed = false;
  STAFFEL_TRY(request, DecodeJoinRequest(bytes));
  STAFFEL_TRY(body, DecodeJoinBody(request.body, /*with_code=*/true));
  const auto tree = Charter(store);
  if (!tree) return NoConference();
  const charter::Authority& authority = *tree->InForce().authority;
  if (!IsHub(authority, key.public_key())) {
    return Fail(ErrorCode::kDenied, "this node is not the hub: only the hub of {} lets others join",
                authority.chair().text());
  }
  if (body.conference != authority.conference()) {
    return Fail(ErrorCode::kInvalid, "the invitation is of another conference than this hub's");
  }
  if (body.tls_key != peer) {
    return Fail(ErrorCode::kDenied,
                "the join request names another TLS key than the one of its connection");
  }
  const auto hub = authority.Hub();
  if (!hub || body.hub_tls_fingerprint != hub->replica->tls_key.Fingerprint()) {
    return Fail(ErrorCode::kDenied, "the join request was made for another hub");
  }
  if (!crypto::Verify(body.key, kTagJoin, request.body, request.proof)) {
    return Fail(ErrorCode::kDenied,
                "the join request is not signed by the replica key that it names");
  }

  for (int tries = 0; tries < kUpdateTriesMax; ++tries) {
    StoredInvitation stored;
    stored.key = InvitationKey(body.invitation);
    STAFFEL_TRY(standing, store.GetLocal(stored.key));
    // One sentence for a wrong id and a wrong code: guessing tells nothing. Unknown ids are
    // compared, too, with a hash that no code has.
    const Bytes hash = HashCode(body.invitation, body.code);
    if (standing) {
      stored.bytes = *standing;
      STAFFEL_TRY(record, DecodeInvitationRecord(*standing));
      stored.record = std::move(record);
    }
    const Bytes expected = standing ? stored.record.code_hash : Bytes(hash.size(), '\0');
    if (!crypto::EqualSecrets(hash, expected)) {
      *failed = true;
      return Refuse("the hub does not know this invitation: ask for a new one");
    }
    const InvitationRecord& record = stored.record;
    if (record.member != body.member) {
      *failed = true;
      return Refuse(fmt::format("the invitation is for {}, not for {}", record.member.text(),
                                body.member.text()));
    }
    JoinBody without_code = body;
    without_code.code.clear();
    if (record.used && record.used->key == body.key && record.used->tls_key == body.tls_key &&
        HasJoined(authority, *record.used)) {
      return StateOf(store, *record.used, record.further, random);
    }
    if (record.revoked) return Refuse("the invitation was revoked: ask for a new one");
    if (record.used) {
      if (*record.used != without_code) {
        return Refuse(
            "the invitation was used by another node, or with another address: ask for a new one");
      }
      return StateOf(store, *record.used, record.further, random);
    }
    if (record.expires <= clock.Now()) {
      return Refuse(fmt::format("the invitation ended on {}: ask for a new one",
                                FormatTimeUtc(record.expires)));
    }
    if (!body.url.empty() && !IsHttpsUrl(body.url)) {
      return Refuse("the address of the joining node is not one that begins with https://");
    }
    stored.record.used = without_code;
    stored.record.used_time = clock.Now();
    const Status put = store.PutLocal(stored.key, EncodeInvitationRecord(stored.record), standing);
    if (put) return StateOf(store, without_code, stored.record.further, random);
    if (put.error().code != ErrorCode::kConflict) return tl::unexpected<Error>(put.error());
  }
  return Fail(ErrorCode::kUnavailable, "the invitation keeps changing: try again");
}

Result<std::size_t> RenewProposals(Store& store, const crypto::KeyPair& key, Random& random) {
  std::size_t renewed = 0;
  STAFFEL_TRY(all, AllInvitations(store));
  for (const StoredInvitation& one : all) {
    const auto tree = Charter(store);
    if (!tree || tree->InForce().tied || !IsHub(*tree->InForce().authority, key.public_key()))
      break;
    const charter::Authority& authority = *tree->InForce().authority;
    if (!one.record.used || one.record.revoked) continue;
    const JoinBody& body = *one.record.used;
    if ((!one.record.further && authority.EverHadKey(body.member)) ||
        authority.OwnerEver(body.key) || authority.OwnerEver(body.tls_key) ||
        ProposalOf(*tree, body)) {
      continue;
    }
    STAFFEL_TRY(proposed, Propose(store, body, one.record.further, random));
    (void)proposed;
    ++renewed;
  }
  return renewed;
}

// ---------------------------------------------------------------------------------------------
// Approving

std::vector<WaitingChange> WaitingChanges(Store& store, const crypto::KeyPair& key, bool all) {
  std::vector<WaitingChange> changes;
  const auto tree = Charter(store);
  if (!tree) return changes;
  const auto dropped = DroppedChanges(store);
  for (const auto& proposal : tree->Waiting()) {
    if (!all && dropped.contains(proposal.entry)) continue;
    changes.push_back(Describe(*tree, proposal.entry, proposal.needs, key.public_key()));
    changes.back().dropped = dropped.contains(proposal.entry);
  }
  return changes;
}

std::optional<WaitingChange> ChangeOf(Store& store, const crypto::KeyPair& key,
                                      const EntryId& entry) {
  const auto tree = Charter(store);
  const auto needs = tree ? tree->NeedsOf(entry) : std::nullopt;
  if (!needs) return std::nullopt;
  return Describe(*tree, entry, *needs, key.public_key());
}

Result<Approved> Approve(Store& store, const crypto::KeyPair& key, std::string_view what) {
  const auto tree = Charter(store);
  if (!tree) return NoConference();
  const auto waiting = WaitingChanges(store, key, /*all=*/true);
  std::vector<EntryId> chosen;
  const auto member = MemberId::From(what);
  for (const WaitingChange& change : waiting) {
    if (member && !change.dropped &&
        std::find(change.joining.begin(), change.joining.end(), *member) != change.joining.end()) {
      chosen.push_back(change.entry);
    }
  }
  if (chosen.empty() && what.size() >= 4) {
    for (const WaitingChange& change : waiting) {
      if (change.entry.Hex().starts_with(what)) chosen.push_back(change.entry);
    }
    if (chosen.size() > 1) {
      return Fail(ErrorCode::kInvalid, "several waiting changes begin with {}: give more of the id",
                  what);
    }
  }
  if (chosen.empty()) {
    return Fail(ErrorCode::kNotFound,
                "no change waits for approval under {}: see what is waiting first", what);
  }
  const auto dropped = DroppedChanges(store);
  for (const EntryId& entry : chosen) {
    if (dropped.contains(entry)) {
      return Fail(ErrorCode::kDenied,
                  "change {} was dropped on this node: take it up again first ('staffel waiting "
                  "--keep {}')",
                  entry.Hex().substr(0, 12), entry.Hex().substr(0, 12));
    }
    const auto parent = tree->AuthorityOf(tree->Find(entry)->header.prev);
    if (!parent || !parent->SignerOf(key.public_key())) {
      return Fail(ErrorCode::kDenied, "this node's key signs for no member, so it cannot approve");
    }
    STAFFEL_CHECK(CheckHandover(store, key, entry));
    CharterItem item;
    item.id = entry;
    item.signatures.push_back(
        charter::SignCharterEntry(entry, charter::CharterSignature::Kind::kApproval, key));
    STAFFEL_CHECK(IngestCharter(store, std::move(item)));
  }
  Approved approved;
  const auto after = Charter(store);
  for (const EntryId& entry : chosen) {
    if (const auto needs = after->NeedsOf(entry)) {
      approved.changes.push_back(Describe(*after, entry, *needs, key.public_key()));
    }
  }
  return approved;
}

Result<std::size_t> CosignInForce(Store& store, const crypto::KeyPair& key) {
  const auto tree = Charter(store);
  if (!tree) return std::size_t{0};
  const auto from_seq = store.cosign_from();
  if (!from_seq) return std::size_t{0};
  const auto entries = tree->ToCosign(key.public_key(), *from_seq);
  if (entries.empty()) return std::size_t{0};
  Batch batch;
  for (const EntryId& entry : entries) {
    CharterItem item;
    item.id = entry;
    item.signatures.push_back(
        charter::SignCharterEntry(entry, charter::CharterSignature::Kind::kSeen, key));
    batch.charter.push_back(std::move(item));
  }
  STAFFEL_TRY(ingested, store.Ingest(store.Prepare(std::move(batch))));
  return ingested.new_signatures;
}

}  // namespace staffel::sync
