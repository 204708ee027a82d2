// SPDX-License-Identifier: EUPL-1.2
// The charter's journal: entries that form a tree, the signatures beside them, and which entry is
// in force. The answer is a function of the set of entries and signatures, never of their order.
// The store keeps them on disk and rebuilds this at start; the exchange compares SummaryHash.
// docs/formats/charter.md has the rules and the bytes.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/id.h"
#include "core/base/result.h"
#include "core/charter/authority.h"
#include "core/charter/needs.h"
#include "core/crypto/key.h"
#include "core/journal/entry.h"

namespace staffel::charter {

// Entries whose parent is not held, at most: more are refused until the parents come.
inline constexpr std::size_t kWaitingForParentsMax = 256;
// Entries in all: a conference has some dozens a year.
inline constexpr std::size_t kTreeEntriesMax = 100'000;

// A signature beside a charter entry: over the entry's id, with the tag of its kind. The kinds
// never stand in for each other.
struct CharterSignature {
  enum class Kind : std::uint8_t {
    kApproval = 1,  // a person's: "I want this" (staffel/1/sign)
    kSeen = 2,      // a machine's: "this is in force here" (staffel/1/seen)
  };
  Kind kind = Kind::kApproval;
  crypto::PublicKey key;
  Bytes signature;
  friend bool operator==(const CharterSignature&, const CharterSignature&) = default;
};

[[nodiscard]] CharterSignature SignCharterEntry(const EntryId& entry, CharterSignature::Kind kind,
                                                const crypto::KeyPair& key);

// A value: copies are cheap (contents are shared), so that a transaction can try on a copy. One
// thread at a time may change it; const calls may come from several at once.
class CharterTree {
 public:
  // An empty tree of that conference: its entry 0 is the one with this id.
  explicit CharterTree(const ConferenceId& conference) : conference_(conference) {}

  [[nodiscard]] const ConferenceId& conference() const { return conference_; }

  // Takes an entry; says whether it was new. Without its parent it waits, out of force. Refused:
  // what is not a charter entry of this conference (kInvalid); contents that ParseContent refuses;
  // a number that does not follow the parent's (kCorrupt); too many (kTooLarge, kUnavailable). Of
  // an entry of a newer format the form is taken, and it is never in force here.
  Result<bool> Add(Entry entry);
  // Takes a signature; says whether it was new. Refused: an entry not held (kNotFound); a key that
  // no entry held ever named (kDenied); one that does not verify (kCorrupt). Offer again what was
  // refused for what is not held yet. Whether it counts is decided by the parent's charter.
  Result<bool> AddSignature(const EntryId& entry, CharterSignature signature);

  [[nodiscard]] bool Holds(const EntryId& entry) const { return index_.contains(entry); }
  // Null where it is not held; lives until the tree changes or ends.
  [[nodiscard]] const Entry* Find(const EntryId& entry) const;
  // All entries, parents before children, by (number, id); then those that wait for parents.
  [[nodiscard]] std::vector<EntryId> Entries() const;
  // All signatures of an entry, counting or not, by (kind, key). Empty where it is not held.
  [[nodiscard]] std::vector<CharterSignature> SignaturesOf(const EntryId& entry) const;

  struct InForceState {
    EntryId entry;
    std::uint64_t seq = 0;
    std::shared_ptr<const Authority> authority;  // null until entry 0 is held
    // Two branches are equally strong: no authority is exercised (no receipt, no adoption, no act
    // of the chair) until a quorum appends to one of them; editing goes on.
    bool tied = false;
    bool settled = false;
    // A quorum has cosigned an entry on it that a newer version wrote: the conference has moved on,
    // and this version cannot tell to what. No authority is exercised here before the upgrade.
    bool newer = false;
    friend bool operator==(const InForceState&, const InForceState&) = default;
  };
  // Goes from entry 0, at each fork of entries that may come into force, to the child whose subtree
  // has the path with most settled entries, then most approved by a quorum; a tie stops there.
  [[nodiscard]] const InForceState& InForce() const { return in_force_; }
  // From entry 0 to the one in force.
  [[nodiscard]] std::vector<EntryId> PathInForce() const;
  // Cosigned by a quorum of the parent's voting members.
  [[nodiscard]] bool IsSettled(const EntryId& entry) const;
  // Members with a counting signature of that kind, ascending.
  [[nodiscard]] std::set<MemberId> SignersOf(const EntryId& entry,
                                             CharterSignature::Kind kind) const;
  // The authority of any linked entry (null otherwise), and what an entry needs and has.
  [[nodiscard]] std::shared_ptr<const Authority> AuthorityOf(const EntryId& entry) const;
  [[nodiscard]] std::optional<Needs> NeedsOf(const EntryId& entry) const;

  // Where the path in force ends in a tie: its equally strong children, ascending; none otherwise.
  [[nodiscard]] std::vector<EntryId> TiedEntries() const;

  // The end of the strongest path that begins at `entry` (which is itself where nothing follows, or
  // a tie does).
  [[nodiscard]] EntryId StrongestBelow(const EntryId& entry) const;

  // Entries that stand on the one in force, or on one of two tied branches, and lack approvals that
  // could still come: what `staffel approve` offers. Ascending by (number, id).
  struct Proposal {
    EntryId entry;
    Needs needs;
  };
  [[nodiscard]] std::vector<Proposal> Waiting() const;
  // Entries on the path in force that `key` should cosign and has not: not entry 0, none where the
  // key is not its member's first replica's, and none of a number below `from_seq` (a node in doubt
  // about its past passes one above all that it met).
  [[nodiscard]] std::vector<EntryId> ToCosign(const crypto::PublicKey& key,
                                              std::uint64_t from_seq) const;

  // Equal on two nodes exactly when they hold the same entries and, per entry, the same members
  // have counting signatures of each kind.
  // Hashes 32 bytes an entry at each call.
  [[nodiscard]] Hash SummaryHash() const;
  // Whether any entry held lists `key`: others sign nothing that is stored.
  [[nodiscard]] bool KeyEverNamed(const crypto::PublicKey& key) const {
    return named_.contains(key);
  }

 private:
  // A path's worth at a fork, compared in this order.
  struct Strength {
    std::size_t settled = 0;
    std::size_t approved = 0;
    friend auto operator<=>(const Strength&, const Strength&) = default;
  };
  struct Node {
    std::shared_ptr<const Entry> entry;
    std::shared_ptr<const Content> content;      // null: of a newer format
    std::shared_ptr<const Authority> authority;  // null until linked to entry 0
    std::shared_ptr<const Needs> needs;          // null until linked, and for entry 0
    std::optional<std::size_t> parent;
    std::vector<std::size_t> children;
    std::map<std::pair<CharterSignature::Kind, crypto::PublicKey>, Bytes> signatures;
    std::set<MemberId> approved;  // counting
    std::set<MemberId> seen;      // counting
    bool linked = false;
    bool possible = false;  // may be in force: satisfied, and so is its parent
    bool settled = false;
    bool quorum_approved = false;
    Strength best;  // of the best path that begins here
    Hash leaf;      // id and counting signers, for the summary
  };

  void Link(std::size_t at);
  void LinkOrphansOf(const EntryId& parent);
  void Drop(std::size_t at);
  // Who counts, and what follows for this entry alone. Says whether that can move what is in force.
  bool Count(Node& node);
  void Recompute();
  [[nodiscard]] const Node* FindNode(const EntryId& entry) const;
  // The charter that judges this entry's signatures: the parent's, for entry 0 its own.
  [[nodiscard]] const Authority* JudgeOf(const Node& node) const;
  [[nodiscard]] bool IsOnOrBelow(std::size_t at, const EntryId& ancestor) const;

  ConferenceId conference_;
  std::vector<Node> nodes_;  // a dropped one stays as a hole without entry
  std::unordered_map<EntryId, std::size_t> index_;
  std::vector<std::size_t> order_;                                 // linked ones by (number, id)
  std::unordered_map<EntryId, std::vector<std::size_t>> orphans_;  // by the parent awaited
  std::size_t orphan_count_ = 0;
  std::set<crypto::PublicKey> named_;
  InForceState in_force_;
};

}  // namespace staffel::charter
