// SPDX-License-Identifier: EUPL-1.2
#include "api/node.h"

#include <chrono>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>

#include <spdlog/spdlog.h>

#include "api/admin/administration.h"
#include "api/file_twin.h"
#include "api/node_directory.h"
#include "api/people.h"
#include "api/restore.h"
#include "api/router.h"
#include "api/server.h"
#include "core/crypto/certificate.h"
#include "core/crypto/system_random.h"
#include "core/store/store.h"
#include "sync/audiences.h"
#include "sync/blobs.h"
#include "sync/chair.h"
#include "sync/clock_watch.h"
#include "sync/commit_signal.h"
#include "sync/hub.h"
#include "sync/replicator.h"

namespace staffel::api {

namespace {

// Records put into the full-text index in one transaction: writers wait no longer than that.
constexpr std::size_t kIndexAtOnce = 500;
constexpr std::chrono::seconds kUpkeepPause{2};
// How long the receipts' thread sleeps where nobody wakes it; after a failure it tries again then.
constexpr std::chrono::milliseconds kReceiptsIdle{3'600'000};
constexpr std::chrono::milliseconds kReceiptsRetry{30'000};
constexpr std::chrono::seconds kCheckpointPause{30};
// Wiping writes the file anew: of a big one it takes a while, and the next comes so many times as
// much later.
constexpr int kWipePauseFactor = 20;
constexpr std::chrono::seconds kWipePauseMin{2};

class SystemClock final : public Clock {
 public:
  TimeMs Now() override {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return TimeMs{static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(now).count())};
  }
};

struct CertificateAndKey {
  std::string certificate_pem;
  std::string key_pem;
};

// The ministry's certificate, or one of the node's own.
Result<CertificateAndKey> PeopleCertificate(const Config& config, const NodeDirectory& directory) {
  CertificateAndKey out;
  if (!config.certificate_file.empty()) {
    STAFFEL_TRY(certificate, ReadFile(config.certificate_file, kCertificateBytesMax));
    STAFFEL_TRY(key, ReadFile(config.key_file, kCertificateBytesMax));
    out.certificate_pem = std::move(certificate);
    out.key_pem = std::move(key);
    return out;
  }
  STAFFEL_TRY(key, directory.LoadOrMakeKey("people.key"));
  STAFFEL_TRY(certificate, crypto::MakeSelfSignedCertificate(key, "staffel"));
  out.certificate_pem = std::move(certificate);
  out.key_pem = key.ToPem();
  return out;
}

std::string PercentEncode(std::string_view text) {
  constexpr std::string_view kPlain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  std::string out;
  for (const char c : text) {
    if (kPlain.find(c) != std::string_view::npos) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    }
  }
  return out;
}

// With user and password inside: never logged, never shown.
Result<std::string> ProxyUrl(const Config& config) {
  if (config.proxy_url.empty() || config.proxy_user.empty()) return config.proxy_url;
  STAFFEL_TRY(password, ReadFile(config.proxy_password_file, kPasswordBytesMax));
  password.erase(password.find_last_not_of("\r\n") + 1);
  constexpr std::string_view kScheme = "http://";
  return fmt::format("{}{}:{}@{}", kScheme, PercentEncode(config.proxy_user),
                     PercentEncode(password), config.proxy_url.substr(kScheme.size()));
}

// As the hub refuses: one sentence, which the other node shows to its people.
Response Sentence(int status, std::string text) {
  Response response;
  response.status = status;
  response.headers.emplace_back("Content-Type", "text/plain; charset=utf-8");
  response.body = std::move(text);
  return response;
}

}  // namespace

class Node::Impl {
 public:
  explicit Impl(NodeDirectory opened, NodeKeys loaded, Config given)
      : directory(std::move(opened)), keys(std::move(loaded)), config(std::move(given)) {}
  ~Impl() { Stop(); }

  Status Start();
  Status OpenStore();
  Status StartReplicas(const sync::TlsIdentity& identity);
  Status StartPeople();
  void Upkeep(const std::stop_token& stop);
  void Receipts(const std::stop_token& stop);
  Response AnswerReplica(const Request& request);
  std::optional<Response> TurnAway(const Request& request) const;
  void Stop();

  // In the order of building up; torn down in the reverse.
  SystemClock clock;
  crypto::SystemRandom random;
  NodeDirectory directory;
  NodeKeys keys;
  Config config;
  std::string url;
  FileTwin twin{directory.twin()};
  // Others' clocks beside ours; the store dates by ours only as far as they bear it out.
  sync::ClockWatch clocks{clock};
  sync::BoundedClock bounded_clock{clocks};
  crypto::PublicKey former_key;  // before the last rotation; empty: none
  std::unique_ptr<Store> store;
  std::unique_ptr<sync::CommitSignal> commits;
  std::unique_ptr<sync::Chair> chair;
  std::unique_ptr<sync::Hub> hub;
  std::unique_ptr<sync::BlobHost> blobs;
  std::unique_ptr<sync::BlobCourier> courier;
  std::unique_ptr<sync::Replicator> replicator;
  std::unique_ptr<Server> replicas;
  Router people_router;
  std::unique_ptr<Server> people;
  std::unique_ptr<Administration> administration;
  std::unique_ptr<Server> socket;
  sync::Instance instance;  // this process; written before upkeep begins
  std::jthread upkeep;
  std::jthread receipts;
};

// Before the body is read: only members exchange, and only joining is open to a stranger.
std::optional<Response> Node::Impl::TurnAway(const Request& request) const {
  if (request.path != sync::kExchangePath && request.path != sync::kJoinPath &&
      !sync::IsBlobPath(request.path)) {
    return Sentence(404, "replicas exchange, join and fetch attachments here, nothing else");
  }
  if (store->doubt().in_doubt) {
    return Sentence(503, DoubtRefusal().message);
  }
  if (request.path == sync::kJoinPath) return std::nullopt;
  const auto authority = store->authority();
  if (authority == nullptr) {
    return Sentence(503, "this node belongs to no conference yet");
  }
  const auto key = request.peer_key.value_or(crypto::PublicKey());
  if (!authority->MemberOfTlsKey(key)) {
    return Sentence(403, sync::NotListed(*authority, key).message);
  }
  return std::nullopt;
}

Response Node::Impl::AnswerReplica(const Request& request) {
  if (sync::IsBlobPath(request.path)) {
    auto answer = blobs->Answer({request.method, request.path, request.Header("range"),
                                 request.Header("content-range"), request.body},
                                request.peer_key);
    Response response;
    response.status = answer.status;
    response.headers.emplace_back("Content-Type", std::move(answer.content_type));
    if (!answer.content_range.empty()) {
      response.headers.emplace_back("Content-Range", std::move(answer.content_range));
    }
    response.body = std::move(answer.body);
    return response;
  }
  if (request.method != "POST") {
    Response response = Sentence(405, "replicas POST their exchanges");
    response.headers.emplace_back("Allow", "POST");
    return response;
  }
  auto answer = hub->Handle(request.path, request.peer_key, request.body, request.closing);
  Response response;
  response.status = answer.status;
  response.headers.emplace_back("Content-Type", std::move(answer.content_type));
  response.body = std::move(answer.body);
  return response;
}

Status Node::Impl::StartReplicas(const sync::TlsIdentity& identity) {
  ListenerOptions listener;
  listener.address = config.replicas->address;
  listener.port = config.replicas->port;
  listener.tls =
      TlsOptions{identity.certificate_pem, identity.key_pem, ClientCertificates::kRequired};
  listener.gate = [this](const Request& request) { return TurnAway(request); };
  auto started = Server::Start(std::move(listener),
                               [this](const Request& request) { return AnswerReplica(request); });
  if (!started) return tl::unexpected<Error>(AtPlace(config, "replicas.port", started.error()));
  replicas = std::move(*started);
  // Where it hears on all addresses none of them is the one to tell.
  if (!config.url.empty()) {
    url = config.url;
  } else if (!config.replicas->HearsOnAll()) {
    url = "https://" + replicas->address();
  }
  return {};
}

Status Node::Impl::StartPeople() {
  STAFFEL_TRY(certificate, PeopleCertificate(config, directory));
  AddPeopleRoutes(people_router, *store, STAFFEL_VERSION);
  ListenerOptions listener;
  listener.address = config.people->address;
  listener.port = config.people->port;
  listener.tls =
      TlsOptions{certificate.certificate_pem, certificate.key_pem, ClientCertificates::kNone};
  auto started = Server::Start(std::move(listener), [this](const Request& request) {
    return store->doubt().in_doubt ? Problem(503, DoubtRefusal().message) : people_router(request);
  });
  if (!started) return tl::unexpected<Error>(AtPlace(config, "people.port", started.error()));
  people = std::move(*started);
  return {};
}

Status Node::Impl::OpenStore() {
  STAFFEL_TRY(former, directory.FormerKey());
  StoreOptions options;
  options.path = directory.database();
  options.clock = &bounded_clock;
  options.random = &random;
  options.key = &keys.replica;
  options.twin = &twin;
  options.forget_copies = [database = options.path] { return ForgetKept(database); };
  if (former) {
    former_key = former->public_key();
    options.former_keys = {former_key};
  }
  STAFFEL_TRY(opened, Store::Open(options));
  store = std::move(opened);
  // Prepared keys are used as soon as the charter lists them. A hub waits until a term names the
  // new one: nobody else can act for the chair until then.
  STAFFEL_TRY(next, directory.NextKeys(/*make=*/false));
  const auto authority = store->authority();
  if (!next || authority == nullptr || !authority->IsCurrentKey(next->replica.public_key()) ||
      authority->hub_key() == keys.replica.public_key()) {
    return {};
  }
  store.reset();
  STAFFEL_CHECK(directory.SwitchKeys());
  STAFFEL_TRY(loaded, directory.LoadKeys());
  keys = std::move(loaded);
  spdlog::info("this node goes on with its new keys: {}",
               keys.replica.public_key().Fingerprint().Hex());
  return OpenStore();
}

Status Node::Impl::Start() {
  STAFFEL_CHECK(OpenStore());
  if (const auto doubt = store->doubt(); doubt.in_doubt) {
    spdlog::warn(
        "in doubt about its own past: {}; nobody is served before an exchange has completed",
        doubt.reason);
  }
  commits = std::make_unique<sync::CommitSignal>(*store);
  const auto on_incident = [this](const sync::DigestDifference& incident) {
    spdlog::error("digest of audience {} differs from {}'s: ours {}, theirs {}",
                  incident.audience.Hex(), incident.peer.text(), incident.ours.Hex(),
                  incident.theirs.Hex());
    const auto reported = store->ReportIncident(
        "digest", fmt::format("the state of audience {} differs from {}'s, though both hold the "
                              "same entries: run 'staffel verify' on both",
                              incident.audience.Hex().substr(0, 8), incident.peer.text()));
    if (!reported) spdlog::error("the incident cannot be written: {}", reported.error().message);
  };
  STAFFEL_TRY(begun, sync::BeginInstance(*store, random, clock.Now()));
  instance = std::move(begun);
  const auto on_second_instance = [this](const MemberId& member) {
    spdlog::warn("the node of {} runs twice", member.text());
    const auto reported = store->ReportIncident(
        "clone", fmt::format("the node of {0} runs twice, on copies of one database: the second is "
                             "turned away here until one of the two has ended. Tell {0}",
                             member.text()));
    if (!reported) spdlog::error("the incident cannot be written: {}", reported.error().message);
  };
  // Made on every node: which one has the chair is the charter's word, and may change.
  chair = std::make_unique<sync::Chair>(sync::ChairOptions{
      .store = store.get(), .key = &keys.replica, .clock = &clock, .clocks = &clocks});
  const auto on_peer_holds = [this](const crypto::PublicKey& peer,
                                    const std::vector<sync::AudienceVector>& vectors) {
    chair->PeerHolds(peer, vectors);
  };
  hub = std::make_unique<sync::Hub>(sync::HubOptions{.store = store.get(),
                                                     .key = &keys.replica,
                                                     .clock = &clock,
                                                     .random = &random,
                                                     .commits = commits.get(),
                                                     .cosign = config.cosign,
                                                     .clocks = &clocks,
                                                     .on_second_instance = on_second_instance,
                                                     .on_incident = on_incident,
                                                     .on_peer_holds = on_peer_holds});

  blobs = std::make_unique<sync::BlobHost>(*store);
  // What was on its way in when the node last stopped: nobody names it.
  if (const auto dropped = Blobs(*store).DropUploads(); !dropped) {
    if (dropped.error().code != ErrorCode::kStorage) return dropped;
    spdlog::error("this node can be read and takes no writes: {}", dropped.error().message);
  }
  STAFFEL_TRY(certificate, crypto::MakeSelfSignedCertificate(keys.tls, "staffel"));
  const sync::TlsIdentity identity{certificate, keys.tls.ToPem()};
  if (config.replicas) STAFFEL_CHECK(StartReplicas(identity));

  STAFFEL_TRY(proxy, ProxyUrl(config));
  replicator = std::make_unique<sync::Replicator>(sync::ReplicatorOptions{
      .store = store.get(),
      .key = &keys.replica,
      .identity = identity,
      .tls_key = keys.tls.public_key(),
      .clock = &clock,
      .random = &random,
      .commits = commits.get(),
      .proxy = proxy,
      .cosign = config.cosign,
      .instance = instance,
      .clocks = &clocks,
      .backoff_max = config.retry_max,
      .on_incident = on_incident,
      .on_peer_holds = on_peer_holds,
      .on_event = [this](const std::string& event, bool failed) {
        spdlog::log(failed ? spdlog::level::warn : spdlog::level::info, "exchange: {}", event);
        courier->Wake();
      }});
  courier = std::make_unique<sync::BlobCourier>(sync::BlobCourierOptions{
      .store = store.get(),
      .key = &keys.replica,
      .identity = identity,
      .commits = commits.get(),
      .proxy = proxy,
      .on_event = [](const std::string& event) { spdlog::warn("attachments: {}", event); }});

  if (config.people) STAFFEL_CHECK(StartPeople());

  administration = std::make_unique<Administration>(AdministrationOptions{
      .store = store.get(),
      .key = &keys.replica,
      .clock = &clock,
      .random = &random,
      .replicator = replicator.get(),
      .courier = courier.get(),
      .clocks = &clocks,
      .tls_key = keys.tls.public_key(),
      .member = config.member,
      .url = url,
      .hears_on_all = config.replicas && config.replicas->HearsOnAll(),
      .directory = directory.path(),
      .replicas_address = replicas == nullptr ? "" : url,
      .people_address = people == nullptr ? "" : "https://" + people->address(),
      .cosign = config.cosign,
      .version = STAFFEL_VERSION,
      .next_keys = [this](bool make) -> Result<std::optional<AdministrationOptions::NextKeys>> {
        STAFFEL_TRY(next, directory.NextKeys(make));
        if (!next) return std::optional<AdministrationOptions::NextKeys>();
        return std::optional<AdministrationOptions::NextKeys>(
            {next->replica.public_key(), next->tls.public_key()});
      },
      .former_key = former_key});
  ListenerOptions local;
  local.unix_path = directory.socket();
  STAFFEL_TRY(listening, Server::Start(std::move(local), [this](const Request& request) {
                return administration->Handle(request);
              }));
  socket = std::move(listening);

  courier->Start();
  STAFFEL_CHECK(replicator->Start());
  upkeep = std::jthread([this](const std::stop_token& stop) { Upkeep(stop); });
  receipts = std::jthread([this](const std::stop_token& stop) { Receipts(stop); });
  return {};
}

// Receipts what has come, while this node has the chair.
void Node::Impl::Receipts(const std::stop_token& stop) {
  bool failing = false;
  while (!stop.stop_requested()) {
    const auto worked = chair->Work();
    if (!worked && !failing) {
      spdlog::error("receipts cannot be written: {}", worked.error().message);
    }
    failing = !worked;
    chair->Wait(failing ? kReceiptsRetry : worked->again.value_or(kReceiptsIdle), stop);
  }
}

// The index follows the writes, the WAL is emptied now and then: both off the writers' path.
void Node::Impl::Upkeep(const std::stop_token& stop) {
  auto checkpointed = std::chrono::steady_clock::now();
  auto wipe_again = checkpointed;
  bool failing = false;
  bool noted = false;  // this process, in the database
  while (!stop.stop_requested()) {
    const std::uint64_t seen = commits->revision();
    const auto left = store->IndexSearch(kIndexAtOnce);
    if (!left) {
      if (!failing) spdlog::error("the search index cannot be written: {}", left.error().message);
      failing = true;
    } else {
      failing = false;
      if (*left > 0) continue;
    }
    if (std::chrono::steady_clock::now() >= wipe_again) {
      const auto began = std::chrono::steady_clock::now();
      if (const auto wiped = store->Wipe(); !wiped) {
        spdlog::error("what was erased still lies in free places of the file: {}",
                      wiped.error().message);
      }
      const auto ended = std::chrono::steady_clock::now();
      wipe_again = ended + std::max<std::chrono::steady_clock::duration>(
                               kWipePauseMin, (ended - began) * kWipePauseFactor);
    }
    // Where the disk was full at the start.
    if (!noted) noted = sync::NoteInstance(*store, instance).has_value();
    // An audience that we founded may have come into force by an approval from elsewhere.
    if (const auto named = sync::WriteProfiles(*store); !named) {
      spdlog::warn("the name of an audience cannot be written yet: {}", named.error().message);
    }
    if (const auto gone = store->LeaveAudiences(); !gone) {
      spdlog::warn("the copy of an audience that we were taken out of cannot be deleted yet: {}",
                   gone.error().message);
    } else if (*gone > 0) {
      spdlog::info("the copies of {} audiences that we were taken out of are deleted", *gone);
      replicator->Wake();
    }
    const auto now = std::chrono::steady_clock::now();
    if (now - checkpointed > kCheckpointPause) {
      checkpointed = now;
      if (const auto done = store->Checkpoint(); !done) {
        spdlog::warn("the journal file cannot be tidied: {}", done.error().message);
      }
    }
    commits->Wait(seen, failing ? std::chrono::milliseconds(kCheckpointPause) : kUpkeepPause, stop);
  }
}

void Node::Impl::Stop() {
  // First whoever asks, then whatever answers.
  if (administration != nullptr) administration->Stop();
  if (people != nullptr) people->Stop();
  receipts.request_stop();
  if (upkeep.joinable()) {
    upkeep.request_stop();
    if (commits != nullptr) commits->Poke();
  }
  // Side by side: each may wait for a second for answers under way.
  std::jthread replicas_end([this] {
    if (replicas != nullptr) replicas->Stop();
  });
  std::jthread replicator_end([this] {
    if (replicator != nullptr) replicator->Stop();
  });
  if (courier != nullptr) courier->Stop();
  if (socket != nullptr) socket->Stop();
  replicas_end.join();
  replicator_end.join();
  if (upkeep.joinable()) upkeep.join();
  if (receipts.joinable()) receipts.join();
}

Node::Node(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Node::~Node() = default;

Result<std::unique_ptr<Node>> Node::Start(const Config& config) {
  auto directory = NodeDirectory::Open(config.directory);
  if (!directory) return tl::unexpected<Error>(AtPlace(config, "data", directory.error()));
  STAFFEL_TRY(keys, directory->LoadKeys());
  auto impl = std::make_unique<Impl>(std::move(*directory), std::move(keys), config);
  STAFFEL_CHECK(impl->Start());
  return std::unique_ptr<Node>(new Node(std::move(impl)));
}

Status Node::ReloadCertificate() {
  if (impl_->people == nullptr) return {};
  STAFFEL_TRY(certificate, PeopleCertificate(impl_->config, impl_->directory));
  return impl_->people->ReloadCertificate(certificate.certificate_pem, certificate.key_pem);
}

void Node::Stop() { impl_->Stop(); }

std::string Node::replicas_address() const { return impl_->replicas == nullptr ? "" : impl_->url; }
std::string Node::people_address() const {
  return impl_->people == nullptr ? "" : "https://" + impl_->people->address();
}
std::string Node::socket_path() const { return impl_->directory.socket(); }

}  // namespace staffel::api
