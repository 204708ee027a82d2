// SPDX-License-Identifier: EUPL-1.2
#include "sync/http_message.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "core/base/text.h"

namespace staffel::sync {
namespace {

// RFC 9112 section 2.2 lets a server skip an empty line before a request; old clients send one.
constexpr std::size_t kLeadingEmptyLinesMax = 1;
constexpr std::size_t kChunkLineBytesMax = 256;
constexpr std::size_t kTrailerBytesMax = std::size_t{8} << 10;
constexpr std::size_t kChunkSizeDigitsMax = 15;
constexpr std::size_t kLengthDigitsMax = 18;

bool IsTokenByte(char byte) {
  if ((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
      (byte >= '0' && byte <= '9')) {
    return true;
  }
  return byte != '\0' && std::string_view("!#$%&'*+-.^_`|~").find(byte) != std::string_view::npos;
}

bool IsControl(char byte) { return static_cast<unsigned char>(byte) < 0x20 || byte == 0x7f; }

char Lower(char byte) {
  return byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte - 'A' + 'a') : byte;
}

std::string LowerAll(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), Lower);
  return lower;
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

int HexDigit(char byte) {
  if (byte >= '0' && byte <= '9') return byte - '0';
  const char lower = Lower(byte);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

tl::unexpected<HttpRefusal> Refused(int status, std::string detail) {
  return tl::unexpected<HttpRefusal>(HttpRefusal{status, std::move(detail)});
}

std::size_t CountFields(const HttpFields& fields, std::string_view name) {
  return static_cast<std::size_t>(
      std::count_if(fields.begin(), fields.end(), [&](const auto& f) { return f.first == name; }));
}

bool KeepsAlive(bool version_1_0, const HttpFields& fields) {
  bool close = false;
  bool keep = false;
  for (const auto& [name, value] : fields) {
    if (name != "connection") continue;
    close = close || ListHasToken(value, "close");
    keep = keep || ListHasToken(value, "keep-alive");
  }
  return !close && (keep || !version_1_0);
}

// Nothing announced: no value.
HttpParsed<std::optional<BodyFraming>> ParseFraming(bool version_1_0, const HttpFields& fields) {
  const std::size_t codings = CountFields(fields, "transfer-encoding");
  const std::size_t lengths = CountFields(fields, "content-length");
  if (codings > 0 && lengths > 0) {
    return Refused(400, "both Transfer-Encoding and Content-Length are given");
  }
  if (codings > 0) {
    if (version_1_0) return Refused(400, "HTTP/1.0 has no Transfer-Encoding");
    const std::string_view value = *FindField(fields, "transfer-encoding");
    if (codings > 1 || LowerAll(value) != "chunked") {
      return Refused(501, "the only transfer coding known here is chunked");
    }
    return std::optional<BodyFraming>(BodyFraming{/*chunked=*/true, 0});
  }
  if (lengths == 0) return std::optional<BodyFraming>();
  const std::string_view value = *FindField(fields, "content-length");
  if (lengths > 1 || value.empty() || value.size() > kLengthDigitsMax ||
      !std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    return Refused(400, "Content-Length is not one number");
  }
  std::uint64_t length = 0;
  for (const char digit : value) length = length * 10 + static_cast<std::uint64_t>(digit - '0');
  return std::optional<BodyFraming>(BodyFraming{/*chunked=*/false, length});
}

// "http://host/path" to "/path" (RFC 9112 section 3.2.2: a server takes both).
std::optional<std::string> OriginForm(std::string_view target) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (LowerAll(target.substr(0, scheme.size())) != scheme) continue;
    const std::string_view rest = target.substr(scheme.size());
    const std::size_t slash = rest.find_first_of("/?");
    if (rest.empty() || slash == 0) return std::nullopt;
    if (slash == std::string_view::npos) return "/";
    return (rest[slash] == '?' ? "/" : "") + std::string(rest.substr(slash));
  }
  if (target.empty() || target.front() != '/') return std::nullopt;
  return std::string(target);
}

bool HasDotSegment(std::string_view path) {
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/'), path.size());
    const std::string_view segment = path.substr(0, end);
    if (segment == "." || segment == "..") return true;
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return false;
}

HttpParsed<void> ParseTarget(RequestHead& head) {
  const std::size_t mark = head.target.find('?');
  const std::string_view raw_path = std::string_view(head.target).substr(0, mark);
  auto path = PercentDecode(raw_path, /*plus=*/false);
  if (!path || !IsUtf8(*path) || std::any_of(path->begin(), path->end(), IsControl)) {
    return Refused(400, "the path is not percent-encoded UTF-8 without control characters");
  }
  if (HasDotSegment(*path)) return Refused(400, "the path has a '.' or '..' segment");
  head.path = *std::move(path);
  if (mark == std::string::npos) return {};
  std::string_view rest = std::string_view(head.target).substr(mark + 1);
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('&'), rest.size());
    const std::string_view pair = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    auto name = PercentDecode(pair.substr(0, equals), /*plus=*/true);
    auto value = PercentDecode(pair.substr(std::min(equals + 1, pair.size())), /*plus=*/true);
    if (!name || !value || !IsUtf8(*name) || !IsUtf8(*value)) {
      return Refused(400, "the query is not percent-encoded UTF-8");
    }
    if (head.query.size() == kQueryParametersMax) {
      return Refused(400, fmt::format("more than {} query parameters", kQueryParametersMax));
    }
    head.query.emplace_back(*std::move(name), *std::move(value));
  }
  return {};
}

}  // namespace

std::optional<std::string_view> FindField(const HttpFields& fields, std::string_view name) {
  for (const auto& [field, value] : fields) {
    if (field == name) return value;
  }
  return std::nullopt;
}

bool ListHasToken(std::string_view list, std::string_view token) {
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(','), list.size());
    if (LowerAll(Trim(list.substr(0, end))) == token) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

bool IsToken(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), IsTokenByte);
}

bool IsFieldValue(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) { return IsControl(c) && c != '\t'; });
}

std::optional<std::string> PercentDecode(std::string_view text, bool plus) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded.push_back(plus && text[i] == '+' ? ' ' : text[i]);
      continue;
    }
    if (text.size() - i < 3) return std::nullopt;
    const int high = HexDigit(text[i + 1]);
    const int low = HexDigit(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    decoded.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return decoded;
}

ReadState HeadReader::Refuse(int status, std::string detail) {
  refusal_ = {status, std::move(detail)};
  return state_ = ReadState::kRefused;
}

ReadState HeadReader::Feed(ByteView bytes, std::size_t& used) {
  used = 0;
  while (state_ == ReadState::kMore && used < bytes.size()) {
    const char byte = bytes[used++];
    if (++head_bytes_ > limits_.head_bytes_max) {
      return Refuse(431, fmt::format("the head is longer than {} bytes", limits_.head_bytes_max));
    }
    if (after_cr_) {
      if (byte != '\n') return Refuse(400, "a CR without LF in the head");
      after_cr_ = false;
      if (EndLine() != ReadState::kMore) break;
      continue;
    }
    if (byte == '\r') {
      after_cr_ = true;
      continue;
    }
    if (byte == '\n') return Refuse(400, "an LF without CR in the head");
    if (IsControl(byte) && byte != '\t') return Refuse(400, "a control character in the head");
    if (!has_first_line_ && line_.size() >= limits_.line_bytes_max) {
      return Refuse(414,
                    fmt::format("the first line is longer than {} bytes", limits_.line_bytes_max));
    }
    line_.push_back(byte);
  }
  return state_;
}

ReadState HeadReader::EndLine() {
  if (!has_first_line_) {
    if (line_.empty()) {
      if (++empty_lines_ > kLeadingEmptyLinesMax) return Refuse(400, "an empty first line");
      return state_;
    }
    first_line_ = std::move(line_);
    line_.clear();
    has_first_line_ = true;
    return state_;
  }
  if (line_.empty()) return state_ = ReadState::kDone;
  if (fields_.size() >= limits_.fields_max) {
    return Refuse(431, fmt::format("more than {} fields in the head", limits_.fields_max));
  }
  // A continued line begins with a blank, a field with a blank before the colon hides its name:
  // both are no tokens, and refused.
  const std::size_t colon = std::min(line_.find(':'), line_.size());
  const std::string_view name = std::string_view(line_).substr(0, colon);
  if (colon == line_.size() || !IsToken(name)) return Refuse(400, "a field without a proper name");
  fields_.emplace_back(LowerAll(name),
                       std::string(Trim(std::string_view(line_).substr(colon + 1))));
  line_.clear();
  return state_;
}

HttpParsed<RequestHead> ParseRequestHead(std::string_view first_line, HttpFields fields) {
  const std::size_t first = first_line.find(' ');
  const std::size_t last = first_line.rfind(' ');
  if (first == std::string_view::npos || first == last || first_line.find(' ', first + 1) != last) {
    return Refused(400, "the request line is not: method, target, version");
  }
  RequestHead head;
  head.method = first_line.substr(0, first);
  const std::string_view target = first_line.substr(first + 1, last - first - 1);
  const std::string_view version = first_line.substr(last + 1);
  if (!IsToken(head.method) || head.method.size() > kMethodBytesMax) {
    return Refused(400, "the method is not a short token");
  }
  const bool version_1_0 = version == "HTTP/1.0";
  if (!version_1_0 && version != "HTTP/1.1") {
    const bool other = version.substr(0, 5) == "HTTP/";
    return Refused(other ? 505 : 400, "the version is not HTTP/1.1");
  }
  if (head.method == "CONNECT") return Refused(501, "this is not a proxy");
  const std::size_t hosts = CountFields(fields, "host");
  if (hosts > 1 || (hosts == 0 && !version_1_0)) return Refused(400, "not exactly one Host");

  if (target == "*" && head.method == "OPTIONS") {
    head.target = head.path = "*";
  } else {
    auto origin = OriginForm(target);
    if (!origin) return Refused(400, "the target is not a path");
    head.target = *std::move(origin);
    if (auto parsed = ParseTarget(head); !parsed) {
      return tl::unexpected<HttpRefusal>(std::move(parsed.error()));
    }
  }
  auto framing = ParseFraming(version_1_0, fields);
  if (!framing) return tl::unexpected<HttpRefusal>(std::move(framing.error()));
  head.framing = framing->value_or(BodyFraming{});
  if (const auto expect = FindField(fields, "expect")) {
    if (LowerAll(*expect) != "100-continue" || CountFields(fields, "expect") > 1) {
      return Refused(417, "the only expectation known here is 100-continue");
    }
    head.expects_continue = !version_1_0;
  }
  head.keep_alive = KeepsAlive(version_1_0, fields);
  head.fields = std::move(fields);
  return head;
}

HttpParsed<AnswerHead> ParseAnswerHead(std::string_view first_line, HttpFields fields) {
  const std::string_view version = first_line.substr(0, first_line.find(' '));
  const bool version_1_0 = version == "HTTP/1.0";
  const std::string_view digits =
      first_line.substr(std::min(version.size() + 1, first_line.size()));
  if ((!version_1_0 && version != "HTTP/1.1") || digits.size() < 3 ||
      !std::all_of(digits.begin(), digits.begin() + 3,
                   [](char c) { return c >= '0' && c <= '9'; }) ||
      (digits.size() > 3 && digits[3] != ' ') || digits[0] == '0') {
    return Refused(502, "the first line of the answer is not HTTP/1.1 with a status");
  }
  AnswerHead head;
  head.status = (digits[0] - '0') * 100 + (digits[1] - '0') * 10 + (digits[2] - '0');
  auto framing = ParseFraming(version_1_0, fields);
  if (!framing) return tl::unexpected<HttpRefusal>(std::move(framing.error()));
  head.framing = *framing;
  head.keep_alive = KeepsAlive(version_1_0, fields);
  head.fields = std::move(fields);
  return head;
}

BodyReader::BodyReader(BodyFraming framing, std::size_t body_bytes_max)
    : chunked_(framing.chunked),
      body_bytes_max_(body_bytes_max),
      part_(framing.chunked ? Part::kSizeLine : Part::kData),
      remaining_(framing.length) {}

ReadState BodyReader::Refuse(int status, std::string detail) {
  refusal_ = {status, std::move(detail)};
  return state_ = ReadState::kRefused;
}

ReadState BodyReader::Feed(ByteView bytes, std::size_t& used, Bytes& out) {
  used = 0;
  if (state_ != ReadState::kMore) return state_;
  if (part_ == Part::kData && remaining_ > body_bytes_max_ - body_bytes_) {
    return Refuse(413, fmt::format("the body is longer than {} bytes", body_bytes_max_));
  }
  if (!chunked_ && remaining_ == 0) return state_ = ReadState::kDone;
  while (used < bytes.size()) {
    if (part_ == Part::kData) {
      const std::size_t size =
          static_cast<std::size_t>(std::min<std::uint64_t>(remaining_, bytes.size() - used));
      out.append(bytes.substr(used, size));
      used += size;
      body_bytes_ += size;
      remaining_ -= size;
      if (remaining_ > 0) continue;
      if (!chunked_) return state_ = ReadState::kDone;
      part_ = Part::kDataEnd;
      continue;
    }
    const std::size_t line_bytes_max = part_ == Part::kDataEnd    ? 0
                                       : part_ == Part::kSizeLine ? kChunkLineBytesMax
                                                                  : kTrailerBytesMax;
    if (part_ == Part::kTrailers && ++trailer_bytes_ > kTrailerBytesMax) {
      return Refuse(431, "too many trailers after the chunks");
    }
    const ReadState line = FeedLine(bytes[used++], line_bytes_max);
    if (line == ReadState::kRefused) return state_;
    if (line == ReadState::kMore) continue;
    if (part_ == Part::kDataEnd) {
      part_ = Part::kSizeLine;
    } else if (part_ == Part::kTrailers) {
      // Trailers are read past and dropped: nothing of ours is ever in one.
      if (line_.empty()) return state_ = ReadState::kDone;
    } else if (BeginChunk() == ReadState::kRefused) {
      return state_;
    }
    line_.clear();
  }
  return state_;
}

ReadState BodyReader::FeedLine(char byte, std::size_t line_bytes_max) {
  if (after_cr_) {
    if (byte != '\n') return Refuse(400, "a CR without LF in the chunked coding");
    after_cr_ = false;
    return ReadState::kDone;
  }
  if (byte == '\r') {
    after_cr_ = true;
    return ReadState::kMore;
  }
  if (IsControl(byte) && byte != '\t') {
    return Refuse(400, "a control character in the chunked coding");
  }
  if (line_.size() >= line_bytes_max) {
    return Refuse(400, "a line of the chunked coding is longer than it may be");
  }
  line_.push_back(byte);
  return ReadState::kMore;
}

ReadState BodyReader::BeginChunk() {
  const std::string_view line = line_;
  std::string_view size = line.substr(0, line.find(';'));
  while (!size.empty() && (size.back() == ' ' || size.back() == '\t')) size.remove_suffix(1);
  if (size.empty() || size.size() > kChunkSizeDigitsMax ||
      !std::all_of(size.begin(), size.end(), [](char c) { return HexDigit(c) >= 0; })) {
    return Refuse(400, "the size of a chunk is not a hexadecimal number");
  }
  remaining_ = 0;
  for (const char digit : size) {
    remaining_ = remaining_ * 16 + static_cast<std::uint64_t>(HexDigit(digit));
  }
  if (remaining_ == 0) {
    part_ = Part::kTrailers;
    return state_;
  }
  if (remaining_ > body_bytes_max_ - body_bytes_) {
    return Refuse(413, fmt::format("the body is longer than {} bytes", body_bytes_max_));
  }
  part_ = Part::kData;
  return state_;
}

}  // namespace staffel::sync
