// SPDX-License-Identifier: EUPL-1.2
// The bytes around joining: the token that a person copies, the join request and its answer, and
// the two records that hub and joiner keep. Pure functions; what they mean is invitation.h's
// business. Byte format: docs/formats/exchange.md, "Joining".
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/id.h"
#include "core/base/result.h"
#include "core/base/time.h"
#include "core/crypto/key.h"

namespace staffel::sync {

inline constexpr std::string_view kTokenPrefix = "staffel-1.";
inline constexpr std::string_view kTagJoin = "staffel/1/join";
inline constexpr std::size_t kInvitationIdBytes = 8;
inline constexpr std::size_t kCodeBytes = 16;  // 128 bits
inline constexpr std::size_t kJoinBytesMax = 16 * 1024;
inline constexpr std::size_t kRecoveryKeysMax = 16;

struct InvitationToken {
  ConferenceId conference;
  std::string conference_name;
  std::string hub_url;
  Hash hub_tls_fingerprint;
  MemberId member;
  Bytes id;
  Bytes code;
  TimeMs expires;
};
[[nodiscard]] std::string EncodeToken(const InvitationToken& token);
[[nodiscard]] Result<InvitationToken> DecodeToken(std::string_view text);

struct JoinBody {
  ConferenceId conference;
  Hash hub_tls_fingerprint;
  MemberId member;
  Bytes invitation;
  Bytes code;
  crypto::PublicKey key;
  crypto::PublicKey tls_key;
  std::string url;
  std::vector<crypto::PublicKey> recovery_keys;
  friend bool operator==(const JoinBody&, const JoinBody&) = default;
};
[[nodiscard]] Bytes EncodeJoinBody(const JoinBody& body);
[[nodiscard]] Result<JoinBody> DecodeJoinBody(ByteView bytes, bool with_code);

struct JoinRequest {
  Bytes body;  // a JoinBody, as signed
  Bytes proof;
};
[[nodiscard]] Bytes EncodeJoinRequest(const JoinRequest& request);
[[nodiscard]] Result<JoinRequest> DecodeJoinRequest(ByteView bytes);

struct JoinAnswer {
  std::uint32_t state = 0;  // a JoinState
  std::string reason;
  std::vector<MemberId> missing_from;
  std::optional<EntryId> entry;
};
[[nodiscard]] Bytes EncodeJoinAnswer(const JoinAnswer& answer);
[[nodiscard]] Result<JoinAnswer> DecodeJoinAnswer(ByteView bytes);

struct InvitationRecord {
  MemberId member;
  Bytes code_hash;
  TimeMs created;
  TimeMs expires;
  bool revoked = false;
  std::optional<JoinBody> used;  // without its code
  TimeMs used_time;
  bool further = false;  // for one more replica of a member that has joined
};
[[nodiscard]] Bytes EncodeInvitationRecord(const InvitationRecord& record);
[[nodiscard]] Result<InvitationRecord> DecodeInvitationRecord(ByteView bytes);

struct JoiningRecord {
  std::string token;
  std::string url;
  TimeMs started;
  TimeMs asked;
  std::string waiting;
  std::string refused;
  std::vector<MemberId> missing_from;
};
[[nodiscard]] Bytes EncodeJoiningRecord(const JoiningRecord& record);
[[nodiscard]] Result<JoiningRecord> DecodeJoiningRecord(ByteView bytes);

}  // namespace staffel::sync
