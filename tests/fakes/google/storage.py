"""Cloud Storage's JSON API: buckets with labels and policies, objects with generations and preconditions."""

from __future__ import annotations

import urllib.parse
from typing import Any

from fakes.google import objects
from fakes.google.base import NUMBER, PROJECT, Api, Json, Refused, change_policy, count, now, policy
from fakes.google.objects import OBJECT, check
from fakes.state import Reply, Request, State

api = Api("storage", no_login="Invalid Credentials")
handle = api.handle

BUCKET = "/storage/v1/b/{bucket}"
TAKEN_BY_US = "Your previous request to create the named bucket succeeded and you already own it."
TAKEN = (
    "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please "
    "select a different name and try again."
)
FOREIGN = (
    "tester@example.org does not have storage.buckets.get access to the Google Cloud Storage bucket. Permission "
    "'storage.buckets.get' denied on resource (or it may not exist)."
)


def bucket_of(state: State, name: str) -> Json:
    if name in state.of("others' buckets"):
        raise Refused(403, "", FOREIGN, reason="forbidden")
    if name not in state.of("storage.buckets"):
        raise Refused(404, "", "The specified bucket does not exist.", reason="notFound")
    return state.of("storage.buckets")[name]


def merge(into: Json, change: Json) -> Json:
    """A JSON merge patch: null takes a field away."""
    merged = dict(into)
    for name, value in change.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict) and isinstance(merged.get(name), dict):
            merged[name] = merge(merged[name], value)
        else:
            merged[name] = value
    return merged


def new_bucket(name: str, asked: Json) -> Json:
    made = {
        "kind": "storage#bucket",
        "id": name,
        "selfLink": f"https://www.googleapis.com/storage/v1/b/{name}",
        "projectNumber": NUMBER,
        "metageneration": "1",
        "location": "US",
        "storageClass": "STANDARD",
        "etag": "CAE=",
        "timeCreated": now(),
        "updated": now(),
        "softDeletePolicy": {"retentionDurationSeconds": "604800", "effectiveTime": now()},
        "iamConfiguration": {
            "uniformBucketLevelAccess": {"enabled": False},
            "publicAccessPrevention": "inherited",
        },
    }
    made = merge(made, asked)
    made["location"] = made["location"].upper()
    made["locationType"] = "region" if "-" in made["location"] else "multi-region"
    return made


@api.on("POST /storage/v1/b")
def create(state: State, request: Request) -> Json:
    name = request.json["name"]
    if request.one("project") not in (PROJECT, NUMBER):
        raise Refused(400, "", "Unknown project id: " + request.one("project"), reason="invalid")
    if name in state.of("storage.buckets"):
        raise Refused(409, "", TAKEN_BY_US, reason="conflict")
    if name in state.of("others' buckets"):
        raise Refused(409, "", TAKEN, reason="conflict")
    state.of("storage.buckets")[name] = new_bucket(name, request.json)
    owners = {"role": "roles/storage.legacyBucketOwner",
              "members": [f"projectEditor:{PROJECT}", f"projectOwner:{PROJECT}"]}  # fmt: skip
    change_policy(state, f"bucket {name}", {"version": 1, "bindings": [owners]})
    return state.of("storage.buckets")[name]


@api.on("GET /storage/v1/b")
def listed(state: State, request: Request) -> Json:
    prefix = request.one("prefix")
    every = state.of("storage.buckets").items()
    return {"kind": "storage#buckets", "items": [one for name, one in sorted(every) if name.startswith(prefix)]}


@api.on(f"GET {BUCKET}")
def described(state: State, request: Request, bucket: str) -> Json:
    return bucket_of(state, bucket)


@api.on(f"GET {BUCKET}/storageLayout")
def layout(state: State, request: Request, bucket: str) -> Json:
    location = bucket_of(state, bucket)["location"]
    return {"kind": "storage#storageLayout", "bucket": bucket, "location": location, "locationType": "region"}


@api.on(f"PATCH {BUCKET}")
def patch(state: State, request: Request, bucket: str) -> Json:
    one = bucket_of(state, bucket)
    check_meta(request, one)
    number = str(int(one["metageneration"]) + 1)
    changed = {**merge(one, request.json), "metageneration": number, "updated": now()}
    state.of("storage.buckets")[bucket] = changed
    return changed


def check_meta(request: Request, one: Json) -> None:
    wanted = request.one("ifMetagenerationMatch")
    if wanted and wanted != one["metageneration"]:
        raise Refused(412, "", objects.CONDITION, reason="conditionNotMet")


@api.on(f"DELETE {BUCKET}")
def delete(state: State, request: Request, bucket: str) -> Reply:
    check_meta(request, bucket_of(state, bucket))
    if state.of(f"storage.objects/{bucket}"):
        raise Refused(409, "", "The bucket you tried to delete is not empty.", reason="conflict")
    del state.of("storage.buckets")[bucket]
    state.of("policies").pop(f"bucket {bucket}", None)
    return Reply(204)


# -- policies ------------------------------------------------------------------------------------------------------


def shown(bucket: str, value: Json) -> Json:
    return {"kind": "storage#policy", "resourceId": f"projects/_/buckets/{bucket}", **value}


@api.on(f"GET {BUCKET}/iam")
def get_policy(state: State, request: Request, bucket: str) -> Json:
    bucket_of(state, bucket)
    return shown(bucket, policy(state, f"bucket {bucket}"))


@api.on(f"PUT {BUCKET}/iam")
def set_policy(state: State, request: Request, bucket: str) -> Json:
    """Set a policy; this API answers 412 to a stale etag where the others answer 409."""
    bucket_of(state, bucket)
    etag = request.json.get("etag")
    if etag and etag != policy(state, f"bucket {bucket}")["etag"]:
        raise Refused(412, "", objects.CONDITION, reason="conditionNotMet")
    return shown(bucket, change_policy(state, f"bucket {bucket}", request.json))


@api.on(f"GET {BUCKET}/iam/testPermissions")
def test_permissions(state: State, request: Request, bucket: str) -> Json:
    bucket_of(state, bucket)
    return {"kind": "storage#testIamPermissionsResponse", "permissions": request.query.get("permissions", [])}


# -- objects -------------------------------------------------------------------------------------------------------


@api.on(f"GET {BUCKET}/o")
def listed_objects(state: State, request: Request, bucket: str) -> Json:
    bucket_of(state, bucket)
    return objects.listing(state, request, bucket)


@api.on(f"GET {BUCKET}/o/{OBJECT}")
def get_object(state: State, request: Request, bucket: str, name: str) -> Reply | Json:
    bucket_of(state, bucket)
    one = objects.existing(state, request, bucket, name)
    return objects.media(request, one) if request.one("alt") == "media" else one["meta"]


@api.on(f"GET /download{BUCKET}/o/{OBJECT}")
def download(state: State, request: Request, bucket: str, name: str) -> Reply:
    bucket_of(state, bucket)
    return objects.media(request, objects.existing(state, request, bucket, name))


@api.on(f"PATCH {BUCKET}/o/{OBJECT}")
def patch_object(state: State, request: Request, bucket: str, name: str) -> Json:
    bucket_of(state, bucket)
    one = objects.existing(state, request, bucket, name)
    number = str(int(one["meta"]["metageneration"]) + 1)
    one["meta"] = {**merge(one["meta"], request.json), "metageneration": number, "updated": now()}
    return one["meta"]


@api.on(f"DELETE {BUCKET}/o/{OBJECT}")
def delete_object(state: State, request: Request, bucket: str, name: str) -> Reply:
    bucket_of(state, bucket)
    objects.existing(state, request, bucket, name)
    del state.of(f"storage.objects/{bucket}")[name]
    return Reply(204)


@api.on(f"POST {BUCKET}/o/{OBJECT}/rewriteTo/b/{{to}}/o/{{new=**}}")
def rewrite(state: State, request: Request, bucket: str, name: str, to: str, new: str) -> Json:
    bucket_of(state, bucket)
    bucket_of(state, to)
    source = state.of(f"storage.objects/{bucket}").get(name)
    if source is None:
        raise objects.no_object(bucket, name)
    check(request, state.of(f"storage.objects/{to}").get(new))
    kept = {name: source["meta"][name] for name in ("contentType", "metadata") if name in source["meta"]}
    made = objects.put(state, request, to, {**kept, **request.json, "name": new}, source["data"])
    size = made["size"]
    return {"kind": "storage#rewriteResponse", "totalBytesRewritten": size, "objectSize": size, "done": True,
            "resource": made}  # fmt: skip


# -- uploads -------------------------------------------------------------------------------------------------------


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
