// SPDX-License-Identifier: EUPL-1.2
// Which headers this program understands, as a number that a file remembers: when it grows, what
// was opaque is read again (core/store). Tests play a later version with it, so that two versions
// can meet in one process.
#pragma once

#include <cstdint>

namespace staffel {

// kFormat of entry.h. Raised also where fields of a format that is known already become known.
[[nodiscard]] std::uint32_t KnownFormat();
// Of the headers of edits that it writes: kFormat, except where a test plays a later version.
[[nodiscard]] std::uint32_t WrittenFormat();

namespace testing {

// From here on this thread is a program that understands headers up to `known`, with whatever
// fields they have, and writes edits in format `written`. For the simulator, where one thread is
// the program of many nodes in turn.
void BecomeVersion(std::uint32_t known, std::uint32_t written);

// While it lives, this thread is a program that understands headers up to `format`.
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
