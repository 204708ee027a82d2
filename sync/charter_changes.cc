// SPDX-License-Identifier: EUPL-1.2
#include "sync/charter_changes.h"

#include <algorithm>
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

Result<std::vector<charter::Cut>> CutsOf(CharterDraft& draft, const crypto::PublicKey& key,
                                         const NamedHeads& named) {
  std::vector<charter::Cut> cuts;
  for (const auto& journal : draft.journals()) {
    if (journal.key != key || journal.lane.term != 0 ||
        !draft.authority().Reads(draft.member(), journal.audience)) {
      continue;
    }
    std::optional<std::vector<charter::CutHead>> heads;
    if (const auto found = named.find(journal.journal); found != named.end()) {
      heads = found->second;
    }
    STAFFEL_TRY(cut, draft.CutOf(journal, std::move(heads)));
    cuts.push_back(std::move(cut));
  }
  return cuts;
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
                          const std::vector<EntryId>& up_to) {
  STAFFEL_TRY(named, FindHeads(store, key, up_to));
  return PutForward(store, [&](CharterDraft& draft) -> Result<Content> {
    STAFFEL_TRY(cuts, CutsOf(draft, key, named));
    return charter::WithKeyRemoved(draft.authority().content(), key, std::move(cuts));
  });
}

Result<EntryId> CutJournals(Store& store, const crypto::PublicKey& key,
                            const std::vector<EntryId>& up_to) {
  STAFFEL_TRY(named, FindHeads(store, key, up_to));
  return PutForward(store, [&](CharterDraft& draft) -> Result<Content> {
    STAFFEL_TRY(cuts, CutsOf(draft, key, named));
    if (cuts.empty()) {
      return Fail(ErrorCode::kNotFound, "no journal of that key is held here: nothing to cut");
    }
    return charter::WithCuts(draft.authority().content(), std::move(cuts));
  });
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
