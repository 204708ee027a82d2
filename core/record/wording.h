// SPDX-License-Identifier: EUPL-1.2
// How values are said to whoever asked: in German or English, times as people read them or as they
// are stored, references by name or by id. view.h shows rows and cells by it; nothing that is
// stored or hashed ever depends on it. Pure functions: any thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/language.h"
#include "core/base/time.h"

namespace staffel::record {

struct Wording {
  Language language = Language::kGerman;
  // For programs: "2025-01-22T24:00" and "2025-06-13T10:00:00Z". Else for people: "22.01.2025,
  // 24 Uhr", and points in time as clocks in the conferences' zone show them.
  bool times_as_stored = true;
  // What a record is called that a value refers to, by the 16 bytes of its id; without it, its id.
  std::function<std::string(ByteView id)> name_record = {};

  [[nodiscard]] bool is_german() const { return language == Language::kGerman; }
  // Of two labels the one in this language; the German one where there is no other.
  [[nodiscard]] const std::string& Of(const std::string& german, const std::string& english) const {
    return is_german() || english.empty() ? german : english;
  }
};

// The zone that every conference of the Länder lives by, wherever the person who asks is.
inline constexpr std::string_view kConferenceZone = "Europe/Berlin";

// A stored date or local time: "2025-04-23", "2025-01-22T24:00". Text of another form is returned
// as it is: foreign values are shown whatever they are.
[[nodiscard]] std::string SayTime(std::string_view stored, const Wording& wording);
// A point in time.
[[nodiscard]] std::string SayInstant(TimeMs time, const Wording& wording);

}  // namespace staffel::record
