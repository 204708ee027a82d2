// SPDX-License-Identifier: EUPL-1.2
#include "core/charter/hidden.h"

#include <catch2/catch.hpp>

#include "core/crypto/hash.h"
#include "tests/core/charter/board.h"

namespace staffel::charter {
namespace {

TEST_CASE("heads of a cut have one form: ascending, each once, at least one") {
  testing::SimRandom random(3);
  const CutHead one{1, random.DrawId<EntryId>()};
  const CutHead two{2, random.DrawId<EntryId>()};
  const Bytes bytes = SerializeCutHeads({two, one});
  REQUIRE(ParseCutHeads(bytes));
  CHECK(*ParseCutHeads(bytes) == std::vector<CutHead>{one, two});
  CHECK(SerializeCutHeads({one, two}) == bytes);
  CHECK_FALSE(ParseCutHeads(""));
  CHECK_FALSE(ParseCutHeads("garbage"));
  CHECK_FALSE(ParseCutHeads(SerializeCutHeads({two}) + SerializeCutHeads({one})));
  CHECK_FALSE(ParseCutHeads(SerializeCutHeads({one}) + SerializeCutHeads({one})));
  CHECK_FALSE(ParseCutHeads(SerializeCutHeads({{1, EntryId()}})));
  CHECK_FALSE(ParseCutHeads(ByteView(bytes).substr(0, bytes.size() - 1)));
  // A head of entry 0 has no number on the wire.
  CHECK(ParseCutHeads(SerializeCutHeads({{0, one.entry}}))->front().seq == 0);
}

TEST_CASE("the hash covers salt and content") {
  const DisclosureBody::Item item{Bytes(kSaltBytes, 's'), "content"};
  CHECK(HashHidden(item) ==
        crypto::TaggedHash("staffel/1/payload", Bytes(kSaltBytes, 's') + "content"));
  DisclosureBody::Item other = item;
  other.salt[0] = 't';
  CHECK(HashHidden(other) != HashHidden(item));
}

}  // namespace
}  // namespace staffel::charter
