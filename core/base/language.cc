// SPDX-License-Identifier: EUPL-1.2
#include "core/base/language.h"

#include <cstdlib>
#include <string_view>

namespace staffel {

Language ChooseLanguage(int argc, const char* const* argv) {
  constexpr std::string_view kOption = "--lang";
  std::string_view choice;
  for (const char* name : {"LC_ALL", "LC_MESSAGES", "LANG"}) {
    const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
    if (value != nullptr && *value != '\0') {
      choice = value;
      break;
    }
  }
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == kOption && i + 1 < argc) choice = argv[i + 1];
    if (argument.starts_with("--lang=")) choice = argument.substr(kOption.size() + 1);
  }
  return choice.starts_with("en") ? Language::kEnglish : Language::kGerman;
}

}  // namespace staffel
