// SPDX-License-Identifier: EUPL-1.2
#include "api/config.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <utility>

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <toml++/toml.h>
#include <unistd.h>

#include "sync/channel.h"

namespace staffel::api {

namespace {

constexpr std::array<std::string_view, 6> kLogLevels = {"trace",   "debug", "info",
                                                        "warning", "error", "off"};

// Reads one table: each key that is asked for is taken, what remains is unknown.
class Table {
 public:
  Table(const toml::table& table, std::string_view file, std::string name)
      : table_(table), file_(file), name_(std::move(name)) {}

  [[nodiscard]] tl::unexpected<Error> Refuse(const toml::source_region& where, std::string_view key,
                                             std::string_view reason) const {
    return Fail(ErrorCode::kInvalid, "{}:{}:{}: {}: {}", file_, where.begin.line,
                where.begin.column, PathOf(key), reason);
  }

  Result<std::optional<std::string>> Text(std::string_view key) {
    const toml::node* node = Take(key);
    if (node == nullptr) return std::optional<std::string>();
    const auto* value = node->as_string();
    if (value == nullptr) return WrongType(*node, key, "a text in quotes");
    if (value->get().find('\0') != std::string::npos) {
      return Refuse(node->source(), key, "holds a zero byte");
    }
    return std::optional<std::string>(value->get());
  }
  Result<std::optional<std::int64_t>> Number(std::string_view key, std::int64_t least,
                                             std::int64_t most) {
    const toml::node* node = Take(key);
    if (node == nullptr) return std::optional<std::int64_t>();
    const auto* value = node->as_integer();
    if (value == nullptr) return WrongType(*node, key, "a whole number");
    if (value->get() < least || value->get() > most) {
      return Refuse(node->source(), key,
                    fmt::format("{} is out of range, {} to {}", value->get(), least, most));
    }
    return std::optional<std::int64_t>(value->get());
  }
  Result<std::optional<bool>> Bool(std::string_view key) {
    const toml::node* node = Take(key);
    if (node == nullptr) return std::optional<bool>();
    const auto* value = node->as_boolean();
    if (value == nullptr) return WrongType(*node, key, "true or false");
    return std::optional<bool>(value->get());
  }
  Result<const toml::table*> Inner(std::string_view key) {
    const toml::node* node = Take(key);
    if (node == nullptr) return nullptr;
    const auto* inner = node->as_table();
    if (inner == nullptr) return WrongType(*node, key, "a table");
    return inner;
  }
  [[nodiscard]] ConfigPlace PlaceOf(std::string_view key) const {
    const auto where = Where(key).begin;
    return {PathOf(key), where.line, where.column};
  }
  [[nodiscard]] toml::source_region Where(std::string_view key) const {
    const toml::node* node = table_.get(key);
    return node == nullptr ? table_.source() : node->source();
  }

  // Refuses the first key that nobody asked for.
  [[nodiscard]] Status Finish() const {
    for (const auto& [key, node] : table_) {
      const std::string_view name = key;
      if (std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
      return Refuse(key.source(), name,
                    fmt::format("is no key; known here: {}", fmt::join(known_, ", ")));
    }
    return {};
  }

 private:
  std::string PathOf(std::string_view key) const {
    return name_.empty() ? std::string(key) : fmt::format("{}.{}", name_, key);
  }
  const toml::node* Take(std::string_view key) {
    known_.emplace_back(key);
    return table_.get(key);
  }
  tl::unexpected<Error> WrongType(const toml::node& node, std::string_view key,
                                  std::string_view wanted) const {
    return Refuse(node.source(), key, fmt::format("must be {}", wanted));
  }

  const toml::table& table_;
  std::string_view file_;
  std::string name_;
  std::vector<std::string> known_;
};

std::string Resolve(std::string_view file, const std::string& path) {
  const std::filesystem::path given(path);
  if (path.empty() || given.is_absolute()) return path;
  return (std::filesystem::path(file).parent_path() / given).lexically_normal().string();
}

// The bytes of an IPv4 or IPv6 address, the rest zero; nothing where it is none.
std::optional<std::array<unsigned char, sizeof(in6_addr)>> AddressBytes(const std::string& text) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  if (::inet_pton(AF_INET, text.c_str(), bytes.data()) == 1 ||
      ::inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1) {
    return bytes;
  }
  return std::nullopt;
}

// "https://host:port" with an optional path; the port may be missing.
bool LooksLikeUrl(std::string_view text, std::string_view scheme) {
  if (!text.starts_with(scheme)) return false;
  text.remove_prefix(scheme.size());
  const auto host = text.substr(0, text.find('/'));
  return !host.empty() && text.size() <= 2000 &&
         text.find_first_of(" \t\r\n\"<>@#?") == std::string_view::npos;
}

// Nothing where the port of an address is missing or good; else what stands there.
std::optional<std::string_view> BadPort(std::string_view url) {
  url.remove_prefix(url.find("//") + 2);
  const auto host = url.substr(0, url.find('/'));
  const auto colon = host.rfind(':');
  if (colon == std::string_view::npos || host.ends_with(']')) return std::nullopt;
  const std::string_view port = host.substr(colon + 1);
  unsigned number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  const bool good =
      error == std::errc() && end == port.data() + port.size() && number >= 1 && number <= 65'535;
  return good ? std::nullopt : std::optional(port);
}

Status CheckPort(const Table& table, const std::string& url) {
  if (const auto bad = BadPort(url)) {
    return table.Refuse(table.Where("url"), "url",
                        fmt::format("the port of an address is 1 to 65535, not „{}“", *bad));
  }
  return {};
}

Result<std::optional<ListenerConfig>> ReadListener(Table& table) {
  ListenerConfig listener;
  STAFFEL_TRY(address, table.Text("address"));
  if (address) {
    if (!AddressBytes(*address)) {
      return table.Refuse(
          table.Where("address"), "address",
          fmt::format("„{}“ is no IPv4 or IPv6 address; a name is not enough, \"::\" "
                      "hears on all",
                      *address));
    }
    listener.address = *address;
  }
  STAFFEL_TRY(port, table.Number("port", 0, 65535));
  if (!port) {
    return table.Refuse(table.Where("port"), "port", "is missing (0 takes any free one)");
  }
  listener.port = static_cast<std::uint16_t>(*port);
  return std::optional<ListenerConfig>(std::move(listener));
}

Status ReadReplicas(const toml::table& inner, std::string_view file, Config& config) {
  Table table(inner, file, "replicas");
  STAFFEL_TRY(listener, ReadListener(table));
  config.replicas = std::move(listener);
  config.places.push_back(table.PlaceOf("port"));
  STAFFEL_TRY(url, table.Text("url"));
  if (url) {
    if (!LooksLikeUrl(*url, "https://")) {
      return table.Refuse(table.Where("url"), "url",
                          fmt::format("„{}“ must be https://host:port", *url));
    }
    STAFFEL_CHECK(CheckPort(table, *url));
    config.url = *url;
  }
  return table.Finish();
}

Status ReadPeople(const toml::table& inner, std::string_view file, Config& config) {
  Table table(inner, file, "people");
  STAFFEL_TRY(listener, ReadListener(table));
  config.people = std::move(listener);
  config.places.push_back(table.PlaceOf("port"));
  STAFFEL_TRY(certificate, table.Text("certificate"));
  STAFFEL_TRY(key, table.Text("key"));
  if (certificate.has_value() != key.has_value()) {
    return table.Refuse(table.Where(certificate ? "certificate" : "key"),
                        certificate ? "certificate" : "key",
                        "certificate and key belong together: name both files or neither");
  }
  if (certificate) {
    config.certificate_file = Resolve(file, *certificate);
    config.key_file = Resolve(file, *key);
    config.places.push_back(table.PlaceOf("certificate"));
    config.places.push_back(table.PlaceOf("key"));
  }
  return table.Finish();
}

Status ReadProxy(const toml::table& inner, std::string_view file, Config& config) {
  Table table(inner, file, "proxy");
  STAFFEL_TRY(url, table.Text("url"));
  if (!url || !LooksLikeUrl(*url, "http://")) {
    return table.Refuse(table.Where("url"), "url",
                        "must be http://host:port, without user and password: they have keys of "
                        "their own");
  }
  STAFFEL_CHECK(CheckPort(table, *url));
  config.proxy_url = *url;
  STAFFEL_TRY(user, table.Text("user"));
  STAFFEL_TRY(password_file, table.Text("password_file"));
  if (user.has_value() != password_file.has_value()) {
    return table.Refuse(table.Where(user ? "user" : "password_file"),
                        user ? "user" : "password_file", "user and password_file belong together");
  }
  if (user) {
    if (user->empty() || user->find(':') != std::string::npos) {
      return table.Refuse(table.Where("user"), "user", "must not be empty or hold a colon");
    }
    config.proxy_user = *user;
    config.proxy_password_file = Resolve(file, *password_file);
    config.places.push_back(table.PlaceOf("password_file"));
  }
  return table.Finish();
}

Status ReadLog(const toml::table& inner, std::string_view file, Config& config) {
  Table table(inner, file, "log");
  STAFFEL_TRY(level, table.Text("level"));
  if (level) {
    if (std::find(kLogLevels.begin(), kLogLevels.end(), *level) == kLogLevels.end()) {
      return table.Refuse(table.Where("level"), "level",
                          fmt::format("„{}“ is none of {}", *level, fmt::join(kLogLevels, ", ")));
    }
    config.log_level = *level;
  }
  STAFFEL_TRY(log_file, table.Text("file"));
  if (log_file) {
    config.log_file = Resolve(file, *log_file);
    config.places.push_back(table.PlaceOf("file"));
  }
  return table.Finish();
}

Status ReadExchange(const toml::table& inner, std::string_view file, Config& config) {
  Table table(inner, file, "exchange");
  STAFFEL_TRY(retry, table.Number("retry_max_seconds", 1, 86'400));
  if (retry) config.retry_max = std::chrono::seconds(*retry);
  return table.Finish();
}

}  // namespace

bool ListenerConfig::HearsOnAll() const {
  const auto bytes = AddressBytes(address);
  return bytes && std::all_of(bytes->begin(), bytes->end(), [](auto byte) { return byte == 0; });
}

Result<Config> ParseConfig(std::string_view text, std::string_view file) {
  if (text.size() > kConfigBytesMax) {
    return Fail(ErrorCode::kTooLarge, "{}: a configuration has at most {} bytes", file,
                kConfigBytesMax);
  }
  // Debian's library is built to throw: nothing of that leaves this function.
  toml::table parsed;
  try {
    parsed = toml::parse(text, std::string(file));
  } catch (const toml::parse_error& error) {
    return Fail(ErrorCode::kInvalid, "{}:{}:{}: {}", file, error.source().begin.line,
                error.source().begin.column, error.description());
  }
  Config config;
  config.file = std::string(file);
  Table table(parsed, file, "");

  STAFFEL_TRY(data, table.Text("data"));
  if (!data || data->empty()) {
    return table.Refuse(table.Where("data"), "data",
                        "is missing: the directory for this node's keys and database");
  }
  config.directory = Resolve(file, *data);
  config.places.push_back(table.PlaceOf("data"));
  STAFFEL_TRY(member, table.Text("member"));
  if (member) {
    config.member = MemberId::From(*member);
    if (!config.member) {
      return table.Refuse(table.Where("member"), "member",
                          fmt::format("„{}“ is no member id such as NI", *member));
    }
  }
  STAFFEL_TRY(cosign, table.Bool("cosign"));
  config.cosign = cosign.value_or(true);

  using Reader = Status (*)(const toml::table&, std::string_view, Config&);
  const std::array<std::pair<std::string_view, Reader>, 5> tables = {{{"replicas", ReadReplicas},
                                                                      {"people", ReadPeople},
                                                                      {"proxy", ReadProxy},
                                                                      {"exchange", ReadExchange},
                                                                      {"log", ReadLog}}};
  for (const auto& [name, read] : tables) {
    STAFFEL_TRY(inner, table.Inner(name));
    if (inner != nullptr) STAFFEL_CHECK(read(*inner, file, config));
  }
  STAFFEL_CHECK(table.Finish());
  if (config.replicas && config.people && config.replicas->port != 0 &&
      config.replicas->port == config.people->port &&
      (config.replicas->address == config.people->address || config.replicas->HearsOnAll() ||
       config.people->HearsOnAll())) {
    return table.Refuse(table.Where("people"), "people",
                        "replicas and people listen on the same address and port: give one of them "
                        "another port");
  }
  return config;
}

Result<Bytes> ReadFile(const std::string& file, std::size_t bytes_max) {
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    return Fail(errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kStorage,
                "{} cannot be read: {}", file, std::strerror(errno));
  }
  struct Close {
    int fd;
    ~Close() { ::close(fd); }
  } const close{fd};
  struct stat status {};
  if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
    return Fail(ErrorCode::kInvalid, "{} is not a regular file", file);
  }
  Bytes bytes;
  std::array<char, 8192> piece;
  for (;;) {
    const ssize_t got = ::read(fd, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return Fail(ErrorCode::kStorage, "{} cannot be read: {}", file, std::strerror(errno));
    }
    if (got == 0) return bytes;
    bytes.append(piece.data(), static_cast<std::size_t>(got));
    if (bytes.size() > bytes_max) {
      return Fail(ErrorCode::kTooLarge, "{} has more than {} bytes", file, bytes_max);
    }
  }
}

Error AtPlace(const Config& config, std::string_view key, const Error& error) {
  for (const ConfigPlace& place : config.places) {
    if (place.key != key) continue;
    return {error.code, fmt::format("{}:{}:{}: {}: {}", config.file, place.line, place.column,
                                    place.key, error.message)};
  }
  return error;
}

namespace {

bool CanWriteTo(const std::string& directory) {
  std::error_code error;
  return std::filesystem::is_directory(directory, error) &&
         ::access(directory.c_str(), W_OK | X_OK) == 0;
}

// What is not there yet will be made, in the first of its parents that is.
Status CheckData(std::string path) {
  std::error_code error;
  while (!std::filesystem::exists(path, error) && !path.empty() && path != "/") {
    path = std::filesystem::path(path).parent_path().string();
  }
  if (path.empty()) path = ".";
  if (CanWriteTo(path)) return {};
  return Fail(ErrorCode::kInvalid, "{} is no directory that can be written to", path);
}

// Its directory is not made: a misspelt name would take the log where nobody looks for it.
Status CheckLogFile(const std::string& file) {
  std::string parent = std::filesystem::path(file).parent_path().string();
  if (parent.empty()) parent = ".";
  if (CanWriteTo(parent)) return {};
  return Fail(ErrorCode::kInvalid, "{} is no directory that can be written to", parent);
}

Status CheckPeopleKey(const Config& config) {
  STAFFEL_TRY(certificate, ReadFile(config.certificate_file, kCertificateBytesMax));
  STAFFEL_TRY(key, ReadFile(config.key_file, kCertificateBytesMax));
  const auto pair = sync::TlsContext::ForServer(certificate, key, sync::PeerCertificate::kNone);
  if (!pair) return Forward(pair);
  return {};
}

Status CheckFileOf(const Config& config, std::string_view key) {
  if (key == "data") return CheckData(config.directory);
  if (key == "log.file") return CheckLogFile(config.log_file);
  if (key == "proxy.password_file") {
    STAFFEL_TRY(password, ReadFile(config.proxy_password_file, kPasswordBytesMax));
    return {};
  }
  if (key == "people.certificate") {
    STAFFEL_TRY(certificate, ReadFile(config.certificate_file, kCertificateBytesMax));
    return sync::TlsContext::CheckCertificates(certificate);
  }
  // The certificate stands before it in `places`, so what is wrong now is the key.
  if (key == "people.key") return CheckPeopleKey(config);
  return {};
}

}  // namespace

Status CheckFiles(const Config& config) {
  for (const ConfigPlace& place : config.places) {
    if (const auto checked = CheckFileOf(config, place.key); !checked) {
      const Error error{ErrorCode::kInvalid, checked.error().message};
      return tl::unexpected<Error>(AtPlace(config, place.key, error));
    }
  }
  return {};
}

Result<Config> LoadConfig(const std::string& file) {
  STAFFEL_TRY(text, ReadFile(file, kConfigBytesMax));
  STAFFEL_TRY(config, ParseConfig(text, file));
  STAFFEL_CHECK(CheckFiles(config));
  return config;
}

}  // namespace staffel::api
