// SPDX-License-Identifier: EUPL-1.2
#include "api/router.h"

#include <catch2/catch.hpp>

#include "sync/http_message.h"

namespace staffel::api {
namespace {

RouteHandler Say(std::string name) {
  return [name](const Request&, const PathParameters& parameters) {
    Response response;
    response.body = name;
    for (const auto& [key, value] : parameters) response.body += " " + key + "=" + value;
    return response;
  };
}

Router Sample() {
  Router router;
  router.Add("GET", "/", Say("root"));
  router.Add("GET", "/v1/{kind}/{id}", Say("one"));
  router.Add("DELETE", "/v1/{kind}/{id}", Say("delete"));
  router.Add("GET", "/v1/status/now", Say("literal"));
  router.Add("PROPFIND", "/dav/{rest*}", Say("dav"));
  router.Add("GET", "/{rest*}", Say("web"));
  return router;
}

Response Ask(std::string method, std::string target) {
  Request request;
  request.method = std::move(method);
  request.path = request.target = std::move(target);
  return Sample()(request);
}

}  // namespace

TEST_CASE("routes: literal before parameter before rest") {
  CHECK(Ask("GET", "/").body == "root");
  CHECK(Ask("GET", "/v1/status/now").body == "literal");
  CHECK(Ask("GET", "/v1/status/then").body == "one id=then kind=status");
  CHECK(Ask("GET", "/v1/person/4%2Fa?x=/y").body == "one id=4/a kind=person");
  CHECK(Ask("GET", "/v1/person/").body == "web rest=v1/person/");
  CHECK(Ask("PROPFIND", "/dav/").body == "dav rest=");
  CHECK(Ask("PROPFIND", "/dav/a/b").body == "dav rest=a/b");
  CHECK(Ask("GET", "/app/main.js").body == "web rest=app/main.js");
}

TEST_CASE("routes: what is not there is a problem in JSON, and says what is") {
  Router router;
  router.Add("GET", "/only", Say("only"));
  Request request;
  request.method = "GET";
  request.path = request.target = "/ot\"her";
  const auto missing = router(request);
  CHECK(missing.status == 404);
  CHECK(sync::FindField(missing.headers, "Content-Type") == "application/problem+json");
  CHECK(missing.body.find(R"("detail":"There is nothing at /ot\"her.")") != std::string::npos);
  const auto wrong = Ask("PUT", "/v1/a/b");
  CHECK(wrong.status == 405);
  CHECK(sync::FindField(wrong.headers, "Allow") == "DELETE, GET, HEAD, OPTIONS");
  CHECK(Ask("OPTIONS", "/v1/a/b").status == 204);
  CHECK(Ask("HEAD", "/v1/a/b").body == "one id=b kind=a");
  CHECK(Ask("OPTIONS", "*").status == 204);
}

TEST_CASE("problems: an error keeps its name and sentence, and stays JSON") {
  const auto problem = Problem(Error{ErrorCode::kDenied, "nicht \"hier\"\n"});
  CHECK(problem.status == 403);
  CHECK(problem.body ==
        "{\"title\":\"Forbidden\",\"status\":403,\"code\":\"denied\","
        "\"detail\":\"nicht \\\"hier\\\"\\u000a\"}\n");
  CHECK(Problem(400, "\xff").body.find('\xff') == std::string::npos);
}

}  // namespace staffel::api
