// SPDX-License-Identifier: EUPL-1.2
// What a change of the charter means, for whoever is asked to approve it: the records, the members,
// the audience, as far as this node reads them. What it needs is core/charter's to say.
#include <algorithm>
#include <iterator>

#include "api/admin/administration.h"
#include "api/admin/shown.h"
#include "core/charter/hidden.h"
#include "core/record/catalog.h"
#include "core/record/view.h"

namespace staffel::api {

namespace {

constexpr std::size_t kDetailsMax = 100;
constexpr std::size_t kShortDigits = 8;
constexpr std::size_t kEntryDigits = 12;

std::string Join(const std::vector<MemberId>& members) {
  std::string out;
  for (const MemberId& member : members) {
    out += out.empty() ? "" : ", ";
    out += member.text();
  }
  return out.empty() ? "–" : out;
}

template <typename T>
std::vector<T> Without(const std::vector<T>& all, const std::vector<T>& some) {
  std::vector<T> out;
  std::copy_if(all.begin(), all.end(), std::back_inserter(out), [&](const T& one) {
    return std::find(some.begin(), some.end(), one) == some.end();
  });
  return out;
}

// The sentences of one change. English, each made of one template: they are said in German by it.
class Details {
 public:
  Details(Store& store, Snapshot& snapshot, const charter::Authority& parent,
          const charter::Content& after)
      : store_(store),
        snapshot_(snapshot),
        parent_(parent),
        before_(parent.content()),
        after_(after) {}

  Result<std::vector<std::string>> Run() {
    STAFFEL_CHECK(Erasures());
    Audiences();
    Members();
    STAFFEL_CHECK(Cuts());
    for (const auto& rule : Without(before_.rules, after_.rules)) {
      Add("rule {} from {}: no longer „{}“", rule.name, FormatTimeUtc(rule.from), rule.value);
    }
    for (const auto& rule : Without(after_.rules, before_.rules)) {
      Add("rule {} from {}: „{}“", rule.name, FormatTimeUtc(rule.from), rule.value);
    }
    for (const auto kind : Without(after_.personal_kinds, before_.personal_kinds)) {
      Add("records of kind {} are personal data: each writer erases its own", KindName(kind));
    }
    for (const auto kind : Without(before_.personal_kinds, after_.personal_kinds)) {
      Add("records of kind {} are no longer called personal data; whoever could erase its own "
          "there still can",
          KindName(kind));
    }
    MinVersions();
    if (before_.name != after_.name) Add("the conference is called {}", after_.name);
    if (before_.title != after_.title) Add("the conference's title is „{}“", after_.title);
    if (lines_.size() > kDetailsMax) {
      const std::size_t more = lines_.size() - kDetailsMax;
      lines_.resize(kDetailsMax);
      Add("and {} more", more);
    }
    return std::move(lines_);
  }

 private:
  template <typename... Values>
  void Add(fmt::format_string<Values...> text, Values&&... values) {
    lines_.push_back(fmt::format(text, std::forward<Values>(values)...));
  }

  // Of the charter after the change, which alone knows the audiences that it founds.
  std::string NameOf(const AudienceId& id) {
    for (const charter::Content* content : {&after_, &before_}) {
      const auto* audience = content->FindAudience(id);
      if (audience != nullptr && !audience->name.empty()) return audience->name;
    }
    const std::string inside = sync::ProfileOf(snapshot_, id).name;
    return inside.empty() ? id.Hex().substr(0, kShortDigits) : inside;
  }

  Status Erasures() {
    const auto add = [&](const charter::ErasedRecord& named, bool whole) {
      const auto view = snapshot_.GetRecord(named.record, named.audience);
      const auto* kind = record::Kinds().Find(named.kind);
      const std::string id = named.record.Hex().substr(0, kShortDigits);
      if (!view || kind == nullptr || view->kind != named.kind) {
        Add("erases record {} of kind {} in audience {}, which is not here", id,
            KindName(named.kind), NameOf(named.audience));
      } else if (whole) {
        Add("erases {} {} in audience {}, for ever: „{}“", kind->name, id, NameOf(named.audience),
            record::TitleOf(*kind, view->row));
      } else {
        Add("erases contents of {} {} in audience {}: „{}“", kind->name, id, NameOf(named.audience),
            record::TitleOf(*kind, view->row));
      }
    };
    for (const auto& named : Without(after_.erased_records, before_.erased_records)) {
      add(named, /*whole=*/true);
    }
    const auto payloads = Without(after_.erased_payloads, before_.erased_payloads);
    if (payloads.empty()) return {};
    std::size_t absent = 0;
    STAFFEL_TRY(records, snapshot_.RecordsOf(payloads, &absent));
    for (const auto& named : records) add(named, /*whole=*/false);
    if (absent > 0) Add("erases {} contents of entries that are not here", absent);
    return {};
  }

  void Audiences() {
    for (const auto& audience : after_.audiences) {
      const auto* old = before_.FindAudience(audience.id);
      if (old == nullptr) {
        Founded(audience);
      } else if (*old != audience) {
        Changed(*old, audience);
      }
    }
    for (const auto& audience : before_.audiences) {
      if (after_.FindAudience(audience.id) != nullptr) continue;
      ListFilter filter;
      filter.audience = audience.id;
      const auto own = store_.own_member();
      const auto records = own && audience.IsReader(*own) ? snapshot_.Count(filter)
                                                          : Result<std::uint64_t>(std::uint64_t{0});
      Add("audience {}: read by {}", NameOf(audience.id), Join(audience.readers));
      if (records && *records > 0) {
        Add("audience {}: {} records that are here would be gone from every list",
            NameOf(audience.id), *records);
      }
    }
  }

  void Founded(const charter::Audience& audience) {
    const std::string name = NameOf(audience.id);
    const auto waiting = sync::WaitingProfile(store_, audience.id);
    if (audience.name.empty()) {
      Add("audience {}: confidential, it gets its name inside", name);
      if (!waiting.name.empty()) Add("audience {}: to be called „{}“", name, waiting.name);
    }
    if (!waiting.purpose.empty()) Add("audience {}: for „{}“", name, waiting.purpose);
    Add("audience {}: read by {}", name, Join(audience.readers));
    if (audience.writers != audience.readers) {
      Add("audience {}: written by {}", name, Join(audience.writers));
    }
    Add("audience {}: passed on by {}", name,
        (audience.relay ? *audience.relay : parent_.chair()).text());
  }

  void Changed(const charter::Audience& old, const charter::Audience& audience) {
    const std::string name = NameOf(audience.id);
    const auto read = Without(audience.readers, old.readers);
    const auto write = Without(audience.writers, old.writers);
    if (!read.empty()) Add("audience {}: then also read by {}", name, Join(read));
    if (!write.empty()) Add("audience {}: then also written by {}", name, Join(write));
    const auto no_read = Without(old.readers, audience.readers);
    const auto no_write = Without(old.writers, audience.writers);
    if (!no_read.empty()) Add("audience {}: no longer read by {}", name, Join(no_read));
    if (!no_write.empty()) Add("audience {}: no longer written by {}", name, Join(no_write));
    if (old.relay != audience.relay) {
      Add("audience {}: passed on by {} in place of {}", name,
          (audience.relay ? *audience.relay : parent_.chair()).text(),
          (old.relay ? *old.relay : parent_.chair()).text());
    }
    if (old.name != audience.name) Add("audience {}: called {}", name, audience.name);
  }

  void Members() {
    for (const auto& member : after_.members) {
      const auto* old = before_.FindMember(member.id);
      const charter::Member none;
      const charter::Member& was = old == nullptr ? none : *old;
      const auto id = member.id.text();
      if (was.name != member.name) Add("{} is called „{}“", id, member.name);
      for (const auto& replica : Without(member.replicas, was.replicas)) {
        Add("{}: a node with the key {} at {}", id, Short(replica.key),
            replica.url.empty() ? "–" : replica.url);
      }
      for (const auto& replica : Without(was.replicas, member.replicas)) {
        Add("{}: no longer a node with the key {} at {}", id, Short(replica.key),
            replica.url.empty() ? "–" : replica.url);
      }
      for (const auto& key : Without(member.recovery_keys, was.recovery_keys)) {
        Add("{}: the recovery key {}", id, Short(key));
      }
      for (const auto& key : Without(was.recovery_keys, member.recovery_keys)) {
        Add("{}: no longer the recovery key {}", id, Short(key));
      }
    }
  }

  void MinVersions() {
    for (const auto& least : Without(after_.min_versions, before_.min_versions)) {
      Add("records of kind {} are written by version {} of the rules or later; older nodes read "
          "them",
          KindName(least.kind), least.version);
    }
    for (const auto& least : Without(before_.min_versions, after_.min_versions)) {
      const bool other = std::any_of(after_.min_versions.begin(), after_.min_versions.end(),
                                     [&](const auto& one) { return one.kind == least.kind; });
      if (!other) Add("records of kind {} are written by any version", KindName(least.kind));
    }
  }

  static std::string Short(const crypto::PublicKey& key) {
    return key.Fingerprint().Hex().substr(0, kEntryDigits);
  }

  Status Cuts() {
    for (const auto& cut : Without(after_.cuts, before_.cuts)) {
      const std::string journal = cut.journal.Hex().substr(0, kEntryDigits);
      const auto owner = parent_.MemberOfKey(cut.key);
      const std::string whose(owner ? owner->text() : "–");
      std::vector<charter::CutHead> heads = cut.heads;
      bool known = true;
      if (cut.hidden) {
        STAFFEL_TRY(opened, snapshot_.Disclosed(cut.audience, *cut.hidden));
        const auto read = opened ? charter::ParseCutHeads(*opened) : std::nullopt;
        known = read.has_value();
        if (read) heads = *read;
      }
      if (!known) {
        Add("journal {} of {} in audience {}: counts up to where only those learn who read it",
            journal, whose, NameOf(cut.audience));
      } else if (heads.empty()) {
        Add("journal {} of {} in audience {}: counts not at all", journal, whose,
            NameOf(cut.audience));
      }
      for (const auto& head : heads) {
        Add("journal {} of {} in audience {}: counts up to entry {} ({})", journal, whose,
            NameOf(cut.audience), head.seq, head.entry.Hex().substr(0, kEntryDigits));
      }
    }
    return {};
  }

  Store& store_;
  Snapshot& snapshot_;
  const charter::Authority& parent_;
  const charter::Content& before_;
  const charter::Content& after_;
  std::vector<std::string> lines_;
};

}  // namespace

Result<std::vector<std::string>> Administration::DetailsOf(Snapshot& snapshot,
                                                           const charter::CharterTree& tree,
                                                           const EntryId& entry) {
  const Entry* held = tree.Find(entry);
  const auto parent = held == nullptr ? nullptr : tree.AuthorityOf(held->header.prev);
  const auto child = tree.AuthorityOf(entry);
  if (parent == nullptr || child == nullptr) return std::vector<std::string>();
  return Details(*options_.store, snapshot, *parent, child->content()).Run();
}

Result<admin::Proposal> Administration::ShownProposal(const sync::WaitingChange& change) {
  admin::Proposal out = ShownChange(change, options_.store->own_member());
  const auto tree = options_.store->charter();
  if (tree == nullptr) return out;
  if (const Entry* held = tree->Find(change.entry)) out.set_number(held->header.seq);
  STAFFEL_TRY(snapshot, options_.store->Read());
  STAFFEL_TRY(details, DetailsOf(snapshot, *tree, change.entry));
  for (std::string& detail : details) out.add_details(std::move(detail));
  return out;
}

}  // namespace staffel::api
