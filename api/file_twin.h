// SPDX-License-Identifier: EUPL-1.2
// The nonce's twin as a small file in the node's directory, beside the database and not in it: a
// database that is put back brings the old nonce, and the twin has the new one.
#pragma once

#include <string>

#include "core/store/doubt.h"

namespace staffel::api {

class FileTwin final : public Twin {
 public:
  explicit FileTwin(std::string path) : path_(std::move(path)) {}
  [[nodiscard]] Result<std::optional<Bytes>> Load() override;
  [[nodiscard]] Status Save(ByteView content) override;

 private:
  std::string path_;
};

}  // namespace staffel::api
