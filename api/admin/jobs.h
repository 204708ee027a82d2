// SPDX-License-Identifier: EUPL-1.2
// Long work that somebody asks about by an id: each job has a thread of its own, or none yet while
// its input arrives. Finished ones are remembered for a while. What they do is the
// administration's.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

#include "core/base/random.h"
#include "core/base/result.h"
#include "core/record/import.h"
#include "staffel/v1/admin.pb.h"

namespace staffel::api {

inline constexpr std::size_t kJobsMax = 16;
inline constexpr std::chrono::minutes kJobIdleMax{10};
inline constexpr std::chrono::milliseconds kJobWaitMax{20'000};

// Shared by the jobs' list, the job's thread and requests about it.
class Job {
 public:
  Job(std::string id, std::string what);
  ~Job();  // asks its thread to stop and waits for it

  using Work = std::function<Status(Job&, std::stop_token)>;
  // Runs `work` on a thread of its own. Once.
  void Start(Work work);
  // The end without a thread.
  void Finish(const Status& status);
  void Cancel();
  void SetProgress(std::uint64_t done, std::uint64_t total);

  [[nodiscard]] const std::string& id() const { return id_; }
  // As it stands; with a wait, as soon as it has ended or after `at_most`.
  [[nodiscard]] v1::admin::Job State(std::chrono::milliseconds at_most, std::stop_token stop);
  // Fills in the result; the caller's function runs under the job's lock.
  void Update(const std::function<void(v1::admin::Job&)>& change);

  // An import's input, while it arrives: taken by one request at a time under `input_mutex`.
  struct Import {
    record::ImportReader reader;
    v1::admin::ImportBeginRequest request;
    std::uint64_t bytes = 0;
    bool complete = false;
  };
  std::mutex input_mutex;
  std::unique_ptr<Import> import;

  [[nodiscard]] bool finished() const;
  [[nodiscard]] std::chrono::steady_clock::time_point last_asked() const;

 private:
  const std::string id_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  v1::admin::Job state_;
  std::chrono::steady_clock::time_point last_asked_;
  std::jthread thread_;
};

// Any thread.
class Jobs {
 public:
  explicit Jobs(Random& random) : random_(random) {}
  ~Jobs() { StopAll(); }

  // kUnavailable where kJobsMax are under way.
  [[nodiscard]] Result<std::shared_ptr<Job>> Make(std::string what);
  // kNotFound: never there, or forgotten since.
  [[nodiscard]] Result<std::shared_ptr<Job>> Find(const std::string& id);
  void Forget(const std::string& id);
  // Ends all, and lets none begin any more.
  void StopAll();

 private:
  Random& random_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Job>> jobs_;
  bool stopped_ = false;
};

}  // namespace staffel::api
