// SPDX-License-Identifier: EUPL-1.2
#include "api/admin/shown.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "core/base/time.h"
#include "core/record/json.h"
#include "core/record/row.h"
#include "core/record/view.h"

namespace staffel::api {

namespace {

using record::Field;
using record::Format;
using record::JsonType;
using record::JsonValue;
using record::Rule;
using record::Type;

constexpr std::size_t kColumnsMax = 5;

bool IsHidden(const Field& part) {
  return part.format == Format::kElement || part.format == Format::kPosition;
}

std::string Scalar(const Field& field, const JsonValue& value, const record::Wording& wording) {
  switch (value.type) {
    case JsonType::kBool:
      return wording.is_german() ? (value.truth ? "ja" : "nein") : (value.truth ? "yes" : "no");
    case JsonType::kInteger:
      return (value.negative ? "-" : "") + std::to_string(value.integer);
    case JsonType::kNull:
      return {};
    default:
      break;
  }
  if (field.format == Format::kReference && wording.name_record) {
    const auto id = FromHex(value.text);
    return id ? wording.name_record(*id) : value.text;
  }
  if (field.format == Format::kInstant) {
    const auto time = ParseTime(value.text);
    return time ? record::SayInstant(*time, wording) : value.text;
  }
  if (field.format == Format::kDate || field.format == Format::kDateTime ||
      field.format == Format::kDayOrTime) {
    return record::SayTime(value.text, wording);
  }
  if (field.type == Type::kEnum) {
    for (const auto& one : field.values) {
      if (one.text == value.text) return wording.Of(one.label_de, one.label_en);
    }
  }
  return value.text;
}

std::string Text(const Field& field, const JsonValue& value, const record::Wording& wording);

// The parts of a group or element, in the message's order: "Beginn 23.04.2025; Ende …".
std::string Parts(const Field& field, const JsonValue& object, const record::Wording& wording) {
  std::vector<std::pair<const Field*, std::string>> texts;
  for (const auto& [key, value] : object.members) {
    const Field* part = field.FindPart(key);
    if (part != nullptr && IsHidden(*part)) continue;
    std::string text = part == nullptr ? value.text : Text(*part, value, wording);
    if (!text.empty()) texts.emplace_back(part, std::move(text));
  }
  if (texts.size() == 1) return std::move(texts.front().second);
  std::string out;
  for (const auto& [part, text] : texts) {
    // Times for people hold commas.
    if (!out.empty()) out += wording.times_as_stored ? ", " : "; ";
    if (part != nullptr) out += wording.Of(part->label_de, part->label_en) + " ";
    out += text;
  }
  return out;
}

std::string Text(const Field& field, const JsonValue& value, const record::Wording& wording) {
  if (value.type == JsonType::kObject) {
    if (field.rule != Rule::kMap) return Parts(field, value, wording);
    std::string out;
    for (const auto& [key, entry] : value.members) {
      const std::string text = entry.type == JsonType::kObject ? Parts(field, entry, wording)
                                                               : Scalar(field, entry, wording);
      out += (out.empty() ? "" : ", ") + key + ": " + text;
    }
    return out;
  }
  if (value.type == JsonType::kArray) {
    std::string out;
    // A set's element that says one thing stands there as that: an address, a reference.
    const Field* element = field.type == Type::kMessage ? record::MainPart(field) : nullptr;
    for (const JsonValue& item : value.items) {
      const bool alone = element != nullptr && item.type != JsonType::kObject;
      out += (out.empty() ? "" : ", ") + Text(alone ? *element : field, item, wording);
    }
    return out;
  }
  return Scalar(field, value, wording);
}

void AddSequence(const Field& field, const JsonValue& list, const record::Wording& wording,
                 std::vector<v1::admin::ShownField>& out) {
  std::size_t number = 0;
  for (const JsonValue& item : list.items) {
    ++number;
    for (const auto& [key, value] : item.members) {
      const Field* part = field.FindPart(key);
      if (part != nullptr && IsHidden(*part)) continue;
      v1::admin::ShownField shown;
      shown.set_path(fmt::format("{}.{}.{}", field.name, number, key));
      const bool main = part != nullptr && part->rule == Rule::kText;
      const auto label = [&](const std::string& element, const std::string& whole,
                             const std::string& of_part) {
        const std::string first = fmt::format("{} {}", element.empty() ? whole : element, number);
        return main ? first : first + ": " + of_part;
      };
      shown.set_label_de(
          label(field.element_label_de, field.label_de, part == nullptr ? key : part->label_de));
      shown.set_label_en(
          label(field.element_label_en, field.label_en, part == nullptr ? key : part->label_en));
      shown.set_text(part == nullptr ? value.text : Text(*part, value, wording));
      shown.set_several_lines(main);
      if (!shown.text().empty()) out.push_back(std::move(shown));
    }
  }
}

std::string_view RuleName(Rule rule) {
  switch (rule) {
    case Rule::kRegister:
      return "register";
    case Rule::kGroup:
      return "group";
    case Rule::kSet:
      return "set";
    case Rule::kMap:
      return "map";
    case Rule::kSequence:
      return "sequence";
    case Rule::kText:
      return "text";
    case Rule::kDeleted:
      return "deleted";
    case Rule::kPart:
      return "part";
    case Rule::kNone:
      break;
  }
  return "none";
}

std::string_view TypeName(const Field& field) {
  switch (field.format) {
    case Format::kLine:
      return "line";
    case Format::kDate:
      return "date";
    case Format::kDateTime:
      return "date-time";
    case Format::kZone:
      return "time-zone";
    case Format::kEmail:
      return "email";
    case Format::kUrl:
      return "url";
    case Format::kTop:
      return "agenda-number";
    case Format::kMember:
      return "member";
    case Format::kInstant:
      return "instant";
    case Format::kReference:
      return "reference";
    case Format::kPhone:
      return "phone";
    case Format::kLanguage:
      return "language";
    case Format::kPosition:
      return "position";
    case Format::kDayOrTime:
      return "date-or-date-time";
    case Format::kSha256:
      return "sha256";
    case Format::kBlob:
      return "attachment";
    case Format::kMediaType:
      return "media-type";
    case Format::kElement:
      return "id";
    case Format::kAny:
      break;
  }
  switch (field.type) {
    case Type::kBool:
      return "yes-no";
    case Type::kNumber:
      return "number";
    case Type::kEnum:
      return "one-of";
    case Type::kBytes:
      return "bytes";
    case Type::kMessage:
      return "parts";
    case Type::kText:
      break;
  }
  return "text";
}

void Describe(const Field& field, const std::string& prefix, const Field* above,
              v1::admin::Kind& out) {
  if ((above != nullptr && IsHidden(field)) || field.rule == Rule::kDeleted) return;
  const Field& owner = above == nullptr ? field : *above;
  auto* shown = out.add_fields();
  shown->set_path(prefix + field.name);
  shown->set_label_de(field.label_de);
  shown->set_label_en(field.label_en);
  shown->set_rule(std::string(RuleName(field.rule)));
  shown->set_type(std::string(TypeName(field)));
  shown->set_owner(owner.owner == record::Owner::kChair         ? "chair"
                   : owner.owner == record::Owner::kEntryMember ? "member"
                                                                : "anyone");
  shown->set_required(field.required);
  for (const auto& value : field.values) shown->add_values(value.text);
  if (field.rule != Rule::kGroup && field.rule != Rule::kSequence) return;
  const std::string inner = shown->path() + (field.rule == Rule::kSequence ? ".*." : ".");
  for (const Field& part : field.parts) Describe(part, inner, &owner, out);
}

const Field* FindPath(const record::Kind& kind, std::string_view path) {
  const auto dot = path.find('.');
  const Field* field = kind.Find(path.substr(0, dot));
  if (field == nullptr || dot == std::string_view::npos) return field;
  return field->FindPart(path.substr(dot + 1));
}

}  // namespace

std::vector<v1::admin::ShownField> ShownFields(const record::Kind& kind, ByteView row,
                                               const record::Wording& wording) {
  std::vector<v1::admin::ShownField> out;
  const auto parsed = record::ParseJson(record::RowToJson(kind, row));
  if (!parsed) return out;
  for (const auto& [key, value] : parsed->members) {
    const Field* field = kind.Find(key);
    if (field != nullptr && (field->rule == Rule::kDeleted || IsHidden(*field))) continue;
    if (field != nullptr && field->rule == Rule::kSequence) {
      AddSequence(*field, value, wording, out);
      continue;
    }
    v1::admin::ShownField shown;
    shown.set_path(key);
    shown.set_label_de(field == nullptr ? key : field->label_de);
    shown.set_label_en(field == nullptr ? key : field->label_en);
    shown.set_text(field == nullptr ? value.text : Text(*field, value, wording));
    shown.set_several_lines(field != nullptr && field->rule == Rule::kText);
    if (!shown.text().empty()) out.push_back(std::move(shown));
  }
  return out;
}

std::vector<ListColumn> ListColumns(const record::Kind& kind) {
  std::vector<ListColumn> columns;
  const auto add = [&](std::string_view path, const Field& field) {
    const bool there = std::any_of(columns.begin(), columns.end(),
                                   [&](const ListColumn& column) { return column.path == path; });
    if (there || columns.size() >= kColumnsMax || IsHidden(field)) return;
    columns.push_back({std::string(path), field.label_de, field.label_en});
  };
  for (const std::string& path : kind.sort_by) {
    const Field* field = FindPath(kind, path);
    // Parts of a name sort; people read the whole name.
    const bool of_a_name =
        field != nullptr && field->format == Format::kLine && path.find('.') != std::string::npos;
    if (field != nullptr && !of_a_name) add(path, *field);
  }
  for (const Field& field : kind.fields) {
    if (field.title) add(field.name, field);
  }
  for (const Field& field : kind.fields) {
    if (field.type == Type::kEnum && field.rule == Rule::kRegister) add(field.name, field);
  }
  // Whose it is: a Land, or of a person the last place in a body.
  for (const Field& field : kind.fields) {
    if (field.format == Format::kMember && field.rule == Rule::kRegister) add(field.name, field);
    const bool of_members =
        field.rule == Rule::kSequence &&
        std::any_of(field.parts.begin(), field.parts.end(),
                    [](const Field& part) { return part.format == Format::kMember; });
    if (!of_members) continue;
    for (const Field& part : field.parts) {
      const bool tells =
          part.format == Format::kMember || (part.format == Format::kLine && part.searchable);
      if (tells && part.rule == Rule::kRegister) add(field.name + "." + part.name, part);
    }
  }
  return columns;
}

v1::admin::Kind DescribeKind(const record::Kind& kind) {
  v1::admin::Kind out;
  out.set_number(kind.number);
  out.set_name(kind.name);
  out.set_label_de(kind.label_de);
  out.set_label_en(kind.label_en);
  out.set_label_de_plural(kind.label_de_plural);
  for (const Field& field : kind.fields) Describe(field, "", nullptr, out);
  return out;
}

}  // namespace staffel::api
