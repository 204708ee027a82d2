// SPDX-License-Identifier: EUPL-1.2
// Handing the chair over, by the steps that people take: the chair announces (ProposeHandover), the
// next one and other members agree in advance (AcceptHandover), the chair signs and ends its acts
// (CompleteHandover), and whoever has agreed signs once it has checked (StepHandover). When the
// chair's node is lost, members put the next term forward themselves (RecoverChair). All of it
// works on a Store; who must sign is said by core/charter, what the protocol says by its heads
// alone. Any thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/id.h"
#include "core/base/result.h"
#include "core/base/time.h"
#include "core/charter/hidden.h"
#include "core/charter/rotation.h"
#include "core/charter/tree.h"
#include "core/crypto/key.h"
#include "core/store/store.h"

namespace staffel::sync {

struct HandoverChoice {
  std::optional<MemberId> member;  // nothing: whom the rules name
  // Nothing: its first one that can be reached and is not the hub, or else the hub: a chair whose
  // acts rest after a restore goes on in a next term to itself.
  std::optional<crypto::PublicKey> replica;
  std::optional<TimeMs> starts;  // nothing: the first day of a term, by the rules
};
// At the chair: announces the next term to all. kDenied: not the chair's node; kInvalid: the next
// one's node has no address, or the time is past; kConflict: the charter is tied, or the chair has
// signed a handover already.
[[nodiscard]] Result<charter::NextTerm> ProposeHandover(Store& store, const crypto::KeyPair& key,
                                                        const HandoverChoice& choice, Clock& clock);

// At the next chair's node, and at those of other voting members: agrees to what is announced. The
// node then signs by itself as soon as the chair has signed just that and the protocol has been
// checked here. kNotFound: nothing is announced; kDenied: this node's key signs for no voting
// member, or is the chair's. Whether the node holds everything is for the caller to see to first
// (an exchange with the hub that agrees); it is checked again against the protocol.
[[nodiscard]] Result<charter::NextTerm> AcceptHandover(Store& store, const crypto::KeyPair& key);

// At the chair: ends its acts, makes the entry of the next term with cuts and protocol and signs
// it. `at_once`: the new hub takes up now, whatever was announced. Repeated, it gives the entry
// that waits. kNotFound: nothing is announced; kDenied: not the chair's node.
[[nodiscard]] Result<EntryId> CompleteHandover(Store& store, const crypto::KeyPair& key,
                                               bool at_once, Clock& clock);

// At the chair: takes back what is announced and not in force yet; its acts go on. At any other
// node: takes back what was agreed to and not signed yet. kNotFound: nothing to take back.
[[nodiscard]] Status CancelHandover(Store& store, const crypto::KeyPair& key, Clock& clock);

// Where the chair's node is lost: puts the next term forward with cuts of what is held here of the
// lost chair's lanes, for a quorum to approve. kDenied: this node's key signs for no member;
// kInvalid: the chosen one's node has no address.
[[nodiscard]] Result<EntryId> RecoverChair(Store& store, const crypto::KeyPair& key,
                                           const HandoverChoice& choice, Clock& clock);

// Audiences that the ended term's chair reads together with others and whose lanes this entry does
// not cut, for its proposer does not read them: its acts there have no effect until a reader has
// put the cuts forward (CutEndedTerms, charter_changes.h). None for entries that pass no chair.
[[nodiscard]] std::vector<AudienceId> NotCutBy(Store& store, const EntryId& entry);

// Whether this node, if it approved that entry, would put its name to what it has checked: nothing
// but the next term and cuts of the ended one's lanes, and for every audience that both it and the
// proposer read a protocol that is what this node computes itself. Fine for entries that pass no
// chair. kUnavailable: not yet, something is missing here; kConflict: it differs, with both
// figures.
[[nodiscard]] Status CheckHandover(Store& store, const crypto::KeyPair& key, const EntryId& entry);

// Does what is due: signs what was agreed to, and, at the chair, signs anew what another change of
// the charter has overtaken. Call after the charter or the entries have changed. Says whether it
// signed. Errors: the disk.
[[nodiscard]] Result<bool> StepHandover(Store& store, const crypto::KeyPair& key, Clock& clock);

// How things stand, for people.
struct HandoverStatus {
  std::optional<charter::NextTerm> announced;
  bool agreed_here = false;  // to what is announced
  struct Pending {
    EntryId entry;
    MemberId from;
    MemberId to;
    std::uint64_t term = 0;
    TimeMs starts;
    std::vector<MemberId> approved;
    std::vector<MemberId> missing_from;
    std::string needs;
    std::string check;                // why this node would not sign; empty: it would, or has
    std::vector<AudienceId> not_cut;  // as NotCutBy says
  };
  std::vector<Pending> pending;  // entries that wait for signatures
  bool tied = false;
  std::vector<EntryId> tied_entries;  // the equally strong ones, where tied
  MemberId next_by_rule;              // empty: the rules name nobody
  TimeMs next_start;
  std::string chair_acts;  // why the chair's node does not act now; empty: it may
};
[[nodiscard]] Result<HandoverStatus> ReadHandover(Store& store, const crypto::KeyPair& key,
                                                  Clock& clock);

// The protocol of the handover that began a term, as far as this node's audiences go.
struct ProtocolAudience {
  AudienceId audience;
  std::string name;
  bool of_both = false;                       // old and new chair both read it
  std::optional<charter::HandoverPart> part;  // nothing: nobody has disclosed it here
  enum class State {
    kEqual,         // computed here: the same
    kErasedSince,   // the same but for what has been erased since
    kNotHeld,       // not all of it is here
    kNotDisclosed,  // the entry that says it is not here
    kDiffers,
  } state = State::kNotDisclosed;
  std::string sentence;  // for kNotHeld and kDiffers
};
struct Protocol {
  std::string conference;
  ConferenceId conference_id;
  EntryId entry;  // of the charter, where the term began
  std::uint64_t number = 0;
  bool settled = false;
  std::vector<MemberId> approved;
  charter::Term ended;
  charter::Term term;
  std::vector<ProtocolAudience> audiences;
  [[nodiscard]] bool Holds() const;  // nothing differs, and something was checked
};
// `term`: nothing for the present one. kNotFound: there is no such term, or it is the first.
[[nodiscard]] Result<Protocol> CheckProtocol(Store& store, std::optional<std::uint64_t> term);
// Lines that are the same wherever they are printed: of the audiences that both chairs read, or,
// with `all`, of all that are disclosed here.
[[nodiscard]] std::string ProtocolText(const Protocol& protocol, bool all);
// Compares a text that another node has printed with this node's: one sentence a difference, empty
// where all that both tell of is the same. kInvalid: the text is no protocol.
[[nodiscard]] Result<std::vector<std::string>> CompareProtocol(const Protocol& protocol,
                                                               std::string_view text);
// The term that such a text is about.
[[nodiscard]] Result<std::uint64_t> TermOfProtocolText(std::string_view text);

}  // namespace staffel::sync
