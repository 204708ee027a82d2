// SPDX-License-Identifier: EUPL-1.2
#include "tests/core/journal/golden_entries.h"

#include "core/crypto/hash.h"

namespace staffel::golden {
namespace {

// Bytes from, from+1, …
template <typename Id>
Id Counted(int from) {
  Bytes bytes(Id::kBytes, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<char>(from + static_cast<int>(i));
  }
  return *Id::From(bytes);
}

class FixedSalt final : public Random {
 public:
  Bytes Draw(std::size_t size) override { return Bytes(size, '\x5a'); }
};

}  // namespace

std::vector<GoldenEntry> Entries() {
  const auto key = crypto::KeyPair::FromSeedForTests("staffel/golden");
  FixedSalt random;
  std::vector<GoldenEntry> entries;

  Header open;
  open.time = TimeMs{1'743'152'700'000};
  open.body = OpenBody{Counted<ConferenceId>(0x10), key.public_key(), Counted<AudienceId>(0x40),
                       Lane{}, Counted<Nonce>(0x60)};
  entries.push_back({"open", SignEntry(open, {}, key)});
  const JournalId journal = entries.front().entry.id;

  Header chair = open;
  std::get<OpenBody>(chair.body).lane = Lane{300, Purpose::kErasures};
  entries.push_back({"open_chair_erasures", SignEntry(chair, {}, key)});

  // Two records: a title and a vote of NI's own with parents, and a cell that is emptied.
  const PayloadContent first{Counted<RecordId>(0x80), {Bytes("\x12\x05Titel"), Bytes("\x1a\x01J")}};
  const PayloadContent second{std::nullopt, {std::nullopt}};
  const Bytes first_payload = SerializePayload(first, random);
  const Bytes second_payload = SerializePayload(second, random);
  WriteBody write;
  write.parents = {Counted<EntryId>(0x01), Counted<EntryId>(0x02)};
  write.records = {
      {3,
       Counted<RecordId>(0xa0),
       crypto::HashPayload(first_payload),
       {{FieldCell(2), {0, 1}},
        {EncodeCell({{OwnerKind::kMember, *MemberId::From("NI")}, {9u, *MemberId::From("NI")}}),
         {1}}}},
      {300, Counted<RecordId>(0xb0), crypto::HashPayload(second_payload), {{FieldCell(300), {}}}}};
  Header written;
  written.journal = journal;
  written.seq = 1;
  written.prev = journal;
  written.time = TimeMs{1'743'152'700'001};
  written.op = Counted<OpId>(0xc0);
  written.body = write;
  entries.push_back({"write", SignEntry(written, {first_payload, second_payload}, key)});

  Header receipt = written;
  receipt.seq = 200;
  receipt.op.reset();
  receipt.body = ReceiptBody{
      {{journal, entries.back().entry.id}, {Counted<JournalId>(0x03), Counted<EntryId>(0x04)}}};
  entries.push_back({"receipt", SignEntry(receipt, {}, key)});

  Header erasure = receipt;
  ErasureBody erased;
  erased.payloads = {{Counted<EntryId>(0x05), 0}, {Counted<EntryId>(0x06), 7}};
  erased.records = {{5, Counted<RecordId>(0xd0)}};
  erasure.body = erased;
  entries.push_back({"erasure", SignEntry(erasure, {}, key)});

  Header charter;
  charter.time = TimeMs{1'719'784'800'000};
  charter.body = CharterBody{"a serialized charter stands here"};
  entries.push_back({"charter", SignEntry(charter, {}, key)});

  Header disclosure = receipt;
  disclosure.body = DisclosureBody{{{Bytes(16, '\x5a'), "the heads of a cut stand here"}}};
  entries.push_back({"disclosure", SignEntry(disclosure, {}, key)});
  return entries;
}

}  // namespace staffel::golden
