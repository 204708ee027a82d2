// SPDX-License-Identifier: EUPL-1.2
// Writes the golden files and the first inputs of the fuzz corpus, once for a version of the
// exchange: golden_messages GOLDEN_DIRECTORY CORPUS_DIRECTORY. Never run it to make a failing test
// pass: bytes that change are bytes that other replicas do not understand.
#include <cstdio>
#include <fstream>

#include "tests/sync/golden_messages.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: golden_messages GOLDEN_DIRECTORY CORPUS_DIRECTORY\n");
    return 2;
  }
  using namespace staffel;
  const auto write = [](const std::string& path, const Bytes& bytes) {
    std::ofstream file(path, std::ios::binary);
    file << bytes;
    return static_cast<bool>(file.flush());
  };
  bool ok = true;
  for (const auto& [name, bytes] : golden::GoldenFiles()) {
    ok = ok && write(std::string(argv[1]) + "/" + name + ".hex", ToHex(bytes) + "\n");
  }
  const std::string corpus(argv[2]);
  const Bytes message = sync::EncodeMessage(golden::GoldenMessage());
  ok = ok && write(corpus + "/message", Bytes(1, '\0') + message);
  ok = ok && write(corpus + "/message_plain",
                   Bytes(1, '\0') + Bytes("\x01\0", 2) + golden::ContentOf(message));
  sync::Message idle;
  idle.conference = golden::GoldenMessage().conference;
  ok = ok && write(corpus + "/idle", Bytes(1, '\0') + sync::EncodeMessage(idle));
  const auto run = sync::CutRun(golden::GoldenRun());
  ok = ok && write(corpus + "/run", Bytes(1, '\1') + run.entries);
  ok = ok && write(corpus + "/token", Bytes(1, '\2') + sync::EncodeToken(golden::GoldenToken()));
  sync::JoinRequest request{sync::EncodeJoinBody(golden::GoldenJoinBody()), Bytes(65, 'p')};
  ok = ok && write(corpus + "/join_request", Bytes(1, '\3') + sync::EncodeJoinRequest(request));
  sync::JoinAnswer answer;
  answer.state = 1;
  answer.reason = "needs a quorum";
  answer.missing_from = {*MemberId::From("BY")};
  ok = ok && write(corpus + "/join_answer", Bytes(1, '\4') + sync::EncodeJoinAnswer(answer));
  return ok ? 0 : 1;
}
