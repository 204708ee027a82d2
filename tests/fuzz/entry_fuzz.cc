// SPDX-License-Identifier: EUPL-1.2
// Whatever bytes come as a header, a payload, a cell or a charter: they are refused, or have one
// reading that is written back to the same bytes. The first byte chooses, so that one corpus
// serves all.
#include <cstddef>
#include <cstdint>

#include "core/base/result.h"
#include "core/charter/tree.h"
#include "core/journal/cell.h"
#include "core/journal/entry.h"

namespace {

using namespace staffel;

constexpr std::size_t kChangesMax = 40;

void FuzzHeader(ByteView bytes) {
  const auto entry = MakeEntry(Bytes(bytes));
  if (!entry) return;
  STAFFEL_ASSERT(entry->header_bytes == bytes);
  if (!entry->header.opaque) STAFFEL_ASSERT(SerializeHeader(entry->header) == bytes);
  (void)CheckPayloads(*entry);
  const auto* write = std::get_if<WriteBody>(&entry->header.body);
  if (write == nullptr) return;
  STAFFEL_ASSERT(write->records.size() <= kRecordPartsMax && write->parents.size() <= kParentsMax);
  for (const RecordPart& part : write->records) {
    for (const CellChange& change : part.changes) {
      STAFFEL_ASSERT(CheckCell(change.cell).has_value());
      for (std::uint32_t parent : change.parents) STAFFEL_ASSERT(parent < write->parents.size());
    }
  }
}

void FuzzPayload(ByteView bytes) {
  for (std::size_t changes = 0; changes < kChangesMax; ++changes) {
    const auto content = ParsePayload(bytes, changes);
    if (content) STAFFEL_ASSERT(content->values.size() == changes);
  }
  const auto unpacked = UnpackPayloads(bytes);
  if (unpacked) STAFFEL_ASSERT(PackPayloads(*unpacked) == bytes);
}

void FuzzCell(ByteView bytes) {
  const auto address = DecodeCell(bytes);
  const auto owner = CheckCell(bytes);
  STAFFEL_ASSERT(address.has_value() == owner.has_value());
  if (!address) return;
  STAFFEL_ASSERT(address->owner == *owner);
  STAFFEL_ASSERT(EncodeCell(*address) == bytes);
}

void FuzzCharter(ByteView bytes) {
  const auto content = charter::ParseContent(bytes);
  if (!content || !content->unknown.empty()) return;
  const auto again = charter::SerializeContent(*content);
  STAFFEL_ASSERT(again.has_value());
  STAFFEL_ASSERT(charter::ParseContent(*again).value() == *content);
  // As an entry 0 it founds a tree, whatever it names.
  Header header;
  header.body = CharterBody{Bytes(bytes)};
  auto entry = MakeEntry(SerializeHeader(header));
  if (!entry) return;
  charter::CharterTree tree(entry->id);
  STAFFEL_ASSERT(tree.Add(*entry).value_or(false));
  STAFFEL_ASSERT(tree.InForce().authority != nullptr);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      FuzzHeader(bytes);
      break;
    case 1:
      FuzzPayload(bytes);
      break;
    case 2:
      FuzzCell(bytes);
      break;
    default:
      FuzzCharter(bytes);
      break;
  }
  return 0;
}
