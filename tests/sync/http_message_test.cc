// SPDX-License-Identifier: EUPL-1.2
#include "sync/http_message.h"

#include <catch2/catch.hpp>

namespace staffel::sync {
namespace {

struct Outcome {
  ReadState state;
  std::string rest;
  std::string first_line;
  HttpFields fields;
};

Outcome ReadInPieces(std::string_view bytes, std::size_t piece) {
  HeadReader reader({});
  ReadState state = ReadState::kMore;
  while (state == ReadState::kMore && !bytes.empty()) {
    std::size_t used = 0;
    state = reader.Feed(bytes.substr(0, piece), used);
    bytes.remove_prefix(used);
  }
  return {state, std::string(bytes), reader.first_line(), reader.fields()};
}

}  // namespace

TEST_CASE("a head reads the same however it is cut into pieces") {
  const std::string bytes = "\r\nGET / HTTP/1.1\r\nHost: x\r\nA:b \r\n\r\nrest";
  const Outcome whole = ReadInPieces(bytes, bytes.size());
  CHECK(whole.state == ReadState::kDone);
  CHECK(whole.first_line == "GET / HTTP/1.1");
  CHECK(whole.fields == HttpFields{{"host", "x"}, {"a", "b"}});
  CHECK(whole.rest == "rest");
  for (std::size_t piece = 1; piece < 8; ++piece) {
    const Outcome pieces = ReadInPieces(bytes, piece);
    CHECK(pieces.state == ReadState::kDone);
    CHECK(pieces.fields == whole.fields);
    CHECK(pieces.rest == "rest");
  }
}

TEST_CASE("a chunked body reads the same however it is cut into pieces") {
  const std::string bytes = "4\r\nWiki\r\n6 \r\npedia \r\nE\r\nin \r\n\r\nchunks.\r\n0\r\n\r\nrest";
  for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
    BodyReader reader({/*chunked=*/true, 0}, 1000);
    std::string_view rest = bytes;
    Bytes body;
    ReadState state = ReadState::kMore;
    while (state == ReadState::kMore && !rest.empty()) {
      std::size_t used = 0;
      state = reader.Feed(rest.substr(0, piece), used, body);
      rest.remove_prefix(used);
    }
    CHECK(state == ReadState::kDone);
    CHECK(body == "Wikipedia in \r\n\r\nchunks.");
    CHECK(rest == "rest");
  }
}

TEST_CASE("targets: absolute form loses its host, an asterisk is for OPTIONS") {
  const auto parse = [](std::string_view line) { return ParseRequestHead(line, {{"host", "x"}}); };
  CHECK(parse("GET http://x:1/a?b HTTP/1.1")->target == "/a?b");
  CHECK(parse("GET HTTPS://x HTTP/1.1")->target == "/");
  CHECK(parse("GET http://x?q=1 HTTP/1.1")->target == "/?q=1");
  CHECK(parse("OPTIONS * HTTP/1.1")->target == "*");
  CHECK_FALSE(parse("GET * HTTP/1.1"));
  CHECK_FALSE(parse("GET x HTTP/1.1"));
  CHECK_FALSE(parse("GET http:///x HTTP/1.1"));
  CHECK_FALSE(parse("GET /%4 HTTP/1.1"));
  CHECK_FALSE(parse("G(T / HTTP/1.1"));
  CHECK_FALSE(parse("GET /a/./b HTTP/1.1"));
  CHECK(parse("GET /a.b/..c/... HTTP/1.1")->path == "/a.b/..c/...");
}

TEST_CASE("tokens in lists are found whole and in any case") {
  CHECK(ListHasToken("Close", "close"));
  CHECK(ListHasToken("keep-alive ,\tCLOSE", "close"));
  CHECK_FALSE(ListHasToken("closed", "close"));
  CHECK_FALSE(ListHasToken("", "close"));
}

}  // namespace staffel::sync
