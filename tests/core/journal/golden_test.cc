// SPDX-License-Identifier: EUPL-1.2
// The bytes of format 1 are frozen: entries written once read the same for ever, and what is
// written today is what was written then.
#include <fstream>
#include <map>
#include <sstream>

#include <catch2/catch.hpp>

#include "core/crypto/hash.h"
#include "staffel/v1/journal.pb.h"
#include "tests/core/journal/golden_entries.h"

namespace staffel {
namespace {

std::multimap<std::string, Bytes> ReadGolden(const std::string& name) {
  std::ifstream file(std::string(STAFFEL_GOLDEN_DIRECTORY) + "/" + name + ".txt");
  REQUIRE(file);
  std::multimap<std::string, Bytes> fields;
  std::string field, hex;
  while (file >> field >> hex) fields.emplace(field, FromHex(hex).value());
  return fields;
}

TEST_CASE("golden entries read, hash and verify as they always did") {
  const auto key = crypto::KeyPair::FromSeedForTests("staffel/golden").public_key();
  CHECK(ToHex(key.bytes()) == "03d5d24a725d96cfcb178dec85d5b2219f18ce73398795e02ea16d9b3f62ef3ca2");
  for (const auto& golden : golden::Entries()) {
    CAPTURE(golden.name);
    const auto fields = ReadGolden(golden.name);
    const Bytes header = fields.find("header")->second;
    CHECK(golden.entry.header_bytes == header);
    auto entry = MakeEntry(header);
    REQUIRE(entry);
    CHECK(entry->id.bytes() == fields.find("id")->second);
    CHECK(entry->header == golden.entry.header);
    CHECK(SerializeHeader(entry->header) == header);
    // Signatures are random: the old one must verify, today's need not be the same.
    CHECK(
        crypto::Verify(key, crypto::kTagSign, entry->id.bytes(), fields.find("signature")->second));
    const auto [begin, end] = fields.equal_range("payload");
    for (auto at = begin; at != end; ++at) entry->payloads.emplace_back(at->second);
    CHECK(entry->payloads == golden.entry.payloads);
    CHECK(CheckPayloads(*entry));
  }
}

TEST_CASE("the ids of the golden entries stand here, too, lest the files be written anew") {
  const std::map<std::string, std::string> ids{
      {"charter", "5f512f500181f87b4a6c08dc3476ad705eaf52b57e5de63a9d703e110c7aafb1"},
      {"disclosure", "9ce40d92b8a6844fad571415a9f9f4b484392c8ef502de2500fd671fdc68447f"},
      {"erasure", "7027fa6f7abcecbfda859caf806210730360c74517da81f76498d44aac05be08"},
      {"open", "7cf10322418b8ef91dd524dcccdd882f67c4b7e293641ece6a639728392144f4"},
      {"open_chair_erasures", "b696bca1f410734841089aa93861cf4f4de5a6541778973f0b852be49bb1f538"},
      {"receipt", "fb3b71019b5247e85a3149868729d0232da6cdd24b1c2636d0a4a81ced096314"},
      {"write", "83be5be589b583d49f3ac68adc903729b7d71b80e65770fcaae7b2821e7c6df6"},
  };
  for (const auto& golden : golden::Entries()) {
    CAPTURE(golden.name);
    CHECK(golden.entry.id.Hex() == ids.at(golden.name));
  }
}

TEST_CASE("journal.proto describes the same bytes: headers are written by hand, not by protobuf") {
  for (const auto& golden : golden::Entries()) {
    CAPTURE(golden.name);
    v1::Header message;
    REQUIRE(message.ParseFromString(golden.entry.header_bytes));
    CHECK(message.GetReflection()->GetUnknownFields(message).empty());
    CHECK(message.SerializeAsString() == golden.entry.header_bytes);
    CHECK(message.seq() == golden.entry.header.seq);
    CHECK(message.time_ms() == golden.entry.header.time.value);
    if (golden.name != "write") continue;
    const v1::Write& write = message.write();
    CHECK(write.parents_size() == 2);
    CHECK(write.records(1).kind() == 300);
    CHECK(write.records(0).changes(0).parents(1) == 1);
    v1::Payload payload;
    REQUIRE(payload.ParseFromString(golden.entry.payloads[0]->substr(kSaltBytes)));
    CHECK(payload.author().size() == 16);
    CHECK(payload.values(0).value() == "\x12\x05Titel");
    REQUIRE(payload.ParseFromString(golden.entry.payloads[1]->substr(kSaltBytes)));
    CHECK_FALSE(payload.values(0).has_value());
  }
}

}  // namespace
}  // namespace staffel
