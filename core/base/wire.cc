// SPDX-License-Identifier: EUPL-1.2
#include "core/base/wire.h"

#include <cstring>

namespace staffel {
namespace {

constexpr std::uint32_t kFieldNumberMax = (1u << 29) - 1;

template <typename T>
std::optional<std::uint64_t> TakeFixed(ByteView& in) {
  if (in.size() < sizeof(T)) return std::nullopt;
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value |= static_cast<std::uint64_t>(static_cast<std::uint8_t>(in[i])) << (8 * i);
  }
  in.remove_prefix(sizeof(T));
  return value;
}

}  // namespace

std::optional<std::uint64_t> TakeVarint(ByteView& in) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < in.size() && i < 10; ++i) {
    const auto byte = static_cast<std::uint8_t>(in[i]);
    if (i == 9 && byte > 1) return std::nullopt;
    value |= static_cast<std::uint64_t>(byte & 127) << (7 * i);
    if ((byte & 128) == 0) {
      if (i > 0 && byte == 0) return std::nullopt;  // not minimal
      in.remove_prefix(i + 1);
      return value;
    }
  }
  return std::nullopt;
}

std::optional<WireField> WireReader::Next() {
  if (!ok_ || rest_.empty()) return std::nullopt;
  const ByteView start = rest_;
  ok_ = false;
  const auto tag = TakeVarint(rest_);
  if (!tag || (*tag >> 3) == 0 || (*tag >> 3) > kFieldNumberMax) return std::nullopt;
  WireField field;
  field.number = static_cast<std::uint32_t>(*tag >> 3);
  field.type = static_cast<WireType>(*tag & 7);
  std::optional<std::uint64_t> value;
  switch (*tag & 7) {
    case 0:
      value = TakeVarint(rest_);
      break;
    case 1:
      value = TakeFixed<std::uint64_t>(rest_);
      break;
    case 5:
      value = TakeFixed<std::uint32_t>(rest_);
      break;
    case 2: {
      value = TakeVarint(rest_);
      if (!value || *value > rest_.size()) return std::nullopt;
      field.bytes = rest_.substr(0, *value);
      rest_.remove_prefix(*value);
      break;
    }
    default:
      return std::nullopt;
  }
  if (!value) return std::nullopt;
  field.number_value = *value;
  field.whole = start.substr(0, start.size() - rest_.size());
  ok_ = true;
  return field;
}

void AppendVarint(Bytes& out, std::uint64_t value) {
  while (value >= 128) {
    out.push_back(static_cast<char>(value | 128));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

void AppendVarintField(Bytes& out, std::uint32_t number, std::uint64_t value) {
  AppendVarint(out, std::uint64_t{number} << 3);
  AppendVarint(out, value);
}

void AppendBytesField(Bytes& out, std::uint32_t number, ByteView value) {
  AppendVarint(out, std::uint64_t{number} << 3 | 2);
  AppendVarint(out, value.size());
  out.append(value);
}

}  // namespace staffel
