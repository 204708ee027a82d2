// SPDX-License-Identifier: EUPL-1.2
// One entry of each sort, from fixed values: what the files in golden/ hold, byte for byte. The
// bytes of format 1 are frozen: a test that fails here means that old journals no longer read.
#pragma once

#include <string>
#include <vector>

#include "core/journal/entry.h"

namespace staffel::golden {

struct GoldenEntry {
  std::string name;
  Entry entry;
};

// Signed with KeyPair::FromSeedForTests("staffel/golden").
std::vector<GoldenEntry> Entries();

}  // namespace staffel::golden
