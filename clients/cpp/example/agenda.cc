// SPDX-License-Identifier: EUPL-1.2
// Notes something at a node and prints what is there: agenda NODE
#include <cstdio>
#include <exception>

#include <staffel/staffel.hpp>

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: agenda NODE (a node's data directory)\n");
    return 2;
  }
  try {
    staffel::Node node(argv[1]);
    node.Add("note", R"({"title": "Vorkonferenz", "text": "Unterlagen bis 12. Februar"})");
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
