// SPDX-License-Identifier: EUPL-1.2
#include "core/record/agenda_number.h"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

using namespace staffel::record;

TEST_CASE("agenda numbers sort as the conferences do, gaps and suffixes included") {
  const std::vector<std::string> order = {"0.1",   "0.2",  "1",    "1a",  "2",   "2.1",  "2.4",
                                          "2.4.1", "2.4a", "2.4b", "2.5", "2.9", "2.9b", "2.10",
                                          "3.1",   "7",    "10",   "A1",  "A3",  "B1"};
  std::vector<std::string> mixed = order;
  std::mt19937 shuffle(7);
  for (int i = 0; i < 20; ++i) {
    std::shuffle(mixed.begin(), mixed.end(), shuffle);
    std::sort(mixed.begin(), mixed.end(),
              [](const auto& a, const auto& b) { return AgendaSortKey(a) < AgendaSortKey(b); });
    CHECK(mixed == order);
  }
}

TEST_CASE("what is no agenda number is told apart and sorts last") {
  for (const char* good : {"1", "2.4a", "A1", "10.2.1", "0.1"}) CHECK(IsAgendaNumber(good));
  for (const char* bad : {"", ".", "1.", ".1", "1..2", "TOP 1", "2,4", "ä1", "1-2",
                          "12345678901234567", "abc", "A", "a.1", "2.abc", "1abc"}) {
    INFO(bad);
    CHECK_FALSE(IsAgendaNumber(bad));
  }
  CHECK(AgendaSortKey("A3") < AgendaSortKey("Tischvorlage zu 2"));
}
