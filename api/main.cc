// SPDX-License-Identifier: EUPL-1.2
// `staffeld`: one node of a conference. staffeld(8) describes it, staffel.toml(5) its
// configuration.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <pthread.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include "api/config.h"
#include "api/node.h"
#include "api/restore.h"
#include "core/base/allocator.h"
#include "core/base/german.h"
#include "core/base/language.h"

namespace {

using staffel::Error;
using staffel::Language;
using staffel::api::Config;
using staffel::api::Node;

constexpr int kExitDone = 0;
constexpr int kExitRefused = 1;
constexpr int kExitUsage = 2;

int Refuse(const Error& error, Language language) {
  fmt::print(stderr, "staffeld: {}\n",
             language == Language::kGerman ? staffel::InGerman(error.message) : error.message);
  return kExitRefused;
}

void StartLogging(const Config& config) {
  spdlog::sink_ptr sink;
  if (config.log_file.empty()) {
    sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  } else {
    sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(config.log_file);
  }
  auto logger = std::make_shared<spdlog::logger>("staffeld", std::move(sink));
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
  logger->set_level(spdlog::level::from_str(config.log_level));
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

int Serve(const Config& config, Language language) {
  // Blocked in every thread, before there is a second one: only the loop below takes signals.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);  // NOLINT(cert-err33-c)

  // Whatever the node makes is for its own user, the database and its side files included.
  ::umask(0077);
  StartLogging(config);
  auto node = Node::Start(config);
  if (!node) {
    spdlog::shutdown();
    return Refuse(node.error(), language);
  }
  spdlog::info("staffeld {} serves {}", STAFFEL_VERSION, config.directory);
  if (!(*node)->replicas_address().empty()) {
    spdlog::info("replicas: {}", (*node)->replicas_address());
  }
  if (!(*node)->people_address().empty()) spdlog::info("people: {}", (*node)->people_address());
  spdlog::info("administration: {}", (*node)->socket_path());
  for (;;) {
    int signal = 0;
    if (sigwait(&signals, &signal) != 0) continue;
    if (signal != SIGHUP) {
      spdlog::info("stopping ({})", signal == SIGTERM ? "SIGTERM" : "SIGINT");
      break;
    }
    if (const auto reloaded = (*node)->ReloadCertificate(); reloaded) {
      spdlog::info("the people's certificate was read anew");
    } else {
      spdlog::error("the people's certificate stays as it was: {}", reloaded.error().message);
    }
  }
  (*node)->Stop();
  node->reset();
  spdlog::info("stopped");
  spdlog::shutdown();
  return kExitDone;
}

// A line a fact, for people and for `staffel restore`.
int Restore(const Config& config, const std::string& file, Language language) {
  ::umask(0077);
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto restored = staffel::api::RestoreBackup(
      config.directory, file,
      staffel::TimeMs{static_cast<std::uint64_t>(
          std::chrono::duration_cast<std::chrono::milliseconds>(now).count())});
  if (!restored) return Refuse(restored.error(), language);
  const auto& backup = restored->backup;
  const auto say = [&](const char* german, const char* english) {
    return fmt::runtime(language == Language::kGerman ? german : english);
  };
  const std::string of = backup.conference_name.empty()
                             ? std::string()
                             : fmt::format(say(" von {}", " of {}"), backup.conference_name);
  const std::string made = backup.made.value == 0
                               ? std::string()
                               : fmt::format(say(", gesichert {}", ", backed up {}"),
                                             staffel::FormatTimeUtc(backup.made));
  fmt::print(say("wiederhergestellt: {} Datensätze, {} Einträge{}{}\n",
                 "restored: {} records, {} entries{}{}\n"),
             backup.records, backup.entries, of, made);
  if (!restored->kept.empty()) {
    fmt::print(say("die Datenbank davor: {}\n", "the database before it: {}\n"), restored->kept);
  }
  if (restored->keys_taken) {
    fmt::print(say("die Schlüssel des Knotens kamen aus der Sicherung\n",
                   "the node's keys were taken from the backup\n"));
  }
  return kExitDone;
}

int Main(int argc, char** argv) {
  const Language language = staffel::ChooseLanguage(argc, argv);
  const auto t = [language](const char* german, const char* english) {
    return language == Language::kGerman ? german : english;
  };
  CLI::App app(t("staffeld: ein Knoten einer Konferenz. Siehe staffeld(8) und staffel.toml(5).",
                 "staffeld: one node of a conference. See staffeld(8) and staffel.toml(5)."));
  app.name("staffeld");
  const auto formatter = app.get_formatter();
  formatter->label("Usage", t("Aufruf", "Usage"));
  formatter->label("OPTIONS", t("OPTIONEN", "OPTIONS"));
  formatter->label("REQUIRED", t("(muss)", "(required)"));
  app.option_defaults()->group(t("Optionen", "Options"));
  app.set_help_flag("-h,--help", t("Diese Hilfe", "This help"));
  std::string file;
  std::string restore;
  std::string chosen;
  bool check = false;
  app.add_option("--config", file, t("Die Konfiguration des Knotens", "The node's configuration"))
      ->required()
      ->type_name("FILE");
  app.add_flag("--check", check, t("Nur die Konfiguration prüfen", "Only check the configuration"));
  app.add_option(
         "--restore", restore,
         t("Diese Sicherung an die Stelle der Datenbank setzen; der Knoten darf nicht laufen",
           "Put this backup in the place of the database; the node must not run"))
      ->type_name("FILE");
  app.add_option(
         "--lang", chosen,
         t("Sprache dieser Ausgaben: de oder en (sonst nach LANG); das Protokoll ist englisch",
           "Language of these messages: de or en (else by LANG); the log is English"))
      ->check(CLI::IsMember({"de", "en"}))
      ->type_name("de|en");
  app.set_version_flag("--version", std::string("staffeld ") + STAFFEL_VERSION,
                       t("Version zeigen", "Show the version"));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
      app.exit(error);
      return kExitDone;
    }
    std::string sentence = error.what();
    sentence = sentence.substr(0, sentence.find('\n'));
    Refuse(Error{staffel::ErrorCode::kInvalid, sentence}, language);
    fmt::print(stderr, "{}\n", t("Mehr dazu: staffeld --help", "More about it: staffeld --help"));
    return kExitUsage;
  }
  const auto config = staffel::api::LoadConfig(file);
  if (!config) return Refuse(config.error(), language);
  if (check) {
    fmt::print(fmt::runtime(t("{} ist in Ordnung\n", "{} is in order\n")), file);
    return kExitDone;
  }
  if (!restore.empty()) return Restore(*config, restore, language);
  return Serve(*config, language);
}

}  // namespace

int main(int argc, char** argv) {
  staffel::KeepFreedMemory();
  try {
    return Main(argc, argv);
  } catch (const std::exception& exception) {
    // The outermost edge: what no part of ours caught.
    fmt::print(stderr, "staffeld: {}\n", exception.what());
    return kExitRefused;
  }
}
