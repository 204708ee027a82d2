// SPDX-License-Identifier: EUPL-1.2
// Attachments as records name them: a message with a part of FORMAT_BLOB (the id), `size_bytes` and
// `sha256` beside it. Found by the options alone, in whatever kind. The bytes themselves are the
// store's (core/store/blobs.h); format: docs/formats/blobs.md. Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/id.h"
#include "core/record/catalog.h"
#include "core/record/cells.h"

namespace staffel::record {

struct BlobReference {
  Hash blob;
  std::uint64_t size_bytes = 0;  // as the record says: not checked
  std::optional<Hash> sha256;    // the same
  std::string media_type;
  std::string name;
};

// The field of a kind that holds one attachment (a group); nullptr where it has none.
[[nodiscard]] const Field* BlobFieldOf(const Kind& kind);
// Whether a record of this kind may name attachments at all. Kinds unknown here: no.
[[nodiscard]] bool NamesBlobs(std::uint32_t kind);
// The attachment that a cell's value names. Nothing for other cells, and for bytes that cannot be
// read: foreign values are never trusted to have their form.
[[nodiscard]] std::optional<BlobReference> BlobNamedBy(const Kind& kind, ByteView cell,
                                                       ByteView value);
// The write that makes a record name this attachment. The kind must have a BlobFieldOf.
[[nodiscard]] CellWrite NameBlob(const Kind& kind, const BlobReference& reference);

}  // namespace staffel::record
