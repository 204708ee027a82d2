// SPDX-License-Identifier: EUPL-1.2
// A charter entry together with all entries before it on its path: who has which right, and who
// ever had it. One is built for each entry of the charter's tree (tree.h); the one in force is what
// the store, the exchange and the people's side ask. Immutable: shared freely between threads.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/id.h"
#include "core/base/result.h"
#include "core/base/time.h"
#include "core/charter/content.h"
#include "core/crypto/key.h"

namespace staffel::charter {

// More than half of the voting members that have keys.
struct Quorum {
  std::size_t needed = 0;
  std::vector<MemberId> eligible;  // in the charter's order
  // Whether enough of `members` are eligible.
  [[nodiscard]] bool ReachedBy(const std::set<MemberId>& members) const;
};

class Authority {
 public:
  // The authority of the charter's entry 0, which may name whatever it names.
  [[nodiscard]] static std::shared_ptr<const Authority> Found(
      const EntryId& entry, std::shared_ptr<const Content> content);
  // The authority of a later entry. Makes no judgement: see needs.h.
  [[nodiscard]] static std::shared_ptr<const Authority> Extend(
      const Authority& parent, const EntryId& entry, std::shared_ptr<const Content> content);

  [[nodiscard]] const ConferenceId& conference() const { return conference_; }
  // The charter entry that this is the authority of, and its number.
  [[nodiscard]] const EntryId& entry() const { return entry_; }
  [[nodiscard]] std::uint64_t seq() const { return seq_; }
  [[nodiscard]] const Content& content() const { return *content_; }
  [[nodiscard]] const std::string& name() const { return content_->name; }
  [[nodiscard]] bool demonstration() const { return content_->demonstration; }

  // Members. Pointers live as long as this authority; null where there is none.
  [[nodiscard]] const std::vector<Member>& members() const { return content_->members; }
  [[nodiscard]] const Member* FindMember(const MemberId& id) const;
  // Whose replica `key` is, or ever was: a key belongs to one member for ever.
  [[nodiscard]] std::optional<MemberId> MemberOfKey(const crypto::PublicKey& key) const;
  // Whether `key` is a replica's now.
  [[nodiscard]] bool IsCurrentKey(const crypto::PublicKey& key) const;
  // The member and replica of a TLS key that is listed now: who may exchange.
  struct ReplicaOf {
    const Member* member = nullptr;
    const Replica* replica = nullptr;
  };
  [[nodiscard]] std::optional<ReplicaOf> ReplicaOfTlsKey(const crypto::PublicKey& tls_key) const;
  [[nodiscard]] std::optional<MemberId> MemberOfTlsKey(const crypto::PublicKey& tls_key) const;
  [[nodiscard]] std::optional<ReplicaOf> ReplicaOfKey(const crypto::PublicKey& key) const;
  // For whom `key` signs charter entries that stand on this one: a replica's or a recovery key.
  [[nodiscard]] std::optional<MemberId> SignerOf(const crypto::PublicKey& key) const;
  // Whether the member had any key in this entry or one before: then it cannot get a first one.
  [[nodiscard]] bool EverHadKey(const MemberId& member) const;
  // Whose key of any sort (replica, TLS, recovery) this is or was.
  [[nodiscard]] std::optional<MemberId> OwnerEver(const crypto::PublicKey& key) const;
  // Only the member's first listed replica cosigns what is in force.
  [[nodiscard]] bool Cosigns(const crypto::PublicKey& key) const;
  [[nodiscard]] const Quorum& quorum() const { return quorum_; }

  // Audiences.
  [[nodiscard]] const std::vector<Audience>& audiences() const { return content_->audiences; }
  [[nodiscard]] const Audience* FindAudience(const AudienceId& id) const;
  // The first of that name; confidential ones have none.
  [[nodiscard]] const Audience* FindAudienceByName(std::string_view name) const;
  // Ids in ascending order; empty for a stranger.
  [[nodiscard]] std::vector<AudienceId> AudiencesReadBy(const MemberId& member) const;
  // What two replicas may name to each other: the audiences that both read, and closed ones of
  // which both keep a copy, since what is erased in those still has to reach both.
  [[nodiscard]] std::vector<AudienceId> AudiencesShared(const MemberId& a, const MemberId& b) const;
  [[nodiscard]] bool Reads(const MemberId& member, const AudienceId& audience) const;
  [[nodiscard]] bool Writes(const MemberId& member, const AudienceId& audience) const;
  // Is or was a writer: what it wrote then stays valid, up to a cut.
  [[nodiscard]] bool EverWrote(const MemberId& member, const AudienceId& audience) const;
  [[nodiscard]] bool EverRead(const MemberId& member, const AudienceId& audience) const;
  // Whether the audience is or was: a closed one never opens again.
  [[nodiscard]] bool EverAnAudience(const AudienceId& audience) const;
  // A closed audience as it was at its last. Of the rights in it those to erase are left, as they
  // stood then: copies stay. Null: it is open, or never was.
  struct Closed {
    Audience audience;
    std::uint64_t term = 0;            // the chair's
    std::set<crypto::PublicKey> keys;  // of all replicas, of then and since
    friend bool operator==(const Closed&, const Closed&) = default;
  };
  [[nodiscard]] const Closed* FindClosed(const AudienceId& audience) const;
  // Whether the member reads the audience, or read it when it was closed.
  [[nodiscard]] bool KeepsCopy(const MemberId& member, const AudienceId& audience) const;
  // Who passes entries on where two nodes cannot meet: the audience's relay, or the chair. Of a
  // closed one where neither keeps a copy, the chair of its last day, or the first who does.
  [[nodiscard]] std::optional<MemberId> RelayOf(const AudienceId& audience) const;

  // The chair.
  [[nodiscard]] const Term& current_term() const { return content_->terms.back(); }
  [[nodiscard]] const Term* FindTerm(std::uint64_t number) const;
  [[nodiscard]] const MemberId& chair() const { return current_term().member; }
  [[nodiscard]] const crypto::PublicKey& hub_key() const { return current_term().replica; }
  // The hub's replica with its address; nothing where its key has been taken out.
  [[nodiscard]] std::optional<ReplicaOf> Hub() const { return ReplicaOfKey(hub_key()); }

  // Rules as dated data: the value of the newest rule of that name that has begun at `time`.
  [[nodiscard]] std::optional<std::string> RuleAt(std::string_view name, TimeMs time) const;
  [[nodiscard]] bool IsPersonalKind(std::uint32_t kind) const;
  // Is or was a personal kind: what was erased then stays erased.
  [[nodiscard]] bool EverPersonalKind(std::uint32_t kind) const;
  // The least projection version that may write this kind; 0: any.
  [[nodiscard]] std::uint32_t MinVersionOf(std::uint32_t kind) const;

  // The cut of exactly this lane; null where there is none.
  [[nodiscard]] const Cut* FindCut(const JournalId& journal, const AudienceId& audience,
                                   const crypto::PublicKey& key, std::uint64_t term) const;

 private:
  // What the path has ever said; shared along it while nothing new is said.
  struct Past {
    std::map<crypto::PublicKey, MemberId> owners;        // of keys of any sort
    std::map<crypto::PublicKey, MemberId> replica_keys;  // replicas' signing keys
    std::set<MemberId> had_keys;
    std::set<std::pair<AudienceId, MemberId>> writers;
    std::set<std::pair<AudienceId, MemberId>> readers;
    std::set<std::uint32_t> personal_kinds;
    std::set<AudienceId> audiences;
    std::map<AudienceId, Closed> closed;
    friend bool operator==(const Past&, const Past&) = default;
  };
  Authority() = default;
  void Index(std::shared_ptr<const Past> before, const Content* parent);

  ConferenceId conference_;
  EntryId entry_;
  std::uint64_t seq_ = 0;
  std::shared_ptr<const Content> content_;
  std::shared_ptr<const Past> past_;
  std::unordered_map<MemberId, std::size_t> member_index_;
  std::unordered_map<AudienceId, std::size_t> audience_index_;
  std::map<crypto::PublicKey, ReplicaOf> by_key_;
  std::map<crypto::PublicKey, ReplicaOf> by_tls_key_;
  std::map<crypto::PublicKey, MemberId> signers_;
  std::unordered_map<JournalId, std::vector<std::size_t>> cuts_of_;
  Quorum quorum_;
};

}  // namespace staffel::charter
