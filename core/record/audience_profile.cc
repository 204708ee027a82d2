// SPDX-License-Identifier: EUPL-1.2
#include "core/record/audience_profile.h"

#include "core/record/record_id.h"

namespace staffel::record {

RecordId AudienceProfileId(const AudienceId& audience) {
  return RecordIdFromSeed("audience", audience.Hex());
}

}  // namespace staffel::record
