"""Objects of Cloud Storage: what is kept of each, listing them, reading them, and the conditions they are under."""

from __future__ import annotations

import base64
import email.parser
import email.policy
import hashlib
import json
import re
import urllib.parse

import google_crc32c

from fakes.google.base import Json, Refused, count, now
from fakes.state import Reply, Request, State

OBJECT = "{name}"
CONDITION = "At least one of the pre-conditions you specified did not hold."


def no_object(bucket: str, name: str) -> Refused:
    return Refused(404, "", f"No such object: {bucket}/{name}", reason="notFound")


def check(request: Request, one: Json | None) -> None:
    """Refuse a request whose conditions on generation and metageneration do not hold: 412, or 304 to a read."""
    meta = one["meta"] if one else {"generation": "0", "metageneration": "0"}
    for field in ("generation", "metageneration"):
        name = field.capitalize()
        wanted, unwanted = request.one(f"if{name}Match"), request.one(f"if{name}NotMatch")
        if wanted and wanted != meta[field]:
            raise Refused(412, "", CONDITION, reason="conditionNotMet")
        if unwanted and unwanted == meta[field]:
            code = 304 if request.method == "GET" else 412
            raise Refused(code, "", CONDITION, reason="conditionNotMet")


def existing(state: State, request: Request, bucket: str, name: str) -> Json:
    """An object that is there, in the generation asked for, and meets the request's conditions."""
    one = state.of(f"storage.objects/{bucket}").get(name)
    generation = request.one("generation")
    if one is None or generation not in ("", one["meta"]["generation"]):
        raise no_object(bucket, name)
    check(request, one)
    return one


def put(state: State, request: Request, bucket: str, meta: Json, data: bytes) -> Json:
    """Keep an object's new generation and answer its metadata; what the sender says of the checksum must be so."""
    crc = base64.b64encode(google_crc32c.Checksum(data).digest()).decode()
    md5 = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
    if meta.get("crc32c", crc) != crc or meta.get("md5Hash", md5) != md5:
        raise Refused(400, "", f"Provided checksum doesn't match calculated checksum {crc!r}.", reason="invalid")
    name = meta["name"]
    generation = str(count(state, "generation", 1_763_900_000_000_001))
    quoted = urllib.parse.quote(name, safe="")
    host = request.headers.get("host", "127.0.0.1")
    whole = {
        **meta,
        "kind": "storage#object",
        "id": f"{bucket}/{name}/{generation}",
        "selfLink": f"http://{host}/storage/storage/v1/b/{bucket}/o/{quoted}",
        "mediaLink": f"http://{host}/storage/download/storage/v1/b/{bucket}/o/{quoted}"
        f"?generation={generation}&alt=media",
        "bucket": bucket,
        "generation": generation,
        "metageneration": "1",
        "contentType": meta.get("contentType") or "application/octet-stream",
        "storageClass": "STANDARD",
        "size": str(len(data)),
        "md5Hash": md5,
        "crc32c": crc,
        "etag": f"C{generation}=",
        "timeCreated": now(),
        "updated": now(),
        "timeStorageClassUpdated": now(),
    }
    state.of(f"storage.objects/{bucket}")[name] = {"meta": whole, "data": data}
    return whole


def media(request: Request, one: Json) -> Reply:
    """An object's bytes, or the range of them that was asked for."""
    data, meta = one["data"], one["meta"]
    headers = {
        "content-type": meta["contentType"],
        "etag": meta["etag"],
        "x-goog-generation": meta["generation"],
        "x-goog-metageneration": meta["metageneration"],
        "x-goog-hash": f"crc32c={meta['crc32c']},md5={meta['md5Hash']}",
        "x-goog-stored-content-length": meta["size"],
        "x-goog-stored-content-encoding": "identity",
    }
    wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("range", ""))
    if not wanted:
        return Reply(200, data, headers)
    first = int(wanted[1]) if wanted[1] else max(0, len(data) - int(wanted[2]))
    last = min(int(wanted[2]), len(data) - 1) if wanted[1] and wanted[2] else len(data) - 1
    if first > last:
        return Reply(416, b"", {"content-range": f"bytes */{len(data)}"})
    headers["content-range"] = f"bytes {first}-{last}/{len(data)}"
    return Reply(206, data[first : last + 1], headers)


def listing(state: State, request: Request, bucket: str) -> Json:
    """A page of a bucket's objects: by prefix, and with a delimiter the folders below it."""
    prefix, delimiter, after = request.one("prefix"), request.one("delimiter"), request.one("pageToken")
    begin, end = request.one("startOffset"), request.one("endOffset")
    size = int(request.one("maxResults") or 1000)
    entries: dict[str, Json | None] = {}
    for name, one in sorted(state.of(f"storage.objects/{bucket}").items()):
        if not name.startswith(prefix) or name < begin or (end and name >= end):
            continue
        folder, found, _ = name[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
        entries[prefix + folder + delimiter if found else name] = None if found else one["meta"]
    names = [name for name in sorted(entries) if name > after]
    page = names[:size]
    answer: Json = {
        "kind": "storage#objects",
        "items": [entries[name] for name in page if entries[name]],
        "prefixes": [name for name in page if entries[name] is None],
    }
    if len(names) > size:
        answer["nextPageToken"] = page[-1]
    return answer


def parts(request: Request) -> tuple[Json, str, bytes]:
    """The metadata, the media's type and the media of an upload in one request of two parts."""
    match = re.search(r"boundary=[\"']?([^\"';]+)", request.headers["content-type"])
    if not match:
        raise Refused(400, "", "Missing boundary in multipart upload.", reason="invalid")
    mark = b"--" + match[1].encode()
    _, meta, media, _ = request.body.split(mark, 3)
    end = b"\r\n" if meta.startswith(b"\r\n") else b"\n"  # clients differ in their line ends
    text = meta.removeprefix(end).partition(end + end)[2]
    headers, _, data = media.removeprefix(end).partition(end + end)
    head = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(headers)
    return json.loads(text), head.get_content_type(), data.removesuffix(end)
