// SPDX-License-Identifier: EUPL-1.2
// Long work, with a progress bar where standard error is a terminal: verify, import, export.
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clients/cli/commands.h"
#include "clients/cli/output_file.h"
#include "clients/cli/terminal.h"

namespace staffel::cli {

namespace {

// As the node has it: a longer line is refused here, before the rest of it is read.
constexpr std::size_t kLineBytesMax = std::size_t{1} << 20;
constexpr std::size_t kPieceBytes = std::size_t{1} << 20;
constexpr Noun kSignatures{"Unterschrift", "Unterschriften", "signature", "signatures"};

void AddVerify(CLI::App& app, Context& context, Run& run) {
  auto* command = app.add_subcommand(
      "verify", context.T("Alles nachrechnen: Hashes, Ketten, Unterschriften, Zustand",
                          "Recompute everything: hashes, chains, signatures, state"));
  auto handover = std::make_shared<std::string>();
  auto* protocol =
      command
          ->add_option(
              "--handover", *handover,
              context.T(
                  "Nur das Übergabeprotokoll prüfen: Nummer der Amtszeit, die damit begann "
                  "(ohne sie die jetzige), oder eine Datei, die ein anderer Knoten gedruckt hat",
                  "Check only a handover's protocol: the number of the term that began "
                  "with it (without one the present term), or a file that another node has "
                  "printed"))
          ->expected(0, 1)
          ->type_name("TERM|FILE");
  command->callback([&context, &run, handover, protocol] {
    run = [&context, handover, asked = protocol->count() > 0] {
      if (asked) return VerifyHandover(context, *handover);
      auto begun = context.Ask<admin::Job>("Verify", admin::VerifyRequest());
      if (!begun) return kExitRefused;
      Progress progress(context.T("Prüfung", "Verifying"));
      const auto job = Await(context, std::move(*begun), progress);
      if (!job) return kExitRefused;
      if (job->has_refusal()) return context.Refuse(job->refusal());
      const auto& result = job->verify();
      const int code = result.problems().empty() ? kExitDone : kExitRefused;
      if (context.PrintedAsJson(*job)) return code;
      Context::Print(fmt::format("{}, {}, {} {}.\n", context.Count(result.entries(), kEntries),
                                 context.Count(result.signatures(), kSignatures),
                                 context.Count(result.records(), kRecords),
                                 context.T("geprüft", "verified")));
      if (result.problems().empty()) {
        Context::Print(context.T("Alles ist in Ordnung.\n", "All is sound.\n"));
        return code;
      }
      for (const std::string& problem : result.problems())
        fmt::print(stderr, "staffel: {}\n", Clean(context.Sentence(problem)));
      return code;
    };
  });
}

// Sends a file in pieces. Counts the length of the current line, so that one without end is refused
// at its limit and not read to its end.
class LineSender {
 public:
  LineSender(Context& context, std::string job) : context_(context), job_(std::move(job)) {}

  // Nothing, or the exit code.
  std::optional<int> Send(std::string_view piece, admin::Job& state) {
    for (std::size_t at = 0; at < piece.size();) {
      const auto end = piece.find('\n', at);
      const std::size_t stop = end == std::string_view::npos ? piece.size() : end;
      line_bytes_ += stop - at;
      if (line_bytes_ > kLineBytesMax) {
        Cancel();
        return context_.Refuse(
            Error{ErrorCode::kTooLarge,
                  fmt::format(
                      "line {}: is longer than {} bytes, the limit of a line; nothing was imported",
                      line_, kLineBytesMax)});
      }
      if (end == std::string_view::npos) break;
      ++line_;
      line_bytes_ = 0;
      at = end + 1;
    }
    admin::ImportLinesRequest request;
    request.set_job(job_);
    request.set_lines(std::string(piece));
    auto reply = context_.Ask<admin::Job>("ImportLines", request);
    if (!reply) {
      Cancel();
      return kExitRefused;
    }
    state = std::move(*reply);
    return std::nullopt;
  }
  void Cancel() {
    admin::JobRequest request;
    request.set_job(job_);
    // Whether this arrives does not matter: the node forgets idle imports by itself.
    (void)client_cancel(request);
  }

 private:
  bool client_cancel(const admin::JobRequest& request) {
    auto path = client::FindSocket(context_.node);
    if (!path) return false;
    client::Client other(std::move(*path));
    return other.Call<admin::Job>("JobCancel", request).has_value();
  }

  Context& context_;
  std::string job_;
  std::size_t line_ = 1;
  std::size_t line_bytes_ = 0;
};

volatile std::sig_atomic_t interruptions = 0;

// While it lives Ctrl-C ends nothing: it interrupts what waits, and is counted.
class Interruptions {
 public:
  Interruptions() {
    interruptions = 0;
    struct sigaction counted {};
    counted.sa_handler = [](int) { interruptions = interruptions + 1; };
    ::sigaction(SIGINT, nullptr, &before_);
    // In the background of a script it is ignored, and stays so.
    if (before_.sa_handler != SIG_IGN) ::sigaction(SIGINT, &counted, nullptr);
  }
  ~Interruptions() { ::sigaction(SIGINT, &before_, nullptr); }
  Interruptions(const Interruptions&) = delete;
  Interruptions& operator=(const Interruptions&) = delete;
  [[nodiscard]] int count() const { return static_cast<int>(interruptions); }

 private:
  struct sigaction before_ {};
};

// The outcome of an import that the node applies; nothing where there is none to be had, and the
// reason is said. Ctrl-C cancels it as long as the node only checks. What it has begun to write it
// writes to the end, which a second Ctrl-C does not wait for.
std::optional<admin::Job> AwaitApplied(Context& context, admin::Job job,
                                       const Interruptions& interrupted) {
  Progress progress(context.T("Übernehmen", "Applying"));
  bool cancelled = false;
  while (!job.finished()) {
    progress.Show(job.done(), job.total());
    if (interrupted.count() > 1) {
      progress.Clear();
      (void)context.Refuse(Error{
          ErrorCode::kUnavailable,
          "interrupted; what the node has begun to write it writes to the end: staffel import "
          "--check with the same file says whether it is done"});
      return std::nullopt;
    }
    admin::JobRequest request;
    request.set_job(job.id());
    const bool cancels = interrupted.count() > 0 && !cancelled;
    if (!cancels) request.set_wait_ms(300);
    auto reply = context.Ask<admin::Job>(cancels ? "JobCancel" : "JobState", request);
    if (!reply) return std::nullopt;
    job = std::move(*reply);
    cancelled = cancelled || cancels;
    if (!cancels || job.finished() || context.json) continue;
    progress.Clear();
    fmt::print(
        stderr, "{}\n",
        context.T("Abbruch verlangt; was der Knoten schon schreibt, schreibt er zu Ende. Noch "
                  "einmal Strg-C wartet nicht darauf.",
                  "Cancelling; what the node is writing already it writes to the end. Ctrl-C "
                  "once more does not wait for that."));
  }
  return job;
}

int Import(Context& context, const std::string& file, const std::string& audience, bool check_only,
           bool overwrite) {
  int fd = STDIN_FILENO;
  std::uint64_t size = 0;
  if (file != "-") {
    fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat status {};
    if (fd < 0 || ::fstat(fd, &status) != 0 || S_ISDIR(status.st_mode)) {
      const int error = fd < 0 ? errno : EISDIR;
      if (fd >= 0) ::close(fd);
      return context.Refuse(Error{
          ErrorCode::kNotFound, fmt::format("{} cannot be read: {}", file, std::strerror(error))});
    }
    size = S_ISREG(status.st_mode) ? static_cast<std::uint64_t>(status.st_size) : 0;
  }
  struct Close {
    int fd;
    ~Close() {
      if (fd > STDERR_FILENO) ::close(fd);
    }
  } const close{fd};

  admin::ImportBeginRequest begin;
  begin.set_audience(audience);
  begin.set_author(context.author);
  begin.set_dry_run(check_only);
  begin.set_overwrite(overwrite);
  auto job = context.Ask<admin::Job>("ImportBegin", begin);
  if (!job) return kExitRefused;
  const Interruptions interrupted;
  LineSender sender(context, job->id());
  const auto stop = [&] {
    sender.Cancel();
    return context.Refuse(Error{ErrorCode::kUnavailable, "interrupted; nothing was imported"});
  };
  Progress progress(context.T("Einlesen", "Reading"));
  std::string piece(kPieceBytes, '\0');
  std::uint64_t sent = 0;
  for (;;) {
    if (interrupted.count() > 0) return stop();
    const ssize_t got = ::read(fd, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      sender.Cancel();
      return context.Refuse(Error{
          ErrorCode::kStorage, fmt::format("{} cannot be read: {}", file, std::strerror(errno))});
    }
    if (got == 0) break;
    if (const auto code =
            sender.Send(std::string_view(piece.data(), static_cast<std::size_t>(got)), *job))
      return *code;
    sent += static_cast<std::uint64_t>(got);
    progress.Show(sent, size);
  }
  progress.Clear();
  if (interrupted.count() > 0) return stop();
  admin::ImportApplyRequest apply;
  apply.set_job(job->id());
  job = context.Ask<admin::Job>("ImportApply", apply);
  if (!job) return kExitRefused;
  job = AwaitApplied(context, std::move(*job), interrupted);
  if (!job) return kExitRefused;
  if (job->has_refusal()) return context.Refuse(job->refusal());
  if (context.PrintedAsJson(*job)) return kExitDone;
  const auto& result = job->import();
  const std::string records = context.Count(result.records(), kRecords);
  if (!result.notice().empty()) Context::Print(Clean(result.notice()) + "\n\n");
  if (check_only) {
    Context::Print(fmt::format(
        fmt::runtime(context.T(
            "{} geprüft, nichts übernommen: {} neu, {} anders als hier, {} unverändert.\n",
            "{} checked, nothing imported: {} new, {} different here, {} unchanged.\n")),
        records, result.created(), result.changed(), result.unchanged()));
  } else if (result.unchanged() == result.records()) {
    Context::Print(
        fmt::format(fmt::runtime(context.T("Nichts zu tun: {}, es stand alles schon so da.\n",
                                           "Nothing to do: {}, and all of it stood so already.\n")),
                    records));
  } else {
    Context::Print(
        fmt::format(fmt::runtime(context.T("{}: {} angelegt, {} geändert, {} unverändert.\n",
                                           "{}: {} added, {} changed, {} unchanged.\n")),
                    records, result.created(), result.changed(), result.unchanged()));
  }
  if (result.kept() > 0) {
    Context::Print(fmt::format(
        fmt::runtime(context.T(
            "Schon einmal genau so importiert und seither geändert: {}; es bleibt, wie es ist "
            "(--overwrite schreibt trotzdem).\n",
            "Imported just so before and changed since: {}; left as it is (--overwrite writes all "
            "the same).\n")),
        context.Count(result.kept(), kRecords)));
  }
  if (result.deleted() > 0) {
    Context::Print(
        fmt::format(fmt::runtime(context.T("Hier gelöscht, und bleibt es: {} (staffel restore).\n",
                                           "Deleted here, and stays so: {} (staffel restore).\n")),
                    context.Count(result.deleted(), kRecords)));
  }
  return kExitDone;
}

void AddImport(CLI::App& app, Context& context, Run& run) {
  struct Options {
    std::string file, audience;
    bool check = false, overwrite = false;
  };
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand(
      "import", context.T("Datensätze aus einer Datei übernehmen: alle oder keinen",
                          "Take records from a file: all or none"));
  command
      ->add_option("file", options->file,
                   context.T("JSON Lines; - von der Eingabe", "JSON Lines; - from standard input"))
      ->required()
      ->type_name("FILE");
  command
      ->add_option("--audience", options->audience,
                   context.T("Kreis, der sie sieht (sonst laender)",
                             "Audience that sees them (else laender)"))
      ->type_name("NAME");
  command->add_flag("--check", options->check, context.T("Nur prüfen", "Only check"));
  command->add_flag("--overwrite", options->overwrite,
                    context.T("Auch schreiben, was schon einmal so importiert und seither geändert "
                              "wurde",
                              "Also write what was imported just so before and changed since"));
  command->callback([&context, &run, options] {
    run = [&context, options] {
      return Import(context, options->file, options->audience, options->check, options->overwrite);
    };
  });
}

int Export(Context& context, const admin::ExportRequest& what, const std::string& file) {
  OutputFile out(context);
  // Contacts are in it: for nobody but the one who asked.
  if (!out.Open(file, 0600)) return kExitRefused;
  Progress progress(context.T("Ausgeben", "Exporting"));
  admin::ExportRequest request = what;
  std::uint64_t done = 0;
  std::uint64_t left_out = 0;
  do {
    const auto reply = context.Ask<admin::ExportReply>("Export", request);
    if (!reply || !out.Write(reply->lines())) return kExitRefused;
    done += reply->records();
    left_out += reply->left_out();
    progress.Show(done, reply->total());
    request.set_page(reply->next_page());
  } while (!request.page().empty());
  progress.Clear();
  if (!out.Finish()) return kExitRefused;
  // Standard output is the export's where it has no file.
  const bool to_output = file == "-";
  const std::string summary =
      context.json
          ? fmt::format("{{\n  \"records\": {},\n  \"left_out\": {}\n}}\n", done, left_out)
          : fmt::format(fmt::runtime(context.T("{} nach {} geschrieben.\n", "{} written to {}.\n")),
                        context.Count(done, kRecords), file);
  std::string text = context.json || !to_output ? summary : std::string();
  if (left_out > 0 && !context.json) {
    text += fmt::format(
        fmt::runtime(context.T("Nicht dabei: {}, die nur dieses Land sieht (--with-own).\n",
                               "Not in it: {} that only this Land sees (--with-own).\n")),
        context.Count(left_out, kRecords));
  }
  if (to_output) {
    fmt::print(stderr, "{}", text);
  } else {
    Context::Print(text);
  }
  return kExitDone;
}

void AddExport(CLI::App& app, Context& context, Run& run) {
  struct Options {
    std::string kind, audience, file = "-";
    bool with_own = false;
  };
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand(
      "export",
      context.T("Datensätze ausgeben, wie import sie liest", "Write records as import reads them"));
  command->add_option("kind", options->kind, context.T("Nur diese Art", "Only this kind"))
      ->type_name("KIND");
  command
      ->add_option("-o,--output", options->file,
                   context.T("Datei (sonst die Ausgabe)", "File (else standard output)"))
      ->type_name("FILE");
  command
      ->add_option("--audience", options->audience,
                   context.T("Nur dieser Kreis", "Only this audience"))
      ->type_name("NAME");
  command->add_flag("--with-own", options->with_own,
                    context.T("Auch, was nur dieses Land sieht", "Also what only this Land sees"));
  command->callback([&context, &run, options] {
    run = [&context, options] {
      admin::ExportRequest request;
      request.set_kind(options->kind);
      request.set_audience(options->audience);
      request.set_with_own(options->with_own);
      return Export(context, request, options->file);
    };
  });
}

}  // namespace

std::optional<admin::Job> Await(Context& context, admin::Job job, Progress& progress) {
  while (!job.finished()) {
    progress.Show(job.done(), job.total());
    admin::JobRequest request;
    request.set_job(job.id());
    request.set_wait_ms(300);
    auto reply = context.Ask<admin::Job>("JobState", request);
    if (!reply) return std::nullopt;
    job = std::move(*reply);
  }
  progress.Clear();
  return job;
}

void AddLongCommands(CLI::App& app, Context& context, Run& run) {
  AddVerify(app, context, run);
  AddImport(app, context, run);
  AddExport(app, context, run);
}

}  // namespace staffel::cli
