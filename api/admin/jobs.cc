// SPDX-License-Identifier: EUPL-1.2
#include "api/admin/jobs.h"

#include <exception>
#include <utility>
#include <vector>

namespace staffel::api {

Job::Job(std::string id, std::string what)
    : id_(std::move(id)), last_asked_(std::chrono::steady_clock::now()) {
  state_.set_id(id_);
  state_.set_what(std::move(what));
}

Job::~Job() {
  if (thread_.joinable()) {
    thread_.request_stop();
    thread_.join();
  }
}

void Job::Start(Work work) {
  // A cancellation may come from another request at the same time.
  const std::lock_guard lock(mutex_);
  thread_ = std::jthread([this, work = std::move(work)](std::stop_token stop) {
    try {
      Finish(work(*this, std::move(stop)));
    } catch (const std::exception& exception) {
      // An edge: a thread has nobody above who could catch.
      Finish(Fail(ErrorCode::kInternal, "the job failed: {}", exception.what()));
    }
  });
}

void Job::Finish(const Status& status) {
  const std::lock_guard lock(mutex_);
  if (state_.finished()) return;
  if (!status) {
    state_.mutable_refusal()->set_code(std::string(ErrorCodeName(status.error().code)));
    state_.mutable_refusal()->set_message(status.error().message);
  } else if (state_.total() > 0) {
    // Whoever counts in steps reports the last whole one.
    state_.set_done(state_.total());
  }
  state_.set_finished(true);
  last_asked_ = std::chrono::steady_clock::now();
  changed_.notify_all();
}

void Job::Cancel() {
  const std::lock_guard lock(mutex_);
  thread_.request_stop();
  if (thread_.joinable() || state_.finished()) return;
  state_.mutable_refusal()->set_code(std::string(ErrorCodeName(ErrorCode::kUnavailable)));
  state_.mutable_refusal()->set_message("cancelled");
  state_.set_finished(true);
  changed_.notify_all();
}

void Job::SetProgress(std::uint64_t done, std::uint64_t total) {
  const std::lock_guard lock(mutex_);
  state_.set_done(done);
  state_.set_total(total);
}

v1::admin::Job Job::State(std::chrono::milliseconds at_most, std::stop_token stop) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::move(stop), at_most, [this] { return state_.finished(); });
  last_asked_ = std::chrono::steady_clock::now();
  return state_;
}

void Job::Update(const std::function<void(v1::admin::Job&)>& change) {
  const std::lock_guard lock(mutex_);
  change(state_);
}

bool Job::finished() const {
  const std::lock_guard lock(mutex_);
  return state_.finished();
}

std::chrono::steady_clock::time_point Job::last_asked() const {
  const std::lock_guard lock(mutex_);
  return last_asked_;
}

Result<std::shared_ptr<Job>> Jobs::Make(std::string what) {
  std::vector<std::shared_ptr<Job>> dropped;  // destroyed outside the lock: that may wait
  const std::lock_guard lock(mutex_);
  if (stopped_) return Fail(ErrorCode::kUnavailable, "the node stops");
  const auto now = std::chrono::steady_clock::now();
  for (auto it = jobs_.begin(); it != jobs_.end();) {
    const bool arriving = it->second->import != nullptr && !it->second->finished();
    const bool idle = now - it->second->last_asked() > kJobIdleMax;
    if (idle && (arriving || it->second->finished())) {
      dropped.push_back(std::move(it->second));
      it = jobs_.erase(it);
    } else {
      ++it;
    }
  }
  // Finished ones give way to new ones.
  for (auto it = jobs_.begin(); it != jobs_.end() && jobs_.size() >= kJobsMax;) {
    if (it->second->finished()) {
      dropped.push_back(std::move(it->second));
      it = jobs_.erase(it);
    } else {
      ++it;
    }
  }
  if (jobs_.size() >= kJobsMax) {
    return Fail(ErrorCode::kUnavailable,
                "{} long tasks are under way on this node already: wait until one has ended",
                jobs_.size());
  }
  auto job = std::make_shared<Job>(ToHex(random_.Draw(8)), std::move(what));
  jobs_.emplace(job->id(), job);
  return job;
}

Result<std::shared_ptr<Job>> Jobs::Find(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) {
    return Fail(ErrorCode::kNotFound,
                "there is no job {}: it was never begun here, or was "
                "forgotten when it was idle or the daemon restarted",
                id);
  }
  return found->second;
}

void Jobs::Forget(const std::string& id) {
  std::shared_ptr<Job> dropped;
  const std::lock_guard lock(mutex_);
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return;
  dropped = std::move(found->second);
  jobs_.erase(found);
}

void Jobs::StopAll() {
  std::map<std::string, std::shared_ptr<Job>> all;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    all.swap(jobs_);
  }
  for (auto& [id, job] : all) job->Cancel();
}

}  // namespace staffel::api
