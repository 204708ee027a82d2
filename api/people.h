// SPDX-License-Identifier: EUPL-1.2
// What people's browsers and devices may ask of a node today: a page that says what this is, and
// the versions it speaks. The mobile API, calendars and the web app will stand beside these.
#pragma once

#include <string>

#include "api/router.h"
#include "core/store/store.h"

namespace staffel::api {

// Adds its routes. `store` outlives the router.
void AddPeopleRoutes(Router& router, Store& store, std::string version);

}  // namespace staffel::api
