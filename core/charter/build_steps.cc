// SPDX-License-Identifier: EUPL-1.2
#include "core/charter/build_steps.h"

#include <utility>

namespace staffel::charter {

void PutCuts(Content& charter, std::vector<Cut> cuts) {
  for (Cut& cut : cuts) {
    std::erase_if(charter.cuts, [&](const Cut& old) {
      return old.journal == cut.journal && old.audience == cut.audience && old.key == cut.key &&
             old.term == cut.term;
    });
    charter.cuts.push_back(std::move(cut));
  }
}

Result<Content> Finished(const Content& charter) {
  STAFFEL_TRY(bytes, SerializeContent(charter));
  return ParseContent(bytes);
}

Result<Member*> FindMember(Content& charter, const MemberId& id) {
  Member* member = charter.FindMember(id);
  if (member == nullptr) {
    return Fail(ErrorCode::kNotFound, "{} is no member of {}", id.text(), charter.name);
  }
  return member;
}

}  // namespace staffel::charter
