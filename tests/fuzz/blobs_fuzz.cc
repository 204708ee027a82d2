// SPDX-License-Identifier: EUPL-1.2
// Any bytes as what replicas say about attachments: lists, wants, ranges. Read or refused, and what
// is read is written again as the same bytes.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "sync/blobs.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace staffel;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto list = sync::UnpackBlobList(bytes)) {
    STAFFEL_ASSERT(list->chunk_hashes.size() == BlobChunks(list->size_bytes) * Hash::kBytes);
    STAFFEL_ASSERT(sync::PackBlobList(*list) == bytes);
  }
  if (const auto wanted = sync::UnpackWanted(bytes)) {
    STAFFEL_ASSERT(wanted->size() <= sync::kBlobsWantedMax);
    STAFFEL_ASSERT(sync::PackWanted(*wanted) == bytes);
  }
  for (const bool of_content : {false, true}) {
    if (const auto range = sync::ReadByteRange(bytes, of_content)) {
      STAFFEL_ASSERT(range->first <= range->last);
      STAFFEL_ASSERT(range->size.has_value() == of_content);
      STAFFEL_ASSERT(!range->size || range->last < *range->size);
    }
  }
  return 0;
}
