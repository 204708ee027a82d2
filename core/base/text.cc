// SPDX-License-Identifier: EUPL-1.2
#include "core/base/text.h"

#include <memory>

#include <unicode/coll.h>
#include <unicode/normalizer2.h>
#include <unicode/translit.h>
#include <unicode/unistr.h>
#include <unicode/ustring.h>

namespace staffel {
namespace {

bool IsAscii(std::string_view text) {
  for (char c : text) {
    if (static_cast<unsigned char>(c) >= 128) return false;
  }
  return true;
}

icu::UnicodeString ToIcu(std::string_view text) {
  return icu::UnicodeString::fromUTF8(
      icu::StringPiece(text.data(), static_cast<int32_t>(text.size())));
}

// What decomposition leaves whole and people still type without: ø, đ, ł, æ, ….
// ß and capitals are done by case folding before.
char32_t WithoutStroke(char32_t c) {
  switch (c) {
    case U'ø':
      return U'o';
    case U'đ':
      return U'd';
    case U'ł':
      return U'l';
    case U'ı':
      return U'i';
    case U'ħ':
      return U'h';
    case U'ŧ':
      return U't';
    default:
      return c;
  }
}

}  // namespace

bool IsUtf8(std::string_view text) {
  if (IsAscii(text)) return true;
  UErrorCode status = U_ZERO_ERROR;
  int32_t length = 0;
  u_strFromUTF8(nullptr, 0, &length, text.data(), static_cast<int32_t>(text.size()), &status);
  return status == U_BUFFER_OVERFLOW_ERROR || U_SUCCESS(status);
}

Result<std::string> ToNfc(std::string_view text) {
  if (text.find('\0') != std::string_view::npos) {
    return Fail(ErrorCode::kInvalid, "the text contains a NUL character");
  }
  if (IsAscii(text)) return std::string(text);
  if (!IsUtf8(text)) return Fail(ErrorCode::kInvalid, "the text is not valid UTF-8");
  UErrorCode status = U_ZERO_ERROR;
  const auto* nfc = icu::Normalizer2::getNFCInstance(status);
  const icu::UnicodeString normalized = nfc->normalize(ToIcu(text), status);
  if (U_FAILURE(status)) return Fail(ErrorCode::kInternal, "normalising a text failed");
  std::string out;
  normalized.toUTF8String(out);
  return out;
}

std::string FoldForSearch(std::string_view text) {
  std::string out;
  if (IsAscii(text)) {
    out.reserve(text.size());
    for (char c : text) out.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c);
    return out;
  }
  if (!IsUtf8(text)) return out;
  UErrorCode status = U_ZERO_ERROR;
  icu::UnicodeString folded = ToIcu(text).foldCase();
  const auto* nfkd = icu::Normalizer2::getNFKDInstance(status);
  folded = nfkd->normalize(folded, status);
  if (U_FAILURE(status)) return out;
  icu::UnicodeString plain;
  for (int32_t i = 0; i < folded.length();) {
    const UChar32 c = folded.char32At(i);
    i += U16_LENGTH(c);
    if (u_charType(c) == U_NON_SPACING_MARK) continue;
    if (c == 0xE6) {
      plain.append(icu::UnicodeString("ae"));
    } else if (c == 0x153) {
      plain.append(icu::UnicodeString("oe"));
    } else {
      plain.append(static_cast<UChar32>(WithoutStroke(static_cast<char32_t>(c))));
    }
  }
  plain.toUTF8String(out);
  return out;
}

namespace {

// A collator is not safe for concurrent use: one a thread.
const icu::Collator* GermanCollator() {
  thread_local const std::unique_ptr<icu::Collator> collator = [] {
    UErrorCode status = U_ZERO_ERROR;
    return std::unique_ptr<icu::Collator>(
        icu::Collator::createInstance(icu::Locale::getGerman(), status));
  }();
  return collator.get();
}

}  // namespace

int CompareGerman(std::string_view a, std::string_view b) {
  const icu::Collator* collator = GermanCollator();
  if (collator == nullptr) return a.compare(b);
  UErrorCode status = U_ZERO_ERROR;
  const auto result =
      collator->compareUTF8(icu::StringPiece(a.data(), static_cast<int32_t>(a.size())),
                            icu::StringPiece(b.data(), static_cast<int32_t>(b.size())), status);
  return static_cast<int>(result);
}

std::string GermanSortKey(std::string_view text) {
  const icu::Collator* collator = GermanCollator();
  if (collator == nullptr || text.empty()) return FoldForSearch(text);
  const icu::UnicodeString unicode = ToIcu(text);
  const int32_t size = collator->getSortKey(unicode, nullptr, 0);
  std::string key(static_cast<std::size_t>(size), '\0');
  collator->getSortKey(unicode, reinterpret_cast<std::uint8_t*>(key.data()), size);
  key.resize(key.find('\0'));  // it ends with one
  return key;
}

}  // namespace staffel
