// SPDX-License-Identifier: EUPL-1.2
// Which handler answers which method and path. Stands between the server, which knows no paths, and
// the handlers, which know no others. Also the form of every refusal: a problem in JSON (RFC 9457).
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "api/server.h"
#include "core/base/result.h"

namespace staffel::api {

// The one table from our error codes to HTTP.
[[nodiscard]] int HttpStatus(ErrorCode code);
// "Not Found" for 404, and so on.
[[nodiscard]] std::string_view ReasonPhrase(int status);

// application/problem+json with title, status and detail; `code` (see ErrorCodeName) where there
// is one. The detail is for people and may be shown.
[[nodiscard]] Response Problem(int status, std::string_view detail, std::string_view code = {});
[[nodiscard]] Response Problem(const Error& error);

// Decoded path parameters by name.
using PathParameters = std::map<std::string, std::string, std::less<>>;
using RouteHandler = std::function<Response(const Request&, const PathParameters&)>;

// Filled before the server starts, then only read: the call operator may run on any thread.
class Router {
 public:
  // Patterns are "/admin/v1/records/{kind}/{id}": a segment in braces matches one whole, non-empty
  // segment; "{rest*}" as the last one matches all that remains, also nothing. Literal segments
  // win over parameters, parameters over the rest. Adding the same route twice is a bug.
  void Add(std::string method, std::string_view pattern, RouteHandler handler);

  // 404 for unknown paths, 405 with Allow for methods that the path does not have. Answers HEAD
  // by GET's handler and OPTIONS with Allow, where no handler of their own is there.
  [[nodiscard]] Response operator()(const Request& request) const;

 private:
  struct Segment {
    enum class Kind { kLiteral, kParameter, kRest } kind;
    std::string text;
    friend bool operator==(const Segment&, const Segment&) = default;
  };
  struct Route {
    std::vector<Segment> segments;
    std::map<std::string, RouteHandler> methods;
  };
  [[nodiscard]] const Route* Find(const std::vector<std::string>& path,
                                  PathParameters& parameters) const;
  std::vector<Route> routes_;
};

}  // namespace staffel::api
