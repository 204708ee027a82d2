// SPDX-License-Identifier: EUPL-1.2
// A change of the charter that was made on one entry and is wanted on another: what it changed is
// done again there, member by member, audience by audience, rule by rule. Says what was changed
// and nothing about who must sign it (needs.h). Pure; any thread.
#pragma once

#include "core/base/result.h"
#include "core/charter/content.h"

namespace staffel::charter {

// `now` with what `proposed` changed of `base`. Readers, writers, keys and lists are joined element
// by element. kExists: `now` has all of it already; kConflict, naming it: both changed the same
// thing, or the change is a term's, which is made for one moment only; otherwise what ParseContent
// refuses.
[[nodiscard]] Result<Content> Rebased(const Content& base, const Content& proposed,
                                      const Content& now);

// Whether two children of `base` are the same change, but for what is drawn anew each time: the id
// of an audience that is founded under a name, and the cuts that go with taking somebody out.
// Two audiences without a name are never the same.
[[nodiscard]] bool SameChange(const Content& base, Content a, Content b);

}  // namespace staffel::charter
