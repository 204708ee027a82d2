// SPDX-License-Identifier: EUPL-1.2
#include "api/router.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "core/base/text.h"
#include "sync/http_message.h"

namespace staffel::api {
namespace {

void AppendJsonString(std::string& json, std::string_view text) {
  json.push_back('"');
  for (const char byte : text) {
    if (byte == '"' || byte == '\\') {
      json.push_back('\\');
      json.push_back(byte);
    } else if (static_cast<unsigned char>(byte) < 0x20) {
      json += fmt::format("\\u{:04x}", static_cast<unsigned>(byte));
    } else {
      json.push_back(byte);
    }
  }
  json.push_back('"');
}

// The raw path is split before it is decoded: an escaped slash belongs to its segment.
std::optional<std::vector<std::string>> SplitPath(std::string_view target) {
  std::string_view path = target.substr(0, target.find('?'));
  if (path.empty() || path.front() != '/') return std::nullopt;
  path.remove_prefix(1);
  std::vector<std::string> segments;
  while (true) {
    const std::size_t end = std::min(path.find('/'), path.size());
    auto segment = sync::PercentDecode(path.substr(0, end), /*plus=*/false);
    if (!segment) return std::nullopt;
    segments.push_back(*std::move(segment));
    if (end == path.size()) return segments;
    path.remove_prefix(end + 1);
  }
}

std::string AllowedMethods(const std::map<std::string, RouteHandler>& methods) {
  std::string allowed;
  for (const auto& [method, handler] : methods) {
    allowed += (allowed.empty() ? "" : ", ") + method;
  }
  if (methods.contains("GET") && !methods.contains("HEAD")) allowed += ", HEAD";
  if (!methods.contains("OPTIONS")) allowed += ", OPTIONS";
  return allowed;
}

}  // namespace

int HttpStatus(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalid:
      return 400;
    case ErrorCode::kNotFound:
      return 404;
    case ErrorCode::kExists:
      return 409;
    case ErrorCode::kDenied:
      return 403;
    case ErrorCode::kConflict:
      return 412;
    case ErrorCode::kTooLarge:
      return 413;
    case ErrorCode::kUnsupported:
      return 501;
    case ErrorCode::kUnavailable:
      return 503;
    case ErrorCode::kStorage:
      return 507;
    case ErrorCode::kCorrupt:
      return 422;
    case ErrorCode::kInternal:
      return 500;
  }
  return 500;
}

std::string_view ReasonPhrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 204:
      return "No Content";
    case 207:
      return "Multi-Status";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Content";
    case 423:
      return "Locked";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    case 507:
      return "Insufficient Storage";
    default:
      return status < 400 ? "OK" : status < 500 ? "Bad Request" : "Internal Server Error";
  }
}

Response Problem(int status, std::string_view detail, std::string_view code) {
  Response response;
  response.status = status;
  response.headers.emplace_back("Content-Type", "application/problem+json");
  response.body = "{\"title\":";
  AppendJsonString(response.body, ReasonPhrase(status));
  response.body += fmt::format(",\"status\":{}", status);
  if (!code.empty()) {
    response.body += ",\"code\":";
    AppendJsonString(response.body, code);
  }
  response.body += ",\"detail\":";
  // A detail may quote the asker's bytes; JSON is UTF-8 whatever they were.
  AppendJsonString(response.body, IsUtf8(detail) ? detail : "the detail is not UTF-8");
  response.body += "}\n";
  return response;
}

Response Problem(const Error& error) {
  return Problem(HttpStatus(error.code), error.message, ErrorCodeName(error.code));
}

void Router::Add(std::string method, std::string_view pattern, RouteHandler handler) {
  STAFFEL_ASSERT(pattern.starts_with('/'));
  std::vector<Segment> segments;
  std::string_view rest = pattern.substr(1);
  while (true) {
    const std::size_t end = std::min(rest.find('/'), rest.size());
    std::string_view text = rest.substr(0, end);
    Segment segment{Segment::Kind::kLiteral, std::string(text)};
    if (text.size() > 2 && text.front() == '{' && text.back() == '}') {
      text = text.substr(1, text.size() - 2);
      segment.kind = text.back() == '*' ? Segment::Kind::kRest : Segment::Kind::kParameter;
      if (text.back() == '*') text.remove_suffix(1);
      segment.text = text;
    }
    STAFFEL_ASSERT(segment.kind != Segment::Kind::kRest || end == rest.size());
    segments.push_back(std::move(segment));
    if (end == rest.size()) break;
    rest.remove_prefix(end + 1);
  }
  auto route = std::find_if(routes_.begin(), routes_.end(),
                            [&](const Route& known) { return known.segments == segments; });
  if (route == routes_.end()) {
    route = routes_.insert(routes_.end(), Route{std::move(segments), {}});
  }
  const bool added = route->methods.emplace(std::move(method), std::move(handler)).second;
  STAFFEL_ASSERT(added);
}

const Router::Route* Router::Find(const std::vector<std::string>& path,
                                  PathParameters& parameters) const {
  const Route* best = nullptr;
  for (const Route& route : routes_) {
    PathParameters found;
    bool matches = true;
    std::size_t i = 0;
    for (; matches && i < route.segments.size(); ++i) {
      const Segment& segment = route.segments[i];
      if (segment.kind == Segment::Kind::kRest) {
        std::string rest;
        for (std::size_t j = i; j < path.size(); ++j) rest += (j > i ? "/" : "") + path[j];
        found.emplace(segment.text, std::move(rest));
        break;
      }
      matches =
          i < path.size() &&
          (segment.kind == Segment::Kind::kLiteral ? segment.text == path[i] : !path[i].empty());
      if (matches && segment.kind == Segment::Kind::kParameter) {
        found.emplace(segment.text, path[i]);
      }
    }
    const bool has_rest =
        !route.segments.empty() && route.segments.back().kind == Segment::Kind::kRest;
    if (!matches || (!has_rest && path.size() != route.segments.size())) continue;
    // Compared segment by segment, the kinds in their order: literal, parameter, rest.
    const auto before = [](const Segment& a, const Segment& b) { return a.kind < b.kind; };
    if (best == nullptr ||
        std::lexicographical_compare(route.segments.begin(), route.segments.end(),
                                     best->segments.begin(), best->segments.end(), before)) {
      best = &route;
      parameters = std::move(found);
    }
  }
  return best;
}

Response Router::operator()(const Request& request) const {
  if (request.target == "*") {
    Response response;
    response.status = 204;
    return response;
  }
  const auto path = SplitPath(request.target);
  PathParameters parameters;
  const Route* route = path ? Find(*path, parameters) : nullptr;
  if (route == nullptr) {
    return Problem(404, fmt::format("There is nothing at {}.", request.path), "not-found");
  }
  auto handler = route->methods.find(request.method);
  if (handler == route->methods.end() && request.method == "HEAD") {
    handler = route->methods.find("GET");
  }
  if (handler != route->methods.end()) return handler->second(request, parameters);
  Response response;
  if (request.method == "OPTIONS") {
    response.status = 204;
  } else {
    response = Problem(405, fmt::format("{} has no method {}.", request.path, request.method),
                       "unsupported");
  }
  response.headers.emplace_back("Allow", AllowedMethods(route->methods));
  return response;
}

}  // namespace staffel::api
