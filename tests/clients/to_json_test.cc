// SPDX-License-Identifier: EUPL-1.2
#include <set>

#include <catch2/catch.hpp>
#include <google/protobuf/descriptor.h>

#include "clients/cpp/client.h"

namespace staffel::client {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

TEST_CASE("every member is there, times are text, fields are an object") {
  admin::ChangeReply reply;
  CHECK(
      ToJson(reply, false) ==
      R"({"record":null,"entry":"","repeated_op":false,"unchanged":false,"conflicts_left":0,"conflicts_deleted":0,"reception":"","removed":[]})");
  auto* record = reply.mutable_record();
  record->set_id("00ff");
  record->set_title("a\"b\n\x01 „ä“ \xFF");
  record->set_json(R"({"title":"x"})");
  record->set_changed_ms(1743149400000);
  record->add_columns("eins");
  reply.set_entry("e");
  CHECK(
      ToJson(reply, false) ==
      R"({"record":{"id":"00ff","kind":"","title":"a\"b\n\u0001 „ä“ )"
      "\xEF\xBF\xBD"
      R"(","audience":"","fields":{"title":"x"},"deleted":false,"erased":false,"conflicts":0,"version":"",)"
      R"("created":null,"changed":"2025-03-28T08:10:00Z","short_id":"","columns":["eins"],)"
      R"("reception":"","received":null,"not_received_since":null,"incomplete":false,"read_only":false,"also_in":[]},)"
      R"("entry":"e","repeated_op":false,"unchanged":false,"conflicts_left":0,"conflicts_deleted":0,"reception":"","removed":[]})");
}

void Walk(const Descriptor& message, std::set<const Descriptor*>& seen) {
  if (!seen.insert(&message).second) return;
  std::set<std::string> names;
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor& field = *message.field(i);
    INFO(field.full_name());
    const auto type = field.cpp_type();
    CHECK((type == FieldDescriptor::CPPTYPE_MESSAGE || type == FieldDescriptor::CPPTYPE_STRING ||
           type == FieldDescriptor::CPPTYPE_BOOL || type == FieldDescriptor::CPPTYPE_UINT32 ||
           type == FieldDescriptor::CPPTYPE_UINT64 || type == FieldDescriptor::CPPTYPE_INT64 ||
           type == FieldDescriptor::CPPTYPE_ENUM));
    CHECK_FALSE(field.is_map());
    if (field.message_type() != nullptr) Walk(*field.message_type(), seen);
  }
}

TEST_CASE("admin.proto has only types that the JSON writer knows") {
  const auto* service =
      admin::StatusRequest::descriptor()->file()->FindServiceByName("Administration");
  REQUIRE(service != nullptr);
  std::set<const Descriptor*> seen;
  for (int i = 0; i < service->method_count(); ++i) {
    Walk(*service->method(i)->input_type(), seen);
    Walk(*service->method(i)->output_type(), seen);
  }
  CHECK(seen.size() > 50);
}

}  // namespace
}  // namespace staffel::client
