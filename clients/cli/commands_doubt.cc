// SPDX-License-Identifier: EUPL-1.2
// Backups and doubts: backup, trust; and the part of restore that concerns a whole node.
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clients/cli/commands.h"
#include "clients/cli/terminal.h"

namespace staffel::cli {

namespace {

void AddBackup(CLI::App& app, Context& context, Run& run) {
  struct Options {
    std::string file;
    bool force = false, keys = false;
  };
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand(
      "backup", context.T("Den ganzen Bestand in eine Datei sichern, bei laufendem Betrieb",
                          "Back up everything into one file, while work goes on"));
  command
      ->add_option("file", options->file,
                   context.T("Die Datei; am besten auf einem anderen Datenträger",
                             "The file; best on another disk"))
      ->required()
      ->type_name("FILE");
  command->add_flag("--force", options->force,
                    context.T("Eine vorhandene Datei ersetzen", "Replace a file that is there"));
  command->add_flag("--with-keys", options->keys,
                    context.T("Auch die Schlüssel des Knotens: Wer die Datei hat, kann dann als "
                              "dieser Knoten auftreten",
                              "The node's keys, too: whoever has the file can then pose as this "
                              "node"));
  command->callback([&context, &run, options] {
    run = [&context, options] {
      admin::BackupRequest request;
      std::error_code error;
      request.set_path(std::filesystem::absolute(options->file, error).lexically_normal().string());
      request.set_replace(options->force);
      request.set_with_keys(options->keys);
      auto begun = context.Ask<admin::Job>("Backup", request);
      if (!begun) return kExitRefused;
      Progress progress(context.T("Sicherung", "Backup"));
      const auto job = Await(context, std::move(*begun), progress);
      if (!job) return kExitRefused;
      if (job->has_refusal()) return context.Refuse(job->refusal());
      if (context.PrintedAsJson(*job)) return kExitDone;
      const auto& result = job->backup();
      Context::Print(fmt::format(
          "{}: {}, {}, {}, {}.\nSHA-256 {}\n", Clean(result.path()),
          context.Count(result.records(), kRecords), context.Count(result.entries(), kEntries),
          SizeText(context, result.bytes()), context.T("geprüft", "checked"), result.sha256()));
      Context::Print(
          result.with_keys()
              ? context.T(
                    "Die Schlüssel des Knotens sind darin: so geheim halten wie sie selbst.\n",
                    "The node's keys are in it: keep it as secret as they are.\n")
              : context.T("Die Schlüssel (replica.key, tls.key) sind nicht darin: getrennt "
                          "aufheben; ohne sie nützt die Sicherung nichts.\n",
                          "The keys (replica.key, tls.key) are not in it: keep them elsewhere; "
                          "without them the backup is of no use.\n"));
      return kExitDone;
    };
  });
}

std::string TrustQuestion(const Context& context, bool complete) {
  const std::string what =
      complete ? context.T(
                     "Sie verbürgen, dass nichts fehlt: dass also nur die Datei staffel.twin "
                     "verloren ging und keine Sicherung eingespielt wurde. War es doch eine "
                     "Sicherung, können Amtshandlungen und Mitzeichnungen doppelt geschehen.\n",
                     "You vouch that nothing is missing: that only the file staffel.twin was "
                     "lost, and no backup was restored. If it was one after all, acts of the "
                     "chair and cosignatures can happen twice.\n")
               : context.T(
                     "Der Knoten bedient andere und Menschen wieder, ohne vorher bei einem "
                     "anderen geholt zu haben, was ihm fehlen mag: auch Löschungen und "
                     "Ausschlüsse, die er noch nicht kennt. Besser ist ein Austausch; er beendet "
                     "den Zweifel von selbst.\n",
                     "The node serves others and people again without having fetched from "
                     "another one what it may lack: erasures and removals, too, that it does not "
                     "know yet. An exchange is better; it ends the doubt by itself.\n");
  return what + context.T("Trotzdem? Dann „ja“ eingeben: ", "Go on? Then type 'yes': ");
}

void AddTrust(CLI::App& app, Context& context, Run& run) {
  struct Options {
    bool complete = false, yes = false;
  };
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand(
      "trust",
      context.T("Einen Knoten, der an seiner Vergangenheit zweifelt, wieder bedienen lassen",
                "Let a node that is in doubt about its past serve again"));
  command->add_flag("--complete", options->complete,
                    context.T("Diese Datenbank ist sicher die letzte, die dieser Knoten schrieb",
                              "This database surely is the last that this node wrote"));
  command->add_flag("--yes", options->yes, context.T("Nicht nachfragen", "Do not ask"));
  command->callback([&context, &run, options] {
    run = [&context, options] {
      const auto status = context.Ask<admin::StatusReply>("Status", admin::StatusRequest());
      if (!status) return kExitRefused;
      // Without a doubt there is nothing to agree to: the node refuses, and says so.
      if (!options->yes && status->doubt().ByteSizeLong() > 0) {
        // A program that answers need not be told what it is asked, and reads the refusal as JSON.
        const bool says = !context.json || IsTerminal(STDIN_FILENO);
        if (!Confirmed(says ? TrustQuestion(context, options->complete) : std::string())) {
          return context.Refuse(Error{ErrorCode::kInvalid, "not confirmed: nothing was changed"});
        }
      }
      admin::TrustRequest request;
      request.set_complete(options->complete);
      const auto reply = context.Ask<admin::TrustReply>("Trust", request);
      if (!reply) return kExitRefused;
      if (context.PrintedAsJson(*reply)) return kExitDone;
      Context::Print(context.T("Der Knoten bedient wieder.\n", "The node serves again.\n"));
      if (reply->doubt().cosigning_waits()) {
        Context::Print(context.T(
            "Änderungen der Satzung zeichnet er erst nach einem Austausch mit; hat er den Vorsitz, "
            "ruhen seine Amtshandlungen bis zur nächsten Amtszeit.\n",
            "It cosigns changes of the charter only after an exchange; if it has the chair, its "
            "acts "
            "rest until the next term.\n"));
      }
      return kExitDone;
    };
  });
}

// staffeld stands beside staffel; where it does not, the path is searched.
std::string Daemon() {
  std::array<char, PATH_MAX> self{};
  const ssize_t size = ::readlink("/proc/self/exe", self.data(), self.size() - 1);
  if (size > 0) {
    const auto beside = std::filesystem::path(self.data()).parent_path() / "staffeld";
    std::error_code error;
    if (std::filesystem::exists(beside, error)) return beside.string();
  }
  return "staffeld";
}

}  // namespace

int RestoreNode(Context& context, const std::string& file, const std::string& config) {
  // The node's directory, its lock and its keys are staffeld's business: it does the work, and
  // refuses where a node runs. What it says goes to this process's own output.
  std::string daemon = Daemon();
  std::vector<std::string> words{daemon,   "--config",           config, "--restore", file,
                                 "--lang", context.T("de", "en")};
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t child = 0;
  const int failed =
      ::posix_spawnp(&child, daemon.c_str(), nullptr, nullptr, arguments.data(), environ);
  if (failed != 0) {
    return context.Refuse(Error{
        ErrorCode::kStorage, fmt::format("{} cannot be run: {}", daemon, std::strerror(failed))});
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return kExitRefused;
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return kExitRefused;
  if (context.json) return kExitDone;
  Context::Print(context.T(
      "Beim nächsten Start ist der Knoten im Zweifel: Er holt bei den anderen, was er seit der "
      "Sicherung schrieb, und bedient bis dahin niemanden.\n",
      "At its next start the node is in doubt: it fetches from the others what it wrote since the "
      "backup, and serves nobody until then.\n"));
  return kExitDone;
}

void AddDoubtCommands(CLI::App& app, Context& context, Run& run) {
  AddBackup(app, context, run);
  AddTrust(app, context, run);
}

}  // namespace staffel::cli
