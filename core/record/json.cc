// SPDX-License-Identifier: EUPL-1.2
#include "core/record/json.h"

#include <algorithm>
#include <iterator>

#include <nlohmann/json.hpp>

#include "core/base/text.h"

namespace staffel::record {
namespace {

// Hands the parser its bytes and remembers how far it has come: nlohmann's events carry no places.
class TrackingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  TrackingIterator(const char* at, const char** furthest) : at_(at), furthest_(furthest) {}
  reference operator*() const { return *at_; }
  TrackingIterator& operator++() {
    *furthest_ = ++at_;
    return *this;
  }
  TrackingIterator operator++(int) {
    TrackingIterator before = *this;
    ++*this;
    return before;
  }
  friend bool operator==(const TrackingIterator& a, const TrackingIterator& b) {
    return a.at_ == b.at_;
  }

 private:
  const char* at_;
  const char** furthest_;
};

// What the parser says is for programmers: keep the part behind the place, without odd bytes.
std::string PlainMessage(std::string_view what) {
  const std::size_t place = what.find("column ");
  const std::size_t colon = what.find(": ", place == std::string_view::npos ? 0 : place);
  if (colon != std::string_view::npos) what.remove_prefix(colon + 2);
  std::string plain;
  for (char c : what.substr(0, 200)) plain.push_back(c >= 32 && c < 127 ? c : '?');
  return plain;
}

// Builds JsonValues from nlohmann's events and stops at the first thing we do not take.
class Builder final : public nlohmann::json_sax<nlohmann::json> {
 public:
  Builder(std::string_view text, const char** furthest) : text_(text), furthest_(furthest) {}

  bool null() override { return Add({}) != nullptr; }
  bool boolean(bool truth) override {
    JsonValue value;
    value.type = JsonType::kBool;
    value.truth = truth;
    return Add(std::move(value)) != nullptr;
  }
  bool number_integer(number_integer_t number) override {
    // Only negative ones come here.
    return AddInteger(static_cast<std::uint64_t>(-(number + 1)) + 1, /*negative=*/true);
  }
  bool number_unsigned(number_unsigned_t number) override {
    return AddInteger(number, /*negative=*/false);
  }
  bool number_float(number_float_t, const string_t& written) override {
    JsonValue value;
    value.type = JsonType::kFraction;
    value.text = written;
    return Add(std::move(value)) != nullptr;
  }
  bool string(string_t& text) override {
    JsonValue value;
    value.type = JsonType::kText;
    value.text = std::move(text);
    return Add(std::move(value)) != nullptr;
  }
  bool binary(binary_t&) override { return Stop("binary data is not JSON"); }
  bool start_object(std::size_t) override { return Open(JsonType::kObject); }
  bool start_array(std::size_t) override { return Open(JsonType::kArray); }
  bool key(string_t& name) override {
    key_ = std::move(name);
    return true;
  }
  bool end_array() override {
    open_.pop_back();
    return true;
  }
  bool end_object() override {
    const JsonValue& object = *open_.back();
    std::vector<std::string_view> names;
    for (const auto& [name, unused] : object.members) names.push_back(name);
    std::sort(names.begin(), names.end());
    const auto twice = std::adjacent_find(names.begin(), names.end());
    if (twice != names.end()) return Stop(fmt::format("the name '{}' stands there twice", *twice));
    open_.pop_back();
    return true;
  }
  bool parse_error(std::size_t, const std::string&,
                   const nlohmann::detail::exception& error) override {
    return Stop("not JSON: " + PlainMessage(error.what()));
  }

  Result<JsonValue> Take() {
    if (!error_.message.empty()) return tl::unexpected<Error>(std::move(error_));
    return std::move(root_);
  }

 private:
  std::size_t Offset() const { return static_cast<std::size_t>(*furthest_ - text_.data()); }

  bool Stop(const std::string& what, ErrorCode code = ErrorCode::kInvalid) {
    if (error_.message.empty()) error_ = {code, JsonPlace(text_, Offset()) + ": " + what};
    return false;
  }
  bool AddInteger(std::uint64_t magnitude, bool negative) {
    JsonValue value;
    value.type = JsonType::kInteger;
    value.integer = magnitude;
    value.negative = negative;
    return Add(std::move(value)) != nullptr;
  }
  JsonValue* Add(JsonValue value) {
    value.offset = Offset();
    if (++values_ > kJsonValuesMax) {
      Stop(fmt::format("more than {} values", kJsonValuesMax), ErrorCode::kTooLarge);
      return nullptr;
    }
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    JsonValue& parent = *open_.back();
    if (parent.type == JsonType::kArray) return &parent.items.emplace_back(std::move(value));
    return &parent.members.emplace_back(std::move(key_), std::move(value)).second;
  }
  bool Open(JsonType type) {
    if (open_.size() >= kJsonDepthMax) {
      return Stop(fmt::format("nested deeper than {}", kJsonDepthMax), ErrorCode::kTooLarge);
    }
    JsonValue value;
    value.type = type;
    // The pointer stays good: while a value is open, nothing is added to what holds it.
    JsonValue* added = Add(std::move(value));
    if (added == nullptr) return false;
    open_.push_back(added);
    return true;
  }

  std::string_view text_;
  const char** furthest_;
  JsonValue root_;
  std::vector<JsonValue*> open_;
  std::string key_;
  std::size_t values_ = 0;
  Error error_;
};

}  // namespace

JsonValue::JsonValue() = default;
JsonValue::JsonValue(const JsonValue&) = default;
JsonValue::JsonValue(JsonValue&&) noexcept = default;
JsonValue& JsonValue::operator=(const JsonValue&) = default;
JsonValue& JsonValue::operator=(JsonValue&&) noexcept = default;
JsonValue::~JsonValue() = default;

const JsonValue* JsonValue::Find(std::string_view name) const {
  for (const auto& [member, value] : members) {
    if (member == name) return &value;
  }
  return nullptr;
}

std::string_view JsonValue::TypeName() const {
  switch (type) {
    case JsonType::kNull:
      return "null";
    case JsonType::kBool:
      return "true or false";
    case JsonType::kInteger:
      return "a number";
    case JsonType::kFraction:
      return "a fraction";
    case JsonType::kText:
      return "text";
    case JsonType::kArray:
      return "a list";
    case JsonType::kObject:
      return "an object";
  }
  return "";
}

Result<JsonValue> ParseJson(std::string_view text) {
  if (text.size() > kJsonBytesMax) {
    return Fail(ErrorCode::kTooLarge, "the JSON has {} bytes; {} are allowed", text.size(),
                kJsonBytesMax);
  }
  if (text.empty()) return Fail(ErrorCode::kInvalid, "line 1, column 1: there is no JSON here");
  const char* furthest = text.data();
  Builder builder(text, &furthest);
  const bool parsed =
      nlohmann::json::sax_parse(TrackingIterator(text.data(), &furthest),
                                TrackingIterator(text.data() + text.size(), &furthest), &builder);
  auto value = builder.Take();
  if (!parsed && value) return Fail(ErrorCode::kInvalid, "line 1, column 1: not JSON");
  return value;
}

std::string JsonPlace(std::string_view text, std::size_t offset) {
  offset = std::min(offset, text.size());
  std::size_t line = 1;
  std::size_t column = 1;
  for (std::size_t i = 0; i < offset; ++i) {
    if (text[i] == '\n') {
      ++line;
      column = 1;
    } else if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) {
      ++column;  // characters, not bytes: what an editor counts
    }
  }
  return fmt::format("line {}, column {}", line, column);
}

JsonValue JsonText(std::string text, bool loose) {
  JsonValue value;
  value.type = JsonType::kText;
  value.text = std::move(text);
  value.loose = loose;
  return value;
}

void AppendJsonText(std::string& out, std::string_view text) {
  out.push_back('"');
  const bool well_formed = IsUtf8(text);
  for (char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
          out += fmt::format("\\u{:04x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
        } else if (!well_formed && static_cast<unsigned char>(c) >= 0x80) {
          out += "\xEF\xBF\xBD";
        } else {
          out.push_back(c);
        }
    }
  }
  out.push_back('"');
}

}  // namespace staffel::record
