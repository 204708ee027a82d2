// SPDX-License-Identifier: EUPL-1.2
// Contents of a charter entry: the round trip, each refusal, and the builders.
#include "core/charter/content.h"

#include "staffel/v1/charter.pb.h"
#include "tests/core/charter/board.h"

namespace staffel::charter {
namespace {

Content Full() {
  Board board(3);
  Content content = board.Now();
  content.title = "Konferenz der für Prüfung zuständigen …";
  content.personal_kinds = {4, 7};
  content.min_versions = {{4, 2}};
  content.rules = {{"threshold.resolution", "13", TimeMs{5}}};
  content.erased_payloads = {{board.random().DrawId<EntryId>(), 3}};
  content.erased_records = {{content.audiences[0].id, 4, board.random().DrawId<RecordId>()}};
  Cut cut{board.random().DrawId<JournalId>(),
          content.audiences[0].id,
          KeyOf("NW").public_key(),
          0,
          {{1, board.random().DrawId<EntryId>()}, {1, board.random().DrawId<EntryId>()}},
          {}};
  std::sort(cut.heads.begin(), cut.heads.end());
  content.cuts = {cut};
  content.members[1].recovery_keys = {KeyOf("safe").public_key()};
  content.demonstration = true;
  return content;
}

TEST_CASE("a charter reads back as it was written") {
  const Content content = Full();
  CHECK(Must(ParseContent(Must(SerializeContent(content)))) == content);
}

TEST_CASE("each broken charter is refused, with the place") {
  const auto refused = [](auto change, const char* place) {
    Content content = Full();
    change(content);
    const auto bytes = SerializeContent(content);
    REQUIRE_FALSE(bytes);
    INFO(bytes.error().message);
    CHECK(bytes.error().message.find(place) != std::string::npos);
  };
  refused([](Content& c) { c.name.clear(); }, "no name");
  refused([](Content& c) { c.name = "zwei\nZeilen"; }, "name");
  refused([](Content& c) { c.title = "\xff"; }, "title");
  refused([](Content& c) { c.title.assign(kNameBytesMax + 1, 'x'); }, "title");
  refused([](Content& c) { c.members.push_back(c.members[0]); }, "NI");
  refused([](Content& c) { c.members[1].replicas.push_back(c.members[1].replicas[0]); }, "twice");
  refused([](Content& c) { c.members[2].recovery_keys = c.members[1].recovery_keys; }, "twice");
  refused([](Content& c) { c.members[1].replicas[0].tls_key = {}; }, "empty key");
  refused([](Content& c) { c.members[1].replicas[0].url.assign(kUrlBytesMax + 1, 'x'); }, "NW");
  refused(
      [](Content& c) {
        for (auto& m : c.members) m.voting = false;
      },
      "no voting member");
  refused([](Content& c) { c.audiences.push_back(c.audiences[0]); }, "twice");
  refused([](Content& c) { c.audiences[0].readers.push_back(M("XX")); }, "XX");
  refused([](Content& c) { c.audiences[0].writers.push_back(M("XX")); }, "XX");
  refused([](Content& c) { c.audiences[0].readers.push_back(M("NI")); }, "twice");
  refused([](Content& c) { c.audiences[1].relay = M("BY"); }, "relay");
  refused([](Content& c) { c.terms.clear(); }, "chair");
  refused([](Content& c) { c.terms[0].number = 2; }, "term 2");
  refused([](Content& c) { c.cuts.push_back(c.cuts[0]); }, "cut twice");
  refused([](Content& c) { c.cuts[0].heads.push_back(c.cuts[0].heads[0]); }, "twice");
  refused([](Content& c) { c.cuts[0].hidden = Hash(); }, "hidden and open");
  refused([](Content& c) { c.rules.push_back(c.rules[0]); }, "rule");
  refused([](Content& c) { c.min_versions.push_back(c.min_versions[0]); }, "least versions");
  refused([](Content& c) { c.personal_kinds.push_back(4); }, "twice");
}

TEST_CASE("bytes that are no charter, or hold ids and keys of other sizes, are refused") {
  CHECK_FALSE(ParseContent("garbage"));
  CHECK_FALSE(ParseContent(""));
  const auto refused = [](auto change) {
    v1::Charter message;
    REQUIRE(message.ParseFromString(Must(SerializeContent(Full()))));
    change(message);
    CHECK_FALSE(ParseContent(message.SerializeAsString()));
  };
  refused([](v1::Charter& m) { m.mutable_members(0)->set_id("ni"); });
  refused([](v1::Charter& m) { m.mutable_members(0)->mutable_replicas(0)->set_key("short"); });
  refused([](v1::Charter& m) { m.mutable_audiences(0)->set_id("short"); });
  refused([](v1::Charter& m) { m.mutable_audiences(0)->set_id(Bytes(16, '\0')); });
  refused([](v1::Charter& m) { m.mutable_audiences(0)->set_relay("not a member"); });
  refused([](v1::Charter& m) { m.mutable_terms(0)->set_replica(Bytes(33, '\0')); });
  refused([](v1::Charter& m) { m.mutable_cuts(0)->set_journal("x"); });
  refused([](v1::Charter& m) { m.mutable_cuts(0)->mutable_heads(0)->set_entry("x"); });
  refused([](v1::Charter& m) { m.mutable_erased_payloads(0)->set_entry("x"); });
}

TEST_CASE("fields of a newer version are seen at any depth, and not lost by writing anew") {
  v1::Charter message;
  REQUIRE(message.ParseFromString(Must(SerializeContent(Full()))));
  auto* member = message.mutable_members(1);
  member->GetReflection()->MutableUnknownFields(member)->AddVarint(900, 1);
  const Content here = Must(ParseContent(message.SerializeAsString()));
  CHECK_FALSE(here.unknown.empty());
  CHECK(SerializeContent(here).error().code == ErrorCode::kUnsupported);
  member->GetReflection()->MutableUnknownFields(member)->Clear();
  auto* other = message.mutable_members(2);
  other->GetReflection()->MutableUnknownFields(other)->AddVarint(900, 1);
  const Content there = Must(ParseContent(message.SerializeAsString()));
  CHECK(here.unknown != there.unknown);
}

TEST_CASE("the founding charter: all Länder share an audience, guests do not") {
  testing::SimRandom random(1);
  FoundingOptions options;
  options.name = "IntMK";
  options.members = {{M("NI"), "Niedersachsen", true},
                     {M("NW"), "Nordrhein-Westfalen", true},
                     {M("BUND"), "Bund", false}};
  options.founder = M("NI");
  options.replica = ReplicaNamed("NI", "https://ni.example.org");
  const Content content = Must(FoundingCharter(options, random));
  REQUIRE(content.audiences.size() == 4);
  CHECK(content.audiences[0].name == "laender");
  CHECK(content.audiences[0].readers == std::vector<MemberId>{M("NI"), M("NW")});
  CHECK(content.audiences[1].name == "land:NI");
  // All read what guests and the public see; the Länder write for guests, the chair for the public.
  const std::vector<MemberId> all{M("BUND"), M("NI"), M("NW")};
  CHECK(content.audiences[2].name == "guests");
  CHECK(content.audiences[2].readers == all);
  CHECK(content.audiences[2].writers == content.audiences[0].readers);
  CHECK_FALSE(content.audiences[2].chair_writes_only);
  CHECK(content.audiences[3].name == "public");
  CHECK(content.audiences[3].readers == all);
  CHECK(content.audiences[3].chair_writes_only);
  // Guests read the charter: no cut of the Länder may stand there in the open.
  CHECK_FALSE(content.audiences[0].open);
  CHECK_FALSE(content.audiences[2].open);
  CHECK(content.audiences[3].open);
  options.members.pop_back();
  // Nor before there is a guest: a later one reads all of the charter.
  CHECK_FALSE(Must(FoundingCharter(options, random)).audiences[0].open);
  options.members.push_back({M("BUND"), "Bund", false});
  CHECK(content.terms.front().member == M("NI"));
  SECTION("a founder that is no member, or has no vote, founds nothing") {
    options.founder = M("XX");
    CHECK(FoundingCharter(options, random).error().code == ErrorCode::kNotFound);
    options.founder = M("BUND");
    CHECK(FoundingCharter(options, random).error().code == ErrorCode::kInvalid);
  }
  SECTION("who joins gets a key and an audience of its own, once") {
    const Content joined = Must(WithMemberJoined(content, M("NW"), ReplicaNamed("NW"), {}, random));
    CHECK(joined.FindMember(M("NW"))->replicas.size() == 1);
    const Audience& own = joined.audiences.back();
    CHECK(own.name == "land:NW");
    CHECK(own.readers == std::vector<MemberId>{M("NW")});
    CHECK(own.relay == M("NW"));
    CHECK(WithMemberJoined(joined, M("NW"), ReplicaNamed("NW2"), {}, random).error().code ==
          ErrorCode::kExists);
    CHECK(WithMemberJoined(joined, M("XX"), ReplicaNamed("XX"), {}, random).error().code ==
          ErrorCode::kNotFound);
    CHECK_FALSE(WithMemberJoined(content, M("NW"), ReplicaNamed("NI"), {}, random));
    CHECK(Must(WithReplicaAdded(joined, M("NW"), ReplicaNamed("NW2")))
              .FindMember(M("NW"))
              ->replicas.size() == 2);
    CHECK_FALSE(WithReplicaAdded(content, M("NW"), ReplicaNamed("NW")));
    CHECK_FALSE(WithReplicaAdded(joined, M("NW"), ReplicaNamed("NW")));
    CHECK(Must(WithReplicaUrl(joined, KeyOf("NW").public_key(), "https://nw"))
              .FindMember(M("NW"))
              ->replicas[0]
              .url == "https://nw");
    CHECK_FALSE(WithReplicaUrl(joined, KeyOf("XX").public_key(), "https://nw"));
    CHECK_FALSE(WithNextTerm(joined, M("NW"), KeyOf("NI").public_key(), TimeMs{1}, {}));
  }
}

TEST_CASE("rights are looked up by key, TLS key, audience and time") {
  Board board(3);
  const Authority& authority = board.authority();
  CHECK(authority.MemberOfKey(KeyOf("NW").public_key()) == M("NW"));
  CHECK_FALSE(authority.MemberOfKey(KeyOf("NW/tls").public_key()));
  CHECK(authority.MemberOfTlsKey(KeyOf("NW/tls").public_key()) == M("NW"));
  CHECK_FALSE(authority.MemberOfTlsKey(KeyOf("NW").public_key()));
  CHECK(authority.chair() == M("NI"));
  CHECK(authority.hub_key() == KeyOf("NI").public_key());
  CHECK(authority.Hub()->replica->url == "https://ni.example.org");
  const AudienceId laender = authority.FindAudienceByName("laender")->id;
  const AudienceId own = authority.FindAudienceByName("land:NW")->id;
  CHECK(authority.AudiencesReadBy(M("NW")).size() == 4);
  const auto shared = authority.AudiencesShared(M("NW"), M("BY"));
  CHECK(shared.size() == 3);
  CHECK(std::find(shared.begin(), shared.end(), laender) != shared.end());
  CHECK(std::find(shared.begin(), shared.end(), own) == shared.end());
  CHECK(authority.AudiencesReadBy(M("XX")).empty());
  CHECK(authority.Reads(M("NW"), own));
  CHECK_FALSE(authority.Reads(M("NI"), own));
  CHECK(authority.RelayOf(laender) == M("NI"));
  CHECK(authority.RelayOf(own) == M("NW"));
  SECTION("rules are dated data") {
    Content content = board.Now();
    content.rules = {{"threshold", "13", TimeMs{100}}, {"threshold", "9", TimeMs{50}}};
    content.personal_kinds = {4};
    content.min_versions = {{4, 2}};
    const auto later = Authority::Extend(authority, EntryId(), std::make_shared<Content>(content));
    CHECK_FALSE(later->RuleAt("threshold", TimeMs{49}));
    CHECK(later->RuleAt("threshold", TimeMs{50}) == "9");
    CHECK(later->RuleAt("threshold", TimeMs{100}) == "13");
    CHECK(later->IsPersonalKind(4));
    CHECK_FALSE(later->IsPersonalKind(5));
    CHECK(later->MinVersionOf(4) == 2);
    CHECK(later->MinVersionOf(5) == 0);
  }
}

}  // namespace
}  // namespace staffel::charter
