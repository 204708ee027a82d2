// SPDX-License-Identifier: EUPL-1.2
// The little of protobuf's wire format (https://protobuf.dev/programming-guides/encoding/) that we
// need below the generated classes: cutting a message into fields without knowing its type, and
// writing a field. Messages proper are read and written by protobuf itself.
#pragma once

#include <cstdint>
#include <optional>

#include "core/base/bytes.h"

namespace staffel {

enum class WireType : std::uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

// One field as it stands in a message. Views into the message.
struct WireField {
  std::uint32_t number = 0;
  WireType type = WireType::kVarint;
  std::uint64_t number_value = 0;  // kVarint, kFixed32, kFixed64
  ByteView bytes;                  // kBytes: the content
  ByteView whole;                  // tag and content, as they stand
};

// Walks the fields of one message, front to back.
//   WireReader reader(message);
//   while (auto field = reader.Next()) …;
//   if (!reader.ok()) …  // the bytes are not a protobuf message
// Groups (wire types 3 and 4), field number 0 and overlong varints are refused.
class WireReader {
 public:
  explicit WireReader(ByteView message) : rest_(message) {}
  [[nodiscard]] std::optional<WireField> Next();
  [[nodiscard]] bool ok() const { return ok_; }
  // What has not been read yet.
  [[nodiscard]] ByteView rest() const { return rest_; }

 private:
  ByteView rest_;
  bool ok_ = true;
};

void AppendVarint(Bytes& out, std::uint64_t value);
// Takes a varint off the front of `in`; nothing if it is cut short or not minimally encoded.
[[nodiscard]] std::optional<std::uint64_t> TakeVarint(ByteView& in);
void AppendVarintField(Bytes& out, std::uint32_t number, std::uint64_t value);
void AppendBytesField(Bytes& out, std::uint32_t number, ByteView value);

}  // namespace staffel
