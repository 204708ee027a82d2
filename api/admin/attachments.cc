// SPDX-License-Identifier: EUPL-1.2
// Attachments: files from people into the store and out of it again. On their way between nodes
// they are sync/blobs.h's business.
#include <algorithm>

#include "api/admin/administration.h"
#include "core/base/text.h"
#include "core/record/edit.h"
#include "core/record/marking.h"
#include "core/record/row.h"
#include "core/store/blobs.h"

namespace staffel::api {

namespace {

constexpr std::size_t kFileNameBytesMax = 255;
// A marking may stand across the border of two pieces.
constexpr std::size_t kMarkingOverlap = 256;

Result<Hash> ReadUpload(const std::string& upload) {
  const auto id = Hash::FromText(upload);
  if (!id) return Fail(ErrorCode::kInvalid, "an upload has 64 hexadecimal digits");
  return *id;
}

// The set of references to documents that a kind has: where an attachment of it hangs.
const record::Field* DocumentsOf(const record::Kind& kind) {
  const auto found =
      std::find_if(kind.fields.begin(), kind.fields.end(), [](const record::Field& field) {
        const auto* to = record::Kinds().Find(field.refers_to);
        return field.rule == record::Rule::kSet && to != nullptr &&
               record::BlobFieldOf(*to) != nullptr;
      });
  return found == kind.fields.end() ? nullptr : &*found;
}

Result<const record::Kind*> AttachableKind(const RecordView& view) {
  const auto* kind = record::Kinds().Find(view.kind);
  if (kind == nullptr) {
    return Fail(ErrorCode::kUnsupported, "records of kind {} need a newer version of Staffel",
                view.kind);
  }
  if (record::BlobFieldOf(*kind) == nullptr && DocumentsOf(*kind) == nullptr) {
    return Fail(ErrorCode::kInvalid,
                "kind {} takes no files: attach it to a document, or to a record that refers to "
                "documents",
                kind->name);
  }
  if (view.deleted) {
    return Fail(ErrorCode::kDenied, "the record is deleted: restore it first (staffel restore)");
  }
  return kind;
}

Status CheckName(const std::string& name) {
  if (name.empty() || name.size() > kFileNameBytesMax ||
      std::any_of(name.begin(), name.end(),
                  [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == '/'; })) {
    return Fail(ErrorCode::kInvalid,
                "the file's name must be one line of 1 to {} bytes without '/'", kFileNameBytesMax);
  }
  return {};
}

Status CheckMediaType(const std::string& type) {
  const bool good =
      type.size() <= kFileNameBytesMax && type.find('/') != std::string::npos &&
      std::all_of(type.begin(), type.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
  if (type.empty() || good) return {};
  return Fail(ErrorCode::kInvalid, "„{}“ is no media type; write one as application/pdf", type);
}

Status RefuseMarking(std::string_view where, std::string_view text) {
  if (const auto marking = record::FindMarking(text)) {
    return Fail(ErrorCode::kDenied,
                "{} is marked {}: Staffel is not approved for classified information", where,
                *marking);
  }
  return {};
}

record::JsonValue TextValue(std::string text) {
  record::JsonValue value;
  value.type = record::JsonType::kText;
  value.text = std::move(text);
  return value;
}

}  // namespace

Result<admin::Upload> Administration::AttachBegin(const admin::AttachBeginRequest& request,
                                                  Call& call) {
  if (request.size_bytes() > kBlobBytesMax) {
    return Fail(ErrorCode::kTooLarge, "the file has {} bytes; an attachment may have {} ({} MiB)",
                request.size_bytes(), kBlobBytesMax, kBlobBytesMax >> 20);
  }
  STAFFEL_CHECK(CheckName(request.name()));
  STAFFEL_CHECK(RefuseMarking("the file's name", request.name()));
  STAFFEL_TRY(snapshot, options_.store->Read());
  STAFFEL_TRY(view, FindRecord(snapshot, request.id(), "", request.audience(), call));
  STAFFEL_TRY(kind, AttachableKind(view));
  (void)kind;
  STAFFEL_TRY(upload, Blobs(*options_.store).BeginUpload());
  admin::Upload reply;
  reply.set_upload(upload.Hex());
  return reply;
}

Result<admin::Upload> Administration::AttachPiece(const admin::AttachPieceRequest& request, Call&) {
  STAFFEL_TRY(upload, ReadUpload(request.upload()));
  STAFFEL_CHECK(Blobs(*options_.store).AddPiece(upload, request.place(), request.bytes()));
  admin::Upload reply;
  reply.set_upload(request.upload());
  return reply;
}

Result<admin::Upload> Administration::AttachCancel(const admin::AttachCancelRequest& request,
                                                   Call&) {
  STAFFEL_TRY(upload, ReadUpload(request.upload()));
  STAFFEL_CHECK(Blobs(*options_.store).DropUpload(upload));
  return admin::Upload();
}

Result<admin::AttachReply> Administration::AttachFinish(const admin::AttachFinishRequest& request,
                                                        Call& call) {
  STAFFEL_TRY(upload, ReadUpload(request.upload()));
  STAFFEL_CHECK(CheckName(request.name()));
  STAFFEL_CHECK(RefuseMarking("the file's name", request.name()));
  STAFFEL_CHECK(CheckMediaType(request.media_type()));
  STAFFEL_TRY(name, ToNfc(request.name()));
  Blobs blobs(*options_.store);
  STAFFEL_TRY(content, blobs.Describe(upload));
  if (request.media_type().starts_with("text/")) {
    Bytes before;
    for (std::size_t place = 0; place < BlobChunks(content.size_bytes); ++place) {
      STAFFEL_TRY(piece, blobs.UploadedPiece(upload, place));
      STAFFEL_CHECK(RefuseMarking("the file", before + piece));
      before = piece.substr(piece.size() - std::min(piece.size(), kMarkingOverlap));
    }
  }
  STAFFEL_TRY(snapshot, options_.store->Read());
  STAFFEL_TRY(view, FindRecord(snapshot, request.id(), "", request.audience(), call));
  STAFFEL_TRY(kind, AttachableKind(view));
  STAFFEL_TRY(author, FindAuthor(snapshot, request.author(), call));
  const record::BlobReference reference{content.id, content.size_bytes, content.sha256,
                                        request.media_type(), name};

  RecordId named = view.record;
  std::vector<Edit> edits;
  if (record::BlobFieldOf(*kind) != nullptr) {
    STAFFEL_TRY(made, EditsFor(view.audience, view.kind, view.record, /*create=*/false,
                               {record::NameBlob(*kind, reference)}, author, {}, nullptr));
    edits = std::move(made);
  } else {
    // A document of its own, and the reference to it: in one entry.
    const record::Field& field = *DocumentsOf(*kind);
    const record::Kind& document = *record::Kinds().Find(field.refers_to);
    named = options_.random->DrawId<RecordId>();
    record::RandomElementIds ids(*options_.random);
    record::InputContext context = InputFor(snapshot, ids, "", call);
    context.find_reference = [&](std::uint32_t, std::string_view) -> Result<RecordId> {
      return named;
    };
    record::JsonValue fields;
    fields.type = record::JsonType::kObject;
    fields.members.emplace_back("title",
                                TextValue(request.title().empty() ? name : request.title()));
    STAFFEL_TRY(writes, record::CellsOfRecord(document, fields, context));
    writes.push_back(record::NameBlob(document, reference));
    STAFFEL_TRY(made, EditsFor(view.audience, document.number, named, /*create=*/true,
                               std::move(writes), author, {}, nullptr));
    const std::vector<std::string> adding{field.name + "+=" + named.Hex()};
    STAFFEL_TRY(assigned, record::ParseAssignments(*kind, adding));
    // The document comes to be in the same entry.
    context.check_reference = [&](std::uint32_t, const RecordId& record) -> staffel::Status {
      if (record == named) return {};
      return Fail(ErrorCode::kNotFound, "what it refers to is not here: no record has the id {}",
                  record.Hex());
    };
    STAFFEL_TRY(additions, record::EditsOf(*kind, assigned, view.row, context));
    STAFFEL_TRY(referring, EditsFor(view.audience, view.kind, view.record, /*create=*/false,
                                    std::move(additions), author, {}, nullptr));
    edits = std::move(made);
    for (RecordEdit& change : referring.front().records) {
      edits.front().records.push_back(std::move(change));
    }
  }
  STAFFEL_TRY(applied, blobs.Attach(upload, edits));
  (void)applied;
  if (options_.courier != nullptr) options_.courier->Wake();

  admin::AttachReply reply;
  STAFFEL_TRY(after, options_.store->Read());
  STAFFEL_TRY(now, after.GetRecord(named, view.audience));
  STAFFEL_TRY(shown, Shown(after, now));
  *reply.mutable_record() = std::move(shown);
  if (named != view.record) {
    STAFFEL_TRY(to, after.GetRecord(view.record, view.audience));
    STAFFEL_TRY(shown_to, Shown(after, to));
    *reply.mutable_attached_to() = std::move(shown_to);
  }
  STAFFEL_TRY(attachment, ShownAttachment(after, now, reference));
  *reply.mutable_attachment() = std::move(attachment);
  return reply;
}

Result<admin::Attachment> Administration::ShownAttachment(Snapshot& snapshot,
                                                          const RecordView& view,
                                                          const record::BlobReference& reference) {
  admin::Attachment out;
  STAFFEL_TRY(shown, Shown(snapshot, view));
  *out.mutable_record() = std::move(shown);
  out.set_audience(out.record().audience());
  out.set_blob(reference.blob.Hex());
  if (reference.sha256) out.set_sha256(reference.sha256->Hex());
  out.set_size_bytes(reference.size_bytes);
  out.set_media_type(reference.media_type);
  out.set_name(reference.name);
  const auto state = Blobs(*options_.store).State(reference.blob, view.audience);
  if (!state) {
    if (state.error().code == ErrorCode::kNotFound)
      return out;  // too large, or of an invalid entry
    return tl::unexpected<Error>(state.error());
  }
  out.set_here_bytes(state->here_bytes);
  out.set_complete(state->complete);
  out.set_differs(state->complete && (state->size_bytes != reference.size_bytes ||
                                      (reference.sha256 && reference.sha256 != state->sha256)));
  return out;
}

Result<admin::AttachmentsReply> Administration::Attachments(
    const admin::AttachmentsRequest& request, Call& call) {
  admin::AttachmentsReply reply;
  if (request.fetch() && options_.courier != nullptr) options_.courier->Wake();
  STAFFEL_TRY(snapshot, options_.store->Read());
  reply.set_demonstration(IsDemonstration(snapshot));
  if (const auto hash = Hash::FromText(request.id())) {
    STAFFEL_TRY(states, Blobs(*options_.store).Find(*hash));
    for (const BlobState& state : states) {
      auto* out = reply.add_attachments();
      out->set_blob(state.id.Hex());
      out->set_audience(AudienceName(snapshot, state.audience));
      out->set_size_bytes(state.size_bytes);
      out->set_here_bytes(state.here_bytes);
      out->set_complete(state.complete);
      if (state.sha256) out->set_sha256(state.sha256->Hex());
    }
    if (states.empty()) {
      return Fail(ErrorCode::kNotFound, "no record here names an attachment with this id");
    }
    return reply;
  }
  STAFFEL_TRY(view, FindRecord(snapshot, request.id(), "", request.audience(), call));
  const auto* kind = record::Kinds().Find(view.kind);
  if (kind == nullptr) return reply;
  const auto add = [&](const RecordView& of, const record::Kind& of_kind) -> staffel::Status {
    const auto* field = record::BlobFieldOf(of_kind);
    const WireField value = record::LastWireField(of.row, field->number);
    if (value.number == 0) return {};
    const auto named = record::BlobNamedBy(of_kind, record::RegisterCell(*field), value.whole);
    if (!named) return {};
    STAFFEL_TRY(shown, ShownAttachment(snapshot, of, *named));
    *reply.add_attachments() = std::move(shown);
    return {};
  };
  if (record::BlobFieldOf(*kind) != nullptr) STAFFEL_CHECK(add(view, *kind));
  const auto* documents = DocumentsOf(*kind);
  if (documents == nullptr) return reply;
  const record::Kind& document = *record::Kinds().Find(documents->refers_to);
  for (const record::RowElement& element : record::RowElements(view.row, *documents)) {
    for (const record::Field& part : documents->parts) {
      if (part.format != record::Format::kReference) continue;
      const auto id = RecordId::From(record::LastWireField(element.message, part.number).bytes);
      if (!id) continue;
      const auto found = snapshot.GetRecord(*id);
      if (found && found->kind == document.number && !found->deleted) {
        STAFFEL_CHECK(add(*found, document));
      }
    }
  }
  return reply;
}

Result<admin::FetchPieceReply> Administration::FetchPiece(const admin::FetchPieceRequest& request,
                                                          Call&) {
  const auto id = Hash::FromText(request.blob());
  if (!id) return Fail(ErrorCode::kInvalid, "an attachment's id has 64 hexadecimal digits");
  STAFFEL_TRY(snapshot, options_.store->Read());
  STAFFEL_TRY(audience, FindAudience(snapshot, request.audience()));
  Blobs blobs(*options_.store);
  STAFFEL_TRY(state, blobs.State(*id, audience));
  if (!state.complete) {
    return Fail(ErrorCode::kUnavailable, "the attachment is not wholly here yet: {} of {} bytes",
                state.here_bytes, state.size_bytes);
  }
  STAFFEL_TRY(piece, blobs.Chunk(*id, audience, request.place()));
  admin::FetchPieceReply reply;
  reply.set_bytes(std::move(piece));
  return reply;
}

}  // namespace staffel::api
