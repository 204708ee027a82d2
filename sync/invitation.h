// SPDX-License-Identifier: EUPL-1.2
// How a conference begins and grows: founding, inviting, joining, approving, cosigning. Everything
// here works on a Store alone; asking over the network is the replicator's business, answering the
// hub's. What a change of the charter needs is said by core/charter.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/id.h"
#include "core/base/random.h"
#include "core/base/result.h"
#include "core/base/time.h"
#include "core/charter/build.h"
#include "core/crypto/key.h"
#include "core/store/store.h"

namespace staffel::sync {

inline constexpr std::chrono::hours kInvitationLifetime{24 * 14};
inline constexpr std::chrono::hours kInvitationLifetimeMax{24 * 90};
inline constexpr std::size_t kInvitationsOpenMax = 200;
inline constexpr std::size_t kTokenBytesMax = 4'000;

// ---- founding ----

// Makes charter entry 0 in a store without a charter, approved with `key` (the founder's replica
// key, named in the options). kExists: the store belongs to a conference already; kInvalid: a rule
// that CheckRule refuses.
[[nodiscard]] Result<ConferenceId> Found(Store& store, const crypto::KeyPair& key,
                                         const charter::FoundingOptions& options, Clock& clock,
                                         Random& random);

// ---- inviting: at the hub ----

struct Invitation {
  std::string id;  // 16 hexadecimal digits
  MemberId member;
  TimeMs created;
  TimeMs expires;
  enum class State { kOpen, kExpired, kRevoked, kUsed, kJoined } state = State::kOpen;
  TimeMs used;                           // kUsed, kJoined
  std::optional<crypto::PublicKey> key;  // of the node that used it
  // kUsed: why it is not a member yet, for people ("needs a quorum: 2 of NI, NW; has NI").
  std::string waiting;
  std::vector<MemberId> missing_from;
};

struct MadeInvitation {
  Invitation invitation;
  // "staffel-1.…": one word to copy. It is a secret until it is used; only its hash is kept.
  std::string token;
};

// Invites a listed member that has no keys yet; with `further`, one that has, for one more replica,
// which then needs its approval. kDenied: this is not the hub; kNotFound: no such
// member; kExists: it has joined; kInvalid: the hub has no address in the charter, bad lifetime;
// kTooLarge: too many open invitations.
[[nodiscard]] Result<MadeInvitation> Invite(
    Store& store, const MemberId& member, Clock& clock, Random& random,
    std::chrono::milliseconds lifetime = kInvitationLifetime, bool further = false);
// Newest first, used and expired ones, too.
[[nodiscard]] Result<std::vector<Invitation>> ListInvitations(Store& store, Clock& clock);
// By id or a unique beginning of it. A used one can be revoked until its node is a member; then
// kConflict.
[[nodiscard]] Result<Invitation> RevokeInvitation(Store& store, std::string_view id, Clock& clock);

// ---- joining: at the new node ----

// What a token says, for showing before one joins. Never contains the code.
struct TokenContent {
  ConferenceId conference;
  std::string conference_name;
  MemberId member;
  std::string hub_url;
  Hash hub_tls_fingerprint;
  TimeMs expires;
};
// kInvalid with a sentence about what is wrong: cut short, mistyped, of a newer version.
[[nodiscard]] Result<TokenContent> ReadToken(std::string_view token);

struct JoiningStatus {
  TokenContent token;
  std::string url;
  TimeMs started;
  TimeMs asked;         // zero: the hub has not been reached yet
  std::string waiting;  // the hub's last word
  std::vector<MemberId> missing_from;
  std::string refused;  // not empty: for good; join again with another invitation
};
// Writes down that this node joins: the replicator then asks the hub until it is in force, also
// after a restart. `url` is where this node answers exchanges, or empty. kExists: the store belongs
// to a conference, or joins another one (unless that one was refused); kInvalid: bad token or url,
// or the token has expired by our clock.
[[nodiscard]] Status StartJoining(Store& store, std::string_view token, std::string_view url,
                                  Clock& clock);
// Gives up joining. kNotFound: nothing under way.
[[nodiscard]] Status StopJoining(Store& store);
// Nothing when the node is not joining, or is a member.
[[nodiscard]] Result<std::optional<JoiningStatus>> Joining(Store& store);

// The body to POST to /sync/v1/join, and what to make of the answer: used by the replicator.
struct JoinKeys {
  const crypto::KeyPair* key = nullptr;  // the replica's
  crypto::PublicKey tls_key;
  std::vector<crypto::PublicKey> recovery_keys;
};
[[nodiscard]] Result<Bytes> MakeJoinRequest(Store& store, const JoinKeys& keys);
enum class JoinState { kWaiting = 1, kApproved = 2, kRefused = 3 };
[[nodiscard]] Result<JoinState> TakeJoinAnswer(Store& store, ByteView answer, Clock& clock);

// ---- joining: at the hub ----

// Answers a join request from a peer that has proven `peer` in TLS. Idempotent: the same node
// asking again hears how things stand now. Whatever is wrong with invitation or code is a proper
// answer (kRefused); errors are kInvalid (not a join request), kDenied (this is not the hub; the
// TLS key is not the one named), kStorage. `failed` is set where the code was wrong: to be counted.
[[nodiscard]] Result<Bytes> AnswerJoin(Store& store, const crypto::KeyPair& key, ByteView request,
                                       const crypto::PublicKey& peer, Clock& clock, Random& random,
                                       bool* failed);
// Proposes again what another charter entry has overtaken. Call at the hub after the charter has
// changed; says how many proposals were made.
[[nodiscard]] Result<std::size_t> RenewProposals(Store& store, const crypto::KeyPair& key,
                                                 Random& random);

// ---- approving: at every node ----

struct WaitingChange {
  EntryId entry;
  std::vector<std::string> changes;  // for people: "gives BY its first key"
  std::vector<MemberId> joining;  // members that get a replica by it, their first or a further one
  std::vector<MemberId> approved;
  std::vector<MemberId> missing_from;
  std::string needs;               // charter::Needs::Sentence
  std::vector<std::string> lacks;  // the same, a sentence a change
  bool approved_here = false;
  bool dropped = false;  // hidden on this node (DropChange, proposal.h)
};
// What waits, without what was dropped here; `all`: with that.
[[nodiscard]] std::vector<WaitingChange> WaitingChanges(Store& store, const crypto::KeyPair& key,
                                                        bool all = false);

// Any entry but the founding one, waiting or not, as it stands. Nothing where it is not held.
[[nodiscard]] std::optional<WaitingChange> ChangeOf(Store& store, const crypto::KeyPair& key,
                                                    const EntryId& entry);

struct Approved {
  std::vector<WaitingChange> changes;  // as they stand after our signature; in force: missing none
};
// Signs every waiting change that is named by `what`: a joining member's id, or (a unique beginning
// of) an entry id. Harmless when repeated. kNotFound: nothing waiting is called so; kDenied: this
// node's key does not sign for a member, or the change was dropped here. A handover is checked
// first, with the refusals of CheckHandover.
[[nodiscard]] Result<Approved> Approve(Store& store, const crypto::KeyPair& key,
                                       std::string_view what);

// Signs as seen what is in force, where this node is the one of its member that does; says how
// many.
[[nodiscard]] Result<std::size_t> CosignInForce(Store& store, const crypto::KeyPair& key);

}  // namespace staffel::sync
