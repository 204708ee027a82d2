// SPDX-License-Identifier: EUPL-1.2
// Receipts in the store: what is received, when, by which receipt; and which receipts are written.
#include "core/store/receipts.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "core/charter/build.h"
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

// ---- by hand: forks, other lanes, other charters ----

// Makes entries of any journal, as a patched node could.
struct Forger {
  const TestConference& conference;
  testing::SimRandom random;

  Entry Open(const crypto::KeyPair& key, const AudienceId& audience, Lane lane, TimeMs time) {
    Header header;
    header.time = time;
    header.body =
        OpenBody{conference.conference(), key.public_key(), audience, lane, random.DrawId<Nonce>()};
    return SignEntry(std::move(header), {}, key);
  }
  Entry After(const crypto::KeyPair& key, const JournalId& journal, const Entry& prev, TimeMs time,
              Body body) {
    Header header;
    header.journal = journal;
    header.seq = prev.header.seq + 1;
    header.prev = prev.id;
    header.time = time;
    std::vector<std::optional<Bytes>> payloads;
    if (auto* write = std::get_if<WriteBody>(&body)) {
      PayloadContent content;
      content.values = {std::nullopt};
      payloads.emplace_back(SerializePayload(content, random));
      write->records.push_back({.kind = testing::kNote,
                                .record = random.DrawId<RecordId>(),
                                .commitment = crypto::HashPayload(*payloads[0]),
                                .changes = {{FieldCell(testing::kNoteTitle), {}}}});
    }
    header.body = std::move(body);
    return SignEntry(std::move(header), std::move(payloads), key);
  }
};

// Takes entries in this order, each as a run of its own, coming back to those whose predecessor
// is not here yet.
void Take(Node& node, std::vector<Entry> entries) {
  while (!entries.empty()) {
    std::vector<Entry> later;
    for (const Entry& entry : entries) {
      Batch batch;
      batch.runs.push_back({{entry}});
      const Ingested ingested = Value(node.store().Ingest(node.store().Prepare(std::move(batch))));
      if (ingested.runs[0].outcome == RunOutcome::kUnknownPrev) later.push_back(entry);
      if (ingested.runs[0].reason) FAIL(ingested.runs[0].reason->message);
    }
    REQUIRE(later.size() < entries.size());
    entries = std::move(later);
  }
}

void Shuffle(std::vector<Entry>& entries, testing::SimRandom& random) {
  for (std::size_t i = entries.size(); i > 1; --i)
    std::swap(entries[i - 1], entries[random.Below(i)]);
}

TEST_CASE("core-traces 7: a later time at an earlier place of a forked lane displaces no receipt") {
  const TestConference& conference = ConferenceOf(3);
  const auto& chair = conference.member(kHub).key;
  const auto& nw = conference.member(kNw).key;
  const std::uint64_t t = testing::kSimStartMs;
  Forger forger{conference, testing::SimRandom(7)};
  const Entry journal = forger.Open(nw, conference.laender(), {}, TimeMs{t});
  const Entry vote = forger.After(nw, journal.id, journal, TimeMs{t + 1}, WriteBody{});
  const Entry lane = forger.Open(chair, conference.laender(), {1, Purpose::kActs}, TimeMs{t});
  // The honest branch: something else first, then the receipt, at noon.
  const Entry other = forger.After(chair, lane.id, lane, TimeMs{t + 2}, WriteBody{});
  const Entry honest =
      forger.After(chair, lane.id, other, TimeMs{t + 1000}, ReceiptBody{{{journal.id, vote.id}}});
  // The fork: the same receipt at an earlier place and a later time.
  const Entry forged =
      forger.After(chair, lane.id, lane, TimeMs{t + 9000}, ReceiptBody{{{journal.id, vote.id}}});
  std::vector<Entry> entries = {journal, vote, lane, other, honest, forged};
  testing::SimRandom random(3);
  for (int order = 0; order < 20; ++order) {
    Node by(kBy);
    Take(by, entries);
    Snapshot snapshot = Value(by.store().Read());
    const auto received = Value(snapshot.ReceptionOf(journal.id, 1, vote.id));
    REQUIRE(received);
    CHECK(received->time == TimeMs{t + 1000});
    CHECK(received->receipt == honest.id);
    by.Sound();
    Shuffle(entries, random);
  }
}

TEST_CASE(
    "core-traces 8 of the leaks: a receipt that names a journal of another audience is no word "
    "about it") {
  const TestConference& conference = ConferenceOf(3);
  const auto& chair = conference.member(kHub).key;
  const std::uint64_t t = testing::kSimStartMs;
  Forger forger{conference, testing::SimRandom(8)};
  // The hub's node holds both audiences: its own, and the Länder's.
  const Entry inside = forger.Open(chair, conference.member(kHub).own, {}, TimeMs{t});
  const Entry note = forger.After(chair, inside.id, inside, TimeMs{t}, WriteBody{});
  const Entry lane = forger.Open(chair, conference.laender(), {1, Purpose::kActs}, TimeMs{t});
  const Entry receipt =
      forger.After(chair, lane.id, lane, TimeMs{t + 5}, ReceiptBody{{{inside.id, note.id}}});
  for (const bool receipt_first : {false, true}) {
    Node hub(kHub);
    Take(hub, receipt_first ? std::vector<Entry>{lane, receipt, inside, note}
                            : std::vector<Entry>{inside, note, lane, receipt});
    Snapshot snapshot = Value(hub.store().Read());
    CHECK_FALSE(Value(snapshot.ReceptionOf(inside.id, 1, note.id)));
    hub.Sound();
  }
}

TEST_CASE(
    "receipts and what they name give the same answer in every order, forks and ended terms "
    "among them") {
  const TestConference& conference = ConferenceOf(3);
  const auto& chair = conference.member(kHub).key;
  const auto& nw = conference.member(kNw).key;
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    testing::SimRandom random(seed);
    Forger forger{conference, testing::SimRandom(seed + 1000)};
    const std::uint64_t t = testing::kSimStartMs;
    const auto now = [&] { return TimeMs{t + random.Below(40)}; };
    struct Journal {
      JournalId id;
      std::vector<Entry> entries;
    };
    std::vector<Entry> all;
    // A member's journals; the second one forks.
    std::vector<Journal> members(2);
    for (std::size_t i = 0; i < members.size(); ++i) {
      Journal& journal = members[i];
      journal.entries.push_back(forger.Open(nw, conference.laender(), {}, TimeMs{t}));
      journal.id = journal.entries[0].id;
      for (int n = 0; n < 6; ++n) {
        const Entry& prev =
            i == 0 ? journal.entries.back() : journal.entries[random.Below(journal.entries.size())];
        journal.entries.push_back(forger.After(nw, journal.id, prev, now(), WriteBody{}));
      }
      all.insert(all.end(), journal.entries.begin(), journal.entries.end());
    }
    // The chair's lanes: of term 1, with a fork, and of a term that does not exist (void).
    std::vector<Journal> lanes(3);
    std::map<EntryId, TimeMs> greatest;
    struct Line {
      EntryId named;
      Reception reception;
    };
    std::vector<Line> lines;
    for (std::size_t i = 0; i < lanes.size(); ++i) {
      Journal& lane = lanes[i];
      const Lane of{i == 2 ? std::uint64_t{2} : std::uint64_t{1}, Purpose::kActs};
      lane.entries.push_back(forger.Open(chair, conference.laender(), of, TimeMs{t}));
      lane.id = lane.entries[0].id;
      greatest[lane.id] = TimeMs{t};
      for (int n = 0; n < 6; ++n) {
        const Entry prev =
            i == 0 ? lane.entries.back() : lane.entries[random.Below(lane.entries.size())];
        ReceiptBody body;
        for (std::uint64_t names = 1 + random.Below(2); names > 0; --names) {
          const Journal& journal = members[random.Below(members.size())];
          body.lines.push_back(
              {journal.id, journal.entries[random.Below(journal.entries.size())].id});
        }
        const auto named = body.lines;
        const Entry receipt = forger.After(chair, lane.id, prev, now(), std::move(body));
        greatest[receipt.id] = std::max(greatest[prev.id], receipt.header.time);
        if (i != 2) {
          for (const auto& line : named) {
            lines.push_back({line.entry, {1, greatest[receipt.id], receipt.id}});
          }
        }
        lane.entries.push_back(receipt);
      }
      all.insert(all.end(), lane.entries.begin(), lane.entries.end());
    }
    const auto is_self_or_ancestor = [](const Journal& journal, EntryId entry, EntryId of) {
      for (;;) {
        if (entry == of) return true;
        const auto at = std::find_if(journal.entries.begin(), journal.entries.end(),
                                     [&](const Entry& e) { return e.id == of; });
        if (at == journal.entries.end() || at->header.seq == 0) return false;
        of = at->header.prev;
      }
    };
    for (int order = 0; order < 3; ++order) {
      Shuffle(all, random);
      Node by(kBy);
      Take(by, all);
      {
        Snapshot snapshot = Value(by.store().Read());
        for (const Journal& journal : members) {
          for (const Entry& entry : journal.entries) {
            std::optional<Reception> expected;
            for (const Line& line : lines) {
              if (!is_self_or_ancestor(journal, entry.id, line.named)) continue;
              if (!expected || line.reception < *expected) expected = line.reception;
            }
            INFO("seed " << seed << ", order " << order << ", seq " << entry.header.seq);
            CHECK(Value(snapshot.ReceptionOf(journal.id, entry.header.seq, entry.id)) == expected);
          }
        }
        CHECK(Value(snapshot.VoidReceipts(100)).size() == 6);
      }
      by.Sound();
      Ok(by.Open());
      by.Sound();
    }
  }
}

// The conference with its chair passed to NW, the old chair's lane cut at `last`.
CharterItem NextTerm(const TestConference& conference, std::vector<charter::Cut> cuts,
                     std::size_t to = kNw, std::uint64_t later_ms = 1000) {
  const Entry& parent = *conference.charter_items().back().entry;
  const auto content =
      Value(charter::ParseContent(std::get<CharterBody>(parent.header.body).charter));
  const auto next = Value(charter::WithNextTerm(content, conference.member(to).id,
                                                conference.member(to).key.public_key(),
                                                TimeMs{testing::kSimStartMs}, std::move(cuts)));
  const Entry entry =
      Value(charter::MakeCharterEntry(&parent, next, TimeMs{testing::kSimStartMs + later_ms}));
  CharterItem item{.entry = entry, .id = entry.id};
  for (std::size_t i = 0; i < conference.size(); ++i) {
    item.signatures.push_back(charter::SignCharterEntry(
        entry.id, charter::CharterSignature::Kind::kApproval, conference.member(i).key));
  }
  return item;
}

void TakeCharter(Node& node, CharterItem item) {
  Batch batch;
  batch.charter.push_back(std::move(item));
  const Ingested ingested = Value(node.store().Ingest(node.store().Prepare(std::move(batch))));
  if (!ingested.charter_refusals.empty()) FAIL(ingested.charter_refusals.front().message);
}

TEST_CASE(
    "a receipt beyond the ended term's cut is void: evidence, and the new chair gives its own") {
  Node hub(kHub);
  Node nw(kNw);
  Node by(kBy);
  const HistoryItem first = by.Write("vorher");
  Copy(by, hub);
  hub.Receipt();
  Snapshot before = Value(hub.store().Read());
  const auto last = *Value(before.LastReceipt(hub.laender(), 1));
  Copy(hub, nw);
  const HistoryItem second = by.Write("nachher");
  Copy(by, hub);
  hub.clock().Advance(1000);
  hub.Receipt();  // beyond what the cut will name
  REQUIRE(hub.Received(second));
  charter::Cut cut{.journal = last.journal,
                   .audience = hub.laender(),
                   .key = hub.self().key.public_key(),
                   .term = 1,
                   .heads = {{last.seq, last.entry}}};
  const CharterItem next = NextTerm(hub.conference(), {cut});
  for (Node* node : {&hub, &nw, &by}) TakeCharter(*node, next);
  Copy(hub, nw);
  Copy(hub, by);
  for (Node* node : {&hub, &nw, &by}) {
    CHECK(node->Received(first));
    CHECK_FALSE(node->Received(second));
    CHECK(node->Gap().all == 1);
    Snapshot snapshot = Value(node->store().Read());
    const auto evidence = Value(snapshot.VoidReceipts(10));
    REQUIRE(evidence.size() == 1);
    CHECK(evidence[0].term == 1);
    CHECK(evidence[0].member == hub.self().id);
    CHECK(evidence[0].lines.size() == 1);
    CHECK(evidence[0].invalid_reason.find("cut") != std::string::npos);
    CHECK(Value(snapshot.LastReceipt(hub.laender(), 1))->entry == last.entry);
    node->Sound();
  }
  // The old hub gives none any more.
  const auto refused = hub.store().WriteReceipts({{hub.laender()}, {}});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kDenied);
  // The new one does, in its own term; what the old one had received stays received then.
  REQUIRE(nw.Receipt().size() == 1);
  CHECK(nw.Received(second)->term == 2);
  CHECK(nw.Received(first)->term == 1);
  nw.Sound();
}

TEST_CASE("while the charter is tied nobody acts as the chair, and editing goes on") {
  Node hub(kHub);
  Node by(kBy);
  by.Write();
  Copy(by, hub);
  TakeCharter(hub, NextTerm(hub.conference(), {}, kNw));
  TakeCharter(hub, NextTerm(hub.conference(), {}, kBy));
  REQUIRE(hub.store().charter()->InForce().tied);
  const auto refused = hub.store().WriteReceipts({{hub.laender()}, {}});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kUnavailable);
  Edit result{.audience = hub.laender()};
  result.records.push_back(
      {.kind = 8,
       .record = hub.random().DrawId<RecordId>(),
       .mode = RecordEdit::Mode::kCreate,
       .cells = {{.cell = EncodeCell({{OwnerKind::kChair, {}}, {CellStep(std::uint32_t{10})}}),
                  .value = Bytes("\x52\x00", 2)}}});
  const auto act = hub.store().Apply(result);
  REQUIRE_FALSE(act);
  CHECK(act.error().code == ErrorCode::kUnavailable);
  hub.Write("Bearbeiten geht weiter");
}

TEST_CASE("core-traces 8: the chair alone does not take its receipts back") {
  Node hub(kHub);
  Node by(kBy);
  const HistoryItem change = by.Write();
  Copy(by, hub);
  hub.Receipt();
  Copy(hub, by);
  const auto received = by.Received(change);
  REQUIRE(received);
  // It cuts its own lane from the start, in a next term to itself, and signs alone, also with its
  // first replica's machine signature.
  const auto& conference = hub.conference();
  const JournalId lane = Value(Value(by.store().Read()).LastReceipt(by.laender(), 1))->journal;
  charter::Cut cut{.journal = lane,
                   .audience = by.laender(),
                   .key = conference.member(kHub).key.public_key(),
                   .term = 1};
  CharterItem item = NextTerm(conference, {cut}, kHub);
  item.signatures.clear();
  for (const auto kind :
       {charter::CharterSignature::Kind::kApproval, charter::CharterSignature::Kind::kSeen}) {
    item.signatures.push_back(
        charter::SignCharterEntry(item.id, kind, conference.member(kHub).key));
  }
  TakeCharter(by, item);
  CHECK(by.store().authority()->current_term().number == 1);
  CHECK(by.Received(change) == received);
  by.Sound();
}

TEST_CASE(
    "a node that comes back after many receipts takes them before the entries, and in one pass") {
  // NW's journal is partly here and received; then a thousand receipts of entries still on their
  // way.
  const TestConference& conference = ConferenceOf(3);
  const auto& chair = conference.member(kHub).key;
  const auto& nw = conference.member(kNw).key;
  const std::uint64_t t = testing::kSimStartMs;
  Forger forger{conference, testing::SimRandom(11)};
  constexpr std::size_t kHalf = 300;
  std::vector<Entry> journal = {forger.Open(nw, conference.laender(), {}, TimeMs{t})};
  const JournalId id = journal[0].id;
  std::vector<Entry> lane = {
      forger.Open(chair, conference.laender(), {1, Purpose::kActs}, TimeMs{t})};
  for (std::size_t i = 1; i <= 2 * kHalf; ++i) {
    journal.push_back(forger.After(nw, id, journal.back(), TimeMs{t + i}, WriteBody{}));
    lane.push_back(forger.After(chair, lane[0].id, lane.back(), TimeMs{t + i},
                                ReceiptBody{{{id, journal.back().id}}}));
  }
  const auto run = [](const std::vector<Entry>& entries, std::size_t from, std::size_t to) {
    Run out;
    out.entries.assign(entries.begin() + static_cast<std::ptrdiff_t>(from),
                       entries.begin() + static_cast<std::ptrdiff_t>(to));
    return out;
  };
  Node by(kBy);
  const auto take = [&](std::vector<Run> runs) {
    Batch batch;
    batch.runs = std::move(runs);
    Value(by.store().Ingest(by.store().Prepare(std::move(batch))));
  };
  take({run(journal, 0, kHalf + 1), run(lane, 0, kHalf + 1)});
  // The chair's acts travel first; one of them is repeated about what is here.
  take({run(lane, kHalf + 1, lane.size())});
  const Entry again = forger.After(chair, lane[0].id, lane.back(), TimeMs{t + 9000},
                                   ReceiptBody{{{id, journal[5].id}}});
  take({Run{{again}}});
  take({run(journal, kHalf + 1, journal.size())});
  {
    Snapshot snapshot = Value(by.store().Read());
    for (std::size_t i = 1; i < journal.size(); ++i) {
      const auto received = Value(snapshot.ReceptionOf(id, i, journal[i].id));
      REQUIRE(received);
      REQUIRE(received->receipt == lane[i].id);
    }
  }
  CHECK(by.Gap().all == 0);
  by.Sound();
}

}  // namespace
}  // namespace staffel
