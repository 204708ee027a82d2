// SPDX-License-Identifier: EUPL-1.2
// Measured figures, with the aim beside each: as a table for people, as JSON for programs.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace staffel::bench {

struct Figure {
  std::string name;   // "ingest_ratio": for programs
  std::string label;  // for people
  double value = 0;
  std::string unit;
  int digits = 1;
  // The aim: at most, or at least, this much. Nothing: no aim is set.
  std::optional<double> at_most;
  std::optional<double> at_least;

  [[nodiscard]] bool has_aim() const { return at_most || at_least; }
  [[nodiscard]] bool met() const {
    return (!at_most || value <= *at_most) && (!at_least || value >= *at_least);
  }
};

[[nodiscard]] std::string Table(const std::vector<Figure>& figures);
[[nodiscard]] std::string Json(const std::vector<Figure>& figures, std::size_t records,
                               std::string_view version);
[[nodiscard]] double Median(std::vector<double> values);

}  // namespace staffel::bench
