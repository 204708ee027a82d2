// SPDX-License-Identifier: EUPL-1.2
// The commands of `staffel`. Each Add… puts its subcommands, with options and help, into the app;
// what a parsed command then does is left in `run` and called by main, which turns its answer into
// the exit code.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include <CLI/CLI.hpp>

#include "clients/cli/context.h"
#include "core/base/time.h"

namespace staffel::cli {

// The command that was named; returns an exit code.
using Run = std::function<int()>;

// found, invite, join, waiting, approve, status, sync, kinds.
void AddNodeCommands(CLI::App& app, Context& context, Run& run);
// list, show, add, set, delete, restore, search, log.
void AddRecordCommands(CLI::App& app, Context& context, Run& run);
// conflicts list, show, take, write.
void AddConflictCommands(CLI::App& app, Context& context, Run& run);
// charter, handover, keys, rules.
void AddCharterCommands(CLI::App& app, Context& context, Run& run);
// verify, import, export.
void AddLongCommands(CLI::App& app, Context& context, Run& run);
// erase, erasures list, repeat, drop.
void AddErasureCommands(CLI::App& app, Context& context, Run& run);
// Lines of `staffel status` about erasures; none where all is carried out.
void PrintErasureState(const Context& context, const admin::StatusReply& status, std::size_t width);
// receipts, late, ineffective.
void AddReceiptCommands(CLI::App& app, Context& context, Run& run);

// "eingegangen 28.03.2025 09:10", "am Ministerium, noch nicht eingegangen": of Record.reception.
[[nodiscard]] std::string ReceptionText(const Context& context, std::string_view reception,
                                        std::uint64_t received_ms);
// Why an entry has no effect, by the reason's stable name; `sentence` where this version does not
// know it. And what its author can do.
[[nodiscard]] std::string ReasonText(const Context& context, std::string_view reason,
                                     const std::string& sentence);
[[nodiscard]] std::string AdviceText(const Context& context, std::string_view reason);
// The lines of `staffel status` about receipts, entries without effect and a tied charter.
void PrintReceptions(const Context& context, const admin::StatusReply& status, std::size_t width);
// attach, attachments, fetch.
void AddAttachmentCommands(CLI::App& app, Context& context, Run& run);

// backup, trust.
void AddDoubtCommands(CLI::App& app, Context& context, Run& run);
// Puts a backup in the place of a node's database, by way of staffeld, whose node is not running.
int RestoreNode(Context& context, const std::string& file, const std::string& config);

// Asks until the job has ended, with its progress; nothing where the node says no.
class Progress;
[[nodiscard]] std::optional<admin::Job> Await(Context& context, admin::Job job, Progress& progress);
// audience list, show, create, add, remove, close.
void AddAudienceCommands(CLI::App& app, Context& context, Run& run);

// release, withdraw.
void AddReleaseCommands(CLI::App& app, Context& context, Run& run);
// Lines of `show`: how the record stands to what has been released.
void PrintReleases(const Context& context, const admin::ShowReply& reply, std::size_t width);

// What a change's reply looks like for people; shared by several commands.
void PrintChange(const Context& context, const admin::ChangeReply& reply, const char* done);
// "12,3 MB", "12.3 MB".
[[nodiscard]] std::string SizeText(const Context& context, std::uint64_t bytes);
// "NI=Niedersachsen"; the id is the name where none is given.
struct NamedMember {
  std::string id;
  std::string name;
};
[[nodiscard]] NamedMember ReadNamedMember(const std::string& text);
// "2025-07-01", "2025-07-01T00:00" (in the conferences' zone) or RFC 3339.
[[nodiscard]] Result<TimeMs> ReadWhen(const std::string& text);
// Charter entries that wait, or have just been put forward; shared by several commands.
void PrintProposals(const Context& context,
                    const google::protobuf::RepeatedPtrField<admin::Proposal>& proposals);
// One of them: its changes, what they mean, who has approved, what is missing; a sentence a line.
[[nodiscard]] std::string ProposalText(const Context& context, const admin::Proposal& proposal,
                                       std::size_t width);
// Approves a waiting change with a key from a file; the node never sees the secret.
[[nodiscard]] int ApproveWithKey(Context& context, const std::string& what,
                                 const std::string& key_file);
// Checks the protocol of a handover: of a term by its number, or in a file.
[[nodiscard]] int VerifyHandover(Context& context, const std::string& what);
// What `staffel status` says of terms and handovers.
void PrintHandoverStatus(const Context& context, const admin::StatusReply& status,
                         std::size_t width);
// 32 random hexadecimal digits: an op id, which makes a repeated request harmless.
[[nodiscard]] std::string RandomOp();

}  // namespace staffel::cli
