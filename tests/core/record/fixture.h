// SPDX-License-Identifier: EUPL-1.2
// What the tests of records share: counted instead of random ids, and a row from JSON.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

#include "core/base/wire.h"
#include "core/record/catalog.h"
#include "core/record/cells.h"
#include "core/record/edit.h"
#include "core/record/json.h"

namespace staffel::record {

// Element ids 01…, 02…, in the order of their making.
class CountedIds final : public ElementIds {
 public:
  ElementId Next(std::string_view) override {
    Bytes bytes(16, '\0');
    bytes[0] = static_cast<char>(++count_);
    return *ElementId::From(bytes);
  }

 private:
  int count_ = 0;
};

inline const Kind& KindNamed(std::string_view name) {
  const Kind* kind = Kinds().Find(name);
  REQUIRE(kind != nullptr);
  return *kind;
}

inline Result<std::vector<CellWrite>> TryNew(std::string_view kind, std::string_view json) {
  CountedIds ids;
  auto object = ParseJson(json);
  if (!object) return Forward(object);
  return CellsOfRecord(KindNamed(kind), *object, {&ids, {}, json});
}

// A record as its cells: what the store would hold after each edit, projected without conflicts.
class Cells {
 public:
  void Apply(const std::vector<CellWrite>& writes) {
    for (const CellWrite& write : writes) {
      if (write.value) {
        values_[write.cell] = *write.value;
      } else {
        values_.erase(write.cell);
      }
    }
  }
  const std::map<Cell, Bytes>& values() const { return values_; }

  // The row, composed plainly: by field, sequences by position. The real one is the projection's.
  Bytes Row(const Kind& kind) const {
    Bytes row;
    for (const Field& field : kind.fields) {
      std::map<Bytes, std::map<std::uint32_t, Bytes>> elements;
      for (const auto& [cell, value] : values_) {
        const auto path = ReadCellPath(cell);
        if (path->field != field.number) continue;
        if (path->part != 0) {
          elements[Bytes(path->element)][path->part] = value;
        } else {
          row += value;
        }
      }
      std::map<std::pair<Bytes, Bytes>, Bytes> ordered;
      for (const auto& [id, parts] : elements) {
        Bytes message;
        AppendBytesField(message, 1, id);
        for (const auto& [part, value] : parts) message += value;
        ordered[{parts.contains(2) ? parts.at(2) : Bytes(), id}] = message;
      }
      for (const auto& [key, message] : ordered) AppendBytesField(row, field.number, message);
    }
    return row;
  }

 private:
  std::map<Cell, Bytes> values_;
};

inline Cells MakeCells(std::string_view kind, std::string_view json) {
  auto writes = TryNew(kind, json);
  if (!writes) FAIL(writes.error().message);
  Cells cells;
  cells.Apply(*writes);
  return cells;
}

inline Bytes MakeRow(std::string_view kind, std::string_view json) {
  return MakeCells(kind, json).Row(KindNamed(kind));
}

}  // namespace staffel::record
