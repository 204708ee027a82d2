// SPDX-License-Identifier: EUPL-1.2
#include "core/record/position.h"

#include <algorithm>
#include <random>

#include <catch2/catch.hpp>
#include <rapidcheck/catch.h>

using namespace staffel::record;

TEST_CASE("there is always room between two positions") {
  rc::prop("inserting anywhere keeps the order", [](const std::vector<unsigned>& places) {
    std::vector<std::string> order;
    for (unsigned place : places) {
      const std::size_t at = place % (order.size() + 1);
      const std::string made =
          PositionBetween(at == 0 ? "" : order[at - 1], at == order.size() ? "" : order[at]);
      RC_ASSERT(IsPosition(made));
      order.insert(order.begin() + static_cast<std::ptrdiff_t>(at), made);
      RC_ASSERT(std::is_sorted(order.begin(), order.end(), std::less_equal<>()));
    }
  });
}

TEST_CASE(
    "appending a thousand times and splitting one gap a hundred times keeps positions short") {
  std::string last;
  for (int i = 0; i < 1000; ++i) {
    const std::string next = PositionBetween(last, "");
    REQUIRE(next > last);
    last = next;
  }
  CHECK(last.size() < 40);
  std::string low = "V", high = "W";
  for (int i = 0; i < 100; ++i) {
    const std::string middle = PositionBetween(low, high);
    REQUIRE(low < middle);
    REQUIRE(middle < high);
    (i % 2 == 0 ? low : high) = middle;
  }
  CHECK(low.size() < 60);
}

TEST_CASE("even positions ascend, whatever their number") {
  for (std::size_t count : {0u, 1u, 2u, 61u, 62u, 63u, 2000u}) {
    const auto positions = EvenPositions(count);
    REQUIRE(positions.size() == count);
    CHECK(std::is_sorted(positions.begin(), positions.end(), std::less_equal<>()));
    CHECK(std::all_of(positions.begin(), positions.end(),
                      [](const auto& p) { return IsPosition(p); }));
  }
}

TEST_CASE("bounds that are none, or stand the wrong way, still give a position") {
  CHECK(PositionBetween("V", "V") > "V");
  CHECK(PositionBetween("W", "V") > "W");
  CHECK(IsPosition(PositionBetween("", "")));
  CHECK(IsPosition(PositionBetween("!!", "\xFF")));
  CHECK(IsPosition(PositionBetween("V0", "10")));
  for (const char* bad : {"", "0", "V0", "a b", "ä"}) CHECK_FALSE(IsPosition(bad));
}
