// SPDX-License-Identifier: EUPL-1.2
#include "core/base/result.h"

#include <cstdio>
#include <cstdlib>

namespace staffel {

std::string_view ErrorCodeName(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalid:
      return "invalid";
    case ErrorCode::kNotFound:
      return "not-found";
    case ErrorCode::kExists:
      return "exists";
    case ErrorCode::kDenied:
      return "denied";
    case ErrorCode::kConflict:
      return "conflict";
    case ErrorCode::kTooLarge:
      return "too-large";
    case ErrorCode::kUnsupported:
      return "unsupported";
    case ErrorCode::kUnavailable:
      return "unavailable";
    case ErrorCode::kStorage:
      return "storage";
    case ErrorCode::kCorrupt:
      return "corrupt";
    case ErrorCode::kInternal:
      return "internal";
  }
  return "internal";
}

void AssertionFailed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "staffel: a bug: %s does not hold at %s:%d\n", expression, file, line);
  std::abort();
}

}  // namespace staffel
