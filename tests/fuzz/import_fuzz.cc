// SPDX-License-Identifier: EUPL-1.2
// Import files, and through them JSON, every check of input, and the way back: whatever is taken
// must project, be shown, and be taken again. The first byte cuts the file into pieces.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/projection/fresh.h"
#include "core/record/catalog.h"
#include "core/record/edit.h"
#include "core/record/import.h"
#include "core/record/json.h"
#include "core/record/view.h"

namespace {

using namespace staffel;
using namespace staffel::record;

Bytes RowOf(const ImportRecord& record) {
  std::vector<projection::CellValue> values;
  for (const CellWrite& write : record.writes) {
    STAFFEL_ASSERT(write.value.has_value());
    const auto path = ReadCellPath(write.cell);
    const Field* field = Kinds().Find(record.kind)->Find(path->field);
    // What we write ourselves, every reader must take.
    STAFFEL_ASSERT(field != nullptr && CellFits(*field, *path) &&
                   ValueFits(*field, *path, *write.value));
    values.push_back({write.cell, *write.value});
  }
  return projection::RowOfValues(record.kind, values).row;
}

void TryRecord(const ImportRecord& record) {
  const Kind& kind = *Kinds().Find(record.kind);
  const Bytes row = RowOf(record);
  const std::string json = RowToJson(kind, row);
  (void)TitleOf(kind, row);
  (void)SearchTextOf(kind, row);
  (void)SortKeyOf(kind, row);
  for (const CellWrite& write : record.writes) {
    (void)FieldPathOf(kind, write.cell, row);
    (void)ValueToText(kind, write.cell, write.value);
  }
  const auto object = ParseJson(json);
  if (!object) {
    // JSON may grow beyond its limit by escaping; nothing else may be wrong with it.
    STAFFEL_ASSERT(object.error().code == ErrorCode::kTooLarge);
    return;
  }
  SeededElementIds ids("fuzz", "again");
  const InputContext context{&ids, {}, json};
  const auto again = CellsOfRecord(kind, *object, context);
  STAFFEL_ASSERT(again.has_value());
  STAFFEL_ASSERT(RowToJson(kind, RowOf({record.kind, record.record, record.key, record.audience, 1,
                                        *again})) == json);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t piece = data[0] == 0 ? size : data[0];
  std::string_view file(reinterpret_cast<const char*>(data + 1), size - 1);
  ImportReader reader;
  for (std::string_view rest = file; !rest.empty();) {
    const std::string_view part = rest.substr(0, piece);
    if (!reader.Feed(part)) break;
    rest.remove_prefix(part.size());
  }
  const auto plan = reader.Finish();
  // In pieces or whole: the same verdict.
  STAFFEL_ASSERT(plan.has_value() == ImportReader::Read(file).has_value());
  if (!plan) return 0;
  for (const ImportRecord& record : plan->records) TryRecord(record);
  return 0;
}
