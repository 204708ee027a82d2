// SPDX-License-Identifier: EUPL-1.2
// What one charter entry says, as plain values: members with their keys, audiences, terms, cuts and
// rules. Read from and written to a v1::Charter (proto/staffel/v1/charter.proto), with every
// refusal that needs no other entry. Who may change what is needs.h; what it means for journals is
// judge.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/id.h"
#include "core/base/result.h"
#include "core/base/time.h"
#include "core/crypto/key.h"

namespace staffel::charter {

inline constexpr std::size_t kMembersMax = 1'000;
inline constexpr std::size_t kKeysPerMemberMax = 64;
inline constexpr std::size_t kAudiencesMax = 10'000;
inline constexpr std::size_t kTermsMax = 10'000;
inline constexpr std::size_t kTermPartsMax = 1'000;
inline constexpr std::size_t kCutHeadsMax = 1'000;
inline constexpr std::size_t kNameBytesMax = 500;
inline constexpr std::size_t kUrlBytesMax = 2'000;
inline constexpr std::size_t kRuleValueBytesMax = 10'000;

struct Replica {
  crypto::PublicKey key;
  crypto::PublicKey tls_key;
  std::string url;  // empty: reached by nobody, calls the others
  friend bool operator==(const Replica&, const Replica&) = default;
};

struct Member {
  MemberId id;
  std::string name;
  bool voting = false;
  std::vector<Replica> replicas;
  std::vector<crypto::PublicKey> recovery_keys;

  [[nodiscard]] bool has_keys() const { return !replicas.empty() || !recovery_keys.empty(); }
  // Whether `key` signs charter entries for this member: a replica's or a recovery key.
  [[nodiscard]] bool SignsWith(const crypto::PublicKey& key) const;
  friend bool operator==(const Member&, const Member&) = default;
};

struct Audience {
  AudienceId id;
  std::string name;  // empty where it is confidential
  bool open = false;
  bool chair_writes_only = false;
  std::vector<MemberId> readers;  // ascending
  std::vector<MemberId> writers;  // ascending, each a reader, too
  std::optional<MemberId> relay;  // nothing: the hub

  [[nodiscard]] bool IsReader(const MemberId& member) const;
  [[nodiscard]] bool IsWriter(const MemberId& member) const;
  friend bool operator==(const Audience&, const Audience&) = default;
};

struct Term {
  std::uint64_t number = 0;
  MemberId member;
  crypto::PublicKey replica;  // the hub
  TimeMs starts;
  // The protocol of the handover that led here: a salted hash a part (hidden.h), disclosed in its
  // audience. None for the first term.
  struct Part {
    AudienceId audience;
    Hash hidden;
    friend auto operator<=>(const Part&, const Part&) = default;
  };
  std::vector<Part> protocol = {};
  friend bool operator==(const Term&, const Term&) = default;
};

struct CutHead {
  std::uint64_t seq = 0;
  EntryId entry;
  friend auto operator<=>(const CutHead&, const CutHead&) = default;
};

struct Cut {
  JournalId journal;
  AudienceId audience;
  crypto::PublicKey key;
  std::uint64_t term = 0;      // 0: the member's lane
  std::vector<CutHead> heads;  // ascending; none: void from the start
  std::optional<Hash> hidden;  // in place of the heads
  friend bool operator==(const Cut&, const Cut&) = default;
};

struct Rule {
  std::string name;
  std::string value;
  TimeMs from;
  friend auto operator<=>(const Rule&, const Rule&) = default;
};

struct MinVersion {
  std::uint32_t kind = 0;
  std::uint32_t version = 0;
  friend auto operator<=>(const MinVersion&, const MinVersion&) = default;
};

struct ErasedPayload {
  EntryId entry;
  std::uint32_t index = 0;
  friend auto operator<=>(const ErasedPayload&, const ErasedPayload&) = default;
};

struct ErasedRecord {
  AudienceId audience;
  std::uint32_t kind = 0;
  RecordId record;
  friend auto operator<=>(const ErasedRecord&, const ErasedRecord&) = default;
};

struct Content {
  std::string name;
  std::string title;
  std::vector<Member> members;
  std::vector<Audience> audiences;
  std::vector<Term> terms;  // numbered 1, 2, …; never empty
  std::vector<Cut> cuts;    // at most one for a journal, lane, key and audience
  std::vector<std::uint32_t> personal_kinds;
  std::vector<MinVersion> min_versions;
  std::vector<Rule> rules;
  std::vector<ErasedPayload> erased_payloads;
  std::vector<ErasedRecord> erased_records;
  bool demonstration = false;
  // Fields of a newer version, anywhere in the message, in a form that only serves comparing. A
  // charter with such fields is judged, but not written anew here.
  Bytes unknown;

  // Nothing where there is none. Pointers live as long as this value stays as it is.
  [[nodiscard]] const Member* FindMember(const MemberId& id) const;
  [[nodiscard]] const Audience* FindAudience(const AudienceId& id) const;
  [[nodiscard]] Member* FindMember(const MemberId& id);
  [[nodiscard]] Audience* FindAudience(const AudienceId& id);
  friend bool operator==(const Content&, const Content&) = default;
};

// Reads a serialized v1::Charter. Refused (kInvalid or kTooLarge, naming the place) are: bytes that
// are no such message; ids, keys and texts that are not well-formed; a name or id used twice; a key
// listed for two members or twice for one; readers or writers that are no members; writers who do
// not read; an audience of several readers with neither relay nor reading chair; terms not numbered
// from 1; two cuts of one lane; no voting member with a key; limits.
[[nodiscard]] Result<Content> ParseContent(ByteView charter);
// The bytes of a v1::Charter that ParseContent reads back to `content`. Refuses what ParseContent
// would refuse, and content with fields of a newer version (kUnsupported).
[[nodiscard]] Result<Bytes> SerializeContent(const Content& content);

}  // namespace staffel::charter
