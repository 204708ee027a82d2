// SPDX-License-Identifier: EUPL-1.2
// A data set in JSON Lines: a header, then one record a line, referring to each other by keys. The
// whole file is read and checked before anything is handed out, so that a bad line leaves nothing
// half-done; writing the records is the caller's. Format: docs/formats/records.md, "Import".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/id.h"
#include "core/base/result.h"
#include "core/record/cells.h"
#include "core/record/edit.h"

namespace staffel::record {

inline constexpr std::size_t kImportLineBytesMax = 1024 * 1024;
inline constexpr std::size_t kImportBytesMax = 256 * 1024 * 1024;
inline constexpr std::size_t kImportRecordsMax = 200'000;
inline constexpr std::size_t kImportKeyBytesMax = 64;

struct ImportRecord {
  std::uint32_t kind = 0;
  RecordId record;
  std::string key;
  std::string audience;  // its name or id, as the line has it; empty: the importer's choice
  std::uint32_t line = 0;
  std::vector<CellWrite> writes;  // cells in byte order; SplitByOwner says which lane each needs
};

struct ImportPlan {
  std::string dataset;
  std::string notice;  // shown with the data: „Demodaten – keine tatsächlichen Beschlüsse"
  std::vector<ImportRecord> records;  // in the file's order
};

// Takes the file in pieces of any size, so that a line without end is refused at its limit and not
// first read into memory.
//   ImportReader reader;
//   for (…) STAFFEL_CHECK(reader.Feed(piece));
//   STAFFEL_TRY(plan, reader.Finish());
// One thread at a time. After a refusal every further call repeats it.
class ImportReader {
 public:
  // Refusals name line and column.
  [[nodiscard]] Status Feed(std::string_view piece);
  // Resolves the references and gives the plan. The reader is empty afterwards. `check` judges
  // references by id to records that are not in the file, as CheckReference does.
  [[nodiscard]] Result<ImportPlan> Finish(const CheckReference& check = {});
  // An export: its keys are the records' own ids.
  [[nodiscard]] bool is_export() const { return keys_are_ids_; }

  // For a file that is in memory already.
  [[nodiscard]] static Result<ImportPlan> Read(std::string_view bytes);

 private:
  struct Line {
    std::uint32_t number = 0;
    std::uint32_t kind = 0;
    std::string key;
    std::string audience;
    std::string text;
  };
  [[nodiscard]] Status TakeLine(std::string_view line);
  [[nodiscard]] Status TakeHeader(std::string_view line);
  [[nodiscard]] Status Refuse(Error error);

  std::string pending_;  // a line not yet complete
  std::uint32_t line_number_ = 0;
  std::size_t bytes_ = 0;
  bool header_seen_ = false;
  bool keys_are_ids_ = false;  // an export: the keys are the records' own ids
  ImportPlan plan_;
  std::vector<Line> lines_;
  std::vector<Error> refused_;  // at most one
};

}  // namespace staffel::record
