// SPDX-License-Identifier: EUPL-1.2
// The vectors of docs/formats/journal.md, "Digest", worked out with another implementation.
#include "core/store/digest.h"

#include <catch2/catch.hpp>

namespace staffel {
namespace {

Bytes Ascending(int first, std::size_t count) {
  Bytes bytes;
  for (std::size_t i = 0; i < count; ++i)
    bytes.push_back(static_cast<char>(first + static_cast<int>(i)));
  return bytes;
}

const RecordId kRecord = *RecordId::From(Ascending(0xb0, 16));

Hash Leaf() {
  LeafBuilder builder(*AudienceId::From(Ascending(0x40, 16)), 300, kRecord);
  builder.BeginCell(*FromHex("000102"), 2);
  builder.AddHead(*EntryId::From(Ascending(0x01, 32)), /*erased=*/false);
  builder.AddHead(*EntryId::From(Ascending(0x02, 32)), /*erased=*/true);
  builder.BeginCell(*FromHex("0001ac02"), 1);
  builder.AddHead(*EntryId::From(Ascending(0x01, 32)), /*erased=*/false);
  return builder.Finish();
}

TEST_CASE("a leaf has the bytes of the page") {
  CHECK(Leaf().Hex() == "ec0c303120268cfef0bfbbaccd946d76e5dc29f274fc672c2fd484b3d0165855");
}

TEST_CASE("a record without cells has no leaf") {
  CHECK(LeafBuilder(*AudienceId::From(Ascending(0x40, 16)), 300, kRecord).Finish().is_zero());
}

TEST_CASE("sums are big-endian numbers mod 2^256, and what was added can be taken away") {
  Hash sum;
  AddTo(sum, Leaf());
  AddTo(sum, Leaf());
  CHECK(sum.Hex() == "d8186062404d19fde17f77599b28daedcbb853e4e9f8ce585fa90967a02cb0aa");
  TakeFrom(sum, Leaf());
  CHECK(sum == Leaf());
  TakeFrom(sum, Leaf());
  CHECK(sum.is_zero());
  // Below zero and back: the order of adding and taking does not matter.
  TakeFrom(sum, Leaf());
  AddTo(sum, Leaf());
  CHECK(sum.is_zero());
}

TEST_CASE("the root has the bytes of the page") {
  std::array<Hash, 256> buckets{};
  REQUIRE(BucketOf(kRecord) == 0xb0);
  AddTo(buckets[BucketOf(kRecord)], Leaf());
  AddTo(buckets[BucketOf(kRecord)], Leaf());
  CHECK(RootOf(buckets).Hex() ==
        "a75e91645b3dd9ade10529d817a0d9b95eb2292e7b3d9ba0f8c18fd44474e603");
}

}  // namespace
}  // namespace staffel
