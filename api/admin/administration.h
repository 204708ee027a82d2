// SPDX-License-Identifier: EUPL-1.2
// The local administration: answers POST /admin/v1/<Method> of proto/staffel/v1/admin.proto, which
// comes through the Unix socket in the node's directory. Whoever may open that socket may do all of
// it. Who listens is node.h's business; what the answers look like to people, the client's.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/admin/jobs.h"
#include "api/server.h"
#include "core/base/clock.h"
#include "core/base/random.h"
#include "core/base/result.h"
#include "core/crypto/key.h"
#include "core/record/blob_field.h"
#include "core/record/catalog.h"
#include "core/record/edit.h"
#include "core/record/wording.h"
#include "core/store/store.h"
#include "staffel/v1/admin.pb.h"
#include "sync/audiences.h"
#include "sync/blobs.h"
#include "sync/clock_watch.h"
#include "sync/replicator.h"

namespace staffel::api {

namespace admin = ::staffel::v1::admin;

inline constexpr std::size_t kPageRecordsDefault = 200;
inline constexpr std::size_t kPageRecordsMax = 1000;
// A list is sorted as people expect, which takes all its rows at once.
inline constexpr std::size_t kSortedRecordsMax = 1'000'000;
inline constexpr std::size_t kSortedListsKept = 4;
inline constexpr std::size_t kSearchHitsMax = 500;
inline constexpr std::size_t kIndexBeforeSearch = 200;
inline constexpr std::size_t kCandidatesMax = 10;
inline constexpr std::size_t kIneffectiveDefault = 100;
inline constexpr std::size_t kIneffectiveMax = 10'000;
inline constexpr std::size_t kVoidReceiptsShown = 200;
inline constexpr std::size_t kLateRecordsMax = 20'000;  // looked through for one deadline
inline constexpr std::size_t kIdPrefixMin = 4;
inline constexpr std::size_t kImportPieceBytesMax = std::size_t{4} << 20;

struct AdministrationOptions {
  // All of them outlive the administration.
  Store* store = nullptr;
  const crypto::KeyPair* key = nullptr;
  Clock* clock = nullptr;
  Random* random = nullptr;
  sync::Replicator* replicator = nullptr;
  sync::BlobCourier* courier = nullptr;
  sync::ClockWatch* clocks = nullptr;  // optional

  crypto::PublicKey tls_key;
  std::optional<MemberId> member;  // which member the configuration says we are
  std::string url;                 // where others reach us; may be empty
  bool hears_on_all = false;       // the listener has no address that could be told
  std::string directory;
  std::string replicas_address;
  std::string people_address;
  bool cosign = true;
  std::string version;

  // Keys that this node has prepared for a rotation; see NodeDirectory::NextKeys.
  struct NextKeys {
    crypto::PublicKey replica;
    crypto::PublicKey tls;
  };
  std::function<Result<std::optional<NextKeys>>(bool make)> next_keys;
  // The key that this node signed with before its last rotation; empty: none.
  crypto::PublicKey former_key;
};

// What several calls need: shared.cc.
// Of what a person wrote.
[[nodiscard]] Result<MemberId> ReadMember(std::string_view text);
// Its number, where this version does not know the kind.
[[nodiscard]] std::string KindName(std::uint32_t number);

// Any thread. Stops its jobs when destroyed.
class Administration {
 public:
  explicit Administration(AdministrationOptions options);
  ~Administration();

  // Answers any request that came through the socket.
  [[nodiscard]] Response Handle(const Request& request);
  // Asks long work to end; then it cannot begin any more.
  void Stop();

 private:
  // What one call carries beside its message.
  struct Call {
    std::stop_token closing;
    std::vector<admin::Record> candidates;  // for the refusal, where an id was not unique
    // How texts for people are said; without a language asked for, in German with times as stored.
    record::Wording wording;
  };
  using Method = std::function<Result<Bytes>(ByteView, Call&)>;
  template <typename AskedFor, typename Reply>
  void Add(std::string name, Result<Reply> (Administration::*method)(const AskedFor&, Call&));

  // The node and its conference: conference.cc.
  Result<admin::StatusReply> Status_(const admin::StatusRequest& request, Call& call);
  Result<admin::KindsReply> Kinds_(const admin::KindsRequest& request, Call& call);
  Result<admin::FoundReply> Found(const admin::FoundRequest& request, Call& call);
  Result<admin::InviteReply> Invite(const admin::InviteRequest& request, Call& call);
  Result<admin::ListInvitationsReply> ListInvitations(const admin::ListInvitationsRequest& request,
                                                      Call& call);
  Result<admin::RevokeInvitationReply> RevokeInvitation(
      const admin::RevokeInvitationRequest& request, Call& call);
  Result<admin::JoinReply> Join(const admin::JoinRequest& request, Call& call);
  Result<admin::WaitingReply> Waiting(const admin::WaitingRequest& request, Call& call);
  Result<admin::ApproveReply> Approve(const admin::ApproveRequest& request, Call& call);

  // Records: records.cc.
  Result<admin::ListReply> List(const admin::ListRequest& request, Call& call);
  Result<admin::ShowReply> Show(const admin::ShowRequest& request, Call& call);
  Result<admin::ChangeReply> Add_(const admin::AddRequest& request, Call& call);
  Result<admin::ChangeReply> Set(const admin::SetRequest& request, Call& call);
  Result<admin::ChangeReply> Delete(const admin::DeleteRequest& request, Call& call);
  Result<admin::ChangeReply> Restore(const admin::RestoreRequest& request, Call& call);
  Result<admin::SearchReply> Search(const admin::SearchRequest& request, Call& call);
  Result<admin::LogReply> Log(const admin::LogRequest& request, Call& call);

  // Erasure: erasure.cc.
  Result<admin::EraseReply> Erase(const admin::EraseRequest& request, Call& call);
  Result<admin::ErasuresReply> Erasures(const admin::ErasuresRequest& request, Call& call);
  Result<admin::DecideErasureReply> DecideErasure(const admin::DecideErasureRequest& request,
                                                  Call& call);

  // Receipts and entries without effect: receipts.cc.
  Result<admin::ReceiptsReply> Receipts(const admin::ReceiptsRequest& request, Call& call);
  Result<admin::LateReply> Late(const admin::LateRequest& request, Call& call);
  Result<admin::IneffectiveReply> Ineffective(const admin::IneffectiveRequest& request, Call& call);
  [[nodiscard]] static staffel::Status FillReceptions(Snapshot& snapshot,
                                                      admin::StatusReply& reply);

  // Conflicts: conflicts.cc.
  Result<admin::ConflictsReply> Conflicts(const admin::ConflictsRequest& request, Call& call);
  Result<admin::ChangeReply> Decide(const admin::DecideRequest& request, Call& call);

  // Long work: long_work.cc.
  Result<admin::Job> SyncNow(const admin::SyncNowRequest& request, Call& call);
  Result<admin::Job> Verify(const admin::VerifyRequest& request, Call& call);
  Result<admin::Job> ImportBegin(const admin::ImportBeginRequest& request, Call& call);
  Result<admin::Job> ImportLines(const admin::ImportLinesRequest& request, Call& call);
  Result<admin::Job> ImportApply(const admin::ImportApplyRequest& request, Call& call);
  Result<admin::Job> JobState(const admin::JobRequest& request, Call& call);
  Result<admin::Job> JobCancel(const admin::JobRequest& request, Call& call);
  Result<admin::ExportReply> Export(const admin::ExportRequest& request, Call& call);

  // Attachments: attachments.cc.
  Result<admin::Upload> AttachBegin(const admin::AttachBeginRequest& request, Call& call);
  Result<admin::Upload> AttachPiece(const admin::AttachPieceRequest& request, Call& call);
  Result<admin::AttachReply> AttachFinish(const admin::AttachFinishRequest& request, Call& call);
  Result<admin::Upload> AttachCancel(const admin::AttachCancelRequest& request, Call& call);
  Result<admin::AttachmentsReply> Attachments(const admin::AttachmentsRequest& request, Call& call);
  Result<admin::FetchPieceReply> FetchPiece(const admin::FetchPieceRequest& request, Call& call);
  [[nodiscard]] Result<admin::Attachment> ShownAttachment(Snapshot& snapshot,
                                                          const RecordView& view,
                                                          const record::BlobReference& reference);
  [[nodiscard]] Result<record::ImportPlan> ReadImport(record::ImportReader& reader,
                                                      const std::stop_token& stop);
  [[nodiscard]] staffel::Status RunImport(Job& job, std::stop_token stop);

  // Doubt and backup: doubt.cc.
  Result<admin::TrustReply> Trust(const admin::TrustRequest& request, Call& call);
  Result<admin::Job> Backup(const admin::BackupRequest& request, Call& call);
  void FillDoubt(admin::StatusReply& reply) const;
  // Marks versions that are dated in the future: they stand as provisional by a wrong clock.
  void MarkClocks(admin::Conflict& conflict) const;
  [[nodiscard]] TimeMs MarkingNow() const;
  // Audiences and releases: audiences.cc, release.cc.
  Result<admin::AudienceListReply> AudienceList(const admin::AudienceListRequest& request,
                                                Call& call);
  Result<admin::AudienceChangeReply> AudienceCreate(const admin::AudienceCreateRequest& request,
                                                    Call& call);
  Result<admin::AudienceChangeReply> AudienceAdd(const admin::AudienceAddRequest& request,
                                                 Call& call);
  Result<admin::AudienceChangeReply> AudienceRemove(const admin::AudienceRemoveRequest& request,
                                                    Call& call);
  Result<admin::AudienceChangeReply> AudienceRelay(const admin::AudienceRelayRequest& request,
                                                   Call& call);
  Result<admin::AudienceChangeReply> AudienceClose(const admin::AudienceCloseRequest& request,
                                                   Call& call);
  Result<admin::ReleaseReply> Release(const admin::ReleaseRequest& request, Call& call);
  Result<admin::WithdrawReply> Withdraw(const admin::WithdrawRequest& request, Call& call);
  [[nodiscard]] Result<admin::ReleasedRecord> ShownRelease(Snapshot& snapshot,
                                                           const RecordView& inside,
                                                           const ReleaseOrder& order,
                                                           const ReleasedRecord& released);
  [[nodiscard]] static Result<std::vector<admin::ReleaseState>> ShownReleases(
      Snapshot& snapshot, const RecordView& view);
  // Signs as seen what has come into force, writes names that waited for it, tells the others.
  [[nodiscard]] staffel::Status AfterCharterChange();
  // The charter, terms, keys and rules: charter.cc, handover.cc.
  Result<admin::CharterReply> Charter(const admin::CharterRequest& request, Call& call);
  Result<admin::ApproveReply> Strengthen(const admin::StrengthenRequest& request, Call& call);
  Result<admin::ApproveReply> ApproveWith(const admin::ApproveWithRequest& request, Call& call);
  Result<admin::HandoverReply> Handover(const admin::HandoverRequest& request, Call& call);
  Result<admin::HandoverProtocolReply> HandoverProtocol(
      const admin::HandoverProtocolRequest& request, Call& call);
  Result<admin::KeysReply> Keys(const admin::KeysRequest& request, Call& call);
  Result<admin::ApproveReply> ChangeKeys(const admin::ChangeKeysRequest& request, Call& call);
  Result<admin::RulesReply> Rules(const admin::RulesRequest& request, Call& call);
  Result<admin::ApproveReply> SetRule(const admin::SetRuleRequest& request, Call& call);
  Result<admin::ApproveReply> AdmitMember(const admin::AdmitMemberRequest& request, Call& call);
  Result<admin::ApproveReply> ChangeMember(const admin::ChangeMemberRequest& request, Call& call);
  Result<admin::ApproveReply> RemoveMember(const admin::RemoveMemberRequest& request, Call& call);
  Result<admin::ApproveReply> ChangeConference(const admin::ChangeConferenceRequest& request,
                                               Call& call);
  Result<admin::ApproveReply> ChangeKind(const admin::ChangeKindRequest& request, Call& call);
  // A change that waits, was overtaken or has come into force, with what it means: what is read
  // here, for whoever may open the socket: charter_details.cc.
  [[nodiscard]] Result<admin::Proposal> ShownProposal(const sync::WaitingChange& change);
  [[nodiscard]] Result<std::vector<std::string>> DetailsOf(Snapshot& snapshot,
                                                           const charter::CharterTree& tree,
                                                           const EntryId& entry);
  [[nodiscard]] Result<admin::AudienceChangeReply> ShownAudienceChange(
      const sync::AudienceChange& change);
  // After an entry was made or signed here: cosigns, wakes the exchange, says how it stands.
  [[nodiscard]] Result<admin::ApproveReply> Proposed(const EntryId& entry);
  [[nodiscard]] Result<admin::HandoverState> ShownHandover();
  // What a rotation of this node's keys waits for; empty where none is under way.
  [[nodiscard]] std::string Rotation();
  void FillCharterStatus(admin::StatusReply& reply);

  // Shared: shared.cc.
  [[nodiscard]] Result<RecordView> FindRecord(Snapshot& snapshot, std::string_view id,
                                              std::string_view kind, std::string_view audience,
                                              Call& call);
  [[nodiscard]] Result<std::optional<RecordId>> FindAuthor(Snapshot& snapshot,
                                                           std::string_view author, Call& call);
  // By its name in the charter or inside, or its id, shortened where unique.
  [[nodiscard]] static Result<AudienceId> FindAudience(Snapshot& snapshot,
                                                       std::string_view audience);
  [[nodiscard]] Result<AudienceId> AudienceFor(Snapshot& snapshot, const record::Kind& kind,
                                               std::string_view audience) const;
  [[nodiscard]] static std::string AudienceName(Snapshot& snapshot, const AudienceId& audience);
  [[nodiscard]] static bool IsDemonstration(Snapshot& snapshot);
  [[nodiscard]] record::InputContext InputFor(Snapshot& snapshot, record::ElementIds& ids,
                                              std::string_view source, Call& call);
  // The record as every reply has it.
  [[nodiscard]] static Result<admin::Record> Shown(Snapshot& snapshot, const RecordView& view,
                                                   const record::Wording& wording = {});
  // The call's wording, with references named as the snapshot, which must outlive it, has them.
  [[nodiscard]] static record::Wording WordingFor(Snapshot& snapshot, const Call& call);
  [[nodiscard]] static Result<std::string> ShortId(Snapshot& snapshot, const RecordId& record);
  [[nodiscard]] static Result<std::string> AuthorName(Snapshot& snapshot,
                                                      const std::optional<RecordId>& author);
  [[nodiscard]] static Result<admin::Conflict> ShownConflict(Snapshot& snapshot,
                                                             const ConflictView& view,
                                                             const record::Wording& wording = {});
  // What this op has written into the record; nothing where it has not, or there is no op.
  [[nodiscard]] static Result<std::optional<EntryId>> EntryOf(Snapshot& snapshot,
                                                              const RecordView& view,
                                                              const std::optional<OpId>& op);
  [[nodiscard]] static std::vector<const projection::Head*> DeletingHeads(
      const projection::RecordState& state);
  // Names what a decision on this cell may cover: its heads, and those of all the record's cells
  // where somebody deletes.
  [[nodiscard]] static std::string DecisionVersion(const projection::RecordState& state,
                                                   const Cell& cell);
  [[nodiscard]] static staffel::Status CheckVersion(const RecordView& view,
                                                    std::string_view if_version);
  // kDenied, naming the field, where this node is not the chair's.
  [[nodiscard]] staffel::Status CheckChair(std::uint32_t kind, const Cell& cell) const;
  // kDenied where the kind's records have one writer (written_by) and that is another member.
  [[nodiscard]] staffel::Status CheckWriter(const record::Kind& kind, ByteView row,
                                            const std::vector<record::CellWrite>& writes) const;
  // The writes as edits: one entry for each capacity they need. `create` makes the first one so.
  [[nodiscard]] Result<std::vector<Edit>> EditsFor(const AudienceId& audience, std::uint32_t kind,
                                                   const RecordId& record, bool create,
                                                   std::vector<record::CellWrite> writes,
                                                   const std::optional<RecordId>& author,
                                                   const std::optional<OpId>& op,
                                                   const projection::RecordState* shown);
  // With the record as it was, the reply names the elements of lists that are gone.
  [[nodiscard]] Result<admin::ChangeReply> ApplyAndShow(const std::vector<Edit>& edits,
                                                        const RecordId& record,
                                                        const RecordView* before = nullptr);
  // What an audience says of itself is no record that people make.
  [[nodiscard]] static staffel::Status RefuseOwnKind(const record::Kind& kind);
  [[nodiscard]] static Result<std::optional<OpId>> ReadOp(std::string_view op);
  [[nodiscard]] Result<record::JsonValue> ReadFields(const record::Kind& kind,
                                                     const std::string& json,
                                                     const std::vector<std::string>& assignments);

  // A sorted list, kept for its next pages. A page begins behind a line, not at a number: records
  // that come and go between two pages then move no other record into or out of them.
  struct SortedList {
    struct Line {
      std::uint32_t kind = 0;
      Bytes key;
      RecordId record;
      AudienceId audience;
      friend auto operator<=>(const Line&, const Line&) = default;
    };
    std::uint64_t revision = 0;
    std::string filter;
    std::vector<Line> lines;
  };
  [[nodiscard]] static std::string PageAfter(const SortedList::Line& line);
  [[nodiscard]] static Result<SortedList::Line> ReadPage(std::string_view page);
  [[nodiscard]] Result<std::shared_ptr<const SortedList>> Sorted(Snapshot& snapshot,
                                                                 const ListFilter& filter);

  AdministrationOptions options_;
  std::map<std::string, Method, std::less<>> methods_;
  std::mutex lists_mutex_;
  std::list<std::shared_ptr<const SortedList>> lists_;  // the newest first
  Jobs jobs_;
};

}  // namespace staffel::api
