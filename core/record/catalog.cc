// SPDX-License-Identifier: EUPL-1.2
#include "core/record/catalog.h"

#include <algorithm>

#include <google/protobuf/descriptor.h>

#include "staffel/v1/agenda_item.pb.h"
#include "staffel/v1/amendment.pb.h"
#include "staffel/v1/audience.pb.h"
#include "staffel/v1/ballot.pb.h"
#include "staffel/v1/declaration.pb.h"
#include "staffel/v1/document.pb.h"
#include "staffel/v1/event.pb.h"
#include "staffel/v1/meeting.pb.h"
#include "staffel/v1/note.pb.h"
#include "staffel/v1/options.pb.h"
#include "staffel/v1/organization.pb.h"
#include "staffel/v1/person.pb.h"
#include "staffel/v1/resolution.pb.h"

namespace staffel::record {
namespace {

namespace pb = google::protobuf;

// A new kind is one file in proto/ and one line here.
std::vector<const pb::Descriptor*> RecordMessages() {
  return {v1::Meeting::descriptor(),     v1::AgendaItem::descriptor(),
          v1::Event::descriptor(),       v1::Organization::descriptor(),
          v1::Person::descriptor(),      v1::Resolution::descriptor(),
          v1::Amendment::descriptor(),   v1::Ballot::descriptor(),
          v1::Declaration::descriptor(), v1::Note::descriptor(),
          v1::Document::descriptor(),    v1::AudienceProfile::descriptor()};
}

// Messages may hold messages, but not for ever: a group in a sequence's element is the deepest.
constexpr int kPartDepthMax = 3;

Type TypeOf(const pb::FieldDescriptor& field) {
  switch (field.type()) {
    case pb::FieldDescriptor::TYPE_STRING:
      return Type::kText;
    case pb::FieldDescriptor::TYPE_BYTES:
      return Type::kBytes;
    case pb::FieldDescriptor::TYPE_BOOL:
      return Type::kBool;
    case pb::FieldDescriptor::TYPE_UINT32:
    case pb::FieldDescriptor::TYPE_UINT64:
      return Type::kNumber;
    case pb::FieldDescriptor::TYPE_ENUM:
      return Type::kEnum;
    case pb::FieldDescriptor::TYPE_MESSAGE:
      return Type::kMessage;
    default:
      break;
  }
  // Signed and floating numbers have several encodings of one value, or none that is exact.
  STAFFEL_ASSERT(false && "a record field has a type that records may not have");
  return Type::kBytes;
}

Field ReadField(const pb::FieldDescriptor& descriptor, int depth) {
  STAFFEL_ASSERT(depth <= kPartDepthMax);
  const v1::FieldRules& rules = descriptor.options().GetExtension(v1::field);
  Field field;
  field.number = static_cast<std::uint32_t>(descriptor.number());
  field.name = descriptor.name();
  field.rule = static_cast<Rule>(rules.rule());
  field.owner = static_cast<Owner>(rules.owner());
  field.format = static_cast<Format>(rules.format());
  field.refers_to = rules.refers_to();
  field.searchable = rules.searchable();
  field.title = rules.title();
  field.required = rules.required();
  field.release = static_cast<Release>(rules.release());
  field.label_de = rules.label_de();
  field.label_en = rules.label_en();
  field.element_label_de = rules.element_label_de();
  field.element_label_en = rules.element_label_en();
  field.presence = descriptor.has_optional_keyword();

  const pb::FieldDescriptor& content =
      descriptor.is_map() ? *descriptor.message_type()->map_value() : descriptor;
  field.type = TypeOf(content);
  field.number_bits = content.type() == pb::FieldDescriptor::TYPE_UINT32 ? 32 : 64;
  if (field.type == Type::kEnum) {
    for (int i = 0; i < content.enum_type()->value_count(); ++i) {
      const pb::EnumValueDescriptor& value = *content.enum_type()->value(i);
      if (value.number() == 0) continue;
      STAFFEL_ASSERT(value.number() > 0);
      const v1::ValueRules& labels = value.options().GetExtension(v1::value);
      field.values.push_back({static_cast<std::uint64_t>(value.number()), labels.text(),
                              labels.label_de(), labels.label_en()});
    }
  }
  if (field.type == Type::kMessage) {
    for (int i = 0; i < content.message_type()->field_count(); ++i) {
      field.parts.push_back(ReadField(*content.message_type()->field(i), depth + 1));
    }
    std::sort(field.parts.begin(), field.parts.end(),
              [](const Field& a, const Field& b) { return a.number < b.number; });
  }
  return field;
}

Kind ReadKind(const pb::Descriptor& descriptor) {
  const v1::KindRules& rules = descriptor.options().GetExtension(v1::kind);
  Kind kind;
  kind.number = rules.number();
  kind.name = rules.name();
  kind.label_de = rules.label_de();
  kind.label_en = rules.label_en();
  kind.label_de_plural = rules.label_de_plural();
  kind.label_en_plural = rules.label_en_plural();
  kind.personal = rules.personal();
  kind.written_by = rules.written_by();
  kind.never_released = rules.never_released();
  kind.release_gate = rules.release_gate();
  kind.sort_by.assign(rules.sort_by().begin(), rules.sort_by().end());
  for (int i = 0; i < descriptor.field_count(); ++i) {
    kind.fields.push_back(ReadField(*descriptor.field(i), 0));
  }
  std::sort(kind.fields.begin(), kind.fields.end(),
            [](const Field& a, const Field& b) { return a.number < b.number; });
  STAFFEL_ASSERT(!kind.fields.empty() && kind.fields.back().number < 10'000);
  kind.by_number.resize(kind.fields.back().number + 1);
  for (std::size_t i = 0; i < kind.fields.size(); ++i) {
    kind.by_number[kind.fields[i].number] = static_cast<std::uint16_t>(i + 1);
  }
  return kind;
}

// Damerau's distance without the sophistication: a name of some twenty letters against a few dozen.
std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row[b.size()];
}

constexpr std::size_t kNameCompareBytesMax = 64;

}  // namespace

const Field* Field::FindPart(std::uint32_t part_number) const {
  for (const Field& part : parts) {
    if (part.number == part_number) return &part;
  }
  return nullptr;
}

const Field* Field::FindPart(std::string_view part_name) const {
  for (const Field& part : parts) {
    if (part.name == part_name) return &part;
  }
  return nullptr;
}

const EnumValue* Field::FindValue(std::uint64_t value_number) const {
  for (const EnumValue& value : values) {
    if (value.number == value_number) return &value;
  }
  return nullptr;
}

const Field* Kind::Find(std::string_view field_name) const {
  for (const Field& field : fields) {
    if (field.name == field_name) return &field;
  }
  return nullptr;
}

Catalog::Catalog() {
  for (const pb::Descriptor* message : RecordMessages()) kinds_.push_back(ReadKind(*message));
  std::sort(kinds_.begin(), kinds_.end(),
            [](const Kind& a, const Kind& b) { return a.number < b.number; });
}

const Kind* Catalog::Find(std::uint32_t number) const {
  // Numbers are dense: one step nearly always.
  if (number >= 1 && number <= kinds_.size() && kinds_[number - 1].number == number) {
    return &kinds_[number - 1];
  }
  for (const Kind& kind : kinds_) {
    if (kind.number == number) return &kind;
  }
  return nullptr;
}

const Kind* Catalog::Find(std::string_view name) const {
  for (const Kind& kind : kinds_) {
    if (kind.name == name) return &kind;
  }
  return nullptr;
}

Result<const Kind*> Catalog::Named(std::string_view name) const {
  if (const Kind* kind = Find(name)) return kind;
  std::vector<std::string_view> names;
  std::string all;
  for (const Kind& kind : kinds_) {
    names.push_back(kind.name);
    all += (all.empty() ? "" : ", ") + kind.name;
  }
  const std::string near = NearestName(name, names);
  return Fail(ErrorCode::kNotFound, "there is no record kind '{}'{}; there are: {}", name,
              near.empty() ? "" : fmt::format(" (did you mean '{}'?)", near), all);
}

const Catalog& Kinds() {
  static const Catalog catalog;
  return catalog;
}

std::string NearestName(std::string_view name, std::span<const std::string_view> candidates) {
  if (name.empty() || name.size() > kNameCompareBytesMax) return "";
  std::string_view nearest;
  std::size_t least = name.size() / 3 + 2;
  for (std::string_view candidate : candidates) {
    const std::size_t distance = EditDistance(name, candidate);
    if (distance < least && distance < candidate.size()) {
      least = distance;
      nearest = candidate;
    }
  }
  return std::string(nearest);
}

}  // namespace staffel::record
