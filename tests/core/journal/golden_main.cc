// SPDX-License-Identifier: EUPL-1.2
// Writes the golden files, once for a format: golden_entries DIRECTORY. Never run it to make a
// failing test pass: bytes that change are bytes that old journals do not have.
#include <cstdio>
#include <fstream>

#include "core/base/bytes.h"
#include "tests/core/journal/golden_entries.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: golden_entries DIRECTORY\n");
    return 2;
  }
  for (const auto& golden : staffel::golden::Entries()) {
    const std::string path = std::string(argv[1]) + "/" + golden.name + ".txt";
    std::ofstream file(path);
    file << "id " << golden.entry.id.Hex() << "\n";
    file << "header " << staffel::ToHex(golden.entry.header_bytes) << "\n";
    file << "signature " << staffel::ToHex(golden.entry.signature) << "\n";
    for (const auto& payload : golden.entry.payloads) {
      file << "payload " << staffel::ToHex(*payload) << "\n";
    }
    if (!file.flush()) {
      std::fprintf(stderr, "cannot write %s\n", path.c_str());
      return 1;
    }
  }
  return 0;
}
