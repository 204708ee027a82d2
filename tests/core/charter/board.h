// SPDX-License-Identifier: EUPL-1.2
// A conference on paper, for the charter's tests: members with keys that follow from their names, a
// tree in which the first `joined` of them have joined, and short ways to propose and to sign.
#pragma once

#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

#include "core/charter/build.h"
#include "core/charter/tree.h"
#include "core/crypto/key.h"
#include "tests/support/sim_random.h"

namespace staffel::charter {

// A sentence instead of an abort where a step of the set-up fails.
template <typename T>
T Must(Result<T> result) {
  if (!result) FAIL(result.error().message);
  return *std::move(result);
}

inline MemberId M(std::string_view text) { return *MemberId::From(text); }

inline const crypto::KeyPair& KeyOf(const std::string& name) {
  static std::map<std::string, crypto::KeyPair> keys;
  auto found = keys.find(name);
  if (found == keys.end()) {
    found = keys.emplace(name, crypto::KeyPair::FromSeedForTests(name)).first;
  }
  return found->second;
}

inline Replica ReplicaNamed(const std::string& name, std::string url = "") {
  return {KeyOf(name).public_key(), KeyOf(name + "/tls").public_key(), std::move(url)};
}

using Kind = CharterSignature::Kind;
using Names = std::vector<std::string>;

class Board {
 public:
  static const Names& Laender() {
    static const Names names{"NI", "NW", "BY", "HE", "BW", "BE", "BB", "HB",  "HH",
                             "MV", "RP", "SL", "SN", "ST", "SH", "TH", "BUND"};
    return names;
  }

  // The first `listed` are members; the first `joined` have keys: each is named as its member is.
  explicit Board(std::size_t joined, std::size_t listed = 0) : tree_(ConferenceId()) {
    FoundingOptions options;
    options.name = "TestMK";
    for (std::size_t i = 0; i < std::max(joined, listed); ++i) {
      options.members.push_back({M(Laender().at(i)), Laender().at(i), true});
    }
    options.founder = M("NI");
    options.replica = ReplicaNamed("NI", "https://ni.example.org");
    options.term_starts = TimeMs{1000};
    Content content = Must(FoundingCharter(options, random_));
    // Cuts in the clear are shorter to write; the hidden ones have tests of their own.
    content.audiences.front().open = true;
    const Entry founding = Must(MakeCharterEntry(nullptr, content, TimeMs{1}));
    tree_ = CharterTree(founding.id);
    Must(tree_.Add(founding));
    tip_ = founding.id;
    for (std::size_t i = 1; i < joined; ++i) {
      const std::string& name = Laender().at(i);
      const Names signers(Laender().begin(), Laender().begin() + static_cast<std::ptrdiff_t>(i));
      tip_ = Propose(
          tip_, Must(WithMemberJoined(ContentOf(tip_), M(name), ReplicaNamed(name), {}, random_)));
      Sign(tip_, Kind::kApproval, signers);
      Sign(tip_, Kind::kSeen, signers);
    }
    REQUIRE(tree_.InForce().entry == tip_);
  }

  CharterTree& tree() { return tree_; }
  Random& random() { return random_; }
  const EntryId& tip() const { return tip_; }
  const Content& ContentOf(const EntryId& entry) { return tree_.AuthorityOf(entry)->content(); }
  Content Now() { return ContentOf(tip_); }
  const Authority& authority() { return *tree_.InForce().authority; }

  // Adds a child; a growing time makes entries of equal content different.
  EntryId Propose(const EntryId& parent, const Content& content) {
    const Entry entry = Make(parent, content);
    Must(tree_.Add(entry));
    return entry.id;
  }
  Entry Make(const EntryId& parent, const Content& content) {
    return Must(MakeCharterEntry(tree_.Find(parent), content, TimeMs{++time_}));
  }
  EntryId Propose(const Content& content) { return Propose(tip_, content); }
  // A child that changes nothing: its signatures are all that matters.
  EntryId ProposeSame(const EntryId& parent) { return Propose(parent, ContentOf(parent)); }

  void Sign(const EntryId& entry, Kind kind, const Names& keys) {
    for (const std::string& key : keys) {
      Must(tree_.AddSignature(entry, SignCharterEntry(entry, kind, KeyOf(key))));
    }
  }
  void Approve(const EntryId& entry, const Names& keys) { Sign(entry, Kind::kApproval, keys); }
  void Cosign(const EntryId& entry, const Names& keys) { Sign(entry, Kind::kSeen, keys); }

  // Approved and cosigned by the first `count`: settled where they are a quorum.
  EntryId Settle(const EntryId& parent, const Content& content, std::size_t count) {
    const EntryId entry = Propose(parent, content);
    const Names signers(Laender().begin(), Laender().begin() + static_cast<std::ptrdiff_t>(count));
    Approve(entry, signers);
    Cosign(entry, signers);
    return entry;
  }

  // Whether the step from the entry in force to `content` is allowed with these approvals.
  Needs Judge(const Content& content, const Names& approved) {
    std::set<MemberId> members;
    for (const std::string& name : approved) members.insert(M(name));
    return JudgeChange(*tree_.AuthorityOf(tip_), content, members);
  }

 private:
  testing::SimRandom random_{7};
  CharterTree tree_;
  EntryId tip_;
  std::uint64_t time_ = 1;
};

}  // namespace staffel::charter
