// SPDX-License-Identifier: EUPL-1.2
// A node of a later version, as far as others see it: NW's journal, written by hand, with entries
// of a format or with a field that this version does not know.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/wire.h"
#include "core/crypto/hash.h"
#include "core/journal/entry.h"
#include "core/store/store.h"
#include "tests/support/conference.h"
#include "tests/support/sim_random.h"

namespace staffel::testing {

template <typename T>
T Have(Result<T> result) {
  STAFFEL_ASSERT(result.has_value());
  return std::move(*result);
}

enum class Newer { kFormat, kField };

// An entry as a later version would write it: of format 2, or with a field beside the body.
inline Entry SignLater(Header header, std::vector<std::optional<Bytes>> payloads,
                       const crypto::KeyPair& key, std::optional<Newer> newer) {
  Bytes bytes = SerializeHeader(header);
  if (newer == Newer::kFormat) bytes[1] = 2;
  if (newer == Newer::kField) AppendVarintField(bytes, 100, 1);
  Entry entry = Have(MakeEntry(std::move(bytes)));
  entry.payloads = std::move(payloads);
  entry.signature = key.Sign(crypto::kTagSign, entry.id.bytes());
  return entry;
}

// NW's node of a later version, as far as the others see it: a journal written by hand.
class LaterNode {
 public:
  LaterNode(const TestConference& conference, std::optional<Newer> opening, std::uint64_t seed = 77)
      : self_(conference.member(1)), random_(seed) {
    Header header;
    header.time = TimeMs{1'700'000'000'000};
    header.body = OpenBody{conference.conference(), self_.key.public_key(), conference.laender(),
                           Lane{}, random_.DrawId<Nonce>()};
    Append(SignLater(std::move(header), {}, self_.key, opening));
  }

  EntryId Write(const RecordId& record, std::uint32_t kind,
                const std::vector<std::pair<Cell, Bytes>>& values,
                const std::vector<EntryId>& parents, std::optional<Newer> newer) {
    WriteBody body;
    body.parents = parents;
    RecordPart part;
    part.kind = kind;
    part.record = record;
    PayloadContent content;
    for (const auto& [cell, value] : values) {
      CellChange change{cell, {}};
      for (std::uint32_t i = 0; i < parents.size(); ++i) change.parents.push_back(i);
      part.changes.push_back(std::move(change));
      content.values.emplace_back(value);
    }
    Bytes payload = SerializePayload(content, random_);
    part.commitment = crypto::HashPayload(payload);
    body.records.push_back(std::move(part));
    return Follow(std::move(body), {std::move(payload)}, newer);
  }

  EntryId Follow(Body body, std::vector<std::optional<Bytes>> payloads,
                 std::optional<Newer> newer) {
    Header header;
    header.journal = run_.entries.front().id;
    header.seq = run_.entries.back().header.seq + 1;
    header.prev = run_.entries.back().id;
    header.time = TimeMs{1'700'000'000'000 + header.seq * 1000};
    header.body = std::move(body);
    return Append(SignLater(std::move(header), std::move(payloads), self_.key, newer));
  }

  // All that was written, read by whoever takes it.
  [[nodiscard]] Status SendTo(Store& store) const {
    Run run;
    for (const Entry& entry : run_.entries) {
      Entry copy = Have(MakeEntry(entry.header_bytes));
      copy.payloads = entry.payloads;
      copy.signature = entry.signature;
      run.entries.push_back(std::move(copy));
    }
    Batch batch;
    batch.runs.push_back(std::move(run));
    STAFFEL_TRY(ingested, store.Ingest(store.Prepare(std::move(batch))));
    if (ingested.runs[0].reason) return tl::unexpected<Error>(*ingested.runs[0].reason);
    return {};
  }
  [[nodiscard]] const Run& run() const { return run_; }

 private:
  EntryId Append(Entry entry) {
    run_.entries.push_back(std::move(entry));
    return run_.entries.back().id;
  }
  const TestConference::Member& self_;
  SimRandom random_;
  Run run_;
};

}  // namespace staffel::testing
