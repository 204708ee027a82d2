// SPDX-License-Identifier: EUPL-1.2
// Proposing changes of the charter, and what they disclose: the writer's part of
// core/charter/hidden.h.
#include "core/store/charter_draft.h"

#include <algorithm>

#include "core/charter/build.h"
#include "core/store/handover.h"
#include "core/store/store_impl.h"
#include "core/store/writer.h"

namespace staffel {
namespace {

// Of one entry's disclosures: leaves room in a header of 64 KiB.
constexpr std::size_t kDisclosedBytesMax = 48 * 1024;

class CachedCuts final : public charter::OpenedCuts {
 public:
  explicit CachedCuts(const std::map<std::pair<AudienceId, Hash>, Bytes>& disclosed)
      : disclosed_(disclosed) {}
  std::optional<std::vector<charter::CutHead>> HeadsOf(const AudienceId& audience,
                                                       const Hash& hidden) const override {
    const auto found = disclosed_.find({audience, hidden});
    if (found == disclosed_.end()) return std::nullopt;
    return charter::ParseCutHeads(found->second);
  }

 private:
  const std::map<std::pair<AudienceId, Hash>, Bytes>& disclosed_;
};

}  // namespace

// ---------------------------------------------------------------------------------------------
// The draft

std::vector<CharterDraft::HeldJournal> CharterDraft::journals() const {
  std::vector<HeldJournal> held;
  for (const auto& [number, journal] : writer_.cache_.journals.by_number) {
    HeldJournal one;
    one.journal = journal.id;
    one.audience = journal.audience;
    one.key = journal.open.key;
    one.member = authority_.MemberOfKey(journal.open.key).value_or(MemberId());
    one.lane = journal.open.lane;
    for (const auto& branch : journal.branches) one.heads.push_back({branch.seq, branch.entry});
    std::sort(one.heads.begin(), one.heads.end());
    held.push_back(std::move(one));
  }
  return held;
}

Status CharterDraft::Reads(const AudienceId& audience) const {
  if (authority_.Reads(member_, audience)) return {};
  return Fail(ErrorCode::kDenied,
              "{} does not read audience {}, so it cannot disclose anything there", member_.text(),
              audience.Hex().substr(0, 8));
}

Result<charter::Cut> CharterDraft::CutOf(const HeldJournal& journal,
                                         std::optional<std::vector<charter::CutHead>> heads) {
  charter::Cut cut;
  cut.journal = journal.journal;
  cut.audience = journal.audience;
  cut.key = journal.key;
  cut.term = journal.lane.term;
  cut.heads = heads ? std::move(*heads) : journal.heads;
  std::sort(cut.heads.begin(), cut.heads.end());
  const auto* audience = authority_.FindAudience(journal.audience);
  const bool open = audience != nullptr && audience->open;
  // Without heads nothing is told: the journal is void from its start.
  if (open || cut.heads.empty()) return cut;
  STAFFEL_TRY(hidden, Disclose(journal.audience, charter::SerializeCutHeads(cut.heads)));
  cut.heads.clear();
  cut.hidden = hidden;
  return cut;
}

Result<Hash> CharterDraft::Disclose(const AudienceId& audience, Bytes content) {
  STAFFEL_CHECK(Reads(audience));
  if (content.size() > kDisclosedBytesMax) {
    return Fail(ErrorCode::kTooLarge, "{} bytes are to be disclosed at once; {} are allowed",
                content.size(), kDisclosedBytesMax);
  }
  DisclosureBody::Item item{writer_.random_.Draw(kSaltBytes), std::move(content)};
  const Hash hash = charter::HashHidden(item);
  disclosures_[audience].push_back(std::move(item));
  return hash;
}

Result<charter::HandoverPart> CharterDraft::ProtocolOf(const AudienceId& audience) {
  STAFFEL_CHECK(Reads(audience));
  charter::HandoverPart part;
  part.term = authority_.current_term().number;
  part.audience = audience;
  part.heads = HeadsOf(writer_.cache_.journals, audience);
  STAFFEL_TRY(figures, FiguresOf(writer_.reader_, writer_.cache_.journals, authority_, audience,
                                 part.heads));
  part.figures = std::move(figures);
  return part;
}

// ---------------------------------------------------------------------------------------------
// The writer's part

Result<EntryId> Writer::Propose(const CharterChange& change, const std::optional<EntryId>& parent) {
  if (!cache_.tree || !cache_.authority) {
    return Fail(ErrorCode::kDenied, "this node belongs to no conference yet");
  }
  if (cache_.tree->InForce().tied && !parent) {
    return Fail(ErrorCode::kConflict,
                "two branches of the charter are equally strong: a quorum decides first ('staffel "
                "charter strengthen'); until then nothing else can be changed in it");
  }
  const EntryId below = parent.value_or(cache_.tree->InForce().entry);
  const Entry* standing = cache_.tree->Find(below);
  const auto authority = cache_.tree->AuthorityOf(below);
  if (standing == nullptr || authority == nullptr) {
    return Fail(ErrorCode::kNotFound, "charter entry {} is not here", below.Hex().substr(0, 12));
  }
  const auto member = authority->SignerOf(key_.public_key());
  if (!member) {
    return Fail(ErrorCode::kDenied,
                "this node's key signs for no member, so it cannot change the charter");
  }
  // Copied: what follows may add entries to the tree.
  const Entry on = *standing;
  CharterDraft draft(*this, *authority, *member);
  STAFFEL_TRY(content, change(draft));
  STAFFEL_TRY(entry, charter::MakeCharterEntry(&on, content, clock_.Now()));
  for (auto& [audience, items] : draft.disclosures_) {
    DisclosureBody body;
    std::size_t bytes = 0;
    const auto write = [&, to = audience]() -> Status {
      if (body.items.empty()) return {};
      Header header;
      header.time = clock_.Now();
      header.body = std::move(body);
      body = DisclosureBody();
      bytes = 0;
      STAFFEL_TRY(written, WriteOwn(to, Lane{}, std::move(header), {}));
      (void)written;
      return {};
    };
    for (auto& item : items) {
      if (bytes + item.content.size() > kDisclosedBytesMax) STAFFEL_CHECK(write());
      bytes += item.content.size() + kSaltBytes;
      body.items.push_back(std::move(item));
    }
    STAFFEL_CHECK(write());
  }
  const EntryId id = entry.id;
  std::vector<CharterItem> items(1);
  items.front().id = id;
  items.front().entry = std::move(entry);
  items.front().signatures.push_back(
      charter::SignCharterEntry(id, charter::CharterSignature::Kind::kApproval, key_));
  Ingested result;
  STAFFEL_CHECK(IngestCharter(items, result));
  if (!result.charter_refusals.empty()) {
    return tl::unexpected<Error>(std::move(result.charter_refusals.front()));
  }
  ++cache_.revision;
  return id;
}

bool Writer::IsOwn(const crypto::PublicKey& key) const {
  return key == key_.public_key() ||
         std::find(former_keys_.begin(), former_keys_.end(), key) != former_keys_.end();
}

charter::JournalVerdict Writer::VerdictOf(const JournalId& journal, const OpenBody& open) const {
  const CachedCuts opened(cache_.disclosed);
  return charter::JudgeJournal(*cache_.authority, journal, open, &opened);
}

Status Writer::LoadDisclosed() {
  STAFFEL_TRY(statement, reader_.Get("SELECT audience, hidden, content FROM disclosed"));
  const sqlite::StatementScope scope(*statement);
  for (;;) {
    STAFFEL_TRY(row, statement->Step());
    if (!row) return {};
    const auto hidden = Hash::From(statement->Blob(1));
    const auto audience = cache_.journals.audience_ids.find(statement->Int(0));
    if (!hidden || audience == cache_.journals.audience_ids.end()) {
      return Fail(ErrorCode::kCorrupt,
                  "the file is damaged: a disclosure belongs to no audience; restore a backup");
    }
    cache_.disclosed[{audience->second, *hidden}] = Bytes(statement->Blob(2));
  }
}

Status Writer::TakeDisclosure(const JournalInfo& journal, const DisclosureBody& body) {
  for (const auto& item : body.items) {
    const Hash hidden = charter::HashHidden(item);
    if (!cache_.disclosed.emplace(std::pair(journal.audience, hidden), item.content).second) {
      continue;
    }
    newly_disclosed_.emplace_back(journal.audience, hidden);
    STAFFEL_TRY(insert,
                reader_.Get("INSERT INTO disclosed (audience, hidden, content) VALUES (?, ?, ?)"));
    insert->Bind(1, journal.audience_number);
    insert->BindBlob(2, hidden.bytes());
    insert->BindBlob(3, item.content);
    STAFFEL_CHECK(insert->Run());
  }
  return {};
}

Status Writer::JudgeOpened() {
  if (newly_disclosed_.empty()) return {};
  std::vector<std::pair<std::int64_t, bool>> changed;
  for (const auto& [audience, hidden] : newly_disclosed_) {
    for (const charter::Cut& cut : cache_.authority->content().cuts) {
      if (cut.audience != audience || cut.hidden != hidden) continue;
      JournalInfo* journal = cache_.journals.Find(cut.journal);
      if (journal == nullptr) continue;
      auto verdict = VerdictOf(journal->id, journal->open);
      if (verdict == journal->verdict) continue;
      changed.emplace_back(journal->number, verdict.member != journal->verdict.member);
      journal->verdict = std::move(verdict);
    }
  }
  newly_disclosed_.clear();
  std::sort(changed.begin(), changed.end());
  return Rejudge(changed);
}

Result<EntryId> Store::Propose(const CharterChange& change, std::optional<EntryId> parent) {
  EntryId proposed;
  const Status done = impl_->Write(
      [&](Writer& writer) -> Status {
        STAFFEL_TRY(entry, writer.Propose(change, parent));
        proposed = entry;
        return {};
      },
      /*alone=*/true);
  if (!done) return tl::unexpected<Error>(done.error());
  return proposed;
}

}  // namespace staffel
