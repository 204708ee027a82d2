// SPDX-License-Identifier: EUPL-1.2
// Entries that an unchanged node never writes, made by a patched one and sent through the real
// exchange: everyone stores and forwards them, they have no effect anywhere, for the same reason,
// and their author is told.
#include <algorithm>

#include <catch2/catch.hpp>

#include "core/base/wire.h"
#include "core/charter/build.h"
#include "core/crypto/hash.h"
#include "tests/sync/talk.h"

namespace staffel::testing {
namespace {

using charter::Reason;

constexpr std::uint32_t kBallot = 8;
constexpr std::uint32_t kDeclaration = 9;
constexpr std::uint32_t kVotesCast = 8;
constexpr std::uint32_t kResult = 10;
constexpr std::uint32_t kStatements = 5;
constexpr std::size_t kNi = 0;  // the chair
constexpr std::size_t kNw = 1;
constexpr std::size_t kBy = 2;

// Three Länder, and beside their common audience one that only the chair writes, and one in which
// BY only reads.
struct Conference {
  const TestConference& base = ConferenceOf(3);
  AudienceId public_audience;
  AudienceId group;
  CharterItem audiences;
  CharterItem next_term;  // the chair passes to NW; no cut names NI's lanes

  Conference() {
    SimRandom random(99);
    const Entry& parent = *base.charter_items().back().entry;
    auto content = Value(charter::ParseContent(std::get<CharterBody>(parent.header.body).charter));
    std::vector<MemberId> all;
    for (std::size_t i = 0; i < base.size(); ++i) all.push_back(base.member(i).id);
    std::sort(all.begin(), all.end());
    public_audience = random.DrawId<AudienceId>();
    group = random.DrawId<AudienceId>();
    content.audiences.push_back({.id = public_audience,
                                 .name = "public",
                                 .chair_writes_only = true,
                                 .readers = all,
                                 .writers = all});
    std::vector<MemberId> writers = {base.member(kNi).id, base.member(kNw).id};
    std::sort(writers.begin(), writers.end());
    content.audiences.push_back(
        {.id = group, .name = "ag", .readers = all, .writers = std::move(writers)});
    std::sort(content.audiences.begin(), content.audiences.end(),
              [](const auto& a, const auto& b) { return a.id < b.id; });
    audiences = Signed(parent, content);
    const auto next = Value(charter::WithNextTerm(
        content, base.member(kNw).id, base.member(kNw).key.public_key(), TimeMs{kSimStartMs}, {}));
    next_term = Signed(*audiences.entry, next);
  }

  CharterItem Signed(const Entry& parent, const charter::Content& content) const {
    const Entry entry =
        Value(charter::MakeCharterEntry(&parent, content, TimeMs{kSimStartMs + 100}));
    CharterItem item{.entry = entry, .id = entry.id};
    for (std::size_t i = 0; i < base.size(); ++i) {
      item.signatures.push_back(charter::SignCharterEntry(
          entry.id, charter::CharterSignature::Kind::kApproval, base.member(i).key));
    }
    return item;
  }
};

const Conference& Forged() {
  static const Conference conference;
  return conference;
}

struct Node : TestReplica {
  explicit Node(std::size_t member) : TestReplica(Forged().base, member) {
    Ok(Open());
    Charter(Forged().audiences);
  }
  void Charter(const CharterItem& item) {
    Batch batch;
    batch.charter.push_back(item);
    const Ingested ingested = Value(store().Ingest(store().Prepare(std::move(batch))));
    REQUIRE(ingested.charter_refusals.empty());
  }
};

CellAddress ChairCell(std::uint32_t field) { return {{OwnerKind::kChair, {}}, {CellStep(field)}}; }
CellAddress MemberCell(std::uint32_t field, std::size_t member) {
  const MemberId id = Forged().base.member(member).id;
  return {{OwnerKind::kMember, id}, {CellStep(field), CellStep(id)}};
}
CellAddress AnyonesCell(std::uint32_t field) { return {{}, {CellStep(field)}}; }

Bytes VoteValue(std::size_t member, std::uint64_t vote) {
  Bytes entry;
  AppendBytesField(entry, 1, Forged().base.member(member).id.text());
  AppendVarintField(entry, 2, vote);
  Bytes value;
  AppendBytesField(value, kVotesCast, entry);
  return value;
}

// What a patched node of `writer` makes: a journal in that lane with one entry.
struct Forgery {
  std::size_t writer = kNw;
  AudienceId audience;
  Lane lane;
  std::uint32_t kind = kBallot;
  std::vector<CellAddress> cells;
  std::optional<Body> body;  // in place of a write
};

struct Made {
  Run run;
  JournalId journal;
  EntryId entry;
};

Made Forge(const Forgery& forgery, const RecordId& record, SimRandom& random) {
  const auto& writer = Forged().base.member(forgery.writer);
  Header open;
  open.time = TimeMs{kSimStartMs + 1000};
  open.body = OpenBody{Forged().base.conference(), writer.key.public_key(), forgery.audience,
                       forgery.lane, random.DrawId<Nonce>()};
  Entry opening = SignEntry(std::move(open), {}, writer.key);
  Header header;
  header.journal = opening.id;
  header.seq = 1;
  header.prev = opening.id;
  header.time = TimeMs{kSimStartMs + 1001};
  std::vector<std::optional<Bytes>> payloads;
  if (forgery.body) {
    header.body = *forgery.body;
  } else {
    PayloadContent content;
    RecordPart part{.kind = forgery.kind, .record = record};
    for (const CellAddress& cell : forgery.cells) {
      part.changes.push_back({EncodeCell(cell), {}});
      content.values.emplace_back(VoteValue(kBy, 2));
    }
    Bytes payload = SerializePayload(content, random);
    part.commitment = crypto::HashPayload(payload);
    payloads.emplace_back(std::move(payload));
    WriteBody write;
    write.records.push_back(std::move(part));
    header.body = std::move(write);
  }
  Made made;
  made.journal = opening.id;
  Entry entry = SignEntry(std::move(header), std::move(payloads), writer.key);
  made.entry = entry.id;
  made.run.entries.push_back(std::move(opening));
  made.run.entries.push_back(std::move(entry));
  return made;
}

// Puts the forgery into its writer's own store, lets it travel to the hub and from there to the
// third, and looks everywhere.
void HasNoEffect(const Forgery& forgery, Reason reason, bool next_term = false) {
  Node ni(kNi);
  Node nw(kNw);
  Node by(kBy);
  std::vector<Node*> nodes = {&ni, &nw, &by};
  // A ballot that BY has voted in, and a statement: what a forgery could change.
  const AudienceId laender = Forged().base.laender();
  const RecordId record = ni.random().DrawId<RecordId>();
  if (forgery.audience == laender) {
    Edit ballot{.audience = laender};
    ballot.records.push_back({.kind = forgery.kind,
                              .record = record,
                              .mode = RecordEdit::Mode::kCreate,
                              .cells = {{.cell = FieldCell(2), .value = TextValue(2, "U1")}}});
    Value(ni.store().Apply(ballot));
    Sync(by, ni);
    Edit vote{.audience = laender};
    vote.records.push_back(
        {.kind = forgery.kind,
         .record = record,
         .cells = {{.cell = EncodeCell(
                        MemberCell(forgery.kind == kBallot ? kVotesCast : kStatements, kBy)),
                    .value = VoteValue(kBy, 1)}}});
    Value(by.store().Apply(vote));
    Sync(by, ni);
    Sync(nw, ni);
  }
  if (next_term) {
    for (Node* node : nodes) node->Charter(Forged().next_term);
  }
  const std::string before = Value(Describe(ni.store(), forgery.audience));
  const Hash digest = Value(DigestRoot(ni.store(), forgery.audience));

  const Made made = Forge(forgery, record, ni.random());
  Node& author = *nodes[forgery.writer];
  Batch batch;
  batch.runs.push_back(made.run);
  const Ingested own = Value(author.store().Ingest(author.store().Prepare(std::move(batch))));
  REQUIRE(own.runs[0].outcome == RunOutcome::kAccepted);
  if (&author != &ni) Sync(author, ni);
  for (Node* node : nodes) {
    if (node != &ni && node != &author) Sync(*node, ni);
  }

  for (Node* node : nodes) {
    INFO("at " << node->self().id.text());
    Snapshot snapshot = Value(node->store().Read());
    CHECK(Value(snapshot.HasEntry(made.journal, 1, made.entry)));
    const auto all = Value(snapshot.WithoutEffect(/*only_own=*/false, 10));
    const auto found = std::find_if(all.begin(), all.end(),
                                    [&](const auto& one) { return one.entry == made.entry; });
    REQUIRE(found != all.end());
    CHECK(static_cast<int>(found->reason) == static_cast<int>(reason));
    CHECK(Value(DigestRoot(node->store(), forgery.audience)) == digest);
    CHECK(Value(Describe(node->store(), forgery.audience)) == before);
    // Its author is told, and nobody else.
    const auto told = Value(snapshot.WithoutEffect(/*only_own=*/true, 10));
    CHECK(std::any_of(told.begin(), told.end(), [&](const auto& one) {
            return one.entry == made.entry;
          }) == (node == &author));
    CHECK((Value(snapshot.Counts()).own_invalid_entries > 0) == (node == &author));
    const VerifyReport report = Value(node->store().Verify());
    INFO((report.problems.empty() ? "" : report.problems.front()));
    CHECK(report.problems.empty());
  }
  RequireSame(ni, nw, forgery.audience);
  RequireSame(ni, by, forgery.audience);
}

const AudienceId& Laender() { return Forged().base.laender(); }

TEST_CASE("forged: a Land's vote written by another Land") {
  HasNoEffect({.writer = kNw, .audience = Laender(), .cells = {MemberCell(kVotesCast, kBy)}},
              Reason::kForeignCell);
}

TEST_CASE("forged: a Land's vote written by the chair, as the chair and as a member") {
  HasNoEffect({.writer = kNi,
               .audience = Laender(),
               .lane = {1, Purpose::kActs},
               .cells = {MemberCell(kVotesCast, kBy)}},
              Reason::kForeignCell);
  HasNoEffect({.writer = kNi, .audience = Laender(), .cells = {MemberCell(kVotesCast, kBy)}},
              Reason::kForeignCell);
  // Not even its own Land's, in the chair's lane.
  HasNoEffect({.writer = kNi,
               .audience = Laender(),
               .lane = {1, Purpose::kActs},
               .cells = {MemberCell(kVotesCast, kNi)}},
              Reason::kForeignCell);
}

TEST_CASE("forged: a declaration of another Land") {
  HasNoEffect({.writer = kNw,
               .audience = Laender(),
               .kind = kDeclaration,
               .cells = {MemberCell(kStatements, kBy)}},
              Reason::kForeignCell);
}

TEST_CASE("forged: a vote hidden among cells that are the writer's own") {
  HasNoEffect({.writer = kNw,
               .audience = Laender(),
               .cells = {AnyonesCell(6), MemberCell(kVotesCast, kBy)}},
              Reason::kForeignCell);
}

TEST_CASE("forged: the chair's cells by a member") {
  HasNoEffect({.writer = kNw, .audience = Laender(), .cells = {ChairCell(kResult)}},
              Reason::kForeignCell);
}

TEST_CASE("forged: the chair's lane by a member") {
  HasNoEffect({.writer = kNw,
               .audience = Laender(),
               .lane = {1, Purpose::kActs},
               .cells = {ChairCell(kResult)}},
              Reason::kNotTheTermsReplica);
}

TEST_CASE("forged: the chair's cells in a term that does not exist yet") {
  HasNoEffect({.writer = kNw,
               .audience = Laender(),
               .lane = {2, Purpose::kActs},
               .cells = {ChairCell(kResult)}},
              Reason::kUnknownTerm);
}

TEST_CASE("forged: the chair's cells by the chair of an ended term") {
  HasNoEffect({.writer = kNi,
               .audience = Laender(),
               .lane = {1, Purpose::kActs},
               .cells = {ChairCell(kResult)}},
              Reason::kGrantEnded, /*next_term=*/true);
  // Nor in the name of the new term.
  HasNoEffect({.writer = kNi,
               .audience = Laender(),
               .lane = {2, Purpose::kActs},
               .cells = {ChairCell(kResult)}},
              Reason::kNotTheTermsReplica, /*next_term=*/true);
}

TEST_CASE("forged: writing in an audience where the Land only reads") {
  HasNoEffect({.writer = kBy, .audience = Forged().group, .cells = {AnyonesCell(2)}},
              Reason::kNeverAWriter);
}

TEST_CASE("forged: a member writes where only the chair does") {
  HasNoEffect({.writer = kNw, .audience = Forged().public_audience, .cells = {AnyonesCell(2)}},
              Reason::kForeignCell);
}

TEST_CASE("forged: a receipt by a member, in its own lane and in the chair's") {
  const Body receipt =
      ReceiptBody{{{*JournalId::From(Bytes(32, 'j')), *EntryId::From(Bytes(32, 'e'))}}};
  HasNoEffect({.writer = kNw, .audience = Laender(), .cells = {}, .body = receipt},
              Reason::kNotOfThisLane);
  HasNoEffect({.writer = kNw,
               .audience = Laender(),
               .lane = {1, Purpose::kActs},
               .cells = {},
               .body = receipt},
              Reason::kNotTheTermsReplica);
}

TEST_CASE("forged: one cell twice in an entry") {
  HasNoEffect({.writer = kNw,
               .audience = Laender(),
               .cells = {MemberCell(kVotesCast, kNw), MemberCell(kVotesCast, kNw)}},
              Reason::kCellTwice);
}

TEST_CASE("an unchanged node refuses all of it at its own door") {
  Node nw(kNw);
  const auto refused = [&](const AudienceId& audience, const CellAddress& cell) {
    Edit edit{.audience = audience};
    edit.records.push_back({.kind = kBallot,
                            .record = nw.random().DrawId<RecordId>(),
                            .mode = RecordEdit::Mode::kCreate,
                            .cells = {{.cell = EncodeCell(cell), .value = VoteValue(kBy, 1)}}});
    const auto applied = nw.store().Apply(edit);
    REQUIRE_FALSE(applied);
    CHECK(applied.error().code == ErrorCode::kDenied);
    CHECK_FALSE(applied.error().message.empty());
  };
  refused(Laender(), MemberCell(kVotesCast, kBy));
  refused(Laender(), ChairCell(kResult));
  refused(Forged().public_audience, AnyonesCell(2));
  Node by(kBy);
  Edit edit{.audience = Forged().group};
  edit.records.push_back({.kind = kBallot,
                          .record = by.random().DrawId<RecordId>(),
                          .mode = RecordEdit::Mode::kCreate,
                          .cells = {{.cell = FieldCell(2), .value = TextValue(2, "U1")}}});
  const auto applied = by.store().Apply(edit);
  REQUIRE_FALSE(applied);
  CHECK(applied.error().code == ErrorCode::kDenied);
  CHECK(Entries(by) == 0);
}

TEST_CASE("an entry without effect counts once the charter gives its writer the right") {
  // BY writes in the group too early; later the group makes it a writer.
  const Conference& conference = Forged();
  Node by(kBy);
  const RecordId record = by.random().DrawId<RecordId>();
  const Made made = Forge({.writer = kBy, .audience = conference.group, .cells = {AnyonesCell(2)}},
                          record, by.random());
  Batch batch;
  batch.runs.push_back(made.run);
  Value(by.store().Ingest(by.store().Prepare(std::move(batch))));
  const auto ineffective = [&] {
    Snapshot snapshot = Value(by.store().Read());
    return Value(snapshot.WithoutEffect(true, 10)).size();
  };
  CHECK(ineffective() > 0);
  auto content = Value(charter::ParseContent(
      std::get<CharterBody>(conference.audiences.entry->header.body).charter));
  auto* group = content.FindAudience(conference.group);
  group->writers = group->readers;
  by.Charter(conference.Signed(*conference.audiences.entry, content));
  CHECK(ineffective() == 0);
  Snapshot snapshot = Value(by.store().Read());
  CHECK(Value(snapshot.GetRecord(record, conference.group)).kind == kBallot);
}

}  // namespace
}  // namespace staffel::testing
