// SPDX-License-Identifier: EUPL-1.2
// Who must approve which change of the charter: core.md's table of signatures. A child is compared
// with its parent, change by change, and judged by the parent alone; the tree asks this to decide
// what can come into force, and `staffel approve` shows it to people. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/base/id.h"
#include "core/charter/authority.h"
#include "core/charter/content.h"

namespace staffel::charter {

// "count of these members". A requirement's clauses name disjoint members where two different
// people are asked for, so that one signature never serves twice.
struct Clause {
  std::size_t count = 0;
  std::vector<MemberId> of;
  [[nodiscard]] bool MetBy(const std::set<MemberId>& approved) const;
};

// One change, and the signatures that it needs unless a quorum approves the whole entry.
struct Requirement {
  std::string change;           // "gives BY its first key"
  std::vector<Clause> clauses;  // all must be met; none: only a quorum may do this
  [[nodiscard]] bool MetBy(const std::set<MemberId>& approved) const;
};

struct Needs {
  // Why no signature can ever allow this entry; nothing where some can.
  std::optional<std::string> forbidden;
  std::vector<Requirement> requirements;
  Quorum quorum;                // the parent's
  std::set<MemberId> approved;  // members with a counting approval

  // Whether the entry may come into force.
  [[nodiscard]] bool Satisfied() const;
  // Members whose approval is missing and would help; empty when satisfied or forbidden.
  [[nodiscard]] std::vector<MemberId> MissingFrom() const;
  // For people: "gives BY its first key: needs a quorum: 2 of NI, NW, BY; has NI". One sentence a
  // change that lacks something; "nothing is missing" otherwise.
  [[nodiscard]] std::string Sentence() const;
};

// What the step from `parent` to `child` needs. `approved` are the members with a counting
// approval.
[[nodiscard]] Needs JudgeChange(const Authority& parent, const Content& child,
                                std::set<MemberId> approved);

}  // namespace staffel::charter
