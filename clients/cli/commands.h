// SPDX-License-Identifier: EUPL-1.2
// The commands of `staffel`. Each Add… puts its subcommands, with options and help, into the app;
// what a parsed command then does is left in `run` and called by main, which turns its answer into
// the exit code.
#pragma once

#include <functional>

#include <CLI/CLI.hpp>

#include "clients/cli/context.h"

namespace staffel::cli {

// The command that was named; returns an exit code.
using Run = std::function<int()>;

// found, invite, join, waiting, approve, status, sync, kinds.
void AddNodeCommands(CLI::App& app, Context& context, Run& run);
// list, show, add, set, delete, restore, search, log.
void AddRecordCommands(CLI::App& app, Context& context, Run& run);
// conflicts list, show, take, write.
void AddConflictCommands(CLI::App& app, Context& context, Run& run);
// verify, import, export.
void AddLongCommands(CLI::App& app, Context& context, Run& run);

// What a change's reply looks like for people; shared by several commands.
void PrintChange(const Context& context, const admin::ChangeReply& reply, const char* done);
// 32 random hexadecimal digits: an op id, which makes a repeated request harmless.
[[nodiscard]] std::string RandomOp();

}  // namespace staffel::cli
