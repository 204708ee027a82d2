// SPDX-License-Identifier: EUPL-1.2
// The record kinds and what each field's options say, read once from the messages' descriptors into
// plain immutable tables. Whoever gives cells a meaning (projection, editing, showing) asks here;
// the rules themselves stand in proto/staffel/v1/, and docs/formats/records.md explains them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace staffel::record {

// As in options.proto, number by number.
enum class Rule : std::uint8_t {
  kNone = 0,
  kRegister = 1,
  kGroup = 2,
  kSet = 3,
  kMap = 4,
  kSequence = 5,
  kText = 6,
  kDeleted = 7,
  kPart = 8
};
enum class Owner : std::uint8_t { kAnyone = 0, kChair = 1, kEntryMember = 2 };
enum class Format : std::uint8_t {
  kAny = 0,
  kLine = 1,
  kDate = 2,
  kDateTime = 3,
  kZone = 4,
  kEmail = 5,
  kUrl = 6,
  kTop = 7,
  kMember = 8,
  kInstant = 9,
  kReference = 10,
  kPhone = 11,
  kLanguage = 12,
  kPosition = 13,
  kDayOrTime = 14,
  kSha256 = 15,
  kMediaType = 16,
  kElement = 17,
  kBlob = 18
};
// What becomes of a field in a release.
enum class Release : std::uint8_t {
  kWithRecord = 0,
  kConfidential = 1,
  kReport = 2,
  kAnnexes = 3,
  kNever = 4
};
enum class Type : std::uint8_t { kText, kBytes, kBool, kNumber, kEnum, kMessage };

struct EnumValue {
  std::uint64_t number = 0;
  std::string text;  // in JSON and on the command line: "J"
  std::string label_de;
  std::string label_en;
};

struct Field {
  std::uint32_t number = 0;
  std::string name;  // as in the .proto: "co_originators"
  Rule rule = Rule::kNone;
  Owner owner = Owner::kAnyone;
  Format format = Format::kAny;
  Type type = Type::kText;         // of a map: its values' type
  std::uint32_t number_bits = 64;  // kNumber: 32 or 64
  bool presence = false;           // `optional`: a default value is a value, not "empty"
  std::uint32_t refers_to = 0;
  bool searchable = false;
  bool title = false;
  bool required = false;
  Release release = Release::kWithRecord;
  std::string label_de;
  std::string label_en;
  std::string element_label_de;
  std::string element_label_en;
  std::vector<EnumValue> values;  // kEnum, without the value zero
  std::vector<Field> parts;       // kMessage: what it holds, by number

  // Nothing (nullptr) where there is none. The pointers live as long as the catalog.
  [[nodiscard]] const Field* FindPart(std::uint32_t part_number) const;
  [[nodiscard]] const Field* FindPart(std::string_view part_name) const;
  [[nodiscard]] const EnumValue* FindValue(std::uint64_t value_number) const;
  // A set whose elements are member ids: their cells have the member as a step, no random id.
  [[nodiscard]] bool is_member_set() const {
    return rule == Rule::kSet && type == Type::kText && format == Format::kMember;
  }
};

struct Kind {
  std::uint32_t number = 0;
  std::string name;  // "agenda-item"
  std::string label_de;
  std::string label_en;
  std::string label_de_plural;
  std::string label_en_plural;
  bool personal = false;
  std::string written_by;  // the field naming the member whose record it is; or empty
  bool never_released = false;
  std::string release_gate;          // the field that says what may be published; empty: none
  std::vector<std::string> sort_by;  // dotted field names
  std::vector<Field> fields;         // by number

  [[nodiscard]] const Field* Find(std::uint32_t field_number) const {
    return field_number < by_number.size() ? FieldAt(by_number[field_number]) : nullptr;
  }
  [[nodiscard]] const Field* Find(std::string_view field_name) const;

  // Index into `fields` plus one, by field number; for the projection's speed.
  std::vector<std::uint16_t> by_number;

 private:
  [[nodiscard]] const Field* FieldAt(std::uint16_t index_plus_one) const {
    return index_plus_one == 0 ? nullptr : &fields[index_plus_one - 1u];
  }
};

class Catalog {
 public:
  // Reads the options of every record message of this version. Ends the process where a message
  // breaks the rules of options.proto: tests/core/record/catalog_test.cc finds that first.
  Catalog();

  [[nodiscard]] std::span<const Kind> kinds() const { return kinds_; }  // by number
  [[nodiscard]] const Kind* Find(std::uint32_t number) const;
  [[nodiscard]] const Kind* Find(std::string_view name) const;
  // kNotFound names the kinds there are, and the nearest one.
  [[nodiscard]] Result<const Kind*> Named(std::string_view name) const;

 private:
  std::vector<Kind> kinds_;
};

// The one catalog of this program, built at the first call. Immutable: any thread may use it.
[[nodiscard]] const Catalog& Kinds();

// Of `candidates` the one that `name` is most likely a misspelling of; empty if none is near.
[[nodiscard]] std::string NearestName(std::string_view name,
                                      std::span<const std::string_view> candidates);

}  // namespace staffel::record
