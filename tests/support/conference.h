// SPDX-License-Identifier: EUPL-1.2
// A conference for tests: members with keys that follow from a seed, a charter that all of them
// have joined; and replicas of it, real stores on disks that can fail. What travels between
// replicas goes through CopyAll here, without the exchange: that is tested in tests/sync and
// tests/sim.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/id.h"
#include "core/crypto/key.h"
#include "core/journal/known_format.h"
#include "core/record/catalog.h"
#include "core/record/edit.h"
#include "core/store/store.h"
#include "tests/support/faulting_disk.h"
#include "tests/support/sim_random.h"

namespace staffel::testing {

struct ConferenceOptions {
  std::size_t laender = 3;  // the first of NI, NW, BY, HE, …: 1 to 16
  bool guest = false;       // BUND, without a vote
  // Audiences beside `laender` and each member's own: `guests` and `public`, which all read; from
  // three Länder on a confidential group of the first three; from four on one without the chair.
  bool groups = false;
  std::size_t second_replicas = 0;  // the last members have two
  std::size_t spare_replicas = 0;   // of the first Länder, with keys that no charter names yet
  friend auto operator<=>(const ConferenceOptions&, const ConferenceOptions&) = default;
};

class TestConference {
 public:
  struct Member {
    MemberId id;
    crypto::KeyPair key;
    crypto::KeyPair tls;
    AudienceId own;  // its own audience, "land:NI"
  };

  // The first ones are the members', in their order; then come second ones, then spare ones.
  struct Replica {
    std::size_t member = 0;
    crypto::KeyPair key;
    crypto::KeyPair tls;
  };

  // The first `size` (1 to 16) of NI, NW, BY, HE, …, all joined; NI has the chair.
  explicit TestConference(std::size_t size, std::uint64_t seed = 1)
      : TestConference(ConferenceOptions{.laender = size}, seed) {}
  explicit TestConference(const ConferenceOptions& options, std::uint64_t seed = 1);

  [[nodiscard]] std::size_t size() const { return members_.size(); }
  [[nodiscard]] const Member& member(std::size_t index) const { return members_.at(index); }
  [[nodiscard]] const std::vector<Replica>& replicas() const { return replicas_; }
  [[nodiscard]] std::size_t listed_replicas() const { return listed_replicas_; }
  [[nodiscard]] const AudienceId& laender() const { return laender_; }
  [[nodiscard]] const ConferenceId& conference() const { return charter_.front().id; }
  // All charter entries, each with the approvals it needs, cosigned by nobody.
  [[nodiscard]] Batch charter() const;
  [[nodiscard]] const std::vector<CharterItem>& charter_items() const { return charter_; }

 private:
  std::vector<Member> members_;
  std::vector<Replica> replicas_;
  std::size_t listed_replicas_ = 0;
  AudienceId laender_;
  std::vector<CharterItem> charter_;
};

// The conference of that shape, made once for a whole test program: founding costs
// signatures.
[[nodiscard]] const TestConference& ConferenceOf(const ConferenceOptions& options);
[[nodiscard]] const TestConference& ConferenceOf(std::size_t size);

// How a charter lists a replica of the conference.
[[nodiscard]] charter::Replica ListedReplica(const TestConference& conference, std::size_t replica);

// A replica of one member: everything that dies with the process, and the disk that does not.
class TestReplica {
 public:
  // Where the replica gets the charter from: at once, or by its first exchange.
  enum class Charter { kAtHand, kByExchange };
  // `replica`: which of the conference's replicas; the first ones are the members'.
  TestReplica(const TestConference& conference, std::size_t replica, std::uint64_t seed = 1,
              Charter charter = Charter::kAtHand);

  // Opens the store, and binds it to the conference when that has not been done.
  [[nodiscard]] Status Open();
  void Close() { store_.reset(); }
  // The power is gone and comes back: the store is closed and opened again.
  [[nodiscard]] Status CrashAndOpen(Unsynced unsynced);

  // What stands beside the disk and outlives a crash with it; null: a restored disk is not noticed.
  // Takes effect at the next Open; outlives the replica.
  void set_twin(Twin* twin) { twin_ = twin; }

  [[nodiscard]] bool is_open() const { return store_ != nullptr; }
  [[nodiscard]] Store& store() {
    Become();
    return *store_;
  }

  // Of which version its program is: what headers it understands, and in what format it writes
  // edits. Every access to the store turns the thread into that program.
  void set_version(std::uint32_t known, std::uint32_t written) { version_ = {known, written}; }
  void Become() const {
    if (version_) BecomeVersion(version_->first, version_->second);
  }
  [[nodiscard]] const TestConference::Member& self() const {
    return conference_.member(keys_.member);
  }
  [[nodiscard]] const crypto::KeyPair& key() const { return keys_.key; }
  [[nodiscard]] const crypto::KeyPair& tls() const { return keys_.tls; }
  // Whether this is the hub by the charter in force here, and may act: it is not in a tie.
  [[nodiscard]] bool ActsAsChair() const;
  [[nodiscard]] const TestConference& conference() const { return conference_; }
  [[nodiscard]] FaultingDisk& disk() { return disk_; }
  [[nodiscard]] SimClock& clock() { return clock_; }
  [[nodiscard]] SimRandom& random() { return random_; }

 private:
  const TestConference& conference_;
  const TestConference::Replica& keys_;
  Charter charter_;
  FaultingDisk disk_;
  SimClock clock_;
  SimRandom random_;
  Twin* twin_ = nullptr;
  std::optional<std::pair<std::uint32_t, std::uint32_t>> version_;
  std::unique_ptr<Store> store_;
};

// ---- shorthand for edits ----

// The bytes of a text field's value.
[[nodiscard]] Bytes TextValue(std::uint32_t field, std::string_view text);
// A new note in `audience` with this title and text.
[[nodiscard]] Edit NewNote(const AudienceId& audience, const RecordId& record,
                           std::string_view title, std::string_view text = "Text");
// One field of a record set to a text, as it is now (parents: none named).
[[nodiscard]] Edit SetText(const AudienceId& audience, std::uint32_t kind, const RecordId& record,
                           std::uint32_t field, std::string_view text);
inline constexpr std::uint32_t kNote = 10;
inline constexpr std::uint32_t kNoteTitle = 2;
inline constexpr std::uint32_t kNoteText = 3;

// Writes of core/record as an edit of the store; the heads of `state`, where given, become parents.
[[nodiscard]] RecordEdit ToRecordEdit(std::uint32_t kind, const RecordId& record,
                                      RecordEdit::Mode mode,
                                      const std::vector<record::CellWrite>& writes,
                                      const projection::RecordState* state);

// Random writes to a record of any kind, by the kind's own rules: for a new record (`row` empty),
// or an edit of a few fields. What the member may not write is left out: `chair` says whether it
// may write the chair's cells.
[[nodiscard]] std::vector<record::CellWrite> RandomWrites(const record::Kind& kind, ByteView row,
                                                          const MemberId& member, bool chair,
                                                          SimRandom& random);

// ---- moving entries, without an exchange ----

// Everything of the audiences that a store holds, as batches of about `bytes_max`.
[[nodiscard]] Result<std::vector<Batch>> ReadAll(Store& store, std::size_t bytes_max);
[[nodiscard]] Entry ToEntry(const StoredEntry& stored);
// What `to` lacks of `audience`, by its vector. Says how many entries were new.
[[nodiscard]] Result<std::size_t> CopyMissing(Store& from, Store& to, const AudienceId& audience);

// ---- looking ----

// All that a person could see of an audience, as one text: rows, conflicts, deletions, by record
// id. Equal texts are equal states.
[[nodiscard]] Result<std::string> Describe(Store& store, const AudienceId& audience);
// The first line of one description that the other has not, and the other way round: for messages.
[[nodiscard]] std::string Difference(const std::string& text, const std::string& other);
[[nodiscard]] Result<Hash> DigestRoot(Store& store, const AudienceId& audience);

}  // namespace staffel::testing
