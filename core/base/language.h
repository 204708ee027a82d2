// SPDX-License-Identifier: EUPL-1.2
// The interface's two languages: German first, English second. Any thread.
#pragma once

namespace staffel {

enum class Language { kGerman, kEnglish };

// What a command was asked for: `--lang en` or `--lang=en` among its arguments, else by LC_ALL,
// LC_MESSAGES, LANG; German where nothing says English. Reads the environment: call it before there
// is a second thread.
[[nodiscard]] Language ChooseLanguage(int argc, const char* const* argv);

}  // namespace staffel
