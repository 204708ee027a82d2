// SPDX-License-Identifier: EUPL-1.2
// A thin C++17 face of staffel.h: ownership and exceptions in place of out-parameters. All that is
// said there about replies, ids and threads holds here.
#ifndef STAFFEL_STAFFEL_HPP_
#define STAFFEL_STAFFEL_HPP_

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include <staffel/staffel.h>

namespace staffel {

// What a node refused, or why it could not be reached.
class RefusedError : public std::runtime_error {
 public:
  RefusedError(staffel_code code, const std::string& message)
      : std::runtime_error(message), code_(code) {}
  staffel_code code() const { return code_; }

 private:
  staffel_code code_;
};

// One node of this machine. One thread at a time; moves, never copies. Every function throws
// RefusedError where the C function fails, and returns its reply, JSON, otherwise.
class Node {
 public:
  // A data directory or a socket's path.
  explicit Node(const std::string& node)
      : node_(Call([&](staffel_error** error) { return staffel_open(node.c_str(), error); })) {}

  // "de" or "en"; see staffel_set_language.
  void SetLanguage(const std::string& language) {
    staffel_set_language(node_.get(), language.c_str());
  }
  std::string Status() {
    return Text([&](staffel_error** e) { return staffel_status(node_.get(), e); });
  }
  std::string Kinds() {
    return Text([&](staffel_error** e) { return staffel_kinds(node_.get(), e); });
  }
  std::string List(const std::string& kind, const std::string& page = {}) {
    return Text([&](staffel_error** e) {
      return staffel_list(node_.get(), kind.empty() ? nullptr : kind.c_str(),
                          page.empty() ? nullptr : page.c_str(), e);
    });
  }
  std::string Show(const std::string& id) {
    return Text([&](staffel_error** e) { return staffel_show(node_.get(), id.c_str(), e); });
  }
  std::string Search(const std::string& query) {
    return Text([&](staffel_error** e) { return staffel_search(node_.get(), query.c_str(), e); });
  }
  std::string Log(const std::string& id) {
    return Text([&](staffel_error** e) { return staffel_log(node_.get(), id.c_str(), e); });
  }
  std::string Add(const std::string& kind, const std::string& fields) {
    return Text([&](staffel_error** e) {
      return staffel_add(node_.get(), kind.c_str(), fields.c_str(), e);
    });
  }
  std::string Set(const std::string& id, const std::string& fields,
                  const std::string& if_version = {}) {
    return Text([&](staffel_error** e) {
      return staffel_set(node_.get(), id.c_str(), fields.c_str(),
                         if_version.empty() ? nullptr : if_version.c_str(), e);
    });
  }
  std::string Delete(const std::string& id) {
    return Text(
        [&](staffel_error** e) { return staffel_delete(node_.get(), id.c_str(), nullptr, e); });
  }
  std::string Restore(const std::string& id) {
    return Text([&](staffel_error** e) { return staffel_restore(node_.get(), id.c_str(), e); });
  }
  std::string Invoke(const std::string& method, const std::string& request = "{}") {
    return Text([&](staffel_error** e) {
      return staffel_call(node_.get(), method.c_str(), request.c_str(), e);
    });
  }

 private:
  struct Close {
    void operator()(staffel_node* node) const { staffel_close(node); }
  };

  template <typename Function>
  static auto Call(const Function& function)
      -> decltype(function(static_cast<staffel_error**>(nullptr))) {
    staffel_error* error = nullptr;
    auto* result = function(&error);
    if (result == nullptr) {
      const std::unique_ptr<staffel_error, void (*)(staffel_error*)> owned(error,
                                                                           staffel_error_free);
      throw RefusedError(staffel_error_code(error), staffel_error_message(error));
    }
    return result;
  }
  template <typename Function>
  static std::string Text(const Function& function) {
    const std::unique_ptr<char, void (*)(char*)> owned(Call(function), staffel_free);
    return std::string(owned.get());
  }

  std::unique_ptr<staffel_node, Close> node_;
};

}  // namespace staffel

#endif  // STAFFEL_STAFFEL_HPP_
