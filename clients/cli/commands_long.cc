// SPDX-License-Identifier: EUPL-1.2
// Long work, with a progress bar where standard error is a terminal: verify, import, export.
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clients/cli/commands.h"
#include "clients/cli/terminal.h"

namespace staffel::cli {

namespace {

// As the node has it: a longer line is refused here, before the rest of it is read.
constexpr std::size_t kLineBytesMax = std::size_t{1} << 20;
constexpr std::size_t kPieceBytes = std::size_t{1} << 20;

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
      Context::Print(fmt::format(
          fmt::runtime(context.T("{} Einträge, {} Unterschriften, {} Datensätze geprüft.\n",
                                 "{} entries, {} signatures, {} records verified.\n")),
          result.entries(), result.signatures(), result.records()));
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
  LineSender sender(context, job->id());
  Progress progress(context.T("Einlesen", "Reading"));
  std::string piece(kPieceBytes, '\0');
  std::uint64_t sent = 0;
  for (;;) {
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
  admin::ImportApplyRequest apply;
  apply.set_job(job->id());
  job = context.Ask<admin::Job>("ImportApply", apply);
  if (!job) return kExitRefused;
  Progress applying(context.T("Übernehmen", "Applying"));
  job = Await(context, std::move(*job), applying);
  if (!job) return kExitRefused;
  if (job->has_refusal()) return context.Refuse(job->refusal());
  if (context.PrintedAsJson(*job)) return kExitDone;
  const auto& result = job->import();
  if (!result.notice().empty()) Context::Print(Clean(result.notice()) + "\n\n");
  if (check_only) {
    Context::Print(fmt::format(fmt::runtime(context.T("{} Datensätze geprüft, nichts übernommen.\n",
                                                      "{} records checked, nothing imported.\n")),
                               result.records()));
  } else if (result.unchanged() == result.records()) {
    Context::Print(fmt::format(
        fmt::runtime(context.T("Nichts zu tun: alle {} Datensätze stehen schon so da.\n",
                               "Nothing to do: all {} records stand so already.\n")),
        result.records()));
  } else {
    Context::Print(fmt::format(
        fmt::runtime(context.T("{} Datensätze: {} angelegt, {} geändert, {} unverändert.\n",
                               "{} records: {} added, {} changed, {} unchanged.\n")),
        result.records(), result.created(), result.changed(), result.unchanged()));
  }
  if (result.kept() > 0) {
    Context::Print(fmt::format(
        fmt::runtime(context.T(
            "{} standen schon einmal genau so in einem Import und sind seither geändert worden: "
            "sie "
            "bleiben, wie sie sind (--overwrite schreibt sie trotzdem).\n",
            "{} were imported just so before and have been changed since: they stay as they are "
            "(--overwrite writes them all the same).\n")),
        result.kept()));
  }
  if (result.deleted() > 0) {
    Context::Print(fmt::format(
        fmt::runtime(context.T("{} sind hier gelöscht und bleiben es (staffel restore).\n",
                               "{} are deleted here and stay so (staffel restore).\n")),
        result.deleted()));
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
  // Into a file beside, renamed at the end: a half export never carries the name that was asked
  // for.
  const std::string part = file + ".part";
  std::FILE* out = stdout;
  if (file != "-") {
    // Contacts are in it: for nobody but the one who asked.
    const int descriptor = ::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    out = descriptor < 0 ? nullptr : ::fdopen(descriptor, "w");
    if (out == nullptr) {
      return context.Refuse(Error{ErrorCode::kStorage, fmt::format("{} cannot be written: {}", part,
                                                                   std::strerror(errno))});
    }
  }
  const auto fail = [&](const char* doing) {
    const int error = errno;
    if (out != stdout) {
      std::fclose(out);
      ::unlink(part.c_str());
    }
    return context.Refuse(
        Error{ErrorCode::kStorage, fmt::format("{} {}: {}", file, doing, std::strerror(error))});
  };
  Progress progress(context.T("Ausgeben", "Exporting"));
  admin::ExportRequest request = what;
  std::uint64_t done = 0;
  std::uint64_t left_out = 0;
  do {
    const auto reply = context.Ask<admin::ExportReply>("Export", request);
    if (!reply) {
      if (out != stdout) {
        std::fclose(out);
        ::unlink(part.c_str());
      }
      return kExitRefused;
    }
    if (std::fwrite(reply->lines().data(), 1, reply->lines().size(), out) != reply->lines().size())
      return fail("cannot be written");
    done += reply->records();
    left_out += reply->left_out();
    progress.Show(done, reply->total());
    request.set_page(reply->next_page());
  } while (!request.page().empty());
  progress.Clear();
  if (std::fflush(out) != 0) return fail("cannot be written");
  if (out == stdout) return kExitDone;
  if (::fsync(::fileno(out)) != 0) return fail("cannot be written");
  std::fclose(out);
  if (std::rename(part.c_str(), file.c_str()) != 0) {
    return context.Refuse(Error{
        ErrorCode::kStorage, fmt::format("{} cannot be written: {}", file, std::strerror(errno))});
  }
  if (context.json) {
    Context::Print(fmt::format("{{\n  \"records\": {},\n  \"left_out\": {}\n}}\n", done, left_out));
  } else {
    Context::Print(fmt::format(fmt::runtime(context.T("{} Datensätze nach {} geschrieben.\n",
                                                      "{} records written to {}.\n")),
                               done, file));
    if (left_out > 0) {
      Context::Print(fmt::format(
          fmt::runtime(context.T(
              "{} Datensätze, die nur dieses Land sieht, sind nicht dabei (--with-own).\n",
              "{} records that only this Land sees are not in it (--with-own).\n")),
          left_out));
    }
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
