// SPDX-License-Identifier: EUPL-1.2
// The state digest of core.md: one leaf a record, sums of leaves in 256 buckets an audience. Adding
// and taking away a leaf is all that a commit does; the order of commits does not matter.
// docs/formats/journal.md, "Digest", has the bytes of a leaf.
#pragma once

#include <array>
#include <cstdint>
#include <map>

#include "core/base/id.h"
#include "core/fold/fold.h"

namespace staffel {

// Big-endian numbers mod 2^256.
void AddTo(Hash& sum, const Hash& leaf);
void TakeFrom(Hash& sum, const Hash& leaf);

// One head as a leaf sees it.
struct LeafHead {
  EntryId entry;
  bool erased = false;
};

// Builds a leaf cell by cell. Cells in byte order, heads in ascending order.
class LeafBuilder {
 public:
  LeafBuilder(const AudienceId& audience, std::uint32_t kind, const RecordId& record);
  void BeginCell(ByteView cell, std::size_t heads);
  void AddHead(const EntryId& entry, bool erased);
  // Nothing (all zero) where there was no cell: no heads, no leaf.
  [[nodiscard]] Hash Finish() const;

 private:
  Bytes data_;
  std::size_t cells_ = 0;
};

[[nodiscard]] inline std::size_t BucketOf(const RecordId& record) {
  return static_cast<std::uint8_t>(record.bytes()[0]);
}
[[nodiscard]] Hash RootOf(const std::array<Hash, 256>& buckets);

}  // namespace staffel
