// SPDX-License-Identifier: EUPL-1.2
#include "sync/charter_changes.h"

#include <algorithm>
#include <iterator>
#include <map>

#include "core/charter/build.h"
#include "core/charter/rotation.h"
#include "core/store/charter_draft.h"
#include "sync/proposal.h"

namespace staffel::sync {
namespace {

using charter::Content;

// The entry that `id` names among the journals of that key, with its number.
Result<std::pair<JournalId, charter::CutHead>> FindHead(Store& store, const crypto::PublicKey& key,
                                                        const EntryId& id) {
  STAFFEL_TRY(snapshot, store.Read());
  STAFFEL_TRY(journals, snapshot.Journals());
  for (const JournalView& journal : journals) {
    if (journal.key != key) continue;
    STAFFEL_TRY(last, snapshot.LastSeq(journal.journal));
    for (std::uint64_t seq = 0; last && seq <= *last; ++seq) {
      STAFFEL_TRY(held, snapshot.HasEntry(journal.journal, seq, id));
      if (held) return std::pair(journal.journal, charter::CutHead{seq, id});
    }
  }
  return Fail(ErrorCode::kNotFound, "entry {} is not here in any journal of that key",
              id.Hex().substr(0, 12));
}

using NamedHeads = std::map<JournalId, std::vector<charter::CutHead>>;
Result<NamedHeads> FindHeads(Store& store, const crypto::PublicKey& key,
                             const std::vector<EntryId>& up_to) {
  NamedHeads heads;
  for (const EntryId& id : up_to) {
    STAFFEL_TRY(found, FindHead(store, key, id));
    heads[found.first].push_back(found.second);
  }
  return heads;
}

std::optional<std::vector<charter::CutHead>> HeadsNamed(const NamedHeads& named,
                                                        const JournalId& journal) {
  const auto found = named.find(journal);
  if (found == named.end()) return std::nullopt;
  return found->second;
}

// `keep`: a journal that is cut already stays as it is, unless it is named.
Result<std::vector<charter::Cut>> CutsOf(CharterDraft& draft, const crypto::PublicKey& key,
                                         const NamedHeads& named, bool keep) {
  const charter::Authority& authority = draft.authority();
  std::vector<charter::Cut> cuts;
  for (const auto& journal : draft.journals()) {
    if (journal.key != key || journal.lane.term != 0 ||
        !authority.Reads(draft.member(), journal.audience)) {
      continue;
    }
    auto heads = HeadsNamed(named, journal.journal);
    if (keep && !heads && authority.FindCut(journal.journal, journal.audience, key, 0) != nullptr) {
      continue;
    }
    STAFFEL_TRY(cut, draft.CutOf(journal, std::move(heads)));
    cuts.push_back(std::move(cut));
  }
  return cuts;
}

std::string Names(const std::vector<MemberId>& members) {
  std::vector<std::string_view> names;
  for (const MemberId& member : members) names.push_back(member.text());
  return fmt::format("{}", fmt::join(names, ", "));
}

// Whether somebody else must cut first: see Unread. A member that leaves cuts nothing afterwards.
Status OthersHaveCut(const CharterDraft& draft, const crypto::PublicKey& key, bool leaves) {
  const charter::Authority& authority = draft.authority();
  const auto owner = authority.ReplicaOfKey(key);
  if (!owner || owner->member->id == draft.member()) return {};
  const MemberId& member = owner->member->id;
  const bool has_others = !leaves && owner->member->replicas.size() > 1;
  std::vector<std::string> open;
  for (const charter::Audience& audience : authority.audiences()) {
    if (!audience.IsReader(member) || audience.IsReader(draft.member())) continue;
    std::vector<MemberId> readers = audience.readers;
    if (!has_others) std::erase(readers, member);
    const bool cut = std::any_of(
        authority.content().cuts.begin(), authority.content().cuts.end(), [&](const auto& one) {
          return one.key == key && one.audience == audience.id && one.term == 0;
        });
    if (readers.empty() || cut) continue;
    open.push_back(fmt::format(
        "{} ({})", audience.name.empty() ? audience.id.Hex().substr(0, 8) : audience.name,
        Names(readers)));
  }
  if (open.empty()) return {};
  return Fail(ErrorCode::kDenied,
              "{} reads audiences that {} does not, and what this key wrote there would lose its "
              "effect: first 'staffel keys cut' on a node of one who reads each of them: {}; or "
              "this with --anyway now, and that afterwards",
              member.text(), draft.member().text(), fmt::join(open, ", "));
}

// A chair's lane of an ended term whose right has ended without a cut.
bool IsEndedNotCut(const charter::Authority& authority, const JournalId& journal,
                   const AudienceId& audience, const crypto::PublicKey& key, std::uint64_t term) {
  const charter::Term* ended = authority.FindTerm(term);
  return ended != nullptr && term < authority.current_term().number && ended->replica == key &&
         authority.FindCut(journal, audience, key, term) == nullptr;
}

}  // namespace

Result<EntryId> AddReplica(Store& store, const charter::Replica& replica) {
  return PutForward(store, [&](CharterDraft& draft) -> Result<Content> {
    for (const auto* key : {&replica.key, &replica.tls_key}) {
      const auto owner = draft.authority().OwnerEver(*key);
      if (owner && *owner != draft.member()) {
        return Fail(ErrorCode::kDenied, "the key belongs to {} for ever", owner->text());
      }
    }
    return charter::WithReplicaAdded(draft.authority().content(), draft.member(), replica);
  });
}

Result<EntryId> RemoveKey(Store& store, const crypto::PublicKey& key,
                          const std::vector<EntryId>& up_to, Unread unread) {
  STAFFEL_TRY(named, FindHeads(store, key, up_to));
  return PutForward(store, [&](CharterDraft& draft) -> Result<Content> {
    if (unread == Unread::kRefuse) STAFFEL_CHECK(OthersHaveCut(draft, key, /*leaves=*/false));
    STAFFEL_TRY(cuts, CutsOf(draft, key, named, /*keep=*/true));
    return charter::WithKeyRemoved(draft.authority().content(), key, std::move(cuts));
  });
}

Result<EntryId> CutJournals(Store& store, const crypto::PublicKey& key,
                            const std::vector<EntryId>& up_to) {
  STAFFEL_TRY(named, FindHeads(store, key, up_to));
  return PutForward(store, [&](CharterDraft& draft) -> Result<Content> {
    const bool former = !draft.authority().IsCurrentKey(key);
    STAFFEL_TRY(cuts, CutsOf(draft, key, named, /*keep=*/former));
    if (cuts.empty()) {
      return Fail(ErrorCode::kNotFound, "no journal of that key is held here: nothing to cut");
    }
    return charter::WithCuts(draft.authority().content(), std::move(cuts));
  });
}

Result<EntryId> CutEndedTerms(Store& store, const std::vector<EntryId>& up_to) {
  const auto authority = store.authority();
  NamedHeads named;
  for (const EntryId& id : up_to) {
    std::optional<std::pair<JournalId, charter::CutHead>> found;
    for (const charter::Term& term :
         authority ? authority->content().terms : std::vector<charter::Term>()) {
      if (auto head = FindHead(store, term.replica, id)) found = *head;
    }
    if (!found) {
      return Fail(ErrorCode::kNotFound, "entry {} is not here in any journal of a chair",
                  id.Hex().substr(0, 12));
    }
    named[found->first].push_back(found->second);
  }
  return PutForward(store, [&](CharterDraft& draft) -> Result<Content> {
    std::vector<charter::Cut> cuts;
    for (const auto& journal : draft.journals()) {
      if (!draft.authority().Reads(draft.member(), journal.audience) ||
          !IsEndedNotCut(draft.authority(), journal.journal, journal.audience, journal.key,
                         journal.lane.term)) {
        continue;
      }
      STAFFEL_TRY(cut, draft.CutOf(journal, HeadsNamed(named, journal.journal)));
      cuts.push_back(std::move(cut));
    }
    if (cuts.empty()) {
      return Fail(ErrorCode::kNotFound,
                  "no acts of an ended term wait for a cut in the audiences read here");
    }
    return charter::WithCuts(draft.authority().content(), std::move(cuts));
  });
}

Result<std::vector<AudienceId>> EndedTermsNotCut(Store& store) {
  std::vector<AudienceId> audiences;
  const auto authority = store.authority();
  const auto own = store.own_member();
  if (!authority || !own || authority->current_term().number < 2) return audiences;
  STAFFEL_TRY(snapshot, store.Read());
  STAFFEL_TRY(journals, snapshot.Journals());
  for (const JournalView& journal : journals) {
    if (journal.entries > 1 && authority->Reads(*own, journal.audience) &&
        IsEndedNotCut(*authority, journal.journal, journal.audience, journal.key,
                      journal.lane.term) &&
        std::find(audiences.begin(), audiences.end(), journal.audience) == audiences.end()) {
      audiences.push_back(journal.audience);
    }
  }
  return audiences;
}

Result<EntryId> AddRecoveryKey(Store& store, const crypto::PublicKey& key) {
  return PutForward(store, [&](CharterDraft& draft) {
    return charter::WithRecoveryKeyAdded(draft.authority().content(), draft.member(), key);
  });
}

Result<EntryId> SetAddress(Store& store, const crypto::PublicKey& key, std::string url) {
  return PutForward(store, [&](CharterDraft& draft) -> Result<Content> {
    const auto own = draft.authority().ReplicaOfKey(key);
    if (own && own->replica->url == url) {
      return Fail(ErrorCode::kExists, "the charter has this address already");
    }
    return charter::WithReplicaUrl(draft.authority().content(), key, url);
  });
}

Result<EntryId> AdmitMember(Store& store, const MemberId& member, std::string name, bool voting) {
  return PutForward(store, [&](CharterDraft& draft) {
    return charter::WithMemberAdmitted(draft.authority().content(), {member, name, voting});
  });
}

Result<EntryId> ChangeMember(Store& store, const MemberId& member,
                             const charter::MemberChange& change) {
  return PutForward(store, [&](CharterDraft& draft) {
    return charter::WithMemberChanged(draft.authority().content(), member, change);
  });
}

Result<EntryId> ChangeConference(Store& store, const charter::ConferenceChange& change) {
  return PutForward(store, [&](CharterDraft& draft) {
    return charter::WithConferenceChanged(draft.authority().content(), change);
  });
}

Result<EntryId> ChangeKind(Store& store, std::uint32_t kind, const charter::KindChange& change) {
  return PutForward(store, [&](CharterDraft& draft) {
    return charter::WithKindChanged(draft.authority().content(), kind, change);
  });
}

Result<EntryId> RemoveMember(Store& store, const MemberId& member, Unread unread) {
  return PutForward(store, [&](CharterDraft& draft) -> Result<Content> {
    const Content& content = draft.authority().content();
    // What can never be comes before what must be done first.
    STAFFEL_TRY(bare, charter::WithoutMember(content, member, {}));
    (void)bare;
    std::vector<charter::Cut> cuts;
    for (const charter::Replica& replica : content.FindMember(member)->replicas) {
      if (unread == Unread::kRefuse) {
        STAFFEL_CHECK(OthersHaveCut(draft, replica.key, /*leaves=*/true));
      }
      STAFFEL_TRY(of_key, CutsOf(draft, replica.key, {}, /*keep=*/true));
      std::move(of_key.begin(), of_key.end(), std::back_inserter(cuts));
    }
    return charter::WithoutMember(content, member, std::move(cuts));
  });
}

Result<EntryId> SetRule(Store& store, std::string name, std::optional<std::string> value,
                        TimeMs from) {
  return PutForward(store, [&](CharterDraft& draft) -> Result<Content> {
    const Content& content = draft.authority().content();
    if (value) {
      STAFFEL_CHECK(charter::CheckRule(draft.authority(), name, *value));
      for (const charter::Rule& rule : content.rules) {
        if (rule.name == name && rule.value == *value && rule.from == from) {
          return Fail(ErrorCode::kExists, "the rule '{}' is just so already", name);
        }
      }
    }
    return charter::WithRule(content, name, value, from);
  });
}

Result<EntryId> Strengthen(Store& store, const crypto::KeyPair& key, std::string_view prefix) {
  const auto tree = store.charter();
  if (!tree || !tree->InForce().authority) {
    return Fail(ErrorCode::kUnavailable, "this node belongs to no conference yet");
  }
  const auto tied = tree->TiedEntries();
  if (tied.empty()) {
    return Fail(ErrorCode::kInvalid, "no two branches of the charter are equally strong");
  }
  std::optional<EntryId> chosen;
  for (const EntryId& entry : tied) {
    if (!entry.Hex().starts_with(prefix)) continue;
    if (chosen) {
      return Fail(ErrorCode::kInvalid, "several of them begin with {}: give more of the id",
                  prefix);
    }
    chosen = entry;
  }
  if (!chosen) {
    return Fail(ErrorCode::kNotFound,
                "none of the equally strong entries begins with {}: see "
                "'staffel charter show'",
                prefix);
  }
  const EntryId below = tree->StrongestBelow(*chosen);
  for (const auto& proposal : tree->Waiting()) {
    const Entry* entry = tree->Find(proposal.entry);
    const auto before = tree->AuthorityOf(below);
    const auto after = tree->AuthorityOf(proposal.entry);
    if (entry->header.prev != below || !before || !after ||
        !(before->content() == after->content())) {
      continue;
    }
    STAFFEL_CHECK(TakeApproval(
        store, proposal.entry, key.public_key(),
        charter::SignCharterEntry(proposal.entry, charter::CharterSignature::Kind::kApproval, key)
            .signature));
    return proposal.entry;
  }
  return store.Propose(
      [](CharterDraft& draft) -> Result<Content> { return draft.authority().content(); }, below);
}

Status TakeApproval(Store& store, const EntryId& entry, const crypto::PublicKey& key,
                    Bytes signature) {
  const auto tree = store.charter();
  const Entry* held = tree ? tree->Find(entry) : nullptr;
  if (held == nullptr) {
    return Fail(ErrorCode::kNotFound, "charter entry {} is not here", entry.Hex().substr(0, 12));
  }
  const auto parent = tree->AuthorityOf(held->header.prev);
  if (!parent || !parent->SignerOf(key)) {
    return Fail(ErrorCode::kDenied, "this key signs for no member, so it cannot approve");
  }
  Batch batch;
  CharterItem item;
  item.id = entry;
  item.signatures.push_back(
      {charter::CharterSignature::Kind::kApproval, key, std::move(signature)});
  batch.charter.push_back(std::move(item));
  STAFFEL_TRY(ingested, store.Ingest(store.Prepare(std::move(batch))));
  if (!ingested.charter_refusals.empty()) {
    return tl::unexpected<Error>(std::move(ingested.charter_refusals.front()));
  }
  return {};
}

}  // namespace staffel::sync
