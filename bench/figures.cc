// SPDX-License-Identifier: EUPL-1.2
#include "bench/figures.h"

#include <algorithm>

#include <fmt/format.h>

namespace staffel::bench {
namespace {

std::string Aim(const Figure& figure) {
  if (figure.at_most) return fmt::format("at most {:g}", *figure.at_most);
  if (figure.at_least) return fmt::format("at least {:g}", *figure.at_least);
  return "";
}

}  // namespace

std::string Table(const std::vector<Figure>& figures) {
  std::string table =
      fmt::format("{:<58}{:>14} {:<10}{:<16}{}\n", "figure", "value", "unit", "aim", "met");
  for (const Figure& figure : figures) {
    table += fmt::format("{:<58}{:>14.{}f} {:<10}{:<16}{}\n", figure.label, figure.value,
                         figure.digits, figure.unit, Aim(figure),
                         !figure.has_aim() ? "" : (figure.met() ? "yes" : "NO"));
  }
  return table;
}

std::string Json(const std::vector<Figure>& figures, std::size_t records,
                 std::string_view version) {
  std::string json = fmt::format("{{\n  \"version\": \"{}\",\n  \"records\": {},\n  \"figures\": [",
                                 version, records);
  for (std::size_t index = 0; index < figures.size(); ++index) {
    const Figure& figure = figures[index];
    json += fmt::format("{}\n    {{\"name\": \"{}\", \"value\": {:.6g}, \"unit\": \"{}\"",
                        index == 0 ? "" : ",", figure.name, figure.value, figure.unit);
    if (figure.at_most) json += fmt::format(", \"at_most\": {:g}", *figure.at_most);
    if (figure.at_least) json += fmt::format(", \"at_least\": {:g}", *figure.at_least);
    if (figure.has_aim()) json += fmt::format(", \"met\": {}", figure.met());
    json += "}";
  }
  return json + "\n  ]\n}\n";
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

}  // namespace staffel::bench
