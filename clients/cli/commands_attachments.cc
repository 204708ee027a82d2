// SPDX-License-Identifier: EUPL-1.2
// Attachments: attach, attachments, fetch.
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clients/cli/commands.h"
#include "clients/cli/output_file.h"
#include "clients/cli/terminal.h"
#include "core/crypto/sha256_stream.h"

namespace staffel::cli {

namespace {

// As docs/formats/blobs.md cuts a file.
constexpr std::size_t kPieceBytes = std::size_t{1} << 20;
constexpr std::chrono::milliseconds kAskAgain{500};

std::string MediaTypeOf(const std::string& name) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 21> kTypes{{
      {"csv", "text/csv"},
      {"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
      {"eml", "message/rfc822"},
      {"html", "text/html"},
      {"ics", "text/calendar"},
      {"jpeg", "image/jpeg"},
      {"jpg", "image/jpeg"},
      {"json", "application/json"},
      {"md", "text/markdown"},
      {"odp", "application/vnd.oasis.opendocument.presentation"},
      {"ods", "application/vnd.oasis.opendocument.spreadsheet"},
      {"odt", "application/vnd.oasis.opendocument.text"},
      {"pdf", "application/pdf"},
      {"png", "image/png"},
      {"pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
      {"svg", "image/svg+xml"},
      {"txt", "text/plain"},
      {"vcf", "text/vcard"},
      {"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
      {"xml", "text/xml"},
      {"zip", "application/zip"},
  }};
  const auto dot = name.rfind('.');
  std::string ending = dot == std::string::npos ? "" : name.substr(dot + 1);
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : static_cast<char>(c);
  });
  for (const auto& [known, type] : kTypes) {
    if (known == ending) return std::string(type);
  }
  return "application/octet-stream";
}

std::string BaseName(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

// A name from another ministry, made safe for a file in the current directory.
std::string SafeName(const admin::Attachment& attachment) {
  std::string name;
  for (const char c : attachment.name()) {
    const auto byte = static_cast<unsigned char>(c);
    name.push_back(byte < 0x20 || byte == 0x7f || c == '/' ? '_' : c);
  }
  name.erase(0, name.find_first_not_of('.'));
  return name.empty() ? attachment.blob().substr(0, 16) : name;
}

class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  ~File() {
    if (fd_ > STDERR_FILENO) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
};

Error FileError(const std::string& file, const char* what, int error) {
  return {ErrorCode::kStorage, fmt::format("{} {}: {}", file, what, std::strerror(error))};
}

std::string StateText(const Context& context, const admin::Attachment& attachment) {
  if (attachment.differs()) {
    return context.T("hier, aber mit anderer Prüfsumme als angegeben",
                     "here, but with another checksum than stated");
  }
  if (attachment.complete()) return context.T("hier", "here");
  if (attachment.here_bytes() == 0) return context.T("noch nicht hier", "not yet here");
  return fmt::format(
      fmt::runtime(context.T("noch nicht hier ({} von {})", "not yet here ({} of {})")),
      SizeText(context, attachment.here_bytes()), SizeText(context, attachment.size_bytes()));
}

// ---- attach ----

struct AttachOptions {
  std::string record, file, audience, title, type;
};

int Attach(Context& context, const AttachOptions& options) {
  const File file(::open(options.file.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status {};
  if (file.fd() < 0 || ::fstat(file.fd(), &status) != 0) {
    return context.Refuse(FileError(options.file, "cannot be read", errno));
  }
  if (!S_ISREG(status.st_mode)) {
    return context.Refuse(Error{ErrorCode::kInvalid, options.file + " is not a file"});
  }
  admin::AttachBeginRequest begin;
  begin.set_id(options.record);
  begin.set_audience(options.audience);
  begin.set_name(BaseName(options.file));
  begin.set_size_bytes(static_cast<std::uint64_t>(status.st_size));
  const auto upload = context.Ask<admin::Upload>("AttachBegin", begin);
  if (!upload) return kExitRefused;
  const auto cancel = [&] {
    admin::AttachCancelRequest request;
    request.set_upload(upload->upload());
    // Whether this arrives does not matter, and a second refusal would hide the first: the node
    // forgets uploads when it starts.
    if (auto path = client::FindSocket(context.node)) {
      client::Client other(std::move(*path));
      (void)other.Call<admin::Upload>("AttachCancel", request);
    }
    return kExitRefused;
  };
  Progress progress(context.T("Anhängen", "Attaching"));
  std::uint64_t sent = 0;
  for (std::uint32_t place = 0;; ++place) {
    Bytes piece(kPieceBytes, '\0');
    std::size_t filled = 0;
    while (filled < piece.size()) {
      const ssize_t got = ::read(file.fd(), piece.data() + filled, piece.size() - filled);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) {
        (void)context.Refuse(FileError(options.file, "cannot be read", errno));
        return cancel();
      }
      if (got == 0) break;
      filled += static_cast<std::size_t>(got);
    }
    if (filled == 0) break;
    piece.resize(filled);
    admin::AttachPieceRequest request;
    request.set_upload(upload->upload());
    request.set_place(place);
    request.set_bytes(std::move(piece));
    if (!context.Ask<admin::Upload>("AttachPiece", request)) return cancel();
    sent += filled;
    progress.Show(sent, static_cast<std::uint64_t>(status.st_size));
    if (filled < kPieceBytes) break;
  }
  progress.Clear();
  admin::AttachFinishRequest finish;
  finish.set_upload(upload->upload());
  finish.set_id(options.record);
  finish.set_audience(options.audience);
  finish.set_name(BaseName(options.file));
  finish.set_media_type(options.type.empty() ? MediaTypeOf(options.file) : options.type);
  finish.set_title(options.title);
  finish.set_author(context.author);
  const auto reply = context.Ask<admin::AttachReply>("AttachFinish", finish);
  if (!reply) return cancel();
  if (context.PrintedAsJson(*reply)) return kExitDone;
  const auto& to = reply->has_attached_to() ? reply->attached_to() : reply->record();
  Context::Print(fmt::format(fmt::runtime(context.T("{} ({}) angehängt an {} {}, Kreis {}.\n",
                                                    "{} ({}) attached to {} {}, audience {}.\n")),
                             Clean(reply->attachment().name()),
                             SizeText(context, reply->attachment().size_bytes()), to.short_id(),
                             Clean(to.title()), to.audience()));
  if (reply->has_attached_to()) {
    Context::Print(fmt::format(fmt::runtime(context.T("Als Dokument {}.\n", "As document {}.\n")),
                               reply->record().short_id()));
  }
  Context::Print(fmt::format("SHA-256  {}\n", reply->attachment().sha256()));
  return kExitDone;
}

void AddAttach(CLI::App& app, Context& context, Run& run) {
  auto options = std::make_shared<AttachOptions>();
  auto* command =
      app.add_subcommand("attach", context.T("Eine Datei an einen Datensatz hängen (bis 100 MiB)",
                                             "Attach a file to a record (up to 100 MiB)"));
  command
      ->add_option("record", options->record,
                   context.T("Dokument, oder was auf Dokumente verweist (Beschluss, Sitzung, TOP)",
                             "Document, or what refers to documents (resolution, meeting, item)"))
      ->required()
      ->type_name("RECORD");
  command->add_option("file", options->file, context.T("Die Datei", "The file"))
      ->required()
      ->type_name("FILE");
  command
      ->add_option("--title", options->title,
                   context.T("Titel des neuen Dokuments (sonst der Dateiname)",
                             "Title of the new document (else the file's name)"))
      ->type_name("TEXT");
  command
      ->add_option("--type", options->type,
                   context.T("Dateityp (sonst nach der Endung)", "Media type (else by the ending)"))
      ->type_name("TYPE");
  command
      ->add_option("--audience", options->audience,
                   context.T("Wo der Datensatz in mehreren Kreisen liegt: in welchem",
                             "Where the record is in several audiences: in which"))
      ->type_name("NAME");
  command->callback([&context, &run, options] {
    run = [&context, options] { return Attach(context, *options); };
  });
}

// ---- attachments ----

void AddAttachments(CLI::App& app, Context& context, Run& run) {
  struct Options {
    std::string record, audience;
  };
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand(
      "attachments", context.T("Anlagen eines Datensatzes, und ob sie schon hier sind",
                               "A record's attachments, and whether they are here yet"));
  command->add_option("record", options->record, context.T("Der Datensatz", "The record"))
      ->required()
      ->type_name("RECORD");
  command
      ->add_option("--audience", options->audience,
                   context.T("Wo der Datensatz in mehreren Kreisen liegt: in welchem",
                             "Where the record is in several audiences: in which"))
      ->type_name("NAME");
  command->callback([&context, &run, options] {
    run = [&context, options] {
      admin::AttachmentsRequest request;
      request.set_id(options->record);
      request.set_audience(options->audience);
      const auto reply = context.Ask<admin::AttachmentsReply>("Attachments", request);
      if (!reply) return kExitRefused;
      if (context.PrintedAsJson(*reply)) return kExitDone;
      context.PrintNotice(reply->demonstration());
      if (reply->attachments().empty()) {
        Context::Print(context.T("Keine Anlagen.\n", "No attachments.\n"));
        return kExitDone;
      }
      Table table({context.T("Dokument", "Document"), context.T("Datei", "File"),
                   context.T("Größe", "Size"), context.T("Stand", "State"),
                   context.T("Kreis", "Audience"), "SHA-256"});
      for (const auto& one : reply->attachments()) {
        table.Add({one.record().short_id(), Clean(one.name()), SizeText(context, one.size_bytes()),
                   StateText(context, one), one.audience(), one.sha256().substr(0, 16)});
      }
      Context::Print(table.Render(context.width()));
      return kExitDone;
    };
  });
}

// ---- fetch ----

struct FetchOptions {
  std::string what, audience, name, file;
  std::uint64_t wait_seconds = 0;
};

// The one attachment that is meant; prints why where there is none, or more than one.
std::optional<admin::Attachment> Choose(Context& context, const FetchOptions& options) {
  admin::AttachmentsRequest request;
  request.set_id(options.what);
  request.set_audience(options.audience);
  request.set_fetch(true);
  const auto reply = context.Ask<admin::AttachmentsReply>("Attachments", request);
  if (!reply) return std::nullopt;
  std::vector<admin::Attachment> found;
  for (const auto& one : reply->attachments()) {
    if (!options.name.empty() && one.name() != options.name) continue;
    const bool known = std::any_of(found.begin(), found.end(), [&](const admin::Attachment& other) {
      return other.blob() == one.blob() && (other.complete() || !one.complete());
    });
    if (!known) found.push_back(one);
  }
  if (found.size() == 1 ||
      (!found.empty() && std::all_of(found.begin(), found.end(), [&](auto& one) {
        return one.blob() == found.front().blob();
      }))) {
    return found.back();
  }
  if (found.empty()) {
    (void)context.Refuse(Error{
        ErrorCode::kNotFound,
        options.name.empty() ? "the record has no attachment"
                             : fmt::format("no attachment here is called '{}'", options.name)});
    return std::nullopt;
  }
  std::string names;
  for (const auto& one : found) names += fmt::format("\n  {}", Clean(one.name()));
  (void)context.Refuse(Error{ErrorCode::kInvalid,
                             "the record has several attachments: name one with --name" + names});
  return std::nullopt;
}

// Waits until the bytes are here, or the patience ends.
std::optional<admin::Attachment> AwaitHere(Context& context, const FetchOptions& options) {
  Progress progress(context.T("Holen", "Fetching"));
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(options.wait_seconds);
  for (;;) {
    auto attachment = Choose(context, options);
    if (!attachment || attachment->complete()) return attachment;
    if (std::chrono::steady_clock::now() >= end) return attachment;
    progress.Show(attachment->here_bytes(), attachment->size_bytes());
    std::this_thread::sleep_for(kAskAgain);
  }
}

int Fetch(Context& context, const FetchOptions& options) {
  const auto attachment = AwaitHere(context, options);
  if (!attachment) return kExitRefused;
  if (!attachment->complete()) {
    return context.Refuse(Error{
        ErrorCode::kUnavailable,
        fmt::format("{} of {} bytes are here; the rest is fetched in the background (--wait waits "
                    "for it)",
                    attachment->here_bytes(), attachment->size_bytes())});
  }
  const std::string file = options.file.empty() ? SafeName(*attachment) : options.file;
  // A name that was not given is never overwritten, nor written through, where it is a link.
  struct stat status {};
  if (options.file.empty() && ::lstat(file.c_str(), &status) == 0) {
    return context.Refuse(
        Error{ErrorCode::kExists, file + " is there already: name another with -o"});
  }
  OutputFile out(context);
  if (!out.Open(file, 0666)) return kExitRefused;
  Progress progress(context.T("Schreiben", "Writing"));
  crypto::Sha256Stream stream;
  std::uint64_t written = 0;
  for (std::uint32_t place = 0; written < attachment->size_bytes(); ++place) {
    admin::FetchPieceRequest request;
    request.set_blob(attachment->blob());
    request.set_audience(attachment->audience());
    request.set_place(place);
    const auto piece = context.Ask<admin::FetchPieceReply>("FetchPiece", request);
    if (!piece) return kExitRefused;
    stream.Add(piece->bytes());
    if (!out.Write(piece->bytes())) return kExitRefused;
    written += piece->bytes().size();
    progress.Show(written, attachment->size_bytes());
  }
  progress.Clear();
  const std::string sha256 = stream.Finish().Hex();
  if (!attachment->sha256().empty() && sha256 != attachment->sha256()) {
    return context.Refuse(Error{
        ErrorCode::kCorrupt,
        fmt::format("the record names the checksum {}, the bytes have {}: ask whoever attached it",
                    attachment->sha256(), sha256)});
  }
  if (!out.Finish()) return kExitRefused;
  if (file == "-" || context.PrintedAsJson(*attachment)) return kExitDone;
  Context::Print(fmt::format(fmt::runtime(context.T("{} nach {} geschrieben.\nSHA-256  {}\n",
                                                    "{} written to {}.\nSHA-256  {}\n")),
                             SizeText(context, written), file, sha256));
  return kExitDone;
}

void AddFetch(CLI::App& app, Context& context, Run& run) {
  auto options = std::make_shared<FetchOptions>();
  auto* command = app.add_subcommand(
      "fetch", context.T("Eine Anlage in eine Datei schreiben", "Write an attachment to a file"));
  command
      ->add_option("what", options->what,
                   context.T("Der Datensatz, oder Kennung oder SHA-256 der Anlage",
                             "The record, or the attachment's id or SHA-256"))
      ->required()
      ->type_name("RECORD|HASH");
  command
      ->add_option("-o,--output", options->file,
                   context.T("Datei (sonst nach ihrem Namen); - für die Ausgabe",
                             "File (else by its name); - for standard output"))
      ->type_name("FILE");
  command
      ->add_option("--name", options->name,
                   context.T("Welche, wo der Datensatz mehrere hat",
                             "Which one, where the record has several"))
      ->type_name("NAME");
  command
      ->add_option("--wait", options->wait_seconds,
                   context.T("Höchstens so viele Sekunden warten, bis sie hier ist",
                             "Wait at most so many seconds until it is here"))
      ->check(CLI::Range(0, 86'400))
      ->type_name("N");
  command
      ->add_option("--audience", options->audience,
                   context.T("Wo der Datensatz in mehreren Kreisen liegt: in welchem",
                             "Where the record is in several audiences: in which"))
      ->type_name("NAME");
  command->callback([&context, &run, options] {
    run = [&context, options] { return Fetch(context, *options); };
  });
}

}  // namespace

std::string SizeText(const Context& context, std::uint64_t bytes) {
  if (bytes < 1000) return fmt::format("{} B", bytes);
  static constexpr std::array<const char*, 4> kUnits{"kB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes) / 1000;
  std::size_t unit = 0;
  while (value >= 999.95 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  std::string text = fmt::format("{:.1f} {}", value, kUnits[unit]);
  if (context.language == Language::kGerman) std::replace(text.begin(), text.end(), '.', ',');
  return text;
}

void AddAttachmentCommands(CLI::App& app, Context& context, Run& run) {
  AddAttach(app, context, run);
  AddAttachments(app, context, run);
  AddFetch(app, context, run);
}

}  // namespace staffel::cli
