// SPDX-License-Identifier: EUPL-1.2
#include "core/record/record_id.h"

#include <fmt/format.h>

#include "core/crypto/hash.h"

namespace staffel::record {
namespace {

constexpr std::string_view kTagSeed = "staffel/1/seed";

template <typename Id>
Id FromSeed(std::string_view dataset, std::string_view key) {
  Bytes data(dataset);
  data.push_back('\0');
  data.append(key);
  return *Id::From(crypto::TaggedHash(kTagSeed, data).bytes().substr(0, Id::kBytes));
}

}  // namespace

RecordId RecordIdFromSeed(std::string_view dataset, std::string_view key) {
  return FromSeed<RecordId>(dataset, key);
}

ElementId RandomElementIds::Next(std::string_view) { return random_.DrawId<ElementId>(); }

SeededElementIds::SeededElementIds(std::string dataset, std::string key)
    : dataset_(std::move(dataset)), key_(std::move(key)) {}

ElementId SeededElementIds::Next(std::string_view field) {
  // Keys have no '/': an element never gets a record's id.
  return FromSeed<ElementId>(dataset_, fmt::format("{}/{}/{}", key_, field, count_++));
}

}  // namespace staffel::record
