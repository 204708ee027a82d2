// SPDX-License-Identifier: EUPL-1.2
// Randomness and time as a simulation has them: everything follows from a seed, and the clock
// stands until somebody moves it. Both may be shared by threads; who wants exact replay uses one
// thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "core/base/clock.h"
#include "core/base/random.h"
#include "core/base/time.h"

namespace staffel::testing {

// splitmix64: small, good enough for choosing faults, and the same on every machine.
class SimRandom : public Random {
 public:
  // Mixed, because the generator itself goes on in equal steps: neighbouring seeds would otherwise
  // give the same numbers a step apart.
  explicit SimRandom(std::uint64_t seed) : state_(Mix(seed + 0x6a09e667f3bcc909u)) {}

  [[nodiscard]] Bytes Draw(std::size_t size) override {
    Bytes bytes(size, '\0');
    for (std::size_t at = 0; at < size; at += 8) {
      std::uint64_t word = Next();
      for (std::size_t index = at; index < size && index < at + 8; ++index) {
        bytes[index] = static_cast<char>(word & 0xff);
        word >>= 8;
      }
    }
    return bytes;
  }

  [[nodiscard]] std::uint64_t Next() {
    const std::lock_guard lock(mutex_);
    return Mix(state_ += 0x9e3779b97f4a7c15u);
  }
  // 0 … bound-1; the slight bias does not matter here.
  [[nodiscard]] std::uint64_t Below(std::uint64_t bound) { return bound == 0 ? 0 : Next() % bound; }
  [[nodiscard]] bool Chance(std::uint64_t percent) { return Below(100) < percent; }

 private:
  static std::uint64_t Mix(std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  std::mutex mutex_;
  std::uint64_t state_;
};

// 1 July 2024, 00:00 in Berlin: the term of the fixture begins.
inline constexpr std::uint64_t kSimStartMs = 1'719'784'800'000;

class SimClock : public Clock {
 public:
  explicit SimClock(std::uint64_t start_ms = kSimStartMs) : now_ms_(start_ms) {}
  [[nodiscard]] TimeMs Now() override { return TimeMs{now_ms_}; }
  void Advance(std::uint64_t milliseconds) { now_ms_ += milliseconds; }
  void Set(std::uint64_t milliseconds) { now_ms_ = milliseconds; }
  [[nodiscard]] std::uint64_t now_ms() const { return now_ms_; }

 private:
  std::atomic<std::uint64_t> now_ms_;
};

}  // namespace staffel::testing
