// SPDX-License-Identifier: EUPL-1.2
// What a patched node writes: entries with right hashes and signatures that no honest store would
// make.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "core/crypto/hash.h"
#include "tests/sim/world.h"

namespace staffel::sim {

class Forgery {
 public:
  // A journal that it opens.
  Forgery(const ConferenceId& conference, const AudienceId& audience, const Lane& lane,
          const crypto::KeyPair& key, TimeMs time, SimRandom& random)
      : key_(key), time_(time), random_(random) {
    Header header;
    header.time = time;
    header.body = OpenBody{conference, key.public_key(), audience, lane, random.DrawId<Nonce>()};
    run.entries.push_back(SignEntry(std::move(header), {}, key));
    journal_ = run.entries.back().id;
  }

  // Going on in a journal behind that head.
  Forgery(const JournalId& journal, const VectorItem& head, const crypto::KeyPair& key, TimeMs time,
          SimRandom& random)
      : prev(head.head),
        key_(key),
        time_(time),
        random_(random),
        journal_(journal),
        seq_(head.seq) {}

  void Write(const CellOwner& owner, int times = 1) {
    WriteBody write;
    RecordPart part;
    part.kind = testing::kNote;
    part.record = random_.DrawId<RecordId>();
    PayloadContent content;
    for (int time = 0; time < times; ++time) {
      part.changes.push_back({EncodeCell({owner, {testing::kNoteTitle}}), {}});
      content.values.emplace_back(testing::TextValue(testing::kNoteTitle, "gefälscht"));
    }
    Bytes payload = SerializePayload(content, random_);
    part.commitment = crypto::HashPayload(payload);
    write.records.push_back(std::move(part));
    Append(std::move(write), {std::move(payload)});
  }

  // Writes the cells of an edit of that audience once more, with it as the parent, and a cell of
  // `other`'s. False where there is no such edit.
  bool Cover(const std::vector<Acknowledged>& known, const AudienceId& audience,
             const MemberId& other) {
    if (known.empty()) return false;
    const Acknowledged& one = known[random_.Below(known.size())];
    if (one.edit.audience != audience || one.edit.records.front().cells.empty()) return false;
    const RecordEdit& record = one.edit.records.front();
    WriteBody write;
    write.parents = {one.entry};
    RecordPart part{.kind = record.kind, .record = record.record};
    PayloadContent content;
    for (const CellEdit& cell : record.cells) {
      part.changes.push_back({cell.cell, {0}});
      content.values.push_back(cell.value);
    }
    part.changes.push_back({EncodeCell({{OwnerKind::kMember, other}, {testing::kNoteTitle}}), {}});
    content.values.emplace_back(testing::TextValue(testing::kNoteTitle, "gefälscht"));
    Bytes payload = SerializePayload(content, random_);
    part.commitment = crypto::HashPayload(payload);
    write.records.push_back(std::move(part));
    Append(std::move(write), {std::move(payload)});
    return true;
  }

  void Append(Body body, std::vector<std::optional<Bytes>> payloads = {}) {
    Header header;
    header.journal = journal_;
    header.seq = ++seq_;
    header.prev = prev ? *std::exchange(prev, std::nullopt) : run.entries.back().id;
    header.time = time_;
    header.body = std::move(body);
    run.entries.push_back(SignEntry(std::move(header), std::move(payloads), key_));
  }

  staffel::Run run;
  std::optional<EntryId> prev;  // of the next entry, where it is not to be the right one

 private:
  const crypto::KeyPair& key_;
  TimeMs time_;
  SimRandom& random_;
  JournalId journal_;
  std::uint64_t seq_ = 0;
};

}  // namespace staffel::sim
