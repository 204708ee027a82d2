// SPDX-License-Identifier: EUPL-1.2
#include "api/admin/jobs.h"

#include <future>
#include <vector>

#include <catch2/catch.hpp>

#include "core/crypto/system_random.h"

namespace staffel::api {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kLong{60'000};

TEST_CASE("whoever asks about a job waits for its end, and hears its result") {
  crypto::SystemRandom random;
  Jobs jobs(random);
  const auto job = *jobs.Make("verify");
  std::promise<void> go;
  job->Start([&](Job& self, const std::stop_token&) -> Status {
    go.get_future().wait();
    self.SetProgress(3, 4);
    self.Update([](v1::admin::Job& state) { state.mutable_verify()->set_entries(7); });
    return {};
  });
  CHECK_FALSE(job->State(milliseconds(0), {}).finished());
  go.set_value();
  const auto state = (*jobs.Find(job->id()))->State(kLong, {});
  CHECK(state.finished());
  CHECK_FALSE(state.has_refusal());
  CHECK(state.verify().entries() == 7);
  // It counted in steps; all of it is done.
  CHECK(state.done() == 4);
}

TEST_CASE("a failure and an exception both become a refusal") {
  crypto::SystemRandom random;
  Jobs jobs(random);
  const auto failing = *jobs.Make("verify");
  failing->Start([](Job&, const std::stop_token&) -> Status {
    return Fail(ErrorCode::kStorage, "disk full");
  });
  CHECK(failing->State(kLong, {}).refusal().code() == "storage");
  const auto throwing = *jobs.Make("verify");
  throwing->Start([](Job&, const std::stop_token&) -> Status { throw std::runtime_error("ouch"); });
  CHECK(throwing->State(kLong, {}).refusal().code() == "internal");
}

TEST_CASE("a cancelled job is asked to stop") {
  crypto::SystemRandom random;
  Jobs jobs(random);
  const auto job = *jobs.Make("verify");
  job->Start([](Job&, const std::stop_token& stop) -> Status {
    std::promise<void> asked;
    const std::stop_callback callback(stop, [&] { asked.set_value(); });
    asked.get_future().wait();
    return Fail(ErrorCode::kUnavailable, "stopped");
  });
  job->Cancel();
  CHECK(job->State(kLong, {}).refusal().message() == "stopped");
  const auto idle = *jobs.Make("import");
  idle->Cancel();
  CHECK(idle->State(kLong, {}).finished());
}

TEST_CASE("only so many jobs at once, and finished ones give way") {
  crypto::SystemRandom random;
  Jobs jobs(random);
  std::vector<std::shared_ptr<Job>> made;
  for (std::size_t i = 0; i < kJobsMax; ++i) made.push_back(*jobs.Make("import"));
  CHECK(jobs.Make("import").error().code == ErrorCode::kUnavailable);
  made.front()->Cancel();
  CHECK(jobs.Make("import"));
  CHECK(jobs.Find(made.front()->id()).error().code == ErrorCode::kNotFound);
  CHECK(jobs.Find("").error().code == ErrorCode::kNotFound);
  jobs.Forget(made.back()->id());
  CHECK(jobs.Make("import"));
}

}  // namespace
}  // namespace staffel::api
