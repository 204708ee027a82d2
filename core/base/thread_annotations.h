// SPDX-License-Identifier: EUPL-1.2
// A mutex that clang's -Wthread-safety understands, and the annotations for what it guards.
// https://clang.llvm.org/docs/ThreadSafetyAnalysis.html; g++ ignores them.
#pragma once

#include <mutex>

#if defined(__clang__)
#define STAFFEL_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define STAFFEL_THREAD_ANNOTATION(x)
#endif

#define STAFFEL_CAPABILITY(x) STAFFEL_THREAD_ANNOTATION(capability(x))
#define STAFFEL_SCOPED_CAPABILITY STAFFEL_THREAD_ANNOTATION(scoped_lockable)
#define STAFFEL_GUARDED_BY(x) STAFFEL_THREAD_ANNOTATION(guarded_by(x))
#define STAFFEL_REQUIRES(...) STAFFEL_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define STAFFEL_EXCLUDES(...) STAFFEL_THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))
#define STAFFEL_ACQUIRE(...) STAFFEL_THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define STAFFEL_RELEASE(...) STAFFEL_THREAD_ANNOTATION(release_capability(__VA_ARGS__))
#define STAFFEL_TRY_ACQUIRE(...) STAFFEL_THREAD_ANNOTATION(try_acquire_capability(__VA_ARGS__))
#define STAFFEL_NO_THREAD_SAFETY_ANALYSIS STAFFEL_THREAD_ANNOTATION(no_thread_safety_analysis)

namespace staffel {

// std::mutex with annotations. Works with std::condition_variable_any through MutexLock.
class STAFFEL_CAPABILITY("mutex") Mutex {
 public:
  void lock() STAFFEL_ACQUIRE() { mutex_.lock(); }
  void unlock() STAFFEL_RELEASE() { mutex_.unlock(); }
  bool try_lock() STAFFEL_TRY_ACQUIRE(true) { return mutex_.try_lock(); }

 private:
  std::mutex mutex_;
};

// Locks for a scope; may be unlocked and locked in between, as a condition variable does.
class STAFFEL_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) STAFFEL_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~MutexLock() STAFFEL_RELEASE() {
    if (held_) mutex_.unlock();
  }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;
  void lock() STAFFEL_ACQUIRE() {
    mutex_.lock();
    held_ = true;
  }
  void unlock() STAFFEL_RELEASE() {
    held_ = false;
    mutex_.unlock();
  }

 private:
  Mutex& mutex_;
  bool held_ = true;
};

}  // namespace staffel
