// SPDX-License-Identifier: EUPL-1.2
// The configuration file of a node: one TOML file, read once at start and checked whole. Every
// refusal names file, line and column and says what is wrong. docs/operating/staffeld.toml explains
// each key. What the values do is node.h's business; secrets are only named here by their files.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/id.h"
#include "core/base/result.h"

namespace staffel::api {

inline constexpr std::size_t kConfigBytesMax = std::size_t{256} << 10;
// Of a certificate or key, and of a password, in files of their own.
inline constexpr std::size_t kCertificateBytesMax = std::size_t{256} << 10;
inline constexpr std::size_t kPasswordBytesMax = 1024;

struct ListenerConfig {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;  // 0: any free one
  // "::", "0.0.0.0": no address by which others could reach it.
  [[nodiscard]] bool HearsOnAll() const;
};

// Where a key stands in the file, for refusals that come after reading it.
struct ConfigPlace {
  std::string key;  // "people.certificate"
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};

struct Config {
  std::string file;  // where it was read from
  // Of the keys whose values can turn out wrong afterwards: files, and ports to listen on.
  std::vector<ConfigPlace> places;
  std::string directory;  // data: absolute, or relative to the working directory of the process
  std::optional<MemberId> member;  // which member this node is of: a hint that refuses a mistake

  std::string log_level = "info";
  std::string log_file;  // empty: standard error

  bool cosign = true;

  // Where other replicas reach this node. Without it the node only calls others.
  std::optional<ListenerConfig> replicas;
  std::string url;  // how others name that place; empty: made of the listener's address

  // People: browsers and phones.
  std::optional<ListenerConfig> people;
  std::string certificate_file;  // both empty: a certificate of the node's own
  std::string key_file;

  std::string proxy_url;  // "http://host:port", without user and password
  std::string proxy_user;
  std::string proxy_password_file;

  std::chrono::seconds retry_max{300};  // the longest pause between two attempts
};

// Reads and checks a configuration. `file` is for messages and for resolving relative paths; no
// other file is looked at.
[[nodiscard]] Result<Config> ParseConfig(std::string_view text, std::string_view file);
// What is wrong with the value of a key ("people.port"), with its place in the file.
[[nodiscard]] Error AtPlace(const Config& config, std::string_view key, const Error& error);
// Whether the files that it names can be read, and the certificate be used with its key. Refusals
// name the place of the key.
[[nodiscard]] Status CheckFiles(const Config& config);
// Both. kNotFound or kStorage where the file itself cannot be read.
[[nodiscard]] Result<Config> LoadConfig(const std::string& file);

// A file's bytes, at most `bytes_max`. Refuses what is not a regular file.
[[nodiscard]] Result<Bytes> ReadFile(const std::string& file, std::size_t bytes_max);

}  // namespace staffel::api
