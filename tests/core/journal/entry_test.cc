// SPDX-License-Identifier: EUPL-1.2
// Form and limits of entries: each has one reading, and each refusal is tried.
#include "core/journal/entry.h"

#include <catch2/catch.hpp>
#include <rapidcheck/catch.h>

#include "core/base/wire.h"
#include "core/crypto/hash.h"
#include "tests/support/sim_random.h"

namespace staffel {
namespace {

testing::SimRandom& TheRandom() {
  static testing::SimRandom random(3);
  return random;
}
template <typename Id>
Id Any() {
  return TheRandom().DrawId<Id>();
}

const crypto::KeyPair& Key() {
  static const auto key = crypto::KeyPair::FromSeedForTests("entry");
  return key;
}

Header Opening() {
  Header header;
  header.time = TimeMs{1'743'152'700'000};
  header.body =
      OpenBody{Any<ConferenceId>(), Key().public_key(), Any<AudienceId>(), Lane{}, Any<Nonce>()};
  return header;
}

Header Following(Body body) {
  Header header;
  header.journal = Any<JournalId>();
  header.seq = 5;
  header.prev = Any<EntryId>();
  header.time = TimeMs{1'743'152'700'000};
  header.body = std::move(body);
  return header;
}

RecordPart Part(std::vector<CellChange> changes = {}) {
  return {3, Any<RecordId>(), Any<Commitment>(), std::move(changes)};
}

bool Refused(ByteView bytes) { return !ParseHeader(bytes); }
bool Refused(const Header& header) { return Refused(SerializeHeader(header)); }

TEST_CASE("each body reads back as it was written") {
  Header open = Opening();
  std::get<OpenBody>(open.body).lane = {7, Purpose::kErasures};
  WriteBody write{{Any<EntryId>(), Any<EntryId>()},
                  {Part({{FieldCell(2), {0, 1}}, {FieldCell(3), {}}}), Part()}};
  Header with_op = Following(write);
  with_op.op = Any<OpId>();
  ErasureBody erasure{{{Any<EntryId>(), 0}, {Any<EntryId>(), 9}}, {{4, Any<RecordId>()}}};
  for (const Header& header : {Opening(), open, Following(write), with_op, Following(WriteBody()),
                               Following(ReceiptBody{{{Any<JournalId>(), Any<EntryId>()}}}),
                               Following(erasure), Following(CharterBody{"charter"}),
                               Following(DisclosureBody{{{Bytes(kSaltBytes, 's'), "one"},
                                                         {Bytes(kSaltBytes, 't'), "2"}}})}) {
    const Bytes bytes = SerializeHeader(header);
    const auto read = ParseHeader(bytes);
    REQUIRE(read);
    CHECK(*read == header);
    CHECK_FALSE(read->opaque);
    CHECK(SerializeHeader(*read) == bytes);
  }
}

TEST_CASE("an id is the hash of the header's bytes, and any other byte gives another") {
  const Bytes bytes = SerializeHeader(Opening());
  const auto entry = MakeEntry(bytes);
  REQUIRE(entry);
  CHECK(entry->id == crypto::HashEntry(bytes));
  CHECK(entry->header_bytes == bytes);
  CHECK(MakeEntry(SerializeHeader(Opening()))->id != entry->id);
}

TEST_CASE("an entry of our own is signed over its id") {
  const Entry entry = SignEntry(Opening(), {}, Key());
  CHECK(crypto::Verify(Key().public_key(), crypto::kTagSign, entry.id.bytes(), entry.signature));
  CHECK(MakeEntry(entry.header_bytes)->id == entry.id);
}

TEST_CASE("bytes that are no header are refused") {
  CHECK(Refused(""));
  CHECK(Refused("garbage"));
  CHECK(Refused(Bytes(100, '\0')));
  const Bytes bytes = SerializeHeader(Following(WriteBody{{Any<EntryId>()}, {Part()}}));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    // A header cut short lacks its body, or a field of it.
    CHECK(Refused(ByteView(bytes).substr(0, size)));
  }
}

TEST_CASE("a header has one reading: order, repetition, defaults and long numbers are refused") {
  const Bytes rest = SerializeHeader(Opening()).substr(2);
  REQUIRE_FALSE(Refused(Bytes("\x08\x01") + rest));
  CHECK(Refused(rest));                              // no format
  CHECK(Refused(Bytes("\x08\x00", 2) + rest));       // format 0
  CHECK(Refused(Bytes("\x08\x81\x00", 3) + rest));   // 1, but not minimally encoded
  CHECK(Refused(Bytes("\x08\x01\x08\x01") + rest));  // twice
  CHECK(Refused(rest + Bytes("\x08\x01")));          // not in ascending order
  Bytes with_seq = "\x08\x01";
  AppendVarintField(with_seq, 3, 0);  // a default, written
  CHECK(Refused(with_seq + rest));
  Bytes wrong_type = "\x08\x01";
  AppendBytesField(wrong_type, 3, "x");
  CHECK(Refused(wrong_type + rest));
  Bytes two_bodies = SerializeHeader(Following(WriteBody()));
  AppendBytesField(two_bodies, 9, "");
  CHECK(Refused(two_bodies));
  AppendBytesField(two_bodies, 8, "");
  CHECK(Refused(two_bodies));
}

TEST_CASE("entry 0 opens a journal or is the charter's, and no other entry opens one") {
  Header header = Opening();
  header.seq = 1;
  header.journal = Any<JournalId>();
  header.prev = Any<EntryId>();
  CHECK(Refused(header));
  header = Opening();
  header.journal = Any<JournalId>();
  CHECK(Refused(header));
  header = Opening();
  header.prev = Any<EntryId>();
  CHECK(Refused(header));
  header = Following(WriteBody());
  header.journal = {};
  CHECK(Refused(header));
  header = Following(WriteBody());
  header.prev = {};
  CHECK(Refused(header));
  header = Following(WriteBody());
  header.seq = 0;
  CHECK(Refused(header));
  header = Header();
  header.body = WriteBody();
  CHECK(Refused(header));
  header.body = CharterBody{"c"};
  CHECK_FALSE(Refused(header));
  header = Following(std::monostate());
  CHECK(Refused(header));
}

TEST_CASE("an opening names a conference, a key on the curve, an audience and a nonce") {
  const auto refused = [](auto change) {
    Header header = Opening();
    change(std::get<OpenBody>(header.body));
    return Refused(header);
  };
  CHECK(refused([](OpenBody& open) { open.conference = {}; }));
  CHECK(refused([](OpenBody& open) { open.key = {}; }));
  CHECK(refused([](OpenBody& open) { open.audience = {}; }));
  CHECK(refused([](OpenBody& open) { open.nonce = {}; }));
  Bytes bytes = SerializeHeader(Opening());
  const auto at = bytes.find(Key().public_key().bytes());
  bytes[at] = '\7';
  CHECK(Refused(bytes));
}

TEST_CASE("a write's parents are ids, each once, and changes point into them") {
  const EntryId parent = Any<EntryId>();
  CHECK(Refused(Following(WriteBody{{parent, parent}, {}})));
  CHECK(Refused(Following(WriteBody{{EntryId()}, {}})));
  CHECK(Refused(Following(WriteBody{{parent}, {Part({{FieldCell(2), {1}}})}})));
  CHECK(Refused(Following(WriteBody{{}, {Part({{FieldCell(2), {0}}})}})));
  CHECK_FALSE(Refused(Following(WriteBody{{parent}, {Part({{FieldCell(2), {0}}})}})));
}

TEST_CASE("a record part has a kind, a record, a commitment, and cells that can be read") {
  const auto refused = [](auto change) {
    RecordPart part = Part({{FieldCell(2), {}}});
    change(part);
    return Refused(Following(WriteBody{{}, {part}}));
  };
  CHECK_FALSE(refused([](RecordPart&) {}));
  CHECK(refused([](RecordPart& part) { part.kind = 0; }));
  CHECK(refused([](RecordPart& part) { part.record = {}; }));
  CHECK(refused([](RecordPart& part) { part.commitment = {}; }));
  CHECK(refused([](RecordPart& part) { part.changes[0].cell = ""; }));
  CHECK(refused([](RecordPart& part) { part.changes[0].cell = "\x09"; }));
  CHECK(refused([](RecordPart& part) { part.changes[0].cell = Bytes(200, '\1'); }));
}

TEST_CASE("receipts and erasures name what they are about") {
  CHECK(Refused(Following(ReceiptBody{{{JournalId(), Any<EntryId>()}}})));
  CHECK(Refused(Following(ReceiptBody{{{Any<JournalId>(), EntryId()}}})));
  CHECK(Refused(Following(ErasureBody{{{EntryId(), 1}}, {}})));
  CHECK(Refused(Following(ErasureBody{{}, {{0, Any<RecordId>()}}})));
  CHECK(Refused(Following(ErasureBody{{}, {{1, RecordId()}}})));
}

TEST_CASE("limits are taken up to the last and refused beyond") {
  SECTION("parents") {
    WriteBody write;
    for (std::size_t i = 0; i < kParentsMax; ++i) write.parents.push_back(Any<EntryId>());
    CHECK_FALSE(Refused(Following(write)));
    write.parents.push_back(Any<EntryId>());
    CHECK(Refused(Following(write)));
  }
  SECTION("record parts") {
    WriteBody write;
    for (std::size_t i = 0; i < kRecordPartsMax; ++i) write.records.push_back(Part());
    REQUIRE(SerializeHeader(Following(write)).size() < kHeaderBytesMax);
    CHECK_FALSE(Refused(Following(write)));
    write.records.push_back(Part());
    CHECK(Refused(Following(write)));
  }
  SECTION("header bytes") {
    ReceiptBody receipt;
    while (SerializeHeader(Following(receipt)).size() <= kHeaderBytesMax) {
      REQUIRE_FALSE(Refused(Following(receipt)));
      for (int i = 0; i < 40; ++i) receipt.lines.push_back({Any<JournalId>(), Any<EntryId>()});
    }
    CHECK(ParseHeader(SerializeHeader(Following(receipt))).error().code == ErrorCode::kTooLarge);
  }
  SECTION("a charter's header bytes") {
    CharterBody charter{Bytes(kCharterHeaderBytesMax - 200, 'x')};
    CHECK_FALSE(Refused(Following(charter)));
    charter.charter += Bytes(200, 'x');
    CHECK(ParseHeader(SerializeHeader(Following(charter))).error().code == ErrorCode::kTooLarge);
  }
}

// ---- newer formats ----

TEST_CASE("a newer format is opaque: what every format promises is read, the rest passed over") {
  Header header = Following(WriteBody{{Any<EntryId>()}, {Part({{FieldCell(2), {0}}})}});
  header.op = Any<OpId>();
  Bytes bytes = SerializeHeader(header);
  bytes[1] = 2;
  auto read = ParseHeader(bytes);
  REQUIRE(read);
  CHECK(read->opaque);
  CHECK(read->format == 2);
  CHECK(read->journal == header.journal);
  CHECK(read->prev == header.prev);
  CHECK(read->op == header.op);
  CHECK(read->body == header.body);
}

TEST_CASE("unknown fields make a header opaque at any depth, and stay in its bytes") {
  SECTION("a body of an unknown sort") {
    Header header = Following(std::monostate());
    Bytes bytes = SerializeHeader(header);
    AppendBytesField(bytes, 1200, "what comes later");
    const auto read = ParseHeader(bytes);
    REQUIRE(read);
    CHECK(read->opaque);
    CHECK(std::holds_alternative<std::monostate>(read->body));
    CHECK(MakeEntry(bytes)->header_bytes == bytes);
  }
  SECTION("a field beside the body") {
    Bytes bytes = SerializeHeader(Opening());
    AppendVarintField(bytes, 100, 1);
    CHECK(ParseHeader(bytes)->opaque);
  }
  SECTION("a field within a change of a record part") {
    Bytes change, part, write, bytes;
    AppendBytesField(change, 1, FieldCell(2));
    AppendVarintField(change, 9, 1);
    AppendVarintField(part, 1, 3);
    AppendBytesField(part, 2, Any<RecordId>().bytes());
    AppendBytesField(part, 3, Any<Commitment>().bytes());
    AppendBytesField(part, 4, change);
    AppendBytesField(write, 2, part);
    bytes = SerializeHeader(Following(std::monostate()));
    AppendBytesField(bytes, 8, write);
    const auto read = ParseHeader(bytes);
    REQUIRE(read);
    CHECK(read->opaque);
    CHECK(std::get<WriteBody>(read->body).records.size() == 1);
  }
}

// ---- payloads ----

TEST_CASE("a payload reads back, and begins with a salt of its own") {
  const PayloadContent content{Any<RecordId>(), {Bytes("one"), std::nullopt, Bytes("")}};
  const Bytes payload = SerializePayload(content, TheRandom());
  CHECK(ParsePayload(payload, 3).value() == content);
  const Bytes again = SerializePayload(content, TheRandom());
  CHECK(payload != again);
  CHECK(payload.substr(kSaltBytes) == again.substr(kSaltBytes));
  const PayloadContent nobody{std::nullopt, {}};
  CHECK(ParsePayload(SerializePayload(nobody, TheRandom()), 0).value() == nobody);
}

TEST_CASE("payloads of other sizes and counts are refused") {
  const PayloadContent content{std::nullopt, {Bytes("one"), Bytes("two")}};
  const Bytes payload = SerializePayload(content, TheRandom());
  CHECK_FALSE(ParsePayload(payload, 1));
  CHECK_FALSE(ParsePayload(payload, 3));
  CHECK_FALSE(ParsePayload("", 0));
  CHECK_FALSE(ParsePayload(payload.substr(0, kSaltBytes - 1), 0));
  CHECK_FALSE(ParsePayload(ByteView(payload).substr(0, payload.size() - 1), 2));
  Bytes large = SerializePayload({std::nullopt, {Bytes(kPayloadBytesMax - 25, 'x')}}, TheRandom());
  CHECK(large.size() <= kPayloadBytesMax);
  CHECK(ParsePayload(large, 1));
  large = SerializePayload({std::nullopt, {Bytes(kPayloadBytesMax, 'x')}}, TheRandom());
  CHECK(ParsePayload(large, 1).error().code == ErrorCode::kTooLarge);
}

TEST_CASE("payloads match their commitments, or are absent, and else the part is named") {
  const Bytes payload = SerializePayload({std::nullopt, {}}, TheRandom());
  RecordPart part = Part();
  part.commitment = crypto::HashPayload(payload);
  Entry entry = SignEntry(Following(WriteBody{{}, {part, part}}), {payload, std::nullopt}, Key());
  CHECK(CheckPayloads(entry));
  entry.payloads[1] = payload + "x";
  const auto changed = CheckPayloads(entry);
  REQUIRE_FALSE(changed);
  CHECK(changed.error().code == ErrorCode::kCorrupt);
  CHECK(changed.error().message.find("payload 1") != std::string::npos);
  entry.payloads.pop_back();
  CHECK(CheckPayloads(entry).error().code == ErrorCode::kCorrupt);
  Entry receipt = SignEntry(Following(ReceiptBody()), {}, Key());
  CHECK(CheckPayloads(receipt));
  receipt.payloads.emplace_back("x");
  CHECK_FALSE(CheckPayloads(receipt));
}

TEST_CASE("payloads pack into one value: present, empty and absent stay apart") {
  const std::vector<std::optional<Bytes>> payloads{Bytes(300, 'x'), std::nullopt, Bytes(), "y"};
  const Bytes packed = PackPayloads(payloads);
  CHECK(UnpackPayloads(packed).value() == payloads);
  CHECK(UnpackPayloads("").value().empty());
  CHECK_FALSE(UnpackPayloads(ByteView(packed).substr(0, packed.size() - 1)));
  CHECK_FALSE(UnpackPayloads(Bytes("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")));
}

TEST_CASE("whatever bytes are read as a header are written the same") {
  rc::prop("one reading", [](std::uint64_t seed) {
    testing::SimRandom random(seed);
    Bytes bytes = SerializeHeader(
        Following(WriteBody{{Any<EntryId>()}, {Part({{FieldCell(2), {0}}}), Part()}}));
    for (std::uint64_t i = 1 + random.Below(3); i > 0; --i) {
      bytes[random.Below(bytes.size())] = static_cast<char>(random.Next());
    }
    const auto read = ParseHeader(bytes);
    if (read && !read->opaque) RC_ASSERT(SerializeHeader(*read) == bytes);
  });
}

}  // namespace
}  // namespace staffel
