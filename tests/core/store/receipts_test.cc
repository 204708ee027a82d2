// SPDX-License-Identifier: EUPL-1.2
// Receipts in the store: what is received, when, by which receipt; and which receipts are written.
#include "core/store/receipts.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "core/crypto/hash.h"
#include "core/store/store.h"
#include "tests/support/conference.h"

namespace staffel {
namespace {

using testing::ConferenceOf;
using testing::CopyMissing;
using testing::NewNote;
using testing::TestConference;
using testing::TestReplica;

constexpr std::size_t kHub = 0;  // NI has the chair
constexpr std::size_t kNw = 1;
constexpr std::size_t kBy = 2;

void Ok(const Status& status) {
  if (!status) FAIL(status.error().message);
}

template <typename T>
T Value(Result<T> result) {
  if (!result) FAIL(result.error().message);
  return std::move(*result);
}

struct Node : TestReplica {
  explicit Node(std::size_t member, const TestConference& conference = ConferenceOf(3),
                std::uint64_t seed = 1)
      : TestReplica(conference, member, seed) {
    Ok(Open());
  }
  AudienceId laender() const { return conference().laender(); }
  HistoryItem Write(std::string_view title = "Notiz") {
    const RecordId record = random().DrawId<RecordId>();
    Value(store().Apply(NewNote(laender(), record, title)));
    return HistoryOf(record).front();
  }
  std::vector<HistoryItem> HistoryOf(const RecordId& record) {
    Snapshot snapshot = Value(store().Read());
    return Value(snapshot.History(Value(snapshot.GetRecord(record))));
  }
  std::optional<Reception> Received(const HistoryItem& item) {
    Snapshot snapshot = Value(store().Read());
    return Value(snapshot.ReceptionOf(item.journal, item.seq, item.entry));
  }
  ReceiptGap Gap(const AudienceId& audience) {
    Snapshot snapshot = Value(store().Read());
    for (const ReceiptGap& gap : Value(snapshot.ReceiptGaps())) {
      if (gap.audience == audience) return gap;
    }
    FAIL("the audience is not read here");
    return {};
  }
  ReceiptGap Gap() { return Gap(laender()); }
  std::vector<WrittenReceipt> Receipt(std::vector<HeldElsewhere> held = {}) {
    return Value(store().WriteReceipts({{laender()}, std::move(held)}));
  }
  // What `other` holds of the journals that this replica writes.
  std::vector<HeldElsewhere> HeldBy(TestReplica& other) {
    std::vector<HeldElsewhere> held;
    const auto own = store().OwnJournals();
    Snapshot snapshot = Value(other.store().Read());
    for (const auto& audience : snapshot.authority()->audiences()) {
      for (const VectorItem& item : Value(snapshot.Vector(audience.id))) {
        if (std::find(own.begin(), own.end(), item.journal) == own.end()) continue;
        held.push_back({item.journal, item.head, item.seq});
      }
    }
    return held;
  }
  void Sound() {
    const VerifyReport report = Value(store().Verify());
    INFO((report.problems.empty() ? "" : report.problems.front()));
    CHECK(report.problems.empty());
  }
};

void Copy(Node& from, Node& to) { Value(CopyMissing(from.store(), to.store(), from.laender())); }

TEST_CASE(
    "a change is received when the chair has receipted it, at the time of the chair's clock") {
  Node hub(kHub);
  Node nw(kNw);
  const HistoryItem change = nw.Write();
  CHECK_FALSE(nw.Received(change));
  CHECK(nw.Gap().receipted);
  CHECK(nw.Gap().own == 1);
  CHECK(nw.Gap().own_since == change.time);
  CHECK(nw.Gap().all == 1);
  Copy(nw, hub);
  CHECK_FALSE(hub.Received(change));
  CHECK(hub.Gap().own == 0);
  CHECK(hub.Gap().all == 1);
  hub.clock().Advance(5000);
  const TimeMs now = hub.clock().Now();
  const auto written = hub.Receipt();
  REQUIRE(written.size() == 1);
  CHECK(written[0].lines == 1);
  CHECK_FALSE(written[0].more);
  const auto received = hub.Received(change);
  REQUIRE(received);
  CHECK(received->time == now);
  CHECK(received->term == 1);
  CHECK(received->receipt == written[0].entry);
  CHECK_FALSE(nw.Received(change));
  Copy(hub, nw);
  CHECK(nw.Received(change) == received);
  CHECK(nw.Gap().own == 0);
  CHECK(nw.Gap().all == 0);
  CHECK_FALSE(nw.Gap().own_since);
  Ok(nw.Open());
  CHECK(nw.Received(change) == received);
  hub.Sound();
  nw.Sound();
}

TEST_CASE("a receipt covers what stands before the entry that it names, and nothing behind it") {
  Node hub(kHub);
  Node nw(kNw);
  const HistoryItem first = nw.Write();
  const HistoryItem second = nw.Write();
  Copy(nw, hub);
  hub.Receipt();
  const HistoryItem third = nw.Write();
  Copy(nw, hub);
  CHECK(hub.Received(first));
  CHECK(hub.Received(first) == hub.Received(second));
  CHECK_FALSE(hub.Received(third));
  hub.clock().Advance(1000);
  hub.Receipt();
  CHECK(hub.Received(third));
  CHECK(hub.Received(second)->time < hub.Received(third)->time);
  hub.Sound();
}

TEST_CASE("receipts need no receipt: where nothing else is new, none is written") {
  Node hub(kHub);
  Node nw(kNw);
  nw.Write();
  Copy(nw, hub);
  REQUIRE(hub.Receipt().size() == 1);
  CHECK(hub.Receipt().empty());
  Copy(hub, nw);
  // The other side holds the receipt, and says so: that is no news.
  CHECK(hub.Receipt(hub.HeldBy(nw)).empty());
  const std::uint64_t revision = hub.store().revision();
  CHECK(hub.Receipt(hub.HeldBy(nw)).empty());
  CHECK(hub.store().revision() == revision);
  CHECK(hub.Gap().all == 0);
}

TEST_CASE("what the hub's own machine wrote is received once another replica holds it") {
  Node hub(kHub);
  Node nw(kNw);
  const HistoryItem own = hub.Write();
  CHECK(hub.Receipt().empty());
  CHECK(hub.Gap().own == 1);
  CHECK(hub.Receipt(hub.HeldBy(nw)).empty());
  Copy(hub, nw);
  const HistoryItem later = hub.Write();
  REQUIRE(hub.Receipt(hub.HeldBy(nw)).size() == 1);
  CHECK(hub.Received(own));
  CHECK_FALSE(hub.Received(later));
  CHECK(hub.Gap().own == 1);
  // Nobody is believed to hold what is not here.
  CHECK(hub.Receipt({{own.journal, later.entry, own.seq}}).empty());
  hub.Sound();
}

TEST_CASE("the chair's acts are received like any change, among its receipts") {
  Node hub(kHub);
  Node nw(kNw);
  nw.Write();
  Copy(nw, hub);
  hub.Receipt();
  const RecordId ballot = hub.random().DrawId<RecordId>();
  const Cell cell = EncodeCell({{OwnerKind::kChair, {}}, {CellStep(std::uint32_t{10})}});
  Edit edit{.audience = hub.laender()};
  edit.records.push_back({.kind = 8,
                          .record = ballot,
                          .mode = RecordEdit::Mode::kCreate,
                          .cells = {{.cell = cell, .value = Bytes("\x52\x00", 2)}}});
  Value(hub.store().Apply(edit));
  nw.Write();
  Copy(nw, hub);
  hub.clock().Advance(1000);
  hub.Receipt();  // stands behind the act in the same journal
  CHECK(hub.Gap().own == 1);
  const HistoryItem act = hub.HistoryOf(ballot).front();
  CHECK(act.lane.term == 1);
  CHECK_FALSE(hub.Received(act));
  Copy(hub, nw);
  REQUIRE(hub.Receipt(hub.HeldBy(nw)).size() == 1);
  CHECK(hub.Received(act));
  CHECK(hub.Gap().all == 0);
  CHECK(hub.Receipt(hub.HeldBy(nw)).empty());
  Copy(hub, nw);
  CHECK(hub.Receipt(hub.HeldBy(nw)).empty());
  hub.Sound();
}

TEST_CASE("only the replica of the present term writes receipts") {
  Node hub(kHub);
  Node nw(kNw);
  hub.Write();
  Copy(hub, nw);
  const std::uint64_t revision = nw.store().revision();
  const auto refused = nw.store().WriteReceipts({{nw.laender()}, {}});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kDenied);
  CHECK(nw.store().revision() == revision);
}

TEST_CASE("an audience that the chair does not read has no receipts, and says so") {
  Node nw(kNw);
  const RecordId record = nw.random().DrawId<RecordId>();
  Value(nw.store().Apply(NewNote(nw.self().own, record, "intern")));
  const ReceiptGap gap = nw.Gap(nw.self().own);
  CHECK_FALSE(gap.receipted);
  CHECK(gap.own == 1);
  Snapshot snapshot = Value(nw.store().Read());
  const auto reception = Value(snapshot.ReceptionOf(Value(snapshot.GetRecord(record))));
  CHECK_FALSE(reception.receipted);
  CHECK(reception.entries == 1);
  CHECK(reception.not_received == 1);
}

TEST_CASE("the chair's own audience: received only where a second machine holds it") {
  Node hub(kHub);
  const RecordId record = hub.random().DrawId<RecordId>();
  Value(hub.store().Apply(NewNote(hub.self().own, record, "intern")));
  CHECK(Value(hub.store().WriteReceipts({{hub.self().own}, {}})).empty());
  const ReceiptGap gap = hub.Gap(hub.self().own);
  CHECK(gap.receipted);
  CHECK(gap.own == 1);
  CHECK(gap.own_since);
  const HistoryItem item = hub.HistoryOf(record).front();
  CHECK(Value(hub.store().WriteReceipts({{hub.self().own}, {{item.journal, item.entry, item.seq}}}))
            .size() == 1);
  CHECK(hub.Gap(hub.self().own).own == 0);
}

TEST_CASE("received times never fall, whatever becomes of the chair's clock") {
  Node hub(kHub);
  Node nw(kNw);
  const HistoryItem first = nw.Write();
  Copy(nw, hub);
  hub.Receipt();
  hub.clock().Set(hub.clock().now_ms() - 3'600'000);
  const HistoryItem second = nw.Write();
  Copy(nw, hub);
  hub.Receipt();
  CHECK(hub.Received(first)->time <= hub.Received(second)->time);
  CHECK(hub.Received(second)->time >= hub.Received(first)->time);
  Copy(hub, nw);
  CHECK(nw.Received(second) == hub.Received(second));
  nw.Sound();
}

TEST_CASE("a record is received when all of its entries are") {
  Node hub(kHub);
  Node nw(kNw);
  const RecordId record = nw.random().DrawId<RecordId>();
  Value(nw.store().Apply(NewNote(nw.laender(), record, "Titel")));
  Copy(nw, hub);
  hub.Receipt();
  Copy(hub, nw);
  const auto of = [&] {
    Snapshot snapshot = Value(nw.store().Read());
    return Value(snapshot.ReceptionOf(Value(snapshot.GetRecord(record))));
  };
  CHECK(of().not_received == 0);
  REQUIRE(of().received);
  nw.clock().Advance(1000);
  Value(nw.store().Apply(
      testing::SetText(nw.laender(), testing::kNote, record, testing::kNoteTitle, "Neu")));
  CHECK(of().entries == 2);
  CHECK(of().not_received == 1);
  CHECK_FALSE(of().received);
  CHECK(of().since == nw.HistoryOf(record).back().time);
  CHECK(nw.HistoryOf(record).front().reception);
  CHECK_FALSE(nw.HistoryOf(record).back().reception);
}

TEST_CASE("the last receipt of a term can be asked for") {
  Node hub(kHub);
  Node nw(kNw);
  const auto last = [&](Node& node, std::uint64_t term) {
    Snapshot snapshot = Value(node.store().Read());
    return Value(snapshot.LastReceipt(node.laender(), term));
  };
  CHECK_FALSE(last(hub, 1));
  nw.Write();
  Copy(nw, hub);
  hub.Receipt();
  nw.Write();
  Copy(nw, hub);
  hub.clock().Advance(1000);
  const auto written = hub.Receipt();
  Copy(hub, nw);
  const auto found = last(nw, 1);
  REQUIRE(found);
  CHECK(found->entry == written[0].entry);
  CHECK(found->seq == 2);
  CHECK(found->term == 1);
  CHECK(found->time == hub.clock().Now());
  CHECK(found->lines.size() == 1);
  CHECK(found->invalid_reason.empty());
  CHECK_FALSE(last(nw, 2));
}

TEST_CASE("more journals than one receipt can name stand in the next") {
  // A member with very many journals: each opened by hand.
  Node hub(kHub);
  Node nw(kNw);
  const std::size_t journals = kReceiptLinesMax + 5;
  Batch batch;
  for (std::size_t i = 0; i < journals; ++i) {
    Header open;
    open.time = TimeMs{1'750'000'000'000 + i};
    open.body = OpenBody{hub.conference().conference(),
                         nw.self().key.public_key(),
                         hub.laender(),
                         {},
                         nw.random().DrawId<Nonce>()};
    Entry opening = SignEntry(std::move(open), {}, nw.self().key);
    PayloadContent content;
    content.values = {std::nullopt};
    Bytes payload = SerializePayload(content, nw.random());
    Header write;
    write.journal = opening.id;
    write.seq = 1;
    write.prev = opening.id;
    write.time = TimeMs{1'750'000'000'000 + i};
    WriteBody body;
    body.records.push_back({.kind = testing::kNote,
                            .record = nw.random().DrawId<RecordId>(),
                            .commitment = crypto::HashPayload(payload),
                            .changes = {{FieldCell(testing::kNoteTitle), {}}}});
    write.body = std::move(body);
    std::vector<std::optional<Bytes>> payloads;
    payloads.emplace_back(std::move(payload));
    Entry entry = SignEntry(std::move(write), std::move(payloads), nw.self().key);
    batch.runs.push_back({{std::move(opening), std::move(entry)}});
  }
  const Ingested ingested = Value(hub.store().Ingest(hub.store().Prepare(std::move(batch))));
  CHECK(ingested.new_entries == 2 * journals);
  const auto first = hub.Receipt();
  REQUIRE(first.size() == 1);
  CHECK(first[0].more);
  CHECK(first[0].lines == kReceiptLinesMax);
  CHECK(hub.Gap().all == 5);
  const auto second = hub.Receipt();
  REQUIRE(second.size() == 1);
  CHECK_FALSE(second[0].more);
  CHECK(hub.Gap().all == 0);
}

}  // namespace
}  // namespace staffel
