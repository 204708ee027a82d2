// SPDX-License-Identifier: EUPL-1.2
#include "core/record/row.h"

namespace staffel::record {

std::vector<WireField> WireFields(ByteView message) {
  std::vector<WireField> fields;
  WireReader reader(message);
  while (auto field = reader.Next()) fields.push_back(*field);
  return fields;
}

std::vector<WireField> WireFieldsOf(ByteView message, std::uint32_t number) {
  std::vector<WireField> fields;
  WireReader reader(message);
  while (auto field = reader.Next()) {
    if (field->number == number) fields.push_back(*field);
  }
  return fields;
}

WireField LastWireField(ByteView message, std::uint32_t number) {
  WireField last;
  WireReader reader(message);
  while (auto field = reader.Next()) {
    if (field->number == number) last = *field;
  }
  return last;
}

std::vector<RowElement> RowElements(ByteView row, const Field& field) {
  std::vector<RowElement> elements;
  for (const WireField& wire : WireFieldsOf(row, field.number)) {
    const auto id = ElementId::From(LastWireField(wire.bytes, 1).bytes);
    if (!id) continue;
    RowElement element{*id, {}, wire.bytes};
    if (field.rule == Rule::kSequence) element.position = LastWireField(wire.bytes, 2).bytes;
    elements.push_back(element);
  }
  return elements;
}

const Field* MainPart(const Field& field) {
  if (field.rule == Rule::kSet) return field.FindPart(2u);
  for (const Field& part : field.parts) {
    if (part.number > 2 && part.rule == Rule::kText) return &part;
  }
  return nullptr;
}

}  // namespace staffel::record
