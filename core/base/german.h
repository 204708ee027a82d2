// SPDX-License-Identifier: EUPL-1.2
// The sentences of refusals in German. They are made in English where something fails; at the edge
// where a person is answered, this finds the template that a sentence was made from and says it in
// German. Sentences from other nodes, which arrive in English, are said so too. Any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace staffel {

// A template with a {} for each value; in the German one {} in the same order, or {0}, {1}, ….
struct Sentence {
  std::string_view english;
  std::string_view german;
};
// The catalogue, german_sentences.cc: sorted by the English template.
[[nodiscard]] std::span<const Sentence> GermanSentences();

// The sentence in German, the sentences that it holds too ("field 'title': must not be empty"); as
// it is where the catalogue has no template for it.
[[nodiscard]] std::string InGerman(std::string_view english);

}  // namespace staffel
