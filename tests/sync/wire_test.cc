// SPDX-License-Identifier: EUPL-1.2
#include "sync/wire.h"

#include <fstream>
#include <sstream>

#include <catch2/catch.hpp>
#include <zstd.h>

#include "core/base/wire.h"
#include "core/crypto/hash.h"
#include "tests/sync/golden_messages.h"
#include "tests/sync/talk.h"

namespace staffel::testing {
namespace {

using sync::Message;
using sync::WireRun;

Bytes ReadGolden(const std::string& name) {
  std::ifstream file(std::string(STAFFEL_GOLDEN_DIRECTORY) + "/" + name + ".hex");
  std::string hex;
  file >> hex;
  const auto bytes = FromHex(hex);
  REQUIRE(bytes);
  return *bytes;
}

Bytes Enveloped(ByteView content) { return Bytes("\x01\0", 2) + Bytes(content); }

TEST_CASE("messages, runs, join requests and tokens have the bytes of the golden files") {
  for (const auto& [name, bytes] : golden::GoldenFiles()) {
    INFO(name);
    REQUIRE(ToHex(bytes) == ToHex(ReadGolden(name)));
  }
}

TEST_CASE("a golden message reads as what was written") {
  const Message wanted = golden::GoldenMessage();
  const Message read = Value(sync::DecodeMessage(Enveloped(ReadGolden("message"))));
  REQUIRE(read.conference == wanted.conference);
  REQUIRE(read.charter_summary == wanted.charter_summary);
  REQUIRE(read.audiences_summary == wanted.audiences_summary);
  REQUIRE(read.audiences_digest == wanted.audiences_digest);
  REQUIRE(read.wait_ms == wanted.wait_ms);
  REQUIRE(read.charter_lines == wanted.charter_lines);
  REQUIRE(read.charter_wants == wanted.charter_wants);
  REQUIRE(read.charter_items.size() == 2);
  REQUIRE(read.charter_items[0].entry->header_bytes == wanted.charter_items[0].entry->header_bytes);
  REQUIRE(read.charter_items[0].signatures == wanted.charter_items[0].signatures);
  REQUIRE(!read.charter_items[1].entry);
  REQUIRE(read.summaries == wanted.summaries);
  REQUIRE(read.vectors == wanted.vectors);
  REQUIRE(read.digests == wanted.digests);
  REQUIRE(read.wants == wanted.wants);
  REQUIRE(read.problems == wanted.problems);
  REQUIRE(read.more);
  REQUIRE(read.new_entries == 42);
  const Run run = Value(sync::RebuildRun(read.runs.at(0)));
  const StoredRun stored = golden::GoldenRun();
  REQUIRE(run.entries.size() == stored.entries.size());
  for (std::size_t i = 0; i < run.entries.size(); ++i) {
    REQUIRE(run.entries[i].id == stored.entries[i].id);
    REQUIRE(run.entries[i].header_bytes == stored.entries[i].header);
    REQUIRE(run.entries[i].payloads == stored.entries[i].payloads);
  }
  REQUIRE(run.entries.back().signature == stored.entries.back().signature);
}

TEST_CASE("what the receiver can rebuild does not travel, and what it cannot, does") {
  StoredRun run = golden::GoldenRun();
  const auto holds = [](const WireRun& wire, ByteView bytes) {
    return wire.entries.find(bytes) != Bytes::npos;
  };
  const Header header = Value(ParseHeader(run.entries[1].header));
  const auto& records = std::get<WriteBody>(header.body).records;
  REQUIRE(records.size() >= 2);
  const WireRun wire = sync::CutRun(run);
  REQUIRE(!holds(wire, run.journal.bytes()));
  REQUIRE(!holds(wire, header.prev.bytes()));
  REQUIRE(!holds(wire, records.front().commitment.bytes()));
  REQUIRE(holds(wire, records.back().commitment.bytes()));  // its payload is erased

  SECTION("a payload that is not the committed one keeps the header whole") {
    run.entries[1].payloads.front()->back() ^= 1;
    const WireRun odd = sync::CutRun(run);
    REQUIRE(holds(odd, records.front().commitment.bytes()));
    const Run rebuilt = Value(sync::RebuildRun(odd));
    REQUIRE(rebuilt.entries[1].header_bytes == run.entries[1].header);
  }
  SECTION("a run that begins in the middle says what it follows") {
    run.entries.erase(run.entries.begin());
    const WireRun later = sync::CutRun(run);
    REQUIRE(later.first_seq == 1);
    REQUIRE(later.prev == header.prev);
    REQUIRE(Value(sync::RebuildRun(later)).entries[0].id == run.entries[0].id);
  }
}

TEST_CASE("every cut or changed byte of a run is refused, or makes other entries") {
  const WireRun good = sync::CutRun(golden::GoldenRun());
  const EntryId last = Value(sync::RebuildRun(good)).entries.back().id;
  for (std::size_t i = 0; i < good.entries.size(); ++i) {
    WireRun bad = good;
    bad.entries.resize(i);
    REQUIRE(!sync::RebuildRun(bad));
    bad = good;
    bad.entries[i] = static_cast<char>(bad.entries[i] ^ 0x10);
    const auto rebuilt = sync::RebuildRun(bad);
    if (!rebuilt) continue;
    const bool other_id = rebuilt->entries.back().id != last;
    const bool payloads_fit = CheckPayloads(rebuilt->entries.back()).has_value();
    REQUIRE((other_id || !payloads_fit));
  }
  WireRun longer = good;
  longer.entries.push_back('\0');
  REQUIRE(!sync::RebuildRun(longer));
  WireRun fewer = good;
  fewer.count = 1;
  REQUIRE(!sync::RebuildRun(fewer));
  WireRun shifted = good;
  shifted.first_seq = 1;
  REQUIRE(!sync::RebuildRun(shifted));
  WireRun foreign = good;
  foreign.journal = *JournalId::From(Bytes(32, 'f'));
  REQUIRE(!sync::RebuildRun(foreign));
}

TEST_CASE("names of missing payloads read as written, ascending, and no more than are named") {
  SimRandom random(3);
  Message message;
  for (std::uint32_t i = 0; i < sync::kMissingNamedMax; ++i) {
    message.missing.push_back(
        {random.DrawId<JournalId>(), i * 1'000, random.DrawId<EntryId>(), i % 7});
  }
  std::sort(message.missing.begin(), message.missing.end());
  message.missing_summary = sync::SummaryOf(message.missing);
  message.missing_after = message.missing.front();
  message.found = {{message.missing[1], "Salz und Wert"}, {message.missing[2], ""}};
  const Message read = Value(sync::DecodeMessage(sync::EncodeMessage(message)));
  CHECK(read.missing == message.missing);
  CHECK(read.missing_summary == message.missing_summary);
  CHECK(read.missing_after == message.missing_after);
  REQUIRE(read.found.size() == 2);
  CHECK(read.found[0].at == message.missing[1]);
  CHECK(read.found[0].bytes == "Salz und Wert");
  CHECK_FALSE(sync::SummaryOf(std::span<const PayloadAt>()));
  Message wrong = message;
  std::swap(wrong.missing[3], wrong.missing[4]);
  CHECK_FALSE(sync::DecodeMessage(sync::EncodeMessage(wrong)));
  wrong = message;
  wrong.missing.push_back(wrong.missing.back());
  wrong.missing.back().index += 1;
  CHECK_FALSE(sync::DecodeMessage(sync::EncodeMessage(wrong)));
  wrong = message;
  wrong.found[0].at.index = kRecordPartsMax;
  CHECK_FALSE(sync::DecodeMessage(sync::EncodeMessage(wrong)));
}

TEST_CASE("a message is refused for wrong versions, lengths and counts, each with a code") {
  const auto code_of = [](ByteView bytes) {
    const auto message = sync::DecodeMessage(bytes);
    REQUIRE(!message);
    REQUIRE(!message.error().message.empty());
    return message.error().code;
  };
  REQUIRE(code_of("") == ErrorCode::kInvalid);
  REQUIRE(code_of("\x01") == ErrorCode::kInvalid);
  REQUIRE(code_of(ByteView("\x02\0", 2)) == ErrorCode::kUnsupported);
  REQUIRE(code_of("\x01\x07") == ErrorCode::kInvalid);
  REQUIRE(code_of(Enveloped("\xff\xff\xff")) == ErrorCode::kInvalid);
  REQUIRE(code_of(Enveloped("")) == ErrorCode::kUnsupported);  // protocol 0
  const auto with = [](std::uint32_t number, ByteView value) {
    Bytes message;
    AppendVarintField(message, 1, sync::kProtocol);
    AppendBytesField(message, number, value);
    return Enveloped(message);
  };
  REQUIRE(sync::DecodeMessage(with(2, Bytes(32, 'c'))));
  REQUIRE(code_of(with(2, Bytes(31, 'c'))) == ErrorCode::kInvalid);
  REQUIRE(code_of(with(3, Bytes(33, 'c'))) == ErrorCode::kInvalid);
  REQUIRE(code_of(with(8, "short")) == ErrorCode::kInvalid);
  REQUIRE(code_of(with(14, "")) == ErrorCode::kInvalid);  // a run without anything
  Bytes vector;
  AppendBytesField(vector, 1, Bytes(16, 'a'));
  Bytes item = Bytes(64, 'x') + Bytes("\x01", 1);
  AppendBytesField(vector, 2, item + item);  // twice the same: not ascending
  REQUIRE(code_of(with(11, vector)) == ErrorCode::kInvalid);
  Bytes many;
  AppendVarintField(many, 1, sync::kProtocol);
  for (std::size_t i = 0; i <= sync::kMessageLinesMax; ++i) AppendBytesField(many, 10, "");
  REQUIRE(code_of(Enveloped(many)) == ErrorCode::kTooLarge);
}

TEST_CASE("a run's count is believed only as far as its bytes could hold it") {
  Message message;
  WireRun run = sync::CutRun(golden::GoldenRun());
  run.count = 50'000;
  message.runs = {run};
  REQUIRE(!sync::DecodeMessage(sync::EncodeMessage(message)));
  run.count = 0;
  message.runs = {run};
  REQUIRE(!sync::DecodeMessage(sync::EncodeMessage(message)));
}

TEST_CASE("compressed parts that lie about their size or swell too far are refused") {
  Bytes bomb(64 << 20, '\0');
  Bytes packed(ZSTD_compressBound(bomb.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), bomb.data(), bomb.size(), 3));
  REQUIRE(packed.size() < 100'000);
  const auto swollen = sync::DecodeMessage(Bytes("\x01\x01", 2) + packed);
  REQUIRE(!swollen);
  REQUIRE(swollen.error().code == ErrorCode::kTooLarge);

  // A frame that does not say its size.
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
  Bytes unknown(10'000, '\0');
  unknown.resize(ZSTD_compress2(context, unknown.data(), unknown.size(), bomb.data(), 1'000));
  ZSTD_freeCCtx(context);
  REQUIRE(!sync::DecodeMessage(Bytes("\x01\x01", 2) + unknown));

  Bytes good = sync::EncodeMessage(golden::GoldenMessage());
  REQUIRE(good[1] == 1);
  good.resize(good.size() - 1);
  REQUIRE(!sync::DecodeMessage(good));
}

TEST_CASE("a long reason is cut between characters") {
  Message message;
  std::string reason = "x";
  while (reason.size() < 2 * sync::kReasonBytesMax) reason += "ü";
  message.problems = {
      {*JournalId::From(Bytes(32, 'j')), 1, sync::RunProblem::Outcome::kRefused, reason}};
  const auto read = Value(sync::DecodeMessage(sync::EncodeMessage(message)));
  REQUIRE(read.problems[0].reason.size() <= sync::kReasonBytesMax);
  REQUIRE(reason.compare(0, read.problems[0].reason.size(), read.problems[0].reason) == 0);
  REQUIRE(read.problems[0].reason.size() % 2 == 1);
}

TEST_CASE("summaries depend on every item, and on the audience") {
  const auto message = golden::GoldenMessage();
  const auto& vector = message.vectors[0].items;
  VersionVector other = vector;
  other[0].seq += 1;
  REQUIRE(sync::SummaryOf(vector) != sync::SummaryOf(other));
  other.pop_back();
  REQUIRE(sync::SummaryOf(vector) != sync::SummaryOf(other));
  auto summaries = message.summaries;
  const Hash before = sync::SummaryOf(summaries);
  summaries[0].audience = *AudienceId::From(Bytes(16, 'o'));
  REQUIRE(before != sync::SummaryOf(summaries));
  // The three hashes over pairs never stand in for each other.
  std::vector<sync::AudienceDigest> digests = {
      {message.summaries[0].audience, message.summaries[0].summary}};
  REQUIRE(before != sync::DigestOf(digests));
}

}  // namespace
}  // namespace staffel::testing
