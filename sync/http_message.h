// SPDX-License-Identifier: EUPL-1.2
// HTTP/1.1 heads and bodies as a strict reading of RFC 9112 has them: bytes in, parts out, no
// sockets. Both ends use it, the server in api/ and the transport here. Whatever two programs could
// read in two ways is refused, so that nothing can be smuggled past a proxy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

#include "core/base/bytes.h"

namespace staffel::sync {

// Names in lower case, values without surrounding blanks, in the order sent.
using HttpFields = std::vector<std::pair<std::string, std::string>>;

// What is wrong with the other side's bytes: the status a server would answer, and a sentence.
struct HttpRefusal {
  int status = 400;
  std::string detail;
};
template <typename T>
using HttpParsed = tl::expected<T, HttpRefusal>;

// The first field of this name; nothing where there is none.
[[nodiscard]] std::optional<std::string_view> FindField(const HttpFields& fields,
                                                        std::string_view name);
// Whether a comma-separated list, such as Connection's, holds this (lower-case) token.
[[nodiscard]] bool ListHasToken(std::string_view list, std::string_view token);
// Whether the text is a token (RFC 9110, section 5.6.2): a method, a field name.
[[nodiscard]] bool IsToken(std::string_view text);
// Whether the text may stand in a field's value: no control characters but the tab.
[[nodiscard]] bool IsFieldValue(std::string_view text);
// "%C3%BC" to its bytes. Nothing for a broken escape. With `plus`, "+" is a blank (queries).
[[nodiscard]] std::optional<std::string> PercentDecode(std::string_view text, bool plus);

enum class ReadState { kMore, kDone, kRefused };

// Collects the first line and the fields, up to the empty line. Holds no more than its limits,
// however the bytes arrive.
class HeadReader {
 public:
  struct Limits {
    std::size_t line_bytes_max = std::size_t{8} << 10;   // of the first line
    std::size_t head_bytes_max = std::size_t{32} << 10;  // of all lines
    std::size_t fields_max = 100;
  };
  explicit HeadReader(Limits limits) : limits_(limits) {}

  // Takes bytes from the front of `bytes` and sets `used` to their number; what follows the head
  // is left. After kDone and kRefused it takes no more.
  [[nodiscard]] ReadState Feed(ByteView bytes, std::size_t& used);

  // After kDone.
  [[nodiscard]] const std::string& first_line() const { return first_line_; }
  [[nodiscard]] HttpFields& fields() { return fields_; }
  // After kRefused.
  [[nodiscard]] const HttpRefusal& refusal() const { return refusal_; }

 private:
  ReadState Refuse(int status, std::string detail);
  ReadState EndLine();

  Limits limits_;
  ReadState state_ = ReadState::kMore;
  bool after_cr_ = false;
  bool has_first_line_ = false;
  std::size_t empty_lines_ = 0;
  std::size_t head_bytes_ = 0;
  std::string line_;
  std::string first_line_;
  HttpFields fields_;
  HttpRefusal refusal_;
};

// How many bytes follow a head.
struct BodyFraming {
  bool chunked = false;
  std::uint64_t length = 0;  // if not chunked
};

struct RequestHead {
  std::string method;
  std::string target;  // origin form: an absolute one has lost its scheme and host
  std::string path;    // decoded UTF-8
  std::vector<std::pair<std::string, std::string>> query;
  HttpFields fields;
  BodyFraming framing;
  bool keep_alive = true;
  bool expects_continue = false;
};

struct AnswerHead {
  int status = 0;
  HttpFields fields;
  // Nothing where the answer would end with the connection: that cannot be told from a cut line.
  std::optional<BodyFraming> framing;
  bool keep_alive = true;
};

inline constexpr std::size_t kQueryParametersMax = 100;
inline constexpr std::size_t kMethodBytesMax = 32;

// Refuses with the status to answer: versions, methods and targets that are none, more or less than
// one Host, both or repeated or unreadable lengths, transfer codings but chunked, paths that are
// not UTF-8, hold control characters, or have "." or ".." segments.
[[nodiscard]] HttpParsed<RequestHead> ParseRequestHead(std::string_view first_line,
                                                       HttpFields fields);
[[nodiscard]] HttpParsed<AnswerHead> ParseAnswerHead(std::string_view first_line,
                                                     HttpFields fields);

// Takes a body out of a stream of bytes, undoing the chunked coding.
class BodyReader {
 public:
  BodyReader(BodyFraming framing, std::size_t body_bytes_max);

  // As HeadReader::Feed; what it takes, less the coding, is appended to `out`. Call it once with
  // nothing to learn whether an empty body is complete. Refuses with 413 beyond the limit: at once
  // where a length was announced.
  [[nodiscard]] ReadState Feed(ByteView bytes, std::size_t& used, Bytes& out);
  [[nodiscard]] const HttpRefusal& refusal() const { return refusal_; }

 private:
  enum class Part { kData, kSizeLine, kDataEnd, kTrailers, kDone };
  ReadState Refuse(int status, std::string detail);
  // Feeds one byte to the current line. kDone when it ended, without its CR LF, in line_.
  ReadState FeedLine(char byte, std::size_t line_bytes_max);
  ReadState BeginChunk();

  bool chunked_;
  std::size_t body_bytes_max_;
  Part part_;
  std::uint64_t remaining_ = 0;  // of the body, or of the chunk
  std::uint64_t body_bytes_ = 0;
  std::size_t trailer_bytes_ = 0;
  bool after_cr_ = false;
  std::string line_;
  ReadState state_ = ReadState::kMore;
  HttpRefusal refusal_;
};

}  // namespace staffel::sync
