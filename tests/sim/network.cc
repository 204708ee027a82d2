// SPDX-License-Identifier: EUPL-1.2
// Who speaks to whom, over a network that loses, repeats, delays and parts.
#include <algorithm>

#include "sync/audiences.h"
#include "tests/sim/world.h"

namespace staffel::sim {

std::vector<std::size_t> Simulation::PeersOf(Node& node) {
  std::vector<std::size_t> peers;
  const auto add = [&](std::optional<std::size_t> peer) {
    if (!peer || *peer == node.index || nodes_[*peer]->gone) return;
    if (nodes_[*peer]->replica.key().public_key() == node.replica.key().public_key()) return;
    if (std::find(peers.begin(), peers.end(), *peer) == peers.end()) peers.push_back(*peer);
  };
  const auto authority = AuthorityOf(node);
  if (!authority) {
    add(0);  // whoever invited it
    return peers;
  }
  add(NodeOfKey(authority->hub_key()));
  if (authority->hub_key() == node.replica.key().public_key()) {
    // It may be the only one who knows that it is the hub: it tells those before it, and all
    // others.
    const auto& terms = authority->content().terms;
    for (auto term = terms.rbegin(); term != terms.rend(); ++term) add(NodeOfKey(term->replica));
    for (const charter::Member& member : authority->members()) {
      for (const charter::Replica& replica : member.replicas) add(NodeOfKey(replica.key));
    }
  }
  const auto member = node.replica.store().own_member();
  if (!member) return peers;
  const auto audiences = sync::AudiencesToMeetFor(node.replica.store());
  if (!audiences) return peers;  // a disk that fails: the next round looks again
  for (const AudienceId& audience : *audiences) {
    const auto relay = authority->RelayOf(audience);
    const charter::Member* found = relay ? authority->FindMember(*relay) : nullptr;
    if (found == nullptr) continue;
    for (const charter::Replica& replica : found->replicas) add(NodeOfKey(replica.key));
  }
  return peers;
}

void Simulation::Sync(Node& node) {
  AfterFor(node, 1 * kSecond + network_.Below(10 * kSecond), [this, &node] { Sync(node); });
  const auto peers = PeersOf(node);
  std::size_t peer = 0;
  if (peers.empty() || network_.Chance(12)) {
    peer = network_.Below(nodes_.size());
    if (peer == node.index || nodes_[peer]->gone || nodes_[peer]->is_clone) return;
    if (nodes_[peer]->replica.key().public_key() == node.replica.key().public_key()) return;
    ++counts_.peer_exchanges;
  } else {
    peer = peers[network_.Chance(60) ? 0 : network_.Below(peers.size())];
    if (peer != peers.front()) ++counts_.relay_exchanges;
  }
  Node::Asking& asking = node.asking[peer];
  if (asking.under_way) return;
  if (asking.exchange == nullptr) {
    asking.exchange = MakeExchange(node, peer);
  } else {
    asking.exchange->Begin();
  }
  asking.retries = 0;
  Ask(node, peer);
}

std::unique_ptr<sync::Exchange> Simulation::MakeExchange(Node& node, std::size_t peer) {
  sync::ExchangeOptions options{.limits = limits_, .instance = node.instance};
  if (node.replica.store().authority() == nullptr) {
    options.conference = conference_->conference();
  }
  return std::make_unique<sync::Exchange>(
      node.replica.store(), nodes_[peer]->replica.tls().public_key(), std::move(options));
}

bool Simulation::MayExchange(Node& a, Node& b) {
  for (Node* one : {&a, &b}) {
    const auto authority = AuthorityOf(*one);
    if (!authority) return false;
    for (Node* other : {&a, &b}) {
      if (!authority->IsCurrentKey(other->replica.key().public_key())) return false;
    }
  }
  return true;
}

void Simulation::Ask(Node& node, std::size_t peer) {
  Node::Asking& asking = node.asking[peer];
  node.replica.Become();
  const auto request = asking.exchange->NextRequest(network_.Chance(50) ? kWaitMs : 0);
  if (!request) {
    asking.under_way = false;
    asking.exchange.reset();
    // Who has no charter yet knows only whom it was invited by; a key may be out, or not in yet.
    if (request.error().code == ErrorCode::kDenied && !MayExchange(node, *nodes_[peer])) return;
    Excuse(node, request.error(), "asking");
    return;
  }
  asking.under_way = true;
  const std::uint64_t attempt = ++asking.attempt;
  ++counts_.requests;
  SendRequest(node, peer, attempt, *request);
  if (network_.Chance(repeat_percent_)) {
    ++counts_.repeated_requests;
    SendRequest(node, peer, attempt, *request);
  }
  AfterFor(node, asking.exchange->waiting() ? kWaitMs + kAnswerTimeout : kAnswerTimeout,
           [this, &node, peer, attempt] {
             Node::Asking& late = node.asking[peer];
             if (!late.under_way || late.attempt != attempt) return;
             if (++late.retries > 3) {
               late.under_way = false;  // another comparison later
               return;
             }
             Ask(node, peer);
           });
}

bool Simulation::Blocked(std::size_t a, std::size_t b) {
  const auto found = blocked_until_.find(std::minmax(a, b));
  return found != blocked_until_.end() && found->second > now_;
}

void Simulation::SendRequest(Node& from, std::size_t to, std::uint64_t attempt,
                             const Bytes& request) {
  Inspect(from, *nodes_[to], request);
  if (network_.Chance(loss_percent_)) {
    ++counts_.lost_requests;
    return;
  }
  if (Blocked(from.index, to)) {
    ++counts_.blocked_by_partition;
    return;
  }
  After(network_.Below(delay_max_), [this, &from, to, attempt, life = from.life, request] {
    Node& node = *nodes_[to];
    if (!node.up) return;
    std::uint64_t& newest = node.newest_attempt_from[from.index];
    if (attempt < newest) ++counts_.late_requests;
    newest = std::max(newest, attempt);
    Receive(node, {from.index, life, attempt, request, 0, 0});
  });
}

void Simulation::Receive(Node& node, Node::Waiter waiter) {
  SetClock(node);
  if (InDoubt(node)) {
    ++counts_.refused_in_doubt;
    return;
  }
  Node& from = *nodes_[waiter.from];
  sync::Responder responder(node.replica.store(), limits_);
  // Asked once; and what a process that has ended had sent says nothing about who runs now.
  sync::Responder::Admission admission;
  if (waiter.until == 0 && from.up && from.life == waiter.from_life) {
    admission = [&](const sync::Instance& instance) { return Admit(node, from, instance); };
  }
  node.replica.Become();
  const auto reply = responder.Answer(waiter.request, from.replica.tls().public_key(), admission);
  if (!reply) {
    const ErrorCode code = reply.error().code;
    if (code == ErrorCode::kConflict) return;  // Admit has looked at it
    // Not knowing the asker, or anybody, is honest while the charter is on its way.
    if ((code == ErrorCode::kDenied || code == ErrorCode::kUnavailable) &&
        (!from.up || !MayExchange(node, from))) {
      return;
    }
    Excuse(node, reply.error(), "answering");
    return;
  }
  for (const sync::DigestDifference& incident : reply->incidents) Alarm(node, incident);
  node.chair->PeerHolds(from.replica.tls().public_key(), reply->peer_holds);
  if (reply->nothing_new) {
    const Status noted = Exchanged(node);
    if (!noted) {
      Excuse(node, noted.error(), "noting an exchange");
      return;
    }
  }
  if (reply->new_entries > 0 || reply->charter_changed) Wake(node);
  const std::uint64_t revision = node.replica.store().revision();
  if (reply->nothing_new && reply->wait_ms > 0) {
    if (waiter.until == 0) {
      ++counts_.waits;
      waiter.until = now_ + reply->wait_ms;
      AfterFor(node, reply->wait_ms, [this, &node] { Wake(node); });
    }
    if (now_ < waiter.until) {
      waiter.revision = revision;
      node.waiters.push_back(std::move(waiter));
      return;
    }
  }
  SendAnswer(node, waiter, reply->bytes);
}

void Simulation::Wake(Node& node) {
  if (!node.up) return;
  std::vector<Node::Waiter> waiters = std::move(node.waiters);
  node.waiters.clear();
  const std::uint64_t revision = node.replica.store().revision();
  for (Node::Waiter& waiter : waiters) {
    if (!node.up) return;
    if (waiter.revision == revision && now_ < waiter.until) {
      node.waiters.push_back(std::move(waiter));
    } else {
      Receive(node, std::move(waiter));
    }
  }
}

void Simulation::SendAnswer(Node& node, const Node::Waiter& waiter, const Bytes& answer) {
  Inspect(node, *nodes_[waiter.from], answer);
  if (network_.Chance(loss_percent_)) {
    ++counts_.lost_answers;
    return;
  }
  if (Blocked(node.index, waiter.from)) {
    ++counts_.blocked_by_partition;
    return;
  }
  After(network_.Below(delay_max_), [this, peer = node.index, from = waiter.from,
                                     life = waiter.from_life, attempt = waiter.attempt, answer] {
    Node& to = *nodes_[from];
    if (!to.up || to.life != life) return;
    Node::Asking& asking = to.asking[peer];
    // An answer to a request that was given up: the connection is gone.
    if (!asking.under_way || asking.attempt != attempt) return;
    TakeAnswer(to, peer, answer);
  });
}

void Simulation::TakeAnswer(Node& node, std::size_t peer, const Bytes& answer) {
  SetClock(node);
  Node::Asking& asking = node.asking[peer];
  asking.under_way = false;
  node.replica.Become();
  const auto state = asking.exchange->TakeAnswer(answer);
  if (!state) {
    asking.exchange.reset();
    // The two move apart while they compare: they try again.
    if (state.error().code == ErrorCode::kUnavailable) {
      Trace("{} and {}: {}", Name(node), Name(*nodes_[peer]), state.error().message);
      return;
    }
    if (state.error().code == ErrorCode::kDenied && !MayExchange(node, *nodes_[peer])) return;
    Excuse(node, state.error(), "taking an answer");
    return;
  }
  for (const sync::DigestDifference& incident : asking.exchange->incidents()) Alarm(node, incident);
  if (!node.had_charter && node.replica.store().own_member()) {
    node.had_charter = true;
    ++counts_.charters_fetched;
  }
  asking.retries = 0;
  Wake(node);
  if (*state == sync::Exchange::State::kGoOn) {
    Ask(node, peer);
    return;
  }
  ++counts_.exchanges_agreed;
  node.chair->PeerHolds(nodes_[peer]->replica.tls().public_key(),
                        asking.exchange->agreed_vectors());
  Trace("{} agrees with {}", Name(node), Name(*nodes_[peer]));
  const Status noted = Exchanged(node);
  if (!noted) {
    Excuse(node, noted.error(), "noting an exchange");
    return;
  }
  // What a replicator does then: ask again, and wait.
  if (network_.Chance(60)) {
    asking.exchange->Begin();
    Ask(node, peer);
  }
}

void Simulation::Alarm(const Node& node, const sync::DigestDifference& incident) {
  Failed("false alarm, or a true one: {} and {} hold the same entries with different digests",
         Name(node), incident.peer.text());
}

void Simulation::Inspect(Node& from, Node& to, const Bytes& bytes) {
  const auto authority = AuthorityOf(from);
  if (!authority) return;
  const auto receiver = authority->MemberOfKey(to.replica.key().public_key());
  const auto message = sync::DecodeMessage(bytes);
  if (!message) {
    Failed("{} sends what is no message: {}", Name(from), message.error().message);
    return;
  }
  const auto check = [&](const AudienceId& audience) {
    // By what the sender knows of the receiver's rights.
    if (receiver && authority->Reads(*receiver, audience)) return;
    Failed("{} tells {} of an audience that {} may not read", Name(from), Name(to), Name(to));
  };
  for (const auto& summary : message->summaries) check(summary.audience);
  for (const auto& vector : message->vectors) check(vector.audience);
  for (const auto& digest : message->digests) check(digest.audience);
  for (const auto& run : message->runs) {
    if (run.first_seq != 0 || failure_) continue;
    const auto rebuilt = sync::RebuildRun(run);
    if (!rebuilt) continue;
    const auto* open = std::get_if<OpenBody>(&rebuilt->entries.front().header.body);
    if (open != nullptr) check(open->audience);
  }
}

bool Simulation::ExchangeNow(Node& node, Node& peer, std::uint64_t& moved) {
  SetClock(node);
  SetClock(peer);
  const auto revisions = [&] {
    return std::pair(node.replica.store().revision(), peer.replica.store().revision());
  };
  const auto before = revisions();
  auto exchange = MakeExchange(node, peer.index);
  sync::Responder responder(peer.replica.store(), limits_);
  const crypto::PublicKey& key = node.replica.tls().public_key();
  sync::Responder::Admission admission;
  if (watching_) {
    admission = [&](const sync::Instance& instance) { return Admit(peer, node, instance); };
  }
  // Each round trip brings at least one entry forward, one way or the other.
  const std::uint64_t trips_max = kRoundTripsBase + 2 * counts_.acknowledged;
  for (std::uint64_t trip = 0; trip < trips_max; ++trip) {
    node.replica.Become();
    const auto request = exchange->NextRequest();
    if (!request) {
      Failed("{} cannot ask {}: {}", Name(node), Name(peer), request.error().message);
      return false;
    }
    Inspect(node, peer, *request);
    peer.replica.Become();
    const auto reply = responder.Answer(*request, key, admission);
    if (!reply) {
      Failed("{} cannot answer {}: {}", Name(peer), Name(node), reply.error().message);
      return false;
    }
    Inspect(peer, node, reply->bytes);
    moved += reply->new_entries + (reply->charter_changed ? 1 : 0);
    peer.chair->PeerHolds(key, reply->peer_holds);
    for (const sync::DigestDifference& incident : reply->incidents) Alarm(peer, incident);
    node.replica.Become();
    const auto state = exchange->TakeAnswer(reply->bytes);
    if (!state) {
      Failed("{} and {} do not come together: {}", Name(node), Name(peer), state.error().message);
      return false;
    }
    for (const sync::DigestDifference& incident : exchange->incidents()) Alarm(node, incident);
    for (Node* side : {&node, &peer}) {
      if (side == &peer ? !reply->nothing_new : *state != sync::Exchange::State::kAgreed) continue;
      moved += InDoubt(*side) ? 1 : 0;
      const Status noted = Exchanged(*side);
      if (!noted) Failed("{} cannot note an exchange: {}", Name(*side), noted.error().message);
    }
    if (failure_) return false;
    if (*state == sync::Exchange::State::kAgreed) {
      node.chair->PeerHolds(peer.replica.tls().public_key(), exchange->agreed_vectors());
      if (revisions() != before) ++moved;
      moved += exchange->progress().entries_received + exchange->progress().charter_received;
      if (!exchange->problems().empty()) {
        Failed("{} and {}: {}", Name(node), Name(peer), exchange->problems().front());
        return false;
      }
      if (!node.had_charter && node.replica.store().own_member()) {
        ++counts_.charters_fetched;
        node.had_charter = true;
      }
      return true;
    }
  }
  Failed("{} and {} still exchange after {} round trips", Name(node), Name(peer), trips_max);
  return false;
}

}  // namespace staffel::sim
