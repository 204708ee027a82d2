// SPDX-License-Identifier: EUPL-1.2
#include "core/charter/rebase.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace staffel::charter {
namespace {

template <typename T>
bool Has(const std::vector<T>& values, const T& value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

std::string NameOf(const Audience& audience) {
  return audience.name.empty() ? audience.id.Hex().substr(0, 8) : audience.name;
}

// One change, done to `now` piece by piece; remembers the first piece that is changed in both.
class Merge {
 public:
  Result<Content> Run(const Content& base, const Content& proposed, const Content& before) {
    Content now = before;
    if (base.terms != proposed.terms) Clash("a term");
    if (base.unknown != proposed.unknown || !now.unknown.empty()) Clash("a newer version's part");
    Value("the conference's name", base.name, proposed.name, now.name);
    Value("the conference's title", base.title, proposed.title, now.title);
    Value("the conference's nature", base.demonstration, proposed.demonstration, now.demonstration);
    Members(base, proposed, now);
    Audiences(base, proposed, now);
    Keyed(
        base.cuts, proposed.cuts, now.cuts,
        [](const Cut& cut) { return std::tuple(cut.journal, cut.audience, cut.key, cut.term); },
        [](const Cut& cut) { return "the cut of journal " + cut.journal.Hex().substr(0, 12); });
    Keyed(
        base.rules, proposed.rules, now.rules,
        [](const Rule& rule) { return std::pair(rule.name, rule.from); },
        [](const Rule& rule) { return "rule " + rule.name; });
    Keyed(
        base.min_versions, proposed.min_versions, now.min_versions,
        [](const MinVersion& version) { return version.kind; },
        [](const MinVersion& version) {
          return fmt::format("the least version of kind {}", version.kind);
        });
    Elements(base.personal_kinds, proposed.personal_kinds, now.personal_kinds);
    Elements(base.erased_payloads, proposed.erased_payloads, now.erased_payloads);
    Elements(base.erased_records, proposed.erased_records, now.erased_records);
    if (!clash_.empty()) {
      return Fail(ErrorCode::kConflict, "{} has been changed meanwhile, too", clash_);
    }
    if (now == before) return Fail(ErrorCode::kExists, "the charter has all of that already");
    STAFFEL_TRY(bytes, SerializeContent(now));
    return ParseContent(bytes);
  }

 private:
  void Clash(std::string what) {
    if (clash_.empty()) clash_ = std::move(what);
  }

  template <typename T>
  void Value(const std::string& what, const T& base, const T& proposed, T& now) {
    if (proposed == base || proposed == now) return;
    if (now != base) return Clash(what);
    now = proposed;
  }

  template <typename T>
  static void Elements(const std::vector<T>& base, const std::vector<T>& proposed,
                       std::vector<T>& now) {
    for (const T& one : proposed) {
      if (!Has(base, one) && !Has(now, one)) now.push_back(one);
    }
    std::erase_if(now, [&](const T& one) { return Has(base, one) && !Has(proposed, one); });
  }

  // Things with a key of their own. What is in all three goes to `both`, which joins it.
  template <typename T, typename KeyOf, typename Named, typename Both>
  void Keyed(const std::vector<T>& base, const std::vector<T>& proposed, std::vector<T>& now,
             KeyOf key_of, Named named, Both both) {
    using Key = decltype(key_of(base.front()));
    const auto index = [&](const std::vector<T>& values) {
      std::map<Key, std::size_t> at;
      for (std::size_t i = 0; i < values.size(); ++i) at.emplace(key_of(values[i]), i);
      return at;
    };
    const auto in_base = index(base);
    const auto in_proposed = index(proposed);
    auto in_now = index(now);
    for (const T& one : proposed) {
      const auto was = in_base.find(key_of(one));
      const auto is = in_now.find(key_of(one));
      if (was != in_base.end() && base[was->second] == one) continue;
      if (is != in_now.end() && now[is->second] == one) continue;
      if (was == in_base.end() && is == in_now.end()) {
        now.push_back(one);
      } else if (was == in_base.end() || is == in_now.end()) {
        Clash(named(one));
      } else {
        both(base[was->second], one, now[is->second]);
      }
    }
    std::erase_if(now, [&](const T& one) {
      const auto was = in_base.find(key_of(one));
      if (was == in_base.end() || in_proposed.contains(key_of(one))) return false;
      if (base[was->second] != one) Clash(named(one));
      return true;
    });
  }
  template <typename T, typename KeyOf, typename Named>
  void Keyed(const std::vector<T>& base, const std::vector<T>& proposed, std::vector<T>& now,
             KeyOf key_of, Named named) {
    Keyed(base, proposed, now, key_of, named,
          [&](const T& was, const T& wanted, T& is) { Value(named(wanted), was, wanted, is); });
  }

  void Members(const Content& base, const Content& proposed, Content& now) {
    const auto named = [](const Member& member) {
      return fmt::format("member {}", member.id.text());
    };
    Keyed(
        base.members, proposed.members, now.members, [](const Member& member) { return member.id; },
        named,
        [&](const Member& was, const Member& wanted, Member& is) {
          Value(named(wanted), was.name, wanted.name, is.name);
          Value(named(wanted), was.voting, wanted.voting, is.voting);
          Keyed(
              was.replicas, wanted.replicas, is.replicas,
              [](const Replica& replica) { return replica.key; },
              [&](const Replica&) { return named(wanted); });
          Elements(was.recovery_keys, wanted.recovery_keys, is.recovery_keys);
        });
  }

  void Audiences(const Content& base, const Content& proposed, Content& now) {
    const auto named = [](const Audience& audience) { return "audience " + NameOf(audience); };
    Keyed(
        base.audiences, proposed.audiences, now.audiences,
        [](const Audience& audience) { return audience.id; }, named,
        [&](const Audience& was, const Audience& wanted, Audience& is) {
          Value(named(wanted), was.name, wanted.name, is.name);
          Value(named(wanted), was.open, wanted.open, is.open);
          Value(named(wanted), was.chair_writes_only, wanted.chair_writes_only,
                is.chair_writes_only);
          Value(named(wanted), was.relay, wanted.relay, is.relay);
          Elements(was.readers, wanted.readers, is.readers);
          Elements(was.writers, wanted.writers, is.writers);
          std::sort(is.readers.begin(), is.readers.end());
          std::sort(is.writers.begin(), is.writers.end());
        });
  }

  std::string clash_;
};

}  // namespace

Result<Content> Rebased(const Content& base, const Content& proposed, const Content& now) {
  return Merge().Run(base, proposed, now);
}

bool SameChange(const Content& base, Content a, Content b) {
  for (Content* content : {&a, &b}) {
    if (content->audiences != base.audiences) content->cuts.clear();
    for (Audience& audience : content->audiences) {
      if (base.FindAudience(audience.id) == nullptr && !audience.name.empty()) audience.id = {};
    }
  }
  return a == b;
}

}  // namespace staffel::charter
