// SPDX-License-Identifier: EUPL-1.2
#include "api/people.h"

#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "core/journal/entry.h"
#include "core/projection/projection.h"
#include "core/record/json.h"

namespace staffel::api {

namespace {

constexpr std::string_view kNotice = "Demodaten – keine tatsächlichen Beschlüsse";

std::string EscapeHtml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

// Nothing of the conference but its name: whoever reaches the port may read this.
std::string StatusPage(const charter::Authority* authority, std::string_view version) {
  const std::string name = authority == nullptr ? "" : EscapeHtml(authority->name());
  std::string body;
  if (authority != nullptr && authority->demonstration()) {
    body += fmt::format("<p class=\"notice\"><strong>{}</strong></p>\n", kNotice);
  }
  body += authority == nullptr
              ? "<p>Dieser Knoten gehört noch zu keiner Konferenz.</p>\n"
                "<p lang=\"en\">This node does not belong to a conference yet.</p>\n"
              : fmt::format(
                    "<p>Ein Knoten der {0}: Kalender, Kontakte und Beschlüsse, auch ohne "
                    "Netz.</p>\n<p lang=\"en\">A node of {0}: calendars, contacts and "
                    "resolutions, also without a network.</p>\n",
                    name);
  return fmt::format(
      "<!doctype html>\n<html lang=\"de\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>Staffel{0}</title>\n<style>body{{font-family:sans-serif;max-width:40rem;"
      "margin:2rem auto;padding:0 1rem;line-height:1.5;color:#222;background:#fff}}"
      ".notice{{border:2px solid #8a5200;padding:.5rem 1rem;background:#fff4e0}}</style>\n"
      "</head>\n<body>\n<main>\n<h1>Staffel{0}</h1>\n{1}"
      "<p><small>staffeld {2}</small></p>\n</main>\n</body>\n</html>\n",
      name.empty() ? "" : " – " + name, body, version);
}

Response Answer(std::string type, std::string body) {
  Response response;
  response.headers = {{"Content-Type", std::move(type)},
                      {"Cache-Control", "no-store"},
                      {"X-Content-Type-Options", "nosniff"},
                      {"Content-Security-Policy",
                       "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"},
                      {"Referrer-Policy", "no-referrer"}};
  response.body = std::move(body);
  return response;
}

}  // namespace

void AddPeopleRoutes(Router& router, Store& store, std::string version) {
  router.Add("GET", "/", [&store, version](const Request&, const PathParameters&) {
    return Answer("text/html; charset=utf-8", StatusPage(store.authority().get(), version));
  });
  router.Add("GET", "/api/v1/hello", [&store, version](const Request&, const PathParameters&) {
    const auto authority = store.authority();
    std::string body = "{\"software\":\"staffel\",\"version\":";
    record::AppendJsonText(body, version);
    body +=
        fmt::format(",\"api\":[1],\"journal_format\":{},\"projection\":{},\"conference\":", kFormat,
                    projection::kProjectionVersion);
    if (authority == nullptr) {
      body += "null,\"notice\":null}";
    } else {
      record::AppendJsonText(body, authority->name());
      body += ",\"notice\":";
      if (authority->demonstration()) {
        record::AppendJsonText(body, kNotice);
      } else {
        body += "null";
      }
      body += "}";
    }
    return Answer("application/json", std::move(body));
  });
}

}  // namespace staffel::api
