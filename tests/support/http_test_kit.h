// SPDX-License-Identifier: EUPL-1.2
// What the HTTP tests share: keys with certificates, a client that sends whatever bytes a test
// wants over a real socket, and a directory that goes away. Every wait ends in kPatience.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/crypto/certificate.h"
#include "core/crypto/key.h"
#include "sync/channel.h"
#include "sync/http_message.h"

namespace staffel::test {

inline constexpr std::chrono::seconds kPatience{30};

inline sync::Deadline Soon() { return std::chrono::steady_clock::now() + kPatience; }

// A key and a certificate around it.
struct TestIdentity {
  explicit TestIdentity(std::string_view name) : TestIdentity(name, *crypto::KeyPair::Generate()) {}
  std::string certificate_pem;
  std::string key_pem;
  crypto::PublicKey key;

 private:
  TestIdentity(std::string_view name, const crypto::KeyPair& pair)
      : certificate_pem(*crypto::MakeSelfSignedCertificate(pair, name)),
        key_pem(pair.ToPem()),
        key(pair.public_key()) {}
};

class TestDirectory {
 public:
  TestDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "staffel-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary directory");
    path_ = pattern;
  }
  ~TestDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline sync::Descriptor ConnectTo(std::uint16_t port) {
  sync::Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return {};
  }
  return socket;
}

inline sync::Descriptor ConnectTo(const std::string& unix_path) {
  sync::Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  unix_path.copy(address.sun_path, sizeof address.sun_path - 1);
  if (connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return {};
  }
  return socket;
}

struct RawAnswer {
  int status = 0;  // 0: the connection ended without an answer
  sync::HttpFields fields;
  std::string body;
};

// Sends bytes as they are and reads answers as strictly as HttpTransport.
class RawClient {
 public:
  explicit RawClient(std::uint16_t port) : channel(ConnectTo(port)) {}
  explicit RawClient(const std::string& unix_path) : channel(ConnectTo(unix_path)) {}

  // False where the server does not take all of it.
  bool Send(std::string_view bytes) {
    return channel.Write(bytes, Soon(), -1) == sync::IoState::kDone;
  }

  RawAnswer Receive(bool to_head = false) {
    RawAnswer answer;
    sync::HeadReader head({});
    std::size_t used = 0;
    while (true) {
      const auto state = head.Feed(buffer, used);
      buffer.erase(0, used);
      if (state == sync::ReadState::kDone) break;
      if (state == sync::ReadState::kRefused || !More()) return answer;
    }
    auto parsed = sync::ParseAnswerHead(head.first_line(), std::move(head.fields()));
    if (!parsed) return answer;
    const bool bare = to_head || parsed->status < 200 || parsed->status == 204;
    sync::BodyReader body(
        bare ? sync::BodyFraming{} : parsed->framing.value_or(sync::BodyFraming{}),
        std::size_t{1} << 30);
    while (true) {
      const auto state = body.Feed(buffer, used, answer.body);
      buffer.erase(0, used);
      if (state == sync::ReadState::kDone) break;
      if (state == sync::ReadState::kRefused || !More()) return answer;
    }
    answer.status = parsed->status;
    answer.fields = std::move(parsed->fields);
    return answer;
  }

  RawAnswer Ask(std::string_view bytes) {
    Send(bytes);
    return Receive();
  }

  // Whether the server ends the connection, having sent nothing more.
  bool IsEnded() {
    char byte = 0;
    std::size_t got = 0;
    return buffer.empty() && channel.Read(&byte, 1, got, Soon(), -1) == sync::IoState::kClosed;
  }

  sync::Channel channel;
  std::string buffer;

 private:
  bool More() {
    std::array<char, 16384> chunk{};
    std::size_t got = 0;
    if (channel.Read(chunk.data(), chunk.size(), got, Soon(), -1) != sync::IoState::kDone) {
      return false;
    }
    buffer.append(chunk.data(), got);
    return true;
  }
};

}  // namespace staffel::test
