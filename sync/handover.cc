// SPDX-License-Identifier: EUPL-1.2
#include "sync/handover.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "core/charter/build.h"
#include "core/charter/chair.h"
#include "core/crypto/hash.h"
#include "core/store/charter_draft.h"

namespace staffel::sync {
namespace {

// Local: what this node has agreed to, and what this chair has signed, as NextTermText.
constexpr std::string_view kAgreedKey = "handover/agreed";
constexpr std::string_view kSignedKey = "handover/signed";

using charter::Authority;
using charter::CharterTree;
using charter::Content;
using charter::HandoverPart;
using charter::NextTerm;

std::shared_ptr<const CharterTree> Charter(Store& store) {
  auto tree = store.charter();
  return tree && tree->InForce().authority ? tree : nullptr;
}

tl::unexpected<Error> NoConference() {
  return Fail(ErrorCode::kUnavailable,
              "this node belongs to no conference yet: found one, or join with an invitation");
}

tl::unexpected<Error> NothingAnnounced(const Authority& authority) {
  return Fail(ErrorCode::kNotFound,
              "no handover is announced: {} does that on its node ('staffel handover propose')",
              authority.chair().text());
}

// The replica that shall become the hub: one with an address, for the others must reach it. The hub
// itself (a next term of its own, as after a restore) is chosen by name, or where its member has no
// other one: whoever hands over from one of its nodes to another means the other.
Result<crypto::PublicKey> HubOf(const Authority& authority, const MemberId& id,
                                const std::optional<crypto::PublicKey>& chosen) {
  const charter::Member* member = authority.FindMember(id);
  if (member == nullptr) {
    return Fail(ErrorCode::kNotFound, "{} is no member of {}", id.text(), authority.name());
  }
  if (member->replicas.empty()) {
    return Fail(ErrorCode::kInvalid, "{} has not joined with a node yet: invite it first",
                id.text());
  }
  const charter::Replica* hub = nullptr;
  for (const charter::Replica& replica : member->replicas) {
    if (replica.url.empty() || (chosen && replica.key != *chosen)) continue;
    if (hub == nullptr || hub->key == authority.hub_key()) hub = &replica;
  }
  if (hub != nullptr) return hub->key;
  return Fail(ErrorCode::kInvalid,
              "the node of {} that shall become the hub has no address in the charter: its "
              "administrator gives it a table [replicas] and runs 'staffel keys address'",
              id.text());
}

Result<NextTerm> Choose(const Authority& authority, const HandoverChoice& choice, TimeMs now) {
  NextTerm next;
  if (choice.member) {
    next.member = *choice.member;
  } else {
    STAFFEL_TRY(member, charter::NextChair(authority, authority.chair(), now));
    next.member = member;
  }
  STAFFEL_TRY(hub, HubOf(authority, next.member, choice.replica));
  next.replica = std::move(hub);
  if (choice.starts) {
    next.starts = *choice.starts;
  } else {
    STAFFEL_TRY(starts, charter::NextTermStart(authority, now));
    next.starts = starts;
  }
  return next;
}

Status IsChairsNode(const Authority& authority, const crypto::KeyPair& key) {
  if (authority.hub_key() == key.public_key()) return {};
  return Fail(ErrorCode::kDenied, "only the node of the chair ({}) does this",
              authority.chair().text());
}

std::string AgreedTo(Store& store, std::string_view local) {
  const auto value = store.GetLocal(local);
  return value && *value ? std::string(**value) : std::string();
}

// Cuts of all lanes of the term in force, with the protocol of every audience that the draft's
// member reads.
Result<Content> PassOn(CharterDraft& draft, const NextTerm& next) {
  const Authority& authority = draft.authority();
  const std::uint64_t ended = authority.current_term().number;
  std::vector<charter::Cut> cuts;
  for (const auto& journal : draft.journals()) {
    if (journal.lane.term != ended || journal.key != authority.hub_key() ||
        !authority.Reads(draft.member(), journal.audience)) {
      continue;
    }
    STAFFEL_TRY(cut, draft.CutOf(journal));
    cuts.push_back(std::move(cut));
  }
  std::vector<charter::Term::Part> protocol;
  for (const AudienceId& audience : authority.AudiencesReadBy(draft.member())) {
    STAFFEL_TRY(part, draft.ProtocolOf(audience));
    for (Bytes& content : charter::SerializeHandoverPart(part)) {
      STAFFEL_TRY(hidden, draft.Disclose(audience, std::move(content)));
      protocol.push_back({audience, hidden});
    }
  }
  return charter::WithNextTerm(authority.content(), next.member, next.replica, next.starts,
                               std::move(cuts), std::move(protocol));
}

// An entry that passes the chair on, and its parent's authority.
struct Passing {
  EntryId entry;
  std::shared_ptr<const Authority> before;
  std::shared_ptr<const Authority> after;
  [[nodiscard]] NextTerm next() const {
    const charter::Term& term = after->current_term();
    return {term.member, term.replica, term.starts};
  }
};

std::optional<Passing> PassingOf(const CharterTree& tree, const EntryId& id) {
  const Entry* entry = tree.Find(id);
  if (entry == nullptr || entry->header.seq == 0) return std::nullopt;
  Passing passing{id, tree.AuthorityOf(entry->header.prev), tree.AuthorityOf(id)};
  if (!passing.before || !passing.after ||
      passing.after->content().terms.size() != passing.before->content().terms.size() + 1) {
    return std::nullopt;
  }
  return passing;
}

// Audiences of which the entry has no protocol, as its proposer does not read them.
std::vector<AudienceId> NotCut(const Passing& passing) {
  const auto& protocol = passing.after->current_term().protocol;
  std::vector<AudienceId> out;
  for (const auto& audience : passing.before->audiences()) {
    if (!audience.IsReader(passing.before->chair()) || audience.readers.size() < 2) continue;
    const bool named = std::any_of(protocol.begin(), protocol.end(),
                                   [&](const auto& part) { return part.audience == audience.id; });
    if (!named) out.push_back(audience.id);
  }
  return out;
}

// Entries on the one in force that wait for signatures and pass the chair on.
std::vector<std::pair<Passing, charter::Needs>> Waiting(const CharterTree& tree) {
  std::vector<std::pair<Passing, charter::Needs>> out;
  for (auto& proposal : tree.Waiting()) {
    if (auto passing = PassingOf(tree, proposal.entry)) {
      out.emplace_back(std::move(*passing), std::move(proposal.needs));
    }
  }
  return out;
}

// Nothing is slipped in beside the handover.
Status ChangesNothingElse(const Passing& passing) {
  const Content& before = passing.before->content();
  Content rest = passing.after->content();
  const std::uint64_t ended = passing.before->current_term().number;
  for (const charter::Cut& cut : rest.cuts) {
    const bool stood = std::find(before.cuts.begin(), before.cuts.end(), cut) != before.cuts.end();
    if (!stood && (cut.term != ended || cut.key != passing.before->hub_key())) {
      return Fail(ErrorCode::kConflict,
                  "the handover also cuts a journal that is not the ended chair's: look at it "
                  "with 'staffel charter log' before you approve it by itself");
    }
  }
  rest.terms = before.terms;
  rest.cuts = before.cuts;
  std::erase_if(rest.rules, [](const auto& rule) { return rule.name == charter::kNextRule; });
  Content bare = before;
  std::erase_if(bare.rules, [](const auto& rule) { return rule.name == charter::kNextRule; });
  if (rest == bare) return {};
  return Fail(ErrorCode::kConflict,
              "the handover also changes something else in the charter: look at it with 'staffel "
              "charter' before you approve it by itself");
}

std::string FiguresText(const HandoverPart::Figures& figures) {
  return fmt::format("{} entries, {} with an effect, {} records, digest {}", figures.entries,
                     figures.valid, figures.records, figures.digest.Hex().substr(0, 16));
}

// What the parts of one audience say; nothing where not all of them are disclosed here.
Result<std::optional<HandoverPart>> DisclosedPart(Snapshot& snapshot, const charter::Term& term,
                                                  const AudienceId& audience) {
  std::vector<Bytes> contents;
  for (const auto& part : term.protocol) {
    if (part.audience != audience) continue;
    STAFFEL_TRY(content, snapshot.Disclosed(audience, part.hidden));
    if (!content) return std::optional<HandoverPart>();
    contents.push_back(std::move(*content));
  }
  if (contents.empty()) return std::optional<HandoverPart>();
  STAFFEL_TRY(part, charter::ParseHandoverPart(contents));
  if (part.audience != audience || part.term + 1 != term.number) {
    return Fail(ErrorCode::kConflict,
                "the protocol disclosed in audience {} is of another audience or term",
                audience.Hex().substr(0, 8));
  }
  return std::optional<HandoverPart>(std::move(part));
}

ProtocolAudience CheckPart(Snapshot& snapshot, const Authority& before, const charter::Term& term,
                           const AudienceId& id) {
  using State = ProtocolAudience::State;
  ProtocolAudience out;
  out.audience = id;
  if (const auto* audience = before.FindAudience(id)) {
    out.name = audience->name;
    out.of_both = audience->IsReader(before.chair()) && audience->IsReader(term.member);
  }
  auto part = DisclosedPart(snapshot, term, id);
  if (!part) {
    out.state = State::kDiffers;
    out.sentence = part.error().message;
    return out;
  }
  if (!*part) {
    out.sentence = "what it says is not disclosed here yet: exchange first";
    return out;
  }
  out.part = std::move(**part);
  for (const auto& head : out.part->heads) {
    const auto held = snapshot.HasEntry(head.journal, head.seq, head.entry);
    if (held && *held) continue;
    out.state = State::kNotHeld;
    out.sentence = fmt::format("journal {} is not here up to number {} yet: exchange first",
                               head.journal.Hex().substr(0, 12), head.seq);
    return out;
  }
  auto figures = snapshot.FiguresAt(id, out.part->heads, before);
  if (!figures) {
    out.state = State::kNotHeld;
    out.sentence = figures.error().message;
    return out;
  }
  const auto& said = out.part->figures;
  if (*figures == said) {
    out.state = State::kEqual;
    return out;
  }
  // Whatever was erased between the two, here or there, digests cannot be compared any more; the
  // rest can.
  auto without = [](HandoverPart::Figures one) {
    one.erased = 0;
    one.digest = {};
    for (auto& kind : one.kinds) kind.digest = {};
    return one;
  };
  if (figures->erased != said.erased && without(*figures) == without(said)) {
    out.state = State::kErasedSince;
    return out;
  }
  out.state = State::kDiffers;
  out.sentence =
      fmt::format("it says {}; computed here: {}", FiguresText(said), FiguresText(*figures));
  return out;
}

// Hidden cuts in audiences read here must be open, or the ended chair could keep acting there.
Status CutsAreOpen(Snapshot& snapshot, const Passing& passing, const MemberId& own) {
  for (const charter::Cut& cut : passing.after->content().cuts) {
    if (!cut.hidden || !passing.before->Reads(own, cut.audience)) continue;
    STAFFEL_TRY(content, snapshot.Disclosed(cut.audience, *cut.hidden));
    if (content && charter::ParseCutHeads(*content)) continue;
    return Fail(ErrorCode::kUnavailable,
                "a hidden cut in audience {} is not disclosed here yet: exchange first",
                cut.audience.Hex().substr(0, 8));
  }
  return {};
}

Status Approve(Store& store, const crypto::KeyPair& key, const EntryId& entry) {
  Batch batch;
  CharterItem item;
  item.id = entry;
  item.signatures.push_back(
      charter::SignCharterEntry(entry, charter::CharterSignature::Kind::kApproval, key));
  batch.charter.push_back(std::move(item));
  STAFFEL_TRY(ingested, store.Ingest(store.Prepare(std::move(batch))));
  if (!ingested.charter_refusals.empty()) {
    return tl::unexpected<Error>(std::move(ingested.charter_refusals.front()));
  }
  return {};
}

// Removes what is announced and puts `next` in its place.
Result<Content> Announce(CharterDraft& draft, const std::optional<NextTerm>& next, TimeMs now) {
  Content content = draft.authority().content();
  std::erase_if(content.rules, [](const auto& rule) { return rule.name == charter::kNextRule; });
  if (!next) return content;
  return charter::WithRule(content, std::string(charter::kNextRule), charter::NextTermText(*next),
                           now);
}

// The waiting entry that this chair has signed.
std::optional<EntryId> SignedHere(const CharterTree& tree) {
  for (const auto& [passing, needs] : Waiting(tree)) {
    if (needs.approved.contains(passing.before->chair())) return passing.entry;
  }
  return std::nullopt;
}

}  // namespace

// ---------------------------------------------------------------------------------------------
// The steps

Result<NextTerm> ProposeHandover(Store& store, const crypto::KeyPair& key,
                                 const HandoverChoice& choice, Clock& clock) {
  const auto tree = Charter(store);
  if (!tree) return NoConference();
  const Authority& authority = *tree->InForce().authority;
  STAFFEL_CHECK(IsChairsNode(authority, key));
  if (SignedHere(*tree)) {
    return Fail(ErrorCode::kConflict,
                "a handover is signed already and waits for the others: see 'staffel handover "
                "status', or take it back with 'staffel handover cancel'");
  }
  const TimeMs now = clock.Now();
  STAFFEL_TRY(next, Choose(authority, choice, now));
  // Its node could not agree: announced in vain.
  if (!authority.content().FindMember(next.member)->voting) {
    return Fail(ErrorCode::kInvalid, "{} has no vote: the chair passes to a member with a vote",
                next.member.text());
  }
  if (next.starts <= now) {
    return Fail(ErrorCode::kInvalid,
                "the next term cannot begin in the past ({}): announce it for a time to come; "
                "'staffel handover complete --now' lets it begin at once",
                FormatTimeUtc(next.starts));
  }
  if (charter::Announced(authority) == next) return next;
  STAFFEL_TRY(entry,
              store.Propose([&](CharterDraft& draft) { return Announce(draft, next, now); }));
  (void)entry;
  return next;
}

Result<NextTerm> AcceptHandover(Store& store, const crypto::KeyPair& key) {
  const auto tree = Charter(store);
  if (!tree) return NoConference();
  const Authority& authority = *tree->InForce().authority;
  const auto next = charter::Announced(authority);
  if (!next) return NothingAnnounced(authority);
  const auto own = authority.MemberOfKey(key.public_key());
  const charter::Member* member = own ? authority.FindMember(*own) : nullptr;
  if (member == nullptr || !authority.SignerOf(key.public_key()) ||
      (!member->voting && *own != next->member)) {
    return Fail(ErrorCode::kDenied, "this node's key signs for no voting member");
  }
  if (*own == authority.chair()) {
    return Fail(ErrorCode::kDenied,
                "{} has the chair and passes it on by signing ('staffel handover complete')",
                own->text());
  }
  if (*own == next->member && next->replica != key.public_key()) {
    return Fail(ErrorCode::kDenied,
                "another replica of {} shall become the hub: accept the handover on that node",
                own->text());
  }
  STAFFEL_CHECK(store.PutLocal(kAgreedKey, Bytes(charter::NextTermText(*next))));
  return *next;
}

Result<EntryId> CompleteHandover(Store& store, const crypto::KeyPair& key, bool at_once,
                                 Clock& clock) {
  const auto tree = Charter(store);
  if (!tree) return NoConference();
  const Authority& authority = *tree->InForce().authority;
  STAFFEL_CHECK(IsChairsNode(authority, key));
  if (const auto waiting = SignedHere(*tree)) return *waiting;
  auto next = charter::Announced(authority);
  if (!next) return NothingAnnounced(authority);
  if (at_once) next->starts = clock.Now();
  STAFFEL_TRY(entry, store.Propose([&](CharterDraft& draft) { return PassOn(draft, *next); }));
  STAFFEL_CHECK(store.PutLocal(kSignedKey, Bytes(charter::NextTermText(*next))));
  return entry;
}

Status CancelHandover(Store& store, const crypto::KeyPair& key, Clock& clock) {
  const auto tree = Charter(store);
  if (!tree) return NoConference();
  const Authority& authority = *tree->InForce().authority;
  if (!IsChairsNode(authority, key)) {
    if (AgreedTo(store, kAgreedKey).empty()) {
      return Fail(ErrorCode::kNotFound, "this node has agreed to no handover");
    }
    return store.PutLocal(kAgreedKey, std::nullopt);
  }
  if (!charter::Announced(authority) && !SignedHere(*tree)) return NothingAnnounced(authority);
  STAFFEL_CHECK(store.PutLocal(kSignedKey, std::nullopt));
  // The entry that waits stands beside this one then, and is out of the way.
  STAFFEL_TRY(entry, store.Propose([&](CharterDraft& draft) {
    return Announce(draft, std::nullopt, clock.Now());
  }));
  (void)entry;
  return {};
}

Result<EntryId> RecoverChair(Store& store, const crypto::KeyPair& key, const HandoverChoice& choice,
                             Clock& clock) {
  const auto tree = Charter(store);
  if (!tree) return NoConference();
  const Authority& authority = *tree->InForce().authority;
  HandoverChoice chosen = choice;
  if (!chosen.starts) chosen.starts = clock.Now();
  STAFFEL_TRY(next, Choose(authority, chosen, clock.Now()));
  for (const auto& [passing, needs] : Waiting(*tree)) {
    NextTerm waiting = passing.next();
    waiting.starts = next.starts;
    // Proposed by somebody already: signing that one brings it nearer, a second one would not.
    if (waiting == next && !needs.approved.contains(authority.chair())) {
      STAFFEL_CHECK(CheckHandover(store, key, passing.entry));
      STAFFEL_CHECK(Approve(store, key, passing.entry));
      return passing.entry;
    }
  }
  return store.Propose([&](CharterDraft& draft) { return PassOn(draft, next); });
}

std::vector<AudienceId> NotCutBy(Store& store, const EntryId& entry) {
  const auto tree = Charter(store);
  const auto passing = tree ? PassingOf(*tree, entry) : std::nullopt;
  return passing ? NotCut(*passing) : std::vector<AudienceId>();
}

Status CheckHandover(Store& store, const crypto::KeyPair& key, const EntryId& entry) {
  const auto tree = Charter(store);
  if (!tree) return NoConference();
  const auto passing = PassingOf(*tree, entry);
  if (!passing) return {};
  STAFFEL_CHECK(ChangesNothingElse(*passing));
  const auto own = passing->before->MemberOfKey(key.public_key());
  if (!own) return Fail(ErrorCode::kDenied, "this node's key belongs to no member");
  STAFFEL_TRY(snapshot, store.Read());
  STAFFEL_CHECK(CutsAreOpen(snapshot, *passing, *own));
  const charter::Term& term = passing->after->current_term();
  std::set<AudienceId> audiences;
  for (const auto& part : term.protocol) {
    if (passing->before->Reads(*own, part.audience)) audiences.insert(part.audience);
  }
  // The open audiences are in every protocol; a handover that leaves them out hides something.
  for (const auto& audience : passing->before->audiences()) {
    if (audience.open && audience.IsReader(*own) && !audiences.contains(audience.id)) {
      return Fail(ErrorCode::kConflict, "the handover has no protocol for audience {}",
                  audience.name);
    }
  }
  for (const AudienceId& audience : audiences) {
    const auto checked = CheckPart(snapshot, *passing->before, term, audience);
    using State = ProtocolAudience::State;
    if (checked.state == State::kEqual || checked.state == State::kErasedSince) continue;
    return Fail(checked.state == State::kDiffers ? ErrorCode::kConflict : ErrorCode::kUnavailable,
                "the protocol of audience {} cannot be signed here: {}",
                checked.name.empty() ? audience.Hex().substr(0, 8) : checked.name,
                checked.sentence);
  }
  return {};
}

Result<bool> StepHandover(Store& store, const crypto::KeyPair& key, Clock& clock) {
  const auto tree = Charter(store);
  if (!tree || tree->InForce().tied) return false;
  const Authority& authority = *tree->InForce().authority;
  const auto signer = authority.SignerOf(key.public_key());
  if (!signer) return false;
  if (authority.hub_key() == key.public_key()) {
    const std::string standing = AgreedTo(store, kSignedKey);
    if (standing.empty() || SignedHere(*tree)) return false;
    const auto announced = charter::Announced(authority);
    auto next = charter::ReadNextTerm(standing);
    if (!announced || !next || announced->member != next->member ||
        announced->replica != next->replica) {
      STAFFEL_CHECK(store.PutLocal(kSignedKey, std::nullopt));
      return false;
    }
    next->starts = std::max(next->starts, std::min(announced->starts, clock.Now()));
    STAFFEL_TRY(entry, store.Propose([&](CharterDraft& draft) { return PassOn(draft, *next); }));
    (void)entry;
    return true;
  }
  // Whoever has passed the chair on has nothing left to sign; it would come up again in years.
  if (!AgreedTo(store, kSignedKey).empty()) {
    STAFFEL_CHECK(store.PutLocal(kSignedKey, std::nullopt));
  }
  const auto agreed = charter::ReadNextTerm(AgreedTo(store, kAgreedKey));
  if (!agreed) return false;
  for (const auto& [passing, needs] : Waiting(*tree)) {
    const NextTerm next = passing.next();
    // Earlier than announced is what "at once" means; anything else was not agreed to.
    if (next.member != agreed->member || next.replica != agreed->replica ||
        next.starts > agreed->starts || needs.approved.contains(*signer) ||
        !needs.approved.contains(authority.chair())) {
      continue;
    }
    if (!CheckHandover(store, key, passing.entry)) continue;  // the status says why
    STAFFEL_CHECK(Approve(store, key, passing.entry));
    return true;
  }
  return false;
}

Result<HandoverStatus> ReadHandover(Store& store, const crypto::KeyPair& key, Clock& clock) {
  const auto tree = Charter(store);
  if (!tree) return NoConference();
  const Authority& authority = *tree->InForce().authority;
  HandoverStatus status;
  status.announced = charter::Announced(authority);
  const auto agreed = charter::ReadNextTerm(AgreedTo(store, kAgreedKey));
  status.agreed_here = agreed && status.announced && *agreed == *status.announced;
  const auto signer = authority.SignerOf(key.public_key());
  for (const auto& [passing, needs] : Waiting(*tree)) {
    HandoverStatus::Pending pending;
    const charter::Term& term = passing.after->current_term();
    pending.entry = passing.entry;
    pending.from = passing.before->chair();
    pending.to = term.member;
    pending.term = term.number;
    pending.starts = term.starts;
    pending.approved.assign(needs.approved.begin(), needs.approved.end());
    pending.missing_from = needs.MissingFrom();
    pending.needs = needs.Sentence();
    pending.not_cut = NotCut(passing);
    if (signer && !needs.approved.contains(*signer)) {
      const Status check = CheckHandover(store, key, passing.entry);
      if (!check) pending.check = check.error().message;
    }
    status.pending.push_back(std::move(pending));
  }
  status.tied = tree->InForce().tied;
  status.tied_entries = tree->TiedEntries();
  if (const auto next = charter::NextChair(authority, authority.chair(), clock.Now())) {
    status.next_by_rule = *next;
  }
  if (const auto start = charter::NextTermStart(authority, clock.Now())) status.next_start = *start;
  const auto standing = charter::StandingOf(*tree, authority.hub_key(), clock.Now());
  status.chair_acts = standing.sentence;
  return status;
}

// ---------------------------------------------------------------------------------------------
// The protocol

bool Protocol::Holds() const {
  using State = ProtocolAudience::State;
  return std::none_of(audiences.begin(), audiences.end(),
                      [](const auto& one) { return one.state == State::kDiffers; }) &&
         std::any_of(audiences.begin(), audiences.end(), [](const auto& one) {
           return one.state == State::kEqual || one.state == State::kErasedSince;
         });
}

Result<Protocol> CheckProtocol(Store& store, std::optional<std::uint64_t> number) {
  const auto tree = Charter(store);
  if (!tree) return NoConference();
  const Authority& authority = *tree->InForce().authority;
  const std::uint64_t wanted = number.value_or(authority.current_term().number);
  const charter::Term* term = authority.FindTerm(wanted);
  if (wanted < 2) {
    return Fail(ErrorCode::kNotFound, "the first term began with the founding, without a handover");
  }
  if (term == nullptr) {
    return Fail(ErrorCode::kNotFound, "there is no term {}; the present one is {}", wanted,
                authority.current_term().number);
  }
  Protocol protocol;
  protocol.conference = authority.name();
  protocol.conference_id = authority.conference();
  protocol.term = *term;
  protocol.ended = *authority.FindTerm(wanted - 1);
  std::optional<Passing> passing;
  for (const EntryId& id : tree->PathInForce()) {
    auto one = PassingOf(*tree, id);
    if (one && one->after->current_term().number == wanted) passing = std::move(one);
  }
  if (!passing) return Fail(ErrorCode::kInternal, "no charter entry begins term {}", wanted);
  protocol.entry = passing->entry;
  protocol.number = tree->Find(passing->entry)->header.seq;
  protocol.settled = tree->IsSettled(passing->entry);
  const auto approved = tree->SignersOf(passing->entry, charter::CharterSignature::Kind::kApproval);
  protocol.approved.assign(approved.begin(), approved.end());
  const auto own = store.own_member();
  STAFFEL_TRY(snapshot, store.Read());
  std::set<AudienceId> audiences;
  for (const auto& part : term->protocol) {
    if (own && authority.Reads(*own, part.audience)) audiences.insert(part.audience);
  }
  for (const AudienceId& audience : audiences) {
    protocol.audiences.push_back(CheckPart(snapshot, *passing->before, *term, audience));
  }
  std::stable_sort(protocol.audiences.begin(), protocol.audiences.end(),
                   [](const auto& a, const auto& b) { return a.name < b.name; });
  return protocol;
}

namespace {

constexpr std::string_view kProtocolTitle = "Staffel handover protocol 1";

using Block = std::vector<std::string>;

Block AudienceLines(const ProtocolAudience& audience) {
  const HandoverPart& part = *audience.part;
  Bytes heads;
  for (const auto& head : part.heads) {
    heads.append(head.journal.bytes());
    heads.append(head.entry.bytes());
  }
  Block lines;
  const auto add = [&](std::string line) { lines.push_back(std::move(line)); };
  add(fmt::format("audience {} {}", audience.audience.Hex(), audience.name));
  add(fmt::format("journal-heads {} sha256 {}", part.heads.size(), crypto::Sha256(heads).Hex()));
  add(fmt::format("entries {}", part.figures.entries));
  add(fmt::format("entries-with-effect {}", part.figures.valid));
  add(fmt::format("records {}", part.figures.records));
  add(fmt::format("digest {}", part.figures.digest.Hex()));
  for (const auto& kind : part.figures.kinds) {
    add(fmt::format("kind {} records {} digest {}", kind.kind, kind.records, kind.digest.Hex()));
  }
  add(part.figures.last_receipt.is_zero()
          ? std::string("last-receipt none")
          : fmt::format("last-receipt {} {}", part.figures.last_receipt.Hex(),
                        FormatTimeUtc(part.figures.last_receipt_time)));
  return lines;
}

Block HeadLines(const Protocol& protocol) {
  return {
      std::string(kProtocolTitle),
      fmt::format("conference {} {}", protocol.conference_id.Hex(), protocol.conference),
      fmt::format("charter-entry {} number {}", protocol.entry.Hex(), protocol.number),
      fmt::format("term {} {} key {}", protocol.ended.number, protocol.ended.member.text(),
                  protocol.ended.replica.Fingerprint().Hex()),
      fmt::format("term {} {} key {} from {}", protocol.term.number, protocol.term.member.text(),
                  protocol.term.replica.Fingerprint().Hex(), FormatTimeUtc(protocol.term.starts)),
  };
}

std::optional<AudienceId> AudienceOfLine(std::string_view line) {
  constexpr std::string_view kAudience = "audience ";
  if (!line.starts_with(kAudience)) return std::nullopt;
  line.remove_prefix(kAudience.size());
  const auto id = FromHex(line.substr(0, line.find(' ')));
  return id ? AudienceId::From(*id) : std::nullopt;
}

std::vector<Block> Blocks(std::string_view text) {
  std::vector<Block> blocks;
  bool fresh = true;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    std::string line(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (line.empty()) {
      fresh = true;
      continue;
    }
    if (fresh) blocks.emplace_back();
    fresh = false;
    blocks.back().push_back(std::move(line));
  }
  return blocks;
}

}  // namespace

std::string ProtocolText(const Protocol& protocol, bool all) {
  std::string text;
  const auto put = [&](const Block& block) {
    if (!text.empty()) text += '\n';
    for (const std::string& line : block) text += line + '\n';
  };
  put(HeadLines(protocol));
  for (const auto& audience : protocol.audiences) {
    if (audience.part && (all || audience.of_both)) put(AudienceLines(audience));
  }
  return text;
}

Result<std::uint64_t> TermOfProtocolText(std::string_view text) {
  const auto blocks = Blocks(text);
  const auto refused = [] {
    return Fail(ErrorCode::kInvalid,
                "this is no protocol as 'staffel handover protocol' prints it");
  };
  if (blocks.empty() || blocks[0].size() != 5 || blocks[0][0] != kProtocolTitle) return refused();
  const std::string_view line = blocks[0][4];
  constexpr std::string_view kTerm = "term ";
  if (!line.starts_with(kTerm)) return refused();
  std::uint64_t term = 0;
  const auto [end, error] =
      std::from_chars(line.data() + kTerm.size(), line.data() + line.size(), term);
  if (error != std::errc() || term == 0) return refused();
  return term;
}

Result<std::vector<std::string>> CompareProtocol(const Protocol& protocol, std::string_view text) {
  STAFFEL_TRY(term, TermOfProtocolText(text));
  std::vector<std::string> differences;
  if (term != protocol.term.number) {
    differences.push_back(fmt::format("it is about term {}, not {}", term, protocol.term.number));
    return differences;
  }
  const auto compare = [&](const Block& theirs, const Block& ours) {
    for (std::size_t i = 0; i < std::max(theirs.size(), ours.size()); ++i) {
      const std::string a = i < theirs.size() ? theirs[i] : "nothing";
      const std::string b = i < ours.size() ? ours[i] : "nothing";
      if (a != b) differences.push_back(fmt::format("it says '{}'; here it is '{}'", a, b));
    }
  };
  const auto blocks = Blocks(text);
  compare(blocks[0], HeadLines(protocol));
  std::set<AudienceId> named;
  for (std::size_t i = 1; i < blocks.size(); ++i) {
    const auto id = AudienceOfLine(blocks[i][0]);
    // Text that no protocol has, above or below: whoever reads the paper would take it for part.
    if (!id || !named.insert(*id).second) {
      compare(blocks[i], {});
      continue;
    }
    for (const auto& audience : protocol.audiences) {
      // Of audiences that this node does not read it can say nothing.
      if (audience.part && audience.audience == *id) compare(blocks[i], AudienceLines(audience));
    }
  }
  for (const auto& audience : protocol.audiences) {
    if (!audience.part || !audience.of_both || named.contains(audience.audience)) continue;
    differences.push_back(fmt::format("it says nothing of the audience {} {}",
                                      audience.audience.Hex(), audience.name));
  }
  return differences;
}

}  // namespace staffel::sync
