// SPDX-License-Identifier: EUPL-1.2
#include "sync/blobs.h"

#include <atomic>

#include <catch2/catch.hpp>

#include "core/crypto/hash.h"
#include "core/record/blob_field.h"
#include "tests/sync/node_kit.h"

namespace staffel::testing {
namespace {

using sync::BlobAnswer;
using sync::BlobCourier;
using sync::BlobHost;
using sync::BlobRequest;

constexpr std::uint32_t kDocument = 11;

BlobContent Attach(TestNode& node, const AudienceId& audience, ByteView file) {
  Blobs blobs(*node.store);
  const Hash upload = Value(blobs.BeginUpload());
  for (std::size_t at = 0; at < file.size(); at += kBlobChunkBytes) {
    Ok(blobs.AddPiece(upload, at / kBlobChunkBytes, file.substr(at, kBlobChunkBytes)));
  }
  const BlobContent content = Value(blobs.Describe(upload));
  const auto write = record::NameBlob(
      *record::Kinds().Find(kDocument),
      {content.id, content.size_bytes, content.sha256, "application/pdf", "bericht.pdf"});
  std::vector<Edit> edits(1);
  edits[0].audience = audience;
  edits[0].records.push_back({.kind = kDocument,
                              .record = node.random.DrawId<RecordId>(),
                              .mode = RecordEdit::Mode::kCreate});
  edits[0].records[0].cells.push_back({write.cell, write.value, {}});
  (void)Value(blobs.Attach(upload, edits));
  return content;
}

// A hub NI and members NW and BY. Servers answer for attachments, too; `garble` spoils the pieces
// that the node gives.
struct Three {
  struct Served {
    TestNode node;
    std::unique_ptr<BlobHost> host;
    std::unique_ptr<BlobCourier> courier;
    std::atomic<bool> garble = false;
    std::atomic<int> pieces_given = 0;
    std::atomic<int> pieces_until_silence = 1'000'000;
    explicit Served(const std::string& name) : node(name) {}
    // The server answers from the host until it has stopped.
    ~Served() {
      courier.reset();
      node.StopServer();
    }
  };
  Served ni{"NI"};
  Served nw{"NW"};
  Served by{"BY"};

  Three() {
    for (Served* one : {&ni, &nw, &by}) Serve(*one);
    ni.node.Found({"NI", "NW", "BY"});
    ni.node.StartReplicator();
    Join(nw, "NW", nullptr);
    Join(by, "BY", &nw.node);
  }

  void Serve(Served& one) {
    one.host = std::make_unique<BlobHost>(*one.node.store);
    api::ListenerOptions listener;
    listener.port = one.node.port;
    listener.tls = api::TlsOptions{one.node.identity.certificate_pem, one.node.identity.key_pem,
                                   api::ClientCertificates::kRequired};
    one.node.server =
        Value(api::Server::Start(std::move(listener), [&one](const api::Request& request) {
          api::Response response;
          if (!sync::IsBlobPath(request.path)) {
            auto answer =
                one.node.hub->Handle(request.path, request.peer_key, request.body, request.closing);
            response.status = answer.status;
            response.headers.emplace_back("Content-Type", answer.content_type);
            response.body = std::move(answer.body);
            return response;
          }
          BlobAnswer answer =
              one.host->Answer({request.method, request.path, request.Header("range"),
                                request.Header("content-range"), request.body},
                               request.peer_key);
          if (answer.status == 206) {
            if (++one.pieces_given > one.pieces_until_silence) answer.status = 503;
            if (one.garble) answer.body[7] = static_cast<char>(answer.body[7] ^ 1);
          }
          response.status = answer.status;
          response.headers.emplace_back("Content-Type", answer.content_type);
          if (!answer.content_range.empty()) {
            response.headers.emplace_back("Content-Range", answer.content_range);
          }
          response.body = std::move(answer.body);
          return response;
        }));
    one.node.port = one.node.server->port();
    one.node.url = fmt::format("https://127.0.0.1:{}", one.node.port);
  }

  void Join(Served& one, std::string_view member, TestNode* approver) {
    const auto made =
        Value(sync::Invite(*ni.node.store, Land(member), ni.node.clock, ni.node.random));
    Ok(sync::StartJoining(*one.node.store, made.token, one.node.url, one.node.clock));
    one.node.StartReplicator();
    if (approver != nullptr) {
      REQUIRE(Await(*approver->commits, [&] {
        return sync::Approve(*approver->store, approver->key, member).has_value();
      }));
    }
    REQUIRE(Await(*one.node.commits, [&] { return one.node.IsMember(); }));
    Ok(one.node.replicator->SyncNow(kNodePatience));
  }

  void StartCourier(Served& one) {
    sync::BlobCourierOptions options;
    options.store = one.node.store.get();
    options.key = &one.node.key;
    options.identity = one.node.identity;
    options.commits = one.node.commits.get();
    options.pause_first = milliseconds(5);
    options.pause_max = milliseconds(50);
    one.courier = std::make_unique<BlobCourier>(std::move(options));
    one.courier->Start();
  }

  static bool Whole(Served& one, const BlobId& id, const AudienceId& audience) {
    const auto state = Blobs(*one.node.store).State(id, audience);
    return state && state->complete;
  }
  BlobAnswer Ask(Served& host, Served& asker, std::string_view method, const std::string& path,
                 std::optional<std::string_view> range = {}, ByteView body = {}) {
    const bool get = method == "GET";
    return host.host->Answer(
        {method, path, get ? range : std::nullopt, get ? std::nullopt : range, body},
        asker.node.tls.public_key());
  }
  void Know(Served& one, const BlobId& id, const AudienceId& audience) {
    REQUIRE(Await(*one.node.commits,
                  [&] { return Blobs(*one.node.store).State(id, audience).has_value(); }));
  }
};

std::string PathOf(const BlobId& id) { return std::string(sync::kBlobPath) + id.Hex(); }

TEST_CASE(
    "an attachment made anywhere comes to everyone by itself, also from who cannot be called") {
  Three t;
  const Bytes file = SimRandom(1).Draw(3 * kBlobChunkBytes + 77);
  for (auto* one : {&t.ni, &t.nw, &t.by}) t.StartCourier(*one);
  // NW's port is closed: the hub gets the bytes only because NW brings them.
  t.nw.node.StopServer();
  const AudienceId laender = t.ni.node.laender();
  const BlobContent content = Attach(t.nw.node, laender, file);
  for (auto* one : {&t.ni, &t.by}) {
    REQUIRE(Await(*one->node.commits, [&] { return Three::Whole(*one, content.id, laender); }));
    CHECK(Value(Blobs(*one->node.store).State(content.id, laender)).sha256 == content.sha256);
    CHECK(Value(Blobs(*one->node.store).Chunk(content.id, laender, 3)) ==
          file.substr(3 * kBlobChunkBytes));
  }
}

TEST_CASE(
    "garbage is noticed at the piece, named in an incident, and fetched from another member") {
  Three t;
  const AudienceId laender = t.ni.node.laender();
  const Bytes file = SimRandom(2).Draw(2 * kBlobChunkBytes + 5);
  const BlobContent content = Attach(t.ni.node, laender, file);
  t.Know(t.nw, content.id, laender);
  t.StartCourier(t.nw);
  REQUIRE(Await(*t.nw.node.commits, [&] { return Three::Whole(t.nw, content.id, laender); }));
  t.ni.garble = true;
  t.Know(t.by, content.id, laender);
  t.StartCourier(t.by);
  REQUIRE(Await(*t.by.node.commits, [&] { return Three::Whole(t.by, content.id, laender); }));
  CHECK(t.by.courier->status().refused == 1);
  const auto incidents = Value(t.by.node.store->Incidents(0, 10));
  REQUIRE(incidents.size() == 1);
  CHECK(incidents[0].kind == "attachment");
  CHECK(incidents[0].text.find("NI (") == 0);
  CHECK(Value(Blobs(*t.by.node.store).State(content.id, laender)).sha256 == content.sha256);
}

TEST_CASE("a fetch that was broken off goes on with the piece that lacks") {
  Three t;
  const AudienceId laender = t.ni.node.laender();
  const Bytes file = SimRandom(3).Draw(4 * kBlobChunkBytes);
  t.nw.node.StopServer();
  t.by.node.StopServer();
  const BlobContent content = Attach(t.ni.node, laender, file);
  t.Know(t.nw, content.id, laender);
  t.ni.pieces_until_silence = 2;
  t.StartCourier(t.nw);
  REQUIRE(Await(*t.nw.node.commits, [&] { return t.ni.pieces_given > 2; }));
  t.nw.courier.reset();
  CHECK(Value(Blobs(*t.nw.node.store).State(content.id, laender)).here_bytes ==
        2 * kBlobChunkBytes);
  t.ni.pieces_until_silence = 1'000'000;
  t.ni.pieces_given = 0;
  t.StartCourier(t.nw);
  REQUIRE(Await(*t.nw.node.commits, [&] { return Three::Whole(t.nw, content.id, laender); }));
  // The two that lack, and one that the first courier may still have asked for; not all four.
  CHECK(t.ni.pieces_given < 4);
}

TEST_CASE("who may not have an attachment hears the same as for one that nobody has") {
  Three t;
  const AudienceId own = t.ni.node.store->authority()->FindAudienceByName("land:NI")->id;
  const BlobContent secret = Attach(t.ni.node, own, "nur für Niedersachsen");
  const BlobId nobodys = BlobIdOf(3, crypto::Sha256("abc").bytes());
  for (const std::string suffix : {"", "/list"}) {
    const auto refused = t.Ask(t.ni, t.nw, "GET", PathOf(secret.id) + suffix, "bytes=0-3");
    const auto unknown = t.Ask(t.ni, t.nw, "GET", PathOf(nobodys) + suffix, "bytes=0-3");
    CHECK(refused.status == 404);
    CHECK(refused.status == unknown.status);
    CHECK(refused.body == unknown.body);
    const auto brought = t.Ask(t.ni, t.nw, "PUT", PathOf(secret.id) + suffix, {}, "x");
    CHECK(brought.status == 404);
    CHECK(brought.body == unknown.body);
  }
  // A stranger is turned away before anything is looked at.
  const auto key = Value(crypto::KeyPair::Generate());
  const auto stranger = t.ni.host->Answer({"GET", PathOf(secret.id), {}, {}, {}}, key.public_key());
  CHECK(stranger.status == 403);
  CHECK(t.ni.host->Answer({"GET", PathOf(secret.id), {}, {}, {}}, std::nullopt).status == 403);
}

TEST_CASE("what is wanted is told only where the asker reads the audience, too") {
  Three t;
  const AudienceId laender = t.ni.node.laender();
  const BlobContent content = Attach(t.nw.node, laender, "Bericht");
  t.Know(t.ni, content.id, laender);
  const auto wanted =
      Value(sync::UnpackWanted(t.Ask(t.ni, t.by, "GET", std::string(sync::kBlobsWantedPath)).body));
  REQUIRE(wanted.size() == 1);
  CHECK(wanted[0].id == content.id);
  CHECK(!wanted[0].listed);
  // The hub names something of its own audience that is not here: nobody else hears of it.
  const AudienceId own = t.ni.node.store->authority()->FindAudienceByName("land:NI")->id;
  const auto write = record::NameBlob(*record::Kinds().Find(kDocument),
                                      {BlobIdOf(3, crypto::Sha256("abc").bytes()), 3, {}, "", "b"});
  Edit edit{.audience = own,
            .records = {{.kind = kDocument,
                         .record = t.ni.node.random.DrawId<RecordId>(),
                         .mode = RecordEdit::Mode::kCreate}}};
  edit.records[0].cells.push_back({write.cell, write.value, {}});
  (void)Value(t.ni.node.store->Apply(edit));
  CHECK(Value(Blobs(*t.ni.node.store).Wanted(10)).size() == 2);
  CHECK(
      Value(sync::UnpackWanted(t.Ask(t.ni, t.by, "GET", std::string(sync::kBlobsWantedPath)).body))
          .size() == 1);
}

TEST_CASE("requests for attachments that are not well-formed are refused") {
  Three t;
  const AudienceId laender = t.ni.node.laender();
  const Bytes file = SimRandom(4).Draw(kBlobChunkBytes + 100);
  const BlobContent content = Attach(t.ni.node, laender, file);
  t.Know(t.nw, content.id, laender);
  const std::string path = PathOf(content.id);
  CHECK(t.Ask(t.ni, t.nw, "GET", path).status == 416);
  for (const char* range : {"bytes=", "bytes=5", "bytes=9-5", "bytes=0-1048576", "bytes=1048576-",
                            "bytes=0-1,4-5", "bytes=1048576-1048676", "octets=0-1", "bytes=-5",
                            "bytes=18446744073709551616-18446744073709551617"}) {
    INFO(range);
    CHECK(t.Ask(t.ni, t.nw, "GET", path, range).status == 416);
  }
  const auto part = t.Ask(t.ni, t.nw, "GET", path, "bytes=1048580-1048583");
  CHECK(part.status == 206);
  CHECK(part.body == file.substr(1048580, 4));
  CHECK(part.content_range == "bytes 1048580-1048583/1048676");
  CHECK(t.Ask(t.ni, t.nw, "DELETE", path).status == 405);
  CHECK(t.Ask(t.ni, t.nw, "PUT", std::string(sync::kBlobsWantedPath)).status == 405);
  CHECK(t.Ask(t.ni, t.nw, "GET", std::string(sync::kBlobPath) + "abc").status == 404);
  // Brought to NW, which wants it.
  CHECK(t.Ask(t.nw, t.ni, "PUT", path + "/list", {}, "x").status == 422);
  CHECK(t.Ask(t.nw, t.ni, "PUT", path, "bytes 0-3/1048676", "abcd").status == 404);
  const Bytes list = sync::PackBlobList(Value(Blobs(*t.ni.node.store).List(content.id, laender)));
  CHECK(t.Ask(t.nw, t.ni, "PUT", path + "/list", {}, list).status == 204);
  CHECK(t.Ask(t.nw, t.ni, "PUT", path, "bytes 0-3/1048676", "abcd").status == 422);
  CHECK(t.Ask(t.nw, t.ni, "PUT", path, "bytes 1-4/1048676", "abcd").status == 416);
  CHECK(t.Ask(t.nw, t.ni, "PUT", path, "bytes 0-3/1048676", "abc").status == 416);
  CHECK(t.Ask(t.nw, t.ni, "PUT", path, std::nullopt, "abcd").status == 416);
  CHECK(t.Ask(t.nw, t.ni, "PUT", path, "bytes 0-1048575/1048676", file.substr(0, kBlobChunkBytes))
            .status == 204);
  CHECK(
      t.Ask(t.nw, t.ni, "PUT", path, "bytes 1048576-1048675/1048676", file.substr(kBlobChunkBytes))
          .status == 201);
  CHECK(Three::Whole(t.nw, content.id, laender));
}

TEST_CASE("lists and wants that cannot be read are refused") {
  CHECK(!sync::UnpackBlobList(""));
  CHECK(!sync::UnpackBlobList(Bytes("\x05", 1)));
  CHECK(!sync::UnpackBlobList(Bytes("\x00", 1) + Bytes(32, 'h')));
  CHECK(!sync::UnpackBlobList(Bytes("\x05", 1) + Bytes(64, 'h')));
  CHECK(sync::UnpackBlobList(Bytes("\x05", 1) + Bytes(32, 'h')));
  CHECK(!sync::UnpackWanted(Bytes(33, '\1')));
  CHECK(!sync::UnpackWanted(Bytes(32, 'h') + Bytes("\x02\x01", 2)));
  CHECK(!sync::UnpackWanted(Bytes(32, 'h') + Bytes("\x01\x80", 2)));
  const auto one = Value(sync::UnpackWanted(Bytes(32, 'h') + Bytes("\x01\x05", 2)));
  REQUIRE(one.size() == 1);
  CHECK(one[0].listed);
  CHECK(one[0].next_chunk == 5);
  CHECK(Value(sync::UnpackWanted("")).empty());
}

}  // namespace
}  // namespace staffel::testing
