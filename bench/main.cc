// SPDX-License-Identifier: EUPL-1.2
// staffel_bench: what Staffel costs, in one run and as ratios against a bare SQLite program that
// does the same work on the same disk. Each measurement runs in a process of its own (this program
// again), so that memory is counted apart. How to read the figures: docs/operating/bench.md.
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include <CLI/CLI.hpp>
#include <sys/resource.h>
#include <unistd.h>

#include "api/server.h"
#include "bench/data.h"
#include "bench/figures.h"
#include "core/base/allocator.h"
#include "core/crypto/certificate.h"
#include "core/crypto/system_random.h"
#include "core/sqlite/database.h"
#include "core/store/store.h"
#include "sync/http_transport.h"
#include "sync/hub.h"
#include "sync/ingest_queue.h"
#include "sync/session.h"
#include "tests/support/conference.h"
#include "tests/support/faulting_disk.h"
#include "tests/support/temporary_directory.h"

namespace staffel::bench {
namespace {

using Seconds = std::chrono::duration<double>;

constexpr std::array<int, 3> kClients = {1, 16, 64};
constexpr std::size_t kSmallChanges = 100;
constexpr std::size_t kNothingRounds = 50;
constexpr double kReadSeconds = 1.0;  // for each rate of reading
// A sync of a disk that keeps its word over a network, or of an SSD without a capacitor. The disk
// that the benchmark is called on may sync for nothing, and then group commit has nothing to share.
constexpr std::chrono::microseconds kSlowSync{1000};

struct Arguments {
  std::size_t records = 100'000;
  int repeat = 3;
  double write_seconds = 3;
  std::string json = "build/bench.json";
  std::string directory;
  // This program in a child process: what to do, where, and where the hub listens.
  std::string child;
  std::string at;
  std::uint16_t port = 0;
};

class WallClock final : public Clock {
 public:
  TimeMs Now() override {
    return TimeMs{
        static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                       std::chrono::system_clock::now().time_since_epoch())
                                       .count())};
  }
};

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return Seconds(std::chrono::steady_clock::now() - start).count();
}

// The parent's temporary directory: gone also when a measurement fails.
std::string& DirectoryToRemove() {
  static std::string directory;
  return directory;
}

[[noreturn]] void GiveUp(const Error& error) {
  fmt::print(stderr, "staffel_bench: {}\n", error.message);
  if (!DirectoryToRemove().empty()) {
    std::error_code ignored;
    std::filesystem::remove_all(DirectoryToRemove(), ignored);
  }
  std::_Exit(1);
}
template <typename T>
T Must(Result<T> result) {
  if (!result) GiveUp(result.error());
  return std::move(*result);
}
void Must(Status status) {
  if (!status) GiveUp(status.error());
}

// NI is the hub and has the records; NW fetches them.
const testing::TestConference& Conference() { return testing::ConferenceOf(2); }

// What a process needs to run a replica.
struct Replica {
  Replica(std::string file, std::size_t member_index, std::string vfs = "")
      : member(Conference().member(member_index)) {
    store = Must(Store::Open({.path = std::move(file),
                              .clock = &clock,
                              .random = &random,
                              .key = &member.key,
                              .vfs = std::move(vfs)}));
    if (!store->conference()) Must(store->Adopt(Conference().conference()));
  }
  void TakeCharter() {
    const Ingested ingested = Must(store->Ingest(store->Prepare(Conference().charter())));
    if (!ingested.charter_refusals.empty()) GiveUp(ingested.charter_refusals.front());
  }
  [[nodiscard]] sync::TlsIdentity Identity() const {
    return {Must(crypto::MakeSelfSignedCertificate(member.tls, member.id.text())),
            member.tls.ToPem()};
  }

  WallClock clock;
  crypto::SystemRandom random;
  const testing::TestConference::Member& member;
  std::unique_ptr<Store> store;
};

// Exchanges with the hub over TLS, as the replicator does.
class Client {
 public:
  Client(Replica& replica, std::uint16_t port) : replica_(replica), queue_(*replica.store) {
    transport_ = Must(
        sync::HttpTransport::Create({.url = fmt::format("https://127.0.0.1:{}", port),
                                     .identity = replica.Identity(),
                                     .pinned_keys = {Conference().member(0).tls.public_key()}}));
    exchange_ = std::make_unique<sync::Exchange>(
        *replica.store, Conference().member(0).tls.public_key(),
        sync::ExchangeOptions{.conference = Conference().conference(), .intake = &queue_});
  }
  void UntilAgreed() {
    for (;;) {
      const Bytes request = Must(exchange_->NextRequest());
      const auto answer = Must(transport_->Post(
          sync::kExchangePath, {{"content-type", std::string(sync::kExchangeType)}}, request));
      if (answer.status != 200) {
        GiveUp({ErrorCode::kUnavailable,
                fmt::format("the hub answers {}: {}", answer.status, answer.body)});
      }
      if (Must(exchange_->TakeAnswer(answer.body)) == sync::Exchange::State::kAgreed) return;
    }
  }
  void Again() { exchange_->Begin(); }
  [[nodiscard]] const sync::Progress& progress() const { return exchange_->progress(); }

 private:
  Replica& replica_;
  sync::IngestQueue queue_;
  std::unique_ptr<sync::HttpTransport> transport_;
  std::unique_ptr<sync::Exchange> exchange_;
};

double PeakMegabytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

// Processor time of this process so far, user and system: what a busy machine does not distort.
double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void Say(std::string_view name, double value) { fmt::print("{} {:.9g}\n", name, value); }

// ---- what the children measure ----

// An empty replica fetches everything.
void Receive(const Arguments& arguments) {
  Replica replica(arguments.at + "/receiver.db", 1);
  const double cpu = CpuSeconds();
  const auto start = std::chrono::steady_clock::now();
  Client client(replica, arguments.port);
  client.UntilAgreed();
  Say("seconds", SecondsSince(start));
  Say("cpu_seconds", CpuSeconds() - cpu);
  Say("peak_mb", PeakMegabytes());
  Say("round_trips", static_cast<double>(client.progress().round_trips));
  Say("bytes_received", static_cast<double>(client.progress().bytes_received));
  Say("entries", static_cast<double>(client.progress().entries_received));
}

// The records of a replica as bare bytes: what the bare program inserts.
std::vector<std::pair<RecordId, Bytes>> Rows(Store& store) {
  std::vector<std::pair<RecordId, Bytes>> rows;
  Snapshot snapshot = Must(store.Read());
  ListFilter filter{.limit = 5000};
  for (;;) {
    auto views = Must(snapshot.List(filter));
    if (views.empty()) return rows;
    filter.after_number = views.back().number;
    for (RecordView& view : views) rows.emplace_back(view.record, std::move(view.row));
  }
}

constexpr std::string_view kBareSchema =
    "CREATE TABLE record (number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, body BLOB NOT NULL) "
    "STRICT";
constexpr std::string_view kBareInsert = "INSERT INTO record (id, body) VALUES (?, ?)";

// The same records into bare SQLite: one table, a unique id, one transaction.
void BareInsert(const Arguments& arguments) {
  std::vector<std::pair<RecordId, Bytes>> rows;
  {
    Replica source(arguments.at + "/hub.db", 0);
    rows = Rows(*source.store);
  }
  auto database = Must(sqlite::Database::Open({.path = arguments.at + "/bare.db"}));
  const double cpu = CpuSeconds();
  const auto start = std::chrono::steady_clock::now();
  Must(database.Execute(kBareSchema));
  auto transaction = Must(sqlite::Transaction::BeginWrite(database));
  auto insert = Must(database.Prepare(kBareInsert));
  for (const auto& [id, body] : rows) {
    insert.BindBlob(1, id.bytes());
    insert.BindBlob(2, body);
    Must(insert.Run());
  }
  Must(transaction.Commit());
  Say("seconds", SecondsSince(start));
  Say("cpu_seconds", CpuSeconds() - cpu);
}

// A disk in memory each of whose syncs takes kSlowSync.
struct SlowDisk {
  SlowDisk() {
    disk.OnSync([] { std::this_thread::sleep_for(kSlowSync); });
  }
  testing::FaultingDisk disk;
};

// Single commits of one small record each, on bare SQLite.
void BareCommits(const Arguments& arguments, const std::string& vfs) {
  auto database =
      Must(sqlite::Database::Open({.path = arguments.at + "/bare-commits.db", .vfs = vfs}));
  Must(database.Execute(kBareSchema));
  auto insert = Must(database.Prepare(kBareInsert));
  const Bytes body(380, 'x');
  crypto::SystemRandom random;
  std::uint64_t commits = 0;
  const auto start = std::chrono::steady_clock::now();
  while (SecondsSince(start) < arguments.write_seconds) {
    const RecordId id = random.DrawId<RecordId>();
    insert.BindBlob(1, id.bytes());
    insert.BindBlob(2, body);
    Must(insert.Run());  // a transaction of its own
    ++commits;
  }
  Say("per_second", static_cast<double>(commits) / SecondsSince(start));
}

// Durable, acknowledged writes by several clients at once through Store::Apply.
void Write(const Arguments& arguments, int clients, const std::string& vfs) {
  Replica replica(arguments.at + fmt::format("/writer-{}.db", clients), 1, vfs);
  replica.TakeCharter();
  // Prepared beforehand: what is measured is the store, not the making of edits.
  constexpr std::size_t kEditsEach = 4000;
  std::vector<std::vector<Edit>> edits(static_cast<std::size_t>(clients));
  std::uint64_t number = 0;
  for (auto& of_client : edits) {
    const std::size_t each =
        std::max<std::size_t>(kEditsEach * 8 / static_cast<std::size_t>(clients), 1000);
    for (std::size_t index = 0; index < each; ++index) {
      of_client.push_back(SmallRecord(++number, Conference().laender()));
    }
  }
  std::atomic<std::uint64_t> done{0};
  const double cpu = CpuSeconds();
  const auto start = std::chrono::steady_clock::now();
  {
    std::vector<std::jthread> threads;
    for (auto& of_client : edits) {
      threads.emplace_back([&] {
        for (const Edit& edit : of_client) {
          if (SecondsSince(start) >= arguments.write_seconds) return;
          Must(replica.store->Apply(edit));
          ++done;
        }
      });
    }
  }
  Say("per_second", static_cast<double>(done) / SecondsSince(start));
  Say("cpu_us", (CpuSeconds() - cpu) / static_cast<double>(done) * 1e6);
}

// Exchanges of nothing and of a hundred small changes, on a replica that is in step.
void SmallExchanges(const Arguments& arguments) {
  Replica replica(arguments.at + "/receiver.db", 1);
  Client client(replica, arguments.port);
  client.UntilAgreed();  // also warms up connection and statements
  std::vector<double> seconds;
  double sent = 0;
  double received = 0;
  double round_trips = 0;
  for (std::size_t round = 0; round < kNothingRounds; ++round) {
    const sync::Progress before = client.progress();
    const auto start = std::chrono::steady_clock::now();
    client.Again();
    client.UntilAgreed();
    seconds.push_back(SecondsSince(start));
    sent = static_cast<double>(client.progress().bytes_sent - before.bytes_sent);
    received = static_cast<double>(client.progress().bytes_received - before.bytes_received);
    round_trips = static_cast<double>(client.progress().round_trips - before.round_trips);
  }
  Say("nothing_seconds", Median(seconds));
  Say("nothing_sent", sent);
  Say("nothing_received", received);
  Say("nothing_round_trips", round_trips);

  std::vector<RecordView> views;
  {
    Snapshot snapshot = Must(replica.store->Read());
    views = Must(snapshot.List({.kind = 3, .limit = kSmallChanges}));
  }
  std::size_t number = 0;
  for (const RecordView& view : views) {
    Must(replica.store->Apply(testing::SetText(view.audience, view.kind, view.record, /*field=*/2,
                                               fmt::format("Termin verschoben {}", ++number))));
  }
  const sync::Progress before = client.progress();
  const auto start = std::chrono::steady_clock::now();
  client.Again();
  client.UntilAgreed();
  Say("changes_seconds", SecondsSince(start));
  Say("changes_bytes",
      static_cast<double>(client.progress().bytes_sent - before.bytes_sent +
                          client.progress().bytes_received - before.bytes_received));
  Say("changes_round_trips",
      static_cast<double>(client.progress().round_trips - before.round_trips));
}

// From opening the file to the first page of a list.
void ColdStart(const Arguments& arguments) {
  const auto start = std::chrono::steady_clock::now();
  Replica replica(arguments.at + "/receiver.db", 1);
  Snapshot snapshot = Must(replica.store->Read());
  const auto views = Must(snapshot.List({.limit = 50}));
  Say("seconds", SecondsSince(start));
  Say("peak_mb", PeakMegabytes());
  if (views.empty()) GiveUp({ErrorCode::kInternal, "the replica is empty"});
}

// The same from a bare file with the same records.
sqlite::Statement BarePage(sqlite::Database& database) {
  return Must(database.Prepare(
      "SELECT number, id, body FROM record WHERE number > ? ORDER BY number LIMIT ?"));
}

std::vector<std::tuple<std::int64_t, RecordId, Bytes>> ReadBarePage(sqlite::Statement& page,
                                                                    std::int64_t after,
                                                                    std::int64_t limit) {
  std::vector<std::tuple<std::int64_t, RecordId, Bytes>> rows;
  page.Bind(1, after);
  page.Bind(2, limit);
  const sqlite::StatementScope scope(page);
  while (Must(page.Step())) {
    const auto id = RecordId::From(page.Blob(1));
    if (!id) GiveUp({ErrorCode::kCorrupt, "a bare record has no id"});
    rows.emplace_back(page.Int(0), *id, Bytes(page.Blob(2)));
  }
  return rows;
}

void BareColdStart(const Arguments& arguments) {
  const auto start = std::chrono::steady_clock::now();
  auto database = Must(sqlite::Database::Open({.path = arguments.at + "/bare.db"}));
  auto page = BarePage(database);
  const auto rows = ReadBarePage(page, 0, 50);
  Say("seconds", SecondsSince(start));
  Say("peak_mb", PeakMegabytes());
  if (rows.empty()) GiveUp({ErrorCode::kInternal, "the bare file is empty"});
}

void BareRead(const Arguments& arguments) {
  auto database = Must(sqlite::Database::Open({.path = arguments.at + "/bare.db"}));
  auto page = BarePage(database);
  std::vector<RecordId> ids;
  {
    std::uint64_t records = 0;
    std::int64_t after = 0;
    const auto start = std::chrono::steady_clock::now();
    while (SecondsSince(start) < kReadSeconds) {
      const auto rows = ReadBarePage(page, after, 100);
      after = rows.empty() ? 0 : std::get<0>(rows.back());
      records += rows.size();
      for (const auto& row : rows) {
        if (ids.size() < 20'000) ids.push_back(std::get<1>(row));
      }
    }
    Say("list_per_second", static_cast<double>(records) / SecondsSince(start));
  }
  {
    auto get = Must(database.Prepare("SELECT body FROM record WHERE id = ?"));
    std::uint64_t records = 0;
    testing::SimRandom random(1);
    const auto start = std::chrono::steady_clock::now();
    while (SecondsSince(start) < kReadSeconds) {
      get.BindBlob(1, ids[random.Below(ids.size())].bytes());
      const sqlite::StatementScope scope(get);
      if (!Must(get.Step())) GiveUp({ErrorCode::kInternal, "a bare record is gone"});
      (void)Bytes(get.Blob(0));
      ++records;
    }
    Say("get_per_second", static_cast<double>(records) / SecondsSince(start));
  }
}

void Read(const Arguments& arguments) {
  Replica replica(arguments.at + "/receiver.db", 1);
  {
    const auto start = std::chrono::steady_clock::now();
    while (Must(replica.store->IndexSearch(10'000)) > 0) {
    }
    Say("index_seconds", SecondsSince(start));
  }
  std::vector<RecordId> ids;
  {
    std::uint64_t records = 0;
    const auto start = std::chrono::steady_clock::now();
    ListFilter filter{.limit = 100};
    while (SecondsSince(start) < kReadSeconds) {
      Snapshot snapshot = Must(replica.store->Read());
      const auto views = Must(snapshot.List(filter));
      filter.after_number = views.empty() ? 0 : views.back().number;
      records += views.size();
      for (const RecordView& view : views) {
        if (ids.size() < 20'000) ids.push_back(view.record);
      }
    }
    Say("list_per_second", static_cast<double>(records) / SecondsSince(start));
  }
  {
    std::uint64_t records = 0;
    testing::SimRandom random(1);
    const auto start = std::chrono::steady_clock::now();
    while (SecondsSince(start) < kReadSeconds) {
      Snapshot snapshot = Must(replica.store->Read());
      (void)Must(snapshot.GetRecord(ids[random.Below(ids.size())]));
      ++records;
    }
    Say("get_per_second", static_cast<double>(records) / SecondsSince(start));
  }
  {
    std::vector<double> seconds;
    for (const char* query : {"migrationsberatung", "mustermann-4711", "einbürgerung kommunen",
                              "hauptstraße 77", "vorkonferenz bericht"}) {
      const auto start = std::chrono::steady_clock::now();
      Snapshot snapshot = Must(replica.store->Read());
      (void)Must(snapshot.Search(query, {}, 20, 0));
      seconds.push_back(SecondsSince(start));
    }
    Say("search_seconds", Median(seconds));
  }
  {
    const auto start = std::chrono::steady_clock::now();
    const VerifyReport report = Must(replica.store->Verify());
    if (!report.problems.empty()) {
      GiveUp({ErrorCode::kCorrupt, report.problems.front()});
    }
    Say("verify_seconds", SecondsSince(start));
  }
  const StoreCounts counts = Must(Must(replica.store->Read()).Counts());
  Say("file_mb", static_cast<double>(counts.file_bytes) / 1e6);
}

int Child(const Arguments& arguments) {
  if (arguments.child == "receive") Receive(arguments);
  if (arguments.child == "bare-insert") BareInsert(arguments);
  if (arguments.child == "bare-commits") BareCommits(arguments, "");
  if (arguments.child == "bare-commits-slow") {
    const SlowDisk slow;
    BareCommits(arguments, slow.disk.vfs());
  }
  if (arguments.child == "write-slow") {
    const SlowDisk slow;
    Write(arguments, kClients.back(), slow.disk.vfs());
  }
  if (arguments.child == "small") SmallExchanges(arguments);
  if (arguments.child == "cold") ColdStart(arguments);
  if (arguments.child == "bare-cold") BareColdStart(arguments);
  if (arguments.child == "bare-read") BareRead(arguments);
  if (arguments.child == "read") Read(arguments);
  for (const int clients : kClients) {
    if (arguments.child == fmt::format("write-{}", clients)) Write(arguments, clients, "");
  }
  return 0;
}

// ---- the parent: hub, order of work, table ----

// Runs this program as a child and reads what it says.
std::map<std::string, double> Measure(const Arguments& arguments, const std::string& what,
                                      const std::string& directory, std::uint16_t port) {
  fmt::print(stderr, "  measuring: {}\n", what);
  const std::string command =
      fmt::format("/proc/{}/exe --child {} --at '{}' --port {} --write-seconds {}", getpid(), what,
                  directory, port, arguments.write_seconds);
  std::FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) GiveUp({ErrorCode::kInternal, "cannot start a child process"});
  std::map<std::string, double> said;
  char name[64];
  double value = 0;
  while (std::fscanf(pipe, "%63s %lf", name, &value) == 2) said[name] = value;
  const int status = pclose(pipe);
  if (status != 0) {
    GiveUp({ErrorCode::kInternal, fmt::format("measuring '{}' failed ({})", what, status)});
  }
  return said;
}

void Remove(const std::string& file) {
  for (const char* suffix : {"", "-wal", "-shm"}) {
    std::error_code ignored;
    std::filesystem::remove(file + suffix, ignored);
  }
}

// The hub with all records, behind the real server.
struct RunningHub {
  RunningHub(const std::string& file, std::size_t records) : replica(file, 0) {
    replica.TakeCharter();
    const std::vector<Edit> edits = MixedRecords(records, Conference().laender());
    constexpr std::size_t kChunk = 2000;
    for (std::size_t from = 0; from < edits.size(); from += kChunk) {
      const std::size_t count = std::min(kChunk, edits.size() - from);
      (void)Must(replica.store->ApplyAll(std::span(edits).subspan(from, count)));
    }
    Must(replica.store->Checkpoint());
    commits = std::make_unique<sync::CommitSignal>(*replica.store);
    hub = std::make_unique<sync::Hub>(sync::HubOptions{.store = replica.store.get(),
                                                       .key = &replica.member.key,
                                                       .clock = &replica.clock,
                                                       .random = &replica.random,
                                                       .commits = commits.get()});
    const sync::TlsIdentity identity = replica.Identity();
    api::ListenerOptions listener;
    listener.tls = {.certificate_pem = identity.certificate_pem,
                    .key_pem = identity.key_pem,
                    .client_certificates = api::ClientCertificates::kRequired};
    server = Must(api::Server::Start(std::move(listener), [this](const api::Request& request) {
      sync::HubAnswer answer =
          hub->Handle(request.path, request.peer_key, request.body, request.closing);
      return api::Response{.status = answer.status,
                           .headers = {{"Content-Type", answer.content_type}},
                           .body = std::move(answer.body)};
    }));
  }

  Replica replica;
  std::unique_ptr<sync::CommitSignal> commits;
  std::unique_ptr<sync::Hub> hub;
  std::unique_ptr<api::Server> server;
};

void AverageSizes(Store& store) {
  std::map<std::uint32_t, std::pair<std::size_t, std::size_t>> sizes;
  Snapshot snapshot = Must(store.Read());
  for (const RecordView& view : Must(snapshot.List({.limit = 2000}))) {
    sizes[view.kind].first += view.row.size();
    ++sizes[view.kind].second;
  }
  for (const auto& [kind, sum] : sizes) {
    fmt::print(stderr, "  {}: {} bytes on average\n", record::Kinds().Find(kind)->name,
               sum.first / sum.second);
  }
}

int Bench(const Arguments& arguments) {
  const testing::TemporaryDirectory temporary;
  DirectoryToRemove() = temporary.path();
  std::string directory = temporary.path();
  if (!arguments.directory.empty()) directory = arguments.directory;
  const auto start = std::chrono::steady_clock::now();
  fmt::print(stderr, "staffel_bench: {} mixed records in {}\n", arguments.records, directory);
  Remove(directory + "/hub.db");
  RunningHub hub(directory + "/hub.db", arguments.records);
  fmt::print(stderr, "  the hub's records are made ({:.1f} s)\n", SecondsSince(start));
  AverageSizes(*hub.replica.store);
  const std::uint16_t port = hub.server->port();

  // Alternating, so that both meet the same neighbours on the machine.
  std::vector<double> ingest;
  std::vector<double> bare;
  std::vector<double> ratios;
  std::vector<double> ingest_cpu;
  std::vector<double> hub_cpu;
  std::vector<double> bare_cpu;
  std::map<std::string, double> receive;
  for (int round = 0; round < arguments.repeat; ++round) {
    Remove(directory + "/bare.db");
    Remove(directory + "/receiver.db");
    auto inserted = Measure(arguments, "bare-insert", directory, 0);
    bare.push_back(inserted["seconds"]);
    bare_cpu.push_back(inserted["cpu_seconds"]);
    const double hub_before = CpuSeconds();
    receive = Measure(arguments, "receive", directory, port);
    hub_cpu.push_back(CpuSeconds() - hub_before);
    ingest_cpu.push_back(receive["cpu_seconds"]);
    if (receive["entries"] < static_cast<double>(arguments.records)) {
      GiveUp({ErrorCode::kInternal, "the replica did not get every record"});
    }
    ingest.push_back(receive["seconds"]);
    ratios.push_back(ingest.back() / bare.back());
  }
  const double commits = Measure(arguments, "bare-commits", directory, 0)["per_second"];
  std::map<int, double> writes;
  double write_cpu_us = 0;  // with the most clients
  for (const int clients : kClients) {
    Remove(directory + fmt::format("/writer-{}.db", clients));
    auto written = Measure(arguments, fmt::format("write-{}", clients), directory, 0);
    writes[clients] = written["per_second"];
    write_cpu_us = written["cpu_us"];
  }
  const double slow_commits = Measure(arguments, "bare-commits-slow", directory, 0)["per_second"];
  const double slow_writes = Measure(arguments, "write-slow", directory, 0)["per_second"];
  auto small = Measure(arguments, "small", directory, port);
  auto cold = Measure(arguments, "cold", directory, 0);
  auto bare_cold = Measure(arguments, "bare-cold", directory, 0);
  auto read = Measure(arguments, "read", directory, 0);
  auto bare_read = Measure(arguments, "bare-read", directory, 0);

  const double records = static_cast<double>(arguments.records);
  const std::vector<Figure> figures = {
      {"ingest_seconds", "ingest over TLS into an empty replica", Median(ingest), "s", 2},
      {"bare_insert_seconds", "  bare SQLite, the same records, one transaction", Median(bare), "s",
       2},
      {"ingest_ratio", "  ratio", Median(ratios), "times", 2, 2.5},
      {"ingest_cpu", "  processor time of the receiver", Median(ingest_cpu), "s", 2},
      {"hub_cpu", "  processor time of the hub", Median(hub_cpu), "s", 2},
      {"bare_cpu", "  processor time of the bare insert", Median(bare_cpu), "s", 2},
      {"ingest_rate", "  records", records / Median(ingest), "a second", 0},
      {"ingest_bytes", "  on the wire", receive["bytes_received"] / records, "B/record", 0},
      {"bare_commits", "single commits, bare SQLite", commits, "a second", 0},
      {"writes_1", "durable acknowledged writes, 1 client", writes[1], "a second", 0},
      {"writes_1_ratio", "  against single commits", writes[1] / commits, "times", 2},
      {"writes_16", "  16 clients", writes[16], "a second", 0},
      {"writes_16_ratio", "  16 clients against single commits", writes[16] / commits, "times", 2},
      {"writes_64", "  64 clients", writes[64], "a second", 0},
      {"writes_64_ratio",
       "  64 clients against single commits",
       writes[64] / commits,
       "times",
       2,
       {},
       4.0},
      {"writes_64_own_ratio", "  64 clients against 1 client", writes[64] / writes[1], "times", 2},
      {"writes_64_slow_ratio",
       "  64 clients against single commits, a sync taking 1 ms",
       slow_writes / slow_commits,
       "times",
       2,
       {},
       4.0},
      {"write_cpu_us", "  processor time of a write, 64 clients", write_cpu_us, "us", 0},
      {"nothing_ms", "exchange of nothing", small["nothing_seconds"] * 1e3, "ms", 2},
      {"nothing_round_trips", "  round trips", small["nothing_round_trips"], "", 0, 1.0},
      {"nothing_sent", "  body of the request", small["nothing_sent"], "B", 0, 300.0},
      {"nothing_received", "  body of the answer", small["nothing_received"], "B", 0, 300.0},
      {"changes_ms", "exchange of 100 small changes", small["changes_seconds"] * 1e3, "ms", 1},
      {"changes_round_trips", "  round trips", small["changes_round_trips"], "", 0},
      {"changes_bytes", "  bodies both ways", small["changes_bytes"], "B", 0, 12'000.0},
      {"list_rate", "reading: listed records", read["list_per_second"], "a second", 0},
      {"list_ratio", "  bare SQLite, times as many",
       bare_read["list_per_second"] / read["list_per_second"], "times", 2},
      {"get_rate", "  single records, each in a snapshot of its own", read["get_per_second"],
       "a second", 0},
      {"get_ratio", "  bare SQLite, times as many",
       bare_read["get_per_second"] / read["get_per_second"], "times", 2},
      {"search_ms", "  a search for words, median of five", read["search_seconds"] * 1e3, "ms", 1},
      {"index_seconds", "  full-text index of all, made behind the ingest", read["index_seconds"],
       "s", 1},
      {"verify_seconds", "staffel verify of everything", read["verify_seconds"], "s", 1},
      {"cold_ms", "from opening the file to the first page", cold["seconds"] * 1e3, "ms", 1},
      {"cold_ratio", "  against bare SQLite", cold["seconds"] / bare_cold["seconds"], "times", 2},
      {"cold_mb", "  memory then", cold["peak_mb"], "MB", 0},
      {"cold_mb_ratio", "  against bare SQLite", cold["peak_mb"] / bare_cold["peak_mb"], "times",
       2},
      {"ingest_mb", "memory at the ingest's peak", receive["peak_mb"], "MB", 0},
      {"file_mb", "the replica's file, with its index", read["file_mb"], "MB", 0},
  };
  fmt::print("{}", Table(figures));
  const std::filesystem::path json(arguments.json);
  std::error_code ignored;
  if (json.has_parent_path()) std::filesystem::create_directories(json.parent_path(), ignored);
  std::ofstream file(json);
  file << Json(figures, arguments.records, STAFFEL_VERSION);
  file.close();
  if (!file) {
    fmt::print(stderr, "staffel_bench: cannot write '{}'\n", arguments.json);
    return 1;
  }
  fmt::print("{:.0f} s in all; figures for programs: {}\n", SecondsSince(start), arguments.json);
  return 0;
}

}  // namespace
}  // namespace staffel::bench

int main(int argc, char** argv) {
  staffel::KeepFreedMemory();  // as staffeld does
  staffel::bench::Arguments arguments;
  CLI::App app("Measures Staffel against a bare SQLite program of the same work.");
  app.add_option("--records", arguments.records, "Mixed records to ingest (default 100000)");
  app.add_option("--repeat", arguments.repeat, "Ingests, the median counts (default 3)")
      ->check(CLI::PositiveNumber);
  app.add_option("--write-seconds", arguments.write_seconds, "For each rate of writes (default 3)");
  app.add_option("--json", arguments.json, "Where the figures go (default build/bench.json)");
  app.add_option("--directory", arguments.directory,
                 "Where the databases are made and left (default: a temporary one)");
  app.add_option("--child", arguments.child)->group("");
  app.add_option("--at", arguments.at)->group("");
  app.add_option("--port", arguments.port)->group("");
  CLI11_PARSE(app, argc, argv);
  if (!arguments.child.empty()) return staffel::bench::Child(arguments);
  return staffel::bench::Bench(arguments);
}
