// SPDX-License-Identifier: EUPL-1.2
// What a record's release to a wider audience carries, by the kind's options, and the two cells
// that tie a release to its source: a salted commitment outside, the salt inside. Also which
// records a value refers to. Reads rows, writes cells; who may release what is the store's
// business. docs/formats/records.md, "Release". Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/id.h"
#include "core/base/result.h"
#include "core/base/time.h"
#include "core/journal/cell.h"
#include "core/record/catalog.h"
#include "core/record/cells.h"

namespace staffel::record {

// Of every kind, beyond the numbers that kinds may use. The projection passes over both.
inline constexpr std::uint32_t kReleaseCommitmentField = 20'001;  // in the wider audience
inline constexpr std::uint32_t kReleaseNoteField = 20'002;        // in the narrower one
[[nodiscard]] inline bool IsReleaseField(std::uint32_t field) {
  return field == kReleaseCommitmentField || field == kReleaseNoteField;
}
[[nodiscard]] Cell ReleaseCommitmentCell();
// One for each wider audience.
[[nodiscard]] Cell ReleaseNoteCell(const AudienceId& audience);

// ---- the record's row as cells ----

// Every value of the row at its address, in the row's order; `deleted` and unknown fields left out.
[[nodiscard]] std::vector<CellWrite> CellsOfRow(const Kind& kind, ByteView row);

struct Reference {
  std::string field;  // "agenda_item"
  RecordId record;
};
// The records that a value of this cell names. Unreadable values name none.
[[nodiscard]] std::vector<Reference> ReferencesOf(const Kind& kind, ByteView cell, ByteView value);

// ---- choosing ----

inline constexpr std::string_view kPartDecision = "decision";
inline constexpr std::string_view kPartReport = "report";
inline constexpr std::string_view kPartAnnexes = "annexes";

struct ReleaseChoice {
  std::vector<std::string> parts;    // empty: what the record's own flags allow
  std::vector<std::string> with;     // confidential fields to carry
  std::vector<std::string> without;  // fields to leave out
  friend bool operator==(const ReleaseChoice&, const ReleaseChoice&) = default;
};

struct ReleaseContent {
  // As they shall stand outside; positions anew, so that they tell of no hidden neighbour.
  std::vector<CellWrite> cells;
  std::vector<std::string> carried;  // fields that say something
  struct LeftOut {
    std::string field;
    std::string reason;  // "confidential", "part", "inner", "named", "owner"
  };
  std::vector<LeftOut> left_out;   // fields that say something
  std::vector<std::string> parts;  // the parts that were carried
};

// `gated`: only the chair writes there, and nothing goes beyond what the kind's gate allows.
// kInvalid: an unknown part or field; kDenied: the kind is never released, the field stays inside,
// or the gate is closed.
[[nodiscard]] Result<ReleaseContent> ContentToRelease(const Kind& kind, ByteView row,
                                                      const ReleaseChoice& choice, bool gated);

// Fields in which two sets of cells differ, by number; the order of a sequence counts, its
// positions do not.
[[nodiscard]] std::vector<std::string> DifferingFields(const Kind& kind,
                                                       const std::vector<CellWrite>& a,
                                                       const std::vector<CellWrite>& b);

// ---- the tie ----

struct ReleaseNote {
  AudienceId audience;  // the wider one
  Bytes salt;           // 16 bytes; empty in a note of a withdrawal
  Hash source;          // the record's leaf in the narrower audience at that time
  TimeMs time;
  bool withdrawn = false;
  ReleaseChoice choice;
};
inline constexpr std::size_t kReleaseSaltBytes = 16;
// The value of the note's cell, and back; nothing where the bytes are no such value.
[[nodiscard]] Bytes EncodeReleaseNote(const ReleaseNote& note);
[[nodiscard]] std::optional<ReleaseNote> DecodeReleaseNote(ByteView value);
// H("staffel/1/release", salt and source): without the salt it tells nothing of the source.
[[nodiscard]] Hash ReleaseCommitment(ByteView salt, const Hash& source);
[[nodiscard]] Bytes EncodeReleaseCommitment(const Hash& commitment);
[[nodiscard]] std::optional<Hash> DecodeReleaseCommitment(ByteView value);

}  // namespace staffel::record
