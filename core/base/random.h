// SPDX-License-Identifier: EUPL-1.2
// The seam for randomness; see clock.h. core/crypto/system_random.h has the real one.
// Implementations may be called from any thread.
#pragma once

#include "core/base/bytes.h"
#include "core/base/id.h"

namespace staffel {

class Random {
 public:
  virtual ~Random() = default;
  // Exactly `size` unpredictable bytes. Ends the process if the system has none to give.
  [[nodiscard]] virtual Bytes Draw(std::size_t size) = 0;

  template <typename Id>
  [[nodiscard]] Id DrawId() {
    return *Id::From(Draw(Id::kBytes));
  }
};

}  // namespace staffel
