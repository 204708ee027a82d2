// SPDX-License-Identifier: EUPL-1.2
// Deliberate faults in the engine, which the simulator must find: a check that cannot fail proves
// nothing. STAFFEL_MUTATION(kName) says whether this fault is switched on for this thread. Only the
// simulator compiles the engine with STAFFEL_MUTATIONS (tests/sim/CMakeLists.txt); everywhere else
// the macro is `false` and nothing of this is in the binary (docs/decisions/0024).
#pragma once

#ifdef STAFFEL_MUTATIONS

#include <cstdint>

// Each with the name it has on the command line and what the faulty engine does.
#define STAFFEL_MUTATION_LIST(X)                                                                  \
  X(kDropParent, "drop-parent", "an own edit names one parent less than its writer")              \
  X(kSilentDecision, "silent-decision", "an own edit covers heads that its writer was not shown") \
  X(kWrongValue, "wrong-value", "an own edit stores another value than its writer gave")          \
  X(kRepeatOp, "repeat-op", "an op that is here already is applied again")                        \
  X(kSkipSync, "skip-sync", "a commit is acknowledged before it is on disk")                      \
  X(kSkipRunSignature, "skip-run-signature", "runs are taken without a look at their signature")  \
  X(kSkipChainLink, "skip-chain-link", "runs are taken whose entries do not follow each other")   \
  X(kSkipCommitment, "skip-commitment", "payloads are taken that do not match the header")        \
  X(kAnyKey, "any-key", "journals of keys that no charter ever named are taken")                  \
  X(kForgetMissing, "forget-missing", "a parent that has not come yet is not remembered")         \
  X(kExtendOnly, "extend-only", "a record is extended where it must be folded whole")             \
  X(kIgnoreRepeats, "ignore-repeats", "an op's repeats are folded as strangers to each other")    \
  X(kInvalidCovers, "invalid-covers", "an invalid change covers its parents")                     \
  X(kInvalidCounts, "invalid-counts", "an invalid change becomes a head")                         \
  X(kCoverByClock, "cover-by-clock", "of several heads only the latest by the clock is kept")     \
  X(kKeepOldLeaf, "keep-old-leaf", "a record's former leaf stays in the digest")                  \
  X(kDropBranch, "drop-branch", "of a forked journal only the last branch is remembered")         \
  X(kSkipRejudge, "skip-rejudge", "a new charter does not touch what was judged before")          \
  X(kProvisionalById, "provisional-by-id", "the provisional value is the one of the greatest id") \
  X(kChairWritesAll, "chair-writes-all", "the chair may write a member's cells")                  \
  X(kMembersWriteAll, "members-write-all", "a member may write the cells of others")              \
  X(kMembersWriteChair, "members-write-chair", "a member may write the chair's cells")            \
  X(kCellTwice, "cell-twice", "an entry may write one cell twice")                                \
  X(kIgnoreCut, "ignore-cut", "what lies beyond a cut stays valid")                               \
  X(kIgnoreEnd, "ignore-end", "a term that has ended goes on without a cut")                      \
  X(kAnyTerm, "any-term", "whoever calls itself the chair of a term is it")                       \
  X(kChairAlone, "chair-alone", "the chair alone may add keys for a Land and cut its journals")   \
  X(kTwoForATerm, "two-for-a-term", "old and new chair need nobody else for the next term")       \
  X(kHalfIsQuorum, "half-is-quorum", "half of the voting members are a quorum")                   \
  X(kTieGoesOn, "tie-goes-on", "of two equally strong branches the first one is in force")        \
  X(kCosignWaiting, "cosign-waiting", "a node cosigns what is not in force")                      \
  X(kUnverifiedApproval, "unverified-approval", "signatures of charter entries are not verified") \
  X(kIgnoreSigners, "ignore-signers", "two charters with other signatures count as equal")        \
  X(kForgetErasure, "forget-erasure", "an erasure is stored and not carried out")                 \
  X(kSkipWipe, "skip-wipe", "erased bytes stay in free places of the file")                       \
  X(kOneAudienceMore, "one-audience-more", "a peer is sent an audience that it may not read")     \
  X(kSwallowBatch, "swallow-batch", "a batch is acknowledged and not stored")                     \
  X(kIgnoreDoubt, "ignore-doubt", "a database that was put back is taken for the last one")       \
  X(kSameNonce, "same-nonce-again", "a renewal keeps the nonce")                                  \
  X(kKeepJournals, "keep-journals", "a node in doubt goes on in the journals it had")             \
  X(kWriteUnsettled, "write-unsettled", "a write does not wait for the twin")                     \
  X(kReopenAtOnce, "reopen-at-once", "who is known more of opens a journal before it writes")     \
  X(kCosignAgain, "cosign-again", "a node that was in doubt cosigns numbers that are used up")    \
  X(kActInDoubt, "act-in-doubt", "a chair that was in doubt acts on in its term")                 \
  X(kAdmitSecond, "admit-second", "a replica that runs twice is answered")

namespace staffel::mutation {

enum class Mutation : std::uint8_t {
  kNone,
#define STAFFEL_MUTATION_ENUM(name, text, meaning) name,
  STAFFEL_MUTATION_LIST(STAFFEL_MUTATION_ENUM)
#undef STAFFEL_MUTATION_ENUM
};

// Of this thread: a simulation runs in one.
inline thread_local Mutation active = Mutation::kNone;
inline thread_local std::uint64_t hits = 0;  // how often the active one was asked for

inline bool Hit(Mutation mutation) {
  if (active != mutation) return false;
  ++hits;
  return true;
}

}  // namespace staffel::mutation

#define STAFFEL_MUTATION(name) ::staffel::mutation::Hit(::staffel::mutation::Mutation::name)

#else

#define STAFFEL_MUTATION(name) false

#endif
