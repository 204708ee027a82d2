// SPDX-License-Identifier: EUPL-1.2
// HTTP over a Unix socket: one request, one answer. The only file of the client that knows how
// bytes reach the daemon; what they mean is client.h's business.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/result.h"

namespace staffel::client {

// What a node takes as one request's body (kRequestBodyBytesMax in api/server.h).
inline constexpr std::size_t kRequestBytesMax = std::size_t{16} << 20;

struct HttpReply {
  int status = 0;
  std::string content_type;
  Bytes body;
};

// One connection, kept between requests and opened again where the daemon has closed it. One thread
// at a time.
class HttpConnection {
 public:
  // Connects to nobody yet. Paths of sockets that are too long for the system are reached by way of
  // their directory.
  explicit HttpConnection(std::string socket_path);
  ~HttpConnection();
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  // kUnavailable where nobody answers at the socket or no answer comes in time, kDenied where the
  // socket may not be opened, kTooLarge before anything is sent where the body is beyond
  // kRequestBytesMax. Raises no SIGPIPE.
  // `language`: "de", "en", or nothing, for texts as programs want them.
  [[nodiscard]] Result<HttpReply> Post(std::string_view path, ByteView body,
                                       std::chrono::seconds timeout,
                                       std::string_view language = {});

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace staffel::client
