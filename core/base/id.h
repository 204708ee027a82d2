// SPDX-License-Identifier: EUPL-1.2
// The identifiers of core.md as distinct value types, so that a record id is never passed for an
// entry id. All are plain bytes, compared as bytes; the text form is hexadecimal.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/bytes.h"

namespace staffel {

template <std::size_t kSize, typename Tag>
class FixedId {
 public:
  static constexpr std::size_t kBytes = kSize;

  // All zero: "none" where an id is optional on disk; never a real id.
  constexpr FixedId() = default;

  // Nothing unless `bytes` has exactly kBytes bytes.
  [[nodiscard]] static std::optional<FixedId> From(ByteView bytes) {
    if (bytes.size() != kSize) return std::nullopt;
    FixedId id;
    std::memcpy(id.data_.data(), bytes.data(), kSize);
    return id;
  }
  [[nodiscard]] static std::optional<FixedId> FromText(std::string_view text) {
    const auto bytes = FromHex(text);
    return bytes ? From(*bytes) : std::nullopt;
  }

  // A view into this id: lives as long as it does.
  [[nodiscard]] ByteView bytes() const { return {data_.data(), kSize}; }
  [[nodiscard]] std::string Hex() const { return ToHex(bytes()); }
  [[nodiscard]] bool is_zero() const { return *this == FixedId(); }

  friend bool operator==(const FixedId& a, const FixedId& b) {
    return std::memcmp(a.data_.data(), b.data_.data(), kSize) == 0;
  }
  // Byte order, as unsigned bytes.
  friend std::strong_ordering operator<=>(const FixedId& a, const FixedId& b) {
    return std::memcmp(a.data_.data(), b.data_.data(), kSize) <=> 0;
  }

 private:
  std::array<char, kSize> data_{};
};

// H(entry, header bytes). The id of entry 0 is the journal's.
using EntryId = FixedId<32, struct EntryIdTag>;
using JournalId = EntryId;
// The id of the charter's entry 0.
using ConferenceId = EntryId;
// H(payload, payload bytes).
using Commitment = FixedId<32, struct CommitmentTag>;
// Any other SHA-256 value.
using Hash = FixedId<32, struct HashTag>;
using RecordId = FixedId<16, struct RecordIdTag>;
using OpId = FixedId<16, struct OpIdTag>;
using AudienceId = FixedId<16, struct AudienceIdTag>;
using Nonce = FixedId<16, struct NonceTag>;

// A member of the conference: short ASCII, `NI`, `BUND`. First a capital letter, then capitals,
// digits and '-'; 1 to 16 characters.
class MemberId {
 public:
  MemberId() = default;
  [[nodiscard]] static std::optional<MemberId> From(std::string_view text);
  [[nodiscard]] std::string_view text() const { return text_; }
  [[nodiscard]] bool empty() const { return text_.empty(); }
  friend auto operator<=>(const MemberId&, const MemberId&) = default;
  friend bool operator==(const MemberId&, const MemberId&) = default;

 private:
  std::string text_;
};

}  // namespace staffel

template <std::size_t kSize, typename Tag>
struct std::hash<staffel::FixedId<kSize, Tag>> {
  // Ids are random or hashes already: their first bytes are as good as any hash.
  std::size_t operator()(const staffel::FixedId<kSize, Tag>& id) const noexcept {
    std::size_t value;
    std::memcpy(&value, id.bytes().data(), sizeof value);
    return value;
  }
};

template <>
struct std::hash<staffel::MemberId> {
  std::size_t operator()(const staffel::MemberId& id) const noexcept {
    return std::hash<std::string_view>()(id.text());
  }
};
