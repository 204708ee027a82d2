// SPDX-License-Identifier: EUPL-1.2
// Which headers this program understands, as a number that a file remembers: when it grows, what
// was opaque is read again (core/store). Tests play a later version with it, so that two versions
// can meet in one process.
#pragma once

#include <cstdint>

namespace staffel {

// kFormat of entry.h. Raised also where fields of a format that is known already become known.
[[nodiscard]] std::uint32_t KnownFormat();

namespace testing {

// While it lives, this thread is a program that understands headers up to `format`, with whatever
// fields they have. For tests and the simulator alone.
class PlayVersion {
 public:
  explicit PlayVersion(std::uint32_t format);
  ~PlayVersion();
  PlayVersion(const PlayVersion&) = delete;
  PlayVersion& operator=(const PlayVersion&) = delete;

 private:
  std::uint32_t before_;
};

}  // namespace testing
}  // namespace staffel
