// SPDX-License-Identifier: EUPL-1.2
#include "staffel/staffel.h"

#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>
#include <string_view>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/util/json_util.h>

#include "clients/cpp/client.h"

struct staffel_error {
  staffel_code code;
  std::string message;
};

struct staffel_node {
  explicit staffel_node(std::string path) : client(std::move(path)) {}
  staffel::client::Client client;
};

namespace {

namespace admin = staffel::v1::admin;
using staffel::ErrorCode;

// The one table from our codes to those of the C interface.
staffel_code CodeForC(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalid:
      return STAFFEL_INVALID;
    case ErrorCode::kNotFound:
      return STAFFEL_NOT_FOUND;
    case ErrorCode::kExists:
      return STAFFEL_EXISTS;
    case ErrorCode::kDenied:
      return STAFFEL_DENIED;
    case ErrorCode::kConflict:
      return STAFFEL_CONFLICT;
    case ErrorCode::kTooLarge:
      return STAFFEL_TOO_LARGE;
    case ErrorCode::kUnsupported:
      return STAFFEL_UNSUPPORTED;
    case ErrorCode::kUnavailable:
      return STAFFEL_UNAVAILABLE;
    case ErrorCode::kStorage:
      return STAFFEL_STORAGE;
    case ErrorCode::kCorrupt:
      return STAFFEL_CORRUPT;
    case ErrorCode::kInternal:
      break;
  }
  return STAFFEL_INTERNAL;
}

void SetError(staffel_error** error, staffel_code code, std::string message) {
  if (error != nullptr) *error = new staffel_error{code, std::move(message)};
}

char* CopyText(const std::string& text) {
  auto* copy = static_cast<char*>(std::malloc(text.size() + 1));  // NOLINT
  if (copy != nullptr) std::memcpy(copy, text.c_str(), text.size() + 1);
  return copy;
}

// One edge for all: nothing that C++ throws passes into C.
template <typename Function>
auto Guarded(staffel_error** error, const Function& function) -> decltype(function()) {
  try {
    return function();
  } catch (const std::exception& exception) {
    SetError(error, STAFFEL_INTERNAL, exception.what());
  } catch (...) {
    SetError(error, STAFFEL_INTERNAL, "an unknown failure in the client library");
  }
  return nullptr;
}

char* Ask(staffel_node* node, const char* method, const google::protobuf::Message& request,
          google::protobuf::Message* reply, staffel_error** error) {
  if (node == nullptr) {
    SetError(error, STAFFEL_INVALID, "the node is NULL");
    return nullptr;
  }
  const auto asked = node->client.CallAny(method, request, reply);
  if (!asked) {
    SetError(error, CodeForC(staffel::client::CodeOf(asked.error())), asked.error().message());
    return nullptr;
  }
  return CopyText(staffel::client::ToJson(*reply, /*indented=*/false));
}

std::string Text(const char* text) { return text == nullptr ? std::string() : std::string(text); }

}  // namespace

extern "C" {

enum staffel_code staffel_error_code(const staffel_error* error) {
  return error == nullptr ? STAFFEL_INTERNAL : error->code;
}
const char* staffel_error_message(const staffel_error* error) {
  return error == nullptr ? "" : error->message.c_str();
}
void staffel_error_free(staffel_error* error) { delete error; }
void staffel_free(char* string) { std::free(string); }  // NOLINT
const char* staffel_version(void) { return STAFFEL_VERSION; }

staffel_node* staffel_open(const char* node, staffel_error** error) {
  return Guarded(error, [&]() -> staffel_node* {
    auto path = staffel::client::FindSocket(Text(node));
    if (!path) {
      SetError(error, CodeForC(path.error().code), path.error().message);
      return nullptr;
    }
    auto opened = std::make_unique<staffel_node>(std::move(*path));
    admin::StatusReply reply;
    const auto asked = opened->client.CallAny("Status", admin::StatusRequest(), &reply);
    if (!asked) {
      SetError(error, CodeForC(staffel::client::CodeOf(asked.error())), asked.error().message());
      return nullptr;
    }
    return opened.release();
  });
}
void staffel_set_language(staffel_node* node, const char* language) {
  const std::string_view name = language == nullptr ? std::string_view() : language;
  if (node != nullptr) node->client.set_language(name == "de" || name == "en" ? language : "");
}
void staffel_close(staffel_node* node) { delete node; }

char* staffel_status(staffel_node* node, staffel_error** error) {
  return Guarded(error, [&] {
    admin::StatusReply reply;
    return Ask(node, "Status", admin::StatusRequest(), &reply, error);
  });
}
char* staffel_kinds(staffel_node* node, staffel_error** error) {
  return Guarded(error, [&] {
    admin::KindsReply reply;
    return Ask(node, "Kinds", admin::KindsRequest(), &reply, error);
  });
}
char* staffel_list(staffel_node* node, const char* kind, const char* page, staffel_error** error) {
  return Guarded(error, [&] {
    admin::ListRequest request;
    request.set_kind(Text(kind));
    request.set_page(Text(page));
    admin::ListReply reply;
    return Ask(node, "List", request, &reply, error);
  });
}
char* staffel_show(staffel_node* node, const char* id, staffel_error** error) {
  return Guarded(error, [&] {
    admin::ShowRequest request;
    request.set_id(Text(id));
    admin::ShowReply reply;
    return Ask(node, "Show", request, &reply, error);
  });
}
char* staffel_search(staffel_node* node, const char* query, staffel_error** error) {
  return Guarded(error, [&] {
    admin::SearchRequest request;
    request.set_query(Text(query));
    admin::SearchReply reply;
    return Ask(node, "Search", request, &reply, error);
  });
}
char* staffel_log(staffel_node* node, const char* id, staffel_error** error) {
  return Guarded(error, [&] {
    admin::LogRequest request;
    request.set_id(Text(id));
    admin::LogReply reply;
    return Ask(node, "Log", request, &reply, error);
  });
}
char* staffel_add(staffel_node* node, const char* kind, const char* fields, staffel_error** error) {
  return Guarded(error, [&] {
    admin::AddRequest request;
    request.set_kind(Text(kind));
    request.set_json(Text(fields));
    admin::ChangeReply reply;
    return Ask(node, "Add", request, &reply, error);
  });
}
char* staffel_set(staffel_node* node, const char* id, const char* fields, const char* if_version,
                  staffel_error** error) {
  return Guarded(error, [&] {
    admin::SetRequest request;
    request.set_id(Text(id));
    request.set_json(Text(fields));
    request.set_if_version(Text(if_version));
    admin::ChangeReply reply;
    return Ask(node, "Set", request, &reply, error);
  });
}
char* staffel_delete(staffel_node* node, const char* id, const char* if_version,
                     staffel_error** error) {
  return Guarded(error, [&] {
    admin::DeleteRequest request;
    request.set_id(Text(id));
    request.set_if_version(Text(if_version));
    admin::ChangeReply reply;
    return Ask(node, "Delete", request, &reply, error);
  });
}
char* staffel_restore(staffel_node* node, const char* id, staffel_error** error) {
  return Guarded(error, [&] {
    admin::RestoreRequest request;
    request.set_id(Text(id));
    admin::ChangeReply reply;
    return Ask(node, "Restore", request, &reply, error);
  });
}
char* staffel_conflicts(staffel_node* node, const char* id, const char* page,
                        staffel_error** error) {
  return Guarded(error, [&] {
    admin::ConflictsRequest request;
    request.set_id(Text(id));
    request.set_page(Text(page));
    admin::ConflictsReply reply;
    return Ask(node, "Conflicts", request, &reply, error);
  });
}
char* staffel_conflict_take(staffel_node* node, const char* id, const char* cell, const char* take,
                            const char* if_version, staffel_error** error) {
  return Guarded(error, [&] {
    admin::DecideRequest request;
    request.set_id(Text(id));
    request.set_cell(Text(cell));
    request.set_take(Text(take));
    request.set_if_version(Text(if_version));
    admin::ChangeReply reply;
    return Ask(node, "Decide", request, &reply, error);
  });
}
char* staffel_conflict_write(staffel_node* node, const char* id, const char* cell, const char* text,
                             const char* if_version, staffel_error** error) {
  return Guarded(error, [&] {
    admin::DecideRequest request;
    request.set_id(Text(id));
    request.set_cell(Text(cell));
    request.set_write(Text(text));
    request.set_if_version(Text(if_version));
    admin::ChangeReply reply;
    return Ask(node, "Decide", request, &reply, error);
  });
}

char* staffel_call(staffel_node* node, const char* method, const char* request,
                   staffel_error** error) {
  return Guarded(error, [&]() -> char* {
    const auto* service =
        admin::StatusRequest::descriptor()->file()->FindServiceByName("Administration");
    const auto* found = service->FindMethodByName(Text(method));
    if (found == nullptr) {
      SetError(error, STAFFEL_INVALID, "the administration has no call " + Text(method));
      return nullptr;
    }
    auto* factory = google::protobuf::MessageFactory::generated_factory();
    const std::unique_ptr<google::protobuf::Message> asked(
        factory->GetPrototype(found->input_type())->New());
    const std::unique_ptr<google::protobuf::Message> reply(
        factory->GetPrototype(found->output_type())->New());
    if (request != nullptr && *request != '\0') {
      const auto parsed = google::protobuf::util::JsonStringToMessage(request, asked.get());
      if (!parsed.ok()) {
        SetError(error, STAFFEL_INVALID, "the request is not right: " + parsed.ToString());
        return nullptr;
      }
    }
    return Ask(node, method, *asked, reply.get(), error);
  });
}

}  // extern "C"
