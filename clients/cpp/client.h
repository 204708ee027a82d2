// SPDX-License-Identifier: EUPL-1.2
// Asks a node: typed calls of proto/staffel/v1/admin.proto over the node's socket. What `staffel`
// and the C interface stand on. It shows nothing and keeps nothing.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include <google/protobuf/message.h>
#include <tl/expected.hpp>

#include "clients/cpp/http.h"
#include "core/base/result.h"
#include "staffel/v1/admin.pb.h"

namespace staffel::client {

namespace admin = ::staffel::v1::admin;

// A reply, or the node's refusal (also made here where the node cannot be reached).
template <typename T>
using Answer = tl::expected<T, admin::Refusal>;

// The path of the socket of `node`, a data directory or a socket; empty: STAFFEL_NODE. kInvalid
// where neither is given.
[[nodiscard]] Result<std::string> FindSocket(std::string_view node);

// One thread at a time.
class Client {
 public:
  explicit Client(std::string socket_path) : connection_(std::move(socket_path)) {}

  // Client::Call<admin::StatusReply>("Status", admin::StatusRequest()).
  template <typename Reply>
  [[nodiscard]] Answer<Reply> Call(std::string_view method,
                                   const google::protobuf::Message& request,
                                   std::chrono::seconds timeout = kTimeout) {
    Reply reply;
    auto asked = CallAny(method, request, &reply, timeout);
    if (!asked) return tl::unexpected<admin::Refusal>(std::move(asked.error()));
    return reply;
  }
  [[nodiscard]] tl::expected<void, admin::Refusal> CallAny(std::string_view method,
                                                           const google::protobuf::Message& request,
                                                           google::protobuf::Message* reply,
                                                           std::chrono::seconds timeout = kTimeout);

  // The language of refusals and of texts for people: "de" or "en"; empty, as at first: refusals in
  // English and values as programs want them.
  void set_language(std::string language) { language_ = std::move(language); }

  static constexpr std::chrono::seconds kTimeout{120};

 private:
  HttpConnection connection_;
  std::string language_;
};

// The code of a refusal; kInternal for names unknown to this version.
[[nodiscard]] ErrorCode CodeOf(const admin::Refusal& refusal);
[[nodiscard]] admin::Refusal MakeRefusal(const Error& error);

// A reply as the stable JSON of `staffel --json` (docs/formats/admin.md): members in the order of
// admin.proto, all of them present; `x_ms` becomes `x`, RFC 3339 or null; a record's `json` becomes
// the object `fields`; a message that is not set is null.
[[nodiscard]] std::string ToJson(const google::protobuf::Message& message, bool indented);
// A JSON string literal.
void AppendJsonString(std::string& out, std::string_view text);

}  // namespace staffel::client
