// SPDX-License-Identifier: EUPL-1.2
#include "core/charter/needs.h"

#include <algorithm>
#include <map>

#include "core/base/mutation.h"
#include "core/charter/build.h"

namespace staffel::charter {
namespace {

constexpr std::string_view kDeadlineRules = "deadline.";
constexpr std::string_view kRotationRules = "rotation.";

std::string Join(const std::vector<MemberId>& members) {
  std::string out;
  for (const MemberId& member : members) {
    if (!out.empty()) out += ", ";
    out += member.text();
  }
  return out.empty() ? "nobody" : out;
}

std::string ClauseText(const Clause& clause) {
  if (clause.of.size() == 1 && clause.count == 1) return std::string(clause.of.front().text());
  if (clause.of.size() == clause.count) return "all of " + Join(clause.of);
  return fmt::format("{} of {}", clause.count, Join(clause.of));
}

template <typename T>
std::vector<T> Sorted(std::vector<T> values) {
  std::sort(values.begin(), values.end());
  return values;
}

template <typename T>
std::vector<T> Without(std::vector<T> a, std::vector<T> b) {
  a = Sorted(std::move(a));
  b = Sorted(std::move(b));
  std::vector<T> out;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out));
  return out;
}

using Lane = std::tuple<JournalId, AudienceId, crypto::PublicKey, std::uint64_t>;
std::map<Lane, const Cut*> CutsByLane(const Content& content) {
  std::map<Lane, const Cut*> cuts;
  for (const Cut& cut : content.cuts) {
    cuts.emplace(Lane(cut.journal, cut.audience, cut.key, cut.term), &cut);
  }
  return cuts;
}

// Walks the differences between a parent and a child, and writes down a row of core.md's table for
// each. Whatever has no row of its own needs a quorum.
class Comparison {
 public:
  Comparison(const Authority& parent, const Content& child)
      : parent_(parent), before_(parent.content()), after_(child) {}

  Needs Run() {
    CompareKeys();
    CompareMembers();
    CompareAudiences();
    CompareTerms();
    CompareCuts();
    CompareRules();
    CompareRest();
    // Nothing is never free of charge: an entry strengthens its branch.
    if (needs_.requirements.empty()) OnlyQuorum("changes nothing");
    needs_.quorum = parent_.quorum();
    return std::move(needs_);
  }

 private:
  void Forbid(std::string why) {
    if (!needs_.forbidden) needs_.forbidden = std::move(why);
  }
  void OnlyQuorum(std::string change) { needs_.requirements.push_back({std::move(change), {}}); }
  void Require(std::string change, std::vector<Clause> clauses) {
    needs_.requirements.push_back({std::move(change), std::move(clauses)});
  }

  Clause Chair() const { return {1, {parent_.chair()}}; }

  // "count voting members other than these".
  Clause Voters(std::size_t count, const std::vector<MemberId>& but) const {
    Clause clause{count, {}};
    for (const MemberId& member : parent_.quorum().eligible) {
      if (std::find(but.begin(), but.end(), member) == but.end()) clause.of.push_back(member);
    }
    return clause;
  }

  // "chair + M (M the chair: + a voting member)".
  std::vector<Clause> ChairAnd(const MemberId& member) const {
    if (member == parent_.chair()) return {Chair(), Voters(1, {member})};
    if (STAFFEL_MUTATION(kChairAlone)) return {Chair()};
    return {Chair(), {1, {member}}};
  }

  // A key belongs to one member for ever.
  void CompareKeys() {
    const auto check = [&](const Member& member, const crypto::PublicKey& key) {
      const auto owner = parent_.OwnerEver(key);
      if (owner && *owner != member.id) {
        Forbid(fmt::format("gives {} a key that belongs to {} for ever", member.id.text(),
                           owner->text()));
      }
    };
    for (const Member& member : after_.members) {
      for (const Replica& replica : member.replicas) {
        check(member, replica.key);
        check(member, replica.tls_key);
      }
      for (const auto& key : member.recovery_keys) check(member, key);
    }
  }

  void CompareMembers() {
    for (const Member& member : after_.members) {
      const Member* old = before_.FindMember(member.id);
      if (old == nullptr) {
        NewMember(member);
      } else {
        ChangedMember(*old, member);
      }
    }
    for (const Member& member : before_.members) {
      if (after_.FindMember(member.id) == nullptr) {
        OnlyQuorum(fmt::format("takes {} out of the conference", member.id.text()));
      }
    }
  }

  void NewMember(const Member& member) {
    if (member.voting) {
      OnlyQuorum(fmt::format("makes {} a voting member", member.id.text()));
    } else if (member.has_keys() && parent_.EverHadKey(member.id)) {
      OnlyQuorum(fmt::format("takes {} in again", member.id.text()));
    } else {
      Require(fmt::format("makes {} a member without a vote", member.id.text()), {Chair()});
    }
  }

  void ChangedMember(const Member& old, const Member& member) {
    const auto id = member.id.text();
    if (old.voting != member.voting) {
      OnlyQuorum(fmt::format("{} {} a vote", member.voting ? "gives" : "takes from", id));
    }
    if (old.name != member.name) OnlyQuorum(fmt::format("renames {}", id));
    if (old.replicas == member.replicas && old.recovery_keys == member.recovery_keys) return;
    const bool first = !old.has_keys();
    if (first && parent_.EverHadKey(member.id)) {
      OnlyQuorum(fmt::format("gives {} keys again", id));
    } else if (first && (old.voting || member.voting)) {
      OnlyQuorum(fmt::format("gives {} its first key", id));
    } else if (first) {
      Require(fmt::format("gives {} its first key", id), {Chair()});
    } else {
      Require(fmt::format("changes the keys or addresses of {}", id), ChairAnd(member.id));
    }
  }

  // Whether this entry gives the member, until now without any, its first key.
  bool GetsFirstKey(const MemberId& id) const {
    const Member* member = after_.FindMember(id);
    return member != nullptr && member->has_keys() && !parent_.EverHadKey(id);
  }

  void CompareAudiences() {
    for (const Audience& audience : after_.audiences) {
      const Audience* old = before_.FindAudience(audience.id);
      if (old == nullptr) {
        NewAudience(audience);
      } else {
        ChangedAudience(*old, audience);
      }
    }
    for (const Audience& audience : before_.audiences) {
      if (after_.FindAudience(audience.id) != nullptr) continue;
      if (IsStandingAudience(after_, audience.name)) {
        Forbid(fmt::format("closes audience {}, which the conference is never without",
                           Label(audience)));
      }
      OnlyQuorum(fmt::format("closes audience {}", Label(audience)));
    }
  }

  static std::string Label(const Audience& audience) {
    return audience.name.empty() ? audience.id.Hex() : audience.name;
  }

  // Promise 4: a Land's own audience is that Land's alone, and no quorum of others says otherwise.
  void CheckOwn(const Audience& audience) {
    if (!audience.name.starts_with(kOwnAudiencePrefix)) return;
    std::vector<MemberId> owner;
    for (const Member& member : after_.members) {
      if (OwnAudienceName(member.id) == audience.name) owner = {member.id};
    }
    if (audience.readers == owner && audience.writers == owner) return;
    Forbid(
        fmt::format("changes who is in audience {}, which is that Land's alone", Label(audience)));
  }

  void NewAudience(const Audience& audience) {
    CheckOwn(audience);
    if (parent_.EverAnAudience(audience.id)) {
      // Its old writers' journals would come back to life.
      Forbid(fmt::format("opens audience {} again, which was closed for ever", Label(audience)));
      return;
    }
    // A member that joins brings the audience it alone is in: whoever may give it its first key may
    // write that down, since it cannot sign yet.
    if (audience.readers.size() == 1 && GetsFirstKey(audience.readers.front())) return;
    const std::string change = fmt::format("founds audience {}", Label(audience));
    if (audience.readers.empty()) {
      OnlyQuorum(change);
    } else {
      Require(change, {{audience.readers.size(), audience.readers}});
    }
  }

  void ChangedAudience(const Audience& old, const Audience& audience) {
    const std::string label = Label(audience);
    if (old.name != audience.name || old.open != audience.open ||
        old.chair_writes_only != audience.chair_writes_only) {
      OnlyQuorum(fmt::format("changes name or nature of audience {}", label));
    }
    if (old.name != audience.name &&
        (IsStandingAudience(after_, old.name) || IsStandingAudience(after_, audience.name))) {
      Forbid(fmt::format("renames audience {}, which the conference is never without", label));
    }
    if (old.readers != audience.readers || old.writers != audience.writers) CheckOwn(audience);
    if (old.relay != audience.relay) {
      const std::string change = fmt::format("changes the relay of audience {}", label);
      if (old.readers.empty()) {
        OnlyQuorum(change);
      } else {
        Require(change, {{old.readers.size(), old.readers}});
      }
    }
    if (!Without(old.readers, audience.readers).empty() ||
        !Without(old.writers, audience.writers).empty()) {
      OnlyQuorum(fmt::format("takes readers or writers out of audience {}", label));
    }
    auto added = Without(audience.readers, old.readers);
    for (const MemberId& writer : Without(audience.writers, old.writers)) {
      if (std::find(added.begin(), added.end(), writer) == added.end()) added.push_back(writer);
    }
    if (!added.empty()) {
      Require(fmt::format("takes {} into audience {}", Join(added), label), ChairAndOneOf(old));
    }
  }

  // "chair + one of that audience": two people, unless the chair is all there is in it.
  std::vector<Clause> ChairAndOneOf(const Audience& audience) const {
    const auto others = Without(audience.readers, {parent_.chair()});
    if (others.empty() && audience.IsReader(parent_.chair())) return {Chair()};
    return {Chair(), {1, others}};
  }

  void CompareTerms() {
    const auto& old = before_.terms;
    const auto& terms = after_.terms;
    if (terms.size() < old.size() || terms.size() > old.size() + 1) {
      Forbid("takes terms away or adds more than the next");
      return;
    }
    for (std::size_t i = 0; i < old.size(); ++i) {
      if (terms[i] == old[i]) continue;
      Term same = terms[i];
      same.starts = old[i].starts;
      if (same != old[i] || i + 1 < old.size()) {
        Forbid(fmt::format("changes term {}: a term names one replica for ever", old[i].number));
      } else {
        OnlyQuorum(fmt::format("changes the start of term {}", old[i].number));
      }
    }
    if (terms.size() == old.size() + 1) NextTerm(terms.back());
  }

  void NextTerm(const Term& term) {
    const Member* member = after_.FindMember(term.member);
    const bool listed =
        member != nullptr && std::any_of(member->replicas.begin(), member->replicas.end(),
                                         [&](const Replica& r) { return r.key == term.replica; });
    if (!listed) {
      Forbid(fmt::format("gives term {} to a replica that {} does not have", term.number,
                         term.member.text()));
      return;
    }
    const MemberId& old = parent_.chair();
    const std::string change = fmt::format("passes the chair from {} to {} (term {})", old.text(),
                                           term.member.text(), term.number);
    // Three different members either way: a guest of the chair's making cannot be the third.
    if (STAFFEL_MUTATION(kTwoForATerm)) {
      Require(change, {Chair(), {1, {term.member}}});
    } else if (term.member == old) {
      Require(change, {Chair(), Voters(2, {old})});
    } else {
      Require(change, {Chair(), {1, {term.member}}, Voters(1, {old, term.member})});
    }
  }

  void CompareCuts() {
    const auto old = CutsByLane(before_);
    const auto cuts = CutsByLane(after_);
    for (const auto& [lane, cut] : cuts) {
      const auto was = old.find(lane);
      if (was != old.end() && *was->second == *cut) continue;
      CheckHidden(*cut);
      ChangedCut(*cut);
    }
    for (const auto& [lane, cut] : old) {
      if (!cuts.contains(lane)) ChangedCut(*cut);
    }
  }

  // The length of a journal is not told to members that do not get it.
  void CheckHidden(const Cut& cut) {
    const Audience* audience = after_.FindAudience(cut.audience);
    if (audience != nullptr && !audience->open && !cut.heads.empty()) {
      Forbid(fmt::format("tells how far journal {} goes, in an audience that is not open",
                         cut.journal.Hex()));
    }
  }

  void ChangedCut(const Cut& cut) {
    const std::string journal = cut.journal.Hex().substr(0, 12);
    if (cut.term == 0) {
      const auto owner = parent_.MemberOfKey(cut.key);
      if (owner) {
        Require(fmt::format("cuts journal {} of {}", journal, owner->text()), ChairAnd(*owner));
      } else {
        OnlyQuorum(fmt::format("cuts journal {} of a key that is nobody's", journal));
      }
      return;
    }
    const Term& ended = parent_.current_term();
    const bool by_handover = after_.terms.size() == before_.terms.size() + 1 &&
                             cut.term == ended.number && cut.key == ended.replica;
    if (by_handover) return;  // part of the next term's row
    OnlyQuorum(fmt::format("cuts journal {} of the chair of term {}", journal, cut.term));
  }

  void CompareRules() {
    std::set<std::string> names;
    for (const Rule& rule : Without(before_.rules, after_.rules)) names.insert(rule.name);
    for (const Rule& rule : Without(after_.rules, before_.rules)) names.insert(rule.name);
    for (const std::string& name : names) {
      const std::string change = fmt::format("changes rule '{}'", name);
      if (name.starts_with(kDeadlineRules) || name.starts_with(kRotationRules)) {
        Require(change, {Chair()});
      } else {
        OnlyQuorum(change);
      }
    }
  }

  void CompareRest() {
    if (before_.name != after_.name || before_.title != after_.title ||
        before_.demonstration != after_.demonstration) {
      OnlyQuorum("changes the conference's name, title or nature");
    }
    if (Sorted(before_.personal_kinds) != Sorted(after_.personal_kinds)) {
      OnlyQuorum("changes which kinds are personal");
    }
    if (Sorted(before_.min_versions) != Sorted(after_.min_versions)) {
      OnlyQuorum("changes least versions");
    }
    if (Sorted(before_.erased_payloads) != Sorted(after_.erased_payloads) ||
        Sorted(before_.erased_records) != Sorted(after_.erased_records)) {
      OnlyQuorum("erases");
    }
    if (before_.unknown != after_.unknown) {
      OnlyQuorum("changes something that this version does not know");
    }
  }

  const Authority& parent_;
  const Content& before_;
  const Content& after_;
  Needs needs_;
};

}  // namespace

bool Clause::MetBy(const std::set<MemberId>& approved) const {
  const auto have = std::count_if(
      of.begin(), of.end(), [&](const MemberId& member) { return approved.contains(member); });
  return static_cast<std::size_t>(have) >= count;
}

bool Requirement::MetBy(const std::set<MemberId>& approved) const {
  return !clauses.empty() && std::all_of(clauses.begin(), clauses.end(),
                                         [&](const Clause& c) { return c.MetBy(approved); });
}

bool Needs::Satisfied() const {
  if (forbidden) return false;
  return quorum.ReachedBy(approved) ||
         std::all_of(requirements.begin(), requirements.end(),
                     [&](const Requirement& r) { return r.MetBy(approved); });
}

std::vector<MemberId> Needs::MissingFrom() const {
  if (forbidden || Satisfied()) return {};
  std::set<MemberId> missing(quorum.eligible.begin(), quorum.eligible.end());
  for (const Requirement& requirement : requirements) {
    for (const Clause& clause : requirement.clauses) {
      if (!clause.MetBy(approved)) missing.insert(clause.of.begin(), clause.of.end());
    }
  }
  for (const MemberId& member : approved) missing.erase(member);
  return {missing.begin(), missing.end()};
}

std::string Needs::Sentence() const {
  if (forbidden) return *forbidden + ": no signature allows that";
  if (Satisfied()) return "nothing is missing";
  const std::string has = Join({approved.begin(), approved.end()});
  std::string out;
  for (const Requirement& requirement : requirements) {
    if (requirement.MetBy(approved)) continue;
    if (!out.empty()) out += ". ";
    out += requirement.change + ": needs ";
    for (const Clause& clause : requirement.clauses) {
      if (&clause != &requirement.clauses.front()) out += " and ";
      out += ClauseText(clause);
    }
    if (!requirement.clauses.empty()) out += ", or ";
    out += fmt::format("the signatures of a quorum: {} of {}; has {}", quorum.needed,
                       Join(quorum.eligible), has);
  }
  return out;
}

Needs JudgeChange(const Authority& parent, const Content& child, std::set<MemberId> approved) {
  Needs needs = Comparison(parent, child).Run();
  needs.approved = std::move(approved);
  return needs;
}

}  // namespace staffel::charter
