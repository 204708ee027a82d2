// SPDX-License-Identifier: EUPL-1.2
#include "clients/cpp/client.h"

#include <array>
#include <cstdlib>
#include <utility>
#include <vector>

#include <google/protobuf/descriptor.h>
#include <sys/stat.h>

#include "core/base/german.h"
#include "core/base/text.h"

namespace staffel::client {

namespace {

constexpr std::string_view kSocketName = "staffel.sock";

// The text of `"detail": "…"` in a problem document (RFC 9457) that the server itself has sent.
std::string DetailOf(std::string_view body) {
  const auto key = body.find("\"detail\"");
  if (key == std::string_view::npos) return {};
  const auto begin = body.find('"', key + 8);
  if (begin == std::string_view::npos) return {};
  std::string text;
  for (auto at = begin + 1; at < body.size() && body[at] != '"'; ++at) {
    if (body[at] == '\\' && at + 1 < body.size()) ++at;
    text += body[at];
  }
  return text;
}

// The name of a text field of the message, or of one below, that is no UTF-8.
std::string IllFormedText(const google::protobuf::Message& message) {
  const auto* reflection = message.GetReflection();
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  for (const auto* field : fields) {
    const int count = field->is_repeated() ? reflection->FieldSize(message, field) : 1;
    for (int i = 0; i < count; ++i) {
      if (field->type() == google::protobuf::FieldDescriptor::TYPE_STRING) {
        const std::string text = field->is_repeated()
                                     ? reflection->GetRepeatedString(message, field, i)
                                     : reflection->GetString(message, field);
        if (!IsUtf8(text)) return field->name();
      } else if (field->cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) {
        const auto& below = field->is_repeated() ? reflection->GetRepeatedMessage(message, field, i)
                                                 : reflection->GetMessage(message, field);
        const std::string found = IllFormedText(below);
        if (!found.empty()) return found;
      }
    }
  }
  return {};
}

}  // namespace

Result<std::string> FindSocket(std::string_view node) {
  std::string path(node);
  if (path.empty()) {
    // Read once, before any thread is started.
    const char* given = std::getenv("STAFFEL_NODE");  // NOLINT(concurrency-mt-unsafe)
    if (given != nullptr) path = given;
  }
  if (path.empty()) {
    return Fail(ErrorCode::kInvalid,
                "which node? Name its data directory with --node DIR or in STAFFEL_NODE");
  }
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) {
    if (path.back() != '/') path += '/';
    path += kSocketName;
  }
  return path;
}

ErrorCode CodeOf(const admin::Refusal& refusal) {
  for (int code = 0; code <= static_cast<int>(ErrorCode::kInternal); ++code) {
    if (ErrorCodeName(static_cast<ErrorCode>(code)) == refusal.code()) {
      return static_cast<ErrorCode>(code);
    }
  }
  return ErrorCode::kInternal;
}

admin::Refusal MakeRefusal(const Error& error) {
  admin::Refusal refusal;
  refusal.set_code(std::string(ErrorCodeName(error.code)));
  refusal.set_message(error.message);
  return refusal;
}

tl::expected<void, admin::Refusal> Client::CallAny(std::string_view method,
                                                   const google::protobuf::Message& request,
                                                   google::protobuf::Message* reply,
                                                   std::chrono::seconds timeout) {
  const auto refuse = [this](ErrorCode code, const std::string& message) {
    return tl::unexpected<admin::Refusal>(
        MakeRefusal({code, language_ == "de" ? InGerman(message) : message}));
  };
  // Bytes that no message can carry are refused here: at the node they would be a broken message.
  if (const std::string text = IllFormedText(request); !text.empty()) {
    return refuse(ErrorCode::kInvalid, fmt::format("{}: the text is not valid UTF-8", text));
  }
  auto answered = connection_.Post("/admin/v1/" + std::string(method), request.SerializeAsString(),
                                   timeout, language_);
  if (!answered) return refuse(answered.error().code, answered.error().message);
  const bool is_ours = answered->content_type == "application/x-protobuf";
  if (answered->status == 200 && is_ours) {
    if (!reply->ParseFromString(answered->body)) {
      return refuse(ErrorCode::kInternal, "the node's answer cannot be read");
    }
    return {};
  }
  admin::Refusal refusal;
  if (is_ours && refusal.ParseFromString(answered->body) && !refusal.message().empty()) {
    return tl::unexpected<admin::Refusal>(std::move(refusal));
  }
  const std::string detail = DetailOf(answered->body);
  return refuse(answered->status == 404   ? ErrorCode::kUnsupported
                : answered->status == 413 ? ErrorCode::kTooLarge
                : answered->status == 503 ? ErrorCode::kUnavailable
                                          : ErrorCode::kInternal,
                fmt::format("the node answered {} to {}{}{}", answered->status, method,
                            detail.empty() ? "" : ": ", detail));
}

}  // namespace staffel::client
