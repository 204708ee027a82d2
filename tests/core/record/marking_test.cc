// SPDX-License-Identifier: EUPL-1.2
#include "core/record/marking.h"

#include <catch2/catch.hpp>

using namespace staffel::record;

TEST_CASE("markings of classified information are found in any spelling") {
  for (const char* text :
       {"VS-NfD", "vs-nfd", "VS – Nur für den Dienstgebrauch", "VS - NUR FÜR DEN DIENSTGEBRAUCH",
        "Vermerk (VS NfD): Entwurf", "V S - N f D", "VSNFD", "vs_nfd", "VS\u2011NfD",
        "VS-N\u200BfD", "ＶＳ－ＮｆＤ", "nur fuer den Dienstgebrauch",
        "Nur  für\nden Dienst-Gebrauch", "VS-Vertraulich", "VS-VERTR.", "VS-GEHEIM",
        "STRENG GEHEIM", "amtlich geheim gehalten"}) {
    INFO(text);
    CHECK(FindMarking(text).has_value());
  }
}

TEST_CASE("ordinary text is not taken for a marking") {
  for (const char* text :
       {"", "Die Länder bitten den Bund.", "NfD", "VS Verlag für Sozialwissenschaften",
        "Das TVs NfD ist ein Sender", "Verschlusssachenanweisung", "nur für den Dienst",
        "geheime Wahl", "Geheimnisschutz", "VS-Nfda"}) {
    INFO(text);
    CHECK_FALSE(FindMarking(text).has_value());
  }
}
