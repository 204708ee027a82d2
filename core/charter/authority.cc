// SPDX-License-Identifier: EUPL-1.2
#include "core/charter/authority.h"

#include <algorithm>

#include "core/base/mutation.h"
#include "core/charter/rotation.h"

namespace staffel::charter {
namespace {

void AddKeysOf(const std::vector<Member>& members, std::set<crypto::PublicKey>& keys) {
  for (const Member& member : members) {
    for (const Replica& replica : member.replicas) keys.insert(replica.key);
  }
}

}  // namespace

bool Quorum::ReachedBy(const std::set<MemberId>& members) const {
  const auto count = std::count_if(eligible.begin(), eligible.end(), [&](const MemberId& member) {
    return members.contains(member);
  });
  return needed > 0 && static_cast<std::size_t>(count) >= needed;
}

std::shared_ptr<const Authority> Authority::Found(const EntryId& entry,
                                                  std::shared_ptr<const Content> content) {
  std::shared_ptr<Authority> authority(new Authority());
  authority->conference_ = entry;
  authority->entry_ = entry;
  authority->content_ = std::move(content);
  authority->Index(std::make_shared<const Past>(), /*parent=*/nullptr);
  return authority;
}

std::shared_ptr<const Authority> Authority::Extend(const Authority& parent, const EntryId& entry,
                                                   std::shared_ptr<const Content> content) {
  std::shared_ptr<Authority> authority(new Authority());
  authority->conference_ = parent.conference_;
  authority->entry_ = entry;
  authority->seq_ = parent.seq_ + 1;
  authority->content_ = std::move(content);
  authority->Index(parent.past_, parent.content_.get());
  return authority;
}

void Authority::Index(std::shared_ptr<const Past> before, const Content* parent) {
  Past past = *before;
  for (std::size_t i = 0; i < content_->members.size(); ++i) {
    const Member& member = content_->members[i];
    member_index_.emplace(member.id, i);
    if (member.has_keys()) past.had_keys.insert(member.id);
    for (const Replica& replica : member.replicas) {
      by_key_[replica.key] = {&member, &replica};
      by_tls_key_[replica.tls_key] = {&member, &replica};
      signers_.emplace(replica.key, member.id);
      // The first owner stays: an entry that gives the key to another is never in force.
      past.owners.emplace(replica.key, member.id);
      past.owners.emplace(replica.tls_key, member.id);
      past.replica_keys.emplace(replica.key, member.id);
    }
    for (const auto& key : member.recovery_keys) {
      signers_.emplace(key, member.id);
      past.owners.emplace(key, member.id);
    }
    if (member.voting && member.has_keys()) quorum_.eligible.push_back(member.id);
  }
  quorum_.needed = quorum_.eligible.size() / 2 + 1;
  if (quorum_.needed > 1 && STAFFEL_MUTATION(kHalfIsQuorum)) --quorum_.needed;
  for (std::size_t i = 0; i < content_->audiences.size(); ++i) {
    const Audience& audience = content_->audiences[i];
    audience_index_.emplace(audience.id, i);
    past.audiences.insert(audience.id);
    for (const MemberId& writer : audience.writers) past.writers.emplace(audience.id, writer);
    for (const MemberId& reader : audience.readers) past.readers.emplace(audience.id, reader);
  }
  if (parent != nullptr) {
    for (const Audience& audience : parent->audiences) {
      if (audience_index_.contains(audience.id)) continue;
      Closed closed{audience, parent->terms.back().number, {}};
      AddKeysOf(parent->members, closed.keys);
      past.closed.insert_or_assign(audience.id, std::move(closed));
    }
  }
  for (auto& [id, closed] : past.closed) AddKeysOf(content_->members, closed.keys);
  past.personal_kinds.insert(content_->personal_kinds.begin(), content_->personal_kinds.end());
  for (std::size_t i = 0; i < content_->cuts.size(); ++i) {
    cuts_of_[content_->cuts[i].journal].push_back(i);
  }
  past_ = past == *before ? std::move(before) : std::make_shared<const Past>(std::move(past));
}

const Member* Authority::FindMember(const MemberId& id) const {
  const auto found = member_index_.find(id);
  return found == member_index_.end() ? nullptr : &content_->members[found->second];
}

std::optional<MemberId> Authority::MemberOfKey(const crypto::PublicKey& key) const {
  const auto found = past_->replica_keys.find(key);
  if (found == past_->replica_keys.end()) return std::nullopt;
  return found->second;
}

bool Authority::IsCurrentKey(const crypto::PublicKey& key) const { return by_key_.contains(key); }

std::optional<Authority::ReplicaOf> Authority::ReplicaOfTlsKey(
    const crypto::PublicKey& tls_key) const {
  const auto found = by_tls_key_.find(tls_key);
  if (found == by_tls_key_.end()) return std::nullopt;
  return found->second;
}

std::optional<MemberId> Authority::MemberOfTlsKey(const crypto::PublicKey& tls_key) const {
  const auto found = ReplicaOfTlsKey(tls_key);
  if (!found) return std::nullopt;
  return found->member->id;
}

std::optional<Authority::ReplicaOf> Authority::ReplicaOfKey(const crypto::PublicKey& key) const {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return std::nullopt;
  return found->second;
}

std::optional<MemberId> Authority::SignerOf(const crypto::PublicKey& key) const {
  const auto found = signers_.find(key);
  if (found == signers_.end()) return std::nullopt;
  return found->second;
}

bool Authority::EverHadKey(const MemberId& member) const {
  return past_->had_keys.contains(member);
}

std::optional<MemberId> Authority::OwnerEver(const crypto::PublicKey& key) const {
  const auto found = past_->owners.find(key);
  if (found == past_->owners.end()) return std::nullopt;
  return found->second;
}

bool Authority::Cosigns(const crypto::PublicKey& key) const {
  const auto found = ReplicaOfKey(key);
  return found && found->member->replicas.front().key == key;
}

const Audience* Authority::FindAudience(const AudienceId& id) const {
  const auto found = audience_index_.find(id);
  return found == audience_index_.end() ? nullptr : &content_->audiences[found->second];
}

const Audience* Authority::FindAudienceByName(std::string_view name) const {
  if (name.empty()) return nullptr;
  const auto found = std::find_if(audiences().begin(), audiences().end(),
                                  [&](const Audience& audience) { return audience.name == name; });
  return found == audiences().end() ? nullptr : &*found;
}

std::vector<AudienceId> Authority::AudiencesReadBy(const MemberId& member) const {
  std::vector<AudienceId> read;
  for (const Audience& audience : audiences()) {
    if (audience.IsReader(member)) read.push_back(audience.id);
  }
  std::sort(read.begin(), read.end());
  return read;
}

std::vector<AudienceId> Authority::AudiencesShared(const MemberId& a, const MemberId& b) const {
  std::vector<AudienceId> shared;
  for (const Audience& audience : audiences()) {
    if (audience.IsReader(a) && audience.IsReader(b)) shared.push_back(audience.id);
  }
  for (const auto& [audience, closed] : past_->closed) {
    if (FindAudience(audience) != nullptr) continue;
    if (KeepsCopy(a, audience) && KeepsCopy(b, audience)) shared.push_back(audience);
  }
  std::sort(shared.begin(), shared.end());
  return shared;
}

bool Authority::Reads(const MemberId& member, const AudienceId& audience) const {
  const Audience* found = FindAudience(audience);
  return found != nullptr && found->IsReader(member);
}

bool Authority::Writes(const MemberId& member, const AudienceId& audience) const {
  const Audience* found = FindAudience(audience);
  return found != nullptr && found->IsWriter(member);
}

bool Authority::EverWrote(const MemberId& member, const AudienceId& audience) const {
  return past_->writers.contains({audience, member});
}

bool Authority::EverRead(const MemberId& member, const AudienceId& audience) const {
  return past_->readers.contains({audience, member});
}

bool Authority::EverAnAudience(const AudienceId& audience) const {
  return past_->audiences.contains(audience);
}

const Authority::Closed* Authority::FindClosed(const AudienceId& audience) const {
  if (FindAudience(audience) != nullptr) return nullptr;
  const auto found = past_->closed.find(audience);
  return found == past_->closed.end() ? nullptr : &found->second;
}

bool Authority::KeepsCopy(const MemberId& member, const AudienceId& audience) const {
  if (const Audience* found = FindAudience(audience)) return found->IsReader(member);
  const Closed* closed = FindClosed(audience);
  return closed != nullptr && closed->audience.IsReader(member) && FindMember(member) != nullptr;
}

std::optional<MemberId> Authority::RelayOf(const AudienceId& audience) const {
  const Audience* found = FindAudience(audience);
  if (found == nullptr) {
    const Closed* closed = FindClosed(audience);
    if (closed == nullptr) return std::nullopt;
    // The chair of then, too, since it can be reached: a Land that only calls out brings nobody
    // together.
    std::vector<MemberId> candidates = closed->audience.readers;
    candidates.insert(candidates.begin(), {chair(), FindTerm(closed->term)->member});
    if (closed->audience.relay) candidates.insert(candidates.begin(), *closed->audience.relay);
    const auto relay =
        std::find_if(candidates.begin(), candidates.end(),
                     [&](const MemberId& member) { return KeepsCopy(member, audience); });
    return relay == candidates.end() ? std::nullopt : std::optional(*relay);
  }
  if (found->relay) return found->relay;
  if (found->IsReader(chair())) return chair();
  return std::nullopt;
}

const Term* Authority::FindTerm(std::uint64_t number) const {
  const auto& terms = content_->terms;
  return number == 0 || number > terms.size() ? nullptr : &terms[number - 1];
}

std::optional<std::string> Authority::RuleAt(std::string_view name, TimeMs time) const {
  const Rule* rule = RuleInForce(*content_, name, time);
  if (rule == nullptr) return std::nullopt;
  return rule->value;
}

bool Authority::IsPersonalKind(std::uint32_t kind) const {
  const auto& kinds = content_->personal_kinds;
  return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
}

bool Authority::EverPersonalKind(std::uint32_t kind) const {
  return past_->personal_kinds.contains(kind);
}

std::uint32_t Authority::MinVersionOf(std::uint32_t kind) const {
  for (const MinVersion& version : content_->min_versions) {
    if (version.kind == kind) return version.version;
  }
  return 0;
}

const Cut* Authority::FindCut(const JournalId& journal, const AudienceId& audience,
                              const crypto::PublicKey& key, std::uint64_t term) const {
  const auto found = cuts_of_.find(journal);
  if (found == cuts_of_.end()) return nullptr;
  for (std::size_t at : found->second) {
    const Cut& cut = content_->cuts[at];
    if (cut.audience == audience && cut.key == key && cut.term == term) return &cut;
  }
  return nullptr;
}

}  // namespace staffel::charter
