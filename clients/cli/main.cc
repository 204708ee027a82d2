// SPDX-License-Identifier: EUPL-1.2
// `staffel`: asks a node on this machine. staffel(1) describes each command.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <iostream>
#include <sstream>
#include <string>

#include <CLI/CLI.hpp>

#include "clients/cli/commands.h"
#include "clients/cli/context.h"
#include "clients/cli/usage.h"
#include "core/base/language.h"

namespace {

using staffel::cli::Context;

// Before the arguments are read: what is wrong with them is said in this form, too.
bool WantsJson(int argc, char** argv) {
  return std::any_of(argv + 1, argv + argc,
                     [](const char* argument) { return std::strcmp(argument, "--json") == 0; });
}

// What was printed has arrived, or the run has failed, whatever it did.
int Finish(const Context& context, int code) {
  const int error = Context::FlushOutput();
  if (error == 0) return code;
  // Whoever reads no further (`| head`) need not be told.
  if (error != EPIPE) {
    (void)context.Refuse(staffel::Error{staffel::ErrorCode::kStorage,
                                        fmt::format("standard output: {}", std::strerror(error))});
  }
  return code == staffel::cli::kExitDone ? staffel::cli::kExitRefused : code;
}

int Main(int argc, char** argv) {
  Context context;
  context.language = staffel::ChooseLanguage(argc, argv);
  context.json = argc > 0 && WantsJson(argc, argv);
  context.LookAtTerminal();

  CLI::App app(context.T(
      "staffel – Kalender, Kontakte und Beschlüsse einer Fachministerkonferenz: fragt einen Knoten "
      "auf diesem Rechner (staffeld).",
      "staffel – calendars, contacts and resolutions of a conference of ministers: asks a node on "
      "this machine (staffeld)."));
  app.name("staffel");
  app.set_version_flag("--version", std::string("staffel ") + STAFFEL_VERSION,
                       context.T("Version zeigen", "Show the version"));
  app.set_help_flag("-h,--help", context.T("Diese Hilfe", "This help"));
  staffel::cli::SpeakHelp(app, context);
  app.require_subcommand(1);
  app.fallthrough();
  app.add_option("--node", context.node,
                 context.T("Datenverzeichnis des Knotens oder sein Socket (sonst STAFFEL_NODE)",
                           "The node's data directory or its socket (else STAFFEL_NODE)"))
      ->type_name("DIR");
  app.add_flag("--json", context.json,
               context.T("Ausgabe als JSON in beständiger Form", "Print JSON of a stable shape"));
  std::string language;
  app.add_option("--lang", language,
                 context.T("Sprache der Ausgabe: de oder en (sonst nach LANG)",
                           "Language of the output: de or en (else by LANG)"))
      ->check(CLI::IsMember({"de", "en"}))
      ->type_name("de|en");
  app.add_option("--author", context.author,
                 context.T("Wer ändert: Kennung einer Person (sonst STAFFEL_AUTHOR)",
                           "Who makes the change: a person's id (else STAFFEL_AUTHOR)"))
      ->envname("STAFFEL_AUTHOR")
      ->type_name("PERSON");

  staffel::cli::Run run;
  staffel::cli::AddNodeCommands(app, context, run);
  staffel::cli::AddRecordCommands(app, context, run);
  staffel::cli::AddConflictCommands(app, context, run);
  staffel::cli::AddCharterCommands(app, context, run);
  staffel::cli::AddLongCommands(app, context, run);
  staffel::cli::AddReceiptCommands(app, context, run);
  staffel::cli::AddAttachmentCommands(app, context, run);
  staffel::cli::AddDoubtCommands(app, context, run);
  staffel::cli::AddErasureCommands(app, context, run);
  staffel::cli::AddAudienceCommands(app, context, run);
  staffel::cli::AddReleaseCommands(app, context, run);
  app.footer(context.T("Mehr zu einem Befehl: staffel BEFEHL --help, und im Handbuch staffel(1).",
                       "More about a command: staffel COMMAND --help, and the manual staffel(1)."));
  staffel::cli::NameGroups(app, context);
  if (const auto problem = staffel::cli::ArgumentProblem(argc, argv, context); !problem.empty()) {
    return staffel::cli::RefuseUsage(app, CLI::ParseError(problem, CLI::ExitCodes::BaseClass),
                                     context);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // Help is asked for before the words are looked at.
    if (error.get_exit_code() != 0 || staffel::cli::UnknownCommand(app)) {
      return staffel::cli::RefuseUsage(app, error, context);
    }
    std::ostringstream help;
    app.exit(error, help, std::cerr);
    Context::Print(help.str());
    return Finish(context, staffel::cli::kExitDone);
  }
  const int code = run ? run() : staffel::cli::kExitUsage;
  return Finish(context, context.misused() ? staffel::cli::kExitUsage : code);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return Main(argc, argv);
  } catch (const std::exception& exception) {
    fmt::print(stderr, "staffel: {}\n", exception.what());
    return staffel::cli::kExitRefused;
  }
}
