// SPDX-License-Identifier: EUPL-1.2
#include "sync/blobs.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "core/base/wire.h"

namespace staffel::sync {
namespace {

constexpr std::string_view kListSuffix = "/list";

BlobAnswer Refusal(int status, std::string sentence) {
  return {status, "text/plain; charset=utf-8", "", std::move(sentence)};
}

BlobAnswer NotHere() { return Refusal(404, "this attachment is not here for you"); }

int StatusOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNotFound:
      return 404;
    case ErrorCode::kCorrupt:
    case ErrorCode::kInvalid:
      return 422;
    case ErrorCode::kTooLarge:
      return 413;
    case ErrorCode::kStorage:
      return 507;
    case ErrorCode::kUnavailable:
      return 503;
    default:
      return 500;
  }
}

std::optional<std::uint64_t> TakeNumber(std::string_view& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

}  // namespace

std::optional<ByteRange> ReadByteRange(std::string_view text, bool of_content) {
  const std::string_view unit = of_content ? "bytes " : "bytes=";
  if (!text.starts_with(unit)) return std::nullopt;
  text.remove_prefix(unit.size());
  ByteRange range;
  const auto first = TakeNumber(text);
  if (!first || !text.starts_with('-')) return std::nullopt;
  text.remove_prefix(1);
  const auto last = TakeNumber(text);
  if (!last || *last < *first) return std::nullopt;
  range.first = *first;
  range.last = *last;
  if (of_content) {
    if (!text.starts_with('/')) return std::nullopt;
    text.remove_prefix(1);
    range.size = TakeNumber(text);
    if (!range.size || *last >= *range.size) return std::nullopt;
  }
  if (!text.empty()) return std::nullopt;
  return range;
}

bool IsBlobPath(std::string_view path) {
  return path == kBlobsWantedPath || path.starts_with(kBlobPath);
}

Bytes PackBlobList(const BlobList& list) {
  Bytes out;
  AppendVarint(out, list.size_bytes);
  out.append(list.chunk_hashes);
  return out;
}

Result<BlobList> UnpackBlobList(ByteView bytes) {
  BlobList list;
  const auto size = TakeVarint(bytes);
  if (!size || *size == 0 || *size > kBlobBytesMax ||
      bytes.size() != BlobChunks(*size) * Hash::kBytes) {
    return Fail(ErrorCode::kCorrupt, "what came is no list of an attachment's pieces");
  }
  list.size_bytes = *size;
  list.chunk_hashes = bytes;
  return list;
}

Bytes PackWanted(const std::vector<WantedThere>& wanted) {
  Bytes out;
  for (const WantedThere& one : wanted) {
    out.append(one.id.bytes());
    out.push_back(one.listed ? '\1' : '\0');
    AppendVarint(out, one.next_chunk);
  }
  return out;
}

Result<std::vector<WantedThere>> UnpackWanted(ByteView bytes) {
  std::vector<WantedThere> wanted;
  while (!bytes.empty()) {
    const auto bad = [] {
      return Fail(ErrorCode::kCorrupt, "what is wanted there cannot be read");
    };
    if (bytes.size() < BlobId::kBytes + 2 || wanted.size() >= kBlobsWantedMax) return bad();
    WantedThere one;
    one.id = *BlobId::From(bytes.substr(0, BlobId::kBytes));
    const char listed = bytes[BlobId::kBytes];
    bytes.remove_prefix(BlobId::kBytes + 1);
    const auto next = TakeVarint(bytes);
    if (!next || *next > BlobChunks(kBlobBytesMax) || listed < 0 || listed > 1) return bad();
    one.listed = listed == 1;
    one.next_chunk = *next;
    wanted.push_back(one);
  }
  return wanted;
}

BlobAnswer BlobHost::Answer(const BlobRequest& request,
                            const std::optional<crypto::PublicKey>& peer) {
  const auto authority = store_.authority();
  const auto member =
      authority && peer ? authority->MemberOfTlsKey(*peer) : std::optional<MemberId>();
  if (!member) return Refusal(403, "the charter does not list this key");
  if (request.path == kBlobsWantedPath) {
    if (request.method != "GET") return Refusal(405, "what is wanted here is asked with GET");
    auto wanted = Wanted(*member);
    return wanted ? std::move(*wanted)
                  : Refusal(StatusOf(wanted.error().code), wanted.error().message);
  }
  if (!request.path.starts_with(kBlobPath)) return NotHere();
  std::string_view rest = request.path.substr(kBlobPath.size());
  const bool list = rest.ends_with(kListSuffix);
  if (list) rest.remove_suffix(kListSuffix.size());
  const auto id = BlobId::FromText(rest);
  if (!id) return NotHere();
  if (request.method != "GET" && request.method != "PUT") {
    return Refusal(405, "attachments are fetched with GET and brought with PUT");
  }
  auto answer = request.method == "GET" ? Give(request, *member, *id, list)
                                        : Take(request, *member, *id, list);
  if (answer) return std::move(*answer);
  if (answer.error().code == ErrorCode::kNotFound) return NotHere();
  return Refusal(StatusOf(answer.error().code), answer.error().message);
}

Result<BlobAnswer> BlobHost::Give(const BlobRequest& request, const MemberId& member,
                                  const BlobId& id, bool list) {
  Blobs blobs(store_);
  STAFFEL_TRY(audience, blobs.ReadableBy(member, id));
  if (!audience) return NotHere();
  STAFFEL_TRY(pieces, blobs.List(id, *audience));
  BlobAnswer answer;
  if (list) {
    answer.body = PackBlobList(pieces);
    return answer;
  }
  const auto range =
      request.range ? ReadByteRange(*request.range, /*of_content=*/false) : std::nullopt;
  if (!range || range->last >= pieces.size_bytes ||
      range->first / kBlobChunkBytes != range->last / kBlobChunkBytes) {
    return Refusal(416, "ask for a range of bytes within one piece of 1 MiB");
  }
  const std::uint64_t place = range->first / kBlobChunkBytes;
  STAFFEL_TRY(piece, blobs.Chunk(id, *audience, static_cast<std::size_t>(place)));
  answer.status = 206;
  answer.content_range =
      fmt::format("bytes {}-{}/{}", range->first, range->last, pieces.size_bytes);
  answer.body = piece.substr(static_cast<std::size_t>(range->first - place * kBlobChunkBytes),
                             static_cast<std::size_t>(range->last - range->first + 1));
  return answer;
}

Result<BlobAnswer> BlobHost::Take(const BlobRequest& request, const MemberId& member,
                                  const BlobId& id, bool list) {
  Blobs blobs(store_);
  // For every audience that both read and that lacks it.
  STAFFEL_TRY(wanted, blobs.WantedOf(id, member));
  if (wanted.empty()) return NotHere();
  BlobAnswer answer;
  answer.status = 204;
  if (list) {
    STAFFEL_TRY(pieces, UnpackBlobList(request.body));
    for (const WantedBlob& one : wanted) STAFFEL_CHECK(blobs.Expect(id, one.audience, pieces));
    return answer;
  }
  const auto range = request.content_range
                         ? ReadByteRange(*request.content_range, /*of_content=*/true)
                         : std::nullopt;
  if (!range || range->first % kBlobChunkBytes != 0 ||
      range->last - range->first + 1 != request.body.size()) {
    return Refusal(416, "bring whole pieces of 1 MiB, with their Content-Range");
  }
  bool complete = true;
  for (const WantedBlob& one : wanted) {
    auto taken = blobs.Take(id, one.audience,
                            static_cast<std::size_t>(range->first / kBlobChunkBytes), request.body);
    if (!taken) return Forward(taken);
    complete = complete && *taken;
  }
  if (complete) answer.status = 201;
  return answer;
}

Result<BlobAnswer> BlobHost::Wanted(const MemberId& member) {
  STAFFEL_TRY(wanted, Blobs(store_).Wanted(kBlobsWantedMax, member));
  std::vector<WantedThere> all;
  for (const WantedBlob& one : wanted) {
    const auto known = std::find_if(all.begin(), all.end(),
                                    [&](const WantedThere& other) { return other.id == one.id; });
    if (known == all.end()) {
      all.push_back({one.id, one.listed, one.next_chunk});
      continue;
    }
    // Wanted for two audiences: from the piece on that lacks in either.
    known->listed = known->listed && one.listed;
    known->next_chunk = std::min<std::uint64_t>(known->next_chunk, one.next_chunk);
  }
  BlobAnswer answer;
  answer.body = PackWanted(all);
  return answer;
}

}  // namespace staffel::sync
