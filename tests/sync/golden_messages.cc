// SPDX-License-Identifier: EUPL-1.2
#include "tests/sync/golden_messages.h"

#include <zstd.h>

#include "tests/core/journal/golden_entries.h"

namespace staffel::golden {
namespace {

// A signature's shape, without its randomness: the wire carries it and does not check it.
Bytes Signature() {
  Bytes signature(65, '\x22');
  signature[0] = '\x01';
  return signature;
}

Bytes Counted(std::size_t size, unsigned char from) {
  Bytes bytes;
  for (std::size_t i = 0; i < size; ++i) {
    bytes.push_back(static_cast<char>(from + static_cast<unsigned char>(i)));
  }
  return bytes;
}

crypto::PublicKey Key() { return crypto::KeyPair::FromSeedForTests("staffel/golden").public_key(); }

const Entry& Named(const std::vector<GoldenEntry>& all, const std::string& name) {
  for (const auto& golden : all) {
    if (golden.name == name) return golden.entry;
  }
  STAFFEL_ASSERT(false);
  return all.front().entry;
}

}  // namespace

StoredRun GoldenRun() {
  const auto all = Entries();
  StoredRun run;
  run.journal = Named(all, "open").id;
  for (const std::string name : {"open", "write"}) {
    const Entry& entry = Named(all, name);
    StoredEntry stored;
    stored.journal = run.journal;
    stored.seq = entry.header.seq;
    stored.id = entry.id;
    stored.header = entry.header_bytes;
    stored.payloads = entry.payloads;
    run.entries.push_back(std::move(stored));
  }
  // One payload is erased: its commitment travels.
  run.entries.back().payloads.back().reset();
  run.entries.back().signature = Signature();
  return run;
}

sync::Message GoldenMessage() {
  const auto all = Entries();
  sync::Message message;
  message.conference = *ConferenceId::From(Counted(32, 1));
  message.charter_summary = *Hash::From(Counted(32, 2));
  message.audiences_summary = *Hash::From(Counted(32, 3));
  message.audiences_digest = *Hash::From(Counted(32, 4));
  message.wait_ms = 50'000;
  message.charter_lines = {{*EntryId::From(Counted(32, 5)), Counted(8, 6)}};
  message.charter_wants = {*EntryId::From(Counted(32, 7))};
  CharterItem item;
  item.entry = Named(all, "charter");
  item.id = item.entry->id;
  item.signatures = {{charter::CharterSignature::Kind::kApproval, Key(), Signature()},
                     {charter::CharterSignature::Kind::kSeen, Key(), Signature()}};
  CharterItem signature_only;
  signature_only.id = *EntryId::From(Counted(32, 8));
  signature_only.signatures = {{charter::CharterSignature::Kind::kSeen, Key(), Signature()}};
  message.charter_items = {item, signature_only};
  const auto audience = *AudienceId::From(Counted(16, 9));
  message.summaries = {{audience, *Hash::From(Counted(32, 10))}};
  message.vectors = {{audience,
                      {{*JournalId::From(Counted(32, 11)), *EntryId::From(Counted(32, 12)), 300},
                       {*JournalId::From(Counted(32, 13)), EntryId(), 0}}}};
  message.digests = {{audience, *Hash::From(Counted(32, 14))}};
  message.wants = {{*JournalId::From(Counted(32, 15)), 7, {}},
                   {*JournalId::From(Counted(32, 16)), 0, {{*EntryId::From(Counted(32, 17)), 9}}}};
  message.runs = {sync::CutRun(GoldenRun())};
  message.problems = {
      {*JournalId::From(Counted(32, 18)), 4, sync::RunProblem::Outcome::kUnknownPrev, ""},
      {*JournalId::From(Counted(32, 19)), 5, sync::RunProblem::Outcome::kRefused, "Grund"}};
  message.more = true;
  message.new_entries = 42;
  return message;
}

Bytes ContentOf(ByteView message) {
  const ByteView content = message.substr(2);
  if (message[1] == 0) return Bytes(content);
  Bytes out(ZSTD_getFrameContentSize(content.data(), content.size()), '\0');
  STAFFEL_ASSERT(ZSTD_decompress(out.data(), out.size(), content.data(), content.size()) ==
                 out.size());
  return out;
}

sync::InvitationToken GoldenToken() {
  sync::InvitationToken token;
  token.conference = *ConferenceId::From(Counted(32, 1));
  token.conference_name = "IntMK";
  token.hub_url = "https://hub.example:8443";
  token.hub_tls_fingerprint = *Hash::From(Counted(32, 2));
  token.member = *MemberId::From("NW");
  token.id = Counted(sync::kInvitationIdBytes, 3);
  token.code = Counted(sync::kCodeBytes, 4);
  token.expires = {1'750'000'000'000};
  return token;
}

sync::JoinBody GoldenJoinBody() {
  sync::JoinBody body;
  body.conference = *ConferenceId::From(Counted(32, 1));
  body.hub_tls_fingerprint = *Hash::From(Counted(32, 2));
  body.member = *MemberId::From("NW");
  body.invitation = Counted(sync::kInvitationIdBytes, 3);
  body.code = Counted(sync::kCodeBytes, 4);
  body.key = Key();
  body.tls_key = crypto::KeyPair::FromSeedForTests("staffel/golden/tls").public_key();
  body.url = "https://node.example:8443";
  body.recovery_keys = {crypto::KeyPair::FromSeedForTests("staffel/golden/recovery").public_key()};
  return body;
}

std::vector<std::pair<std::string, Bytes>> GoldenFiles() {
  const auto run = sync::CutRun(GoldenRun());
  return {{"run_entries", run.entries},
          {"message", ContentOf(sync::EncodeMessage(GoldenMessage()))},
          {"join_body", sync::EncodeJoinBody(GoldenJoinBody())},
          {"token", Bytes(sync::EncodeToken(GoldenToken()))}};
}

}  // namespace staffel::golden
