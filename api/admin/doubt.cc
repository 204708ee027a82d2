// SPDX-License-Identifier: EUPL-1.2
// Doubt about the own past: the administrator's word, and backups.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/admin/administration.h"
#include "api/admin/clock_marks.h"
#include "api/config.h"
#include "api/durable_file.h"
#include "core/crypto/hash.h"

namespace staffel::api {

namespace {

constexpr std::size_t kKeyBytesMax = 4096;

admin::Doubt ShownDoubt(const DoubtState& doubt) {
  admin::Doubt out;
  out.set_in_doubt(doubt.in_doubt);
  out.set_since_ms(doubt.since.value);
  out.set_reason(doubt.reason);
  out.set_cosigning_waits(doubt.cosigning_waits);
  out.set_no_acts_until_term(doubt.no_acts_until_term);
  return out;
}

// SHA-256 and size, as whoever copies the file would compute them. Mapped: it may be larger than
// the memory.
Result<std::pair<std::string, std::uint64_t>> DigestOfFile(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return SystemFailure("cannot be read", path);
  struct stat status {};
  if (::fstat(fd, &status) != 0 || status.st_size == 0) {
    ::close(fd);
    return SystemFailure("cannot be read", path);
  }
  const auto bytes = static_cast<std::size_t>(status.st_size);
  void* mapped = ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
  ::close(fd);
  if (mapped == MAP_FAILED) return SystemFailure("cannot be read", path);
  std::string digest = crypto::Sha256(ByteView(static_cast<const char*>(mapped), bytes)).Hex();
  ::munmap(mapped, bytes);
  return std::pair(std::move(digest), static_cast<std::uint64_t>(bytes));
}

}  // namespace

void Administration::FillDoubt(admin::StatusReply& reply) const {
  *reply.mutable_doubt() = ShownDoubt(options_.store->doubt());
  if (options_.clocks == nullptr) return;
  const auto view = options_.clocks->Look();
  auto* clock = reply.mutable_clock();
  clock->set_clocks(static_cast<std::uint32_t>(view.clocks));
  clock->set_agreed(view.majority_ms.has_value());
  clock->set_ahead_by(view.majority_ms.value_or(0));
  clock->set_wrong(view.wrong());
  clock->set_hub_heard(view.hub_ms.has_value());
  clock->set_hub_ahead_by(view.hub_ms.value_or(0));
}

TimeMs Administration::MarkingNow() const {
  return options_.clocks == nullptr ? options_.clock->Now() : options_.clocks->BoundedNow();
}

void Administration::MarkClocks(admin::Conflict& conflict) const {
  const TimeMs now = MarkingNow();
  for (admin::Head& head : *conflict.mutable_heads()) {
    if (IsAhead(TimeMs{head.time_ms()}, std::nullopt, now)) head.set_clock("ahead");
  }
}

Result<admin::TrustReply> Administration::Trust(const admin::TrustRequest& request, Call&) {
  admin::TrustReply reply;
  const DoubtState before = options_.store->doubt();
  if (before == DoubtState()) {
    return Fail(ErrorCode::kInvalid, "this node has no doubt about its past: nothing to trust");
  }
  STAFFEL_CHECK(
      options_.store->EndDoubt(request.complete() ? DoubtEnd::kVouched : DoubtEnd::kTrusted));
  options_.replicator->Wake();
  *reply.mutable_before() = ShownDoubt(before);
  *reply.mutable_doubt() = ShownDoubt(options_.store->doubt());
  return reply;
}

Result<admin::Job> Administration::Backup(const admin::BackupRequest& request, Call& call) {
  const std::string& path = request.path();
  if (path.empty() || path.front() != '/') {
    return Fail(ErrorCode::kInvalid, "a backup needs an absolute path, not '{}'", path);
  }
  if (path.starts_with(options_.directory + "/")) {
    return Fail(ErrorCode::kInvalid,
                "{} is inside the node's own directory: a backup belongs on another disk", path);
  }
  if (!request.replace() && FileExists(path)) {
    return Fail(ErrorCode::kExists, "{} is there already: choose another name, or --force", path);
  }
  BackupOptions backup;
  backup.path = path + ".part";
  backup.version = options_.version;
  if (request.with_keys()) {
    for (const char* name : {"replica.key", "tls.key"}) {
      STAFFEL_TRY(key, ReadFile(options_.directory + "/" + name, kKeyBytesMax));
      backup.extras.emplace_back(name, std::move(key));
    }
  }
  STAFFEL_TRY(job, jobs_.Make("backup"));
  job->Start([this, backup, path, replace = request.replace()](
                 Job& self, const std::stop_token& stop) -> staffel::Status {
    const auto discard = [&] {
      for (const char* tail : {"", "-journal", "-wal", "-shm"}) {
        ::unlink((backup.path + tail).c_str());
      }
    };
    discard();  // of a backup that was broken off
    const auto work = [&]() -> staffel::Status {
      STAFFEL_TRY(view, options_.store->Backup(backup));
      STAFFEL_TRY(digest, DigestOfFile(backup.path));
      if (stop.stop_requested()) return Fail(ErrorCode::kUnavailable, "this node is stopping");
      if (!replace && FileExists(path)) {
        return Fail(ErrorCode::kExists, "{} has come to be meanwhile: choose another name", path);
      }
      STAFFEL_CHECK(PutInPlace(backup.path, path));
      self.Update([&](admin::Job& state) {
        auto* result = state.mutable_backup();
        result->set_path(path);
        result->set_bytes(digest.second);
        result->set_sha256(digest.first);
        result->set_entries(view.entries);
        result->set_records(view.records);
        result->set_conference_name(view.conference_name);
        if (view.member) result->set_member(std::string(view.member->text()));
        result->set_with_keys(!backup.extras.empty());
        result->set_made_ms(view.made.value);
      });
      return {};
    };
    auto done = work();
    if (!done) {
      discard();
      return Fail(done.error().code, "no backup was made: {}", done.error().message);
    }
    return done;
  });
  return job->State(std::chrono::milliseconds(0), call.closing);
}

}  // namespace staffel::api
