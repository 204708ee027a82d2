// SPDX-License-Identifier: EUPL-1.2
// The file outside the database, in memory: what a restored disk does not bring back. Fails, and
// dies in the middle, on purpose.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "core/store/doubt.h"

namespace staffel::testing {

class MemoryTwin final : public Twin {
 public:
  std::optional<Bytes> content;
  // The save with this number, from 1, fails: before anything was written, or, with `late`, after.
  std::optional<std::uint64_t> fail_at;
  bool late = false;
  // Called at each save that succeeds, afterwards.
  std::function<void()> saved;
  std::uint64_t saves = 0;

  Result<std::optional<Bytes>> Load() override { return content; }
  Status Save(ByteView bytes) override {
    ++saves;
    const bool fails = fail_at && saves >= *fail_at;
    if (!fails || (late && saves == *fail_at)) content = Bytes(bytes);
    if (fails) return Fail(ErrorCode::kStorage, "the twin cannot be written");
    if (saved) saved();
    return {};
  }
};

}  // namespace staffel::testing
