// SPDX-License-Identifier: EUPL-1.2
// JSON as people and programs hand it in: parsed strictly (duplicate keys, depth and size are
// refused), every value with its place in the text, so that a refusal can name line and column.
// What the values mean is the business of edit.h and import.h.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"

namespace staffel::record {

inline constexpr std::size_t kJsonBytesMax = 1024 * 1024;
inline constexpr std::size_t kJsonDepthMax = 16;
inline constexpr std::size_t kJsonValuesMax = 100'000;

enum class JsonType : std::uint8_t { kNull, kBool, kInteger, kFraction, kText, kArray, kObject };

struct JsonValue {
  // Defined in json.cc: clang 14 would otherwise need a pair of this type before it is complete.
  JsonValue();
  JsonValue(const JsonValue&);
  JsonValue(JsonValue&&) noexcept;
  JsonValue& operator=(const JsonValue&);
  JsonValue& operator=(JsonValue&&) noexcept;
  ~JsonValue();

  JsonType type = JsonType::kNull;
  bool truth = false;                                      // kBool
  bool negative = false;                                   // kInteger
  std::uint64_t integer = 0;                               // kInteger: the magnitude
  std::string text;                                        // kText; kFraction: as written
  std::vector<JsonValue> items;                            // kArray
  std::vector<std::pair<std::string, JsonValue>> members;  // kObject, in the order given
  std::size_t offset = 0;  // of its last byte or shortly behind, in the text it was read from
  bool loose = false;      // from a command line: "true" and "13" stand for a bool and a number

  [[nodiscard]] const JsonValue* Find(std::string_view name) const;
  // "text", "a number": for messages.
  [[nodiscard]] std::string_view TypeName() const;
};

// Refuses what is not one JSON value, naming line and column ("line 1, column 17: …").
[[nodiscard]] Result<JsonValue> ParseJson(std::string_view text);
// "line 3, column 14" of an offset.
[[nodiscard]] std::string JsonPlace(std::string_view text, std::size_t offset);

[[nodiscard]] JsonValue JsonText(std::string text, bool loose = false);
// A JSON string literal, quotes included. Ill-formed UTF-8 is written as U+FFFD.
void AppendJsonText(std::string& out, std::string_view text);

}  // namespace staffel::record
