// SPDX-License-Identifier: EUPL-1.2
// A test conference with more than the Länder's audience: charter entries on top of the founding
// ones, signed by whoever the test says, and carried to replicas by hand. A member can be made a
// guest, which reads `guests` and `public` only.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "core/charter/build.h"
#include "core/charter/build_audiences.h"
#include "core/store/store.h"
#include "tests/support/conference.h"

namespace staffel::testing {

class CharterSteps {
 public:
  explicit CharterSteps(const TestConference& conference)
      : conference_(conference), tree_(conference.conference()) {
    for (const CharterItem& item : conference.charter_items()) Take(item);
  }

  [[nodiscard]] const charter::Content& Now() const { return tree_.InForce().authority->content(); }
  [[nodiscard]] AudienceId Named(std::string_view name) const {
    return tree_.InForce().authority->FindAudienceByName(name)->id;
  }

  // An entry with this content on top of the one in force, approved by all members. Says its id.
  EntryId Step(const charter::Content& content) {
    std::vector<std::size_t> all;
    for (std::size_t i = 0; i < conference_.size(); ++i) all.push_back(i);
    const EntryId id = Propose(content, all);
    REQUIRE(tree_.InForce().entry == id);
    return id;
  }
  EntryId Propose(const charter::Content& content, const std::vector<std::size_t>& signers) {
    const Entry* parent = tree_.Find(tree_.InForce().entry);
    auto entry = charter::MakeCharterEntry(parent, content, TimeMs{kSimStartMs + 1'000});
    if (!entry) FAIL(entry.error().message);
    CharterItem item{.entry = *entry, .id = entry->id};
    for (const std::size_t signer : signers) {
      item.signatures.push_back(charter::SignCharterEntry(
          item.id, charter::CharterSignature::Kind::kApproval, conference_.member(signer).key));
    }
    Take(item);
    steps_.push_back(std::move(item));
    return steps_.back().id;
  }

  // The member has no vote from now on and reads only what guests read.
  EntryId MakeGuest(std::size_t index) {
    charter::Content content = Now();
    const MemberId id = conference_.member(index).id;
    content.FindMember(id)->voting = false;
    for (auto& audience : content.audiences) {
      if (audience.name == charter::kLaenderAudience) {
        audience.open = false;
        std::erase(audience.readers, id);
      }
      if (audience.name == charter::kLaenderAudience || audience.name == charter::kGuestsAudience ||
          audience.name == charter::kPublicAudience) {
        std::erase(audience.writers, id);
      }
    }
    return Step(content);
  }
  AudienceId Found(const charter::NewAudience& audience, SimRandom& random) {
    AudienceId founded;
    auto content = charter::WithAudience(Now(), audience, random, &founded);
    if (!content) FAIL(content.error().message);
    Step(*content);
    return founded;
  }

  // Everything beyond the founding, to a replica.
  void GiveTo(TestReplica& replica) const {
    Batch batch;
    batch.charter = steps_;
    auto ingested = replica.store().Ingest(replica.store().Prepare(std::move(batch)));
    if (!ingested) FAIL(ingested.error().message);
    for (const Error& refusal : ingested->charter_refusals) FAIL(refusal.message);
  }

 private:
  void Take(const CharterItem& item) {
    auto added = tree_.Add(*item.entry);
    if (!added) FAIL(added.error().message);
    for (const auto& signature : item.signatures) {
      auto signed_by = tree_.AddSignature(item.id, signature);
      if (!signed_by) FAIL(signed_by.error().message);
    }
  }

  const TestConference& conference_;
  charter::CharterTree tree_;
  std::vector<CharterItem> steps_;
};

// Whether any byte string of `marks` stands in the bytes; the first one that does.
inline std::string FindMark(std::string_view bytes, const std::vector<std::string>& marks) {
  for (const std::string& mark : marks) {
    if (bytes.find(mark) != std::string_view::npos) return mark;
  }
  return {};
}

}  // namespace staffel::testing
