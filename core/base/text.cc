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
  // Nearly all text is: then it need not go to UTF-16 and back.
  const bool is_nfc = nfc->isNormalizedUTF8(
      icu::StringPiece(text.data(), static_cast<int32_t>(text.size())), status);
  if (U_SUCCESS(status) && is_nfc) return std::string(text);
  const icu::UnicodeString normalized = nfc->normalize(ToIcu(text), status);
  if (U_FAILURE(status)) return Fail(ErrorCode::kInternal, "normalising a text failed");
  std::string out;
  normalized.toUTF8String(out);
  return out;
}

namespace {

// The German letters, which nearly every text of ours has; nothing for others.
std::string_view FoldGerman(std::string_view two_bytes) {
  if (two_bytes == "ä" || two_bytes == "Ä") return "a";
  if (two_bytes == "ö" || two_bytes == "Ö") return "o";
  if (two_bytes == "ü" || two_bytes == "Ü") return "u";
  if (two_bytes == "ß") return "ss";
  return {};
}

void AppendFolded(std::string& out, std::string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  icu::UnicodeString folded = ToIcu(text).foldCase();
  const auto* nfkd = icu::Normalizer2::getNFKDInstance(status);
  folded = nfkd->normalize(folded, status);
  if (U_FAILURE(status)) return;
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
}

}  // namespace

std::string FoldForSearch(std::string_view text) {
  std::string out;
  if (!IsUtf8(text)) return out;
  out.reserve(text.size());
  // Folding never looks beyond an ASCII character, so each run of others is folded by itself.
  while (!text.empty()) {
    const char c = text.front();
    if (IsAscii(text.substr(0, 1))) {
      out.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c);
      text.remove_prefix(1);
      continue;
    }
    std::size_t size = 1;
    while (size < text.size() && !IsAscii(text.substr(size, 1))) ++size;
    const std::string_view run = text.substr(0, size);
    const std::string_view german = FoldGerman(run);
    if (german.empty()) {
      AppendFolded(out, run);
    } else {
      out += german;
    }
    text.remove_prefix(size);
  }
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
