// SPDX-License-Identifier: EUPL-1.2
// What the charter holds only as a salted hash, because not every member may know it: the heads of
// a cut in an audience that is not open, and the parts of a handover's protocol. An entry of the
// audience discloses it (DisclosureBody); whoever holds that entry can check it against the hash.
// docs/formats/charter.md has the bytes. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/id.h"
#include "core/base/result.h"
#include "core/base/time.h"
#include "core/charter/content.h"
#include "core/journal/entry.h"

namespace staffel::charter {

// H("staffel/1/payload", salt and content).
[[nodiscard]] Hash HashHidden(const DisclosureBody::Item& item);

// A cut's heads as a disclosure's content: a serialized v1::CutHeads.
[[nodiscard]] Bytes SerializeCutHeads(const std::vector<CutHead>& heads);
// Nothing where the bytes are not heads in the one allowed form: ascending, each once, at least
// one and at most as many as a cut may have.
[[nodiscard]] std::optional<std::vector<CutHead>> ParseCutHeads(ByteView content);

// What of one audience both sides of a handover put their names to. The heads say up to where; the
// figures follow from them and from what they stand on, on every replica that holds it.
struct HandoverPart {
  struct Head {
    JournalId journal;
    std::uint64_t seq = 0;
    EntryId entry;
    friend auto operator<=>(const Head&, const Head&) = default;
  };
  struct Kind {
    std::uint32_t kind = 0;
    std::uint64_t records = 0;
    Hash digest;  // the sum of its records' leaves, as in the state digest
    friend bool operator==(const Kind&, const Kind&) = default;
  };
  struct Figures {
    std::uint64_t entries = 0;  // the heads and all before them
    std::uint64_t records = 0;  // with an effect
    std::uint64_t valid = 0;    // entries that had an effect
    // Payloads that are absent. Erasing goes on: where two replicas differ in this, their digests
    // say nothing.
    std::uint64_t erased = 0;
    Hash digest;              // the audience's state digest at these heads
    std::vector<Kind> kinds;  // ascending
    EntryId last_receipt;     // of the ended term; zero: none
    TimeMs last_receipt_time;
    friend bool operator==(const Figures&, const Figures&) = default;
  };
  std::uint64_t term = 0;  // the ended one
  AudienceId audience;
  std::vector<Head> heads;  // ascending
  Figures figures;
  friend bool operator==(const HandoverPart&, const HandoverPart&) = default;
};

// As contents of disclosures: one, or several where the heads are too many for one entry's header.
[[nodiscard]] std::vector<Bytes> SerializeHandoverPart(const HandoverPart& part);
// Puts the contents of one audience together, in any order. kCorrupt: they are not such a part.
[[nodiscard]] Result<HandoverPart> ParseHandoverPart(const std::vector<Bytes>& contents);

}  // namespace staffel::charter
