// SPDX-License-Identifier: EUPL-1.2
#include <cstddef>
#include <string>

#include <google/protobuf/descriptor.h>

#include "clients/cpp/client.h"
#include "core/base/bytes.h"
#include "core/base/time.h"

namespace staffel::client {

namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

class Writer {
 public:
  explicit Writer(bool indented) : indented_(indented) {}

  void Object(const Message& message) {
    const auto* descriptor = message.GetDescriptor();
    out_ += '{';
    ++depth_;
    for (int i = 0; i < descriptor->field_count(); ++i) {
      if (i > 0) out_ += ',';
      NewLine();
      Member(message, *descriptor->field(i));
    }
    --depth_;
    if (descriptor->field_count() > 0) NewLine();
    out_ += '}';
  }
  std::string Take() { return std::move(out_); }

 private:
  void NewLine() {
    if (!indented_) return;
    out_ += '\n';
    out_.append(2 * depth_, ' ');
  }

  void Member(const Message& message, const FieldDescriptor& field) {
    std::string name = field.name();
    const bool is_time = name.ends_with("_ms") && name != "wait_ms";
    if (is_time) name.resize(name.size() - 3);
    // A record's own fields, written by the node; here they become an object.
    const bool is_json = name == "json" && field.type() == FieldDescriptor::TYPE_STRING;
    if (is_json) name = "fields";
    AppendJsonString(out_, name);
    out_ += indented_ ? ": " : ":";
    const Reflection& reflection = *message.GetReflection();
    if (is_json) {
      const std::string text = reflection.GetString(message, &field);
      out_ += text.empty() ? "{}" : text;
      return;
    }
    if (is_time) {
      const auto time = reflection.GetUInt64(message, &field);
      if (time == 0) {
        out_ += "null";
      } else {
        AppendJsonString(out_, FormatTimeUtc(TimeMs{time}));
      }
      return;
    }
    if (!field.is_repeated()) {
      if (field.message_type() != nullptr && !reflection.HasField(message, &field)) {
        out_ += "null";
      } else if (field.real_containing_oneof() != nullptr &&
                 !reflection.HasField(message, &field)) {
        out_ += "null";
      } else {
        Value(message, field, -1);
      }
      return;
    }
    out_ += '[';
    const int count = reflection.FieldSize(message, &field);
    ++depth_;
    for (int i = 0; i < count; ++i) {
      if (i > 0) out_ += ',';
      NewLine();
      Value(message, field, i);
    }
    --depth_;
    if (count > 0) NewLine();
    out_ += ']';
  }

  void Value(const Message& message, const FieldDescriptor& field, int index) {
    const Reflection& reflection = *message.GetReflection();
    const bool repeated = index >= 0;
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_MESSAGE:
        Object(repeated ? reflection.GetRepeatedMessage(message, &field, index)
                        : reflection.GetMessage(message, &field));
        return;
      case FieldDescriptor::CPPTYPE_STRING:
        AppendJsonString(out_, repeated ? reflection.GetRepeatedString(message, &field, index)
                                        : reflection.GetString(message, &field));
        return;
      case FieldDescriptor::CPPTYPE_BOOL:
        out_ += (repeated ? reflection.GetRepeatedBool(message, &field, index)
                          : reflection.GetBool(message, &field))
                    ? "true"
                    : "false";
        return;
      case FieldDescriptor::CPPTYPE_UINT32:
        out_ += std::to_string(repeated ? reflection.GetRepeatedUInt32(message, &field, index)
                                        : reflection.GetUInt32(message, &field));
        return;
      case FieldDescriptor::CPPTYPE_UINT64:
        out_ += std::to_string(repeated ? reflection.GetRepeatedUInt64(message, &field, index)
                                        : reflection.GetUInt64(message, &field));
        return;
      case FieldDescriptor::CPPTYPE_INT64:
        out_ += std::to_string(index >= 0 ? reflection.GetRepeatedInt64(message, &field, index)
                                          : reflection.GetInt64(message, &field));
        return;
      case FieldDescriptor::CPPTYPE_ENUM: {
        const auto* value = repeated ? reflection.GetRepeatedEnum(message, &field, index)
                                     : reflection.GetEnum(message, &field);
        std::string name = value->name();
        for (char& c : name) {
          if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        }
        AppendJsonString(out_, name);
        return;
      }
      default:
        // admin.proto has no others: to_json_test.cc walks it.
        out_ += "null";
    }
  }

  bool indented_;
  std::size_t depth_ = 0;
  std::string out_;
};

// The length of the well-formed UTF-8 sequence at the front; 0 where there is none.
std::size_t SequenceLength(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  std::size_t length = first < 0x80   ? 1
                       : first < 0xC2 ? 0
                       : first < 0xE0 ? 2
                       : first < 0xF0 ? 3
                       : first < 0xF5 ? 4
                                      : 0;
  if (length == 0 || length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  if (length == 3 && ((first == 0xE0 && byte(1) < 0xA0) || (first == 0xED && byte(1) >= 0xA0))) {
    return 0;
  }
  if (length == 4 && ((first == 0xF0 && byte(1) < 0x90) || (first == 0xF4 && byte(1) >= 0x90))) {
    return 0;
  }
  return length;
}

}  // namespace

void AppendJsonString(std::string& out, std::string_view text) {
  out += '"';
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\') {
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
          out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
          break;
      }
      ++at;
      continue;
    }
    const std::size_t length = SequenceLength(text.substr(at));
    if (length == 0) {
      out += "\xEF\xBF\xBD";
      ++at;
      continue;
    }
    out.append(text.substr(at, length));
    at += length;
  }
  out += '"';
}

std::string ToJson(const google::protobuf::Message& message, bool indented) {
  Writer writer(indented);
  writer.Object(message);
  return writer.Take();
}

}  // namespace staffel::client
