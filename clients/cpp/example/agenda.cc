// SPDX-License-Identifier: EUPL-1.2
// Prints the notes of a node: agenda NODE
// With fields it writes one before, which stays there: agenda NODE '{"text": "Bis Montag"}'
#include <cstdio>
#include <exception>

#include <staffel/staffel.hpp>

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3) {
    std::fprintf(stderr, "usage: agenda NODE [FIELDS] (a node's data directory, JSON)\n");
    return 2;
  }
  try {
    staffel::Node node(argv[1]);
    if (argc == 3) node.Add("note", argv[2]);
    std::printf("%s\n", node.List("note").c_str());
  } catch (const staffel::RefusedError& error) {
    std::fprintf(stderr, "refused (%d): %s\n", static_cast<int>(error.code()), error.what());
    return 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
