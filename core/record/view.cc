// SPDX-License-Identifier: EUPL-1.2
#include "core/record/view.h"

#include <algorithm>

#include "core/base/text.h"
#include "core/base/time.h"
#include "core/base/wire.h"
#include "core/record/agenda_number.h"
#include "core/record/json.h"
#include "core/record/row.h"

namespace staffel::record {
namespace {

constexpr std::size_t kShortIdDigits = 8;

// The fields of a row or message, cut once, by number: a row is looked at field by field.
class FieldsByNumber {
 public:
  explicit FieldsByNumber(ByteView message) : fields_(WireFields(message)) {
    std::stable_sort(fields_.begin(), fields_.end(),
                     [](const WireField& a, const WireField& b) { return a.number < b.number; });
  }
  [[nodiscard]] std::span<const WireField> Of(std::uint32_t number) const {
    const auto [begin, end] = std::equal_range(
        fields_.begin(), fields_.end(), WireField{.number = number},
        [](const WireField& a, const WireField& b) { return a.number < b.number; });
    return {begin, end};
  }
  [[nodiscard]] const std::vector<WireField>& all() const { return fields_; }

 private:
  std::vector<WireField> fields_;
};

// ---- JSON
// ------------------------------------------------------------------------------------------

void AppendName(std::string& out, std::string_view name) {
  if (out.back() != '{') out += ',';
  AppendJsonText(out, name);
  out += ':';
}

void AppendContent(std::string& out, const Field& field, const WireField& wire);

void AppendUnknown(std::string& out, const std::vector<Field>& known,
                   const FieldsByNumber& fields) {
  std::uint32_t last = 0;
  for (const WireField& wire : fields.all()) {
    const bool is_known = std::any_of(known.begin(), known.end(), [&](const Field& field) {
      return field.number == wire.number;
    });
    if (is_known) continue;
    if (wire.number == last) {
      out.pop_back();  // the list goes on
      out += ',';
    } else {
      AppendName(out, fmt::format("#{}", wire.number));
      out += '[';
    }
    AppendJsonText(out, ToHex(wire.whole));
    out += ']';
    last = wire.number;
  }
}

void AppendMessage(std::string& out, const Field& field, ByteView message, bool with_id) {
  const FieldsByNumber fields(message);
  out += '{';
  for (const Field& part : field.parts) {
    const auto wires = fields.Of(part.number);
    if (wires.empty() || (part.number == 1 && part.format == Format::kElement && !with_id))
      continue;
    AppendName(out, part.name);
    AppendContent(out, part, wires.back());
  }
  AppendUnknown(out, field.parts, fields);
  out += '}';
}

void AppendContent(std::string& out, const Field& field, const WireField& wire) {
  switch (field.type) {
    case Type::kText:
      AppendJsonText(out, wire.bytes);
      break;
    case Type::kBytes:
      AppendJsonText(out, ToHex(wire.bytes));
      break;
    case Type::kBool:
      out += wire.number_value != 0 ? "true" : "false";
      break;
    case Type::kNumber:
      if (field.format == Format::kInstant) {
        AppendJsonText(out, FormatTimeUtc({wire.number_value}));
      } else {
        out += std::to_string(wire.number_value);
      }
      break;
    case Type::kEnum: {
      const EnumValue* value = field.FindValue(wire.number_value);
      AppendJsonText(out, value != nullptr ? value->text : fmt::format("#{}", wire.number_value));
      break;
    }
    case Type::kMessage:
      AppendMessage(out, field, wire.bytes, /*with_id=*/true);
      break;
  }
}

// A set's element: what it says alone, or an object where it says more than one thing.
std::string ElementToJson(const Field& field, const WireField& wire) {
  std::string out;
  if (field.type != Type::kMessage) {
    AppendContent(out, field, wire);
    return out;
  }
  const Field* main = MainPart(field);
  const std::vector<WireField> parts = WireFields(wire.bytes);
  const bool plain = std::all_of(parts.begin(), parts.end(), [&](const WireField& part) {
    return part.number == 1 || part.number == main->number;
  });
  const WireField content = LastWireField(wire.bytes, main->number);
  if (plain && content.number != 0) {
    AppendContent(out, *main, content);
  } else {
    AppendMessage(out, field, wire.bytes, /*with_id=*/false);
  }
  return out;
}

void AppendList(std::string& out, std::vector<std::string> items) {
  out += '[';
  for (std::size_t i = 0; i < items.size(); ++i) out += (i == 0 ? "" : ",") + items[i];
  out += ']';
}

enum class ElementIdsIn : std::uint8_t { kSequences, kSetsToo };

void AppendField(std::string& out, const Field& field, std::span<const WireField> wires,
                 ElementIdsIn ids) {
  std::vector<std::string> items;
  switch (field.rule) {
    case Rule::kSet:
      if (ids == ElementIdsIn::kSetsToo && field.type == Type::kMessage) {
        for (const WireField& wire : wires) {
          AppendMessage(items.emplace_back(), field, wire.bytes, /*with_id=*/true);
        }
        AppendList(out, std::move(items));
        break;
      }
      for (const WireField& wire : wires) items.push_back(ElementToJson(field, wire));
      std::sort(items.begin(), items.end());
      // Two people added the same: one to whoever looks, two cells to whoever removes.
      items.erase(std::unique(items.begin(), items.end()), items.end());
      AppendList(out, std::move(items));
      break;
    case Rule::kSequence:
      for (const WireField& wire : wires) {
        std::string item;
        AppendContent(item, field, wire);
        items.push_back(std::move(item));
      }
      AppendList(out, std::move(items));
      break;
    case Rule::kMap: {
      std::vector<std::pair<ByteView, WireField>> entries;
      for (const WireField& wire : wires) {
        entries.emplace_back(LastWireField(wire.bytes, 1).bytes, LastWireField(wire.bytes, 2));
      }
      std::sort(entries.begin(), entries.end(),
                [](const auto& a, const auto& b) { return a.first < b.first; });
      out += '{';
      for (const auto& [key, value] : entries) {
        AppendName(out, key);
        AppendContent(out, field, value);
      }
      out += '}';
      break;
    }
    default:
      AppendContent(out, field, wires.back());
  }
}

std::string ToJson(const Kind& kind, ByteView row, ElementIdsIn ids) {
  const FieldsByNumber fields(row);
  std::string out = "{";
  for (const Field& field : kind.fields) {
    const auto wires = fields.Of(field.number);
    if (wires.empty()) continue;
    AppendName(out, field.name);
    AppendField(out, field, wires, ids);
  }
  AppendUnknown(out, kind.fields, fields);
  return out + "}";
}

// ---- Text
// ------------------------------------------------------------------------------------------

std::string ContentToText(const Field& field, const WireField& wire, const Wording& wording);

std::string MessageToText(const Field& field, ByteView message, bool with_labels,
                          const Wording& wording) {
  std::string text;
  for (const Field& part : field.parts) {
    if (part.number == 1 && part.format == Format::kElement) continue;
    const WireField wire = LastWireField(message, part.number);
    if (wire.number == 0) continue;
    if (!text.empty()) text += "; ";
    if (with_labels) text += wording.Of(part.label_de, part.label_en) + ": ";
    text += ContentToText(part, wire, wording);
  }
  return text;
}

std::string ContentToText(const Field& field, const WireField& wire, const Wording& wording) {
  switch (field.type) {
    case Type::kText:
      return field.format == Format::kDate || field.format == Format::kDateTime ||
                     field.format == Format::kDayOrTime
                 ? SayTime(wire.bytes, wording)
                 : std::string(wire.bytes);
    case Type::kBytes:
      return field.format == Format::kReference && wording.name_record
                 ? wording.name_record(wire.bytes)
                 : ToHex(wire.bytes);
    case Type::kBool:
      return wording.is_german() ? (wire.number_value != 0 ? "ja" : "nein")
                                 : (wire.number_value != 0 ? "yes" : "no");
    case Type::kNumber:
      return field.format == Format::kInstant ? SayInstant({wire.number_value}, wording)
                                              : std::to_string(wire.number_value);
    case Type::kEnum: {
      const EnumValue* value = field.FindValue(wire.number_value);
      return value != nullptr ? wording.Of(value->label_de, value->label_en)
                              : fmt::format("#{}", wire.number_value);
    }
    case Type::kMessage: {
      const bool element = field.rule == Rule::kSet;
      return MessageToText(field, wire.bytes, !element, wording);
    }
  }
  return "";
}

// The one value behind a cell's bytes: the field or part it belongs to, and its content. A map's
// value and a set's element count as the field's.
struct CellContent {
  const Field* field = nullptr;  // nothing: unknown, or the bytes do not fit
  WireField wire;
};

CellContent ContentOf(const Kind& kind, ByteView cell, ByteView value) {
  const auto path = ReadCellPath(cell);
  const Field* field = path ? kind.Find(path->field) : nullptr;
  if (field == nullptr || !CellFits(*field, *path) || !ValueFits(*field, *path, value)) return {};
  WireReader reader(value);
  const WireField wire = *reader.Next();
  if (path->part != 0) return {field->FindPart(path->part), wire};
  if (field->rule == Rule::kMap) return {field, LastWireField(wire.bytes, 2)};
  return {field, wire};
}

void AppendSearchText(std::string& out, const Field& field, const WireField& wire, bool whole) {
  if (field.type == Type::kMessage) {
    for (const Field& part : field.parts) {
      const WireField content = LastWireField(wire.bytes, part.number);
      if (content.number != 0) AppendSearchText(out, part, content, whole || field.searchable);
    }
  } else if (field.type == Type::kText && (whole || field.searchable)) {
    out.append(wire.bytes);
    out += '\n';
  }
}

// The field that a dotted name leads to, with the message it stands in.
struct Found {
  const Field* field = nullptr;
  ByteView message;
  const Field* parent = nullptr;
};

Found FindByPath(const Kind& kind, ByteView row, std::string_view path) {
  const std::size_t dot = path.find('.');
  Found found{kind.Find(path.substr(0, dot)), row, nullptr};
  if (found.field != nullptr && dot != std::string_view::npos) {
    found.parent = found.field;
    found.message = LastWireField(row, found.field->number).bytes;
    found.field = found.field->FindPart(path.substr(dot + 1));
  }
  return found;
}

// Kinds of keys in this order, so that a number never compares with a name.
constexpr char kNumberKey = 1;
constexpr char kTimeKey = 2;
constexpr char kTextKey = 3;

Bytes TimeKey(const Found& found, std::string_view text) {
  std::string_view zone;
  if (found.parent != nullptr) {
    for (const Field& part : found.parent->parts) {
      if (part.format == Format::kZone) zone = LastWireField(found.message, part.number).bytes;
    }
  }
  const std::string time = text.size() == 10 ? std::string(text) + "T00:00" : std::string(text);
  const auto parsed = ParseLocalTime(time, zone.empty() ? "UTC" : zone);
  Bytes key(1, kTimeKey);
  const std::uint64_t ms = parsed ? parsed->value : 0;
  for (int shift = 56; shift >= 0; shift -= 8) key.push_back(static_cast<char>(ms >> shift & 0xFF));
  return key;
}

}  // namespace

std::string RowToJson(const Kind& kind, ByteView row) {
  return ToJson(kind, row, ElementIdsIn::kSequences);
}

std::string RowToJsonWithIds(const Kind& kind, ByteView row) {
  return ToJson(kind, row, ElementIdsIn::kSetsToo);
}

std::string TitleOf(const Kind& kind, ByteView row, const Wording& wording) {
  std::string number;
  std::string title;
  for (const Field& field : kind.fields) {
    if (!field.title) continue;
    const WireField wire = LastWireField(row, field.number);
    if (wire.number == 0) continue;
    const std::string text = ContentToText(field, wire, wording);
    if (field.format == Format::kTop) {
      number = "TOP " + text + " ";
    } else {
      title += (title.empty() ? "" : " ") + text;
    }
  }
  if (title.empty()) title = wording.is_german() ? "(ohne Titel)" : "(no title)";
  return number + title;
}

std::string SearchTextOf(const Kind& kind, ByteView row) {
  std::string out;
  const FieldsByNumber fields(row);
  // As people see it, so that what they read they can look for: "TOP 2.3 Fortentwicklung …".
  const bool titled = std::any_of(kind.fields.begin(), kind.fields.end(), [&](const Field& field) {
    return field.title && !fields.Of(field.number).empty();
  });
  if (titled) out = TitleOf(kind, row) + "\n";
  for (const Field& field : kind.fields) {
    if (field.title) continue;
    for (const WireField& wire : fields.Of(field.number)) {
      if (field.rule == Rule::kMap) {
        AppendSearchText(out, field, LastWireField(wire.bytes, 2), false);
      } else {
        AppendSearchText(out, field, wire, false);
      }
    }
  }
  return out;
}

Bytes SortKeyOf(const Kind& kind, ByteView row) {
  Bytes key;
  for (const std::string& path : kind.sort_by) {
    const Found found = FindByPath(kind, row, path);
    if (found.field == nullptr) continue;
    const std::string_view text = LastWireField(found.message, found.field->number).bytes;
    if (text.empty()) continue;
    switch (found.field->format) {
      case Format::kTop:
        key += kNumberKey + AgendaSortKey(text);
        break;
      case Format::kDayOrTime:
      case Format::kDate:
        key += TimeKey(found, text);
        break;
      case Format::kPosition:
        key += kTextKey + std::string(text);
        break;
      default:
        key += kTextKey + GermanSortKey(text);
    }
    key.push_back('\0');
  }
  return key;
}

FieldPath FieldPathOf(const Kind& kind, ByteView cell, ByteView row) {
  const auto path = ReadCellPath(cell);
  const Field* field = path ? kind.Find(path->field) : nullptr;
  if (field == nullptr) {
    const std::string number = path ? std::to_string(path->field) : ToHex(cell);
    return {"#" + number, "Feld " + number, "Field " + number};
  }
  FieldPath named{field->name, field->label_de, field->label_en};
  if (path->step == StepKind::kMember) {
    named.path += fmt::format(".{}", path->element);
    named.label_de += fmt::format(": {}", path->element);
    named.label_en += fmt::format(": {}", path->element);
    return named;
  }
  if (path->step == StepKind::kNone) return named;
  const std::string hex = ToHex(path->element);
  std::string name = hex;
  std::string shown = hex.substr(0, kShortIdDigits);
  const std::vector<RowElement> elements = RowElements(row, *field);
  for (std::size_t i = 0; i < elements.size(); ++i) {
    if (elements[i].id.bytes() != path->element) continue;
    if (path->part != 0) {
      name = shown = std::to_string(i + 1);
    } else {
      shown = MessageToText(*field, elements[i].message, /*with_labels=*/false, {});
    }
  }
  named.path += "." + name;
  if (path->part == 0) {
    named.label_de += ": " + shown;
    named.label_en += ": " + shown;
    return named;
  }
  const Field* part = field->FindPart(path->part);
  const std::string number = std::to_string(path->part);
  named.path += "." + (part != nullptr ? part->name : "#" + number);
  named.label_de = fmt::format("{} {}: {}", field->element_label_de, shown,
                               part != nullptr ? part->label_de : "Feld " + number);
  named.label_en = fmt::format("{} {}: {}", field->element_label_en, shown,
                               part != nullptr ? part->label_en : "Field " + number);
  return named;
}

CellPlace PlaceOf(const Kind& kind, ByteView cell, ByteView row) {
  const auto path = ReadCellPath(cell);
  const Field* field = path ? kind.Find(path->field) : nullptr;
  if (!path) return {};
  CellPlace place{path->field, 0, path->part};
  if (field == nullptr || path->step != StepKind::kElement) return place;
  const std::vector<RowElement> elements = RowElements(row, *field);
  const auto at = std::find_if(elements.begin(), elements.end(), [&](const RowElement& element) {
    return element.id.bytes() == path->element;
  });
  place.element = static_cast<std::size_t>(at - elements.begin());
  return place;
}

bool IsPositionCell(const Kind& kind, ByteView cell) {
  const auto path = ReadCellPath(cell);
  const Field* field = path ? kind.Find(path->field) : nullptr;
  if (field != nullptr && path->part != 0) field = field->FindPart(path->part);
  return field != nullptr && field->format == Format::kPosition;
}

std::string ValueToText(const Kind& kind, ByteView cell, const std::optional<Bytes>& value,
                        const Wording& wording) {
  const bool deleted_cell = cell == DeletedCell();
  const char* not_deleted = wording.is_german() ? "nicht gelöscht" : "not deleted";
  if (!value) return deleted_cell ? not_deleted : wording.is_german() ? "(leer)" : "(empty)";
  const CellContent content = ContentOf(kind, cell, *value);
  if (content.field == nullptr) return ToHex(*value);
  if (deleted_cell) {
    if (content.wire.number_value == 0) return not_deleted;
    return wording.is_german() ? "gelöscht" : "deleted";
  }
  return ContentToText(*content.field, content.wire, wording);
}

std::string ValueToJson(const Kind& kind, ByteView cell, const std::optional<Bytes>& value) {
  if (!value) return "null";
  std::string out;
  const CellContent content = ContentOf(kind, cell, *value);
  if (content.field == nullptr) {
    AppendJsonText(out, ToHex(*value));
  } else if (content.field->rule == Rule::kSet) {
    out = ElementToJson(*content.field, content.wire);
  } else {
    AppendContent(out, *content.field, content.wire);
  }
  return out;
}

std::optional<std::string> TextOfValue(const Kind& kind, ByteView cell,
                                       const std::optional<Bytes>& value) {
  if (!value) return std::nullopt;
  const CellContent content = ContentOf(kind, cell, *value);
  const bool text =
      content.field != nullptr && content.field->type == Type::kText &&
      (content.field->format == Format::kAny || content.field->format == Format::kLine);
  if (!text) return std::nullopt;
  return std::string(content.wire.bytes);
}

std::string FieldText(const Kind& kind, ByteView row, std::string_view path,
                      const Wording& wording) {
  const Found found = FindByPath(kind, row, path);
  if (found.field == nullptr) return "";
  const WireField wire = LastWireField(found.message, found.field->number);
  return wire.number == 0 ? "" : ContentToText(*found.field, wire, wording);
}

}  // namespace staffel::record
