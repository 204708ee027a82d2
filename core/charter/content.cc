// SPDX-License-Identifier: EUPL-1.2
#include "core/charter/content.h"

#include <algorithm>
#include <set>

#include <google/protobuf/stubs/logging.h>

#include "core/base/text.h"
#include "core/base/wire.h"
#include "core/journal/entry.h"
#include "staffel/v1/charter.pb.h"

namespace staffel::charter {
namespace {

constexpr std::size_t kErasedMax = 100'000;
constexpr std::size_t kRulesMax = 10'000;

// Unknown fields at any depth, each with the path of fields and positions that leads to it.
void CollectUnknown(const google::protobuf::Message& message, Bytes& path, Bytes& out) {
  const auto* reflection = message.GetReflection();
  const auto& unknown = reflection->GetUnknownFields(message);
  if (!unknown.empty()) {
    Bytes bytes;
    unknown.SerializeToString(&bytes);
    AppendBytesField(out, 1, path);
    AppendBytesField(out, 2, bytes);
  }
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  for (const auto* field : fields) {
    if (field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) continue;
    for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
      const std::size_t depth = path.size();
      AppendVarintField(path, static_cast<std::uint32_t>(field->number()),
                        static_cast<std::uint64_t>(i));
      CollectUnknown(reflection->GetRepeatedMessage(message, field, i), path, out);
      path.resize(depth);
    }
  }
}

Status CheckText(std::string_view what, std::string_view text, std::size_t bytes_max) {
  if (text.size() > bytes_max) {
    return Fail(ErrorCode::kTooLarge, "charter: {} has {} bytes; {} are allowed", what, text.size(),
                bytes_max);
  }
  const bool has_control = std::any_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
  if (!IsUtf8(text) || has_control) {
    return Fail(ErrorCode::kInvalid, "charter: {} is not one line of UTF-8 text", what);
  }
  return {};
}

template <typename Container>
Status CheckCount(std::string_view what, const Container& container, std::size_t count_max) {
  if (static_cast<std::size_t>(container.size()) > count_max) {
    return Fail(ErrorCode::kTooLarge, "charter: {} {}; {} are allowed", container.size(), what,
                count_max);
  }
  return {};
}

Result<MemberId> ReadMemberId(std::string_view what, std::string_view text) {
  auto id = MemberId::From(text);
  if (!id) return Fail(ErrorCode::kInvalid, "charter: {}: '{}' is not a member id", what, text);
  return *std::move(id);
}

Result<crypto::PublicKey> ReadKey(std::string_view what, ByteView bytes) {
  auto key = crypto::PublicKey::From(bytes);
  if (!key) return Fail(ErrorCode::kInvalid, "charter: {}: {}", what, key.error().message);
  return *std::move(key);
}

template <typename Id>
Result<Id> ReadId(std::string_view what, ByteView bytes) {
  const auto id = Id::From(bytes);
  if (!id || id->is_zero()) {
    return Fail(ErrorCode::kInvalid, "charter: {} is not an id of {} bytes", what, Id::kBytes);
  }
  return *id;
}

template <typename T>
bool HasTwice(std::vector<T> values) {
  std::sort(values.begin(), values.end());
  return std::adjacent_find(values.begin(), values.end()) != values.end();
}

Result<Member> ReadMember(const v1::Member& in) {
  Member member;
  STAFFEL_TRY(id, ReadMemberId("members", in.id()));
  member.id = std::move(id);
  member.name = in.name();
  member.voting = in.voting();
  for (const auto& one : in.replicas()) {
    Replica replica;
    STAFFEL_TRY(key, ReadKey(fmt::format("replica key of {}", in.id()), one.key()));
    STAFFEL_TRY(tls_key, ReadKey(fmt::format("TLS key of {}", in.id()), one.tls_key()));
    replica.key = std::move(key);
    replica.tls_key = std::move(tls_key);
    replica.url = one.url();
    member.replicas.push_back(std::move(replica));
  }
  for (const auto& one : in.recovery_keys()) {
    STAFFEL_TRY(key, ReadKey(fmt::format("recovery key of {}", in.id()), one));
    member.recovery_keys.push_back(std::move(key));
  }
  return member;
}

template <typename Strings>
Result<std::vector<MemberId>> ReadMemberIds(std::string_view what, const Strings& in) {
  std::vector<MemberId> ids;
  for (const auto& one : in) {
    STAFFEL_TRY(id, ReadMemberId(what, one));
    ids.push_back(std::move(id));
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

Result<Audience> ReadAudience(const v1::Audience& in) {
  Audience audience;
  STAFFEL_TRY(id, ReadId<AudienceId>("audiences", in.id()));
  STAFFEL_TRY(readers, ReadMemberIds("readers", in.readers()));
  STAFFEL_TRY(writers, ReadMemberIds("writers", in.writers()));
  audience.id = id;
  audience.name = in.name();
  audience.open = in.open();
  audience.chair_writes_only = in.chair_writes_only();
  audience.readers = std::move(readers);
  audience.writers = std::move(writers);
  if (!in.relay().empty()) {
    STAFFEL_TRY(relay, ReadMemberId("relay", in.relay()));
    audience.relay = std::move(relay);
  }
  return audience;
}

Result<Term> ReadTerm(const v1::Term& in) {
  Term term;
  STAFFEL_TRY(member, ReadMemberId("terms", in.member()));
  STAFFEL_TRY(replica, ReadKey("replica of a term", in.replica()));
  term.number = in.number();
  term.member = std::move(member);
  term.replica = std::move(replica);
  term.starts = TimeMs{in.starts_ms()};
  STAFFEL_CHECK(CheckCount("parts of a handover's protocol", in.protocol(), kTermPartsMax));
  for (const auto& one : in.protocol()) {
    STAFFEL_TRY(audience, ReadId<AudienceId>("audience of a handover's protocol", one.audience()));
    STAFFEL_TRY(hidden, ReadId<Hash>("hash of a handover's protocol", one.hidden()));
    term.protocol.push_back({audience, hidden});
  }
  return term;
}

Result<Cut> ReadCut(const v1::Cut& in) {
  Cut cut;
  STAFFEL_TRY(journal, ReadId<JournalId>("journal of a cut", in.journal()));
  STAFFEL_TRY(audience, ReadId<AudienceId>("audience of a cut", in.audience()));
  STAFFEL_TRY(key, ReadKey("key of a cut", in.key()));
  cut.journal = journal;
  cut.audience = audience;
  cut.key = std::move(key);
  cut.term = in.term();
  STAFFEL_CHECK(CheckCount("heads in one cut", in.heads(), kCutHeadsMax));
  for (const auto& one : in.heads()) {
    STAFFEL_TRY(entry, ReadId<EntryId>("head of a cut", one.entry()));
    cut.heads.push_back({one.seq(), entry});
  }
  std::sort(cut.heads.begin(), cut.heads.end());
  if (!in.hidden().empty()) {
    STAFFEL_TRY(hidden, ReadId<Hash>("hash of a hidden cut", in.hidden()));
    cut.hidden = hidden;
  }
  return cut;
}

Status CheckMember(const Member& member, std::set<MemberId>& ids,
                   std::set<crypto::PublicKey>& keys) {
  const auto id = member.id.text();
  if (member.id.empty() || !ids.insert(member.id).second) {
    return Fail(ErrorCode::kInvalid, "charter: member '{}' is listed twice or without an id", id);
  }
  STAFFEL_CHECK(CheckText(fmt::format("the name of {}", id), member.name, kNameBytesMax));
  const std::size_t key_count = member.replicas.size() + member.recovery_keys.size();
  if (key_count > kKeysPerMemberMax) {
    return Fail(ErrorCode::kTooLarge, "charter: {} has {} keys; {} are allowed", id, key_count,
                kKeysPerMemberMax);
  }
  // A replica may prove itself in TLS with the key it signs with; any other repetition is refused.
  std::vector<crypto::PublicKey> own(member.recovery_keys);
  for (const Replica& replica : member.replicas) {
    own.push_back(replica.key);
    if (replica.tls_key != replica.key) own.push_back(replica.tls_key);
    STAFFEL_CHECK(CheckText(fmt::format("an address of {}", id), replica.url, kUrlBytesMax));
  }
  for (const auto& key : own) {
    if (key.empty()) return Fail(ErrorCode::kInvalid, "charter: {} has an empty key", id);
    if (!keys.insert(key).second) {
      return Fail(ErrorCode::kInvalid, "charter: key {} of {} is listed twice", ToHex(key.bytes()),
                  id);
    }
  }
  return {};
}

Status CheckAudience(const Audience& audience, const std::set<MemberId>& members) {
  const std::string id = audience.id.Hex();
  if (audience.id.is_zero()) return Fail(ErrorCode::kInvalid, "charter: an audience has no id");
  STAFFEL_CHECK(
      CheckText(fmt::format("the name of audience {}", id), audience.name, kNameBytesMax));
  if (HasTwice(audience.readers) || HasTwice(audience.writers)) {
    return Fail(ErrorCode::kInvalid, "charter: audience {} lists a member twice", id);
  }
  for (const MemberId& reader : audience.readers) {
    if (!members.contains(reader)) {
      return Fail(ErrorCode::kInvalid, "charter: audience {} is read by {}, which is no member", id,
                  reader.text());
    }
  }
  for (const MemberId& writer : audience.writers) {
    if (!audience.IsReader(writer)) {
      return Fail(ErrorCode::kInvalid,
                  "charter: audience {} is written by {}, which does not read it", id,
                  writer.text());
    }
  }
  if (audience.relay && !audience.IsReader(*audience.relay)) {
    return Fail(ErrorCode::kInvalid, "charter: the relay {} of audience {} does not read it",
                audience.relay->text(), id);
  }
  return {};
}

Status CheckTerms(const Content& content) {
  STAFFEL_CHECK(CheckCount("terms", content.terms, kTermsMax));
  if (content.terms.empty()) return Fail(ErrorCode::kInvalid, "charter: nobody has the chair");
  for (std::size_t i = 0; i < content.terms.size(); ++i) {
    const Term& term = content.terms[i];
    if (term.number != i + 1 || term.member.empty() || term.replica.empty()) {
      return Fail(ErrorCode::kInvalid, "charter: term {} in place {} is not well-formed",
                  term.number, i + 1);
    }
    STAFFEL_CHECK(CheckCount("parts of a handover's protocol", term.protocol, kTermPartsMax));
    if (HasTwice(term.protocol)) {
      return Fail(ErrorCode::kInvalid, "charter: term {} lists a part of its protocol twice",
                  term.number);
    }
  }
  return {};
}

Status CheckCuts(const Content& content) {
  std::set<std::tuple<JournalId, AudienceId, crypto::PublicKey, std::uint64_t>> lanes;
  for (const Cut& cut : content.cuts) {
    const std::string journal = cut.journal.Hex();
    if (!lanes.emplace(cut.journal, cut.audience, cut.key, cut.term).second) {
      return Fail(ErrorCode::kInvalid, "charter: journal {} is cut twice", journal);
    }
    STAFFEL_CHECK(CheckCount("heads in one cut", cut.heads, kCutHeadsMax));
    if (!std::is_sorted(cut.heads.begin(), cut.heads.end()) || HasTwice(cut.heads)) {
      return Fail(ErrorCode::kInvalid, "charter: the cut of journal {} names a head twice",
                  journal);
    }
    if (cut.hidden && !cut.heads.empty()) {
      return Fail(ErrorCode::kInvalid, "charter: the cut of journal {} is both hidden and open",
                  journal);
    }
  }
  return {};
}

Status CheckRules(const Content& content) {
  STAFFEL_CHECK(CheckCount("rules", content.rules, kRulesMax));
  std::set<std::pair<std::string, TimeMs>> begins;
  for (const Rule& rule : content.rules) {
    STAFFEL_CHECK(CheckText("the name of a rule", rule.name, kNameBytesMax));
    STAFFEL_CHECK(CheckText(fmt::format("rule '{}'", rule.name), rule.value, kRuleValueBytesMax));
    if (rule.name.empty() || !begins.emplace(rule.name, rule.from).second) {
      return Fail(ErrorCode::kInvalid,
                  "charter: rule '{}' has no name, or two values from one time", rule.name);
    }
  }
  if (HasTwice(content.personal_kinds) || HasTwice(content.erased_payloads) ||
      HasTwice(content.erased_records)) {
    return Fail(ErrorCode::kInvalid, "charter: a personal kind or an erasure is listed twice");
  }
  std::set<std::uint32_t> kinds;
  for (const MinVersion& version : content.min_versions) {
    if (!kinds.insert(version.kind).second) {
      return Fail(ErrorCode::kInvalid, "charter: kind {} has two least versions", version.kind);
    }
  }
  STAFFEL_CHECK(CheckCount("erased payloads", content.erased_payloads, kErasedMax));
  return CheckCount("erased records", content.erased_records, kErasedMax);
}

// All that can be refused without another entry.
Status Check(const Content& content) {
  STAFFEL_CHECK(CheckText("the conference's name", content.name, kNameBytesMax));
  STAFFEL_CHECK(CheckText("the conference's title", content.title, kNameBytesMax));
  if (content.name.empty()) return Fail(ErrorCode::kInvalid, "charter: the conference has no name");
  STAFFEL_CHECK(CheckCount("members", content.members, kMembersMax));
  std::set<MemberId> members;
  std::set<crypto::PublicKey> keys;
  for (const Member& member : content.members) STAFFEL_CHECK(CheckMember(member, members, keys));
  const bool has_voter = std::any_of(content.members.begin(), content.members.end(),
                                     [](const Member& m) { return m.voting && m.has_keys(); });
  if (!has_voter) {
    return Fail(ErrorCode::kInvalid,
                "charter: no voting member has a key; nobody could ever change it");
  }
  STAFFEL_CHECK(CheckCount("audiences", content.audiences, kAudiencesMax));
  std::set<AudienceId> audiences;
  for (const Audience& audience : content.audiences) {
    STAFFEL_CHECK(CheckAudience(audience, members));
    if (!audiences.insert(audience.id).second) {
      return Fail(ErrorCode::kInvalid, "charter: audience {} is listed twice", audience.id.Hex());
    }
  }
  STAFFEL_CHECK(CheckTerms(content));
  for (const Audience& audience : content.audiences) {
    const bool meets = audience.readers.size() < 2 || audience.relay.has_value() ||
                       audience.IsReader(content.terms.back().member);
    if (!meets) {
      return Fail(ErrorCode::kInvalid,
                  "charter: the readers of audience {} meet nowhere: it needs a relay, because the "
                  "chair does not read it",
                  audience.id.Hex());
    }
  }
  STAFFEL_CHECK(CheckCuts(content));
  return CheckRules(content);
}

template <typename T>
void Put(T& out, const std::vector<MemberId>& members) {
  for (const MemberId& member : members) out.Add(std::string(member.text()));
}

v1::Charter ToMessage(const Content& content) {
  v1::Charter out;
  out.set_name(content.name);
  out.set_title(content.title);
  out.set_demonstration(content.demonstration);
  for (const Member& member : content.members) {
    auto* to = out.add_members();
    to->set_id(std::string(member.id.text()));
    to->set_name(member.name);
    to->set_voting(member.voting);
    for (const Replica& replica : member.replicas) {
      auto* one = to->add_replicas();
      one->set_key(Bytes(replica.key.bytes()));
      one->set_tls_key(Bytes(replica.tls_key.bytes()));
      one->set_url(replica.url);
    }
    for (const auto& key : member.recovery_keys) to->add_recovery_keys(Bytes(key.bytes()));
  }
  for (const Audience& audience : content.audiences) {
    auto* to = out.add_audiences();
    to->set_id(Bytes(audience.id.bytes()));
    to->set_name(audience.name);
    to->set_open(audience.open);
    to->set_chair_writes_only(audience.chair_writes_only);
    Put(*to->mutable_readers(), audience.readers);
    Put(*to->mutable_writers(), audience.writers);
    if (audience.relay) to->set_relay(std::string(audience.relay->text()));
  }
  for (const Term& term : content.terms) {
    auto* to = out.add_terms();
    to->set_number(term.number);
    to->set_member(std::string(term.member.text()));
    to->set_replica(Bytes(term.replica.bytes()));
    to->set_starts_ms(term.starts.value);
    for (const Term::Part& part : term.protocol) {
      auto* one = to->add_protocol();
      one->set_audience(Bytes(part.audience.bytes()));
      one->set_hidden(Bytes(part.hidden.bytes()));
    }
  }
  for (const Cut& cut : content.cuts) {
    auto* to = out.add_cuts();
    to->set_journal(Bytes(cut.journal.bytes()));
    to->set_audience(Bytes(cut.audience.bytes()));
    to->set_key(Bytes(cut.key.bytes()));
    to->set_term(cut.term);
    for (const CutHead& head : cut.heads) {
      auto* one = to->add_heads();
      one->set_seq(head.seq);
      one->set_entry(Bytes(head.entry.bytes()));
    }
    if (cut.hidden) to->set_hidden(Bytes(cut.hidden->bytes()));
  }
  for (std::uint32_t kind : content.personal_kinds) out.add_personal_kinds(kind);
  for (const MinVersion& version : content.min_versions) {
    auto* to = out.add_min_versions();
    to->set_kind(version.kind);
    to->set_version(version.version);
  }
  for (const Rule& rule : content.rules) {
    auto* to = out.add_rules();
    to->set_name(rule.name);
    to->set_value(rule.value);
    to->set_from_ms(rule.from.value);
  }
  for (const ErasedPayload& erased : content.erased_payloads) {
    auto* to = out.add_erased_payloads();
    to->set_entry(Bytes(erased.entry.bytes()));
    to->set_index(erased.index);
  }
  for (const ErasedRecord& erased : content.erased_records) {
    auto* to = out.add_erased_records();
    to->set_audience(Bytes(erased.audience.bytes()));
    to->set_kind(erased.kind);
    to->set_record(Bytes(erased.record.bytes()));
  }
  return out;
}

Result<Content> FromMessage(const v1::Charter& in) {
  Content content;
  content.name = in.name();
  content.title = in.title();
  content.demonstration = in.demonstration();
  for (const auto& one : in.members()) {
    STAFFEL_TRY(member, ReadMember(one));
    content.members.push_back(std::move(member));
  }
  for (const auto& one : in.audiences()) {
    STAFFEL_TRY(audience, ReadAudience(one));
    content.audiences.push_back(std::move(audience));
  }
  for (const auto& one : in.terms()) {
    STAFFEL_TRY(term, ReadTerm(one));
    content.terms.push_back(std::move(term));
  }
  for (const auto& one : in.cuts()) {
    STAFFEL_TRY(cut, ReadCut(one));
    content.cuts.push_back(std::move(cut));
  }
  content.personal_kinds.assign(in.personal_kinds().begin(), in.personal_kinds().end());
  for (const auto& one : in.min_versions()) {
    content.min_versions.push_back({one.kind(), one.version()});
  }
  for (const auto& one : in.rules()) {
    content.rules.push_back({one.name(), one.value(), TimeMs{one.from_ms()}});
  }
  for (const auto& one : in.erased_payloads()) {
    STAFFEL_TRY(entry, ReadId<EntryId>("an erased payload", one.entry()));
    content.erased_payloads.push_back({entry, one.index()});
  }
  for (const auto& one : in.erased_records()) {
    STAFFEL_TRY(audience, ReadId<AudienceId>("an erased record's audience", one.audience()));
    STAFFEL_TRY(record, ReadId<RecordId>("an erased record", one.record()));
    content.erased_records.push_back({audience, one.kind(), record});
  }
  Bytes path;
  CollectUnknown(in, path, content.unknown);
  return content;
}

template <typename Items, typename Id>
auto* FindById(Items& items, const Id& id) {
  const auto found =
      std::find_if(items.begin(), items.end(), [&](const auto& item) { return item.id == id; });
  return found == items.end() ? nullptr : &*found;
}

}  // namespace

bool Member::SignsWith(const crypto::PublicKey& key) const {
  return std::any_of(replicas.begin(), replicas.end(),
                     [&](const Replica& replica) { return replica.key == key; }) ||
         std::find(recovery_keys.begin(), recovery_keys.end(), key) != recovery_keys.end();
}

bool Audience::IsReader(const MemberId& member) const {
  return std::binary_search(readers.begin(), readers.end(), member);
}

bool Audience::IsWriter(const MemberId& member) const {
  return std::binary_search(writers.begin(), writers.end(), member);
}

const Member* Content::FindMember(const MemberId& id) const { return FindById(members, id); }
const Audience* Content::FindAudience(const AudienceId& id) const {
  return FindById(audiences, id);
}
Member* Content::FindMember(const MemberId& id) { return FindById(members, id); }
Audience* Content::FindAudience(const AudienceId& id) { return FindById(audiences, id); }

Result<Content> ParseContent(ByteView charter) {
  if (charter.size() > kCharterHeaderBytesMax) {
    return Fail(ErrorCode::kTooLarge, "a charter has {} bytes; {} are allowed", charter.size(),
                kCharterHeaderBytesMax);
  }
  // What a peer sends is not for protobuf to write to our log.
  const google::protobuf::LogSilencer silencer;
  v1::Charter message;
  if (!message.ParseFromArray(charter.data(), static_cast<int>(charter.size()))) {
    return Fail(ErrorCode::kInvalid, "{} bytes are not a charter", charter.size());
  }
  STAFFEL_TRY(content, FromMessage(message));
  STAFFEL_CHECK(Check(content));
  return content;
}

Result<Bytes> SerializeContent(const Content& content) {
  if (!content.unknown.empty()) {
    return Fail(ErrorCode::kUnsupported,
                "this charter has parts of a newer version: upgrade this node to change it");
  }
  Content sorted = content;
  for (Audience& audience : sorted.audiences) {
    std::sort(audience.readers.begin(), audience.readers.end());
    std::sort(audience.writers.begin(), audience.writers.end());
  }
  for (Cut& cut : sorted.cuts) std::sort(cut.heads.begin(), cut.heads.end());
  STAFFEL_CHECK(Check(sorted));
  return ToMessage(sorted).SerializeAsString();
}

}  // namespace staffel::charter
