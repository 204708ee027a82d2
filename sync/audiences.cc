// SPDX-License-Identifier: EUPL-1.2
#include "sync/audiences.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "core/base/wire.h"
#include "core/record/audience_profile.h"
#include "core/record/catalog.h"
#include "core/record/edit.h"
#include "core/record/record_id.h"
#include "core/record/view.h"
#include "core/store/charter_draft.h"
#include "staffel/v1/audience.pb.h"

namespace staffel::sync {
namespace {

// "audience/profile/<id>": a name that waits for its audience to come into force.
constexpr std::string_view kProfilePrefix = "audience/profile/";
constexpr std::uint32_t kNameField = 1;
constexpr std::uint32_t kPurposeField = 2;

Bytes Pack(const AudienceProfile& profile) {
  Bytes out;
  AppendBytesField(out, kNameField, profile.name);
  AppendBytesField(out, kPurposeField, profile.purpose);
  return out;
}

AudienceProfile Unpack(ByteView bytes) {
  AudienceProfile profile;
  WireReader reader(bytes);
  while (const auto field = reader.Next()) {
    if (field->number == kNameField) profile.name = std::string(field->bytes);
    if (field->number == kPurposeField) profile.purpose = std::string(field->bytes);
  }
  return profile;
}

const record::Kind& ProfileKind() {
  const auto* kind = record::Kinds().Find(record::kAudienceProfileKind);
  STAFFEL_ASSERT(kind != nullptr);
  return *kind;
}

Result<std::vector<record::CellWrite>> WritesOf(const AudienceProfile& profile) {
  // No elements are made: the randomness is never asked.
  record::SeededElementIds ids("audience", "profile");
  std::vector<std::string> assignments;
  if (!profile.name.empty()) assignments.push_back("name=" + profile.name);
  if (!profile.purpose.empty()) assignments.push_back("purpose=" + profile.purpose);
  STAFFEL_TRY(fields, record::ParseAssignments(ProfileKind(), assignments));
  record::InputContext context;
  context.ids = &ids;
  return record::CellsOfRecord(ProfileKind(), fields, context);
}

// Who passes entries on where nobody was named: whoever can be called, ourselves first.
MemberId RelayFor(const charter::Authority& authority, const MemberId& own,
                  const std::vector<MemberId>& readers) {
  const auto reachable = [&](const MemberId& id) {
    const auto* member = authority.FindMember(id);
    return member != nullptr &&
           std::any_of(member->replicas.begin(), member->replicas.end(),
                       [](const charter::Replica& replica) { return !replica.url.empty(); });
  };
  if (reachable(own)) return own;
  const auto found = std::find_if(readers.begin(), readers.end(), reachable);
  return found == readers.end() ? own : *found;
}

Result<std::shared_ptr<const charter::Authority>> InForce(Store& store) {
  auto authority = store.authority();
  if (authority == nullptr) {
    return Fail(ErrorCode::kDenied,
                "this node belongs to no conference yet: found one ('staffel found') or join one "
                "('staffel join')");
  }
  return authority;
}

// Two confidential audiences look the same in the charter: only the name that waits here tells
// whether somebody has founded this one already.
Status RefuseSecond(Store& store, const std::string& name) {
  STAFFEL_TRY(names, store.ListLocal(kProfilePrefix));
  const auto tree = store.charter();
  const auto dropped = DroppedChanges(store);
  for (const auto& [local, bytes] : names) {
    const auto id = AudienceId::FromText(std::string_view(local).substr(kProfilePrefix.size()));
    if (!id || Unpack(bytes).name != name) continue;
    for (const auto& proposal : tree->Waiting()) {
      const auto child = tree->AuthorityOf(proposal.entry);
      if (child == nullptr || child->FindAudience(*id) == nullptr ||
          dropped.contains(proposal.entry)) {
        continue;
      }
      return Fail(ErrorCode::kExists,
                  "an audience of this name waits already, as entry {}: drop that first ('staffel "
                  "waiting --drop')",
                  proposal.entry.Hex().substr(0, 12));
    }
  }
  return {};
}

// As RecordDeletedCopy writes it; nothing for what has another form.
std::optional<CopyDeleted> ReadDeletedCopy(const AudienceId& audience, std::string_view text) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(' ', begin), text.size());
    parts.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  if (parts.size() != 4) return std::nullopt;
  CopyDeleted statement;
  statement.audience = audience;
  const auto [end, error] =
      std::from_chars(parts[0].data(), parts[0].data() + parts[0].size(), statement.time.value);
  const auto charter = EntryId::FromText(parts[1]);
  const auto key = crypto::PublicKey::From(FromHex(parts[2]).value_or(Bytes()));
  const auto signature = FromHex(parts[3]);
  if (error != std::errc() || end != parts[0].data() + parts[0].size() || !charter || !key ||
      !signature) {
    return std::nullopt;
  }
  statement.charter = *charter;
  statement.key = *key;
  statement.signature = *signature;
  return statement;
}

}  // namespace

Result<AudienceChange> CreateAudience(Store& store, const crypto::KeyPair& key,
                                      charter::NewAudience audience, const AudienceProfile& profile,
                                      bool confidential, Random& random) {
  STAFFEL_TRY(authority, InForce(store));
  const auto own = store.own_member();
  if (!own ||
      std::find(audience.readers.begin(), audience.readers.end(), *own) == audience.readers.end()) {
    return Fail(ErrorCode::kDenied,
                "{} would not be in the audience: whoever founds one is in it, because all its "
                "first members sign",
                own ? own->text() : std::string_view("this node"));
  }
  if (profile.name.empty()) {
    return Fail(ErrorCode::kInvalid, "an audience needs a name by which people know it");
  }
  // Checked before anything is proposed, so that a name is never found wanting afterwards.
  STAFFEL_TRY(writes, WritesOf(profile));
  (void)writes;
  if (confidential) STAFFEL_CHECK(RefuseSecond(store, profile.name));
  audience.name = confidential ? std::string() : profile.name;
  if (!audience.relay) audience.relay = RelayFor(*authority, *own, audience.readers);
  AudienceChange change;
  STAFFEL_TRY(content,
              charter::WithAudience(authority->content(), audience, random, &change.audience));
  // Kept before the proposal: a crash in between leaves a name for an audience that never comes.
  if (confidential || !profile.purpose.empty()) {
    const AudienceProfile kept{confidential ? profile.name : std::string(), profile.purpose};
    STAFFEL_CHECK(store.PutLocal(std::string(kProfilePrefix) + change.audience.Hex(), Pack(kept)));
  }
  STAFFEL_TRY(proposed, ProposeCharter(store, key, *authority, content));
  change.proposed = std::move(proposed);
  STAFFEL_TRY(written, WriteProfiles(store));
  (void)written;
  return change;
}

Result<AudienceChange> AddToAudience(Store& store, const crypto::KeyPair& key,
                                     const AudienceId& audience, const MemberId& member,
                                     bool writes) {
  STAFFEL_TRY(authority, InForce(store));
  STAFFEL_TRY(content, charter::WithAudienceMember(authority->content(), audience, member, writes));
  STAFFEL_TRY(proposed, ProposeCharter(store, key, *authority, content));
  return AudienceChange{audience, std::move(proposed)};
}

Result<AudienceChange> RemoveFromAudience(Store& store, const crypto::KeyPair& key,
                                          const AudienceId& audience, const MemberId& member) {
  STAFFEL_TRY(entry, PutForward(store, [&](CharterDraft& draft) -> Result<charter::Content> {
                if (!draft.authority().Reads(draft.member(), audience)) {
                  return Fail(
                      ErrorCode::kDenied,
                      "{} is not in that audience: only who holds its journals can say up to where "
                      "they count",
                      draft.member().text());
                }
                std::vector<charter::Cut> cuts;
                for (const auto& journal : draft.journals()) {
                  if (journal.audience != audience || journal.lane.term != 0 ||
                      draft.authority().MemberOfKey(journal.key) != member) {
                    continue;
                  }
                  STAFFEL_TRY(cut, draft.CutOf(journal, std::nullopt));
                  cuts.push_back(std::move(cut));
                }
                return charter::WithoutAudienceMember(draft.authority().content(), audience, member,
                                                      std::move(cuts));
              }));
  return AudienceChange{audience, DescribeProposal(store, key, entry)};
}

Result<AudienceChange> SetAudienceRelay(Store& store, const crypto::KeyPair& key,
                                        const AudienceId& audience, const MemberId& member) {
  STAFFEL_TRY(authority, InForce(store));
  STAFFEL_TRY(content, charter::WithAudienceRelay(authority->content(), audience, member));
  STAFFEL_TRY(proposed, ProposeCharter(store, key, *authority, content));
  return AudienceChange{audience, std::move(proposed)};
}

Result<AudienceChange> CloseAudience(Store& store, const crypto::KeyPair& key,
                                     const AudienceId& audience) {
  STAFFEL_TRY(authority, InForce(store));
  STAFFEL_TRY(content, charter::WithoutAudience(authority->content(), audience));
  STAFFEL_TRY(proposed, ProposeCharter(store, key, *authority, content));
  return AudienceChange{audience, std::move(proposed)};
}

Result<std::size_t> WriteProfiles(Store& store) {
  STAFFEL_TRY(waiting, store.ListLocal(kProfilePrefix));
  if (waiting.empty()) return std::size_t{0};
  const auto authority = store.authority();
  const auto own = store.own_member();
  if (authority == nullptr || !own) return std::size_t{0};
  std::size_t written = 0;
  for (const auto& [local, bytes] : waiting) {
    const auto audience =
        AudienceId::FromText(std::string_view(local).substr(kProfilePrefix.size()));
    if (!audience || !authority->Writes(*own, *audience)) continue;
    STAFFEL_TRY(writes, WritesOf(Unpack(bytes)));
    Edit edit;
    edit.audience = *audience;
    RecordEdit record;
    record.kind = record::kAudienceProfileKind;
    record.record = record::AudienceProfileId(*audience);
    record.mode = RecordEdit::Mode::kCreate;
    for (auto& write : writes) {
      record.cells.push_back({std::move(write.cell), std::move(write.value), {}});
    }
    edit.records.push_back(std::move(record));
    const auto applied = store.Apply(edit);
    // Somebody else named it first: theirs stands.
    if (!applied && applied.error().code != ErrorCode::kExists) return Forward(applied);
    STAFFEL_CHECK(store.PutLocal(local, std::nullopt));
    ++written;
  }
  return written;
}

Status RecordDeletedCopy(Store& store, const MemberId& member, const CopyDeleted& statement) {
  const record::Kind& kind = ProfileKind();
  const auto* field = kind.Find(record::kDeletedCopiesField);
  v1::AudienceProfile message;
  (*message.mutable_deleted_copies())[std::string(member.text())] =
      fmt::format("{} {} {} {}", statement.time.value, statement.charter.Hex(),
                  ToHex(statement.key.bytes()), ToHex(statement.signature));
  const Cell cell = record::MemberCell(*field, member);
  const Bytes value = message.SerializeAsString();
  STAFFEL_TRY(snapshot, store.Read());
  const RecordId id = record::AudienceProfileId(statement.audience);
  const auto view = snapshot.GetRecord(id, statement.audience);
  Edit edit;
  edit.audience = statement.audience;
  RecordEdit change;
  change.kind = record::kAudienceProfileKind;
  change.record = id;
  change.mode = view ? RecordEdit::Mode::kChange : RecordEdit::Mode::kCreate;
  std::vector<EntryId> parents;
  if (view) {
    STAFFEL_TRY(state, snapshot.State(*view));
    for (const auto& one : state.cells) {
      if (one.cell != cell) continue;
      for (const auto& head : one.heads) {
        if (head.value == value) return {};
        parents.push_back(head.entry);
      }
    }
  }
  change.cells.push_back({cell, value, std::move(parents)});
  edit.records.push_back(std::move(change));
  auto applied = store.Apply(edit);
  if (!applied) return tl::unexpected<Error>(applied.error());
  return {};
}

std::vector<FormerReader> FormerReaders(Store& store, Snapshot& snapshot,
                                        const AudienceId& audience) {
  std::set<MemberId> former;
  const auto tree = store.charter();
  const auto authority = snapshot.authority();
  const auto* now = authority == nullptr ? nullptr : authority->FindAudience(audience);
  if (tree == nullptr || now == nullptr) return {};
  for (const EntryId& entry : tree->PathInForce()) {
    const auto then = tree->AuthorityOf(entry);
    const auto* listed = then ? then->FindAudience(audience) : nullptr;
    if (listed != nullptr) former.insert(listed->readers.begin(), listed->readers.end());
  }
  for (const MemberId& reader : now->readers) former.erase(reader);
  v1::AudienceProfile profile;
  const auto view = snapshot.GetRecord(record::AudienceProfileId(audience), audience);
  if (view) (void)profile.ParseFromString(std::string(view->row));
  std::vector<FormerReader> readers;
  for (const MemberId& member : former) {
    FormerReader reader{member, {}, false};
    const auto found = profile.deleted_copies().find(std::string(member.text()));
    if (found != profile.deleted_copies().end()) {
      const auto statement = ReadDeletedCopy(audience, found->second);
      if (statement) {
        reader.confirmed = statement->time;
        reader.verified =
            authority->MemberOfKey(statement->key) == member && VerifyCopyDeleted(*statement);
      }
    }
    readers.push_back(std::move(reader));
  }
  return readers;
}

AudienceProfile WaitingProfile(Store& store, const AudienceId& audience) {
  const auto kept = store.GetLocal(std::string(kProfilePrefix) + audience.Hex());
  return kept && *kept ? Unpack(**kept) : AudienceProfile();
}

Result<std::vector<AudienceId>> AudiencesToMeetFor(Store& store) {
  const auto authority = store.authority();
  const auto own = store.own_member();
  if (!authority || !own) return std::vector<AudienceId>();
  std::vector<AudienceId> audiences = authority->AudiencesShared(*own, *own);
  STAFFEL_TRY(snapshot, store.Read());
  for (const LeftJournal& left : snapshot.LeftJournals()) audiences.push_back(left.audience);
  STAFFEL_TRY(deleted, store.DeletedCopies());
  for (const CopyDeleted& copy : deleted) audiences.push_back(copy.audience);
  return audiences;
}

AudienceProfile ProfileOf(Snapshot& snapshot, const AudienceId& audience) {
  const auto view = snapshot.GetRecord(record::AudienceProfileId(audience), audience);
  if (!view || view->kind != record::kAudienceProfileKind) return {};
  return {record::FieldText(ProfileKind(), view->row, "name"),
          record::FieldText(ProfileKind(), view->row, "purpose")};
}

std::string AudienceLabel(Snapshot& snapshot, const AudienceId& audience) {
  const auto authority = snapshot.authority();
  const auto* listed = authority == nullptr ? nullptr : authority->FindAudience(audience);
  if (listed != nullptr && !listed->name.empty()) return listed->name;
  const std::string name = ProfileOf(snapshot, audience).name;
  return name.empty() ? audience.Hex() : name;
}

}  // namespace staffel::sync
