// SPDX-License-Identifier: EUPL-1.2
// Changes of the charter as the store makes and takes them: cuts in the open and hidden, what
// entries disclose, the chair's acts around a handover, the figures of its protocol.
#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "core/charter/build.h"
#include "core/charter/chair.h"
#include "core/charter/rotation.h"
#include "core/store/charter_draft.h"
#include "core/store/store.h"
#include "tests/support/conference.h"

namespace staffel {
namespace {

using charter::CharterSignature;
using testing::ConferenceOf;
using testing::CopyMissing;
using testing::kNote;
using testing::kNoteText;
using testing::kNoteTitle;
using testing::NewNote;
using testing::SetText;
using testing::TestConference;
using testing::TestReplica;

void Ok(const Status& status) {
  if (!status) FAIL(status.error().message);
}

template <typename T>
T Value(Result<T> result) {
  if (!result) FAIL(result.error().message);
  return std::move(*result);
}

const TestConference& Three() { return ConferenceOf(3); }

struct Opened : TestReplica {
  explicit Opened(std::size_t member, const TestConference& conference = Three(),
                  std::uint64_t seed = 1)
      : TestReplica(conference, member, seed) {
    Ok(Open());
  }
  AudienceId laender() const { return conference().laender(); }
  RecordId Write(const AudienceId& audience, std::string_view title) {
    const auto record = random().DrawId<RecordId>();
    Value(store().Apply(NewNote(audience, record, title)));
    return record;
  }
  // All charter entries and signatures that `from` holds.
  void TakeCharter(Store& from) {
    Batch batch;
    const auto tree = from.charter();
    for (const EntryId& id : tree->Entries()) {
      CharterItem item;
      item.id = id;
      item.entry = *tree->Find(id);
      item.signatures = tree->SignaturesOf(id);
      batch.charter.push_back(std::move(item));
    }
    const Ingested taken = Value(store().Ingest(store().Prepare(std::move(batch))));
    for (const Error& refusal : taken.charter_refusals) FAIL(refusal.message);
  }
  void Sign(const EntryId& entry, std::size_t member,
            CharterSignature::Kind kind = CharterSignature::Kind::kApproval) {
    Batch batch;
    CharterItem item;
    item.id = entry;
    item.signatures = {charter::SignCharterEntry(entry, kind, conference().member(member).key)};
    batch.charter.push_back(std::move(item));
    Value(store().Ingest(store().Prepare(std::move(batch))));
  }
  bool Shown(const RecordId& record, const AudienceId& audience) {
    Snapshot snapshot = Value(store().Read());
    return snapshot.GetRecord(record, audience).has_value();
  }
  void Sound() {
    for (const std::string& problem : Value(store().Verify()).problems) FAIL_CHECK(problem);
  }
};

// Cuts every journal of that member in that audience at what is held.
Result<charter::Content> CutAll(CharterDraft& draft, const AudienceId& audience,
                                const MemberId& member) {
  std::vector<charter::Cut> cuts;
  for (const auto& journal : draft.journals()) {
    if (journal.audience != audience || journal.member != member) continue;
    STAFFEL_TRY(cut, draft.CutOf(journal));
    cuts.push_back(std::move(cut));
  }
  return charter::WithCuts(draft.authority().content(), std::move(cuts));
}

TEST_CASE("a hidden cut says nothing of a journal's length, and its audience can check it") {
  Opened ni(0);
  const AudienceId own = ni.self().own;
  const RecordId before = ni.Write(own, "vorher");
  const EntryId entry = Value(
      ni.store().Propose([&](CharterDraft& draft) { return CutAll(draft, own, ni.self().id); }));
  ni.Sign(entry, 1);
  REQUIRE(ni.store().authority()->entry() == entry);
  const auto& cuts = ni.store().authority()->content().cuts;
  REQUIRE(cuts.size() == 1);
  CHECK(cuts[0].heads.empty());
  REQUIRE(cuts[0].hidden);
  {
    Snapshot snapshot = Value(ni.store().Read());
    const auto content = Value(snapshot.Disclosed(own, *cuts[0].hidden));
    REQUIRE(content);
    CHECK(charter::ParseCutHeads(*content)->size() == 1);
  }
  // The disclosure itself lies beyond the cut, and opens it all the same.
  CHECK(ni.Shown(before, own));
  // The owner goes on in a new journal.
  const RecordId after = ni.Write(own, "nachher");
  CHECK(ni.Shown(after, own));
  {
    Snapshot snapshot = Value(ni.store().Read());
    CHECK(Value(snapshot.Vector(own)).size() == 2);
  }
  ni.Sound();
  Ok(ni.Open());
  CHECK(ni.Shown(before, own));
  CHECK(ni.Shown(after, own));
  ni.Sound();
}

TEST_CASE("a cut has the same effect whatever comes first: cut, disclosure, heads or the rest") {
  // NI writes for itself; a store of the same key elsewhere gets the pieces in every order.
  Opened ni(0);
  const AudienceId own = ni.self().own;
  const RecordId record = ni.Write(own, "alt");
  std::optional<EntryId> cut;
  const auto propose = [&] {
    cut = Value(ni.store().Propose([&](CharterDraft& draft) -> Result<charter::Content> {
      // Two entries (opening and the first note) count, what came after does not.
      std::vector<charter::Cut> cuts;
      for (const auto& journal : draft.journals()) {
        if (journal.audience != own) continue;
        Snapshot snapshot = Value(ni.store().Read());
        const std::vector<Want> wants{{journal.journal, 0}};
        bool more = false;
        const auto runs = Value(snapshot.ReadRuns(wants, 1 << 20, &more));
        std::vector<charter::CutHead> heads{{1, runs.front().entries.at(1).id}};
        STAFFEL_TRY(made, draft.CutOf(journal, heads));
        cuts.push_back(std::move(made));
      }
      return charter::WithCuts(draft.authority().content(), std::move(cuts));
    }));
  };
  Value(ni.store().Apply(SetText(own, kNote, record, kNoteTitle, "neu")));
  propose();
  ni.Sign(*cut, 1);
  const auto digest = Value(testing::DigestRoot(ni.store(), own));
  {
    Snapshot snapshot = Value(ni.store().Read());
    const auto counts = Value(snapshot.Counts());
    // The second note and the disclosure lie beyond.
    CHECK(counts.invalid_entries == 2);
  }
  const Run whole = Value(testing::ReadAll(ni.store(), 1 << 20)).front().runs.front();
  REQUIRE(whole.entries.size() == 4);
  std::vector<std::function<void(Opened&)>> pieces{
      [&](Opened& to) { to.TakeCharter(ni.store()); },
  };
  // Opening and first note, then the second one, then what discloses the cut.
  for (const auto& [from, to_entry] : {std::pair(0, 2), std::pair(2, 3), std::pair(3, 4)}) {
    Run run;
    run.entries.assign(whole.entries.begin() + from, whole.entries.begin() + to_entry);
    pieces.push_back([run](Opened& to) {
      Batch batch;
      batch.runs.push_back(run);
      Value(to.store().Ingest(to.store().Prepare(std::move(batch))));
    });
  }
  std::vector<std::size_t> order(pieces.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::uint64_t seed = 10;
  do {
    Opened other(0, Three(), ++seed);
    // Again, for what came before its predecessor.
    for (int i = 0; i < 3; ++i) {
      for (std::size_t at : order) pieces[at](other);
    }
    CHECK(Value(testing::DigestRoot(other.store(), own)) == digest);
    other.Sound();
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_CASE("what an entry of another audience says opens no cut") {
  Opened ni(0);
  const AudienceId own = ni.self().own;
  ni.Write(own, "alt");
  // Disclosed in the wrong place by a patched node: the hash is right, the audience is not.
  const EntryId entry =
      Value(ni.store().Propose([&](CharterDraft& draft) -> Result<charter::Content> {
        std::vector<charter::Cut> cuts;
        for (const auto& journal : draft.journals()) {
          if (journal.audience != own) continue;
          charter::Cut cut{journal.journal, own, journal.key, 0, {}, {}};
          const std::vector<charter::CutHead> heads{{0, journal.journal}};
          STAFFEL_TRY(hidden, draft.Disclose(ni.laender(), charter::SerializeCutHeads(heads)));
          cut.hidden = hidden;
          cuts.push_back(cut);
        }
        return charter::WithCuts(draft.authority().content(), std::move(cuts));
      }));
  ni.Sign(entry, 1);
  Snapshot snapshot = Value(ni.store().Read());
  CHECK(Value(snapshot.Counts()).invalid_entries == 0);
  ni.Sound();
}

TEST_CASE("a draft cuts and discloses only where its member reads") {
  Opened ni(0);
  const AudienceId foreign = ni.conference().member(1).own;
  const auto refused = ni.store().Propose([&](CharterDraft& draft) -> Result<charter::Content> {
    STAFFEL_TRY(hidden, draft.Disclose(foreign, "x"));
    (void)hidden;
    return draft.authority().content();
  });
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kDenied);
  // Nothing of it was written.
  Snapshot snapshot = Value(ni.store().Read());
  CHECK(Value(snapshot.Counts()).entries == 0);
  CHECK(ni.store().charter()->Entries().size() == 3);
}

// ---- the chair's acts around a handover ----

// Passes the chair to NW with the cuts of NI's lanes of the first term, signed by NI.
EntryId SignNextTerm(Opened& ni, TimeMs starts) {
  return Value(ni.store().Propose([&](CharterDraft& draft) -> Result<charter::Content> {
    std::vector<charter::Cut> cuts;
    for (const auto& journal : draft.journals()) {
      if (journal.lane.term == 0) continue;
      STAFFEL_TRY(cut, draft.CutOf(journal));
      cuts.push_back(std::move(cut));
    }
    const auto& nw = ni.conference().member(1);
    return charter::WithNextTerm(draft.authority().content(), nw.id, nw.key.public_key(), starts,
                                 std::move(cuts));
  }));
}

TEST_CASE("signing ends the old chair's acts, and the new one's begin at the time set") {
  using State = charter::ChairStanding::State;
  // Four: with three members two signatures are a quorum already.
  Opened ni(0, ConferenceOf(4));
  const auto standing = [](Opened& replica) {
    return charter::StandingOf(*replica.store().charter(), replica.self().key.public_key(),
                               replica.clock().Now())
        .state;
  };
  CHECK(standing(ni) == State::kActs);
  Opened nw(1, ConferenceOf(4));
  CHECK(standing(nw) == State::kNotTheChair);
  const TimeMs starts{ni.clock().Now().value + 3'600'000};
  const EntryId entry = SignNextTerm(ni, starts);
  // Not in force yet, and NI acts no more: its acts would lie beyond the cut.
  CHECK(ni.store().authority()->current_term().number == 1);
  CHECK(standing(ni) == State::kSigned);
  ni.Write(ni.laender(), "Bearbeiten geht weiter");
  ni.Sign(entry, 1);
  CHECK(standing(ni) == State::kSigned);
  ni.Sign(entry, 2);
  REQUIRE(ni.store().authority()->current_term().number == 2);
  CHECK(standing(ni) == State::kNotTheChair);
  nw.TakeCharter(ni.store());
  CHECK(standing(nw) == State::kNotYet);
  nw.clock().Advance(3'600'000);
  CHECK(standing(nw) == State::kActs);
}

TEST_CASE("a tie stops the chair and never an editor") {
  using State = charter::ChairStanding::State;
  Opened ni(0);
  const TimeMs now = ni.clock().Now();
  const EntryId one = SignNextTerm(ni, now);
  const EntryId tip = ni.store().charter()->Find(one)->header.prev;
  const EntryId two = Value(ni.store().Propose(
      [&](CharterDraft& draft) {
        const auto& by = ni.conference().member(2);
        return charter::WithNextTerm(draft.authority().content(), by.id, by.key.public_key(), now,
                                     {});
      },
      tip));
  for (const EntryId& entry : {one, two}) {
    ni.Sign(entry, 1);
    ni.Sign(entry, 2);
  }
  REQUIRE(ni.store().charter()->InForce().tied);
  CHECK(charter::StandingOf(*ni.store().charter(), ni.self().key.public_key(), now).state ==
        State::kTied);
  ni.Write(ni.laender(), "Bearbeiten geht weiter");
  // Nothing new can be put forward beside the two.
  const auto refused = ni.store().Propose(
      [](CharterDraft& draft) -> Result<charter::Content> { return draft.authority().content(); });
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kConflict);
  // A quorum that appends to one of them decides.
  const EntryId strong = Value(ni.store().Propose(
      [](CharterDraft& draft) -> Result<charter::Content> { return draft.authority().content(); },
      two));
  ni.Sign(strong, 1);
  CHECK_FALSE(ni.store().charter()->InForce().tied);
  CHECK(ni.store().authority()->entry() == strong);
  CHECK(ni.store().authority()->chair().text() == "BY");
}

// ---- the protocol ----

TEST_CASE("the protocol's figures are the same on every replica that holds its heads") {
  Opened ni(0);
  Opened nw(1);
  Opened by(2);
  const RecordId note = ni.Write(ni.laender(), "von NI");
  Value(CopyMissing(ni.store(), nw.store(), ni.laender()));
  Value(nw.store().Apply(SetText(ni.laender(), kNote, note, kNoteText, "von NW")));
  nw.Write(ni.laender(), "noch eine");
  Value(CopyMissing(nw.store(), ni.store(), ni.laender()));
  std::optional<charter::HandoverPart> part;
  Value(ni.store().Propose([&](CharterDraft& draft) -> Result<charter::Content> {
    STAFFEL_TRY(made, draft.ProtocolOf(ni.laender()));
    part = made;
    return charter::WithRule(draft.authority().content(), "deadline.x", "2025-01-01T00:00:00Z",
                             TimeMs{1});
  }));
  CHECK(part->figures.records == 2);
  CHECK(part->figures.entries == 5);
  CHECK(part->figures.valid == 5);
  CHECK(part->figures.digest == Value(testing::DigestRoot(ni.store(), ni.laender())));
  REQUIRE(part->figures.kinds.size() == 1);
  CHECK(part->figures.kinds[0].kind == kNote);
  const auto authority =
      ni.store().charter()->AuthorityOf(ni.conference().charter_items().back().id);
  const auto figures_at = [&](Opened& replica) {
    Snapshot snapshot = Value(replica.store().Read());
    return snapshot.FiguresAt(ni.laender(), part->heads, *authority);
  };
  // What comes later does not change them.
  ni.Write(ni.laender(), "später");
  CHECK(Value(figures_at(ni)) == part->figures);
  CHECK(Value(figures_at(nw)) == part->figures);
  const auto lacking = figures_at(by);
  REQUIRE_FALSE(lacking);
  CHECK(lacking.error().code == ErrorCode::kNotFound);
  Value(CopyMissing(ni.store(), by.store(), ni.laender()));
  CHECK(Value(figures_at(by)) == part->figures);
  // Parts survive the way through disclosures.
  CHECK(Value(charter::ParseHandoverPart(charter::SerializeHandoverPart(*part))) == *part);
}

TEST_CASE("a protocol of very many journals is cut into pieces and put together again") {
  testing::SimRandom random(4);
  charter::HandoverPart part;
  part.term = 3;
  part.audience = random.DrawId<AudienceId>();
  for (std::uint64_t i = 0; i < 1500; ++i) {
    part.heads.push_back({random.DrawId<JournalId>(), i, random.DrawId<EntryId>()});
  }
  std::sort(part.heads.begin(), part.heads.end());
  part.figures.entries = 77;
  auto contents = charter::SerializeHandoverPart(part);
  CHECK(contents.size() == 3);
  for (const Bytes& content : contents) CHECK(content.size() < 50'000);
  std::reverse(contents.begin(), contents.end());
  CHECK(Value(charter::ParseHandoverPart(contents)) == part);
  contents.pop_back();
  CHECK_FALSE(charter::ParseHandoverPart(contents));
  CHECK_FALSE(charter::ParseHandoverPart({"garbage"}));
}

TEST_CASE("after a rotation the file is the new key's, which opens journals of its own") {
  Opened ni(0);
  const RecordId before = ni.Write(ni.laender(), "vorher");
  const auto fresh = crypto::KeyPair::FromSeedForTests("fresh");
  const auto fresh_tls = crypto::KeyPair::FromSeedForTests("fresh tls");
  const EntryId entry = Value(ni.store().Propose([&](CharterDraft& draft) {
    return charter::WithReplicaAdded(draft.authority().content(), draft.member(),
                                     {fresh.public_key(), fresh_tls.public_key(), ""});
  }));
  ni.Sign(entry, 1);
  REQUIRE(ni.store().authority()->IsCurrentKey(fresh.public_key()));
  ni.Close();
  StoreOptions options;
  options.path = "replica.db";
  options.clock = &ni.clock();
  options.random = &ni.random();
  options.key = &fresh;
  options.vfs = ni.disk().vfs();
  // Not any key: only one whose former one is known.
  CHECK(Store::Open(options).error().code == ErrorCode::kDenied);
  options.former_keys = {ni.self().key.public_key()};
  for (int start = 0; start < 2; ++start) {
    const auto store = Value(Store::Open(options));
    CHECK(store->own_member() == ni.self().id);
    const auto record = ni.random().DrawId<RecordId>();
    Value(store->Apply(NewNote(ni.laender(), record, "nachher")));
    Value(store->Apply(SetText(ni.laender(), kNote, before, kNoteTitle, "geändert")));
    Snapshot snapshot = Value(store->Read());
    CHECK(Value(snapshot.Vector(ni.laender())).size() == 2);
    for (const JournalView& journal : Value(snapshot.Journals())) CHECK(journal.own);
    for (const std::string& problem : Value(store->Verify()).problems) FAIL_CHECK(problem);
  }
  // The former key does not get it back.
  CHECK_FALSE(ni.Open());
}

}  // namespace
}  // namespace staffel
