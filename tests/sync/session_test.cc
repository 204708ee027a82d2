// SPDX-License-Identifier: EUPL-1.2
#include "sync/session.h"

#include <algorithm>
#include <set>

#include <catch2/catch.hpp>

#include "core/charter/build.h"
#include "sync/ingest_queue.h"
#include "tests/support/audiences.h"
#include "tests/support/workload.h"
#include "tests/sync/talk.h"

namespace staffel::testing {
namespace {

using sync::Exchange;
using sync::Message;

struct Two {
  explicit Two(std::size_t members = 2) : conference(ConferenceOf(members)) {
    Ok(a.Open());
    Ok(b.Open());
  }
  const TestConference& conference;
  TestReplica a{conference, 0, 11};
  TestReplica b{conference, 1, 12};
};

// Another machine with the same disk image: what a restored or copied node is.
std::unique_ptr<TestReplica> Clone(TestReplica& of, std::size_t member, std::uint64_t seed) {
  auto clone = std::make_unique<TestReplica>(of.conference(), member, seed);
  of.Close();
  clone->disk().Load(of.disk().Save());
  Ok(of.Open());
  Ok(clone->Open());
  return clone;
}

VersionVector VectorOf(TestReplica& replica) {
  return Value(Value(replica.store().Read()).Vector(replica.conference().laender()));
}

std::size_t BranchesOf(TestReplica& replica, const JournalId& journal) {
  const auto vector = VectorOf(replica);
  return static_cast<std::size_t>(std::count_if(
      vector.begin(), vector.end(), [&](const auto& item) { return item.journal == journal; }));
}

JournalId OwnJournal(TestReplica& replica) {
  for (const auto& journal : Value(Value(replica.store().Read()).Journals())) {
    if (journal.own && journal.audience == replica.conference().laender()) return journal.journal;
  }
  FAIL("no journal of its own");
  return {};
}

TEST_CASE("nothing new: one round trip, under 300 bytes each way") {
  Two two(16);
  WriteNotes(two.a, 30);
  WriteNotes(two.b, 20);
  Sync(two.a, two.b);
  for (int i = 0; i < 2; ++i) {
    Talk talk(two.a, two.b);
    Ok(talk.Run());
    REQUIRE(talk.round_trips == 1);
    REQUIRE(talk.bytes_up < 300);
    REQUIRE(talk.bytes_down < 300);
  }
  // Also with nothing in the store at all.
  TestReplica c(two.conference, 2, 13);
  TestReplica d(two.conference, 3, 14);
  Ok(c.Open());
  Ok(d.Open());
  Talk talk(c, d);
  Ok(talk.Run());
  REQUIRE(talk.round_trips == 1);
  REQUIRE(talk.bytes_up < 300);
  REQUIRE(talk.bytes_down < 300);
}

TEST_CASE("both sides' edits travel in one exchange") {
  Two two;
  WriteNotes(two.a, 25, "von NI");
  WriteNotes(two.b, 35, "von NW");
  Sync(two.a, two.b);
  RequireSame(two.a, two.b, two.conference.laender());
  REQUIRE(Entries(two.a) >= 60);
}

TEST_CASE("a node without the charter gets it, and everything with it, by its first exchange") {
  const auto& conference = ConferenceOf(4);
  TestReplica hub(conference, 0, 1);
  TestReplica node(conference, 3, 2, TestReplica::Charter::kByExchange);
  Ok(hub.Open());
  Ok(node.Open());
  WriteNotes(hub, 40);
  REQUIRE(!node.store().own_member());
  Sync(node, hub);
  REQUIRE(node.store().own_member() == conference.member(3).id);
  REQUIRE(node.store().charter()->SummaryHash() == hub.store().charter()->SummaryHash());
  RequireSame(node, hub, conference.laender());
}

TEST_CASE("one edit between nodes that keep talking: one round trip up, two down") {
  Two two;
  WriteNotes(two.a, 10);
  WriteNotes(two.b, 10);
  Talk talk(two.b, two.a);
  Ok(talk.Run());
  WriteNotes(two.b, 1, "neu");
  Ok(talk.Run());
  REQUIRE(talk.round_trips == 1);
  RequireSame(two.a, two.b, two.conference.laender());
  WriteNotes(two.a, 1, "neu");
  Ok(talk.Run());
  REQUIRE(talk.round_trips == 2);
  RequireSame(two.a, two.b, two.conference.laender());
  // And both at once.
  WriteNotes(two.a, 1, "hin");
  WriteNotes(two.b, 1, "her");
  Ok(talk.Run());
  REQUIRE(talk.round_trips <= 2);
  RequireSame(two.a, two.b, two.conference.laender());
}

TEST_CASE("a hundred small changes travel in under 12 KB") {
  Two two(16);
  const auto records = WriteNotes(two.a, 100);
  WriteNotes(two.b, 5);
  Talk talk(two.a, two.b);
  Ok(talk.Run());
  // Changes of one field, each its own entry with its own parent and op id, as phones make them.
  for (const RecordId& record : records) {
    Edit edit = SetText(two.conference.laender(), kNote, record, kNoteTitle, "Termin verschoben");
    edit.op = two.a.random().DrawId<OpId>();
    Value(two.a.store().Apply(edit));
  }
  SECTION("between nodes that keep talking") {
    Ok(talk.Run());
    CHECK(talk.bytes_up + talk.bytes_down < 12'000);
    INFO("100 changes, known peer: " << talk.bytes_up << " up, " << talk.bytes_down << " down, "
                                     << talk.round_trips << " round trips");
  }
  SECTION("between nodes that know nothing of each other") {
    Talk fresh(two.a, two.b);
    Ok(fresh.Run());
    CHECK(fresh.bytes_up + fresh.bytes_down < 12'000);
    INFO("100 changes, unknown peer: " << fresh.bytes_up << " up, " << fresh.bytes_down << " down, "
                                       << fresh.round_trips << " round trips");
  }
  SECTION("fetched") {
    Talk fetch(two.b, two.a);
    Ok(fetch.Run());
    CHECK(fetch.bytes_up + fetch.bytes_down < 12'000);
    INFO("100 changes, fetched: " << fetch.bytes_up << " up, " << fetch.bytes_down << " down, "
                                  << fetch.round_trips << " round trips");
  }
  RequireSame(two.a, two.b, two.conference.laender());
}

TEST_CASE("two to five replicas come together, whoever talks to whom, in batches of any size") {
  const std::size_t size = GENERATE(2u, 3u, 5u);
  const std::size_t batch = GENERATE(1u, 7u, 16'384u);
  const auto& conference = ConferenceOf(5);
  std::vector<std::unique_ptr<TestReplica>> replicas;
  SimRandom random(size * 100 + batch);
  WorkloadCounts counts;
  for (std::size_t i = 0; i < size; ++i) {
    replicas.push_back(std::make_unique<TestReplica>(conference, i, 20 + i));
    Ok(replicas.back()->Open());
  }
  TalkOptions options;
  options.limits.batch_entries_max = batch;
  for (int step = 0; step < 60; ++step) {
    auto& replica = *replicas[random.Below(size)];
    for (int i = 0; i < 3; ++i) {
      const auto edit = Value(RandomEdit(replica, conference.laender(), random, counts));
      if (edit) (void)replica.store().Apply(*edit);
    }
    if (step % 3 != 0) continue;
    const std::size_t from = random.Below(size);
    const std::size_t to = (from + 1 + random.Below(size - 1)) % size;
    Sync(*replicas[from], *replicas[to], options);
    RequireSame(*replicas[from], *replicas[to], conference.laender());
  }
  // A line, there and back: everything reaches everybody.
  for (std::size_t i = 0; i + 1 < size; ++i) Sync(*replicas[i], *replicas[i + 1], options);
  for (std::size_t i = size - 1; i > 0; --i) Sync(*replicas[i - 1], *replicas[i], options);
  for (std::size_t i = 1; i < size; ++i)
    RequireSame(*replicas[0], *replicas[i], conference.laender());
}

TEST_CASE("a fork with equal seqs, neither head known to the other side: both are sent") {
  Two two;
  WriteNotes(two.a, 6);
  auto clone = Clone(two.a, 0, 77);
  WriteNotes(two.a, 1, "hier");
  WriteNotes(*clone, 1, "dort");
  const JournalId journal = OwnJournal(two.a);
  REQUIRE(OwnJournal(*clone) == journal);
  SECTION("directly") { Sync(two.a, *clone); }
  SECTION("through a third") {
    Sync(two.a, two.b);
    Sync(*clone, two.b);
    REQUIRE(BranchesOf(two.b, journal) == 2);
    Sync(two.a, two.b);
    RequireSame(*clone, two.b, two.conference.laender());
  }
  REQUIRE(BranchesOf(two.a, journal) == 2);
  RequireSame(two.a, *clone, two.conference.laender());
}

TEST_CASE("a fork at 12 with heads at 18 comes together in batches of two entries") {
  Two two;
  WriteNotes(two.a, 12);
  auto clone = Clone(two.a, 0, 77);
  WriteNotes(two.a, 6, "hier");
  WriteNotes(*clone, 6, "dort");
  const JournalId journal = OwnJournal(two.a);
  TalkOptions options;
  options.limits.batch_entries_max = 2;
  options.round_trips_max = 200;
  Sync(two.a, *clone, options);
  REQUIRE(BranchesOf(two.a, journal) == 2);
  REQUIRE(BranchesOf(*clone, journal) == 2);
  RequireSame(two.a, *clone, two.conference.laender());
  // And on to one that knows nothing, and to one that knows the trunk.
  Sync(two.b, two.a, options);
  RequireSame(two.a, two.b, two.conference.laender());
}

TEST_CASE("forks of any shape come together, in batches of any size") {
  const std::uint64_t seed = GENERATE(range(1, 25));
  const auto& conference = ConferenceOf(3);
  SimRandom random(seed);
  TestReplica hub(conference, 1, seed);
  Ok(hub.Open());
  std::vector<std::unique_ptr<TestReplica>> clones;
  clones.push_back(std::make_unique<TestReplica>(conference, 0, 1000 + seed));
  Ok(clones.front()->Open());
  TalkOptions options;
  options.limits.batch_entries_max = 1 + random.Below(5);
  options.round_trips_max = 2'000;
  for (int step = 0; step < 12; ++step) {
    auto& clone = *clones[random.Below(clones.size())];
    WriteNotes(clone, random.Below(6), fmt::format("Schritt {}", step));
    switch (random.Below(3)) {
      case 0:
        if (clones.size() < 4) clones.push_back(Clone(clone, 0, 2000 + seed * 10 + clones.size()));
        break;
      case 1:
        Sync(clone, hub, options);
        RequireSame(clone, hub, conference.laender());
        break;
      default:
        break;
    }
  }
  for (auto& clone : clones) Sync(*clone, hub, options);
  for (auto& clone : clones) {
    Sync(hub, *clone, options);
    RequireSame(*clone, hub, conference.laender());
  }
}

// How many journals of NW's key the replica holds in the Länder's audience.
std::size_t JournalsOfNw(TestReplica& replica) {
  const auto journals = Value(Value(replica.store().Read()).Journals());
  return static_cast<std::size_t>(
      std::count_if(journals.begin(), journals.end(), [&](const JournalView& journal) {
        return journal.audience == replica.conference().laender() &&
               journal.key == replica.conference().member(1).key.public_key();
      }));
}

TEST_CASE("trace 15: clones that write nothing open no journals, and a write opens one") {
  Two two;
  WriteNotes(two.b, 3);
  auto clone = Clone(two.b, 1, 77);
  // Both go on in the same journal once; then each meets what the other wrote.
  WriteNotes(two.b, 1, "hier");
  WriteNotes(*clone, 1, "dort");
  const auto rounds = [&] {
    for (int round = 0; round < 8; ++round) {
      Sync(two.b, two.a);
      Sync(*clone, two.a);
    }
    return JournalsOfNw(two.a);
  };
  CHECK(rounds() == 1);
  WriteNotes(two.b, 1, "hier");
  WriteNotes(*clone, 1, "dort");
  CHECK(rounds() == 3);
  WriteNotes(two.b, 1, "hier");
  WriteNotes(*clone, 1, "dort");
  CHECK(rounds() == 3);
  RequireSame(two.b, *clone, two.conference.laender());
}

TEST_CASE("trace 10: two clones that answer under one key starve nobody") {
  Two two;
  WriteNotes(two.b, 3);
  auto clone = Clone(two.b, 1, 77);
  WriteNotes(two.b, 2, "hier");
  WriteNotes(*clone, 4, "dort");
  WriteNotes(two.a, 2, "NI");
  // What A believes of the one is wrong of the other, each time.
  Exchange exchange(two.a.store(), two.b.self().tls.public_key());
  for (int turn = 0; turn < 6; ++turn) {
    TestReplica& peer = turn % 2 == 0 ? two.b : *clone;
    if (turn < 4) WriteNotes(turn % 2 == 0 ? *clone : two.b, 1, "weiter");
    exchange.Begin();
    auto state = Exchange::State::kGoOn;
    for (int i = 0; i < 100 && state == Exchange::State::kGoOn; ++i) {
      const Bytes request = Value(exchange.NextRequest());
      sync::Responder responder(peer.store());
      const auto reply = Value(responder.Answer(request, two.a.self().tls.public_key()));
      state = Value(exchange.TakeAnswer(reply.bytes));
    }
    REQUIRE(state == Exchange::State::kAgreed);
    REQUIRE(VectorOf(two.a) == VectorOf(peer));
  }
  RequireSame(two.a, two.b, two.conference.laender());
  RequireSame(two.a, *clone, two.conference.laender());
}

TEST_CASE("a signature added to a charter entry that both hold travels") {
  const auto& conference = ConferenceOf(3);
  TestReplica a(conference, 0, 1, TestReplica::Charter::kByExchange);
  TestReplica b(conference, 1, 2);
  Ok(a.Open());
  Ok(b.Open());
  // `a` holds all entries, and lacks one signature of the last.
  Batch charter = conference.charter();
  charter.charter.back().signatures.pop_back();
  Value(a.store().Ingest(a.store().Prepare(charter)));
  REQUIRE(a.store().charter()->SummaryHash() != b.store().charter()->SummaryHash());
  SECTION("to the asker") { Sync(a, b); }
  SECTION("to the answerer") { Sync(b, a); }
  REQUIRE(a.store().charter()->SummaryHash() == b.store().charter()->SummaryHash());
}

TEST_CASE("any message may be lost, and any request may come twice") {
  Two two;
  WriteNotes(two.a, 40);
  WriteNotes(two.b, 40);
  int count = 0;
  const int lose = GENERATE(2, 3, 5);
  TalkOptions options;
  options.limits.batch_entries_max = 9;
  options.repeat_requests = true;
  options.on_request = [&](Bytes&) { return ++count % (lose + 1) != 0; };
  options.on_answer = [&](Bytes&) { return ++count % lose != 0; };
  Talk talk(two.a, two.b, options);
  Ok(talk.Run());
  RequireSame(two.a, two.b, two.conference.laender());
}

TEST_CASE("an exchange broken off at any point goes on where it was") {
  Two two;
  WriteNotes(two.a, 60);
  WriteNotes(two.b, 60);
  std::uint64_t before = 0;
  for (int trips = 1; trips < 60; ++trips) {
    TalkOptions options;
    options.limits.batch_entries_max = 10;
    options.round_trips_max = trips;
    Talk talk(two.a, two.b, options);  // a new one each time: nothing is remembered
    const bool done = talk.Run().has_value();
    const std::uint64_t now = Entries(two.a) + Entries(two.b);
    REQUIRE(now >= before);
    before = now;
    if (done) break;
    REQUIRE(trips < 50);
  }
  RequireSame(two.a, two.b, two.conference.laender());
}

TEST_CASE("a peer restored from an old backup is found out, and gets everything back") {
  Two two;
  WriteNotes(two.b, 5);
  Talk talk(two.a, two.b);
  Ok(talk.Run());
  two.b.Close();
  const auto backup = two.b.disk().Save();
  Ok(two.b.Open());
  WriteNotes(two.a, 10);
  Ok(talk.Run());
  two.b.Close();
  two.b.disk().Load(backup);
  Ok(two.b.Open());
  WriteNotes(two.a, 3);
  Ok(talk.Run());  // believes that the other holds ten entries that it has lost
  RequireSame(two.a, two.b, two.conference.laender());
}

TEST_CASE("bytes of an audience that the peer may not read never leave") {
  Two two(3);
  TestReplica c(two.conference, 2, 15);
  Ok(c.Open());
  const AudienceId secret = two.a.self().own;
  const std::string marker = "Geheimer Entwurf aus Hannover";
  for (int i = 0; i < 20; ++i) {
    Value(two.a.store().Apply(NewNote(secret, two.a.random().DrawId<RecordId>(), marker)));
  }
  WriteNotes(two.a, 5);
  // What must not be seen: names, ids and counts of the audience's journals, records and texts.
  std::set<Bytes> forbidden = {marker, Bytes(secret.bytes())};
  auto snapshot = Value(two.a.store().Read());
  for (const auto& item : Value(snapshot.Vector(secret))) {
    forbidden.insert(Bytes(item.journal.bytes()));
    forbidden.insert(Bytes(item.head.bytes()));
  }
  forbidden.insert(Bytes(Value(snapshot.Digest(secret)).root.bytes()));
  REQUIRE(forbidden.size() == 5);
  std::size_t looked = 0;
  TalkOptions options;
  // The charter names the audience's id, for all members: it is looked at apart.
  const auto look = [&](Bytes& bytes) {
    Message message = Value(sync::DecodeMessage(bytes));
    message.charter_items.clear();
    for (auto& run : message.runs) {
      const auto rebuilt = Value(sync::RebuildRun(run));
      for (const Entry& entry : rebuilt.entries) {
        for (const Bytes& bad : forbidden) CHECK(entry.header_bytes.find(bad) == Bytes::npos);
      }
    }
    std::string all;
    for (auto& run : message.runs) all += run.entries;
    for (auto& vector : message.vectors) all += sync::SummaryOf(vector.items).bytes();
    message.runs.clear();
    for (const auto& vector : message.vectors) {
      all += vector.audience.bytes();
      for (const auto& item : vector.items) {
        all += item.journal.bytes();
        all += item.head.bytes();
      }
    }
    for (const auto& summary : message.summaries) all += summary.audience.bytes();
    for (const auto& digest : message.digests) {
      all += digest.audience.bytes();
      all += digest.root.bytes();
    }
    for (const auto& want : message.wants) all += want.journal.bytes();
    for (const auto& problem : message.problems)
      all += Bytes(problem.journal.bytes()) + problem.reason;
    for (const Bytes& bad : forbidden) CHECK(all.find(bad) == Bytes::npos);
    ++looked;
    return true;
  };
  options.on_request = look;
  options.on_answer = look;
  Sync(two.a, two.b, options);
  Sync(c, two.a, options);
  Sync(two.b, c, options);
  REQUIRE(looked >= 6);
  REQUIRE(Entries(two.b) < Entries(two.a));

  SECTION("nor when they are asked for by name") {
    const auto journals = Value(snapshot.Vector(secret));
    Message ask;
    ask.conference = two.conference.conference();
    ask.charter_summary = two.b.store().charter()->SummaryHash();
    ask.wants.push_back({journals.front().journal, 0, {}});
    ask.wants.push_back(
        {journals.front().journal, 0, {{journals.front().head, journals.front().seq}}});
    ask.vectors.push_back({secret, {}});
    sync::Responder responder(two.a.store());
    const auto reply =
        Value(responder.Answer(sync::EncodeMessage(ask), two.b.self().tls.public_key()));
    const Message answer = Value(sync::DecodeMessage(reply.bytes));
    REQUIRE(answer.runs.empty());
    REQUIRE(answer.vectors.empty());
  }
  SECTION("nor does anybody get them in whom they are pushed upon") {
    auto runs = Value(snapshot.ReadRuns(
        std::vector<Want>{{Value(snapshot.Vector(secret)).front().journal, 0}}, 1 << 20, [] {
          static bool more = false;
          return &more;
        }()));
    Message push;
    push.conference = two.conference.conference();
    push.runs.push_back(sync::CutRun(runs.front()));
    sync::Responder responder(two.b.store());
    const auto before = Entries(two.b);
    const auto reply =
        Value(responder.Answer(sync::EncodeMessage(push), two.a.self().tls.public_key()));
    const auto problems = Value(sync::DecodeMessage(reply.bytes)).problems;
    REQUIRE(problems.size() == 1);
    // As for a journal never heard of.
    REQUIRE(problems[0].outcome == sync::RunProblem::Outcome::kUnknownPrev);
    REQUIRE(problems[0].reason.empty());
    REQUIRE(Entries(two.b) == before);
  }
  SECTION("its existence does not show in the length of a message") {
    Talk talk(two.b, two.a);
    Ok(talk.Run());
    const auto down = talk.bytes_down;
    Value(two.a.store().Apply(NewNote(secret, two.a.random().DrawId<RecordId>(), marker)));
    Talk again(two.b, two.a);
    Ok(again.Run());
    REQUIRE(again.bytes_down == down);
    REQUIRE(again.round_trips == 1);
  }
}

TEST_CASE("two nodes of one Land exchange the Land's own audience") {
  // Both machines carry one replica key here: what counts is whose TLS key it is.
  const auto& conference = ConferenceOf(2);
  TestReplica a(conference, 0, 1);
  TestReplica b(conference, 0, 2);
  Ok(a.Open());
  Ok(b.Open());
  Value(a.store().Apply(NewNote(a.self().own, a.random().DrawId<RecordId>(), "intern")));
  Sync(b, a);
  RequireSame(a, b, a.self().own);
  REQUIRE(Value(Value(b.store().Read()).Counts()).records == 1);
}

TEST_CASE("who is no member is refused, and learns nothing") {
  Two two;
  const auto stranger = crypto::KeyPair::FromSeedForTests("a stranger");
  WriteNotes(two.a, 3);
  Exchange exchange(two.b.store(), two.a.self().tls.public_key());
  exchange.Begin();
  const Bytes request = Value(exchange.NextRequest());
  sync::Responder responder(two.a.store());
  const auto reply = responder.Answer(request, stranger.public_key());
  REQUIRE(!reply);
  REQUIRE(reply.error().code == ErrorCode::kDenied);
}

TEST_CASE("a node of another conference is refused on both sides") {
  Two two;
  const TestConference other(2, /*seed=*/99);
  TestReplica stranger(other, 1, 3);
  Ok(stranger.Open());
  Message message;
  message.conference = other.conference();
  sync::Responder responder(two.a.store());
  const auto reply = responder.Answer(sync::EncodeMessage(message), two.b.self().tls.public_key());
  REQUIRE(!reply);
  REQUIRE(reply.error().code == ErrorCode::kInvalid);

  // A hub that shows a joining node the charter of a conference it was not invited to.
  TestReplica joiner(two.conference, 1, 4, TestReplica::Charter::kByExchange);
  Ok(joiner.Open());
  Exchange exchange(joiner.store(), other.member(0).tls.public_key(),
                    {.conference = two.conference.conference()});
  exchange.Begin();
  (void)Value(exchange.NextRequest());
  Message answer;
  answer.charter_summary = *Hash::From(Bytes(32, 'x'));
  for (const auto& item : other.charter_items()) answer.charter_items.push_back(item);
  const auto state = exchange.TakeAnswer(sync::EncodeMessage(answer));
  REQUIRE(!state);
  REQUIRE(state.error().code == ErrorCode::kDenied);
  REQUIRE(!joiner.store().authority());
}

TEST_CASE("garbage as a request or as an answer is refused and harms nothing") {
  Two two;
  WriteNotes(two.a, 5);
  WriteNotes(two.b, 5);
  Talk good(two.a, two.b);
  std::vector<Bytes> requests;
  std::vector<Bytes> answers;
  TalkOptions options;
  options.on_request = [&](Bytes& bytes) { return requests.push_back(bytes), true; };
  options.on_answer = [&](Bytes& bytes) { return answers.push_back(bytes), true; };
  Sync(two.a, two.b, options);
  REQUIRE(requests.size() >= 2);

  SimRandom random(5);
  TestReplica fresh(two.conference, 0, 30);
  TestReplica other(two.conference, 1, 31);
  Ok(fresh.Open());
  Ok(other.Open());
  sync::Responder responder(other.store());
  for (int i = 0; i < 2'000; ++i) {
    Bytes request = requests[random.Below(requests.size())];
    Bytes answer = answers[random.Below(answers.size())];
    for (Bytes* bytes : {&request, &answer}) {
      for (std::uint64_t n = 1 + random.Below(4); n > 0; --n) {
        (*bytes)[random.Below(bytes->size())] = static_cast<char>(random.Below(256));
      }
      if (random.Below(4) == 0) bytes->resize(random.Below(bytes->size()));
    }
    (void)responder.Answer(request, two.a.self().tls.public_key());
    Exchange exchange(fresh.store(), other.self().tls.public_key());
    exchange.Begin();
    (void)Value(exchange.NextRequest());
    (void)exchange.TakeAnswer(answer);
  }
  REQUIRE(Value(other.store().Verify()).problems.empty());
  REQUIRE(Value(fresh.store().Verify()).problems.empty());
  // And both still come together with the honest ones.
  Sync(fresh, two.b);
  Sync(other, two.a);
  RequireSame(fresh, two.a, two.conference.laender());
  RequireSame(other, two.a, two.conference.laender());
}

TEST_CASE("a changed entry, payload or signature is refused, the rest of the exchange goes on") {
  Two two;
  WriteNotes(two.b, 4);
  bool changed = false;
  TalkOptions options;
  options.on_answer = [&](Bytes& bytes) {
    Message message = Value(sync::DecodeMessage(bytes));
    if (message.runs.empty() || changed) return true;
    changed = true;
    auto& run = message.runs.front();
    run.entries.back() = static_cast<char>(run.entries.back() ^ 1);
    bytes = sync::EncodeMessage(message);
    return true;
  };
  Talk talk(two.a, two.b, options);
  const Status first = talk.Run();
  REQUIRE(changed);
  REQUIRE(!first);
  REQUIRE(!talk.exchange().problems().empty());
  REQUIRE(Value(two.a.store().Verify()).problems.empty());
  Ok(talk.Run());
  RequireSame(two.a, two.b, two.conference.laender());
}

TEST_CASE("equal entries and different states are an alarm on both sides, once") {
  Two two;
  WriteNotes(two.a, 3);
  Sync(two.a, two.b);
  const Hash wrong = *Hash::From(Bytes(32, 'w'));
  const AudienceId audience = two.conference.laender();
  TalkOptions options;
  // The answerer's state looks different from here, and ours from there.
  options.on_answer = [&](Bytes& bytes) {
    Message message = Value(sync::DecodeMessage(bytes));
    message.audiences_digest = wrong;
    for (auto& digest : message.digests) digest.root = wrong;
    bytes = sync::EncodeMessage(message);
    return true;
  };
  options.on_request = [&](Bytes& bytes) {
    Message message = Value(sync::DecodeMessage(bytes));
    message.audiences_digest = *Hash::From(Bytes(32, 'v'));
    for (auto& digest : message.digests) digest.root = *Hash::From(Bytes(32, 'v'));
    bytes = sync::EncodeMessage(message);
    return true;
  };
  Talk talk(two.a, two.b, options);
  Ok(talk.Run());
  // One for each audience that both read.
  const std::size_t shared = Value(two.a.store().Read())
                                 .authority()
                                 ->AudiencesShared(two.a.self().id, two.b.self().id)
                                 .size();
  REQUIRE(talk.exchange().incidents().size() == shared);
  REQUIRE(std::count_if(talk.exchange().incidents().begin(), talk.exchange().incidents().end(),
                        [&](const auto& one) { return one.audience == audience; }) == 1);
  for (const auto& incident : talk.exchange().incidents()) {
    REQUIRE(incident.theirs == wrong);
    REQUIRE(incident.ours != wrong);
    REQUIRE(incident.peer == two.b.self().id);
  }
  REQUIRE(talk.answerer_incidents.size() == shared);
  REQUIRE(talk.answerer_incidents.front().peer == two.a.self().id);
  Ok(talk.Run());
  REQUIRE(talk.exchange().incidents().size() == shared);

  SECTION("and not while the entries differ") {
    Two others;
    WriteNotes(others.a, 3);
    Talk differ(others.a, others.b);
    Ok(differ.Run());
    REQUIRE(differ.exchange().incidents().empty());
  }
}

TEST_CASE("what was not asked for is not taken") {
  Two two;
  WriteNotes(two.b, 3);
  TestReplica other(two.conference, 1, 40);
  Ok(other.Open());
  WriteNotes(other, 3, "untergeschoben");
  auto snapshot = Value(other.store().Read());
  bool more = false;
  const std::vector<Want> want = {{OwnJournal(other), 0}};
  const auto runs = Value(snapshot.ReadRuns(want, 1 << 20, &more));
  TalkOptions options;
  options.on_answer = [&](Bytes& bytes) {
    Message message = Value(sync::DecodeMessage(bytes));
    message.runs.insert(message.runs.begin(), sync::CutRun(runs.front()));
    bytes = sync::EncodeMessage(message);
    return true;
  };
  Sync(two.a, two.b, options);
  RequireSame(two.a, two.b, two.conference.laender());
}

// ---- payloads that were destroyed under an erasure without effect now ----

std::uint64_t MissingOf(TestReplica& replica) {
  return Value(Value(replica.store().Read()).CountErasures()).missing_payloads;
}

// What `of` holds as BY's forged erasures leave it to whoever believes in them: these name its
// records, which has no effect, and payloads for which `withhold` says so are absent.
void GiveWithout(TestReplica& of, TestReplica& to, const std::vector<RecordId>& records,
                 const std::function<bool(std::size_t)>& withhold) {
  const auto& key = of.conference().member(2).key;
  Header open;
  open.time = TimeMs{kSimStartMs};
  open.body = OpenBody{of.conference().conference(),
                       key.public_key(),
                       of.conference().laender(),
                       {0, Purpose::kErasures},
                       SimRandom(7).DrawId<Nonce>()};
  Run erasures;
  erasures.entries.push_back(SignEntry(std::move(open), {}, key));
  for (std::size_t at = 0; at < records.size(); at += 1'000) {
    ErasureBody body;
    for (std::size_t i = at; i < std::min(records.size(), at + 1'000); ++i) {
      body.records.push_back({kNote, records[i]});
    }
    Header header;
    header.journal = erasures.entries.front().id;
    header.seq = erasures.entries.size();
    header.prev = erasures.entries.back().id;
    header.time = TimeMs{kSimStartMs + 1};
    header.body = std::move(body);
    erasures.entries.push_back(SignEntry(std::move(header), {}, key));
  }
  Batch batch;
  batch.runs.push_back(std::move(erasures));
  std::size_t payload = 0;
  for (Batch& read : Value(ReadAll(of.store(), std::size_t{64} << 20))) {
    for (Run& run : read.runs) {
      for (Entry& entry : run.entries) {
        for (auto& bytes : entry.payloads) {
          if (withhold(payload++)) bytes.reset();
        }
      }
      batch.runs.push_back(std::move(run));
    }
  }
  const Ingested taken = Value(to.store().Ingest(to.store().Prepare(std::move(batch))));
  for (const RunResult& result : taken.runs) REQUIRE(result.outcome == RunOutcome::kAccepted);
}

TEST_CASE("payloads that one side misses come from the other, whoever asks, page by page") {
  const TestConference& conference = ConferenceOf(3);
  TestReplica writer(conference, 1, 1), a(conference, 0, 2), b(conference, 1, 3);
  for (TestReplica* replica : {&writer, &a, &b}) Ok(replica->Open());
  std::vector<Edit> edits;
  std::vector<RecordId> records;
  for (std::size_t i = 0; i < 2'300; ++i) {
    records.push_back(writer.random().DrawId<RecordId>());
    edits.push_back(NewNote(conference.laender(), records.back(), fmt::format("Notiz {}", i)));
  }
  Value(writer.store().ApplyAll(edits));
  // A misses all but each seventh, B each seventh and, like A, number 5.
  GiveWithout(writer, a, records, [](std::size_t i) { return i % 7 != 0; });
  GiveWithout(writer, b, records, [](std::size_t i) { return i % 7 == 0 || i == 5; });
  REQUIRE(MissingOf(a) > 1'900);
  REQUIRE(MissingOf(b) > 300);
  TalkOptions options;
  options.limits.batch_bytes_max = GENERATE(std::size_t{20'000}, sync::kBatchBytesMax);
  Talk talk(a, b, options);
  Ok(talk.Run());
  CHECK(MissingOf(a) == 1);
  CHECK(MissingOf(b) == 1);
  RequireSame(a, b, conference.laender());
  CHECK(talk.exchange().incidents().empty());
  CHECK(talk.exchange().problems().empty());
  // What nobody has costs no further words, and a request may wait.
  Ok(talk.Run());
  CHECK(talk.round_trips == 1);
  CHECK(talk.bytes_up < 300);
  CHECK(talk.bytes_down < 300);
  // A third one that has it brings it to whoever misses it, asked or asking.
  Sync(writer, a);
  CHECK(MissingOf(a) == 0);
  Ok(talk.Run());
  CHECK(MissingOf(b) == 0);
  RequireSame(b, writer, conference.laender());
  Ok(Value(b.store().Verify()).problems.empty() ? Status() : Fail(ErrorCode::kCorrupt, "problems"));
}

TEST_CASE("an exchange for missing payloads that loses messages goes on where it was") {
  const TestConference& conference = ConferenceOf(3);
  TestReplica writer(conference, 1, 1), a(conference, 0, 2);
  Ok(writer.Open());
  Ok(a.Open());
  GiveWithout(writer, a, WriteNotes(writer, 40), [](std::size_t) { return true; });
  REQUIRE(MissingOf(a) == 40);
  // Asked for, or brought; each third answer, or request, is lost.
  const bool brings = GENERATE(false, true);
  const bool requests = GENERATE(false, true);
  int messages = 0;
  TalkOptions options;
  options.limits.batch_bytes_max = 200;
  (requests ? options.on_request : options.on_answer) = [&](Bytes&) { return ++messages % 3 != 0; };
  SECTION("within one exchange") {
    Talk talk(brings ? writer : a, brings ? a : writer, options);
    Ok(talk.Run());
    CHECK(talk.exchange().problems().empty());
  }
  SECTION("and when it is broken off: each begins with what is missing still") {
    options.round_trips_max = 6;  // and no agreement by then
    for (int tries = 0; MissingOf(a) > 0; ++tries) {
      REQUIRE(tries < 60);
      Talk talk(brings ? writer : a, brings ? a : writer, options);
      (void)talk.Run();
    }
  }
  CHECK(MissingOf(a) == 0);
  Sync(a, writer);
  RequireSame(a, writer, conference.laender());
}

TEST_CASE("who does not give what it says it has is asked once, and then a request may wait") {
  const TestConference& conference = ConferenceOf(3);
  TestReplica writer(conference, 1, 1), a(conference, 0, 2);
  Ok(writer.Open());
  Ok(a.Open());
  GiveWithout(writer, a, WriteNotes(writer, 3), [](std::size_t) { return true; });
  TalkOptions options;
  bool gives = false;
  options.on_answer = [&](Bytes& bytes) {
    Message message = Value(sync::DecodeMessage(bytes));
    if (!gives) message.found.clear();
    bytes = sync::EncodeMessage(message);
    return true;
  };
  Talk talk(a, writer, options);
  Ok(talk.Run());
  CHECK(talk.exchange().problems().size() == 1);
  CHECK(talk.exchange().incidents().empty());
  CHECK(MissingOf(a) == 3);
  bool nothing_new = false;
  {
    talk.exchange().Begin();
    const Bytes request = Value(talk.exchange().NextRequest(5'000));
    CHECK(talk.exchange().waiting());
    sync::Responder responder(writer.store());
    nothing_new = Value(responder.Answer(request, a.self().tls.public_key())).nothing_new;
  }
  CHECK(nothing_new);
  Ok(talk.Run());
  CHECK(talk.round_trips == 1);
  // Another exchange asks again.
  gives = true;
  Sync(a, writer);
  CHECK(MissingOf(a) == 0);
}

TEST_CASE("payloads of an audience that the peer does not read are not found for it") {
  Two two;
  const RecordId own = two.a.random().DrawId<RecordId>();
  Value(two.a.store().Apply(NewNote(two.a.self().own, own, "nur hier")));
  const RecordId shared = WriteNotes(two.a, 1).front();
  Sync(two.b, two.a);
  const auto place_of = [&](const RecordId& record) {
    auto snapshot = Value(two.a.store().Read());
    const auto item = Value(snapshot.History(Value(snapshot.GetRecord(record)))).front();
    return PayloadAt{item.journal, item.seq, item.entry, 0};
  };
  TalkOptions options;
  options.on_request = [&](Bytes& bytes) {
    Message message = Value(sync::DecodeMessage(bytes));
    message.missing = {place_of(own), place_of(shared)};
    std::sort(message.missing.begin(), message.missing.end());
    message.missing_summary = *Hash::From(Bytes(32, 'm'));
    bytes = sync::EncodeMessage(message);
    return true;
  };
  std::vector<PayloadAt> found;
  options.on_answer = [&](Bytes& bytes) {
    for (const auto& one : Value(sync::DecodeMessage(bytes)).found) found.push_back(one.at);
    return true;
  };
  Sync(two.b, two.a, options);
  CHECK(found == std::vector{place_of(shared)});
}

TEST_CASE("trace 12: what an ex-chair erased beyond its cut is fetched from whoever kept it") {
  const TestConference& conference = ConferenceOf(3);
  TestReplica ni(conference, 0, 1), nw(conference, 1, 2), by(conference, 2, 3);
  for (TestReplica* replica : {&ni, &nw, &by}) Ok(replica->Open());
  const RecordId note = WriteNotes(nw, 1, "Erika").front();
  Sync(ni, nw);
  // NI erases it as the chair; BY hears of that, NW does not.
  Value(ni.store().Erase({{{conference.laender(), kNote, note}}, {}}));
  Sync(by, ni);
  const auto row = [&](TestReplica& at) {
    auto snapshot = Value(at.store().Read());
    return Value(snapshot.GetRecord(note)).row;
  };
  REQUIRE(row(by).empty());
  // The chair passes on; the cut of NI's erasures leaves this one out.
  JournalId lane;
  EntryId erasure;
  for (const auto& journal : Value(Value(ni.store().Read()).Journals())) {
    if (journal.lane == Lane{1, Purpose::kErasures}) lane = journal.journal;
  }
  REQUIRE_FALSE(lane.is_zero());
  CharterSteps steps(conference);
  steps.Step(Value(charter::WithNextTerm(
      steps.Now(), nw.self().id, nw.self().key.public_key(), TimeMs{kSimStartMs + 1'000},
      {{lane, conference.laender(), ni.self().key.public_key(), 1, {{0, lane}}, {}}})));
  steps.GiveTo(nw);
  Sync(by, nw);
  Sync(ni, nw);
  for (TestReplica* replica : {&ni, &nw, &by}) {
    CHECK(row(*replica).find("Erika") == Bytes::npos);  // hidden until the new chair decides
    REQUIRE(Value(Value(replica->store().Read()).CountErasures()).undecided == 1);
  }
  erasure = Value(Value(nw.store().Read()).Erasures()).front().entry;
  nw.clock().Advance(10'000);
  Value(nw.store().DecideErasure(erasure, /*repeat=*/false));
  CHECK(row(nw).find("Erika") != Bytes::npos);
  Talk talk(ni, nw);
  Ok(talk.Run());
  Sync(ni, by);
  for (TestReplica* replica : {&ni, &by}) {
    CHECK(MissingOf(*replica) == 0);
    CHECK(row(*replica) == row(nw));
    CHECK(Value(replica->store().Verify()).problems.empty());
    RequireSame(*replica, nw, conference.laender());
  }
  CHECK(talk.exchange().incidents().empty());
}

TEST_CASE("a request that waits is only made when there is nothing to bring") {
  Two two;
  Exchange exchange(two.a.store(), two.b.self().tls.public_key());
  sync::Responder responder(two.b.store());
  exchange.Begin();
  const Bytes first = Value(exchange.NextRequest(5'000));
  REQUIRE(exchange.waiting());
  const auto reply = Value(responder.Answer(first, two.a.self().tls.public_key()));
  REQUIRE(reply.nothing_new);
  REQUIRE(reply.wait_ms == 5'000);
  REQUIRE(Value(exchange.TakeAnswer(reply.bytes)) == Exchange::State::kAgreed);
  WriteNotes(two.a, 1);
  exchange.Begin();
  const Bytes second = Value(exchange.NextRequest(5'000));
  REQUIRE(!exchange.waiting());
  REQUIRE(!Value(responder.Answer(second, two.a.self().tls.public_key())).nothing_new);
  // And the answerer's own news end the wait.
  WriteNotes(two.b, 1);
  REQUIRE(!Value(responder.Answer(first, two.a.self().tls.public_key())).nothing_new);
}

TEST_CASE("a long stream through the queue arrives whole, in merged transactions") {
  Two two;
  std::vector<Edit> edits;
  for (int i = 0; i < 3'000; ++i) {
    edits.push_back(NewNote(two.conference.laender(), two.b.random().DrawId<RecordId>(),
                            fmt::format("Notiz {}", i)));
  }
  Value(two.b.store().ApplyAll(edits));
  TalkOptions options;
  options.limits.batch_entries_max = 100;
  sync::IngestQueue queue(two.a.store());
  Talk talk(two.a, two.b, options, &queue);
  Ok(talk.Run());
  RequireSame(two.a, two.b, two.conference.laender());
  REQUIRE(talk.exchange().progress().entries_received >= 3'000);
  REQUIRE(talk.exchange().progress().entries_to_receive == 0);
}

TEST_CASE("a full disk ends the exchange with a clear error, and it goes on with space") {
  Two two;
  WriteNotes(two.b, 200);
  two.a.disk().SetSpace(two.a.disk().used() + 8 * 1024);
  {
    sync::IngestQueue queue(two.a.store());
    Talk talk(two.a, two.b, {}, &queue);
    const Status full = talk.Run();
    REQUIRE(!full);
    REQUIRE(full.error().code == ErrorCode::kStorage);
  }
  two.a.disk().SetSpace(std::nullopt);
  Sync(two.a, two.b);
  RequireSame(two.a, two.b, two.conference.laender());
}

}  // namespace
}  // namespace staffel::testing
