// SPDX-License-Identifier: EUPL-1.2
// What a command writes under a name that a person gave (-o FILE): a file that appears when it is
// whole, or a device or pipe that takes it as it comes. What goes wrong is said here.
#pragma once

#include <string>
#include <string_view>

#include <sys/types.h>

#include "clients/cli/context.h"

namespace staffel::cli {

// One owner, one thread. Every function that returns false has said why, or, of standard output,
// main does.
class OutputFile {
 public:
  explicit OutputFile(const Context& context) : context_(context) {}
  ~OutputFile();  // what is not finished does not stay: the file is as it was
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  // "-" is standard output. A file, new or not, is written beside as NAME.part, with `mode` less
  // the umask, and takes its name in Finish; behind a symbolic link it is the link's target.
  // Anything else that is there stays what it is and is written to; a directory or a socket is
  // refused.
  [[nodiscard]] bool Open(const std::string& name, mode_t mode);
  [[nodiscard]] bool Write(std::string_view bytes);
  // All is written: to the disk, and under its name.
  [[nodiscard]] bool Finish();

 private:
  bool Refuse(int error);

  const Context& context_;
  std::string name_;    // as given
  std::string target_;  // behind links; empty where bytes go straight to where they belong
  std::string part_;    // beside the target, while it is there
  int fd_ = -1;         // -1: standard output, or closed
};

}  // namespace staffel::cli
