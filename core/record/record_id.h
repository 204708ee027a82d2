// SPDX-License-Identifier: EUPL-1.2
// Ids made here: of records from a data set's stable keys, and of elements. Ids are random, unless
// a data set has to give the same ones at every import. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/id.h"
#include "core/base/random.h"
#include "core/journal/cell.h"

namespace staffel::record {

// The first 16 bytes of H("staffel/1/seed", dataset ‖ 0 ‖ key). The same key is the same record at
// every import.
[[nodiscard]] RecordId RecordIdFromSeed(std::string_view dataset, std::string_view key);

// Where new elements get their ids from.
class ElementIds {
 public:
  virtual ~ElementIds() = default;
  // `field` is the field's name: seeded ids are made from it and a count.
  [[nodiscard]] virtual ElementId Next(std::string_view field) = 0;
};

class RandomElementIds final : public ElementIds {
 public:
  // `random` must outlive this.
  explicit RandomElementIds(Random& random) : random_(random) {}
  [[nodiscard]] ElementId Next(std::string_view field) override;

 private:
  Random& random_;
};

// The n-th element of a field of one record of a data set: the same at every import. Made from
// names and counts, never from what the element says.
class SeededElementIds final : public ElementIds {
 public:
  SeededElementIds(std::string dataset, std::string key);
  [[nodiscard]] ElementId Next(std::string_view field) override;

 private:
  std::string dataset_;
  std::string key_;
  std::uint64_t count_ = 0;
};

}  // namespace staffel::record
