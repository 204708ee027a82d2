// SPDX-License-Identifier: EUPL-1.2
// Reading the store's tables over one connection, writer's or reader's: entries, records, touches.
// Shared by the commit (which must see its own writes) and by snapshots. Internal to core/store.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/charter/judge.h"
#include "core/projection/projection.h"
#include "core/sqlite/database.h"
#include "core/store/state.h"
#include "core/store/store.h"

namespace staffel {

inline constexpr int kFlagDeleted = 1;
inline constexpr int kFlagErased = 2;
inline constexpr int kFlagHidden = 4;   // no heads at all: nothing to show
inline constexpr int kFlagRepeats = 8;  // touched by repeats of one op: always folded whole

// A journal as the store remembers it. `number`, `id`, `audience*`, `open` and `own` never change.
struct JournalInfo {
  std::int64_t number = 0;
  JournalId id;
  AudienceId audience;
  std::int64_t audience_number = 0;
  OpenBody open;
  bool own = false;
  // Opened by a newer version: nothing in it is understood here, whatever it looks like.
  bool opaque = false;
  charter::JournalVerdict verdict;
  struct Branch {
    EntryId entry;
    std::uint64_t seq = 0;
    std::uint64_t arrival = 0;
    TimeMs greatest;             // of all headers up to here, in the chair's lanes
    std::uint64_t last_act = 0;  // the last entry that needs a receipt; 0: none does
  };
  std::vector<Branch> branches;
};

// All journals, by number and by id. The store publishes an immutable copy after each commit that
// changed it.
struct JournalMap {
  std::unordered_map<std::int64_t, JournalInfo> by_number;
  std::unordered_map<JournalId, std::int64_t> by_id;
  std::unordered_map<AudienceId, std::int64_t> audiences;
  std::unordered_map<std::int64_t, AudienceId> audience_ids;

  [[nodiscard]] const JournalInfo* Find(const JournalId& id) const;
  [[nodiscard]] JournalInfo* Find(const JournalId& id);
  // By numbers read from the file. Only a damaged one names what is not there: then a journal of
  // nobody, an audience of none, which `staffel verify` reports.
  [[nodiscard]] const JournalInfo& Get(std::int64_t number) const;
  [[nodiscard]] const AudienceId& AudienceOf(std::int64_t number) const;
};

struct RecordRow {
  std::int64_t number = 0;
  std::int64_t audience = 0;
  std::uint32_t kind = 0;
  RecordId id;
  std::uint64_t first_entry = 0;
  std::uint64_t changed = 0;
  int flags = 0;
  std::size_t conflicts = 0;
  std::optional<Bytes> state;
  std::optional<Bytes> row;
};

struct EntryRow {
  std::uint64_t arrival = 0;
  std::int64_t journal = 0;
  std::uint64_t seq = 0;
  charter::Reason reason = charter::Reason::kValid;
  Entry entry;  // parsed, with payloads
};

// One record's part of one entry.
struct TouchRow {
  EntryRow row;
  RecordSlice slice;  // views into row.entry.header
  std::vector<std::optional<PayloadContent>>
      contents;         // per part of the entry; only slice.parts are set
  bool erased = false;  // any payload of the slice is absent
  std::optional<RecordId> author;

  [[nodiscard]] fold::Touch ToTouch(const JournalInfo& journal) const;
};

// Belongs to one thread, like its Database.
class TableReader {
 public:
  explicit TableReader(sqlite::Database& database) : database_(database) {}

  // A prepared statement, kept for the next use; reset before it is handed out.
  [[nodiscard]] Result<sqlite::Statement*> Get(std::string_view sql);

  [[nodiscard]] Result<std::optional<RecordRow>> FindRecord(std::int64_t audience,
                                                            std::uint32_t kind, const RecordId& id);
  [[nodiscard]] Result<std::optional<RecordRow>> GetRecordByNumber(std::int64_t number);
  [[nodiscard]] Result<EntryRow> GetEntry(std::uint64_t arrival);
  [[nodiscard]] Result<TouchRow> GetTouch(std::uint64_t arrival, std::uint32_t kind,
                                          const RecordId& id);
  // Arrivals of all entries that touch a record, ascending.
  [[nodiscard]] Result<std::vector<std::uint64_t>> Touches(const RecordRow& record);
  [[nodiscard]] Result<StoredState> StateOf(const RecordRow& record);

  // Reads columns number … row, in the order of kRecordColumns.
  static RecordRow ReadRecord(const sqlite::Statement& statement);

 private:
  sqlite::Database& database_;
  std::unordered_map<std::string_view, std::unique_ptr<sqlite::Statement>> statements_;
};

inline constexpr std::string_view kRecordColumns =
    "number, audience, kind, id, first_entry, changed, flags, conflicts, state, row";

// Records that the search index does not know as they are.
[[nodiscard]] Result<std::uint64_t> NotYetIndexed(TableReader& reader);

// Reads the payloads of the touch's slice into its contents.
void FillContents(TouchRow& touch);
// The projected row: the stored one, or read from the first entry.
[[nodiscard]] Result<Bytes> RowOf(TableReader& reader, const RecordRow& record);

// The state of a record that has one entry so far.
[[nodiscard]] StoredState StateOfFirst(const TouchRow& touch);
// Heads with values, for the projection; reads the entries that hold them. `fresh`, where given, is
// an entry at hand that need not be read.
[[nodiscard]] Result<projection::RecordState> LoadState(TableReader& reader,
                                                        const JournalMap& journals,
                                                        const RecordRow& record,
                                                        const StoredState& state,
                                                        const TouchRow* fresh = nullptr);

// The projection's way into the past of one record; reads its touches when first asked. Disk errors
// are kept in status(), to be looked at after projecting.
class RecordHistory final : public projection::History {
 public:
  RecordHistory(TableReader& reader, const JournalMap& journals, const RecordRow& record)
      : reader_(reader), journals_(journals), record_(record) {}
  [[nodiscard]] std::optional<Change> Find(const Cell& cell, const EntryId& entry) const override;
  [[nodiscard]] Status status() const { return status_; }

 private:
  void Load() const;
  TableReader& reader_;
  const JournalMap& journals_;
  const RecordRow& record_;
  mutable bool loaded_ = false;
  mutable Status status_;
  // Where each entry is; what it says is read again when asked for: a history may be long, and the
  // one who asks wants a few of its values.
  mutable std::unordered_map<EntryId, std::uint64_t> arrivals_;
};

}  // namespace staffel
