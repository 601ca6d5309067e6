"""Uploads to Cloud Storage: in one request, in one of two parts, and in pieces that can be taken up again."""

from __future__ import annotations

import urllib.parse
from typing import Any

from fakes.google import objects
from fakes.google.base import Json, Refused, count
from fakes.google.objects import check
from fakes.google.storage import BUCKET, api, bucket_of
from fakes.state import Reply, Request, State

handle = api.handle
"""Of the whole API: the uploads' routes stand in the table of storage."""


@api.on(f"POST /upload{BUCKET}/o")
def upload(state: State, request: Request, bucket: str) -> Reply | Json:
    bucket_of(state, bucket)
    kind = request.one("uploadType")
    if kind == "resumable":
        return start_resumable(state, request, bucket)
    meta: dict[str, Any] = {"name": request.one("name"), "contentType": request.headers.get("content-type", "")}
    data = request.body
    if kind == "multipart":
        more, content_type, data = objects.parts(request)
        meta |= {"contentType": content_type, **more}
    check(request, state.of(f"storage.objects/{bucket}").get(meta["name"]))
    return objects.put(state, request, bucket, meta, data)


@api.on(f"POST /resumable/upload{BUCKET}/o")
def start_resumable(state: State, request: Request, bucket: str) -> Reply:
    """Begin an upload in pieces; the condition counts at its end, and here already if it fails here."""
    bucket_of(state, bucket)
    meta = {"name": request.one("name"), "contentType": request.headers.get("x-upload-content-type", "")}
    meta |= request.json
    check(request, state.of(f"storage.objects/{bucket}").get(meta["name"]))
    number = f"upload-{count(state, 'upload')}"
    state.of("storage.uploads")[number] = {"bucket": bucket, "meta": meta, "data": b"", "query": dict(request.query)}
    query = urllib.parse.urlencode({"uploadType": "resumable", "name": meta["name"], "upload_id": number})
    place = f"http://{request.headers['host']}/storage/upload/storage/v1/b/{bucket}/o?{query}"
    return Reply(200, b"", {"location": place, "x-guploader-uploadid": number})


@api.on(f"PUT /upload{BUCKET}/o")
@api.on(f"PUT /resumable/upload{BUCKET}/o")
def continue_resumable(state: State, request: Request, bucket: str) -> Reply | Json:
    kept = state.of("storage.uploads").get(request.one("upload_id"))
    if kept is None:
        raise Refused(404, "", "Not Found", reason="notFound")
    first, _, total = request.headers.get("content-range", "bytes */*").removeprefix("bytes ").partition("/")
    if first != "*" and int(first.split("-")[0]) <= len(kept["data"]):
        kept["data"] = kept["data"][: int(first.split("-")[0])] + request.body
    elif "content-range" not in request.headers:
        kept["data"], total = request.body, str(len(request.body))
    if total == "*" or len(kept["data"]) < int(total):
        held = {"range": f"bytes=0-{len(kept['data']) - 1}"} if kept["data"] else {}
        return Reply(308, b"", held)
    check(Request(request.method, "storage", request.path, kept["query"]),
          state.of(f"storage.objects/{bucket}").get(kept["meta"]["name"]))  # fmt: skip
    del state.of("storage.uploads")[request.one("upload_id")]
    return objects.put(state, request, bucket, kept["meta"], kept["data"])


@api.on(f"DELETE /upload{BUCKET}/o")
def give_up(state: State, request: Request, bucket: str) -> Reply:
    state.of("storage.uploads").pop(request.one("upload_id"), None)
    return Reply(499)
