// SPDX-License-Identifier: EUPL-1.2
// Long work: exchange now, verify, import, export.
#include <algorithm>
#include <charconv>
#include <unordered_map>

#include "api/admin/administration.h"
#include "core/base/text.h"
#include "core/crypto/hash.h"
#include "core/record/json.h"
#include "core/record/view.h"

namespace staffel::api {

namespace {

constexpr std::chrono::minutes kSyncMax{60};
constexpr std::size_t kExportBytesMax = std::size_t{4} << 20;

// One op id for what this line wrote in this version of the file: a second import of the same file
// finds its own traces, also where people have changed the records since.
OpId ImportOp(const record::ImportPlan& plan, const record::ImportRecord& line) {
  Bytes all = plan.dataset + '\0' + line.key + '\0';
  for (const auto& write : line.writes) {
    all += std::to_string(write.cell.size()) + ':' + write.cell;
    all += write.value ? std::to_string(write.value->size()) + ':' + *write.value : "-";
  }
  return *OpId::From(crypto::TaggedHash("staffel/1/import", all).bytes().substr(0, OpId::kBytes));
}

// Whether the cell shows this value now, undisputed.
bool Stands(const projection::RecordState& state, const record::CellWrite& write) {
  for (const auto& cell : state.cells) {
    if (cell.cell != write.cell) continue;
    return std::all_of(cell.heads.begin(), cell.heads.end(),
                       [&](const auto& head) { return !head.erased && head.value == write.value; });
  }
  return !write.value;
}

}  // namespace

Result<admin::Job> Administration::SyncNow(const admin::SyncNowRequest&, Call& call) {
  STAFFEL_TRY(job, jobs_.Make("sync"));
  job->Start([this](Job& self, std::stop_token stop) -> staffel::Status {
    // Asked in short pieces, so that the daemon can stop and the progress is seen.
    const auto until = std::chrono::steady_clock::now() + kSyncMax;
    for (;;) {
      const auto begun = options_.replicator->status();
      auto done = options_.replicator->SyncNow(std::chrono::milliseconds(500));
      const auto status = options_.replicator->status();
      const auto& progress = status.progress;
      self.SetProgress(progress.entries_received + progress.entries_sent,
                       progress.entries_received + progress.entries_sent +
                           progress.entries_to_receive + progress.entries_to_send);
      if (done) {
        self.Update([&](admin::Job& state) {
          auto* sync = state.mutable_sync();
          sync->set_received_entries(progress.entries_received);
          sync->set_sent_entries(progress.entries_sent);
          sync->set_last_success_ms(status.last_success.value);
          sync->set_pending_entries(status.own_entries_pending.value_or(0));
          sync->set_peer(status.peer);
          for (const std::string& called : status.called) sync->add_called(called);
        });
        return {};
      }
      // Out of patience only because the piece was short, or has the exchange failed?
      const bool failed =
          done.error().code != ErrorCode::kUnavailable || status.failures > begun.failures ||
          (status.phase == sync::ReplicatorStatus::Phase::kWaiting && !status.last_error.empty());
      if (failed || stop.stop_requested() || std::chrono::steady_clock::now() > until) {
        if (!status.last_error.empty() && done.error().code == ErrorCode::kUnavailable) {
          return Fail(ErrorCode::kUnavailable, "{}", status.last_error);
        }
        return done;
      }
    }
  });
  return job->State(std::chrono::milliseconds(0), call.closing);
}

Result<admin::Job> Administration::Verify(const admin::VerifyRequest&, Call& call) {
  STAFFEL_TRY(job, jobs_.Make("verify"));
  job->Start([this](Job& self, std::stop_token stop) -> staffel::Status {
    STAFFEL_TRY(report, options_.store->Verify([&](std::uint64_t done, std::uint64_t total) {
      self.SetProgress(done, total);
      return !stop.stop_requested();
    }));
    self.Update([&](admin::Job& state) {
      auto* result = state.mutable_verify();
      result->set_entries(report.entries);
      result->set_signatures(report.signatures);
      result->set_records(report.records);
      for (std::string& problem : report.problems) result->add_problems(std::move(problem));
    });
    return {};
  });
  return job->State(std::chrono::milliseconds(0), call.closing);
}

Result<admin::Job> Administration::ImportBegin(const admin::ImportBeginRequest& request,
                                               Call& call) {
  if (!options_.store->own_member()) {
    return Fail(ErrorCode::kDenied,
                "this node belongs to no conference yet: found one (staffel found) or join one "
                "(staffel join)");
  }
  STAFFEL_TRY(job, jobs_.Make("import"));
  job->import = std::make_unique<Job::Import>();
  job->import->request = request;
  return job->State(std::chrono::milliseconds(0), call.closing);
}

Result<admin::Job> Administration::ImportLines(const admin::ImportLinesRequest& request,
                                               Call& call) {
  if (request.lines().size() > kImportPieceBytesMax) {
    return Fail(ErrorCode::kTooLarge, "at most {} bytes of lines a call", kImportPieceBytesMax);
  }
  STAFFEL_TRY(job, jobs_.Find(request.job()));
  const std::lock_guard lock(job->input_mutex);
  if (job->import == nullptr || job->import->complete || job->finished()) {
    return Fail(ErrorCode::kInvalid, "job {} takes no lines", request.job());
  }
  if (auto fed = job->import->reader.Feed(request.lines()); !fed) {
    jobs_.Forget(request.job());
    return Fail(fed.error().code, "{}; nothing was imported", fed.error().message);
  }
  job->import->bytes += request.lines().size();
  return job->State(std::chrono::milliseconds(0), call.closing);
}

Result<admin::Job> Administration::ImportApply(const admin::ImportApplyRequest& request,
                                               Call& call) {
  STAFFEL_TRY(job, jobs_.Find(request.job()));
  {
    const std::lock_guard lock(job->input_mutex);
    if (job->import == nullptr || job->import->complete || job->finished()) {
      return Fail(ErrorCode::kInvalid, "job {} is no import that waits to be applied",
                  request.job());
    }
    job->import->complete = true;
  }
  job->Start([this](Job& self, std::stop_token stop) -> staffel::Status {
    auto done = RunImport(self, std::move(stop));
    if (!done) return Fail(done.error().code, "{}; nothing was imported", done.error().message);
    return done;
  });
  return job->State(std::chrono::milliseconds(0), call.closing);
}

// An id in the file is judged as in any other input; but an export also names what was deleted or
// lies in an audience that was left out.
Result<record::ImportPlan> Administration::ReadImport(record::ImportReader& reader,
                                                      const std::stop_token& stop) {
  STAFFEL_TRY(snapshot, options_.store->Read());
  Call call{stop, {}};
  record::RandomElementIds ids(*options_.random);
  const auto judge = InputFor(snapshot, ids, "", call).check_reference;
  const bool is_export = reader.is_export();
  return reader.Finish([&](std::uint32_t kind, const RecordId& record) -> staffel::Status {
    const auto judged = judge(kind, record);
    if (!judged && is_export && judged.error().code == ErrorCode::kNotFound) return {};
    return judged;
  });
}

staffel::Status Administration::RunImport(Job& job, std::stop_token stop) {
  const auto& request = job.import->request;
  STAFFEL_TRY(plan, ReadImport(job.import->reader, stop));
  job.SetProgress(0, plan.records.size());
  admin::ImportResult result;
  result.set_records(plan.records.size());
  result.set_notice(plan.notice);
  result.set_dataset(plan.dataset);
  std::vector<Edit> edits;
  std::vector<std::size_t> edit_record;  // for each edit, the index of its record
  {
    STAFFEL_TRY(snapshot, options_.store->Read());
    Call call{stop, {}};
    STAFFEL_TRY(author, FindAuthor(snapshot, request.author(), call));
    for (std::size_t i = 0; i < plan.records.size(); ++i) {
      if (stop.stop_requested()) return Fail(ErrorCode::kUnavailable, "the import was stopped");
      auto& line = plan.records[i];
      const auto* kind = record::Kinds().Find(line.kind);
      if (const auto own = RefuseOwnKind(*kind); !own) {
        return Fail(own.error().code, "line {}: {}", line.line, own.error().message);
      }
      const auto found =
          AudienceFor(snapshot, *kind, line.audience.empty() ? request.audience() : line.audience);
      if (!found) return Fail(found.error().code, "line {}: {}", line.line, found.error().message);
      const AudienceId audience = *found;
      std::optional<OpId> op = ImportOp(plan, line);
      const auto existing = snapshot.GetRecord(line.record, audience);
      Bytes before;
      std::vector<record::CellWrite> writes = std::move(line.writes);
      if (existing) {
        if (existing->kind != line.kind) {
          return Fail(ErrorCode::kExists, "line {}: {} is here already, of kind {}", line.line,
                      line.key, record::Kinds().Find(existing->kind)->name);
        }
        // An edit would bring it back, in conflict with the deletion.
        if (existing->deleted || existing->erased) {
          result.set_deleted(result.deleted() + 1);
          continue;
        }
        before = existing->row;
        if (request.overwrite()) op.reset();
        STAFFEL_TRY(state, snapshot.State(*existing));
        std::erase_if(writes, [&](const auto& write) { return Stands(state, write); });
      } else if (existing.error().code != ErrorCode::kNotFound) {
        return tl::unexpected<Error>(existing.error());
      }
      if (const auto own = CheckWriter(*kind, before, writes); !own) {
        // What was imported before is not written again, whoever writes there by now.
        std::optional<EntryId> written;
        if (existing) {
          STAFFEL_TRY(found, EntryOf(snapshot, *existing, op));
          written = found;
        }
        if (!written) {
          return Fail(own.error().code, "line {}: {}", line.line, own.error().message);
        }
      }
      auto made = EditsFor(audience, line.kind, line.record, /*create=*/!existing,
                           std::move(writes), author, op, nullptr);
      if (!made) {
        return Fail(made.error().code, "line {}: {}", line.line, made.error().message);
      }
      if (made->empty()) result.set_unchanged(result.unchanged() + 1);
      for (Edit& edit : *made) {
        edits.push_back(std::move(edit));
        edit_record.push_back(i);
      }
    }
  }
  if (!edits.empty()) {
    ApplyAllOptions options;
    options.progress = [&](std::size_t done) {
      job.SetProgress(edit_record[done - 1] + 1, plan.records.size());
    };
    options.name_of = [&](std::size_t edit) {
      return fmt::format("line {}", plan.records[edit_record[edit]].line);
    };
    options.rehearse = request.dry_run();
    auto applied = options_.store->ApplyAll(edits, options);
    if (!applied) return Forward(applied);
    for (std::size_t i = 0; i < edits.size(); ++i) {
      const bool first = i == 0 || edit_record[i] != edit_record[i - 1];
      if (!first) continue;
      if ((*applied)[i].repeated) {
        result.set_kept(result.kept() + 1);
      } else if (edits[i].records.front().mode == RecordEdit::Mode::kCreate) {
        result.set_created(result.created() + 1);
      } else {
        result.set_changed(result.changed() + 1);
      }
    }
  }
  job.SetProgress(plan.records.size(), plan.records.size());
  job.Update([&](admin::Job& state) { *state.mutable_import() = std::move(result); });
  return {};
}

Result<admin::Job> Administration::JobState(const admin::JobRequest& request, Call& call) {
  STAFFEL_TRY(job, jobs_.Find(request.job()));
  const auto wait = std::min(
      kJobWaitMax, std::chrono::milliseconds(std::min<std::uint64_t>(
                       request.wait_ms(), static_cast<std::uint64_t>(kJobWaitMax.count()))));
  return job->State(wait, call.closing);
}

Result<admin::Job> Administration::JobCancel(const admin::JobRequest& request, Call& call) {
  STAFFEL_TRY(job, jobs_.Find(request.job()));
  job->Cancel();
  auto state = job->State(std::chrono::milliseconds(0), call.closing);
  if (state.finished()) jobs_.Forget(request.job());
  return state;
}

Result<admin::ExportReply> Administration::Export(const admin::ExportRequest& request, Call& call) {
  admin::ExportReply reply;
  STAFFEL_TRY(snapshot, options_.store->Read());
  ListFilter filter;
  filter.limit = request.limit() == 0 ? kPageRecordsMax
                                      : std::min<std::size_t>(request.limit(), kPageRecordsMax);
  if (!request.kind().empty()) {
    STAFFEL_TRY(named, record::Kinds().Named(request.kind()));
    filter.kind = named->number;
  }
  if (!request.audience().empty()) {
    STAFFEL_TRY(audience, FindAudience(snapshot, request.audience()));
    filter.audience = audience;
  }
  STAFFEL_TRY(total, snapshot.Count(filter));
  reply.set_total(total);
  Bytes& lines = *reply.mutable_lines();
  const std::string& page = request.page();
  if (page.empty()) {
    lines = R"({"staffel":"import","version":1,"dataset":"export","keys":"ids")";
    if (IsDemonstration(snapshot)) {
      lines += ",\"notice\":\"Demodaten – keine tatsächlichen Beschlüsse\"";
    }
    lines += "}\n";
  } else if (std::from_chars(page.data(), page.data() + page.size(), filter.after_number).ec !=
             std::errc()) {
    return Fail(ErrorCode::kInvalid, "„{}“ is no page of this export", page);
  }
  const auto own = options_.store->own_member();
  const auto authority = snapshot.authority();
  // What nobody else sees does not leave in a file unless it is asked for.
  const auto own_only = [&](const AudienceId& audience) {
    const auto* found = authority == nullptr ? nullptr : authority->FindAudience(audience);
    return found != nullptr && own && found->readers.size() == 1 && found->readers.front() == *own;
  };
  STAFFEL_TRY(views, snapshot.List(filter));
  std::size_t done = 0;
  for (const RecordView& view : views) {
    if (call.closing.stop_requested()) return Fail(ErrorCode::kUnavailable, "the node stops");
    ++done;
    filter.after_number = view.number;
    const auto* kind = record::Kinds().Find(view.kind);
    // What this version does not understand, and what was erased, no file can give back.
    if (kind == nullptr || view.erased || !RefuseOwnKind(*kind)) continue;
    if (request.audience().empty() && !request.with_own() && own_only(view.audience)) {
      reply.set_left_out(reply.left_out() + 1);
      continue;
    }
    const std::string fields = record::RowToJsonWithIds(*kind, view.row);
    lines += "{\"kind\":";
    record::AppendJsonText(lines, kind->name);
    lines += ",\"key\":\"" + view.record.Hex() + "\",\"audience\":";
    record::AppendJsonText(lines, AudienceName(snapshot, view.audience));
    if (fields.size() > 2) lines += "," + fields.substr(1, fields.size() - 2);
    lines += "}\n";
    reply.set_records(reply.records() + 1);
    if (lines.size() > kExportBytesMax) break;
  }
  if (done < views.size() || views.size() == filter.limit) {
    reply.set_next_page(std::to_string(filter.after_number));
  }
  return reply;
}

}  // namespace staffel::api
