// SPDX-License-Identifier: EUPL-1.2
#include "sync/wire_join.h"

#include <algorithm>

#include "core/base/text.h"
#include "core/charter/content.h"
#include "staffel/v1/sync.pb.h"

namespace staffel::sync {
namespace {

constexpr std::size_t kTokenTextBytesMax = 4'000;
constexpr std::size_t kSentenceBytesMax = 2'000;

template <typename Id>
bool ReadId(const std::string& bytes, Id& out) {
  const auto id = Id::From(bytes);
  if (!id || id->is_zero()) return false;
  out = *id;
  return true;
}

bool ReadMember(const std::string& text, MemberId& out) {
  const auto member = MemberId::From(text);
  if (!member) return false;
  out = *member;
  return true;
}

bool ReadKey(const std::string& bytes, crypto::PublicKey& out) {
  auto key = crypto::PublicKey::From(bytes);
  if (!key) return false;
  out = std::move(*key);
  return true;
}

template <typename Repeated>
bool ReadMembers(const Repeated& in, std::vector<MemberId>& out) {
  if (static_cast<std::size_t>(in.size()) > charter::kMembersMax) return false;
  for (const std::string& text : in) {
    MemberId member;
    if (!ReadMember(text, member)) return false;
    out.push_back(std::move(member));
  }
  return true;
}

template <typename Message>
bool Parse(ByteView bytes, Message& message) {
  return bytes.size() <= kJoinBytesMax &&
         message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

std::string Shortened(const std::string& sentence) {
  std::size_t size = std::min(sentence.size(), kSentenceBytesMax);
  while (size > 0 && size < sentence.size() && (sentence[size] & 0xc0) == 0x80) --size;
  return sentence.substr(0, size);
}

tl::unexpected<Error> BadToken(std::string_view why) {
  return Fail(
      ErrorCode::kInvalid,
      "this is not a whole invitation ({}): copy it again, from \"{}\" to its last character", why,
      kTokenPrefix);
}

}  // namespace

std::string EncodeToken(const InvitationToken& token) {
  v1::InvitationToken out;
  out.set_conference(Bytes(token.conference.bytes()));
  out.set_conference_name(token.conference_name);
  out.set_hub_url(token.hub_url);
  out.set_hub_tls_fingerprint(Bytes(token.hub_tls_fingerprint.bytes()));
  out.set_member(std::string(token.member.text()));
  out.set_id(token.id);
  out.set_code(token.code);
  out.set_expires_ms(token.expires.value);
  return std::string(kTokenPrefix) + ToBase64Url(out.SerializeAsString());
}

Result<InvitationToken> DecodeToken(std::string_view text) {
  // Copied text comes with blanks and line breaks.
  std::string word;
  for (const char c : text) {
    if (c != ' ' && c != '\t' && c != '\r' && c != '\n') word.push_back(c);
  }
  if (word.size() > kTokenTextBytesMax) return BadToken("it is too long");
  if (word.compare(0, kTokenPrefix.size(), kTokenPrefix) != 0) {
    if (word.compare(0, 8, "staffel-") == 0) {
      return Fail(ErrorCode::kUnsupported,
                  "this invitation is of a newer version of Staffel: update this node first");
    }
    return BadToken("it does not begin as one");
  }
  const auto bytes = FromBase64Url(std::string_view(word).substr(kTokenPrefix.size()));
  if (!bytes) return BadToken("a character does not belong");
  v1::InvitationToken in;
  InvitationToken token;
  if (!Parse(*bytes, in) || !ReadId(in.conference(), token.conference) ||
      !ReadId(in.hub_tls_fingerprint(), token.hub_tls_fingerprint) ||
      !ReadMember(in.member(), token.member) || in.id().size() != kInvitationIdBytes ||
      in.code().size() != kCodeBytes || in.hub_url().empty() ||
      in.hub_url().size() > charter::kUrlBytesMax || in.expires_ms() == 0) {
    return BadToken("a part is missing");
  }
  token.conference_name = in.conference_name();
  token.hub_url = in.hub_url();
  token.id = in.id();
  token.code = in.code();
  token.expires = {in.expires_ms()};
  return token;
}

Bytes EncodeJoinBody(const JoinBody& body) {
  v1::JoinBody out;
  out.set_conference(Bytes(body.conference.bytes()));
  out.set_hub_tls_fingerprint(Bytes(body.hub_tls_fingerprint.bytes()));
  out.set_member(std::string(body.member.text()));
  out.set_invitation(body.invitation);
  out.set_code(body.code);
  out.set_key(Bytes(body.key.bytes()));
  out.set_tls_key(Bytes(body.tls_key.bytes()));
  out.set_url(body.url);
  for (const auto& key : body.recovery_keys) out.add_recovery_keys(Bytes(key.bytes()));
  return out.SerializeAsString();
}

Result<JoinBody> DecodeJoinBody(ByteView bytes, bool with_code) {
  v1::JoinBody in;
  JoinBody body;
  if (!Parse(bytes, in) || !ReadId(in.conference(), body.conference) ||
      !ReadId(in.hub_tls_fingerprint(), body.hub_tls_fingerprint) ||
      !ReadMember(in.member(), body.member) || in.invitation().size() != kInvitationIdBytes ||
      in.code().size() != (with_code ? kCodeBytes : 0) || !ReadKey(in.key(), body.key) ||
      !ReadKey(in.tls_key(), body.tls_key) || in.url().size() > charter::kUrlBytesMax ||
      static_cast<std::size_t>(in.recovery_keys_size()) > kRecoveryKeysMax) {
    return Fail(ErrorCode::kInvalid, "this is not a join request");
  }
  body.invitation = in.invitation();
  body.code = in.code();
  body.url = in.url();
  for (const std::string& key_in : in.recovery_keys()) {
    crypto::PublicKey key;
    if (!ReadKey(key_in, key)) return Fail(ErrorCode::kInvalid, "a recovery key is not a key");
    body.recovery_keys.push_back(std::move(key));
  }
  return body;
}

Bytes EncodeJoinRequest(const JoinRequest& request) {
  v1::JoinRequest out;
  out.set_body(request.body);
  out.set_proof(request.proof);
  return out.SerializeAsString();
}

Result<JoinRequest> DecodeJoinRequest(ByteView bytes) {
  v1::JoinRequest in;
  if (!Parse(bytes, in) || in.body().empty()) {
    return Fail(ErrorCode::kInvalid, "this is not a join request");
  }
  return JoinRequest{in.body(), in.proof()};
}

Bytes EncodeJoinAnswer(const JoinAnswer& answer) {
  v1::JoinAnswer out;
  out.set_state(answer.state);
  out.set_reason(Shortened(answer.reason));
  for (const MemberId& member : answer.missing_from) {
    out.add_missing_from(std::string(member.text()));
  }
  if (answer.entry) out.set_entry(Bytes(answer.entry->bytes()));
  return out.SerializeAsString();
}

Result<JoinAnswer> DecodeJoinAnswer(ByteView bytes) {
  v1::JoinAnswer in;
  JoinAnswer answer;
  if (!Parse(bytes, in) || in.state() < 1 || in.state() > 3 ||
      in.reason().size() > kSentenceBytesMax ||
      !ReadMembers(in.missing_from(), answer.missing_from)) {
    return Fail(ErrorCode::kInvalid, "the hub's answer to the join request cannot be read");
  }
  answer.state = in.state();
  answer.reason = in.reason();
  if (!in.entry().empty()) {
    EntryId entry;
    if (!ReadId(in.entry(), entry)) {
      return Fail(ErrorCode::kInvalid, "the hub's answer to the join request cannot be read");
    }
    answer.entry = entry;
  }
  return answer;
}

Bytes EncodeInvitationRecord(const InvitationRecord& record) {
  v1::InvitationRecord out;
  out.set_member(std::string(record.member.text()));
  out.set_code_hash(record.code_hash);
  out.set_created_ms(record.created.value);
  out.set_expires_ms(record.expires.value);
  out.set_revoked(record.revoked);
  if (record.used) {
    JoinBody body = *record.used;
    body.code.clear();
    out.set_used_body(EncodeJoinBody(body));
  }
  out.set_used_ms(record.used_time.value);
  out.set_further(record.further);
  return out.SerializeAsString();
}

Result<InvitationRecord> DecodeInvitationRecord(ByteView bytes) {
  v1::InvitationRecord in;
  InvitationRecord record;
  if (!Parse(bytes, in) || !ReadMember(in.member(), record.member)) {
    return Fail(ErrorCode::kCorrupt, "an invitation in the node's own file cannot be read");
  }
  record.code_hash = in.code_hash();
  record.created = {in.created_ms()};
  record.expires = {in.expires_ms()};
  record.revoked = in.revoked();
  record.used_time = {in.used_ms()};
  record.further = in.further();
  if (!in.used_body().empty()) {
    STAFFEL_TRY(body, DecodeJoinBody(in.used_body(), /*with_code=*/false));
    record.used = std::move(body);
  }
  return record;
}

Bytes EncodeJoiningRecord(const JoiningRecord& record) {
  v1::JoiningRecord out;
  out.set_token(record.token);
  out.set_url(record.url);
  out.set_started_ms(record.started.value);
  out.set_asked_ms(record.asked.value);
  out.set_waiting(record.waiting);
  out.set_refused(record.refused);
  for (const MemberId& member : record.missing_from) {
    out.add_missing_from(std::string(member.text()));
  }
  return out.SerializeAsString();
}

Result<JoiningRecord> DecodeJoiningRecord(ByteView bytes) {
  v1::JoiningRecord in;
  JoiningRecord record;
  if (!Parse(bytes, in) || !ReadMembers(in.missing_from(), record.missing_from)) {
    return Fail(ErrorCode::kCorrupt, "what the node keeps of its joining cannot be read");
  }
  record.token = in.token();
  record.url = in.url();
  record.started = {in.started_ms()};
  record.asked = {in.asked_ms()};
  record.waiting = in.waiting();
  record.refused = in.refused();
  return record;
}

}  // namespace staffel::sync
