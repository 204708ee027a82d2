// SPDX-License-Identifier: EUPL-1.2
// Whatever a peer sends as an exchange, a run, a token or a join request: it is refused, or has one
// reading that comes back the same. The first byte chooses, so that one corpus serves all.
#include <cstddef>
#include <cstdint>

#include "core/base/result.h"
#include "core/crypto/hash.h"
#include "sync/wire.h"
#include "sync/wire_join.h"

namespace {

using namespace staffel;

StoredRun Stored(const Run& run, const JournalId& journal) {
  StoredRun stored;
  stored.journal = journal;
  for (const Entry& entry : run.entries) {
    stored.entries.push_back({.journal = journal,
                              .seq = entry.header.seq,
                              .id = entry.id,
                              .header = entry.header_bytes,
                              .payloads = entry.payloads,
                              .signature = entry.signature});
  }
  return stored;
}

void FuzzRun(const sync::WireRun& wire) {
  const auto run = sync::RebuildRun(wire);
  if (!run) return;
  STAFFEL_ASSERT(run->entries.size() == wire.count);
  for (const Entry& entry : run->entries) {
    STAFFEL_ASSERT(entry.id == crypto::HashEntry(entry.header_bytes));
  }
  // Cut again, however the sender had cut it, it is the same run.
  const auto again = sync::RebuildRun(sync::CutRun(Stored(*run, wire.journal)));
  STAFFEL_ASSERT(again.has_value());
  for (std::size_t i = 0; i < run->entries.size(); ++i) {
    STAFFEL_ASSERT(again->entries[i].header_bytes == run->entries[i].header_bytes);
    STAFFEL_ASSERT(again->entries[i].payloads == run->entries[i].payloads);
  }
}

void FuzzMessage(ByteView bytes) {
  const auto message = sync::DecodeMessage(bytes);
  if (!message) return;
  for (const sync::WireRun& run : message->runs) FuzzRun(run);
  const auto again = sync::DecodeMessage(sync::EncodeMessage(*message));
  STAFFEL_ASSERT(again.has_value());
  STAFFEL_ASSERT(again->vectors == message->vectors && again->wants == message->wants &&
                 again->problems == message->problems && again->summaries == message->summaries &&
                 again->charter_lines == message->charter_lines &&
                 again->charter_wants == message->charter_wants &&
                 again->digests == message->digests && again->runs.size() == message->runs.size() &&
                 again->charter_items.size() == message->charter_items.size());
}

// As a run of some length of some journal: by the bytes themselves, so that chains come about.
void FuzzEntries(ByteView bytes) {
  sync::WireRun run;
  run.entries = bytes;
  run.signature = Bytes(crypto::kSignatureBytes, 's');
  run.journal = *JournalId::From(Bytes(32, 'j'));
  for (run.count = 1; run.count < 4; ++run.count) {
    for (run.first_seq = 0; run.first_seq < 2; ++run.first_seq) {
      run.prev = run.first_seq == 0 ? EntryId() : *EntryId::From(Bytes(32, 'p'));
      FuzzRun(run);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 5) {
    case 0:
      FuzzMessage(bytes);
      break;
    case 1:
      FuzzEntries(bytes);
      break;
    case 2:
      if (const auto token = sync::DecodeToken(bytes)) {
        STAFFEL_ASSERT(sync::DecodeToken(sync::EncodeToken(*token)).has_value());
      }
      break;
    case 3:
      if (const auto request = sync::DecodeJoinRequest(bytes)) {
        if (const auto body = sync::DecodeJoinBody(request->body, true)) {
          STAFFEL_ASSERT(sync::DecodeJoinBody(sync::EncodeJoinBody(*body), true).value() == *body);
        }
      }
      break;
    default:
      if (const auto answer = sync::DecodeJoinAnswer(bytes)) {
        STAFFEL_ASSERT(sync::DecodeJoinAnswer(sync::EncodeJoinAnswer(*answer)).has_value());
      }
      (void)sync::DecodeInvitationRecord(bytes);
      (void)sync::DecodeJoiningRecord(bytes);
      break;
  }
  return 0;
}
