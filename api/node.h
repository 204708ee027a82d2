// SPDX-License-Identifier: EUPL-1.2
// A whole node: store, keys, exchange, listeners, administration, upkeep, put together from one
// configuration. main.cc owns one; the parts are written elsewhere and meet only here.
#pragma once

#include <memory>
#include <string>

#include "api/config.h"
#include "core/base/result.h"

namespace staffel::api {

// Threads: the listeners' and the replicator's own, and one for upkeep. Start and Stop belong to
// one thread.
class Node {
 public:
  // Opens the data directory and serves. Refuses what cannot work, with a sentence that says what
  // to do; nothing is left running then.
  [[nodiscard]] static Result<std::unique_ptr<Node>> Start(const Config& config);
  ~Node();  // stops
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  // The people's certificate, read anew from its files. On refusal the old one stays.
  [[nodiscard]] Status ReloadCertificate();
  // Ends requests under way and all threads; within three seconds. Repeatable.
  void Stop();

  // Where it can be reached, for the log: empty where it does not listen.
  [[nodiscard]] std::string replicas_address() const;
  [[nodiscard]] std::string people_address() const;
  [[nodiscard]] std::string socket_path() const;

 private:
  class Impl;
  explicit Node(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace staffel::api
