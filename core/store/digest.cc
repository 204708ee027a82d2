// SPDX-License-Identifier: EUPL-1.2
#include "core/store/digest.h"

#include "core/base/wire.h"
#include "core/crypto/hash.h"

namespace staffel {
namespace {

template <typename Step>
Hash Combine(const Hash& a, const Hash& b, Step&& step) {
  Bytes out(Hash::kBytes, '\0');
  int carry = 0;
  for (std::size_t i = Hash::kBytes; i-- > 0;) {
    const int value = step(static_cast<std::uint8_t>(a.bytes()[i]),
                           static_cast<std::uint8_t>(b.bytes()[i]), carry);
    out[i] = static_cast<char>(value & 255);
    carry = value < 0 ? -1 : value >> 8;
  }
  return *Hash::From(out);
}

}  // namespace

void AddTo(Hash& sum, const Hash& leaf) {
  sum = Combine(sum, leaf, [](int a, int b, int carry) { return a + b + carry; });
}

void TakeFrom(Hash& sum, const Hash& leaf) {
  sum = Combine(sum, leaf, [](int a, int b, int borrow) { return a - b + borrow; });
}

LeafBuilder::LeafBuilder(const AudienceId& audience, std::uint32_t kind, const RecordId& record) {
  data_.reserve(512);
  data_.append(audience.bytes());
  AppendVarint(data_, kind);
  data_.append(record.bytes());
}

void LeafBuilder::BeginCell(ByteView cell, std::size_t heads) {
  ++cells_;
  AppendVarint(data_, cell.size());
  data_.append(cell);
  AppendVarint(data_, heads);
}

void LeafBuilder::AddHead(const EntryId& entry, bool erased) {
  data_.append(entry.bytes());
  data_.push_back(erased ? '\1' : '\0');
}

Hash LeafBuilder::Finish() const {
  return cells_ == 0 ? Hash() : crypto::TaggedHash(crypto::kTagLeaf, data_);
}

Hash RootOf(const std::array<Hash, 256>& buckets) {
  Bytes all;
  all.reserve(buckets.size() * Hash::kBytes);
  for (const Hash& bucket : buckets) all.append(bucket.bytes());
  return crypto::Sha256(all);
}

}  // namespace staffel
