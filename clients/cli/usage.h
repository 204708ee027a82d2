// SPDX-License-Identifier: EUPL-1.2
// Help and usage errors of `staffel` in the language of the run, on top of CLI11, which knows
// English only and counts bytes where columns are meant.
#pragma once

#include <optional>
#include <string>

#include <CLI/CLI.hpp>

#include "clients/cli/context.h"

namespace staffel::cli {

// Gives the app a formatter in the context's language; for commands and options that are added
// afterwards.
void SpeakHelp(CLI::App& app, const Context& context);
// Names the groups of all commands and options; once all are added.
void NameGroups(CLI::App& app, const Context& context);

// The first word that is no command where one was wanted; nothing where there is none.
[[nodiscard]] std::optional<std::string> UnknownCommand(const CLI::App& app);

// What was wrong with the arguments, to standard error: "staffel: …", or with --json a refusal with
// the code "usage". Returns kExitUsage.
int RefuseUsage(const CLI::App& app, const CLI::ParseError& error, const Context& context);

// The first argument that is no well-formed UTF-8, as a sentence; empty where all are. Such bytes
// could reach no node, and would be blamed on the message in which they travel.
[[nodiscard]] std::string ArgumentProblem(int argc, const char* const* argv,
                                          const Context& context);

}  // namespace staffel::cli
