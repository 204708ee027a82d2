// SPDX-License-Identifier: EUPL-1.2
// SHA-256 of bytes that do not fit into memory at once. Belongs to one thread at a time.
#pragma once

#include <memory>

#include "core/base/bytes.h"
#include "core/base/id.h"

namespace staffel::crypto {

class Sha256Stream {
 public:
  Sha256Stream();
  ~Sha256Stream();
  Sha256Stream(Sha256Stream&&) noexcept;
  Sha256Stream& operator=(Sha256Stream&&) noexcept;

  void Add(ByteView bytes);
  // Of all that was added; then begins anew.
  [[nodiscard]] Hash Finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace staffel::crypto
