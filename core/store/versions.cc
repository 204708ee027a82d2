// SPDX-License-Identifier: EUPL-1.2
// Nodes of several versions side by side: what is not understood is noted where it touches a
// record, and read again after the upgrade.
#include <algorithm>

#include "core/record/catalog.h"
#include "core/store/writer.h"

namespace staffel {

Status Writer::NoteOpaque(const JournalInfo& journal, const Entry& entry, std::uint64_t arrival) {
  const auto* write = std::get_if<WriteBody>(&entry.header.body);
  if (write == nullptr) return {};
  for (const RecordPart& part : write->records) {
    STAFFEL_TRY(insert, reader_.Get("INSERT OR IGNORE INTO opaque_part (arrival, kind, record, "
                                    "audience) VALUES (?, ?, ?, ?)"));
    insert->Bind(1, static_cast<std::int64_t>(arrival));
    insert->Bind(2, part.kind);
    insert->BindBlob(3, part.record.bytes());
    insert->Bind(4, journal.audience_number);
    STAFFEL_CHECK(insert->Run());
  }
  return {};
}

Status Writer::Absorb(bool everything) {
  std::vector<std::pair<std::int64_t, bool>> journals;
  if (everything) {
    for (const auto& [number, journal] : cache_.journals.by_number) {
      journals.emplace_back(number, true);
    }
  } else {
    STAFFEL_TRY(list,
                reader_.Get("SELECT DISTINCT journal FROM entry INDEXED BY entry_opaque WHERE "
                            "reason = 12"));
    const sqlite::StatementScope scope(*list);
    for (;;) {
      STAFFEL_TRY(row, list->Step());
      if (!row) break;
      journals.emplace_back(list->Int(0), false);
    }
  }
  std::sort(journals.begin(), journals.end());
  if (!cache_.authority) return {};
  STAFFEL_CHECK(Rejudge(journals));
  return CarryOutDue();
}

Status Writer::FoldAbsorbed(std::map<std::uint64_t, charter::Reason> absorbed) {
  if (absorbed.empty()) return {};
  wrote_ = true;
  ++cache_.revision;
  std::vector<std::uint64_t> receipts;
  bool erasures = false;
  // In the order in which they came, as if they came now: the fold does not mind when.
  for (const auto& [arrival, reason] : absorbed) {
    STAFFEL_TRY(update, reader_.Get("UPDATE entry SET reason = ? WHERE arrival = ?"));
    update->Bind(1, static_cast<std::int64_t>(reason));
    update->Bind(2, static_cast<std::int64_t>(arrival));
    STAFFEL_CHECK(update->Run());
    STAFFEL_TRY(forget, reader_.Get("DELETE FROM opaque_part WHERE arrival = ?"));
    forget->Bind(1, static_cast<std::int64_t>(arrival));
    STAFFEL_CHECK(forget->Run());
    TouchRow touch;
    STAFFEL_TRY(row, reader_.GetEntry(arrival));
    touch.row = std::move(row);
    const JournalInfo& journal = cache_.journals.Get(touch.row.journal);
    if (std::holds_alternative<ReceiptBody>(touch.row.entry.header.body)) {
      receipts.push_back(arrival);
    }
    STAFFEL_CHECK(IndexBlobs(journal, touch.row.entry, arrival));
    STAFFEL_CHECK(Fold(journal, touch));
    if (const auto* disclosure = std::get_if<DisclosureBody>(&touch.row.entry.header.body)) {
      STAFFEL_CHECK(TakeDisclosure(journal, *disclosure));
    }
    erasures = erasures || std::holds_alternative<ErasureBody>(touch.row.entry.header.body);
  }
  if (erasures) {
    STAFFEL_CHECK(LoadErasures());
    due_.all = true;
  }
  STAFFEL_CHECK(ReceiptsRejudged(receipts));
  return JudgeOpened();
}

Status Writer::CheckVersion(const Edit& edit) const {
  for (const RecordEdit& record : edit.records) {
    for (const charter::MinVersion& least : cache_.authority->content().min_versions) {
      if (least.kind != record.kind || least.version <= projection::kProjectionVersion) continue;
      const auto* kind = record::Kinds().Find(record.kind);
      return Fail(ErrorCode::kUnsupported,
                  "{} is written by version {} of the rules or later, as the charter says, and "
                  "this node has version {}: upgrade it; reading goes on",
                  kind == nullptr ? fmt::format("kind {}", record.kind) : kind->name, least.version,
                  projection::kProjectionVersion);
    }
  }
  return {};
}

}  // namespace staffel
