// SPDX-License-Identifier: EUPL-1.2
#include "core/record/catalog.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include <catch2/catch.hpp>
#include <google/protobuf/descriptor.h>

#include "staffel/v1/options.pb.h"

using namespace staffel;
using namespace staffel::record;
namespace pb = google::protobuf;

namespace {

// Every .proto of the contract that this program has linked; a kind that is not in catalog.cc is
// not.
std::vector<const pb::FileDescriptor*> LinkedFiles(std::vector<std::string>* missing) {
  (void)Kinds();
  std::vector<const pb::FileDescriptor*> files;
  const std::filesystem::path folder =
      std::filesystem::path(STAFFEL_SOURCE_DIR) / "proto/staffel/v1";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".proto") continue;
    const auto* file = pb::DescriptorPool::generated_pool()->FindFileByName(
        "staffel/v1/" + entry.path().filename().string());
    if (file != nullptr) {
      files.push_back(file);
    } else {
      missing->push_back(entry.path().filename().string());
    }
  }
  return files;
}

bool IsKind(const pb::Descriptor& message) { return message.options().HasExtension(v1::kind); }

void CheckEnum(const pb::EnumDescriptor& type) {
  INFO(type.full_name());
  CHECK(type.value(0)->number() == 0);
  CHECK_FALSE(type.value(0)->options().HasExtension(v1::value));
  std::set<std::string> texts;
  for (int i = 1; i < type.value_count(); ++i) {
    INFO(type.value(i)->name());
    const auto& rules = type.value(i)->options().GetExtension(v1::value);
    CHECK(type.value(i)->number() > 0);
    CHECK_FALSE(rules.text().empty());
    CHECK_FALSE(rules.label_de().empty());
    CHECK_FALSE(rules.label_en().empty());
    CHECK(texts.insert(rules.text()).second);
  }
}

// `inside`: the rule of the field whose message this one stands in; RULE_NONE for a kind's own.
void CheckField(const pb::FieldDescriptor& field, v1::FieldRule inside) {
  INFO(field.full_name());
  const auto& rules = field.options().GetExtension(v1::field);
  REQUIRE(field.options().HasExtension(v1::field));
  CHECK(rules.rule() != v1::RULE_NONE);
  CHECK_FALSE(rules.label_de().empty());
  CHECK_FALSE(rules.label_en().empty());
  CHECK(field.cpp_type() != pb::FieldDescriptor::CPPTYPE_DOUBLE);
  CHECK(field.cpp_type() != pb::FieldDescriptor::CPPTYPE_FLOAT);
  CHECK(field.cpp_type() != pb::FieldDescriptor::CPPTYPE_INT32);
  CHECK(field.cpp_type() != pb::FieldDescriptor::CPPTYPE_INT64);
  CHECK(field.containing_oneof() == field.real_containing_oneof());
  CHECK(field.real_containing_oneof() == nullptr);
  if (field.type() == pb::FieldDescriptor::TYPE_ENUM) CheckEnum(*field.enum_type());

  const bool message = field.type() == pb::FieldDescriptor::TYPE_MESSAGE && !field.is_map();
  switch (rules.rule()) {
    case v1::DELETED:
      CHECK(field.number() == 1);
      CHECK(field.name() == "deleted");
      CHECK(field.type() == pb::FieldDescriptor::TYPE_BOOL);
      break;
    case v1::REGISTER:
      CHECK_FALSE(field.is_repeated());
      CHECK_FALSE(message);
      break;
    case v1::TEXT:
      CHECK(field.type() == pb::FieldDescriptor::TYPE_STRING);
      CHECK_FALSE(field.is_repeated());
      CHECK(rules.format() == v1::FORMAT_ANY);
      break;
    case v1::GROUP:
      CHECK(message);
      CHECK_FALSE(field.is_repeated());
      break;
    case v1::SET:
      CHECK(field.is_repeated());
      CHECK_FALSE(field.is_map());
      if (message) {
        CHECK(field.message_type()->FindFieldByNumber(1)->name() == "id");
        CHECK(field.message_type()->FindFieldByNumber(2) != nullptr);
      } else {
        CHECK(rules.format() == v1::FORMAT_MEMBER);
      }
      break;
    case v1::MAP:
      CHECK(field.is_map());
      CHECK(rules.format() == v1::FORMAT_MEMBER);
      if (field.is_map()) {
        CHECK(field.message_type()->map_key()->type() == pb::FieldDescriptor::TYPE_STRING);
        const auto* value = field.message_type()->map_value();
        CHECK(value->type() != pb::FieldDescriptor::TYPE_MESSAGE);
        if (value->type() == pb::FieldDescriptor::TYPE_ENUM) CheckEnum(*value->enum_type());
      }
      break;
    case v1::SEQUENCE: {
      CHECK(field.is_repeated());
      REQUIRE(message);
      CHECK_FALSE(rules.element_label_de().empty());
      CHECK_FALSE(rules.element_label_en().empty());
      const auto* id = field.message_type()->FindFieldByNumber(1);
      const auto* position = field.message_type()->FindFieldByNumber(2);
      REQUIRE(id != nullptr);
      REQUIRE(position != nullptr);
      CHECK(id->name() == "id");
      CHECK(id->type() == pb::FieldDescriptor::TYPE_BYTES);
      CHECK(position->name() == "position");
      CHECK(position->type() == pb::FieldDescriptor::TYPE_STRING);
      CHECK(position->options().GetExtension(v1::field).format() == v1::FORMAT_POSITION);
      break;
    }
    case v1::PART:
      CHECK(inside != v1::RULE_NONE);
      break;
    default:
      break;
  }
  if (inside == v1::RULE_NONE) {
    CHECK(rules.rule() != v1::PART);
  } else if (inside == v1::SEQUENCE) {
    // An element's fields are cells; below them there is nothing but registers of this or that
    // kind.
    CHECK((rules.rule() == v1::REGISTER || rules.rule() == v1::TEXT || rules.rule() == v1::GROUP ||
           (rules.rule() == v1::PART && field.number() == 1)));
  } else {
    CHECK(rules.rule() == v1::PART);
  }
  if (rules.owner() == v1::ENTRY_MEMBER) CHECK(rules.rule() == v1::MAP);
  if (message) {
    for (int i = 0; i < field.message_type()->field_count(); ++i) {
      CheckField(*field.message_type()->field(i), rules.rule());
    }
  }
}

}  // namespace

TEST_CASE(
    "every field of every record kind names its rule, its labels, and keeps the form of its rule") {
  std::vector<std::string> missing;
  std::set<std::uint32_t> numbers;
  std::set<std::string> names;
  std::size_t kinds = 0;
  for (const auto* file : LinkedFiles(&missing)) {
    for (int i = 0; i < file->message_type_count(); ++i) {
      const auto& message = *file->message_type(i);
      if (!IsKind(message)) continue;
      ++kinds;
      INFO(message.full_name());
      const auto& rules = message.options().GetExtension(v1::kind);
      CHECK(rules.number() != 0);
      CHECK(numbers.insert(rules.number()).second);
      CHECK_FALSE(rules.name().empty());
      CHECK(names.insert(rules.name()).second);
      CHECK_FALSE(rules.label_de().empty());
      CHECK_FALSE(rules.label_en().empty());
      CHECK_FALSE(rules.label_de_plural().empty());
      CHECK_FALSE(rules.label_en_plural().empty());
      CHECK(rules.sort_by_size() > 0);
      REQUIRE(message.FindFieldByNumber(1) != nullptr);
      CHECK(message.FindFieldByNumber(1)->options().GetExtension(v1::field).rule() == v1::DELETED);
      bool titled = false;
      for (int j = 0; j < message.field_count(); ++j) {
        CheckField(*message.field(j), v1::RULE_NONE);
        titled = titled || message.field(j)->options().GetExtension(v1::field).title();
      }
      CHECK(titled);
    }
  }
  CHECK(kinds == Kinds().kinds().size());
  CHECK(kinds >= 11);
  // A file that is not linked here holds no kind; otherwise its kind is missing from catalog.cc.
  for (const std::string& name : missing) {
    std::ifstream file(std::string(STAFFEL_SOURCE_DIR "/proto/staffel/v1/") + name);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    INFO(name);
    CHECK(text.find("option (kind)") == std::string::npos);
  }
}

TEST_CASE("a reference names a kind that exists, and a kind sorts by fields that exist") {
  for (const Kind& kind : Kinds().kinds()) {
    INFO(kind.name);
    for (const Field& field : kind.fields) {
      INFO(field.name);
      CHECK((field.refers_to == 0 || Kinds().Find(field.refers_to) != nullptr));
    }
    for (const std::string& path : kind.sort_by) {
      INFO(path);
      const std::size_t dot = path.find('.');
      const Field* field = kind.Find(std::string_view(path).substr(0, dot));
      REQUIRE(field != nullptr);
      if (dot != std::string::npos)
        CHECK(field->FindPart(std::string_view(path).substr(dot + 1)) != nullptr);
    }
  }
}

TEST_CASE("the numbers of the kinds are those of format 1") {
  const std::vector<std::string> names = {"meeting",     "agenda-item", "event",     "organization",
                                          "person",      "resolution",  "amendment", "ballot",
                                          "declaration", "note",        "document"};
  for (std::size_t i = 0; i < names.size(); ++i) {
    REQUIRE(Kinds().Find(names[i]) != nullptr);
    CHECK(Kinds().Find(names[i])->number == i + 1);
    CHECK(Kinds().Find(static_cast<std::uint32_t>(i + 1)) == Kinds().Find(names[i]));
  }
  CHECK(Kinds().Find(0u) == nullptr);
  CHECK(Kinds().Find(4711u) == nullptr);
}

TEST_CASE("an unknown kind is refused with the kinds there are and the nearest") {
  const auto refused = Kinds().Named("resolutoin");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kNotFound);
  CHECK(refused.error().message.find("did you mean 'resolution'?") != std::string::npos);
  CHECK(Kinds().Named("xyzzy-plugh").error().message.find("did you mean") == std::string::npos);
}
