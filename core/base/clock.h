// SPDX-License-Identifier: EUPL-1.2
// The seam for time. Core and the sync session never read a clock of their own: it is handed in, so
// that a simulation decides what time it is. Implementations may be called from any thread.
#pragma once

#include "core/base/time.h"

namespace staffel {

class Clock {
 public:
  virtual ~Clock() = default;
  // Wall-clock time, UTC. May jump; nothing may depend on its order.
  [[nodiscard]] virtual TimeMs Now() = 0;
};

}  // namespace staffel
