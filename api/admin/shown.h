// SPDX-License-Identifier: EUPL-1.2
// A row as lines and columns for people: what `staffel show` and `staffel list` print. Stands
// between core/record, which knows fields, and the replies of the administration. Pure but for the
// wording's function that names records; any thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/id.h"
#include "core/record/catalog.h"
#include "core/record/wording.h"
#include "staffel/v1/admin.pb.h"
#include "sync/invitation.h"

namespace staffel::api {

// Fields that are not empty, in the kind's order; each element of a sequence is a line of its own.
[[nodiscard]] std::vector<v1::admin::ShownField> ShownFields(const record::Kind& kind, ByteView row,
                                                             const record::Wording& wording);

// The columns of a list of this kind, at most five: what it is sorted by, its title, its state.
struct ListColumn {
  std::string path;
  std::string label_de;
  std::string label_en;
};
[[nodiscard]] std::vector<ListColumn> ListColumns(const record::Kind& kind);

[[nodiscard]] v1::admin::Kind DescribeKind(const record::Kind& kind);

// A change of the charter that waits, or has come into force.
[[nodiscard]] v1::admin::Proposal ShownChange(const sync::WaitingChange& change,
                                              const std::optional<MemberId>& own);

}  // namespace staffel::api
