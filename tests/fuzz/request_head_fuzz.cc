// SPDX-License-Identifier: EUPL-1.2
// Whatever bytes come: the head and body of a request are read within their limits, and the same in
// one piece as byte by byte. A difference between the two would be a way to smuggle a request.
#include <cstddef>
#include <cstdint>

#include "core/base/result.h"
#include "sync/http_message.h"

namespace {

using namespace staffel;
using namespace staffel::sync;

constexpr std::size_t kBodyBytesMax = 4096;

struct Reading {
  ReadState head = ReadState::kMore;
  int parsed = 0;  // 200, or the status of the refusal
  ReadState body_state = ReadState::kMore;
  Bytes body;
  std::size_t used = 0;
  bool operator==(const Reading&) const = default;
};

Reading Read(ByteView bytes, std::size_t piece) {
  Reading reading;
  HeadReader reader({.line_bytes_max = 256, .head_bytes_max = 1024, .fields_max = 20});
  const auto feed = [&](auto&& read) {
    ReadState state = ReadState::kMore;
    do {
      std::size_t used = 0;
      state = read(bytes.substr(0, piece), used);
      bytes.remove_prefix(used);
      reading.used += used;
    } while (state == ReadState::kMore && !bytes.empty());
    return state;
  };
  reading.head = feed([&](ByteView part, std::size_t& used) { return reader.Feed(part, used); });
  STAFFEL_ASSERT(reading.used <= 1025);
  if (reading.head != ReadState::kDone) return reading;
  STAFFEL_ASSERT(reader.fields().size() <= 20);
  auto head = ParseRequestHead(reader.first_line(), std::move(reader.fields()));
  if (!head) {
    reading.parsed = head.error().status;
    STAFFEL_ASSERT(reading.parsed >= 400 && reading.parsed < 600);
    return reading;
  }
  reading.parsed = 200;
  STAFFEL_ASSERT(IsToken(head->method));
  STAFFEL_ASSERT(head->target.front() == '/' || head->target == "*");
  BodyReader body(head->framing, kBodyBytesMax);
  reading.body_state =
      feed([&](ByteView part, std::size_t& used) { return body.Feed(part, used, reading.body); });
  STAFFEL_ASSERT(reading.body.size() <= kBodyBytesMax);
  return reading;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes(reinterpret_cast<const char*>(data), size);
  const Reading whole = Read(bytes, bytes.size() + 1);
  STAFFEL_ASSERT(Read(bytes, 1) == whole);
  // The client's reading of an answer goes through the same reader: it must not fall over either.
  HeadReader reader({.line_bytes_max = 256, .head_bytes_max = 1024, .fields_max = 20});
  std::size_t used = 0;
  if (reader.Feed(bytes, used) == ReadState::kDone) {
    (void)ParseAnswerHead(reader.first_line(), std::move(reader.fields()));
  }
  return 0;
}
