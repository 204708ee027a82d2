// SPDX-License-Identifier: EUPL-1.2
#include "api/admin/administration.h"

#include "api/router.h"
#include "core/base/german.h"
#include "core/base/language.h"

namespace staffel::api {

namespace {

constexpr std::string_view kPrefix = "/admin/v1/";
constexpr std::string_view kType = "application/x-protobuf";

Response Protobuf(int status, Bytes body) {
  Response response;
  response.status = status;
  response.headers.emplace_back("Content-Type", std::string(kType));
  response.body = std::move(body);
  return response;
}

}  // namespace

template <typename AskedFor, typename Reply>
void Administration::Add(std::string name,
                         Result<Reply> (Administration::*method)(const AskedFor&, Call&)) {
  methods_.emplace(std::move(name), [this, method](ByteView body, Call& call) -> Result<Bytes> {
    AskedFor request;
    if (!request.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
      return Fail(ErrorCode::kInvalid, "the request is no {} message",
                  AskedFor::descriptor()->name());
    }
    STAFFEL_TRY(reply, (this->*method)(request, call));
    return reply.SerializeAsString();
  });
}

Administration::Administration(AdministrationOptions options)
    : options_(std::move(options)), jobs_(*options_.random) {
  Add("Status", &Administration::Status_);
  Add("Kinds", &Administration::Kinds_);
  Add("Found", &Administration::Found);
  Add("Invite", &Administration::Invite);
  Add("ListInvitations", &Administration::ListInvitations);
  Add("RevokeInvitation", &Administration::RevokeInvitation);
  Add("Join", &Administration::Join);
  Add("Waiting", &Administration::Waiting);
  Add("Approve", &Administration::Approve);
  Add("SyncNow", &Administration::SyncNow);
  Add("List", &Administration::List);
  Add("Show", &Administration::Show);
  Add("Add", &Administration::Add_);
  Add("Set", &Administration::Set);
  Add("Delete", &Administration::Delete);
  Add("Restore", &Administration::Restore);
  Add("Search", &Administration::Search);
  Add("Conflicts", &Administration::Conflicts);
  Add("Decide", &Administration::Decide);
  Add("Log", &Administration::Log);
  Add("Verify", &Administration::Verify);
  Add("ImportBegin", &Administration::ImportBegin);
  Add("ImportLines", &Administration::ImportLines);
  Add("ImportApply", &Administration::ImportApply);
  Add("JobState", &Administration::JobState);
  Add("JobCancel", &Administration::JobCancel);
  Add("Export", &Administration::Export);
  Add("Receipts", &Administration::Receipts);
  Add("Erase", &Administration::Erase);
  Add("Erasures", &Administration::Erasures);
  Add("DecideErasure", &Administration::DecideErasure);
  Add("Late", &Administration::Late);
  Add("Ineffective", &Administration::Ineffective);
  Add("AttachBegin", &Administration::AttachBegin);
  Add("AttachPiece", &Administration::AttachPiece);
  Add("AttachFinish", &Administration::AttachFinish);
  Add("AttachCancel", &Administration::AttachCancel);
  Add("Attachments", &Administration::Attachments);
  Add("FetchPiece", &Administration::FetchPiece);
  Add("Trust", &Administration::Trust);
  Add("Backup", &Administration::Backup);
  Add("AudienceList", &Administration::AudienceList);
  Add("AudienceCreate", &Administration::AudienceCreate);
  Add("AudienceAdd", &Administration::AudienceAdd);
  Add("AudienceRemove", &Administration::AudienceRemove);
  Add("AudienceRelay", &Administration::AudienceRelay);
  Add("AudienceClose", &Administration::AudienceClose);
  Add("Release", &Administration::Release);
  Add("Withdraw", &Administration::Withdraw);
  Add("Charter", &Administration::Charter);
  Add("Strengthen", &Administration::Strengthen);
  Add("ApproveWith", &Administration::ApproveWith);
  Add("Handover", &Administration::Handover);
  Add("HandoverProtocol", &Administration::HandoverProtocol);
  Add("Keys", &Administration::Keys);
  Add("ChangeKeys", &Administration::ChangeKeys);
  Add("Rules", &Administration::Rules);
  Add("SetRule", &Administration::SetRule);
  Add("AdmitMember", &Administration::AdmitMember);
  Add("ChangeMember", &Administration::ChangeMember);
  Add("RemoveMember", &Administration::RemoveMember);
  Add("ChangeConference", &Administration::ChangeConference);
  Add("ChangeKind", &Administration::ChangeKind);
}

Administration::~Administration() { Stop(); }

void Administration::Stop() { jobs_.StopAll(); }

Response Administration::Handle(const Request& request) {
  if (!std::string_view(request.path).starts_with(kPrefix)) {
    return Problem(404, "the administration stands at /admin/v1/");
  }
  const auto method = methods_.find(std::string_view(request.path).substr(kPrefix.size()));
  if (method == methods_.end()) {
    return Problem(404, "this version of staffeld has no such call; is staffel of a newer one?");
  }
  if (request.method != "POST") {
    Response response = Problem(405, "calls of the administration are POST");
    response.headers.emplace_back("Allow", "POST");
    return response;
  }
  Call call{request.closing, {}, {}};
  const std::string_view language = request.Header("accept-language").value_or("");
  if (!language.empty()) {
    call.wording.times_as_stored = false;
    if (language.starts_with("en")) call.wording.language = Language::kEnglish;
  }
  auto answered = method->second(request.body, call);
  if (answered) return Protobuf(200, std::move(*answered));
  admin::Refusal refusal;
  refusal.set_code(std::string(ErrorCodeName(answered.error().code)));
  const bool in_german = !language.empty() && call.wording.is_german();
  refusal.set_message(in_german ? InGerman(answered.error().message)
                                : std::move(answered.error().message));
  for (admin::Record& candidate : call.candidates) *refusal.add_candidates() = std::move(candidate);
  return Protobuf(HttpStatus(answered.error().code), refusal.SerializeAsString());
}

}  // namespace staffel::api
